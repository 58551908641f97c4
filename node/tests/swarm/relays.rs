//! Nodes that know nothing but a relay: found by a key, reached through it, and directly if that can be.

use fourword::relay::{self, Relay};
use fourword_protocol::event::Event;
use fourword_protocol::ids::Digest;
use libp2p::identity::Keypair;
use tokio::time::timeout;

use super::*;

const KEY: Digest = Digest([7; 32]);

async fn start_relay(seed: u8, listen: &str) -> (Relay, String) {
    let keypair = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
    let options = relay::Options { listen: vec![listen.to_string()], external: Vec::new() };
    let mut relay = Relay::start(keypair, &options).unwrap();
    let addresses =
        timeout(DEADLINE, relay.addresses.wait_for(|all| !all.is_empty())).await.unwrap().unwrap();
    let address = addresses.first().unwrap().clone();
    drop(addresses);
    (relay, address)
}

async fn node(seed: u8, listen: &[&str], relays: &[&String]) -> Node {
    let relays = relays.iter().map(|relay| relay.to_string()).collect();
    let mut node =
        Node::start_with(seed, listen, swarm::Options { relays, ..swarm::Options::default() }).await;
    node.until(|event| matches!(event, Event::Online)).await;
    node
}

/// Waits until a relay has so many places taken and keys offered.
async fn serves(relay: &Relay, places: u64, offers: u64) {
    let there = async {
        loop {
            let status = relay.status().await.unwrap();
            if (status.places, status.offers) == (places, offers) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, there).await.unwrap();
}

/// Waits until a relay carries nothing: a circuit ends by itself once a direct connection has
/// carried everything for a while.
async fn circuits_end(relay: &Relay) {
    let ended = async {
        while relay.status().await.unwrap().circuits > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, ended).await.unwrap();
}

/// Finds the other node by the key and nothing else.
async fn find(from: &mut Node, to: &mut Node) {
    from.order(Order::Find(KEY)).await;
    let located = from.until(|event| matches!(event, Event::Located(..))).await;
    assert_eq!(located, Event::Located(KEY, vec![to.device]));
    from.order(Order::Reach(to.device)).await;
    from.until(|event| *event == Event::Connected(to.device)).await;
    to.until(|event| *event == Event::Connected(from.device)).await;
}

async fn talk(from: &mut Node, to: &mut Node, said: u8) {
    from.order(Order::Send(to.device, vec![said; 100_000])).await;
    let heard = to.until(|event| matches!(event, Event::Received(..) | Event::Disconnected(_))).await;
    assert_eq!(heard, Event::Received(from.device, vec![said; 100_000]));
}

#[tokio::test]
async fn nodes_that_listen_nowhere_find_and_reach_each_other_through_a_relay() {
    let (relay, address) = start_relay(100, TCP).await;
    let (mut ada, mut ben) = (node(1, &[], &[&address]).await, node(2, &[], &[&address]).await);
    ada.order(Order::Offer(KEY)).await;
    serves(&relay, 2, 1).await;
    find(&mut ben, &mut ada).await;
    talk(&mut ada, &mut ben, 1).await;
    talk(&mut ben, &mut ada, 2).await;
    assert_eq!(relay.status().await.unwrap().circuits_opened, 1);

    ada.order(Order::Withdraw(KEY)).await;
    ada.stop().await;
    serves(&relay, 1, 0).await;
}

#[tokio::test]
async fn a_direct_connection_takes_over_and_outlives_the_relay() {
    for listen in [TCP, QUIC] {
        let (relay, address) = start_relay(101, listen).await;
        let mut ada = node(1, &[listen], &[&address]).await;
        let mut ben = node(2, &[listen], &[&address]).await;
        ada.order(Order::Offer(KEY)).await;
        serves(&relay, 2, 1).await;
        find(&mut ben, &mut ada).await;
        talk(&mut ada, &mut ben, 1).await;
        // Where the other one listens leads to a direct connection.
        for node in [&mut ada, &mut ben] {
            if let Event::Met { addresses, .. } = node.until(|event| matches!(event, Event::Met { .. })).await
            {
                for address in addresses {
                    node.order(Order::Connect(address)).await;
                }
            }
        }
        circuits_end(&relay).await;
        relay.stop().await;
        talk(&mut ben, &mut ada, 2).await;
        talk(&mut ada, &mut ben, 3).await;
    }
}

#[tokio::test]
async fn nodes_that_a_relay_sees_where_they_announce_themselves_meet_directly() {
    for listen in [TCP, QUIC] {
        let (relay, address) = start_relay(107, listen).await;
        let mut ada = node(1, &[listen], &[&address]).await;
        let mut ben = node(2, &[listen], &[&address]).await;
        ada.order(Order::Offer(KEY)).await;
        serves(&relay, 2, 1).await;
        find(&mut ben, &mut ada).await;
        talk(&mut ada, &mut ben, 1).await;
        circuits_end(&relay).await;
        relay.stop().await;
        talk(&mut ben, &mut ada, 2).await;
    }
}

#[tokio::test]
async fn where_a_guest_is_reached_is_told_again_when_it_becomes_a_fellow_member() {
    let (_relay, address) = start_relay(108, TCP).await;
    let mut ada = node(1, &[TCP], &[&address]).await;
    let ben = node(2, &[TCP], &[&address]).await;
    ben.order(Order::Connect(ada.address())).await;
    let met = |event: &Event| matches!(event, Event::Met { .. });
    let first = ada.until(met).await;
    ada.order(Order::Fellows([ben.device].into())).await;
    assert_eq!(ada.until(met).await, first);
}

#[tokio::test]
async fn a_relay_that_comes_back_gets_everything_anew() {
    let (first, address) = start_relay(102, TCP).await;
    let (mut ada, mut ben) = (node(1, &[], &[&address]).await, node(2, &[], &[&address]).await);
    ada.order(Order::Offer(KEY)).await;
    serves(&first, 2, 1).await;
    find(&mut ben, &mut ada).await;
    first.stop().await;
    ben.until(|event| *event == Event::Disconnected(ada.device)).await;

    let port = address.split('/').nth(4).unwrap();
    let (again, _) = start_relay(102, &format!("/ip4/127.0.0.1/tcp/{port}")).await;
    ada.until(|event| *event == Event::Online).await;
    serves(&again, 2, 1).await;
    ben.order(Order::Find(KEY)).await;
    ben.order(Order::Reach(ada.device)).await;
    ben.until(|event| *event == Event::Connected(ada.device)).await;
}

#[tokio::test]
async fn with_two_relays_the_loss_of_one_cuts_nobody_off() {
    let ((first, one), (second, two)) = (start_relay(103, TCP).await, start_relay(104, TCP).await);
    let (mut ada, mut ben) = (node(1, &[], &[&one, &two]).await, node(2, &[], &[&one, &two]).await);
    ada.order(Order::Offer(KEY)).await;
    serves(&first, 2, 1).await;
    serves(&second, 2, 1).await;
    first.stop().await;
    find(&mut ben, &mut ada).await;
    talk(&mut ada, &mut ben, 1).await;
}

#[tokio::test]
async fn of_two_ways_through_two_relays_one_is_closed_in_the_end_and_nothing_is_lost() {
    let ((first, one), (second, two)) = (start_relay(105, TCP).await, start_relay(106, TCP).await);
    let (mut ada, mut ben) = (node(1, &[], &[&one, &two]).await, node(2, &[], &[&one, &two]).await);
    ada.order(Order::Offer(KEY)).await;
    serves(&first, 2, 1).await;
    serves(&second, 2, 1).await;
    find(&mut ben, &mut ada).await;
    let circuits = async || {
        let (first, second) = (first.status().await.unwrap(), second.status().await.unwrap());
        (first.circuits + second.circuits, first.circuits_opened + second.circuits_opened)
    };
    let ended = async {
        while circuits().await != (1, 2) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    talk(&mut ada, &mut ben, 1).await;
    timeout(DEADLINE, ended).await.unwrap();
    talk(&mut ben, &mut ada, 2).await;
}

#[tokio::test]
async fn a_relay_tells_a_node_how_it_looks_from_outside_and_whether_it_is_reached() {
    for listen in [TCP, QUIC] {
        let (relay, address) = start_relay(120, listen).await;
        let node = node(121, &[listen], &[&address]).await;
        let own = node.address();
        let told = async {
            loop {
                let (answer, report) = tokio::sync::oneshot::channel();
                node.order(Order::Report(answer)).await;
                let report = report.await.unwrap();
                if !report.outside.tested.is_empty() && report.relays.iter().any(|relay| relay.reserved) {
                    return report;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let report = timeout(DEADLINE, told).await.unwrap();
        assert_eq!(report.outside.mapping, swarm::Mapping::None, "{report:?}");
        assert!(report.outside.tested.iter().all(|tested| tested.reachable), "{report:?}");
        assert!(report.outside.tested.iter().all(|tested| own.starts_with(&tested.address)), "{report:?}");
        assert!(relay.status().await.unwrap().tests >= 1);
        let quic = listen == QUIC;
        let ways = report.connections.iter().filter(|ways| ways.count > 0);
        assert!(ways.clone().all(|ways| ways.path == "direct" && (ways.transport == "quic") == quic));
        assert!(ways.count() > 0 && report.devices == 0, "a relay is no device: {report:?}");
        node.stop().await;
    }
}
