//! Hand-written stories on the simulated cluster, one for each promise that a user would name.

mod asking;
mod chat;
mod devices;
mod joining;
mod pressing;
mod returning;
mod seeking;
mod surviving;
