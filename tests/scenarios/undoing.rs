//! What somebody did to a board, issue tracker or canvas is taken back and done again, and what
//! others did meanwhile never is.

use fourword_protocol::command::{
    At, BoardCommand, CanvasCommand, CanvasView, CardFilter, Change, Command, CommentCommand, IssueCommand,
    IssueFilter, IssueView, Kind, LeftView, Outcome, Refusal, RefusalCode, Reply, RevertedView,
};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things::Stays;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::people::set_role;

fn made(outcome: Reply) -> ThingId {
    match outcome {
        Reply::Thing(id) => id,
        other => panic!("{other:?}"),
    }
}

fn text(field: &str, text: &str) -> Change {
    Change::Field(field.into(), Value::Text(text.into()))
}

fn place(across: f64) -> Change {
    let number = Number::new(across).unwrap();
    Change::Field("place".into(), Value::Pair(number, number))
}

fn note(c: &mut Cluster, by: &str, group: FourWords, across: f64) -> ThingId {
    let size = Value::Pair(Number::new(10.0).unwrap(), Number::new(5.0).unwrap());
    let sets = vec![text("element_type", "text"), place(across), Change::Field("size".into(), size)];
    made(c.must(by, Command::Canvas(group, CanvasCommand::Add(sets))))
}

fn change(c: &mut Cluster, by: &str, group: FourWords, note: ThingId, changes: Vec<Change>) {
    c.must(by, Command::Canvas(group, CanvasCommand::Set(note.short(), changes)));
}

fn canvas(c: &mut Cluster, at: &str, group: FourWords) -> CanvasView {
    match c.must(at, Command::Canvas(group, CanvasCommand::Show)) {
        Reply::Canvas(canvas) => canvas,
        other => panic!("{other:?}"),
    }
}

/// Where each element lies, the lowest first.
fn places(c: &mut Cluster, at: &str, group: FourWords) -> Vec<f64> {
    canvas(c, at, group).elements.iter().map(|element| element.place.0.get()).collect()
}

fn issue(c: &mut Cluster, by: &str, group: FourWords, title: &str) -> ThingId {
    made(c.must(by, Command::Issue(group, IssueCommand::Add { title: title.into(), changes: vec![] })))
}

fn set(c: &mut Cluster, by: &str, group: FourWords, issue: ThingId, changes: Vec<Change>) {
    c.must(by, Command::Issue(group, IssueCommand::Set(issue.short(), changes)));
}

fn say(c: &mut Cluster, by: &str, group: FourWords, about: ThingId, text: &str) -> ThingId {
    let add = CommentCommand::Add { about: about.short(), text: text.into() };
    made(c.must(by, Command::Issue(group, IssueCommand::Comment(add))))
}

fn issues(c: &mut Cluster, at: &str, group: FourWords) -> Vec<IssueView> {
    match c.must(at, Command::Issue(group, IssueCommand::List(IssueFilter::default()))) {
        Reply::Issues(issues) => issues,
        other => panic!("{other:?}"),
    }
}

fn titles(c: &mut Cluster, at: &str, group: FourWords) -> Vec<String> {
    issues(c, at, group).into_iter().map(|issue| issue.title).collect()
}

fn reverted(outcome: Outcome) -> RevertedView {
    match outcome {
        Outcome::Done(Reply::Reverted(view)) => view,
        other => panic!("{other:?}"),
    }
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(reply) => panic!("{reply:?}"),
    }
}

fn undo(c: &mut Cluster, by: &str, group: FourWords, concern: Concern) -> RevertedView {
    reverted(c.ask(by, Command::Undo(group, concern)))
}

fn redo(c: &mut Cluster, by: &str, group: FourWords, concern: Concern) -> RevertedView {
    reverted(c.ask(by, Command::Redo(group, concern)))
}

/// Takes a step back of which nothing stays.
fn whole(view: RevertedView) -> Vec<ThingId> {
    assert_eq!(view.left, [], "something stays");
    view.things
}

fn left(thing: ThingId, field: &str, why: Stays) -> Vec<LeftView> {
    vec![LeftView { thing: Some(thing), field: field.into(), why }]
}

fn drawing(seed: u64, names: &[&str]) -> (Cluster, FourWords, ThingId) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(names);
    let note = note(&mut c, names[0], group, 0.0);
    c.settle();
    (c, group, note)
}

const CANVAS: Concern = Concern::Canvas;
const ISSUES: Concern = Concern::Issues;
const BOARD: Concern = Concern::Kanban;

#[test]
fn what_was_done_is_taken_back_step_by_step_and_done_again() {
    let (mut c, group, note) = drawing(1, &["ada", "ben"]);
    change(&mut c, "ada", group, note, vec![place(1.0)]);
    change(&mut c, "ada", group, note, vec![place(2.0), text("fill", "red")]);
    let view = undo(&mut c, "ada", group, CANVAS);
    assert_eq!((view.undo, view.redo), (2, 1));
    assert_eq!(whole(view), [note]);
    c.settle();
    let shown = canvas(&mut c, "ben", group);
    assert_eq!((shown.elements[0].place.0.get(), shown.elements[0].fill.as_str()), (1.0, ""));
    undo(&mut c, "ada", group, CANVAS);
    redo(&mut c, "ada", group, CANVAS);
    let view = redo(&mut c, "ada", group, CANVAS);
    assert_eq!((view.undo, view.redo), (3, 0));
    c.settle();
    let shown = canvas(&mut c, "ben", group);
    assert_eq!((shown.elements[0].place.0.get(), shown.elements[0].fill.as_str()), (2.0, "red"));
    let refusal = refused(c.ask("ada", Command::Redo(group, CANVAS)));
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (RefusalCode::NotFound, "there is nothing to do again")
    );
    undo(&mut c, "ada", group, CANVAS);
    change(&mut c, "ada", group, note, vec![place(9.0)]);
    refused(c.ask("ada", Command::Redo(group, CANVAS)));
}

#[test]
fn undo_never_takes_back_what_somebody_else_did() {
    let (mut c, group, note) = drawing(2, &["ada", "ben"]);
    let refusal = refused(c.ask("ben", Command::Undo(group, CANVAS)));
    assert_eq!(refusal.message, "there is nothing to undo", "what ada drew is not ben's to undo");
    change(&mut c, "ada", group, note, vec![place(1.0), text("text", "hers")]);
    c.settle();
    change(&mut c, "ben", group, note, vec![place(5.0)]);
    c.settle();
    let view = undo(&mut c, "ada", group, CANVAS);
    assert_eq!(view.left, left(note, "place", Stays::Changed), "it says what it leaves");
    assert_eq!(view.things, [note], "and the rest is taken back");
    c.settle();
    for at in ["ada", "ben"] {
        let shown = canvas(&mut c, at, group).elements.remove(0);
        assert_eq!((shown.place.0.get(), shown.text.as_str()), (5.0, ""), "{at}");
    }
    redo(&mut c, "ada", group, CANVAS);
    c.settle();
    let shown = canvas(&mut c, "ben", group).elements.remove(0);
    assert_eq!((shown.place.0.get(), shown.text.as_str()), (5.0, "hers"), "nor does redo");
}

#[test]
fn the_same_value_set_by_somebody_else_is_somebody_elses() {
    let (mut c, group, note) = drawing(3, &["ada", "ben"]);
    change(&mut c, "ada", group, note, vec![place(5.0)]);
    c.settle();
    change(&mut c, "ben", group, note, vec![place(7.0)]);
    c.settle();
    change(&mut c, "ben", group, note, vec![place(5.0)]);
    c.settle();
    assert_eq!(undo(&mut c, "ada", group, CANVAS).left, left(note, "place", Stays::Changed));
    assert_eq!(places(&mut c, "ada", group), [5.0]);
}

#[test]
fn an_undo_apart_from_anothers_move_is_a_move_like_any_other() {
    let (mut c, group, note) = drawing(4, &["ada", "ben"]);
    c.isolate("ben");
    change(&mut c, "ada", group, note, vec![place(1.0)]);
    change(&mut c, "ben", group, note, vec![place(5.0)]);
    assert_eq!(whole(undo(&mut c, "ada", group, CANVAS)), [note]);
    c.heal();
    c.settle();
    let shown = places(&mut c, "ada", group);
    assert!(shown == [0.0] || shown == [5.0], "{shown:?}");
    assert_eq!(places(&mut c, "ben", group), shown);
    let after = undo(&mut c, "ben", group, CANVAS);
    let stays = after.left == left(note, "place", Stays::Changed);
    assert_eq!(stays, shown == [0.0], "ben undoes his move only where it shows");
}

#[test]
fn after_a_restart_there_is_nothing_to_undo() {
    let (mut c, group, note) = drawing(5, &["ada"]);
    change(&mut c, "ada", group, note, vec![place(1.0)]);
    c.stop("ada");
    c.restart("ada");
    let refusal = refused(c.ask("ada", Command::Undo(group, CANVAS)));
    assert_eq!((refusal.code, refusal.message.as_str()), (RefusalCode::NotFound, "there is nothing to undo"));
    assert!(refusal.hint.contains("before the node last started"));
    assert_eq!(places(&mut c, "ada", group), [1.0]);
}

#[test]
fn a_card_that_was_made_is_put_away_and_brought_back() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben"]);
    let column = BoardCommand::AddColumn { title: "todo".into(), limit: 0, at: At::Last };
    let column = made(c.must("ada", Command::Board(group, column)));
    let add = BoardCommand::AddCard {
        title: "paint".into(),
        column: "todo".into(),
        at: At::Last,
        changes: vec![],
        over: false,
    };
    let card = made(c.must("ada", Command::Board(group, add)));
    let high = BoardCommand::SetCard(card.short(), vec![text("priority", "high")]);
    c.must("ada", Command::Board(group, high));
    let archived = |c: &mut Cluster, at: &str| match c
        .must(at, Command::Board(group, BoardCommand::Archived(CardFilter::default())))
    {
        Reply::Cards(cards) => cards.into_iter().map(|card| (card.id, card.priority)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(whole(undo(&mut c, "ada", group, BOARD)), [card]);
    assert_eq!(whole(undo(&mut c, "ada", group, BOARD)), [card]);
    c.settle();
    assert_eq!(archived(&mut c, "ben"), [(card, String::new())], "and its priority is none, as it was");
    assert_eq!(whole(redo(&mut c, "ada", group, BOARD)), [card]);
    assert_eq!(whole(redo(&mut c, "ada", group, BOARD)), [card]);
    c.settle();
    assert_eq!(archived(&mut c, "ben"), []);
    let priority =
        |c: &mut Cluster| match c.must("ben", Command::Board(group, BoardCommand::Card(card.short()))) {
            Reply::Card(card, _) => card.priority,
            other => panic!("{other:?}"),
        };
    assert_eq!(priority(&mut c), "high");
    c.must(
        "ben",
        Command::Board(group, BoardCommand::SetCard(card.short(), vec![text("due", "2026-11-30")])),
    );
    c.settle();
    undo(&mut c, "ada", group, BOARD);
    assert_eq!(undo(&mut c, "ada", group, BOARD).left, left(card, "", Stays::WorkedOn), "ben set a day");
    assert_eq!(undo(&mut c, "ada", group, BOARD).left, left(column, "", Stays::WorkedOn), "a card is in it");
    refused(c.ask("ada", Command::Undo(group, BOARD)));
}

#[test]
fn what_is_deleted_by_an_undo_comes_back_under_another_name_with_all_that_was_done_to_it() {
    let (mut c, group, first) = drawing(7, &["ada", "ben"]);
    change(&mut c, "ada", group, first, vec![place(3.0)]);
    undo(&mut c, "ada", group, CANVAS);
    assert_eq!(whole(undo(&mut c, "ada", group, CANVAS)), [first]);
    c.settle();
    assert_eq!(places(&mut c, "ben", group), [0.0; 0]);
    let again = whole(redo(&mut c, "ada", group, CANVAS))[0];
    assert_ne!(again, first, "what is deleted stays so");
    assert_eq!(whole(redo(&mut c, "ada", group, CANVAS)), [again]);
    c.settle();
    assert_eq!(places(&mut c, "ben", group), [3.0]);
    assert_eq!(canvas(&mut c, "ben", group).elements[0].id, again);
}

#[test]
fn an_issue_goes_with_its_reporters_comments_and_not_with_those_of_others() {
    let mut c = Cluster::new(8);
    let group = c.group_of(&["ada", "ben"]);
    let leak = issue(&mut c, "ada", group, "leak");
    say(&mut c, "ada", group, leak, "in the roof");
    undo(&mut c, "ada", group, ISSUES);
    undo(&mut c, "ada", group, ISSUES);
    c.settle();
    assert_eq!(titles(&mut c, "ben", group), [""; 0]);
    let again = whole(redo(&mut c, "ada", group, ISSUES))[0];
    let said = whole(redo(&mut c, "ada", group, ISSUES))[0];
    c.settle();
    let Reply::Issue(view, comments) =
        c.must("ben", Command::Issue(group, IssueCommand::Show(again.short())))
    else {
        panic!()
    };
    assert_eq!((view.title.as_str(), comments[0].comment.id), ("leak", said));
    say(&mut c, "ben", group, again, "still wet");
    c.settle();
    undo(&mut c, "ada", group, ISSUES);
    let view = undo(&mut c, "ada", group, ISSUES);
    assert_eq!(view.left, left(again, "", Stays::WorkedOn));
    c.settle();
    assert_eq!(titles(&mut c, "ben", group), ["leak"]);
}

#[test]
fn a_deletion_is_not_undone_and_stands_in_nobodys_way() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "ben"]);
    let (leak, dust) = (issue(&mut c, "ada", group, "leak"), issue(&mut c, "ada", group, "dust"));
    set(&mut c, "ada", group, dust, vec![text("title", "much dust"), Change::Label("attic".into(), true)]);
    set(&mut c, "ada", group, leak, vec![text("priority", "urgent")]);
    c.must("ada", Command::Issue(group, IssueCommand::Delete(leak.short())));
    let view = undo(&mut c, "ada", group, ISSUES);
    assert_eq!((view.left, view.redo), (left(leak, "", Stays::Final), 0));
    assert_eq!(undo(&mut c, "ada", group, ISSUES).left, left(leak, "priority", Stays::Gone));
    assert_eq!(whole(undo(&mut c, "ada", group, ISSUES)), [dust]);
    c.settle();
    let shown = issues(&mut c, "ben", group);
    assert_eq!((shown[0].title.as_str(), shown[0].labels.len(), shown.len()), ("dust", 0, 1));
}

#[test]
fn the_size_of_a_canvas_and_the_text_of_a_comment_are_set_back_too() {
    let (mut c, group, _) = drawing(10, &["ada"]);
    let width = Value::Number(Number::new(640.0).unwrap());
    c.must("ada", Command::Canvas(group, CanvasCommand::Metadata("width".into(), Some(width))));
    let view = undo(&mut c, "ada", group, CANVAS);
    assert_eq!((view.things.len(), view.left.len()), (0, 0));
    assert_eq!(canvas(&mut c, "ada", group).width, None);
    let leak = issue(&mut c, "ada", group, "leak");
    let said = say(&mut c, "ada", group, leak, "wet");
    let edit = CommentCommand::Edit { comment: said.short(), text: "dry".into() };
    c.must("ada", Command::Issue(group, IssueCommand::Comment(edit)));
    assert_eq!(whole(undo(&mut c, "ada", group, ISSUES)), [said]);
    let Reply::Issue(_, comments) = c.must("ada", Command::Issue(group, IssueCommand::Show(leak.short())))
    else {
        panic!()
    };
    assert_eq!(comments[0].comment.text, "wet");
}

#[test]
fn a_viewer_undoes_nothing_and_other_documents_have_no_undo() {
    let (mut c, group, _) = drawing(11, &["ada", "ben"]);
    let ben = note(&mut c, "ben", group, 1.0);
    c.settle();
    set_role(&mut c, "ada", group, "ben", Role::Viewer);
    c.settle();
    let refusal = refused(c.ask("ben", Command::Undo(group, CANVAS)));
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
    assert!(canvas(&mut c, "ben", group).elements.iter().any(|element| element.id == ben));
    let refusal = refused(c.ask("ada", Command::Undo(group, Concern::Chat)));
    assert_eq!(refusal.message, format!("{group} has no chat"));
    let channel = c.create_child("ada", Kind::Channel, "talk", group);
    c.settle();
    let refusal = refused(c.ask("ada", Command::Undo(channel, BOARD)));
    assert_eq!(refusal.message, format!("{channel} has no board"));
}
