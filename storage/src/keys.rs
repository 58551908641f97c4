//! The layout of the index: one row kind per line.
//!
//! | key                                                 | value                                   |
//! |-----------------------------------------------------|-----------------------------------------|
//! | `v`                                                 | version of this layout, next order      |
//! | `f` file number (4)                                 | how far the file is indexed, bytes alive |
//! | `s` name(entity, statement)                         | row                                     |
//! | `k` name(kind, of)                                  | row                                     |
//! | `l` name(document) name(log) sequence (8) order (8) | row with the envelope's hash            |
//! | `d` name(document) order (8)                        | row                                     |
//! | `h` name(document) name(log)                        | entity, log, head                       |
//! | `w` name(document)                                  | row of the snapshot that counts         |
//! | `n` name(document)                                  | its number                              |
//! | `p` name(document) number (8) part (4)              | row                                     |
//! | `b` name(document) name(log)                        | how much of it the snapshot covers      |
//! | `x` name(document)                                  | row of the last record that forgot it   |
//!
//! A name is a keyed hash of 16 bytes; every value is sealed under its key. So the index shows
//! how many there are of each, and nothing else. Integers are big-endian, so that keys sort.

use fourword_protocol::bytes::{Malformed, Reader, Writer};
use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, StatementId,
};
use fourword_protocol::record::{LocalKey, Record};

use crate::journal::Position;
use crate::journal::entry::Entry;
use crate::sealing::HomeKeys;

/// Raised when the rows change their meaning; an index of another version is made anew.
pub(crate) const LAYOUT: u32 = 3;

pub(crate) const META: &[u8] = b"v";
pub(crate) const FILES: &[u8] = b"f";
pub(crate) const STATEMENTS: &[u8] = b"s";
pub(crate) const LOCALS: &[u8] = b"k";
pub(crate) const HEADS: &[u8] = b"h";
pub(crate) const SNAPSHOTS: &[u8] = b"w";

pub(crate) fn file(number: u32) -> Vec<u8> {
    [FILES, &number.to_be_bytes()].concat()
}

pub(crate) fn statement(keys: &HomeKeys, entity: EntityId, id: StatementId) -> Vec<u8> {
    named(keys, b's', &[&entity.0, &id.0])
}

pub(crate) fn local(keys: &HomeKeys, key: &LocalKey) -> Vec<u8> {
    named(keys, b'k', &[key.kind.as_bytes(), &key.of])
}

pub(crate) fn logs(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'l', &[&document.0])
}

pub(crate) fn log(keys: &HomeKeys, log: &LogId) -> Vec<u8> {
    of_log(keys, b'l', log)
}

pub(crate) fn log_at(keys: &HomeKeys, id: &LogId, sequence: u64) -> Vec<u8> {
    [log(keys, id).as_slice(), &sequence.to_be_bytes()].concat()
}

pub(crate) fn log_entry(keys: &HomeKeys, id: &LogId, sequence: u64, order: u64) -> Vec<u8> {
    [log_at(keys, id, sequence).as_slice(), &order.to_be_bytes()].concat()
}

pub(crate) fn document(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'd', &[&document.0])
}

pub(crate) fn document_entry(keys: &HomeKeys, id: DocumentKey, order: u64) -> Vec<u8> {
    [document(keys, id).as_slice(), &order.to_be_bytes()].concat()
}

pub(crate) fn heads(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'h', &[&document.0])
}

pub(crate) fn head(keys: &HomeKeys, log: &LogId) -> Vec<u8> {
    of_log(keys, b'h', log)
}

pub(crate) fn snapshot(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'w', &[&document.0])
}

pub(crate) fn snapshot_number(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'n', &[&document.0])
}

pub(crate) fn parts(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'p', &[&document.0])
}

pub(crate) fn part(keys: &HomeKeys, document: DocumentKey, number: u64, part: u32) -> Vec<u8> {
    [parts(keys, document).as_slice(), &number.to_be_bytes(), &part.to_be_bytes()].concat()
}

pub(crate) fn bases(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'b', &[&document.0])
}

pub(crate) fn base(keys: &HomeKeys, log: &LogId) -> Vec<u8> {
    of_log(keys, b'b', log)
}

pub(crate) fn forget(keys: &HomeKeys, document: DocumentKey) -> Vec<u8> {
    named(keys, b'x', &[&document.0])
}

/// The rows that say where an entry lies.
pub(crate) fn rows_of(keys: &HomeKeys, entry: &Entry) -> Vec<Vec<u8>> {
    match &entry.record {
        Record::Statement { entity, id, .. } => vec![statement(keys, *entity, *id)],
        Record::Local { key, .. } => vec![local(keys, key)],
        Record::Snapshot { document, .. } => vec![snapshot(keys, *document)],
        Record::Forget { document } => vec![forget(keys, *document)],
        Record::SnapshotPart { document, number, part: at, .. } => {
            vec![part(keys, *document, *number, *at)]
        }
        Record::Envelope { log, sequence, .. } => vec![
            log_entry(keys, log, *sequence, entry.order),
            document_entry(keys, log.document, entry.order),
        ],
    }
}

/// The number of eight bytes at the end of a key, or `before` more eights from it.
pub(crate) fn number_at_end(key: &[u8], before: usize) -> Option<u64> {
    let end = key.len().checked_sub(before * 8)?;
    key.get(..end)?.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

fn named(keys: &HomeKeys, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[kind][..], &keys.name(kind, parts)].concat()
}

/// Begins with the name of the document, so that all rows of its logs lie together.
fn of_log(keys: &HomeKeys, kind: u8, log: &LogId) -> Vec<u8> {
    let name = keys.name(kind, &[&log.document.0, &log.device.0, &log.incarnation.0.to_be_bytes()]);
    [named(keys, kind, &[&log.document.0]).as_slice(), &name].concat()
}

/// Where something lies, and what is needed to know which of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its place in the order written.
    pub(crate) order: u64,
    /// Where its record lies.
    pub(crate) at: Position,
    /// The record says that a value was forgotten.
    pub(crate) forgotten: bool,
    /// How many older records of a value still lie in the journal: what was forgotten must be
    /// remembered as long as there are any.
    pub(crate) older: u32,
    /// The envelope's name; only in the rows of logs.
    pub(crate) hash: Option<EnvelopeHash>,
}

impl Row {
    pub(crate) fn new(order: u64, at: Position) -> Row {
        Row { order, at, forgotten: false, older: 0, hash: None }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.order).u32(self.at.file).u64(self.at.offset).u32(self.at.length);
        writer.u8(u8::from(self.forgotten)).u32(self.older);
        writer.raw(self.hash.as_ref().map_or(&[], |hash| hash.as_bytes()));
        writer.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Row, Malformed> {
        let mut reader = Reader::new(bytes);
        let order = reader.u64()?;
        let at = Position { file: reader.u32()?, offset: reader.u64()?, length: reader.u32()? };
        let (forgotten, older) = (reader.u8()? != 0, reader.u32()?);
        let hash = (reader.left() > 0).then(|| reader.array().map(EnvelopeHash)).transpose()?;
        reader.finish()?;
        Ok(Row { order, at, forgotten, older, hash })
    }
}

/// What the index knows of a file of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileRow {
    /// Everything before this offset is indexed.
    pub(crate) complete: u64,
    /// Bytes of records that still count.
    pub(crate) alive: u64,
}

impl FileRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.complete).u64(self.alive);
        writer.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<FileRow, Malformed> {
        let mut reader = Reader::new(bytes);
        let row = FileRow { complete: reader.u64()?, alive: reader.u64()? };
        reader.finish().map(|()| row)
    }
}

/// A log, whose it is, and where its unbroken run ends.
pub(crate) type Head = (EntityId, LogId, LogHead);

pub(crate) fn encode_head((entity, log, head): &Head) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&entity.0).raw(&log.document.0).raw(&log.device.0).u64(log.incarnation.0);
    writer.u64(head.sequence).raw(&head.hash.0);
    writer.into_bytes()
}

pub(crate) fn decode_head(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut reader = Reader::new(bytes);
    let entity = EntityId(reader.array()?);
    let log = LogId {
        document: DocumentKey(reader.array()?),
        device: DeviceKey(reader.array()?),
        incarnation: Incarnation(reader.u64()?),
    };
    let head = LogHead { sequence: reader.u64()?, hash: EnvelopeHash(reader.array()?) };
    reader.finish().map(|()| (entity, log, head))
}
