//! Texts in a document: what is typed in them, what is written in them anew, and what is hidden.

use std::collections::BTreeMap;
use std::ops::Range;

use yrs::block::ClientID;
use yrs::{Assoc, GetString, ID, ReadTxn, StickyIndex, Text, Transact};

use super::super::anew::{self, Moved, Written};
use super::super::parse::parse;
use super::super::{BlockId, write};
use super::{Document, DocumentError, Edit, take};
use crate::limits;

/// One change of a text: so much of it gives way to something else. Places and lengths are in UTF-16 units,
/// as editors in browsers count them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    /// Where it begins.
    pub at: u32,
    /// How much is taken out.
    pub removed: u32,
    /// What is put there.
    pub inserted: String,
}

impl Document {
    /// The visible text of a root text.
    pub fn text(&self, root: &str) -> Option<String> {
        if self.is_poisoned {
            return None;
        }
        Some(self.texts.get(root)?.get_string(&self.doc.transact()))
    }

    /// The length of a root text in UTF-16 units; 0 of what is no text.
    pub fn text_length(&self, root: &str) -> u32 {
        let text = self.texts.get(root).filter(|_| !self.is_poisoned);
        text.map_or(0, |text| text.len(&self.doc.transact()))
    }

    /// Whether any text has, or had, characters that are two UTF-16 units.
    pub(crate) fn has_pairs(&self) -> bool {
        self.has_pairs
    }

    /// Makes these changes to a root text, one after the other, as one edit of the begun log.
    ///
    /// None may reach beyond the text, divide a pair of surrogates or change nothing.
    pub fn edit_text(&mut self, root: &'static str, edits: &[TextEdit]) -> Result<Edit, DocumentError> {
        if !self.takes_text(root, edits) {
            return Err(DocumentError::Unwritable);
        }
        self.write(|document, txn| {
            let text = document.texts.get(root).ok_or(DocumentError::Unfit)?;
            for TextEdit { at, removed, inserted } in edits {
                if *removed > 0 {
                    text.remove_range(txn, *at, *removed);
                }
                if !inserted.is_empty() {
                    text.insert(txn, *at, inserted);
                }
            }
            Ok(())
        })
    }

    /// Whether these changes to a root text can be made as one edit.
    pub(crate) fn takes_text(&self, root: &str, edits: &[TextEdit]) -> bool {
        (1..=limits::ENVELOPE_EDITS_MAX).contains(&edits.len())
            && bytes_of(edits) <= limits::TEXT_EDIT_BYTES_MAX
            && self.fits_text(root, edits)
    }

    /// Whether changes of a text lie within it, one after the other.
    fn fits_text(&self, root: &str, edits: &[TextEdit]) -> bool {
        let Some(text) = self.texts.get(root).filter(|_| !self.is_poisoned) else { return false };
        let length = text.len(&self.doc.transact());
        length_after(length, edits).is_some() && (!self.has_pairs || self.spares_pairs(root, edits))
    }

    /// Whether no change of a text begins or ends between two surrogates.
    fn spares_pairs(&self, root: &str, edits: &[TextEdit]) -> bool {
        let mut units: Vec<u16> = self.text(root).unwrap_or_default().encode_utf16().collect();
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        edits.iter().all(|edit| {
            let (start, end) = (place(edit.at), place(edit.at.saturating_add(edit.removed)));
            let divides = |at: usize| units.get(at).is_some_and(|unit| (0xdc00..0xe000).contains(unit));
            if divides(start) || divides(end) || end > units.len() {
                return false;
            }
            units.splice(start..end, edit.inserted.encode_utf16());
            true
        })
    }

    /// Writes into a root text, in the begun log, what an update of our own wrote that does not count, and
    /// deletes what it deleted, as far as that is here. `None` if nothing is left to be done.
    pub(crate) fn write_anew(
        &mut self,
        root: &'static str,
        update: &[u8],
        moved: &mut Moved,
    ) -> Result<Option<Edit>, DocumentError> {
        let client = self.client();
        if client == 0 {
            return Err(DocumentError::NoLog);
        }
        let Written { runs, deletions } = anew::written(update);
        let mut clock = self.index.next_clock(client);
        let inserted = self.guarded(|document| {
            let text = document.texts.get(root).ok_or(DocumentError::Unfit)?;
            let mut txn = document.doc.transact_mut();
            for run in &runs {
                let beside = |id: Option<BlockId>, assoc| place_of(&txn, moved.follow(id?), assoc);
                let at = beside(run.left, Assoc::Before).or_else(|| beside(run.right, Assoc::After));
                let at = at.unwrap_or_else(|| text.len(&txn));
                text.insert(&mut txn, at, run.text);
                moved.note(run.id, run.length, BlockId { client, clock });
                clock = clock.saturating_add(run.length);
            }
            Ok(txn.encode_update_v1())
        })?;
        let end_of = |of| if of == client { clock } else { self.index.next_clock(of) };
        let mut deleted: BTreeMap<u64, Vec<Range<u32>>> = BTreeMap::new();
        for (of, clocks) in deletions {
            let now = clocks.map(|clock| moved.follow(BlockId { client: of, clock }));
            for id in now.filter(|id| id.clock < end_of(id.client)) {
                deleted.entry(id.client).or_default().push(id.clock..id.clock.saturating_add(1));
            }
        }
        let mut updates = Vec::new();
        updates.extend((!runs.is_empty()).then_some(inserted));
        if !deleted.is_empty() {
            let deletion = write::deleting(deleted);
            self.guarded(|document| take(&mut document.doc.transact_mut(), &deletion))?;
            updates.push(deletion);
        }
        if updates.is_empty() {
            return Ok(None);
        }
        let (_, update) = write::merge(&updates).map_err(|_| DocumentError::Unfit)?;
        self.absorb_own(update).map(Some)
    }

    /// Takes in a text's update that does not count: as if all that it writes had been deleted, so that what
    /// others wrote beside it keeps its place.
    pub(crate) fn hide(&mut self, client: u64, update: &[u8]) -> Result<(), DocumentError> {
        let hidden = write::hidden(update).map_err(|_| DocumentError::Unfit)?;
        let parsed = parse(&hidden, &self.expect(client)).map_err(|_| DocumentError::Stale)?;
        self.apply(&parsed).map(drop)
    }
}

/// Where in a text a block lies: just behind it, or just before it.
fn place_of(txn: &impl ReadTxn, id: BlockId, assoc: Assoc) -> Option<u32> {
    let id = ID::new(ClientID::new(id.client), id.clock);
    StickyIndex::from_id(id, assoc).get_offset(txn).map(|offset| offset.index)
}

/// How long a text of so many UTF-16 units is after these changes, one after the other; `None` if one reaches
/// beyond it or changes nothing.
pub(crate) fn length_after(length: u32, edits: &[TextEdit]) -> Option<u32> {
    edits.iter().try_fold(length, |length, edit| {
        let changes = edit.removed > 0 || !edit.inserted.is_empty();
        edit.at.checked_add(edit.removed).filter(|end| changes && *end <= length)?;
        let added = u32::try_from(edit.inserted.encode_utf16().count()).ok()?;
        length.checked_sub(edit.removed)?.checked_add(added)
    })
}

/// Bytes that changes put into a text.
pub(crate) fn bytes_of(edits: &[TextEdit]) -> usize {
    edits.iter().fold(0, |sum, edit| sum.saturating_add(edit.inserted.len()))
}

/// Whether a text has characters that are two UTF-16 units.
pub(crate) fn has_pairs(text: &str) -> bool {
    text.chars().any(|c| c > '\u{ffff}')
}
