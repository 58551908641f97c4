//! Watches a document being read from disk, to say what its versions were.
//!
//! `replica::folding` reads a document from its snapshot on, envelope by envelope, and shows each to a
//! `Watch`: it gathers what is to be kept of the past, or a page of versions, or what the document
//! showed at some of them. Each envelope that counts and changes what people see makes a version; what
//! lies before the snapshot is told by the past kept behind it. Invariants: of all versions no more is
//! in memory than was asked for, and what was pruned in the present is in none of it.

mod past;
mod picture;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use past::VersionId;
pub(crate) use past::{Past, Step};
pub(crate) use picture::Picture;

use crate::command::{Refusal, RefusalCode};
use crate::envelope::Envelope;
use crate::ids::Digest;
use crate::limits::TOLD_CHANGES_MAX;
use crate::outbox::refusal;
use crate::replica::Live;
use crate::schema::chat::Chat;
use crate::schema::key::Owner;
use crate::schema::thing::ThingId;
use crate::schema::things::Things;
use crate::schema::told::Told;
use crate::schema::{self, About, Concern, Maps, core};
use crate::time::WallTime;
use crate::update::document::{Changes, Value};

/// Why a document is read beside the one in memory.
#[derive(Debug)]
pub(crate) enum Watch {
    /// To be folded: what is to be kept of the past is gathered, as of this time.
    Past(Past, WallTime),
    /// To keep its past when a peer's snapshot takes its place.
    Taking(Past, WallTime),
    /// To list versions.
    Versions(Listing),
    /// To see what it showed.
    Pictures(Pictures),
}

impl Watch {
    /// The document as it begins, with what is kept from before.
    pub(crate) fn begin(&mut self, concern: &Concern, live: &Live, past: Past) {
        match self {
            Watch::Past(kept, _) | Watch::Taking(kept, _) => *kept = past,
            Watch::Versions(listing) => listing.begin(concern, live, &past),
            Watch::Pictures(pictures) => pictures.begin(concern, live, &past),
        }
    }

    /// The next version, which left the document as it is.
    pub(crate) fn step(&mut self, concern: &Concern, live: &Live, step: Step) {
        match self {
            Watch::Past(past, now) | Watch::Taking(past, now) => {
                past.push(Step { folded: *now, ..step }, *now);
            }
            Watch::Versions(listing) => listing.step(live, concern, &step),
            Watch::Pictures(pictures) => pictures.step(concern, live, &step),
        }
    }
}

impl Step {
    /// What an envelope changed that left the document as it is; `None` if people see nothing of it.
    pub(crate) fn of(
        concern: &Concern,
        live: &Live,
        (envelope, by): (&Envelope, Owner),
        changes: Changes,
    ) -> Option<Step> {
        let mut before = BTreeMap::new();
        let mut times: Option<(WallTime, WallTime)> = None;
        for change in changes.keys {
            let was = record(change.before.as_ref());
            let is = live.document.get(change.root, &change.key);
            if was.as_ref() == is {
                continue;
            }
            if let Some(time) = is.and_then(|value| schema::time_of(concern, change.root, value)) {
                let (first, last) = times.unwrap_or((time, time));
                times = Some((first.min(time), last.max(time)));
            }
            before.insert((change.root, change.key), was);
        }
        let (id, by, folded) = (VersionId::of(envelope.hash()), BTreeSet::from([by]), WallTime(0));
        (!before.is_empty()).then_some(Step { id, by, times, folded, count: 1, before })
    }
}

impl Past {
    /// Adds that a snapshot of another device took the place of what was here, if anything was: what
    /// its authors did is told by nobody here.
    pub(crate) fn taken(
        mut self,
        concern: &Concern,
        (was, is): (Option<&Live>, &Live),
        name: &Digest,
        now: WallTime,
    ) -> Past {
        let gone = is.gone();
        let mut before = BTreeMap::new();
        for root in schema::roots(concern) {
            let held = |live: &Live, key: &Arc<str>| live.document.get(root, key).map(Arc::clone);
            let ours = was.into_iter().flat_map(|was| was.document.iter(root));
            let theirs = is.document.iter(root).filter(|_| was.is_some());
            for key in ours.chain(theirs).map(|(key, _)| key) {
                let (value, now) = (was.and_then(|was| held(was, key)), held(is, key));
                // A flag that was pruned says no less to people.
                let is_bared = value.is_some() && is.document.index().is_bare(root, key);
                if value != now && !is_bared && !is_of(concern, &gone, root, key) {
                    before.insert((*root, Arc::clone(key)), value);
                }
            }
        }
        let id = VersionId(name.0.first_chunk().copied().unwrap_or_default());
        let (by, times, folded, count) = (BTreeSet::new(), None, now, 0);
        self.push(Step { id, by, times, folded, count, before }, now);
        self.forget(|root, key| is_of(concern, &gone, root, key));
        self.thin(now);
        self
    }
}

fn record(value: Option<&Value>) -> Option<Arc<[u8]>> {
    match value {
        Some(Value::Bytes(bytes)) => Some(Arc::clone(bytes)),
        Some(Value::Fields(_)) | None => None,
    }
}

/// Whether what lies under a key was the content of any of these.
pub(crate) fn is_of(concern: &Concern, gone: &BTreeSet<ThingId>, root: &str, key: &str) -> bool {
    let content = schema::about(concern, root, key).and_then(About::content);
    content.is_some_and(|id| gone.contains(&id))
}

// -- versions ---------------------------------------------------------------------------------

/// A page of versions on the way.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The thing whose versions are asked for, if not those of the document.
    pub(crate) of: Option<ThingId>,
    /// The page ends before this version; at the last one without it.
    pub(crate) before: Option<String>,
    /// How many versions it takes.
    pub(crate) limit: usize,
    /// What was pruned in the present.
    pub(crate) gone: BTreeSet<ThingId>,
    /// From the oldest on, one more than it takes if there are more.
    lines: VecDeque<Line>,
    has_ended: bool,
}

/// A version as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: VersionId,
    pub(crate) by: BTreeSet<Owner>,
    pub(crate) times: Option<(WallTime, WallTime)>,
    pub(crate) count: u64,
    /// At most `limits::TOLD_CHANGES_MAX`.
    pub(crate) told: Vec<Told>,
    /// How many more there are.
    pub(crate) more: u64,
}

impl Listing {
    pub(crate) fn new(
        of: Option<ThingId>,
        before: Option<String>,
        limit: usize,
        gone: BTreeSet<ThingId>,
    ) -> Listing {
        Listing { of, before, limit, gone, lines: VecDeque::new(), has_ended: false }
    }

    fn begin(&mut self, concern: &Concern, live: &Live, past: &Past) {
        if past.steps().len() == 0 {
            return;
        }
        let end = past.steps().position(|step| self.is_end(step));
        self.has_ended = end.is_some();
        let mut picture = Picture::of(concern, live, |root, key| is_of(concern, &self.gone, root, key));
        for (at, step) in past.steps().enumerate().rev() {
            if self.lines.len() > self.limit {
                return;
            }
            if end.is_none_or(|end| at < end) {
                let line =
                    self.line(concern, step, |root, key, before| tell_picture(&picture, root, key, before));
                line.into_iter().for_each(|line| self.lines.push_front(line));
            }
            picture.go_back(step);
        }
    }

    fn step(&mut self, live: &Live, concern: &Concern, step: &Step) {
        self.has_ended |= self.is_end(step);
        if self.has_ended {
            return;
        }
        let by = (concern, &self.gone);
        let line = self.line(concern, step, |root, key, before| tell(by, live, (root, key, before)));
        let Some(line) = line else { return };
        self.lines.push_back(line);
        if self.lines.len() > self.limit.saturating_add(1) {
            self.lines.pop_front();
        }
    }

    /// Whether the version at which the page ends is in this document, if it ends at one.
    pub(crate) fn has_met(&self) -> bool {
        self.has_ended || self.before.is_none()
    }

    fn is_end(&self, step: &Step) -> bool {
        self.before.as_ref().is_some_and(|before| step.id.is_meant_by(before))
    }

    /// A version of what is asked for, in words, by the state it left.
    fn line(
        &self,
        concern: &Concern,
        step: &Step,
        tell: impl Fn(&str, &str, Option<&[u8]>) -> Option<Told>,
    ) -> Option<Line> {
        let shown = step.before.iter().filter(|((root, key), _)| !is_of(concern, &self.gone, root, key));
        let mut is_about = self.of.is_none() && step.before.is_empty();
        let mut told = Vec::new();
        for ((root, key), before) in shown {
            let one = tell(root, key, before.as_deref());
            let thing = || schema::about(concern, root, key).map(|about| about.id);
            let is_of_it =
                |of: ThingId| thing() == Some(of) || one.as_ref().is_some_and(|one| one.thing == Some(of));
            if self.of.is_none_or(is_of_it) {
                is_about = true;
                told.extend(one);
            }
        }
        let more = told.len().saturating_sub(TOLD_CHANGES_MAX);
        told.truncate(TOLD_CHANGES_MAX);
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let Step { id, by, times, count, .. } = step;
        let (id, by, times, count) = (*id, by.clone(), *times, *count);
        is_about.then_some(Line { id, by, times, count, told, more })
    }

    /// The versions, the newest first, and whether there are more before them.
    pub(crate) fn end(mut self) -> Result<(Vec<Line>, bool), Refusal> {
        if let Some(before) = self.before.filter(|_| !self.has_ended) {
            return Err(unknown_version(&before));
        }
        let has_more = self.lines.len() > self.limit;
        if has_more {
            self.lines.pop_front();
        }
        Ok((self.lines.into_iter().rev().collect(), has_more))
    }
}

/// What a write did that left the document as it is, told without what is gone.
fn tell(
    (concern, gone): (&Concern, &BTreeSet<ThingId>),
    live: &Live,
    (root, key, before): (&str, &str, Option<&[u8]>),
) -> Option<Told> {
    let maps = Without { maps: &live.document, concern, gone };
    tell_of(&maps, (live.things_over(&maps), live.chat_over(&maps)), (root, key, before))
}

/// The records of a document without what is gone.
struct Without<'a> {
    maps: &'a dyn Maps,
    concern: &'a Concern,
    gone: &'a BTreeSet<ThingId>,
}

impl Maps for Without<'_> {
    fn get(&self, root: &str, key: &str) -> Option<&[u8]> {
        self.maps.get(root, key).filter(|_| !is_of(self.concern, self.gone, root, key))
    }

    fn range<'a>(&'a self, root: &str, prefix: &str) -> Box<dyn Iterator<Item = (&'a str, &'a [u8])> + 'a> {
        let of = root.to_owned();
        let is_there = move |(key, _): &(&str, &[u8])| !is_of(self.concern, self.gone, &of, key);
        Box::new(self.maps.range(root, prefix).filter(is_there))
    }
}

fn tell_picture(picture: &Picture, root: &str, key: &str, before: Option<&[u8]>) -> Option<Told> {
    tell_of(picture, (picture.things(), picture.chat()), (root, key, before))
}

/// The same of a document by these records, which holds things, a chat, or what an entity says of itself.
fn tell_of(
    maps: &dyn Maps,
    shown: (Option<Things<'_>>, Option<Chat<'_>>),
    (root, key, before): (&str, &str, Option<&[u8]>),
) -> Option<Told> {
    match shown {
        (Some(things), _) => things.tell(root, key, before),
        (None, Some(chat)) => chat.tell(root, key),
        (None, None) => core::tell(maps, root, key),
    }
}

// -- what was shown ---------------------------------------------------------------------------

/// What a document showed at some versions, on the way.
#[derive(Debug)]
pub(crate) struct Pictures {
    /// The versions as they were named, and what was found of each.
    wanted: Vec<(String, Option<(VersionId, Picture)>)>,
    gone: BTreeSet<ThingId>,
    /// A name that several versions have.
    ambiguous: Option<String>,
}

impl Pictures {
    pub(crate) fn new(wanted: Vec<String>, gone: BTreeSet<ThingId>) -> Pictures {
        let wanted = wanted.into_iter().map(|name| (name, None)).collect();
        Pictures { wanted, gone, ambiguous: None }
    }

    fn begin(&mut self, concern: &Concern, live: &Live, past: &Past) {
        let is_wanted = |step: &Step| self.wanted.iter().any(|(name, _)| step.id.is_meant_by(name));
        let Some(first) = past.steps().position(is_wanted) else { return };
        let mut picture = Picture::of(concern, live, |root, key| is_of(concern, &self.gone, root, key));
        for (at, step) in past.steps().enumerate().rev() {
            self.look(step.id, || picture.clone());
            if at == first {
                return;
            }
            picture.go_back(step);
        }
    }

    fn step(&mut self, concern: &Concern, live: &Live, step: &Step) {
        let gone = std::mem::take(&mut self.gone);
        self.look(step.id, || Picture::of(concern, live, |root, key| is_of(concern, &gone, root, key)));
        self.gone = gone;
    }

    fn look(&mut self, id: VersionId, picture: impl Fn() -> Picture) {
        for (name, found) in self.wanted.iter_mut().filter(|(name, _)| id.is_meant_by(name)) {
            match found {
                Some((other, _)) if *other != id => self.ambiguous = Some(name.clone()),
                _ => *found = Some((id, picture())),
            }
        }
    }

    /// Those of the versions that are in this document.
    pub(crate) fn found(&self) -> impl Iterator<Item = VersionId> {
        self.wanted.iter().filter_map(|(_, found)| found.as_ref().map(|(id, _)| *id))
    }

    /// How many versions are wanted.
    pub(crate) fn count(&self) -> usize {
        self.wanted.len()
    }

    /// What was shown at each of the versions, in the order in which they were named.
    pub(crate) fn end(self) -> Result<Vec<Picture>, Refusal> {
        if let Some(name) = self.ambiguous {
            let message = format!("\"{name}\" may be any of several versions");
            return Err(refusal(RefusalCode::Usage, message, "give more of its id"));
        }
        let picture = |(name, found): (String, Option<(VersionId, Picture)>)| {
            found.map(|(_, picture)| picture).ok_or_else(|| unknown_version(&name))
        };
        self.wanted.into_iter().map(picture).collect()
    }
}

fn unknown_version(name: &str) -> Refusal {
    let message = format!("no version is named \"{name}\"");
    let hint = "old versions are joined as time passes; see `fourword history` for those that are there";
    refusal(RefusalCode::NotFound, message, hint)
}
