//! People stop keeping documents on their devices, and keep them again.
//!
//! Drawn apart from all else, so that what people do otherwise is the same as ever. A device drops only
//! what somebody else holds on a disk: so whatever was promised passes to who has it, and at the end,
//! where all is kept again, nothing is missing.

use fourword_protocol::command::Command;
use fourword_protocol::ids::DocumentKey;
use fourword_protocol::inspect::Unkept;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::words::FourWords;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::check::{Checker, stays_stored};
use super::schedule::Schedule;
use super::truth;
use super::verdict::{Rule, Violation, demand};
use super::world::{Intent, Promise, World};
use crate::cluster::Cluster;
use crate::draw;

/// Somebody drops or keeps something once in so many steps.
const STEPS_EACH: u64 = 12;
/// Within which time of the loss of a home a device may have relied on what was in it.
const RELIED_MS: u64 = 20_000;

/// Draws who drops and keeps what.
#[derive(Debug)]
pub(super) struct Keeping {
    random: ChaCha20Rng,
}

impl Keeping {
    pub(super) fn new(seed: u64) -> Keeping {
        Keeping { random: ChaCha20Rng::seed_from_u64(seed ^ 0xd709_0000_0000) }
    }
}

impl Schedule {
    /// Now and then somebody drops a document, or keeps one again.
    pub(super) fn drop_or_keep(&mut self) {
        let random = &mut self.keeping.random;
        if !draw::once_in(random, STEPS_EACH) {
            return;
        }
        let up = self.world.nodes.keys().filter(|name| self.world.is_honest(name) && self.c.is_up(name));
        let up: Vec<String> = up.filter(|name| self.c.device(name).is_some()).cloned().collect();
        let Some(name) = draw::one_of(random, &up).cloned() else { return };
        let unkept: Vec<Unkept> = self.c.node(&name).machine.unkept().into_iter().collect();
        let again = draw::one_of(random, &unkept).copied().filter(|_| draw::once_in(random, 2));
        let groups: Vec<FourWords> = self.world.groups.iter().map(|group| group.words).collect();
        let group = draw::one_of(random, &groups).copied();
        let is_work = self.world.works && random.next_u64().is_multiple_of(2);
        match (again, group) {
            (Some(unkept), _) => self.keep_again(&name, unkept),
            (None, Some(words)) => {
                let concern = if is_work { Concern::Kanban } else { Concern::Chat };
                self.begin(&name, Command::Drop(words, concern), Intent::Other("documents dropped"));
            }
            (None, None) => {}
        }
    }

    fn keep_again(&mut self, name: &str, unkept: Unkept) {
        let group = self.world.groups.iter().find(|group| group.id == unkept.place);
        if let Some(words) = group.map(|group| group.words) {
            let keep = Command::Keep(words, unkept.concern);
            self.begin(name, keep, Intent::Other("documents kept again"));
        }
    }

    /// Everybody keeps everything again.
    pub(super) fn keep_all(&mut self) {
        for name in self.honest().into_iter().filter(|name| self.c.is_up(name)).collect::<Vec<_>>() {
            for unkept in self.c.node(&name).machine.unkept() {
                self.keep_again(&name, unkept);
            }
        }
    }
}

impl Checker {
    /// A node is about to forget a document: what was promised of it lies on somebody else's disk, who must
    /// keep it from now on, and is not about to forget it too.
    pub(super) fn forgets(
        &mut self,
        c: &Cluster,
        world: &mut World,
        (name, document): (&str, DocumentKey),
    ) -> Result<(), Violation> {
        self.forgotten.forgets((name, c.node(name).run), document);
        self.shown.forgets(name);
        let others = |is_of: &dyn Fn(&str) -> bool, promise: &Promise| -> Option<String> {
            let mut others = c.nodes.keys().filter(|of| *of != name && is_of(of));
            others.find(|of| stays_stored(c, of, promise)).cloned()
        };
        let honest: Vec<String> = world.nodes.keys().filter(|of| world.is_honest(of)).cloned().collect();
        let is_honest = |of: &str| honest.iter().any(|node| node == of);
        let is_here = |p: &Promise| p.node == name && p.log.document == document && !p.given_up;
        let saved = world.saved.iter().map(|(id, saved)| (id, &saved.promise, false));
        let deleted = world.deleted.iter().flat_map(|(id, all)| all.iter().map(move |p| (id, p, true)));
        let here = saved.chain(deleted).filter(|(_, promise, _)| is_here(promise));
        let was_lost = self.home_lost_at.is_some_and(|at| at + RELIED_MS > c.now());
        for (id, promise, deletes) in here {
            let is_held = others(&|_| true, promise).is_some();
            demand(
                is_held || was_lost || self.counts_for_nobody(c, world, name, (id, promise, deletes)),
                Rule::SavedIsDurable,
                || {
                    format!(
                        "{name} drops what nobody else holds: {} of log {:016x}",
                        promise.sequence, promise.log.incarnation.0
                    )
                },
            )?;
        }
        for promise in world.promises_mut().filter(|promise| is_here(promise)) {
            promise.untold = true;
            match others(&is_honest, promise) {
                Some(other) => promise.node = other,
                None => promise.given_up = true,
            }
        }
        Ok(())
    }

    /// Whether what somebody was told is saved or deleted counts no more, for all that this node knows.
    fn counts_for_nobody(
        &self,
        c: &Cluster,
        world: &World,
        name: &str,
        (id, promise, deletes): (&ThingId, &Promise, bool),
    ) -> bool {
        let Some(envelope) = self.promised.get(&(promise.log, promise.sequence)) else { return true };
        let holding = c.remembered(name).heads.into_iter().find(|(_, log, _)| *log == promise.log);
        let entity = holding.map(|(entity, ..)| entity);
        let roster = entity.and_then(|entity| self.roster_at(c, name, entity));
        roster.is_none_or(|roster| match deletes {
            true => !truth::deletes(world, &roster, envelope, id),
            false => truth::is_void(&roster, envelope, id),
        })
    }
}
