//! Says how this replica stands with what it shares, and compares it with what peers say.
//!
//! A state is told after greeting and soon after a change; what differs is asked for, once for each
//! pair of states. Invariant: the last state that a peer told is what is remembered of it, in
//! whatever order its frames came.

use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId};
use crate::limits::STATE_DOCUMENTS_MAX;
use crate::replicator::Replicator;
use crate::session::Stream;
use crate::time::Duration;
use crate::wire::{Frame, State};

use super::vectors::vector_frames;
use super::{ASKS_BURST, ASKS_EVERY, shared};

/// How long changes gather before up to `TELL_PEERS` peers are told how we stand.
const TELL_AFTER: Duration = Duration(300);

/// With more peers than these changes gather longer, so that a device tells as much in a time however
/// many it is connected with: all telling all would cost a group the square of its size.
const TELL_PEERS: u64 = 8;

impl Replicator {
    // -- how we stand -------------------------------------------------------------------------

    /// How long changes gather before peers are told how we stand.
    pub(crate) fn tell_after(&self) -> Duration {
        let peers = u64::try_from(self.sessions.len()).unwrap_or(u64::MAX).max(TELL_PEERS);
        Duration(TELL_AFTER.0.saturating_mul(peers) / TELL_PEERS)
    }

    /// Does what waits until changes have gathered for a while: peers are told of the entities that
    /// changed, what is wanted of them is written, and whoever listens hears how they stand.
    pub(crate) fn tell_peers(&mut self) {
        self.compare_when_due();
        self.tend_fetching();
        let (now, after) = (self.now.instant, self.tell_after());
        let gathered: Vec<EntityId> =
            self.changed.iter().filter(|(_, since)| **since + after <= now).map(|(id, _)| *id).collect();
        let entities = &self.entities;
        self.changed.retain(|id, since| {
            // Content that is ahead of its vector would look like a fault to others.
            let sealed = entities.get(id).is_none_or(Entity::is_sealed);
            if !sealed {
                *since = now;
            }
            *since + after > now
        });
        if let Some(earliest) = self.changed.values().min() {
            self.out.wake_at(*earliest + after);
        }
        let devices: Vec<DeviceKey> = self.sessions.keys().copied().collect();
        for device in devices {
            self.tell(device, false);
            self.tell_requests(device, false);
        }
        for id in gathered {
            self.keep_wants(id);
            self.note_standing(id, None);
        }
    }

    /// Tells one peer how we stand with each shared entity: what changed, or all of it.
    pub(super) fn tell(&mut self, device: DeviceKey, all: bool) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(session) = self.sessions.get_mut(&device) else { return };
        for (id, shared) in &mut session.shared {
            if all {
                shared.ask_anew();
            }
            // Whoever was told nothing yet has nothing to ask for, and waits.
            let gathers = self.changed.contains_key(id) && shared.told.is_some();
            let Some(entity) = self.entities.get(id).filter(|e| e.is_sealed() && (all || !gathers)) else {
                continue;
            };
            let mut state = entity.state();
            if entity.member(me).is_none() || entity.member(device).is_none() {
                // How documents stand is for members; all others may know who is in.
                state.documents.clear();
            }
            if all || shared.told.as_ref() != Some(&state) {
                session.told = session.told.wrapping_add(1);
                self.out.send(device, &Frame::State { number: session.told, state: state.clone() });
                shared.told = Some(state);
            }
        }
    }

    /// A peer says how it stands: what differs is asked for.
    pub(super) fn their_state(&mut self, from: DeviceKey, number: u64, mut state: State) {
        let id = state.entity;
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else {
            return self.drop_counted("state of what is not shared");
        };
        if !state.documents.iter().zip(state.documents.iter().skip(1)).all(|(a, b)| a.document < b.document) {
            return self.blame(from, "state out of order");
        }
        if !shared.takes_number(number) {
            return self.drop_counted("state that is older than one before it");
        }
        let mut named = Vec::new();
        if entity.member(from).is_some() {
            named.extend(state.documents.iter().map(|theirs| theirs.document));
            entity.found_named(named.iter().copied());
        }
        // Documents of children that this node has yet to open are remembered too, to be asked for
        // then; an honest peer has no more of them than this.
        if state.documents.len() > STATE_DOCUMENTS_MAX {
            state.documents.retain(|document| entity.replicas.contains_key(&document.document));
        }
        let mut wanted = false;
        for replica in entity.replicas.values_mut() {
            let is_equal = match state.of(replica.key) {
                Some(theirs) => replica.heads.digest() == theirs.vector,
                None => !replica.is_told(),
            };
            if is_equal {
                wanted |= replica.wants.clear(&from);
                // It lacks nothing any more, whoever gave it that. It may have asked on meanwhile.
                if let Some(stream) = shared.streams.get_mut(&replica.key) {
                    stream.logs.clear();
                }
            }
        }
        let before = shared.theirs.replace(state);
        let now = shared.theirs.as_ref();
        let knew = |state: &State| (state.roster, state.documents.len());
        if before.as_ref().map(knew) != now.map(knew) {
            // It may have passed over what was said of devices and documents that it did not know.
            shared.forget_told_acks();
            self.tell_all_acks(from);
        }
        let Some(shared) = super::shared(&mut self.sessions, from, id) else { return };
        if shared.asks.take(self.now.instant, ASKS_BURST, ASKS_EVERY) {
            self.compare(from, id);
        } else {
            self.drop_counted("state told too often");
        }
        self.stop_named(id, &named);
        if wanted {
            self.touch(id);
        }
        self.tell(from, false);
        self.tell_requests(from, false);
        self.note_standing(id, Some(from));
    }

    /// Compares how a peer stands with how we stand, and asks for what differs: at most once for
    /// each pair of states.
    pub(crate) fn compare(&mut self, from: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        let Some(theirs) = &shared.theirs else { return };
        let differs = (entity.roster.digest(), theirs.roster);
        if differs.0 != differs.1 && shared.asked_roster != Some(differs) {
            shared.asked_roster = Some(differs);
            self.show_statements(from, id);
        }
        self.compare_documents(from, id);
    }

    /// Asks for what documents lack: of members' devices alone, as only those are heard.
    pub(super) fn compare_documents(&mut self, from: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id).filter(|e| e.member(from).is_some()) else { return };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        let Some(theirs) = &shared.theirs else { return };
        let mut differing = Vec::new();
        for theirs in &theirs.documents {
            let Some(replica) = entity.replicas.get(&theirs.document) else { continue };
            // A peer that is being given what it lacks differs all the while; it is asked after that.
            if shared.streams.get(&theirs.document).is_some_and(Stream::is_under_way) {
                continue;
            }
            let elsewhere = self.fetching.get(&theirs.document);
            if elsewhere.is_some_and(|fetching| fetching.holds_up(from, self.now.instant)) {
                continue;
            }
            let differs = (replica.heads.digest(), theirs.vector);
            if differs.0 != differs.1 && shared.asked.get(&theirs.document) != Some(&differs) {
                differing.push((replica.segment, theirs.document, differs));
            }
        }
        // Of a series the first ones first: newcomers take as many at once as there is room for.
        differing.sort_by_key(|(segment, ..)| *segment);
        for (_, document, differs) in differing {
            self.ask_for(from, (id, document), differs);
        }
    }

    /// Asks a peer for what a document lacks, if there is room for it in memory: what came of another
    /// segment would find none.
    fn ask_for(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        differs: (Digest, Digest),
    ) {
        let replica = self.entities.get(&id).and_then(|entity| entity.replicas.get(&document));
        let Some(replica) = replica else { return };
        if !replica.is_in_memory() && self.room_for(id, document).is_none() {
            return;
        }
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        shared.asked.insert(document, differs);
        for frame in vector_frames(id, replica) {
            self.out.send(from, &frame);
        }
        // Of what is not here at all there may be much, and a snapshot is taken into memory, whether
        // anybody has looked at the document or not.
        if replica.heads.is_empty() {
            self.fetch(id, document, from);
            self.load_document(id, document);
        }
    }

    /// Looks again at how peers said their documents stand: who is a member may have changed.
    pub(crate) fn compare_all(&mut self, id: EntityId) {
        self.compare_all_but(id, None);
    }

    /// The same of all but one peer.
    pub(super) fn compare_all_but(&mut self, id: EntityId, but: Option<DeviceKey>) {
        let sharing = self.sessions.iter().filter(|(_, session)| session.shared.contains_key(&id));
        let others = sharing.map(|(device, _)| *device).filter(|device| Some(*device) != but);
        for device in others.collect::<Vec<_>>() {
            self.compare_documents(device, id);
        }
    }
}
