//! Much out of little: what a frame unpacks to, what is kept because of it, and what is checked.
//!
//! The worst that a member can pack, within the rules, into frames as small as can be, and the
//! most that it can make others check for nothing.

use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{StatementId, to_base32};
use fourword_protocol::limits::{PACK_RATIO_MAX, TEXT_BYTES_MAX, UPDATE_BLOCKS_MAX};
use fourword_protocol::roster::{Body, Role};
use fourword_protocol::schema::Concern;
use fourword_protocol::wire::Frame;
use fourword_tests::insider::frame;
use rand::{Rng, RngExt};

use crate::alloc;
use crate::grammar::{Block, Update};
use crate::mirror::Verdict;
use crate::siege::{Log, Siege};
use crate::writer::number;

/// Writes blocks as one update that must be taken.
fn write(siege: &mut Siege, log: &mut Log, blocks: Vec<Block>) {
    let update = Update::of(log.client, siege.clock(log), blocks);
    assert_eq!(siege.write(log, &update.bytes()), Verdict::Applied);
}

#[test]
fn texts_that_pack_as_well_as_they_may_take_no_more_memory_than_their_frame_allows() {
    alloc::alone(
        "floods::texts_that_pack_as_well_as_they_may_take_no_more_memory_than_their_frame_allows",
        texts,
    );
}

fn texts() {
    let mut siege = Siege::new(400, Role::Member);
    // Unpacked, kept in the document, and in passing in the hands of parser and library.
    siege.frame_factor = 4 * PACK_RATIO_MAX;
    let own = to_base32(&siege.actor().owner());
    let mut log = siege.log(0);
    for message in 0..100u64 {
        let mut text = vec![b'a'; TEXT_BYTES_MAX];
        for chunk in text.chunks_mut(100) {
            chunk.iter_mut().take(20).for_each(|byte| *byte = siege.rng.random_range(b'a'..=b'z'));
        }
        let record = [vec![1, 0, 5], number(text.len() as u64), text].concat();
        let key = format!("{own}|{}", to_base32(&message.to_be_bytes()));
        write(&mut siege, &mut log, vec![Block::put("messages", &key, &record)]);
    }
    siege.deliver();
    println!("{} bytes for a frame of {}", siege.worst.0, siege.worst.1);
    assert!(siege.worst.0 > 4 * siege.worst.1, "what does not unpack to much shows nothing");
    siege.stands();
}

#[test]
fn keys_that_pack_as_well_as_they_may_take_no_more_memory_than_their_frame_allows() {
    alloc::alone(
        "floods::keys_that_pack_as_well_as_they_may_take_no_more_memory_than_their_frame_allows",
        keys,
    );
}

fn keys() {
    let mut siege = Siege::new(401, Role::Member);
    // A key is kept in the index of blocks, the library, the content and the order of messages.
    siege.frame_factor = 10 * PACK_RATIO_MAX;
    let own = to_base32(&siege.actor().owner());
    let mut log = siege.log(0);
    for batch in 0..8u64 {
        let pin = |siege: &mut Siege| {
            let mut of = [0; 16];
            siege.rng.fill_bytes(&mut of[..4]);
            let random = siege.rng.random_range(0..u64::MAX).to_be_bytes();
            let key = format!("{own}|{}|{}", to_base32(&of), to_base32(&random));
            Block::put("pins", &key, &[1, 1])
        };
        let count = UPDATE_BLOCKS_MAX - usize::from(batch == 0);
        let blocks = (0..count).map(|_| pin(&mut siege)).collect();
        write(&mut siege, &mut log, blocks);
    }
    siege.deliver();
    println!("{} bytes for a frame of {}", siege.worst.0, siege.worst.1);
    siege.stands();
}

/// Different envelopes at one position of a log, of which one counts.
fn forks(siege: &Siege, count: u64) -> Vec<Envelope> {
    let log = siege.insider.log(Concern::Chat, 500);
    (0..count).map(|number| siege.insider.seal(log.header(), &number.to_be_bytes())).collect()
}

#[test]
fn what_a_member_sends_in_vain_is_checked_a_few_thousand_times_and_then_at_a_slow_pace() {
    let mut siege = Siege::new(402, Role::Member);
    let forks = forks(&siege, 14_000);
    let began = std::time::Instant::now();
    for part in forks.chunks(500) {
        // A new connection is no new allowance.
        siege.a.c.disconnect("mal", "ada");
        siege.a.send("ada", "forks", &frame(siege.a.entity, part));
        siege.a.c.run_for(10);
    }
    println!("{} forks: {:?}", forks.len(), began.elapsed());
    let dropped = siege.a.dropped("ada");
    assert!((4096..4300).contains(&dropped["forked log"]), "{dropped:?}");
    assert!(dropped["more in vain than is heard"] > 3, "{dropped:?}");
    // Not for ever, and what is not in vain is heard at once.
    siege.a.c.run_for(1000);
    siege.a.send("ada", "forks", &frame(siege.a.entity, &forks[..50]));
    siege.a.c.run_for(10);
    assert!(siege.a.dropped("ada")["forked log"] >= dropped["forked log"] + 49);
    siege.a.stands("a flood of forks");
}

#[test]
fn statements_known_already_cost_no_check_and_those_that_wait_are_heard_a_few_thousand_times() {
    let mut siege = Siege::new(403, Role::Member);
    let statements: Vec<Vec<u8>> = siege.a.statements.clone();
    for _ in 0..50 {
        let many = statements.iter().cycle().take(200).cloned().collect();
        let frame = Frame::Statements { entity: siege.a.entity, statements: many };
        siege.a.send("ada", "known statements", &frame);
    }
    siege.a.c.run_for(10);
    assert_eq!(siege.a.dropped("ada").get("more in vain than is heard"), None);
    let mut insider = siege.a.insider();
    insider.state(Body::Held { removal: StatementId([1; 32]), vectors: Vec::new() });
    let waiting: Vec<Vec<u8>> = (0..5000u64)
        .map(|number| {
            let removal = StatementId([&number.to_be_bytes()[..], &[0; 24]].concat().try_into().unwrap());
            insider.sign(Body::Held { removal, vectors: Vec::new() }).bytes().to_vec()
        })
        .collect();
    for part in waiting.chunks(500) {
        let frame = Frame::Statements { entity: siege.a.entity, statements: part.to_vec() };
        siege.a.send("ada", "waiting statements", &frame);
        siege.a.c.run_for(1);
    }
    assert!(siege.a.dropped("ada")["more in vain than is heard"] > 0);
    assert!(siege.a.c.queues("ada").waiting_statements <= 1024);
    siege.a.stands("a flood of statements");
}

#[test]
fn catching_up_with_much_is_never_in_vain() {
    let mut siege = Siege::new(404, Role::Member);
    siege.a.c.isolate("cem");
    for _ in 0..300 {
        siege.a.write_many("ada", 2);
        siege.a.c.run_for(5);
    }
    siege.a.c.heal();
    siege.a.stands("much to catch up with");
    assert_eq!(siege.a.dropped("cem"), std::collections::BTreeMap::new());
}
