//! Catches up with one peer by comparing: rosters by digest, documents by state vector.
//!
//! Two peers greet, say how they stand with each entity they share, and each streams what the
//! other lacks in pages, of which one at a time is under way. Nothing here depends on gossip.
//! Whoever holds an entity's secret may exchange its roster, since that is how it learns of a
//! newcomer or of its own removal; documents go to members' devices only.

use std::collections::BTreeMap;

use crate::entity::Entity;
use crate::envelope::Envelope;
use crate::ids::{DeviceKey, DocumentKey, EntityId, LogHead, LogId};
use crate::limits::{
    FRAME_LOGS_MAX, FRAME_STATEMENT_IDS_MAX, GREETING_ENTITIES_MAX, IN_FLIGHT_BYTES_MAX, PAGE_BYTES,
    STATE_DOCUMENTS_MAX,
};
use crate::record::{LoadId, Page, Query, StoreFailure};
use crate::replica::{Live, Replica};
use crate::replicator::{Load, Replicator, TELL_AFTER};
use crate::session::{Paging, Session, Shared, Stream};
use crate::time::{Duration, Instant};
use crate::wire::{Frame, State, Vector};
use rand::Rng;

/// Envelopes in one page at most: each takes more than 256 bytes.
const PAGE_ENVELOPES_MAX: u64 = PAGE_BYTES as u64 / 256;

/// How often a peer's state may make us ask, and its list make us answer: a burst, then one for
/// each stretch of time. Honest peers tell at most once in `TELL_AFTER`.
const ASKS_BURST: u64 = 32;
const ASKS_EVERY: Duration = Duration(250);

impl Replicator {
    // -- connections --------------------------------------------------------------------------

    pub(crate) fn connected(&mut self, device: DeviceKey) {
        let now = self.now.instant;
        self.vain.retain(|device, vain| self.sessions.contains_key(device) || !vain.is_even(now));
        self.sessions.insert(device, Session::default());
        self.out.notify(crate::command::Notice::PeerChanged { device, connected: true });
        self.greet(device);
        self.knock(device);
        self.show_code(device);
        self.seek_home_at(device);
        self.seek(device);
        self.ask_anew();
        self.schedule_reassurance();
    }

    pub(crate) fn disconnected(&mut self, device: DeviceKey) {
        if self.sessions.remove(&device).is_some() {
            self.lose_answers(device);
            if self.is_fellow(device) {
                self.search_soon();
            }
            self.out.notify(crate::command::Notice::PeerChanged { device, connected: false });
        }
    }

    /// Gossip to us was dropped: what it carried is asked for.
    pub(crate) fn missed(&mut self, device: DeviceKey) {
        self.tell(device, true);
    }

    pub(crate) fn received(&mut self, device: DeviceKey, bytes: &[u8]) {
        if !self.sessions.contains_key(&device) {
            return;
        }
        match Frame::decode(bytes) {
            Ok(frame) => self.frame(device, frame),
            Err(_) => self.blame(device, "malformed frame"),
        }
    }

    fn frame(&mut self, from: DeviceKey, frame: Frame) {
        match frame {
            Frame::Hello(greetings) => self.hello(from, greetings),
            Frame::State(state) => self.their_state(from, state),
            Frame::Have { entity, ids, last } => self.their_statements(from, entity, &ids, last),
            Frame::Statements { entity, statements } => self.take_statements(from, entity, &statements),
            Frame::Vector(vector) => self.their_vector(from, vector),
            Frame::Envelopes { entity, document, envelopes, more } => {
                self.take_page(from, entity, document, &envelopes, more);
            }
            Frame::Next { entity, document } => self.their_next(from, entity, document),
            Frame::Knock(knock) => self.knocked(from, &knock),
            Frame::Turned { entity, why } => self.turned_away(from, entity, why),
            Frame::Seek(lookup) => self.sought(from, lookup),
            Frame::Found { lookup, genesis } => self.found(from, lookup, &genesis),
            Frame::Requests { entity, requests, denials } => {
                self.take_requests(from, entity, &requests, &denials);
            }
            Frame::Lacking { entity, epochs } => self.asked_for_keys(from, entity, &epochs),
            Frame::Link { home, card, signature } => self.code_shown(from, home, &card, &signature),
            Frame::Linked { home, certificate } => self.linked(from, home, &certificate),
        }
    }

    // -- greeting -----------------------------------------------------------------------------

    /// Greets a peer with every entity we are in; it recognises those it is in too.
    fn greet(&mut self, device: DeviceKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let secrets = self.entities.values().filter_map(|e| e.secret.as_ref());
        let greetings = secrets.map(|s| s.greeting(me, device)).take(GREETING_ENTITIES_MAX).collect();
        self.out.send(device, &Frame::Hello(greetings));
    }

    fn hello(&mut self, from: DeviceKey, greetings: Vec<crate::epoch::Greeting>) {
        if greetings.len() > GREETING_ENTITIES_MAX {
            return self.blame(from, "greeting too long");
        }
        let Some(session) = self.sessions.get_mut(&from) else { return };
        session.greetings = greetings.into_iter().collect();
        self.recognise(from);
    }

    /// Finds the entities that a peer's greetings show it shares with us, and says how we stand.
    fn recognise(&mut self, device: DeviceKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(session) = self.sessions.get_mut(&device) else { return };
        for entity in self.entities.values() {
            let greeting = entity.secret.as_ref().map(|s| s.greeting(device, me));
            if greeting.is_some_and(|g| session.greetings.contains(&g)) {
                session.shared.entry(entity.id).or_default();
            }
        }
        let shared: Vec<EntityId> = session.shared.keys().copied().collect();
        for entity in shared {
            self.load_documents(entity);
        }
        self.tell(device, false);
    }

    /// We entered an entity: all who are connected are greeted anew and recognised anew.
    pub(crate) fn enter(&mut self, entity: EntityId) {
        let devices: Vec<DeviceKey> = self.sessions.keys().copied().collect();
        for device in devices {
            self.greet(device);
            self.recognise(device);
        }
        self.touch(entity);
    }

    // -- how we stand -------------------------------------------------------------------------

    /// Tells all peers of the entities that changed, once changes have gathered for a while.
    pub(crate) fn tell_peers(&mut self) {
        let due = self.reassure_at.is_some_and(|at| at <= self.now.instant);
        if due {
            self.reassure_at = None;
        }
        self.schedule_reassurance();
        let now = self.now.instant;
        let entities = &self.entities;
        self.changed.retain(|id, since| {
            // Content that is ahead of its vector would look like a fault to others.
            let sealed = entities.get(id).is_none_or(Entity::is_sealed);
            if !sealed {
                *since = now;
            }
            *since + TELL_AFTER > now
        });
        if let Some(earliest) = self.changed.values().min() {
            self.out.wake_at(*earliest + TELL_AFTER);
        }
        let devices: Vec<DeviceKey> = self.sessions.keys().copied().collect();
        for device in devices {
            self.tell(device, due);
        }
    }

    fn schedule_reassurance(&mut self) {
        let Some(every) = self.compare_every.filter(|_| !self.sessions.is_empty()) else { return };
        let at: Instant = *self.reassure_at.get_or_insert_with(|| {
            let spread = self.random.next_u64() % every.0.max(1);
            self.now.instant + every + Duration(spread)
        });
        self.out.wake_at(at);
    }

    /// Tells one peer how we stand with each shared entity: what changed, or all of it.
    fn tell(&mut self, device: DeviceKey, all: bool) {
        let Some(session) = self.sessions.get_mut(&device) else { return };
        for (id, shared) in &mut session.shared {
            let gathering = self.changed.contains_key(id);
            let Some(entity) = self.entities.get(id).filter(|e| e.is_sealed() && (all || !gathering)) else {
                continue;
            };
            if all {
                // What was asked for and lost on the way may be asked for once more.
                shared.asked.clear();
                shared.branches.clear();
                shared.asked_roster = None;
            }
            let state = entity.state();
            if all || shared.told.as_ref() != Some(&state) {
                self.out.send(device, &Frame::State(state.clone()));
                shared.told = Some(state);
            }
        }
        self.tell_requests(device, all);
    }

    /// A peer says how it stands: what differs is asked for.
    fn their_state(&mut self, from: DeviceKey, mut state: State) {
        let id = state.entity;
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else {
            return self.drop_counted("state of what is not shared");
        };
        if !state.documents.iter().zip(state.documents.iter().skip(1)).all(|(a, b)| a.document < b.document) {
            return self.blame(from, "state out of order");
        }
        // Documents of children that this node has yet to open are remembered too, to be asked for
        // then; an honest peer has no more of them than this.
        if state.documents.len() > STATE_DOCUMENTS_MAX {
            state.documents.retain(|document| entity.replicas.contains_key(&document.document));
        }
        shared.theirs = Some(state);
        if shared.asks.take(self.now.instant, ASKS_BURST, ASKS_EVERY) {
            self.compare(from, id);
        } else {
            self.drop_counted("state told too often");
        }
        self.tell(from, false);
    }

    /// Compares how a peer stands with how we stand, and asks for what differs: at most once for
    /// each pair of states.
    fn compare(&mut self, from: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        let Some(theirs) = &shared.theirs else { return };
        let differs = (entity.roster.digest(), theirs.roster);
        if differs.0 != differs.1 && shared.asked_roster != Some(differs) {
            shared.asked_roster = Some(differs);
            let ids: Vec<_> = entity.roster.ids().collect();
            for frame in have_frames(id, &ids) {
                self.out.send(from, &frame);
            }
        }
        self.compare_documents(from, id);
    }

    /// Asks for what documents lack: of members' devices alone, as only those are heard.
    fn compare_documents(&mut self, from: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id).filter(|e| e.member(from).is_some()) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        let Some(theirs) = &shared.theirs else { return };
        for theirs in &theirs.documents {
            let Some(replica) = entity.replicas.get(&theirs.document) else { continue };
            let differs = (replica.vector_digest(), theirs.vector);
            if differs.0 != differs.1 && shared.asked.get(&theirs.document) != Some(&differs) {
                shared.asked.insert(theirs.document, differs);
                self.out.send(from, &Frame::Vector(vector(id, replica)));
            }
        }
    }

    /// Looks again at how peers said their documents stand: who is a member may have changed.
    pub(crate) fn compare_all(&mut self, id: EntityId) {
        let sharing = self.sessions.iter().filter(|(_, session)| session.shared.contains_key(&id));
        for device in sharing.map(|(device, _)| *device).collect::<Vec<_>>() {
            self.compare_documents(device, id);
        }
    }

    // -- rosters ------------------------------------------------------------------------------

    /// A peer lists the statements it has: it gets those it lacks. It shares the secret, or was
    /// just let in and learns the secret from them.
    fn their_statements(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        ids: &[crate::ids::StatementId],
        last: bool,
    ) {
        let returning = self.is_returning(from, id);
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(session) = self.sessions.get_mut(&from) else { return };
        let listens = session.shared.contains_key(&id) || entity.member(from).is_some();
        if !listens && !returning {
            return self.drop_counted("list of a stranger");
        }
        let listing = session.listings.entry(id).or_default();
        listing.have.extend(ids.iter().filter(|id| entity.roster.contains(id)));
        if !last {
            return;
        }
        let have = std::mem::take(&mut listing.have);
        if listing.answers.take(self.now.instant, ASKS_BURST, ASKS_EVERY) {
            let lacking = entity.statements_lacking(&have);
            self.send_statements(from, id, lacking);
        } else {
            self.drop_counted("list sent too often");
        }
    }

    /// Sends statements, parents first, as far as one answer may go; the rest follows when the
    /// receiver has told how it stands then.
    pub(crate) fn send_statements(&mut self, to: DeviceKey, entity: EntityId, statements: Vec<Vec<u8>>) {
        let (mut frame, mut bytes, mut total) = (Vec::new(), 0, 0);
        for statement in statements {
            if total + statement.len() > IN_FLIGHT_BYTES_MAX {
                break;
            }
            if bytes + statement.len() > PAGE_BYTES && !frame.is_empty() {
                self.out.send(to, &Frame::Statements { entity, statements: std::mem::take(&mut frame) });
                bytes = 0;
            }
            bytes += statement.len();
            total += statement.len();
            frame.push(statement);
        }
        if !frame.is_empty() {
            self.out.send(to, &Frame::Statements { entity, statements: frame });
        }
    }

    // -- documents ----------------------------------------------------------------------------

    /// Asks a peer for what is missing where something waits: at most once for each state of ours.
    pub(crate) fn ask_for_gaps(&mut self, from: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id).filter(|e| e.member(from).is_some()) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        for replica in entity.replicas.values().filter(|r| !r.waiting.is_empty()) {
            let ours = replica.vector_digest();
            if shared.asked.insert(replica.key, (ours, ours)) != Some((ours, ours)) {
                self.out.send(from, &Frame::Vector(vector(id, replica)));
            }
        }
    }

    /// A peer shows its state vector of a document: it is streamed what it lacks.
    fn their_vector(&mut self, from: DeviceKey, vector: Vector) {
        let Vector { entity: id, document, logs } = vector;
        if logs.len() > FRAME_LOGS_MAX {
            return self.blame(from, "vector too long");
        }
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.member(from).is_none() {
            return self.drop_counted("vector of a stranger");
        }
        let me = self.me.as_ref().map(|me| me.key());
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        let theirs: BTreeMap<LogId, LogHead> = logs
            .into_iter()
            .map(|(device, incarnation, head)| (LogId { document, device, incarnation }, head))
            .collect();
        for (log, head) in theirs.iter().filter(|(log, _)| Some(log.device) == me) {
            if head.sequence > replica.head(log).sequence {
                replica.doubt_log(log);
            }
        }
        shared.vectors.insert(document, theirs);
        self.stream(from, id, document);
        self.load_documents(id);
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
        let stream = shared.streams.entry(document).or_default();
        stream.logs = lacking.collect();
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
            self.out.send(from, &Frame::Vector(vector(id, replica)));
        }
    }

    /// A peer has taken a page and asks for the next: only after one that promised more.
    fn their_next(&mut self, from: DeviceKey, entity: EntityId, document: DocumentKey) {
        let shared = shared(&mut self.sessions, from, entity);
        match shared.and_then(|shared| shared.streams.get(&document)).map(|stream| stream.page) {
            Some(Paging::Sent) => self.next_page(from, entity, document),
            _ => self.drop_counted("next page of nothing"),
        }
    }

    /// Loads the next page of a stream, if any is left.
    fn next_page(&mut self, to: DeviceKey, entity: EntityId, document: DocumentKey) {
        let Some(shared) = shared(&mut self.sessions, to, entity) else { return };
        let Some(stream) = shared.streams.get_mut(&document) else { return };
        let Some((log, after)) = stream.logs.front().copied() else {
            stream.page = Paging::None;
            return;
        };
        let replica = self.entities.get(&entity).and_then(|e| e.replicas.get(&document));
        let aside =
            replica.and_then(Replica::live).map(|live| live.branches.aside(&log, after, PAGE_ENVELOPES_MAX));
        let except = aside.unwrap_or_default();
        let load = self.out.load(Query::Log { log, after, bytes_max: PAGE_BYTES, except });
        stream.page = Paging::Loading(load, log, after);
        self.loads.insert(load, Load::Page(to, entity, document));
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
        let more = !stream.logs.is_empty();
        stream.page = if more { Paging::Sent } else { Paging::None };
        self.out.send(to, &Frame::Envelopes { entity, document, envelopes, more });
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

/// What both share of an entity, if the peer has shown that it holds the secret.
pub(crate) fn shared(
    sessions: &mut BTreeMap<DeviceKey, Session>,
    device: DeviceKey,
    entity: EntityId,
) -> Option<&mut Shared> {
    sessions.get_mut(&device)?.shared.get_mut(&entity)
}

fn vector(entity: EntityId, replica: &Replica) -> Vector {
    let logs = replica.heads.iter().map(|(log, head)| (log.device, log.incarnation, *head));
    Vector { entity, document: replica.key, logs: logs.take(FRAME_LOGS_MAX).collect() }
}

pub(crate) fn have_frames(entity: EntityId, ids: &[crate::ids::StatementId]) -> Vec<Frame> {
    let count = ids.len().div_ceil(FRAME_STATEMENT_IDS_MAX);
    let pages = ids.chunks(FRAME_STATEMENT_IDS_MAX).enumerate();
    pages.map(|(at, ids)| Frame::Have { entity, ids: ids.to_vec(), last: at + 1 == count }).collect()
}
