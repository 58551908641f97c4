//! Runs schedules with one bug planted until its checker fails, each bug in a process of its own.
//!
//! Called without arguments it is the one who counts: it starts itself once for each bug and once
//! for none, reads one line from each and prints a table. Invariant: a bug counts as caught only if
//! the rule that was broken is the one that its row names; what else broke before is shown beside.

use std::collections::BTreeSet;
use std::fmt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fourword_protocol::planted::{self, Planted};
use fourword_tests::simulation::{Failure, Profile, Rule, run};

/// Each bug, and the rule whose checker must catch it.
const CAUGHT_BY: [(Planted, Rule); 15] = [
    (Planted::AckBeforeDurable, Rule::SavedIsDurable),
    (Planted::SkipSignature, Rule::AuthorIsTrue),
    (Planted::AcceptBeyondRemoval, Rule::RemovedWritesNothing),
    (Planted::JuniorRemovesSenior, Rule::SeniorStays),
    (Planted::LoseWantAtRestart, Rule::WantIsKept),
    (Planted::InSyncOnEqualLength, Rule::InSyncIsEqual),
    (Planted::ReuseIncarnation, Rule::IncarnationIsNew),
    (Planted::EpochOfRemoved, Rule::RemovedReadsNothing),
    (Planted::DropDelete, Rule::DeletedStaysDeleted),
    (Planted::ApplyOutOfOrder, Rule::LogIsWhole),
    (Planted::PruneBeforeStable, Rule::PrunedIsStable),
    (Planted::FrontierGoesBack, Rule::FrontierStays),
    (Planted::AckWhatWaits, Rule::AckIsTrue),
    (Planted::SnapshotWithoutDigest, Rule::AuthorIsTrue),
    (Planted::FoldOverVoid, Rule::AuthorIsTrue),
];

/// Schedules in which a bug must be caught.
const SCHEDULES_MAX: u64 = 400;

/// Schedules that must pass without a bug, at least.
const CLEAN_MIN: u64 = 40;

/// The first seed: others than those of the ordinary runs, which pass.
const FIRST_SEED: u64 = 0x9_1a47_0000;

/// What separates the parts of the line by which a process tells what it found.
const PARTS: char = '\t';

/// What one process found.
#[derive(Clone, Debug)]
struct Found {
    schedules: u64,
    caught: bool,
    /// Rules that broke before the one that was waited for.
    before: String,
    what: String,
}

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [bug, most] => {
            let most = most.parse().unwrap_or(SCHEDULES_MAX);
            let found = match CAUGHT_BY.iter().find(|(known, _)| format!("{known:?}") == *bug) {
                Some((bug, rule)) => catch(*bug, *rule, most),
                None => pass(most),
            };
            found.tell();
            ExitCode::SUCCESS
        }
        _ => count(),
    }
}

// -- in a process of its own ------------------------------------------------------------------

/// Runs schedules with a bug until its rule is broken.
fn catch(bug: Planted, rule: Rule, most: u64) -> Found {
    std::panic::set_hook(Box::new(|_| {}));
    planted::choose(Some(bug));
    let mut before = BTreeSet::new();
    for schedules in 1..=most {
        match run(FIRST_SEED + schedules, Profile::Harsh) {
            Err(failure) if failure.violation.rule == rule => {
                let what = failure.to_string();
                return Found { schedules, caught: true, before: listed(&before), what };
            }
            Err(failure) => drop(before.insert(format!("{:?}", failure.violation.rule))),
            Ok(_) => {}
        }
    }
    Found { schedules: most, caught: false, before: listed(&before), what: String::new() }
}

/// Runs as many schedules with no bug: none may fail.
fn pass(schedules: u64) -> Found {
    planted::choose(None);
    let failed = (1..=schedules).filter_map(|number| run(FIRST_SEED + number, Profile::Harsh).err());
    let failed: Vec<Failure> = failed.inspect(|failure| eprintln!("with no bug: {failure}")).collect();
    let rules = failed.iter().map(|failure| format!("{:?}", failure.violation.rule)).collect();
    let what = failed.first().map(ToString::to_string).unwrap_or_default();
    Found { schedules, caught: !failed.is_empty(), before: listed(&rules), what }
}

fn listed(rules: &BTreeSet<String>) -> String {
    rules.iter().cloned().collect::<Vec<_>>().join(" ")
}

impl Found {
    fn tell(&self) {
        let Found { schedules, caught, before, what } = self;
        let what = what.replace([PARTS, '\n'], " ");
        println!("{schedules}{PARTS}{caught}{PARTS}{before}{PARTS}{what}");
    }
}

// -- who counts -------------------------------------------------------------------------------

fn count() -> ExitCode {
    let started = Instant::now();
    let bugs: Vec<String> = CAUGHT_BY.iter().map(|(bug, _)| format!("{bug:?}")).collect();
    let found = side_by_side(&bugs, |bug| ask(bug, SCHEDULES_MAX));
    let most = found.iter().flatten().map(|found| found.schedules).max().unwrap_or(SCHEDULES_MAX);
    let most = most.max(CLEAN_MIN);
    let clean = ask("none", most);
    let mut failed = false;
    println!("{:<21} {:<20} {:>9}  violated", "bug", "caught by", "schedules");
    for ((bug, rule), found) in CAUGHT_BY.iter().zip(&found) {
        failed |= !found.as_ref().is_some_and(|found| found.caught);
        println!("{:<21} {:<20} {}", format!("{bug:?}"), format!("{rule:?}"), Row(found.as_ref()));
    }
    let passed = clean.as_ref().is_some_and(|clean| !clean.caught);
    let verdict = clean.map_or("it ended without a word".to_owned(), |clean| clean.what);
    println!("{:<21} {:<20} {most:>9}  {verdict}", "none", if passed { "nobody" } else { "FAILED" });
    println!("in {} s", started.elapsed().as_secs());
    if failed || !passed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Row<'a>(Option<&'a Found>);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(found) = self.0 else { return write!(f, "{:>9}  FAILED: it ended without a word", "") };
        write!(f, "{:>9}  {}", found.schedules, if found.caught { &found.what } else { "NOT CAUGHT" })?;
        if found.before.is_empty() { Ok(()) } else { write!(f, " (before: {})", found.before) }
    }
}

/// Does something with each, as many at a time as there are cores.
fn side_by_side(all: &[String], ask: impl Fn(&str) -> Option<Found> + Sync) -> Vec<Option<Found>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![None; all.len()]));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((at, one)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    all.get(at).map(|one| (at, one))
                } {
                    let answer = ask(one);
                    found.lock().unwrap()[at] = answer;
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Starts a process of its own and reads what it found.
fn ask(bug: &str, schedules: u64) -> Option<Found> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    let output = command.args([bug, &schedules.to_string()]).stderr(Stdio::inherit()).output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    let mut parts = told.trim_end_matches('\n').split(PARTS);
    Some(Found {
        schedules: parts.next()?.parse().ok()?,
        caught: parts.next()?.parse().ok()?,
        before: parts.next()?.to_owned(),
        what: parts.next()?.to_owned(),
    })
}
