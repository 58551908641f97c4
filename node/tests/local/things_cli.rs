//! The command line of boards, cards, issues and canvases: what each verb asks the node for, what it
//! prints, and how it fails.

use fourword_protocol::command::{
    At, BoardCommand, CanvasCommand, CardFilter, Change, Command, CommentCommand, IssueCommand, IssueFilter,
    ThingFilter,
};
use fourword_protocol::schema::field::{Number, Value as Held};
use serde_json::json;

use crate::program::run;
use crate::script::{WORDS, words};
use crate::things::{node, thing};

fn text(field: &str, text: &str) -> Change {
    Change::Field(field.into(), Held::Text(text.into()))
}

fn field(name: &str, value: Held) -> Change {
    Change::Field(name.into(), value)
}

fn board(command: BoardCommand) -> Command {
    Command::Board(words(), command)
}

fn of_issue(command: IssueCommand) -> Command {
    Command::Issue(words(), command)
}

fn canvas(command: CanvasCommand) -> Command {
    Command::Canvas(words(), command)
}

fn set_issue(changes: Vec<Change>) -> Command {
    of_issue(IssueCommand::Set("leak".into(), changes))
}

/// What is asked of cards and issues alike.
fn sought() -> ThingFilter {
    ThingFilter {
        priorities: vec!["low".into()],
        assignee: Some("Ben".into()),
        author: Some("Ada".into()),
        labels: vec!["a&b".into(), "c".into()],
        text: "roof".into(),
    }
}

fn board_lines() -> Vec<(&'static str, Command)> {
    let filter = CardFilter {
        thing: sought(),
        column: Some("doing".into()),
        due_before: Some("2026-12-01".into()),
        is_overdue: Some(true),
    };
    let nobodys = ThingFilter { assignee: Some(String::new()), ..ThingFilter::default() };
    let nobodys = CardFilter { thing: nobodys, ..CardFilter::default() };
    vec![
        (
            "board show W --column doing --due-before 2026-12-01 --overdue --author Ada --priority low \
             --assignee Ben --label a&b --label c --text roof",
            board(BoardCommand::Show(filter)),
        ),
        ("board archive W --unassigned --limit 5", board(BoardCommand::Archived(nobodys))),
        ("board show W", board(BoardCommand::Show(CardFilter::default()))),
        ("board archive W --limit 5", board(BoardCommand::Archived(CardFilter::default()))),
        (
            "board column add W doing --limit 3 --after todo",
            board(BoardCommand::AddColumn { title: "doing".into(), limit: 3, at: At::After("todo".into()) }),
        ),
        (
            "board column set W doing --title done --limit 0",
            board(BoardCommand::SetColumn(
                "doing".into(),
                vec![text("title", "done"), field("limit", Held::Whole(0))],
            )),
        ),
        ("board column move W doing --first", board(BoardCommand::MoveColumn("doing".into(), At::First))),
        ("board column delete W doing", board(BoardCommand::DeleteColumn("doing".into()))),
    ]
}

fn card_lines() -> Vec<(&'static str, Command)> {
    let card = || "pain".to_owned();
    vec![
        (
            "card add W todo paint --description white --assign Ben --priority low --label a --label b \
             --due 2026-11-30 --line brush --over-limit --before abcd",
            board(BoardCommand::AddCard {
                title: "paint".into(),
                column: "todo".into(),
                at: At::Before("abcd".into()),
                changes: vec![
                    text("description", "white"),
                    text("priority", "low"),
                    text("due", "2026-11-30"),
                    Change::Assign("Ben".into(), true),
                    Change::Label("a".into(), true),
                    Change::Label("b".into(), true),
                    Change::AddLine("brush".into()),
                ],
                over: true,
            }),
        ),
        ("card show W pain", board(BoardCommand::Card(card()))),
        (
            "card set W pain --title Paint --priority= --assign Ada --unassign Ben --label a --unlabel b --line ladder \
             --reword abcd=pail --tick efgh --untick ijkl",
            board(BoardCommand::SetCard(
                card(),
                vec![
                    text("title", "Paint"),
                    text("priority", ""),
                    Change::Assign("Ada".into(), true),
                    Change::Assign("Ben".into(), false),
                    Change::Label("a".into(), true),
                    Change::Label("b".into(), false),
                    Change::AddLine("ladder".into()),
                    Change::Line("abcd".into(), "pail".into()),
                    Change::Tick("efgh".into(), true),
                    Change::Tick("ijkl".into(), false),
                ],
            )),
        ),
        (
            "card move W pain doing --last",
            board(BoardCommand::MoveCard { card: card(), column: "doing".into(), at: At::Last, over: false }),
        ),
        ("card archive W pain", board(BoardCommand::Archive(card(), true))),
        ("card restore W pain", board(BoardCommand::Archive(card(), false))),
        ("card delete W pain", board(BoardCommand::DeleteCard(card()))),
        (
            "card comment add W pain why?",
            board(BoardCommand::Comment(CommentCommand::Add { about: card(), text: "why?".into() })),
        ),
        (
            "card comment edit W abcd who?",
            board(BoardCommand::Comment(CommentCommand::Edit {
                comment: "abcd".into(),
                text: "who?".into(),
            })),
        ),
        ("card comment delete W abcd", board(BoardCommand::Comment(CommentCommand::Delete("abcd".into())))),
    ]
}

fn issue_lines() -> Vec<(&'static str, Command)> {
    let filter =
        IssueFilter { thing: sought(), statuses: vec!["todo".into(), "done".into()], is_closed: Some(false) };
    let list = |filter| of_issue(IssueCommand::List(filter));
    let nobodys = ThingFilter { assignee: Some(String::new()), ..ThingFilter::default() };
    let nobody = IssueFilter { thing: nobodys, ..IssueFilter::default() };
    let closed = IssueFilter { is_closed: Some(true), ..IssueFilter::default() };
    vec![
        ("issue list W", list(IssueFilter::default())),
        (
            "issue list W --status todo --status done --open --priority low --assignee Ben --reporter Ada \
             --label a&b --label c --text roof --limit 5",
            list(filter),
        ),
        ("issue list W --unassigned", list(nobody)),
        ("issue list W --closed", list(closed)),
        ("issue show W leak", of_issue(IssueCommand::Show("leak".into()))),
        (
            "issue add W leak --description wet --status todo --priority urgent --assignee Ben --label a",
            of_issue(IssueCommand::Add {
                title: "leak".into(),
                changes: vec![
                    text("description", "wet"),
                    text("status", "todo"),
                    text("priority", "urgent"),
                    Change::Assign("Ben".into(), true),
                    Change::Label("a".into(), true),
                ],
            }),
        ),
        (
            "issue set W leak --title Leak --priority= --assignee= --label a --unlabel b",
            set_issue(vec![
                text("title", "Leak"),
                text("priority", ""),
                field("assignee", Held::Person(None)),
                Change::Label("a".into(), true),
                Change::Label("b".into(), false),
            ]),
        ),
        ("issue close W leak", set_issue(vec![text("status", "done")])),
        ("issue close W leak --canceled", set_issue(vec![text("status", "canceled")])),
        ("issue reopen W leak", set_issue(vec![text("status", "todo")])),
        ("issue delete W leak", of_issue(IssueCommand::Delete("leak".into()))),
        (
            "issue comment add W leak why?",
            of_issue(IssueCommand::Comment(CommentCommand::Add {
                about: "leak".into(),
                text: "why?".into(),
            })),
        ),
        (
            "issue comment edit W abcd who?",
            of_issue(IssueCommand::Comment(CommentCommand::Edit {
                comment: "abcd".into(),
                text: "who?".into(),
            })),
        ),
        (
            "issue comment delete W abcd",
            of_issue(IssueCommand::Comment(CommentCommand::Delete("abcd".into()))),
        ),
    ]
}

fn canvas_lines() -> Vec<(&'static str, Command)> {
    let number = |number| Number::new(number).unwrap();
    let pair = |one, other| Held::Pair(number(one), number(other));
    let element = thing(5).to_string();
    vec![
        ("canvas show W", canvas(CanvasCommand::Show)),
        (
            "canvas set W --width 800",
            canvas(CanvasCommand::Metadata("width".into(), Some(Held::Number(number(800.0))))),
        ),
        (
            "canvas element add W --type shape --shape line --place -1,2 --size 3,4 --points 0,-1 --z-index -2",
            canvas(CanvasCommand::Add(vec![
                text("element_type", "shape"),
                text("shape", "line"),
                field("place", pair(-1.0, 2.0)),
                field("size", pair(3.0, 4.0)),
                field("z_index", Held::Whole(-2)),
                field("points", Held::Numbers(vec![number(0.0), number(-1.0)])),
            ])),
        ),
        (
            "canvas element set W ELEMENT --fill red",
            canvas(CanvasCommand::Set(element.clone(), vec![text("fill", "red")])),
        ),
        (
            "canvas element set W ELEMENT --rotation none --font-size none",
            canvas(CanvasCommand::Set(
                element.clone(),
                vec![Change::Clear("rotation".into()), Change::Clear("font_size".into())],
            )),
        ),
        ("canvas set W --width none", canvas(CanvasCommand::Metadata("width".into(), None))),
        ("canvas element delete W ELEMENT", canvas(CanvasCommand::Delete(element))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_asks_for_its_command_and_prints_one_json_value() {
    let node = node().await;
    let element = thing(5).to_string();
    let lines = [board_lines(), card_lines(), issue_lines(), canvas_lines()].concat();
    for (line, command) in lines {
        let line = line.replace("ELEMENT", &element);
        let mut arguments: Vec<&str> = line.split_whitespace().collect();
        for argument in arguments.iter_mut().filter(|argument| **argument == "W") {
            *argument = WORDS;
        }
        arguments.push("--json");
        let ran = run(&node, &arguments).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
        assert!(ran.json().is_object(), "{line}");
        let asked = node.script.asked();
        assert_eq!(asked.first(), Some(&(command, None)), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_in_things_cannot_steer_the_terminal() {
    let node = node().await;
    for arguments in [
        &["card", "show", WORDS, "pain"][..],
        &["board", "show", WORDS],
        &["issue", "list", WORDS],
        &["issue", "show", WORDS, "leak"],
        &["canvas", "show", WORDS],
    ] {
        let ran = run(&node, arguments).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.out.contains('\x1b') && !ran.out.is_empty(), "{ran:?}");
    }
    let shown = run(&node, &["card", "show", WORDS, "pain"]).await.out;
    for part in ["paint  ", "the\u{fffd} door", "[x] brush  abcdefgh", "Ada: which colour?"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_was_not_seen_fails_and_says_what_to_do() {
    let node = node().await;
    let element = thing(5).to_string();
    for (arguments, read) in [
        (["card", "set", "pain", "--title", "a"], ["card", "show", "pain"]),
        (["issue", "set", "leak", "--title", "a"], ["issue", "show", "leak"]),
    ] {
        let [noun, verb, id, ..] = arguments;
        let stale = [noun, verb, WORDS, id, "--title", "a", "--if-revision", "0000000000000000", "--json"];
        let ran = run(&node, &stale).await;
        let error = ran.error();
        assert_eq!((ran.code, &error["error"]["code"]), (1, &json!("changed")), "{noun}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("change it again"), "{error}");
        let [noun, verb, id] = read;
        let shown = run(&node, &[noun, verb, WORDS, id, "--json"]).await.json();
        let revision = shown[noun]["revision"].as_str().unwrap();
        let fresh = [noun, "set", WORDS, id, "--title", "a", "--if-revision", revision, "--json"];
        assert_eq!(run(&node, &fresh).await.code, 0, "{noun}");
    }
    let stale =
        ["canvas", "element", "set", WORDS, &element, "--fill", "a", "--if-revision", "0000000000000000"];
    assert_eq!(run(&node, &stale).await.code, 1);
    let wrong = ["card", "set", WORDS, "pain", "--title", "a", "--if-revision", "\n", "--json"];
    assert_eq!(run(&node, &wrong).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_not_offered_are_refused_with_those_that_are() {
    let node = node().await;
    for (arguments, part) in [
        (&["issue", "add", WORDS, "leak", "--status", "open"][..], "in-progress"),
        (&["card", "set", WORDS, "pain", "--priority", "soon"], "urgent"),
        (&["issue", "set", WORDS, "leak", "--status", ""], "in-progress"),
        (&["canvas", "element", "add", WORDS, "--type", "circle"], "shape"),
        (&["canvas", "element", "set", WORDS, "abcd", "--place", "1"], "two numbers"),
        (&["card", "set", WORDS, "pain", "--reword", "abcd"], "the line's id"),
        (&["board", "show", WORDS, "--unassigned", "--assignee", "Ben"], "cannot be used with"),
        (&["card", "move", WORDS, "pain", "todo", "--first", "--last"], "cannot be used with"),
    ] {
        let ran = run(&node, arguments).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(part), "{ran:?}");
    }
    assert!(node.script.asked().is_empty());
}
