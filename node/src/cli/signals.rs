//! The signals by which a process that runs in the foreground is told to end.
//!
//! The first asks for an end in good order; the second ends the process at once, as a crash would.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use super::output::Output;
use crate::api::error::Code;

/// The signals that end a node in good order.
pub(super) struct Signals {
    kinds: [Signal; 3],
    came: u32,
}

impl Signals {
    /// Begins to listen to them.
    pub(super) fn new() -> std::io::Result<Signals> {
        let kinds = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Signals { kinds, came: 0 })
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.kinds;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        self.came += 1;
    }

    /// Waits for `end`, which is to be an end in good order, unless a second signal comes: then
    /// this process ends here, and what it had not written yet is lost.
    pub(super) async fn or_at_once<T>(&mut self, end: impl Future<Output = T>, output: Output) -> T {
        let impatient = async {
            while self.came < 2 {
                self.next().await;
            }
        };
        tokio::select! {
            ended = end => ended,
            () = impatient => {
                let hint = "nothing that was said to be saved is lost";
                let failure = Failure::new(Code::Internal, "ended at once, by a second signal", hint);
                output.failure(&failure);
                std::process::exit(failure.number().into());
            }
        }
    }
}
