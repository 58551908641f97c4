//! Who has not seen through the API how something is now overwrites nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use fourword_protocol::command::{BoardCommand, BoardView, CardView, ColumnView, Command, EntityView, Reply};
use fourword_protocol::time::WallTime;
use serde_json::{Value, json};

use crate::script::{Node, done, group, message_id};
use crate::things::{card, column, of, thing};
use crate::{cli, script, things};

/// What a node answers in which there is one of each thing, and a message.
fn answer(command: &Command) -> Reply {
    match command {
        Command::Board(..) | Command::Issue(..) | Command::Canvas(..) => things::answer(command),
        _ => cli::answer(command),
    }
}

/// Requests that change what others may have changed, and where what is shown of it stands.
fn guarded() -> Vec<(&'static str, String, Value, String, &'static str)> {
    let at = |path: &str| path.to_owned();
    let (board, card, issue) = (at("board"), at("board/cards/aiba"), at("issues/aeaq"));
    let column = "/columns/0";
    let element = format!("canvas/elements/{}", thing(5));
    let message = format!("chat/messages/{}", message_id());
    let (said_of_card, said_of_issue) = (at("card-comments/amda"), at("issue-comments/amda"));
    let title = || json!({"title": "b"});
    let text = || json!({"text": "b"});
    vec![
        ("PATCH", at("board/columns/aeaq"), title(), board.clone(), column),
        ("PATCH", at("board/columns/Todo"), title(), board.clone(), column),
        ("DELETE", at("board/columns/todo"), Value::Null, board, column),
        ("PATCH", card.clone(), title(), card.clone(), "/card"),
        ("PUT", format!("{card}/place"), json!({"column": "todo"}), card.clone(), "/card"),
        ("PUT", format!("{card}/archived"), Value::Null, card.clone(), "/card"),
        ("DELETE", format!("{card}/archived"), Value::Null, card.clone(), "/card"),
        ("DELETE", card.clone(), Value::Null, card.clone(), "/card"),
        ("PATCH", said_of_card.clone(), text(), card.clone(), "/comments/0"),
        ("DELETE", said_of_card, Value::Null, card, "/comments/0"),
        ("PATCH", issue.clone(), title(), issue.clone(), "/issue"),
        ("DELETE", issue.clone(), Value::Null, issue.clone(), "/issue"),
        ("PATCH", said_of_issue.clone(), text(), issue.clone(), "/comments/0"),
        ("DELETE", said_of_issue, Value::Null, issue, "/comments/0"),
        ("PATCH", at("canvas"), json!({"width": 1.0}), at("canvas"), ""),
        ("PATCH", element.clone(), json!({"fill": "b"}), at("canvas"), "/elements/0"),
        ("DELETE", element, Value::Null, at("canvas"), "/elements/0"),
        ("PATCH", message.clone(), text(), message.clone(), ""),
        ("DELETE", message.clone(), Value::Null, message, ""),
        ("PATCH", at("settings"), json!({"name": "b"}), at(""), ""),
    ]
}

/// Whether one of these commands changes something.
fn changes(asked: &[(Command, Option<Duration>)]) -> bool {
    asked.iter().any(|(command, _)| match command {
        Command::Show(_) | Command::Places | Command::Copy { .. } => false,
        command => matches!(answer(command), Reply::Ok),
    })
}

#[tokio::test]
async fn who_has_not_seen_how_a_thing_is_now_overwrites_nothing_and_is_shown_it() {
    let node = Node::start(|command| done(answer(command))).await;
    for (method, path, body, shown_at, place) in guarded() {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, shown) = node.ask("GET", of(&shown_at).trim_end_matches('/'), "").await;
        assert_eq!(status, 200, "{shown_at}");
        let present = shown.pointer(place).unwrap();
        node.script.asked();
        let stale = [("if-match", "\"0000000000000000\"")];
        let response = node.send(method, &of(&path), &body, &stale).await;
        assert_eq!(response.status(), 412, "{method} {path}");
        let problem = script::value(response).await;
        assert_eq!((&problem["code"], &problem["present"]), (&json!("changed"), present), "{path}");
        assert!(!changes(&node.script.asked()), "{method} {path}: it was looked at, and not changed");
        let revision = format!("\"{}\"", present["revision"].as_str().unwrap());
        for seen in [revision.as_str(), "*"] {
            let response = node.send(method, &of(&path), &body, &[("if-match", seen)]).await;
            assert_eq!(response.status(), 200, "{method} {path} {seen}");
            assert!(changes(&node.script.asked()), "{method} {path} {seen}");
        }
        let wrong = node.send(method, &of(&path), &body, &[("if-match", "\"1\", \"2\"")]).await;
        assert_eq!(wrong.status(), 400, "{method} {path}");
    }
}

#[tokio::test]
async fn who_names_what_is_not_there_is_told_so_whatever_they_saw() {
    let node = Node::start(|command| done(answer(command))).await;
    for path in ["board/columns/nowhere", "canvas/elements/nowhere"] {
        let seen = [("if-match", "\"0000000000000000\"")];
        let response = node.send("DELETE", &of(path), "", &seen).await;
        assert_eq!(response.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn of_columns_of_one_title_none_is_compared_in_place_of_what_an_id_means() {
    let named = |number, title: &str| ColumnView { id: thing(number), title: title.into(), ..column() };
    let columns = vec![named(1, "aiba"), named(2, "b"), named(3, "aiba"), named(4, "aeaq")];
    let shown = columns.clone();
    let node = Node::start(move |command| match command {
        Command::Board(_, BoardCommand::Show(_)) => {
            done(Reply::Board(BoardView { columns: columns.clone(), loose: vec![] }))
        }
        _ => done(Reply::Ok),
    });
    let node = node.await;
    let revisions = shown.into_iter().map(|view| fourword::api::boards::Column::from(view).revision);
    let revisions: Vec<String> = revisions.map(|revision| format!("\"{revision}\"")).collect();
    // Two are called by the first digits of the second; one alone by those of the first.
    for (name, meant) in [("aiba", 1), ("aeaq", 3)] {
        for (number, revision) in revisions.iter().enumerate() {
            let seen = [("if-match", revision.as_str())];
            let response = node.send("DELETE", &of(&format!("board/columns/{name}")), "", &seen).await;
            assert_eq!(response.status() == 200, number == meant, "{name} {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_change_at_once_what_both_have_seen_one_is_refused() {
    let changes = Arc::new(AtomicU8::new(0));
    let changed = changes.clone();
    let node = Node::start(move |command| match command {
        Command::Board(_, BoardCommand::SetCard(..)) => {
            changed.fetch_add(1, Ordering::SeqCst);
            done(Reply::Ok)
        }
        _ => {
            let title = format!("changed {} times", changed.load(Ordering::SeqCst));
            // Long enough for the other to look at it too.
            std::thread::sleep(Duration::from_millis(50));
            done(Reply::Card(Box::new(CardView { title, ..card() }), Vec::new()))
        }
    });
    let node = node.await;
    let (_, seen) = node.ask("GET", &of("board/cards/aiba"), "").await;
    let revision = format!("\"{}\"", seen["card"]["revision"].as_str().unwrap());
    let (path, headers) = (of("board/cards/aiba"), [("if-match", revision.as_str())]);
    let change = || node.send("PATCH", &path, r#"{"title":"mine"}"#, &headers);
    let (one, other) = tokio::join!(change(), change());
    let mut answers = [one.status().as_u16(), other.status().as_u16()];
    answers.sort_unstable();
    assert_eq!((answers, changes.load(Ordering::SeqCst)), ([200, 412], 1));
}

#[tokio::test]
async fn a_revision_tells_apart_all_that_is_shown_of_a_card() {
    let of_card = |view: CardView| fourword::api::boards::Card::from(view).revision;
    let same = of_card(card());
    assert_eq!(same, of_card(card()));
    for other in [
        CardView { title: "Paint".into(), ..card() },
        CardView { column: None, ..card() },
        CardView { comments: 2, ..card() },
        CardView { updated: WallTime(2_001), ..card() },
    ] {
        assert_ne!(same, of_card(other));
    }
}

#[tokio::test]
async fn the_revision_of_what_holds_others_is_of_itself_alone() {
    let of_column = |view: ColumnView| fourword::api::boards::Column::from(view).revision;
    let same = of_column(column());
    assert_eq!(same, of_column(ColumnView { cards: Vec::new(), count: 0, ..column() }));
    assert_ne!(same, of_column(ColumnView { title: "done".into(), ..column() }));
    assert_ne!(same, of_column(ColumnView { limit: None, ..column() }));
    let of_group = |view: EntityView| fourword::api::groups::Group::from(view).revision;
    let same = of_group(group());
    assert_eq!(same, of_group(EntityView { members: 9, role: None, ..group() }));
    assert_ne!(same, of_group(EntityView { name: "Kitchen".into(), ..group() }));
}
