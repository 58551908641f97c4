//! `status`, `peers`, `dial`, `name` and `paths`.

use std::fmt::Write;

use hyper::Method;
use serde::Serialize;

use super::Context;
use super::failure::{Exit, Failure};
use super::output::{plain, time};
use crate::api::node::{Dial, Fault, FaultKind, Name, Path, Peer, Peers, Status, Transport};

/// What `dial` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fourword dial /ip4/192.0.2.1/tcp/4001")]
pub(super) struct DialArgs {
    /// A multiaddr.
    #[arg(value_name = "MULTIADDR")]
    address: String,
}

/// What `name` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fourword name \"Ada Lovelace\"")]
pub(super) struct NameArgs {
    /// The name.
    name: String,
}

/// Where everything is.
#[derive(Serialize)]
struct Places {
    home: String,
    config: String,
    socket: String,
    api: String,
    token: String,
    log: String,
}

pub(super) async fn status(context: &Context) -> Result<Exit, Failure> {
    let status: Status = context.client().get("/api/v1/status").await?;
    context.output.answer(&status, status_text)?;
    Ok(Exit::Done)
}

fn status_text(status: &Status) -> String {
    let name = if status.name.is_empty() { String::new() } else { format!(" ({})", plain(&status.name)) };
    let mut text = format!("You are {}{name}\n", status.identity);
    let _ = writeln!(text, "Groups: {}   Connected devices: {}", status.groups, status.peers);
    for address in &status.addresses {
        let _ = writeln!(text, "Listening on {address}");
    }
    if let Some(reason) = &status.read_only {
        let _ = writeln!(text, "The node writes no more: {}", plain(reason));
    }
    if status.root_on_device {
        text.push_str("The recovery phrase can still be shown: fourword identity phrase\n");
    }
    if !status.faults.is_empty() {
        text.push_str("Seen of others:\n");
    }
    for fault in &status.faults {
        let _ = writeln!(text, "  {}", fault_text(fault));
    }
    text.trim_end().into()
}

fn fault_text(fault: &Fault) -> String {
    let who = match (&fault.identity, fault.name.as_str()) {
        (Some(identity), "") => format!("{identity} "),
        (Some(identity), name) => format!("{} ({identity}) ", plain(name)),
        (None, _) => String::new(),
    };
    let device = fault.device.as_ref().and_then(|device| device.get(..8));
    let device = device.map_or_else(|| "a device".into(), |device| format!("device {device}"));
    let times = if fault.count == 1 { "once".into() } else { format!("{} times", fault.count) };
    let what = match fault.kind {
        FaultKind::Fork => "wrote two different things at one place of its log",
        FaultKind::TakenClientId => "wrote under an id that another log has",
        FaultKind::Backdated => "wrote as if it had forgotten who is in the group",
        FaultKind::NoRight => "wrote what it has no right to",
        FaultKind::Malformed => "wrote what no honest software writes",
        FaultKind::UnknownVersion => "wrote what a newer version of this program can read",
    };
    let place = fault.document.as_ref().unwrap_or(&fault.group);
    format!(
        "{who}{device} in {place} {what}: {times}, last {} UTC; {}",
        time(fault.last),
        plain(&fault.detail)
    )
}

pub(super) async fn peers(context: &Context) -> Result<Exit, Failure> {
    let peers: Peers = context.client().get("/api/v1/peers").await?;
    context.output.answer(&peers, peers_text)?;
    Ok(Exit::Done)
}

fn peers_text(peers: &Peers) -> String {
    if peers.peers.is_empty() {
        return "No device is connected.".into();
    }
    let line = |peer: &Peer| {
        let device = peer.peer_id.as_ref().unwrap_or(&peer.device);
        let who = peer.identity.as_deref().unwrap_or("nobody known");
        let path = path_text(peer);
        format!("{who}  {}  {path}  {device}  {}", plain(&peer.name), peer.shared.join(" "))
            .trim_end()
            .to_owned()
    };
    peers.peers.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// How a device is reached, in words.
fn path_text(peer: &Peer) -> &'static str {
    match (peer.path, peer.transport) {
        (Some(Path::Direct), Some(Transport::Quic)) => "direct over QUIC",
        (Some(Path::Direct), Some(Transport::Tcp)) => "direct over TCP",
        (Some(Path::Relayed), Some(Transport::Quic)) => "through a relay over QUIC",
        (Some(Path::Relayed), Some(Transport::Tcp)) => "through a relay over TCP",
        _ => "coming or going",
    }
}

pub(super) async fn dial(args: DialArgs, context: &Context) -> Result<Exit, Failure> {
    let dial = Dial { address: args.address };
    let dial: Dial = context.client().send(Method::POST, "/api/v1/peers", &dial).await?;
    context.output.answer(&dial, |dial| format!("Dialling {}", dial.address))?;
    Ok(Exit::Done)
}

pub(super) async fn name(args: NameArgs, context: &Context) -> Result<Exit, Failure> {
    let name = Name { name: args.name };
    let name: Name = context.client().send(Method::PUT, "/api/v1/name", &name).await?;
    context.output.answer(&name, |name| format!("You appear to others as {}", plain(&name.name)))?;
    Ok(Exit::Done)
}

pub(super) fn paths(context: &Context) -> Result<Exit, Failure> {
    let text = |path: &std::path::Path| path.display().to_string();
    let paths = &context.paths;
    let places = Places {
        home: text(paths.home()),
        config: text(&paths.config()),
        socket: text(paths.socket()),
        api: text(&paths.api()),
        token: text(&paths.token()),
        log: text(&paths.log()),
    };
    context.output.answer(&places, |places| {
        format!(
            "home    {}\nconfig  {}\nsocket  {}\napi     {}\ntoken   {}\nlog     {}",
            places.home, places.config, places.socket, places.api, places.token, places.log
        )
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_in_words() {
        let fault = Fault {
            group: "a-b-c-d".into(),
            identity: Some("river-wind-wave-fire".into()),
            name: "Eve\x07".into(),
            device: Some("0e".repeat(32)),
            kind: FaultKind::Fork,
            document: Some("group:a-b-c-d:chat".into()),
            count: 2,
            last: 0,
            detail: "log 1, place 7".into(),
        };
        assert_eq!(
            fault_text(&fault),
            "Eve\u{fffd} (river-wind-wave-fire) device 0e0e0e0e in group:a-b-c-d:chat wrote two different things \
             at one place of its log: 2 times, last 1970-01-01 00:00 UTC; log 1, place 7"
        );
        let newer = Fault {
            identity: None,
            device: None,
            document: None,
            kind: FaultKind::UnknownVersion,
            count: 1,
            ..fault
        };
        assert_eq!(
            fault_text(&newer),
            "a device in a-b-c-d wrote what a newer version of this program can read: once, last \
             1970-01-01 00:00 UTC; log 1, place 7"
        );
    }
}
