//! The whole node's machine: routes each event to the module that decides.

use crate::effect::Effect;
use crate::event::Event;
use crate::time::Now;
use crate::words::Naming;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seeds the generator: 32 bytes of the machine's entropy, or of a simulation's seed.
    pub seed: [u8; 32],
    /// How names are stretched.
    pub naming: Naming,
}

/// One node, without its I/O.
#[derive(Debug)]
pub struct Replicator {
    settings: Settings,
}

impl Replicator {
    /// A node that has not started: give it `Event::Started` first.
    pub fn new(settings: Settings) -> Replicator {
        Replicator { settings }
    }

    /// Advances the node by one event and returns what must now be done, in order.
    /// Never fails and never blocks.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let _ = (now, event, &self.settings);
        Vec::new()
    }
}
