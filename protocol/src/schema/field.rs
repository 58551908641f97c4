//! What the fields of things hold: their kinds, their encodings, and what is refused.
//!
//! Each field of a thing merges on its own, so a value is all that one write can change. Values of
//! kinds that later software adds are kept and passed on unread.

use super::key::{Owner, name, spell};
use super::rank::Rank;
use super::record::{flag, is_name};
use super::thing::ThingId;
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{FIELD_NUMBERS_MAX, NAME_BYTES_MAX, RANK_BYTES_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX};

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A text on one line, at most `limits::NAME_BYTES_MAX`.
    Line,
    /// A text, at most `limits::TEXT_BYTES_MAX`.
    Text,
    /// One of these words. Another that later software may know is kept, but not offered here.
    Word(&'static [&'static str]),
    /// On or off.
    Flag,
    /// A person or nobody.
    Person,
    /// A day as `2026-11-30`, or nothing.
    Day,
    /// A number, finite.
    Number,
    /// A whole number.
    Whole,
    /// A place in a column.
    Place,
    /// A place among the things of a table.
    Rank,
    /// A line of a list, and where in it.
    Entry,
    /// Two numbers that change together.
    Pair,
    /// At most `limits::FIELD_NUMBERS_MAX` numbers.
    Numbers,
    /// The BLAKE3 hash that names bytes on the shared disk.
    Blob,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of `Line`, `Text`, `Word` and `Day`.
    Text(String),
    /// On or off.
    Flag(bool),
    /// A person or nobody.
    Person(Option<Owner>),
    /// A number.
    Number(Number),
    /// A whole number.
    Whole(i64),
    /// A column, and where in it.
    Place(ThingId, Rank),
    /// Where among its like.
    Rank(Rank),
    /// Where in a list, and what it says.
    Entry(Rank, String),
    /// Two numbers.
    Pair(Number, Number),
    /// Numbers.
    Numbers(Vec<Number>),
    /// What names bytes.
    Blob([u8; 32]),
}

/// A number that is finite and not the negative zero, so that equal ones are spelled alike.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(f64);

impl Eq for Number {}

impl Number {
    /// None for what is not finite.
    pub fn new(number: f64) -> Option<Number> {
        // The negative zero plus zero is zero.
        number.is_finite().then_some(Number(number + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Why a value cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Another kind of value belongs there.
    #[error("takes {}", .0.described())]
    Kind(Holds),
    /// Not one of the words.
    #[error("is one of {words}, not {1:?}", words = .0.join(", "))]
    NoWord(&'static [&'static str], String),
    /// No day of the calendar.
    #[error("takes a day such as 2026-11-30, not {0:?}")]
    NoDay(String),
    /// Too many bytes: how many there are, and may be.
    #[error("takes at most {1} bytes, not {0}")]
    TooLong(usize, usize),
    /// Too many numbers; says how many.
    #[error("takes at most {FIELD_NUMBERS_MAX} numbers, not {0}")]
    TooMany(usize),
    /// More than one line, or characters that turn around what stands beside them.
    #[error("takes one line")]
    NotOneLine,
}

impl Holds {
    fn described(self) -> &'static str {
        match self {
            Holds::Line => "one line of text",
            Holds::Text => "a text",
            Holds::Word(_) => "a word",
            Holds::Flag => "true or false",
            Holds::Person => "a person",
            Holds::Day => "a day",
            Holds::Number => "a number",
            Holds::Whole => "a whole number",
            Holds::Place => "a place in a column",
            Holds::Rank => "a place in the list",
            Holds::Entry => "a line of a list",
            Holds::Pair => "two numbers",
            Holds::Numbers => "numbers",
            Holds::Blob => "a file",
        }
    }

    /// Says whether a person may set this value.
    pub fn judge(self, value: &Value) -> Result<(), Unfit> {
        match (self, value) {
            (Holds::Line, Value::Text(text)) | (Holds::Entry, Value::Entry(_, text)) => judge_line(text),
            (Holds::Text, Value::Text(text)) if text.len() > TEXT_BYTES_MAX => {
                Err(Unfit::TooLong(text.len(), TEXT_BYTES_MAX))
            }
            (Holds::Word(words), Value::Text(word)) if !words.contains(&word.as_str()) => {
                Err(Unfit::NoWord(words, word.clone()))
            }
            (Holds::Day, Value::Text(day)) if !day.is_empty() && !is_day(day) => {
                Err(Unfit::NoDay(day.clone()))
            }
            (Holds::Numbers, Value::Numbers(numbers)) if numbers.len() > FIELD_NUMBERS_MAX => {
                Err(Unfit::TooMany(numbers.len()))
            }
            (Holds::Text | Holds::Word(_) | Holds::Day, Value::Text(_))
            | (Holds::Flag, Value::Flag(_))
            | (Holds::Person, Value::Person(_))
            | (Holds::Number, Value::Number(_))
            | (Holds::Whole, Value::Whole(_))
            | (Holds::Place, Value::Place(..))
            | (Holds::Rank, Value::Rank(_))
            | (Holds::Pair, Value::Pair(..))
            | (Holds::Numbers, Value::Numbers(_))
            | (Holds::Blob, Value::Blob(_)) => Ok(()),
            _ => Err(Unfit::Kind(self)),
        }
    }

    /// Takes a value of this kind.
    pub(super) fn read(self, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
        let value = match self {
            Holds::Line => Value::Text(checked(reader.short_text(NAME_BYTES_MAX)?, is_name)?),
            Holds::Text => Value::Text(reader.short_text(TEXT_BYTES_MAX)?.into()),
            Holds::Word(_) => Value::Text(checked(reader.short_text(WORD_BYTES_MAX)?, is_word)?),
            Holds::Day => {
                Value::Text(checked(reader.short_text(WORD_BYTES_MAX)?, |day| day.is_empty() || is_day(day))?)
            }
            Holds::Flag => Value::Flag(flag(reader)?),
            Holds::Person => Value::Person(match flag(reader)? {
                true => Some(reader.array()?),
                false => None,
            }),
            Holds::Number => Value::Number(number(reader)?),
            Holds::Pair => Value::Pair(number(reader)?, number(reader)?),
            Holds::Numbers => Value::Numbers(reader.list(FIELD_NUMBERS_MAX, number)?),
            Holds::Whole => Value::Whole(unfold(reader.varint()?)),
            Holds::Place => {
                let column = ThingId { owner: reader.array()?, random: reader.array()? };
                Value::Place(column, rank(reader)?)
            }
            Holds::Rank => Value::Rank(rank(reader)?),
            Holds::Entry => {
                Value::Entry(rank(reader)?, checked(reader.short_text(NAME_BYTES_MAX)?, is_name)?)
            }
            Holds::Blob => Value::Blob(reader.array()?),
        };
        Ok(value)
    }
}

impl Value {
    /// Appends it as [`Holds::read`] takes it.
    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Value::Text(text) => writer.short_text(text),
            Value::Flag(on) => writer.u8(u8::from(*on)),
            Value::Person(person) => {
                writer.u8(u8::from(person.is_some()));
                writer.raw(person.as_ref().map_or(&[], |person| &person[..]))
            }
            Value::Number(number) => writer.u64(number.0.to_bits()),
            Value::Pair(one, other) => writer.u64(one.0.to_bits()).u64(other.0.to_bits()),
            Value::Numbers(numbers) => writer.list(numbers, |writer, number| {
                writer.u64(number.0.to_bits());
            }),
            Value::Whole(number) => writer.varint(fold(*number)),
            Value::Place(column, rank) => {
                writer.raw(&column.owner).raw(&column.random).short_bytes(rank.as_bytes())
            }
            Value::Rank(rank) => writer.short_bytes(rank.as_bytes()),
            Value::Entry(rank, text) => writer.short_bytes(rank.as_bytes()).short_text(text),
            Value::Blob(hash) => writer.raw(hash),
        };
    }

    /// Bytes that it takes, written.
    pub fn size(&self) -> usize {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.as_slice().len()
    }

    /// What it says to people, as far as it is text.
    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) | Value::Entry(_, text) => text,
            _ => "",
        }
    }
}

fn judge_line(text: &str) -> Result<(), Unfit> {
    match text.len() {
        bytes if bytes > NAME_BYTES_MAX => Err(Unfit::TooLong(bytes, NAME_BYTES_MAX)),
        _ if is_name(text) => Ok(()),
        _ => Err(Unfit::NotOneLine),
    }
}

fn checked(text: &str, is_fit: impl Fn(&str) -> bool) -> Result<String, Malformed> {
    if is_fit(text) { Ok(text.into()) } else { Err(Malformed) }
}

fn number(reader: &mut Reader<'_>) -> Result<Number, Malformed> {
    let number = f64::from_bits(reader.u64()?);
    let plain = Number::new(number).filter(|plain| plain.0.to_bits() == number.to_bits());
    plain.ok_or(Malformed)
}

fn rank(reader: &mut Reader<'_>) -> Result<Rank, Malformed> {
    Rank::read(reader.short_bytes(RANK_BYTES_MAX)?).ok_or(Malformed)
}

/// Whole numbers near zero, of either sign, take few bytes.
fn fold(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unfold(folded: u64) -> i64 {
    (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()
}

/// Whether a text can be a word of a list: lower-case letters, digits and hyphens.
fn is_word(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether a text spells a day of the calendar, from the year 1 to 9999.
pub fn is_day(text: &str) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return false };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !digits.iter().all(|digit| digit.is_ascii_digit()) {
        return false;
    }
    let number =
        |digits: &[&u8]| digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(**digit - b'0'));
    let (year, month, day) = (number(&[y1, y2, y3, y4]), number(&[m1, m2]), number(&[d1, d2]));
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    year > 0 && (1..=days).contains(&day)
}

/// What tells apart the parts of a field that has many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// It has one value.
    One,
    /// A text on one line, without `|`.
    Texts,
    /// A person.
    People,
    /// A name drawn at random.
    Drawn,
}

impl Parts {
    /// Whether a text names a part.
    pub(super) fn fits(self, part: Option<&str>) -> bool {
        match (self, part) {
            (Parts::One, None) => true,
            (Parts::Texts, Some(text)) => is_part(text),
            (Parts::People, Some(text)) => name::<16>(text).is_some(),
            (Parts::Drawn, Some(text)) => name::<8>(text).is_some(),
            _ => false,
        }
    }
}

/// Whether a text can stand in a key as the name of a part.
pub(super) fn is_part(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len()) && is_name(text) && !text.contains('|') && text.trim() == text
}

/// How keys spell a person as a part.
pub fn person_part(person: &Owner) -> String {
    spell(person)
}

/// The person that a part names, if it names one.
pub fn part_person(part: &str) -> Option<Owner> {
    name(part)
}

/// One field: its name, what it holds, and whether it has parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in keys and in the API.
    pub name: &'static str,
    /// What each value is.
    pub holds: Holds,
    /// What tells its values apart.
    pub parts: Parts,
}

impl Field {
    pub(super) const fn one(name: &'static str, holds: Holds) -> Field {
        Field { name, holds, parts: Parts::One }
    }

    pub(super) const fn many(name: &'static str, holds: Holds, parts: Parts) -> Field {
        Field { name, holds, parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(Holds, Value)> {
        let id = ThingId { owner: [1; 16], random: [2; 8] };
        let rank = || Rank::between(None, None, 1).unwrap();
        let number = |number| Number::new(number).unwrap();
        vec![
            (Holds::Line, Value::Text("a line".into())),
            (Holds::Text, Value::Text("two\nlines".into())),
            (Holds::Word(&["todo", "in-progress"]), Value::Text("in-progress".into())),
            (Holds::Day, Value::Text("2028-02-29".into())),
            (Holds::Day, Value::Text(String::new())),
            (Holds::Flag, Value::Flag(true)),
            (Holds::Person, Value::Person(Some([3; 16]))),
            (Holds::Person, Value::Person(None)),
            (Holds::Number, Value::Number(number(-1.5))),
            (Holds::Whole, Value::Whole(i64::MIN)),
            (Holds::Whole, Value::Whole(-1)),
            (Holds::Place, Value::Place(id, rank())),
            (Holds::Rank, Value::Rank(rank())),
            (Holds::Entry, Value::Entry(rank(), "buy bread".into())),
            (Holds::Pair, Value::Pair(number(1.0), number(-0.25))),
            (Holds::Numbers, Value::Numbers(vec![number(0.0), number(1e9)])),
            (Holds::Blob, Value::Blob([7; 32])),
        ]
    }

    #[test]
    fn each_kind_of_value_is_read_as_it_was_written_and_by_its_own_kind_alone() {
        for (holds, value) in all() {
            assert_eq!(holds.judge(&value), Ok(()), "{holds:?}");
            let mut writer = Writer::new();
            value.write(&mut writer);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            assert_eq!(holds.read(&mut reader), Ok(value), "{holds:?}");
            assert_eq!(reader.finish(), Ok(()));
            for length in 0..bytes.len() {
                assert!(holds.read(&mut Reader::new(&bytes[..length])).is_err(), "{holds:?} cut at {length}");
            }
        }
        let kind = |value: &Value| std::mem::discriminant(value);
        for (holds, own) in all() {
            for (_, value) in all().iter().filter(|(_, value)| kind(value) != kind(&own)) {
                assert_eq!(holds.judge(value), Err(Unfit::Kind(holds)));
            }
        }
    }

    #[test]
    fn what_is_no_day_of_the_calendar_is_refused() {
        for day in ["2026-11-30", "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"] {
            assert!(is_day(day), "{day}");
        }
        for day in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-1-1",
            "0000-01-01",
            "",
            "tomorrow",
            "2026-11-3x",
        ] {
            assert!(!is_day(day), "{day}");
            let judged = Holds::Day.judge(&Value::Text(day.into()));
            assert_eq!(judged.is_err(), !day.is_empty(), "{day}");
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(Number::new(f64::NAN), None);
        assert_eq!(Number::new(f64::INFINITY), None);
        assert_eq!(Number::new(-0.0).unwrap().get().to_bits(), 0);
        for bits in [(-0.0_f64).to_bits(), f64::NAN.to_bits(), f64::NEG_INFINITY.to_bits()] {
            assert_eq!(Holds::Number.read(&mut Reader::new(&bits.to_be_bytes())), Err(Malformed));
        }
        for number in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unfold(fold(number)), number);
        }
        assert_eq!((fold(0), fold(-1), fold(1)), (0, 1, 2));
    }

    #[test]
    fn a_word_of_later_software_is_read_and_not_offered() {
        let holds = Holds::Word(&["todo", "done"]);
        let mut writer = Writer::new();
        Value::Text("blocked".into()).write(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(holds.read(&mut Reader::new(&bytes)), Ok(Value::Text("blocked".into())));
        let refused = holds.judge(&Value::Text("blocked".into())).unwrap_err();
        assert_eq!(refused.to_string(), "is one of todo, done, not \"blocked\"");
    }

    #[test]
    fn what_is_too_long_or_on_two_lines_is_refused() {
        let text = |bytes| Value::Text("x".repeat(bytes));
        assert_eq!(Holds::Line.judge(&text(257)), Err(Unfit::TooLong(257, 256)));
        assert_eq!(Holds::Line.judge(&Value::Text("a\nb".into())), Err(Unfit::NotOneLine));
        assert_eq!(Holds::Text.judge(&text(TEXT_BYTES_MAX)), Ok(()));
        let over = TEXT_BYTES_MAX + 1;
        assert_eq!(Holds::Text.judge(&text(over)), Err(Unfit::TooLong(over, TEXT_BYTES_MAX)));
    }

    #[test]
    fn parts_are_named_as_their_field_says() {
        assert!(Parts::One.fits(None) && !Parts::One.fits(Some("x")));
        assert!(Parts::Texts.fits(Some("needs review")) && !Parts::Texts.fits(Some("a|b")));
        assert!(!Parts::Texts.fits(Some(" x")) && !Parts::Texts.fits(Some("")) && !Parts::Texts.fits(None));
        assert!(!Parts::Texts.fits(Some(&"x".repeat(WORD_BYTES_MAX + 1))));
        assert!(Parts::People.fits(Some(&spell(&[1; 16]))) && !Parts::People.fits(Some("ada")));
        assert!(Parts::Drawn.fits(Some(&spell(&[1; 8]))) && !Parts::Drawn.fits(Some(&spell(&[1; 16]))));
    }
}
