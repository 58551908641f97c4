//! What several do at one time: what each takes back of it, and where each is seen.

use fourword_protocol::command::{
    Command, LeftView, Presence, PresentView, RefusalCode, Reply, RevertedView, Scene,
};
use fourword_protocol::ids::DeviceKey;
use fourword_protocol::limits::PRESENCE_SELECTED_MAX;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::Number;
use fourword_protocol::schema::things::Stays;
use serde_json::{Value, json};

use crate::program::run;
use crate::script::{Node, WORDS, done, person, refused, words};
use crate::things::{self, of, thing};

fn pointing() -> Presence {
    let number = |number| Number::new(number).unwrap();
    Presence::Pointing { at: Some((number(1.5), number(-2.0))), selected: vec![thing(5)] }
}

pub(crate) fn answer(command: &Command) -> Reply {
    match command {
        Command::Undo(..) | Command::Redo(..) => Reply::Reverted(RevertedView {
            things: vec![thing(2)],
            left: vec![LeftView { thing: Some(thing(3)), field: "place".into(), why: Stays::Changed }],
            undo: 4,
            redo: 1,
        }),
        Command::Present(_) => Reply::Present(vec![
            PresentView { person: person(), device: DeviceKey([7; 32]), presence: pointing() },
            PresentView { person: person(), device: DeviceKey([7; 32]), presence: Presence::Typing },
        ]),
        _ => Reply::Ok,
    }
}

async fn node() -> Node {
    Node::start(|command| done(answer(command))).await
}

#[tokio::test]
async fn each_request_about_what_is_done_together_becomes_its_command() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    let place = json!({"pointing": {"at": [1.5, -2.0], "selected": [thing(5).to_string()]}});
    let nowhere = Presence::Pointing { at: None, selected: Vec::new() };
    for (method, path, body, command) in [
        ("POST", "undo/board", Value::Null, Command::Undo(words(), Concern::Kanban)),
        ("POST", "undo/issues", Value::Null, Command::Undo(words(), Concern::Issues)),
        ("POST", "redo/canvas", Value::Null, Command::Redo(words(), Concern::Canvas)),
        ("GET", "presence", Value::Null, Command::Present(words())),
        ("PUT", "presence", place, Command::Point(words(), pointing())),
        ("PUT", "presence", json!({"pointing": {"at": null}}), Command::Point(words(), nowhere)),
        ("PUT", "presence", json!("typing"), Command::Point(words(), Presence::Typing)),
        ("DELETE", "presence/canvas", Value::Null, Command::Unpoint(words(), Scene::Canvas)),
        ("DELETE", "presence/chat", Value::Null, Command::Unpoint(words(), Scene::Chat)),
        ("DELETE", "documents/chat", Value::Null, Command::Drop(words(), Concern::Chat)),
        ("PUT", "documents/board", Value::Null, Command::Keep(words(), Concern::Kanban)),
        ("PUT", "documents/kanban", Value::Null, Command::Keep(words(), Concern::Kanban)),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &of(path), &body).await;
        assert_eq!(status, 403, "{method} {path}: {problem}");
        assert_eq!(node.script.asked(), [(command, None)], "{method} {path}");
    }
}

#[tokio::test]
async fn what_names_no_document_no_scene_and_no_element_does_not_reach_the_node() {
    let node = node().await;
    let many = vec![thing(5).to_string(); PRESENCE_SELECTED_MAX + 1];
    for (method, path, body, status) in [
        ("POST", "undo/chat", Value::Null, 404),
        ("DELETE", "presence/board", Value::Null, 404),
        ("PUT", "presence", json!({"pointing": {"at": null, "selected": ["abcd"]}}), 400),
        ("PUT", "presence", json!({"pointing": {"at": null, "selected": many}}), 400),
        ("PUT", "presence", json!({"pointing": {"at": [1]}}), 400),
        ("PUT", "presence", json!({"sleeping": {}}), 400),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (told, problem) = node.ask(method, &of(path), &body).await;
        assert_eq!(told, status, "{method} {path} {body}: {problem}");
        assert!(node.script.asked().is_empty(), "{method} {path} {body}");
    }
}

#[tokio::test]
async fn who_is_seen_is_told_with_the_place() {
    let node = node().await;
    let (status, seen) = node.ask("GET", &of("presence"), "").await;
    assert_eq!(status, 200, "{seen}");
    let place = json!({"at": [1.5, -2.0], "selected": [thing(5).to_string()]});
    assert_eq!(seen["present"][0]["doing"], json!({"pointing": place}));
    assert_eq!(seen["present"][1]["doing"], json!("typing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_who_is_seen_and_where() {
    let ran = run(&node().await, &["group", "present", WORDS]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].ends_with(" is on the canvas at 1.5, -2, 1 element selected"), "{lines:?}");
    assert!(lines[1].ends_with(" writes a message") && lines.len() == 2, "{lines:?}");
    let nobody = Node::start(|_| done(Reply::Present(Vec::new()))).await;
    let ran = run(&nobody, &["group", "present", WORDS]).await;
    assert_eq!(ran.out, "Nobody who is connected is seen on the canvas or writing.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_others_where_one_is_and_that_one_is_gone() {
    let node = Node::start(|command| match command {
        Command::Canvas(..) => done(things::answer(command)),
        command => done(answer(command)),
    })
    .await;
    let (whole, nowhere) = (thing(5).to_string(), Presence::Pointing { at: None, selected: Vec::new() });
    let short = thing(5).short();
    for (arguments, command) in [
        (vec!["canvas", "--at", "1.5,-2", "--selected", &short], Command::Point(words(), pointing())),
        (vec!["canvas", "--at", "1.5,-2", "--selected", &whole], Command::Point(words(), pointing())),
        (vec!["canvas"], Command::Point(words(), nowhere)),
        (vec!["chat"], Command::Point(words(), Presence::Typing)),
        (vec!["chat", "--gone"], Command::Unpoint(words(), Scene::Chat)),
        (vec!["canvas", "--gone"], Command::Unpoint(words(), Scene::Canvas)),
    ] {
        let line = [&["group", "appear", WORDS, "--json"][..], &arguments].concat();
        let ran = run(&node, &line).await;
        assert_eq!((ran.code, ran.json()), (0, json!({"done": true})), "{line:?} {ran:?}");
        assert_eq!(node.script.asked().pop(), Some((command, None)), "{line:?}");
    }
    for (arguments, code) in [
        (vec!["chat", "--at", "1,2"], 2),
        (vec!["board"], 2),
        (vec!["canvas", "--selected", "zzzz"], 3),
        (vec!["canvas", "--gone", "--at", "1,2"], 2),
    ] {
        let line = [&["group", "appear", WORDS][..], &arguments].concat();
        let ran = run(&node, &line).await;
        assert_eq!(ran.code, code, "{line:?} {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_back_says_what_changed_and_what_stays() {
    let node = node().await;
    for (noun, concern) in
        [("board", Concern::Kanban), ("issue", Concern::Issues), ("canvas", Concern::Canvas)]
    {
        let ran = run(&node, &[noun, "undo", WORDS]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        for part in ["changed  ", "place  somebody else changed it since", "4 more to undo, 1 to redo"] {
            assert!(ran.out.contains(part), "{part}: {}", ran.out);
        }
        let ran = run(&node, &[noun, "redo", WORDS, "--json"]).await;
        assert_eq!(ran.json()["left"][0]["field"], "place");
        let expected = [Command::Undo(words(), concern), Command::Redo(words(), concern)];
        let asked: Vec<Command> = node.script.asked().into_iter().map(|(command, _)| command).collect();
        assert_eq!(asked, expected);
    }
}
