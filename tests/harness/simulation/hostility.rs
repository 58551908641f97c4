//! What the dishonest try. (Being filled.)
use super::schedule::Schedule;

/// Who is dishonest, and what it has.
#[derive(Debug, Default)]
pub(super) struct Hostility {}

impl Schedule {
    pub(super) fn provoke(&mut self) {}
}
