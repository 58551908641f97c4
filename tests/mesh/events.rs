//! What a node said happened, and when: the lines of `up --json`, as Docker kept and timed them.
//!
//! All times are of one clock, that of the machine that runs the containers, in milliseconds since
//! 1970, so those of different nodes can be compared.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::docker;

/// Something that happened at a node.
pub(crate) struct Seen {
    pub(crate) at_ms: u64,
    pub(crate) event: Value,
}

/// Now, on the clock of all events.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a time of this age")
}

/// All events of a container from a time on, oldest first.
pub(crate) fn since(container: &str, at_ms: u64) -> Vec<Seen> {
    let since = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
    let text = docker::must(&["logs", "--timestamps", "--since", &since, container]);
    text.lines().filter_map(seen).collect()
}

fn seen(line: &str) -> Option<Seen> {
    let (time, event) = line.split_once(' ')?;
    Some(Seen { at_ms: milliseconds(time)?, event: serde_json::from_str(event).ok()? })
}

/// Reads a time such as 2026-01-31T23:59:59.123456789Z.
fn milliseconds(time: &str) -> Option<u64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let ms = number(&format!("{fraction:0<3}")[..3])?;
    Some((((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms)
}

/// Days from 1970 to a date. The year is counted from March, so that a leap day ends it.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Fails if times are read wrongly: every figure depends on it.
pub(crate) fn check() {
    assert_eq!(milliseconds("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(milliseconds("2024-02-29T12:30:00.5Z"), Some(1_709_209_800_500));
    assert_eq!(milliseconds("2026-11-21T11:58:55.128843337Z"), Some(1_795_262_335_128));
}
