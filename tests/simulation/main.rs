//! Random schedules on the simulated cluster: faults first, then healing, then the demand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong shall stop")]

use fourword_tests::simulation::{self, Profile};
use fourword_tests::tally::Tally;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn whatever_happens() {
    let (first, count) = (number("FOURWORD_SEED", 1), number("FOURWORD_SCHEDULES", 20));
    let mut faults = Tally::default();
    let mut done = Tally::default();
    let (mut failed, mut events, mut ms) = (0, 0, 0);
    let started = std::time::Instant::now();
    for seed in first..first + count {
        match simulation::run(
            seed,
            std::env::var("FOURWORD_PROFILE").map_or(Profile::Harsh, |p| p.parse().unwrap()),
        ) {
            Ok(report) => {
                faults.merge(&report.faults);
                done.merge(&report.done);
                events += report.events;
                ms += report.simulated_ms;
            }
            Err(failure) => {
                failed += 1;
                println!("{failure}");
            }
        }
    }
    println!("{failed} of {count} failed; {events} events, {ms} ms, {:?}", started.elapsed());
    println!("{faults:#?} {done:#?}");
}
