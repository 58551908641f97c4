//! The tables of the read model, and how SQLite is set.
//!
//! Messages and things share their numbers, which grow with their times, so that the index of texts
//! gives the latest hits first without sorting all. `kept` has two words of that index: which group
//! or channel it is of, and what kind of thing it is. Any change here takes another `VERSION`: what
//! is of an older one is dropped and copied again.

use rusqlite::Connection;

/// Names the layout; files of any other are dropped.
pub(super) const VERSION: i64 = 3;

/// Messages and things that claim one millisecond and have numbers of their own within it.
pub(super) const NUMBERS_PER_MS: i64 = 1024;

const TABLES: &str = "
CREATE TABLE places (
    place INTEGER PRIMARY KEY,
    entity BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL DEFAULT '',
    people BLOB
);
CREATE TABLE documents (
    place INTEGER NOT NULL,
    concern TEXT NOT NULL,
    segment INTEGER NOT NULL,
    digest BLOB,
    sweep INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (place, concern, segment)
) WITHOUT ROWID;
CREATE TABLE people (
    place INTEGER NOT NULL,
    owner BLOB NOT NULL,
    person BLOB NOT NULL,
    words BLOB,
    name TEXT NOT NULL,
    PRIMARY KEY (place, owner)
) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    time INTEGER NOT NULL,
    owner BLOB NOT NULL,
    random BLOB NOT NULL,
    text TEXT NOT NULL,
    parent_owner BLOB,
    parent_random BLOB,
    edited INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    more BLOB,
    sweep INTEGER NOT NULL
);
CREATE UNIQUE INDEX by_time ON messages (place, time, owner, random, segment, deleted);
CREATE UNIQUE INDEX by_name ON messages (place, random, owner, segment);
CREATE INDEX by_sweep ON messages (place, segment, sweep);
CREATE INDEX by_parent ON messages (place, parent_random, parent_owner) WHERE parent_random IS NOT NULL;
CREATE INDEX by_pin ON messages (place, time, owner, random) WHERE pinned = 1;
CREATE TABLE things (
    number INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    concern TEXT NOT NULL,
    segment INTEGER NOT NULL,
    kind TEXT NOT NULL,
    time INTEGER NOT NULL,
    owner BLOB NOT NULL,
    random BLOB NOT NULL,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    about_owner BLOB,
    about_random BLOB,
    closed INTEGER NOT NULL,
    sweep INTEGER NOT NULL
);
CREATE UNIQUE INDEX thing_by_name ON things (place, random, owner, concern, segment);
CREATE INDEX thing_by_sweep ON things (place, concern, segment, sweep);
CREATE TABLE assigned (
    place INTEGER NOT NULL,
    person BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (place, person, number)
) WITHOUT ROWID;
CREATE INDEX assigned_by_number ON assigned (number);
CREATE VIEW searchable AS
    SELECT number, 'c' || place || ' message' AS kept, '' AS name, '' AS title, text
    FROM messages WHERE text <> ''
    UNION ALL
    SELECT number, 'c' || place || ' ' || kind AS kept, name, title, text FROM things;
CREATE VIRTUAL TABLE texts USING fts5 (
    kept, name, title, text,
    content = 'searchable', content_rowid = 'number',
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '2 3'
);
INSERT INTO texts (texts, rank) VALUES ('secure-delete', 1);
";

/// Makes the tables of an empty file.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))
}

/// Sets what every connection is set to. The first that reads, so a wrong key fails here.
pub(super) fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // A kill leaves a journal that the next opening plays back; a power cut may at worst cost the file.
    db.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    // What was deleted in a chat is not to linger in free pages.
    db.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    db.pragma_update(None, "cache_size", -super::CACHE_KIB)?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(())
}
