//! What documents were: which versions there are, who made them, and how they differ.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    At, BoardCommand, CanvasCommand, Change, ChatCommand, Command, CommentCommand, DifferenceView,
    HistoryCommand, IssueCommand, Outcome, RefusalCode, Reply, VersionView,
};
use fourword_protocol::limits::{
    DIFFERENCE_BYTES, DIFFERING_THINGS_MAX, HISTORIES_WAITING_MAX, TEXT_BYTES_MAX, TOLD_CHANGES_MAX,
    TOLD_TEXT_BYTES_MAX, TOLD_VERSIONS_MAX,
};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::core::Setting;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::told::{Did, Presence};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::people::{refused, remove};

pub(crate) const BOARD: Concern = Concern::Kanban;
pub(crate) const THREE: [&str; 3] = ["ada", "ben", "eve"];

pub(crate) fn board(c: &mut Cluster, by: &str, group: FourWords, command: BoardCommand) -> Reply {
    c.must(by, Command::Board(group, command))
}

fn made(reply: Reply) -> ThingId {
    match reply {
        Reply::Thing(id) => id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn column(c: &mut Cluster, by: &str, group: FourWords, title: &str) -> ThingId {
    made(board(c, by, group, BoardCommand::AddColumn { title: title.into(), limit: 0, at: At::Last }))
}

pub(crate) fn card(c: &mut Cluster, by: &str, group: FourWords, title: &str) -> ThingId {
    let (title, column, changes) = (title.into(), "todo".into(), Vec::new());
    made(board(c, by, group, BoardCommand::AddCard { title, column, at: At::Last, changes, over: false }))
}

pub(crate) fn set(c: &mut Cluster, by: &str, group: FourWords, card: ThingId, field: &str, text: &str) {
    let changes = vec![Change::Field(field.into(), Value::Text(text.into()))];
    board(c, by, group, BoardCommand::SetCard(card.short(), changes));
}

pub(crate) fn put(c: &mut Cluster, by: &str, group: FourWords, card: ThingId, column: &str) {
    let (card, column) = (card.short(), column.into());
    board(c, by, group, BoardCommand::MoveCard { card, column, at: At::Last, over: false });
}

/// A group whose board has the columns `todo` and `done`.
pub(crate) fn workshop(seed: u64, fold_after: u64) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    c.fold_after = fold_after;
    let group = c.group_of(&THREE);
    column(&mut c, "ada", group, "todo");
    column(&mut c, "ada", group, "done");
    c.settle();
    (c, group)
}

/// All versions, of one thing or of all, the newest first, asked for in pages.
pub(crate) fn versions(
    c: &mut Cluster,
    at: &str,
    (group, concern): (FourWords, Concern),
    of: Option<ThingId>,
    limit: usize,
) -> Vec<VersionView> {
    let mut all: Vec<VersionView> = Vec::new();
    loop {
        let before = all.last().map(|last| last.id.to_string());
        let list = HistoryCommand::List { of: of.map(|of| of.to_string()), before, limit };
        let Reply::Versions(page) = c.must(at, Command::History(group, concern, list)) else { panic!() };
        assert!(page.versions.len() <= limit);
        all.extend(page.versions);
        if !page.has_more {
            return all;
        }
    }
}

fn newest(c: &mut Cluster, at: &str, group: FourWords) -> String {
    versions(c, at, (group, BOARD), None, TOLD_VERSIONS_MAX)[0].id.to_string()
}

/// What was done, in words, the newest first.
pub(crate) fn told(versions: &[VersionView]) -> Vec<String> {
    let of = |version: &VersionView| {
        let done: Vec<&str> = version.changes.iter().map(|change| change.text.as_str()).collect();
        done.join("; ")
    };
    versions.iter().map(of).collect()
}

/// How two versions of a board differ.
pub(crate) fn compared(
    c: &mut Cluster,
    at: &str,
    (group, concern): (FourWords, Concern),
    (from, to): (Option<&str>, Option<&str>),
) -> Vec<DifferenceView> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (from, to) = (from.map(str::to_owned), to.map(str::to_owned));
        let compare = HistoryCommand::Compare { from, to, of: None, after };
        let Reply::Differences(page) = c.must(at, Command::History(group, concern, compare)) else {
            panic!()
        };
        assert!(page.things.len() <= DIFFERING_THINGS_MAX);
        all.extend(page.things);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// What a board showed at a version, or shows now: titles with where they are, by name.
pub(crate) fn shown_at(c: &mut Cluster, at: &str, group: FourWords, version: Option<&str>) -> Vec<String> {
    let shown = compared(c, at, (group, BOARD), (None, version)).into_iter().map(|thing| {
        assert_eq!(thing.presence, Presence::Added);
        let fields = thing.fields.iter().map(|field| {
            format!("{}{}={}", field.field, field.part, field.after.as_deref().unwrap_or_default())
        });
        format!("{} {}", thing.noun, fields.collect::<Vec<_>>().join(" "))
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

#[test]
fn each_version_says_who_did_what_and_when_the_newest_first() {
    let (mut c, group) = workshop(1, 1000);
    c.must("ben", Command::SetName("Ben".into()));
    c.settle();
    let paint = card(&mut c, "ada", group, "paint");
    c.settle();
    put(&mut c, "ben", group, paint, "done");
    c.settle();
    let ben = crate::people::words_of(&mut c, "ben");
    let changes = vec![Change::Label("garden".into(), true), Change::Assign(ben, true)];
    board(&mut c, "eve", group, BoardCommand::SetCard(paint.short(), changes));
    let said = CommentCommand::Add { about: paint.short(), text: "red?".into() };
    board(&mut c, "eve", group, BoardCommand::Comment(said));
    c.settle();
    board(&mut c, "ada", group, BoardCommand::Archive(paint.short(), true));
    c.settle();
    for name in THREE {
        let all = versions(&mut c, name, (group, BOARD), None, 3);
        assert_eq!(
            told(&all),
            [
                "put card \"paint\" away",
                "said \"red?\" about card \"paint\"",
                "gave card \"paint\" to Ben; put label \"garden\" on card \"paint\"",
                "moved card \"paint\" to \"done\"",
                "made card \"paint\"",
                "made column \"done\"",
                "made column \"todo\"",
            ],
            "{name}"
        );
        assert!(all.iter().all(|version| version.by.len() == 1 && version.count == 1 && version.more == 0));
        assert_eq!(all[3].by[0].name, "Ben");
        assert!(all.windows(2).all(|pair| pair[0].times > pair[1].times), "times: {all:?}");
        let of_it = versions(&mut c, name, (group, BOARD), Some(paint), 2);
        assert_eq!(told(&of_it), told(&all)[..5]);
        assert_eq!(of_it[4].changes[0].did, Did::Made);
    }
}

/// Earlier systems kept the last state under the name of an earlier version (D19).
#[test]
fn an_old_version_asked_for_after_a_newer_one_shows_what_was_there_then() {
    let (mut c, group) = workshop(2, 1000);
    let paint = card(&mut c, "ada", group, "paint");
    let mut expected = Vec::new();
    for number in 0..20 {
        let by = THREE[number % 3];
        c.settle();
        set(&mut c, by, group, paint, "title", &format!("title {number}"));
        c.settle();
        expected.push((newest(&mut c, "eve", group), format!("title {number}")));
    }
    let order: Vec<usize> = (0..20).rev().chain([15, 3, 19, 0, 12]).collect();
    for number in order {
        let (version, title) = &expected[number];
        let shown = shown_at(&mut c, "eve", group, Some(version));
        assert!(shown.iter().any(|thing| thing.contains(&format!("title={title}"))), "{number}: {shown:?}");
        assert_eq!(shown.iter().filter(|thing| thing.contains("title ")).count(), 1, "{number}: {shown:?}");
    }
}

/// After what they called compaction, kept versions of earlier systems showed nothing (D20).
#[test]
fn history_after_a_fold_still_shows_what_was_there_before() {
    let (mut c, group) = workshop(3, 12);
    let paint = card(&mut c, "ada", group, "paint");
    c.settle();
    let mut expected = Vec::new();
    for number in 0..60 {
        let by = THREE[number % 3];
        set(&mut c, by, group, paint, "title", &format!("title {number}"));
        c.settle();
        expected.push((newest(&mut c, "eve", group), shown_at(&mut c, "eve", group, None)));
        if number % 15 == 14 {
            c.run_for(60_000);
        }
    }
    let covered = |c: &Cluster| c.holdings("eve").map(|h| h.covered().len()).sum::<usize>();
    assert!(covered(&c) > 0, "it has folded");
    let all = versions(&mut c, "eve", (group, BOARD), None, 50);
    assert_eq!(all.len(), 63);
    for restart in [false, true] {
        if restart {
            c.crash("eve");
            c.restart("eve");
            assert_eq!(versions(&mut c, "eve", (group, BOARD), None, 50), all, "and after a crash");
        }
        for (version, shown) in &expected {
            assert_eq!(&shown_at(&mut c, "eve", group, Some(version)), shown);
        }
    }
    assert_eq!(told(&all)[0], "set title of card \"title 59\" to \"title 59\"");
    assert_eq!(told(&all)[60], "made card \"paint\"", "with the title that it had then");
    assert_eq!(told(&versions(&mut c, "ada", (group, BOARD), None, 50)), told(&all), "all tell the same");
}

/// In earlier systems a document that was never compacted had no latest version (D20).
#[test]
fn the_latest_version_is_what_is_shown_also_before_anything_was_folded() {
    let (mut c, group) = workshop(4, 1000);
    card(&mut c, "ada", group, "paint");
    c.settle();
    let latest = newest(&mut c, "ben", group);
    assert_eq!(shown_at(&mut c, "ben", group, Some(&latest)), shown_at(&mut c, "ben", group, None));
    assert!(compared(&mut c, "ben", (group, BOARD), (Some(&latest), None)).is_empty());
}

#[test]
fn two_versions_differ_in_what_was_added_removed_and_changed_between() {
    let (mut c, group) = workshop(5, 1000);
    let (paint, saw) = (card(&mut c, "ada", group, "paint"), card(&mut c, "ada", group, "saw"));
    set(&mut c, "ada", group, paint, "description", "with a brush");
    c.settle();
    let before = newest(&mut c, "ben", group);
    c.isolate("eve");
    set(&mut c, "ben", group, paint, "description", "with two brushes");
    put(&mut c, "ben", group, paint, "done");
    board(&mut c, "ada", group, BoardCommand::DeleteCard(saw.short()));
    let nail = card(&mut c, "ada", group, "nail");
    c.settle();
    let differences = compared(&mut c, "ben", (group, BOARD), (Some(&before), None));
    let of = |id| differences.iter().find(|difference| difference.thing == Some(id)).unwrap();
    let fields = |id| {
        let fields = of(id).fields.iter();
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        fields.map(|f| format!("{}: {} > {}", f.field, text(&f.before), text(&f.after))).collect::<Vec<_>>()
    };
    assert_eq!(differences.len(), 3);
    assert_eq!((of(paint).presence, of(paint).title.as_str()), (Presence::Both, "paint"));
    assert_eq!(
        fields(paint),
        ["description: with a brush > with two brushes", "pos: todo, place 1 > done, place 1"]
    );
    assert_eq!((of(saw).presence, of(saw).title.as_str()), (Presence::Removed, "saw"));
    assert_eq!(of(nail).presence, Presence::Added);
    assert_eq!(fields(nail), ["pos: - > todo, place 1", "title: - > nail"]);
}

#[test]
fn what_is_deleted_is_seen_in_its_versions_until_everybody_knows_of_it_and_never_after() {
    for fold_after in [1000, 12] {
        let (mut c, group) = workshop(6, fold_after);
        let plan = card(&mut c, "ada", group, "the plan");
        set(&mut c, "ada", group, plan, "description", "a secret");
        card(&mut c, "ada", group, "paint");
        c.settle();
        let then = newest(&mut c, "ada", group);
        for number in 0..20 {
            let paint = card(&mut c, "ada", group, &format!("card {number}"));
            set(&mut c, "ada", group, paint, "priority", "high");
        }
        c.settle();
        c.run_for(60_000);
        c.isolate("eve");
        board(&mut c, "ada", group, BoardCommand::DeleteCard(plan.short()));
        c.settle();
        let holds = |shown: &[String]| shown.iter().any(|thing| thing.contains("secret"));
        assert!(holds(&shown_at(&mut c, "ada", group, Some(&then))), "eve does not know of it yet");
        let all = told(&versions(&mut c, "ada", (group, BOARD), None, 50));
        assert_eq!(all[0], "deleted card \"the plan\"");
        c.heal();
        c.settle();
        for _ in 0..2 {
            for name in THREE {
                assert!(!holds(&shown_at(&mut c, name, group, Some(&then))), "{name}, {fold_after}");
                assert_eq!(shown_at(&mut c, name, group, Some(&then)).len(), 3, "and the rest is there");
                let all = versions(&mut c, name, (group, BOARD), None, 50);
                let text = told(&all).join("; ");
                assert!(!text.contains("plan") && !text.contains("secret"), "{name}: {text}");
                assert!(text.contains(&format!("deleted {}", plan.short())), "{name}: {text}");
            }
            card(&mut c, "ada", group, "later");
            for number in 0..15 {
                card(&mut c, "ben", group, &format!("later {number}"));
            }
            c.settle();
            c.run_for(60_000);
        }
    }
}

#[test]
fn what_does_not_count_makes_no_version() {
    let (mut c, group) = workshop(7, 1000);
    c.isolate("eve");
    card(&mut c, "eve", group, "void");
    remove(&mut c, "ada", group, "eve");
    card(&mut c, "ben", group, "counts");
    c.heal();
    c.settle();
    for name in ["ada", "ben"] {
        let all = told(&versions(&mut c, name, (group, BOARD), None, 50));
        assert_eq!(all, ["made card \"counts\"", "made column \"done\"", "made column \"todo\""], "{name}");
    }
}

#[test]
fn who_was_away_for_long_keeps_its_versions_when_it_takes_a_snapshot() {
    let (mut c, group) = workshop(8, 12);
    c.must("ada", Command::Configure(group, Setting::LapseDays(1)));
    for number in 0..15 {
        card(&mut c, THREE[number % 3], group, &format!("early {number}"));
        c.settle();
    }
    c.run_for(60_000);
    card(&mut c, "ada", group, "just before");
    c.settle();
    let then = newest(&mut c, "eve", group);
    let shown = shown_at(&mut c, "eve", group, Some(&then));
    let before = versions(&mut c, "eve", (group, BOARD), None, 50);
    c.isolate("eve");
    let own = card(&mut c, "eve", group, "by eve alone");
    for number in 0..15 {
        card(&mut c, ["ada", "ben"][number % 2], group, &format!("soon {number}"));
    }
    c.settle();
    c.let_days_pass(2);
    for number in 0..40 {
        card(&mut c, ["ada", "ben"][number % 2], group, &format!("late {number}"));
    }
    c.run_for(120_000);
    c.heal();
    c.run_for(120_000);
    let after = versions(&mut c, "eve", (group, BOARD), None, 50);
    let kept: BTreeSet<_> = after.iter().map(|version| version.id).collect();
    let taken = after.iter().find(|version| version.by.is_empty()).expect("it took a snapshot");
    assert_eq!(taken.count, 0);
    assert!(before.iter().all(|version| kept.contains(&version.id)), "{after:?}");
    assert_eq!(shown_at(&mut c, "eve", group, Some(&then)), shown);
    let own = versions(&mut c, "eve", (group, BOARD), Some(own), 50);
    assert_eq!(told(&own), ["made card \"by eve alone\""]);
    assert_eq!(shown_at(&mut c, "eve", group, None), shown_at(&mut c, "ada", group, None));
}

#[test]
fn who_joins_later_sees_from_when_on_it_knows_who_did_what() {
    let (mut c, group) = workshop(9, 12);
    for number in 0..20 {
        card(&mut c, THREE[number % 3], group, &format!("early {number}"));
    }
    c.settle();
    c.run_for(60_000);
    let settled = shown_at(&mut c, "ada", group, None);
    c.add("dia");
    let code = c.invite("ada", group, Role::Viewer, 1);
    c.join("dia", group, &code);
    c.run_for(60_000);
    card(&mut c, "ada", group, "after that");
    c.settle();
    let all = versions(&mut c, "dia", (group, BOARD), None, 50);
    assert_eq!(told(&all)[0], "made card \"after that\"");
    let taken = all.last().unwrap();
    assert!(taken.by.is_empty() && taken.changes.is_empty() && taken.times.is_none(), "{taken:?}");
    assert_eq!(shown_at(&mut c, "dia", group, Some(&all[1].id.to_string())), settled);
}

#[test]
fn versions_of_chats_issues_and_canvases_are_told_as_well() {
    let mut c = Cluster::new(10);
    let group = c.group_of(&THREE);
    let hello = c.send_message("ada", group, "hello");
    c.settle();
    c.must("ada", Command::Chat(group, ChatCommand::Edit(hello, "hello all".into())));
    c.settle();
    let react = ChatCommand::React { message: hello, emoji: "👍".into(), on: true };
    c.must("ben", Command::Chat(group, react));
    c.settle();
    let of_chat = versions(&mut c, "eve", (group, Concern::Chat), Some(hello), 50);
    assert_eq!(
        told(&of_chat),
        ["reacted \"👍\" to message \"hello all\"", "changed a message to \"hello all\"", "wrote \"hello\""]
    );
    assert_eq!(of_chat[0].times, None, "a reaction does not say when it was made");
    let from = of_chat[2].id.to_string();
    let differences = compared(&mut c, "eve", (group, Concern::Chat), (Some(&from), None));
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].fields[0].before.as_deref(), Some("hello"));
    assert_eq!(differences[0].fields[0].after.as_deref(), Some("hello all"));
    let issue = made(
        c.must("ben", Command::Issue(group, IssueCommand::Add { title: "it leaks".into(), changes: vec![] })),
    );
    let done = vec![Change::Field("status".into(), Value::Text("done".into()))];
    c.must("ben", Command::Issue(group, IssueCommand::Set(issue.short(), done)));
    c.settle();
    let of_issues = versions(&mut c, "ada", (group, Concern::Issues), None, 50);
    assert_eq!(told(&of_issues), ["set status of issue \"it leaks\" to \"done\"", "made issue \"it leaks\""]);
    let wide = Value::Number(Number::new(800.0).unwrap());
    c.must("eve", Command::Canvas(group, CanvasCommand::Metadata("width".into(), Some(wide))));
    c.settle();
    let of_canvas = versions(&mut c, "ada", (group, Concern::Canvas), None, 50);
    assert_eq!(told(&of_canvas), ["set width of the document to \"800\""]);
    assert_eq!(of_canvas[0].changes[0].thing, None);
}

#[test]
fn what_is_asked_wrongly_is_refused_with_what_to_do() {
    let (mut c, group) = workshop(11, 1000);
    let history = |command| Command::History(group, BOARD, command);
    let list = |of: Option<&str>, before: Option<&str>, limit| HistoryCommand::List {
        of: of.map(Into::into),
        before: before.map(Into::into),
        limit,
    };
    for limit in [0, TOLD_VERSIONS_MAX + 1] {
        assert_eq!(refused(&mut c, "ada", history(list(None, None, limit))).code, RefusalCode::Usage);
    }
    for wrong in [list(Some("nothing"), None, 1), list(None, Some("zzzz"), 1)] {
        let refusal = refused(&mut c, "ada", history(wrong));
        assert_eq!(refusal.code, RefusalCode::NotFound);
        assert!(!refusal.hint.is_empty());
    }
    let compare =
        |from: &str| HistoryCommand::Compare { from: Some(from.into()), to: None, of: None, after: None };
    assert_eq!(refused(&mut c, "ada", history(compare("zzzz"))).code, RefusalCode::NotFound);
    assert_eq!(refused(&mut c, "ada", history(compare(""))).code, RefusalCode::NotFound);
    let home = Command::History(group, Concern::Home, list(None, None, 1));
    assert_eq!(refused(&mut c, "ada", home).code, RefusalCode::NotFound);
}

#[test]
fn only_so_many_requests_wait_and_each_is_answered() {
    let (mut c, group) = workshop(12, 1000);
    let list = || HistoryCommand::List { of: None, before: None, limit: 1 };
    let asked: Vec<_> =
        (0..=HISTORIES_WAITING_MAX).map(|_| c.begin("ada", Command::History(group, BOARD, list()))).collect();
    c.settle();
    let is_refused = |id| match c.answer("ada", id) {
        Some(Outcome::Done(Reply::Versions(page))) => {
            assert_eq!(page.versions.len(), 1);
            false
        }
        Some(Outcome::Refused(refusal)) => {
            assert_eq!(refusal.code, RefusalCode::TooMuch);
            true
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(asked.iter().filter(|id| is_refused(**id)).count(), 1);
}

#[test]
fn who_asks_while_the_document_is_read_anew_is_answered_all_the_same() {
    let (mut c, group) = workshop(13, 1000);
    for number in 0..10 {
        card(&mut c, THREE[number % 3], group, &format!("card {number}"));
    }
    c.settle();
    let list = || HistoryCommand::List { of: None, before: None, limit: 50 };
    let asked: Vec<_> =
        (0..HISTORIES_WAITING_MAX).map(|_| c.begin("ben", Command::History(group, BOARD, list()))).collect();
    remove(&mut c, "ada", group, "eve");
    let count = |c: &Cluster| asked.iter().filter(|id| c.answer("ben", **id).is_some()).count();
    assert!(count(&c) < asked.len(), "some wait still");
    c.settle();
    for id in &asked {
        let answer = c.answer("ben", *id);
        let Some(Outcome::Done(Reply::Versions(page))) = answer else { panic!("{answer:?}") };
        assert_eq!(page.versions.len(), 12);
    }
    let asked: Vec<_> = (0..3).map(|_| c.begin("ben", Command::History(group, BOARD, list()))).collect();
    c.stop("ben");
    assert!(asked.iter().all(|id| c.answer("ben", *id).is_some()), "also where the node stops");
}

#[test]
fn what_is_told_at_once_is_bounded_and_goes_on_in_pages() {
    let (mut c, group) = workshop(14, 100_000);
    let before = newest(&mut c, "ada", group);
    let many: Vec<Change> =
        (0..=TOLD_CHANGES_MAX).map(|n| Change::Label(format!("label {n}"), true)).collect();
    let paint = card(&mut c, "ada", group, &"p".repeat(200));
    board(&mut c, "ada", group, BoardCommand::SetCard(paint.short(), many));
    let all = versions(&mut c, "ada", (group, BOARD), None, 50);
    assert_eq!((all[0].changes.len(), all[0].more), (TOLD_CHANGES_MAX, 1));
    assert!(
        all.iter().flat_map(|v| &v.changes).all(|change| change.text.len() < 2 * TOLD_TEXT_BYTES_MAX + 40)
    );
    let long = "x".repeat(TEXT_BYTES_MAX);
    let count = DIFFERENCE_BYTES / TEXT_BYTES_MAX + 3;
    for number in 0..count {
        let card = card(&mut c, "ada", group, &format!("card {number}"));
        set(&mut c, "ada", group, card, "description", &long);
    }
    let compare = HistoryCommand::Compare { from: Some(before.clone()), to: None, of: None, after: None };
    let Reply::Differences(page) = c.must("ada", Command::History(group, BOARD, compare)) else { panic!() };
    assert!(page.things.len() < count && page.next.is_some());
    let names: Vec<_> =
        compared(&mut c, "ada", (group, BOARD), (Some(&before), None)).into_iter().map(|d| d.thing).collect();
    let once: BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), once.len()), (count + 1, count + 1), "each once");
}
