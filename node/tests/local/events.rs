//! The stream of events: resumed, broken by a gap, ended with the node.

use std::time::Duration;

use fourword::api::events::EVENTS_KEPT;
use fourword_protocol::command::{Notice, Reply};
use fourword_protocol::ids::DeviceKey;
use fourword_protocol::schema::Concern;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::script::{Node, WORDS, message_id, words};
use crate::things::thing;

/// Reads server-sent events off a response.
struct Events {
    body: Incoming,
    held: String,
}

impl Events {
    fn new(response: Response<Incoming>) -> Events {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body(), held: String::new() }
    }

    /// The id and data of the next event; `None` once the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        let next = async {
            loop {
                if let Some((event, rest)) = self.held.split_once("\n\n") {
                    let field = |name: &str| {
                        event.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
                    };
                    let (id, data) = (field("id:"), serde_json::from_str(&field("data:")).unwrap());
                    self.held = rest.to_owned();
                    return Some((id, data));
                }
                let data = self.body.frame().await?.unwrap().into_data().unwrap();
                self.held.push_str(std::str::from_utf8(&data).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("an event in time")
    }
}

async fn open(node: &Node, last_id: Option<&str>) -> Events {
    let headers: Vec<_> = last_id.iter().map(|id| ("last-event-id", *id)).collect();
    Events::new(node.send("GET", "/api/v1/events", "", &headers).await)
}

fn device(number: u8) -> Notice {
    Notice::PeerChanged { device: DeviceKey([number; 32]), connected: false }
}

#[tokio::test]
async fn a_stream_is_taken_up_where_it_broke() {
    let node = Node::replying(Reply::Ok).await;
    let mut events = open(&node, None).await;
    node.notify(Notice::ChatChanged { entity: words(), messages: vec![message_id()] });
    let (first, event) = events.next().await.unwrap();
    let changed = json!({"event": "chat_changed", "group": WORDS, "messages": [message_id().to_string()]});
    assert_eq!(event, changed);
    drop(events);

    let things = vec![thing(7)];
    node.notify(Notice::ThingsChanged { entity: words(), concern: Concern::Kanban, things });
    node.notify(Notice::EntityChanged(words()));
    node.notify(Notice::HomeChanged);
    node.notify(Notice::MembersChanged(words()));
    node.notify(Notice::ReadOnly("no space".into()));
    let mut events = open(&node, Some(&first)).await;
    let things = [thing(7).to_string()];
    let changed = json!({"event": "things_changed", "group": WORDS, "concern": "kanban", "things": things});
    assert_eq!(events.next().await.unwrap().1, changed);
    assert_eq!(events.next().await.unwrap().1, json!({"event": "group_changed", "group": WORDS}));
    assert_eq!(events.next().await.unwrap().1, json!({"event": "home_changed"}));
    assert_eq!(events.next().await.unwrap().1, json!({"event": "members_changed", "group": WORDS}));
    assert_eq!(events.next().await.unwrap().1, json!({"event": "read_only", "reason": "no space"}));
}

#[tokio::test]
async fn who_comes_back_too_late_is_told_of_the_gap() {
    let node = Node::replying(Reply::Ok).await;
    let mut events = open(&node, None).await;
    node.notify(device(1));
    let (first, _) = events.next().await.unwrap();
    let mut last = first.clone();
    for _ in 0..EVENTS_KEPT + 1 {
        node.notify(device(2));
        last = events.next().await.unwrap().0;
    }
    let mut late = open(&node, Some(&first)).await;
    assert_eq!(late.next().await.unwrap().1, json!({"event": "gap"}));
    let mut current = open(&node, Some(&last)).await;
    node.notify(Notice::Joined(words()));
    assert_eq!(current.next().await.unwrap().1, json!({"event": "joined", "group": WORDS}));
}

#[tokio::test]
async fn an_id_of_another_run_is_a_gap() {
    let node = Node::replying(Reply::Ok).await;
    let mut events = open(&node, Some("12345-1")).await;
    assert_eq!(events.next().await.unwrap().1, json!({"event": "gap"}));
}

#[tokio::test]
async fn streams_end_with_the_node() {
    let node = Node::replying(Reply::Ok).await;
    let mut events = open(&node, None).await;
    node.api.stop();
    assert_eq!(events.next().await, None);
    let closed = tokio::time::timeout(Duration::from_secs(20), node.server.close()).await;
    closed.expect("no stream keeps the server").remove_files();
}

#[tokio::test]
async fn no_more_streams_are_served_than_are_bounded() {
    let node = Node::replying(Reply::Ok).await;
    let mut open_streams = Vec::new();
    for _ in 0..64 {
        open_streams.push(open(&node, None).await);
    }
    let (status, problem) = node.ask("GET", "/api/v1/events", "").await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_much")));
}
