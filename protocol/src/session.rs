//! One connected device: what it greeted us with, what both share, and what is being streamed.
//!
//! `sync` decides with it. Everything a peer can make us keep here is bounded, and gone when the
//! connection is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::epoch::Greeting;
use crate::ids::Digest;
use crate::ids::{DocumentKey, EntityId, LogHead, LogId, StatementId};
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
    penalties: u32,
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
    /// Its statement ids, until the last frame of them has come.
    pub(crate) have: BTreeSet<StatementId>,
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
    /// A page is being loaded, or was sent and not yet asked on.
    pub(crate) busy: bool,
}

impl Session {
    /// Notes a fault. True if the peer has had its share and must go.
    pub(crate) fn penalize(&mut self) -> bool {
        self.penalties += 1;
        self.penalties > PENALTIES_MAX
    }
}
