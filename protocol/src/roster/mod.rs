//! Who is in: a pure function of a set of signed statements, the same in any order of arrival.
//!
//! [`set::Roster`] is what the node holds for each entity: it checks statements, keeps them and
//! caches the [`reading::Reading`]. Beneath it lie the pure parts: `graph` files facts by their
//! ancestry and gives ranks, `judge` decides from senior to junior what counts, `reading` says
//! what follows, `rights` and `sparing` what a node asks besides. `statement` and `body` are the signed bytes,
//! `invite` is the code that admits.
//! Invariant: no timestamp and no arrival order decides anything. Rules: docs/PROTOCOL.md,
//! section 4.

mod bits;
pub mod body;
pub mod fact;
mod fitting;
pub mod graph;
pub mod invite;
mod judge;
pub mod reading;
pub mod rights;
pub mod seats;
mod seniority;
pub mod set;
mod sparing;
pub mod statement;
mod table;
mod waiting;

pub use body::{Body, Genesis, Seal, Vectors};
pub use reading::{Member, Reading, Reason};
pub use rights::Invite;
pub use seats::SeatView;
pub use set::{DraftError, Inserted, Rejection, Roster};
pub use statement::{Signer, Statement};

/// What a member may do, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads only.
    Viewer,
    /// Reads and writes.
    Member,
    /// Adds and removes members junior to itself.
    Admin,
    /// May make owners.
    Owner,
}
