//! One connected device: what it greeted us with, what both share, and what is being streamed.
//!
//! `sync` decides with it. Everything a peer can make us keep here is bounded, and gone when the
//! connection is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::epoch::Greeting;
use crate::ids::{Digest, DocumentKey, EntityId, LogHead, LogId, StatementId};
use crate::record::LoadId;
use crate::time::{Duration, Instant};
use crate::wire::{State, Turned};

/// A peer's faults are forgiven up to this many.
const PENALTIES_MAX: u32 = 10;

/// One connected device.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// What it greeted us with; looked at again whenever we enter an entity.
    pub(crate) greetings: BTreeSet<Greeting>,
    /// Entities that both hold the secret of.
    pub(crate) shared: BTreeMap<EntityId, Shared>,
    /// Where we knocked and were turned away.
    pub(crate) turned: BTreeMap<EntityId, Turned>,
    /// Where we knocked.
    pub(crate) knocked: BTreeSet<EntityId>,
    /// How often it may knock.
    pub(crate) knocks: Allowance,
    /// The rosters of which it lists what it has.
    pub(crate) listings: BTreeMap<EntityId, Listing>,
    penalties: u32,
}

/// What a peer says it has of a roster, until the last frame of the list has come.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Of the statements we have. What else it has does not change what it lacks.
    pub(crate) have: BTreeSet<StatementId>,
    /// How often it may be answered.
    pub(crate) answers: Allowance,
}

/// How often a peer may make us do something: a burst, then one for each stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    /// When all that was taken is made up for.
    even_at: Instant,
}

impl Allowance {
    /// Takes one. False if the peer has had `burst` and the time for another has not come.
    pub(crate) fn take(&mut self, now: Instant, burst: u64, every: Duration) -> bool {
        let latest = now + Duration(every.0.saturating_mul(burst));
        let even_at = self.even_at.max(now) + every;
        let granted = even_at <= latest;
        if granted {
            self.even_at = even_at;
        }
        granted
    }
}

/// What is known of a peer about one shared entity.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// How we last said we stand.
    pub(crate) told: Option<State>,
    /// How it last said it stands.
    pub(crate) theirs: Option<State>,
    /// The roster digests for which we have asked already.
    pub(crate) asked_roster: Option<(Digest, Digest)>,
    /// The vectors for which we have asked already.
    pub(crate) asked: BTreeMap<DocumentKey, (Digest, Digest)>,
    /// Forked logs of which it was given or asked for a branch since all was last told.
    pub(crate) branches: BTreeSet<LogId>,
    /// How often its state may make us ask.
    pub(crate) asks: Allowance,
    /// Its state vectors, as last told and since then advanced by what it sent and was sent.
    pub(crate) vectors: BTreeMap<DocumentKey, BTreeMap<LogId, LogHead>>,
    /// What we stream to it, one page at a time for each document.
    pub(crate) streams: BTreeMap<DocumentKey, Stream>,
}

/// The logs of one document that a peer lacks the end of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Logs still to be sent, with the sequence after which it lacks them.
    pub(crate) logs: VecDeque<(LogId, u64)>,
    pub(crate) page: Paging,
}

/// Where the one page of a stream is that may be under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paging {
    /// Nowhere.
    #[default]
    None,
    /// It is being loaded: the end of this log after this sequence.
    Loading(LoadId, LogId, u64),
    /// It was sent, and the peer was told to ask for the next one.
    Sent,
}

impl Session {
    /// Notes a fault. True if the peer has had its share and must go.
    pub(crate) fn penalize(&mut self) -> bool {
        self.penalties += 1;
        self.penalties > PENALTIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_gives_a_burst_and_then_one_for_each_stretch_of_time() {
        let mut allowance = Allowance::default();
        let mut granted = |at| allowance.take(Instant(at), 3, Duration(100));
        assert_eq!([0, 0, 0, 0].map(&mut granted), [true, true, true, false]);
        assert_eq!([99, 100, 100, 199, 200].map(&mut granted), [false, true, false, false, true]);
        assert_eq!([5_000; 4].map(&mut granted), [true, true, true, false], "it never saves up more");
    }
}
