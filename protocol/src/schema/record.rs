//! The frame of every record: a version byte, then fixed fields in fixed order.
//!
//! A record of a later version keeps the fields known here and appends its own, so older software
//! reads what it knows and ignores what follows. In the version written here nothing may follow,
//! so that each value has one encoding. Records are judged by `rights` with these same readers.

use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{
    NAME_BYTES_MAX, RECORD_BYTES_MAX, RECORD_TIME_MS_MAX, SETTING_BYTES_MAX, SETTING_KEY_BYTES_MAX,
};
use crate::time::WallTime;

const VERSION: u8 = 1;

/// Writes a record of the present version.
pub(super) fn write(fields: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(VERSION);
    fields(&mut writer);
    writer.into_bytes()
}

/// What a record of a later version has beside the fields that are known here: its version, and what
/// follows them. Of a record of the present version that is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    version: u8,
    bytes: Vec<u8>,
}

impl Default for Tail {
    fn default() -> Tail {
        Tail { version: VERSION, bytes: Vec::new() }
    }
}

impl Tail {
    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a record with the tail that an earlier one had. Without it where both are too long together.
pub(super) fn write_with(tail: &Tail, fields: impl Fn(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(tail.version);
    fields(&mut writer);
    writer.raw(&tail.bytes);
    if writer.as_slice().len() > RECORD_BYTES_MAX { write(fields) } else { writer.into_bytes() }
}

/// Reads a record; `fields` is told whether it is of a later version than this software writes.
pub(super) fn read<'a, T>(
    bytes: &'a [u8],
    fields: impl FnOnce(&mut Reader<'a>, bool) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    read_framed(bytes, fields).map(|(value, ..)| value)
}

/// The tail of a record with these fields.
pub(super) fn tail<'a, T>(
    bytes: &'a [u8],
    fields: impl FnOnce(&mut Reader<'a>, bool) -> Result<T, Malformed>,
) -> Result<Tail, Malformed> {
    read_framed(bytes, fields).map(|(_, version, rest)| Tail { version, bytes: rest.to_vec() })
}

/// Reads a record, its version, and what follows the fields.
fn read_framed<'a, T>(
    bytes: &'a [u8],
    fields: impl FnOnce(&mut Reader<'a>, bool) -> Result<T, Malformed>,
) -> Result<(T, u8, &'a [u8]), Malformed> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(Malformed);
    }
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version < VERSION {
        return Err(Malformed);
    }
    let newer = version > VERSION;
    let value = fields(&mut reader, newer)?;
    let rest = reader.take(reader.left())?;
    if newer || rest.is_empty() { Ok((value, version, rest)) } else { Err(Malformed) }
}

/// Appends a time; a clock beyond what records hold is written as their latest.
pub(super) fn put_time(writer: &mut Writer, time: WallTime) {
    writer.varint(time.0.min(RECORD_TIME_MS_MAX));
}

/// Takes a time.
pub(super) fn time(reader: &mut Reader<'_>) -> Result<WallTime, Malformed> {
    match reader.varint()? {
        ms if ms <= RECORD_TIME_MS_MAX => Ok(WallTime(ms)),
        _ => Err(Malformed),
    }
}

/// The time with which a record begins, whatever follows it.
pub(super) fn begins_with_time(bytes: &[u8]) -> Result<WallTime, Malformed> {
    read(bytes, |reader, _| {
        let time = time(reader)?;
        reader.take(reader.left())?;
        Ok(time)
    })
}

/// Takes a byte that is 0 or 1.
pub(super) fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// A record of one flag.
pub(super) fn write_flag(on: bool) -> Vec<u8> {
    write(|writer| {
        writer.u8(u8::from(on));
    })
}

/// Reads a record of one flag.
pub(super) fn read_flag(bytes: &[u8]) -> Result<bool, Malformed> {
    read(bytes, |reader, _| flag(reader))
}

/// A record of one text.
pub(super) fn write_text(text: &str) -> Vec<u8> {
    write(|writer| {
        writer.short_text(text);
    })
}

/// Reads a record of one text of at most `max` bytes.
pub(super) fn read_text(bytes: &[u8], max: usize) -> Result<&str, Malformed> {
    read(bytes, |reader, _| reader.short_text(max))
}

/// A record of one setting's value.
pub(super) fn write_setting(value: &[u8]) -> Vec<u8> {
    write(|writer| {
        writer.short_bytes(value);
    })
}

/// Reads a record of one setting's value.
pub(super) fn read_setting(bytes: &[u8]) -> Result<&[u8], Malformed> {
    read(bytes, |reader, _| reader.short_bytes(SETTING_BYTES_MAX))
}

/// Whether a text can name a setting: lower-case letters, digits, `-`, `_` and `.`.
pub(super) fn names_a_setting(text: &str) -> bool {
    (1..=SETTING_KEY_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}

/// Whether a text can be shown as a name: bounded, on one line, and not able to turn around what
/// stands beside it. It may be empty.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && is_one_line(text)
}

/// Whether a text stays on one line and turns nothing around that stands beside it.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || reorders(c))
}

/// The characters of Unicode that embed, override or isolate the direction of text, and those that
/// separate lines and paragraphs.
fn reorders(character: char) -> bool {
    matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_tail_of_an_earlier_one_unless_both_are_too_long_together() {
        let later = |bytes: usize| [vec![2, 7], vec![9; bytes]].concat();
        let of = |record: &[u8]| tail(record, |reader, _| reader.u8()).unwrap();
        let write = |tail: &Tail| {
            write_with(tail, |writer| {
                writer.u8(8).u8(8);
            })
        };
        assert_eq!(write(&of(&later(3))), [2, 8, 8, 9, 9, 9]);
        assert_eq!(write(&of(&[1, 7])), [1, 8, 8], "a record of the present version has none");
        assert_eq!(write(&of(&later(RECORD_BYTES_MAX - 2))), [1, 8, 8]);
    }
}
