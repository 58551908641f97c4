//! What the read model finds of cards, issues, canvases and comments that it was fed.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use fourword_protocol::command::{Changes, DocumentCopy, PersonView, Place, PlaceView, Row, StandView};
use fourword_protocol::ids::{Digest, EntityId, PersonId};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::key;
use fourword_protocol::schema::thing::{ThingId, ThingKind};
use fourword_protocol::schema::things::Said;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::{
    Document, Found, Hit, Known, Missing, ReadModel, Search, ShownThing, Subject,
};

const TEAM: EntityId = EntityId([7; 32]);
const SITE: EntityId = EntityId([8; 32]);
const BOARD: Document = (TEAM, Concern::Kanban, 1);
const ISSUES: Document = (TEAM, Concern::Issues, 1);
const CANVAS: Document = (TEAM, Concern::Canvas, 1);

fn person(n: u8) -> PersonView {
    PersonView { person: PersonId([n; 32]), words: None, name: format!("Person {n}") }
}

/// Names differ in the digits that people type.
fn id(n: u64) -> ThingId {
    ThingId { owner: key::owner(&person(1).person), random: (n << 40 | n).to_be_bytes() }
}

fn number(id: ThingId) -> u64 {
    u64::from_be_bytes(id.random) & 0xff
}

fn thing(kind: ThingKind, n: u64, title: &str, text: &str) -> Said {
    Said {
        id: id(n),
        kind,
        about: None,
        title: title.into(),
        text: text.into(),
        time: WallTime(1_000_000 + n),
        closed: false,
        assigned: Vec::new(),
    }
}

fn comment(n: u64, about: u64, text: &str) -> Said {
    Said { about: Some(id(about)), ..thing(ThingKind::Comment, n, "", text) }
}

fn copy(changes: Changes, digest: Option<u8>) -> DocumentCopy {
    let people = Some((Digest([1; 32]), vec![person(1), person(2)]));
    let digest = digest.map(|digest| Digest([digest; 32]));
    DocumentCopy { segments: 1, revision: None, digest, changes, people }
}

fn feed(model: &mut ReadModel, document: Document, changed: Vec<Said>, gone: Vec<ThingId>) {
    let changed = changed.into_iter().map(Row::Thing).collect();
    let changes = Changes::Some { changed, gone, more: false };
    model.take(document, Known::default(), &copy(changes, Some(1))).unwrap();
}

fn page(rows: Vec<Said>, next: Option<Place>) -> DocumentCopy {
    let rows = rows.into_iter().map(Row::Thing).collect();
    copy(Changes::Whole { reading: 1, rows, next }, None)
}

fn hits(model: &ReadModel, search: &Search) -> Vec<Hit> {
    model.search(search, &[TEAM, SITE], None, 50).unwrap().unwrap()
}

fn shown(hit: &Hit) -> &ShownThing {
    let Found::Thing(thing) = &hit.found else { panic!("{hit:?} is a message") };
    thing
}

fn found(model: &ReadModel, text: &str) -> Vec<u64> {
    let hits = hits(model, &Search::new(text).unwrap());
    hits.iter().map(|hit| number(shown(hit).id)).collect()
}

fn marked(hit: &Hit) -> String {
    hit.snippet.iter().map(|p| if p.is_hit { format!("*{}*", p.text) } else { p.text.clone() }).collect()
}

#[test]
fn things_are_found_by_all_they_say_and_by_their_ids() {
    let mut model = ReadModel::in_memory().unwrap();
    let card = thing(ThingKind::Card, 1, "Paint the fence", "two coats\nbuy brushes\ngarden");
    let issue = thing(ThingKind::Issue, 2, "The roof leaks", "into the kitchen");
    feed(&mut model, BOARD, vec![card.clone(), thing(ThingKind::Column, 3, "Garden work", "")], vec![]);
    feed(&mut model, ISSUES, vec![issue.clone(), comment(4, 2, "the plumber comes")], vec![]);
    feed(&mut model, CANVAS, vec![thing(ThingKind::Element, 5, "", "Plan of the house")], vec![]);
    for (text, who) in [
        ("fence", vec![1]),
        ("COATS brush", vec![1]),
        ("\"buy brushes\"", vec![1]),
        ("garden", vec![3, 1]),
        ("kitchen roof", vec![2]),
        ("plumber", vec![4]),
        ("plan", vec![5]),
        ("kanban", vec![]),
        ("issue", vec![]),
        ("c1", vec![]),
    ] {
        assert_eq!(found(&model, text), who, "{text}");
    }
    let (short, full) = (issue.id.short(), issue.id.to_string());
    let random = full.split_once('-').unwrap().1;
    for name in [&short, &short[..5], &random[..10], random, &short.to_uppercase(), &format!("{short} roof")]
    {
        assert_eq!(found(&model, name), [2], "{name}");
    }
}

#[test]
fn a_hit_says_what_it_is_and_where_and_marks_what_was_found() {
    let mut model = ReadModel::in_memory().unwrap();
    let issue = thing(ThingKind::Issue, 1, "The roof leaks", "into the kitchen");
    feed(&mut model, ISSUES, vec![Said { closed: true, ..issue }, comment(2, 1, "what a leak")], vec![]);
    let one = |text: &str| hits(&model, &Search::new(text).unwrap()).remove(0);
    assert_eq!(marked(&one("roof")), "The *roof* leaks");
    assert_eq!(marked(&one("kitchen")), "into the *kitchen*");
    assert_eq!(marked(&one("roof kitchen")), "into the *kitchen*");
    assert_eq!(marked(&one(&id(1).short())), "into the kitchen");
    let subject = Subject { id: id(1), kind: ThingKind::Issue, title: "The roof leaks".into(), closed: true };
    let hit = one("\"what a leak\"");
    assert_eq!((hit.place, marked(&hit).as_str()), (TEAM, "*what a leak*"));
    let said = ShownThing {
        id: id(2),
        kind: ThingKind::Comment,
        author: person(1),
        title: String::new(),
        time: WallTime(1_000_002),
        closed: false,
        about: Some(subject),
    };
    assert_eq!(shown(&hit), &said);
}

#[test]
fn a_search_among_kinds_finds_those_alone_page_by_page() {
    let mut model = ReadModel::in_memory().unwrap();
    let cards = (0..20).map(|n| thing(ThingKind::Card, n, "needle", "")).collect();
    feed(&mut model, BOARD, cards, vec![]);
    feed(&mut model, (SITE, Concern::Kanban, 1), vec![thing(ThingKind::Card, 50, "needle", "")], vec![]);
    feed(
        &mut model,
        ISSUES,
        vec![thing(ThingKind::Issue, 30, "needle", ""), comment(31, 30, "needle")],
        vec![],
    );
    let among = |kinds: &[ThingKind]| Search::new("needle").unwrap().among(kinds.to_vec());
    let count = |kinds: &[ThingKind]| hits(&model, &among(kinds)).len();
    assert_eq!((count(&[]), count(&[ThingKind::Card]), count(&[ThingKind::Issue])), (23, 21, 1));
    assert_eq!((count(&[ThingKind::Issue, ThingKind::Comment]), count(&[ThingKind::Message])), (2, 0));
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let page = model.search(&among(&[ThingKind::Card]), &[TEAM], before, 7).unwrap().unwrap();
        let Some(last) = page.last() else { break };
        before = Some((TEAM, last.found.id()));
        read.extend(page.iter().map(|hit| number(hit.found.id())));
    }
    assert_eq!(read, (0..20).rev().collect::<Vec<u64>>(), "the latest first, each once");
    let nowhere = Some((TEAM, id(99)));
    assert_eq!(model.search(&among(&[]), &[TEAM], nowhere, 7).unwrap(), Err(Missing(id(99))));
}

#[test]
fn what_changes_or_goes_is_found_as_it_is_now() {
    let mut model = ReadModel::in_memory().unwrap();
    let card = thing(ThingKind::Card, 1, "Paint the fence", "green");
    feed(&mut model, BOARD, vec![card.clone(), thing(ThingKind::Card, 2, "Saw", "")], vec![]);
    let changed = Said { text: "red".into(), closed: true, ..card.clone() };
    feed(&mut model, BOARD, vec![changed], vec![]);
    assert_eq!((found(&model, "green"), found(&model, "red")), (vec![], vec![1]));
    assert!(shown(&hits(&model, &Search::new("fence").unwrap())[0]).closed);
    feed(&mut model, BOARD, vec![card], vec![id(2)]);
    assert_eq!((found(&model, "green"), found(&model, "saw")), (vec![1], vec![]));
    assert_eq!(model.held().unwrap().things, 1);
}

#[test]
fn a_comment_is_found_while_what_it_is_about_is_whichever_came_first() {
    let mut model = ReadModel::in_memory().unwrap();
    feed(&mut model, ISSUES, vec![comment(2, 1, "needle")], vec![]);
    assert_eq!(found(&model, "needle"), [0; 0], "nobody sees it");
    let issue = || thing(ThingKind::Issue, 1, "roof", "");
    // The same name elsewhere is another thing.
    feed(&mut model, BOARD, vec![thing(ThingKind::Card, 1, "roof", "")], vec![]);
    assert_eq!(found(&model, "needle"), [0; 0]);
    feed(&mut model, ISSUES, vec![issue()], vec![]);
    assert_eq!(found(&model, "needle"), [2]);
    feed(&mut model, ISSUES, vec![], vec![id(1)]);
    assert_eq!(found(&model, "needle"), [0; 0]);
    feed(&mut model, ISSUES, vec![issue()], vec![]);
    assert_eq!(found(&model, "needle"), [2]);
    feed(&mut model, ISSUES, vec![comment(3, 2, "needle in a needle")], vec![]);
    assert_eq!(found(&model, "needle"), [2], "nobody sees what is said about a comment");
}

#[test]
fn what_is_open_and_somebodys_to_do_is_counted() {
    let mut model = ReadModel::in_memory().unwrap();
    let (me, other) = (key::owner(&person(1).person), key::owner(&person(2).person));
    let of = |n, closed, assigned: &[key::Owner]| {
        let assigned = assigned.to_vec();
        Said { closed, assigned, ..thing(ThingKind::Issue, n, "x", "") }
    };
    let assigned = |model: &ReadModel| model.unread(TEAM, me, None, WallTime(0)).unwrap().assigned;
    let all =
        vec![of(1, false, &[me]), of(2, true, &[me]), of(3, false, &[other]), of(4, false, &[other, me])];
    feed(&mut model, ISSUES, all, vec![]);
    assert_eq!(assigned(&model), 2);
    feed(&mut model, ISSUES, vec![of(2, false, &[me]), of(4, false, &[])], vec![]);
    assert_eq!(assigned(&model), 2);
    feed(&mut model, ISSUES, vec![], vec![id(1), id(2)]);
    assert_eq!(assigned(&model), 0);
}

#[test]
fn a_whole_copy_of_one_document_leaves_the_others_as_they_are() {
    let mut model = ReadModel::in_memory().unwrap();
    feed(&mut model, ISSUES, vec![thing(ThingKind::Issue, 1, "needle", "")], vec![]);
    let cards: Vec<Said> = (10..20).map(|n| thing(ThingKind::Card, n, "needle", "")).collect();
    let known = model.take(BOARD, Known::default(), &page(cards, None)).unwrap();
    assert!(!known.has_all());
    let new: Vec<Said> = (15..25).map(|n| thing(ThingKind::Card, n, "needle", "")).collect();
    let at = Some((WallTime(0), id(19)));
    let known = model.take(BOARD, Known::default(), &page(new[..5].to_vec(), at)).unwrap();
    assert_eq!(found(&model, "needle").len(), 11, "until its end it drops nothing");
    model.take(BOARD, known, &page(new[5..].to_vec(), None)).unwrap();
    assert_eq!(found(&model, "needle"), (15..25).rev().chain([1]).collect::<Vec<u64>>());
}

#[test]
fn a_document_that_is_no_more_is_found_no_more_and_copied_again_if_it_comes_back() {
    let mut model = ReadModel::in_memory().unwrap();
    let cards = || Changes::Some {
        changed: vec![Row::Thing(thing(ThingKind::Card, 1, "needle", ""))],
        gone: vec![],
        more: false,
    };
    let known = model.take(BOARD, Known::default(), &copy(cards(), Some(1))).unwrap();
    feed(&mut model, ISSUES, vec![thing(ThingKind::Issue, 2, "needle", "")], vec![]);
    let stand = |concern| StandView { concern, segment: 1, digest: Some(Digest([1; 32])), revision: None };
    let words: FourWords = "ocean-forest-moon-star".parse().unwrap();
    let place = |documents| PlaceView {
        words,
        id: TEAM,
        name: None,
        is_member: true,
        me: [0; 16],
        documents,
        read: None,
        unaccepted: 0,
    };
    let both = vec![stand(Concern::Kanban), stand(Concern::Issues)];
    model.keep_documents(&[place(both)]).unwrap();
    assert_eq!(found(&model, "needle"), [2, 1]);
    assert!(model.has(TEAM, &stand(Concern::Kanban), &known).unwrap());
    model.keep_documents(&[place(vec![stand(Concern::Issues)])]).unwrap();
    assert_eq!(found(&model, "needle"), [2]);
    assert!(!model.has(TEAM, &stand(Concern::Kanban), &known).unwrap(), "whatever was known before");
    assert!(model.has(TEAM, &stand(Concern::Issues), &Known::default()).unwrap());
}
