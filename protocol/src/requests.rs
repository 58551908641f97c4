//! Who asks to be let in: makes requests, keeps those of others, and has admins decide.

use crate::command::{CommandId, MemberCommand, Refusal, RefusalCode};
use crate::outbox::refusal;
use crate::replicator::Replicator;
use crate::words::FourWords;

impl Replicator {
    pub(crate) fn ask_requests(
        &mut self,
        _id: CommandId,
        _words: FourWords,
        _command: MemberCommand,
    ) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }

    pub(crate) fn joins_under_way(&mut self, _id: CommandId) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }

    pub(crate) fn cancel_join(&mut self, _id: CommandId, _words: FourWords) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }
}
