//! Random schedules on the simulated cluster: faults first, then healing, then the demand.
//!
//! The work is done by processes of this same binary, so that all cores are used and one that dies
//! is a failed test with its seed. `scripts/sim` runs it with other seeds, profiles and numbers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong shall stop"
)]

mod deleting;
mod runner;

use fourword_tests::simulation::Profile;
use runner::{Totals, kept_seeds, run, setting, work};

/// Faults and attacks that a run of all faults must have had, each many times.
const FAULTS: [&str; 35] = [
    "frame lost",
    "frame doubled",
    "frame overtaken",
    "frames into a one-way partition",
    "one-way partition",
    "two-way partition",
    "disconnection",
    "gossip loss",
    "gossip dropped at the receiver",
    "crash",
    "crash that loses what was not durable",
    "crash at the moment something is called saved",
    "clean stop",
    "restart",
    "failed write",
    "torn write",
    "full disk",
    "copied home: an older copy takes its place",
    "copied home: a twin is started",
    "clock skew",
    "a month in which nothing happens",
    "keys held back",
    "late keys",
    "members that turn",
    "hostile: garbage frame",
    "hostile: forged signature",
    "hostile: another's name on an envelope",
    "hostile: another's name on a message",
    "hostile: malformed update",
    "hostile: backdated envelope",
    "hostile: lying state or vector",
    "hostile: snapshot of other content",
    "hostile: two branches of one log",
    "hostile: removal of a senior",
    "hostile: removed and sends on",
];

/// What people must have done in a run, each many times.
const DONE: [&str; 17] = [
    "joins",
    "removals",
    "leavings",
    "demotions",
    "roles set",
    "devices linked",
    "devices revoked",
    "groups made",
    "children made",
    "messages written",
    "messages deleted",
    "chats folded",
    "requests decided",
    "documents dropped",
    "documents kept again",
    "bytes of pruned documents compared",
    "bytes of documents folded apart compared",
];

/// What they must have done besides where they work on boards, issues and canvases.
const WORKED: [&str; 12] = [
    "columns made",
    "cards made",
    "issues made",
    "elements made",
    "comments made",
    "things changed",
    "things deleted",
    "steps taken back",
    "groups described",
    "messages pinned",
    "chats marked as read",
    "versions restored",
];

fn show(totals: &Totals) {
    println!("{totals}");
}

#[test]
fn whatever_happens_nothing_saved_is_lost_and_all_agree_in_the_end() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let profile = setting("FOURWORD_PROFILE").unwrap_or(Profile::Harsh);
    let (first, count) =
        (setting("FOURWORD_SEED").unwrap_or(1), setting("FOURWORD_SCHEDULES").unwrap_or(3_000));
    let totals =
        run("whatever_happens_nothing_saved_is_lost_and_all_agree_in_the_end", profile, first, count);
    show(&totals);
    totals.assert_no_failures();
    // A simulation without faults shows nothing. A few schedules cannot have had all of them.
    if count >= 300 && profile == Profile::Harsh {
        totals.assert_counted(&FAULTS, &DONE);
    }
}

#[test]
fn with_all_gossip_lost_comparing_alone_brings_everything_to_everybody() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let name = "with_all_gossip_lost_comparing_alone_brings_everything_to_everybody";
    let totals = run(name, Profile::Silent, 100_000, setting("FOURWORD_OTHER_SCHEDULES").unwrap_or(100));
    show(&totals);
    totals.assert_no_failures();
}

#[test]
fn without_comparing_by_the_clock_connects_and_gaps_bring_everything_to_everybody() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let name = "without_comparing_by_the_clock_connects_and_gaps_bring_everything_to_everybody";
    let totals = run(name, Profile::Untimed, 200_000, setting("FOURWORD_OTHER_SCHEDULES").unwrap_or(100));
    show(&totals);
    totals.assert_no_failures();
}

#[test]
fn chats_of_many_segments_agree_whatever_happens() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let name = "chats_of_many_segments_agree_whatever_happens";
    let totals = run(name, Profile::Grown, 320_000, setting("FOURWORD_OTHER_SCHEDULES").unwrap_or(100));
    show(&totals);
    totals.assert_no_failures();
    totals.assert_counted(&[], &["chats of several segments"]);
}

#[test]
fn boards_issues_and_canvases_agree_whatever_happens() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let name = "boards_issues_and_canvases_agree_whatever_happens";
    let totals = run(name, Profile::Busy, 300_000, setting("FOURWORD_OTHER_SCHEDULES").unwrap_or(100));
    show(&totals);
    totals.assert_no_failures();
    totals.assert_counted(&[], &WORKED);
}

#[test]
fn texts_agree_whatever_happens() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let name = "texts_agree_whatever_happens";
    let totals = run(name, Profile::Typed, 340_000, setting("FOURWORD_OTHER_SCHEDULES").unwrap_or(100));
    show(&totals);
    totals.assert_no_failures();
    totals.assert_counted(&[], &["texts opened", "texts changed"]);
}

#[test]
fn one_seed_gives_the_same_events_and_effects_in_any_process() {
    if let Some(seeds) = std::env::var_os("FOURWORD_SIM_SEEDS") {
        return work(seeds.to_str().unwrap());
    }
    let name = "one_seed_gives_the_same_events_and_effects_in_any_process";
    for profile in [Profile::Harsh, Profile::Busy, Profile::Typed] {
        let traces: Vec<_> = (0..2).map(|_| run(name, profile, 7, 2).trace).collect();
        assert_eq!(traces[0], traces[1], "{profile}");
    }
    let trace = run(name, Profile::Harsh, 7, 2).trace;
    assert_ne!(trace, run(name, Profile::Harsh, 8, 2).trace, "another seed is another world");
}

#[test]
fn seeds_that_failed_once_pass() {
    for (seed, profile) in kept_seeds() {
        println!("seed {seed:#x}");
        if let Err(failure) = fourword_tests::simulation::run(seed, profile) {
            panic!("{failure}");
        }
    }
}
