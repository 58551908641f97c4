//! The devices of one person: linking, revoking, recovering, in the home and in every entity.

use crate::command::{CommandId, DeviceCommand, Refusal, RefusalCode};
use crate::outbox::refusal;
use crate::replicator::Replicator;

impl Replicator {
    pub(crate) fn ask_devices(&mut self, _id: CommandId, _command: DeviceCommand) -> Result<(), Refusal> {
        Err(refusal(RefusalCode::Internal, "not built yet", ""))
    }
}
