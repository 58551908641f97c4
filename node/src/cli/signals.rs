//! The signals by which a process that runs in the foreground is told to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a node in good order.
pub(super) struct Signals([Signal; 3]);

impl Signals {
    /// Begins to listen to them.
    pub(super) fn new() -> std::io::Result<Signals> {
        Ok(Signals([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) {
        let Signals([terminate, interrupt, hangup]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
