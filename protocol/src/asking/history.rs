//! Answers what is asked about the versions of a document, and restores them.
//!
//! Each request has the document read once from its snapshot on, beside the one in memory, one request
//! after the other; what comes meanwhile is not part of it. Invariants: a request is answered whatever
//! becomes of the reading; restoring writes ordinary writes of this person in one envelope, which can
//! be undone like any other.

use std::collections::{BTreeMap, VecDeque};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::command::{
    Command, CommandId, DifferencesView, HistoryCommand, LeftView, Outcome, Refusal, RefusalCode, Reply,
    RevertedView, VersionsView,
};
use crate::history::{Listing, Picture, Pictures, Watch, is_of};
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{DIFFERENCE_BYTES, DIFFERING_THINGS_MAX, HISTORIES_WAITING_MAX, TOLD_VERSIONS_MAX};
use crate::outbox::refusal;
use crate::replica::{Live, Replica};
use crate::replicator::Replicator;
use crate::roster::Role;
use crate::schema::rights::{Actor, Denied};
use crate::schema::thing::{Lookup, ThingId};
use crate::schema::things::ThingError;
use crate::schema::{self, Concern, Put, core};
use crate::time::WallTime;
use crate::words::FourWords;

use super::chats::{Way, chat_refusal};
use super::things::{bounded, refused};
use super::unknown;

/// Requests about versions that wait for their reading, by document.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    waiting: BTreeMap<DocumentKey, VecDeque<Asked>>,
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
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let replica = entity.document(place, &concern).filter(|_| schema::has_versions(&concern));
        let replica = replica.ok_or_else(|| {
            refusal(
                RefusalCode::NotFound,
                format!("{words} has no such document"),
                "see `fourword group show`",
            )
        })?;
        let (entity, current) = (entity.id, replica.key);
        // A message stays in the segment in which it was written.
        let message = command.of().and_then(|name| name.parse().ok()).filter(|_| concern == Concern::Chat);
        let way = message.map(|message| self.way_to_message(id, (entity, place), message));
        let document = match way {
            Some(Ok(Way::Read(document))) => {
                self.ask_again(id, Command::History(words, concern, command), (entity, document));
                return Ok(());
            }
            Some(Ok(Way::To(document))) => document,
            Some(Err(_)) | None => current,
        };
        self.walks.remove(&id);
        let live = self.entities.get(&entity).and_then(|e| e.replicas.get(&document)?.live());
        let Some(live) = live else {
            self.ask_again(id, Command::History(words, concern, command), (entity, document));
            return Ok(());
        };
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
        if self.histories.count() >= HISTORIES_WAITING_MAX {
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

    /// Begins to read a document for the next who asked about its versions, unless it is being read
    /// already.
    pub(crate) fn recall(&mut self, id: EntityId, document: DocumentKey) {
        let Some(asked) = self.histories.waiting.get(&document).and_then(VecDeque::front) else { return };
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        if replica.folding.is_some() {
            return;
        }
        let Some(live) = replica.live().filter(|_| !replica.is_stale()) else {
            return self.load_document(id, document);
        };
        let gone = live.gone();
        let watch = match &asked.command {
            HistoryCommand::List { before, limit, .. } => {
                Watch::Versions(Listing::new(asked.of, before.clone(), *limit, gone))
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
        let live = entity.replicas.get(&document).and_then(Replica::live);
        let Some(live) = live else { return Err(unknown(asked.words)) };
        match (watch, &asked.command) {
            (Watch::Versions(listing), _) => {
                let (lines, has_more) = listing.end()?;
                let faces = self.faces(entity);
                let versions = lines.into_iter().map(|line| crate::views::version(line, &faces)).collect();
                self.say(asked.id, Reply::Versions(VersionsView { versions, has_more }))
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
