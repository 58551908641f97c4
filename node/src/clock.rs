//! The wall clock of this process, as it is told to the machine and written into invites.
//!
//! What a device says of the time is a claim that others only show to people. Tests shift it, since
//! a process cannot be given another clock by the system. Invariant: it is read nowhere else for
//! what other devices get to see.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// By how many milliseconds this process is ahead of the system's clock.
static SHIFT_MS: AtomicI64 = AtomicI64::new(0);

/// Sets this process ahead of the system's clock, or behind it. For tests of wrong clocks.
pub(crate) fn shift(ms: i64) {
    SHIFT_MS.store(ms, Ordering::Relaxed);
}

/// Tells the milliseconds since 1970. A clock before that says nothing.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    now.saturating_add_signed(SHIFT_MS.load(Ordering::Relaxed))
}
