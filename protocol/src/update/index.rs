//! Remembers where every block of a document lies, so that rights can be judged on new ones.
//!
//! A block that follows another does not name its root and key; it lies where its origin lies.
//! `parse` resolves origins here, `document` records what it has taken in. The index outlives
//! pruning, because late blocks may follow pruned ones, and is saved with each snapshot. It also
//! names the keys that were pruned or bared: what comes for them later is dropped at once.
//! Invariant: each client's blocks are known from clock 0 to its end, without gaps.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::{BlockId, CLIENT_MAX, CLOCK_MAX};
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits;

/// Where a block lies: in a root, under a key, and in a nested map under a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the root.
    pub root: &'static str,
    /// The key in a root map; empty in a root text.
    pub key: Arc<str>,
    /// The field of the nested map under that key, if the block lies in one.
    pub field: Option<Arc<str>>,
}

/// What is known of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Void: rejected, or written without content. Nothing may follow it.
    Gone,
    /// A value, or a stretch of text.
    Value(Place),
    /// A nested map; its fields name it as their parent.
    Map(Place),
}

impl Known {
    /// Where it lies, unless it is void.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Known::Gone => None,
            Known::Value(place) | Known::Map(place) => Some(place),
        }
    }
}

/// Clocks in a row of which the same is known; it ends where the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u32,
    pub(super) known: Known,
}

/// The runs of one client in the order of their clocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    runs: Vec<Run>,
    end: u32,
}

impl Runs {
    /// Begins with nothing at `clock`.
    pub(super) fn from(clock: u32) -> Runs {
        Runs { runs: Vec::new(), end: clock }
    }

    /// The first clock past the last run.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// Adds `length` clocks at the end. The caller keeps the end within `CLOCK_MAX`.
    pub(super) fn push(&mut self, length: u32, known: Known) {
        // Nested maps stay apart: each is a parent of its own.
        let extends = matches!(&known, Known::Gone | Known::Value(_))
            && self.runs.last().is_some_and(|last| last.known == known);
        if !extends {
            self.runs.push(Run { start: self.end, known });
        }
        self.end = self.end.saturating_add(length);
    }

    pub(super) fn at(&self, clock: u32) -> Option<&Known> {
        let next = self.runs.partition_point(|run| run.start <= clock);
        let run = self.runs.get(next.checked_sub(1)?)?;
        (clock < self.end).then_some(&run.known)
    }

    /// Adds runs that begin where these end.
    fn append(&mut self, more: &Runs) {
        let ends = more.runs.iter().skip(1).map(|run| run.start).chain([more.end]);
        for (run, end) in more.runs.iter().zip(ends) {
            assert!(run.start == self.end, "runs begin where those before them end");
            self.push(end.saturating_sub(run.start), run.known.clone());
        }
    }

    /// The runs that begin before a clock.
    fn before(&self, clock: u32) -> impl Iterator<Item = &Run> {
        self.runs.iter().take_while(move |run| run.start < clock)
    }

    /// The runs from a clock on.
    fn beyond(&self, clock: u32) -> Runs {
        let mut beyond = Runs::from(clock);
        let ends = self.runs.iter().skip(1).map(|run| run.start).chain([self.end]);
        for (run, end) in self.runs.iter().zip(ends).filter(|(_, end)| *end > clock) {
            beyond.push(end.saturating_sub(run.start.max(clock)), run.known.clone());
        }
        beyond
    }

    /// What is known of each stretch of `clocks`.
    fn over(&self, clocks: Range<u32>) -> impl Iterator<Item = &Known> {
        let first = self.runs.partition_point(|run| run.start <= clocks.start).saturating_sub(1);
        self.runs.iter().skip(first).take_while(move |run| run.start < clocks.end).map(|run| &run.known)
    }
}

/// Keys of root maps.
type Keys = BTreeMap<&'static str, BTreeSet<Arc<str>>>;

/// All blocks of a document by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIndex {
    clients: BTreeMap<u64, Runs>,
    /// For each client the keys of root maps in which it has a block that is not void.
    written: BTreeMap<u64, Keys>,
    /// Keys of root maps that hold nothing any more, here.
    pruned: Keys,
    /// Keys of root maps of which nothing is left but that they are there.
    bare: Keys,
}

impl BlockIndex {
    /// Begins with nothing.
    pub fn new() -> BlockIndex {
        BlockIndex::default()
    }

    /// What is known of a block; `None` if it has not come.
    pub fn resolve(&self, id: BlockId) -> Option<&Known> {
        self.clients.get(&id.client)?.at(id.clock)
    }

    /// The clock which the next block of `client` must have.
    pub fn next_clock(&self, client: u64) -> u32 {
        self.clients.get(&client).map_or(0, Runs::end)
    }

    /// The next clock of every client that has blocks.
    pub fn clock_ends(&self) -> impl Iterator<Item = (u64, u32)> {
        self.clients.iter().map(|(client, runs)| (*client, runs.end))
    }

    /// Whether a client has a block, not void, under the key of a root map itself.
    pub(super) fn has_written(&self, client: u64, place: &Place) -> bool {
        let written = self.written.get(&client).and_then(|roots| roots.get(place.root));
        place.field.is_none() && written.is_some_and(|keys| keys.contains(&place.key))
    }

    /// The keys of a root map in which anything was written, by client and then in order.
    pub(super) fn keys(&self, root: &'static str) -> impl Iterator<Item = &Arc<str>> {
        self.written.values().filter_map(move |roots| roots.get(root)).flatten()
    }

    /// Whether a key of a root map was pruned.
    pub fn is_pruned(&self, root: &str, key: &str) -> bool {
        self.pruned.get(root).is_some_and(|keys| keys.contains(key))
    }

    /// Whether nothing is left of a key of a root map but that it is there.
    pub fn is_bare(&self, root: &str, key: &str) -> bool {
        self.bare.get(root).is_some_and(|keys| keys.contains(key))
    }

    /// Whether what is written under a key of a root map is dropped at once.
    pub(super) fn drops(&self, root: &str, key: &str) -> bool {
        self.is_pruned(root, key) || self.is_bare(root, key)
    }

    /// Whether a block is a value under a key of a root map of which values are dropped.
    pub(super) fn is_forgotten(&self, known: &Known) -> bool {
        let place = match known {
            Known::Value(place) => place,
            Known::Gone | Known::Map(_) => return false,
        };
        place.field.is_none() && self.drops(place.root, &place.key)
    }

    /// Remembers that a key of a root map was pruned.
    pub(super) fn prune(&mut self, root: &'static str, key: &Arc<str>) {
        self.pruned.entry(root).or_default().insert(Arc::clone(key));
    }

    /// Remembers that nothing is left of a key of a root map but that it is there.
    pub(super) fn bare(&mut self, root: &'static str, key: &Arc<str>) {
        self.bare.entry(root).or_default().insert(Arc::clone(key));
    }

    /// What is known of each stretch of `clocks`, in order.
    pub(super) fn over(&self, client: u64, clocks: Range<u32>) -> impl Iterator<Item = &Known> {
        self.clients.get(&client).into_iter().flat_map(move |runs| runs.over(clocks.clone()))
    }

    /// Adds the blocks of an update that begins where the client's blocks end.
    pub(super) fn record(&mut self, client: u64, update: &Runs) {
        if update.runs.is_empty() {
            return;
        }
        note_written(&mut self.written, client, update);
        self.clients.entry(client).or_default().append(update);
    }

    /// Adds what another index of the same document knows beyond the ends of this one, and the keys that
    /// were pruned or bared there. False, and nothing is right any more, if the two know other things of one block.
    pub(super) fn join(&mut self, other: &BlockIndex) -> bool {
        for (client, theirs) in &other.clients {
            let ours = self.clients.entry(*client).or_default();
            let common = ours.end.min(theirs.end);
            if !ours.before(common).eq(theirs.before(common)) {
                return false;
            }
            let more = theirs.beyond(ours.end);
            note_written(&mut self.written, *client, &more);
            ours.append(&more);
        }
        for (ours, theirs) in [(&mut self.pruned, &other.pruned), (&mut self.bare, &other.bare)] {
            for (root, keys) in theirs {
                ours.entry(root).or_default().extend(keys.iter().map(Arc::clone));
            }
        }
        true
    }

    /// Writes the index, each place once. Layout: docs/PROTOCOL.md, section 9.
    pub fn encode(&self, writer: &mut Writer) {
        let mut places = BTreeMap::new();
        for place in self.clients.values().flat_map(|r| &r.runs).filter_map(|run| run.known.place()) {
            places.insert(place, 0u32);
        }
        write_count(writer, places.len());
        for (number, (place, assigned)) in (0u32..).zip(&mut places) {
            *assigned = number;
            writer.short_text(place.root).short_text(&place.key).u8(place.field.is_some().into());
            if let Some(field) = &place.field {
                writer.short_text(field);
            }
        }
        write_count(writer, self.clients.len());
        for (client, runs) in &self.clients {
            writer.u64(*client).varint(u64::from(runs.end));
            write_count(writer, runs.runs.len());
            let mut last = 0;
            for run in &runs.runs {
                let kind = match run.known {
                    Known::Gone => 0,
                    Known::Value(_) => 1,
                    Known::Map(_) => 2,
                };
                writer.varint(u64::from(run.start.saturating_sub(last))).u8(kind);
                last = run.start;
                if let Some(place) = run.known.place() {
                    writer.varint(u64::from(places.get(place).copied().unwrap_or_default()));
                }
            }
        }
        write_keys(writer, &self.pruned, &places);
        write_keys(writer, &self.bare, &places);
    }

    /// Reads an index of a document with these `roots`; refuses gaps and foreign roots.
    pub fn decode(reader: &mut Reader<'_>, roots: &[&'static str]) -> Result<BlockIndex, Malformed> {
        let count = read_count(reader, 3)?;
        if count > limits::INDEX_RUNS_MAX {
            return Err(Malformed);
        }
        let places = (0..count).map(|_| read_place(reader, roots)).collect::<Result<Vec<_>, _>>()?;
        let (mut clients, mut written) = (BTreeMap::new(), BTreeMap::new());
        let (mut last, mut left) = (None, limits::INDEX_RUNS_MAX);
        for _ in 0..read_count(reader, 13)? {
            let client = reader.u64()?;
            if client > CLIENT_MAX || last.is_some_and(|last| last >= client) {
                return Err(Malformed);
            }
            last = Some(client);
            let runs = read_runs(reader, &places, &mut left)?;
            note_written(&mut written, client, &runs);
            clients.insert(client, runs);
        }
        let pruned = read_keys(reader, roots, &places)?;
        let bare = read_keys(reader, roots, &places)?;
        Ok(BlockIndex { clients, written, pruned, bare })
    }
}

fn note_written(written: &mut BTreeMap<u64, Keys>, client: u64, runs: &Runs) {
    let places = runs.runs.iter().filter_map(|run| run.known.place()).filter(|place| place.field.is_none());
    // Of texts there is one place for each root.
    let mut by_root: BTreeMap<&'static str, Vec<Arc<str>>> = BTreeMap::new();
    for place in places {
        by_root.entry(place.root).or_default().push(Arc::clone(&place.key));
    }
    for (root, keys) in by_root {
        match written.entry(client).or_default().entry(root) {
            Entry::Occupied(mut written) => written.get_mut().extend(keys),
            // Many at once, of a whole index: they are sorted first, which is sooner done.
            Entry::Vacant(none) => drop(none.insert(keys.into_iter().collect())),
        }
    }
}

fn write_count(writer: &mut Writer, count: usize) {
    writer.u32(u32::try_from(count).unwrap_or(u32::MAX));
}

/// A count of things that take at least `least` bytes each.
fn read_count(reader: &mut Reader<'_>, least: usize) -> Result<usize, Malformed> {
    let count = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
    if count > reader.left() / least { Err(Malformed) } else { Ok(count) }
}

/// Writes keys of root maps: those that are places of blocks by their numbers, each as the distance from the
/// one before, then the others, in which nothing was written.
fn write_keys(writer: &mut Writer, keys: &Keys, places: &BTreeMap<&Place, u32>) {
    let all = keys.iter().flat_map(|(root, keys)| keys.iter().map(move |key| (*root, key)));
    let mut others = Vec::new();
    let mut numbers = Vec::new();
    for (root, key) in all {
        match places.get(&Place { root, key: Arc::clone(key), field: None }) {
            Some(number) => numbers.push(*number),
            None => others.push((root, key)),
        }
    }
    write_count(writer, numbers.len());
    let mut next = 0;
    for number in numbers {
        writer.varint(u64::from(number.saturating_sub(next)));
        next = number.saturating_add(1);
    }
    write_count(writer, others.len());
    for (root, key) in others {
        writer.short_text(root).short_text(key);
    }
}

/// Reads what [`write_keys`] wrote; keys of places share their text.
fn read_keys(reader: &mut Reader<'_>, roots: &[&'static str], places: &[Place]) -> Result<Keys, Malformed> {
    let mut keys = Keys::new();
    let mut next = 0u64;
    for _ in 0..read_count(reader, 1)? {
        let number = next.checked_add(reader.varint()?).ok_or(Malformed)?;
        next = number.saturating_add(1);
        let place = usize::try_from(number).ok().and_then(|at| places.get(at)).ok_or(Malformed)?;
        if place.field.is_some() {
            return Err(Malformed);
        }
        keys.entry(place.root).or_default().insert(Arc::clone(&place.key));
    }
    let mut last = None;
    for _ in 0..read_count(reader, 2)? {
        let (root, key) = (read_root(reader, roots)?, reader.short_text(limits::MAP_KEY_BYTES_MAX)?);
        let of = |place: &Place| (place.root, &*place.key, &place.field).cmp(&(root, key, &None));
        let next = Some((root, key));
        if last >= next || places.binary_search_by(of).is_ok() {
            return Err(Malformed);
        }
        last = next;
        keys.entry(root).or_default().insert(Arc::from(key));
    }
    Ok(keys)
}

fn read_root(reader: &mut Reader<'_>, roots: &[&'static str]) -> Result<&'static str, Malformed> {
    let root = reader.short_text(limits::MAP_KEY_BYTES_MAX)?;
    roots.iter().copied().find(|known| *known == root).ok_or(Malformed)
}

fn read_place(reader: &mut Reader<'_>, roots: &[&'static str]) -> Result<Place, Malformed> {
    let root = read_root(reader, roots)?;
    let key = Arc::from(reader.short_text(limits::MAP_KEY_BYTES_MAX)?);
    let field = match reader.u8()? {
        0 => None,
        1 => Some(Arc::from(reader.short_text(limits::MAP_KEY_BYTES_MAX)?)),
        _ => return Err(Malformed),
    };
    Ok(Place { root, key, field })
}

/// Reads the runs of one client, of which there are at most so many `left`.
fn read_runs(reader: &mut Reader<'_>, places: &[Place], left: &mut usize) -> Result<Runs, Malformed> {
    let end = read_number(reader)?;
    let count = read_count(reader, 2)?;
    *left = left.checked_sub(count).ok_or(Malformed)?;
    let mut runs: Vec<Run> = Vec::with_capacity(count);
    for _ in 0..count {
        // Runs begin at clock 0, grow, and end before the client's end.
        let distance = read_number(reader)?;
        let start = match runs.last() {
            Some(last) if distance > 0 => last.start.checked_add(distance).ok_or(Malformed)?,
            None if distance == 0 => 0,
            Some(_) | None => return Err(Malformed),
        };
        if start >= end || end > CLOCK_MAX {
            return Err(Malformed);
        }
        let kind = reader.u8()?;
        let mut place = || {
            let number = usize::try_from(read_number(reader)?).map_err(|_| Malformed)?;
            places.get(number).cloned().ok_or(Malformed)
        };
        let known = match kind {
            0 => Known::Gone,
            1 => Known::Value(place()?),
            2 => Known::Map(place()?),
            _ => return Err(Malformed),
        };
        runs.push(Run { start, known });
    }
    if runs.is_empty() { Err(Malformed) } else { Ok(Runs { runs, end }) }
}

/// A varint of 32 bits.
fn read_number(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    reader.varint()?.try_into().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::INDEX_RUNS_MAX;

    const ROOTS: &[&str] = &["cards", "text"];

    fn place(key: &str, field: Option<&str>) -> Place {
        Place { root: "cards", key: key.into(), field: field.map(Arc::from) }
    }

    fn index() -> BlockIndex {
        let mut index = BlockIndex::new();
        let mut runs = Runs::from(0);
        runs.push(2, Known::Value(place("a", None)));
        runs.push(3, Known::Value(place("a", None)));
        runs.push(1, Known::Map(place("b", None)));
        runs.push(1, Known::Value(place("b", Some("title"))));
        runs.push(4, Known::Gone);
        index.record(7, &runs);
        let mut more = Runs::from(11);
        more.push(1, Known::Value(place("a", None)));
        index.record(7, &more);
        index.prune("cards", &"a".into());
        index.prune("cards", &"never written".into());
        index.bare("cards", &"bare".into());
        index
    }

    #[test]
    fn a_block_resolves_to_its_place_and_only_within_the_clocks() {
        let index = index();
        let at = |client, clock| index.resolve(BlockId { client, clock });
        assert_eq!(at(7, 4), Some(&Known::Value(place("a", None))));
        assert_eq!(at(7, 5), Some(&Known::Map(place("b", None))));
        assert_eq!(at(7, 6), Some(&Known::Value(place("b", Some("title")))));
        assert_eq!(at(7, 10), Some(&Known::Gone));
        assert_eq!((at(7, 12), at(8, 0), index.next_clock(7)), (None, None, 12));
        assert_eq!(index.over(7, 4..7).count(), 3);
    }

    #[test]
    fn an_index_reads_back_as_it_was_written() {
        let mut writer = Writer::new();
        index().encode(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(BlockIndex::decode(&mut reader, ROOTS), Ok(index()));
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(BlockIndex::decode(&mut Reader::new(&bytes), &["other"]), Err(Malformed));
    }

    #[test]
    fn an_index_of_more_runs_or_places_than_any_document_has_is_refused() {
        let read = |bytes: &[u8]| BlockIndex::decode(&mut Reader::new(bytes), ROOTS);
        let runs = |clients: u64, count: usize| {
            let mut writer = Writer::new();
            write_count(&mut writer, 0);
            writer.u32(u32::try_from(clients).unwrap());
            for client in 0..clients {
                writer.u64(client).varint(count as u64);
                write_count(&mut writer, count);
                for number in 0..count {
                    writer.varint(u64::from(number > 0)).u8(0);
                }
            }
            for _ in 0..4 {
                write_count(&mut writer, 0);
            }
            writer.into_bytes()
        };
        assert!(read(&runs(2, INDEX_RUNS_MAX / 2)).is_ok());
        assert_eq!(read(&runs(2, INDEX_RUNS_MAX / 2 + 1)), Err(Malformed));
        let mut writer = Writer::new();
        write_count(&mut writer, INDEX_RUNS_MAX + 1);
        for _ in 0..=INDEX_RUNS_MAX {
            writer.short_text("cards").short_text("a").u8(0);
        }
        assert_eq!(read(writer.as_slice()), Err(Malformed));
    }

    #[test]
    fn no_damaged_index_is_read_with_gaps_or_makes_the_reader_panic() {
        let mut writer = Writer::new();
        index().encode(&mut writer);
        let bytes = writer.into_bytes();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(read) = BlockIndex::decode(&mut Reader::new(&damaged), ROOTS) {
                    for (client, end) in read.clock_ends() {
                        assert!(read.resolve(BlockId { client, clock: 0 }).is_some());
                        assert!(read.resolve(BlockId { client, clock: end - 1 }).is_some());
                    }
                }
            }
            assert!(BlockIndex::decode(&mut Reader::new(&bytes[..at]), ROOTS).is_err());
        }
    }
}
