//! Streams to a peer what it lacks of a document, and asks it for what is missing here.
//!
//! A peer shows its state vector and gets what lies beyond it, one page at a time, the next when it
//! asks for that. Invariant: whatever page or request is lost, the next comparison begins anew from
//! what the peer shows then.

use std::collections::VecDeque;

use crate::envelope::Envelope;
use crate::ids::{DeviceKey, DocumentKey, EntityId, LogId};
use crate::limits::{FRAME_LOGS_MAX, PAGE_BYTES};
use crate::record::{LoadId, Page, Query, StoreFailure};
use crate::replica::{Live, Replica};
use crate::replicator::{Load, Replicator};
use crate::session::{Paging, Session, Stream};
use crate::wire::{Frame, Vector};

use super::shared;
use super::vectors::{Untaken, vector_frames};

/// Envelopes in one page at most: each takes more than 256 bytes.
const PAGE_ENVELOPES_MAX: u64 = PAGE_BYTES as u64 / 256;

impl Replicator {
    /// Asks a peer for what is missing where something waits: at most once for each state of ours.
    pub(crate) fn ask_for_gaps(&mut self, from: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id).filter(|e| e.member(from).is_some()) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        for replica in entity.replicas.values().filter(|r| !r.waiting.is_empty()) {
            let ours = replica.heads.digest();
            if shared.asked_gaps.insert(replica.key, ours) != Some(ours) {
                for frame in vector_frames(id, replica) {
                    self.out.send(from, &frame);
                }
            }
        }
    }

    /// A peer shows its state vector of a document: it is streamed what it lacks.
    pub(super) fn their_vector(&mut self, from: DeviceKey, vector: Vector) {
        let (id, document, last) = (vector.entity, vector.document, vector.last);
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.member(from).is_none() {
            return self.drop_counted("vector of a stranger");
        }
        let me = self.me.as_ref().map(|me| me.key());
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        for (device, incarnation, head) in vector.logs.iter().filter(|(device, ..)| Some(*device) == me) {
            let log = LogId { document, device: *device, incarnation: *incarnation };
            if head.sequence > replica.heads.length(&log) {
                replica.doubt_log(&log);
            }
        }
        let coming = shared.coming.entry(document).or_default();
        let taken = coming.take(vector, |log| replica.heads.contains_key(log));
        let coming = if last || taken.is_err() { shared.coming.remove(&document) } else { None };
        match (taken, coming) {
            (Ok(()), Some(whole)) => {
                let heads = whole.heads();
                let beyond = heads.iter().filter(|(log, head)| head.sequence > replica.heads.length(log));
                replica.wants.show(from, beyond.map(|(log, head)| (*log, head.sequence)));
                shared.vectors.insert(document, heads);
                self.touch(id);
                // The other side learns how much it lacks too, and not only what comes.
                self.compare_documents(from, id);
                self.stream(from, id, document);
                self.call_if_it_differs(from, id, document);
            }
            (Ok(()), None) => {}
            (Err(Untaken::OutOfTurn), _) => self.drop_counted("frame of a vector out of turn"),
            (Err(Untaken::TooLong), _) => self.blame(from, "vector too long"),
        }
        self.load_documents(id);
    }

    /// Has a document that rests brought into memory for a peer whose vector is another than ours.
    fn call_if_it_differs(&mut self, from: DeviceKey, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get(&id).and_then(|e| e.replicas.get(&document));
        let theirs = shared(&mut self.sessions, from, id).and_then(|shared| shared.vectors.get(&document));
        if replica.zip(theirs).is_some_and(|(replica, theirs)| *replica.heads != *theirs) {
            self.call(id, document);
        }
    }

    /// Streams to a peer what it lacks of a document, by the vector that it last showed.
    ///
    /// A document that is not in memory is read first: before, it is not known which branch of a
    /// log counts.
    fn stream(&mut self, to: DeviceKey, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get(&id).and_then(|e| e.replicas.get(&document));
        let replica = replica.filter(|replica| !replica.is_stale());
        let Some((replica, live)) = replica.and_then(|r| Some((r, r.live()?))) else { return };
        let Some(shared) = shared(&mut self.sessions, to, id) else { return };
        let Some(theirs) = shared.vectors.get(&document) else { return };
        let lacking = replica.heads.iter().filter_map(|(log, head)| {
            let has = theirs.get(log).copied().filter(|has| !live.branches.contradicts(log, has));
            // Of a log that parts somewhere before, all is given: the peer finds out where.
            let has = has.map_or(0, |has| has.sequence);
            (has < head.sequence).then_some((*log, has))
        });
        let lacking: VecDeque<(LogId, u64)> = lacking.collect();
        let is_covered = |(log, has): &(LogId, u64)| {
            let covered = replica.base.as_ref().and_then(|base| base.covers.get(log));
            covered.is_some_and(|upto| *has < upto.sequence)
        };
        let stream = shared.streams.entry(document).or_default();
        // The page that it was sent last has come, or the peer has it from elsewhere.
        let has = |log: &LogId| theirs.get(log).map_or(0, |has| has.sequence);
        if matches!(stream.page, Paging::Sent(log, upto) if has(&log) >= upto) {
            stream.page = Paging::None;
            stream.overtaken = stream.overtaken.saturating_add(1);
        }
        if lacking.iter().any(is_covered) {
            // What it lacks is here no more but for the snapshot; it asks for the rest after that.
            stream.logs.clear();
            stream.part.get_or_insert(0);
        } else {
            (stream.logs, stream.part) = (lacking, None);
        }
        if stream.page == Paging::None {
            self.next_page(to, id, document);
        }
    }

    /// A document was read from disk: peers who showed how theirs stands get what they lack.
    pub(crate) fn stream_to_all(&mut self, id: EntityId, document: DocumentKey) {
        let Some(entity) = self.entities.get(&id) else { return };
        let waits = |(device, session): (&DeviceKey, &Session)| {
            let shows = session.shared.get(&id).is_some_and(|shared| shared.vectors.contains_key(&document));
            (shows && entity.member(*device).is_some()).then_some(*device)
        };
        let devices: Vec<DeviceKey> = self.sessions.iter().filter_map(waits).collect();
        for device in devices {
            self.stream(device, id, document);
        }
    }

    // -- forked logs --------------------------------------------------------------------------

    /// Gives a peer our branch of a log from where it parts from what the peer sent: once for
    /// each time that all is told.
    pub(crate) fn give_branch(
        &mut self,
        to: DeviceKey,
        id: EntityId,
        document: DocumentKey,
        log: LogId,
        parts_at: u64,
    ) {
        if self.entities.get(&id).is_none_or(|e| e.member(to).is_none()) {
            return;
        }
        let Some(shared) = shared(&mut self.sessions, to, id) else { return };
        if shared.branches.len() >= FRAME_LOGS_MAX || !shared.branches.insert(log) {
            return;
        }
        let stream = shared.streams.entry(document).or_default();
        stream.logs.push_back((log, parts_at.saturating_sub(1)));
        if stream.page == Paging::None {
            self.next_page(to, id, document);
        }
    }

    /// Asks a peer for its branch of a log, which parts from ours nobody knows where: showing our
    /// head brings all of it.
    pub(crate) fn ask_for_branch(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        document: DocumentKey,
        log: LogId,
    ) {
        let Some(entity) = self.entities.get(&id).filter(|e| e.member(from).is_some()) else { return };
        let Some(replica) = entity.replicas.get(&document) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        if shared.branches.len() < FRAME_LOGS_MAX && shared.branches.insert(log) {
            for frame in vector_frames(id, replica) {
                self.out.send(from, &frame);
            }
        }
    }

    // -- pages --------------------------------------------------------------------------------

    /// A peer has taken a page and asks for the next: only after one that promised more.
    pub(super) fn their_next(&mut self, from: DeviceKey, entity: EntityId, document: DocumentKey) {
        let shared = shared(&mut self.sessions, from, entity);
        let Some(stream) = shared.and_then(|shared| shared.streams.get_mut(&document)) else {
            return self.drop_counted("next page of nothing");
        };
        match stream.page {
            Paging::Sent(..) | Paging::SentPart => self.next_page(from, entity, document),
            // One that a vector overtook asked for what that has brought, or has shown to be there.
            _ if stream.overtaken > 0 => stream.overtaken -= 1,
            _ => self.drop_counted("next page of nothing"),
        }
    }

    /// Loads the next page of a stream, if any is left.
    pub(super) fn next_page(&mut self, to: DeviceKey, entity: EntityId, document: DocumentKey) {
        let Some(shared) = shared(&mut self.sessions, to, entity) else { return };
        let Some(stream) = shared.streams.get_mut(&document) else { return };
        if let Some(part) = stream.part {
            return self.next_part(to, entity, document, part);
        }
        let Some((log, after)) = stream.logs.front().copied() else {
            stream.page = Paging::None;
            return;
        };
        let replica = self.entities.get(&entity).and_then(|e| e.replicas.get(&document));
        if replica.is_some_and(|replica| replica.live().is_none()) {
            // It begins anew once the document is in memory, by the vector that the peer showed.
            shared.streams.remove(&document);
            return self.call(entity, document);
        }
        let aside =
            replica.and_then(Replica::live).map(|live| live.branches.aside(&log, after, PAGE_ENVELOPES_MAX));
        let except = aside.unwrap_or_default();
        let load = self.out.load(Query::Log { log, after, bytes_max: PAGE_BYTES, except });
        stream.page = Paging::Loading(load, log, after);
        self.loads.insert(load, Load::Page(to, entity, document));
        self.use_document(entity, document);
    }

    /// A page was loaded: it is sent, and the stream goes on when the receiver asks.
    ///
    /// The peer may have connected anew meanwhile, or shown another vector.
    pub(crate) fn page_loaded(
        &mut self,
        load: LoadId,
        (to, entity, document): (DeviceKey, EntityId, DocumentKey),
        page: Result<Page, StoreFailure>,
    ) {
        let page = match page {
            Ok(Page::SnapshotPart(part)) => return self.part_loaded(load, (to, entity, document), part),
            page => page,
        };
        let member = self.entities.get(&entity).is_some_and(|e| e.member(to).is_some());
        let Some(shared) = shared(&mut self.sessions, to, entity) else { return };
        let Some(stream) = shared.streams.get_mut(&document) else { return };
        let Paging::Loading(expected, log, after) = stream.page else { return };
        if expected != load {
            return;
        }
        let Ok(Page::Envelopes { mut envelopes, next }) = page else {
            *stream = Stream::default();
            return self.drop_counted("unreadable page");
        };
        if !member {
            *stream = Stream::default();
            return;
        }
        // What lies on disk beyond the head is void and is not passed on.
        let replica = self.entities.get(&entity).and_then(|e| e.replicas.get(&document));
        let counting =
            replica.and_then(Replica::live).map_or(0, |live| counting(live, &log, after, &envelopes));
        envelopes.truncate(counting);
        if stream.logs.front() == Some(&(log, after)) {
            match (stream.logs.front_mut(), next.filter(|_| !envelopes.is_empty())) {
                (Some((_, after)), Some(next)) => *after = next,
                _ => drop(stream.logs.pop_front()),
            }
        }
        let (more, part_is_wanted) = (!stream.logs.is_empty(), stream.part.is_some());
        let upto = after.saturating_add(u64::try_from(envelopes.len()).unwrap_or(u64::MAX));
        stream.page = if more { Paging::Sent(log, upto) } else { Paging::None };
        self.out.send(to, &Frame::Envelopes { entity, document, envelopes, more });
        if part_is_wanted {
            // The peer has shown meanwhile that it lacks what only the snapshot has.
            return self.next_page(to, entity, document);
        }
        if !more {
            self.compare_documents(to, entity);
            self.load_documents(entity);
        }
    }
}

/// How many of these envelopes, which follow `after` in a log, are on the branch that counts.
fn counting(live: &Live, log: &LogId, after: u64, envelopes: &[Vec<u8>]) -> usize {
    if !live.branches.is_forked(log) {
        let counts = live.branches.length(log).saturating_sub(after);
        return envelopes.len().min(usize::try_from(counts).unwrap_or(usize::MAX));
    }
    let hashes = envelopes.iter().map(|bytes| Envelope::read(bytes).ok().map(|envelope| envelope.hash()));
    let places = (after.saturating_add(1)..).map(|sequence| live.branches.at(log, sequence));
    hashes.zip(places).take_while(|(hash, ours)| hash.is_some() && hash == ours).count()
}
