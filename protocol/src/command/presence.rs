//! Who is where at the moment: cursors and selections on a canvas, and who is writing in a chat.

use super::PersonView;
use crate::ids::DeviceKey;
use crate::schema::Concern;
use crate::schema::field::Number;
use crate::schema::thing::ThingId;

/// What somebody does at the moment. Shown to members who are connected, and never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It looks at the canvas.
    Pointing {
        /// Where its cursor is, across and down; `None` while it is not over the canvas.
        at: Option<(Number, Number)>,
        /// What it has selected; at most `limits::PRESENCE_SELECTED_MAX`.
        selected: Vec<ThingId>,
    },
    /// It writes a message.
    Typing,
}

/// Where somebody is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scene {
    /// On the canvas.
    Canvas,
    /// In the chat.
    Chat,
}

impl Scene {
    /// What the document is about.
    pub(crate) fn concern(self) -> Concern {
        match self {
            Scene::Canvas => Concern::Canvas,
            Scene::Chat => Concern::Chat,
        }
    }
}

impl Presence {
    /// Where it is seen.
    pub fn scene(&self) -> Scene {
        match self {
            Presence::Pointing { .. } => Scene::Canvas,
            Presence::Typing => Scene::Chat,
        }
    }
}

/// One device that is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentView {
    /// Who.
    pub person: PersonView,
    /// By which of its devices.
    pub device: DeviceKey,
    /// What it does.
    pub presence: Presence,
}
