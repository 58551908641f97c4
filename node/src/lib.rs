//! What a Fourword node does: the network, the local API, the command line, and the order of
//! start and stop.
//!
//! `driver` runs the protocol's machine on real I/O and is the only module that sees both sides;
//! `swarm` is the network below it; `daemon` starts and stops a whole node. `api` lets programs
//! on this device speak to it and `cli` is a client of that. `config` and `paths` say with which
//! settings and where; `reading` reads chats by a copy of them.

pub mod api;
pub mod cli;
mod clock;
pub mod config;
pub mod daemon;
pub mod difference;
pub mod doctor;
pub mod driver;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod paths;
pub mod picture;
pub mod reading;
pub mod relay;
pub mod service;
pub mod swarm;
