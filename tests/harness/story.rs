//! What people do in a cluster, told as a story: they are asked, make groups, join, write and read.
//!
//! Each of these runs the queue until the answer has come, and fails the test if it is not the
//! answer that the story needs.

use fourword_protocol::command::{
    ChatCommand, Command, CommandId, JoinBy, JoinState, Kind, Notice, Outcome, Reply,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;

use crate::clock::WALL_START_MS;
use crate::cluster::Cluster;

const DAY_MS: u64 = 86_400_000;

impl Cluster {
    // -- asking -------------------------------------------------------------------------------

    /// Asks a node and runs until it answers.
    pub fn ask(&mut self, name: &str, command: Command) -> Outcome {
        let id = self.begin(name, command);
        self.run_until(|c| c.node(name).outcomes.contains_key(&id));
        self.node_mut(name).outcomes.remove(&id).unwrap_or_else(|| panic!("an answer to {id:?}"))
    }

    /// Asks a node without waiting; see [`Cluster::answer`].
    pub fn begin(&mut self, name: &str, command: Command) -> CommandId {
        let id = self.node_mut(name).next_command();
        self.happen(name, Event::Asked(id, command));
        id
    }

    /// The answer to a command, if it has come.
    pub fn answer(&self, name: &str, id: CommandId) -> Option<&Outcome> {
        self.node(name).outcomes.get(&id)
    }

    /// Asks a node for something that must succeed.
    pub fn must(&mut self, name: &str, command: Command) -> Reply {
        match self.ask(name, command) {
            Outcome::Done(reply) => reply,
            Outcome::Refused(refusal) => panic!("{name} refused: {} ({:?})", refusal.message, refusal.code),
        }
    }

    /// Looks at what a node shows, now and without an event: `None` if it must read that first, or
    /// refuses.
    pub(crate) fn peek(&mut self, name: &str, command: Command) -> Option<Reply> {
        let now = self.now();
        let node = self.node_mut(name);
        let (id, now) = (node.next_command(), node.clock.at(now));
        let mut answer = None;
        for effect in node.machine.handle(now, Event::Asked(id, command)) {
            match effect {
                Effect::Answer(of, outcome) if of == id => answer = Some(outcome),
                other => self.carry_out(name, other),
            }
        }
        self.start_disk(name);
        match answer? {
            Outcome::Done(reply) => Some(reply),
            Outcome::Refused(_) => None,
        }
    }

    // -- stories ------------------------------------------------------------------------------

    /// Makes a group.
    pub fn create_group(&mut self, by: &str, name: &str) -> FourWords {
        let command = Command::Create { kind: Kind::Group, name: name.to_owned(), parent: None };
        match self.must(by, command) {
            Reply::Entity(view) => view.words,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a channel or project that belongs to another entity.
    pub fn create_child(&mut self, by: &str, kind: Kind, name: &str, parent: FourWords) -> FourWords {
        match self.must(by, Command::Create { kind, name: name.to_owned(), parent: Some(parent) }) {
            Reply::Entity(view) => view.words,
            other => panic!("{other:?}"),
        }
    }

    /// Makes an invite that carries the inviter's address.
    pub fn invite(&mut self, by: &str, group: FourWords, role: Role, uses: u32) -> InviteCode {
        let passed = u64::try_from(self.days_passed).unwrap_or(0) * DAY_MS;
        let expires = WallTime(WALL_START_MS + self.now() + passed + DAY_MS);
        let addresses = vec![format!("sim:{by}")];
        match self.must(by, Command::Invite { entity: group, role, uses, expires, addresses }) {
            Reply::Invite(code) => code,
            other => panic!("{other:?}"),
        }
    }

    /// Joins by a code and waits until in.
    pub fn join(&mut self, name: &str, group: FourWords, code: &InviteCode) {
        let command = Command::Join { words: group, by: JoinBy::Code(code.clone()), peers: Vec::new() };
        match self.must(name, command) {
            Reply::Joined(_, JoinState::Joined) => {}
            other => panic!("{other:?}"),
        }
    }

    /// A group of these nodes, the first being its owner, all connected.
    pub fn group_of(&mut self, names: &[&str]) -> FourWords {
        for name in names {
            self.add(name);
        }
        let owner = names.first().unwrap_or_else(|| panic!("a group has an owner"));
        let group = self.create_group(owner, "team");
        let code = self.invite(owner, group, Role::Member, 100);
        for name in names.iter().skip(1) {
            self.join(name, group, &code);
        }
        self.connect_all();
        self.settle();
        group
    }

    /// Writes a message and waits until it is saved.
    pub fn send_message(&mut self, name: &str, group: FourWords, text: &str) -> MessageId {
        let command = ChatCommand::say(text.to_owned(), None);
        match self.must(name, Command::Chat(group, command)) {
            Reply::Message(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// The texts of a chat as a node shows them, oldest first; deleted ones as `(deleted)`.
    pub fn read_chat(&mut self, name: &str, group: FourWords) -> Vec<String> {
        match self.must(name, Command::Chat(group, ChatCommand::Read { last: 10_000 })) {
            Reply::Messages(messages) => messages
                .into_iter()
                .map(|m| if m.message.deleted { "(deleted)".to_owned() } else { m.message.text })
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// What a node told its listeners since its start.
    pub fn notices(&self, name: &str) -> &[Notice] {
        &self.node(name).notices
    }
}
