//! The tables of the read model, and how SQLite is set.
//!
//! A message's number grows with its time, so that the index of texts gives the latest hits first
//! without sorting all. `place` is a word of that index which names the chat. Any change here
//! takes another `VERSION`: what is of an older one is dropped and copied again.

use rusqlite::Connection;

/// Names the layout; files of any other are dropped.
pub(super) const VERSION: i64 = 2;

/// Messages that claim one millisecond and have numbers of their own within it.
pub(super) const NUMBERS_PER_MS: i64 = 1024;

const TABLES: &str = "
CREATE TABLE chats (
    chat INTEGER PRIMARY KEY,
    entity BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL DEFAULT '',
    people BLOB
);
CREATE TABLE segments (
    chat INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    digest BLOB,
    sweep INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (chat, segment)
) WITHOUT ROWID;
CREATE TABLE people (
    chat INTEGER NOT NULL,
    owner BLOB NOT NULL,
    person BLOB NOT NULL,
    words BLOB,
    name TEXT NOT NULL,
    PRIMARY KEY (chat, owner)
) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    chat INTEGER NOT NULL,
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
CREATE UNIQUE INDEX by_time ON messages (chat, time, owner, random, segment, deleted);
CREATE UNIQUE INDEX by_name ON messages (chat, random, owner, segment);
CREATE INDEX by_sweep ON messages (chat, segment, sweep);
CREATE INDEX by_parent ON messages (chat, parent_random, parent_owner) WHERE parent_random IS NOT NULL;
CREATE INDEX by_pin ON messages (chat, time, owner, random) WHERE pinned = 1;
CREATE VIEW searchable AS SELECT number, 'c' || chat AS place, text FROM messages;
CREATE VIRTUAL TABLE texts USING fts5 (
    place, text,
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
