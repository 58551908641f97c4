//! Which entity has some words: answers of liars, and two entities of one name.

use fourword_protocol::command::{Command, Kind, Outcome, RefusalCode, Reply};
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::{Digest, EntityId};
use fourword_protocol::limits::{NAME_CANDIDATES_MAX, PARENTS_MAX};
use fourword_protocol::roster::{Genesis, Statement};
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::asking::{NOW, by_words, code, id_of, joins, requests, strangers};

/// A group that was never founded anywhere.
fn genesis_by(secret: &DeviceSecret, root: &RootSecret, nonce: u64) -> Statement {
    founding(secret, root, Kind::Group, nonce, None)
}

fn founding(
    secret: &DeviceSecret,
    root: &RootSecret,
    kind: Kind,
    nonce: u64,
    parent: Option<EntityId>,
) -> Statement {
    let person = PersonCard { root: root.public(), nonce: 0 }.id();
    let creator = root.certify(0, &secret.card(person));
    let genesis = Genesis { kind, nonce, created: NOW, secret_commitment: [1; 32], parent, creator };
    genesis.sign(secret).unwrap()
}

/// What a puppet was asked for, once it was.
fn sought(c: &mut Cluster, puppet: &str) -> Option<Digest> {
    c.take_inbox(puppet).iter().find_map(|(_, bytes)| match Frame::decode(bytes) {
        Ok(Frame::Seek(lookup)) => Some(lookup),
        _ => None,
    })
}

#[test]
fn a_liar_that_offers_junk_and_other_groups_delays_a_join_and_no_more() {
    let (mut c, group) = strangers(12);
    c.add("mal");
    c.take_over("mal");
    c.connect("mal", "eve");
    c.settle();
    c.take_cost("eve");
    let id = c.begin("eve", by_words(group, None, ""));
    let lookup = loop {
        c.run_for(1);
        if let Some(lookup) = sought(&mut c, "mal") {
            break lookup;
        }
    };
    let (secret, root) = (c.secret("mal"), RootSecret::from_seed(&[9; 32]));
    let genesis = (0..NAME_CANDIDATES_MAX as u64)
        .map(|nonce| genesis_by(&secret, &root, nonce).bytes().to_vec())
        .collect();
    c.inject("mal", "eve", Frame::Found { lookup, genesis }.encode());
    // Answers that nobody asked for, and bytes that are no genesis.
    c.inject(
        "mal",
        "eve",
        Frame::Found { lookup, genesis: vec![vec![7; 300]; NAME_CANDIDATES_MAX] }.encode(),
    );
    c.settle();
    assert!(
        matches!(c.answer("eve", id), Some(Outcome::Done(Reply::Joined(..)))),
        "{:?}",
        c.answer("eve", id)
    );
    assert!(c.take_cost("eve").stretches <= NAME_CANDIDATES_MAX + 1 + 1, "candidates, one lookup, one work");
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
}

#[test]
fn an_honest_answer_has_its_turn_although_a_liar_came_first_with_a_full_one() {
    let (mut c, group) = strangers(13);
    c.isolate("ada");
    c.isolate("ben");
    for name in ["mal", "max"] {
        c.add(name);
        c.take_over(name);
        c.connect(name, "eve");
    }
    let id = c.begin("eve", by_words(group, None, ""));
    c.run_for(100);
    let (secret, root) = (c.secret("mal"), RootSecret::from_seed(&[9; 32]));
    for (name, first) in [("mal", 0), ("max", 100)] {
        let lookup = sought(&mut c, name).unwrap();
        let genesis = (first..first + NAME_CANDIDATES_MAX as u64)
            .map(|nonce| genesis_by(&secret, &root, nonce).bytes().to_vec());
        let genesis = genesis.collect();
        c.inject(name, "eve", Frame::Found { lookup, genesis }.encode());
    }
    c.run_for(2);
    c.heal();
    c.settle();
    assert!(
        matches!(c.answer("eve", id), Some(Outcome::Done(Reply::Joined(..)))),
        "{:?}",
        c.answer("eve", id)
    );
}

#[test]
fn an_answer_with_more_candidates_than_may_be_is_a_fault_and_none_of_them_is_stretched() {
    for (count, stretched, blamed) in
        [(NAME_CANDIDATES_MAX, NAME_CANDIDATES_MAX, None), (NAME_CANDIDATES_MAX + 1, 0, Some(1))]
    {
        let mut c = Cluster::new(14);
        c.add("eve");
        c.add("mal");
        c.take_over("mal");
        c.connect("mal", "eve");
        c.settle();
        c.begin("eve", by_words(FourWords::from_bytes([9; 6]), None, ""));
        c.run_for(100);
        let lookup = sought(&mut c, "mal").unwrap();
        c.take_cost("eve");
        let (secret, root) = (c.secret("mal"), RootSecret::from_seed(&[9; 32]));
        let genesis = (0..count as u64).map(|nonce| genesis_by(&secret, &root, nonce).bytes().to_vec());
        c.inject("mal", "eve", Frame::Found { lookup, genesis: genesis.collect() }.encode());
        c.run_for(1_000);
        assert_eq!(c.take_cost("eve").stretches, stretched, "of {count}");
        let Reply::Status(status) = c.must("eve", Command::Status) else { panic!("a status") };
        let dropped = status.dropped.into_iter().find(|(why, _)| why == "too many candidates");
        assert_eq!(dropped.map(|(_, count)| count), blamed);
    }
}

#[test]
fn a_channel_is_followed_by_the_parents_that_it_names_or_the_answer_is_a_fault() {
    let mut c = Cluster::new(15);
    c.add("eve");
    c.add("mal");
    c.take_over("mal");
    c.connect("mal", "eve");
    c.settle();
    let (secret, root) = (c.secret("mal"), RootSecret::from_seed(&[9; 32]));
    let make = |kind, nonce, parent| founding(&secret, &root, kind, nonce, parent);
    let parent = |of: &Statement| Some(of.entity());
    let (group, other) = (make(Kind::Group, 0, None), make(Kind::Group, 1, None));
    let mut lineage = vec![group.clone()];
    for depth in 0..=PARENTS_MAX as u64 {
        lineage.insert(0, make(Kind::Channel, depth, parent(&lineage[0])));
    }
    let home = make(Kind::Home, 0, None);
    let of_home = make(Kind::Channel, 9, parent(&home));
    let deepest = &lineage[1..];
    let channel = &deepest[PARENTS_MAX - 1];
    let cases: [(&[&Statement], usize, &str); 6] = [
        (&[channel, &group, &other], 2, "two candidates"),
        (&deepest.iter().collect::<Vec<_>>(), 1, "as many parents as may be"),
        (&lineage.iter().collect::<Vec<_>>(), 0, "one too many"),
        (&[channel], 0, "no parent"),
        (&[channel, &other], 0, "another parent"),
        (&[&of_home, &home], 0, "the home of a person"),
    ];
    for (at, (answer, stretched, what)) in cases.into_iter().enumerate() {
        let words = FourWords::from_bytes([at as u8; 6]);
        c.begin("eve", by_words(words, None, ""));
        c.run_for(100);
        let lookup = sought(&mut c, "mal").unwrap();
        c.take_cost("eve");
        let genesis = answer.iter().map(|statement| statement.bytes().to_vec()).collect();
        c.inject("mal", "eve", Frame::Found { lookup, genesis }.encode());
        c.run_for(1_000);
        assert_eq!(c.take_cost("eve").stretches, stretched, "{what}");
    }
    let Reply::Status(status) = c.must("eve", Command::Status) else { panic!("a status") };
    let count = |reason: &str| status.dropped.iter().find(|(why, _)| why == reason).map(|(_, count)| *count);
    assert_eq!((count("another parent than is named"), count("no genesis")), (Some(2), Some(1)));
}

/// Two founders whose groups have one name, and eve who reaches both.
fn two_of_one_name(seed: u64) -> (Cluster, FourWords, [EntityId; 2]) {
    let mut c = Cluster::new(seed);
    for name in ["ada", "eve", "mal"] {
        c.add(name);
    }
    let group = c.create_group("ada", "tea");
    let other = c.create_group("mal", "trap");
    let ids = [id_of(&mut c, "ada", group), id_of(&mut c, "mal", other)];
    c.forge_name(ids[1], ids[0]);
    let forged = c.remembered("mal").locals.into_iter().find(|(key, _)| key.of == ids[1].0).unwrap().0;
    c.stop("mal");
    c.rewrite("mal", forged, group.to_bytes().to_vec());
    c.restart("mal");
    c.connect_all();
    c.settle();
    (c, group, ids)
}

#[test]
fn of_two_groups_of_one_name_neither_is_picked_and_the_full_id_picks_one() {
    let (mut c, group, ids) = two_of_one_name(21);
    let Outcome::Refused(refusal) = c.ask("eve", by_words(group, None, "")) else { panic!("a refusal") };
    assert_eq!(refusal.code, RefusalCode::Usage);
    assert!(ids.iter().all(|id| refusal.message.contains(&id.to_string())), "{}", refusal.message);
    c.settle();
    assert!(joins(&mut c, "eve").is_empty());
    assert_eq!((c.queues("ada").requests, c.queues("mal").requests), (0, 0), "nobody was asked");
    c.must("eve", by_words(group, Some(ids[0]), ""));
    c.settle();
    assert_eq!((c.queues("ada").requests, c.queues("mal").requests), (1, 0));
}

#[test]
fn an_id_that_the_words_are_not_stretched_from_is_refused() {
    let (mut c, group, _) = two_of_one_name(22);
    let refused = c.ask("eve", by_words(group, Some(EntityId([7; 32])), ""));
    assert_eq!(code(&refused), Some(RefusalCode::Usage));
}
