//! What members' devices showed to exist and is not held here: remembered over a restart.
//!
//! Kept for each document by the device that showed it, so that one that lies makes its own line of
//! the status say so and nobody else's. `receiving` and `sync` note what is shown, `views` counts
//! it. Invariant: it is written only when it changed, at the pace of changes and never for each
//! envelope; what was reached or cannot count any more is dropped.

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::{Malformed, Reader, Writer};
use crate::entity::Entity;
use crate::ids::{DeviceKey, DocumentKey, EntityId, Incarnation, LogId};
use crate::limits::WANTED_LOGS_MAX;
use crate::outbox::local;
use crate::record::{LocalKey, Record};
use crate::replicator::Replicator;
use crate::session::Allowance;
use crate::time::{Duration, Instant};

/// The kind of the small values that keep what one device showed of one document.
pub(crate) const WANT: &str = "want";

/// How often what one device shows of a document is written: a burst, then once for each stretch
/// of time. One that shows something else each time must not wear out the disk.
const WRITES_BURST: u64 = 16;
const WRITES_EVERY: Duration = Duration::from_secs(60);

/// By log, up to which position there is something.
type Logs = BTreeMap<LogId, u64>;

/// What was shown of one document.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    shown: BTreeMap<DeviceKey, Logs>,
    written: BTreeMap<DeviceKey, Logs>,
    paces: BTreeMap<DeviceKey, Allowance>,
}

impl Wants {
    /// A device showed all that it has: what it showed before is forgotten.
    pub(crate) fn show(&mut self, by: DeviceKey, logs: impl Iterator<Item = (LogId, u64)>) {
        self.shown.insert(by, logs.take(WANTED_LOGS_MAX).collect());
    }

    /// A device showed that a log goes at least so far.
    pub(crate) fn raise(&mut self, by: DeviceKey, log: LogId, sequence: u64) {
        let logs = self.shown.entry(by).or_default();
        if logs.contains_key(&log) || logs.len() < WANTED_LOGS_MAX {
            let known = logs.entry(log).or_insert(0);
            *known = sequence.max(*known);
        }
    }

    /// A device holds what is held here. True if something of it was wanted.
    pub(crate) fn clear(&mut self, by: &DeviceKey) -> bool {
        self.shown.remove(by).is_some_and(|logs| !logs.is_empty())
    }

    /// How many envelopes a device showed beyond what is held.
    pub(crate) fn beyond(&self, by: &DeviceKey, held: impl Fn(&LogId) -> u64) -> u64 {
        let logs = self.shown.get(by).into_iter().flatten();
        logs.map(|(log, sequence)| sequence.saturating_sub(held(log))).fold(0, u64::saturating_add)
    }

    /// Forgets what was reached. `counts` says how far a log can count at most, `listens` of whom
    /// anything is believed.
    fn prune(
        &mut self,
        held: impl Fn(&LogId) -> u64,
        counts: impl Fn(&LogId) -> u64,
        listens: impl Fn(&DeviceKey) -> bool,
    ) {
        self.shown.retain(|by, logs| {
            logs.retain(|log, sequence| {
                *sequence = (*sequence).min(counts(log));
                *sequence > held(log)
            });
            !logs.is_empty() && listens(by)
        });
        self.paces.retain(|by, _| listens(by));
    }

    /// What must be written, so that the disk says what is shown: all of it, or what may be by now.
    fn records(&mut self, document: DocumentKey, now: Option<Instant>) -> Vec<Record> {
        let devices: BTreeSet<DeviceKey> = self.shown.keys().chain(self.written.keys()).copied().collect();
        let mut records = Vec::new();
        for by in devices {
            let (shown, written) = (self.shown.get(&by), self.written.get(&by));
            let pace = self.paces.entry(by).or_default();
            if shown == written || now.is_some_and(|now| !pace.take(now, WRITES_BURST, WRITES_EVERY)) {
                continue;
            }
            let of = [document.0, by.0].concat();
            records.push(local(WANT, &of, shown.map(write)));
            match shown.cloned() {
                Some(logs) => drop(self.written.insert(by, logs)),
                None => drop(self.written.remove(&by)),
            }
        }
        records
    }

    /// What must be written so that nothing of it is left on disk.
    pub(crate) fn forgetting(&self, document: DocumentKey) -> Vec<Record> {
        self.written.keys().map(|by| local(WANT, &[document.0, by.0].concat(), None)).collect()
    }

    fn restore(&mut self, by: DeviceKey, logs: Logs) {
        self.written.insert(by, logs.clone());
        self.shown.insert(by, logs);
    }
}

fn write(logs: &Logs) -> Vec<u8> {
    let logs: Vec<(&LogId, &u64)> = logs.iter().collect();
    let mut writer = Writer::new();
    writer.list(&logs, |writer, (log, sequence)| {
        writer.raw(&log.device.0).u64(log.incarnation.0).u64(**sequence);
    });
    writer.into_bytes()
}

/// Reads what `write` wrote, under the key of its document and device.
fn read(of: &[u8], value: &[u8]) -> Result<(DocumentKey, DeviceKey, Logs), Malformed> {
    let mut key = Reader::new(of);
    let (document, by) = (DocumentKey(key.array()?), DeviceKey(key.array()?));
    key.finish()?;
    let mut reader = Reader::new(value);
    let log = |reader: &mut Reader<'_>| {
        let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
        Ok((LogId { document, device, incarnation }, reader.u64()?))
    };
    let logs = reader.list(WANTED_LOGS_MAX, log)?;
    reader.finish()?;
    Ok((document, by, logs.into_iter().collect()))
}

impl Entity {
    /// Forgets what was wanted and has come, or cannot count any more; gives what must be written.
    fn settle_wants(&mut self, now: Option<Instant>) -> Vec<Record> {
        let roster = &self.roster;
        let reading = roster.reading();
        let is_in = |device: &DeviceKey| reading.member_of(device).is_some();
        // Of whoever is not in any more only what was held of it then counts.
        let counts = |log: &LogId| {
            let ended = roster.person_of(&log.device).is_some() && !is_in(&log.device);
            if ended { roster.named_head(log).map_or(0, |head| head.sequence) } else { u64::MAX }
        };
        let mut records = Vec::new();
        for replica in self.replicas.values_mut() {
            let heads = &replica.heads;
            replica.wants.prune(|log| heads.length(log), counts, is_in);
            records.extend(replica.wants.records(replica.key, now));
        }
        records
    }
}

impl Replicator {
    /// Writes what is wanted of an entity, if that changed.
    pub(crate) fn keep_wants(&mut self, id: EntityId) {
        let now = self.now.instant;
        let Some(entity) = self.entities.get_mut(&id).filter(|_| self.read_only.is_none()) else { return };
        let records = entity.settle_wants(Some(now));
        if !records.is_empty() {
            self.out.write(records, Vec::new());
        }
    }

    /// All that is wanted and not written yet.
    pub(crate) fn grown_wants(&mut self) -> Vec<Record> {
        self.entities.values_mut().flat_map(|entity| entity.settle_wants(None)).collect()
    }

    pub(crate) fn restore_wants(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        for (key, value) in locals.iter().filter(|(key, _)| key.kind == WANT) {
            let Ok((document, by, logs)) = read(&key.of, value) else { continue };
            let replica = self.entities.values_mut().find_map(|entity| entity.replicas.get_mut(&document));
            if let Some(replica) = replica {
                replica.wants.restore(by, logs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LOCAL_VALUE_BYTES_MAX;

    const DOCUMENT: DocumentKey = DocumentKey([1; 32]);
    const BEN: DeviceKey = DeviceKey([2; 32]);

    fn log(incarnation: u64) -> LogId {
        LogId { document: DOCUMENT, device: BEN, incarnation: Incarnation(incarnation) }
    }

    fn some(count: usize) -> impl Iterator<Item = (LogId, u64)> {
        (0..count as u64).map(|n| (log(n), 5))
    }

    #[test]
    fn what_is_wanted_reads_back_as_it_was_written() {
        let mut wants = Wants::default();
        wants.show(BEN, some(3));
        let records = wants.records(DOCUMENT, None);
        let [Record::Local { key, value: Some(value) }] = &records[..] else { panic!("{records:?}") };
        assert_eq!(read(&key.of, value), Ok((DOCUMENT, BEN, some(3).collect())));
        assert_eq!(wants.records(DOCUMENT, None), [], "nothing changed");
        assert!(wants.clear(&BEN) && !wants.clear(&BEN));
        assert_eq!(wants.records(DOCUMENT, None), [local(WANT, &key.of, None)]);
    }

    #[test]
    fn as_many_logs_are_wanted_of_one_device_as_fit_a_value_and_not_one_more() {
        let mut wants = Wants::default();
        wants.show(BEN, some(WANTED_LOGS_MAX));
        let records = wants.records(DOCUMENT, None);
        let [Record::Local { key, value: Some(value) }] = &records[..] else { panic!("{records:?}") };
        assert!(value.len() <= LOCAL_VALUE_BYTES_MAX && read(&key.of, value).is_ok());
        wants.raise(BEN, log(WANTED_LOGS_MAX as u64), 9);
        assert_eq!(wants.beyond(&BEN, |_| 0), 5 * WANTED_LOGS_MAX as u64);
        wants.show(BEN, some(WANTED_LOGS_MAX + 1));
        assert_eq!(wants.beyond(&BEN, |_| 0), 5 * WANTED_LOGS_MAX as u64);
        wants.raise(BEN, log(0), 6);
        assert_eq!(wants.beyond(&BEN, |_| 0), 5 * WANTED_LOGS_MAX as u64 + 1, "a known log goes on");
    }

    #[test]
    fn what_has_come_or_cannot_count_or_was_shown_by_a_stranger_is_not_wanted() {
        let mut wants = Wants::default();
        wants.show(BEN, some(3));
        wants.prune(|of| if *of == log(0) { 5 } else { 2 }, |of| if *of == log(1) { 2 } else { 4 }, |_| true);
        assert_eq!(wants.beyond(&BEN, |_| 2), 2, "the last log, as far as it counts");
        wants.prune(|_| 0, |_| u64::MAX, |by| *by != BEN);
        assert_eq!(wants.beyond(&BEN, |_| 0), 0);
    }

    #[test]
    fn a_device_that_shows_something_else_each_time_has_it_written_at_a_steady_pace() {
        let mut wants = Wants::default();
        let mut written = 0;
        for at in 0..1000 {
            wants.show(BEN, some(1 + at % 2));
            written += wants.records(DOCUMENT, Some(Instant(at as u64 * 300))).len();
        }
        assert!((16..=22).contains(&written), "{written} times in five minutes");
    }
}
