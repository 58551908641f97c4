//! Who is where at the moment: cursors and selections on the canvas, and who writes in the chat.
//!
//! It is shown to members who are connected, for ten seconds or until the next, and never stored.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, Presence, PresentView, Reply, Scene};
use fourword_protocol::limits::PRESENCE_SELECTED_MAX;
use fourword_protocol::schema::field::Number;
use fourword_protocol::schema::thing::ThingId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::error::{Code, Problem};
use super::text;
use super::things::{Finished, Person};

/// Who of those who are connected does what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Present {
    /// One for each device that is seen at a scene.
    pub present: Vec<Seen>,
}

/// Somebody who is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SeenThere")]
pub struct Seen {
    /// Who.
    pub person: Person,
    /// By which of its devices.
    pub device: String,
    /// What it does.
    pub doing: Doing,
}

/// What somebody does at the moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Doing {
    /// It looks at the canvas.
    Pointing(Pointing),
    /// It writes a message.
    Typing,
}

/// Where somebody is on a canvas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pointing {
    /// Where its cursor is, across and down; null while it is not over the canvas.
    pub at: Option<[f64; 2]>,
    /// The ids of the elements that it has selected.
    #[serde(default)]
    pub selected: Vec<String>,
}

impl From<PresentView> for Seen {
    fn from(view: PresentView) -> Seen {
        let device = text::peer_id(&view.device).unwrap_or_else(|| view.device.to_string());
        Seen { person: view.person.into(), device, doing: view.presence.into() }
    }
}

impl From<Presence> for Doing {
    fn from(presence: Presence) -> Doing {
        match presence {
            Presence::Typing => Doing::Typing,
            Presence::Pointing { at, selected } => Doing::Pointing(Pointing {
                at: at.map(|(across, down)| [across.get(), down.get()]),
                selected: selected.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

impl TryFrom<Doing> for Presence {
    type Error = Problem;

    fn try_from(doing: Doing) -> Result<Presence, Problem> {
        let Doing::Pointing(Pointing { at, selected }) = doing else { return Ok(Presence::Typing) };
        if selected.len() > PRESENCE_SELECTED_MAX {
            let detail = format!("at most {PRESENCE_SELECTED_MAX} elements are shown as selected");
            return Err(Problem::new(Code::Usage, detail, "show fewer"));
        }
        let number = |number| Number::new(number).ok_or_else(|| Problem::usage("a number must be finite"));
        let at = match at {
            Some([across, down]) => Some((number(across)?, number(down)?)),
            None => None,
        };
        let named = |id: &String| {
            id.parse::<ThingId>().map_err(|_| Problem::usage("elements are selected by their whole ids"))
        };
        Ok(Presence::Pointing { at, selected: selected.iter().map(named).collect::<Result<_, _>>()? })
    }
}

/// `GET /api/v1/groups/{words}/presence`
pub async fn list(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Present>, Problem> {
    let Reply::Present(seen) = api.ask(Command::Present(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Present { present: seen.into_iter().map(Seen::from).collect() }))
}

/// `PUT /api/v1/groups/{words}/presence`: told to others at most ten times a second, the newest wins.
pub async fn show(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(doing): Body<Doing>,
) -> Result<Json<Finished>, Problem> {
    api.act(Command::Point(text::words(&words)?, doing.try_into()?)).await?;
    Ok(Json(Finished::YES))
}

/// `DELETE /api/v1/groups/{words}/presence/{scene}`
pub async fn leave(
    State(api): State<Api>,
    Path((words, scene)): Path<(String, String)>,
) -> Result<Json<Finished>, Problem> {
    let scene = match scene.as_str() {
        "canvas" => Scene::Canvas,
        "chat" => Scene::Chat,
        other => {
            let detail = format!("nobody is seen at \"{other}\"");
            return Err(Problem::new(Code::NotFound, detail, "give canvas or chat"));
        }
    };
    api.act(Command::Unpoint(text::words(&words)?, scene)).await?;
    Ok(Json(Finished::YES))
}
