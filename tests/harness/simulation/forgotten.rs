//! What nodes say that they hold for good, and what they forget because others said so.
//!
//! Acknowledgements are read from the frames that leave a machine and held against its disk; what
//! a machine has pruned is held against the disks of all who were awaited. Invariant: what a device
//! has said was found true when it said it, so it may be counted later although its home is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::acknowledgement::{Acknowledgement, Positions};
use fourword_protocol::effect::Effect;
use fourword_protocol::ids::{DeviceKey, DocumentKey, EntityId, LogId};
use fourword_protocol::roster::Roster;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::wire::{Frame, kind_of};

use super::check::{Checker, is_stored};
use super::truth;
use super::verdict::{Rule, Violation, demand};
use super::world::World;
use crate::cluster::{Cluster, Happened};

/// What was said, and what was forgotten.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// How far each device truly said that it holds logs.
    said: BTreeMap<DeviceKey, Positions>,
    /// Acknowledgements that were found true.
    found: BTreeSet<Vec<u8>>,
    /// Which devices said of which documents that they keep them no longer.
    stopped: BTreeSet<(DeviceKey, DocumentKey)>,
    /// What each home has pruned.
    pruned: BTreeMap<String, BTreeSet<ThingId>>,
    /// The envelopes that flagged what was pruned: who has folded them knows no more which they were.
    flags: BTreeMap<ThingId, BTreeSet<(LogId, u64)>>,
    /// The frontiers of each run.
    frontiers: BTreeMap<(String, u64, DocumentKey), Positions>,
    /// What was within a node's frontier while it did not wait for a device: before it knew of it, while it
    /// had lapsed, and while it did not keep the document.
    without: BTreeMap<(String, DocumentKey), Without>,
}

/// What was within a frontier while it did not wait for devices.
#[derive(Debug, Default)]
struct Without {
    /// By which roster it was looked at last.
    roster: Option<Rc<Roster>>,
    held: BTreeMap<DeviceKey, Positions>,
}

impl Forgotten {
    /// Looks at what a machine sends: an acknowledgement of its own names what its disk holds.
    pub(super) fn heard(&mut self, c: &Cluster, h: &Happened) -> Result<(), Violation> {
        let Some(own) = c.device(&h.name) else { return Ok(()) };
        for effect in &h.effects {
            let Effect::Send(_, bytes) = effect else { continue };
            if kind_of(bytes) != "acks" {
                continue;
            }
            let Ok(Frame::Acks { acks, .. }) = Frame::decode(bytes) else { continue };
            let acks = acks.into_iter().filter(|bytes| !self.found.contains(bytes));
            for ack in acks.filter_map(|bytes| Acknowledgement::read(&bytes).ok()).collect::<Vec<_>>() {
                if ack.device == own {
                    self.judge(c, &h.name, &ack)?;
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, c: &Cluster, name: &str, ack: &Acknowledgement) -> Result<(), Violation> {
        if ack.stops {
            self.stopped.insert((ack.device, ack.document));
        }
        let said = self.said.entry(ack.device).or_default();
        for (log, sequence) in &ack.positions {
            demand(is_stored(c, name, log, *sequence), Rule::AckIsTrue, || {
                format!(
                    "{name} acknowledges {sequence} of a log of {:?}, which its disk does not hold",
                    c.nodes.keys().find(|of| c.device(of) == Some(log.device))
                )
            })?;
            let known = said.entry(*log).or_insert(0);
            *known = (*known).max(*sequence);
        }
        self.found.insert(ack.bytes().to_vec());
        Ok(())
    }

    /// Looks at what a machine has pruned since: everybody who was awaited knew of the deletion.
    pub(super) fn look(
        &mut self,
        c: &Cluster,
        world: &World,
        name: &str,
        roster_of: impl Fn(EntityId) -> Option<Rc<Roster>>,
    ) -> Result<(), Violation> {
        for holding in c.holdings(name) {
            for (id, flags) in holding.deleted() {
                self.flags.entry(id).or_default().extend(flags);
            }
            let pruned = holding.pruned();
            if pruned.is_empty() {
                continue;
            }
            if !self.pruned.contains_key(name) {
                // A copied home holds the frontier by which the first one pruned.
                let first = self.pruned.get(name.trim_end_matches('\'')).cloned().unwrap_or_default();
                self.pruned.insert(name.to_owned(), first);
            }
            let known = self.pruned.entry(name.to_owned()).or_default();
            let new: Vec<_> = pruned.iter().filter(|(id, _)| known.insert(**id)).collect();
            let roster = if new.is_empty() { None } else { roster_of(holding.entity()) };
            let Some(roster) = roster else { continue };
            let lapsed = holding.lapsed();
            let mut stopped = holding.stopped();
            stopped.retain(|device| self.stopped.contains(&(*device, holding.document())));
            for (id, flags) in new {
                self.flags.entry(*id).or_default().extend(flags);
                if flags.is_empty() {
                    // It was folded, by who knew of the deletion.
                    continue;
                }
                for (device, _) in roster.reading().devices() {
                    let awaited = world.is_device_honest(&device) && Some(device) != c.device(name);
                    let has_lapsed = world.months > 0 && lapsed.contains(&device);
                    if !awaited || has_lapsed || stopped.contains(&device) {
                        continue;
                    }
                    let nodes = world.devices.get(&device).into_iter().flatten();
                    let nodes: Vec<&String> = nodes.filter(|node| c.nodes.contains_key(*node)).collect();
                    let said = self.said.get(&device);
                    // A document that rests is pruned somewhat after that was found to be stable, and
                    // whoever comes in between is given it as it is then.
                    let of = (name.to_owned(), holding.document());
                    let now = self.frontiers.get(&(of.0.clone(), c.node(name).run, of.1));
                    let without = self.without.get(&of).and_then(|without| without.held.get(&device)).or(now);
                    let has = |(log, sequence): &(LogId, u64)| {
                        let stored = nodes.iter().any(|node| is_stored(c, node, log, *sequence));
                        let was_stable =
                            without.and_then(|held| held.get(log)).is_some_and(|held| held >= sequence);
                        stored
                            || was_stable
                            || said.and_then(|said| said.get(log)).is_some_and(|held| held >= sequence)
                    };
                    demand(flags.iter().any(has), Rule::PrunedIsStable, || {
                        let text = world.saved.get(id).map(|saved| saved.text.as_str());
                        format!("{name} has pruned {text:?}, of whose deletion {nodes:?} does not know")
                    })?;
                }
            }
        }
        Ok(())
    }

    /// A home forgets a document, and what it knew of it.
    pub(super) fn forgets(&mut self, (name, run): (&str, u64), document: DocumentKey) {
        self.frontiers.remove(&(name.to_owned(), run, document));
        self.without.remove(&(name.to_owned(), document));
    }

    /// Looks at the frontiers of a machine, which never go back while it runs.
    pub(super) fn look_around(
        &mut self,
        c: &Cluster,
        world: &World,
        name: &str,
        roster_of: impl Fn(EntityId) -> Option<Rc<Roster>>,
    ) -> Result<(), Violation> {
        for holding in c.holdings(name) {
            let key = (name.to_owned(), c.node(name).run, holding.document());
            let (before, now) = (self.frontiers.entry(key).or_default(), holding.frontier());
            let without = self.without.entry((name.to_owned(), holding.document())).or_default();
            let roster = roster_of(holding.entity());
            if roster.as_ref().map(Rc::as_ptr) != without.roster.as_ref().map(Rc::as_ptr) {
                let devices = roster.iter().flat_map(|roster| roster.reading().devices());
                let members: BTreeSet<DeviceKey> = devices.map(|(device, _)| device).collect();
                // Who was out meanwhile is met anew.
                without.held.retain(|device, _| members.contains(device));
                for device in members {
                    without.held.entry(device).or_insert_with(|| before.clone());
                }
                without.roster = roster;
            }
            if before == now {
                continue;
            }
            let back = before.iter().find(|(log, held)| now.get(log) < Some(*held));
            demand(back.is_none(), Rule::FrontierStays, || {
                format!("{name} knew that all have {back:?}, and now it says less")
            })?;
            before.clone_from(now);
            let lapsed = if world.months > 0 { holding.lapsed() } else { BTreeSet::new() };
            let unawaited = lapsed.into_iter().chain(holding.stopped());
            without.held.extend(unawaited.map(|device| (device, now.clone())));
        }
        Ok(())
    }
}

impl Checker {
    /// Whether a node has forgotten a message rightly: it was deleted by who may.
    pub(super) fn is_forgotten(
        &self,
        c: &Cluster,
        world: &World,
        name: &str,
        roster: &Roster,
        id: &ThingId,
    ) -> bool {
        let Some(flags) = c.holdings(name).find_map(|holding| holding.pruned().remove(id)) else {
            return false;
        };
        let known = self.forgotten.flags.get(id).into_iter().flatten().copied();
        // Of what was folded as it was read nobody saw a flag but who deleted it.
        let told = world.deleted.get(id).into_iter().flatten().map(|p| (p.log, p.sequence));
        known.chain(flags).chain(told).any(|(log, sequence)| {
            let envelope = truth::envelope_at(c, &self.promised, name, (&log, sequence));
            envelope.is_some_and(|envelope| {
                let deletes = |roster: &Roster| truth::deletes(world, roster, &envelope, id);
                deletes(roster) || self.was_folded_where(&envelope, deletes)
            })
        })
    }
}
