//! Requests about boards, issues and canvases, each with the command that it becomes.

use fourword_protocol::command::{
    At, BoardCommand, CanvasCommand, CardFilter, Change, CommentCommand, IssueCommand, IssueFilter,
    ThingFilter,
};
use fourword_protocol::schema::field::{Number, Value as Held};
use serde_json::{Value, json};

fn number(number: f64) -> Number {
    Number::new(number).unwrap()
}

fn text(field: &str, text: &str) -> Change {
    Change::Field(field.into(), Held::Text(text.into()))
}

/// What is asked of cards and issues alike, but for the author, who is ben.
const SOUGHT: &str = "priority=low&assignee=&label=wet&label=in%20house&text=roof";

fn sought() -> ThingFilter {
    ThingFilter {
        priorities: vec!["low".into()],
        assignee: Some(String::new()),
        author: Some("Ben".into()),
        labels: vec!["wet".into(), "in house".into()],
        text: "roof".into(),
    }
}

pub(crate) type BoardRequest = (&'static str, String, Value, BoardCommand);

pub(crate) fn column_requests() -> Vec<BoardRequest> {
    let column = || "to do".to_owned();
    let filter = CardFilter {
        thing: sought(),
        column: Some(column()),
        due_before: Some("2026-12-01".into()),
        is_overdue: Some(true),
    };
    let query = format!("column=to%20do&due_before=2026-12-01&overdue=true&author=Ben&{SOUGHT}");
    vec![
        ("GET", "board".into(), Value::Null, BoardCommand::Show(CardFilter::default())),
        ("GET", "board/archive".into(), Value::Null, BoardCommand::Archived(CardFilter::default())),
        ("GET", format!("board?{query}"), Value::Null, BoardCommand::Show(filter.clone())),
        ("GET", format!("board/archive?{query}&limit=5"), Value::Null, BoardCommand::Archived(filter)),
        (
            "POST",
            "board/columns".into(),
            json!({"title": "to do", "limit": 3, "at": "first"}),
            BoardCommand::AddColumn { title: column(), limit: 3, at: At::First },
        ),
        (
            "PATCH",
            "board/columns/to%20do".into(),
            json!({"title": "done", "limit": 0}),
            BoardCommand::SetColumn(
                column(),
                vec![text("title", "done"), Change::Field("limit".into(), Held::Whole(0))],
            ),
        ),
        (
            "PUT",
            "board/columns/to%20do/place".into(),
            json!({"at": {"after": "done"}}),
            BoardCommand::MoveColumn(column(), At::After("done".into())),
        ),
        ("DELETE", "board/columns/to%20do".into(), Value::Null, BoardCommand::DeleteColumn(column())),
    ]
}

fn new_card() -> BoardRequest {
    let changes = vec![
        text("description", "white"),
        text("priority", "low"),
        text("due", "2026-12-01"),
        Change::Assign("Ben".into(), true),
        Change::Label("house".into(), true),
        Change::AddLine("brush".into()),
    ];
    let body = json!({
        "title": "paint", "column": "to do", "at": {"before": "abcd"}, "over_limit": true,
        "description": "white", "assignees": ["Ben"], "priority": "low", "labels": ["house"],
        "due": "2026-12-01", "checklist": ["brush"],
    });
    let (title, column, at) = ("paint".into(), "to do".into(), At::Before("abcd".into()));
    let command = BoardCommand::AddCard { title, column, at, changes, over: true };
    ("POST", "board/cards".into(), body, command)
}

fn changed_card() -> BoardRequest {
    let body = json!({
        "title": "paint it", "priority": "", "due": "", "assignees": {"Ben": false}, "labels": {"house": false, "wet": true},
        "checklist": {"add": ["ladder"], "set": {"abcd": ""}, "done": {"efgh": true}},
    });
    let changes = vec![
        text("title", "paint it"),
        text("priority", ""),
        text("due", ""),
        Change::Assign("Ben".into(), false),
        Change::Label("house".into(), false),
        Change::Label("wet".into(), true),
        Change::AddLine("ladder".into()),
        Change::Line("abcd".into(), String::new()),
        Change::Tick("efgh".into(), true),
    ];
    ("PATCH", "board/cards/paintpai".into(), body, BoardCommand::SetCard("paintpai".into(), changes))
}

pub(crate) fn card_requests() -> Vec<BoardRequest> {
    let card = || "paintpai".to_owned();
    vec![
        ("GET", "board/cards/paintpai".into(), Value::Null, BoardCommand::Card(card())),
        new_card(),
        changed_card(),
        (
            "PUT",
            "board/cards/paintpai/place".into(),
            json!({"column": "to do"}),
            BoardCommand::MoveCard { card: card(), column: "to do".into(), at: At::Last, over: false },
        ),
        ("PUT", "board/cards/paintpai/archived".into(), Value::Null, BoardCommand::Archive(card(), true)),
        ("DELETE", "board/cards/paintpai/archived".into(), Value::Null, BoardCommand::Archive(card(), false)),
        ("DELETE", "board/cards/paintpai".into(), Value::Null, BoardCommand::DeleteCard(card())),
        (
            "POST",
            "board/cards/paintpai/comments".into(),
            json!({"text": "which?"}),
            BoardCommand::Comment(CommentCommand::Add { about: card(), text: "which?".into() }),
        ),
        (
            "PATCH",
            "card-comments/abcd".into(),
            json!({"text": "that"}),
            BoardCommand::Comment(CommentCommand::Edit { comment: "abcd".into(), text: "that".into() }),
        ),
        (
            "DELETE",
            "card-comments/abcd".into(),
            Value::Null,
            BoardCommand::Comment(CommentCommand::Delete("abcd".into())),
        ),
    ]
}

pub(crate) fn issue_requests() -> Vec<(&'static str, String, Value, IssueCommand)> {
    let filter =
        IssueFilter { thing: sought(), statuses: vec!["todo".into(), "done".into()], is_closed: Some(false) };
    let query = format!("status=todo&status=done&closed=false&reporter=Ben&{SOUGHT}");
    vec![
        ("GET", "issues".into(), Value::Null, IssueCommand::List(IssueFilter::default())),
        ("GET", format!("issues?{query}"), Value::Null, IssueCommand::List(filter)),
        ("GET", "issues/leakleak".into(), Value::Null, IssueCommand::Show("leakleak".into())),
        (
            "POST",
            "issues".into(),
            json!({
                "title": "leak", "description": "wet", "status": "todo", "priority": "urgent",
                "assignee": "Ben", "labels": ["house"],
            }),
            IssueCommand::Add {
                title: "leak".into(),
                changes: vec![
                    text("description", "wet"),
                    text("status", "todo"),
                    text("priority", "urgent"),
                    Change::Assign("Ben".into(), true),
                    Change::Label("house".into(), true),
                ],
            },
        ),
        (
            "PATCH",
            "issues/leakleak".into(),
            json!({"status": "done", "priority": "", "assignee": "", "labels": {"house": false}}),
            IssueCommand::Set(
                "leakleak".into(),
                vec![
                    text("status", "done"),
                    text("priority", ""),
                    Change::Field("assignee".into(), Held::Person(None)),
                    Change::Label("house".into(), false),
                ],
            ),
        ),
        ("DELETE", "issues/leakleak".into(), Value::Null, IssueCommand::Delete("leakleak".into())),
        (
            "POST",
            "issues/leakleak/comments".into(),
            json!({"text": "mended"}),
            IssueCommand::Comment(CommentCommand::Add { about: "leakleak".into(), text: "mended".into() }),
        ),
        (
            "PATCH",
            "issue-comments/abcd".into(),
            json!({"text": "no"}),
            IssueCommand::Comment(CommentCommand::Edit { comment: "abcd".into(), text: "no".into() }),
        ),
        (
            "DELETE",
            "issue-comments/abcd".into(),
            Value::Null,
            IssueCommand::Comment(CommentCommand::Delete("abcd".into())),
        ),
    ]
}

pub(crate) fn canvas_requests() -> Vec<(&'static str, String, Value, CanvasCommand)> {
    let field = |name: &str, value| Change::Field(name.into(), value);
    let clear = |name: &str| Change::Clear(name.into());
    let all = json!({
        "element_type": "shape", "place": [1, -2.5], "size": [10, 5], "rotation": 45, "z_index": -3,
        "text": "a", "shape": "line", "points": [0, 1], "image": "ab".repeat(32), "chart": "pie",
        "values": [0.5], "fill": "red", "stroke": "blue", "stroke_width": 2, "font_size": 12,
    });
    let changes = vec![
        text("element_type", "shape"),
        text("text", "a"),
        text("shape", "line"),
        text("chart", "pie"),
        text("fill", "red"),
        text("stroke", "blue"),
        field("place", Held::Pair(number(1.0), number(-2.5))),
        field("size", Held::Pair(number(10.0), number(5.0))),
        field("rotation", Held::Number(number(45.0))),
        field("z_index", Held::Whole(-3)),
        field("points", Held::Numbers(vec![number(0.0), number(1.0)])),
        field("image", Held::Blob([0xab; 32])),
        field("values", Held::Numbers(vec![number(0.5)])),
        field("stroke_width", Held::Number(number(2.0))),
        field("font_size", Held::Number(number(12.0))),
    ];
    vec![
        ("GET", "canvas".into(), Value::Null, CanvasCommand::Show),
        ("POST", "canvas/elements".into(), all, CanvasCommand::Add(changes)),
        (
            "PATCH",
            "canvas/elements/abcd".into(),
            json!({"fill": "red"}),
            CanvasCommand::Set("abcd".into(), vec![text("fill", "red")]),
        ),
        (
            "PATCH",
            "canvas/elements/abcd".into(),
            json!({"rotation": null, "z_index": null, "image": null, "fill": ""}),
            CanvasCommand::Set(
                "abcd".into(),
                vec![text("fill", ""), clear("rotation"), clear("z_index"), clear("image")],
            ),
        ),
        ("PATCH", "canvas".into(), json!({"height": null}), CanvasCommand::Metadata("height".into(), None)),
        ("DELETE", "canvas/elements/abcd".into(), Value::Null, CanvasCommand::Delete("abcd".into())),
        (
            "PATCH",
            "canvas".into(),
            json!({"width": 800}),
            CanvasCommand::Metadata("width".into(), Some(Held::Number(number(800.0)))),
        ),
        (
            "PATCH",
            "canvas".into(),
            json!({"background_color": "#fff"}),
            CanvasCommand::Metadata("background_color".into(), Some(Held::Text("#fff".into()))),
        ),
    ]
}
