//! What changes, as a stream that can be taken up again where it broke.
//!
//! `gather` numbers the node's notices into a ring of bounded length; `stream` serves it as
//! server-sent events whose ids name this run of the node and the number. A reader that comes back
//! with `Last-Event-ID` gets what it missed; if that is gone, it first gets a `gap` and must read
//! anew what it shows. Invariant: a reader misses nothing without being told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use fourword_protocol::command::Notice;
use fourword_protocol::schema::Concern;
use futures::Stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::error::{Code, Problem};
use super::{Api, text};

/// Events kept for readers that come back: hours of a calm group, seconds of a first sync.
pub const EVENTS_KEPT: usize = 4096;

/// Streams served at once.
const STREAMS_MAX: usize = 64;

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node knows who it is and serves.
    Ready {
        /// The person's four words.
        identity: String,
        /// This device.
        device: String,
    },
    /// The identity is being made, which takes seconds.
    Minting {
        /// What is being done, for people.
        what: String,
        /// Steps done.
        done: u32,
        /// Steps expected on average; more may be needed.
        expected: u32,
    },
    /// Messages were added or changed: read them anew.
    ChatChanged {
        /// The group's four words.
        group: String,
        /// Ids of the messages; none where a whole part of the chat came, or counts otherwise than before.
        messages: Vec<String>,
    },
    /// A board, issue tracker or canvas changed: read it anew.
    ThingsChanged {
        /// The four words.
        group: String,
        /// `kanban`, `issues` or `canvas`.
        concern: String,
        /// Ids of the things, comments among them; none where the document itself changed.
        things: Vec<String>,
    },
    /// The text of a file changed.
    TextChanged {
        /// The four words.
        group: String,
        /// `file/` and the name of the file.
        concern: String,
        /// How long it is now, in UTF-16 units.
        length: u32,
    },
    /// Somebody who is connected came, moved or went.
    PresenceChanged {
        /// The four words.
        group: String,
    },
    /// A group's name, description or settings, the names that its members show, or what lies below it
    /// changed.
    GroupChanged {
        /// The group's four words.
        group: String,
    },
    /// How far this person has read changed, on this or another device of theirs.
    HomeChanged,
    /// Somebody joined, left, or changed role.
    MembersChanged {
        /// The group's four words.
        group: String,
    },
    /// This device got into a group.
    Joined {
        /// The group's four words.
        group: String,
    },
    /// Somebody asks to be let into a group, or a request was decided.
    RequestsChanged {
        /// The group's four words.
        group: String,
    },
    /// A device of this person was linked, certified or revoked.
    DevicesChanged,
    /// Something this person wrote counts no more, or counts again.
    AcceptanceChanged {
        /// The group's four words.
        group: String,
    },
    /// How documents of a group stand with some device changed.
    SyncChanged {
        /// The group's four words.
        group: String,
    },
    /// A device connected.
    PeerConnected {
        /// Which.
        device: String,
        /// The device as libp2p names it.
        peer_id: Option<String>,
    },
    /// A device disconnected.
    PeerDisconnected {
        /// Which.
        device: String,
        /// The device as libp2p names it.
        peer_id: Option<String>,
    },
    /// The store failed; the node reads but writes no more.
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// Events are missing here: read anew what is shown.
    Gap,
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Event::Ready { .. } => "ready",
            Event::Minting { .. } => "minting",
            Event::ChatChanged { .. } => "chat_changed",
            Event::ThingsChanged { .. } => "things_changed",
            Event::TextChanged { .. } => "text_changed",
            Event::PresenceChanged { .. } => "presence_changed",
            Event::GroupChanged { .. } => "group_changed",
            Event::HomeChanged => "home_changed",
            Event::MembersChanged { .. } => "members_changed",
            Event::Joined { .. } => "joined",
            Event::RequestsChanged { .. } => "requests_changed",
            Event::DevicesChanged => "devices_changed",
            Event::AcceptanceChanged { .. } => "acceptance_changed",
            Event::SyncChanged { .. } => "sync_changed",
            Event::PeerConnected { .. } => "peer_connected",
            Event::PeerDisconnected { .. } => "peer_disconnected",
            Event::ReadOnly { .. } => "read_only",
            Event::Gap => "gap",
        }
    }
}

impl From<Notice> for Event {
    fn from(notice: Notice) -> Event {
        match notice {
            Notice::Ready { identity, device } => {
                Event::Ready { identity: identity.to_string(), device: device.to_string() }
            }
            Notice::Minting(progress) => {
                Event::Minting { what: progress.what, done: progress.done, expected: progress.expected }
            }
            Notice::ChatChanged { entity, messages } => Event::ChatChanged {
                group: entity.to_string(),
                messages: messages.iter().map(ToString::to_string).collect(),
            },
            Notice::ThingsChanged { entity, concern, things } => Event::ThingsChanged {
                group: entity.to_string(),
                concern: concern.name(),
                things: things.iter().map(ToString::to_string).collect(),
            },
            Notice::TextChanged { entity, file, length } => {
                Event::TextChanged { group: entity.to_string(), concern: Concern::File(file).name(), length }
            }
            Notice::PresenceChanged(group) => Event::PresenceChanged { group: group.to_string() },
            Notice::EntityChanged(group) => Event::GroupChanged { group: group.to_string() },
            Notice::HomeChanged => Event::HomeChanged,
            Notice::MembersChanged(group) => Event::MembersChanged { group: group.to_string() },
            Notice::Joined(group) => Event::Joined { group: group.to_string() },
            Notice::RequestsChanged(group) => Event::RequestsChanged { group: group.to_string() },
            Notice::DevicesChanged => Event::DevicesChanged,
            Notice::AcceptanceChanged(group) => Event::AcceptanceChanged { group: group.to_string() },
            Notice::SyncChanged(group) => Event::SyncChanged { group: group.to_string() },
            Notice::PeerChanged { device, connected } => {
                let (peer_id, device) = (text::peer_id(&device), device.to_string());
                if connected {
                    Event::PeerConnected { device, peer_id }
                } else {
                    Event::PeerDisconnected { device, peer_id }
                }
            }
            Notice::ReadOnly(reason) => Event::ReadOnly { reason },
        }
    }
}

/// The last events of this run, numbered from 1.
#[derive(Debug)]
pub struct Log {
    run: u64,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    newest: u64,
    events: VecDeque<Event>,
}

impl Log {
    /// An empty log of a new run, told apart from others by the time it begins.
    pub fn new() -> Log {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        Log { run, ring: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Appends an event; the oldest goes if there are too many.
    pub fn push(&self, event: Event) {
        let newest = {
            let mut ring = self.ring();
            if ring.events.len() >= EVENTS_KEPT {
                ring.events.pop_front();
            }
            ring.events.push_back(event);
            ring.newest += 1;
            ring.newest
        };
        self.newest.send_replace(newest);
    }

    /// The event after number `seen` and its own number; a gap if that one is gone.
    fn after(&self, seen: u64) -> Option<(u64, Event)> {
        let ring = self.ring();
        let before_oldest = ring.newest - ring.events.len() as u64;
        if seen < before_oldest {
            return Some((before_oldest, Event::Gap));
        }
        let index = usize::try_from(seen - before_oldest).ok()?;
        ring.events.get(index).map(|event| (seen + 1, event.clone()))
    }

    /// The number that a reader has seen last, and whether it must be told of a gap.
    fn cursor(&self, last_id: Option<&str>) -> (u64, bool) {
        let newest = self.ring().newest;
        let Some(last_id) = last_id else { return (newest, false) };
        let seen = last_id
            .split_once('-')
            .filter(|(run, _)| run.parse() == Ok(self.run))
            .and_then(|(_, number)| number.parse().ok())
            .filter(|number| *number <= newest);
        seen.map_or((newest, true), |number| (number, false))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing that holds the lock can leave the ring half changed.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Log {
    fn default() -> Log {
        Log::new()
    }
}

/// Numbers the notices of a node until it ends.
pub async fn gather(mut notices: broadcast::Receiver<Notice>, log: Arc<Log>) {
    loop {
        match notices.recv().await {
            Ok(notice) => log.push(notice.into()),
            Err(broadcast::error::RecvError::Lagged(_)) => log.push(Event::Gap),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Reads the log from some point on.
pub struct Reader {
    log: Arc<Log>,
    newest: watch::Receiver<u64>,
    seen: u64,
    gap: bool,
}

impl Reader {
    /// Begins after the event of this id, or with what comes from now on.
    pub fn new(log: Arc<Log>, last_id: Option<&str>) -> Reader {
        let newest = log.newest.subscribe();
        let (seen, gap) = log.cursor(last_id);
        Reader { log, newest, seen, gap }
    }

    /// The next event and its id, once there is one.
    pub async fn next(&mut self) -> (String, Event) {
        loop {
            self.newest.mark_unchanged();
            let next = if std::mem::take(&mut self.gap) {
                Some((self.seen, Event::Gap))
            } else {
                self.log.after(self.seen)
            };
            if let Some((number, event)) = next {
                self.seen = number;
                return (format!("{}-{number}", self.log.run), event);
            }
            // The sender lives in the log that this reader holds: it cannot be gone.
            let _ = self.newest.changed().await;
        }
    }
}

/// Where a stream begins, for clients that cannot set the header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// The id of the last event that was seen.
    since: Option<String>,
}

impl Api {
    /// Reads events from now on.
    pub fn events(&self) -> Reader {
        Reader::new(self.events.clone(), None)
    }
}

/// `GET /api/v1/events`
pub async fn stream(
    State(api): State<Api>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    if api.events.newest.receiver_count() >= STREAMS_MAX {
        return Err(Problem::new(Code::TooMuch, "too many streams are open", "close one and try again"));
    }
    let last_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(query.since.as_deref());
    let reader = Reader::new(api.events.clone(), last_id);
    let events = futures::stream::unfold((reader, api), |(mut reader, api)| async {
        let (id, event) = tokio::select! {
            () = api.stopping() => return None,
            next = reader.next() => next,
        };
        let sent = sse::Event::default().id(id).event(event.name()).json_data(&event).unwrap_or_default();
        Some((Ok::<_, Infallible>(sent), (reader, api)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        Event::Joined { group: number.to_string() }
    }

    fn log(events: usize) -> Arc<Log> {
        let log = Arc::new(Log::new());
        (1..=events).for_each(|number| log.push(event(number)));
        log
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_gets_what_it_missed() {
        let log = log(5);
        let mut reader = Reader::new(log.clone(), Some(&format!("{}-3", log.run)));
        assert_eq!(reader.next().await, (format!("{}-4", log.run), event(4)));
        assert_eq!(reader.next().await.1, event(5));
        log.push(event(6));
        assert_eq!(reader.next().await.1, event(6));
    }

    #[tokio::test]
    async fn a_reader_that_comes_too_late_is_told_of_the_gap_once() {
        let log = log(EVENTS_KEPT + 10);
        let mut reader = Reader::new(log.clone(), Some(&format!("{}-3", log.run)));
        assert_eq!(reader.next().await, (format!("{}-10", log.run), Event::Gap));
        assert_eq!(reader.next().await.1, event(11));
    }

    #[tokio::test]
    async fn an_id_of_another_run_or_of_no_run_is_a_gap() {
        let log = log(5);
        for id in [format!("{}-3", log.run - 1), format!("{}-99", log.run), "nonsense".into()] {
            let mut reader = Reader::new(log.clone(), Some(&id));
            assert_eq!(reader.next().await.1, Event::Gap, "{id}");
            log.push(event(6));
            assert_eq!(reader.next().await.1, event(6), "{id}");
        }
    }

    #[tokio::test]
    async fn a_new_reader_gets_only_what_comes() {
        let log = log(5);
        let mut reader = Reader::new(log.clone(), None);
        log.push(event(6));
        assert_eq!(reader.next().await.1, event(6));
    }
}
