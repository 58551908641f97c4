//! What somebody learns who runs a relay, or connects to members, and belongs to nobody's group.

use fourword::swarm::{self, Listening, Order, device_of};
use fourword_protocol::event::Event;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::Topic;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::StreamProtocol;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::attack::{Attacker, DEADLINE};
use crate::daemon::{Daemon, Home};
use crate::recording::{self, Tape};

/// A home whose node is reached through a relay alone.
fn up(home: &Home, relay: &str) -> Daemon {
    Daemon::wait(home.command(&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--relay", relay]))
}

/// The words in every form in which somebody might look for them.
fn forms(words: &str) -> Vec<Vec<u8>> {
    let plain = [words.to_owned(), words.replace('-', " "), words.replace('-', ""), words.replace('-', ".")];
    let upper = plain.iter().map(|text| text.to_uppercase());
    let texts: Vec<String> = plain.iter().cloned().chain(upper).collect();
    let mut forms: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    for text in texts {
        let blake: [u8; 32] = *blake3::hash(text.as_bytes()).as_bytes();
        let sha: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        for hash in [blake, sha, Sha256::digest(sha).into(), Sha256::digest(blake).into()] {
            forms.push(hash.to_vec());
            forms.push(hex(&hash).into_bytes());
        }
    }
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn learns_nothing(tape: &Tape, secrets: &[&str], words: &[&str]) {
    for secret in secrets {
        assert!(!tape.has(secret.as_bytes()), "{secret} was seen");
    }
    for words in words {
        for form in forms(words) {
            assert!(!tape.has(&form), "{words} was seen as {}", String::from_utf8_lossy(&form));
        }
        // The whole says nothing where each word was seen by itself.
        let seen = words.split('-').filter(|word| word.len() > 3 && tape.has(word.as_bytes())).count();
        assert!(seen < 2, "some of {words} were seen");
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
    let group = a.must(&["group", "create", "Clandestine Tea"])["words"].as_str().unwrap().to_owned();
    let channel = a.must(&["group", "create", "Hidden Biscuits", "--kind", "channel", "--parent", &group]);
    let channel = channel["words"].as_str().unwrap().to_owned();
    // Found by the words alone, which are looked up at the relay.
    b.tell(&["join", &group, "--note", "let me in please"]);
    crate::daemon::eventually("the request", || {
        a.must(&["requests", &group])["requests"].as_array().is_some_and(|all| !all.is_empty())
    });
    let who = of_b.identity();
    a.must(&["approve", &group, &who]);
    a.must(&["chat", "send", &group, "the biscuits are under the sofa"]);
    b.wait_for_chat(&group, &["the biscuits are under the sofa"]);
    b.must(&["chat", "send", &group, "and the tea is in the attic"]);
    a.wait_for_chat(&group, &["the biscuits are under the sofa", "and the tea is in the attic"]);

    // The tape runs: it has what a relay must see.
    for visible in ["/fourword/find/1", "/libp2p/circuit/relay/0.2.0/hop", "/ipfs/id/1.0.0"] {
        assert!(tape.has(visible.as_bytes()), "{visible} is missing among {} bytes", tape.len());
    }
    let secrets = [
        "Adelheid",
        "Benedict",
        "Clandestine",
        "Hidden Biscuits",
        "let me in please",
        "under the sofa",
        "in the attic",
        "general",
        "chat",
    ];
    learns_nothing(&tape, &secrets, &[&group, &channel, &of_a.identity(), &of_b.identity()]);
}

#[test]
#[should_panic(expected = "was seen")]
fn words_that_were_hashed_and_nothing_more_are_noticed() {
    let tape = Tape::default();
    tape.note(&[&[1, 2, 3][..], &Sha256::digest(b"ocean-forest-moon-star")].concat());
    learns_nothing(&tape, &[], &["ocean-forest-moon-star"]);
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
    let mut stream = eve.stream(at, "/fourword/sync/1").await.unwrap();
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
