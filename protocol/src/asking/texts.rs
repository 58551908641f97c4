//! Opens the texts of files for who works on them, shows them and takes changes.
//!
//! A text is a document that nobody has before it is named; from then on this device keeps it, over restarts
//! too. Invariant: a change is refused before it is made unless it lies within the text as it is shown here.

use crate::command::{Command, CommandId, Outcome, Refusal, RefusalCode, Reply, TextCommand};
use crate::entity::Entity;
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{ENVELOPE_EDITS_MAX, STATE_DOCUMENTS_MAX, TEXT_EDIT_BYTES_MAX};
use crate::outbox::{local, refusal};
use crate::record::LocalKey;
use crate::replica::{Edits, Replica};
use crate::replicator::Replicator;
use crate::schema::rights::judge_writer;
use crate::schema::{Concern, FileId, TEXT};
use crate::update::document::{TextEdit, bytes_of};
use crate::words::FourWords;

use super::unknown;

/// The kind of the small values that say which texts were opened: the document, then whose file it is.
const FILE: &str = "file";

impl Entity {
    /// Makes the replica of the text of a file, here or in a child, if it is not there. `None` if there is no
    /// room for more documents, or this entity is not open.
    fn open_file(&mut self, place: EntityId, file: FileId) -> Option<(DocumentKey, bool)> {
        let concern = Concern::File(file);
        let key = self.document_key((place, concern), 1)?;
        if self.replicas.contains_key(&key) {
            return Some((key, false));
        }
        if self.replicas.len() + self.stopped.len() >= STATE_DOCUMENTS_MAX {
            return None;
        }
        self.replicas.insert(key, Replica::new(place, key, concern, 1));
        Some((key, true))
    }
}

impl Replicator {
    pub(super) fn ask_text(
        &mut self,
        id: CommandId,
        words: FourWords,
        file: FileId,
        command: TextCommand,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let entity = entity.id;
        let opened = self.entities.get_mut(&entity).and_then(|entity| entity.open_file(place, file));
        let (document, is_new) = opened.ok_or_else(|| {
            refusal(RefusalCode::TooMuch, format!("{words} has too many documents for one more"), "")
        })?;
        if is_new {
            let value = [&place.0[..], &file.0].concat();
            self.out.write(vec![local(FILE, &document.0, Some(value))], Vec::new());
            // Others may have named it, and were passed over.
            for device in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.compare(device, entity);
            }
        }
        let Some(live) = self.entities.get(&entity).and_then(|e| e.replicas.get(&document)?.live()) else {
            self.ask_again(id, Command::Text(words, file, command), (entity, document));
            return Ok(());
        };
        match command {
            TextCommand::Read => {
                let text = live.document.text(TEXT).unwrap_or_default();
                self.use_document(entity, document);
                self.say(id, Reply::Text(text))
            }
            TextCommand::Edit(edits) => self.edit_text(id, words, (entity, document), edits),
        }
    }

    fn edit_text(
        &mut self,
        id: CommandId,
        words: FourWords,
        (entity, document): (EntityId, DocumentKey),
        edits: Vec<TextEdit>,
    ) -> Result<(), Refusal> {
        let actor = self.ready_to_write(entity, words)?;
        judge_writer(&actor).map_err(|denied| refusal(denied.code(), denied.to_string(), ""))?;
        let Some(replica) = self.entities.get(&entity).and_then(|e| e.replicas.get(&document)) else {
            return Ok(());
        };
        if !replica.has_room() {
            let hint = "try again in a moment";
            return Err(refusal(RefusalCode::TooMuch, "too many writes wait for the disk", hint));
        }
        let grows = edits.iter().any(|edit| !edit.inserted.is_empty());
        if grows && replica.has_grown_to(u64::MAX, 1) {
            let hint = "what was deleted takes room until all have folded it; or go on in another file";
            return Err(refusal(RefusalCode::TooMuch, "the text is full and takes nothing more", hint));
        }
        if edits.len() > ENVELOPE_EDITS_MAX || bytes_of(&edits) > TEXT_EDIT_BYTES_MAX {
            let message = format!(
                "a change of a text has at most {ENVELOPE_EDITS_MAX} parts and puts in at most {} KiB",
                TEXT_EDIT_BYTES_MAX / 1024
            );
            return Err(refusal(RefusalCode::Usage, message, "make it in several"));
        }
        if self.gather(id, (entity, document), &edits) {
            return Ok(());
        }
        // What was typed before comes first.
        self.make_typed();
        let live = self.entities.get(&entity).and_then(|e| e.replicas.get(&document)?.live());
        if !live.is_some_and(|live| live.document.takes_text(TEXT, &edits)) {
            let message = "a change reaches beyond the text, divides a character, or changes nothing";
            let hint = "read the text anew, and change it as it is now";
            return Err(refusal(RefusalCode::Usage, message, hint));
        }
        self.edit(entity, document, Edits::Text(edits), vec![(id, Outcome::Done(Reply::Ok))]);
        Ok(())
    }

    /// Takes which texts were opened in an earlier run.
    pub(crate) fn restore_files(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        for (_, value) in locals.iter().filter(|(key, _)| key.kind == FILE) {
            let Some((place, file)) = value.split_first_chunk() else { continue };
            let Ok(file) = <[u8; 16]>::try_from(file) else { continue };
            let place = EntityId(*place);
            let mut entities = self.entities.values_mut();
            let entity = entities.find(|entity| entity.places().any(|known| known == place));
            let _ = entity.and_then(|entity| entity.open_file(place, FileId(file)));
        }
    }
}
