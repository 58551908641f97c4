//! The rules by which the frozen words were chosen, one test for each that spelling can decide.
//!
//! How common the words are, how they sound and what they mean took the packages that
//! protocol/data/README.md names; the hash keeps the result.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::words::list;

const FILE: &str = include_str!("../data/words.txt");
const UNFIT: &str = include_str!("../../scripts/word-list-unfit.txt");

fn words() -> BTreeSet<&'static str> {
    list::words().iter().copied().collect()
}

#[test]
fn the_list_is_frozen() {
    let hash = blake3::hash(FILE.as_bytes()).to_hex();
    assert_eq!(hash.as_str(), "c831032a3c510f381bcf61dff634ffadf13fc0eade013ebb88a19d1d9f216ae9");
}

#[test]
fn there_are_4096_lines_and_each_ends() {
    assert_eq!(FILE.lines().count(), 4096);
    assert!(FILE.ends_with('\n') && !FILE.contains('\r'));
}

#[test]
fn the_words_are_in_byte_order_and_differ() {
    assert!(list::words().is_sorted_by(|one, next| one < next));
}

#[test]
fn a_word_has_three_to_eight_lower_case_letters() {
    for word in words() {
        assert!((3..=8).contains(&word.len()), "{word}");
        assert!(word.bytes().all(|letter| letter.is_ascii_lowercase()), "{word}");
    }
}

#[test]
fn the_first_five_letters_tell_a_word_from_all_others() {
    let mut by_beginning = BTreeMap::new();
    for word in words() {
        let other = by_beginning.insert(word.get(..5).unwrap_or(word), word);
        assert_eq!(other, None, "{word}");
    }
}

#[test]
fn no_word_begins_another() {
    // In byte order a word that begins others stands just before the first of them.
    for pair in list::words().windows(2) {
        assert!(!pair[1].starts_with(pair[0]), "{pair:?}");
    }
}

#[test]
fn no_word_is_one_mistake_away_from_another() {
    for word in words() {
        for mistake in mistakes(word) {
            assert!(mistake == word || list::index(&mistake).is_none(), "{word}, {mistake}");
        }
    }
}

#[test]
fn no_word_is_spelt_as_an_inflection_of_another() {
    let words = words();
    for word in &words {
        for stem in stems(word) {
            assert!(!words.contains(stem.as_str()), "{word} may come from {stem}");
        }
    }
}

#[test]
fn the_stems_of_usual_inflections_are_found() {
    for (word, stem) in [
        ("waves", "wave"),
        ("matches", "match"),
        ("cities", "city"),
        ("baked", "bake"),
        ("planning", "plan"),
        ("riding", "ride"),
        ("widest", "wide"),
        ("happily", "happy"),
        ("runner", "run"),
        ("windy", "wind"),
        ("woolen", "wool"),
    ] {
        assert!(stems(word).contains(stem), "{word}");
    }
}

#[test]
fn the_words_of_the_examples_are_in_the_list() {
    for word in ["ocean", "forest", "moon", "star", "bright", "river", "wind", "gentle", "wave", "fire"] {
        assert!(list::index(word).is_some(), "{word}");
    }
}

#[test]
fn no_word_is_one_that_readers_took_out() {
    let unfit: Vec<&str> =
        UNFIT.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    assert!(unfit.len() > 500, "the words taken out are read");
    for word in unfit {
        assert_eq!(list::index(word), None, "{word}");
    }
}

/// Every text that one wrong, missing or added letter or one swap of neighbours makes of a word.
fn mistakes(word: &str) -> Vec<String> {
    let mut made = Vec::new();
    for place in 0..=word.len() {
        let (left, right) = word.split_at(place);
        for letter in 'a'..='z' {
            made.push(format!("{left}{letter}{right}"));
            if !right.is_empty() {
                made.push(format!("{left}{letter}{}", &right[1..]));
            }
        }
        if !right.is_empty() {
            made.push(format!("{left}{}", &right[1..]));
        }
        if right.len() > 1 {
            made.push(format!("{left}{}{}{}", &right[1..2], &right[..1], &right[2..]));
        }
    }
    made
}

/// What a word may be an inflection or plain derivation of: less a suffix, with a dropped e or a
/// y given back and a doubled letter halved.
fn stems(word: &str) -> BTreeSet<String> {
    const SUFFIXES: [&str; 14] =
        ["s", "es", "d", "ed", "r", "er", "or", "st", "est", "ing", "y", "ly", "n", "en"];
    let mut found = BTreeSet::new();
    for stem in SUFFIXES.iter().filter_map(|suffix| word.strip_suffix(suffix)) {
        let [.., before, last] = stem.as_bytes() else { continue };
        found.insert(stem.to_owned());
        found.insert(format!("{stem}e"));
        if let Some(start) = stem.strip_suffix('i') {
            found.insert(format!("{start}y"));
        }
        if before == last {
            found.insert(stem[..stem.len() - 1].to_owned());
        }
    }
    found
}
