//! Boards between nodes: cards that are moved, changed and deleted together and apart.

use fourword_protocol::command::{
    At, BoardCommand, CardFilter, CardView, Change, ColumnView, Command, CommentCommand, CommentView, Kind,
    Notice, Outcome, Refusal, RefusalCode, Reply, ThingFilter,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::ids::DocumentKey;
use fourword_protocol::record::Query;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::{Concern, document_key};
use fourword_protocol::wire::kind_of;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::{Cluster, Happened};
use fourword_tests::insider::{keys_of, roster_of};

use crate::people::{id_of, set_role, words_of};

fn ask(c: &mut Cluster, by: &str, group: FourWords, command: BoardCommand) -> Outcome {
    c.ask(by, Command::Board(group, command))
}

fn must(c: &mut Cluster, by: &str, group: FourWords, command: BoardCommand) {
    assert_eq!(ask(c, by, group, command), Outcome::Done(Reply::Ok));
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(reply) => panic!("{reply:?}"),
    }
}

fn made(outcome: Outcome) -> ThingId {
    match outcome {
        Outcome::Done(Reply::Thing(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn column(c: &mut Cluster, by: &str, group: FourWords, title: &str) -> ThingId {
    made(ask(c, by, group, BoardCommand::AddColumn { title: title.into(), limit: 0, at: At::Last }))
}

fn card(c: &mut Cluster, by: &str, group: FourWords, column: &str, title: &str) -> ThingId {
    let (title, column) = (title.into(), column.into());
    made(ask(
        c,
        by,
        group,
        BoardCommand::AddCard { title, column, at: At::Last, changes: vec![], over: false },
    ))
}

fn move_to(card: ThingId, column: &str, at: At) -> BoardCommand {
    BoardCommand::MoveCard { card: card.short(), column: column.into(), at, over: false }
}

fn text(field: &str, text: &str) -> Change {
    Change::Field(field.into(), Value::Text(text.into()))
}

fn columns(c: &mut Cluster, at: &str, group: FourWords) -> Vec<ColumnView> {
    match ask(c, at, group, BoardCommand::Show(CardFilter::default())) {
        Outcome::Done(Reply::Board(board)) => board.columns,
        other => panic!("{other:?}"),
    }
}

/// The board in one line: `todo: paint, saw; done:`.
fn shown(c: &mut Cluster, at: &str, group: FourWords) -> String {
    let columns = columns(c, at, group).into_iter().map(|column| {
        let cards: Vec<String> = column.cards.into_iter().map(|card| card.title).collect();
        format!("{}: {}", column.title, cards.join(", "))
    });
    columns.collect::<Vec<_>>().join("; ")
}

fn look(c: &mut Cluster, at: &str, group: FourWords, card: ThingId) -> (CardView, Vec<CommentView>) {
    match ask(c, at, group, BoardCommand::Card(card.short())) {
        Outcome::Done(Reply::Card(card, comments)) => (*card, comments),
        other => panic!("{other:?}"),
    }
}

/// A group whose board has the columns `todo` and `done`, and the card `paint` in the first.
fn workshop(seed: u64, names: &[&str]) -> (Cluster, FourWords, ThingId) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(names);
    column(&mut c, names[0], group, "todo");
    column(&mut c, names[0], group, "done");
    let paint = card(&mut c, names[0], group, "todo", "paint");
    c.settle();
    (c, group, paint)
}

#[test]
fn a_board_that_one_fills_is_seen_and_changed_by_all() {
    let (mut c, group, paint) = workshop(1, &["ada", "ben", "eve"]);
    let saw = card(&mut c, "ben", group, "todo", "saw");
    must(&mut c, "ben", group, move_to(paint, "done", At::First));
    let ben = words_of(&mut c, "ben");
    let changes = vec![
        text("title", "paint the fence"),
        text("priority", "high"),
        text("due", "2026-11-30"),
        Change::Label("garden".into(), true),
        Change::Assign(ben, true),
        Change::AddLine("buy paint".into()),
        Change::AddLine("wait for sun".into()),
    ];
    must(&mut c, "eve", group, BoardCommand::SetCard(paint.short(), changes));
    c.settle();
    for name in ["ada", "ben", "eve"] {
        assert_eq!(shown(&mut c, name, group), "todo: saw; done: paint the fence", "{name}");
        let (card, _) = look(&mut c, name, group, paint);
        assert_eq!((card.priority.as_str(), card.due.as_str()), ("high", "2026-11-30"));
        assert_eq!((card.labels, card.assignees.len()), (vec!["garden".to_owned()], 1));
        let lines: Vec<_> = card.checklist.iter().map(|line| (line.text.as_str(), line.done)).collect();
        assert_eq!(lines, [("buy paint", false), ("wait for sun", false)]);
    }
    let line = look(&mut c, "ada", group, paint).0.checklist[0].id.clone();
    must(&mut c, "ada", group, BoardCommand::SetCard(paint.short(), vec![Change::Tick(line, true)]));
    c.settle();
    assert!(look(&mut c, "ben", group, paint).0.checklist[0].done);
    must(&mut c, "ben", group, move_to(saw, "done", At::Before(paint.short())));
    must(&mut c, "ben", group, BoardCommand::MoveColumn("done".into(), At::First));
    c.settle();
    assert_eq!(shown(&mut c, "eve", group), "done: saw, paint the fence; todo: ");
}

#[test]
fn two_who_move_one_card_apart_leave_it_in_one_column() {
    let (mut c, group, paint) = workshop(2, &["ada", "ben"]);
    column(&mut c, "ada", group, "doing");
    c.settle();
    c.isolate("ada");
    must(&mut c, "ada", group, move_to(paint, "doing", At::Last));
    must(&mut c, "ben", group, move_to(paint, "done", At::Last));
    must(&mut c, "ada", group, BoardCommand::SetCard(paint.short(), vec![text("title", "paint it red")]));
    must(&mut c, "ben", group, BoardCommand::SetCard(paint.short(), vec![text("priority", "low")]));
    c.heal();
    c.settle();
    let board = shown(&mut c, "ada", group);
    assert_eq!(shown(&mut c, "ben", group), board);
    assert_eq!(board.matches("paint it red").count(), 1, "{board}");
    assert_eq!(look(&mut c, "ada", group, paint).0.priority, "low", "both changes are kept");
}

#[test]
fn who_is_assigned_by_one_stays_so_whatever_another_changes_beside_it() {
    let (mut c, group, paint) = workshop(21, &["ada", "ben", "eve"]);
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|name| words_of(&mut c, name));
    let assign =
        |who: &str, is: bool| BoardCommand::SetCard(paint.short(), vec![Change::Assign(who.into(), is)]);
    must(&mut c, "ada", group, assign(&ada, true));
    c.settle();
    c.isolate("ada");
    // Apart: two are assigned, one is taken off, and one is assigned and taken off at once.
    must(&mut c, "ada", group, assign(&ben, true));
    must(&mut c, "ben", group, assign(&eve, true));
    must(&mut c, "eve", group, assign(&ada, false));
    must(&mut c, "ada", group, assign(&ada, false));
    must(&mut c, "ada", group, assign(&ada, true));
    c.heal();
    c.settle();
    let assignees = |c: &mut Cluster, at| -> Vec<String> {
        let card = look(c, at, group, paint).0;
        card.assignees.into_iter().map(|view| view.words.map(|w| w.to_string()).unwrap_or_default()).collect()
    };
    let first = assignees(&mut c, "ada");
    assert!([&ben, &eve].iter().all(|who| first.contains(who)), "{first:?}");
    assert!(["ben", "eve"].iter().all(|name| assignees(&mut c, name) == first), "{first:?}");
}

/// Whether somebody is assigned whom one took off and another assigned anew, apart; after they met.
fn assigned_apart(seed: u64) -> bool {
    let names = ["ada", "ben", "eve"];
    let (mut c, group, paint) = workshop(seed, &names);
    let ben = words_of(&mut c, "ben");
    let assign = |is: bool| BoardCommand::SetCard(paint.short(), vec![Change::Assign(ben.clone(), is)]);
    let is_assigned = |c: &mut Cluster, at| look(c, at, group, paint).0.assignees.len() == 1;
    must(&mut c, "ada", group, assign(true));
    c.settle();
    c.isolate("ada");
    must(&mut c, "ada", group, assign(false));
    must(&mut c, "eve", group, assign(false));
    must(&mut c, "eve", group, assign(true));
    c.settle();
    assert_eq!(names.map(|at| is_assigned(&mut c, at)), [false, true, true]);
    c.heal();
    c.settle();
    let first = is_assigned(&mut c, "ada");
    assert_eq!(names.map(|at| is_assigned(&mut c, at)), [first; 3]);
    for at in names {
        c.crash(at);
        c.restart(at);
        assert_eq!(is_assigned(&mut c, at), first, "{at} after a restart");
    }
    first
}

#[test]
fn who_is_taken_off_by_one_and_assigned_by_another_apart_is_the_same_for_all_and_stays_so() {
    let ended: Vec<bool> = (30..38).map(assigned_apart).collect();
    assert!(ended.contains(&true) && ended.contains(&false), "either may win: {ended:?}");
}

#[test]
fn as_many_boards_as_there_are_groups_are_all_there_after_a_restart() {
    let mut c = Cluster::new(22);
    c.add("ada");
    let groups: Vec<FourWords> = (0..60)
        .map(|number| {
            let group = c.create_group("ada", &format!("team {number}"));
            column(&mut c, "ada", group, "todo");
            card(&mut c, "ada", group, "todo", &format!("card {number}"));
            group
        })
        .collect();
    c.crash("ada");
    c.restart("ada");
    for (number, group) in groups.into_iter().enumerate() {
        assert_eq!(shown(&mut c, "ada", group), format!("todo: card {number}"));
    }
}

#[test]
fn what_was_done_offline_survives_a_crash_and_reaches_the_others() {
    let (mut c, group, paint) = workshop(3, &["ada", "ben"]);
    c.isolate("ben");
    must(&mut c, "ben", group, move_to(paint, "done", At::Last));
    card(&mut c, "ben", group, "todo", "saw");
    c.crash("ben");
    c.restart("ben");
    assert_eq!(shown(&mut c, "ben", group), "todo: saw; done: paint");
    assert_eq!(shown(&mut c, "ada", group), "todo: paint; done: ");
    c.heal();
    c.settle();
    assert_eq!(shown(&mut c, "ada", group), "todo: saw; done: paint");
}

#[test]
fn a_column_takes_no_more_cards_than_it_should_but_for_who_insists() {
    let (mut c, group, paint) = workshop(4, &["ada", "ben"]);
    let one = Change::Field("limit".into(), Value::Whole(1));
    must(&mut c, "ada", group, BoardCommand::SetColumn("done".into(), vec![one]));
    let saw = card(&mut c, "ada", group, "todo", "saw");
    c.settle();
    must(&mut c, "ben", group, move_to(paint, "done", At::Last));
    let refusal = refused(ask(&mut c, "ben", group, move_to(saw, "done", At::Last)));
    assert_eq!(refusal.code, RefusalCode::TooMuch);
    assert_eq!(refusal.message, "column \"done\" holds 1 cards, and takes at most 1");
    assert!(!refusal.hint.is_empty());
    let over = BoardCommand::MoveCard { card: saw.short(), column: "done".into(), at: At::First, over: true };
    must(&mut c, "ben", group, over);
    assert_eq!(columns(&mut c, "ben", group)[1].limit, Some(1));
    assert_eq!(shown(&mut c, "ben", group), "todo: ; done: saw, paint");
}

#[test]
fn cards_that_came_into_a_column_while_it_was_deleted_are_not_lost() {
    let (mut c, group, paint) = workshop(5, &["ada", "ben"]);
    c.isolate("ben");
    must(&mut c, "ben", group, move_to(paint, "done", At::Last));
    must(&mut c, "ada", group, BoardCommand::DeleteColumn("done".into()));
    let refusal = refused(ask(&mut c, "ada", group, BoardCommand::DeleteColumn("todo".into())));
    assert_eq!(refusal.hint, "move its cards to another column first");
    c.heal();
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(shown(&mut c, name, group), "todo: paint");
    }
}

#[test]
fn cards_of_a_board_whose_columns_were_all_deleted_apart_are_shown_and_go_into_the_next_one() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben"]);
    column(&mut c, "ada", group, "todo");
    column(&mut c, "ben", group, "done");
    c.settle();
    let paint = card(&mut c, "ada", group, "todo", "paint");
    c.settle();
    c.isolate("ben");
    must(&mut c, "ada", group, move_to(paint, "done", At::Last));
    must(&mut c, "ada", group, BoardCommand::DeleteColumn("todo".into()));
    must(&mut c, "ben", group, BoardCommand::DeleteColumn("done".into()));
    c.heal();
    c.settle();
    for name in ["ada", "ben"] {
        let Outcome::Done(Reply::Board(board)) =
            ask(&mut c, name, group, BoardCommand::Show(CardFilter::default()))
        else {
            panic!("a board")
        };
        assert!(board.columns.is_empty());
        let loose: Vec<_> = board.loose.iter().map(|card| (card.id, card.column)).collect();
        assert_eq!(loose, [(paint, None)]);
    }
    column(&mut c, "ada", group, "anew");
    c.settle();
    assert_eq!(shown(&mut c, "ben", group), "anew: paint");
}

/// Each column with how many cards stand in it and the titles of those that fit.
fn fitting(c: &mut Cluster, at: &str, group: FourWords, filter: CardFilter) -> Vec<(usize, Vec<String>)> {
    let Outcome::Done(Reply::Board(board)) = ask(c, at, group, BoardCommand::Show(filter)) else {
        panic!("a board")
    };
    let titles = |column: ColumnView| column.cards.into_iter().map(|card| card.title).collect();
    board.columns.into_iter().map(|column| (column.count, titles(column))).collect()
}

#[test]
fn cards_are_found_by_column_person_and_day_and_all_columns_are_shown() {
    let (mut c, group, paint) = workshop(11, &["ada", "ben"]);
    let ben = words_of(&mut c, "ben");
    let saw = card(&mut c, "ben", group, "done", "saw");
    let changes = vec![Change::Assign(ben.clone(), true), text("due", "2001-02-03")];
    must(&mut c, "ada", group, BoardCommand::SetCard(paint.short(), changes));
    c.settle();
    let of = |thing| CardFilter { thing, ..CardFilter::default() };
    let any = ThingFilter::default;
    let painting = || vec![(1, vec!["paint".to_owned()]), (1, vec![])];
    let sawing = || vec![(1, vec![]), (1, vec!["saw".to_owned()])];
    for (filter, expected) in [
        (CardFilter { column: Some("Todo".into()), ..of(any()) }, painting()),
        (CardFilter { is_overdue: Some(true), ..of(any()) }, painting()),
        (of(ThingFilter { assignee: Some(ben.clone()), ..any() }), painting()),
        (of(ThingFilter { assignee: Some(String::new()), ..any() }), sawing()),
        (of(ThingFilter { author: Some(ben.clone()), ..any() }), sawing()),
    ] {
        assert_eq!(fitting(&mut c, "ada", group, filter.clone()), expected, "{filter:?}");
    }
    let nowhere = CardFilter { column: Some("doing".into()), ..of(any()) };
    let refusal = refused(ask(&mut c, "ada", group, BoardCommand::Show(nowhere)));
    assert_eq!(refusal.code, RefusalCode::NotFound);
    for card in [paint, saw] {
        must(&mut c, "ada", group, BoardCommand::Archive(card.short(), true));
    }
    let done = CardFilter { column: Some("done".into()), ..of(any()) };
    let Outcome::Done(Reply::Cards(away)) = ask(&mut c, "ada", group, BoardCommand::Archived(done)) else {
        panic!("cards")
    };
    assert_eq!(away.iter().map(|card| card.id).collect::<Vec<_>>(), [saw]);
}

#[test]
fn a_card_is_put_away_and_comes_back_and_a_deleted_one_never_does() {
    let (mut c, group, paint) = workshop(6, &["ada", "ben"]);
    must(&mut c, "ben", group, BoardCommand::Archive(paint.short(), true));
    c.settle();
    assert_eq!(shown(&mut c, "ada", group), "todo: ; done: ");
    let Outcome::Done(Reply::Cards(away)) =
        ask(&mut c, "ada", group, BoardCommand::Archived(CardFilter::default()))
    else {
        panic!()
    };
    assert_eq!(away.iter().map(|card| card.id).collect::<Vec<_>>(), [paint]);
    must(&mut c, "ada", group, BoardCommand::Archive(paint.short(), false));
    c.settle();
    assert_eq!(shown(&mut c, "ben", group), "todo: paint; done: ");

    let refusal = refused(ask(&mut c, "ben", group, BoardCommand::DeleteCard(paint.short())));
    assert_eq!(
        (refusal.code, refusal.hint.as_str()),
        (RefusalCode::NotAllowed, "ask an owner or admin, or who made it")
    );
    c.isolate("ben");
    must(&mut c, "ada", group, BoardCommand::DeleteCard(paint.short()));
    must(&mut c, "ben", group, BoardCommand::SetCard(paint.short(), vec![text("title", "paint anew")]));
    must(&mut c, "ben", group, move_to(paint, "done", At::Last));
    c.heal();
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(shown(&mut c, name, group), "todo: ; done: ", "{name}: deletion wins");
        let again = refused(ask(&mut c, name, group, BoardCommand::Archive(paint.to_string(), false)));
        assert_eq!(again.code, RefusalCode::NotFound);
    }
    let pruned = |c: &mut Cluster| match c.must("ada", Command::Tombstones(group)) {
        Reply::Tombstones(documents) => documents.iter().map(|document| document.pruned).sum::<u64>(),
        other => panic!("{other:?}"),
    };
    c.run_for(120_000);
    assert_eq!(pruned(&mut c), 1, "and what everybody knows to be deleted is forgotten");
}

#[test]
fn people_talk_about_a_card() {
    let (mut c, group, paint) = workshop(7, &["ada", "ben"]);
    let comment = |command| BoardCommand::Comment(command);
    let add = CommentCommand::Add { about: paint.short(), text: "which colour?".into() };
    let asked = made(ask(&mut c, "ben", group, comment(add)));
    c.settle();
    let add = CommentCommand::Add { about: paint.short(), text: "red".into() };
    made(ask(&mut c, "ada", group, comment(add)));
    let edit = CommentCommand::Edit { comment: asked.short(), text: "which colour, please?".into() };
    let refusal = refused(ask(&mut c, "ada", group, comment(edit.clone())));
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
    must(&mut c, "ben", group, comment(edit));
    c.settle();
    for name in ["ada", "ben"] {
        let (card, comments) = look(&mut c, name, group, paint);
        let said: Vec<_> = comments.iter().map(|said| said.comment.text.as_str()).collect();
        assert_eq!((card.comments, said), (2, vec!["which colour, please?", "red"]));
        let shown = ask(&mut c, name, group, comment(CommentCommand::Show(asked.short())));
        assert_eq!(shown, Outcome::Done(Reply::Comment(comments[0].clone())));
    }
    must(&mut c, "ada", group, comment(CommentCommand::Delete(asked.short())));
    c.settle();
    assert_eq!(look(&mut c, "ben", group, paint).0.comments, 1);
    let gone = refused(ask(&mut c, "ben", group, comment(CommentCommand::Show(asked.short()))));
    assert_eq!(gone.code, RefusalCode::NotFound);
}

#[test]
fn a_viewer_reads_a_board_and_changes_nothing() {
    let (mut c, group, paint) = workshop(8, &["ada", "ben"]);
    set_role(&mut c, "ada", group, "ben", Role::Viewer);
    c.settle();
    assert_eq!(shown(&mut c, "ben", group), "todo: paint; done: ");
    let refusal = refused(ask(&mut c, "ben", group, move_to(paint, "done", At::Last)));
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
    assert_eq!(refusal.hint, "ask an owner or admin for the role of a member");
}

#[test]
fn what_is_named_unclearly_or_is_not_there_is_refused_with_what_to_do() {
    let (mut c, group, _) = workshop(9, &["ada"]);
    let refusal = refused(ask(&mut c, "ada", group, BoardCommand::Card("77777777".into())));
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (RefusalCode::NotFound, "no card is named \"77777777\"")
    );
    assert!(!refusal.hint.is_empty());
    let wrong = vec![text("priority", "soon")];
    let refusal = refused(ask(&mut c, "ada", group, BoardCommand::SetColumn("todo".into(), wrong)));
    assert_eq!(refusal.message, "columns have no \"priority\"");
    let channel = c.create_child("ada", Kind::Channel, "talk", group);
    c.settle();
    let refusal = refused(ask(&mut c, "ada", channel, BoardCommand::Show(CardFilter::default())));
    assert_eq!(refusal.message, format!("{channel} has no board"));
}

#[test]
fn listeners_hear_which_cards_changed() {
    let (mut c, group, paint) = workshop(10, &["ada", "ben"]);
    let before = c.notices("ben").len();
    must(&mut c, "ada", group, move_to(paint, "done", At::Last));
    c.settle();
    let told = Notice::ThingsChanged { entity: group, concern: Concern::Kanban, things: vec![paint] };
    assert!(c.notices("ben")[before..].contains(&told));
}

/// The name under which a group's board travels.
fn board_of(c: &mut Cluster, group: FourWords) -> DocumentKey {
    let id = id_of(c, "ada", group);
    let secret = keys_of(&roster_of(c, "ada", id), &c.secret("ada")).1.unwrap();
    document_key(secret.bytes(), &Concern::Kanban, 1)
}

#[test]
fn a_board_in_which_nobody_wrote_is_not_read_or_listened_to() {
    let mut c = Cluster::new(11);
    let group = c.group_of(&["ada", "ben"]);
    let board = board_of(&mut c, group);
    c.stop("ada");
    c.restart("ada");
    c.connect_all();
    let end = c.now() + 120_000;
    let see = |happened: &Happened| {
        for effect in &happened.effects {
            let reads =
                |query: &Query| matches!(query, Query::Document { document, .. } if *document == board);
            match effect {
                Effect::Load(_, query) => assert!(!reads(query)),
                Effect::Send(_, bytes) => {
                    assert!(!bytes.windows(32).any(|part| part == board.0), "{}", kind_of(bytes));
                }
                _ => {}
            }
        }
    };
    while c.now() < end && c.step_seen(&mut |_, happened| see(happened)) {}
    let quiet = c.topics("ada").len();
    assert_eq!(shown(&mut c, "ada", group), "");
    column(&mut c, "ben", group, "todo");
    c.settle();
    assert_eq!(shown(&mut c, "ada", group), "todo: ");
    assert!(c.topics("ada").len() > quiet, "from now on it is listened to");
    c.gossip_loss = 100;
    card(&mut c, "ada", group, "todo", "paint");
    c.settle();
    assert_eq!(shown(&mut c, "ben", group), "todo: paint");
}
