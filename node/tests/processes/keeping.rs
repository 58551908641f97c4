//! A device drops the chat of a group by the command line and keeps it again, over restarts and kills.

use serde_json::Value;

use crate::daemon::{Home, eventually};
use crate::story::two_in_a_group;

/// What `document show` says of one document of a group.
fn document(home: &Home, group: &str, name: &str) -> Value {
    let told = home.must(&["document", "show", group]);
    let mut documents = told["documents"].as_array().expect("a list").iter();
    documents.find(|document| document["id"] == format!("group:{group}:{name}")).cloned().unwrap_or_default()
}

/// What `sync status` says of the chat, whether all is in sync or not.
fn chat_status(home: &Home, group: &str) -> Value {
    let told = home.tell(&["sync", "status", group]).out;
    let mut documents = told["documents"].as_array().expect("a list").iter();
    documents.find(|document| document["id"] == format!("group:{group}:chat")).cloned().unwrap_or_default()
}

fn hits(home: &Home, text: &str) -> usize {
    home.must(&["search", text, "--limit", "200"])["hits"].as_array().expect("a list").len()
}

#[test]
fn a_chat_that_was_dropped_is_gone_from_its_device_and_comes_back_when_it_is_kept_again() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    for n in 0..20 {
        a.must(&["chat", "send", &group, &format!("plum number {n}")]);
    }
    let gone = b.must(&["chat", "send", &group, "a pear to be deleted"])["id"].clone();
    eventually("all of it at both", || a.chat(&group).len() == 21 && b.chat(&group).len() == 21);
    eventually("it is found", || hits(&b, "plum") == 20);
    eventually("in sync", || chat_status(&b, &group)["state"] == "in_sync");

    assert_eq!(b.must(&["document", "drop", &group, "chat"])["kept"], false);
    assert_eq!(document(&b, &group, "chat")["kept"], false);
    assert!(b.read(&["document", "show", &group]).contains(":chat  not kept on this device"));
    let refused = b.tell(&["chat", "read", &group]);
    assert_eq!(refused.code, 3);
    assert!(refused.error.contains(&format!("fourword document keep {group} chat")), "{}", refused.error);
    eventually("nothing of it is found", || hits(&b, "plum") == 0);
    assert_eq!(b.must(&["index", "rebuild"])["messages"], 0);
    let status = chat_status(&b, &group);
    assert_eq!((&status["state"], &status["peers"]), (&"alone".into(), &Value::Array(Vec::new())));
    eventually("the other knows", || chat_status(&a, &group)["peers"][0]["keeps"] == false);
    assert_eq!(a.tell(&["sync", "status", &group]).code, 0, "there is nothing to wait for");
    assert!(a.read(&["sync", "status", &group]).contains("does not keep this document"));
    assert_eq!(a.tell(&["document", "drop", &group, "chat"]).code, 7, "nobody else keeps it");
    assert_eq!(a.tell(&["document", "drop", &group, "disk"]).code, 3);

    of_b.kill();
    let of_b = b.up();
    assert_eq!(document(&b, &group, "chat")["kept"], false, "after a kill");
    of_b.stop();
    a.must(&["chat", "send", &group, "written while it was not kept"]);
    a.must(&["chat", "delete", &group, gone.as_str().expect("an id")]);
    let of_b = b.up();
    b.must(&["dial", &of_a.address()]);
    assert_eq!(b.must(&["document", "keep", &group, "chat"])["kept"], true);
    eventually("all of it is back", || b.chat(&group).len() == 21 && b.chat(&group) == a.chat(&group));
    assert!(!b.chat(&group).iter().any(|text| text.contains("pear")));
    eventually("it is found again", || hits(&b, "plum") == 20);
    b.must(&["chat", "send", &group, "and here it goes on"]);
    eventually("both show it", || a.chat(&group).len() == 22 && a.chat(&group) == b.chat(&group));
    eventually("in sync again", || chat_status(&a, &group)["state"] == "in_sync");
    drop((of_a, of_b));
}
