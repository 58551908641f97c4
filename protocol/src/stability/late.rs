//! What this device wrote to what had been forgotten by then, or was folded without it: shown to its
//! person.
//!
//! Invariant: bounded in number and length, the newest kept, and kept over restarts.

use super::Stability;
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{LATE_TEXT_BYTES_MAX, LATE_WRITES_MAX, MAP_KEY_BYTES_MAX};

/// Something this device wrote that is kept in no document any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) root: String,
    pub(crate) key: String,
    /// What it said, as far as it was text, cut to `limits::LATE_TEXT_BYTES_MAX`.
    pub(crate) text: String,
    pub(crate) why: Why,
}

/// Why something of this device is in no document and comes back by nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// What it was about had been deleted when it came to the others.
    Deleted,
    /// It did not count, and that was folded.
    Folded,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Why::Deleted => "what it was about had been deleted when it came to the others",
            Why::Folded => "nobody took it when it came to the others, and it is kept no more",
        })
    }
}

impl Stability {
    /// Notes writes that came too late. True if any was not known.
    pub(crate) fn note_late(&mut self, late: Vec<Late>) -> bool {
        let mut is_new = false;
        for mut one in late {
            one.text.truncate(one.text.floor_char_boundary(LATE_TEXT_BYTES_MAX));
            // All of a text lies under one key.
            let is_one =
                |known: &Late| known.key == one.key && (!one.key.is_empty() || known.text == one.text);
            if self.late.iter().any(|known| known.root == one.root && is_one(known)) {
                continue;
            }
            if self.late.len() >= LATE_WRITES_MAX {
                self.late.remove(0);
            }
            self.late.push(one);
            is_new = true;
        }
        self.unkept.late |= is_new;
        is_new
    }

    /// What came too late, the oldest first.
    pub(crate) fn late(&self) -> &[Late] {
        &self.late
    }

    pub(super) fn write_late(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        writer.list(&self.late, |writer, late| {
            writer.text(&late.root).text(&late.key).text(&late.text);
            writer.u8(match late.why {
                Why::Deleted => 0,
                Why::Folded => 1,
            });
        });
        (!self.late.is_empty()).then(|| writer.into_bytes())
    }

    pub(super) fn read_late(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(value);
        self.late = reader.list(LATE_WRITES_MAX, |reader| {
            let (root, key) = (reader.text(MAP_KEY_BYTES_MAX)?, reader.text(MAP_KEY_BYTES_MAX)?);
            let text = reader.text(LATE_TEXT_BYTES_MAX)?;
            let why = match reader.u8()? {
                0 => Why::Deleted,
                1 => Why::Folded,
                _ => return Err(Malformed),
            };
            Ok(Late { root: root.to_owned(), key: key.to_owned(), text: text.to_owned(), why })
        })?;
        reader.finish()
    }
}
