//! What a node tells of itself in numbers: for `doctor`, the metrics and the watchdog.
//!
//! The driver counts here what passes it; the network adds its own report. Invariant: numbers
//! alone, nothing of what anybody wrote or of who anybody is.

use std::time::Duration;

use fourword_protocol::ids::DeviceKey;
use fourword_protocol::record::{Batch, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store::Jobs;
use crate::swarm;

/// The times, in milliseconds, up to which flushes are counted together.
const FLUSH_MS: [u64; 7] = [1, 5, 20, 100, 500, 2000, 10_000];

/// How a node does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Events that the machine has handled.
    pub events: u64,
    /// What waits.
    pub waiting: Queues,
    /// Envelopes stored since the start.
    pub envelopes: Envelopes,
    /// Flushes of the journal since the start.
    pub flushes: Flushes,
    /// The network; null until the node has an identity to open it with.
    pub network: Option<swarm::Report>,
}

/// What waits in the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queues {
    /// Commands that wait for their answer.
    pub commands: u64,
    /// Jobs of the store in flight.
    pub store_jobs: u64,
    /// Bytes that those write.
    pub store_bytes: u64,
}

/// Envelopes stored since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelopes {
    /// Written by this device.
    pub made: u64,
    /// Taken from others.
    pub received: u64,
    /// This device, once it is known.
    #[serde(skip)]
    pub(super) own: Option<DeviceKey>,
}

/// Flushes of the journal: each makes durable all that waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flushes {
    /// How many.
    pub count: u64,
    /// How many failed.
    pub failed: u64,
    /// How long they took together, in microseconds.
    pub total_us: u64,
    /// How many took no longer than so many milliseconds.
    pub within_ms: [(u64, u64); FLUSH_MS.len()],
}

/// What the driver counts.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) envelopes: Envelopes,
}

impl Counts {
    /// What waits, of commands and of the store.
    pub(super) fn waiting(&self, commands: usize, jobs: &Jobs) -> Queues {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (store_jobs, store_bytes) = jobs.in_flight();
        Queues {
            commands: number(commands),
            store_jobs: number(store_jobs),
            store_bytes: number(store_bytes),
        }
    }
}

impl Envelopes {
    /// Counts the envelopes of a batch.
    pub(super) fn add(&mut self, batch: &Batch) {
        for record in &batch.records {
            if let Record::Envelope { log, .. } = record {
                let count = if Some(log.device) == self.own { &mut self.made } else { &mut self.received };
                *count = count.saturating_add(1);
            }
        }
    }
}

impl Default for Flushes {
    fn default() -> Flushes {
        Flushes { count: 0, failed: 0, total_us: 0, within_ms: FLUSH_MS.map(|ms| (ms, 0)) }
    }
}

impl Flushes {
    /// Counts one more.
    pub(super) fn add(&mut self, took: Duration, failed: bool) {
        self.count = self.count.saturating_add(1);
        self.failed = self.failed.saturating_add(u64::from(failed));
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.total_us = self.total_us.saturating_add(us);
        for (ms, within) in &mut self.within_ms {
            *within = within.saturating_add(u64::from(took <= Duration::from_millis(*ms)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_counts_for_each_time_that_it_does_not_exceed() {
        let mut flushes = Flushes::default();
        flushes.add(Duration::from_millis(3), false);
        flushes.add(Duration::from_secs(60), true);
        let within: Vec<u64> = flushes.within_ms.iter().map(|(_, within)| *within).collect();
        assert_eq!(within, [0, 1, 1, 1, 1, 1, 1]);
        assert_eq!((flushes.count, flushes.failed, flushes.total_us), (2, 1, 60_003_000));
    }
}
