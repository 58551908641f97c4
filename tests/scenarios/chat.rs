//! A chat that merges: edits, deletions and reactions made together, apart and out of order.

use fourword_protocol::command::{ChatCommand, Command, Outcome, RefusalCode, Reply, SyncState};
use fourword_protocol::limits::{ATTACHMENTS_MAX, PENDING_EDITS_MAX};
use fourword_protocol::schema::chat::{Attachment, MessageId, NewMessage};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

fn edit(c: &mut Cluster, by: &str, group: FourWords, id: MessageId, text: &str) -> Outcome {
    c.ask(by, Command::Chat(group, ChatCommand::Edit(id, text.into())))
}

fn delete(c: &mut Cluster, by: &str, group: FourWords, id: MessageId) -> Outcome {
    c.ask(by, Command::Chat(group, ChatCommand::Delete(id)))
}

#[test]
fn an_edit_made_offline_reaches_everyone_after_the_partition_heals() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = c.send_message("eve", group, "first");
    c.settle();
    c.isolate("eve");
    assert_eq!(edit(&mut c, "eve", group, id, "second"), Outcome::Done(Reply::Ok));
    c.send_message("ada", group, "meanwhile");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["first", "meanwhile"]);
    c.heal();
    c.settle();
    for name in ["ada", "ben", "eve"] {
        assert_eq!(c.read_chat(name, group), ["second", "meanwhile"], "{name}");
    }
}

#[test]
fn deletion_wins_over_a_concurrent_edit_whoever_deletes() {
    for (seed, deleter) in [(2, "ada"), (3, "ben")] {
        let mut c = Cluster::new(seed);
        let group = c.group_of(&["ada", "ben"]);
        let id = c.send_message("ben", group, "mine");
        c.settle();
        c.isolate("ada");
        let editor_is_deleter = deleter == "ben";
        assert_eq!(delete(&mut c, deleter, group, id), Outcome::Done(Reply::Ok));
        if !editor_is_deleter {
            assert_eq!(edit(&mut c, "ben", group, id, "changed"), Outcome::Done(Reply::Ok));
        }
        c.heal();
        c.settle();
        for name in ["ada", "ben"] {
            assert!(c.read_chat(name, group).is_empty(), "{name} after {deleter} deleted");
        }
    }
}

#[test]
fn nobody_edits_or_deletes_what_is_not_its_own_unless_an_admin_deletes() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben"]);
    let of_ada = c.send_message("ada", group, "from the owner");
    let of_ben = c.send_message("ben", group, "from a member");
    c.settle();
    let code = |outcome| match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    };
    assert_eq!(code(edit(&mut c, "ben", group, of_ada, "x")), Some(RefusalCode::NotAllowed));
    assert_eq!(code(delete(&mut c, "ben", group, of_ada)), Some(RefusalCode::NotAllowed));
    assert_eq!(code(edit(&mut c, "ada", group, of_ben, "x")), Some(RefusalCode::NotAllowed));
    assert_eq!(code(delete(&mut c, "ada", group, of_ben)), None);
}

#[test]
fn replies_and_reactions_reach_the_other() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben"]);
    let id = c.send_message("ada", group, "tea?");
    c.settle();
    let reply = ChatCommand::say("yes", Some(id));
    c.must("ben", Command::Chat(group, reply));
    let react = ChatCommand::React { message: id, emoji: "👍".into(), on: true };
    c.must("ben", Command::Chat(group, react));
    c.settle();
    let Reply::Messages(shown) = c.must("ada", Command::Chat(group, ChatCommand::Read { last: 10 })) else {
        panic!("messages")
    };
    let [first, second] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!(second.message.parent, Some(id));
    let [(emoji, by)] = &first.reactions[..] else { panic!("{:?}", first.reactions) };
    assert_eq!((emoji.as_str(), by.len()), ("👍", 1));
}

#[test]
fn a_message_may_refer_to_files_and_needs_no_text_then() {
    let mut c = Cluster::new(12);
    let group = c.group_of(&["ada", "ben"]);
    let file = |name: &str| Attachment { blob: [7; 32], size_bytes: 1_200_000, name: name.into() };
    let send = |attachments| {
        let (text, parent) = Default::default();
        Command::Chat(group, ChatCommand::Send(NewMessage { text, parent, attachments }))
    };
    c.must("ada", send(vec![file("plan.pdf"), file("photo.png")]));
    c.settle();
    let Reply::Messages(shown) = c.must("ben", Command::Chat(group, ChatCommand::Read { last: 1 })) else {
        panic!("messages")
    };
    assert_eq!(shown[0].message.attachments, [file("plan.pdf"), file("photo.png")]);
    for (wrong, why) in [
        (vec![], RefusalCode::Usage),
        (vec![file("../plan.pdf")], RefusalCode::Usage),
        (vec![file("plan.pdf"); ATTACHMENTS_MAX + 1], RefusalCode::TooMuch),
    ] {
        let Outcome::Refused(refusal) = c.ask("ada", send(wrong)) else { panic!("refused") };
        assert_eq!(refusal.code, why);
    }
}

#[test]
fn a_message_that_two_pinned_shows_as_pinned_until_both_took_that_back() {
    let mut c = Cluster::new(11);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let message = c.send_message("ada", group, "rules");
    c.settle();
    let pinned_by = |c: &mut Cluster| {
        let Reply::Messages(shown) = c.must("eve", Command::Chat(group, ChatCommand::Read { last: 1 }))
        else {
            panic!("messages")
        };
        shown[0].pinned_by.len()
    };
    for (by, on, left) in
        [("ada", true, 1), ("ben", true, 2), ("ben", true, 2), ("ada", false, 1), ("ben", false, 0)]
    {
        c.must(by, Command::Chat(group, ChatCommand::Pin { message, on }));
        c.settle();
        assert_eq!(pinned_by(&mut c), left, "{by} {on}");
    }
    c.must("ada", Command::Chat(group, ChatCommand::Delete(message)));
    let pin = Command::Chat(group, ChatCommand::Pin { message, on: true });
    let Outcome::Refused(refusal) = c.ask("ada", pin) else { panic!("what is deleted is pinned") };
    assert_eq!(refusal.code, RefusalCode::NotFound);
}

#[test]
fn everything_arrives_although_all_gossip_is_lost() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.gossip_loss = 100;
    for i in 0..30 {
        c.send_message(["ada", "ben", "eve"][i % 3], group, &format!("message {i}"));
    }
    c.settle();
    let of_ada = c.read_chat("ada", group);
    assert_eq!(of_ada.len(), 30);
    assert_eq!(c.read_chat("ben", group), of_ada);
    assert_eq!(c.read_chat("eve", group), of_ada);
}

#[test]
fn many_writes_at_once_are_grouped_and_all_answered() {
    let mut c = Cluster::new(7);
    let group = c.group_of(&["ada", "ben"]);
    let ids: Vec<_> = (0..500)
        .map(|i| {
            let send = ChatCommand::say(format!("message {i}"), None);
            c.begin("ada", Command::Chat(group, send))
        })
        .collect();
    c.settle();
    for id in ids {
        assert!(matches!(c.answer("ada", id), Some(Outcome::Done(Reply::Message(_)))));
    }
    assert_eq!(c.read_chat("ben", group).len(), 500);
}

#[test]
fn status_says_in_sync_only_when_both_sides_are_equal() {
    let mut c = Cluster::new(8);
    let group = c.group_of(&["ada", "ben"]);
    let state = |c: &mut Cluster| match c.must("ada", Command::SyncStatus(Some(group))) {
        Reply::Sync { documents, .. } => documents.into_iter().map(|d| (d.id, d.state)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert!(state(&mut c).iter().all(|(_, state)| *state == SyncState::InSync));
    c.isolate("ada");
    c.send_message("ben", group, "unseen");
    assert!(state(&mut c).iter().all(|(_, state)| *state == SyncState::Alone));
    c.gossip_loss = 100;
    c.heal();
    c.settle();
    assert!(state(&mut c).iter().all(|(_, state)| *state == SyncState::InSync));
    c.send_message("ada", group, "just now");
    let chat = state(&mut c).into_iter().find(|(id, _)| id.ends_with(":chat"));
    assert_eq!(chat.map(|(_, state)| state), Some(SyncState::Behind));
    c.settle();
    assert!(state(&mut c).iter().all(|(_, state)| *state == SyncState::InSync));
}

#[test]
fn quiet_peers_tell_each_other_how_they_stand_now_and_then_and_no_more() {
    let mut c = Cluster::new(9);
    c.group_of(&["ada", "ben"]);
    let before = c.delivered;
    c.run_for(600_000);
    let frames = c.delivered - before;
    assert!((10..=40).contains(&frames), "{frames} frames in ten minutes");
}

#[test]
fn as_many_edits_as_there_is_room_for_wait_for_the_disk_and_one_more_is_refused() {
    let mut c = Cluster::new(40);
    let group = c.group_of(&["ada"]);
    c.send_message("ada", group, "the document is in memory");
    // The first is on its way to the disk before the others come, which wait for it.
    let sends: Vec<_> = (0..PENDING_EDITS_MAX + 2)
        .map(|number| {
            let send = ChatCommand::say(number.to_string(), None);
            c.begin("ada", Command::Chat(group, send))
        })
        .collect();
    c.settle();
    let (last, taken) = sends.split_last().unwrap();
    assert!(taken.iter().all(|id| matches!(c.answer("ada", *id), Some(Outcome::Done(_)))));
    let Some(Outcome::Refused(refusal)) = c.answer("ada", *last) else { panic!("a refusal") };
    assert_eq!(refusal.code, RefusalCode::TooMuch);
    c.crash("ada");
    c.restart("ada");
    assert_eq!(c.read_chat("ada", group).len(), taken.len() + 1, "nothing that was taken is lost");
}
