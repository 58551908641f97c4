//! What a device signs to say how far it holds a document for good.
//!
//! `stability` makes one where something waits for it and joins those of others, `sync` passes them
//! on. Invariant: reading checks the layout alone; whoever reads asks the roster whose device it is
//! and `is_signed` before believing a word. A device that lies here lies about itself only.
//! Layout: docs/PROTOCOL.md, section 5.

use std::collections::BTreeMap;

use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{DeviceSecret, verify};
use crate::ids::{DeviceKey, DocumentKey, EntityId, Incarnation, LogId, StatementId};
use crate::limits::{ACK_LOGS_MAX, ROSTER_HEADS_MAX};

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"fourword v1 acknowledgement";
const SIGNATURE_BYTES: usize = 64;

/// How far logs of one document are held, counted or found not to count, and on disk.
pub type Positions = BTreeMap<LogId, u64>;

/// One device's word about one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The entity whose roster counts for the document.
    pub entity: EntityId,
    /// Which document.
    pub document: DocumentKey,
    /// Whose word it is.
    pub device: DeviceKey,
    /// Grows: of two of one device the greater was made later.
    pub number: u64,
    /// The device keeps the document no longer, so nothing need wait for it.
    pub stops: bool,
    /// The roster heads that it knew then, ascending, at most `limits::ROSTER_HEADS_MAX`: by what they say
    /// it found what counts.
    pub heads: Vec<StatementId>,
    /// At most `limits::ACK_LOGS_MAX`.
    pub positions: Positions,
    bytes: Vec<u8>,
}

impl Acknowledgement {
    /// Signs an acknowledgement. `positions` are of logs of `document`, at most
    /// `limits::ACK_LOGS_MAX`; `heads` are ascending, at most `limits::ROSTER_HEADS_MAX`.
    pub fn sign(
        (entity, document): (EntityId, DocumentKey),
        number: u64,
        stops: bool,
        heads: Vec<StatementId>,
        positions: Positions,
        device: &DeviceSecret,
    ) -> Acknowledgement {
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&entity.0).raw(&document.0).raw(&device.key().0);
        writer.u64(number).u8(u8::from(stops));
        writer.list(&heads, |writer, head| {
            writer.raw(&head.0);
        });
        let logs: Vec<(&LogId, &u64)> = positions.iter().collect();
        writer.list(&logs, |writer, (log, sequence)| {
            writer.raw(&log.device.0).u64(log.incarnation.0).u64(**sequence);
        });
        let signature = device.sign(&signed(writer.as_slice()));
        writer.raw(&signature);
        let bytes = writer.into_bytes();
        Acknowledgement { entity, document, device: device.key(), number, stops, heads, positions, bytes }
    }

    /// Reads one acknowledgement without checking its signature. `bytes` holds exactly one.
    pub fn read(bytes: &[u8]) -> Result<Acknowledgement, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let (entity, document) = (EntityId(reader.array()?), DocumentKey(reader.array()?));
        let (device, number) = (DeviceKey(reader.array()?), reader.u64()?);
        let stops = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed),
        };
        let heads = reader.list(ROSTER_HEADS_MAX, |reader| Ok(StatementId(reader.array()?)))?;
        let logs = reader.list(ACK_LOGS_MAX, |reader| {
            let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
            Ok((LogId { document, device, incarnation }, reader.u64()?))
        })?;
        reader.take(SIGNATURE_BYTES)?;
        reader.finish()?;
        let in_order = logs.iter().zip(logs.iter().skip(1)).all(|((a, _), (b, _))| a < b);
        if !in_order || !heads.is_sorted_by(|a, b| a < b) {
            return Err(Malformed);
        }
        let (positions, bytes) = (logs.into_iter().collect(), bytes.to_vec());
        Ok(Acknowledgement { entity, document, device, number, stops, heads, positions, bytes })
    }

    /// Whether the device that it names signed it.
    pub fn is_signed(&self) -> bool {
        let split = self.bytes.split_last_chunk::<SIGNATURE_BYTES>();
        split.is_some_and(|(said, signature)| verify(&self.device.0, &signed(said), signature))
    }

    /// The bytes that travel and are kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn signed(said: &[u8]) -> Vec<u8> {
    [DOMAIN, blake3::hash(said).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: (EntityId, DocumentKey) = (EntityId([1; 32]), DocumentKey([2; 32]));

    fn positions(count: u64) -> Positions {
        let log = |n| LogId { document: OF.1, device: DeviceKey([3; 32]), incarnation: Incarnation(n) };
        (0..count).map(|n| (log(n), n + 1)).collect()
    }

    fn heads(count: usize) -> Vec<StatementId> {
        (0..count).map(|n| StatementId([n as u8; 32])).collect()
    }

    fn device() -> DeviceSecret {
        DeviceSecret::from_seeds(&[4; 32], &[5; 32])
    }

    #[test]
    fn an_acknowledgement_of_the_most_logs_reads_back_and_of_one_more_does_not() {
        let most = ACK_LOGS_MAX as u64;
        let made = Acknowledgement::sign(OF, 7, true, heads(ROSTER_HEADS_MAX), positions(most), &device());
        assert_eq!(Acknowledgement::read(made.bytes()), Ok(made.clone()));
        assert!(made.is_signed());
        let more = Acknowledgement::sign(OF, 7, true, heads(1), positions(most + 1), &device());
        assert_eq!(Acknowledgement::read(more.bytes()), Err(Malformed));
        let more = Acknowledgement::sign(OF, 7, true, heads(ROSTER_HEADS_MAX + 1), positions(1), &device());
        assert_eq!(Acknowledgement::read(more.bytes()), Err(Malformed));
    }

    #[test]
    fn an_acknowledgement_with_any_byte_changed_is_malformed_or_not_signed() {
        let made = Acknowledgement::sign(OF, 7, false, heads(2), positions(2), &device());
        for at in 0..made.bytes().len() {
            let mut altered = made.bytes().to_vec();
            altered[at] ^= 1;
            assert!(!Acknowledgement::read(&altered).is_ok_and(|ack| ack.is_signed()), "byte {at}");
            assert_eq!(Acknowledgement::read(&made.bytes()[..at]), Err(Malformed));
        }
    }

    #[test]
    fn logs_and_heads_out_of_order_or_doubled_are_malformed() {
        let bytes = Acknowledgement::sign(OF, 7, false, heads(2), positions(2), &device()).bytes().to_vec();
        let second_head = 1 + 32 * 3 + 8 + 1 + 2 + 32;
        let second_log = second_head + 32 + 2 + 48;
        for (second, length) in [(second_head, 32), (second_log, 48)] {
            let mut doubled = bytes.clone();
            doubled.copy_within(second - length..second, second);
            assert_eq!(Acknowledgement::read(&doubled), Err(Malformed));
        }
    }
}
