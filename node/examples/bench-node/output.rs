//! Prints one JSON object a line: all that a bench node says.

use std::io::Write;

use serde_json::Value;

/// Prints one line at once.
pub(crate) fn print(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Fails when nobody reads any more: then the end of the input ends this process too.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
