//! Hand-written stories on the simulated cluster, one for each promise that a user would name.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod asking;
mod chat;
mod devices;
mod joining;
mod pressing;
mod returning;
mod seeking;
mod surviving;
