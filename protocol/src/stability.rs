//! Who is known to hold how much of one document for good, and what may be forgotten by that.
//!
//! Each replica has one. A document *waits* while something deleted in it is not pruned, or while
//! it wants to be folded; then the devices of all members are awaited, but for those that keep it no
//! longer and those that lapsed: whose acknowledgement has not moved for days while something waited
//! for it. What all awaited have is the *frontier*. `tending` drives this with the clock and the
//! disk, `sync` carries acknowledgements, `tombstones` says what is flagged, `proposing` has folded
//! what lies within the frontier. Invariant: neither an acknowledgement nor
//! the frontier ever goes back, and both speak of what is on disk alone.

mod checkpoints;
mod forgetting;
mod kept;
mod late;
mod proposing;
mod tending;
#[cfg(test)]
mod tests;
mod tombstones;

use std::collections::{BTreeMap, BTreeSet};

use crate::acknowledgement::{Acknowledgement, Positions};
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogId, StatementId};
use crate::limits::ACK_LOGS_MAX;
use crate::planted::{self, Planted};
use crate::replica::Heads;
use crate::session::Allowance;
use crate::time::{Duration, Instant, WallTime};
use crate::waiting::Waiting;

pub(crate) use checkpoints::Checkpoints;
pub(crate) use forgetting::Forgetting;
pub(crate) use kept::{ACK, COUNTERSIGNED};
pub(crate) use late::{Late, Why as LateWhy};
pub(crate) use proposing::is_confirmed;
pub(crate) use tending::lapse;
pub(crate) use tombstones::{Flag, Tombstones};

/// How often another device's acknowledgement of one document is taken: a burst, then one for each
/// stretch of time. Honest devices make one a second at most.
const TAKEN_BURST: u64 = 16;
const TAKEN_EVERY: Duration = Duration(500);

/// How often this device makes one of a document.
const MADE_EVERY: Duration = Duration::from_secs(1);

/// How often this device makes one only because the document grew.
const GROWN_EVERY: Duration = Duration::from_secs(10);

/// What an acknowledgement of this device is wanted for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The document wants to be folded, here or at a peer: all that is held is to be acknowledged.
    pub(crate) all: bool,
    /// The last one was made by a roster that did not know what cuts logs short.
    pub(crate) anew: bool,
    /// The roster heads that are known here.
    pub(crate) heads: Vec<StatementId>,
}

/// What is known of who holds one document.
#[derive(Debug, Default)]
pub(crate) struct Stability {
    kept: BTreeMap<DeviceKey, Kept>,
    frontier: Positions,
    /// Since when this node waits for a device that has not acknowledged what waits, or whose
    /// acknowledgement moved last.
    since: BTreeMap<DeviceKey, WallTime>,
    /// Since when nobody else is in, where others were before.
    alone_since: Option<WallTime>,
    /// Our own acknowledgement that is on its way to the disk.
    making: Option<Acknowledgement>,
    made: Allowance,
    /// As `made`, of those made because the document grew.
    made_of_growth: Allowance,
    /// The greatest number that others know of an acknowledgement of this device: a home that is an
    /// older copy goes on above it.
    seen: Option<(DeviceKey, u64)>,
    /// That one said that the document is not kept here, which it is.
    is_misheard: bool,
    /// What this device wrote and what came too late, the oldest first.
    late: Vec<Late>,
    /// Counts acknowledgements taken.
    taken: u64,
    looked: Option<Looked>,
    /// Members' devices that may find other things to count than this one does.
    unsettled: BTreeSet<DeviceKey>,
    /// What of it is not on disk yet.
    unkept: kept::Unkept,
}

/// What is known of one device.
#[derive(Clone, Debug)]
struct Kept {
    /// The latest, for passing on.
    ack: Acknowledgement,
    /// All of them, joined.
    joined: Positions,
    pace: Allowance,
}

/// What was looked at last: only what differs from it can have changed the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looked {
    roster: Digest,
    waits: (u64, u64),
    lapse: Duration,
    taken: u64,
    lapsed: usize,
}

/// How a device stands to what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// It has everything that waits, or keeps the document no longer.
    No,
    /// It is waited for, since then.
    Since(WallTime),
    /// It was waited for too long, and holds nothing back any more.
    Lapsed(WallTime),
}

impl Stability {
    // -- acknowledgements ---------------------------------------------------------------------

    /// The number of the latest acknowledgement of a device that is known.
    pub(crate) fn number_of(&self, device: &DeviceKey) -> Option<u64> {
        let kept = self.kept.get(device).map(|kept| kept.ack.number);
        kept.max(self.seen.filter(|(own, _)| own == device).map(|(_, number)| number))
    }

    /// The number of the latest word of a device that is known, and whether it stops. Of two homes of one
    /// device each may have given one number to another word: then to stop is the later one.
    pub(crate) fn word_of(&self, device: &DeviceKey) -> Option<(u64, bool)> {
        self.kept.get(device).map(|kept| (kept.ack.number, kept.ack.stops))
    }

    /// Whether one more of this device is taken now.
    pub(crate) fn may_take(&mut self, device: &DeviceKey, now: Instant) -> bool {
        self.kept.get_mut(device).is_none_or(|kept| kept.pace.take(now, TAKEN_BURST, TAKEN_EVERY))
    }

    /// Notes that peers keep an acknowledgement of this device with that number.
    pub(crate) fn saw_own(&mut self, ack: &Acknowledgement) {
        self.seen = self.seen.max(Some((ack.device, ack.number)));
        self.is_misheard = ack.stops;
    }

    /// Whether others believe that this device keeps the document no longer.
    pub(crate) fn is_misheard(&self) -> bool {
        self.is_misheard
    }

    /// A number above all that are known of this device.
    pub(crate) fn next_number(&self, own: &DeviceKey) -> u64 {
        let making = self.making.as_ref().map(|ack| ack.number);
        self.number_of(own).max(making).unwrap_or(0).saturating_add(1)
    }

    /// Whether the acknowledgement of ours with this number is on its way to the disk.
    pub(crate) fn is_making(&self, number: u64) -> bool {
        self.making.as_ref().is_some_and(|ack| ack.number == number)
    }

    /// Begins with an acknowledgement of ours that is on its way to the disk.
    pub(crate) fn begin(&mut self, ack: Acknowledgement) {
        self.making = Some(ack);
    }

    /// Takes an acknowledgement that is later than the one known of its device, which signed it.
    /// `holds` says which logs are here: of others what was said before is forgotten.
    pub(crate) fn take(&mut self, ack: Acknowledgement, holds: impl Fn(&LogId) -> bool, now: WallTime) {
        let device = ack.device;
        self.taken = self.taken.saturating_add(1);
        self.unkept.acks.insert(device);
        let before = self.kept.remove(&device);
        let mut moved = before.as_ref().is_none_or(|before| before.ack.stops != ack.stops);
        let (mut joined, pace) = before.map(|before| (before.joined, before.pace)).unwrap_or_default();
        // Who stops holds nothing, and begins with nothing if it keeps the document again.
        joined.retain(|log, _| !ack.stops && (holds(log) || ack.positions.contains_key(log)));
        for (log, sequence) in &ack.positions {
            let known = joined.entry(*log).or_insert(0);
            moved |= *sequence > *known;
            *known = (*known).max(*sequence);
        }
        self.kept.insert(device, Kept { ack, joined, pace });
        if let Some(since) = self.since.get_mut(&device).filter(|_| moved) {
            *since = now;
            self.unkept.since = true;
        }
    }

    /// The latest acknowledgement of each device, but for one of ours that is not on disk.
    pub(crate) fn acks(&self) -> impl Iterator<Item = &Acknowledgement> {
        self.kept.values().map(|kept| &kept.ack)
    }

    /// Makes an acknowledgement of ours, if something waits that the last one does not reach. Gives
    /// when it may be made instead, if that is not yet.
    ///
    /// Everything that the heads name was given to the disk before.
    pub(crate) fn make(
        &mut self,
        of: (EntityId, DocumentKey),
        device: &DeviceSecret,
        (heads, waiting): (&Heads, &Waiting),
        (tombstones, wanted): (&Tombstones, Wanted),
        now: Instant,
    ) -> Result<Option<Acknowledgement>, Instant> {
        let own = self.kept.get(&device.key());
        let reaches = |flag: &&Flag| own.is_some_and(|own| flag.is_within(&own.joined));
        let flags = tombstones.waiting().flat_map(|(_, flags)| flags);
        let lacking = flags.filter(|flag| !reaches(flag) && heads.length(&flag.log) >= flag.sequence);
        let mut first: BTreeSet<LogId> = lacking.map(|flag| flag.log).collect();
        let of_growth = first.is_empty();
        if wanted.all {
            let said = |log| own.and_then(|own| own.joined.get(log)).copied().unwrap_or(0);
            let logs = heads.iter().take(ACK_LOGS_MAX);
            first.extend(logs.filter(|(log, head)| said(log) < head.sequence).map(|(log, _)| *log));
        }
        if (first.is_empty() && !wanted.anew) || self.making.is_some() {
            return Ok(None);
        }
        if of_growth && !self.made_of_growth.take(now, 1, GROWN_EVERY) {
            return Err(self.made_of_growth.free_at(now, 1, GROWN_EVERY));
        }
        if !self.made.take(now, 1, MADE_EVERY) {
            return Err(self.made.free_at(now, 1, MADE_EVERY));
        }
        let rest = heads.keys().filter(|log| !first.contains(log));
        let logs = first.iter().chain(rest).take(ACK_LOGS_MAX);
        let mut positions: Positions = logs.map(|log| (*log, heads.length(log))).collect();
        if planted::is(Planted::AckWhatWaits) {
            positions.iter_mut().for_each(|(log, held)| *held = waiting.furthest(log).max(*held));
        }
        let number = self.next_number(&device.key());
        let ack = Acknowledgement::sign(of, number, false, wanted.heads, positions, device);
        self.making = Some(ack.clone());
        Ok(Some(ack))
    }

    /// Makes an acknowledgement of ours that says no more than those before it, if others believe that the
    /// document is not kept here. Gives when it may be made instead, if that is not yet.
    pub(crate) fn say_kept(
        &mut self,
        of: (EntityId, DocumentKey),
        device: &DeviceSecret,
        heads: Vec<StatementId>,
        now: Instant,
    ) -> Result<Option<Acknowledgement>, Instant> {
        if !self.is_misheard || self.making.is_some() {
            return Ok(None);
        }
        if !self.made_of_growth.take(now, 1, GROWN_EVERY) {
            return Err(self.made_of_growth.free_at(now, 1, GROWN_EVERY));
        }
        let said = self.kept.get(&device.key()).map(|own| own.joined.iter()).into_iter().flatten();
        let positions = said.take(ACK_LOGS_MAX).map(|(log, held)| (*log, *held)).collect();
        let ack = Acknowledgement::sign(of, self.next_number(&device.key()), false, heads, positions, device);
        self.making = Some(ack.clone());
        Ok(Some(ack))
    }

    /// Our acknowledgement is on disk, and with it all that it names: it may be told.
    pub(crate) fn made(&mut self, holds: impl Fn(&LogId) -> bool, now: WallTime) {
        if let Some(ack) = self.making.take() {
            let device = ack.device;
            self.is_misheard &= self.seen.is_some_and(|(_, seen)| seen >= ack.number);
            self.take(ack, holds, now);
            self.unkept.acks.remove(&device);
        }
    }

    // -- who is awaited -----------------------------------------------------------------------

    /// Whether a device has said that it keeps the document no longer.
    pub(crate) fn has_stopped(&self, device: &DeviceKey) -> bool {
        self.kept.get(device).is_some_and(|kept| kept.ack.stops)
    }

    /// How a member's device stands to what waits.
    pub(crate) fn awaited(&self, device: &DeviceKey, lapse: Duration, now: WallTime) -> Awaited {
        match self.since.get(device) {
            None => Awaited::No,
            Some(_) if self.has_stopped(device) => Awaited::No,
            Some(since) if now.0.saturating_sub(since.0) >= lapse.0 => Awaited::Lapsed(*since),
            Some(since) => Awaited::Since(*since),
        }
    }

    /// Whether what a member's device holds is what others may forget by: it keeps the document, and did
    /// not lapse.
    pub(crate) fn counts(&self, device: &DeviceKey, lapse: Duration, now: WallTime) -> bool {
        !self.has_stopped(device) && !matches!(self.awaited(device, lapse, now), Awaited::Lapsed(_))
    }

    /// Notes whether nobody else is in any more.
    pub(crate) fn note_alone(&mut self, is_alone: bool, now: WallTime) {
        let since = self.alone_since.map_or(now, |since| since.min(now));
        let since = is_alone.then_some(since);
        self.unkept.alone |= self.alone_since != since;
        self.alone_since = since;
    }

    /// Whether who has left has had as long to come back as a device has before it lapses.
    pub(crate) fn was_alone_for(&self, lapse: Duration, now: WallTime) -> bool {
        self.alone_since.is_some_and(|since| now.0.saturating_sub(since.0) >= lapse.0)
    }

    /// The latest acknowledgement of a device.
    pub(crate) fn ack_of(&self, device: &DeviceKey) -> Option<&Acknowledgement> {
        self.kept.get(device).map(|kept| &kept.ack)
    }

    /// Whether a device has any of these flags.
    pub(crate) fn has(&self, device: &DeviceKey, flags: &[Flag]) -> bool {
        self.kept.get(device).is_some_and(|kept| flags.iter().any(|flag| flag.is_within(&kept.joined)))
    }

    /// Whether a device holds logs as far as this.
    fn reaches(&self, device: &DeviceKey, goal: &Positions) -> bool {
        let held = |log| self.kept.get(device).and_then(|kept| kept.joined.get(log)).copied().unwrap_or(0);
        goal.iter().all(|(log, upto)| held(log) >= *upto)
    }

    /// Whether anything that matters changed since it was looked at last. `unsettled` are the members'
    /// devices whose latest acknowledgement was made by another roster, as far as it matters here.
    pub(crate) fn has_changed(
        &mut self,
        unsettled: BTreeSet<DeviceKey>,
        (roster, waits): (Digest, (u64, u64)),
        lapse: Duration,
        now: WallTime,
    ) -> bool {
        let lapsed = self.since.keys().map(|device| self.awaited(device, lapse, now));
        let lapsed = lapsed.filter(|awaited| matches!(awaited, Awaited::Lapsed(_))).count();
        let looked = Looked { roster, waits, lapse, taken: self.taken, lapsed };
        let is_same = self.unsettled == unsettled && self.looked == Some(looked);
        (self.unsettled, self.looked) = (unsettled, Some(looked));
        !is_same
    }

    /// The content was read anew: what was looked at was another.
    pub(crate) fn look_anew(&mut self) {
        self.looked = None;
    }

    /// Sees for whom what is flagged waits, and what is to be folded, and moves the frontier on by that.
    ///
    /// `members` are the devices of all members, `me` among them.
    pub(crate) fn look(
        &mut self,
        (me, members): (&DeviceKey, &BTreeSet<DeviceKey>),
        (tombstones, goal): (&Tombstones, Option<&Positions>),
        lapse: Duration,
        now: WallTime,
    ) {
        let lacks = |device: &DeviceKey| {
            let unknown = |(_, flags): (_, &[Flag])| !self.has(device, flags);
            let must_speak = |goal| !self.reaches(device, goal) || self.unsettled.contains(device);
            tombstones.waiting().any(unknown) || goal.is_some_and(must_speak)
        };
        let behind: BTreeSet<DeviceKey> =
            members.iter().filter(|d| *d != me && !self.has_stopped(d) && lacks(d)).copied().collect();
        let before = self.since.clone();
        self.since.retain(|device, since| {
            // Who lapsed is not awaited again before it has spoken.
            let lapsed = members.contains(device) && now.0.saturating_sub(since.0) >= lapse.0;
            behind.contains(device) || lapsed
        });
        for device in behind {
            let since = self.since.entry(device).or_insert(now);
            // A clock that was ahead must not make a device be waited for the longer.
            *since = (*since).min(now);
        }
        self.unkept.since |= before != self.since;
        let awaited: Vec<DeviceKey> =
            members.iter().filter(|device| self.counts(device, lapse, now)).copied().collect();
        self.advance(me, &awaited);
    }

    /// Moves the frontier on to what all awaited have.
    fn advance(&mut self, me: &DeviceKey, awaited: &[DeviceKey]) {
        let Some(own) = self.kept.get(me) else { return };
        let others = awaited.iter().filter(|device| *device != me);
        let others: Vec<Option<&Positions>> = match planted::is(Planted::PruneBeforeStable) {
            true => Vec::new(),
            false => others.map(|device| self.kept.get(device).map(|kept| &kept.joined)).collect(),
        };
        let least = |(log, own): (&LogId, &u64)| {
            let said = others.iter().map(|joined| joined.and_then(|all| all.get(log)).copied().unwrap_or(0));
            (*log, said.fold(*own, u64::min))
        };
        let now: Positions = own.joined.iter().map(least).filter(|(_, sequence)| *sequence > 0).collect();
        if planted::is(Planted::FrontierGoesBack) {
            self.unkept.frontier |= self.frontier != now;
            self.frontier = now;
            return;
        }
        for (log, sequence) in now {
            let known = self.frontier.entry(log).or_insert(0);
            self.unkept.frontier |= sequence > *known;
            *known = (*known).max(sequence);
        }
    }

    /// What all awaited have.
    pub(crate) fn frontier(&self) -> &Positions {
        &self.frontier
    }

    /// Nothing waits any more: nobody is waited for. Who has lapsed still has.
    pub(crate) fn rest(&mut self, lapse: Duration, now: WallTime) {
        let before = self.since.len();
        self.since.retain(|_, since| now.0.saturating_sub(since.0) >= lapse.0);
        self.unkept.since |= before != self.since.len();
    }

    /// When the next device lapses of those that are waited for, or who has left is waited for no longer.
    pub(crate) fn next_lapse(&self, lapse: Duration, now: WallTime) -> Option<Duration> {
        let left = self.since.values().chain(&self.alone_since).map(|since| {
            let due = since.0.saturating_add(lapse.0);
            due.saturating_sub(now.0)
        });
        left.filter(|left| *left > 0).min().map(Duration)
    }

    /// Forgets what devices said that are no member's any more.
    pub(crate) fn keep_members(&mut self, members: &BTreeSet<DeviceKey>) {
        let gone: Vec<DeviceKey> =
            self.kept.keys().filter(|device| !members.contains(device)).copied().collect();
        for device in gone {
            self.kept.remove(&device);
            self.unkept.acks.insert(device);
        }
    }
}
