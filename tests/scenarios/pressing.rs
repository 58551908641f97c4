//! Requests and codes made by hand: replayed, forged, without work, and far too many.

use fourword_protocol::bytes::Writer;
use fourword_protocol::command::{Command, JoinState, Reply};
use fourword_protocol::identity::{Certificate, DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::{FRAME_REQUESTS_MAX, REQUESTS_MAX};
use fourword_protocol::request::{Denial, Draft};
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::{Frame, Knock, Proof, Turned};
use fourword_protocol::words::{Naming, StretchInput};
use fourword_tests::cluster::Cluster;

use crate::asking::{DAY_MS, NOW, approve, ask_in, done, id_of, joins, requests, show, strangers};
use crate::devices::{code, devices};

/// Somebody made up, with a device that the test may choose.
pub(crate) struct Somebody {
    root: RootSecret,
    device: DeviceSecret,
}

impl Somebody {
    pub(crate) fn new(number: u8, device: DeviceSecret) -> Somebody {
        Somebody { root: RootSecret::from_seed(&[number; 32]), device }
    }

    pub(crate) fn certificate(&self) -> Certificate {
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
        let mut writer = Writer::new();
        self.certificate().write(&mut writer);
        Frame::Knock(Knock { entity, certificate: writer.into_bytes(), proof }).encode()
    }
}

/// How a member answers a puppet's knock, if it turns it away.
pub(crate) fn turned(c: &mut Cluster, puppet: &str, to: &str, knock: Vec<u8>) -> Option<Turned> {
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
    let own = Denial::sign(entity, eve, at, &c.secret("mal"));
    let mut in_adas_name = Denial::sign(entity, eve, at, &c.secret("ada")).bytes().to_vec();
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
fn as_many_requests_and_denials_are_passed_on_in_one_frame_as_may_and_more_are_a_fault() {
    let mut c = Cluster::new(20);
    let group = c.group_of(&["ada", "ben", "mal"]);
    let entity = id_of(&mut c, "ada", group);
    c.take_over("mal");
    let device = DeviceSecret::from_seeds(&[5; 32], &[6; 32]);
    let people: Vec<Somebody> = (0..=FRAME_REQUESTS_MAX)
        .map(|number| Somebody::new(u8::try_from(100 + number).unwrap(), device.clone()))
        .collect();
    let requests: Vec<Vec<u8>> = people.iter().map(|person| person.request(entity, NOW)).collect();
    let ada = c.secret("ada");
    let deny = |of: &Somebody| Denial::sign(entity, of.certificate().person.id(), NOW, &ada).bytes().to_vec();
    let denials: Vec<Vec<u8>> = people.iter().map(deny).collect();
    let frame = |requests: &[Vec<u8>], denials: &[Vec<u8>]| {
        Frame::Requests { entity, requests: requests.to_vec(), denials: denials.to_vec() }.encode()
    };
    for more in [frame(&requests, &[]), frame(&[], &denials)] {
        c.inject("mal", "ben", more);
        c.run_for(1_000);
        assert_eq!((c.queues("ben").requests, c.queues("ben").denials), (0, 0));
    }
    let Reply::Status(status) = c.must("ben", Command::Status) else { panic!("a status") };
    assert!(status.dropped.contains(&("too many requests".to_owned(), 2)), "{:?}", status.dropped);
    c.inject("mal", "ben", frame(&requests[..FRAME_REQUESTS_MAX], &[]));
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.queues(name).requests, FRAME_REQUESTS_MAX, "{name}");
    }
    c.inject("mal", "ben", frame(&[], &denials[..FRAME_REQUESTS_MAX]));
    // Ben passes them on one at a time, and what was too much at once with all else later.
    c.run_for(120_000);
    for name in ["ada", "ben"] {
        assert_eq!(c.queues(name).denials, FRAME_REQUESTS_MAX, "{name}");
    }
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

#[test]
fn a_flood_of_shown_codes_is_cut_off_and_links_nobody() {
    let mut c = Cluster::new(15);
    c.add("phone");
    c.add("mal");
    c.connect_all();
    let code = code(&mut c, "phone");
    c.take_over("mal");
    let secret = c.secret("mal");
    let mut card = Writer::new();
    secret.card(code.person).write(&mut card);
    let show = |signature: Vec<u8>, card: Vec<u8>| Frame::Link { home: code.home, card, signature }.encode();
    let good = code.sign_card(&secret.card(code.person)).to_vec();
    let frames = [
        show(vec![1; 64], card.as_slice().to_vec()),
        show(good[..63].to_vec(), card.as_slice().to_vec()),
        show(good.clone(), card.as_slice()[1..].to_vec()),
        show(good, vec![0; 300_000]),
    ];
    for frame in frames {
        c.inject("mal", "phone", frame);
        c.run_for(5_000);
    }
    let answers = c.take_inbox("mal").into_iter().filter_map(|(_, bytes)| Frame::decode(&bytes).ok());
    let linked: Vec<Vec<u8>> = answers
        .filter_map(|frame| match frame {
            Frame::Linked { certificate, .. } => Some(certificate),
            _ => None,
        })
        .collect();
    assert_eq!(linked, vec![Vec::<u8>::new(); 4]);
    for _ in 0..30 {
        c.inject("mal", "phone", show(vec![1; 64], card.as_slice().to_vec()));
    }
    c.run_for(1_000);
    assert!(!c.are_connected("mal", "phone"), "who shows codes without end is sent away");
    assert_eq!(devices(&mut c, "phone").len(), 1);
}
