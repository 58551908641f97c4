//! What can be asked about the text of a file.

use crate::update::document::TextEdit;

/// Something about the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextCommand {
    /// Show all of it. Answered by `Reply::Text`.
    Read,
    /// Make these changes, one after the other, all or none of them. Answered once that is durable.
    Edit(Vec<TextEdit>),
}
