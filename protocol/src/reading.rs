//! Reads documents from disk into memory: the snapshot part by part, then the envelopes by pages.
//!
//! `replica` says what is read next and takes it in. Invariant: a page that belongs to a reading
//! that was given up changes nothing.

use crate::command::{Refusal, RefusalCode};
use crate::entity::Entity;
use crate::ids::{DocumentKey, EntityId};
use crate::outbox::refusal;
use crate::record::{LoadId, Page, Query, StoreFailure};
use crate::replica::{Queued, Replica};
use crate::replicator::{Load, Replicator};

/// Bytes of stored envelopes read at a time when a document is loaded.
pub(crate) const LOAD_BYTES: usize = 1024 * 1024;

impl Replicator {
    /// Has all documents of an entity read into memory that are to be there now.
    pub(crate) fn load_documents(&mut self, id: EntityId) {
        let called = self.entities.get(&id).map(Entity::called).unwrap_or_default();
        for document in called {
            self.load_document(id, document);
        }
    }

    /// Has one document read into memory, if there is room for it.
    pub(crate) fn load_document(&mut self, id: EntityId, document: DocumentKey) {
        if !self.make_room(id, document) {
            return;
        }
        let replica = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document));
        if replica.is_some_and(Replica::begin_loading) {
            self.read_on(id, document, 0);
        }
    }

    /// Reads the next part of the snapshot of a document, or else the envelopes after a place.
    pub(crate) fn read_on(&mut self, id: EntityId, document: DocumentKey, after: u64) {
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        let load = self.out.load(match replica.next_part() {
            Some(part) => Query::SnapshotPart { document, part },
            None => Query::Document { document, after, bytes_max: LOAD_BYTES },
        });
        replica.reading = Some(load);
        self.loads.insert(load, Load::Content(id, document));
    }

    pub(crate) fn loaded(&mut self, load: LoadId, page: Result<Page, StoreFailure>) {
        match self.loads.remove(&load) {
            Some(Load::Opening) => self.opened(page),
            Some(Load::Folding(entity, document)) => self.folding_loaded(load, (entity, document), page),
            Some(Load::Content(entity, document)) => self.content_loaded(load, (entity, document), page),
            Some(Load::Page(to, entity, document)) => self.page_loaded(load, (to, entity, document), page),
            None => {}
        }
    }

    fn content_loaded(
        &mut self,
        load: LoadId,
        (id, document): (EntityId, DocumentKey),
        page: Result<Page, StoreFailure>,
    ) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.replicas.get(&document).is_none_or(|replica| replica.reading != Some(load)) {
            // The document was begun anew since: this page belongs to a reading that was given up.
            return;
        }
        let next = match page {
            Ok(Page::Envelopes { envelopes, next }) => {
                if let Some(me) = &self.me {
                    entity.restore(document, &envelopes, me.key());
                }
                next
            }
            Ok(Page::SnapshotPart(part)) => {
                let taken = entity.replicas.get_mut(&document).map(|replica| replica.take_part(part));
                return match taken {
                    Some(Err(_)) => self.lose_snapshot(id, document),
                    _ => self.read_on(id, document, 0),
                };
            }
            Ok(_) | Err(_) => {
                self.drop_counted("unreadable document page");
                None
            }
        };
        if let Some(after) = next {
            return self.read_on(id, document, after);
        }
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.end_pass(document) {
            return self.read_on(id, document, 0);
        }
        let now = self.now.instant;
        let read = entity.replicas.get_mut(&document);
        let queued = read.map(|replica| {
            replica.read_at = now;
            replica.end_loading()
        });
        let queued = queued.unwrap_or_default();
        self.prune(id, document);
        self.note_growth(id, document);
        self.retry_all(id);
        for Queued { edits, answers } in queued {
            self.edit(id, document, edits, answers);
        }
        self.tend_unaccepted(id, document);
        let replica = self.entities.get_mut(&id).and_then(|entity| entity.replicas.get_mut(&document));
        if replica.is_some_and(Replica::shows_other) {
            self.notify_anew(id, document);
        }
        self.judge_anew(id);
        self.core_changed(id, document);
        self.mirror(id);
        self.look_fetched(id, document);
        self.compare_all(id);
        self.touch(id);
        self.stream_to_all(id, document);
        for (command, what) in self.deferred.remove(&document).unwrap_or_default() {
            self.ask(command, what);
        }
        // What it was read for is done, or begun, before another may take its room.
        self.look_to(id, document);
        self.load_documents(id);
    }

    /// Reads a document anew from its log: the CRDT library failed in it.
    pub(crate) fn rebuild(&mut self, id: EntityId, document: DocumentKey) {
        let why = refusal(RefusalCode::Internal, "the document had to be read anew", "try again");
        self.rebuild_for(id, document, &why);
    }

    /// The same for another reason, which is told to those whose writes were not on their way yet.
    pub(crate) fn rebuild_for(&mut self, id: EntityId, document: DocumentKey, why: &Refusal) {
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        for asker in replica.forget() {
            self.out.refuse(asker, why.clone());
        }
        self.load_documents(id);
    }
}
