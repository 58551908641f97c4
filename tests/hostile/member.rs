//! A member that means harm: it has the group's keys, and signs and seals whatever it likes.

use fourword_protocol::epoch::EpochKey;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{Digest, DocumentKey, EnvelopeHash, PersonId, StatementId};
use fourword_protocol::limits::{CONTENT_BYTES_MAX, FRAME_LOGS_MAX};
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::roster::{Body, Role, Seal};
use fourword_protocol::schema::Concern;
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::{DocumentState, Frame, State, Vector};
use fourword_tests::insider::{Insider, Log, frame, in_the_name_of};

use rand::Rng;

use crate::attack::{Attack, HONEST, some_log};

/// One attack of any kind, sent to one node or to both, as a page or by gossip.
fn attack(a: &mut Attack, number: u64) -> &'static str {
    let insider = a.insider();
    let chat = insider.document(&Concern::Chat);
    match a.draw(3) {
        0 => control(a, &insider, chat),
        1 => statements(a, &insider),
        _ => envelopes(a, &insider, number),
    }
}

fn deliver(a: &mut Attack, kind: &'static str, frame: &Frame) -> &'static str {
    let names: &[&str] = match a.draw(3) {
        0 => &HONEST[..1],
        1 => &HONEST[1..],
        _ => &HONEST,
    };
    for name in names {
        a.send(name, kind, frame);
    }
    if let (Frame::Envelopes { envelopes, .. }, 0) = (frame, a.draw(2)) {
        for topic in a.c.topics("ada") {
            for envelope in envelopes.iter().take(3) {
                a.c.inject_gossip("mal", "ada", topic, envelope.clone());
            }
        }
    }
    kind
}

/// Frames about how things stand.
fn control(a: &mut Attack, insider: &Insider, chat: DocumentKey) -> &'static str {
    let entity = a.entity;
    let ada = a.c.device("ada").unwrap();
    let own = a.heads.keys().find(|log| log.document == chat && log.device == ada).copied().unwrap();
    match a.draw(7) {
        0 => {
            let logs = (0..FRAME_LOGS_MAX as u64).map(|n| some_log(ada, n, u64::MAX)).collect();
            deliver(
                a,
                "endless vector",
                &Frame::Vector(Vector { entity, document: chat, page: 0, logs, last: true }),
            )
        }
        1 => {
            let logs = vec![some_log(ada, own.incarnation.0, 1 << 40)];
            deliver(
                a,
                "vector ahead of our log",
                &Frame::Vector(Vector { entity, document: chat, page: 0, logs, last: true }),
            )
        }
        2 => {
            for _ in 0..20 {
                let ids = (0..4000).map(|_| StatementId(a.name())).collect();
                deliver(a, "endless list", &Frame::Have { entity, ids, last: false });
            }
            "endless list"
        }
        3 => {
            for _ in 0..50 {
                deliver(a, "empty list", &Frame::Have { entity, ids: Vec::new(), last: true });
            }
            "empty list"
        }
        4 => {
            let mut documents: Vec<DocumentState> = (0..500)
                .map(|_| DocumentState { document: chat, vector: Digest(a.name()), content: None })
                .collect();
            documents.truncate(1 + a.draw(500) as usize);
            let state = State { entity, roster: Digest(a.name()), documents };
            let number = a.draw(u64::MAX);
            deliver(a, "false state", &Frame::State { number, state })
        }
        5 => {
            for _ in 0..50 {
                deliver(a, "next without a stream", &Frame::Next { entity, document: chat });
            }
            "next without a stream"
        }
        _ => {
            let document = insider.document(&Concern::Canvas);
            let document = if a.draw(2) == 0 { DocumentKey(a.name()) } else { document };
            let envelopes = a.envelopes.clone();
            deliver(a, "page of no document", &Frame::Envelopes { entity, document, envelopes, more: true })
        }
    }
}

/// Statements without right, without sense or without a signature.
fn statements(a: &mut Attack, insider: &Insider) -> &'static str {
    let entity = a.entity;
    let ada = insider.roster.person_of(&a.c.device("ada").unwrap()).unwrap();
    let counter = insider.roster.next_counter();
    let (kind, body) = match a.draw(8) {
        0 => ("removal without right", Body::Remove { person: ada, vectors: Vec::new() }),
        1 => {
            let (person, role) = (insider.person, Role::Owner);
            ("promotion of itself", Body::SetRole { person, role, vectors: Vec::new() })
        }
        2 => {
            let secret = a.noise(16).try_into().unwrap();
            let key = InviteCode { entity, secret, addresses: Vec::new() }.key();
            let expires = WallTime(u64::MAX >> 12);
            ("invite without right", Body::OpenInvite { key, role: Role::Owner, expires, uses: 9 })
        }
        3 => {
            let commitment = EpochKey::generate(&mut a.random).commitment();
            ("epoch sealed to nobody", Body::Epoch { counter, commitment, seals: Vec::new() })
        }
        4 => {
            let commitment = EpochKey::generate(&mut a.random).commitment();
            let mut seals: Vec<Seal> =
                HONEST.map(|name| Seal { device: a.c.device(name).unwrap(), sealed: vec![7; 112] }).into();
            seals.sort_by_key(|seal| seal.device);
            ("epoch with false seals", Body::Epoch { counter, commitment, seals })
        }
        5 => {
            let stranger = DeviceSecret::generate(&mut a.random);
            let certificate = a.certificate(&stranger);
            ("somebody let in without right", Body::Add { certificate, role: Role::Owner })
        }
        6 => {
            let mut bytes = a.one_of(&a.statements.clone());
            let at = a.draw(bytes.len() as u64) as usize;
            bytes[at] ^= 1;
            let statements = vec![bytes];
            return deliver(a, "altered statement", &Frame::Statements { entity, statements });
        }
        _ => {
            let length = a.draw(500) as usize;
            let statements = vec![a.noise(length)];
            return deliver(a, "noise for a statement", &Frame::Statements { entity, statements });
        }
    };
    let statements = vec![insider.sign(body).bytes().to_vec()];
    deliver(a, kind, &Frame::Statements { entity, statements })
}

/// Envelopes that no honest device makes: wrong in their header, their content or as bytes.
fn envelopes(a: &mut Attack, insider: &Insider, number: u64) -> &'static str {
    let log = insider.log(Concern::Chat, number);
    match a.draw(3) {
        0 => misplaced(a, insider, log),
        1 => misfilled(a, insider, log),
        _ => misdirected(a, insider, log),
    }
}

/// The update of a message in somebody's name.
fn message(log: &mut Log, person: PersonId) -> Vec<u8> {
    let message = log.message(person, "hostile");
    log.update(&message)
}

/// Headers that name what is not there.
fn misplaced(a: &mut Attack, insider: &Insider, mut log: Log) -> &'static str {
    let good = message(&mut log, insider.person);
    let mut header = log.header();
    let kind = match a.draw(4) {
        0 => {
            header.sequence = 2 + a.draw(u64::MAX - 2);
            header.previous = EnvelopeHash([5; 32]);
            "position far ahead"
        }
        1 => {
            header.epoch = StatementId(a.name());
            "unknown epoch"
        }
        2 => {
            header.heads = vec![StatementId(a.name())];
            "unknown heads"
        }
        _ => {
            header.log.document = DocumentKey(a.name());
            "document that is none"
        }
    };
    deliver(a, kind, &frame(a.entity, &[insider.seal(header, &good)]))
}

/// Content that nobody may write.
fn misfilled(a: &mut Attack, insider: &Insider, mut log: Log) -> &'static str {
    let ada = insider.roster.person_of(&a.c.device("ada").unwrap()).unwrap();
    let mut by = insider.clone();
    let (kind, content) = match a.draw(6) {
        0 => ("message in another's name", message(&mut log, ada)),
        1 => {
            let mut other = insider.log(Concern::Chat, a.draw(u64::MAX));
            ("client of another log", message(&mut other, insider.person))
        }
        2 => {
            let mut update = message(&mut log, insider.person);
            update.pop();
            update.extend([1, 7, 1, 0, 1]);
            ("update that deletes", update)
        }
        3 => {
            let length = a.draw(3000) as usize;
            ("garbage content", a.noise(length))
        }
        4 => {
            // It packs to about a fifth, so that it fits an envelope.
            let mut bomb = vec![0; CONTENT_BYTES_MAX];
            bomb.chunks_mut(100)
                .filter_map(|chunk| chunk.get_mut(..16))
                .for_each(|part| a.random.fill_bytes(part));
            ("bomb", bomb)
        }
        _ => {
            by.keys.insert(insider.epoch, EpochKey::generate(&mut a.random));
            ("seal that does not open", message(&mut log, insider.person))
        }
    };
    deliver(a, kind, &frame(a.entity, &[by.seal(log.header(), &content)]))
}

/// Envelopes at a position that is taken, in a log of somebody else, or altered on the way.
fn misdirected(a: &mut Attack, insider: &Insider, mut log: Log) -> &'static str {
    let (entity, document) = (a.entity, log.id.document);
    match a.draw(3) {
        0 => {
            let fork = [b"one", b"two"].map(|content| insider.seal(log.header(), content));
            for name in HONEST {
                a.send(name, "fork", &frame(entity, &fork));
            }
            "fork"
        }
        1 => {
            let envelope = log.say("hostile");
            let envelopes = vec![in_the_name_of(&a.c.device("ada").unwrap(), &envelope)];
            let frame = Frame::Envelopes { entity, document, envelopes, more: false };
            deliver(a, "another's log", &frame)
        }
        _ => {
            let mut bytes = a.one_of(&a.envelopes.clone());
            let at = a.draw(bytes.len() as u64) as usize;
            bytes[at] ^= 1;
            let (document, envelopes) = (DocumentKey(a.name()), vec![bytes]);
            let frame = Frame::Envelopes { entity, document, envelopes, more: true };
            deliver(a, "altered envelope", &frame)
        }
    }
}

#[test]
fn whatever_a_member_sends_the_others_write_read_and_agree() {
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    let mut reasons = std::collections::BTreeMap::<String, u64>::new();
    let mut disconnects = 0;
    for seed in 100..110 {
        let mut a = Attack::by_member(seed);
        for number in 0..150 {
            let kind = attack(&mut a, number);
            if number % 15 == 0 {
                a.c.settle();
                a.stands(&format!("seed {seed}, {kind}"));
            } else {
                let ms = a.draw(400);
                a.c.run_for(ms);
            }
        }
        a.c.run_for(200_000);
        a.stands(&format!("seed {seed}"));
        for (kind, count) in &a.sent {
            *kinds.entry(kind).or_insert(0) += count;
        }
        for name in HONEST {
            for (reason, count) in a.dropped(name) {
                *reasons.entry(reason).or_insert(0) += count;
            }
        }
        disconnects += a.disconnects;
    }
    println!("sent by members: {kinds:#?}\ndropped and counted: {reasons:#?}\nsent away {disconnects} times");
    assert!(kinds.len() > 20 && disconnects > 5, "an attack that is not noticed shows nothing");
}
