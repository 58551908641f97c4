//! People write in one text of each group, in the profile in which they do: whole words go in between
//! others, and are taken out again.
//!
//! Every word is written once in the whole world, so in the end it can be told of each whether it is
//! there, and there once.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{Command, Outcome, Reply, TextCommand};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::DeviceKey;
use fourword_protocol::limits::LATE_TEXT_BYTES_MAX;
use fourword_protocol::roster::{Body, Role, Roster, Vectors};
use fourword_protocol::schema::FileId;
use fourword_protocol::update::document::TextEdit;
use fourword_protocol::words::FourWords;
use rand::Rng;

use super::check::is_stored;
use super::schedule::Schedule;
use super::truth;
use super::verdict::{Rule, Violation, demand};
use super::working::Desk;
use super::world::{Intent, Promise};
use crate::draw;

/// The text in which people of a group write.
const FILE: FileId = FileId([3; 16]);

/// What people wrote and took out of texts, as far as they were told that it is saved.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// In which group each word was written, and where that is saved.
    pub(super) written: BTreeMap<String, (usize, Promise)>,
    /// Words that were taken out.
    pub(super) erased: BTreeMap<String, Vec<Promise>>,
    /// Words that somebody asked to have taken out, answered or not.
    doomed: BTreeSet<String>,
}

/// What one change of a text writes and takes out.
#[derive(Clone, Debug, Default)]
pub(super) struct Stroke {
    group: usize,
    written: Vec<String>,
    erased: Vec<String>,
}

impl Typed {
    /// Whether a change writes nothing that stays and takes out nothing that was saved.
    pub(super) fn is_nothing(&self, stroke: &Stroke) -> bool {
        stroke.written.iter().all(|word| self.doomed.contains(word))
            && !stroke.erased.iter().any(|word| self.written.contains_key(word))
    }

    /// Takes in that a change was called saved.
    pub(super) fn saved(&mut self, stroke: &Stroke, promise: &Promise) {
        for word in &stroke.written {
            self.written.insert(word.clone(), (stroke.group, promise.clone()));
        }
        for word in &stroke.erased {
            self.erased.entry(word.clone()).or_default().push(promise.clone());
        }
    }
}

/// The words of a text, each with its end.
fn words_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

impl Schedule {
    /// Somebody writes, or takes out what is written.
    pub(super) fn type_something(&mut self) {
        let Some((name, person)) = self.someone() else { return };
        let Some(group) = self.group_for(person) else { return };
        let Some(words) = self.world.groups.get(group).map(|group| group.words) else { return };
        let desk = Desk { name, person, group, words };
        let Some(text) = self.text(&desk.name, words) else {
            let read = Command::Text(words, FILE, TextCommand::Read);
            self.begin(&desk.name, read, Intent::Other("texts opened"));
            return;
        };
        let mut stroke = Stroke { group, ..Stroke::default() };
        let mut edits = Vec::new();
        let mut shown: Vec<String> = words_of(&text).into_iter().map(str::to_owned).collect();
        for _ in 0..1 + self.random.next_u64() % 3 {
            edits.push(self.edit(&desk, &mut shown, &mut stroke));
        }
        self.world.typed.doomed.extend(stroke.erased.iter().cloned());
        let edit = Command::Text(words, FILE, TextCommand::Edit(edits));
        self.begin(&desk.name, edit, Intent::Type(stroke));
    }

    /// One edit of a text that shows these words, which then shows others.
    fn edit(&mut self, desk: &Desk, shown: &mut Vec<String>, stroke: &mut Stroke) -> TextEdit {
        let number = |random: &mut dyn Rng, upto: usize| {
            usize::try_from(random.next_u64()).unwrap_or_default() % upto.max(1)
        };
        // Most go on at the end.
        let at = match draw::once_in(&mut self.random, 3) {
            true => number(&mut self.random, shown.len() + 1),
            false => shown.len(),
        };
        let before: usize = shown[..at].iter().map(|word| word.encode_utf16().count()).sum();
        let takes_out = at < shown.len() && draw::once_in(&mut self.random, 2);
        let (removed, inserted) = if takes_out {
            let word = shown.remove(at);
            let removed = word.encode_utf16().count();
            stroke.written.retain(|own| *own != word);
            stroke.erased.push(word);
            (removed, String::new())
        } else {
            let mut word = self.world.new_text(desk.person, desk.group, 0);
            word.push_str(if draw::once_in(&mut self.random, 8) { " 😀\n" } else { "\n" });
            stroke.written.push(word.clone());
            shown.insert(at, word.clone());
            (0, word)
        };
        let units = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        TextEdit { at: units(before), removed: units(removed), inserted }
    }

    /// The text of a group as a node shows it, if it is open and in memory there.
    fn text(&mut self, name: &str, words: FourWords) -> Option<String> {
        match self.c.peek(name, Command::Text(words, FILE, TextCommand::Read))? {
            Reply::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Has everybody open the text of each group; who is not in is refused.
    pub(super) fn open_texts(&mut self) {
        if !self.world.types {
            return;
        }
        for name in self.honest().into_iter().filter(|name| self.c.is_up(name)).collect::<Vec<_>>() {
            for group in 0..self.world.groups.len() {
                let words = self.world.groups[group].words;
                if self.text(&name, words).is_none() {
                    let read = Command::Text(words, FILE, TextCommand::Read);
                    self.begin(&name, read, Intent::Other("texts opened"));
                }
            }
        }
    }

    /// All show one text: each word that was saved once and no more, none that was taken out, and none that
    /// nobody wrote there.
    pub(super) fn look_at_text(
        &mut self,
        at: usize,
        roster: &Roster,
        nodes: &[String],
    ) -> Result<(), Violation> {
        let Some(words) = self.world.groups.get(at).filter(|_| self.world.types).map(|group| group.words)
        else {
            return Ok(());
        };
        let mut first: Option<(String, String)> = None;
        for name in nodes {
            let Outcome::Done(Reply::Text(text)) =
                self.ask(name, Command::Text(words, FILE, TextCommand::Read))?
            else {
                return Err(Violation::new(
                    Rule::AllAgree,
                    format!("{name} does not show the text of group {at}"),
                ));
            };
            let (other, shown) = first.get_or_insert_with(|| (name.clone(), text.clone()));
            demand(text == *shown, Rule::AllAgree, || {
                format!("{name} and {other} show other texts of group {at}: {text:?} and {shown:?}")
            })?;
        }
        let Some((_, text)) = first else { return Ok(()) };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        words_of(&text).into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        let came_back = self.came_back(at, roster);
        let kind = match came_back.is_empty() {
            true => "texts compared",
            false => "texts compared to which words came back",
        };
        self.world.done.count(kind);
        self.look_at_words((at, &counts), &came_back, roster, nodes)?;
        self.look_for_words((at, &counts), roster, nodes)
    }

    /// Each word is there once, or twice where that is right, was written there, and was not taken out.
    fn look_at_words(
        &self,
        (at, counts): (usize, &BTreeMap<&str, usize>),
        came_back: &BTreeSet<DeviceKey>,
        roster: &Roster,
        nodes: &[String],
    ) -> Result<(), Violation> {
        for (word, count) in counts {
            let known = self.world.texts.get(word.trim_end_matches(['\n', '😀', ' ']));
            let is_true = known.is_some_and(|text| text.group == at && !text.forged);
            demand(is_true, Rule::AuthorIsTrue, || {
                format!("{word:?} is in the text of group {at}: {known:?}")
            })?;
            let writer = self.world.typed.written.get(*word).map(|(_, promise)| promise.log.device);
            let may_stand_twice = came_back.iter().any(|device| Some(*device) != writer);
            demand(*count == 1 || *count == 2 && may_stand_twice, Rule::SavedIsShown, || {
                format!("{word:?} is {count} times in the text of {at}")
            })?;
            let stands = self.world.typed.erased.get(*word).into_iter().flatten().any(|promise| {
                !promise.given_up
                    && !may_stand_twice
                    && !self.is_gone(promise, nodes)
                    && !self.may_be_lost(at, promise, roster, nodes)
                    && self.counts(promise, roster)
            });
            demand(!stands, Rule::DeletedStaysDeleted, || format!("{word:?} was taken out and is shown"))?;
        }
        Ok(())
    }

    /// Each word that was saved and not taken out is there, unless it counts for nobody; then who wrote it is
    /// told so.
    fn look_for_words(
        &mut self,
        (at, counts): (usize, &BTreeMap<&str, usize>),
        roster: &Roster,
        nodes: &[String],
    ) -> Result<(), Violation> {
        let of_group = |(of, _): &&(usize, Promise)| *of == at;
        let typed = &self.world.typed;
        let missing = typed.written.iter().filter(|(word, saved)| {
            of_group(saved) && !counts.contains_key(word.as_str()) && !typed.doomed.contains(*word)
        });
        let missing: Vec<(String, Promise)> =
            missing.map(|(word, (_, promise))| (word.clone(), promise.clone())).collect();
        for (word, promise) in missing {
            if promise.given_up || self.is_gone(&promise, nodes) {
                continue;
            }
            let is_void = self.is_void(&promise, roster) || self.may_be_lost(at, &promise, roster, nodes);
            demand(is_void, Rule::SavedIsShown, || {
                let (log, sequence) = (promise.log.incarnation.0, promise.sequence);
                let node = &promise.node;
                let holds = |name: &&String| is_stored(&self.c, name, &promise.log, promise.sequence);
                let holders: Vec<&String> = nodes.iter().filter(holds).collect();
                format!(
                    "{word:?} was called saved at {node}, at {sequence} of log {log:016x}; {holders:?} hold it and {nodes:?} do not show it in the text of {at}"
                )
            })?;
            self.look_at_writer(at, &word, &promise)?;
        }
        Ok(())
    }

    /// Whoever wrote what counts for nobody is told so.
    fn look_at_writer(&mut self, at: usize, word: &str, promise: &Promise) -> Result<(), Violation> {
        let node = &promise.node;
        if !self.world.is_honest(node) || self.c.device(node) != Some(promise.log.device) {
            return Ok(());
        }
        let words = self.world.groups[self.world.root_of(at)].words;
        let told = match self.ask(node, Command::Unaccepted(words))? {
            Outcome::Done(Reply::Unaccepted(views)) => {
                let shows = |text: &str| text.contains(word) || text.len() >= LATE_TEXT_BYTES_MAX;
                views.iter().any(|view| shows(&view.text))
            }
            _ => false,
        };
        demand(told, Rule::SavedIsShown, || format!("{word:?} counts for nobody, and {node} does not say so"))
    }

    /// Whose words counted for nobody until a `Held` brought them back. By then what others had written beside
    /// them may have been written again: it stands twice, and who takes out one leaves the other.
    fn came_back(&self, at: usize, roster: &Roster) -> BTreeSet<DeviceKey> {
        let bodies = roster.ids().filter_map(|id| Some(roster.statement(&id)?.body()));
        let held: Vec<(&Vectors, &Vectors)> = bodies
            .filter_map(|body| match body {
                Body::Held { removal, vectors } => match roster.statement(removal)?.body() {
                    Body::Remove { vectors: known, .. }
                    | Body::SetRole { vectors: known, .. }
                    | Body::Revoke { vectors: known, .. }
                    | Body::Leave { vectors: known } => Some((vectors, known)),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let written = self.world.typed.written.values().filter(|(of, _)| *of == at);
        let came_back = written.filter(|(_, promise)| {
            let reaches = |vectors: &Vectors| {
                let mut heads = vectors.iter().filter(|(log, _)| *log == promise.log);
                heads.any(|(_, head)| head.sequence >= promise.sequence)
            };
            held.iter().any(|(held, known)| reaches(held) && !reaches(known))
        });
        came_back.map(|(_, promise)| promise.log.device).collect()
    }

    /// Whether nobody who is in has it, nor ever had.
    fn is_gone(&self, promise: &Promise, nodes: &[String]) -> bool {
        let holds = |name: &String| is_stored(&self.c, name, &promise.log, promise.sequence);
        !nodes.contains(&promise.node) && !nodes.iter().any(holds)
    }

    /// Whether what somebody wrote may have stood beside what does not count, and its author may write no
    /// more: then nobody writes it anew.
    fn may_be_lost(&self, at: usize, promise: &Promise, roster: &Roster, nodes: &[String]) -> bool {
        let device = promise.log.device;
        let reading = roster.reading();
        let role = reading.member_of(&device).and_then(|(person, _)| reading.role_of(&person));
        let is_out =
            role < Some(Role::Member) || !nodes.iter().any(|name| self.c.device(name) == Some(device));
        let mut written = self.world.typed.written.values().filter(|(of, _)| *of == at);
        is_out && written.any(|(_, promise)| self.is_void(promise, roster))
    }

    /// Whether a change counts, by the roster and by all rosters by which it was folded.
    fn counts(&self, promise: &Promise, roster: &Roster) -> bool {
        let is_void = |envelope: &Envelope, roster: &Roster| !truth::may_write(roster, envelope);
        self.typed_in(promise).is_some_and(|envelope| {
            let was_void = self.checker.was_folded_where(&envelope, |roster| is_void(&envelope, roster));
            !is_void(&envelope, roster) && !was_void
        })
    }

    /// Whether a change counts for nobody, by the roster or by one by which it was folded.
    fn is_void(&self, promise: &Promise, roster: &Roster) -> bool {
        self.typed_in(promise).is_some() && !self.counts(promise, roster)
    }

    fn typed_in(&self, promise: &Promise) -> Option<Envelope> {
        let place = (&promise.log, promise.sequence);
        truth::envelope_at(&self.c, &self.checker.promised, &promise.node, place)
    }
}
