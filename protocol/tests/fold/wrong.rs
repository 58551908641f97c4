//! Each promise finds the fault in a reading that was made wrong by hand.
//!
//! The promises would be worth little if nothing could break them. A reading is changed here as a
//! fault in the fold would change it; that a fault in the fold itself is found as well was tried
//! rule by rule, see docs/SECURITY.md.

use fourword_protocol::ids::StatementId;
use fourword_protocol::roster::fact::Act;
use fourword_protocol::roster::reading::Cut;
use fourword_protocol::roster::{Reason, Role};

use super::foundings::foundings;
use super::promises::{holds_alone, holds_between, holds_in_another_order};
use super::set::{Before, Set, head, key, log, newcomer, person, vectors};

fn founding(name: &str) -> Set {
    foundings().into_iter().find(|(of, ..)| of == name).unwrap().1
}

/// A founding that holds, and what is found once its reading was changed.
fn found(name: &str, change: impl Fn(&mut Set)) -> Result<(), &'static str> {
    let mut set = founding(name);
    assert_eq!(holds_alone(&set), Ok(()), "{name} is a good reading");
    change(&mut set);
    set.look_again();
    holds_alone(&set)
}

fn revive(set: &mut Set, at: usize) {
    let id = set.id(at);
    set.reading.ignored.remove(&id);
}

fn ignore(set: &mut Set, at: usize, why: Reason) {
    let id = set.id(at);
    set.reading.ignored.insert(id, why);
}

fn cut(set: &mut Set, member: usize, cut: Cut) {
    let id = set.id(member);
    set.reading.cuts.insert(id, cut);
}

/// A step, the reading after it changed, and what is found.
fn found_between(set: Set, speaker: &str, act: Act, change: impl Fn(&mut Set)) -> Result<(), &'static str> {
    let before = Before { reading: set.reading.clone(), counts: set.counts };
    let mut after = set.then(speaker, |_| act.clone());
    assert_eq!(holds_between(&before, &after), Ok(()));
    change(&mut after);
    after.look_again();
    holds_between(&before, &after)
}

#[test]
fn who_is_removed_and_still_shown_is_found() {
    let found = found("one removed", |set| set.reading.cuts.clear());
    assert_eq!(found, Err("the removed did not stay removed"));
}

#[test]
fn a_senior_who_is_ended_by_nobody_is_found() {
    assert_eq!(found("a chain", |set| cut(set, 1, Cut::new())), Err("a senior did not stand"));
}

#[test]
fn a_member_whose_adder_does_not_count_is_found() {
    let found = found("a chain", |set| ignore(set, 2, Reason::NoRight));
    assert_eq!(found, Err("a member's chain of adders is broken"));
}

#[test]
fn a_role_above_the_granters_is_found() {
    let set = founding("siblings").then("c", |_| Act::SetRole(person('b'), Role::Owner, Vec::new()));
    let mut raised = set.clone();
    revive(&mut raised, 4);
    raised.look_again();
    assert_eq!(holds_alone(&set), Ok(()));
    assert_eq!(holds_alone(&raised), Err("a role above its granter's was granted"));
}

#[test]
fn a_late_statement_that_counts_is_found() {
    let late = |speaker: &str, name: &str, knowing: &[usize]| {
        let mut set = founding(name).then_knowing(speaker, knowing, |_| Act::Unknown);
        assert_eq!(holds_alone(&set), Ok(()));
        let last = set.lines.len() - 1;
        revive(&mut set, last);
        set.look_again();
        holds_alone(&set)
    };
    assert_eq!(late("b", "one removed", &[2]), Err("a late statement of somebody removed counts"));
    assert_eq!(late("a1", "revoked", &[2]), Err("a late statement of a revoked device counts"));
    assert_eq!(late("o", "orphans", &[2]), Err("a late statement of somebody who left counts"));
}

#[test]
fn a_guest_of_a_closed_invite_is_found() {
    let closed = founding("an invite").then("o", |set| Act::CloseInvite(set.id(2)));
    let invite = closed.id(2);
    let guest = newcomer('c');
    let mut set = closed.then_knowing("b", &[3], |_| Act::AcceptInvite(guest, invite));
    assert_eq!(holds_alone(&set), Ok(()));
    revive(&mut set, 5);
    set.look_again();
    assert_eq!(holds_alone(&set), Err("a closed invite let somebody in"));
}

#[test]
fn a_group_that_nobody_rules_is_found() {
    let found = found("orphans", |set| {
        set.reading.members.values_mut().for_each(|member| member.role = Role::Member);
    });
    assert_eq!(found, Err("nobody rules"));
}

#[test]
fn an_epoch_whose_author_missed_an_ending_is_found() {
    let epochs = founding("epochs apart");
    assert!(epochs.reading.epoch.is_some());
    let apart = epochs.then_knowing("a", &[1], |_| Act::Add(newcomer('b'), Role::Member));
    let mut set = apart.then("o", |_| Act::Remove(person('b'), Vec::new()));
    assert_eq!((holds_alone(&set), set.reading.epoch), (Ok(()), None));
    set.reading.epoch = Some(set.id(3));
    assert_eq!(holds_alone(&set), Err("the epoch is not the greatest that fits"));
}

#[test]
fn an_epoch_that_an_outsider_holds_is_found() {
    let mut set = founding("an epoch").then("o", |_| Act::Remove(person('b'), Vec::new()));
    assert_eq!((holds_alone(&set), set.reading.epoch), (Ok(()), None));
    set.reading.epoch = Some(set.id(3));
    assert_eq!(holds_alone(&set), Err("an outsider holds the epoch that is written under"));
    let none = found("an epoch", |set| set.reading.epoch = None);
    assert_eq!(none, Err("the epoch is not the greatest that fits"));
}

#[test]
fn a_verdict_without_a_reason_is_found() {
    let not = found("siblings", |set| ignore(set, 3, Reason::NoRight));
    assert_eq!(not, Err("a member's chain of adders is broken"));
    let not = found("an epoch", |set| ignore(set, 3, Reason::NoRight));
    assert_eq!(not, Err("what must count does not"));
    let wrong = found("mutual removal", |set| ignore(set, 4, Reason::NoRight));
    assert_eq!(wrong, Err("a wrong reason is given"));
}

#[test]
fn a_member_shown_with_a_wrong_role_or_key_is_found() {
    let wrong = Err("somebody is shown as what it is not");
    let raise = |set: &mut Set| set.reading.members.get_mut(&person('c')).unwrap().role = Role::Admin;
    assert_eq!(found("siblings", raise), wrong);
    let lose = |set: &mut Set| set.reading.members.get_mut(&person('a')).unwrap().devices.clear();
    assert_eq!(found("devices", lose), wrong);
    let hide = |set: &mut Set| {
        set.reading.members.remove(&person('c'));
    };
    assert_eq!(found("siblings", hide), wrong);
}

#[test]
fn a_cut_that_lies_elsewhere_is_found() {
    let further = Cut::from([(log(key('b')), head(9, 0))]);
    assert_eq!(
        found("one removed", |set| cut(set, 2, further.clone())),
        Err("a cut is not where it must be")
    );
}

#[test]
fn a_junior_who_changes_a_senior_is_found() {
    let act = Act::Remove(person('a'), Vec::new());
    let ended = found_between(founding("siblings"), "c", act.clone(), |set| cut(set, 1, Cut::new()));
    assert_eq!(ended, Err("a junior ended or brought back a senior"));
    let unsaid = found_between(founding("siblings"), "c", act, |set| ignore(set, 2, Reason::NoRight));
    assert_eq!(unsaid, Err("a junior changed what a senior said"));
}

#[test]
fn the_dead_who_come_back_are_found() {
    let revived = found_between(founding("mutual removal"), "o", Act::Unknown, |set| revive(set, 4));
    assert_eq!(revived, Err("the dead came back without a senior's act"));
    let revived = found_between(founding("one removed"), "o", Act::Unknown, |set| set.reading.cuts.clear());
    assert_eq!(revived, Err("a membership revived though nothing was undone"));
}

#[test]
fn a_report_that_shortens_a_cut_or_decides_who_is_in_is_found() {
    let removal: StatementId = founding("one removed").id(3);
    let report = || Act::Held(removal, vectors(key('b'), 5));
    let shorter = Cut::from([(log(key('b')), head(0, 0))]);
    let found = found_between(founding("one removed"), "a", report(), |set| cut(set, 2, shorter.clone()));
    assert_eq!(found, Err("a report made a cut shorter"));
    let found = found_between(founding("one removed"), "a", report(), |set| {
        set.reading.members.get_mut(&person('a')).unwrap().role = Role::Owner;
    });
    assert_eq!(found, Err("a report decided who is a member"));
}

#[test]
fn an_act_without_right_that_changes_something_is_found() {
    let act = Act::SetRole(person('b'), Role::Viewer, Vec::new());
    let found = found_between(founding("siblings"), "c", act, |set| {
        set.reading.members.get_mut(&person('b')).unwrap().role = Role::Viewer;
    });
    assert_eq!(found, Err("what does not count changed the result"));
}

#[test]
fn a_reading_that_depends_on_the_order_is_found() {
    let mut set = founding("siblings");
    set.reading.epoch = Some(set.id(0));
    assert_eq!(holds_in_another_order(&set), Err("another order gave another reading"));
}
