//! What the node measures, for programs that watch it: `/metrics`, behind the token.

use axum::extract::State;
use axum::http::header;
use fourword_protocol::command::{Command, Reply};

use super::Api;
use super::error::{Code, Problem};
use super::operation::Page;
use crate::metrics::{self, CONTENT_TYPE, Measured};

impl Api {
    async fn measured(&self) -> Result<Measured, Problem> {
        let report = self.report().await?;
        let status = match self.ask(Command::Status).await {
            Ok(Reply::Status(status)) => status,
            // It has no identity yet: all else can be measured.
            Err(problem) if problem.code == Code::Pending => {
                return Ok(Measured { report, ..Measured::default() });
            }
            Ok(_) => return Err(Problem::mismatch()),
            Err(problem) => return Err(problem),
        };
        let Reply::Sync { documents, joins } = self.ask(Command::SyncStatus(None)).await? else {
            return Err(Problem::mismatch());
        };
        Ok(Measured { report, status: Some(status), documents, joins: joins.len() })
    }
}

/// `GET /metrics` and `GET /api/v1/metrics`
pub async fn page(State(api): State<Api>) -> Result<Page, Problem> {
    let measured = api.measured().await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics::node(&measured)))
}
