//! A document that was in memory and rests on disk: when it may, and what stays known of it.
//!
//! Of a series of documents few are in memory at once; `segments` says which. What others ask of one
//! that rests, how it stands and what waits in it, is answered by what is kept here. Invariant: what
//! is kept is true of what is on disk, as long as the state vector is what it was.

use std::collections::BTreeSet;

use super::feed::Feed;
use super::{Beyond, Content, Live, Replica};
use crate::acknowledgement::Acknowledgement;
use crate::command::Revision;
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogId};
use crate::segments::Need;
use crate::stability::{Tombstones, Wanted};
use crate::time::{Duration, Instant, WallTime};
use crate::waiting::Want;

/// How long a document stays in memory that peers read from or write to: between two pages of a
/// stream it must not be read anew.
pub(crate) const REST_AFTER: Duration = Duration::from_secs(5);

/// What is known of a document that rests.
#[derive(Clone, Debug)]
pub(crate) struct Rested {
    /// The state vector that it rests at.
    pub(super) heads: Digest,
    /// What it shows.
    content: Digest,
    /// What a copy of it is at that has everything.
    pub(super) revision: Revision,
    /// What was deleted in it.
    tombstones: Tombstones,
    beyond: Beyond,
    bytes: u64,
    flag_bytes: u64,
}

impl Replica {
    /// Whether it is in memory, or on its way there.
    pub(crate) fn is_in_memory(&self) -> bool {
        !matches!(self.content, Content::Cold)
    }

    /// Whether it cannot rest before somebody else has done something: it is in memory whatever else is.
    pub(crate) fn is_held(&self) -> bool {
        self.unconfirmed.is_some() || self.unaccepted.is_some_and(|count| count > 0)
    }

    /// Whether all of it is on disk, and nothing is being done with it.
    pub(crate) fn may_rest(&self) -> bool {
        let is_still = self.is_sealed() && !self.sealing && self.folding.is_none();
        let is_settled = !self.is_stale() && self.reading.is_none() && self.due.is_none() && !self.is_held();
        self.live().is_some() && is_still && is_settled
    }

    /// Whether it was used lately, or will be.
    pub(crate) fn is_busy(&self, now: Instant) -> bool {
        self.used_at + REST_AFTER > now || self.checkpoints.propose_at.is_some()
    }

    /// Whether what was found of it waits for others, or is about to be looked for.
    pub(crate) fn is_folded_soon(&self) -> bool {
        self.checkpoints.propose_at.is_some() || self.checkpoints.open.is_some()
    }

    /// Whether it is not in memory and is needed there.
    pub(crate) fn is_called(&self) -> bool {
        let is_needed =
            self.due.is_some() || !self.queued.is_empty() || self.waiting.count(Want::Document) > 0;
        !self.is_in_memory() && is_needed
    }

    /// Lets it rest on disk.
    pub(crate) fn rest(&mut self) {
        if let Content::Live(live) = std::mem::replace(&mut self.content, Content::Cold) {
            self.rested = Some(Rested {
                heads: self.heads.digest(),
                content: live.content_digest(),
                revision: live.feed.revision(),
                beyond: live.beyond,
                bytes: live.bytes,
                flag_bytes: live.flag_bytes(),
                tombstones: live.forgetting.tombstones,
            });
            (self.own.begun, self.is_copied) = (false, false);
            self.checkpoints.let_rest();
        }
    }

    /// What is known of it while it rests, and until it was read again.
    pub(crate) fn rested(&self) -> Option<&Rested> {
        let is_there = self.live().is_none() && !self.is_stale();
        self.rested.as_ref().filter(|rested| is_there && rested.heads == self.heads.digest())
    }

    /// What was deleted in it, in memory or at rest.
    pub(crate) fn tombstones(&self) -> Option<&Tombstones> {
        let live = self.live().map(|live| &live.forgetting.tombstones);
        live.or_else(|| self.rested.as_ref().map(|rested| &rested.tombstones))
    }

    /// What lies behind its snapshot, in memory or at rest.
    pub(crate) fn beyond(&self) -> Option<Beyond> {
        self.live().map(|live| live.beyond).or_else(|| self.rested.as_ref().map(|rested| rested.beyond))
    }

    /// Bytes of its content, as [`super::Live::bytes`], in memory or at rest.
    pub(crate) fn content_bytes(&self) -> Option<u64> {
        self.live().map(|live| live.bytes).or_else(|| self.rested.as_ref().map(|rested| rested.bytes))
    }

    /// Bytes of the flags in it, as [`super::Live::flag_bytes`], in memory or at rest.
    pub(crate) fn flag_bytes(&self) -> Option<u64> {
        let rested = || self.rested.as_ref().map(|rested| rested.flag_bytes);
        self.live().map(Live::flag_bytes).or_else(rested)
    }

    /// Moves the frontier on, in memory or at rest. What rests is called for where that frees anything.
    ///
    /// `devices` are this one and those of all members.
    pub(crate) fn look_for_stable(
        &mut self,
        devices: (&DeviceKey, &BTreeSet<DeviceKey>),
        lapse: Duration,
        now: WallTime,
    ) {
        let tombstones = match (&self.content, &self.rested) {
            (Content::Live(live), _) => &live.forgetting.tombstones,
            (_, Some(rested)) => &rested.tombstones,
            (_, None) => return,
        };
        let goal = self.checkpoints.goal();
        self.stability.keep_members(devices.1);
        self.stability.look(devices, (tombstones, goal), lapse, now);
        let frontier = self.stability.frontier();
        let reaches = |(log, upto): (&LogId, &u64)| frontier.get(log).is_some_and(|held| held >= upto);
        let is_stable = goal.is_some_and(|goal| goal.iter().all(reaches));
        if !self.is_in_memory() && (is_stable || !tombstones.stable(frontier).is_empty()) {
            self.due = self.due.max(Some(Need::Peers));
        }
    }

    /// Makes an acknowledgement of ours, in memory or at rest: see [`crate::stability::Stability::make`].
    pub(crate) fn acknowledge(
        &mut self,
        of: (EntityId, DocumentKey),
        device: &DeviceSecret,
        wanted: Wanted,
        now: Instant,
    ) -> Result<Option<Acknowledgement>, Instant> {
        let tombstones = match (&self.content, &self.rested) {
            (Content::Live(live), _) => &live.forgetting.tombstones,
            (_, Some(rested)) => &rested.tombstones,
            (_, None) => return Ok(None),
        };
        self.stability.make(of, device, (&self.heads, &self.waiting), (tombstones, wanted), now)
    }

    /// Whether it is so many times as large as its concern takes, or as a document of a series is to become.
    pub(crate) fn has_grown_to(&self, segment_bytes: u64, times: u64) -> bool {
        let segment_bytes = if self.concern.is_series() { segment_bytes } else { u64::MAX };
        let bytes_max = self.concern.bytes_max().map(|max| max.min(segment_bytes));
        bytes_max.zip(self.content_bytes()).is_some_and(|(max, bytes)| bytes >= max.saturating_mul(times))
    }

    /// The feed of the content that was read just now.
    pub(super) fn feed(&mut self) -> Feed {
        let rested = self.rested.take().filter(|rested| rested.heads == self.heads.digest());
        rested.map_or(Feed::of_reading(self.readings), |rested| Feed::going_on(rested.revision))
    }
}

impl Rested {
    /// What it shows.
    pub(crate) fn content(&self) -> Digest {
        self.content
    }

    /// What a copy of it is at that has everything.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }
}
