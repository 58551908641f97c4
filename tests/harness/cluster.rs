//! Nodes, what travels between them, and the one queue ordered by time and sequence.
//!
//! A scenario reads as a story: nodes are named, asked, cut off, crashed and restarted, and
//! `settle` runs the queue until nothing is left but timers. What a link or a disk does is decided
//! by `network` and `disk`; what is asked of the nodes is in `story`. Whoever wants to see every
//! event with its effects runs the queue by [`Cluster::step_seen`].

use std::collections::BTreeMap;

use fourword_protocol::effect::Effect;
use fourword_protocol::event::{Event, GossipId};
use fourword_protocol::ids::{DeviceKey, Topic};
use fourword_protocol::replicator::Settings;
use fourword_protocol::time::{Duration, Now};
use fourword_protocol::wire::Frame;
use fourword_protocol::words::Naming;
use fourword_storage::MemoryStore;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::clock::Clock;
use crate::disk::DiskProfile;
use crate::draw;
use crate::network::{LinkProfile, Network};
use crate::node::Node;
use crate::rendezvous::Rendezvous;
use crate::tally::Tally;

/// Events that one `settle` may take: more means that nodes keep each other busy for ever.
const STEPS_MAX: u64 = 2_000_000;

pub(crate) const DAY_MS: i64 = 86_400_000;

/// A whole cluster.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) nodes: BTreeMap<String, Node>,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    now: u64,
    pub(crate) random: ChaCha20Rng,
    pub(crate) network: Network,
    /// How disks are.
    pub disks: DiskProfile,
    /// Who can be found by the keys they offer.
    pub(crate) rendezvous: Rendezvous,
    /// Share of gossip that is lost, in percent.
    pub gossip_loss: u64,
    /// How long quiet peers wait before they compare again, for nodes started from now on.
    pub compare_every: Option<Duration>,
    /// With how many envelopes documents want to be folded, for nodes started from now on.
    pub fold_after: u64,
    /// With how many bytes segments are full, for nodes started from now on.
    pub segment_bytes: u64,
    /// Whether the steady clock of a node begins anew with each start, as it does in a process.
    pub clocks_begin_anew: bool,
    /// By how much wall clocks have been set on.
    pub(crate) days_passed: i64,
    /// What went wrong on the way, by kind.
    pub faults: Tally,
    gossips: u64,
    /// Ids whose names were forged, and whose name each bears.
    pub(crate) forged: BTreeMap<[u8; 32], [u8; 32]>,
    /// Frames and gossip delivered so far.
    pub delivered: u64,
}

#[derive(Debug)]
struct Happening {
    to: String,
    run: u64,
    /// Over which connection it came, and from whom: lost if that is gone.
    over: Option<(String, u64)>,
    what: What,
}

#[derive(Debug, PartialEq)]
enum What {
    Event(Event),
    /// The disk has done what it began.
    Disk,
    /// The node finds that a connection is gone.
    Parted {
        from: String,
    },
    /// A connection on which one hears nothing of the other is given up.
    GiveUp {
        with: String,
        connection: u64,
    },
}

/// One event that a machine was given, and what it wants done.
#[derive(Debug)]
pub struct Happened {
    /// At which node.
    pub name: String,
    /// When, by the cluster's clock.
    pub at: u64,
    /// What.
    pub event: Event,
    /// The effects, which are about to be carried out.
    pub effects: Vec<Effect>,
}

impl Cluster {
    /// An empty cluster; the seed draws every delay and every node's own randomness.
    pub fn new(seed: u64) -> Cluster {
        Cluster {
            nodes: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            now: 0,
            random: ChaCha20Rng::seed_from_u64(seed),
            network: Network::new(),
            disks: DiskProfile::CALM,
            rendezvous: Rendezvous::default(),
            gossip_loss: 0,
            compare_every: Some(Duration::from_secs(60)),
            fold_after: fourword_protocol::limits::FOLD_AFTER_ENVELOPES,
            segment_bytes: u64::MAX,
            clocks_begin_anew: false,
            days_passed: 0,
            faults: Tally::default(),
            gossips: 0,
            forged: BTreeMap::new(),
            delivered: 0,
        }
    }

    /// How links are from now on; those in use keep their delay.
    pub fn set_links(&mut self, profile: LinkProfile) {
        self.network.profile = profile;
    }

    /// Milliseconds since the cluster began.
    pub fn now(&self) -> u64 {
        self.now
    }

    // -- nodes --------------------------------------------------------------------------------

    /// Starts a new node in an empty home and waits until it serves.
    pub fn add(&mut self, name: &str) {
        self.start(name, MemoryStore::new(), 0, false);
        self.run_until(|c| c.node(name).device.is_some());
    }

    /// Puts a node into the world that begins with this home; it serves once it listens.
    pub(crate) fn start(&mut self, name: &str, store: MemoryStore, run: u64, clean: bool) {
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        let passed_ms = self.days_passed * DAY_MS;
        let skew_ms = self.nodes.get(name).map_or(passed_ms, |node| node.clock.skew_ms);
        let began = if self.clocks_begin_anew { self.now } else { 0 };
        let clock = Clock { began, skew_ms };
        let settings = Settings {
            compare_every: self.compare_every,
            fold_after: self.fold_after,
            segment_bytes: self.segment_bytes,
            ..Settings::new(seed, Naming::Test)
        };
        let mut node = Node::new(settings, store, run, clock);
        let before = self.nodes.get(name).filter(|before| clean && before.run + 1 == run);
        node.clean_since = before.map_or(run, |before| before.clean_since);
        self.nodes.insert(name.to_owned(), node);
        self.rendezvous.forget(name);
        self.happen(name, Event::Started { clean });
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Whether a node runs.
    pub fn is_up(&self, name: &str) -> bool {
        self.node(name).up
    }

    pub(crate) fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Ends a node at once: what was not durable is lost. Others see the connection close.
    pub fn crash(&mut self, name: &str) {
        self.crash_keeping(name, 0);
    }

    /// Ends a node at once, when the first batches of the flush under way had reached its disk.
    pub fn crash_keeping(&mut self, name: &str, kept: usize) {
        self.hang_up(name);
        let node = self.node_mut(name);
        node.up = false;
        node.disk.crash(kept);
    }

    /// Asks a node to end and waits until it says that all is written.
    pub fn stop(&mut self, name: &str) {
        self.happen(name, Event::Stopping);
        self.run_until(|c| c.node(name).stopped);
        self.take_down(name);
    }

    /// The process of a node that has said that all is written ends.
    pub(crate) fn take_down(&mut self, name: &str) {
        self.hang_up(name);
        self.node_mut(name).up = false;
    }

    /// Starts a node again in its home, after `stop` or `crash`, and waits until it serves.
    pub fn restart(&mut self, name: &str) {
        self.begin_again(name);
        self.run_until(|c| c.node(name).device.is_some());
    }

    /// Starts a node again in its home, after `stop` or `crash`.
    pub(crate) fn begin_again(&mut self, name: &str) {
        let node = self.node_mut(name);
        // A store that has failed leaves no mark of a clean stop.
        let clean = node.stopped && !node.disk.failed;
        if node.disk.failed {
            node.disk.crash(0);
        }
        let (store, run) = (std::mem::take(&mut node.disk.store), node.run + 1);
        self.start(name, store, run, clean);
    }

    /// Starts a node from a copy of another's home.
    pub fn restore_copy(&mut self, of: &str, name: &str) {
        let store = self.node(of).disk.store.clone();
        self.start(name, store, 0, false);
        self.run_until(|c| c.node(name).device.is_some());
    }

    /// Starts a node from a copy of a home that was stopped, as if the copy were that home: its
    /// clean mark is believed.
    pub fn start_twin(&mut self, of: &str, name: &str) {
        let (store, clean) = (self.node(of).disk.store.clone(), self.node(of).stopped);
        self.start(name, store, 0, clean);
        self.run_until(|c| c.node(name).device.is_some());
    }

    fn hang_up(&mut self, name: &str) {
        let others: Vec<String> = self.node(name).connected.keys().cloned().collect();
        for other in others {
            self.disconnect(name, &other);
        }
    }

    // -- connections --------------------------------------------------------------------------

    /// Connects two nodes, unless they are cut off from each other.
    pub fn connect(&mut self, a: &str, b: &str) {
        let (Some(of_a), Some(of_b)) = (self.device(a), self.device(b)) else { return };
        let up = self.node(a).up && self.node(b).up;
        // A device is known by its key alone, so of two copies of a home one is spoken with.
        let apart = self.named(of_b, a).is_none() && self.named(of_a, b).is_none();
        if a == b || of_a == of_b || !up || !apart || !self.network.joins(a, b) {
            return;
        }
        let connection = self.network.connection();
        self.node_mut(a).connected.insert(b.to_owned(), connection);
        self.node_mut(b).connected.insert(a.to_owned(), connection);
        self.happen(a, Event::Connected(of_b));
        self.happen(b, Event::Connected(of_a));
    }

    /// Connects every pair of nodes.
    pub fn connect_all(&mut self) {
        let names: Vec<String> = self.nodes.keys().cloned().collect();
        for a in &names {
            for b in &names {
                self.connect(a, b);
            }
        }
    }

    /// Closes the connection between two nodes; what is under way is lost.
    pub fn disconnect(&mut self, a: &str, b: &str) {
        self.close(a, b, 0);
    }

    /// Closes the connection between two nodes; the second sees it so much later.
    pub(crate) fn close(&mut self, a: &str, b: &str, lag_ms: u64) {
        let Some(of_b) = self.device(b) else { return };
        if let Some(connection) = self.node_mut(a).connected.remove(b) {
            self.happen(a, Event::Disconnected(of_b));
            let what = What::Parted { from: a.to_owned() };
            if self.node(b).connected.get(a) == Some(&connection) {
                match lag_ms {
                    0 => self.part(b, a),
                    lag => self.happen_in(lag, b, Some((a.to_owned(), connection)), what),
                }
            }
        }
    }

    fn part(&mut self, name: &str, from: &str) {
        let of = self.device(from);
        if self.node_mut(name).connected.remove(from).is_some()
            && let Some(of) = of
        {
            self.happen(name, Event::Disconnected(of));
        }
    }

    /// Cuts a node off from all others until `heal`.
    pub fn isolate(&mut self, name: &str) {
        let others: Vec<String> = self.nodes.keys().filter(|n| *n != name).cloned().collect();
        for other in others {
            self.network.cut(name, &other);
            self.disconnect(name, &other);
        }
    }

    /// From now on nothing of what one node sends reaches another, and neither knows it until
    /// their connection is given up after so much time.
    pub fn mute(&mut self, from: &str, to: &str, until_ms: u64) {
        self.network.mute(from, to);
        if let Some(connection) = self.node(to).connected.get(from).copied() {
            self.happen_in(until_ms, to, None, What::GiveUp { with: from.to_owned(), connection });
        }
    }

    /// Loses the next so many frames of a kind that one node sends to another.
    pub fn lose(&mut self, from: &str, to: &str, kind: fn(&Frame) -> bool, count: u64) {
        self.network.lose(from, to, kind, count);
    }

    /// Loses no more of the frames that were to be lost.
    pub fn lose_no_more(&mut self) {
        self.network.lose_no_more();
    }

    /// Ends the cut between two nodes and connects them.
    pub fn reunite(&mut self, a: &str, b: &str) {
        self.network.mend(a, b);
        self.connect(a, b);
    }

    /// Ends all cuts and connects everybody.
    pub fn heal(&mut self) {
        self.mend();
        self.connect_all();
    }

    /// Ends all cuts. A connection on which frames vanished does not outlive that.
    pub(crate) fn mend(&mut self) {
        for (from, to) in self.network.mend_all() {
            self.disconnect(&from, &to);
        }
    }

    /// A node's device, once it has listened.
    pub fn device(&self, name: &str) -> Option<DeviceKey> {
        self.nodes.get(name)?.device
    }

    pub(crate) fn named(&self, device: DeviceKey, seen_by: &str) -> Option<String> {
        let connected = &self.node(seen_by).connected;
        connected.keys().find(|name| self.device(name) == Some(device)).cloned()
    }

    // -- the queue ----------------------------------------------------------------------------

    pub(crate) fn happen(&mut self, to: &str, event: Event) {
        self.happen_in(0, to, None, What::Event(event));
    }

    pub(crate) fn happen_after(&mut self, delay_ms: u64, to: &str, event: Event) {
        self.happen_in(delay_ms, to, None, What::Event(event));
    }

    fn happen_in(&mut self, delay_ms: u64, to: &str, over: Option<(String, u64)>, what: What) {
        self.happen_at(self.now.saturating_add(delay_ms), to, over, what);
    }

    fn happen_at(&mut self, at: u64, to: &str, over: Option<(String, u64)>, what: What) {
        self.sequence += 1;
        let happening = Happening { to: to.to_owned(), run: self.node(to).run, over, what };
        self.queue.insert((at, self.sequence), happening);
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets time pass in which nothing happens.
    pub(crate) fn pass_to(&mut self, at: u64) {
        self.now = self.now.max(at);
    }

    fn step(&mut self) -> bool {
        self.step_seen(&mut |_, _| {})
    }

    /// Takes the next thing that happens, and shows it before its effects are carried out. False
    /// if nothing is left.
    pub fn step_seen(&mut self, see: &mut dyn FnMut(&mut Cluster, &Happened)) -> bool {
        let Some(((at, _), happening)) = self.queue.pop_first() else { return false };
        self.now = at;
        let Happening { to: name, run, over, what } = happening;
        let node = self.node_mut(&name);
        if !node.up || node.run != run {
            return true;
        }
        if over.is_some_and(|(from, connection)| node.connected.get(&from) != Some(&connection)) {
            return true;
        }
        match what {
            What::Disk => {
                for event in node.disk.end() {
                    self.happen(&name, event);
                }
                self.start_disk(&name);
            }
            What::Parted { from } => self.part(&name, &from),
            What::GiveUp { with, connection } => {
                if node.connected.get(&with) == Some(&connection) {
                    let lag = draw::within(&mut self.random, (1, 2_000));
                    self.close(&name, &with, lag);
                }
            }
            What::Event(Event::Wake) if node.wake.take_if(|wake| *wake == at).is_none() => {
                // Another time was asked for since.
            }
            What::Event(event) => {
                self.give(&name, event, see);
                self.start_disk(&name);
            }
        }
        true
    }

    /// Gives an event to a node's machine and carries out what it wants.
    fn give(&mut self, name: &str, event: Event, see: &mut dyn FnMut(&mut Cluster, &Happened)) {
        let at = self.now;
        let node = self.node_mut(name);
        if !node.up {
            return;
        }
        if node.taken_over {
            if let Event::Received(from, bytes) = event {
                node.inbox.push((from, bytes));
            }
            return;
        }
        let now: Now = node.clock.at(at);
        let effects = node.machine.handle(now, event.clone());
        node.count(&effects);
        let happened = Happened { name: name.to_owned(), at, event, effects };
        see(self, &happened);
        for effect in happened.effects {
            self.carry_out(name, effect);
        }
    }

    pub(crate) fn start_disk(&mut self, name: &str) {
        if let Some(work) = self.node_mut(name).disk.begin() {
            let takes = self.disks.time(work, &mut self.random);
            self.happen_in(takes, name, None, What::Disk);
        }
    }

    pub(crate) fn carry_out(&mut self, name: &str, effect: Effect) {
        match effect {
            Effect::Listen(secret) => {
                let node = self.node_mut(name);
                node.device = Some(secret.key());
                node.secret = Some(secret);
            }
            Effect::Write(batch) => self.node_mut(name).disk.write(batch),
            Effect::Load(load, query) => self.node_mut(name).disk.load(load, query),
            Effect::Stretch(id, input) => {
                let input = self.with_forgeries(input);
                self.happen_in(5, name, None, What::Event(Event::Stretched(id, input.run())));
            }
            Effect::Connect(address) => self.dial(name, address),
            Effect::Offer(key) => self.rendezvous.offer(name, key),
            Effect::Withdraw(key) => self.rendezvous.withdraw(name, key),
            Effect::Find(key) => self.find(name, key),
            Effect::Reach(device) => self.reach(name, device),
            Effect::Fellows(devices) => self.node_mut(name).fellows = devices,
            Effect::Disconnect(device, _) => {
                if let Some(other) = self.named(device, name) {
                    self.disconnect(name, &other);
                }
            }
            Effect::Send(device, bytes) => self.send(name, device, bytes),
            Effect::Subscribe(topic) => drop(self.node_mut(name).topics.insert(topic)),
            Effect::Unsubscribe(topic) => drop(self.node_mut(name).topics.remove(&topic)),
            Effect::Publish(topic, bytes) => self.publish(name, topic, &bytes),
            Effect::Judge(gossip, verdict) => drop(self.node_mut(name).verdicts.insert(gossip, verdict)),
            Effect::Answer(command, outcome) => {
                let before = self.node_mut(name).outcomes.insert(command, outcome);
                assert!(before.is_none(), "{name} answered {command:?} twice");
            }
            Effect::Report(..) => {}
            Effect::Notify(notice) => self.node_mut(name).notices.push(notice),
            Effect::WakeAt(instant) => {
                let at = self.node(name).clock.when(instant).max(self.now);
                self.node_mut(name).wake = Some(at);
                self.happen_at(at, name, None, What::Event(Event::Wake));
            }
            Effect::Stopped => self.node_mut(name).stopped = true,
        }
    }

    fn dial(&mut self, name: &str, address: String) {
        let target = address.strip_prefix("sim:").unwrap_or_default().to_owned();
        if self.nodes.contains_key(&target) {
            self.connect(name, &target);
        }
        if !self.node(name).connected.contains_key(&target) {
            let event = Event::Unreachable { address, reason: "no such node".into() };
            self.happen_in(10, name, None, What::Event(event));
        }
    }

    fn send(&mut self, name: &str, device: DeviceKey, bytes: Vec<u8>) {
        let (Some(to), Some(from)) = (self.named(device, name), self.device(name)) else { return };
        self.delivered += 1;
        let Some(connection) = self.node(name).connected.get(&to).copied() else { return };
        if self.network.loses(name, &to, &bytes) {
            return;
        }
        let arrivals = self.network.frame((name, &to), self.now, &mut self.random, &mut self.faults);
        for at in arrivals {
            let over = Some((name.to_owned(), connection));
            self.happen_at(at, &to, over, What::Event(Event::Received(from, bytes.clone())));
        }
    }

    fn publish(&mut self, name: &str, topic: Topic, bytes: &[u8]) {
        let Some(from) = self.device(name) else { return };
        let listeners: Vec<String> = self.node(name).connected.keys().cloned().collect();
        for to in listeners {
            let (now, loss) = (self.now, self.gossip_loss);
            let arrives = self.network.gossip((name, &to), now, loss, &mut self.random);
            // Among fellow members alone, as each side's driver was told who they are.
            let hears = |node: &Node| node.topics.contains(&topic) && node.fellows.contains(&from);
            let Some(at) = arrives.filter(|_| hears(self.node(&to))) else { continue };
            self.gossips += 1;
            self.delivered += 1;
            let gossip = GossipId(self.gossips);
            let event = Event::Heard { gossip, topic, from, bytes: bytes.to_vec() };
            self.happen_at(at, &to, None, What::Event(event));
        }
    }

    /// Runs until a condition holds; fails if it never does.
    pub fn run_until(&mut self, done: impl Fn(&Cluster) -> bool) {
        let mut steps = 0;
        while !done(self) {
            assert!(self.step(), "nothing is left to happen, and what was waited for has not");
            steps += 1;
            assert!(steps < STEPS_MAX, "what was waited for never happens");
        }
    }

    /// Runs until the next gossip is on its way to a node, and gives it to that node at once:
    /// before whoever published it may have written it to its disk.
    pub fn run_until_delivered(&mut self, to: &str) {
        let heard = |h: &Happening| h.to == to && matches!(h.what, What::Event(Event::Heard { .. }));
        self.run_until(|c| c.queue.values().any(heard));
        let at = self.queue.iter().find(|(_, h)| heard(h)).map(|(at, _)| *at);
        if let Some(happening) = at.and_then(|at| self.queue.remove(&at)) {
            self.sequence += 1;
            self.queue.insert((self.now, 0), happening);
            self.step();
        }
    }

    /// Runs for this much simulated time.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut steps = 0;
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
            steps += 1;
            assert!(steps < STEPS_MAX, "the nodes keep each other busy for ever");
        }
        self.now = end;
    }

    /// Runs long enough for everything to be told, asked for and sent, retries included.
    pub fn settle(&mut self) {
        self.run_for(10_000);
    }
}
