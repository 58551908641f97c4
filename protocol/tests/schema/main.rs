//! What the schema promises, over plain maps in place of a document.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod bounds;
mod chat;
mod chat_order;
mod core_document;
mod home_document;
mod keys_and_names;
mod maps;
mod records;
mod rights;
