//! Random schedules on the simulated cluster: faults first, then healing, then the demand.
//!
//! Each schedule is drawn from one seed and replayed by it:
//! `FOURWORD_SEED=17 FOURWORD_SCHEDULES=1 cargo test -p fourword-tests --test simulation`.
//! While faults go on nothing that was saved may be lost; after they end, all must be equal.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong shall stop")]

use std::collections::BTreeMap;

use fourword_protocol::command::{ChatCommand, Command, CommandId, Outcome, Reply, SyncState};
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const NAMES: [&str; 5] = ["ada", "ben", "cem", "dia", "eve"];
const STEPS: usize = 200;
const SCHEDULES: u64 = 60;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Seeds that failed once.
fn kept_seeds() -> Vec<u64> {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// One schedule under way: what was asked, what was promised, and which faults there were.
struct Schedule {
    cluster: Cluster,
    random: ChaCha20Rng,
    group: FourWords,
    asked: Vec<(&'static str, CommandId, String)>,
    saved: BTreeMap<MessageId, String>,
    deleted: BTreeMap<MessageId, &'static str>,
    faults: BTreeMap<&'static str, u64>,
}

impl Schedule {
    fn new(seed: u64) -> Schedule {
        let mut cluster = Cluster::new(seed);
        let group = cluster.group_of(&NAMES);
        Schedule {
            cluster,
            random: ChaCha20Rng::seed_from_u64(seed ^ 0x5eed),
            group,
            asked: Vec::new(),
            saved: BTreeMap::new(),
            deleted: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random.next_u64() % below
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.draw(5) as usize]
    }

    fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_insert(0) += 1;
    }

    fn step(&mut self) {
        let (who, other) = (self.name(), self.name());
        match self.draw(20) {
            0..=8 => self.write(who),
            9 => self.change(who),
            10 => {
                self.fault("disconnect");
                self.cluster.disconnect(who, other);
            }
            11..=12 => self.cluster.connect(who, other),
            13 => {
                self.fault("isolate");
                self.cluster.isolate(who);
            }
            14 => self.cluster.heal(),
            15 if self.cluster.is_up(who) => {
                self.fault("crash");
                self.cluster.crash(who);
                self.cluster.restart(who);
            }
            16 if self.cluster.is_up(who) => {
                self.fault("stop");
                self.cluster.stop(who);
                self.cluster.restart(who);
            }
            17 => {
                self.fault("gossip loss");
                self.cluster.gossip_loss = self.draw(101);
            }
            _ => {
                let ms = self.draw(2_000);
                self.cluster.run_for(ms);
            }
        }
        self.collect();
    }

    /// Asks for a message without waiting: a crash may come before the answer.
    fn write(&mut self, who: &'static str) {
        let text = format!("{who} {}", self.asked.len());
        let send = ChatCommand::Send { text: text.clone(), parent: None };
        let id = self.cluster.begin(who, Command::Chat(self.group, send));
        self.asked.push((who, id, text));
    }

    /// Edits or deletes a message of one's own.
    fn change(&mut self, who: &'static str) {
        let own: Vec<MessageId> =
            self.saved.iter().filter(|(_, text)| text.starts_with(who)).map(|(id, _)| *id).collect();
        if own.is_empty() {
            return;
        }
        let at = self.draw(own.len() as u64) as usize;
        let command = match self.draw(3) {
            0 => ChatCommand::Delete(own[at]),
            _ => ChatCommand::Edit(own[at], format!("{who} changed")),
        };
        let deletes = matches!(command, ChatCommand::Delete(_));
        let outcome = self.cluster.ask(who, Command::Chat(self.group, command));
        if deletes && outcome == Outcome::Done(Reply::Ok) {
            self.deleted.insert(own[at], who);
        }
    }

    /// Notes what was promised by now.
    fn collect(&mut self) {
        for (who, id, text) in &self.asked {
            if let Some(Outcome::Done(Reply::Message(message))) = self.cluster.answer(who, *id) {
                self.saved.insert(*message, text.clone());
            }
        }
    }

    /// Heals everything and demands that all agree and that nothing promised is lost.
    fn finish(&mut self, seed: u64) {
        self.cluster.gossip_loss = 0;
        self.cluster.heal();
        self.cluster.run_for(180_000);
        self.collect();
        let read = ChatCommand::Read { last: 10_000 };
        let mut first: Option<Vec<(MessageId, String, bool)>> = None;
        for name in NAMES {
            let Reply::Messages(shown) = self.cluster.must(name, Command::Chat(self.group, read.clone()))
            else {
                panic!("messages")
            };
            let shown: Vec<_> = shown
                .into_iter()
                .map(|m| (m.message.id, m.message.text.clone(), m.message.deleted))
                .collect();
            let of_first = first.get_or_insert_with(|| shown.clone());
            assert_eq!(&shown, of_first, "seed {seed}: {name} shows another chat");
        }
        let shown = first.unwrap_or_default();
        for (id, text) in &self.saved {
            let found = shown.iter().find(|(shown, ..)| shown == id);
            assert!(found.is_some(), "seed {seed}: {text:?} was saved and is gone");
        }
        for id in self.deleted.keys() {
            let stands = shown.iter().any(|(shown, _, deleted)| shown == id && !deleted);
            assert!(!stands, "seed {seed}: a deletion was undone");
        }
        let Reply::Sync { documents, .. } = self.cluster.must("ada", Command::SyncStatus(Some(self.group)))
        else {
            panic!("a status")
        };
        let in_sync = documents.iter().all(|d| d.state == SyncState::InSync);
        assert!(in_sync, "seed {seed}: not in sync: {documents:?}");
    }
}

#[test]
fn whatever_happens_nothing_saved_is_lost_and_all_agree_in_the_end() {
    let (first, count) = (number("FOURWORD_SEED", 1), number("FOURWORD_SCHEDULES", SCHEDULES));
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut saved = 0;
    for seed in (first..first + count).chain(kept_seeds()) {
        println!("seed {seed}");
        let mut schedule = Schedule::new(seed);
        for _ in 0..STEPS {
            schedule.step();
        }
        schedule.finish(seed);
        saved += schedule.saved.len();
        for (kind, times) in schedule.faults {
            *faults.entry(kind).or_insert(0) += times;
        }
    }
    println!("{count} schedules of {STEPS} steps, {saved} messages saved, faults: {faults:?}");
    assert!(saved > 0 && (count < 10 || faults.len() == 5), "a simulation without faults shows nothing");
}
