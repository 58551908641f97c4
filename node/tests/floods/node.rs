//! Floods against a node, which is a process of its own, while members and guests use it.

use std::path::PathBuf;

use fourword::limits::{GUESTS_MAX, GUESTS_PER_NETWORK_MAX, PENDING_PER_NETWORK_MAX};
use fourword_protocol::bytes::Writer;
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::REQUESTS_MAX;
use fourword_protocol::request::Draft;
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::{Frame, Knock, Proof};
use fourword_protocol::words::{Naming, StretchInput};
use futures::AsyncWriteExt;
use libp2p::Multiaddr;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::attack::{Attacker, Silent, all_open, peer_in, port_in, seed, until};
use crate::daemon::{Daemon, Home, eventually};

/// What the coarse guard allows a flood to add to a process: far above what the bounds add up to
/// here, far below what the floods send.
const GROWTH_BYTES_MAX: usize = 96 * 1024 * 1024;

/// What a process holds.
struct Held {
    process: PathBuf,
    rss_before: usize,
    files_before: usize,
}

impl Held {
    fn by(daemon: &Daemon) -> Held {
        let mut held =
            Held { process: format!("/proc/{}", daemon.id()).into(), rss_before: 0, files_before: 0 };
        (held.rss_before, held.files_before) = (held.rss(), held.files());
        held
    }

    fn rss(&self) -> usize {
        let status = std::fs::read_to_string(self.process.join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        1024 * line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.process.join("fd")).unwrap().count()
    }

    fn is_bounded(&self, more_files: usize) {
        let (rss, files) = (self.rss(), self.files());
        assert!(rss < self.rss_before + GROWTH_BYTES_MAX, "{} -> {rss} bytes", self.rss_before);
        assert!(files <= self.files_before + more_files, "{} -> {files} open files", self.files_before);
    }
}

fn group_of_two() -> (Home, Home, String, Daemon, Daemon) {
    let (a, b) = (Home::new(), Home::new());
    let (of_a, of_b) = (a.up(), b.up());
    let group = a.must(&["group", "create", "Tea"])["words"].as_str().unwrap().to_owned();
    join(&a, &b, &group);
    (a, b, group, of_a, of_b)
}

fn join(by: &Home, who: &Home, group: &str) {
    let code = by.must(&["invite", group])["code"].as_str().unwrap().to_owned();
    let joined = who.must(&["join", group, "--code", &code, "--wait", "50"]);
    assert_eq!(joined["state"], "joined");
}

#[test]
fn sockets_that_say_nothing_keep_nobody_out() {
    let runtime = Runtime::new().unwrap();
    let (a, b) = (Home::new(), Home::new());
    let (of_a, _of_b) = (a.up(), b.up());
    let group = a.must(&["group", "create", "Tea"])["words"].as_str().unwrap().to_owned();
    let held = Held::by(&of_a);
    let _entered = runtime.enter();
    let silent = Silent::open(400, "127.0.0.2", port_in(&of_a.address()));
    runtime.block_on(until("the flood", async || silent.opened() >= 400));
    // One network's share of handshakes, and some for whoever uses the node meanwhile.
    held.is_bounded(PENDING_PER_NETWORK_MAX + 16);
    join(&a, &b, &group);
    a.must(&["chat", "send", &group, "amid silence"]);
    b.wait_for_chat(&group, &["amid silence"]);
    held.is_bounded(PENDING_PER_NETWORK_MAX + 24);
}

#[test]
fn when_strangers_have_all_places_a_member_still_gets_in() {
    let runtime = Runtime::new().unwrap();
    let (a, b, group, of_a, of_b) = group_of_two();
    of_b.stop();
    let held = Held::by(&of_a);
    let address = of_a.address();
    let attackers: Vec<Attacker> = runtime.block_on(async {
        let mut attackers = Vec::new();
        for number in 0..GUESTS_MAX as u32 + 16 {
            let network = if number % 2 == 0 { "127.0.0.2" } else { "127.0.0.3" };
            let mut attacker = Attacker::new(number, network).await;
            attacker.dial(&address).await;
            attackers.push(attacker);
            // Fewer at once than one network may have under way.
            let most = GUESTS_MAX.min(attackers.len());
            if number % 16 == 15 {
                until("handshakes", async || all_open(&attackers) >= most).await;
            }
        }
        // Those turned away take themselves for connected until they are told.
        let open_of = |network: usize| -> usize {
            attackers.iter().skip(network).step_by(2).map(|attacker| *attacker.open.borrow()).sum()
        };
        let shares = [GUESTS_PER_NETWORK_MAX; 2];
        until("all places to be taken", async || [0, 1].map(open_of) == shares).await;
        attackers
    });
    a.must(&["chat", "send", &group, "it is crowded here"]);
    let _of_b = b.up();
    b.must(&["dial", &address]);
    b.wait_for_chat(&group, &["it is crowded here"]);
    b.must(&["chat", "send", &group, "I got in"]);
    a.wait_for_chat(&group, &["it is crowded here", "I got in"]);
    runtime.block_on(until("nobody beyond", async || all_open(&attackers) <= GUESTS_MAX));
    held.is_bounded(GUESTS_MAX + 16);
}

#[test]
fn half_frames_and_unread_gossip_of_strangers_cost_little_and_stop_no_chat() {
    let runtime = Runtime::new().unwrap();
    let (a, b, group, of_a, _of_b) = group_of_two();
    let held = Held::by(&of_a);
    let address: Multiaddr = of_a.address().parse().unwrap();
    let _attackers = runtime.block_on(async {
        let mut attackers = Vec::new();
        for number in 0..12 {
            let mut attacker = Attacker::new(1000 + number, "127.0.0.2").await;
            attacker.connect(&of_a.address()).await;
            let to = peer_in(&address);
            let mut half = attacker.frames(to).await.unwrap();
            half.write_all(&(512u32 * 1024).to_be_bytes()).await.unwrap();
            half.write_all(&vec![7; 256 * 1024 - 12]).await.unwrap();
            half.flush().await.unwrap();
            let mut gossip = attacker.stream(to, "/meshsub/1.1.0").await.unwrap();
            let mut taken = 0;
            // Subscriptions to topics with names of 60,000 bytes, as long as any are taken.
            let writing = async {
                loop {
                    let name = vec![b'x'; 60_000];
                    let topic = [&[0x08, 1, 0x12, 0xe0, 0xd4, 0x03][..], &name].concat();
                    let rpc = [&[0x0a, 0xe6, 0xd4, 0x03][..], &topic].concat();
                    if crate::attack::write_message(&mut gossip, &rpc).await.is_err() {
                        return;
                    }
                    taken += rpc.len();
                }
            };
            let _ = timeout(std::time::Duration::from_millis(300), writing).await;
            assert!(taken <= 1024 * 1024, "{taken} bytes of a stranger's gossip were read");
            attackers.push((attacker, half, gossip));
        }
        attackers
    });
    held.is_bounded(16);
    for number in 0..5 {
        let text = format!("message {number}");
        a.must(&["chat", "send", &group, &text]);
    }
    let said: Vec<String> = (0..5).map(|number| format!("message {number}")).collect();
    b.wait_for_chat(&group, &said.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn streams_without_end_end_the_connection_of_whoever_opens_them() {
    let runtime = Runtime::new().unwrap();
    let a = Home::new();
    let of_a = a.up();
    let held = Held::by(&of_a);
    let address: Multiaddr = of_a.address().parse().unwrap();
    runtime.block_on(async {
        let mut attacker = Attacker::new(2000, "127.0.0.2").await;
        attacker.connect(&of_a.address()).await;
        let mut streams = Vec::new();
        for _ in 0..1000 {
            let opened = attacker.frames(peer_in(&address)).await;
            let Some(mut stream) = opened else { break };
            if stream.write_all(&[0, 0, 0, 9, 1]).await.is_err() || stream.flush().await.is_err() {
                break;
            }
            streams.push(stream);
        }
        assert!(streams.len() < 1000);
        until("the connection to end", async || *attacker.open.borrow() == 0).await;
    });
    held.is_bounded(16);
    a.must(&["status"]);
}

/// What somebody made up says to be let in, from an attacker's device: with the work done, or idle.
fn knock(attacker: u32, person: u8, entity: EntityId, idle: bool) -> Vec<u8> {
    let device = DeviceSecret::from_seeds(&seed(attacker), &seed(attacker));
    let root = RootSecret::from_seed(&[person; 32]);
    let card = PersonCard { root: root.public(), nonce: 0 };
    let certificate = root.certify(0, &device.card(card.id()));
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let draft = Draft::new(entity, &certificate, "Somebody", "", WallTime(since as u64));
    let work = StretchInput::Work { bits: Naming::Test.work_bits(), challenge: draft.challenge() }.run();
    // The smallest number that fits was found, so the one before it does not.
    let nonce = u64::from_be_bytes(*work.first_chunk().unwrap()).wrapping_sub(idle.into());
    let request = Proof::Request(draft.sign(nonce, &device));
    let mut writer = Writer::new();
    certificate.write(&mut writer);
    Frame::Knock(Knock { entity, certificate: writer.into_bytes(), proof: request }).encode()
}

#[test]
fn made_up_requests_of_many_devices_put_out_nobody_who_asked_before() {
    const ATTACKERS: u32 = 12;
    let runtime = Runtime::new().unwrap();
    let (a, b) = (Home::new(), Home::new());
    let (of_a, of_b) = (a.up(), b.up());
    let made = a.must(&["group", "create", "Tea"]);
    let (group, id) = (made["words"].as_str().unwrap(), made["id"].as_str().unwrap().parse().unwrap());
    b.must(&["dial", &of_a.address()]);
    b.tell(&["join", group, "--note", "I was here first"]);
    let listed = || a.must(&["requests", group])["requests"].as_array().unwrap().clone();
    eventually("the request", || !listed().is_empty());
    let held = Held::by(&of_a);
    let address: Multiaddr = of_a.address().parse().unwrap();
    runtime.block_on(async {
        let mut attackers = Vec::new();
        for number in 3000..3000 + ATTACKERS {
            let mut attacker = Attacker::new(number, "127.0.0.2").await;
            attacker.connect(&of_a.address()).await;
            let mut stream = attacker.frames(peer_in(&address)).await.unwrap();
            let frames = (0..100).map(|person| knock(number, person, id, person % 2 == 0));
            for frame in std::iter::once(Frame::Hello(Vec::new()).encode()).chain(frames) {
                let bytes = [&(frame.len() as u32).to_be_bytes()[..], &frame].concat();
                // Whoever knocks in vain too often may be sent away.
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    break;
                }
            }
            attackers.push((attacker, stream));
        }
        until("made-up requests", async || listed().len() > 1).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    });
    let all = listed();
    assert!(all.len() <= REQUESTS_MAX, "{} requests are kept", all.len());
    assert!(all.iter().any(|request| request["note"] == "I was here first"), "{all:?}");
    held.is_bounded(ATTACKERS as usize + 16);
    eventually("the approval", || a.tell(&["approve", group, &of_b.identity()]).code == 0);
    a.must(&["chat", "send", group, "welcome"]);
    b.wait_for_chat(group, &["welcome"]);
}
