//! Invites: made, shown, closed.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, InviteView, MemberCommand, Reply};
use fourword_protocol::limits;
use fourword_protocol::time::WallTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::Problem;
use super::{Api, text};
use crate::clock;

/// How long an invite admits if nobody says: a week.
const EXPIRES_IN_MS: u64 = 7 * 24 * 3600 * 1000;

/// The longest an invite may admit: ten years.
const EXPIRES_IN_MS_MAX: u64 = 10 * 366 * 24 * 3600 * 1000;

/// An invite to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewInvite {
    /// viewer, member, admin or owner; member if left out.
    pub role: Option<String>,
    /// How many may join by it; one if left out.
    pub uses: Option<u32>,
    /// For how many milliseconds it admits; a week if left out.
    pub expires_in_ms: Option<u64>,
}

/// One invite.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invite {
    /// The code, which lets whoever holds it be admitted.
    pub code: String,
    /// Words and code in one.
    pub link: String,
    /// The group's four words.
    pub words: String,
    /// With which role.
    pub role: String,
    /// How many may join by it.
    pub uses: u32,
    /// Until when it admits, in milliseconds since 1970.
    pub expires: u64,
}

/// The invites of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invites {
    /// One entry for each, those that were closed among them.
    pub invites: Vec<Opened>,
}

/// One invite that was made; its code is known to who made it and to whom it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    /// Its public key; the first digits name it.
    pub key: String,
    /// Who made it: four words if they are known, else the first digits of the id.
    pub opener: String,
    /// The name of who made it; empty if there is none.
    pub opener_name: String,
    /// With which role it lets in.
    pub role: String,
    /// How many it lets in.
    pub uses: u32,
    /// How many it let in, as far as this node knows.
    pub used: u32,
    /// Until when, in milliseconds since 1970.
    pub expires: u64,
    /// Whether it would still admit somebody.
    pub open: bool,
}

/// The answer when an invite was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// Which, as it was asked.
    pub key: String,
    /// Always true.
    pub closed: bool,
}

impl From<InviteView> for Opened {
    fn from(invite: InviteView) -> Opened {
        Opened {
            key: invite.key.to_string(),
            opener: text::identity(&invite.opener),
            opener_name: invite.opener.name,
            role: text::role(invite.role).into(),
            uses: invite.uses,
            used: invite.used,
            expires: invite.expires.0,
            open: invite.open,
        }
    }
}

/// `GET /api/v1/groups/{words}/invites`
pub async fn list(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Invites>, Problem> {
    let command = Command::Member(text::words(&words)?, MemberCommand::Invites);
    let Reply::Invites(invites) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Invites { invites: invites.into_iter().map(Opened::from).collect() }))
}

/// `DELETE /api/v1/groups/{words}/invites/{key}`: closes it.
pub async fn close(
    State(api): State<Api>,
    Path((words, key)): Path<(String, String)>,
) -> Result<Json<Closed>, Problem> {
    let invite = text::digits(&key, "an invite", "`fourword invite list` shows them")?;
    let command = Command::Member(text::words(&words)?, MemberCommand::CloseInvite { invite });
    api.act(command).await?;
    Ok(Json(Closed { key, closed: true }))
}

/// `POST /api/v1/groups/{words}/invites`
pub async fn create(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<NewInvite>,
) -> Result<Json<Invite>, Problem> {
    let entity = text::words(&words)?;
    let role = text::read_role(new.role.as_deref().unwrap_or("member"))?;
    let uses = new.uses.unwrap_or(1);
    if !(1..=limits::INVITE_USES_MAX).contains(&uses) {
        return Err(Problem::usage(format!("an invite admits 1 to {}", limits::INVITE_USES_MAX)));
    }
    let lasts = new.expires_in_ms.unwrap_or(EXPIRES_IN_MS);
    if !(1..=EXPIRES_IN_MS_MAX).contains(&lasts) {
        return Err(Problem::usage("an invite admits for 1 millisecond to ten years"));
    }
    let expires = clock::wall_ms().saturating_add(lasts);
    let addresses = api.addresses();
    let command = Command::Invite { entity, role, uses, expires: WallTime(expires), addresses };
    let Reply::Invite(code) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Invite {
        link: code.link(&entity),
        code: code.to_string(),
        words: entity.to_string(),
        role: text::role(role).into(),
        uses,
        expires,
    }))
}
