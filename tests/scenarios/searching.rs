//! Searches by a copy: whatever happened, what is found is what the documents show.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{
    At, BoardCommand, BoardView, CanvasCommand, CardFilter, CardView, Change, ChatCommand, Command,
    CommentCommand, CommentView, IssueCommand, IssueFilter, Kind, Outcome, PersonView, PlaceView, Reply,
};
use fourword_protocol::limits::COPY_ROWS_MAX;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::key;
use fourword_protocol::schema::thing::{ThingId, ThingKind};
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::{Found, HITS_MAX, Search};
use fourword_tests::cluster::Cluster;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::copies::{Copier, places};
use crate::people::{remove, words_of};

const NAMES: [&str; 3] = ["ada", "ben", "eve"];

/// All texts are made of these, so that each of them is in several.
const WORDS: [&str; 6] = ["apple", "birch", "cedar", "daisy", "elder", "fern"];

/// What somebody sees of one thing.
#[derive(Clone, Debug)]
struct Seen {
    kind: ThingKind,
    id: ThingId,
    closed: bool,
    assigned: Vec<PersonView>,
    /// All it says.
    texts: Vec<String>,
}

impl Seen {
    fn says(&self, word: &str) -> bool {
        self.texts.iter().flat_map(|text| text.split_whitespace()).any(|said| said == word)
    }
}

/// All that the documents of a place show, asked for as people do.
fn seen(c: &mut Cluster, name: &str, group: FourWords) -> Vec<Seen> {
    let mut all = Vec::new();
    let see = |kind, id, closed, texts| Seen { kind, id, closed, assigned: Vec::new(), texts };
    let said = |comments: Vec<CommentView>| {
        comments
            .into_iter()
            .map(move |view| see(ThingKind::Comment, view.comment.id, false, vec![view.comment.text]))
    };
    let Reply::Messages(messages) = c.must(name, Command::Chat(group, ChatCommand::Read { last: 10_000 }))
    else {
        panic!("messages")
    };
    let messages = messages.into_iter().map(|view| view.message).filter(|message| !message.deleted);
    all.extend(messages.map(|message| see(ThingKind::Message, message.id, false, vec![message.text])));
    let Reply::Board(BoardView { columns, .. }) =
        c.must(name, Command::Board(group, BoardCommand::Show(CardFilter::default())))
    else {
        panic!("a board")
    };
    let Reply::Cards(away) =
        c.must(name, Command::Board(group, BoardCommand::Archived(CardFilter::default())))
    else {
        panic!("cards")
    };
    let mut cards: Vec<CardView> = away;
    for column in columns {
        all.push(see(ThingKind::Column, column.id, false, vec![column.title]));
        cards.extend(column.cards);
    }
    for card in cards {
        let one = BoardCommand::Card(card.id.to_string());
        let Reply::Card(card, comments) = c.must(name, Command::Board(group, one)) else { panic!("a card") };
        let lines = card.checklist.into_iter().map(|line| line.text);
        let texts = [card.title, card.description].into_iter().chain(lines).chain(card.labels).collect();
        let assigned = card.assignees;
        all.push(Seen { assigned, ..see(ThingKind::Card, card.id, card.archived, texts) });
        all.extend(said(comments));
    }
    let list = IssueCommand::List(IssueFilter::default());
    let Reply::Issues(issues) = c.must(name, Command::Issue(group, list)) else { panic!("issues") };
    for issue in issues {
        let one = IssueCommand::Show(issue.id.to_string());
        let Reply::Issue(issue, comments) = c.must(name, Command::Issue(group, one)) else {
            panic!("an issue")
        };
        let texts = [issue.title, issue.description].into_iter().chain(issue.labels).collect();
        let assigned = issue.assignee.into_iter().collect();
        all.push(Seen { assigned, ..see(ThingKind::Issue, issue.id, issue.closed, texts) });
        all.extend(said(comments));
    }
    let Reply::Canvas(canvas) = c.must(name, Command::Canvas(group, CanvasCommand::Show)) else {
        panic!("a canvas")
    };
    let elements = canvas.elements.into_iter();
    all.extend(elements.map(|element| see(ThingKind::Element, element.id, false, vec![element.text])));
    all
}

/// What is found of one word, and whether it is shown as closed.
fn found(
    copier: &Copier,
    place: &PlaceView,
    word: &str,
    kinds: &[ThingKind],
) -> BTreeSet<(ThingKind, ThingId, bool)> {
    let search = Search::new(&format!("\"{word}\"")).unwrap().among(kinds.to_vec());
    let hits = copier.model.search(&search, &[place.id], None, HITS_MAX).unwrap().unwrap();
    assert!(hits.len() < HITS_MAX, "all of it fits one page");
    let shown = hits.into_iter().map(|hit| match hit.found {
        Found::Message(shown) => (ThingKind::Message, shown.view.message.id, false),
        Found::Thing(thing) => (thing.kind, thing.id, thing.closed),
    });
    shown.collect()
}

/// Compares what is found in the copy with what the documents show, and gives that.
fn compare(copier: &mut Copier, c: &mut Cluster, name: &str, group: FourWords) -> Vec<Seen> {
    let place_of = |c: &mut Cluster| places(c, name).into_iter().find(|place| place.words == group).unwrap();
    // What comes in meanwhile is no fault of the copy: both are looked at without an event between.
    for _ in 0..100 {
        let place = place_of(c);
        while !copier.step(c, name, &place) {}
        c.must(name, Command::Members(group));
        let seen = seen(c, name, group);
        let (before, now) = (place.documents.len(), place_of(c).documents.len());
        if !copier.is_same(c, name, &place) || before != now {
            continue;
        }
        for word in WORDS {
            let says = |kinds: &[ThingKind]| -> BTreeSet<(ThingKind, ThingId, bool)> {
                let of_kind = |seen: &&Seen| kinds.is_empty() || kinds.contains(&seen.kind);
                let said = seen.iter().filter(|seen| seen.says(word)).filter(of_kind);
                said.map(|seen| (seen.kind, seen.id, seen.closed)).collect()
            };
            for kinds in [&[][..], &[ThingKind::Issue, ThingKind::Comment][..], &[ThingKind::Message][..]] {
                assert_eq!(found(copier, &place, word, kinds), says(kinds), "{name} looks for {word}");
            }
        }
        for seen in seen.iter().filter(|seen| seen.kind != ThingKind::Message) {
            let ids = found(copier, &place, &seen.id.short(), &[]);
            assert!(ids.contains(&(seen.kind, seen.id, seen.closed)), "{seen:?} is found by its id");
        }
        let is_mine = |person: &PersonView| key::owner(&person.person) == place.me;
        let mine = seen.iter().filter(|seen| !seen.closed && seen.assigned.iter().any(is_mine)).count();
        let unread = copier.model.unread(place.id, place.me, None, WallTime(u64::MAX)).unwrap();
        assert_eq!(usize::try_from(unread.assigned).unwrap(), mine, "{name}");
        return seen;
    }
    panic!("{name} is never at rest");
}

fn text(field: &str, text: String) -> Change {
    Change::Field(field.into(), Value::Text(text))
}

/// One of the things of a kind that somebody sees.
fn some(seen: &[Seen], random: &mut ChaCha20Rng, kind: ThingKind) -> Option<String> {
    let ids: Vec<ThingId> = seen.iter().filter(|seen| seen.kind == kind).map(|seen| seen.id).collect();
    ids.get(random.random_range(0..ids.len().max(1))).map(ToString::to_string)
}

/// Something that people say, of one to three words.
fn phrase(random: &mut ChaCha20Rng) -> String {
    let count = random.random_range(1..=3);
    let words: Vec<&str> = (0..count).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
    words.join(" ")
}

/// A change of a card or an issue.
fn change(random: &mut ChaCha20Rng, who: &str, is_card: bool) -> Change {
    match random.random_range(0..6) {
        0 => text("title", phrase(random)),
        1 => text("description", phrase(random)),
        2 => Change::Label(WORDS[random.random_range(0..2)].into(), random.random_bool(0.6)),
        3 if is_card => Change::AddLine(phrase(random)),
        4 if !is_card => text("status", ["todo", "done", "canceled"][random.random_range(0..3)].into()),
        _ => Change::Assign(who.into(), random.random_bool(0.7)),
    }
}

fn say(random: &mut ChaCha20Rng, seen: &[Seen], about: Option<String>) -> Option<CommentCommand> {
    let (comment, text) = (some(seen, random, ThingKind::Comment), phrase(random));
    Some(match random.random_range(0..4) {
        0 => CommentCommand::Edit { comment: comment?, text },
        1 => CommentCommand::Delete(comment?),
        _ => CommentCommand::Add { about: about?, text },
    })
}

fn on_board(random: &mut ChaCha20Rng, seen: &[Seen], who: &str) -> Option<BoardCommand> {
    let (card, column) = (some(seen, random, ThingKind::Card), some(seen, random, ThingKind::Column));
    let title = phrase(random);
    Some(match random.random_range(0..10) {
        0 => BoardCommand::AddColumn { title, limit: 0, at: At::Last },
        1 | 2 => {
            let (changes, over) = (vec![change(random, who, true)], false);
            BoardCommand::AddCard { title, column: column?, at: At::Last, changes, over }
        }
        3 | 4 => BoardCommand::SetCard(card?, vec![change(random, who, true)]),
        5 => BoardCommand::MoveCard { card: card?, column: column?, at: At::First, over: false },
        6 => BoardCommand::Archive(card?, random.random_bool(0.6)),
        7 => BoardCommand::DeleteCard(card?),
        8 => BoardCommand::DeleteColumn(column?),
        _ => BoardCommand::Comment(say(random, seen, card)?),
    })
}

fn on_issues(random: &mut ChaCha20Rng, seen: &[Seen], who: &str) -> Option<IssueCommand> {
    let issue = some(seen, random, ThingKind::Issue);
    Some(match random.random_range(0..7) {
        0 | 1 => IssueCommand::Add { title: phrase(random), changes: vec![change(random, who, false)] },
        2 | 3 => IssueCommand::Set(issue?, vec![change(random, who, false)]),
        4 => IssueCommand::Delete(issue?),
        _ => IssueCommand::Comment(say(random, seen, issue)?),
    })
}

fn on_canvas(random: &mut ChaCha20Rng, seen: &[Seen]) -> Option<CanvasCommand> {
    let element = some(seen, random, ThingKind::Element);
    let number = |number: f64| Number::new(number).unwrap();
    let pair = |field: &str| Change::Field(field.into(), Value::Pair(number(1.0), number(2.0)));
    Some(match random.random_range(0..4) {
        0 | 1 => {
            let said = text("text", phrase(random));
            CanvasCommand::Add(vec![text("element_type", "text".into()), pair("place"), pair("size"), said])
        }
        2 => CanvasCommand::Set(element?, vec![text("text", phrase(random))]),
        _ => CanvasCommand::Delete(element?),
    })
}

fn in_chat(random: &mut ChaCha20Rng, seen: &[Seen]) -> Option<ChatCommand> {
    let messages: Vec<ThingId> =
        seen.iter().filter(|seen| seen.kind == ThingKind::Message).map(|seen| seen.id).collect();
    let message = messages.get(random.random_range(0..messages.len().max(1))).copied();
    Some(match random.random_range(0..4) {
        0 => ChatCommand::Edit(message?, phrase(random)),
        1 => ChatCommand::Delete(message?),
        _ => ChatCommand::say(phrase(random), None),
    })
}

/// Does something that somebody may do or not.
fn act(c: &mut Cluster, random: &mut ChaCha20Rng, group: FourWords, people: &BTreeMap<&str, String>) {
    let name = NAMES[random.random_range(0..NAMES.len())];
    if !c.is_up(name) {
        return c.restart(name);
    }
    let seen = seen(c, name, group);
    let who = &people[NAMES[random.random_range(0..NAMES.len())]];
    let concern = [Concern::Kanban, Concern::Issues, Concern::Canvas][random.random_range(0..3)];
    let command = match random.random_range(0..24) {
        0..=7 => on_board(random, &seen, who).map(|command| Command::Board(group, command)),
        8..=12 => on_issues(random, &seen, who).map(|command| Command::Issue(group, command)),
        13..=15 => on_canvas(random, &seen).map(|command| Command::Canvas(group, command)),
        16 | 17 => in_chat(random, &seen).map(|command| Command::Chat(group, command)),
        18 => Some(Command::Undo(group, concern)),
        19 => Some(Command::Redo(group, concern)),
        20 => return c.isolate(name),
        21 => return c.crash_keeping(name, random.random_range(0..3)),
        22 => return c.stop(name),
        _ => {
            c.heal();
            return c.connect_all();
        }
    };
    if let Some(command) = command {
        // Whoever may not, or whose thing is gone, is refused: that is a thing to copy, too.
        let _: Outcome = c.ask(name, command);
    }
}

fn up_again(c: &mut Cluster, copiers: &mut BTreeMap<&str, Copier>) {
    for name in NAMES {
        if !c.is_up(name) {
            c.restart(name);
            copiers.get_mut(name).unwrap().known.clear();
        }
    }
}

#[test]
fn what_is_found_is_what_the_documents_show_after_whatever_happened() {
    let mut all: Vec<Seen> = Vec::new();
    for seed in 0..16 {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut c = Cluster::new(seed);
        let group = c.group_of(&NAMES);
        let people: BTreeMap<&str, String> = NAMES.map(|name| (name, words_of(&mut c, name))).into();
        let mut copiers: BTreeMap<&str, Copier> = NAMES.map(|name| (name, Copier::new())).into();
        for number in 0..120 {
            act(&mut c, &mut random, group, &people);
            if number == 80 && seed % 2 == 0 {
                up_again(&mut c, &mut copiers);
                c.settle();
                remove(&mut c, "ada", group, "eve");
            }
            let name = NAMES[random.random_range(0..NAMES.len())];
            for (_, copier) in copiers.iter_mut().filter(|(name, _)| !c.is_up(name)) {
                // A new run of the node knows no more of the old one than what the copy keeps.
                copier.known.clear();
            }
            if !c.is_up(name) {
                continue;
            }
            let copier = copiers.get_mut(name).unwrap();
            match random.random_range(0..6) {
                // As far as it gets before it is killed, together with its node or alone.
                0 => {
                    let place = places(&mut c, name).remove(0);
                    copier.step(&mut c, name, &place);
                    if random.random_bool(0.5) {
                        copier.known.clear();
                    }
                }
                1 => drop(compare(copier, &mut c, name, group)),
                _ => {}
            }
        }
        up_again(&mut c, &mut copiers);
        c.heal();
        c.connect_all();
        c.settle();
        // Long enough for what was deleted to be forgotten.
        c.run_for(120_000);
        for name in NAMES {
            all.extend(compare(copiers.get_mut(name).unwrap(), &mut c, name, group));
        }
    }
    for kind in ThingKind::ALL {
        assert!(
            all.iter().filter(|seen| seen.kind == kind).count() > 20,
            "too little was looked at: {kind:?}"
        );
    }
    assert!(all.iter().any(|seen| seen.closed) && all.iter().any(|seen| !seen.assigned.is_empty()));
}

#[test]
fn what_nobody_wrote_in_is_not_copied_and_costs_nothing() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    c.settle();
    let concerns = |c: &mut Cluster, name: &str| -> Vec<Concern> {
        let place = places(c, name).remove(0);
        assert_eq!(place.words, group);
        place.documents.iter().map(|stand| stand.concern).collect()
    };
    assert_eq!(concerns(&mut c, "ada"), [Concern::Chat]);
    let add = IssueCommand::Add { title: "apple".into(), changes: Vec::new() };
    c.must("ada", Command::Issue(group, add));
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(concerns(&mut c, name), [Concern::Chat, Concern::Issues]);
        let mut copier = Copier::new();
        let place = places(&mut c, name).remove(0);
        while !copier.step(&mut c, name, &place) {}
        assert_eq!(found(&copier, &place, "apple", &[]).len(), 1);
        // A document that is not there any more is found no more.
        let chat = place.documents.iter().copied().filter(|stand| stand.concern == Concern::Chat);
        let emptied = PlaceView { documents: chat.collect(), ..place.clone() };
        copier.model.keep_documents(&[emptied]).unwrap();
        assert_eq!(found(&copier, &place, "apple", &[]).len(), 0);
        while !copier.step(&mut c, name, &place) {}
        assert_eq!(found(&copier, &place, "apple", &[]).len(), 1, "once it is back it is copied again");
    }
}

#[test]
fn a_copy_of_a_board_lasts_over_restarts_and_asks_for_no_reading() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada"]);
    c.must(
        "ada",
        Command::Board(group, BoardCommand::AddColumn { title: "cedar".into(), limit: 0, at: At::Last }),
    );
    c.settle();
    let mut copier = Copier::new();
    compare(&mut copier, &mut c, "ada", group);
    for crash in [false, true] {
        if crash {
            c.crash("ada");
        } else {
            c.stop("ada");
        }
        c.restart("ada");
        copier.known.clear();
        let place = places(&mut c, "ada").remove(0);
        assert!(copier.step(&mut c, "ada", &place), "it lacks nothing");
        let board = place.documents.iter().find(|stand| stand.concern == Concern::Kanban).unwrap();
        assert!(copier.model.has(place.id, board, &Default::default()).unwrap());
        assert_eq!(found(&copier, &place, "cedar", &[]).len(), 1);
    }
}

#[test]
fn a_project_is_searched_as_its_group_is_and_each_by_itself() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben"]);
    let project = c.create_child("ada", Kind::Project, "orchard", group);
    c.settle();
    for (place, title) in [(group, "apple"), (project, "apple birch")] {
        c.must("ben", Command::Issue(place, IssueCommand::Add { title: title.into(), changes: Vec::new() }));
    }
    c.settle();
    let mut copier = Copier::new();
    let all = places(&mut c, "ada");
    for place in &all {
        while !copier.step(&mut c, "ada", place) {}
        let in_it = found(&copier, place, "apple", &[ThingKind::Issue]);
        assert_eq!(in_it.len(), 1);
        assert_eq!(found(&copier, place, "birch", &[]).len(), usize::from(place.words == project));
    }
    let ids: Vec<_> = all.iter().map(|place| place.id).collect();
    let search = Search::new("apple").unwrap();
    assert_eq!(copier.model.search(&search, &ids, None, 10).unwrap().unwrap().len(), 2);
}

#[test]
fn a_tracker_that_one_page_does_not_hold_is_copied_whole_though_it_changes_meanwhile() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada"]);
    let report = |c: &mut Cluster, title: &str| {
        let add = IssueCommand::Add { title: title.into(), changes: Vec::new() };
        match c.must("ada", Command::Issue(group, add)) {
            Reply::Thing(id) => id,
            other => panic!("{other:?}"),
        }
    };
    let mut ids: Vec<ThingId> = (0..COPY_ROWS_MAX + 10).map(|_| report(&mut c, "apple")).collect();
    ids.sort_by_key(|id| id.random);
    c.settle();
    let mut copier = Copier::new();
    let place = places(&mut c, "ada").remove(0);
    assert!(!copier.step(&mut c, "ada", &place), "one page does not hold all of it");
    // One that was copied already goes, one that was not, and one comes.
    for id in [ids[0], ids[ids.len() - 1]] {
        c.must("ada", Command::Issue(group, IssueCommand::Delete(id.to_string())));
    }
    let new = report(&mut c, "birch");
    c.settle();
    while !copier.step(&mut c, "ada", &place) {}
    let expected = u64::try_from(ids.len() - 2 + 1).unwrap();
    assert_eq!(copier.model.held().unwrap().things, expected);
    assert_eq!(found(&copier, &place, "birch", &[]), BTreeSet::from([(ThingKind::Issue, new, false)]));
    for (id, count) in [(ids[0], 0), (ids[1], 1), (ids[ids.len() - 1], 0)] {
        assert_eq!(found(&copier, &place, &id.short(), &[]).len(), count);
    }
}
