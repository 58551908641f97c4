//! Whatever people do to a board, each of its versions shows what was shown when it was the last.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    At, BoardCommand, Change, ChangeView, Command, CommentCommand, DifferenceView, FieldView,
};
use fourword_protocol::limits::TOLD_VERSIONS_MAX;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::history::{BOARD, THREE, card, compared, versions, workshop};

/// Does something to a board, whatever can be done.
fn act(c: &mut Cluster, by: &str, group: FourWords, cards: &mut Vec<ThingId>, random: &mut ChaCha20Rng) {
    let one = |random: &mut ChaCha20Rng| cards[random.next_u32() as usize % cards.len()];
    let number = random.next_u32();
    let command = match number % 7 {
        0 | 1 => return cards.push(card(c, by, group, &format!("card {number}"))),
        2 => {
            let changes = vec![Change::Field("title".into(), Value::Text(format!("title {number}")))];
            BoardCommand::SetCard(one(random).short(), changes)
        }
        3 => {
            let column = if number.is_multiple_of(2) { "todo" } else { "done" };
            let card = one(random).short();
            BoardCommand::MoveCard { card, column: column.into(), at: At::First, over: true }
        }
        4 => {
            BoardCommand::SetCard(one(random).short(), vec![Change::Label(format!("l{}", number % 3), true)])
        }
        5 => BoardCommand::Comment(CommentCommand::Add {
            about: one(random).short(),
            text: format!("{number}"),
        }),
        _ => BoardCommand::DeleteCard(one(random).short()),
    };
    // What was deleted, or is another's, is not changed.
    c.ask(by, Command::Board(group, command));
}

/// What a board showed, without what is gone by now, and without how many stood before it.
fn comparable(all: Vec<DifferenceView>, gone: &BTreeSet<ThingId>) -> Vec<String> {
    let there = all.into_iter().filter(|thing| thing.thing.is_none_or(|id| !gone.contains(&id)));
    let text = |thing: DifferenceView| {
        let place = |text: &str| text.split(", place").next().unwrap_or_default().to_owned();
        let field = |f: &FieldView| (f.field.clone(), f.part.clone(), f.after.as_deref().map(place));
        format!("{:?} {} {:?}", thing.thing, thing.noun, thing.fields.iter().map(field).collect::<Vec<_>>())
    };
    there.map(text).collect()
}

fn every_version_shows_what_was_shown_then(seed: u64, fold_after: u64, apart: bool) {
    let (mut c, group) = workshop(seed, fold_after);
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut cards = vec![card(&mut c, "ada", group, "first")];
    let mut seen = Vec::new();
    for round in 0..40 {
        if apart && round % 10 == 5 {
            c.isolate(THREE[random.next_u32() as usize % 3]);
        }
        if round % 10 == 9 {
            c.heal();
            c.run_for(60_000);
        }
        let by = THREE[random.next_u32() as usize % 3];
        act(&mut c, by, group, &mut cards, &mut random);
        c.settle();
        if round == 25 {
            c.crash("eve");
            c.restart("eve");
            c.heal();
            c.settle();
        }
        let latest = versions(&mut c, "eve", (group, BOARD), None, TOLD_VERSIONS_MAX).remove(0);
        seen.push((latest, compared(&mut c, "eve", (group, BOARD), (None, None))));
    }
    c.heal();
    c.settle();
    let now = compared(&mut c, "eve", (group, BOARD), (None, None));
    let there: BTreeSet<ThingId> = now.iter().filter_map(|thing| thing.thing).collect();
    let gone: BTreeSet<ThingId> = seen
        .iter()
        .flat_map(|(_, shown)| shown.iter().filter_map(|thing| thing.thing))
        .filter(|id| !there.contains(id))
        .collect();
    let kept = versions(&mut c, "eve", (group, BOARD), None, TOLD_VERSIONS_MAX);
    for (version, shown) in seen {
        if kept.iter().all(|kept| kept.id != version.id) {
            let is_gone = |change: &ChangeView| change.thing.is_some_and(|id| gone.contains(&id));
            assert!(version.changes.iter().all(is_gone), "seed {seed}: {version:?} is lost");
            continue;
        }
        let version = version.id.to_string();
        let now = compared(&mut c, "eve", (group, BOARD), (None, Some(&version)));
        assert_eq!(comparable(now, &gone), comparable(shown, &gone), "seed {seed}, version {version}");
    }
}

#[test]
fn whatever_three_do_apart_every_version_shows_what_was_shown_then() {
    (100..106).for_each(|seed| every_version_shows_what_was_shown_then(seed, 100_000, true));
}

#[test]
fn whatever_three_do_in_turn_every_version_shows_what_was_shown_then_across_folds() {
    (200..206).for_each(|seed| every_version_shows_what_was_shown_then(seed, 10, false));
}
