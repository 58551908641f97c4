//! A node's two clocks: one that only moves on, and one that may be hours or days wrong.

use fourword_protocol::time::{Instant, Now, WallTime};

/// What all wall clocks would show at the beginning if they were right.
pub(crate) const WALL_START_MS: u64 = 1_800_000_000_000;

/// The clocks of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// When the steady clock began, in the time of the cluster.
    pub(crate) began: u64,
    /// How far the wall clock is ahead.
    pub(crate) skew_ms: i64,
}

impl Clock {
    /// What the clocks show at a time of the cluster.
    pub(crate) fn at(&self, at: u64) -> Now {
        let wall = WALL_START_MS.saturating_add(at).saturating_add_signed(self.skew_ms);
        Now { instant: Instant(at.saturating_sub(self.began)), wall: WallTime(wall) }
    }

    /// The time of the cluster at which the steady clock shows this.
    pub(crate) fn when(&self, instant: Instant) -> u64 {
        self.began.saturating_add(instant.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_may_be_wrong_and_the_steady_one_counts_from_its_own_beginning() {
        let clock = Clock { began: 500, skew_ms: -86_400_000 };
        let now = clock.at(1_500);
        assert_eq!((now.instant, now.wall), (Instant(1_000), WallTime(WALL_START_MS + 1_500 - 86_400_000)));
        assert_eq!(clock.when(now.instant), 1_500);
    }
}
