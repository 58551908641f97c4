//! Two members that turn: one is put out and goes on writing, the other stays and helps it.
//!
//! From some step on the test speaks for both, with all that their devices have. What they try is
//! what nobody outside could: bad signatures on good envelopes, statements against their seniors,
//! logs in two branches, and the exile's later words under its old key. `check` holds what honest
//! nodes make of it against the texts that are written here.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::checkpoint::{self, Checkpoint};
use fourword_protocol::command::{Command, MemberCommand, SyncState};
use fourword_protocol::ids::{DeviceKey, Digest, EnvelopeHash, Incarnation, LogHead, LogId, StatementId};
use fourword_protocol::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_PART_BYTES_MAX};
use fourword_protocol::roster::{Body, Role, Roster, Statement};
use fourword_protocol::schema::Concern;
use fourword_protocol::wire::{DocumentState, Frame, State, Vector};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::schedule::Schedule;
use super::verdict::{Rule, Violation, demand};
use super::world::Intent;
use crate::draw;
use crate::insider::{Insider, Log, frame, in_the_name_of, page};

/// In which step they turn.
const TURNING: (u64, u64) = (30, 90);
/// Honest people that are left at least.
const HONEST_MIN: usize = 3;
/// They try something once in so many steps.
const TRIES: u64 = 3;
/// How often two nodes that were given two branches are looked at, and how far apart.
const LOOKS: u64 = 20;
const LOOK_MS: u64 = 40;

/// Who turns, and when.
#[derive(Debug)]
pub(super) struct Renegades {
    random: ChaCha20Rng,
    turning: u64,
    turned: Option<Turned>,
}

/// Both, once they have turned.
#[derive(Clone, Debug)]
struct Turned {
    helper: Insider,
    exile: Insider,
    whom: usize,
    by: usize,
}

impl Renegades {
    pub(super) fn new(seed: u64) -> Renegades {
        let mut random = ChaCha20Rng::seed_from_u64(seed ^ 0x0bad_0000_0000);
        let turning = draw::within(&mut random, TURNING);
        Renegades { random, turning, turned: None }
    }
}

impl Schedule {
    /// What the renegades do in a step.
    pub(super) fn betray(&mut self, step: u64) -> Result<(), Violation> {
        if step < self.renegades.turning {
            return Ok(());
        }
        let Some(turned) = self.renegades.turned.clone() else {
            self.turn();
            return Ok(());
        };
        if !draw::once_in(&mut self.renegades.random, TRIES) {
            return Ok(());
        }
        match self.renegades.random.next_u64() % 9 {
            0 => self.forge(&turned),
            1 => self.oust(&turned),
            2 => return self.part(&turned),
            3..=4 => self.write_beyond(&turned),
            5 => self.write_as_another(&turned),
            6 => self.write_nonsense(&turned),
            7 => self.write_backdated(&turned),
            _ => self.lie(&turned),
        }
        Ok(())
    }

    /// Two members of the first group turn, once there are two and enough others.
    fn turn(&mut self) {
        if self.world.groups.is_empty() {
            return;
        }
        let honest = self.world.people.iter().filter(|person| person.honest).count();
        let insider = |place: usize| {
            let [name] = &self.world.people.get(place)?.nodes[..] else { return None };
            // A node that was linked meanwhile is somebody else's now.
            let ready =
                self.world.owner(name) == Some(place) && self.c.is_up(name) && self.c.device(name).is_some();
            let founded = self.world.groups.iter().any(|group| group.founder == place);
            if founded || !ready || self.world.nodes.contains_key(&format!("{name}'")) {
                return None;
            }
            let roster = self.roster_at(name, 0)?;
            let insider = Insider::with(name, self.c.secret(name), Roster::clone(&roster))?;
            let role = insider.roster.reading().role_of(&insider.person)?;
            (role >= Role::Member).then_some((place, insider))
        };
        if honest < HONEST_MIN + 2 {
            return;
        }
        let mut able = (0..self.world.people.len()).rev().filter_map(insider);
        let (Some((whom, exile)), Some((by, helper))) = (able.next(), able.next()) else { return };
        for (place, insider) in [(whom, &exile), (by, &helper)] {
            let name = &insider.name;
            if let Some(person) = self.world.people.get_mut(place) {
                person.honest = false;
            }
            self.world.copies.remove(name);
            self.world.asked.retain(|(of, _), _| of != name);
            self.c.take_over(name);
            self.checker.loses_home(&self.c, &mut self.world, name);
        }
        self.faults.count("members that turn");
        self.renegades.turned = Some(Turned { helper, exile, whom, by });
    }

    /// Honest nodes that a node reaches.
    fn reached(&self, name: &str) -> Vec<String> {
        let honest = self.honest().into_iter().filter(|to| self.c.is_up(to) && !self.c.node(to).taken_over);
        let listening = honest.filter(|to| self.c.device(to).is_some());
        listening.filter(|to| self.c.are_connected(name, to)).collect()
    }

    fn give(&mut self, by: &Insider, to: &str, frame: Vec<u8>) {
        if self.c.is_up(&by.name) && self.c.are_connected(&by.name, to) {
            by.greet(&mut self.c, to);
            self.c.inject(&by.name, to, frame);
        }
    }

    fn begin_log(&mut self, of: &Insider) -> Log {
        of.log(Concern::Chat, self.renegades.random.next_u64())
    }

    // -- what they try ------------------------------------------------------------------------

    /// A good envelope but for its signature: nobody may show what it says.
    fn forge(&mut self, turned: &Turned) {
        let text = self.world.new_text(turned.by, 0, 0);
        if let Some(text) = self.world.texts.get_mut(&text) {
            text.forged = true;
        }
        let mut bytes = self.begin_log(&turned.helper).say(&text).bytes().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        self.faults.count("hostile: forged signature");
        for to in self.reached(&turned.helper.name) {
            self.give(&turned.helper, &to, page(turned.helper.entity, vec![bytes.clone()]));
        }
    }

    fn give_all(&mut self, by: &Insider, kind: &str, frame: &[u8]) {
        self.faults.count(kind);
        for to in self.reached(&by.name) {
            self.give(by, &to, frame.to_vec());
        }
    }

    fn forged_text(&mut self, by: usize) -> String {
        let text = self.world.new_text(by, 0, 0);
        self.world.texts.entry(text.clone()).and_modify(|text| text.forged = true);
        text
    }

    /// An envelope that names an honest device as its author, signed with another key; and one of
    /// its own device that writes a message in somebody else's name.
    fn write_as_another(&mut self, turned: &Turned) {
        let helper = &turned.helper;
        let Some(victim) = self.reached(&helper.name).pop() else { return };
        let Some(device) = self.c.device(&victim) else { return };
        let text = self.forged_text(turned.by);
        let bytes = in_the_name_of(&device, &self.begin_log(helper).say(&text));
        self.give_all(helper, "hostile: another's name on an envelope", &page(helper.entity, vec![bytes]));
        // A device of its own person is nobody else.
        let other = helper.roster.person_of(&device).filter(|person| *person != helper.person);
        let Some(person) = other else { return };
        let text = self.forged_text(turned.by);
        let mut log = self.begin_log(helper);
        let put = log.message(person, &text);
        let envelope = log.put(put);
        let frame = frame(helper.entity, std::slice::from_ref(&envelope)).encode();
        self.give_all(helper, "hostile: another's name on a message", &frame);
    }

    /// An envelope in which there is no update.
    fn write_nonsense(&mut self, turned: &Turned) {
        let helper = &turned.helper;
        let nonsense: Vec<u8> = (0..64).map(|_| self.renegades.random.next_u32().to_le_bytes()[0]).collect();
        let envelope = self.begin_log(helper).write(&nonsense);
        let frame = frame(helper.entity, std::slice::from_ref(&envelope)).encode();
        self.give_all(helper, "hostile: malformed update", &frame);
    }

    /// A log whose second envelope claims to know less than its first.
    fn write_backdated(&mut self, turned: &Turned) {
        let helper = &turned.helper;
        let mut log = self.begin_log(helper);
        let text = self.world.new_text(turned.by, 0, 0);
        log.say(&text);
        let text = self.forged_text(turned.by);
        let put = log.message(helper.person, &text);
        let update = log.update(&put);
        let mut header = log.header();
        header.heads = helper.roster.ids().filter(|id| id.0 == helper.entity.0).collect();
        let first = log.page();
        let second = helper.seal(header, &update);
        let frame = frame(helper.entity, std::slice::from_ref(&second)).encode();
        self.give_all(helper, "hostile: backdated envelope", &first);
        self.give_all(helper, "hostile: backdated envelope", &frame);
    }

    /// Frames about how things stand that are not so, and frames that are none.
    fn lie(&mut self, turned: &Turned) {
        let helper = &turned.helper;
        let document = helper.document(&Concern::Chat);
        let Some(victim) = self.reached(&helper.name).pop().and_then(|name| self.c.device(&name)) else {
            return;
        };
        let (sequence, hash) = (1 << 40, EnvelopeHash([7; 32]));
        let incarnation = Incarnation(self.renegades.random.next_u64());
        let logs = vec![(victim, incarnation, LogHead { sequence, hash })];
        let vector = Vector { entity: helper.entity, document, page: 0, logs, last: true };
        self.give_all(helper, "hostile: lying state or vector", &Frame::Vector(vector).encode());
        let vector = Digest([9; 32]);
        let documents = vec![DocumentState { document, vector, content: Some(Digest([8; 32])) }];
        let state = State { entity: helper.entity, roster: helper.roster.digest(), documents };
        let number = self.renegades.random.next_u64();
        self.give_all(helper, "hostile: lying state or vector", &Frame::State { number, state }.encode());
        let garbage: Vec<u8> = (0..40).map(|_| self.renegades.random.next_u32().to_le_bytes()[0]).collect();
        self.give_all(helper, "hostile: garbage frame", &garbage);
        self.misrepresent(turned);
    }

    /// The snapshot of an honest node and what two people signed of it, with another text inside.
    fn misrepresent(&mut self, turned: &Turned) {
        let helper = &turned.helper;
        let (entity, document) = (helper.entity, helper.document(&Concern::Chat));
        let reached = self.reached(&helper.name);
        let Some((of, snapshot)) = reached.iter().find_map(|of| {
            let snapshot = self.c.stored_snapshot(of, document).concat();
            (!snapshot.is_empty()).then_some((of, snapshot))
        }) else {
            return;
        };
        let Some((checkpoint, parts)) = with_another_text(&snapshot, self.world.texts.keys()) else { return };
        let name = checkpoint.name();
        let who = [&self.c.secret(of), &helper.device];
        let signatures = who.map(|who| (who.key(), checkpoint::sign(&name, who).to_vec())).to_vec();
        let bytes = checkpoint.encode();
        let kind = "hostile: snapshot of other content";
        let said = Frame::Checkpoint { entity, document, checkpoint: bytes, signatures }.encode();
        self.give_all(helper, kind, &said);
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        for (part, bytes) in (0..).zip(parts) {
            let piece = Frame::SnapshotPart { entity, document, name, part, of: count, bytes }.encode();
            self.give_all(helper, kind, &piece);
        }
    }

    /// A statement that puts out the founder, by somebody junior.
    fn oust(&mut self, turned: &Turned) {
        let Some(founder) = self.world.groups.first().and_then(|group| self.world.people.get(group.founder))
        else {
            return;
        };
        let helper = &turned.helper;
        let statement = helper.sign(Body::Remove { person: founder.id, vectors: Vec::new() });
        let statements = vec![statement.bytes().to_vec()];
        self.faults.count("hostile: removal of a senior");
        for to in self.reached(&helper.name) {
            let frame = Frame::Statements { entity: helper.entity, statements: statements.clone() };
            self.give(helper, &to, frame.encode());
        }
    }

    /// A log in two branches of one length, given to two who are connected with each other.
    fn part(&mut self, turned: &Turned) -> Result<(), Violation> {
        let reached = self.reached(&turned.helper.name);
        let pairs = reached.iter().flat_map(|a| reached.iter().map(move |b| (a, b)));
        let pairs: Vec<(String, String)> = pairs
            .filter(|(a, b)| a < b && self.c.are_connected(a, b))
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        let Some((a, b)) = draw::one_of(&mut self.renegades.random, &pairs).cloned() else { return Ok(()) };
        let texts = [0; 3].map(|_| self.world.new_text(turned.by, 0, 0));
        let mut log = self.begin_log(&turned.helper);
        log.say(&texts[0]);
        self.faults.count("hostile: two branches of one log");
        for (to, text) in [&a, &b].into_iter().zip(&texts[1..]) {
            let mut branch = log.branch(1);
            branch.say(text);
            self.give(&turned.helper, to, branch.page());
        }
        for _ in 0..LOOKS {
            self.run_for(LOOK_MS)?;
            self.look_at_pair(&a, &b)?;
        }
        Ok(())
    }

    /// Where two say of each other that a document is in sync, it is equal.
    fn look_at_pair(&self, a: &str, b: &str) -> Result<(), Violation> {
        let runs = |name: &str| self.c.is_up(name) && !self.c.node(name).taken_over;
        if !runs(a) || !runs(b) {
            return Ok(());
        }
        let says = |name: &str, of: &str| -> BTreeSet<_> {
            let claims = self.c.node(name).machine.claims().into_iter();
            let device: Option<DeviceKey> = self.c.device(of);
            let equal =
                claims.filter(|claim| Some(claim.device) == device && claim.state == SyncState::InSync);
            equal.map(|claim| claim.document).collect()
        };
        let mutual: BTreeSet<_> = says(a, b).intersection(&says(b, a)).copied().collect();
        let holds = |name: &str| -> BTreeMap<_, _> {
            let claimed = self.c.holdings(name).filter(|holding| mutual.contains(&holding.document()));
            claimed.map(|holding| (holding.document(), (holding.heads(), holding.content()))).collect()
        };
        let (ours, theirs) = (holds(a), holds(b));
        for document in &mutual {
            let (ours, theirs) = (ours.get(document), theirs.get(document));
            // What a node is just reading it says nothing new of.
            let shows = |held: Option<&(_, Option<Digest>)>| held.and_then(|(_, content)| *content);
            let both = shows(ours).zip(shows(theirs));
            let is_same = ours.map(|(heads, _)| heads) == theirs.map(|(heads, _)| heads);
            demand(is_same && both.is_none_or(|(ours, theirs)| ours == theirs), Rule::InSyncIsEqual, || {
                format!("{a} and {b} say of each other that {document} is in sync, and hold different things")
            })?;
        }
        Ok(())
    }

    /// The exile writes on under its old key, and its helper passes that on to who knows better.
    fn write_beyond(&mut self, turned: &Turned) {
        let exile = &turned.exile;
        let Some(removal) = self.removal_of(exile) else { return self.put_out(turned) };
        let mut log = self.begin_log(exile);
        let text = self.world.new_text(turned.whom, 0, 0);
        let envelope = log.say(&text);
        let of: LogId = log.id;
        if let Some(text) = self.world.texts.get_mut(&text) {
            text.beyond = Some((removal, of, 1));
        }
        self.faults.count("hostile: removed and sends on");
        for to in self.reached(&turned.helper.name) {
            if self.checker.knows(&self.c, &to, &removal) {
                let page = frame(exile.entity, std::slice::from_ref(&envelope));
                self.give(&turned.helper, &to, page.encode());
            }
        }
    }

    /// A removal of the exile; none that it knows of and was let in again after.
    fn removal_of(&self, exile: &Insider) -> Option<StatementId> {
        let removes = |body: &Body| matches!(body, Body::Remove { person, .. } if *person == exile.person);
        let is_in = exile.roster.reading().is_member(&exile.person);
        let is_past = |removal: &StatementId| is_in && exile.roster.statement(removal).is_some();
        let of_group = self.checker.rosters.statements_of(exile.entity);
        let mut removals = of_group.filter(|statement| removes(statement.body())).map(Statement::id);
        removals.find(|removal| !is_past(removal))
    }

    fn put_out(&mut self, turned: &Turned) {
        let Some(group) = self.world.groups.first() else { return };
        let (words, founder) = (group.words, group.founder);
        let name = self.world.people.get(founder).and_then(|person| person.nodes.first()).cloned();
        let Some(name) = name.filter(|name| self.c.is_up(name) && self.c.device(name).is_some()) else {
            return;
        };
        let who = turned.exile.person.to_string();
        let intent = Intent::Remove { group: 0, whom: turned.whom };
        self.begin(&name, Command::Member(words, MemberCommand::Remove { who }), intent);
    }
}

/// The parts of a snapshot in which one of these texts is a little another; none if none is there.
fn with_another_text<'a>(
    snapshot: &[u8],
    mut texts: impl Iterator<Item = &'a String>,
) -> Option<(Checkpoint, Vec<Vec<u8>>)> {
    let (length, rest) = snapshot.split_first_chunk()?;
    let length = u32::from_be_bytes(*length);
    let (checkpoint, packed) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let mut plain = zstd::bulk::decompress(packed, SNAPSHOT_BYTES_MAX).ok()?;
    let at = texts.find_map(|text| plain.windows(text.len()).position(|place| place == text.as_bytes()))?;
    *plain.get_mut(at)? = b'x';
    let packed = zstd::bulk::compress(&plain, 1).ok()?;
    let whole = [&length.to_be_bytes()[..], checkpoint, &packed].concat();
    let parts = whole.chunks(SNAPSHOT_PART_BYTES_MAX).map(<[u8]>::to_vec).collect();
    Some((Checkpoint::read(checkpoint).ok()?, parts))
}
