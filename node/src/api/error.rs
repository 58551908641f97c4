//! How a request fails: one table from what went wrong to status codes, the only one.
//!
//! Handlers return a [`Problem`]; it leaves as `application/problem+json` (RFC 9457) with further
//! members: `code`, which programs decide by, `hint`, which tells people what to do, and `present`,
//! where somebody was about to overwrite what they had not seen.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fourword_protocol::command::{Refusal, RefusalCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Stopped;

/// What went wrong, for programs. Stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request itself is wrong.
    Usage,
    /// What was named does not exist here.
    NotFound,
    /// This person, device or program may not do it.
    NotAllowed,
    /// It cannot be done yet.
    Pending,
    /// A limit is reached.
    TooMuch,
    /// The store failed.
    Storage,
    /// Something went wrong inside.
    Internal,
    /// No node answers, or it is about to end.
    NotRunning,
    /// It took too long.
    TimedOut,
    /// Another node works in this home.
    InUse,
    /// What was to be changed is no longer what the client saw.
    Changed,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Code::Usage => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::NotAllowed => StatusCode::FORBIDDEN,
            Code::Pending | Code::NotRunning => StatusCode::SERVICE_UNAVAILABLE,
            Code::TooMuch => StatusCode::TOO_MANY_REQUESTS,
            Code::Storage => StatusCode::INSUFFICIENT_STORAGE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Code::InUse => StatusCode::CONFLICT,
            Code::Changed => StatusCode::PRECONDITION_FAILED,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Code::Usage => "The request is wrong",
            Code::NotFound => "Not found",
            Code::NotAllowed => "Not allowed",
            Code::Pending => "Not yet",
            Code::TooMuch => "A limit is reached",
            Code::Storage => "The store failed",
            Code::Internal => "Something went wrong inside",
            Code::NotRunning => "The node is ending",
            Code::TimedOut => "It took too long",
            Code::InUse => "In use",
            Code::Changed => "Changed meanwhile",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Code::Usage => "usage",
            Code::NotFound => "not-found",
            Code::NotAllowed => "not-allowed",
            Code::Pending => "pending",
            Code::TooMuch => "too-much",
            Code::Storage => "storage",
            Code::Internal => "internal",
            Code::NotRunning => "not-running",
            Code::TimedOut => "timed-out",
            Code::InUse => "in-use",
            Code::Changed => "changed",
        }
    }
}

/// One failed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URI for the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for people.
    pub detail: String,
    /// What went wrong, for programs.
    pub code: Code,
    /// What the person can do about it; may be empty.
    #[serde(default)]
    pub hint: String,
    /// What is there now, where it is not what the client saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<Box<serde_json::Value>>,
}

impl Problem {
    /// A problem with the status that belongs to its code.
    pub fn new(code: Code, detail: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem {
            kind: format!("urn:fourword:problem:{}", code.word()),
            title: code.title().into(),
            status: code.status().as_u16(),
            detail: detail.into(),
            code,
            hint: hint.into(),
            present: None,
        }
    }

    /// The request itself is wrong.
    pub fn usage(detail: impl Into<String>) -> Problem {
        Problem::new(Code::Usage, detail, "")
    }

    /// The node's answer does not belong to the command: a fault of ours.
    pub fn mismatch() -> Problem {
        Problem::new(Code::Internal, "the node gave an answer to another question", "report this")
    }

    /// The same problem under a more exact status.
    pub fn with_status(self, status: StatusCode) -> Problem {
        Problem { status: status.as_u16(), ..self }
    }

    /// The same problem with what is there now.
    pub fn with_present(self, present: &impl Serialize) -> Problem {
        Problem { present: serde_json::to_value(present).ok().map(Box::new), ..self }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let code = match refusal.code {
            RefusalCode::Usage => Code::Usage,
            RefusalCode::NotFound => Code::NotFound,
            RefusalCode::NotAllowed => Code::NotAllowed,
            RefusalCode::Pending => Code::Pending,
            RefusalCode::TooMuch => Code::TooMuch,
            RefusalCode::Storage => Code::Storage,
            RefusalCode::Internal => Code::Internal,
        };
        Problem::new(code, refusal.message, refusal.hint)
    }
}

impl From<Stopped> for Problem {
    fn from(Stopped: Stopped) -> Problem {
        Problem::new(Code::NotRunning, "the node is ending", "start it again with `fourword start`")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_status_and_code() {
        for (refused, status, code) in [
            (RefusalCode::Usage, 400, "usage"),
            (RefusalCode::NotFound, 404, "not_found"),
            (RefusalCode::NotAllowed, 403, "not_allowed"),
            (RefusalCode::Pending, 503, "pending"),
            (RefusalCode::TooMuch, 429, "too_much"),
            (RefusalCode::Storage, 507, "storage"),
            (RefusalCode::Internal, 500, "internal"),
        ] {
            let refusal = Refusal { code: refused, message: "m".into(), hint: "h".into() };
            let problem = serde_json::to_value(Problem::from(refusal)).unwrap();
            assert_eq!(problem["status"], status);
            assert_eq!(problem["code"], code);
            assert_eq!(problem["type"], format!("urn:fourword:problem:{}", code.replace('_', "-")));
            assert_eq!((&problem["detail"], &problem["hint"]), (&"m".into(), &"h".into()));
        }
    }
}
