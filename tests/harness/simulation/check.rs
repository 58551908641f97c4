//! Safety: looks at every event of every honest machine, and says what must never be.
//!
//! Only what changed is looked at. What machines write and answer is held against their disks as
//! the event comes; what they show is read from them, as a person would, once its effects are
//! carried out. Invariant: nothing here asks a machine what another part of it decided, where the
//! harness can know it from bytes that left the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::checkpoint::Checkpoint;
use fourword_protocol::command::{Command, CommandId, FaultKind, Notice, Outcome, Reply};
use fourword_protocol::effect::Effect;
use fourword_protocol::envelope::Envelope;
use fourword_protocol::event::Event;
use fourword_protocol::ids::{Digest, EntityId, EnvelopeHash, LogHead, LogId, StatementId};
use fourword_protocol::limits::{self, LIVE_SEGMENTS_MAX};
use fourword_protocol::queues::Queues;
use fourword_protocol::record::{BatchId, Page, Query, Record};
use fourword_protocol::roster::{Body, Roster};
use fourword_protocol::schema::Concern;
use fourword_storage::Store;

use super::claims::Claims;
use super::forgotten::Forgotten;
use super::rosters::Rosters;
use super::shown::{Documents, Shown};
use super::verdict::{Rule, Violation, demand};
use super::wanted::{self, Wanted};
use super::world::{Intent, Promise, Saved, What, World};
use crate::cluster::{Cluster, Happened};

/// For how long a node may have too many segments in memory: twice as long as one stays that nobody uses.
const CROWDED_MS_MAX: u64 = 10_000;

/// What the checkers have seen.
#[derive(Debug, Default)]
pub struct Checker {
    /// Which run of which node began each log.
    began: BTreeMap<LogId, (String, u64)>,
    /// What honest devices wrote at each position of their logs.
    pub(super) written: BTreeMap<(LogId, u64), EnvelopeHash>,
    /// The envelopes that hold what people were told is saved: disks forget what they have folded.
    pub(super) promised: BTreeMap<(LogId, u64), Envelope>,
    /// Envelopes of our own in batches that are on their way to the disk.
    under_way: BTreeMap<(String, u64, BatchId), Vec<(LogId, u64)>>,
    /// Where each log stands that a node stores, by what it wrote.
    heads: BTreeMap<String, BTreeMap<LogId, LogHead>>,
    pub(super) rosters: Rosters,
    /// Envelopes that honest devices wrote: by whom, and how many statements it knew.
    pub(super) authored: Vec<Authored>,
    pub(super) shown: Shown,
    /// When the last home was lost.
    pub(super) home_lost_at: Option<u64>,
    pub(super) claims: Claims,
    pub(super) forgotten: Forgotten,
    /// What nodes that were just started have on their disks as wanted.
    wanted: BTreeMap<String, BTreeSet<Wanted>>,
    /// The checkpoints of all snapshots that honest nodes wrote.
    checkpoints: BTreeMap<Digest, Checkpoint>,
    /// How many snapshots were written.
    pub(super) folds: u64,
    /// Since when nodes have more segments in memory than may be.
    crowded: BTreeMap<String, u64>,
    /// A node to be crashed as soon as it says that something is saved.
    pub(super) crash_at_answer: Option<String>,
    /// A node to be crashed now, and how many batches have reached its disk.
    pub(super) to_crash: Option<(String, usize)>,
}

/// An envelope that an honest device wrote.
#[derive(Clone, Debug)]
pub(super) struct Authored {
    pub(super) node: String,
    pub(super) entity: EntityId,
    pub(super) epoch: StatementId,
    /// How many of the statements that the node knows in the end it knew then.
    pub(super) knew: usize,
    pub(super) run: u64,
}

impl Checker {
    /// Looks at one event and its effects, before they are carried out.
    pub(super) fn look(&mut self, c: &mut Cluster, world: &mut World, h: &Happened) -> Result<(), Violation> {
        if !world.is_honest(&h.name) {
            return Ok(());
        }
        match &h.event {
            Event::Loaded(_, Ok(Page::Opening { locals, statements, heads, .. })) => {
                self.wanted.insert(h.name.clone(), wanted::wanted(locals, heads));
                self.opened((&h.name, c.node(&h.name).run), statements, heads, world);
            }
            Event::Durable(batch) => self.durable(c, h, *batch)?,
            // What could not be shown before it was read can be now.
            Event::Loaded(..) => self.shown.note_all(&h.name, world),
            _ => {}
        }
        if let Some(Effect::Listen(secret)) = h.effects.iter().find(|e| matches!(e, Effect::Listen(_))) {
            world.devices.entry(secret.key()).or_default().insert(h.name.clone());
        }
        let published: Vec<Envelope> = h
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Publish(_, bytes) => Envelope::read(bytes).ok(),
                _ => None,
            })
            .collect();
        for envelope in &published {
            self.wrote(c, &h.name, envelope)?;
        }
        for effect in &h.effects {
            match effect {
                Effect::Write(batch) => {
                    for record in &batch.records {
                        self.record(c, world, (&h.name, batch.id), record, &published)?;
                        if let Record::Forget { document } = record {
                            self.forgets(c, world, (&h.name, *document))?;
                        }
                    }
                }
                Effect::Answer(id, outcome) => self.answer(c, world, h, *id, outcome)?,
                Effect::Notify(Notice::ChatChanged { entity, .. }) => {
                    if let Some(group) = world.group_of(*entity) {
                        self.shown.note_chat(&h.name, group);
                    }
                }
                Effect::Notify(Notice::ThingsChanged { entity, .. }) => {
                    if let Some(group) = world.group_of(*entity) {
                        self.shown.note_things(&h.name, group);
                    }
                }
                Effect::Notify(Notice::AcceptanceChanged(_)) => self.shown.note_documents(&h.name, world),
                _ => {}
            }
        }
        self.claims.note(c, h);
        self.forgotten.heard(c, h)?;
        if h.effects.iter().any(moves_frontier) {
            // Who has lapsed right now may speak, and be awaited again, before anybody looks around.
            self.look_at_frontiers(c, world, &h.name)?;
        }
        self.look_at_pruned(c, world, h)
    }

    fn look_at_frontiers(&mut self, c: &Cluster, world: &World, name: &str) -> Result<(), Violation> {
        let run = (name.to_owned(), c.node(name).run);
        self.forgotten.look_around(c, world, name, |entity| self.rosters.now(&run, entity))
    }

    /// What is pruned is told as a change of its document.
    fn look_at_pruned(&mut self, c: &Cluster, world: &World, h: &Happened) -> Result<(), Violation> {
        let tells = |effect: &Effect| {
            let Effect::Notify(notice) = effect else { return false };
            matches!(notice, Notice::ChatChanged { .. } | Notice::ThingsChanged { .. })
        };
        if !h.effects.iter().any(tells) {
            return Ok(());
        }
        let run = (h.name.clone(), c.node(&h.name).run);
        self.forgotten.look(c, world, &h.name, |entity| self.rosters.now(&run, entity))
    }

    fn opened(
        &mut self,
        (name, run): (&str, u64),
        statements: &[(EntityId, StatementId, Vec<u8>)],
        heads: &[(EntityId, LogId, LogHead)],
        world: &World,
    ) {
        self.heads.insert(name.to_owned(), heads.iter().map(|(_, log, head)| (*log, *head)).collect());
        self.rosters.opened((name.to_owned(), run), statements);
        self.shown.note_all(name, world);
    }

    // -- what is written ----------------------------------------------------------------------

    /// An honest device has written an envelope: nowhere it wrote another one there.
    fn wrote(&mut self, c: &Cluster, name: &str, envelope: &Envelope) -> Result<(), Violation> {
        let (log, sequence, run) = (envelope.header.log, envelope.header.sequence, c.node(name).run);
        let before = self.written.insert((log, sequence), envelope.hash());
        let place = || format!("{name} at {sequence} of its log {:016x}", log.incarnation.0);
        demand(before.is_none_or(|before| before == envelope.hash()), Rule::NoHonestFork, || {
            format!("{} wrote twice", place())
        })?;
        let now = (name.to_owned(), run);
        let of = self.began.entry(log).or_insert_with(|| now.clone());
        if *of != now {
            let follows = of.0 == name && of.1 >= c.node(name).clean_since;
            demand(follows, Rule::IncarnationIsNew, || {
                format!("{} goes on with a log of run {} of {}", place(), of.1, of.0)
            })?;
            *of = now;
        }
        Ok(())
    }

    fn record(
        &mut self,
        c: &Cluster,
        world: &World,
        (name, batch): (&str, BatchId),
        record: &Record,
        published: &[Envelope],
    ) -> Result<(), Violation> {
        match record {
            Record::Envelope { entity, log, sequence, hash, bytes } => {
                if let Some(own) = published.iter().find(|envelope| envelope.hash() == *hash) {
                    let run = c.node(name).run;
                    self.under_way.entry((name.to_owned(), run, batch)).or_default().push((*log, *sequence));
                    self.promised.insert((*log, *sequence), own.clone());
                    self.authored.push(Authored {
                        node: name.to_owned(),
                        entity: *entity,
                        epoch: own.header.epoch,
                        knew: self.rosters.known(&(name.to_owned(), run)).len(),
                        run,
                    });
                }
                self.chain(world, name, (*log, *sequence), bytes)?;
            }
            Record::Statement { entity, id, bytes } => {
                self.rosters.took((name.to_owned(), c.node(name).run), *entity, *id, bytes);
                if let Some(group) = world.groups.iter().position(|group| group.id == *entity) {
                    self.shown.note_members(name, group);
                }
            }
            Record::Snapshot { covers, .. } => {
                let heads = self.heads.entry(name.to_owned()).or_default();
                for (log, head) in covers {
                    let held = heads.entry(*log).or_insert(*head);
                    *held = if held.sequence < head.sequence { *head } else { *held };
                }
                self.folds += 1;
            }
            Record::SnapshotPart { part: 0, bytes, .. } => {
                let checkpoint = checkpoint_of(bytes).ok_or_else(|| {
                    Violation::new(Rule::LogIsWhole, format!("{name} writes a snapshot without a checkpoint"))
                })?;
                self.checkpoints.insert(checkpoint.name(), checkpoint);
            }
            Record::Forget { document } => {
                let heads = self.heads.entry(name.to_owned()).or_default();
                heads.retain(|log, _| log.document != *document);
            }
            Record::SnapshotPart { .. } | Record::Local { .. } => {}
        }
        Ok(())
    }

    /// What a node stores of an honest device's log follows what it stored before.
    fn chain(
        &mut self,
        world: &World,
        name: &str,
        (log, sequence): (LogId, u64),
        bytes: &[u8],
    ) -> Result<(), Violation> {
        if !world.is_device_honest(&log.device) {
            return Ok(());
        }
        let Ok(envelope) = Envelope::read(bytes) else {
            return Err(Violation::new(Rule::LogIsWhole, format!("{name} stores what is no envelope")));
        };
        let heads = self.heads.entry(name.to_owned()).or_default();
        let head = heads.get(&log).copied();
        let (at, hash) = head.map_or((0, EnvelopeHash([0; 32])), |head| (head.sequence, head.hash));
        if sequence <= at {
            return Ok(());
        }
        let follows = sequence == at + 1 && envelope.header.previous == hash;
        demand(follows, Rule::LogIsWhole, || {
            format!(
                "{name} stores {sequence} of a log of {:?}, of which it has {at}, or not what follows that",
                world.devices.get(&log.device)
            )
        })?;
        heads.insert(log, envelope.head());
        Ok(())
    }

    /// A batch is on disk: what it holds of our own can be read there.
    fn durable(&mut self, c: &Cluster, h: &Happened, batch: BatchId) -> Result<(), Violation> {
        let key = (h.name.clone(), c.node(&h.name).run, batch);
        for (log, sequence) in self.under_way.get(&key).into_iter().flatten() {
            demand(is_stored(c, &h.name, log, *sequence), Rule::SavedIsDurable, || {
                format!("{} was told that {sequence} of a log is on disk, and it is not", h.name)
            })?;
        }
        Ok(())
    }

    /// What is answered as saved is on disk at that moment.
    fn answer(
        &mut self,
        c: &Cluster,
        world: &mut World,
        h: &Happened,
        id: CommandId,
        outcome: &Outcome,
    ) -> Result<(), Violation> {
        let Some(intent) = world.asked.remove(&(h.name.clone(), id)) else { return Ok(()) };
        let is_done = matches!(outcome, Outcome::Done(_));
        let thing = match (&intent, outcome) {
            (Intent::Make { .. }, Outcome::Done(Reply::Message(id) | Reply::Thing(id))) => Some(*id),
            (Intent::Delete { thing }, Outcome::Done(_)) => Some(*thing),
            _ => None,
        };
        let types = match &intent {
            // What was taken back before it was made leaves nothing to be saved.
            Intent::Type(stroke) => is_done && (is_durable(h) || !world.typed.is_nothing(stroke)),
            _ => false,
        };
        let writes = types
            || thing.is_some()
            || (is_done && matches!(intent, Intent::Remove { .. } | Intent::Leave { .. }));
        demand(!(writes && c.node(&h.name).disk.failed), Rule::ReadOnlyAfterFailure, || {
            format!("{} calls something saved although its disk has failed", h.name)
        })?;
        if types || thing.is_some() {
            let promise = self.promise(c, h)?;
            match (&intent, thing) {
                (Intent::Type(stroke), _) => world.typed.saved(stroke, &promise),
                (Intent::Make { group, what, text }, Some(thing)) => {
                    let author = world.owner(&h.name).unwrap_or(0);
                    let (text, group, what) = (text.clone(), *group, *what);
                    world.saved.insert(thing, Saved { text, group, what, author, promise });
                    world.done.count(what.made());
                }
                (_, Some(thing)) => {
                    world.deleted.entry(thing).or_default().push(promise);
                    let of_chat = |saved: &Saved| saved.what == What::Message;
                    let is_message = world.saved.get(&thing).is_none_or(of_chat);
                    world.done.count(if is_message { "messages deleted" } else { "things deleted" });
                }
                (_, None) => {}
            }
            if self.crash_at_answer.as_ref() == Some(&h.name) {
                self.crash_at_answer = None;
                self.to_crash = Some((h.name.clone(), 0));
            }
        }
        world.answered(&h.name, &intent, outcome);
        Ok(())
    }

    /// The envelope that holds what is being answered, which this very event says is on disk.
    fn promise(&self, c: &Cluster, h: &Happened) -> Result<Promise, Violation> {
        let none = || {
            let what = format!(
                "{} calls something saved at {:?}, which put nothing on its disk",
                h.name,
                kind(&h.event)
            );
            Violation::new(Rule::SavedIsDurable, what)
        };
        let Event::Durable(batch) = &h.event else { return Err(none()) };
        let of_batch = self.under_way.get(&(h.name.clone(), c.node(&h.name).run, *batch));
        let (log, sequence) = of_batch.and_then(|all| all.first()).copied().ok_or_else(none)?;
        demand(is_stored(c, &h.name, &log, sequence), Rule::SavedIsDurable, || {
            format!("{} calls saved what is not on its disk", h.name)
        })?;
        Ok(Promise { node: h.name.clone(), log, sequence, given_up: false, untold: false })
    }

    /// The roster that a node knew when it wrote an envelope.
    pub(super) fn roster_when(&self, entity: EntityId, written: &Authored) -> Option<Rc<Roster>> {
        self.rosters.when(&(written.node.clone(), written.run), entity, written.knew)
    }

    /// Whether a node has taken a statement.
    pub(super) fn knows(&self, c: &Cluster, name: &str, id: &StatementId) -> bool {
        let known = self.rosters.known(&(name.to_owned(), c.node(name).run));
        known.iter().any(|(_, known)| known == id)
    }

    /// The roster of an entity as a node's disk has it.
    pub(super) fn roster_at(&self, c: &Cluster, name: &str, entity: EntityId) -> Option<Rc<Roster>> {
        self.rosters.of(entity, c.remembered(name).statements.into_iter().map(|(_, id, _)| id))
    }

    /// Whether this holds of any roster by which an envelope was folded: that decides about it for good.
    pub(super) fn was_folded_where(&self, envelope: &Envelope, holds: impl Fn(&Roster) -> bool) -> bool {
        let (log, sequence) = (envelope.header.log, envelope.header.sequence);
        let covers = |checkpoint: &&Checkpoint| {
            checkpoint.logs.get(&log).is_some_and(|reached| reached.head.sequence >= sequence)
        };
        let folds = self.checkpoints.values().filter(covers);
        let mut rosters = folds.filter_map(|fold| self.rosters.at(fold.entity, &fold.heads));
        rosters.any(|roster| holds(&roster))
    }

    // -- homes --------------------------------------------------------------------------------

    /// A node is about to be started again: all it promised is in its home.
    pub(super) fn restarts(&self, c: &Cluster, world: &World, name: &str) -> Result<(), Violation> {
        for promise in world.promises().filter(|promise| promise.node == name && !promise.given_up) {
            demand(is_stored(c, name, &promise.log, promise.sequence), Rule::SavedIsDurable, || {
                format!("{name} called saved what its disk does not hold after a crash")
            })?;
        }
        Ok(())
    }

    /// A home is lost: what nobody else holds of what was promised is lost with it.
    pub(super) fn loses_home(&mut self, c: &Cluster, world: &mut World, name: &str) {
        self.home_lost_at = Some(c.now());
        let others: Vec<String> =
            world.nodes.keys().filter(|of| *of != name && world.is_honest(of)).cloned().collect();
        for promise in world.promises_mut() {
            let held = others.iter().find(|of| stays_stored(c, of, promise));
            match held {
                // From now on it is whoever else has it that must keep it.
                Some(other) if promise.node == name => {
                    promise.node.clone_from(other);
                    promise.untold |= promise.sequence <= c.node(other).disk.store.covered(&promise.log);
                }
                Some(_) => {}
                None => promise.given_up |= promise.node == name,
            }
        }
    }

    // -- what is shown ------------------------------------------------------------------------

    /// Looks at what changed in what machines show, once effects are carried out.
    pub(super) fn look_after(&mut self, c: &mut Cluster, world: &World) -> Result<(), Violation> {
        let mut documents = Documents::default();
        self.shown.look(c, world, &self.rosters, &mut documents)?;
        for (name, wanted) in std::mem::take(&mut self.wanted) {
            wanted::judge(c, &name, &wanted)?;
        }
        self.claims.look(c, world, &mut documents)
    }

    /// What is looked at between two steps: queues, and evidence against the honest.
    pub(super) fn look_around(&mut self, c: &mut Cluster, world: &mut World) -> Result<(), Violation> {
        let names: Vec<String> = world.nodes.keys().filter(|name| world.is_honest(name)).cloned().collect();
        for name in names {
            if !c.is_up(&name) {
                self.crowded.remove(&name);
                continue;
            }
            queues(&name, &c.queues(&name))?;
            self.look_at_segments(c, &name)?;
            self.look_at_frontiers(c, world, &name)?;
            let Some(Reply::Status(status)) = c.peek(&name, Command::Status) else { continue };
            for fault in status.faults {
                let is_fork = fault.kind != FaultKind::UnknownVersion;
                let honest = world.is_device_honest(&fault.device);
                demand(!(is_fork && honest), Rule::NoHonestFork, || {
                    format!("{name} has evidence against an honest device: {:?} {}", fault.kind, fault.detail)
                })?;
            }
        }
        Ok(())
    }

    /// Of no series more segments are in memory than may be, but those in which something waits, and for a
    /// moment those in which something has.
    fn look_at_segments(&mut self, c: &Cluster, name: &str) -> Result<(), Violation> {
        let mut in_memory: BTreeMap<(EntityId, Concern), usize> = BTreeMap::new();
        for holding in c.holdings(name).filter(|holding| holding.is_in_memory() && !holding.is_held()) {
            *in_memory.entry((holding.place(), holding.segment().0)).or_default() += 1;
        }
        let Some(too_many) = in_memory.into_iter().find(|(_, count)| *count > LIVE_SEGMENTS_MAX) else {
            self.crowded.remove(name);
            return Ok(());
        };
        let since = *self.crowded.entry(name.to_owned()).or_insert(c.now());
        demand(c.now() - since <= CROWDED_MS_MAX, Rule::SegmentsRest, || {
            format!("{name} has had in memory since {since} ms: {too_many:?}")
        })
    }
}

/// Whether a frontier is written, which is done whenever one moves.
fn moves_frontier(effect: &Effect) -> bool {
    let is_frontier = |record: &Record| matches!(record, Record::Local { key, .. } if key.kind == "frontier");
    matches!(effect, Effect::Write(batch) if batch.records.iter().any(is_frontier))
}

fn kind(event: &Event) -> String {
    format!("{event:?}").chars().take_while(char::is_ascii_alphabetic).collect()
}

/// The checkpoint with which the first part of a snapshot begins.
fn checkpoint_of(part: &[u8]) -> Option<Checkpoint> {
    let (length, rest) = part.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Checkpoint::read(rest.get(..length)?).ok()
}

/// What a statement says of how far logs were held.
pub(super) fn vectors(body: &Body) -> &[(LogId, LogHead)] {
    match body {
        Body::Remove { vectors, .. }
        | Body::SetRole { vectors, .. }
        | Body::Leave { vectors }
        | Body::Revoke { vectors, .. }
        | Body::Held { vectors, .. } => vectors,
        _ => &[],
    }
}

/// Whether a disk holds this position of a log, as an envelope or in a snapshot.
fn is_durable(h: &Happened) -> bool {
    matches!(h.event, Event::Durable(_))
}

pub(super) fn is_stored(c: &Cluster, name: &str, log: &LogId, sequence: u64) -> bool {
    if sequence <= c.node(name).disk.store.covered(log) {
        return true;
    }
    let query = Query::Log { log: *log, after: sequence - 1, bytes_max: 1, except: Vec::new() };
    let page = c.node(name).disk.store.read(&query);
    let Ok(Page::Envelopes { envelopes, .. }) = page else { return false };
    let first = envelopes.first().and_then(|bytes| Envelope::read(bytes).ok());
    first.is_some_and(|envelope| envelope.header.sequence == sequence)
}

/// Whether a node's disk holds what was promised, and was not asked to forget it.
pub(super) fn stays_stored(c: &Cluster, name: &str, promise: &Promise) -> bool {
    let stays = !c.node(name).disk.may_forget(promise.log.document);
    stays && is_stored(c, name, &promise.log, promise.sequence)
}

/// What others cause is held within the limits.
pub(super) fn queues(name: &str, held: &Queues) -> Result<(), Violation> {
    let bounds = [
        ("waiting envelopes", held.waiting_envelopes, limits::WAITING_ENVELOPES_MAX),
        ("bytes of waiting envelopes", held.waiting_envelope_bytes, limits::WAITING_ENVELOPE_BYTES_MAX),
        ("waiting statements", held.waiting_statements, limits::WAITING_STATEMENTS_MAX),
        ("names that wait", held.stretches_waiting, limits::STRETCHES_WAITING_MAX),
        ("requests", held.requests, limits::REQUESTS_MAX),
        ("denials", held.denials, limits::REQUESTS_MAX),
        ("documents of one peer", held.peer_documents, 4 * limits::STATE_DOCUMENTS_MAX),
        ("logs of one peer", held.peer_logs, 16 * limits::FRAME_LOGS_MAX),
        ("bytes of a snapshot", held.snapshot_bytes, limits::SNAPSHOT_PACKED_BYTES_MAX),
    ];
    for (what, count, most) in bounds {
        demand(count <= most, Rule::QueueIsBounded, || {
            format!("{name} holds {count} {what}; {most} are the most")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_past_its_limit_is_found() {
        let held = Queues { waiting_envelopes: limits::WAITING_ENVELOPES_MAX, ..Queues::default() };
        assert_eq!(queues("ada", &held), Ok(()));
        let held = Queues { waiting_envelopes: limits::WAITING_ENVELOPES_MAX + 1, ..Queues::default() };
        assert_eq!(queues("ada", &held).map_err(|v| v.rule), Err(Rule::QueueIsBounded));
    }
}
