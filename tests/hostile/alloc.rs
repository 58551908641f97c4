//! Counts what this test binary allocates, so that a flood of memory is a failed test.
//!
//! One thread alone must be at work while something is measured: workers of `mutants` are
//! processes of their own for this reason, too.

use peak_alloc::PeakAlloc;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// Runs `act`; says how many bytes more than before were held at most meanwhile.
pub(crate) fn peak_of<T>(act: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNTED.current_usage();
    COUNTED.reset_peak_usage();
    let done = act();
    (done, COUNTED.peak_usage().saturating_sub(before))
}

/// Bytes that are held now.
pub(crate) fn held() -> usize {
    COUNTED.current_usage()
}
