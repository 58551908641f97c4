//! The program itself, run as scripts run it: exact JSON, exit codes, nothing else on its output.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fourword_protocol::command::{
    Changes, ChatCommand, Command, DocumentCopy, DocumentSync, JoinState, MemberView, MessageView, Notice,
    PeerSync, PeerView, PlaceView, RefusalCode, Reply, Revision, Row, StandView, SyncState,
};
use fourword_protocol::ids::{DeviceKey, Digest};
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::{Attachment, Message, MessageId, NewMessage};
use fourword_protocol::schema::key;
use fourword_protocol::time::WallTime;
use serde_json::{Value, json};

use crate::program::{KilledAtEnd, program, run, run_alone, run_with};
use crate::script::{Node, WORDS, done, group, message_id, person, refused, status, stranger, words};

fn attachment() -> Attachment {
    Attachment { blob: [12; 32], size_bytes: 3, name: "plan.pdf".into() }
}

fn message() -> MessageView {
    MessageView {
        message: Message {
            id: message_id(),
            text: "Hello\x1b[2J".into(),
            time: WallTime(1_000),
            parent: None,
            attachments: vec![attachment()],
            edited: true,
            deleted: false,
        },
        author: person(),
        reactions: vec![("👍".into(), vec![person(), stranger()])],
        pinned_by: vec![stranger()],
    }
}

fn place() -> PlaceView {
    PlaceView {
        words: words(),
        id: group().id,
        name: Some("Team".into()),
        is_member: true,
        me: [0xee; 16],
        documents: vec![StandView { concern: Concern::Chat, segment: 1, digest: None, revision: None }],
        read: None,
        unaccepted: 0,
    }
}

fn copy() -> DocumentCopy {
    let changes = Changes::Some { changed: vec![Row::Message(message())], gone: Vec::new(), more: false };
    let people = Some((Digest([8; 32]), vec![person(), stranger()]));
    DocumentCopy { segments: 1, revision: None, digest: Some(Digest([9; 32])), changes, people }
}

fn message_json() -> Value {
    json!({
        "id": message_id().to_string(), "author": WORDS, "author_name": "Ada", "text": "Hello\u{1b}[2J",
        "time": 1000, "parent": null, "edited": true, "deleted": false,
        "reactions": [{"emoji": "👍", "by": [WORDS, "abababab"]}],
        "attachments": [{"name": "plan.pdf", "size": 3, "hash": "0c".repeat(32)}],
        "pinned_by": ["abababab"], "replies": 0, "mentions": [], "revision": "388ad43f3260aed9",
    })
}

pub(crate) fn group_json() -> Value {
    json!({
        "words": WORDS, "id": "05".repeat(32), "kind": "group", "name": "Team", "parent": null, "role": "owner", "members": 2,
        "description": "All about\nthe kitchen", "website": "09".repeat(32),
        "settings": {"newcomers_read_history": true, "lapse_days": 30}, "revision": "0dc277d1db25e85e",
    })
}

pub(crate) fn answer(command: &Command) -> Reply {
    let device = DeviceKey([2; 32]);
    match command {
        Command::Status => Reply::Status(status()),
        Command::Create { .. } | Command::Show(_) => Reply::Entity(group()),
        Command::Entities => Reply::Entities(vec![group()]),
        Command::Members(_) => Reply::Members(vec![MemberView {
            person: person(),
            role: Role::Admin,
            online: true,
            devices: vec![device],
        }]),
        Command::Invite { entity: _, .. } => Reply::Invite(code()),
        Command::Join { .. } => Reply::Joined(group(), JoinState::Joined),
        Command::Chat(_, ChatCommand::Send(_)) => Reply::Message(message_id()),
        Command::Places => Reply::Places(vec![place()]),
        Command::Copy { .. } => Reply::Copy(copy()),
        Command::SyncStatus(_) => Reply::Sync { documents: vec![document_sync(device)], joins: Vec::new() },
        Command::Peers => {
            Reply::Peers(vec![PeerView { device, person: Some(stranger()), shared: vec![words()] }])
        }
        Command::Phrase => Reply::Phrase("abandon ability".into()),
        _ => Reply::Ok,
    }
}

/// How a document stands of which nothing is missing.
fn document_sync(device: DeviceKey) -> DocumentSync {
    let (state, reason) = (SyncState::InSync, String::new());
    DocumentSync {
        id: format!("group:{WORDS}:chat"),
        state,
        reason: reason.clone(),
        peers: vec![PeerSync { person: person(), device, keeps: true, state, behind: 0, reason }],
        waiting: vec![("a key".into(), 2)],
        unaccepted: 1,
        tombstones: 2,
    }
}

fn code() -> InviteCode {
    InviteCode { entity: group().id, secret: [7; 16], addresses: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_prints_one_json_value_of_the_promised_shape() {
    let node = Node::start(|command| done(answer(command))).await;
    let (id, device) = (message_id().to_string(), "02".repeat(32));
    let (id, saved) = (id.as_str(), json!({"id": &id}));
    let link = format!("fourword://join/{WORDS}#{}", code());
    let joined = json!({"words": WORDS, "state": "joined", "group": group_json()});
    let peer_id = node.ask("GET", "/api/v1/peers", "").await.1["peers"][0]["peer_id"].clone();
    let cases: Vec<(Vec<&str>, Value)> = vec![
        (vec!["group", "create", "Team"], group_json()),
        (vec!["group", "show", WORDS], group_json()),
        (vec!["group", "list"], json!({"groups": [group_json()]})),
        (
            vec!["group", "members", WORDS],
            json!({"members": [{
                "identity": WORDS, "person": "01".repeat(32), "name": "Ada", "role": "admin",
                "active": true, "online": true, "devices": [device],
            }]}),
        ),
        (vec!["group", "leave", WORDS, "--yes"], json!({"words": WORDS, "left": true})),
        (vec!["join", WORDS, "--code", &link], joined.clone()),
        (vec!["join", &link], joined),
        (vec!["chat", "send", WORDS, "Hi"], saved.clone()),
        (vec!["chat", "reply", WORDS, id, "Hi"], saved.clone()),
        (vec!["chat", "edit", WORDS, id, "Ho"], saved.clone()),
        (vec!["chat", "delete", WORDS, id], saved.clone()),
        (vec!["chat", "react", WORDS, id, "👍"], saved.clone()),
        (vec!["chat", "react", WORDS, id, "👍", "--remove"], saved.clone()),
        (vec!["chat", "pin", WORDS, id], saved.clone()),
        (vec!["chat", "pin", WORDS, id, "--remove"], saved),
        (
            vec!["chat", "read", WORDS, "--last", "5"],
            json!({"messages": [message_json()], "has_older": false}),
        ),
        (vec!["chat", "mark-read", WORDS, id], json!({"words": WORDS, "read": true})),
        (
            vec!["search", "hel"],
            json!({"hits": [{
                "group": WORDS, "document": "chat", "kind": "message", "id": &id,
                "author": {"identity": WORDS, "name": "Ada"}, "time": 1000, "title": "", "closed": false,
                "about": null, "message": message_json(),
                "snippet": [{"text": "Hello", "hit": true}, {"text": "\u{1b}[2J", "hit": false}],
            }], "next": null, "complete": true}),
        ),
        (
            vec!["inbox"],
            json!({"groups": [
                {"words": WORDS, "name": "Team", "unread": 1, "or_more": false, "mentions": 0,
                 "assigned": 0, "unaccepted": 0, "last": message_json()},
            ]}),
        ),
        (vec!["index", "status"], json!({"messages": 1, "things": 0, "bytes": 0})),
        (vec!["index", "rebuild"], json!({"messages": 1, "things": 0, "bytes": 0})),
        (
            vec!["sync", "status", WORDS],
            json!({"documents": [{
                "id": format!("group:{WORDS}:chat"), "state": "in_sync", "reason": "",
                "peers": [{"identity": WORDS, "device": device, "keeps": true, "state": "in_sync", "behind": 0, "reason": ""}],
                "waiting": {"a key": 2}, "unaccepted": 1, "tombstones": 2,
            }], "joins": []}),
        ),
        (
            vec!["peers"],
            json!({"peers": [{
                "device": device, "peer_id": peer_id, "identity": "abababab", "name": "", "shared": [WORDS],
                "path": "relayed", "transport": "quic",
            }]}),
        ),
        (vec!["name", "Ada"], json!({"name": "Ada"})),
        (vec!["dial", "/ip4/192.0.2.7/tcp/1"], json!({"address": "/ip4/192.0.2.7/tcp/1"})),
        (vec!["identity", "phrase"], json!({"phrase": "abandon ability"})),
        (vec!["identity", "phrase", "--forget", "--yes"], json!({"forgotten": true})),
        (vec!["healthcheck"], json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})),
    ];
    for (mut arguments, expected) in cases {
        arguments.push("--json");
        let ran = run(&node, &arguments).await;
        assert_eq!((ran.json(), ran.code, ran.err.as_str()), (expected, 0, ""), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_has_code_and_link_and_asks_for_what_the_flags_say() {
    let node = Node::start(|command| done(answer(command))).await;
    let flags = ["invite", WORDS, "--role", "viewer", "--uses", "10", "--expires", "24h", "--json"];
    let invite = run(&node, &flags).await.json();
    assert_eq!(invite["code"], code().to_string());
    assert_eq!(invite["link"], format!("fourword://join/{WORDS}#{}", code()));
    let asked = node.script.asked();
    assert!(matches!(&asked[..], [(Command::Invite { role: Role::Viewer, uses: 10, .. }, _)]), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_of_several_segments_is_read_searched_and_counted_as_one() {
    let in_segment = |segment: u32| {
        let mut view = message();
        view.author = stranger();
        // The clock of who wrote in the second segment was behind.
        let (number, time) = if segment == 1 { (1, 2_000) } else { (2, 1_000) };
        view.message.id = MessageId { owner: key::owner(&stranger().person), random: [number; 8] };
        (view.message.text, view.message.time) = (format!("Hello from {segment}"), WallTime(time));
        let changes = Changes::Some { changed: vec![Row::Message(view)], gone: Vec::new(), more: false };
        DocumentCopy { segments: 2, changes, ..copy() }
    };
    let stand = |segment| StandView { concern: Concern::Chat, segment, digest: None, revision: None };
    let node = Node::start(move |command| {
        done(match command {
            Command::Places => {
                let documents = vec![stand(1), stand(2)];
                Reply::Places(vec![PlaceView { documents, unaccepted: 3, ..place() }])
            }
            Command::Copy { segment, .. } => Reply::Copy(in_segment(*segment)),
            other => answer(other),
        })
    });
    let node = node.await;
    let texts = |found: &Value, at: &str| -> Vec<String> {
        let all = found.as_array().unwrap().iter();
        all.map(|one| one.pointer(at).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let read = run(&node, &["chat", "read", WORDS, "--json"]).await.json();
    assert_eq!(texts(&read["messages"], "/text"), ["Hello from 2", "Hello from 1"]);
    let found = run(&node, &["search", "hello", "--json"]).await.json();
    assert_eq!(texts(&found["hits"], "/message/text"), ["Hello from 1", "Hello from 2"]);
    let inbox = run(&node, &["inbox", "--json"]).await.json();
    assert_eq!((&inbox["groups"][0]["unread"], &inbox["groups"][0]["unaccepted"]), (&json!(2), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_settled_is_asked_for_once_more_when_it_is_and_then_no_more() {
    let is_settled = Arc::new(AtomicBool::new(false));
    let settled = is_settled.clone();
    let revision = Some(Revision { reading: 1, change: 1 });
    let node = Node::start(move |command| {
        let digest = settled.load(Ordering::Acquire).then_some(Digest([9; 32]));
        done(match command {
            Command::Places => {
                let stand = StandView { concern: Concern::Chat, segment: 1, digest, revision };
                Reply::Places(vec![PlaceView { documents: vec![stand], ..place() }])
            }
            Command::Copy { .. } => Reply::Copy(DocumentCopy { revision, digest, ..copy() }),
            other => answer(other),
        })
    })
    .await;
    let mut copies = Vec::new();
    for settles in [false, false, true, true] {
        is_settled.store(settles, Ordering::Release);
        let found = run(&node, &["search", "hello", "--json"]).await.json();
        assert_eq!(found["hits"].as_array().unwrap().len(), 1);
        let asked = node.script.asked().into_iter();
        copies.push(asked.filter(|(command, _)| matches!(command, Command::Copy { .. })).count());
    }
    assert_eq!(copies, [1, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_for_people_cannot_steer_their_terminal() {
    let node = Node::start(|command| done(answer(command))).await;
    let ran = run(&node, &["chat", "read", WORDS]).await;
    assert!(
        ran.out.contains("Ada: Hello\u{fffd}[2J  [plan.pdf, 3 bytes] (edited) (pinned)  👍 2"),
        "{ran:?}"
    );
    assert!(!ran.out.contains('\x1b'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_gives_its_exit_code_and_a_json_error() {
    for (refusal, exit, code) in [
        (RefusalCode::Internal, 1, "internal"),
        (RefusalCode::Storage, 1, "storage"),
        (RefusalCode::TooMuch, 1, "too_much"),
        (RefusalCode::Usage, 2, "usage"),
        (RefusalCode::NotFound, 3, "not_found"),
        (RefusalCode::NotAllowed, 4, "not_allowed"),
        (RefusalCode::Pending, 7, "pending"),
    ] {
        let node = Node::start(move |_| refused(refusal)).await;
        let error = json!({"error": {"code": code, "message": "it is so", "hint": "do that"}});
        for arguments in
            [["--json", "chat", "send", WORDS, "Hi"], ["--json", "group", "create", "Team", "-q"]]
        {
            let ran = run(&node, &arguments).await;
            assert_eq!((ran.error(), ran.code), (error.clone(), exit), "{arguments:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_yet_is_told_by_the_exit_code() {
    for (state, word, exit) in [
        (JoinState::Joined, "joined", 0),
        (JoinState::Unreachable, "unreachable", 6),
        (JoinState::Pending, "pending", 7),
        (JoinState::Requested, "requested", 7),
    ] {
        let node = Node::replying(Reply::Joined(group(), state)).await;
        let code = code().to_string();
        let ran = run(&node, &["join", WORDS, "--code", &code, "--wait", "1", "--json"]).await;
        assert_eq!((&ran.json()["state"], ran.code), (&json!(word), exit));
    }
    let others = document_sync(DeviceKey([7; 32])).peers;
    for (state, peers, word, exit) in [
        (SyncState::InSync, &others, "in_sync", 0),
        (SyncState::Alone, &others, "alone", 7),
        (SyncState::Alone, &Vec::new(), "alone", 0),
        (SyncState::Behind, &others, "behind", 7),
        (SyncState::Unconfirmed, &others, "unconfirmed", 7),
        (SyncState::WaitingForKey, &others, "waiting_for_key", 7),
        (SyncState::Diverged, &others, "diverged", 7),
        (SyncState::NotMember, &Vec::new(), "not_member", 0),
    ] {
        let document = DocumentSync { state, peers: peers.clone(), ..document_sync(DeviceKey([7; 32])) };
        let node = Node::replying(Reply::Sync { documents: vec![document], joins: Vec::new() }).await;
        let ran = run(&node, &["sync", "status", "--json"]).await;
        assert_eq!((&ran.json()["documents"][0]["state"], ran.code), (&json!(word), exit));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn misspelt_words_exit_2_with_a_suggestion() {
    let node = Node::replying(Reply::Ok).await;
    let ran = run(&node, &["chat", "read", "oceam-forest-moon-star", "--json"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.error()["error"]["message"].as_str().unwrap().contains("\"ocean\""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dash_reads_the_text_from_standard_input() {
    let node = Node::replying(Reply::Message(message_id())).await;
    let ran = run_with(&node, &["chat", "send", WORDS, "-"], "two\nlines\n").await;
    assert_eq!((ran.code, ran.out.trim()), (0, message_id().short().as_str()));
    let send = ChatCommand::say("two\nlines", None);
    assert_eq!(node.script.asked(), [(Command::Chat(words(), send), None)]);
    let ran = run_with(&node, &["chat", "send", WORDS, "-"], &"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(ran.code, 2);
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_referred_to_by_its_name_its_size_and_the_hash_of_its_bytes() {
    let node = Node::replying(Reply::Message(message_id())).await;
    let plan = node.home().join("plan.pdf");
    std::fs::write(&plan, "abc").unwrap();
    let plan = plan.to_str().unwrap();
    let ran = run(&node, &["chat", "send", WORDS, "", "--attach", plan]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let blob = *blake3::hash(b"abc").as_bytes();
    let new = NewMessage { attachments: vec![Attachment { blob, ..attachment() }], ..NewMessage::default() };
    assert_eq!(node.script.asked(), [(Command::Chat(words(), ChatCommand::Send(new)), None)]);
    for wrong in
        [&["chat", "send", WORDS, "", "--attach", "/nowhere/plan.pdf"][..], &["chat", "send", WORDS, ""]]
    {
        assert_eq!(run(&node, wrong).await.code, 2, "{wrong:?}");
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_needs_a_yes() {
    let node = Node::replying(Reply::Ok).await;
    for arguments in [["group", "leave", WORDS, "--json"], ["identity", "phrase", "--forget", "--json"]] {
        let ran = run(&node, &arguments).await;
        assert_eq!((ran.code, &ran.error()["error"]["hint"]), (2, &json!("add --yes")));
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn followed_messages_come_one_per_line_as_they_change() {
    let node = Node::start(|command| done(answer(command))).await;
    let child = program(&node.home(), &["chat", "follow", WORDS, "--last", "1", "--json"]).spawn().unwrap();
    let mut child = KilledAtEnd(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let first = tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines));
    let (first, mut lines) = first.await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap(), message_json());
    let other = "river-wind-wave-fire".parse().unwrap();
    node.notify(Notice::ChatChanged { entity: other, messages: vec![message_id()] });
    node.notify(Notice::ChatChanged { entity: words(), messages: vec![message_id()] });
    let again = tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines));
    let (again, mut lines) = again.await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), message_json());

    node.api.stop();
    let end = tokio::task::spawn_blocking(move || (lines.next().is_none(), child.0.wait().unwrap().code()));
    assert_eq!(end.await.unwrap(), (true, Some(5)), "the end of the node ends the command");
}

#[test]
fn without_a_node_every_client_exits_5_and_says_how_to_start_one() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["status", "--json"][..],
        &["metrics", "--json"],
        &["log", "--json"],
        &["chat", "send", WORDS, "Hi", "--json"],
        &["group", "create", "Team", "--json"],
        &["chat", "follow", WORDS, "--json"],
        &["stop", "--json"],
    ] {
        let ran = run_alone(home.path(), arguments);
        assert_eq!(ran.code, 5, "{arguments:?}");
        let error = ran.error();
        assert_eq!(error["error"]["code"], "not_running");
        assert!(error["error"]["hint"].as_str().unwrap().contains("fourword start"));
    }
}

#[test]
fn the_bare_program_prints_help_and_wrong_use_exits_2() {
    let home = tempfile::tempdir().unwrap();
    let ran = run_alone(home.path(), &[]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("fourword group create"), "{ran:?}");
    let version = run_alone(home.path(), &["--version"]);
    assert_eq!((version.code, version.out), (0, format!("fourword {}\n", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run_alone(home.path(), &["group"]).code, 2);
    let ran = run_alone(home.path(), &["group", "destroy", "--json"]);
    assert_eq!((ran.code, &ran.error()["error"]["code"]), (2, &json!("usage")));
    let ran = run_alone(home.path(), &["invite", WORDS, "--expires", "soon"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("7d"), "{ran:?}");
}

#[test]
fn settings_are_read_and_changed_without_a_node() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run_alone(home.path(), arguments);
    assert_eq!(run(&["config", "get", "mdns", "--json"]).json(), json!(true));
    assert_eq!(run(&["config", "set", "mdns", "false", "--json"]).json(), json!({"mdns": false}));
    assert_eq!(run(&["config", "get", "mdns"]).out, "false\n");
    assert_eq!(run(&["config", "get", "nothing", "--json"]).code, 2);
    assert_eq!(run(&["config", "schema", "--json"]).json()["type"], "object");
    std::fs::write(home.path().join("config.toml"), "mdns = true\nlissen = []\n").unwrap();
    for arguments in [&["config", "get", "--json"][..], &["up", "--json"], &["start", "--json"]] {
        let ran = run(arguments);
        let message = ran.error()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(ran.code, 2, "a broken file fails closed");
        assert!(message.contains("config.toml:2: ") && message.contains("lissen"), "{message}");
    }
}

#[test]
fn an_api_that_others_could_reach_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let ran = run_alone(home.path(), &["up", "--api", "0.0.0.0:0", "--json"]);
    assert_eq!(ran.code, 2);
    assert!(ran.error()["error"]["message"].as_str().unwrap().contains("outside"));
}

#[test]
fn paths_and_completions_need_no_node() {
    let home = tempfile::tempdir().unwrap();
    let paths = run_alone(home.path(), &["paths", "--json"]).json();
    assert_eq!(paths["config"], home.path().join("config.toml").to_str().unwrap());
    assert_eq!(paths["socket"], home.path().join("run/api.sock").to_str().unwrap());
    assert!(run_alone(home.path(), &["completions", "bash"]).out.contains("_fourword"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let mut child = program(home.path(), &["config", "schema"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
