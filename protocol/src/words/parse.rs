//! Reads four words as people type and say them.
//!
//! Hyphens, spaces, dots and underscores part the words, in any mix; case does not matter; the
//! first letters of a word stand for it if no other word begins so. A word in full always wins,
//! and the list has no word that begins another. Nothing is guessed: what is not in the list is
//! refused with suggestions, since the nearest name may be somebody else's.

use std::fmt;
use std::str::FromStr;

use super::{FourWords, list, suggest};

/// Bytes of text looked at: four words of 8 letters take 35, the rest is room for separators.
const TEXT_BYTES_MAX: usize = 200;

/// Letters that may stand for a word.
const PREFIX_LETTERS_MIN: usize = 3;

/// Why a text is no four words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordsError {
    /// The text has more than 200 bytes.
    TooLong,
    /// The text has so many words, and not four.
    WrongCount(usize),
    /// One word is not in the list, or is the beginning of several.
    Unknown {
        /// Which of the four words, from 1.
        position: usize,
        /// The word as it was typed.
        given: String,
        /// At most three words of the list that may be meant, the likeliest first.
        suggestions: Vec<&'static str>,
    },
}

impl FromStr for FourWords {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<FourWords, WordsError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(WordsError::TooLong);
        }
        let parts: Vec<&str> = text.split(parts_words).filter(|part| !part.is_empty()).collect();
        let parts = <[&str; 4]>::try_from(parts).map_err(|parts| WordsError::WrongCount(parts.len()))?;
        let mut indexes = [0; 4];
        for (place, (index, given)) in indexes.iter_mut().zip(parts).enumerate() {
            let word = given.to_ascii_lowercase();
            *index = find(&word).ok_or_else(|| WordsError::Unknown {
                position: place + 1,
                given: given.to_owned(),
                suggestions: suggest::suggest(&word),
            })?;
        }
        Ok(FourWords(indexes))
    }
}

fn parts_words(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '.' | '_')
}

/// The word itself, or the only one that begins so.
fn find(word: &str) -> Option<u16> {
    list::index(word).or_else(|| match list::starting_with(word) {
        [only] if word.len() >= PREFIX_LETTERS_MIN => list::index(only),
        _ => None,
    })
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordsError::TooLong => write!(f, "a name has four words, and this is far longer"),
            WordsError::WrongCount(count) => write!(f, "a name has four words, and this has {count}"),
            WordsError::Unknown { given, suggestions, .. } => {
                // Written as Rust writes it, so that what was pasted cannot steer a terminal.
                write!(f, "{given:?} is not in the word list")?;
                match suggestions.as_slice() {
                    [] => Ok(()),
                    [one] => write!(f, "; did you mean {one:?}?"),
                    [first @ .., last] => {
                        let first: Vec<String> = first.iter().map(|word| format!("{word:?}")).collect();
                        write!(f, "; did you mean {} or {last:?}?", first.join(", "))
                    }
                }
            }
        }
    }
}

impl std::error::Error for WordsError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        text.parse::<FourWords>().unwrap_err().to_string()
    }

    #[test]
    fn separators_case_and_space_around_do_not_matter() {
        let name: FourWords = "ocean-forest-moon-star".parse().unwrap();
        assert_eq!(name.words(), ["ocean", "forest", "moon", "star"]);
        for text in [
            "ocean forest moon star",
            "  OCEAN.Forest_moon - star\n",
            "ocean..forest\tmoon\u{a0}star-",
            "oce fores MOON star",
        ] {
            assert_eq!(text.parse(), Ok(name), "{text:?}");
        }
    }

    #[test]
    fn every_word_reads_from_its_first_five_letters_and_no_other_word_does() {
        for (place, word) in list::words().iter().enumerate() {
            let place = Some(u16::try_from(place).unwrap());
            assert_eq!(find(word), place);
            assert_eq!(find(word.get(..5).unwrap_or(word)), place);
        }
    }

    #[test]
    fn letters_that_begin_several_words_are_refused() {
        assert!(list::starting_with("for").len() > 1);
        assert_eq!(find("for"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn fewer_than_three_letters_stand_for_no_word() {
        let alone = |prefix: &&str| list::starting_with(prefix).len() == 1;
        let prefixes: Vec<&str> =
            list::words().iter().filter_map(|word| word.get(..2)).filter(alone).collect();
        assert!(!prefixes.is_empty(), "the rule has something to refuse");
        assert!(prefixes.iter().all(|prefix| find(prefix).is_none()));
    }

    #[test]
    fn another_count_of_words_is_refused() {
        assert_eq!("".parse::<FourWords>(), Err(WordsError::WrongCount(0)));
        assert_eq!(message("ocean forest moon"), "a name has four words, and this has 3");
        assert_eq!(message("ocean forest moon star wave"), "a name has four words, and this has 5");
    }

    #[test]
    fn a_long_text_is_refused_before_it_is_read() {
        let padded = |length: usize| format!("{:length$}", "ocean-forest-moon-star");
        assert!(padded(200).parse::<FourWords>().is_ok());
        assert_eq!(padded(201).parse::<FourWords>(), Err(WordsError::TooLong));
    }

    #[test]
    fn a_mistake_is_named_with_what_may_be_meant() {
        assert_eq!(
            "ocean-Forrest-moon-star".parse::<FourWords>(),
            Err(WordsError::Unknown { position: 2, given: "Forrest".into(), suggestions: vec!["forest"] })
        );
        assert_eq!(
            message("oceam forest moon star"),
            r#""oceam" is not in the word list; did you mean "ocean"?"#
        );
        assert_eq!(message("ocean forest moon xqzxqz"), r#""xqzxqz" is not in the word list"#);
    }

    #[test]
    fn several_suggestions_are_joined_with_commas_and_or() {
        let suggestions = vec!["moon", "star", "wave"];
        let error = WordsError::Unknown { position: 1, given: "x".into(), suggestions };
        assert!(error.to_string().ends_with(r#"did you mean "moon", "star" or "wave"?"#));
    }

    #[test]
    fn a_message_holds_no_control_characters_of_the_text() {
        let error = message("\u{1b}[31m forest moon star");
        assert_eq!(error, r#""\u{1b}[31m" is not in the word list"#);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: [u8; 6], separators in "[-._ \t]{1,3}", upper: bool) {
            let name = FourWords::from_bytes(bytes);
            let shown = name.to_string();
            prop_assert_eq!(shown.parse(), Ok(name));
            let retyped = shown.replace('-', &separators);
            let retyped = if upper { retyped.to_ascii_uppercase() } else { retyped };
            prop_assert_eq!(retyped.parse(), Ok(name));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            if let Err(WordsError::Unknown { position, given, suggestions }) = text.parse::<FourWords>() {
                prop_assert!((1..=4).contains(&position) && text.contains(&given));
                prop_assert!(suggestions.len() <= 3);
            }
        }
    }
}
