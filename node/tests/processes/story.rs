//! Two people, four words, one chat: the story of the README.

use crate::daemon::{Home, eventually};

/// Two nodes in one group, the first its owner.
pub(crate) fn two_in_a_group() -> (Home, Home, String, crate::daemon::Daemon, crate::daemon::Daemon) {
    let (a, b) = (Home::new(), Home::new());
    let (of_a, of_b) = (a.up(), b.up());
    let made = a.must(&["group", "create", "Tea"]);
    let group = made["words"].as_str().expect("four words").to_owned();
    let invite = a.must(&["invite", &group]);
    let code = invite["code"].as_str().expect("a code");
    let joined = b.must(&["join", &group, "--code", code, "--wait", "50"]);
    assert_eq!(joined["state"], "joined");
    (a, b, group, of_a, of_b)
}

#[test]
fn two_people_join_chat_and_end_with_the_same_chat_though_each_wrote_alone() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    a.must(&["chat", "send", &group, "hello ben"]);
    b.wait_for_chat(&group, &["hello ben"]);
    let id = b.must(&["chat", "send", &group, "hello ada"])["id"].as_str().expect("an id").to_owned();
    a.wait_for_chat(&group, &["hello ben", "hello ada"]);

    let address = of_a.address();
    of_b.stop();
    a.must(&["chat", "send", &group, "ben is away"]);
    a.must(&["chat", "delete", &group, &id]);
    of_a.stop();

    let of_b = b.up();
    b.must(&["chat", "send", &group, "ada is away"]);
    b.must(&["chat", "edit", &group, &id, "hello ada, edited"]);
    let of_a = a.up_with(&["--listen", &address[..address.find("/p2p").expect("a peer id")]]);
    b.must(&["dial", &of_a.address()]);
    let expected = ["hello ben", "ben is away", "ada is away"];
    a.wait_for_chat(&group, &expected);
    b.wait_for_chat(&group, &expected);
    eventually("both in sync", || {
        let status = a.tell(&["sync", "status", &group]);
        let documents = status.out["documents"].as_array().cloned().unwrap_or_default();
        status.code == 0 && documents.iter().all(|d| d["state"] == "in_sync") && !documents.is_empty()
    });
    of_b.stop();
    of_a.stop();
}

#[test]
fn members_show_names_roles_and_who_is_here() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    b.must(&["name", "Ben"]);
    eventually("both members with names and words", || {
        let told = a.must(&["group", "members", &group]);
        let members = told["members"].as_array().cloned().unwrap_or_default();
        members.len() == 2
            && members[0]["identity"] == of_a.identity().as_str()
            && members[0]["role"] == "owner"
            && members[1]["identity"] == of_b.identity().as_str()
            && members[1]["role"] == "member"
            && members[1]["active"] == true
            && members[1]["name"] == "Ben"
    });
    eventually("the group's name", || {
        let list = b.must(&["group", "list"]);
        list["groups"][0]["words"] == group.as_str() && list["groups"][0]["name"] == "Tea"
    });
    of_b.stop();
    let _of_b = b.up();
    assert_eq!(b.must(&["group", "list"])["groups"][0]["name"], "Tea", "known at once after a restart");
}

#[test]
fn replies_reactions_pins_and_mentions_are_shown_with_their_authors() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    let id = a.must(&["chat", "send", &group, "tea?"])["id"].as_str().expect("an id").to_owned();
    b.wait_for_chat(&group, &["tea?"]);
    let short = &id[id.find('-').expect("two parts") + 1..][..8];
    b.must(&["chat", "reply", &group, short, "yes"]);
    assert_eq!(b.tell(&["chat", "reply", &group, "aaaaaaaa", "yes"]).code, 3);
    b.must(&["chat", "react", &group, &id, "👍"]);
    a.wait_for_chat(&group, &["tea?", "yes"]);
    eventually("the reaction", || {
        let read = a.must(&["chat", "read", &group, "--last", "2"]);
        let [first, second] = [&read["messages"][0], &read["messages"][1]];
        second["parent"] == id.as_str()
            && second["author"] == of_b.identity().as_str()
            && first["author"] == of_a.identity().as_str()
            && !first["reactions"].is_null()
            && first["reactions"].to_string().contains("👍")
            && first["replies"] == 1
    });
    b.must(&["chat", "pin", &group, short]);
    b.must(&["chat", "send", &group, &format!("@{} look above", of_a.identity())]);
    eventually("the pin and the mention", || {
        let pinned = a.must(&["chat", "read", &group, "--pinned"]);
        let inbox = a.must(&["inbox"]);
        pinned["messages"].as_array().is_some_and(|all| all.len() == 1)
            && pinned["messages"][0]["pinned_by"][0] == of_b.identity().as_str()
            && inbox["groups"][0]["mentions"] == 1
    });
    b.must(&["chat", "pin", &group, short, "--remove"]);
    eventually("the pin to be gone", || {
        a.must(&["chat", "read", &group, "--pinned"])["messages"].as_array().is_some_and(Vec::is_empty)
    });
}
