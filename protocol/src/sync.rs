//! Catches up with one peer by comparing: rosters by digest, documents by state vector.
//!
//! Two peers greet, say how they stand with each entity they share, and each streams what the
//! other lacks in pages, of which one at a time is under way. Nothing here depends on gossip.
//! Whoever holds an entity's secret may exchange its roster, since that is how it learns of a
//! newcomer or of its own removal; documents go to members' devices only.

use crate::entity::Entity;
use crate::ids::{DeviceKey, DocumentKey, EntityId, LogId};
use crate::limits::{
    FRAME_LOGS_MAX, FRAME_STATEMENT_IDS_MAX, GREETING_ENTITIES_MAX, IN_FLIGHT_BYTES_MAX, PAGE_BYTES,
};
use crate::record::{Page, Query, StoreFailure};
use crate::replica::Replica;
use crate::replicator::{Load, Replicator, TELL_AFTER};
use crate::session::{Session, Shared, Stream};
use crate::time::{Duration, Instant};
use crate::wire::{Frame, State, Vector};
use rand::Rng;

/// The slow interval at which peers tell how they stand even if nothing changed: a random length
/// between this and twice this.
const REASSURE_EVERY: Duration = Duration::from_secs(60);

/// Statement ids that a peer may list before we answer: what all devices of a large entity may write.
const HAVE_MAX: usize = 262_144;

impl Replicator {
    // -- connections --------------------------------------------------------------------------

    pub(crate) fn connected(&mut self, device: DeviceKey) {
        self.sessions.insert(device, Session::default());
        self.out.notify(crate::command::Notice::PeerChanged { device, connected: true });
        self.greet(device);
        self.knock(device);
        self.schedule_reassurance();
    }

    pub(crate) fn disconnected(&mut self, device: DeviceKey) {
        if self.sessions.remove(&device).is_some() {
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
            Frame::Have { entity, ids, last } => self.their_statements(from, entity, ids, last),
            Frame::Statements { entity, statements } => self.take_statements(from, entity, &statements),
            Frame::Vector(vector) => self.their_vector(from, vector),
            Frame::Envelopes { entity, document, envelopes, more } => {
                self.take_page(from, entity, document, &envelopes, more);
            }
            Frame::Next { entity, document } => self.next_page(from, entity, document),
            Frame::Knock(knock) => self.knocked(from, &knock),
            Frame::Turned { entity, why } => self.turned_away(from, entity, why),
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
        if self.sessions.is_empty() {
            return;
        }
        let at: Instant = *self.reassure_at.get_or_insert_with(|| {
            let spread = self.random.next_u64() % REASSURE_EVERY.0.max(1);
            self.now.instant + REASSURE_EVERY + Duration(spread)
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
            let state = entity.state();
            if all || shared.told.as_ref() != Some(&state) {
                self.out.send(device, &Frame::State(state.clone()));
                shared.told = Some(state);
            }
        }
    }

    /// A peer says how it stands: what differs is asked for.
    fn their_state(&mut self, from: DeviceKey, state: State) {
        let id = state.entity;
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        let ours = entity.state();
        let differs = (ours.roster, state.roster);
        if differs.0 != differs.1 && shared.asked_roster != Some(differs) {
            shared.asked_roster = Some(differs);
            let ids: Vec<_> = entity.roster.ids().collect();
            for frame in have_frames(id, &ids) {
                self.out.send(from, &frame);
            }
        }
        for theirs in &state.documents {
            let Some(replica) = entity.replicas.get(&theirs.document) else { continue };
            let differs = (replica.vector_digest(), theirs.vector);
            if differs.0 != differs.1 && shared.asked.get(&theirs.document) != Some(&differs) {
                shared.asked.insert(theirs.document, differs);
                self.out.send(from, &Frame::Vector(vector(id, replica)));
            }
        }
        shared.theirs = Some(state);
        self.tell(from, false);
    }

    // -- rosters ------------------------------------------------------------------------------

    /// A peer lists the statements it has: it gets those it lacks.
    fn their_statements(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        ids: Vec<crate::ids::StatementId>,
        last: bool,
    ) {
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        if shared.have.len() + ids.len() > HAVE_MAX {
            shared.have.clear();
            return self.blame(from, "too many statement ids");
        }
        shared.have.extend(ids);
        if last {
            let have = std::mem::take(&mut shared.have);
            let lacking = entity.statements_lacking(&have);
            self.send_statements(from, id, lacking);
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
        let Some(entity) = self.entities.get(&id) else { return };
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
        let Some(entity) = self.entities.get_mut(&vector.entity) else { return };
        if entity.member(from).is_none() || vector.logs.len() > FRAME_LOGS_MAX {
            return self.drop_counted("vector of a stranger");
        }
        let me = self.me.as_ref().map(|me| me.key());
        let Some(replica) = entity.replicas.get_mut(&vector.document) else { return };
        let Some(shared) = shared(&mut self.sessions, from, vector.entity) else { return };
        let theirs: std::collections::BTreeMap<_, _> = vector
            .logs
            .iter()
            .map(|(device, incarnation, head)| {
                (LogId { document: vector.document, device: *device, incarnation: *incarnation }, *head)
            })
            .collect();
        for (log, head) in &theirs {
            let ours = replica.head(log);
            if Some(log.device) == me && replica.writes(log) && (head.sequence > ours.sequence) {
                replica.retire_log();
            }
        }
        let lacking = replica.heads.iter().filter_map(|(log, head)| {
            let has = theirs.get(log).map_or(0, |h| h.sequence);
            (has < head.sequence).then_some((*log, has))
        });
        let stream = shared.streams.entry(vector.document).or_default();
        stream.logs = lacking.collect();
        let begin = !stream.busy;
        shared.vectors.insert(vector.document, theirs);
        if begin {
            self.next_page(from, vector.entity, vector.document);
        }
    }

    /// Loads the next page of a stream, if any is left.
    fn next_page(&mut self, to: DeviceKey, entity: EntityId, document: DocumentKey) {
        let Some(shared) = shared(&mut self.sessions, to, entity) else { return };
        let Some(stream) = shared.streams.get_mut(&document) else { return };
        let Some((log, after)) = stream.logs.front() else {
            stream.busy = false;
            return;
        };
        stream.busy = true;
        let load = self.out.load(Query::Log { log: *log, after: *after, bytes_max: PAGE_BYTES });
        self.loads.insert(load, Load::Page(to, entity, document));
    }

    /// A page was loaded: it is sent, and the stream goes on when the receiver asks.
    pub(crate) fn page_loaded(
        &mut self,
        to: DeviceKey,
        entity: EntityId,
        document: DocumentKey,
        page: Result<Page, StoreFailure>,
    ) {
        let member = self.entities.get(&entity).is_some_and(|e| e.member(to).is_some());
        let Some(shared) = shared(&mut self.sessions, to, entity).filter(|_| member) else { return };
        let Some(stream) = shared.streams.get_mut(&document) else { return };
        let Ok(Page::Envelopes { mut envelopes, next }) = page else {
            *stream = Stream::default();
            return self.drop_counted("unreadable page");
        };
        // What lies on disk beyond the head is void and is not passed on.
        let replica = self.entities.get(&entity).and_then(|e| e.replicas.get(&document));
        if let (Some((log, after)), Some(replica)) = (stream.logs.front(), replica) {
            let counts = replica.head(log).sequence.saturating_sub(*after);
            envelopes.truncate(usize::try_from(counts).unwrap_or(usize::MAX));
        }
        match (stream.logs.front_mut(), next.filter(|_| !envelopes.is_empty())) {
            (Some((_, after)), Some(next)) => *after = next,
            _ => drop(stream.logs.pop_front()),
        }
        let more = !stream.logs.is_empty();
        stream.busy = more;
        self.out.send(to, &Frame::Envelopes { entity, document, envelopes, more });
    }
}

/// What both share of an entity, if the peer has shown that it holds the secret.
pub(crate) fn shared(
    sessions: &mut std::collections::BTreeMap<DeviceKey, Session>,
    device: DeviceKey,
    entity: EntityId,
) -> Option<&mut Shared> {
    sessions.get_mut(&device)?.shared.get_mut(&entity)
}

fn vector(entity: EntityId, replica: &Replica) -> Vector {
    let logs = replica.heads.iter().map(|(log, head)| (log.device, log.incarnation, *head));
    Vector { entity, document: replica.key, logs: logs.take(FRAME_LOGS_MAX).collect() }
}

fn have_frames(entity: EntityId, ids: &[crate::ids::StatementId]) -> Vec<Frame> {
    let count = ids.len().div_ceil(FRAME_STATEMENT_IDS_MAX);
    let pages = ids.chunks(FRAME_STATEMENT_IDS_MAX).enumerate();
    pages.map(|(at, ids)| Frame::Have { entity, ids: ids.to_vec(), last: at + 1 == count }).collect()
}
