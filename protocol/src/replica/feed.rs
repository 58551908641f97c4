//! What changed in a document since somebody copied it, as far back as there is room for.
//!
//! `live` notes every change of a thing here, and `copying` reads it. Invariant: whoever has
//! everything up to a revision and is given what changed since has everything, or is refused.

use std::collections::BTreeMap;

use crate::command::Revision;
use crate::limits::FEED_THINGS_MAX;
use crate::schema::thing::ThingId;

/// The latest change of each thing that changed lately.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    reading: u64,
    /// Changes up to here are forgotten.
    since: u64,
    last: u64,
    changes: BTreeMap<u64, ThingId>,
    latest: BTreeMap<ThingId, u64>,
}

impl Feed {
    /// The feed of a document that was just read from disk, for the `reading`th time.
    pub(crate) fn of_reading(reading: u64) -> Feed {
        Feed { reading, ..Feed::default() }
    }

    /// The feed of a document that was read from disk again and is what it was at this revision.
    pub(crate) fn going_on(at: Revision) -> Feed {
        Feed { reading: at.reading, since: at.change, last: at.change, ..Feed::default() }
    }

    /// Notes that things changed.
    pub(crate) fn note(&mut self, things: impl IntoIterator<Item = ThingId>) {
        for thing in things {
            self.last = self.last.saturating_add(1);
            if let Some(before) = self.latest.insert(thing, self.last) {
                self.changes.remove(&before);
            }
            self.changes.insert(self.last, thing);
            if self.changes.len() > FEED_THINGS_MAX
                && let Some((change, oldest)) = self.changes.pop_first()
            {
                self.latest.remove(&oldest);
                self.since = change;
            }
        }
    }

    /// What the document is at.
    pub(crate) fn revision(&self) -> Revision {
        Revision { reading: self.reading, change: self.last }
    }

    /// Things that changed after a revision, each with the revision that includes it, in order;
    /// `None` if that is not known any more.
    pub(crate) fn after(&self, known: Revision) -> Option<impl Iterator<Item = (Revision, ThingId)>> {
        let reading = self.reading;
        let is_known = known.reading == reading && (self.since..=self.last).contains(&known.change);
        let changes = is_known.then(|| self.changes.range(known.change.saturating_add(1)..))?;
        Some(changes.map(move |(change, thing)| (Revision { reading, change: *change }, *thing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(n: usize) -> ThingId {
        ThingId { owner: [1; 16], random: (n as u64).to_be_bytes() }
    }

    fn after(feed: &Feed, known: Revision) -> Option<Vec<ThingId>> {
        Some(feed.after(known)?.map(|(_, thing)| thing).collect())
    }

    #[test]
    fn what_changed_is_told_once_and_in_the_order_of_its_last_change() {
        let mut feed = Feed::of_reading(3);
        let start = feed.revision();
        feed.note([thing(1), thing(2)]);
        let between = feed.revision();
        feed.note([thing(1)]);
        assert_eq!(after(&feed, start), Some(vec![thing(2), thing(1)]));
        assert_eq!(after(&feed, between), Some(vec![thing(1)]));
        assert_eq!(after(&feed, feed.revision()), Some(Vec::new()));
    }

    #[test]
    fn a_revision_of_another_reading_or_one_yet_to_come_is_not_known() {
        let mut feed = Feed::of_reading(3);
        feed.note([thing(1)]);
        for known in [Revision { reading: 2, change: 0 }, Revision { reading: 3, change: 2 }] {
            assert_eq!(after(&feed, known), None);
        }
    }

    #[test]
    fn who_lags_behind_more_changes_than_are_kept_is_refused() {
        let mut feed = Feed::of_reading(1);
        let start = feed.revision();
        feed.note((0..FEED_THINGS_MAX).map(thing));
        assert_eq!(after(&feed, start).map(|changed| changed.len()), Some(FEED_THINGS_MAX));
        feed.note([thing(FEED_THINGS_MAX)]);
        assert_eq!(after(&feed, start), None);
        let next = Revision { reading: 1, change: 1 };
        assert_eq!(after(&feed, next).map(|changed| changed.len()), Some(FEED_THINGS_MAX));
    }
}
