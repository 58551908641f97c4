//! Joining by the words alone: found, asked, decided; and what liars and floods can do to it.

use fourword_protocol::command::{
    Command, CommandId, EntityView, JoinBy, JoinState, JoinView, MemberCommand, Outcome, RefusalCode, Reply,
    RequestView,
};
use fourword_protocol::identity::{Certificate, DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::REQUESTS_MAX;
use fourword_protocol::request::Draft;
use fourword_protocol::roster::{Body, Role, Roster, Signer, Statement};
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::{Frame, Knock, Proof, Turned};
use fourword_protocol::words::{FourWords, Naming, StretchInput};
use fourword_tests::cluster::Cluster;

const NOW: WallTime = WallTime(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;

fn by_words(words: FourWords, id: Option<EntityId>, note: &str) -> Command {
    Command::Join { words, by: JoinBy::Words { id, note: note.into() }, peers: Vec::new() }
}

/// Asks to be let in and waits until a member keeps the request.
fn ask_in(c: &mut Cluster, name: &str, group: FourWords) {
    match c.must(name, by_words(group, None, "hello")) {
        Reply::Joined(_, JoinState::Requested) => {}
        other => panic!("{other:?}"),
    }
}

fn requests(c: &mut Cluster, name: &str, group: FourWords) -> Vec<RequestView> {
    match c.must(name, Command::Member(group, MemberCommand::Requests)) {
        Reply::Requests(requests) => requests,
        other => panic!("{other:?}"),
    }
}

fn joins(c: &mut Cluster, name: &str) -> Vec<JoinView> {
    match c.must(name, Command::Joins) {
        Reply::Joins(joins) => joins,
        other => panic!("{other:?}"),
    }
}

fn approve(c: &mut Cluster, name: &str, group: FourWords, who: &str) -> Outcome {
    let approve = MemberCommand::Approve { who: who.into(), role: Role::Member };
    c.ask(name, Command::Member(group, approve))
}

fn deny(c: &mut Cluster, name: &str, group: FourWords, who: &str) -> Outcome {
    c.ask(name, Command::Member(group, MemberCommand::Deny { who: who.into() }))
}

fn done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

fn code(outcome: &Outcome) -> Option<RefusalCode> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    }
}

fn show(c: &mut Cluster, name: &str, group: FourWords) -> Option<EntityView> {
    match c.ask(name, Command::Show(group)) {
        Outcome::Done(Reply::Entity(view)) => Some(view),
        _ => None,
    }
}

fn id_of(c: &mut Cluster, name: &str, group: FourWords) -> EntityId {
    show(c, name, group).unwrap().id
}

/// A group of ada and ben, and eve who is named and in no group; all are connected.
fn strangers(seed: u64) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben"]);
    c.add("eve");
    c.must("eve", Command::SetName("Eve".into()));
    c.connect_all();
    c.settle();
    (c, group)
}

#[test]
fn an_admin_who_was_away_approves_what_an_ordinary_member_kept() {
    let (mut c, group) = strangers(1);
    c.isolate("ada");
    ask_in(&mut c, "eve", group);
    assert_eq!(code(&approve(&mut c, "ben", group, "Eve")), Some(RefusalCode::NotAllowed));
    c.stop("eve");
    c.heal();
    c.settle();
    let asking = requests(&mut c, "ada", group);
    let [request] = &asking[..] else { panic!("{asking:?}") };
    assert_eq!((request.person.name.as_str(), request.note.as_str()), ("Eve", "hello"));
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    c.stop("ada");
    c.send_message("ben", group, "welcome");
    c.restart("eve");
    c.connect("eve", "ben");
    c.run_for(70_000);
    assert_eq!(c.read_chat("eve", group), ["welcome"]);
    assert!(joins(&mut c, "eve").is_empty());
    assert!(requests(&mut c, "ben", group).is_empty());
}

#[test]
fn who_is_approved_while_connected_is_in_at_once() {
    let (mut c, group) = strangers(2);
    ask_in(&mut c, "eve", group);
    c.run_for(1_000);
    let person = requests(&mut c, "ada", group)[0].person.person;
    assert!(done(&approve(&mut c, "ada", group, &person.short())));
    c.run_for(1_000);
    let view = show(&mut c, "eve", group).unwrap();
    assert_eq!((view.members, view.role), (3, Some(Role::Member)));
    c.settle();
    c.send_message("eve", group, "thank you");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["thank you"]);
    assert!(requests(&mut c, "ben", group).is_empty(), "decided requests are forgotten everywhere");
}

#[test]
fn nobody_grants_a_role_above_its_own_and_who_does_not_ask_cannot_be_approved() {
    let (mut c, group) = strangers(3);
    ask_in(&mut c, "eve", group);
    c.settle();
    assert_eq!(code(&approve(&mut c, "ada", group, "Mallory")), Some(RefusalCode::NotFound));
    assert_eq!(code(&deny(&mut c, "ben", group, "Eve")), Some(RefusalCode::NotAllowed));
    let owner = MemberCommand::Approve { who: "Eve".into(), role: Role::Owner };
    assert_eq!(code(&c.ask("ben", Command::Member(group, owner.clone()))), Some(RefusalCode::NotAllowed));
    assert!(done(&c.ask("ada", Command::Member(group, owner))));
    c.settle();
    assert_eq!(show(&mut c, "eve", group).unwrap().role, Some(Role::Owner));
}

#[test]
fn one_asks_by_words_as_shown_and_is_named_by_them() {
    let (mut c, group) = strangers(4);
    ask_in(&mut c, "eve", group);
    c.settle();
    let Reply::Status(status) = c.must("eve", Command::Status) else { panic!("a status") };
    let words = status.identity.to_string();
    // Nobody's words are stretched before somebody looks who asks.
    assert_eq!(code(&approve(&mut c, "ada", group, &words)), Some(RefusalCode::Pending));
    c.settle();
    assert_eq!(requests(&mut c, "ada", group)[0].person.words, Some(status.identity));
    assert!(done(&approve(&mut c, "ada", group, &words)));
}

#[test]
fn who_is_denied_is_told_and_may_not_ask_again_for_a_week_but_may_be_invited() {
    let (mut c, group) = strangers(5);
    ask_in(&mut c, "eve", group);
    c.settle();
    assert!(done(&deny(&mut c, "ada", group, "Eve")));
    c.settle();
    let [refused] = &joins(&mut c, "eve")[..] else { panic!("one join that was refused") };
    assert!(refused.reason.contains("against"), "{refused:?}");
    assert!(requests(&mut c, "ben", group).is_empty(), "ben knows of the denial");
    c.isolate("ada");
    let again = c.ask("eve", by_words(group, None, "please"));
    assert_eq!(code(&again), Some(RefusalCode::NotAllowed));
    c.run_for(8 * DAY_MS);
    ask_in(&mut c, "eve", group);
    c.heal();
    c.settle();
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
    assert!(done(&deny(&mut c, "ada", group, "Eve")));
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.settle();
    assert_eq!(show(&mut c, "eve", group).unwrap().members, 3);
}

#[test]
fn a_request_survives_restarts_of_who_asks_and_of_who_keeps_it() {
    let (mut c, group) = strangers(6);
    c.isolate("ada");
    ask_in(&mut c, "eve", group);
    let before = requests(&mut c, "ben", group);
    c.crash("eve");
    c.crash("ben");
    c.restart("ben");
    assert_eq!(requests(&mut c, "ben", group), before);
    c.restart("eve");
    assert_eq!(joins(&mut c, "eve").len(), 1);
    c.connect("eve", "ben");
    c.settle();
    assert_eq!(joins(&mut c, "eve")[0].state, JoinState::Requested);
    assert_eq!(requests(&mut c, "ben", group), before, "it was not made anew");
    c.heal();
    c.settle();
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    assert!(show(&mut c, "eve", group).is_some());
}

#[test]
fn words_that_nobody_knows_are_sought_until_somebody_does() {
    let (mut c, group) = strangers(7);
    c.isolate("ada");
    c.isolate("ben");
    let id = c.begin("eve", by_words(group, None, ""));
    c.settle();
    assert_eq!(c.answer("eve", id), None);
    c.must("eve", Command::StopWaiting(id));
    let Some(Outcome::Done(Reply::Joined(_, JoinState::Unreachable))) = c.answer("eve", id) else {
        panic!("{:?}", c.answer("eve", id))
    };
    c.crash("eve");
    c.restart("eve");
    let [sought] = &joins(&mut c, "eve")[..] else { panic!("one join") };
    assert_eq!((sought.words, sought.id, sought.state), (group, None, JoinState::Unreachable));
    c.heal();
    c.run_for(70_000);
    let [asked] = &joins(&mut c, "eve")[..] else { panic!("one join") };
    assert_eq!((asked.state, asked.id.is_some()), (JoinState::Requested, true));
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
}

#[test]
fn a_join_that_is_given_up_is_over_after_a_restart_too() {
    let (mut c, group) = strangers(8);
    ask_in(&mut c, "eve", group);
    let unknown = FourWords::from_bytes([3; 6]);
    let id = c.begin("eve", by_words(unknown, None, ""));
    c.must("eve", Command::CancelJoin(group));
    c.must("eve", Command::CancelJoin(unknown));
    assert!(matches!(c.answer("eve", id), Some(Outcome::Refused(_))));
    assert_eq!(code(&c.ask("eve", Command::CancelJoin(group))), Some(RefusalCode::NotFound));
    c.stop("eve");
    c.restart("eve");
    assert!(joins(&mut c, "eve").is_empty());
}

#[test]
fn asking_twice_keeps_one_request_and_answers_both() {
    let (mut c, group) = strangers(9);
    let first = c.begin("eve", by_words(group, None, "hello"));
    let second = c.begin("eve", by_words(group, None, "hello"));
    c.settle();
    assert!(matches!(c.answer("eve", first), Some(Outcome::Refused(_))), "the later one is answered");
    assert!(matches!(c.answer("eve", second), Some(Outcome::Done(Reply::Joined(_, JoinState::Requested)))));
    let before = requests(&mut c, "ada", group);
    c.run_for(1_000);
    ask_in(&mut c, "eve", group);
    assert_eq!(requests(&mut c, "ada", group), before, "no new work was done");
    c.must("eve", by_words(group, None, "another note"));
    c.settle();
    let after = requests(&mut c, "ada", group);
    assert_eq!(after.iter().map(|r| r.note.as_str()).collect::<Vec<_>>(), ["another note"]);
}

#[test]
fn two_admins_who_approve_at_once_let_one_person_in() {
    let mut c = Cluster::new(10);
    c.add("ada");
    let group = c.create_group("ada", "tea");
    for name in ["ben", "eve"] {
        c.add(name);
    }
    let admin = c.invite("ada", group, Role::Admin, 1);
    c.join("ben", group, &admin);
    c.must("eve", Command::SetName("Eve".into()));
    c.connect_all();
    c.settle();
    ask_in(&mut c, "eve", group);
    c.settle();
    c.isolate("eve");
    c.disconnect("ada", "ben");
    assert!(done(&approve(&mut c, "ada", group, "Eve")) && done(&approve(&mut c, "ben", group, "Eve")));
    c.heal();
    c.run_for(70_000);
    for name in ["ada", "ben", "eve"] {
        assert_eq!(show(&mut c, name, group).unwrap().members, 3, "{name}");
    }
    c.send_message("eve", group, "twice welcome");
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["twice welcome"]);
    assert_eq!(c.read_chat("ben", group), ["twice welcome"]);
}

#[test]
fn a_request_that_nobody_decides_is_forgotten_after_a_month() {
    let (mut c, group) = strangers(11);
    ask_in(&mut c, "eve", group);
    c.crash("eve");
    c.settle();
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
    c.run_for(31 * DAY_MS);
    assert!(requests(&mut c, "ada", group).is_empty());
    assert_eq!(c.queues("ben").requests, 0);
}

// -- candidates -------------------------------------------------------------------------------

/// Founds groups until two have the same lookup: with true words that takes GPU years, so the
/// second is a genesis whose id is stretched to the same words by trying many nonces of a weak
/// naming would be too slow as well; two ids are therefore offered for the words of one of them.
fn genesis_by(secret: &DeviceSecret, root: &RootSecret, nonce: u64) -> Statement {
    let person = PersonCard { root: root.public(), nonce: 0 }.id();
    let creator = root.certify(0, &secret.card(person));
    let genesis = fourword_protocol::roster::Genesis {
        kind: fourword_protocol::command::Kind::Group,
        nonce,
        created: NOW,
        secret_commitment: [1; 32],
        parent: None,
        creator,
    };
    genesis.sign(secret).unwrap()
}

/// What a puppet was asked for, once it was.
fn sought(c: &mut Cluster, puppet: &str) -> Option<fourword_protocol::ids::Digest> {
    c.take_inbox(puppet).iter().find_map(|(_, bytes)| match Frame::decode(bytes) {
        Ok(Frame::Seek(lookup)) => Some(lookup),
        _ => None,
    })
}

#[test]
fn a_liar_that_offers_junk_and_other_groups_delays_a_join_and_no_more() {
    let (mut c, group) = strangers(12);
    c.add("mal");
    c.take_over("mal");
    c.connect("mal", "eve");
    c.settle();
    c.take_cost("eve");
    let id = c.begin("eve", by_words(group, None, ""));
    let lookup = loop {
        c.run_for(1);
        if let Some(lookup) = sought(&mut c, "mal") {
            break lookup;
        }
    };
    let (secret, root) = (c.secret("mal"), RootSecret::from_seed(&[9; 32]));
    let genesis = (0..8).map(|nonce| genesis_by(&secret, &root, nonce).bytes().to_vec()).collect();
    c.inject("mal", "eve", Frame::Found { lookup, genesis }.encode());
    // Answers that nobody asked for, and bytes that are no genesis.
    c.inject("mal", "eve", Frame::Found { lookup, genesis: vec![vec![7; 300]; 8] }.encode());
    c.settle();
    assert!(
        matches!(c.answer("eve", id), Some(Outcome::Done(Reply::Joined(..)))),
        "{:?}",
        c.answer("eve", id)
    );
    assert!(c.take_cost("eve").stretches <= 8 + 1 + 1, "candidates, one lookup, one work");
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
}

#[test]
fn an_honest_answer_has_its_turn_although_a_liar_came_first_with_a_full_one() {
    let (mut c, group) = strangers(13);
    c.isolate("ada");
    c.isolate("ben");
    for name in ["mal", "max"] {
        c.add(name);
        c.take_over(name);
        c.connect(name, "eve");
    }
    let id = c.begin("eve", by_words(group, None, ""));
    c.run_for(100);
    let (secret, root) = (c.secret("mal"), RootSecret::from_seed(&[9; 32]));
    for (name, first) in [("mal", 0), ("max", 100)] {
        let lookup = sought(&mut c, name).unwrap();
        let genesis = (first..first + 8).map(|nonce| genesis_by(&secret, &root, nonce).bytes().to_vec());
        let genesis = genesis.collect();
        c.inject(name, "eve", Frame::Found { lookup, genesis }.encode());
    }
    c.run_for(2);
    c.heal();
    c.settle();
    assert!(
        matches!(c.answer("eve", id), Some(Outcome::Done(Reply::Joined(..)))),
        "{:?}",
        c.answer("eve", id)
    );
}

#[test]
fn a_refusal_by_who_is_no_member_does_not_end_a_request_that_a_member_keeps() {
    let (mut c, group) = strangers(14);
    let entity = id_of(&mut c, "ada", group);
    c.add("mal");
    c.take_over("mal");
    c.connect("mal", "eve");
    ask_in(&mut c, "eve", group);
    c.settle();
    c.inject("mal", "eve", Frame::Turned { entity, why: Turned::Denied }.encode());
    c.run_for(200_000);
    let [join] = &joins(&mut c, "eve")[..] else { panic!("one join") };
    assert_eq!((join.state, join.reason.as_str()), (JoinState::Requested, ""));
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    assert!(show(&mut c, "eve", group).is_some());
}

// -- requests by hand -------------------------------------------------------------------------

/// Somebody made up, with a device that the test may choose.
struct Somebody {
    root: RootSecret,
    device: DeviceSecret,
}

impl Somebody {
    fn new(number: u8, device: DeviceSecret) -> Somebody {
        Somebody { root: RootSecret::from_seed(&[number; 32]), device }
    }

    fn certificate(&self) -> Certificate {
        let person = PersonCard { root: self.root.public(), nonce: 0 }.id();
        self.root.certify(0, &self.device.card(person))
    }

    fn request(&self, entity: EntityId, time: WallTime) -> Vec<u8> {
        let draft = Draft::new(entity, &self.certificate(), "Somebody", "", time);
        let bits = Naming::Test.work_bits();
        let found = StretchInput::Work { bits, challenge: draft.challenge() }.run();
        draft.sign(u64::from_be_bytes(found[..8].try_into().unwrap()), &self.device)
    }

    /// A request of which the work was not done.
    fn idle_request(&self, entity: EntityId) -> Vec<u8> {
        let draft = Draft::new(entity, &self.certificate(), "Somebody", "", NOW);
        let bits = Naming::Test.work_bits();
        let found = StretchInput::Work { bits, challenge: draft.challenge() }.run();
        // The smallest that fits was found, so the one before it does not.
        draft.sign(u64::from_be_bytes(found[..8].try_into().unwrap()).wrapping_sub(1), &self.device)
    }

    fn knock(&self, entity: EntityId, proof: Proof) -> Vec<u8> {
        let mut writer = fourword_protocol::bytes::Writer::new();
        self.certificate().write(&mut writer);
        Frame::Knock(Knock { entity, certificate: writer.into_bytes(), proof }).encode()
    }
}

/// How a member answers a puppet's knock, if it turns it away.
fn turned(c: &mut Cluster, puppet: &str, to: &str, knock: Vec<u8>) -> Option<Turned> {
    c.take_inbox(puppet);
    assert!(c.inject(puppet, to, knock));
    c.run_for(2_500);
    c.take_inbox(puppet).iter().find_map(|(_, bytes)| match Frame::decode(bytes) {
        Ok(Frame::Turned { why, .. }) => Some(why),
        _ => None,
    })
}

#[test]
fn a_request_cannot_be_replayed_for_another_entity_or_by_another_device_or_without_work() {
    let (mut c, group) = strangers(15);
    let entity = id_of(&mut c, "ada", group);
    let other_group = c.create_group("ada", "other");
    let other = id_of(&mut c, "ada", other_group);
    c.add("mal");
    c.connect_all();
    c.take_over("mal");
    c.settle();
    let own = Somebody::new(1, c.secret("mal"));
    let foreign = Somebody::new(2, DeviceSecret::from_seeds(&[3; 32], &[4; 32]));
    let request = own.request(entity, NOW);
    let knock = |request: &[u8], to| own.knock(to, Proof::Request(request.to_vec()));
    assert_eq!(turned(&mut c, "mal", "ada", knock(&request, other)), Some(Turned::BadProof));
    let replayed = foreign.request(entity, NOW);
    assert_eq!(turned(&mut c, "mal", "ada", knock(&replayed, entity)), Some(Turned::BadProof));
    let replayed = foreign.knock(entity, Proof::Request(replayed));
    assert_eq!(turned(&mut c, "mal", "ada", replayed), Some(Turned::BadProof));
    assert_eq!(
        turned(&mut c, "mal", "ada", knock(&own.idle_request(entity), entity)),
        Some(Turned::BadProof)
    );
    let old = own.request(entity, WallTime(NOW.0 - 31 * DAY_MS));
    assert_eq!(turned(&mut c, "mal", "ada", knock(&old, entity)), Some(Turned::Expired));
    let future = own.request(entity, WallTime(NOW.0 + 2 * DAY_MS));
    assert_eq!(turned(&mut c, "mal", "ada", knock(&future, entity)), Some(Turned::Expired));
    assert_eq!(turned(&mut c, "mal", "ada", knock(&vec![1; 5_000], entity)), Some(Turned::BadProof));
    assert_eq!(c.queues("ada").requests, 0);
    assert_eq!(turned(&mut c, "mal", "ada", knock(&request, entity)), Some(Turned::Asked));
    assert_eq!(c.queues("ada").requests, 1);
}

#[test]
fn a_flood_of_requests_is_bounded_and_puts_out_nobody_who_asked_before() {
    let (mut c, group) = strangers(16);
    let entity = id_of(&mut c, "ada", group);
    ask_in(&mut c, "eve", group);
    c.add("mal");
    c.connect_all();
    c.take_over("mal");
    c.settle();
    let people: Vec<Somebody> = (0..100).map(|n| Somebody::new(100 + n, c.secret("mal"))).collect();
    let mut answers = Vec::new();
    for somebody in &people {
        let knock = somebody.knock(entity, Proof::Request(somebody.request(entity, NOW)));
        answers.extend(turned(&mut c, "mal", "ben", knock));
    }
    assert_eq!(answers.iter().filter(|why| **why == Turned::Asked).count(), REQUESTS_MAX - 1);
    assert_eq!(answers.last(), Some(&Turned::TooMany));
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.queues(name).requests, REQUESTS_MAX, "{name}");
        assert!(requests(&mut c, name, group).iter().any(|r| r.person.name == "Eve"), "{name}");
    }
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    assert!(show(&mut c, "eve", group).is_some());
    c.crash("ada");
    c.restart("ada");
    assert_eq!(c.queues("ada").requests, REQUESTS_MAX - 1);
}

#[test]
fn a_member_that_passes_on_forged_requests_and_denials_is_blamed_and_changes_nothing() {
    let mut c = Cluster::new(17);
    let group = c.group_of(&["ada", "ben", "mal"]);
    c.add("eve");
    c.must("eve", Command::SetName("Eve".into()));
    c.connect_all();
    c.settle();
    ask_in(&mut c, "eve", group);
    c.settle();
    let entity = id_of(&mut c, "ada", group);
    let eve = requests(&mut c, "ada", group)[0].person.person;
    let at = WallTime(NOW.0 + 1_000);
    c.take_over("mal");
    let somebody = Somebody::new(200, DeviceSecret::from_seeds(&[5; 32], &[6; 32]));
    let mut forged = somebody.request(entity, NOW);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let own = fourword_protocol::request::Denial::sign(entity, eve, at, &c.secret("mal"));
    let mut in_adas_name =
        fourword_protocol::request::Denial::sign(entity, eve, at, &c.secret("ada")).bytes().to_vec();
    let last = in_adas_name.len() - 1;
    in_adas_name[last] ^= 1;
    let frames = [
        (vec![forged], vec![]),
        (vec![somebody.idle_request(entity)], vec![]),
        (vec![], vec![in_adas_name]),
        (vec![vec![1; 2_000]], vec![]),
        (vec![], vec![own.bytes().to_vec()]),
    ];
    for (requests, denials) in frames {
        c.inject("mal", "ben", Frame::Requests { entity, requests, denials }.encode());
    }
    c.settle();
    let Reply::Status(status) = c.must("ben", Command::Status) else { panic!("a status") };
    let blamed = status.dropped.iter().find(|(why, _)| why == "forged request").map(|(_, count)| *count);
    assert_eq!(blamed, Some(4), "an ordinary member's denial is only passed over");
    let asking = requests(&mut c, "ben", group);
    assert_eq!(asking.iter().map(|r| r.person.person).collect::<Vec<_>>(), [eve]);
}

#[test]
fn who_is_no_member_is_told_nothing_of_who_asks() {
    let (mut c, group) = strangers(18);
    let entity = id_of(&mut c, "ada", group);
    c.add("mal");
    c.connect_all();
    c.take_over("mal");
    ask_in(&mut c, "eve", group);
    c.run_for(200_000);
    let told =
        c.take_inbox("mal").iter().any(|(_, b)| matches!(Frame::decode(b), Ok(Frame::Requests { .. })));
    assert!(!told);
    let somebody = Somebody::new(1, DeviceSecret::from_seeds(&[5; 32], &[6; 32]));
    let requests = vec![somebody.request(entity, NOW)];
    c.inject("mal", "ada", Frame::Requests { entity, requests, denials: Vec::new() }.encode());
    c.settle();
    assert_eq!(c.queues("ada").requests, 1, "eve's alone");
}

// -- coming back ------------------------------------------------------------------------------

/// Ben's root key, by its phrase, and a device of its own that ben's root vouches for.
fn another_device_of_ben(c: &mut Cluster, name: &str) -> (RootSecret, Certificate) {
    let Reply::Phrase(phrase) = c.must("ben", Command::Phrase) else { panic!("a phrase") };
    let Reply::Status(status) = c.must("ben", Command::Status) else { panic!("a status") };
    let root = RootSecret::from_phrase(&phrase).unwrap();
    let card = |nonce| PersonCard { root: root.public(), nonce };
    let nonce = (0..1_000).find(|nonce| card(*nonce).id() == status.person).unwrap();
    let certificate = root.certify(nonce, &c.secret(name).card(status.person));
    (root, certificate)
}

fn knock_as(entity: EntityId, certificate: &Certificate) -> Vec<u8> {
    let mut writer = fourword_protocol::bytes::Writer::new();
    certificate.write(&mut writer);
    Frame::Knock(Knock { entity, certificate: writer.into_bytes(), proof: Proof::Member }).encode()
}

fn statements(c: &mut Cluster, puppet: &str) -> Vec<Vec<u8>> {
    let frames = c.take_inbox(puppet).into_iter().filter_map(|(_, bytes)| Frame::decode(&bytes).ok());
    let given = frames.filter_map(|frame| match frame {
        Frame::Statements { statements, .. } => Some(statements),
        _ => None,
    });
    given.flatten().collect()
}

#[test]
fn a_device_that_a_members_root_vouches_for_gets_the_roster_and_with_its_certification_the_keys() {
    let (mut c, group) = strangers(19);
    let entity = id_of(&mut c, "ada", group);
    c.add("new");
    c.connect_all();
    c.take_over("new");
    c.settle();
    let (root, certificate) = another_device_of_ben(&mut c, "new");
    c.isolate("ben");
    c.take_inbox("new");
    c.inject("new", "ada", knock_as(entity, &certificate));
    c.settle();
    let given = statements(&mut c, "new");
    let mut roster = Roster::new(Statement::read(&given[0]).unwrap()).unwrap();
    given.iter().for_each(|bytes| drop(roster.insert(bytes)));
    let device = c.device("new").unwrap();
    assert!(roster.seals_for(&device).is_empty(), "no key before the roster knows the device");
    let body = Body::Certify { device: certificate.device.clone() };
    let certify = roster.draft(Signer::Root(&root), body).unwrap();
    let certified = Frame::Statements { entity, statements: vec![certify.bytes().to_vec()] };
    c.inject("new", "ada", certified.encode());
    c.settle();
    statements(&mut c, "new").iter().for_each(|bytes| drop(roster.insert(bytes)));
    assert!(roster.contains(&certify.id()));
    let opens = roster.seals_for(&device).iter().any(|(epoch, seal)| {
        let Some(Body::Epoch { commitment, .. }) = roster.statement(epoch).map(Statement::body) else {
            return false;
        };
        let secret = roster.genesis().secret_commitment;
        fourword_protocol::epoch::open(entity, *commitment, secret, &seal.sealed, &c.secret("new")).is_some()
    });
    assert!(opens, "a key that opens was sealed to the new device");
}

#[test]
fn a_certificate_that_is_forged_or_of_a_stranger_gets_no_roster() {
    let (mut c, group) = strangers(20);
    let entity = id_of(&mut c, "ada", group);
    c.add("new");
    c.connect_all();
    c.take_over("new");
    c.settle();
    let (_, certificate) = another_device_of_ben(&mut c, "new");
    let forged = Certificate { signature: [1; 64], ..certificate.clone() };
    assert_eq!(turned(&mut c, "new", "ada", knock_as(entity, &forged)), Some(Turned::BadProof));
    let stranger = Somebody::new(7, c.secret("new")).certificate();
    assert_eq!(turned(&mut c, "new", "ada", knock_as(entity, &stranger)), Some(Turned::NotHere));
    // Ben's own first device is not the one that knocks.
    let bens = RootSecret::from_seed(&[7; 32]);
    let person = PersonCard { root: bens.public(), nonce: 0 }.id();
    let others = bens.certify(0, &DeviceSecret::from_seeds(&[8; 32], &[8; 32]).card(person));
    assert_eq!(turned(&mut c, "new", "ada", knock_as(entity, &others)), Some(Turned::BadProof));
    assert!(statements(&mut c, "new").is_empty());
    let _: CommandId = c.begin("ada", Command::Status);
}
