//! The relays and nodes of `compose.yml`: started, mended between scenarios, and measured.

use crate::docker;
use crate::node::{Node, eventually, text};

/// All networks of the eight; relays stand in each.
pub(crate) const NETWORKS: [&str; 3] = ["left", "middle", "right"];

/// The eight and where they stand.
const EIGHT: [(&str, &str); 8] = [
    ("ada", "left"),
    ("ben", "left"),
    ("cem", "left"),
    ("dora", "middle"),
    ("eve", "middle"),
    ("finn", "middle"),
    ("gus", "right"),
    ("hana", "right"),
];

/// Pairs of the eight that stand in one network.
const NEIGHBOURS: usize = 7;

/// Everything that runs.
pub(crate) struct Mesh {
    pub(crate) relay: Node,
    /// The relay that is configured too, and runs only where a scenario says so.
    pub(crate) spare: Node,
    pub(crate) nodes: Vec<Node>,
    /// Where nodes reach the two relays.
    relays: String,
}

/// Ways between devices, counted in pairs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways {
    pub(crate) direct: usize,
    pub(crate) relayed: usize,
}

impl Mesh {
    /// Starts the relay and the eight. The spare relay runs just long enough to have a name.
    pub(crate) fn start() -> Mesh {
        docker::compose_up(&["relay", "spare"], "");
        let (relay, spare) = (Node::new("relay"), Node::new("spare"));
        let relays = [address(&relay), address(&spare)].join(",");
        spare.stop();
        let nodes = EIGHT.iter().map(|(name, _)| Node::new(name)).collect();
        let mesh = Mesh { relay, spare, nodes, relays };
        docker::compose_up(&EIGHT.map(|(name, _)| name), &mesh.relays);
        mesh.nodes.iter().for_each(Node::wait_until_up);
        mesh
    }

    /// Starts nodes that only one scenario needs.
    pub(crate) fn also(&self, names: &[&'static str]) -> Vec<Node> {
        docker::compose_up(names, &self.relays);
        let nodes: Vec<Node> = names.iter().map(|name| Node::new(name)).collect();
        nodes.iter().for_each(Node::wait_until_up);
        nodes
    }

    /// Stops nodes that only one scenario needed.
    pub(crate) fn done(nodes: &[Node]) {
        nodes.iter().for_each(Node::kill);
    }

    /// One of the eight.
    pub(crate) fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).expect("one of the eight")
    }

    /// Those of the eight that stand in a network.
    pub(crate) fn in_network(&self, network: &str) -> Vec<&Node> {
        let names = EIGHT.iter().filter(|(_, place)| *place == network);
        names.map(|(name, _)| self.node(name)).collect()
    }

    /// Undoes all faults, so that a scenario that failed spoils no other.
    pub(crate) fn mend(&self) {
        self.relay.mend(&NETWORKS);
        for (node, (_, network)) in self.nodes.iter().zip(EIGHT) {
            node.mend(&[network]);
        }
    }

    /// Bytes that the eight received so far.
    pub(crate) fn received(&self) -> u64 {
        self.nodes.iter().map(Node::received).sum()
    }

    /// How the eight reach each other, once each has found all others, and directly where they have
    /// a network in common.
    pub(crate) fn ways(&self) -> Ways {
        let pairs = |path: &str| self.nodes.iter().map(|node| node.peers_by(path)).sum::<usize>() / 2;
        let all = self.nodes.len() * (self.nodes.len() - 1) / 2;
        let mut ways = Ways::default();
        eventually("each has found all others, and its neighbours directly", || {
            ways = Ways { direct: pairs("direct"), relayed: pairs("relayed") };
            ways.direct + ways.relayed >= all && ways.direct >= NEIGHBOURS
        });
        ways
    }
}

/// Where nodes reach a relay, by its name.
fn address(relay: &Node) -> String {
    relay.wait_until_up();
    let status = relay.must(&["relay", "status"]);
    let addresses = status["addresses"].as_array().expect("addresses");
    let is_loopback = |address: &&serde_json::Value| text(address).contains("/127.0.0.1/");
    assert!(!addresses.iter().any(|address| is_loopback(&address)), "others would dial themselves: {status}");
    let peer = text(&status["peer_id"]);
    format!("/dns4/{}-{}/tcp/4001/p2p/{peer}", docker::PROJECT, relay.name)
}
