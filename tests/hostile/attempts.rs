//! Single attacks of a member, each with what it was to break.

use std::collections::{BTreeMap, BTreeSet};

use crate::attack::{Attack, HONEST, some_log};
use fourword_protocol::command::{Command, Reply};
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::epoch::EpochKey;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{Digest, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId, StatementId};
use fourword_protocol::limits::{PAGE_BYTES, STATE_DOCUMENTS_MAX};
use fourword_protocol::roster::{Body, Role, Seal};
use fourword_protocol::schema::Concern;
use fourword_protocol::wire::{DocumentState, Frame, State, Vector};
use fourword_tests::insider::frame;

#[test]
fn an_epoch_that_is_sealed_to_nobody_silences_nobody() {
    let mut a = Attack::by_member(120);
    let before = a.c.remembered("ada").statements.len();
    for round in 0..5 {
        let insider = a.insider();
        let commitment = EpochKey::generate(&mut a.random).commitment();
        let body = Body::Epoch { counter: insider.roster.next_counter(), commitment, seals: Vec::new() };
        let statement = insider.sign(body).bytes().to_vec();
        a.statements.push(statement.clone());
        for name in HONEST {
            let frame = Frame::Statements { entity: a.entity, statements: vec![statement.clone()] };
            a.send(name, "epoch", &frame);
        }
        a.c.settle();
        a.stands(&format!("round {round}"));
    }
    let after = a.c.remembered("ada").statements.len();
    assert_eq!(after, before + 5, "nobody had to answer with an epoch");
}

#[test]
fn a_lie_about_our_own_log_costs_no_edit_and_no_log_without_end() {
    let mut a = Attack::by_member(121);
    let insider = a.insider();
    let chat = insider.document(&Concern::Chat);
    let ada = a.c.device("ada").unwrap();
    for _ in 0..60 {
        // The lie comes while the first edit is on its way to the disk and the others wait.
        a.write_many("ada", 3);
        let logs = a.c.logs("ada").into_iter().filter(|log| log.device == ada && log.document == chat);
        let logs = logs.map(|log| some_log(ada, log.incarnation.0, 1 << 40)).collect();
        a.send(
            "ada",
            "lie",
            &Frame::Vector(Vector { entity: a.entity, document: chat, page: 0, logs, last: true }),
        );
        a.c.run_for(15);
    }
    a.c.settle();
    a.stands("lies");
    let logs = a.c.logs("ada").into_iter().filter(|log| log.device == ada && log.document == chat).count();
    assert!((2..=10).contains(&logs), "{logs} logs");
    // What is shown is what is stored: it is there after a restart too.
    a.c.crash("ada");
    a.c.restart("ada");
    a.c.connect_all();
    a.c.settle();
    a.stands("a restart after lies");
}

#[test]
fn early_envelopes_of_one_member_leave_room_for_those_of_others() {
    let mut a = Attack::by_member(122);
    let insider = a.insider();
    let chat = insider.document(&Concern::Chat);
    for batch in 0..15 {
        let envelopes: Vec<_> = (0..100)
            .map(|number| {
                let log = insider.log(Concern::Chat, 10_000 + batch * 100 + number);
                let header = Header { epoch: StatementId([8; 32]), ..log.header() };
                insider.seal(header, b"never to be opened")
            })
            .collect();
        a.send("cem", "waiting", &frame(a.entity, &envelopes));
    }
    a.c.settle();
    assert_eq!(a.c.queues("cem").waiting_envelopes, 1024);
    // An early envelope of ada's, after which its predecessor comes.
    a.stands("waiting envelopes");
    let log =
        a.heads.keys().find(|log| Some(log.device) == a.c.device("ada") && log.document == chat).copied();
    let stored = a.c.stored_log("ada", log.unwrap());
    a.c.isolate("cem");
    for number in 0..4 {
        let _ = a.c.send_message("ada", a.group, &format!("apart {number}"));
    }
    let later = a.c.stored_log("ada", log.unwrap());
    assert!(later.len() > stored.len() + 1);
    a.c.heal();
    let alone = |bytes: &Vec<u8>| Frame::Envelopes {
        entity: a.entity,
        document: chat,
        envelopes: vec![bytes.clone()],
        more: false,
    };
    let (last, rest) = later.split_last().unwrap();
    let frames: Vec<Frame> = std::iter::once(last).chain(&rest[stored.len()..]).map(alone).collect();
    a.greet("cem");
    for frame in &frames {
        a.c.inject("mal", "cem", frame.encode());
    }
    a.c.run_for(1);
    let shown = a.c.read_chat("cem", a.group);
    assert!(shown.contains(&"apart 3".to_owned()), "the last waited for the first: {shown:?}");
    let left = a.c.queues("cem").waiting_envelopes;
    assert!((1000..1024).contains(&left), "ada's displaced some of the attacker's: {left}");
}

#[test]
fn each_page_is_loaded_once_however_often_it_is_asked_for() {
    let mut a = Attack::by_member(123);
    let chat = a.insider().document(&Concern::Chat);
    let entity = a.entity;
    a.c.take_inbox("mal");
    a.send(
        "ada",
        "vector",
        &Frame::Vector(Vector { entity, document: chat, page: 0, logs: Vec::new(), last: true }),
    );
    for _ in 0..500 {
        a.send("ada", "next", &Frame::Next { entity, document: chat });
    }
    a.c.settle();
    let pages = a.c.take_inbox("mal");
    let pages = pages.iter().filter(|(_, bytes)| matches!(Frame::decode(bytes), Ok(Frame::Envelopes { .. })));
    assert!((1..=5).contains(&pages.count()));
    assert!(a.dropped("ada")["next page of nothing"] > 400);
    a.stands("a flood of nexts");
}

#[test]
fn vectors_that_overtake_several_requests_for_pages_leave_none_of_them_that_asks_for_nothing() {
    let mut a = Attack::by_member(131);
    let (entity, chat) = (a.entity, a.insider().document(&Concern::Chat));
    for _ in 0..16 {
        // More than half a page, whatever packs it.
        let text: String = (0..PAGE_BYTES / 2 - 2048).map(|_| char::from(b' ' + a.draw(95) as u8)).collect();
        a.c.send_message("ada", a.group, text.trim());
    }
    a.c.settle();
    a.c.take_inbox("mal");
    let before = a.dropped("ada");
    let mut heads: BTreeMap<LogId, LogHead> = BTreeMap::new();
    for pages in 1.. {
        let logs = heads.iter().map(|(log, head)| (log.device, log.incarnation, *head)).collect();
        a.send("ada", "vector", &Frame::Vector(Vector { entity, document: chat, page: 0, logs, last: true }));
        a.c.run_for(50);
        let mut asks_on = false;
        for (_, bytes) in a.c.take_inbox("mal") {
            let Ok(Frame::Envelopes { envelopes, more, .. }) = Frame::decode(&bytes) else { continue };
            for envelope in envelopes.iter().map(|bytes| Envelope::read(bytes).unwrap()) {
                let head = LogHead { sequence: envelope.header.sequence, hash: envelope.hash() };
                heads.insert(envelope.header.log, head);
            }
            asks_on = more;
        }
        if !asks_on {
            assert!(pages > 4, "{pages} pages");
            // Now what was to ask for each of them comes.
            (1..pages).for_each(|_| a.send("ada", "next", &Frame::Next { entity, document: chat }));
            break;
        }
    }
    a.c.run_for(50);
    assert_eq!(a.dropped("ada"), before);
    a.send("ada", "next", &Frame::Next { entity, document: chat });
    a.c.run_for(50);
    assert_eq!(a.dropped("ada")["next page of nothing"], 1, "one more than there were pages");
}

#[test]
fn a_state_that_names_a_document_twice_is_a_fault_and_asks_nothing() {
    let mut a = Attack::by_member(124);
    let chat = a.insider().document(&Concern::Chat);
    a.c.take_inbox("mal");
    a.c.take_cost("ada");
    let documents = (0..2000)
        .map(|_| DocumentState { document: chat, vector: Digest(a.name()), content: None })
        .collect();
    let state = State { entity: a.entity, roster: Digest([0; 32]), documents };
    a.send("ada", "state", &Frame::State { number: 1 << 63, state });
    a.c.run_for(10);
    assert!(a.c.take_cost("ada").effects < 10);
    assert_eq!(a.dropped("ada").get("state out of order"), Some(&1));
}

#[test]
fn of_a_state_with_more_documents_than_may_be_those_known_here_are_remembered() {
    for (count, remembered) in [(STATE_DOCUMENTS_MAX, STATE_DOCUMENTS_MAX), (STATE_DOCUMENTS_MAX + 1, 1)] {
        let mut a = Attack::by_member(129);
        a.c.isolate("cem");
        let chat = a.insider().document(&Concern::Chat);
        a.c.take_inbox("mal");
        let keys: BTreeSet<DocumentKey> = (1..count).map(|_| DocumentKey(a.name())).chain([chat]).collect();
        let other = Digest(a.name());
        let documents =
            keys.into_iter().map(|document| DocumentState { document, vector: other, content: None });
        let state = State { entity: a.entity, roster: Digest([0; 32]), documents: documents.collect() };
        a.send("ada", "state", &Frame::State { number: 1 << 63, state });
        a.c.run_for(20);
        assert_eq!(a.c.queues("ada").peer_documents, remembered, "of {count}");
        let answers = a.c.take_inbox("mal").into_iter().filter_map(|(_, bytes)| Frame::decode(&bytes).ok());
        let asked: Vec<DocumentKey> = answers
            .filter_map(|frame| match frame {
                Frame::Vector(vector) => Some(vector.document),
                _ => None,
            })
            .collect();
        assert_eq!(asked, [chat], "what differs is asked for, however much is said");
    }
}

#[test]
fn a_roster_is_given_a_few_times_and_then_at_a_steady_pace() {
    let mut a = Attack::by_member(125);
    let entity = a.entity;
    a.c.settle();
    a.c.take_inbox("mal");
    for _ in 0..1000 {
        a.send("ada", "list", &Frame::Have { entity, ids: Vec::new(), last: true });
    }
    a.c.run_for(1000);
    let answers = a.c.take_inbox("mal");
    let answers = answers.iter().filter(|(_, b)| matches!(Frame::decode(b), Ok(Frame::Statements { .. })));
    let answers = answers.count();
    assert!((30..40).contains(&answers), "{answers}");
    a.stands("a flood of lists");
}

#[test]
fn people_made_up_by_a_member_are_named_a_few_at_a_time() {
    let mut a = Attack::by_member(126);
    let code = a.c.invite("ada", a.group, Role::Member, 1_000_000);
    a.c.settle();
    a.statements =
        a.c.remembered("ada").statements.into_iter().filter(|s| s.0 == a.entity).map(|s| s.2).collect();
    let mut insider = a.insider();
    let invite = insider.roster.invite(&code.key()).unwrap().statement;
    let mut made = Vec::new();
    for _ in 0..400 {
        let device = DeviceSecret::generate(&mut a.random);
        let certificate = a.certificate(&device);
        let signature = code.sign_acceptance(&certificate);
        let body = Body::AcceptInvite { invite, certificate, signature };
        made.push(insider.state(body).1);
    }
    for statements in made.chunks(100) {
        let frame = Frame::Statements { entity: a.entity, statements: statements.to_vec() };
        a.send("ada", "people", &frame);
    }
    a.c.run_for(12);
    let queues = a.c.queues("ada");
    assert!(queues.stretches <= 2 && queues.stretches_waiting <= 256, "{queues:?}");
    assert!(queues.stretches_waiting > 200, "the attack was one: {queues:?}");
    a.c.run_for(60_000);
    let Reply::Members(members) = a.c.must("ada", Command::Members(a.group)) else { panic!("members") };
    assert_eq!(members.len(), 403);
    assert_eq!(a.c.queues("ada").stretches_waiting, 0, "all were named in the end");
    a.stands("many people");
}

#[test]
fn seals_that_do_not_open_are_tried_once() {
    let mut a = Attack::by_member(127);
    let ada = a.c.device("ada").unwrap();
    let mut insider = a.insider();
    let commitment = EpochKey::generate(&mut a.random).commitment();
    let body = Body::Epoch { counter: insider.roster.next_counter(), commitment, seals: Vec::new() };
    let (id, epoch) = insider.state(body);
    let mut made = vec![epoch];
    for number in 0..300u64 {
        let sealed = [&number.to_be_bytes()[..], &[3; 104]].concat();
        let body = Body::SealKey { epoch: id, seals: vec![Seal { device: ada, sealed }] };
        made.push(insider.state(body).1);
    }
    let began = std::time::Instant::now();
    for statement in made {
        let frame = Frame::Statements { entity: a.entity, statements: vec![statement] };
        a.send("ada", "seal", &frame);
    }
    a.c.run_for(1000);
    println!("300 false seals, one at a time: {:?}", began.elapsed());
    a.stands("false seals");
}

#[test]
fn repeated_faults_end_the_connection_and_are_counted() {
    let mut a = Attack::by_member(128);
    let insider = a.insider();
    let log = insider.log(Concern::Chat, 77);
    let mut frames = 0;
    while a.c.are_connected("mal", "ada") {
        let mut bytes = insider.seal(log.header(), &[frames]).bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let chat = insider.document(&Concern::Chat);
        let envelopes = vec![bytes];
        a.send(
            "ada",
            "signature",
            &Frame::Envelopes { entity: a.entity, document: chat, envelopes, more: false },
        );
        a.c.run_for(5);
        frames += 1;
        assert!(frames < 50, "never sent away");
    }
    assert_eq!(frames, 11);
    assert_eq!(a.dropped("ada").get("signature"), Some(&11));
    a.stands("false signatures");
}

#[test]
fn one_page_of_faults_costs_no_more_checks_than_are_forgiven() {
    let mut a = Attack::by_member(129);
    let insider = a.insider();
    let chat = insider.document(&Concern::Chat);
    let envelopes = (0..500u64)
        .map(|number| {
            let mut bytes = insider.log(Concern::Chat, number).write(b"x").bytes().to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        })
        .collect();
    a.send("ada", "page", &Frame::Envelopes { entity: a.entity, document: chat, envelopes, more: true });
    a.c.run_for(5);
    assert_eq!(a.dropped("ada").get("signature"), Some(&11));
    assert!(!a.c.are_connected("mal", "ada"));
}

#[test]
fn gossip_that_no_honest_node_passes_on_is_a_fault_of_who_does() {
    let mut a = Attack::by_member(130);
    let topic = a.c.topics("ada")[0];
    for _ in 0..11 {
        a.c.inject_gossip("mal", "ada", topic, vec![1; 300]);
        a.c.run_for(1);
    }
    assert!(!a.c.are_connected("mal", "ada"));
    a.stands("false gossip");
}

#[test]
fn hundreds_of_statements_one_at_a_time_are_taken_and_harm_nobody() {
    let mut a = Attack::by_member(131);
    let mut insider = a.insider();
    let device = a.device.clone();
    let before = a.statements.len();
    let mut made = Vec::new();
    for number in 0..600u64 {
        let removal = StatementId([number as u8; 32]);
        let vectors = vec![(
            LogId { document: DocumentKey([1; 32]), device: device.key(), incarnation: Incarnation(number) },
            LogHead { sequence: 1, hash: EnvelopeHash([1; 32]) },
        )];
        made.push(insider.state(Body::Held { removal, vectors }).1);
    }
    let began = std::time::Instant::now();
    for statement in &made {
        let frame = Frame::Statements { entity: a.entity, statements: vec![statement.clone()] };
        a.send("ada", "statement", &frame);
    }
    a.c.run_for(1000);
    println!("600 statements, one at a time: {:?}", began.elapsed());
    assert_eq!(a.c.remembered("ada").statements.iter().filter(|s| s.0 == a.entity).count(), before + 600);
    a.stands("many statements");
}

/// Statements of the attacker beside each other, none knowing of the next, in chains of this depth.
fn spread_out(a: &mut Attack, chains: u64, depth: u64) -> Vec<Vec<u8>> {
    let mut made = Vec::new();
    for chain in 0..chains {
        let mut insider = a.insider();
        for step in 0..depth {
            let removal = StatementId([(chain * depth + step) as u8; 32]);
            let body = Body::Held { removal, vectors: Vec::new() };
            made.push(insider.state(body).1);
        }
    }
    made
}

#[test]
fn more_open_heads_than_can_be_named_make_no_honest_write_void() {
    for depth in [1, 3] {
        let mut a = Attack::by_member(140 + depth);
        for (round, statement) in spread_out(&mut a, 40, depth).into_iter().enumerate() {
            let frame = Frame::Statements { entity: a.entity, statements: vec![statement] };
            for name in HONEST {
                a.send(name, "head", &frame);
            }
            if round % 10 == 0 {
                a.c.settle();
                a.stands(&format!("{round} heads"));
            }
        }
        a.c.settle();
        a.stands("many heads");
        for name in HONEST {
            a.c.crash(name);
            a.c.restart(name);
        }
        a.c.connect_all();
        a.c.settle();
        a.stands("a restart after many heads");
        assert_eq!(a.dropped("ada").get("content without the right to it"), None);
    }
}

#[test]
fn statements_without_right_have_no_document_read_anew() {
    let mut a = Attack::by_member(143);
    let insider = a.insider();
    let ada = insider.roster.person_of(&a.c.device("ada").unwrap()).unwrap();
    let statement = insider.sign(Body::Remove { person: ada, vectors: Vec::new() }).bytes().to_vec();
    a.send("ada", "removal", &Frame::Statements { entity: a.entity, statements: vec![statement] });
    a.c.run_for(100);
    assert_eq!(a.c.take_cost("ada").loads, 0);
    a.stands("a removal without right");
}

#[test]
fn a_group_whose_roster_is_larger_than_one_answer_can_be_joined() {
    let mut a = Attack::by_member(144);
    let device = a.device.clone();
    let mut insider = a.insider();
    for number in 0..60u64 {
        let log =
            |n| LogId { document: DocumentKey([1; 32]), device: device.key(), incarnation: Incarnation(n) };
        let vectors =
            (0..500).map(|n| (log(n), LogHead { sequence: 1, hash: EnvelopeHash([1; 32]) })).collect();
        let removal = StatementId([number as u8; 32]);
        let statements = vec![insider.state(Body::Held { removal, vectors }).1];
        a.send("ada", "large statement", &Frame::Statements { entity: a.entity, statements });
    }
    a.c.settle();
    let stored = a.c.remembered("ada").statements.into_iter().filter(|s| s.0 == a.entity);
    assert!(stored.map(|s| s.2.len()).sum::<usize>() > 2 * 1024 * 1024);
    a.c.add("eve");
    let code = a.c.invite("ada", a.group, Role::Member, 1);
    a.c.join("eve", a.group, &code);
    a.c.settle();
    assert_eq!(a.c.read_chat("eve", a.group).len(), 6);
}
