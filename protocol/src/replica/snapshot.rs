//! A document in memory as bytes and back: what stands for the beginnings of its logs.
//!
//! `folding` makes one where a checkpoint says that all have the same, `loading` begins with it.
//! Behind it the logs go on as if all of them had been read. Invariant: a snapshot is checked as a
//! whole before the CRDT library sees any of it, and gives the content of the checkpoint or nothing.
//! Layout: docs/PROTOCOL.md, section 5.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use super::live::{ClientOf, Live, Void};
use crate::bytes::{Malformed, Reader, Writer};
use crate::checkpoint::{Checkpoint, Reached};
use crate::ids::{DeviceKey, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId, StatementId};
use crate::limits::{FRAME_LOGS_MAX, ROSTER_HEADS_MAX, SNAPSHOT_BYTES_MAX};
use crate::planted::{self, Planted};
use crate::schema::{self, About, Concern};
use crate::update::document::{Change, Changes, Document, DocumentError};
use crate::update::index::BlockIndex;

const VERSION: u8 = 2;
const ZSTD_LEVEL: i32 = 3;

/// How a log stands where a snapshot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may go on.
    Open,
    /// It ended: nothing that follows counts.
    Ended,
    /// It ended because another log has its client id.
    Displaced,
}

/// Why bytes are no snapshot of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Not packed as agreed, or larger than any.
    #[error("it does not unpack")]
    Packed,
    /// Not laid out as agreed.
    #[error("it is malformed")]
    Malformed,
    /// The state and its index do not agree, or hold what may not be there.
    #[error("its state is refused: {0}")]
    State(DocumentError),
    /// It is not what the checkpoint names.
    #[error("it is not what its checkpoint says")]
    Other,
}

impl From<Malformed> for Unfit {
    fn from(Malformed: Malformed) -> Unfit {
        Unfit::Malformed
    }
}

impl Live {
    /// What a checkpoint says of the document as it is here, where logs stand at `heads`.
    pub(super) fn reached(
        &self,
        heads: &BTreeMap<LogId, LogHead>,
        client_of: ClientOf,
    ) -> BTreeMap<LogId, Reached> {
        let reached = |(log, head): (&LogId, &LogHead)| {
            let client = client_of(log);
            let clock = if self.owns(client, log) { self.document.next_clock(client) } else { 0 };
            (*log, Reached { head: *head, clock })
        };
        heads.iter().map(reached).collect()
    }

    /// Writes the document, where logs stand at `heads`, as the bytes of a snapshot.
    pub(super) fn write_snapshot(
        &mut self,
        heads: &BTreeMap<LogId, LogHead>,
        client_of: ClientOf,
    ) -> Result<Vec<u8>, DocumentError> {
        let state = self.document.encode_state()?;
        let mut writer = Writer::new();
        writer.u8(VERSION);
        let logs: Vec<(&LogId, &LogHead)> = heads.iter().collect();
        writer.list(&logs, |writer, (log, head)| {
            writer.raw(&log.device.0).u64(log.incarnation.0).u64(head.sequence).raw(&head.hash.0);
            writer.u8(match self.standing(client_of, log) {
                Standing::Open => 0,
                Standing::Ended => 1,
                Standing::Displaced => 2,
            });
            writer.list(self.known_to(log), |writer, id| {
                writer.raw(&id.0);
            });
        });
        self.document.index().encode(&mut writer);
        writer.raw(&state);
        if writer.as_slice().len() > SNAPSHOT_BYTES_MAX {
            return Err(DocumentError::Unwritable);
        }
        zstd::bulk::compress(writer.as_slice(), ZSTD_LEVEL).map_err(|_| DocumentError::Unwritable)
    }

    /// Opens a snapshot that is what a checkpoint names.
    pub(super) fn open_snapshot(
        key: DocumentKey,
        concern: &Concern,
        client_of: ClientOf,
        (bytes, checkpoint): (&[u8], &Checkpoint),
    ) -> Result<Live, Unfit> {
        let plain = unpack(bytes)?;
        let mut reader = Reader::new(&plain);
        if reader.u8()? != VERSION {
            return Err(Unfit::Malformed);
        }
        let logs = reader.list(FRAME_LOGS_MAX, |reader| read_log(reader, key))?;
        let index = BlockIndex::decode(&mut reader, schema::roots(concern))?;
        let state = reader.take(reader.left())?;
        let name = key.to_string();
        let mut live = Live::new(key, concern);
        live.document = Document::open(&name, schema::roots(concern), schema::shape(concern), state, index)
            .map_err(Unfit::State)?;
        live.grow(state.len());
        for (log, head, standing, known) in logs {
            live.begin_log_at(client_of(&log), (log, head), standing, known);
        }
        live.note_all();
        let shows = live.content_digest() == checkpoint.content;
        let is_named = live.reached(&live.branches.heads(), client_of) == checkpoint.logs
            && (shows || planted::is(Planted::SnapshotWithoutDigest));
        if is_named { Ok(live) } else { Err(Unfit::Other) }
    }

    /// How a log stands here.
    pub(super) fn standing(&self, client_of: ClientOf, log: &LogId) -> Standing {
        match self.ended.contains_key(log) {
            false => Standing::Open,
            true if self.owns(client_of(log), log) => Standing::Ended,
            true => Standing::Displaced,
        }
    }

    /// The roster heads that the last envelope of a log names.
    pub(super) fn known_to(&self, log: &LogId) -> &[StatementId] {
        self.known.get(log).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn begin_log_at(
        &mut self,
        client: u64,
        (log, head): (LogId, LogHead),
        standing: Standing,
        known: Vec<StatementId>,
    ) {
        self.branches.begin(log, head);
        self.known.insert(log, known);
        match standing {
            Standing::Open => drop(self.claim(client, log)),
            Standing::Ended => {
                self.claim(client, log);
                self.ended.insert(log, Void::Ended);
            }
            Standing::Displaced => drop(self.ended.insert(log, Void::Ended)),
        }
    }

    /// Takes all content into the order of messages. What is flagged was pruned: a snapshot lies
    /// within the frontier.
    pub(super) fn note_all(&mut self) {
        let mut all = Changes::default();
        for root in schema::roots(&self.concern) {
            let entries = self.document.iter(root).map(|(key, value)| {
                let (key, after) = (Arc::clone(key), Some(value.clone()));
                Change { root, key, before: None, after }
            });
            all.keys.extend(entries);
        }
        for change in &all.keys {
            let about = schema::about(&self.concern, change.root, &change.key);
            if let Some(id) = about.and_then(About::deleted) {
                self.forgetting.tombstones.settle(id);
            }
        }
        self.note(&all);
    }
}

fn read_log(
    reader: &mut Reader<'_>,
    document: DocumentKey,
) -> Result<(LogId, LogHead, Standing, Vec<StatementId>), Malformed> {
    let (device, incarnation) = (DeviceKey(reader.array()?), Incarnation(reader.u64()?));
    let head = LogHead { sequence: reader.u64()?, hash: EnvelopeHash(reader.array()?) };
    let standing = match reader.u8()? {
        0 => Standing::Open,
        1 => Standing::Ended,
        2 => Standing::Displaced,
        _ => return Err(Malformed),
    };
    let known = reader.list(ROSTER_HEADS_MAX, |reader| Ok(StatementId(reader.array()?)))?;
    Ok((LogId { document, device, incarnation }, head, standing, known))
}

/// Unpacks at most `SNAPSHOT_BYTES_MAX`, however much the packed bytes say that they hold.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Unfit> {
    let limit = u64::try_from(SNAPSHOT_BYTES_MAX).unwrap_or(u64::MAX);
    let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| Unfit::Packed)?;
    let mut plain = Vec::new();
    decoder.take(limit.saturating_add(1)).read_to_end(&mut plain).map_err(|_| Unfit::Packed)?;
    if plain.len() > SNAPSHOT_BYTES_MAX { Err(Unfit::Packed) } else { Ok(plain) }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::super::{Author, Content, Edits, Folded, Judged, Replica};
    use super::*;
    use crate::envelope::Envelope;
    use crate::epoch::EpochKey;
    use crate::history::{Past, Watch};
    use crate::identity::DeviceSecret;
    use crate::ids::{Digest, EntityId, PersonId};
    use crate::limits::CHAT_BYTES_MAX;
    use crate::roster::Role;
    use crate::schema::Put;
    use crate::schema::chat::{MessageId, NewMessage};
    use crate::schema::rights::Actor;
    use crate::time::WallTime;

    pub(crate) const DOCUMENT: DocumentKey = DocumentKey([1; 32]);
    pub(crate) const PEOPLE: u8 = 3;

    pub(crate) fn device(number: u8) -> DeviceSecret {
        DeviceSecret::from_seeds(&[number; 32], &[number; 32])
    }

    pub(crate) fn actor(number: u8) -> Actor {
        let role = if number == PEOPLE { Role::Viewer } else { Role::Admin };
        Actor { person: PersonId([number; 32]), role }
    }

    pub(crate) fn replica() -> Replica {
        let mut replica = Replica::new(EntityId([1; 32]), DOCUMENT, Concern::Chat, 1);
        replica.begin_loading();
        replica.end_loading();
        replica
    }

    pub(crate) fn take(replica: &mut Replica, envelope: &Envelope) -> Judged {
        let number = (1..=PEOPLE).find(|number| device(*number).key() == envelope.header.log.device).unwrap();
        let key = EpochKey::new([9; 32]);
        replica.take(envelope, Author { actor: actor(number), key: &key, backdated: false }, |_, _| false)
    }

    /// What somebody does next in a chat, which may be nothing that counts.
    fn does(replica: &Replica, number: u8, random: &mut ChaCha20Rng) -> Option<Put> {
        let live = replica.live().unwrap();
        let chat = live.chat().unwrap();
        let ids: Vec<MessageId> = chat.messages(50).into_iter().map(|message| message.id).collect();
        let (time, author) =
            (WallTime(random.next_u64() >> 30), Actor { role: Role::Admin, ..actor(number) });
        let one = |random: &mut ChaCha20Rng| ids.get(random.next_u32() as usize % ids.len().max(1)).copied();
        match random.next_u32() % 6 {
            0 => chat.delete(&author, one(random)?, time).ok(),
            1 => chat.react(&author, one(random)?, "+", true).ok()?,
            2 => chat.edit(&author, one(random)?, "edited", time).ok()?,
            _ => {
                let new = NewMessage {
                    text: format!("text {time:?}"),
                    parent: one(random),
                    ..NewMessage::default()
                };
                let name = random.next_u64().to_be_bytes();
                chat.send(&author, name, &new, time).ok().map(|(_, put)| put)
            }
        }
    }

    /// Lets somebody do something at its own replica.
    pub(crate) fn write(own: &mut Replica, number: u8, random: &mut ChaCha20Rng) -> Option<Envelope> {
        let put = does(own, number, random)?;
        own.edit(device(number).key(), Edits::Puts(vec![put]), Vec::new(), random).unwrap();
        let epoch = (StatementId([2; 32]), &EpochKey::new([9; 32]));
        let sealed = own.seal(&device(number), vec![StatementId([3; 32])], epoch, random).unwrap().unwrap();
        own.sealed();
        Some(sealed.envelope)
    }

    /// Lets each of a few people do something at its own replica, which all others take.
    pub(crate) fn go_on(replicas: &mut [Replica], random: &mut ChaCha20Rng) -> Vec<Envelope> {
        let mut written = Vec::new();
        for number in 1..=PEOPLE {
            let own = &mut replicas[usize::from(number) - 1];
            let Some(envelope) = write(own, number, random) else { continue };
            for (at, other) in (1..).zip(replicas.iter_mut()).filter(|(at, _)| *at != number) {
                let judged = take(other, &envelope);
                assert!(matches!(judged, Judged::Applied(_) | Judged::Rejected(_)), "{at}");
            }
            written.push(envelope);
        }
        written
    }

    /// The three people's replicas and one that only listens, with a history.
    pub(crate) fn begun(random: &mut ChaCha20Rng) -> (Vec<Replica>, Replica) {
        let (mut replicas, mut listener) = ((0..PEOPLE).map(|_| replica()).collect::<Vec<_>>(), replica());
        for _ in 0..30 {
            for envelope in go_on(&mut replicas, random) {
                take(&mut listener, &envelope);
            }
        }
        (replicas, listener)
    }

    pub(crate) fn live(replica: &mut Replica) -> &mut Live {
        match &mut replica.content {
            Content::Live(live) => live,
            other => panic!("{other:?}"),
        }
    }

    /// The snapshot of a replica, made where everything flagged was pruned.
    fn folded(replica: &mut Replica) -> (Vec<u8>, Checkpoint) {
        let (heads, client_of) = ((*replica.heads).clone(), replica.client_of);
        let live = live(replica);
        let ids: BTreeSet<MessageId> = live.forgetting.tombstones.waiting().map(|(id, _)| id).collect();
        live.forgetting.tombstones.prune(&ids);
        let logs = live.reached(&heads, client_of);
        let checkpoint = Checkpoint {
            entity: EntityId([1; 32]),
            document: DOCUMENT,
            content: live.content_digest(),
            heads: Vec::new(),
            logs,
        };
        (live.write_snapshot(&heads, client_of).unwrap(), checkpoint)
    }

    pub(crate) fn open(bytes: &[u8], checkpoint: &Checkpoint) -> Result<Live, Unfit> {
        Live::open_snapshot(DOCUMENT, &Concern::Chat, super::super::live::client, (bytes, checkpoint))
    }

    #[test]
    fn logs_go_on_behind_a_snapshot_as_if_all_had_been_read() {
        for seed in 0..20 {
            let mut random = ChaCha20Rng::seed_from_u64(seed);
            let (mut replicas, mut listener) = begun(&mut random);
            let (bytes, checkpoint) = folded(&mut listener);
            let mut newcomer = replica();
            let opened = open(&bytes, &checkpoint).unwrap();
            newcomer.heads = opened.branches.heads().into();
            newcomer.content = Content::Live(Box::new(opened));
            for round in 0..10 {
                for envelope in go_on(&mut replicas, &mut random) {
                    let (one, two) = (take(&mut listener, &envelope), take(&mut newcomer, &envelope));
                    assert_eq!(one, two, "seed {seed}, round {round}");
                }
                assert_eq!(newcomer.heads.digest(), listener.heads.digest(), "seed {seed}, round {round}");
                let digests = [&mut newcomer, &mut listener].map(|replica| live(replica).content_digest());
                assert_eq!(digests[0], digests[1], "seed {seed}, round {round}");
            }
        }
    }

    /// Reads `stored` as far as a vector at a replica that holds all of it.
    fn fold(replica: &mut Replica, upto: &BTreeMap<LogId, LogHead>, stored: &[Envelope]) -> Option<Folded> {
        let key = EpochKey::new([9; 32]);
        replica.begin_folding(upto.clone(), None, Watch::Past(Past::default(), WallTime(0)));
        let mut next = stored.to_vec();
        while !next.is_empty() {
            let before = next.len();
            for envelope in next {
                let number = (1..=PEOPLE).find(|n| device(*n).key() == envelope.header.log.device).unwrap();
                let author = Author { actor: actor(number), key: &key, backdated: false };
                if replica.folds(&envelope) {
                    replica.fold(envelope, Some(author), false);
                }
            }
            next = replica.take_early();
            assert!(next.len() < before, "each round takes something");
        }
        replica.end_folding()
    }

    #[test]
    fn what_is_folded_to_a_vector_is_what_was_there_when_that_was_all() {
        for seed in 0..10 {
            let mut random = ChaCha20Rng::seed_from_u64(seed);
            let (mut replicas, mut listener) = (vec![replica(), replica(), replica()], replica());
            let mut stored = Vec::new();
            let mut then = None;
            for round in 0..40 {
                for envelope in go_on(&mut replicas, &mut random) {
                    take(&mut listener, &envelope);
                    stored.push(envelope);
                }
                if round == 20 {
                    let (heads, client_of) = ((*listener.heads).clone(), listener.client_of);
                    let logs = live(&mut listener).reached(&heads, client_of);
                    then = Some((heads, logs, live(&mut listener).content_digest()));
                }
            }
            let (heads, logs, content) = then.unwrap();
            let one = fold(&mut listener, &heads, &stored).unwrap();
            assert_eq!((&one.logs, one.content), (&logs, content), "seed {seed}");
            stored.reverse();
            let two = fold(&mut listener, &heads, &stored).unwrap();
            assert_eq!((&two.logs, two.content), (&logs, content), "seed {seed}: in another order");
            let (entity, by) = (EntityId([1; 32]), Vec::new());
            let checkpoint = Checkpoint { entity, document: DOCUMENT, content, heads: by, logs };
            for folded in [one, two] {
                assert_eq!(open(&folded.bytes, &checkpoint).unwrap().content_digest(), content);
            }
            let mut more = heads.clone();
            more.values_mut().next().unwrap().sequence += 1000;
            assert_eq!(fold(&mut listener, &more, &stored), None, "not all of it is here");
        }
    }

    #[test]
    fn a_snapshot_is_what_its_checkpoint_names_or_is_not_taken() {
        let mut random = ChaCha20Rng::seed_from_u64(7);
        let (mut replicas, mut listener) = begun(&mut random);
        let (bytes, right) = folded(&mut listener);
        let first = *right.logs.keys().next().unwrap();
        let mut wrong = vec![right.clone(); 4];
        wrong[0].content = Digest([0; 32]);
        wrong[1].logs.get_mut(&first).unwrap().clock += 1;
        wrong[2].logs.get_mut(&first).unwrap().head.sequence += 1;
        wrong[3].logs.remove(&first);
        for checkpoint in wrong {
            assert_eq!(open(&bytes, &checkpoint).err(), Some(Unfit::Other));
        }
        for envelope in go_on(&mut replicas, &mut random) {
            take(&mut listener, &envelope);
        }
        let (later, _) = folded(&mut listener);
        assert_eq!(open(&later, &right).err(), Some(Unfit::Other), "more than it names");
    }

    #[test]
    fn a_snapshot_with_anything_changed_is_refused_and_never_fails_otherwise() {
        let mut random = ChaCha20Rng::seed_from_u64(8);
        let (_, mut listener) = begun(&mut random);
        let (bytes, checkpoint) = folded(&mut listener);
        let plain = unpack(&bytes).unwrap();
        let pack = |plain: &[u8]| zstd::bulk::compress(plain, ZSTD_LEVEL).unwrap();
        let content = checkpoint.content;
        for round in 0..3000 {
            let mut altered = plain.clone();
            let at = random.next_u32() as usize % altered.len();
            match round % 3 {
                0 => altered[at] ^= 1 << (random.next_u32() % 8),
                1 => altered.truncate(at),
                _ => drop(altered.remove(at)),
            }
            // What is left over may be the state of emptied blocks, which nobody sees.
            if let Ok(live) = open(&pack(&altered), &checkpoint) {
                assert_eq!(live.content_digest(), content, "round {round}");
            }
        }
        assert_eq!(open(&pack(&vec![0; SNAPSHOT_BYTES_MAX + 1]), &checkpoint).err(), Some(Unfit::Packed));
        assert_eq!(open(b"not packed", &checkpoint).err(), Some(Unfit::Packed));
    }

    /// A chat of four people, of which every second message was deleted by its author and forgotten,
    /// or was never written: the bytes of its state and of the packed snapshot, and how many were not.
    fn chat_of_2000(deletes: bool) -> (usize, usize, usize) {
        const WORDS: [&str; 12] = [
            "harvest", "meeting", "tomorrow", "the", "of", "boat", "and", "we", "should", "at", "noon",
            "river",
        ];
        let mut random = ChaCha20Rng::seed_from_u64(7);
        let mut listener = replica();
        let own = |number: u8, listener: &mut Replica, authors: &mut [Replica], put: Put| {
            let mut log = ChaCha20Rng::seed_from_u64(u64::from(number));
            let own = &mut authors[usize::from(number) - 1];
            own.edit(device(number).key(), Edits::Puts(vec![put]), Vec::new(), &mut log).unwrap();
            let epoch = (StatementId([2; 32]), &EpochKey::new([9; 32]));
            let sealed =
                own.seal(&device(number), vec![StatementId([3; 32])], epoch, &mut log).unwrap().unwrap();
            own.sealed();
            let author = Author { actor: author(number), key: epoch.1, backdated: false };
            assert!(matches!(listener.take(&sealed.envelope, author, |_, _| false), Judged::Applied(_)));
        };
        fn author(number: u8) -> Actor {
            Actor { person: PersonId(*blake3::hash(&[number]).as_bytes()), role: Role::Member }
        }
        let (mut authors, mut gone): (Vec<Replica>, usize) = ((0..4).map(|_| replica()).collect(), 0);
        for number in 0u64..2000 {
            let by = u8::try_from(number % 4).unwrap() + 1;
            let words = (0..12).map(|_| WORDS[random.next_u32() as usize % WORDS.len()]);
            let new = NewMessage { text: words.collect::<Vec<_>>().join(" "), ..NewMessage::default() };
            let (name, goes) = (random.next_u64().to_be_bytes(), random.next_u32() % 2 == 0);
            gone += usize::from(goes);
            if goes && !deletes {
                continue;
            }
            let time = WallTime(1_750_000_000_000 + number * 60_000);
            let live = authors[usize::from(by) - 1].live().unwrap();
            let (id, put) = live.chat().unwrap().send(&author(by), name, &new, time).unwrap();
            own(by, &mut listener, &mut authors, put);
            if goes {
                let live = authors[usize::from(by) - 1].live().unwrap();
                let put = live.chat().unwrap().delete(&author(by), id, WallTime(time.0 + 30_000)).unwrap();
                own(by, &mut listener, &mut authors, put);
            }
        }
        let (heads, client_of) = ((*listener.heads).clone(), listener.client_of);
        let live = live(&mut listener);
        live.prune_flagged().unwrap();
        let packed = live.write_snapshot(&heads, client_of).unwrap().len();
        (live.document.encode_state().unwrap().len(), packed, gone)
    }

    #[test]
    fn little_is_left_of_a_deleted_message() {
        let ((state, packed, gone), (state_without, packed_without, _)) =
            (chat_of_2000(true), chat_of_2000(false));
        assert!((900..1100).contains(&gone));
        let each = |with: usize, without: usize| with.saturating_sub(without * 115 / 100) / gone;
        assert!(each(packed, packed_without) <= 40, "{packed} packed bytes, {packed_without} without {gone}");
        // The flag itself, and its share of void clocks: nothing of what it flags.
        assert!(each(state, state_without) <= 80, "{state} bytes of state, {state_without} without {gone}");
    }

    #[test]
    fn fifty_thousand_messages_fit_one_segment() {
        let mut random = ChaCha20Rng::seed_from_u64(8);
        let mut own = replica();
        for number in 0..500u64 {
            let new = NewMessage { text: "a".repeat(60 + (number as usize % 80)), ..NewMessage::default() };
            let chat = live(&mut own).chat().unwrap();
            let name = random.next_u64().to_be_bytes();
            let (_, put) = chat.send(&actor(1), name, &new, WallTime(1_750_000_000_000 + number)).unwrap();
            own.edit(device(1).key(), Edits::Puts(vec![put]), Vec::new(), &mut random).unwrap();
        }
        assert!(live(&mut own).bytes * 100 < CHAT_BYTES_MAX, "{} bytes for 500", live(&mut own).bytes);
    }
}
