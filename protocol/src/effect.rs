//! What a node must now do. A driver carries these out in order and never skips one.
//!
//! Both drivers match `Effect` without a wildcard, so a new effect breaks both builds until it is
//! handled. Whatever takes time is answered later by an event.

use std::collections::BTreeSet;

use crate::command::{CommandId, Notice, Outcome, Progress};
use crate::event::{GossipId, StretchId};
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, Digest, Topic};
use crate::record::{Batch, LoadId, Query};
use crate::time::Instant;
use crate::words::StretchInput;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Open the network under this device's key. Emitted once, before any other network effect.
    Listen(DeviceSecret),
    /// Make these records durable. Answered by `Durable` or `WriteFailed`, in the order written.
    Write(Batch),
    /// Read from the store, after all writes emitted before. Answered by `Loaded`.
    Load(LoadId, Query),
    /// Run Argon2id, or look for a proof of work, off the machine's thread. Answered by `Stretched`.
    Stretch(StretchId, StretchInput),
    /// Dial a multiaddr, at most once at a time each. Answered by `Connected` or `Unreachable`.
    Connect(String),
    /// Offer to be found under this key from now on, wherever others search.
    Offer(Digest),
    /// Offer it no more.
    Withdraw(Digest),
    /// Search once for devices that offer to be found under this key. What is found is told by
    /// `Located`, perhaps several times, perhaps never.
    Find(Digest),
    /// Find a way to a device by its name alone: through relays, or where it was met. Answered by
    /// `Connected`, or by nothing.
    Reach(DeviceKey),
    /// Keep room for connections with these devices, and for no others: those of fellow members.
    /// Replaces what was said before; given before any of them is dialled.
    Fellows(BTreeSet<DeviceKey>),
    /// Close all connections to a device and refuse it for a while.
    Disconnect(DeviceKey, Reason),
    /// Send one frame on the sync stream; dropped if the device is not connected.
    Send(DeviceKey, Vec<u8>),
    /// Take part in a topic.
    Subscribe(Topic),
    /// Leave a topic.
    Unsubscribe(Topic),
    /// Publish an envelope on a topic. A hint only: it may never arrive.
    Publish(Topic, Vec<u8>),
    /// Say whether a message that came by gossip is passed on.
    Judge(GossipId, Verdict),
    /// Answer a command: once, and never before what it claims is durable.
    Answer(CommandId, Outcome),
    /// Say how far a command has come.
    Report(CommandId, Progress),
    /// Tell whoever listens that something changed.
    Notify(Notice),
    /// Give `Event::Wake` at this time; a later one replaces an earlier one.
    WakeAt(Instant),
    /// All is written: the driver may mark the stop as clean and end. Answers `Stopping`.
    Stopped,
}

/// Why a device is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It sent frames that no honest node sends.
    Misbehaved,
    /// Nothing is shared with it and nothing is left to say.
    Surplus,
}

/// What becomes of a message that came by gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: pass it on.
    Accept,
    /// Stale or not yet judgeable: drop it, blame nobody.
    Ignore,
    /// Hostile: drop it and blame the one who passed it on.
    Reject,
}
