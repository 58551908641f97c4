//! Who asks to be let into a group, and the answers.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, MemberCommand, Reply, RequestView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::{Api, text};

/// All who ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// The oldest first.
    pub requests: Vec<Request>,
}

/// Somebody who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Four words if they are known, else the first digits of the id.
    pub identity: String,
    /// The person's full id.
    pub person: String,
    /// The name the person gives itself: a claim that anybody can make.
    pub name: String,
    /// The device that asks.
    pub device: String,
    /// What it says to who decides; may be empty.
    pub note: String,
    /// When it says that it asked, in milliseconds since 1970.
    pub asked: u64,
}

/// How somebody is let in.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// viewer, member, admin or owner; member if left out.
    pub role: Option<String>,
}

/// The answer when somebody was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approved {
    /// Who, as it was asked.
    pub who: String,
    /// With which role.
    pub role: String,
    /// Always true.
    pub approved: bool,
}

/// The answer when somebody was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denied {
    /// Who, as it was asked.
    pub who: String,
    /// Always true.
    pub denied: bool,
}

impl From<RequestView> for Request {
    fn from(request: RequestView) -> Request {
        Request {
            identity: text::identity(&request.person),
            person: request.person.person.to_string(),
            name: request.person.name,
            device: request.device.to_string(),
            note: request.note,
            asked: request.asked.0,
        }
    }
}

/// `GET /api/v1/groups/{words}/requests`
pub async fn list(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Requests>, Problem> {
    let command = Command::Member(text::words(&words)?, MemberCommand::Requests);
    let Reply::Requests(requests) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Requests { requests: requests.into_iter().map(Request::from).collect() }))
}

/// `POST /api/v1/groups/{words}/requests/{who}/approve`
pub async fn approve(
    State(api): State<Api>,
    Path((words, who)): Path<(String, String)>,
    Body(approval): Body<Approval>,
) -> Result<Json<Approved>, Problem> {
    let role = text::read_role(approval.role.as_deref().unwrap_or("member"))?;
    let command = MemberCommand::Approve { who: text::who(&who)?, role };
    api.act(Command::Member(text::words(&words)?, command)).await?;
    Ok(Json(Approved { who, role: text::role(role).into(), approved: true }))
}

/// `POST /api/v1/groups/{words}/requests/{who}/deny`
pub async fn deny(
    State(api): State<Api>,
    Path((words, who)): Path<(String, String)>,
) -> Result<Json<Denied>, Problem> {
    let command = MemberCommand::Deny { who: text::who(&who)? };
    api.act(Command::Member(text::words(&words)?, command)).await?;
    Ok(Json(Denied { who, denied: true }))
}
