//! How a command ends: its exit code, and what is said when it fails.
//!
//! The codes are a promise to scripts: 0 done, 1 error, 2 usage, 3 not found, 4 not allowed,
//! 5 no node runs, 6 timed out, 7 pending or not yet in sync.

use serde_json::{Value, json};

use crate::api::error::{Code, Problem};
use crate::config::ConfigError;

/// How a command that gave its answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is as asked.
    Done,
    /// The waiting was over before anybody was reached.
    TimedOut,
    /// It is not there yet.
    Pending,
    /// Something is wrong, as the answer says.
    Wrong,
    /// No node runs, and the answer says what could be told without it.
    NotRunning,
}

impl Exit {
    /// The exit code.
    pub(super) fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Wrong => 1,
            Exit::NotRunning => 5,
            Exit::TimedOut => 6,
            Exit::Pending => 7,
        }
    }
}

/// Why a command gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For programs.
    pub(super) code: Code,
    /// What went wrong, for people.
    pub(super) message: String,
    /// What the person can do; may be empty.
    pub(super) hint: String,
}

impl Failure {
    /// A failure of this code.
    pub(super) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), hint: hint.into() }
    }

    /// The command itself is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Code::Usage, message, "")
    }

    /// Something on this device failed.
    pub(super) fn internal(message: impl Into<String>) -> Failure {
        Failure::new(Code::Internal, message, "")
    }

    /// The exit code.
    pub(super) fn number(&self) -> u8 {
        match self.code {
            Code::TooMuch | Code::Storage | Code::Internal | Code::InUse | Code::Changed => 1,
            Code::Usage => 2,
            Code::NotFound => 3,
            Code::NotAllowed => 4,
            Code::NotRunning => 5,
            Code::TimedOut => 6,
            Code::Pending => 7,
        }
    }

    /// The failure for programs.
    pub(super) fn json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}})
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::new(problem.code, problem.detail, problem.hint)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(Code::Usage, error.message, error.hint)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::internal(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_for_programs_has_code_message_and_hint() {
        let failure = Failure::new(Code::NotRunning, "no node runs", "start it");
        assert_eq!(
            failure.json().to_string(),
            r#"{"error":{"code":"not_running","hint":"start it","message":"no node runs"}}"#
        );
        assert_eq!(failure.number(), 5);
    }
}
