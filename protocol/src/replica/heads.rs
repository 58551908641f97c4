//! A state vector: the head of every log that is held, and the digest by which peers compare it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Deref;

use crate::ids::{Digest, LogHead, LogId};

/// The heads of the logs of one document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    logs: BTreeMap<LogId, LogHead>,
    /// Of the heads as they are, once asked for: every peer and every status asks.
    digest: OnceCell<Digest>,
}

impl Heads {
    /// Notes where a log stands now.
    pub(crate) fn set(&mut self, log: LogId, head: LogHead) {
        self.logs.insert(log, head);
        self.digest = OnceCell::new();
    }

    /// How far a log is held: 0 where it is not known.
    pub(crate) fn length(&self, log: &LogId) -> u64 {
        self.logs.get(log).map_or(0, |head| head.sequence)
    }

    /// Equal digests mean the same envelopes.
    pub(crate) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            for (log, head) in &self.logs {
                hasher.update(&log.device.0).update(&log.incarnation.0.to_be_bytes());
                hasher.update(&head.sequence.to_be_bytes()).update(&head.hash.0);
            }
            Digest(*hasher.finalize().as_bytes())
        })
    }
}

impl From<BTreeMap<LogId, LogHead>> for Heads {
    fn from(logs: BTreeMap<LogId, LogHead>) -> Heads {
        Heads { logs, digest: OnceCell::new() }
    }
}

/// Reading alone: what changes a head forgets the digest.
impl Deref for Heads {
    type Target = BTreeMap<LogId, LogHead>;

    fn deref(&self) -> &BTreeMap<LogId, LogHead> {
        &self.logs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeviceKey, DocumentKey, EnvelopeHash, Incarnation};

    #[test]
    fn the_digest_is_that_of_the_heads_as_they_are_now() {
        let log =
            LogId { document: DocumentKey([1; 32]), device: DeviceKey([2; 32]), incarnation: Incarnation(3) };
        let head = |sequence| LogHead { sequence, hash: EnvelopeHash([4; 32]) };
        let mut heads = Heads::default();
        let none = heads.digest();
        heads.set(log, head(1));
        let one = heads.digest();
        heads.set(log, head(2));
        assert!(none != one && heads.digest() != one);
        assert_eq!(heads.digest(), Heads::from(BTreeMap::from([(log, head(2))])).digest());
        assert_eq!((heads.length(&log), heads.len()), (2, 1));
    }
}
