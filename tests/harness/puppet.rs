//! Nodes that a test speaks for: with a real device's keys and connections, and no manners.
//!
//! A node is taken over once it has what an attacker would have: a certificate, a place in a
//! group, the group's keys. From then on its machine rests, and the test sends in its name
//! whatever it likes; the other nodes cannot tell.

use fourword_protocol::envelope::Envelope;
use fourword_protocol::event::{Event, GossipId};
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{DeviceKey, DocumentKey, EntityId, LogHead, LogId, StatementId, Topic};
use fourword_protocol::inspect::Holding;
use fourword_protocol::queues::Queues;
use fourword_protocol::record::{Batch, BatchId, LocalKey, Page, Query, Record};
use fourword_protocol::words::StretchInput;
use fourword_storage::Store;

use crate::cluster::{Cluster, DAY_MS};
use crate::node::Cost;

/// All that a home remembers.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Small values.
    pub locals: Vec<(LocalKey, Vec<u8>)>,
    /// Statements of all rosters.
    pub statements: Vec<(EntityId, StatementId, Vec<u8>)>,
    /// The head of every log.
    pub heads: Vec<(EntityId, LogId, LogHead)>,
}

impl Cluster {
    /// Lets the test speak for this node from now on. Its connections stay.
    pub fn take_over(&mut self, name: &str) {
        self.node_mut(name).taken_over = true;
    }

    /// A node's device with its secrets.
    pub fn secret(&self, name: &str) -> DeviceSecret {
        self.node(name).secret.clone().unwrap_or_else(|| panic!("{name} does not listen"))
    }

    /// All that a node's home remembers.
    pub fn remembered(&self, name: &str) -> Remembered {
        match self.node(name).disk.store.read(&Query::Opening) {
            Ok(Page::Opening { locals, statements, heads, .. }) => Remembered { locals, statements, heads },
            other => panic!("{other:?}"),
        }
    }

    /// All wall clocks go on by so many days; nothing happens meanwhile.
    pub fn let_days_pass(&mut self, days: i64) {
        for node in self.nodes.values_mut() {
            node.clock.skew_ms += days * DAY_MS;
        }
        self.days_passed += days;
    }

    /// The wall clock of one node is so many days ahead of the others from now on.
    pub fn turn_clock(&mut self, name: &str, days: i64) {
        self.node_mut(name).clock.skew_ms += days * DAY_MS;
    }

    /// The stored envelopes of one log.
    pub fn stored_log(&self, name: &str, log: LogId) -> Vec<Vec<u8>> {
        match self.node(name).disk.store.read(&Query::Log {
            log,
            after: 0,
            bytes_max: usize::MAX,
            except: Vec::new(),
        }) {
            Ok(Page::Envelopes { envelopes, .. }) => envelopes,
            other => panic!("{other:?}"),
        }
    }

    /// The parts of the snapshot of a document, as they lie on a node's disk, without the past behind it.
    pub fn stored_snapshot(&self, name: &str, document: DocumentKey) -> Vec<Vec<u8>> {
        let Ok(Page::Opening { snapshots, .. }) = self.node(name).disk.store.read(&Query::Opening) else {
            panic!("what is read at a start");
        };
        let count = snapshots.iter().find(|snapshot| snapshot.document == document).map_or(0, |s| s.parts);
        let part = |part| match self.node(name).disk.store.read(&Query::SnapshotPart { document, part }) {
            Ok(Page::SnapshotPart(part)) => part,
            other => panic!("{other:?}"),
        };
        (0..count).map_while(part).collect()
    }

    /// How many envelopes of a log a node has stored, on all branches of it.
    pub fn stored_log_branches(&self, name: &str, log: LogId) -> usize {
        let query = Query::Document { document: log.document, after: 0, bytes_max: usize::MAX };
        let Ok(Page::Envelopes { envelopes, .. }) = self.node(name).disk.store.read(&query) else { return 0 };
        let read = envelopes.iter().filter_map(|bytes| Envelope::read(bytes).ok());
        read.filter(|envelope| envelope.header.log == log).count()
    }

    /// Where a log stands for a node, as it tells its peers.
    pub fn head_of(&self, name: &str, log: LogId) -> Option<LogHead> {
        self.node(name).machine.head_of(&log)
    }

    /// Whether two nodes are connected.
    pub fn are_connected(&self, a: &str, b: &str) -> bool {
        self.node(a).connected.contains_key(b)
    }

    /// Gives a node a frame as if this one had sent it. False if they are not connected.
    pub fn inject(&mut self, from: &str, to: &str, bytes: Vec<u8>) -> bool {
        let (Some(device), true) = (self.device(from), self.are_connected(from, to)) else { return false };
        self.happen(to, Event::Received(device, bytes));
        true
    }

    /// Gives a node gossip as if this one had passed it on. False if they are not connected.
    pub fn inject_gossip(&mut self, from: &str, to: &str, topic: Topic, bytes: Vec<u8>) -> bool {
        let (Some(device), true) = (self.device(from), self.are_connected(from, to)) else { return false };
        let gossip = GossipId(u64::MAX);
        self.happen(to, Event::Heard { gossip, topic, from: device, bytes });
        true
    }

    /// Pretends that somebody spent thousands of GPU years: an id gets the name of another.
    pub fn forge_name(&mut self, id: EntityId, of: EntityId) {
        self.forged.insert(id.0, of.0);
    }

    pub(crate) fn with_forgeries(&self, input: StretchInput) -> StretchInput {
        match input {
            StretchInput::Name(naming, id) => {
                StretchInput::Name(naming, self.forged.get(&id).copied().unwrap_or(id))
            }
            StretchInput::Lookup(..) | StretchInput::Work { .. } => input,
        }
    }

    /// Changes a small value in the home of a node that does not run.
    pub fn rewrite(&mut self, name: &str, key: LocalKey, value: Vec<u8>) {
        let batch = Batch {
            id: BatchId(u64::MAX),
            records: vec![Record::Local { key, value: Some(value) }],
            urgent: true,
        };
        let written = self.node_mut(name).disk.store.write(&[batch]);
        written.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The topics that a node listens to.
    pub fn topics(&self, name: &str) -> Vec<Topic> {
        self.node(name).topics.iter().copied().collect()
    }

    /// The devices for which a node has room kept.
    pub fn fellows(&self, name: &str) -> Vec<DeviceKey> {
        self.node(name).fellows.iter().copied().collect()
    }

    /// What was sent to a node since it was taken over or last asked.
    pub fn take_inbox(&mut self, name: &str) -> Vec<(DeviceKey, Vec<u8>)> {
        std::mem::take(&mut self.node_mut(name).inbox)
    }

    /// What a node holds because of others.
    pub fn queues(&self, name: &str) -> Queues {
        self.node(name).machine.queues()
    }

    /// What a node holds of every document.
    pub fn holdings(&self, name: &str) -> impl Iterator<Item = Holding<'_>> {
        self.node(name).machine.holdings()
    }

    /// The most that one event made a node do since this was last asked.
    pub fn take_cost(&mut self, name: &str) -> Cost {
        std::mem::take(&mut self.node_mut(name).cost)
    }
}
