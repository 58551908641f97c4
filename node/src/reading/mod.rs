//! Reads by a copy of what groups write: pages and threads of chats, searches, and what is unread.
//!
//! The API asks here instead of the machine, so that nothing has to be in memory to be read.
//! `shelf` is the thread of the copy, `copying` brings it up to date. Invariant: what is read was
//! brought up to date after the reader asked, so everybody reads what it wrote. A copy that turns
//! out to be damaged is made anew, and read then.

mod copying;
mod shelf;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fourword_protocol::command::{ChatCommand, Command, Copied, Outcome, PlaceView, Reply};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::MARKER_AHEAD_MS_MAX;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_storage::StoreError;
use fourword_storage::read_model::{Held, Hit, Known, Missing, ReadModel, Search, Unread};

use crate::api::Answers;
use crate::api::error::{Code, Problem};
use crate::clock;
use shelf::Shelf;

/// How long the machine may take to answer: a chat that is read from disk takes seconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// How often a copy is made anew for one reader, before it is told that the disk fails.
const MENDS_MAX: u32 = 2;

/// Reads what groups of one node write. Clones read the same copy.
#[derive(Clone)]
pub struct Reading {
    node: Arc<dyn Answers>,
    shelf: Shelf,
    places: Arc<Mutex<Places>>,
}

/// What is known of the segments of one series. Whoever brings their copies up to date holds it.
type Series = Arc<tokio::sync::Mutex<Vec<Known>>>;

/// What is known in this run of the documents that are copied.
#[derive(Default)]
struct Places {
    ids: BTreeMap<FourWords, EntityId>,
    known: BTreeMap<(EntityId, Concern), Series>,
}

/// One chat of an inbox.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Whose chat.
    pub words: FourWords,
    /// What of it is unread.
    pub unread: Unread,
    /// How many entries of this device there count for nobody.
    pub unaccepted: u64,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The latest first, each with the words of its group, channel or project.
    pub hits: Vec<(FourWords, Hit)>,
    /// Whether everything was searched as it is now.
    pub is_complete: bool,
}

/// Why something was not read.
enum Trouble {
    /// Whoever asked is told.
    Told(Problem),
    /// The copy failed: it is to be made anew.
    Failed(StoreError),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        Trouble::Told(problem)
    }
}

impl Reading {
    /// Begins to read by this copy, on a thread of its own.
    pub fn start(node: Arc<dyn Answers>, model: ReadModel) -> io::Result<Reading> {
        Ok(Reading { node, shelf: Shelf::start(model)?, places: Arc::default() })
    }

    /// Reads one chat, as it is now.
    pub async fn chat<T: Send + 'static>(
        &self,
        words: FourWords,
        read: impl Fn(&ReadModel, EntityId) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<T, Problem> {
        self.mending(|| {
            let read = read.clone();
            async move {
                let id = self.id(words).await?;
                self.bring_up(words, id, Concern::Chat).await?;
                self.shelf.ask(move |model| read(model, id)).await
            }
        })
        .await
    }

    /// Searches one group, channel or project, or all; the latest hits first, or those before one.
    pub async fn search(
        &self,
        search: &Search,
        within: Option<FourWords>,
        before: Option<(FourWords, ThingId)>,
        limit: usize,
        patience: Duration,
    ) -> Result<Found, Problem> {
        self.mending(|| async move {
            let places = self.list().await?;
            let places: Vec<PlaceView> =
                places.into_iter().filter(|place| within.is_none_or(|words| place.words == words)).collect();
            if let Some(words) = within.filter(|_| places.is_empty()) {
                self.ask(all_of_chat(words)).await?;
            }
            let up_to_date = tokio::time::timeout(patience, self.bring_up_all(&places)).await;
            let is_complete = up_to_date.map_or(Ok(false), |done| done.map(|()| true))?;
            let ids: Vec<EntityId> = places.iter().map(|place| place.id).collect();
            let before = match before {
                Some((words, id)) => Some((self.id(words).await?, id)),
                None => None,
            };
            let search = search.clone();
            let hits = self.shelf.ask(move |model| model.search(&search, &ids, before, limit)).await?;
            let hits = hits.map_err(|missing| Trouble::Told(gone(missing)))?;
            let named = |hit: Hit| Some((places.iter().find(|place| place.id == hit.place)?.words, hit));
            Ok(Found { hits: hits.into_iter().filter_map(named).collect(), is_complete })
        })
        .await
    }

    /// What is unread in every chat of this person, the latest first.
    pub async fn inbox(&self) -> Result<Vec<Inbound>, Problem> {
        self.mending(|| async move {
            let places: Vec<PlaceView> =
                self.list().await?.into_iter().filter(|place| place.is_member).collect();
            self.bring_up_all(&places).await?;
            let latest = WallTime(clock::wall_ms().saturating_add(MARKER_AHEAD_MS_MAX));
            let mut inbox = self
                .shelf
                .ask(move |model| {
                    let unread = |place: &PlaceView| {
                        let unread = model.unread(place.id, place.me, place.read, latest)?;
                        let name = place.name.clone().unwrap_or(unread.name);
                        let unread = Unread { name, ..unread };
                        Ok(Inbound { words: place.words, unread, unaccepted: place.unaccepted })
                    };
                    places.iter().map(unread).collect::<Result<Vec<Inbound>, StoreError>>()
                })
                .await?;
            let time = |one: &Inbound| one.unread.last.as_ref().map(|last| last.view.message.time);
            inbox.sort_by_key(|one| std::cmp::Reverse(time(one)));
            Ok(inbox)
        })
        .await
    }

    /// Notes that this person has read a chat up to a message, or to its last one.
    pub async fn mark_read(&self, words: FourWords, message: Option<MessageId>) -> Result<(), Problem> {
        let found = self.chat(words, move |model, chat| match message {
            Some(message) => Ok((model.marker(chat, message)?, Some(Missing(message)))),
            None => {
                let last = model.page(chat, None, 1)?.unwrap_or_default().messages.pop();
                Ok((last.map(|last| model.marker(chat, last.view.message.id)).transpose()?.flatten(), None))
            }
        });
        match found.await? {
            (Some(marker), _) => {
                self.told(Command::Chat(words, ChatCommand::MarkRead(marker))).await.map(drop)
            }
            (None, Some(missing)) => Err(gone(missing)),
            // Nothing was written yet, so nothing is unread.
            (None, None) => Ok(()),
        }
    }

    /// Drops the copy and makes it anew, saying of how many groups, channels and projects of how many that is done.
    pub async fn rebuild(&self, mut report: impl FnMut(usize, usize)) -> Result<Held, Problem> {
        self.clear(ReadModel::clear).await?;
        let places = self.told_list().await?;
        for (done, place) in places.iter().enumerate() {
            report(done, places.len());
            self.mending(|| self.bring_up_all(std::slice::from_ref(place))).await?;
        }
        report(places.len(), places.len());
        self.held().await
    }

    /// How much the copy holds.
    pub async fn held(&self) -> Result<Held, Problem> {
        self.mending(|| self.shelf.ask(|model| model.held())).await
    }

    // -- what all of these need ---------------------------------------------------------------

    /// Does something by the copy, which is made anew if it turns out to be damaged.
    async fn mending<T, Doing>(&self, act: impl Fn() -> Doing) -> Result<T, Problem>
    where
        Doing: Future<Output = Result<T, Trouble>>,
    {
        for _ in 0..MENDS_MAX {
            match act().await {
                Ok(done) => return Ok(done),
                Err(Trouble::Told(problem)) => return Err(problem),
                Err(Trouble::Failed(error)) => self.mend(&error).await?,
            }
        }
        Err(Problem::new(
            Code::Storage,
            "the copy of what was written fails again and again",
            "look at the disk",
        ))
    }

    /// Begins a copy anew that is damaged, and in memory one that the disk does not take: who has no
    /// room left can still read.
    async fn mend(&self, error: &StoreError) -> Result<(), Problem> {
        if error.is_damage() {
            tracing::warn!(%error, "the copy of what was written is made anew");
            if self.clear(ReadModel::clear).await.is_ok() {
                return Ok(());
            }
        }
        tracing::warn!(%error, "the copy of what was written is kept in memory until the next start");
        self.clear(ReadModel::leave_disk).await
    }

    /// Empties the copy.
    async fn clear(
        &self,
        act: impl FnOnce(&mut ReadModel) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), Problem> {
        self.shelf.ask(act).await.map_err(|trouble| match trouble {
            Trouble::Told(problem) => problem,
            Trouble::Failed(error) => Problem::new(Code::Storage, error.to_string(), "look at the disk"),
        })
    }

    /// All groups, channels and projects with how their documents stand.
    async fn list(&self) -> Result<Vec<PlaceView>, Trouble> {
        Ok(self.told_list().await?)
    }

    async fn told_list(&self) -> Result<Vec<PlaceView>, Problem> {
        let Reply::Places(places) = self.told(Command::Places).await? else {
            return Err(Problem::mismatch());
        };
        self.places().ids = places.iter().map(|place| (place.words, place.id)).collect();
        Ok(places)
    }

    /// The full id of a group, channel or project; a problem if this person is not in it.
    async fn id(&self, words: FourWords) -> Result<EntityId, Trouble> {
        let known = self.places().ids.get(&words).copied();
        if let Some(id) = known {
            return Ok(id);
        }
        let places = self.list().await?;
        if let Some(place) = places.iter().find(|place| place.words == words) {
            return Ok(place.id);
        }
        // The machine says why not.
        self.ask(all_of_chat(words)).await?;
        Err(Problem::mismatch().into())
    }

    async fn ask(&self, command: Command) -> Result<Reply, Trouble> {
        Ok(self.told(command).await?)
    }

    async fn told(&self, command: Command) -> Result<Reply, Problem> {
        let outcome = tokio::time::timeout(ANSWER_TIME_MAX, self.node.ask(command)).await;
        match outcome.map_err(|_| late())?? {
            Outcome::Done(reply) => Ok(reply),
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Nothing that holds the lock can leave the maps half changed.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for all of a chat that has nothing copied yet.
fn all_of_chat(entity: FourWords) -> Command {
    Command::Copy { entity, concern: Concern::Chat, segment: 1, known: Copied::default() }
}

fn late() -> Problem {
    let detail = format!("the node did not answer within {} seconds", ANSWER_TIME_MAX.as_secs());
    Problem::new(Code::TimedOut, detail, "try again: it may be reading a large chat")
}

/// A message was named that is not here.
pub fn gone(Missing(message): Missing) -> Problem {
    let detail = format!("there is no message {} here (any more)", message.short());
    Problem::new(Code::NotFound, detail, "`fourword chat read` shows the ids of messages")
}
