//! Every small roster: from founding sets, everything that can be said next, and again after that.
//!
//! In the ordinary run the last step is sampled evenly; with `FOURWORD_FOLD_STRIDE=1` nothing is
//! left out, and `FOURWORD_FOLD_FOUNDING` picks one founding set. What is seen is counted up to the names of people.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::roster::fact::Fact;

use super::foundings::foundings;
use super::promises::check;
use super::scope::kind;
use super::set::{Before, Set};
use super::{in_parallel, number_from};

/// In the ordinary run of the last steps every so-manyth is taken.
const STRIDE: u64 = 53;

/// What was seen.
#[derive(Clone, Default)]
struct Tally {
    /// Steps from a set to one that is larger by a statement, each checked.
    steps: u64,
    /// Steps by the body of that statement.
    by_kind: BTreeMap<&'static str, u64>,
    /// Sixtieths of sets: who is reached by so many steps counts so much less for each.
    sixtieths: u64,
}

impl Tally {
    /// Counts a step and says whether to check it in another order too.
    fn count(&mut self, start: usize, set: &Set) -> bool {
        let last = set.lines.last().unwrap();
        *self.by_kind.entry(kind(&last.fact.act)).or_default() += 1;
        self.steps += 1;
        let ways = (set.heads() >> start).count_ones();
        self.sixtieths += 60 / u64::from(ways.max(1));
        self.steps.is_multiple_of(7)
    }

    fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.sixtieths += other.sixtieths;
        for (kind, steps) in &other.by_kind {
            *self.by_kind.entry(kind).or_default() += steps;
        }
    }

    fn sets(&self) -> u64 {
        self.sixtieths / 60
    }
}

/// Says everything next, `steps` times over; of the last steps every `stride`th.
fn explore(start: &Set, steps: usize, stride: u64) -> Tally {
    let (mut tally, size) = (Tally::default(), start.lines.len());
    let mut frontier = vec![start.clone()];
    for _ in 1..steps {
        let (mut next, mut seen) = (Vec::new(), BTreeSet::new());
        for set in &frontier {
            each_step(set, 1, 0, |before, after| {
                check(before, &after, tally.count(size, &after));
                if seen.insert(after.shape()) {
                    next.push(after);
                }
            });
        }
        frontier = next;
    }
    let last = in_parallel(|thread, threads| {
        let mut tally = Tally::default();
        for (at, set) in frontier.iter().enumerate().filter(|(at, _)| at % threads == thread) {
            each_step(set, stride, at as u64, |before, after| {
                check(before, &after, tally.count(size, &after));
            });
        }
        tally
    });
    last.iter().for_each(|last| tally.add(last));
    tally
}

fn each_step(set: &Set, stride: u64, from: u64, mut each: impl FnMut(&Before, Set)) {
    let mut number = from;
    let taken = || {
        number += 1;
        number.is_multiple_of(stride)
    };
    set.extensions(taken, |fact: Fact| {
        let (before, after) = set.with(fact).unwrap();
        each(&before, after);
    });
}

#[test]
fn every_small_roster_keeps_what_is_promised() {
    let stride = number_from("FOURWORD_FOLD_STRIDE", STRIDE);
    let only = std::env::var("FOURWORD_FOLD_FOUNDING").ok();
    let (mut all, mut foundings_seen) = (Tally::default(), 0);
    for (name, start, steps) in foundings() {
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let tally = explore(&start, steps, stride);
        let size = start.lines.len();
        println!("{name}: {size} and {steps} statements, {} sets by {} steps", tally.sets(), tally.steps);
        all.add(&tally);
        foundings_seen += 1;
    }
    println!("{foundings_seen} foundings, {} sets by {} steps", all.sets(), all.steps);
    println!("steps by body: {:?}", all.by_kind);
    if only.is_none() && stride <= STRIDE {
        assert!(all.by_kind.len() == 13 && all.sets() > 150_000, "too few sets to tell");
    }
}
