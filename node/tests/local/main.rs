//! The local API and its command line, over real sockets, with a scripted node behind them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test, in its parts shared by tests too"
)]

mod api;
mod cli;
mod events;
mod groups;
mod history;
mod issue_file;
mod openapi;
mod pages;
mod pictures;
mod program;
mod script;
mod seen;
mod terminal;
mod things;
mod things_cli;
mod things_requests;
mod together;
mod trust;
