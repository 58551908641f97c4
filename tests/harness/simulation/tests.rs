//! What the checkers see: rules are broken on purpose, and must be found.
//!
//! Those that only a wrong machine breaks have their bugs in `tests/planted`. Here the machines are
//! right and what the schedule believes of its world is not, which to a checker looks the same.

use fourword_protocol::command::{At, BoardCommand, ChatCommand, Command, IssueCommand};
use fourword_protocol::ids::EnvelopeHash;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::MessageId;

use super::profile::Profile;
use super::schedule::Schedule;
use super::things;
use super::verdict::{Rule, Violation};
use super::world::{Intent, What};

/// A group in which a message was written that all have.
fn calm() -> Schedule {
    let mut schedule = Schedule::new(5, Profile::Harsh);
    schedule.found().unwrap();
    write(&mut schedule);
    schedule.run_for(5_000).unwrap();
    schedule
}

/// What Ada writes next.
fn message(schedule: &mut Schedule) -> (Command, Intent) {
    let text = schedule.world.new_text(0, 0, 0);
    let send = ChatCommand::say(text.clone(), None);
    (Command::Chat(schedule.world.groups[0].words, send), Intent::send(0, text))
}

/// Ada writes a message, which is saved.
fn write(schedule: &mut Schedule) {
    let (command, intent) = message(schedule);
    schedule.must("ada", command, intent).unwrap();
}

/// Ada reacts to the message, so that every node shows its chat anew.
fn react(schedule: &mut Schedule) -> Result<(), Violation> {
    let (words, message) = (schedule.world.groups[0].words, *schedule.world.saved.keys().next().unwrap());
    let react = ChatCommand::React { message, emoji: "ok".into(), on: true };
    schedule.must("ada", Command::Chat(words, react), Intent::Other("reactions"))?;
    schedule.run_for(5_000)
}

fn rule(result: Result<(), Violation>) -> Option<Rule> {
    result.err().map(|violation| violation.rule)
}

#[test]
fn a_calm_world_breaks_no_rule_and_settles() {
    let mut schedule = calm();
    assert_eq!(react(&mut schedule), Ok(()));
    assert_eq!(schedule.finish(), Ok(()));
}

#[test]
fn a_message_shown_of_another_than_its_author_is_found() {
    let mut schedule = calm();
    schedule.world.texts.values_mut().for_each(|text| text.author = 1);
    assert_eq!(rule(react(&mut schedule)), Some(Rule::AuthorIsTrue));
}

#[test]
fn a_forged_message_that_is_shown_is_found() {
    let mut schedule = calm();
    schedule.world.texts.values_mut().for_each(|text| text.forged = true);
    assert_eq!(rule(react(&mut schedule)), Some(Rule::AuthorIsTrue));
}

#[test]
fn a_promise_that_no_disk_holds_is_found_at_the_restart_and_at_the_end() {
    let mut schedule = calm();
    schedule.world.saved.values_mut().for_each(|saved| saved.promise.sequence += 100);
    let Schedule { checker, c, world, .. } = &mut schedule;
    assert_eq!(rule(checker.restarts(c, world, "ada")), Some(Rule::SavedIsDurable));
}

#[test]
fn a_message_that_was_saved_and_is_shown_to_nobody_is_found_at_the_end() {
    let mut schedule = calm();
    // Another one that Ben is thought to have written, in the same envelope.
    let (id, saved) = schedule.world.saved.iter().next().map(|(id, saved)| (*id, saved.clone())).unwrap();
    let lost = MessageId { random: [9; 8], ..id };
    schedule.world.saved.insert(lost, saved);
    assert_eq!(rule(schedule.finish()), Some(Rule::SavedIsShown));
}

#[test]
fn a_message_that_was_deleted_and_is_shown_is_found_at_the_end() {
    let mut schedule = calm();
    let (id, saved) = schedule.world.saved.iter().next().map(|(id, saved)| (*id, saved.clone())).unwrap();
    schedule.world.deleted.insert(id, vec![saved.promise]);
    assert_eq!(rule(schedule.finish()), Some(Rule::DeletedStaysDeleted));
}

#[test]
fn a_role_that_nobody_gave_is_found() {
    let mut schedule = calm();
    for roles in schedule.world.groups[0].given.values_mut() {
        roles.remove(&Role::Member);
    }
    schedule.crash("ada", 0);
    schedule.raise(true).unwrap();
    assert_eq!(rule(schedule.run_for(5_000)), Some(Rule::RoleIsGiven));
}

#[test]
fn who_founded_a_group_and_is_no_member_is_found() {
    let mut schedule = calm();
    let late = schedule.add_person("late").unwrap();
    schedule.world.groups[0].founder = late;
    schedule.crash("ada", 0);
    schedule.raise(true).unwrap();
    assert_eq!(rule(schedule.run_for(5_000)), Some(Rule::SeniorStays));
}

#[test]
fn a_command_that_is_never_answered_is_found() {
    let mut schedule = calm();
    let id = schedule.begin("ada", Command::Status, Intent::Other("questions"));
    schedule.run_for(1_000).unwrap();
    schedule.world.asked.insert(("ada".into(), id), Intent::Edit);
    assert_eq!(rule(schedule.finish()), Some(Rule::EveryAskerIsAnswered));
}

#[test]
fn a_write_in_a_settled_world_is_found() {
    let mut schedule = calm();
    schedule.finish().unwrap();
    let (command, _) = message(&mut schedule);
    schedule.c.begin("ada", command);
    assert_eq!(rule(schedule.hear_nothing()), Some(Rule::SettledIsQuiet));
}

#[test]
fn nodes_that_never_meet_again_are_found_not_to_settle() {
    let mut schedule = calm();
    schedule.c.isolate("ben");
    write(&mut schedule);
    assert_eq!(rule(schedule.settle()), Some(Rule::StatusSettles));
}

#[test]
fn members_who_show_other_chats_are_found_at_the_end() {
    let mut schedule = calm();
    schedule.c.isolate("ben");
    write(&mut schedule);
    assert_eq!(rule(schedule.look_at_end()), Some(Rule::AllAgree));
}

#[test]
fn something_called_saved_on_a_disk_that_failed_is_found() {
    let mut schedule = calm();
    let (command, intent) = message(&mut schedule);
    schedule.begin("ada", command, intent);
    schedule.c.node_mut("ada").disk.failed = true;
    assert_eq!(rule(schedule.run_for(5_000)), Some(Rule::ReadOnlyAfterFailure));
}

#[test]
fn a_card_that_shows_twice_and_one_of_another_maker_are_found() {
    let mut schedule = Schedule::new(6, Profile::Busy);
    schedule.found().unwrap();
    let words = schedule.world.groups[0].words;
    let title = schedule.world.new_text(0, 0, 0);
    let add = BoardCommand::AddColumn { title: title.clone(), limit: 0, at: At::Last };
    let intent = Intent::Make { group: 0, what: What::Column, text: title };
    schedule.must("ada", Command::Board(words, add), intent).unwrap();
    let title = schedule.world.new_text(0, 0, 0);
    let column = schedule.world.saved.keys().next().unwrap().to_string();
    let (at, changes) = (At::Last, Vec::new());
    let add = BoardCommand::AddCard { title: title.clone(), column, at, changes, over: false };
    let intent = Intent::Make { group: 0, what: What::Card, text: title };
    schedule.must("ada", Command::Board(words, add), intent).unwrap();
    schedule.run_for(5_000).unwrap();
    let shown = things::things(&mut schedule.c, &schedule.world, "ben", 0);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(things::judge(&schedule.world, "ben", 0, &shown), Ok(()));
    let twice = [shown.clone(), shown.clone()].concat();
    assert_eq!(rule(things::judge(&schedule.world, "ben", 0, &twice)), Some(Rule::CardIsOnce));
    for saved in schedule.world.saved.values_mut() {
        (saved.author, saved.promise.node) = (1, "ben".into());
    }
    assert_eq!(rule(things::judge(&schedule.world, "ben", 0, &shown)), Some(Rule::AuthorIsTrue));
}

#[test]
fn a_card_that_was_deleted_and_is_shown_again_is_found() {
    let mut schedule = Schedule::new(6, Profile::Busy);
    schedule.found().unwrap();
    let words = schedule.world.groups[0].words;
    let text = schedule.world.new_text(0, 0, 0);
    let add = IssueCommand::Add { title: text.clone(), changes: Vec::new() };
    let intent = Intent::Make { group: 0, what: What::Issue, text };
    schedule.must("ada", Command::Issue(words, add), intent).unwrap();
    schedule.run_for(5_000).unwrap();
    let (id, saved) = schedule.world.saved.iter().next().map(|(id, saved)| (*id, saved.clone())).unwrap();
    schedule.world.deleted.insert(id, vec![saved.promise]);
    assert_eq!(rule(schedule.finish()), Some(Rule::DeletedStaysDeleted));
}

#[test]
fn two_envelopes_of_one_honest_device_at_one_place_are_found() {
    let mut schedule = calm();
    let promise = schedule.world.saved.values().next().unwrap().promise.clone();
    for ahead in 1..9 {
        let place = (promise.log, promise.sequence + ahead);
        schedule.checker.written.insert(place, EnvelopeHash([7; 32]));
    }
    assert_eq!(rule(react(&mut schedule)), Some(Rule::NoHonestFork));
}
