//! Groups, channels, projects and organizations: made, shown, left; and who is in them.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use fourword_protocol::command::{Command, EntityView, MemberView, Reply};
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::node::check_name;
use super::{Api, progress, text};

/// How long finding a name may take: hundreds of times what it takes on average.
const CREATE_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// A group to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// group, channel, project or organization.
    #[serde(default = "group")]
    pub kind: String,
    /// The four words of what it belongs to, whose members are its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

fn group() -> String {
    "group".into()
}

/// One group, or whatever else has four words and members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its four words.
    pub words: String,
    /// Its full id.
    pub id: String,
    /// group, channel, project or organization.
    pub kind: String,
    /// Its name; empty until it has come.
    pub name: String,
    /// The four words of what it belongs to, whose members are its members; null if to nothing.
    #[serde(default)]
    pub parent: Option<String>,
    /// This person's role; null if not a member (any more).
    pub role: Option<String>,
    /// How many members.
    pub members: u32,
}

/// All groups of this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// One entry for each.
    pub groups: Vec<Group>,
}

/// The members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Senior to junior.
    pub members: Vec<Member>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The answer when a group was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The group's four words.
    pub words: String,
    /// Always true.
    pub left: bool,
}

impl From<EntityView> for Group {
    fn from(entity: EntityView) -> Group {
        Group {
            words: entity.words.to_string(),
            id: entity.id.to_string(),
            kind: entity.kind.word().into(),
            name: entity.name,
            parent: entity.parent.map(|parent| parent.to_string()),
            role: entity.role.map(|role| text::role(role).into()),
            members: entity.members,
        }
    }
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

/// `GET /api/v1/groups`
pub async fn list(State(api): State<Api>) -> Result<Json<Groups>, Problem> {
    let Reply::Entities(entities) = api.ask(Command::Entities).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Groups { groups: entities.into_iter().map(Group::from).collect() }))
}

/// `POST /api/v1/groups`: takes seconds; reports progress to who accepts JSON Lines.
pub async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    Body(new): Body<NewGroup>,
) -> Result<Response, Problem> {
    check_name(&new.name)?;
    let parent = new.parent.as_deref().map(text::words).transpose()?;
    let command = Command::Create { kind: text::read_kind(&new.kind)?, name: new.name, parent };
    let read = |reply| match reply {
        Reply::Entity(entity) => Ok(Group::from(entity)),
        _ => Err(Problem::mismatch()),
    };
    progress::answer(&api, &headers, command, CREATE_TIME_MAX, read).await
}

/// `GET /api/v1/groups/{words}`
pub async fn show(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Group>, Problem> {
    let Reply::Entity(entity) = api.ask(Command::Show(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(entity.into()))
}

/// `GET /api/v1/groups/{words}/members`
pub async fn members(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Members>, Problem> {
    let Reply::Members(members) = api.ask(Command::Members(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Members { members: members.into_iter().map(Member::from).collect() }))
}

/// `DELETE /api/v1/groups/{words}`: leaves for good.
pub async fn leave(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Left>, Problem> {
    let words = text::words(&words)?;
    let Reply::Ok = api.ask(Command::Leave(words)).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Left { words: words.to_string(), left: true }))
}
