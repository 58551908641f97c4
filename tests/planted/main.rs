//! Plants one bug after the other and demands that the simulator catches each.
//!
//! A checker that was never seen to fail proves nothing. Each bug of `protocol/src/planted.rs` is
//! put, in a process of its own, into all machines, and schedules are run until the checker that is
//! meant for the broken rule says so. Without a bug the same schedules pass. Run by
//! `scripts/test planted`; compiled without `--cfg planted` there is nothing to catch.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

#[cfg(planted)]
mod hunt;

#[cfg(planted)]
fn main() -> std::process::ExitCode {
    hunt::main()
}

#[cfg(not(planted))]
fn main() {
    println!("No bug is planted here: scripts/test planted compiles them in.");
}
