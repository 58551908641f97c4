//! What of stability lies on disk: acknowledgements, the frontier, who is waited for since when, and
//! since when this person is left alone.
//!
//! Invariant: written only when it changed; after a restart the frontier is no less than anything
//! was pruned by, and days that a device was waited for count on.

use std::collections::BTreeSet;

use super::{Kept, Stability};
use crate::acknowledgement::{Acknowledgement, Positions};
use crate::bytes::{Malformed, Reader, Writer};
use crate::ids::{DeviceKey, DocumentKey, Incarnation, LogId};
use crate::limits::{ACK_LOGS_MAX, AWAITED_DEVICES_MAX};
use crate::outbox::local;
use crate::record::{LocalKey, Record};
use crate::replicator::Replicator;
use crate::session::Allowance;
use crate::time::WallTime;

/// The kinds of the small values.
pub(crate) const ACK: &str = "ack";
const FRONTIER: &str = "frontier";
const AWAITED: &str = "awaited";
const ALONE: &str = "alone";
const LATE: &str = "late";

/// The kind of the small values that keep who signed the checkpoint of a snapshot.
pub(crate) const COUNTERSIGNED: &str = "countersigned";

/// What has changed since it was written.
#[derive(Debug, Default)]
pub(super) struct Unkept {
    pub(super) acks: BTreeSet<DeviceKey>,
    pub(super) frontier: bool,
    pub(super) since: bool,
    pub(super) alone: bool,
    pub(super) late: bool,
}

impl Stability {
    /// What must be written, so that the disk has all of it.
    pub(crate) fn take_records(&mut self, document: DocumentKey) -> Vec<Record> {
        let unkept = std::mem::take(&mut self.unkept);
        let mut records = Vec::new();
        for device in unkept.acks {
            let bytes = self.kept.get(&device).map(|kept| kept.ack.bytes().to_vec());
            records.push(local(ACK, &[document.0, device.0].concat(), bytes));
        }
        if unkept.frontier {
            records.push(local(FRONTIER, &document.0, Some(write_positions(&self.frontier))));
        }
        if unkept.since {
            records.push(local(AWAITED, &document.0, self.write_since()));
        }
        if unkept.alone {
            let since = self.alone_since.map(|since| since.0.to_be_bytes().to_vec());
            records.push(local(ALONE, &document.0, since));
        }
        if unkept.late {
            records.push(local(LATE, &document.0, self.write_late()));
        }
        records
    }

    /// What must be written when the document is kept no longer, and what others said left aside.
    pub(crate) fn forgetting(&self, document: DocumentKey) -> impl Iterator<Item = Record> + use<> {
        [FRONTIER, AWAITED, ALONE, LATE, COUNTERSIGNED]
            .into_iter()
            .map(move |kind| local(kind, &document.0, None))
    }

    /// What must be written so that nothing is left of what others than this device said.
    pub(crate) fn forgetting_acks(&self, document: DocumentKey, own: &DeviceKey) -> Vec<Record> {
        let others = self.kept.keys().filter(|device| *device != own);
        others.map(|device| local(ACK, &[document.0, device.0].concat(), None)).collect()
    }

    fn write_since(&self) -> Option<Vec<u8>> {
        let since: Vec<(&DeviceKey, &WallTime)> = self.since.iter().take(AWAITED_DEVICES_MAX).collect();
        let mut writer = Writer::new();
        writer.list(&since, |writer, (device, since)| {
            writer.raw(&device.0).u64(since.0);
        });
        (!since.is_empty()).then(|| writer.into_bytes())
    }

    /// Reads one small value back. What cannot be read is passed over.
    fn restore(&mut self, key: &LocalKey, document: DocumentKey, value: &[u8]) -> Result<(), Malformed> {
        match key.kind.as_str() {
            ACK => {
                let ack = Acknowledgement::read(value)?;
                let joined = ack.positions.clone();
                self.kept.insert(ack.device, Kept { ack, joined, pace: Allowance::default() });
            }
            FRONTIER => self.frontier = read_positions(document, value)?,
            AWAITED => {
                let mut reader = Reader::new(value);
                let since = reader.list(AWAITED_DEVICES_MAX, |reader| {
                    Ok((DeviceKey(reader.array()?), WallTime(reader.u64()?)))
                })?;
                reader.finish()?;
                self.since = since.into_iter().collect();
            }
            ALONE => {
                let mut reader = Reader::new(value);
                self.alone_since = Some(WallTime(reader.u64()?));
                reader.finish()?;
            }
            LATE => self.read_late(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// As many as fit a small value; of more, which take a thousand logs, some are acknowledged anew.
fn write_positions(positions: &Positions) -> Vec<u8> {
    let logs: Vec<(&LogId, &u64)> = positions.iter().take(ACK_LOGS_MAX).collect();
    let mut writer = Writer::new();
    writer.list(&logs, |writer, (log, sequence)| {
        writer.raw(&log.device.0).u64(log.incarnation.0).u64(**sequence);
    });
    writer.into_bytes()
}

fn read_positions(document: DocumentKey, value: &[u8]) -> Result<Positions, Malformed> {
    let mut reader = Reader::new(value);
    let logs = reader.list(ACK_LOGS_MAX, |reader| {
        let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
        Ok((LogId { document, device, incarnation }, reader.u64()?))
    })?;
    reader.finish()?;
    Ok(logs.into_iter().collect())
}

impl Replicator {
    /// Takes back what is known of who holds what.
    pub(crate) fn restore_stability(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        for (key, value) in locals {
            let Some((document, _)) = key.of.split_first_chunk::<32>() else { continue };
            let document = DocumentKey(*document);
            if ![ACK, FRONTIER, AWAITED, ALONE, LATE, COUNTERSIGNED].contains(&key.kind.as_str()) {
                continue;
            }
            let replica = self.entities.values_mut().find_map(|entity| entity.replicas.get_mut(&document));
            // What cannot be read is acknowledged, waited for, computed and signed anew.
            let _ = replica.map(|replica| match &mut replica.base {
                Some(base) if key.kind == COUNTERSIGNED => base.restore_signatures(value),
                _ => replica.stability.restore(key, document, value),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EntityId, StatementId};
    use crate::limits::ROSTER_HEADS_MAX;
    use crate::limits::{LATE_TEXT_BYTES_MAX, LATE_WRITES_MAX, LOCAL_VALUE_BYTES_MAX, MAP_KEY_BYTES_MAX};
    use crate::stability::{Late, LateWhy};

    const DOCUMENT: DocumentKey = DocumentKey([1; 32]);

    fn full() -> Stability {
        let device = crate::identity::DeviceSecret::from_seeds(&[2; 32], &[3; 32]);
        let mut stability = Stability::default();
        let log = |n| LogId { document: DOCUMENT, device: device.key(), incarnation: Incarnation(n) };
        let positions: Positions = (0..ACK_LOGS_MAX as u64).map(|n| (log(n), u64::MAX)).collect();
        stability.frontier.clone_from(&positions);
        let heads = (0..ROSTER_HEADS_MAX).map(|n| StatementId([n as u8; 32])).collect();
        let ack = Acknowledgement::sign((EntityId([4; 32]), DOCUMENT), 1, false, heads, positions, &device);
        stability.take(ack, |_| true, WallTime(0));
        for n in 0..=AWAITED_DEVICES_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(n as u64).to_be_bytes());
            stability.since.insert(DeviceKey(key), WallTime(n as u64));
        }
        let key = |n: usize| format!("{n:0>width$}", width = MAP_KEY_BYTES_MAX);
        let late = |n| Late {
            root: "reactions".into(),
            key: key(n),
            text: "t".repeat(2 * LATE_TEXT_BYTES_MAX),
            why: LateWhy::Folded,
        };
        assert!(stability.note_late((0..=LATE_WRITES_MAX).map(late).collect()));
        assert!(!stability.note_late(vec![late(LATE_WRITES_MAX)]), "that one is known");
        stability.unkept.frontier = true;
        stability.unkept.since = true;
        stability.note_alone(true, WallTime(5));
        stability
    }

    #[test]
    fn as_much_as_fits_small_values_is_kept_and_reads_back() {
        let mut stability = full();
        let mut restored = Stability::default();
        let records = stability.take_records(DOCUMENT);
        assert_eq!(records.len(), 5);
        for record in records {
            let Record::Local { key, value: Some(value) } = record else { panic!("a value") };
            assert!(value.len() <= LOCAL_VALUE_BYTES_MAX, "{}: {}", key.kind, value.len());
            restored.restore(&key, DOCUMENT, &value).unwrap();
            assert!(restored.restore(&key, DOCUMENT, &value[1..]).is_err(), "{}", key.kind);
        }
        assert_eq!(restored.frontier, stability.frontier);
        assert_eq!(restored.since.len(), AWAITED_DEVICES_MAX);
        assert_eq!(restored.alone_since, Some(WallTime(5)));
        assert_eq!(restored.late, stability.late);
        assert_eq!(restored.late.len(), LATE_WRITES_MAX);
        assert!(restored.acks().eq(stability.acks()));
        assert!(stability.take_records(DOCUMENT).is_empty(), "nothing changed since");
    }
}
