//! Half of a chat is deleted while one of five is away: it is waited for, and then all are rid of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use fourword_protocol::limits::FOLD_AFTER_ENVELOPES;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Home, eventually};

/// Messages of the whole chat, and of those that stay.
const ALL: usize = 2000;
const STAY: usize = ALL / 2;

/// Nodes; the last is the one that goes away.
const NODES: usize = 5;

/// A connection to a node that many requests go through, one after the other.
struct Line {
    reader: BufReader<UnixStream>,
}

impl Line {
    fn to(home: &Home) -> Line {
        let socket = UnixStream::connect(home.path().join("run/api.sock")).expect("the node listens");
        Line { reader: BufReader::new(socket) }
    }

    /// Asks for something that must succeed.
    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(head.as_bytes()).expect("the node reads");
        let mut line = || {
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("the node answers");
            line.trim_end().to_lowercase()
        };
        let status = line();
        let mut length = 0;
        loop {
            match line() {
                header if header.is_empty() => break,
                header => {
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                }
            }
        }
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer).expect("the whole answer");
        assert!(status.contains(" 20"), "{path}: {status} {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap_or(Value::Null)
    }
}

/// Five people in a group.
fn five() -> (Vec<Home>, Vec<Option<Daemon>>, String) {
    let homes: Vec<Home> = (0..NODES).map(|_| Home::new()).collect();
    let daemons: Vec<Option<Daemon>> = homes.iter().map(|home| Some(home.up())).collect();
    let group = homes[0].must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let invite = homes[0].must(&["invite", &group, "--uses", "10"]);
    let code = invite["code"].as_str().expect("a code");
    for home in &homes[1..] {
        assert_eq!(home.must(&["join", &group, "--code", code, "--wait", "50"])["state"], "joined");
    }
    (homes, daemons, group)
}

/// What `tombstones` says of the chat: how many wait, how many are forgotten, and who is awaited.
fn tombstones(home: &Home, group: &str) -> (u64, u64, Vec<String>) {
    let all = home.must(&["tombstones", group]);
    let documents = all["documents"].as_array().cloned().unwrap_or_default();
    let chat =
        documents.iter().find(|document| document["id"].as_str().is_some_and(|id| id.ends_with(":chat")));
    let Some(chat) = chat else { return (0, 0, Vec::new()) };
    let devices = chat["devices"].as_array().cloned().unwrap_or_default();
    let awaited = devices.iter().filter(|device| device["state"] == "awaited" && device["since"].is_u64());
    let awaited = awaited.map(|device| device["identity"].as_str().unwrap_or_default().to_owned());
    let count = |field: &str| chat[field].as_u64().expect("a number");
    (count("waiting"), count("pruned"), awaited.collect())
}

/// The size of the chat at a node.
fn size(home: &Home, group: &str) -> Value {
    let documents = home.must(&["document", "show", group])["documents"].clone();
    let documents = documents.as_array().cloned().unwrap_or_default();
    let chat = documents.into_iter().find(|d| d["id"].as_str().is_some_and(|id| id.ends_with(":chat")));
    chat.unwrap_or(Value::Null)
}

/// Lets the first four write in turn; gives the ids.
fn write(homes: &[Home], group: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<Line> = homes[..NODES - 1].iter().map(Line::to).collect();
    let path = format!("groups/{group}/chat/messages");
    let send = |number: usize| {
        let text = format!("message {number} of a chat in which somebody says something each time");
        let answer = lines[number % (NODES - 1)].ask("POST", &path, &json!({ "text": text }));
        answer["id"].as_str().expect("an id").to_owned()
    };
    let ids = (0..count).map(send).collect();
    let has_all = |home: &Home| home.chat(group).len() == count;
    eventually("the whole chat everywhere", || homes.iter().all(has_all));
    ids
}

/// Waits until the first node has folded what there is to fold, ends all nodes and starts the first again:
/// its resident bytes once it has read the chat, the size of that, and what it shows.
fn reloaded(homes: &[Home], daemons: &mut [Option<Daemon>], group: &str) -> (u64, Value, Vec<String>) {
    eventually("the chat to be folded", || {
        let left = size(&homes[0], group)["log_envelopes"].as_u64();
        left.is_some_and(|left| left <= FOLD_AFTER_ENVELOPES)
    });
    daemons.iter_mut().filter_map(Option::take).for_each(Daemon::stop);
    let daemon = homes[0].up();
    let last = homes[0].must(&["chat", "read", group, "--last", "1"])["messages"][0]["id"].clone();
    // What is only read is read from the copy; who says something needs the chat itself.
    homes[0].must(&["chat", "react", group, last.as_str().expect("an id"), "👍"]);
    assert_eq!(size(&homes[0], group)["live"], true);
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    (kilobytes.expect("a number") * 1024, size(&homes[0], group), homes[0].chat(group))
}

#[test]
fn half_of_a_chat_that_is_deleted_waits_for_who_is_away_and_is_forgotten_once_that_is_back() {
    let (homes, mut daemons, group) = five();
    let ids = write(&homes, &group, ALL);
    let away = daemons[NODES - 1].take().expect("it runs");
    let identity = away.identity();
    away.stop();
    let mut lines: Vec<Line> = homes[..NODES - 1].iter().map(Line::to).collect();
    for (number, id) in ids.iter().enumerate().filter(|(number, _)| (number / (NODES - 1)).is_multiple_of(2))
    {
        let path = format!("groups/{group}/chat/messages/{id}");
        lines[number % (NODES - 1)].ask("DELETE", &path, &Value::Null);
    }
    let gone = u64::try_from(ALL - STAY).expect("a number");
    let waits = (gone, 0, vec![identity]);
    eventually("all deletions to wait for the one who is away", || {
        homes[..NODES - 1].iter().all(|home| tombstones(home, &group) == waits)
    });
    daemons[NODES - 1] = Some(homes[NODES - 1].up());
    let address = daemons[0].as_ref().expect("it runs").address();
    homes[NODES - 1].must(&["dial", &address]);
    eventually("all to have forgotten all", || {
        homes.iter().all(|home| tombstones(home, &group) == (0, gone, Vec::new()))
    });
    let shown = homes[0].chat(&group);
    assert_eq!(shown.len(), STAY);
    assert!(homes.iter().all(|home| home.chat(&group) == shown));

    let (of_rest, with, after) = reloaded(&homes, &mut daemons, &group);
    assert_eq!(after, shown, "nothing came back");

    let (homes, mut daemons, group) = five();
    write(&homes, &group, STAY);
    let (of_never, without, _) = reloaded(&homes, &mut daemons, &group);
    println!("{of_rest} bytes of memory with {with}\n{of_never} bytes of memory with {without}");
    assert!(of_rest <= of_never * 115 / 100 + gone * 40, "{of_rest} and {of_never} bytes of memory");
    // What lies behind the snapshot was not packed yet: it would take as much as what was.
    let packed = |size: &Value, messages: usize| {
        let number = |field: &str| size[field].as_u64().expect("a number");
        let covered = number("envelopes") - number("log_envelopes");
        number("snapshot_bytes") * u64::try_from(messages).expect("a number") / covered
    };
    let (with, without) = (packed(&with, ALL + ALL - STAY), packed(&without, STAY));
    assert!(with <= without * 115 / 100 + gone * 40, "{with} and {without} bytes packed");
}
