//! Says of each device why what it holds is not in sync with what this one holds.

use std::collections::BTreeMap;

use super::Check;
use crate::api::sync::{Awaits, Peer, Standing, Sync};

/// Devices told of one by one.
const DEVICES_MAX: usize = 50;

/// Document, state and reason.
type Line<'a> = (&'a str, Standing, &'a str);

/// One check for each device that is not in sync, one for what this person waits to get into.
pub fn peers(sync: &Sync) -> Vec<Check> {
    let mut devices: BTreeMap<(&str, &str), Vec<Line<'_>>> = BTreeMap::new();
    for document in &sync.documents {
        let is_missing = |peer: &Peer| peer.keeps || peer.state != Standing::Alone;
        let differs = |peer: &&Peer| is_missing(peer) && peer.state != Standing::InSync;
        for peer in document.peers.iter().filter(differs) {
            let line = (document.id.as_str(), peer.state, peer.reason.as_str());
            devices.entry((&peer.identity, &peer.device)).or_default().push(line);
        }
    }
    let mut checks: Vec<Check> = devices
        .iter()
        .take(DEVICES_MAX)
        .map(|((identity, device), lines)| told(identity, device, lines))
        .collect();
    if devices.len() > DEVICES_MAX {
        checks.push(Check::warning("peer", format!("and {} more devices", devices.len() - DEVICES_MAX), ""));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            "peers",
            format!("{} documents, all in sync with all devices", sync.documents.len()),
        ));
    }
    checks.extend(sync.joins.iter().map(|join| {
        let advice = match join.state {
            Awaits::WaitingForApproval => "an admin of it runs `fourword requests` and `fourword approve`",
            Awaits::WaitingForKey => "it goes on by itself while a member's device is connected",
            Awaits::Unreachable => "see the checks of relays; an invite with addresses helps",
        };
        Check::warning("join", format!("{}: {}", join.words, join.reason), advice)
    }));
    let unaccepted: u64 = sync.documents.iter().map(|document| document.unaccepted).sum();
    if unaccepted > 0 {
        let says = format!("{unaccepted} entries of yours do not count");
        checks.push(Check::warning("entries", says, "`fourword sync unaccepted WORDS` shows which and why"));
    }
    checks
}

fn told(identity: &str, device: &str, lines: &[Line<'_>]) -> Check {
    let device: String = device.chars().take(8).collect();
    let who = format!("{identity} ({device})");
    if let Some((document, _, reason)) = lines.iter().find(|(_, state, _)| *state == Standing::Diverged) {
        let advice = "send a bundle to the maintainers: `fourword doctor --bundle FILE`";
        return Check::failed("peer", format!("{who} in {document}: {reason}"), advice);
    }
    let worse = lines.iter().find(|(_, state, _)| *state != Standing::Alone);
    match worse {
        None => {
            let advice = "nothing is lost: it syncs when the device is back";
            Check::warning("peer", format!("{who}: not connected"), advice)
        }
        Some((document, state, reason)) => {
            let more = match lines.len() {
                1 => String::new(),
                count => format!(", and {} more documents", count - 1),
            };
            let advice = match state {
                Standing::WaitingForKey => "a device that has the key must be connected",
                Standing::Unconfirmed => {
                    "a device of another member who has it must be connected; remove who will not come back"
                }
                _ => "it goes on by itself while the two are connected",
            };
            Check::warning("peer", format!("{who} in {document}: {reason}{more}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::api::sync::Document;

    fn sync(states: &[Standing]) -> Sync {
        let peer = |state: &Standing| Peer {
            identity: "a-b-c-d".into(),
            device: "0e".repeat(32),
            keeps: true,
            state: *state,
            behind: 1,
            reason: "it lacks 1 entry".into(),
        };
        let document = |state| Document {
            id: "group:e-f-g-h:chat".into(),
            state: Standing::Behind,
            reason: String::new(),
            peers: vec![peer(state)],
            waiting: BTreeMap::new(),
            unaccepted: 0,
            tombstones: 0,
        };
        Sync { documents: states.iter().map(document).collect(), joins: Vec::new() }
    }

    #[test]
    fn a_device_is_told_of_once_and_by_its_worst() {
        assert_eq!(peers(&sync(&[Standing::InSync]))[0].verdict, Verdict::Ok);
        let told = peers(&sync(&[Standing::Alone, Standing::Behind, Standing::InSync]));
        assert_eq!(told.len(), 1);
        assert!(told[0].says.contains("it lacks 1 entry, and 1 more documents"), "{told:?}");
        assert!(peers(&sync(&[Standing::Alone]))[0].says.contains("not connected"));
        assert_eq!(peers(&sync(&[Standing::Behind, Standing::Diverged]))[0].verdict, Verdict::Failed);
        let mut dropped = sync(&[Standing::Alone]);
        dropped.documents[0].peers[0].keeps = false;
        assert_eq!(
            peers(&dropped)[0].verdict,
            Verdict::Ok,
            "who does not keep a document lacks nothing of it"
        );
        dropped.documents[0].peers[0].state = Standing::Behind;
        let left = peers(&dropped);
        assert_ne!(left[0].verdict, Verdict::Ok, "what it had shown and nobody has is missing");
    }
}
