//! Brings journal and index together when a store opens.
//!
//! Where the index agrees with the journal only what was written after it is read; otherwise the
//! index is set aside and made anew from all of the journal. An end torn off by a crash was never
//! acknowledged and is cut off. A file damaged elsewhere is copied as far as it can be read, then
//! set aside under another name. Nothing that was acknowledged is ever deleted here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::index::Index;
use crate::journal::entry::{self, EntryError};
use crate::journal::frame::{Found, Walk};
use crate::journal::{Journal, Medium};
use crate::rewrite::Copying;
use crate::sealing::HomeKeys;
use crate::{OpenError, StoreError, durable};

/// Rows gathered before they are committed: bounds the memory that indexing takes.
const ROWS_MAX: usize = 16 * 1024;

/// A journal and its index, which agree.
pub(crate) struct Recovered {
    pub(crate) journal: Journal,
    pub(crate) catalog: Catalog,
    pub(crate) report: Report,
}

/// What opening found amiss, in words.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What may be lost: files set aside now or earlier, and files shorter than they were.
    pub(crate) damage: Vec<String>,
    /// What was put right without loss.
    pub(crate) repairs: Vec<String>,
    /// Damage was found by this opening, not an earlier one.
    pub(crate) is_fresh: bool,
}

/// Opens journal and index of a home.
pub(crate) fn recover(
    home: &Path,
    keys: &Arc<HomeKeys>,
    medium: Box<dyn Medium>,
) -> Result<Recovered, OpenError> {
    let directory = home.join("journal");
    let failed = |error| StoreError::disk("open", directory.display(), error);
    let mut journal = Journal::open(directory.clone(), medium).map_err(failed)?;
    journal.check_key(home, keys)?;
    let mut report = Report::default();
    let mut catalog = open_index(home, keys, &journal, &mut report)?;
    let damaged = index_journal(&mut journal, &mut catalog, keys, &mut report)?;
    if !damaged.is_empty() {
        for number in damaged {
            salvage(&mut journal, keys, number)?;
        }
        drop(catalog);
        // Copying gave the records other positions, and the last file is another one.
        set_index_aside(home)?;
        catalog = Catalog::open(Index::open(&index_path(home), keys.clone())?, keys.clone())?;
        journal = journal.reopen().map_err(failed)?;
        report.is_fresh = true;
        if let Some(number) = index_journal(&mut journal, &mut catalog, keys, &mut report)?.first() {
            let path = journal.path(*number);
            return Err(StoreError::damaged("read", path.display(), "it changed while it was read").into());
        }
    }
    for path in journal.damaged_files().map_err(failed)? {
        report.damage.push(format!("{} was damaged and set aside; the rest was kept", path.display()));
    }
    Ok(Recovered { journal, catalog, report })
}

fn index_path(home: &Path) -> PathBuf {
    home.join("index")
}

fn set_index_aside(home: &Path) -> Result<PathBuf, StoreError> {
    let path = index_path(home);
    durable::set_aside(&path).map_err(|error| StoreError::disk("set aside", path.display(), error))
}

/// The index, or an empty one where there is none that opens and agrees with the journal.
fn open_index(
    home: &Path,
    keys: &Arc<HomeKeys>,
    journal: &Journal,
    report: &mut Report,
) -> Result<Catalog, StoreError> {
    let path = index_path(home);
    let open = || Catalog::open(Index::open(&path, keys.clone())?, keys.clone());
    let ill = match open() {
        Ok(catalog) => match disagreement(&catalog, journal)? {
            None => return Ok(catalog),
            Some(lost) => {
                report.is_fresh = true;
                report.damage.push(lost.clone());
                lost
            }
        },
        // Nothing is wrong with an index for which there is no room; another one would find none.
        Err(error) if error.is_full() => return Err(error),
        Err(error) => error.to_string(),
    };
    let aside = set_index_aside(home)?;
    report.repairs.push(format!("the index was made anew, the old one is {}: {ill}", aside.display()));
    open()
}

/// What the journal lacks of that which the index has seen in it.
fn disagreement(catalog: &Catalog, journal: &Journal) -> Result<Option<String>, StoreError> {
    let numbers = journal.numbers().map_err(|error| StoreError::disk("read", "the journal", error))?;
    for (number, file) in catalog.files() {
        let path = journal.path(*number);
        if !numbers.contains(number) {
            return Ok(Some(format!("{} is gone", path.display())));
        }
        let length = journal.length(*number);
        let length = length.map_err(|error| StoreError::disk("read", path.display(), error))?;
        if length < file.complete {
            let lost = file.complete - length;
            return Ok(Some(format!("{} is {lost} bytes shorter than it was", path.display())));
        }
    }
    Ok(None)
}

/// Notes which documents were forgotten by what is not indexed yet. Copied records lie behind newer
/// ones, so that what was written before a document was forgotten may be met after what was written since.
fn index_forgets(journal: &Journal, catalog: &mut Catalog, keys: &HomeKeys) -> Result<(), StoreError> {
    let failed = |error| StoreError::disk("read", "the journal", error);
    let mut changes = catalog.changes();
    for number in journal.numbers().map_err(failed)? {
        let from = catalog.files().get(&number).map_or(0, |file| file.complete);
        if from == journal.length(number).map_err(failed)? {
            continue;
        }
        for found in Walk::new(number, from, &journal.load(number, from).map_err(failed)?) {
            let Found::Frame(frame) = found else { continue };
            for (entry, at) in entry::open_forgets(keys, frame) {
                catalog.note(&mut changes, entry.order, &entry.record, at)?;
            }
        }
        if changes.row_count() > ROWS_MAX {
            catalog.commit(changes)?;
            changes = catalog.changes();
        }
    }
    catalog.commit(changes)
}

/// Indexes what is not indexed yet; gives the files that are damaged.
fn index_journal(
    journal: &mut Journal,
    catalog: &mut Catalog,
    keys: &HomeKeys,
    report: &mut Report,
) -> Result<Vec<u32>, OpenError> {
    let failed = |error| StoreError::disk("read", "the journal", error);
    let mut damaged = Vec::new();
    index_forgets(journal, catalog, keys)?;
    for number in journal.numbers().map_err(failed)? {
        let from = catalog.files().get(&number).map_or(0, |file| file.complete);
        if from == journal.length(number).map_err(failed)? {
            continue;
        }
        let bytes = journal.load(number, from).map_err(failed)?;
        let ending = index_file(journal, catalog, keys, Walk::new(number, from, &bytes), number)?;
        match ending {
            Ending::Whole => {}
            Ending::Torn(at) if number == journal.number() => {
                let (cut, path) = (journal.end().saturating_sub(at), journal.path(number));
                journal.cut(at).map_err(failed)?;
                let path = path.display();
                report
                    .repairs
                    .push(format!("the last {cut} bytes of {path} were never whole and were cut off"));
            }
            // Only the active file can be torn by a crash.
            Ending::Torn(_) | Ending::Damaged => damaged.push(number),
        }
    }
    Ok(damaged)
}

/// How reading a file ended.
enum Ending {
    Whole,
    Torn(u64),
    Damaged,
}

fn index_file(
    journal: &Journal,
    catalog: &mut Catalog,
    keys: &HomeKeys,
    walk: Walk,
    number: u32,
) -> Result<Ending, OpenError> {
    let mut ending = Ending::Whole;
    let mut changes = catalog.changes();
    for found in walk {
        let frame = match found {
            Found::Frame(frame) => frame,
            // Nothing follows what is torn, so damage found before is not forgotten by it.
            Found::Torn(at) if matches!(ending, Ending::Whole) => {
                ending = Ending::Torn(at);
                continue;
            }
            Found::Torn(_) | Found::Damage => {
                ending = Ending::Damaged;
                continue;
            }
        };
        match entry::open_all(keys, frame) {
            Ok(entries) => {
                for (entry, at) in entries {
                    catalog.note(&mut changes, entry.order, &entry.record, at)?;
                }
            }
            Err(EntryError::Malformed) => ending = Ending::Damaged,
            Err(EntryError::Unknown) => return Err(OpenError::Newer(journal.path(number))),
        }
        catalog.note_end(&mut changes, number, frame.end());
        if changes.row_count() > ROWS_MAX {
            catalog.commit(changes)?;
            changes = catalog.changes();
        }
    }
    catalog.commit(changes)?;
    Ok(ending)
}

/// Copies what can be read of a damaged file into a new one, then sets the damaged one aside.
fn salvage(journal: &mut Journal, keys: &HomeKeys, number: u32) -> Result<(), StoreError> {
    let path = journal.path(number);
    let failed = |error| StoreError::disk("salvage", path.display(), error);
    let bytes = journal.load(number, 0).map_err(failed)?;
    let mut copy = Copying::new(journal.next_number().map_err(failed)?);
    for found in Walk::new(number, 0, &bytes) {
        if let Found::Frame(frame) = found {
            let entries = entry::open_all(keys, frame).unwrap_or_default();
            copy.add(keys, entries.iter().map(|(entry, _)| entry)).map_err(failed)?;
        }
    }
    // Even an empty copy is kept: file numbers never go back.
    journal.add_file(copy.number(), copy.bytes()).map_err(failed)?;
    journal.set_aside(number).map_err(failed)?;
    Ok(())
}
