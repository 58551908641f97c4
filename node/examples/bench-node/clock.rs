//! The steady clock of the machine, so that times of two processes can be compared.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the steady clock that all processes of a machine share.
pub(crate) fn now_ms() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}
