//! Liveness: ends all faults, heals the world, and demands that it settles.
//!
//! Within a bound of simulated time and of events every honest node says that all is in sync; then
//! `agreement` looks at what all show and hold. Settled nodes are quiet: they compare now and then,
//! and write nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::command::{
    ChatCommand, Command, JoinBy, MemberCommand, Outcome, RefusalCode, Reply, SyncState,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::ids::{DeviceKey, EntityId};
use fourword_protocol::record::Record;
use fourword_protocol::roster::{Role, Roster};
use fourword_protocol::wire::kind_of;

use super::schedule::Schedule;
use super::verdict::{Rule, Violation, demand};
use super::world::{Group, Intent};
use crate::trace;

/// Simulated time within which a healed world must have settled.
const SETTLE_MS: u64 = 900_000;
/// How often it is looked at meanwhile.
const LOOK_MS: u64 = 5_000;
/// Peers that are quiet compare again after twice this at most.
const COMPARE_MS: u64 = 65_000;
/// How long a settled world must be quiet.
const QUIET_MS: u64 = 600_000;

impl Schedule {
    /// Heals the world and demands what must then be so.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        self.end_faults()?;
        self.end_twins()?;
        self.settle()?;
        self.write_once_more()?;
        self.settle()?;
        self.read_all()?;
        // Whoever knocks from time to time may have been let in meanwhile, and brings what it wrote alone.
        self.settle()?;
        self.look_at_end()?;
        self.stay_quiet()
    }

    fn end_faults(&mut self) -> Result<(), Violation> {
        self.c.gossip_loss = self.profile.gossip_loss(0);
        let profile = &mut self.c.network.profile;
        (profile.lost, profile.doubled, profile.overtaken) = (0, 0, 0);
        self.checker.crash_at_answer = None;
        self.c.lose_no_more();
        self.c.mend();
        // What was to fail at its next flush never does.
        for name in self.world.nodes.keys().cloned().collect::<Vec<_>>() {
            self.c.node_mut(&name).disk.spare();
        }
        self.run_for(500)?;
        self.repair();
        self.raise(true)?;
        self.run_for(2_000)
    }

    /// Whoever does not know of a group that it was let into, because its home is an older copy or did
    /// not take that, asks for it by its words: a member's device is let in by any member.
    fn come_back(&mut self) {
        let honest = self.honest();
        for group in 0..self.world.groups.len() {
            let Group { words, parent, .. } = self.world.groups[group].clone();
            let Some(roster) = self.roster_of(group).filter(|_| parent.is_none()) else { continue };
            for name in &honest {
                let device = self.c.device(name).filter(|_| self.c.is_up(name));
                let is_in = device.is_some_and(|device| roster.reading().member_of(&device).is_some());
                let asks = |((of, _), intent): (&(String, _), &Intent)| {
                    of == name && matches!(intent, Intent::Join { group: at } if *at == group)
                };
                if !is_in || self.world.asked.iter().any(asks) {
                    continue;
                }
                if !matches!(self.c.peek(name, Command::Show(words)), Some(Reply::Entity(_))) {
                    let by = JoinBy::Words { id: None, note: String::new() };
                    let join = Command::Join { words, by, peers: Vec::new() };
                    self.begin(name, join, Intent::Join { group });
                }
            }
        }
    }

    /// Copies of homes speak with the others until all they wrote is known, and end for good.
    fn end_twins(&mut self) -> Result<(), Violation> {
        let twins: Vec<String> =
            self.world.nodes.keys().filter(|name| name.ends_with('\'')).cloned().collect();
        if twins.is_empty() {
            return Ok(());
        }
        for name in self.world.nodes.keys().cloned().collect::<Vec<_>>() {
            let original = twins.iter().find(|twin| twin.trim_end_matches('\'') == name);
            if original.is_some() {
                self.c.isolate(&name);
            }
        }
        for _ in 0..6 {
            self.c.connect_all();
            self.run_for(20_000)?;
        }
        for twin in twins {
            self.checker.loses_home(&self.c, &mut self.world, &twin);
            self.c.crash(&twin);
            self.world.asked.retain(|(of, _), _| *of != twin);
            self.world.nodes.remove(&twin);
        }
        self.c.mend();
        Ok(())
    }

    /// The nodes that are judged: those of honest people.
    pub(super) fn honest(&self) -> Vec<String> {
        self.world.nodes.keys().filter(|name| self.world.is_honest(name)).cloned().collect()
    }

    /// Runs until every honest node says that all is in sync with every other one.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        let (mut end, mut has_removed) = (self.c.now() + SETTLE_MS, false);
        loop {
            self.c.connect_all();
            self.come_back();
            self.keep_all();
            self.open_texts();
            self.run_for(LOOK_MS)?;
            let Some(open) = self.unsettled() else { return Ok(()) };
            if self.c.now() >= end && !has_removed {
                self.remove_the_hostile();
                (end, has_removed) = (self.c.now() + SETTLE_MS, true);
            }
            demand(self.c.now() < end, Rule::StatusSettles, || open)?;
            if self.c.now() + SETTLE_MS / 2 > end {
                self.let_viewers_vouch();
            }
            self.repair();
            self.raise(true)?;
        }
    }

    /// Nobody takes a snapshot for which viewers alone vouch, the others having left. Admins see it
    /// unconfirmed, and give viewers back the right to write.
    fn let_viewers_vouch(&mut self) {
        for name in self.honest().into_iter().filter(|name| self.c.is_up(name)).collect::<Vec<_>>() {
            for group in 0..self.world.groups.len() {
                let words = self.world.groups[group].words;
                let Some(Reply::Entity(view)) = self.c.peek(&name, Command::Show(words)) else { continue };
                let Some(Reply::Members(members)) = self.c.peek(&name, Command::Members(words)) else {
                    continue;
                };
                let is_admin = view.role.is_some_and(|role| role >= Role::Admin);
                for viewer in members.iter().filter(|member| is_admin && member.role == Role::Viewer) {
                    let (person, role) = (viewer.person.person, Role::Member);
                    self.world.give(group, person, role);
                    let set = MemberCommand::SetRole { who: person.to_string(), role };
                    self.begin(&name, Command::Member(words, set), Intent::Other("roles given back"));
                }
            }
        }
    }

    /// A snapshot waits for the word of a member whose device was taken over, where all others who found the
    /// same are gone or came back with older homes. Founders see it unconfirmed, and remove who says nothing.
    fn remove_the_hostile(&mut self) {
        let hostile = self.world.people.iter().enumerate().filter(|(_, person)| !person.honest);
        let hostile: Vec<(usize, String)> = hostile.map(|(at, person)| (at, person.id.to_string())).collect();
        for group in 0..self.world.groups.len() {
            let (words, founder) = (self.world.groups[group].words, self.world.groups[group].founder);
            let name = self.world.people[founder].nodes[0].clone();
            if self.world.root_of(group) != group || !self.world.is_honest(&name) || !self.c.is_up(&name) {
                continue;
            }
            for (whom, who) in hostile.iter().cloned() {
                let remove = Command::Member(words, MemberCommand::Remove { who });
                self.begin(&name, remove, Intent::Remove { group, whom });
            }
        }
    }

    /// Something that is not in sync yet, in words.
    fn unsettled(&mut self) -> Option<String> {
        let honest = self.honest();
        let devices: BTreeMap<DeviceKey, String> =
            honest.iter().filter_map(|name| Some((self.c.device(name)?, name.clone()))).collect();
        for name in &honest {
            if !self.c.is_up(name) || self.c.node(name).disk.failed {
                return Some(format!("{name} does not run"));
            }
            let claims = self.c.node(name).machine.claims();
            for claim in claims {
                let Some(other) = devices.get(&claim.device) else { continue };
                let forgot = self.world.linking.contains_key(other) && !self.has_entered(other, claim.entity);
                let settled = forgot || matches!(claim.state, SyncState::InSync | SyncState::NotMember);
                if !settled {
                    let why = self.why_not(name, claim.device);
                    let (entity, state) = (claim.entity, claim.state);
                    return Some(format!("{name} is {state:?} with {other} in {entity}: {why}"));
                }
            }
        }
        None
    }

    /// Whether a node knows that it is in an entity.
    pub(super) fn has_entered(&self, name: &str, entity: EntityId) -> bool {
        self.c.holdings(name).any(|holding| holding.entity() == entity)
    }

    /// What a node says of why it is not in sync with a device.
    fn why_not(&mut self, name: &str, device: DeviceKey) -> String {
        let Some(Reply::Sync { documents, .. }) = self.c.peek(name, Command::SyncStatus(None)) else {
            return "no status".into();
        };
        let lines = documents.into_iter().flat_map(|document| {
            let lines = document.peers.into_iter().filter(move |peer| peer.device == device);
            lines.map(move |peer| format!("{} {} {:?}", document.id, peer.reason, document.waiting))
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    /// Everybody who may writes once more: all can, under one key, and all can read it.
    fn write_once_more(&mut self) -> Result<(), Violation> {
        for name in self.honest() {
            let Some(person) = self.world.owner(&name) else { continue };
            for group in 0..self.world.groups.len() {
                let words = self.world.groups[group].words;
                let Some(Reply::Entity(view)) = self.c.peek(&name, Command::Show(words)) else { continue };
                if view.role.is_some_and(|role| role > Role::Viewer) {
                    let text = self.world.new_text(person, group, 0);
                    let send = ChatCommand::say(text.clone(), None);
                    let outcome =
                        self.ask_for(&name, Command::Chat(words, send), Intent::send(group, text))?;
                    if let Outcome::Refused(refusal) = outcome {
                        let is_out =
                            refusal.code == RefusalCode::NotAllowed && self.is_device_out(&name, group);
                        demand(is_out, Rule::AllAgree, || {
                            format!("{name} cannot write: {}", refusal.message)
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a node's device is no member's any more, though its person may be one.
    fn is_device_out(&self, name: &str, group: usize) -> bool {
        let (roster, device) = (self.roster_at(name, self.world.root_of(group)), self.c.device(name));
        roster.zip(device).is_some_and(|(roster, device)| roster.reading().member_of(&device).is_none())
    }

    /// The roster of a group, as its founder has it or else somebody else.
    pub(super) fn roster_of(&self, group: usize) -> Option<Rc<Roster>> {
        let founder = self.world.people[self.world.groups[group].founder].nodes[..1].to_vec();
        founder.iter().chain(&self.honest()).find_map(|name| self.roster_at(name, group))
    }

    /// The roster of a group as a node's disk has it.
    pub(super) fn roster_at(&self, name: &str, group: usize) -> Option<Rc<Roster>> {
        self.checker.roster_at(&self.c, name, self.world.groups.get(group)?.id)
    }

    // -- quiet --------------------------------------------------------------------------------

    /// Settled nodes write nothing and send nothing but comparisons.
    fn stay_quiet(&mut self) -> Result<(), Violation> {
        // What was told last may still be on its way, and some things are tidied at a comparison.
        self.run_for(2 * COMPARE_MS)?;
        self.checker.claims.look_at_rest(&self.c, &self.honest())?;
        self.hear_nothing()
    }

    /// Demands that from now on nothing is written and nothing sent but comparisons.
    pub(super) fn hear_nothing(&mut self) -> Result<(), Violation> {
        let end = self.c.now() + QUIET_MS;
        let honest: BTreeSet<String> = self.honest().into_iter().collect();
        while self.c.next_at().is_some_and(|at| at <= end) {
            let mut loud = None;
            self.c.step_seen(&mut |c, h| {
                let enters =
                    |entity: &EntityId| !c.holdings(&h.name).any(|holding| holding.entity() == *entity);
                let is_news = |effect: &&Effect| match effect {
                    Effect::Write(batch) => batch.records.iter().any(|record| !is_of_joining(record, enters)),
                    Effect::Publish(..) => true,
                    Effect::Send(_, bytes) => {
                        ["acks", "checkpoint", "snapshotpart", "envelopes"].contains(&kind_of(bytes))
                    }
                    _ => false,
                };
                if honest.contains(&h.name) && !matches!(h.event, Event::Stopping) {
                    loud = h.effects.iter().find(is_news).map(|effect| {
                        let event: String = format!("{:?}", h.event).chars().take(60).collect();
                        let effects = trace::line(h.at, &h.name, &h.event, std::slice::from_ref(effect));
                        format!("{} is settled, and at {event} it does: {effects}", h.name)
                    });
                }
            });
            if let Some(loud) = loud {
                return Err(Violation::new(Rule::SettledIsQuiet, loud));
            }
        }
        self.c.pass_to(end);
        Ok(())
    }
}

/// Whoever still wants in somewhere goes on trying, and is remembered.
fn is_of_joining(record: &Record, enters: impl Fn(&EntityId) -> bool) -> bool {
    let kinds = ["join", "seek", "request", "denial"];
    match record {
        Record::Local { key, .. } => kinds.contains(&key.kind.as_str()),
        Record::Statement { entity, .. } => enters(entity),
        Record::Envelope { .. }
        | Record::SnapshotPart { .. }
        | Record::Snapshot { .. }
        | Record::Forget { .. } => false,
    }
}
