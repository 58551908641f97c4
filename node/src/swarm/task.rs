//! Runs the swarm: takes orders, drives libp2p, hands over what came.
//!
//! `start` spawns it; `events` has what is done about libp2p's events. Everything here is owned by
//! the one task, so there are no locks. What waits for the driver is bounded: while it is much,
//! neither the swarm nor the streams are asked for more, but orders are taken always.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fourword_protocol::effect::{Reason, Verdict};
use fourword_protocol::event::{Event, GossipId};
use fourword_protocol::ids::{DeviceKey, Topic};
use fourword_protocol::limits::FRAME_BYTES_MAX;
use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::PublishError;
use libp2p::swarm::{ConnectionId, DialError, Swarm};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::addresses::Addresses;
use super::behaviour::Behaviour;
use super::dial::{self, DialBook, Reached, Why};
use super::finding::Finding;
use super::gossip::{self, Unjudged};
use super::relays::Relays;
use super::report::{self, Notes, Queues, Report};
use super::routes::Routes;
use super::session::{Ground, Message, Session, What};
use super::{Arrival, Listening, Order, Paths, peer_of};
use crate::limits::{ARRIVALS_MAX, FINISH_TIMEOUT, INBOX_BYTES_MAX, ORDERS_MAX, REFUSED_FOR, REFUSED_MAX};

/// How often connections are looked over.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How long the first dials wait for the listeners.
const LISTEN_PATIENCE: Duration = Duration::from_secs(1);
/// How long a fellow member that is none any more stays connected: long enough to hear of it.
const PARTING: Duration = Duration::from_secs(10);

/// How long the end waits for connections to close.
const GOODBYE: Duration = Duration::from_secs(1);

/// One node's swarm and what is known about its peers.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) addresses: Addresses,
    pub(super) announced: Vec<Multiaddr>,
    pub(super) sessions: BTreeMap<PeerId, Session>,
    pub(super) ground: Ground,
    pub(super) book: DialBook,
    pub(super) unjudged: Unjudged,
    pub(super) relays: Relays,
    pub(super) routes: Routes,
    pub(super) finding: Finding,
    /// The devices of fellow members: never taken for relays, and let in before others.
    fellows: BTreeSet<PeerId>,
    /// Connected devices that no longer are, and since when.
    parting: BTreeMap<PeerId, Instant>,
    pub(super) notes: Notes,
    messages: mpsc::Receiver<Message>,
    /// What could not be handed over yet.
    outgoing: VecDeque<Arrival>,
    refused: BTreeMap<PeerId, Instant>,
    paths: watch::Sender<Paths>,
}

impl Task {
    /// The task of a swarm that listens.
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        listeners: Vec<ListenerId>,
        listening: watch::Sender<Listening>,
        paths: watch::Sender<Paths>,
    ) -> Task {
        let own = *swarm.local_peer_id();
        let (sender, messages) = mpsc::channel(ORDERS_MAX);
        Task {
            swarm,
            addresses: Addresses::new(own, listeners, listening),
            announced: Vec::new(),
            sessions: BTreeMap::new(),
            ground: Ground { messages: sender, room: Arc::new(Semaphore::new(INBOX_BYTES_MAX)) },
            book: DialBook::new(own),
            unjudged: Unjudged::default(),
            relays: Relays::default(),
            routes: Routes::default(),
            finding: Finding::default(),
            fellows: BTreeSet::new(),
            parting: BTreeMap::new(),
            notes: Notes::default(),
            messages,
            outgoing: VecDeque::new(),
            refused: BTreeMap::new(),
            paths,
        }
    }

    /// Runs until nobody can give orders any more, then closes all connections.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>, arrived: mpsc::Sender<Arrival>) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let patience = Instant::now() + LISTEN_PATIENCE;
        loop {
            let has_room = self.outgoing.len() < ARRIVALS_MAX;
            let dials = self.book.next_due(|peer| reached(&self.sessions, &self.relays, peer));
            let due = dials.into_iter().chain(self.relays.next_due()).min();
            // Dialled before the listeners have their ports, a peer would see another port than the
            // one on which this node can be met.
            let due = due.map(|due| if self.addresses.is_ready() { due } else { due.max(patience) });
            tokio::select! {
                permit = arrived.reserve(), if !self.outgoing.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(arrival) = self.outgoing.pop_front() {
                            permit.send(arrival);
                        }
                    }
                    Err(_) => break,
                },
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order),
                    None => break,
                },
                event = self.swarm.select_next_some(), if has_room => self.on_event(event),
                Some(message) = self.messages.recv(), if has_room => self.on_message(message),
                () = sleep_until(due) => {
                    self.reserve();
                    self.dial();
                }
                _ = housekeeping.tick() => self.look_over(Instant::now()),
            }
        }
        self.say_goodbye().await;
    }

    /// Dials these from the start, without telling of failures.
    pub(super) fn look_for(&mut self, bootstrap: &[String], relays: &[String]) {
        for address in relays {
            if let Err(reason) = self.relays.add(address) {
                tracing::warn!(address, reason, "a relay's address is of no use");
            }
        }
        self.know();
        for address in bootstrap.iter().chain(relays) {
            if let Err(reason) = self.book.add(address, Why::Given, |_| Reached::No, Instant::now()) {
                tracing::warn!(address, reason, "an address to dial first is of no use");
            }
        }
    }

    async fn say_goodbye(mut self) {
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE, closed).await.is_err() {
            tracing::debug!("some connections were cut off");
        }
    }

    /// Queues an event for the driver.
    pub(super) fn tell(&mut self, event: Event, room: Option<OwnedSemaphorePermit>) {
        self.outgoing.push_back(Arrival { event, _room: room });
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Connect(address) => {
                if let Err(reason) = self.add_address(&address, Why::Asked) {
                    self.tell(Event::Unreachable { address, reason }, None);
                }
            }
            Order::Offer(key) => self.finding.offer(&mut self.swarm.behaviour_mut().table, key),
            Order::Withdraw(key) => self.finding.withdraw(&mut self.swarm.behaviour_mut().table, key),
            Order::Find(key) => {
                self.notes.counts.searches += 1;
                self.finding.find(&mut self.swarm.behaviour_mut().table, key);
            }
            Order::Reach(device) => self.reach(device),
            Order::Fellows(devices) => self.gather(devices.iter().filter_map(peer_of).collect()),
            Order::Disconnect(device, reason) => self.send_away(device, reason),
            Order::Send(device, frame) => self.send(device, frame),
            Order::Subscribe(topic) => {
                if let Err(error) =
                    self.swarm.behaviour_mut().gossip.inner.subscribe(&gossip::topic_name(topic))
                {
                    tracing::warn!(topic = topic.short(), %error, "cannot take part in a topic");
                }
            }
            Order::Unsubscribe(topic) => {
                self.swarm.behaviour_mut().gossip.inner.unsubscribe(&gossip::topic_name(topic));
            }
            Order::Publish(topic, bytes) => self.publish(topic, bytes),
            Order::Judge(id, verdict) => self.judge(id, verdict),
            // Fails if the asker has gone.
            Order::Report(asker) => drop(asker.send(self.report())),
        }
    }

    /// Adds an address to those that are dialled. Fails with words for a person.
    pub(super) fn add_address(&mut self, text: &str, why: Why) -> Result<(), String> {
        if let Ok(address) = text.parse::<Multiaddr>() {
            let is_device = |peer: &PeerId| self.fellows.contains(peer) || self.sessions.contains_key(peer);
            self.relays.note(&address, is_device);
        }
        let reached = |peer: &PeerId| reached(&self.sessions, &self.relays, peer);
        self.book.add(text, why, reached, Instant::now())
    }

    /// Takes who fellow members are. Those who no longer are hear of it first, and then no more gossip.
    fn gather(&mut self, fellows: BTreeSet<PeerId>) {
        let now = Instant::now();
        let past = self.fellows.difference(&fellows).filter(|peer| self.sessions.contains_key(peer));
        self.parting.extend(past.map(|peer| (*peer, now)));
        self.parting.retain(|peer, _| !fellows.contains(peer));
        self.swarm.behaviour_mut().gossip.gather(fellows.clone());
        let before = std::mem::replace(&mut self.fellows, fellows);
        self.know();
        // What they told as guests was not kept.
        for peer in self.fellows.difference(&before).copied().collect::<Vec<_>>() {
            self.tell_met(&peer);
        }
    }

    /// Forgets that a device is to go, now that it has gone.
    pub(super) fn parted(&mut self, peer: &PeerId) {
        self.parting.remove(peer);
    }

    /// Has the door keep room for fellow members and for the relays the node was started with.
    fn know(&mut self) {
        let known = self.fellows.iter().copied().chain(self.relays.own()).collect();
        self.swarm.behaviour_mut().door.know(known);
        for peer in self.relays.none_of(&self.fellows) {
            // It comes back as the device that it is.
            self.disconnect(peer);
        }
    }

    /// Tries a device through every relay at which it may hold a place.
    fn reach(&mut self, device: DeviceKey) {
        let Some(peer) = peer_of(&device) else { return };
        for way in self.relays.ways_to(peer) {
            // Fails only if the device is connected by now.
            let _ = self.add_address(&way.to_string(), Why::Guessed);
        }
    }

    /// Asks relays for a place where one is missing.
    pub(super) fn reserve(&mut self) {
        let now = Instant::now();
        for (peer, address) in self.relays.to_reserve(now) {
            let listener = self.swarm.listen_on(address);
            let listener = listener.inspect_err(|error| tracing::warn!(%error, "cannot listen at a relay"));
            self.relays.reserving(peer, listener.ok(), now);
        }
    }

    fn send_away(&mut self, device: DeviceKey, reason: Reason) {
        let Some(peer) = peer_of(&device) else { return };
        self.book.forget(peer);
        match reason {
            Reason::Misbehaved => self.refuse(peer),
            Reason::Surplus => self.close(peer),
        }
    }

    /// Closes a session once all that is queued was sent.
    fn close(&mut self, peer: PeerId) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.close();
        }
        self.go_on_writing(peer);
    }

    /// Closes all connections to a peer and lets it in no more for a while.
    fn refuse(&mut self, peer: PeerId) {
        if self.refused.len() >= REFUSED_MAX
            && let Some(first) = self.refused.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer)
        {
            self.let_in(first);
        }
        self.refused.insert(peer, Instant::now() + REFUSED_FOR);
        self.swarm.behaviour_mut().refused.block_peer(peer);
        self.disconnect(peer);
    }

    fn let_in(&mut self, peer: PeerId) {
        self.refused.remove(&peer);
        self.swarm.behaviour_mut().refused.unblock_peer(peer);
    }

    /// Closes all connections to a peer; the session ends when they are closed.
    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // Fails only if there are none.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn send(&mut self, device: DeviceKey, frame: Vec<u8>) {
        if frame.is_empty() || frame.len() > FRAME_BYTES_MAX {
            // Sent all the same, it would make the peer refuse this node.
            return tracing::error!(bytes = frame.len(), "a frame of a size that nobody accepts");
        }
        let Some(peer) = peer_of(&device) else { return };
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        report::add_frame(&mut self.notes.counts.frames_sent, &frame);
        if session.send(frame).is_err() {
            tracing::info!(device = device.short(), "reads too slowly, disconnecting");
            return self.disconnect(peer);
        }
        self.go_on_writing(peer);
    }

    /// Opens a stream where one is wanted, or closes a session that has nothing left to say.
    pub(super) fn go_on_writing(&mut self, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if let Some(connection) = session.wants_stream() {
            self.swarm.behaviour_mut().streams.open(peer, connection, session.number);
        } else if session.closing.is_some() && session.is_sent() {
            self.disconnect(peer);
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        let name = gossip::topic_name(topic).hash();
        self.notes.counts.published.add(bytes.len());
        let published = self.swarm.behaviour_mut().gossip.inner.publish(name.clone(), bytes);
        match published {
            // Nobody listens, or it went out already: gossip is a hint, and syncing repairs it.
            Ok(_) | Err(PublishError::NoPeersSubscribedToTopic | PublishError::Duplicate) => {}
            Err(PublishError::AllQueuesFull(_)) => {
                let peers = self.swarm.behaviour().gossip.inner.all_peers();
                let missed: Vec<PeerId> =
                    peers.filter(|(_, topics)| topics.contains(&&name)).map(|(peer, _)| *peer).collect();
                missed.into_iter().for_each(|peer| self.missed(peer));
            }
            Err(error) => tracing::warn!(topic = topic.short(), %error, "cannot publish"),
        }
    }

    /// Tells that gossip to or from a peer was dropped.
    pub(super) fn missed(&mut self, peer: PeerId) {
        self.notes.counts.missed += 1;
        if let Some(session) = self.sessions.get(&peer) {
            let device = session.device;
            self.tell(Event::Missed(device), None);
        }
    }

    fn judge(&mut self, id: GossipId, verdict: Verdict) {
        let Some(heard) = self.unjudged.take(id) else { return };
        let gossip = &mut self.swarm.behaviour_mut().gossip.inner;
        // False if the library forgot the message meanwhile: then it is not passed on.
        gossip.report_message_validation_result(&heard.message, &heard.from, gossip::acceptance(verdict));
    }

    fn on_message(&mut self, message: Message) {
        let Message { peer, session: number, what } = message;
        let Some(session) = self.sessions.get_mut(&peer).filter(|session| session.number == number) else {
            return;
        };
        match what {
            What::Frame(frame, room) => {
                let device = session.device;
                report::add_frame(&mut self.notes.counts.frames_received, &frame);
                self.tell(Event::Received(device, frame), Some(room));
            }
            What::ReadEnd(connection) => session.read_end(connection),
            What::Written(connection, queued) => {
                session.written(connection, queued);
                self.go_on_writing(peer);
            }
            What::Broken(reason) => {
                tracing::debug!(device = session.device.short(), reason, "the sync stream broke");
                self.disconnect(peer);
            }
            What::Malformed(reason) => self.punish(peer, &reason),
        }
    }

    /// Counts what no honest node sends, and refuses its sender.
    pub(super) fn punish(&mut self, peer: PeerId, reason: &str) {
        self.notes.counts.malformed += 1;
        tracing::warn!(%peer, reason, total = self.notes.counts.malformed, "refusing a device that misbehaves");
        self.refuse(peer);
    }

    /// Hands over what has been read already, before the session it came in is gone.
    pub(super) fn drain_messages(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.on_message(message);
        }
    }

    fn dial(&mut self) {
        let now = Instant::now();
        for (text, address) in self.book.due(now, |peer| reached(&self.sessions, &self.relays, peer)) {
            let options = dial::dial_options(address);
            let connection = options.connection_id();
            self.book.dialling(&text, connection);
            if let Err(error) = self.swarm.dial(options) {
                self.dial_failed(connection, &error);
            }
        }
    }

    /// Notes that a dial led nowhere, and tells it if somebody waits for it.
    pub(super) fn dial_failed(&mut self, connection: ConnectionId, error: &DialError) {
        let reason = dial::reason(error);
        tracing::debug!(%error, "a dial failed");
        self.notes.counts.dials_failed += 1;
        let reached = |peer: &PeerId| reached(&self.sessions, &self.relays, peer);
        if let Some(address) = self.book.failed(connection, reached, Instant::now()) {
            self.tell(Event::Unreachable { address, reason }, None);
        }
    }

    /// Tells by which path each device is reached, if that changed.
    pub(super) fn tell_paths(&self) {
        let paths = self.sessions.values().filter_map(|session| Some((session.device, session.path()?)));
        let paths: Paths = paths.collect();
        self.paths.send_if_modified(|told| {
            let changed = *told != paths;
            *told = paths;
            changed
        });
    }

    /// Tries a direct way again to those that are reached through relays alone.
    fn punch_again(&mut self, now: Instant) {
        let relayed = self.sessions.values_mut().filter(|session| !session.is_direct());
        for way in relayed.filter_map(|session| session.punching.take_due(now)).collect::<Vec<_>>() {
            let options = dial::dial_options(way);
            // Fails as any dial may; it has its next turn.
            let _ = self.swarm.dial(options).inspect_err(|error| tracing::debug!(%error, "no circuit"));
        }
    }

    /// How the network does.
    fn report(&self) -> Report {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Report {
            devices: number(self.sessions.len()),
            connections: self.notes.connections(),
            relays: self.relays.report(),
            near_on: self.swarm.behaviour().near.is_enabled(),
            near_seen: self.notes.near_seen,
            outside: self.notes.outside(&self.addresses.all()),
            queues: Queues {
                arrivals: number(self.outgoing.len()),
                verdicts: number(self.unjudged.count()),
                addresses: number(self.book.kept()),
                refused: number(self.refused.len()),
            },
            counts: self.notes.counts.clone(),
        }
    }

    /// Closes what is surplus or overdue, and lets in who was refused long enough.
    fn look_over(&mut self, now: Instant) {
        self.tell_paths();
        self.punch_again(now);
        let surplus: Vec<ConnectionId> = self
            .sessions
            .values()
            .flat_map(|session| session.surplus(now))
            .chain(self.relays.surplus(now))
            .collect();
        for connection in surplus {
            self.swarm.close_connection(connection);
        }
        let parted = self.parting.extract_if(.., |_, since| now - *since >= PARTING);
        for (peer, _) in parted.collect::<Vec<_>>() {
            self.close(peer);
        }
        let overdue = |since: Instant| now - since > FINISH_TIMEOUT;
        let late: Vec<PeerId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.closing.is_some_and(overdue))
            .map(|(peer, _)| *peer)
            .collect();
        late.into_iter().for_each(|peer| self.disconnect(peer));
        let over: Vec<PeerId> =
            self.refused.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer).collect();
        over.into_iter().for_each(|peer| self.let_in(peer));
    }
}

/// How far a peer is connected.
fn reached(sessions: &BTreeMap<PeerId, Session>, relays: &Relays, peer: &PeerId) -> Reached {
    match sessions.get(peer) {
        Some(session) if session.is_direct() => Reached::Direct,
        Some(_) => Reached::Relayed,
        None if relays.is_connected(peer) => Reached::Direct,
        None => Reached::No,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
