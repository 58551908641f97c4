//! Compares everything with a peer now and then by one digest, and mends what it finds.
//!
//! Whatever was lost, doubled or came out of turn on a live connection leaves the two with different
//! ideas of what was said or of what they hold, and so with different digests: then both greet, tell
//! and ask anew. Invariant: between two that agree, one small frame each way is all that is sent in
//! each interval, and nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use crate::entity::Entity;
use crate::epoch::Greeting;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId};
use crate::limits::GREETING_ENTITIES_MAX;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::session::Shared;
use crate::time::{Duration, Instant};
use crate::wire::{Frame, Quiet, State};

use super::shared;

const STATE: &str = "fourword v1 quiet state";
const ACKS: &str = "fourword v1 quiet acks";
const REQUESTS: &str = "fourword v1 quiet requests";

/// How often a peer may compare: a burst, then one for each stretch of time.
const QUIETS_BURST: u64 = 8;
const QUIETS_EVERY: Duration = Duration::from_secs(5);

impl Replicator {
    /// Has itself woken for the next comparison: at a random moment, so that nodes which began
    /// together do not compare together.
    pub(super) fn schedule_comparison(&mut self) {
        let Some(every) = self.compare_every.filter(|_| !self.sessions.is_empty()) else { return };
        let at: Instant = *self.compare_at.get_or_insert_with(|| {
            let spread = self.random.next_u64() % every.0.max(1);
            self.now.instant + every + Duration(spread)
        });
        self.out.wake_at(at);
    }

    /// Compares with everybody, if it is time.
    pub(super) fn compare_when_due(&mut self) {
        if self.compare_at.is_some_and(|at| at <= self.now.instant) {
            self.compare_at = None;
            for id in self.requests.keys().copied().collect::<Vec<EntityId>>() {
                self.tidy_requests(id);
            }
            for device in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.send_quiet(device, false);
            }
        }
        self.schedule_comparison();
    }

    pub(crate) fn send_quiet(&mut self, to: DeviceKey, answers: bool) {
        if let Some(quiet) = self.quiet(to, answers) {
            self.out.send(to, &Frame::Quiet(quiet));
        }
    }

    /// A peer compares: where the two agree there is nothing to say.
    pub(super) fn their_quiet(&mut self, from: DeviceKey, theirs: Quiet) {
        let now = self.now.instant;
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.quiets.take(now, QUIETS_BURST, QUIETS_EVERY) {
            return self.drop_counted("compared too often");
        }
        if session.shared.values().any(|shared| shared.is_before_last(theirs.told)) {
            return self.drop_counted("comparison that is older than a state");
        }
        let Some(ours) = self.quiet(from, theirs.answers) else { return };
        // While one knows of another's keeping what the other does not, not all was compared.
        if (ours.state, ours.acks) == (theirs.state, theirs.acks) {
            self.note_agreement(from);
        }
        let agrees = (ours.state, ours.requests, ours.acks) == (theirs.state, theirs.requests, theirs.acks);
        if agrees {
            return;
        }
        if !theirs.answers {
            self.send_quiet(from, true);
        }
        if ours.state != theirs.state {
            self.begin_anew(from);
        }
        if ours.requests != theirs.requests {
            self.tell_requests(from, true);
        }
        if ours.acks != theirs.acks {
            self.forget_told_acks(from);
            if theirs.answers {
                // What is told there follows the answer. Who began to compare may find by ours that the two
                // had crossed, and tells nothing again.
                let session = self.sessions.get_mut(&from);
                let shared = session.into_iter().flat_map(|session| session.shared.values_mut());
                shared.for_each(Shared::forget_heard_checkpoints);
            }
            self.tell_all_acks(from);
        }
    }

    /// A peer stands with everything as we do: what it told before may be older than that, where
    /// what it told since was lost.
    fn note_agreement(&mut self, device: DeviceKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(session) = self.sessions.get_mut(&device) else { return };
        let mut wanted = Vec::new();
        for (id, shared) in &mut session.shared {
            let both_in =
                |entity: &&mut Entity| entity.member(me).is_some() && entity.member(device).is_some();
            let Some(entity) = self.entities.get_mut(id).filter(both_in) else { continue };
            let mut agreed = entity.state_for(&device, shared);
            // What only one of the two keeps was not compared.
            let before = shared.theirs.take().map(|state| state.documents).unwrap_or_default();
            let is_apart = |document: &DocumentKey| match entity.replicas.get(document) {
                None => true,
                Some(replica) => replica.concern.opens_by_name() && agreed.of(*document).is_none(),
            };
            let apart: Vec<_> = before.into_iter().filter(|theirs| is_apart(&theirs.document)).collect();
            agreed.documents.extend(apart);
            agreed.documents.sort_by_key(|theirs| theirs.document);
            shared.theirs = Some(agreed);
            for replica in entity.replicas.values_mut().filter(|replica| is_common(replica, shared)) {
                if !replica.stability.has_stopped(&device) && replica.wants.clear(&device) {
                    wanted.push(*id);
                }
            }
        }
        for id in wanted {
            self.touch(id);
        }
    }

    /// Greets, tells and asks as if the peer had connected just now.
    fn begin_anew(&mut self, device: DeviceKey) {
        self.greet(device);
        self.tell(device, true);
        let Some(session) = self.sessions.get(&device) else { return };
        let shared: Vec<EntityId> = session.shared.keys().copied().collect();
        for id in shared {
            let hanging = self.drop_hanging(device, id);
            self.compare(device, id);
            for document in hanging {
                self.next_page(device, id, document);
            }
        }
    }

    /// Gives up pages that hang: what was sent last, or the peer's request for more, was lost.
    fn drop_hanging(&mut self, device: DeviceKey, id: EntityId) -> Vec<DocumentKey> {
        shared(&mut self.sessions, device, id).map(Shared::drop_hanging).unwrap_or_default()
    }

    /// What both sides should have in common. It names greetings in the order of the two devices,
    /// so that either computes the same.
    fn quiet(&self, device: DeviceKey, answers: bool) -> Option<Quiet> {
        let me = self.me.as_ref()?.key();
        let session = self.sessions.get(&device)?;
        let (ours, theirs) = (self.greetings_for(device), &session.greetings);
        let mut state = blake3::Hasher::new_derive_key(STATE);
        let mut requests = blake3::Hasher::new_derive_key(REQUESTS);
        let mut acks = blake3::Hasher::new_derive_key(ACKS);
        for greetings in if me < device { [&ours, theirs] } else { [theirs, &ours] } {
            count(&mut state, greetings.len());
            for greeting in greetings {
                state.update(greeting);
            }
        }
        let shared = session.shared.iter();
        for (entity, shared) in shared.filter_map(|(id, shared)| Some((self.entities.get(id)?, shared))) {
            let both_in = entity.member(me).is_some() && entity.member(device).is_some();
            stand(&mut state, entity, shared, (me, device), both_in);
            if both_in {
                self.keep_of(&mut requests, entity);
                waited_for(&mut acks, entity, shared, (me, device));
            }
        }
        let digest = |hasher: blake3::Hasher| Digest(*hasher.finalize().as_bytes());
        let (state, requests, acks) = (digest(state), digest(requests), digest(acks));
        Some(Quiet { state, requests, acks, answers, told: session.told })
    }

    /// The greetings that a device is sent.
    pub(super) fn greetings_for(&self, device: DeviceKey) -> BTreeSet<Greeting> {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return BTreeSet::new() };
        let secrets = self.entities.values().filter_map(|e| e.secret.as_ref());
        secrets.map(|secret| secret.greeting(me, device)).take(GREETING_ENTITIES_MAX).collect()
    }

    /// Adds who asks to be let in, and who was turned away.
    fn keep_of(&self, hasher: &mut blake3::Hasher, entity: &Entity) {
        hasher.update(&entity.id.0);
        let kept = self.requests.get(&entity.id);
        let requests = kept.into_iter().flat_map(|kept| kept.requests()).map(|request| request.bytes());
        let denials = kept.into_iter().flat_map(|kept| kept.denials()).map(|denial| denial.bytes());
        for names in [hashes(requests), hashes(denials)] {
            count(hasher, names.len());
            for name in names {
                hasher.update(&name);
            }
        }
    }
}

impl Entity {
    /// How this replica stands in what a peer keeps too.
    fn state_for(&self, device: &DeviceKey, shared: &Shared) -> State {
        let mut state = self.state();
        state.documents.retain(|ours| {
            let replica = self.replicas.get(&ours.document);
            replica
                .is_none_or(|replica| self.stop_of(replica, device).is_none() && is_common(replica, shared))
        });
        state
    }
}

/// Whether a document is kept by a peer too, as far as it depends on both having named it.
pub(super) fn is_common(replica: &Replica, shared: &Shared) -> bool {
    let names = |state: &Option<State>| state.as_ref().is_some_and(|state| state.of(replica.key).is_some());
    !replica.concern.opens_by_name() || (names(&shared.told) && names(&shared.theirs))
}

/// Adds how an entity stands: all that both keep for members, else who is in alone; and which documents
/// only one of the two has named, so that it shows where the naming was lost.
fn stand(
    hasher: &mut blake3::Hasher,
    entity: &Entity,
    shared: &Shared,
    (me, peer): (DeviceKey, DeviceKey),
    both_in: bool,
) {
    let state = entity.state_for(&peer, shared);
    hasher.update(&entity.id.0).update(&state.roster.0);
    let documents = if both_in { state.documents } else { Vec::new() };
    let [ours, theirs] = [&shared.told, &shared.theirs];
    for (by, other) in
        if me < peer { [(ours, theirs), (theirs, ours)] } else { [(theirs, ours), (ours, theirs)] }
    {
        let apart = by.iter().flat_map(|by| &by.documents).filter(|stands| {
            both_in && other.as_ref().is_some_and(|other| other.of(stands.document).is_none())
        });
        let apart: Vec<DocumentKey> = apart.map(|stands| stands.document).collect();
        count(hasher, apart.len());
        for document in apart {
            hasher.update(&document.0);
        }
    }
    count(hasher, documents.len());
    for document in documents {
        let content = document.content.unwrap_or(Digest([0; 32]));
        hasher.update(&document.document.0).update(&document.vector.0).update(&content.0);
    }
}

/// Adds which acknowledgements are known of documents that wait for some at either of two, and which
/// checkpoint each of the two told the other last. What each found is its own, and may differ for as
/// long as one awaits somebody whom the other does not. Of documents for which nothing waits only those
/// are named who keep them no longer, and of what one of the two does not keep that one alone.
fn waited_for(
    hasher: &mut blake3::Hasher,
    entity: &Entity,
    shared: &Shared,
    (me, peer): (DeviceKey, DeviceKey),
) {
    let mut documents: BTreeMap<DocumentKey, (Numbers, bool)> = BTreeMap::new();
    for replica in entity.documents().filter(|replica| is_common(replica, shared)) {
        let waits_there = shared.acks.get(&replica.key).is_some_and(|known| known.waits);
        let stop_there = entity.stop_of(replica, &peer);
        let waits = stop_there.is_none() && (replica.waits() || waits_there);
        let devices = entity.roster.reading().devices().map(|(device, _)| device);
        let numbers: Numbers = match stop_there {
            Some(number) => Numbers::from([(peer, number)]),
            None if waits => devices.filter_map(|d| Some((d, replica.stability.number_of(&d)?))).collect(),
            None => devices.filter_map(|d| Some((d, entity.stop_of(replica, &d)?))).collect(),
        };
        if waits || !numbers.is_empty() {
            documents.insert(replica.key, (numbers, waits));
        }
    }
    for (document, stopped) in entity.dropped() {
        // A peer that has dropped it too is none of those who wait.
        if shared.acks.get(document).is_none_or(|known| known.stopped.is_none()) {
            documents.insert(*document, (Numbers::from([(me, stopped.ack.number)]), false));
        }
    }
    hasher.update(&entity.id.0);
    for (document, (numbers, waits)) in documents {
        hasher.update(&document.0);
        count(hasher, numbers.len());
        for (device, number) in numbers {
            hasher.update(&device.0).update(&number.to_be_bytes());
        }
        let known = shared.acks.get(&document).filter(|_| waits);
        let (told, heard) = known.map(|k| (k.told_checkpoint, k.heard_checkpoint)).unwrap_or_default();
        for said in if me < peer { [told, heard] } else { [heard, told] } {
            hasher.update(&said.unwrap_or(Digest([0; 32])).0);
        }
    }
}

/// The numbers of acknowledgements by the devices that made them.
type Numbers = BTreeMap<DeviceKey, u64>;

fn hashes<'a>(of: impl Iterator<Item = &'a [u8]>) -> BTreeSet<[u8; 32]> {
    of.map(|bytes| *blake3::hash(bytes).as_bytes()).collect()
}

fn count(hasher: &mut blake3::Hasher, count: usize) {
    hasher.update(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
}
