//! What a node asks of a roster besides who is in: under which role something was written, who
//! can open an epoch, where keys are sealed to, how an invite stands.
//!
//! The document layer judges envelopes by `role_at`, the epoch layer seals by the rest. Every
//! answer is a function of the set of statements alone.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Role;
use super::bits::Bits;
use super::body::{Body, Seal};
use super::fact::Act;
use super::fitting::{greatest_epoch, knowers};
use super::graph::{Graph, Membership};
use super::judge::Heirs;
use super::reading::{Reading, reach};
use super::set::Roster;
use super::statement::Statement;
use super::table::{MemberIx, SeatIx, StatementIx};
use crate::ids::{DeviceKey, LogHead, LogId, PersonId, SealingKey, StatementId, VerifyingKey};
use crate::planted::{self, Planted};
use crate::time::WallTime;

/// An invite as the roster knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Its public key.
    pub key: VerifyingKey,
    /// Who made it.
    pub opener: PersonId,
    /// Its `OpenInvite`.
    pub statement: StatementId,
    /// With which role it lets in.
    pub role: Role,
    /// Until when; checked by who admits.
    pub expires: WallTime,
    /// How many it lets in; checked by who admits.
    pub uses: u32,
    /// How many it let in, as far as this node knows.
    pub used: u32,
    /// Whether it counts and nothing closed it.
    pub open: bool,
}

impl Roster {
    /// The role under which a device wrote, knowing `heads`: the highest of its memberships there.
    ///
    /// The role of a membership is the lowest among the last changes that the heads know and
    /// those made apart from them. `None` if nothing counts: the device had no seat, its
    /// membership ended, or it was revoked. `place`, a log and a sequence in it, is spared by
    /// removals, demotions and revocations made apart whose vectors, or a `Held`, reach it.
    pub fn role_at(
        &self,
        device: &DeviceKey,
        heads: &[StatementId],
        place: Option<(&LogId, u64)>,
    ) -> Option<Role> {
        self.author_at(device, heads, place).map(|(_, role)| role)
    }

    /// As `role_at`, and whose the device was for who wrote there: a device that lets itself be
    /// bound to two people writes as one of them, the same at every replica.
    pub fn author_at(
        &self,
        device: &DeviceKey,
        heads: &[StatementId],
        place: Option<(&LogId, u64)>,
    ) -> Option<(PersonId, Role)> {
        self.reading().author_by(&self.graph, &self.heirs, device, heads, place)
    }

    /// The head that was held of a log when its device was removed, demoted or revoked: the branch
    /// that contains it counts. `None` if nothing that counts names one.
    pub fn named_head(&self, log: &LogId) -> Option<LogHead> {
        let (graph, judgement) = (&self.graph, &self.reading().judgement);
        let seats = graph.seats_with(&log.device).iter();
        let acts = seats.flat_map(|seat| {
            let m = self.member(*seat);
            let of_membership = judgement.ends[m].iter().chain(&judgement.changes[m]);
            of_membership.chain(&judgement.revoked[*seat])
        });
        let acts: Vec<StatementIx> = acts.copied().collect();
        reach(graph, judgement, &acts, &BTreeSet::from([log.device])).get(log).copied()
    }

    /// Whose device it is or ever was. It is bound to a person by its own signature; of several,
    /// as no honest device has, the most senior one.
    pub fn person_of(&self, device: &DeviceKey) -> Option<PersonId> {
        let seats = match self.graph.seats_with(device) {
            [seat] => return Some(self.graph.memberships[self.member(*seat)].person),
            seats => seats.iter(),
        };
        let position = |seat: &&SeatIx| self.reading().judgement.position[self.member(**seat)];
        seats.min_by_key(position).map(|seat| self.graph.memberships[self.member(*seat)].person)
    }

    /// Whether the author of one log is senior to that of another: by its most senior membership,
    /// also one that ended, then by device, then by the smaller incarnation.
    pub fn is_senior(&self, log: &LogId, than: &LogId) -> bool {
        (self.seniority(&log.device), log.incarnation) < (self.seniority(&than.device), than.incarnation)
    }

    /// The smaller, the more senior; a device that never was in comes last.
    pub(crate) fn seniority(&self, device: &DeviceKey) -> (usize, usize) {
        let (graph, judgement) = (&self.graph, &self.reading().judgement);
        let place = |seat: &SeatIx| {
            let m = self.member(*seat);
            let within = graph.seats_of(m).iter().position(|of| of == seat);
            (judgement.position[m], within.unwrap_or(usize::MAX))
        };
        graph.seats_with(device).iter().map(place).min().unwrap_or((usize::MAX, usize::MAX))
    }

    /// All whom anybody ever let in, with or without the right to it, ascending.
    pub fn people(&self) -> BTreeSet<PersonId> {
        self.graph.memberships.iter().map(|(_, membership)| membership.person).collect()
    }

    /// Who was let in by a statement that counts, and is in no more, ascending.
    pub fn former(&self) -> BTreeSet<PersonId> {
        let reading = self.reading();
        let counts = |membership: &Membership| reading.judgement.counts.contains(membership.statement);
        let were_in = self.graph.memberships.iter().filter(|(_, membership)| counts(membership));
        let people = were_in.map(|(_, membership)| membership.person);
        people.filter(|person| !reading.is_member(person)).collect()
    }

    /// Whether there is anybody who was in and is in no more.
    pub fn has_former(&self) -> bool {
        let reading = self.reading();
        self.graph.memberships.iter().any(|(_, membership)| {
            reading.judgement.counts.contains(membership.statement) && !reading.is_member(&membership.person)
        })
    }

    /// Who ended the memberships of somebody who was in, by statements that count: the person itself where
    /// it left.
    pub fn ended_by(&self, person: &PersonId) -> BTreeSet<PersonId> {
        let judgement = &self.reading().judgement;
        let were_in = self.graph.memberships.iter().filter(|(_, membership)| {
            membership.person == *person && judgement.counts.contains(membership.statement)
        });
        let ends = were_in.flat_map(|(m, _)| judgement.ends[m].iter());
        let author = |at: &StatementIx| self.statement(&self.graph.id(*at)).map(Statement::author);
        ends.filter_map(author).filter_map(|author| self.person_of(&author)).collect()
    }

    /// Whether somebody else removed this person, by a statement that counts.
    pub fn was_removed(&self, person: &PersonId) -> bool {
        let counts = &self.reading().judgement.counts;
        self.ids().any(|id| {
            let removes = matches!(self.statement(&id).map(Statement::body), Some(Body::Remove { person: of, .. }) if of == person);
            removes && self.graph.at(&id).is_some_and(|at| counts.contains(at))
        })
    }

    /// Whether this key was ever revoked, by a statement that counts.
    pub fn was_revoked(&self, key: &DeviceKey) -> bool {
        let counts = &self.reading().judgement.counts;
        self.ids().any(|id| {
            let revokes = matches!(self.statement(&id).map(Statement::body), Some(Body::Revoke { key: of, .. }) if of == key);
            revokes && self.graph.at(&id).is_some_and(|at| counts.contains(at))
        })
    }

    /// All epochs, the greatest counter first.
    pub fn epochs(&self) -> Vec<StatementId> {
        let mut epochs = self.graph.epochs().to_vec();
        epochs.sort_by_key(|at| std::cmp::Reverse((self.graph.epoch_counter(*at), self.graph.id(*at))));
        epochs.into_iter().map(|at| self.graph.id(at)).collect()
    }

    /// The epoch to write under by whoever holds the keys of these alone: as `Reading::epoch`.
    pub fn epoch_among(&self, held: impl Fn(&StatementId) -> bool) -> Option<StatementId> {
        let reading = self.reading();
        if let Some(epoch) = reading.epoch.filter(|epoch| held(epoch)) {
            return Some(epoch);
        }
        greatest_epoch(&self.graph, &reading.judgement, &reading.keys, |at| held(&self.graph.id(at)))
    }

    /// The keys of all that can open an epoch, root keys too. Empty if it is no epoch here.
    pub fn knowers(&self, epoch: &StatementId) -> BTreeSet<DeviceKey> {
        let at = self.graph.at(epoch).filter(|at| matches!(self.graph.nodes[*at].fact.act, Act::Epoch(..)));
        at.and_then(|at| knowers(&self.graph, at, None)).unwrap_or_default()
    }

    /// Whether an epoch is a newcomer's by right where history is closed: it was opened without
    /// being known to the membership, or was of the greatest counter that the membership knew.
    pub fn opened_for(&self, epoch: &StatementId, membership: &StatementId) -> bool {
        let (Some(epoch), Some(began)) = (self.graph.at(epoch), self.graph.at(membership)) else {
            return false;
        };
        !self.graph.knew(began, epoch) || self.graph.epoch_counter(epoch) == self.graph.counter_below(began)
    }

    /// How often a device has sealed each epoch to devices that are `of` somebody.
    pub fn sealed_by(
        &self,
        author: &DeviceKey,
        of: impl Fn(&DeviceKey) -> bool,
    ) -> BTreeMap<StatementId, usize> {
        let mut counts = BTreeMap::new();
        for statement in self.statements.values().filter(|s| s.author() == *author) {
            let (epoch, seals) = match statement.body() {
                Body::Epoch { seals, .. } => (statement.id(), seals),
                Body::SealKey { epoch, seals } => (*epoch, seals),
                _ => continue,
            };
            if seals.iter().any(|seal| of(&seal.device)) {
                *counts.entry(epoch).or_insert(0) += 1;
            }
        }
        counts
    }

    /// The counter that a new epoch drafted now carries.
    pub fn next_counter(&self) -> u64 {
        self.graph.greatest_counter(&self.heads()).saturating_add(1)
    }

    /// Every seal to a device, with its epoch, in the order of the set. Not all need open.
    pub fn seals_for(&self, device: &DeviceKey) -> Vec<(StatementId, &Seal)> {
        let mut found = Vec::new();
        for id in self.ids() {
            let (epoch, seals) = match self.statement(&id).map(Statement::body) {
                Some(Body::Epoch { seals, .. }) => (id, seals),
                Some(Body::SealKey { epoch, seals }) => (*epoch, seals),
                _ => continue,
            };
            found.extend(seals.iter().filter(|seal| seal.device == *device).map(|seal| (epoch, seal)));
        }
        found
    }

    /// Where to seal keys for a member's device.
    pub fn sealing_key(&self, device: &DeviceKey) -> Option<SealingKey> {
        let (_, membership) = self.reading().member_of(device)?;
        let m = self.graph.membership(&membership)?;
        let judgement = &self.reading().judgement;
        let seat = self.graph.seats_with(device).iter().find(|seat| {
            self.graph.seats[**seat].membership == m
                && judgement.is_seated(&self.graph, **seat)
                && judgement.revoked[**seat].is_empty()
        })?;
        self.card_of(*seat).map(|card| card.sealing)
    }

    /// The invite of a key; the one still open, if the key was used twice.
    pub fn invite(&self, key: &VerifyingKey) -> Option<Invite> {
        self.invites().into_iter().filter(|invite| invite.key == *key).max_by_key(|invite| invite.open)
    }

    /// All invites that count or once counted, in the order of the set.
    pub fn invites(&self) -> Vec<Invite> {
        let statements = self.ids().filter_map(|id| self.statement(&id));
        let invites = statements.filter_map(|statement| match statement.body() {
            Body::OpenInvite { key, role, expires, uses } => {
                let at = self.graph.at(&statement.id())?;
                let judgement = &self.reading().judgement;
                let used = self
                    .graph
                    .memberships
                    .iter()
                    .filter(|(_, m)| m.invite == Some(at) && judgement.counts.contains(m.statement));
                Some(Invite {
                    key: *key,
                    opener: self.graph.nodes[at].fact.by.person,
                    statement: statement.id(),
                    role: *role,
                    expires: *expires,
                    uses: *uses,
                    used: u32::try_from(used.count()).unwrap_or(u32::MAX),
                    open: judgement.counts.contains(at) && judgement.closed(&self.graph, at).is_empty(),
                })
            }
            _ => None,
        });
        invites.collect()
    }
}

impl Reading {
    /// As [`Roster::role_at`], for a graph that this is the reading of.
    pub fn role_at(
        &self,
        graph: &Graph,
        device: &DeviceKey,
        heads: &[StatementId],
        place: Option<(&LogId, u64)>,
    ) -> Option<Role> {
        self.author_by(graph, &RefCell::default(), device, heads, place).map(|(_, role)| role)
    }

    /// Whose the device was for who wrote at these heads, and with which role: of several people
    /// whose card it signed the one with the greatest role, then the most senior one.
    fn author_by(
        &self,
        graph: &Graph,
        heirs: &RefCell<Heirs>,
        device: &DeviceKey,
        heads: &[StatementId],
        place: Option<(&LogId, u64)>,
    ) -> Option<(PersonId, Role)> {
        let past = graph.past_of(heads)?;
        let seats = graph.seats_with(device).iter();
        let known = seats.filter(|seat| past.contains(graph.seats[**seat].statement));
        let heir = || heirs.borrow_mut().among(graph, heads, &past);
        let ranked = known.filter_map(|seat| {
            let role = self.role_of_seat(graph, *seat, &past, place, heir)?;
            let m = graph.seats[*seat].membership;
            Some((role, std::cmp::Reverse(self.judgement.position[m]), graph.memberships[m].person))
        });
        ranked.max().map(|(role, _, person)| (person, role))
    }

    fn role_of_seat(
        &self,
        graph: &Graph,
        seat: SeatIx,
        past: &Bits,
        place: Option<(&LogId, u64)>,
        heir: impl Fn() -> Option<MemberIx>,
    ) -> Option<Role> {
        let judgement = &self.judgement;
        if !judgement.is_seated(graph, seat) {
            return None;
        }
        let (m, key) = (graph.seats[seat].membership, graph.seats[seat].key);
        let spared = |acts: &[StatementIx]| {
            place.is_some_and(|(log, sequence)| {
                reach(graph, judgement, acts, &BTreeSet::from([key]))
                    .get(log)
                    .is_some_and(|head| head.sequence >= sequence)
            })
        };
        let ended = [&judgement.ends[m], &judgement.revoked[seat]];
        let beyond = ended.into_iter().any(|acts| !acts.is_empty() && !spared(acts));
        if beyond && !planted::is(Planted::AcceptBeyondRemoval) {
            return None;
        }
        let changes = &judgement.changes[m];
        let binding = changes.iter().any(|change| !past.contains(*change)) && !spared(changes);
        let role = judgement.role_knowing(graph, m, |change| past.contains(change), |_| binding);
        Some(if role < Role::Admin && heir() == Some(m) { Role::Owner } else { role })
    }
}
