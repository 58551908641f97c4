//! The node as a whole: how it does, whom it is connected to, its name, its end.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fourword_protocol::command::{self, Command, Reply};
use fourword_protocol::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::{Api, text};
use crate::driver::Report;
use crate::swarm;

/// Addresses to dial besides those in a code.
const PEERS_MAX: usize = 16;

/// Says that a node runs and that its parts answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// The program's version.
    pub version: String,
}

/// Who this node is and how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The person's four words.
    pub identity: String,
    /// The person's full id.
    pub person: String,
    /// This device.
    pub device: String,
    /// This device as libp2p names it.
    pub peer_id: Option<String>,
    /// The name shown to others; empty if none was set.
    pub name: String,
    /// Whether the root key is still on this device.
    pub root_on_device: bool,
    /// How many groups, channels, projects and organizations.
    pub groups: u32,
    /// How many devices are connected.
    pub peers: u32,
    /// Where this node may be dialled.
    pub addresses: Vec<String>,
    /// Why the node does not write, if it does not.
    pub read_only: Option<String>,
    /// What was dropped since the start, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What others did that no honest device does, and what came from newer versions.
    pub faults: Vec<Fault>,
    /// The program's version.
    pub version: String,
}

/// Something that was seen of a device and that people should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The group's four words.
    pub group: String,
    /// Whose device: four words, or the first digits of the id; null if nobody is known.
    pub identity: Option<String>,
    /// The person's name; empty if there is none.
    pub name: String,
    /// Which device; null where the version is too new to tell.
    pub device: Option<String>,
    /// What was seen.
    pub kind: FaultKind,
    /// The document's id, where it concerns one.
    pub document: Option<String>,
    /// How often it was seen.
    pub count: u64,
    /// When it was last seen, in milliseconds since 1970.
    pub last: u64,
    /// The evidence, for people.
    pub detail: String,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Two different entries at one position of a log.
    Fork,
    /// Two logs under one client id.
    TakenClientId,
    /// An entry that knows less of the members than the one before it.
    Backdated,
    /// An entry that its author had no right to write.
    NoRight,
    /// An entry whose content no honest software writes.
    Malformed,
    /// An entry of a version that this software cannot read.
    UnknownVersion,
}

/// The devices that are connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peers {
    /// One entry for each.
    pub peers: Vec<Peer>,
}

/// One connected device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// The device.
    pub device: String,
    /// The device as libp2p names it.
    pub peer_id: Option<String>,
    /// Its person, once a shared group tells.
    pub identity: Option<String>,
    /// The person's name, empty if there is none.
    pub name: String,
    /// Words of the groups shared with it.
    pub shared: Vec<String>,
    /// How it is reached; null in the moment in which it comes or goes.
    pub path: Option<Path>,
    /// What carries the connection: through a relay, on the way to the relay.
    pub transport: Option<Transport>,
}

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Without anybody between.
    Direct,
    /// Through a relay.
    Relayed,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// QUIC over UDP.
    Quic,
    /// TCP.
    Tcp,
}

/// An address to dial, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dial {
    /// A multiaddr.
    pub address: String,
}

/// A name to be shown to others, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The name.
    pub name: String,
}

/// The answer to a request to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopping {
    /// Always true.
    pub stopping: bool,
}

impl Health {
    /// All is well.
    pub fn ok() -> Health {
        Health { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

impl Api {
    /// Who the node is and how it does.
    pub async fn status(&self) -> Result<Status, Problem> {
        let Reply::Status(status) = self.ask(Command::Status).await? else { return Err(Problem::mismatch()) };
        Ok(Status::new(status, self.node.addresses()))
    }

    /// Sets the name shown to others.
    pub async fn rename(&self, name: String) -> Result<(), Problem> {
        check_name(&name)?;
        self.act(Command::SetName(name)).await?;
        Ok(())
    }
}

impl Status {
    fn new(status: command::Status, addresses: Vec<String>) -> Status {
        Status {
            identity: status.identity.to_string(),
            person: status.person.to_string(),
            device: status.device.to_string(),
            peer_id: text::peer_id(&status.device),
            name: status.name,
            root_on_device: status.root_here,
            groups: status.entities,
            peers: status.peers,
            addresses,
            read_only: status.read_only,
            dropped: status.dropped.into_iter().collect(),
            faults: status.faults.into_iter().map(Fault::from).collect(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

impl From<command::FaultView> for Fault {
    fn from(fault: command::FaultView) -> Fault {
        let is_known = fault.device.as_bytes() != &[0; 32];
        Fault {
            group: fault.entity.to_string(),
            identity: fault.person.as_ref().map(text::identity),
            name: fault.person.map(|person| person.name).unwrap_or_default(),
            device: is_known.then(|| fault.device.to_string()),
            kind: fault.kind.into(),
            document: fault.document,
            count: fault.count,
            last: fault.last.0,
            detail: fault.detail,
        }
    }
}

impl From<command::FaultKind> for FaultKind {
    fn from(kind: command::FaultKind) -> FaultKind {
        match kind {
            command::FaultKind::Fork => FaultKind::Fork,
            command::FaultKind::TakenClientId => FaultKind::TakenClientId,
            command::FaultKind::Backdated => FaultKind::Backdated,
            command::FaultKind::NoRight => FaultKind::NoRight,
            command::FaultKind::Malformed => FaultKind::Malformed,
            command::FaultKind::UnknownVersion => FaultKind::UnknownVersion,
        }
    }
}

impl Peer {
    fn new(peer: command::PeerView, path: Option<&swarm::Path>) -> Peer {
        Peer {
            device: peer.device.to_string(),
            peer_id: text::peer_id(&peer.device),
            identity: peer.person.as_ref().map(text::identity),
            name: peer.person.map(|person| person.name).unwrap_or_default(),
            shared: peer.shared.iter().map(ToString::to_string).collect(),
            path: path.map(|path| if path.relayed { Path::Relayed } else { Path::Direct }),
            transport: path.map(|path| match path.transport {
                swarm::Transport::Quic => Transport::Quic,
                swarm::Transport::Tcp => Transport::Tcp,
            }),
        }
    }
}

/// `GET /health`: fails unless all parts of the node go round.
pub async fn health(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    api.report().await?;
    Ok(Json(Health::ok()))
}

/// `GET /api/v1/report`
pub async fn report(State(api): State<Api>) -> Result<Json<Report>, Problem> {
    api.report().await.map(Json)
}

/// `GET /api/v1/status`
pub async fn status(State(api): State<Api>) -> Result<Json<Status>, Problem> {
    api.status().await.map(Json)
}

/// `GET /api/v1/peers`
pub async fn peers(State(api): State<Api>) -> Result<Json<Peers>, Problem> {
    let Reply::Peers(peers) = api.ask(Command::Peers).await? else { return Err(Problem::mismatch()) };
    let paths = api.node.paths();
    let peers = peers.into_iter().map(|peer| {
        let path = paths.get(&peer.device);
        Peer::new(peer, path)
    });
    Ok(Json(Peers { peers: peers.collect() }))
}

/// `POST /api/v1/peers`
pub async fn dial(State(api): State<Api>, Body(dial): Body<Dial>) -> Result<Json<Dial>, Problem> {
    check_address(&dial.address)?;
    api.act(Command::Dial(dial.address.clone())).await?;
    Ok(Json(dial))
}

/// Refuses what is no multiaddr, or too long a one.
pub(super) fn check_address(address: &str) -> Result<(), Problem> {
    if address.len() > limits::ADDRESS_BYTES_MAX || address.parse::<libp2p::Multiaddr>().is_err() {
        let shown: String = address.chars().take(100).collect();
        let detail = format!("\"{shown}\" is not a multiaddr like /ip4/192.0.2.1/tcp/4001");
        return Err(Problem::usage(detail));
    }
    Ok(())
}

/// Refuses addresses to dial that are no multiaddrs, or too many.
pub(super) fn check_peers(peers: &[String]) -> Result<(), Problem> {
    if peers.len() > PEERS_MAX {
        return Err(Problem::usage(format!("more than {PEERS_MAX} peers")));
    }
    peers.iter().try_for_each(|peer| check_address(peer))
}

/// `PUT /api/v1/name`
pub async fn set_name(State(api): State<Api>, Body(name): Body<Name>) -> Result<Json<Name>, Problem> {
    api.rename(name.name.clone()).await?;
    Ok(Json(name))
}

/// Refuses an empty name and one that is too long.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let max = limits::NAME_BYTES_MAX;
    if name.trim().is_empty() || name.len() > max {
        return Err(Problem::usage(format!("a name has 1 to {max} bytes")));
    }
    Ok(())
}

/// `POST /api/v1/stop`: answered before the node ends.
pub async fn stop(State(api): State<Api>) -> (StatusCode, Json<Stopping>) {
    api.stop();
    (StatusCode::ACCEPTED, Json(Stopping { stopping: true }))
}
