//! A member that means harm: it has the group's keys, and signs and seals whatever it likes.

use fourword_protocol::epoch::EpochKey;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{Digest, DocumentKey, EnvelopeHash, StatementId};
use fourword_protocol::limits::{CONTENT_BYTES_MAX, FRAME_LOGS_MAX};
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::roster::{Body, Role, Seal};
use fourword_protocol::schema::Concern;
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::{DocumentState, Frame, State, Vector};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::attack::{Attack, Forger, HONEST, Secrets, page, some_log};

/// One attack of any kind, sent to one node or to both, as a page or by gossip.
fn attack(a: &mut Attack, number: u64) -> &'static str {
    let secrets = a.secrets();
    let chat = secrets.document(&Concern::Chat);
    match a.draw(3) {
        0 => control(a, &secrets, chat),
        1 => statements(a, &secrets),
        _ => envelopes(a, &secrets, number),
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
fn control(a: &mut Attack, secrets: &Secrets, chat: DocumentKey) -> &'static str {
    let entity = a.entity;
    let ada = a.c.device("ada").unwrap();
    let own = a.heads.keys().find(|log| log.document == chat && log.device == ada).copied().unwrap();
    match a.draw(7) {
        0 => {
            let logs = (0..FRAME_LOGS_MAX as u64).map(|n| some_log(ada, n, u64::MAX)).collect();
            deliver(a, "endless vector", &Frame::Vector(Vector { entity, document: chat, logs }))
        }
        1 => {
            let logs = vec![some_log(ada, own.incarnation.0, 1 << 40)];
            deliver(a, "vector ahead of our log", &Frame::Vector(Vector { entity, document: chat, logs }))
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
            deliver(a, "false state", &Frame::State(state))
        }
        5 => {
            for _ in 0..50 {
                deliver(a, "next without a stream", &Frame::Next { entity, document: chat });
            }
            "next without a stream"
        }
        _ => {
            let document = secrets.document(&Concern::Canvas);
            let document = if a.draw(2) == 0 { DocumentKey(a.name()) } else { document };
            let envelopes = a.envelopes.clone();
            deliver(a, "page of no document", &Frame::Envelopes { entity, document, envelopes, more: true })
        }
    }
}

/// Statements without right, without sense or without a signature.
fn statements(a: &mut Attack, secrets: &Secrets) -> &'static str {
    let entity = a.entity;
    let ada = secrets.roster.person_of(&a.c.device("ada").unwrap()).unwrap();
    let device = a.device.clone();
    let (kind, statement) = match a.draw(8) {
        0 => (
            "removal without right",
            secrets.sign(&device, Body::Remove { person: ada, vectors: Vec::new() }),
        ),
        1 => {
            let body = Body::SetRole { person: secrets.person, role: Role::Owner, vectors: Vec::new() };
            ("promotion of itself", secrets.sign(&device, body))
        }
        2 => {
            let key =
                InviteCode { entity, secret: a.noise(16).try_into().unwrap(), addresses: Vec::new() }.key();
            let body =
                Body::OpenInvite { key, role: Role::Owner, expires: WallTime(u64::MAX >> 12), uses: 9 };
            ("invite without right", secrets.sign(&device, body))
        }
        3 => {
            let commitment = EpochKey::generate(&mut a.random).commitment();
            let body = Body::Epoch { counter: secrets.roster.next_counter(), commitment, seals: Vec::new() };
            ("epoch sealed to nobody", secrets.sign(&device, body))
        }
        4 => {
            let commitment = EpochKey::generate(&mut a.random).commitment();
            let mut seals: Vec<Seal> =
                HONEST.map(|name| Seal { device: a.c.device(name).unwrap(), sealed: vec![7; 112] }).into();
            seals.sort_by_key(|seal| seal.device);
            let body = Body::Epoch { counter: secrets.roster.next_counter(), commitment, seals };
            ("epoch with false seals", secrets.sign(&device, body))
        }
        5 => {
            let mut bytes = a.one_of(&a.statements.clone());
            let at = a.draw(bytes.len() as u64) as usize;
            bytes[at] ^= 1;
            ("altered statement", bytes)
        }
        6 => {
            let stranger = DeviceSecret::generate(&mut a.random);
            let certificate = a.certificate(&stranger);
            (
                "somebody let in without right",
                secrets.sign(&device, Body::Add { certificate, role: Role::Owner }),
            )
        }
        _ => {
            let length = a.draw(500) as usize;
            ("noise for a statement", a.noise(length))
        }
    };
    deliver(a, kind, &Frame::Statements { entity, statements: vec![statement] })
}

/// Envelopes that no honest device makes: wrong in their header, their content or as bytes.
fn envelopes(a: &mut Attack, secrets: &Secrets, number: u64) -> &'static str {
    let mut random = ChaCha20Rng::seed_from_u64(a.draw(u64::MAX));
    let forger = Forger::new(&a.device.clone(), secrets, number);
    match a.draw(3) {
        0 => misplaced(a, secrets, forger, &mut random),
        1 => misfilled(a, secrets, forger, &mut random),
        _ => misdirected(a, secrets, forger, &mut random),
    }
}

/// Headers that name what is not there.
fn misplaced(
    a: &mut Attack,
    secrets: &Secrets,
    mut forger: Forger,
    random: &mut ChaCha20Rng,
) -> &'static str {
    let good = forger.message(secrets.person, "hostile", [1; 8]);
    let kind = match a.draw(4) {
        0 => {
            forger.header.sequence = 2 + a.draw(u64::MAX - 2);
            forger.header.previous = EnvelopeHash([5; 32]);
            "position far ahead"
        }
        1 => {
            forger.header.epoch = StatementId(a.name());
            "unknown epoch"
        }
        2 => {
            forger.header.heads = vec![StatementId(a.name())];
            "unknown heads"
        }
        _ => {
            forger.header.log.document = DocumentKey(a.name());
            "document that is none"
        }
    };
    let envelope = forger.next(&good, random);
    deliver(a, kind, &page(a.entity, forger.header.log.document, &[envelope]))
}

/// Content that nobody may write.
fn misfilled(
    a: &mut Attack,
    secrets: &Secrets,
    mut forger: Forger,
    random: &mut ChaCha20Rng,
) -> &'static str {
    let ada = secrets.roster.person_of(&a.c.device("ada").unwrap()).unwrap();
    let (kind, content) = match a.draw(6) {
        0 => ("message in another's name", forger.message(ada, "hostile", [2; 8])),
        1 => {
            let mut other = Forger::new(&a.device.clone(), secrets, a.draw(u64::MAX));
            ("client of another log", other.message(secrets.person, "hostile", [1; 8]))
        }
        2 => {
            let mut update = forger.message(secrets.person, "hostile", [1; 8]);
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
                .for_each(|part| random.fill_bytes(part));
            ("bomb", bomb)
        }
        _ => {
            forger.key = EpochKey::generate(&mut a.random);
            ("seal that does not open", forger.message(secrets.person, "hostile", [1; 8]))
        }
    };
    let envelope = forger.next(&content, random);
    deliver(a, kind, &page(a.entity, forger.header.log.document, &[envelope]))
}

/// Envelopes at a position that is taken, in a log of somebody else, or altered on the way.
fn misdirected(
    a: &mut Attack,
    secrets: &Secrets,
    mut forger: Forger,
    random: &mut ChaCha20Rng,
) -> &'static str {
    let (entity, document) = (a.entity, forger.header.log.document);
    match a.draw(3) {
        0 => {
            let fork = [forger.seal(b"one", random), forger.seal(b"two", random)];
            for name in HONEST {
                a.send(name, "fork", &page(entity, document, &fork));
            }
            "fork"
        }
        1 => {
            let of_ada = a.heads.keys().find(|log| Some(log.device) == a.c.device("ada")).copied().unwrap();
            let good = forger.message(secrets.person, "hostile", [1; 8]);
            let mut bytes = forger.next(&good, random).bytes().to_vec();
            // The header names ada's device, behind version and document; the signature does not.
            bytes[33..65].copy_from_slice(&of_ada.device.0);
            deliver(
                a,
                "another's log",
                &Frame::Envelopes { entity, document, envelopes: vec![bytes], more: false },
            )
        }
        _ => {
            let mut bytes = a.one_of(&a.envelopes.clone());
            let at = a.draw(bytes.len() as u64) as usize;
            bytes[at] ^= 1;
            let document = DocumentKey(a.name());
            deliver(
                a,
                "altered envelope",
                &Frame::Envelopes { entity, document, envelopes: vec![bytes], more: true },
            )
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
