//! The bench nodes of one repetition: each a new process in an empty home, all in one group.
//!
//! They are killed, and their homes removed, when the repetition ends.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::Child;
use crate::gauge;

/// The letters of the writers; further nodes share the last.
const WRITERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Where nodes are run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The bench node's program.
    pub(crate) program: PathBuf,
    /// The folder of the homes: on the disk that is to be measured.
    pub(crate) scratch: PathBuf,
    /// Loopback carries this run alone, so that its bytes can be counted.
    pub(crate) is_apart: bool,
    /// How long nodes are left alone once they are in the group.
    pub(crate) settle: Duration,
}

/// Nodes in one group.
pub(crate) struct Cluster {
    /// The nodes, the founder first.
    pub(crate) nodes: Vec<Child>,
    place: Place,
    homes: TempDir,
    link: Option<String>,
    addresses: Vec<String>,
}

/// What was used until some time.
pub(crate) struct Mark {
    cpu_s: f64,
    bytes: f64,
    packets: f64,
}

/// What was used since then.
pub(crate) struct Used {
    /// Seconds of processor time, all nodes together.
    pub(crate) cpu_s: f64,
    /// What loopback carried, where that can be told.
    pub(crate) wire: Option<Wire>,
}

/// What loopback carried.
pub(crate) struct Wire {
    /// With the headers of IP and TCP.
    pub(crate) bytes: f64,
    /// As many as there were.
    pub(crate) packets: f64,
}

impl Cluster {
    /// So many nodes in one group, and at rest.
    pub(crate) fn of(place: &Place, count: usize) -> anyhow::Result<Cluster> {
        let homes = tempfile::Builder::new().prefix("fourword-bench-").tempdir_in(&place.scratch)?;
        let mut cluster =
            Cluster { nodes: Vec::new(), place: place.clone(), homes, link: None, addresses: Vec::new() };
        for number in 0..count {
            let child = Child::start(&place.program)?;
            cluster.enter(number, child)?;
        }
        std::thread::sleep(place.settle);
        Ok(cluster)
    }

    /// Starts a node's program without a node in it yet.
    pub(crate) fn process(&self) -> anyhow::Result<Child> {
        Child::start(&self.place.program)
    }

    /// Has a process be the node of this number: of the home that is there, or a new one, which
    /// then joins.
    pub(crate) fn enter(&mut self, number: usize, mut child: Child) -> anyhow::Result<()> {
        let letter = WRITERS.chars().nth(number.min(WRITERS.len() - 1));
        let home = self.homes.path().join(number.to_string());
        let request = json!({
            "writer": letter, "dir": home, "peers": self.addresses, "doc": self.link,
        });
        let answer = child.call("init", request)?;
        let text = |field: &str| answer.get(field).and_then(Value::as_str).map(str::to_owned);
        self.addresses.extend(text("addr"));
        self.link = self.link.take().or_else(|| text("doc"));
        self.nodes.insert(number.min(self.nodes.len()), child);
        Ok(())
    }

    /// Takes a node out; its home stays.
    pub(crate) fn take(&mut self, number: usize) -> Child {
        self.addresses.clear();
        self.nodes.remove(number)
    }

    /// Asks one node and waits for the answer.
    pub(crate) fn call(&mut self, number: usize, op: &str, request: Value) -> anyhow::Result<Value> {
        self.node(number)?.call(op, request)
    }

    /// One of the nodes.
    pub(crate) fn node(&mut self, number: usize) -> anyhow::Result<&mut Child> {
        self.nodes.get_mut(number).ok_or_else(|| anyhow::anyhow!("there is no node {number}"))
    }

    /// Notes what was used until now.
    pub(crate) fn mark(&self) -> anyhow::Result<Mark> {
        let cpu_s = self.nodes.iter().map(|node| gauge::cpu_s(node.pid())).sum();
        let (bytes, packets) = gauge::loopback()?;
        Ok(Mark { cpu_s, bytes, packets })
    }

    /// What was used since a mark.
    pub(crate) fn since(&self, mark: &Mark) -> anyhow::Result<Used> {
        let now = self.mark()?;
        let wire = Wire { bytes: now.bytes - mark.bytes, packets: now.packets - mark.packets };
        Ok(Used { cpu_s: now.cpu_s - mark.cpu_s, wire: self.place.is_apart.then_some(wire) })
    }

    /// Megabytes of each node, of a line of its process's status.
    pub(crate) fn memory_mb(&self, line: &str) -> Vec<f64> {
        self.nodes.iter().map(|node| gauge::memory_mb(node.pid(), line)).collect()
    }
}
