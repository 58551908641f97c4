//! What documents hold: one file per concern.

pub mod chat;
