//! Hand-written stories on the simulated cluster, one for each promise that a user would name.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong shall stop")]

mod chat;
mod forks;
mod joining;
mod surviving;
