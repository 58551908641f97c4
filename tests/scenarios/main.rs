//! Hand-written stories on the simulated cluster, one for each promise that a user would name.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod about;
mod asking;
mod believing;
mod boards;
mod bounds;
mod canvases;
mod chat;
mod children;
mod comparing;
mod copies;
mod devices;
mod earlier;
mod fetching;
mod folding;
mod forgetting;
mod forks;
mod governing;
mod history;
mod issues;
mod joining;
mod keeping;
mod keys;
mod markers;
mod modelled;
mod offering;
mod parted;
mod people;
mod presence;
mod pressing;
mod promises;
mod reaching;
mod removed;
mod restoring;
mod returning;
mod searching;
mod seeking;
mod segments;
mod sparing;
mod standing;
mod surviving;
mod telling;
mod topics;
mod undoing;
mod versions;
