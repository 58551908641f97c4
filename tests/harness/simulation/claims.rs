//! Holds what nodes say of being in sync against what they and their peers really hold.
//!
//! Messages take time, so what a node says can be true of a peer only as that peer was when it
//! told. Three things are held to: what one says is what the other held when it sent that word;
//! where both say so at one moment, both are equal then; and in the end, where nothing is under way
//! between two that have nothing left to tell, one word is enough. Vectors and the chats as shown are
//! compared, never the digests that the machines go by.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use fourword_protocol::command::{MessageView, SyncState};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::ids::{DeviceKey, DocumentKey, EntityId, LogHead, LogId, PersonId};
use fourword_protocol::inspect::{Claim, Unkept};
use fourword_protocol::record::Record;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::wire::{Frame, kind_of};

use super::shown::Documents;
use super::things::{self, ThingShown};
use super::verdict::{Rule, Violation, demand};
use super::world::World;
use crate::cluster::{Cluster, Happened};

/// Of how many ways in which nodes stood with an entity equal ones are kept once.
const RECENT_MAX: usize = 16;

/// What nodes said, and how they stood when they told.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Nodes of which something changed, to be looked at.
    changed: BTreeMap<String, Changed>,
    /// How each node stood when it last changed, entity by entity.
    stood: BTreeMap<String, Standing>,
    /// The last of these of any node: what is equal is kept, and compared, once.
    recent: BTreeMap<EntityId, VecDeque<Rc<Stood>>>,
    /// What each node sent of how it stands, by the frame: how it stood then.
    told: BTreeMap<String, HashMap<Vec<u8>, Word>>,
    /// By which word of each peer each node goes.
    heard: BTreeMap<String, BTreeMap<String, Word>>,
    /// With which node each node's session with a device is: a home may have been copied.
    sessions: BTreeMap<String, BTreeMap<DeviceKey, String>>,
    /// The number of the last word of a peer about an entity that a node took.
    numbers: BTreeMap<(String, String, EntityId), u64>,
    /// In which documents each node said to be in sync with which nodes when it was last looked at,
    /// and whether in all documents of the entity.
    said: BTreeMap<String, BTreeMap<DocumentKey, BTreeMap<String, bool>>>,
    /// What each node said when it was last looked at, and what it did not keep.
    claimed: BTreeMap<String, (Vec<Claim>, BTreeSet<Unkept>)>,
    /// How often a node asked for a key that it lacked.
    pub(super) late_keys: u64,
}

#[derive(Debug, Default)]
struct Changed {
    /// Entities of which it may hold something else.
    content: BTreeSet<EntityId>,
    /// What it holds of anything may be another.
    everything: bool,
    /// It goes by another word of a peer, or has met or lost one.
    heard: bool,
    /// Frames by which it told how it stands, and how it stood before that event.
    sent: Vec<(Vec<u8>, Standing)>,
}

/// How a node stands with each entity of which it has read all.
type Standing = BTreeMap<EntityId, Rc<Stood>>;

/// How a node stood when it told: before the event in which it did, or after it, since an event may
/// change what is held before or after that is told.
type Word = BTreeMap<EntityId, Vec<Rc<Stood>>>;

/// How a node stands with one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stood {
    heads: BTreeMap<DocumentKey, BTreeMap<LogId, LogHead>>,
    /// Each chat of the entity and its children as a person sees it.
    shown: BTreeMap<usize, Vec<Line>>,
    /// Likewise each of their boards, issue trackers and canvases.
    things: BTreeMap<usize, Rc<Vec<ThingShown>>>,
}

impl Stood {
    /// The same with those documents alone of which another does not hold other logs; `None` without any.
    fn within(self: &Rc<Stood>, other: &Stood) -> Option<Rc<Stood>> {
        let is_same = |document: &DocumentKey, heads: &BTreeMap<LogId, LogHead>| {
            other.heads.get(document).is_none_or(|others| others == heads)
        };
        if self.heads.iter().all(|(document, heads)| is_same(document, heads)) {
            return Some(Rc::clone(self));
        }
        let mut within = Stood::clone(self);
        within.heads.retain(|document, heads| is_same(document, heads));
        (!within.heads.is_empty()).then(|| Rc::new(within))
    }

    /// The logs of a document; a board in which nobody wrote is as good as none.
    fn heads_of(&self, document: &DocumentKey) -> Option<&BTreeMap<LogId, LogHead>> {
        self.heads.get(document).filter(|heads| !heads.is_empty())
    }
}

/// One message as shown, but for what depends on who looks.
type Line = (MessageId, String, PersonId, Vec<(String, usize)>);

impl Claims {
    /// Notes what an event may have changed.
    pub(super) fn note(&mut self, c: &Cluster, h: &Happened) {
        let changed = self.changed.entry(h.name.clone()).or_default();
        changed.everything |=
            matches!(h.event, Event::Loaded(..) | Event::WriteFailed(..) | Event::Asked(..));
        for effect in &h.effects {
            match effect {
                Effect::Write(batch) => {
                    changed.everything |=
                        batch.records.iter().any(|record| matches!(record, Record::Forget { .. }));
                    changed.content.extend(batch.records.iter().filter_map(|record| match record {
                        Record::Envelope { entity, .. }
                        | Record::Statement { entity, .. }
                        | Record::Snapshot { entity, .. } => Some(*entity),
                        Record::SnapshotPart { .. } | Record::Forget { .. } | Record::Local { .. } => None,
                    }));
                }
                Effect::Send(_, bytes) => match kind_of(bytes) {
                    "state" | "quiet" => {
                        let before = self.stood.get(&h.name).cloned().unwrap_or_default();
                        changed.sent.push((bytes.clone(), before));
                    }
                    "lacking" => self.late_keys += 1,
                    _ => {}
                },
                _ => {}
            }
        }
        match &h.event {
            Event::Received(from, bytes) => {
                let peer = self.sessions.get(&h.name).and_then(|sessions| sessions.get(from));
                let heard = peer.cloned().is_some_and(|peer| self.hear(&h.name, peer, bytes));
                self.changed.entry(h.name.clone()).or_default().heard |= heard;
            }
            Event::Connected(device) => {
                changed.heard = true;
                if let Some(peer) = c.named(*device, &h.name) {
                    self.heard.entry(h.name.clone()).or_default().remove(&peer);
                    self.sessions.entry(h.name.clone()).or_default().insert(*device, peer);
                }
            }
            Event::Disconnected(device) => {
                changed.heard = true;
                self.sessions.entry(h.name.clone()).or_default().remove(device);
            }
            Event::Started { .. } => {
                self.stood.remove(&h.name);
                self.sessions.remove(&h.name);
                self.said.remove(&h.name);
                self.claimed.remove(&h.name);
            }
            _ => {}
        }
    }

    /// A peer's word has come: which one a node goes by from now on. False if it is no such word.
    fn hear(&mut self, name: &str, peer: String, bytes: &[u8]) -> bool {
        let Some(told) = self.told.get(&peer).and_then(|told| told.get(bytes)) else { return false };
        let heard = self.heard.entry(name.to_owned()).or_default().entry(peer.clone()).or_default();
        match Frame::decode(bytes) {
            Ok(Frame::State { number, state }) => {
                // Of two words of one connection the one that was said later counts.
                let about = (name.to_owned(), peer, state.entity);
                let last = self.numbers.get(&about).copied();
                if last.is_some_and(|last| last >> 32 == number >> 32 && last >= number) {
                    return false;
                }
                self.numbers.insert(about, number);
                match told.get(&state.entity) {
                    Some(stood) => drop(heard.insert(state.entity, stood.clone())),
                    None => drop(heard.remove(&state.entity)),
                }
            }
            _ => {
                // One digest for all that both keep: what is equal confirms itself, of what is not it says
                // nothing. It may be old, and not what the node goes by then. Of what is being read at either
                // nothing is known here that could be compared.
                heard.retain(|entity, _| told.contains_key(entity));
                for (entity, stood) in told {
                    let ours = self.stood.get(name).and_then(|ours| ours.get(entity));
                    let confirmed = stood.iter().filter_map(|stood| match ours {
                        Some(ours) => stood.within(ours),
                        None => Some(Rc::clone(stood)),
                    });
                    heard.entry(*entity).or_default().extend(confirmed);
                }
            }
        }
        true
    }

    /// Looks at what changed, once the effects are carried out.
    pub(super) fn look(
        &mut self,
        c: &mut Cluster,
        world: &World,
        documents: &mut Documents,
    ) -> Result<(), Violation> {
        for (name, changed) in std::mem::take(&mut self.changed) {
            if !c.is_up(&name) || c.node(&name).taken_over {
                continue;
            }
            let everything = changed.everything || !self.stood.contains_key(&name);
            let is_content = everything || !changed.content.is_empty();
            if is_content {
                let of = |entity: &EntityId| everything || changed.content.contains(entity);
                let now = how_it_stands(c, world, (&name, documents), of);
                let stood = self.stood.entry(name.clone()).or_default();
                stood.retain(|entity, _| !of(entity));
                for (entity, now) in now {
                    stood.insert(entity, once(self.recent.entry(entity).or_default(), now));
                }
            }
            for (frame, before) in changed.sent {
                let mut word: Word =
                    before.into_iter().map(|(entity, stood)| (entity, vec![stood])).collect();
                for (entity, stood) in self.stood.get(&name).into_iter().flatten() {
                    word.entry(*entity).or_default().push(Rc::clone(stood));
                }
                self.told.entry(name.clone()).or_default().insert(frame, word);
            }
            // Whatever else a peer does is looked at when that is.
            let now = (c.node(&name).machine.claims(), c.node(&name).machine.unkept());
            if is_content || changed.heard || self.claimed.get(&name) != Some(&now) {
                self.look_at(c, world, &name, &now)?;
                self.claimed.insert(name, now);
            }
        }
        Ok(())
    }

    fn look_at(
        &mut self,
        c: &Cluster,
        world: &World,
        name: &str,
        (claims, unkept): &(Vec<Claim>, BTreeSet<Unkept>),
    ) -> Result<(), Violation> {
        // The chats of an entity can be compared where all of its documents are said to be in sync.
        let mut whole: BTreeMap<(EntityId, DeviceKey), bool> = BTreeMap::new();
        for claim in claims {
            *whole.entry((claim.entity, claim.device)).or_insert(true) &= claim.state == SyncState::InSync;
        }
        // Nor does it show all of what it does not keep.
        let is_kept = |entity: &EntityId| !unkept.iter().any(|unkept| unkept.entity == *entity);
        whole.iter_mut().for_each(|((entity, _), whole)| *whole &= is_kept(entity));
        let (sessions, heard) = (self.sessions.get(name), self.heard.get(name));
        let stood = self.stood.get(name);
        let mut said: BTreeMap<DocumentKey, BTreeMap<String, bool>> = BTreeMap::new();
        for claim in claims.iter().filter(|claim| claim.state == SyncState::InSync) {
            let peer = sessions.and_then(|sessions| sessions.get(&claim.device));
            let is_heeded = |peer: &&String| world.is_honest(peer) && !c.node(peer).taken_over;
            let Some(peer) = peer.filter(is_heeded) else { continue };
            let whole = whole.get(&(claim.entity, claim.device)) == Some(&true);
            let pair = Pair { name, peer, document: claim.document, whole };
            let ours = stood.and_then(|stood| stood.get(&claim.entity));
            let heard = heard.and_then(|heard| heard.get(peer)?.get(&claim.entity));
            if let (Some(ours), Some(theirs)) = (ours, heard) {
                pair.equal_any(ours, theirs)?;
            }
            let mutual = self.said.get(peer).and_then(|said| said.get(&claim.document)?.get(name));
            // Who could not save something has forgotten it again, after it told of it.
            let failed = c.node(name).disk.failed || c.node(peer).disk.failed;
            let now = self.stood.get(peer).filter(|_| !failed).and_then(|stood| stood.get(&claim.entity));
            if let (Some(their_whole), Some(ours), Some(theirs)) = (mutual, ours, now) {
                let pair = Pair { whole: whole && *their_whole, ..pair };
                pair.equal(ours, theirs, "and both say so")?;
            }
            said.entry(claim.document).or_default().insert(peer.clone(), whole);
        }
        self.said.insert(name.to_owned(), said);
        Ok(())
    }

    /// Looks at pairs between which nothing is under way and nothing is left to be told: there one
    /// word is enough.
    pub(super) fn look_at_rest(&self, c: &Cluster, names: &[String]) -> Result<(), Violation> {
        let of_names = self.said.iter().filter(|(name, _)| names.contains(name));
        for (name, document, peers) in
            of_names.flat_map(|(name, said)| said.iter().map(move |(d, p)| (name, d, p)))
        {
            for (peer, whole) in peers.iter().filter(|(peer, _)| names.contains(peer)) {
                let (ours, theirs) = (self.stood.get(name), self.stood.get(peer));
                let both = ours.into_iter().flatten().filter_map(|(entity, ours)| {
                    let theirs = theirs?.get(entity)?;
                    let is_there = |stood: &Stood| stood.heads.contains_key(document);
                    (is_there(ours) || is_there(theirs)).then_some((ours, theirs))
                });
                for (ours, theirs) in both.filter(|_| c.are_connected(name, peer)) {
                    let pair = Pair { name, peer, document: *document, whole: *whole };
                    pair.equal(ours, theirs, "and nothing is under way")?;
                }
            }
        }
        Ok(())
    }
}

/// Two nodes of which one says that a document is in sync with the other's.
#[derive(Clone, Copy, Debug)]
struct Pair<'a> {
    name: &'a str,
    peer: &'a str,
    document: DocumentKey,
    /// It says so of all documents of the entity.
    whole: bool,
}

impl Pair<'_> {
    /// What one holds is what the other held at one of these moments at least, when it told.
    fn equal_any(&self, ours: &Rc<Stood>, theirs: &[Rc<Stood>]) -> Result<(), Violation> {
        let mut judged = theirs.iter().map(|theirs| self.equal(ours, theirs, "as it was when it told"));
        let first = judged.next().unwrap_or(Ok(()));
        first.or_else(|broken| judged.find(Result::is_ok).unwrap_or(Err(broken)))
    }

    fn equal(&self, ours: &Rc<Stood>, theirs: &Rc<Stood>, when: &str) -> Result<(), Violation> {
        if Rc::ptr_eq(ours, theirs) {
            return Ok(());
        }
        let what = || format!("{} says that it is in sync with {}, {when}, but", self.name, self.peer);
        let same = ours.heads_of(&self.document) == theirs.heads_of(&self.document);
        demand(same, Rule::InSyncIsEqual, || {
            let (ours, theirs) = (ours.heads_of(&self.document), theirs.heads_of(&self.document));
            let head =
                |of: Option<&BTreeMap<LogId, LogHead>>, log| of.and_then(|heads| heads.get(log)).copied();
            let logs = ours.into_iter().chain(theirs).flat_map(BTreeMap::keys);
            let mut places =
                logs.map(|log| (log.device, log.incarnation, head(ours, log), head(theirs, log)));
            let place = places.find(|(_, _, ours, theirs)| ours != theirs);
            format!("{} they hold other logs of {}: {place:?}", what(), self.document)
        })?;
        for (at, shown) in ours.shown.iter().filter(|_| self.whole) {
            let Some(other) = theirs.shown.get(at) else { continue };
            demand(shown == other, Rule::InSyncIsEqual, || {
                let extra = |a: &[Line], b: &[Line]| a.iter().find(|line| !b.contains(line)).cloned();
                let differ = (extra(shown, other), extra(other, shown));
                let logs = if ours.heads == theirs.heads { "equal" } else { "other" };
                format!("{} they show another chat of group {at} from {logs} logs: {differ:?}", what())
            })?;
        }
        for (at, shown) in ours.things.iter().filter(|_| self.whole) {
            let differ = theirs.things.get(at).and_then(|other| things::differing(shown, other));
            demand(differ.is_none(), Rule::InSyncIsEqual, || {
                format!("{} they show other things in group {at}: {}", what(), differ.unwrap_or_default())
            })?;
        }
        Ok(())
    }
}

/// How a node stands with those entities, of which it has read all.
fn how_it_stands(
    c: &mut Cluster,
    world: &World,
    (name, documents): (&str, &mut Documents),
    of: impl Fn(&EntityId) -> bool,
) -> BTreeMap<EntityId, Stood> {
    let mut stood: BTreeMap<EntityId, Stood> = BTreeMap::new();
    let mut whole = BTreeMap::new();
    for holding in c.holdings(name).filter(|holding| of(&holding.entity())) {
        let of = stood.entry(holding.entity()).or_default();
        of.heads.insert(holding.document(), holding.heads().clone());
        *whole.entry(holding.entity()).or_insert(true) &= holding.is_read();
    }
    for (at, group) in world.groups.iter().enumerate() {
        let root = world.groups.get(world.root_of(at)).map_or(group.id, |root| root.id);
        if whole.get(&root) != Some(&true) {
            continue;
        }
        if let (Some(of), Some(shown)) = (stood.get_mut(&root), documents.chat(c, world, name, at)) {
            // Who knows first that all know of a deletion forgets first.
            let shown = shown.iter().filter(|view| !view.message.deleted);
            of.shown.insert(at, shown.map(line).collect());
            of.things.insert(at, documents.things(c, world, name, at));
        }
    }
    // What is being read shows nothing that could be compared.
    stood.retain(|entity, _| whole.get(entity) == Some(&true));
    stood
}

/// Keeps what is equal once.
fn once(recent: &mut VecDeque<Rc<Stood>>, now: Stood) -> Rc<Stood> {
    if let Some(known) = recent.iter().rev().find(|known| ***known == now) {
        return Rc::clone(known);
    }
    let now = Rc::new(now);
    recent.push_back(Rc::clone(&now));
    if recent.len() > RECENT_MAX {
        recent.pop_front();
    }
    now
}

fn line(view: &MessageView) -> Line {
    let reactions = view.reactions.iter().map(|(emoji, by)| (emoji.clone(), by.len())).collect();
    (view.message.id, view.message.text.clone(), view.author.person, reactions)
}
