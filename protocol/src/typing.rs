//! Gathers what is typed in a text while the envelope before it is on its way to the disk.
//!
//! An edit is judged when it is asked for, against the length that the text will have by then. All that were
//! gathered are made in the document as one when anything else happens, and the disk's answer does. Invariant:
//! from the gathering of an edit until it is made nothing happens but further edits of the same text, so its
//! place means what it meant.

use crate::command::{Command, CommandId, Outcome, Reply, TextCommand};
use crate::event::Event;
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{ENVELOPE_EDITS_MAX, PENDING_EDITS_MAX};
use crate::replica::Edits;
use crate::replicator::Replicator;
use crate::schema::TEXT;
use crate::update::document::{TextEdit, bytes_of, has_pairs, length_after};

/// Bytes that an edit may put into a text and still be one with the next: a page.
const JOINED_BYTES_MAX: usize = 4096;

/// Bytes that all gathered edits may put into a text.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// Edits of one text that were asked for and are not made yet.
#[derive(Debug)]
pub(crate) struct Typing {
    of: (EntityId, DocumentKey),
    edits: Vec<TextEdit>,
    bytes: usize,
    askers: Vec<CommandId>,
    /// Of the text once they are made, in UTF-16 units.
    length: u32,
}

impl Typing {
    fn has_room(&self, edits: &[TextEdit]) -> bool {
        self.edits.len().saturating_add(edits.len()) <= ENVELOPE_EDITS_MAX
            && self.bytes.saturating_add(bytes_of(edits)) <= GATHERED_BYTES_MAX
            && self.askers.len() < PENDING_EDITS_MAX
    }
}

/// Whether an event is an edit of a text, which may be gathered with those before it.
pub(crate) fn is_typed(event: &Event) -> bool {
    matches!(event, Event::Asked(_, Command::Text(.., TextCommand::Edit(_))))
}

impl Replicator {
    /// Keeps edits to be made with others of their text. False if they cannot wait, or may not be made.
    pub(crate) fn gather(
        &mut self,
        asker: CommandId,
        of: (EntityId, DocumentKey),
        edits: &[TextEdit],
    ) -> bool {
        let replica = self.entities.get(&of.0).and_then(|entity| entity.replicas.get(&of.1));
        let Some(live) = replica.filter(|replica| replica.is_sealing()).and_then(|replica| replica.live())
        else {
            return false;
        };
        // Which places divide a character only the text itself can tell.
        if live.document.has_pairs() || edits.iter().any(|edit| has_pairs(&edit.inserted)) {
            return false;
        }
        let typing = self.typing.get_or_insert_with(|| {
            let length = live.document.text_length(TEXT);
            Typing { of, edits: Vec::new(), bytes: 0, askers: Vec::new(), length }
        });
        let Some(length) =
            length_after(typing.length, edits).filter(|_| typing.of == of && typing.has_room(edits))
        else {
            return false;
        };
        typing.length = length;
        typing.bytes = typing.bytes.saturating_add(bytes_of(edits));
        edits.iter().for_each(|edit| join(&mut typing.edits, edit));
        typing.askers.push(asker);
        true
    }

    /// Makes what was gathered.
    pub(crate) fn make_typed(&mut self) {
        let Some(Typing { of, edits, askers, .. }) = self.typing.take() else { return };
        let answers: Vec<_> = askers.into_iter().map(|asker| (asker, Outcome::Done(Reply::Ok))).collect();
        match edits.is_empty() {
            // All of it was taken back: there is nothing to write.
            true => answers.into_iter().for_each(|(asker, outcome)| self.out.answer(asker, outcome)),
            false => self.edit(of.0, of.1, Edits::Text(edits), answers),
        }
    }
}

/// Adds an edit of a text without surrogates to those before it: as one with the last where the two touch.
fn join(edits: &mut Vec<TextEdit>, next: &TextEdit) {
    let Some(last) = edits.last_mut().filter(|last| last.inserted.len() <= JOINED_BYTES_MAX) else {
        return edits.push(next.clone());
    };
    let units = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let (start, end) = (last.at, last.at.saturating_add(units(&last.inserted)));
    let (from, to) = (next.at, next.at.saturating_add(next.removed));
    if from > end || to < start {
        return edits.push(next.clone());
    }
    let byte = |at: u32| {
        let unit = usize::try_from(at.clamp(start, end) - start).unwrap_or(usize::MAX);
        last.inserted.char_indices().nth(unit).map_or(last.inserted.len(), |(byte, _)| byte)
    };
    let within = byte(from)..byte(to);
    last.inserted.replace_range(within, &next.inserted);
    last.removed =
        last.removed.saturating_add(start.saturating_sub(from)).saturating_add(to.saturating_sub(end));
    last.at = start.min(from);
    if last.removed == 0 && last.inserted.is_empty() {
        edits.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    fn edit(at: u32, removed: u32, inserted: &str) -> TextEdit {
        TextEdit { at, removed, inserted: inserted.to_owned() }
    }

    fn joined(edits: &[TextEdit]) -> Vec<TextEdit> {
        let mut joined = Vec::new();
        edits.iter().for_each(|edit| join(&mut joined, edit));
        joined
    }

    fn made(text: &str, edits: &[TextEdit]) -> String {
        let mut text: Vec<char> = text.chars().collect();
        for edit in edits {
            let (from, to) = (edit.at as usize, (edit.at + edit.removed) as usize);
            text.splice(from..to, edit.inserted.chars());
        }
        text.into_iter().collect()
    }

    #[test]
    fn a_word_that_is_typed_and_mended_is_one_edit() {
        let typed = [edit(7, 0, "c"), edit(8, 0, "a"), edit(9, 0, "r"), edit(9, 1, ""), edit(9, 0, "t")];
        assert_eq!(joined(&typed), [edit(7, 0, "cat")]);
        let taken_out = [edit(6, 1, ""), edit(5, 1, ""), edit(4, 1, ""), edit(4, 0, "dog")];
        assert_eq!(joined(&taken_out), [edit(4, 3, "dog")]);
        assert_eq!(joined(&[edit(3, 0, "x"), edit(3, 1, "")]), []);
        assert_eq!(joined(&[edit(3, 0, "x"), edit(9, 0, "y")]), [edit(3, 0, "x"), edit(9, 0, "y")]);
    }

    #[test]
    fn edits_that_were_joined_make_the_text_that_they_made_one_by_one() {
        for seed in 0..2_000 {
            let mut random = ChaCha20Rng::seed_from_u64(seed);
            let mut draw = |upto: usize| random.next_u64() as usize % upto;
            let mut text: String = "Ünïcödé in the mïddle of the text".into();
            let (begun, mut edits) = (text.clone(), Vec::new());
            for _ in 0..20 {
                let length = text.chars().count();
                let at = draw(length + 1);
                let removed = draw(4).min(length - at);
                let inserted: String = "aé✓".chars().take(draw(4)).collect();
                if removed > 0 || !inserted.is_empty() {
                    edits.push(edit(at as u32, removed as u32, &inserted));
                    text = made(&text, &edits[edits.len() - 1..]);
                }
            }
            let joined = joined(&edits);
            assert_eq!(made(&begun, &joined), text, "seed {seed}: {edits:?}");
            assert!(joined.iter().all(|edit| edit.removed > 0 || !edit.inserted.is_empty()));
        }
    }
}
