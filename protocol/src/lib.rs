//! What a Fourword node decides: no clock, no socket, no file, no task, no unseeded randomness.
//!
//! One machine, [`replicator::Replicator`], takes [`event::Event`]s and gives [`effect::Effect`]s;
//! two drivers run it, the node's on real I/O and the simulator's. Read `event` and `effect`
//! first, then `replicator`, which only routes. docs/ARCHITECTURE.md has the map of the modules.

pub mod acknowledgement;
mod asking;
pub mod bytes;
pub mod checkpoint;
mod children;
pub mod code;
pub mod command;
mod copying;
mod devices;
pub mod effect;
mod entity;
pub mod envelope;
pub mod epoch;
pub mod event;
mod evidence;
mod forks;
mod gossip;
mod governing;
pub mod identity;
pub mod ids;
pub mod inspect;
mod joining;
pub mod limits;
pub mod link;
mod me;
mod minting;
mod names;
mod opening;
mod outbox;
pub mod planted;
pub mod presence;
pub mod queues;
mod reaching;
mod reading;
mod receiving;
pub mod record;
mod replica;
pub mod replicator;
pub mod request;
mod requests;
pub mod roster;
pub mod schema;
mod session;
mod stability;
mod sync;
pub mod time;
mod undoing;
pub mod update;
mod views;
mod waiting;
mod wants;
pub mod wire;
pub mod words;
