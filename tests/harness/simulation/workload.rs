//! What people do: they write and change messages, let each other in and put each other out.
//!
//! Whether somebody may do what is drawn is for the machines to say; the world only notes what
//! could have been given by whom, so that the checkers can tell.

use fourword_protocol::command::{ChatCommand, Command, DeviceCommand, JoinBy, MemberCommand};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::time::WallTime;
use rand::Rng;

use super::schedule::Schedule;
use super::verdict::Violation;
use super::world::{Intent, Saved, What};
use crate::clock::WALL_START_MS;
use crate::draw;

/// Invites last longer than any clock is wrong.
const YEAR_MS: u64 = 365 * 86_400_000;
const GROUPS_MAX: usize = 4;
const NODES_MAX: usize = 12;
const EMOJI: [&str; 3] = ["+1", "ok", "hm"];

impl Schedule {
    /// One step: somebody does something, or something breaks.
    pub(super) fn act(&mut self) -> Result<(), Violation> {
        match self.random.next_u64() % 100 {
            0..=33 if self.world.works && !draw::once_in(&mut self.random, 4) => self.work(),
            0..=33 if self.world.types && !draw::once_in(&mut self.random, 4) => self.type_something(),
            0..=33 => self.write(),
            34..=44 => self.change(),
            45..=53 => self.let_in()?,
            54..=61 => self.govern(),
            62..=65 => self.add_device()?,
            66..=67 => self.found_more()?,
            68..=80 => self.break_something()?,
            81..=90 => {
                self.repair();
                self.raise(false)?;
            }
            _ => self.mend(),
        }
        Ok(())
    }

    // -- choosing -----------------------------------------------------------------------------

    /// Any node.
    pub(super) fn any_node(&mut self) -> Option<String> {
        let names: Vec<&String> = self.world.nodes.keys().collect();
        draw::one_of(&mut self.random, &names).map(|name| (*name).clone())
    }

    /// A node that runs, of an honest person.
    pub(super) fn someone(&mut self) -> Option<(String, usize)> {
        let up = self.world.nodes.iter().filter(|(name, person)| {
            let honest = self.world.people.get(**person).is_some_and(|person| person.honest);
            honest && self.c.is_up(name) && self.c.device(name).is_some()
        });
        let up: Vec<(String, usize)> = up.map(|(name, person)| (name.clone(), *person)).collect();
        draw::one_of(&mut self.random, &up).cloned()
    }

    /// A group, mostly one that this person is thought to be in, children among them.
    pub(super) fn group_for(&mut self, person: usize) -> Option<usize> {
        let groups = self.world.groups.iter().enumerate();
        let within = groups.filter(|(at, _)| {
            let root = self.world.groups.get(self.world.root_of(*at));
            root.is_some_and(|root| root.inside.contains(&person))
        });
        let within: Vec<usize> = within.map(|(at, _)| at).collect();
        if draw::once_in(&mut self.random, 12) {
            let all: Vec<usize> = (0..self.world.groups.len()).collect();
            return draw::one_of(&mut self.random, &all).copied();
        }
        // Most of it happens where all are.
        if within.contains(&0) && !draw::once_in(&mut self.random, 3) {
            return Some(0);
        }
        draw::one_of(&mut self.random, &within).copied()
    }

    /// The same, but a group with a roster of its own.
    fn root_for(&mut self, person: usize) -> Option<usize> {
        self.group_for(person).map(|group| self.world.root_of(group))
    }

    fn any_person(&mut self) -> Option<usize> {
        let all: Vec<usize> = (0..self.world.people.len()).collect();
        draw::one_of(&mut self.random, &all).copied()
    }

    fn role(&mut self) -> Role {
        match self.random.next_u64() % 8 {
            0 => Role::Viewer,
            1..=4 => Role::Member,
            5 => Role::Owner,
            _ => Role::Admin,
        }
    }

    // -- messages -----------------------------------------------------------------------------

    fn write(&mut self) {
        let Some((name, person)) = self.someone() else { return };
        let Some(group) = self.group_for(person) else { return };
        let times = if draw::once_in(&mut self.random, 8) { 5 } else { 1 };
        for _ in 0..times {
            let padding = if draw::once_in(&mut self.random, 12) { 2_000 } else { 0 };
            self.write_in(&name, person, group, padding);
        }
    }

    /// Writes a new message without waiting until it is saved.
    pub(super) fn write_in(&mut self, name: &str, person: usize, group: usize, padding: usize) {
        let Some(words) = self.world.groups.get(group).map(|group| group.words) else { return };
        let text = self.world.new_text(person, group, padding);
        let parent = match draw::once_in(&mut self.random, 5) {
            true => self.saved_in(group, What::Message, None),
            false => None,
        };
        let send = ChatCommand::say(text.clone(), parent);
        self.begin(name, Command::Chat(words, send), Intent::send(group, text));
    }

    /// Something that was made in a group, by anybody or by one person.
    pub(super) fn saved_in(&mut self, group: usize, what: What, by: Option<usize>) -> Option<ThingId> {
        let is_there = |saved: &Saved| saved.group == group && saved.what == what;
        let fitting = self.world.saved.iter().filter(|(_, saved)| is_there(saved));
        let fitting = fitting.filter(|(_, saved)| by.is_none_or(|person| saved.author == person));
        let fitting: Vec<ThingId> = fitting.map(|(id, _)| *id).collect();
        draw::one_of(&mut self.random, &fitting).copied()
    }

    /// Edits, deletes or reacts, mostly to what is one's own.
    fn change(&mut self) {
        let Some((name, person)) = self.someone() else { return };
        let Some(group) = self.group_for(person) else { return };
        let Some(words) = self.world.groups.get(group).map(|group| group.words) else { return };
        let own = (!draw::once_in(&mut self.random, 4)).then_some(person);
        let Some(message) = self.saved_in(group, What::Message, own) else { return };
        let (command, intent) = match self.random.next_u64() % 3 {
            0 => {
                let text = self.world.new_text(person, group, 0);
                (ChatCommand::Edit(message, text), Intent::Edit)
            }
            1 => {
                self.world.doomed.entry(message).or_default().insert(person);
                (ChatCommand::Delete(message), Intent::Delete { thing: message })
            }
            _ => {
                let emoji = draw::one_of(&mut self.random, &EMOJI).copied().unwrap_or("ok").to_owned();
                let on = !draw::once_in(&mut self.random, 3);
                (ChatCommand::React { message, emoji, on }, Intent::Other("reactions"))
            }
        };
        self.begin(&name, Command::Chat(words, command), intent);
    }

    // -- letting in ---------------------------------------------------------------------------

    fn let_in(&mut self) -> Result<(), Violation> {
        let Some((name, person)) = self.someone() else { return Ok(()) };
        match self.random.next_u64() % 8 {
            0 => self.invite(&name, person),
            1..=3 => self.join(&name, person),
            4 => self.ask_in(&name, person),
            5 => {
                // The founder may decide, and is told who asks before.
                let founder = self.world.groups.first().map_or(person, |group| group.founder);
                let of_founder = self.world.people[founder].nodes[0].clone();
                if self.c.is_up(&of_founder) && self.c.device(&of_founder).is_some() {
                    self.approve(&of_founder, founder);
                }
            }
            6 => self.approve(&name, person),
            _ if self.world.nodes.len() < NODES_MAX && draw::once_in(&mut self.random, 3) => {
                let newcomer = format!("new{}", self.world.number());
                self.add_person(&newcomer)?;
                self.join(&newcomer, self.world.people.len() - 1);
            }
            _ => self.close_invite(&name, person),
        }
        Ok(())
    }

    pub(super) fn invite_command(&self, by: &str, group: usize, role: Role) -> Command {
        let entity = self.world.groups[group].words;
        let expires = WallTime(WALL_START_MS + self.c.now() + YEAR_MS);
        let addresses = vec![format!("sim:{by}")];
        Command::Invite { entity, role, uses: 100, expires, addresses }
    }

    fn invite(&mut self, name: &str, person: usize) {
        let Some(group) = self.root_for(person) else { return };
        let role = self.role();
        let command = self.invite_command(name, group, role);
        self.begin(name, command, Intent::Invite { group, role });
    }

    /// Somebody who is outside uses an invite; somebody who is in may try it too.
    fn join(&mut self, name: &str, person: usize) {
        let groups = self.world.groups.iter().enumerate().filter(|(_, group)| group.parent.is_none());
        let outside = groups.filter(|(_, group)| !group.inside.contains(&person));
        let outside: Vec<usize> = outside.map(|(at, _)| at).collect();
        let Some(group) = draw::one_of(&mut self.random, &outside).copied() else { return };
        let Some(words) = self.world.groups.get(group).map(|group| group.words) else { return };
        let codes = &self.world.groups[group].codes;
        let Some((code, role)) = draw::one_of(&mut self.random, codes).cloned() else { return };
        for joining in self.world.acts_as(name).collect::<Vec<_>>() {
            let id = self.world.people[joining].id;
            self.world.give(group, id, role);
        }
        let command = Command::Join { words, by: JoinBy::Code(code), peers: Vec::new() };
        self.begin(name, command, Intent::Join { group });
    }

    /// Somebody asks to be let in by the words alone.
    fn ask_in(&mut self, name: &str, person: usize) {
        let groups = self.world.groups.iter().enumerate().filter(|(_, group)| group.parent.is_none());
        let outside = groups.filter(|(_, group)| !group.inside.contains(&person));
        let outside: Vec<usize> = outside.map(|(at, _)| at).collect();
        let Some(group) = draw::one_of(&mut self.random, &outside).copied() else { return };
        let (words, founder) = (self.world.groups[group].words, self.world.groups[group].founder);
        let by = JoinBy::Words { id: None, note: "let me in".into() };
        let peers = self.world.people[founder].nodes.iter().map(|node| format!("sim:{node}"));
        let command = Command::Join { words, by, peers: peers.collect() };
        self.begin(name, command, Intent::Join { group });
        self.world.done.count("requests to be let in");
    }

    fn look_who_asks(&mut self, name: &str, person: usize) {
        let Some(group) = self.root_for(person) else { return };
        let command = Command::Member(self.world.groups[group].words, MemberCommand::Requests);
        self.begin(name, command, Intent::Requests { group });
    }

    fn approve(&mut self, name: &str, person: usize) {
        let Some(group) = self.root_for(person) else { return };
        let role = self.role();
        let words = self.world.groups[group].words;
        let asking = self.world.groups[group].asking.clone();
        let Some(who) = draw::one_of(&mut self.random, &asking).copied() else {
            return self.look_who_asks(name, person);
        };
        if self.may_give(group, name, role) {
            self.world.give(group, who, role);
        }
        let command = match draw::once_in(&mut self.random, 6) {
            true => MemberCommand::Deny { who: who.to_string() },
            false => MemberCommand::Approve { who: who.to_string(), role },
        };
        self.begin(name, Command::Member(words, command), Intent::Other("requests decided"));
    }

    fn close_invite(&mut self, name: &str, person: usize) {
        let Some(group) = self.root_for(person) else { return };
        // The first one stays, so that there is always a way in.
        let later: Vec<_> = self.world.groups[group].codes.iter().skip(1).cloned().collect();
        let Some((code, _)) = draw::one_of(&mut self.random, &later) else { return };
        let invite = code.key().to_string();
        let command = Command::Member(self.world.groups[group].words, MemberCommand::CloseInvite { invite });
        self.begin(name, command, Intent::Other("invites closed"));
    }

    // -- governing ----------------------------------------------------------------------------

    /// Whether whoever a node acts as may ever have had the right to give this role.
    fn may_give(&self, group: usize, by: &str, role: Role) -> bool {
        let highest = self.world.acts_as(by).filter_map(|person| self.world.highest(group, person)).max();
        highest >= Some(role.max(Role::Admin))
    }

    fn govern(&mut self) {
        let Some((name, person)) = self.someone() else { return };
        let Some(group) = self.root_for(person) else { return };
        let (words, founder) = (self.world.groups[group].words, self.world.groups[group].founder);
        // Most who try have no right to; the founder has, and is asked more often.
        let (name, person) = match draw::once_in(&mut self.random, 2) {
            true => (self.world.people[founder].nodes[0].clone(), founder),
            false => (name, person),
        };
        if !self.c.is_up(&name) || self.c.device(&name).is_none() {
            return;
        }
        let Some(whom) = self.any_person() else { return };
        let who = self.world.people[whom].id.to_string();
        match self.random.next_u64() % 8 {
            0..=1 if whom != person => {
                let remove = Command::Member(words, MemberCommand::Remove { who });
                self.begin(&name, remove, Intent::Remove { group, whom });
            }
            // A device that was told its linking had failed may act as the founder's all the same.
            2 if person != founder && self.world.acts_as(&name).all(|person| person != founder) => {
                self.begin(&name, Command::Leave(words), Intent::Leave { group });
            }
            3 => {
                let called = format!("{name} {}", self.world.number());
                self.begin(&name, Command::SetName(called), Intent::Other("names set"));
            }
            _ if whom != person => {
                let role = self.role();
                let lowers = role < Role::Member;
                if self.may_give(group, &name, role) {
                    let id = self.world.people[whom].id;
                    self.world.give(group, id, role);
                }
                let kind = if lowers { "demotions" } else { "roles set" };
                let set = Command::Member(words, MemberCommand::SetRole { who, role });
                self.begin(&name, set, Intent::Other(kind));
            }
            _ => {}
        }
    }

    // -- devices and groups -------------------------------------------------------------------

    fn add_device(&mut self) -> Result<(), Violation> {
        let Some((name, person)) = self.someone() else { return Ok(()) };
        match self.random.next_u64() % 4 {
            0 => {
                let add = DeviceCommand::Add { addresses: vec![format!("sim:{name}")] };
                self.begin(&name, Command::Device(add), Intent::LinkCode);
            }
            1..=2 if self.world.nodes.len() < NODES_MAX => {
                let Some((code, of)) = self.world.link_codes.pop() else { return Ok(()) };
                let new = format!("dev{}", self.world.number());
                self.add_person(&new)?;
                self.world.linking.insert(new.clone(), of);
                let link = DeviceCommand::Link { code, peers: Vec::new() };
                self.begin(&new, Command::Device(link), Intent::Link { person: of });
            }
            _ => {
                let nodes = &self.world.people[person].nodes;
                let Some(other) = nodes.iter().skip(1).find(|node| **node != name) else { return Ok(()) };
                let Some(device) = self.c.device(other) else { return Ok(()) };
                if draw::once_in(&mut self.random, 2) {
                    let revoke = DeviceCommand::Revoke { device: device.to_string() };
                    self.begin(&name, Command::Device(revoke), Intent::Other("devices revoked"));
                }
            }
        }
        Ok(())
    }

    fn found_more(&mut self) -> Result<(), Violation> {
        let Some((name, person)) = self.someone() else { return Ok(()) };
        if self.world.groups.len() >= GROUPS_MAX {
            return Ok(());
        }
        // Half of all that are made by people who are in a group are children of it.
        let parent = self.root_for(person).filter(|_| draw::once_in(&mut self.random, 2));
        let words = parent.map(|parent| self.world.groups[parent].words);
        let kind = match parent {
            Some(_) => fourword_protocol::command::Kind::Channel,
            None => fourword_protocol::command::Kind::Group,
        };
        let command = Command::Create { kind, name: "more".into(), parent: words };
        self.begin(&name, command, Intent::Create { parent });
        Ok(())
    }
}
