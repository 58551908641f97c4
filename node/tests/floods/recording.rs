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

/// Everything that was read and written, stream by stream as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    /// Writes down.
    pub(crate) fn note(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Whether these bytes are on it anywhere.
    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        self.0.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }
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

/// The splitting of a connection, or what it splits it into, with a tape that runs.
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
    type Substream = Recorded<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, M::Error>> {
        let opened = Pin::new(&mut self.inner).poll_inbound(context);
        opened.map_ok(|inner| Recorded { inner, tape: self.tape.clone() })
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, M::Error>> {
        let opened = Pin::new(&mut self.inner).poll_outbound(context);
        opened.map_ok(|inner| Recorded { inner, tape: self.tape.clone() })
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(context, bytes);
        if let Poll::Ready(Ok(count)) = read {
            self.tape.note(&bytes[..count]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.tape.note(&bytes[..count]);
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
