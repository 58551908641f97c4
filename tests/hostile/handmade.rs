//! Every content, tie, head and ending that an update can be put together from, one by one.
//!
//! What must become of each is read off docs/PROTOCOL.md, sections 3 and 9, and not asked of the
//! parser; nodes and mirror must both come to it.

use fourword_protocol::ids::to_base32;
use fourword_protocol::limits::MAP_KEY_BYTES_MAX;
use fourword_protocol::roster::Role;

use crate::grammar::{Block, Id, Section, Tie, Update};
use crate::mirror::Verdict;
use crate::siege::{Log, Siege};
use crate::writer::{Says, nested, number, record, string, verdict};

/// A flag set: the record of a reaction or a pin.
const FLAG: [u8; 2] = [1, 1];

/// A client that nobody writes as.
const NOBODY: u64 = 99;

/// Contents by kind and bytes. A pin's record is what the keys below take.
fn contents() -> Vec<(u8, Vec<u8>, Says)> {
    vec![
        (8, record(&FLAG), Says::Fine),
        (3, [number(2), FLAG.to_vec()].concat(), Says::Fine),
        (8, record(&[]), Says::Void),
        (8, record(&[1, 2]), Says::Void),
        (8, record(&[1, 1, 0]), Says::Void),
        (8, record(&[0; 300]), Says::Void),
        (1, number(3), Says::Void),
        (1, number(0), Says::Ends),
        (4, string("text 😀"), Says::Void),
        (4, string(""), Says::Ends),
        (4, vec![2, 0xc3, 0x28], Says::Ends),
        (5, string("{}"), Says::Foreign),
        (6, [string("bold"), string("true")].concat(), Says::Void),
        (7, vec![1], Says::Void),
        (7, vec![0], Says::Foreign),
        (7, vec![2], Says::Foreign),
        (7, [vec![3], string("p")].concat(), Says::Foreign),
        (7, vec![6], Says::Foreign),
        (7, vec![7, 0], Says::Ends),
        (8, vec![0], Says::Ends),
        (8, vec![2, 116, 0, 116, 0], Says::Foreign),
        (8, vec![1, 126], Says::Foreign),
        (8, [vec![1, 118, 1], string("k"), vec![126]].concat(), Says::Foreign),
        (8, nested(16), Says::Foreign),
        (8, nested(17), Says::Ends),
        (8, [vec![1, 116], number(1 << 40)].concat(), Says::Ends),
        (2, vec![1, 4, b'n', b'u', b'l', b'l'], Says::Ends),
        (9, [string("guid"), vec![118, 0]].concat(), Says::Ends),
        (11, vec![0, 1, 2, 3], Says::Ends),
        (15, vec![1], Says::Ends),
    ]
}

/// One log with a pin of its own at clock 0 and a void clock 1, beside a message of somebody else.
struct Bench {
    siege: Siege,
    log: Log,
    own: String,
    foreign: String,
    /// A block of another log, and the clock at which that log ends.
    theirs: Id,
    theirs_end: u64,
    pins: u64,
}

impl Bench {
    fn new(seed: u64) -> Bench {
        let mut siege = Siege::new(seed, Role::Member);
        let (own, foreign) = (to_base32(&siege.actor().owner()), to_base32(&siege.honest("ada").owner()));
        let (client, end) = siege.mirrors[0].document.clock_ends()[0];
        let log = siege.log(0);
        let mut bench =
            Bench { siege, log, own, foreign, theirs: (client, 0), theirs_end: end.into(), pins: 0 };
        bench.begin();
        bench
    }

    /// A key under which `owner` may pin.
    fn key(&mut self, owner: &str) -> String {
        self.pins += 1;
        format!("{owner}|{}|{}", self.foreign, to_base32(&self.pins.to_be_bytes()))
    }

    fn begin(&mut self) {
        self.log = self.siege.log(0);
        let own = self.own.clone();
        let pin = Block::put("pins", &self.key(&own), &FLAG);
        let update = Update::of(self.log.client, 0, vec![pin, Block::Gone(1)]);
        assert_eq!(self.siege.write(&mut self.log, &update.bytes()), Verdict::Applied);
    }

    fn next(&mut self) -> u64 {
        if matches!(self.log.last, Verdict::Ended | Verdict::Waits) {
            self.begin();
        }
        self.siege.clock(&self.log)
    }

    fn ties(&mut self, next: u64) -> Vec<(Tie, Says)> {
        let (me, own, foreign) = (self.log.client, self.own.clone(), self.foreign.clone());
        let (mine, theirs) = (self.key(&own), self.key(&foreign));
        let root = |root: &str, key: &str| Tie::Root(root.into(), Some(key.into()));
        let after = |id: Id| Tie::Origins(Some(id), None);
        let field = || Some("field".to_owned());
        vec![
            (root("pins", &mine), Says::Fine),
            (root("pins", &theirs), Says::Void),
            (root("pins", &mine.to_uppercase()), Says::Void),
            (root("pins", "x"), Says::Void),
            (root("pins", ""), Says::Void),
            (root("pins", &"k".repeat(MAP_KEY_BYTES_MAX)), Says::Void),
            (root("pins", &"k".repeat(MAP_KEY_BYTES_MAX + 1)), Says::Void),
            (root("messages", &mine), Says::Void),
            (root("roles", &mine), Says::Void),
            (Tie::Root("pins".into(), None), Says::Void),
            (Tie::Nested((me, 0), field()), Says::Void),
            (Tie::Nested((me, 1), field()), Says::Void),
            (Tie::Nested((me, next), field()), Says::Void),
            (Tie::Nested(self.theirs, field()), Says::Void),
            (Tie::Nested((NOBODY, 0), field()), Says::Waits),
            (after((me, 0)), Says::Fine),
            (after((me, 1)), Says::Void),
            (after((me, next)), Says::Void),
            (after((me, next + 5)), Says::Void),
            (after(self.theirs), Says::Void),
            (after((self.theirs.0, self.theirs_end)), Says::Waits),
            (after((NOBODY, 7)), Says::Waits),
            (after((NOBODY, 1 << 32)), Says::Ends),
            (after((1 << 53, 0)), Says::Ends),
            (Tie::Origins(Some((me, 0)), Some((me, 0))), Says::Void),
            (Tie::Origins(None, Some((me, 0))), Says::Void),
            (Tie::Origins(None, Some(self.theirs)), Says::Void),
        ]
    }

    /// The clients and clocks that an update may claim, the right ones first.
    fn heads(&self, next: u64) -> Vec<(u64, u64)> {
        let clients = [self.log.client, self.theirs.0, NOBODY, 1 << 53];
        let clocks = [next, 0, next - 1, next + 1, (1 << 31) - 1, 1 << 32];
        clients.iter().flat_map(|client| clocks.map(|clock| (*client, clock))).collect()
    }

    /// Deletions and what follows them; all but the first make an update of maps void.
    fn endings(&self) -> Vec<Update> {
        let ending = |deletions, tail: &[u8]| Update { deletions, tail: tail.into(), ..Update::default() };
        let one = |client, range| vec![(client, vec![range])];
        let deletions = [
            vec![],
            one(self.log.client, (0, 1)),
            one(self.theirs.0, (0, 1)),
            one(NOBODY, (0, 5)),
            one(self.log.client, (0, 0)),
            one(self.theirs.0, (0, 1 << 40)),
            vec![(self.log.client, vec![])],
        ];
        deletions
            .into_iter()
            .flat_map(|deletions| [ending(deletions.clone(), &[]), ending(deletions, &[0])])
            .collect()
    }

    /// Sends an update of one block and holds the verdict to what the protocol says.
    fn attempt(&mut self, block: Block, head: (u64, u64), mut ending: Update, says: Verdict) {
        ending.sections = vec![Section { client: head.0, clock: head.1, blocks: vec![block] }];
        let verdict = self.siege.write(&mut self.log, &ending.bytes());
        assert_eq!(verdict, says, "{ending:?}");
    }
}

/// What a node does about what the protocol says.
fn done(says: Says) -> Verdict {
    match says {
        Says::Fine => Verdict::Applied,
        Says::Void | Says::Foreign => Verdict::Void,
        Says::Waits => Verdict::Waits,
        Says::Ends => Verdict::Ended,
    }
}

#[test]
fn every_combination_of_content_tie_head_and_ending_is_judged_as_the_protocol_says() {
    let mut sent = 0u64;
    for (round, (kind, body, content)) in contents().into_iter().enumerate() {
        let mut bench = Bench::new(9000 + round as u64);
        let next = bench.next();
        let (ties, heads, endings) = (bench.ties(next).len(), bench.heads(next).len(), bench.endings().len());
        for tie in 0..ties {
            // All endings under the right head, and every wrong head with one ending or another.
            let right = (0..endings).map(|ending| (0, ending));
            let wrong = (1..heads).map(|head| (head, (head + tie) % endings));
            for (head, ending) in right.chain(wrong) {
                let next = bench.next();
                let (tie, tied) = bench.ties(next).swap_remove(tie);
                let claimed = bench.heads(next)[head];
                let chosen = bench.endings().swap_remove(ending);
                let block = Block::Item { tie, kind, body: body.clone() };
                let in_place = head == 0;
                let ended = if ending == 0 { Says::Fine } else { Says::Void };
                bench.attempt(block, claimed, chosen, done(verdict(content, tied, in_place, ended)));
                sent += 1;
                if sent.is_multiple_of(100) {
                    bench.siege.deliver();
                }
            }
        }
        bench.siege.stands();
    }
    println!("{sent} updates made by hand");
    assert!(sent >= 20_000);
}

#[test]
fn blocks_without_a_place_and_heads_without_blocks_are_judged_as_the_protocol_says() {
    let mut bench = Bench::new(9900);
    let blocks = [
        (Block::Gone(1), Verdict::Applied),
        (Block::Gone(1000), Verdict::Applied),
        (Block::Gone(0), Verdict::Ended),
        (Block::Gone(1 << 31), Verdict::Ended),
        (Block::Gone((1 << 32) - 1), Verdict::Ended),
        (Block::Skip(1), Verdict::Void),
        (Block::Skip(1 << 31), Verdict::Ended),
    ];
    for (block, says) in blocks {
        let next = bench.next();
        let head = (bench.log.client, next);
        bench.attempt(block, head, Update::default(), says);
    }
    let of = |client, clock, blocks| Section { client, clock, blocks };
    for shape in 0..5 {
        let next = bench.next();
        let (me, theirs, end) = (bench.log.client, bench.theirs.0, bench.theirs_end);
        let sections = match shape {
            0 => vec![],
            1 => vec![of(me, next, vec![])],
            2 => vec![of(me, next, vec![Block::Gone(1)]), of(theirs, end, vec![Block::Gone(1)])],
            3 => vec![of(theirs, end, vec![Block::Gone(1)]), of(me, next, vec![Block::Gone(1)])],
            _ => vec![of(me, next, vec![Block::Gone(1)]), of(me, next + 1, vec![Block::Gone(1)])],
        };
        let says = if sections.is_empty() { Verdict::Void } else { Verdict::Ended };
        let update = Update { sections, ..Update::default() };
        assert_eq!(bench.siege.write(&mut bench.log, &update.bytes()), says, "{update:?}");
    }
    bench.siege.stands();
}
