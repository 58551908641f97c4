//! What a Fourword node does: the network, the threads and the order of start and stop.
//!
//! `driver` runs the protocol's machine on real I/O and is the only module that sees both sides;
//! `swarm` is the network below it; `daemon` starts and stops a whole node.

pub mod daemon;
pub mod driver;
pub mod limits;
pub mod swarm;
