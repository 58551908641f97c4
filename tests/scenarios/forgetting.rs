//! Deleted messages are forgotten everywhere, once everybody who is awaited knows of it.

use fourword_protocol::command::{ChatCommand, Command, DocumentSync, Outcome, Reply};
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

fn delete(c: &mut Cluster, by: &str, group: FourWords, id: MessageId) {
    assert_eq!(c.ask(by, Command::Chat(group, ChatCommand::Delete(id))), Outcome::Done(Reply::Ok));
}

/// The chat's line of the status.
fn chat_status(c: &mut Cluster, name: &str, group: FourWords) -> DocumentSync {
    match c.must(name, Command::SyncStatus(Some(group))) {
        Reply::Sync { documents, .. } => documents.into_iter().find(|d| d.id.ends_with(":chat")).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn tombstones(c: &mut Cluster, name: &str, group: FourWords) -> u64 {
    chat_status(c, name, group).tombstones
}

#[test]
fn a_deleted_message_waits_for_who_is_away_and_is_pruned_everywhere_when_it_returns() {
    let mut c = Cluster::new(41);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = c.send_message("ada", group, "forget me");
    c.send_message("ada", group, "keep me");
    c.settle();
    c.isolate("eve");
    delete(&mut c, "ada", group, id);
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, group), ["(deleted)", "keep me"], "{name} knows, and it waits for eve");
        assert_eq!(tombstones(&mut c, name, group), 1, "{name}");
    }
    c.heal();
    c.settle();
    for name in ["ada", "ben", "eve"] {
        assert_eq!(c.read_chat(name, group), ["keep me"], "{name}");
        assert_eq!(tombstones(&mut c, name, group), 0, "{name}");
    }
}
