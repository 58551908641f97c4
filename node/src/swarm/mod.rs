//! The network of one node: a libp2p swarm owned by one task.
//!
//! The driver gives it `Order`s and takes `Arrival`s from it, both over bounded channels. The task
//! never waits for the driver: it takes orders at all times, so the driver may wait for it; and
//! while arrivals are not taken, it asks the network for no more.
//!
//! Invariant: `Connected` and `Disconnected` alternate for each device, and every frame arrives
//! between them, in the order it was sent.

pub(crate) mod addresses;
mod behaviour;
mod circle;
mod dial;
pub(crate) mod door;
mod events;
pub(crate) mod finding;
mod frames;
mod gossip;
pub(crate) mod muxing;
mod path;
mod peer;
mod punching;
mod reaching;
mod relays;
mod report;
mod routes;
mod session;
mod streams;
mod task;

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use fourword_protocol::effect::{Reason, Verdict};
use fourword_protocol::event::{Event, GossipId};
use fourword_protocol::ids::{DeviceKey, Digest, Topic};
use libp2p::Multiaddr;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, Swarm};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) use self::behaviour::{IDENTIFY_AGENT, IDENTIFY_PROTOCOL, quic};
pub use self::path::{Path, Paths, Transport};
pub use self::peer::{device_of, peer_of};
pub use self::report::{
    Connections, Counts, Mapping, Observed, Outside, Queues, Relay, Report, Tested, Traffic,
};
use crate::limits::{ARRIVALS_MAX, ORDERS_MAX};

/// Where a node listens and whom it looks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Multiaddrs to listen on; port 0 takes any that is free.
    pub listen: Vec<String>,
    /// Multiaddrs that are dialled from the start, and again whenever not connected.
    pub bootstrap: Vec<String>,
    /// Multiaddrs of relays, each with the relay's peer id.
    pub relays: Vec<String>,
    /// Find nodes of the local network by themselves.
    pub mdns: bool,
}

/// What the swarm is told to do, in order. Each but the last is the network's part of an `Effect`.
#[derive(Debug)]
pub enum Order {
    /// Dial an address at once, and keep it for dialling again.
    Connect(String),
    /// Offer to be found under a key, or offer it no more.
    Offer(Digest),
    /// See `Offer`.
    Withdraw(Digest),
    /// Search once for who offers to be found under a key.
    Find(Digest),
    /// Try to reach a device of which only the name is known.
    Reach(DeviceKey),
    /// Keep room for connections with these devices, and let go who was kept room for before.
    Fellows(BTreeSet<DeviceKey>),
    /// Close all connections to a device and forget its addresses; refuse it if it misbehaved.
    Disconnect(DeviceKey, Reason),
    /// Send one frame; dropped if the device is not connected.
    Send(DeviceKey, Vec<u8>),
    /// Take part in a topic.
    Subscribe(Topic),
    /// Leave a topic.
    Unsubscribe(Topic),
    /// Publish on a topic.
    Publish(Topic, Vec<u8>),
    /// Pass a message on, or not.
    Judge(GossipId, Verdict),
    /// Tell how the network does.
    Report(oneshot::Sender<Report>),
}

/// Something that came from the network.
#[derive(Debug)]
pub struct Arrival {
    /// What came.
    pub event: Event,
    /// The bytes it takes of what may wait: given back when this is dropped.
    _room: Option<OwnedSemaphorePermit>,
}

/// Where a node can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Multiaddrs with the node's peer id, those that only this machine can use last.
    pub addresses: Vec<String>,
    /// Every address asked for is listened on.
    pub ready: bool,
}

/// A running swarm. It ends when `orders` is dropped.
pub struct Network {
    /// Takes orders; waits only while the task is busy with others.
    pub orders: mpsc::Sender<Order>,
    /// Gives what came.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// Ends after all connections were closed.
    pub task: JoinHandle<()>,
}

/// The node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address is taken, not this machine's, or no address.
    #[error("cannot listen on {address}: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The swarm could not be built.
    #[error("cannot open the network: {0:#}")]
    Setup(anyhow::Error),
}

/// Opens the network under a device's key, given as the seed of its signing key, and listens.
///
/// Must be called within a tokio runtime. Addresses are told on `listening` as they become known,
/// and on `paths` how each device is reached.
pub fn start(
    signing_seed: &[u8; 32],
    options: &Options,
    listening: watch::Sender<Listening>,
    paths: watch::Sender<Paths>,
) -> Result<Network, ListenError> {
    // The library overwrites the bytes it is given.
    let keypair =
        Keypair::ed25519_from_bytes(*signing_seed).map_err(|error| ListenError::Setup(error.into()))?;
    let mut swarm = behaviour::build(keypair, options.mdns).map_err(ListenError::Setup)?;
    let listeners = options
        .listen
        .iter()
        .map(|address| listen(&mut swarm, address))
        .collect::<Result<Vec<ListenerId>, ListenError>>()?;
    let (orders, taken) = mpsc::channel(ORDERS_MAX);
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let mut task = task::Task::new(swarm, listeners, listening, paths);
    task.look_for(&options.bootstrap, &options.relays);
    let task = tokio::spawn(task.run(taken, arrived));
    Ok(Network { orders, arrivals, task })
}

/// Has a swarm listen on an address. Fails with words for a person.
pub(crate) fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: &str,
) -> Result<ListenerId, ListenError> {
    let failed = |reason: String| ListenError::Address { address: address.to_string(), reason };
    let parsed: Multiaddr = address.parse().map_err(|_| failed("this is not a multiaddr".to_string()))?;
    check_free(&parsed).map_err(|error| failed(reason_of(&error)))?;
    swarm.listen_on(parsed).map_err(|error| match error {
        TransportError::MultiaddrNotSupported(_) => failed("no transport for such an address".to_string()),
        TransportError::Other(error) => failed(reason_of(&error)),
    })
}

/// Fails if the port is taken. The library shares TCP ports, so that a second node on one port
/// would take half of the first one's connections, and neither would notice; and what it says of
/// UDP ports hides the reason.
fn check_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        Some(Protocol::Udp(port)) if port != 0 => UdpSocket::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Why an address cannot be listened on now, in words for a person; `None` if it can.
pub(crate) fn refusal(address: &str) -> Option<String> {
    match address.parse::<Multiaddr>() {
        Ok(parsed) => check_free(&parsed).err().map(|error| reason_of(&error)),
        Err(_) => Some("this is not a multiaddr".to_string()),
    }
}

fn reason_of(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken by another program; choose another one".to_string(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_string(),
        io::ErrorKind::PermissionDenied => "not allowed; ports below 1024 often are not".to_string(),
        _ => error.to_string(),
    }
}
