//! Envelopes that came too early: before their predecessor, a roster head, a key or an origin.
//!
//! Kept in our own bounded queue, never in yrs, where early arrivals are slow and corrupt
//! observers. What does not fit is dropped: the state vector does not count it, so the next
//! exchange with a peer brings it again. Devices share the room: whoever has least waiting may
//! displace the last of whoever has most, so nobody can fill it for good.

use std::collections::{BTreeMap, BTreeSet};

use crate::envelope::Envelope;
use crate::ids::{DeviceKey, LogId, StatementId};
use crate::limits::{WAITING_ENVELOPE_BYTES_MAX, WAITING_ENVELOPES_MAX};
use crate::update::BlockId;

/// What an envelope waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// The envelope before it in its log.
    Predecessor,
    /// A roster head it names.
    Roster,
    /// The key of its epoch.
    Key,
    /// This block of another log, on which it builds.
    Origin(BlockId),
    /// The document, which is being loaded.
    Document,
}

impl Want {
    fn in_words(self) -> &'static str {
        match self {
            Want::Predecessor => "for an earlier envelope",
            Want::Roster => "for the roster",
            Want::Key => "for the key",
            Want::Origin(_) => "for what it builds on",
            Want::Document => "for the document to be read",
        }
    }
}

/// The waiting envelopes of one document.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    envelopes: BTreeMap<(LogId, u64), (Envelope, Want)>,
    bytes: usize,
    /// How many wait of each device.
    counts: BTreeMap<DeviceKey, usize>,
}

impl Waiting {
    /// Keeps an envelope whose signature holds, unless one waits at its place already or there is
    /// no room.
    pub(crate) fn keep(&mut self, envelope: Envelope, want: Want) {
        let length = envelope.bytes().len();
        let place = (envelope.header.log, envelope.header.sequence);
        if self.envelopes.contains_key(&place) {
            return;
        }
        while self.envelopes.len() >= WAITING_ENVELOPES_MAX
            || self.bytes + length > WAITING_ENVELOPE_BYTES_MAX
        {
            if !self.displace_for(place.0.device) {
                return;
            }
        }
        self.bytes += length;
        *self.counts.entry(place.0.device).or_insert(0) += 1;
        self.envelopes.insert(place, (envelope, want));
    }

    /// Drops the last envelope of the device with most of them, if that is more than one above
    /// what `device` has.
    fn displace_for(&mut self, device: DeviceKey) -> bool {
        let has = self.counts.get(&device).copied().unwrap_or(0);
        let most = self.counts.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > has + 1);
        let Some(most) = most.map(|(device, _)| *device) else { return false };
        let last = self.envelopes.keys().rev().find(|(log, _)| log.device == most).copied();
        last.and_then(|(log, sequence)| self.take(log, sequence)).is_some()
    }

    /// What waits at this place of a log, and for what.
    pub(crate) fn at(&self, log: LogId, sequence: u64) -> Option<(&Envelope, Want)> {
        self.envelopes.get(&(log, sequence)).map(|(envelope, want)| (envelope, *want))
    }

    /// The furthest place of a log at which anything waits; 0 if nothing does.
    pub(crate) fn furthest(&self, log: &LogId) -> u64 {
        let of_log = self.envelopes.range((*log, 0)..=(*log, u64::MAX));
        of_log.last().map_or(0, |((_, sequence), _)| *sequence)
    }

    /// Takes out the envelope that waits at this place of a log.
    pub(crate) fn take(&mut self, log: LogId, sequence: u64) -> Option<Envelope> {
        let (envelope, _) = self.envelopes.remove(&(log, sequence))?;
        self.bytes -= envelope.bytes().len();
        if let Some(count) = self.counts.get_mut(&log.device) {
            *count -= 1;
        }
        self.counts.retain(|_, count| *count > 0);
        Some(envelope)
    }

    /// How many envelopes wait, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.envelopes.len(), self.bytes)
    }

    /// Drops all that waits of a log: another branch of it counts.
    pub(crate) fn clear_log(&mut self, log: &LogId) {
        self.drop_taken(|of| if of == log { u64::MAX } else { 0 });
    }

    /// Drops what waits at or below where each log stands.
    pub(crate) fn drop_taken(&mut self, stands: impl Fn(&LogId) -> u64) {
        let taken = self.envelopes.keys().filter(|(log, sequence)| *sequence <= stands(log));
        for (log, sequence) in taken.copied().collect::<Vec<_>>() {
            self.take(log, sequence);
        }
    }

    /// How many wait for what, in words for people.
    pub(crate) fn in_words(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (_, want) in self.envelopes.values() {
            let count = counts.entry(want.in_words()).or_insert(0u64);
            *count = count.saturating_add(1);
        }
        counts
    }

    /// Logs that have anything waiting.
    pub(crate) fn logs(&self) -> Vec<LogId> {
        let logs: BTreeSet<LogId> = self.envelopes.keys().map(|(log, _)| *log).collect();
        logs.into_iter().collect()
    }

    /// How many wait for this.
    pub(crate) fn count(&self, want: Want) -> usize {
        self.envelopes.values().filter(|(_, w)| *w == want).count()
    }

    /// How many of a device's own envelopes wait for a key.
    pub(crate) fn without_key(&self, device: &DeviceKey) -> u64 {
        let awaited = self.keys_awaited().into_iter().filter(|((of, _), _)| of == device);
        awaited.map(|(_, count)| count).fold(0, u64::saturating_add)
    }

    /// How many envelopes of which device wait for the key of which epoch.
    pub(crate) fn keys_awaited(&self) -> BTreeMap<(DeviceKey, StatementId), u64> {
        let mut counts = BTreeMap::new();
        for (envelope, _) in self.envelopes.values().filter(|(_, want)| *want == Want::Key) {
            let count = counts.entry((envelope.header.log.device, envelope.header.epoch)).or_insert(0u64);
            *count = count.saturating_add(1);
        }
        counts
    }

    /// The epochs whose keys are waited for.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = StatementId> {
        let waits = self.envelopes.values().filter(|(_, want)| *want == Want::Key);
        waits.map(|(envelope, _)| envelope.header.epoch)
    }

    /// Whether none wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::envelope::Header;
    use crate::epoch::EpochKey;
    use crate::identity::DeviceSecret;
    use crate::ids::{DocumentKey, EnvelopeHash, Incarnation, StatementId};

    /// An envelope of a device at a position of its log, with content of about this many bytes.
    fn envelope(device: u8, sequence: u64, bytes: usize) -> Envelope {
        let mut random = ChaCha20Rng::seed_from_u64(sequence);
        let device = DeviceSecret::from_seeds(&[device; 32], &[device; 32]);
        let log = LogId { document: DocumentKey([3; 32]), device: device.key(), incarnation: Incarnation(4) };
        let (heads, epoch) = (vec![StatementId([6; 32])], StatementId([7; 32]));
        let header = Header { log, sequence, previous: EnvelopeHash([5; 32]), heads, epoch };
        let mut content = vec![0; bytes];
        rand::Rng::fill_bytes(&mut random, &mut content);
        Envelope::seal(header, &content, &EpochKey::new([9; 32]), &device, &mut random).unwrap()
    }

    #[test]
    fn as_many_wait_as_there_is_room_for_and_one_more_is_dropped() {
        let mut waiting = Waiting::default();
        for sequence in 2..2 + WAITING_ENVELOPES_MAX as u64 {
            waiting.keep(envelope(1, sequence, 0), Want::Key);
        }
        let (count, bytes) = waiting.size();
        assert_eq!(count, WAITING_ENVELOPES_MAX);
        let one_more = envelope(1, 2 + WAITING_ENVELOPES_MAX as u64, 0);
        waiting.keep(one_more.clone(), Want::Key);
        assert_eq!(waiting.size(), (count, bytes));
        // Another device takes the last place of whoever has most, and what is gone makes room.
        waiting.keep(envelope(2, 2, 0), Want::Key);
        assert_eq!((waiting.size().0, waiting.logs().len()), (count, 2));
        assert!(waiting.take(one_more.header.log, 2).is_some());
        waiting.keep(one_more.clone(), Want::Key);
        assert!(waiting.at(one_more.header.log, one_more.header.sequence).is_some());
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_to_the_last_one() {
        let mut waiting = Waiting::default();
        let length = envelope(1, 2, 200_000).bytes().len();
        let fitting = WAITING_ENVELOPE_BYTES_MAX / length;
        for sequence in 2..2 + fitting as u64 {
            waiting.keep(envelope(1, sequence, 200_000), Want::Key);
        }
        assert_eq!(waiting.size(), (fitting, fitting * length));
        let left = WAITING_ENVELOPE_BYTES_MAX - fitting * length;
        let overhead = length - 200_000;
        waiting.keep(envelope(1, 900, left - overhead + 1), Want::Key);
        assert_eq!(waiting.size().0, fitting, "one byte too many");
        waiting.keep(envelope(1, 900, left - overhead), Want::Key);
        assert_eq!(waiting.size(), (fitting + 1, WAITING_ENVELOPE_BYTES_MAX));
    }
}
