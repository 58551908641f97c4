//! One frame holds one batch: a length and a checksum in front, so that a part is never a whole.
//!
//! Frame: magic (4), payload length (4), checksum of the payload (16), checksum of these (4),
//! payload. Payload: per record its length (4) and its sealed bytes. The header has a checksum of
//! its own because a changed length must not pass for an end torn off by a crash: what is torn was
//! never acknowledged and is cut off, what is damaged is set aside and reported.

use fourword_protocol::bytes::{Malformed, Reader};

use super::Position;
use super::entry::RECORD_BYTES_MAX;
use crate::sealing::SEALING_BYTES;

pub(crate) const HEADER_BYTES: usize = 28;
const MAGIC: &[u8; 4] = b"4wj1";
const LENGTH_BYTES: usize = 4;

/// The bytes that one record of `length` sealed bytes takes up in a file.
pub(crate) fn footprint(at: Position) -> u64 {
    LENGTH_BYTES as u64 + u64::from(at.length)
}

/// A frame being made for a certain place.
pub(crate) struct Draft {
    file: u32,
    start: u64,
    payload: Vec<u8>,
}

impl Draft {
    pub(crate) fn new(file: u32, start: u64) -> Draft {
        Draft { file, start, payload: Vec::new() }
    }

    /// Where the next record will lie if it is pushed, given its bytes before sealing.
    pub(crate) fn place(&self, plain: &[u8]) -> Position {
        Position {
            file: self.file,
            offset: self.start + (HEADER_BYTES + self.payload.len() + LENGTH_BYTES) as u64,
            length: short(plain.len() + SEALING_BYTES),
        }
    }

    pub(crate) fn push(&mut self, sealed: &[u8]) {
        self.payload.extend_from_slice(&short(sealed.len()).to_be_bytes());
        self.payload.extend_from_slice(sealed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Appends the whole frame to `bytes`.
    pub(crate) fn finish(self, bytes: &mut Vec<u8>) {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&short(self.payload.len()).to_be_bytes());
        header.extend_from_slice(&hash::<16>(&self.payload));
        header.extend_from_slice(&hash::<4>(&header));
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.payload);
    }
}

/// A frame whose checksums are right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    file: u32,
    start: u64,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The offset just behind the frame.
    pub(crate) fn end(&self) -> u64 {
        self.start + (HEADER_BYTES + self.payload.len()) as u64
    }

    /// The sealed records and where they lie.
    pub(crate) fn records(&self) -> Result<Vec<(Position, &'a [u8])>, Malformed> {
        let mut reader = Reader::new(self.payload);
        let mut records = Vec::new();
        while reader.left() > 0 {
            let sealed = reader.bytes(RECORD_BYTES_MAX)?;
            let offset = self.end() - (reader.left() + sealed.len()) as u64;
            records.push((Position { file: self.file, offset, length: short(sealed.len()) }, sealed));
        }
        Ok(records)
    }
}

/// What lies next in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Frame(Frame<'a>),
    /// The file ends within a frame that begins here.
    Torn(u64),
    /// No frame begins here; reading goes on at the next place where one does.
    Damage,
}

/// Goes through the frames of a file.
pub(crate) struct Walk<'a> {
    file: u32,
    start: u64,
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// `bytes` are those of the file from the offset `start` to its end.
    pub(crate) fn new(file: u32, start: u64, bytes: &'a [u8]) -> Walk<'a> {
        Walk { file, start, rest: bytes }
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.start += length as u64;
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let start = self.start;
        if self.rest.is_empty() {
            return None;
        }
        match payload(self.rest) {
            Ok(payload) => {
                self.skip(HEADER_BYTES + payload.len());
                Some(Found::Frame(Frame { file: self.file, start, payload }))
            }
            Err(flaw) => {
                let next = next_frame(self.rest);
                self.skip(next.unwrap_or(self.rest.len()));
                let torn = next.is_none() && flaw == Flaw::Incomplete;
                Some(if torn { Found::Torn(start) } else { Found::Damage })
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Incomplete,
    Wrong,
}

/// The payload length that a whole header declares.
pub(crate) fn payload_length(bytes: &[u8]) -> Option<u64> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let (covered, check) = header.split_last_chunk::<4>()?;
    let mut reader = Reader::new(covered);
    let magic = reader.array::<4>().ok()?;
    let length = reader.u32().ok()?;
    (magic == *MAGIC && *check == hash::<4>(covered)).then_some(u64::from(length))
}

/// The payload of the frame at the front of `bytes`.
fn payload(bytes: &[u8]) -> Result<&[u8], Flaw> {
    // A file grown by a crash before its bytes arrived ends in zeros.
    if bytes.len() < HEADER_BYTES || (bytes.starts_with(&[0; 4]) && bytes.iter().all(|byte| *byte == 0)) {
        return Err(Flaw::Incomplete);
    }
    let length = payload_length(bytes).ok_or(Flaw::Wrong)?;
    let length = usize::try_from(length).map_err(|_| Flaw::Wrong)?;
    let payload = bytes.get(HEADER_BYTES..).and_then(|rest| rest.get(..length)).ok_or(Flaw::Incomplete)?;
    let checksum = bytes.get(8..24).ok_or(Flaw::Wrong)?;
    if checksum == hash::<16>(payload) { Ok(payload) } else { Err(Flaw::Wrong) }
}

/// Where the first whole frame behind the front of `bytes` begins.
fn next_frame(bytes: &[u8]) -> Option<usize> {
    let starts = bytes.windows(MAGIC.len()).enumerate().skip(1);
    starts
        .filter(|(_, window)| window == MAGIC)
        .map(|(at, _)| at)
        .find(|at| bytes.get(*at..).is_some_and(|rest| payload(rest).is_ok()))
}

fn hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut hash = [0; N];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut hash);
    hash
}

/// Batches are bounded far below 4 GiB before they come here.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[&[u8]]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for records in frames {
            let mut draft = Draft::new(3, bytes.len() as u64);
            records.iter().for_each(|record| draft.push(record));
            draft.finish(&mut bytes);
        }
        bytes
    }

    fn ends(found: &[Found]) -> Vec<u64> {
        found.iter().filter_map(|f| if let Found::Frame(f) = f { Some(f.end()) } else { None }).collect()
    }

    #[test]
    fn frames_are_read_where_they_were_placed() {
        let bytes = file(&[&[b"one", b"two"], &[b"three"]]);
        let found: Vec<Found> = Walk::new(3, 0, &bytes).collect();
        assert_eq!(ends(&found), [28 + 14, 28 + 14 + 28 + 9]);
        let Found::Frame(first) = found[0] else { panic!("a frame") };
        for (at, sealed) in first.records().unwrap() {
            let offset = at.offset as usize;
            assert_eq!(&bytes[offset..offset + sealed.len()], sealed);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_torn_and_keeps_the_frames_before() {
        let bytes = file(&[&[b"one"], &[b"two", b"three"]]);
        let first = 28 + 7;
        for end in 0..bytes.len() {
            let found: Vec<Found> = Walk::new(3, 0, &bytes[..end]).collect();
            assert_eq!(ends(&found).len(), usize::from(end >= first), "cut at {end}");
            let clean = end == 0 || end == first;
            assert_eq!(matches!(found.last(), Some(Found::Torn(_))), !clean, "cut at {end}");
            assert!(!found.iter().any(|f| matches!(f, Found::Damage)), "cut at {end}");
        }
    }

    #[test]
    fn any_changed_byte_is_damage_and_costs_one_frame_only() {
        let bytes = file(&[&[b"one"], &[b"two", b"three"], &[b"four"]]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            let found: Vec<Found> = Walk::new(3, 0, &changed).collect();
            assert_eq!(ends(&found).len(), 2, "changed at {at}");
            assert!(found.iter().any(|f| matches!(f, Found::Damage)), "changed at {at}");
        }
    }

    #[test]
    fn zeros_behind_the_last_frame_are_torn() {
        let mut bytes = file(&[&[b"one"]]);
        bytes.extend([0; 100]);
        let found: Vec<Found> = Walk::new(3, 0, &bytes).collect();
        assert!(matches!(found[..], [Found::Frame(_), Found::Torn(35)]));
    }
}
