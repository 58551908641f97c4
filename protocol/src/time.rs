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

impl WallTime {
    /// The day by the clock of Greenwich, as `2026-11-30`.
    pub fn day(self) -> String {
        // Civil date from days, counted in eras of 400 years that begin in March: leap days end them.
        let days = self.0 / 86_400_000 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        format!("{year:04}-{month:02}-{day:02}")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(WallTime(0).day(), "1970-01-01");
        assert_eq!(WallTime(951_827_696_000).day(), "2000-02-29");
        assert_eq!(WallTime(1_798_761_599_999).day(), "2026-12-31");
        assert_eq!(WallTime(1_798_761_600_000).day(), "2027-01-01");
    }
}
