//! The whole node's machine: routes each event to the module that decides, and holds the state.
//!
//! `opening` brings it up, `minting` makes identities and entities, `asking` answers commands,
//! `joining` lets people in, `receiving` takes envelopes and statements, `sync` catches up with
//! peers, `gossip` is the fast path. `handle` never fails and never blocks; the same events with
//! the same seed give the same effects, on every machine.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::asking::Histories;
use crate::command::{Command, CommandId, JoinView, Notice, RefusalCode};
use crate::devices::Devices;
use crate::effect::{Effect, Reason};
use crate::entity::Entity;
use crate::event::{Event, StretchId};
use crate::ids::{DeviceKey, DocumentKey, EntityId};
use crate::joining::{Join, Seeking};
use crate::keeping::Leaving;
use crate::limits::FOLD_AFTER_ENVELOPES;
use crate::me::Me;
use crate::minting::Minting;
use crate::names::Names;
use crate::opening::{LOG, Opening};
use crate::outbox::{After, Outbox, local, refusal};
use crate::presence;
use crate::reaching::Reaching;
use crate::record::{BatchId, LoadId, Record, StoreFailure};
use crate::requests::Kept;
use crate::segments::Walk;
use crate::session::{Allowance, Session};
use crate::sync::{Arriving, Fetching};
use crate::time::{Duration, Instant, Now};
use crate::typing::{Typing, is_typed};
use crate::undoing::Undoing;
use crate::views::Said;
use crate::wire::Frame;
use crate::words::{FourWords, Naming};

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seeds the generator: 32 bytes of the machine's entropy, or of a simulation's seed.
    pub seed: [u8; 32],
    /// How names are stretched.
    pub naming: Naming,
    /// How long quiet peers wait at least, and twice this at most, before they compare again how
    /// they stand; `None` for never, which leaves connects, gaps and changes.
    pub compare_every: Option<Duration>,
    /// With how many envelopes behind its snapshot a document wants to be folded.
    pub fold_after: u64,
    /// With how many bytes of content a document of a series is full, where that is less than its
    /// concern takes.
    pub segment_bytes: u64,
}

impl Settings {
    /// What a node of people is started with.
    pub fn new(seed: [u8; 32], naming: Naming) -> Settings {
        let compare_every = Some(Duration::from_secs(60));
        Settings { seed, naming, compare_every, fold_after: FOLD_AFTER_ENVELOPES, segment_bytes: u64::MAX }
    }
}

/// One node, without its I/O.
#[derive(Debug)]
pub struct Replicator {
    pub(crate) random: ChaCha20Rng,
    pub(crate) now: Now,
    pub(crate) out: Outbox,
    pub(crate) names: Names,
    pub(crate) opening: Opening,
    pub(crate) me: Option<Me>,
    pub(crate) minting: Vec<Minting>,
    pub(crate) entities: BTreeMap<EntityId, Entity>,
    pub(crate) joins: BTreeMap<EntityId, Join>,
    pub(crate) devices: Devices,
    /// Joins to words of which the entity is not known yet.
    pub(crate) seeks: BTreeMap<FourWords, Seeking>,
    /// Joins that were refused while nobody waited for them.
    pub(crate) refused_joins: Vec<JoinView>,
    /// Who asks to be let into the entities this person is in.
    pub(crate) requests: BTreeMap<EntityId, Kept>,
    pub(crate) sessions: BTreeMap<DeviceKey, Session>,
    pub(crate) reaching: Reaching,
    /// What devices sent in vain of late. Outlives the connection, which costs less than the burst.
    pub(crate) vain: BTreeMap<DeviceKey, Allowance>,
    /// What each load under way is for.
    pub(crate) loads: BTreeMap<LoadId, Load>,
    /// Commands that wait for a document to be in memory.
    pub(crate) deferred: BTreeMap<DocumentKey, Vec<(CommandId, Command)>>,
    /// Who waits to be told about versions of documents.
    pub(crate) histories: Histories,
    /// How far commands have come that go through the segments of a series.
    pub(crate) walks: BTreeMap<CommandId, Walk>,
    /// What this device shows of its person at the moment.
    pub(crate) presence: presence::Own,
    /// What this device did, to be undone.
    pub(crate) undoing: Undoing,
    /// What was typed in a text and is not made yet.
    pub(crate) typing: Option<Typing>,
    /// Entities of which peers must be told how we stand, since when.
    pub(crate) changed: BTreeMap<EntityId, Instant>,
    /// When everything is compared with all peers again.
    pub(crate) compare_at: Option<Instant>,
    /// Series that are dropped once somebody says to hold them.
    pub(crate) leaving: Vec<Leaving>,
    /// Counts them.
    pub(crate) leavings: u64,
    /// From whom documents are fetched, of which there is much to fetch.
    pub(crate) fetching: BTreeMap<DocumentKey, Fetching>,
    /// How documents were last said to stand with each device.
    pub(crate) said: BTreeMap<EntityId, Said>,
    /// Entities and children of which that changed in the event being handled.
    pub(crate) sync_changed: BTreeSet<EntityId>,
    /// See [`Settings::compare_every`].
    pub(crate) compare_every: Option<Duration>,
    /// See [`Settings::fold_after`].
    pub(crate) fold_after: u64,
    /// See [`Settings::segment_bytes`].
    pub(crate) segment_bytes: u64,
    /// The one snapshot that is being taken from a peer.
    pub(crate) arriving: Option<Arriving>,
    /// Why nothing is written any more.
    pub(crate) read_only: Option<String>,
    /// Frames and envelopes dropped, by reason.
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    pub(crate) stopping: bool,
}

/// What a load is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// All that is needed before the node can serve.
    Opening,
    /// The content of a document.
    Content(EntityId, DocumentKey),
    /// The content of a document as far as a vector.
    Folding(EntityId, DocumentKey),
    /// A page for a peer.
    Page(DeviceKey, EntityId, DocumentKey),
}

impl Replicator {
    /// A node that has not started: give it `Event::Started` first.
    pub fn new(settings: Settings) -> Replicator {
        Replicator {
            random: ChaCha20Rng::from_seed(settings.seed),
            now: Now::default(),
            out: Outbox::default(),
            names: Names::new(settings.naming),
            opening: Opening::default(),
            me: None,
            minting: Vec::new(),
            entities: BTreeMap::new(),
            joins: BTreeMap::new(),
            devices: Devices::default(),
            seeks: BTreeMap::new(),
            refused_joins: Vec::new(),
            requests: BTreeMap::new(),
            sessions: BTreeMap::new(),
            reaching: Reaching::default(),
            vain: BTreeMap::new(),
            loads: BTreeMap::new(),
            deferred: BTreeMap::new(),
            histories: Histories::default(),
            presence: presence::Own::default(),
            typing: None,
            undoing: Undoing::default(),
            changed: BTreeMap::new(),
            compare_at: None,
            leaving: Vec::new(),
            leavings: 0,
            fetching: BTreeMap::new(),
            said: BTreeMap::new(),
            sync_changed: BTreeSet::new(),
            compare_every: settings.compare_every,
            fold_after: settings.fold_after,
            segment_bytes: settings.segment_bytes,
            walks: BTreeMap::new(),
            arriving: None,
            read_only: None,
            dropped: BTreeMap::new(),
            stopping: false,
        }
    }

    /// Advances the node by one event and returns what must now be done, in order.
    /// Never fails and never blocks.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        self.now = now;
        if !is_typed(&event) {
            self.make_typed();
        }
        match event {
            Event::Started { clean } => self.open(clean),
            Event::Wake => self.wake(),
            Event::Asked(id, command) => self.ask(id, command),
            Event::Connected(device) => self.connected(device),
            Event::Disconnected(device) => self.disconnected(device),
            Event::Received(device, bytes) => self.received(device, &bytes),
            Event::Unreachable { address, .. } => self.unreachable(&address),
            Event::Met { device, addresses } => self.met(device, addresses),
            Event::Located(key, devices) => self.located(key, &devices),
            Event::Online => self.search_soon(),
            Event::Heard { gossip, topic, from, bytes } => self.heard(gossip, topic, from, &bytes),
            Event::Missed(device) => self.missed(device),
            Event::Durable(batch) => self.durable(batch),
            Event::WriteFailed(batch, failure) => self.write_failed(batch, &failure),
            Event::Loaded(load, page) => self.loaded(load, page),
            Event::Stretched(id, bytes) => self.stretched(id, &bytes),
            Event::Stopping => self.stop(),
        }
        self.notify_sync();
        self.finish_stop();
        self.out.take()
    }

    /// Whether an id is that of an entity that is held here, or of one below it.
    fn is_place(&self, id: EntityId) -> bool {
        self.entities.values().any(|entity| entity.kind_of(id).is_some())
    }

    fn stretched(&mut self, id: StretchId, bytes: &[u8; 32]) {
        if self.minted(id, bytes) || self.worked(id, bytes) {
            return;
        }
        let nameless = self.own_name().is_none();
        let named = self.names.named_by(id).map(EntityId);
        if let Some(record) = self.names.stretched(id, bytes, &mut self.out) {
            self.out.write(vec![record], Vec::new());
            if let Some(words) = named.filter(|id| self.is_place(*id)).and_then(|id| self.names.entity(id)) {
                self.out.notify(Notice::EntityChanged(words));
            }
            if let (true, Some((identity, device))) = (nameless, self.own_name()) {
                self.out.notify(Notice::Ready { identity, device });
            }
            self.check_joins();
            self.try_seeks();
            self.seek_home();
            self.offer();
            if self.wants_in() {
                self.search_soon();
            }
            if self.names.stretching().1 == 0 {
                self.want_names();
            }
        }
    }

    /// This person's words and this device, if the words are known.
    fn own_name(&self) -> Option<(FourWords, DeviceKey)> {
        let me = self.me.as_ref()?;
        Some((self.names.person(me.person())?, me.key()))
    }

    // -- time ---------------------------------------------------------------------------------

    fn wake(&mut self) {
        self.out.woken();
        self.tell_peers();
        self.try_joins();
        self.try_seeks();
        self.try_link();
        if self.devices.home_changed {
            self.look_home();
        }
        self.rotate_when_due();
        self.search();
        self.ask_for_all_keys();
        self.tend_stability();
        self.tend_segments();
        self.tend_leaving();
        self.recall_all();
        self.tend_presence();
    }

    /// Notes that an entity changed, so that its peers are told soon.
    pub(crate) fn touch(&mut self, entity: EntityId) {
        let now = self.now.instant;
        self.devices.home_changed |= self.me.as_ref().is_some_and(|me| me.home == entity);
        self.changed.entry(entity).or_insert(now);
        self.out.wake_at(now + self.tell_after());
    }

    // -- the disk -----------------------------------------------------------------------------

    fn durable(&mut self, batch: BatchId) {
        for after in self.out.finished(batch) {
            match after {
                After::Answer(command, outcome) => self.out.answer(command, outcome),
                After::Sealed(entity, document) => self.sealed(entity, document),
                After::Acknowledged(entity, document) => self.acknowledged(entity, document),
                After::Said { entity, acks } => self.said(entity, &acks),
                After::Spare { to, of, documents } => self.answer_spare(to, of, documents),
                After::Spread { entity, statements, except } => self.spread(entity, &statements, except),
                After::Welcome(entity, device) => self.welcome(entity, device),
                After::Linked { to, home, certificate } => {
                    self.out.send(to, &Frame::Linked { home, certificate });
                }
                After::Turned(entity, device, why) => self.out.send(device, &Frame::Turned { entity, why }),
                After::Ready => self.ready(),
            }
        }
    }

    /// A batch is lost: whoever waits for it is told, and nothing is written from now on.
    ///
    /// What is in memory and not on disk must not be built upon, so documents are read anew.
    fn write_failed(&mut self, batch: BatchId, failure: &StoreFailure) {
        let reason = failure.to_string();
        if self.read_only.is_none() {
            self.out.notify(Notice::ReadOnly(reason.clone()));
        }
        for after in self.out.finished(batch) {
            if let After::Answer(command, _) = after {
                self.out.refuse(command, storage_refusal(&reason));
            }
        }
        self.read_only.get_or_insert(reason);
        for answer in self.entities.values_mut().flat_map(Entity::forget_unwritten) {
            let reason = self.read_only.clone().unwrap_or_default();
            self.out.refuse(answer, storage_refusal(&reason));
        }
    }

    // -- ending -------------------------------------------------------------------------------

    fn stop(&mut self) {
        self.stopping = true;
        self.walks.clear();
        for (command, _) in std::mem::take(&mut self.deferred).into_values().flatten() {
            self.out.refuse(command, refusal(RefusalCode::Pending, "the node is stopping", ""));
        }
        for command in self.histories.take() {
            self.out.refuse(command, refusal(RefusalCode::Pending, "the node is stopping", ""));
        }
        self.end_leaving(|_| true);
        // Only a log that this run could go on with may be gone on with after this clean stop: one
        // that a crash ended earlier may be longer elsewhere than here.
        let replicas = self.entities.values().flat_map(|e| e.replicas.values());
        let ended = replicas.filter(|r| !r.has_log()).map(|r| local(LOG, &r.key.0, None));
        let mut records: Vec<Record> = ended.collect();
        records.extend(self.grown_faults());
        records.extend(self.grown_wants());
        self.out.write(records, Vec::new());
    }

    /// All is written once no batch is under way and nothing waits to be sealed.
    fn finish_stop(&mut self) {
        let sealed = self.entities.values().flat_map(|e| e.replicas.values()).all(|r| r.is_sealed());
        if self.stopping && !self.out.writing() && (sealed || self.read_only.is_some()) {
            self.stopping = false;
            self.out.push(Effect::Stopped);
        }
    }

    // -- what all parts use -------------------------------------------------------------------

    /// The entity of these words, among those this device is in. Not one that has its roster from
    /// a parent: who is in is decided in the parent.
    pub(crate) fn by_words(&self, words: FourWords) -> Option<&Entity> {
        self.entities.values().find(|e| e.secret.is_some() && self.names.entity(e.id) == Some(words))
    }

    /// The entity of these words, and the one whose roster counts for it, which may be a parent.
    pub(crate) fn place(&self, words: FourWords) -> Option<(&Entity, EntityId)> {
        let open = self.entities.values().filter(|e| e.secret.is_some());
        let places = open.flat_map(|e| e.places().map(move |place| (e, place)));
        places.into_iter().find(|(_, place)| self.names.entity(*place) == Some(words))
    }

    /// Counts something that was dropped.
    pub(crate) fn drop_counted(&mut self, reason: &'static str) {
        let count = self.dropped.entry(reason).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Counts a peer's fault, and sends it away when it has had its share.
    pub(crate) fn blame(&mut self, device: DeviceKey, reason: &'static str) {
        self.drop_counted(reason);
        if self.sessions.get_mut(&device).is_some_and(Session::penalize) {
            self.disconnected(device);
            self.out.push(Effect::Disconnect(device, Reason::Misbehaved));
        }
    }
}

/// What a person is told when the disk failed.
pub(crate) fn storage_refusal(reason: &str) -> crate::command::Refusal {
    let hint = "nothing was saved; make room or repair the disk, then restart the node";
    refusal(RefusalCode::Storage, format!("could not save: {reason}"), hint)
}
