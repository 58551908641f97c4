//! Everything worth saying next over a small set, for four people, up to what makes no difference.
//!
//! Nothing that could matter is left out. Of the people whom nobody named yet only one is offered,
//! since they differ by their letters alone. Parents are every set of statements of which none
//! knew another: naming what another parent knew changes neither past nor depth. Hashes decide
//! between what one author let in, certified or opened at one depth, and between its own changes
//! of its role; there every order is tried, and elsewhere one.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use fourword_protocol::ids::{DeviceKey, PersonId};
use fourword_protocol::roster::Role;
use fourword_protocol::roster::fact::{Act, Fact};

use super::set::{Line, Seat, Set, device, key, letter, named, newcomer, number, person, places, vectors};

const PEOPLE: [char; 4] = ['o', 'a', 'b', 'c'];
const ROLES: [Role; 4] = [Role::Viewer, Role::Member, Role::Admin, Role::Owner];
/// What somebody's root key is called whom nobody ever let in.
const OUTSIDER: char = 'x';
/// Further devices that one person may have.
const DEVICES_MAX: u8 = 2;

/// The name of what a statement does.
pub(crate) fn kind(act: &Act) -> &'static str {
    match act {
        Act::Genesis(_) => "Genesis",
        Act::Add(..) => "Add",
        Act::AcceptInvite(..) => "AcceptInvite",
        Act::Remove(..) => "Remove",
        Act::SetRole(..) => "SetRole",
        Act::Certify(_) => "Certify",
        Act::Revoke(..) => "Revoke",
        Act::OpenInvite(_) => "OpenInvite",
        Act::CloseInvite(_) => "CloseInvite",
        Act::Leave(_) => "Leave",
        Act::Held(..) => "Held",
        Act::Epoch(..) => "Epoch",
        Act::SealKey(..) => "SealKey",
        Act::Unknown => "Unknown",
    }
}

impl Set {
    /// Every statement that can be said next, as far as `taken` takes it.
    pub(crate) fn extensions(&self, mut taken: impl FnMut() -> bool, mut each: impl FnMut(Fact)) {
        let parent_sets = self.parent_sets();
        for seat in self.seats() {
            for act in self.acts(seat) {
                for parents in &parent_sets {
                    let past = places(*parents).fold(*parents, |past, at| past | self.lines[at].past);
                    if self.makes_sense(seat, &act, past) && taken() {
                        self.variants(seat, *parents, &act, &mut each);
                    }
                }
            }
        }
    }

    /// Every set of places of which none knew another.
    fn parent_sets(&self) -> Vec<u64> {
        let mut sets = vec![0u64];
        for at in 0..self.lines.len() {
            let apart = |set: &&u64| places(**set).all(|other| !self.knew(at, other));
            let more: Vec<u64> = sets.iter().filter(apart).map(|set| set | 1 << at).collect();
            sets.extend(more);
        }
        sets.retain(|set| *set != 0);
        sets
    }

    /// Whether the statement would be taken, and what it names is among its ancestors.
    fn makes_sense(&self, seat: Seat, act: &Act, past: u64) -> bool {
        let named = match act {
            Act::AcceptInvite(_, id) | Act::CloseInvite(id) | Act::Held(id, _) | Act::SealKey(id, _) => {
                self.place(id)
            }
            _ => None,
        };
        let known = 1 << seat.member | 1 << seat.vouched | named.map_or(0, |at| 1 << at);
        past & known == known
    }

    /// People who were named, and one who was not.
    fn people(&self) -> Vec<char> {
        let mut found: BTreeSet<PersonId> = BTreeSet::new();
        for line in &self.lines {
            found.extend(line.fact.act.newcomer().map(|new| new.person));
            match &line.fact.act {
                Act::Remove(of, _) | Act::SetRole(of, ..) | Act::Revoke(of, ..) => {
                    found.insert(*of);
                }
                _ => {}
            }
        }
        let stranger = PEOPLE.into_iter().find(|letter| !found.contains(&person(*letter)));
        found.into_iter().map(letter).chain(stranger).collect()
    }

    /// Everything worth saying under one seat.
    fn acts(&self, seat: Seat) -> Vec<Act> {
        let mut acts = vec![Act::Leave(vectors(seat.key, 2)), Act::Unknown];
        let people = self.people();
        for letter in &people {
            acts.push(Act::Remove(person(*letter), vectors(key(*letter), 3)));
            for role in ROLES {
                acts.push(Act::SetRole(person(*letter), role, vectors(key(*letter), 1)));
                acts.push(Act::Add(newcomer(*letter), role));
            }
        }
        acts.extend(ROLES.map(Act::OpenInvite));
        self.acts_on_keys(seat, &mut acts);
        for (at, line) in self.lines.iter().enumerate() {
            let id = line.fact.id;
            match &line.fact.act {
                Act::OpenInvite(_) => {
                    acts.push(Act::CloseInvite(id));
                    acts.extend(people.iter().map(|letter| Act::AcceptInvite(newcomer(*letter), id)));
                }
                Act::Remove(of, _) | Act::SetRole(of, ..) | Act::Revoke(of, ..) => {
                    acts.push(Act::Held(id, vectors(key(letter(*of)), 5)));
                }
                Act::Leave(_) => acts.push(Act::Held(id, vectors(self.seat(at).key, 5))),
                Act::Epoch(..) => {
                    let keys = self.seats().into_iter().map(|seat| seat.key).chain([key(OUTSIDER)]);
                    acts.extend(keys.map(|key| Act::SealKey(id, vec![key])));
                }
                _ => {}
            }
        }
        acts
    }

    /// Certify, Revoke and Epoch.
    fn acts_on_keys(&self, seat: Seat, acts: &mut Vec<Act>) {
        let seats = self.seats();
        let of = letter(self.person(seat.member));
        let known: BTreeSet<DeviceKey> = seats.iter().map(|seat| seat.key).collect();
        let devices = (1..=DEVICES_MAX).map(|number| device(of, number));
        // A key that was certified before may be so again; of new ones the first is enough.
        let mut fresh = devices.clone().filter(|key| !known.contains(key));
        let certifiable = devices.clone().filter(|key| known.contains(key)).chain(fresh.next());
        acts.extend(certifiable.map(Act::Certify));
        let owned: BTreeSet<(PersonId, DeviceKey)> =
            seats.iter().map(|seat| (self.person(seat.member), seat.key)).collect();
        acts.extend(owned.iter().map(|(of, key)| Act::Revoke(*of, *key, vectors(*key, 1))));
        let all: Vec<DeviceKey> = known.into_iter().collect();
        let last = self.lines.iter().map(|line| line.counter).max().unwrap_or(0);
        // A counter too high, one too low, and one that is right; sealed to all or to oneself.
        for counter in 1..=last + 2 {
            acts.push(Act::Epoch(counter, all.clone()));
        }
        if all.len() > 1 {
            acts.push(Act::Epoch(last + 1, vec![seat.key]));
        }
    }

    /// The statement under each name that could make a difference.
    fn variants(&self, seat: Seat, parents: u64, act: &Act, each: &mut impl FnMut(Fact)) {
        let ids = places(parents).map(|at| self.id(at)).collect();
        let mut hasher = DefaultHasher::new();
        (parents, seat.vouched, seat.key, kind(act)).hash(&mut hasher);
        self.lines.iter().for_each(|line| line.fact.id.hash(&mut hasher));
        format!("{act:?}").hash(&mut hasher);
        let chance = hasher.finish();
        let mut fact = Fact { id: named(chance), by: self.by(seat), parents: ids, act: act.clone() };
        let mut rivals = self.rivals(&fact);
        if rivals.is_empty() {
            return each(fact);
        }
        rivals.extend([0, u64::MAX]);
        rivals.sort_unstable();
        for between in rivals.windows(2) {
            let width = between[1] - between[0];
            fact.id = named(between[0] + width / 4 + chance % (width / 2).max(1));
            each(fact.clone());
        }
    }

    /// Names that this statement's name will be compared with.
    fn rivals(&self, fact: &Fact) -> Vec<u64> {
        let matters = matches!(
            fact.act,
            Act::Add(..) | Act::AcceptInvite(..) | Act::Certify(_) | Act::Epoch(..) | Act::SetRole(..)
        );
        if !matters {
            return Vec::new();
        }
        let new = self.line(fact.clone());
        let rivals = self.lines.iter().filter(|line| are_rivals(line, &new));
        rivals.map(|line| number(line.fact.id)).collect()
    }

    /// A number that is the same for sets that differ by letters alone.
    pub(crate) fn shape(&self) -> u64 {
        let orders = [
            ['a', 'b', 'c'],
            ['a', 'c', 'b'],
            ['b', 'a', 'c'],
            ['b', 'c', 'a'],
            ['c', 'a', 'b'],
            ['c', 'b', 'a'],
        ];
        orders.iter().map(|order| self.shape_under(order)).min().unwrap_or(0)
    }

    fn shape_under(&self, order: &[char; 3]) -> u64 {
        let renamed = |bytes: &[u8; 32]| {
            let place = (bytes[0] as usize).wrapping_sub('a' as usize);
            (order.get(place).map_or(bytes[0], |letter| *letter as u8), bytes[1] == bytes[0], bytes[1])
        };
        let key = |key: &DeviceKey| {
            let (letter, is_root, number) = renamed(&key.0);
            (letter, if is_root { 0 } else { number })
        };
        let mut shapes: Vec<u64> = Vec::new();
        for line in &self.lines {
            let mut hasher = DefaultHasher::new();
            kind(&line.fact.act).hash(&mut hasher);
            let mut parents: Vec<u64> =
                line.fact.parents.iter().filter_map(|id| shapes.get(self.place(id)?).copied()).collect();
            parents.sort_unstable();
            parents.hash(&mut hasher);
            (shapes.get(line.member), shapes.get(line.vouched), key(&line.fact.by.key)).hash(&mut hasher);
            line.about.and_then(|about| shapes.get(about)).hash(&mut hasher);
            if let Some(new) = line.fact.act.newcomer() {
                renamed(&new.person.0).0.hash(&mut hasher);
            }
            match &line.fact.act {
                Act::Add(_, role) | Act::OpenInvite(role) => role.hash(&mut hasher),
                Act::SetRole(of, role, _) => (renamed(&of.0).0, role).hash(&mut hasher),
                Act::Remove(of, _) => renamed(&of.0).0.hash(&mut hasher),
                Act::Revoke(of, ended, _) => (renamed(&of.0).0, key(ended)).hash(&mut hasher),
                Act::Certify(device) => key(device).hash(&mut hasher),
                Act::Epoch(counter, keys) => {
                    let keys: BTreeSet<(u8, u8)> = keys.iter().map(key).collect();
                    (counter, keys).hash(&mut hasher);
                }
                Act::SealKey(_, keys) => keys.iter().map(key).collect::<Vec<_>>().hash(&mut hasher),
                _ => {}
            }
            shapes.push(hasher.finish());
        }
        let mut decided: Vec<(u64, u64)> = Vec::new();
        for b in 0..self.lines.len() {
            for a in (0..b).filter(|a| are_rivals(&self.lines[*a], &self.lines[b])) {
                let first = self.id(a) < self.id(b);
                decided.push(if first { (shapes[a], shapes[b]) } else { (shapes[b], shapes[a]) });
            }
        }
        decided.sort_unstable();
        shapes.sort_unstable();
        let mut hasher = DefaultHasher::new();
        (shapes, decided).hash(&mut hasher);
        hasher.finish()
    }
}

/// Whether the order of two names can decide anything.
fn are_rivals(x: &Line, y: &Line) -> bool {
    let own_role =
        |line: &Line| matches!(line.fact.act, Act::SetRole(person, ..) if person == line.fact.by.person);
    match (&x.fact.act, &y.fact.act) {
        (Act::Epoch(one, _), Act::Epoch(two, _)) => one == two && x.member == y.member,
        (Act::Certify(_), Act::Certify(_)) => x.depth == y.depth && x.fact.by == y.fact.by,
        (Act::SetRole(..), Act::SetRole(..)) => own_role(x) && own_role(y) && x.member == y.member,
        _ => {
            x.depth == y.depth && x.rank.len() == y.rank.len() && !x.rank.is_empty() && {
                let over = x.rank.len() - 1;
                x.rank[..over] == y.rank[..over]
            }
        }
    }
}
