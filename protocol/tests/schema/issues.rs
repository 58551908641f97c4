//! Issues: what is looked for is found, and closing is no deletion.

use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::filter;
use fourword_protocol::schema::issues::{Filter, ISSUES, STATUSES, is_closed};
use fourword_protocol::schema::thing::{ThingId, ThingKind};
use fourword_protocol::schema::things::Set;

use crate::maps::{Desk, ada, ben, part, text};

fn assignee(person: Option<[u8; 16]>) -> Set {
    Set { field: "assignee".into(), part: None, value: Some(Value::Person(person)) }
}

/// Three issues, told apart by all that can be looked for.
fn tracker() -> (Desk, [ThingId; 3]) {
    let mut desk = Desk::new(Concern::Issues);
    let new = |title: &str, status: &str| vec![text("title", title), text("status", status)];
    let roof = desk.make(&ada(), 1, ISSUES, new("The roof leaks", "todo"));
    let door = desk.make(&ben(), 2, ISSUES, new("A door squeaks", "done"));
    let sign = desk.make(&ben(), 3, ISSUES, new("No sign", "backlog"));
    desk.set(&ben(), roof, ISSUES, vec![text("priority", "urgent"), assignee(Some(ben().owner()))]);
    desk.set(&ben(), roof, ISSUES, vec![part("labels", "house", true), part("labels", "wet", true)]);
    desk.set(
        &ada(),
        door,
        ISSUES,
        vec![part("labels", "house", true), text("description", "oil the HINGES")],
    );
    (desk, [roof, door, sign])
}

fn found(desk: &Desk, filter: &Filter) -> Vec<ThingId> {
    desk.things().all("issues").filter(|issue| filter.fits(issue)).map(|issue| issue.id).collect()
}

fn of(thing: filter::Filter) -> Filter {
    Filter { thing, ..Filter::default() }
}

#[test]
fn issues_are_found_by_all_that_is_said_of_them() {
    let (desk, [roof, door, sign]) = tracker();
    let any = filter::Filter::default;
    let text = |text: &str| filter::Filter { text: text.into(), ..any() };
    let all = Filter::default();
    let filters = [
        (all.clone(), vec![roof, door, sign]),
        (Filter { statuses: vec!["todo".into(), "done".into()], ..all.clone() }, vec![roof, door]),
        (Filter { is_closed: Some(false), ..all.clone() }, vec![roof, sign]),
        (Filter { is_closed: Some(true), ..all }, vec![door]),
        (of(filter::Filter { priorities: vec!["urgent".into()], ..any() }), vec![roof]),
        (of(filter::Filter { priorities: vec![String::new()], ..any() }), vec![door, sign]),
        (of(filter::Filter { assignee: Some(Some(ben().owner())), ..any() }), vec![roof]),
        (of(filter::Filter { assignee: Some(None), ..any() }), vec![door, sign]),
        (of(filter::Filter { author: Some(ben().owner()), ..any() }), vec![door, sign]),
        (of(filter::Filter { labels: vec!["house".into()], ..any() }), vec![roof, door]),
        (of(filter::Filter { labels: vec!["house".into(), "wet".into()], ..any() }), vec![roof]),
        (of(text("hinges")), vec![door]),
        (Filter { is_closed: Some(true), ..of(text("ROOF")) }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(found(&desk, &filter), expected, "{filter:?}");
    }
}

#[test]
fn a_label_that_was_taken_off_and_an_assignee_that_was_taken_back_are_not_found() {
    let (mut desk, [roof, ..]) = tracker();
    desk.set(&ada(), roof, ISSUES, vec![part("labels", "wet", false), assignee(None)]);
    let wet = filter::Filter { labels: vec!["wet".into()], ..filter::Filter::default() };
    assert!(found(&desk, &of(wet)).is_empty());
    let nobodys = filter::Filter { assignee: Some(None), ..filter::Filter::default() };
    assert_eq!(found(&desk, &of(nobodys)).len(), 3);
}

#[test]
fn an_issue_says_what_people_see_of_it_until_it_is_deleted() {
    let (mut desk, [roof, door, _]) = tracker();
    let comment = desk.say(&ben(), 9, (roof, ISSUES), "mended");
    let said = desk.things().said(roof).unwrap();
    assert_eq!(
        (said.kind, said.title.as_str(), said.text.as_str()),
        (ThingKind::Issue, "The roof leaks", "house\nwet")
    );
    assert_eq!((said.closed, said.assigned, said.about), (false, vec![ben().owner()], None));
    let said = desk.things().said(door).unwrap();
    assert_eq!((said.text.as_str(), said.closed, said.assigned), ("oil the HINGES\nhouse", true, vec![]));
    let said = desk.things().said(comment).unwrap();
    assert_eq!((said.kind, said.text.as_str(), said.about), (ThingKind::Comment, "mended", Some(roof)));
    desk.delete(&ada(), roof, ISSUES);
    assert_eq!(desk.things().said(roof), None);
    assert_eq!(desk.things().said(ThingId { random: [0xee; 8], ..roof }), None);
}

#[test]
fn a_closed_issue_is_opened_again_with_all_that_it_had() {
    let (mut desk, [roof, ..]) = tracker();
    let said = desk.say(&ben(), 9, (roof, ISSUES), "mended");
    desk.set(&ben(), roof, ISSUES, vec![text("status", "done")]);
    desk.set(&ada(), roof, ISSUES, vec![text("status", "todo")]);
    let issue = desk.things().thing("issues", roof).unwrap();
    assert_eq!((issue.text("status"), issue.text("priority")), ("todo", "urgent"));
    assert_eq!(desk.things().comments(roof).map(|c| c.id).collect::<Vec<_>>(), [said]);
    let closed: Vec<&str> = STATUSES.iter().copied().filter(|status| is_closed(status)).collect();
    assert_eq!(closed, ["done", "canceled"]);
}
