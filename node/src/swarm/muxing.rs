//! Splits one TCP connection, or one circuit, into streams, with bounds on what waits unread.
//!
//! The transport is built with it. The library's own wrapper of yamux leaves a gigabyte of unread
//! data to each connection; this one lets whoever dials us have few streams, and lets windows grow
//! by a fixed amount in all. Invariant: a connection holds at most 256 KiB of unread bytes for each
//! stream it may have, and `WINDOW_GROWTH_BYTES_MAX` more.

use std::collections::VecDeque;
use std::future::{self, Ready};
use std::io;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Config, Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

use crate::limits::{STREAMS_MAX, STREAMS_UNNAMED_MAX, WINDOW_GROWTH_BYTES_MAX};

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
        future::ready(Ok(Muxer::new(Connection::new(socket, self.inbound, Mode::Server))))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Muxing {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(Muxer::new(Connection::new(socket, self.outbound, Mode::Client))))
    }
}

/// One connection and the streams on it.
#[derive(Debug)]
pub(crate) struct Muxer<C> {
    connection: Connection<C>,
    /// Streams the other side opened that nobody has taken; at most `STREAMS_UNNAMED_MAX`.
    opened: VecDeque<Stream>,
    /// Whoever waits for one of them.
    waiting: Option<Waker>,
}

impl<C> Muxer<C> {
    fn new(connection: Connection<C>) -> Muxer<C> {
        Muxer { connection, opened: VecDeque::new(), waiting: None }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    /// The next stream of the other side. The connection moves only while it is asked for one.
    fn poll_opened(&mut self, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = ready!(self.connection.poll_next_inbound(context));
        Poll::Ready(next.unwrap_or(Err(ConnectionError::Closed)))
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
        let stream = ready!(self.poll_opened(context))?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}
