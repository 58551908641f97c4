//! Boards: the order of columns and cards, what a column takes, and what becomes of its cards.

use fourword_protocol::command::RefusalCode;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::{Value, person_part};
use fourword_protocol::schema::filter;
use fourword_protocol::schema::kanban::{self, CARDS, COLUMNS, Filter, Spot, Unplaced};
use fourword_protocol::schema::rank::Rank;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things::Set;

use crate::maps::{Desk, ada, admin, ben, part, text};

fn limit(cards: i64) -> Set {
    Set { field: "limit".into(), part: None, value: Some(Value::Whole(cards)) }
}

/// A board with two columns and three cards in the first.
fn board() -> (Desk, [ThingId; 2], [ThingId; 3]) {
    let mut desk = Desk::new(Concern::Kanban);
    let columns = [desk.column(&ada(), 1, "todo"), desk.column(&ada(), 2, "done")];
    let cards = [10, 11, 12].map(|n| desk.card(&ada(), n, columns[0], &n.to_string()));
    (desk, columns, cards)
}

/// Puts a card somewhere, and gives how many other cards had to move.
fn put(desk: &mut Desk, card: ThingId, column: ThingId, spot: Spot, random: u64) -> usize {
    let placed = desk.board().pos(column, spot, Some(card), false, random).unwrap();
    let moved = placed.others.len();
    for (id, set) in placed.others {
        desk.set(&ben(), id, CARDS, vec![set]);
    }
    desk.set(&ben(), card, CARDS, vec![placed.set]);
    moved
}

fn titles(desk: &Desk, column: usize) -> Vec<String> {
    desk.shown()[column].1.clone()
}

#[test]
fn cards_are_put_first_last_before_and_after_others() {
    let (mut desk, [todo, done], [a, b, c]) = board();
    assert_eq!(titles(&desk, 0), ["10", "11", "12"]);
    put(&mut desk, c, todo, Spot::First, 5);
    assert_eq!(titles(&desk, 0), ["12", "10", "11"]);
    put(&mut desk, c, todo, Spot::After(a), 6);
    assert_eq!(titles(&desk, 0), ["10", "12", "11"]);
    put(&mut desk, b, todo, Spot::Before(a), 7);
    assert_eq!(titles(&desk, 0), ["11", "10", "12"]);
    put(&mut desk, a, done, Spot::Last, 8);
    assert_eq!((titles(&desk, 0), titles(&desk, 1)), (vec!["11".into(), "12".into()], vec!["10".into()]));
    let card = desk.things().thing("cards", a).unwrap();
    assert_eq!(desk.board().column_of(&card), Some(done));
    let elsewhere = desk.board().pos(todo, Spot::Before(a), None, false, 1);
    assert_eq!(elsewhere, Err(Unplaced::Unknown("card", a)), "it stands in another column");
    let nowhere = desk.board().pos(a, Spot::Last, None, false, 1);
    assert_eq!(nowhere, Err(Unplaced::Unknown("column", a)));
}

#[test]
fn columns_are_put_in_order() {
    let (mut desk, [todo, done], _) = board();
    let doing = desk.column(&ben(), 3, "doing");
    let placed = desk.board().order(Spot::Before(done), Some(doing), 9).unwrap();
    assert!(placed.others.is_empty());
    desk.set(&ben(), doing, COLUMNS, vec![placed.set]);
    let order: Vec<ThingId> = desk.board().columns().iter().map(|column| column.column.id).collect();
    assert_eq!(order, [todo, doing, done]);
}

#[test]
fn a_full_column_takes_no_more_unless_it_is_asked_to() {
    let (mut desk, [todo, done], [a, b, _]) = board();
    desk.set(&ben(), done, COLUMNS, vec![limit(1)]);
    put(&mut desk, a, done, Spot::Last, 5);
    let refused = desk.board().pos(done, Spot::Last, Some(b), false, 6).unwrap_err();
    assert_eq!(refused, Unplaced::Full("done".into(), 1, 1));
    assert_eq!(refused.to_string(), "column \"done\" holds 1 cards, and takes at most 1");
    assert_eq!(refused.code(), RefusalCode::TooMuch);
    assert!(desk.board().pos(done, Spot::First, Some(a), false, 6).is_ok(), "it stands there already");
    assert!(desk.board().pos(done, Spot::Last, Some(b), true, 6).is_ok());
    desk.set(&ben(), todo, COLUMNS, vec![limit(0)]);
    assert!(desk.board().pos(todo, Spot::Last, None, false, 6).is_ok(), "0 limits nothing");
}

#[test]
fn cards_of_a_column_that_was_deleted_meanwhile_show_in_the_first_one() {
    let (mut desk, [todo, done], [a, ..]) = board();
    assert_eq!(desk.board().check_empty(done), Ok(()));
    let refused = desk.board().check_empty(todo).unwrap_err();
    assert_eq!(refused, Unplaced::NotEmpty("todo".into(), 3));
    // Somebody who saw it empty deletes it, and somebody else puts a card there.
    put(&mut desk, a, done, Spot::Last, 5);
    desk.delete(&admin(), done, COLUMNS);
    assert_eq!(desk.shown().len(), 1);
    let mut shown = titles(&desk, 0);
    shown.sort();
    assert_eq!(shown, ["10", "11", "12"]);
    let card = desk.things().thing("cards", a).unwrap();
    assert_eq!(desk.board().column_of(&card), Some(todo));
    desk.delete(&admin(), todo, COLUMNS);
    assert_eq!((desk.shown().len(), desk.board().column_of(&card)), (0, None));
}

#[test]
fn an_archived_card_is_in_no_column_and_comes_back_where_it_was() {
    let (mut desk, _, [_, b, _]) = board();
    let archived = |on| Set { field: "archived".into(), part: None, value: Some(Value::Flag(on)) };
    desk.set(&ben(), b, CARDS, vec![archived(true)]);
    assert_eq!(titles(&desk, 0), ["10", "12"]);
    assert!(desk.things().thing("cards", b).unwrap().flag("archived"), "it is not deleted");
    desk.set(&ben(), b, CARDS, vec![archived(false)]);
    assert_eq!(titles(&desk, 0), ["10", "11", "12"]);
}

#[test]
fn where_there_is_no_room_the_nearest_cards_move_and_the_order_stays() {
    let (mut desk, [todo, _], [a, b, c]) = board();
    // Always between the same two, until ranks are as long as they may be.
    let (mut moved, mut turns) = (0, 0);
    while moved == 0 {
        turns += 1;
        assert!(turns < 20_000, "the gap never fills");
        let last = if turns % 2 == 0 { b } else { c };
        moved = put(&mut desk, last, todo, Spot::After(a), turns);
    }
    assert!(turns > 100, "{turns}");
    let expected = if turns % 2 == 0 { ["10", "11", "12"] } else { ["10", "12", "11"] };
    assert_eq!(titles(&desk, 0), expected);
    assert_eq!(put(&mut desk, b, todo, Spot::After(a), 1), 0, "there is room again");
}

#[test]
fn two_cards_of_one_rank_are_parted_by_moving_their_neighbours() {
    let (mut desk, [todo, _], [a, b, c]) = board();
    let of_a = desk.things().thing("cards", a).unwrap().value("pos").cloned().unwrap();
    desk.set(&ben(), b, CARDS, vec![Set { field: "pos".into(), part: None, value: Some(of_a) }]);
    assert_eq!(titles(&desk, 0), ["10", "11", "12"], "the lesser name comes first");
    assert!(put(&mut desk, c, todo, Spot::After(a), 4) > 0);
    assert_eq!(titles(&desk, 0), ["10", "12", "11"]);
}

#[test]
fn a_checklist_is_in_order_and_its_lines_are_ticked_one_by_one() {
    let (mut desk, _, [a, ..]) = board();
    for (n, line) in ["buy paint", "paint", "clean"].into_iter().enumerate() {
        let card = desk.things().thing("cards", a).unwrap();
        let rank = Rank::between(kanban::last_line(&card), None, n as u64).unwrap();
        let name = fourword_protocol::ids::to_base32(&[n as u8; 8]);
        let value = Value::Entry(rank, line.into());
        desk.set(
            &ada(),
            a,
            CARDS,
            vec![Set { field: "checklist".into(), part: Some(name), value: Some(value) }],
        );
    }
    let second = fourword_protocol::ids::to_base32(&[1; 8]);
    desk.set(&ben(), a, CARDS, vec![part("checked", &second, true)]);
    let card = desk.things().thing("cards", a).unwrap();
    let shown: Vec<_> = kanban::checklist(&card).into_iter().map(|(_, line, done)| (line, done)).collect();
    assert_eq!(shown, [("buy paint", false), ("paint", true), ("clean", false)]);
}

#[test]
fn a_card_with_no_columns_at_all_is_kept() {
    let (mut desk, [todo, done], _) = board();
    desk.delete(&admin(), done, COLUMNS);
    desk.delete(&admin(), todo, COLUMNS);
    assert!(desk.shown().is_empty());
    desk.column(&ben(), 30, "anew");
    assert_eq!(titles(&desk, 0).len(), 3);
    desk.set(&ben(), desk.board().columns()[0].cards[0].id, CARDS, vec![text("title", "kept")]);
    assert_eq!(titles(&desk, 0)[0], "kept");
}

/// The board above with its cards told apart by all that can be looked for; the last one is in the
/// second column, and its author is ben.
fn told_apart() -> (Desk, [ThingId; 2], [ThingId; 3]) {
    let (mut desk, columns, [a, b, c]) = board();
    desk.delete(&admin(), c, CARDS);
    let c = desk.card(&ben(), 13, columns[1], "Fence");
    desk.set(&ada(), a, CARDS, vec![text("priority", "urgent"), text("due", "2026-11-30")]);
    let [of_ada, of_ben] = [ada(), ben()].map(|who| person_part(&who.owner()));
    desk.set(&ada(), a, CARDS, vec![part("assignees", &of_ada, true), part("assignees", &of_ben, true)]);
    desk.set(&ada(), b, CARDS, vec![part("assignees", &of_ben, true), text("due", "2026-12-01")]);
    desk.set(&ada(), b, CARDS, vec![part("labels", "house", true), part("labels", "wet", true)]);
    desk.set(&ben(), c, CARDS, vec![part("labels", "house", true), text("description", "oil the HINGES")]);
    (desk, columns, [a, b, c])
}

fn found(desk: &Desk, filter: &Filter) -> Vec<ThingId> {
    let columns = desk.board().columns().into_iter();
    let fitting = columns.flat_map(|column| {
        let id = Some(column.column.id);
        column.cards.into_iter().filter(move |card| filter.fits(card, id))
    });
    fitting.map(|card| card.id).collect()
}

#[test]
fn cards_are_found_by_all_that_is_said_of_them() {
    let (desk, [todo, done], [a, b, c]) = told_apart();
    let any = filter::Filter::default;
    let all = Filter { today: "2026-12-01".into(), ..Filter::default() };
    let of = |thing| Filter { thing, ..all.clone() };
    let filters = [
        (all.clone(), vec![a, b, c]),
        (Filter { column: Some(todo), ..all.clone() }, vec![a, b]),
        (Filter { column: Some(done), ..all.clone() }, vec![c]),
        (Filter { due_before: Some("2026-11-30".into()), ..all.clone() }, vec![]),
        (Filter { due_before: Some("2026-12-01".into()), ..all.clone() }, vec![a]),
        (Filter { due_before: Some("9999-12-31".into()), ..all.clone() }, vec![a, b]),
        (Filter { is_overdue: Some(true), ..all.clone() }, vec![a]),
        (Filter { is_overdue: Some(false), ..all.clone() }, vec![b, c]),
        (of(filter::Filter { priorities: vec!["urgent".into(), "low".into()], ..any() }), vec![a]),
        (of(filter::Filter { priorities: vec![String::new()], ..any() }), vec![b, c]),
        (of(filter::Filter { assignee: Some(Some(ada().owner())), ..any() }), vec![a]),
        (of(filter::Filter { assignee: Some(Some(ben().owner())), ..any() }), vec![a, b]),
        (of(filter::Filter { assignee: Some(None), ..any() }), vec![c]),
        (of(filter::Filter { author: Some(ben().owner()), ..any() }), vec![c]),
        (of(filter::Filter { labels: vec!["house".into()], ..any() }), vec![b, c]),
        (of(filter::Filter { labels: vec!["house".into(), "wet".into()], ..any() }), vec![b]),
        (of(filter::Filter { text: "hinges".into(), ..any() }), vec![c]),
        (Filter { column: Some(todo), ..of(filter::Filter { text: "FENCE".into(), ..any() }) }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(found(&desk, &filter), expected, "{filter:?}");
    }
}

#[test]
fn a_card_that_is_nobodys_any_more_and_due_on_no_day_is_found_as_such() {
    let (mut desk, _, [a, ..]) = told_apart();
    let off = [ada(), ben()].map(|who| part("assignees", &person_part(&who.owner()), false));
    desk.set(&ada(), a, CARDS, Vec::from(off));
    desk.set(&ada(), a, CARDS, vec![text("due", "")]);
    let nobodys = filter::Filter { assignee: Some(None), ..filter::Filter::default() };
    assert!(found(&desk, &Filter { thing: nobodys, ..Filter::default() }).contains(&a));
    let due = Filter { due_before: Some("9999-12-31".into()), ..Filter::default() };
    assert!(!found(&desk, &due).contains(&a));
}
