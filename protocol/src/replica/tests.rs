//! Two logs with one client id, whoever comes first: the senior's counts, here and after a restart.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::command::{CommandId, Outcome, Reply};
use crate::envelope::TooLarge;
use crate::epoch::EpochKey;
use crate::identity::DeviceSecret;
use crate::ids::{EntityId, PersonId};
use crate::limits::{RECORD_BYTES_MAX, UNACCEPTED_ENVELOPES_MAX};
use crate::roster::Role;
use crate::schema::rights::Actor;
use crate::schema::{Put, core};

const DOCUMENT: DocumentKey = DocumentKey([1; 32]);

/// All logs have this client id.
fn one_for_all(_: &LogId) -> u64 {
    42
}

fn key() -> EpochKey {
    EpochKey::new([9; 32])
}

fn device(number: u8) -> DeviceSecret {
    DeviceSecret::from_seeds(&[number; 32], &[number; 32])
}

fn actor(number: u8) -> Actor {
    Actor { person: PersonId([number; 32]), role: Role::Member }
}

fn replica() -> Replica {
    let mut replica = Replica::new(EntityId([1; 32]), DOCUMENT, Concern::Core, 1);
    replica.client_of = one_for_all;
    replica.begin_loading();
    replica.end_loading();
    replica
}

/// The log of a person's device with so many names in it.
fn written(number: u8, names: &[&str]) -> Vec<Envelope> {
    let (mut replica, device) = (replica(), device(number));
    let mut random = ChaCha20Rng::from_seed([number; 32]);
    let mut envelopes = Vec::new();
    for name in names {
        let put = core::set_shown_name(&actor(number), name).unwrap();
        replica.edit(device.key(), Edits::Puts(vec![put]), Vec::new(), &mut random).unwrap();
        let epoch = (StatementId([2; 32]), &key());
        let sealed = replica.seal(&device, vec![StatementId([3; 32])], epoch, &mut random).unwrap().unwrap();
        replica.sealed();
        envelopes.push(sealed.envelope);
    }
    envelopes
}

/// The device of the smaller number is senior.
fn is_senior(log: &LogId, than: &LogId) -> bool {
    let place = |log: &LogId| (1..9).find(|number| device(*number).key() == log.device);
    place(log) < place(than)
}

fn author<'a>(envelope: &Envelope, key: &'a EpochKey) -> Author<'a> {
    let number = (1..9).find(|number| device(*number).key() == envelope.header.log.device).unwrap();
    Author { actor: actor(number), key, backdated: false }
}

/// Takes envelopes as a node does: what was taken is stored, and read again where need be.
fn take_all(replica: &mut Replica, envelopes: &[Envelope]) -> Vec<Envelope> {
    let (key, mut stored) = (key(), Vec::new());
    for envelope in envelopes {
        loop {
            match replica.take(envelope, author(envelope, &key), is_senior) {
                Judged::Applied(_) | Judged::Rejected(_) => break stored.push(envelope.clone()),
                Judged::Waits(Want::Document) => {
                    assert!(replica.is_stale());
                    replica.read_anew();
                    read(replica, &stored);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    stored
}

fn read(replica: &mut Replica, stored: &[Envelope]) {
    let key = key();
    assert!(replica.begin_loading());
    let mut passes = 0;
    loop {
        for envelope in stored {
            let author = Ok(Some(author(envelope, &key)));
            let is_mine = envelope.header.log.device == device(2).key();
            replica.restore(Stored { envelope: envelope.clone(), author, is_mine }, is_senior);
        }
        passes += 1;
        assert!(passes < 5, "reading ends");
        if !replica.end_pass(|_| None) {
            break;
        }
    }
    replica.end_loading();
}

fn names(replica: &Replica) -> Vec<String> {
    let live = replica.live().unwrap();
    core::shown_names(&live.document).into_iter().map(|(_, name)| name).collect()
}

#[test]
fn of_two_logs_with_one_client_id_the_seniors_counts_whatever_came_first() {
    let (senior, junior) = (written(1, &["senior", "senior still"]), written(2, &["junior", "junior still"]));
    let orders = [
        [&senior[..], &junior].concat(),
        [&junior[..], &senior].concat(),
        vec![junior[0].clone(), senior[0].clone(), junior[1].clone(), senior[1].clone()],
    ];
    let mut digests = BTreeSet::new();
    for order in orders {
        let mut replica = replica();
        let stored = take_all(&mut replica, &order);
        assert_eq!(stored.len(), 4);
        assert_eq!(names(&replica), ["senior still"]);
        digests.insert((replica.heads.digest(), replica.live().unwrap().content_digest()));

        let mut restarted = super::tests::replica();
        restarted.read_anew();
        read(&mut restarted, &stored);
        digests.insert((restarted.heads.digest(), restarted.live().unwrap().content_digest()));
    }
    assert_eq!(digests.len(), 1);
}

#[test]
fn who_builds_on_its_own_envelope_not_knowing_that_it_is_void_is_not_accused() {
    let envelopes = written(1, &["before the demotion", "after it"]);
    let (key, mut replica) = (key(), replica());
    let writes_as = |role| Author { actor: Actor { role, ..actor(1) }, key: &key, backdated: false };
    let first = replica.take(&envelopes[0], writes_as(Role::Viewer), is_senior);
    assert!(matches!(first, Judged::Rejected(Void::Denied(_))), "{first:?}");
    let second = replica.take(&envelopes[1], writes_as(Role::Member), is_senior);
    assert_eq!(second, Judged::Rejected(Void::Unfounded));
    assert_eq!(Void::Unfounded.fault(), None);
}

#[test]
fn what_stood_in_a_log_whose_client_id_is_a_seniors_is_written_anew_once() {
    let (senior, junior) = (written(1, &["senior"]), written(2, &["before", "junior"]));
    let mut replica = replica();
    read_cold(&mut replica, &[&junior[..], &senior].concat());
    let keys = BTreeMap::from([(StatementId([2; 32]), key())]);
    let owner = actor(2).owner();
    let lost = replica.take_lost(&keys, owner);
    let put = core::set_shown_name(&actor(2), "junior").unwrap();
    assert_eq!(puts_of(&lost), [put], "the last value under each key");
    assert!(!lost.more);
    assert!(replica.take_rewritten().is_some());
    read_cold(&mut replica, &[&junior[..], &senior].concat());
    assert!(replica.take_lost(&keys, owner).edits.is_empty(), "once");
    replica.count_unaccepted();
    assert_eq!(replica.unaccepted, Some(0));
}

fn puts_of(lost: &Lost) -> Vec<Put> {
    let puts = lost.edits.iter().flat_map(|edits| match edits {
        Edits::Puts(puts) => puts.clone(),
        other => panic!("{other:?}"),
    });
    puts.collect()
}

fn read_cold(replica: &mut Replica, stored: &[Envelope]) {
    replica.read_anew();
    read(replica, stored);
}

#[test]
fn more_that_was_lost_than_fits_is_written_anew_in_two_readings() {
    let names: Vec<String> = (0..=UNACCEPTED_ENVELOPES_MAX).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stored = [&written(2, &names)[..], &written(1, &["senior"])].concat();
    let mut replica = replica();
    let keys = BTreeMap::from([(StatementId([2; 32]), key())]);
    let owner = actor(2).owner();
    let fits = UNACCEPTED_ENVELOPES_MAX - 1;
    for (last, more) in [(fits, true), (fits + 1, false)] {
        read_cold(&mut replica, &stored);
        let lost = replica.take_lost(&keys, owner);
        assert_eq!(puts_of(&lost), [core::set_shown_name(&actor(2), names[last]).unwrap()]);
        assert_eq!(lost.more, more);
        assert!(replica.take_rewritten().is_some());
    }
    read_cold(&mut replica, &stored);
    assert!(replica.take_lost(&keys, owner).edits.is_empty(), "once");
}

#[test]
fn edits_that_no_envelope_can_carry_are_not_forgotten_by_trying() {
    let (mut replica, device) = (replica(), device(1));
    let mut random = ChaCha20Rng::from_seed([1; 32]);
    // Noise does not pack, so three of the largest records are more than an envelope may be.
    let mut noise = || {
        let mut value = vec![0; RECORD_BYTES_MAX];
        random.fill_bytes(&mut value);
        value
    };
    let puts = ["a", "b", "c"].map(|name| Put { root: "names", key: name.to_owned(), value: noise() });
    let answers = vec![(CommandId(7), Outcome::Done(Reply::Ok))];
    replica.edit(device.key(), Edits::Puts(puts.to_vec()), answers, &mut random).unwrap();
    let epoch = (StatementId([2; 32]), &key());
    let sealed = replica.seal(&device, vec![StatementId([3; 32])], epoch, &mut random);
    assert_eq!(sealed.err(), Some(TooLarge));
    assert!(!replica.is_sealed() && replica.heads.is_empty());
    assert_eq!(replica.forget(), [CommandId(7)], "whoever asked can still be told");
}
