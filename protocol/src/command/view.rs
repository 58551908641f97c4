//! What the node shows to people and programs: one struct for each thing shown.
//!
//! `views` of the machine fills them, the API maps them to JSON. Words stand where this node has
//! stretched them itself; else the id stands in.

use super::Kind;
use crate::ids::{DeviceKey, Digest, EntityId, PersonId, StatementId, VerifyingKey};
use crate::roster::Role;
use crate::schema::chat::{Message, MessageId};
use crate::schema::core::Settings;
use crate::time::WallTime;
use crate::words::FourWords;

/// Answers `Command::Status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The person's four words.
    pub identity: FourWords,
    /// The person.
    pub person: PersonId,
    /// This device.
    pub device: DeviceKey,
    /// The name shown to others; empty if none was set.
    pub name: String,
    /// Whether the root key is still on this device.
    pub root_here: bool,
    /// How many entities, homes not counted.
    pub entities: u32,
    /// How many devices are connected.
    pub peers: u32,
    /// Why the node does not write, if it does not.
    pub read_only: Option<String>,
    /// Frames and envelopes dropped since the start, by reason.
    pub dropped: Vec<(String, u64)>,
    /// What others did that no honest device does, and what came from newer versions.
    pub faults: Vec<FaultView>,
}

/// Something that was seen of a device and that people should know: kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultView {
    /// Where.
    pub entity: FourWords,
    /// Whose device, where that is known.
    pub person: Option<PersonView>,
    /// Which device; all zero where the version is too new to tell.
    pub device: DeviceKey,
    /// What.
    pub kind: FaultKind,
    /// The document's id, where it concerns one.
    pub document: Option<String>,
    /// How often it was seen.
    pub count: u64,
    /// When it was last seen.
    pub last: WallTime,
    /// The evidence in words: which log, which position, which hashes.
    pub detail: String,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Two different envelopes at one position of a log.
    Fork,
    /// Two logs under one client id.
    TakenClientId,
    /// An envelope that knows less of the roster than the one before it in its log.
    Backdated,
    /// An envelope that its author had no right to write.
    NoRight,
    /// An envelope whose content no honest software writes.
    Malformed,
    /// An envelope of a version that this software cannot read; it waits for an update.
    UnknownVersion,
}

/// One entity as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityView {
    /// Its four words.
    pub words: FourWords,
    /// Its full id; all zero in the answer to a join that has not found it yet.
    pub id: EntityId,
    /// What it is for.
    pub kind: Kind,
    /// Its name; empty until the core document has come.
    pub name: String,
    /// The entity it belongs to, whose members are its members.
    pub parent: Option<FourWords>,
    /// This person's role, or `None` if not a member (any more).
    pub role: Option<Role>,
    /// How many members.
    pub members: u32,
    /// What it says of itself.
    pub about: AboutView,
    /// What its admins have settled.
    pub settings: Settings,
}

/// What an entity says of itself beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AboutView {
    /// Empty if there is none; at most `limits::TEXT_BYTES_MAX`.
    pub description: String,
    /// The hash of the manifest of its published website.
    pub website: Option<Digest>,
}

/// All that is known of an entity as such: what it says of itself, and who is and was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreView {
    /// What it says of itself.
    pub entity: EntityView,
    /// When its creator says that it was made.
    pub created: WallTime,
    /// Who made it.
    pub creator: PersonView,
    /// Who is in, senior to junior.
    pub members: Vec<MemberView>,
    /// Who was in and is no more.
    pub former: Vec<FormerView>,
    /// What belongs to it, by words.
    pub children: Vec<FourWords>,
}

/// Somebody who was in and is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerView {
    /// Who.
    pub person: PersonView,
    /// Who removed it; itself where it left.
    pub ended_by: Vec<PersonView>,
}

/// One join under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinView {
    /// The words it began with.
    pub words: FourWords,
    /// The full id, once known.
    pub id: Option<EntityId>,
    /// How it stands.
    pub state: super::JoinState,
    /// What stands in the way, for people; may be empty.
    pub reason: String,
}

/// Somebody who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Who. The name is the person's own claim.
    pub person: PersonView,
    /// The device that asks.
    pub device: DeviceKey,
    /// What it says to who decides; may be empty.
    pub note: String,
    /// When it says that it asked.
    pub asked: WallTime,
}

/// One invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteView {
    /// Its public key; the first digits name it.
    pub key: VerifyingKey,
    /// Its `OpenInvite`.
    pub statement: StatementId,
    /// Who made it.
    pub opener: PersonView,
    /// With which role it lets in.
    pub role: Role,
    /// How many it lets in.
    pub uses: u32,
    /// How many it let in, as far as this node knows.
    pub used: u32,
    /// Until when.
    pub expires: WallTime,
    /// Whether it would still admit somebody.
    pub open: bool,
}

/// One device of this person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// Its key.
    pub device: DeviceKey,
    /// Whether it is this one.
    pub here: bool,
    /// Whether it is connected now, or this one.
    pub online: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The device that certified it; `None` for the root key.
    pub certified_by: Option<DeviceKey>,
}

/// Something this person wrote that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnacceptedView {
    /// The document's id.
    pub document: String,
    /// Which root map it was written to.
    pub root: String,
    /// Under which key.
    pub key: String,
    /// What was written, as far as it is text.
    pub text: String,
    /// Why it does not count, for people.
    pub reason: String,
}

/// A person as shown to people: by words where they are verified, else by a short id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonView {
    /// The person.
    pub person: PersonId,
    /// The four words, once stretched and verified.
    pub words: Option<FourWords>,
    /// The name the person gave itself in this entity; empty if none.
    pub name: String,
}

/// One member as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Who.
    pub person: PersonView,
    /// With which role.
    pub role: Role,
    /// Whether one of its devices is connected now.
    pub online: bool,
    /// Its devices.
    pub devices: Vec<DeviceKey>,
}

/// One message as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// The message as the chat has it.
    pub message: Message,
    /// Who wrote it.
    pub author: PersonView,
    /// Who reacted with what, by emoji.
    pub reactions: Vec<(String, Vec<PersonView>)>,
    /// Who pinned it.
    pub pinned_by: Vec<PersonView>,
}

/// How one document stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSync {
    /// `{kind}:{words}:{concern}`.
    pub id: String,
    /// The worst of what is so here and with each peer; `Alone` counts for less than the others.
    pub state: SyncState,
    /// Why it is not in sync, in words for people; empty if it is.
    pub reason: String,
    /// One entry for each other member's device; none where this person is no member.
    pub peers: Vec<PeerSync>,
    /// What came and waits here, by what it waits for, in words for people.
    pub waiting: Vec<(String, u64)>,
    /// How many envelopes of this device do not count, and how many of its writes came for what was
    /// deleted; see `Command::Unaccepted`.
    pub unaccepted: u64,
    /// How many deleted things wait until everybody knows that they are; see `Command::Tombstones`.
    pub tombstones: u64,
}

/// How large one document is. What is only known of a document that was read is `None` before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentView {
    /// `{kind}:{words}:{concern}`, and `/{segment}` of any but the first.
    pub id: String,
    /// Which one of its series, from 1.
    pub segment: u32,
    /// This device keeps it; of what it does not keep nothing else is known.
    pub is_kept: bool,
    /// Its content is in memory.
    pub is_in_memory: bool,
    /// It takes no new things: they are made in a later segment.
    pub is_full: bool,
    /// Bytes of its content, at most: the state of the snapshot and all updates behind it.
    pub content_bytes: Option<u64>,
    /// Bytes with which it is full; `None` where no bound is set.
    pub full_bytes: Option<u64>,
    /// Envelopes of all its logs, those that the snapshot stands for among them.
    pub envelopes: u64,
    /// How many lie behind the snapshot, and their bytes.
    pub log: Option<(u64, u64)>,
    /// Bytes of the snapshot, as it is packed; 0 if there is none.
    pub snapshot_bytes: Option<u64>,
    /// How many deleted things wait to be forgotten, and how many are but for their flags.
    pub flags: Option<(u64, u64)>,
    /// Bytes of all flags, which are part of the content.
    pub flag_bytes: Option<u64>,
}

/// What was deleted in one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentTombstones {
    /// `{kind}:{words}:{concern}`.
    pub id: String,
    /// How many deleted things wait until everybody who is awaited knows that they are.
    pub waiting: u64,
    /// How many were pruned.
    pub pruned: u64,
    /// The devices of all members, this one among them.
    pub devices: Vec<KeeperView>,
    /// Those that wait, at most `limits::SHOWN_TOMBSTONES_MAX`.
    pub tombstones: Vec<TombstoneView>,
}

/// A member's device, and how it stands to what waits in one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperView {
    /// Whose.
    pub person: PersonView,
    /// The device.
    pub device: DeviceKey,
    /// How it stands.
    pub keeps: Keeps,
    /// Since when something has waited for it, or its acknowledgement moved last; `None` if nothing
    /// does.
    pub since: Option<WallTime>,
}

/// How a device stands to what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// It has all of it.
    All,
    /// It is awaited.
    Awaited,
    /// It was awaited for too long and holds nothing back.
    Lapsed,
    /// It keeps the document no longer.
    Stopped,
}

/// Something that was deleted and waits to be pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneView {
    /// The message.
    pub message: MessageId,
    /// Of each of the devices, in their order, whether it is known to have the deletion.
    pub ack_vector: Vec<bool>,
}

/// How one document stands with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSync {
    /// Who.
    pub person: PersonView,
    /// With which device.
    pub device: DeviceKey,
    /// It keeps the document, as far as is known.
    pub keeps: bool,
    /// How it stands.
    pub state: SyncState,
    /// How many envelopes the two lack of each other, as far as is known.
    pub behind: u64,
    /// Why it is not in sync, in words for people; empty if it is.
    pub reason: String,
}

/// The states a document can be in, of which only `InSync` says that nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncState {
    /// Roster digest, vectors and content digest are equal, and all of ours is sealed and read.
    InSync,
    /// There is nobody to compare with, and nothing is known to be missing: the other is not connected,
    /// or one of the two does not keep the document.
    Alone,
    /// Content or statements are missing on one side.
    Behind,
    /// What is shown here was given by one person's device, and nobody else has confirmed it yet.
    Unconfirmed,
    /// Envelopes wait for an epoch key.
    WaitingForKey,
    /// Equal logs with other content, or two branches of one log.
    Diverged,
    /// This person is not a member any more.
    NotMember,
}

/// One connected device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The device.
    pub device: DeviceKey,
    /// The person, once a shared entity tells.
    pub person: Option<PersonView>,
    /// Words of the entities shared with it.
    pub shared: Vec<FourWords>,
}
