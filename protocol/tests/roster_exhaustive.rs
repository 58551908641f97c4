//! Every small roster: a few starts, each extended by every statement worth making, twice.
//!
//! What must hold is checked by code of its own, on nothing but statements and reading. Second
//! steps are sampled evenly: `FOURWORD_ROSTER_STRIDE` takes every so-manyth (1 takes all).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::collections::BTreeSet;

use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::fact::{Act, By, Fact, Newcomer};
use fourword_protocol::roster::graph::Graph;
use fourword_protocol::roster::{Reading, Role, Vectors};

type Rank = Vec<(u32, StatementId)>;

/// A set of statements and what it says.
#[derive(Clone)]
struct Set {
    facts: Vec<Fact>,
    /// For each fact its ancestors, as bits of their places.
    past: Vec<u64>,
    graph: Graph,
    reading: Reading,
}

/// The root key of somebody, who is called by a letter. Devices have other letters.
fn key(letter: char) -> DeviceKey {
    DeviceKey([letter as u8; 32])
}

fn person(letter: char) -> PersonId {
    PersonId([letter as u8; 32])
}

fn newcomer(letter: char) -> Newcomer {
    Newcomer { person: person(letter), root: key(letter), device: None }
}

fn vectors(letter: char, sequence: u64) -> Vectors {
    let log = LogId { document: DocumentKey([0; 32]), device: key(letter), incarnation: Incarnation(0) };
    vec![(log, LogHead { sequence, hash: EnvelopeHash([0; 32]) })]
}

fn named(by: By, mut parents: Vec<StatementId>, act: Act) -> Fact {
    parents.sort();
    let id = blake3::derive_key("test fact", format!("{by:?}{parents:?}{act:?}").as_bytes());
    Fact { id: StatementId(id), by, parents, act }
}

impl Set {
    fn begun() -> Set {
        let id = StatementId([7; 32]);
        let by = By { person: person('o'), membership: id, certification: id, key: key('o') };
        let fact = Fact { id, by, parents: Vec::new(), act: Act::Genesis(newcomer('o')) };
        let graph = Graph::new(fact.clone()).unwrap();
        Set { reading: graph.read(), facts: vec![fact], past: vec![0], graph }
    }

    fn with(&self, fact: Fact) -> Option<Set> {
        if self.graph.contains(&fact.id) || !self.graph.has_seat(&fact) {
            return None;
        }
        let mut set = self.clone();
        let parents = fact.parents.iter().map(|parent| self.place(parent).unwrap());
        set.past.push(parents.map(|p| self.past[p] | 1 << p).fold(0, |past, bits| past | bits));
        assert!(set.graph.insert(fact.clone()));
        set.facts.push(fact);
        set.reading = set.graph.read();
        Some(set)
    }

    /// Extends by position: who speaks (adding statement), under which vouching one, knowing what.
    fn then(self, seat: (usize, usize), parents: &[usize], act: impl Fn(&Set) -> Act) -> Set {
        let by = self.by(seat);
        let parents = parents.iter().map(|place| self.facts[*place].id).collect();
        let fact = named(by, parents, act(&self));
        self.with(fact).unwrap()
    }

    fn place(&self, id: &StatementId) -> Option<usize> {
        self.facts.iter().position(|fact| fact.id == *id)
    }

    fn knew(&self, later: usize, earlier: usize) -> bool {
        self.past[later] >> earlier & 1 == 1
    }

    fn counts(&self, id: &StatementId) -> bool {
        !self.reading.ignored.contains_key(id)
    }

    fn rank(&self, membership: &StatementId) -> Rank {
        self.graph.rank(membership).unwrap()
    }

    fn author_rank(&self, fact: &Fact) -> Rank {
        self.rank(&fact.by.membership)
    }

    fn stands(&self, membership: &StatementId) -> bool {
        self.counts(membership) && !self.reading.cuts.contains_key(membership)
    }

    fn by(&self, (membership, vouched): (usize, usize)) -> By {
        let key = match self.facts[vouched].act {
            Act::Certify(key) => key,
            _ => self.facts[vouched].act.newcomer().unwrap().root,
        };
        By {
            person: self.facts[membership].act.newcomer().unwrap().person,
            membership: self.facts[membership].id,
            certification: self.facts[vouched].id,
            key,
        }
    }

    /// Who can speak: (adding statement, vouching statement).
    fn seats(&self) -> Vec<(usize, usize)> {
        let places = 0..self.facts.len();
        let seat = |at: usize| match self.facts[at].act {
            Act::Certify(_) => Some((self.place(&self.facts[at].by.membership)?, at)),
            ref act => act.newcomer().map(|_| (at, at)),
        };
        places.filter_map(seat).collect()
    }

    /// Every set of one or two parents of which none knew the other.
    fn parent_sets(&self) -> Vec<Vec<usize>> {
        let mut sets = Vec::new();
        for a in 0..self.facts.len() {
            sets.push(vec![a]);
            sets.extend((0..a).filter(|b| !self.knew(a, *b)).map(|b| vec![b, a]));
        }
        sets
    }

    /// Everything worth saying.
    fn acts(&self, brief: bool) -> Vec<Act> {
        let mut acts = vec![Act::Leave(Vec::new())];
        let roles: &[Role] = if brief { &[Role::Member] } else { &[Role::Viewer, Role::Admin, Role::Owner] };
        for letter in ['o', 'a', 'b', 'c'] {
            acts.push(Act::Remove(person(letter), vectors(letter, 3)));
            for role in roles {
                acts.push(Act::SetRole(person(letter), *role, Vec::new()));
                acts.push(Act::Add(newcomer(letter), *role));
            }
        }
        for fact in &self.facts {
            match &fact.act {
                Act::OpenInvite(_) => {
                    acts.push(Act::CloseInvite(fact.id));
                    acts.push(Act::AcceptInvite(newcomer('c'), fact.id));
                }
                Act::Certify(device) => acts.push(Act::Revoke(fact.by.person, *device, Vec::new())),
                Act::Remove(of, _) => {
                    acts.push(Act::Held(fact.id, vectors(char::from(of.0[0]), 5)));
                }
                Act::Epoch(..) => {
                    acts.extend(['a', 'd'].map(|letter| Act::SealKey(fact.id, vec![key(letter)])));
                }
                _ => {}
            }
        }
        if !brief {
            acts.push(Act::OpenInvite(Role::Admin));
            acts.push(Act::Certify(key('1')));
            acts.extend([1, 2].map(|counter| Act::Epoch(counter, vec![key('o'), key('a'), key('b')])));
        }
        acts
    }

    /// Every statement worth making, as far as `taken` takes it.
    fn extensions(&self, brief: bool, mut taken: impl FnMut() -> bool) -> Vec<Fact> {
        let mut facts = Vec::new();
        for act in self.acts(brief) {
            for seat in self.seats() {
                for parents in self.parent_sets() {
                    if taken() {
                        let parents = parents.iter().map(|place| self.facts[*place].id).collect();
                        facts.push(named(self.by(seat), parents, act.clone()));
                    }
                }
            }
        }
        facts
    }

    /// Whether these acts end this membership: by a strictly senior one, or by leaving.
    fn ends(&self, fact: &Fact, membership: usize) -> bool {
        let id = &self.facts[membership].id;
        let person = self.facts[membership].act.newcomer().unwrap().person;
        let known = self.place(&fact.id).is_some_and(|at| self.knew(membership, at));
        let ends = match &fact.act {
            Act::Remove(of, _) => *of == person && self.author_rank(fact) < self.rank(id),
            Act::Leave(_) => fact.by.membership == *id,
            _ => false,
        };
        ends && !known && self.counts(&fact.id)
    }

    fn keys_of_members(&self) -> BTreeSet<DeviceKey> {
        let members = self.reading.members.values();
        members.flat_map(|member| member.devices.iter().chain(&member.root)).copied().collect()
    }

    /// Who can open an epoch in fact, blind to what counts.
    fn holders(&self, epoch: &Fact) -> BTreeSet<DeviceKey> {
        let Act::Epoch(_, sealed) = &epoch.act else { return BTreeSet::new() };
        let mut holders: BTreeSet<DeviceKey> = sealed.iter().copied().collect();
        holders.insert(epoch.by.key);
        loop {
            let before = holders.len();
            for fact in &self.facts {
                match &fact.act {
                    Act::SealKey(of, to) if *of == epoch.id && holders.contains(&fact.by.key) => {
                        holders.extend(to)
                    }
                    _ => {}
                }
            }
            if holders.len() == before {
                return holders;
            }
        }
    }

    fn memberships(&self) -> impl Iterator<Item = usize> {
        (0..self.facts.len()).filter(|at| self.facts[*at].act.newcomer().is_some())
    }
}

/// What holds of every set.
fn holds_alone(set: &Set) -> Result<(), &'static str> {
    for m in set.memberships() {
        let id = &set.facts[m].id;
        let ended = set.facts.iter().any(|fact| set.ends(fact, m));
        if set.counts(id) && set.stands(id) && ended {
            return Err("the removed did not stay removed");
        }
        if set.reading.cuts.contains_key(id) && !ended {
            return Err("the senior did not stand");
        }
    }
    for member in set.reading.members.values() {
        let mut at = set.place(&member.membership).unwrap();
        while at != 0 {
            let fact = &set.facts[at];
            let adder = set.place(&fact.by.membership).unwrap();
            let openers =
                set.facts.iter().filter(|f| matches!(fact.act, Act::AcceptInvite(_, i) if i == f.id));
            let mut above: Vec<usize> = openers.map(|f| set.place(&f.by.membership).unwrap()).collect();
            above.push(adder);
            let unknown = |end: usize| !set.knew(end, at) && end != at;
            let broken = (0..set.facts.len())
                .any(|end| above.iter().any(|m| set.ends(&set.facts[end], *m)) && unknown(end));
            if !set.counts(&fact.id) || broken {
                return Err("a member's chain of adders is broken");
            }
            at = adder;
        }
    }
    if !set.reading.members.is_empty() && set.reading.members.values().all(|m| m.role < Role::Admin) {
        return Err("nobody rules");
    }
    if let Some(epoch) = set.reading.epoch {
        let epoch = &set.facts[set.place(&epoch).unwrap()];
        if !set.holders(epoch).is_subset(&set.keys_of_members()) {
            return Err("an outsider holds the epoch that is written under");
        }
    }
    Ok(())
}

/// What holds of every step from one set to the next.
fn holds_between(before: &Set, after: &Set) -> Result<(), &'static str> {
    let new = after.facts.last().unwrap();
    let rank = after.author_rank(new);
    let kills = |fact: &Fact| {
        matches!(
            fact.act,
            Act::Remove(..) | Act::SetRole(..) | Act::Revoke(..) | Act::Leave(_) | Act::CloseInvite(_)
        )
    };
    let fell = |fact: &&Fact| before.counts(&fact.id) && !after.counts(&fact.id);
    let undone: Vec<&Fact> = before.facts.iter().filter(fell).filter(|fact| kills(fact)).collect();
    for fact in &before.facts[1..] {
        let (was, is) = (before.counts(&fact.id), after.counts(&fact.id));
        let mut highest = after.author_rank(fact);
        if let Some(mut own) = after.graph.rank(&fact.id) {
            own.pop();
            highest = highest.max(own);
        }
        if was != is && rank > highest {
            return Err("a junior changed what a senior said");
        }
        if !was && is {
            let by_senior = undone.iter().any(|kill| rank <= after.author_rank(kill));
            if !(by_senior && after.counts(&new.id) && kills(new)) {
                return Err("the dead came back without a senior's act");
            }
        }
    }
    for m in before.memberships() {
        let id = &before.facts[m].id;
        let (was, is) = (before.stands(id), after.stands(id));
        if was != is && rank > after.rank(id) {
            return Err("a junior ended or brought back a senior");
        }
        if !was && is && undone.is_empty() {
            return Err("a membership revived though nothing was undone");
        }
    }
    let unchanged =
        before.reading.members == after.reading.members && before.reading.cuts == after.reading.cuts;
    let kept_ranks = new.act.newcomer().is_none();
    if !after.counts(&new.id) && kept_ranks && !unchanged {
        return Err("what does not count changed the result");
    }
    Ok(())
}

/// The same set, built in another order.
fn holds_in_another_order(set: &Set) -> Result<(), &'static str> {
    let mut rest: Vec<&Fact> = set.facts[1..].iter().collect();
    rest.sort_by_key(|fact| std::cmp::Reverse(fact.id));
    let mut graph = Graph::new(set.facts[0].clone()).unwrap();
    while !rest.is_empty() {
        rest.retain(|fact| !graph.insert((*fact).clone()));
    }
    let (one, two) = (&set.reading, graph.read());
    let same = one.members == two.members
        && one.cuts == two.cuts
        && one.ignored == two.ignored
        && one.epoch == two.epoch;
    if same { Ok(()) } else { Err("another order gave another reading") }
}

fn starts() -> Vec<(&'static str, Set)> {
    let add = |letter, role| move |_: &Set| Act::Add(newcomer(letter), role);
    let (root, two) = (Set::begun(), Set::begun().then((0, 0), &[0], add('a', Role::Admin)));
    let siblings = two.clone().then((0, 0), &[1], add('b', Role::Admin));
    let remove_b = |_: &Set| Act::Remove(person('b'), vectors('b', 1));
    let epoch = |_: &Set| Act::Epoch(1, vec![key('o'), key('a'), key('b')]);
    let members = root.clone().then((0, 0), &[0], add('a', Role::Member));
    vec![
        ("genesis", root),
        ("chain", two.clone().then((1, 1), &[1], add('b', Role::Admin))),
        ("siblings", siblings.clone().then((1, 1), &[2], add('c', Role::Member))),
        ("mutual", siblings.clone().then((1, 1), &[2], remove_b)),
        ("invite", siblings.clone().then((1, 1), &[2], |_| Act::OpenInvite(Role::Admin))),
        ("epoch", siblings.then((0, 0), &[2], epoch)),
        (
            "devices",
            two.then((1, 1), &[1], |_| Act::Certify(key('1'))).then((1, 2), &[2], |_| Act::Certify(key('2'))),
        ),
        (
            "orphans",
            members.then((0, 0), &[1], add('b', Role::Member)).then((0, 0), &[2], |_| Act::Leave(Vec::new())),
        ),
    ]
}

fn check(before: &Set, after: &Set, order_too: bool) {
    let mut held = holds_alone(after).and_then(|()| holds_between(before, after));
    if order_too {
        held = held.and_then(|()| holds_in_another_order(after));
    }
    assert!(held.is_ok(), "{held:?}\n{:#?}\n{:#?}", after.facts, after.reading);
}

#[test]
fn every_small_roster_keeps_what_is_promised() {
    let stride = std::env::var("FOURWORD_ROSTER_STRIDE").map_or(12, |text| text.parse().unwrap());
    let (mut seen, mut seconds) = (0usize, 0usize);
    for (name, start) in starts() {
        let from = seen;
        for fact in start.extensions(false, || true) {
            let Some(one) = start.with(fact) else { continue };
            seen += 1;
            check(&start, &one, true);
            let every = || {
                seconds += 1;
                seconds % stride == 0
            };
            for fact in one.extensions(name != "genesis", every) {
                let Some(two) = one.with(fact) else { continue };
                seen += 1;
                check(&one, &two, seen % 5 == 0);
            }
        }
        println!("{name}: {} sets", seen - from);
    }
    println!("{seen} sets, every {stride}th of {seconds} second steps");
    assert!(seen > 3_000, "too few sets to tell");
}

/// The checks above must be able to fail: each finds the fault in a reading made wrong by hand.
#[test]
fn the_checks_find_a_wrong_reading() {
    let starts = starts();
    let set = |name: &str| starts.iter().find(|(of, _)| *of == name).unwrap().1.clone();
    let mut orphans = set("orphans");
    for member in orphans.reading.members.values_mut() {
        member.role = Role::Member;
    }
    assert_eq!(holds_alone(&orphans), Err("nobody rules"));
    let mut mutual = set("mutual");
    mutual.reading.cuts.clear();
    assert_eq!(holds_alone(&mutual), Err("the removed did not stay removed"));
    let mut epoch = set("epoch");
    assert_eq!(holds_alone(&epoch), Ok(()));
    epoch.reading.members.remove(&person('b'));
    assert_eq!(holds_alone(&epoch), Err("an outsider holds the epoch that is written under"));
    let before = set("siblings");
    let mut after = before.clone().then((3, 3), &[3], |_| Act::Remove(person('a'), Vec::new()));
    assert_eq!(holds_between(&before, &after), Ok(()));
    after.reading.cuts.insert(after.facts[1].id, Default::default());
    assert_eq!(holds_between(&before, &after), Err("a junior ended or brought back a senior"));
}
