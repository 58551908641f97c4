//! Texts that several people write at once: merged by character, kept, folded, and never lost.

use fourword_protocol::command::{Command, Notice, Outcome, RefusalCode, Reply, TextCommand};
use fourword_protocol::limits::{FILE_BYTES_MAX, TEXT_EDIT_BYTES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::FileId;
use fourword_protocol::update::document::TextEdit;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::forks::take_turns;
use crate::people::{remove, set_role};

const FILE: FileId = FileId([7; 16]);

fn ask(c: &mut Cluster, name: &str, group: FourWords, command: TextCommand) -> Outcome {
    c.ask(name, Command::Text(group, FILE, command))
}

fn read(c: &mut Cluster, name: &str, group: FourWords) -> String {
    match ask(c, name, group, TextCommand::Read) {
        Outcome::Done(Reply::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn edit(at: usize, removed: usize, inserted: &str) -> TextEdit {
    TextEdit { at: at as u32, removed: removed as u32, inserted: inserted.into() }
}

/// Writes at an end of the text as a node shows it.
fn append(c: &mut Cluster, name: &str, group: FourWords, text: &str) {
    let at = read(c, name, group).encode_utf16().count();
    let done = ask(c, name, group, TextCommand::Edit(vec![edit(at, 0, text)]));
    assert_eq!(done, Outcome::Done(Reply::Ok), "{name}");
}

/// A group in which all have opened one text.
fn writers(seed: u64, names: &[&str]) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    c.fold_after = 12;
    let group = c.group_of(names);
    for name in names {
        assert_eq!(read(&mut c, name, group), "");
    }
    c.settle();
    (c, group)
}

fn assert_same(c: &mut Cluster, names: &[&str], group: FourWords) -> String {
    let text = read(c, names[0], group);
    for name in names {
        assert_eq!(read(c, name, group), text, "{name}");
    }
    text
}

#[test]
fn two_who_write_one_text_apart_have_all_of_it_once_they_meet() {
    let (mut c, group) = writers(1, &["ada", "ben"]);
    append(&mut c, "ada", group, "The cat sat on the mat.");
    c.settle();
    assert_eq!(read(&mut c, "ben", group), "The cat sat on the mat.");
    assert!(c.notices("ben").iter().any(|notice| {
        matches!(notice, Notice::TextChanged { entity, file, length: 23 } if (*entity, *file) == (group, FILE))
    }));
    c.isolate("ben");
    let edits = vec![edit(4, 3, "dog"), edit(0, 0, "1. ")];
    assert_eq!(ask(&mut c, "ada", group, TextCommand::Edit(edits)), Outcome::Done(Reply::Ok));
    let edits = vec![edit(19, 3, "sofa"), edit(8, 3, "slept")];
    assert_eq!(ask(&mut c, "ben", group, TextCommand::Edit(edits)), Outcome::Done(Reply::Ok));
    c.heal();
    c.connect_all();
    c.settle();
    assert_eq!(assert_same(&mut c, &["ada", "ben"], group), "1. The dog slept on the sofa.");
}

#[test]
fn a_text_is_there_after_a_restart_and_goes_on() {
    let (mut c, group) = writers(2, &["ada", "ben"]);
    append(&mut c, "ada", group, "one ");
    c.settle();
    c.stop("ada");
    c.restart("ada");
    assert_eq!(read(&mut c, "ada", group), "one ");
    append(&mut c, "ada", group, "two ");
    c.crash("ada");
    c.restart("ada");
    c.connect_all();
    append(&mut c, "ada", group, "three");
    c.settle();
    assert_eq!(assert_same(&mut c, &["ada", "ben"], group), "one two three");
}

#[test]
fn what_cannot_be_changed_is_refused_and_a_viewer_changes_nothing() {
    let (mut c, group) = writers(3, &["ada", "ben"]);
    append(&mut c, "ada", group, "a😀b");
    c.settle();
    for wrong in [edit(5, 0, "x"), edit(2, 0, "x"), edit(1, 1, ""), edit(0, 9, ""), edit(1, 0, "")] {
        match ask(&mut c, "ben", group, TextCommand::Edit(vec![edit(3, 1, "c"), wrong.clone()])) {
            Outcome::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::Usage, "{wrong:?}"),
            done => panic!("{wrong:?}: {done:?}"),
        }
    }
    set_role(&mut c, "ada", group, "ben", Role::Viewer);
    c.settle();
    match ask(&mut c, "ben", group, TextCommand::Edit(vec![edit(0, 1, "x")])) {
        Outcome::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::NotAllowed),
        done => panic!("{done:?}"),
    }
    assert_eq!(assert_same(&mut c, &["ada", "ben"], group), "a😀b");
}

#[test]
fn a_text_that_was_folded_is_given_to_who_comes_later_and_written_on() {
    let (mut c, group) = writers(4, &["ada", "ben"]);
    for number in 0..20 {
        append(&mut c, if number % 2 == 0 { "ada" } else { "ben" }, group, &format!("{number} "));
        c.settle();
    }
    c.run_for(120_000);
    let folds = |c: &Cluster, name: &str| c.holdings(name).any(|h| h.covered().len() > 1);
    assert!(folds(&c, "ada") && folds(&c, "ben"));
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.connect_all();
    c.settle();
    read(&mut c, "eve", group);
    c.run_for(120_000);
    append(&mut c, "eve", group, "end");
    c.settle();
    let whole: String = (0..20).map(|number| format!("{number} ")).collect();
    assert_eq!(assert_same(&mut c, &["ada", "ben", "eve"], group), whole + "end");
}

#[test]
fn a_text_that_is_full_takes_nothing_more_and_still_gives() {
    let (mut c, group) = writers(6, &["ada"]);
    let (piece, mut length) = ("x".repeat(TEXT_EDIT_BYTES_MAX), 0);
    let longer = TextCommand::Edit(vec![edit(0, 0, &piece), edit(0, 0, "x")]);
    let refused = ask(&mut c, "ada", group, longer);
    assert!(
        matches!(&refused, Outcome::Refused(refusal) if refusal.hint == "make it in several"),
        "{refused:?}"
    );
    let refused = loop {
        let edits = vec![edit(length, 0, &piece)];
        match ask(&mut c, "ada", group, TextCommand::Edit(edits)) {
            Outcome::Done(_) => length += piece.len(),
            Outcome::Refused(refusal) => break refusal,
        }
        assert!(length < FILE_BYTES_MAX as usize + piece.len(), "{length}");
    };
    assert_eq!(refused.code, RefusalCode::TooMuch, "{length}: {refused:?}");
    assert!(length > FILE_BYTES_MAX as usize - piece.len(), "{length}: {refused:?}");
    let edits = vec![edit(0, length - 1, "")];
    assert_eq!(ask(&mut c, "ada", group, TextCommand::Edit(edits)), Outcome::Done(Reply::Ok));
    assert_eq!(read(&mut c, "ada", group), "x");
}

#[test]
fn what_stands_beside_the_words_of_who_never_was_in_stays_there() {
    let (mut c, group) = writers(5, &["ada", "ben", "eve", "kim"]);
    append(&mut c, "ada", group, "one two");
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.settle();
    c.isolate("ada");
    remove(&mut c, "ada", group, "ben");
    let code = c.invite("ben", group, Role::Member, 1);
    c.add("mal");
    c.join("mal", group, &code);
    read(&mut c, "mal", group);
    c.connect("mal", "eve");
    c.settle();
    assert_eq!(read(&mut c, "mal", group), "one two");
    for (name, at, word) in [("mal", 4, "bad "), ("eve", 8, "good ")] {
        let edits = vec![edit(at, 0, word)];
        assert_eq!(ask(&mut c, name, group, TextCommand::Edit(edits)), Outcome::Done(Reply::Ok));
        c.settle();
    }
    assert_eq!(read(&mut c, "kim", group), "one bad good two");
    c.heal();
    c.connect_all();
    c.settle();
    assert_eq!(assert_same(&mut c, &["ada", "eve", "kim"], group), "one good two");
    append(&mut c, "eve", group, " three");
    c.settle();
    assert_eq!(assert_same(&mut c, &["ada", "eve", "kim"], group), "one good two three");
}

#[test]
fn what_both_copies_of_a_home_write_in_a_text_is_all_there_in_the_end_and_where_it_was_written() {
    for seed in 30..36 {
        let (mut c, group) = writers(seed, &["ada", "ben"]);
        append(&mut c, "ada", group, "[ada:][twin:][gone]");
        c.settle();
        c.stop("ada");
        c.start_twin("ada", "twin");
        c.restart("ada");
        for (name, at) in [("ada", 5), ("twin", 12)] {
            for (number, text) in ["x", "y", "z"].into_iter().enumerate() {
                let edits = vec![edit(at + number, 0, text)];
                assert_eq!(ask(&mut c, name, group, TextCommand::Edit(edits)), Outcome::Done(Reply::Ok));
            }
            let end = read(&mut c, name, group).len();
            let edits = vec![edit(end - 6, 6, "")];
            assert_eq!(ask(&mut c, name, group, TextCommand::Edit(edits)), Outcome::Done(Reply::Ok));
        }
        take_turns(&mut c, seed);
        for name in ["ada", "twin"] {
            append(&mut c, name, group, &format!(" {name} goes on."));
        }
        take_turns(&mut c, seed + 1);
        let text = assert_same(&mut c, &["ada", "ben", "twin"], group);
        assert!(text.starts_with("[ada:xyz][twin:xyz]"), "seed {seed}: {text}");
        assert!(text.contains(" ada goes on.") && text.contains(" twin goes on."), "seed {seed}: {text}");
        assert_eq!(text.len(), "[ada:xyz][twin:xyz] ada goes on. twin goes on.".len(), "seed {seed}: {text}");
    }
}
