//! One who breaks the rules with all that a member's device has: statements, keys, logs by hand.
//!
//! What an [`Insider`] has was read from the member's own home, so it signs and seals what that
//! member could and nothing else; and it keeps what it has when the group removes it. Stories, the
//! simulator and the attacks of tests/hostile all write through it.

use std::collections::BTreeMap;

use fourword_protocol::command::Kind;
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::epoch::{self, EntitySecret, EpochKey};
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::{Body, Role, Roster, Signer, Statement};
use fourword_protocol::schema::chat::{Chat, ChatIndex, NewMessage};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{self, Concern, Put};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::document::Document;
use fourword_protocol::update::parse::parse;
use fourword_protocol::update::{Shape, client_id};
use fourword_protocol::wire::Frame;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::cluster::Cluster;

/// A member of a group, or one who was, with all that its device has.
#[derive(Clone, Debug)]
pub struct Insider {
    /// Its node.
    pub name: String,
    /// Its device.
    pub device: DeviceSecret,
    /// Its person.
    pub person: PersonId,
    /// The group.
    pub entity: EntityId,
    /// The group's roster as this member knows it.
    pub roster: Roster,
    /// The group's secret.
    pub secret: EntitySecret,
    /// Every key that was ever sealed to it, by epoch.
    pub keys: BTreeMap<StatementId, EpochKey>,
    /// The epoch that it writes under, one of its keys.
    pub epoch: StatementId,
    /// What it draws keys from.
    pub random: ChaCha20Rng,
}

impl Insider {
    /// What a node has of the one group that it is in; the node goes on.
    pub fn of(c: &Cluster, name: &str) -> Insider {
        let statements = c.remembered(name).statements;
        let is_group = |bytes: &[u8]| match Statement::read(bytes).as_ref().map(Statement::body) {
            Ok(Body::Genesis(genesis)) => genesis.kind == Kind::Group,
            _ => false,
        };
        let group = statements.iter().find(|(_, _, bytes)| is_group(bytes)).map(|(entity, ..)| *entity);
        let group = group.unwrap_or_else(|| panic!("{name} is in no group"));
        let insider = Insider::with(name, c.secret(name), roster_of(c, name, group));
        insider.unwrap_or_else(|| panic!("{name} is not a member"))
    }

    /// What a node has of the one group that it is in; from now on the test speaks for it.
    pub fn take_over(c: &mut Cluster, name: &str) -> Insider {
        let insider = Insider::of(c, name);
        c.take_over(name);
        insider
    }

    /// What a device opens with a roster. None if it is no member's device or nothing was sealed to it.
    pub fn with(name: &str, device: DeviceSecret, roster: Roster) -> Option<Insider> {
        let person = roster.person_of(&device.key())?;
        let (keys, secret) = keys_of(&roster, &device);
        let current = roster.reading().epoch.filter(|epoch| keys.contains_key(epoch));
        let epoch = current.or_else(|| keys.keys().next().copied())?;
        let random = drawn_from(&[&device.key().0, &roster.entity().0]);
        let (name, entity, secret) = (name.to_owned(), roster.entity(), secret?);
        Some(Insider { name, device, person, entity, roster, secret, keys, epoch, random })
    }

    /// The document of a concern.
    pub fn document(&self, concern: &Concern) -> DocumentKey {
        schema::document_key(self.secret.bytes(), concern, 1)
    }

    /// Signs a statement that follows all that this member knows, and forgets it.
    pub fn sign(&self, body: Body) -> Statement {
        let statement = self.roster.draft(Signer::Device(&self.device), body);
        statement.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Signs a statement that follows all that this member knows, and knows it from then on.
    pub fn state(&mut self, body: Body) -> (StatementId, Vec<u8>) {
        let statement = self.sign(body);
        let (id, bytes) = (statement.id(), statement.bytes().to_vec());
        self.roster.add(statement);
        (id, bytes)
    }

    /// Takes the statements and keys out of what others sent, and writes under the newest epoch
    /// from then on if it has the key. What it had it keeps.
    pub fn hear(&mut self, inbox: &[(DeviceKey, Vec<u8>)]) {
        for (_, bytes) in inbox {
            if let Ok(Frame::Statements { entity, statements }) = Frame::decode(bytes)
                && entity == self.entity
            {
                statements.iter().for_each(|bytes| drop(self.roster.insert(bytes)));
            }
        }
        self.keys.extend(keys_of(&self.roster, &self.device).0);
        let current = self.roster.reading().epoch.filter(|epoch| self.keys.contains_key(epoch));
        self.epoch = current.unwrap_or(self.epoch);
    }

    /// Seals content under a header, whatever that says, as long as it names a log of its own
    /// device. Where it has no key for the epoch, it takes the one it writes under.
    pub fn seal(&self, header: Header, content: &[u8]) -> Envelope {
        let key = self.keys.get(&header.epoch).or_else(|| self.keys.get(&self.epoch));
        let key = key.unwrap_or_else(|| panic!("{} has no key", self.name));
        // No two branches draw one nonce.
        let mut random = drawn_from(&[content, &header.previous.0, &header.sequence.to_be_bytes()]);
        let sealed = Envelope::seal(header, content, key, &self.device, &mut random);
        sealed.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Begins a log.
    pub fn log(&self, concern: Concern, incarnation: u64) -> Log {
        self.log_in(concern, 1, incarnation)
    }

    /// Begins a log in a segment of a series.
    pub fn log_in(&self, concern: Concern, segment: u32, incarnation: u64) -> Log {
        let document = schema::document_key(self.secret.bytes(), &concern, segment);
        let id = LogId { document, device: self.device.key(), incarnation: Incarnation(incarnation) };
        Log { insider: self.clone(), id, concern, content: content(concern, &id), written: Vec::new() }
    }

    /// Sends a frame to a node that it is connected to.
    pub fn send(&self, c: &mut Cluster, to: &str, frame: &Frame) {
        assert!(c.inject(&self.name, to, frame.encode()), "{} is connected to {to}", self.name);
    }

    /// Sends statements of the group to a node.
    pub fn send_statements(&self, c: &mut Cluster, to: &str, statements: Vec<Vec<u8>>) {
        self.send(c, to, &Frame::Statements { entity: self.entity, statements });
    }

    /// Shows a node that this one holds the group's secret.
    pub fn greet(&self, c: &mut Cluster, to: &str) {
        let device = c.device(to).unwrap_or_else(|| panic!("{to} does not listen"));
        let hello = Frame::Hello(vec![self.secret.greeting(self.device.key(), device)]);
        self.send(c, to, &hello);
    }
}

/// A log that is written by hand, and the branch of it that is gone on with.
#[derive(Debug)]
pub struct Log {
    /// Which log.
    pub id: LogId,
    insider: Insider,
    concern: Concern,
    content: Document,
    /// What was written, with the value where it was one.
    written: Vec<(Option<Put>, Envelope)>,
}

fn content(concern: Concern, log: &LogId) -> Document {
    let mut content = Document::new(&log.document.to_string(), schema::roots(&concern), Shape::Maps);
    let begun = content.begin_log(client_id(&log.device, &log.document, log.incarnation));
    begun.unwrap_or_else(|error| panic!("{error}"));
    content
}

impl Log {
    /// Writes a message.
    pub fn say(&mut self, text: &str) -> Envelope {
        let message = self.message(self.insider.person, text);
        self.put(message)
    }

    /// A message in somebody's name, its own or another's, not yet written.
    pub fn message(&self, person: PersonId, text: &str) -> Put {
        let actor = Actor { person, role: Role::Member };
        let new = NewMessage { text: text.to_owned(), parent: None, attachments: Vec::new() };
        // The text draws the message's random part, so that one text is one message on any branch.
        let mut random = [0; 8];
        drawn_from(&[text.as_bytes()]).fill_bytes(&mut random);
        let index = ChatIndex::default();
        let sent = Chat::new(&self.content, &index).send(&actor, random, &new, WallTime(5));
        sent.unwrap_or_else(|error| panic!("{error}")).1
    }

    /// Writes a value.
    pub fn put(&mut self, put: Put) -> Envelope {
        let update = self.update(&put);
        let envelope = self.insider.seal(self.header(), &update);
        self.written.push((Some(put), envelope.clone()));
        envelope
    }

    /// The update that writes a value in the place that comes next in this log.
    pub fn update(&mut self, put: &Put) -> Vec<u8> {
        let edit = self.content.edit(std::slice::from_ref(put));
        edit.unwrap_or_else(|error| panic!("{error}")).update
    }

    /// Writes bytes that may be anything. No value that is written later builds on them.
    pub fn write(&mut self, content: &[u8]) -> Envelope {
        let envelope = self.insider.seal(self.header(), content);
        self.written.push((None, envelope.clone()));
        envelope
    }

    /// The header of what is written next.
    pub fn header(&self) -> Header {
        let head = self.head();
        Header {
            log: self.id,
            sequence: head.sequence + 1,
            previous: head.hash,
            heads: self.insider.roster.heads(),
            epoch: self.insider.epoch,
        }
    }

    /// Takes in what somebody else wrote, so that what is written next builds on it.
    pub fn take(&mut self, envelope: &Envelope) {
        let key = self.insider.keys.get(&envelope.header.epoch);
        let key = key.unwrap_or_else(|| panic!("{} has no key for it", self.insider.name));
        let update = envelope.open(key).unwrap_or_else(|error| panic!("{error}"));
        let log = envelope.header.log;
        let expect = self.content.expect(client_id(&log.device, &log.document, log.incarnation));
        let parsed = parse(&update, &expect).unwrap_or_else(|error| panic!("{error}"));
        self.content.apply(&parsed).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Another branch of this log, which is the same up to a position.
    pub fn branch(&self, after: usize) -> Log {
        let mut content = content(self.concern, &self.id);
        let written: Vec<_> = self.written.iter().take(after).cloned().collect();
        for put in written.iter().filter_map(|(put, _)| put.as_ref()) {
            content.edit(std::slice::from_ref(put)).unwrap_or_else(|error| panic!("{error}"));
        }
        Log { id: self.id, insider: self.insider.clone(), concern: self.concern, content, written }
    }

    /// Goes on knowing what a member knows by now.
    pub fn know(&mut self, insider: &Insider) {
        self.insider.roster = insider.roster.clone();
    }

    /// Where this branch ends.
    pub fn head(&self) -> LogHead {
        let none = LogHead { sequence: 0, hash: EnvelopeHash([0; 32]) };
        self.written.last().map_or(none, |(_, envelope)| envelope.head())
    }

    /// All envelopes of this branch, as one page.
    pub fn page(&self) -> Vec<u8> {
        let envelopes: Vec<Envelope> = self.written.iter().map(|(_, envelope)| envelope.clone()).collect();
        frame(self.insider.entity, &envelopes).encode()
    }
}

/// A generator that the parts seed.
fn drawn_from(parts: &[&[u8]]) -> ChaCha20Rng {
    let mix = |seed: u64, byte: &u8| (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    ChaCha20Rng::seed_from_u64(parts.iter().copied().flatten().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Packs envelopes of one document into a frame.
pub fn frame(entity: EntityId, envelopes: &[Envelope]) -> Frame {
    let document = envelopes.first().map_or(DocumentKey([0; 32]), |first| first.header.log.document);
    let envelopes = envelopes.iter().map(|envelope| envelope.bytes().to_vec()).collect();
    Frame::Envelopes { entity, document, envelopes, more: false }
}

/// Packs bytes of which the first are an envelope into a frame, whatever the others are.
pub fn page(entity: EntityId, envelopes: Vec<Vec<u8>>) -> Vec<u8> {
    let first = envelopes.first().and_then(|bytes| Envelope::read(bytes).ok());
    let document = first.map_or(DocumentKey([0; 32]), |envelope| envelope.header.log.document);
    Frame::Envelopes { entity, document, envelopes, more: false }.encode()
}

/// An envelope with another device in its header, whose signature it does not have.
pub fn in_the_name_of(device: &DeviceKey, envelope: &Envelope) -> Vec<u8> {
    let mut bytes = envelope.bytes().to_vec();
    // Behind version and document.
    bytes.splice(33..65, device.0);
    bytes
}

/// Reads a roster from statements in any order. None if the first of them all is not there.
pub fn roster_from<'a>(statements: impl IntoIterator<Item = &'a Vec<u8>> + Clone) -> Option<Roster> {
    let read = statements.clone().into_iter().filter_map(|bytes| Statement::read(bytes).ok());
    let genesis = read.into_iter().find(|statement| matches!(statement.body(), Body::Genesis(_)))?;
    let mut roster = Roster::new(genesis).ok()?;
    statements.into_iter().for_each(|bytes| drop(roster.insert(bytes)));
    Some(roster)
}

/// The roster of an entity as a node's home has it.
pub fn roster_of(c: &Cluster, at: &str, entity: EntityId) -> Roster {
    let remembered = c.remembered(at).statements;
    let statements = remembered.iter().filter(|(id, ..)| *id == entity).map(|(_, _, bytes)| bytes);
    roster_from(statements).unwrap_or_else(|| panic!("{at} knows no such entity"))
}

/// Every key of a roster that a device's secrets open, and the entity's secret.
pub fn keys_of(
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
pub fn envelopes(c: &Cluster, at: &str, entity: EntityId) -> Vec<Envelope> {
    let heads = c.remembered(at).heads.into_iter().filter(|(id, ..)| *id == entity);
    let bytes = heads.flat_map(|(_, log, _)| c.stored_log(at, log));
    bytes.map(|bytes| Envelope::read(&bytes).unwrap_or_else(|error| panic!("{error:?}"))).collect()
}
