//! Random schedules: one seed draws a world, its faults and what people do in it.
//!
//! [`run`] plays one schedule: `workload` draws what people do, `working` what they do on boards,
//! issues and canvases, `typing` what in texts, `faults` what breaks, `keeping` what devices drop, `renegades` what
//! members try that turn hostile. `check`
//! looks at every event and says at once what must never be, `shown` and `things` at what people
//! see, `claims` and `wanted` at what nodes say of being in sync and of what is missing; `ending`
//! heals the world, and `agreement` demands that all agree. A failure is a value with its seed, and
//! the same seed replays it, in any process. Invariant: the machines see nothing but events.

mod agreement;
mod check;
mod claims;
mod ending;
mod faults;
mod forgotten;
mod keeping;
mod profile;
mod renegades;
mod rosters;
mod schedule;
mod shown;
mod tending;
#[cfg(test)]
mod tests;
mod things;
mod truth;
mod typing;
mod verdict;
mod wanted;
mod working;
mod workload;
mod world;

use std::panic::AssertUnwindSafe;

pub use check::Checker;
pub use profile::Profile;
pub use schedule::Schedule;
pub use verdict::{Failure, Report, Rule, Violation};

/// Steps of one schedule, where nothing else is asked for.
pub const STEPS: u64 = 200;

/// Runs one schedule to its end.
pub fn run(seed: u64, profile: Profile) -> Result<Report, Failure> {
    run_steps(seed, profile, STEPS)
}

/// Runs one schedule of so many steps.
///
/// A panic of a machine, or of what drives it, is a failure like any other.
pub fn run_steps(seed: u64, profile: Profile, steps: u64) -> Result<Report, Failure> {
    let mut at = (0, 0);
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| play(seed, profile, steps, &mut at)));
    let violation = match played {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(violation)) => violation,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Violation::new(Rule::NoPanic, text.unwrap_or("a panic without words"))
        }
    };
    Err(Failure { seed, profile, steps, step: at.0, at_ms: at.1, violation })
}

/// A hash in words, over the traces of many schedules.
pub fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn play(seed: u64, profile: Profile, steps: u64, at: &mut (u64, u64)) -> Result<Report, Violation> {
    let mut schedule = Schedule::new(seed, profile);
    schedule.aloud = std::env::var_os("FOURWORD_ALOUD").is_some();
    let played = schedule.play(steps, at);
    at.1 = schedule.now();
    played?;
    Ok(schedule.report(seed, steps))
}
