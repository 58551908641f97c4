//! What statements say, byte by byte.
//!
//! `statement` wraps these in header and signature. A body is written as its kind, its length and
//! its fields, so a body of a kind not known here can be kept, signed over and passed on. Each
//! value has one encoding: lists that are sets are strictly ascending. Layout: docs/PROTOCOL.md,
//! section 4.

use super::Role;
use crate::bytes::{Malformed, Reader, Writer};
use crate::command::Kind;
use crate::identity::{Certificate, DeviceCard, SignatureBytes};
use crate::ids::{
    DeviceKey, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
    VerifyingKey,
};
use crate::limits::{INVITE_USES_MAX, SEALS_PER_STATEMENT_MAX, STATEMENT_BYTES_MAX, VECTOR_LOGS_MAX};
use crate::time::WallTime;

/// The head of each log as it was held, ascending by log. The hash says which branch was held, so
/// that whoever was ended cannot write its past anew.
pub type Vectors = Vec<(LogId, LogHead)>;

/// Bytes of one sealed key: an encapsulated key of 32 and a ciphertext of 64 with its tag of 16.
pub const SEALED_BYTES_MAX: usize = 112;

/// How an entity begins. Its hash is the entity's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// What the entity is for.
    pub kind: Kind,
    /// Varied by the creator until the stretched id gives four words.
    pub nonce: u64,
    /// When its creator says it was made.
    pub created: WallTime,
    /// Commits to the secret from which document keys are derived.
    pub secret_commitment: [u8; 32],
    /// The entity whose roster this one uses, if it has none of its own.
    pub parent: Option<EntityId>,
    /// The first owner and the device that signs the genesis.
    pub creator: Certificate,
}

/// An epoch key sealed to one device; opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// To which device.
    pub device: DeviceKey,
    /// At most `SEALED_BYTES_MAX`.
    pub sealed: Vec<u8>,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The entity begins.
    Genesis(Genesis),
    /// Somebody is let in. Adding again makes a new membership.
    Add {
        /// Who, and its first device.
        certificate: Certificate,
        /// With which role; not above the author's.
        role: Role,
    },
    /// Ends every membership of a person that does not know of this.
    Remove {
        /// Who.
        person: PersonId,
        /// How far the author held the person's logs.
        vectors: Vectors,
    },
    /// Gives a person another role.
    SetRole {
        /// Who; oneself only to a lower role.
        person: PersonId,
        /// The new role; not above the author's.
        role: Role,
        /// How far the author held the person's logs, should this demote.
        vectors: Vectors,
    },
    /// Makes a device the author's own.
    Certify {
        /// Which device, bound by itself to the person.
        device: DeviceCard,
    },
    /// Ends every certification of a key that does not know of this.
    Revoke {
        /// Whose key.
        person: PersonId,
        /// Which key; may be the root's.
        key: DeviceKey,
        /// How far the author held the key's logs.
        vectors: Vectors,
    },
    /// Lets in whoever has the code.
    OpenInvite {
        /// The public key derived from the code.
        key: VerifyingKey,
        /// With which role.
        role: Role,
        /// Until when, by the clock of who admits.
        expires: WallTime,
        /// How many, from 1 to `limits::INVITE_USES_MAX`, as far as who admits can tell.
        uses: u32,
    },
    /// Ends an invite.
    CloseInvite {
        /// Its `OpenInvite`.
        invite: StatementId,
    },
    /// Lets in somebody who has the code; signed by the member who admits.
    AcceptInvite {
        /// The `OpenInvite`.
        invite: StatementId,
        /// Who, and its first device.
        certificate: Certificate,
        /// By the invite's key, over entity and certificate.
        signature: SignatureBytes,
    },
    /// Ends the author's own membership.
    Leave {
        /// How far the author's own logs reach.
        vectors: Vectors,
    },
    /// Says that the author held more than a removal, demotion or revocation says.
    Held {
        /// The `Remove`, `Leave`, `SetRole` or `Revoke`.
        removal: StatementId,
        /// How far the author held the logs.
        vectors: Vectors,
    },
    /// Opens a new epoch.
    Epoch {
        /// At most one above the greatest the author knew.
        counter: u64,
        /// Commits to the key.
        commitment: [u8; 32],
        /// The key, for each device. At most `limits::SEALS_PER_STATEMENT_MAX`.
        seals: Vec<Seal>,
    },
    /// Gives an epoch's key to more devices.
    SealKey {
        /// The `Epoch`.
        epoch: StatementId,
        /// The key, for each device. At most `limits::SEALS_PER_STATEMENT_MAX`.
        seals: Vec<Seal>,
    },
    /// A kind that this version does not know: kept, signed over, and without effect.
    Unknown {
        /// The kind.
        kind: u8,
        /// Its fields.
        bytes: Vec<u8>,
    },
}

impl Body {
    /// Appends kind, length and fields.
    pub fn write(&self, writer: &mut Writer) {
        let mut fields = Writer::new();
        let kind = self.write_fields(&mut fields);
        writer.u8(kind).bytes(fields.as_slice());
    }

    /// Reads what `write` wrote; checks bounds and order, but no signature.
    pub fn read(reader: &mut Reader<'_>) -> Result<Body, Malformed> {
        let kind = reader.u8()?;
        let bytes = reader.bytes(STATEMENT_BYTES_MAX)?;
        let mut fields = Reader::new(bytes);
        let body = Body::read_fields(kind, &mut fields)?;
        match body {
            Some(body) => fields.finish().map(|()| body),
            None => Ok(Body::Unknown { kind, bytes: bytes.to_vec() }),
        }
    }

    fn write_fields(&self, w: &mut Writer) -> u8 {
        match self {
            Body::Genesis(genesis) => {
                genesis.write(w);
                1
            }
            Body::Add { certificate, role } => {
                certificate.write(w);
                w.u8(role_code(*role));
                2
            }
            Body::Remove { person, vectors } => {
                w.raw(&person.0);
                write_vectors(w, vectors);
                3
            }
            Body::SetRole { person, role, vectors } => {
                w.raw(&person.0).u8(role_code(*role));
                write_vectors(w, vectors);
                4
            }
            Body::Certify { device } => {
                device.write(w);
                5
            }
            Body::Revoke { person, key, vectors } => {
                w.raw(&person.0).raw(&key.0);
                write_vectors(w, vectors);
                6
            }
            Body::OpenInvite { key, role, expires, uses } => {
                w.raw(&key.0).u8(role_code(*role)).u64(expires.0).u32(*uses);
                7
            }
            Body::CloseInvite { invite } => {
                w.raw(&invite.0);
                8
            }
            Body::AcceptInvite { invite, certificate, signature } => {
                w.raw(&invite.0);
                certificate.write(w);
                w.raw(signature);
                9
            }
            Body::Leave { vectors } => {
                write_vectors(w, vectors);
                10
            }
            Body::Held { removal, vectors } => {
                w.raw(&removal.0);
                write_vectors(w, vectors);
                11
            }
            Body::Epoch { counter, commitment, seals } => {
                w.u64(*counter).raw(commitment);
                write_seals(w, seals);
                12
            }
            Body::SealKey { epoch, seals } => {
                w.raw(&epoch.0);
                write_seals(w, seals);
                13
            }
            Body::Unknown { kind, bytes } => {
                w.raw(bytes);
                *kind
            }
        }
    }

    fn read_fields(kind: u8, r: &mut Reader<'_>) -> Result<Option<Body>, Malformed> {
        Ok(Some(match kind {
            1 => Body::Genesis(Genesis::read(r)?),
            2 => Body::Add { certificate: Certificate::read(r)?, role: read_role(r)? },
            3 => Body::Remove { person: PersonId(r.array()?), vectors: read_vectors(r)? },
            4 => {
                Body::SetRole { person: PersonId(r.array()?), role: read_role(r)?, vectors: read_vectors(r)? }
            }
            5 => Body::Certify { device: DeviceCard::read(r)? },
            6 => Body::Revoke {
                person: PersonId(r.array()?),
                key: DeviceKey(r.array()?),
                vectors: read_vectors(r)?,
            },
            7 => Body::OpenInvite {
                key: VerifyingKey(r.array()?),
                role: read_role(r)?,
                expires: WallTime(r.u64()?),
                uses: read_uses(r)?,
            },
            8 => Body::CloseInvite { invite: StatementId(r.array()?) },
            9 => Body::AcceptInvite {
                invite: StatementId(r.array()?),
                certificate: Certificate::read(r)?,
                signature: r.array()?,
            },
            10 => Body::Leave { vectors: read_vectors(r)? },
            11 => Body::Held { removal: StatementId(r.array()?), vectors: read_vectors(r)? },
            12 => Body::Epoch { counter: r.u64()?, commitment: r.array()?, seals: read_seals(r)? },
            13 => Body::SealKey { epoch: StatementId(r.array()?), seals: read_seals(r)? },
            _ => return Ok(None),
        }))
    }
}

impl Genesis {
    fn write(&self, w: &mut Writer) {
        w.u8(kind_code(self.kind)).u64(self.nonce).u64(self.created.0).raw(&self.secret_commitment);
        match self.parent {
            Some(parent) => w.u8(1).raw(&parent.0),
            None => w.u8(0),
        };
        self.creator.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Genesis, Malformed> {
        Ok(Genesis {
            kind: read_kind(r)?,
            nonce: r.u64()?,
            created: WallTime(r.u64()?),
            secret_commitment: r.array()?,
            parent: match r.u8()? {
                0 => None,
                1 => Some(EntityId(r.array()?)),
                _ => return Err(Malformed),
            },
            creator: Certificate::read(r)?,
        })
    }
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Home => 1,
        Kind::Group => 2,
        Kind::Channel => 3,
        Kind::Project => 4,
        Kind::Organization => 5,
    }
}

fn read_kind(r: &mut Reader<'_>) -> Result<Kind, Malformed> {
    match r.u8()? {
        1 => Ok(Kind::Home),
        2 => Ok(Kind::Group),
        3 => Ok(Kind::Channel),
        4 => Ok(Kind::Project),
        5 => Ok(Kind::Organization),
        _ => Err(Malformed),
    }
}

fn role_code(role: Role) -> u8 {
    match role {
        Role::Viewer => 1,
        Role::Member => 2,
        Role::Admin => 3,
        Role::Owner => 4,
    }
}

fn read_role(r: &mut Reader<'_>) -> Result<Role, Malformed> {
    match r.u8()? {
        1 => Ok(Role::Viewer),
        2 => Ok(Role::Member),
        3 => Ok(Role::Admin),
        4 => Ok(Role::Owner),
        _ => Err(Malformed),
    }
}

fn read_uses(r: &mut Reader<'_>) -> Result<u32, Malformed> {
    r.u32().and_then(|uses| if (1..=INVITE_USES_MAX).contains(&uses) { Ok(uses) } else { Err(Malformed) })
}

fn write_vectors(w: &mut Writer, vectors: &[(LogId, LogHead)]) {
    w.list(vectors, |w, (log, head)| {
        w.raw(&log.document.0).raw(&log.device.0).u64(log.incarnation.0);
        w.u64(head.sequence).raw(&head.hash.0);
    });
}

fn read_vectors(r: &mut Reader<'_>) -> Result<Vectors, Malformed> {
    let vectors = r.list(VECTOR_LOGS_MAX, |r| {
        let log = LogId {
            document: DocumentKey(r.array()?),
            device: DeviceKey(r.array()?),
            incarnation: Incarnation(r.u64()?),
        };
        Ok((log, LogHead { sequence: r.u64()?, hash: EnvelopeHash(r.array()?) }))
    })?;
    ascending(&vectors, |(log, _)| log)?;
    Ok(vectors)
}

fn write_seals(w: &mut Writer, seals: &[Seal]) {
    w.list(seals, |w, seal| {
        w.raw(&seal.device.0).bytes(&seal.sealed);
    });
}

fn read_seals(r: &mut Reader<'_>) -> Result<Vec<Seal>, Malformed> {
    let seals = r.list(SEALS_PER_STATEMENT_MAX, |r| {
        Ok(Seal { device: DeviceKey(r.array()?), sealed: r.bytes(SEALED_BYTES_MAX)?.to_vec() })
    })?;
    ascending(&seals, |seal| &seal.device)?;
    Ok(seals)
}

/// Refuses a list that is not strictly ascending by this key.
pub(super) fn ascending<T, K: Ord>(list: &[T], key: impl Fn(&T) -> &K) -> Result<(), Malformed> {
    if list.is_sorted_by(|a, b| key(a) < key(b)) { Ok(()) } else { Err(Malformed) }
}
