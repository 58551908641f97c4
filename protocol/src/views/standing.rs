//! Says how each document stands, here and with each other member's device, and why.
//!
//! The status that people see, the claims that the simulator checks and the notice that something
//! changed come from the same few lines, so none can say what the others do not. `InSync` is said
//! only where both sides told equal rosters, vectors and content, and all of ours is sealed and
//! read. What a device claims to hold makes its own line say so, and nobody else's.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::SyncState::{
    self, Alone, Behind, Diverged, InSync, NotMember, Unconfirmed, WaitingForKey,
};
use crate::command::{CommandId, DocumentSync, Kind, Notice, Outcome, PeerSync, Refusal, Reply};
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogHead, LogId, PersonId};
use crate::keeping::{Series, Stopped};
use crate::planted::{self, Planted};
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema;
use crate::session::Shared;
use crate::waiting::Want;
use crate::words::FourWords;

use super::shown_names;

const UNCONFIRMED: &str =
    "the earlier entries came as a snapshot for which one person vouches; another must confirm it";

const UNKEPT: &str = "this device does not keep it; `fourword document keep` brings it back";

/// How one document stands, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) document: DocumentKey,
    /// The entity or child that it belongs to.
    pub(crate) of: EntityId,
    /// What is so here, whatever peers say; `InSync` if nothing stands in the way.
    pub(crate) here: SyncState,
    /// With each other member's device.
    pub(crate) lines: Vec<Line>,
}

/// How one document stands with one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) person: PersonId,
    pub(crate) device: DeviceKey,
    pub(crate) state: SyncState,
    pub(crate) why: Why,
}

/// Why a document stands with a device as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nothing is missing.
    Equal,
    /// The device is not connected; whether all was equal when it was.
    Away { was_equal: bool },
    /// The device is not connected, and showed so many envelopes that have not come.
    Showed(u64),
    /// The device does not keep the document.
    Stopped,
    /// The same, and before it had shown so many envelopes that have not come from anybody.
    Left(u64),
    /// It has not said how it stands.
    Untold,
    /// It does not know of the document yet.
    Unopened,
    /// It keeps this one only once somebody opens it there.
    Closed,
    /// One of the two knows statements that the other does not.
    Rosters,
    /// An edit of ours is not sealed yet.
    Unsealed,
    /// The document is being read here.
    Unread,
    /// The document is being read there.
    UnreadThere,
    /// So many envelopes have not come here, and so many have not come there.
    Lacking { here: u64, there: u64 },
    /// So many of its own envelopes came and cannot be read.
    Keyless(u64),
    /// The logs differ, and nobody has said by what.
    Differing,
    /// Equal logs show other content.
    Content,
    /// Its logs part from ours.
    Forked,
}

/// How the documents of an entity were last said to stand with each device; under this device's own
/// key, what is so here.
pub(crate) type Said = BTreeMap<DeviceKey, BTreeMap<DocumentKey, SyncState>>;

/// What is looked up once for all documents of an entity and all peers.
struct Ours<'a> {
    entity: &'a Entity,
    roster: Digest,
    is_member: bool,
}

impl Standing {
    /// The worst of what is so here and with each device. Who is away changes nothing while
    /// somebody is there.
    pub(crate) fn state(&self) -> SyncState {
        let lines = self.lines.iter().map(|line| line.state).filter(|state| *state != Alone);
        match (lines.max(), self.here) {
            (Some(worst), here) => worst.max(here),
            (None, InSync) => Alone,
            (None, here) => here,
        }
    }
}

impl Replicator {
    pub(crate) fn sync_status(&mut self, id: CommandId, words: Option<FourWords>) -> Result<(), Refusal> {
        let places: Vec<(&Entity, EntityId)> = match words {
            Some(words) => vec![self.place(words).ok_or_else(|| crate::asking::unknown(words))?],
            None => self.shown().flat_map(|e| e.places().map(move |place| (e, place))).collect(),
        };
        let mut documents = Vec::new();
        let mut standings: BTreeMap<EntityId, Vec<Standing>> = BTreeMap::new();
        for (entity, place) in places {
            let standings = standings.entry(entity.id).or_insert_with(|| self.standings(entity));
            let is_begun =
                |document: &DocumentKey| entity.replicas.get(document).is_some_and(|r| !r.is_blank());
            let of_place = standings.iter().filter(|s| s.of == place && is_begun(&s.document));
            documents.extend(of_place.filter_map(|standing| self.in_words(entity, standing)));
            documents.extend(self.unkept_in_words(entity, place));
        }
        let joins = if words.is_none() { self.joins_under_way() } else { Vec::new() };
        self.out.answer(id, Outcome::Done(Reply::Sync { documents, joins }));
        Ok(())
    }

    /// How every document of an entity and its children stands.
    pub(crate) fn standings(&self, entity: &Entity) -> Vec<Standing> {
        let ours = self.ours(entity);
        entity.documents().map(|replica| self.standing(&ours, replica)).collect()
    }

    fn ours<'a>(&self, entity: &'a Entity) -> Ours<'a> {
        let is_member = self.me.as_ref().is_some_and(|me| entity.member(me.key()).is_some());
        Ours { entity, roster: entity.roster.digest(), is_member }
    }

    /// Tells in which state each document of an entity and its children is with each other member's
    /// device.
    pub(crate) fn each_state(
        &self,
        entity: &Entity,
        mut tell: impl FnMut(DocumentKey, DeviceKey, SyncState),
    ) {
        let ours = self.ours(entity);
        for replica in entity.documents() {
            for (_, device) in self.others(&ours) {
                tell(replica.key, device, self.line(&ours, replica, device).0);
            }
        }
    }

    /// The devices of all members but this one; none where this person is not a member.
    fn others<'a>(&self, ours: &Ours<'a>) -> impl Iterator<Item = (PersonId, DeviceKey)> + use<'a> {
        let (me, is_member) = (self.me.as_ref().map(|me| me.key()), ours.is_member);
        let members = ours.entity.roster.reading().members.iter();
        let devices = members.flat_map(|(person, member)| member.devices.iter().map(move |d| (*person, *d)));
        devices.filter(move |(_, device)| is_member && Some(*device) != me)
    }

    fn standing(&self, ours: &Ours<'_>, replica: &Replica) -> Standing {
        let line = |(person, device): (PersonId, DeviceKey)| {
            let (state, why) = self.line(ours, replica, device);
            let why = if why == Why::Differing { self.lacking(ours, replica, device) } else { why };
            Line { person, device, state, why }
        };
        let lines = self.others(ours).map(line).collect();
        Standing { document: replica.key, of: replica.of, here: here(ours, replica), lines }
    }

    /// By what the logs of a document differ from those of one device, if that is known.
    fn lacking(&self, ours: &Ours<'_>, replica: &Replica, device: DeviceKey) -> Why {
        let shared = self.sessions.get(&device).and_then(|session| session.shared.get(&ours.entity.id));
        shared.map_or(Why::Differing, |shared| lacking(replica, shared))
    }

    /// How a document stands with one device. Where logs differ it does not look by what.
    fn line(&self, ours: &Ours<'_>, replica: &Replica, device: DeviceKey) -> (SyncState, Why) {
        let showed = replica.wants.beyond(&device, |log| replica.heads.length(log));
        if replica.stability.has_stopped(&device) {
            return if showed > 0 { (Behind, Why::Left(showed)) } else { (Alone, Why::Stopped) };
        }
        let Some(session) = self.sessions.get(&device) else {
            let equal = ours.entity.parted_equal.get(&device);
            let was_equal = equal.is_some_and(|documents| documents.contains(&replica.key));
            return if showed > 0 { (Behind, Why::Showed(showed)) } else { (Alone, Why::Away { was_equal }) };
        };
        let shared = session.shared.get(&ours.entity.id);
        let told = shared.and_then(|shared| Some((shared, shared.theirs.as_ref()?)));
        let Some((shared, theirs)) = told else { return (Behind, Why::Untold) };
        let keyless = replica.waiting.without_key(&device);
        let Some(there) = theirs.of(replica.key) else {
            return match replica.is_told() {
                true if replica.opens_at_once() => (Behind, Why::Unopened),
                true if replica.concern.opens_by_name() && showed == 0 => (Alone, Why::Closed),
                true => (Behind, lacking(replica, shared)),
                // It holds nothing here, and nothing there.
                false if ours.roster != theirs.roster => (Behind, Why::Rosters),
                false if !replica.is_sealed() => (Behind, Why::Unsealed),
                false if keyless > 0 => (WaitingForKey, Why::Keyless(keyless)),
                false => (InSync, Why::Equal),
            };
        };
        if planted::is(Planted::InSyncOnEqualLength) && lacking(replica, shared) == Why::Differing {
            return (InSync, Why::Equal);
        }
        if replica.heads.digest() != there.vector {
            let forked = is_forked(replica, shared);
            return if forked { (Diverged, Why::Forked) } else { (Behind, Why::Differing) };
        }
        match there.content {
            _ if ours.roster != theirs.roster => (Behind, Why::Rosters),
            _ if !replica.is_sealed() => (Behind, Why::Unsealed),
            None => (Behind, Why::UnreadThere),
            Some(there) => match ours.entity.content_of(replica) {
                None => (Behind, Why::Unread),
                Some(here) if here != there => (Diverged, Why::Content),
                Some(_) if keyless > 0 => (WaitingForKey, Why::Keyless(keyless)),
                Some(_) => (InSync, Why::Equal),
            },
        }
    }

    // -- changes ------------------------------------------------------------------------------

    /// Compares how an entity stands with what was said last, with all devices or with one.
    pub(crate) fn note_standing(&mut self, id: EntityId, with: Option<DeviceKey>) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get(&id).filter(|e| e.kind != Kind::Home) else { return };
        let members = entity.roster.reading().members.values();
        let devices: BTreeSet<DeviceKey> = members.flat_map(|m| m.devices.iter().copied()).collect();
        let ours = self.ours(entity);
        let noted: Vec<DeviceKey> = match with {
            Some(device) => devices.contains(&device).then_some(device).into_iter().collect(),
            None => devices.iter().copied().filter(|device| *device != me).chain([me]).collect(),
        };
        let mut said = self.said.remove(&id).unwrap_or_default();
        said.retain(|device, _| *device == me || devices.contains(device));
        for device in noted {
            let state = |replica: &Replica| match device == me || !ours.is_member {
                true => here(&ours, replica),
                false => self.line(&ours, replica, device).0,
            };
            let now = entity.documents().map(|replica| (replica.key, state(replica))).collect();
            let before = said.insert(device, now).unwrap_or_default();
            let now = said.get(&device).into_iter().flatten();
            let changed = now.filter(|(document, state)| before.get(document) != Some(state));
            let places = changed.filter_map(|(document, _)| entity.replicas.get(document));
            self.sync_changed.extend(places.map(|replica| replica.of));
        }
        self.said.insert(id, said);
    }

    /// Tells whoever listens what changed in this event: each entity once.
    pub(crate) fn notify_sync(&mut self) {
        for of in std::mem::take(&mut self.sync_changed) {
            if let Some(words) = self.names.entity(of) {
                self.out.notify(Notice::SyncChanged(words));
            }
        }
    }

    /// A device parts: which documents stood equal with it is remembered until it is back.
    pub(crate) fn note_parting(&mut self, device: DeviceKey) {
        let shared = self.sessions.get(&device).into_iter().flat_map(|session| session.shared.keys());
        for id in shared.copied().collect::<Vec<EntityId>>() {
            let Some(entity) = self.entities.get(&id).filter(|e| e.member(device).is_some()) else {
                continue;
            };
            let ours = self.ours(entity);
            let equal = entity.documents().filter(|r| self.line(&ours, r, device).0 == InSync);
            let equal: BTreeSet<DocumentKey> = equal.map(|replica| replica.key).collect();
            if let Some(entity) = self.entities.get_mut(&id) {
                let reading = entity.roster.reading();
                entity.parted_equal.retain(|device, _| reading.member_of(device).is_some());
                entity.parted_equal.insert(device, equal);
            }
        }
    }

    // -- in words -----------------------------------------------------------------------------

    fn in_words(&self, entity: &Entity, standing: &Standing) -> Option<DocumentSync> {
        let replica = entity.replicas.get(&standing.document)?;
        let words = self.names.entity(replica.of)?;
        let id = schema::document_id(entity.kind_of(replica.of)?, words, &replica.concern, replica.segment);
        let names = shown_names(entity);
        let peer = |line: &Line| PeerSync {
            person: self.person_view(line.person, &names),
            device: line.device,
            keeps: !matches!(line.why, Why::Stopped | Why::Left(_) | Why::Closed),
            state: line.state,
            behind: line.why.behind(),
            reason: self.why_in_words(entity, line),
        };
        let newer = replica.meets_newer.then_some(("for an update of this software", 1));
        let waiting = replica.waiting.in_words().into_iter().chain(newer);
        Some(DocumentSync {
            id,
            state: standing.state(),
            reason: self.reason(entity, replica, standing),
            peers: standing.lines.iter().map(peer).collect(),
            waiting: waiting.map(|(what, count)| (what.to_owned(), count)).collect(),
            unaccepted: replica.count_not_accepted(),
            tombstones: u64::try_from(replica.count_tombstones()).unwrap_or(u64::MAX),
        })
    }

    /// The documents of a place that this device does not keep: one line for each series.
    fn unkept_in_words(&self, entity: &Entity, place: EntityId) -> Vec<DocumentSync> {
        let Some((kind, words)) = entity.kind_of(place).zip(self.names.entity(place)) else {
            return Vec::new();
        };
        let first = entity.stopped.values().filter(|s| s.of == place && s.segment == 1);
        let line = |stopped: &Stopped| DocumentSync {
            id: schema::document_id(kind, words, &stopped.concern, stopped.segment),
            state: Alone,
            reason: UNKEPT.to_owned(),
            peers: Vec::new(),
            waiting: Vec::new(),
            unaccepted: 0,
            tombstones: 0,
        };
        first.map(line).collect()
    }

    /// The connected devices of other members and of this person that stand in sync with every segment
    /// of a series.
    pub(crate) fn in_sync_with(&self, id: EntityId, series: Series) -> Vec<DeviceKey> {
        let Some(entity) = self.entities.get(&id) else { return Vec::new() };
        let (ours, kept) = (self.ours(entity), entity.kept(series));
        let has_all =
            |device: &DeviceKey| kept.iter().all(|replica| self.line(&ours, replica, *device).0 == InSync);
        self.others(&ours).map(|(_, device)| device).filter(has_all).collect()
    }

    /// Why a document stands as it does: what is so here, else what its worst line says.
    fn reason(&self, entity: &Entity, replica: &Replica, standing: &Standing) -> String {
        let state = standing.state();
        if state == standing.here {
            match state {
                NotMember => return "you are not a member any more".to_owned(),
                WaitingForKey => return self.keys_awaited(entity, replica),
                Unconfirmed => return UNCONFIRMED.to_owned(),
                _ => {}
            }
        }
        let worst = standing.lines.iter().find(|line| line.state == state);
        match (state, worst) {
            (InSync, _) => String::new(),
            (Alone, _) if standing.lines.is_empty() => "no other device is a member".to_owned(),
            (Alone, _)
                if standing.lines.iter().any(|line| matches!(line.why, Why::Stopped | Why::Closed)) =>
            {
                "no other device that keeps this document is connected".to_owned()
            }
            (Alone, _) => "no other device is connected".to_owned(),
            (_, Some(line)) => self.why_in_words(entity, line),
            (_, None) => {
                let waits = replica.waiting.in_words();
                let waits = waits
                    .iter()
                    .map(|(what, count)| format!("{} came too early and waits {what}", entries(*count)));
                waits.collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Whose envelopes wait for the key of whose epoch.
    fn keys_awaited(&self, entity: &Entity, replica: &Replica) -> String {
        let awaited = replica.waiting.keys_awaited();
        let parts = awaited.into_iter().map(|((device, epoch), count)| {
            let opener = entity.roster.statement(&epoch).map(|statement| statement.author());
            let key = opener.map_or_else(
                || "a key that is not known here yet".to_owned(),
                |opener| format!("the key that {} made", self.whose(entity, opener)),
            );
            format!("{} of {} came without {key}", entries(count), self.whose(entity, device))
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    fn why_in_words(&self, entity: &Entity, line: &Line) -> String {
        let whose = self.whose(entity, line.device);
        match line.why {
            Why::Equal => String::new(),
            Why::Away { was_equal: true } => {
                format!("{whose} is not connected; it was in sync when last heard")
            }
            Why::Away { was_equal: false } => format!("{whose} is not connected"),
            Why::Showed(count) => {
                format!("{whose} is not connected and showed {} that have not come", entries(count))
            }
            Why::Stopped => format!("{whose} does not keep this document"),
            Why::Left(count) => {
                format!("{whose} does not keep this document, of which it had shown {} more", entries(count))
            }
            Why::Untold => format!("{whose} has not told yet how it stands"),
            Why::Unopened => format!("{whose} has not opened this document yet"),
            Why::Closed => format!("{whose} has not opened this text, and so does not keep it"),
            Why::Rosters => format!("{whose} and this one do not know of the same changes to who is in"),
            Why::Unsealed => "what you wrote is being saved".to_owned(),
            Why::Unread => "this document is still being read".to_owned(),
            Why::UnreadThere => format!("{whose} is still reading this document"),
            Why::Lacking { here: 0, there } => format!("{whose} lacks {}", entries(there)),
            Why::Lacking { here, there } => {
                let lacks = if there > 0 { format!(", and lacks {}", entries(there)) } else { String::new() };
                format!("{whose} has {} more than came here{lacks}", entries(here))
            }
            Why::Keyless(count) => format!("{} of {whose} came without the key to them", entries(count)),
            Why::Differing => {
                format!("{whose} does not hold the same entries; what is missing is being found out")
            }
            Why::Content => {
                format!("{whose} holds the same entries and shows other content: please report it")
            }
            Why::Forked => format!("{whose} holds another branch of a log that was written twice"),
        }
    }

    /// A device in one phrase.
    fn whose(&self, entity: &Entity, device: DeviceKey) -> String {
        let short = device.short();
        let person = entity.roster.person_of(&device);
        match person {
            Some(person) if self.me.as_ref().is_some_and(|me| me.person() == person) => {
                format!("your device {short}")
            }
            Some(person) => format!("device {short} of {}", self.naming(entity, person)),
            None => format!("device {short}"),
        }
    }
}

impl Why {
    /// How many envelopes the two lack of each other, as far as is known.
    fn behind(self) -> u64 {
        match self {
            Why::Lacking { here, there } => here.saturating_add(there),
            Why::Keyless(count) | Why::Showed(count) | Why::Left(count) => count,
            _ => 0,
        }
    }
}

/// What is so here, whatever peers say.
fn here(ours: &Ours<'_>, replica: &Replica) -> SyncState {
    if !ours.is_member {
        NotMember
    } else if replica.waiting.count(Want::Key) > 0 {
        WaitingForKey
    } else if replica.unconfirmed.is_some() {
        Unconfirmed
    } else if replica.waiting.is_empty() {
        InSync
    } else {
        Behind
    }
}

/// What both lack of each other, by the vector the peer last showed.
fn lacking(replica: &Replica, shared: &Shared) -> Why {
    let Some(theirs) = shared.vectors.get(&replica.key) else { return Why::Differing };
    match (beyond(theirs, &replica.heads), beyond(&replica.heads, theirs)) {
        (0, 0) => Why::Differing,
        (here, there) => Why::Lacking { here, there },
    }
}

/// How many envelopes these heads name that the others do not.
fn beyond(heads: &BTreeMap<LogId, LogHead>, others: &BTreeMap<LogId, LogHead>) -> u64 {
    let held = |log| others.get(log).map_or(0, |head| head.sequence);
    let lengths = heads.iter().map(|(log, head)| head.sequence.saturating_sub(held(log)));
    lengths.fold(0, u64::saturating_add)
}

/// Whether the vector that the peer last showed names another branch of a log.
fn is_forked(replica: &Replica, shared: &Shared) -> bool {
    let Some(live) = replica.live() else { return false };
    let mut theirs = shared.vectors.get(&replica.key).into_iter().flatten();
    theirs.any(|(log, head)| live.branches.contradicts(log, head))
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".into() } else { format!("{count} entries") }
}
