//! What is kept of a document from before its snapshot: what each version changed, backwards.
//!
//! A step holds what stood under the keys that it changed *before* it did. The state at a version is
//! the snapshot with all later steps taken back, so the oldest can be dropped, neighbours joined, and
//! what was deleted taken out, without touching the rest. `stability` writes it behind each snapshot
//! and `history` reads it. Invariant: nothing is kept of what the snapshot has pruned.
//! Layout: docs/PROTOCOL.md, section 5.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read as _;
use std::sync::Arc;

use crate::bytes::{Malformed, Reader, Writer};
use crate::ids::{EnvelopeHash, to_base32};
use crate::limits::{
    MAP_KEY_BYTES_MAX, PAST_BYTES_MAX, PAST_PARTS_MAX, PAST_VERSIONS_MAX, RECORD_BYTES_MAX,
    SNAPSHOT_PART_BYTES_MAX, VERSION_PEOPLE_MAX,
};
use crate::schema::key::Owner;
use crate::time::WallTime;

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 3;

const DAY_MS: u64 = 86_400_000;

/// From which age on versions are joined, and by what stretch of time: all of the last week are kept,
/// then one of each day of a month, one of each week of a year, and one of each month.
const GRAINS: [(u64, u64); 3] =
    [(365 * DAY_MS, 30 * DAY_MS), (30 * DAY_MS, 7 * DAY_MS), (7 * DAY_MS, DAY_MS)];

/// Bytes that a step and one change of it take beside names and values, about.
const STEP_BYTES: usize = 96;
const CHANGE_BYTES: usize = 32;

/// Unpacked, with what the bounds do not count.
const UNPACKED_BYTES_MAX: usize = 2 * PAST_BYTES_MAX;

/// Names a version: the beginning of the hash of the last envelope in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub [u8; 8]);

impl VersionId {
    /// The version that an envelope makes.
    pub(crate) fn of(hash: EnvelopeHash) -> VersionId {
        VersionId(hash.0.first_chunk().copied().unwrap_or_default())
    }

    /// Whether a person who types this may mean it: its first digits, in either case.
    pub(crate) fn is_meant_by(&self, text: &str) -> bool {
        !text.is_empty() && self.to_string().starts_with(&text.to_ascii_lowercase())
    }
}

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&to_base32(&self.0))
    }
}

/// A root map and a key in it.
pub(crate) type Place = (&'static str, Arc<str>);

/// One version: who made it, and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) id: VersionId,
    /// Who, the first few of them; nobody where it came as a snapshot of another device.
    pub(crate) by: BTreeSet<Owner>,
    /// When its authors say that the first and the last of it was written, if they say so.
    pub(crate) times: Option<(WallTime, WallTime)>,
    /// When it was folded here; by this it ages.
    pub(crate) folded: WallTime,
    /// How many versions were joined in it.
    pub(crate) count: u64,
    /// What stood under the keys that it changed.
    pub(crate) before: BTreeMap<Place, Option<Arc<[u8]>>>,
}

impl Step {
    /// Joins the next one to it: from now on both are one version.
    fn join(&mut self, next: Step) {
        self.id = next.id;
        self.by.extend(next.by);
        while self.by.len() > VERSION_PEOPLE_MAX {
            self.by.pop_last();
        }
        self.times = match (self.times, next.times) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (one, other) => one.or(other),
        };
        self.folded = next.folded;
        self.count = self.count.saturating_add(next.count);
        for (place, before) in next.before {
            self.before.entry(place).or_insert(before);
        }
    }

    fn bytes(&self) -> usize {
        let change = |((_, key), before): (&Place, &Option<Arc<[u8]>>)| {
            CHANGE_BYTES + key.len() + before.as_ref().map_or(0, |value| value.len())
        };
        self.before.iter().map(change).fold(STEP_BYTES, usize::saturating_add)
    }

    /// To which stretch of time it belongs by its age; `None` while it stays by itself.
    fn stretch(&self, now: WallTime) -> Option<(u64, u64)> {
        let age = now.0.saturating_sub(self.folded.0);
        let (_, grain) = GRAINS.iter().find(|(from, _)| age >= *from)?;
        Some((*grain, self.folded.0.checked_div(*grain)?))
    }
}

/// Versions from the oldest on; after the last one the document is as the snapshot has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    steps: VecDeque<Step>,
    bytes: usize,
}

impl Past {
    /// The versions, the oldest first.
    pub(crate) fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> + ExactSizeIterator {
        self.steps.iter()
    }

    /// Adds the next version. What grows far past the bounds is thinned at once.
    pub(crate) fn push(&mut self, step: Step, now: WallTime) {
        self.bytes = self.bytes.saturating_add(step.bytes());
        self.steps.push_back(step);
        if self.steps.len() > 2 * PAST_VERSIONS_MAX || self.bytes > UNPACKED_BYTES_MAX {
            self.thin(now);
        }
    }

    /// Takes out what stood under keys that are gone; a version of which nothing is left goes too.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&str, &str) -> bool) {
        for step in &mut self.steps {
            step.before.retain(|(root, key), _| !is_gone(root, key));
        }
        self.steps.retain(|step| !step.before.is_empty() || step.by.is_empty());
        self.measure();
    }

    /// Joins what is old, and the oldest where there is too much of it still.
    pub(crate) fn thin(&mut self, now: WallTime) {
        self.join_where(self.steps.len(), |one, other| {
            let stretch = one.stretch(now);
            stretch.is_some() && stretch == other.stretch(now)
        });
        while self.steps.len() > PAST_VERSIONS_MAX {
            let older = self.steps.len() / 2;
            let mut is_second = false;
            self.join_where(older, |_, _| {
                is_second = !is_second;
                is_second
            });
        }
        self.measure();
        while self.bytes > PAST_BYTES_MAX {
            let Some(oldest) = self.steps.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }

    /// Joins neighbours among the first so many that belong together.
    fn join_where(&mut self, first: usize, mut belong: impl FnMut(&Step, &Step) -> bool) {
        let steps = std::mem::take(&mut self.steps);
        for (at, step) in steps.into_iter().enumerate() {
            match self.steps.back_mut() {
                Some(last) if at < first && belong(last, &step) => last.join(step),
                _ => self.steps.push_back(step),
            }
        }
    }

    fn measure(&mut self) {
        self.bytes = self.steps.iter().map(Step::bytes).fold(0, usize::saturating_add);
    }

    // -- on disk ------------------------------------------------------------------------------

    /// Writes it as parts to lie behind those of the snapshot: at least one, so that none of an earlier
    /// attempt to fold is taken for it.
    pub(crate) fn write(&self) -> Vec<Vec<u8>> {
        let parts = self.pack();
        if parts.len() > PAST_PARTS_MAX { Past::default().pack() } else { parts }
    }

    fn pack(&self) -> Vec<Vec<u8>> {
        let mut writer = Writer::new();
        writer.u8(VERSION).varint(count(self.steps.len()));
        for step in &self.steps {
            write_step(&mut writer, step);
        }
        let packed = zstd::bulk::compress(writer.as_slice(), ZSTD_LEVEL).unwrap_or_default();
        let mut writer = Writer::new();
        writer.u32(u32::try_from(packed.len()).unwrap_or(u32::MAX)).raw(&packed);
        writer.as_slice().chunks(SNAPSHOT_PART_BYTES_MAX).map(<[u8]>::to_vec).collect()
    }

    /// How many parts there are, as the first of them says.
    pub(crate) fn count_parts(first: &[u8]) -> Result<usize, Malformed> {
        let length = usize::try_from(Reader::new(first).u32()?).map_err(|_| Malformed)?;
        let parts = length.saturating_add(4).div_ceil(SNAPSHOT_PART_BYTES_MAX);
        if parts > PAST_PARTS_MAX { Err(Malformed) } else { Ok(parts) }
    }

    /// Puts parts together again; `roots` are those of the document.
    pub(crate) fn read(parts: &[Vec<u8>], roots: &[&'static str]) -> Result<Past, Malformed> {
        let bytes = parts.concat();
        let mut reader = Reader::new(&bytes);
        let length = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
        let plain = unpack(reader.take(length)?)?;
        reader.finish()?;
        let mut reader = Reader::new(&plain);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let mut past = Past::default();
        for _ in 0..reader.varint()? {
            past.steps.push_back(read_step(&mut reader, roots)?);
        }
        reader.finish()?;
        past.measure();
        Ok(past)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn write_step(writer: &mut Writer, step: &Step) {
    let Step { id, by, times, folded, count: joined, before } = step;
    writer.raw(&id.0);
    let by: Vec<&Owner> = by.iter().collect();
    writer.list(&by, |writer, owner| {
        writer.raw(&owner[..]);
    });
    writer.u8(u8::from(times.is_some()));
    if let Some((first, last)) = times {
        writer.u64(first.0).u64(last.0);
    }
    writer.u64(folded.0).varint(*joined).varint(count(before.len()));
    for ((root, key), before) in before {
        writer.short_text(root).short_text(key).u8(u8::from(before.is_some()));
        if let Some(value) = before {
            writer.short_bytes(value);
        }
    }
}

fn read_step(reader: &mut Reader<'_>, roots: &[&'static str]) -> Result<Step, Malformed> {
    let id = VersionId(reader.array()?);
    let by = reader.list(VERSION_PEOPLE_MAX, Reader::array)?;
    let times = match reader.u8()? {
        0 => None,
        _ => Some((WallTime(reader.u64()?), WallTime(reader.u64()?))),
    };
    let (folded, joined) = (WallTime(reader.u64()?), reader.varint()?);
    let mut before = BTreeMap::new();
    for _ in 0..reader.varint()? {
        let root = reader.short_text(MAP_KEY_BYTES_MAX)?;
        let key: Arc<str> = reader.short_text(MAP_KEY_BYTES_MAX)?.into();
        let value = match reader.u8()? {
            0 => None,
            _ => Some(Arc::from(reader.short_bytes(RECORD_BYTES_MAX)?)),
        };
        let root = roots.iter().find(|known| **known == root).ok_or(Malformed)?;
        before.insert((*root, key), value);
    }
    Ok(Step { id, by: by.into_iter().collect(), times, folded, count: joined, before })
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    let limit = count(UNPACKED_BYTES_MAX);
    let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| Malformed)?;
    let mut plain = Vec::new();
    decoder.take(limit.saturating_add(1)).read_to_end(&mut plain).map_err(|_| Malformed)?;
    if plain.len() > UNPACKED_BYTES_MAX { Err(Malformed) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: &[&str] = &["cards", "fields", "deleted"];
    const NOW: WallTime = WallTime(1000 * DAY_MS);

    fn step(number: u64, days_ago: u64, key: &str, before: &str) -> Step {
        let value = (!before.is_empty()).then(|| Arc::from(before.as_bytes()));
        Step {
            id: VersionId(number.to_be_bytes()),
            by: BTreeSet::from([[number as u8; 16]]),
            times: Some((WallTime(number), WallTime(number))),
            folded: WallTime(NOW.0 - days_ago * DAY_MS),
            count: 1,
            before: BTreeMap::from([(("fields", Arc::from(key)), value)]),
        }
    }

    fn past(steps: impl IntoIterator<Item = Step>) -> Past {
        let mut past = Past::default();
        steps.into_iter().for_each(|step| past.push(step, NOW));
        past
    }

    fn ids(past: &Past) -> Vec<u64> {
        past.steps().map(|step| u64::from_be_bytes(step.id.0)).collect()
    }

    /// What stood under each key before the first of all steps: what going back to there shows.
    fn beginning(past: &Past) -> BTreeMap<Place, Option<Arc<[u8]>>> {
        let mut state = BTreeMap::new();
        for step in past.steps().rev() {
            state.extend(step.before.clone());
        }
        state
    }

    #[test]
    fn what_is_kept_of_the_past_reads_back_from_its_parts() {
        let mut kept = past((0..50).map(|n| step(n, n, &format!("key {}", n % 7), "value")));
        kept.push(Step { by: BTreeSet::new(), times: None, count: 0, ..step(50, 0, "key", "") }, NOW);
        let parts = kept.write();
        assert_eq!(Past::count_parts(&parts[0]), Ok(parts.len()));
        assert_eq!(Past::read(&parts, ROOTS), Ok(kept.clone()));
        assert_eq!(Past::read(&parts, &["cards"]), Err(Malformed), "a map that the document has not");
        for end in 0..parts[0].len() {
            assert_eq!(Past::read(&[parts[0][..end].to_vec()], ROOTS), Err(Malformed), "{end}");
        }
        assert_eq!(Past::read(&Past::default().write(), ROOTS), Ok(Past::default()));
    }

    #[test]
    fn the_fullest_past_lies_in_as_many_parts_as_are_read() {
        let hash = |n: u64| blake3::hash(&n.to_be_bytes()).to_hex().to_string();
        let noise = |n: u64| (0..1000).map(|m| hash(1000 * n + m)).collect::<String>();
        let mut kept = past((0..80).map(|n| step(n, 0, &hash(n), &noise(n))));
        kept.thin(NOW);
        assert!(kept.bytes <= PAST_BYTES_MAX && kept.bytes > PAST_BYTES_MAX - 70_000, "{}", kept.bytes);
        let parts = kept.write();
        assert!((2..=PAST_PARTS_MAX).contains(&parts.len()), "{}", parts.len());
        assert_eq!(Past::read(&parts, ROOTS), Ok(kept));
        let lie = u32::try_from(PAST_PARTS_MAX * SNAPSHOT_PART_BYTES_MAX).unwrap().to_be_bytes();
        assert_eq!(Past::count_parts(&lie), Err(Malformed));
    }

    #[test]
    fn versions_of_the_last_week_stay_and_older_ones_are_joined_by_day_week_and_month() {
        let mut kept = past([
            step(1, 801, "a", "one"),
            step(2, 800, "a", "two"),
            step(3, 300, "a", "three"),
            step(4, 299, "b", "four"),
            step(5, 20, "a", "five"),
            step(6, 20, "a", "six"),
            step(7, 19, "a", "seven"),
            step(8, 6, "a", "eight"),
            step(9, 6, "a", "nine"),
        ]);
        let before = beginning(&kept);
        kept.thin(NOW);
        assert_eq!(ids(&kept), [2, 4, 6, 7, 8, 9]);
        assert_eq!(beginning(&kept), before, "and the beginning is the same");
        let first = kept.steps().next().unwrap();
        assert_eq!((first.count, first.by.len(), first.times), (2, 2, Some((WallTime(1), WallTime(2)))));
        let again = kept.clone();
        kept.thin(NOW);
        assert_eq!(kept, again);
    }

    #[test]
    fn a_clock_that_was_set_back_joins_nothing() {
        let mut kept = past((0..20).map(|n| step(n, 0, "a", "value")));
        kept.thin(WallTime(5 * DAY_MS));
        assert_eq!(kept.steps().len(), 20);
    }

    #[test]
    fn of_too_many_versions_the_older_are_joined_and_none_is_lost_from_the_beginning() {
        let count = PAST_VERSIONS_MAX as u64 + 1;
        let mut kept = past((0..count).map(|n| step(n, 0, &format!("key {}", n % 100), &format!("{n}"))));
        let before = beginning(&kept);
        kept.thin(NOW);
        assert!(kept.steps().len() <= PAST_VERSIONS_MAX && kept.steps().len() > PAST_VERSIONS_MAX / 2);
        assert_eq!(kept.steps().map(|step| step.count).sum::<u64>(), count);
        assert_eq!(beginning(&kept), before);
        assert_eq!(*ids(&kept).last().unwrap(), count - 1, "the newest stay as they are");
        assert!(kept.steps().all(|step| step.by.len() <= VERSION_PEOPLE_MAX));
    }

    #[test]
    fn what_is_too_large_loses_its_oldest_versions_also_while_it_grows() {
        let large = "x".repeat(RECORD_BYTES_MAX);
        let mut kept = Past::default();
        for number in 0..200 {
            kept.push(step(number, 0, &format!("{number}"), &large), NOW);
            assert!(kept.bytes <= UNPACKED_BYTES_MAX + RECORD_BYTES_MAX);
        }
        kept.thin(NOW);
        assert!(kept.bytes <= PAST_BYTES_MAX);
        assert_eq!(*ids(&kept).last().unwrap(), 199);
        assert!(ids(&kept)[0] > 100);
    }

    #[test]
    fn what_is_gone_is_taken_out_and_versions_of_which_nothing_is_left_with_it() {
        let mut kept = past([step(1, 0, "gone", "secret"), step(2, 0, "stays", "text")]);
        let mut both = step(3, 0, "gone", "secret too");
        both.before.extend(step(3, 0, "stays", "x").before);
        kept.push(both, NOW);
        kept.push(Step { by: BTreeSet::new(), before: BTreeMap::new(), ..step(4, 0, "", "") }, NOW);
        kept.forget(|_, key| key == "gone");
        assert_eq!(ids(&kept), [2, 3, 4], "where a snapshot was taken is told all the same");
        let parts = kept.write().concat();
        let plain = unpack(&parts[4..]).unwrap();
        assert!(!plain.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_version_is_meant_by_the_first_digits_of_its_name_in_either_case() {
        let id = VersionId([0xa7; 8]);
        let name = id.to_string();
        assert_eq!(name.len(), 13);
        assert!(id.is_meant_by(&name) && id.is_meant_by(&name[..4].to_uppercase()));
        assert!(!id.is_meant_by("") && !id.is_meant_by("zz"));
    }
}
