//! Invites, and joining by them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, JoinBy, JoinState, Reply};
use fourword_protocol::limits;
use fourword_protocol::time::WallTime;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::{Code, Problem};
use super::groups::Group;
use super::node::check_address;
use super::{Api, text};

/// How long an invite admits if nobody says: a week.
const EXPIRES_IN_MS: u64 = 7 * 24 * 3600 * 1000;

/// The longest an invite may admit: ten years.
const EXPIRES_IN_MS_MAX: u64 = 10 * 366 * 24 * 3600 * 1000;

/// Seconds a join is waited for if nobody says, and at most.
const WAIT_SECONDS: u32 = 30;
const WAIT_SECONDS_MAX: u32 = 3600;

/// Addresses to dial besides those of the code.
const PEERS_MAX: usize = 16;

/// An invite to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// A group to join.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewJoin {
    /// The group's four words; may be left out if `code` is a link.
    pub words: Option<String>,
    /// The code of an invite, or its link.
    pub code: Option<String>,
    /// Multiaddrs to dial besides those in the code.
    pub peers: Vec<String>,
    /// How many seconds to wait for being admitted; 30 if left out.
    pub wait: Option<u32>,
}

/// How a join stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The group's four words.
    pub words: String,
    /// `joined`; `pending` when somebody was reached; `unreachable`. The node goes on trying.
    pub state: Standing,
    /// The group as far as it is known.
    pub group: Group,
}

/// The states of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// This device is in and holds the keys.
    Joined,
    /// Somebody was reached but has not admitted yet.
    Pending,
    /// Nobody could be reached.
    Unreachable,
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
    let expires = now_ms().saturating_add(lasts);
    let addresses = api.node.addresses().into_iter().filter(|a| a.len() <= limits::ADDRESS_BYTES_MAX);
    let addresses = addresses.take(limits::INVITE_ADDRESSES_MAX).collect();
    let command = Command::Invite { entity, role, uses, expires: WallTime(expires), addresses };
    let Reply::Invite(code) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Invite {
        link: text::link(&entity, &code),
        code: code.to_string(),
        words: entity.to_string(),
        role: text::role(role).into(),
        uses,
        expires,
    }))
}

/// `POST /api/v1/joins`
pub async fn join(State(api): State<Api>, Body(new): Body<NewJoin>) -> Result<Json<Join>, Problem> {
    let (words, code) = named(&new)?;
    let words = text::words(words)?;
    let code = text::code(code)?;
    if new.peers.len() > PEERS_MAX {
        return Err(Problem::usage(format!("more than {PEERS_MAX} peers")));
    }
    new.peers.iter().try_for_each(|peer| check_address(peer))?;
    let wait = new.wait.unwrap_or(WAIT_SECONDS);
    if wait > WAIT_SECONDS_MAX {
        return Err(Problem::usage(format!("a join is waited for at most {WAIT_SECONDS_MAX} seconds")));
    }
    let command = Command::Join { words, by: JoinBy::Code(code), peers: new.peers };
    let wait = Duration::from_secs(wait.into());
    let Reply::Joined(entity, state) = api.ask_for(command, wait).await? else {
        return Err(Problem::mismatch());
    };
    let state = match state {
        JoinState::Joined => Standing::Joined,
        JoinState::Pending | JoinState::Requested => Standing::Pending,
        JoinState::Unreachable => Standing::Unreachable,
    };
    Ok(Json(Join { words: words.to_string(), state, group: entity.into() }))
}

/// Finds words and code, which may come apart, or both in a link, given as either.
fn named(new: &NewJoin) -> Result<(&str, &str), Problem> {
    let hint = "ask a member for one: `fourword invite WORDS`";
    let missing = || Problem::new(Code::Usage, "a join takes the code or the link of an invite", hint);
    let words = new.words.as_deref();
    match new.code.as_deref().or(words).and_then(text::split_link) {
        Some((in_link, code)) => {
            let given = words.filter(|words| text::split_link(words).is_none()).unwrap_or(in_link);
            if text::words(given)? != text::words(in_link)? {
                return Err(Problem::usage(format!("the link is to {in_link}, not to {given}")));
            }
            Ok((in_link, code))
        }
        None => {
            let words = words.ok_or_else(missing)?;
            text::words(words)?;
            Ok((words, new.code.as_deref().ok_or_else(missing)?))
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "ocean-forest-moon-star";

    fn join(words: Option<&str>, code: Option<&str>) -> NewJoin {
        NewJoin { words: words.map(Into::into), code: code.map(Into::into), ..NewJoin::default() }
    }

    #[test]
    fn words_and_code_may_come_apart_or_in_a_link() {
        let link = format!("{}{WORDS}#abc", text::LINK);
        for new in [
            join(Some(WORDS), Some("abc")),
            join(Some(WORDS), Some(&link)),
            join(Some(&link), None),
            join(None, Some(&link)),
        ] {
            assert_eq!(named(&new), Ok((WORDS, "abc")));
        }
    }

    #[test]
    fn other_words_than_the_link_says_are_refused() {
        let link = format!("{}{WORDS}#abc", text::LINK);
        let problem = named(&join(Some("river-wind-wave-fire"), Some(&link))).unwrap_err();
        assert!(problem.detail.contains(WORDS), "{problem:?}");
    }

    #[test]
    fn words_alone_are_not_enough() {
        assert_eq!(named(&join(Some(WORDS), None)).unwrap_err().code, Code::Usage);
        assert!(named(&join(None, Some("abc"))).is_err());
    }
}
