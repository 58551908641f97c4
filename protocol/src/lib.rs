//! What a Fourword node decides: no clock, no socket, no file, no task, no unseeded randomness.
//!
//! One machine, [`replicator::Replicator`], takes [`event::Event`]s and gives [`effect::Effect`]s;
//! two drivers run it, the node's on real I/O and the simulator's. Read `event` and `effect`
//! first, then `replicator`, which only routes. docs/ARCHITECTURE.md has the map of the modules.

pub mod bytes;
pub mod command;
pub mod effect;
pub mod envelope;
pub mod epoch;
pub mod event;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod record;
pub mod replicator;
pub mod roster;
pub mod schema;
pub mod time;
pub mod update;
pub mod wire;
pub mod words;
