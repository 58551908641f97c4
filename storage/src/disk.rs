//! The store of a real node: joins lock, key, journal, index and clean-stop mark in one home.
//!
//! A write is sealed into frames, appended and flushed in the journal, and only then noted in the
//! index. A read asks the index where things lie and takes them from the journal.
//! Home: `lock`, `key`, `clean` (only while nobody has it open), `journal/`, `index/`.
//! Invariant: nothing counts that the journal has not flushed; after a failed flush nothing more
//! is written, because what the disk then holds cannot be known.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fourword_protocol::ids::{DocumentKey, EnvelopeHash};
use fourword_protocol::record::{Batch, Page, Query, Record, Snapshot};

use crate::catalog::{Catalog, Changes};
use crate::journal::entry::{encode, place};
use crate::journal::frame::Draft;
use crate::journal::{Journal, Medium, Reading, RealMedium};
use crate::keys::Row;
use crate::lock::Lock;
use crate::page::Gathering;
use crate::read_model::ReadKey;
use crate::recover::{Recovered, Report, recover};
use crate::rewrite::{is_worth_it, rewrite};
use crate::sealing::HomeKeys;
use crate::{OpenError, Store, StoreError, check, durable, key_file, keys, mark};

/// Sizes, and the disk to write to. The defaults are those of a node.
pub struct Settings {
    /// A journal file that has grown to this is followed by a new one.
    pub file_bytes: u64,
    /// Files are rewritten when this much is won back.
    pub rewrite_bytes_min: u64,
    /// The disk.
    pub medium: Box<dyn Medium>,
}

impl Default for Settings {
    fn default() -> Settings {
        let mebibyte = 1024 * 1024;
        Settings { file_bytes: 16 * mebibyte, rewrite_bytes_min: 4 * mebibyte, medium: Box::new(RealMedium) }
    }
}

/// A home that was opened.
pub struct Opened {
    /// The store.
    pub store: DiskStore,
    /// The store was closed properly, on this machine, and is the same files: logs may go on.
    pub clean: bool,
    /// The home was empty.
    pub new: bool,
}

/// A [`Store`] in a directory.
pub struct DiskStore {
    home: PathBuf,
    keys: Arc<HomeKeys>,
    journal: Journal,
    catalog: Catalog,
    settings: Sizes,
    report: Report,
    /// Why nothing more is written.
    broken: Option<Broken>,
    /// Damage was met while reading: this was no clean run.
    is_suspect: Cell<bool>,
    /// Dropped last: only then may another process open the home.
    _lock: Lock,
}

/// The failure after which nothing more is written.
struct Broken {
    why: String,
    /// There was no room, and nothing else is known to be wrong.
    is_full: bool,
}

impl From<&StoreError> for Broken {
    fn from(error: &StoreError) -> Broken {
        Broken { why: error.to_string(), is_full: error.is_full() }
    }
}

struct Sizes {
    file_bytes: u64,
    rewrite_bytes_min: u64,
}

impl DiskStore {
    /// Opens the store in `home`, and makes one if there is none.
    ///
    /// The passphrase is needed where the home was made with one. Reads only what the index does
    /// not know, or all of the journal if the index is of no use.
    pub fn open(home: &Path, passphrase: Option<&str>) -> Result<Opened, OpenError> {
        DiskStore::open_with(home, passphrase, Settings::default())
    }

    /// Opens the store as [`DiskStore::open`] does, with other sizes or another disk.
    pub fn open_with(home: &Path, passphrase: Option<&str>, settings: Settings) -> Result<Opened, OpenError> {
        open_in(home, passphrase, settings).map_err(|error| error.told_for(home))
    }

    /// Closes the store and leaves the mark of a clean stop.
    ///
    /// No mark is left after a failed write or damage: what others were sent may be missing here.
    pub fn close(self) -> Result<(), StoreError> {
        self.refuse_if_broken("close")?;
        if self.is_suspect.get() {
            return Err(StoreError::damaged("close", self.home.display(), "damage was met while reading"));
        }
        self.catalog.flush()?;
        mark::leave(&self.home, &self.keys, &self.end())
            .map_err(|error| StoreError::disk("close", self.home.display(), error))
    }

    /// The key under which the read model of this home rests.
    pub fn read_key(&self) -> ReadKey {
        ReadKey(self.keys.reading())
    }

    /// What may have been lost, in words; the files named are still there.
    pub fn damage(&self) -> &[String] {
        &self.report.damage
    }

    /// What opening put right without loss, in words.
    pub fn repairs(&self) -> &[String] {
        &self.report.repairs
    }

    /// Where the journal ends: a mark made at another end is not of this state.
    fn end(&self) -> String {
        format!("journal {} {}", self.journal.number(), self.journal.end())
    }

    fn refuse_if_broken(&self, action: &'static str) -> Result<(), StoreError> {
        let Some(Broken { why, is_full }) = &self.broken else { return Ok(()) };
        let told = format!("an earlier write failed ({why}): mend the disk and start again");
        // Whoever asks next is to read that the disk is full, also if the index was what failed.
        Err(if *is_full {
            StoreError::disk(action, self.home.display(), io::Error::new(io::ErrorKind::StorageFull, told))
        } else {
            StoreError::refused(action, self.home.display(), told)
        })
    }

    /// Begins a new file if the active one is full or enough can be won back, and rewrites old ones.
    fn make_room(&mut self) -> Result<(), StoreError> {
        let bytes_min = self.settings.rewrite_bytes_min;
        if self.journal.end() < self.settings.file_bytes && !is_worth_it(&self.catalog, bytes_min) {
            return Ok(());
        }
        let failed = |error| StoreError::disk("begin a new file of", "the journal", error);
        let spent = rewrite(&mut self.journal, &mut self.catalog, &self.keys, bytes_min)?;
        self.journal.rotate().map_err(failed)?;
        self.journal.remove(&spent).map_err(failed)
    }

    /// Seals what is new in a batch as one frame at the end of `frames`.
    fn seal(&self, batch: &Batch, changes: &mut Changes, frames: &mut Vec<u8>) -> Result<(), StoreError> {
        let start = self.journal.end() + frames.len() as u64;
        let mut draft = Draft::new(self.journal.number(), start);
        for record in &batch.records {
            if self.catalog.is_idle(changes, record)? {
                continue;
            }
            let order = changes.next_order();
            let plain = encode(order, record);
            let at = draft.place(&plain);
            if self.catalog.note(changes, order, record, at)? {
                let sealed = self.keys.journal.close(&place(at.file, at.offset), &plain);
                draft.push(&sealed.map_err(|error| StoreError::disk("seal", "a record", error))?);
            }
        }
        if !draft.is_empty() {
            draft.finish(frames);
        }
        Ok(())
    }

    fn write_journal(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.make_room()?;
        let mut changes = self.catalog.changes();
        let mut frames = Vec::new();
        for batch in batches {
            self.seal(batch, &mut changes, &mut frames)?;
        }
        if frames.is_empty() {
            return Ok(());
        }
        self.journal.append(&frames)?;
        self.catalog.note_end(&mut changes, self.journal.number(), self.journal.end());
        if let Err(error) = self.catalog.commit(changes) {
            // The batches are durable, so this write has succeeded; the index has failed, and is
            // made anew when the store is next opened.
            self.distrust();
            self.broken = Some(Broken::from(&error));
        }
        Ok(())
    }

    /// Has the next opening check the whole journal, and this run end without a mark.
    fn distrust(&self) {
        self.is_suspect.set(true);
        // Should this fail as well, the next reader meets the damage again.
        let _ = self.catalog.distrust();
    }

    fn distrust_if_damaged(&self, error: &StoreError) {
        if error.is_damage() {
            self.distrust();
        }
    }

    fn opening(&self) -> Result<Page, StoreError> {
        let mut reading = Reading::new(&self.journal, &self.keys);
        let mut statements = Vec::new();
        for row in self.catalog.in_order(keys::STATEMENTS)? {
            match read_row(&mut reading, &row)? {
                Record::Statement { entity, id, bytes } => statements.push((entity, id, bytes)),
                _ => return Err(misplaced()),
            }
        }
        let mut locals = Vec::new();
        for row in self.catalog.in_order(keys::LOCALS)? {
            match read_row(&mut reading, &row)? {
                Record::Local { key, value: Some(value) } => locals.push((key, value)),
                _ => return Err(misplaced()),
            }
        }
        locals.sort();
        let mut snapshots = Vec::new();
        for row in self.catalog.in_order(keys::SNAPSHOTS)? {
            let Record::Snapshot { entity, document, number, parts, covers } = read_row(&mut reading, &row)?
            else {
                return Err(misplaced());
            };
            snapshots.push(Snapshot { document, entity, number, parts, covers });
        }
        snapshots.sort();
        Ok(Page::Opening { locals, statements, heads: self.catalog.heads()?, snapshots })
    }

    fn snapshot_part(&self, document: DocumentKey, part: u32) -> Result<Page, StoreError> {
        let Some(row) = self.catalog.part(document, part)? else { return Ok(Page::SnapshotPart(None)) };
        match read_row(&mut Reading::new(&self.journal, &self.keys), &row)? {
            Record::SnapshotPart { bytes, .. } => Ok(Page::SnapshotPart(Some(bytes))),
            _ => Err(misplaced()),
        }
    }

    /// Reads envelopes at rising numbers; of several at one number the first that is not among
    /// `except`.
    fn envelopes(
        &self,
        rows: impl Iterator<Item = Result<(u64, Row), StoreError>>,
        bytes_max: usize,
        except: &[EnvelopeHash],
    ) -> Result<Page, StoreError> {
        let mut reading = Reading::new(&self.journal, &self.keys);
        let mut page = Gathering::new(bytes_max);
        let mut last = 0;
        for row in rows {
            let (number, row) = row?;
            if number == last || row.hash.is_some_and(|hash| except.contains(&hash)) {
                continue;
            }
            last = number;
            let Record::Envelope { bytes, .. } = read_row(&mut reading, &row)? else {
                return Err(misplaced());
            };
            if !page.offer(number, bytes) {
                break;
            }
        }
        Ok(page.into_page())
    }
}

impl Store for DiskStore {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.refuse_if_broken("write")?;
        check(batches)?;
        let done = self.write_journal(batches);
        if let Err(error) = &done {
            self.broken = Some(Broken::from(error));
            self.distrust_if_damaged(error);
        }
        done
    }

    fn read(&self, query: &Query) -> Result<Page, StoreError> {
        let page = match query {
            Query::Opening => self.opening(),
            Query::Log { log, after, bytes_max, except } => {
                self.envelopes(self.catalog.log(log, *after), *bytes_max, except)
            }
            Query::Document { document, after, bytes_max } => {
                self.envelopes(self.catalog.document(*document, *after), *bytes_max, &[])
            }
            Query::SnapshotPart { document, part } => self.snapshot_part(*document, *part),
        };
        page.inspect_err(|error| self.distrust_if_damaged(error))
    }
}

fn open_in(home: &Path, passphrase: Option<&str>, settings: Settings) -> Result<Opened, OpenError> {
    let unwritable = |cause| OpenError::NotWritable { home: home.to_owned(), cause };
    durable::make_directory(home).map_err(unwritable)?;
    let lock = Lock::take(home)?;
    let holds_data = Journal::holds_data(&home.join("journal")).map_err(unwritable)?;
    let (key, new) = key_file::open(home, passphrase, holds_data)?;
    let keys = Arc::new(HomeKeys::new(&key));
    let Recovered { journal, catalog, report } = recover(home, &keys, settings.medium)?;
    let store = DiskStore {
        home: home.to_owned(),
        keys,
        journal,
        catalog,
        settings: Sizes { file_bytes: settings.file_bytes, rewrite_bytes_min: settings.rewrite_bytes_min },
        report,
        broken: None,
        is_suspect: Cell::new(false),
        _lock: lock,
    };
    // Before anybody can write: an envelope must never leave while the mark still stands.
    let marked = mark::take(home, &store.keys, &store.end()).map_err(unwritable)?;
    let clean = marked && !store.report.is_fresh;
    Ok(Opened { store, clean, new })
}

/// The record that a row points to; another one in its place is damage.
fn read_row(reading: &mut Reading, row: &Row) -> Result<Record, StoreError> {
    let entry = reading.entry(row.at)?;
    if entry.order == row.order { Ok(entry.record) } else { Err(misplaced()) }
}

fn misplaced() -> StoreError {
    StoreError::damaged("read", "the index", "it points to another record")
}

#[cfg(test)]
mod tests {
    use fourword_protocol::record::StoreFailure;

    use super::*;

    #[test]
    fn that_the_index_had_no_room_is_told_as_a_full_disk() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut store = DiskStore::open(home.path(), None).expect("an empty home").store;
        for (number, told) in [(28, true), (5, false)] {
            let error = StoreError::disk("write", "the index", io::Error::from_raw_os_error(number));
            store.broken = Some(Broken::from(&error));
            let refused = store.write(&[]).expect_err("nothing more is written");
            assert_eq!(refused.failure() == StoreFailure::DiskFull, told, "{refused}");
            assert!(refused.to_string().contains("an earlier write failed"), "{refused}");
        }
    }
}
