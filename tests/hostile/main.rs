//! Peers that mean harm, and homes that were damaged: no panic, no loss, nothing without bound.
//!
//! `stranger` has a key and a connection, `member` a place in the group and its secrets, `home`
//! is what the disk gives back. Each attack is drawn from a seed and leaves the honest nodes able
//! to write, to read and to agree.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that goes wrong shall stop"
)]

mod alloc;
mod attack;
mod attempts;
mod floods;
mod grammar;
mod handmade;
mod home;
mod member;
mod mirror;
mod mutants;
mod mutate;
mod rights;
mod siege;
mod stranger;
mod things;
#[path = "../../protocol/tests/writer/mod.rs"]
mod writer;
