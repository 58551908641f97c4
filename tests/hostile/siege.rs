//! A group whose hostile member signs and seals whatever it likes, and what must hold after it.
//!
//! Everything goes to both honest nodes through the front door: as frames, in pages, in another
//! order to each. A [`Mirror`] of each document reckons what they must make of it.

use std::collections::BTreeMap;

use fourword_protocol::command::{
    BoardCommand, CanvasCommand, CardFilter, Command, IssueCommand, IssueFilter,
};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{DocumentKey, LogId};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{self, Concern, Index};
use fourword_protocol::update::client_id;
use fourword_protocol::wire::Frame;
use fourword_tests::insider::{self, Insider};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::alloc;
use crate::attack::{Attack, HONEST};
use crate::mirror::{Mirror, Verdict};

/// Bytes of envelopes in one frame: what is sent at once, as far as a frame can hold it.
const PAGE_BYTES: usize = 200 * 1024;

/// What handling one frame may allocate beside what its bytes call for.
const FRAME_EXTRA: usize = 4 * 1024 * 1024;

/// One group under attack.
pub(crate) struct Siege {
    pub(crate) a: Attack,
    pub(crate) insider: Insider,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) mirrors: Vec<Mirror>,
    /// How many bytes handling a frame may allocate for each of its own: copies to keep and to
    /// write, and what they unpack to.
    pub(crate) frame_factor: usize,
    /// The most that one frame allocated, and that frame's bytes.
    pub(crate) worst: (usize, usize),
    batch: Vec<(usize, Envelope)>,
    /// How much of each honest log the mirrors have.
    mirrored: BTreeMap<LogId, usize>,
    incarnations: u64,
    written: Vec<String>,
    /// What the nodes had dropped, and the mirrors found void, when both last agreed.
    void: BTreeMap<&'static str, (u64, u64)>,
}

/// A log that the attacker writes by hand.
pub(crate) struct Log {
    /// Which mirror.
    pub(crate) of: usize,
    pub(crate) client: u64,
    /// What became of what it wrote last.
    pub(crate) last: Verdict,
    hand: insider::Log,
}

impl Siege {
    /// A group of two honest nodes and an attacker with this role.
    pub(crate) fn new(seed: u64, role: Role) -> Siege {
        let a = Attack::by(seed, role);
        let insider = a.insider();
        let concerns = [Concern::Chat, Concern::Core, Concern::Kanban, Concern::Issues, Concern::Canvas];
        let mirrors = concerns.map(|concern| Mirror::new(concern, insider.document(&concern))).into();
        let mut siege = Siege {
            a,
            insider,
            rng: ChaCha20Rng::seed_from_u64(seed),
            mirrors,
            frame_factor: 16,
            worst: (0, 0),
            batch: Vec::new(),
            mirrored: BTreeMap::new(),
            incarnations: seed << 32,
            written: Vec::new(),
            void: HONEST.map(|name| (name, (0, 0))).into(),
        };
        siege.mirror_honest();
        siege
    }

    /// Who the attacker is to the others.
    pub(crate) fn actor(&self) -> Actor {
        self.actor_of(&self.a.device.key())
    }

    fn actor_of(&self, device: &fourword_protocol::ids::DeviceKey) -> Actor {
        let person = self.insider.roster.person_of(device).unwrap();
        Actor { person, role: self.insider.roster.reading().role_of(&person).unwrap() }
    }

    /// Who an honest node's person is.
    pub(crate) fn honest(&self, name: &str) -> Actor {
        self.actor_of(&self.a.c.device(name).unwrap())
    }

    // -- attacking ----------------------------------------------------------------------------

    /// A new log of the attacker.
    pub(crate) fn log(&mut self, of: usize) -> Log {
        self.incarnations += 1;
        let hand = self.insider.log(self.mirrors[of].concern, self.incarnations);
        let client = client_id(&hand.id.device, &hand.id.document, hand.id.incarnation);
        Log { of, client, last: Verdict::Applied, hand }
    }

    /// The clock that a log's next block must have.
    pub(crate) fn clock(&self, log: &Log) -> u64 {
        self.mirrors[log.of].document.next_clock(log.client).into()
    }

    /// Seals content as the next envelope of a log, reckons its verdict and has it sent with the
    /// next page.
    pub(crate) fn write(&mut self, log: &mut Log, content: &[u8]) -> Verdict {
        let actor = self.actor();
        let envelope = log.hand.write(content);
        let verdict = self.mirrors[log.of].take(&envelope.header.log, content, actor);
        self.batch.push((log.of, envelope));
        log.last = verdict;
        verdict
    }

    /// Sends what was written: to the first node as it was, to the second with its logs mixed.
    pub(crate) fn deliver(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.deliver_to("ada", &batch);
        let mut logs: BTreeMap<LogId, Vec<(usize, Envelope)>> = BTreeMap::new();
        for (of, envelope) in batch {
            logs.entry(envelope.header.log).or_default().push((of, envelope));
        }
        let mut logs: Vec<_> = logs.into_values().collect();
        logs.shuffle(&mut self.rng);
        self.deliver_to("cem", &logs.concat());
        self.a.c.run_for(2);
    }

    fn deliver_to(&mut self, name: &str, envelopes: &[(usize, Envelope)]) {
        let (mut gathered, mut bytes) = (Vec::new(), 0);
        for (number, (of, envelope)) in envelopes.iter().enumerate() {
            gathered.push(envelope.clone());
            bytes += envelope.bytes().len();
            let is_last = envelopes.get(number + 1).is_none_or(|(next, _)| next != of);
            if is_last || bytes > PAGE_BYTES {
                self.frame(name, &insider::frame(self.a.entity, &std::mem::take(&mut gathered)));
                bytes = 0;
            }
        }
    }

    /// Gives a node one frame and measures what handling it allocates, in a process of its own.
    pub(crate) fn frame(&mut self, name: &str, frame: &Frame) {
        let bytes = frame.encode();
        let length = bytes.len();
        let ((), peak) = alloc::peak_of(|| {
            self.a.send_bytes(name, "page", bytes);
            self.a.c.run_for(0);
        });
        assert!(
            !alloc::is_alone() || peak <= self.frame_factor * length + FRAME_EXTRA,
            "a frame of {length} bytes allocates {peak}"
        );
        if peak > self.worst.0 {
            self.worst = (peak, length);
        }
    }

    // -- what must hold -----------------------------------------------------------------------

    /// Both nodes have judged all of it as the mirrors say, show the same, and still work.
    pub(crate) fn stands(&mut self) {
        self.deliver();
        self.agrees();
        for name in HONEST {
            let text = format!("{name} {}", self.rng.random_range(0..u64::MAX));
            self.a.c.send_message(name, self.a.group, &text);
            self.written.push(text);
        }
        self.agrees();
        let shown = self.shown();
        for text in &self.written {
            assert!(shown.contains(text), "{text} is not shown");
        }
        for name in HONEST {
            self.a.c.crash(name);
            self.a.c.restart(name);
            self.void.insert(name, (0, self.all_void()));
        }
        self.a.c.connect_all();
        self.a.c.settle();
        self.agrees();
        assert_eq!(self.shown(), shown, "after a restart");
    }

    /// What both nodes show of the chat.
    pub(crate) fn shown(&mut self) -> Vec<String> {
        let [ada, cem] = HONEST.map(|name| self.a.read(name));
        assert_eq!(ada, cem, "both show the same");
        ada
    }

    /// The nodes count as many envelopes void as the mirrors, and say that they hold the same.
    pub(crate) fn agrees(&mut self) {
        self.a.c.settle();
        self.mirror_honest();
        let all = self.all_void();
        for name in HONEST {
            let dropped = self.a.dropped(name).values().sum::<u64>();
            let (before, then) = self.void[name];
            assert_eq!(dropped - before, all - then, "{name}: {:?}", self.a.dropped(name));
            self.void.insert(name, (dropped, all));
        }
        let written: Vec<usize> = (0..self.mirrors.len())
            .filter(|of| !self.mirrors[*of].document.clock_ends().is_empty())
            .collect();
        for name in HONEST {
            for of in written.iter().copied() {
                self.have_read(name, of);
                let document = &self.mirrors[of].document;
                let concern = &self.mirrors[of].concern;
                let index = Index::scan(concern, document);
                let counted = |root: &str, key: &str| schema::counted(concern, &index, root, key);
                let digest = document.content_digest_of(counted);
                let (vector, content) = self.told(name, self.mirrors[of].key);
                assert_eq!(content, Some(digest), "{name}, {:?}", self.mirrors[of].concern);
                assert_eq!(vector, self.told("ada", self.mirrors[of].key).0);
            }
            let queues = self.a.c.queues(name);
            assert!(queues.waiting_envelopes < 1024, "{queues:?}");
        }
    }

    /// Has a node read a document that it reads only when somebody looks at it.
    fn have_read(&mut self, name: &str, of: usize) {
        let show = match self.mirrors[of].concern {
            Concern::Kanban => Command::Board(self.a.group, BoardCommand::Show(CardFilter::default())),
            Concern::Issues => Command::Issue(self.a.group, IssueCommand::List(IssueFilter::default())),
            Concern::Canvas => Command::Canvas(self.a.group, CanvasCommand::Show),
            _ => return,
        };
        self.a.c.must(name, show);
    }

    fn all_void(&self) -> u64 {
        self.mirrors.iter().map(|mirror| mirror.void).sum()
    }

    /// How a node says that it stands with a document, on a new connection.
    fn told(
        &mut self,
        name: &str,
        key: DocumentKey,
    ) -> (fourword_protocol::ids::Digest, Option<fourword_protocol::ids::Digest>) {
        let device = self.a.c.device(name).unwrap();
        self.a.c.disconnect("mal", name);
        self.a.c.take_inbox("mal");
        self.a.c.connect("mal", name);
        self.a.greet(name);
        self.a.c.run_for(100);
        let inbox = self.a.c.take_inbox("mal");
        let mut states =
            inbox.iter().rev().filter(|(from, _)| *from == device).filter_map(
                |(_, bytes)| match Frame::decode(bytes) {
                    Ok(Frame::State { state, .. }) => Some(state),
                    _ => None,
                },
            );
        let state = states.next().unwrap_or_else(|| panic!("{name} does not say how it stands"));
        let document = state.documents.iter().find(|document| document.document == key).unwrap();
        (document.vector, document.content)
    }

    /// Gives the mirrors what the honest nodes have written.
    pub(crate) fn mirror_honest(&mut self) {
        let honest = HONEST.map(|name| self.a.c.device(name).unwrap());
        for log in self.a.c.logs("ada").into_iter().filter(|log| honest.contains(&log.device)) {
            let Some(mirror) = self.mirrors.iter().position(|mirror| mirror.key == log.document) else {
                continue;
            };
            let actor = self.actor_of(&log.device);
            let stored = self.a.c.stored_log("ada", log);
            let known = self.mirrored.insert(log, stored.len()).unwrap_or(0);
            for bytes in &stored[known..] {
                let content =
                    Envelope::read(bytes).unwrap().open(&self.insider.keys[&self.insider.epoch]).unwrap();
                assert_eq!(self.mirrors[mirror].take(&log, &content, actor), Verdict::Applied);
            }
        }
    }
}
