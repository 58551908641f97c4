//! A home that gives back something else than was written.

use fourword_protocol::command::{Command, CommandId, Notice, Outcome, RefusalCode};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::record::{LoadId, LocalKey, Page, Query};
use fourword_protocol::replicator::{Replicator, Settings};
use fourword_protocol::time::Now;
use fourword_protocol::words::Naming;
use fourword_tests::cluster::Cluster;
use fourword_tests::puppet::Remembered;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

fn home() -> Remembered {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "kept");
    c.settle();
    c.remembered("ada")
}

fn page(home: &Remembered) -> Page {
    let Remembered { locals, statements, heads } = home.clone();
    Page::Opening { locals, statements, heads, snapshots: Vec::new() }
}

/// A machine that was started and asked for its home.
fn started() -> (Replicator, LoadId) {
    let mut machine = Replicator::new(Settings::new([9; 32], Naming::Test));
    let effects = machine.handle(Now::default(), Event::Started { clean: true });
    let Some(Effect::Load(load, Query::Opening)) = effects.into_iter().next() else { panic!("a load") };
    (machine, load)
}

/// What a machine does that is given this home.
fn open(page: Page) -> (Replicator, Vec<Effect>) {
    let (mut machine, load) = started();
    let effects = machine.handle(Now::default(), Event::Loaded(load, Ok(page)));
    (machine, effects)
}

fn serves(effects: &[Effect]) -> bool {
    effects.iter().any(|e| matches!(e, Effect::Listen(_)))
}

fn mints(effects: &[Effect]) -> bool {
    effects.iter().any(|e| matches!(e, Effect::Stretch(..) | Effect::Write(_)))
}

#[test]
fn a_damaged_or_missing_identity_is_never_replaced_by_a_new_one() {
    let home = home();
    assert!(serves(&open(page(&home)).1), "the whole home opens");
    let at = home.locals.iter().position(|(key, _)| key.kind == "identity").unwrap();
    let bytes = home.locals[at].1.clone();
    let mut damaged = vec![Vec::new(), bytes[1..].to_vec(), bytes[..bytes.len() - 1].to_vec(), vec![7; 400]];
    for byte in [0, 1, 40, 70, 120, 290] {
        let mut altered = bytes.clone();
        altered[byte] ^= 1;
        damaged.push(altered);
    }
    let mut homes: Vec<Remembered> = damaged
        .into_iter()
        .map(|value| {
            let mut home = home.clone();
            home.locals[at].1 = value;
            home
        })
        .collect();
    let mut missing = home.clone();
    missing.locals.remove(at);
    homes.push(missing);
    for (number, home) in homes.iter().enumerate() {
        let (mut machine, effects) = open(page(home));
        assert!(!serves(&effects) && !mints(&effects), "home {number}: {effects:?}");
        let said = effects.iter().any(|e| matches!(e, Effect::Notify(Notice::ReadOnly(_))));
        assert!(said, "home {number}: nobody was told");
        let asked = machine.handle(Now::default(), Event::Asked(CommandId(1), Command::Status));
        let [Effect::Answer(_, Outcome::Refused(refusal))] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(refusal.code, RefusalCode::Storage, "{}", refusal.message);
    }
}

#[test]
fn only_an_empty_home_gets_a_new_identity() {
    let empty = Page::Opening {
        locals: Vec::new(),
        statements: Vec::new(),
        heads: Vec::new(),
        snapshots: Vec::new(),
    };
    assert!(mints(&open(empty).1));
    let name = (LocalKey { kind: "name".into(), of: vec![1; 32] }, vec![2; 6]);
    let rest = Page::Opening {
        locals: vec![name],
        statements: Vec::new(),
        heads: Vec::new(),
        snapshots: Vec::new(),
    };
    assert!(!mints(&open(rest).1));
}

/// Bytes as damage or malice would leave them.
fn spoiled(random: &mut ChaCha20Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match random.next_u64() % 5 {
        0 => bytes.truncate(random.next_u64() as usize % (bytes.len() + 1)),
        1 => {
            let mut noise = vec![0; random.next_u64() as usize % 600];
            random.fill_bytes(&mut noise);
            bytes = noise;
        }
        2 => bytes.extend([0; 7]),
        _ if !bytes.is_empty() => {
            let at = random.next_u64() as usize % bytes.len();
            bytes[at] ^= 1 << (random.next_u64() % 8);
        }
        _ => {}
    }
    bytes
}

#[test]
fn no_stored_bytes_make_a_node_panic_when_it_opens_or_reads() {
    let home = home();
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "kept");
    c.settle();
    let envelopes: Vec<Vec<u8>> =
        home.heads.iter().flat_map(|(_, log, _)| c.stored_log("ada", *log)).collect();
    assert!(envelopes.len() > 2);
    let (mut served, mut refused, mut loads) = (0, 0, 0);
    for seed in 0..400 {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut spoilt = home.clone();
        for (key, value) in &mut spoilt.locals {
            let spares_identity = key.kind == "identity" && seed % 4 != 0;
            if random.next_u64() % 3 == 0 && !spares_identity {
                *value = spoiled(&mut random, value);
            }
            if random.next_u64() % 8 == 0 {
                key.of = spoiled(&mut random, &key.of);
            }
        }
        for (_, _, bytes) in &mut spoilt.statements {
            if random.next_u64() % 4 == 0 {
                *bytes = spoiled(&mut random, bytes);
            }
        }
        for (_, log, head) in &mut spoilt.heads {
            if random.next_u64() % 4 == 0 {
                head.sequence = random.next_u64();
                log.incarnation.0 ^= random.next_u64() % 2;
            }
        }
        let (mut machine, mut effects) = open(page(&spoilt));
        if !serves(&effects) {
            refused += 1;
            assert!(!mints(&effects), "seed {seed}");
            continue;
        }
        served += 1;
        effects.extend(machine.handle(Now::default(), Event::Asked(CommandId(1), Command::Entities)));
        // Every page it asks for is spoilt too.
        let mut answered = 0;
        while let Some(effect) = effects.pop() {
            let Effect::Load(load, _) = effect else { continue };
            answered += 1;
            loads += 1;
            let mut page: Vec<Vec<u8>> = envelopes.iter().map(|e| spoiled(&mut random, e)).collect();
            page.truncate(random.next_u64() as usize % 8);
            let next = (answered < 50).then_some(random.next_u64());
            let page = match random.next_u64() % 6 {
                0 => page_of_another_kind(),
                _ => Page::Envelopes { envelopes: page, next },
            };
            effects.extend(machine.handle(Now::default(), Event::Loaded(load, Ok(page))));
        }
    }
    println!("400 spoilt homes: {served} served, {refused} refused, {loads} spoilt pages read");
    assert!(served > 100 && refused > 20 && loads > 500);
}

fn page_of_another_kind() -> Page {
    Page::Opening { locals: Vec::new(), statements: Vec::new(), heads: Vec::new(), snapshots: Vec::new() }
}
