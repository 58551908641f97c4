//! Members, requests, joins, devices and identity: each request and each verb, as what command it
//! reaches the node, what it answers, and how it fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fourword_protocol::command::{
    Command, DeviceCommand, DeviceView, DocumentTombstones, DocumentView, FaultKind, FaultView, InviteView,
    JoinBy, JoinState, JoinView, KeeperView, Keeps, MemberCommand, PersonView, RefusalCode, Reply,
    RequestView, Status, TombstoneView, UnacceptedView,
};
use fourword_protocol::ids::{DeviceKey, EntityId, PersonId, StatementId, VerifyingKey};
use fourword_protocol::link::LinkCode;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::time::WallTime;
use serde_json::{Value, json};

use crate::cli::group_json;
use crate::program::{run, run_with};
use crate::script::{Node, WORDS, done, group, person, refused, status, stranger, words};

const PEER: &str = "/ip4/192.0.2.7/tcp/1";

fn link_code() -> LinkCode {
    LinkCode { person: PersonId([1; 32]), home: EntityId([6; 32]), secret: [9; 16], addresses: Vec::new() }
}

fn phrase() -> String {
    ["abandon"; 24].join(" ")
}

fn member(command: MemberCommand) -> Command {
    Command::Member(words(), command)
}

/// What can be asked, over the API and on the command line, and the command that it must become.
type Asked = (&'static str, String, Value, Vec<&'static str>, Command);

fn asked_about_members() -> Vec<Asked> {
    let group = format!("/api/v1/groups/{WORDS}");
    let who = || "Ben Ü".to_owned();
    let path = |rest: &str| format!("{group}/{rest}");
    vec![
        ("GET", path("members"), Value::Null, vec!["member", "list", WORDS], Command::Members(words())),
        (
            "DELETE",
            path("members/Ben%20%C3%9C"),
            Value::Null,
            vec!["member", "remove", WORDS, "Ben Ü", "--yes"],
            member(MemberCommand::Remove { who: who() }),
        ),
        (
            "PATCH",
            path("members/Ben%20%C3%9C"),
            json!({"role": "admin"}),
            vec!["member", "role", WORDS, "Ben Ü", "admin"],
            member(MemberCommand::SetRole { who: who(), role: Role::Admin }),
        ),
        ("GET", path("requests"), Value::Null, vec!["requests", WORDS], member(MemberCommand::Requests)),
        (
            "POST",
            path("requests/Ben%20%C3%9C/approve"),
            json!({}),
            vec!["approve", WORDS, "Ben Ü"],
            member(MemberCommand::Approve { who: who(), role: Role::Member }),
        ),
        (
            "POST",
            path("requests/Ben%20%C3%9C/approve"),
            json!({"role": "viewer"}),
            vec!["approve", WORDS, "Ben Ü", "--role", "viewer"],
            member(MemberCommand::Approve { who: who(), role: Role::Viewer }),
        ),
        (
            "POST",
            path("requests/Ben%20%C3%9C/deny"),
            Value::Null,
            vec!["deny", WORDS, "Ben Ü"],
            member(MemberCommand::Deny { who: who() }),
        ),
        ("GET", path("invites"), Value::Null, vec!["invite", "list", WORDS], member(MemberCommand::Invites)),
        (
            "DELETE",
            path("invites/9C41"),
            Value::Null,
            vec!["invite", "close", WORDS, "9C41"],
            member(MemberCommand::CloseInvite { invite: "9c41".into() }),
        ),
    ]
}

fn asked_about_groups_and_devices() -> Vec<Asked> {
    let path = |rest: &str| format!("/api/v1/groups/{WORDS}/{rest}");
    vec![
        (
            "GET",
            path("unaccepted"),
            Value::Null,
            vec!["sync", "unaccepted", WORDS],
            Command::Unaccepted(words()),
        ),
        ("GET", path("tombstones"), Value::Null, vec!["tombstones", WORDS], Command::Tombstones(words())),
        ("GET", path("documents"), Value::Null, vec!["document", "show", WORDS], Command::Documents(words())),
        ("GET", "/api/v1/joins".into(), Value::Null, vec!["joins"], Command::Joins),
        (
            "DELETE",
            format!("/api/v1/joins/{WORDS}"),
            Value::Null,
            vec!["joins", "cancel", WORDS],
            Command::CancelJoin(words()),
        ),
        (
            "GET",
            "/api/v1/devices".into(),
            Value::Null,
            vec!["device", "list"],
            Command::Device(DeviceCommand::List),
        ),
        (
            "POST",
            "/api/v1/devices".into(),
            Value::Null,
            vec!["device", "add"],
            Command::Device(DeviceCommand::Add { addresses: vec!["/ip4/192.0.2.1/tcp/4001".into()] }),
        ),
        (
            "DELETE",
            "/api/v1/devices/2f61".into(),
            Value::Null,
            vec!["device", "revoke", "2f61", "--yes"],
            Command::Device(DeviceCommand::Revoke { device: "2f61".into() }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_and_each_verb_becomes_its_command_and_hands_a_refusal_back() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    for (method, path, body, arguments, command) in
        asked_about_members().into_iter().chain(asked_about_groups_and_devices())
    {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &path, &body).await;
        assert_eq!((status, &problem["code"]), (403, &json!("not_allowed")), "{method} {path}: {problem}");
        assert_eq!(node.script.asked(), [(command.clone(), None)], "{method} {path}");

        let ran = run(&node, &[&arguments[..], &["--json"]].concat()).await;
        let error = json!({"error": {"code": "not_allowed", "message": "it is so", "hint": "do that"}});
        assert_eq!((ran.error(), ran.code), (error, 4), "{arguments:?}");
        assert_eq!(node.script.asked(), [(command, None)], "{arguments:?}");
    }
}

fn answer(command: &Command) -> Reply {
    let device = DeviceKey([2; 32]);
    match command {
        Command::Status => Reply::Status(status()),
        Command::Show(_) => Reply::Entity(group()),
        Command::Member(_, MemberCommand::Requests) => Reply::Requests(vec![RequestView {
            person: PersonView { name: "Ben".into(), ..stranger() },
            device,
            note: "It is me".into(),
            asked: WallTime(1000),
        }]),
        Command::Member(_, MemberCommand::Invites) => Reply::Invites(vec![InviteView {
            key: VerifyingKey([0x9c; 32]),
            statement: StatementId([3; 32]),
            opener: person(),
            role: Role::Viewer,
            uses: 3,
            used: 1,
            expires: WallTime(2000),
            open: true,
        }]),
        Command::Joins => Reply::Joins(vec![
            JoinView {
                words: words(),
                id: Some(group().id),
                state: JoinState::Requested,
                reason: String::new(),
            },
            JoinView { words: words(), id: None, state: JoinState::Unreachable, reason: "nobody".into() },
        ]),
        Command::Join { by: JoinBy::Words { .. }, .. } => Reply::Joined(group(), JoinState::Requested),
        Command::Device(DeviceCommand::List) => Reply::Devices(vec![DeviceView {
            device,
            here: true,
            online: true,
            revoked: false,
            certified_by: Some(DeviceKey([4; 32])),
        }]),
        Command::Device(DeviceCommand::Add { .. }) => Reply::Link(link_code()),
        Command::Device(DeviceCommand::Recover { .. }) => Reply::Recovered(words()),
        Command::Unaccepted(_) => Reply::Unaccepted(vec![UnacceptedView {
            document: format!("group:{WORDS}:chat"),
            root: "messages".into(),
            key: "k".into(),
            text: "Hi".into(),
            reason: "you were removed before".into(),
        }]),
        Command::Tombstones(_) => Reply::Tombstones(vec![tombstones()]),
        Command::Documents(_) => Reply::Documents(vec![size()]),
        _ => Reply::Ok,
    }
}

/// A full segment that rests.
fn size() -> DocumentView {
    DocumentView {
        id: format!("group:{WORDS}:chat"),
        segment: 1,
        is_kept: true,
        is_in_memory: false,
        is_full: true,
        content_bytes: Some(4096),
        full_bytes: Some(4096),
        envelopes: 9,
        log: Some((2, 512)),
        snapshot_bytes: None,
        flags: Some((1, 3)),
        flag_bytes: Some(300),
    }
}

/// One message that waits for one of two devices.
fn tombstones() -> DocumentTombstones {
    let keeper = |n, keeps, since| KeeperView { person: person(), device: DeviceKey([n; 32]), keeps, since };
    let message = MessageId { owner: [1; 16], random: [2; 8] };
    DocumentTombstones {
        id: format!("group:{WORDS}:chat"),
        waiting: 1,
        pruned: 2,
        devices: vec![keeper(2, Keeps::All, None), keeper(3, Keeps::Lapsed, Some(WallTime(60_000)))],
        tombstones: vec![TombstoneView { message, ack_vector: vec![true, false] }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_prints_one_json_value_of_the_promised_shape() {
    let node = Node::start(|command| done(answer(command))).await;
    let device = "02".repeat(32);
    let peer_id = node.ask("GET", "/api/v1/devices", "").await.1["devices"][0]["peer_id"].clone();
    assert!(peer_id.as_str().is_none_or(|id| id.starts_with("12D3KooW")), "{peer_id}");
    let code = link_code().to_string();
    let link = format!("fourword://link/{code}");
    let linked = json!({"identity": WORDS, "linked": true});
    let cases: Vec<(Vec<&str>, Value)> = vec![
        (
            vec!["requests", WORDS],
            json!({"requests": [{
                "identity": "abababab", "person": "ab".repeat(32), "name": "Ben", "device": device,
                "note": "It is me", "asked": 1000,
            }]}),
        ),
        (vec!["approve", WORDS, "Ben"], json!({"who": "Ben", "role": "member", "approved": true})),
        (vec!["deny", WORDS, "Ben"], json!({"who": "Ben", "denied": true})),
        (vec!["member", "remove", WORDS, "Ben", "--yes"], json!({"who": "Ben", "removed": true})),
        (vec!["member", "role", WORDS, "Ben", "viewer"], json!({"who": "Ben", "role": "viewer"})),
        (
            vec!["invite", "list", WORDS],
            json!({"invites": [{
                "key": "9c".repeat(32), "opener": WORDS, "opener_name": "Ada", "role": "viewer", "uses": 3,
                "used": 1, "expires": 2000, "open": true,
            }]}),
        ),
        (vec!["invite", "close", WORDS, "9c9c"], json!({"key": "9c9c", "closed": true})),
        (vec!["group", "set", WORDS, "lapse-days", "60"], group_json()),
        (
            vec!["joins"],
            json!({"joins": [
                {"words": WORDS, "id": "05".repeat(32), "state": "requested", "reason": ""},
                {"words": WORDS, "id": null, "state": "unreachable", "reason": "nobody"},
            ]}),
        ),
        (vec!["joins", "cancel", WORDS], json!({"words": WORDS, "cancelled": true})),
        (
            vec!["device", "list"],
            json!({"devices": [{
                "device": device, "peer_id": peer_id, "here": true, "online": true, "revoked": false,
                "certified_by": "04".repeat(32),
            }]}),
        ),
        (vec!["device", "add"], json!({"code": code, "link": link})),
        (vec!["device", "revoke", "02", "--yes"], json!({"device": "02", "revoked": true})),
        (vec!["link", &code], linked.clone()),
        (vec!["link", &link], linked),
        (
            vec!["sync", "unaccepted", WORDS],
            json!({"unaccepted": [{
                "document": format!("group:{WORDS}:chat"), "root": "messages", "key": "k", "text": "Hi",
                "reason": "you were removed before",
            }]}),
        ),
        (
            vec!["document", "show", WORDS],
            json!({"documents": [{
                "id": format!("group:{WORDS}:chat"), "segment": 1, "kept": true, "live": false, "full": true,
                "content_bytes": 4096, "full_bytes": 4096, "envelopes": 9, "log_envelopes": 2, "log_bytes": 512,
                "snapshot_bytes": null, "flags_waiting": 1, "flags_pruned": 3, "flags_bytes": 300,
            }]}),
        ),
        (
            vec!["tombstones", WORDS],
            json!({"documents": [{
                "id": format!("group:{WORDS}:chat"), "waiting": 1, "pruned": 2,
                "devices": [
                    {"identity": WORDS, "device": "02".repeat(32), "state": "has_all", "since": null},
                    {"identity": WORDS, "device": "03".repeat(32), "state": "lapsed", "since": 60_000},
                ],
                "tombstones": [{
                    "message": "aeaqcaibaeaqcaibaeaqcaibae-aibaeaqcaibae",
                    "ack_vector": {"02".repeat(32): true, "03".repeat(32): false},
                }],
            }]}),
        ),
    ];
    for (mut arguments, expected) in cases {
        arguments.push("--json");
        let ran = run(&node, &arguments).await;
        assert_eq!((ran.json(), ran.code, ran.err.as_str()), (expected, 0, ""), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_what_happened_and_what_to_do_next() {
    let node = Node::start(|command| done(answer(command))).await;
    for (arguments, part) in [
        (
            vec!["requests", WORDS],
            "abababab, who goes by the name \"Ben\", asked 1970-01-01 00:00 UTC\n    It is me",
        ),
        (vec!["approve", WORDS, "Ben"], "Ben is let in as member.\n"),
        (vec!["deny", WORDS, "Ben"], "Ben is turned away.\n"),
        (vec!["member", "remove", WORDS, "Ben", "--yes"], "Ben is no longer a member."),
        (vec!["member", "role", WORDS, "Ben", "admin"], "Ben now has the role admin.\n"),
        (vec!["invite", "list", WORDS], "9c9c9c9c  open, let in 1 of 3 as viewer"),
        (vec!["invite", "close", WORDS, "9c"], "The invite 9c admits nobody any more.\n"),
        (
            vec!["group", "set", WORDS, "lapse-days", "30"],
            "newcomers-read-history  on\nlapse-days              30\n",
        ),
        (vec!["joins"], "members have the request; an admin decides\n"),
        (vec!["joins"], "nobody could be reached yet (nobody)\n"),
        (vec!["joins", "cancel", WORDS], "is given up.\n"),
        (vec!["device", "list"], "02020202  this device, linked by 04040404\n"),
        (vec!["device", "add"], "On the new device run:\n  fourword link 'fourword://link/"),
        (vec!["device", "add"], "█"),
        (vec!["device", "revoke", "02", "--yes"], "The device 02 is no longer yours."),
        (vec!["link", &link_code().to_string()], "This is now a device of ocean-forest-moon-star."),
        (vec!["sync", "unaccepted", WORDS], ":chat: \"Hi\"\n  you were removed before\n"),
        (
            vec!["document", "show", WORDS],
            "on disk, full\n  content 4 KiB of 4 KiB, log 2 of 9 entries, 1 KiB",
        ),
        (vec!["tombstones", WORDS], "  known to 1 of 2 devices; not to 03030303\n"),
    ] {
        let ran = run(&node, &arguments).await;
        assert_eq!(ran.code, 0, "{arguments:?} {ran:?}");
        assert!(ran.out.contains(part), "{arguments:?} {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_alone_ask_to_be_let_in_and_end_as_pending() {
    let node = Node::start(|command| done(answer(command))).await;
    let id = "AB".repeat(32);
    let ran = run(
        &node,
        &["join", WORDS, "--peer", PEER, "--note", "It is me", "--id", &id, "--wait", "5", "--json"],
    )
    .await;
    assert_eq!(
        (ran.json(), ran.code),
        (json!({"words": WORDS, "state": "requested", "group": group_json()}), 7)
    );
    let by = JoinBy::Words { id: Some(EntityId([0xab; 32])), note: "It is me".into() };
    let command = Command::Join { words: words(), by, peers: vec![PEER.into()] };
    assert_eq!(node.script.asked(), [(command, Some(Duration::from_secs(5)))]);
    let ran = run(&node, &["join", WORDS]).await;
    assert!(ran.out.contains("an admin decides"), "{ran:?}");
    let code = InviteCode { entity: group().id, secret: [7; 16], addresses: Vec::new() }.to_string();
    assert_eq!(run(&node, &["join", WORDS, "--code", &code, "--note", "Hi"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_waits_as_long_as_it_is_told() {
    let node = Node::start(|command| done(answer(command))).await;
    let code = link_code().to_string();
    assert_eq!(run(&node, &["link", &code, "--peer", PEER, "--wait", "7"]).await.code, 0);
    let link = Command::Device(DeviceCommand::Link { code: link_code(), peers: vec![PEER.into()] });
    assert_eq!(node.script.asked()[0], (link, Some(Duration::from_secs(7))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_is_waited_for_and_that_it_takes_long_is_no_failure_of_linking() {
    for (pending, identity) in [(3, json!(WORDS)), (usize::MAX, Value::Null)] {
        let looks = AtomicUsize::new(0);
        let node = Node::start(move |command| match command {
            Command::Status if looks.fetch_add(1, Ordering::Relaxed) < pending => {
                refused(RefusalCode::Pending)
            }
            command => done(answer(command)),
        })
        .await;
        let ran = run(&node, &["link", &link_code().to_string(), "--json"]).await;
        assert_eq!((ran.json(), ran.code), (json!({"identity": identity, "linked": true}), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phrase_comes_by_standard_input_and_never_by_the_arguments() {
    let node = Node::start(|command| done(answer(command))).await;
    let typed = format!("  {}\n\n", phrase().replace(' ', "\n").to_uppercase());
    let arguments = ["identity", "recover", "--peer", PEER, "--json"];
    let ran = run_with(&node, &arguments, &typed).await;
    assert_eq!((ran.json(), ran.code), (json!({"identity": WORDS, "recovered": true}), 0));
    let recover = DeviceCommand::Recover { phrase: phrase(), peers: vec![PEER.into()] };
    assert_eq!(node.script.asked(), [(Command::Device(recover), None)]);
    let ran = run_with(&node, &["identity", "recover"], &phrase()).await;
    assert!(ran.out.starts_with(&format!("You are {WORDS}.")), "{ran:?}");

    node.script.asked();
    for (arguments, input) in [
        (vec!["identity", "recover", "abandon"], phrase()),
        (vec!["identity", "recover"], ["abandon"; 23].join(" ")),
        (vec!["identity", "recover"], String::new()),
        (vec!["identity", "recover"], "x".repeat(100_000)),
    ] {
        assert_eq!(run_with(&node, &arguments, &input).await.code, 2, "{arguments:?}");
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn recovering_reports_its_progress_and_no_answer_shows_the_phrase() {
    let node = Node::start(|_| refused(RefusalCode::Usage)).await;
    let body = json!({"phrase": phrase()}).to_string();
    let accept = [("accept", "application/x-ndjson")];
    let response = node.send("POST", "/api/v1/identity/recover", &body, &accept).await;
    let text = crate::script::value(response).await;
    let lines: Vec<Value> =
        text.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[2]["error"]["code"], "usage");
    assert!(!text.as_str().unwrap().contains("abandon"));
    for body in [json!({"phrase": " "}), json!({"phrase": "x".repeat(1025)}), json!({})] {
        let (status, problem) = node.ask("POST", "/api/v1/identity/recover", &body.to_string()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("usage")), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_once_is_kept_in_no_cache() {
    let node = Node::start(|command| done(answer(command))).await;
    let response = node.send("POST", "/api/v1/devices", "", &[]).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn wrong_requests_are_refused_before_they_reach_the_node() {
    let node = Node::replying(Reply::Ok).await;
    let group = format!("/api/v1/groups/{WORDS}");
    let long = "x".repeat(257);
    for (method, path, body) in [
        ("PATCH", format!("{group}/members/Ben"), json!({"role": "king"})),
        ("PATCH", format!("{group}/members/Ben"), json!({})),
        ("DELETE", format!("{group}/members/{long}"), Value::Null),
        ("DELETE", format!("{group}/members/%20"), Value::Null),
        ("POST", format!("{group}/requests/{long}/approve"), json!({})),
        ("POST", format!("{group}/requests/Ben/approve"), json!({"rôle": "member"})),
        ("POST", format!("{group}/requests/%20/deny"), Value::Null),
        ("DELETE", format!("{group}/invites/no-key"), Value::Null),
        ("GET", "/api/v1/groups/oceam-forest-moon-star/unaccepted".into(), Value::Null),
        ("DELETE", "/api/v1/joins/ocean".into(), Value::Null),
        ("DELETE", "/api/v1/devices/12D3KooW".into(), Value::Null),
        ("POST", "/api/v1/joins".into(), json!({"words": WORDS, "id": "05"})),
        ("POST", "/api/v1/joins".into(), json!({"words": WORDS, "note": "x".repeat(513)})),
        ("POST", "/api/v1/joins".into(), json!({"words": WORDS, "wait": 3601})),
        ("POST", "/api/v1/joins".into(), json!({"words": WORDS, "peers": ["nowhere"]})),
        ("POST", "/api/v1/joins".into(), json!({"words": WORDS, "peers": vec![PEER; 17]})),
        ("POST", "/api/v1/identity/link".into(), json!({"code": "no code"})),
        ("POST", "/api/v1/identity/link".into(), json!({"code": link_code().to_string(), "wait": 3601})),
        ("POST", "/api/v1/identity/recover".into(), json!({"phrase": phrase(), "peers": ["nowhere"]})),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &path, &body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("usage")), "{method} {path} {body}: {problem}");
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_needs_a_yes() {
    let node = Node::replying(Reply::Ok).await;
    for arguments in
        [&["member", "remove", WORDS, "Ben", "--json"][..], &["device", "revoke", "02", "--json"]]
    {
        let ran = run(&node, arguments).await;
        assert_eq!((ran.code, &ran.error()["error"]["hint"]), (2, &json!("add --yes")));
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_is_made_by_the_short_form_and_by_the_verb() {
    let code = InviteCode { entity: group().id, secret: [7; 16], addresses: Vec::new() };
    let node = Node::replying(Reply::Invite(code)).await;
    for arguments in [
        &["invite", WORDS, "--uses", "2"][..],
        &["invite", "--uses", "2", WORDS],
        &["--json", "invite", "create", WORDS, "--uses", "2"],
        &["invite", "--json", "create", WORDS, "--uses", "2"],
    ] {
        let ran = run(&node, arguments).await;
        assert_eq!(ran.code, 0, "{arguments:?} {ran:?}");
        let asked = node.script.asked();
        assert!(matches!(&asked[..], [(Command::Invite { uses: 2, .. }, None)]), "{arguments:?} {asked:?}");
    }
    for wrong in [
        &["invite"][..],
        &["invite", "--uses", "2", "list", WORDS],
        &["invite", "--uses", "2"],
        &["invite", WORDS, "list", WORDS],
    ] {
        assert_eq!(run(&node, wrong).await.code, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_part_of_the_status() {
    let fault = FaultView {
        entity: words(),
        person: Some(person()),
        device: DeviceKey([2; 32]),
        kind: FaultKind::TakenClientId,
        document: Some(format!("group:{WORDS}:chat")),
        count: 2,
        last: WallTime(1000),
        detail: "logs 1 and 2".into(),
    };
    let newer = FaultView {
        person: None,
        device: DeviceKey([0; 32]),
        kind: FaultKind::UnknownVersion,
        ..fault.clone()
    };
    let told = Status { faults: vec![fault, newer], ..status() };
    let node = Node::replying(Reply::Status(told)).await;
    let faults = run(&node, &["status", "--json"]).await.json()["faults"].clone();
    let fault = json!({
        "group": WORDS, "identity": WORDS, "name": "Ada", "device": "02".repeat(32),
        "kind": "taken_client_id", "document": format!("group:{WORDS}:chat"), "count": 2, "last": 1000,
        "detail": "logs 1 and 2",
    });
    assert_eq!(faults[0], fault);
    assert_eq!(
        (&faults[1]["kind"], &faults[1]["device"], &faults[1]["identity"]),
        (&json!("unknown_version"), &Value::Null, &Value::Null)
    );
    let ran = run(&node, &["status"]).await;
    assert!(
        ran.out.contains("Seen of others:\n  Ada (ocean-forest-moon-star) device 02020202 in"),
        "{ran:?}"
    );
}
