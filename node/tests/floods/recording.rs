//! A relay that writes down every byte it reads and sends, inside the encryption of each connection:
//! all that whoever runs a relay, and takes part in the table of offers, can know.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite, StreamExt};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::identity::Keypair;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, Mode};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{StreamProtocol, SwarmBuilder, identify, noise, relay, tcp, yamux};
use tokio::task::JoinSet;

/// Everything that was read and written, each direction of each stream for itself and whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Arc<Mutex<Vec<Reel>>>);

/// One direction of one stream.
#[derive(Clone, Debug)]
struct Reel {
    read: bool,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Tape {
    /// Begins to write down one direction of a stream.
    fn begin(&self, read: bool) -> Reel {
        let reel = Reel { read, bytes: Arc::default() };
        self.0.lock().unwrap().push(reel.clone());
        reel
    }

    /// All that was read and written so far, one direction of a stream after the other.
    pub(crate) fn all(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().iter().map(|reel| reel.bytes.lock().unwrap().clone()).collect()
    }

    /// How many bytes were read from nodes that were to be carried on to others.
    pub(crate) fn carried(&self) -> usize {
        let reels = self.0.lock().unwrap();
        let read = reels.iter().filter(|reel| reel.read).map(|reel| reel.bytes.lock().unwrap());
        read.filter(|bytes| is_circuit(bytes)).map(|bytes| bytes.len()).sum()
    }
}

impl Reel {
    fn note(&self, bytes: &[u8]) {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
    }
}

/// Whether a stream begins with the name of a protocol by which circuits are opened.
fn is_circuit(bytes: &[u8]) -> bool {
    let begins = &bytes[..bytes.len().min(96)];
    [&b"/circuit/relay/0.2.0/hop"[..], b"/circuit/relay/0.2.0/stop"]
        .iter()
        .any(|name| begins.windows(name.len()).any(|window| window == *name))
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    table: kad::Behaviour<MemoryStore>,
    circuits: relay::Behaviour,
}

/// Runs a relay until it is dropped; gives its address and its tape.
pub(crate) async fn start() -> (String, Tape, JoinSet<()>) {
    let tape = Tape::default();
    let splitting = Recorded { inner: yamux::Config::default(), tape: tape.clone() };
    let behaviour = |keypair: &Keypair| {
        let own = keypair.public().to_peer_id();
        let settings = kad::Config::new(StreamProtocol::new("/fourword/find/1"));
        let mut table = kad::Behaviour::with_config(own, MemoryStore::new(own), settings);
        table.set_mode(Some(Mode::Server));
        let circuits =
            relay::Config { max_circuit_bytes: 0, max_circuits_per_peer: 64, ..relay::Config::default() };
        Behaviour {
            identify: identify::Behaviour::new(identify::Config::new("/fourword/1".into(), keypair.public())),
            table,
            circuits: relay::Behaviour::new(own, circuits),
        }
    };
    let mut swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, move || splitting)
        .unwrap()
        .with_behaviour(behaviour)
        .unwrap()
        .build();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    swarm.add_external_address(address.clone());
    let address = format!("{address}/p2p/{}", swarm.local_peer_id());
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    (address, tape, driving)
}

/// The splitting of a connection, or the connection that is split, with a tape that runs.
#[derive(Clone)]
struct Recorded<T> {
    inner: T,
    tape: Tape,
}

type Split<C> = <yamux::Config as InboundConnectionUpgrade<C>>::Output;

impl UpgradeInfo for Recorded<yamux::Config> {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.inner.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C>
    for Recorded<yamux::Config>
{
    type Output = Recorded<Split<C>>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Output, std::io::Error>>;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        let split = futures::executor::block_on(self.inner.upgrade_inbound(socket, info));
        std::future::ready(split.map(|inner| Recorded { inner, tape: self.tape }))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C>
    for Recorded<yamux::Config>
{
    type Output = Recorded<Split<C>>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Output, std::io::Error>>;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        let split = futures::executor::block_on(self.inner.upgrade_outbound(socket, info));
        std::future::ready(split.map(|inner| Recorded { inner, tape: self.tape }))
    }
}

impl<M: StreamMuxer<Substream: Unpin> + Unpin> StreamMuxer for Recorded<M> {
    type Substream = Stream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, M::Error>> {
        let opened = Pin::new(&mut self.inner).poll_inbound(context);
        opened.map_ok(|inner| Stream::new(inner, &self.tape))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, M::Error>> {
        let opened = Pin::new(&mut self.inner).poll_outbound(context);
        opened.map_ok(|inner| Stream::new(inner, &self.tape))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

/// A stream, both directions of which are written down.
struct Stream<S> {
    inner: S,
    read: Reel,
    written: Reel,
}

impl<S> Stream<S> {
    fn new(inner: S, tape: &Tape) -> Stream<S> {
        Stream { inner, read: tape.begin(true), written: tape.begin(false) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(context, bytes);
        if let Poll::Ready(Ok(count)) = read {
            self.read.note(&bytes[..count]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.written.note(&bytes[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}
