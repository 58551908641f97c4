//! Reads a document from disk: in one pass over its envelopes, or in more where logs are forked.
//!
//! What is on disk comes in the order in which it was written, branches and all. The first pass
//! follows the branch that came first; what it passes over shows whether another branch counts,
//! or another log owns a client id, and then the document is read again by that. So nothing about
//! forks has to be remembered: what counts follows from the envelopes on disk and the roster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::live::{Judged, Live, Rules, Void};
use super::mine::{Mine, Why, beginning};
use super::own::Queued;
use super::snapshot::Unfit;
use super::{Author, Content, Heads, Replica, Stands, Vouched};
use crate::command::CommandId;
use crate::envelope::Envelope;
use crate::epoch::EpochKey;
use crate::ids::{EnvelopeHash, LogHead, LogId};
use crate::schema;
use crate::update::glean::glean;
use crate::waiting::Want;

/// Passes over one document. Each but the last finds that something counts which did not seem to;
/// where there is still more after so many, the next reading goes on.
const PASSES_MAX: u32 = 32;

/// A document that is being read.
#[derive(Debug)]
pub(crate) struct Loading {
    pub(super) live: Box<Live>,
    /// The parts of the snapshot that were read, and the snapshot once that was all.
    parts: Vec<Vec<u8>>,
    snapshot: Option<Arc<Vouched>>,
    heads: BTreeMap<LogId, LogHead>,
    passes: u32,
    /// Another pass is needed.
    again: bool,
    /// What cannot be taken, because it builds on what is not here.
    blocked: BTreeSet<EnvelopeHash>,
    /// What waits in this pass: what follows it waits too.
    waited: BTreeSet<EnvelopeHash>,
    /// The client ids of logs of which something is here that does not count and may be built on.
    lost: BTreeSet<u64>,
    mine: Mine,
}

/// A stored envelope and what the roster says of it.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) envelope: Envelope,
    /// As `entity` looked it up: nobody, if its author had no right to write at all.
    pub(crate) author: Result<Option<Author<'a>>, Want>,
    /// This device wrote it.
    pub(crate) is_mine: bool,
}

/// Whether an envelope that does not count is kept as ours.
#[derive(Clone, Copy, Debug)]
struct Keeps<'a> {
    is_mine: bool,
    /// If it was lost, all that it held was written anew.
    rewritten: bool,
    /// By what it is read.
    key: Option<&'a EpochKey>,
    client: u64,
    roots: &'static [&'static str],
}

impl Loading {
    /// Whether something that was written under a client id is here and does not count: it stood on a
    /// branch that lost, its author had no right to write it, or it builds on such things.
    fn is_lost(&self, client: u64) -> bool {
        self.live.is_forked(client) || self.lost.contains(&client)
    }

    fn keep(&mut self, keeps: Keeps<'_>, envelope: Envelope, why: Why) {
        if !keeps.is_mine {
            return;
        }
        if !(keeps.rewritten && why.is_lost()) {
            return self.mine.keep(envelope, why);
        }
        let content = keeps.key.and_then(|key| envelope.open(key).ok()).unwrap_or_default();
        let earlier = self.mine.pass_over(&envelope, why);
        glean(&content, keeps.client, keeps.roots, self.live.document.index(), earlier);
    }
}

impl Replica {
    /// Begins to read the content from disk. False if it is there or under way.
    pub(crate) fn begin_loading(&mut self) -> bool {
        if !matches!(self.content, Content::Cold) {
            return false;
        }
        self.begin_pass(0, BTreeSet::new(), Live::new(self.key, &self.concern), None);
        true
    }

    fn begin_pass(
        &mut self,
        passes: u32,
        blocked: BTreeSet<EnvelopeHash>,
        live: Live,
        snapshot: Option<Arc<Vouched>>,
    ) {
        self.stale = false;
        self.folding = None;
        self.left.clear();
        let (parts, waited, lost, mine) = Default::default();
        let (heads, live, again) = (live.branches.heads(), Box::new(live), false);
        self.content = Content::Loading(Box::new(Loading {
            live,
            parts,
            snapshot,
            heads,
            passes,
            again,
            blocked,
            waited,
            lost,
            mine,
        }));
    }

    /// The part of the snapshot that is to be read next, before any envelope.
    pub(crate) fn next_part(&self) -> Option<u32> {
        let (Content::Loading(loading), Some(base)) = (&self.content, &self.base) else { return None };
        let read = u32::try_from(loading.parts.len()).unwrap_or(u32::MAX);
        (loading.snapshot.is_none() && read < base.parts).then_some(read)
    }

    /// Takes a part of the snapshot. With the last one the reading begins at what it holds.
    pub(crate) fn take_part(&mut self, part: Option<Vec<u8>>) -> Result<(), Unfit> {
        let Content::Loading(loading) = &mut self.content else { return Ok(()) };
        let Some(base) = &mut self.base else { return Ok(()) };
        loading.parts.push(part.ok_or(Unfit::Malformed)?);
        if loading.parts.len() < usize::try_from(base.parts).unwrap_or(usize::MAX) {
            return Ok(());
        }
        base.weigh(&loading.parts);
        let snapshot = Arc::new(Vouched::read(&loading.parts)?);
        let live = self.open(&snapshot)?;
        self.base.iter_mut().for_each(|base| base.found(&snapshot.checkpoint));
        self.begin_pass(0, BTreeSet::new(), live, Some(snapshot));
        Ok(())
    }

    /// Forgets the snapshot, which cannot be read: nothing that it covers is here.
    pub(crate) fn lose_base(&mut self) {
        self.base = None;
        self.heads = Heads::default();
        self.retire_log();
        self.begin_pass(0, BTreeSet::new(), Live::new(self.key, &self.concern), None);
    }

    /// Opens a snapshot of this document, if it is what its checkpoint names.
    pub(crate) fn open(&self, snapshot: &Vouched) -> Result<Live, Unfit> {
        let from = (snapshot.packed.as_slice(), &snapshot.checkpoint);
        Live::open_snapshot(self.key, &self.concern, self.client_of, from)
    }

    /// Takes one stored envelope, in the order in which they were written.
    ///
    /// Its signature was checked before it was stored.
    pub(crate) fn restore(&mut self, stored: Stored<'_>, is_senior: impl Fn(&LogId, &LogId) -> bool) {
        let Content::Loading(loading) = &mut self.content else { return };
        let Stored { envelope, author, is_mine } = stored;
        let (header, hash) = (&envelope.header, envelope.hash());
        let rewritten = self.rewritten.contains(&beginning(hash));
        let keeps = Keeps {
            is_mine,
            rewritten,
            key: author.ok().flatten().map(|author| author.key),
            client: (self.client_of)(&header.log),
            roots: schema::roots(&self.concern),
        };
        let before = loading.mine.why(&header.previous).cloned();
        if loading.waited.contains(&header.previous) {
            loading.waited.insert(hash);
            if let Some(why) = before.filter(Why::is_lost) {
                loading.keep(keeps, envelope.clone(), why);
            }
            if !rewritten {
                self.waiting.keep(envelope, Want::Predecessor);
            }
            return;
        }
        let chosen = self.choices.get(&header.log).and_then(|choices| choices.get(&header.sequence));
        let is_next = loading.live.branches.stands(header, hash) == Stands::Next
            && chosen.is_none_or(|chosen| *chosen == hash);
        match author {
            Ok(Some(author)) if is_next => self.take_stored(envelope, author, keeps, is_senior),
            Ok(Some(_)) => {
                loading.live.branches.set_aside(&envelope);
                loading.keep(keeps, envelope, before.unwrap_or(Why::Branch));
            }
            Ok(None) => {
                loading.lost.insert(keeps.client);
                loading.keep(keeps, envelope, before.unwrap_or(Why::NoRight));
            }
            Err(_) => {}
        }
    }

    /// Judges a stored envelope that is the next of its log.
    fn take_stored(
        &mut self,
        envelope: Envelope,
        author: Author<'_>,
        keeps: Keeps<'_>,
        is_senior: impl Fn(&LogId, &LogId) -> bool,
    ) {
        let Content::Loading(loading) = &mut self.content else { return };
        let (log, hash) = (envelope.header.log, envelope.hash());
        let rules = Rules {
            concern: &self.concern,
            client_of: self.client_of,
            owners: &self.owners,
            quarantined: &self.quarantined,
            is_mine: keeps.is_mine,
        };
        let mut judged = loading.live.judge(rules, &envelope, author);
        if let Judged::Contested(other) = judged {
            if is_senior(&log, &other) {
                self.owners.insert((self.client_of)(&log), log);
                loading.again = true;
                return;
            }
            judged = loading.live.end(log, Void::TakenClientId(other));
        }
        match judged {
            Judged::Applied(_) | Judged::Rejected(_) => {
                loading.live.advance(&envelope);
                loading.heads.insert(log, envelope.head());
                if let Judged::Rejected(void) = judged {
                    loading.keep(keeps, envelope, Why::Void(void));
                }
            }
            Judged::Waits(want) => {
                if let Want::Origin(block) = want
                    && loading.is_lost(block.client)
                {
                    // Nobody gets what it builds on, so nobody takes it.
                    loading.lost.insert(keeps.client);
                    loading.keep(keeps, envelope.clone(), Why::Origin);
                }
                loading.blocked.insert(hash);
                loading.waited.insert(hash);
                if !keeps.rewritten {
                    self.waiting.keep(envelope, want);
                }
            }
            Judged::Poisoned => {
                self.quarantined.insert(hash);
                loading.again = true;
            }
            Judged::Contested(_) => {}
        }
    }

    /// Ends a pass. True if another one is needed, which has begun then.
    ///
    /// `named` gives the head of a log that the roster names.
    pub(crate) fn end_pass(&mut self, named: impl Fn(&LogId) -> Option<LogHead>) -> bool {
        let Content::Loading(loading) = &mut self.content else { return false };
        let mut again = loading.again;
        for log in loading.live.branches.forked() {
            let (choices, left) = loading.live.branches.choose(&log, named(&log), &loading.blocked);
            if left.is_some() {
                self.choices.insert(log, choices);
                again = true;
            }
        }
        let passes = loading.passes.saturating_add(1);
        if !again || passes >= PASSES_MAX {
            return false;
        }
        let (blocked, snapshot) = (std::mem::take(&mut loading.blocked), loading.snapshot.take());
        let live = match &snapshot {
            Some(snapshot) => self.open(snapshot),
            None => Ok(Live::new(self.key, &self.concern)),
        };
        // It was opened once before.
        let Ok(live) = live else { return false };
        self.begin_pass(passes, blocked, live, snapshot);
        true
    }

    /// Ends the reading: what was read is what is held. Gives the writes that waited for it.
    pub(crate) fn end_loading(&mut self) -> Vec<Queued> {
        self.reading = None;
        if let Content::Loading(loading) = std::mem::replace(&mut self.content, Content::Cold) {
            let Loading { mut live, heads, mine, .. } = *loading;
            // Less than was held before means damage, or that another branch counts: the rest
            // comes from peers, and our own log must not be continued behind what they may hold.
            let log = self.own.log;
            if log.is_some_and(|log| heads.get(&log) != self.heads.get(&log) || live.lost_its_client(&log)) {
                self.retire_log();
            }
            self.readings = self.readings.saturating_add(1);
            live.mine = mine;
            self.heads = heads.into();
            live.feed = self.feed();
            self.due = None;
            self.content = Content::Live(live);
            self.stability.look_anew();
            let heads = &self.heads;
            self.waiting.drop_taken(|log| heads.length(log));
        }
        std::mem::take(&mut self.queued)
    }

    /// Whether the content that was read anew is another than people saw before. Once for each reading.
    pub(crate) fn shows_other(&mut self) -> bool {
        let seen = self.seen.take();
        seen.is_some_and(|seen| self.live().is_some_and(|live| live.content_digest() != seen))
    }

    /// Has the content read anew, so that all of it is judged by the roster as it is now.
    /// Only where nothing of ours waits to be sealed.
    pub(crate) fn judge_anew(&mut self) {
        self.rested = None;
        self.choices.clear();
        self.owners.clear();
        self.read_anew();
    }

    /// Has the content read anew by the branches and owners that are known now.
    pub(crate) fn read_anew(&mut self) {
        self.rested = None;
        if !matches!(self.content, Content::Cold) {
            self.seen = self.live().map(Live::content_digest).or(self.seen);
            self.content = Content::Cold;
            self.folding = None;
            self.reading = None;
            self.own.begun = false;
        }
    }

    /// Forgets the content in memory, and writes of ours that are not durable with it: what is on
    /// disk is what counts. Gives who waits for those writes.
    pub(crate) fn forget(&mut self) -> Vec<CommandId> {
        self.content = Content::Cold;
        self.rested = None;
        self.folding = None;
        self.reading = None;
        self.retire_log();
        self.sealing = false;
        let pending = std::mem::take(&mut self.pending).into_iter().map(|p| p.answers);
        let queued = std::mem::take(&mut self.queued).into_iter().map(|q| q.answers);
        pending.chain(queued).flatten().map(|(command, _)| command).collect()
    }
}
