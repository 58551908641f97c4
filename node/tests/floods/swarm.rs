//! Floods against a node's swarm, whose every event the test sees.

use fourword::limits::{GUESTS_PER_NETWORK_MAX, TOLD_ADDRESSES_MAX};
use fourword::swarm::{self, Listening, Network, Options, device_of};
use fourword_protocol::event::Event;
use fourword_protocol::identity::DeviceSecret;
use futures::{AsyncReadExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::Stream;
use libp2p::{Multiaddr, StreamProtocol};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::attack::{Attacker, DEADLINE, peer_in, seed, until_open, write_message};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// A node that listens here, and its address.
async fn start(listen: &[&str]) -> (Network, Vec<String>) {
    let secret = DeviceSecret::from_seeds(&[1; 32], &[1; 32]);
    let listen = listen.iter().map(|address| address.to_string()).collect();
    let options = Options { listen, ..Options::default() };
    let (told, mut listening) = watch::channel(Listening::default());
    let (paths, _) = watch::channel(swarm::Paths::new());
    let network = swarm::start(&secret.signing_seed(), &options, told, paths).unwrap();
    timeout(DEADLINE, listening.wait_for(|listening| listening.ready)).await.unwrap().unwrap();
    let addresses = listening.borrow().addresses.clone();
    (network, addresses)
}

#[tokio::test]
async fn guests_of_one_network_leave_room_for_others_over_quic_too() {
    let (mut network, addresses) = start(&[TCP, QUIC]).await;
    // The node goes on as long as what it tells is taken.
    let taking = tokio::spawn(async move { while network.arrivals.recv().await.is_some() {} });
    let quic = addresses.iter().find(|address| address.contains("quic")).unwrap();
    let tcp = addresses.iter().find(|address| address.contains("tcp")).unwrap();
    let mut attackers = Vec::new();
    for number in 0..GUESTS_PER_NETWORK_MAX as u32 + 8 {
        let attacker = Attacker::new(number, "127.0.0.1").await;
        attacker.dial_plainly(quic).await;
        attackers.push(attacker);
        // As many handshakes at once as one network may have under way.
        if number % 8 == 7 {
            let most = GUESTS_PER_NETWORK_MAX.min(number as usize + 1);
            until_open(&attackers, quic, most).await;
        }
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    until_open(&attackers, quic, GUESTS_PER_NETWORK_MAX).await;
    let mut other = Attacker::new(900, "127.0.0.3").await;
    other.connect(tcp).await;
    assert_eq!(*other.open.borrow(), 1);
    taking.abort();
}

/// What a device says of itself, with so many addresses of its own.
fn claims(number: u32, addresses: u16) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, bytes.len() as u8][..], bytes].concat();
    let key = Keypair::ed25519_from_bytes(seed(number)).unwrap().public().encode_protobuf();
    let mut message = [field(1, &key), field(5, b"/fourword/1"), field(3, b"/fourword/sync/1")].concat();
    for port in 0..addresses {
        let address: Multiaddr = format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap();
        message.extend(field(2, &address.to_vec()));
    }
    message
}

/// An attacker and the streams on which it is asked what it is.
async fn asked(number: u32, node: &str) -> (Attacker, mpsc::Receiver<Stream>) {
    let mut attacker = Attacker::new(number, "127.0.0.2").await;
    let mut calls = attacker.streams.accept(StreamProtocol::new("/ipfs/id/1.0.0")).unwrap();
    let (came, comes) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some((_, stream)) = calls.next().await {
            if came.send(stream).await.is_err() {
                return;
            }
        }
    });
    attacker.connect(node).await;
    (attacker, comes)
}

#[tokio::test]
async fn of_the_addresses_that_a_stranger_claims_a_few_are_read() {
    let (mut network, addresses) = start(&[TCP]).await;
    let node = addresses.first().unwrap();
    // More than is taken from anybody: the reading ends, and nothing of it counts.
    let (_eve, mut calls) = asked(1, node).await;
    let mut stream = timeout(DEADLINE, calls.recv()).await.unwrap().unwrap();
    let _ = timeout(DEADLINE, write_message(&mut stream, &claims(1, 60_000))).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    // As many as fit.
    let (mallory, mut calls) = asked(2, node).await;
    let mut stream = timeout(DEADLINE, calls.recv()).await.unwrap().unwrap();
    write_message(&mut stream, &claims(2, 300)).await.unwrap();
    let met = async {
        loop {
            if let Event::Met { device, addresses } = network.arrivals.recv().await.unwrap().event {
                return (device, addresses);
            }
        }
    };
    let (device, addresses) = timeout(DEADLINE, met).await.unwrap();
    assert_eq!((device, addresses.len()), (device_of(&mallory.peer).unwrap(), TOLD_ADDRESSES_MAX));
}

#[tokio::test]
async fn a_node_answers_no_questions_of_the_table() {
    let (_network, addresses) = start(&[TCP]).await;
    let node = addresses.first().unwrap();
    let mut attacker = Attacker::new(1, "127.0.0.2").await;
    attacker.connect(node).await;
    let at = peer_in(&node.parse().unwrap());
    assert!(attacker.stream(at, "/fourword/find/1").await.is_none());
    assert!(attacker.frames(at).await.is_some(), "others are taken");
}
