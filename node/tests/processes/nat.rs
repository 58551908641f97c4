//! Two nodes at home behind routers that translate addresses, and a relay outside: who knows nothing
//! but the relay joins and talks, directly where the routers let that happen.
//!
//! Both homes use the same addresses, as homes do. Each test prints its row of the table in
//! docs/OPERATING.md; `FOURWORD_RUNS` says over how many runs.

use std::time::{Duration, Instant};

use crate::apart::{Need, in_a_world_with};
use crate::daemon::{Daemon, Home, eventually};
use crate::net::{Nat, Net};
use crate::reach::{all_say, is_reached, join, node, reaches, relay, relay_at, runs, spread};

/// Where the relay is.
const OUTSIDE: &str = "198.51.100.10";

/// What carries the connections of a test.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Quic,
    Tcp,
    /// Either, as nodes are set by default.
    Both,
}

impl Carrier {
    /// Addresses to listen on.
    fn at(self, ip: &str, port: u16) -> Vec<String> {
        let (quic, tcp) = (format!("/ip4/{ip}/udp/{port}/quic-v1"), format!("/ip4/{ip}/tcp/{port}"));
        match self {
            Carrier::Quic => vec![quic],
            Carrier::Tcp => vec![tcp],
            Carrier::Both => vec![quic, tcp],
        }
    }

    /// How a path begins as `peers` shows it.
    fn path(self, how: &str) -> String {
        match self {
            Carrier::Quic => format!("{how} quic"),
            Carrier::Tcp => format!("{how} tcp"),
            Carrier::Both => how.to_owned(),
        }
    }
}

/// A relay outside, and `ada` and `ben` each at home behind a router of this kind.
fn two_homes(nat: Nat) -> Net {
    let mut net = Net::new();
    for switch in ["outside", "home-a", "home-b"] {
        net.switch(switch);
    }
    net.machine("relay");
    net.plug("relay", "outside", OUTSIDE);
    let homes = [("ada", "door-a", "home-a", "198.51.100.1"), ("ben", "door-b", "home-b", "198.51.100.2")];
    for (host, door, home, address) in homes {
        net.machine(door);
        net.plug(door, "outside", address);
        net.plug(door, home, "192.168.1.1");
        net.translate(door, "outside", nat);
        net.machine(host);
        net.plug(host, home, "192.168.1.2");
        net.gateway(host, "192.168.1.1");
    }
    net
}

/// Waits until the two stand as the routers let them.
fn settle(nat: Nat, carrier: Carrier, nodes: [(&Home, &Daemon); 2]) {
    let [(ada, of_ada), (ben, of_ben)] = nodes;
    let (a, b) = (of_ada.identity(), of_ben.identity());
    if nat == Nat::PortPreserving {
        reaches(ada, &b, &carrier.path("direct"));
        reaches(ben, &a, &carrier.path("direct"));
        return;
    }
    eventually("the attempts at a direct way to end", || {
        [of_ada, of_ben].iter().any(|node| node.has_logged(&["a direct way was tried", "Err"]))
    });
    assert!(is_reached(ada, &b, &carrier.path("relayed")));
    assert!(is_reached(ben, &a, &carrier.path("relayed")));
}

/// Joins, talks, settles and talks again. Gives how long it took to settle.
fn run_once(
    net: &Net,
    nat: Nat,
    carrier: Carrier,
    relay: Daemon,
    known: &[String],
) -> (Duration, Option<Daemon>) {
    let (ada, ben) = (Home::new(), Home::new());
    let listen = carrier.at("0.0.0.0", 0);
    let of_ada = node(net, "ada", &ada, &listen, known);
    let of_ben = node(net, "ben", &ben, &listen, known);
    let words = join(&ada, &ben);
    let mut said = Vec::new();
    let joined = Instant::now();
    let (homes, nodes) = ([&ada, &ben], [(&ada, &of_ada), (&ben, &of_ben)]);
    all_say(&homes, &words, &mut said, "at first");
    settle(nat, carrier, nodes);
    let settled = joined.elapsed();
    all_say(&homes, &words, &mut said, "settled");
    let relay = if nat == Nat::PortPreserving {
        // What goes on without a relay was direct in truth.
        relay.kill();
        all_say(&homes, &words, &mut said, "without the relay");
        None
    } else {
        Some(relay)
    };
    of_ada.stop();
    of_ben.stop();
    (settled, relay)
}

fn behind(nat: Nat, carrier: Carrier) {
    let net = two_homes(nat);
    let home = Home::new();
    let outside = carrier.at(OUTSIDE, 4001);
    let start = || relay(&net, "relay", &home, &outside.iter().map(String::as_str).collect::<Vec<_>>());
    let mut running = None;
    let runs = runs();
    let mut times = Vec::new();
    for _ in 0..runs {
        let relay = running.take().unwrap_or_else(start);
        let known: Vec<String> = outside.iter().map(|address| relay_at(&relay, address)).collect();
        let (settled, left) = run_once(&net, nat, carrier, relay, &known);
        times.push(settled);
        running = left;
    }
    let (path, time) = match nat {
        Nat::PortPreserving => ("direct", spread(times)),
        Nat::Symmetric => ("relayed", "never".to_owned()),
    };
    println!("\n| {nat:?} | {carrier:?} | {path} | {time} | {runs} of {runs} |");
}

#[test]
fn nodes_behind_routers_that_keep_ports_meet_directly_over_quic() {
    let test = "nat::nodes_behind_routers_that_keep_ports_meet_directly_over_quic";
    in_a_world_with(&[Need::Routers], test, || behind(Nat::PortPreserving, Carrier::Quic));
}

#[test]
fn nodes_behind_routers_that_keep_ports_meet_directly_over_tcp() {
    let test = "nat::nodes_behind_routers_that_keep_ports_meet_directly_over_tcp";
    in_a_world_with(&[Need::Routers], test, || behind(Nat::PortPreserving, Carrier::Tcp));
}

#[test]
fn nodes_behind_routers_that_keep_ports_meet_directly_as_they_are_set_by_default() {
    let test = "nat::nodes_behind_routers_that_keep_ports_meet_directly_as_they_are_set_by_default";
    in_a_world_with(&[Need::Routers], test, || behind(Nat::PortPreserving, Carrier::Both));
}

#[test]
fn nodes_behind_routers_that_change_ports_talk_through_the_relay_over_quic() {
    let test = "nat::nodes_behind_routers_that_change_ports_talk_through_the_relay_over_quic";
    in_a_world_with(&[Need::Routers], test, || behind(Nat::Symmetric, Carrier::Quic));
}

#[test]
fn nodes_behind_routers_that_change_ports_talk_through_the_relay_over_tcp() {
    let test = "nat::nodes_behind_routers_that_change_ports_talk_through_the_relay_over_tcp";
    in_a_world_with(&[Need::Routers], test, || behind(Nat::Symmetric, Carrier::Tcp));
}

#[test]
fn a_direct_way_that_is_closed_at_first_is_found_later() {
    let test = "nat::a_direct_way_that_is_closed_at_first_is_found_later";
    in_a_world_with(&[Need::Routers], test, opened_later);
}

fn opened_later() {
    let (net, carrier) = (two_homes(Nat::PortPreserving), Carrier::Quic);
    let ways = [("door-a", "198.51.100.2"), ("door-b", "198.51.100.1")];
    ways.iter().for_each(|(door, other)| net.block(door, other, true));
    let (ada, ben, home) = (Home::new(), Home::new(), Home::new());
    let outside = carrier.at(OUTSIDE, 4001);
    let relay = relay(&net, "relay", &home, &[&outside[0]]);
    let (listen, known) = (carrier.at("0.0.0.0", 0), [relay_at(&relay, &outside[0])]);
    let of_ada = node(&net, "ada", &ada, &listen, &known);
    let of_ben = node(&net, "ben", &ben, &listen, &known);
    let (words, mut said) = (join(&ada, &ben), Vec::new());
    settle(Nat::Symmetric, carrier, [(&ada, &of_ada), (&ben, &of_ben)]);
    ways.iter().for_each(|(door, other)| net.block(door, other, false));
    reaches(&ada, &of_ben.identity(), "direct quic");
    all_say(&[&ada, &ben], &words, &mut said, "found later");
    of_ada.stop();
    of_ben.stop();
}
