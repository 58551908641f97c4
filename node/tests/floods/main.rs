//! Strangers with real sockets and swarms against real nodes and relays: what they can make them
//! hold is bounded, whoever belongs there is served meanwhile, and nobody learns what is not theirs.
//!
//! Attackers come from loopback addresses of their own, as from networks of their own. Every wait has
//! a deadline and ends with what it waits for.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that goes wrong shall stop"
)]

mod attack;
mod bystander;
#[allow(dead_code, reason = "shared with the tests of processes, which use all of it")]
#[path = "../processes/daemon.rs"]
mod daemon;
mod inside;
mod looking;
mod node;
mod recording;
mod relay;
mod swarm;
