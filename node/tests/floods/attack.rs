//! What attackers have: swarms that speak whatever they are told to, and bare sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::kad::{self, Mode, RecordKey};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, Stream, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Streams of any name, and the table of offers.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    streams: libp2p_stream::Behaviour,
    pub(crate) table: kad::Behaviour<MemoryStore>,
}

type Order = Box<dyn FnOnce(&mut Swarm<Behaviour>) + Send>;

/// A swarm that does as it is told, until it is dropped.
pub(crate) struct Attacker {
    pub(crate) peer: PeerId,
    pub(crate) streams: libp2p_stream::Control,
    orders: mpsc::Sender<Order>,
    /// Its open connections.
    pub(crate) open: watch::Receiver<usize>,
    /// What its questions to the table brought: devices named, and values found.
    pub(crate) found: watch::Receiver<(Vec<PeerId>, usize)>,
    network: &'static str,
    driving: JoinSet<()>,
}

/// The seed of an attacker's key.
pub(crate) fn seed(number: u32) -> [u8; 32] {
    *blake3::hash(&number.to_be_bytes()).as_bytes()
}

fn swarm(number: u32) -> Swarm<Behaviour> {
    let table = |keypair: &Keypair| {
        let own = keypair.public().to_peer_id();
        let room = MemoryStoreConfig { max_provided_keys: 10_000, ..MemoryStoreConfig::default() };
        let mut settings = kad::Config::new(StreamProtocol::new("/fourword/find/1"));
        settings.set_query_timeout(DEADLINE);
        let store = MemoryStore::with_config(own, room);
        let mut table = kad::Behaviour::with_config(own, store, settings);
        table.set_mode(Some(Mode::Client));
        table
    };
    SwarmBuilder::with_existing_identity(Keypair::ed25519_from_bytes(seed(number)).unwrap())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_quic()
        .with_behaviour(|keypair| Behaviour {
            streams: libp2p_stream::Behaviour::new(),
            table: table(keypair),
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(4 * DEADLINE))
        .build()
}

impl Attacker {
    /// An attacker of this number whose connections come from a loopback address.
    pub(crate) async fn new(number: u32, network: &'static str) -> Attacker {
        let swarm = swarm(number);
        let (peer, mut streams) = (*swarm.local_peer_id(), swarm.behaviour().streams.new_control());
        let (orders, taken) = mpsc::channel(64);
        let (opened, open) = watch::channel(0);
        let (finds, found) = watch::channel((Vec::new(), 0));
        let mut driving = JoinSet::new();
        driving.spawn(drive(swarm, taken, opened, finds));
        // Whoever does not speak the protocol of nodes is sent away by them.
        let mut frames = streams.accept(StreamProtocol::new("/fourword/sync/1")).unwrap();
        driving.spawn(async move {
            let mut unread = Vec::new();
            while let Some((_, stream)) = frames.next().await {
                unread.push(stream);
            }
        });
        Attacker { peer, streams, network, orders, open, found, driving }
    }

    pub(crate) async fn order<R>(&self, order: impl FnOnce(&mut Swarm<Behaviour>) -> R + Send + 'static) {
        let order = Box::new(move |swarm: &mut Swarm<Behaviour>| drop(order(swarm)));
        assert!(self.orders.send(order).await.is_ok(), "the attacker runs");
    }

    /// Dials once more, whatever is open already.
    pub(crate) async fn dial(&mut self, address: &str) {
        let peer = peer_in(&address.parse().unwrap());
        let port = gateway(&mut self.driving, self.network, port_in(address)).await;
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse().unwrap();
        self.order(move |swarm| {
            swarm.behaviour_mut().table.add_address(&peer, address.clone());
            let options = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![address]);
            swarm.dial(options.build()).unwrap();
        })
        .await;
    }

    /// Dials once more as the library would: over QUIC too, and from the address that all have.
    pub(crate) async fn dial_plainly(&self, address: &str) {
        let address: Multiaddr = address.parse().unwrap();
        let options = DialOpts::peer_id(peer_in(&address)).condition(PeerCondition::Always);
        let options = options.addresses(vec![address]).build();
        self.order(move |swarm| swarm.dial(options).unwrap()).await;
    }

    /// Dials and waits until it is connected.
    pub(crate) async fn connect(&mut self, address: &str) {
        self.dial(address).await;
        timeout(DEADLINE, self.open.wait_for(|open| *open > 0)).await.unwrap().unwrap();
    }

    /// Opens a stream of some protocol.
    pub(crate) async fn stream(&mut self, to: PeerId, protocol: &'static str) -> Option<Stream> {
        let opening = self.streams.open_stream(to, StreamProtocol::new(protocol));
        timeout(DEADLINE, opening).await.unwrap().ok()
    }

    /// Opens a stream for frames, in the one session of the attacker's.
    pub(crate) async fn frames(&mut self, to: PeerId) -> Option<Stream> {
        let mut stream = self.stream(to, "/fourword/sync/1").await?;
        stream.write_all(&1u64.to_be_bytes()).await.ok()?;
        Some(stream)
    }

    /// Offers to be found under a key.
    pub(crate) async fn offer(&self, key: [u8; 32]) {
        self.order(move |swarm| {
            swarm.behaviour_mut().table.start_providing(RecordKey::new(&key)).unwrap();
        })
        .await;
    }
}

async fn drive(
    mut swarm: Swarm<Behaviour>,
    mut orders: mpsc::Receiver<Order>,
    opened: watch::Sender<usize>,
    finds: watch::Sender<(Vec<PeerId>, usize)>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => order(&mut swarm),
                None => return,
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { .. } => opened.send_modify(|open| *open += 1),
                SwarmEvent::ConnectionClosed { .. } => opened.send_modify(|open| *open -= 1),
                SwarmEvent::Behaviour(BehaviourEvent::Table(kad::Event::OutboundQueryProgressed {
                    result,
                    ..
                })) => match result {
                    kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
                        providers,
                        ..
                    })) => finds.send_modify(|(devices, _)| devices.extend(providers)),
                    kad::QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(_))) => {
                        finds.send_modify(|(_, values)| *values += 1);
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

/// The peer id at the end of an address.
pub(crate) fn peer_in(address: &Multiaddr) -> PeerId {
    match address.iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => peer,
        _ => panic!("{address} names no peer"),
    }
}

/// Waits until so many connections are open, and has those without any dial again now and then:
/// a handshake may fail on a busy machine, or among too many at once.
pub(crate) async fn until_open(attackers: &[Attacker], address: &str, count: usize) {
    let mut tries = 0;
    until("connections of attackers", async || {
        let missing = count.saturating_sub(all_open(attackers));
        tries += 1;
        if tries % 60 == 0 {
            let idle = attackers.iter().filter(|attacker| *attacker.open.borrow() == 0);
            for attacker in idle.take(missing) {
                attacker.dial_plainly(address).await;
            }
        }
        all_open(attackers) == count
    })
    .await;
}

/// How many connections all of them have open.
pub(crate) fn all_open(attackers: &[Attacker]) -> usize {
    attackers.iter().map(|attacker| *attacker.open.borrow()).sum()
}

/// Writes one message after its length, as most protocols of the library do.
pub(crate) async fn write_message(stream: &mut Stream, message: &[u8]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut length = message.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(message);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Reads one message whose length takes one byte or two.
pub(crate) async fn read_message(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Sockets that are opened and say nothing; each that is closed is opened again, until dropped.
pub(crate) struct Silent {
    opened: Arc<AtomicUsize>,
    _holding: JoinSet<()>,
}

impl Silent {
    /// So many sockets to a TCP port of this machine from a loopback address.
    pub(crate) fn open(count: usize, network: &'static str, port: u16) -> Silent {
        let opened = Arc::new(AtomicUsize::new(0));
        let mut holding = JoinSet::new();
        for _ in 0..count {
            let opened = Arc::clone(&opened);
            holding.spawn(async move {
                loop {
                    if let Ok(mut socket) = bare(network, port).await {
                        opened.fetch_add(1, Ordering::Relaxed);
                        // Until the other side closes it.
                        let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        }
        Silent { opened, _holding: holding }
    }

    /// How many were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

/// Passes connections on to a port of this machine, from another loopback address than the library
/// would choose. Gives the port to dial instead.
async fn gateway(tasks: &mut JoinSet<()>, network: &'static str, port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let mut passing = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            passing.spawn(async move {
                if let Ok(mut far) = bare(network, port).await {
                    // Ends with either side.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    own
}

/// A socket from a loopback address to a port.
pub(crate) async fn bare(network: &str, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("{network}:0").parse().unwrap())?;
    socket.connect(format!("127.0.0.1:{port}").parse().unwrap()).await
}

/// The TCP port of an address.
pub(crate) fn port_in(address: &str) -> u16 {
    address.split('/').nth(4).unwrap().parse().unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
