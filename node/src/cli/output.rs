//! What is printed: answers to standard output, all else to standard error.
//!
//! With `--json` standard output has one JSON value per command (one per line for streams) and
//! nothing else. Without it people read, so what came from others is shown with its control
//! characters taken out: no message can move the cursor or pass for something it is not.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::api::progress::Progress;
pub(super) use crate::api::text::time;

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Prints JSON if `json`; text that is no answer only if not `quiet`.
    pub(super) fn new(json: bool, quiet: bool) -> Output {
        Output { json, quiet }
    }

    /// Whether programs read the output.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints an answer: as JSON, or as the text that `text` makes of it.
    pub(super) fn answer<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let mut line = if self.json {
            serde_json::to_string(value).map_err(|e| Failure::internal(e.to_string()))?
        } else {
            text(value)
        };
        line.push('\n');
        let mut out = io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            // Whoever read has seen enough, as `head` does: nobody is left to be told.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            written => written.map_err(|e| Failure::internal(format!("cannot print: {e}"))),
        }
    }

    /// Tells people something beside the answer.
    pub(super) fn note(self, text: &str) {
        if !self.json && !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Prints why a command failed.
    pub(super) fn failure(self, failure: &Failure) {
        let mut err = io::stderr().lock();
        let _ = if self.json {
            writeln!(err, "{}", failure.json())
        } else if failure.hint.is_empty() {
            writeln!(err, "error: {}", plain(&failure.message))
        } else {
            writeln!(err, "error: {}\n  {}", plain(&failure.message), plain(&failure.hint))
        };
    }

    /// A bar that shows how far something has come; shows nothing but on a terminal.
    pub(super) fn meter(self) -> Meter {
        Meter { shown: !self.json && !self.quiet && io::stderr().is_terminal(), drawn: false }
    }
}

/// A bar on standard error, wiped when it is dropped.
#[derive(Debug)]
pub(super) struct Meter {
    shown: bool,
    drawn: bool,
}

impl Meter {
    /// Draws the bar anew.
    pub(super) fn draw(&mut self, progress: &Progress) {
        if self.shown {
            self.drawn = true;
            let _ = write!(io::stderr(), "\r\x1b[K{}", bar(progress));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Steps needed are known on average alone, so the bar nears its end and never claims to be there.
fn bar(progress: &Progress) -> String {
    const WIDTH: u64 = 24;
    let (done, expected) = (u64::from(progress.done), u64::from(progress.expected.max(1)));
    let full = (WIDTH * done / (done + expected.div_ceil(2))) as usize;
    let full = "#".repeat(full.min(WIDTH as usize));
    format!("{} [{full:<24}] {done} tried, about {expected} needed", plain(&progress.what))
}

/// Takes control characters out of one line that others may have written.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unseemly(c) { '\u{fffd}' } else { c }).collect()
}

/// The same for text of many lines, whose further lines are set in by `indent`.
pub(super) fn plain_lines(text: &str, indent: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines.join(&format!("\n{indent}"))
}

/// Control characters, and those that turn the direction of writing.
fn is_unseemly(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A link as a QR code of half blocks, for a telephone to read; `None` if it is too long for one.
pub(super) fn square(link: &str) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(link, qrcode::EcLevel::L).ok()?;
    let mut picture = code.render::<qrcode::render::unicode::Dense1x2>();
    Some(picture.quiet_zone(true).build() + "\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\td"), "a\u{fffd}[2Jb\u{fffd}c\td");
        assert_eq!(plain_lines("one\r\ntwo\x07", "  "), "one\n  two\u{fffd}");
    }

    #[test]
    fn times_are_shown_as_dates() {
        assert_eq!(time(0), "1970-01-01 00:00");
        assert_eq!(time(951_827_696_000), "2000-02-29 12:34");
        assert_eq!(time(1_798_761_599_000), "2026-12-31 23:59");
        assert!(time(u64::MAX).ends_with(|c: char| c.is_ascii_digit()), "no time is too late to be shown");
    }

    #[test]
    fn what_is_too_long_for_a_square_has_none() {
        assert!(square("fourword://join/ocean-forest-moon-star#abc").is_some_and(|s| s.contains('█')));
        assert_eq!(square(&"x".repeat(5000)), None);
    }

    #[test]
    fn the_bar_never_claims_to_be_done() {
        for done in [0, 1, 16, 400, u32::MAX] {
            let bar = bar(&Progress { what: "Finding a name".into(), done, expected: 16 });
            assert!(!bar.contains(&"#".repeat(24)), "{bar}");
        }
        let bar = bar(&Progress { what: "Finding a name".into(), done: 8, expected: 16 });
        assert_eq!(bar, "Finding a name [############            ] 8 tried, about 16 needed");
    }
}
