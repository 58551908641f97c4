//! What somebody learns who runs a relay, or connects to members, and belongs to nobody's group.

use fourword::swarm::{self, Listening, Order, device_of};
use fourword_protocol::event::Event;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{EntityId, PersonId, Topic};
use fourword_protocol::words::{FourWords, Naming, StretchInput};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::StreamProtocol;
use sha2::{Digest, Sha512};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::attack::{Attacker, DEADLINE, until};
use crate::daemon::{Daemon, Home, eventually};
use crate::inside::{self, Inside};
use crate::looking::Wanted;
use crate::recording;
use crate::relay::{GRANTED, HOP, ask, pair};

/// Characters of a message that packing halves at best.
const LONG_CHARS: usize = 20_000;

/// Starts a node that listens nowhere, so that others meet it through a relay or not at all, and that
/// makes and takes names as real ones are.
fn up(home: &Home, relay: &str) -> Daemon {
    std::fs::write(home.path().join("config.toml"), "schema = 1\nlisten = []\n").unwrap();
    let mut command = home.command(&["up", "--no-mdns", "--relay", relay]);
    command.env("FOURWORD_NAMING", "standard");
    Daemon::wait(command)
}

/// A value of what a command gave.
fn told(value: &serde_json::Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// Whether all that a node is connected with is reached through a relay, and that is somebody.
fn goes_through_the_relay(home: &Home) -> bool {
    let peers = home.must(&["peers"]);
    let paths: Vec<&str> =
        peers["peers"].as_array().unwrap().iter().filter_map(|peer| peer["path"].as_str()).collect();
    assert!(!paths.contains(&"direct"), "{peers}");
    paths.contains(&"relayed")
}

/// The bytes under which those who know the words look for who offers them.
fn lookup_key(words: &str) -> [u8; 32] {
    let stretched = StretchInput::Lookup(Naming::Standard, words.parse().unwrap()).run();
    FourWords::lookup_key(&stretched).0
}

/// What is inside two homes and nobody else's business.
fn want_what_is_inside(wanted: &mut Wanted, homes: [&Home; 2], group: EntityId, channel: EntityId) {
    let [one, other] = homes.map(Inside::of);
    let secret = one.secret(group);
    assert!(secret == other.secret(group), "both are in");
    let of_channel = secret.of_child(channel);
    // Those of the group and its channel; each person's own home has one more.
    assert!(one.topics.intersection(&other.topics).count() >= 4, "{:?} {:?}", one.topics, other.topics);
    for topic in one.topics.union(&other.topics) {
        wanted.bytes("a topic", &topic.0);
    }
    for secret in [&secret, &of_channel] {
        wanted.bytes("a secret", secret.bytes());
        wanted.bytes("what commits to a secret", &secret.commitment());
        for document in inside::documents(secret) {
            wanted.bytes("the key of a document", &document.0);
        }
        for (from, to) in [(&one, &other), (&other, &one)] {
            wanted.bytes("a greeting", &secret.greeting(from.device.key(), to.device.key()));
        }
    }
}

#[test]
fn a_relay_learns_no_words_no_names_and_no_content() {
    let runtime = Runtime::new().unwrap();
    let (relay, tape, _driving) = runtime.block_on(recording::start());
    let (a, b) = (Home::new(), Home::new());
    let (of_a, of_b) = (up(&a, &relay), up(&b, &relay));
    a.must(&["name", "Adelheid of Nowhere"]);
    b.must(&["name", "Benedict Elsewhere"]);
    let group = a.must(&["group", "create", "Clandestine Tea"]);
    let (words, id) = (told(&group, "words"), told(&group, "id").parse::<EntityId>().unwrap());
    let channel = a.must(&["group", "create", "Hidden Biscuits", "--kind", "channel", "--parent", &words]);
    let (below, below_id) = (told(&channel, "words"), told(&channel, "id").parse::<EntityId>().unwrap());
    // Found by the words alone, which are looked up at the relay.
    b.tell(&["join", &words, "--note", "let me in please"]);
    eventually("the request", || {
        a.must(&["requests", &words])["requests"].as_array().is_some_and(|all| !all.is_empty())
    });
    // The words of who asks are stretched first.
    eventually("the approval", || a.tell(&["approve", &words, &of_b.identity()]).code == 0);
    let said = told(&a.must(&["chat", "send", &words, "the biscuits are under the sofa"]), "id");
    b.wait_for_chat(&words, &["the biscuits are under the sofa"]);
    b.must(&["chat", "send", &words, "and the tea is in the attic"]);
    a.must(&["chat", "edit", &words, &said, "no, they are behind the piano"]);
    let both = ["no, they are behind the piano", "and the tea is in the attic"];
    [&a, &b].iter().for_each(|home| home.wait_for_chat(&words, &both));
    eventually("the channel", || b.tell(&["chat", "read", &below]).code == 0);
    b.must(&["chat", "send", &below, "crumbs in the cellar"]);
    a.wait_for_chat(&below, &["crumbs in the cellar"]);

    // What is said goes through the relay, and nowhere else.
    let carried = tape.carried();
    let hashes = (0..).flat_map(|number: u32| {
        Sha512::digest(number.to_be_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>()
    });
    let long: String = hashes.take(LONG_CHARS / 2).collect();
    a.must(&["chat", "send", &below, &long]);
    b.wait_for_chat(&below, &["crumbs in the cellar", &long]);
    assert!(goes_through_the_relay(&a) && goes_through_the_relay(&b));
    let more = tape.carried() - carried;
    assert!(more >= LONG_CHARS / 2, "{more} bytes went through the relay");

    let (persons, identities) =
        ([&a, &b].map(|home| told(&home.must(&["status"]), "person")), [of_a.identity(), of_b.identity()]);
    let ids = [&said];
    let mut wanted = Wanted::default();
    for words in [&words, &below].into_iter().chain(&identities) {
        wanted.words(words);
    }
    for id in [id, below_id] {
        wanted.bytes("the id of an entity", &id.0);
    }
    for person in persons {
        wanted.bytes("the id of a person", &person.parse::<PersonId>().unwrap().0);
    }
    let texts =
        ["Adelheid", "Benedict", "Clandestine", "Hidden Biscuits", "let me in please", "under the sofa"];
    let more =
        ["in the attic", "behind the piano", "crumbs in", "group:", "channel:", "general", "chat", "core"];
    texts.iter().chain(&more).for_each(|text| wanted.text(text));
    wanted.text(&long[..16]);
    ids.iter().for_each(|id| wanted.text(id));
    for daemon in [of_a, of_b] {
        daemon.stop();
    }
    want_what_is_inside(&mut wanted, [&a, &b], id, below_id);
    assert_eq!(wanted.on(&tape), [""; 0]);

    // The same search finds what a relay must see: the stretched names, and that nodes ask for circuits.
    let mut visible = Wanted::default();
    visible.text(HOP);
    visible.bytes("the group's offer", &lookup_key(&words));
    visible.bytes("the channel's offer", &lookup_key(&below));
    assert_eq!(visible.on(&tape), [HOP, "the channel's offer", "the group's offer"]);
}

#[tokio::test]
async fn what_goes_through_a_relay_in_plain_is_noticed() {
    let (relay, tape, _driving) = recording::start().await;
    let (mut near, far, at) = pair(&relay).await;
    let mut stream = near.stream(at, HOP).await.unwrap();
    assert_eq!(ask(&mut stream, Some(far.peer)).await.unwrap(), GRANTED);
    let hash = Sha512::digest(b"ocean forest moon star");
    let plain = [b"-- two of us say Ocean, and", &hash[..], b"ocean-forest-moon-star, and secrets"].concat();
    let mut wanted = Wanted::default();
    wanted.words("ocean-forest-moon-star");
    wanted.text("secrets");
    wanted.text("nobody says this");
    let carried = tape.carried();
    // In parts, none of which has a whole word.
    for part in plain.chunks(3) {
        stream.write_all(part).await.unwrap();
        stream.flush().await.unwrap();
    }
    until("all of it", async || tape.carried() >= carried + plain.len()).await;
    let expected = ["Ocean", "a hash of ocean forest moon star", "forest", "ocean", "ocean-forest-moon-star"];
    assert_eq!(wanted.on(&tape), [&expected[..], &["secrets"]].concat());
}

/// Everything a node says by gossip to somebody who is connected and takes it.
async fn overheard(attacker: &mut Attacker) -> watch::Receiver<Vec<u8>> {
    let (heard, hears) = watch::channel(Vec::new());
    for version in ["/meshsub/1.3.0", "/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"] {
        let mut calls = attacker.streams.accept(StreamProtocol::new(version)).unwrap();
        let heard = heard.clone();
        tokio::spawn(async move {
            while let Some((_, mut stream)) = calls.next().await {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    heard.send_modify(|all| all.extend_from_slice(&bytes[..count]));
                }
            }
        });
    }
    hears
}

#[tokio::test]
async fn a_stranger_is_told_of_no_topic_and_a_fellow_member_is() {
    let secret = DeviceSecret::from_seeds(&[1; 32], &[1; 32]);
    let options = swarm::Options { listen: vec!["/ip4/127.0.0.1/tcp/0".into()], ..Default::default() };
    let (told, mut listening) = watch::channel(Listening::default());
    let (paths, _) = watch::channel(swarm::Paths::new());
    let mut network = swarm::start(&secret.signing_seed(), &options, told, paths).unwrap();
    timeout(DEADLINE, listening.wait_for(|listening| listening.ready)).await.unwrap().unwrap();
    let address = listening.borrow().addresses.first().unwrap().clone();
    let topic = Topic([0xab; 32]);
    network.orders.send(Order::Subscribe(topic)).await.unwrap();

    let mut eve = Attacker::new(1, "127.0.0.2").await;
    let mut heard = overheard(&mut eve).await;
    let device = device_of(&eve.peer).unwrap();
    eve.connect(&address).await;
    // A frame takes the same way as gossip would, and later.
    let at = fourword::swarm::peer_of(&secret.key()).unwrap();
    let mut stream = eve.frames(at).await.unwrap();
    stream.write_all(&[0, 0, 0, 2, b'h', b'i']).await.unwrap();
    stream.flush().await.unwrap();
    let came = async {
        while network.arrivals.recv().await.unwrap().event != Event::Received(device, b"hi".to_vec()) {}
    };
    timeout(DEADLINE, came).await.unwrap();
    // A topic that is joined while the stranger is there is not told either.
    network.orders.send(Order::Subscribe(Topic([0xcd; 32]))).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(heard.borrow().is_empty());

    network.orders.send(Order::Fellows([device].into())).await.unwrap();
    for topic in [topic, Topic([0xcd; 32])] {
        let name = topic.to_string().into_bytes();
        let tells = |all: &Vec<u8>| all.windows(name.len()).any(|window| window == name);
        timeout(DEADLINE, heard.wait_for(tells)).await.unwrap().unwrap();
    }
}
