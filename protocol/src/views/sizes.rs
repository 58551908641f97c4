//! Shows how large documents are: what of each is in memory, in the log and in the snapshot.

use crate::asking::unknown;
use crate::command::{CommandId, DocumentView, Outcome, Refusal, Reply};
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema;
use crate::stability::Tombstones;
use crate::words::FourWords;

impl Replicator {
    /// Answers with the sizes of all documents of an entity in which somebody wrote, then names those that
    /// this device does not keep. Reads nothing from disk for that.
    pub(crate) fn sizes(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let mut documents: Vec<&Replica> =
            entity.replicas.values().filter(|r| r.of == place && !r.heads.is_empty()).collect();
        documents.sort_by_key(|replica| (replica.concern, replica.segment));
        let kind = entity.kind_of(place);
        let views = documents.into_iter().filter_map(|replica| {
            let id = schema::document_id(kind?, words, &replica.concern, replica.segment);
            let full_bytes = replica.concern.bytes_max();
            Some(DocumentView { full_bytes, ..size(replica, id) })
        });
        // Of a series there is nothing more to say than that it is not kept.
        let first = entity.stopped.values().filter(|stopped| stopped.of == place && stopped.segment == 1);
        let dropped = first.filter_map(|stopped| {
            let id = schema::document_id(kind?, words, &stopped.concern, stopped.segment);
            Some(DocumentView { id, segment: stopped.segment, ..DocumentView::default() })
        });
        let mut dropped: Vec<DocumentView> = dropped.collect();
        dropped.sort_by(|a, b| a.id.cmp(&b.id));
        let views = views.chain(dropped).collect();
        self.out.answer(id, Outcome::Done(Reply::Documents(views)));
        Ok(())
    }
}

fn size(replica: &Replica, id: String) -> DocumentView {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let flags =
        |tombstones: &Tombstones| (count(tombstones.count_waiting()), count(tombstones.count_pruned()));
    DocumentView {
        id,
        segment: replica.segment,
        is_kept: true,
        is_in_memory: replica.is_in_memory(),
        is_full: replica.is_full,
        content_bytes: replica.content_bytes(),
        full_bytes: None,
        envelopes: replica.heads.values().fold(0, |sum, head| head.sequence.saturating_add(sum)),
        log: replica.beyond().map(|beyond| (beyond.envelopes, beyond.bytes)),
        snapshot_bytes: replica.base.as_ref().map_or(Some(0), |base| base.bytes),
        flags: replica.tombstones().map(flags),
        flag_bytes: replica.flag_bytes(),
    }
}
