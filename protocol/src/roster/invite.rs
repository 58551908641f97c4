//! Invites: a code that lets whoever holds it be admitted by any member.
//!
//! The roster holds only the public key derived from the code; the code itself carries the full
//! id of the entity, so that who joins by it need not trust four words alone. Whoever wants in
//! signs its certificate with the invite's key; a member countersigns with an `AcceptInvite`.
//! Layout and text form: docs/PROTOCOL.md, section 8.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::statement::acceptance;
pub(crate) use super::statement::is_accepted;
use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{Certificate, SignatureBytes};
use crate::ids::{EntityId, VerifyingKey, from_base32, to_base32};
use crate::limits::{ADDRESS_BYTES_MAX, INVITE_ADDRESSES_MAX};

const VERSION: u8 = 1;
const KEY: &str = "fourword v1 invite key";
const CHECKSUM: &str = "fourword v1 invite checksum";
const CHECKSUM_BYTES: usize = 4;
const LINK: &str = "fourword://join/";
const CODE_BYTES_MAX: usize =
    1 + 32 + 16 + 1 + (1 + INVITE_ADDRESSES_MAX) * (2 + ADDRESS_BYTES_MAX) + CHECKSUM_BYTES;

/// What an invite's code carries.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    /// The full id of the entity.
    pub entity: EntityId,
    /// 128 random bits from which the invite's key is derived.
    pub secret: [u8; 16],
    /// Where members may be dialled.
    pub addresses: Vec<String>,
}

/// Why a text is no invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Characters that a code does not have, or more than the longest code.
    #[error("an invite code has letters and the digits 2 to 7 only")]
    NotACode,
    /// The checksum does not fit: something was mistyped or left out.
    #[error("the invite code is incomplete or has a typing error")]
    Checksum,
    /// Made by a version that this one cannot read.
    #[error("the invite code was made by a newer version")]
    Version,
    /// The checksum fits, but what it covers is no code.
    #[error("the invite code is malformed")]
    Malformed,
    /// Not `fourword://join/WORDS#CODE`.
    #[error("an invite link looks like fourword://join/four-words-like-these#CODE")]
    Link,
}

impl InviteCode {
    /// The key by which the roster knows the invite.
    pub fn key(&self) -> VerifyingKey {
        VerifyingKey(self.signing_key().verifying_key().to_bytes())
    }

    /// Signs a newcomer's certificate with the invite's key: the right to be admitted.
    pub fn sign_acceptance(&self, certificate: &Certificate) -> SignatureBytes {
        self.signing_key().sign(&acceptance(self.entity, certificate)).to_bytes()
    }

    /// The link form. `words` are the entity's four words as shown.
    pub fn link(&self, words: &impl fmt::Display) -> String {
        format!("{LINK}{words}#{self}")
    }

    /// Reads a link: the words as they stand in it, and the code.
    pub fn from_link(link: &str) -> Result<(String, InviteCode), InviteError> {
        let (words, code) = link
            .trim()
            .strip_prefix(LINK)
            .and_then(|rest| rest.split_once('#'))
            .filter(|(words, _)| !words.is_empty())
            .ok_or(InviteError::Link)?;
        Ok((words.to_owned(), code.parse()?))
    }

    fn signing_key(&self) -> SigningKey {
        let material = Zeroizing::new([&self.entity.0[..], &self.secret].concat());
        SigningKey::from_bytes(&Zeroizing::new(blake3::derive_key(KEY, &material)))
    }

    fn read(bytes: &[u8]) -> Result<InviteCode, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.u8()?;
        let code = InviteCode {
            entity: EntityId(reader.array()?),
            secret: reader.array()?,
            addresses: read_addresses(&mut reader)?,
        };
        reader.finish()?;
        Ok(code)
    }
}

/// Writes addresses with the end that all share, such as the device's name, only once: a code is
/// shown as a picture and read out, so each byte counts.
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

impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&self.entity.0).raw(&self.secret);
        write_addresses(&mut writer, &self.addresses);
        let checksum = checksum(writer.as_slice());
        writer.raw(&checksum);
        f.write_str(&to_base32(writer.as_slice()))
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteCode")
            .field("entity", &self.entity)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl FromStr for InviteCode {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<InviteCode, InviteError> {
        let text = text.trim();
        if text.len() > CODE_BYTES_MAX * 8 / 5 + 1 {
            return Err(InviteError::NotACode);
        }
        if !text.bytes().all(|b| b.is_ascii_alphabetic() || (b'2'..=b'7').contains(&b)) {
            return Err(InviteError::NotACode);
        }
        let bytes = from_base32(text).ok_or(InviteError::Checksum)?;
        let covered = bytes.len().saturating_sub(CHECKSUM_BYTES);
        let (covered, sum) = bytes.split_at_checked(covered).ok_or(InviteError::Checksum)?;
        if sum != checksum(covered) {
            return Err(InviteError::Checksum);
        }
        if covered.first() != Some(&VERSION) {
            return Err(InviteError::Version);
        }
        InviteCode::read(covered).map_err(|Malformed| InviteError::Malformed)
    }
}

fn checksum(covered: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = blake3::derive_key(CHECKSUM, covered);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> InviteCode {
        InviteCode {
            entity: EntityId([7; 32]),
            secret: [0xab; 16],
            addresses: vec!["/ip4/192.0.2.1/udp/4001/quic-v1".into(), "/dns4/relay.example/tcp/443".into()],
        }
    }

    #[test]
    fn a_code_reads_back_from_its_text_in_either_case() {
        let text = code().to_string();
        assert_eq!(text.parse(), Ok(code()));
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(code()));
    }

    #[test]
    fn the_longest_code_is_read() {
        let addresses = vec!["x".repeat(ADDRESS_BYTES_MAX); INVITE_ADDRESSES_MAX];
        let longest = InviteCode { addresses, ..code() };
        assert_eq!(longest.to_string().parse(), Ok(longest));
        let addresses = vec![String::new(); INVITE_ADDRESSES_MAX + 1];
        let many = InviteCode { addresses, ..code() };
        assert_eq!(many.to_string().parse::<InviteCode>(), Err(InviteError::Malformed));
    }

    #[test]
    fn what_all_addresses_end_with_is_written_once() {
        let device = "/p2p/12D3KooWSHL5JyjtZ5rsuuoagEA5hiuk7XLAqFHCyD9H2EnWkM7C";
        let of = |start: &str| format!("{start}{device}");
        let addresses = vec![of("/ip4/192.0.2.1/tcp/4001"), of("/ip4/192.0.2.1/udp/4001/quic-v1")];
        assert_eq!(shared_end(&addresses), device);
        let shared = InviteCode { addresses, ..code() };
        assert_eq!(shared.to_string().parse(), Ok(shared.clone()));
        assert!(shared.to_string().len() < 300, "{}", shared.to_string().len());
        assert_eq!(shared_end(&code().addresses), "");
    }

    #[test]
    fn every_single_typing_error_is_found() {
        let text = code().to_string();
        for place in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'q' { b'r' } else { b'q' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(wrong.parse::<InviteCode>(), Err(InviteError::Checksum), "{place}");
            assert!(text[..place].parse::<InviteCode>().is_err());
        }
        assert_eq!("1l0o".parse::<InviteCode>(), Err(InviteError::NotACode));
        assert_eq!("a".repeat(10_000).parse::<InviteCode>(), Err(InviteError::NotACode));
    }

    #[test]
    fn a_code_of_a_later_version_says_so() {
        let later = [9; 40];
        let text = to_base32(&[&later[..], &checksum(&later)].concat());
        assert_eq!(text.parse::<InviteCode>(), Err(InviteError::Version));
    }

    #[test]
    fn a_link_gives_words_and_code() {
        let link = code().link(&"ocean-forest-moon-star");
        assert!(link.starts_with("fourword://join/ocean-forest-moon-star#"), "{link}");
        assert_eq!(InviteCode::from_link(&link), Ok(("ocean-forest-moon-star".into(), code())));
        for wrong in ["", "https://join/a#b", "fourword://join/words", "fourword://join/#abc"] {
            assert_eq!(InviteCode::from_link(wrong), Err(InviteError::Link), "{wrong}");
        }
    }

    #[test]
    fn the_key_depends_on_entity_and_secret() {
        let other_entity = InviteCode { entity: EntityId([8; 32]), ..code() };
        let other_secret = InviteCode { secret: [0xac; 16], ..code() };
        let elsewhere = InviteCode { addresses: Vec::new(), ..code() };
        assert_ne!(code().key(), other_entity.key());
        assert_ne!(code().key(), other_secret.key());
        assert_eq!(code().key(), elsewhere.key());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", code());
        assert!(!shown.contains("171") && !shown.contains("abab") && !shown.contains("secret"), "{shown}");
    }
}
