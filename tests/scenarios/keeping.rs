//! A device stops keeping a document and keeps it again: what it forgets, whom that holds up, what comes back.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    At, BoardCommand, CardFilter, ChatCommand, Command, DocumentSync, DocumentView, Keeps, Kind, Outcome,
    Refusal, RefusalCode, Reply, SyncState,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::ids::{DeviceKey, DocumentKey, Incarnation};
use fourword_protocol::inspect::Holding;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::wire::{Frame, kind_of};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

use crate::comparing::watch;
use crate::people::set_role;
use crate::standing::{chat_sync, line, run_seen};

pub(crate) const CHAT: Concern = Concern::Chat;

pub(crate) fn drop_document(c: &mut Cluster, by: &str, group: FourWords, concern: Concern) -> Outcome {
    c.ask(by, Command::Drop(group, concern))
}

pub(crate) fn must_drop(c: &mut Cluster, by: &str, group: FourWords, concern: Concern) {
    assert_eq!(drop_document(c, by, group, concern), Outcome::Done(Reply::Ok));
}

pub(crate) fn keep(c: &mut Cluster, by: &str, group: FourWords, concern: Concern) {
    assert_eq!(c.ask(by, Command::Keep(group, concern)), Outcome::Done(Reply::Ok));
}

pub(crate) fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        done => panic!("{done:?}"),
    }
}

pub(crate) fn delete(c: &mut Cluster, by: &str, group: FourWords, id: MessageId) {
    c.must(by, Command::Chat(group, ChatCommand::Delete(id)));
}

/// The documents of the group's chat as a node has them.
pub(crate) fn chats<'a>(c: &'a Cluster, name: &str) -> Vec<Holding<'a>> {
    let group = Insider::of(c, name).entity;
    c.holdings(name).filter(|h| h.entity() == group && h.segment().0 == CHAT).collect()
}

/// The first of them, in which everybody wrote.
fn chat<'a>(c: &'a Cluster, name: &str) -> Holding<'a> {
    chats(c, name).into_iter().find(|holding| holding.segment().1 == 1).unwrap()
}

/// The name of the group's chat, which is the same for everybody.
pub(crate) fn chat_key(c: &Cluster, name: &str) -> DocumentKey {
    Insider::of(c, name).document(&CHAT)
}

/// Whether anything of a document is on a node's disk.
pub(crate) fn is_on_disk(c: &Cluster, name: &str, document: DocumentKey) -> bool {
    let has_logs = c.logs(name).iter().any(|log| log.document == document);
    has_logs || !c.stored_snapshot(name, document).is_empty()
}

/// How a node shows that a device stands to what waits in the chat.
pub(crate) fn keeps(c: &mut Cluster, name: &str, group: FourWords, device: DeviceKey) -> Keeps {
    let Reply::Tombstones(documents) = c.must(name, Command::Tombstones(group)) else { panic!("tombstones") };
    documents[0].devices.iter().find(|keeper| keeper.device == device).unwrap().keeps
}

/// How many wait to be pruned in the chat, and how many were.
pub(crate) fn flags(c: &mut Cluster, name: &str, group: FourWords) -> (u64, u64) {
    let Reply::Tombstones(documents) = c.must(name, Command::Tombstones(group)) else { panic!("tombstones") };
    (documents[0].waiting, documents[0].pruned)
}

fn documents(c: &mut Cluster, name: &str, group: FourWords) -> Vec<DocumentView> {
    match c.must(name, Command::Documents(group)) {
        Reply::Documents(documents) => documents,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn assert_same(c: &mut Cluster, names: &[&str], group: FourWords) {
    let shown = c.read_chat(names[0], group);
    for name in names {
        assert_eq!(c.read_chat(name, group), shown, "{name}");
        let status: DocumentSync = chat_sync(c, name, group);
        assert_eq!(status.state, SyncState::InSync, "{name}: {status:?}");
    }
}

#[test]
fn a_dropped_chat_leaves_memory_and_disk_and_nobody_waits_for_who_dropped_it() {
    let mut c = Cluster::new(1901);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let gone = c.send_message("ben", group, "to be deleted");
    c.send_message("eve", group, "stays");
    c.settle();
    let (eve, chat) = (c.device("eve").unwrap(), chat_key(&c, "ada"));
    let topics = c.topics("eve").len();
    must_drop(&mut c, "eve", group, CHAT);
    assert!(chats(&c, "eve").is_empty() && !is_on_disk(&c, "eve", chat));
    assert!(c.topics("eve").len() < topics, "its topic is not listened to");
    c.settle();
    c.isolate("eve");
    delete(&mut c, "ben", group, gone);
    c.settle();
    assert_eq!(flags(&mut c, "ada", group), (0, 1), "pruned without who dropped it");
    assert_eq!(keeps(&mut c, "ada", group, eve), Keeps::Stopped);
    let said = line(&chat_sync(&mut c, "ada", group), "eve", &c);
    assert_eq!(said.state, SyncState::Alone);
    assert!(said.reason.ends_with("does not keep this document"), "{said:?}");
    assert_eq!(chat_sync(&mut c, "ada", group).state, SyncState::InSync, "with ben");
}

#[test]
fn all_that_reads_or_writes_a_dropped_document_is_refused_and_says_how_to_keep_it() {
    let mut c = Cluster::new(1902);
    let group = c.group_of(&["ada", "ben"]);
    let id = c.send_message("ada", group, "hello");
    c.must(
        "ada",
        Command::Board(group, BoardCommand::AddColumn { title: "todo".into(), limit: 0, at: At::Last }),
    );
    c.settle();
    for concern in [CHAT, Concern::Kanban, Concern::Issues] {
        must_drop(&mut c, "ben", group, concern);
    }
    let asked = [
        Command::Chat(group, ChatCommand::Read { last: 1 }),
        Command::Chat(group, ChatCommand::say("x", None)),
        Command::Chat(group, ChatCommand::Delete(id)),
        Command::Board(group, BoardCommand::Show(CardFilter::default())),
        Command::Board(group, BoardCommand::AddColumn { title: "x".into(), limit: 0, at: At::Last }),
        Command::Undo(group, Concern::Kanban),
        Command::Redo(group, Concern::Issues),
        Command::Drop(group, CHAT),
    ];
    for command in asked {
        let shown = format!("{command:?}");
        let refusal = refused(c.ask("ben", command));
        assert_eq!(refusal.code, RefusalCode::NotFound, "{shown}");
        assert!(refusal.message.starts_with("this device does not keep the "), "{shown}: {refusal:?}");
        assert!(refusal.hint.starts_with(&format!("`fourword document keep {group} ")), "{refusal:?}");
    }
    let ids: Vec<(String, bool)> =
        documents(&mut c, "ben", group).into_iter().map(|view| (view.id, view.is_kept)).collect();
    let expected = ["core", "chat", "issues", "kanban"]
        .map(|concern| (format!("group:{group}:{concern}"), concern == "core"));
    assert_eq!(ids, expected);
    let Reply::Sync { documents, .. } = c.must("ben", Command::SyncStatus(Some(group))) else { panic!() };
    let chat = documents.iter().find(|document| document.id.ends_with(":chat")).unwrap();
    assert_eq!((chat.state, chat.peers.len()), (SyncState::Alone, 0));
    assert!(chat.reason.starts_with("this device does not keep it"), "{chat:?}");
    let Reply::Places(places) = c.must("ben", Command::Places) else { panic!("places") };
    assert!(places[0].documents.is_empty(), "copies follow: {places:?}");
}

#[test]
fn what_no_device_could_drop_is_refused() {
    let mut c = Cluster::new(1903);
    let group = c.group_of(&["ada", "ben"]);
    let channel = c.create_child("ada", Kind::Channel, "talk", group);
    c.settle();
    for (words, concern) in [(group, Concern::Core), (group, Concern::Home), (channel, Concern::Kanban)] {
        for command in [Command::Drop(words, concern), Command::Keep(words, concern)] {
            assert_eq!(refused(c.ask("ada", command)).code, RefusalCode::Usage, "{concern:?}");
        }
    }
    keep(&mut c, "ada", group, CHAT);
    must_drop(&mut c, "ada", channel, CHAT);
    assert_eq!(c.read_chat("ada", group), [""; 0], "another chat is kept");
    refused(c.ask("ada", Command::Chat(channel, ChatCommand::Read { last: 1 })));
}

#[test]
fn a_chat_that_is_kept_again_has_everything_and_what_was_deleted_meanwhile_stays_deleted() {
    let mut c = Cluster::new(1917);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.send_message("eve", group, "eve before");
    let gone = c.send_message("ben", group, "to be deleted");
    c.settle();
    let before: BTreeSet<Incarnation> = own_logs(&c, "eve", "ada");
    must_drop(&mut c, "eve", group, CHAT);
    c.settle();
    c.send_message("ada", group, "written meanwhile");
    delete(&mut c, "ben", group, gone);
    c.settle();
    keep(&mut c, "eve", group, CHAT);
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["eve before", "written meanwhile"]);
    c.send_message("eve", group, "eve after");
    c.settle();
    assert_same(&mut c, &["ada", "ben", "eve"], group);
    let after = own_logs(&c, "eve", "ada");
    assert_eq!((before.len(), after.len()), (1, 2), "no log is gone on with");
    assert!(after.is_superset(&before));
    // She is awaited again.
    c.isolate("eve");
    let other = c.send_message("ada", group, "deleted while eve is away");
    delete(&mut c, "ada", group, other);
    c.settle();
    assert_eq!(flags(&mut c, "ada", group).0, 1);
    let eve = c.device("eve").unwrap();
    assert_eq!(keeps(&mut c, "ada", group, eve), Keeps::Awaited);
    c.heal();
    c.connect_all();
    c.settle();
    assert_eq!(flags(&mut c, "eve", group), (0, 2));
}

/// Under which incarnations a device wrote in the chat, as somebody else holds it.
fn own_logs(c: &Cluster, of: &str, at: &str) -> BTreeSet<Incarnation> {
    let device = c.device(of).unwrap();
    let heads = chat(c, at).heads();
    heads.keys().filter(|log| log.device == device).map(|log| log.incarnation).collect()
}

#[test]
fn a_dropped_document_is_not_asked_for_and_peers_are_as_quiet_as_before() {
    let mut c = Cluster::new(1918);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.send_message("ada", group, "before");
    c.settle();
    must_drop(&mut c, "eve", group, CHAT);
    must_drop(&mut c, "ben", group, Concern::Kanban);
    c.settle();
    let chat = chat_key(&c, "ada");
    let mut about = Vec::new();
    c.begin("ada", Command::Chat(group, ChatCommand::say("after", None)));
    let eve = c.device("eve").unwrap();
    run_seen(&mut c, 5_000, &mut |happened| {
        for effect in &happened.effects {
            if let Effect::Send(to, bytes) = effect
                && (*to == eve || happened.name == "eve")
                && bytes.windows(32).any(|window| window == chat.0)
            {
                about.push((happened.name.clone(), kind_of(bytes)));
            }
        }
    });
    assert!(about.iter().all(|(by, kind)| by != "eve" && *kind == "state"), "{about:?}");
    c.settle();
    let seen = watch(&mut c, 1_200_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
    assert!(seen.values().all(|count| (10..=20).contains(count)), "every one to two minutes: {seen:?}");
    // Two who both dropped it are as quiet.
    must_drop(&mut c, "ben", group, CHAT);
    c.settle();
    let seen = watch(&mut c, 1_200_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
    assert!(seen.values().all(|count| (10..=20).contains(count)), "every one to two minutes: {seen:?}");
    keep(&mut c, "eve", group, CHAT);
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["before", "after"]);
    let seen = watch(&mut c, 1_200_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
}

#[test]
fn two_who_dropped_other_segments_of_a_chat_are_as_quiet() {
    let mut c = Cluster::new(1934);
    let group = c.group_of(&["ada", "ben", "eve"]);
    // Of what nobody wrote in there is one segment, and two of what is begun.
    must_drop(&mut c, "eve", group, CHAT);
    c.settle();
    c.send_message("ada", group, "begun");
    c.settle();
    must_drop(&mut c, "ben", group, CHAT);
    c.run_for(300_000);
    let seen = watch(&mut c, 1_200_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
    assert!(seen.values().all(|count| (10..=20).contains(count)), "every one to two minutes: {seen:?}");
    for name in ["ben", "eve"] {
        keep(&mut c, name, group, CHAT);
    }
    c.settle();
    assert_same(&mut c, &["ada", "ben", "eve"], group);
}

#[test]
fn what_one_wrote_that_does_not_count_is_not_dropped_with_the_chat() {
    let mut c = Cluster::new(1935);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "hello");
    c.settle();
    c.isolate("ben");
    set_role(&mut c, "ada", group, "ben", Role::Viewer);
    c.send_message("ben", group, "nobody else has this");
    c.settle();
    c.heal();
    c.connect_all();
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["hello"]);
    let refusal = refused(drop_document(&mut c, "ben", group, CHAT));
    assert!(refusal.message.contains("does not count") && refusal.hint.contains("sync unaccepted"));
    let Reply::Unaccepted(views) = c.must("ben", Command::Unaccepted(group)) else { panic!("views") };
    assert_eq!(views.len(), 1, "it is still there");
}

#[test]
fn a_device_that_starts_again_keeps_no_more_than_before_and_can_keep_it_again() {
    let mut c = Cluster::new(1920);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "one");
    c.send_message("ben", group, "two");
    c.settle();
    let chat = chat_key(&c, "ada");
    must_drop(&mut c, "ben", group, CHAT);
    for is_clean in [true, false] {
        if is_clean {
            c.stop("ben")
        } else {
            c.crash("ben")
        }
        c.restart("ben");
        c.connect_all();
        c.settle();
        assert!(chats(&c, "ben").is_empty() && !is_on_disk(&c, "ben", chat));
        refused(c.ask("ben", Command::Chat(group, ChatCommand::Read { last: 1 })));
        assert!(
            line(&chat_sync(&mut c, "ada", group), "ben", &c).reason.ends_with("does not keep this document")
        );
    }
    keep(&mut c, "ben", group, CHAT);
    c.stop("ben");
    c.restart("ben");
    c.connect_all();
    c.settle();
    c.send_message("ben", group, "three");
    c.settle();
    assert_same(&mut c, &["ada", "ben"], group);
    c.crash("ben");
    c.restart("ben");
    c.connect_all();
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["one", "two", "three"]);
    assert_eq!(own_logs(&c, "ben", "ada").len(), 2);
}

#[test]
fn a_segment_that_is_begun_later_is_not_waited_for_and_comes_back_with_the_others() {
    let mut c = Cluster::new(1922);
    c.segment_bytes = 2048;
    let group = c.group_of(&["ada", "ben", "eve"]);
    let text = |n: usize| format!("message {n}, long enough that few of them fill a segment of this chat");
    for n in 0..30 {
        c.send_message("ada", group, &text(n));
    }
    c.settle();
    let dropped = chats(&c, "eve").len();
    assert!(dropped > 1, "several segments are there");
    must_drop(&mut c, "eve", group, CHAT);
    assert!(chats(&c, "eve").is_empty());
    for n in 30..60 {
        c.send_message("ben", group, &text(n));
    }
    c.settle();
    c.stop("eve");
    c.restart("eve");
    c.connect_all();
    c.settle();
    assert!(chats(&c, "eve").is_empty(), "none of the new ones either");
    let last = c.send_message("ada", group, "deleted in the last segment");
    c.settle();
    c.isolate("eve");
    delete(&mut c, "ada", group, last);
    c.settle();
    let Reply::Tombstones(documents) = c.must("ben", Command::Tombstones(group)) else { panic!() };
    assert!(documents.len() > dropped);
    assert!(documents.iter().all(|document| document.waiting == 0), "{documents:?}");
    c.heal();
    c.connect_all();
    keep(&mut c, "eve", group, CHAT);
    c.run_for(120_000);
    let shown = c.read_chat("ada", group);
    assert_eq!(c.read_chat("eve", group), shown);
    assert_eq!(chats(&c, "eve").len(), chats(&c, "ada").len());
}

#[test]
fn who_keeps_a_chat_alone_folds_it_as_soon_as_another_keeps_it_again() {
    let mut c = Cluster::new(1923);
    c.fold_after = 12;
    let group = c.group_of(&["ada", "ben"]);
    for n in 0..5 {
        c.send_message("ben", group, &format!("ben {n}"));
    }
    c.settle();
    must_drop(&mut c, "ben", group, CHAT);
    c.settle();
    for n in 0..20 {
        c.send_message("ada", group, &format!("ada {n}"));
    }
    c.run_for(60_000);
    let seen = watch(&mut c, 600_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "nobody is asked: {seen:?}");
    assert!(chat(&c, "ada").covered().is_empty(), "one alone has no witness");
    keep(&mut c, "ben", group, CHAT);
    c.run_for(120_000);
    assert_same(&mut c, &["ada", "ben"], group);
    assert_eq!(c.read_chat("ben", group).len(), 25);
    for name in ["ada", "ben"] {
        assert!(!chat(&c, name).covered().is_empty(), "{name}");
    }
}

#[test]
fn who_joins_later_is_given_a_chat_that_only_one_keeps() {
    let mut c = Cluster::new(1924);
    c.fold_after = 12;
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ben", group, "hello");
    c.settle();
    must_drop(&mut c, "ben", group, CHAT);
    c.settle();
    for n in 0..20 {
        c.send_message("ada", group, &format!("ada {n}"));
    }
    c.run_for(60_000);
    c.isolate("ben");
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.run_for(60_000);
    assert_eq!(c.read_chat("eve", group).len(), 21);
    let status = chat_sync(&mut c, "eve", group);
    assert_eq!(status.state, SyncState::InSync, "{status:?}");
}

#[test]
fn what_a_device_had_shown_before_it_dropped_the_chat_stays_missing_until_it_comes() {
    let mut c = Cluster::new(1929);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.gossip_loss = 100;
    c.isolate("eve");
    c.send_message("ben", group, "eve has not seen this");
    c.settle();
    c.lose("ben", "eve", |frame| matches!(frame, Frame::Envelopes { .. }), 100);
    c.reunite("ben", "eve");
    c.run_for(2_000);
    must_drop(&mut c, "ben", group, CHAT);
    c.run_for(2_000);
    let said = line(&chat_sync(&mut c, "eve", group), "ben", &c);
    assert_eq!((said.state, said.behind, said.keeps), (SyncState::Behind, 1, false), "{said:?}");
    c.lose_no_more();
    c.heal();
    c.connect("ada", "eve");
    c.settle();
    let said = line(&chat_sync(&mut c, "eve", group), "ben", &c);
    assert_eq!((said.state, said.behind), (SyncState::Alone, 0), "{said:?}");
    assert_eq!(c.read_chat("eve", group), ["eve has not seen this"]);
}
