//! Holds what a home remembers as wanted against what its node says once it is started again.
//!
//! Wants are read from the bytes on disk and not asked of the machine. What another device showed
//! and this home does not hold is missing, whoever is connected.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::bytes::{Malformed, Reader};
use fourword_protocol::command::SyncState;
use fourword_protocol::ids::{DeviceKey, DocumentKey, EntityId, Incarnation, LogHead, LogId};
use fourword_protocol::limits::WANTED_LOGS_MAX;
use fourword_protocol::record::LocalKey;

use super::verdict::{Rule, Violation, demand};
use crate::cluster::Cluster;

/// Something that a device showed and a home does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    by: DeviceKey,
    log: LogId,
}

/// What is wanted by what a home holds when it is opened.
pub(super) fn wanted(
    locals: &[(LocalKey, Vec<u8>)],
    heads: &[(EntityId, LogId, LogHead)],
) -> BTreeSet<Wanted> {
    let held: BTreeMap<LogId, u64> = heads.iter().map(|(_, log, head)| (*log, head.sequence)).collect();
    let values = locals.iter().filter(|(key, _)| key.kind == "want");
    let shown = values.filter_map(|(key, value)| read(&key.of, value).ok()).flatten();
    let lacking = shown.filter(|(wanted, sequence)| held.get(&wanted.log).is_none_or(|held| held < sequence));
    lacking.map(|(wanted, _)| wanted).collect()
}

fn read(of: &[u8], value: &[u8]) -> Result<Vec<(Wanted, u64)>, Malformed> {
    let mut key = Reader::new(of);
    let (document, by) = (DocumentKey(key.array()?), DeviceKey(key.array()?));
    let mut reader = Reader::new(value);
    reader.list(WANTED_LOGS_MAX, |reader| {
        let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
        Ok((Wanted { by, log: LogId { document, device, incarnation } }, reader.u64()?))
    })
}

/// A node that was just started says that what it wants is missing, of whoever is still in.
pub(super) fn judge(c: &Cluster, name: &str, wanted: &BTreeSet<Wanted>) -> Result<(), Violation> {
    let claims = c.node(name).machine.claims();
    let forgotten = |wanted: &&Wanted| {
        let of_document = claims.iter().filter(|claim| claim.document == wanted.log.document);
        let is_in = |device| of_document.clone().any(|claim| claim.device == device);
        let said = of_document.clone().find(|claim| claim.device == wanted.by);
        is_in(wanted.log.device) && said.is_some_and(|claim| claim.state == SyncState::Alone)
    };
    demand(!wanted.iter().any(|wanted| forgotten(&wanted)), Rule::WantIsKept, || {
        format!("{name} has on its disk that something is missing, and does not say so when started again")
    })
}
