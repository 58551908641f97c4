//! Counts what this test binary allocates, so that a flood of memory is a failed test.
//!
//! One thread alone must be at work while something is measured, and tests run beside each other:
//! what measures runs in a process of its own. One that dies there, by an abort or a stack that
//! ran out, is a failed test too.

use std::process::{Command, Stdio};

use peak_alloc::PeakAlloc;

/// Set in a process that runs one test alone.
const ALONE: &str = "FOURWORD_TEST_ALONE";

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

/// Whether this process runs one test alone, so that what is measured is its own.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// This test binary again, about to run one test alone.
pub(crate) fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ALONE, "1").stdout(Stdio::piped());
    command
}

/// Runs the body of the test of this name in a process of its own.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if is_alone() {
        return body();
    }
    let output = again(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{}\n{text}", output.status);
    println!("{text}");
}
