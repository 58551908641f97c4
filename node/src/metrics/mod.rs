//! What a node or a relay measures, as text that Prometheus reads.
//!
//! `node` and `relay` each write one page; the API and the relay's socket serve them. The list in
//! docs/OPERATING.md names every family and no other: a test compares. Invariant: no label has a
//! word, a name or an id of anybody, since pages are kept and passed on by other programs.

mod node;
mod relay;

use std::fmt::{Display, Write};

pub use self::node::{Measured, node};
pub use self::relay::relay;

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of values is.
#[derive(Clone, Copy)]
enum Kind {
    /// Only rises, from zero at each start.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// A page under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a family, whose values follow.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Adds a value; labels are fixed words of this program, or reasons of the machine.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        let mut open = '{';
        for (label, of) in labels {
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(of));
            open = ',';
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// Adds a family of one value.
    fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.value(name, &[], value);
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Bytes of memory that this process holds, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Adds what every process of ours tells of itself.
fn process(page: &mut Page, uptime_s: u64) {
    page.family("fourword_info", Kind::Gauge, "Always 1; the label has the version of the program.");
    page.value("fourword_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one("fourword_uptime_seconds", Kind::Gauge, "Seconds since the start.", uptime_s);
    page.family("fourword_memory_bytes", Kind::Gauge, "Memory that the process holds.");
    if let Some(bytes) = resident_bytes() {
        page.value("fourword_memory_bytes", &[], bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_its_line() {
        let mut page = Page::default();
        page.value("a", &[("b", "c\"\\\nd"), ("e", "f")], 1);
        assert_eq!(page.0, "a{b=\"c\\\"\\\\\\nd\",e=\"f\"} 1\n");
    }
}
