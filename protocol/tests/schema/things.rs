//! What every document of things does: who may write what, what is kept unread, what is refused.

use fourword_protocol::command::RefusalCode;
use fourword_protocol::ids::to_base32;
use fourword_protocol::limits::{
    FIELD_NUMBERS_MAX, PARTS_MAX, RECORD_FIELDS_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX,
};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::field::{Number, Unfit, Value};
use fourword_protocol::schema::rights::{Actor, Denied, PutRef, judge};
use fourword_protocol::schema::thing::{Lookup, ThingId};
use fourword_protocol::schema::things::{Set, Table, ThingError, ThingIndex};
use fourword_protocol::schema::{Concern, Put, canvas, issues, kanban, layout};
use fourword_protocol::time::WallTime;
use proptest::prelude::*;

use crate::maps::{Desk, actor, ada, admin, ben, pair, part, text, viewer};

const LATER: WallTime = WallTime(900);

/// Each concern of things, with one of its tables and what makes a thing of that.
fn all() -> [(Concern, &'static Table, Vec<Set>); 3] {
    let canvas = vec![text("element_type", "shape"), pair("place", 1.0, 2.0), pair("size", 3.0, 4.0)];
    let issue = vec![text("title", "leak"), text("status", "todo")];
    let column = Desk::new(Concern::Kanban).column(&ada(), 9, "todo");
    let mut desk = Desk::new(Concern::Kanban);
    desk.column(&ada(), 9, "todo");
    let placed = desk.board().pos(column, kanban::Spot::Last, None, false, 1).unwrap();
    [
        (Concern::Kanban, kanban::CARDS, vec![text("title", "paint"), placed.set]),
        (Concern::Issues, issues::ISSUES, issue),
        (Concern::Canvas, canvas::ELEMENTS, canvas),
    ]
}

fn issue(desk: &mut Desk, by: &Actor, random: u8) -> ThingId {
    desk.make(by, random, issues::ISSUES, vec![text("title", "leak"), text("status", "todo")])
}

fn key(id: ThingId) -> String {
    id.to_string().replace('-', "|")
}

fn judged(concern: Concern, root: &str, key: &str, value: &[u8], by: &Actor) -> Result<(), Denied> {
    judge(&concern, &PutRef { root, key, value: Some(value) }, by)
}

// -- rights ---------------------------------------------------------------------------------------

#[test]
fn a_viewer_writes_nothing_in_any_document_of_things() {
    let viewer = viewer();
    let denied = ThingError::Denied(Denied::ReadOnly);
    for (concern, table, sets) in all() {
        let mut desk = Desk::new(concern);
        let made = desk.things().make(&viewer, [1; 8], table, sets.clone(), LATER);
        assert_eq!(made, Err(denied.clone()), "{concern:?}");
        let as_member = actor(4, Role::Member);
        let id = desk.make(&as_member, 1, table, sets.clone());
        let field = text(if concern == Concern::Canvas { "text" } else { "description" }, "new");
        assert_eq!(desk.things().set(&viewer, id, table, vec![field], LATER), Err(denied.clone()));
        assert_eq!(desk.things().delete(&viewer, id, table, LATER), Err(denied.clone()));
        if concern != Concern::Canvas {
            let said = desk.say(&as_member, 2, (id, table), "mine");
            let things = desk.things();
            assert_eq!(things.say(&viewer, [3; 8], (id, table), "x", LATER), Err(denied.clone()));
            assert_eq!(things.edit_comment(&viewer, said, "x", LATER), Err(denied.clone()));
            assert_eq!(things.delete_comment(&viewer, said, LATER), Err(denied.clone()));
        }
    }
    let width = Value::Number(Number::new(5.0).unwrap());
    let canvas = Desk::new(Concern::Canvas);
    assert_eq!(canvas.things().set_metadata(&viewer, "width", Some(width), LATER), Err(denied));
}

#[test]
fn every_member_sets_the_fields_of_every_thing() {
    for (concern, table, sets) in all() {
        let mut desk = Desk::new(concern);
        let id = desk.make(&ada(), 1, table, sets);
        let name = if concern == Concern::Canvas { "text" } else { "description" };
        desk.set(&ben(), id, table, vec![text(name, "by ben")]);
        let thing = desk.things().thing(table.root, id).unwrap();
        assert_eq!((thing.text(name), thing.id.owner), ("by ben", ada().owner()), "{concern:?}");
        assert_eq!((thing.created, thing.updated), (WallTime(1), WallTime(500)));
    }
}

#[test]
fn anothers_thing_is_deleted_by_an_admin_alone_and_on_a_canvas_by_any_member() {
    for (concern, table, sets) in all() {
        let mut desk = Desk::new(concern);
        let id = desk.make(&ada(), 1, table, sets);
        let by_ben = desk.things().delete(&ben(), id, table, LATER);
        match concern {
            Concern::Canvas => assert!(by_ben.is_ok()),
            _ => assert_eq!(by_ben, Err(ThingError::Denied(Denied::NeedsRole(Role::Admin)))),
        }
        assert!(desk.things().delete(&ada(), id, table, LATER).is_ok(), "one's own");
        desk.delete(&admin(), id, table);
        assert_eq!(desk.things().thing(table.root, id), None);
        let borrowed = format!("{}|{}", to_base32(&ada().owner()), key(id));
        assert_eq!(judged(concern, "deleted", &borrowed, &[1, 5], &admin()), Err(Denied::NotOwner));
    }
}

#[test]
fn nobody_makes_a_thing_or_writes_a_comment_in_anothers_name() {
    let mut desk = Desk::new(Concern::Issues);
    let id = issue(&mut desk, &ada(), 1);
    let said = desk.say(&ada(), 2, (id, issues::ISSUES), "wet");
    for other in [ben(), admin(), actor(9, Role::Owner)] {
        assert_eq!(desk.things().edit_comment(&other, said, "dry", LATER), Err(ThingError::NotAuthor(said)));
        let written = desk.things().edit_comment(&ada(), said, "dry", LATER).unwrap().unwrap();
        assert_eq!(
            judged(Concern::Issues, "edits", &written.key, &written.value, &other),
            Err(Denied::NotOwner)
        );
        for (root, value) in [("comments", &desk.maps), ("issues", &desk.maps)] {
            use fourword_protocol::schema::Maps;
            let (key, value) = value.range(root, "").next().unwrap();
            assert_eq!(judged(Concern::Issues, root, key, value, &other), Err(Denied::NotOwner));
        }
    }
    assert!(desk.things().delete_comment(&admin(), said, LATER).is_ok());
    let refused = desk.things().delete_comment(&ben(), said, LATER);
    assert_eq!(refused, Err(ThingError::Denied(Denied::NeedsRole(Role::Admin))));
}

// -- what later software writes -------------------------------------------------------------------

#[test]
fn fields_and_words_of_later_software_are_taken_and_passed_on_unread() {
    let mut desk = Desk::new(Concern::Issues);
    let id = issue(&mut desk, &ada(), 1);
    let (status, estimate) = (format!("{}|status", key(id)), format!("{}|estimate|x1", key(id)));
    let blocked = [&[1, 9, 7][..], b"blocked"].concat();
    let written = [
        ("fields", status.as_str(), blocked.as_slice()),
        ("fields", estimate.as_str(), &[1, 200, 7][..]),
        // A field of a later version, with something behind what is known of it here.
        ("fields", &format!("{}|title", key(id)), &[2, 9, 1, b'x', 42][..]),
    ];
    for (root, key, value) in written {
        assert_eq!(judged(Concern::Issues, root, key, value, &ben()), Ok(()), "{key}");
        desk.set_raw(root, key, value);
    }
    let shown = desk.things().thing("issues", id).unwrap();
    assert_eq!((shown.text("status"), shown.text("title")), ("blocked", "x"));
    assert_eq!(shown.value("estimate"), None, "what is not known is not shown");
    let refused = desk.things().set(&ben(), id, issues::ISSUES, vec![text("status", "blocked")], LATER);
    assert!(matches!(refused, Err(ThingError::Unfit(_, Unfit::NoWord(..)))), "and not offered: {refused:?}");

    // A new thing with a field that is not known here: the others are read.
    let mut record = vec![1, 9, 0, 3];
    for (name, value) in [("alpha", &[7, 7][..]), ("status", b"\x04todo"), ("title", b"\x03new")] {
        record.extend([&[name.len() as u8][..], name.as_bytes(), &[0, value.len() as u8], value].concat());
    }
    let new = ThingId { owner: ben().owner(), random: [3; 8] };
    assert_eq!(judged(Concern::Issues, "issues", &key(new), &record, &ben()), Ok(()));
    desk.set_raw("issues", &key(new), &record);
    assert_eq!(desk.things().thing("issues", new).unwrap().text("title"), "new");
}

// -- what is malformed ----------------------------------------------------------------------------

#[test]
fn malformed_keys_are_refused() {
    let id = key(ThingId { owner: ada().owner(), random: [1; 8] });
    let owner = to_base32(&ada().owner());
    let keys = [
        ("cards", String::new()),
        ("cards", owner.clone()),
        ("cards", format!("{id}|x")),
        ("cards", id.to_uppercase()),
        ("fields", id.clone()),
        ("fields", format!("{id}|Title")),
        ("fields", format!("{id}|")),
        ("fields", format!("{id}|title|part")),
        ("fields", format!("{id}|labels")),
        ("fields", format!("{id}|labels|a|b")),
        ("fields", format!("{id}|labels| a")),
        ("fields", format!("{id}|assignees|ada")),
        ("fields", format!("{id}|checklist|one")),
        ("fields", format!("{id}|{}", "f".repeat(WORD_BYTES_MAX + 1))),
        ("deleted", id.clone()),
        ("comments", format!("{owner}|{id}")),
    ];
    for (root, key) in keys {
        let refused = judged(Concern::Kanban, root, &key, &[1, 5], &ada());
        assert_eq!(refused, Err(Denied::MalformedKey), "{root} {key}");
    }
    assert_eq!(judged(Concern::Kanban, "metadata", "width", &[1, 5], &ada()), Err(Denied::UnknownRoot));
    assert_eq!(judged(Concern::Canvas, "metadata", "Width", &[1, 5], &ada()), Err(Denied::MalformedKey));
    assert_eq!(judged(Concern::Canvas, "comments", &id, &[1, 5], &ada()), Err(Denied::UnknownRoot));
}

#[test]
fn malformed_records_are_refused() {
    let id = key(ThingId { owner: ada().owner(), random: [1; 8] });
    let field = |name: &str| format!("{id}|{name}");
    let day = [&[1, 5, 10][..], b"2026-02-30"].concat();
    let records: [(&str, String, &[u8]); 11] = [
        ("cards", id.clone(), &[]),
        ("cards", id.clone(), &[0, 5, 0, 0]),
        ("cards", id.clone(), &[1, 5, 0, 0, 9]),
        ("cards", id.clone(), &[1, 5, 0, 2, 1, b'b', 0, 0, 1, b'a', 0, 0]),
        ("cards", id.clone(), &[1, 5, 0, 1, 5, b't', b'i', b't', b'l', b'e', 0, 2, 9, b'x']),
        ("fields", field("title"), &[1, 5, 2, b'a', b'\n']),
        ("fields", field("archived"), &[1, 5, 2]),
        ("fields", field("due"), &day),
        ("fields", field("pos"), &[1, 5, 0]),
        ("deleted", format!("{}|{id}", to_base32(&ada().owner())), &[1]),
        // A comment about nothing.
        ("comments", id.clone(), &[1, 0, 5, 1, b'x']),
    ];
    for (root, key, value) in records {
        let refused = judged(Concern::Kanban, root, &key, value, &ada());
        assert_eq!(refused, Err(Denied::MalformedRecord), "{root} {key} {value:?}");
    }
}

// -- operations -----------------------------------------------------------------------------------

#[test]
fn a_thing_is_made_with_what_every_one_has_and_fields_of_its_own_alone() {
    let desk = Desk::new(Concern::Issues);
    let make = |sets| desk.things().make(&ada(), [1; 8], issues::ISSUES, sets, LATER).map(drop);
    let title = || text("title", "leak");
    assert_eq!(make(vec![title()]), Err(ThingError::Missing("issue", "status")));
    assert_eq!(
        make(vec![text("title", "  "), text("status", "todo")]),
        Err(ThingError::Missing("issue", "title"))
    );
    let refused = make(vec![title(), text("pos", "x")]).unwrap_err();
    assert_eq!(refused, ThingError::NoField("issue", "pos".into()));
    assert_eq!(
        (refused.to_string().as_str(), refused.code()),
        ("issues have no \"pos\"", RefusalCode::Usage)
    );
    let labels = (0..RECORD_FIELDS_MAX).map(|n| part("labels", &n.to_string(), true));
    let many: Vec<Set> = labels.chain([title()]).collect();
    assert_eq!(make(many), Err(ThingError::TooMany("issue", RECORD_FIELDS_MAX)));
    assert!(matches!(make(vec![title(), part("labels", "a|b", true)]), Err(ThingError::NoPart(..))));
}

#[test]
fn what_is_deleted_or_unknown_is_not_changed_and_never_comes_back() {
    let mut desk = Desk::new(Concern::Issues);
    let id = issue(&mut desk, &ada(), 1);
    let said = desk.say(&ben(), 2, (id, issues::ISSUES), "wet");
    desk.delete(&ada(), id, issues::ISSUES);
    let unknown = ThingId { owner: ada().owner(), random: [7; 8] };
    let things = desk.things();
    for (id, error) in
        [(id, ThingError::Deleted("issue", id)), (unknown, ThingError::Unknown("issue", unknown))]
    {
        let set = things.set(&ada(), id, issues::ISSUES, vec![text("title", "back")], LATER);
        assert_eq!(set, Err(error.clone()));
        assert_eq!(things.delete(&ada(), id, issues::ISSUES, LATER), Err(error.clone()));
        let say = things.say(&ada(), [9; 8], (id, issues::ISSUES), "x", LATER);
        assert_eq!(say.map(drop), Err(error.clone()));
        assert_eq!(error.code(), RefusalCode::NotFound);
    }
    let again =
        things.make(&ada(), [1; 8], issues::ISSUES, vec![text("title", "x"), text("status", "todo")], LATER);
    assert_eq!(again.map(drop), Err(ThingError::Taken(id)), "a deleted name is never used again");

    let put = desk.things().delete_comment(&ben(), said, LATER).unwrap();
    desk.apply(&put);
    assert_eq!(desk.things().comment(said), None);
    assert_eq!(
        desk.things().edit_comment(&ben(), said, "x", LATER),
        Err(ThingError::Deleted("comment", said))
    );
    assert_eq!(desk.things().delete_comment(&ben(), said, LATER), Err(ThingError::Deleted("comment", said)));
}

#[test]
fn what_stands_already_gives_no_write() {
    let mut desk = Desk::new(Concern::Issues);
    let id = issue(&mut desk, &ada(), 1);
    let said = desk.say(&ada(), 2, (id, issues::ISSUES), "wet");
    let same = vec![text("title", "leak"), text("status", "todo"), part("labels", "roof", true)];
    let puts = desk.things().set(&ben(), id, issues::ISSUES, same.clone(), LATER).unwrap();
    assert_eq!(puts.len(), 1, "the label is new");
    desk.apply(&puts[0]);
    assert_eq!(desk.things().set(&ben(), id, issues::ISSUES, same, LATER), Ok(Vec::new()));
    assert_eq!(desk.things().edit_comment(&ada(), said, "wet", LATER), Ok(None));
}

#[test]
fn a_field_takes_as_many_parts_and_numbers_as_the_limits_and_no_more() {
    let mut desk = Desk::new(Concern::Issues);
    let id = issue(&mut desk, &ada(), 1);
    let labels =
        |from: usize, to: usize| (from..to).map(|n| part("labels", &format!("l{n}"), true)).collect();
    desk.set(&ada(), id, issues::ISSUES, labels(0, PARTS_MAX));
    let refused = desk.things().set(&ada(), id, issues::ISSUES, labels(PARTS_MAX, PARTS_MAX + 1), LATER);
    assert_eq!(refused, Err(ThingError::TooMany("issue", PARTS_MAX)));
    assert!(desk.things().set(&ada(), id, issues::ISSUES, vec![part("labels", "l0", false)], LATER).is_ok());

    let (_, table, mut sets) = all().into_iter().last().unwrap();
    let numbers = |count| Value::Numbers(vec![Number::new(0.5).unwrap(); count]);
    sets.push(Set { field: "points".into(), part: None, value: Some(numbers(FIELD_NUMBERS_MAX)) });
    let mut desk = Desk::new(Concern::Canvas);
    let id = desk.make(&ada(), 1, table, sets);
    assert_eq!(
        desk.things().thing("elements", id).unwrap().value("points"),
        Some(&numbers(FIELD_NUMBERS_MAX))
    );
    let over = Set { field: "points".into(), part: None, value: Some(numbers(FIELD_NUMBERS_MAX + 1)) };
    let refused = desk.things().set(&ada(), id, table, vec![over], LATER);
    assert!(matches!(refused, Err(ThingError::Unfit(_, Unfit::TooMany(_)))));
}

#[test]
fn comments_are_shown_by_time_with_their_latest_text() {
    let mut desk = Desk::new(Concern::Issues);
    let (id, other) = (issue(&mut desk, &ada(), 1), issue(&mut desk, &ada(), 2));
    let about = (id, issues::ISSUES);
    let second = desk.say(&ben(), 20, about, "second");
    let first = desk.say(&ada(), 10, about, "first");
    desk.say(&ada(), 11, (other, issues::ISSUES), "elsewhere");
    let put = desk.things().edit_comment(&ben(), second, "second, edited", LATER).unwrap().unwrap();
    desk.apply(&put);
    let shown: Vec<_> = desk.things().comments(id).map(|c| (c.id, c.text, c.edited)).collect();
    assert_eq!(shown, [(first, "first".into(), None), (second, "second, edited".into(), Some(LATER))]);
    assert_eq!(desk.things().comment_count(id), 2);
    let say = |text: &str| desk.things().say(&ada(), [30; 8], about, text, LATER).map(drop);
    assert_eq!(say(" \n"), Err(ThingError::Empty));
    let over = TEXT_BYTES_MAX + 1;
    assert_eq!(say(&"x".repeat(over)), Err(ThingError::TooLong(over)));
}

#[test]
fn a_thing_is_found_by_its_full_name_or_by_enough_digits_of_its_own_table() {
    let mut desk = Desk::new(Concern::Kanban);
    let column = desk.column(&ada(), 1, "todo");
    let card = desk.card(&ada(), 2, column, "paint");
    for name in [card.to_string(), card.short(), card.short().to_uppercase()] {
        assert_eq!(desk.things().find("cards", &name), Lookup::Found(card), "{name}");
        assert_eq!(desk.things().find("columns", &name), Lookup::Missing);
    }
    assert_eq!(desk.things().find("cards", "zz"), Lookup::Missing);
    let like = desk.card(&ben(), 2, column, "same digits");
    assert_eq!(desk.things().find("cards", &card.short()), Lookup::Ambiguous(vec![card, like]));
}

#[test]
fn a_name_that_its_owner_writes_into_two_maps_is_a_thing_of_each() {
    let mut desk = Desk::new(Concern::Kanban);
    let column = desk.column(&ada(), 1, "todo");
    let card = desk.card(&ada(), 2, column, "paint");
    let mut other = Desk::new(Concern::Kanban);
    let placed = other.board().order(kanban::Spot::Last, None, 3).unwrap();
    let sets = vec![text("title", "a card that is a column"), placed.set];
    let (id, put) = other.things().make(&ada(), [2; 8], kanban::COLUMNS, sets, LATER).unwrap();
    assert_eq!(id, card);
    other.apply(&put);
    desk.apply(&put);
    let titles = |table| desk.things().all(table).map(|t| t.text("title").to_owned()).collect::<Vec<_>>();
    assert_eq!(titles("cards"), ["paint"]);
    assert_eq!(titles("columns"), ["todo", "a card that is a column"]);
    assert_eq!(desk.index, ThingIndex::scan(kanban::LAYOUT, &desk.maps));
}

#[test]
fn deletion_wins_whatever_comes_before_or_after_it() {
    let mut made = Desk::new(Concern::Issues);
    let sets = vec![text("title", "leak"), text("status", "todo")];
    let (id, new) = made.things().make(&ada(), [1; 8], issues::ISSUES, sets, LATER).unwrap();
    made.apply(&new);
    let things = made.things();
    let set = things.set(&ben(), id, issues::ISSUES, vec![text("title", "x")], LATER).unwrap().remove(0);
    let delete = things.delete(&ada(), id, issues::ISSUES, WallTime(1)).unwrap();
    let orders: [[&Put; 3]; 6] = [
        [&new, &set, &delete],
        [&new, &delete, &set],
        [&set, &new, &delete],
        [&set, &delete, &new],
        [&delete, &new, &set],
        [&delete, &set, &new],
    ];
    for order in orders {
        let mut desk = Desk::new(Concern::Issues);
        order.iter().for_each(|put| desk.apply(put));
        assert_eq!(desk.things().thing("issues", id), None);
        assert_eq!(desk.things().all("issues").count(), 0);
        desk.prune("issues", &key(id));
        assert!(desk.index.is_deleted(id));
    }
}

#[test]
fn a_field_set_to_nothing_is_as_if_it_never_was_and_what_a_thing_must_have_stays() {
    let mut desk = Desk::new(Concern::Issues);
    let sets = vec![text("title", "leak"), text("status", "todo"), text("priority", "high")];
    let id = desk.make(&ada(), 1, issues::ISSUES, sets);
    desk.set(&ada(), id, issues::ISSUES, vec![part("labels", "roof", true)]);
    for field in ["priority", "labels|roof", "title", "description"] {
        let key = format!("{}|{field}", key(id));
        assert_eq!(judged(Concern::Issues, "fields", &key, &[1, 9], &ben()), Ok(()));
        assert!(judged(Concern::Issues, "fields", &key, &[1], &ben()).is_err(), "without a time");
        desk.set_raw("fields", &key, &[1, 9]);
    }
    let issue = desk.things().thing("issues", id).unwrap();
    assert_eq!((issue.value("priority"), issue.on("labels").count()), (None, 0));
    assert_eq!((issue.text("title"), issue.text("description")), ("leak", ""));
}

#[test]
fn a_word_that_was_set_is_taken_back_unless_every_thing_has_it() {
    let mut desk = Desk::new(Concern::Issues);
    let sets = vec![text("title", "leak"), text("status", "todo"), text("priority", "")];
    let id = desk.make(&ada(), 1, issues::ISSUES, sets);
    let priority = |desk: &Desk| desk.things().thing("issues", id).unwrap().value("priority").cloned();
    assert_eq!(priority(&desk), None);
    let puts = |desk: &Desk, set| desk.things().set(&ben(), id, issues::ISSUES, vec![set], WallTime(9));
    assert_eq!(puts(&desk, text("priority", "")), Ok(vec![]), "there is nothing to take back");
    desk.set(&ada(), id, issues::ISSUES, vec![text("priority", "high")]);
    desk.set(&ben(), id, issues::ISSUES, vec![text("priority", "")]);
    assert_eq!(priority(&desk), None);
    let refused = puts(&desk, text("status", ""));
    assert!(matches!(refused, Err(ThingError::Unfit(_, Unfit::NoWord(..)))), "{refused:?}");
}

// -- the index ------------------------------------------------------------------------------------

/// What may stand under a key: a card or column, a flag, a comment, something malformed, or nothing.
fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let comment = |time: u8| [vec![1, 1, time, 1, b'x'], vec![5; 24]].concat();
    prop_oneof![
        3 => (0u8..4).prop_map(|time| Some(vec![1, time, 0, 0])),
        2 => (0u8..4).prop_map(move |time| Some(comment(time))),
        2 => (0u8..4).prop_map(|time| Some(vec![1, time])),
        2 => prop::collection::vec(0u8..4, 0..6).prop_map(Some),
        2 => Just(None),
    ]
}

proptest! {
    #[test]
    fn the_index_equals_a_scan_whatever_is_noted_in_whatever_order(
        notes in prop::collection::vec((0usize..6, 0u8..3, 1u8..3, value()), 0..60),
    ) {
        let mut desk = Desk::new(Concern::Kanban);
        let layout = layout(&Concern::Kanban).unwrap();
        for (root, random, owner, value) in notes {
            let root = layout.roots[root];
            let id = key(ThingId { owner: [owner; 16], random: [random; 8] });
            let key = match root {
                "deleted" => format!("{}|{id}", to_base32(&[1; 16])),
                "fields" => format!("{id}|archived"),
                _ => id,
            };
            match value {
                Some(value) => desk.set_raw(root, &key, &value),
                None => desk.prune(root, &key),
            }
            prop_assert_eq!(&desk.index, &ThingIndex::scan(layout, &desk.maps));
        }
    }
}
