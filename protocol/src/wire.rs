//! The frames of the sync stream: bytes to message and back, bounded before anything is allocated.
//!
//! Frames are not signed: the connection proves who sends them, and what they carry is signed
//! itself. The only module that names bincode, so that the codec stays replaceable.
//! Format: docs/PROTOCOL.md, section 6.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

use crate::epoch::Greeting;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, Incarnation, LogHead, StatementId};
use crate::limits::FRAME_BYTES_MAX;

// Counted in decoded bytes, of which a hostile frame may hold more than it has encoded ones.
const DECODED_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODED_BYTES_MAX>> =
    config::standard().with_limit::<DECODED_BYTES_MAX>();

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Frame {
    /// The first frame each way, and again when the sender's entities change: one greeting for
    /// each entity the sender is in. At most `limits::GREETING_ENTITIES_MAX`.
    Hello(Vec<Greeting>),
    /// How the sender stands with a shared entity; sent after greeting and whenever it changed.
    State {
        /// The upper half is drawn for the connection, the lower counts: of two of one connection
        /// the greater was said later, whichever comes first.
        number: u64,
        /// How it stands.
        state: State,
    },
    /// All statements the sender has of a roster whose digest differs, or one frame of them.
    /// The receiver answers with `Statements` that are not among them. At most
    /// `limits::FRAME_STATEMENT_IDS_MAX`; `last` ends the list.
    Have {
        /// Whose roster.
        entity: EntityId,
        /// In any order; each in one frame.
        ids: Vec<StatementId>,
        /// No more follow.
        last: bool,
    },
    /// Statements, parents first.
    Statements {
        /// Whose roster.
        entity: EntityId,
        /// As they are signed.
        statements: Vec<Vec<u8>>,
    },
    /// The sender's state vector of one document, or one frame of it. The receiver streams what
    /// lies beyond it once the last frame has come.
    Vector(Vector),
    /// Envelopes of one document that the receiver lacks.
    Envelopes {
        /// Whose document.
        entity: EntityId,
        /// Which document.
        document: DocumentKey,
        /// In the order of their logs.
        envelopes: Vec<Vec<u8>>,
        /// More pages wait for a `Next`.
        more: bool,
    },
    /// The receiver has taken the page and asks for the one after it.
    Next {
        /// Whose document.
        entity: EntityId,
        /// Which document.
        document: DocumentKey,
    },
    /// A joiner knocks at a device that may be a member.
    Knock(Knock),
    /// The answer to a knock that was not let in, with a reason for people.
    Turned {
        /// Where it knocked.
        entity: EntityId,
        /// Why.
        why: Turned,
    },
    /// Asks which entity has these four words: names their lookup key.
    Seek(Digest),
    /// Answers `Seek`: the genesis of each entity of these words that the sender is in, as signed.
    /// At most `limits::NAME_CANDIDATES_MAX`; none where it is in none.
    Found {
        /// The key that was asked for.
        lookup: Digest,
        /// Genesis statements; after one that names a parent comes that of the parent.
        genesis: Vec<Vec<u8>>,
    },
    /// Between members: who asks to be let in, and who was turned away.
    Requests {
        /// Where to.
        entity: EntityId,
        /// Signed requests.
        requests: Vec<Vec<u8>>,
        /// Signed denials.
        denials: Vec<Vec<u8>>,
    },
    /// A member's device lacks the keys of these epochs, or its seals do not open. Whoever has
    /// them seals them anew. At most `limits::LACKING_EPOCHS_MAX`.
    Lacking {
        /// Whose epochs.
        entity: EntityId,
        /// Which.
        epochs: Vec<StatementId>,
    },
    /// A new device shows a link code's proof to the device that made the code.
    Link {
        /// The person's home.
        home: EntityId,
        /// The new device's card, bound to the person, as `identity::DeviceCard::write` has it.
        card: Vec<u8>,
        /// By the key derived from the code, over home and card.
        signature: Vec<u8>,
    },
    /// Answers `Link`: the new device's certificate; its home and groups are knocked at next.
    Linked {
        /// The person's home.
        home: EntityId,
        /// As `identity::Certificate::write` has it; empty if the code is not open there.
        certificate: Vec<u8>,
    },
    /// What peers between whom nothing happens compare now and then: a digest of all that they told
    /// each other.
    Quiet(Quiet),
    /// Who holds how much of a document for good: acknowledgements that the receiver lacks.
    Acks {
        /// Whose document.
        entity: EntityId,
        /// Which document.
        document: DocumentKey,
        /// Something waits for acknowledgements at the sender, which wants those it lacks.
        waits: bool,
        /// As they are signed, of several devices; at most `limits::FRAME_ACKS_MAX`.
        acks: Vec<Vec<u8>>,
    },
    /// What devices found a document to be where its logs were read so far.
    Checkpoint {
        /// Whose document.
        entity: EntityId,
        /// Which document.
        document: DocumentKey,
        /// As written by `Checkpoint::encode`.
        checkpoint: Vec<u8>,
        /// Who signed it, each 64 bytes; at most `limits::CHECKPOINT_SIGNATURES_MAX`.
        signatures: Vec<(DeviceKey, Vec<u8>)>,
    },
    /// A piece of the snapshot of a document, for who lacks what that covers. The receiver asks for
    /// the next with `Next`.
    SnapshotPart {
        /// Whose document.
        entity: EntityId,
        /// Which document.
        document: DocumentKey,
        /// The name of its checkpoint, which was sent before.
        name: Digest,
        /// Which piece, from 0.
        part: u32,
        /// Of how many; at most `limits::SNAPSHOT_PARTS_MAX`.
        of: u32,
        /// At most `limits::SNAPSHOT_PART_BYTES_MAX`.
        bytes: Vec<u8>,
    },
    /// What a member's person does at the moment. Not stored, and not passed on.
    Presence(Sealed),
    /// The sender wants to keep documents no longer, or answers one who does.
    Spare {
        /// Whose documents.
        entity: EntityId,
        /// The question's, in a connection; the answer has the same.
        number: u64,
        /// Which, each with the digest of its state vector; at most `limits::SEGMENTS_MAX`.
        documents: Vec<(DocumentKey, Digest)>,
        /// What is said.
        says: Spare,
    },
}

/// Whether a device can be spared as a keeper of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Spare {
    /// The sender asks: does the receiver hold just this, and keep it?
    Asks,
    /// It does, all of it on its disk.
    Yes,
    /// It does not, or cannot say so now.
    No,
}

/// What a device shows of its person, as `presence` seals it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// Whose members may open it.
    pub entity: EntityId,
    /// Under which epoch's key.
    pub epoch: StatementId,
    /// Drawn for each.
    pub nonce: [u8; 24],
    /// At most `limits::PRESENCE_BYTES_MAX`.
    pub sealed: Vec<u8>,
}

/// A digest of everything; both sides compute it over the same, or something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Quiet {
    /// Over the greetings of both and how the sender stands with what both share.
    pub state: Digest,
    /// Over the requests and denials that the sender keeps of what both are in.
    pub requests: Digest,
    /// Over the acknowledgements that the sender has of documents that wait for some there.
    pub acks: Digest,
    /// It answers one that differed, and is not answered itself.
    pub answers: bool,
    /// The number of the last State that the sender told before: one that came later is newer than this.
    pub told: u64,
}

/// How a replica stands: equal states mean that nothing is missing on either side.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct State {
    /// Which entity.
    pub entity: EntityId,
    /// Over the ids of all statements held.
    pub roster: Digest,
    /// Sorted by document.
    pub documents: Vec<DocumentState>,
}

impl State {
    /// How one of its documents stands.
    pub fn of(&self, document: DocumentKey) -> Option<&DocumentState> {
        let at = self.documents.binary_search_by_key(&document, |stands| stands.document).ok()?;
        self.documents.get(at)
    }
}

/// How one document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DocumentState {
    /// Which document.
    pub document: DocumentKey,
    /// Over the state vector.
    pub vector: Digest,
    /// Over the visible content; `None` while it is not in memory.
    pub content: Option<Digest>,
}

/// A state vector, or one frame of it: every log of a document with its head, and of none twice.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Vector {
    /// Which entity.
    pub entity: EntityId,
    /// Which document.
    pub document: DocumentKey,
    /// Which frame of it, from 0. One that is not the next one is passed over, with all of it.
    pub page: u32,
    /// At most `limits::FRAME_LOGS_MAX`, and `limits::DOCUMENT_LOGS_MAX` in all frames together.
    pub logs: Vec<(DeviceKey, Incarnation, LogHead)>,
    /// No more follow.
    pub last: bool,
}

/// What a joiner shows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Knock {
    /// Where it wants in.
    pub entity: EntityId,
    /// Its certificate, as written by `identity::Certificate::write`.
    pub certificate: Vec<u8>,
    /// By what right.
    pub proof: Proof,
}

/// By what right a joiner wants in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Proof {
    /// It holds an invite.
    Invite {
        /// The invite's public key.
        invite: [u8; 32],
        /// The invite key's signature over entity and certificate.
        signature: Vec<u8>,
    },
    /// It asks to be let in: a signed request.
    Request(Vec<u8>),
    /// It is a member's device, or the certificate of a member's root says that it may become one.
    Member,
}

/// Why a joiner was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Turned {
    /// The receiver is not in this entity, or may not admit.
    NotHere,
    /// No such invite is open.
    NoInvite,
    /// The invite's time is over.
    Expired,
    /// The invite has admitted as many as it may.
    UsedUp,
    /// The certificate or the signature does not hold.
    BadProof,
    /// The person was a member and was removed; an invite does not undo that.
    Removed,
    /// The request is kept; an admin decides.
    Asked,
    /// An admin decided against it.
    Denied,
    /// Too many ask already, or this one asks too often.
    TooMany,
}

/// The bytes are no frame, too long, or go on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a frame")]
pub struct FrameError;

impl Frame {
    /// The frame's bytes. What is put into a frame is bounded by its maker.
    pub fn encode(&self) -> Vec<u8> {
        // Encoding into memory fails only past the limit, which makers stay far below.
        bincode::encode_to_vec(self, CONFIG).unwrap_or_default()
    }

    /// Reads one frame of at most `FRAME_BYTES_MAX`.
    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError);
        }
        match bincode::decode_from_slice(bytes, CONFIG) {
            Ok((frame, length)) if length == bytes.len() => Ok(frame),
            _ => Err(FrameError),
        }
    }
}

/// The kinds of frame in the order in which they are numbered, for who counts frames.
const KINDS: [&str; 21] = [
    "hello",
    "state",
    "have",
    "statements",
    "vector",
    "envelopes",
    "next",
    "knock",
    "turned",
    "seek",
    "found",
    "requests",
    "lacking",
    "link",
    "linked",
    "quiet",
    "acks",
    "checkpoint",
    "snapshotpart",
    "presence",
    "spare",
];

/// Names the kind of a frame by its first byte, without reading the rest.
pub fn kind_of(frame: &[u8]) -> &'static str {
    let kind = frame.first().and_then(|first| KINDS.get(usize::from(*first)));
    kind.copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_named_by_its_first_byte() {
        for frame in frames() {
            let shown = format!("{frame:?}").to_lowercase();
            let kind = kind_of(&frame.encode());
            assert!(shown.starts_with(kind), "{kind}: {shown}");
        }
        assert_eq!((kind_of(&[]), kind_of(&[21]), kind_of(&[255])), ("unknown", "unknown", "unknown"));
        // One more would be a frame that has no name.
        assert_eq!(kind_of(&frames()[frames().len() - 1].encode()), KINDS[KINDS.len() - 1]);
    }

    fn frames() -> Vec<Frame> {
        let entity = EntityId([1; 32]);
        let document = DocumentKey([2; 32]);
        let head = LogHead { sequence: 300, hash: crate::ids::EnvelopeHash([3; 32]) };
        vec![
            Frame::Hello(vec![[4; 16]; 3]),
            Frame::Have { entity, ids: vec![StatementId([5; 32])], last: true },
            Frame::Statements { entity, statements: vec![vec![6; 100]] },
            Frame::Vector(Vector {
                entity,
                document,
                page: 0,
                logs: vec![(DeviceKey([7; 32]), Incarnation(8), head)],
                last: true,
            }),
            Frame::Envelopes { entity, document, envelopes: vec![vec![9; 1000]; 5], more: true },
            Frame::Turned { entity, why: Turned::Expired },
            Frame::Quiet(Quiet {
                state: Digest([1; 32]),
                requests: Digest([2; 32]),
                acks: Digest([3; 32]),
                answers: true,
                told: 3,
            }),
            Frame::Acks { entity, document, waits: true, acks: vec![vec![7; 200]; 3] },
            Frame::Checkpoint {
                entity,
                document,
                checkpoint: vec![1; 300],
                signatures: vec![(DeviceKey([7; 32]), vec![2; 64]); 3],
            },
            Frame::SnapshotPart {
                entity,
                document,
                name: Digest([4; 32]),
                part: 1,
                of: 3,
                bytes: vec![5; 900],
            },
            Frame::Presence(Sealed {
                entity,
                epoch: StatementId([5; 32]),
                nonce: [6; 24],
                sealed: vec![7; 99],
            }),
            Frame::Spare {
                entity,
                number: 3,
                documents: vec![(document, Digest([8; 32])); 2],
                says: Spare::Yes,
            },
        ]
    }

    #[test]
    fn every_frame_reads_back() {
        for frame in frames() {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn trailing_truncated_and_oversized_bytes_are_no_frame() {
        for frame in frames() {
            let bytes = frame.encode();
            for length in 0..bytes.len() {
                assert_eq!(Frame::decode(&bytes[..length]), Err(FrameError));
            }
            assert_eq!(Frame::decode(&[&bytes[..], &[0]].concat()), Err(FrameError));
        }
        assert_eq!(Frame::decode(&vec![0; FRAME_BYTES_MAX + 1]), Err(FrameError));
    }

    #[test]
    fn a_declared_count_past_the_limit_is_refused_before_it_is_allocated() {
        // Frame::Statements, an entity, then 2^60 statements.
        let mut bytes = vec![3];
        bytes.extend([1; 32]);
        bytes.push(253);
        bytes.extend((1u64 << 60).to_le_bytes());
        assert_eq!(Frame::decode(&bytes), Err(FrameError));
    }

    #[test]
    fn a_full_list_of_the_largest_kind_fits_a_frame() {
        use crate::limits::{FRAME_LOGS_MAX, FRAME_STATEMENT_IDS_MAX};
        let entity = EntityId([1; 32]);
        let head = LogHead { sequence: u64::MAX, hash: crate::ids::EnvelopeHash([3; 32]) };
        let logs = vec![(DeviceKey([7; 32]), Incarnation(u64::MAX), head); FRAME_LOGS_MAX];
        let document = DocumentKey([2; 32]);
        let vector = Frame::Vector(Vector { entity, document, page: u32::MAX, logs, last: false });
        let ids = vec![StatementId([5; 32]); FRAME_STATEMENT_IDS_MAX];
        let have = Frame::Have { entity, ids, last: false };
        for frame in [vector, have] {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
    }
}
