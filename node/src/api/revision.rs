//! Revisions: what tells apart how something was shown from how it is now.
//!
//! Invariant: a revision says what a client has seen, never when. It guards against overwriting what
//! came before a request; what comes from other nodes at the same time merges.

use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use serde::Serialize;

use super::Api;
use super::error::{Code, Problem};

/// Hexadecimal digits of a revision: 64 bits, since nobody gains by finding two that are equal.
pub(super) const REVISION_DIGITS: usize = 16;

/// What is shown with a revision of it.
pub(super) trait Revised: Serialize {
    /// What tells apart how it is shown now from how it is shown once anything of it has changed.
    fn revision(&self) -> &str;
}

/// The revision that a client saw last, from the header `If-Match`; without it nothing is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(Option<String>);

impl Seen {
    /// Through what a thing is changed. If the client said what it saw, that is compared with what `look`
    /// finds now, nobody else comes in between, and a client that saw something else is shown it.
    pub(super) async fn guard<T: Revised>(
        &self,
        api: Api,
        look: impl AsyncFnOnce(&Api) -> Result<T, Problem>,
    ) -> Result<Api, Problem> {
        let Some(seen) = &self.0 else { return Ok(api) };
        let api = api.alone().await;
        let present = look(&api).await?;
        if seen == present.revision() {
            return Ok(api);
        }
        let hint = "look at it as it is now, and change it again if you still want to";
        let problem = Problem::new(Code::Changed, "it was changed since you looked at it", hint);
        Err(problem.with_present(&present))
    }
}

impl<S: Sync> FromRequestParts<S> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Seen, Problem> {
        let Some(given) = parts.headers.get(IF_MATCH) else { return Ok(Seen(None)) };
        let given = given.to_str().unwrap_or_default().trim();
        let revision = given.trim_matches('"');
        if given == "*" {
            return Ok(Seen(None));
        }
        if revision.len() != REVISION_DIGITS || !revision.bytes().all(|b| b.is_ascii_hexdigit()) {
            let detail = format!("If-Match takes one revision of {REVISION_DIGITS} hexadecimal digits");
            return Err(Problem::new(Code::Usage, detail, "take `revision` of what was shown"));
        }
        Ok(Seen(Some(revision.to_ascii_lowercase())))
    }
}

/// What tells apart how a thing was shown from how it is shown once anything of it has changed.
pub(super) fn revision(shown: &impl Serialize) -> String {
    // What is shown is plain data, which can always be written as JSON.
    let json = serde_json::to_vec(shown).unwrap_or_default();
    blake3::hash(&json).to_hex().chars().take(REVISION_DIGITS).collect()
}
