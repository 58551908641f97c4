//! Envelopes that came too early: before their predecessor, a roster head, a key or an origin.
//!
//! Kept in our own bounded queue, never in yrs, where early arrivals are slow and corrupt
//! observers. What does not fit is dropped: the state vector does not count it, so the next
//! exchange with a peer brings it again.

use std::collections::{BTreeMap, BTreeSet};

use crate::envelope::Envelope;
use crate::ids::LogId;
use crate::limits::{WAITING_ENVELOPE_BYTES_MAX, WAITING_ENVELOPES_MAX};

/// What an envelope waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// The envelope before it in its log.
    Predecessor,
    /// A roster head it names.
    Roster,
    /// The key of its epoch.
    Key,
    /// A block of another log that it builds on.
    Origin,
    /// The document, which is being loaded.
    Document,
}

/// The waiting envelopes of one document.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    envelopes: BTreeMap<(LogId, u64), (Envelope, Want)>,
    bytes: usize,
}

impl Waiting {
    /// Keeps an envelope, unless one waits at its place already or there is no room.
    pub(crate) fn keep(&mut self, envelope: Envelope, want: Want) {
        let length = envelope.bytes().len();
        let place = (envelope.header.log, envelope.header.sequence);
        let full =
            self.envelopes.len() >= WAITING_ENVELOPES_MAX || self.bytes + length > WAITING_ENVELOPE_BYTES_MAX;
        if !full && !self.envelopes.contains_key(&place) {
            self.bytes += length;
            self.envelopes.insert(place, (envelope, want));
        }
    }

    /// Takes out the envelope that waits at this place of a log.
    pub(crate) fn take(&mut self, log: LogId, sequence: u64) -> Option<Envelope> {
        let (envelope, _) = self.envelopes.remove(&(log, sequence))?;
        self.bytes -= envelope.bytes().len();
        Some(envelope)
    }

    /// Logs that have anything waiting.
    pub(crate) fn logs(&self) -> Vec<LogId> {
        let logs: BTreeSet<LogId> = self.envelopes.keys().map(|(log, _)| *log).collect();
        logs.into_iter().collect()
    }

    /// How many wait for this.
    pub(crate) fn count(&self, want: Want) -> usize {
        self.envelopes.values().filter(|(_, w)| *w == want).count()
    }

    /// Whether none wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }
}
