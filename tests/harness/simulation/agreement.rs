//! What must be so in a world that was healed and has settled.
//!
//! All honest members' nodes show, hold and know the same. What was saved is there and what was
//! deleted is gone, but for what counts for nobody, of which its author is told.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::command::{ChatCommand, Command, MemberView, MessageView, Outcome, Reply};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{DeviceKey, Digest, DocumentKey, LogHead, LogId, PersonId};
use fourword_protocol::inspect::Holding;
use fourword_protocol::limits::LATE_TEXT_BYTES_MAX;
use fourword_protocol::roster::{Body, Roster, Statement};
use fourword_protocol::schema::thing::ThingId;

use super::check::{is_stored, vectors};
use super::schedule::Schedule;
use super::things::{self, ThingShown};
use super::truth;
use super::verdict::{Rule, Violation, demand};
use super::world::{Intent, Promise, Saved, What};
use crate::cluster::Cluster;
use crate::insider::keys_of;

/// Tenths of a second in which a node reads all of a chat from disk.
const READINGS_MAX: u32 = 300;

/// Which logs of which documents a node holds, and a digest of what they show.
type Held = BTreeMap<DocumentKey, HeldOf>;

/// The logs of one document that a node holds, and what they show.
type HeldOf = (BTreeMap<LogId, LogHead>, Option<Digest>);

/// What a node shows of a group in the end, and holds of its entity.
#[derive(Debug, Default)]
struct Seen {
    chat: Vec<MessageView>,
    members: Vec<MemberView>,
    things: Vec<ThingShown>,
    held: Held,
}

impl Schedule {
    pub(super) fn look_at_end(&mut self) -> Result<(), Violation> {
        self.look_at_askers()?;
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

    /// Has everybody read what it shows, so that it is in memory.
    pub(super) fn read_all(&mut self) -> Result<(), Violation> {
        for name in self.honest() {
            for group in 0..self.world.groups.len() {
                self.read_whole(&name, group)?;
                let _ = things::things(&mut self.c, &self.world, &name, group);
            }
        }
        Ok(())
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
        let Some(seen) = self.look_at_agreement(at, root, &nodes)? else { return Ok(()) };
        let shown = self.shown_in_the_end(at, &nodes, &seen);
        self.look_at_promises(at, roster, &nodes, &shown)?;
        self.look_at_removed(roster, &seen)?;
        self.look_at_text(at, roster, &nodes)?;
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

    /// Waits until no document of an entity is being read, for what is shows nothing meanwhile.
    fn let_all_be_read(&mut self, root: usize, nodes: &[String]) -> Result<(), Violation> {
        let id = self.world.groups[root].id;
        let is_read = |c: &Cluster, name: &String| {
            c.holdings(name).filter(|held| held.entity() == id).all(|held| held.content().is_some())
        };
        for _ in 0..READINGS_MAX {
            if nodes.iter().all(|name| is_read(&self.c, name)) {
                break;
            }
            self.run_for(100)?;
        }
        Ok(())
    }

    /// All members' nodes show one chat and the same members, and hold the same logs.
    fn look_at_agreement(
        &mut self,
        at: usize,
        root: usize,
        nodes: &[String],
    ) -> Result<Option<Seen>, Violation> {
        let mut first: Option<Seen> = None;
        let mut chats = Vec::new();
        for name in nodes {
            chats.push(self.read_whole(name, at)?);
        }
        self.let_all_be_read(root, nodes)?;
        if chats.iter().all(Option::is_none) {
            // The one home that knew of a child was replaced by an older copy.
            return Ok(None);
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
            // Of what nobody has written in nobody need know.
            let is_written = |holding: &Holding| !holding.heads().is_empty();
            let holdings = self.c.holdings(name).filter(|h| h.entity() == id && is_written(h));
            let held: Held = holdings.map(|h| (h.document(), (h.heads().clone(), h.content()))).collect();
            let things = things::things(&mut self.c, &self.world, name, at);
            let now = Seen { chat, members, things, held };
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
        self.look_at_saved(root, nodes)?;
        Ok(first)
    }

    /// Documents that hold the same and of which the same was pruned are saved as the same bytes, whoever
    /// pruned and folded what at which moment.
    fn look_at_saved(&mut self, root: usize, nodes: &[String]) -> Result<(), Violation> {
        let id = self.world.groups[root].id;
        let (mut first, mut of_pruned, mut folded_apart) = (BTreeMap::new(), false, false);
        for name in nodes {
            for holding in self.c.holdings(name).filter(|h| h.entity() == id && !h.heads().is_empty()) {
                let Some(saved) = holding.saved() else { continue };
                let pruned: BTreeSet<ThingId> = holding.pruned().into_keys().collect();
                let is_pruned = !pruned.is_empty();
                let what = (holding.document(), holding.heads(), holding.content(), pruned);
                let Some((other, theirs, folded)) = first.get(&what) else {
                    first.insert(what, (name, saved, holding.covered()));
                    continue;
                };
                of_pruned |= is_pruned;
                folded_apart |= *folded != holding.covered();
                demand(saved == *theirs, Rule::AllSaveTheSame, || {
                    format!("{name} and {other} save {} as other bytes", holding.document())
                })?;
            }
        }
        if of_pruned {
            self.world.done.count("bytes of pruned documents compared");
        }
        if folded_apart {
            self.world.done.count("bytes of documents folded apart compared");
        }
        Ok(())
    }

    /// All messages, things and comments that a group shows, and whether as deleted.
    fn shown_in_the_end(&mut self, at: usize, nodes: &[String], seen: &Seen) -> BTreeMap<ThingId, bool> {
        let mut shown: BTreeMap<ThingId, bool> = BTreeMap::new();
        if let Some(name) = nodes.first() {
            let gone = things::deleted(&mut self.c, &self.world, name, at);
            shown.extend(gone.into_iter().map(|id| (id, true)));
            let comments = things::comments(&mut self.c, &self.world, name, at, &seen.things);
            shown.extend(comments.into_iter().map(|id| (id, false)));
        }
        shown.extend(seen.things.iter().map(|thing| (thing.id, false)));
        shown.extend(seen.chat.iter().map(|view| (view.message.id, view.message.deleted)));
        shown
    }

    /// What was saved is there and what was deleted is gone, but for what counts for nobody; then
    /// its author is told.
    fn look_at_promises(
        &mut self,
        at: usize,
        roster: &Roster,
        nodes: &[String],
        shown: &BTreeMap<ThingId, bool>,
    ) -> Result<(), Violation> {
        // What was said about something goes with it, and without columns a board shows no cards.
        let has_column = self.world.saved.iter().any(|(id, saved)| {
            saved.group == at && saved.what == What::Column && shown.get(id) == Some(&false)
        });
        let has_place = |saved: &Saved| match saved.what {
            What::Comment(about) => shown.get(&about) == Some(&false),
            What::Card => has_column,
            _ => true,
        };
        let of_group = |saved: &Saved| saved.group == at && has_place(saved);
        let saved: Vec<_> = self.world.saved.iter().filter(|(_, saved)| of_group(saved)).collect();
        let forgotten = |id: &ThingId| {
            nodes.iter().any(|name| self.checker.is_forgotten(&self.c, &self.world, name, roster, id))
        };
        let saved: Vec<_> =
            saved.into_iter().filter(|(id, _)| shown.contains_key(*id) || !forgotten(id)).collect();
        for (id, saved) in saved.iter().filter(|(id, _)| !shown.contains_key(id)) {
            let promise = &saved.promise;
            let envelope = self.envelope_of(promise);
            let void = envelope.is_some_and(|envelope| {
                let is_void = |roster: &Roster| truth::is_void(roster, &envelope, id);
                is_void(roster) || self.checker.was_folded_where(&envelope, is_void)
            });
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
            if shown.get(id) != Some(&false) {
                continue;
            }
            let given = promises.iter().filter(|promise| !promise.given_up);
            let mut kept = given.filter(|promise| !self.is_taken_along(promise, nodes));
            let stands = kept.any(|promise| self.is_deletion(promise, roster, id));
            demand(!stands, Rule::DeletedStaysDeleted, || {
                let text = self.world.saved.get(id).map(|saved| &saved.text);
                format!("{text:?} was deleted and is shown to {nodes:?}")
            })?;
        }
        let void: Vec<(String, ThingId, String)> = saved
            .iter()
            .filter(|(id, saved)| !shown.contains_key(id) && !saved.promise.given_up && !saved.promise.untold)
            .filter(|(_, saved)| !self.is_taken_along(&saved.promise, nodes))
            .map(|(id, saved)| (saved.promise.node.clone(), **id, saved.text.clone()))
            .collect();
        for (node, id, text) in void {
            self.look_at_told(at, &node, (&id, &text))?;
        }
        Ok(())
    }

    /// Whether what somebody was told is deleted is, by all rosters by which that was judged for good.
    fn is_deletion(&self, promise: &Promise, roster: &Roster, id: &ThingId) -> bool {
        self.envelope_of(promise).is_some_and(|envelope| {
            let is_void = |roster: &Roster| !truth::deletes(&self.world, roster, &envelope, id);
            !is_void(roster) && !self.checker.was_folded_where(&envelope, is_void)
        })
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
    fn look_at_told(&mut self, at: usize, node: &str, (id, text): (&ThingId, &str)) -> Result<(), Violation> {
        let device = self.c.device(node);
        let own = self.world.saved.get(id).map(|saved| saved.promise.log.device);
        if !self.world.is_honest(node) || device != own {
            return Ok(());
        }
        let words = self.world.groups[self.world.root_of(at)].words;
        let told = match self.ask(node, Command::Unaccepted(words))? {
            // Of what was folded the beginning is kept.
            Outcome::Done(Reply::Unaccepted(views)) => views.iter().any(|view| {
                let is_cut = view.text.len() == LATE_TEXT_BYTES_MAX;
                let is_named = view.key.replace('|', "-").contains(&id.to_string());
                is_named || view.text == text || (is_cut && text.starts_with(&view.text))
            }),
            _ => false,
        };
        demand(told, Rule::SavedIsShown, || {
            format!("{text:?} counts for nobody, and its author's {node} does not say so")
        })
    }

    /// Nothing that somebody wrote beyond the cut of its removal is shown.
    fn look_at_removed(&self, roster: &Roster, seen: &Seen) -> Result<(), Violation> {
        let mut reach: BTreeMap<LogId, u64> = BTreeMap::new();
        for statement in roster.ids().filter_map(|id| roster.statement(&id).map(Statement::body)) {
            for (log, head) in vectors(statement) {
                let furthest = reach.entry(*log).or_default();
                *furthest = head.sequence.max(*furthest);
            }
        }
        let messages = seen.chat.iter().map(|view| (view.message.id, view.author.person));
        let things = seen.things.iter().filter_map(|thing| Some((thing.id, thing.author?)));
        for (id, person) in messages.chain(things) {
            let was_removed = roster.ids().filter_map(|id| roster.statement(&id)).any(|statement| {
                let body = statement.body();
                let named = matches!(body, Body::Remove { person: whom, .. } if *whom == person);
                named && !roster.reading().ignored.contains_key(&statement.id())
            });
            let Some(saved) = self.world.saved.get(&id) else { continue };
            let (log, sequence) = (saved.promise.log, saved.promise.sequence);
            let beyond = reach.get(&log).copied().unwrap_or(0) < sequence;
            let out = was_removed && !roster.reading().is_member(&person);
            // What was folded while it counted counts for good.
            let counts = |envelope: &Envelope, roster: &Roster| !truth::is_void(roster, envelope, &id);
            let was_folded = || {
                let envelope = self.envelope_of(&saved.promise);
                envelope.is_some_and(|e| self.checker.was_folded_where(&e, |roster| counts(&e, roster)))
            };
            demand(!(out && beyond) || was_folded(), Rule::RemovedWritesNothing, || {
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
}

/// What two nodes do not agree on, in words.
fn differing(a: &Seen, b: &Seen) -> Option<String> {
    let lines = |chat: &[MessageView]| -> Vec<_> {
        // Who knows first that all know of a deletion forgets first.
        let chat = chat.iter().filter(|view| !view.message.deleted);
        let seen = |view: &MessageView| {
            let pinned: BTreeSet<PersonId> = view.pinned_by.iter().map(|person| person.person).collect();
            (view.message.clone(), view.author.person, view.reactions.len(), pinned)
        };
        chat.map(seen).collect()
    };
    let people = |members: &[MemberView]| -> Vec<_> {
        members.iter().map(|member| (member.person.person, member.role, member.devices.clone())).collect()
    };
    if lines(&a.chat) != lines(&b.chat) {
        let extra = |a: &[MessageView], b: &[MessageView]| {
            a.iter().find(|view| !b.contains(view)).map(|view| view.message.text.clone())
        };
        return Some(format!(
            "what the chat shows: {:?} and {:?}",
            extra(&b.chat, &a.chat),
            extra(&a.chat, &b.chat)
        ));
    }
    if people(&a.members) != people(&b.members) {
        return Some("who is in".into());
    }
    if let Some(differs) = things::differing(&a.things, &b.things) {
        return Some(differs);
    }
    let documents: BTreeSet<&DocumentKey> = a.held.keys().chain(b.held.keys()).collect();
    documents.into_iter().find_map(|document| {
        let (a, b) = (a.held.get(document), b.held.get(document));
        let part = |held: Option<&HeldOf>| held.map(|(heads, content)| (heads.len(), *content));
        let what = || format!("{document:?}: logs and content {:?} and {:?}", part(a), part(b));
        (a != b).then(what)
    })
}
