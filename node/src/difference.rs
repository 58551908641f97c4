//! How two texts differ, by the characters that people see and never within one.
//!
//! The API asks for it; the machine gives both texts and compares none. Invariant: what is the same
//! and what was removed make the one text, what is the same and what was added the other. Comparing
//! ends after a bounded time: what was not compared by then is removed and added as a whole.

use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

/// A piece of two texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TextPiece")]
pub enum Piece {
    /// It is in both.
    Same(String),
    /// It is in the earlier alone.
    Removed(String),
    /// It is in the later alone.
    Added(String),
}

/// How two texts differ, piece by piece in their order; compares until `deadline`.
pub fn pieces(before: &str, after: &str, deadline: Instant) -> Vec<Piece> {
    let difference = TextDiff::configure().deadline(deadline).diff_graphemes(before, after);
    let mut pieces: Vec<Piece> = Vec::new();
    for change in difference.iter_all_changes() {
        let text = change.value();
        match (change.tag(), pieces.last_mut()) {
            (ChangeTag::Equal, Some(Piece::Same(last)))
            | (ChangeTag::Delete, Some(Piece::Removed(last)))
            | (ChangeTag::Insert, Some(Piece::Added(last))) => last.push_str(text),
            (ChangeTag::Equal, _) => pieces.push(Piece::Same(text.to_owned())),
            (ChangeTag::Delete, _) => pieces.push(Piece::Removed(text.to_owned())),
            (ChangeTag::Insert, _) => pieces.push(Piece::Added(text.to_owned())),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::seq::IndexedRandom as _;
    use rand::{Rng, RngExt as _, SeedableRng};

    use super::*;

    fn compared(before: &str, after: &str) -> Vec<Piece> {
        pieces(before, after, Instant::now() + Duration::from_secs(10))
    }

    fn same(text: &str) -> Piece {
        Piece::Same(text.to_owned())
    }

    fn removed(text: &str) -> Piece {
        Piece::Removed(text.to_owned())
    }

    fn added(text: &str) -> Piece {
        Piece::Added(text.to_owned())
    }

    /// Both texts, put together again.
    fn joined(pieces: &[Piece]) -> (String, String) {
        let (mut before, mut after) = (String::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Same(text) => [&mut before, &mut after].iter_mut().for_each(|t| t.push_str(text)),
                Piece::Removed(text) => before.push_str(text),
                Piece::Added(text) => after.push_str(text),
            }
        }
        (before, after)
    }

    /// Comparing bytes, an earlier system fell over these (D16).
    #[test]
    fn a_difference_never_splits_a_character() {
        assert_eq!(compared("café", "cafè"), [same("caf"), removed("é"), added("è")]);
        assert_eq!(compared("😀!", "😁!"), [removed("😀"), added("😁"), same("!")]);
        let (one, other) = ("e\u{301}", "e\u{300}");
        assert_eq!(compared(one, other), [removed(one), added(other)], "an accent by itself is none");
        let (family, couple) = ("👩‍👩‍👧", "👩‍👩‍👦");
        assert_eq!(compared(family, couple), [removed(family), added(couple)]);
        let (flag, other) = ("🇩🇪", "🇩🇰");
        assert_eq!(compared(flag, other), [removed(flag), added(other)]);
    }

    #[test]
    fn what_differs_is_as_little_as_it_can_be() {
        assert_eq!(compared("with a brush", "with two brushes"), {
            [same("with "), removed("a"), added("two"), same(" brush"), added("es")]
        });
        assert_eq!(compared("", ""), []);
        assert_eq!(compared("", "new"), [added("new")]);
        assert_eq!(compared("old", ""), [removed("old")]);
        assert_eq!(compared("as it was", "as it was"), [same("as it was")]);
    }

    #[test]
    fn whatever_two_texts_are_their_pieces_make_both_again() {
        let mut random = rand_chacha(7);
        let characters = ["a", "b", "é", "e\u{301}", "😀", "👩‍👩‍👧", "\n", "🇩🇪", " ", "\u{301}"];
        for _ in 0..500 {
            let mut text = || {
                let length = random.random_range(0..30);
                (0..length).filter_map(|_| characters.choose(&mut random).copied()).collect::<String>()
            };
            let (before, after) = (text(), text());
            assert_eq!(joined(&compared(&before, &after)), (before, after));
        }
    }

    fn rand_chacha(seed: u64) -> impl Rng {
        rand::rngs::StdRng::seed_from_u64(seed)
    }

    #[test]
    fn comparing_the_longest_texts_that_have_nothing_in_common_ends_in_time() {
        let long = |from: char| (0..60_000u32).map(|n| char::from_u32(u32::from(from) + n % 97)).collect();
        let (before, after): (Option<String>, Option<String>) = (long('\u{4e00}'), long('\u{5f00}'));
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let began = Instant::now();
        let pieces = pieces(&before, &after, began + Duration::from_millis(200));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(joined(&pieces), (before, after));
    }
}
