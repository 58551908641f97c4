//! Every bound of this driver, with its unit and its reason.
//!
//! What two nodes must agree on, or the machine decides, is in the protocol's own limits; here is
//! what one process spends on its network, its store and its callers.

use std::time::Duration;

// -- reading ----------------------------------------------------------------------------------

/// Questions to the copy of what was written that wait for its thread; whoever asks more waits to ask.
pub const READINGS_MAX: usize = 64;

// -- connections ------------------------------------------------------------------------------

/// Connections to one device: two dialled at once by either side, over QUIC and TCP.
pub const CONNECTIONS_PER_DEVICE_MAX: u32 = 4;

/// Connections being set up from outside: each costs a handshake that a stranger pays nothing for.
pub const PENDING_INBOUND_MAX: u32 = 128;

/// The share of one network in them: whoever opens connections and says nothing holds each for the
/// ten seconds of a handshake, and leaves the others' shares alone.
pub const PENDING_PER_NETWORK_MAX: usize = 16;

/// Connections being set up by us.
pub const PENDING_OUTBOUND_MAX: u32 = 32;

/// Connections that others opened.
pub const INBOUND_MAX: u32 = 128;

/// Connections that we opened.
pub const OUTBOUND_MAX: u32 = 64;

/// Connections that guests opened, who are no fellow members: half, the rest is for members.
pub const GUESTS_MAX: usize = 64;

/// The share of one network in them: an office that joins at once, but not everything.
pub const GUESTS_PER_NETWORK_MAX: usize = 32;

/// Connections to guests that we opened or are opening: nodes of the local network, and those who
/// may let us in somewhere.
pub const VISITS_MAX: usize = 32;

/// How long a guest may stay though others want its place: enough to be let in somewhere.
pub const GUEST_STAY: Duration = Duration::from_secs(60);

/// Streams of one connection that another device opened, 256 KiB of unread bytes each. An honest
/// device has about a dozen.
pub const STREAMS_INBOUND_MAX: usize = 32;

/// Streams of one connection to a relay: its circuits are streams.
pub const STREAMS_MAX: usize = 512;

/// Streams of one connection of which it is not agreed yet what they carry, and for which session.
pub const STREAMS_UNNAMED_MAX: usize = 16;

/// Bytes of unread data beyond the first 256 KiB of each stream that one connection may have in
/// flight: what a fast and long line needs.
pub const WINDOW_GROWTH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of unread data of one QUIC connection, and of one of its streams.
pub const QUIC_CONNECTION_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// See `QUIC_CONNECTION_BYTES_MAX`.
pub const QUIC_STREAM_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// How long nothing comes on a connection before the other side is asked for a sign of life. Yamux
/// asks no more often than every ten seconds.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(12);

/// How long the answer may take. Shorter times make loaded machines tear down sound connections.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(13);

/// How long a connection without streams is kept.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// After how long a second connection to a device is surplus.
pub const SURPLUS_AFTER: Duration = Duration::from_secs(5);

/// How long a device that misbehaved is refused.
pub const REFUSED_FOR: Duration = Duration::from_secs(300);

/// Devices refused at once; beyond it the one refused longest is let in again.
pub const REFUSED_MAX: usize = 1024;

// -- dialling ---------------------------------------------------------------------------------

/// Addresses kept for dialling again.
pub const ADDRESSES_MAX: usize = 256;

/// The first wait before an address is dialled again; it doubles with each failure.
pub const REDIAL_FIRST: Duration = Duration::from_millis(250);

/// The longest wait while a device is missed that was connected not long ago: what is cut off is back
/// within seconds of the network, at the price of a few packets until then.
pub const REDIAL_MISSED: Duration = Duration::from_secs(2);

/// How long a device counts as missed after it was connected.
pub const MISSED_FOR: Duration = Duration::from_secs(600);

/// The longest wait before an address is dialled again.
pub const REDIAL_LAST: Duration = Duration::from_secs(30);

/// The first wait before a direct way is tried again beside a relay; it grows fourfold.
pub const PUNCH_FIRST: Duration = Duration::from_secs(1);

/// The longest wait before a direct way is tried again.
pub const PUNCH_LAST: Duration = Duration::from_secs(1800);

/// How long the library's own attempts at a direct way take: three dials.
pub const PUNCH_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest wait before an address of the settings is dialled again: they are few, and a node
/// that was cut off is back with the others soon after its relay is.
pub const REDIAL_GIVEN_LAST: Duration = Duration::from_secs(4);

// -- relays and discovery ---------------------------------------------------------------------

/// Relays known at once: those of the settings, and those in addresses that were dialled.
pub const RELAYS_MAX: usize = 64;

/// Relays at which a place is held, so that the loss of one cuts nobody off.
pub const RESERVATIONS_MAX: usize = 2;

/// The first wait before a relay is asked for a place again; it doubles with each refusal.
pub const RESERVE_FIRST: Duration = Duration::from_millis(500);

/// Searches under way at once; more wait for their turn.
pub const SEARCHES_MAX: usize = 16;

/// How long a search may take.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How often offers to be found are renewed at the relays, three times before they forget them.
pub const OFFER_EVERY: Duration = Duration::from_secs(600);

/// Nodes of the local network that are dialled because they were seen there.
pub const NEAR_MAX: usize = 64;

/// Addresses seen in the local network beyond which it is not looked at any more: the library keeps
/// all that it is told of, for as long as it is told to.
pub const NEAR_SEEN_MAX: usize = 1024;

/// Addresses taken of what a peer says of itself.
pub const TOLD_ADDRESSES_MAX: usize = 16;

/// Addresses of this node that relays are asked to dial, so that it knows where it is reached. Each
/// is one that a relay of its own has seen.
pub const TESTED_MAX: usize = 32;

// -- what a relay spends ----------------------------------------------------------------------

/// Connections to a relay.
pub const RELAY_CONNECTIONS_MAX: u32 = 4096;

/// The share of one network in them: a carrier puts hundreds of households behind one address.
pub const RELAY_CONNECTIONS_PER_NETWORK_MAX: usize = 512;

/// Connections to a relay that are being set up.
pub const RELAY_PENDING_MAX: u32 = 512;

/// The share of one network in them: a network that comes back brings all its devices at once.
pub const RELAY_PENDING_PER_NETWORK_MAX: usize = 64;

/// Bytes of memory beyond which a relay takes no more connections.
pub const RELAY_MEMORY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Devices that hold a place at a relay.
pub const PLACES_MAX: usize = 2048;

/// Circuits through a relay: each is two streams and a buffer.
pub const CIRCUITS_MAX: usize = 8192;

/// The share of one network in them: of those who ask for circuits.
pub const CIRCUITS_PER_NETWORK_MAX: usize = 2048;

/// Circuits of one device: it has no more connections than this in all.
pub const CIRCUITS_PER_DEVICE_MAX: usize = 192;

/// Streams of one connection to a relay, at the relay: its circuits, and some more to ask for them.
pub const RELAY_STREAMS_MAX: usize = 256;

/// Bytes of one circuit, both ways together: a first sync of any usual size. What is larger goes on
/// through the next circuit.
pub const CIRCUIT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How long one circuit may last; then it is opened anew.
pub const CIRCUIT_TIME_MAX: Duration = Duration::from_secs(86_400);

/// Dials under way by which a relay tests whether a device can be reached.
pub const RELAY_DIALS_MAX: u32 = 64;

/// Keys under which one device offers to be found.
pub const OFFERED_PER_DEVICE_MAX: usize = 1024;

/// Keys under which all devices of a relay offer to be found: about 300 bytes each.
pub const OFFERS_MAX: usize = 100_000;

/// The share of one network in them.
pub const OFFERS_PER_NETWORK_MAX: usize = 20_000;

/// Devices that are kept for one key.
pub const OFFERS_PER_KEY_MAX: usize = 64;

/// Devices that a relay names for one key: as many as whoever asks will try.
pub const NAMED_PER_KEY_MAX: usize = 16;

/// How long an offer is kept that is not renewed.
pub const OFFER_FOR: Duration = Duration::from_secs(1800);

// -- the sync stream --------------------------------------------------------------------------

/// How long a stream may take to say which session it belongs to, once it is opened.
pub const STREAM_OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams of one device that are read or wait to be read: the old and the new one of a handover.
pub const INBOUND_STREAMS_MAX: usize = 2;

/// Bytes queued to one device; one that reads more slowly than that is cut off.
pub const OUTBOX_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Frames queued to one device: bounds what many tiny frames cost.
pub const OUTBOX_FRAMES_MAX: usize = 16 * 1024;

/// Bytes from all devices together that the machine has not taken yet.
pub const INBOX_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the end of a stream may wait for the other side to have read everything: a slow link
/// needs this long for what its buffers hold.
pub const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

// -- gossip -----------------------------------------------------------------------------------

/// Bytes of one message, and of the subscriptions announced at once. Must be equal everywhere.
pub const GOSSIP_BYTES_MAX: usize = 1024 * 1024;

/// Topics a peer may take part in, 64 bytes each. Must be equal everywhere.
pub const TOPICS_MAX: usize = 10_000;

/// Messages queued to one peer before some are dropped and it is synced instead.
pub const GOSSIP_QUEUE_MAX: usize = 512;

/// Messages that wait for a verdict.
pub const UNJUDGED_MAX: usize = 1024;

/// How long a message waits for a verdict before it is forgotten.
pub const UNJUDGED_FOR: Duration = Duration::from_secs(10);

// -- between the threads ----------------------------------------------------------------------

/// Network events that wait for the machine; beyond it the swarm is not asked for more.
pub const ARRIVALS_MAX: usize = 256;

/// Network effects on their way to the swarm.
pub const ORDERS_MAX: usize = 64;

/// Store jobs in flight above which the machine takes no more commands and arrivals.
pub const STORE_JOBS_MAX: usize = 1024;

/// How long writes for which nothing waits are gathered before they are made durable together.
pub const STORE_GATHERS_FOR: Duration = Duration::from_millis(50);

/// Bytes of writes in flight above which the machine takes no more commands and arrivals.
pub const STORE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Programs that wait to hear how the node does.
pub const LOOKS_MAX: usize = 16;

/// Stretches run at once: 64 MiB each.
pub const STRETCHES_MAX: usize = 2;

/// Notices kept for a listener that lags; it then learns that it missed some.
pub const NOTICES_MAX: usize = 1024;

/// Reports of progress kept for one caller; more are dropped, the later ones say it all.
pub const REPORTS_MAX: usize = 16;

/// Bytes of the machine's stack: parsing nested content and folding long rosters recurse.
pub const MACHINE_STACK_BYTES: usize = 64 * 1024 * 1024;
