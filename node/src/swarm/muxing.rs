//! Splits one TCP connection, or one circuit, into streams, with bounds on what waits unread.
//!
//! The transport is built with it. The library's own wrapper of yamux leaves a gigabyte of unread
//! data to each connection; this one lets whoever dials us have few streams, and lets windows grow
//! by a fixed amount in all. Invariant: a connection holds at most 256 KiB of unread bytes for each
//! stream it may have, and `WINDOW_GROWTH_BYTES_MAX` more.
//!
//! It also ends connections on which nothing comes any more. Yamux measures how long a round trip
//! takes whenever it is looked at and has not done so for ten seconds; so it is enough to look at a
//! quiet connection in time, and to miss what should have come (docs/decisions/0025).

use std::collections::VecDeque;
use std::future::{self, Ready};
use std::io;
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use tokio::time::{Instant, Sleep, sleep};
use yamux::{Config, Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

use crate::limits::{
    KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, STREAMS_MAX, STREAMS_UNNAMED_MAX, WINDOW_GROWTH_BYTES_MAX,
};

/// How a connection is split: by whom it was dialled decides how many streams it may have.
#[derive(Clone, Debug)]
pub(crate) struct Muxing {
    inbound: Config,
    outbound: Config,
}

impl Muxing {
    /// Allows so many streams on a connection that the other side dialled, and `STREAMS_MAX` on one
    /// that we did.
    pub(crate) fn new(inbound_streams: usize) -> Muxing {
        Muxing { inbound: config(inbound_streams), outbound: config(STREAMS_MAX) }
    }
}

fn config(streams: usize) -> Config {
    let credit = usize::try_from(DEFAULT_CREDIT).unwrap_or(usize::MAX);
    let window = streams.saturating_mul(credit).saturating_add(WINDOW_GROWTH_BYTES_MAX);
    let mut config = Config::default();
    // Either order must keep the library's own condition between the two.
    config.set_max_connection_receive_window(None);
    config.set_max_num_streams(streams);
    config.set_max_connection_receive_window(Some(window));
    config
}

impl UpgradeInfo for Muxing {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Muxing {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(Muxer::new(socket, self.inbound, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Muxing {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(Muxer::new(socket, self.outbound, Mode::Client)))
    }
}

/// One connection and the streams on it.
#[derive(Debug)]
pub(crate) struct Muxer<C> {
    connection: Connection<Watched<C>>,
    /// Streams the other side opened that nobody has taken; at most `STREAMS_UNNAMED_MAX`.
    opened: VecDeque<Stream>,
    /// Whoever waits for one of them.
    waiting: Option<Waker>,
    heard: Heard,
    /// When the other side is to be asked for a sign of life, or has been silent for too long.
    alarm: Pin<Box<Sleep>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(socket: C, config: Config, mode: Mode) -> Muxer<C> {
        let heard = Heard::now();
        let socket = Watched { socket, heard: heard.clone() };
        Muxer {
            connection: Connection::new(socket, config, mode),
            opened: VecDeque::new(),
            waiting: None,
            heard,
            alarm: Box::pin(sleep(KEEP_ALIVE_INTERVAL)),
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    /// The next stream of the other side. The connection moves only while it is asked for one.
    fn poll_opened(&mut self, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = ready!(self.connection.poll_next_inbound(context));
        Poll::Ready(next.unwrap_or(Err(ConnectionError::Closed)))
    }

    /// Has a quiet connection looked at when its time has come, which is when yamux asks, and fails
    /// where the other side is silent.
    fn watch(&mut self, context: &mut Context<'_>) -> Result<(), ConnectionError> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let heard = self.heard.last();
            let silence = heard.elapsed();
            let next = if silence < KEEP_ALIVE_INTERVAL {
                KEEP_ALIVE_INTERVAL
            } else if silence < KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT {
                KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT
            } else {
                return Err(ConnectionError::Io(io::ErrorKind::TimedOut.into()));
            };
            self.alarm.as_mut().reset(heard + next);
        }
        Ok(())
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.opened.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.poll_opened(context);
        if next.is_pending() {
            self.waiting = Some(context.waker().clone());
        }
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(context)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        // What has come is read first: after a standstill of this machine it is no silence.
        let Poll::Ready(stream) = self.poll_opened(context)? else {
            self.watch(context)?;
            return Poll::Pending;
        };
        // Beyond what may wait it is dropped, which tells the other side that it is closed.
        if self.opened.len() < STREAMS_UNNAMED_MAX {
            self.opened.push_back(stream);
            if let Some(waiting) = self.waiting.take() {
                waiting.wake();
            }
        }
        // More may have come; other tasks have their turn first.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether a connection ended because nothing came any more. The network's layers wrap what was said.
pub(super) fn is_silence(error: &io::Error) -> bool {
    if error.kind() == io::ErrorKind::TimedOut {
        return true;
    }
    let Some(inner) = error.get_ref() else { return false };
    match inner.downcast_ref::<ConnectionError>() {
        Some(ConnectionError::Io(error)) => is_silence(error),
        Some(_) => false,
        None => inner.downcast_ref::<io::Error>().is_some_and(is_silence),
    }
}

/// When something last came on a connection, in whole milliseconds.
#[derive(Clone, Debug)]
struct Heard {
    began: Instant,
    after_ms: Arc<AtomicU64>,
}

impl Heard {
    fn now() -> Heard {
        Heard { began: Instant::now(), after_ms: Arc::default() }
    }

    fn note(&self) {
        let after = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.after_ms.store(after, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.after_ms.load(Ordering::Relaxed))
    }
}

/// A socket that notes when something comes.
#[derive(Debug)]
struct Watched<C> {
    socket: C,
    heard: Heard,
}

impl<C: AsyncRead + Unpin> AsyncRead for Watched<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        self.heard.note();
        Poll::Ready(Ok(count))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Watched<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::poll_fn;
    use libp2p::tcp::tokio::TcpStream;
    use tokio::net;
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    async fn pipe() -> (TcpStream, TcpStream) {
        let listener = net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (TcpStream(listener.accept().await.unwrap().0), TcpStream(far))
    }

    /// How many streams somebody gets who dials, and opens twice as many as it may have.
    async fn gets(streams: usize) -> usize {
        let (near, far) = pipe().await;
        let mut host = Muxing::new(streams).upgrade_inbound(near, "").await.unwrap();
        let mut guest = Connection::new(far, Config::default(), Mode::Client);
        let host = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(stream) = poll_fn(|context| Pin::new(&mut host).poll_inbound(context)).await {
                held.push(stream);
            }
            held.len()
        });
        let mut opened = Vec::new();
        while opened.len() < 2 * streams {
            let stream = poll_fn(|context| guest.poll_new_outbound(context)).await.unwrap();
            opened.push(stream);
        }
        // Until the host ends the connection, whose streams are closed then.
        let ended = async {
            for mut stream in opened {
                let opening = poll_fn(|context| match guest.poll_next_inbound(context) {
                    Poll::Ready(None | Some(Err(_))) => Poll::Ready(Ok(0)),
                    _ => Pin::new(&mut stream).poll_write(context, b"unread"),
                });
                if !matches!(opening.await, Ok(1..)) {
                    break;
                }
            }
            while let Some(Ok(_)) = poll_fn(|context| guest.poll_next_inbound(context)).await {}
        };
        timeout(DEADLINE, ended).await.unwrap();
        timeout(DEADLINE, host).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_connection_ends_at_the_first_stream_beyond_as_many_as_it_may_have() {
        assert_eq!(gets(4).await, 4);
        assert_eq!(gets(32).await, 32);
    }

    /// Looks after a connection until it ends, and says why it did.
    async fn ended(mut muxer: Muxer<TcpStream>) -> ConnectionError {
        poll_fn(|context| Pin::new(&mut muxer).poll(context)).await.unwrap_err()
    }

    /// By the machine's clock, which yamux goes by.
    #[tokio::test]
    async fn a_connection_lasts_while_the_other_side_answers_and_ends_where_nothing_comes() {
        let ((near, far), (cut, _hung)) = (pipe().await, pipe().await);
        let near = ended(Muxing::new(1).upgrade_inbound(near, "").await.unwrap());
        let far = ended(Muxing::new(1).upgrade_outbound(far, "").await.unwrap());
        let cut = ended(Muxing::new(1).upgrade_inbound(cut, "").await.unwrap());
        let began = Instant::now();
        let sound = async {
            tokio::select! {
                error = near => panic!("near: {error}"),
                error = far => panic!("far: {error}"),
                () = sleep(KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT + Duration::from_secs(2)) => {}
            }
        };
        let missed = async {
            let error = timeout(DEADLINE, cut).await.unwrap();
            assert!(is_silence(&io::Error::other(io::Error::other(error))));
            began.elapsed()
        };
        let ((), after) = tokio::join!(sound, missed);
        assert!(after >= KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT, "given up after {after:?}");
    }
}
