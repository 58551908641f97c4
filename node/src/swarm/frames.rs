//! Reads and writes frames on a stream: a big-endian u32 length, then so many bytes.
//!
//! Each device sends on streams it opened and reads on those the other opened. A stream ends
//! cleanly between two frames, and its reader then closes its own half, which tells the writer
//! that all was taken. Invariant: nothing is allocated for a declared length before it is bounded,
//! nor much of it before the bytes have come. Format: docs/PROTOCOL.md, the sync stream.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fourword_protocol::limits::FRAME_BYTES_MAX;
use futures::io::BufWriter;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::limits::{FINISH_TIMEOUT, OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX};

/// Bytes gathered before a write, and allocated for a frame before its bytes have come.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// A length of zero or above the bound: no honest node sends it.
    #[error("a frame of {0} bytes was declared")]
    BadLength(u32),
    /// The stream ended inside a frame or failed.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// The next frame, or `None` where the stream ends cleanly.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>, ReadError> {
    let mut header = [0; 4];
    let mut filled = 0;
    while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => filled += count,
        }
    }
    let declared = u32::from_be_bytes(header);
    let length = usize::try_from(declared).unwrap_or(usize::MAX);
    if length == 0 || length > FRAME_BYTES_MAX {
        return Err(ReadError::BadLength(declared));
    }
    let mut frame = Vec::with_capacity(length.min(CHUNK_BYTES));
    stream.take(u64::from(declared)).read_to_end(&mut frame).await?;
    if frame.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(frame))
}

/// Where frames to one device wait: bounded in bytes and in number.
pub(super) struct Outbox {
    frames: mpsc::Sender<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
}

/// The other end of an outbox: handed from one stream to the next.
pub(super) struct Queued {
    frames: mpsc::Receiver<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
}

/// The device reads too slowly: its queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// An empty outbox and its other end.
pub(super) fn outbox() -> (Outbox, Queued) {
    let (sender, receiver) = mpsc::channel(OUTBOX_FRAMES_MAX);
    let bytes = Arc::new(AtomicUsize::new(0));
    (Outbox { frames: sender, bytes: Arc::clone(&bytes) }, Queued { frames: receiver, bytes })
}

impl Outbox {
    /// Queues a frame; never waits.
    pub(super) fn push(&self, frame: Vec<u8>) -> Result<(), Overflow> {
        let length = frame.len();
        if self.bytes.load(Ordering::Relaxed).saturating_add(length) > OUTBOX_BYTES_MAX {
            return Err(Overflow);
        }
        // Added before the frame can be taken out again, or the count would pass below zero.
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.frames.try_send(frame).map_err(|_| Overflow)
    }
}

impl Queued {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Writes what is queued until asked to finish, then until nothing waits any more, and returns
/// the queue once the other side has read all of it.
///
/// Fails if the stream breaks, or if the other side has not read everything `FINISH_TIMEOUT`
/// after the end: frames may then be lost.
pub(super) async fn write_all(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut queued: Queued,
    mut finish: oneshot::Receiver<()>,
) -> io::Result<Queued> {
    let mut stream = BufWriter::with_capacity(CHUNK_BYTES, stream);
    loop {
        let frame = match queued.frames.try_recv() {
            Ok(frame) => frame,
            Err(_) => {
                stream.flush().await?;
                tokio::select! {
                    biased;
                    frame = queued.frames.recv() => match frame {
                        Some(frame) => frame,
                        None => break,
                    },
                    _ = &mut finish => break,
                }
            }
        };
        queued.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&frame).await?;
    }
    let confirmed = async {
        stream.close().await?;
        stream.read(&mut [0]).await
    };
    match tokio::time::timeout(FINISH_TIMEOUT, confirmed).await {
        Ok(Ok(0)) => Ok(queued),
        Ok(Ok(_)) => Err(io::ErrorKind::InvalidData.into()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    fn framed(length: u32, body: &[u8]) -> Cursor<Vec<u8>> {
        Cursor::new([&length.to_be_bytes(), body].concat())
    }

    #[tokio::test]
    async fn frames_read_back_one_by_one_until_the_clean_end() {
        let mut stream =
            Cursor::new([&3u32.to_be_bytes()[..], b"one", &5u32.to_be_bytes(), b"three"].concat());
        assert_eq!(read(&mut stream).await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(read(&mut stream).await.unwrap(), Some(b"three".to_vec()));
        assert_eq!(read(&mut stream).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_length_out_of_bounds_is_refused_before_its_bytes_are_read() {
        for length in [0, FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
            let mut stream = framed(length, b"never read");
            assert!(matches!(read(&mut stream).await, Err(ReadError::BadLength(l)) if l == length));
            assert_eq!(stream.position(), 4);
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_inside_a_frame_is_broken() {
        assert!(matches!(read(&mut framed(10, b"short")).await, Err(ReadError::Broken(_))));
        assert!(matches!(read(&mut Cursor::new(vec![0, 0])).await, Err(ReadError::Broken(_))));
    }

    #[tokio::test]
    async fn an_outbox_refuses_what_exceeds_its_bytes() {
        let (outbox, _queued) = outbox();
        let frame = vec![0; FRAME_BYTES_MAX];
        for _ in 0..OUTBOX_BYTES_MAX / FRAME_BYTES_MAX {
            assert_eq!(outbox.push(frame.clone()), Ok(()));
        }
        assert_eq!(outbox.push(vec![0]), Err(Overflow));
    }

    #[tokio::test]
    async fn an_outbox_refuses_more_tiny_frames_than_it_may_hold() {
        let (outbox, _queued) = outbox();
        for _ in 0..OUTBOX_FRAMES_MAX {
            assert_eq!(outbox.push(vec![0]), Ok(()));
        }
        assert_eq!(outbox.push(vec![0]), Err(Overflow));
    }
}
