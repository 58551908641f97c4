//! Judges how a node is reached: by its report, and by what relays see of it.

use super::Check;
use crate::driver::Report;
use crate::swarm::{self, Mapping};

/// All checks of a running node's network.
pub fn network(report: &Report, addresses: &[String]) -> Vec<Check> {
    let Some(network) = &report.network else {
        let advice = "wait until the node has made its four words";
        return vec![Check::warning("network", "the network is not open yet", advice)];
    };
    vec![
        listening(addresses),
        relays(network),
        reach(network),
        mapping(network),
        near(network),
        devices(network),
    ]
}

fn listening(addresses: &[String]) -> Check {
    if addresses.is_empty() {
        return Check::failed("ports", "the node listens nowhere", "see the setting `listen` and the log");
    }
    Check::ok("ports", format!("listening on {}", addresses.join(", ")))
}

fn relays(network: &swarm::Report) -> Check {
    let own: Vec<_> = network.relays.iter().filter(|relay| relay.address.is_some()).collect();
    let connected = own.iter().filter(|relay| relay.connected).count();
    let reserved = own.iter().filter(|relay| relay.reserved).count();
    let says = format!("{} relays in the settings, {connected} connected, a place at {reserved}", own.len());
    match (own.len(), connected, reserved) {
        (0, _, _) => {
            let advice = "name one with `fourword config set relays ADDRESS`, or rely on the local network and invites";
            Check::warning("relays", "no relay is in the settings: nobody elsewhere finds this node", advice)
        }
        (_, 0, _) => {
            Check::failed("relays", says, "see that the relays run and that a firewall lets this node out")
        }
        (_, _, 0) => Check::warning("relays", says, "the relay may be full; name a second one"),
        (1, _, _) => {
            Check::ok("relays", format!("{says}; with a second one the loss of one cuts nobody off"))
        }
        _ => Check::ok("relays", says),
    }
}

/// Whether others can dial this node, as far as relays have tried.
fn reach(network: &swarm::Report) -> Check {
    let tested = &network.outside.tested;
    let reached: Vec<&str> =
        tested.iter().filter(|tested| tested.reachable).map(|tested| tested.address.as_str()).collect();
    if !reached.is_empty() {
        return Check::ok("reach", format!("relays reach this node from outside at {}", reached.join(", ")));
    }
    if tested.is_empty() {
        let says = "unknown: no relay has tried to reach this node from outside";
        return Check::ok("reach", says);
    }
    let advice =
        "members elsewhere come by relay or through opened ways; to be dialled, open the port in the router";
    Check::warning(
        "reach",
        format!("relays cannot reach this node from outside ({} addresses tried)", tested.len()),
        advice,
    )
}

/// What stands between this node and the relays.
fn mapping(network: &swarm::Report) -> Check {
    match network.outside.mapping {
        Mapping::Unknown if network.outside.observed.is_empty() => {
            Check::ok("nat", "unknown: no relay has told how this node looks from outside")
        }
        Mapping::Unknown => {
            let advice = "a second relay in the settings would tell";
            Check::ok(
                "nat",
                format!("addresses are translated, to another port; {advice} whether it is the same for all"),
            )
        }
        Mapping::None => Check::ok("nat", "none: relays see the address that this node has"),
        Mapping::PortPreserving => {
            Check::ok("nat", "addresses are translated and ports are kept: direct ways can be opened")
        }
        Mapping::SamePort => Check::ok(
            "nat",
            "addresses are translated, to one port for all: direct ways can mostly be opened",
        ),
        Mapping::PerPeer => {
            let advice = "nothing need be done: relays carry what cannot go directly; an open port in the router is faster";
            Check::warning("nat", "addresses are translated to another port towards each peer", advice)
        }
    }
}

fn near(network: &swarm::Report) -> Check {
    match (network.near_on, network.near_seen) {
        (false, _) => Check::ok("mdns", "off: nodes in the local network are not looked for"),
        (true, 0) => Check::ok("mdns", "on; no other node was seen in the local network"),
        (true, seen) => Check::ok("mdns", format!("on; nodes were seen {seen} times since the start")),
    }
}

fn devices(network: &swarm::Report) -> Check {
    let ways = network.connections.iter().filter(|ways| ways.count > 0);
    let ways: Vec<String> =
        ways.map(|ways| format!("{} {} over {}", ways.count, ways.path, ways.transport)).collect();
    let ways = if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) };
    Check::ok("devices", format!("{} devices connected{ways}", network.devices))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::swarm::{Relay, Tested};

    fn relay(connected: bool, reserved: bool) -> Relay {
        Relay { peer_id: "r".into(), address: Some("/ip4/192.0.2.1/tcp/1".into()), connected, reserved }
    }

    #[test]
    fn relays_are_judged_by_what_they_do_for_this_node() {
        let judged =
            |relays: Vec<Relay>| super::relays(&swarm::Report { relays, ..Default::default() }).verdict;
        assert_eq!(judged(vec![]), Verdict::Warning);
        assert_eq!(judged(vec![relay(false, false)]), Verdict::Failed);
        assert_eq!(judged(vec![relay(true, false), relay(false, false)]), Verdict::Warning);
        assert_eq!(judged(vec![relay(true, true), relay(false, false)]), Verdict::Ok);
        let named = Relay { address: None, ..relay(true, true) };
        assert_eq!(judged(vec![named]), Verdict::Warning, "somebody else's");
    }

    #[test]
    fn what_no_relay_has_tried_is_unknown() {
        let mut network = swarm::Report::default();
        assert!(reach(&network).says.contains("unknown"));
        network.outside.tested = vec![Tested { address: "/ip4/192.0.2.1/tcp/1".into(), reachable: false }];
        assert_eq!(reach(&network).verdict, Verdict::Warning);
        network.outside.tested.push(Tested { address: "/ip4/192.0.2.1/tcp/2".into(), reachable: true });
        assert_eq!(reach(&network).verdict, Verdict::Ok);
    }

    #[test]
    fn each_kind_of_translation_has_its_own_sentence() {
        let kinds =
            [Mapping::Unknown, Mapping::None, Mapping::PortPreserving, Mapping::SamePort, Mapping::PerPeer];
        let said: std::collections::BTreeSet<String> = kinds
            .into_iter()
            .map(|kind| {
                let mut network = swarm::Report::default();
                network.outside.mapping = kind;
                mapping(&network).says
            })
            .collect();
        assert_eq!(said.len(), kinds.len());
    }
}
