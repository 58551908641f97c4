//! What can happen to a node. A driver turns I/O into these and gives them to `Replicator::handle`.
//!
//! No event carries a channel, a callback or a future: the driver keeps who waits for what.

use crate::command::{Command, CommandId};
use crate::ids::{DeviceKey, Digest, Topic};
use crate::record::{BatchId, LoadId, Page, StoreFailure};

/// Numbers one stretch of a name, so that its answer finds its asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StretchId(pub u64);

/// Numbers one message that came by gossip and waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GossipId(pub u64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node begins: the first event, and given once.
    Started {
        /// The last stop was clean, on this machine and these files: logs may be continued.
        clean: bool,
    },
    /// The time asked for by `Effect::WakeAt` has come.
    Wake,
    /// Somebody on this device wants something. Answered by exactly one `Effect::Answer`.
    Asked(CommandId, Command),
    /// A first connection to this device is up. Its key is proved by the connection.
    Connected(DeviceKey),
    /// The last connection to this device is gone.
    Disconnected(DeviceKey),
    /// One frame of the sync stream came from a connected device.
    /// The driver has bounded it to `limits::FRAME_BYTES_MAX`.
    Received(DeviceKey, Vec<u8>),
    /// A dial asked for by `Effect::Connect` led to no connection.
    Unreachable {
        /// The address as it was given.
        address: String,
        /// Why, in words for a person.
        reason: String,
    },
    /// A connected device says where it can be reached.
    Met {
        /// Which device.
        device: DeviceKey,
        /// Multiaddrs, best first; the driver bounds their number.
        addresses: Vec<String>,
    },
    /// A search asked for by `Effect::Find` found devices that offer to be found under the key.
    Located(Digest, Vec<DeviceKey>),
    /// Others can be found that could not before: a relay is connected, or a network is back.
    Online,
    /// Gossip brought a message of a subscribed topic. Answered by `Effect::Judge`.
    Heard {
        /// Names the message until it is judged.
        gossip: GossipId,
        /// The topic it came on.
        topic: Topic,
        /// Who passed it on, which need not be its author.
        from: DeviceKey,
        /// At most `limits::ENVELOPE_BYTES_MAX`, bounded by the driver.
        bytes: Vec<u8>,
    },
    /// Gossip to this device was dropped for want of room: what it missed must be synced.
    Missed(DeviceKey),
    /// A batch is on disk for good.
    Durable(BatchId),
    /// A batch is not on disk; nothing of it counts.
    WriteFailed(BatchId, StoreFailure),
    /// Answers `Effect::Load`.
    Loaded(LoadId, Result<Page, StoreFailure>),
    /// Answers `Effect::Stretch` with the 32 bytes that `StretchInput::run` made.
    Stretched(StretchId, [u8; 32]),
    /// The node is asked to end: the machine writes what waits and answers `Effect::Stopped`.
    Stopping,
}
