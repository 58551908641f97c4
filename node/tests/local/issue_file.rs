//! The issues of a group as one file, over the API and on the command line.

use fourword_protocol::command::{Change, Command, CommentCommand, IssueCommand, RefusalCode};
use fourword_protocol::schema::field::Value as Held;
use serde_json::{Value, json};

use crate::program::{run, run_with};
use crate::script::{Node, WORDS, done, refused, words};
use crate::things::{answer, node, of, thing};

fn text(field: &str, text: &str) -> Change {
    Change::Field(field.into(), Held::Text(text.into()))
}

fn of_issue(command: IssueCommand) -> Command {
    Command::Issue(words(), command)
}

/// The file that `issue export` prints of the scripted node.
async fn exported(node: &Node) -> Value {
    let ran = run(node, &["issue", "export", WORDS]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_all_issues_with_what_was_said() {
    let node = node().await;
    let file = exported(&node).await;
    let record = |title: &str| {
        json!({
            "title": title, "description": "", "status": "todo", "priority": "", "assignee": "abababab",
            "labels": ["wet"], "reporter": "Ada", "created": 1000,
            "comments": [{"author": "Ada", "time": 3000, "text": "which colour?"}],
        })
    };
    let issues = [record("leak 1"), record("leak 2"), record("leak 4")];
    assert_eq!(file, json!({"version": 1, "issues": issues}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reports_each_issue_and_says_again_what_was_said() {
    let node = node().await;
    let file = exported(&node).await.to_string();
    node.script.asked();
    let ran = run_with(&node, &["issue", "import", WORDS, "-", "--json"], &file).await;
    let made = thing(9).to_string();
    assert_eq!(ran.json(), json!({"imported": [made, made, made], "failed": [], "untried": 0}));
    let asked: Vec<Command> = node.script.asked().into_iter().map(|(command, _)| command).collect();
    let changes = vec![
        text("status", "todo"),
        Change::Assign("abababab".into(), true),
        Change::Label("wet".into(), true),
    ];
    let add = |title: &str| of_issue(IssueCommand::Add { title: title.into(), changes: changes.clone() });
    let say = || {
        let text = "Ada, 1970-01-01 00:00 UTC:\nwhich colour?".into();
        of_issue(IssueCommand::Comment(CommentCommand::Add { about: made.clone(), text }))
    };
    assert_eq!(asked, [add("leak 1"), say(), add("leak 2"), say(), add("leak 4"), say()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_does_not_take_is_listed_with_the_reason() {
    let node = Node::start(|command| match command {
        Command::Issue(_, IssueCommand::Add { title, .. }) if title == "bad" => refused(RefusalCode::Usage),
        Command::Issue(_, IssueCommand::Comment(CommentCommand::Add { text, .. }))
            if text.ends_with("no") =>
        {
            refused(RefusalCode::TooMuch)
        }
        command => done(answer(command)),
    })
    .await;
    let said = |text| json!([{"author": "Ada", "time": 0, "text": text}]);
    let many: Vec<Value> = (0..=1_000).map(|_| said("x")[0].take()).collect();
    let issues = json!([
        {"title": "good"}, {"title": "bad"}, {"title": "odd", "colour": "red"}, 7,
        {"title": "half", "comments": said("no")}, {"title": "much", "comments": many}, {"title": "good"},
    ]);
    let file = json!({"version": 1, "issues": issues}).to_string();
    let ran = run_with(&node, &["issue", "import", WORDS, "-", "--json"], &file).await;
    let told = ran.json();
    assert_eq!((ran.code, told["imported"].as_array().unwrap().len()), (1, 3), "{told}");
    let failed: Vec<_> = told["failed"].as_array().unwrap().iter().collect();
    let numbers: Vec<_> = failed.iter().map(|fault| fault["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6]);
    assert_eq!(failed[0]["message"], "it is so");
    assert!(failed[1]["message"].as_str().unwrap().contains("unknown field `colour`"), "{told}");
    assert_eq!((&failed[3]["title"], &failed[3]["code"]), (&json!("half"), &json!("too_much")));
    assert!(failed[3]["message"].as_str().unwrap().contains("not its comment 1"), "{told}");
    assert_eq!(failed[4]["code"], "too_much");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_ends_where_the_node_can_do_no_more() {
    let node = Node::start(|_| refused(RefusalCode::Storage)).await;
    let file = json!({"version": 1, "issues": [{"title": "a"}, {"title": "b"}, {"title": "c"}]}).to_string();
    let ran = run_with(&node, &["issue", "import", WORDS, "-", "--json"], &file).await;
    let told = ran.json();
    assert_eq!((ran.code, told["failed"].as_array().unwrap().len(), &told["untried"]), (1, 1, &json!(2)));
    assert_eq!(node.script.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_export_changes_nothing() {
    let node = node().await;
    for file in ["", "[]", "{\"version\": 2, \"issues\": []}", "{\"version\": 1}"] {
        let ran = run_with(&node, &["issue", "import", WORDS, "-", "--json"], file).await;
        assert_eq!((ran.code, &ran.error()["error"]["code"]), (2, &json!("usage")), "{file}");
    }
    let ran = run(&node, &["issue", "import", WORDS, "/nowhere/at/all", "--json"]).await;
    assert_eq!(ran.code, 2);
    let large = " ".repeat(32 * 1024 * 1024 + 1);
    let ran = run_with(&node, &["issue", "import", WORDS, "-", "--json"], &large).await;
    assert!(ran.error()["error"]["message"].as_str().unwrap().contains("33554432 bytes"), "{ran:?}");
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_writes_the_same_file_as_the_program_and_takes_it() {
    let node = node().await;
    let (status, file) = node.ask("GET", &of("issues/export"), "").await;
    assert_eq!((status, &file), (200, &exported(&node).await));
    node.script.asked();
    let (status, told) = node.ask("POST", &of("issues/import"), &file.to_string()).await;
    let made = thing(9).to_string();
    assert_eq!((status, told), (200, json!({"imported": [made, made, made], "failed": [], "untried": 0})));
    assert_eq!(node.script.asked().len(), 6, "each issue and what was said about it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_the_api_is_bounded_and_all_that_is_wrong_in_it_is_told() {
    let node = Node::start(|command| match command {
        Command::Issue(_, IssueCommand::Add { title, .. }) if title == "bad" => refused(RefusalCode::Usage),
        command => done(answer(command)),
    })
    .await;
    let import = of("issues/import");
    let file = |issues: Value| json!({"version": 1, "issues": issues}).to_string();
    let (_, told) = node.ask("POST", &import, &file(json!([{"title": "bad"}, {"title": "good"}, 7]))).await;
    let of_each = |name: &str| told["failed"].as_array().unwrap().iter().map(|f| f[name].clone()).collect();
    let (numbers, titles): (Vec<Value>, Vec<Value>) = (of_each("number"), of_each("title"));
    assert_eq!((numbers, titles), (vec![json!(1), json!(3)], vec![json!("bad"), json!("")]));
    assert_eq!(told["imported"].as_array().unwrap().len(), 1, "{told}");
    node.script.asked();
    // What is wrong again and again is not tried to the end, and a long reason is shortened.
    let many = vec![json!({"x".repeat(5_000): 1}); 1_010];
    let (_, told) = node.ask("POST", &import, &file(Value::Array(many))).await;
    assert_eq!((told["failed"].as_array().unwrap().len(), &told["untried"]), (1_000, &json!(10)));
    assert!(told["failed"][0]["message"].as_str().unwrap().len() < 300);
    let large = file(json!([{"title": "x".repeat(32 * 1024 * 1024)}]));
    for (body, expected) in [(large.as_str(), 413), ("[]", 400), ("{\"version\": 2, \"issues\": []}", 400)] {
        assert_eq!(node.ask("POST", &import, body).await.0, expected);
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_at_once_one_is_taken_and_the_other_is_told_to_wait() {
    let (asked, waits) = std::sync::mpsc::channel();
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    let (asked, held) = (std::sync::Mutex::new(asked), std::sync::Mutex::new(held));
    let node = Node::start(move |command| {
        if let Command::Issue(..) = command {
            asked.lock().unwrap().send(()).unwrap();
            held.lock().unwrap().recv().unwrap();
        }
        done(answer(command))
    })
    .await;
    let file = json!({"version": 1, "issues": [{"title": "a"}]}).to_string();
    let import = of("issues/import");
    let (first, second) = tokio::join!(node.ask("POST", &import, &file), async {
        tokio::task::spawn_blocking(move || waits.recv().unwrap()).await.unwrap();
        let second = node.ask("POST", &import, &file).await;
        go_on.send(()).unwrap();
        second
    });
    assert_eq!((first.0, second.0, &second.1["code"]), (200, 429, &json!("too_much")));
}
