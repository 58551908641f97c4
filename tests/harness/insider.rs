//! What a member that breaks the rules can make: statements, and envelopes on any branch of a log.
//!
//! Everything in it was read from the member's own home, so it signs and seals what that member
//! could, and nothing else.

use fourword_protocol::command::Kind;
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::epoch::{self, EntitySecret, EpochKey};
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{
    DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
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

/// A member of a group, with all that its device has.
#[derive(Clone, Debug)]
pub struct Insider {
    /// Its device.
    pub device: DeviceSecret,
    /// Its person.
    pub person: PersonId,
    /// The group.
    pub entity: EntityId,
    /// The group's roster as this member knows it.
    pub roster: Roster,
    secret: EntitySecret,
    epoch: (StatementId, EpochKey),
}

impl Insider {
    /// What a node has of the one group that it is in.
    pub fn of(c: &Cluster, name: &str) -> Insider {
        let statements = c.remembered(name).statements;
        let group = |bytes: &[u8]| match Statement::read(bytes).ok()?.body() {
            Body::Genesis(genesis) if genesis.kind == Kind::Group => Statement::read(bytes).ok(),
            _ => None,
        };
        let genesis = statements.iter().find_map(|(_, _, bytes)| group(bytes));
        let genesis = genesis.unwrap_or_else(|| panic!("{name} is in no group"));
        let entity = genesis.entity();
        let mut roster = Roster::new(genesis).unwrap_or_else(|error| panic!("{error}"));
        for (_, _, bytes) in statements.iter().filter(|(of, _, _)| *of == entity) {
            roster.insert(bytes);
        }
        let device = c.secret(name);
        let person = roster.person_of(&device.key()).unwrap_or_else(|| panic!("{name} is not a member"));
        let opened = roster.seals_for(&device.key()).into_iter().find_map(|(id, seal)| {
            let Body::Epoch { commitment, .. } = roster.statement(&id)?.body() else { return None };
            let of_secret = roster.genesis().secret_commitment;
            let (key, secret) = epoch::open(entity, *commitment, of_secret, &seal.sealed, &device)?;
            Some(((id, key), secret))
        });
        let (epoch, secret) = opened.unwrap_or_else(|| panic!("{name} has no key"));
        Insider { device, person, entity, roster, secret, epoch }
    }

    /// The document of a concern.
    pub fn document(&self, concern: &Concern) -> DocumentKey {
        schema::document_key(self.secret.bytes(), concern, 1)
    }

    /// Signs a statement that follows all that this member knows, and knows it from then on.
    pub fn state(&mut self, body: Body) -> (StatementId, Vec<u8>) {
        let statement = self.roster.draft(Signer::Device(&self.device), body);
        let statement = statement.unwrap_or_else(|error| panic!("{error}"));
        let (id, bytes) = (statement.id(), statement.bytes().to_vec());
        self.roster.add(statement);
        (id, bytes)
    }

    /// Begins a log.
    pub fn log(&self, concern: Concern, incarnation: u64) -> Log {
        let document = self.document(&concern);
        let id = LogId { document, device: self.device.key(), incarnation: Incarnation(incarnation) };
        Log { insider: self.clone(), id, concern, content: content(concern, &id), written: Vec::new() }
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
    written: Vec<(Put, Envelope)>,
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
        let actor = Actor { person: self.insider.person, role: Role::Member };
        let new = NewMessage { text: text.to_owned(), parent: None, attachments: Vec::new() };
        // The text draws the message's random part, so that one text is one message on any branch.
        let mut random = [0; 8];
        drawn_from(&[text.as_bytes()]).fill_bytes(&mut random);
        let chat = ChatIndex::default();
        let (_, put) = Chat::new(&self.content, &chat)
            .send(&actor, random, &new, WallTime(5))
            .unwrap_or_else(|error| panic!("{error}"));
        self.put(put)
    }

    /// Writes a value.
    pub fn put(&mut self, put: Put) -> Envelope {
        let edit = self.content.edit(std::slice::from_ref(&put)).unwrap_or_else(|error| panic!("{error}"));
        let head = self.head();
        let header = Header {
            log: self.id,
            sequence: head.sequence + 1,
            previous: head.hash,
            heads: self.insider.roster.heads(),
            epoch: self.insider.epoch.0,
        };
        // No two branches draw one nonce.
        let mut random = drawn_from(&[&put.value, put.key.as_bytes(), &head.hash.0]);
        let key = &self.insider.epoch.1;
        let sealed = Envelope::seal(header, &edit.update, key, &self.insider.device, &mut random);
        let envelope = sealed.unwrap_or_else(|error| panic!("{error}"));
        self.written.push((put, envelope.clone()));
        envelope
    }

    /// Takes in what somebody else wrote, so that what is written next builds on it.
    pub fn take(&mut self, envelope: &Envelope) {
        let update = envelope.open(&self.insider.epoch.1).unwrap_or_else(|error| panic!("{error}"));
        let log = envelope.header.log;
        let expect = self.content.expect(client_id(&log.device, &log.document, log.incarnation));
        let parsed = parse(&update, &expect).unwrap_or_else(|error| panic!("{error}"));
        self.content.apply(&parsed).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Another branch of this log, which is the same up to a position.
    pub fn branch(&self, after: usize) -> Log {
        let mut content = content(self.concern, &self.id);
        let written: Vec<_> = self.written.iter().take(after).cloned().collect();
        for (put, _) in &written {
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
        page(
            self.insider.entity,
            self.written.iter().map(|(_, envelope)| envelope.bytes().to_vec()).collect(),
        )
    }
}

/// A generator that the parts seed.
fn drawn_from(parts: &[&[u8]]) -> ChaCha20Rng {
    let mix = |seed: u64, byte: &u8| (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    ChaCha20Rng::seed_from_u64(parts.iter().copied().flatten().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Packs envelopes of one document into a frame.
pub fn page(entity: EntityId, envelopes: Vec<Vec<u8>>) -> Vec<u8> {
    let first = envelopes.first().and_then(|bytes| Envelope::read(bytes).ok());
    let document = first.map_or(DocumentKey([0; 32]), |envelope| envelope.header.log.document);
    Frame::Envelopes { entity, document, envelopes, more: false }.encode()
}
