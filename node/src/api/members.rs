//! Who is in a group: shown, removed, given another role.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, MemberCommand, MemberView, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::{Api, text};

/// The members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// Senior to junior.
    pub members: Vec<Member>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Four words if they are known, else the first digits of the id.
    pub identity: String,
    /// The person's full id.
    pub person: String,
    /// The name the member gave itself here; empty if none.
    pub name: String,
    /// viewer, member, admin or owner.
    pub role: String,
    /// Whether it is in now: true, for those who left or were removed are not listed.
    pub active: bool,
    /// Whether one of its devices is connected now.
    pub online: bool,
    /// Its devices.
    pub devices: Vec<String>,
}

/// Another role for a member.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// viewer, member, admin or owner.
    pub role: String,
}

/// The answer when a member was given another role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleSet {
    /// Who, as it was asked.
    pub who: String,
    /// The role it has now.
    pub role: String,
}

/// The answer when a member was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// Who, as it was asked.
    pub who: String,
    /// Always true.
    pub removed: bool,
}

impl From<MemberView> for Member {
    fn from(member: MemberView) -> Member {
        Member {
            identity: text::identity(&member.person),
            person: member.person.person.to_string(),
            name: member.person.name,
            role: text::role(member.role).into(),
            active: true,
            online: member.online,
            devices: member.devices.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `GET /api/v1/groups/{words}/members`
pub async fn list(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Members>, Problem> {
    let Reply::Members(members) = api.ask(Command::Members(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Members { members: members.into_iter().map(Member::from).collect() }))
}

/// `PATCH /api/v1/groups/{words}/members/{who}`: gives another role.
pub async fn set_role(
    State(api): State<Api>,
    Path((words, who)): Path<(String, String)>,
    Body(new): Body<NewRole>,
) -> Result<Json<RoleSet>, Problem> {
    let role = text::read_role(&new.role)?;
    let command = MemberCommand::SetRole { who: text::who(&who)?, role };
    api.act(Command::Member(text::words(&words)?, command)).await?;
    Ok(Json(RoleSet { who, role: text::role(role).into() }))
}

/// `DELETE /api/v1/groups/{words}/members/{who}`: the group's key changes at once.
pub async fn remove(
    State(api): State<Api>,
    Path((words, who)): Path<(String, String)>,
) -> Result<Json<Removed>, Problem> {
    let command = MemberCommand::Remove { who: text::who(&who)? };
    api.act(Command::Member(text::words(&words)?, command)).await?;
    Ok(Json(Removed { who, removed: true }))
}
