//! What people and programs on this device can ask of the node, and what it answers.
//!
//! The API maps these to JSON and the CLI is its client; neither is named here. Expected refusals
//! are values with a code and a hint, not errors.

mod copying;
mod device;
mod history;
mod member;
mod presence;
mod text;
mod thing;
mod thing_view;
mod undo;
mod view;

use crate::ids::{DeviceKey, EntityId};
use crate::link::LinkCode;
use crate::roster::Role;
use crate::roster::invite::InviteCode;
use crate::schema::chat::{MessageId, NewMessage};
use crate::schema::core::Setting;
use crate::schema::home::ReadMarker;
use crate::schema::thing::ThingId;
use crate::schema::{Concern, FileId};
use crate::time::WallTime;
use crate::words::FourWords;

pub use copying::{Changes, Copied, DocumentCopy, Place, PlaceView, Revision, Row, StandView};
pub use device::DeviceCommand;
pub use history::{
    ChangeView, DifferenceView, DifferencesView, FieldView, HistoryCommand, VersionView, VersionsView,
};
pub use member::MemberCommand;
pub use presence::{Presence, PresentView, Scene};
pub use text::TextCommand;
pub use thing::{
    At, BoardCommand, CanvasCommand, CardFilter, Change, CommentCommand, IssueCommand, IssueFilter, Named,
    ThingFilter,
};
pub use thing_view::{
    BoardView, CanvasView, CardView, ColumnView, CommentView, ElementView, IssueView, LineView,
};
pub use undo::{LeftView, RevertedView};
pub use view::*;

/// Numbers a command, so that its answer finds its asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What an entity is for. Homes are made by the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What is private to one person's devices.
    Home,
    /// People who work together.
    Group,
    /// A conversation, alone or within a group.
    Channel,
    /// Work with a board and issues.
    Project,
    /// What groups and projects belong to.
    Organization,
}

impl Kind {
    /// The word used in document ids and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Home => "home",
            Kind::Group => "group",
            Kind::Channel => "channel",
            Kind::Project => "project",
            Kind::Organization => "organization",
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who this node is and how it does.
    Status,
    /// Set the name under which this person appears to others. At most `limits::NAME_BYTES_MAX`.
    SetName(String),
    /// The recovery phrase, while the root key is still on this device.
    Phrase,
    /// Take the root key off this device, after the phrase was written down.
    ForgetRoot,
    /// Make an entity and its four words; takes seconds and reports progress.
    Create {
        /// Not `Home`.
        kind: Kind,
        /// Its name, at most `limits::NAME_BYTES_MAX`.
        name: String,
        /// The entity it belongs to: its members are those of the parent.
        parent: Option<FourWords>,
    },
    /// All entities this person is in, but the home.
    Entities,
    /// One entity.
    Show(FourWords),
    /// Who is in.
    Members(FourWords),
    /// All that is known of one entity as such. Answered by `Reply::Core`.
    Core(FourWords),
    /// Leave an entity for good.
    Leave(FourWords),
    /// Make an invite.
    Invite {
        /// To which entity.
        entity: FourWords,
        /// With which role; not above one's own.
        role: Role,
        /// How many may join by it.
        uses: u32,
        /// Until when it admits.
        expires: WallTime,
        /// Where this node may be dialled; carried in the code, at most
        /// `limits::INVITE_ADDRESSES_MAX`.
        addresses: Vec<String>,
    },
    /// Join by a code, or by the words alone, which asks to be let in. Answered when admitted or
    /// refused, or once asked; goes on in the background meanwhile.
    Join {
        /// The words the person typed; checked against the id.
        words: FourWords,
        /// How.
        by: JoinBy,
        /// Addresses to dial besides those in a code; at most `limits::INVITE_ADDRESSES_MAX`.
        peers: Vec<String>,
    },
    /// Joins under way.
    Joins,
    /// Give up a join under way.
    CancelJoin(FourWords),
    /// Change something that an entity says of itself; admins may.
    Configure(FourWords, Setting),
    /// Who is in, and who may come in.
    Member(FourWords, MemberCommand),
    /// This person's devices.
    Device(DeviceCommand),
    /// What this person wrote that does not count, and why.
    Unaccepted(FourWords),
    /// Stop waiting for a join by this command: it goes on, the asker is answered `Pending`.
    StopWaiting(CommandId),
    /// All groups, channels and projects with how their documents stand, for who keeps copies.
    Places,
    /// What a copy of one document lacks. Answered by `Reply::Copy`.
    Copy {
        /// Whose document.
        entity: FourWords,
        /// What it is about.
        concern: Concern,
        /// Which one of its series, from 1.
        segment: u32,
        /// What the copy has of it.
        known: Copied,
    },
    /// Something about a chat.
    Chat(FourWords, ChatCommand),
    /// Something about a board; groups and projects have one.
    Board(FourWords, BoardCommand),
    /// Something about an issue tracker; groups and projects have one.
    Issue(FourWords, IssueCommand),
    /// Something about a canvas; all but homes have one.
    Canvas(FourWords, CanvasCommand),
    /// Something about the text of a file, which is opened here by the first: from then on this device keeps it.
    Text(FourWords, FileId, TextCommand),
    /// Take back the last thing that this device did to a board, issue tracker or canvas, as far as
    /// nobody else changed it since. Answered by `Reply::Reverted`.
    Undo(FourWords, Concern),
    /// Do again what was taken back last.
    Redo(FourWords, Concern),
    /// Something about the versions of a chat, board, issue tracker or canvas.
    History(FourWords, Concern, HistoryCommand),
    /// What was deleted in an entity and waits to be forgotten, and for whom.
    Tombstones(FourWords),
    /// How large the documents of an entity are, segment by segment.
    Documents(FourWords),
    /// Keep a chat, board, issue tracker or canvas no longer on this device, all segments of it. Refused
    /// where nobody who is connected says to hold all of it.
    Drop(FourWords, Concern),
    /// Keep it again: it is brought back from the others.
    Keep(FourWords, Concern),
    /// How far each document is in sync with each peer; of one entity or of all.
    SyncStatus(Option<FourWords>),
    /// Which devices are connected.
    Peers,
    /// Show members who are connected what this person does at the moment; it is seen for ten
    /// seconds, or until the next.
    Point(FourWords, Presence),
    /// Show that this person does nothing any more at a scene.
    Unpoint(FourWords, Scene),
    /// Who of those who are connected does what. Answered by `Reply::Present`.
    Present(FourWords),
    /// Dial an address now.
    Dial(String),
}

/// By what right somebody wants in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinBy {
    /// An invite's code, which carries the full id.
    Code(InviteCode),
    /// The words alone: an admin decides. Also how who is a member comes back with a new device.
    Words {
        /// The full id, to pick one of two entities of the same words.
        id: Option<EntityId>,
        /// Shown to who decides; at most `limits::NOTE_BYTES_MAX`.
        note: String,
    },
}

/// What can be asked of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatCommand {
    /// Write a message or a reply.
    Send(NewMessage),
    /// Give one's own message another text.
    Edit(MessageId, String),
    /// Delete one's own message, or anybody's as an admin.
    Delete(MessageId),
    /// Set or take back one's reaction.
    React {
        /// To which message.
        message: MessageId,
        /// A short text, usually one emoji; at most `limits::EMOJI_BYTES_MAX`.
        emoji: String,
        /// Whether the reaction shall stand.
        on: bool,
    },
    /// Set or take back one's own pin. A message shows as pinned while anybody's stands.
    Pin {
        /// Which message.
        message: MessageId,
        /// Whether the pin shall stand.
        on: bool,
    },
    /// Note for all of this person's devices that it has read so far. Only ever forward.
    MarkRead(ReadMarker),
    /// The last messages, oldest first.
    Read {
        /// At most so many, and at most `limits::READ_MESSAGES_MAX`.
        last: u32,
    },
}

impl ChatCommand {
    /// Writes a message, or a reply to `parent`, with nothing attached.
    pub fn say(text: impl Into<String>, parent: Option<MessageId>) -> ChatCommand {
        ChatCommand::Send(NewMessage { text: text.into(), parent, attachments: Vec::new() })
    }
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and durable where it wrote.
    Done(Reply),
    /// It was not done.
    Refused(Refusal),
}

/// What a command that was done gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing more to say.
    Ok,
    /// Answers `Text` that reads: the whole text.
    Text(String),
    /// Answers `Status`.
    Status(Status),
    /// Answers `Phrase`: 24 words.
    Phrase(String),
    /// Answers `Create` and `Show`.
    Entity(EntityView),
    /// Answers `Entities`.
    Entities(Vec<EntityView>),
    /// Answers `Members`, senior to junior.
    Members(Vec<MemberView>),
    /// Answers `Core`.
    Core(Box<CoreView>),
    /// Answers `Invite`.
    Invite(InviteCode),
    /// Answers `Join`.
    Joined(EntityView, JoinState),
    /// Answers `Joins`.
    Joins(Vec<JoinView>),
    /// Answers `MemberCommand::Requests`, the oldest first.
    Requests(Vec<RequestView>),
    /// Answers `MemberCommand::Invites`.
    Invites(Vec<InviteView>),
    /// Answers `DeviceCommand::List`, senior to junior.
    Devices(Vec<DeviceView>),
    /// Answers `DeviceCommand::Add`.
    Link(LinkCode),
    /// Answers `DeviceCommand::Recover`: the person that the phrase gave back.
    Recovered(FourWords),
    /// Answers `Unaccepted`, by document and in the order written.
    Unaccepted(Vec<UnacceptedView>),
    /// Answers `Send`.
    Message(MessageId),
    /// Answers `Read`.
    Messages(Vec<MessageView>),
    /// Answers what makes a thing or says something about one: its name.
    Thing(ThingId),
    /// Answers `BoardCommand::Show`.
    Board(BoardView),
    /// Answers `BoardCommand::Archived`, the oldest first.
    Cards(Vec<CardView>),
    /// Answers `BoardCommand::Card`.
    Card(Box<CardView>, Vec<CommentView>),
    /// Answers `IssueCommand::List`.
    Issues(Vec<IssueView>),
    /// Answers `IssueCommand::Show`.
    Issue(Box<IssueView>, Vec<CommentView>),
    /// Answers `CommentCommand::Show`.
    Comment(CommentView),
    /// Answers `CanvasCommand::Show`.
    Canvas(CanvasView),
    /// Answers `Present`.
    Present(Vec<PresentView>),
    /// Answers `HistoryCommand::List`.
    Versions(VersionsView),
    /// Answers `HistoryCommand::Compare`.
    Differences(DifferencesView),
    /// Answers `Undo`, `Redo` and `HistoryCommand::Restore`.
    Reverted(RevertedView),
    /// Answers `Tombstones`, by document.
    Tombstones(Vec<DocumentTombstones>),
    /// Answers `Documents`, by document and segment; those alone in which somebody wrote. Then one
    /// for each series that this device does not keep.
    Documents(Vec<DocumentView>),
    /// Answers `Places`, by words.
    Places(Vec<PlaceView>),
    /// Answers `Copy`.
    Copy(DocumentCopy),
    /// Answers `SyncStatus`.
    Sync {
        /// How each document stands.
        documents: Vec<DocumentSync>,
        /// What this person wants to get into and is not in yet.
        joins: Vec<JoinView>,
    },
    /// Answers `Peers`.
    Peers(Vec<PeerView>),
}

/// How a join stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinState {
    /// This device is in and holds the keys.
    Joined,
    /// Somebody was reached but has not admitted yet.
    Pending,
    /// Members have the request; an admin decides.
    Requested,
    /// Nobody could be reached; the node goes on trying.
    Unreachable,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs: stable, and the source of exit codes.
    pub code: RefusalCode,
    /// What went wrong, for people; names the thing.
    pub message: String,
    /// What the person can do about it; may be empty.
    pub hint: String,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// The request itself is wrong.
    Usage,
    /// What was named does not exist here.
    NotFound,
    /// This person or device may not do it.
    NotAllowed,
    /// It cannot be done yet.
    Pending,
    /// A limit is reached.
    TooMuch,
    /// The store failed.
    Storage,
    /// Something went wrong inside.
    Internal,
}

/// How far a long command has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for people.
    pub what: String,
    /// Steps done.
    pub done: u32,
    /// Steps expected on average; more may be needed.
    pub expected: u32,
}

/// Something changed that listeners may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The node knows who it is and serves commands.
    Ready {
        /// The person's four words.
        identity: FourWords,
        /// This device.
        device: DeviceKey,
    },
    /// The identity is being made, which takes seconds.
    Minting(Progress),
    /// Messages of a chat were added or changed. A reader reads them anew.
    ChatChanged {
        /// Of which entity.
        entity: FourWords,
        /// Which messages; none where a whole part of the chat came, or counts otherwise than before.
        messages: Vec<MessageId>,
    },
    /// A board, issue tracker or canvas changed. A reader reads it anew.
    ThingsChanged {
        /// Of which entity.
        entity: FourWords,
        /// Which of the three.
        concern: Concern,
        /// Which things, comments among them; none where the document itself changed.
        things: Vec<ThingId>,
    },
    /// The text of a file changed. A reader reads it anew.
    TextChanged {
        /// Of which entity.
        entity: FourWords,
        /// Which file.
        file: FileId,
        /// How long it is now, in UTF-16 units.
        length: u32,
    },
    /// Somebody who is connected came, moved or went: see `Command::Present`. At most ten in a
    /// second for each entity, whoever moves.
    PresenceChanged(FourWords),
    /// An entity's name, description or settings, the names that its members show, or what lies below it
    /// changed.
    EntityChanged(FourWords),
    /// How far this person has read, or else what is private to it, changed on some device of theirs.
    HomeChanged,
    /// Somebody joined, left, or changed role.
    MembersChanged(FourWords),
    /// This device got into an entity.
    Joined(FourWords),
    /// Somebody asks to be let into an entity, or a request was decided.
    RequestsChanged(FourWords),
    /// A device of this person was linked, certified or revoked.
    DevicesChanged,
    /// Something this person wrote counts no more, or counts again.
    AcceptanceChanged(FourWords),
    /// How documents of an entity stand with some device changed: see `Command::SyncStatus`.
    SyncChanged(FourWords),
    /// A device connected or disconnected.
    PeerChanged {
        /// Which.
        device: DeviceKey,
        /// Whether it is connected now.
        connected: bool,
    },
    /// The store failed; the node reads but writes no more.
    ReadOnly(String),
}
