//! Time as the machine sees it: told by its driver with each event, never asked for.

use std::ops::Add;

use bincode::{Decode, Encode};

/// Milliseconds since the driver started: for waiting, never shown or stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

/// Milliseconds since 1970 by this device's clock: a claim, shown to people, deciding nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct WallTime(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub u64);

/// What the driver says of the time with every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The steady clock, which never goes back.
    pub instant: Instant,
    /// The wall clock, which may.
    pub wall: WallTime,
}

impl Duration {
    /// A length of whole seconds.
    pub const fn from_secs(seconds: u64) -> Duration {
        Duration(seconds * 1000)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, length: Duration) -> Instant {
        Instant(self.0.saturating_add(length.0))
    }
}
