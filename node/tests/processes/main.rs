//! Real processes, driven by the command line as a person or a script would: the promises of the
//! README, kept across kills, copies, damage and mistakes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that goes wrong shall stop"
)]

mod apart;
mod daemon;
mod durable;
mod forgetting;
mod full;
mod keeping;
mod nat;
mod net;
mod operating;
mod parted;
mod paths;
mod reach;
mod reading;
mod refusing;
mod searching;
mod secrets;
mod standing;
mod story;
mod surviving;
mod trust;
mod using;
mod wire;
