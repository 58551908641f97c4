//! Getting into a group: by an invite, or by the words alone, which asks an admin.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, JoinBy, JoinState, JoinView, Reply};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits;
use fourword_protocol::words::FourWords;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::error::{Code, Problem};
use super::groups::Group;
use super::node::check_peers;
use super::{Api, text};

/// Seconds a join is waited for if nobody says, and at most.
const WAIT_SECONDS: u32 = 30;
const WAIT_SECONDS_MAX: u32 = 3600;

/// A group to join.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewJoin {
    /// The group's four words; may be left out if `code` is a link.
    pub words: Option<String>,
    /// The code of an invite, or its link. Without it an admin is asked.
    pub code: Option<String>,
    /// The group's full id, to pick one of two groups of the same words. Not beside a code.
    pub id: Option<String>,
    /// What the admin who decides is told. Not beside a code.
    pub note: Option<String>,
    /// Multiaddrs to dial besides those in the code.
    pub peers: Vec<String>,
    /// How many seconds to wait for being admitted; 30 if left out.
    pub wait: Option<u32>,
}

/// How a join stands that was just asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Join {
    /// The group's four words.
    pub words: String,
    /// How it stands. Unless `joined`, the node goes on trying.
    pub state: Standing,
    /// The group as far as it is known.
    pub group: Group,
}

/// All joins under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Joins {
    /// One entry for each.
    pub joins: Vec<Underway>,
}

/// One join under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Underway {
    /// The words it began with.
    pub words: String,
    /// The group's full id, once known.
    pub id: Option<String>,
    /// How it stands.
    pub state: Standing,
    /// What stands in the way, for people; may be empty.
    pub reason: String,
}

/// The answer when a join was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// The group's four words.
    pub words: String,
    /// Always true.
    pub cancelled: bool,
}

/// The states of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JoinStanding")]
pub enum Standing {
    /// This device is in and holds the keys.
    Joined,
    /// Somebody was reached but has not admitted yet.
    Pending,
    /// Members have the request; an admin decides.
    Requested,
    /// Nobody could be reached.
    Unreachable,
}

impl From<JoinState> for Standing {
    fn from(state: JoinState) -> Standing {
        match state {
            JoinState::Joined => Standing::Joined,
            JoinState::Pending => Standing::Pending,
            JoinState::Requested => Standing::Requested,
            JoinState::Unreachable => Standing::Unreachable,
        }
    }
}

impl From<JoinView> for Underway {
    fn from(join: JoinView) -> Underway {
        Underway {
            words: join.words.to_string(),
            id: join.id.map(|id| id.to_string()),
            state: join.state.into(),
            reason: join.reason,
        }
    }
}

/// `POST /api/v1/joins`
pub async fn create(State(api): State<Api>, Body(new): Body<NewJoin>) -> Result<Json<Join>, Problem> {
    let (words, by) = read(&new)?;
    check_peers(&new.peers)?;
    let wait = wait(new.wait)?;
    let Reply::Joined(entity, state) =
        api.ask_for(Command::Join { words, by, peers: new.peers }, wait).await?
    else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Join { words: words.to_string(), state: state.into(), group: entity.into() }))
}

/// `GET /api/v1/joins`
pub async fn list(State(api): State<Api>) -> Result<Json<Joins>, Problem> {
    let Reply::Joins(joins) = api.ask(Command::Joins).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Joins { joins: joins.into_iter().map(Underway::from).collect() }))
}

/// `DELETE /api/v1/joins/{words}`: gives it up.
pub async fn cancel(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Cancelled>, Problem> {
    let words = text::words(&words)?;
    api.act(Command::CancelJoin(words)).await?;
    Ok(Json(Cancelled { words: words.to_string(), cancelled: true }))
}

/// How long to wait for an answer that depends on others.
pub(super) fn wait(seconds: Option<u32>) -> Result<Duration, Problem> {
    let seconds = seconds.unwrap_or(WAIT_SECONDS);
    if seconds > WAIT_SECONDS_MAX {
        return Err(Problem::usage(format!("at most {WAIT_SECONDS_MAX} seconds are waited")));
    }
    Ok(Duration::from_secs(seconds.into()))
}

fn read(new: &NewJoin) -> Result<(FourWords, JoinBy), Problem> {
    let (words, code) = named(new)?;
    let words = text::words(words)?;
    if let Some(code) = code {
        if new.id.is_some() || new.note.is_some() {
            let hint = "leave them out: who holds an invite is let in without asking";
            return Err(Problem::new(Code::Usage, "an id or a note goes with words alone", hint));
        }
        return Ok((words, JoinBy::Code(text::code(code)?)));
    }
    let id = new.id.as_deref().map(entity).transpose()?;
    let note = new.note.clone().unwrap_or_default();
    if note.len() > limits::NOTE_BYTES_MAX {
        return Err(Problem::usage(format!("a note has at most {} bytes", limits::NOTE_BYTES_MAX)));
    }
    Ok((words, JoinBy::Words { id, note }))
}

fn entity(id: &str) -> Result<EntityId, Problem> {
    let wrong = |_| Problem::usage("the full id of a group has 64 hexadecimal digits");
    id.to_ascii_lowercase().parse().map_err(wrong)
}

/// Finds words and code, which may come apart, or both in a link, given as either.
fn named(new: &NewJoin) -> Result<(&str, Option<&str>), Problem> {
    let words = new.words.as_deref();
    match new.code.as_deref().or(words).and_then(text::split_link) {
        Some((in_link, code)) => {
            let given = words.filter(|words| text::split_link(words).is_none()).unwrap_or(in_link);
            if text::words(given)? != text::words(in_link)? {
                return Err(Problem::usage(format!("the link is to {in_link}, not to {given}")));
            }
            Ok((in_link, Some(code)))
        }
        None => {
            let given = [words, new.code.as_deref()].into_iter().flatten();
            if given.into_iter().any(text::is_device_link) {
                let hint = "use it with `fourword link`";
                return Err(Problem::new(Code::Usage, "this links a device; it is no invite", hint));
            }
            let missing = "a join takes a group's four words, or the link of an invite";
            Ok((words.ok_or_else(|| Problem::usage(missing))?, new.code.as_deref()))
        }
    }
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
        let link = format!("{}{WORDS}#abc", text::JOIN_LINK);
        for new in [
            join(Some(WORDS), Some("abc")),
            join(Some(WORDS), Some(&link)),
            join(Some(&link), None),
            join(None, Some(&link)),
        ] {
            assert_eq!(named(&new), Ok((WORDS, Some("abc"))));
        }
    }

    #[test]
    fn other_words_than_the_link_says_are_refused() {
        let link = format!("{}{WORDS}#abc", text::JOIN_LINK);
        let problem = named(&join(Some("river-wind-wave-fire"), Some(&link))).unwrap_err();
        assert!(problem.detail.contains(WORDS), "{problem:?}");
    }

    #[test]
    fn words_alone_ask_to_be_let_in() {
        let asked = NewJoin { note: Some("it is me".into()), ..join(Some(WORDS), None) };
        let by = JoinBy::Words { id: None, note: "it is me".into() };
        assert_eq!(read(&asked), Ok((WORDS.parse().unwrap(), by)));
        let picked = NewJoin { id: Some("AB".repeat(32)), ..join(Some(WORDS), None) };
        let by = JoinBy::Words { id: Some(EntityId([0xab; 32])), note: String::new() };
        assert_eq!(read(&picked), Ok((WORDS.parse().unwrap(), by)));
    }

    #[test]
    fn what_names_no_group_is_refused() {
        let note = |bytes| NewJoin { note: Some("x".repeat(bytes)), ..join(Some(WORDS), None) };
        assert!(read(&note(limits::NOTE_BYTES_MAX)).is_ok());
        let beside_code = NewJoin { note: Some("hi".into()), ..join(Some(WORDS), Some("abc")) };
        let half_id = NewJoin { id: Some("abab".into()), ..join(Some(WORDS), None) };
        for new in [join(None, Some("abc")), note(limits::NOTE_BYTES_MAX + 1), beside_code, half_id] {
            assert_eq!(read(&new).unwrap_err().code, Code::Usage);
        }
        let problem = named(&join(Some(&format!("{}abc", text::DEVICE_LINK)), None)).unwrap_err();
        assert!(problem.hint.contains("fourword link"), "{problem:?}");
    }
}
