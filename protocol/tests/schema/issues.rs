//! Issues: what is looked for is found, and closing is no deletion.

use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::issues::{Filter, ISSUES, STATUSES, is_closed};
use fourword_protocol::schema::thing::{ThingId, ThingKind};
use fourword_protocol::schema::things::Set;

use crate::maps::{Desk, ada, ben, part, text};

fn assignee(person: Option<[u8; 16]>) -> Set {
    Set { field: "assignee".into(), part: None, value: Value::Person(person) }
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

#[test]
fn issues_are_found_by_all_that_is_said_of_them() {
    let (desk, [roof, door, sign]) = tracker();
    let all = Filter::default();
    let filters = [
        (all.clone(), vec![roof, door, sign]),
        (Filter { statuses: vec!["todo".into(), "done".into()], ..all.clone() }, vec![roof, door]),
        (Filter { is_closed: Some(false), ..all.clone() }, vec![roof, sign]),
        (Filter { is_closed: Some(true), ..all.clone() }, vec![door]),
        (Filter { priorities: vec!["urgent".into()], ..all.clone() }, vec![roof]),
        (Filter { assignee: Some(Some(ben().owner())), ..all.clone() }, vec![roof]),
        (Filter { assignee: Some(None), ..all.clone() }, vec![door, sign]),
        (Filter { reporter: Some(ben().owner()), ..all.clone() }, vec![door, sign]),
        (Filter { labels: vec!["house".into()], ..all.clone() }, vec![roof, door]),
        (Filter { labels: vec!["house".into(), "wet".into()], ..all.clone() }, vec![roof]),
        (Filter { text: "hinges".into(), ..all.clone() }, vec![door]),
        (Filter { text: "ROOF".into(), is_closed: Some(true), ..all }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(found(&desk, &filter), expected, "{filter:?}");
    }
}

#[test]
fn a_label_that_was_taken_off_and_an_assignee_that_was_taken_back_are_not_found() {
    let (mut desk, [roof, ..]) = tracker();
    desk.set(&ada(), roof, ISSUES, vec![part("labels", "wet", false), assignee(None)]);
    assert!(found(&desk, &Filter { labels: vec!["wet".into()], ..Filter::default() }).is_empty());
    assert_eq!(found(&desk, &Filter { assignee: Some(None), ..Filter::default() }).len(), 3);
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
