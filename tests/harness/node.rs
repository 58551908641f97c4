//! One simulated node: a machine, the store it writes to, and what it was seen to do.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{CommandId, Notice, Outcome};
use fourword_protocol::effect::Verdict;
use fourword_protocol::event::GossipId;
use fourword_protocol::ids::{DeviceKey, Topic};
use fourword_protocol::replicator::{Replicator, Settings};
use fourword_protocol::words::Naming;
use fourword_storage::MemoryStore;

/// One simulated node.
#[derive(Debug)]
pub struct Node {
    pub(crate) machine: Replicator,
    pub(crate) store: MemoryStore,
    /// Its device, once it listens.
    pub(crate) device: Option<DeviceKey>,
    /// Counts restarts: what was under way for an earlier run is lost.
    pub(crate) run: u64,
    pub(crate) up: bool,
    pub(crate) topics: BTreeSet<Topic>,
    /// Devices connected to, by name.
    pub(crate) connected: BTreeSet<String>,
    pub(crate) outcomes: BTreeMap<CommandId, Outcome>,
    /// Everything it told its listeners, in order.
    pub notices: Vec<Notice>,
    /// How it judged what came by gossip.
    pub verdicts: BTreeMap<GossipId, Verdict>,
    pub(crate) stopped: bool,
    commands: u64,
}

impl Node {
    pub(crate) fn new(seed: [u8; 32], store: MemoryStore, run: u64) -> Node {
        Node {
            machine: Replicator::new(Settings { seed, naming: Naming::Test }),
            store,
            device: None,
            run,
            up: true,
            topics: BTreeSet::new(),
            connected: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            notices: Vec::new(),
            verdicts: BTreeMap::new(),
            stopped: false,
            commands: 0,
        }
    }

    pub(crate) fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.run << 32 | self.commands)
    }
}
