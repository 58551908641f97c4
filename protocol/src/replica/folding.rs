//! Reads a document from disk as far as a vector and no further, beside the one in memory.
//!
//! `stability` has this done where a checkpoint is proposed: what comes out is compared with what
//! others say, and becomes the snapshot. `asking::history` has it done to see what versions there
//! were: both watch it envelope by envelope, from the past that is kept behind the snapshot on. Which branch of a log counts was settled when the document
//! in memory was read; this follows it. Invariant: the outcome depends on envelopes at or below the
//! vector alone, and on the snapshot that stands for their beginnings, however much more is on disk.

use std::collections::BTreeMap;

use super::live::{Judged, Live, Rules, Void};
use super::mine::{Mine, Why};
use super::{Author, Replica, Vouched};
use crate::checkpoint::{Checkpoint, Extent, Reached, Vector};
use crate::envelope::Envelope;
use crate::history::{Past, Step, Watch, is_of};
use crate::ids::{Digest, DocumentKey, EntityId, LogHead, LogId, StatementId};
use crate::limits::WAITING_ENVELOPES_MAX;
use crate::record::LoadId;
use crate::roster::Roster;
use crate::schema::{self, Concern};
use crate::waiting::Want;

/// A document on the way to a vector.
#[derive(Debug)]
pub(crate) struct Folding {
    /// Up to where each log is read.
    pub(super) upto: Vector,
    /// The roster heads by which it is judged, where it is for a checkpoint; else by what is known now.
    by: Option<Vec<StatementId>>,
    /// The roster at those heads, where more is known by now.
    roster: Option<Box<Roster>>,
    /// The page that is being read.
    pub(crate) reading: Option<LoadId>,
    stage: Stage,
    /// From the snapshot on.
    live: Option<Box<Live>>,
    watch: Watch,
    /// What of ours was void where it was read.
    pub(super) mine: Mine,
    /// What stands on disk before what it builds on.
    early: Vec<Envelope>,
    failed: bool,
}

/// What is being read of it, and which parts of that were read.
#[derive(Debug)]
enum Stage {
    Snapshot(Vec<Vec<u8>>),
    /// What is kept from before the snapshot.
    Past(Vec<Vec<u8>>),
    Envelopes,
}

/// A document as it is at a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    /// The visible content.
    pub(crate) content: Digest,
    /// The roster heads by which it was judged, ascending.
    pub(crate) heads: Vec<StatementId>,
    /// The vector, with the clocks at it.
    pub(crate) logs: BTreeMap<LogId, Reached>,
    /// The bytes of the snapshot.
    pub(crate) bytes: Vec<u8>,
    /// What is kept from before it.
    pub(crate) past: Past,
}

impl Folding {
    /// Begins with the state that the snapshot has.
    fn begin_at(&mut self, live: Live) {
        self.live = Some(Box::new(live.watched()));
        self.stage = Stage::Past(Vec::new());
    }

    /// The document at the vector, if all of it could be read, and who had it read.
    fn whole(self) -> Option<(Box<Live>, Watch)> {
        let Folding { live, upto, early, failed, watch, .. } = self;
        let live = live.filter(|live| !failed && early.is_empty() && live.branches.heads() == upto)?;
        Some((live, watch))
    }

    /// Begins with the envelopes, behind that state and what is kept from before it.
    fn begin_behind(&mut self, concern: &Concern, past: Past) {
        self.stage = Stage::Envelopes;
        if let Some(live) = &self.live {
            self.watch.begin(concern, live, past);
        }
    }
}

impl Replica {
    /// Begins to read as far as `upto`, which covers the snapshot on disk, judging by the roster at the
    /// heads `by`, or as it is.
    pub(crate) fn begin_folding(&mut self, upto: Vector, by: Option<Vec<StatementId>>, watch: Watch) {
        let (roster, reading, live, mine, early, failed) = Default::default();
        let stage = Stage::Snapshot(Vec::new());
        let mut folding = Folding { upto, by, roster, reading, stage, live, watch, mine, early, failed };
        if self.base.is_none() {
            folding.begin_at(Live::new(self.key, &self.concern));
            folding.begin_behind(&self.concern, Past::default());
        }
        self.folding = Some(Box::new(folding));
    }

    /// Up to where the document is being folded, and by which roster.
    pub(crate) fn folds_to(&self) -> Option<Extent> {
        let folding = self.folding.as_ref()?;
        Some((folding.upto.clone(), folding.by.clone()?))
    }

    /// Keeps the roster that what is being folded is judged by beside `now`, which may know more.
    pub(crate) fn fold_by(&mut self, now: &Roster) {
        let Some(folding) = &mut self.folding else { return };
        if let (Some(heads), None) = (&folding.by, &folding.roster)
            && !now.is_known_by(heads)
        {
            folding.roster = now.as_of(heads).map(Box::new);
            folding.failed |= folding.roster.is_none();
        }
    }

    /// The roster by which what is being folded is judged, if that is not the one that is known now.
    pub(crate) fn folds_by(&self) -> Option<&Roster> {
        self.folding.as_ref()?.roster.as_deref()
    }

    /// The part of the snapshot, or of the past behind it, that is to be read next before any envelope.
    pub(crate) fn next_part_to_fold(&self) -> Option<u32> {
        let (first, parts) = match &self.folding.as_ref()?.stage {
            Stage::Snapshot(parts) => (0, parts),
            Stage::Past(parts) => (self.base.as_ref()?.parts, parts),
            Stage::Envelopes => return None,
        };
        first.checked_add(u32::try_from(parts.len()).ok()?)
    }

    /// Takes that part. False if there is no snapshot to begin with, and so no folding.
    pub(crate) fn fold_part(&mut self, part: Option<Vec<u8>>) -> bool {
        let (Some(mut folding), Some(base)) = (self.folding.take(), &self.base) else { return false };
        let is_read = match &mut folding.stage {
            Stage::Envelopes => true,
            Stage::Snapshot(parts) => {
                let is_there = part.is_some();
                parts.extend(part);
                if parts.len() >= usize::try_from(base.parts).unwrap_or(usize::MAX) {
                    let opened = Vouched::read(parts).ok().and_then(|snapshot| self.open(&snapshot).ok());
                    opened.map(|live| folding.begin_at(live)).is_some()
                } else {
                    is_there
                }
            }
            Stage::Past(parts) => {
                let is_there = part.is_some();
                parts.extend(part);
                let count = parts.first().and_then(|first| Past::count_parts(first).ok());
                if !is_there || count.is_none_or(|count| parts.len() >= count) {
                    // Versions from before the snapshot are lost if they cannot be read, and nothing else.
                    let past = Past::read(parts, schema::roots(&self.concern)).unwrap_or_default();
                    folding.begin_behind(&self.concern, past);
                }
                true
            }
        };
        self.folding = Some(folding);
        is_read
    }

    /// Whether a stored envelope is to be folded: it lies within the vector, on the branch that
    /// counts.
    pub(crate) fn folds(&self, envelope: &Envelope) -> bool {
        let (Some(folding), Some(live)) = (&self.folding, self.live()) else { return false };
        let header = &envelope.header;
        let upto = folding.upto.get(&header.log).map_or(0, |head| head.sequence);
        header.sequence <= upto && live.branches.at(&header.log, header.sequence) == Some(envelope.hash())
    }

    /// The roster heads that the last envelope of a log names, as far as that was folded.
    pub(crate) fn heads_folded(&self, log: &LogId) -> &[StatementId] {
        let live = self.folding.as_ref().and_then(|folding| folding.live.as_ref());
        live.and_then(|live| live.known.get(log)).map_or(&[], Vec::as_slice)
    }

    /// Takes one stored envelope that is to be folded, by who the roster says wrote it.
    pub(crate) fn fold(&mut self, envelope: Envelope, author: Option<Author<'_>>, is_mine: bool) {
        let rules = Rules {
            concern: &self.concern,
            client_of: self.client_of,
            owners: &self.owners,
            quarantined: &self.quarantined,
            is_mine,
        };
        let Some(folding) = &mut self.folding else { return };
        let Some(live) = &mut folding.live else { return };
        let log = envelope.header.log;
        let by = author.map(|author| author.actor.owner());
        let is_next = live.branches.length(&log).checked_add(1) == Some(envelope.header.sequence);
        let judged = match author.filter(|_| is_next) {
            Some(author) => live.judge(rules, &envelope, author),
            None => Judged::Waits(Want::Predecessor),
        };
        let judged = match judged {
            // A senior that has it would be known from the document in memory.
            Judged::Contested(other) => live.end(log, Void::TakenClientId(other)),
            judged => judged,
        };
        match judged {
            Judged::Applied(_) | Judged::Rejected(_) => {
                if let Judged::Rejected(void) = judged
                    && is_mine
                {
                    folding.mine.keep(envelope.clone(), Why::Void(void));
                }
                live.advance(&envelope);
                let changes = live.watched.as_mut().map(std::mem::take).unwrap_or_default();
                let step = by.and_then(|by| Step::of(&self.concern, live, (&envelope, by), changes));
                if let Some(step) = step {
                    folding.watch.step(&self.concern, live, step);
                }
            }
            Judged::Waits(_) if folding.early.len() < WAITING_ENVELOPES_MAX => folding.early.push(envelope),
            // What was taken once and is not now was judged by another roster: not now, then.
            Judged::Waits(_) | Judged::Contested(_) | Judged::Poisoned => folding.failed = true,
        }
    }

    /// What could not be taken in the order in which it lies on disk, to be tried again.
    pub(crate) fn take_early(&mut self) -> Vec<Envelope> {
        self.folding.as_mut().map(|folding| std::mem::take(&mut folding.early)).unwrap_or_default()
    }

    /// Ends the reading for a snapshot: the document at the vector, if all of it could be read.
    pub(crate) fn end_folding(&mut self) -> Option<Folded> {
        let folding = *self.folding.take()?;
        let by = folding.by.clone().unwrap_or_default();
        let (mut live, watch) = folding.whole()?;
        let Watch::Past(mut past, now) = watch else { return None };
        // All that is flagged within a vector that all awaited have is stable.
        live.prune_flagged().ok()?;
        let gone = live.gone();
        past.forget(|root, key| is_of(&self.concern, &gone, root, key));
        past.thin(now);
        self.folded(&mut live, by, past)
    }

    /// A document as it is, as what becomes a snapshot.
    fn folded(&self, live: &mut Live, heads: Vec<StatementId>, past: Past) -> Option<Folded> {
        let upto = live.branches.heads();
        let bytes = live.write_snapshot(&upto, self.client_of).ok()?;
        let logs = live.reached(&upto, self.client_of);
        Some(Folded { content: live.content_digest(), heads, logs, bytes, past })
    }

    /// Ends a reading that somebody only watched: what was seen, if all of it could be read.
    pub(crate) fn end_watching(&mut self) -> Option<Watch> {
        self.folding.take()?.whole().map(|(_, watch)| watch)
    }

    /// Ends a reading after which a peer's snapshot takes the place of what was read: what is to be
    /// kept from before it. Of what could not be read nothing is.
    pub(crate) fn end_taking(&mut self) -> Option<Past> {
        let (folding, unconfirmed) = (*self.folding.take()?, self.unconfirmed.as_ref()?);
        let Watch::Taking(_, now) = folding.watch else { return None };
        let (was, past) = match folding.whole() {
            Some((live, Watch::Taking(past, _))) => (Some(live), past),
            _ => (None, Past::default()),
        };
        Some(past.taken(&self.concern, (was.as_deref(), &unconfirmed.live), &unconfirmed.signed.name, now))
    }

    /// Ends a reading of what a peer's snapshot does not cover: both as one, judged by the roster at
    /// `heads`, if all could be read and they fit each other. The peer's is given up.
    pub(crate) fn end_joining(&mut self, heads: Vec<StatementId>) -> Option<Folded> {
        let mut theirs = self.unconfirmed.take()?;
        let (mut ours, Watch::Taking(past, now)) = self.folding.take()?.whole()? else { return None };
        let mut joined = ours.joined(&mut theirs.live, (self.key, self.client_of)).ok()?;
        let past = past.taken(&self.concern, (Some(&ours), &joined), &theirs.signed.name, now);
        self.folded(&mut joined, heads, past)
    }

    /// Notes that what is being read cannot be.
    pub(crate) fn fail_folding(&mut self) {
        self.folding.iter_mut().for_each(|folding| folding.failed = true);
    }

    /// How far what is held here goes within a peer's snapshot, on the same branches.
    pub(crate) fn within(&self, vector: &Vector) -> Vector {
        let Some(live) = self.live() else { return self.covered() };
        let held = vector.iter().filter_map(|(log, head)| {
            let sequence = self.heads.length(log).min(head.sequence);
            let hash = live.branches.at(log, sequence)?;
            Some((*log, LogHead { sequence, hash }))
        });
        held.filter(|(_, head)| head.sequence > 0).collect()
    }

    /// For whom the document is being read.
    fn watch(&self) -> Option<&Watch> {
        self.folding.as_ref().map(|folding| &folding.watch)
    }

    /// Whether a peer's snapshot waits for what is being read.
    pub(crate) fn is_giving_way(&self) -> bool {
        matches!(self.watch(), Some(Watch::Taking(..)))
    }

    /// Whether the document is being read for who asked about its versions.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.watch(), Some(Watch::Versions(_) | Watch::Pictures(_)))
    }
}

impl Folded {
    /// The snapshot with what it is, and what is kept from before it.
    pub(crate) fn into_vouched(self, (entity, document): (EntityId, DocumentKey)) -> (Vouched, Past) {
        let Folded { content, heads, logs, bytes, past } = self;
        (Vouched { checkpoint: Checkpoint { entity, document, content, heads, logs }, packed: bytes }, past)
    }
}
