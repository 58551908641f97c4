//! Hand-written stories on the simulated cluster, one for each promise that a user would name.

mod chat;
mod forks;
mod joining;
mod surviving;
