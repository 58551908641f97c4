//! Acts of members on members: removal, roles, invites, settings, and the keys that follow.

use crate::command::{CommandId, MemberCommand, Refusal, RefusalCode};
use crate::outbox::refusal;
use crate::replicator::Replicator;
use crate::schema::core::Setting;
use crate::words::FourWords;

impl Replicator {
    pub(crate) fn govern(
        &mut self,
        _id: CommandId,
        _words: FourWords,
        _command: MemberCommand,
    ) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }

    pub(crate) fn configure(
        &mut self,
        _id: CommandId,
        _words: FourWords,
        _setting: Setting,
    ) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }
}
