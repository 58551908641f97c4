//! Series of documents: which segment new things go to, and which segments are in memory.
//!
//! A chat is `chat/1`, `chat/2` and so on, ordinary documents all of them. New things go to the first
//! that is not full as this device sees it, so a segment that somebody begins early fills up in its
//! turn. The next one is known here once the one before was begun, or once a peer or the disk names it;
//! its name follows from its number: whoever begins it begins the same. A thing stays in the segment in
//! which it was made.
//! Invariant: of one series `LIVE_SEGMENTS_MAX` are in memory at most, but for those in which
//! something waits for people.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::command::{Command, CommandId, MessageView, Refusal, RefusalCode, VersionView};
use crate::entity::Entity;
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{LIVE_SEGMENTS_MAX, SEGMENTS_MAX, STATE_DOCUMENTS_MAX};
use crate::outbox::{local, refusal};
use crate::record::LocalKey;
use crate::replica::{REST_AFTER, Replica};
use crate::replicator::Replicator;
use crate::schema::{self, Concern, Part, Put};
use crate::session::Stream;
use crate::time::Duration;

/// The kind of the small values that mark full segments.
pub(crate) const FULL: &str = "full";

/// How many times as large as a full segment one may become by what is said of things in it.
const SAID_OF_FULL_TIMES: u64 = 2;

/// When it is tried again to bring into memory what found no room there.
const AGAIN: Duration = Duration::from_secs(1);

/// How long something may go on with a segment while others wait for its room in memory.
const TURN: Duration = Duration::from_secs(20);

/// What a document is needed in memory for: the more urgent is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// To bring up to date what is searched and listed.
    Copy,
    /// To give it to peers or take it from them, or to forget what all of them have.
    Peers,
    /// To answer a person, or take what it writes.
    People,
}

fn needed_by(command: &Command) -> Need {
    if matches!(command, Command::Copy { .. }) { Need::Copy } else { Need::People }
}

/// One series: whose it is, of which concern, and its first segment.
pub(crate) type Series = (EntityId, Concern, DocumentKey);

/// How far a command has come that goes through the segments of a series, the last one first.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Segments from here on were looked at.
    pub(crate) below: u32,
    /// What was found in them.
    pub(crate) found: Vec<MessageView>,
    /// The versions that were found in them.
    pub(crate) versions: Vec<VersionView>,
    /// Whether the version was met behind which those begin that are asked for.
    pub(crate) has_begun: bool,
}

impl Default for Walk {
    fn default() -> Walk {
        Walk { below: u32::MAX, found: Vec::new(), versions: Vec::new(), has_begun: false }
    }
}

/// Documents that peers named and that are no segment of any series known here. They are named again and
/// again, by who has other children or newer software, and to look for one takes a thousand hashes.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    /// The series among whose segments they are not, by their first ones.
    series: Vec<DocumentKey>,
    documents: BTreeSet<DocumentKey>,
}

impl Foreign {
    /// Forgets what was looked for among the segments of other series.
    fn look_for_in(&mut self, series: impl Iterator<Item = DocumentKey>) {
        let series: Vec<DocumentKey> = series.collect();
        if self.series != series {
            (self.series, self.documents) = (series, BTreeSet::new());
        }
    }

    /// Notes what was not found, with nothing else if that would be too much.
    fn note(&mut self, documents: BTreeSet<DocumentKey>) {
        if self.documents.len() + documents.len() > STATE_DOCUMENTS_MAX {
            self.documents.clear();
        }
        self.documents.extend(documents.into_iter().take(STATE_DOCUMENTS_MAX));
    }
}

impl Entity {
    /// The documents of one series in which anybody wrote, and the first in any case: in order.
    pub(crate) fn series(&self, of: EntityId, concern: &Concern) -> Vec<&Replica> {
        let of_it = self.replicas.values().filter(|r| r.of == of && r.concern == *concern);
        let mut series: Vec<&Replica> = of_it.filter(|r| r.segment == 1 || r.is_begun).collect();
        series.sort_by_key(|replica| replica.segment);
        series
    }

    /// Makes the replica of the segment that follows a document, once somebody wrote in that. True if
    /// it is new.
    pub(crate) fn found_next(&mut self, document: DocumentKey) -> bool {
        let begun = self.replicas.get(&document).filter(|r| r.is_begun || r.unconfirmed.is_some());
        let Some(before) = begun.filter(|r| r.concern.goes_on()) else { return false };
        let (series, segment) = ((before.of, before.concern, before.first), before.segment + 1);
        let key = self.segment_key(series, segment);
        segment <= SEGMENTS_MAX && key.is_some_and(|key| self.found_segment(series, segment, key))
    }

    /// Makes the replicas of those of these documents that are segments of a series, wherever in it: of
    /// one before it all may have come to count for nobody. True if any is new.
    pub(crate) fn found_named(&mut self, documents: impl Iterator<Item = DocumentKey>) -> bool {
        let is_known = |key: &DocumentKey| self.replicas.contains_key(key) || self.stopped.contains_key(key);
        let mut unknown: BTreeSet<DocumentKey> = documents.filter(|key| !is_known(key)).collect();
        if unknown.is_empty() || self.secret.is_none() {
            return false;
        }
        let first = |r: &&Replica| r.segment == 1 && r.concern.goes_on();
        let series: Vec<Series> =
            self.replicas.values().filter(first).map(|r| (r.of, r.concern, r.first)).collect();
        self.foreign.look_for_in(series.iter().map(|(.., first)| *first));
        unknown.retain(|document| !self.foreign.documents.contains(document));
        if unknown.is_empty() {
            return false;
        }
        let mut is_new = false;
        for (series, segment) in series.into_iter().flat_map(|of| (2..=SEGMENTS_MAX).map(move |n| (of, n))) {
            let key = self.segment_key(series, segment).filter(|key| unknown.remove(key));
            is_new |= key.is_some_and(|key| self.found_segment(series, segment, key));
        }
        self.foreign.note(unknown);
        is_new
    }

    pub(crate) fn segment_key(&self, (of, concern, _): Series, segment: u32) -> Option<DocumentKey> {
        self.document_key((of, concern), segment)
    }

    /// The name of a document of this entity or a child of it, once its secret is known.
    pub(crate) fn document_key(
        &self,
        (of, concern): (EntityId, Concern),
        segment: u32,
    ) -> Option<DocumentKey> {
        let own = self.secret.as_ref()?;
        let secret = if self.children.contains_key(&of) { own.of_child(of) } else { own.clone() };
        Some(schema::document_key(secret.bytes(), &concern, segment))
    }

    fn found_segment(&mut self, (of, concern, first): Series, segment: u32, key: DocumentKey) -> bool {
        let count = self.replicas.len() + self.stopped.len();
        if count >= STATE_DOCUMENTS_MAX || self.replicas.contains_key(&key) || self.stopped.contains_key(&key)
        {
            return false;
        }
        let mut found = Replica::new(of, key, concern, segment);
        found.first = first;
        self.replicas.insert(key, found);
        true
    }

    /// The segment of each series to which new things go.
    fn current(&self) -> BTreeMap<(EntityId, Concern), u32> {
        let mut current: BTreeMap<(EntityId, Concern), (bool, u32)> = BTreeMap::new();
        for replica in self.replicas.values() {
            let place = (replica.is_full, replica.segment);
            let best = current.entry((replica.of, replica.concern)).or_insert(place);
            *best = place.min(*best);
        }
        current.into_iter().map(|(series, (_, segment))| (series, segment)).collect()
    }

    /// The documents that are to be in memory now, where there is room: all that somebody wrote in,
    /// but of a series only the current segment and those that are called for.
    pub(crate) fn called(&self) -> Vec<DocumentKey> {
        let current = self.current();
        let is_current = |replica: &Replica| {
            !replica.is_blank() && current.get(&(replica.of, replica.concern)) == Some(&replica.segment)
        };
        let cold = self.replicas.values().filter(|replica| !replica.is_in_memory());
        let mut called: Vec<&Replica> = cold.filter(|r| r.is_called() || is_current(r)).collect();
        // What people read and write before what is only compared.
        called.sort_by_key(|replica| (!is_current(replica), Reverse(replica.due), replica.segment));
        called.into_iter().map(|replica| replica.key).collect()
    }

    /// Whether a document may come into memory beside others of its series.
    pub(crate) fn has_room_for(&self, document: DocumentKey) -> bool {
        self.in_memory_beside(document).count() < LIVE_SEGMENTS_MAX
    }

    fn in_memory_beside(&self, document: DocumentKey) -> impl Iterator<Item = &Replica> {
        let first = self.replicas.get(&document).map(|replica| replica.first);
        let of_series = self.replicas.values().filter(move |r| Some(r.first) == first && r.key != document);
        of_series.filter(|replica| replica.is_in_memory() && !replica.is_held())
    }
}

impl Replicator {
    /// Makes room in memory for one more segment of a series, if that can be done.
    pub(crate) fn make_room(&mut self, id: EntityId, document: DocumentKey) -> bool {
        let Some(displaced) = self.room_for(id, document) else { return false };
        let Some(displaced) = displaced else { return true };
        let is_streamed = self.rest(id, displaced);
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&displaced)) {
            // What was about to be folded is read again for that.
            let goes_on = is_streamed || replica.checkpoints.propose_at.is_some();
            replica.due = goes_on.then_some(Need::Peers);
        }
        true
    }

    /// Whether there is room in memory for one more segment of a series: which other one is to rest for
    /// that, if any. Each rests for what is needed more, and for anything once nothing goes on with it.
    pub(crate) fn room_for(&self, id: EntityId, document: DocumentKey) -> Option<Option<DocumentKey>> {
        let entity = self.entities.get(&id)?;
        if entity.has_room_for(document) {
            return Some(None);
        }
        let wanted = entity.replicas.get(&document)?;
        let current = entity.document(wanted.of, &wanted.concern).map_or(1, |current| current.segment);
        let need = match self.deferred.get(&document) {
            _ if wanted.segment == current => Need::People,
            Some(asked) if asked.iter().any(|(_, command)| needed_by(command) > Need::Copy) => Need::People,
            _ => wanted.due.unwrap_or(Need::Peers),
        };
        let others =
            entity.in_memory_beside(document).filter(|other| other.segment != current && other.may_rest());
        let others = others.filter(|other| !self.deferred.contains_key(&other.key));
        let displaced = others.filter(|other| self.breaks_off(id, other) < Some(need));
        displaced.min_by_key(|other| other.used_at).map(|other| Some(other.key))
    }

    /// For whom something goes on with a document that a rest would break off: a copy, or what peers are
    /// given, bring, or have found. Not for ever, or nobody else would have his turn.
    fn breaks_off(&self, id: EntityId, replica: &Replica) -> Option<Need> {
        let now = self.now.instant;
        if replica.read_at + TURN <= now || !replica.is_busy(now) {
            return None;
        }
        let shared = || self.sessions.values().filter_map(|session| session.shared.get(&id));
        let is_given = || shared().any(|s| s.streams.get(&replica.key).is_some_and(Stream::is_under_way));
        let is_fetched = || self.fetching.contains_key(&replica.key);
        match replica.is_folded_soon() || is_fetched() || is_given() {
            true => Some(Need::Peers),
            false => replica.is_copied.then_some(Need::Copy),
        }
    }

    /// Lets a segment rest. True if peers were being given it: that begins anew from the vectors that
    /// they show.
    fn rest(&mut self, id: EntityId, document: DocumentKey) -> bool {
        let shared = self.sessions.values_mut().filter_map(|session| session.shared.get_mut(&id));
        let streams = shared.filter_map(|shared| shared.streams.remove(&document));
        let is_streamed = streams.filter(Stream::is_under_way).count() > 0;
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) {
            replica.rest();
        }
        is_streamed
    }

    /// Lets those segments rest that nobody needs any more, and reads those that are called for.
    pub(crate) fn tend_segments(&mut self) {
        let now = self.now.instant;
        for id in self.entities.keys().copied().collect::<Vec<EntityId>>() {
            let Some(entity) = self.entities.get(&id).filter(|entity| !entity.rejudge) else { continue };
            let current = entity.current();
            let is_other = |r: &&Replica| current.get(&(r.of, r.concern)) != Some(&r.segment);
            let others: Vec<&Replica> = entity.replicas.values().filter(is_other).collect();
            if let Some(busy) =
                others.iter().filter(|r| r.live().is_some() && r.is_busy(now)).map(|r| r.used_at).max()
            {
                self.out.wake_at((busy + REST_AFTER).max(now + AGAIN));
            }
            let idle = others
                .iter()
                .filter(|r| r.may_rest() && !r.is_busy(now) && !self.deferred.contains_key(&r.key));
            let idle: Vec<DocumentKey> = idle.map(|replica| replica.key).collect();
            let has_calls = others.iter().any(|replica| replica.is_called());
            for document in &idle {
                // A stream that stood still so long goes on when the peer asks for it.
                self.rest(id, *document);
            }
            if has_calls {
                self.out.wake_at(now + AGAIN);
            }
            if has_calls || !idle.is_empty() {
                self.load_documents(id);
                self.compare_all(id);
            }
        }
    }

    /// Has a document in which somebody wrote brought into memory as soon as there is room for it.
    pub(crate) fn call(&mut self, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document));
        if let Some(replica) = replica.filter(|replica| replica.is_begun && replica.live().is_none()) {
            replica.due = Some(Need::Peers);
            self.touch(id);
        }
    }

    /// Has all segments brought into memory, one after the other, of which nothing is known in this run
    /// and with which peers compare.
    pub(crate) fn call_unread(&mut self, id: EntityId) {
        if !self.sessions.values().any(|session| session.shared.contains_key(&id)) {
            return;
        }
        let replicas = self.entities.get_mut(&id).into_iter().flat_map(|entity| entity.replicas.values_mut());
        for replica in replicas.filter(|r| r.is_begun && !r.is_in_memory() && r.rested().is_none()) {
            replica.due = Some(Need::Peers);
        }
    }

    /// Has a command asked again once a document is in memory.
    pub(crate) fn ask_again(
        &mut self,
        id: CommandId,
        command: Command,
        (entity, document): (EntityId, DocumentKey),
    ) {
        let need = needed_by(&command);
        self.deferred.entry(document).or_default().push((id, command));
        let replica = self.entities.get_mut(&entity).and_then(|e| e.replicas.get_mut(&document));
        let cold = replica.filter(|replica| replica.live().is_none());
        cold.into_iter().for_each(|replica| replica.due = replica.due.max(Some(need)));
        self.load_documents(entity);
        self.out.wake_at(self.now.instant + AGAIN);
    }

    /// Notes that a document is used: it does not rest for a while.
    pub(crate) fn use_document(&mut self, id: EntityId, document: DocumentKey) {
        let now = self.now.instant;
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) {
            replica.used_at = now;
        }
    }

    /// A document grew or was read: notes whether it is full, and makes the one known that follows.
    pub(crate) fn note_growth(&mut self, id: EntityId, document: DocumentKey) {
        let segment_bytes = self.segment_bytes;
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let is_full = replica.live().is_some() && replica.has_grown_to(segment_bytes, 1);
        if is_full && !replica.is_full && replica.concern.goes_on() {
            replica.is_full = true;
            self.out.write(vec![local(FULL, &document.0, Some(Vec::new()))], Vec::new());
        }
        if entity.found_next(document) {
            self.compare_all(id);
        }
    }

    /// Refuses new things in a document that is full and that no other follows, and what is said of things
    /// in one that is twice as large as full: that goes where the thing was made. What deletes is taken: it
    /// makes room.
    pub(crate) fn check_room(
        &self,
        id: EntityId,
        document: DocumentKey,
        puts: &[Put],
    ) -> Result<(), Refusal> {
        let Some(replica) = self.entities.get(&id).and_then(|e| e.replicas.get(&document)) else {
            return Ok(());
        };
        let concern = replica.concern;
        let parts =
            puts.iter().map(|put| schema::about(&concern, put.root, &put.key).map(|about| about.part));
        let parts: Vec<Option<Part>> = parts.collect();
        let is_new = parts.iter().any(|part| !matches!(part, Some(Part::Set | Part::Deleted)));
        let times = if is_new && !concern.goes_on() { 1 } else { SAID_OF_FULL_TIMES };
        let deletes = parts.iter().all(|part| *part == Some(Part::Deleted));
        if deletes || !replica.has_grown_to(self.segment_bytes, times) {
            return Ok(());
        }
        let hint = "delete what is not needed: it makes room once everybody knows of it";
        let name = if replica.segment == 1 { concern.name() } else { concern.segment_name(replica.segment) };
        let message = format!("the document {name} is full and takes nothing more");
        Err(refusal(RefusalCode::TooMuch, message, hint))
    }

    /// Takes which segments were full in an earlier run.
    pub(crate) fn restore_full(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        for (key, _) in locals.iter().filter(|(key, _)| key.kind == FULL) {
            let Ok(document) = <[u8; 32]>::try_from(key.of.as_slice()).map(DocumentKey) else { continue };
            let replicas = self.entities.values_mut().filter_map(|e| e.replicas.get_mut(&document));
            replicas.for_each(|replica| replica.is_full = true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(from: u16, count: u16) -> impl Iterator<Item = DocumentKey> {
        let key = |n: u16| DocumentKey(std::array::from_fn(|at| n.to_be_bytes()[at % 2]));
        (from..from + count).map(key)
    }

    #[test]
    fn what_was_no_segment_of_some_series_is_looked_for_again_in_others() {
        let mut foreign = Foreign::default();
        foreign.look_for_in(documents(0, 1));
        foreign.note(documents(10, 3).collect());
        foreign.look_for_in(documents(0, 1));
        assert!(documents(10, 3).all(|document| foreign.documents.contains(&document)));
        foreign.look_for_in(documents(0, 2));
        assert!(foreign.documents.is_empty());
    }

    #[test]
    fn whatever_is_named_no_more_is_remembered_than_one_state_may_name() {
        let mut foreign = Foreign::default();
        let most = u16::try_from(STATE_DOCUMENTS_MAX).unwrap_or(u16::MAX);
        foreign.note(documents(0, most).collect());
        assert_eq!(foreign.documents.len(), STATE_DOCUMENTS_MAX);
        foreign.note(documents(most, 1).collect());
        assert_eq!(foreign.documents.len(), 1);
        foreign.note(documents(0, most + 1).collect());
        assert_eq!(foreign.documents.len(), STATE_DOCUMENTS_MAX);
    }
}
