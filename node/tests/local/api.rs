//! The API over its sockets: who may ask, what is refused, and which command each request becomes.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use fourword::api::bounded::CONNECTIONS_MAX;
use fourword::driver::Stopped;
use fourword_protocol::command::{ChatCommand, Command, JoinBy, JoinState, Kind, RefusalCode, Reply};
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::chat::{Attachment, MessageId, NewMessage};
use fourword_storage::read_model::{HITS_MAX, SEARCH_BYTES_MAX};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::cli::group_json;
use crate::script::{Node, WORDS, done, group, message_id, refused, status, value, words};

const BODY_BYTES_MAX: usize = 256 * 1024;

fn code() -> InviteCode {
    InviteCode { entity: group().id, secret: [7; 16], addresses: Vec::new() }
}

#[tokio::test]
async fn the_unix_socket_admits_this_user_alone_and_asks_for_no_token() {
    let node = Node::replying(Reply::Status(status())).await;
    let mode = std::fs::metadata(node.paths.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, status) = node.ask("GET", "/api/v1/status", "").await;
    assert_eq!(code, 200);
    let peer_id = status["peer_id"].clone();
    let expected = json!({
        "identity": WORDS, "person": "01".repeat(32), "device": "02".repeat(32), "peer_id": peer_id,
        "name": "Ada", "root_on_device": true, "groups": 1, "peers": 0,
        "addresses": ["/ip4/192.0.2.1/tcp/4001"], "read_only": null, "dropped": {"stale": 3}, "faults": [],
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn over_tcp_all_but_health_takes_the_token() {
    let node = Node::replying(Reply::Status(status())).await;
    let host = format!("127.0.0.1:{}", node.port());
    let right = format!("Bearer {}", node.token());
    let wrong = format!("Bearer {}", "0".repeat(64));
    assert_eq!(node.token().len(), 64);
    for (path, authorization, expected) in [
        ("/health", None, 200),
        ("/api/v1/status", Some(&right), 200),
        ("/api/v1/status", Some(&wrong), 401),
        ("/api/v1/status", None, 401),
        ("/nowhere", None, 401),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let response = node.send_tcp(path, &host, &headers).await;
        assert_eq!(response.status(), expected, "{path} {authorization:?}");
    }
    let response = node.send_tcp("/api/v1/status", &host, &[]).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(value(response).await["code"], "not_allowed");
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_even_with_the_token() {
    let node = Node::replying(Reply::Status(status())).await;
    let port = node.port();
    let token = format!("Bearer {}", node.token());
    let host = format!("localhost:{port}");
    let same = format!("http://localhost:{port}");
    for (host, origin, expected) in [
        (host.as_str(), None, 200),
        (&format!("[::1]:{port}"), None, 200),
        (&host, Some(same.as_str()), 200),
        ("localhost", None, 403),
        (&format!("evil.example:{port}"), None, 403),
        (&host, Some("http://evil.example"), 403),
        (&host, Some("null"), 403),
        (&format!("127.0.0.1:{port}"), Some(&same), 403),
    ] {
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let response = node.send_tcp("/api/v1/status", host, &headers).await;
        assert_eq!(response.status(), expected, "{host} {origin:?}");
    }
    let response = node.send_tcp("/health", "evil.example", &[]).await;
    assert_eq!(response.status(), 403, "a rebound name learns nothing");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let node = Node::replying(Reply::Ok).await;
    let body = r#"{"name":"Ada"}"#;
    let padded = |size: usize| body.to_owned() + &" ".repeat(size - body.len());
    assert_eq!(node.ask("PUT", "/api/v1/name", &padded(BODY_BYTES_MAX)).await.0, 200);
    let (status, problem) = node.ask("PUT", "/api/v1/name", &padded(BODY_BYTES_MAX + 1)).await;
    assert_eq!((status, &problem["code"]), (413, &json!("usage")));
    assert_eq!(node.script.asked().len(), 1);
}

#[tokio::test]
async fn a_body_that_cannot_be_understood_is_refused_with_the_reason() {
    let node = Node::replying(Reply::Ok).await;
    for (body, part) in [
        (r#"{"name":"Ada","nmae":"Eve"}"#, "unknown field `nmae`"),
        (r#"{"name":7}"#, "invalid type"),
        (r#"{"name":"#, "EOF"),
        ("{}", "missing field `name`"),
        (r#"{"name":"  "}"#, "1 to 256 bytes"),
    ] {
        let (status, problem) = node.ask("PUT", "/api/v1/name", body).await;
        assert_eq!(status, 400);
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let response = node.send("PUT", "/api/v1/name", r#"{"name":"Ada"}"#, &form).await;
    assert_eq!(response.status(), 415);
    assert!(node.script.asked().is_empty(), "nothing reached the node");
}

#[tokio::test]
async fn a_refusal_leaves_as_a_problem_with_its_status() {
    let node = Node::start(|command| match command {
        Command::Entities => refused(RefusalCode::Pending),
        Command::Peers => Err(Stopped),
        _ => refused(RefusalCode::NotFound),
    })
    .await;
    let response = node.send("GET", &format!("/api/v1/groups/{WORDS}"), "", &[]).await;
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let expected = json!({
        "type": "urn:fourword:problem:not-found", "title": "Not found", "status": 404,
        "detail": "it is so", "code": "not_found", "hint": "do that",
    });
    assert_eq!(value(response).await, expected);
    let response = node.send("GET", "/api/v1/groups", "", &[]).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    let (status, problem) = node.ask("GET", "/api/v1/peers", "").await;
    assert_eq!((status, &problem["code"]), (503, &json!("not_running")));
}

#[tokio::test]
async fn what_the_router_refuses_is_a_problem_too() {
    let node = Node::replying(Reply::Ok).await;
    for (method, path, status, code) in [
        ("GET", "/nowhere".to_owned(), 404, "not_found"),
        ("DELETE", "/api/v1/status".into(), 405, "usage"),
        ("GET", format!("/api/v1/groups/{WORDS}/chat/messages?lats=1"), 400, "usage"),
        ("GET", format!("/api/v1/groups/{WORDS}/chat/messages?last=10001"), 400, "usage"),
        ("GET", format!("/api/v1/groups/{WORDS}/chat/messages?before=!"), 400, "usage"),
        ("GET", "/api/v1/search?q=%2A".into(), 400, "usage"),
        ("GET", format!("/api/v1/search?q={}", "x".repeat(SEARCH_BYTES_MAX + 1)), 400, "usage"),
        ("GET", format!("/api/v1/search?q=a&limit={}", HITS_MAX + 1), 400, "usage"),
        ("GET", "/api/v1/search?q=a&before=b".into(), 400, "usage"),
        ("GET", "/api/v1/search?q=a&kind=card,fish".into(), 400, "usage"),
        ("GET", "/api/v1/groups/oceam-forest-moon-star".into(), 400, "usage"),
        ("DELETE", format!("/api/v1/groups/{WORDS}/chat/messages/no-message"), 400, "usage"),
        ("GET", "/api/v1/groups/%FF".into(), 400, "usage"),
    ] {
        let (given, problem) = node.ask(method, &path, "").await;
        assert_eq!(
            (given, &problem["code"], &problem["status"]),
            (status, &json!(code), &json!(status)),
            "{path}"
        );
    }
    assert!(node.script.asked().is_empty());
}

/// Requests, and the command that each must become.
fn requests() -> Vec<(&'static str, String, Value, Command)> {
    let group = format!("/api/v1/groups/{WORDS}");
    let chat = format!("{group}/chat/messages");
    let one = format!("{chat}/{}", message_id());
    let say = |command| Command::Chat(words(), command);
    let react = |on| say(ChatCommand::React { message: message_id(), emoji: "👍".into(), on });
    let pin = |on| say(ChatCommand::Pin { message: message_id(), on });
    let address = "/ip4/192.0.2.7/tcp/1";
    vec![
        ("GET", "/api/v1/groups".into(), Value::Null, Command::Entities),
        ("GET", group.clone(), Value::Null, Command::Show(words())),
        ("DELETE", group.clone(), Value::Null, Command::Leave(words())),
        ("GET", format!("{group}/members"), Value::Null, Command::Members(words())),
        (
            "POST",
            "/api/v1/groups".into(),
            json!({"name": "Site", "kind": "project"}),
            Command::Create { kind: Kind::Project, name: "Site".into(), parent: None },
        ),
        ("POST", "/api/v1/peers".into(), json!({"address": address}), Command::Dial(address.into())),
        ("PUT", "/api/v1/name".into(), json!({"name": "Ada"}), Command::SetName("Ada".into())),
        ("GET", "/api/v1/identity/phrase".into(), Value::Null, Command::Phrase),
        ("DELETE", "/api/v1/identity/phrase".into(), Value::Null, Command::ForgetRoot),
        ("GET", "/api/v1/sync".into(), Value::Null, Command::SyncStatus(None)),
        ("GET", format!("/api/v1/sync?group={WORDS}"), Value::Null, Command::SyncStatus(Some(words()))),
        ("GET", format!("{chat}?last=3"), Value::Null, Command::Places),
        ("GET", "/api/v1/inbox".into(), Value::Null, Command::Places),
        ("GET", "/api/v1/search?q=a".into(), Value::Null, Command::Places),
        ("PUT", format!("{group}/chat/read"), json!({}), Command::Places),
        (
            "POST",
            chat.clone(),
            json!({"text": "Hi", "parent": message_id().to_string()}),
            say(ChatCommand::say("Hi", Some(message_id()))),
        ),
        (
            "POST",
            chat.clone(),
            json!({"text": "", "attachments": [{"name": "plan.pdf", "size": 3, "hash": "0c".repeat(32)}]}),
            say(ChatCommand::Send(NewMessage {
                attachments: vec![Attachment { blob: [12; 32], size_bytes: 3, name: "plan.pdf".into() }],
                ..NewMessage::default()
            })),
        ),
        ("PATCH", one.clone(), json!({"text": "Ho"}), say(ChatCommand::Edit(message_id(), "Ho".into()))),
        ("DELETE", one.clone(), Value::Null, say(ChatCommand::Delete(message_id()))),
        ("PUT", format!("{one}/reactions/%F0%9F%91%8D"), Value::Null, react(true)),
        ("DELETE", format!("{one}/reactions/%F0%9F%91%8D"), Value::Null, react(false)),
        ("PUT", format!("{one}/pin"), Value::Null, pin(true)),
        ("DELETE", format!("{one}/pin"), Value::Null, pin(false)),
    ]
}

#[tokio::test]
async fn each_request_becomes_its_command() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    for (method, path, body, command) in requests() {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, problem) = node.ask(method, &path, &body).await;
        assert_eq!(status, 403, "{method} {path}: {problem}");
        assert_eq!(node.script.asked(), [(command, None)], "{method} {path}");
    }
}

#[tokio::test]
async fn an_invite_carries_the_nodes_addresses_and_says_when_it_ends() {
    let node = Node::replying(Reply::Invite(code())).await;
    let body = r#"{"role":"viewer","uses":3,"expires_in_ms":60000}"#;
    let (status, invite) = node.ask("POST", &format!("/api/v1/groups/{WORDS}/invites"), body).await;
    assert_eq!(status, 200, "{invite}");
    let expires = invite["expires"].as_u64().unwrap();
    assert_eq!(invite["link"], format!("fourword://join/{WORDS}#{}", code()));
    assert_eq!((&invite["role"], &invite["uses"]), (&json!("viewer"), &json!(3)));
    match &node.script.asked()[..] {
        [(Command::Invite { entity, uses: 3, expires: until, addresses, .. }, None)] => {
            assert_eq!((*entity, until.0), (words(), expires));
            assert_eq!(addresses, &["/ip4/192.0.2.1/tcp/4001"]);
        }
        other => panic!("{other:?}"),
    }
    for body in [r#"{"uses":0}"#, r#"{"expires_in_ms":0}"#, r#"{"role":"king"}"#] {
        assert_eq!(node.ask("POST", &format!("/api/v1/groups/{WORDS}/invites"), body).await.0, 400);
    }
}

#[tokio::test]
async fn a_join_waits_as_long_as_it_is_told() {
    let node = Node::replying(Reply::Joined(group(), JoinState::Pending)).await;
    let body = json!({"code": format!("fourword://join/{WORDS}#{}", code()), "wait": 5});
    let (status, join) = node.ask("POST", "/api/v1/joins", &body.to_string()).await;
    assert_eq!(status, 200, "{join}");
    assert_eq!((&join["state"], &join["words"]), (&json!("pending"), &json!(WORDS)));
    let command = Command::Join { words: words(), by: JoinBy::Code(code()), peers: Vec::new() };
    assert_eq!(node.script.asked(), [(command, Some(Duration::from_secs(5)))]);
    for body in [json!({"code": code().to_string()}), json!({"words": WORDS, "code": "no code"})] {
        assert_eq!(node.ask("POST", "/api/v1/joins", &body.to_string()).await.0, 400);
    }
}

#[tokio::test]
async fn a_long_command_reports_its_progress_to_who_accepts_lines() {
    let node = Node::replying(Reply::Entity(group())).await;
    let accept = [("accept", "application/x-ndjson")];
    let response = node.send("POST", "/api/v1/groups", r#"{"name":"Team"}"#, &accept).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = value(response).await;
    let lines: Vec<Value> =
        text.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let progress = |done| json!({"progress": {"what": "Finding a name", "done": done, "expected": 16}});
    let group = group_json();
    assert_eq!(lines, [progress(1), progress(2), json!({"done": group})]);
    let (status, plain) = node.ask("POST", "/api/v1/groups", r#"{"name":"Team"}"#).await;
    assert_eq!((status, plain), (200, group));
}

#[tokio::test]
async fn an_answer_to_another_question_is_an_internal_error() {
    let node = Node::start(|_| done(Reply::Message(MessageId { owner: [0; 16], random: [0; 8] }))).await;
    let (status, problem) = node.ask("GET", "/api/v1/groups", "").await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal")));
}

#[tokio::test]
async fn idle_connections_over_tcp_are_bounded_and_spare_the_unix_socket() {
    let node = Arc::new(Node::replying(Reply::Ok).await);
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        idle.push(TcpStream::connect(("127.0.0.1", node.port())).await.unwrap());
    }
    let waiting = node.clone();
    let host = format!("127.0.0.1:{}", node.port());
    let mut one_more = tokio::spawn(async move { waiting.send_tcp("/health", &host, &[]).await.status() });
    assert_eq!(node.ask("GET", "/health", "").await.0, 200);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut one_more).await;
    assert!(early.is_err(), "served above the bound");
    idle.pop();
    assert_eq!(one_more.await.unwrap(), 200);
}

#[tokio::test]
async fn the_files_of_a_server_go_with_it() {
    let node = Node::replying(Reply::Ok).await;
    let endpoint: Value = serde_json::from_slice(&std::fs::read(node.paths.api()).unwrap()).unwrap();
    assert_eq!(endpoint["url"], format!("http://127.0.0.1:{}", node.port()));
    assert_eq!(endpoint["pid"], std::process::id());
    let (status, answer) = node.ask("POST", "/api/v1/stop", "").await;
    assert_eq!((status, answer), (202, json!({"stopping": true})));
    node.api.stopping().await;
    node.server.close().await.remove_files();
    assert_eq!(std::fs::read_dir(node.paths.run()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_socket_left_by_a_crash_does_not_stand_in_the_way() {
    let node = Node::replying(Reply::Ok).await;
    node.api.stop();
    let closed = node.server.close().await;
    assert!(node.paths.socket().exists());
    drop(closed);
    let address = ([127, 0, 0, 1], 0).into();
    fourword::api::server::Server::start(node.api.clone(), &node.paths, address).await.unwrap();
}
