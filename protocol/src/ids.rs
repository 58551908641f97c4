//! Names inside the protocol: every thing is named by a public key or a hash, 32 bytes each.
//!
//! Four words are for people and live in `words`. Each kind of name is its own type, so that a
//! device can never be taken for a person. All orders are byte orders; nothing here is random.

use std::fmt;

use bincode::{Decode, Encode};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes of the name.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight hexadecimal digits: for logs and people, never for comparison.
            pub fn short(&self) -> String {
                let [a, b, c, d, ..] = self.0;
                to_hex(&[a, b, c, d])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                from_hex(text).map($name).ok_or(NameError)
            }
        }
    };
}

name!(
    /// A group, channel, project, organization or home: the hash of its genesis statement.
    EntityId
);
name!(
    /// A person: the hash of the root public key and the nonce that gives its four words.
    PersonId
);
name!(
    /// A device: its ed25519 public key, which is its libp2p key too.
    DeviceKey
);
name!(
    /// An ed25519 public key that is no device: a person's root key, or an invite's key.
    VerifyingKey
);
name!(
    /// An X25519 public key to which epoch keys are sealed.
    SealingKey
);
name!(
    /// A roster statement: the hash of its bytes before the signature.
    StatementId
);
name!(
    /// A document, opaque to all who lack the entity's secret.
    DocumentKey
);
name!(
    /// An envelope: the hash of its bytes before the signature.
    EnvelopeHash
);
name!(
    /// The gossip address of one concern of an entity under one epoch.
    Topic
);
name!(
    /// Where a name is looked up: a hash of the stretched words.
    LookupKey
);
name!(
    /// A hash over a sorted set, compared to see whether two replicas hold the same.
    Digest
);

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 64 hexadecimal digits")]
pub struct NameError;

/// A number that tells the logs of one device in one document apart (design: incarnation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Incarnation(pub u64);

/// One append-only log: what a device wrote into a document between two unclean stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LogId {
    /// The document the log belongs to.
    pub document: DocumentKey,
    /// The device that signs it.
    pub device: DeviceKey,
    /// Which of the device's logs in this document.
    pub incarnation: Incarnation,
}

/// The end of a log as a replica holds it. Sequences count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LogHead {
    /// Sequence of the last envelope held.
    pub sequence: u64,
    /// Hash of that envelope.
    pub hash: EnvelopeHash,
}

/// Hexadecimal digits, lower case.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        if let Some(digit) = HEX.get(usize::from(digit)) {
            text.push(char::from(*digit));
        }
    }
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Reads lower-case digits only: a name has one spelling.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |of: &u8| HEX.iter().position(|d| d == of).and_then(|at| u8::try_from(at).ok());
        let [high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Where each of eight digits stands in 40 bits.
const SHIFTS: &[u32; 8] = &[35, 30, 25, 20, 15, 10, 5, 0];

/// Lower-case base32 of RFC 4648 without padding: safe in shells, links and map keys.
pub fn to_base32(bytes: &[u8]) -> String {
    let mut digits = Vec::with_capacity((bytes.len() * 8).div_ceil(5));
    // Five bytes are eight digits; what lacks at the end is zero.
    for chunk in bytes.chunks(5) {
        let mut five = [0; 8];
        five.iter_mut().skip(3).zip(chunk).for_each(|(place, byte)| *place = *byte);
        let value = u64::from_be_bytes(five);
        let digit = |shift: &u32| BASE32.get((value >> shift & 31) as usize).copied().unwrap_or(b'a');
        digits.extend(SHIFTS.iter().take((chunk.len() * 8).div_ceil(5)).map(digit));
    }
    // All digits are ASCII.
    String::from_utf8(digits).unwrap_or_default()
}

/// Reads base32 in either case; `None` for other characters or bits left over that are not zero.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0u32, 0);
    for digit in text.bytes() {
        let value = match digit {
            b'a'..=b'z' => digit - b'a',
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        held = (held << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    (held & ((1 << bits) - 1) == 0 && bits < 5).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_reads_back_what_it_wrote() {
        for length in 0..40usize {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 73 + 5) as u8).collect();
            assert_eq!(from_base32(&to_base32(&bytes)), Some(bytes.clone()));
            assert_eq!(from_base32(&to_base32(&bytes).to_uppercase()), Some(bytes));
        }
    }

    #[test]
    fn base32_refuses_foreign_characters_and_stray_bits() {
        assert_eq!(from_base32("a1"), None);
        assert_eq!(from_base32("a"), None);
        assert_eq!(from_base32("ab"), None);
        assert_eq!(from_base32("ä"), None);
    }

    #[test]
    fn a_name_reads_back_from_its_hexadecimal_digits() {
        let id = EntityId([0xa5; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<EntityId>(), Err(NameError));
        assert_eq!("A5".repeat(32).parse::<EntityId>(), Err(NameError));
        assert_eq!("+5".repeat(32).parse::<EntityId>(), Err(NameError));
        assert_eq!(format!("{id:?}"), "EntityId(a5a5a5a5)");
    }
}
