//! Every bound in one place, with its unit and its reason.
//!
//! What comes from outside is compared with these before anything is allocated for it. Those that
//! two nodes must agree on are part of the wire format (docs/PROTOCOL.md, section 11) and marked so.

// -- signed things (part of the wire format) --------------------------------------------------

/// Bytes of one envelope as it travels. Fits a gossip message and keeps one signature check cheap.
pub const ENVELOPE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one envelope's content once unpacked: bounds what a small sealed bomb can cost.
pub const CONTENT_BYTES_MAX: usize = 1024 * 1024;

/// How many times longer than packed the content of an envelope may be: a frame of packed blanks
/// must not become gigabytes of document. What packs better is packed less hard, or travels as it is.
pub const PACK_RATIO_MAX: usize = 8;

/// Edits merged into one envelope: bounds what one rejected envelope takes with it.
pub const ENVELOPE_EDITS_MAX: usize = 100;

/// Blocks in one envelope's update: placing one among others costs time for each of them.
pub const UPDATE_BLOCKS_MAX: usize = 4096;

/// Bytes of one part of a snapshot at rest: as an envelope, so that records are of one size.
pub const SNAPSHOT_PART_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one snapshot when it is unpacked: the largest document and its index.
pub const SNAPSHOT_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Runs of the block index of a snapshot, and places that it names: in memory some 64 and 100 bytes each.
pub const INDEX_RUNS_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one snapshot as it is packed, with its checkpoint.
pub const SNAPSHOT_PACKED_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Signatures under one checkpoint: two people's are needed, and a few more may come at once.
pub const CHECKPOINT_SIGNATURES_MAX: usize = 16;

/// Parts of one snapshot: full ones hold the largest.
pub const SNAPSHOT_PARTS_MAX: usize = 96;

/// Bytes of one roster statement; an epoch for 255 devices fits.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a genesis: a certificate of the longest chain with room around it.
pub const GENESIS_BYTES_MAX: usize = 2048;

/// Entities that one may have below it, children of children too; more are not opened.
pub const CHILDREN_MAX: usize = 256;

/// How many entities may stand above one: a channel in a project in an organization.
pub const PARENTS_MAX: usize = 4;

/// Devices in one certificate, from the root's first on: each link costs two signature checks.
pub const CERTIFICATE_LINKS_MAX: usize = 4;

/// Parents of a statement, and roster heads of an envelope.
pub const ROSTER_HEADS_MAX: usize = 16;

/// Statements kept per device and entity: one device cannot fill everybody's disk.
pub const STATEMENTS_PER_DEVICE_MAX: usize = 4096;

/// Keys sealed in one epoch or seal statement: 400 x 112 bytes fit a statement.
pub const SEALS_PER_STATEMENT_MAX: usize = 400;

/// Logs named in the vectors of one removal or `Held`: 512 x 112 bytes fit a statement.
pub const VECTOR_LOGS_MAX: usize = 512;

/// Logs named in one acknowledgement: 48 bytes each, so that one fits a small value.
pub const ACK_LOGS_MAX: usize = 1024;

/// Bytes of a person's, group's or other name.
pub const NAME_BYTES_MAX: usize = 256;

/// Bytes of a message's or description's text.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a reaction: the longest emoji sequences in use take 35.
pub const EMOJI_BYTES_MAX: usize = 64;

/// Bytes of one key in a root map: `owner|owner|random|emoji` fits.
pub const MAP_KEY_BYTES_MAX: usize = 256;

/// Bytes of one word of a list, such as a status, of a label, or of the name of a field.
pub const WORD_BYTES_MAX: usize = 64;

/// Bytes of the rank by which a thing stands among others: hundreds fit into one gap.
pub const RANK_BYTES_MAX: usize = 48;

/// Fields with which a thing is made: all there are, with dozens of labels or lines of a checklist.
pub const RECORD_FIELDS_MAX: usize = 128;

/// Labels, assignees or lines of a checklist of one thing.
pub const PARTS_MAX: usize = 256;

/// Numbers in one field, such as the points of a line: 8 bytes each.
pub const FIELD_NUMBERS_MAX: usize = 4096;

/// Bytes of one record in a root map: a message of the longest text with all attachments fits,
/// with room for what later versions add.
pub const RECORD_BYTES_MAX: usize = 96 * 1024;

/// Files attached to one message.
pub const ATTACHMENTS_MAX: usize = 16;

/// Bytes of the name of a personal setting.
pub const SETTING_KEY_BYTES_MAX: usize = 64;

/// Bytes of a personal setting's value.
pub const SETTING_BYTES_MAX: usize = 4096;

/// The latest time a record may claim: greater numbers are not exact in JSON readers.
pub const RECORD_TIME_MS_MAX: u64 = 9_007_199_254_740_991;

/// Bytes of what somebody who asks to be let in says to who decides.
pub const NOTE_BYTES_MAX: usize = 512;

/// Bytes of one request to be let in: the longest certificate, name and note fit exactly.
pub const REQUEST_BYTES_MAX: usize = 1699;

/// Addresses carried in an invite code.
pub const INVITE_ADDRESSES_MAX: usize = 8;

/// Bytes of one multiaddr as text: the longest relayed address is about 200.
pub const ADDRESS_BYTES_MAX: usize = 300;

/// How often one invite may admit.
pub const INVITE_USES_MAX: u32 = 1_000_000;

/// Genesis candidates in one answer, and those stretched for one name, 0.2 s each, before each
/// further one takes a minute: what liars may cost a joiner.
pub const NAME_CANDIDATES_MAX: usize = 8;

// -- the sync stream (part of the wire format) ------------------------------------------------

/// Bytes of one frame: one envelope or statement of the largest size with room around it.
pub const FRAME_BYTES_MAX: usize = 512 * 1024;

/// Bytes of envelopes gathered into one page before it is sent.
pub const PAGE_BYTES: usize = 128 * 1024;

/// Entities named in one greeting.
pub const GREETING_ENTITIES_MAX: usize = 1024;

/// Documents of one entity and its children: all that a frame can say the state of. Of so many a
/// peer may have the state remembered before they are known here, and no segment is begun beyond.
pub const STATE_DOCUMENTS_MAX: usize = 4096;

/// Segments of one series: a chat of more than ten million messages.
pub const SEGMENTS_MAX: u32 = 256;

/// Statement ids in one frame: 32 bytes each, 256 KiB.
pub const FRAME_STATEMENT_IDS_MAX: usize = 8192;

/// Logs in one frame of vectors: 112 bytes each, about 450 KiB.
pub const FRAME_LOGS_MAX: usize = 4096;

/// Logs in one state vector, all its frames together: 16 of them. A device begins a log in a
/// document when it did not stop cleanly, so this is a thousand such starts of 64 devices.
pub const DOCUMENT_LOGS_MAX: usize = 65_536;

/// Requests passed on in one frame, and denials likewise: all that a node keeps of an entity.
pub const FRAME_REQUESTS_MAX: usize = 64;

/// Acknowledgements passed on in one frame: of as many devices of one group, if each names few logs.
pub const FRAME_ACKS_MAX: usize = 1024;

/// Epochs named at once as lacking a key.
pub const LACKING_EPOCHS_MAX: usize = 64;

/// Bytes of one sealed presence: the most that may be selected, with room around it.
pub const PRESENCE_BYTES_MAX: usize = 2048;

/// Elements that somebody is shown to have selected: 24 bytes each.
pub const PRESENCE_SELECTED_MAX: usize = 64;

// -- how nodes find each other ----------------------------------------------------------------

/// Addresses kept of one device that was met: those of two networks over QUIC and TCP, and relayed.
pub const MET_ADDRESSES_MAX: usize = 8;

/// Devices of fellow members of which it is kept where they were met.
pub const MET_DEVICES_MAX: usize = 256;

/// Devices of fellow members for whom room is kept: those of some groups of the greatest size.
pub const FELLOWS_MAX: usize = 4096;

/// Keys under which a node offers to be found: one for each entity that it greets with.
pub const OFFERED_KEYS_MAX: usize = 1024;

/// Devices tried of those that one search found: anybody may offer to be found under any key.
pub const FOUND_DEVICES_MAX: usize = 16;

// -- what one node says -----------------------------------------------------------------------

/// `Held` statements about one act: 4,096 logs, which is what a frame of vectors holds.
pub const HELD_STATEMENTS_MAX: usize = 8;

/// Keys sealed unasked to a device that is let in; the older ones it asks for.
pub const KEYS_PUSHED_MAX: usize = 256;

/// How often one device seals one epoch to another: an honest seal opens at once, and a device
/// whose seals never open must not make others sign for good.
pub const SEALS_REPEATED_MAX: usize = 3;

/// Seal statements of one device for all devices of one person: a quarter of what it may ever
/// sign. Other members have as many.
pub const SEALS_FOR_ONE_PERSON_MAX: usize = 1024;

// -- how long documents grow ------------------------------------------------------------------

/// Bytes of content with which a segment of a chat is full and the next one is begun: about 50,000
/// messages. What is said about messages that are in it still goes there.
pub const CHAT_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Bytes of content with which a board takes nothing new: what deletes still goes there.
pub const KANBAN_BYTES_MAX: u64 = 5 * 1024 * 1024;

/// The same of an issue tracker.
pub const ISSUES_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// The same of a canvas.
pub const CANVAS_BYTES_MAX: u64 = 5 * 1024 * 1024;

/// Bytes of content, what was deleted among them, with which the text of a file takes nothing new.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The same of the settings, names and children of an entity.
pub const CORE_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes that one change may put into the text of a file: they fit an envelope, however badly they pack.
pub const TEXT_EDIT_BYTES_MAX: usize = 128 * 1024;

/// Segments of one series that are in memory at once: that in which new things are made, and one
/// that is looked at.
pub const LIVE_SEGMENTS_MAX: usize = 2;

// -- when documents are folded ----------------------------------------------------------------

/// Envelopes of a document behind its snapshot with which it wants to be folded.
pub const FOLD_AFTER_ENVELOPES: u64 = 512;

/// Bytes of such envelopes with which it wants that too: what a start reads besides the snapshot.
pub const FOLD_AFTER_BYTES: u64 = 4 * 1024 * 1024;

// -- what a document was ----------------------------------------------------------------------

/// Versions of one document that are kept from before its snapshot; older ones are joined.
pub const PAST_VERSIONS_MAX: usize = 4096;

/// Bytes of all that is kept of these, unpacked: what a fold writes besides the snapshot.
pub const PAST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Parts in which it lies on disk: full ones hold the most, packed as badly as can be.
pub const PAST_PARTS_MAX: usize = 32;

/// People named as authors of one version of which several were joined.
pub const VERSION_PEOPLE_MAX: usize = 16;

/// Versions told at once.
pub const TOLD_VERSIONS_MAX: usize = 200;

/// Changes of one version told one by one; all are counted.
pub const TOLD_CHANGES_MAX: usize = 16;

/// Bytes of a text in a sentence that tells a change.
pub const TOLD_TEXT_BYTES_MAX: usize = 120;

/// Things of which one answer says how they differ.
pub const DIFFERING_THINGS_MAX: usize = 500;

/// Bytes of values after which such an answer takes no further thing.
pub const DIFFERENCE_BYTES: usize = 1024 * 1024;

/// Requests about what documents were that wait to be read, of all documents: each reads one from
/// its snapshot on.
pub const HISTORIES_WAITING_MAX: usize = 64;

/// Versions of which it is remembered in which segment they lie, so that the next page of a long chat
/// begins there.
pub const VERSIONS_PLACED_MAX: usize = 64;

// -- what one node keeps ----------------------------------------------------------------------

/// Statements of one entity that wait for a parent: a gap is a sync away, more is abuse.
pub const WAITING_STATEMENTS_MAX: usize = 1024;

/// Bytes of all statements of one entity that wait for a parent.
pub const WAITING_STATEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Envelopes of one document that wait (for a predecessor, a head, a key), the oldest kept.
pub const WAITING_ENVELOPES_MAX: usize = 1024;

/// Bytes of all envelopes of one document that wait.
pub const WAITING_ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Logs of one document of which one device showed more than is held here, and which are remembered
/// as wanted: as many as fit a small value, with their names.
pub const WANTED_LOGS_MAX: usize = 256;

/// Envelopes of this device in one document that do not count and are kept at hand.
pub const UNACCEPTED_ENVELOPES_MAX: usize = 1024;

/// Bytes of all such envelopes of one document.
pub const UNACCEPTED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Devices of which it is kept since when a document waits for them: 40 bytes each in a small value.
pub const AWAITED_DEVICES_MAX: usize = 1024;

/// Writes of this device in one document that came too late and are kept to be shown.
pub const LATE_WRITES_MAX: usize = 64;

/// Bytes of the text of one such write: with their names all fit a small value.
pub const LATE_TEXT_BYTES_MAX: usize = 512;

/// Tombstones shown one by one at once; all are counted.
pub const SHOWN_TOMBSTONES_MAX: usize = 500;

/// Faults kept of one entity, each of one device and kind: enough for a group in which many misbehave.
pub const FAULTS_MAX: usize = 64;

/// Bytes of the words that describe one fault.
pub const FAULT_DETAIL_BYTES_MAX: usize = 512;

/// Records in one batch.
pub const BATCH_RECORDS_MAX: usize = 4096;

/// Bytes of the key of a small value.
pub const LOCAL_KEY_BYTES_MAX: usize = 256;

/// Bytes of a small value: one leaf of sled stays well below the size it does not sync.
pub const LOCAL_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Messages given to one reader at once.
pub const READ_MESSAGES_MAX: usize = 10_000;

/// Things of a document of which it is kept that they changed lately: a copy that lags
/// further behind is made anew.
pub const FEED_THINGS_MAX: usize = 4096;

/// Messages or things given to a copy of a document at once.
pub const COPY_ROWS_MAX: usize = 512;

/// Bytes of text after which a page for a copy takes nothing further.
pub const COPY_BYTES: usize = 1024 * 1024;

/// How far ahead of this device's clock a read marker may stand, a day in milliseconds: a message
/// that claims a later time must not mark all that is yet to come.
pub const MARKER_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Commands that wait for an answer at once; more are refused.
pub const COMMANDS_MAX: usize = 4096;

/// Canvases and chats at which one device is seen at once: the windows somebody has open.
pub const PRESENCE_PLACES_MAX: usize = 8;

/// Requests that can be undone in one board, issue tracker or canvas, or done again: an hour's work.
pub const UNDO_STEPS_MAX: usize = 256;

/// Bytes kept of these: the longest texts of a dozen, or all of what else people do.
pub const UNDO_BYTES_MAX: usize = 1024 * 1024;

/// Documents in which something can be undone at once.
pub const UNDO_DOCUMENTS_MAX: usize = 32;

/// Fields of things made in one document of which it is kept that this device set them: what else
/// was set there is another's work, and is not undone with the thing. 300 bytes each.
pub const UNDO_FIELDS_MAX: usize = 4096;

/// Bytes of frames queued to one device by the machine's pages in flight.
pub const IN_FLIGHT_BYTES_MAX: usize = 1024 * 1024;

/// Edits of one document that wait to be sealed while a write is in flight.
pub const PENDING_EDITS_MAX: usize = 8192;

/// Names stretched at once, 64 MiB each: an attacker's people must not keep all cores busy.
pub const STRETCHES_MAX: usize = 2;

/// Names that wait to be stretched; what does not fit is wanted again when these are done.
pub const STRETCHES_WAITING_MAX: usize = 256;

/// Devices of one person: each is sealed every key in every group.
pub const DEVICES_MAX: usize = 32;

/// Link codes that are open at once; the oldest gives way.
pub const LINK_CODES_MAX: usize = 8;

/// People whose request to be let into one entity is kept, and as many who were turned away: each
/// costs its sender a second of work, and more than an admin would look through is abuse.
pub const REQUESTS_MAX: usize = 64;

/// Joins under way at once.
pub const JOINS_MAX: usize = 1024;

/// Devices dialled or met at once.
pub const PEERS_MAX: usize = 192;
