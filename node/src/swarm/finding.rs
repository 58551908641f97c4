//! Offers to be found under keys, and searches for who offers, at the relays.
//!
//! Kademlia keeps the records; this keeps which of its queries belongs to which key and how many
//! run. The swarm task hands orders and results through. Members are clients: they store nothing
//! for others and answer no queries. Invariant: at most `SEARCHES_MAX` searches run, one for a key.

use std::collections::{BTreeSet, VecDeque};

use fourword_protocol::ids::Digest;
use fourword_protocol::limits::OFFERED_KEYS_MAX;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::kad::{self, Mode, QueryId, RecordKey};
use libp2p::{PeerId, StreamProtocol};

use crate::limits::{OFFER_EVERY, OFFER_FOR, SEARCH_TIMEOUT, SEARCHES_MAX};

/// The name of our own table, in which nothing else is found.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/fourword/find/1");

/// The library's table, with a member's own records in memory.
pub(super) type Table = kad::Behaviour<MemoryStore>;

/// The settings that members and relays share.
pub(crate) fn settings() -> kad::Config {
    let mut config = kad::Config::new(PROTOCOL);
    config
        .set_query_timeout(SEARCH_TIMEOUT)
        .set_provider_record_ttl(Some(OFFER_FOR))
        .set_provider_publication_interval(Some(OFFER_EVERY))
        // No values are kept in the table, so none are copied on.
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_caching(kad::Caching::Disabled)
        .set_periodic_bootstrap_interval(None)
        // Asked are the relays that the node was started with, and nobody else who offers to answer.
        .set_kbucket_inserts(kad::BucketInserts::Manual);
    config
}

/// The table of a member, who only asks.
pub(super) fn table(own: PeerId) -> Table {
    let limits = MemoryStoreConfig {
        max_records: 0,
        max_provided_keys: OFFERED_KEYS_MAX,
        ..MemoryStoreConfig::default()
    };
    let mut table = Table::with_config(own, MemoryStore::with_config(own, limits), settings());
    table.set_mode(Some(Mode::Client));
    table
}

/// What is offered and searched for.
#[derive(Default)]
pub(super) struct Finding {
    offered: BTreeSet<Digest>,
    running: Vec<(QueryId, Digest)>,
    waiting: VecDeque<Digest>,
}

impl Finding {
    /// Offers to be found under a key from now on.
    pub(super) fn offer(&mut self, table: &mut Table, key: Digest) {
        if self.offered.insert(key) {
            publish(table, key);
        }
    }

    /// Offers it no more. Relays forget it by themselves.
    pub(super) fn withdraw(&mut self, table: &mut Table, key: Digest) {
        if self.offered.remove(&key) {
            table.stop_providing(&record(key));
        }
    }

    /// Offers everything anew: a relay that was away has forgotten all of it.
    pub(super) fn offer_again(&self, table: &mut Table) {
        self.offered.iter().for_each(|key| publish(table, *key));
    }

    /// Searches once, as soon as there is room.
    pub(super) fn find(&mut self, table: &mut Table, key: Digest) {
        let is_known = self.waiting.contains(&key) || self.running.iter().any(|(_, running)| *running == key);
        if !is_known && self.waiting.len() < OFFERED_KEYS_MAX {
            self.waiting.push_back(key);
            self.begin(table);
        }
    }

    fn begin(&mut self, table: &mut Table) {
        while self.running.len() < SEARCHES_MAX
            && let Some(key) = self.waiting.pop_front()
        {
            self.running.push((table.get_providers(record(key)), key));
        }
    }

    /// Takes what a query brought: the key and who offers to be found under it, if anybody does.
    pub(super) fn progressed(
        &mut self,
        table: &mut Table,
        id: QueryId,
        result: kad::QueryResult,
        last: bool,
    ) -> Option<(Digest, Vec<PeerId>)> {
        let key = self.running.iter().find(|(running, _)| *running == id).map(|(_, key)| *key);
        if last {
            self.running.retain(|(running, _)| *running != id);
            self.begin(table);
        }
        match result {
            kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })) => {
                Some((key?, providers.into_iter().collect()))
            }
            kad::QueryResult::StartProviding(Err(error)) => {
                tracing::debug!(%error, "no relay keeps where this node is found");
                None
            }
            _ => None,
        }
    }
}

fn publish(table: &mut Table, key: Digest) {
    // Fails only beyond as many keys as the machine may offer.
    if let Err(error) = table.start_providing(record(key)) {
        tracing::warn!(%error, "cannot offer to be found");
    }
}

fn record(key: Digest) -> RecordKey {
    RecordKey::new(&key.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> impl Iterator<Item = Digest> {
        (0..count).map(|number| Digest(*blake3::hash(&number.to_be_bytes()).as_bytes()))
    }

    #[test]
    fn a_few_searches_run_and_the_others_wait_for_their_turn() {
        let (mut finding, mut table) = (Finding::default(), table(PeerId::random()));
        for key in keys(SEARCHES_MAX + 3).chain(keys(SEARCHES_MAX + 3)) {
            finding.find(&mut table, key);
        }
        assert_eq!((finding.running.len(), finding.waiting.len()), (SEARCHES_MAX, 3));
        let (id, _) = finding.running[0];
        let nothing = kad::GetProvidersOk::FinishedWithNoAdditionalRecord { closest_peers: Vec::new() };
        let result = kad::QueryResult::GetProviders(Ok(nothing));
        assert_eq!(finding.progressed(&mut table, id, result, true), None);
        assert_eq!((finding.running.len(), finding.waiting.len()), (SEARCHES_MAX, 2));
    }

    #[test]
    fn what_waits_to_be_searched_for_is_bounded() {
        let (mut finding, mut table) = (Finding::default(), table(PeerId::random()));
        for key in keys(OFFERED_KEYS_MAX + SEARCHES_MAX + 1) {
            finding.find(&mut table, key);
        }
        assert_eq!(finding.waiting.len(), OFFERED_KEYS_MAX);
    }

    #[test]
    fn as_many_keys_are_offered_as_may_be() {
        let (mut finding, mut table) = (Finding::default(), table(PeerId::random()));
        for key in keys(OFFERED_KEYS_MAX) {
            finding.offer(&mut table, key);
        }
        let first = keys(1).next().unwrap();
        finding.withdraw(&mut table, first);
        assert!(!finding.offered.contains(&first));
        finding.offer_again(&mut table);
        assert_eq!(finding.offered.len(), OFFERED_KEYS_MAX - 1);
    }
}
