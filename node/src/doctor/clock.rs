//! Judges this device's clock by what can be compared with it: nothing else knows the time.
//!
//! Nothing is decided by the clock but whether invites have expired and what people are shown, so
//! a wrong one harms nobody's content.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Check;

/// How far two clocks may differ before it is told.
const DIFFERENCE_MAX: Duration = Duration::from_secs(120);

/// Where systemd says that it has set the clock.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Files looked at.
const FILES_MAX: usize = 10_000;

/// Compares with the newest file of the journal and with the times that others gave to their
/// latest messages, in milliseconds since 1970.
pub fn clock(home: &Path, now: SystemTime, messages: &[u64]) -> Check {
    let advice = "set the clock; invites seem expired or valid too long, and times of messages are wrong";
    let ahead = |time: SystemTime| time.duration_since(now).ok().filter(|by| *by > DIFFERENCE_MAX);
    if let Some(by) = newest(&home.join("journal")).and_then(ahead) {
        let says = format!("the clock is {} behind a file that this device wrote", told(by));
        return Check::failed("clock", says, advice);
    }
    let latest = messages.iter().max().map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(*ms));
    if let Some(by) = latest.and_then(ahead) {
        let says = format!("somebody's message is {} ahead of this clock: one of the two is wrong", told(by));
        return Check::warning("clock", says, advice);
    }
    let set = if Path::new(SYNCHRONIZED).exists() {
        "; the system says that it is set from the network"
    } else {
        ""
    };
    let compared = match (newest(&home.join("journal")).is_some(), messages.is_empty()) {
        (_, false) => "not behind what this device wrote, nor behind others' messages",
        (true, true) => "not behind what this device wrote; no message of others to compare with",
        (false, true) => "nothing to compare it with yet",
    };
    Check::ok("clock", format!("{compared}{set}"))
}

fn newest(directory: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(directory).ok()?.take(FILES_MAX).flatten();
    files.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

fn told(by: Duration) -> String {
    match by.as_secs() {
        seconds @ 0..7200 => format!("{} minutes", seconds / 60),
        seconds @ 7200..172_800 => format!("{} hours", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_behind_what_was_written_is_told_and_one_that_agrees_is_not() {
        let home = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let ms = |time: SystemTime| {
            u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
        };
        assert_eq!(clock(home.path(), now, &[]).verdict, Verdict::Ok);
        fs::create_dir(home.path().join("journal")).unwrap();
        fs::write(home.path().join("journal/1.log"), "data").unwrap();
        assert_eq!(clock(home.path(), now, &[0, ms(now)]).verdict, Verdict::Ok);
        let two_days = Duration::from_secs(2 * 86_400);
        let behind = clock(home.path(), now - two_days, &[]);
        assert_eq!(behind.verdict, Verdict::Failed);
        assert!(behind.says.contains("47 hours") || behind.says.contains("2 days"), "{}", behind.says);
        assert_eq!(clock(home.path(), now, &[ms(now + two_days)]).verdict, Verdict::Warning);
        assert_eq!(clock(home.path(), now, &[u64::MAX / 1024]).verdict, Verdict::Warning);
    }
}
