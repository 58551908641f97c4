//! Finds whom a text mentions: an `@`, and the four words or the name of somebody in the chat.
//!
//! Names are looked up as they are now, so who takes another one is mentioned by that from then on.
//! Of two people of one name both are meant.

use fourword_protocol::command::PersonView;

use super::row::People;

/// Marks in one text that are looked at: a text of nothing else costs no more than this many.
const MARKS_MAX: usize = 64;

/// Those among these people whom a text mentions, each once.
pub(super) fn mentioned<'a>(
    text: &str,
    people: &'a People,
) -> impl Iterator<Item = &'a PersonView> + use<'a> {
    let mut before = None;
    let mut named: Vec<&str> = Vec::new();
    for (at, letter) in text.char_indices() {
        // What stands in an address is no mention.
        if letter == '@' && !before.is_some_and(char::is_alphanumeric) && named.len() < MARKS_MAX {
            named.extend(text.get(at + 1..));
        }
        before = Some(letter);
    }
    let is_meant = |person: &&PersonView| {
        let words = person.words.map(|words| words.to_string());
        let names = words.iter().map(String::as_str).chain([person.name.as_str()]);
        let mut names = names.filter(|name| !name.is_empty());
        names.any(|name| named.iter().any(|rest| begins_with(rest, name)))
    };
    people.values().filter(is_meant).collect::<Vec<_>>().into_iter()
}

/// Whether a text begins with a name, in any case, and the name ends there.
fn begins_with(text: &str, name: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    let is_name = name.chars().flat_map(char::to_lowercase).all(|letter| letters.next() == Some(letter));
    is_name && !letters.next().is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use fourword_protocol::ids::PersonId;
    use fourword_protocol::schema::key;
    use fourword_protocol::words::FourWords;

    use super::*;

    #[test]
    fn people_are_mentioned_by_words_and_by_name_and_nobody_by_an_address() {
        let words: FourWords = "ocean-forest-moon-star".parse().unwrap();
        let person = |n: u8, name: &str, words| {
            let person = PersonView { person: PersonId([n; 32]), words, name: name.into() };
            (key::owner(&person.person), person)
        };
        let people = People::from([
            person(1, "Ada", Some(words)),
            person(2, "Zoë Ann", None),
            person(3, "Ad", None),
            person(4, "", None),
            person(5, "ada", None),
        ]);
        let named = |text: &str| -> Vec<u8> { mentioned(text, &people).map(|p| p.person.0[0]).collect() };
        assert_eq!(named("@ocean-forest-moon-star: look"), [1]);
        assert_eq!(named("(@OCEAN-forest-moon-star) @zoë ann, @ad!"), [1, 2, 3]);
        assert_eq!(named("hello @Ada"), [1, 5]);
        for nobody in ["ada@ocean-forest-moon-star", "@adam", "@", "", "@ Ada", "Ada", "@zoë"] {
            assert_eq!(named(nobody), [0; 0], "{nobody}");
        }
        assert_eq!(named(&format!("{}@ad", "@".repeat(MARKS_MAX))), [0; 0], "who marks everything");
    }
}
