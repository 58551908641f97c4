//! Four words: a stretched fingerprint of 48 bits, for people to say, type and recognise.
//!
//! Who makes or joins an entity asks the driver for a stretch (`Effect::Stretch`) and reads the
//! name from it here; the command line and the API read what people type and show it again.
//! Words are names, not secrets: inside the protocol everything is keyed by public key or hash.
//! Invariant: each index of a `FourWords` is in the list, so that showing never fails and every
//! name shown reads back as itself. Format: docs/PROTOCOL.md, section 8.

pub mod list;
mod parse;
mod stretch;
mod suggest;
pub(crate) mod work;

use std::fmt;

use crate::ids::LookupKey;
pub use parse::WordsError;

/// Bits that one word stands for: 4,096 words.
const WORD_BITS: u32 = 12;
const WORD_MASK: u64 = (1 << WORD_BITS) - 1;

const LOOKUP_KEY: &str = "fourword v1 lookup key";

/// Which parameters stretch a name. Two namings never meet: each has its own domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// 64 MiB, three passes, four bits of work by the creator.
    Standard,
    /// Cheap enough for tests, and of no use to anybody else.
    Test,
}

impl Naming {
    /// How many bits of a stretch must be zero before it names anything: the creator's work.
    pub fn difficulty_bits(self) -> u32 {
        match self {
            Naming::Standard => 4,
            Naming::Test => 1,
        }
    }
}

/// What is stretched, or else takes long and is computed by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StretchInput {
    /// An entity's or person's id, to find its words.
    Name(Naming, [u8; 32]),
    /// Four words, to find where they are looked up.
    Lookup(Naming, FourWords),
    /// The work of a request: answered by the nonce, in the first eight bytes.
    Work {
        /// How many leading zero bits.
        bits: u32,
        /// Over what.
        challenge: [u8; 32],
    },
}

/// Four indexes into the list, each below 4,096.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourWords([u16; 4]);

impl FourWords {
    /// The name that the stretch of `StretchInput::Name` gives.
    ///
    /// `None` unless its first `difficulty_bits` are zero; the creator then tries another nonce,
    /// and a joiner refuses the candidate. The 48 bits that follow are the words.
    pub fn from_stretch(naming: Naming, stretched: &[u8; 32]) -> Option<FourWords> {
        let [a, b, c, d, e, f, g, h, ..] = *stretched;
        let head = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let zeros = naming.difficulty_bits();
        (head.leading_zeros() >= zeros).then(|| FourWords::from_bits(head << zeros >> 16))
    }

    /// Where these words are looked up, given the stretch of `StretchInput::Lookup`.
    pub fn lookup_key(stretched: &[u8; 32]) -> LookupKey {
        LookupKey(blake3::derive_key(LOOKUP_KEY, stretched))
    }

    /// The words at four places of the list; `None` if one is 4,096 or more.
    pub fn from_indexes(indexes: [u16; 4]) -> Option<FourWords> {
        indexes.iter().all(|index| list::word(*index).is_some()).then_some(FourWords(indexes))
    }

    /// The places of the four words in the list.
    pub fn indexes(&self) -> [u16; 4] {
        self.0
    }

    /// The words from their 48 bits, 12 for each, big-endian. Every value is a name.
    pub fn from_bytes([a, b, c, d, e, f]: [u8; 6]) -> FourWords {
        FourWords::from_bits(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The 48 bits of the words, 12 for each, big-endian.
    pub fn to_bytes(&self) -> [u8; 6] {
        let bits = self.0.iter().fold(0, |bits, index| bits << WORD_BITS | u64::from(*index));
        let [_, _, a, b, c, d, e, f] = bits.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// The four words.
    pub fn words(&self) -> [&'static str; 4] {
        // No index is outside the list, so no word is empty.
        self.0.map(|index| list::word(index).unwrap_or_default())
    }

    /// Takes the low 48 bits.
    fn from_bits(bits: u64) -> FourWords {
        let place = |word: u32| (bits >> (word * WORD_BITS) & WORD_MASK) as u16;
        FourWords([place(3), place(2), place(1), place(0)])
    }
}

impl fmt::Display for FourWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.words().join("-"))
    }
}

impl fmt::Debug for FourWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretched(head: u64) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        bytes[..8].copy_from_slice(&head.to_be_bytes());
        bytes
    }

    #[test]
    fn the_48_bits_after_the_zeros_are_the_words() {
        let standard = FourWords::from_stretch(Naming::Standard, &stretched(0x0_001_002_fff_abc_ddd));
        assert_eq!(standard.unwrap().indexes(), [1, 2, 0xfff, 0xabc]);
        let test = FourWords::from_stretch(Naming::Test, &stretched(0x0_001_002_fff_abc_ddd << 3));
        assert_eq!(test, standard);
    }

    #[test]
    fn a_stretch_without_the_creators_work_names_nothing() {
        for naming in [Naming::Standard, Naming::Test] {
            for bit in 0..naming.difficulty_bits() {
                assert_eq!(FourWords::from_stretch(naming, &stretched(1 << (63 - bit))), None);
            }
            let next = stretched(1 << (63 - naming.difficulty_bits()));
            assert_eq!(FourWords::from_stretch(naming, &next).unwrap().indexes(), [0x800, 0, 0, 0]);
        }
    }

    #[test]
    fn an_index_past_the_list_is_refused() {
        assert!(FourWords::from_indexes([0, 4095, 7, 4095]).is_some());
        assert_eq!(FourWords::from_indexes([0, 4095, 7, 4096]), None);
        assert_eq!(FourWords::from_indexes([u16::MAX, 0, 0, 0]), None);
    }

    #[test]
    fn words_are_shown_with_hyphens() {
        let words = FourWords(["ocean", "forest", "moon", "star"].map(|w| list::index(w).unwrap()));
        assert_eq!(words.to_string(), "ocean-forest-moon-star");
        assert_eq!(format!("{words:?}"), "ocean-forest-moon-star");
        assert_eq!(format!("[{words:>24}]"), "[  ocean-forest-moon-star]");
    }

    #[test]
    fn two_stretches_have_two_lookup_keys() {
        assert_ne!(FourWords::lookup_key(&[0; 32]), FourWords::lookup_key(&[1; 32]));
        assert_ne!(FourWords::lookup_key(&[0; 32]), LookupKey([0; 32]));
    }

    proptest! {
        #[test]
        fn every_48_bits_read_back_as_bytes_and_as_indexes(bytes: [u8; 6]) {
            let words = FourWords::from_bytes(bytes);
            prop_assert_eq!(words.to_bytes(), bytes);
            prop_assert_eq!(FourWords::from_indexes(words.indexes()), Some(words));
        }
    }
}
