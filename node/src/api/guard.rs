//! Who may ask over TCP: programs that can read the token file of this user.
//!
//! The unix socket needs none of this, its file mode admits this user alone. On TCP a page in a
//! browser could reach us, so the Host header must name loopback (against rebound DNS names), a
//! foreign Origin is refused, and all but `/health` takes the bearer token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::{Code, Problem};

/// What is demanded of a request over TCP.
#[derive(Clone)]
pub struct Guard {
    authorization: String,
    hosts: [String; 3],
}

impl Guard {
    /// Admits whoever knows `token` and speaks to `port` on loopback.
    pub fn new(token: &str, port: u16) -> Guard {
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        Guard { authorization: format!("Bearer {token}"), hosts }
    }

    fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            let detail = "the Host header does not name this device";
            return Err(Problem::new(Code::NotAllowed, detail, "use http://127.0.0.1 and the port"));
        }
        if headers.contains_key(header::ORIGIN)
            && text(header::ORIGIN).and_then(|origin| origin.strip_prefix("http://")) != Some(host)
        {
            return Err(Problem::new(Code::NotAllowed, "requests from web pages are refused", ""));
        }
        if path == "/health" || same(text(header::AUTHORIZATION).unwrap_or_default(), &self.authorization) {
            return Ok(());
        }
        let hint = "send `authorization: Bearer` with the content of the file run/api-token";
        let problem = Problem::new(Code::NotAllowed, "the token is missing or wrong", hint);
        Err(problem.with_status(StatusCode::UNAUTHORIZED))
    }
}

/// Compares without telling by its time how much is equal.
fn same(given: &str, known: &str) -> bool {
    let differences = given.bytes().zip(known.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == known.len() && std::hint::black_box(differences) == 0
}

/// The middleware in front of the TCP listener.
pub async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_texts_are_the_same() {
        assert!(same("Bearer ab", "Bearer ab"));
        assert!(!same("Bearer a", "Bearer ab"));
        assert!(!same("Bearer aa", "Bearer ab"));
        assert!(!same("", "Bearer ab"));
    }
}
