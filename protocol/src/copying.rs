//! Gives copies of documents what they lack, and moves this person's read markers.
//!
//! `asking` hands over what who keeps a copy asks, document by document. A copy that knows the digest of
//! one lacks nothing, and it stays on disk. Invariant: equal digests mean equal content, over
//! restarts too: what a document shows follows from its envelopes, the roster and the frontier, which
//! the digest names; none is told of one with edits that no envelope holds yet, or that is to be judged anew.

use crate::command::{
    Changes, Command, CommandId, Copied, DocumentCopy, Kind, MessageView, Outcome, PersonView, Place,
    PlaceView, Refusal, RefusalCode, Reply, Revision, Row, StandView,
};
use crate::entity::Entity;
use crate::governing::not_ours;
use crate::ids::{Digest, EntityId};
use crate::limits::{COPY_BYTES, COPY_ROWS_MAX, MARKER_AHEAD_MS_MAX};
use crate::outbox::refusal;
use crate::replica::{Live, Replica, Rested};
use crate::replicator::Replicator;
use crate::schema::Concern;
use crate::schema::chat::{Chat, MessageId};
use crate::schema::home::{self, ReadMarker};
use crate::schema::key::{self, Owner};
use crate::schema::thing::ThingId;
use crate::schema::things::Things;
use crate::time::WallTime;
use crate::views::Faces;
use crate::words::FourWords;

/// Documents of which copies are kept.
const COPIED: &[Concern] = &[Concern::Chat, Concern::Kanban, Concern::Issues, Concern::Canvas];

const DIGEST: &str = "fourword v1 copy of a chat";
const PEOPLE_DIGEST: &str = "fourword v1 people of a chat";

/// A page of what a copy lacks, and up to where it goes.
type Page = (Changes, Option<Revision>);

impl Replicator {
    /// Every place with how its documents stand, for who keeps copies.
    pub(crate) fn list_places(&mut self, id: CommandId) -> Result<(), Refusal> {
        if self.await_home(id, Command::Places) {
            return Ok(());
        }
        let places = self.shown().flat_map(|entity| entity.places().map(move |place| (entity, place)));
        let mut places: Vec<PlaceView> =
            places.filter_map(|(entity, place)| self.stands(entity, place)).collect();
        places.sort_by_key(|place| place.words);
        self.out.answer(id, Outcome::Done(Reply::Places(places)));
        Ok(())
    }

    fn stands(&self, entity: &Entity, place: EntityId) -> Option<PlaceView> {
        let me = self.me.as_ref()?.person();
        let first = entity.first_of((place, Concern::Chat))?;
        let core = entity.document(place, &Concern::Core).and_then(Replica::live);
        let home = self.home_document();
        let in_vain = entity.replicas.values().filter(|replica| replica.of == place);
        let in_vain = in_vain.map(Replica::count_not_accepted).fold(0, u64::saturating_add);
        let documents = COPIED.iter().flat_map(|concern| entity.series(place, concern));
        Some(PlaceView {
            words: self.names.entity(place)?,
            id: place,
            name: core.map(|_| entity.name_of(place)),
            is_member: entity.roster.reading().members.contains_key(&me),
            me: key::owner(&me),
            // Of what nobody wrote in there is nothing to copy.
            documents: documents.filter(|replica| !replica.is_blank()).map(|r| stand(entity, r)).collect(),
            read: home.and_then(|home| home::read_marker(&home.document, place, first)),
            unaccepted: in_vain,
        })
    }

    /// Gives a copy of one document a page of what it lacks.
    pub(crate) fn copy(
        &mut self,
        id: CommandId,
        words: FourWords,
        (concern, segment): (Concern, u32),
        known: Copied,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| crate::asking::unknown(words))?;
        let series = if COPIED.contains(&concern) { entity.series(place, &concern) } else { Vec::new() };
        let segments = u32::try_from(series.len()).unwrap_or(u32::MAX);
        let Some(replica) = series.into_iter().find(|replica| replica.segment == segment) else {
            let message = format!("{words} has no {} to copy", concern.segment_name(segment));
            return Err(refusal(RefusalCode::NotFound, message, ""));
        };
        let digest = digest(entity, replica);
        let is_same = digest.is_some() && digest == known.digest;
        // What rests is what it was when the copy had all of it, whoever has become a member since.
        let is_at_rest = digest.is_some() && known.revision.is_some() && known.revision == revision(replica);
        let core = entity.document(entity.id, &Concern::Core).map(|core| (core.key, core.live().is_some()));
        let has_names = core.is_none_or(|(_, is_live)| is_live);
        let wanted = match (replica.live(), known.people) {
            (None, _) if !is_same && !is_at_rest => Some(replica.key),
            (_, None) if !has_names => core.map(|(key, _)| key),
            _ => None,
        };
        if let Some(document) = wanted {
            let again = Command::Copy { entity: words, concern, segment, known };
            let at = (entity.id, document);
            self.ask_again(id, again, at);
            return Ok(());
        }
        let people = if has_names { self.people(entity, known.people) } else { None };
        let same = || (Changes::Some { changed: Vec::new(), gone: Vec::new(), more: false }, known.revision);
        let (changes, revision) = match replica.live() {
            Some(live) => self.page(entity, live, known, digest.filter(|_| is_same)),
            None => same(),
        };
        let is_all = matches!(changes, Changes::Some { more: false, .. });
        let has_more =
            matches!(changes, Changes::Whole { next: Some(_), .. } | Changes::Some { more: true, .. });
        let used = (entity.id, replica.key);
        let copy = DocumentCopy { segments, revision, digest: digest.filter(|_| is_all), changes, people };
        if !is_all {
            self.use_document(used.0, used.1);
        }
        let replica = self.entities.get_mut(&used.0).and_then(|e| e.replicas.get_mut(&used.1));
        let had_more = replica.is_some_and(|replica| std::mem::replace(&mut replica.is_copied, has_more));
        self.out.answer(id, Outcome::Done(Reply::Copy(copy)));
        if had_more && !has_more {
            // Others wait for its room.
            self.load_documents(used.0);
        }
        Ok(())
    }

    fn page(&self, entity: &Entity, live: &Live, known: Copied, equal: Option<Digest>) -> Page {
        let current = live.feed.revision();
        let Some(content) = Content::of(live).filter(|_| equal.is_none()) else {
            return (Changes::Some { changed: Vec::new(), gone: Vec::new(), more: false }, Some(current));
        };
        let show = Showing::new(self, entity);
        if let Some((since, after)) = known.revision.and_then(|since| Some((since, live.feed.after(since)?)))
        {
            let (mut changed, mut gone) = (Vec::new(), Vec::new());
            let (mut room, mut reached) = (Room::default(), since);
            for (revision, id) in after {
                if room.is_spent() {
                    return (Changes::Some { changed, gone, more: true }, Some(reached));
                }
                match show.row(&content, id) {
                    Some(row) => changed.push(room.take(row)),
                    None => gone.push(room.take_gone(id)),
                }
                reached = revision;
            }
            return (Changes::Some { changed, gone, more: false }, Some(current));
        }
        // Pages of another reading have nothing in common with this one: it begins anew.
        let place =
            known.whole.filter(|(reading, _)| *reading == current.reading).and_then(|(_, place)| place);
        let (mut rows, mut room, mut next) = (Vec::new(), Room::default(), None);
        for (time, id) in content.after(place) {
            if room.is_spent() {
                return (Changes::Whole { reading: current.reading, rows, next }, Some(current));
            }
            rows.extend(show.row(&content, id).map(|row| room.take(row)));
            next = Some((time, id));
        }
        (Changes::Whole { reading: current.reading, rows, next: None }, Some(current))
    }

    /// All who are or were in an entity, unless the copy knows them as they are.
    fn people(&self, entity: &Entity, known: Option<Digest>) -> Option<(Digest, Vec<PersonView>)> {
        let people: Vec<PersonView> = Showing::new(self, entity).people.into_values().collect();
        let mut hasher = blake3::Hasher::new_derive_key(PEOPLE_DIGEST);
        for PersonView { person, words, name } in &people {
            hasher.update(&person.0).update(&words.map_or([0; 6], |words| words.to_bytes()));
            hasher.update(&(name.len() as u64).to_be_bytes()).update(name.as_bytes());
        }
        let digest = Digest(*hasher.finalize().as_bytes());
        (known != Some(digest)).then_some((digest, people))
    }

    // -- read markers -------------------------------------------------------------------------

    /// Notes in this person's home how far a chat was read. Only ever forward.
    pub(crate) fn mark_read(
        &mut self,
        id: CommandId,
        words: FourWords,
        marker: ReadMarker,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| crate::asking::unknown(words))?;
        let Some(document) = entity.series(place, &Concern::Chat).first().map(|replica| replica.key) else {
            return Err(refusal(RefusalCode::NotFound, format!("{words} has no chat"), ""));
        };
        if self.await_home(id, Command::Chat(words, crate::command::ChatCommand::MarkRead(marker))) {
            return Ok(());
        }
        // A time is its author's claim: one from far ahead must not mark all that is yet to come.
        let latest = WallTime(self.now.wall.0.saturating_add(MARKER_AHEAD_MS_MAX));
        let marker = ReadMarker { time: marker.time.min(latest), ..marker };
        let home = self.me.as_ref().map(|me| me.home);
        let put = self.home_document().and_then(|l| home::mark_read(&l.document, place, document, marker));
        match home.zip(put) {
            Some((home, put)) => {
                self.ready_to_write(home, words).map_err(|refused| match refused.code {
                    RefusalCode::NotAllowed => not_ours(),
                    _ => refused,
                })?;
                self.devices.read.insert(put.key.clone(), marker);
                let answer = Some((id, Outcome::Done(Reply::Ok)));
                self.put_own((home, home), &Concern::Home, Some(put), answer);
            }
            None => self.out.answer(id, Outcome::Done(Reply::Ok)),
        }
        Ok(())
    }

    /// Writes a read marker anew where another device, which had read less apart, has written over it.
    pub(crate) fn keep_markers(&mut self, shown: Vec<(String, ReadMarker)>) {
        let Some(home) = self.me.as_ref().map(|me| me.home) else { return };
        for (key, marker) in shown {
            let known = self.devices.read.get(&key).copied().filter(|known| *known > marker);
            match known {
                Some(known) => {
                    let put = home::put_marker(key, known);
                    self.put_own((home, home), &Concern::Home, Some(put), None);
                }
                None => drop(self.devices.read.insert(key, marker)),
            }
        }
    }

    /// Has a command wait for this person's home to be in memory. False if it is.
    fn await_home(&mut self, id: CommandId, command: Command) -> bool {
        let Some(home) = self.me.as_ref().map(|me| me.home) else { return false };
        let replica = self.entities.get(&home).and_then(|e| e.document(home, &Concern::Home));
        let Some(document) = replica.filter(|r| r.live().is_none()).map(|r| r.key) else { return false };
        self.deferred.entry(document).or_default().push((id, command));
        self.load_documents(home);
        true
    }
}

fn stand(entity: &Entity, replica: &Replica) -> StandView {
    let (concern, segment) = (replica.concern, replica.segment);
    StandView { concern, segment, digest: digest(entity, replica), revision: revision(replica) }
}

/// What a copy is at that has everything; `None` before the document was read.
fn revision(replica: &Replica) -> Option<Revision> {
    replica.live().map(|live| live.feed.revision()).or_else(|| replica.rested().map(Rested::revision))
}

/// What stands for what a document shows now; `None` while that is not settled.
fn digest(entity: &Entity, replica: &Replica) -> Option<Digest> {
    // What was in memory and is not any more may have held what no envelope on disk does.
    let is_told = replica.live().is_some() || replica.rested().is_some() || replica.readings == 0;
    if !is_told || !replica.is_sealed() || replica.is_stale() || entity.rejudge || entity.kind == Kind::Home {
        return None;
    }
    let mut hasher = blake3::Hasher::new_derive_key(DIGEST);
    hasher.update(&replica.key.0).update(&replica.heads.digest().0).update(&entity.roster.digest().0);
    // What is deleted is shown as such until it is pruned.
    for (log, sequence) in replica.stability.frontier() {
        hasher.update(&log.device.0).update(&log.incarnation.0.to_be_bytes()).update(&sequence.to_be_bytes());
    }
    Some(Digest(*hasher.finalize().as_bytes()))
}

/// What a document shows, row by row.
enum Content<'a> {
    Chat(Chat<'a>),
    Things(Things<'a>),
}

impl<'a> Content<'a> {
    /// None if it shows no rows.
    fn of(live: &'a Live) -> Option<Content<'a>> {
        live.chat().map(Content::Chat).or_else(|| live.things().map(Content::Things))
    }

    /// The names of its rows after a place, in the order in which they are copied.
    fn after(&self, place: Option<Place>) -> Box<dyn Iterator<Item = Place> + '_> {
        match self {
            Content::Chat(chat) => Box::new(chat.after(place)),
            Content::Things(things) => Box::new(things.names_after(place.map(|(_, id)| id))),
        }
    }
}

/// What one page may hold.
#[derive(Default)]
struct Room {
    rows: usize,
    bytes: usize,
}

impl Room {
    fn is_spent(&self) -> bool {
        self.rows >= COPY_ROWS_MAX || self.bytes >= COPY_BYTES
    }

    fn take(&mut self, row: Row) -> Row {
        self.rows += 1;
        let bytes = match &row {
            Row::Message(view) => view.message.text.len(),
            Row::Thing(said) => said.text.len(),
        };
        self.bytes = self.bytes.saturating_add(bytes);
        row
    }

    fn take_gone(&mut self, id: ThingId) -> ThingId {
        self.rows += 1;
        id
    }
}

/// Shows what one entity wrote: who its people are is looked up once.
pub(crate) struct Showing {
    people: Faces,
}

impl Showing {
    pub(crate) fn new(machine: &Replicator, entity: &Entity) -> Showing {
        Showing { people: machine.faces(entity) }
    }

    /// What stands under a name; `None` if nothing is here or its author is not known.
    fn row(&self, content: &Content<'_>, id: ThingId) -> Option<Row> {
        match content {
            Content::Chat(chat) => self.message(chat, id).map(Row::Message),
            Content::Things(things) => {
                things.said(id).filter(|_| self.people.contains_key(&id.owner)).map(Row::Thing)
            }
        }
    }

    /// A message as people see it; `None` if it is not here or its author is not known.
    pub(crate) fn message(&self, chat: &Chat<'_>, message: MessageId) -> Option<MessageView> {
        let author = self.people.get(&message.owner)?.clone();
        let people = |by: Vec<Owner>| by.iter().filter_map(|owner| self.people.get(owner).cloned()).collect();
        let reactions = chat.reactions(message).into_iter().map(|(emoji, by)| (emoji, people(by)));
        let (reactions, pinned_by) = (reactions.collect(), people(chat.pins(message)));
        Some(MessageView { author, reactions, pinned_by, message: chat.message(message)? })
    }
}
