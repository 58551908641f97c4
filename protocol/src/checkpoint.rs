//! What devices sign to say that a document is the same at all of them, up to a vector.
//!
//! `stability` proposes one at the frontier, and every device that reaches it reads its own logs so
//! far, by the roster that it names, compares, and signs it too. What lies at or below a checkpoint
//! that two people's devices signed may be folded: what counts there counts for good, and what is void
//! there stays void. Invariant: it names visible content and positions, never encodings, which differ
//! between equal documents. Layout: docs/PROTOCOL.md, section 5.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{DeviceSecret, SignatureBytes, verify};
use crate::ids::{
    DeviceKey, Digest, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, StatementId,
};
use crate::limits::{CHECKPOINT_SIGNATURES_MAX, FRAME_LOGS_MAX, ROSTER_HEADS_MAX};

/// Where logs stand: of each the last envelope that is meant.
pub type Vector = BTreeMap<LogId, LogHead>;

/// How far a document is read for a checkpoint, and the roster heads by which it is judged, ascending.
pub type Extent = (Vector, Vec<StatementId>);

/// Which devices signed a checkpoint; at most `limits::CHECKPOINT_SIGNATURES_MAX`.
pub type Signatures = BTreeMap<DeviceKey, SignatureBytes>;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"fourword v1 checkpoint";
const NAME_CONTEXT: &str = "fourword v1 checkpoint name";

/// How far a checkpoint reaches in one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The last envelope that it covers.
    pub head: LogHead,
    /// Where the log's CRDT clock ends there.
    pub clock: u32,
}

/// A document as it is where logs were read so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The entity whose roster counts for the document.
    pub entity: EntityId,
    /// Which document.
    pub document: DocumentKey,
    /// The visible content: without what is flagged as deleted, pruned or not.
    pub content: Digest,
    /// The roster heads by which it is judged what counts: ascending, at most
    /// `limits::ROSTER_HEADS_MAX`.
    pub heads: Vec<StatementId>,
    /// At most `limits::FRAME_LOGS_MAX`; of logs that it does not name nothing is covered.
    pub logs: BTreeMap<LogId, Reached>,
}

/// A checkpoint and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Arc<Checkpoint>,
    pub(crate) name: Digest,
    pub(crate) signatures: Signatures,
}

impl Signed {
    /// A checkpoint that nobody has signed.
    pub(crate) fn new(checkpoint: Checkpoint) -> Signed {
        let name = checkpoint.name();
        Signed { checkpoint: Arc::new(checkpoint), name, signatures: Signatures::new() }
    }

    /// Takes signatures that were checked, as far as there is room. True if any was not known.
    pub(crate) fn join(&mut self, signatures: &Signatures) -> bool {
        join(&mut self.signatures, signatures)
    }
}

/// Adds signatures of one checkpoint to others, as far as there is room. True if any was new.
pub(crate) fn join(known: &mut Signatures, more: &Signatures) -> bool {
    let before = known.len();
    for (device, signature) in more {
        if known.len() < CHECKPOINT_SIGNATURES_MAX {
            known.entry(*device).or_insert(*signature);
        }
    }
    known.len() > before
}

impl Checkpoint {
    /// The bytes that are named, travel and are kept.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&self.entity.0).raw(&self.document.0).raw(&self.content.0);
        writer.list(&self.heads, |writer, head| {
            writer.raw(&head.0);
        });
        let logs: Vec<(&LogId, &Reached)> = self.logs.iter().collect();
        writer.list(&logs, |writer, (log, reached)| {
            writer.raw(&log.device.0).u64(log.incarnation.0);
            writer.u64(reached.head.sequence).raw(&reached.head.hash.0).u32(reached.clock);
        });
        writer.into_bytes()
    }

    /// Reads one checkpoint; `bytes` holds exactly one.
    pub fn read(bytes: &[u8]) -> Result<Checkpoint, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let (entity, document) = (EntityId(reader.array()?), DocumentKey(reader.array()?));
        let content = Digest(reader.array()?);
        let heads = reader.list(ROSTER_HEADS_MAX, |reader| Ok(StatementId(reader.array()?)))?;
        let logs = reader.list(FRAME_LOGS_MAX, |reader| {
            let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
            let head = LogHead { sequence: reader.u64()?, hash: EnvelopeHash(reader.array()?) };
            Ok((LogId { document, device, incarnation }, Reached { head, clock: reader.u32()? }))
        })?;
        reader.finish()?;
        let in_order = logs.iter().zip(logs.iter().skip(1)).all(|((a, _), (b, _))| a < b)
            && heads.is_sorted_by(|a, b| a < b);
        if !in_order || logs.iter().any(|(_, reached)| reached.head.sequence == 0) {
            return Err(Malformed);
        }
        Ok(Checkpoint { entity, document, content, heads, logs: logs.into_iter().collect() })
    }

    /// Its name, which is what is signed.
    pub fn name(&self) -> Digest {
        Digest(blake3::derive_key(NAME_CONTEXT, &self.encode()))
    }

    /// How far it reaches, and by which roster it is judged.
    pub(crate) fn extent(&self) -> Extent {
        (self.vector(), self.heads.clone())
    }

    /// Where the logs stand that it names.
    pub fn vector(&self) -> Vector {
        self.logs.iter().map(|(log, reached)| (*log, reached.head)).collect()
    }
}

/// Whether whoever holds logs as far as `vector` holds all of `other`, on the same branches.
///
/// Where both reach equally far the hashes must be equal; where `vector` reaches further nobody can
/// see by it on which branch `other` lies.
pub fn covers(vector: &Vector, other: &Vector) -> bool {
    other.iter().all(|(log, head)| {
        let reached = vector.get(log);
        reached.is_some_and(|reached| reached.sequence > head.sequence || reached == head)
    })
}

/// Of each log as far as the one vector or the other.
pub(crate) fn union(vector: &Vector, other: &Vector) -> Vector {
    let mut union = vector.clone();
    for (log, head) in other {
        let further = union.entry(*log).or_insert(*head);
        if further.sequence < head.sequence {
            *further = *head;
        }
    }
    union
}

/// How many envelopes lie within a vector and beyond another.
pub fn beyond(vector: &Vector, base: &Vector) -> u64 {
    let below = |log| base.get(log).map_or(0, |head| head.sequence);
    let lengths = vector.iter().map(|(log, head)| head.sequence.saturating_sub(below(log)));
    lengths.fold(0, u64::saturating_add)
}

/// Signs a checkpoint by its name.
pub fn sign(name: &Digest, device: &DeviceSecret) -> SignatureBytes {
    device.sign(&signed(name))
}

/// Whether a device signed the checkpoint of this name.
pub fn is_signed(name: &Digest, device: &DeviceKey, signature: &SignatureBytes) -> bool {
    verify(&device.0, &signed(name), signature)
}

fn signed(name: &Digest) -> Vec<u8> {
    [DOMAIN, &name.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(logs: u64) -> Checkpoint {
        let document = DocumentKey([2; 32]);
        let log = |n| LogId { document, device: DeviceKey([3; 32]), incarnation: Incarnation(n) };
        let head = |n| LogHead { sequence: n + 1, hash: EnvelopeHash([4; 32]) };
        let logs = (0..logs).map(|n| (log(n), Reached { head: head(n), clock: 5 })).collect();
        let heads = vec![StatementId([7; 32]), StatementId([8; 32])];
        Checkpoint { entity: EntityId([1; 32]), document, content: Digest([6; 32]), heads, logs }
    }

    #[test]
    fn a_checkpoint_of_the_most_logs_reads_back_and_of_one_more_does_not() {
        let most = checkpoint(FRAME_LOGS_MAX as u64);
        assert_eq!(Checkpoint::read(&most.encode()), Ok(most));
        assert_eq!(Checkpoint::read(&checkpoint(FRAME_LOGS_MAX as u64 + 1).encode()), Err(Malformed));
    }

    #[test]
    fn a_checkpoint_of_the_most_heads_reads_back_and_one_of_more_or_out_of_order_does_not() {
        let with = |heads| Checkpoint { heads, ..checkpoint(1) };
        let heads = |count: usize| (0..count).map(|n| StatementId([n as u8; 32])).collect::<Vec<_>>();
        let most = with(heads(ROSTER_HEADS_MAX));
        assert_eq!(Checkpoint::read(&most.encode()), Ok(most));
        let twice = vec![StatementId([1; 32]); 2];
        let reversed = heads(2).into_iter().rev().collect();
        for wrong in [heads(ROSTER_HEADS_MAX + 1), twice, reversed] {
            assert_eq!(Checkpoint::read(&with(wrong).encode()), Err(Malformed));
        }
    }

    #[test]
    fn any_byte_changed_gives_another_name_or_nothing() {
        let made = checkpoint(2);
        let bytes = made.encode();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let same = Checkpoint::read(&altered).is_ok_and(|other| other.name() == made.name());
            assert!(!same, "byte {at}");
            assert_eq!(Checkpoint::read(&bytes[..at]), Err(Malformed));
        }
    }

    #[test]
    fn a_signature_is_for_one_checkpoint_and_one_device() {
        let (name, other) = (checkpoint(1).name(), checkpoint(2).name());
        let device = |seed| DeviceSecret::from_seeds(&[seed; 32], &[seed; 32]);
        let signature = sign(&name, &device(1));
        assert!(is_signed(&name, &device(1).key(), &signature));
        assert!(!is_signed(&other, &device(1).key(), &signature));
        assert!(!is_signed(&name, &device(2).key(), &signature));
    }

    #[test]
    fn as_many_signatures_are_joined_as_there_is_room_for_and_one_more_is_left_out() {
        let all: Signatures =
            (0..=CHECKPOINT_SIGNATURES_MAX).map(|n| (DeviceKey([n as u8; 32]), [7; 64])).collect();
        let mut signed = Signed::new(checkpoint(1));
        assert!(signed.join(&all) && !signed.join(&all));
        assert_eq!(signed.signatures.len(), CHECKPOINT_SIGNATURES_MAX);
    }

    #[test]
    fn one_covers_another_if_it_reaches_as_far_in_every_log_on_the_same_branch() {
        let (less, more) = (checkpoint(2).vector(), checkpoint(3).vector());
        assert!(covers(&more, &less) && covers(&more, &more) && !covers(&less, &more));
        assert_eq!((beyond(&more, &less), beyond(&less, &more)), (3, 0));
        let mut other = more.clone();
        other.values_mut().for_each(|head| head.hash = EnvelopeHash([9; 32]));
        assert!(!covers(&more, &other), "the same lengths of other branches");
    }
}
