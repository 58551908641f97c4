//! Who is in and who is not: asking by the words, approval, removal, further devices, recovery.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::daemon::{Daemon, Home, Told, eventually, told};

/// Becomes the person of a phrase, which is read from standard input.
fn recover(home: &Home, phrase: &str, peer: &str) -> Told {
    let mut command = home.command(&["identity", "recover", "--peer", peer]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the program starts");
    process.stdin.take().expect("its input").write_all(phrase.as_bytes()).expect("it reads");
    told(process.wait_with_output().expect("it ends"))
}

fn members(home: &Home, group: &str) -> Vec<Value> {
    home.must(&["member", "list", group])["members"].as_array().cloned().unwrap_or_default()
}

fn wait_to_be_in(home: &Home, group: &str) {
    eventually("being in", || home.tell(&["chat", "read", group]).code == 0);
}

/// Lets somebody in who knows the four words and where a member listens.
fn let_in_by_words(admin: &Home, guest: &Home, group: &str, of_admin: &Daemon, of_guest: &Daemon) {
    let asked = guest.tell(&["join", group, "--peer", &of_admin.address(), "--note", "It is me, Ben"]);
    assert_eq!((asked.code, asked.out["state"].as_str()), (7, Some("requested")), "{}", asked.error);
    assert_eq!(guest.must(&["joins"])["joins"][0]["state"], "requested");
    let guest_words = of_guest.identity();
    eventually("the request", || {
        let requests = admin.must(&["requests", group])["requests"].clone();
        requests[0]["identity"] == guest_words.as_str() && requests[0]["note"] == "It is me, Ben"
    });
    admin.must(&["approve", group, &guest_words]);
    wait_to_be_in(guest, group);
    eventually("the end of the join", || guest.must(&["joins"])["joins"] == Value::Array(Vec::new()));
    assert_eq!(admin.must(&["requests", group])["requests"], Value::Array(Vec::new()));
}

#[test]
fn a_group_lets_in_by_words_removes_and_knows_its_people_on_all_their_devices() {
    let (ada, ben, second, third) = (Home::new(), Home::new(), Home::new(), Home::new());
    let (of_ada, of_ben) = (ada.up(), ben.up());
    let phrase = ada.must(&["identity", "phrase"])["phrase"].as_str().expect("24 words").to_owned();
    let group = ada.must(&["group", "create", "Tea"])["words"].as_str().expect("four words").to_owned();
    ada.must(&["chat", "send", &group, "first"]);

    let_in_by_words(&ada, &ben, &group, &of_ada, &of_ben);
    ben.wait_for_chat(&group, &["first"]);
    ben.must(&["chat", "send", &group, "from ben"]);
    ada.wait_for_chat(&group, &["first", "from ben"]);

    ada.must(&["member", "remove", &group, &of_ben.identity(), "--yes"]);
    assert_eq!(members(&ada, &group).len(), 1);
    eventually("ben to know", || ben.must(&["group", "show", &group])["role"].is_null());
    assert_eq!(ben.tell(&["chat", "send", &group, "still here?"]).error_code(), "not_allowed");
    ada.must(&["chat", "send", &group, "without ben"]);

    let of_second = second.up();
    let link = ada.must(&["device", "add"])["link"].as_str().expect("a link").to_owned();
    let linked = second.must(&["link", &link]);
    assert_eq!(linked["identity"], of_ada.identity().as_str());
    wait_to_be_in(&second, &group);
    second.wait_for_chat(&group, &["first", "from ben", "without ben"]);
    second.must(&["chat", "send", &group, "from the second"]);
    ada.wait_for_chat(&group, &["first", "from ben", "without ben", "from the second"]);

    let of_third = third.up();
    assert_eq!(third.tell(&["link", &link]).error_code(), "not_allowed", "a code works once");
    let link_of_ben = ben.must(&["device", "add"])["link"].as_str().expect("a link").to_owned();
    assert_eq!(ada.tell(&["link", &link_of_ben]).error_code(), "not_allowed", "she is in a group already");
    let recovered = recover(&third, &phrase, &of_second.address());
    assert_eq!(recovered.code, 0, "{}", recovered.error);
    assert_eq!(recovered.out["identity"], of_ada.identity().as_str());
    third.tell(&["join", &group, "--peer", &of_second.address(), "--wait", "50"]);
    wait_to_be_in(&third, &group);
    third.wait_for_chat(&group, &["first", "from ben", "without ben", "from the second"]);
    let lost = ada.must(&["identity", "show"])["device"].as_str().expect("a key").to_owned();
    third.must(&["device", "revoke", &lost, "--yes"]);
    third.must(&["chat", "send", &group, "ada's laptop was stolen"]);
    let all = ["first", "from ben", "without ben", "from the second", "ada's laptop was stolen"];
    second.wait_for_chat(&group, &all);
    eventually("one person with two devices", || {
        let members = members(&second, &group);
        members.len() == 1 && members[0]["devices"].as_array().is_some_and(|devices| devices.len() == 2)
    });
    assert!(!ada.chat(&group).contains(&"ada's laptop was stolen".to_owned()));
    assert!(!ben.chat(&group).contains(&"without ben".to_owned()));
    of_third.stop();
}
