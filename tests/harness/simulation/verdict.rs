//! What comes of a schedule: a report, or the first rule that was broken and how to see it again.

use std::fmt;

use super::profile::Profile;
use crate::tally::Tally;

/// What must hold in every schedule. Each has a checker that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What was answered as saved is in the node's store, and stays there.
    SavedIsDurable,
    /// What was saved is shown to every honest member in the end, or its author is told why not.
    SavedIsShown,
    /// A document that is said to be in sync with a peer is equal to that peer's.
    InSyncIsEqual,
    /// What was wanted before a restart is said to be missing after it.
    WantIsKept,
    /// Whatever is shown was written by whom it is shown of.
    AuthorIsTrue,
    /// What was seen deleted stays deleted.
    DeletedStaysDeleted,
    /// Each card shows in one place of its board.
    CardIsOnce,
    /// No honest device contradicts itself, and none is accused of it.
    NoHonestFork,
    /// An incarnation is begun once, and gone on with after a clean stop alone.
    IncarnationIsNew,
    /// Stored logs are whole and chained, and were taken in order.
    LogIsWhole,
    /// Nothing written by who knows of a removal opens with what the removed hold.
    RemovedReadsNothing,
    /// Nothing that the removed wrote beyond the cut is shown to who knows of the removal.
    RemovedWritesNothing,
    /// Nobody is removed by somebody junior.
    SeniorStays,
    /// Nobody has a role that nobody with the right gave.
    RoleIsGiven,
    /// What others cause is held within limits.
    QueueIsBounded,
    /// Of one series no more segments are in memory than may be, but those in which something waits for people.
    SegmentsRest,
    /// After a write that failed nothing is called saved until the node is started anew.
    ReadOnlyAfterFailure,
    /// A device acknowledges nothing that is not on its disk.
    AckIsTrue,
    /// Nothing is pruned before every awaited device knows that it was deleted.
    PrunedIsStable,
    /// What all were known to have they still have.
    FrontierStays,
    /// In the end all honest members show, hold and know the same.
    AllAgree,
    /// What all hold alike is saved as the same bytes by all, once it was saved and opened again.
    AllSaveTheSame,
    /// In the end everybody says that all is in sync, and nothing is wanted any more.
    StatusSettles,
    /// Settled nodes write and send nothing but comparisons.
    SettledIsQuiet,
    /// No machine panics.
    NoPanic,
    /// Every command is answered.
    EveryAskerIsAnswered,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How, in words.
    pub what: String,
}

impl Violation {
    /// A rule that was broken, and how.
    pub fn new(rule: Rule, what: impl Into<String>) -> Violation {
        Violation { rule, what: what.into() }
    }
}

/// `Err` with these words unless a condition holds.
pub(super) fn demand(holds: bool, rule: Rule, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(rule, what())) }
}

/// A schedule that broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed that drew it.
    pub seed: u64,
    /// Its profile.
    pub profile: Profile,
    /// How many steps it was to have.
    pub steps: u64,
    /// The step in which it was seen; past the last one while the world was being healed.
    pub step: u64,
    /// The simulated time.
    pub at_ms: u64,
    /// What was broken.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { seed, profile, steps, step, at_ms, violation } = self;
        let Violation { rule, what } = violation;
        write!(f, "{rule:?} broken in step {step} at {at_ms} ms: {what}; ")?;
        write!(f, "scripts/sim --seed {seed:#x} --schedules 1 --steps {steps} --profile {profile}")
    }
}

/// A schedule that broke no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed that drew it.
    pub seed: u64,
    /// How many nodes there were.
    pub nodes: u64,
    /// How many steps it had.
    pub steps: u64,
    /// Events that machines were given.
    pub events: u64,
    /// Simulated time.
    pub simulated_ms: u64,
    /// Messages that were called saved.
    pub saved: u64,
    /// Faults by kind.
    pub faults: Tally,
    /// What else happened, by kind.
    pub done: Tally,
    /// The hash over every event and effect.
    pub trace: [u8; 32],
}
