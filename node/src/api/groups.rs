//! Groups, channels, projects and organizations: made, shown, set, left.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use fourword_protocol::command::{Command, CoreView, EntityView, PersonView, Reply};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::core::{LAPSE_DAYS_MAX, Setting};
use fourword_protocol::words::FourWords;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::node::check_name;
use super::progress::Long;
use super::revision::{Revised, Seen, revision};
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
    /// What it is for, in its admins' words; empty if nothing is said.
    #[serde(default)]
    pub description: String,
    /// The hash of the manifest of its published website, as 64 digits; null if there is none.
    #[serde(default)]
    pub website: Option<String>,
    /// What its admins have settled.
    pub settings: Settings,
    /// What `If-Match` takes, to change it only if what its admins say of it still is as shown here.
    #[serde(default)]
    pub revision: String,
}

/// The settings of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Whether newcomers can read what was written before they came.
    pub newcomers_read_history: bool,
    /// Days after which a silent device holds nothing back.
    pub lapse_days: u16,
}

/// What is to be changed; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewSettings {
    /// Its name: one line of at most 256 bytes.
    pub name: Option<String>,
    /// What it is for, at most 64 KiB; an empty text takes that away.
    pub description: Option<String>,
    /// The hash of the manifest of its published website, as 64 digits; an empty text takes it away.
    pub website: Option<String>,
    /// Whether newcomers can read what was written before they came.
    pub newcomers_read_history: Option<bool>,
    /// Days after which a silent device holds nothing back.
    pub lapse_days: Option<u16>,
}

/// A group as a document: what it says of itself, and who is and was in, which its roster decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Core {
    /// What it is and says of itself.
    pub metadata: Metadata,
    /// Who is and was in, by full id.
    pub members: BTreeMap<String, CoreMember>,
    /// The members who are in, by full id.
    pub active_members: BTreeMap<String, bool>,
    /// The four words of the channels and projects that belong to it.
    #[serde(default)]
    pub children: Vec<String>,
}

/// What a group is and says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// Its full id.
    pub entity_id: String,
    /// group, channel, project or organization.
    pub entity_type: String,
    /// Its name.
    pub name: String,
    /// What it is for; empty if nothing is said.
    pub description: String,
    /// Its four words.
    pub four_words: String,
    /// When its creator says that it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// The full id of who made it.
    pub created_by: String,
    /// The hash of the manifest of its published website, as 64 digits; null if there is none.
    pub website_root: Option<String>,
}

/// Somebody who is or was in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoreMember {
    /// The full id.
    pub member_id: String,
    /// Four words if they are known, else the first digits of the id.
    pub four_words: String,
    /// The name that it gave itself here; empty if none.
    pub name: String,
    /// viewer, member, admin or owner; null for who is in no more.
    pub role: Option<String>,
    /// Whether it left or was removed.
    pub deleted: bool,
    /// The full ids of those who removed it, who may be several who did so apart; its own where it left.
    #[serde(default)]
    pub deleted_by: Vec<String>,
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
        let settings = Settings {
            newcomers_read_history: entity.settings.newcomers_read_history,
            lapse_days: entity.settings.lapse_days,
        };
        let website = entity.about.website.map(|hash| hash.to_string());
        Group {
            revision: revision(&(&entity.name, &entity.about.description, &website, &settings)),
            words: entity.words.to_string(),
            id: entity.id.to_string(),
            kind: entity.kind.word().into(),
            name: entity.name,
            parent: entity.parent.map(|parent| parent.to_string()),
            role: entity.role.map(|role| text::role(role).into()),
            members: entity.members,
            description: entity.about.description,
            website,
            settings,
        }
    }
}

impl Revised for Group {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl From<CoreView> for Core {
    fn from(core: CoreView) -> Core {
        let CoreView { entity, created, creator, members, former, children } = core;
        let entry = |person: &PersonView, role: Option<Role>, ended_by: &[PersonView]| {
            let member = CoreMember {
                member_id: person.person.to_string(),
                four_words: text::identity(person),
                name: person.name.clone(),
                role: role.map(|role| text::role(role).into()),
                deleted: role.is_none(),
                deleted_by: ended_by.iter().map(|person| person.person.to_string()).collect(),
            };
            (member.member_id.clone(), member)
        };
        let active = members.iter().map(|member| entry(&member.person, Some(member.role), &[]));
        let gone = former.iter().map(|former| entry(&former.person, None, &former.ended_by));
        let members: BTreeMap<_, _> = active.chain(gone).collect();
        let active = members.values().filter(|member| !member.deleted);
        Core {
            active_members: active.map(|member| (member.member_id.clone(), true)).collect(),
            members,
            children: children.iter().map(ToString::to_string).collect(),
            metadata: Metadata {
                entity_id: entity.id.to_string(),
                entity_type: entity.kind.word().into(),
                name: entity.name,
                description: entity.about.description,
                four_words: entity.words.to_string(),
                created_at: created.0,
                created_by: creator.person.to_string(),
                website_root: entity.about.website.map(|hash| hash.to_string()),
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
    group_of(&api, text::words(&words)?).await.map(Json)
}

/// `PATCH /api/v1/groups/{words}/settings`: changes what is given, one after the other; perhaps with `If-Match`
pub async fn configure(
    State(api): State<Api>,
    Path(words): Path<String>,
    seen: Seen,
    Body(new): Body<NewSettings>,
) -> Result<Json<Group>, Problem> {
    let words = text::words(&words)?;
    if new.lapse_days.is_some_and(|days| !(1..=LAPSE_DAYS_MAX).contains(&days)) {
        return Err(Problem::usage(format!("lapse_days is 1 to {LAPSE_DAYS_MAX}")));
    }
    let website =
        new.website.map(|hash| if hash.is_empty() { Ok(None) } else { text::hash(&hash).map(Some) });
    let settings = [
        new.name.map(Setting::Name),
        new.description.map(Setting::Description),
        website.transpose()?.map(Setting::Website),
        new.newcomers_read_history.map(Setting::NewcomersReadHistory),
        new.lapse_days.map(Setting::LapseDays),
    ];
    if settings.iter().all(Option::is_none) {
        return Err(Problem::usage("no setting is given"));
    }
    let api = seen.guard(api, async |api| group_of(api, words).await).await?;
    for setting in settings.into_iter().flatten() {
        api.act(Command::Configure(words, setting)).await?;
    }
    group_of(&api, words).await.map(Json)
}

/// `GET /api/v1/groups/{words}/core`
pub async fn core(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Core>, Problem> {
    let Reply::Core(core) = api.ask(Command::Core(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json((*core).into()))
}

/// `DELETE /api/v1/groups/{words}`: leaves for good.
pub async fn leave(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Left>, Problem> {
    let words = text::words(&words)?;
    api.act(Command::Leave(words)).await?;
    Ok(Json(Left { words: words.to_string(), left: true }))
}

async fn group_of(api: &Api, words: FourWords) -> Result<Group, Problem> {
    let Reply::Entity(entity) = api.ask(Command::Show(words)).await? else { return Err(Problem::mismatch()) };
    Ok(entity.into())
}
