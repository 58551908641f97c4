//! Decides which record counts where several meet, and where in the journal it lies.
//!
//! Of statements and envelopes written twice the first counts, of values the last, by their order
//! and not by the place where they are found. So records may be noted in any sequence, also twice,
//! with the same outcome: writing, reading the journal again and rewriting its files all go
//! through [`Catalog::note`]. Only what forgets a document must be noted before what was written of
//! it since, for which nothing from before may take its place. What is noted gathers in [`Changes`]
//! and counts once committed, which happens only after the journal is flushed.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourword_protocol::bytes::{Malformed, Reader, Writer};
use fourword_protocol::ids::{DocumentKey, EntityId, EnvelopeHash, LogHead, LogId};
use fourword_protocol::record::Record;

use crate::StoreError;
use crate::index::{Index, Rows};
use crate::journal::Position;
use crate::journal::entry::Entry;
use crate::journal::frame::footprint;
use crate::keys::{self, FileRow, Head, Row};
use crate::sealing::HomeKeys;

pub(crate) struct Catalog {
    index: Index,
    keys: Arc<HomeKeys>,
    files: BTreeMap<u32, FileRow>,
    next_order: u64,
}

/// What becomes true once it is committed.
pub(crate) struct Changes {
    rows: Rows,
    files: BTreeMap<u32, Option<FileRow>>,
    next_order: u64,
}

impl Changes {
    /// The order of the next record to be written.
    pub(crate) fn next_order(&self) -> u64 {
        self.next_order
    }

    pub(crate) fn row_count(&self) -> usize {
        self.rows.len()
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.rows.insert(key, Some(value));
    }
}

/// Which of two records of one thing counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    First,
    Last,
}

impl Catalog {
    /// Reads what the index knows of the journal; fails if it cannot be an index of this journal.
    pub(crate) fn open(index: Index, keys: Arc<HomeKeys>) -> Result<Catalog, StoreError> {
        let mut catalog = Catalog { index, keys, files: BTreeMap::new(), next_order: 1 };
        if catalog.index.is_empty() {
            return Ok(catalog);
        }
        let meta = catalog.index.get(keys::META)?.ok_or_else(|| ill("it is not complete"))?;
        let mut reader = Reader::new(&meta);
        let (layout, order) = (reader.u32().map_err(malformed)?, reader.u64().map_err(malformed)?);
        if layout != keys::LAYOUT {
            return Err(ill("it is of another version"));
        }
        catalog.next_order = order;
        let files: Vec<_> =
            catalog.index.rows(keys::FILES.to_vec(), keys::FILES.to_vec()).collect::<Result<_, _>>()?;
        for (key, value) in files {
            let number = key.last_chunk::<4>().ok_or_else(|| ill("a row has changed"))?;
            catalog.files.insert(u32::from_be_bytes(*number), FileRow::decode(&value).map_err(malformed)?);
        }
        Ok(catalog)
    }

    pub(crate) fn files(&self) -> &BTreeMap<u32, FileRow> {
        &self.files
    }

    pub(crate) fn changes(&self) -> Changes {
        Changes { rows: Rows::new(), files: BTreeMap::new(), next_order: self.next_order }
    }

    /// Makes changes count.
    pub(crate) fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        let mut rows = changes.rows;
        for (number, file) in &changes.files {
            rows.insert(keys::file(*number), file.map(|file| file.encode()));
        }
        let mut meta = Writer::new();
        meta.u32(keys::LAYOUT).u64(changes.next_order);
        rows.insert(keys::META.to_vec(), Some(meta.into_bytes()));
        self.index.apply(&rows)?;
        for (number, file) in changes.files {
            match file {
                Some(file) => self.files.insert(number, file),
                None => self.files.remove(&number),
            };
        }
        self.next_order = changes.next_order;
        Ok(())
    }

    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.index.flush()
    }

    pub(crate) fn distrust(&self) -> Result<(), StoreError> {
        self.index.distrust()
    }

    /// Notes that the record of that order lies at `at`; says whether it counts there.
    pub(crate) fn note(
        &self,
        changes: &mut Changes,
        order: u64,
        record: &Record,
        at: Position,
    ) -> Result<bool, StoreError> {
        let row = Row::new(order, at);
        let counts = match record {
            record if self.is_forgotten(changes, record, order)? => false,
            Record::Forget { document } => self.note_forget(changes, *document, row)?,
            Record::Statement { entity, id, .. } => {
                self.note_single(changes, keys::statement(&self.keys, *entity, *id), row, Rule::First)?
            }
            Record::Local { key, value } => {
                let row = Row { forgotten: value.is_none(), ..row };
                self.note_single(changes, keys::local(&self.keys, key), row, Rule::Last)?
            }
            Record::Envelope { entity, log, sequence, hash, .. } => {
                let row = Row { hash: Some(*hash), ..row };
                let counts = self.note_envelope(changes, log, *sequence, row)?;
                if counts {
                    self.raise_head(changes, *entity, log, *sequence)?;
                }
                counts
            }
            Record::SnapshotPart { document, number, part, .. } => {
                let counts = *number >= self.snapshot_number(changes, *document)?;
                counts
                    && self.note_single(
                        changes,
                        keys::part(&self.keys, *document, *number, *part),
                        row,
                        Rule::Last,
                    )?
            }
            Record::Snapshot { entity, document, number, covers, .. } => {
                let key = keys::snapshot(&self.keys, *document);
                let counts = self.note_single(changes, key, row, Rule::Last)?;
                if counts {
                    self.drop_parts_below(changes, *document, *number)?;
                    for (log, head) in covers {
                        self.cover(changes, *entity, log, *head)?;
                    }
                }
                counts
            }
        };
        changes.next_order = changes.next_order.max(order.saturating_add(1));
        let file = self.file(changes, at.file);
        file.alive += if counts { footprint(at) } else { 0 };
        Ok(counts)
    }

    /// Notes that everything in the file before `end` is indexed.
    pub(crate) fn note_end(&self, changes: &mut Changes, number: u32, end: u64) {
        self.file(changes, number).complete = end;
    }

    /// Says whether writing `record` would change nothing: it forgets what is not there.
    pub(crate) fn is_idle(&self, changes: &Changes, record: &Record) -> Result<bool, StoreError> {
        match record {
            Record::Local { key, value: None } => {
                let row = self.row(changes, &keys::local(&self.keys, key))?;
                Ok(row.is_none_or(|row| row.forgotten))
            }
            _ => Ok(false),
        }
    }

    /// Notes that `entry` has been copied to `to`.
    pub(crate) fn note_moved(
        &self,
        changes: &mut Changes,
        entry: &Entry,
        to: Position,
    ) -> Result<(), StoreError> {
        for key in keys::rows_of(&self.keys, entry) {
            let row = self.row(changes, &key)?.ok_or_else(|| ill("a row is missing"))?;
            changes.put(key, Row { at: to, ..row }.encode());
        }
        self.file(changes, to.file).alive += footprint(to);
        Ok(())
    }

    /// Says whether `entry`, read at `at`, must be kept when its file is rewritten.
    ///
    /// Judged by what is committed: a forgotten value goes once nothing older of it is left in
    /// files that exist, not when such files are merely about to go.
    pub(crate) fn is_alive(&self, entry: &Entry, at: Position) -> Result<bool, StoreError> {
        let committed = self.changes();
        let first = keys::rows_of(&self.keys, entry).into_iter().next().unwrap_or_default();
        let row = self.row(&committed, &first)?;
        Ok(row.is_some_and(|row| row.at == at && !(row.forgotten && row.older == 0)))
    }

    /// Notes that `entry`, which is not alive at `at`, is left out of the copy of its file.
    pub(crate) fn note_left_out(
        &self,
        changes: &mut Changes,
        entry: &Entry,
        at: Position,
    ) -> Result<(), StoreError> {
        let Record::Local { key, .. } = &entry.record else { return Ok(()) };
        let key = keys::local(&self.keys, key);
        if let Some(row) = self.row(changes, &key)? {
            if row.at == at {
                changes.rows.insert(key, None);
            } else {
                changes.put(key, Row { older: row.older.saturating_sub(1), ..row }.encode());
            }
        }
        Ok(())
    }

    /// Notes that a file is about to be removed.
    pub(crate) fn note_removed(&self, changes: &mut Changes, number: u32) {
        changes.files.insert(number, None);
    }

    /// The rows of all statements, or of all values that are not forgotten, in the order written.
    pub(crate) fn in_order(&self, kind: &[u8]) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for row in self.index.rows(kind.to_vec(), kind.to_vec()) {
            let row = Row::decode(&row?.1).map_err(malformed)?;
            if !row.forgotten {
                found.push(row);
            }
        }
        found.sort_by_key(|row| row.order);
        Ok(found)
    }

    /// The heads of all logs, sorted by log.
    pub(crate) fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let mut heads = Vec::new();
        for row in self.index.rows(keys::HEADS.to_vec(), keys::HEADS.to_vec()) {
            heads.push(keys::decode_head(&row?.1).map_err(malformed)?);
        }
        heads.sort_by_key(|(_, log, _)| *log);
        Ok(heads)
    }

    /// Sequence and row of each envelope of a log behind `after`, forks and all, in order.
    pub(crate) fn log(
        &self,
        log: &LogId,
        after: u64,
    ) -> impl Iterator<Item = Result<(u64, Row), StoreError>> {
        let from = keys::log_at(&self.keys, log, after.saturating_add(1));
        self.numbered(keys::log(&self.keys, log), from, 1)
    }

    /// Order and row of each envelope of a document behind `after`, in order.
    pub(crate) fn document(
        &self,
        document: DocumentKey,
        after: u64,
    ) -> impl Iterator<Item = Result<(u64, Row), StoreError>> {
        let from = keys::document_entry(&self.keys, document, after.saturating_add(1));
        self.numbered(keys::document(&self.keys, document), from, 0)
    }

    fn numbered(
        &self,
        prefix: Vec<u8>,
        from: Vec<u8>,
        before: usize,
    ) -> impl Iterator<Item = Result<(u64, Row), StoreError>> {
        self.index.rows(prefix, from).map(move |found| {
            let (key, value) = found?;
            let number = keys::number_at_end(&key, before).ok_or_else(|| ill("a row has changed"))?;
            Ok((number, Row::decode(&value).map_err(malformed)?))
        })
    }

    fn note_single(
        &self,
        changes: &mut Changes,
        key: Vec<u8>,
        row: Row,
        rule: Rule,
    ) -> Result<bool, StoreError> {
        let Some(held) = self.row(changes, &key)? else {
            changes.put(key, row.encode());
            return Ok(true);
        };
        let older = held.older.saturating_add(u32::from(rule == Rule::Last));
        let wins = match rule {
            Rule::First => row.order < held.order,
            Rule::Last => row.order > held.order,
        };
        if wins {
            self.bury(changes, held.at);
        }
        let counting = if wins { row } else { held };
        changes.put(key, Row { older, ..counting }.encode());
        Ok(wins)
    }

    fn note_envelope(
        &self,
        changes: &mut Changes,
        log: &LogId,
        sequence: u64,
        row: Row,
    ) -> Result<bool, StoreError> {
        if sequence <= self.base(changes, log)? {
            return Ok(false);
        }
        let held = self.at_position(changes, log, sequence)?;
        if let Some(twin) = held.iter().find(|held| held.hash == row.hash) {
            if twin.order <= row.order {
                return Ok(false);
            }
            self.bury(changes, twin.at);
            changes.rows.insert(keys::log_entry(&self.keys, log, sequence, twin.order), None);
            changes.rows.insert(keys::document_entry(&self.keys, log.document, twin.order), None);
        }
        changes.put(keys::log_entry(&self.keys, log, sequence, row.order), row.encode());
        let row = Row { hash: None, ..row };
        changes.put(keys::document_entry(&self.keys, log.document, row.order), row.encode());
        Ok(true)
    }

    // -- forgetting ---------------------------------------------------------------------------

    /// Whether a record is of a document that was forgotten after it was written.
    fn is_forgotten(&self, changes: &Changes, record: &Record, order: u64) -> Result<bool, StoreError> {
        let document = match record {
            Record::Envelope { log, .. } => log.document,
            Record::SnapshotPart { document, .. } | Record::Snapshot { document, .. } => *document,
            Record::Statement { .. } | Record::Local { .. } | Record::Forget { .. } => return Ok(false),
        };
        let forgot = self.row(changes, &keys::forget(&self.keys, document))?;
        Ok(forgot.is_some_and(|forgot| order < forgot.order))
    }

    /// Forgets all that is noted of a document. The row stays: what was written before may be met again.
    fn note_forget(
        &self,
        changes: &mut Changes,
        document: DocumentKey,
        row: Row,
    ) -> Result<bool, StoreError> {
        let key = keys::forget(&self.keys, document);
        if let Some(held) = self.row(changes, &key)? {
            if held.order >= row.order {
                return Ok(false);
            }
            self.bury(changes, held.at);
        }
        changes.put(key, row.encode());
        let snapshot = keys::snapshot(&self.keys, document);
        for prefix in [keys::logs(&self.keys, document), keys::parts(&self.keys, document), snapshot] {
            for (key, row) in self.held(changes, &prefix)? {
                self.bury(changes, row.at);
                changes.rows.insert(key, None);
            }
        }
        // These say where the same records lie, or no place at all.
        let heads = keys::heads(&self.keys, document);
        let (bases, number) =
            (keys::bases(&self.keys, document), keys::snapshot_number(&self.keys, document));
        for prefix in [keys::document(&self.keys, document), heads, bases, number] {
            for key in self.under(changes, &prefix)?.into_keys() {
                changes.rows.insert(key, None);
            }
        }
        Ok(true)
    }

    // -- snapshots ----------------------------------------------------------------------------

    /// The number of the snapshot of a document that counts, or 0.
    fn snapshot_number(&self, changes: &Changes, document: DocumentKey) -> Result<u64, StoreError> {
        self.number(changes, &keys::snapshot_number(&self.keys, document))
    }

    /// How much of a log is covered by the snapshot of its document.
    fn base(&self, changes: &Changes, log: &LogId) -> Result<u64, StoreError> {
        self.number(changes, &keys::base(&self.keys, log))
    }

    fn number(&self, changes: &Changes, key: &[u8]) -> Result<u64, StoreError> {
        let Some(value) = self.value(changes, key)? else { return Ok(0) };
        Reader::new(&value).u64().map_err(malformed)
    }

    fn drop_parts_below(
        &self,
        changes: &mut Changes,
        document: DocumentKey,
        number: u64,
    ) -> Result<(), StoreError> {
        let end = keys::part(&self.keys, document, number, 0);
        let prefix = keys::parts(&self.keys, document);
        for (key, row) in self.held(changes, &prefix)? {
            if key < end {
                self.bury(changes, row.at);
                changes.rows.insert(key, None);
            }
        }
        changes.put(keys::snapshot_number(&self.keys, document), number.to_be_bytes().to_vec());
        Ok(())
    }

    /// Forgets the envelopes of a log up to a head that a snapshot covers.
    fn cover(
        &self,
        changes: &mut Changes,
        entity: EntityId,
        log: &LogId,
        head: LogHead,
    ) -> Result<(), StoreError> {
        let end = keys::log_at(&self.keys, log, head.sequence.saturating_add(1));
        for (key, row) in self.held(changes, &keys::log(&self.keys, log))? {
            if key < end {
                self.bury(changes, row.at);
                changes.rows.insert(key, None);
                changes.rows.insert(keys::document_entry(&self.keys, log.document, row.order), None);
            }
        }
        changes.put(keys::base(&self.keys, log), head.sequence.to_be_bytes().to_vec());
        let key = keys::head(&self.keys, log);
        let held = self.value(changes, &key)?.map(|value| keys::decode_head(&value).map_err(malformed));
        if held.transpose()?.is_none_or(|(_, _, held)| held.sequence <= head.sequence) {
            changes.put(key, keys::encode_head(&(entity, *log, head)));
            self.raise_head(changes, entity, log, head.sequence.saturating_add(1))?;
        }
        Ok(())
    }

    /// Where a part of the snapshot that counts lies.
    pub(crate) fn part(&self, document: DocumentKey, part: u32) -> Result<Option<Row>, StoreError> {
        let changes = self.changes();
        let number = self.snapshot_number(&changes, document)?;
        if number == 0 {
            return Ok(None);
        }
        self.row(&changes, &keys::part(&self.keys, document, number, part))
    }

    /// Moves the head of a log on as far as its run is unbroken, after `sequence` was noted.
    fn raise_head(
        &self,
        changes: &mut Changes,
        entity: EntityId,
        log: &LogId,
        sequence: u64,
    ) -> Result<(), StoreError> {
        let key = keys::head(&self.keys, log);
        let held = self.value(changes, &key)?.map(|value| keys::decode_head(&value).map_err(malformed));
        let held = held.transpose()?.map_or(0, |(_, _, head)| head.sequence);
        if sequence < held || sequence > held.saturating_add(1) {
            return Ok(());
        }
        let mut head = None;
        for at in sequence..=u64::MAX {
            let Some(hash) = self.first_hash(changes, log, at)? else { break };
            head = Some(LogHead { sequence: at, hash });
        }
        if let Some(head) = head {
            changes.put(key, keys::encode_head(&(entity, *log, head)));
        }
        Ok(())
    }

    /// The name of the envelope first written at a position.
    fn first_hash(
        &self,
        changes: &Changes,
        log: &LogId,
        sequence: u64,
    ) -> Result<Option<EnvelopeHash>, StoreError> {
        Ok(self.at_position(changes, log, sequence)?.first().and_then(|row| row.hash))
    }

    /// All that is held at one position of a log, in the order written; more than one is a fork.
    fn at_position(&self, changes: &Changes, log: &LogId, sequence: u64) -> Result<Vec<Row>, StoreError> {
        let held = self.held(changes, &keys::log_at(&self.keys, log, sequence))?;
        Ok(held.into_iter().map(|(_, row)| row).collect())
    }

    /// The rows under a prefix as they are with these changes, in order.
    fn held(&self, changes: &Changes, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let found = self.under(changes, prefix)?.into_iter();
        found.map(|(key, value)| Ok((key, Row::decode(&value).map_err(malformed)?))).collect()
    }

    /// What lies under a prefix as it is with these changes, whatever it is.
    fn under(&self, changes: &Changes, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let committed = self.index.rows(prefix.to_vec(), prefix.to_vec()).collect::<Result<Vec<_>, _>>()?;
        let mut found: BTreeMap<Vec<u8>, Vec<u8>> = committed.into_iter().collect();
        let changed = changes.rows.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, value) in changed {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }

    fn row(&self, changes: &Changes, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.value(changes, key)?.map(|value| Row::decode(&value).map_err(malformed)).transpose()
    }

    fn value(&self, changes: &Changes, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match changes.rows.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.index.get(key),
        }
    }

    /// Notes that the record at a position counts no more.
    fn bury(&self, changes: &mut Changes, at: Position) {
        let file = self.file(changes, at.file);
        file.alive = file.alive.saturating_sub(footprint(at));
    }

    fn file<'a>(&self, changes: &'a mut Changes, number: u32) -> &'a mut FileRow {
        let known = self.files.get(&number).copied();
        changes.files.entry(number).or_insert(known).get_or_insert_default()
    }
}

fn malformed(Malformed: Malformed) -> StoreError {
    ill("a row is malformed")
}

fn ill(why: &str) -> StoreError {
    StoreError::damaged("read", "the index", why)
}
