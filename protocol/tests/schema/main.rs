//! What the schema promises, over plain maps in place of a document.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod board_model;
mod bounds;
mod canvas;
mod chat;
mod chat_order;
mod core_document;
mod home_document;
mod issues;
mod kanban;
mod keys_and_names;
mod maps;
mod records;
mod rights;
mod things;
