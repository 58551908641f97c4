//! Examines a node: what is well, what is not, and what can be done about it.
//!
//! `cli` gathers what is known, from the node if one runs and from its home in any case; here it
//! is judged. `home` judges what lies on the disk, `network` how the node is reached, `peers` why
//! it is not in sync with somebody, `clock` the time; `bundle` makes a file of it that can be
//! passed on. Invariant: every check says what was looked at; what cannot be known is said to be
//! unknown.

pub mod bundle;
pub mod clock;
pub mod home;
pub mod network;
pub mod peers;

use serde::{Deserialize, Serialize};

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and could be better or will not work for ever.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is about: one word.
    pub about: String,
    /// How well it is.
    pub verdict: Verdict,
    /// What was seen, in a sentence.
    pub says: String,
    /// What to do; empty if nothing is to be done.
    pub advice: String,
}

impl Check {
    /// All is well.
    pub fn ok(about: &str, says: impl Into<String>) -> Check {
        Check { about: about.into(), verdict: Verdict::Ok, says: says.into(), advice: String::new() }
    }

    /// It could be better.
    pub fn warning(about: &str, says: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { about: about.into(), verdict: Verdict::Warning, says: says.into(), advice: advice.into() }
    }

    /// It does not work.
    pub fn failed(about: &str, says: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { about: about.into(), verdict: Verdict::Failed, says: says.into(), advice: advice.into() }
    }
}

/// What an examination found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// Whether a node runs.
    pub running: bool,
    /// The worst verdict of all.
    pub verdict: Verdict,
    /// What was looked at.
    pub checks: Vec<Check>,
}

impl Examined {
    /// Puts checks together.
    pub fn new(running: bool, checks: Vec<Check>) -> Examined {
        let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
        Examined { running, verdict, checks }
    }
}
