//! What later software writes: kept and passed on by software that does not know it.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    At, BoardCommand, CardFilter, Change, Command, HistoryCommand, Outcome, Reply,
};
use fourword_protocol::ids::{DocumentKey, EnvelopeHash, to_base32};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::{self, Concern, Put};
use fourword_protocol::update::document::Document;
use fourword_protocol::update::parse::parse;
use fourword_protocol::update::{Shape, client_id};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, envelopes};

use crate::folding::{FOLD_AFTER, THREE, chat, cluster, folded, reach};

/// What a board holds, put together here from what travels and by no rule of what is known.
struct Mirror {
    document: Document,
    taken: BTreeSet<EnvelopeHash>,
}

impl Mirror {
    fn new() -> Mirror {
        let document = Document::new("mirror", schema::roots(&Concern::Kanban), Shape::Maps);
        Mirror { document, taken: BTreeSet::new() }
    }

    /// Takes what a node has on its disk of the board and is not here yet.
    fn catch_up(&mut self, c: &Cluster, at: &str, insider: &Insider) {
        let board = insider.document(&Concern::Kanban);
        let all = envelopes(c, at, insider.entity);
        let mut left: Vec<_> = all.iter().filter(|e| e.header.log.document == board).collect();
        left.retain(|envelope| !self.taken.contains(&envelope.head().hash));
        while !left.is_empty() {
            let before = left.len();
            left.retain(|envelope| {
                let (log, update) =
                    (envelope.header.log, envelope.open(&insider.keys[&envelope.header.epoch]));
                let (update, client) =
                    (update.unwrap(), client_id(&log.device, &log.document, log.incarnation));
                let parsed = parse(&update, &self.document.expect(client));
                let Ok(parsed) = parsed.map(|parsed| self.document.apply(&parsed).unwrap()) else {
                    return true;
                };
                drop(parsed);
                self.taken.insert(envelope.head().hash);
                false
            });
            assert!(left.len() < before, "{} wait for ever", left.len());
        }
    }
}

fn board(c: &mut Cluster, by: &str, group: FourWords, command: BoardCommand) -> Reply {
    match c.ask(by, Command::Board(group, command)) {
        Outcome::Done(reply) => reply,
        Outcome::Refused(refusal) => panic!("{by}: {refusal:?}"),
    }
}

fn card(c: &mut Cluster, by: &str, group: FourWords, column: &str, title: &str) -> ThingId {
    let (title, column) = (title.into(), column.into());
    let add = BoardCommand::AddCard { title, column, at: At::Last, changes: vec![], over: false };
    match board(c, by, group, add) {
        Reply::Thing(id) => id,
        other => panic!("{other:?}"),
    }
}

fn column(c: &mut Cluster, by: &str, group: FourWords, title: &str) {
    board(c, by, group, BoardCommand::AddColumn { title: title.into(), limit: 0, at: At::Last });
}

fn key(id: ThingId) -> String {
    format!("{}|{}", to_base32(&id.owner), to_base32(&id.random))
}

/// What later software writes about a card: a field that is not known here, a word that is none, a
/// record of a later version with something behind what is known of it.
fn written_later(card: ThingId) -> Vec<Put> {
    let put =
        |field: &str, value: Vec<u8>| Put { root: "fields", key: format!("{}|{field}", key(card)), value };
    vec![
        put("estimate|x1", vec![1, 9, 200, 7]),
        put("priority", [&[1, 9, 7][..], b"someday"].concat()),
        put("description", vec![2, 9, 1, b'x', 42]),
    ]
}

/// These nodes hold what the mirror holds, and the mirror holds what was written.
fn assert_kept(
    c: &mut Cluster,
    at: &[&str],
    group: FourWords,
    mirror: &Mirror,
    kept: &[Put],
    board_key: DocumentKey,
) {
    for put in kept {
        assert_eq!(mirror.document.get(put.root, &put.key).map(|value| &value[..]), Some(&put.value[..]));
    }
    for name in at {
        board(c, name, group, BoardCommand::Show(CardFilter::default()));
        let content = chat(c, name, board_key).content();
        assert_eq!(content, Some(mirror.document.content_digest()), "{name}");
    }
}

#[test]
fn what_later_software_writes_to_a_card_is_passed_on_folded_and_given_to_newcomers_as_it_is() {
    let mut c = cluster(95);
    let group = c.group_of(&THREE);
    for title in ["todo", "done"] {
        column(&mut c, "ada", group, title);
    }
    let paint = card(&mut c, "ada", group, "todo", "paint");
    c.settle();
    let eve = Insider::take_over(&mut c, "eve");
    let key = eve.document(&Concern::Kanban);
    let mut mirror = Mirror::new();
    mirror.catch_up(&c, "ada", &eve);
    let before = mirror.document.content_digest();
    // Ben hears of it from ada alone.
    c.disconnect("ben", "eve");
    let written = written_later(paint);
    let mut log = eve.log(Concern::Kanban, 7);
    written.iter().for_each(|put| drop(log.put(put.clone())));
    assert!(c.inject("eve", "ada", log.page()));
    c.run_for(60_000);
    mirror.catch_up(&c, "ben", &eve);
    assert_ne!(mirror.document.content_digest(), before);
    assert_kept(&mut c, &["ada", "ben"], group, &mirror, &written, key);
    c.crash("ben");
    c.restart("ben");
    c.connect("ada", "ben");
    assert_kept(&mut c, &["ada", "ben"], group, &mirror, &written, key);
    // This software edits the card, and everything is folded without eve, who is away.
    let title = Change::Field("title".into(), Value::Text("paint it red".into()));
    board(
        &mut c,
        "ben",
        group,
        BoardCommand::SetCard(paint.short(), vec![title, Change::Label("wet".into(), true)]),
    );
    let moved =
        BoardCommand::MoveCard { card: paint.short(), column: "done".into(), at: At::Last, over: false };
    board(&mut c, "ada", group, moved);
    for n in 0..20 {
        card(&mut c, ["ada", "ben"][n % 2], group, "todo", &format!("card {n}"));
        c.run_for(500);
    }
    mirror.catch_up(&c, "ben", &eve);
    c.isolate("eve");
    c.let_days_pass(31);
    c.run_for(240_000);
    for name in ["ada", "ben"] {
        assert!(reach(&folded(&c, name, key)) > FOLD_AFTER, "{name} has folded the board");
    }
    assert_kept(&mut c, &["ada", "ben"], group, &mirror, &written, key);
    // A newcomer is given the snapshot, and edits the card too.
    c.add("dia");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.connect("dia", "ben");
    c.run_for(60_000);
    assert!(reach(&folded(&c, "dia", key)) > FOLD_AFTER, "dia was given the snapshot");
    assert_kept(&mut c, &["ada", "ben", "dia"], group, &mirror, &written, key);
    let due = Change::Field("due".into(), Value::Text("2026-11-30".into()));
    board(&mut c, "dia", group, BoardCommand::SetCard(paint.short(), vec![due]));
    c.run_for(60_000);
    mirror.catch_up(&c, "ada", &eve);
    for name in ["ada", "ben", "dia"] {
        c.crash(name);
        c.restart(name);
    }
    assert_kept(&mut c, &["ada", "ben", "dia"], group, &mirror, &written, key);
}

#[test]
fn what_later_software_put_behind_a_value_comes_back_with_it_and_goes_with_another() {
    let mut c = cluster(96);
    let group = c.group_of(&THREE);
    column(&mut c, "ada", group, "todo");
    let paint = card(&mut c, "ada", group, "todo", "paint");
    c.settle();
    let eve = Insider::take_over(&mut c, "eve");
    let (mut mirror, mut log) = (Mirror::new(), eve.log(Concern::Kanban, 7));
    let written = written_later(paint).pop().unwrap();
    drop(log.put(written.clone()));
    assert!(c.inject("eve", "ada", log.page()));
    c.settle();
    let history = |command| Command::History(group, Concern::Kanban, command);
    let list = HistoryCommand::List { of: None, before: None, limit: 1 };
    let Reply::Versions(page) = c.must("ada", history(list)) else { panic!("versions") };
    let version = page.versions[0].id.to_string();
    let mut held = |c: &Cluster| {
        mirror.catch_up(c, "ada", &eve);
        mirror.document.get(written.root, &written.key).unwrap().to_vec()
    };
    assert_eq!(held(&c), written.value);
    let is_whole = |record: Vec<u8>| record[0] == 2 && record.ends_with(&[1, b'x', 42]);
    let text = Change::Field("description".into(), Value::Text("y".into()));
    board(&mut c, "ada", group, BoardCommand::SetCard(paint.short(), vec![text]));
    let is_plain = |record: Vec<u8>| record[0] == 1 && record.ends_with(&[1, b'y']);
    assert!(is_plain(held(&c)), "another value has nothing behind it");
    for _ in 0..2 {
        c.must("ada", Command::Undo(group, Concern::Kanban));
        assert!(is_whole(held(&c)), "undone");
        c.must("ada", Command::Redo(group, Concern::Kanban));
        assert!(is_plain(held(&c)), "done again");
    }
    c.settle();
    let restore = HistoryCommand::Restore { version, of: Some(paint.to_string()) };
    c.must("ben", history(restore.clone()));
    c.settle();
    assert!(is_whole(held(&c)), "brought back");
    let Reply::Reverted(again) = c.must("ben", history(restore)) else { panic!("nothing to restore") };
    assert!(again.things.is_empty(), "it is so already");
}
