//! Who this node's person is: the recovery phrase, and becoming a device of somebody.
//!
//! The phrase is shown while the root key is on this device, and gone with it. Linking and
//! recovering replace a person that is in no group yet.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use fourword_protocol::command::{Command, DeviceCommand, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::{Code, Problem};
use super::joins::wait;
use super::node::check_peers;
use super::operation::Unkept;
use super::progress::Long;
use super::{Api, progress, text};

/// How long recovering may take: hundreds of times what it takes on average.
const RECOVER_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// How long the four words of a person may take to be stretched, and how often it is looked.
const NAME_TIME_MAX: Duration = Duration::from_secs(2);
const NAME_LOOK: Duration = Duration::from_millis(50);

/// Bytes of the longest text taken for a phrase: 24 words of at most 8 letters, and room.
const PHRASE_BYTES_MAX: usize = 1024;

/// The recovery phrase of this person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phrase {
    /// 24 words.
    pub phrase: String,
}

/// The answer when the root key was taken off this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forgotten {
    /// Always true.
    pub forgotten: bool,
}

/// A person to become a device of, by a code that another of its devices made.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// The code, or its link.
    pub code: String,
    /// Multiaddrs to dial besides those in the code.
    #[serde(default)]
    pub peers: Vec<String>,
    /// How many seconds to wait for being linked; 30 if left out.
    #[serde(default)]
    pub wait: Option<u32>,
}

/// The answer when this device was linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Linked {
    /// The four words of the person whose device this is now; null until they are stretched.
    pub identity: Option<String>,
    /// Always true.
    pub linked: bool,
}

/// A person to get back by its phrase.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRecovery {
    /// 24 words.
    pub phrase: String,
    /// Multiaddrs of this person's other devices or of members, to dial.
    #[serde(default)]
    pub peers: Vec<String>,
}

/// The answer when a person was got back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovered {
    /// The person's four words.
    pub identity: String,
    /// Always true.
    pub recovered: bool,
}

/// `GET /api/v1/identity/phrase`
pub async fn phrase(State(api): State<Api>) -> Result<Unkept<Phrase>, Problem> {
    let Reply::Phrase(phrase) = api.ask(Command::Phrase).await? else { return Err(Problem::mismatch()) };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Phrase { phrase })))
}

/// `DELETE /api/v1/identity/phrase`
pub async fn forget(State(api): State<Api>) -> Result<Json<Forgotten>, Problem> {
    api.act(Command::ForgetRoot).await?;
    Ok(Json(Forgotten { forgotten: true }))
}

/// `POST /api/v1/identity/link`
pub async fn link(State(api): State<Api>, Body(new): Body<NewLink>) -> Result<Json<Linked>, Problem> {
    let code = text::link_code(&new.code)?;
    check_peers(&new.peers)?;
    let wait = wait(new.wait)?;
    let command = Command::Device(DeviceCommand::Link { code, peers: new.peers });
    let Reply::Ok = api.ask_for(command, wait).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Linked { identity: new_name(&api).await, linked: true }))
}

/// The four words that this node has from now on. Linked it is in any case: that they take longer
/// to be stretched is no failure.
async fn new_name(api: &Api) -> Option<String> {
    let name = async {
        loop {
            match api.status().await {
                Ok(status) => return Some(status.identity),
                Err(problem) if problem.code == Code::Pending => tokio::time::sleep(NAME_LOOK).await,
                Err(_) => return None,
            }
        }
    };
    tokio::time::timeout(NAME_TIME_MAX, name).await.ok().flatten()
}

/// `POST /api/v1/identity/recover`: takes seconds; reports progress to who accepts JSON Lines.
pub async fn recover(
    State(api): State<Api>,
    headers: HeaderMap,
    Body(new): Body<NewRecovery>,
) -> Result<Long<Recovered>, Problem> {
    if new.phrase.trim().is_empty() || new.phrase.len() > PHRASE_BYTES_MAX {
        return Err(Problem::usage("a recovery phrase has 24 words"));
    }
    check_peers(&new.peers)?;
    let command = Command::Device(DeviceCommand::Recover { phrase: new.phrase, peers: new.peers });
    let read = |reply| match reply {
        Reply::Recovered(words) => Ok(Recovered { identity: words.to_string(), recovered: true }),
        _ => Err(Problem::mismatch()),
    };
    progress::answer(&api, &headers, command, RECOVER_TIME_MAX, read).await
}
