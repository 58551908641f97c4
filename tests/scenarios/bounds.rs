//! What there can be at once: open link codes, joins under way, statements of one device.

use fourword_protocol::command::{Command, DeviceCommand, JoinBy, RefusalCode, Reply};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::{JOINS_MAX, LINK_CODES_MAX, STATEMENTS_PER_DEVICE_MAX as MAX};
use fourword_protocol::link::LinkCode;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::roster::{Body, Statement};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

use crate::asking::{by_words, code, joins};

fn link_code(c: &mut Cluster, by: &str) -> LinkCode {
    match c.must(by, Command::Device(DeviceCommand::Add { addresses: vec![format!("sim:{by}")] })) {
        Reply::Link(code) => code,
        other => panic!("{other:?}"),
    }
}

fn link(c: &mut Cluster, name: &str, code: &LinkCode) -> Option<RefusalCode> {
    let command = DeviceCommand::Link { code: code.clone(), peers: Vec::new() };
    self::code(&c.ask(name, Command::Device(command)))
}

#[test]
fn as_many_link_codes_are_open_as_may_and_one_more_closes_the_oldest() {
    let mut c = Cluster::new(1);
    for name in ["phone", "laptop", "tablet"] {
        c.add(name);
    }
    let codes: Vec<LinkCode> = (0..LINK_CODES_MAX).map(|_| link_code(&mut c, "phone")).collect();
    assert_eq!(link(&mut c, "laptop", &codes[0]), None, "the oldest of them");
    let newest = link_code(&mut c, "phone");
    link_code(&mut c, "phone");
    assert_eq!(link(&mut c, "tablet", &codes[1]), Some(RefusalCode::NotAllowed), "it gave way");
    assert_eq!(link(&mut c, "tablet", &newest), None);
}

/// Words of this number, and a code that says which entity has them.
fn invitation(number: usize) -> (FourWords, InviteCode) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let words = FourWords::from_bytes([0, 0, 1, 2, bytes[6], bytes[7]]);
    (words, InviteCode { entity: EntityId(bytes), secret: [1; 16], addresses: Vec::new() })
}

fn join(number: usize) -> Command {
    let (words, code) = invitation(number);
    Command::Join { words, by: JoinBy::Code(code), peers: Vec::new() }
}

#[test]
fn as_many_joins_are_under_way_as_may_and_one_more_is_refused_until_one_is_given_up() {
    let mut c = Cluster::new(2);
    c.add("ada");
    let sought = invitation(JOINS_MAX).0;
    let waiting: Vec<_> = (1..JOINS_MAX).map(|number| c.begin("ada", join(number))).collect();
    let seeking = c.begin("ada", by_words(sought, None, ""));
    c.run_for(1);
    assert_eq!(joins(&mut c, "ada").len(), JOINS_MAX);
    assert_eq!(code(&c.ask("ada", join(0))), Some(RefusalCode::TooMuch));
    assert_eq!(code(&c.ask("ada", by_words(invitation(0).0, None, ""))), Some(RefusalCode::TooMuch));
    assert!(waiting.iter().chain([&seeking]).all(|join| c.answer("ada", *join).is_none()), "all go on");
    // One of them once more takes no room: the later asker waits in place of the earlier.
    for (again, before) in [(join(1), waiting[0]), (by_words(sought, None, ""), seeking)] {
        let later = c.begin("ada", again);
        c.run_for(1);
        assert_eq!(c.answer("ada", later), None);
        assert_eq!(c.answer("ada", before).and_then(code), Some(RefusalCode::Pending));
    }
    assert_eq!(joins(&mut c, "ada").len(), JOINS_MAX);
    c.must("ada", Command::CancelJoin(sought));
    let taken = c.begin("ada", join(0));
    c.run_for(1);
    assert!(c.answer("ada", taken).is_none());
    assert_eq!(joins(&mut c, "ada").len(), JOINS_MAX);
}

/// Unknown bodies count nowhere and take room.
fn unknown(number: usize) -> Body {
    Body::Unknown { kind: 99, bytes: number.to_be_bytes().to_vec() }
}

fn apart(by: &Insider, count: usize) -> Vec<Statement> {
    let mut made: Vec<Statement> = (0..count).map(|number| by.sign(unknown(number))).collect();
    made.sort_by_key(Statement::id);
    made
}

fn give(c: &mut Cluster, by: &Insider, to: &str, statements: &[Statement]) {
    for some in statements.chunks(1000) {
        by.send_statements(c, to, some.iter().map(|statement| statement.bytes().to_vec()).collect());
        c.run_for(20);
    }
}

#[test]
fn a_statement_refused_for_want_of_room_comes_back_by_comparison_once_there_is_room() {
    let mut c = Cluster::new(3);
    c.group_of(&["ada", "dia", "ben", "cem", "eve"]);
    let [ben, cem, mut eve] = ["ben", "cem", "eve"].map(|name| Insider::take_over(&mut c, name));
    c.disconnect("ada", "dia");
    let (mut of_ben, of_cem) = (apart(&ben, MAX + 1), apart(&cem, MAX - 1));
    let (smallest, greatest) = (of_ben.remove(0), of_ben.pop().unwrap());
    let mut following = cem.clone();
    following.roster.add(greatest.clone());
    let follows = following.sign(unknown(MAX));
    let above = [0, 1].map(|number| eve.state(unknown(number)).1);
    let mut knowing = cem.clone();
    knowing.roster = eve.roster.clone();
    let deep = knowing.sign(unknown(MAX));
    for name in ["ada", "dia"] {
        eve.send_statements(&mut c, name, above.to_vec());
        give(&mut c, &cem, name, std::slice::from_ref(&deep));
    }
    give(&mut c, &ben, "ada", &[&of_ben[..], std::slice::from_ref(&greatest)].concat());
    give(&mut c, &cem, "ada", &[&of_cem[..], &[follows]].concat());
    give(&mut c, &ben, "ada", std::slice::from_ref(&smallest));
    give(&mut c, &ben, "dia", &[&[smallest], &of_ben[..]].concat());
    give(&mut c, &cem, "dia", &of_cem);
    c.settle();
    let roster = |c: &Cluster, name: &str| {
        let of_group = c.holdings(name).find(|holding| holding.entity() == ben.entity);
        of_group.map(|holding| holding.roster())
    };
    let of_dia = roster(&c, "dia");
    assert_ne!(roster(&c, "ada"), of_dia, "cem's deepest was refused at ada, and is at dia");
    c.connect("ada", "dia");
    c.settle();
    assert_eq!(roster(&c, "ada"), of_dia, "dia has all there is room for, and now ada has too");
    assert_eq!(roster(&c, "dia"), of_dia);
}
