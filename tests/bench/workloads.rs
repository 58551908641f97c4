//! The workloads: what nodes are put through, and the figures of one repetition.
//!
//! Latencies and durations are differences of times that the nodes themselves took, so what the
//! driver costs is not in them; only what begins with a start is timed here.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::child::time;
use crate::cluster::{Cluster, Mark, Place};
use crate::figures::{Figure, figure, percentile};
use crate::gauge::now_ms;
use crate::typing::Typing;

/// Bytes of one message as JSON: what a figure of content is relative to.
const CONTENT_BYTES: f64 = 110.0;

/// Sizes of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Messages one after the other, and how many of the first are dropped.
    pub(crate) singles: (usize, usize),
    /// The same among many nodes.
    pub(crate) fanned: (usize, usize),
    /// How long idle nodes are watched.
    pub(crate) idle: Duration,
    /// Kills.
    pub(crate) kills: usize,
}

/// W1: one message after the other, each when the other node was told of the one before.
pub(crate) fn live_latency(place: &Place, sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 2)?;
    let rounds = one_by_one(&mut cluster, sizes.singles)?;
    let count = rounds.told.len() as f64;
    let used = cluster.since(&rounds.since)?;
    let mut figures = vec![
        figure("told, median", "ms", percentile(&rounds.told, 50)),
        figure("told, 95 of 100", "ms", percentile(&rounds.told, 95)),
        figure("told, 99 of 100", "ms", percentile(&rounds.told, 99)),
        figure("durable, median", "ms", percentile(&rounds.durable, 50)),
        figure("processor, both", "ms a message", used.cpu_s * 1e3 / count),
    ];
    figures.extend(used.wire.map(|wire| figure("wire", "bytes a message", wire.bytes / count)));
    Ok(figures)
}

/// W2: many messages as fast as they are taken, until B has all and A has them durable.
pub(crate) fn live_throughput(place: &Place, count: u64) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 2)?;
    let since = cluster.mark()?;
    let burst = burst(&mut cluster, count)?;
    let used = cluster.since(&since)?;
    let messages = count as f64;
    let mut figures = vec![
        figure("until B has all", "s", burst.total_s),
        figure("messages", "a second", messages / burst.total_s),
        figure("durable", "a second", messages / burst.durable_s),
        figure("processor, both", "s", used.cpu_s),
        figure("memory, peak, A", "MB", cluster.memory_mb("VmHWM").first().copied().unwrap_or_default()),
        figure("memory, peak, B", "MB", cluster.memory_mb("VmHWM").get(1).copied().unwrap_or_default()),
    ];
    figures.extend(used.wire.map(|wire| figure("wire, for each message", "bytes", wire.bytes / messages)));
    let info = cluster.call(0, "info", json!({}))?;
    figures.push(figure("flushes of A", "", time(&info, "flushes")?));
    figures.push(figure("journal of A, for each message", "bytes", time(&info, "doc_bytes")? / messages));
    Ok(figures)
}

/// W3: a third node joins when all messages are there, and gets them all.
pub(crate) fn cold_join(place: &Place, count: u64) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 2)?;
    burst(&mut cluster, count)?;
    std::thread::sleep(place.settle * 2);
    let process = cluster.process()?;
    let (since, begun) = (cluster.mark()?, now_ms());
    cluster.enter(2, process)?;
    let all = cluster.call(2, "expect", json!({ "n": count }))?;
    let used = cluster.since(&since)?;
    let mut figures = vec![
        figure("until C has all", "s", (time(&all, "t")? - begun) / 1e3),
        figure("processor, all", "s", used.cpu_s),
        figure("memory, peak, C", "MB", cluster.memory_mb("VmHWM").get(2).copied().unwrap_or_default()),
    ];
    let content = CONTENT_BYTES * count as f64;
    figures.extend(used.wire.map(|wire| figure("wire, of content", "times", wire.bytes / content)));
    figures.extend(segments(&mut cluster)?);
    Ok(figures)
}

/// Into how many segments the chat has grown, how large they are, and how many of them a node has in memory.
fn segments(cluster: &mut Cluster) -> anyhow::Result<[Figure; 3]> {
    let (mut count, mut in_memory, mut bytes) = (0.0_f64, 0.0_f64, 0.0_f64);
    for node in 0..cluster.nodes.len() {
        let info = cluster.call(node, "info", json!({}))?;
        count = count.max(time(&info, "segments")?);
        in_memory = in_memory.max(time(&info, "segments_in_memory")?);
        bytes = bytes.max(time(&info, "segment_bytes_max")?);
    }
    Ok([
        figure("segments", "", count),
        figure("segments in memory, the most", "", in_memory),
        figure("segment, the largest", "MB", bytes / 1e6),
    ])
}

/// W4: somebody types a text, a command for each key, until the other node has all of it.
pub(crate) fn text(place: &Place, recording: Option<&Path>, edits: u64) -> anyhow::Result<Vec<Figure>> {
    let typing = match recording {
        Some(path) => Typing::read(path)?,
        None => Typing::make_up(usize::try_from(edits)?, &place.scratch)?,
    };
    let mut cluster = Cluster::of(place, 2)?;
    let since = cluster.mark()?;
    let whole = json!({ "len": typing.length, "sha": typing.sha256 });
    let expected = cluster.node(1)?.ask("expect_text", whole)?;
    let written = cluster.call(0, "trace", json!({ "file": typing.path }))?;
    let there = cluster.node(1)?.wait(expected)?;
    let used = cluster.since(&since)?;
    let begun = time(&written, "t0")?;
    let peaks = cluster.memory_mb("VmHWM");
    let mut figures = vec![
        figure("until B has all", "s", (time(&there, "t")? - begun) / 1e3),
        figure("until A has all durable", "s", (time(&written, "t1")? - begun) / 1e3),
        figure("processor, both", "µs an edit", used.cpu_s * 1e6 / typing.edits as f64),
        figure("memory, peak, A", "MB", peaks.first().copied().unwrap_or_default()),
        figure("memory, peak, B", "MB", peaks.get(1).copied().unwrap_or_default()),
    ];
    figures.extend(used.wire.map(|wire| figure("wire", "MB", wire.bytes / 1e6)));
    let info = cluster.call(0, "info", json!({}))?;
    figures.push(figure("envelopes of A", "", time(&info, "envelopes_made")?));
    figures.push(figure("journal of A", "MB", time(&info, "doc_bytes")? / 1e6));
    Ok(figures)
}

/// W5: one message after the other, each when the last of many nodes was told of the one before.
pub(crate) fn fan_out(place: &Place, sizes: Sizes, nodes: usize) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, nodes)?;
    std::thread::sleep(place.settle * 2);
    let rounds = one_by_one(&mut cluster, sizes.fanned)?;
    let count = rounds.told.len() as f64;
    let used = cluster.since(&rounds.since)?;
    let mut figures = vec![
        figure("last told, median", "ms", percentile(&rounds.told, 50)),
        figure("last told, 99 of 100", "ms", percentile(&rounds.told, 99)),
        figure("processor, all", "ms a message", used.cpu_s * 1e3 / count),
        figure("memory, all", "MB", cluster.memory_mb("VmRSS").iter().sum()),
    ];
    figures.extend(used.wire.map(|wire| figure("wire", "bytes a message", wire.bytes / count)));
    Ok(figures)
}

/// W7: two nodes cut off from each other write, and have the network back.
pub(crate) fn heal(place: &Place, each: u64) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 2)?;
    cluster.call(0, "put", json!({ "i": 999_999 }))?;
    cluster.call(1, "expect", json!({ "n": 1 }))?;
    cluster.call(0, "offline", json!({}))?;
    cluster.call(1, "offline", json!({}))?;
    std::thread::sleep(place.settle);
    for node in 0..2 {
        cluster.call(node, "burst", json!({ "from": 0, "n": each }))?;
    }
    std::thread::sleep(place.settle);
    let all = each * 2 + 1;
    let (since, begun) = (cluster.mark()?, now_ms());
    cluster.call(0, "online", json!({}))?;
    cluster.call(1, "online", json!({}))?;
    let mut healed = begun;
    for node in 0..2 {
        let there = cluster.call(node, "expect", json!({ "n": all }))?;
        healed = time(&there, "t")?.max(healed);
    }
    let used = cluster.since(&since)?;
    let mut figures = vec![
        figure("until both have all", "s", (healed - begun) / 1e3),
        figure("processor, both", "s", used.cpu_s),
    ];
    let content = CONTENT_BYTES * 2.0 * each as f64;
    figures.extend(used.wire.map(|wire| figure("wire, of content", "times", wire.bytes / content)));
    Ok(figures)
}

/// W8: two nodes share groups in which nothing happens.
pub(crate) fn idle(place: &Place, sizes: Sizes, groups: usize) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 2)?;
    let founded = cluster.call(0, "idle", json!({ "docs": 2 * groups }))?;
    let tickets = founded.get("tickets").cloned().unwrap_or_default();
    cluster.call(1, "idle", json!({ "docs": 2 * groups, "tickets": tickets }))?;
    std::thread::sleep(place.settle * 8);
    let mut since = Vec::new();
    for node in &cluster.nodes {
        since.push(crate::gauge::cpu_s(node.pid()));
    }
    let mark = cluster.mark()?;
    std::thread::sleep(sizes.idle);
    let used = cluster.since(&mark)?;
    let minutes = sizes.idle.as_secs_f64() / 60.0;
    let spent = cluster.nodes.iter().zip(since).map(|(node, since)| crate::gauge::cpu_s(node.pid()) - since);
    let share = spent.fold(0.0, f64::max) / sizes.idle.as_secs_f64() * 100.0;
    let mut figures = vec![
        figure("memory, the greater", "MB", cluster.memory_mb("VmRSS").into_iter().fold(0.0, f64::max)),
        figure("processor, the greater", "%", share),
    ];
    if let Some(wire) = used.wire {
        figures.push(figure("wire, a minute", "KB", wire.bytes / 1e3 / minutes));
        figures.push(figure("packets", "a minute", wire.packets / minutes));
    }
    Ok(figures)
}

/// W9: a node is killed straight after each acknowledgement, and begins again in its home.
pub(crate) fn durability(place: &Place, sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 1)?;
    let mut lost = 0.0;
    let mut acknowledged = Vec::new();
    for number in 0..sizes.kills {
        std::thread::sleep(place.settle);
        let put = cluster.call(0, "put", json!({ "i": number }))?;
        cluster.take(0).kill()?;
        acknowledged.push(time(&put, "t1")? - time(&put, "t0")?);
        let process = cluster.process()?;
        cluster.enter(0, process)?;
        let there = cluster.call(0, "has", json!({ "w": "A", "i": number }))?;
        if there.get("has") != Some(&json!(true)) {
            lost += 1.0;
        }
    }
    Ok(vec![
        figure("kills", "", sizes.kills as f64),
        figure("lost", "", lost),
        figure("durable, median", "ms", percentile(&acknowledged, 50)),
    ])
}

/// Start: a node begins again on a home with many groups.
pub(crate) fn start(place: &Place, groups: usize) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::of(place, 1)?;
    cluster.call(0, "idle", json!({ "docs": 2 * groups }))?;
    cluster.take(0).stop()?;
    let process = cluster.process()?;
    let begun = now_ms();
    cluster.enter(0, process)?;
    Ok(vec![figure("until ready", "s", (now_ms() - begun) / 1e3)])
}

/// What came of messages written one after the other.
struct Rounds {
    /// Until the last other node was told.
    told: Vec<f64>,
    /// Until the writer was told that it is durable.
    durable: Vec<f64>,
    /// Where the counted rounds began.
    since: Mark,
}

/// Writes messages, each when all others were told of the one before, and drops the first rounds.
fn one_by_one(cluster: &mut Cluster, (count, dropped): (usize, usize)) -> anyhow::Result<Rounds> {
    let others = 1..cluster.nodes.len();
    for other in others.clone() {
        cluster.call(other, "each", json!({ "on": true }))?;
    }
    let mut rounds = Rounds { told: Vec::new(), durable: Vec::new(), since: cluster.mark()? };
    for number in 0..count {
        if number == dropped {
            rounds = Rounds { told: Vec::new(), durable: Vec::new(), since: cluster.mark()? };
        }
        let put = cluster.call(0, "put", json!({ "i": number }))?;
        let begun = time(&put, "t0")?;
        let mut last = begun;
        for other in others.clone() {
            last = cluster.node(other)?.next_seen()?.max(last);
        }
        rounds.told.push(last - begun);
        rounds.durable.push(time(&put, "t1")? - begun);
    }
    Ok(rounds)
}

/// What came of many messages written at once.
struct Burst {
    total_s: f64,
    durable_s: f64,
}

/// Has A write messages until B has all and A has them durable.
fn burst(cluster: &mut Cluster, count: u64) -> anyhow::Result<Burst> {
    let expected = cluster.node(1)?.ask("expect", json!({ "n": count }))?;
    let written = cluster.call(0, "burst", json!({ "from": 0, "n": count }))?;
    let there = cluster.node(1)?.wait(expected)?;
    let (begun, durable) = (time(&written, "t0")?, time(&written, "t1")?);
    let total_s = (time(&there, "t")?.max(durable) - begun) / 1e3;
    Ok(Burst { total_s, durable_s: (durable - begun) / 1e3 })
}
