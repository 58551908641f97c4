//! The recovery phrase: shown while the root key is on this device, and gone with it.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use fourword_protocol::command::{Command, Reply};
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::Problem;

/// The recovery phrase of this person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phrase {
    /// 24 words.
    pub phrase: String,
}

/// The answer when the root key was taken off this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Always true.
    pub forgotten: bool,
}

/// `GET /api/v1/identity/phrase`
pub async fn phrase(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let Reply::Phrase(phrase) = api.ask(Command::Phrase).await? else { return Err(Problem::mismatch()) };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Phrase { phrase })))
}

/// `DELETE /api/v1/identity/phrase`
pub async fn forget(State(api): State<Api>) -> Result<Json<Forgotten>, Problem> {
    let Reply::Ok = api.ask(Command::ForgetRoot).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Forgotten { forgotten: true }))
}
