//! Earlier versions are brought back by ordinary writes, whole or one thing at a time.

use fourword_protocol::command::{
    BoardCommand, CanvasCommand, Change, ChatCommand, Command, CommentCommand, HistoryCommand, IssueCommand,
    IssueFilter, LeftView, RefusalCode, Reply, RevertedView, VersionView,
};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things::Stays;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::history::{board, card, column, put, set, shown_at, workshop};
use crate::people::{refused, set_role};

const BOARD: Concern = Concern::Kanban;
const THREE: [&str; 3] = ["ada", "ben", "eve"];

fn newest(c: &mut Cluster, at: &str, group: FourWords, concern: Concern) -> String {
    let list = HistoryCommand::List { of: None, before: None, limit: 1 };
    let Reply::Versions(page) = c.must(at, Command::History(group, concern, list)) else { panic!() };
    page.versions.first().map(|version: &VersionView| version.id.to_string()).unwrap()
}

fn to_version(version: &str, of: Option<ThingId>) -> HistoryCommand {
    HistoryCommand::Restore { version: version.to_owned(), of: of.map(|of| of.to_string()) }
}

fn restore(
    c: &mut Cluster,
    by: &str,
    (group, concern): (FourWords, Concern),
    version: &str,
    of: Option<ThingId>,
) -> RevertedView {
    match c.must(by, Command::History(group, concern, to_version(version, of))) {
        Reply::Reverted(view) => view,
        other => panic!("{other:?}"),
    }
}

/// Earlier systems brought a title back in half of the cases, and never removed what came later (D21).
#[test]
fn a_restore_brings_back_everything_and_removes_what_came_later() {
    for seed in 0..12 {
        let (mut c, group) = workshop(seed, if seed % 2 == 0 { 1000 } else { 10 });
        let (paint, saw) = (card(&mut c, "ada", group, "paint"), card(&mut c, "ben", group, "saw"));
        c.settle();
        set(&mut c, "ada", group, paint, "description", "with a brush");
        board(
            &mut c,
            "ada",
            group,
            BoardCommand::SetCard(saw.short(), vec![Change::Label("wood".into(), true)]),
        );
        c.settle();
        let (then, shown) = (newest(&mut c, "ada", group, BOARD), shown_at(&mut c, "ada", group, None));
        column(&mut c, "ada", group, "later");
        let nail = card(&mut c, "ben", group, "nail");
        c.settle();
        set(&mut c, "eve", group, paint, "title", "paint it black");
        set(&mut c, "eve", group, paint, "description", "");
        set(&mut c, "ben", group, paint, "priority", "high");
        let labels = vec![Change::Label("wood".into(), false), Change::Label("steel".into(), true)];
        board(&mut c, "eve", group, BoardCommand::SetCard(saw.short(), labels));
        put(&mut c, "ben", group, saw, "later");
        put(&mut c, "ben", group, nail, "later");
        c.settle();
        c.run_for(60_000);
        let by = THREE[seed as usize % 3];
        let restored = restore(&mut c, by, (group, BOARD), &then, None);
        c.settle();
        let is_by_ada = by == "ada";
        assert_eq!(restored.left.is_empty(), is_by_ada, "others do not delete ada's column: {restored:?}");
        for name in THREE {
            let now = shown_at(&mut c, name, group, None).into_iter();
            let now: Vec<String> = now
                .filter(|thing| !thing.contains("archived=yes") && (is_by_ada || !thing.contains("=later")))
                .map(|thing| thing.replace("labelssteel=no ", ""))
                .collect();
            let emptied = |thing: &String| thing.replace(" priority=", "").replace("labelswood=yes", "wood");
            let now: Vec<String> = now.iter().map(emptied).collect();
            let shown: Vec<String> = shown.iter().map(emptied).collect();
            assert_eq!(now, shown, "seed {seed}: {name} after {by} restored");
        }
    }
}

/// Earlier systems restored another document than the one that was named (D21).
#[test]
fn restoring_a_thing_leaves_all_others_as_they_are() {
    let (mut c, group) = workshop(20, 1000);
    let (paint, saw) = (card(&mut c, "ada", group, "paint"), card(&mut c, "ada", group, "saw"));
    c.settle();
    let then = newest(&mut c, "ben", group, BOARD);
    set(&mut c, "ada", group, paint, "title", "paint it black");
    set(&mut c, "ada", group, saw, "title", "saw it off");
    card(&mut c, "ada", group, "nail");
    c.settle();
    assert_eq!(restore(&mut c, "ben", (group, BOARD), &then, Some(paint)).things, [paint]);
    c.settle();
    let shown = shown_at(&mut c, "eve", group, None).join("; ");
    for title in ["title=paint", "title=saw it off", "title=nail"] {
        assert!(shown.contains(title) && !shown.contains("black"), "{shown}");
    }
    let again = restore(&mut c, "ben", (group, BOARD), &then, Some(paint));
    assert!(again.things.is_empty(), "there is nothing left to do: {again:?}");
}

#[test]
fn a_restore_is_undone_like_anything_else() {
    let (mut c, group) = workshop(21, 1000);
    let paint = card(&mut c, "ada", group, "paint");
    c.settle();
    let then = newest(&mut c, "ada", group, BOARD);
    set(&mut c, "ada", group, paint, "title", "paint it black");
    card(&mut c, "ada", group, "nail");
    put(&mut c, "ada", group, paint, "done");
    c.settle();
    let before = shown_at(&mut c, "ben", group, None);
    let restored = restore(&mut c, "ada", (group, BOARD), &then, None);
    assert_eq!((restored.things.len(), restored.undo > 0), (2, true));
    c.settle();
    assert_ne!(shown_at(&mut c, "ben", group, None), before);
    let Reply::Reverted(undone) = c.must("ada", Command::Undo(group, BOARD)) else { panic!() };
    assert_eq!(undone.left, []);
    c.settle();
    let unarchived = |thing: String| thing.replace("archived=no ", "");
    let now: Vec<String> = shown_at(&mut c, "ben", group, None).into_iter().map(unarchived).collect();
    assert_eq!(now, before);
}

#[test]
fn a_viewer_sees_the_versions_and_restores_nothing() {
    let (mut c, group) = workshop(22, 1000);
    let paint = card(&mut c, "ada", group, "paint");
    c.settle();
    let then = newest(&mut c, "eve", group, BOARD);
    set(&mut c, "ada", group, paint, "title", "paint it black");
    set_role(&mut c, "ada", group, "eve", Role::Viewer);
    c.settle();
    let shown = shown_at(&mut c, "eve", group, None);
    for of in [None, Some(paint)] {
        let refusal = refused(&mut c, "eve", Command::History(group, BOARD, to_version(&then, of)));
        assert_eq!((refusal.code, refusal.hint.is_empty()), (RefusalCode::NotAllowed, false));
    }
    c.settle();
    assert_eq!(shown_at(&mut c, "ada", group, None), shown);
    assert_ne!(shown_at(&mut c, "eve", group, Some(&then)), shown, "but it sees it");
}

#[test]
fn what_was_deleted_comes_back_as_a_new_thing_while_somebody_does_not_know_yet_that_it_is() {
    let (mut c, group) = workshop(23, 1000);
    let later = column(&mut c, "ada", group, "later");
    let paint = card(&mut c, "ada", group, "paint");
    set(&mut c, "ada", group, paint, "description", "with a brush");
    put(&mut c, "ada", group, paint, "later");
    c.settle();
    let (then, shown) = (newest(&mut c, "ada", group, BOARD), shown_at(&mut c, "ada", group, None));
    c.isolate("eve");
    board(&mut c, "ada", group, BoardCommand::DeleteCard(paint.short()));
    board(&mut c, "ada", group, BoardCommand::DeleteColumn(later.short()));
    c.settle();
    let restored = restore(&mut c, "ben", (group, BOARD), &then, None);
    assert_eq!((restored.things.len(), restored.left.len()), (2, 0));
    assert!(!restored.things.contains(&paint), "what is deleted stays so");
    c.heal();
    c.settle();
    for name in THREE {
        assert_eq!(shown_at(&mut c, name, group, None), shown, "{name}: in its column, too");
    }
    let before = newest(&mut c, "ada", group, BOARD);
    let [_, anew] = restored.things[..] else { panic!() };
    board(&mut c, "ben", group, BoardCommand::DeleteCard(anew.short()));
    c.settle();
    let gone = restore(&mut c, "ben", (group, BOARD), &before, None);
    assert!(gone.things.is_empty(), "everybody knows that it is: nothing is left of it");
}

#[test]
fn what_may_not_be_done_is_named_and_all_else_is_done() {
    let mut c = Cluster::new(24);
    let group = c.group_of(&THREE);
    let add = |title: &str| Command::Issue(group, IssueCommand::Add { title: title.into(), changes: vec![] });
    let made = |reply| match reply {
        Reply::Thing(id) => id,
        other => panic!("{other:?}"),
    };
    let leak = made(c.must("ada", add("it leaks")));
    c.settle();
    let said = CommentCommand::Add { about: leak.short(), text: "where?".into() };
    let comment = made(c.must("ben", Command::Issue(group, IssueCommand::Comment(said))));
    c.settle();
    let then = newest(&mut c, "ben", group, Concern::Issues);
    let of_comment = Command::History(group, Concern::Issues, to_version(&then, Some(comment)));
    assert_eq!(refused(&mut c, "ben", of_comment).code, RefusalCode::Usage, "what was said stays said");
    let done = vec![Change::Field("status".into(), Value::Text("done".into()))];
    c.must("ada", Command::Issue(group, IssueCommand::Set(leak.short(), done)));
    let of_ada = made(c.must("ada", add("of ada")));
    made(c.must("ben", add("of ben")));
    let said = CommentCommand::Add { about: leak.short(), text: "fixed".into() };
    c.must("ben", Command::Issue(group, IssueCommand::Comment(said)));
    c.settle();
    let restored = restore(&mut c, "ben", (group, Concern::Issues), &then, None);
    let left = LeftView { thing: Some(of_ada), field: String::new(), why: Stays::NotAllowed };
    assert_eq!(restored.left, [left]);
    c.settle();
    let all = c.must("eve", Command::Issue(group, IssueCommand::List(IssueFilter::default())));
    let Reply::Issues(issues) = all else { panic!() };
    let shown: Vec<_> = issues.iter().map(|i| (i.title.as_str(), i.status.as_str(), i.comments)).collect();
    assert_eq!(shown, [("it leaks", "backlog", 2), ("of ada", "backlog", 0)], "what was said stays said");
}

#[test]
fn a_canvas_comes_back_with_its_size_and_all_elements_where_they_were() {
    let mut c = Cluster::new(25);
    let group = c.group_of(&THREE);
    let number = |n: f64| Number::new(n).unwrap();
    let place = |n: f64| Change::Field("place".into(), Value::Pair(number(n), number(n)));
    let draw = |n: f64| {
        let text = Change::Field("element_type".into(), Value::Text("text".into()));
        let size = Change::Field("size".into(), Value::Pair(number(9.0), number(9.0)));
        Command::Canvas(group, CanvasCommand::Add(vec![text, place(n), size]))
    };
    let width = |n: f64| {
        Command::Canvas(group, CanvasCommand::Metadata("width".into(), Some(Value::Number(number(n)))))
    };
    let Reply::Thing(note) = c.must("ada", draw(1.0)) else { panic!() };
    c.must("ada", width(800.0));
    c.settle();
    let then = newest(&mut c, "eve", group, Concern::Canvas);
    c.must("ben", Command::Canvas(group, CanvasCommand::Set(note.short(), vec![place(5.0)])));
    c.must("ben", draw(7.0));
    c.must("ben", width(400.0));
    c.settle();
    assert_eq!(restore(&mut c, "eve", (group, Concern::Canvas), &then, None).left, []);
    c.settle();
    let Reply::Canvas(canvas) = c.must("ada", Command::Canvas(group, CanvasCommand::Show)) else { panic!() };
    assert_eq!(canvas.width, Some(number(800.0)));
    assert_eq!(canvas.elements.len(), 1);
    assert_eq!(canvas.elements[0].place, (number(1.0), number(1.0)));
}

#[test]
fn a_message_gets_its_earlier_text_back_from_its_author_alone_and_a_chat_is_not_brought_back_whole() {
    let mut c = Cluster::new(26);
    let group = c.group_of(&THREE);
    let chat = |command| Command::History(group, Concern::Chat, command);
    let hello = c.send_message("ada", group, "hello");
    c.settle();
    let then = newest(&mut c, "ada", group, Concern::Chat);
    c.must("ada", Command::Chat(group, ChatCommand::Edit(hello, "goodbye".into())));
    c.send_message("ben", group, "later");
    c.settle();
    assert_eq!(refused(&mut c, "ada", chat(to_version(&then, None))).code, RefusalCode::Usage);
    assert_eq!(refused(&mut c, "ben", chat(to_version(&then, Some(hello)))).code, RefusalCode::NotAllowed);
    assert_eq!(restore(&mut c, "ada", (group, Concern::Chat), &then, Some(hello)).things, [hello]);
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["hello", "later"]);
    c.isolate("eve");
    c.must("ada", Command::Chat(group, ChatCommand::Delete(hello)));
    let anew = restore(&mut c, "ada", (group, Concern::Chat), &then, Some(hello)).things;
    assert!(anew.len() == 1 && anew != [hello]);
    c.heal();
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["later", "hello"]);
}

#[test]
fn what_was_not_there_at_a_version_is_not_brought_back_from_it() {
    let (mut c, group) = workshop(27, 1000);
    let then = newest(&mut c, "ada", group, BOARD);
    let paint = card(&mut c, "ada", group, "paint");
    let refusal = refused(&mut c, "ada", Command::History(group, BOARD, to_version(&then, Some(paint))));
    assert_eq!(refusal.code, RefusalCode::NotFound);
    assert_eq!(refusal.message, format!("{} was not there at that version", paint.short()));
}

#[test]
fn what_would_take_more_than_one_envelope_is_refused_and_nothing_of_it_is_done() {
    let (mut c, group) = workshop(28, 100_000);
    let cards: Vec<ThingId> = (0..4).map(|n| card(&mut c, "ada", group, &format!("card {n}"))).collect();
    let long = "x".repeat(60_000);
    cards.iter().for_each(|card| set(&mut c, "ada", group, *card, "description", &long));
    c.settle();
    let then = newest(&mut c, "ada", group, BOARD);
    cards.iter().for_each(|card| set(&mut c, "ada", group, *card, "description", "short"));
    c.settle();
    let shown = shown_at(&mut c, "ada", group, None);
    let refusal = refused(&mut c, "ada", Command::History(group, BOARD, to_version(&then, None)));
    assert_eq!((refusal.code, refusal.hint.is_empty()), (RefusalCode::TooMuch, false));
    assert_eq!(shown_at(&mut c, "ada", group, None), shown);
    assert_eq!(restore(&mut c, "ada", (group, BOARD), &then, Some(cards[0])).things, [cards[0]]);
}
