//! Liveness: ends all faults, heals the world, and demands that all honest members agree.
//!
//! Within a bound of simulated time and of events every honest node says that all is in sync, and
//! then all show, hold and know the same, what was saved and what was deleted included. Settled
//! nodes are quiet: they compare now and then, and write nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::command::{
    ChatCommand, Command, JoinBy, MemberView, MessageView, Outcome, RefusalCode, Reply, SyncState,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::envelope::Envelope;
use fourword_protocol::event::Event;
use fourword_protocol::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogHead, LogId};
use fourword_protocol::limits::LATE_TEXT_BYTES_MAX;
use fourword_protocol::record::Record;
use fourword_protocol::roster::{Body, Role, Roster, Statement};
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::wire::kind_of;

use super::check::{is_stored, vectors};
use super::schedule::Schedule;
use super::truth;
use super::verdict::{Rule, Violation, demand};
use super::world::{Group, Intent, Promise};
use crate::insider::keys_of;
use crate::trace;

/// Simulated time within which a healed world must have settled.
const SETTLE_MS: u64 = 900_000;
/// How often it is looked at meanwhile.
const LOOK_MS: u64 = 5_000;
/// Peers that are quiet compare again after twice this at most.
const COMPARE_MS: u64 = 65_000;
/// How long a settled world must be quiet.
const QUIET_MS: u64 = 600_000;

/// Tenths of a second in which a node reads all of a chat from disk.
const READINGS_MAX: u32 = 300;

/// Which logs of which documents a node holds, and a digest of what they show.
type Held = BTreeMap<DocumentKey, (BTreeMap<LogId, LogHead>, Option<Digest>)>;

impl Schedule {
    /// Heals the world and demands what must then be so.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        self.end_faults()?;
        self.end_twins()?;
        self.settle()?;
        self.write_once_more()?;
        self.settle()?;
        self.look_at_end()?;
        self.stay_quiet()
    }

    fn end_faults(&mut self) -> Result<(), Violation> {
        self.c.gossip_loss = match self.profile {
            super::Profile::Silent => 100,
            super::Profile::Harsh | super::Profile::Untimed => 0,
        };
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
        let end = self.c.now() + SETTLE_MS;
        loop {
            self.c.connect_all();
            self.come_back();
            self.run_for(LOOK_MS)?;
            let Some(open) = self.unsettled() else { return Ok(()) };
            demand(self.c.now() < end, Rule::StatusSettles, || open)?;
            self.repair();
            self.raise(true)?;
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
                    return Some(format!("{name} is {:?} with {other}: {why}", claim.state));
                }
            }
        }
        None
    }

    /// Whether a node knows that it is in an entity.
    fn has_entered(&self, name: &str, entity: EntityId) -> bool {
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
                    let send =
                        fourword_protocol::command::ChatCommand::Send { text: text.clone(), parent: None };
                    let outcome =
                        self.ask_for(&name, Command::Chat(words, send), Intent::Send { group, text })?;
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
    fn roster_of(&self, group: usize) -> Option<Rc<Roster>> {
        let founder = self.world.people[self.world.groups[group].founder].nodes[..1].to_vec();
        founder.iter().chain(&self.honest()).find_map(|name| self.roster_at(name, group))
    }

    /// The roster of a group as a node's disk has it.
    pub(super) fn roster_at(&self, name: &str, group: usize) -> Option<Rc<Roster>> {
        self.checker.roster_at(&self.c, name, self.world.groups.get(group)?.id)
    }

    // -- what must be so at the end -----------------------------------------------------------

    pub(super) fn look_at_end(&mut self) -> Result<(), Violation> {
        self.look_at_askers()?;
        // What was not in memory is read when it is asked for.
        for name in self.honest() {
            for group in 0..self.world.groups.len() {
                self.read_whole(&name, group)?;
            }
        }
        let roots = (0..self.world.groups.len()).filter(|group| self.world.root_of(*group) == *group);
        let rosters: BTreeMap<usize, Rc<Roster>> =
            roots.filter_map(|root| Some((root, self.roster_of(root)?))).collect();
        for group in 0..self.world.groups.len() {
            let root = self.world.root_of(group);
            let Some(roster) = rosters.get(&root) else { continue };
            self.look_at_group(group, root, roster)?;
        }
        let mut world = std::mem::take(&mut self.world);
        let looked = self.checker.look_around(&mut self.c, &mut world);
        self.world = world;
        looked
    }

    /// All that was asked of nodes that still run was answered, but for joins, which go on.
    fn look_at_askers(&self) -> Result<(), Violation> {
        let waits = |intent: &Intent| matches!(intent, Intent::Join { .. } | Intent::Link { .. });
        let open =
            self.world.asked.iter().find(|((name, _), intent)| {
                !waits(intent) && self.world.is_honest(name) && self.c.is_up(name)
            });
        demand(open.is_none(), Rule::EveryAskerIsAnswered, || format!("{open:?} was never answered"))
    }

    fn look_at_group(&mut self, at: usize, root: usize, roster: &Roster) -> Result<(), Violation> {
        let active: BTreeSet<DeviceKey> = roster.reading().devices().map(|(device, _)| device).collect();
        let nodes: Vec<String> = self
            .honest()
            .into_iter()
            .filter(|name| self.c.device(name).is_some_and(|device| active.contains(&device)))
            .filter(|name| !self.world.linking.contains_key(name) || self.has_entered(name, roster.entity()))
            .collect();
        let shown = self.look_at_agreement(at, root, &nodes)?;
        self.look_at_promises(at, roster, &nodes, &shown)?;
        self.look_at_removed(roster, &shown)?;
        if at == root { self.look_at_keys(root, roster) } else { Ok(()) }
    }

    /// All of a chat as a node shows it, read from disk where it is not in memory.
    fn read_whole(&mut self, name: &str, at: usize) -> Result<Option<Vec<MessageView>>, Violation> {
        let Some(group) = self.world.groups.get(at) else { return Ok(None) };
        let asked = self.c.begin(name, Command::Chat(group.words, ChatCommand::Read { last: 10_000 }));
        for _ in 0..READINGS_MAX {
            self.run_for(100)?;
            match self.c.answer(name, asked) {
                Some(Outcome::Done(Reply::Messages(messages))) => return Ok(Some(messages.clone())),
                Some(_) => return Ok(None),
                None => {}
            }
        }
        Err(Violation::new(Rule::EveryAskerIsAnswered, format!("{name} never reads the chat of group {at}")))
    }

    /// All members' nodes show one chat and the same members, and hold the same logs.
    fn look_at_agreement(
        &mut self,
        at: usize,
        root: usize,
        nodes: &[String],
    ) -> Result<Vec<MessageView>, Violation> {
        let mut first: Option<(Vec<MessageView>, Vec<MemberView>, Held)> = None;
        let mut chats = Vec::new();
        for name in nodes {
            chats.push(self.read_whole(name, at)?);
        }
        if chats.iter().all(Option::is_none) {
            // The one home that knew of a child was replaced by an older copy.
            return Ok(Vec::new());
        }
        for (name, chat) in nodes.iter().zip(chats) {
            let Some(chat) = chat else {
                return Err(Violation::new(
                    Rule::AllAgree,
                    format!("{name} does not show the chat of group {at}"),
                ));
            };
            let command = Command::Members(self.world.groups[at].words);
            let Some(Reply::Members(mut members)) = self.c.peek(name, command) else {
                return Err(Violation::new(
                    Rule::AllAgree,
                    format!("{name} does not show the members of group {at}"),
                ));
            };
            members.iter_mut().for_each(|member| member.online = true);
            let id = self.world.groups[root].id;
            let holdings = self.c.holdings(name).filter(|holding| holding.entity() == id);
            let held: Held = holdings.map(|h| (h.document(), (h.heads().clone(), h.content()))).collect();
            let now = (chat, members, held);
            match &first {
                None => first = Some(now),
                Some(first) => {
                    let differs = differing(first, &now);
                    demand(differs.is_none(), Rule::AllAgree, || {
                        format!(
                            "{name} and {} differ in group {at}: {}",
                            nodes[0],
                            differs.unwrap_or_default()
                        )
                    })?;
                }
            }
        }
        Ok(first.map(|(chat, _, _)| chat).unwrap_or_default())
    }

    /// What was saved is there and what was deleted is gone, but for what counts for nobody; then
    /// its author is told.
    fn look_at_promises(
        &mut self,
        at: usize,
        roster: &Roster,
        nodes: &[String],
        shown: &[MessageView],
    ) -> Result<(), Violation> {
        let shown: BTreeMap<_, _> = shown.iter().map(|view| (view.message.id, view)).collect();
        let saved: Vec<_> = self.world.saved.iter().filter(|(_, saved)| saved.group == at).collect();
        let forgotten = |id: &MessageId| {
            nodes.iter().any(|name| self.checker.is_forgotten(&self.c, &self.world, name, roster, id))
        };
        let saved: Vec<_> =
            saved.into_iter().filter(|(id, _)| shown.contains_key(*id) || !forgotten(id)).collect();
        for (id, saved) in saved.iter().filter(|(id, _)| !shown.contains_key(id)) {
            let promise = &saved.promise;
            let envelope = self.envelope_of(promise);
            let void = envelope.is_some_and(|envelope| truth::is_void(roster, &envelope, id));
            let taken_along = self.is_taken_along(promise, nodes);
            demand(void || promise.given_up || taken_along, Rule::SavedIsShown, || {
                let (incarnation, sequence) = (promise.log.incarnation.0, promise.sequence);
                let place = format!("at {sequence} of log {incarnation:016x}");
                let holds = |name: &&String| is_stored(&self.c, name, &promise.log, sequence);
                let holders: Vec<&String> = nodes.iter().filter(holds).collect();
                format!(
                    "{:?} was called saved at {}, {place}; {holders:?} hold it and {nodes:?} do not show it",
                    saved.text, promise.node
                )
            })?;
        }
        for (id, promises) in &self.world.deleted {
            let Some(view) = shown.get(id).filter(|view| !view.message.deleted) else { continue };
            let stands = promises.iter().filter(|promise| !promise.given_up).any(|promise| {
                let envelope = self.envelope_of(promise);
                let taken_along = self.is_taken_along(promise, nodes);
                let own = self
                    .world
                    .saved
                    .get(id)
                    .is_some_and(|saved| Some(saved.author) == self.world.owner(&promise.node));
                !taken_along && envelope.is_some_and(|envelope| truth::deletes(roster, &envelope, own))
            });
            demand(!stands, Rule::DeletedStaysDeleted, || {
                format!("{:?} was deleted and is shown to {nodes:?}", view.message.text)
            })?;
        }
        let void: Vec<(String, String)> = saved
            .iter()
            .filter(|(id, saved)| !shown.contains_key(id) && !saved.promise.given_up)
            .filter(|(_, saved)| !self.is_taken_along(&saved.promise, nodes))
            .map(|(_, saved)| (saved.promise.node.clone(), saved.text.clone()))
            .collect();
        for (node, text) in void {
            self.look_at_told(at, &node, &text)?;
        }
        Ok(())
    }

    /// The envelope that holds what somebody was told is saved.
    fn envelope_of(&self, promise: &Promise) -> Option<Envelope> {
        let place = (&promise.log, promise.sequence);
        truth::envelope_at(&self.c, &self.checker.promised, &promise.node, place)
    }

    /// Whether nobody who is in ever had something, and whoever has it is out: no member asks those.
    fn is_taken_along(&self, promise: &Promise, nodes: &[String]) -> bool {
        let holds = |name: &String| is_stored(&self.c, name, &promise.log, promise.sequence);
        !nodes.contains(&promise.node) && !nodes.iter().any(holds)
    }

    /// The author of something that counts for nobody is told so.
    fn look_at_told(&mut self, at: usize, node: &str, text: &str) -> Result<(), Violation> {
        let device = self.c.device(node);
        let own =
            self.world.saved.values().find(|saved| saved.text == text).map(|saved| saved.promise.log.device);
        if !self.world.is_honest(node) || device != own {
            return Ok(());
        }
        let words = self.world.groups[self.world.root_of(at)].words;
        let told = match self.ask(node, Command::Unaccepted(words))? {
            // Of what was folded the beginning is kept.
            Outcome::Done(Reply::Unaccepted(views)) => views.iter().any(|view| {
                let is_cut = view.text.len() == LATE_TEXT_BYTES_MAX;
                view.text == text || (is_cut && text.starts_with(&view.text))
            }),
            _ => false,
        };
        demand(told, Rule::SavedIsShown, || {
            format!("{text:?} counts for nobody, and its author's {node} does not say so")
        })
    }

    /// Nothing that somebody wrote beyond the cut of its removal is shown.
    fn look_at_removed(&self, roster: &Roster, shown: &[MessageView]) -> Result<(), Violation> {
        let mut reach: BTreeMap<LogId, u64> = BTreeMap::new();
        for statement in roster.ids().filter_map(|id| roster.statement(&id).map(Statement::body)) {
            for (log, head) in vectors(statement) {
                let furthest = reach.entry(*log).or_default();
                *furthest = head.sequence.max(*furthest);
            }
        }
        for view in shown {
            let person = view.author.person;
            let was_removed = roster.ids().filter_map(|id| roster.statement(&id)).any(|statement| {
                let body = statement.body();
                let named = matches!(body, Body::Remove { person: whom, .. } if *whom == person);
                named && !roster.reading().ignored.contains_key(&statement.id())
            });
            let Some(saved) = self.world.saved.get(&view.message.id) else { continue };
            let (log, sequence) = (saved.promise.log, saved.promise.sequence);
            let beyond = reach.get(&log).copied().unwrap_or(0) < sequence;
            let out = was_removed && !roster.reading().is_member(&person);
            demand(!(out && beyond), Rule::RemovedWritesNothing, || {
                format!("{:?} is shown, which its author wrote beyond its removal", saved.text)
            })?;
        }
        Ok(())
    }

    /// Nothing that was written by who knew of a removal is under a key that the removed can open.
    fn look_at_keys(&mut self, root: usize, roster: &Roster) -> Result<(), Violation> {
        let id = self.world.groups[root].id;
        let reading = roster.reading();
        let active: BTreeSet<DeviceKey> = reading.devices().map(|(device, _)| device).collect();
        let mut outside = BTreeMap::new();
        for nodes in self.world.devices.values() {
            let Some(secret) = nodes.iter().find_map(|name| self.c.nodes.get(name)?.secret.clone()) else {
                continue;
            };
            if !active.contains(&secret.key()) && roster.person_of(&secret.key()).is_some() {
                outside.insert(secret.key(), keys_of(roster, &secret).0);
            }
        }
        for written in self.checker.authored.iter().filter(|written| written.entity == id) {
            for (device, keys) in &outside {
                if !keys.contains_key(&written.epoch) {
                    continue;
                }
                let knew = self.checker.roster_when(id, written);
                // Who comes back is given the keys of what was written meanwhile.
                let out = knew.as_ref().is_some_and(|knew| {
                    let was_out =
                        knew.person_of(device).is_some() && knew.reading().member_of(device).is_none();
                    let of = (&written.epoch, device);
                    was_out && !truth::was_let_in_again(&self.checker.rosters, knew, roster, of)
                });
                demand(!out, Rule::RemovedReadsNothing, || {
                    let who = self.world.devices.get(device);
                    format!("{} wrote for {who:?}, which it knew to be out", written.node)
                })?;
            }
        }
        Ok(())
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
                        ["acks", "checkpoint", "snapshotpart"].contains(&kind_of(bytes))
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
        Record::Envelope { .. } | Record::SnapshotPart { .. } | Record::Snapshot { .. } => false,
    }
}

/// What two nodes do not agree on, in words.
fn differing(
    a: &(Vec<MessageView>, Vec<MemberView>, Held),
    b: &(Vec<MessageView>, Vec<MemberView>, Held),
) -> Option<String> {
    let lines = |chat: &[MessageView]| -> Vec<_> {
        // Who knows first that all know of a deletion forgets first.
        let chat = chat.iter().filter(|view| !view.message.deleted);
        chat.map(|view| (view.message.clone(), view.author.person, view.reactions.len())).collect()
    };
    let people = |members: &[MemberView]| -> Vec<_> {
        members.iter().map(|member| (member.person.person, member.role, member.devices.clone())).collect()
    };
    if lines(&a.0) != lines(&b.0) {
        let extra = |a: &[MessageView], b: &[MessageView]| {
            a.iter().find(|view| !b.contains(view)).map(|view| view.message.text.clone())
        };
        return Some(format!("what the chat shows: {:?} and {:?}", extra(&b.0, &a.0), extra(&a.0, &b.0)));
    }
    if people(&a.1) != people(&b.1) {
        return Some("who is in".into());
    }
    (a.2 != b.2).then(|| "which logs they hold, or what these show".into())
}
