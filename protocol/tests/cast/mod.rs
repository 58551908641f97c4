//! People with real keys who write real statements into replicas of one roster.
//!
//! A replica is cloned to let people act apart, and joined again by exchanging bytes, so each
//! test goes through the same door as a node. All keys come from names: a run repeats exactly.

#![allow(dead_code, reason = "each test file uses a part of the cast")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::collections::BTreeSet;

use fourword_protocol::command::Kind;
use fourword_protocol::identity::{Certificate, DeviceCard, DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::roster::{Body, Genesis, Inserted, Role, Roster, Seal, Signer, Statement, Vectors};
use fourword_protocol::time::WallTime;

fn seed(domain: &str, name: &str) -> [u8; 32] {
    blake3::derive_key(domain, name.as_bytes())
}

pub(crate) fn root(name: &str) -> RootSecret {
    RootSecret::from_seed(&seed("test root", name))
}

pub(crate) fn person(name: &str) -> PersonId {
    PersonCard { root: root(name).public(), nonce: 0 }.id()
}

/// A device; a person's first one has the person's name, another one is `name/what`.
pub(crate) fn device(name: &str) -> DeviceSecret {
    DeviceSecret::from_seeds(&seed("test signing", name), &seed("test sealing", name))
}

pub(crate) fn key(name: &str) -> DeviceKey {
    device(name).key()
}

pub(crate) fn card(name: &str) -> DeviceCard {
    device(name).card(person(name.split('/').next().unwrap()))
}

pub(crate) fn certificate(name: &str) -> Certificate {
    root(name).certify(0, &card(name))
}

/// A log of a device, in one document.
pub(crate) fn log(device: &str) -> LogId {
    LogId { document: DocumentKey([1; 32]), device: key(device), incarnation: Incarnation(1) }
}

pub(crate) fn head(sequence: u64) -> LogHead {
    LogHead { sequence, hash: EnvelopeHash([7; 32]) }
}

pub(crate) fn vectors(device: &str, sequence: u64) -> Vectors {
    vec![(log(device), head(sequence))]
}

pub(crate) fn add(name: &str, role: Role) -> Body {
    Body::Add { certificate: certificate(name), role }
}

pub(crate) fn remove(name: &str) -> Body {
    Body::Remove { person: person(name), vectors: Vec::new() }
}

pub(crate) fn set_role(name: &str, role: Role) -> Body {
    Body::SetRole { person: person(name), role, vectors: Vec::new() }
}

pub(crate) fn certify(device: &str) -> Body {
    Body::Certify { device: card(device) }
}

pub(crate) fn revoke(device: &str) -> Body {
    let owner = person(device.split('/').next().unwrap());
    Body::Revoke { person: owner, key: key(device), vectors: Vec::new() }
}

pub(crate) fn leave() -> Body {
    Body::Leave { vectors: Vec::new() }
}

pub(crate) fn epoch(counter: u64, devices: &[&str]) -> Body {
    Body::Epoch { counter, commitment: [9; 32], seals: seals(devices) }
}

pub(crate) fn seals(devices: &[&str]) -> Vec<Seal> {
    let devices: BTreeSet<DeviceKey> = devices.iter().map(|name| key(name)).collect();
    devices.into_iter().map(|device| Seal { device, sealed: vec![3; 112] }).collect()
}

pub(crate) fn genesis(creator: &str) -> Genesis {
    Genesis {
        kind: Kind::Group,
        nonce: 0,
        created: WallTime(1_700_000_000_000),
        secret_commitment: [4; 32],
        parent: None,
        creator: certificate(creator),
    }
}

pub(crate) fn code(entity: EntityId, byte: u8) -> InviteCode {
    InviteCode { entity, secret: [byte; 16], addresses: Vec::new() }
}

/// One replica of the roster.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) roster: Roster,
}

impl Replica {
    pub(crate) fn founded_by(creator: &str) -> Replica {
        let genesis = genesis(creator).sign(&device(creator)).unwrap();
        Replica { roster: Roster::new(genesis).unwrap() }
    }

    /// A group of the founder and others it added, in this order.
    pub(crate) fn of(creator: &str, others: &[(&str, Role)]) -> Replica {
        let mut replica = Replica::founded_by(creator);
        for (name, role) in others {
            replica.says(creator, add(name, *role));
        }
        replica
    }

    /// Lets a device state something, whether or not it has the right.
    pub(crate) fn says(&mut self, device_name: &str, body: Body) -> StatementId {
        let signer = device(device_name);
        let statement = self.roster.draft(Signer::Device(&signer), body).unwrap();
        self.take(statement)
    }

    /// As `says`, signed with the root key.
    pub(crate) fn root_says(&mut self, name: &str, body: Body) -> StatementId {
        let signer = root(name);
        let statement = self.roster.draft(Signer::Root(&signer), body).unwrap();
        self.take(statement)
    }

    fn take(&mut self, statement: Statement) -> StatementId {
        let id = statement.id();
        assert_eq!(self.roster.insert(statement.bytes()), Inserted::New(vec![id]));
        id
    }

    pub(crate) fn opens_invite(&mut self, opener: &str, byte: u8, role: Role) -> StatementId {
        let key = code(self.roster.entity(), byte).key();
        self.says(opener, Body::OpenInvite { key, role, expires: WallTime(u64::MAX), uses: 10 })
    }

    pub(crate) fn admits(
        &mut self,
        admitter: &str,
        byte: u8,
        invite: StatementId,
        name: &str,
    ) -> StatementId {
        let certificate = certificate(name);
        let code = code(self.roster.entity(), byte);
        let signature = code.sign_acceptance(&certificate);
        self.says(admitter, Body::AcceptInvite { invite, certificate, signature })
    }

    /// Takes what another replica has, and gives nothing.
    pub(crate) fn hears(&mut self, other: &Replica) {
        let known: BTreeSet<StatementId> = self.roster.ids().collect();
        for id in other.roster.missing_from(&known) {
            let inserted = self.roster.insert(other.roster.bytes(&id).unwrap());
            assert_eq!(inserted, Inserted::New(vec![id]));
        }
    }

    /// Joins what several replicas hold.
    pub(crate) fn join(replicas: &[&Replica]) -> Replica {
        let mut joined = replicas[0].clone();
        for other in &replicas[1..] {
            joined.hears(other);
        }
        joined
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.roster.reading().is_member(&person(name))
    }

    pub(crate) fn role(&self, name: &str) -> Option<Role> {
        self.roster.reading().role_of(&person(name))
    }

    pub(crate) fn counts(&self, id: StatementId) -> bool {
        !self.roster.reading().ignored.contains_key(&id) && self.roster.contains(&id)
    }

    /// What the reading says, in a form that compares.
    pub(crate) fn picture(&self) -> String {
        let reading = self.roster.reading();
        let (members, cuts) = (&reading.members, &reading.cuts);
        format!("{members:?}\n{cuts:?}\n{:?}\n{:?}", reading.ignored, reading.epoch)
    }
}
