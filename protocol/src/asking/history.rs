//! Answers what is asked about the versions of a document, and restores them.
//!
//! Each request has the document read once from its snapshot on, beside the one in memory, one request
//! after the other; what comes meanwhile is not part of it. The versions of a series are those of its
//! last segment and then those of the ones before it, which are read one after the other as far as a
//! page takes; a version shows the segment in which it is. Invariants: a request is answered whatever
//! becomes of the reading; restoring writes ordinary writes of this person in one envelope, which can
//! be undone like any other.

use std::collections::{BTreeMap, VecDeque};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::command::{
    Command, CommandId, DifferencesView, HistoryCommand, LeftView, Outcome, Refusal, RefusalCode, Reply,
    RevertedView, VersionsView,
};
use crate::history::{Listing, Picture, Pictures, VersionId, Watch, is_of};
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{
    DIFFERENCE_BYTES, DIFFERING_THINGS_MAX, HISTORIES_WAITING_MAX, TOLD_VERSIONS_MAX, VERSIONS_PLACED_MAX,
};
use crate::outbox::refusal;
use crate::replica::Live;
use crate::replicator::Replicator;
use crate::roster::Role;
use crate::schema::rights::{Actor, Denied};
use crate::schema::thing::{Lookup, ThingId};
use crate::schema::things::ThingError;
use crate::schema::{self, Concern, Put, core};
use crate::time::WallTime;
use crate::words::FourWords;

use super::chats::chat_refusal;
use super::things::{bounded, refused};
use super::unknown;

/// Requests about versions that wait for their reading, by document.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    waiting: BTreeMap<DocumentKey, VecDeque<Asked>>,
    /// In which documents versions were found lately, at most `VERSIONS_PLACED_MAX`, the last one last.
    placed: VecDeque<(VersionId, DocumentKey)>,
}

/// One of them.
#[derive(Debug)]
struct Asked {
    id: CommandId,
    words: FourWords,
    concern: Concern,
    command: HistoryCommand,
    /// The one thing that it is about.
    of: Option<ThingId>,
}

/// What restoring writes.
struct Restoration {
    puts: Vec<Put>,
    things: Vec<ThingId>,
    left: Vec<LeftView>,
}

impl Histories {
    /// Takes those who wait to be told about the versions of one document.
    pub(crate) fn take_of(&mut self, document: &DocumentKey) -> Vec<(CommandId, Command)> {
        let asked = self.waiting.remove(document).into_iter().flatten();
        asked.map(|asked| (asked.id, Command::History(asked.words, asked.concern, asked.command))).collect()
    }

    fn count(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Remembers where a version is.
    fn place(&mut self, version: VersionId, document: DocumentKey) {
        self.placed.retain(|(placed, _)| *placed != version);
        self.placed.push_back((version, document));
        if self.placed.len() > VERSIONS_PLACED_MAX {
            self.placed.pop_front();
        }
    }

    /// Where the versions were found lately that a request names, if one of them was.
    fn placed(&self, command: &HistoryCommand) -> Option<DocumentKey> {
        let found = |name: &&str| self.placed.iter().rev().find(|(version, _)| version.is_meant_by(name));
        command.versions().find_map(|name| found(&name)).map(|(_, document)| *document)
    }

    /// Ends the waiting of all; gives who waited.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = CommandId> + use<> {
        std::mem::take(&mut self.waiting).into_values().flatten().map(|asked| asked.id)
    }
}

impl Replicator {
    pub(super) fn ask_history(
        &mut self,
        id: CommandId,
        words: FourWords,
        concern: Concern,
        command: HistoryCommand,
    ) -> Result<(), Refusal> {
        let begun = self.begin_history(id, words, concern, command);
        if begun.is_err() {
            self.walks.remove(&id);
        }
        begun
    }

    fn begin_history(
        &mut self,
        id: CommandId,
        words: FourWords,
        concern: Concern,
        command: HistoryCommand,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let entity = entity.id;
        let document = self.way_to_versions(id, (entity, place), &concern, &command).ok_or_else(|| {
            let message = format!("{words} has no such document");
            refusal(RefusalCode::NotFound, message, "see `fourword group show`")
        })?;
        let live = self.entities.get(&entity).and_then(|e| e.replicas.get(&document)?.live());
        let Some(live) = live else {
            self.ask_again(id, Command::History(words, concern, command), (entity, document));
            return Ok(());
        };
        let is_going_on = command.of().is_none() && self.walks.contains_key(&id);
        if !is_going_on {
            self.walks.remove(&id);
        }
        if let HistoryCommand::List { limit, .. } = &command
            && !(1..=TOLD_VERSIONS_MAX).contains(limit)
        {
            let message = format!("1 to {TOLD_VERSIONS_MAX} versions are told at once");
            return Err(refusal(RefusalCode::Usage, message, "ask for those before the last one"));
        }
        if concern == Concern::Core && command.of().is_some() {
            let message = "what a group says of itself holds no things";
            return Err(refusal(RefusalCode::Usage, message, "ask for all of it"));
        }
        let of = command.of().map(|name| meant(live, &concern, name)).transpose()?;
        if self.histories.count() >= HISTORIES_WAITING_MAX && !is_going_on {
            let message = "too many requests about versions wait";
            return Err(refusal(RefusalCode::TooMuch, message, "try again in a moment"));
        }
        if let HistoryCommand::Restore { .. } = &command {
            let actor = self.ready_to_write(entity, words)?;
            if actor.role == Role::Viewer {
                return Err(refused(&ThingError::Denied(Denied::ReadOnly)));
            }
        }
        let asked = Asked { id, words, concern, command, of };
        self.histories.waiting.entry(document).or_default().push_back(asked);
        self.recall(entity, document);
        Ok(())
    }

    /// The document that answers a request about versions: of a series the segment that holds what it
    /// is about, else the last one that was not asked before. Some are to be read first to know.
    fn way_to_versions(
        &mut self,
        asker: CommandId,
        (id, place): (EntityId, EntityId),
        concern: &Concern,
        command: &HistoryCommand,
    ) -> Option<DocumentKey> {
        let entity = self.entities.get(&id).filter(|_| schema::has_versions(concern))?;
        let current = entity.document(place, concern)?.key;
        let series = entity.series(place, concern);
        let Some(name) = command.of().filter(|_| concern.goes_on()) else {
            let placed = || series.iter().find(|r| Some(r.key) == self.histories.placed(command));
            let below = self.walks.get(&asker).map(|walk| walk.below);
            let below = below.or_else(|| placed().map(|replica| replica.segment + 1)).unwrap_or(u32::MAX);
            let last = series.iter().rev().find(|replica| replica.segment < below);
            return Some(last.map_or(current, |replica| replica.key));
        };
        // Short names are looked for in the same order whatever is in memory: several may have one.
        let message: Option<ThingId> = name.parse().ok();
        let has = |live: &Live| holds(live, name);
        if let Some(found) = series.iter().find(|r| message.is_some() && r.live().is_some_and(has)) {
            return Some(found.key);
        }
        let below = self.walks.get(&asker).map_or(u32::MAX, |walk| walk.below);
        let mut before = series.iter().rev().filter(|replica| replica.segment < below);
        let next = before.find(|replica| replica.live().is_none_or(has));
        let (document, below) = next.map_or((current, 0), |replica| (replica.key, replica.segment + 1));
        self.walks.entry(asker).or_default().below = below;
        Some(document)
    }

    /// Begins to read a document for the next who asked about its versions, unless it is being read
    /// already.
    pub(crate) fn recall(&mut self, id: EntityId, document: DocumentKey) {
        if !self.histories.waiting.contains_key(&document) || !self.may_read_beside() {
            return;
        }
        let Some(asked) = self.histories.waiting.get(&document).and_then(VecDeque::front) else { return };
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        let Some(live) = replica.live().filter(|_| !replica.is_stale()) else {
            return self.load_document(id, document);
        };
        let gone = live.gone();
        let watch = match &asked.command {
            HistoryCommand::List { before, limit, .. } => {
                let walk = self.walks.get(&asked.id);
                let before = before.clone().filter(|_| walk.is_none_or(|walk| !walk.has_begun));
                let limit = limit.saturating_sub(walk.map_or(0, |walk| walk.versions.len()));
                Watch::Versions(Listing::new(asked.of, before, limit, gone))
            }
            HistoryCommand::Compare { from, to, .. } => {
                let wanted = [from, to].into_iter().flatten().cloned().collect();
                Watch::Pictures(Pictures::new(wanted, gone))
            }
            HistoryCommand::Restore { version, .. } => {
                Watch::Pictures(Pictures::new(vec![version.clone()], gone))
            }
        };
        replica.begin_folding((*replica.heads).clone(), None, watch);
        self.fold_next(id, document, 0);
    }

    /// Begins all readings for who asked about versions and whose reading was given up.
    pub(crate) fn recall_all(&mut self) {
        let waiting: Vec<DocumentKey> = self.histories.waiting.keys().copied().collect();
        for document in waiting {
            let entity = self.entities.values().find(|entity| entity.replicas.contains_key(&document));
            match entity.map(|entity| entity.id) {
                Some(id) => self.recall(id, document),
                None => {
                    for asked in self.histories.waiting.remove(&document).into_iter().flatten() {
                        self.walks.remove(&asked.id);
                        self.out.refuse(asked.id, unknown(asked.words));
                    }
                }
            }
        }
    }

    /// A document was read for who asked about its versions; `None` if it could not be.
    pub(crate) fn recalled(&mut self, id: EntityId, document: DocumentKey, watch: Option<Watch>) {
        let waiting = self.histories.waiting.entry(document).or_default();
        let asked = waiting.pop_front();
        if waiting.is_empty() {
            self.histories.waiting.remove(&document);
        }
        if let Some(asked) = asked {
            let asker = asked.id;
            let watch = watch.ok_or_else(unreadable);
            let answered = watch.and_then(|watch| self.answer_history((id, document), asked, watch));
            if let Err(refused) = answered {
                self.walks.remove(&asker);
                self.out.refuse(asker, refused);
            }
        }
        // A fold that is due comes before the next request, so that no stream of them keeps it waiting.
        self.look_to(id, document);
    }

    fn answer_history(
        &mut self,
        (id, document): (EntityId, DocumentKey),
        asked: Asked,
        watch: Watch,
    ) -> Result<(), Refusal> {
        let Some(entity) = self.entities.get(&id) else { return Err(unknown(asked.words)) };
        let replica = entity.replicas.get(&document);
        let Some((replica, live)) = replica.and_then(|replica| Some((replica, replica.live()?))) else {
            return Err(unknown(asked.words));
        };
        let (segment, series) = (replica.segment, entity.series(replica.of, &asked.concern));
        let has_before = asked.of.is_none() && series.iter().any(|replica| replica.segment < segment);
        if let Watch::Pictures(pictures) = &watch {
            let found = pictures.found().count();
            if has_before && found == 0 && pictures.count() > 0 {
                self.go_on_before(segment, asked);
                return Ok(());
            }
            if series.len() > 1 && found > 0 && found < pictures.count() {
                return Err(apart());
            }
            pictures.found().for_each(|version| self.histories.place(version, document));
            self.walks.remove(&asked.id);
        }
        match (watch, &asked.command) {
            (Watch::Versions(listing), HistoryCommand::List { limit, .. }) => {
                let limit = *limit;
                self.answer_list((id, document), (segment, has_before), (asked, limit), listing)
            }
            (Watch::Pictures(pictures), HistoryCommand::Compare { from, to, after, .. }) => {
                let concern = asked.concern;
                let gone = live.gone();
                let hides = |root: &str, key: &str| is_of(&concern, &gone, root, key);
                let mut found = pictures.end()?;
                found.iter_mut().for_each(|picture| picture.hide(hides));
                let mut found = found.into_iter();
                let from = from.as_ref().and_then(|_| found.next());
                let from = from.unwrap_or_else(|| Picture::nothing(&concern));
                let to = to.as_ref().and_then(|_| found.next());
                let to = to.unwrap_or_else(|| Picture::of(&concern, live, hides));
                let view = self.compare_versions(entity, (&from, &to), asked.of, *after);
                self.say(asked.id, Reply::Differences(view))
            }
            (Watch::Pictures(pictures), HistoryCommand::Restore { .. }) => {
                let mut found = pictures.end()?;
                let gone = live.gone();
                found
                    .iter_mut()
                    .for_each(|picture| picture.hide(|root, key| is_of(&asked.concern, &gone, root, key)));
                let then = found.pop().ok_or_else(unreadable)?;
                self.restore_version((id, document), &asked, &then)
            }
            _ => Err(unreadable()),
        }
    }

    /// Adds the versions of one segment to a page, which goes on with the segment before it if there is one.
    fn answer_list(
        &mut self,
        (id, document): (EntityId, DocumentKey),
        (segment, has_before): (u32, bool),
        (asked, limit): (Asked, usize),
        listing: Listing,
    ) -> Result<(), Refusal> {
        if has_before && !listing.has_met() {
            self.go_on_before(segment, asked);
            return Ok(());
        }
        let (lines, has_more) = listing.end()?;
        let Some(entity) = self.entities.get(&id) else { return Err(unknown(asked.words)) };
        let faces = self.faces(entity);
        let walk = self.walks.entry(asked.id).or_default();
        walk.has_begun = true;
        walk.versions.extend(lines.into_iter().map(|line| crate::views::version(line, &faces)));
        if has_before && walk.versions.len() < limit {
            self.go_on_before(segment, asked);
            return Ok(());
        }
        let versions = self.walks.remove(&asked.id).map(|walk| walk.versions).unwrap_or_default();
        versions.last().into_iter().for_each(|last| self.histories.place(last.id, document));
        self.say(asked.id, Reply::Versions(VersionsView { versions, has_more: has_more || has_before }))
    }

    /// Has a request answered by the segments before this one.
    fn go_on_before(&mut self, segment: u32, asked: Asked) {
        self.walks.entry(asked.id).or_default().below = segment;
        self.ask(asked.id, Command::History(asked.words, asked.concern, asked.command));
    }

    /// How one state of a document differs from an earlier one, in words.
    fn compare_versions(
        &self,
        entity: &crate::entity::Entity,
        (from, to): (&Picture, &Picture),
        of: Option<ThingId>,
        after: Option<ThingId>,
    ) -> DifferencesView {
        let comparing = crate::views::Comparing::new(from, to, self.faces(entity));
        let (mut things, mut bytes, mut next) = (Vec::new(), 0usize, None);
        for difference in comparing.differences(of, after) {
            if things.len() >= DIFFERING_THINGS_MAX || bytes > DIFFERENCE_BYTES {
                next = things.last().and_then(|last: &crate::command::DifferenceView| last.thing);
                break;
            }
            bytes = bytes.saturating_add(difference.bytes());
            things.push(comparing.view(difference));
        }
        DifferencesView { things, next }
    }

    // -- restoring ----------------------------------------------------------------------------

    fn restore_version(
        &mut self,
        (id, document): (EntityId, DocumentKey),
        asked: &Asked,
        then: &Picture,
    ) -> Result<(), Refusal> {
        let (actor, drawn) = self.ready_to_change(id, document, asked.words)?;
        let Some((_, live)) = self.live_document(id, document) else { return Err(unknown(asked.words)) };
        let Restoration { puts, things, left } =
            restoration(live, then, (asked.of, &actor), drawn, self.now.wall)?;
        let deeds = live.things().map(|now| now.deeds(&puts)).unwrap_or_default();
        self.undoing.did(document, &asked.concern, deeds, &puts);
        let (undo, redo) = self.undoing.of(&document).map(|history| history.lengths()).unwrap_or_default();
        let outcome = Outcome::Done(Reply::Reverted(RevertedView { things, left, undo, redo }));
        match puts.is_empty() {
            true => self.out.answer(asked.id, outcome),
            false => self.put(id, document, puts, Some((asked.id, outcome))),
        }
        Ok(())
    }
}

fn unreadable() -> Refusal {
    refusal(RefusalCode::Pending, "the document cannot be read as it was", "try again in a moment")
}

fn apart() -> Refusal {
    let message = "the two versions are not of the same part of the chat";
    let hint =
        "what is said about a message stays in its part: compare each with how it is now, or name a message";
    refusal(RefusalCode::Usage, message, hint)
}

/// Whether a person may mean a message of a chat by this name, also one that was deleted.
fn holds(live: &Live, name: &str) -> bool {
    live.chat().is_some_and(|chat| match name.parse() {
        Ok(message) => chat.knows(message),
        Err(_) => chat.find(name) != Lookup::Missing,
    })
}

/// The writes that bring a document, or one thing of it, back to how it was `then`.
fn restoration(
    live: &Live,
    then: &Picture,
    (of, actor): (Option<ThingId>, &Actor),
    drawn: [u8; 32],
    now: WallTime,
) -> Result<Restoration, Refusal> {
    let mut random = ChaCha20Rng::from_seed(drawn);
    let mut draw = || random.next_u64().to_be_bytes();
    if let (Some(chat), Some(was)) = (live.chat(), then.chat()) {
        let of = of.ok_or_else(|| {
            let message = "a chat is not brought back as a whole: what others said stays said";
            refusal(RefusalCode::Usage, message, "name a message of yours")
        })?;
        let put = chat.restore(&was, actor, (of, draw()), now).map_err(|error| chat_refusal(&error))?;
        let (things, puts) = put.into_iter().unzip();
        return Ok(Restoration { puts, things, left: Vec::new() });
    }
    let (Some(is), Some(was)) = (live.things(), then.things()) else {
        let (puts, left) = core::restore(&live.document, then, actor);
        let left = left.into_iter().map(|(field, why)| LeftView { thing: None, field, why });
        return Ok(Restoration { puts, things: Vec::new(), left: left.collect() });
    };
    if of.is_some_and(|of| was.comment(of).is_some()) {
        let message = "a comment is not brought back: what people said stays said";
        return Err(refusal(RefusalCode::Usage, message, "its author can give it another text"));
    }
    let restored = is.restore(was, of, actor, &mut draw, now).map_err(|error| match error {
        ThingError::Unknown(_, id) => {
            let message = format!("{} was not there at that version", id.short());
            refusal(RefusalCode::NotFound, message, "see `fourword history` for a version at which it was")
        }
        error => refused(&error),
    })?;
    let (puts, _) = bounded(restored.puts, Reply::Ok)?;
    let left = restored.left.into_iter().map(|left| LeftView {
        thing: Some(left.thing),
        field: left.field.to_owned(),
        why: left.why,
    });
    Ok(Restoration { puts, things: restored.things, left: left.collect() })
}

/// The thing or message that a person names; one that is not there any more by its full name.
fn meant(live: &Live, concern: &Concern, name: &str) -> Result<ThingId, Refusal> {
    let found = match (live.chat(), live.things()) {
        (Some(chat), _) => chat.find(name),
        (None, Some(things)) => {
            let tables = schema::layout(concern).into_iter().flat_map(|layout| layout.tables);
            let lookups = tables.map(|table| things.find(table.root, name));
            let found = lookups.into_iter().chain([things.find_comment(name)]);
            found
                .reduce(|one, other| if one == Lookup::Missing { other } else { one })
                .unwrap_or(Lookup::Missing)
        }
        (None, None) => Lookup::Missing,
    };
    match (found, name.parse()) {
        (Lookup::Found(id), _) | (Lookup::Missing, Ok(id)) => Ok(id),
        (Lookup::Missing, Err(_)) => {
            let message = format!("nothing here is named \"{name}\"");
            Err(refusal(RefusalCode::NotFound, message, "give the first digits of an id that is shown"))
        }
        (Lookup::Ambiguous(fitting), _) => {
            let names: Vec<String> = fitting.iter().map(ToString::to_string).collect();
            let message = format!("\"{name}\" may be any of {}", names.join(", "));
            Err(refusal(RefusalCode::Usage, message, "give more of the id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_remembered_where_the_versions_are_that_were_found_last_and_no_others() {
        let version = |number: usize| VersionId(number.to_be_bytes());
        let document = |number: usize| DocumentKey(*blake3::hash(&number.to_be_bytes()).as_bytes());
        let named = |number| HistoryCommand::Restore { version: version(number).to_string(), of: None };
        let mut histories = Histories::default();
        for number in (0..VERSIONS_PLACED_MAX).chain([0, VERSIONS_PLACED_MAX]) {
            histories.place(version(number), document(number));
        }
        assert_eq!(histories.placed.len(), VERSIONS_PLACED_MAX);
        assert_eq!(histories.placed(&named(0)), Some(document(0)), "it was found once more");
        assert_eq!(histories.placed(&named(1)), None, "the oldest went");
        assert_eq!(histories.placed(&named(VERSIONS_PLACED_MAX)), Some(document(VERSIONS_PLACED_MAX)));
    }
}
