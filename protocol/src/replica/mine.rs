//! What this device wrote and what does not count: to be shown, or to be written anew.
//!
//! What a removal, demotion or revocation cut off is shown, and counts again by itself should the
//! act cease to count. What stood on a branch of our own log that lost, or in a log whose client id
//! is a senior's, comes back by nothing, and what builds on what does not count can be taken by nobody
//! who lacks that: its author writes it anew in a new incarnation, once.

use std::collections::BTreeMap;

use super::live::{Live, Void};
use super::own::Edits;
use super::pruning::wrote;
use super::{Content, Replica};
use crate::checkpoint::Vector;
use crate::envelope::Envelope;
use crate::epoch::EpochKey;
use crate::ids::{EnvelopeHash, LogId, StatementId};
use crate::limits::{UNACCEPTED_BYTES_MAX, UNACCEPTED_ENVELOPES_MAX};
use crate::schema::key::Owner;
use crate::schema::{self, Concern, Part, Put};
use crate::stability::{Late, LateWhy};
use crate::update::Shape;
use crate::update::glean::{Earlier, glean};

/// How many envelopes that were written anew are remembered of one document: 64 KiB.
const REWRITTEN_MAX: usize = 8000;

/// Envelopes of this device that do not count, in the order written.
#[derive(Debug, Default)]
pub(crate) struct Mine {
    envelopes: Vec<(Envelope, Why)>,
    bytes: usize,
    /// Those that found no room.
    more: u64,
    whys: BTreeMap<EnvelopeHash, Why>,
    /// Where the blocks of those that were written anew already lie: what follows them in its log
    /// may name its keys by these alone.
    passed_over: BTreeMap<LogId, Earlier>,
}

/// Why something of ours does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// By the roster this device had no right to write it.
    NoRight,
    /// Another branch of the log counts.
    Branch,
    /// What it builds on does not count: nobody has that any more, so nobody can take it.
    Origin,
    /// Its content is void for everybody.
    Void(Void),
}

/// What must be written anew.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// What the document lacks, in the order written.
    pub(crate) edits: Vec<Edits>,
    /// There is more than fits: the content must be read once more.
    pub(crate) more: bool,
}

/// One value of ours that does not count.
#[derive(Debug)]
pub(crate) struct Unaccepted {
    pub(crate) root: &'static str,
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) why: Why,
}

impl Why {
    /// Whether nothing brings it back: it must be written anew.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Why::Branch | Why::Origin | Why::Void(Void::TakenClientId(_)))
            || matches!(self, Why::Void(Void::Ended))
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::NoRight => f.write_str("this device had no right to write any more when it was written"),
            Why::Branch => f.write_str("this device's log was written twice, and the other branch counts"),
            Why::Origin => f.write_str("it builds on what does not count"),
            Why::Void(void) => write!(f, "nobody takes it: {void}"),
        }
    }
}

/// What an envelope is remembered by once it was written anew.
pub(super) fn beginning(hash: EnvelopeHash) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    [a, b, c, d, e, f, g, h]
}

impl Mine {
    pub(super) fn keep(&mut self, envelope: Envelope, why: Why) {
        let bytes = self.bytes.saturating_add(envelope.bytes().len());
        if self.envelopes.len() >= UNACCEPTED_ENVELOPES_MAX || bytes > UNACCEPTED_BYTES_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.bytes = bytes;
        self.whys.insert(envelope.hash(), why.clone());
        self.envelopes.push((envelope, why));
    }

    /// Notes one that was written anew already. Gives the places of its log, to be added to.
    pub(super) fn pass_over(&mut self, envelope: &Envelope, why: Why) -> &mut Earlier {
        self.whys.insert(envelope.hash(), why);
        self.passed_over.entry(envelope.header.log).or_default()
    }

    /// Why an envelope of ours does not count: what follows it does not for the same reason.
    pub(super) fn why(&self, hash: &EnvelopeHash) -> Option<&Why> {
        self.whys.get(hash).filter(|why| !matches!(why, Why::Void(_)))
    }

    fn count(&self) -> u64 {
        u64::try_from(self.envelopes.len()).unwrap_or(u64::MAX).saturating_add(self.more)
    }
}

impl Replica {
    /// Whether something of ours is to be written anew.
    pub(crate) fn has_lost(&self) -> bool {
        matches!(&self.content, Content::Live(live) if live.mine.envelopes.iter().any(|(_, why)| why.is_lost()))
    }

    /// Counts what of ours does not count, after the content was read. True if that has changed
    /// since it was read before.
    pub(crate) fn count_unaccepted(&mut self) -> bool {
        let Content::Live(live) = &self.content else { return false };
        let count = live.mine.count();
        let before = self.unaccepted.replace(count);
        before.map_or(count > 0, |before| before != count)
    }

    /// What of ours does not count, value by value.
    pub(crate) fn unaccepted_values(&self, keys: &BTreeMap<StatementId, EpochKey>) -> Vec<Unaccepted> {
        let Content::Live(live) = &self.content else { return Vec::new() };
        let mut earlier = live.mine.passed_over.clone();
        let mut found = Vec::new();
        for (envelope, why) in &live.mine.envelopes {
            for put in self.puts(envelope, keys, earlier.entry(envelope.header.log).or_default()) {
                found.push(Unaccepted { root: put.root, key: put.key, value: put.value, why: why.clone() });
            }
        }
        found
    }

    /// What of ours within a vector is void for everybody: once that is folded nothing else tells of it.
    pub(crate) fn void_within(&self, keys: &BTreeMap<StatementId, EpochKey>, upto: &Vector) -> Vec<Late> {
        let Content::Live(live) = &self.content else { return Vec::new() };
        self.void_of(&live.mine, keys, upto)
    }

    /// What of ours was found to be void where it was read for a checkpoint, by the roster that this names.
    pub(crate) fn void_folded(&self, keys: &BTreeMap<StatementId, EpochKey>) -> Vec<Late> {
        let folding = self.folding.as_ref();
        folding.map(|folding| self.void_of(&folding.mine, keys, &folding.upto)).unwrap_or_default()
    }

    /// Notes what this person made and is shown here, and is not in the snapshot that takes the place of
    /// that: it may lie beyond, or be void by the roster by which others judged.
    pub(crate) fn note_missed(&mut self, snapshot: &Live, owner: Owner) {
        let Content::Live(live) = &self.content else { return };
        let concern = self.concern;
        let is_missed = |root: &str, key: &str| {
            let about = schema::about(&concern, root, key);
            about.is_some_and(|about| about.part == Part::Made && about.id.owner == owner)
                && snapshot.document.get(root, key).is_none()
        };
        let shown = schema::roots(&concern).iter().flat_map(|root| {
            let values = live.document.iter(root).map(move |(key, value)| (*root, key, value));
            values.filter_map(|(root, key, value)| Some((root, key, value.as_bytes()?)))
        });
        let missed = shown.filter(|(root, key, _)| is_missed(root, key));
        self.missed = missed
            .map(|(root, key, value)| Late { why: LateWhy::Folded, ..wrote(&concern, root, key, value) })
            .collect();
    }

    /// The document was read anew: what was missed and is not shown again did not count for who folded it.
    /// True if there is any.
    pub(crate) fn settle_missed(&mut self) -> bool {
        let Content::Live(live) = &self.content else { return false };
        let is_lost = |late: &Late| {
            let about = schema::about(&self.concern, &late.root, &late.key);
            let is_pruned = about.is_some_and(|about| live.forgetting.tombstones.is_pruned(about.id));
            !is_pruned && live.document.get(&late.root, &late.key).is_none()
        };
        let lost = std::mem::take(&mut self.missed).into_iter().filter(is_lost).collect();
        self.stability.note_late(lost)
    }

    fn void_of(&self, mine: &Mine, keys: &BTreeMap<StatementId, EpochKey>, upto: &Vector) -> Vec<Late> {
        let mut earlier = mine.passed_over.clone();
        let mut found = Vec::new();
        for (envelope, why) in &mine.envelopes {
            let header = &envelope.header;
            let is_within = upto.get(&header.log).is_some_and(|head| header.sequence <= head.sequence);
            for put in self.puts(envelope, keys, earlier.entry(header.log).or_default()) {
                if is_within && matches!(why, Why::Void(_)) && !why.is_lost() {
                    let late = wrote(&self.concern, put.root, &put.key, &put.value);
                    found.push(Late { why: LateWhy::Folded, ..late });
                }
            }
        }
        found
    }

    /// What stood in vain on branches that lost and must be written anew.
    ///
    /// Of a key that was written more than once the last value counts. What the document shows
    /// already is left out, and so is what somebody else may have set meanwhile: a value under a
    /// key that is not `owner`'s alone comes back only where the document has none.
    pub(crate) fn take_lost(&mut self, keys: &BTreeMap<StatementId, EpochKey>, owner: Owner) -> Lost {
        let Content::Live(live) = &self.content else { return Lost::default() };
        let mut earlier = live.mine.passed_over.clone();
        let mut last: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
        let mut puts: Vec<Option<Put>> = Vec::new();
        let (mut hashes, mut texts) = (Vec::new(), Vec::new());
        for (envelope, _) in live.mine.envelopes.iter().filter(|(_, why)| why.is_lost()) {
            hashes.push(beginning(envelope.hash()));
            if schema::shape(&self.concern) == Shape::Texts {
                let content = keys.get(&envelope.header.epoch).and_then(|key| envelope.open(key).ok());
                texts.extend(content.map(Edits::Anew));
                continue;
            }
            for put in self.puts(envelope, keys, earlier.entry(envelope.header.log).or_default()) {
                let before = last.insert((put.root, put.key.clone()), puts.len());
                if let Some(before) = before.and_then(|before| puts.get_mut(before)) {
                    *before = None;
                }
                puts.push(Some(put));
            }
        }
        let lacks = |put: &Put| match live.document.get(put.root, &put.key) {
            None => true,
            Some(shown) => {
                let writer = schema::writer(&self.concern, put.root, &put.key);
                let is_own = self.concern == Concern::Home || writer == Some(owner);
                is_own && **shown != *put.value
            }
        };
        let puts = puts.into_iter().flatten().filter(lacks).map(|put| Edits::Puts(vec![put]));
        let edits = texts.into_iter().chain(puts).collect();
        let more = !hashes.is_empty() && live.mine.more > 0;
        if let Content::Live(live) = &mut self.content {
            live.mine.envelopes.retain(|(_, why)| !why.is_lost());
        }
        self.rewriting.extend(hashes);
        Lost { edits, more }
    }

    /// What was written anew, to be remembered once all of it is on disk.
    pub(crate) fn take_rewritten(&mut self) -> Option<Vec<u8>> {
        if self.rewriting.is_empty() || self.sealing || !self.is_sealed() {
            return None;
        }
        self.rewritten.append(&mut self.rewriting);
        let surplus = self.rewritten.len().saturating_sub(REWRITTEN_MAX);
        self.rewritten.drain(..surplus);
        Some(self.rewritten.concat())
    }

    /// Reads back what `take_rewritten` gave.
    pub(crate) fn restore_rewritten(&mut self, value: &[u8]) {
        self.rewritten = value.chunks_exact(8).filter_map(|part| part.try_into().ok()).collect();
    }

    fn puts(
        &self,
        envelope: &Envelope,
        keys: &BTreeMap<StatementId, EpochKey>,
        earlier: &mut Earlier,
    ) -> Vec<Put> {
        let Content::Live(live) = &self.content else { return Vec::new() };
        let key = keys.get(&envelope.header.epoch);
        let Some(content) = key.and_then(|key| envelope.open(key).ok()) else { return Vec::new() };
        let client = (self.client_of)(&envelope.header.log);
        let roots = schema::roots(&self.concern);
        let gleaned = glean(&content, client, roots, live.document.index(), earlier);
        let plain = gleaned.writes.into_iter().filter(|(place, _)| place.field.is_none());
        plain
            .map(|(place, value)| Put { root: place.root, key: place.key.to_string(), value: value.to_vec() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::super::snapshot::tests::{actor, begun, live, write};
    use super::*;
    use crate::envelope::Header;
    use crate::identity::DeviceSecret;
    use crate::ids::{DocumentKey, Incarnation};
    use crate::limits::ENVELOPE_BYTES_MAX;

    /// An envelope with so many bytes of noise in it.
    fn envelope(content_bytes: usize) -> Envelope {
        let device = DeviceSecret::from_seeds(&[1; 32], &[2; 32]);
        let mut random = ChaCha20Rng::from_seed([3; 32]);
        let mut content = vec![0; content_bytes];
        random.fill_bytes(&mut content);
        let log = LogId { document: DocumentKey([4; 32]), device: device.key(), incarnation: Incarnation(5) };
        let (previous, heads) = (EnvelopeHash([0; 32]), vec![StatementId([6; 32])]);
        let header = Header { log, sequence: 1, previous, heads, epoch: StatementId([7; 32]) };
        Envelope::seal(header, &content, &EpochKey::new([8; 32]), &device, &mut random).unwrap()
    }

    #[test]
    fn what_finds_no_room_is_counted_and_not_kept() {
        let small = envelope(1);
        let largest = envelope(ENVELOPE_BYTES_MAX - envelope(0).bytes().len());
        assert_eq!(UNACCEPTED_BYTES_MAX % largest.bytes().len(), 0, "a round number fills the room");
        let fit = UNACCEPTED_BYTES_MAX / largest.bytes().len();
        for (envelope, room) in [(&small, UNACCEPTED_ENVELOPES_MAX), (&largest, fit)] {
            let mut mine = Mine::default();
            (0..room).for_each(|_| mine.keep(envelope.clone(), Why::NoRight));
            assert_eq!((mine.envelopes.len(), mine.more), (room, 0));
            mine.keep(envelope.clone(), Why::NoRight);
            assert_eq!((mine.envelopes.len(), mine.more), (room, 1));
            assert_eq!(mine.bytes, room * envelope.bytes().len());
            assert_eq!(mine.count(), u64::try_from(room).unwrap() + 1, "it is shown that there is more");
        }
        let mut mine = Mine::default();
        (0..fit).for_each(|_| mine.keep(largest.clone(), Why::NoRight));
        mine.keep(small, Why::NoRight);
        assert_eq!(mine.more, 1, "no byte is left");
    }

    #[test]
    fn what_a_snapshot_lacks_that_was_shown_is_told_unless_it_comes_again_behind_it() {
        let mut random = ChaCha20Rng::from_seed([4; 32]);
        let (mut replicas, mut others) = begun(&mut random);
        let own = &mut replicas[0];
        let made = |own: &mut Replica| live(own).document.iter("messages").count();
        let before = made(own);
        while made(own) < before + 2 {
            write(own, 1, &mut random);
        }
        let snapshot = std::mem::replace(&mut others.content, Content::Cold);
        let Content::Live(snapshot) = snapshot else { panic!("it was read") };
        own.note_missed(&snapshot, actor(1).owner());
        assert_eq!(own.missed.len(), 2, "what it holds of others, and of this person, is not missed");
        let missed = own.missed.clone();
        assert!(!own.settle_missed(), "all was there again when it was read");
        assert_eq!(own.stability.late(), []);
        own.missed = missed.clone();
        own.content = Content::Live(snapshot);
        assert!(own.settle_missed());
        assert_eq!(own.stability.late(), missed);
        assert!(!own.settle_missed(), "once");
    }
}
