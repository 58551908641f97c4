//! Floods against a relay, while two nodes find each other by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fourword::limits::{
    CIRCUIT_BYTES_MAX, CIRCUITS_PER_DEVICE_MAX, NAMED_PER_KEY_MAX, OFFERED_PER_DEVICE_MAX, OFFERS_PER_KEY_MAX,
};
use fourword::relay::{self, Relay, Status};
use fourword::swarm::{self, Listening, Network, Order};
use fourword_protocol::event::Event;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{DeviceKey, Digest};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::kad::{Quorum, Record, RecordKey};
use libp2p::swarm::Stream;
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::attack::{Attacker, DEADLINE, Silent, peer_in, port_in, read_message, until, write_message};

const KEY: Digest = Digest([7; 32]);
/// The protocol by which places and circuits are asked for.
pub(crate) const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";
const STOP: &str = "/libp2p/circuit/relay/0.2.0/stop";

/// What a relay says of a request that it grants.
pub(crate) const GRANTED: u8 = 100;

async fn start() -> (Relay, String) {
    let options = relay::Options { listen: vec!["/ip4/127.0.0.1/tcp/0".into()], external: Vec::new() };
    let mut relay = Relay::start(Keypair::generate_ed25519(), &options).unwrap();
    let told = timeout(DEADLINE, relay.addresses.wait_for(|all| !all.is_empty())).await.unwrap().unwrap();
    let address = told.first().unwrap().clone();
    drop(told);
    (relay, address)
}

/// A node that knows nothing but a relay.
struct Node {
    device: DeviceKey,
    network: Network,
}

impl Node {
    fn start(seed: u8, relay: &str) -> Node {
        let secret = DeviceSecret::from_seeds(&[seed; 32], &[seed; 32]);
        let options = swarm::Options { relays: vec![relay.to_string()], ..swarm::Options::default() };
        let (told, _) = watch::channel(Listening::default());
        let (paths, _) = watch::channel(swarm::Paths::new());
        let network = swarm::start(&secret.signing_seed(), &options, told, paths).unwrap();
        Node { device: secret.key(), network }
    }

    async fn order(&self, order: Order) {
        timeout(DEADLINE, self.network.orders.send(order)).await.unwrap().unwrap();
    }

    async fn until(&mut self, looked_for: impl Fn(&Event) -> bool) -> Event {
        let next = async {
            loop {
                let event = self.network.arrivals.recv().await.unwrap().event;
                if looked_for(&event) {
                    return event;
                }
            }
        };
        timeout(DEADLINE, next).await.unwrap()
    }
}

async fn until_it(relay: &Relay, what: &str, holds: impl Fn(&Status) -> bool) {
    until(what, async || holds(&relay.status().await.unwrap())).await;
}

/// Two nodes meet by a key that one of them offers, as people who know four words do.
async fn two_meet(relay: &Relay, address: &str) {
    let (mut ada, mut ben) = (Node::start(1, address), Node::start(2, address));
    let places = relay.status().await.unwrap().places;
    ada.order(Order::Offer(KEY)).await;
    for node in [&mut ada, &mut ben] {
        node.until(|event| *event == Event::Online).await;
    }
    until_it(relay, "two places", |status| status.places >= places + 2).await;
    let searching = async {
        // An offer takes a moment to arrive, and who is named is drawn anew each time.
        loop {
            ben.order(Order::Find(KEY)).await;
            let located = |event: &Event| matches!(event, Event::Located(key, _) if *key == KEY);
            let asked = ben.until(located);
            if let Ok(Event::Located(_, found)) = timeout(std::time::Duration::from_secs(2), asked).await
                && found.contains(&ada.device)
            {
                return;
            }
        }
    };
    timeout(DEADLINE, searching).await.unwrap();
    ben.order(Order::Reach(ada.device)).await;
    ben.until(|event| *event == Event::Connected(ada.device)).await;
    ada.until(|event| *event == Event::Connected(ben.device)).await;
}

#[tokio::test]
async fn sockets_that_say_nothing_keep_no_node_from_a_relay() {
    let (relay, address) = start().await;
    let silent = Silent::open(300, "127.0.0.2", port_in(&address));
    until("the flood", async || silent.opened() >= 300).await;
    two_meet(&relay, &address).await;
    assert!(relay.status().await.unwrap().connections_refused > 0);
}

#[tokio::test]
async fn made_up_devices_under_one_key_hide_no_member() {
    let (relay, address) = start().await;
    let mut attackers = Vec::new();
    for number in 0..OFFERS_PER_KEY_MAX as u32 + 4 {
        let mut attacker = Attacker::new(number, "127.0.0.2").await;
        attacker.connect(&address).await;
        attacker.offer(KEY.0).await;
        attackers.push(attacker);
    }
    until_it(&relay, "all offers", |status| status.offers_refused >= 4).await;
    assert_eq!(relay.status().await.unwrap().offers, OFFERS_PER_KEY_MAX as u64);
    two_meet(&relay, &address).await;
    assert_eq!(relay.status().await.unwrap().offers, OFFERS_PER_KEY_MAX as u64);

    let attacker = attackers.first_mut().unwrap();
    attacker.order(|swarm| swarm.behaviour_mut().table.get_providers(RecordKey::new(&KEY.0))).await;
    timeout(DEADLINE, attacker.found.wait_for(|(devices, _)| !devices.is_empty())).await.unwrap().unwrap();
    assert!(attacker.found.borrow().0.len() <= NAMED_PER_KEY_MAX);
}

#[tokio::test]
async fn one_device_offers_its_share_and_a_relay_keeps_no_values() {
    let (relay, address) = start().await;
    let mut attacker = Attacker::new(1, "127.0.0.2").await;
    attacker.connect(&address).await;
    let record = Record::new(RecordKey::new(&KEY.0), vec![1; 1024]);
    attacker.order(move |swarm| swarm.behaviour_mut().table.put_record(record, Quorum::One).unwrap()).await;
    for number in 0..OFFERED_PER_DEVICE_MAX + 50 {
        attacker.offer(*blake3::hash(&number.to_be_bytes()).as_bytes()).await;
    }
    until_it(&relay, "all offers", |status| status.offers + status.offers_refused >= 1074).await;
    assert_eq!(relay.status().await.unwrap().offers, OFFERED_PER_DEVICE_MAX as u64);

    let mut other = Attacker::new(2, "127.0.0.3").await;
    other.connect(&address).await;
    other.order(|swarm| swarm.behaviour_mut().table.get_record(RecordKey::new(&KEY.0))).await;
    let first = RecordKey::new(blake3::hash(&0usize.to_be_bytes()).as_bytes());
    other.order(move |swarm| swarm.behaviour_mut().table.get_providers(first)).await;
    timeout(DEADLINE, other.found.wait_for(|(devices, _)| !devices.is_empty())).await.unwrap().unwrap();
    assert_eq!(*other.found.borrow(), (vec![attacker.peer], 0), "an offer is found, the value is not");

    drop(attacker);
    until_it(&relay, "what went with its device", |status| status.offers == 0).await;
}

#[tokio::test]
async fn questions_without_end_keep_no_node_from_being_found() {
    let (relay, address) = start().await;
    let at = peer_in(&address.parse::<Multiaddr>().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (mut attackers, mut flood) = (Vec::new(), JoinSet::new());
    for number in 0..8 {
        let mut attacker = Attacker::new(number, "127.0.0.2").await;
        attacker.connect(&address).await;
        for ignores_answers in [true, false] {
            let mut stream = attacker.stream(at, "/fourword/find/1").await.unwrap();
            let asked = Arc::clone(&asked);
            flood.spawn(async move {
                for number in 0u64.. {
                    // Who offers to be found under a key that nobody offers: type and key.
                    let key = *blake3::hash(&number.to_be_bytes()).as_bytes();
                    let question = [&[0x08, 3, 0x12, 32][..], &key].concat();
                    let answered = async {
                        write_message(&mut stream, &question).await?;
                        if ignores_answers { Ok(()) } else { read_message(&mut stream).await.map(drop) }
                    };
                    if answered.await.is_err() {
                        return;
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        attackers.push(attacker);
    }
    until("the flood", async || asked.load(Ordering::Relaxed) > 2_000).await;
    let before = asked.load(Ordering::Relaxed);
    two_meet(&relay, &address).await;
    assert!(asked.load(Ordering::Relaxed) > before, "the flood went on meanwhile");
    assert_eq!(relay.status().await.unwrap().offers, 1, "questions leave nothing behind");
}

/// Asks a relay for a place, or for a circuit; gives its answer.
pub(crate) async fn ask(stream: &mut Stream, to: Option<PeerId>) -> std::io::Result<u8> {
    let message = match to {
        None => vec![0x08, 0],
        Some(peer) => {
            let id = peer.to_bytes();
            let named = [&[0x0a, id.len() as u8][..], &id].concat();
            [&[0x08, 1, 0x12, named.len() as u8][..], &named].concat()
        }
    };
    write_message(stream, &message).await?;
    let answer = read_message(stream).await?;
    // The last field is the status, of one byte or two.
    let at = answer.iter().rposition(|byte| *byte == 0x28).expect("a status");
    Ok(if answer.len() == at + 2 { answer[at + 1] } else { 0 })
}

/// Two who know each other, one with a place, which takes whatever comes.
pub(crate) async fn pair(address: &str) -> (Attacker, Attacker, PeerId) {
    let relay = peer_in(&address.parse::<Multiaddr>().unwrap());
    let (mut near, mut far) = (Attacker::new(10, "127.0.0.2").await, Attacker::new(11, "127.0.0.3").await);
    let mut calls = far.streams.accept(StreamProtocol::new(STOP)).unwrap();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Some((_, mut stream)) = calls.next().await {
            if read_message(&mut stream).await.is_ok()
                && write_message(&mut stream, &[0x08, 1, 0x20, GRANTED]).await.is_ok()
            {
                let reading = async move {
                    let (mut bytes, mut total) = (vec![0; 1 << 16], 0u64);
                    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                        total += count as u64;
                    }
                    total
                };
                taken.push(tokio::spawn(reading));
            }
        }
    });
    near.connect(address).await;
    far.connect(address).await;
    let mut place = far.stream(relay, HOP).await.unwrap();
    assert_eq!(ask(&mut place, None).await.unwrap(), GRANTED);
    (near, far, relay)
}

#[tokio::test]
async fn a_device_opens_as_many_circuits_as_it_may_and_others_open_theirs() {
    let (relay, address) = start().await;
    let (mut near, far, at) = pair(&address).await;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..CIRCUITS_PER_DEVICE_MAX + 20 {
        let mut stream = near.stream(at, HOP).await.unwrap();
        match ask(&mut stream, Some(far.peer)).await.unwrap() {
            GRANTED => open.push(stream),
            _ => refused += 1,
        }
    }
    assert_eq!((open.len(), refused), (CIRCUITS_PER_DEVICE_MAX, 20));
    two_meet(&relay, &address).await;
    let status = relay.status().await.unwrap();
    assert!(status.circuits_refused >= 20 && status.circuits > CIRCUITS_PER_DEVICE_MAX as u64);
    drop(open);
    until_it(&relay, "the circuits to end", |status| status.circuits <= 4).await;
}

#[tokio::test]
async fn a_circuit_carries_as_much_as_it_may_and_ends() {
    let (relay, address) = start().await;
    let (mut near, far, at) = pair(&address).await;
    let mut stream = near.stream(at, HOP).await.unwrap();
    assert_eq!(ask(&mut stream, Some(far.peer)).await.unwrap(), GRANTED);
    let (block, mut sent) = (vec![7; 1 << 20], 0u64);
    let sending = async {
        while stream.write_all(&block).await.is_ok() && stream.flush().await.is_ok() {
            sent += block.len() as u64;
            assert!(sent < 2 * CIRCUIT_BYTES_MAX, "it goes on");
        }
    };
    timeout(DEADLINE, sending).await.unwrap();
    // What is on the way in windows was written and not carried.
    assert!(sent + (32 << 20) > CIRCUIT_BYTES_MAX, "{sent}");
    until_it(&relay, "the circuit to end", |status| status.circuits == 0).await;
    let mut again = near.stream(at, HOP).await.unwrap();
    assert_eq!(ask(&mut again, Some(far.peer)).await.unwrap(), GRANTED, "the next one goes on");
}
