//! Hundreds of thousands of mutants through the whole receiving path, signed and sealed.
//!
//! Each mutant is a changed update in an envelope of a valid member, so that nothing stops it
//! before the parser. The work is done by processes of this same binary: one that dies, by an
//! abort or a stack that ran out, is a failed test with its seed and not a run that vanished.
//! `FOURWORD_MUTANTS` sets how many are made, `FOURWORD_MUTANTS_SEED` where the seeds begin.

use std::collections::BTreeMap;

use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::{Attachment, Chat, ChatIndex, MessageId, NewMessage};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{Concern, Put, core};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::Document;
use fourword_protocol::update::write::merge;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha20Rng;

use crate::alloc;
use crate::grammar::{Block, Id, Tie, Update, number_at};
use crate::mirror::Verdict;
use crate::mutate;
use crate::siege::{Log, Siege};
use crate::writer::{number, record};

/// Mutants in one group before the next is made, and between two looks at it.
const ROUND: u64 = 4000;
const LOOK: u64 = 2000;

/// Bytes that one worker may hold at most.
const HELD_MAX: usize = 256 * 1024 * 1024;

/// The client of the good updates; each log puts its own in its place.
const TEMPLATE: u64 = 0x1a_5c3b_7e9d_2f01;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.replace('_', "").parse().unwrap())
}

#[test]
fn no_mutant_that_a_member_signs_harms_who_receives_it() {
    if let Some(rounds) = std::env::var_os("FOURWORD_MUTANT_ROUNDS") {
        return work(rounds.to_str().unwrap());
    }
    let rounds = setting("FOURWORD_MUTANTS").unwrap_or(320_000).div_ceil(ROUND);
    let first = setting("FOURWORD_MUTANTS_SEED").unwrap_or(1);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64).min(rounds);
    let share = |worker: u64| first + rounds * worker / workers;
    let running: Vec<_> = (0..workers)
        .map(|worker| {
            let rounds = format!("{}..{}", share(worker), share(worker + 1));
            let name = "mutants::no_mutant_that_a_member_signs_harms_who_receives_it";
            alloc::again(name).env("FOURWORD_MUTANT_ROUNDS", rounds).spawn().unwrap()
        })
        .collect();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for worker in running {
        let output = worker.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().rev().find(|line| line.starts_with("round ")).unwrap_or("no round");
        assert!(output.status.success(), "a worker died in {last}: {}\n{text}", output.status);
        for line in text.lines().filter_map(|line| line.strip_prefix("count ")) {
            let (count, what) = line.split_once(' ').unwrap();
            let (count, total) = (count.parse::<u64>().unwrap(), counts.entry(what.to_owned()).or_default());
            *total = if what.starts_with("peak") { count.max(*total) } else { *total + count };
        }
    }
    println!("seeds {first} to {}: {counts:#?}", first + rounds - 1);
    let sum = |prefix: &str| counts.iter().filter(|(what, _)| what.starts_with(prefix)).map(|(_, n)| n).sum();
    let (parser, rights, applied): (u64, u64, u64) = (sum("parser"), sum("rights"), sum("applied"));
    let sent: u64 = counts["mutants"];
    assert!(sent >= rounds * ROUND);
    // Mutants that all fail at the same place would show nothing about the others.
    assert!(parser > sent / 10 && rights > sent / 40 && applied > sent / 20, "{parser} {rights} {applied}");
    assert!(counts.keys().filter(|what| what.starts_with("parser")).count() >= 12);
}

/// Goes through rounds of mutants and says what became of them.
fn work(rounds: &str) {
    let (first, end) = rounds.split_once("..").unwrap();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut worst = (0, 0);
    for seed in first.parse::<u64>().unwrap()..end.parse().unwrap() {
        println!("round {seed}");
        let mut siege = Siege::new(seed, Role::Member);
        let before: BTreeMap<String, u64> = verdicts(&siege);
        let mut mutants = Mutants::new(&mut siege);
        for number in 1..=ROUND {
            mutants.send(&mut siege);
            if number % LOOK == 0 {
                siege.stands();
            } else if number % 100 == 0 {
                siege.deliver();
            }
            assert!(alloc::held() < HELD_MAX, "{} bytes are held", alloc::held());
        }
        for (what, count) in verdicts(&siege) {
            *counts.entry(what.clone()).or_default() += count - before.get(&what).unwrap_or(&0);
        }
        *counts.entry("mutants".into()).or_default() += ROUND;
        worst = worst.max(siege.worst);
    }
    counts.insert("peak bytes allocated for one frame".into(), worst.0 as u64);
    counts.iter().for_each(|(what, count)| println!("count {count} {what}"));
}

fn verdicts(siege: &Siege) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (verdict, count) in siege.mirrors.iter().flat_map(|mirror| &mirror.verdicts) {
        *all.entry(verdict.clone()).or_default() += count;
    }
    all
}

/// Makes mutants of good updates, log after log.
struct Mutants {
    /// For each document what an honest device might write in one log, update by update.
    good: Vec<Vec<Vec<u8>>>,
    /// For each document what is written under which key.
    puts: Vec<Vec<Put>>,
    log: Log,
}

impl Mutants {
    fn new(siege: &mut Siege) -> Mutants {
        let (chat, core) = (chat(siege), core(siege));
        let log = siege.log(0);
        Mutants { good: vec![chat.0, core.0], puts: vec![chat.1, core.1], log }
    }

    fn send(&mut self, siege: &mut Siege) {
        match self.log.last {
            Verdict::Applied | Verdict::Void => {}
            // Now and then a log goes on although it ended.
            Verdict::Ended if siege.rng.random_range(0..20) == 0 => {}
            Verdict::Ended | Verdict::Waits => self.begin(siege),
        }
        let clock = siege.clock(&self.log);
        let content = match siege.rng.random_range(0..20) {
            0 => self.template(siege, clock),
            1..=9 => {
                let (mut update, other) = (self.template(siege, clock), self.template(siege, clock));
                mutate::bytes(&mut siege.rng, &mut update, &other);
                update
            }
            10 | 11 => self.composed(siege, clock).bytes(),
            12..=15 => {
                let mut update = self.composed(siege, clock);
                let known = self.known(siege);
                mutate::structure(&mut siege.rng, &mut update, &known);
                update.bytes()
            }
            _ => {
                let (mut update, other) = (self.composed(siege, clock).bytes(), self.template(siege, clock));
                mutate::bytes(&mut siege.rng, &mut update, &other);
                update
            }
        };
        siege.write(&mut self.log, &content);
    }

    /// Begins a log, as often as not with some good updates merged into one envelope.
    fn begin(&mut self, siege: &mut Siege) {
        let of = usize::from(siege.rng.random_range(0..4) == 0);
        self.log = siege.log(of);
        if siege.rng.random_range(0..2) == 0 {
            let count = siege.rng.random_range(1..=self.good[of].len());
            let (taken, merged) = merge(&self.good[of][..count]).unwrap();
            let content = rebased(&merged, self.log.client, 0);
            let verdict = siege.write(&mut self.log, &content);
            assert_eq!((verdict, taken), (Verdict::Applied, count));
        }
    }

    /// A good update as the next of this log.
    fn template(&self, siege: &mut Siege, clock: u64) -> Vec<u8> {
        let good = &self.good[self.log.of];
        rebased(&good[siege.rng.random_range(0..good.len())], self.log.client, clock)
    }

    /// Blocks that exist: of the log itself and of a few others.
    fn known(&self, siege: &mut Siege) -> Vec<(u64, u32)> {
        let ends = siege.mirrors[self.log.of].document.clock_ends();
        let own = siege.mirrors[self.log.of].document.next_clock(self.log.client);
        let mut known = vec![(self.log.client, own)];
        known.extend((0..4).map(|_| ends[siege.rng.random_range(0..ends.len())]));
        known
    }

    /// An update put together from records of the document, some under keys of others.
    fn composed(&self, siege: &mut Siege, clock: u64) -> Update {
        let known = self.known(siege);
        let foreign = siege.honest("ada").owner();
        let own = siege.actor().owner();
        let rng = &mut siege.rng;
        let count = rng.random_range(1..6);
        let blocks = (0..count).map(|_| self.block(rng, &known, (own, foreign))).collect();
        Update::of(self.log.client, clock, blocks)
    }

    fn block(&self, rng: &mut ChaCha20Rng, known: &[(u64, u32)], owners: ([u8; 16], [u8; 16])) -> Block {
        let puts = &self.puts[self.log.of];
        let put = &puts[rng.random_range(0..puts.len())];
        let mut key = put.key.clone();
        let spell = |owner: &[u8]| fourword_protocol::ids::to_base32(owner);
        if rng.random_range(0..12) == 0 {
            key = key.replacen(&spell(&owners.0), &spell(&owners.1), rng.random_range(1..3));
        }
        if let Some((owner, _)) = key.split_once('|').filter(|_| rng.random_range(0..3) == 0) {
            // A thing of a new name.
            let mut name = [0; 8];
            rng.fill_bytes(&mut name);
            key = format!("{owner}|{}", spell(&name));
        }
        let (client, end) = known[rng.random_range(0..known.len())];
        let before: Id = (client, u64::from(rng.random_range(0..end.max(1))));
        let tie = match rng.random_range(0..6) {
            0 => Tie::Origins(Some(before), None),
            _ => Tie::Root(put.root.into(), Some(key)),
        };
        let mut value = put.value.clone();
        if rng.random_range(0..10) == 0 {
            let at = rng.random_range(0..value.len());
            value[at] ^= 1 << rng.random_range(0..8);
        }
        Block::Item { tie, kind: 8, body: record(&value) }
    }
}

/// The same update by another client, from another clock on.
fn rebased(update: &[u8], client: u64, clock: u64) -> Vec<u8> {
    let (old, new) = (number(TEMPLATE), number(client));
    let mut at = 0;
    let mut out = Vec::with_capacity(update.len());
    while at < update.len() {
        if update[at..].starts_with(&old) {
            out.extend(&new);
            at += old.len();
        } else {
            out.push(update[at]);
            at += 1;
        }
    }
    // Behind the number of clients, of blocks, and the client stands the clock.
    let begin = (0..3).fold(0, |at, _| at + number_at(&out, at).unwrap().1);
    let (_, length) = number_at(&out, begin).unwrap();
    out.splice(begin..begin + length, number(clock));
    out
}

/// What a device writes into a document: each update, and the puts it is made of.
struct Scribe {
    document: Document,
    index: ChatIndex,
    updates: Vec<Vec<u8>>,
    puts: Vec<Put>,
}

impl Scribe {
    fn new(concern: &Concern) -> Scribe {
        let roots = fourword_protocol::schema::roots(concern);
        let mut document = Document::new("template", roots, Shape::Maps);
        document.begin_log(TEMPLATE).unwrap();
        Scribe { document, index: ChatIndex::default(), updates: Vec::new(), puts: Vec::new() }
    }

    fn write(&mut self, put: Put) {
        self.updates.push(self.document.edit(std::slice::from_ref(&put)).unwrap().update);
        self.index.note(put.root, &put.key, Some(&put.value));
        self.puts.push(put);
    }

    fn chat(&self) -> Chat<'_> {
        Chat::new(&self.document, &self.index)
    }

    fn send(&mut self, actor: &Actor, number: u8, new: &NewMessage) -> MessageId {
        let (id, put) = self.chat().send(actor, [number; 8], new, WallTime(7)).unwrap();
        self.write(put);
        id
    }
}

/// Messages of all sorts and all that is done to them.
fn chat(siege: &mut Siege) -> (Vec<Vec<u8>>, Vec<Put>) {
    let actor = siege.actor();
    let mut scribe = Scribe::new(&Concern::Chat);
    let text = |text: &str| NewMessage { text: text.into(), ..NewMessage::default() };
    let first = scribe.send(&actor, 1, &text("first"));
    let attachment = Attachment { blob: [7; 32], size_bytes: 9000, name: "plan.txt".into() };
    let reply = NewMessage { text: "a reply".into(), parent: Some(first), attachments: vec![attachment] };
    scribe.send(&actor, 2, &reply);
    let long: String = (0..6000).map(|_| char::from(siege.rng.random_range(b'a'..=b'z'))).collect();
    let long = scribe.send(&actor, 3, &text(&long));
    for text in ["second thoughts", "third thoughts"] {
        let put = scribe.chat().edit(&actor, first, text, WallTime(8)).unwrap().unwrap();
        scribe.write(put);
    }
    for (emoji, on) in [("👍", true), ("👍", false), ("👍", true), ("yes", true)] {
        let put = scribe.chat().react(&actor, first, emoji, on).unwrap().unwrap();
        scribe.write(put);
    }
    for on in [true, false] {
        let put = scribe.chat().pin(&actor, first, on).unwrap().unwrap();
        scribe.write(put);
    }
    let put = scribe.chat().delete(&actor, long, WallTime(9)).unwrap();
    scribe.write(put);
    (scribe.updates, scribe.puts)
}

/// What a member may write into the core, and what it may not.
fn core(siege: &mut Siege) -> (Vec<Vec<u8>>, Vec<Put>) {
    let (own, admin) = (siege.actor(), Actor { role: Role::Owner, ..siege.actor() });
    let mut scribe = Scribe::new(&Concern::Core);
    for name in ["mal", "mallory", ""] {
        scribe.write(core::set_shown_name(&own, name).unwrap());
    }
    let (updates, mut puts) = (scribe.updates, scribe.puts);
    puts.push(core::set_entity_name(&admin, "ours now").unwrap());
    puts.push(core::set(&admin, &core::Setting::LapseDays(1)).unwrap());
    (updates, puts)
}
