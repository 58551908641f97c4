//! Who may write what on boards, issues and canvases, end to end: what rights are to a chat in `rights`.

use fourword_protocol::command::{
    At, BoardCommand, CanvasCommand, CardFilter, Change, Command, CommentCommand, IssueCommand, IssueFilter,
    Outcome, Reply,
};
use fourword_protocol::ids::to_base32;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::thing::ThingId;

use crate::attack::HONEST;
use crate::grammar::{Block, Update};
use crate::mirror::Verdict;
use crate::siege::{Log, Siege};
use crate::writer::{number, string};

const KANBAN: usize = 2;
const ISSUES: usize = 3;
const CANVAS: usize = 4;

const DELETION: [u8; 2] = [1, 5];

/// A record that makes a thing of these fields.
fn thing(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut record = vec![1, 5];
    record.extend((fields.len() as u16).to_be_bytes());
    for (name, value) in fields {
        record.extend([string(name), vec![0], number(value.len() as u64), value.clone()].concat());
    }
    record
}

/// A record of one field.
fn field(value: &[u8]) -> Vec<u8> {
    [&[1, 5], value].concat()
}

/// A record of what is said about a thing.
fn said(about: ThingId, text: &str) -> Vec<u8> {
    [vec![1, 1, 5], string(text), about.owner.to_vec(), about.random.to_vec()].concat()
}

fn spelled(id: ThingId) -> String {
    format!("{}|{}", to_base32(&id.owner), to_base32(&id.random))
}

/// What ada made for the others.
struct Made {
    column: ThingId,
    card: ThingId,
    /// A card that she made and deleted.
    gone: ThingId,
    said: ThingId,
    issue: ThingId,
    remark: ThingId,
    element: ThingId,
}

fn made(siege: &mut Siege, command: Command) -> ThingId {
    match siege.a.c.must("ada", command) {
        Reply::Thing(id) => id,
        other => panic!("{other:?}"),
    }
}

impl Made {
    fn by_ada(siege: &mut Siege) -> Made {
        let group = siege.a.group;
        let board = |command| Command::Board(group, command);
        let card = |title: &str| BoardCommand::AddCard {
            title: title.into(),
            column: "todo".into(),
            at: At::Last,
            changes: vec![],
            over: false,
        };
        let column = BoardCommand::AddColumn { title: "todo".into(), limit: 0, at: At::Last };
        let column = made(siege, board(column));
        let gone = made(siege, board(card("gone")));
        let card = made(siege, board(card("mine")));
        let issue =
            made(siege, Command::Issue(group, IssueCommand::Add { title: "leak".into(), changes: vec![] }));
        let add = |about: ThingId| CommentCommand::Add { about: about.short(), text: "mine alone".into() };
        let said = made(siege, board(BoardCommand::Comment(add(card))));
        let remark = made(siege, Command::Issue(group, IssueCommand::Comment(add(issue))));
        let zero = Number::new(0.0).unwrap();
        let changes = vec![
            Change::Field("element_type".into(), Value::Text("text".into())),
            Change::Field("text".into(), Value::Text("mine".into())),
            Change::Field("place".into(), Value::Pair(zero, zero)),
            Change::Field("size".into(), Value::Pair(zero, zero)),
        ];
        let element = made(siege, Command::Canvas(group, CanvasCommand::Add(changes)));
        siege.a.c.must("ada", board(BoardCommand::DeleteCard(gone.short())));
        siege.a.c.settle();
        siege.agrees();
        Made { column, card, gone, said, issue, remark, element }
    }

    /// A card as it should be, but for its rank, which may be none.
    fn card_at(&self, title: &str, rank: &[u8]) -> Vec<u8> {
        let place = [&self.column.owner[..], &self.column.random, &number(rank.len() as u64), rank].concat();
        thing(&[("pos", place), ("title", string(title))])
    }
}

fn issue(status: &str) -> Vec<u8> {
    thing(&[("status", string(status)), ("title", string("hostile"))])
}

/// All that both nodes show of the three: each the same as the other.
fn shown(siege: &mut Siege, made: &Made) -> Vec<Outcome> {
    let group = siege.a.group;
    let all = [
        Command::Board(group, BoardCommand::Show(CardFilter::default())),
        Command::Board(group, BoardCommand::Card(made.card.short())),
        Command::Board(group, BoardCommand::Card(made.gone.to_string())),
        Command::Issue(group, IssueCommand::List(IssueFilter::default())),
        Command::Issue(group, IssueCommand::Show(made.issue.short())),
        Command::Canvas(group, CanvasCommand::Show),
    ];
    let [ada, cem] = HONEST.map(|name| all.clone().map(|command| siege.a.c.ask(name, command)));
    assert_eq!(ada, cem, "both show the same");
    assert!(matches!(ada[2], Outcome::Refused(_)), "it stays deleted");
    ada.into()
}

fn write(siege: &mut Siege, log: &mut Log, root: &str, key: &str, value: &[u8]) -> Verdict {
    let update = Update::of(log.client, siege.clock(log), vec![Block::put(root, key, value)]);
    siege.write(log, &update.bytes())
}

/// Writes each of these to one document and has both nodes judge it: void, and nothing is shown.
fn all_void(siege: &mut Siege, of: usize, made: &Made, attempts: Vec<(&str, &str, String, Vec<u8>)>) -> Log {
    let before = shown(siege, made);
    let mut log = siege.log(of);
    for (what, root, key, value) in attempts {
        assert_eq!(write(siege, &mut log, root, &key, &value), Verdict::Void, "{what}");
        siege.deliver();
        siege.agrees();
        assert_eq!(shown(siege, made), before, "{what}");
    }
    log
}

fn names(siege: &Siege) -> (String, String) {
    let name = |owner: &[u8; 16], n: u8| format!("{}|{}", to_base32(owner), to_base32(&[n; 8]));
    (name(&siege.actor().owner(), 1), name(&siege.honest("ada").owner(), 2))
}

#[test]
fn what_a_member_writes_without_right_or_sense_on_a_board_is_void_everywhere() {
    let mut siege = Siege::new(710, Role::Member);
    let made = Made::by_ada(&mut siege);
    let (own, theirs) = names(&siege);
    let person = own.split('|').next().unwrap().to_owned();
    let (card, said_by_ada) = (spelled(made.card), spelled(made.said));
    let place = |rank: &[u8]| [&made.column.owner[..], &made.column.random, rank].concat();
    let attempts = vec![
        ("a card in another's name", "cards", theirs.clone(), made.card_at("hostile", &[5])),
        ("a card of another anew", "cards", card.clone(), made.card_at("hostile", &[5])),
        ("a card whose position is no rank", "cards", own.clone(), made.card_at("hostile", &[5, 0])),
        ("a card without a rank", "cards", own.clone(), made.card_at("hostile", &[])),
        ("a position that is no rank", "fields", format!("{card}|pos"), field(&place(&[1, 0]))),
        ("an impossible day", "fields", format!("{card}|due"), field(&string("2026-02-30"))),
        ("a priority that is no word", "fields", format!("{card}|priority"), field(&string("URGENT!"))),
        ("a title of two lines", "fields", format!("{card}|title"), field(&string("a\nb"))),
        ("one assigned who is nobody", "fields", format!("{card}|assignees|ada"), field(&[1])),
        ("a card deleted", "deleted", format!("{person}|{card}"), DELETION.into()),
        (
            "a card deleted as its author",
            "deleted",
            format!("{}|{card}", to_base32(&made.card.owner)),
            DELETION.into(),
        ),
        ("a comment in another's name", "comments", theirs, said(made.card, "hostile")),
        ("a comment of another anew", "comments", said_by_ada.clone(), said(made.card, "hostile")),
        (
            "a comment of another edited",
            "edits",
            said_by_ada.clone(),
            [vec![1, 5], string("hostile")].concat(),
        ),
        ("a comment of another deleted", "deleted", format!("{person}|{said_by_ada}"), DELETION.into()),
    ];
    let mut log = all_void(&mut siege, KANBAN, &made, attempts);
    // Whoever does not know yet that a card is deleted may write to it, and nothing is shown of that.
    let before = shown(&mut siege, &made);
    let gone = spelled(made.gone);
    let edits = [
        ("fields", format!("{gone}|title"), field(&string("hostile"))),
        ("fields", format!("{gone}|archived"), field(&[0])),
        ("comments", own.clone(), said(made.gone, "hostile")),
    ];
    for (root, key, value) in edits {
        assert_eq!(write(&mut siege, &mut log, root, &key, &value), Verdict::Applied, "{root}");
        siege.deliver();
        siege.agrees();
        assert_eq!(shown(&mut siege, &made), before, "{root}");
    }
    // The log goes on: what the attacker may write is taken.
    let card = made.card_at("goes on", &[5]);
    assert_eq!(write(&mut siege, &mut log, "cards", &own, &card), Verdict::Applied);
    siege.deliver();
    assert_ne!(shown(&mut siege, &made), before);
    siege.stands();
    assert!(format!("{:?}", shown(&mut siege, &made)).contains("goes on"));
}

#[test]
fn what_a_member_writes_without_right_or_sense_among_issues_is_void_everywhere() {
    let mut siege = Siege::new(711, Role::Member);
    let made = Made::by_ada(&mut siege);
    let (own, theirs) = names(&siege);
    let person = own.split('|').next().unwrap().to_owned();
    let (leak, remark) = (spelled(made.issue), spelled(made.remark));
    let attempts = vec![
        ("an issue in another's name", "issues", theirs, issue("todo")),
        ("an issue of another anew", "issues", leak.clone(), issue("todo")),
        ("an issue of an impossible status", "issues", own.clone(), issue("Done")),
        ("an issue of no status", "issues", own.clone(), issue("")),
        ("an impossible status", "fields", format!("{leak}|status"), field(&string("in progress"))),
        ("a status of many", "fields", format!("{leak}|status|done"), field(&string("done"))),
        ("an assignee who is nobody", "fields", format!("{leak}|assignee"), field(&[1, 7])),
        ("an issue deleted", "deleted", format!("{person}|{leak}"), DELETION.into()),
        ("a comment of another edited", "edits", remark.clone(), [vec![1, 5], string("hostile")].concat()),
        ("a comment of another deleted", "deleted", format!("{person}|{remark}"), DELETION.into()),
    ];
    let mut log = all_void(&mut siege, ISSUES, &made, attempts);
    assert_eq!(write(&mut siege, &mut log, "issues", &own, &issue("done")), Verdict::Applied);
    siege.stands();
    assert!(format!("{:?}", shown(&mut siege, &made)).contains("hostile"), "an issue of its own is");
}

#[test]
fn what_a_member_writes_without_right_or_sense_on_a_canvas_is_void_everywhere() {
    let mut siege = Siege::new(712, Role::Member);
    let made = Made::by_ada(&mut siege);
    let (own, theirs) = names(&siege);
    let element = spelled(made.element);
    let drawn = |across: f64| {
        let place = [across.to_bits().to_be_bytes(), 1f64.to_bits().to_be_bytes()].concat();
        thing(&[
            ("element_type", string("text")),
            ("place", place.clone()),
            ("size", place),
            ("text", string("hostile")),
        ])
    };
    let attempts = vec![
        ("an element in another's name", "elements", theirs, drawn(1.0)),
        ("an element of another anew", "elements", element.clone(), drawn(1.0)),
        ("an element that lies nowhere", "elements", own.clone(), drawn(f64::NAN)),
        (
            "a rotation without end",
            "fields",
            format!("{element}|rotation"),
            field(&f64::INFINITY.to_bits().to_be_bytes()),
        ),
        ("a width that is none", "metadata", "width".to_owned(), field(&f64::NAN.to_bits().to_be_bytes())),
        ("a comment", "comments", own.clone(), said(made.element, "hostile")),
        (
            "a deletion as its author",
            "deleted",
            format!("{}|{element}", to_base32(&made.element.owner)),
            DELETION.into(),
        ),
    ];
    let mut log = all_void(&mut siege, CANVAS, &made, attempts);
    assert_eq!(write(&mut siege, &mut log, "elements", &own, &drawn(1.0)), Verdict::Applied);
    siege.stands();
    assert!(format!("{:?}", shown(&mut siege, &made)).contains("hostile"), "an element of its own is");
}

#[test]
fn what_a_viewer_writes_on_boards_among_issues_and_on_canvases_is_void_everywhere() {
    let mut siege = Siege::new(713, Role::Viewer);
    let made = Made::by_ada(&mut siege);
    let (own, _) = names(&siege);
    let (card, leak) = (spelled(made.card), spelled(made.issue));
    let attempts = vec![
        ("a card", "cards", own.clone(), made.card_at("hostile", &[5])),
        ("a title", "fields", format!("{card}|title"), field(&string("hostile"))),
        ("a comment", "comments", own.clone(), said(made.card, "hostile")),
    ];
    all_void(&mut siege, KANBAN, &made, attempts);
    let attempts = vec![
        ("an issue", "issues", own.clone(), issue("todo")),
        ("a status", "fields", format!("{leak}|status"), field(&string("done"))),
        ("a comment", "comments", own.clone(), said(made.issue, "hostile")),
    ];
    all_void(&mut siege, ISSUES, &made, attempts);
    let attempts = vec![
        ("an element's text", "fields", format!("{}|text", spelled(made.element)), field(&string("hostile"))),
        ("a width", "metadata", "width".to_owned(), field(&1f64.to_bits().to_be_bytes())),
    ];
    all_void(&mut siege, CANVAS, &made, attempts);
    siege.stands();
}
