//! A group of two honest nodes and one taken over, what the attacker knows, and what must hold.

use std::collections::BTreeMap;

use fourword_protocol::command::{ChatCommand, Command, Reply};
use fourword_protocol::identity::{Certificate, DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::{DeviceKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId};
use fourword_protocol::limits::{
    FRAME_LOGS_MAX, IN_FLIGHT_BYTES_MAX, STATE_DOCUMENTS_MAX, STRETCHES_MAX, STRETCHES_WAITING_MAX,
    WAITING_ENVELOPE_BYTES_MAX, WAITING_ENVELOPES_MAX, WAITING_STATEMENTS_MAX,
};
use fourword_protocol::roster::Role;
use fourword_protocol::wire::{Frame, Knock, Proof};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, roster_from};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Effects that one event may cause at most: a page of envelopes that all were waited for, with
/// room around it, and never one for each thing that a frame can name.
const EFFECTS_MAX: usize = 64;

pub(crate) const HONEST: [&str; 2] = ["ada", "cem"];

/// The cluster, and all that the attacker has.
pub(crate) struct Attack {
    pub(crate) c: Cluster,
    pub(crate) group: FourWords,
    pub(crate) random: ChaCha20Rng,
    pub(crate) device: DeviceSecret,
    pub(crate) entity: EntityId,
    /// Everything that anybody who ever passed it on may have.
    pub(crate) statements: Vec<Vec<u8>>,
    pub(crate) envelopes: Vec<Vec<u8>>,
    pub(crate) heads: BTreeMap<LogId, LogHead>,
    pub(crate) sent: BTreeMap<&'static str, u64>,
    pub(crate) disconnects: u64,
    written: Vec<String>,
}

impl Attack {
    /// The attacker is connected to both and in no group.
    pub(crate) fn by_stranger(seed: u64) -> Attack {
        Attack::new(seed, None)
    }

    /// The attacker is a member of the group of both.
    pub(crate) fn by_member(seed: u64) -> Attack {
        Attack::new(seed, Some(Role::Member))
    }

    /// The attacker is in the group of both, with this role.
    pub(crate) fn by(seed: u64, role: Role) -> Attack {
        Attack::new(seed, Some(role))
    }

    fn new(seed: u64, role: Option<Role>) -> Attack {
        let mut c = Cluster::new(seed);
        let group = c.group_of(&HONEST);
        c.add("mal");
        if let Some(role) = role {
            let code = c.invite("ada", group, role, 1);
            c.join("mal", group, &code);
        }
        c.connect_all();
        let mut written = Vec::new();
        for name in HONEST {
            for number in 0..3 {
                written.push(format!("{name} {number}"));
                c.send_message(name, group, &format!("{name} {number}"));
            }
        }
        c.settle();
        c.take_over("mal");
        let home = c.remembered("ada");
        let mut entities: BTreeMap<EntityId, usize> = BTreeMap::new();
        home.statements.iter().for_each(|(id, ..)| *entities.entry(*id).or_insert(0) += 1);
        let entity = *entities.iter().max_by_key(|(_, count)| **count).unwrap().0;
        let statements = home.statements.into_iter().filter(|(id, ..)| *id == entity);
        let heads: BTreeMap<LogId, LogHead> =
            home.heads.iter().filter(|(id, ..)| *id == entity).map(|(_, log, head)| (*log, *head)).collect();
        let envelopes = heads.keys().flat_map(|log| c.stored_log("ada", *log)).collect();
        let mut attack = Attack {
            device: c.secret("mal"),
            c,
            group,
            random: ChaCha20Rng::seed_from_u64(seed ^ 0xbad),
            entity,
            statements: statements.map(|(_, _, bytes)| bytes).collect(),
            envelopes,
            heads,
            sent: BTreeMap::new(),
            disconnects: 0,
            written,
        };
        for name in HONEST {
            attack.c.take_cost(name);
        }
        attack
    }

    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.random.next_u64() % below
    }

    pub(crate) fn noise(&mut self, bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        self.random.fill_bytes(&mut noise);
        noise
    }

    pub(crate) fn name(&mut self) -> [u8; 32] {
        self.noise(32).try_into().unwrap()
    }

    pub(crate) fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.draw(of.len() as u64) as usize].clone()
    }

    /// A certificate that holds, of a person made up for it.
    pub(crate) fn certificate(&mut self, device: &DeviceSecret) -> Certificate {
        let root = RootSecret::generate(&mut self.random);
        let nonce = self.draw(1000);
        let person = PersonCard { root: root.public(), nonce }.id();
        root.certify(nonce, &device.card(person))
    }

    pub(crate) fn knock(&mut self) -> Frame {
        let device = self.device.clone();
        let certificate = self.certificate(&device);
        let mut writer = fourword_protocol::bytes::Writer::new();
        certificate.write(&mut writer);
        let (invite, signature) = (self.name(), self.noise(64));
        Frame::Knock(Knock {
            entity: self.entity,
            certificate: writer.into_bytes(),
            proof: Proof::Invite { invite, signature },
        })
    }

    /// Sends bytes to a node, over a new connection if it hung up.
    pub(crate) fn send_bytes(&mut self, to: &str, kind: &'static str, bytes: Vec<u8>) {
        if !self.c.are_connected("mal", to) {
            self.disconnects += 1;
            self.c.connect("mal", to);
            self.greet(to);
        }
        self.c.inject("mal", to, bytes);
        *self.sent.entry(kind).or_insert(0) += 1;
    }

    pub(crate) fn send(&mut self, to: &str, kind: &'static str, frame: &Frame) {
        self.send_bytes(to, kind, frame.encode());
    }

    /// Shows a node that the attacker holds the group's secret, if it does.
    pub(crate) fn greet(&mut self, to: &str) {
        if let Some(insider) = self.try_insider() {
            insider.greet(&mut self.c, to);
        }
    }

    /// What the attacker has as a member.
    pub(crate) fn insider(&self) -> Insider {
        self.try_insider().expect("a member")
    }

    fn try_insider(&self) -> Option<Insider> {
        Insider::with("mal", self.device.clone(), roster_from(&self.statements)?)
    }

    /// What a node counted as dropped, by reason.
    pub(crate) fn dropped(&mut self, name: &str) -> BTreeMap<String, u64> {
        let Reply::Status(status) = self.c.must(name, Command::Status) else { panic!("a status") };
        status.dropped.into_iter().collect()
    }

    pub(crate) fn read(&mut self, name: &str) -> Vec<String> {
        self.c.read_chat(name, self.group)
    }

    /// What must hold whatever was sent: honest nodes write, read and agree, show nothing of the
    /// attacker's, and hold no more than they may.
    pub(crate) fn stands(&mut self, what: &str) {
        for name in HONEST {
            self.within_limits(name, what);
        }
        for name in HONEST {
            let text = format!("{name} {} after {what}", self.written.len());
            self.c.send_message(name, self.group, &text);
            self.written.push(text);
        }
        self.c.settle();
        let mut expected = self.written.clone();
        expected.sort();
        for name in HONEST {
            let mut shown = self.read(name);
            shown.sort();
            assert_eq!(shown, expected, "{name} after {what}");
            self.within_limits(name, what);
        }
    }

    /// Writes without waiting, so that the edits gather while a write is in flight.
    pub(crate) fn write_many(&mut self, name: &str, count: usize) {
        for _ in 0..count {
            let text = format!("{name} {} at once", self.written.len());
            self.c.begin(name, Command::Chat(self.group, ChatCommand::say(text.clone(), None)));
            self.written.push(text);
        }
    }

    fn within_limits(&mut self, name: &str, what: &str) {
        let (queues, cost) = (self.c.queues(name), self.c.take_cost(name));
        assert!(queues.waiting_envelopes <= WAITING_ENVELOPES_MAX, "{name} after {what}: {queues:?}");
        assert!(
            queues.waiting_envelope_bytes <= WAITING_ENVELOPE_BYTES_MAX,
            "{name} after {what}: {queues:?}"
        );
        assert!(queues.waiting_statements <= WAITING_STATEMENTS_MAX, "{name} after {what}: {queues:?}");
        assert!(queues.stretches <= STRETCHES_MAX, "{name} after {what}: {queues:?}");
        assert!(queues.stretches_waiting <= STRETCHES_WAITING_MAX, "{name} after {what}: {queues:?}");
        assert!(queues.pages_loading <= 8, "{name} after {what}: {queues:?}");
        assert!(queues.listed_statements <= 10_000, "{name} after {what}: {queues:?}");
        assert!(queues.turned_away <= 1, "{name} after {what}: {queues:?}");
        assert!(queues.peer_documents <= 4 * STATE_DOCUMENTS_MAX, "{name} after {what}: {queues:?}");
        assert!(queues.peer_logs <= 4 * FRAME_LOGS_MAX, "{name} after {what}: {queues:?}");
        assert!(cost.effects <= EFFECTS_MAX, "{name} after {what}: {cost:?}");
        assert!(cost.sent_bytes <= 2 * IN_FLIGHT_BYTES_MAX, "{name} after {what}: {cost:?}");
        assert!(cost.loads <= 8, "{name} after {what}: {cost:?}");
    }
}

/// A log of some device in a document.
pub(crate) fn some_log(
    device: DeviceKey,
    incarnation: u64,
    sequence: u64,
) -> (DeviceKey, Incarnation, LogHead) {
    (device, Incarnation(incarnation), LogHead { sequence, hash: EnvelopeHash([9; 32]) })
}
