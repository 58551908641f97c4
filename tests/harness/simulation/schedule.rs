//! One schedule under way: a cluster, the world's view of it, and the checkers that watch.
//!
//! Every event of every machine passes [`Schedule::one`]: it goes into the trace, and is looked at
//! by the checkers, before its effects are carried out.

use std::collections::BTreeSet;

use fourword_protocol::command::{Command, CommandId, JoinBy, Outcome, Reply};
use fourword_protocol::ids::PersonId;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_storage::MemoryStore;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::check::Checker;
use super::keeping::Keeping;
use super::profile::Profile;
use super::renegades::Renegades;
use super::verdict::{Report, Rule, Violation, demand};
use super::world::{Intent, Person, World};
use crate::cluster::Cluster;
use crate::draw;
use crate::tally::Tally;
use crate::trace::{self, Trace};

const NAMES: [&str; 7] = ["ada", "ben", "cem", "dia", "eve", "fay", "gus"];
const NODES_MIN: u64 = 5;
/// Envelopes after which the documents of a world want to be folded, from and to.
const FOLD_AFTER: (u64, u64) = (10, 40);
/// Events between two steps at most: more means that nodes keep each other busy for ever.
const EVENTS_MAX: u64 = 200_000;
/// How long a command of a node that runs may wait for its answer while nothing is wrong.
const ANSWER_MS: u64 = 120_000;

/// One schedule under way.
#[derive(Debug)]
pub struct Schedule {
    pub(super) profile: Profile,
    pub(super) c: Cluster,
    pub(super) random: ChaCha20Rng,
    pub(super) world: World,
    pub(super) checker: Checker,
    pub(super) renegades: Renegades,
    pub(super) keeping: Keeping,
    /// What people and the world did, by kind.
    pub(super) faults: Tally,
    trace: Trace,
    events: u64,
    first: u64,
    /// Every event is printed, for who looks for a cause.
    pub(super) aloud: bool,
}

impl Schedule {
    /// A world with its first group, in which nothing has gone wrong yet.
    pub fn new(seed: u64, profile: Profile) -> Schedule {
        let mut random = ChaCha20Rng::seed_from_u64(seed ^ 0x5eed_0000_0000);
        let mut c = Cluster::new(seed);
        c.compare_every = profile.compare_every();
        c.clocks_begin_anew = true;
        // Drawn apart, so that what people do is the same as ever.
        c.fold_after = draw::within(&mut ChaCha20Rng::seed_from_u64(seed ^ 0xf01d), FOLD_AFTER);
        c.segment_bytes = profile.segment_bytes(seed).unwrap_or(c.segment_bytes);
        let first = draw::within(&mut random, (NODES_MIN, NAMES.len() as u64));
        Schedule {
            profile,
            c,
            random,
            world: World::new(profile),
            checker: Checker::default(),
            renegades: Renegades::new(seed),
            keeping: Keeping::new(seed),
            faults: Tally::default(),
            trace: Trace::default(),
            events: 0,
            first,
            aloud: false,
        }
    }

    /// The simulated time.
    pub fn now(&self) -> u64 {
        self.c.now()
    }

    /// Plays the whole schedule; `at` tells how far it came.
    pub(super) fn play(&mut self, steps: u64, at: &mut (u64, u64)) -> Result<(), Violation> {
        self.found()?;
        self.roughen();
        for step in 1..=steps {
            *at = (step, self.c.now());
            self.act()?;
            self.betray(step)?;
            self.drop_or_keep();
            let pause = draw::within(&mut self.random, (1, 1_200));
            self.run_for(pause)?;
            self.checker.look_around(&mut self.c, &mut self.world)?;
        }
        *at = (steps + 1, self.c.now());
        self.finish()
    }

    /// How many chats go on in a second segment.
    fn series(&self) -> u64 {
        let nodes = self.world.nodes.keys();
        let held = nodes.flat_map(|name| self.c.holdings(name));
        let second = held.filter(|h| h.segment() == (Concern::Chat, 2) && !h.heads().is_empty());
        second.map(|holding| holding.place()).collect::<BTreeSet<_>>().len() as u64
    }

    /// What came of it.
    pub(super) fn report(&self, seed: u64, steps: u64) -> Report {
        let mut faults = self.faults.clone();
        faults.merge(&self.c.faults);
        faults.add("late keys", self.checker.claims.late_keys);
        let mut done = self.world.done.clone();
        done.add("chats folded", self.checker.folds);
        done.add("chats of several segments", self.series());
        Report {
            seed,
            nodes: self.world.nodes.len() as u64,
            steps,
            events: self.events,
            simulated_ms: self.c.now(),
            saved: self.world.saved.len() as u64,
            faults,
            done,
            trace: self.trace.hash(),
        }
    }

    // -- the queue ----------------------------------------------------------------------------

    /// Lets the next thing happen, and has it looked at. False if nothing is left.
    pub(super) fn one(&mut self) -> Result<bool, Violation> {
        let Schedule { c, world, checker, trace, events, aloud, .. } = self;
        let mut broken = None;
        let more = c.step_seen(&mut |c, happened| {
            *events += 1;
            if *aloud {
                println!("{}", trace::line(happened.at, &happened.name, &happened.event, &happened.effects));
            }
            trace.note(happened.at, &happened.name, &happened.event, &happened.effects);
            if broken.is_none() {
                broken = checker.look(c, world, happened).err();
            }
        });
        if let Some(violation) = broken {
            return Err(violation);
        }
        self.checker.look_after(&mut self.c, &self.world)?;
        Ok(more)
    }

    /// Lets so much time pass.
    pub(super) fn run_for(&mut self, ms: u64) -> Result<(), Violation> {
        let end = self.c.now() + ms;
        let before = self.events;
        while self.c.next_at().is_some_and(|at| at <= end) {
            self.one()?;
            let busy = self.events - before > EVENTS_MAX;
            demand(!busy, Rule::SettledIsQuiet, || "the nodes keep each other busy for ever".into())?;
            if let Some((name, kept)) = self.checker.to_crash.take() {
                self.faults.count("crash at the moment something is called saved");
                self.crash(&name, kept);
            }
        }
        self.c.pass_to(end);
        Ok(())
    }

    // -- asking -------------------------------------------------------------------------------

    /// Asks a node without waiting.
    pub(super) fn begin(&mut self, name: &str, command: Command, intent: Intent) -> CommandId {
        let id = self.c.begin(name, command);
        self.world.asked.insert((name.to_owned(), id), intent);
        id
    }

    /// Asks a node that nothing is wrong with, and waits.
    pub(super) fn ask(&mut self, name: &str, command: Command) -> Result<Outcome, Violation> {
        self.ask_for(name, command, Intent::Other("questions"))
    }

    pub(super) fn ask_for(
        &mut self,
        name: &str,
        command: Command,
        intent: Intent,
    ) -> Result<Outcome, Violation> {
        let kind = format!("{command:?}");
        let id = self.begin(name, command, intent);
        let end = self.c.now() + ANSWER_MS;
        while self.c.answer(name, id).is_none() {
            let waits = self.c.next_at().is_some_and(|at| at <= end) && self.one()?;
            demand(waits, Rule::EveryAskerIsAnswered, || format!("{name} does not answer {kind}"))?;
        }
        let outcome = self.c.node_mut(name).outcomes.remove(&id);
        outcome.ok_or_else(|| Violation::new(Rule::EveryAskerIsAnswered, kind))
    }

    /// Asks a node for something that nothing stands in the way of.
    pub(super) fn must(&mut self, name: &str, command: Command, intent: Intent) -> Result<Reply, Violation> {
        match self.ask_for(name, command, intent)? {
            Outcome::Done(reply) => Ok(reply),
            Outcome::Refused(refusal) => {
                let what = format!("{name} refused without need: {} ({:?})", refusal.message, refusal.code);
                Err(Violation::new(Rule::EveryAskerIsAnswered, what))
            }
        }
    }

    // -- the beginning ------------------------------------------------------------------------

    /// Starts a node of a new person and waits until it has its name.
    pub(super) fn add_person(&mut self, name: &str) -> Result<usize, Violation> {
        let person = self.world.people.len();
        self.world.nodes.insert(name.to_owned(), person);
        let nodes = vec![name.to_owned()];
        self.world.people.push(Person { id: PersonId([0; 32]), nodes, honest: true });
        self.c.start(name, MemoryStore::new(), 0, false);
        while self.c.device(name).is_none() {
            self.one()?;
        }
        let id = loop {
            match self.ask(name, Command::Status)? {
                Outcome::Done(Reply::Status(status)) => break status.person,
                _ => self.run_for(10)?,
            }
        };
        if let Some(person) = self.world.people.get_mut(person) {
            person.id = id;
        }
        Ok(person)
    }

    /// Starts the first nodes and makes the group of most of them.
    pub(super) fn found(&mut self) -> Result<(), Violation> {
        let count = usize::try_from(self.first).unwrap_or(NAMES.len());
        for name in NAMES.iter().take(count) {
            self.add_person(name)?;
        }
        self.make_group(NAMES[0], "team", None)?;
        self.invite_to(NAMES[0], 0, Role::Member)?;
        let late = draw::within(&mut self.random, (0, 2));
        let late = usize::try_from(late).unwrap_or(0);
        for name in NAMES.iter().take(count - late).skip(1) {
            self.join_by_code(name, 0)?;
        }
        self.c.connect_all();
        self.run_for(2_000)
    }

    pub(super) fn make_group(
        &mut self,
        by: &str,
        name: &str,
        parent: Option<usize>,
    ) -> Result<(), Violation> {
        let words = parent.and_then(|parent| self.world.groups.get(parent)).map(|group| group.words);
        let kind = match words {
            Some(_) => fourword_protocol::command::Kind::Channel,
            None => fourword_protocol::command::Kind::Group,
        };
        let command = Command::Create { kind, name: name.to_owned(), parent: words };
        self.must(by, command, Intent::Create { parent }).map(drop)
    }

    fn invite_to(&mut self, by: &str, group: usize, role: Role) -> Result<(), Violation> {
        let command = self.invite_command(by, group, role);
        self.must(by, command, Intent::Invite { group, role }).map(drop)
    }

    fn join_by_code(&mut self, name: &str, group: usize) -> Result<(), Violation> {
        let Some((words, (code, role))) =
            self.world.groups.get(group).and_then(|g| Some((g.words, g.codes.first()?.clone())))
        else {
            return Ok(());
        };
        if let Some(person) = self.world.owner(name).and_then(|p| self.world.people.get(p)) {
            let id = person.id;
            self.world.give(group, id, role);
        }
        let command = Command::Join { words, by: JoinBy::Code(code), peers: Vec::new() };
        self.must(name, command, Intent::Join { group }).map(drop)
    }

    /// From now on the world is as the profile and the seed have it.
    fn roughen(&mut self) {
        let links = self.profile.links(&mut self.random);
        self.c.set_links(links);
        self.c.disks = self.profile.disks(&mut self.random);
        // Not drawn where none comes.
        let drawn = if self.profile == Profile::Silent { 0 } else { self.random.next_u64() % 40 };
        self.c.gossip_loss = self.profile.gossip_loss(drawn);
        for name in self.world.nodes.keys().cloned().collect::<Vec<_>>() {
            if draw::once_in(&mut self.random, 3) {
                self.skew_clock(&name);
            }
        }
    }
}
