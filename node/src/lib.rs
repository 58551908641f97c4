//! What a Fourword node does: the network, the threads and the order of start and stop.
//!
//! `swarm` is the network.

pub mod limits;
pub mod swarm;
