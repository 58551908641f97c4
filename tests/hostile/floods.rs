//! Much out of little: what a frame unpacks to, and what is kept because of it.
//!
//! The worst that a member can pack, within the rules, into frames as small as can be.

use fourword_protocol::ids::to_base32;
use fourword_protocol::limits::{PACK_RATIO_MAX, TEXT_BYTES_MAX, UPDATE_BLOCKS_MAX};
use fourword_protocol::roster::Role;
use rand::{Rng, RngExt};

use crate::grammar::{Block, Update, number};
use crate::mirror::Verdict;
use crate::siege::{Log, Siege};

/// Writes blocks as one update that must be taken.
fn write(siege: &mut Siege, log: &mut Log, blocks: Vec<Block>) {
    let update = Update::of(log.client, siege.clock(log), blocks);
    assert_eq!(siege.write(log, &update.bytes()), Verdict::Applied);
}

#[test]
fn texts_that_pack_as_well_as_they_may_take_no_more_memory_than_their_frame_allows() {
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
