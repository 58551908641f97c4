//! Which words of the list may be meant by one that is not in it.
//!
//! `parse` asks once per refused text and shows the answer; nothing is ever corrected silently.
//! A mistake is a wrong, missing or added letter or a swap of two neighbours (Damerau 1964).
//! The list has no two words one mistake apart, so a word with one mistake is always found at
//! distance one, and only words equally near compete with it.

use super::list;

/// How many words are suggested at most.
const SUGGESTIONS_MAX: usize = 3;

/// Letters from which a text counts as the beginning of a word.
const BEGINNING_LETTERS_MIN: usize = 3;

/// The words nearest to `given`, which is in lower case and not in the list, the likeliest first.
///
/// Words with more mistakes than the nearest are left out. Walks the whole list, for a person who
/// waits: some milliseconds at most.
pub(super) fn suggest(given: &str) -> Vec<&'static str> {
    let mut near: Vec<(Rank, &str)> =
        list::words().iter().filter_map(|word| Some((rank(given, word)?, *word))).collect();
    near.sort_unstable();
    let fewest = near.first().map(|((mistakes, ..), _)| *mistakes);
    near.into_iter()
        .take_while(|((mistakes, ..), _)| Some(*mistakes) == fewest)
        .map(|(_, word)| word)
        .take(SUGGESTIONS_MAX)
        .collect()
}

/// Mistakes, then whether the first letters differ, then the difference of lengths: people
/// seldom mistake the first letter, and more often hit a wrong key than one too many.
type Rank = (u8, bool, usize);

fn rank(given: &str, word: &str) -> Option<Rank> {
    let (given, word) = (given.as_bytes(), word.as_bytes());
    // Two mistakes in four letters leave nothing to recognise.
    let most = if given.len() < 5 { 1 } else { 2 };
    // What is missing at the end, or too much there, counts as one mistake however long it is.
    let ending = given.starts_with(word) || given.len() >= BEGINNING_LETTERS_MIN && word.starts_with(given);
    let mistakes = if ending { 1 } else { mistakes(given, word, most)? };
    Some((mistakes, given.first() != word.first(), given.len().abs_diff(word.len())))
}

/// The fewest mistakes that make one text of the other; `None` if they are more than `most`.
///
/// A swapped pair is not edited again. Equal beginnings cost nothing and are never worth breaking.
/// Recurs as deep as the shorter text is long, and never into texts of too different lengths.
fn mistakes(one: &[u8], other: &[u8], most: u8) -> Option<u8> {
    if one.len().abs_diff(other.len()) > usize::from(most) {
        return None;
    }
    match (one, other) {
        ([], []) => Some(0),
        ([a, one @ ..], [b, other @ ..]) if a == b => mistakes(one, other, most),
        _ => {
            let most = most.checked_sub(1)?;
            let after = |one, other| mistakes(one, other, most);
            let wrong = || after(one.get(1..)?, other.get(1..)?);
            let added = || after(one.get(1..)?, other);
            let missing = || after(one, other.get(1..)?);
            let swapped = || match (one, other) {
                ([a, b, one @ ..], [c, d, other @ ..]) if a == d && b == c => after(one, other),
                _ => None,
            };
            let fewest = [wrong(), added(), missing(), swapped()].into_iter().flatten().min()?;
            Some(fewest + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The textbook table of optimal string alignment, to compare with.
    fn distance_by_table(one: &[u8], other: &[u8]) -> usize {
        let mut table = vec![vec![0; other.len() + 1]; one.len() + 1];
        for i in 0..=one.len() {
            for j in 0..=other.len() {
                table[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let wrong = table[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
                    let fewest = wrong.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
                    if swapped { fewest.min(table[i - 2][j - 2] + 1) } else { fewest }
                };
            }
        }
        table[one.len()][other.len()]
    }

    fn mistyped(word: &str, random: &mut ChaCha8Rng) -> String {
        let mut letters = word.as_bytes().to_vec();
        let letter = random.random_range(b'a'..=b'z');
        match random.random_range(0..4) {
            0 => letters[random.random_range(0..word.len())] = letter,
            1 => letters.insert(random.random_range(0..=word.len()), letter),
            2 => drop(letters.remove(random.random_range(0..word.len()))),
            _ => {
                let place = random.random_range(1..word.len());
                letters.swap(place - 1, place);
            }
        }
        String::from_utf8(letters).unwrap()
    }

    #[test]
    fn the_word_meant_is_suggested_for_99_of_100_mistakes() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let (mut typed, mut found) = (0, 0);
        while typed < 1500 {
            let word = list::words()[random.random_range(0..list::COUNT)];
            let given = mistyped(word, &mut random);
            if list::index(&given).is_none() {
                typed += 1;
                found += usize::from(suggest(&given).contains(&word));
            }
        }
        assert!(found * 100 >= typed * 99, "{found} of {typed}");
    }

    #[test]
    fn the_nearest_come_first_and_are_at_most_three() {
        assert_eq!(suggest("oceam"), ["ocean"]);
        assert_eq!(suggest("froest").first(), Some(&"forest"));
        assert_eq!(suggest("oceans").first(), Some(&"ocean"));
        assert_eq!(suggest("for").len(), 3);
    }

    #[test]
    fn what_is_like_no_word_gets_no_suggestion() {
        assert!(suggest("xqzxqz").is_empty());
        assert!(suggest("").is_empty());
        assert!(suggest("ж").is_empty());
    }

    #[test]
    fn a_beginning_is_completed_and_an_ending_dropped() {
        assert_eq!(suggest("cham"), ["chasm", "chamber", "champion"]);
        assert_eq!(suggest("oceanside"), ["ocean"]);
    }

    proptest! {
        #[test]
        fn mistakes_are_counted_as_the_table_counts_them(one in "[ab]{0,7}", other in "[abc]{0,7}") {
            let table = distance_by_table(one.as_bytes(), other.as_bytes());
            let expected = u8::try_from(table).ok().filter(|count| *count <= 2);
            prop_assert_eq!(mistakes(one.as_bytes(), other.as_bytes(), 2), expected);
        }
    }
}
