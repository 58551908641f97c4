//! The frozen list of 4,096 words, in byte order.
//!
//! A word's place is its meaning: twelve bits of a name. Changing one word would rename groups
//! and people, so tests/word_list.rs fixes the hash of the whole list, and checks each rule by
//! which data/README.md says that the words were chosen.

use std::sync::LazyLock;

/// How many words the list has: twelve bits name one.
pub const COUNT: usize = 4096;

static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let list: Vec<&str> = include_str!("../../data/words.txt").lines().collect();
    assert!(list.len() == COUNT, "the word list is part of the program and has 4,096 words");
    list
});

/// All words, in order.
pub fn words() -> &'static [&'static str] {
    &LIST
}

/// The word at a place of the list; `None` from 4,096 on.
pub fn word(index: u16) -> Option<&'static str> {
    LIST.get(usize::from(index)).copied()
}

/// The place of a word, which must be written in full and in lower case.
pub fn index(word: &str) -> Option<u16> {
    LIST.binary_search(&word).ok().and_then(|place| u16::try_from(place).ok())
}

/// The words that begin with `prefix`, in order; all of them if it is empty.
pub fn starting_with(prefix: &str) -> &'static [&'static str] {
    let start = LIST.partition_point(|word| *word < prefix);
    let rest = LIST.get(start..).unwrap_or_default();
    let count = rest.partition_point(|word| word.starts_with(prefix));
    rest.get(..count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_word_and_every_word_its_place() {
        for place in 0..4096 {
            assert_eq!(index(word(place).unwrap()), Some(place));
        }
        assert_eq!(word(4096), None);
        assert_eq!(index("oceam"), None);
        assert_eq!(index("OCEAN"), None);
        assert_eq!(index(""), None);
    }

    #[test]
    fn starting_with_gives_what_a_walk_over_the_list_gives() {
        for prefix in ["", "a", "oce", "ocean", "oceans", "st", "zz", "~", "é", "OCE"] {
            let walked: Vec<_> = words().iter().copied().filter(|w| w.starts_with(prefix)).collect();
            assert_eq!(starting_with(prefix), walked, "{prefix:?}");
        }
    }
}
