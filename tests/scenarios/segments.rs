//! Chats that outgrow one document: what is full is followed by the next, and nobody can tell.

use std::collections::BTreeMap;

use fourword_protocol::command::{
    At, BoardCommand, BoardView, CardFilter, Changes, ChatCommand, Command, Copied, HistoryCommand,
    MessageView, Outcome, RefusalCode, Reply, SyncState,
};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{Digest, DocumentKey};
use fourword_protocol::inspect::Holding;
use fourword_protocol::limits::{LIVE_SEGMENTS_MAX, SEGMENTS_MAX, TEXT_BYTES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::told::Did;
use fourword_protocol::wire::{DocumentState, Frame, State};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

use crate::history::{compared, told, versions};

/// Bytes with which segments are full here: some 25 messages.
const SEGMENT_BYTES: u64 = 4096;

const THREE: [&str; 3] = ["ada", "ben", "eve"];

fn cluster(seed: u64) -> Cluster {
    let mut c = Cluster::new(seed);
    c.segment_bytes = SEGMENT_BYTES;
    c
}

/// What a node holds of the group's chat, by segment.
fn segments<'a>(c: &'a Cluster, name: &str) -> BTreeMap<u32, Holding<'a>> {
    let group = Insider::of(c, name).entity;
    let chats = c.holdings(name).filter(|h| h.entity() == group && h.segment().0 == Concern::Chat);
    chats.map(|holding| (holding.segment().1, holding)).collect()
}

/// How many segments somebody wrote in.
fn begun(c: &Cluster, name: &str) -> usize {
    segments(c, name).values().filter(|holding| !holding.heads().is_empty()).count()
}

/// Runs for a while, in which nobody ever has more segments in memory than may be.
fn run_bounded(c: &mut Cluster, ms: u64, names: &[&str]) {
    let end = c.now() + ms;
    while c.now() < end {
        assert!(c.step_seen(&mut |_, _| {}), "timers go on");
        for name in names.iter().filter(|name| c.is_up(name)) {
            let in_memory = c.holdings(name).filter(|h| h.segment().0 == Concern::Chat && h.is_in_memory());
            let mut of_entity: BTreeMap<_, usize> = BTreeMap::new();
            in_memory.for_each(|holding| *of_entity.entry(holding.entity()).or_default() += 1);
            assert!(of_entity.values().all(|count| *count <= LIVE_SEGMENTS_MAX), "{name}: {of_entity:?}");
        }
    }
}

fn text(number: usize) -> String {
    format!("message {number}, which is one of many and takes its place among all of them, as they all do")
}

/// Lets people write in turn, each of them knowing what was written before.
fn write(c: &mut Cluster, by: &[&str], group: FourWords, numbers: std::ops::Range<usize>) -> Vec<MessageId> {
    let mut write = |number: usize| {
        let id = c.send_message(by[number % by.len()], group, &text(number));
        c.run_for(100);
        id
    };
    numbers.map(&mut write).collect()
}

/// An envelope as a peer gives it.
fn page(by: &Insider, envelope: &Envelope, document: DocumentKey) -> Frame {
    let envelopes = vec![envelope.bytes().to_vec()];
    Frame::Envelopes { entity: by.entity, document, envelopes, more: false }
}

fn say(c: &mut Cluster, by: &str, group: FourWords, command: ChatCommand) -> Outcome {
    c.ask(by, Command::Chat(group, command))
}

fn shown(c: &mut Cluster, name: &str, group: FourWords) -> Vec<MessageView> {
    match c.must(name, Command::Chat(group, ChatCommand::Read { last: 10_000 })) {
        Reply::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

fn assert_same(c: &mut Cluster, names: &[&str], group: FourWords) {
    let first = shown(c, names[0], group);
    for name in &names[1..] {
        assert_eq!(shown(c, name, group), first, "{name}");
    }
}

/// Every segment is in sync with every device that is connected, as a node says.
fn assert_in_sync(c: &mut Cluster, name: &str, group: FourWords, count: usize) {
    let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(Some(group))) else {
        panic!("a status")
    };
    let chats: Vec<_> = documents.iter().filter(|document| document.id.contains(":chat")).collect();
    assert_eq!(chats.len(), count, "{name}");
    for chat in chats {
        assert_eq!(chat.state, SyncState::InSync, "{name}: {chat:?}");
    }
}

#[test]
fn a_chat_that_outgrows_one_segment_goes_on_in_the_next_and_few_are_in_memory() {
    let mut c = cluster(701);
    let group = c.group_of(&THREE);
    let ids = write(&mut c, &THREE, group, 0..120);
    run_bounded(&mut c, 60_000, &THREE);
    let count = begun(&c, "ada");
    assert!(count >= 4, "{count} segments");
    for name in THREE {
        for (segment, holding) in segments(&c, name) {
            let bytes = holding.content_bytes().unwrap_or(0);
            // The message with which it is full lies across the bound.
            assert!(bytes < SEGMENT_BYTES + 512, "{name}: {bytes} bytes in {segment}");
            assert!(holding.is_read() || holding.heads().is_empty(), "{name} knows what {segment} shows");
        }
        let order: Vec<MessageId> = shown(&mut c, name, group).iter().map(|view| view.message.id).collect();
        assert_eq!(order, ids, "{name}");
        assert_in_sync(&mut c, name, group, count);
    }
}

#[test]
fn two_who_begin_the_next_segment_at_once_begin_the_same_one() {
    let mut c = cluster(702);
    let group = c.group_of(&["ada", "ben"]);
    write(&mut c, &["ada", "ben"], group, 0..10);
    c.settle();
    c.isolate("ada");
    c.isolate("ben");
    write(&mut c, &["ada"], group, 10..40);
    write(&mut c, &["ben"], group, 40..70);
    assert!(begun(&c, "ada") >= 2 && begun(&c, "ben") >= 2, "each began the next by itself");
    c.heal();
    run_bounded(&mut c, 60_000, &["ada", "ben"]);
    let devices = ["ada", "ben"].map(|name| c.device(name).unwrap());
    let second = segments(&c, "ada")[&2];
    for device in devices {
        assert!(second.heads().keys().any(|log| log.device == device), "both wrote in the second");
    }
    assert_eq!(begun(&c, "ada"), begun(&c, "ben"));
    assert_eq!(shown(&mut c, "ada", group).len(), 70);
    assert_same(&mut c, &["ada", "ben"], group);
}

#[test]
fn what_is_said_about_an_old_message_goes_where_that_was_written_and_what_replies_to_it_does_not() {
    let mut c = cluster(703);
    let group = c.group_of(&THREE);
    let ids = write(&mut c, &THREE, group, 0..90);
    c.run_for(60_000);
    let before = begun(&c, "ada");
    let done = Outcome::Done(Reply::Ok);
    assert_eq!(say(&mut c, "ada", group, ChatCommand::Edit(ids[0], "edited".into())), done);
    let react = ChatCommand::React { message: ids[1], emoji: "+".into(), on: true };
    assert_eq!(say(&mut c, "eve", group, react), done);
    assert_eq!(say(&mut c, "eve", group, ChatCommand::Delete(ids[2])), done);
    let reply = ChatCommand::say("about the first", Some(ids[0]));
    assert!(matches!(say(&mut c, "ben", group, reply), Outcome::Done(Reply::Message(_))));
    run_bounded(&mut c, 60_000, &THREE);
    assert_eq!(begun(&c, "ada"), before);
    for name in THREE {
        let shown = shown(&mut c, name, group);
        assert_eq!(shown[0].message.text, "edited", "{name}");
        assert_eq!(shown[1].reactions.len(), 1, "{name}");
        assert!(shown.iter().all(|view| view.message.id != ids[2]), "{name} has pruned it at rest");
        let reply = shown.last().unwrap();
        assert_eq!((reply.message.text.as_str(), reply.message.parent), ("about the first", Some(ids[0])));
        // What was deleted stays deleted: it can neither be answered nor changed, whoever looks for it.
        for command in [ChatCommand::Delete(ids[2]), ChatCommand::say("?", Some(ids[2]))] {
            let Outcome::Refused(refusal) = say(&mut c, name, group, command) else { panic!("it is gone") };
            assert_eq!(refusal.code, RefusalCode::NotFound, "{refusal:?}");
        }
    }
}

#[test]
fn a_message_that_nobody_wrote_is_looked_for_in_all_segments_and_then_refused() {
    let mut c = cluster(704);
    let group = c.group_of(&["ada", "ben"]);
    let ids = write(&mut c, &["ada", "ben"], group, 0..90);
    c.run_for(60_000);
    let unknown = MessageId { random: [9; 8], ..ids[0] };
    let Outcome::Refused(refusal) = say(&mut c, "ada", group, ChatCommand::Delete(unknown)) else {
        panic!("nobody wrote it")
    };
    assert_eq!(refusal.code, RefusalCode::NotFound);
    assert_same(&mut c, &["ada", "ben"], group);
}

#[test]
fn a_newcomer_gets_all_segments_one_after_the_other() {
    let mut c = cluster(705);
    let group = c.group_of(&["ada", "ben"]);
    let ids = write(&mut c, &["ada", "ben"], group, 0..120);
    c.run_for(60_000);
    let deleted = ids[3];
    assert_eq!(say(&mut c, "ben", group, ChatCommand::Delete(deleted)), Outcome::Done(Reply::Ok));
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.connect_all();
    run_bounded(&mut c, 120_000, &THREE);
    assert_eq!(begun(&c, "eve"), begun(&c, "ada"));
    assert_eq!(shown(&mut c, "eve", group).len(), ids.len() - 1);
    assert_same(&mut c, &THREE, group);
    for name in THREE {
        let count = begun(&c, name);
        assert_in_sync(&mut c, name, group, count);
    }
}

#[test]
fn after_a_restart_everybody_goes_on_in_the_segment_that_is_not_full_and_all_is_in_sync_again() {
    let mut c = cluster(706);
    let group = c.group_of(&THREE);
    write(&mut c, &THREE, group, 0..90);
    c.run_for(60_000);
    let before = begun(&c, "ada");
    for name in THREE {
        c.stop(name);
        c.restart(name);
    }
    c.connect_all();
    c.send_message("ada", group, "back again");
    run_bounded(&mut c, 60_000, &THREE);
    for name in THREE {
        assert!(begun(&c, name) <= before + 1);
        assert_eq!(shown(&mut c, name, group).last().unwrap().message.text, "back again");
        let count = begun(&c, name);
        assert_in_sync(&mut c, name, group, count);
    }
    assert_same(&mut c, &THREE, group);
}

#[test]
fn a_kill_at_the_moment_the_next_segment_is_begun_loses_nothing_that_was_saved() {
    for steps in 0..12 {
        let mut c = cluster(707);
        let group = c.group_of(&["ada", "ben"]);
        let (mut saved, mut number) = (Vec::new(), 0);
        while segments(&c, "ada")[&1].content_bytes().unwrap() < SEGMENT_BYTES {
            saved.push(c.send_message("ada", group, &text(number)));
            number += 1;
        }
        let send = ChatCommand::say(text(number), None);
        let asked = c.begin("ada", Command::Chat(group, send));
        for _ in 0..steps {
            c.step_seen(&mut |_, _| {});
        }
        if let Some(Outcome::Done(Reply::Message(id))) = c.answer("ada", asked) {
            saved.push(*id);
        }
        c.crash("ada");
        c.restart("ada");
        c.connect_all();
        saved.push(c.send_message("ada", group, "after the kill"));
        c.settle();
        let held: Vec<MessageId> = shown(&mut c, "ben", group).iter().map(|view| view.message.id).collect();
        assert!(saved.iter().all(|id| held.contains(id)), "killed after {steps} steps");
        assert_eq!(begun(&c, "ben"), 2, "killed after {steps} steps");
        assert_same(&mut c, &["ada", "ben"], group);
    }
}

#[test]
fn who_begins_segments_early_moves_nobody_and_the_next_is_known_only_after_the_one_before() {
    let mut c = cluster(708);
    let group = c.group_of(&["ada", "ben", "mal"]);
    c.send_message("ada", group, "first");
    c.settle();
    let mal = Insider::take_over(&mut c, "mal");
    // The third comes while the second is not here: there is no such document yet.
    for (segment, expected) in [(3, 1), (2, 2), (3, 3)] {
        let mut log = mal.log_in(Concern::Chat, segment, 7);
        let envelope = log.say(&format!("early in {segment}"));
        let page = page(&mal, &envelope, log.id.document);
        mal.send(&mut c, "ada", &page);
        c.settle();
        assert_eq!(begun(&c, "ada"), expected);
    }
    // What is new goes to the first that has room.
    write(&mut c, &["ada", "ben"], group, 0..4);
    c.settle();
    let logs = |c: &Cluster, segment| segments(c, "ada")[&segment].heads().len();
    assert_eq!((logs(&c, 2), logs(&c, 3)), (1, 1));
    write(&mut c, &["ada", "ben"], group, 4..40);
    run_bounded(&mut c, 60_000, &["ada", "ben"]);
    assert!(logs(&c, 2) > 1, "what was begun early fills in its turn");
    let shown = shown(&mut c, "ben", group);
    assert!(["early in 2", "early in 3"].iter().all(|text| shown.iter().any(|v| v.message.text == *text)));
    assert_same(&mut c, &["ada", "ben"], group);
}

#[test]
fn a_segment_that_a_peer_names_is_asked_for_though_nothing_of_the_one_before_counts() {
    let mut c = cluster(713);
    let group = c.group_of(&["ada", "ben", "mal"]);
    c.send_message("ada", group, "first");
    c.settle();
    let mal = Insider::take_over(&mut c, "mal");
    let mut log = mal.log_in(Concern::Chat, 4, 7);
    let page = page(&mal, &log.say("in the fourth"), log.id.document);
    let stands = DocumentState { document: log.id.document, vector: Digest([7; 32]), content: None };
    let state = State { entity: mal.entity, roster: mal.roster.digest(), documents: vec![stands] };
    mal.send(&mut c, "ada", &Frame::State { number: 1 << 40, state });
    c.settle();
    mal.send(&mut c, "ada", &page);
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, group), ["in the fourth", "first"], "{name}");
        c.crash(name);
        c.restart(name);
        assert_eq!(c.read_chat(name, group), ["in the fourth", "first"], "{name} after a restart");
    }
}

#[test]
fn no_more_segments_are_known_than_a_series_may_have() {
    let mut c = cluster(709);
    let group = c.group_of(&["ada", "mal"]);
    c.send_message("ada", group, "first");
    c.settle();
    let mal = Insider::take_over(&mut c, "mal");
    for segment in 2..=SEGMENTS_MAX + 1 {
        let mut log = mal.log_in(Concern::Chat, segment, 7);
        let page = page(&mal, &log.say("early"), log.id.document);
        mal.send(&mut c, "ada", &page);
        // The one before it is in use for a while, and there is no room for another meanwhile.
        run_bounded(&mut c, 6_000, &["ada"]);
    }
    c.settle();
    assert_eq!(begun(&c, "ada"), usize::try_from(SEGMENTS_MAX).unwrap());
    assert_eq!(c.read_chat("ada", group).len(), usize::try_from(SEGMENTS_MAX).unwrap());
}

#[test]
fn a_board_that_is_full_takes_nothing_new_but_lets_things_be_moved_and_deleted() {
    let mut c = cluster(710);
    let group = c.group_of(&["ada", "ben"]);
    let column = |number| BoardCommand::AddColumn { title: text(number), limit: 0, at: At::Last };
    let mut made = Vec::new();
    let refused = loop {
        match c.ask("ada", Command::Board(group, column(made.len()))) {
            Outcome::Done(Reply::Thing(id)) => made.push(id),
            Outcome::Refused(refusal) => break refusal,
            Outcome::Done(other) => panic!("{other:?}"),
        }
        assert!(made.len() < 200, "it never fills");
    };
    assert_eq!(refused.code, RefusalCode::TooMuch, "{refused:?}");
    assert!(made.len() > 5);
    c.settle();
    let shift = BoardCommand::MoveColumn(made[1].to_string(), At::Last);
    assert_eq!(c.ask("ada", Command::Board(group, shift)), Outcome::Done(Reply::Ok));
    let delete = BoardCommand::DeleteColumn(made[0].to_string());
    assert_eq!(c.ask("ada", Command::Board(group, delete)), Outcome::Done(Reply::Ok));
    let Reply::Board(BoardView { columns, .. }) =
        c.must("ada", Command::Board(group, BoardCommand::Show(CardFilter::default())))
    else {
        panic!("a board")
    };
    assert_eq!(columns.len(), made.len() - 1, "what was refused is not there");
}

#[test]
fn what_is_said_of_the_messages_of_a_full_segment_makes_it_twice_as_large_at_most_and_deletions_are_taken() {
    let mut c = cluster(711);
    let group = c.group_of(&["ada", "ben"]);
    let ids = write(&mut c, &["ada", "ben"], group, 0..60);
    assert!(begun(&c, "ada") > 1);
    let edit = |number: usize| ChatCommand::Edit(ids[0], text(number));
    let refusal = (0..200).find_map(|number| match say(&mut c, "ada", group, edit(number)) {
        Outcome::Refused(refusal) => Some(refusal),
        Outcome::Done(_) => None,
    });
    assert_eq!(refusal.unwrap().code, RefusalCode::TooMuch);
    let bytes = segments(&c, "ada")[&1].content_bytes().unwrap();
    assert!((2 * SEGMENT_BYTES..2 * SEGMENT_BYTES + 512).contains(&bytes), "{bytes} bytes");
    assert_eq!(say(&mut c, "ada", group, ChatCommand::Delete(ids[2])), Outcome::Done(Reply::Ok));
    // New messages go where there is room.
    c.send_message("ada", group, "new");
    c.settle();
    assert_same(&mut c, &["ada", "ben"], group);
}

/// Whether a node holds all of the group's chat that another one holds.
fn holds_all(c: &Cluster, name: &str, other: &str) -> bool {
    let (held, all) = (segments(c, name), segments(c, other));
    all.iter().all(|(n, theirs)| held.get(n).is_some_and(|ours| ours.heads() == theirs.heads()))
}

/// Asks and runs until it is answered, with no more segments in memory than may be.
fn ask_bounded(c: &mut Cluster, name: &str, command: Command) -> Outcome {
    let asked = c.begin(name, command);
    let end = c.now() + 60_000;
    while c.answer(name, asked).is_none() {
        assert!(c.now() < end, "it is never answered");
        run_bounded(c, 10, &[name]);
    }
    c.answer(name, asked).cloned().unwrap()
}

#[test]
fn versions_of_a_long_chat_go_on_from_segment_to_segment_and_few_are_in_memory() {
    for (seed, fold_after) in [(718, u64::MAX), (719, 10)] {
        let mut c = cluster(seed);
        c.fold_after = fold_after;
        let group = c.group_of(&["ada", "ben"]);
        let ids = write(&mut c, &["ada", "ben"], group, 0..90);
        run_bounded(&mut c, 60_000, &["ada", "ben"]);
        assert!(begun(&c, "ada") >= 3, "{} segments", begun(&c, "ada"));
        let edit = ChatCommand::Edit(ids[0], "edited".into());
        assert_eq!(say(&mut c, "ada", group, edit), Outcome::Done(Reply::Ok));
        c.settle();
        let chat = |command| Command::History(group, Concern::Chat, command);
        let list = |of: Option<String>, before, limit| chat(HistoryCommand::List { of, before, limit });
        let Outcome::Done(Reply::Versions(all)) = ask_bounded(&mut c, "ben", list(None, None, 100)) else {
            panic!("all versions")
        };
        let made: Vec<_> = all.versions.iter().filter(|v| v.changes[0].did == Did::Made).collect();
        let order: Vec<_> = made.iter().filter_map(|version| version.changes[0].thing).collect();
        assert_eq!(order, ids.iter().rev().copied().collect::<Vec<_>>(), "the newest first");
        assert!(all.versions.len() == 91 && !all.has_more);
        assert_eq!(versions(&mut c, "ben", (group, Concern::Chat), None, 7), all.versions, "and in pages");
        // One message by the digits that people are shown, in the first segment.
        let first = list(Some(ids[0].short()), None, 50);
        let Outcome::Done(Reply::Versions(of_it)) = ask_bounded(&mut c, "ben", first) else { panic!() };
        let text = format!("wrote \"{}\"", text(0));
        assert_eq!(told(&of_it.versions), ["changed a message to \"edited\"", text.as_str()]);
        let unknown = list(None, Some("zzzz".into()), 5);
        let Outcome::Refused(refusal) = ask_bounded(&mut c, "ben", unknown) else {
            panic!("no such version")
        };
        assert_eq!(refusal.code, RefusalCode::NotFound);
    }
}

#[test]
fn a_version_of_a_full_segment_is_compared_with_how_that_is_now_and_brought_back() {
    let mut c = cluster(720);
    let group = c.group_of(&["ada", "ben"]);
    let ids = write(&mut c, &["ada", "ben"], group, 0..90);
    let then = versions(&mut c, "ada", (group, Concern::Chat), Some(ids[0]), 5)[0].id.to_string();
    let newest = versions(&mut c, "ada", (group, Concern::Chat), None, 5)[0].id.to_string();
    let edit = ChatCommand::Edit(ids[0], "edited".into());
    assert_eq!(say(&mut c, "ada", group, edit), Outcome::Done(Reply::Ok));
    run_bounded(&mut c, 60_000, &["ada", "ben"]);
    let was = compared(&mut c, "ben", (group, Concern::Chat), (None, Some(&then)));
    assert_eq!(was.iter().map(|d| d.thing).collect::<Vec<_>>(), [Some(ids[0])], "what was there then");
    let differ = compared(&mut c, "ben", (group, Concern::Chat), (Some(&then), None));
    let edited = differ.iter().find(|difference| difference.thing == Some(ids[0])).unwrap();
    assert_eq!(edited.fields[0].after.as_deref(), Some("edited"));
    let chat = |command| Command::History(group, Concern::Chat, command);
    let (from, to) = (Some(then.clone()), Some(newest));
    let apart = chat(HistoryCommand::Compare { from, to, of: None, after: None });
    let Outcome::Refused(refusal) = ask_bounded(&mut c, "ben", apart) else { panic!("of two segments") };
    assert_eq!((refusal.code, refusal.hint.is_empty()), (RefusalCode::Usage, false));
    let back = chat(HistoryCommand::Restore { version: then, of: Some(ids[0].short()) });
    let Outcome::Done(Reply::Reverted(reverted)) = ask_bounded(&mut c, "ada", back) else { panic!() };
    assert_eq!(reverted.things, [ids[0]]);
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(shown(&mut c, name, group)[0].message.text, text(0), "{name}");
    }
    assert_same(&mut c, &["ada", "ben"], group);
}

/// A chat of more than ten segments, and a newcomer to it: virtual time until it has all of them.
fn takes_all_in(seed: u64, fold_after: u64) -> u64 {
    let mut c = cluster(seed);
    c.fold_after = fold_after;
    let group = c.group_of(&["ada", "ben", "cem"]);
    write(&mut c, &["ada", "ben", "cem"], group, 0..280);
    run_bounded(&mut c, 300_000, &["ada", "ben", "cem"]);
    let count = begun(&c, "ada");
    assert!(count > 10, "{count} segments");
    let is_folded = segments(&c, "ada").values().take(count - 1).all(|holding| !holding.covered().is_empty());
    assert_eq!(is_folded, fold_after < u64::MAX, "all but the last are folded");
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.connect_all();
    let start = c.now();
    while !holds_all(&c, "eve", "ada") {
        run_bounded(&mut c, 10, &["ada", "ben", "cem", "eve"]);
        assert!(c.now() < start + 120_000, "it never has all");
    }
    c.now() - start
}

#[test]
fn a_newcomer_waits_for_no_segment_but_takes_them_as_fast_as_they_come() {
    for (seed, fold_after) in [(715, u64::MAX), (716, 10)] {
        let took = takes_all_in(seed, fold_after);
        assert!(took < 2_000, "{took} ms");
    }
}

/// A chat of three segments, each of several pages, that Ada and Ben have.
fn long_chat(seed: u64) -> (Cluster, FourWords) {
    let mut c = cluster(seed);
    c.segment_bytes = 3 << 20;
    let group = c.group_of(&["ada", "ben"]);
    for _ in 0..7 * 20 {
        c.send_message("ada", group, &"long ".repeat(TEXT_BYTES_MAX / 5));
    }
    c.run_for(20_000);
    assert!(begun(&c, "ada") > 2);
    (c, group)
}

/// One page of a copy of a segment, and what the next page is asked with.
fn page_of(outcome: Option<&Outcome>) -> Option<Copied> {
    let Some(Outcome::Done(Reply::Copy(copy))) = outcome else { return None };
    let Changes::Whole { reading, next, .. } = &copy.changes else { panic!("all of it is copied") };
    let more = next.map(|next| (*reading, Some(next)));
    Some(Copied { whole: more, ..Copied::default() })
}

#[test]
fn a_segment_that_is_being_copied_is_not_read_again_for_every_page_because_another_is_copied_too() {
    let (mut c, group) = long_chat(717);
    let command = |segment, known| Command::Copy { entity: group, concern: Concern::Chat, segment, known };
    let next = |c: &mut Cluster, known| page_of(Some(&c.ask("ada", command(1, known))));
    let mut known = next(&mut c, Copied::default()).unwrap();
    let other = c.begin("ada", command(2, Copied::default()));
    let mut pages = 1;
    while known.whole.is_some() {
        assert!(c.answer("ada", other).is_none(), "it waits for the room of the first");
        c.run_for(50);
        assert!(segments(&c, "ada")[&1].is_in_memory(), "it is not read anew for page {pages}");
        known = next(&mut c, known).unwrap();
        pages += 1;
    }
    assert!(pages > 2, "{pages} pages");
    c.run_for(500);
    let known = page_of(c.answer("ada", other)).unwrap();
    // Who began to copy and asks no more keeps nobody waiting for long.
    assert!(known.whole.is_some());
    let first = c.begin("ada", command(1, Copied::default()));
    c.run_for(100);
    assert!(c.answer("ada", first).is_none());
    c.run_for(6_000);
    assert!(page_of(c.answer("ada", first)).is_some());
}

#[test]
fn a_newcomer_is_given_what_it_lacks_before_a_copy_for_reading_goes_on() {
    let (mut c, group) = long_chat(718);
    c.stop("ben");
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    let command = |known| Command::Copy { entity: group, concern: Concern::Chat, segment: 2, known };
    let mut known = Copied::default();
    c.connect_all();
    let start = c.now();
    while !holds_all(&c, "eve", "ada") {
        // It copies on and on, and never knows more than its first page.
        let asked = c.begin("ada", command(known));
        c.run_for(100);
        known = page_of(c.answer("ada", asked)).unwrap_or(known);
        assert!(c.now() < start + 3_000, "it waits for the copy");
    }
}
