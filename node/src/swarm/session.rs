//! Keeps what is open to one device: its connections, and one stream each way.
//!
//! The swarm task creates a session with the first connection and drops it with the last. A
//! session lives and dies with its streams: whenever frames may have been lost, all connections
//! are closed, so that both sides begin again from a greeting.
//!
//! When two nodes dial each other, each may open its stream on its own connection. The one with
//! the greater peer id then moves: it lets its stream end, waits until all of it was read, and
//! opens the next one where the other's stream is. The one with the smaller peer id closes what
//! carries no streams any more. So both keep the same connection and nothing is lost. A direct
//! connection is preferred to one through a relay in the same way: the one who leads moves first.
//!
//! A device that lost its network or its power comes back on a new connection while the old one
//! seems sound here for up to half a minute, or was lost without a stream on it. It is known by its
//! streams: each begins with a number drawn for the session. The first that comes is taken; with
//! another one the session ends, and both begin again. Each session opens a stream at once, for its
//! greeting, so a session that goes on with one it does not know is always found out.

use std::io;
use std::sync::Arc;

use fourword_protocol::ids::DeviceKey;
use futures::AsyncWriteExt;
use libp2p::PeerId;
use libp2p::swarm::{ConnectionId, Stream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Path;
use super::frames::{self, Outbox, Overflow, Queued, ReadError};
use super::punching::Punching;
use crate::limits::{INBOUND_STREAMS_MAX, SURPLUS_AFTER};

/// Tells what came of a session's streams, in order for each stream.
pub(super) struct Message {
    /// With whom.
    pub(super) peer: PeerId,
    /// Which of the sessions with this device: an older one's messages no longer count.
    pub(super) session: u64,
    /// What happened.
    pub(super) what: What,
}

/// What can happen on a stream.
pub(super) enum What {
    /// A frame came. The permit is returned when the machine has taken it.
    Frame(Vec<u8>, OwnedSemaphorePermit),
    /// The stream that was read on this connection ended cleanly.
    ReadEnd(ConnectionId),
    /// The stream that was written on this connection ended, and all of it was read.
    Written(ConnectionId, Queued),
    /// Frames may have been lost.
    Broken(String),
    /// The other side sent what no honest node sends.
    Malformed(String),
}

/// What is needed to start the tasks of a session.
#[derive(Clone)]
pub(super) struct Ground {
    /// Where messages go.
    pub(super) messages: mpsc::Sender<Message>,
    /// Bytes that may wait for the machine, from all devices together.
    pub(super) room: Arc<Semaphore>,
}

/// One device that is connected.
pub(super) struct Session {
    pub(super) device: DeviceKey,
    /// Drawn at random; each stream that we open begins with it.
    pub(super) number: u64,
    pub(super) since: Instant,
    /// Since when the session waits for its last frames to be read before it closes.
    pub(super) closing: Option<Instant>,
    peer: PeerId,
    /// Whether it is we who follow when the two sides' streams lie on different connections.
    follows: bool,
    links: Vec<Link>,
    pub(super) punching: Punching,
    /// Where the other side says that it is reached; at most `TOLD_ADDRESSES_MAX`.
    pub(super) told: Vec<String>,
    /// The number of the other side's session, once it has opened a stream.
    met: Option<u64>,
    /// Where the other side's latest stream is.
    theirs: Option<ConnectionId>,
    outbox: Outbox,
    /// The outbox's other end, while no stream has it.
    queued: Option<Queued>,
    writer: Writer,
    inbound: mpsc::Sender<(ConnectionId, Stream)>,
    ground: Ground,
    /// Aborted with the session.
    tasks: JoinSet<()>,
}

struct Link {
    connection: ConnectionId,
    path: Path,
    /// Streams of the other side that are not read to their end.
    reading: usize,
    /// When the link was made or last carried a stream.
    used: Instant,
}

enum Writer {
    Idle,
    Opening(ConnectionId),
    /// The sender asks the stream to end; it is gone once that was asked.
    Open(ConnectionId, Option<oneshot::Sender<()>>),
}

/// Why a stream of the other side is not taken.
pub(super) enum Unfit {
    /// The other side has begun another session, or frames of this one were lost.
    Over,
    /// It opened too many at once, as no honest node does.
    TooMany,
}

impl Session {
    /// A session that begins with this connection.
    pub(super) fn new(
        own: &PeerId,
        (peer, device): (PeerId, DeviceKey),
        (connection, path): (ConnectionId, Path),
        ground: Ground,
    ) -> Session {
        let number = rand::random();
        let (outbox, queued) = frames::outbox();
        let (inbound, streams) = mpsc::channel(INBOUND_STREAMS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_streams(peer, number, streams, ground.clone()));
        let mut session = Session {
            device,
            number,
            since: Instant::now(),
            closing: None,
            peer,
            follows: own.to_bytes() > peer.to_bytes(),
            links: Vec::new(),
            punching: Punching::new(Instant::now()),
            told: Vec::new(),
            met: None,
            theirs: None,
            outbox,
            queued: Some(queued),
            writer: Writer::Idle,
            inbound,
            ground,
            tasks,
        };
        session.add(connection, path);
        session
    }

    /// Notes one more connection. What is written through a relay moves to the first direct one.
    pub(super) fn add(&mut self, connection: ConnectionId, path: Path) {
        self.links.push(Link { connection, path, reading: 0, used: Instant::now() });
        self.lead();
    }

    /// Lets our stream end if it lies at a relay though there is a direct connection, and nobody
    /// is to be followed.
    fn lead(&mut self) {
        let leads = !self.follows || self.theirs.is_none();
        if leads && self.is_direct() && self.writing_on().is_some_and(|on| self.is_relayed(on)) {
            self.finish();
        }
    }

    /// The path that is used: the one of the streams, or else the one they would take.
    pub(super) fn path(&self) -> Option<Path> {
        let on = self.kept()?;
        self.links.iter().find(|link| link.connection == on).map(|link| link.path)
    }

    fn kept(&self) -> Option<ConnectionId> {
        self.writing_on().or(self.theirs).or_else(|| self.best())
    }

    /// Whether one of the connections is direct.
    pub(super) fn is_direct(&self) -> bool {
        self.links.iter().any(|link| !link.path.relayed)
    }

    fn is_relayed(&self, connection: ConnectionId) -> bool {
        self.links.iter().any(|link| link.connection == connection && link.path.relayed)
    }

    /// The connection that serves best: the oldest direct one.
    fn best(&self) -> Option<ConnectionId> {
        self.links.iter().min_by_key(|link| link.path.relayed).map(|link| link.connection)
    }

    /// Notes that a connection is gone. Returns whether the session survives it: it does if the
    /// connection carried no stream.
    pub(super) fn remove(&mut self, connection: ConnectionId) -> bool {
        let reading = self.links.iter().any(|link| link.connection == connection && link.reading > 0);
        self.links.retain(|link| link.connection != connection);
        if self.theirs == Some(connection) {
            self.theirs = None;
        }
        match self.writer {
            Writer::Open(on, _) if on == connection => return false,
            Writer::Opening(on) if on == connection => self.writer = Writer::Idle,
            _ => {}
        }
        !reading
    }

    /// Queues a frame; dropped if the session is about to close.
    pub(super) fn send(&mut self, frame: Vec<u8>) -> Result<(), Overflow> {
        if self.closing.is_some() {
            return Ok(());
        }
        self.outbox.push(frame)
    }

    /// The connection on which a stream must be opened now: there is something to send and no
    /// stream for it. Returned once; answered by `outbound` or `refused`.
    pub(super) fn wants_stream(&mut self) -> Option<ConnectionId> {
        if !matches!(self.writer, Writer::Idle) || self.queued.as_ref().is_none_or(Queued::is_empty) {
            return None;
        }
        // Whoever leads goes to the best one, and the other side follows.
        let theirs = self.theirs.filter(|on| self.follows || !self.is_direct() || !self.is_relayed(*on));
        let connection = theirs.or_else(|| self.best())?;
        self.writer = Writer::Opening(connection);
        Some(connection)
    }

    /// Takes the stream that was asked for and writes on it what is queued.
    pub(super) fn outbound(&mut self, connection: ConnectionId, stream: Stream) {
        if !matches!(self.writer, Writer::Opening(on) if on == connection) {
            return;
        }
        let Some(queued) = self.queued.take() else { return };
        let (finish, finished) = oneshot::channel();
        self.writer = Writer::Open(connection, Some(finish));
        let (ground, peer, session) = (self.ground.clone(), self.peer, self.number);
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            let what = match frames::write_all(stream, queued, finished).await {
                Ok(queued) => What::Written(connection, queued),
                Err(error) => What::Broken(format!("writing: {error}")),
            };
            // Fails only when the swarm task has ended.
            let _ = ground.messages.send(Message { peer, session, what }).await;
        });
        self.follow();
        // A direct connection may have come while the stream was being opened.
        self.lead();
        if self.closing.is_some() {
            self.finish();
        }
    }

    /// Takes a stream that the other side opened in its session of this number.
    pub(super) fn inbound(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        number: u64,
    ) -> Result<(), Unfit> {
        let reading: usize = self.links.iter().map(|link| link.reading).sum();
        let Some(link) = self.links.iter_mut().find(|link| link.connection == connection) else {
            return Ok(());
        };
        if *self.met.get_or_insert(number) != number {
            return Err(Unfit::Over);
        }
        if reading >= INBOUND_STREAMS_MAX {
            return Err(Unfit::TooMany);
        }
        match self.inbound.try_send((connection, stream)) {
            Ok(()) => link.reading += 1,
            Err(TrySendError::Full(_)) => return Err(Unfit::TooMany),
            // Nothing is read any more after a stream that broke.
            Err(TrySendError::Closed(_)) => return Err(Unfit::Over),
        }
        self.theirs = Some(connection);
        self.follow();
        Ok(())
    }

    /// Lets our stream end if it must move to the connection of the other side's.
    fn follow(&mut self) {
        if self.follows && self.theirs.is_some() && self.writing_on() != self.theirs {
            self.finish();
        }
    }

    fn writing_on(&self) -> Option<ConnectionId> {
        match self.writer {
            Writer::Idle => None,
            Writer::Opening(connection) | Writer::Open(connection, _) => Some(connection),
        }
    }

    fn finish(&mut self) {
        if let Writer::Open(_, finish) = &mut self.writer
            && let Some(finish) = finish.take()
        {
            // Fails only when the writer has ended; its message is on the way.
            let _ = finish.send(());
        }
    }

    /// Notes that a stream of the other side was read to its end.
    pub(super) fn read_end(&mut self, connection: ConnectionId) {
        if let Some(link) = self.links.iter_mut().find(|link| link.connection == connection) {
            link.reading = link.reading.saturating_sub(1);
            link.used = Instant::now();
            if link.reading == 0 && self.theirs == Some(connection) {
                self.theirs = None;
            }
        }
    }

    /// Notes that our stream ended and was read to its end.
    pub(super) fn written(&mut self, connection: ConnectionId, queued: Queued) {
        self.queued = Some(queued);
        self.writer = Writer::Idle;
        if let Some(link) = self.links.iter_mut().find(|link| link.connection == connection) {
            link.used = Instant::now();
        }
    }

    /// Begins to close: what is queued is still sent. `is_sent` says when that is done.
    pub(super) fn close(&mut self) {
        self.closing.get_or_insert_with(Instant::now);
        self.finish();
    }

    /// Whether nothing is left to send.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.writer, Writer::Idle) && self.queued.as_ref().is_some_and(Queued::is_empty)
    }

    /// The connections to close because another one serves: long without a stream. None on the
    /// side that follows, so that both keep the same one.
    pub(super) fn surplus(&self, now: Instant) -> Vec<ConnectionId> {
        if self.follows || self.links.len() < 2 {
            return Vec::new();
        }
        let kept = self.kept();
        let unused = self.links.iter().filter(|link| link.reading == 0 && now - link.used >= SURPLUS_AFTER);
        unused.map(|link| link.connection).filter(|connection| Some(*connection) != kept).collect()
    }
}

/// Reads the streams of one device one after the other, each to its end.
async fn read_streams(
    peer: PeerId,
    session: u64,
    mut streams: mpsc::Receiver<(ConnectionId, Stream)>,
    ground: Ground,
) {
    while let Some((connection, stream)) = streams.recv().await {
        let end = read_stream(peer, session, stream, &ground).await;
        let failed = end.is_err();
        let what = match end {
            Ok(()) => What::ReadEnd(connection),
            Err(ReadError::BadLength(length)) => What::Malformed(ReadError::BadLength(length).to_string()),
            Err(error) => What::Broken(format!("reading: {error}")),
        };
        let told = ground.messages.send(Message { peer, session, what }).await;
        if failed || told.is_err() {
            return;
        }
    }
}

async fn read_stream(
    peer: PeerId,
    session: u64,
    mut stream: Stream,
    ground: &Ground,
) -> Result<(), ReadError> {
    let stopped = || io::Error::from(io::ErrorKind::BrokenPipe);
    while let Some(frame) = frames::read(&mut stream).await? {
        let bytes = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let room = Arc::clone(&ground.room).acquire_many_owned(bytes).await.map_err(|_| stopped())?;
        let what = What::Frame(frame, room);
        ground.messages.send(Message { peer, session, what }).await.map_err(|_| stopped())?;
    }
    // Tells the writer that everything was taken.
    stream.close().await?;
    Ok(())
}
