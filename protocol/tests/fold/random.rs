//! Large rosters at random: eight people, thirty statements, every one of them checked.
//!
//! `FOURWORD_FOLD_STORIES` says how many rosters (3,000), `FOURWORD_FOLD_SEED` from which seed on.

use std::collections::BTreeMap;

use fourword_protocol::ids::DeviceKey;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::Vectors;
use fourword_protocol::roster::fact::{Act, Fact, Newcomer};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::promises::check;
use super::scope::kind;
use super::set::{Seat, Set, device, head, key, letter, log, named, person, places};
use super::{in_parallel, number_from};

const PEOPLE: [char; 8] = ['o', 'a', 'b', 'c', 'd', 'e', 'f', 'g'];
const ROLES: [Role; 6] = [Role::Viewer, Role::Member, Role::Member, Role::Admin, Role::Admin, Role::Owner];
const STATEMENTS: usize = 30;

/// A roster that grows, mostly as people would let it, partly as they should not.
struct Story {
    rng: ChaCha8Rng,
    set: Set,
    /// How often somebody ends what others began.
    strife: f64,
    /// How often somebody speaks who is not in, or of what makes no sense.
    strays: f64,
    /// How often the latest is known.
    aware: f64,
}

impl Story {
    fn of(seed: u64) -> Story {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let strife = *[0.1, 0.25, 0.5].choose(&mut rng).unwrap();
        let strays = *[0.0, 0.05, 0.3].choose(&mut rng).unwrap();
        let aware = *[0.2, 0.6, 0.9].choose(&mut rng).unwrap();
        Story { rng, set: Set::begun(), strife, strays, aware }
    }

    fn chance(&mut self, chance: f64) -> bool {
        self.rng.random_bool(chance)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        choices.choose(&mut self.rng).cloned()
    }

    fn person(&mut self) -> char {
        PEOPLE[self.rng.random_range(0..PEOPLE.len())]
    }

    /// Somebody with a first device, as people have, or with the root key alone.
    fn newcomer(&mut self) -> Newcomer {
        let letter = self.person();
        let device = (letter > 'c').then(|| device(letter, 0));
        Newcomer { person: person(letter), root: key(letter), device }
    }

    fn role(&mut self) -> Role {
        ROLES[self.rng.random_range(0..ROLES.len())]
    }

    /// Keys that were ever named, and one that was not.
    fn key(&mut self) -> DeviceKey {
        let mut keys: Vec<DeviceKey> = self.set.seats().into_iter().map(|seat| seat.key).collect();
        keys.push(key('x'));
        self.one_of(&keys).unwrap()
    }

    fn vectors(&mut self) -> Vectors {
        let mut vectors = BTreeMap::new();
        for _ in 0..self.rng.random_range(0..3) {
            let head = head(self.rng.random_range(1..9), self.rng.random_range(0..2));
            vectors.insert(log(self.key()), head);
        }
        vectors.into_iter().collect()
    }

    /// Mostly the keys of members.
    fn keys(&mut self) -> Vec<DeviceKey> {
        let members = self.set.reading.members.values();
        let mut keys: Vec<DeviceKey> =
            members.flat_map(|member| member.devices.iter().chain(&member.root)).copied().collect();
        keys.retain(|_| self.rng.random_bool(0.8));
        if self.chance(0.1) {
            keys.push(self.key());
        }
        keys
    }

    /// Mostly somebody who is in.
    fn speaker(&mut self) -> Seat {
        let seats = self.set.seats();
        let is_in = |seat: &&Seat| {
            let id = self.set.id(seat.member);
            self.set.reading.members.values().any(|member| member.membership == id)
        };
        let speaking: Vec<Seat> = seats.iter().filter(is_in).copied().collect();
        let anybody = speaking.is_empty() || self.chance(self.strays);
        self.one_of(if anybody { &seats } else { &speaking }).unwrap()
    }

    /// Places of statements that are of this kind.
    fn said(&self, of: impl Fn(&Act) -> bool) -> Vec<usize> {
        (0..self.set.lines.len()).filter(|at| of(self.set.act(*at))).collect()
    }

    /// What this seat says, and what that is about.
    fn act(&mut self, seat: Seat) -> (Act, Option<usize>) {
        let own = letter(self.set.person(seat.member));
        let of = if self.chance(0.15) { own } else { self.person() };
        if self.chance(self.strife) {
            return self.strife(seat, of);
        }
        let (role, number) = (self.role(), self.rng.random_range(1..4));
        let invites = self.said(|act| matches!(act, Act::OpenInvite(_)));
        let epochs = self.said(|act| matches!(act, Act::Epoch(..)));
        let acts = self
            .said(|act| matches!(act, Act::Remove(..) | Act::SetRole(..) | Act::Revoke(..) | Act::Leave(_)));
        let (invite, epoch, ended) = (self.one_of(&invites), self.one_of(&epochs), self.one_of(&acts));
        let last = self.set.lines.last().unwrap().counter;
        let counter = last + self.rng.random_range(0..3);
        match (self.rng.random_range(0..16), invite, epoch, ended) {
            (0..=3, ..) => (Act::Add(self.newcomer(), role), None),
            (4..=5, ..) => (Act::Certify(device(own, number)), None),
            (6, ..) => (Act::OpenInvite(role), None),
            (7..=9, Some(at), ..) => (Act::AcceptInvite(self.newcomer(), self.set.id(at)), invite),
            (10..=11, _, _, Some(at)) => (Act::Held(self.set.id(at), self.vectors()), ended),
            (12, _, Some(at), _) => (Act::SealKey(self.set.id(at), vec![self.key()]), epoch),
            (13..=14, ..) => (Act::Epoch(counter, self.keys()), None),
            (15, ..) => (Act::Unknown, None),
            _ => (Act::OpenInvite(role), None),
        }
    }

    fn strife(&mut self, seat: Seat, of: char) -> (Act, Option<usize>) {
        let invites = self.said(|act| matches!(act, Act::OpenInvite(_)));
        let (role, invite) = (self.role(), self.one_of(&invites));
        match (self.rng.random_range(0..10), invite) {
            (0..=3, _) => (Act::Remove(person(of), self.vectors()), None),
            (4..=5, _) => (Act::SetRole(person(of), role, self.vectors()), None),
            (6, Some(at)) => (Act::CloseInvite(self.set.id(at)), invite),
            (7, _) => (Act::Leave(self.vectors()), None),
            (8, _) => (Act::SetRole(self.set.person(seat.member), role, self.vectors()), None),
            _ => {
                let keys: Vec<Seat> = self.set.seats();
                let ended = self.one_of(&keys).unwrap();
                (Act::Revoke(self.set.person(ended.member), ended.key, self.vectors()), None)
            }
        }
    }

    /// What the author knew: what it stands on and speaks of, and some of the rest.
    fn parents(&mut self, seat: Seat, about: Option<usize>) -> u64 {
        let mut parents = 1 << seat.member | 1 << seat.vouched | about.map_or(0, |at| 1 << at);
        if self.chance(self.aware) {
            parents |= self.set.heads();
        } else {
            for _ in 0..self.rng.random_range(1..4) {
                parents |= 1 << self.rng.random_range(0..self.set.lines.len());
            }
        }
        let known = places(parents).fold(0, |known, at| known | self.set.lines[at].past);
        parents & !known
    }

    /// Says the next statement and checks all that must hold; false if nobody could say it.
    fn goes_on(&mut self, order_too: bool) -> bool {
        let seat = self.speaker();
        let (act, about) = self.act(seat);
        let about = if self.chance(self.strays / 10.0) { None } else { about };
        let parents = self.parents(seat, about);
        let fact = Fact {
            id: named(self.rng.random()),
            by: self.set.by(seat),
            parents: places(parents).map(|at| self.set.id(at)).collect(),
            act,
        };
        let Some(before) = self.set.grow(fact) else { return false };
        check(&before, &self.set, order_too);
        true
    }
}

#[test]
fn every_random_roster_keeps_what_is_promised() {
    let (stories, first) =
        (number_from("FOURWORD_FOLD_STORIES", 3_000), number_from("FOURWORD_FOLD_SEED", 0));
    let seen = in_parallel(|thread, threads| {
        let mut seen: BTreeMap<&'static str, [u64; 2]> = BTreeMap::new();
        for seed in (first..first + stories).filter(|seed| *seed as usize % threads == thread) {
            let mut story = Story::of(seed);
            while story.set.lines.len() <= STATEMENTS {
                let last = story.set.lines.len() == STATEMENTS;
                let said = story.goes_on(last);
                if said {
                    let new = story.set.lines.len() - 1;
                    let kind = seen.entry(kind(story.set.act(new))).or_default();
                    kind[0] += 1;
                    kind[1] += u64::from(story.set.counts(new));
                }
            }
        }
        seen
    });
    let mut all: BTreeMap<&'static str, [u64; 2]> = BTreeMap::new();
    for (kind, [said, counted]) in seen.into_iter().flatten() {
        let kind = all.entry(kind).or_default();
        *kind = [kind[0] + said, kind[1] + counted];
    }
    let sets: u64 = all.values().map(|[said, _]| said).sum();
    println!("seeds {first}..{}: {sets} sets; by body, said and counted: {all:?}", first + stories);
    assert!(all.len() == 13 && all.values().all(|[_, counted]| *counted > 0), "the stories are too poor");
}
