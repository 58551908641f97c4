//! One document at one node: its logs' heads, its content, what waits, and our own log.
//!
//! `entity` hands it envelopes whose author, signature and key it has looked up. `live` judges
//! them, `branches` says which branch of a forked log counts, `loading` reads the document from
//! disk, `own` writes our log, and `mine` keeps what this device wrote in vain. Invariant: the
//! heads name exactly the envelopes that were applied or rejected here, in the order of their logs.

mod base;
mod branches;
mod feed;
mod folding;
mod heads;
mod joined;
mod live;
mod loading;
mod mine;
mod own;
mod pruning;
mod resting;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::Signed;
use crate::envelope::Envelope;
use crate::history::Past;
use crate::ids::{Digest, DocumentKey, EntityId, EnvelopeHash, LogHead, LogId, StatementId};
use crate::record::LoadId;
use crate::schema::Concern;
use crate::segments::Need;
use crate::stability::{Checkpoints, Late, Stability};
use crate::time::Instant;
use crate::update::anew::Moved;
use crate::update::glean::{Earlier, glean};
use crate::waiting::{Waiting, Want};
use crate::wants::Wants;

pub(crate) use base::{Base, Vouched};
pub(crate) use branches::Stands;
#[cfg(test)]
use folding::Folded;
pub(crate) use folding::Folding;
pub(crate) use heads::Heads;
pub(crate) use live::{Author, Beyond, Judged, Live, Void};
pub(crate) use loading::Stored;
pub(crate) use mine::Lost;
pub(crate) use own::{Answers, Edits, Queued};
pub(crate) use resting::{REST_AFTER, Rested};

use branches::Choices;
use live::{ClientOf, Rules};
use loading::Loading;
use own::{Own, Pending};

/// One document at one node.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The entity it belongs to: the one whose roster counts, or a child of it.
    pub(crate) of: EntityId,
    /// Its opaque name.
    pub(crate) key: DocumentKey,
    /// What it holds.
    pub(crate) concern: Concern,
    /// Which one of its series.
    pub(crate) segment: u32,
    /// The first of its series.
    pub(crate) first: DocumentKey,
    /// It was seen to be full once: new things are made in a later one.
    pub(crate) is_full: bool,
    /// The state vector.
    pub(crate) heads: Heads,
    /// Something of it is on disk here, or on its way there, whether it counts or not.
    pub(crate) is_begun: bool,
    /// Who holds how much of it for good, and what may be forgotten by that.
    pub(crate) stability: Stability,
    /// What came too early.
    pub(crate) waiting: Waiting,
    /// What others showed to exist and has not come.
    pub(crate) wants: Wants,
    /// The content, if it is in memory.
    pub(crate) content: Content,
    /// What is known of the content that was in memory and now rests on disk.
    pub(crate) rested: Option<Rested>,
    /// What it is needed in memory for, where it is not.
    pub(crate) due: Option<Need>,
    /// When it was last read from or written to for others.
    pub(crate) used_at: Instant,
    /// When it was read into memory last.
    pub(crate) read_at: Instant,
    /// A copy of it was given a page then, and more are to follow.
    pub(crate) is_copied: bool,
    /// How often the content was read from disk in this run.
    pub(crate) readings: u64,
    /// The page of the content that is being read.
    pub(crate) reading: Option<LoadId>,
    /// The snapshot on disk, if there is one.
    pub(crate) base: Option<Base>,
    /// The content as far as a vector, while that is read beside the rest.
    pub(crate) folding: Option<Box<Folding>>,
    /// The number of the last snapshot that was written, also if it cannot be read.
    pub(crate) snapshots: u64,
    /// Whether it is to be folded, and to what.
    pub(crate) checkpoints: Checkpoints,
    /// A snapshot that a peer gave and that too few vouch for: shown, and nothing is built on it.
    pub(crate) unconfirmed: Option<Box<Unconfirmed>>,
    own: Own,
    pending: Vec<Pending>,
    /// Writes that came while the content was not in memory.
    queued: Vec<Queued>,
    sealing: bool,
    doubts: u32,
    /// Envelopes in which the CRDT library failed: their content is void here for good.
    quarantined: BTreeSet<EnvelopeHash>,
    client_of: ClientOf,
    /// By which branches forked logs are read.
    choices: BTreeMap<LogId, Choices>,
    /// Client ids that several logs have, and the log that may.
    owners: BTreeMap<u64, LogId>,
    /// Where another branch counts from now on; the content still shows the one before.
    left: BTreeMap<LogId, u64>,
    /// What is in memory must be read anew.
    stale: bool,
    /// What people saw of it before it was to be read anew.
    seen: Option<Digest>,
    /// Envelopes of a version came that this software cannot read.
    pub(crate) meets_newer: bool,
    /// Envelopes of this device that do not count, when the content was last read; `None` before.
    pub(crate) unaccepted: Option<u64>,
    /// Our envelopes on branches that lost of which everything was written anew, by the
    /// beginnings of their hashes.
    pub(crate) rewritten: Vec<[u8; 8]>,
    /// Those of which the rest is on its way to the disk.
    rewriting: Vec<[u8; 8]>,
    /// Where in its text lies now what was written anew.
    moved: Moved,
    /// What this person made that was shown here and is not in the snapshot that took the place of that.
    missed: Vec<Late>,
}

/// A snapshot that too few vouch for.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    /// As its parts came.
    pub(crate) snapshot: Vouched,
    pub(crate) signed: Signed,
    /// What it shows.
    pub(crate) live: Live,
    /// What is to be kept from before it, once that was read.
    pub(crate) past: Option<Past>,
}

/// Whether the content is in memory.
#[derive(Debug)]
pub(crate) enum Content {
    /// On disk only.
    Cold,
    /// Being read from disk.
    Loading(Box<Loading>),
    /// In memory.
    Live(Box<Live>),
}

impl Replica {
    /// A document of which nothing is known yet.
    pub(crate) fn new(of: EntityId, key: DocumentKey, concern: Concern, segment: u32) -> Replica {
        Replica {
            of,
            key,
            concern,
            segment,
            first: key,
            is_full: false,
            heads: Heads::default(),
            is_begun: false,
            stability: Stability::default(),
            waiting: Waiting::default(),
            wants: Wants::default(),
            content: Content::Cold,
            rested: None,
            due: None,
            used_at: Instant::default(),
            read_at: Instant::default(),
            is_copied: false,
            readings: 0,
            reading: None,
            base: None,
            folding: None,
            snapshots: 0,
            checkpoints: Checkpoints::default(),
            unconfirmed: None,
            own: Own::default(),
            pending: Vec::new(),
            queued: Vec::new(),
            sealing: false,
            doubts: 0,
            quarantined: BTreeSet::new(),
            client_of: live::client,
            choices: BTreeMap::new(),
            owners: BTreeMap::new(),
            left: BTreeMap::new(),
            stale: false,
            seen: None,
            meets_newer: false,
            unaccepted: None,
            rewritten: Vec::new(),
            rewriting: Vec::new(),
            moved: Moved::default(),
            missed: Vec::new(),
        }
    }

    /// Whether there is nothing to read or listen to: nobody wrote in it, as far as is known here.
    pub(crate) fn is_blank(&self) -> bool {
        let is_still = self.waiting.is_empty() && self.is_sealed();
        !self.opens_at_once() && !self.is_begun && is_still
    }

    /// Whether it is read and listened to from the start: what is not a later segment, of some concerns.
    pub(crate) fn opens_at_once(&self) -> bool {
        self.segment == 1 && self.concern.opens_at_once()
    }

    /// What [`Live::content_digest`] gives of it while it holds nothing.
    pub(crate) fn digest_of_nothing(&self) -> Digest {
        Live::new(self.key, &self.concern).content_digest()
    }

    /// Whether peers are told how it stands; of others they know that it holds nothing, or else that it is
    /// not open.
    pub(crate) fn is_told(&self) -> bool {
        self.opens_at_once() || self.concern.opens_by_name() || !self.heads.is_empty()
    }

    /// The document, if it is in memory.
    pub(crate) fn live(&self) -> Option<&Live> {
        match &self.content {
            Content::Live(live) => Some(live),
            Content::Cold | Content::Loading(_) => None,
        }
    }

    /// What a person is shown: where nothing else came yet, also what too few vouch for.
    pub(crate) fn shown(&self) -> Option<&Live> {
        let unconfirmed = self.unconfirmed.as_ref().filter(|_| self.heads.is_empty());
        unconfirmed.map(|unconfirmed| &unconfirmed.live).or_else(|| self.live())
    }

    /// Where the log stands here; the head of a log that is not known is all zero.
    pub(crate) fn head(&self, log: &LogId) -> LogHead {
        self.heads.get(log).copied().unwrap_or(LogHead { sequence: 0, hash: EnvelopeHash([0; 32]) })
    }

    /// The roster heads that the last envelope of a log names; none before the first.
    pub(crate) fn heads_before(&self, log: &LogId) -> &[StatementId] {
        let live = match &self.content {
            Content::Cold => return &[],
            Content::Loading(loading) => &loading.live,
            Content::Live(live) => live,
        };
        live.known.get(log).map_or(&[], Vec::as_slice)
    }

    // -- receiving ----------------------------------------------------------------------------

    /// Judges the next envelope of a log and takes it in, unless it must wait.
    ///
    /// The caller has checked signature, position and author. `is_senior` compares the authors of
    /// two logs that have one client id.
    pub(crate) fn take(
        &mut self,
        envelope: &Envelope,
        author: Author<'_>,
        is_senior: impl Fn(&LogId, &LogId) -> bool,
    ) -> Judged {
        let log = envelope.header.log;
        if self.stale {
            return Judged::Waits(Want::Document);
        }
        let Content::Live(live) = &mut self.content else { return Judged::Waits(Want::Document) };
        let rules = Rules {
            concern: &self.concern,
            client_of: self.client_of,
            owners: &self.owners,
            quarantined: &self.quarantined,
            is_mine: false,
        };
        let mut judged = live.judge(rules, envelope, author);
        if let Judged::Contested(other) = judged {
            if is_senior(&log, &other) {
                // What the junior wrote is in the content: it is read anew without that.
                self.owners.insert((self.client_of)(&log), log);
                self.stale = true;
                return Judged::Waits(Want::Document);
            }
            judged = live.end(log, Void::TakenClientId(other));
        }
        match judged {
            Judged::Applied(_) | Judged::Rejected(_) => {
                live.advance(envelope);
                self.heads.set(log, envelope.head());
                self.is_begun = true;
                // What else waited at its place is of another branch, or the same.
                self.waiting.take(log, envelope.header.sequence);
            }
            Judged::Poisoned => drop(self.quarantined.insert(envelope.hash())),
            Judged::Waits(_) | Judged::Contested(_) => {}
        }
        judged
    }

    /// The block of another log on which an envelope builds and which is not here, if any.
    ///
    /// For envelopes of other branches, which cannot be judged beside the one that counts.
    pub(crate) fn lacks(&self, envelope: &Envelope, author: Author<'_>) -> Option<Want> {
        let live = self.live()?;
        let content = envelope.open(author.key).ok()?;
        let client = (self.client_of)(&envelope.header.log);
        let roots = crate::schema::roots(&self.concern);
        let gleaned = glean(&content, client, roots, live.document.index(), &mut Earlier::new());
        let lacking = gleaned.follows.into_iter().find(|id| live.document.index().resolve(*id).is_none());
        lacking.map(Want::Origin)
    }

    /// Keeps an envelope that stands beside what counts. True if its branch counts from now on;
    /// then the content must be read anew.
    pub(crate) fn set_aside(&mut self, envelope: &Envelope, named: Option<LogHead>) -> bool {
        let Content::Live(live) = &mut self.content else { return false };
        live.branches.set_aside(envelope);
        let log = envelope.header.log;
        let (choices, left) = live.branches.choose(&log, named, &BTreeSet::new());
        if let Some(at) = left {
            self.choices.insert(log, choices);
            self.left.insert(log, at);
            self.stale = true;
            self.waiting.clear_log(&log);
        }
        left.is_some()
    }

    /// Whether an envelope follows a branch that counts once the content was read anew.
    pub(crate) fn is_ahead_of_reading(&self, envelope: &Envelope) -> bool {
        let at = self.left.get(&envelope.header.log);
        self.stale && at.is_some_and(|at| envelope.header.sequence > *at)
    }

    /// Has the content read once more.
    pub(crate) fn distrust(&mut self) {
        self.stale = true;
    }

    /// Whether what is in memory must be read anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether two logs were seen with one client id: then seniority decides what counts.
    pub(crate) fn is_contested(&self) -> bool {
        !self.owners.is_empty()
    }
}
