//! What is answered to who takes something back, or does it again.

use crate::schema::thing::ThingId;
use crate::schema::things::Stays;

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevertedView {
    /// The things that changed, each by the name it has now.
    pub things: Vec<ThingId>,
    /// What stays as it is.
    pub left: Vec<LeftView>,
    /// How many steps can be taken back after this one.
    pub undo: usize,
    /// How many can be done again.
    pub redo: usize,
}

/// Something that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftView {
    /// Which thing; `None` for the document itself.
    pub thing: Option<ThingId>,
    /// Which field of it; empty for the thing as a whole.
    pub field: String,
    /// Why.
    pub why: Stays,
}
