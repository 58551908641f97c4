//! Who is awaited, what is stable by that, and what an acknowledgement may say.

use std::collections::BTreeSet;

use super::*;
use crate::ids::{EnvelopeHash, Incarnation, LogHead};
use crate::schema::chat::MessageId;

const OF: (EntityId, DocumentKey) = (EntityId([1; 32]), DocumentKey([2; 32]));
const DAY: Duration = Duration(86_400_000);

fn secret(n: u8) -> DeviceSecret {
    DeviceSecret::from_seeds(&[n; 32], &[n; 32])
}

fn log(n: u8) -> LogId {
    LogId { document: OF.1, device: secret(n).key(), incarnation: Incarnation(0) }
}

fn ack(of: u8, number: u64, positions: &[(u8, u64)]) -> Acknowledgement {
    let positions = positions.iter().map(|(of, held)| (log(*of), *held)).collect();
    Acknowledgement::sign(OF, number, false, Vec::new(), positions, &secret(of))
}

/// One tombstone, flagged by these envelopes.
fn tombstones(flags: &[(u8, u64)]) -> Tombstones {
    let id = MessageId { owner: [0; 16], random: [0; 8] };
    let mut tombstones = Tombstones::default();
    for (of, sequence) in flags {
        tombstones.note(id, Flag { log: log(*of), sequence: *sequence });
    }
    tombstones
}

fn of(tombstones: &Tombstones) -> (&Tombstones, Wanted) {
    (tombstones, Wanted { all: false, anew: false, heads: Vec::new() })
}

struct Node {
    stability: Stability,
    tombstones: Tombstones,
    members: BTreeSet<DeviceKey>,
}

impl Node {
    /// The node of device 1 in a group of these devices.
    fn new(members: &[u8], flags: &[(u8, u64)]) -> Node {
        let members = members.iter().map(|n| secret(*n).key()).collect();
        Node { stability: Stability::default(), tombstones: tombstones(flags), members }
    }

    fn take(&mut self, ack: Acknowledgement, at: Duration) {
        self.stability.take(ack, |_| true, WallTime(at.0));
    }

    /// Whether the tombstone is stable at that time.
    fn is_stable(&mut self, at: Duration) -> bool {
        let me = secret(1).key();
        self.stability.look(
            (&me, &self.members),
            (&self.tombstones, None),
            Duration(30 * DAY.0),
            WallTime(at.0),
        );
        !self.tombstones.stable(self.stability.frontier()).is_empty()
    }

    fn awaited(&self, n: u8, at: Duration) -> Awaited {
        self.stability.awaited(&secret(n).key(), Duration(30 * DAY.0), WallTime(at.0))
    }
}

#[test]
fn a_flag_is_stable_once_every_member_has_acknowledged_it_and_not_before() {
    let mut node = Node::new(&[1, 2, 3], &[(2, 5)]);
    node.take(ack(1, 1, &[(2, 5)]), DAY);
    node.take(ack(2, 1, &[(2, 9)]), DAY);
    assert!(!node.is_stable(DAY));
    assert_eq!((node.awaited(2, DAY), node.awaited(3, DAY)), (Awaited::No, Awaited::Since(WallTime(DAY.0))));
    node.take(ack(3, 1, &[(2, 4)]), DAY);
    assert!(!node.is_stable(DAY));
    node.take(ack(3, 2, &[(2, 5)]), DAY);
    assert!(node.is_stable(DAY));
}

#[test]
fn one_flag_of_several_suffices_if_everybody_has_that_one() {
    let mut node = Node::new(&[1, 2], &[(1, 3), (2, 5)]);
    node.take(ack(1, 1, &[(1, 3), (2, 4)]), DAY);
    node.take(ack(2, 1, &[(1, 2), (2, 5)]), DAY);
    assert!(!node.is_stable(DAY), "each has one of the two, and nobody both");
    node.take(ack(2, 2, &[(1, 3), (2, 5)]), DAY);
    assert!(node.is_stable(DAY));
}

#[test]
fn neither_an_acknowledgement_nor_the_frontier_goes_back() {
    let mut node = Node::new(&[1, 2], &[(2, 5)]);
    node.take(ack(1, 1, &[(1, 7), (2, 5)]), DAY);
    node.take(ack(2, 1, &[(1, 7), (2, 5)]), DAY);
    assert!(node.is_stable(DAY));
    node.take(ack(2, 2, &[(1, 1)]), DAY);
    assert!(node.is_stable(DAY), "what was said once is joined");
    node.members.insert(secret(3).key());
    assert!(node.is_stable(DAY), "a newcomer that has nothing takes nothing back");
}

#[test]
fn a_device_that_stays_silent_lapses_after_the_days_and_is_awaited_anew_once_it_speaks() {
    let mut node = Node::new(&[1, 2, 3], &[(2, 5)]);
    node.take(ack(1, 1, &[(2, 5)]), DAY);
    node.take(ack(2, 1, &[(2, 5)]), DAY);
    assert!(!node.is_stable(DAY));
    // It moves after ten days, so it has thirty more from then on.
    node.take(ack(3, 1, &[(2, 1)]), Duration(11 * DAY.0));
    for (day, lapsed) in [(31, false), (40, false), (41, true)] {
        let at = Duration(day * DAY.0);
        assert_eq!(node.is_stable(at), lapsed, "day {day}");
        assert_eq!(matches!(node.awaited(3, at), Awaited::Lapsed(_)), lapsed, "day {day}");
    }
    let (day, lapse) = (Duration(42 * DAY.0), Duration(30 * DAY.0));
    node.stability.rest(lapse, WallTime(day.0));
    assert!(matches!(node.awaited(3, day), Awaited::Lapsed(_)), "also of what is deleted later");
    node.take(ack(3, 2, &[(2, 2)]), day);
    assert_eq!(node.awaited(3, Duration(42 * DAY.0)), Awaited::Since(WallTime(42 * DAY.0)));
}

#[test]
fn an_acknowledgement_that_says_nothing_new_does_not_keep_its_device_from_lapsing() {
    let mut node = Node::new(&[1, 2], &[(1, 5)]);
    node.take(ack(1, 1, &[(1, 5)]), DAY);
    node.take(ack(2, 1, &[(1, 4)]), DAY);
    assert!(!node.is_stable(DAY));
    for day in 2..40 {
        node.take(ack(2, day, &[(1, 4)]), Duration(day * DAY.0));
    }
    assert!(node.is_stable(Duration(40 * DAY.0)));
}

#[test]
fn a_device_that_keeps_the_document_no_longer_is_not_awaited_until_it_does_again() {
    let mut node = Node::new(&[1, 2], &[(1, 5)]);
    node.take(ack(1, 1, &[(1, 5)]), DAY);
    node.take(Acknowledgement::sign(OF, 1, true, Vec::new(), Positions::new(), &secret(2)), DAY);
    assert!(node.is_stable(DAY));
    let mut node = Node::new(&[1, 2], &[(1, 5)]);
    node.take(ack(1, 1, &[(1, 5)]), DAY);
    node.take(Acknowledgement::sign(OF, 1, true, Vec::new(), Positions::new(), &secret(2)), DAY);
    node.take(ack(2, 2, &[]), DAY);
    assert!(!node.is_stable(DAY));
}

#[test]
fn an_acknowledgement_is_made_once_for_what_waits_and_at_most_one_a_second() {
    let mut node = Node::new(&[1, 2], &[(2, 5)]);
    let waiting = Waiting::default();
    let head = |sequence| LogHead { sequence, hash: EnvelopeHash([0; 32]) };
    let mut heads = Heads::default();
    heads.set(log(2), head(5));
    let (me, now) = (secret(1), Instant(5_000));
    let make = |node: &mut Node, heads: &Heads, now| {
        node.stability.make(OF, &me, (heads, &waiting), of(&node.tombstones), now)
    };
    let first = make(&mut node, &heads, now).unwrap().unwrap();
    assert_eq!((first.number, first.positions.clone()), (1, Positions::from([(log(2), 5)])));
    assert!(first.is_signed());
    assert_eq!(make(&mut node, &heads, now), Ok(None), "one is on its way to the disk");
    assert_eq!(node.stability.acks().count(), 0, "and is not told before it is there");
    node.stability.made(|_| true, WallTime(0));
    assert_eq!(make(&mut node, &heads, now), Ok(None), "it reaches all that waits");
    heads.set(log(2), head(6));
    node.tombstones = tombstones(&[(2, 6)]);
    assert_eq!(make(&mut node, &heads, now), Err(Instant(6_000)));
    assert_eq!(make(&mut node, &heads, Instant(6_000)).unwrap().map(|ack| ack.number), Some(2));
}

#[test]
fn a_home_that_is_an_older_copy_goes_on_above_the_numbers_that_others_know() {
    let mut node = Node::new(&[1], &[(1, 1)]);
    node.stability.saw_own(&ack(1, 40, &[]));
    let mut heads = Heads::default();
    heads.set(log(1), LogHead { sequence: 1, hash: EnvelopeHash([0; 32]) });
    let made =
        node.stability.make(OF, &secret(1), (&heads, &Waiting::default()), of(&node.tombstones), Instant(0));
    assert_eq!(made.unwrap().map(|ack| ack.number), Some(41));
}

#[test]
fn of_more_logs_than_fit_those_are_named_in_which_flags_wait() {
    let mut heads = Heads::default();
    for n in 0..=ACK_LOGS_MAX as u64 {
        let log = LogId { incarnation: Incarnation(n), ..log(0) };
        heads.set(log, LogHead { sequence: 3, hash: EnvelopeHash([0; 32]) });
    }
    heads.set(log(9), LogHead { sequence: 3, hash: EnvelopeHash([0; 32]) });
    let mut node = Node::new(&[1], &[(9, 3)]);
    let made =
        node.stability.make(OF, &secret(1), (&heads, &Waiting::default()), of(&node.tombstones), Instant(0));
    let positions = made.unwrap().unwrap().positions;
    assert_eq!((positions.len(), positions.get(&log(9))), (ACK_LOGS_MAX, Some(&3)));
}

#[test]
fn another_device_is_heard_so_often_and_no_more() {
    let mut node = Node::new(&[1, 2], &[]);
    node.take(ack(2, 1, &[]), DAY);
    let taken = (0..100).filter(|_| node.stability.may_take(&secret(2).key(), Instant(0))).count();
    assert_eq!(taken as u64, TAKEN_BURST);
}

fn stop(of: u8, number: u64) -> Acknowledgement {
    Acknowledgement::sign(OF, number, true, Vec::new(), Positions::new(), &secret(of))
}

#[test]
fn who_stops_holds_nothing_and_who_begins_again_is_awaited_from_the_beginning() {
    let mut node = Node::new(&[1, 2], &[(1, 1)]);
    node.take(ack(1, 1, &[(1, 1)]), Duration(0));
    node.take(ack(2, 1, &[(1, 1)]), Duration(0));
    node.take(stop(2, 2), Duration(0));
    assert!(!node.stability.has(&secret(2).key(), &[Flag { log: log(1), sequence: 1 }]));
    assert!(node.is_stable(Duration(1)), "it is not waited for");
    let mut other = Node::new(&[1, 2], &[(1, 1)]);
    other.take(ack(1, 1, &[(1, 1)]), Duration(0));
    other.take(stop(2, 2), Duration(0));
    other.take(ack(2, 3, &[]), Duration(0));
    assert!(!other.is_stable(Duration(1)), "what it held before it stopped is not there any more");
    other.take(ack(2, 4, &[(1, 1)]), Duration(0));
    assert!(other.is_stable(Duration(1)));
}

#[test]
fn who_hears_that_it_had_stopped_says_above_that_number_that_it_has_not() {
    let mut node = Node::new(&[1], &[]);
    node.take(ack(1, 1, &[(1, 1)]), Duration(0));
    assert_eq!(node.stability.say_kept(OF, &secret(1), Vec::new(), Instant(0)), Ok(None));
    node.stability.saw_own(&stop(1, 7));
    assert!(node.stability.is_misheard());
    let made = node.stability.say_kept(OF, &secret(1), Vec::new(), Instant(0)).unwrap().unwrap();
    assert_eq!((made.number, made.stops, made.positions.len()), (8, false, 1), "it says what it held");
    node.stability.made(|_| true, WallTime(0));
    assert!(!node.stability.is_misheard());
    node.stability.saw_own(&stop(1, 9));
    let soon = node.stability.say_kept(OF, &secret(1), Vec::new(), Instant(1));
    assert_eq!(
        soon,
        Err(Instant(10_000)),
        "two homes of one device do not contradict each other without end"
    );
}
