//! One signed roster statement: its bytes, its name, its signature.
//!
//! Made by `Roster::draft` and [`Genesis::sign`], read by `Roster::insert` before anything else
//! is believed. Invariant: a `Statement` in hand has exactly one encoding, within its bounds, and
//! a valid signature by the key it names; whether that key may speak is not decided here.
//! Layout: docs/PROTOCOL.md, section 4.

use super::body::{Body, Genesis, ascending};
use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{Certificate, DeviceSecret, RootSecret, SignatureBytes, verify};
use crate::ids::{DeviceKey, EntityId, StatementId, VerifyingKey};
use crate::limits::{ROSTER_HEADS_MAX, STATEMENT_BYTES_MAX};

const VERSION: u8 = 1;
const NAME: &str = "fourword v1 statement";
const SIGNATURE: &[u8] = b"fourword v1 statement signature";
const ACCEPTANCE: &[u8] = b"fourword v1 invite acceptance";
const SIGNATURE_BYTES: usize = 64;
const NOTHING: StatementId = StatementId([0; 32]);

/// A checked statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    id: StatementId,
    header: Header,
    body: Body,
    bytes: Vec<u8>,
}

/// Who says it, about what, standing on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Zero in a genesis, whose hash is the entity.
    pub(super) entity: EntityId,
    pub(super) author: DeviceKey,
    pub(super) membership: StatementId,
    pub(super) certification: StatementId,
    /// Strictly ascending.
    pub(super) parents: Vec<StatementId>,
}

/// Why bytes are no statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// More than `limits::STATEMENT_BYTES_MAX`.
    #[error("the statement is too large")]
    TooLarge,
    /// A layout that this version cannot read.
    #[error("the statement's version is not known")]
    Version,
    /// Not in the one layout a statement has.
    #[error("the statement is malformed")]
    Malformed,
    /// The signature is not the author's.
    #[error("the statement's signature is not valid")]
    Signature,
}

impl From<Malformed> for StatementError {
    fn from(_: Malformed) -> StatementError {
        StatementError::Malformed
    }
}

/// Whose key signs.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// A device, as nearly always.
    Device(&'a DeviceSecret),
    /// The root key, brought back by the recovery phrase.
    Root(&'a RootSecret),
}

impl Signer<'_> {
    /// The public half.
    pub fn key(&self) -> DeviceKey {
        match self {
            Signer::Device(secret) => secret.key(),
            Signer::Root(secret) => DeviceKey(secret.public().0),
        }
    }

    fn sign(&self, message: &[u8]) -> SignatureBytes {
        match self {
            Signer::Device(secret) => secret.sign(message),
            Signer::Root(secret) => secret.sign(message),
        }
    }
}

impl Genesis {
    /// The entity that this genesis names: cheap, so that a creator can try many nonces.
    pub fn entity(&self) -> EntityId {
        let unsigned = write_unsigned(&self.header(), &Body::Genesis(self.clone()));
        EntityId(name(&unsigned).0)
    }

    /// Signs the genesis with the creator's first device, the one its certificate names.
    pub fn sign(self, device: &DeviceSecret) -> Result<Statement, StatementError> {
        let header = self.header();
        Statement::sign(header, Body::Genesis(self), Signer::Device(device))
    }

    fn header(&self) -> Header {
        Header {
            entity: EntityId([0; 32]),
            author: self.creator.device.key,
            membership: NOTHING,
            certification: NOTHING,
            parents: Vec::new(),
        }
    }
}

impl Statement {
    /// Signs a statement and reads it back, so that nothing is sent that others would refuse.
    pub(super) fn sign(header: Header, body: Body, signer: Signer<'_>) -> Result<Statement, StatementError> {
        let mut bytes = write_unsigned(&header, &body);
        let signature = signer.sign(&signed(name(&bytes)));
        bytes.extend_from_slice(&signature);
        Statement::read(&bytes)
    }

    /// Reads one statement and checks its signature. `bytes` holds exactly one.
    ///
    /// The certificates it carries and the author's rights are checked by `Roster::insert`.
    pub fn read(bytes: &[u8]) -> Result<Statement, StatementError> {
        let (statement, signature) = Statement::take_apart(bytes)?;
        if !verify(&statement.header.author.0, &signed(statement.id), &signature) {
            return Err(StatementError::Signature);
        }
        Ok(statement)
    }

    /// Reads one statement from this device's own store, which holds only what was checked.
    pub(crate) fn restore(bytes: &[u8]) -> Result<Statement, StatementError> {
        Statement::take_apart(bytes).map(|(statement, _)| statement)
    }

    fn take_apart(bytes: &[u8]) -> Result<(Statement, SignatureBytes), StatementError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::TooLarge);
        }
        if bytes.first().is_some_and(|version| *version != VERSION) {
            return Err(StatementError::Version);
        }
        let unsigned_bytes = bytes.len().checked_sub(SIGNATURE_BYTES).ok_or(Malformed)?;
        let (unsigned, signature) = bytes.split_at_checked(unsigned_bytes).ok_or(Malformed)?;
        let (header, body) = read_unsigned(unsigned)?;
        let id = name(unsigned);
        let signature: SignatureBytes = signature.try_into().map_err(|_| Malformed)?;
        Ok((Statement { id, header, body, bytes: bytes.to_vec() }, signature))
    }

    /// The name that a statement of these bytes has, if they are one: nothing is checked.
    pub fn name_of(bytes: &[u8]) -> Option<StatementId> {
        let unsigned =
            bytes.len().checked_sub(SIGNATURE_BYTES).filter(|_| bytes.len() <= STATEMENT_BYTES_MAX)?;
        bytes.get(..unsigned).map(name)
    }

    /// Its name: the hash of its bytes before the signature.
    pub fn id(&self) -> StatementId {
        self.id
    }

    /// The entity it is about.
    pub fn entity(&self) -> EntityId {
        match self.body {
            Body::Genesis(_) => EntityId(self.id.0),
            _ => self.header.entity,
        }
    }

    /// The key that signed it: a device's, or a person's root key.
    pub fn author(&self) -> DeviceKey {
        self.header.author
    }

    /// The adding statement under which it is signed; its own id for a genesis.
    pub fn membership(&self) -> StatementId {
        self.stands_on(self.header.membership)
    }

    /// The statement that vouches for the author's key; its own id for a genesis.
    pub fn certification(&self) -> StatementId {
        self.stands_on(self.header.certification)
    }

    /// The roster heads its author knew, ascending.
    pub fn parents(&self) -> &[StatementId] {
        &self.header.parents
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The bytes that travel and are kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn stands_on(&self, field: StatementId) -> StatementId {
        if matches!(self.body, Body::Genesis(_)) { self.id } else { field }
    }
}

/// What an invite's key signs to let somebody in.
pub(super) fn acceptance(entity: EntityId, certificate: &Certificate) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(ACCEPTANCE).raw(&entity.0);
    certificate.write(&mut writer);
    writer.into_bytes()
}

/// Whether the invite's key let this person in.
pub(crate) fn is_accepted(
    key: VerifyingKey,
    entity: EntityId,
    certificate: &Certificate,
    signature: &SignatureBytes,
) -> bool {
    verify(&key.0, &acceptance(entity, certificate), signature)
}

fn name(unsigned: &[u8]) -> StatementId {
    StatementId(blake3::derive_key(NAME, unsigned))
}

fn signed(id: StatementId) -> Vec<u8> {
    [SIGNATURE, &id.0].concat()
}

fn write_unsigned(header: &Header, body: &Body) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(VERSION).raw(&header.entity.0).raw(&header.author.0);
    writer.raw(&header.membership.0).raw(&header.certification.0);
    writer.list(&header.parents, |w, parent| {
        w.raw(&parent.0);
    });
    body.write(&mut writer);
    writer.into_bytes()
}

fn read_unsigned(bytes: &[u8]) -> Result<(Header, Body), Malformed> {
    let mut reader = Reader::new(bytes);
    reader.u8()?;
    let header = Header {
        entity: EntityId(reader.array()?),
        author: DeviceKey(reader.array()?),
        membership: StatementId(reader.array()?),
        certification: StatementId(reader.array()?),
        parents: reader.list(ROSTER_HEADS_MAX, |r| r.array().map(StatementId))?,
    };
    ascending(&header.parents, |parent| parent)?;
    let body = Body::read(&mut reader)?;
    reader.finish()?;
    let fits = match &body {
        Body::Genesis(genesis) => header == genesis.header(),
        _ => !header.parents.is_empty(),
    };
    if fits { Ok((header, body)) } else { Err(Malformed) }
}
