//! The page of a node: its driver and network from the report, its machine from status and sync.

use fourword_protocol::command::{DocumentSync, Status, SyncState};

use super::Kind::{Counter, Gauge, Histogram};
use super::{Page, process};
use crate::driver::{Flushes, Report};
use crate::swarm;

/// What a page is made of.
#[derive(Debug, Default)]
pub struct Measured {
    /// Of the driver and the network.
    pub report: Report,
    /// Of the machine, once the node has an identity.
    pub status: Option<Status>,
    /// How every document stands.
    pub documents: Vec<DocumentSync>,
    /// Joins under way.
    pub joins: usize,
}

/// The page of a node.
pub fn node(measured: &Measured) -> String {
    let mut page = Page::default();
    let Measured { report, status, documents, joins } = measured;
    process(&mut page, report.uptime_s);
    let network = report.network.clone().unwrap_or_default();
    connections(&mut page, &network);
    traffic(&mut page, &network.counts);
    queues(&mut page, report, &network);
    envelopes(&mut page, report, status.as_ref());
    sync(&mut page, documents, *joins);
    flushes(&mut page, &report.flushes);
    page.0
}

fn connections(page: &mut Page, network: &swarm::Report) {
    let name = "fourword_connections";
    page.family(name, Gauge, "Connections open, by path (direct, relayed) and transport (tcp, quic).");
    for ways in &network.connections {
        page.value(name, &[("path", &ways.path), ("transport", &ways.transport)], ways.count);
    }
    page.one("fourword_peers", Gauge, "Devices connected, relays not counted.", network.devices);
    let name = "fourword_relays";
    page.family(name, Gauge, "Relays of the settings, by state (known, connected, reserved).");
    let own = || network.relays.iter().filter(|relay| relay.address.is_some());
    page.value(name, &[("state", "known")], own().count());
    page.value(name, &[("state", "connected")], own().filter(|relay| relay.connected).count());
    page.value(name, &[("state", "reserved")], own().filter(|relay| relay.reserved).count());
    let counts = &network.counts;
    for (name, help, count) in [
        ("fourword_connections_opened_total", "Connections opened.", counts.opened),
        ("fourword_connections_closed_total", "Connections closed.", counts.closed),
        ("fourword_connections_unanswered_total", "Connections closed for silence.", counts.unanswered),
        ("fourword_dials_failed_total", "Dials that led nowhere.", counts.dials_failed),
        (
            "fourword_inbound_failed_total",
            "Connections from outside that failed or were refused.",
            counts.inbound_failed,
        ),
        ("fourword_near_seen_total", "Nodes seen in the local network.", network.near_seen),
        ("fourword_searches_total", "Searches for who is found under a key.", counts.searches),
        ("fourword_misbehaved_total", "Frames and streams that no honest node sends.", counts.malformed),
    ] {
        page.one(name, Counter, help, count);
    }
    let name = "fourword_punches_total";
    page.family(name, Counter, "Tries to open a direct way through address translation, by result.");
    page.value(name, &[("result", "opened")], counts.punched);
    page.value(name, &[("result", "failed")], counts.punches_failed);
}

fn traffic(page: &mut Page, counts: &swarm::Counts) {
    let (frames, bytes) = ("fourword_frames_total", "fourword_frame_bytes_total");
    let ways = [("sent", &counts.frames_sent), ("received", &counts.frames_received)];
    page.family(frames, Counter, "Frames of the sync stream, by direction and kind.");
    for (direction, kinds) in ways {
        for (kind, traffic) in kinds {
            page.value(frames, &[("direction", direction), ("kind", kind)], traffic.count);
        }
    }
    page.family(bytes, Counter, "Their bytes.");
    for (direction, kinds) in ways {
        for (kind, traffic) in kinds {
            page.value(bytes, &[("direction", direction), ("kind", kind)], traffic.bytes);
        }
    }
    let (messages, bytes) = ("fourword_gossip_total", "fourword_gossip_bytes_total");
    let ways = [("published", counts.published), ("heard", counts.heard)];
    page.family(messages, Counter, "Messages of gossip, by direction (published, heard).");
    for (direction, traffic) in ways {
        page.value(messages, &[("direction", direction)], traffic.count);
    }
    page.family(bytes, Counter, "Their bytes.");
    for (direction, traffic) in ways {
        page.value(bytes, &[("direction", direction)], traffic.bytes);
    }
    let help = "Messages of gossip dropped for want of room; a sync brings what they carried.";
    page.one("fourword_gossip_missed_total", Counter, help, counts.missed);
    let compared = counts.frames_received.get("vector").map_or(0, |traffic| traffic.count);
    let help = "State vectors taken from peers: each begins or goes on with an exchange.";
    page.one("fourword_sync_exchanges_total", Counter, help, compared);
}

fn queues(page: &mut Page, report: &Report, network: &swarm::Report) {
    let name = "fourword_queue";
    page.family(name, Gauge, "What waits, by queue.");
    for (queue, count) in [
        ("commands", report.waiting.commands),
        ("store", report.waiting.store_jobs),
        ("arrivals", network.queues.arrivals),
        ("verdicts", network.queues.verdicts),
        ("addresses", network.queues.addresses),
        ("refused_devices", network.queues.refused),
    ] {
        page.value(name, &[("queue", queue)], count);
    }
    let help = "Bytes that wait to be written to the journal.";
    page.one("fourword_store_waiting_bytes", Gauge, help, report.waiting.store_bytes);
    page.one("fourword_events_total", Counter, "Events that the machine has handled.", report.events);
}

fn envelopes(page: &mut Page, report: &Report, status: Option<&Status>) {
    let name = "fourword_envelopes_total";
    page.family(name, Counter, "Envelopes stored, by origin (made here, received).");
    page.value(name, &[("origin", "made")], report.envelopes.made);
    page.value(name, &[("origin", "received")], report.envelopes.received);
    let name = "fourword_dropped_total";
    page.family(name, Counter, "Frames, statements and envelopes of others that were dropped, by reason.");
    for (reason, count) in status.iter().flat_map(|status| &status.dropped) {
        page.value(name, &[("reason", reason)], count);
    }
    let faults = status.map_or(0, |status| status.faults.len());
    page.one("fourword_faults", Gauge, "Faults of others that are on record.", faults);
    let groups = status.map_or(0, |status| status.entities);
    page.one("fourword_groups", Gauge, "Groups, channels, projects and organizations.", groups);
    let read_only = status.is_some_and(|status| status.read_only.is_some());
    page.one("fourword_read_only", Gauge, "1 if the node writes no more.", u8::from(read_only));
}

fn sync(page: &mut Page, documents: &[DocumentSync], joins: usize) {
    let name = "fourword_documents";
    page.family(name, Gauge, "Documents, by how they stand.");
    for (word, state) in [
        ("in_sync", SyncState::InSync),
        ("alone", SyncState::Alone),
        ("behind", SyncState::Behind),
        ("unconfirmed", SyncState::Unconfirmed),
        ("waiting_for_key", SyncState::WaitingForKey),
        ("diverged", SyncState::Diverged),
        ("not_member", SyncState::NotMember),
    ] {
        let count = documents.iter().filter(|document| document.state == state).count();
        page.value(name, &[("state", word)], count);
    }
    let peers = documents.iter().flat_map(|document| &document.peers);
    let wanted = peers.fold(0_u64, |sum, peer| sum.saturating_add(peer.behind));
    page.one("fourword_wanted", Gauge, "Entries that this device and others lack of each other.", wanted);
    let waiting = documents.iter().flat_map(|document| &document.waiting);
    let waiting = waiting.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    page.one("fourword_waiting", Gauge, "Entries that came and wait for others or for a key.", waiting);
    let unaccepted = documents.iter().fold(0_u64, |sum, document| sum.saturating_add(document.unaccepted));
    page.one("fourword_unaccepted", Gauge, "Entries of this device that do not count.", unaccepted);
    page.one("fourword_joins", Gauge, "Joins under way.", joins);
}

fn flushes(page: &mut Page, flushes: &Flushes) {
    let name = "fourword_flush_seconds";
    page.family(name, Histogram, "How long it took to make durable what waited for the journal.");
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    for (ms, within) in &flushes.within_ms {
        page.value("fourword_flush_seconds_bucket", &[("le", &seconds(*ms))], within);
    }
    page.value("fourword_flush_seconds_bucket", &[("le", "+Inf")], flushes.count);
    let total = format!("{}.{:06}", flushes.total_us / 1_000_000, flushes.total_us % 1_000_000);
    page.value("fourword_flush_seconds_sum", &[], total);
    page.value("fourword_flush_seconds_count", &[], flushes.count);
    page.one("fourword_flushes_failed_total", Counter, "Flushes that failed.", flushes.failed);
}
