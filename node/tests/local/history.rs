//! The versions of documents over the API and the command line: what is asked of the node, what is
//! told, and how it fails.

use fourword_protocol::command::{
    ChangeView, Command, DifferenceView, DifferencesView, FieldView, HistoryCommand, LeftView, RefusalCode,
    Reply, RevertedView, VersionView, VersionsView,
};
use fourword_protocol::history::VersionId;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::things::Stays;
use fourword_protocol::schema::told::{Did, Presence};
use fourword_protocol::time::WallTime;
use serde_json::{Value, json};

use crate::program::{run, run_with};
use crate::script::{Node, WORDS, done, person, refused, words};
use crate::things::{of, thing};

const VERSION: VersionId = VersionId([7; 8]);

fn versions() -> VersionsView {
    let change = ChangeView {
        thing: Some(thing(2)),
        did: Did::Moved,
        field: "pos".into(),
        text: "moved card \"paint\" to \"done\"".into(),
    };
    let one = VersionView {
        id: VERSION,
        by: vec![person()],
        times: Some((WallTime(60_000), WallTime(120_000))),
        count: 1,
        changes: vec![change],
        more: 0,
    };
    let taken =
        VersionView { id: VersionId([8; 8]), by: vec![], times: None, count: 0, changes: vec![], more: 0 };
    VersionsView { versions: vec![one, taken], has_more: true }
}

/// A page of differences, of which there are two.
fn differences(after: bool) -> DifferencesView {
    let field = FieldView {
        field: "title".into(),
        part: String::new(),
        before: Some("café".into()),
        after: Some("cafè".into()),
    };
    let changed = DifferenceView {
        thing: Some(thing(2)),
        noun: "card".into(),
        title: "cafè".into(),
        presence: Presence::Both,
        fields: vec![field],
    };
    let gone = DifferenceView {
        thing: Some(thing(3)),
        presence: Presence::Removed,
        fields: vec![],
        ..changed.clone()
    };
    match after {
        false => DifferencesView { things: vec![changed], next: Some(thing(2)) },
        true => DifferencesView { things: vec![gone], next: None },
    }
}

pub(crate) fn answer(command: &Command) -> Reply {
    match command {
        Command::History(_, _, HistoryCommand::List { .. }) => Reply::Versions(versions()),
        Command::History(_, _, HistoryCommand::Compare { after, .. }) => {
            Reply::Differences(differences(after.is_some()))
        }
        Command::History(_, _, HistoryCommand::Restore { .. }) => Reply::Reverted(RevertedView {
            things: vec![thing(2)],
            left: vec![LeftView { thing: Some(thing(3)), field: String::new(), why: Stays::NotAllowed }],
            undo: 3,
            redo: 0,
        }),
        _ => Reply::Ok,
    }
}

async fn node() -> Node {
    Node::start(|command| done(answer(command))).await
}

fn list(of: Option<&str>, before: Option<&str>, limit: usize) -> HistoryCommand {
    HistoryCommand::List { of: of.map(Into::into), before: before.map(Into::into), limit }
}

fn compare(from: Option<&str>, to: Option<&str>, of: Option<&str>) -> HistoryCommand {
    HistoryCommand::Compare {
        from: from.map(Into::into),
        to: to.map(Into::into),
        of: of.map(Into::into),
        after: None,
    }
}

fn restore(version: &str, of: Option<&str>) -> HistoryCommand {
    HistoryCommand::Restore { version: version.into(), of: of.map(Into::into) }
}

#[tokio::test]
async fn each_request_about_versions_becomes_its_command() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    let after =
        HistoryCommand::Compare { from: None, to: Some("aaaa".into()), of: None, after: Some(thing(5)) };
    let place = format!("diff/canvas?to=aaaa&after={}", thing(5));
    let all = json!({"version": "aaaa"});
    let one = json!({"version": "aaaa", "thing": "pain"});
    for (method, path, body, concern, command) in [
        ("GET", "history/board", Value::Null, Concern::Kanban, list(None, None, 50)),
        ("GET", "history/chat?limit=5", Value::Null, Concern::Chat, list(None, None, 5)),
        (
            "GET",
            "history/issues?thing=leak&before=aaaa",
            Value::Null,
            Concern::Issues,
            list(Some("leak"), Some("aaaa"), 50),
        ),
        ("GET", "diff/board?from=aaaa", Value::Null, Concern::Kanban, compare(Some("aaaa"), None, None)),
        (
            "GET",
            "diff/board?from=aaaa&to=bbbb&thing=pain",
            Value::Null,
            Concern::Kanban,
            compare(Some("aaaa"), Some("bbbb"), Some("pain")),
        ),
        ("GET", &place, Value::Null, Concern::Canvas, after),
        ("POST", "restore/board", all, Concern::Kanban, restore("aaaa", None)),
        ("POST", "restore/chat", one, Concern::Chat, restore("aaaa", Some("pain"))),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &of(path), &body).await;
        assert_eq!(status, 403, "{method} {path}: {problem}");
        assert_eq!(node.script.asked(), [(Command::History(words(), concern, command), None)], "{path}");
    }
}

#[tokio::test]
async fn what_names_no_document_and_no_version_does_not_reach_the_node() {
    let node = node().await;
    for (method, path, body, status) in [
        ("GET", "history/core", Value::Null, 404),
        ("GET", "history/board?before=a", Value::Null, 400),
        ("GET", "history/board?limit=x", Value::Null, 400),
        ("GET", "history/board?colour=red", Value::Null, 400),
        ("GET", "diff/board?from=01", Value::Null, 400),
        ("GET", "diff/board?after=x", Value::Null, 400),
        ("POST", "restore/board", json!({}), 400),
        ("POST", "restore/board", json!({"version": "a b c"}), 400),
        ("POST", "restore/board", json!({"version": "aaaa", "thing": ""}), 400),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (told, problem) = node.ask(method, &of(path), &body).await;
        assert_eq!(told, status, "{method} {path} {body}: {problem}");
        assert!(node.script.asked().is_empty(), "{method} {path} {body}");
    }
}

#[tokio::test]
async fn versions_are_told_with_who_when_and_what_and_where_to_go_on() {
    let node = node().await;
    let (status, told) = node.ask("GET", &of("history/board"), "").await;
    assert_eq!(status, 200, "{told}");
    let one = &told["versions"][0];
    assert_eq!((&one["id"], &one["time"]), (&json!(VERSION.to_string()), &json!(120_000)));
    assert_eq!(one["since"], Value::Null, "it is one version");
    assert_eq!(one["changes"][0]["did"], json!("moved"));
    assert_eq!(one["changes"][0]["thing"], json!(thing(2).to_string()));
    assert_eq!(told["versions"][1]["by"], json!([]));
    assert_eq!(told["next"], told["versions"][1]["id"]);
}

#[tokio::test]
async fn what_differs_in_a_text_is_told_by_characters() {
    let node = node().await;
    let (status, told) = node.ask("GET", &of("diff/board?from=aaaa"), "").await;
    assert_eq!(status, 200, "{told}");
    let field = &told["things"][0]["fields"][0];
    assert_eq!(field["pieces"], json!([{"same": "caf"}, {"removed": "é"}, {"added": "è"}]));
    assert_eq!(told["things"][0]["presence"], json!("changed"));
    assert_eq!(told["next"], json!(thing(2).to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_versions_and_what_differs() {
    let node = node().await;
    let ran = run(&node, &["history", WORDS, "board"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("1970-01-01 00:02") && ran.out.contains(": moved card \"paint\""),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("taken as it was from another device"), "{}", ran.out);
    assert!(ran.out.ends_with(&format!("more: --before {}\n", &VersionId([8; 8]).to_string()[..8])));
    let ran = run(&node, &["diff", WORDS, "board", "aaaa"]).await;
    assert!(ran.out.contains("title: caf[-é-]{+è+}"), "{}", ran.out);
    assert!(ran.out.contains("\n- card"), "the second page, too: {}", ran.out);
    let ran = run(&node, &["diff", WORDS, "board", "aaaa", "--json"]).await;
    assert_eq!(ran.json()["things"].as_array().map(Vec::len), Some(2));
    assert_eq!(ran.json()["next"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_of_the_command_line_asks_for_its_versions() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    for (line, concern, command) in [
        ("history W board", Concern::Kanban, list(None, None, 20)),
        ("history W chat hell --limit 3", Concern::Chat, list(Some("hell"), None, 3)),
        ("history W issues --before aaaa", Concern::Issues, list(None, Some("aaaa"), 20)),
        ("history W canvas --at aaaa", Concern::Canvas, compare(None, Some("aaaa"), None)),
        ("diff W board aaaa", Concern::Kanban, compare(Some("aaaa"), None, None)),
        (
            "diff W board aaaa bbbb --of pain",
            Concern::Kanban,
            compare(Some("aaaa"), Some("bbbb"), Some("pain")),
        ),
        ("restore W board aaaa pain", Concern::Kanban, restore("aaaa", Some("pain"))),
        ("restore W board aaaa --yes", Concern::Kanban, restore("aaaa", None)),
    ] {
        let arguments: Vec<&str> =
            line.split(' ').map(|word| if word == "W" { WORDS } else { word }).collect();
        let ran = run(&node, &arguments).await;
        assert_eq!(ran.code, 4, "{line}: {ran:?}");
        assert_eq!(node.script.asked(), [(Command::History(words(), concern, command), None)], "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_document_is_brought_back_only_with_a_yes_and_what_stays_is_said() {
    let node = node().await;
    let ran = run(&node, &["restore", WORDS, "board", "aaaa"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(node.script.asked().is_empty());
    let ran = run_with(&node, &["restore", WORDS, "board", "aaaa", "--yes"], "").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in ["changed  ", "only an admin may do that, or who made it", "3 more to undo"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
}
