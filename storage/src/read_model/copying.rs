//! How far the copy of one document is: says what to ask the machine for, and takes its answer.
//!
//! The node's `reading` carries questions and answers to and fro. A whole copy goes page by page
//! through one reading of the document; what changed meanwhile is asked for at its end, since the
//! revision at which it began.

use fourword_protocol::command::{Changes, Copied, DocumentCopy, Place, Revision, StandView};
use fourword_protocol::ids::EntityId;
use fourword_protocol::schema::Concern;

use super::ReadModel;
use crate::StoreError;

/// A document: whose, what about, and which one of its series, from 1.
pub type Document = (EntityId, Concern, u32);

/// What is known in one run of the node of the copy of one document. Begins as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How often the copy had been emptied when it knew this.
    emptied: u64,
    revision: Option<Revision>,
    whole: Option<Whole>,
    state: State,
}

/// A whole copy under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whole {
    reading: u64,
    /// What the document was at when it began.
    since: Option<Revision>,
    reached: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is more to ask for.
    #[default]
    Lacking,
    /// It had everything, of which something was not settled.
    Unsettled,
    /// It had everything.
    Settled,
}

impl Known {
    /// Whether the copy had everything when it was last asked for.
    pub fn has_all(&self) -> bool {
        self.state != State::Lacking
    }

    /// Whether what it has must be asked for again, even if nothing more happens.
    pub fn is_unsettled(&self) -> bool {
        self.state == State::Unsettled
    }
}

impl ReadModel {
    /// What to ask the machine with. Of a copy that was emptied since, nothing is known.
    pub fn lacking(&self, document: Document, known: &mut Known) -> Result<Copied, StoreError> {
        if known.emptied != self.emptied {
            *known = Known { emptied: self.emptied, ..Known::default() };
        }
        let kept = self.copied(document)?;
        Ok(match known.whole {
            None => Copied { revision: known.revision, ..kept },
            Some(Whole { reading, reached, .. }) => {
                Copied { digest: None, whole: Some((reading, Some(reached))), ..kept }
            }
        })
    }

    /// Whether the copy has all of a document as that stands.
    pub fn has(&self, entity: EntityId, stands: &StandView, known: &Known) -> Result<bool, StoreError> {
        let in_this_run = known.emptied == self.emptied && known.has_all() && stands.revision.is_some();
        if in_this_run && known.revision == stands.revision {
            return Ok(true);
        }
        let document = (entity, stands.concern, stands.segment);
        Ok(stands.digest.is_some() && self.copied(document)?.digest == stands.digest)
    }

    /// Takes what the machine answered, and gives what is known from then on.
    pub fn take(
        &mut self,
        document: Document,
        known: Known,
        copy: &DocumentCopy,
    ) -> Result<Known, StoreError> {
        let emptied = self.emptied;
        if known.emptied != emptied {
            // It was asked for before the copy was emptied, which lacks more now.
            return Ok(Known { emptied, ..Known::default() });
        }
        let (next, begins) = match &copy.changes {
            Changes::Some { more, .. } => {
                let state = match copy.digest {
                    _ if *more => State::Lacking,
                    Some(_) => State::Settled,
                    None => State::Unsettled,
                };
                (Known { emptied, revision: copy.revision, whole: None, state }, false)
            }
            Changes::Whole { reading, next, .. } => {
                let begun = known.whole.filter(|whole| whole.reading == *reading);
                let since = begun.map_or(copy.revision, |whole| whole.since);
                let whole = next.map(|reached| Whole { reading: *reading, since, reached });
                let revision = since.filter(|_| next.is_none());
                (Known { emptied, revision, whole, state: State::Lacking }, begun.is_none())
            }
        };
        if self.is_news(document, copy)? {
            self.write(document, copy, begins)?;
        }
        Ok(next)
    }

    /// Whether anything that is kept changes.
    fn is_news(&self, document: Document, copy: &DocumentCopy) -> Result<bool, StoreError> {
        let is_empty = matches!(&copy.changes, Changes::Some { changed, gone, .. } if changed.is_empty() && gone.is_empty());
        Ok(!is_empty || copy.people.is_some() || self.copied(document)?.digest != copy.digest)
    }
}
