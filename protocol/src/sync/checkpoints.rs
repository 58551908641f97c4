//! Passes on which checkpoints devices found and signed.
//!
//! A device tells what it has just found, and whoever waits for a fold is told what is known. What a
//! peer shows and is not known here is kept for `stability` to look at: one for each peer, so that
//! nobody can displace what others propose. Invariant: a signature counts for nothing before it was
//! checked, and nothing is sent twice in a connection.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{self, Checkpoint, Signatures, Signed, covers};
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId};
use crate::limits::{CHECKPOINT_SIGNATURES_MAX, FRAME_LOGS_MAX, WANTED_LOGS_MAX};
use crate::outbox::local;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::session::{AcksKnown, Session};
use crate::stability::COUNTERSIGNED;
use crate::time::Duration;
use crate::wire::Frame;

use super::quiet::is_common;
use super::shared;

/// How often a peer may show a checkpoint of one document: a burst, then one for each stretch of time.
const SHOWINGS_BURST: u64 = 64;
const SHOWINGS_EVERY: Duration = Duration::from_secs(1);

const SAID: &str = "fourword v1 quiet checkpoint";

impl Replicator {
    /// Tells everybody the checkpoint that is known here, since it is new.
    pub(crate) fn tell_checkpoint_to_all(&mut self, id: EntityId, document: DocumentKey) {
        let sharing = self.sessions.iter().filter(|(_, session)| session.shared.contains_key(&id));
        for device in sharing.map(|(device, _)| *device).collect::<Vec<_>>() {
            self.tell_checkpoint(device, id, document, true);
        }
    }

    /// Tells a peer the checkpoint that is known here, if it lacks any signature of it and either
    /// side waits, or in any case.
    pub(super) fn tell_checkpoint(&mut self, to: DeviceKey, id: EntityId, document: DocumentKey, must: bool) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(replica) = entity.replicas.get(&document) else { return };
        if entity.member(me).is_none() || entity.member(to).is_none() {
            return;
        }
        if replica.stability.has_stopped(&to) {
            return;
        }
        let shared = shared(&mut self.sessions, to, id);
        let Some(shared) = shared.filter(|shared| is_common(replica, shared)) else { return };
        let known = shared.acks.entry(document).or_default();
        if !(must || replica.waits() || known.waits) {
            return;
        }
        let Some(signed) = replica.known_checkpoint() else { return };
        if known.notes(signed.name, &signed.signatures) {
            known.told_checkpoint = Some(said(&signed.name, signed.signatures.keys()));
            self.out.send(to, &frame(id, document, &signed));
        }
    }

    /// Tells a peer the checkpoint of our snapshot, whatever was told before.
    pub(super) fn tell_base(&mut self, to: DeviceKey, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get(&id).and_then(|entity| entity.replicas.get(&document));
        let Some(signed) = replica.and_then(|replica| replica.base.as_ref()?.signed()) else { return };
        if let Some(shared) = shared(&mut self.sessions, to, id) {
            let known = shared.acks.entry(document).or_default();
            known.notes(signed.name, &signed.signatures);
            known.told_checkpoint = Some(said(&signed.name, signed.signatures.keys()));
            self.out.send(to, &frame(id, document, &signed));
        }
    }

    /// A peer shows a checkpoint.
    pub(super) fn their_checkpoint(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        bytes: &[u8],
        signatures: &[(DeviceKey, Vec<u8>)],
    ) {
        let now = self.now.instant;
        if signatures.len() > CHECKPOINT_SIGNATURES_MAX {
            return self.blame(from, "too many signatures");
        }
        let Some(entity) = self.entities.get(&id).filter(|entity| entity.member(from).is_some()) else {
            return self.drop_counted("checkpoint of a stranger");
        };
        let Some(replica) = entity.replicas.get(&document) else { return };
        let Some(known) = acks_known(&mut self.sessions, from, (id, document)) else { return };
        if !known.showings.take(now, SHOWINGS_BURST, SHOWINGS_EVERY) {
            return self.drop_counted("checkpoint shown too often");
        }
        let of_it = |found: &Checkpoint| (found.entity, found.document) == (id, document);
        let Some(found) = Checkpoint::read(bytes).ok().filter(of_it) else {
            return self.blame(from, "malformed checkpoint");
        };
        let beyond = logs_beyond(replica, &found);
        if beyond > 0 && beyond.saturating_add(self.shown_beyond(from, (id, document))) > FRAME_LOGS_MAX {
            return self.drop_counted("checkpoint of too many logs");
        }
        let mut signed = Signed::new(found);
        let Some(known) = acks_known(&mut self.sessions, from, (id, document)) else { return };
        known.heard_checkpoint = Some(said(&signed.name, signatures.iter().map(|(device, _)| device)));
        let is_told = replica.known_checkpoint().is_some_and(|known| known.name == signed.name);
        let Some(checked) = self.check((id, document), &signed, signatures) else {
            return self.blame(from, "checkpoint signature");
        };
        if checked.is_empty() {
            return self.drop_counted("checkpoint that nobody signed");
        }
        signed.signatures = checked;
        if let Some(known) = acks_known(&mut self.sessions, from, (id, document)).filter(|_| is_told) {
            known.notes(signed.name, &signed.signatures);
        }
        self.take_checkpoint(from, (id, document), signed);
    }

    /// How many logs beyond those that any may name the checkpoints have that a peer shows of other documents.
    fn shown_beyond(&self, from: DeviceKey, except: (EntityId, DocumentKey)) -> usize {
        let shared = self.sessions.get(&from).into_iter().flat_map(|session| &session.shared);
        let shown = shared.flat_map(|(id, shared)| {
            let entity = self.entities.get(id);
            shared.acks.iter().filter(move |(document, _)| (*id, **document) != except).filter_map(
                move |(document, acks)| {
                    Some(logs_beyond(entity?.replicas.get(document)?, &acks.shown.as_ref()?.checkpoint))
                },
            )
        });
        shown.fold(0, usize::saturating_add)
    }

    /// The signatures that devices of people made who are or were members; nothing if one is not what
    /// it says. What was checked once is not checked again, whoever shows it: in a group of n each
    /// device is shown the signatures of n by n.
    fn check(
        &self,
        (id, document): (EntityId, DocumentKey),
        signed: &Signed,
        signatures: &[(DeviceKey, Vec<u8>)],
    ) -> Option<Signatures> {
        let entity = self.entities.get(&id)?;
        let proven = self.proven(entity, document, &signed.name);
        let mut checked = Signatures::new();
        for (device, signature) in signatures {
            let signature = <[u8; 64]>::try_from(signature.as_slice()).ok()?;
            // What somebody found who has left since was found; but a stolen device finds anything.
            if entity.roster.person_of(device).is_none() || entity.roster.was_revoked(device) {
                continue;
            }
            let is_known = proven.iter().any(|proven| proven.get(device) == Some(&signature));
            if !is_known && !checkpoint::is_signed(&signed.name, device, &signature) {
                return None;
            }
            checked.insert(*device, signature);
        }
        Some(checked)
    }

    /// The signatures of a checkpoint that were checked already.
    fn proven<'a>(&'a self, entity: &'a Entity, document: DocumentKey, name: &Digest) -> Vec<&'a Signatures> {
        let replica = entity.replicas.get(&document);
        let base = replica.and_then(|replica| replica.base.as_ref()?.signatures_of(name));
        let open = replica.and_then(|replica| Some(&replica.checkpoints.open.as_ref()?.signed));
        let unconfirmed = replica.and_then(|replica| Some(&replica.unconfirmed.as_ref()?.signed));
        let shown = self
            .sessions
            .values()
            .filter_map(|session| session.shared.get(&entity.id)?.acks.get(&document)?.shown.as_ref());
        let vouched = open.into_iter().chain(unconfirmed).chain(shown);
        let named = vouched.filter(|signed| signed.name == *name).map(|signed| &signed.signatures);
        base.into_iter().chain(named).collect()
    }

    /// Takes a checkpoint whose signatures were checked.
    fn take_checkpoint(&mut self, from: DeviceKey, (id, document): (EntityId, DocumentKey), signed: Signed) {
        let replica = self.entities.get_mut(&id).and_then(|entity| entity.replicas.get_mut(&document));
        let Some(replica) = replica else { return };
        let mut is_behind = false;
        if let Some(open) = replica.checkpoints.open.as_mut().filter(|open| open.signed.name == signed.name) {
            open.signed.join(&signed.signatures);
        }
        if let Some(base) = replica.base.as_mut() {
            if base.is_named(&signed.name) {
                if base.join(&signed.signatures) {
                    let value = Some(base.write_signatures());
                    self.out.write(vec![local(COUNTERSIGNED, &document.0, value)], Vec::new());
                }
                return;
            }
            let vector = signed.checkpoint.vector();
            is_behind = vector != base.covers && covers(&base.covers, &vector);
        }
        if let Some(unconfirmed) = replica.unconfirmed.as_mut().filter(|u| u.signed.name == signed.name) {
            unconfirmed.signed.join(&signed.signatures);
        }
        if is_behind {
            // It may be waiting for what was found here already.
            return self.tell_checkpoint(from, id, document, true);
        }
        if let Some(shared) = shared(&mut self.sessions, from, id) {
            shared.acks.entry(document).or_default().shown = Some(signed);
        }
        self.confirm(id, document);
        // What it found can only be found again in memory.
        self.call(id, document);
        self.look_to(id, document);
    }
}

impl Replica {
    /// The checkpoint that others are told: what was found last, else that of the snapshot.
    fn known_checkpoint(&self) -> Option<Signed> {
        let open = self.checkpoints.open.as_ref().map(|open| open.signed.clone());
        open.or_else(|| self.base.as_ref()?.signed())
    }
}

impl AcksKnown {
    /// Notes that the peer knows these signatures of the checkpoint that is told here. True if that is
    /// new.
    fn notes(&mut self, name: Digest, signatures: &Signatures) -> bool {
        let (_, of) = match &mut self.passed {
            Some(passed) if passed.0 == name => passed,
            passed => passed.insert((name, BTreeSet::new())),
        };
        let before = of.len();
        of.extend(signatures.keys());
        of.len() > before
    }
}

/// What is known of a peer's acknowledgements and checkpoints of a document.
fn acks_known(
    sessions: &mut BTreeMap<DeviceKey, Session>,
    peer: DeviceKey,
    (id, document): (EntityId, DocumentKey),
) -> Option<&mut AcksKnown> {
    Some(shared(sessions, peer, id)?.acks.entry(document).or_default())
}

/// Names what a Checkpoint says, for both sides to compare.
fn said<'a>(name: &Digest, devices: impl Iterator<Item = &'a DeviceKey>) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(SAID);
    hasher.update(&name.0);
    for device in devices {
        hasher.update(&device.0);
    }
    Digest(*hasher.finalize().as_bytes())
}

fn frame(entity: EntityId, document: DocumentKey, signed: &Signed) -> Frame {
    let signatures = signed.signatures.iter().map(|(device, signature)| (*device, signature.to_vec()));
    let signatures = signatures.collect();
    Frame::Checkpoint { entity, document, checkpoint: signed.checkpoint.encode(), signatures }
}

/// How many logs more a checkpoint names than are held here, besides those that any may name. It takes memory
/// from when it is shown until its snapshot was taken, and whoever shows it may be hostile.
fn logs_beyond(replica: &Replica, shown: &Checkpoint) -> usize {
    let held = replica.heads.len().saturating_add(WANTED_LOGS_MAX);
    shown.logs.len().saturating_sub(held)
}
