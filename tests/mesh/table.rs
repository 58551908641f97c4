//! The table of all scenarios, in Markdown, as docs/OPERATING.md has it.

use std::time::Duration;

use crate::circle::Agreed;
use crate::mesh::Ways;

/// What one scenario gave.
pub(crate) struct Row {
    pub(crate) nodes: usize,
    pub(crate) faults: String,
    /// How long it took until all showed everything, and said that they are in sync.
    pub(crate) converged: String,
    pub(crate) saved: usize,
    pub(crate) lost: usize,
    /// Bytes that the nodes received.
    pub(crate) bytes: u64,
    pub(crate) ways: Option<Ways>,
}

const HEAD: &str = "\
| scenario | nodes | faults | until all is shown / all are in sync | messages saved | lost | bytes | pairs direct / relayed |
|---|---|---|---|---|---|---|---|";

impl Row {
    /// The row of a scenario at whose end all agreed.
    pub(crate) fn of(nodes: usize, faults: impl Into<String>, agreed: &Agreed) -> Row {
        let converged = format!("{} / {}", seconds(agreed.shown), seconds(agreed.in_sync));
        let Agreed { saved, lost, .. } = *agreed;
        Row { nodes, faults: faults.into(), converged, saved, lost, bytes: 0, ways: None }
    }

    fn line(&self, name: &str) -> String {
        let Row { nodes, faults, converged, saved, lost, .. } = self;
        let bytes = match self.bytes {
            few @ ..1_000_000 => format!("{} kB", few / 1000),
            many => format!("{:.1} MB", many as f64 / 1e6),
        };
        let ways = self.ways.map_or("-".to_owned(), |ways| format!("{} / {}", ways.direct, ways.relayed));
        format!("| {name} | {nodes} | {faults} | {converged} | {saved} | {lost} | {bytes} | {ways} |")
    }
}

/// All rows below the head.
pub(crate) fn markdown(rows: &[(&str, Row)]) -> String {
    let lines = rows.iter().map(|(name, row)| row.line(name));
    std::iter::once(HEAD.to_owned()).chain(lines).collect::<Vec<_>>().join("\n") + "\n"
}

/// A time as the table has it.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The least, the middle and the greatest of some times.
pub(crate) fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let (Some(least), Some(greatest)) = (times.first(), times.last()) else { return "-".to_owned() };
    let middle = times[times.len() / 2];
    format!("{:.1} / {:.1} / {:.1} s", least.as_secs_f64(), middle.as_secs_f64(), greatest.as_secs_f64())
}
