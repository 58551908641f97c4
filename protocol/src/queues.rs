//! Measures what peers have made this node hold, so that it can be compared with its limits.
//!
//! For metrics and for tests that attack the node; the machine itself decides nothing by it.

use crate::ids::{LogHead, LogId};
use crate::replicator::{Load, Replicator};
use crate::sync::Arriving;

/// How much of what others cause is held at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Envelopes that wait in the document with most of them: `limits::WAITING_ENVELOPES_MAX`.
    pub waiting_envelopes: usize,
    /// Bytes of envelopes that wait in one document: `limits::WAITING_ENVELOPE_BYTES_MAX`.
    pub waiting_envelope_bytes: usize,
    /// Statements that wait in one roster: `limits::WAITING_STATEMENTS_MAX`.
    pub waiting_statements: usize,
    /// Names being stretched: `limits::STRETCHES_MAX`, and one for each thing being minted.
    pub stretches: usize,
    /// Names waiting to be stretched: `limits::STRETCHES_WAITING_MAX`.
    pub stretches_waiting: usize,
    /// Pages being loaded for peers: one for each document and peer.
    pub pages_loading: usize,
    /// Statements that one peer lists as its own: never more than the roster has.
    pub listed_statements: usize,
    /// Entities of which one peer said that it does not let us in: never more than we asked for.
    pub turned_away: usize,
    /// Requests to be let into the entity with most of them: `limits::REQUESTS_MAX`.
    pub requests: usize,
    /// Denials in the entity with most of them: `limits::REQUESTS_MAX`.
    pub denials: usize,
    /// Documents in how one peer said that it stands: `limits::STATE_DOCUMENTS_MAX` for each entity.
    pub peer_documents: usize,
    /// Places at which one peer is seen: `limits::PRESENCE_PLACES_MAX`.
    pub peer_places: usize,
    /// Logs in the state vectors of one peer: `limits::FRAME_LOGS_MAX` for each document.
    pub peer_logs: usize,
    /// Bytes of the snapshot that is being taken from a peer: `limits::SNAPSHOT_PACKED_BYTES_MAX`.
    pub snapshot_bytes: usize,
}

impl Replicator {
    /// Where a log stands here: the head that peers are shown, if the log is known.
    pub fn head_of(&self, log: &LogId) -> Option<LogHead> {
        let replicas = self.entities.values().find_map(|entity| entity.replicas.get(&log.document));
        replicas?.heads.get(log).copied()
    }

    /// Measures what is held because of others.
    pub fn queues(&self) -> Queues {
        let replicas = || self.entities.values().flat_map(|entity| entity.replicas.values());
        let sizes = || replicas().map(|replica| replica.waiting.size());
        let sessions = || self.sessions.values();
        let (running, waiting) = self.names.stretching();
        let logs = |session: &crate::session::Session| {
            session.shared.values().flat_map(|shared| shared.vectors.values()).map(|logs| logs.len()).sum()
        };
        let documents = |session: &crate::session::Session| {
            let states = session.shared.values().filter_map(|shared| shared.theirs.as_ref());
            states.map(|state| state.documents.len()).sum()
        };
        let listed = |session: &crate::session::Session| {
            session.listings.values().map(|listing| listing.have.len()).sum()
        };
        Queues {
            waiting_envelopes: sizes().map(|(count, _)| count).max().unwrap_or(0),
            waiting_envelope_bytes: sizes().map(|(_, bytes)| bytes).max().unwrap_or(0),
            waiting_statements: self.entities.values().map(|e| e.roster.waiting()).max().unwrap_or(0),
            stretches: running + self.minting.len(),
            stretches_waiting: waiting,
            pages_loading: self.loads.values().filter(|load| matches!(load, Load::Page(..))).count(),
            listed_statements: sessions().map(listed).max().unwrap_or(0),
            turned_away: sessions().map(|session| session.turned.len()).max().unwrap_or(0),
            requests: self.requests.values().map(|kept| kept.count().0).max().unwrap_or(0),
            denials: self.requests.values().map(|kept| kept.count().1).max().unwrap_or(0),
            peer_documents: sessions().map(documents).max().unwrap_or(0),
            peer_places: sessions().map(|session| session.seen.len()).max().unwrap_or(0),
            peer_logs: sessions().map(logs).max().unwrap_or(0),
            snapshot_bytes: self.arriving.as_ref().map_or(0, Arriving::bytes),
        }
    }
}
