//! The read model: a copy of what groups write in one SQLite file, to page through and search it.
//!
//! The node's `reading` feeds it and asks it. It is never the truth: whatever does not open, is
//! damaged or of another version is dropped, and copied again from the documents. The file is
//! sealed page by page by SQLCipher under a key of the home, its journal too; what is temporary
//! stays in memory. Invariant: the digest kept of a document is that of the rows beside it, for
//! both change in one transaction.

mod copying;
mod layout;
mod mention;
mod read;
mod row;
mod search;
mod texts;
mod things;
mod write;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use fourword_protocol::command::Copied;
use fourword_protocol::ids::Digest;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use zeroize::Zeroizing;

pub use copying::{Document, Known};
pub use read::{Missing, Page, Unread};
pub use row::Shown;
pub use search::{Found, Hit, Piece, Search};
pub use things::{ShownThing, Subject};

use crate::StoreError;
use crate::durable::{make_directory, remove_if_there};
use crate::sealing::Secret;

/// Messages on one page at most.
pub const PAGE_MESSAGES_MAX: usize = 10_000;

/// Hits of one search at most.
pub const HITS_MAX: usize = 200;

/// Bytes of the text that is searched for.
pub const SEARCH_BYTES_MAX: usize = 512;

/// Words of it that count: each costs a look into the index.
pub const SEARCH_WORDS_MAX: usize = 16;

/// Words shown around a hit.
pub const SNIPPET_WORDS: i64 = 16;

/// Unread messages counted in one chat: beyond, nobody wants to know how many.
pub const UNREAD_MAX: u32 = 1000;

/// Messages of one thread: replies to replies are looked for one by one.
pub const THREAD_MESSAGES_MAX: usize = 10_000;

/// KiB of pages that SQLite keeps in memory.
const CACHE_KIB: i64 = 16 * 1024;

/// The key under which the read model rests. Given by [`crate::DiskStore::read_key`].
pub struct ReadKey(pub(crate) Secret);

/// A copy of what groups write. Blocking; used by one thread.
pub struct ReadModel {
    db: Connection,
    /// Where it lies and by what it is sealed; `None` in memory.
    file: Option<(PathBuf, ReadKey)>,
    /// How often it was emptied, in whole or in part: what was known before is of no use.
    emptied: u64,
}

/// What a copy holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Messages of all chats.
    pub messages: u64,
    /// Cards, columns, issues, elements and comments.
    pub things: u64,
    /// Bytes of the file; 0 in memory.
    pub bytes: u64,
}

impl ReadModel {
    /// Opens the read model of a home; where it is of no use, one that is empty.
    ///
    /// Says why, if another one was dropped.
    pub fn open(home: &Path, key: ReadKey) -> Result<(ReadModel, Option<String>), StoreError> {
        let directory = home.join("reading");
        make_directory(&directory).map_err(|error| StoreError::disk("make", directory.display(), error))?;
        let path = directory.join("model");
        match connect(&path, &key) {
            Ok(Some(db)) => Ok((ReadModel { db, file: Some((path, key)), emptied: 0 }, None)),
            Ok(None) => {
                remove(&path)?;
                let db = make(&path, &key)?;
                Ok((
                    ReadModel { db, file: Some((path, key)), emptied: 0 },
                    Some("it is of another version".into()),
                ))
            }
            Err(error) if !is_busy_or_full(&error) => {
                remove(&path)?;
                let db = make(&path, &key)?;
                Ok((ReadModel { db, file: Some((path, key)), emptied: 0 }, Some(error.to_string())))
            }
            Err(error) => Err(failed("open")(error)),
        }
    }

    /// An empty one in memory, for tests and for homes whose disk takes none.
    pub fn in_memory() -> Result<ReadModel, StoreError> {
        let db = Connection::open_in_memory().map_err(failed("make"))?;
        layout::settle(&db).and_then(|()| layout::create(&db)).map_err(failed("make"))?;
        Ok(ReadModel { db, file: None, emptied: 0 })
    }

    /// Drops everything, to be copied again. Works on a file that is damaged too.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        let Some((path, key)) = &self.file else { return self.leave_disk() };
        // The file is closed before it is removed.
        self.db = Connection::open_in_memory().map_err(failed("close"))?;
        remove(path)?;
        self.db = make(path, key)?;
        self.emptied = self.emptied.saturating_add(1);
        Ok(())
    }

    /// What is known of a document, from this run or an earlier one.
    pub fn copied(&self, (entity, concern, segment): Document) -> Result<Copied, StoreError> {
        let row = self.db.prepare_cached(
            "SELECT d.digest, p.people FROM places p LEFT JOIN documents d
             ON d.place = p.place AND d.concern = ?2 AND d.segment = ?3 WHERE p.entity = ?1",
        );
        let params = params![entity.0, concern.name(), segment];
        let row =
            row.and_then(|mut row| row.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).optional());
        let (digest, people): (Option<[u8; 32]>, Option<[u8; 32]>) =
            row.map_err(failed("read"))?.unwrap_or_default();
        Ok(Copied { digest: digest.map(Digest), people: people.map(Digest), ..Copied::default() })
    }

    /// Goes on empty and in memory, leaving the file as it is.
    pub fn leave_disk(&mut self) -> Result<(), StoreError> {
        let emptied = self.emptied.saturating_add(1);
        ReadModel::in_memory().map(|new| *self = ReadModel { emptied, ..new })
    }

    /// How much it holds.
    pub fn held(&self) -> Result<Held, StoreError> {
        let count = |sql| {
            let count: i64 = self.db.query_row(sql, [], |row| row.get(0)).map_err(failed("read"))?;
            Ok(u64::try_from(count).unwrap_or_default())
        };
        let messages = count("SELECT count(*) FROM messages")?;
        let things = count("SELECT count(*) FROM things")?;
        let file = self.file.as_ref().map(|(path, _)| std::fs::metadata(path));
        let file = file.transpose().map_err(|error| StoreError::disk("read", "the read model", error))?;
        let bytes = file.map_or(0, |file| file.len());
        Ok(Held { messages, things, bytes })
    }
}

/// The database of a file that is there or not; `None` if it is of another version.
fn connect(path: &Path, key: &ReadKey) -> rusqlite::Result<Option<Connection>> {
    let db = Connection::open(path)?;
    // What fails is told by whoever opens it: standard error belongs to the program.
    db.execute_batch("PRAGMA cipher_log_level = NONE")?;
    let mut spelt = Zeroizing::new(String::from("x'"));
    for byte in *key.0 {
        // Writing to a string cannot fail.
        let _ = write!(spelt, "{byte:02x}");
    }
    spelt.push('\'');
    db.pragma_update(None, "key", &*spelt)?;
    layout::settle(&db)?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (version, tables) {
        (layout::VERSION, _) => Ok(Some(db)),
        (0, 0) => layout::create(&db).map(|()| Some(db)),
        _ => Ok(None),
    }
}

fn make(path: &Path, key: &ReadKey) -> Result<Connection, StoreError> {
    let db = connect(path, key).map_err(failed("make"))?;
    db.ok_or_else(|| StoreError::damaged("make", "the read model", "a new file is of another version"))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let gone = |error| StoreError::disk("remove", path.display(), error);
    // The journal first: what it would put back is of no use without the file.
    remove_if_there(&path.with_file_name("model-journal")).map_err(gone)?;
    remove_if_there(path).map(drop).map_err(gone)
}

fn is_busy_or_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::CannotOpen))
}

/// Tells a failure of SQLite as one of the store: damage apart from all else.
fn failed(action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| {
        let what = "the read model";
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::damaged(action, what, error)
            }
            Some(ErrorCode::DiskFull) => {
                StoreError::disk(action, what, std::io::Error::from(std::io::ErrorKind::StorageFull))
            }
            Some(_) => StoreError::refused(action, what, error),
            // What was written is not what is read.
            None => StoreError::damaged(action, what, error),
        }
    }
}
