//! What devices sign to say that a document is the same at all of them, up to a vector.
//!
//! `stability` proposes one at the frontier, and every device that reaches it reads its own logs so
//! far, compares, and signs it too. What lies at or below a checkpoint that two people's devices
//! signed may be folded, and is never made void. Invariant: it names visible content and positions,
//! never encodings, which differ between equal documents. Layout: docs/PROTOCOL.md, section 5.

use std::collections::BTreeMap;

use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{DeviceSecret, SignatureBytes, verify};
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId};
use crate::limits::FRAME_LOGS_MAX;

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
    /// At most `limits::FRAME_LOGS_MAX`; of logs that it does not name nothing is covered.
    pub logs: BTreeMap<LogId, Reached>,
}

impl Checkpoint {
    /// The bytes that are named, travel and are kept.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&self.entity.0).raw(&self.document.0).raw(&self.content.0);
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
        let logs = reader.list(FRAME_LOGS_MAX, |reader| {
            let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
            let head = LogHead { sequence: reader.u64()?, hash: EnvelopeHash(reader.array()?) };
            Ok((LogId { document, device, incarnation }, Reached { head, clock: reader.u32()? }))
        })?;
        reader.finish()?;
        let in_order = logs.iter().zip(logs.iter().skip(1)).all(|((a, _), (b, _))| a < b);
        if !in_order || logs.iter().any(|(_, reached)| reached.head.sequence == 0) {
            return Err(Malformed);
        }
        Ok(Checkpoint { entity, document, content, logs: logs.into_iter().collect() })
    }

    /// Its name, which is what is signed.
    pub fn name(&self) -> Digest {
        Digest(blake3::derive_key(NAME_CONTEXT, &self.encode()))
    }

    /// The head that it names of a log; 0 where it names none.
    pub fn length(&self, log: &LogId) -> u64 {
        self.logs.get(log).map_or(0, |reached| reached.head.sequence)
    }

    /// Whether it covers everything that another one does.
    pub fn covers(&self, other: &Checkpoint) -> bool {
        other.logs.iter().all(|(log, reached)| reached.head.sequence <= self.length(log))
    }
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
        Checkpoint { entity: EntityId([1; 32]), document, content: Digest([6; 32]), logs }
    }

    #[test]
    fn a_checkpoint_of_the_most_logs_reads_back_and_of_one_more_does_not() {
        let most = checkpoint(FRAME_LOGS_MAX as u64);
        assert_eq!(Checkpoint::read(&most.encode()), Ok(most));
        assert_eq!(Checkpoint::read(&checkpoint(FRAME_LOGS_MAX as u64 + 1).encode()), Err(Malformed));
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
    fn one_covers_another_if_it_reaches_as_far_in_every_log() {
        let (less, more) = (checkpoint(2), checkpoint(3));
        assert!(more.covers(&less) && more.covers(&more) && !less.covers(&more));
    }
}
