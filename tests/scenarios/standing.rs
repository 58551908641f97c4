//! What the status says at each point of a story: it may say that it does not know, never more.

use fourword_protocol::command::{
    Command, DocumentSync, JoinState, MemberCommand, PeerSync, Reply, SyncState,
};
use fourword_protocol::event::Event;
use fourword_protocol::ids::{Digest, Incarnation, LogHead};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::wire::{Frame, State, Vector};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::{Cluster, Happened};
use fourword_tests::insider::Insider;

use crate::asking::{ask_in, done, requests};
use crate::people::remove;

/// How the chat of a group stands for a node.
pub(crate) fn chat_sync(c: &mut Cluster, name: &str, group: FourWords) -> DocumentSync {
    let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(Some(group))) else {
        panic!("a status")
    };
    documents.into_iter().find(|document| document.id.ends_with(":chat")).unwrap()
}

/// What a status says of one node's device.
pub(crate) fn line(document: &DocumentSync, name: &str, c: &Cluster) -> PeerSync {
    let device = c.device(name).unwrap();
    document.peers.iter().find(|peer| peer.device == device).unwrap().clone()
}

fn states(c: &mut Cluster, name: &str, group: FourWords) -> Vec<SyncState> {
    let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(Some(group))) else {
        panic!("a status")
    };
    documents.iter().flat_map(|d| d.peers.iter().map(|peer| peer.state).chain([d.state])).collect()
}

/// The chat's state and reason for one node.
fn told(c: &mut Cluster, name: &str, group: FourWords) -> (SyncState, String) {
    let document = chat_sync(c, name, group);
    (document.state, document.reason)
}

#[test]
fn who_is_away_is_said_to_be_away_and_how_it_stood_when_it_was_heard_last() {
    let mut c = Cluster::new(601);
    let group = c.group_of(&["ada", "ben"]);
    assert_eq!(told(&mut c, "ada", group), (SyncState::InSync, String::new()));
    c.isolate("ben");
    let document = chat_sync(&mut c, "ada", group);
    assert_eq!(
        (document.state, document.reason.as_str()),
        (SyncState::Alone, "no other device is connected")
    );
    let ben = line(&document, "ben", &c);
    assert!(ben.reason.ends_with("is not connected; it was in sync when last heard"), "{ben:?}");
    c.crash("ada");
    c.restart("ada");
    let ben = line(&chat_sync(&mut c, "ada", group), "ben", &c);
    assert!(ben.state == SyncState::Alone && ben.reason.ends_with("is not connected"), "{ben:?}");
}

#[test]
fn one_who_is_away_and_was_behind_is_not_said_to_have_been_in_sync() {
    let mut c = Cluster::new(602);
    let group = c.group_of(&["ada", "ben"]);
    c.gossip_loss = 100;
    c.send_message("ada", group, "not there yet");
    c.isolate("ben");
    let ben = line(&chat_sync(&mut c, "ada", group), "ben", &c);
    assert!(ben.state == SyncState::Alone && ben.reason.ends_with("is not connected"), "{ben:?}");
}

#[test]
fn a_group_of_one_device_is_alone_and_says_why() {
    let mut c = Cluster::new(603);
    c.add("ada");
    let group = c.create_group("ada", "team");
    assert_eq!(told(&mut c, "ada", group), (SyncState::Alone, "no other device is a member".into()));
}

#[test]
fn what_was_written_is_behind_until_the_other_has_said_that_it_holds_the_same() {
    let mut c = Cluster::new(604);
    let group = c.group_of(&["ada", "ben"]);
    c.gossip_loss = 100;
    c.send_message("ada", group, "one");
    let ben = line(&chat_sync(&mut c, "ada", group), "ben", &c);
    assert!(ben.state == SyncState::Behind && !ben.reason.is_empty(), "{ben:?}");
    c.lose("ada", "ben", |frame| matches!(frame, Frame::Envelopes { .. }), 1);
    c.run_for(3_000);
    let ben = line(&chat_sync(&mut c, "ada", group), "ben", &c);
    assert!(ben.behind == 1 && ben.reason.ends_with("lacks 1 entry"), "{ben:?}");
    let ada = line(&chat_sync(&mut c, "ben", group), "ada", &c);
    assert!(ada.behind == 1 && ada.reason.ends_with("has 1 entry more than came here"), "{ada:?}");
    c.run_for(130_000);
    assert_eq!(told(&mut c, "ada", group), (SyncState::InSync, String::new()));
    assert_eq!(told(&mut c, "ben", group), (SyncState::InSync, String::new()));
}

/// Runs for so long and shows everything that happens.
pub(crate) fn run_seen(c: &mut Cluster, ms: u64, see: &mut dyn FnMut(&Happened)) {
    let end = c.now() + ms;
    while c.now() < end && c.step_seen(&mut |_, happened| see(happened)) {}
    c.run_for(end.saturating_sub(c.now()));
}

/// How one node tells another that it stands, when they connect anew.
fn state_told(c: &mut Cluster, from: &str, to: &str) -> State {
    c.disconnect(from, to);
    c.connect(from, to);
    let (device, mut told) = (c.device(from).unwrap(), None);
    run_seen(c, 5_000, &mut |happened| {
        if let Event::Received(by, bytes) = &happened.event
            && (*by, happened.name.as_str()) == (device, to)
            && let Ok(Frame::State { state, .. }) = Frame::decode(bytes)
            && !state.documents.is_empty()
        {
            told = Some(state);
        }
    });
    told.unwrap()
}

/// Ada was shown three entries of ben's that never came.
fn shown_and_not_given(seed: u64) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben"]);
    c.gossip_loss = 100;
    c.lose("ben", "ada", |frame| matches!(frame, Frame::Envelopes { .. }), u64::MAX);
    for text in ["one", "two", "three"] {
        c.send_message("ben", group, text);
    }
    c.run_for(3_000);
    c.isolate("ben");
    c.crash("ada");
    c.restart("ada");
    (c, group)
}

#[test]
fn what_was_shown_and_has_not_come_is_known_after_a_restart_with_nobody_there() {
    let (mut c, group) = shown_and_not_given(605);
    let document = chat_sync(&mut c, "ada", group);
    assert_eq!(document.state, SyncState::Behind);
    assert!(document.reason.ends_with("showed 3 entries that have not come"));
    assert_eq!(line(&document, "ben", &c).behind, 3);
}

#[test]
fn what_has_come_is_not_wanted_any_more_after_another_restart() {
    let (mut c, group) = shown_and_not_given(606);
    c.lose_no_more();
    c.heal();
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["one", "two", "three"]);
    c.isolate("ben");
    c.crash("ada");
    c.restart("ada");
    assert_eq!(chat_sync(&mut c, "ada", group).state, SyncState::Alone);
    let kept = c.remembered("ada").locals.into_iter().filter(|(key, _)| key.kind == "want");
    assert_eq!(kept.count(), 0);
}

#[test]
fn nothing_is_wanted_of_somebody_who_is_no_member_any_more() {
    let (mut c, group) = shown_and_not_given(607);
    remove(&mut c, "ada", group, "ben");
    c.settle();
    c.crash("ada");
    c.restart("ada");
    assert_eq!(told(&mut c, "ada", group), (SyncState::Alone, "no other device is a member".into()));
    let kept = c.remembered("ada").locals.into_iter().filter(|(key, _)| key.kind == "want");
    assert_eq!(kept.count(), 0);
}

#[test]
fn a_member_that_claims_more_than_there_is_makes_its_own_line_say_so_and_no_other() {
    let mut c = Cluster::new(608);
    let group = c.group_of(&["ada", "ben", "mal"]);
    let mal = Insider::take_over(&mut c, "mal");
    let (entity, document) = (mal.entity, mal.document(&Concern::Chat));
    let ben = c.device("ben").unwrap();
    let head = LogHead { sequence: 1_000, hash: fourword_protocol::ids::EnvelopeHash([7; 32]) };
    let logs = vec![(ben, Incarnation(1), head)];
    let vector = Vector { entity, document, page: 0, logs, last: true };
    assert!(c.inject("mal", "ada", Frame::Vector(vector).encode()));
    c.settle();
    c.isolate("mal");
    c.settle();
    for restarted in [false, true] {
        let document = chat_sync(&mut c, "ada", group);
        let (of_ben, of_mal) = (line(&document, "ben", &c), line(&document, "mal", &c));
        assert_eq!(of_ben.state, SyncState::InSync, "restarted: {restarted}");
        assert_eq!((of_mal.state, of_mal.behind), (SyncState::Behind, 1_000), "{of_mal:?}");
        if !restarted {
            c.crash("ada");
            c.restart("ada");
            c.connect("ada", "ben");
            c.settle();
        }
    }
}

#[test]
fn a_join_that_an_admin_has_to_decide_is_shown_beside_the_documents() {
    let mut c = Cluster::new(610);
    let group = c.group_of(&["ada"]);
    c.add("eve");
    c.connect("ada", "eve");
    ask_in(&mut c, "eve", group);
    let joins = |c: &mut Cluster| match c.must("eve", Command::SyncStatus(None)) {
        Reply::Sync { joins, .. } => joins,
        other => panic!("{other:?}"),
    };
    let asked = joins(&mut c);
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].words, asked[0].state), (group, JoinState::Requested));
    let who = requests(&mut c, "ada", group)[0].person.person.to_string();
    let approve = MemberCommand::Approve { who, role: Role::Member };
    assert!(done(&c.ask("ada", Command::Member(group, approve))));
    c.settle();
    assert_eq!(joins(&mut c), []);
    assert_eq!(chat_sync(&mut c, "eve", group).state, SyncState::InSync);
}

#[test]
fn who_was_removed_or_has_left_is_told_so_and_never_that_it_is_in_sync() {
    let mut c = Cluster::new(611);
    let group = c.group_of(&["ada", "ben", "cem"]);
    remove(&mut c, "ada", group, "ben");
    c.must("cem", Command::Leave(group));
    c.settle();
    for name in ["ben", "cem"] {
        assert!(states(&mut c, name, group).iter().all(|state| *state == SyncState::NotMember), "{name}");
        assert_eq!(told(&mut c, name, group).1, "you are not a member any more");
    }
    assert_eq!(told(&mut c, "ada", group), (SyncState::Alone, "no other device is a member".into()));
}

#[test]
fn equal_logs_with_other_content_are_told_as_a_fault() {
    let mut c = Cluster::new(612);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "one");
    c.settle();
    let mut state = state_told(&mut c, "ben", "ada");
    c.take_over("ben");
    // What ben said in truth is on its way.
    c.run_for(1_000);
    for document in &mut state.documents {
        document.content = Some(Digest([9; 32]));
    }
    assert!(c.inject("ben", "ada", Frame::State { number: u64::MAX, state }.encode()));
    c.run_for(10);
    let document = chat_sync(&mut c, "ada", group);
    assert_eq!(document.state, SyncState::Diverged);
    assert!(document.reason.contains("shows other content"), "{}", document.reason);
}

#[test]
fn rosters_that_differ_are_not_in_sync_whatever_the_documents_hold() {
    let mut c = Cluster::new(613);
    let group = c.group_of(&["ada", "ben"]);
    let mut state = state_told(&mut c, "ben", "ada");
    c.take_over("ben");
    c.settle();
    state.roster = Digest([9; 32]);
    assert!(c.inject("ben", "ada", Frame::State { number: u64::MAX, state }.encode()));
    c.run_for(10);
    let (state, reason) = told(&mut c, "ada", group);
    assert!(state == SyncState::Behind && reason.contains("changes to who is in"), "{reason}");
}
