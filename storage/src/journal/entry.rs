//! A record as it lies in the journal: its place in the order written, its kind, its fields.
//!
//! Integers are big-endian; the last field goes on to the end. Statement (1): order, entity, id,
//! bytes. Envelope (2): order, entity, document, device, incarnation, sequence, hash, bytes. Value
//! (3): order, kind, key, value. Forgotten value (4): order, kind, key. Part of a snapshot (5): order,
//! document, number, part, bytes. Snapshot (6): order, entity, document, number, parts, and for each
//! log that it covers device, incarnation, sequence, hash. Forgotten document (7): order, document.

use fourword_protocol::bytes::{Malformed, Reader, Writer};
use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, StatementId,
};
use fourword_protocol::limits::{FRAME_LOGS_MAX, LOCAL_KEY_BYTES_MAX};
use fourword_protocol::record::{LocalKey, Record};

use super::Position;
use super::frame::Frame;
use crate::sealing::{HomeKeys, SEALING_BYTES};

/// Bytes of one sealed record: the longest is a snapshot that covers as many logs as may be.
pub(crate) const RECORD_BYTES_MAX: usize = FRAME_LOGS_MAX * COVER_BYTES + 1024 + SEALING_BYTES;

/// Bytes of one sealed record that forgets a document.
const FORGET_BYTES: usize = 8 + 1 + 32 + SEALING_BYTES;

/// Bytes of one log that a snapshot covers.
const COVER_BYTES: usize = 32 + 8 + 8 + 32;

const STATEMENT: u8 = 1;
const ENVELOPE: u8 = 2;
const VALUE: u8 = 3;
const FORGOTTEN: u8 = 4;
const PART: u8 = 5;
const SNAPSHOT: u8 = 6;
const FORGET: u8 = 7;

/// A record and its place in the order in which all records of this store were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) order: u64,
    pub(crate) record: Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("a record is malformed")]
    Malformed,
    #[error("a record is of a kind unknown to this version")]
    Unknown,
}

impl From<Malformed> for EntryError {
    fn from(Malformed: Malformed) -> EntryError {
        EntryError::Malformed
    }
}

/// What a sealed record is bound to: it opens nowhere else.
pub(crate) fn place(file: u32, offset: u64) -> [u8; 12] {
    let mut place = [0; 12];
    place
        .iter_mut()
        .zip(file.to_be_bytes().into_iter().chain(offset.to_be_bytes()))
        .for_each(|(to, b)| *to = b);
    place
}

/// The bytes of a record before sealing.
pub(crate) fn encode(order: u64, record: &Record) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u64(order);
    match record {
        Record::Statement { entity, id, bytes } => {
            writer.u8(STATEMENT).raw(&entity.0).raw(&id.0).raw(bytes);
        }
        Record::Envelope { entity, log, sequence, hash, bytes } => {
            writer.u8(ENVELOPE).raw(&entity.0).raw(&log.document.0).raw(&log.device.0);
            writer.u64(log.incarnation.0).u64(*sequence).raw(&hash.0).raw(bytes);
        }
        Record::SnapshotPart { document, number, part, bytes } => {
            writer.u8(PART).raw(&document.0).u64(*number).u32(*part).raw(bytes);
        }
        Record::Snapshot { entity, document, number, parts, covers } => {
            writer.u8(SNAPSHOT).raw(&entity.0).raw(&document.0).u64(*number).u32(*parts);
            for (log, head) in covers {
                writer.raw(&log.device.0).u64(log.incarnation.0).u64(head.sequence).raw(&head.hash.0);
            }
        }
        Record::Forget { document } => {
            writer.u8(FORGET).raw(&document.0);
        }
        Record::Local { key, value } => {
            writer.u8(if value.is_some() { VALUE } else { FORGOTTEN });
            writer.text(&key.kind).bytes(&key.of).raw(value.as_deref().unwrap_or_default());
        }
    }
    writer.into_bytes()
}

/// The records of a frame and where they lie.
pub(crate) fn open_all(keys: &HomeKeys, frame: Frame) -> Result<Vec<(Entry, Position)>, EntryError> {
    let mut entries = Vec::new();
    for (at, sealed) in frame.records()? {
        let plain = keys.journal.open(&place(at.file, at.offset), sealed).ok_or(EntryError::Malformed)?;
        entries.push((Entry::decode(&plain)?, at));
    }
    Ok(entries)
}

/// Those records of a frame that forget a document, and where they lie. Only what has their length is
/// unsealed, and what cannot be read is left to [`open_all`].
pub(crate) fn open_forgets(keys: &HomeKeys, frame: Frame) -> Vec<(Entry, Position)> {
    let records = frame.records().unwrap_or_default();
    let fitting = records.into_iter().filter(|(_, sealed)| sealed.len() == FORGET_BYTES);
    let entries = fitting.filter_map(|(at, sealed)| {
        let plain = keys.journal.open(&place(at.file, at.offset), sealed)?;
        Some((Entry::decode(&plain).ok()?, at))
    });
    entries.filter(|(entry, _)| matches!(entry.record, Record::Forget { .. })).collect()
}

impl Entry {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
        let mut reader = Reader::new(bytes);
        let order = reader.u64()?;
        let record = match reader.u8()? {
            STATEMENT => Record::Statement {
                entity: EntityId(reader.array()?),
                id: StatementId(reader.array()?),
                bytes: rest(&mut reader)?,
            },
            ENVELOPE => Record::Envelope {
                entity: EntityId(reader.array()?),
                log: LogId {
                    document: DocumentKey(reader.array()?),
                    device: DeviceKey(reader.array()?),
                    incarnation: Incarnation(reader.u64()?),
                },
                sequence: reader.u64()?,
                hash: EnvelopeHash(reader.array()?),
                bytes: rest(&mut reader)?,
            },
            PART => Record::SnapshotPart {
                document: DocumentKey(reader.array()?),
                number: reader.u64()?,
                part: reader.u32()?,
                bytes: rest(&mut reader)?,
            },
            SNAPSHOT => {
                let entity = EntityId(reader.array()?);
                let document = DocumentKey(reader.array()?);
                let (number, parts) = (reader.u64()?, reader.u32()?);
                let mut covers = Vec::new();
                while reader.left() > 0 {
                    let device = DeviceKey(reader.array()?);
                    let log = LogId { document, device, incarnation: Incarnation(reader.u64()?) };
                    let sequence = reader.u64()?;
                    covers.push((log, LogHead { sequence, hash: EnvelopeHash(reader.array()?) }));
                }
                Record::Snapshot { entity, document, number, parts, covers }
            }
            FORGET => Record::Forget { document: DocumentKey(reader.array()?) },
            kind @ (VALUE | FORGOTTEN) => {
                let word = reader.text(LOCAL_KEY_BYTES_MAX)?.to_owned();
                let key = LocalKey { kind: word, of: reader.bytes(LOCAL_KEY_BYTES_MAX)?.to_vec() };
                Record::Local { key, value: (kind == VALUE).then(|| rest(&mut reader)).transpose()? }
            }
            _ => return Err(EntryError::Unknown),
        };
        reader.finish()?;
        Ok(Entry { order, record })
    }
}

fn rest(reader: &mut Reader) -> Result<Vec<u8>, Malformed> {
    Ok(reader.take(reader.left())?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_parts_of_them_never_pass_for_another_kind() {
        let log =
            LogId { document: DocumentKey([1; 32]), device: DeviceKey([2; 32]), incarnation: Incarnation(3) };
        let key = LocalKey { kind: "draft".into(), of: vec![9, 9] };
        let records = [
            Record::Statement { entity: EntityId([4; 32]), id: StatementId([5; 32]), bytes: vec![6; 7] },
            Record::Envelope {
                entity: EntityId([4; 32]),
                log,
                sequence: 8,
                hash: EnvelopeHash([9; 32]),
                bytes: vec![],
            },
            Record::SnapshotPart { document: log.document, number: 3, part: 4, bytes: vec![5; 6] },
            Record::Snapshot {
                entity: EntityId([4; 32]),
                document: log.document,
                number: 3,
                parts: 5,
                covers: vec![(log, LogHead { sequence: 8, hash: EnvelopeHash([9; 32]) })],
            },
            Record::Forget { document: log.document },
            Record::Local { key: key.clone(), value: Some(vec![]) },
            Record::Local { key, value: None },
        ];
        for record in records {
            let bytes = encode(77, &record);
            assert_eq!(Entry::decode(&bytes), Ok(Entry { order: 77, record }));
            assert_eq!(Entry::decode(&bytes[..15]), Err(EntryError::Malformed));
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_told_from_damage() {
        assert_eq!(Entry::decode(&[0, 0, 0, 0, 0, 0, 0, 1, 99]), Err(EntryError::Unknown));
    }
}
