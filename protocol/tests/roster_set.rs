//! The set of statements: any order gives the same, nothing unchecked gets in, all is bounded.

mod cast;

use std::collections::BTreeSet;

use cast::*;
use fourword_protocol::ids::StatementId;
use fourword_protocol::limits::{
    ROSTER_HEADS_MAX, STATEMENTS_PER_DEVICE_MAX, WAITING_STATEMENT_BYTES_MAX, WAITING_STATEMENTS_MAX,
};
use fourword_protocol::roster::{Body, DraftError, Inserted, Rejection, Role, Roster, Signer, Statement};
use proptest::prelude::*;

/// A group in which much happened apart.
fn eventful() -> Replica {
    let mut start = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Admin), ("dia", Role::Member)]);
    start.says("ada", epoch(1, &["ada", "ben", "cem", "dia"]));
    let invite = start.opens_invite("cem", 1, Role::Member);
    let (mut a, mut b, mut c) = (start.clone(), start.clone(), start);
    let removal = a.says("ben", Body::Remove { person: person("cem"), vectors: vectors("cem", 4) });
    a.says("ada", set_role("dia", Role::Viewer));
    b.says("cem", remove("ben"));
    b.says("cem", add("eve", Role::Member));
    b.admits("dia", 1, invite, "fay");
    c.says("dia", certify("dia/phone"));
    c.says("dia/phone", leave());
    c.says("ada", set_role("dia", Role::Admin));
    let mut joined = Replica::join(&[&a, &b, &c]);
    joined.says("ada", Body::Held { removal, vectors: vectors("cem", 9) });
    joined.says("ada", epoch(2, &["ada", "ben"]));
    joined
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_reading_and_digest(seed in any::<u64>()) {
        let whole = eventful();
        let mut order: Vec<StatementId> = whole.roster.ids().skip(1).collect();
        let mut state = seed | 1;
        for place in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(place, (state >> 33) as usize % (place + 1));
        }
        let mut other = Replica::founded_by("ada");
        let mut new = BTreeSet::new();
        for id in &order {
            if let Inserted::New(ids) = other.roster.insert(whole.roster.bytes(id).unwrap()) {
                for id in ids {
                    let statement = whole.roster.statement(&id).unwrap();
                    let parents_first = statement.parents().iter().all(|p| {
                        new.contains(p) || p.0 == whole.roster.entity().0
                    });
                    prop_assert!(parents_first && new.insert(id));
                }
            }
        }
        prop_assert_eq!(new.len(), order.len());
        prop_assert_eq!(other.roster.digest(), whole.roster.digest());
        prop_assert_eq!(other.roster.heads(), whole.roster.heads());
        prop_assert_eq!(other.picture(), whole.picture());
    }
}

#[test]
fn a_statement_waits_for_its_parents_and_names_those_that_nobody_brought() {
    let mut whole = Replica::founded_by("ada");
    let first = whole.says("ada", add("ben", Role::Member));
    let second = whole.says("ben", certify("ben/phone"));
    let third = whole.says("ada", remove("ben"));
    let bytes = |id| whole.roster.bytes(&id).unwrap();
    let mut other = Replica::founded_by("ada").roster;
    assert_eq!(other.insert(bytes(second)), Inserted::Waiting { missing: vec![first] });
    assert_eq!(other.insert(bytes(third)), Inserted::Waiting { missing: vec![] });
    assert_eq!(other.insert(bytes(second)), Inserted::Waiting { missing: vec![first] });
    assert!(!other.contains(&second));
    assert_eq!(other.insert(bytes(first)), Inserted::New(vec![first, second, third]));
    assert_eq!(other.insert(bytes(second)), Inserted::Known);
}

#[test]
fn what_waits_is_bounded() {
    let mut lone = Replica::founded_by("ada");
    let missing = lone.says("ada", certify("ada/lost"));
    let mut other = Replica::founded_by("ada").roster;
    for number in 0..WAITING_STATEMENTS_MAX + 1 {
        let mut branch = lone.clone();
        let kind = u8::try_from(100 + number % 100).unwrap();
        let body = Body::Unknown { kind, bytes: number.to_be_bytes().to_vec() };
        let id = branch.says("ada", body);
        let inserted = other.insert(branch.roster.bytes(&id).unwrap());
        if number < WAITING_STATEMENTS_MAX {
            assert_eq!(inserted, Inserted::Waiting { missing: vec![missing] });
        } else {
            assert_eq!(inserted, Inserted::Rejected(Rejection::WaitingFull));
        }
    }
    let Inserted::New(ids) = other.insert(lone.roster.bytes(&missing).unwrap()) else {
        panic!("the parent came");
    };
    assert_eq!(ids.len(), WAITING_STATEMENTS_MAX + 1);
    assert_eq!(other.heads().len(), ROSTER_HEADS_MAX, "more are open than a writer may name");
    let signer = device("ada/lost");
    let next = other.draft(Signer::Device(&signer), leave()).unwrap();
    assert_eq!(next.parents().len(), ROSTER_HEADS_MAX);
    assert!(matches!(other.add(next), Inserted::New(_)));
}

#[test]
fn what_waits_is_bounded_in_bytes_and_nothing_is_lost_by_it() {
    let mut lone = Replica::founded_by("ada");
    let missing = lone.says("ada", certify("ada/lost"));
    let mut other = Replica::founded_by("ada").roster;
    let (mut waiting, mut bytes, mut refused) = (0, 0, Vec::new());
    for number in 0..WAITING_STATEMENT_BYTES_MAX / 60_000 + 3 {
        let mut branch = lone.clone();
        let body = Body::Unknown { kind: 100, bytes: vec![u8::try_from(number).unwrap(); 60_000] };
        let id = branch.says("ada", body);
        let statement = branch.roster.bytes(&id).unwrap();
        let fits = bytes + statement.len() <= WAITING_STATEMENT_BYTES_MAX;
        match other.insert(statement) {
            Inserted::Waiting { .. } if fits => (waiting, bytes) = (waiting + 1, bytes + statement.len()),
            Inserted::Rejected(Rejection::WaitingFull) if !fits => refused.push(statement.to_vec()),
            unexpected => panic!("{unexpected:?} at {bytes}"),
        }
    }
    assert!(refused.len() >= 2 && waiting > 60);
    let Inserted::New(ids) = other.insert(lone.roster.bytes(&missing).unwrap()) else {
        panic!("the parent came");
    };
    assert_eq!(ids.len(), waiting + 1);
    assert!(
        refused.iter().all(|bytes| matches!(other.insert(bytes), Inserted::New(_))),
        "there is room again"
    );
}

#[test]
fn a_stranger_and_a_wrong_claim_are_rejected_not_kept() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let signer = device("eve");
    let draft = group.roster.draft(Signer::Device(&signer), leave());
    assert_eq!(draft, Err(DraftError::NoSeat));

    let mut elsewhere = Replica::founded_by("ada");
    elsewhere.says("ada", add("eve", Role::Member));
    let id = elsewhere.says("eve", leave());
    assert!(matches!(group.roster.insert(elsewhere.roster.bytes(&id).unwrap()), Inserted::Waiting { .. }));

    let other = Replica::founded_by("ben");
    let foreign = other.roster.bytes(&other.roster.heads()[0]).unwrap();
    assert_eq!(group.roster.insert(foreign), Inserted::Rejected(Rejection::Foreign));
}

#[test]
fn a_certificate_that_does_not_hold_is_rejected() {
    let mut group = Replica::founded_by("ada");
    let signer = device("ada");
    let mut stolen = certificate("ben");
    stolen.device = card("cem");
    let mut others = card("ben/laptop");
    others.bound[0] ^= 1;
    let bodies =
        [Body::Add { certificate: stolen, role: Role::Member }, Body::Certify { device: others.clone() }];
    for body in bodies {
        let draft = group.roster.draft(Signer::Device(&signer), body).unwrap();
        assert_eq!(group.roster.add(draft), Inserted::Rejected(Rejection::Certificate));
    }
    let draft = group.roster.draft(Signer::Device(&signer), certify("ben/laptop")).unwrap();
    let inserted = group.roster.add(draft);
    assert_eq!(inserted, Inserted::Rejected(Rejection::Certificate), "bound to ben, not to ada");
}

#[test]
fn an_invite_admits_only_whom_its_key_signed_for() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let invite = group.opens_invite("ada", 1, Role::Member);
    let signer = device("ben");
    let entity = group.roster.entity();
    let (eve, fay) = (certificate("eve"), certificate("fay"));
    let mut accept = |invite, certificate, signature| {
        let body = Body::AcceptInvite { invite, certificate, signature };
        let draft = group.roster.draft(Signer::Device(&signer), body).unwrap();
        group.roster.add(draft)
    };
    let wrong_code = code(entity, 2).sign_acceptance(&eve);
    let for_fay = code(entity, 1).sign_acceptance(&fay);
    let elsewhere = code(entity, 1).sign_acceptance(&eve);
    let refused = Inserted::Rejected(Rejection::Invite);
    assert_eq!(accept(invite, eve.clone(), wrong_code), refused);
    assert_eq!(accept(invite, eve.clone(), for_fay), refused);
    assert_eq!(accept(StatementId([1; 32]), eve, elsewhere), refused);
    assert!(matches!(accept(invite, fay, for_fay), Inserted::New(_)));
    assert!(group.has("fay"));
}

#[test]
fn the_best_standing_membership_signs() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    group.says("ada", add("ben", Role::Admin));
    group.says("ben", add("cem", Role::Member));
    assert!(group.has("cem"), "ben signs as the admin it is");
    group.says("ada", remove("ben"));
    let signer = device("ben");
    assert_eq!(group.roster.draft(Signer::Device(&signer), leave()), Err(DraftError::NoSeat));
}

#[test]
fn keys_are_sealed_to_what_the_card_of_the_device_says() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    group.says("ben", certify("ben/phone"));
    for name in ["ada", "ben", "ben/phone"] {
        assert_eq!(group.roster.sealing_key(&key(name)), Some(card(name).sealing));
    }
    let first = group.says("ada", epoch(1, &["ada", "ben"]));
    group.says("ada", Body::SealKey { epoch: first, seals: seals(&["ben/phone"]) });
    let found: Vec<StatementId> =
        group.roster.seals_for(&key("ben/phone")).into_iter().map(|(epoch, _)| epoch).collect();
    assert_eq!(found, [first]);
    group.says("ben", revoke("ben/phone"));
    assert_eq!(group.roster.sealing_key(&key("ben/phone")), None);
}

#[test]
fn a_roster_as_of_earlier_heads_is_that_of_who_knew_these_and_no_more() {
    let whole = eventful().roster;
    let ids: Vec<StatementId> = whole.ids().collect();
    let of_those_below = |heads: &[StatementId]| {
        let mut below = ids.iter().filter(|id| whole.follows(heads, &[**id]));
        let genesis = whole.statement(below.next().unwrap()).unwrap();
        let mut roster = Roster::new(genesis.clone()).unwrap();
        for id in below {
            assert!(matches!(roster.insert(whole.bytes(id).unwrap()), Inserted::New(_)));
        }
        roster
    };
    let pairs = ids.iter().flat_map(|a| ids.iter().map(move |b| vec![*a, *b]));
    for heads in pairs.chain([whole.heads()]) {
        let (then, expected) = (whole.as_of(&heads).unwrap(), of_those_below(&heads));
        assert_eq!((then.digest(), then.heads()), (expected.digest(), expected.heads()));
        let people = |roster: &Roster| format!("{:?} {:?}", roster.reading().members, roster.cutting());
        assert_eq!(people(&then), people(&expected));
        assert_eq!(whole.is_known_by(&heads), then.digest() == whole.digest());
    }
    assert!(whole.as_of(&[StatementId([8; 32])]).is_none());
}

#[test]
fn of_more_heads_than_can_be_named_those_come_first_that_know_what_must_be_known() {
    let start = Replica::of("ada", &[("ben", Role::Admin)]);
    let mut group = start.clone();
    let unknown = |number: u8| Body::Unknown { kind: 99, bytes: vec![number] };
    let apart: Vec<StatementId> = (0..2 * ROSTER_HEADS_MAX)
        .map(|n| {
            let said = start.roster.draft(Signer::Device(&device("ben")), unknown(n as u8)).unwrap();
            group.roster.insert(said.bytes());
            said.id()
        })
        .collect();
    for needed in apart.chunks(ROSTER_HEADS_MAX) {
        let named = group.roster.heads_over(needed);
        assert_eq!(named.len(), ROSTER_HEADS_MAX);
        assert!(group.roster.follows(&named, needed) && named.is_sorted());
    }
    assert!(!group.roster.is_known_by(&group.roster.heads()), "some could not be named");
}

#[test]
fn later_heads_follow_earlier_ones_and_not_the_other_way() {
    let mut group = Replica::founded_by("ada");
    let before = group.roster.heads();
    group.says("ada", add("ben", Role::Member));
    let after = group.roster.heads();
    assert!(group.roster.follows(&after, &before) && group.roster.follows(&after, &after));
    assert!(!group.roster.follows(&before, &after));
    assert!(!group.roster.follows(&[StatementId([8; 32])], &before));
    assert!(group.roster.knows(&after) && !group.roster.knows(&[StatementId([8; 32])]));
}

/// The shallowest are kept, then the smallest by hash: whatever came first.
#[test]
fn what_one_device_signs_is_bounded_and_the_same_is_kept_in_any_order() {
    let start = Replica::of("ada", &[("ben", Role::Member)]);
    let signer = device("ben");
    let unknown = |number: usize| Body::Unknown { kind: 99, bytes: number.to_be_bytes().to_vec() };
    let mut apart: Vec<Vec<u8>> = (0..STATEMENTS_PER_DEVICE_MAX + 3)
        .map(|n| start.roster.draft(Signer::Device(&signer), unknown(n)).unwrap().bytes().to_vec())
        .collect();
    let mut deeper = start.clone();
    deeper.roster.insert(&apart[0]);
    let deep = deeper.says("ben", unknown(usize::MAX));
    let mut follower = deeper.clone();
    let following = follower.says("ada", add("cem", Role::Member));

    let mut first = follower.clone();
    for bytes in &apart {
        first.roster.insert(bytes);
    }
    assert!(!first.roster.contains(&deep), "the deepest makes room");
    assert!(!first.roster.contains(&following), "with what follows it");
    let mut second = start.clone();
    apart.reverse();
    for bytes in &apart {
        second.roster.insert(bytes);
    }
    let inserted = second.roster.insert(deeper.roster.bytes(&deep).unwrap());
    assert_eq!(inserted, Inserted::Rejected(Rejection::DeviceFull));
    assert_eq!(first.roster.digest(), second.roster.digest());
    assert_eq!(first.roster.ids().count(), STATEMENTS_PER_DEVICE_MAX + 2);
    first.says("ada", add("dia", Role::Member));
    assert!(first.has("dia"), "who is not at the bound goes on");
}

/// What makes room takes others' statements with it, and so makes room for theirs: who was refused
/// before is taken when it is offered again, and all end with the same set.
#[test]
fn two_devices_at_their_bounds_end_with_the_same_set_once_all_was_offered_again() {
    let start = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    let unknown = |number: usize| Body::Unknown { kind: 99, bytes: number.to_be_bytes().to_vec() };
    let apart = |name: &str, count: usize| -> Vec<Statement> {
        let signer = device(name);
        (0..count).map(|n| start.roster.draft(Signer::Device(&signer), unknown(n)).unwrap()).collect()
    };
    let mut bens = apart("ben", STATEMENTS_PER_DEVICE_MAX + 1);
    bens.sort_by_key(Statement::id);
    let (smallest, greatest) = (bens.remove(0), bens.pop().unwrap());
    let cems = apart("cem", STATEMENTS_PER_DEVICE_MAX - 1);
    let mut follower = start.clone();
    follower.roster.add(greatest.clone());
    let follows = follower.says("cem", unknown(usize::MAX));
    let follows = follower.roster.statement(&follows).unwrap().clone();
    let mut deeper = start.clone();
    deeper.says("ada", unknown(1));
    deeper.says("ada", unknown(2));
    let deep = deeper.says("cem", unknown(usize::MAX));

    let mut one = deeper.clone();
    let (last, late) = (std::slice::from_ref(&greatest), std::slice::from_ref(&follows));
    for statement in [&bens[..], last, &cems, late].concat() {
        one.roster.add(statement);
    }
    assert!(!one.roster.contains(&deep), "cem's deepest made room");
    one.roster.add(smallest.clone());
    assert!(!one.roster.contains(&follows.id()), "it went with ben's greatest");
    let mut two = deeper.clone();
    for statement in [&[smallest], &bens[..], &cems].concat() {
        two.roster.add(statement);
    }
    assert_eq!(two.roster.add(greatest), Inserted::Rejected(Rejection::DeviceFull));
    assert!(matches!(two.roster.add(follows), Inserted::Waiting { .. }));
    assert_ne!(one.roster.digest(), two.roster.digest());
    one.hears(&two);
    assert_eq!(one.roster.digest(), two.roster.digest());
    assert!(one.roster.contains(&deep));
}
