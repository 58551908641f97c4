//! What somebody has who turns against its group: its device's secrets, the roster as it knows it,
//! every key that was ever sealed to it. It signs and seals whatever it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story that goes wrong shall stop"
)]

use std::collections::BTreeMap;

use fourword_protocol::command::{Command, MemberCommand, Outcome, Refusal, Reply};
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::epoch::{self, EntitySecret, EpochKey};
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{
    DeviceKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::{Body, Role, Roster, Signer, Statement};
use fourword_protocol::schema::chat::{Chat, ChatIndex, NewMessage};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{self, Concern};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::document::Document;
use fourword_protocol::update::{Shape, client_id};
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

// -- asking as people do ----------------------------------------------------------------------

/// A person's four words.
pub(crate) fn words_of(c: &mut Cluster, name: &str) -> String {
    match c.must(name, Command::Status) {
        Reply::Status(status) => status.identity.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A group's full id.
pub(crate) fn id_of(c: &mut Cluster, at: &str, group: FourWords) -> EntityId {
    match c.must(at, Command::Show(group)) {
        Reply::Entity(view) => view.id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn remove(c: &mut Cluster, by: &str, group: FourWords, whom: &str) {
    let who = words_of(c, whom);
    c.must(by, Command::Member(group, MemberCommand::Remove { who }));
}

pub(crate) fn set_role(c: &mut Cluster, by: &str, group: FourWords, whom: &str, role: Role) {
    let who = words_of(c, whom);
    c.must(by, Command::Member(group, MemberCommand::SetRole { who, role }));
}

/// Asks for something about somebody whose node is taken over and cannot be asked for its words.
pub(crate) fn act_on(c: &mut Cluster, by: &str, group: FourWords, outcast: &Outcast, role: Option<Role>) {
    let who = outcast.person.to_string();
    let command = match role {
        Some(role) => MemberCommand::SetRole { who, role },
        None => MemberCommand::Remove { who },
    };
    c.must(by, Command::Member(group, command));
}

/// What a node says that refuses.
pub(crate) fn refused(c: &mut Cluster, name: &str, command: Command) -> Refusal {
    match c.ask(name, command) {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(reply) => panic!("{name} did it: {reply:?}"),
    }
}

/// Who is in, by name of the node, as one node shows it.
pub(crate) fn members(c: &mut Cluster, at: &str, group: FourWords, nodes: &[&str]) -> BTreeMap<String, Role> {
    let names: BTreeMap<String, &str> = nodes.iter().map(|name| (words_of(c, name), *name)).collect();
    let Reply::Members(members) = c.must(at, Command::Members(group)) else { panic!("members") };
    let named = members.into_iter().map(|member| {
        let words = member.person.words.expect("settled names").to_string();
        (names.get(&words).map_or(words.clone(), |name| (*name).to_owned()), member.role)
    });
    named.collect()
}

// -- having what an attacker has --------------------------------------------------------------

/// Somebody who was in, or still is.
pub(crate) struct Outcast {
    pub(crate) name: String,
    pub(crate) device: DeviceSecret,
    pub(crate) entity: EntityId,
    pub(crate) roster: Roster,
    pub(crate) person: PersonId,
    pub(crate) secret: EntitySecret,
    pub(crate) keys: BTreeMap<StatementId, EpochKey>,
    pub(crate) random: ChaCha20Rng,
}

/// The roster of an entity as a node's home has it.
pub(crate) fn roster_of(c: &Cluster, at: &str, entity: EntityId) -> Roster {
    let statements = c.remembered(at).statements.into_iter().filter(|(id, ..)| *id == entity);
    let statements: Vec<Vec<u8>> = statements.map(|(_, _, bytes)| bytes).collect();
    let read = |bytes: &Vec<u8>| Statement::read(bytes).ok();
    let genesis = statements.iter().filter_map(read).find(|s| matches!(s.body(), Body::Genesis(_)));
    let mut roster = Roster::new(genesis.unwrap()).unwrap();
    for bytes in &statements {
        roster.insert(bytes);
    }
    roster
}

/// Every key of a roster that a device's secrets open, and the entity's secret.
pub(crate) fn keys_of(
    roster: &Roster,
    device: &DeviceSecret,
) -> (BTreeMap<StatementId, EpochKey>, Option<EntitySecret>) {
    let (mut keys, mut secret) = (BTreeMap::new(), None);
    for (id, seal) in roster.seals_for(&device.key()) {
        let Some(Body::Epoch { commitment, .. }) = roster.statement(&id).map(Statement::body) else {
            continue;
        };
        let of = roster.genesis().secret_commitment;
        if let Some((key, opened)) = epoch::open(roster.entity(), *commitment, of, &seal.sealed, device) {
            keys.insert(id, key);
            secret = Some(opened);
        }
    }
    (keys, secret)
}

/// All envelopes of an entity in a node's store, by log and in order.
pub(crate) fn envelopes(c: &Cluster, at: &str, entity: EntityId) -> Vec<Envelope> {
    let heads = c.remembered(at).heads.into_iter().filter(|(id, ..)| *id == entity);
    let bytes = heads.flat_map(|(_, log, _)| c.stored_log(at, log));
    bytes.map(|bytes| Envelope::read(&bytes).unwrap()).collect()
}

impl Outcast {
    /// Takes a node over with all that its home has.
    pub(crate) fn take_over(c: &mut Cluster, name: &str, entity: EntityId) -> Outcast {
        let outcast = Outcast::of(c, name, entity);
        c.take_over(name);
        outcast
    }

    /// What a node's home has; the node goes on.
    pub(crate) fn of(c: &Cluster, name: &str, entity: EntityId) -> Outcast {
        let (device, roster) = (c.secret(name), roster_of(c, name, entity));
        let (keys, secret) = keys_of(&roster, &device);
        let person = roster.person_of(&device.key()).unwrap();
        Outcast {
            name: name.to_owned(),
            device,
            entity,
            roster,
            person,
            secret: secret.unwrap(),
            keys,
            random: ChaCha20Rng::seed_from_u64(0xbad),
        }
    }

    /// Signs a statement over the roster as this one knows it, adds it there and gives its bytes.
    pub(crate) fn say(&mut self, body: Body) -> Vec<u8> {
        let statement = self.roster.draft(Signer::Device(&self.device), body).unwrap();
        let bytes = statement.bytes().to_vec();
        self.roster.add(statement);
        bytes
    }

    /// Sends a frame to a node.
    pub(crate) fn send(&self, c: &mut Cluster, to: &str, frame: &Frame) {
        assert!(c.inject(&self.name, to, frame.encode()), "{} is connected to {to}", self.name);
    }

    /// Shows a node that this one holds the group's secret.
    pub(crate) fn greet(&self, c: &mut Cluster, to: &str) {
        let device: DeviceKey = c.device(to).unwrap();
        let hello = Frame::Hello(vec![self.secret.greeting(self.device.key(), device)]);
        self.send(c, to, &hello);
    }

    pub(crate) fn send_statements(&self, c: &mut Cluster, to: &str, statements: Vec<Vec<u8>>) {
        self.send(c, to, &Frame::Statements { entity: self.entity, statements });
    }

    /// A chat message sealed under one of the keys, naming these heads, behind this head of a log.
    pub(crate) fn message(
        &mut self,
        (log, head): (LogId, LogHead),
        epoch: StatementId,
        heads: Vec<StatementId>,
        text: &str,
    ) -> Envelope {
        let mut document =
            Document::new(&log.document.to_string(), schema::roots(&Concern::Chat), Shape::Maps);
        document.begin_log(client_id(&log.device, &log.document, log.incarnation)).unwrap();
        let actor = Actor { person: self.person, role: Role::Member };
        let new = NewMessage { text: text.to_owned(), parent: None, attachments: Vec::new() };
        let index = ChatIndex::default();
        let (_, put) = Chat::new(&document, &index).send(&actor, [9; 8], &new, WallTime(5)).unwrap();
        let content = document.edit(&[put]).unwrap().update;
        let header = Header { log, sequence: head.sequence + 1, previous: head.hash, heads, epoch };
        Envelope::seal(header, &content, &self.keys[&epoch], &self.device, &mut self.random).unwrap()
    }

    /// The place of the first envelope in a new log of the chat.
    pub(crate) fn new_log(&self, incarnation: u64) -> (LogId, LogHead) {
        let document = schema::document_key(self.secret.bytes(), &Concern::Chat, 1);
        let log = LogId { document, device: self.device.key(), incarnation: Incarnation(incarnation) };
        (log, LogHead { sequence: 0, hash: EnvelopeHash([0; 32]) })
    }
}
