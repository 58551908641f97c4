//! One connected device: what it greeted us with, what both share, and what is being streamed.
//!
//! `sync` decides with it. Everything a peer can make us keep here is bounded, and gone when the
//! connection is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::checkpoint::Signed;
use crate::epoch::Greeting;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogHead, LogId, PersonId, StatementId};
use crate::presence::Seen;
use crate::record::LoadId;
use crate::sync::Coming;
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
    /// Where it has shown that it may become a device of this member.
    pub(crate) returning: BTreeMap<EntityId, PersonId>,
    /// Where it lets us in: it gave us the roster of what we are joining.
    pub(crate) lets_in: BTreeSet<EntityId>,
    /// How often we knock at it, and for which entity we did so last.
    pub(crate) knocking: Allowance,
    pub(crate) knocked_last: Option<EntityId>,
    /// Whether it was asked for the home of this device's person.
    pub(crate) home_sought: bool,
    /// How often it may knock.
    pub(crate) knocks: Allowance,
    /// How often it may show a link code.
    pub(crate) link_shows: Allowance,
    /// How often it may ask which entity has some words.
    pub(crate) seeks: Allowance,
    /// The rosters of which it lists what it has.
    pub(crate) listings: BTreeMap<EntityId, Listing>,
    /// How often it may ask for keys.
    pub(crate) key_asks: Allowance,
    /// How often it may say where it is reached.
    pub(crate) meetings: Allowance,
    /// How often it may ask whether it is spared as a keeper of documents.
    pub(crate) spares: Allowance,
    /// How often it may compare everything.
    pub(crate) quiets: Allowance,
    /// How often it may show what its person does, and what that is.
    pub(crate) presences: Allowance,
    pub(crate) seen: Seen,
    /// The number of the state that it was told last.
    pub(crate) told: u64,
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
        let granted = !self.is_spent(now, burst, every);
        if granted {
            self.even_at = self.even_at.max(now) + every;
        }
        granted
    }

    /// Whether the burst is used up, and the time for another has not come.
    pub(crate) fn is_spent(&self, now: Instant, burst: u64, every: Duration) -> bool {
        self.even_at.max(now) + every > now + Duration(every.0.saturating_mul(burst))
    }

    /// Whether all that was taken is made up for.
    pub(crate) fn is_even(&self, now: Instant) -> bool {
        self.even_at <= now
    }

    /// When the next one can be taken: now, or once the time for another has come.
    pub(crate) fn free_at(&self, now: Instant, burst: u64, every: Duration) -> Instant {
        let spared = every.0.saturating_mul(burst.saturating_sub(1));
        Instant(self.even_at.0.saturating_sub(spared)).max(now)
    }
}

/// What is known of a peer about one shared entity.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// How we last said we stand.
    pub(crate) told: Option<State>,
    /// How it last said it stands, and the number of that.
    pub(crate) theirs: Option<State>,
    pub(crate) theirs_number: Option<u64>,
    /// The roster digests for which we have asked already.
    pub(crate) asked_roster: Option<(Digest, Digest)>,
    /// The vectors for which we have asked already.
    pub(crate) asked: BTreeMap<DocumentKey, (Digest, Digest)>,
    /// Our vectors for which we have asked for what is missing before that which waits.
    pub(crate) asked_gaps: BTreeMap<DocumentKey, Digest>,
    /// Forked logs of which it was given or asked for a branch since all was last told.
    pub(crate) branches: BTreeSet<LogId>,
    /// How often its state may make us ask.
    pub(crate) asks: Allowance,
    /// Whether it was told who asks to be let in.
    pub(crate) told_requests: bool,
    /// How often it may pass requests on.
    pub(crate) requests: Allowance,
    /// Its state vectors, as it last showed them: the logs that are held here, and some others.
    pub(crate) vectors: BTreeMap<DocumentKey, BTreeMap<LogId, LogHead>>,
    /// State vectors of which frames are still to come.
    pub(crate) coming: BTreeMap<DocumentKey, Coming>,
    /// Bytes of statements that it sent since it was last shown what is held here.
    pub(crate) statement_bytes: usize,
    /// What it knows of who holds documents, by what passed between us.
    pub(crate) acks: BTreeMap<DocumentKey, AcksKnown>,
    /// What we stream to it, one page at a time for each document.
    pub(crate) streams: BTreeMap<DocumentKey, Stream>,
}

/// What a peer knows of who holds one document.
#[derive(Debug, Default)]
pub(crate) struct AcksKnown {
    /// Something waits for acknowledgements there.
    pub(crate) waits: bool,
    /// It was told that something waits here.
    pub(crate) told: bool,
    /// What it was told may not have come.
    pub(crate) is_unsure: bool,
    /// The number of the latest of each device that it sent or was sent.
    pub(crate) numbers: BTreeMap<DeviceKey, u64>,
    /// Devices of which it is shown the latest that is known here, as it knows another.
    pub(crate) corrects: BTreeSet<DeviceKey>,
    /// The number by which it said that it keeps the document no longer; noted where this device does
    /// not keep it either.
    pub(crate) stopped: Option<u64>,
    /// The checkpoint that it was told last, and whose signatures of it it knows.
    pub(crate) passed: Option<(Digest, BTreeSet<DeviceKey>)>,
    /// The checkpoint that it showed last, other than what is known here already.
    pub(crate) shown: Option<Signed>,
    /// Names what the last Checkpoint said that it was sent, and what the last one said that it sent.
    pub(crate) told_checkpoint: Option<Digest>,
    pub(crate) heard_checkpoint: Option<Digest>,
    /// How often it may show one.
    pub(crate) showings: Allowance,
    /// How often its snapshot is taken.
    pub(crate) snapshots: Allowance,
}

/// The logs of one document that a peer lacks the end of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Logs still to be sent, with the sequence after which it lacks them.
    pub(crate) logs: VecDeque<(LogId, u64)>,
    /// The part of our snapshot that is to be sent before all else.
    pub(crate) part: Option<u32>,
    pub(crate) page: Paging,
    /// So many requests are still to come for pages that a vector has shown to be there.
    pub(crate) overtaken: u32,
}

impl Stream {
    /// Whether there is something left to give, and a page of it is on its way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.page != Paging::None && (self.part.is_some() || !self.logs.is_empty())
    }
}

/// Where the one page of a stream is that may be under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paging {
    /// Nowhere.
    #[default]
    None,
    /// It is being loaded: the end of this log after this sequence.
    Loading(LoadId, LogId, u64),
    /// This part of the snapshot is being loaded.
    LoadingPart(LoadId, u32),
    /// It was sent, up to this sequence of this log, and the peer was told to ask for the next one.
    Sent(LogId, u64),
    /// A part of the snapshot was sent that is not the last.
    SentPart,
}

impl Paging {
    /// Whether the peer has the page, and is to ask for the next one.
    fn is_with_the_peer(self) -> bool {
        matches!(self, Paging::Sent(..) | Paging::SentPart)
    }
}

impl AcksKnown {
    /// Has the peer shown the latest of a device that is known here, whatever passed before.
    pub(crate) fn correct(&mut self, device: DeviceKey) {
        self.numbers.remove(&device);
        self.corrects.insert(device);
    }
}

impl Shared {
    /// Takes the number of a state. False if one that was told later has come already.
    pub(crate) fn takes_number(&mut self, number: u64) -> bool {
        if self.theirs_number == Some(number) || self.is_before_last(number) {
            return false;
        }
        self.theirs_number = Some(number);
        true
    }

    /// Whether a state that was told after that number has come already.
    pub(crate) fn is_before_last(&self, number: u64) -> bool {
        self.theirs_number.is_some_and(|last| last >> 32 == number >> 32 && number < last)
    }

    /// Gives up pages that wait for the peer to ask on, and says of which documents.
    pub(crate) fn drop_hanging(&mut self) -> Vec<DocumentKey> {
        let hanging = self.streams.iter_mut().filter(|(_, stream)| stream.page.is_with_the_peer());
        let dropped = hanging.map(|(document, stream)| {
            stream.page = Paging::None;
            // Parts are put together by who sees all of them.
            stream.part.iter_mut().for_each(|part| *part = 0);
            *document
        });
        dropped.collect()
    }

    /// Forgets what it was sent of who holds documents, where that may have been lost on the way.
    pub(crate) fn forget_told_acks(&mut self) {
        for known in self.acks.values_mut() {
            known.numbers.clear();
            (known.passed, known.told_checkpoint) = (None, None);
            known.is_unsure = true;
        }
    }

    /// Forgets which checkpoints it told: it tells them anew.
    pub(crate) fn forget_heard_checkpoints(&mut self) {
        self.acks.values_mut().for_each(|known| known.heard_checkpoint = None);
    }

    /// Forgets what was asked for of documents.
    pub(crate) fn ask_documents_anew(&mut self) {
        self.asked.clear();
        self.asked_gaps.clear();
    }

    /// Forgets what was asked for: it may have been lost on the way, and is asked for once more.
    pub(crate) fn ask_anew(&mut self) {
        self.ask_documents_anew();
        self.branches.clear();
        self.asked_roster = None;
    }
}

impl Session {
    /// A connection that was made just now. `salt` tells its numbers from those of others.
    pub(crate) fn new(salt: u32) -> Session {
        Session { told: u64::from(salt) << 32, ..Session::default() }
    }

    /// Forgets what is known of the peer about one entity.
    pub(crate) fn forget(&mut self, entity: &EntityId) {
        self.shared.remove(entity);
        self.turned.remove(entity);
        self.knocked.remove(entity);
        self.listings.remove(entity);
        self.returning.remove(entity);
        self.lets_in.remove(entity);
    }

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

    #[test]
    fn of_two_states_of_one_connection_the_later_counts_and_another_connection_begins_anew() {
        let mut shared = Shared::default();
        let mut takes = |numbers: [u64; 3]| numbers.map(|number| shared.takes_number(number));
        assert_eq!(takes([7 << 32 | 2, 7 << 32 | 1, 7 << 32 | 2]), [true, false, false]);
        assert_eq!(takes([7 << 32 | 3, 6 << 32 | 1, 6 << 32 | 2]), [true, true, true]);
    }

    #[test]
    fn an_allowance_says_when_it_gives_again_and_then_gives() {
        let (mut allowance, every) = (Allowance::default(), Duration(100));
        let mut now = Instant(1_000);
        for _ in 0..9 {
            let free = allowance.free_at(now, 3, every);
            if free > now {
                assert!(!allowance.take(Instant(free.0 - 1), 3, every), "not before its time");
            }
            now = free;
            assert!(allowance.take(now, 3, every));
        }
        assert_eq!(now, Instant(1_600), "three at once, then one in a hundred");
    }
}
