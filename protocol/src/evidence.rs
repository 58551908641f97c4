//! What was seen of others that should not be, and what of our own does not count.

use crate::command::{CommandId, FaultView, Refusal, RefusalCode};
use crate::outbox::refusal;
use crate::replicator::Replicator;
use crate::words::FourWords;

impl Replicator {
    pub(crate) fn unaccepted(&mut self, _id: CommandId, _words: FourWords) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }

    pub(crate) fn fault_views(&self) -> Vec<FaultView> {
        Vec::new()
    }
}
