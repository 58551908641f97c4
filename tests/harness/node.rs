//! One simulated node: a machine, the store it writes to, and what it was seen to do.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{CommandId, Notice, Outcome};
use fourword_protocol::effect::{Effect, Verdict};
use fourword_protocol::event::GossipId;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{DeviceKey, Topic};
use fourword_protocol::replicator::{Replicator, Settings};
use fourword_storage::MemoryStore;

use crate::clock::Clock;
use crate::disk::Disk;

/// One simulated node.
#[derive(Debug)]
pub struct Node {
    pub(crate) machine: Replicator,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    /// Its device, once it listens.
    pub(crate) device: Option<DeviceKey>,
    /// Counts restarts: what was under way for an earlier run is lost.
    pub(crate) run: u64,
    pub(crate) up: bool,
    /// When it is to be woken, by the cluster's clock; a later wish replaces an earlier one.
    pub(crate) wake: Option<u64>,
    pub(crate) topics: BTreeSet<Topic>,
    /// For whom it has room kept.
    pub(crate) fellows: BTreeSet<DeviceKey>,
    /// Nodes it believes itself connected to, each with the connection's number.
    pub(crate) connected: BTreeMap<String, u64>,
    pub(crate) outcomes: BTreeMap<CommandId, Outcome>,
    /// Everything it told its listeners, in order.
    pub notices: Vec<Notice>,
    /// How it judged what came by gossip.
    pub verdicts: BTreeMap<GossipId, Verdict>,
    /// Devices it wanted to reach by their names alone and that were not there to be reached.
    pub tried: Vec<DeviceKey>,
    pub(crate) stopped: bool,
    /// The first of the runs since which it was always stopped cleanly.
    pub(crate) clean_since: u64,
    /// Its device's secrets, as the machine gave them to its driver.
    pub(crate) secret: Option<DeviceSecret>,
    /// It no longer runs its machine: a test speaks in its place.
    pub(crate) taken_over: bool,
    /// Frames that came since it was taken over.
    pub(crate) inbox: Vec<(DeviceKey, Vec<u8>)>,
    /// What one event cost at most.
    pub cost: Cost,
    commands: u64,
}

/// The most that one event made a machine do since it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Effects.
    pub effects: usize,
    /// Bytes of frames sent.
    pub sent_bytes: usize,
    /// Loads begun.
    pub loads: usize,
    /// Names stretched, of all events together.
    pub stretches: usize,
}

impl Node {
    pub(crate) fn new(settings: Settings, store: MemoryStore, run: u64, clock: Clock) -> Node {
        Node {
            machine: Replicator::new(settings),
            disk: Disk::new(store),
            clock,
            device: None,
            run,
            up: true,
            wake: None,
            topics: BTreeSet::new(),
            fellows: BTreeSet::new(),
            connected: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            notices: Vec::new(),
            verdicts: BTreeMap::new(),
            tried: Vec::new(),
            stopped: false,
            clean_since: run,
            secret: None,
            taken_over: false,
            inbox: Vec::new(),
            cost: Cost::default(),
            commands: 0,
        }
    }

    /// Notes what one event cost.
    pub(crate) fn count(&mut self, effects: &[Effect]) {
        let sent = effects.iter().map(|e| match e {
            Effect::Send(_, bytes) => bytes.len(),
            _ => 0,
        });
        let loads = effects.iter().filter(|e| matches!(e, Effect::Load(..))).count();
        let stretches = effects.iter().filter(|e| matches!(e, Effect::Stretch(..))).count();
        self.cost.effects = self.cost.effects.max(effects.len());
        self.cost.sent_bytes = self.cost.sent_bytes.max(sent.sum());
        self.cost.loads = self.cost.loads.max(loads);
        self.cost.stretches += stretches;
    }

    pub(crate) fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.run << 32 | self.commands)
    }
}
