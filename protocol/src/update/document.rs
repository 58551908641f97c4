//! Holds one document: the CRDT, the index of its blocks and its visible content in key order.
//!
//! The only module that calls the CRDT library. `replica` edits and applies through it; schemas
//! read. The library is given nothing but updates that `parse` or `snapshot` has accepted, runs
//! inside `catch_unwind`, and after any fault of its own the document is poisoned: it answers no
//! more and must be rebuilt from its log. Invariant: index, content and CRDT hold the same blocks.

mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Doc, GetString, Map, MapRef, OffsetKind, Options, Out, ReadTxn, StateVector, TextRef, Transact,
    TransactionMut, Update, WriteTxn,
};

use super::index::BlockIndex;
use super::parse::{Content, Expect, Fault, Parsed, parse};
use super::{CLIENT_MAX, Shape, snapshot, write};
use crate::ids::Digest;
use crate::limits;

pub use texts::TextEdit;
pub(crate) use texts::{bytes_of, has_pairs, length_after};

const CONTENT_CONTEXT: &str = "fourword document content v1";

/// What lies under a key of a root map. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A record.
    Bytes(Arc<[u8]>),
    /// The fields of a nested map.
    Fields(Arc<BTreeMap<Arc<str>, Arc<[u8]>>>),
}

impl Value {
    /// The record, if it is one.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Fields(_) => None,
        }
    }
}

/// What counts for a hash of what lies under a key of a root map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The key and the value.
    Whole,
    /// That the key is there.
    Key,
    /// Nothing, as if it were not there.
    Nothing,
}

/// One key to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// A root of the document.
    pub root: &'static str,
    /// 1 to `limits::MAP_KEY_BYTES_MAX` bytes.
    pub key: String,
    /// The whole record.
    pub value: Vec<u8>,
}

/// A key whose visible value is another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The root map.
    pub root: &'static str,
    /// The key.
    pub key: Arc<str>,
    /// What was there.
    pub before: Option<Value>,
    /// What is there.
    pub after: Option<Value>,
}

/// What an update changed for readers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys of root maps, sorted.
    pub keys: Vec<Change>,
    /// Root texts that were written or deleted from.
    pub texts: BTreeSet<&'static str>,
}

/// An edit of our own, already part of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What travels.
    pub update: Vec<u8>,
    /// What readers see of it.
    pub changes: Changes,
}

/// Why a document did not do what was asked. Only the last two leave it poisoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// No log was begun, or its client id is 0 or too large.
    #[error("no log to write in")]
    NoLog,
    /// Nothing to write, or a root, key, range or size that cannot be.
    #[error("this cannot be written")]
    Unwritable,
    /// The update was judged against other blocks than are here now.
    #[error("the update does not continue what is here")]
    Stale,
    /// The state or its index was refused.
    #[error("refused state: {0}")]
    Refused(#[from] Fault),
    /// The library did not take what we had accepted.
    #[error("an accepted update did not fit")]
    Unfit,
    /// The library panicked, now or earlier: rebuild the document from its log.
    #[error("the document is poisoned")]
    Poisoned,
}

/// One document in memory.
pub struct Document {
    name: Arc<str>,
    roots: &'static [&'static str],
    shape: Shape,
    doc: Doc,
    maps: BTreeMap<&'static str, MapRef>,
    texts: BTreeMap<&'static str, TextRef>,
    values: BTreeMap<&'static str, BTreeMap<Arc<str>, Value>>,
    index: BlockIndex,
    /// What is shown under bare keys.
    nothing: Arc<[u8]>,
    /// Its texts hold, or held, characters of two UTF-16 units.
    has_pairs: bool,
    is_poisoned: bool,
}

impl Document {
    /// Makes an empty document. It can be edited after `begin_log`.
    pub fn new(name: &str, roots: &'static [&'static str], shape: Shape) -> Document {
        let name = Arc::from(name);
        let doc = new_doc(&name, 0);
        let (maps, texts, values, nothing, has_pairs, is_poisoned) = Default::default();
        let index = BlockIndex::new();
        let mut document =
            Document { name, roots, shape, doc, maps, texts, values, index, nothing, has_pairs, is_poisoned };
        document.find_roots();
        document
    }

    /// Opens a whole state with its index; both are checked first, and refused if they disagree.
    pub fn open(
        name: &str,
        roots: &'static [&'static str],
        shape: Shape,
        state: &[u8],
        index: BlockIndex,
    ) -> Result<Document, DocumentError> {
        snapshot::check(state, &index, shape)?;
        let mut document = Document::new(name, roots, shape);
        document.index = index;
        document.guarded(|document| document.reload(state, 0))?;
        Ok(document)
    }

    /// Makes `client` the one whose log edits go to.
    ///
    /// A document keeps its client for life, so this rebuilds it from its own state: rare.
    pub fn begin_log(&mut self, client: u64) -> Result<(), DocumentError> {
        if client == 0 || client > CLIENT_MAX {
            return Err(DocumentError::NoLog);
        }
        if client == self.client() {
            return Ok(());
        }
        let state = self.encode_state()?;
        self.guarded(|document| document.reload(&state, client))
    }

    /// Writes all `puts` as one edit of the begun log.
    pub fn edit(&mut self, puts: &[Put]) -> Result<Edit, DocumentError> {
        let size = |put: &Put| put.key.len().saturating_add(put.value.len()).saturating_add(64);
        let bytes = puts.iter().fold(0usize, |sum, put| sum.saturating_add(size(put)));
        let writable = |put: &Put| {
            self.maps.contains_key(put.root) && (1..=limits::MAP_KEY_BYTES_MAX).contains(&put.key.len())
        };
        if !(1..=limits::UPDATE_BLOCKS_MAX).contains(&puts.len())
            || bytes > limits::CONTENT_BYTES_MAX
            || !puts.iter().all(writable)
        {
            return Err(DocumentError::Unwritable);
        }
        self.write(|document, txn| {
            for put in puts {
                let map = document.maps.get(put.root).ok_or(DocumentError::Unfit)?;
                map.insert(txn, put.key.as_str(), Any::Buffer(put.value.as_slice().into()));
            }
            Ok(())
        })
    }

    /// Judges bytes as the next update of the log that writes as `client`.
    pub fn expect(&self, client: u64) -> Expect<'_> {
        Expect { client, index: &self.index, roots: self.roots, shape: self.shape }
    }

    /// Takes in an update that was judged against this document as it is now.
    pub fn apply(&mut self, parsed: &Parsed<'_>) -> Result<Changes, DocumentError> {
        if self.index.next_clock(parsed.client) != parsed.clocks.start {
            return Err(DocumentError::Stale);
        }
        self.guarded(|document| {
            let mut txn = document.doc.transact_mut();
            take(&mut txn, parsed.bytes)?;
            let clock = txn.state_vector().get(&ClientID::new(parsed.client));
            drop(txn);
            if clock == parsed.clocks.end { Ok(()) } else { Err(DocumentError::Unfit) }
        })?;
        self.absorb(parsed)
    }

    /// Lets the clocks of a rejected update pass as void, so that its log goes on.
    pub fn reject(&mut self, client: u64, clocks: Range<u32>) -> Result<(), DocumentError> {
        if clocks.is_empty() {
            return Ok(());
        }
        let void = write::gc_update(client, clocks);
        let expect = Expect { client, index: &self.index, roots: self.roots, shape: self.shape };
        let parsed = parse(&void, &expect).map_err(|_| DocumentError::Stale)?;
        self.apply(&parsed).map(drop)
    }

    /// Drops the content under a key, here only and for good: no clock moves and nothing is to be
    /// sent. What comes for the key later is judged as before and dropped at once, so replicas that
    /// prune at different moments end with equal content.
    pub fn prune(&mut self, root: &'static str, key: &str) -> Result<Option<Change>, DocumentError> {
        if !self.maps.contains_key(root) || !(1..=limits::MAP_KEY_BYTES_MAX).contains(&key.len()) {
            return Err(DocumentError::Unwritable);
        }
        let key = Arc::from(key);
        self.index.prune(root, &key);
        self.guarded(|document| {
            document.remove(root, &key);
            Ok(document.refresh(root, &key))
        })
    }

    /// Drops the content under a key as [`Document::prune`] does, but leaves the key: from now on an empty
    /// record is shown there, whatever comes for it later. Where nothing is shown nothing is done.
    pub fn bare(&mut self, root: &'static str, key: &str) -> Result<Option<Change>, DocumentError> {
        let shown = self.values.get(root).and_then(|values| values.get_key_value(key));
        let Some(key) = shown.map(|(key, _)| Arc::clone(key)) else { return Ok(None) };
        self.index.bare(root, &key);
        self.guarded(|document| {
            document.remove(root, &key);
            Ok(document.refresh(root, &key))
        })
    }

    /// Empties a key of a root map in the CRDT.
    fn remove(&self, root: &'static str, key: &str) {
        if let Some(map) = self.maps.get(root) {
            map.remove(&mut self.doc.transact_mut(), key);
        }
    }

    /// The visible record under a key of a root map.
    pub fn get(&self, root: &str, key: &str) -> Option<&Arc<[u8]>> {
        match self.values.get(root)?.get(key)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Fields(_) => None,
        }
    }

    /// The fields of the nested map under a key of a root map.
    pub fn fields(&self, root: &str, key: &str) -> Option<&BTreeMap<Arc<str>, Arc<[u8]>>> {
        match self.values.get(root)?.get(key)? {
            Value::Bytes(_) => None,
            Value::Fields(fields) => Some(fields),
        }
    }

    /// All that lies in a root map, by key.
    pub fn iter(&self, root: &str) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.values.get(root).into_iter().flatten()
    }

    /// What lies in a root map from a key on, by key.
    pub fn iter_from(&self, root: &str, from: &str) -> impl Iterator<Item = (&Arc<str>, &Value)> + use<'_> {
        let from = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        self.values.get(root).map(|keys| keys.range::<str, _>(from)).into_iter().flatten()
    }

    /// The client id of the log that edits go to; 0 before the first.
    pub fn client(&self) -> u64 {
        self.doc.client_id().get()
    }

    /// Where every block lies; saved with the state.
    pub fn index(&self) -> &BlockIndex {
        &self.index
    }

    /// The clock which the next block of `client` must have.
    pub fn next_clock(&self, client: u64) -> u32 {
        self.index.next_clock(client)
    }

    /// The next clock of every client that has written, sorted by client.
    pub fn clock_ends(&self) -> Vec<(u64, u32)> {
        self.index.clock_ends().collect()
    }

    /// Whether the library failed in it: it must be rebuilt from its log.
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }

    /// The whole state, to be opened again together with `index`. Documents that took in the same
    /// may differ in it, by how they cut it into blocks.
    pub fn encode_state(&mut self) -> Result<Vec<u8>, DocumentError> {
        self.guarded(|document| document.state())
    }

    /// A copy as it is after it was saved and opened again.
    pub fn reopened(&self) -> Result<Document, DocumentError> {
        Document::open(&self.name, self.roots, self.shape, &self.state()?, self.index.clone())
    }

    fn state(&self) -> Result<Vec<u8>, DocumentError> {
        let state = self.doc.transact().encode_state_as_update_v1(&StateVector::default());
        // Nothing that lies there is shown again, so nothing has to find its place among others.
        let is_forgotten =
            |client, clocks| self.index.over(client, clocks).all(|known| self.index.is_forgotten(known));
        write::in_order(&state, is_forgotten).map_err(|_| DocumentError::Unfit)
    }

    /// Another copy of the same document and this one as one. Refused as stale if the two hold other blocks
    /// of one log.
    pub fn joined(&mut self, other: &mut Document) -> Result<Document, DocumentError> {
        let states = [self.encode_state()?, other.encode_state()?];
        let mut index = self.index.clone();
        if !index.join(&other.index) {
            return Err(DocumentError::Stale);
        }
        let mut both = Document::new(&self.name, self.roots, self.shape);
        both.index = index;
        // What one of them pruned is deleted in its state, and so in both.
        both.guarded(|both| states.iter().try_for_each(|state| take(&mut both.doc.transact_mut(), state)))?;
        let state = both.encode_state()?;
        Document::open(&self.name, self.roots, self.shape, &state, both.index)
    }

    /// A hash of the visible content, equal where readers see the same. Marks in texts are left out.
    pub fn content_digest(&self) -> Digest {
        self.content_digest_of(|_, _| Counted::Whole)
    }

    /// The same hash of what `counted` says of each key of a root map.
    pub fn content_digest_of(&self, counted: impl Fn(&str, &str) -> Counted) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(CONTENT_CONTEXT);
        let mut roots = self.roots.to_vec();
        roots.sort_unstable();
        for root in roots {
            hash_bytes(&mut hasher, root.as_bytes());
            hash_bytes(&mut hasher, self.text(root).unwrap_or_default().as_bytes());
            for (key, value) in self.iter(root) {
                match counted(root, key) {
                    Counted::Nothing => continue,
                    Counted::Key => {
                        hash_bytes(&mut hasher, key.as_bytes());
                        hasher.update(&[0]);
                        continue;
                    }
                    Counted::Whole => hash_bytes(&mut hasher, key.as_bytes()),
                }
                match value {
                    Value::Bytes(bytes) => hash_bytes(hasher.update(&[1]), bytes),
                    Value::Fields(fields) => {
                        hasher
                            .update(&[2])
                            .update(&u64::try_from(fields.len()).unwrap_or(u64::MAX).to_be_bytes());
                        for (field, bytes) in fields.iter() {
                            hash_bytes(&mut hasher, field.as_bytes());
                            hash_bytes(&mut hasher, bytes);
                        }
                    }
                }
            }
            hasher.update(&[u8::MAX; 8]);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// Runs one transaction of our own and takes its update in as if it had come from outside.
    fn write(
        &mut self,
        act: impl FnOnce(&Document, &mut TransactionMut<'_>) -> Result<(), DocumentError>,
    ) -> Result<Edit, DocumentError> {
        let client = self.client();
        if client == 0 {
            return Err(DocumentError::NoLog);
        }
        let update = self.guarded(|document| {
            let mut txn = document.doc.transact_mut();
            act(document, &mut txn)?;
            let update = txn.encode_update_v1();
            drop(txn);
            match document.shape {
                Shape::Maps => write::strip_deletes(&update).map_err(|_| DocumentError::Unfit),
                Shape::Texts => Ok(update),
            }
        })?;
        self.absorb_own(update)
    }

    /// Takes in, as if it had come from outside, what the library did for us.
    fn absorb_own(&mut self, update: Vec<u8>) -> Result<Edit, DocumentError> {
        let Ok(parsed) = parse(&update, &self.expect(self.client())) else {
            self.is_poisoned = true;
            return Err(DocumentError::Unfit);
        };
        let changes = self.absorb(&parsed)?;
        Ok(Edit { update, changes })
    }

    /// Records what the library has taken in, and reads what it shows now.
    fn absorb(&mut self, parsed: &Parsed<'_>) -> Result<Changes, DocumentError> {
        let mut touched = BTreeSet::new();
        let mut changes = Changes::default();
        self.index.record(parsed.client, &parsed.runs);
        for write in &parsed.writes {
            touched.insert((write.place.root, Arc::clone(&write.place.key)));
            self.has_pairs |= matches!(write.content, Content::Text(text) if has_pairs(text));
        }
        for deletion in &parsed.deletions {
            for known in self.index.over(deletion.client, deletion.clocks.clone()) {
                changes.texts.extend(known.place().map(|place| place.root));
            }
        }
        if self.shape == Shape::Texts {
            changes.texts.extend(touched.iter().map(|(root, _)| *root));
            return Ok(changes);
        }
        changes.keys = self.guarded(|document| {
            let dropped = touched.iter().filter(|(root, key)| document.index.drops(root, key));
            dropped.for_each(|(root, key)| document.remove(root, key));
            Ok(touched.iter().filter_map(|(root, key)| document.refresh(root, key)).collect())
        })?;
        Ok(changes)
    }

    /// Reads one key from the CRDT into the visible content.
    fn refresh(&mut self, root: &'static str, key: &Arc<str>) -> Option<Change> {
        let map = self.maps.get(root)?;
        let txn = self.doc.transact();
        let after = match self.index.is_bare(root, key) {
            true => Some(Value::Bytes(Arc::clone(&self.nothing))),
            false => map.get(&txn, key).and_then(|out| visible(&txn, out)),
        };
        let keys = self.values.entry(root).or_default();
        let before = match &after {
            Some(value) => keys.insert(Arc::clone(key), value.clone()),
            None => keys.remove(key),
        };
        (before != after).then(|| Change { root, key: Arc::clone(key), before, after })
    }

    /// Replaces the CRDT by a new one with the same state and another client.
    fn reload(&mut self, state: &[u8], client: u64) -> Result<(), DocumentError> {
        self.doc = new_doc(&self.name, client);
        self.find_roots();
        let mut txn = self.doc.transact_mut();
        take(&mut txn, state)?;
        let ends: BTreeMap<u64, u32> =
            txn.state_vector().iter().map(|(client, clock)| (client.get(), *clock)).collect();
        drop(txn);
        if !ends.into_iter().eq(self.index.clock_ends()) {
            return Err(DocumentError::Unfit);
        }
        let txn = self.doc.transact();
        for (root, map) in &self.maps {
            // The index has each key already, and nearly in order.
            let keys = self.index.keys(root);
            let value = |key: &Arc<str>| match self.index.is_bare(root, key) {
                true => Some(Value::Bytes(Arc::clone(&self.nothing))),
                false => visible(&txn, map.get(&txn, key)?),
            };
            let values = keys.filter_map(|key| Some((Arc::clone(key), value(key)?)));
            self.values.insert(root, values.collect());
        }
        self.has_pairs = self.texts.values().any(|text| has_pairs(&text.get_string(&txn)));
        Ok(())
    }

    fn find_roots(&mut self) {
        for root in self.roots.iter().copied() {
            match self.shape {
                Shape::Maps => drop(self.maps.insert(root, self.doc.get_or_insert_map(root))),
                Shape::Texts => drop(self.texts.insert(root, self.doc.get_or_insert_text(root))),
            }
        }
    }

    /// Calls the library; whatever goes wrong inside poisons the document.
    fn guarded<T>(
        &mut self,
        act: impl FnOnce(&mut Document) -> Result<T, DocumentError>,
    ) -> Result<T, DocumentError> {
        if self.is_poisoned {
            return Err(DocumentError::Poisoned);
        }
        // A panic leaves the document half changed; it is not looked at again.
        let outcome = catch_unwind(AssertUnwindSafe(|| act(self)));
        let outcome = outcome.unwrap_or(Err(DocumentError::Poisoned));
        self.is_poisoned = matches!(outcome, Err(DocumentError::Poisoned | DocumentError::Unfit));
        outcome
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("name", &self.name).field("clocks", &self.clock_ends()).finish()
    }
}

fn new_doc(name: &Arc<str>, client: u64) -> Doc {
    let options = Options::with_guid_and_client_id(Arc::clone(name), ClientID::new(client));
    // Clocks count UTF-16 units. Counting bytes beside them goes wrong where an origin splits a
    // surrogate pair, because the library then puts longer characters in its place.
    Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..options })
}

/// Gives accepted bytes to the library, which must take all of them at once.
fn take(txn: &mut TransactionMut<'_>, bytes: &[u8]) -> Result<(), DocumentError> {
    let update = Update::decode_v1(bytes).map_err(|_| DocumentError::Unfit)?;
    txn.apply_update(update).map_err(|_| DocumentError::Unfit)?;
    // What it keeps back for later would make every later encoding fail.
    if txn.prune_pending().is_some() { Err(DocumentError::Unfit) } else { Ok(()) }
}

fn visible(txn: &impl ReadTxn, out: Out) -> Option<Value> {
    match out {
        Out::Any(Any::Buffer(bytes)) => Some(Value::Bytes(bytes)),
        Out::YMap(map) => {
            let fields = map.iter(txn).filter_map(|(field, out)| match out {
                Out::Any(Any::Buffer(bytes)) => Some((Arc::from(field), bytes)),
                _ => None,
            });
            Some(Value::Fields(Arc::new(fields.collect())))
        }
        _ => None,
    }
}

fn hash_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes()).update(bytes);
}
