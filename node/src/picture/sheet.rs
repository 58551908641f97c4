//! The one place that writes SVG: escapes every text, rounds and bounds every number.
//!
//! Invariant: nothing that a member wrote reaches the picture by another way, so no text can end an
//! attribute, begin an element, or refer to anything.

use std::fmt::Write;

use super::{Area, REACH, within};

/// How colours are named where none is given or what is given is none.
pub(super) const NONE: &str = "none";

/// Letters of the longest colour that has a name.
const COLOR_LETTERS_MAX: usize = 24;

/// A picture that is being drawn.
#[derive(Debug)]
pub(super) struct Sheet {
    text: String,
}

impl Sheet {
    /// Begins a picture of this area on a ground of this colour.
    pub(super) fn begin(area: Area, ground: &str) -> Sheet {
        let mut sheet = Sheet { text: String::new() };
        let Area { x, y, width, height } = area;
        let (x, y, width, height) = (number(x), number(y), number(width), number(height));
        let _ = writeln!(
            sheet.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"{x} {y} {width} {height}\" font-family=\"Ubuntu, sans-serif\">"
        );
        let ground = color(ground).unwrap_or("white".to_owned());
        let _ = writeln!(
            sheet.text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>"
        );
        sheet
    }

    /// Opens an element. Names and words are ours; values are written by `with` and its like.
    pub(super) fn open(&mut self, name: &'static str, attributes: &Attributes) -> &mut Sheet {
        let _ = write!(self.text, "<{name}{}>", attributes.0);
        self
    }

    /// Closes the element of this name.
    pub(super) fn close(&mut self, name: &'static str) -> &mut Sheet {
        let _ = writeln!(self.text, "</{name}>");
        self
    }

    /// An element without content.
    pub(super) fn put(&mut self, name: &'static str, attributes: &Attributes) -> &mut Sheet {
        let _ = writeln!(self.text, "<{name}{}/>", attributes.0);
        self
    }

    /// Text within an element.
    pub(super) fn text(&mut self, text: &str) -> &mut Sheet {
        escape(&mut self.text, text);
        self
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Takes back all that was drawn since there were so many bytes.
    pub(super) fn take_back(&mut self, length: usize) {
        self.text.truncate(length);
    }

    pub(super) fn end(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// The attributes of one element.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(String);

impl Attributes {
    /// An attribute that is a number.
    pub(super) fn number(mut self, name: &'static str, value: f64) -> Attributes {
        let _ = write!(self.0, " {name}=\"{}\"", number(value));
        self
    }

    /// An attribute that is a text.
    pub(super) fn text(mut self, name: &'static str, value: &str) -> Attributes {
        let _ = write!(self.0, " {name}=\"");
        escape(&mut self.0, value);
        self.0.push('"');
        self
    }

    /// An attribute that is a colour: what is none counts as the other.
    pub(super) fn color(self, name: &'static str, value: &str, other: &'static str) -> Attributes {
        let value = color(value).unwrap_or_else(|| other.to_owned());
        self.text(name, &value)
    }

    /// An attribute that is a list of points.
    pub(super) fn points(
        mut self,
        name: &'static str,
        points: impl Iterator<Item = (f64, f64)>,
    ) -> Attributes {
        let _ = write!(self.0, " {name}=\"");
        for (index, (x, y)) in points.enumerate() {
            let gap = if index == 0 { "" } else { " " };
            let _ = write!(self.0, "{gap}{},{}", number(x), number(y));
        }
        self.0.push('"');
        self
    }

    /// Turns the element about a point.
    pub(super) fn turned(mut self, degrees: f64, (x, y): (f64, f64)) -> Attributes {
        if degrees != 0.0 {
            let _ = write!(self.0, " transform=\"rotate({} {} {})\"", number(degrees), number(x), number(y));
        }
        self
    }
}

/// A number as SVG has it: finite, bounded, and no longer than it need be.
pub(super) fn number(number: f64) -> String {
    let bounded = within(number, 4.0 * REACH);
    let rounded = (bounded * 1000.0).round() / 1000.0 + 0.0;
    rounded.to_string()
}

/// A colour: `#` and 3, 4, 6 or 8 hexadecimal digits, or a name of letters alone.
fn color(text: &str) -> Option<String> {
    let text = text.trim();
    let is_fit = match text.strip_prefix('#') {
        Some(digits) => {
            matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        }
        None => {
            (3..=COLOR_LETTERS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
        }
    };
    is_fit.then(|| text.to_ascii_lowercase())
}

/// Writes a text so that it is nothing but text, in an attribute and outside of one. Characters
/// that XML does not have become the sign for what cannot be shown.
fn escape(to: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&#39;"),
            '\t' | '\n' | '\r' => to.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => to.push('\u{fffd}'),
            _ => to.push(character),
        }
    }
}
