//! What follows from the statements that count: members, roles, devices, cuts, the epoch.
//!
//! The replicator asks it who may read, write and be sealed to. It is computed anew from the
//! whole graph whenever that has grown, and equal for equal sets of statements.

use std::collections::{BTreeMap, BTreeSet};

use super::Role;
use super::fact::Act;
use super::fitting::greatest_epoch;
use super::graph::Graph;
use super::judge::{Heirs, Judgement};
use super::table::{MemberIx, SeatIx, StatementIx};
use crate::ids::{DeviceKey, LogHead, LogId, PersonId, StatementId};

/// The heads up to which logs count; beyond them, and in logs not named, nothing does.
pub type Cut = BTreeMap<LogId, LogHead>;

/// One set of statements, read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Who is in.
    pub members: BTreeMap<PersonId, Member>,
    /// For each membership that ended, how far its logs count.
    pub cuts: BTreeMap<StatementId, Cut>,
    /// What does not count, and why.
    pub ignored: BTreeMap<StatementId, Reason>,
    /// The epoch to write under; if there is none, a member's device opens one.
    pub epoch: Option<StatementId>,
    devices: BTreeMap<DeviceKey, Seated>,
    /// All keys of all members, roots too.
    pub(super) keys: BTreeSet<DeviceKey>,
    pub(super) judgement: Judgement,
}

/// One member, by the membership with the highest role, the senior one among equals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the person may do.
    pub role: Role,
    /// The adding statement.
    pub membership: StatementId,
    /// Place in the order of seniority, from 0; smaller is senior.
    pub rank: usize,
    /// The devices of this membership, ascending.
    pub devices: Vec<DeviceKey>,
    /// The root key, unless it was revoked.
    pub root: Option<DeviceKey>,
}

/// Why a statement does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its author's membership or certification does not count, or there is none.
    NoSeat,
    /// What ended its author did not know of it.
    AuthorEnded,
    /// Its author lacked the role.
    NoRight,
    /// The invite it came by was closed.
    InviteClosed,
}

#[derive(Clone, Copy, Debug)]
struct Seated {
    person: PersonId,
    membership: StatementId,
}

impl Graph {
    /// Reads the whole graph.
    pub fn read(&self) -> Reading {
        Reading::of(self, &mut Heirs::default())
    }
}

impl Reading {
    pub(super) fn of(graph: &Graph, heirs: &mut Heirs) -> Reading {
        let judgement = Judgement::of(graph, heirs);
        let mut by_role = judgement.standing.clone();
        by_role.sort_by_key(|m| (judgement.heir != Some(*m), std::cmp::Reverse(judgement.role(graph, *m))));
        let mut members = BTreeMap::new();
        let mut devices = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for m in by_role {
            let membership = &graph.memberships[m];
            let member = member(graph, &judgement, m);
            let seated = Seated { person: membership.person, membership: member.membership };
            for device in &member.devices {
                devices.entry(*device).or_insert(seated);
            }
            keys.extend(member.devices.iter().chain(&member.root));
            members.entry(membership.person).or_insert(member);
        }
        let ended = judgement.ends.iter().filter(|(m, ends)| {
            !ends.is_empty() && judgement.counts.contains(graph.memberships[*m].statement)
        });
        let cuts = ended
            .map(|(m, _)| {
                let seats = graph.seats_of(m).into_iter().filter(|seat| judgement.is_seated(graph, *seat));
                let keys = seats.map(|seat| graph.seats[seat].key).collect();
                (graph.id(graph.memberships[m].statement), reach_of_ended(graph, &judgement, m, &keys))
            })
            .collect();
        let ignored = judgement.ignored.iter().map(|(at, why)| (graph.id(*at), *why)).collect();
        let epoch = greatest_epoch(graph, &judgement, &keys, |_| true);
        Reading { members, cuts, ignored, epoch, devices, keys, judgement }
    }

    /// How far logs of these keys are named by what ended a membership, whosever they are; none
    /// if it did not end. `cuts` has the membership's own.
    pub fn named_at_end(
        &self,
        graph: &Graph,
        membership: &StatementId,
        keys: &BTreeSet<DeviceKey>,
    ) -> Option<Cut> {
        self.cuts.get(membership)?;
        let m = graph.membership(membership)?;
        Some(reach_of_ended(graph, &self.judgement, m, keys))
    }

    /// Whether the person is in.
    pub fn is_member(&self, person: &PersonId) -> bool {
        self.members.contains_key(person)
    }

    /// What the person may do now.
    pub fn role_of(&self, person: &PersonId) -> Option<Role> {
        self.members.get(person).map(|member| member.role)
    }

    /// Whose device it is, and under which membership, if that stands and the device is not
    /// revoked. The root key is no device.
    pub fn member_of(&self, device: &DeviceKey) -> Option<(PersonId, StatementId)> {
        self.devices.get(device).map(|seated| (seated.person, seated.membership))
    }

    /// All devices of all members, ascending.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceKey, PersonId)> {
        self.devices.iter().map(|(device, seated)| (*device, seated.person))
    }
}

fn member(graph: &Graph, judgement: &Judgement, m: MemberIx) -> Member {
    let seats = graph
        .seats_of(m)
        .into_iter()
        .filter(|seat| judgement.is_seated(graph, *seat) && judgement.revoked[*seat].is_empty());
    let (devices, roots): (Vec<SeatIx>, Vec<SeatIx>) =
        seats.partition(|seat| graph.seats[*seat].kind.is_device());
    let devices: BTreeSet<DeviceKey> = devices.iter().map(|seat| graph.seats[*seat].key).collect();
    Member {
        role: if judgement.heir == Some(m) { Role::Owner } else { judgement.role(graph, m) },
        membership: graph.id(graph.memberships[m].statement),
        rank: judgement.position[m],
        devices: devices.into_iter().collect(),
        root: roots.first().map(|seat| graph.seats[*seat].key),
    }
}

fn reach_of_ended(graph: &Graph, judgement: &Judgement, m: MemberIx, keys: &BTreeSet<DeviceKey>) -> Cut {
    reach(graph, judgement, &judgement.ends[m], keys)
}

/// How far the logs of these keys count once `acts` cut them: as far as the furthest of the acts
/// and of what was declared held against them reaches. Who was lowered cannot spare itself.
pub(super) fn reach(
    graph: &Graph,
    judgement: &Judgement,
    acts: &[StatementIx],
    keys: &BTreeSet<DeviceKey>,
) -> Cut {
    let mut reach = Cut::new();
    for act in acts {
        let lowered = match graph.nodes[*act].fact.act {
            Act::SetRole(person, ..) => Some(person),
            _ => None,
        };
        let vouches = |held: &&StatementIx| {
            judgement.counts.contains(**held) && Some(graph.nodes[**held].fact.by.person) != lowered
        };
        let held = graph.held(&graph.nodes[*act].fact.id).iter();
        for at in held.filter(vouches).chain([act]) {
            for (log, head) in graph.nodes[*at].fact.act.vectors() {
                if keys.contains(&log.device) {
                    let furthest = reach.entry(*log).or_insert(*head);
                    if further(head, furthest) {
                        *furthest = *head;
                    }
                }
            }
        }
    }
    reach
}

/// Whether a head reaches further; of two branches of one length the smaller hash does.
fn further(head: &LogHead, than: &LogHead) -> bool {
    (head.sequence, std::cmp::Reverse(head.hash)) > (than.sequence, std::cmp::Reverse(than.hash))
}
