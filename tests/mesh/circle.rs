//! A group of nodes, what was called saved in it, and whether all of them show that.
//!
//! Scenarios write through it. Invariant: what a node answered with an id is never taken off the
//! list, so a message that is lost is found at the end of the scenario, and of every later one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::events::now_ms;
use crate::node::{DEADLINE, Node, text};

/// Messages read at once, the most that a node gives.
const ALL: &str = "10000";

/// A group and those of its members who are in the play.
pub(crate) struct Circle<'a> {
    pub(crate) words: String,
    pub(crate) members: Vec<&'a Node>,
    saved: Mutex<Vec<Saved>>,
    /// What was deleted, which nobody need show any more.
    deleted: Mutex<BTreeSet<String>>,
}

/// A message that a node called saved.
#[derive(Clone)]
pub(crate) struct Saved {
    pub(crate) id: String,
    /// The node it was given to.
    pub(crate) by: &'static str,
}

/// What came of waiting for all to agree.
pub(crate) struct Agreed {
    /// Messages called saved since the scenario began.
    pub(crate) saved: usize,
    /// Of all ever called saved, those that some member does not show.
    pub(crate) lost: usize,
    /// How long after the given time the last member showed the last message.
    pub(crate) shown: Duration,
    /// How long until all said that they are in sync with all others, as seen by asking them in turn.
    pub(crate) in_sync: Duration,
}

impl<'a> Circle<'a> {
    /// Makes a group at the first member and lets the others in by an invite.
    pub(crate) fn of(members: &[&'a Node]) -> Circle<'a> {
        let (first, others) = members.split_first().expect("somebody");
        let words = text(&first.must(&["group", "create", "Tea"])["words"]);
        let circle =
            Circle { words, members: vec![first], saved: Mutex::default(), deleted: Mutex::default() };
        others.iter().fold(circle, |mut circle, other| {
            circle.let_in(other);
            circle
        })
    }

    /// The group of these words, whose members came in by themselves.
    pub(crate) fn met(words: String, members: &[&'a Node]) -> Circle<'a> {
        Circle { words, members: members.to_vec(), saved: Mutex::default(), deleted: Mutex::default() }
    }

    /// Lets one more in by an invite of the first.
    pub(crate) fn let_in(&mut self, node: &'a Node) {
        let code = text(&self.members[0].must(&["invite", &self.words])["code"]);
        let join = ["join", &self.words, "--code", &code, "--wait", "50"];
        assert_eq!(node.must(&join)["state"], "joined", "{}", node.name);
        self.members.push(node);
    }

    // -- writing ------------------------------------------------------------------------------

    /// Writes a message if the node takes it.
    pub(crate) fn try_say(&self, node: &Node, words: &str) -> bool {
        let told = node.tell(&["chat", "send", &self.words, words]);
        let Some(id) = told.out["id"].as_str().filter(|_| told.code == 0) else { return false };
        self.saved.lock().expect("nobody panics here").push(Saved { id: id.to_owned(), by: node.name });
        true
    }

    /// Writes a message, which must be called saved.
    pub(crate) fn say(&self, node: &Node, words: &str) {
        assert!(self.try_say(node, words), "{} took no message", node.name);
    }

    /// Deletes a message: it shows as deleted, or not at all once everybody knows.
    pub(crate) fn delete(&self, node: &Node, id: &str) {
        node.must(&["chat", "delete", &self.words, id]);
        self.deleted.lock().expect("nobody panics here").insert(id.to_owned());
    }

    /// Everyone writes one message.
    pub(crate) fn all_say(&self, words: &str) {
        self.members.iter().for_each(|node| self.say(node, words));
    }

    /// How many messages were called saved so far.
    pub(crate) fn count(&self) -> usize {
        self.saved.lock().expect("nobody panics here").len()
    }

    /// The messages called saved after the first so many.
    pub(crate) fn saved_after(&self, count: usize) -> Vec<Saved> {
        self.saved.lock().expect("nobody panics here")[count..].to_vec()
    }

    // -- agreeing -----------------------------------------------------------------------------

    /// Waits until all members show the same, with all that was called saved, and say that they are
    /// in sync with all others. What counts is what was written after the first `before` messages,
    /// and the time is counted from `from_ms`.
    pub(crate) fn agree(&self, before: usize, from_ms: u64) -> Agreed {
        let end = Instant::now() + DEADLINE;
        let lost = loop {
            let chats: Vec<Value> = self.members.iter().map(|node| self.chat(node)).collect();
            let lost = self.lost(&chats);
            let is_same = chats.iter().all(|chat| *chat == chats[0]);
            if lost == 0 && is_same && self.is_in_sync() {
                break 0;
            }
            if Instant::now() > end {
                assert!(lost > 0, "they never agreed: {}", self.dissent());
                break lost;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let new = self.saved_after(before);
        let since = |at_ms: u64| Duration::from_millis(at_ms.saturating_sub(from_ms));
        let in_sync = since(now_ms());
        let shown = if lost == 0 { since(self.last_shown(&new, from_ms)) } else { in_sync };
        Agreed { saved: new.len(), lost, shown, in_sync }
    }

    /// How many of all messages called saved and not deleted some chat does not have.
    fn lost(&self, chats: &[Value]) -> usize {
        let shown: Vec<BTreeSet<String>> = chats.iter().map(ids).collect();
        let deleted = self.deleted.lock().expect("nobody panics here");
        let saved = self.saved_after(0).into_iter().filter(|saved| !deleted.contains(&saved.id));
        saved.filter(|saved| !shown.iter().all(|ids| ids.contains(&saved.id))).count()
    }

    /// The whole chat as a node shows it.
    pub(crate) fn chat(&self, node: &Node) -> Value {
        node.must(&["chat", "read", &self.words, "--last", ALL])["messages"].clone()
    }

    fn is_in_sync(&self) -> bool {
        self.members.iter().all(|node| node.tell(&["sync", "status", &self.words]).code == 0)
    }

    /// What each says that is not in sync.
    fn dissent(&self) -> String {
        let status = |node: &&Node| {
            let documents = node.tell(&["sync", "status", &self.words]).out["documents"].clone();
            format!("{}: {documents}\n", node.name)
        };
        self.members.iter().map(status).collect()
    }

    /// When the last member showed the last of these messages.
    fn last_shown(&self, saved: &[Saved], from_ms: u64) -> u64 {
        let ids: BTreeSet<&str> = saved.iter().map(|saved| saved.id.as_str()).collect();
        let shown = self.members.iter().flat_map(|node| {
            let shown = first_shown(node, &self.words, from_ms);
            shown.into_iter().filter(|(id, _)| ids.contains(id.as_str())).map(|(_, at)| at)
        });
        shown.max().unwrap_or(from_ms)
    }
}

/// The ids of all messages of a chat.
fn ids(chat: &Value) -> BTreeSet<String> {
    chat.as_array().expect("a list of messages").iter().map(|message| text(&message["id"])).collect()
}

/// When a node first showed each message of a group, of those it showed since a time.
pub(crate) fn first_shown(node: &Node, words: &str, since_ms: u64) -> BTreeMap<String, u64> {
    let mut shown = BTreeMap::new();
    for seen in node.events(since_ms) {
        if seen.event["event"] == "chat_changed" && seen.event["group"] == words {
            let ids = seen.event["messages"].as_array().expect("a list of ids");
            for id in ids {
                shown.entry(text(id)).or_insert(seen.at_ms);
            }
        }
    }
    shown
}
