//! Measures nodes: puts real processes through workloads and prints what they took, beside floors.
//!
//! `scripts/bench` builds and runs it. `workloads` says what nodes are put through, `floors` what
//! the machine needs for the least of it, `documents` how large documents are, `reading` how they are read; `cluster` and `child`
//! run the processes, `gauge` reads what they used, `page` writes it down. Nothing here judges a
//! time: figures are for people, who know what else the machine did.

mod child;
mod cluster;
mod documents;
mod figures;
mod floors;
mod gauge;
mod options;
mod page;
mod reading;
mod space;
mod typing;
mod workloads;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use crate::cluster::Place;
use crate::figures::{Figure, Summary, parted, summarize};
use crate::options::{Options, Part};
use crate::page::Page;
use crate::workloads::Sizes;

/// How long nodes are left alone before they are measured: gossip has found its ways by then.
const SETTLE: Duration = Duration::from_secs(1);

/// One thing to measure: its title, how often, and how.
struct Job<'a> {
    title: String,
    repetitions: usize,
    run: Box<dyn Fn() -> anyhow::Result<Vec<Figure>> + 'a>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse().resolved();
    let is_apart = space::enter()?;
    let cuts = is_apart && space::has_filter();
    if !is_apart {
        eprintln!("No network namespace can be had here: bytes on the wire and W7 are left out.");
    } else if !cuts {
        eprintln!("No packet filter can be had here: W7 is left out.");
    }
    let scratch = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let place = Place { program: options.program()?, scratch, is_apart, settle: SETTLE };
    let mut page = Page::begin(&options, is_apart)?;
    for job in jobs(&options, &place, cuts) {
        page.add(measure(&job)?)?;
    }
    page.finish(&options)
}

fn measure(job: &Job<'_>) -> anyhow::Result<Vec<Summary>> {
    let mut repetitions = Vec::new();
    for number in 1..=job.repetitions {
        eprintln!("{} ({number} of {})", job.title, job.repetitions);
        repetitions.push((job.run)().with_context(|| job.title.clone())?);
    }
    Ok(summarize(&job.title, &repetitions))
}

/// All that was asked for, in the order of the tables.
fn jobs<'a>(options: &'a Options, place: &'a Place, cuts: bool) -> Vec<Job<'a>> {
    let parts = options.parts.iter().filter(|part| **part != Part::W7 || cuts);
    parts.flat_map(|part| jobs_of(*part, options, place)).collect()
}

fn jobs_of<'a>(part: Part, options: &'a Options, place: &'a Place) -> Vec<Job<'a>> {
    let sizes = sizes(options);
    let job = |title: String, run: Box<dyn Fn() -> anyhow::Result<Vec<Figure>> + 'a>| Job {
        title,
        repetitions: options.repetitions,
        run,
    };
    let messages = || options.messages.iter().copied();
    match part {
        Part::Floors => {
            let rounds = if options.small { 100 } else { 5000 };
            vec![job("Floors".into(), Box::new(move || floors::all(&place.scratch, rounds)))]
        }
        Part::W1 => {
            let title = format!("W1: {} messages, each after the other", sizes.singles.0 - sizes.singles.1);
            vec![job(title, Box::new(move || workloads::live_latency(place, sizes)))]
        }
        Part::W2 => messages()
            .map(|n| {
                let title = format!("W2: {} messages at once", parted(n));
                job(title, Box::new(move || workloads::live_throughput(place, n)))
            })
            .collect(),
        Part::W3 => messages()
            .map(|n| {
                let title = format!("W3: {} messages to a newcomer", parted(n));
                job(title, Box::new(move || workloads::cold_join(place, n)))
            })
            .collect(),
        Part::W4 => {
            let edits = if options.small { 500 } else { 259_778 };
            let trace = options.trace.as_deref();
            vec![job(text_title(trace, edits), Box::new(move || workloads::text(place, trace, edits)))]
        }
        Part::W5 => {
            let nodes = options.nodes.iter().copied();
            let fan =
                |n| job(format!("W5: {n} nodes"), Box::new(move || workloads::fan_out(place, sizes, n)));
            nodes.map(fan).collect()
        }
        Part::W7 => messages()
            .map(|n| {
                let title = format!("W7: {} messages on each side", parted(n / 2));
                job(title, Box::new(move || workloads::heal(place, n / 2)))
            })
            .collect(),
        Part::W8 => {
            let groups = options.groups.iter().copied();
            let rest = |n| {
                job(format!("W8: {n} groups at rest"), Box::new(move || workloads::idle(place, sizes, n)))
            };
            groups.map(rest).map(|job| Job { repetitions: 1, ..job }).collect()
        }
        Part::W9 => {
            let run = Box::new(move || workloads::durability(place, sizes));
            vec![Job { repetitions: 1, ..job("W9: killed after each acknowledgement".to_owned(), run) }]
        }
        Part::Start => {
            let groups = if options.small { 2 } else { 20 };
            let title = format!("Start: {groups} groups");
            vec![job(title, Box::new(move || workloads::start(place, groups)))]
        }
        Part::Reading => {
            let messages = if options.small { 1000 } else { 100_000 };
            let run = Box::new(move || reading::copy_of(messages, &place.scratch));
            vec![job(format!("Reading, {} messages", parted(messages)), run)]
        }
        Part::Documents => document_jobs(options).into_iter().map(|(title, run)| job(title, run)).collect(),
    }
}

fn text_title(trace: Option<&Path>, edits: u64) -> String {
    match trace {
        Some(_) => "W4: recorded edits of a text".to_owned(),
        None => format!("W4: {} edits of a text", parted(edits)),
    }
}

type Run = Box<dyn Fn() -> anyhow::Result<Vec<Figure>>>;

fn document_jobs(options: &Options) -> Vec<(String, Run)> {
    let (chats, members): (&[u64], u64) = if options.small { (&[100], 10) } else { (&[1000, 50_000], 100) };
    let [cards, issues, pruned] = if options.small { [10, 10, 10] } else { [500, 1000, 1000] };
    let chat = |messages: &u64| {
        let messages = *messages;
        let run: Run = Box::new(move || documents::chat(messages));
        (format!("Chat, {} messages", parted(messages)), run)
    };
    let mut jobs: Vec<(String, Run)> = chats.iter().map(chat).collect();
    jobs.push((format!("Board, {cards} cards"), Box::new(move || documents::board(cards))));
    jobs.push((format!("Issues, {}", parted(issues)), Box::new(move || documents::issues(issues))));
    let title = format!("Pruned, {} of {} messages", parted(pruned), parted(2 * pruned));
    jobs.push((title, Box::new(move || documents::pruned(pruned))));
    jobs.push((format!("Core, {members} members"), Box::new(move || documents::core_of(members))));
    jobs.push((format!("Roster, {members} members"), Box::new(move || documents::roster_of(members))));
    jobs
}

fn sizes(options: &Options) -> Sizes {
    let idle = Duration::from_secs(options.idle_seconds);
    match options.small {
        true => Sizes { singles: (30, 5), fanned: (10, 2), idle, kills: options.kills },
        false => Sizes { singles: (1020, 20), fanned: (105, 5), idle, kills: options.kills },
    }
}
