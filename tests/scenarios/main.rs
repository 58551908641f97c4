//! Hand-written stories on the simulated cluster, one for each promise that a user would name.

mod chat;
mod governing;
mod joining;
mod keys;
mod outcast;
mod removed;
mod surviving;
