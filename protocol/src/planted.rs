//! Bugs that are put in on purpose, one at a time, to see that the tests notice.
//!
//! Each hook stands at the very place where a rule is enforced and breaks that rule alone. Compiled
//! with `--cfg planted`, the one that was chosen is there; compiled without, `is` is the constant
//! `false` and no hook is left in the product. `tests/planted` chooses each in a process of its own
//! and demands that the simulator's checker for the broken rule catches it. Invariant: every bug
//! has exactly one hook and one row in the table of that test; `tidy` counts both.

#[cfg(planted)]
use std::sync::atomic::{AtomicU8, Ordering};

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Planted {
    /// A person is told "saved" before it is on disk.
    AckBeforeDurable = 1,
    /// An envelope's signature is not checked.
    SkipSignature,
    /// What somebody wrote beyond its removal counts.
    AcceptBeyondRemoval,
    /// Whoever is junior ends the membership of a senior.
    JuniorRemovesSenior,
    /// What others showed to have and is not here yet is forgotten at a restart.
    LoseWantAtRestart,
    /// Documents of which all logs are of equal length are said to be in sync.
    InSyncOnEqualLength,
    /// A log is continued although the last stop was not clean.
    ReuseIncarnation,
    /// What is written may be sealed under an epoch that a removed member can open.
    EpochOfRemoved,
    /// A deletion by somebody else than the author is dropped.
    DropDelete,
    /// An envelope is taken in before the one that it follows.
    ApplyOutOfOrder,
    /// What was deleted is pruned before everybody who is awaited knows that it was.
    PruneBeforeStable,
    /// What everybody was known to have is computed anew, and may be less than before.
    FrontierGoesBack,
    /// Envelopes that wait, for a key or for others, are acknowledged as if they were taken in.
    AckWhatWaits,
    /// A snapshot is taken although it does not show what its checkpoint names.
    SnapshotWithoutDigest,
    /// What counts for nobody counts once it is folded.
    FoldOverVoid,
}

#[cfg(planted)]
impl Planted {
    /// All of them.
    pub const ALL: [Planted; 15] = [
        Planted::AckBeforeDurable,
        Planted::SkipSignature,
        Planted::AcceptBeyondRemoval,
        Planted::JuniorRemovesSenior,
        Planted::LoseWantAtRestart,
        Planted::InSyncOnEqualLength,
        Planted::ReuseIncarnation,
        Planted::EpochOfRemoved,
        Planted::DropDelete,
        Planted::ApplyOutOfOrder,
        Planted::PruneBeforeStable,
        Planted::FrontierGoesBack,
        Planted::AckWhatWaits,
        Planted::SnapshotWithoutDigest,
        Planted::FoldOverVoid,
    ];
}

/// The number of the one that is there, 0 for none: of the whole process, as the tests want it.
#[cfg(planted)]
static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Puts this bug, or none, into all machines of this process.
#[cfg(planted)]
pub fn choose(bug: Option<Planted>) {
    CHOSEN.store(bug.map_or(0, |bug| bug as u8), Ordering::Relaxed);
}

/// Whether this bug is there.
#[cfg(planted)]
pub(crate) fn is(bug: Planted) -> bool {
    CHOSEN.load(Ordering::Relaxed) == bug as u8
}

/// Whether this bug is there: never in the product.
#[cfg(not(planted))]
pub(crate) const fn is(_: Planted) -> bool {
    false
}
