//! A device in no group of ours: it has a connection, and has seen what travelled.

use fourword_protocol::command::{Command, JoinBy, Outcome, RefusalCode};
use fourword_protocol::ids::{DocumentKey, EntityId, StatementId};
use fourword_protocol::limits::{FRAME_BYTES_MAX, GREETING_ENTITIES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::wire::{DocumentState, Frame, Knock, Proof, State, Turned, Vector};
use fourword_tests::cluster::Cluster;

use crate::attack::{Attack, HONEST, some_log};

/// One frame of any kind, true in parts.
fn frame(a: &mut Attack) -> Frame {
    let entity = if a.draw(3) == 0 { EntityId(a.name()) } else { a.entity };
    let logs: Vec<_> = a.heads.iter().map(|(log, head)| (log.device, log.incarnation, *head)).collect();
    let documents: Vec<DocumentKey> = a.heads.keys().map(|log| log.document).collect();
    let document = if a.draw(3) == 0 { DocumentKey(a.name()) } else { a.one_of(&documents) };
    match a.draw(9) {
        0 => Frame::Hello((0..a.draw(3000)).map(|_| a.noise(16).try_into().unwrap()).collect()),
        1 => {
            let digest = fourword_protocol::ids::Digest(a.name());
            let state = DocumentState { document, vector: digest, content: None };
            let documents = vec![state; a.draw(4000) as usize];
            Frame::State { number: a.draw(u64::MAX), state: State { entity, roster: digest, documents } }
        }
        2 => {
            let ids = (0..a.draw(9000)).map(|_| StatementId(a.name())).collect();
            Frame::Have { entity, ids, last: a.draw(2) == 0 }
        }
        3 => {
            let mut statements = a.statements.clone();
            if a.draw(2) == 0 {
                let at = a.draw(statements.len() as u64) as usize;
                let byte = a.draw(statements[at].len() as u64) as usize;
                statements[at][byte] ^= 1;
            }
            Frame::Statements { entity, statements }
        }
        4 => {
            let mut logs = logs.clone();
            let device = logs[0].0;
            logs.extend((0..a.draw(4000)).map(|n| some_log(device, n, u64::MAX)));
            Frame::Vector(Vector { entity, document, page: 0, logs, last: true })
        }
        5 => {
            let mut envelopes = a.envelopes.clone();
            envelopes.push(a.noise(300));
            Frame::Envelopes { entity, document, envelopes, more: a.draw(2) == 0 }
        }
        6 => Frame::Next { entity, document },
        7 => match a.draw(3) {
            0 => a.knock(),
            _ => {
                let (certificate, signature) = (a.noise(232), a.noise(64));
                Frame::Knock(Knock {
                    entity,
                    certificate,
                    proof: Proof::Invite { invite: a.name(), signature },
                })
            }
        },
        _ => {
            let why = [Turned::NotHere, Turned::Removed, Turned::BadProof];
            Frame::Turned { entity: EntityId(a.name()), why: a.one_of(&why) }
        }
    }
}

/// Its bytes, as often as not spoiled.
fn bytes(a: &mut Attack) -> (&'static str, Vec<u8>) {
    let mut bytes = frame(a).encode();
    match a.draw(10) {
        0 => {
            let length = a.draw(bytes.len() as u64 + 1) as usize;
            bytes.truncate(length);
            ("truncated", bytes)
        }
        1 => {
            let at = a.draw(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << a.draw(8);
            ("mutated", bytes)
        }
        2 => {
            let length = a.draw(2000) as usize;
            ("noise", a.noise(length))
        }
        3 if a.draw(10) == 0 => ("oversized", vec![1; FRAME_BYTES_MAX + 1]),
        _ => ("well formed", bytes),
    }
}

#[test]
fn whatever_a_stranger_sends_changes_nothing_and_costs_little() {
    let (mut sent, mut disconnects, mut dropped) = (0, 0, 0);
    for seed in 0..12 {
        let mut a = Attack::by_stranger(seed);
        for _ in 0..200 {
            let to = a.one_of(&HONEST);
            let (kind, bytes) = bytes(&mut a);
            a.send_bytes(to, kind, bytes);
            if a.draw(4) == 0 {
                let ms = a.draw(100);
                a.c.run_for(ms);
            }
        }
        a.c.settle();
        a.stands(&format!("seed {seed}"));
        for name in HONEST {
            dropped += a.dropped(name).values().sum::<u64>();
        }
        disconnects += a.disconnects;
        sent += a.sent.values().sum::<u64>();
    }
    println!("strangers: {sent} frames sent, {dropped} dropped and counted, {disconnects} times sent away");
    assert!(disconnects > 10 && dropped > sent / 4, "an attack that is not noticed shows nothing");
}

#[test]
fn a_flood_of_knocks_is_answered_a_few_times_and_then_ends_the_connection() {
    let mut a = Attack::by_stranger(50);
    a.c.take_inbox("mal");
    for _ in 0..100 {
        let knock = a.knock();
        if a.c.are_connected("mal", "ada") {
            a.send("ada", "knock", &knock);
        }
        a.c.run_for(10);
    }
    let answers = a.c.take_inbox("mal");
    let turned = answers.iter().filter(|(_, bytes)| matches!(Frame::decode(bytes), Ok(Frame::Turned { .. })));
    let turned = turned.count();
    assert!((1..=10).contains(&turned), "{turned} answers");
    assert!(!a.c.are_connected("mal", "ada"));
    assert!(a.dropped("ada").contains_key("knocks too often"));
    a.stands("knocks");
}

#[test]
fn a_joiner_that_knocks_again_and_again_with_patience_is_not_sent_away() {
    let mut a = Attack::by_stranger(51);
    for _ in 0..40 {
        let knock = a.knock();
        a.send("ada", "knock", &knock);
        a.c.run_for(2_500);
    }
    assert_eq!(a.disconnects, 0);
    assert!(a.c.are_connected("mal", "ada"));
}

#[test]
fn refusals_that_nobody_asked_for_are_not_kept() {
    let mut a = Attack::by_stranger(52);
    for _ in 0..500 {
        let entity = EntityId(a.name());
        a.send("ada", "turned", &Frame::Turned { entity, why: Turned::NotHere });
    }
    a.c.settle();
    assert_eq!(a.c.queues("ada").turned_away, 0);
    assert_eq!(a.dropped("ada").get("turned away without a knock"), Some(&500));
}

#[test]
fn a_greeting_at_its_bound_is_heard_and_one_past_it_is_a_fault() {
    let mut a = Attack::by_stranger(56);
    for (count, faults) in [(GREETING_ENTITIES_MAX, None), (GREETING_ENTITIES_MAX + 1, Some(&1))] {
        let greeting = |a: &mut Attack| a.noise(16).try_into().unwrap();
        let greetings = (0..count).map(|_| greeting(&mut a)).collect();
        a.send("ada", "greeting", &Frame::Hello(greetings));
        a.c.run_for(10);
        assert_eq!(a.dropped("ada").get("greeting too long"), faults);
    }
    a.stands("greetings");
}

/// A group of ada's, a joiner with an invite, and a stranger whom the joiner reaches first.
fn joining(seed: u64) -> (Cluster, Command) {
    let mut c = Cluster::new(seed);
    for name in ["ada", "eve", "mal"] {
        c.add(name);
    }
    let group = c.create_group("ada", "tea");
    let code = c.invite("ada", group, Role::Member, 1);
    c.take_over("mal");
    c.connect("mal", "eve");
    c.run_for(100);
    (c, Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() })
}

fn knocked(c: &mut Cluster) -> Option<EntityId> {
    c.take_inbox("mal").iter().find_map(|(_, bytes)| match Frame::decode(bytes) {
        Ok(Frame::Knock(knock)) => Some(knock.entity),
        _ => None,
    })
}

#[test]
fn a_strangers_refusal_does_not_end_a_join_that_a_member_would_grant() {
    let (mut c, join) = joining(53);
    let id = c.begin("eve", join);
    let entity = loop {
        c.run_for(1);
        if let Some(entity) = knocked(&mut c) {
            break entity;
        }
    };
    assert!(c.inject("mal", "eve", Frame::Turned { entity, why: Turned::Removed }.encode()));
    c.run_for(60_000);
    assert!(matches!(c.answer("eve", id), Some(Outcome::Done(_))), "{:?}", c.answer("eve", id));
}

#[test]
fn a_join_that_everybody_refuses_ends_with_the_reason() {
    let (mut c, join) = joining(54);
    c.isolate("ada");
    let id = c.begin("eve", join);
    let entity = loop {
        c.run_for(1);
        if let Some(entity) = knocked(&mut c) {
            break entity;
        }
    };
    c.inject("mal", "eve", Frame::Turned { entity, why: Turned::Expired }.encode());
    c.run_for(10_000);
    let Some(Outcome::Refused(refusal)) = c.answer("eve", id) else { panic!("a refusal") };
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
}

#[test]
fn whoever_is_sent_away_is_no_longer_shown_as_connected() {
    let mut a = Attack::by_stranger(55);
    let mal = a.device.key();
    while a.c.are_connected("mal", "ada") {
        a.send_bytes("ada", "noise", vec![255; 9]);
        a.c.run_for(10);
    }
    let last = a.c.notices("ada").iter().rev().find_map(|notice| match notice {
        fourword_protocol::command::Notice::PeerChanged { device, connected } if *device == mal => {
            Some(*connected)
        }
        _ => None,
    });
    assert_eq!(last, Some(false));
    assert_eq!(a.dropped("ada").get("malformed frame"), Some(&11));
}
