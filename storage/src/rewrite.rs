//! Copies journal files with little left alive, so that overwritten values give their room back.
//!
//! `disk` calls this before it writes, and begins a new file then. Order of steps: the copy is on disk under its own
//! name; the index points into it; the old files go. A crash between them leaves records twice,
//! which `catalog` takes for one. Invariant: a file goes only when nothing alive points into it.

use std::io;

use crate::StoreError;
use crate::catalog::Catalog;
use crate::journal::entry::{self, Entry, encode, place};
use crate::journal::frame::{Draft, Found, Walk};
use crate::journal::{Journal, Position};
use crate::sealing::HomeKeys;

/// Files rewritten at once: bounds how long a write can be held up.
const FILES_MAX: usize = 4;

/// A journal file being made of copied records.
pub(crate) struct Copying {
    number: u32,
    bytes: Vec<u8>,
}

impl Copying {
    pub(crate) fn new(number: u32) -> Copying {
        Copying { number, bytes: Vec::new() }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds what is left of one frame as one frame; gives where each record lies now.
    pub(crate) fn add<'a>(
        &mut self,
        keys: &HomeKeys,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> io::Result<Vec<Position>> {
        let mut draft = Draft::new(self.number, self.bytes.len() as u64);
        let mut positions = Vec::new();
        for entry in entries {
            let plain = encode(entry.order, &entry.record);
            let at = draft.place(&plain);
            draft.push(&keys.journal.close(&place(at.file, at.offset), &plain)?);
            positions.push(at);
        }
        if !draft.is_empty() {
            draft.finish(&mut self.bytes);
        }
        Ok(positions)
    }
}

/// Copies what is alive in the files worth it; gives those that may go now.
///
/// Nothing is done unless `bytes_min` are won back.
pub(crate) fn rewrite(
    journal: &mut Journal,
    catalog: &mut Catalog,
    keys: &HomeKeys,
    bytes_min: u64,
) -> Result<Vec<u32>, StoreError> {
    let failed = |error| StoreError::disk("rewrite", "the journal", error);
    let spent = choose(catalog, bytes_min);
    if spent.is_empty() {
        return Ok(spent);
    }
    let mut copy = Copying::new(journal.next_number().map_err(failed)?);
    let mut changes = catalog.changes();
    for number in &spent {
        let path = journal.path(*number);
        let damaged = || StoreError::damaged("rewrite", path.display(), "a record has changed");
        let bytes = journal.load(*number, 0).map_err(failed)?;
        for found in Walk::new(*number, 0, &bytes) {
            let Found::Frame(frame) = found else { return Err(damaged()) };
            let mut alive = Vec::new();
            for (entry, at) in entry::open_all(keys, frame).map_err(|_| damaged())? {
                if catalog.is_alive(&entry, at)? {
                    alive.push(entry);
                } else {
                    catalog.note_left_out(&mut changes, &entry, at)?;
                }
            }
            let positions = copy.add(keys, alive.iter()).map_err(failed)?;
            for (entry, at) in alive.iter().zip(positions) {
                catalog.note_moved(&mut changes, entry, at)?;
            }
        }
        catalog.note_removed(&mut changes, *number);
    }
    if !copy.bytes().is_empty() {
        journal.add_file(copy.number(), copy.bytes()).map_err(failed)?;
        catalog.note_end(&mut changes, copy.number(), copy.bytes().len() as u64);
    }
    catalog.commit(changes)?;
    catalog.flush()?;
    Ok(spent)
}

/// Whether that much can be won back by copying what is alive.
pub(crate) fn is_worth_it(catalog: &Catalog, bytes_min: u64) -> bool {
    !choose(catalog, bytes_min).is_empty()
}

/// The files of which less than half is alive, if it is worth it.
fn choose(catalog: &Catalog, bytes_min: u64) -> Vec<u32> {
    let wasteful = catalog.files().iter().filter(|(_, file)| file.alive.saturating_mul(2) < file.complete);
    let (numbers, won): (Vec<u32>, Vec<u64>) =
        wasteful.take(FILES_MAX).map(|(number, file)| (*number, file.complete - file.alive)).unzip();
    if won.iter().sum::<u64>() < bytes_min { Vec::new() } else { numbers }
}
