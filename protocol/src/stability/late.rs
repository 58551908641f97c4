//! What this device wrote to a message that had been forgotten by then: shown to its person.
//!
//! Invariant: bounded in number and length, the newest kept, and kept over restarts.

use super::Stability;
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{LATE_TEXT_BYTES_MAX, LATE_WRITES_MAX, MAP_KEY_BYTES_MAX};

/// Something this device wrote that was dropped because what it was about had been deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) root: String,
    pub(crate) key: String,
    /// What it said, as far as it was text, cut to `limits::LATE_TEXT_BYTES_MAX`.
    pub(crate) text: String,
}

impl Stability {
    /// Notes writes that came too late. True if any was not known.
    pub(crate) fn note_late(&mut self, late: Vec<Late>) -> bool {
        let mut is_new = false;
        for mut one in late {
            if self.late.iter().any(|known| (&known.root, &known.key) == (&one.root, &one.key)) {
                continue;
            }
            one.text.truncate(one.text.floor_char_boundary(LATE_TEXT_BYTES_MAX));
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
        });
        (!self.late.is_empty()).then(|| writer.into_bytes())
    }

    pub(super) fn read_late(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(value);
        self.late = reader.list(LATE_WRITES_MAX, |reader| {
            let (root, key) = (reader.text(MAP_KEY_BYTES_MAX)?, reader.text(MAP_KEY_BYTES_MAX)?);
            let text = reader.text(LATE_TEXT_BYTES_MAX)?;
            Ok(Late { root: root.to_owned(), key: key.to_owned(), text: text.to_owned() })
        })?;
        reader.finish()
    }
}
