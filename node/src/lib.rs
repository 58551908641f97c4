//! Fourword's node: what acts. It runs the machine of `fourword_protocol` on real I/O.
//!
//! `daemon` starts a node, `driver` runs its machine, `api` lets programs on this device speak to
//! it and `cli` is a client of that. `config` and `paths` say with which settings and where.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod driver;
pub mod logging;
pub mod paths;
