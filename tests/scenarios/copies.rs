//! Copies of chats: whatever happened, what is read from a copy is what the chat itself shows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story that goes wrong shall stop")]

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{
    Changes, ChatCommand, Command, Copied, DocumentCopy, Kind, MessageView, Notice, Outcome, PlaceView,
    Reply, Revision,
};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::{
    COPY_BYTES, COPY_ROWS_MAX, FEED_THINGS_MAX, MARKER_AHEAD_MS_MAX, TEXT_BYTES_MAX,
};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::home::ReadMarker;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::{Document, Known, ReadModel, Search};
use fourword_tests::cluster::Cluster;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::people::{remove, set_role};

const NAMES: [&str; 3] = ["ada", "ben", "eve"];

/// One node's copy, and what it knows in this run of the node.
pub(crate) struct Copier {
    pub(crate) model: ReadModel,
    pub(crate) known: BTreeMap<Document, Known>,
}

impl Copier {
    pub(crate) fn new() -> Copier {
        Copier { model: ReadModel::in_memory().unwrap(), known: BTreeMap::new() }
    }

    /// One question about each document and its answer. True once the copy has everything.
    pub(crate) fn step(&mut self, c: &mut Cluster, name: &str, place: &PlaceView) -> bool {
        self.model.keep_documents(std::slice::from_ref(place)).unwrap();
        let mut has_all = true;
        let concerns: BTreeSet<Concern> = place.documents.iter().map(|stand| stand.concern).collect();
        for concern in concerns {
            let (mut segment, mut segments) = (1, 1);
            while segment <= segments {
                let document = (place.id, concern, segment);
                let known = self.known.entry(document).or_default();
                let copied = self.model.lacking(document, known).unwrap();
                let copy = copy(c, name, place.words, (concern, segment), copied);
                *known = self.model.take(document, *known, &copy).unwrap();
                has_all &= known.has_all();
                (segment, segments) = (segment + 1, copy.segments);
            }
        }
        has_all
    }

    /// Whether the machine has nothing to tell that the copy lacks.
    pub(crate) fn is_same(&mut self, c: &mut Cluster, name: &str, place: &PlaceView) -> bool {
        let of_place = self.known.iter().filter(|((of, ..), _)| *of == place.id);
        let known: Vec<(Document, Known)> = of_place.map(|(document, known)| (*document, *known)).collect();
        known.into_iter().all(|(document, mut known)| {
            let copied = self.model.lacking(document, &mut known).unwrap();
            let again = copy(c, name, place.words, (document.1, document.2), copied);
            let is_empty = matches!(&again.changes, Changes::Some { changed, gone, .. } if changed.is_empty() && gone.is_empty());
            is_empty && again.people.is_none()
        })
    }

    /// Compares the copy of each chat with what the chat shows.
    fn compare(&mut self, c: &mut Cluster, name: &str) {
        for place in places(c, name) {
            // What comes in meanwhile is no fault of the copy: both are looked at without an event between.
            for _ in 0..100 {
                while !self.step(c, name, &place) {}
                // Right after a start the chat itself shows no names; the copy kept them.
                c.must(name, Command::Members(place.words));
                let shown = shown(c, name, place.words);
                if self.is_same(c, name, &place) {
                    let page = self.model.page(place.id, None, 10_000).unwrap().unwrap();
                    let copied: Vec<MessageView> = page.messages.into_iter().map(|row| row.view).collect();
                    assert_eq!(copied, shown, "{name}");
                    break;
                }
            }
        }
    }
}

fn copy(
    c: &mut Cluster,
    name: &str,
    entity: FourWords,
    (concern, segment): (Concern, u32),
    known: Copied,
) -> DocumentCopy {
    match c.must(name, Command::Copy { entity, concern, segment, known }) {
        Reply::Copy(copy) => copy,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn places(c: &mut Cluster, name: &str) -> Vec<PlaceView> {
    match c.must(name, Command::Places) {
        Reply::Places(places) => places,
        other => panic!("{other:?}"),
    }
}

fn shown(c: &mut Cluster, name: &str, group: FourWords) -> Vec<MessageView> {
    match c.must(name, Command::Chat(group, ChatCommand::Read { last: 10_000 })) {
        Reply::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

/// Does something that somebody may do or not.
fn act(c: &mut Cluster, random: &mut ChaCha20Rng, group: FourWords, number: usize) {
    let name = NAMES[random.random_range(0..NAMES.len())];
    if !c.is_up(name) {
        return c.restart(name);
    }
    let messages: Vec<MessageId> = shown(c, name, group).iter().map(|view| view.message.id).collect();
    let some = messages.get(random.random_range(0..messages.len().max(1))).copied();
    let say = |command| Command::Chat(group, command);
    let text = format!("text {number}");
    let command = match (random.random_range(0..16), some) {
        (0..=5, parent) => {
            let parent = parent.filter(|_| random.random_bool(0.3));
            say(ChatCommand::say(text, parent))
        }
        (6..=7, Some(id)) => say(ChatCommand::Edit(id, text)),
        (8, Some(id)) => say(ChatCommand::Delete(id)),
        (10, Some(message)) => say(ChatCommand::Pin { message, on: random.random_bool(0.7) }),
        (9, Some(message)) => {
            let on = random.random_bool(0.7);
            say(ChatCommand::React { message, emoji: "👍".into(), on })
        }
        (11, _) => Command::SetName(format!("{name} {number}")),
        (12, _) => return c.isolate(name),
        (13, _) => return c.crash_keeping(name, random.random_range(0..3)),
        (14, _) => return c.stop(name),
        _ => {
            c.heal();
            return c.connect_all();
        }
    };
    // Whoever may not, or whose message is gone, is refused: that is a thing to copy, too.
    let _: Outcome = c.ask(name, command);
}

#[test]
fn a_copy_shows_what_the_chat_shows_after_whatever_happened() {
    for seed in 0..12 {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut c = Cluster::new(seed);
        // Every second chat goes through several segments.
        c.segment_bytes = if seed % 2 == 1 { 1024 } else { u64::MAX };
        let group = c.group_of(&NAMES);
        let mut copiers: BTreeMap<&str, Copier> = NAMES.map(|name| (name, Copier::new())).into();
        for number in 0..90 {
            act(&mut c, &mut random, group, number);
            if number == 45 {
                for name in NAMES {
                    if !c.is_up(name) {
                        c.restart(name);
                        copiers.get_mut(name).unwrap().known.clear();
                    }
                }
                c.settle();
                set_role_or_remove(&mut c, &mut random, group);
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
            match random.random_range(0..3) {
                // As far as it gets before it is killed, together with its node or alone.
                0 => {
                    let places = places(&mut c, name);
                    copier.step(&mut c, name, &places[0]);
                    if random.random_bool(0.5) {
                        copier.known.clear();
                    }
                }
                _ => copier.compare(&mut c, name),
            }
        }
        for name in NAMES {
            if !c.is_up(name) {
                c.restart(name);
                copiers.get_mut(name).unwrap().known.clear();
            }
        }
        c.heal();
        c.connect_all();
        c.settle();
        for name in NAMES {
            copiers.get_mut(name).unwrap().compare(&mut c, name);
        }
    }
}

fn set_role_or_remove(c: &mut Cluster, random: &mut ChaCha20Rng, group: FourWords) {
    if random.random_bool(0.5) {
        remove(c, "ada", group, "eve");
    } else {
        set_role(c, "ada", group, "eve", Role::Viewer);
    }
}

#[test]
fn a_copy_that_has_everything_keeps_the_chat_on_disk_after_a_restart() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada"]);
    for number in 0..5 {
        c.send_message("ada", group, &format!("m{number}"));
    }
    c.settle();
    let mut copier = Copier::new();
    copier.compare(&mut c, "ada");
    for crash in [false, true] {
        if crash {
            c.crash("ada")
        } else {
            c.stop("ada")
        }
        c.restart("ada");
        copier.known.clear();
        let chat = &places(&mut c, "ada")[0];
        assert!(copier.step(&mut c, "ada", chat), "it lacks nothing");
        assert_eq!(places(&mut c, "ada")[0].documents[0].revision, None, "the chat is not in memory");
    }
    assert_eq!(copier.model.page(places(&mut c, "ada")[0].id, None, 10).unwrap().unwrap().messages.len(), 5);
}

#[test]
fn a_copy_that_lags_too_far_behind_is_made_anew_page_by_page() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada"]);
    let mut ids = vec![c.send_message("ada", group, "the first")];
    let mut copier = Copier::new();
    copier.compare(&mut c, "ada");
    let before: Revision = places(&mut c, "ada")[0].documents[0].revision.unwrap();
    for number in 0..=FEED_THINGS_MAX {
        let parent = None;
        let id = c.begin("ada", Command::Chat(group, ChatCommand::say(format!("m{number}"), parent)));
        if number % 64 == 0 {
            c.run_until(|c| c.answer("ada", id).is_some());
        }
    }
    c.settle();
    let known = Copied { revision: Some(before), ..Copied::default() };
    let copy = copy(&mut c, "ada", group, (Concern::Chat, 1), known);
    let Changes::Whole { rows, next, .. } = copy.changes else { panic!("the whole chat") };
    assert!(rows.len() == COPY_ROWS_MAX && next.is_some() && copy.digest.is_none());
    copier.compare(&mut c, "ada");
    // Long messages fill a page before it has as many.
    for _ in 0..2 * COPY_BYTES / TEXT_BYTES_MAX {
        ids.push(c.send_message("ada", group, &"x".repeat(TEXT_BYTES_MAX)));
    }
    c.settle();
    let id = places(&mut c, "ada")[0].clone();
    assert!(!copier.step(&mut c, "ada", &id), "one page does not hold all of it");
    copier.compare(&mut c, "ada");
}

#[test]
fn a_closed_child_and_its_messages_are_listed_no_more() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben"]);
    let channel = c.create_child("ada", Kind::Channel, "coffee", group);
    c.settle();
    c.send_message("ben", channel, "a needle");
    c.settle();
    let mut copier = Copier::new();
    copier.compare(&mut c, "ada");
    let ids: Vec<EntityId> = places(&mut c, "ada").iter().map(|chat| chat.id).collect();
    assert_eq!(ids.len(), 2);
    let search = Search::new("needle").unwrap();
    assert_eq!(copier.model.search(&search, &ids, None, 5).unwrap().unwrap().len(), 1);
    let parent: Vec<EntityId> =
        places(&mut c, "ada").iter().filter(|chat| chat.words == group).map(|chat| chat.id).collect();
    assert_eq!(copier.model.search(&search, &parent, None, 5).unwrap().unwrap(), Vec::new());
    copier.model.keep_only(&parent).unwrap();
    assert_eq!(copier.model.held().unwrap().messages, 0);
}

#[test]
fn a_read_marker_goes_forward_alone_and_never_far_ahead() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben"]);
    let ids: Vec<MessageId> = (0..3).map(|n| c.send_message("ben", group, &format!("m{n}"))).collect();
    c.settle();
    let times: Vec<WallTime> = shown(&mut c, "ada", group).iter().map(|view| view.message.time).collect();
    let marker = |n: usize| ReadMarker { time: times[n], message: ids[n] };
    let mark = |c: &mut Cluster, marker| {
        c.must("ada", Command::Chat(group, ChatCommand::MarkRead(marker)));
        places(c, "ada")[0].read
    };
    assert_eq!(places(&mut c, "ada")[0].read, None);
    assert_eq!(mark(&mut c, marker(1)), Some(marker(1)));
    assert_eq!(mark(&mut c, marker(0)), Some(marker(1)), "never back");
    c.stop("ada");
    c.restart("ada");
    assert_eq!(places(&mut c, "ada")[0].read, Some(marker(1)), "it lasts");
    let far = ReadMarker { time: WallTime(u64::MAX), message: ids[2] };
    let ahead = mark(&mut c, far).unwrap().time.0 - times[2].0;
    assert!((MARKER_AHEAD_MS_MAX..MARKER_AHEAD_MS_MAX + 3_600_000).contains(&ahead), "{ahead}");
    assert!(c.notices("ada").iter().all(|notice| !matches!(notice, Notice::ReadOnly(_))));
}
