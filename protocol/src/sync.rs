//! Catches up with one peer by comparing: rosters by digest, documents by state vector.
//!
//! Two peers greet, say how they stand with each entity they share (`telling`), and each gives what
//! the other lacks: statements (`rosters`), and envelopes in pages (`documents`, by `vectors`) or a
//! snapshot in parts (`snapshots`), of which one at a time is under way. Now and then they compare one digest of everything (`quiet`),
//! which finds whatever was lost on the way. Nothing here depends on gossip, or on any one frame.
//! Whoever holds an entity's secret may exchange its roster, since that is how it learns of a
//! newcomer or of its own removal; documents go to members' devices only.

mod acks;
mod checkpoints;
mod documents;
mod fetching;
mod quiet;
mod rosters;
mod snapshots;
mod stops;
mod telling;
mod vectors;

use std::collections::BTreeMap;

use rand::Rng;

use crate::epoch::Greeting;
use crate::ids::{DeviceKey, EntityId};
use crate::limits::GREETING_ENTITIES_MAX;
use crate::replicator::Replicator;
use crate::session::{Session, Shared};
use crate::time::Duration;
use crate::wire::Frame;

use snapshots::Piece;

pub(crate) use fetching::Fetching;
pub(crate) use rosters::have_frames;
pub(crate) use snapshots::Arriving;
pub(crate) use vectors::Coming;

/// How often a peer's state may make us ask, and its list make us answer: a burst, then one for
/// each stretch of time. Honest peers tell at most once in `Replicator::tell_after`.
const ASKS_BURST: u64 = 32;
const ASKS_EVERY: Duration = Duration(250);

impl Replicator {
    // -- connections --------------------------------------------------------------------------

    pub(crate) fn connected(&mut self, device: DeviceKey) {
        let now = self.now.instant;
        self.vain.retain(|device, vain| self.sessions.contains_key(device) || !vain.is_even(now));
        let salt = self.random.next_u32();
        self.sessions.insert(device, Session::new(salt));
        self.out.notify(crate::command::Notice::PeerChanged { device, connected: true });
        self.greet(device);
        self.knock(device);
        self.show_code(device);
        self.seek_home_at(device);
        self.seek(device);
        self.ask_anew();
        self.schedule_comparison();
    }

    pub(crate) fn disconnected(&mut self, device: DeviceKey) {
        self.note_parting(device);
        self.arriving.take_if(|arriving| arriving.from == device);
        if let Some(session) = self.sessions.remove(&device) {
            self.lose_presence(session.seen.places());
            for id in session.shared.into_keys() {
                self.note_standing(id, Some(device));
            }
            self.lose_answers(device);
            if self.is_fellow(device) {
                self.search_soon();
            }
            self.out.notify(crate::command::Notice::PeerChanged { device, connected: false });
            self.stop_fetching(device);
            self.not_spared(device, |_| true);
        }
    }

    /// Gossip to us was dropped: what it carried is asked for.
    pub(crate) fn missed(&mut self, device: DeviceKey) {
        self.tell(device, true);
        self.tell_requests(device, true);
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
            Frame::State { number, state } => self.their_state(from, number, state),
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
            Frame::Quiet(quiet) => self.their_quiet(from, quiet),
            Frame::Acks { entity, document, waits, acks } => {
                self.their_acks(from, entity, document, waits, &acks);
            }
            Frame::Checkpoint { entity, document, checkpoint, signatures } => {
                self.their_checkpoint(from, (entity, document), &checkpoint, &signatures);
            }
            Frame::SnapshotPart { entity, document, name, part, of, bytes } => {
                self.their_part(from, (entity, document), Piece { name, part, of, bytes });
            }
            Frame::Presence(sealed) => self.their_presence(from, &sealed),
            Frame::Spare { entity, number, documents, says } => {
                self.their_spare(from, (entity, number), documents, says);
            }
        }
    }

    // -- greeting -----------------------------------------------------------------------------

    /// Greets a peer with every entity we are in; it recognises those it is in too.
    fn greet(&mut self, device: DeviceKey) {
        if self.me.is_some() {
            let greetings = self.greetings_for(device).into_iter().collect();
            self.out.send(device, &Frame::Hello(greetings));
        }
    }

    fn hello(&mut self, from: DeviceKey, greetings: Vec<Greeting>) {
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
        for entity in &shared {
            self.call_unread(*entity);
            self.load_documents(*entity);
        }
        self.tell(device, false);
        self.tell_requests(device, false);
        self.tell_all_acks(device);
        for entity in shared {
            self.note_standing(entity, Some(device));
        }
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
}

/// What both share of an entity, if the peer has shown that it holds the secret.
pub(crate) fn shared(
    sessions: &mut BTreeMap<DeviceKey, Session>,
    device: DeviceKey,
    entity: EntityId,
) -> Option<&mut Shared> {
    sessions.get_mut(&device)?.shared.get_mut(&entity)
}
