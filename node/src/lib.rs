//! Fourword's node: what acts. It runs the machine of `fourword_protocol` on real I/O.
//!
//! `config` and `paths` say with which settings and where.

pub mod config;
pub mod logging;
pub mod paths;
