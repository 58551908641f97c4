//! The second driver of the machine: a whole cluster in one process, on one seed and one queue.
//!
//! It simulates the world, never the node: each [`cluster::Cluster`] runs the same `Replicator`
//! that the daemon runs, over a store in memory, a network of delays and losses and a clock that
//! moves only with the queue. What happens depends on the seed alone, so a failure is a seed.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a harness fails its test by panicking")]

mod clock;
pub mod cluster;
pub mod disk;
mod draw;
pub mod insider;
pub mod network;
pub mod node;
pub mod puppet;
mod rendezvous;
pub mod roster_json;
pub mod simulation;
pub mod story;
pub mod tally;
mod trace;
