//! Shares schedules out among processes, and adds up what they report.
//!
//! A worker prints a line for each schedule; the one that started it reads them. Invariant: the
//! total trace depends on the seeds alone, not on how many workers there were.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Instant;

use fourword_tests::simulation::{self, Profile};
use fourword_tests::tally::Tally;

/// A setting of a run from its environment, numbers in decimal or behind `0x`.
pub(crate) fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let digits = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let text = digits.map_or(text.clone(), |number| number.to_string());
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not understood")))
}

/// Seeds that failed once, each with its profile.
pub(crate) fn kept_seeds() -> Vec<(u64, Profile)> {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let seed = words.next()?.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok())?;
        Some((seed, words.next()?.parse().ok()?))
    };
    lines.map(|line| read(line).unwrap_or_else(|| panic!("{line:?} is no seed and profile"))).collect()
}

/// What many schedules came to.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    schedules: u64,
    failures: Vec<String>,
    numbers: Tally,
    faults: Tally,
    done: Tally,
    /// The trace of each seed.
    traces: BTreeMap<u64, String>,
    /// A hash over the traces of all seeds.
    pub(crate) trace: String,
    seconds: u64,
}

/// Runs schedules in as many processes as there are cores.
pub(crate) fn run(test: &str, profile: Profile, first: u64, count: u64) -> Totals {
    let started = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let jobs = setting("FOURWORD_JOBS").unwrap_or(cores).clamp(1, count.max(1));
    let share = |job: u64| first + count * job / jobs;
    let worker = |job: u64| -> Child {
        let seeds = format!("{}..{} {profile}", share(job), share(job + 1));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        command.env("FOURWORD_SIM_SEEDS", seeds).stdout(Stdio::piped()).spawn().unwrap()
    };
    let workers: Vec<Child> = (0..jobs).map(worker).collect();
    let mut totals = Totals::default();
    // A worker whose pipe is full waits; each prints little for each schedule.
    let readers: Vec<_> = workers
        .into_iter()
        .map(|worker| std::thread::spawn(move || worker.wait_with_output().unwrap()))
        .collect();
    for reader in readers {
        let output = reader.join().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().for_each(|line| totals.add(line));
        let last = text.lines().rev().find(|line| line.starts_with("seed ")).unwrap_or("no seed");
        assert!(output.status.success(), "a worker died in {last}: {}", output.status);
    }
    assert_eq!(totals.schedules + totals.failures.len() as u64, count, "every schedule reports");
    let all: Vec<u8> = totals.traces.values().flat_map(|trace| trace.bytes()).collect();
    totals.trace = simulation::hash_of(&all);
    totals.seconds = started.elapsed().as_secs();
    totals
}

/// Runs a share of the schedules and prints what came of each.
pub(crate) fn work(seeds: &str) {
    let (range, profile) = seeds.split_once(' ').unwrap();
    let (first, end) = range.split_once("..").unwrap();
    let steps = setting("FOURWORD_STEPS").unwrap_or(simulation::STEPS);
    for seed in first.parse::<u64>().unwrap()..end.parse().unwrap() {
        println!("seed {seed:#x}");
        match simulation::run_steps(seed, profile.parse().unwrap(), steps) {
            Ok(report) => {
                let numbers = [
                    ("nodes", report.nodes),
                    ("steps", report.steps),
                    ("events", report.events),
                    ("simulated ms", report.simulated_ms),
                    ("messages saved", report.saved),
                ];
                numbers.iter().for_each(|(what, count)| println!("number {count} {what}"));
                report.faults.0.iter().for_each(|(kind, count)| println!("fault {count} {kind}"));
                report.done.0.iter().for_each(|(kind, count)| println!("done {count} {kind}"));
                let trace: String = report.trace.iter().map(|byte| format!("{byte:02x}")).collect();
                println!("trace {seed} {trace}");
            }
            Err(failure) => println!("failed {failure}"),
        }
    }
}

impl Totals {
    fn add(&mut self, line: &str) {
        let Some((what, rest)) = line.split_once(' ') else { return };
        let counted = || rest.split_once(' ').and_then(|(count, kind)| Some((count.parse().ok()?, kind)));
        match what {
            "failed" => self.failures.push(rest.to_owned()),
            "number" => counted().into_iter().for_each(|(count, kind)| self.numbers.add(kind, count)),
            "fault" => counted().into_iter().for_each(|(count, kind)| self.faults.add(kind, count)),
            "done" => counted().into_iter().for_each(|(count, kind)| self.done.add(kind, count)),
            "trace" => {
                if let Some((seed, trace)) = counted() {
                    self.schedules += 1;
                    self.traces.insert(seed, trace.to_owned());
                }
            }
            _ => {}
        }
    }

    pub(crate) fn assert_no_failures(&self) {
        let first = self.failures.first();
        assert!(first.is_none(), "{} schedules failed, the first: {}", self.failures.len(), first.unwrap());
    }

    pub(crate) fn assert_counted(&self, faults: &[&str], done: &[&str]) {
        let missing: Vec<&&str> = faults
            .iter()
            .filter(|kind| self.faults.of(kind) == 0)
            .chain(done.iter().filter(|kind| self.done.of(kind) == 0))
            .collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "FAILED {failure} (at commit {})", commit())?;
        }
        for (title, tally) in [("faults", &self.faults), ("done", &self.done)] {
            writeln!(f, "{title}:")?;
            for (kind, count) in &tally.0 {
                writeln!(f, "  {count:>9}  {kind}")?;
            }
        }
        let hours = self.numbers.of("simulated ms") as f64 / 3_600_000.0;
        writeln!(
            f,
            "{} schedules passed, {} failed, in {} s",
            self.schedules,
            self.failures.len(),
            self.seconds
        )?;
        writeln!(
            f,
            "{} nodes, {} steps, {} events, {hours:.1} simulated hours, {} messages saved",
            self.numbers.of("nodes"),
            self.numbers.of("steps"),
            self.numbers.of("events"),
            self.numbers.of("messages saved"),
        )?;
        write!(f, "trace {}", self.trace)
    }
}

/// The commit that the sources are at, for who replays a failure elsewhere.
fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let known = output.ok().filter(|output| output.status.success());
    known.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
