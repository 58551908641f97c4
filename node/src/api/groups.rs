//! Groups, channels, projects and organizations: made, shown, set, left.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use fourword_protocol::command::{Command, EntityView, Reply};
use fourword_protocol::schema::core::{LAPSE_DAYS_MAX, Setting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::node::check_name;
use super::progress::Long;
use super::{Api, progress, text};

/// How long finding a name may take: hundreds of times what it takes on average.
const CREATE_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// A group to make.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// What its admins have settled.
    pub settings: Settings,
}

/// The settings of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Whether newcomers can read what was written before they came.
    pub newcomers_read_history: bool,
    /// Days after which a silent device holds nothing back.
    pub lapse_days: u16,
}

/// Settings to be changed; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewSettings {
    /// Whether newcomers can read what was written before they came.
    pub newcomers_read_history: Option<bool>,
    /// Days after which a silent device holds nothing back.
    pub lapse_days: Option<u16>,
}

/// All groups of this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Groups {
    /// One entry for each.
    pub groups: Vec<Group>,
}

/// The answer when a group was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
            settings: Settings {
                newcomers_read_history: entity.settings.newcomers_read_history,
                lapse_days: entity.settings.lapse_days,
            },
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
) -> Result<Long<Group>, Problem> {
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

/// `PATCH /api/v1/groups/{words}/settings`: changes what is given, one after the other.
pub async fn configure(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<NewSettings>,
) -> Result<Json<Group>, Problem> {
    let words = text::words(&words)?;
    if new.lapse_days.is_some_and(|days| !(1..=LAPSE_DAYS_MAX).contains(&days)) {
        return Err(Problem::usage(format!("lapse_days is 1 to {LAPSE_DAYS_MAX}")));
    }
    let settings = [
        new.newcomers_read_history.map(Setting::NewcomersReadHistory),
        new.lapse_days.map(Setting::LapseDays),
    ];
    if settings.iter().all(Option::is_none) {
        return Err(Problem::usage("no setting is given"));
    }
    for setting in settings.into_iter().flatten() {
        api.act(Command::Configure(words, setting)).await?;
    }
    let Reply::Entity(entity) = api.ask(Command::Show(words)).await? else { return Err(Problem::mismatch()) };
    Ok(Json(entity.into()))
}

/// `DELETE /api/v1/groups/{words}`: leaves for good.
pub async fn leave(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Left>, Problem> {
    let words = text::words(&words)?;
    api.act(Command::Leave(words)).await?;
    Ok(Json(Left { words: words.to_string(), left: true }))
}
