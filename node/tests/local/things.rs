//! Boards, issues and canvases over the API: what is shown, and which command each request becomes.

use fourword::api::filter::VALUES_MAX;
use fourword::api::things::ENTRIES_MAX;
use fourword_protocol::command::{
    BoardCommand, BoardView, CanvasCommand, CanvasView, CardView, ColumnView, Command, CommentCommand,
    CommentView, ElementView, IssueCommand, IssueView, LineView, RefusalCode, Reply,
};
use fourword_protocol::limits::{NAME_BYTES_MAX, RECORD_FIELDS_MAX};
use fourword_protocol::schema::field::Number;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things;
use fourword_protocol::time::WallTime;
use serde_json::{Value, json};

use crate::script::{Node, WORDS, done, person, refused, stranger, words};
use crate::things_requests::{canvas_requests, card_requests, column_requests, issue_requests};

pub(crate) fn thing(number: u8) -> ThingId {
    ThingId { owner: [1; 16], random: [number; 8] }
}

pub(crate) fn card() -> CardView {
    CardView {
        id: thing(2),
        author: person(),
        title: "paint".into(),
        description: "the\x1b door".into(),
        column: Some(thing(1)),
        assignees: vec![stranger()],
        priority: "high".into(),
        labels: vec!["house".into()],
        due: "2026-11-30".into(),
        checklist: vec![LineView { id: "abcdefgh".into(), text: "brush".into(), done: true }],
        archived: false,
        comments: 1,
        created: WallTime(1_000),
        updated: WallTime(2_000),
    }
}

pub(crate) fn column() -> ColumnView {
    ColumnView { id: thing(1), title: "todo".into(), limit: Some(3), count: 2, cards: vec![card()] }
}

pub(crate) fn comment() -> CommentView {
    let comment = things::Comment {
        id: thing(3),
        subject: thing(2),
        text: "which colour?".into(),
        time: WallTime(3_000),
        edited: None,
    };
    CommentView { comment, author: person() }
}

pub(crate) fn issue(number: u8) -> IssueView {
    IssueView {
        id: thing(number),
        reporter: person(),
        title: format!("leak {number}"),
        description: String::new(),
        status: "todo".into(),
        closed: false,
        priority: String::new(),
        assignee: Some(stranger()),
        labels: vec!["wet".into()],
        comments: 1,
        created: WallTime(1_000),
        updated: WallTime(2_000),
    }
}

fn number(number: f64) -> Number {
    Number::new(number).unwrap()
}

pub(crate) fn canvas() -> CanvasView {
    let element = ElementView {
        id: thing(5),
        author: person(),
        element_type: "shape".into(),
        place: (number(1.0), number(-2.5)),
        size: (number(10.0), number(5.0)),
        rotation: None,
        z_index: -1,
        text: String::new(),
        shape: "ellipse".into(),
        points: Vec::new(),
        image: Some([0xab; 32]),
        chart: String::new(),
        values: vec![number(0.5)],
        fill: "#fff".into(),
        stroke: String::new(),
        stroke_width: Some(number(2.0)),
        font_size: None,
        updated: WallTime(2_000),
    };
    CanvasView {
        width: Some(number(800.0)),
        height: None,
        background_color: "#000".into(),
        elements: vec![element],
    }
}

/// What a node answers in which there is one of each.
pub(crate) fn answer(command: &Command) -> Reply {
    match command {
        Command::Board(_, BoardCommand::Show(_)) => {
            Reply::Board(BoardView { columns: vec![column()], loose: vec![] })
        }
        Command::Board(_, BoardCommand::Archived(_)) => Reply::Cards(vec![card()]),
        Command::Board(_, BoardCommand::Card(_)) => Reply::Card(Box::new(card()), vec![comment()]),
        Command::Board(
            _,
            BoardCommand::AddColumn { .. }
            | BoardCommand::AddCard { .. }
            | BoardCommand::Comment(CommentCommand::Add { .. }),
        )
        | Command::Issue(_, IssueCommand::Add { .. } | IssueCommand::Comment(CommentCommand::Add { .. }))
        | Command::Canvas(_, CanvasCommand::Add(_)) => Reply::Thing(thing(9)),
        Command::Board(_, BoardCommand::Comment(CommentCommand::Show(_)))
        | Command::Issue(_, IssueCommand::Comment(CommentCommand::Show(_))) => Reply::Comment(comment()),
        Command::Issue(_, IssueCommand::List(_)) => Reply::Issues(vec![issue(1), issue(2), issue(4)]),
        Command::Issue(_, IssueCommand::Show(_)) => Reply::Issue(Box::new(issue(1)), vec![comment()]),
        Command::Canvas(_, CanvasCommand::Show) => Reply::Canvas(canvas()),
        _ => Reply::Ok,
    }
}

pub(crate) async fn node() -> Node {
    Node::start(|command| done(answer(command))).await
}

/// What is shown without its revisions, which are looked at elsewhere.
fn unrevised(shown: Value) -> Value {
    match shown {
        Value::Object(fields) => {
            let others = fields.into_iter().filter(|(name, _)| name != "revision");
            others.map(|(name, value)| (name, unrevised(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(unrevised).collect(),
        other => other,
    }
}

fn ada() -> Value {
    json!({"identity": WORDS, "name": "Ada"})
}

fn somebody() -> Value {
    json!({"identity": "abababab", "name": ""})
}

fn card_json() -> Value {
    json!({
        "id": thing(2).to_string(), "author": ada(), "title": "paint", "description": "the\u{1b} door",
        "column": thing(1).to_string(), "assignees": [somebody()], "priority": "high", "labels": ["house"],
        "due": "2026-11-30", "checklist": [{"id": "abcdefgh", "text": "brush", "done": true}],
        "archived": false, "comments": 1, "created": 1000, "updated": 2000,
    })
}

fn comment_json() -> Value {
    json!({
        "id": thing(3).to_string(), "author": ada(), "text": "which colour?", "time": 3000, "edited": null,
    })
}

pub(crate) fn of(path: &str) -> String {
    format!("/api/v1/groups/{WORDS}/{path}")
}

#[tokio::test]
async fn a_board_is_shown_with_its_columns_and_cards() {
    let node = node().await;
    let (status, board) = node.ask("GET", &of("board"), "").await;
    assert_eq!(status, 200);
    let columns = json!([{
        "id": thing(1).to_string(), "title": "todo", "limit": 3, "count": 2, "cards": [card_json()],
    }]);
    assert_eq!(unrevised(board), json!({"columns": columns, "loose": []}));
    let (_, page) = node.ask("GET", &of("board/cards/aiba"), "").await;
    assert_eq!(unrevised(page), json!({"card": card_json(), "comments": [comment_json()]}));
    let (_, archive) = node.ask("GET", &of("board/archive"), "").await;
    assert_eq!(unrevised(archive), json!({"cards": [card_json()], "next": null}));
}

#[tokio::test]
async fn an_issue_is_shown_with_what_was_said_about_it() {
    let node = node().await;
    let (status, page) = node.ask("GET", &of("issues/aeaq"), "").await;
    assert_eq!(status, 200);
    let issue = json!({
        "id": thing(1).to_string(), "reporter": ada(), "title": "leak 1", "description": "",
        "status": "todo", "closed": false, "priority": "", "assignee": somebody(), "labels": ["wet"],
        "comments": 1, "created": 1000, "updated": 2000,
    });
    assert_eq!(unrevised(page), json!({"issue": issue, "comments": [comment_json()]}));
}

#[tokio::test]
async fn a_canvas_is_shown_with_its_elements() {
    let node = node().await;
    let (status, canvas) = node.ask("GET", &of("canvas"), "").await;
    assert_eq!(status, 200);
    let element = json!({
        "id": thing(5).to_string(), "author": ada(), "element_type": "shape", "place": [1.0, -2.5],
        "size": [10.0, 5.0], "rotation": null, "z_index": -1, "text": "", "shape": "ellipse", "points": [],
        "image": "ab".repeat(32), "chart": "", "values": [0.5], "fill": "#fff", "stroke": "",
        "stroke_width": 2.0, "font_size": null, "updated": 2000,
    });
    let expected = json!({"width": 800.0, "height": null, "background_color": "#000", "elements": [element]});
    assert_eq!(unrevised(canvas), expected);
}

#[tokio::test]
async fn each_request_about_a_thing_becomes_its_command() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    let boards = column_requests().into_iter().chain(card_requests());
    let boards = boards.map(|(m, p, b, c)| (m, p, b, Command::Board(words(), c)));
    let issues = issue_requests().into_iter().map(|(m, p, b, c)| (m, p, b, Command::Issue(words(), c)));
    let canvases = canvas_requests().into_iter().map(|(m, p, b, c)| (m, p, b, Command::Canvas(words(), c)));
    for (method, path, body, command) in boards.chain(issues).chain(canvases) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &of(&path), &body).await;
        assert_eq!(status, 403, "{method} {path}: {problem}");
        assert_eq!(node.script.asked(), [(command, None)], "{method} {path}");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_does_not_reach_the_node() {
    let node = node().await;
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let many = "label=a&".repeat(VALUES_MAX + 1);
    for (method, path, body, part) in [
        ("PATCH", "board/cards/abcd".to_owned(), json!({}), "nothing to be changed"),
        ("PATCH", "board/cards/abcd".into(), json!({"tilte": "a"}), "unknown field `tilte`"),
        ("PATCH", "board/columns/abcd".into(), json!({}), "nothing to be changed"),
        ("PATCH", "issues/abcd".into(), json!({"labels": {}}), "nothing to be changed"),
        ("PATCH", "canvas".into(), json!({}), "nothing to be changed"),
        ("PATCH", "canvas/elements/abcd".into(), json!({"place": [1]}), "invalid length"),
        ("PATCH", "canvas/elements/abcd".into(), json!({"image": "ab"}), "64 hexadecimal digits"),
        ("GET", format!("board/cards/{long}"), Value::Null, "1 to 256 bytes"),
        ("DELETE", format!("card-comments/{long}"), Value::Null, "1 to 256 bytes"),
        ("PUT", "board/cards/a/place".into(), json!({"column": long}), "1 to 256 bytes"),
        ("POST", "board/cards".into(), json!({"title": "a"}), "missing field `column`"),
        ("PUT", "board/cards/a/place".into(), json!({"column": "b", "at": "middle"}), "unknown variant"),
        ("GET", format!("issues?text={long}"), Value::Null, "at most 256 bytes"),
        ("GET", format!("issues?{many}"), Value::Null, "at most 16 values"),
        ("GET", "issues?colour=red".into(), Value::Null, "not by \"colour\""),
        ("GET", format!("board?text={long}"), Value::Null, "at most 256 bytes"),
        ("GET", format!("board/archive?{many}"), Value::Null, "at most 16 values"),
        ("GET", "board?limit=5".into(), Value::Null, "cards are asked for by column, "),
        ("GET", "board?overdue=perhaps".into(), Value::Null, "true or false"),
        ("GET", "board?due_before=tomorrow".into(), Value::Null, "a day such as 2026-11-30"),
        ("GET", "issues?closed=perhaps".into(), Value::Null, "true or false"),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &of(&path), &body).await;
        assert_eq!(status, 400, "{method} {path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{method} {path}: {problem}");
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test]
async fn more_changes_than_one_request_may_make_are_counted_by_the_machine() {
    let node = node().await;
    let lines: Vec<String> = (0..=RECORD_FIELDS_MAX).map(|line| line.to_string()).collect();
    let body = json!({"checklist": {"add": lines}}).to_string();
    assert_eq!(node.ask("PATCH", &of("board/cards/abcd"), &body).await.0, 200);
    let asked = node.script.asked();
    let Some((Command::Board(_, BoardCommand::SetCard(_, changes)), _)) = asked.first() else {
        panic!("{asked:?}")
    };
    assert_eq!(changes.len(), RECORD_FIELDS_MAX + 1, "nothing is left out on the way");
}

#[tokio::test]
async fn a_list_of_issues_is_given_in_pages() {
    let node = node().await;
    let (_, first) = node.ask("GET", &of("issues?limit=2"), "").await;
    let ids = |page: &Value| -> Vec<String> {
        let issues = page["issues"].as_array().unwrap().iter();
        issues.map(|issue| issue["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&first), [thing(1), thing(2)].map(|id| id.to_string()));
    let next = first["next"].as_str().unwrap();
    let (_, second) = node.ask("GET", &of(&format!("issues?limit=2&after={next}")), "").await;
    assert_eq!((ids(&second), &second["next"]), (vec![thing(4).to_string()], &Value::Null));
    for wrong in ["limit=0".to_owned(), format!("limit={}", ENTRIES_MAX + 1), "after=1".into()] {
        assert_eq!(node.ask("GET", &of(&format!("issues?{wrong}")), "").await.0, 400, "{wrong}");
    }
}
