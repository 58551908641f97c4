//! Real swarms in one process, over TCP and QUIC on loopback.
//!
//! Every wait has a deadline, far beyond what a loaded machine needs, and ends with the event it
//! waits for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod relays;

use std::time::Duration;

use fourword::swarm::{self, Arrival, ListenError, Listening, Network, Options, Order, peer_of};
use fourword_protocol::effect::{Reason, Verdict};
use fourword_protocol::event::Event;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{DeviceKey, Topic};
use fourword_protocol::limits::FRAME_BYTES_MAX;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, Stream, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use libp2p_stream::Control;
use tokio::sync::watch;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);
const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

struct Node {
    device: DeviceKey,
    network: Network,
    listening: watch::Receiver<Listening>,
}

impl Node {
    fn try_start(seed: u8, listen: &[&str]) -> Result<Node, ListenError> {
        Node::try_start_with(seed, listen, Options::default())
    }

    fn try_start_with(seed: u8, listen: &[&str], options: Options) -> Result<Node, ListenError> {
        let secret = DeviceSecret::from_seeds(&[seed; 32], &[seed; 32]);
        let listen = listen.iter().map(|address| address.to_string()).collect();
        let (told, listening) = watch::channel(Listening::default());
        let options = Options { listen, ..options };
        let (paths, _) = watch::channel(swarm::Paths::new());
        let network = swarm::start(&secret.signing_seed(), &options, told, paths)?;
        Ok(Node { device: secret.key(), network, listening })
    }

    async fn start(seed: u8, listen: &str) -> Node {
        Node::start_with(seed, &[listen], Options::default()).await
    }

    async fn start_with(seed: u8, listen: &[&str], options: Options) -> Node {
        let mut node = Node::try_start_with(seed, listen, options).unwrap();
        timeout(DEADLINE, node.listening.wait_for(|listening| listening.ready)).await.unwrap().unwrap();
        node
    }

    fn address(&self) -> String {
        self.listening.borrow().addresses.first().unwrap().clone()
    }

    async fn order(&self, order: Order) {
        timeout(DEADLINE, self.network.orders.send(order)).await.unwrap().unwrap();
    }

    async fn next(&mut self) -> Event {
        let Arrival { event, .. } = timeout(DEADLINE, self.network.arrivals.recv()).await.unwrap().unwrap();
        event
    }

    /// The next event other than hints: that gossip was missed, or where a device can be reached.
    async fn news(&mut self) -> Event {
        self.until(|event| !matches!(event, Event::Missed(_) | Event::Met { .. })).await
    }

    async fn expect(&mut self, expected: Event) {
        assert_eq!(self.news().await, expected);
    }

    /// The next event that is looked for; the others are passed over.
    async fn until(&mut self, looked_for: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await;
            if looked_for(&event) {
                return event;
            }
        }
    }

    async fn stop(self) {
        drop(self.network.orders);
        timeout(DEADLINE, self.network.task).await.unwrap().unwrap();
    }
}

/// Tells each node that the others are fellow members, among whom alone gossip goes on.
async fn befriend(nodes: &[&Node]) {
    for node in nodes {
        let others = nodes.iter().map(|other| other.device).filter(|device| *device != node.device);
        node.order(Order::Fellows(others.collect())).await;
    }
}

async fn connect(from: &mut Node, to: &mut Node) {
    from.order(Order::Connect(to.address())).await;
    from.expect(Event::Connected(to.device)).await;
    to.expect(Event::Connected(from.device)).await;
}

/// Frames of all sizes: mostly small, some of 400 KB and one of the greatest.
fn frames() -> Vec<Vec<u8>> {
    (0..1000u32)
        .map(|number| {
            let size = match number {
                500 => FRAME_BYTES_MAX,
                _ if number % 120 == 7 => 400 * 1024,
                _ => 4 + number as usize % 300,
            };
            let mut frame = vec![number as u8; size];
            frame[..4].copy_from_slice(&number.to_be_bytes());
            frame
        })
        .collect()
}

async fn exchange(listen: &str) {
    let mut ada = Node::start(1, listen).await;
    let mut ben = Node::start(2, listen).await;
    connect(&mut ada, &mut ben).await;
    for frame in frames() {
        ada.order(Order::Send(ben.device, frame.clone())).await;
        ben.order(Order::Send(ada.device, frame)).await;
    }
    for frame in frames() {
        ben.expect(Event::Received(ada.device, frame.clone())).await;
        ada.expect(Event::Received(ben.device, frame)).await;
    }
}

#[tokio::test]
async fn frames_arrive_in_order_and_whole_both_ways_over_tcp() {
    exchange(TCP).await;
}

#[tokio::test]
async fn frames_arrive_in_order_and_whole_both_ways_over_quic() {
    exchange(QUIC).await;
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_lose_no_frame() {
    let mut ada = Node::start(1, TCP).await;
    let mut ben = Node::start(2, TCP).await;
    ada.order(Order::Connect(ben.address())).await;
    ben.order(Order::Connect(ada.address())).await;
    ada.expect(Event::Connected(ben.device)).await;
    ben.expect(Event::Connected(ada.device)).await;
    for frame in frames() {
        ada.order(Order::Send(ben.device, frame.clone())).await;
        ben.order(Order::Send(ada.device, frame)).await;
    }
    for frame in frames() {
        ben.expect(Event::Received(ada.device, frame.clone())).await;
        ada.expect(Event::Received(ben.device, frame)).await;
    }
}

#[tokio::test]
async fn what_was_sent_before_a_surplus_device_is_sent_away_still_arrives() {
    let mut ada = Node::start(1, TCP).await;
    let mut ben = Node::start(2, TCP).await;
    connect(&mut ada, &mut ben).await;
    for frame in frames() {
        ada.order(Order::Send(ben.device, frame)).await;
    }
    ada.order(Order::Disconnect(ben.device, Reason::Surplus)).await;
    for frame in frames() {
        ben.expect(Event::Received(ada.device, frame)).await;
    }
    ben.expect(Event::Disconnected(ada.device)).await;
    ada.expect(Event::Disconnected(ben.device)).await;
}

#[tokio::test]
async fn a_node_that_stops_is_missed_and_found_again_on_the_same_port() {
    let mut ada = Node::start(1, TCP).await;
    let mut ben = Node::start(2, TCP).await;
    let address = ben.address();
    connect(&mut ada, &mut ben).await;
    ben.stop().await;
    ada.expect(Event::Disconnected(DeviceSecret::from_seeds(&[2; 32], &[2; 32]).key())).await;

    let (port, _) = address.split_once("/p2p/").unwrap();
    let mut ben = Node::start(2, port).await;
    ada.expect(Event::Connected(ben.device)).await;
    ben.expect(Event::Connected(ada.device)).await;
    ada.order(Order::Send(ben.device, b"welcome back".to_vec())).await;
    ben.expect(Event::Received(ada.device, b"welcome back".to_vec())).await;
}

#[tokio::test]
async fn a_dial_that_leads_nowhere_is_told_once_with_a_reason() {
    let mut ada = Node::start(1, TCP).await;
    let ben = Node::start(2, TCP).await;
    let address = ben.address();
    ben.stop().await;
    ada.order(Order::Connect(address.clone())).await;
    match ada.news().await {
        Event::Unreachable { address: told, reason } => {
            assert_eq!(told, address);
            assert!(reason.to_lowercase().contains("refused"), "{reason}");
        }
        event => panic!("{event:?}"),
    }
    ada.order(Order::Connect("nonsense".to_string())).await;
    match ada.news().await {
        Event::Unreachable { address, .. } => assert_eq!(address, "nonsense"),
        event => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    for listen in [TCP, QUIC] {
        let ada = Node::start(1, listen).await;
        let address = ada.address();
        let (taken, _) = address.split_once("/p2p/").unwrap();
        match Node::try_start(2, &[taken]) {
            Err(ListenError::Address { address, reason }) => {
                assert_eq!(address, taken);
                assert!(reason.contains("taken"), "{reason}");
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("two nodes listen on {taken}"),
        }
    }
}

// -- gossip -----------------------------------------------------------------------------------

fn topic(number: u16) -> Topic {
    let mut topic = [0; 32];
    topic[..2].copy_from_slice(&number.to_be_bytes());
    Topic(topic)
}

/// Publishes until it is heard, since a subscription takes a moment to be known. The bytes are
/// equal each time, so they are heard once.
async fn publish_until_heard(from: &Node, to: &mut Node, topic: Topic, bytes: &[u8], verdict: Verdict) {
    let heard = async {
        loop {
            from.order(Order::Publish(topic, bytes.to_vec())).await;
            let next = timeout(Duration::from_millis(200), to.network.arrivals.recv()).await;
            match next.map(|arrival| arrival.unwrap().event) {
                Ok(Event::Heard { gossip, topic: on, bytes: heard, .. }) => {
                    assert_eq!((on, heard.as_slice()), (topic, bytes));
                    break gossip;
                }
                Ok(Event::Missed(_) | Event::Met { .. }) | Err(_) => {}
                Ok(event) => panic!("{event:?}"),
            }
        }
    };
    let gossip = timeout(DEADLINE, heard).await.unwrap();
    to.order(Order::Judge(gossip, verdict)).await;
}

#[tokio::test]
async fn gossip_is_passed_on_once_if_accepted_and_not_if_rejected() {
    let mut ada = Node::start(1, TCP).await;
    let mut ben = Node::start(2, TCP).await;
    let mut eve = Node::start(3, TCP).await;
    for node in [&ada, &ben, &eve] {
        node.order(Order::Subscribe(topic(0))).await;
    }
    befriend(&[&ada, &ben, &eve]).await;
    connect(&mut ben, &mut eve).await;
    // What ben publishes while nobody else listens shows that eve does.
    publish_until_heard(&ben, &mut eve, topic(0), b"are you there", Verdict::Ignore).await;
    connect(&mut ada, &mut ben).await;

    publish_until_heard(&ada, &mut ben, topic(0), b"poison", Verdict::Reject).await;
    publish_until_heard(&ada, &mut ben, topic(0), b"good", Verdict::Accept).await;
    publish_until_heard(&ada, &mut ben, topic(0), b"also good", Verdict::Accept).await;
    for expected in [&b"good"[..], b"also good"] {
        match eve.news().await {
            Event::Heard { bytes, from, .. } => assert_eq!((bytes.as_slice(), from), (expected, ben.device)),
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn three_hundred_topics_work_though_all_were_joined_before_connecting() {
    let mut ada = Node::start(1, TCP).await;
    let mut ben = Node::start(2, TCP).await;
    for number in 0..300 {
        ada.order(Order::Subscribe(topic(number))).await;
        ben.order(Order::Subscribe(topic(number))).await;
    }
    connect(&mut ada, &mut ben).await;
    // Known as fellow members only now, as those are who have just been let in.
    befriend(&[&ada, &ben]).await;
    for number in [0, 150, 299] {
        publish_until_heard(&ada, &mut ben, topic(number), &number.to_be_bytes(), Verdict::Accept).await;
    }
}

// -- peers that are no nodes of ours ------------------------------------------------------------

/// A libp2p program that speaks nothing but the stream's name.
fn stranger(seed: u8) -> Swarm<libp2p_stream::Behaviour> {
    let keypair = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
    SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
        .build()
}

const SYNC: StreamProtocol = StreamProtocol::new("/fourword/sync/1");

/// Opens a stream in the stranger's session of this number.
async fn open(control: &mut Control, node: &Node, session: u64) -> Stream {
    let mut stream = control.open_stream(peer_of(&node.device).unwrap(), SYNC).await.unwrap();
    stream.write_all(&session.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Says one frame of a few bytes.
async fn say(stream: &mut Stream, frame: &[u8]) {
    stream.write_all(&(frame.len() as u32).to_be_bytes()).await.unwrap();
    stream.write_all(frame).await.unwrap();
    stream.flush().await.unwrap();
}

/// The number of the session in which the node opened a stream.
async fn session_of(stream: &mut Stream) -> u64 {
    let mut number = [0; 8];
    timeout(DEADLINE, stream.read_exact(&mut number)).await.unwrap().unwrap();
    u64::from_be_bytes(number)
}

fn dial(stranger: &mut Swarm<libp2p_stream::Behaviour>, node: &Node) {
    let address: Multiaddr = node.address().parse().unwrap();
    let peer = peer_of(&node.device).unwrap();
    let options = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![address]);
    stranger.dial(options.build()).unwrap();
}

#[tokio::test]
async fn an_oversized_length_closes_the_connection_and_its_sender_is_refused() {
    let mut ada = Node::start(1, TCP).await;
    let mut eve = stranger(9);
    let mut control = eve.behaviour().new_control();
    let eve_device = DeviceSecret::from_seeds(&[9; 32], &[9; 32]).key();
    dial(&mut eve, &ada);
    let (closed, mut seen_closed) = watch::channel(0);
    let driving = tokio::spawn(async move {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = eve.select_next_some().await {
                closed.send_modify(|count| *count += 1);
            }
        }
    });
    ada.expect(Event::Connected(eve_device)).await;

    let mut stream = open(&mut control, &ada, 1).await;
    say(&mut stream, b"hi").await;
    stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    ada.expect(Event::Received(eve_device, b"hi".to_vec())).await;
    ada.expect(Event::Disconnected(eve_device)).await;
    timeout(DEADLINE, seen_closed.wait_for(|count| *count > 0)).await.unwrap().unwrap();

    driving.abort();
    let mut again = stranger(9);
    dial(&mut again, &ada);
    let refused = async {
        loop {
            match again.select_next_some().await {
                SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => break,
                _ => {}
            }
        }
    };
    timeout(DEADLINE, refused).await.unwrap();
    ada.order(Order::Connect("nonsense".to_string())).await;
    let next = ada.news().await;
    assert!(matches!(next, Event::Unreachable { .. }), "a refused device connected: {next:?}");
}

#[tokio::test]
async fn the_greater_peer_moves_its_stream_to_the_connection_of_the_others() {
    let smaller = (1..100).find(|seed| peer_bytes(*seed) < peer_bytes(100)).unwrap();
    let device = DeviceSecret::from_seeds(&[smaller; 32], &[smaller; 32]).key();
    let mut ada = Node::start(100, TCP).await;
    // One device on two connections, each driven apart so that we know which carries what.
    let (mut first, mut second) = (stranger(smaller), stranger(smaller));
    let mut streams = [&first, &second].map(|swarm| swarm.behaviour().new_control().accept(SYNC).unwrap());
    let mut control = second.behaviour().new_control();

    dial(&mut first, &ada);
    let _first = drive(first);
    ada.expect(Event::Connected(device)).await;
    ada.order(Order::Send(device, b"one".to_vec())).await;
    let (_, mut old) = timeout(DEADLINE, streams[0].next()).await.unwrap().unwrap();
    let session = session_of(&mut old).await;
    assert_eq!(read_frame(&mut old).await, b"one");

    dial(&mut second, &ada);
    let _second = drive(second);
    let mut stream = open(&mut control, &ada, 1).await;
    say(&mut stream, b"hi").await;
    ada.expect(Event::Received(device, b"hi".to_vec())).await;

    assert_eq!(timeout(DEADLINE, old.read(&mut [0])).await.unwrap().unwrap(), 0, "the old stream ends");
    ada.order(Order::Send(device, b"two".to_vec())).await;
    old.close().await.unwrap();
    let (_, mut new) = timeout(DEADLINE, streams[1].next()).await.unwrap().unwrap();
    assert_eq!(session_of(&mut new).await, session, "it is one session that moves");
    assert_eq!(read_frame(&mut new).await, b"two");
}

/// A device on two connections at once, each driven apart: of a process, and of the next one.
struct Twice {
    device: DeviceKey,
    controls: [Control; 2],
    _driving: [tokio::task::JoinSet<()>; 2],
}

/// Connects a device twice to a node, and says something in its session 1 on the first connection.
/// The node has the greater peer id and closes neither as surplus.
async fn twice() -> (Node, Twice, Stream) {
    let greater = (10..).find(|seed| peer_bytes(*seed) > peer_bytes(9)).unwrap();
    let mut node = Node::start(greater, TCP).await;
    let device = DeviceSecret::from_seeds(&[9; 32], &[9; 32]).key();
    let mut swarms = [stranger(9), stranger(9)];
    let mut controls = swarms.each_ref().map(|swarm| swarm.behaviour().new_control());
    swarms.iter_mut().for_each(|swarm| dial(swarm, &node));
    let _driving = swarms.map(drive);
    node.expect(Event::Connected(device)).await;
    let mut stream = open(&mut controls[0], &node, 1).await;
    say(&mut stream, b"hi").await;
    node.expect(Event::Received(device, b"hi".to_vec())).await;
    (node, Twice { device, controls, _driving }, stream)
}

/// Lets a stream end, and waits until all of it was read.
async fn end(mut stream: Stream) {
    stream.close().await.unwrap();
    assert_eq!(timeout(DEADLINE, stream.read(&mut [0])).await.unwrap().unwrap(), 0, "all was read");
}

#[tokio::test]
async fn a_device_that_begins_anew_while_its_old_connection_seems_sound_is_met_anew() {
    // What it said at first never ends, as after a power cut.
    let (mut ada, mut eve, _unended) = twice().await;
    let mut new = open(&mut eve.controls[1], &ada, 2).await;
    say(&mut new, b"yo").await;
    ada.expect(Event::Disconnected(eve.device)).await;
}

#[tokio::test]
async fn a_device_that_begins_anew_after_its_last_stream_has_ended_is_met_anew() {
    let (mut ada, mut eve, stream) = twice().await;
    end(stream).await;
    let mut new = open(&mut eve.controls[1], &ada, 2).await;
    say(&mut new, b"yo").await;
    ada.expect(Event::Disconnected(eve.device)).await;

    // In the session after that its number is taken as the first one was.
    let mut again = stranger(9);
    let mut control = again.behaviour().new_control();
    dial(&mut again, &ada);
    let _again = drive(again);
    ada.expect(Event::Connected(eve.device)).await;
    let mut stream = open(&mut control, &ada, 2).await;
    say(&mut stream, b"yo").await;
    ada.expect(Event::Received(eve.device, b"yo".to_vec())).await;
}

#[tokio::test]
async fn a_device_that_moves_its_stream_is_not_met_anew() {
    let (mut ada, mut eve, stream) = twice().await;
    end(stream).await;
    let mut moved = open(&mut eve.controls[1], &ada, 1).await;
    say(&mut moved, b"yo").await;
    ada.expect(Event::Received(eve.device, b"yo".to_vec())).await;
}

#[tokio::test]
async fn a_stream_that_does_not_say_its_session_in_time_is_given_up_alone() {
    let (mut ada, mut eve, stream) = twice().await;
    end(stream).await;
    let peer = peer_of(&ada.device).unwrap();
    let mut mute = eve.controls[1].open_stream(peer, SYNC).await.unwrap();
    mute.write_all(&[0; 7]).await.unwrap();
    mute.flush().await.unwrap();
    let given_up = timeout(DEADLINE, mute.read(&mut [0])).await.unwrap();
    assert!(!matches!(given_up, Ok(1..)), "{given_up:?}");
    let mut other = open(&mut eve.controls[1], &ada, 1).await;
    say(&mut other, b"yo").await;
    ada.expect(Event::Received(eve.device, b"yo".to_vec())).await;
}

/// Runs a swarm until it is dropped.
fn drive(mut swarm: Swarm<libp2p_stream::Behaviour>) -> tokio::task::JoinSet<()> {
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    driving
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let read = async {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).await.unwrap();
        frame
    };
    timeout(DEADLINE, read).await.unwrap()
}

fn peer_bytes(seed: u8) -> Vec<u8> {
    peer_of(&DeviceSecret::from_seeds(&[seed; 32], &[seed; 32]).key()).unwrap().to_bytes()
}

#[tokio::test]
async fn a_second_connection_without_streams_is_closed_by_the_smaller_peer() {
    // The one that decides must be the node, so take a seed that gives it the smaller peer id.
    let smaller = (1..100).find(|seed| peer_bytes(*seed) < peer_bytes(100)).unwrap();
    let mut ada = Node::start(smaller, TCP).await;
    let mut ben = stranger(100);
    dial(&mut ben, &ada);
    dial(&mut ben, &ada);
    let (mut open, mut closed) = (0, 0);
    let watching = async {
        while open < 2 || closed < 1 {
            match ben.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => open += 1,
                SwarmEvent::ConnectionClosed { num_established, .. } => {
                    assert_eq!((open, num_established), (2, 1));
                    closed += 1;
                }
                _ => {}
            }
        }
    };
    timeout(DEADLINE, watching).await.unwrap();
    ada.expect(Event::Connected(DeviceSecret::from_seeds(&[100; 32], &[100; 32]).key())).await;
    ada.order(Order::Connect("nonsense".to_string())).await;
    let next = ada.news().await;
    assert!(matches!(next, Event::Unreachable { .. }), "the device is connected all the while: {next:?}");
}
