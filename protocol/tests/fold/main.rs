//! Tries to break the fold: every small roster, and large ones at random.
//!
//! `set` has what follows from ancestry, `verdicts` the rules once more, `promises` what must hold
//! whatever the rules are. `exhaustive` and `random` make the rosters, `wrong` shows that each
//! promise can be broken. What was run, and how far: docs/SECURITY.md.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that goes wrong shall stop"
)]

mod exhaustive;
mod foundings;
mod promises;
mod random;
mod scope;
mod set;
mod verdicts;
mod wrong;

/// A number from the environment.
fn number_from(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap())
}

/// Runs one task for each processor: they are told which they are and how many there are.
fn in_parallel<T: Send>(task: impl Fn(usize, usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let task = &task;
                    move || task(thread, threads)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
