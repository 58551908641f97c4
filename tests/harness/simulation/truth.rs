//! What is rightly so, read from statements and envelopes alone: whose words count, and for whom.
//!
//! The checkers ask it where something looks broken, and where the end is judged. It reads the
//! roster anew from statements that nodes stored, and never asks a running machine.

use std::collections::BTreeSet;

use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{DeviceKey, EntityId, LogId};
use fourword_protocol::record::{Page, Query};
use fourword_protocol::roster::{Body, Role, Roster, Statement};
use fourword_protocol::schema::chat::MessageId;
use fourword_storage::Store;

use super::world::World;
use crate::cluster::Cluster;
use crate::insider::{envelopes, roster_from};

/// The roster of an entity as a node's disk has it.
pub(super) fn roster(c: &Cluster, name: &str, entity: EntityId) -> Option<Roster> {
    let remembered = c.remembered(name).statements;
    roster_from(remembered.iter().filter(|(of, ..)| *of == entity).map(|(_, _, bytes)| bytes))
}

/// Whether what an envelope writes counts for nobody who knows this roster.
pub(super) fn is_void(roster: &Roster, envelope: &Envelope) -> bool {
    let header = &envelope.header;
    let role = roster.role_at(&header.log.device, &header.heads, Some((&header.log, header.sequence)));
    role.is_none_or(|role| role < Role::Member)
}

/// How often a device, or the person whose it is, was let in.
pub(super) fn lettings_in(roster: &Roster, device: &DeviceKey) -> usize {
    let person = roster.person_of(device);
    let statements = roster.ids().filter_map(|id| roster.statement(&id));
    let lets_in = |statement: &Statement| match statement.body() {
        Body::Add { certificate, .. } | Body::AcceptInvite { certificate, .. } => {
            Some(certificate.person.id()) == person
        }
        Body::Certify { device: card } => card.key == *device,
        _ => false,
    };
    statements.filter(|statement| lets_in(statement)).count()
}

/// The envelope at a position of a log, as a node's disk has it.
pub(super) fn envelope_at(c: &Cluster, name: &str, log: &LogId, sequence: u64) -> Option<Envelope> {
    let query = Query::Log { log: *log, after: sequence - 1, bytes_max: 1, except: Vec::new() };
    let Ok(Page::Envelopes { envelopes, .. }) = c.node(name).disk.store.read(&query) else { return None };
    let first = Envelope::read(envelopes.first()?).ok()?;
    (first.header.sequence == sequence).then_some(first)
}

/// Whether a message that was deleted may be shown again: whoever asked for that was put out
/// before it was known, so that nothing it wrote then counts.
pub(super) fn deletion_is_void(
    c: &Cluster,
    world: &World,
    name: &str,
    group: usize,
    message: &MessageId,
) -> bool {
    let Some(entity) = world.groups.get(world.root_of(group)).map(|root| root.id) else { return false };
    let Some(roster) = roster(c, name, entity) else { return false };
    let Some(doomers) = world.doomed.get(message) else { return true };
    let is_doomers = |device: &DeviceKey| {
        let nodes = world.devices.get(device).into_iter().flatten();
        let owners: BTreeSet<usize> = nodes.filter_map(|node| world.owner(node)).collect();
        owners.iter().any(|owner| doomers.contains(owner))
    };
    let theirs: Vec<Envelope> =
        envelopes(c, name, entity).into_iter().filter(|e| is_doomers(&e.header.log.device)).collect();
    theirs.is_empty() || theirs.iter().any(|envelope| is_void(&roster, envelope))
}
