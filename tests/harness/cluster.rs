//! Nodes, the network between them, and the one queue ordered by time and sequence.
//!
//! A scenario reads as a story: nodes are named, asked, cut off, crashed and restarted, and
//! `settle` runs the queue until nothing is left but timers.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{
    ChatCommand, Command, CommandId, JoinBy, JoinState, Kind, Notice, Outcome, Reply,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::{Event, GossipId};
use fourword_protocol::ids::{DeviceKey, Digest, LogId, Topic};
use fourword_protocol::record::{Batch, Page, Query};
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::time::{Instant, Now, WallTime};
use fourword_protocol::words::FourWords;
use fourword_storage::{Fault, MemoryStore, Store};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::node::Node;

const WALL_START_MS: u64 = 1_800_000_000_000;
const DAY_MS: u64 = 86_400_000;
/// Events that one `settle` may take: more means that nodes keep each other busy for ever.
const STEPS_MAX: u64 = 2_000_000;

/// A whole cluster.
#[derive(Debug)]
pub struct Cluster {
    nodes: BTreeMap<String, Node>,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    now: u64,
    random: ChaCha20Rng,
    /// Pairs that cannot reach each other, both ways round.
    cut: BTreeSet<(String, String)>,
    /// Whether nodes find each other by the keys they offer, as through a relay that all can reach.
    pub discovery: bool,
    offers: BTreeMap<Digest, BTreeSet<String>>,
    /// Share of gossip that is lost, in percent.
    pub gossip_loss: u64,
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
    what: What,
}

#[derive(Debug, PartialEq)]
enum What {
    Event(Event),
    Write(Batch),
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
            cut: BTreeSet::new(),
            discovery: false,
            offers: BTreeMap::new(),
            gossip_loss: 0,
            gossips: 0,
            forged: BTreeMap::new(),
            delivered: 0,
        }
    }

    // -- nodes --------------------------------------------------------------------------------

    /// Starts a new node in an empty home and waits until it serves.
    pub fn add(&mut self, name: &str) {
        self.start(name, MemoryStore::new(), 0, false);
    }

    fn start(&mut self, name: &str, store: MemoryStore, run: u64, clean: bool) {
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        self.nodes.insert(name.to_owned(), Node::new(seed, store, run));
        self.happen(name, Event::Started { clean });
        self.run_until(|c| c.node(name).device.is_some());
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
        self.hang_up(name);
        let node = self.node_mut(name);
        node.up = false;
        node.store.crash(0);
    }

    /// Asks a node to end and waits until it says that all is written.
    pub fn stop(&mut self, name: &str) {
        self.happen(name, Event::Stopping);
        self.run_until(|c| c.node(name).stopped);
        self.hang_up(name);
        self.node_mut(name).up = false;
    }

    /// Starts a node again in its home, after `stop` or `crash`.
    pub fn restart(&mut self, name: &str) {
        let node = self.node(name);
        let (store, run, clean) = (node.store.clone(), node.run + 1, node.stopped);
        self.start(name, store, run, clean);
    }

    /// Starts a node from a copy of another's home.
    pub fn restore_copy(&mut self, of: &str, name: &str) {
        let store = self.node(of).store.clone();
        self.start(name, store, 0, false);
    }

    /// Starts a node from a copy of a home that was stopped, as if the copy were that home: its
    /// clean mark is believed.
    pub fn start_twin(&mut self, of: &str, name: &str) {
        let (store, clean) = (self.node(of).store.clone(), self.node(of).stopped);
        self.start(name, store, 0, clean);
    }

    /// Makes the next write of a node fail for want of room, and all after it until a restart.
    pub fn fill_disk(&mut self, name: &str) {
        self.node_mut(name).store.fail_next(Fault::DiskFull);
    }

    /// All logs that a node holds on its disk.
    pub fn logs(&self, name: &str) -> BTreeSet<LogId> {
        match self.node(name).store.read(&Query::Opening) {
            Ok(Page::Opening { heads, .. }) => heads.into_iter().map(|(_, log, _)| log).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn hang_up(&mut self, name: &str) {
        let others: Vec<String> = self.node(name).connected.iter().cloned().collect();
        for other in others {
            self.disconnect(name, &other);
        }
    }

    // -- the network --------------------------------------------------------------------------

    /// Connects two nodes, unless they are cut off from each other.
    pub fn connect(&mut self, a: &str, b: &str) {
        let blocked = a == b || self.cut.contains(&(a.to_owned(), b.to_owned()));
        let (Some(of_a), Some(of_b)) = (self.device(a), self.device(b)) else { return };
        if blocked || !self.node(a).up || !self.node(b).up || of_a == of_b {
            return;
        }
        if self.node_mut(a).connected.insert(b.to_owned()) {
            self.node_mut(b).connected.insert(a.to_owned());
            self.happen(a, Event::Connected(of_b));
            self.happen(b, Event::Connected(of_a));
        }
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
        let (Some(of_a), Some(of_b)) = (self.device(a), self.device(b)) else { return };
        if self.node_mut(a).connected.remove(b) {
            self.node_mut(b).connected.remove(a);
            let lost = |h: &Happening| match &h.what {
                What::Event(Event::Received(from, _)) => {
                    (h.to == a && *from == of_b) || (h.to == b && *from == of_a)
                }
                _ => false,
            };
            self.queue.retain(|_, h| !lost(h));
            self.happen(a, Event::Disconnected(of_b));
            self.happen(b, Event::Disconnected(of_a));
        }
    }

    /// Cuts a node off from all others until `heal`.
    pub fn isolate(&mut self, name: &str) {
        let others: Vec<String> = self.nodes.keys().filter(|n| *n != name).cloned().collect();
        for other in others {
            self.cut.insert((name.to_owned(), other.clone()));
            self.cut.insert((other.clone(), name.to_owned()));
            self.disconnect(name, &other);
        }
    }

    /// Ends the cut between two nodes and connects them.
    pub fn reunite(&mut self, a: &str, b: &str) {
        self.cut.remove(&(a.to_owned(), b.to_owned()));
        self.cut.remove(&(b.to_owned(), a.to_owned()));
        self.connect(a, b);
    }

    /// Ends all cuts and connects everybody.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.connect_all();
    }

    /// A node's device, once it has listened.
    pub fn device(&self, name: &str) -> Option<DeviceKey> {
        self.nodes.get(name)?.device
    }

    fn named(&self, device: DeviceKey, seen_by: &str) -> Option<String> {
        let connected = &self.node(seen_by).connected;
        connected.iter().find(|name| self.device(name) == Some(device)).cloned()
    }

    // -- the queue ----------------------------------------------------------------------------

    pub(crate) fn happen(&mut self, to: &str, event: Event) {
        self.happen_in(0, to, What::Event(event));
    }

    fn happen_in(&mut self, delay_ms: u64, to: &str, what: What) {
        self.sequence += 1;
        let happening = Happening { to: to.to_owned(), run: self.node(to).run, what };
        self.queue.insert((self.now + delay_ms, self.sequence), happening);
    }

    /// Takes the next thing that happens. False if nothing is left.
    fn step(&mut self) -> bool {
        let Some(((at, _), happening)) = self.queue.pop_first() else { return false };
        self.now = at;
        let name = happening.to;
        let node = self.node_mut(&name);
        if !node.up || node.run != happening.run {
            return true;
        }
        if happening.what == What::Event(Event::Wake) && node.wake.take_if(|wake| *wake == at).is_none() {
            // Another time was asked for since.
            return true;
        }
        if node.taken_over {
            if let What::Event(Event::Received(from, bytes)) = happening.what {
                self.node_mut(&name).inbox.push((from, bytes));
            }
            return true;
        }
        match happening.what {
            What::Write(batch) => {
                let written = self.node_mut(&name).store.write(std::slice::from_ref(&batch));
                let event = match written {
                    Ok(()) => Event::Durable(batch.id),
                    Err(error) => Event::WriteFailed(batch.id, error.failure()),
                };
                self.happen(&name, event);
            }
            What::Event(event) => {
                let now = Now { instant: Instant(at), wall: WallTime(WALL_START_MS + at) };
                let effects = self.node_mut(&name).machine.handle(now, event);
                self.node_mut(&name).count(&effects);
                for effect in effects {
                    self.carry_out(&name, effect);
                }
            }
        }
        true
    }

    fn carry_out(&mut self, name: &str, effect: Effect) {
        match effect {
            Effect::Listen(secret) => {
                let node = self.node_mut(name);
                node.device = Some(secret.key());
                node.secret = Some(secret);
            }
            Effect::Write(batch) => self.happen_in(1, name, What::Write(batch)),
            Effect::Load(load, query) => {
                // Reads see all writes emitted before, as the store's thread takes both in order.
                let page = self.node_after_writes(name).read(&query).map_err(|e| e.failure());
                self.happen_in(1, name, What::Event(Event::Loaded(load, page)));
            }
            Effect::Stretch(id, input) => {
                let input = self.with_forgeries(input);
                self.happen_in(5, name, What::Event(Event::Stretched(id, input.run())));
            }
            Effect::Connect(address) => self.dial(name, address),
            Effect::Offer(key) => drop(self.offers.entry(key).or_default().insert(name.to_owned())),
            Effect::Withdraw(key) => {
                self.offers.entry(key).or_default().remove(name);
            }
            Effect::Find(key) => self.find(name, key),
            Effect::Reach(device) => self.reach(name, device),
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
            Effect::WakeAt(at) => {
                let delay = at.0.saturating_sub(self.now);
                self.node_mut(name).wake = Some(self.now + delay);
                self.happen_in(delay, name, What::Event(Event::Wake));
            }
            Effect::Stopped => self.node_mut(name).stopped = true,
        }
    }

    /// The node's store with the writes under way applied, as a reader sees it.
    fn node_after_writes(&self, name: &str) -> MemoryStore {
        let node = self.node(name);
        let mut store = node.store.clone();
        for happening in self.queue.values().filter(|h| h.to == name && h.run == node.run) {
            if let What::Write(batch) = &happening.what {
                let _ = store.write(std::slice::from_ref(batch));
            }
        }
        store
    }

    fn dial(&mut self, name: &str, address: String) {
        let target = address.strip_prefix("sim:").unwrap_or_default().to_owned();
        if self.nodes.contains_key(&target) {
            self.connect(name, &target);
        }
        if !self.node(name).connected.contains(&target) {
            let event = Event::Unreachable { address, reason: "no such node".into() };
            self.happen_in(10, name, What::Event(event));
        }
    }

    /// Tells who offers to be found under a key and runs.
    fn find(&mut self, name: &str, key: Digest) {
        let offering = self.offers.get(&key).into_iter().flatten().filter(|other| self.is_up(other));
        let devices: Vec<DeviceKey> = offering.filter_map(|other| self.device(other)).collect();
        if self.discovery && !devices.is_empty() {
            self.happen_in(20, name, What::Event(Event::Located(key, devices)));
        }
    }

    fn reach(&mut self, name: &str, device: DeviceKey) {
        let other = self.nodes.keys().find(|other| self.device(other) == Some(device)).cloned();
        if let Some(other) = other.filter(|_| self.discovery) {
            self.connect(name, &other);
        }
    }

    fn send(&mut self, name: &str, device: DeviceKey, bytes: Vec<u8>) {
        let (Some(to), Some(from)) = (self.named(device, name), self.device(name)) else { return };
        self.delivered += 1;
        // One stream each way keeps its order, so all frames take the same time.
        self.happen_in(10, &to, What::Event(Event::Received(from, bytes)));
    }

    fn publish(&mut self, name: &str, topic: Topic, bytes: &[u8]) {
        let Some(from) = self.device(name) else { return };
        let listeners: Vec<String> = self.node(name).connected.iter().cloned().collect();
        for to in listeners {
            let lost = self.random.next_u64() % 100 < self.gossip_loss;
            if lost || !self.node(&to).topics.contains(&topic) {
                continue;
            }
            self.gossips += 1;
            self.delivered += 1;
            let delay = 5 + self.random.next_u64() % 40;
            let gossip = GossipId(self.gossips);
            self.happen_in(
                delay,
                &to,
                What::Event(Event::Heard { gossip, topic, from, bytes: bytes.to_vec() }),
            );
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
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
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

    // -- asking -------------------------------------------------------------------------------

    /// Asks a node and runs until it answers.
    pub fn ask(&mut self, name: &str, command: Command) -> Outcome {
        let id = self.begin(name, command);
        self.run_until(|c| c.node(name).outcomes.contains_key(&id));
        self.node_mut(name).outcomes.remove(&id).unwrap_or_else(|| panic!("an answer to {id:?}"))
    }

    /// Asks a node without waiting; see [`Cluster::answer`].
    pub fn begin(&mut self, name: &str, command: Command) -> CommandId {
        let id = self.node_mut(name).next_command();
        self.happen(name, Event::Asked(id, command));
        id
    }

    /// The answer to a command, if it has come.
    pub fn answer(&self, name: &str, id: CommandId) -> Option<&Outcome> {
        self.node(name).outcomes.get(&id)
    }

    /// Asks a node for something that must succeed.
    pub fn must(&mut self, name: &str, command: Command) -> Reply {
        match self.ask(name, command) {
            Outcome::Done(reply) => reply,
            Outcome::Refused(refusal) => panic!("{name} refused: {} ({:?})", refusal.message, refusal.code),
        }
    }

    // -- stories ------------------------------------------------------------------------------

    /// Makes a group.
    pub fn create_group(&mut self, by: &str, name: &str) -> FourWords {
        let command = Command::Create { kind: Kind::Group, name: name.to_owned(), parent: None };
        match self.must(by, command) {
            Reply::Entity(view) => view.words,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a channel or project that belongs to another entity.
    pub fn create_child(&mut self, by: &str, kind: Kind, name: &str, parent: FourWords) -> FourWords {
        match self.must(by, Command::Create { kind, name: name.to_owned(), parent: Some(parent) }) {
            Reply::Entity(view) => view.words,
            other => panic!("{other:?}"),
        }
    }

    /// Makes an invite that carries the inviter's address.
    pub fn invite(&mut self, by: &str, group: FourWords, role: Role, uses: u32) -> InviteCode {
        let expires = WallTime(WALL_START_MS + self.now + DAY_MS);
        let addresses = vec![format!("sim:{by}")];
        match self.must(by, Command::Invite { entity: group, role, uses, expires, addresses }) {
            Reply::Invite(code) => code,
            other => panic!("{other:?}"),
        }
    }

    /// Joins by a code and waits until in.
    pub fn join(&mut self, name: &str, group: FourWords, code: &InviteCode) {
        let command = Command::Join { words: group, by: JoinBy::Code(code.clone()), peers: Vec::new() };
        match self.must(name, command) {
            Reply::Joined(_, JoinState::Joined) => {}
            other => panic!("{other:?}"),
        }
    }

    /// A group of these nodes, the first being its owner, all connected.
    pub fn group_of(&mut self, names: &[&str]) -> FourWords {
        for name in names {
            self.add(name);
        }
        let owner = names.first().unwrap_or_else(|| panic!("a group has an owner"));
        let group = self.create_group(owner, "team");
        let code = self.invite(owner, group, Role::Member, 100);
        for name in names.iter().skip(1) {
            self.join(name, group, &code);
        }
        self.connect_all();
        self.settle();
        group
    }

    /// Writes a message and waits until it is saved.
    pub fn send_message(&mut self, name: &str, group: FourWords, text: &str) -> MessageId {
        let command = ChatCommand::Send { text: text.to_owned(), parent: None };
        match self.must(name, Command::Chat(group, command)) {
            Reply::Message(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// The texts of a chat as a node shows them, oldest first; deleted ones as `(deleted)`.
    pub fn read_chat(&mut self, name: &str, group: FourWords) -> Vec<String> {
        match self.must(name, Command::Chat(group, ChatCommand::Read { last: 10_000 })) {
            Reply::Messages(messages) => messages
                .into_iter()
                .map(|m| if m.message.deleted { "(deleted)".to_owned() } else { m.message.text })
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// What a node told its listeners since its start.
    pub fn notices(&self, name: &str) -> &[Notice] {
        &self.node(name).notices
    }
}
