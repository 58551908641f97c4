//! The devices of one membership, as people and the person's other devices ask for them.
//!
//! `devices` shows them and makes every group follow the home by them. A device is to its
//! certification what a person is to its membership; here each device is one row, whatever it was
//! certified by.

use std::collections::BTreeSet;

use super::body::{Body, Genesis};
use super::fact::Act;
use super::graph::SeatKind;
use super::set::Roster;
use super::table::{MemberIx, SeatIx, StatementIx};
use crate::identity::DeviceCard;
use crate::ids::{DeviceKey, PersonId, StatementId};

/// A device that a membership has or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatView {
    /// The device's keys, bound to the person.
    pub card: DeviceCard,
    /// The device that certified it; `None` for the root key.
    pub certified_by: Option<DeviceKey>,
    /// Whether it is the person's device now: certified, and not revoked since.
    pub active: bool,
}

impl Roster {
    /// Every device that a membership has or had, senior to junior, each once and at its most
    /// senior place. What was certified by who may not is left out.
    pub fn devices_of(&self, membership: &StatementId) -> Vec<SeatView> {
        let Some(m) = self.graph.membership(membership) else { return Vec::new() };
        let mut devices: Vec<SeatView> = Vec::new();
        for seat in self.graph.seats_of(m) {
            let judgement = &self.reading().judgement;
            if !self.graph.seats[seat].kind.is_device() || !judgement.is_seated(&self.graph, seat) {
                continue;
            }
            let Some(card) = self.card_of(seat) else { continue };
            let active = judgement.revoked[seat].is_empty();
            match devices.iter_mut().find(|device| device.card.key == card.key) {
                Some(known) => known.active |= active,
                None => {
                    let certified_by = self.certifier(seat);
                    devices.push(SeatView { card: card.clone(), certified_by, active });
                }
            }
        }
        devices
    }

    /// The membership under which a key would sign now: a device's, or a root's.
    pub fn membership_of(&self, key: &DeviceKey) -> Option<StatementId> {
        let m = self.member(self.seat_to_sign(key)?);
        Some(self.graph.id(self.graph.memberships[m].statement))
    }

    /// Every key of a person that a `Revoke` names which counts, whether or not it had a place.
    pub fn revoked_of(&self, person: &PersonId) -> BTreeSet<DeviceKey> {
        let Some(about) = self.graph.about(person) else { return BTreeSet::new() };
        let counts = &self.reading().judgement.counts;
        let named = about.revocations.iter().filter(|at| counts.contains(**at));
        let key = |at: &StatementIx| match &self.graph.nodes[*at].fact.act {
            Act::Revoke(_, key, _) => Some(*key),
            _ => None,
        };
        named.filter_map(key).collect()
    }

    /// Whether a `Revoke` of `key` by another key of the same person would end it: its every seat
    /// comes after that under which the author would sign. False if there is nothing to end.
    pub fn may_revoke_own(&self, author: &DeviceKey, key: &DeviceKey) -> bool {
        let Some(signing) = self.seat_to_sign(author) else { return false };
        let judgement = &self.reading().judgement;
        let active = self.graph.seats_with(key).iter().filter(|seat| {
            judgement.standing.contains(&self.member(**seat))
                && judgement.is_seated(&self.graph, **seat)
                && judgement.revoked[**seat].is_empty()
        });
        let mut active = active.peekable();
        active.peek().is_some() && active.all(|seat| self.is_senior_seat(signing, *seat))
    }

    /// The card that vouches for a seat's key; none for a root key.
    pub(super) fn card_of(&self, seat: SeatIx) -> Option<&DeviceCard> {
        let seat = &self.graph.seats[seat];
        let card = match self.statement(&self.graph.id(seat.statement))?.body() {
            Body::Certify { device } => device,
            Body::Genesis(Genesis { creator: certificate, .. })
            | Body::Add { certificate, .. }
            | Body::AcceptInvite { certificate, .. } => &certificate.device,
            _ => return None,
        };
        (card.key == seat.key).then_some(card)
    }

    fn certifier(&self, seat: SeatIx) -> Option<DeviceKey> {
        let seat = &self.graph.seats[seat];
        let SeatKind::Certified = seat.kind else { return None };
        let by = self.graph.nodes[seat.statement].seat?;
        self.graph.seats[by].kind.is_device().then(|| self.graph.seats[by].key)
    }

    /// Whether one seat of a person is judged before another.
    fn is_senior_seat(&self, a: SeatIx, b: SeatIx) -> bool {
        let (of_a, of_b) = (self.member(a), self.member(b));
        if of_a != of_b {
            let position = &self.reading().judgement.position;
            return self.person(of_a) == self.person(of_b) && position[of_a] < position[of_b];
        }
        let order = self.graph.seats_of(of_a);
        let place = |seat| order.iter().position(|other| *other == seat);
        place(a) < place(b)
    }

    fn person(&self, m: MemberIx) -> PersonId {
        self.graph.memberships[m].person
    }
}
