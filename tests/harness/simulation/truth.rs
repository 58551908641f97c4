//! What is rightly so, read from statements and envelopes alone: whose words count, and for whom.
//!
//! The checkers ask it where something looks broken, and where the end is judged. It reads the
//! roster anew from statements that nodes stored, and never asks a running machine.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{DeviceKey, LogId, PersonId, StatementId};
use fourword_protocol::record::{Page, Query};
use fourword_protocol::roster::{Body, Role, Roster, Statement};
use fourword_protocol::schema::key;
use fourword_protocol::schema::thing::ThingId;
use fourword_storage::Store;

use super::rosters::Rosters;
use super::world::World;
use crate::cluster::Cluster;
use crate::insider::envelopes;

/// Who wrote an envelope, and under which role, for who knows this roster.
fn author_of(roster: &Roster, envelope: &Envelope) -> Option<(PersonId, Role)> {
    let header = &envelope.header;
    roster.author_at(&header.log.device, &header.heads, Some((&header.log, header.sequence)))
}

/// Whether an envelope's author had the right to write, for who knows this roster.
pub(super) fn may_write(roster: &Roster, envelope: &Envelope) -> bool {
    author_of(roster, envelope).is_some_and(|(_, role)| role >= Role::Member)
}

/// Whether a message or a thing that an envelope writes counts for nobody who knows this roster: its author
/// had no right to write, or was somebody else than it took itself for. A device that was linked is
/// another person's from then on, where what had let it in before no longer counts.
pub(super) fn is_void(roster: &Roster, envelope: &Envelope, thing: &ThingId) -> bool {
    author_of(roster, envelope)
        .is_none_or(|(person, role)| role < Role::Member || key::owner(&person) != thing.owner)
}

/// Whether an envelope that deletes something counts: one's own, or anybody's for an admin.
pub(super) fn deletes(world: &World, roster: &Roster, envelope: &Envelope, thing: &ThingId) -> bool {
    author_of(roster, envelope).is_some_and(|(person, role)| {
        let is_own = key::owner(&person) == thing.owner || world.is_anybodys(thing);
        role >= if is_own { Role::Member } else { Role::Admin }
    })
}

/// Whether somebody who knew that a device had been put out sealed an epoch to it all the same,
/// because it was in again: it was let in anew, or what had put it out no longer counted.
pub(super) fn was_let_in_again(
    rosters: &Rosters,
    knew: &Roster,
    roster: &Roster,
    (epoch, device): (&StatementId, &DeviceKey),
) -> bool {
    let cutting = knew.cutting();
    let against: BTreeSet<_> = cutting.iter().filter(|act| knew.cuts_logs_of(act, device)).collect();
    let closes = |id: &StatementId| {
        let closing = knew.statement(id).is_some_and(|s| matches!(s.body(), Body::CloseInvite { .. }));
        closing && !knew.reading().ignored.contains_key(id)
    };
    let put_out = |id: &StatementId| match against.is_empty() {
        false => against.contains(id),
        // It came by somebody who was put out, or by an invite that was closed.
        true => cutting.contains(id) || closes(id),
    };
    let seals = roster.ids().filter_map(|id| roster.statement(&id)).filter(|statement| {
        let (of, seals) = match statement.body() {
            Body::Epoch { seals, .. } => (statement.id(), seals),
            Body::SealKey { epoch, seals } => (*epoch, seals),
            _ => return false,
        };
        of == *epoch && seals.iter().any(|seal| seal.device == *device)
    });
    seals.map(|statement| past_of(roster, statement)).any(|past| {
        let knowing = rosters.of(roster.entity(), past.iter().copied());
        past.iter().any(put_out) && knowing.is_some_and(|then| then.reading().member_of(device).is_some())
    })
}

/// Every statement that the author of one knew.
fn past_of(roster: &Roster, statement: &Statement) -> BTreeSet<StatementId> {
    let mut past = BTreeSet::new();
    let mut next = statement.parents().to_vec();
    while let Some(id) = next.pop() {
        if past.insert(id) {
            next.extend(roster.statement(&id).into_iter().flat_map(Statement::parents));
        }
    }
    past
}

/// The envelope at a position of a log, as a node's disk has it, or as it was when people were told
/// that it is saved.
pub(super) fn envelope_at(
    c: &Cluster,
    promised: &BTreeMap<(LogId, u64), Envelope>,
    name: &str,
    (log, sequence): (&LogId, u64),
) -> Option<Envelope> {
    if sequence <= c.node(name).disk.store.covered(log) {
        return promised.get(&(*log, sequence)).cloned();
    }
    let query = Query::Log { log: *log, after: sequence - 1, bytes_max: 1, except: Vec::new() };
    let Ok(Page::Envelopes { envelopes, .. }) = c.node(name).disk.store.read(&query) else { return None };
    let first = Envelope::read(envelopes.first()?).ok()?;
    (first.header.sequence == sequence).then_some(first)
}

/// Whether what was deleted may be shown again: whoever asked for that was put out
/// before it was known, so that nothing it wrote then counts.
pub(super) fn deletion_is_void(
    c: &Cluster,
    world: &World,
    name: &str,
    roster: &Roster,
    thing: &ThingId,
) -> bool {
    let Some(doomers) = world.doomed.get(thing) else { return true };
    let is_doomers = |device: &DeviceKey| {
        let nodes = world.devices.get(device).into_iter().flatten();
        let owners: BTreeSet<usize> = nodes.filter_map(|node| world.owner(node)).collect();
        owners.iter().any(|owner| doomers.contains(owner))
    };
    let theirs: Vec<Envelope> = envelopes(c, name, roster.entity())
        .into_iter()
        .filter(|e| is_doomers(&e.header.log.device))
        .collect();
    theirs.is_empty() || theirs.iter().any(|envelope| !deletes(world, roster, envelope, thing))
}
