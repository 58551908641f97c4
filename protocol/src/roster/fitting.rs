//! Which epochs fit who is in: nobody else holds the key, and no honest device will give it away.
//!
//! `reading` asks it for the epoch to write under. A device that knows an epoch knows what its
//! author knew. So where the author knew of each ending, nobody who does not know of an ending can
//! seal that epoch to whom it ended, as somebody might who hears of a removal last.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::judge::Judgement;
use super::reading::Reason;
use super::table::StatementIx;
use crate::ids::{DeviceKey, StatementId};
use crate::planted::{self, Planted};

/// The greatest epoch by counter, rank and hash that fits who is in, among those that are
/// `eligible`.
pub(super) fn greatest_epoch(
    graph: &Graph,
    judgement: &Judgement,
    members: &BTreeSet<DeviceKey>,
    eligible: impl Fn(StatementIx) -> bool,
) -> Option<StatementId> {
    let rank = |at: StatementIx| {
        let seat = graph.nodes[at].seat;
        seat.map(|seat| judgement.position[graph.seats[seat].membership])
    };
    let counts = |at: &StatementIx| judgement.counts.contains(*at) && eligible(*at);
    let mut epochs: Vec<StatementIx> = graph.epochs().iter().copied().filter(counts).collect();
    epochs.sort_by_key(|at| std::cmp::Reverse((graph.epoch_counter(*at), rank(*at), graph.id(*at))));
    let endings = endings(graph, judgement);
    let knows = |at: StatementIx, acts: &[StatementIx]| acts.iter().any(|act| graph.knew(at, *act));
    let fits = |at: &StatementIx| {
        planted::is(Planted::EpochOfRemoved)
            || knowers(graph, *at, Some(members)).is_some() && endings.iter().all(|acts| knows(*at, acts))
    };
    epochs.into_iter().find(fits).map(|at| graph.id(at))
}

/// The keys of all that hold an epoch: its author, whom it was sealed to, and whom they sealed it
/// to, whether or not that counts. `None` if one of them is not among `members`.
pub(super) fn knowers(
    graph: &Graph,
    epoch: StatementIx,
    members: Option<&BTreeSet<DeviceKey>>,
) -> Option<BTreeSet<DeviceKey>> {
    let fact = &graph.nodes[epoch].fact;
    let mut sealed: BTreeMap<DeviceKey, Vec<&[DeviceKey]>> = BTreeMap::new();
    for (by, devices) in graph.seals(&fact.id) {
        sealed.entry(by).or_default().push(devices);
    }
    let mut knowers = BTreeSet::new();
    let mut next = vec![fact.by.key];
    next.extend(graph.epoch_recipients(epoch));
    while let Some(key) = next.pop() {
        if members.is_some_and(|members| !members.contains(&key)) {
            return None;
        }
        if knowers.insert(key) {
            next.extend(sealed.get(&key).into_iter().flatten().copied().flatten());
        }
    }
    Some(knowers)
}

/// For all that ended or never came to count the acts that are behind it: of each an epoch's author
/// must have known one.
fn endings(graph: &Graph, judgement: &Judgement) -> Vec<Vec<StatementIx>> {
    let ended = judgement.ends.iter().map(|(_, ends)| ends.clone());
    let revoked = judgement.revoked.iter().map(|(_, revoked)| revoked.clone());
    let mut endings: Vec<Vec<StatementIx>> = ended.chain(revoked).collect();
    for (_, membership) in graph.memberships.iter() {
        let at = membership.statement;
        let adder = graph.nodes[at].seat.map(|seat| graph.seats[seat].membership);
        match (judgement.ignored.get(&at), membership.invite, adder) {
            (Some(Reason::InviteClosed), Some(invite), _) => {
                let mut closings = judgement.closed(graph, invite);
                closings.retain(|closing| !graph.knew(*closing, at));
                endings.push(closings);
            }
            (Some(Reason::NoRight), _, Some(adder)) => {
                let apart = |act: &&StatementIx| !graph.knew(at, **act) && !graph.knew(**act, at);
                let changes = judgement.changes[adder].iter().filter(apart);
                endings.extend(changes.map(|act| vec![*act]));
            }
            _ => {}
        }
    }
    endings.retain(|acts| !acts.is_empty());
    endings
}
