//! The text form of codes that people hand to each other: base32 with version and checksum.
//!
//! Invites and link codes share it and differ in what they carry. A code is shown as a picture
//! and read out, so each byte counts. Format: docs/PROTOCOL.md, section 8.

use crate::bytes::{Malformed, Reader, Writer};
use crate::ids::{from_base32, to_base32};
use crate::limits::{ADDRESS_BYTES_MAX, INVITE_ADDRESSES_MAX};

const CHECKSUM_BYTES: usize = 4;

/// Bytes of the longest list of addresses.
const ADDRESSES_BYTES_MAX: usize = 1 + (1 + INVITE_ADDRESSES_MAX) * (2 + ADDRESS_BYTES_MAX);

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Characters that a code does not have, or more than the longest code.
    #[error("a code has letters and the digits 2 to 7 only")]
    NotACode,
    /// The checksum does not fit: something was mistyped or left out, or it is another kind of code.
    #[error("the code is incomplete, has a typing error, or is of another kind")]
    Checksum,
    /// Made by a version that this one cannot read.
    #[error("the code was made by a newer version")]
    Version,
    /// The checksum fits, but what it covers is no code.
    #[error("the code is malformed")]
    Malformed,
    /// Not the link of such a code.
    #[error("a link looks like fourword://join/four-words-like-these#CODE or fourword://link/CODE")]
    Link,
}

/// One kind of code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Names the checksum, so that no kind of code is taken for another.
    pub(crate) checksum: &'static str,
    /// Written before all else.
    pub(crate) version: u8,
    /// Bytes between the version and the addresses.
    pub(crate) fixed_bytes: usize,
}

impl Kind {
    /// The text of a code that carries these fields, addresses last.
    pub(crate) fn text(self, fields: &[u8], addresses: &[String]) -> String {
        let mut writer = Writer::new();
        writer.u8(self.version).raw(fields);
        write_addresses(&mut writer, addresses);
        let sum = self.sum(writer.as_slice());
        writer.raw(&sum);
        to_base32(writer.as_slice())
    }

    /// Reads a text in either case: `fields` takes what stands before the addresses.
    pub(crate) fn read<T>(
        self,
        text: &str,
        fields: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<(T, Vec<String>), CodeError> {
        let text = text.trim();
        let bytes_max = 1 + self.fixed_bytes + ADDRESSES_BYTES_MAX + CHECKSUM_BYTES;
        let letters = text.bytes().all(|b| b.is_ascii_alphabetic() || (b'2'..=b'7').contains(&b));
        if !letters || text.len() > bytes_max * 8 / 5 + 1 {
            return Err(CodeError::NotACode);
        }
        let bytes = from_base32(text).ok_or(CodeError::Checksum)?;
        let covered = bytes.len().saturating_sub(CHECKSUM_BYTES);
        let (covered, sum) = bytes.split_at_checked(covered).ok_or(CodeError::Checksum)?;
        if sum != self.sum(covered) {
            return Err(CodeError::Checksum);
        }
        if covered.first() != Some(&self.version) {
            return Err(CodeError::Version);
        }
        let read = || -> Result<(T, Vec<String>), Malformed> {
            let mut reader = Reader::new(covered);
            reader.u8()?;
            let fields = fields(&mut reader)?;
            let addresses = read_addresses(&mut reader)?;
            reader.finish()?;
            Ok((fields, addresses))
        };
        read().map_err(|Malformed| CodeError::Malformed)
    }

    fn sum(self, covered: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let [a, b, c, d, ..] = blake3::derive_key(self.checksum, covered);
        [a, b, c, d]
    }
}

/// Writes addresses with the end that all share, such as the device's name, only once.
fn write_addresses(writer: &mut Writer, addresses: &[String]) {
    let end = shared_end(addresses);
    writer.short_text(end).varint(addresses.len() as u64);
    for address in addresses {
        writer.short_text(address.strip_suffix(end).unwrap_or(address));
    }
}

fn read_addresses(reader: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let end = reader.short_text(ADDRESS_BYTES_MAX)?;
    let count = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    if count > INVITE_ADDRESSES_MAX {
        return Err(Malformed);
    }
    let address = |_| {
        let start = reader.short_text(ADDRESS_BYTES_MAX)?;
        let whole = format!("{start}{end}");
        if whole.len() > ADDRESS_BYTES_MAX { Err(Malformed) } else { Ok(whole) }
    };
    (0..count).map(address).collect()
}

/// The longest end that all addresses share and that begins with a slash.
fn shared_end(addresses: &[String]) -> &str {
    let Some((first, rest)) = addresses.split_first() else { return "" };
    let ends = first.match_indices('/').filter_map(|(at, _)| first.get(at..));
    ends.into_iter().find(|end| rest.iter().all(|address| address.ends_with(end))).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { checksum: "fourword test code", version: 1, fixed_bytes: 2 };

    fn read(text: &str) -> Result<([u8; 2], Vec<String>), CodeError> {
        KIND.read(text, |reader| reader.array())
    }

    fn some() -> Vec<String> {
        vec!["/ip4/192.0.2.1/udp/4001/quic-v1".into(), "/dns4/relay.example/tcp/443".into()]
    }

    #[test]
    fn a_code_reads_back_from_its_text_in_either_case() {
        let text = KIND.text(&[7, 8], &some());
        assert_eq!(read(&text), Ok(([7, 8], some())));
        assert_eq!(read(&format!(" {}\n", text.to_uppercase())), Ok(([7, 8], some())));
    }

    #[test]
    fn the_longest_code_is_read() {
        let addresses = vec!["x".repeat(ADDRESS_BYTES_MAX); INVITE_ADDRESSES_MAX];
        assert_eq!(read(&KIND.text(&[7, 8], &addresses)), Ok(([7, 8], addresses)));
        let many = vec![String::new(); INVITE_ADDRESSES_MAX + 1];
        assert_eq!(read(&KIND.text(&[7, 8], &many)), Err(CodeError::Malformed));
    }

    #[test]
    fn what_all_addresses_end_with_is_written_once() {
        let device = "/p2p/12D3KooWSHL5JyjtZ5rsuuoagEA5hiuk7XLAqFHCyD9H2EnWkM7C";
        let of = |start: &str| format!("{start}{device}");
        let addresses = vec![of("/ip4/192.0.2.1/tcp/4001"), of("/ip4/192.0.2.1/udp/4001/quic-v1")];
        assert_eq!(shared_end(&addresses), device);
        let text = KIND.text(&[7, 8], &addresses);
        assert_eq!(read(&text), Ok(([7, 8], addresses)));
        assert!(text.len() < 220, "{}", text.len());
        assert_eq!(shared_end(&some()), "");
    }

    #[test]
    fn every_single_typing_error_is_found() {
        let text = KIND.text(&[7, 8], &some());
        for place in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'q' { b'r' } else { b'q' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(read(&wrong), Err(CodeError::Checksum), "{place}");
            assert!(read(&text[..place]).is_err());
        }
        assert_eq!(read("1l0o"), Err(CodeError::NotACode));
        assert_eq!(read(&"a".repeat(10_000)), Err(CodeError::NotACode));
    }

    #[test]
    fn a_code_of_a_later_version_says_so_and_one_of_another_kind_is_none() {
        let text = |kind: Kind| kind.text(&[7, 8], &some());
        assert_eq!(read(&text(Kind { version: 9, ..KIND })), Err(CodeError::Version));
        assert_eq!(read(&text(Kind { checksum: "fourword other code", ..KIND })), Err(CodeError::Checksum));
    }
}
