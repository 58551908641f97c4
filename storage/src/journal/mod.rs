//! The truth: append-only files of sealed batches, flushed before a write is acknowledged.
//!
//! All entities share one journal, with the entity named inside each sealed record. So a batch that
//! touches several is still one frame, whole or absent, without a commit scheme; one `fdatasync`
//! serves all that waits; and not even the number of groups shows. A file that is full is closed
//! and the next one begun. The file with the highest number is the active one; numbers only grow,
//! and what lies in which file means nothing: each record carries its place in the order written.
//!
//! `recover` reads the journal when the store opens, `rewrite` copies files with little left alive.
//! Invariant: bytes once acknowledged are never changed in place.

pub(crate) mod entry;
pub(crate) mod frame;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::sealing::HomeKeys;
use crate::{OpenError, StoreError};
use entry::{Entry, RECORD_BYTES_MAX};

/// How bytes reach the active file; tests put a failing disk here.
pub trait Medium: Send {
    /// Writes all of `bytes` at `offset`, the end of the file.
    fn append(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when the file's bytes and length would survive a power cut.
    fn sync(&mut self, file: &File) -> io::Result<()>;
}

/// The disk itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealMedium;

impl Medium for RealMedium {
    fn append(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// Where a sealed record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) file: u32,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// The files, of which the last is open for writing.
pub(crate) struct Journal {
    directory: PathBuf,
    medium: Box<dyn Medium>,
    active: File,
    number: u32,
    end: u64,
}

impl Journal {
    /// Says whether the directory holds anything that a key is needed for.
    pub(crate) fn holds_data(directory: &Path) -> io::Result<bool> {
        match fs::read_dir(directory) {
            Ok(mut files) => files.next().transpose().map(|file| file.is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens the files in `directory`; begins the first one if there is none.
    pub(crate) fn open(directory: PathBuf, medium: Box<dyn Medium>) -> io::Result<Journal> {
        durable::make_directory(&directory)?;
        for draft in files_with(&directory, "new")? {
            fs::remove_file(draft)?;
        }
        let (number, active) = match numbers(&directory)?.last() {
            Some(last) => (*last, OpenOptions::new().read(true).write(true).open(path(&directory, *last))?),
            None => (1, begin(&directory, 1)?),
        };
        let end = active.metadata()?.len();
        Ok(Journal { directory, medium, active, number, end })
    }

    /// Looks at the directory anew, after files were added or set aside.
    pub(crate) fn reopen(self) -> io::Result<Journal> {
        Journal::open(self.directory, self.medium)
    }

    /// The active file.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Where the next frame begins in the active file.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// All files, ascending; the last is the active one.
    pub(crate) fn numbers(&self) -> io::Result<Vec<u32>> {
        numbers(&self.directory)
    }

    pub(crate) fn path(&self, number: u32) -> PathBuf {
        path(&self.directory, number)
    }

    pub(crate) fn length(&self, number: u32) -> io::Result<u64> {
        Ok(fs::metadata(self.path(number))?.len())
    }

    /// The bytes of a file from an offset to its end.
    pub(crate) fn load(&self, number: u32, from: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(number))?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Appends whole frames and flushes them.
    ///
    /// After an error the file may hold any part of them; what can be taken back is.
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        let done = self.medium.append(&self.active, self.end, frames);
        match done.and_then(|()| self.medium.sync(&self.active)) {
            Ok(()) => self.end += frames.len() as u64,
            Err(error) => {
                // Not a second attempt at the flush: should this fail too, the frames may be found
                // at the next opening, as after a crash.
                let _ = self.active.set_len(self.end);
                return Err(StoreError::disk("write", self.path(self.number).display(), error));
            }
        }
        Ok(())
    }

    /// Begins the next file and makes it the active one.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        let number = self.next_number()?;
        self.active = begin(&self.directory, number)?;
        self.number = number;
        self.end = 0;
        Ok(())
    }

    /// A number above all in use.
    pub(crate) fn next_number(&self) -> io::Result<u32> {
        let last = self.numbers()?.last().copied().unwrap_or(0);
        last.checked_add(1).ok_or_else(|| io::Error::other("the journal has no file numbers left"))
    }

    /// Adds a whole file of frames under a number above all in use.
    pub(crate) fn add_file(&mut self, number: u32, frames: &[u8]) -> io::Result<()> {
        durable::replace_file(&self.path(number), frames)
    }

    /// Removes files of which everything alive lies elsewhere.
    pub(crate) fn remove(&mut self, numbers: &[u32]) -> io::Result<()> {
        for number in numbers {
            assert!(*number != self.number, "the active file is never removed");
            fs::remove_file(self.path(*number))?;
        }
        durable::sync_directory(&self.directory)
    }

    /// Cuts off what a crash left incomplete at the end of the active file.
    pub(crate) fn cut(&mut self, end: u64) -> io::Result<()> {
        self.active.set_len(end)?;
        self.active.sync_all()?;
        self.end = end;
        Ok(())
    }

    /// Renames a damaged file, so that it is neither read again nor lost.
    pub(crate) fn set_aside(&mut self, number: u32) -> io::Result<PathBuf> {
        durable::set_aside(&self.path(number))
    }

    /// What was ever set aside and still lies here.
    pub(crate) fn damaged_files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.directory)?
            .map(|file| file.map(|file| file.path()))
            .collect::<io::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|e| e.to_string_lossy().starts_with("damaged")));
        files.sort();
        Ok(files)
    }

    /// Checks that `keys` are those that sealed the journal, as far as one whole frame can tell.
    pub(crate) fn check_key(&self, home: &Path, keys: &HomeKeys) -> Result<(), OpenError> {
        let failed = |error| StoreError::disk("read", self.directory.display(), error);
        let mut foreign = false;
        for number in self.numbers().map_err(failed)? {
            if let Some(fits) = self.first_record_opens(number, keys).map_err(failed)? {
                if fits {
                    return Ok(());
                }
                foreign = true;
            }
        }
        if foreign { Err(OpenError::KeyForeign(crate::key_file::path(home))) } else { Ok(()) }
    }

    /// `None` if the file does not begin with a whole frame.
    fn first_record_opens(&self, number: u32, keys: &HomeKeys) -> io::Result<Option<bool>> {
        let mut file = File::open(self.path(number))?;
        let mut bytes = Vec::new();
        (&mut file).take(frame::HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        let Some(length) = frame::payload_length(&bytes) else { return Ok(None) };
        (&mut file).take(length).read_to_end(&mut bytes)?;
        let Some(frame::Found::Frame(first)) = frame::Walk::new(number, 0, &bytes).next() else {
            return Ok(None);
        };
        Ok(first
            .records()
            .ok()
            .and_then(|records| records.first().copied())
            .map(|(at, sealed)| keys.journal.open(&entry::place(at.file, at.offset), sealed).is_some()))
    }
}

/// Reads records by position; keeps the file it read last open.
pub(crate) struct Reading<'a> {
    journal: &'a Journal,
    keys: &'a HomeKeys,
    open: Option<(u32, File)>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(journal: &'a Journal, keys: &'a HomeKeys) -> Reading<'a> {
        Reading { journal, keys, open: None }
    }

    /// The record at a position; damage is an error, never another record.
    pub(crate) fn entry(&mut self, at: Position) -> Result<Entry, StoreError> {
        let path = self.journal.path(at.file);
        let damaged = |why: &str| StoreError::damaged("read", path.display(), why);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it ends before a record that was in it"),
            io::ErrorKind::NotFound => damaged("it is gone"),
            _ => StoreError::disk("read", path.display(), error),
        };
        let length = usize::try_from(at.length).unwrap_or(usize::MAX);
        if length > RECORD_BYTES_MAX {
            return Err(damaged("a record is longer than any may be"));
        }
        let file = match self.open.take() {
            Some((number, file)) if number == at.file => file,
            _ => File::open(&path).map_err(failed)?,
        };
        let mut sealed = vec![0; length];
        file.read_exact_at(&mut sealed, at.offset).map_err(failed)?;
        self.open = Some((at.file, file));
        let plain = self.keys.journal.open(&entry::place(at.file, at.offset), &sealed);
        Entry::decode(&plain.ok_or_else(|| damaged("a record has changed"))?)
            .map_err(|error| damaged(&error.to_string()))
    }
}

fn path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.log"))
}

fn begin(directory: &Path, number: u32) -> io::Result<File> {
    let file = durable::new_file(&path(directory, number))?;
    file.sync_all()?;
    durable::sync_directory(directory)?;
    Ok(file)
}

fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let files = files_with(directory, "log")?;
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let mut numbers: Vec<u32> = files.iter().filter_map(number).collect();
    // A file under another spelling of a number is not one of ours.
    numbers.retain(|number| path(directory, *number).is_file());
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn files_with(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(files)
}
