//! The levels of the log: shown, and changed until the next start.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::error::{Code, Problem};
use crate::logging::{Change, Levels, SUBSYSTEMS, Shown};

/// Changes in one request: one for each subsystem, one for all, and a reset before.
const CHANGES_MAX: usize = SUBSYSTEMS.len() + 2;

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Each `LEVEL`, `SUBSYSTEM=LEVEL` or `reset`; carried out in order.
    pub changes: Vec<String>,
}

impl Changes {
    /// Carries all of them out, or none. Gives the levels as they are then.
    pub fn carry_out(&self, levels: &Levels) -> Result<Shown, Problem> {
        if self.changes.len() > CHANGES_MAX {
            return Err(Problem::usage(format!("more than {CHANGES_MAX} changes at once")));
        }
        let read = self.changes.iter().map(|change| change.parse());
        let read: Vec<Change> = read.collect::<Result<_, String>>().map_err(Problem::usage)?;
        levels.change(&read).map_err(|reason| Problem::new(Code::Internal, reason, ""))?;
        tracing::info!(changes = ?self.changes, "the levels of the log were changed");
        Ok(levels.shown())
    }
}

impl Api {
    fn levels(&self) -> Result<&Levels, Problem> {
        let missing = || Problem::new(Code::NotFound, "the log of this process has no levels to change", "");
        self.levels.as_ref().ok_or_else(missing)
    }
}

/// `GET /api/v1/log`
pub async fn show(State(api): State<Api>) -> Result<Json<Shown>, Problem> {
    Ok(Json(api.levels()?.shown()))
}

/// `PUT /api/v1/log`
pub async fn set(State(api): State<Api>, Body(changes): Body<Changes>) -> Result<Json<Shown>, Problem> {
    changes.carry_out(api.levels()?).map(Json)
}
