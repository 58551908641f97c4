//! Deleted messages are forgotten everywhere, once everybody who is awaited knows of it.

use std::collections::BTreeMap;

use fourword_protocol::acknowledgement::{Acknowledgement, Positions};
use fourword_protocol::command::{
    ChatCommand, Command, DeviceCommand, DocumentSync, DocumentTombstones, Keeps, MemberCommand, Notice,
    Outcome, Reply,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::ids::{DocumentKey, EntityId, LogId};
use fourword_protocol::limits::{FRAME_ACKS_MAX, SHOWN_TOMBSTONES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::wire::{Frame, kind_of};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

fn chat(c: &mut Cluster, by: &str, group: FourWords, command: ChatCommand) {
    assert_eq!(c.ask(by, Command::Chat(group, command)), Outcome::Done(Reply::Ok));
}

fn delete(c: &mut Cluster, by: &str, group: FourWords, id: MessageId) {
    chat(c, by, group, ChatCommand::Delete(id));
}

/// The chat's line of the status.
fn status(c: &mut Cluster, name: &str, group: FourWords) -> DocumentSync {
    match c.must(name, Command::SyncStatus(Some(group))) {
        Reply::Sync { documents, .. } => documents.into_iter().find(|d| d.id.ends_with(":chat")).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn tombstones(c: &mut Cluster, name: &str, group: FourWords) -> DocumentTombstones {
    match c.must(name, Command::Tombstones(group)) {
        Reply::Tombstones(mut documents) => documents.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// How many wait and how many were pruned, as a node shows it.
fn counts(c: &mut Cluster, name: &str, group: FourWords) -> (u64, u64) {
    let shown = tombstones(c, name, group);
    assert_eq!(status(c, name, group).tombstones, shown.waiting, "{name} says the same twice");
    (shown.waiting, shown.pruned)
}

/// What nodes do in a while: how many frames of acknowledgements, envelopes and writes.
fn doings(c: &mut Cluster, ms: u64) -> (usize, usize, usize) {
    let (end, mut did) = (c.now() + ms, (0, 0, 0));
    while c.now() < end {
        let more = c.step_seen(&mut |_, happened| {
            for effect in &happened.effects {
                match effect {
                    Effect::Send(_, bytes) if kind_of(bytes) == "acks" => did.0 += 1,
                    Effect::Send(_, bytes) if kind_of(bytes) == "envelopes" => did.1 += 1,
                    Effect::Publish(..) => did.1 += 1,
                    Effect::Write(..) => did.2 += 1,
                    _ => {}
                }
            }
        });
        assert!(more, "timers go on");
    }
    did
}

/// Sends many messages, and waits until all are saved.
fn send_many(c: &mut Cluster, by: &[&str], group: FourWords, count: usize) -> Vec<MessageId> {
    let send = |text| Command::Chat(group, ChatCommand::say(text, None));
    let text = |n| format!("message {n}, which says a little more than nothing at all");
    let asked: Vec<_> =
        (0..count).map(|n| (by[n % by.len()], c.begin(by[n % by.len()], send(text(n))))).collect();
    c.settle();
    let id = |(name, asked): &(&str, _)| match c.answer(name, *asked) {
        Some(Outcome::Done(Reply::Message(id))) => *id,
        other => panic!("{other:?}"),
    };
    asked.iter().map(id).collect()
}

/// All show the same chat, and nothing waits.
fn assert_forgotten(c: &mut Cluster, names: &[&str], group: FourWords, left: &[&str]) {
    for name in names {
        assert_eq!(c.read_chat(name, group), left, "{name}");
        assert_eq!(counts(c, name, group).0, 0, "{name}");
    }
    let contents: Vec<BTreeMap<_, _>> =
        names.iter().map(|name| c.holdings(name).map(|h| (h.document(), h.content())).collect()).collect();
    let shared: Vec<_> =
        contents[0].keys().filter(|key| contents.iter().all(|all| all.contains_key(key))).collect();
    assert!(shared.len() >= 2, "core and chat");
    for document in shared {
        assert!(contents.iter().all(|all| all[document].is_some() && all[document] == contents[0][document]));
    }
}

/// What an inbox says that this device wrote in its one group for nobody.
fn in_vain(c: &mut Cluster, name: &str) -> u64 {
    let Reply::Places(places) = c.must(name, Command::Places) else { panic!("places") };
    places[0].unaccepted
}

/// A group in which a deletion waits for eve, who is away.
fn waiting_for_eve(seed: u64) -> (Cluster, FourWords, MessageId) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = c.send_message("ada", group, "forget me");
    c.send_message("ada", group, "keep me");
    c.settle();
    c.isolate("eve");
    delete(&mut c, "ada", group, id);
    c.settle();
    (c, group, id)
}

#[test]
fn a_deleted_message_waits_for_who_is_away_and_is_pruned_everywhere_when_it_returns() {
    let (mut c, group, id) = waiting_for_eve(41);
    let eve = c.device("eve").unwrap();
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, group), ["(deleted)", "keep me"], "{name} knows, and it waits for eve");
        let shown = tombstones(&mut c, name, group);
        assert_eq!((shown.waiting, shown.pruned, shown.tombstones[0].message), (1, 0, id));
        for (keeper, has) in shown.devices.iter().zip(&shown.tombstones[0].ack_vector) {
            assert_eq!(*has, keeper.device != eve, "{name} knows who has it");
            assert_eq!(keeper.keeps == Keeps::Awaited, keeper.device == eve);
            assert_eq!(keeper.since.is_some(), keeper.device == eve);
        }
    }
    c.heal();
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben", "eve"], group, &["keep me"]);
}

#[test]
fn a_thousand_deleted_of_two_thousand_wait_for_one_who_is_away_and_then_nobody_speaks_of_it_again() {
    let names = ["ada", "ben", "cem", "dia", "eve"];
    let mut c = Cluster::new(42);
    let group = c.group_of(&names);
    let ids = send_many(&mut c, &["ada", "ben"], group, 2_000);
    c.isolate("eve");
    for id in ids.iter().step_by(2) {
        c.begin("ada", Command::Chat(group, ChatCommand::Delete(*id)));
    }
    c.settle();
    for name in &names[..4] {
        assert_eq!(counts(&mut c, name, group), (1_000, 0), "{name}");
        assert_eq!(tombstones(&mut c, name, group).tombstones.len(), SHOWN_TOMBSTONES_MAX);
    }
    let (acks, ..) = doings(&mut c, 600_000);
    assert_eq!(acks, 0, "nothing new is to be said while they wait");
    c.heal();
    c.settle();
    for name in names {
        assert_eq!(counts(&mut c, name, group), (0, 1_000), "{name}");
        assert_eq!(c.read_chat(name, group).len(), 1_000, "{name}");
    }
    assert_eq!(doings(&mut c, 600_000), (0, 0, 0));
}

#[test]
fn a_group_of_one_device_forgets_at_once_and_a_newcomer_is_awaited_from_then_on() {
    let mut c = Cluster::new(43);
    let group = c.group_of(&["ada"]);
    let ids = ["one", "two"].map(|text| c.send_message("ada", group, text));
    delete(&mut c, "ada", group, ids[0]);
    c.settle();
    assert_eq!(counts(&mut c, "ada", group), (0, 1));
    c.add("ben");
    let code = c.invite("ada", group, Role::Viewer, 1);
    c.join("ben", group, &code);
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben"], group, &["two"]);
    c.isolate("ben");
    delete(&mut c, "ada", group, ids[1]);
    c.settle();
    assert_eq!(counts(&mut c, "ada", group), (1, 1), "a viewer keeps the chat too");
    c.heal();
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben"], group, &[]);
}

#[test]
fn a_device_that_is_linked_while_something_waits_is_awaited_too_and_acknowledges_as_it_comes() {
    let mut c = Cluster::new(44);
    let group = c.group_of(&["ada", "ben"]);
    let id = c.send_message("ada", group, "forget me");
    c.settle();
    c.isolate("ben");
    delete(&mut c, "ada", group, id);
    c.settle();
    c.add("tablet");
    let addresses = vec!["sim:ada".to_owned()];
    let Reply::Link(code) = c.must("ada", Command::Device(DeviceCommand::Add { addresses })) else {
        panic!("a code")
    };
    c.must("tablet", Command::Device(DeviceCommand::Link { code, peers: Vec::new() }));
    c.settle();
    assert_eq!((counts(&mut c, "ada", group), counts(&mut c, "tablet", group)), ((1, 0), (1, 0)));
    let tablet = c.device("tablet").unwrap();
    let keeper = tombstones(&mut c, "ada", group).devices.into_iter().find(|k| k.device == tablet);
    assert_eq!(keeper.map(|keeper| keeper.keeps), Some(Keeps::All));
    c.isolate("tablet");
    c.reunite("ada", "ben");
    c.settle();
    assert_eq!(counts(&mut c, "ben", group), (0, 1), "the tablet need not be there: its word was passed on");
    c.heal();
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben", "tablet"], group, &[]);
}

/// A group in which a deletion waits for eve, who is away; dia joins at ada meanwhile.
fn joined_while_it_waits(seed: u64, is_given: bool) -> (Cluster, FourWords) {
    let (mut c, group, _) = waiting_for_eve(seed);
    c.add("dia");
    if !is_given {
        for from in ["ada", "ben"] {
            c.lose(from, "dia", |frame| matches!(frame, Frame::Envelopes { .. }), 1_000);
        }
    }
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.connect("dia", "ben");
    c.settle();
    c.isolate("dia");
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(counts(&mut c, name, group), (1, 0), "{name}");
    }
    (c, group)
}

fn keeps(c: &mut Cluster, at: &str, group: FourWords, of: &str) -> Option<Keeps> {
    let device = c.device(of).unwrap();
    let devices = tombstones(c, at, group).devices;
    devices.into_iter().find(|keeper| keeper.device == device).map(|keeper| keeper.keeps)
}

#[test]
fn a_person_who_joins_while_something_waits_acknowledges_as_it_comes_and_holds_nobody_up() {
    let (mut c, group) = joined_while_it_waits(50, true);
    assert_eq!(c.read_chat("dia", group), ["(deleted)", "keep me"]);
    assert_eq!(counts(&mut c, "dia", group), (1, 0));
    for name in ["ada", "ben"] {
        assert_eq!(keeps(&mut c, name, group, "dia"), Some(Keeps::All), "{name}");
        assert_eq!(keeps(&mut c, name, group, "eve"), Some(Keeps::Awaited), "{name}");
    }
    c.reunite("ada", "eve");
    c.reunite("ben", "eve");
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben", "eve"], group, &["keep me"]);
    assert_eq!(counts(&mut c, "eve", group), (0, 1));
    c.heal();
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben", "dia", "eve"], group, &["keep me"]);
    assert_eq!(doings(&mut c, 600_000), (0, 0, 0));
}

#[test]
fn a_person_who_joined_and_has_not_been_given_the_chat_yet_is_awaited_too() {
    let (mut c, group) = joined_while_it_waits(51, false);
    assert_eq!(c.read_chat("dia", group), [""; 0]);
    c.reunite("ada", "eve");
    c.reunite("ben", "eve");
    c.run_for(600_000);
    for name in ["ada", "ben", "eve"] {
        assert_eq!(c.read_chat(name, group), ["(deleted)", "keep me"], "{name}");
        assert_eq!(counts(&mut c, name, group), (1, 0), "{name}");
        assert_eq!(keeps(&mut c, name, group, "dia"), Some(Keeps::Awaited), "{name}");
    }
    c.lose_no_more();
    c.heal();
    c.run_for(120_000);
    assert_forgotten(&mut c, &["ada", "ben", "dia", "eve"], group, &["keep me"]);
    assert_eq!(doings(&mut c, 600_000), (0, 0, 0));
}

#[test]
fn who_is_away_for_a_month_is_waited_for_no_longer_and_is_told_what_it_wrote_in_vain() {
    let mut c = Cluster::new(45);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = c.send_message("eve", group, "first version");
    c.send_message("ada", group, "stays");
    c.settle();
    c.isolate("eve");
    delete(&mut c, "ada", group, id);
    c.settle();
    chat(&mut c, "eve", group, ChatCommand::Edit(id, "second version".into()));
    c.let_days_pass(29);
    c.run_for(180_000);
    assert_eq!(counts(&mut c, "ben", group), (1, 0));
    c.crash("ben");
    c.restart("ben");
    c.connect("ada", "ben");
    c.let_days_pass(1);
    c.run_for(180_000);
    for name in ["ada", "ben"] {
        assert_eq!(counts(&mut c, name, group), (0, 1), "{name}: days count over a restart");
        assert_eq!(c.read_chat(name, group), ["stays"], "{name}");
    }
    c.heal();
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben", "eve"], group, &["stays"]);
    let Reply::Unaccepted(views) = c.must("eve", Command::Unaccepted(group)) else { panic!("views") };
    assert_eq!(views.iter().map(|view| view.text.as_str()).collect::<Vec<_>>(), ["second version"]);
    assert!(c.notices("eve").iter().any(|n| matches!(n, Notice::AcceptanceChanged(of) if *of == group)));
    assert_eq!((status(&mut c, "eve", group).unaccepted, status(&mut c, "ada", group).unaccepted), (1, 0));
    assert_eq!((in_vain(&mut c, "eve"), in_vain(&mut c, "ada")), (1, 0));
    c.crash("eve");
    c.restart("eve");
    c.heal();
    c.settle();
    assert_eq!(status(&mut c, "eve", group).unaccepted, 1, "it is still told after a restart");
    assert_eq!(in_vain(&mut c, "eve"), 1);
    assert_eq!(doings(&mut c, 600_000), (0, 0, 0));
}

#[test]
fn what_was_pruned_stays_pruned_over_restarts_and_at_a_home_that_is_an_older_copy() {
    let mut c = Cluster::new(46);
    let group = c.group_of(&["ada", "ben"]);
    let ids = ["one", "two", "three"].map(|text| c.send_message("ada", group, text));
    c.settle();
    c.restore_copy("ben", "old ben");
    c.crash("old ben");
    delete(&mut c, "ada", group, ids[0]);
    c.settle();
    delete(&mut c, "ada", group, ids[1]);
    c.settle();
    for name in ["ada", "ben"] {
        c.crash(name);
        c.restart(name);
    }
    c.heal();
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben"], group, &["three"]);
    assert_eq!(doings(&mut c, 600_000), (0, 0, 0));
    c.crash("ben");
    c.restart("old ben");
    c.connect("ada", "old ben");
    c.settle();
    assert_forgotten(&mut c, &["ada", "old ben"], group, &["three"]);
    delete(&mut c, "ada", group, ids[2]);
    c.settle();
    assert_forgotten(&mut c, &["ada", "old ben"], group, &[]);
}

#[test]
fn what_waits_for_a_removed_member_is_forgotten_once_it_is_out() {
    let mut c = Cluster::new(47);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = c.send_message("ada", group, "forget me");
    c.settle();
    let Reply::Status(eve) = c.must("eve", Command::Status) else { panic!("a status") };
    c.isolate("eve");
    delete(&mut c, "ada", group, id);
    c.settle();
    let remove = MemberCommand::Remove { who: eve.person.to_string() };
    c.must("ada", Command::Member(group, remove));
    c.settle();
    assert_forgotten(&mut c, &["ada", "ben"], group, &[]);
}

#[test]
fn frames_that_are_lost_on_the_way_only_delay_the_forgetting() {
    let mut c = Cluster::new(48);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = c.send_message("ada", group, "forget me");
    c.settle();
    let names = ["ada", "ben", "eve"];
    for from in names {
        for to in names.iter().filter(|to| **to != from) {
            c.lose(from, to, |frame| matches!(frame, Frame::Acks { .. }), 2);
        }
    }
    delete(&mut c, "ada", group, id);
    c.settle();
    assert_eq!(counts(&mut c, "ada", group).0, 1, "all that was said was lost");
    c.run_for(600_000);
    assert_forgotten(&mut c, &names, group, &[]);
}

/// Ben's device in the hands of a test, and what it takes to speak of the chat.
struct Speaker {
    entity: EntityId,
    document: DocumentKey,
    log: LogId,
}

fn speaker(c: &Cluster, of: &str) -> Speaker {
    let device = c.device(of).unwrap();
    // The log in which the deletion waits is ada's only one in the chat.
    let chats = c.holdings(of).filter_map(|h| {
        h.heads().keys().find(|log| log.device == device).map(|log| (h.entity(), h.document(), *log))
    });
    let (entity, document, log) =
        chats.max_by_key(|(.., log)| c.head_of(of, *log).unwrap().sequence).unwrap();
    Speaker { entity, document, log }
}

#[test]
fn a_member_that_lies_lies_about_itself_alone_and_strangers_are_not_heard() {
    let mut c = Cluster::new(49);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let ids = send_many(&mut c, &["ada"], group, 20);
    c.isolate("eve");
    c.take_over("ben");
    delete(&mut c, "ada", group, ids[0]);
    c.settle();
    let Speaker { entity, document, log } = speaker(&c, "ada");
    let far = Positions::from([(log, u64::MAX)]);
    let signed = |c: &Cluster, by: &str| {
        Acknowledgement::sign((entity, document), u64::MAX, false, Vec::new(), far.clone(), &c.secret(by))
            .bytes()
            .to_vec()
    };
    let frame = |acks| Frame::Acks { entity, document, waits: true, acks }.encode();
    // In eve's name, with ben's signature.
    let mut forged = signed(&c, "ben");
    let eve = c.device("eve").unwrap();
    forged[65..97].copy_from_slice(&eve.0);
    let mut garbage = signed(&c, "ben");
    garbage.truncate(90);
    for bad in [forged, garbage, vec![]] {
        c.inject("ben", "ada", frame(vec![bad]));
        c.settle();
        assert_eq!(counts(&mut c, "ada", group).0, 1);
    }
    let own = signed(&c, "ben");
    c.inject("ben", "ada", frame(vec![own.clone()]));
    c.settle();
    let shown = tombstones(&mut c, "ada", group);
    let awaited: Vec<_> = shown.devices.iter().filter(|k| k.keeps == Keeps::Awaited).collect();
    assert_eq!((shown.waiting, awaited.len(), awaited[0].device), (1, 1, eve), "ben said that it has all");
    let dropped = |c: &mut Cluster| match c.must("ada", Command::Status) {
        Reply::Status(status) => status.dropped,
        other => panic!("{other:?}"),
    };
    assert!(!dropped(&mut c).iter().any(|(why, _)| why == "too many acknowledgements"));
    for (count, is_fault) in [(FRAME_ACKS_MAX, false), (FRAME_ACKS_MAX + 1, true)] {
        c.inject("ben", "ada", frame(vec![own.clone(); count]));
        c.settle();
        assert_eq!(dropped(&mut c).iter().any(|(why, _)| why == "too many acknowledgements"), is_fault);
    }
    assert!(c.is_up("ada"));
}

#[test]
fn what_was_pruned_is_not_shown_as_deleted_again_right_after_a_restart() {
    let mut c = Cluster::new(640);
    let group = c.group_of(&["ada", "ben"]);
    let message = c.send_message("ada", group, "soon gone");
    c.send_message("ada", group, "stays");
    c.must("ada", Command::Chat(group, ChatCommand::Delete(message)));
    c.run_for(60_000);
    assert_eq!(c.read_chat("ben", group), ["stays"]);
    c.stop("ben");
    c.restart("ben");
    assert_eq!(c.read_chat("ben", group), ["stays"], "the first thing that is asked after the start");
}
