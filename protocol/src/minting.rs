//! Makes identities and entities: tries nonces until the stretched id gives four words.
//!
//! About sixteen trials of a fifth of a second, reported as they go. A person's nonces are tried
//! from zero upwards, so that the recovery phrase alone gives the same person again.

use rand::Rng;

use crate::command::{AboutView, CommandId, EntityView, Kind, Notice, Outcome, Progress, RefusalCode, Reply};
use crate::entity::Entity;
use crate::epoch::{self, EntitySecret, EpochKey};
use crate::event::StretchId;
use crate::identity::{Certificate, DeviceSecret, PersonCard, RootSecret};
use crate::ids::EntityId;
use crate::me::Me;
use crate::outbox::{After, refusal};
use crate::record::Record;
use crate::replicator::Replicator;
use crate::roster::{Body, Genesis, Roster, Seal, Signer, Statement};
use crate::schema::core::Settings;
use crate::words::{FourWords, StretchInput};

/// Something being made, and the trial under way.
#[derive(Debug)]
pub(crate) struct Minting {
    trial: StretchId,
    tried: u32,
    nonce: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Identity(RootSecret),
    Person { command: CommandId, root: RootSecret },
    Entity { command: CommandId, genesis: Box<Genesis>, secret: EntitySecret, name: String },
}

impl Replicator {
    /// Begins to make this node's identity: the first run.
    pub(crate) fn mint_identity(&mut self) {
        let root = RootSecret::generate(&mut self.random);
        self.try_nonce(What::Identity(root), 0, 0);
    }

    /// Begins to find the nonce of a person whose root key came back.
    pub(crate) fn mint_again(&mut self, command: CommandId, root: RootSecret) {
        self.try_nonce(What::Person { command, root }, 0, 0);
    }

    /// Begins to make an entity.
    ///
    /// One with a parent has its secret from it, and commits to none of its own.
    pub(crate) fn create(&mut self, command: CommandId, kind: Kind, name: String, parent: Option<EntityId>) {
        let Some(me) = &self.me else { return };
        let secret = EntitySecret::generate(&mut self.random);
        let genesis = Genesis {
            kind,
            nonce: 0,
            created: self.now.wall,
            secret_commitment: if parent.is_some() { [0; 32] } else { secret.commitment() },
            parent,
            creator: me.certificate.clone(),
        };
        let first = self.random.next_u64();
        self.try_nonce(What::Entity { command, genesis: Box::new(genesis), secret, name }, first, 0);
    }

    fn try_nonce(&mut self, mut what: What, nonce: u64, tried: u32) {
        let id = match &mut what {
            What::Identity(root) | What::Person { root, .. } => {
                PersonCard { root: root.public(), nonce }.id().0
            }
            What::Entity { genesis, .. } => {
                genesis.nonce = nonce;
                genesis.entity().0
            }
        };
        let trial = self.out.stretch(StretchInput::Name(self.names.naming(), id));
        self.minting.push(Minting { trial, tried, nonce, what });
    }

    /// Takes a trial that was made here. False if it was made elsewhere.
    pub(crate) fn minted(&mut self, trial: StretchId, bytes: &[u8; 32]) -> bool {
        let Some(at) = self.minting.iter().position(|m| m.trial == trial) else { return false };
        let Minting { tried, nonce, what, .. } = self.minting.swap_remove(at);
        let tried = tried.saturating_add(1);
        self.report(&what, tried);
        match (FourWords::from_stretch(self.names.naming(), bytes), what) {
            (None, what) => self.try_nonce(what, nonce.wrapping_add(1), tried),
            (Some(words), What::Identity(root)) => self.found_identity(root, nonce, words),
            (Some(words), What::Person { command, root }) => self.recovered(command, root, nonce, words),
            (Some(words), What::Entity { command, genesis, secret, name }) => {
                self.found_entity(command, *genesis, &secret, words, name);
            }
        }
        true
    }

    fn report(&mut self, what: &What, done: u32) {
        let expected = 1 << self.names.naming().difficulty_bits();
        match what {
            What::Identity(_) => {
                let progress = Progress { what: "making your four words".into(), done, expected };
                self.out.notify(Notice::Minting(progress));
            }
            What::Person { command, .. } => {
                let progress = Progress { what: "finding your four words".into(), done, expected };
                self.out.push(crate::effect::Effect::Report(*command, progress));
            }
            What::Entity { command, .. } => {
                let progress = Progress { what: "making four words".into(), done, expected };
                self.out.push(crate::effect::Effect::Report(*command, progress));
            }
        }
    }

    fn found_identity(&mut self, root: RootSecret, nonce: u64, words: FourWords) {
        let device = DeviceSecret::generate(&mut self.random);
        let person = PersonCard { root: root.public(), nonce }.id();
        let certificate = root.certify(nonce, &device.card(person));
        let (genesis, secret) = self.draft_home(certificate.clone());
        let home = genesis.entity();
        let me = Me { device, certificate, root: Some(root), home, name: String::new() };
        let mut records = vec![me.record(), self.names.learn(person.0, Some(words))];
        self.me = Some(me);
        records.extend(self.establish(genesis, &secret));
        self.out.write(records, vec![After::Ready]);
    }

    /// A home that is not founded yet, of the device that this certificate names.
    pub(crate) fn draft_home(&mut self, creator: Certificate) -> (Genesis, EntitySecret) {
        let secret = EntitySecret::generate(&mut self.random);
        let genesis = Genesis {
            kind: Kind::Home,
            nonce: self.random.next_u64(),
            created: self.now.wall,
            secret_commitment: secret.commitment(),
            parent: None,
            creator,
        };
        (genesis, secret)
    }

    fn found_entity(
        &mut self,
        command: CommandId,
        genesis: Genesis,
        secret: &EntitySecret,
        words: FourWords,
        name: String,
    ) {
        if genesis.parent.is_some() {
            return self.found_child(command, genesis, words, &name);
        }
        let (id, kind) = (genesis.entity(), genesis.kind);
        let mut records = self.establish(genesis, secret);
        if records.is_empty() {
            let refused =
                refusal(RefusalCode::Internal, "the group could not be founded", "please report this");
            return self.out.refuse(command, refused);
        }
        records.push(self.names.learn(id.0, Some(words)));
        self.out.write(records, Vec::new());
        self.tend(id);
        self.enter(id);
        let role = self.me.as_ref().and_then(|me| self.entities.get(&id)?.member(me.key())).map(|a| a.role);
        let view = EntityView {
            words,
            id,
            kind,
            name: name.clone(),
            parent: None,
            role,
            members: 1,
            about: AboutView::default(),
            settings: Settings::default(),
        };
        self.name_entity(id, &name, Some((command, Outcome::Done(Reply::Entity(view)))));
    }

    /// Founds an entity with its first epoch; gives the records to keep, none if it cannot be.
    pub(crate) fn establish(&mut self, genesis: Genesis, secret: &EntitySecret) -> Vec<Record> {
        let Some(me) = &self.me else { return Vec::new() };
        let (id, kind) = (genesis.entity(), genesis.kind);
        let key = EpochKey::generate(&mut self.random);
        let sealed = epoch::seal(id, &key, secret, me.certificate.device.sealing, &mut self.random);
        let Ok(genesis) = genesis.sign(&me.device) else { return Vec::new() };
        let mut statements = vec![genesis.bytes().to_vec()];
        let (Ok(mut roster), Some(sealed)) = (Roster::new(genesis), sealed) else { return Vec::new() };
        let seals = vec![Seal { device: me.key(), sealed }];
        let body = Body::Epoch { counter: 1, commitment: key.commitment(), seals };
        let Ok(first) = roster.draft(Signer::Device(&me.device), body) else { return Vec::new() };
        statements.push(first.bytes().to_vec());
        roster.add(first);
        let mut entity = Entity::new(id, kind, roster);
        entity.open_seals(&me.device);
        self.entities.insert(id, entity);
        statement_records(id, &statements)
    }
}

/// Statements as records.
fn statement_records(entity: EntityId, statements: &[Vec<u8>]) -> Vec<Record> {
    let read = statements.iter().filter_map(|bytes| Some((Statement::read(bytes).ok()?.id(), bytes.clone())));
    read.map(|(id, bytes)| Record::Statement { entity, id, bytes }).collect()
}
