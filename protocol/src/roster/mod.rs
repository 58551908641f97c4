//! Who is in: a pure function of a set of signed statements.

pub mod invite;

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
