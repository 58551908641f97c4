//! Gathers the effects of one event, numbers them, and remembers what waits for the disk.
//!
//! Every module of the machine speaks to the world through this. What may happen only after
//! durability is handed over with the write as an [`After`] and comes back when the driver says
//! `Durable`; nothing else decides when a person is told "saved".

use std::collections::BTreeMap;

use crate::command::{CommandId, Notice, Outcome, Refusal, RefusalCode};
use crate::effect::Effect;
use crate::event::StretchId;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, StatementId};
use crate::limits::BATCH_RECORDS_MAX;
use crate::record::{Batch, BatchId, LoadId, LocalKey, Query, Record};
use crate::time::Instant;
use crate::wire::{Frame, Turned};
use crate::words::StretchInput;

/// What waits for a batch to be durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Tell whoever asked.
    Answer(CommandId, Outcome),
    /// An envelope of our own is on disk: the edits that came meanwhile may be sealed.
    Sealed(EntityId, DocumentKey),
    /// Our acknowledgement of a document is on disk, and all that it names: it may be told.
    Acknowledged(EntityId, DocumentKey),
    /// Our word that we keep documents, or keep them no longer, is on disk: it may be told.
    Said {
        /// Whose documents.
        entity: EntityId,
        /// Which, and the number of the acknowledgement that says so.
        acks: Vec<(DocumentKey, u64)>,
    },
    /// All is on disk that came before a device asked whether we hold these documents: it is answered.
    Spare {
        /// Who asked.
        to: DeviceKey,
        /// Whose documents, and the question's number.
        of: (EntityId, u64),
        /// Which, by the digests of their state vectors.
        documents: Vec<(DocumentKey, Digest)>,
    },
    /// Statements are on disk: they may be sent.
    Spread {
        /// Whose roster.
        entity: EntityId,
        /// Which statements, parents first.
        statements: Vec<StatementId>,
        /// Who sent them and need not hear them again.
        except: Option<DeviceKey>,
    },
    /// A joiner's admission is on disk: it may be let in.
    Welcome(EntityId, DeviceKey),
    /// A linked device is certified everywhere, on disk: it gets its certificate.
    Linked {
        /// The device.
        to: DeviceKey,
        /// The person's home.
        home: EntityId,
        /// As `identity::Certificate::write` has it.
        certificate: Vec<u8>,
    },
    /// What was decided of a joiner is on disk: it may be told, if it is still connected.
    Turned(EntityId, DeviceKey, Turned),
    /// The identity is on disk: the node may serve.
    Ready,
}

/// The effects of one event, in order, and the counters behind their numbers.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    effects: Vec<Effect>,
    batches: u64,
    loads: u64,
    stretches: u64,
    after: BTreeMap<BatchId, Vec<After>>,
    /// Writes that become durable together, while they are gathered.
    gathered: Option<(Vec<Record>, Vec<After>)>,
    wake: Option<Instant>,
}

impl Outbox {
    /// Writes records durably, then does what waits for it. Nothing to write: does it at the next
    /// batch's turn all the same, so that order is kept.
    pub(crate) fn write(&mut self, records: Vec<Record>, after: Vec<After>) {
        if let Some((gathered, waiting)) = &mut self.gathered {
            gathered.extend(records);
            for after in after {
                join(waiting, after);
            }
            if gathered.len() > BATCH_RECORDS_MAX / 2 {
                self.release();
                self.gather();
            }
            return;
        }
        self.batches += 1;
        let id = BatchId(self.batches);
        let urgent = !after.is_empty();
        self.after.insert(id, after);
        self.effects.push(Effect::Write(Batch { id, records, urgent }));
    }

    /// From now on until `release`, writes become durable together or not at all. For statements
    /// alone: what is read from the store meanwhile would not see them.
    pub(crate) fn gather(&mut self) {
        self.gathered.get_or_insert_default();
    }

    /// Writes what was gathered as one batch; nothing if nothing was.
    pub(crate) fn release(&mut self) {
        if let Some((records, after)) = self.gathered.take()
            && !(records.is_empty() && after.is_empty())
        {
            self.write(records, after);
        }
    }

    /// Keeps a small value of this device under `kind` and `of`.
    pub(crate) fn keep(&mut self, kind: &str, of: &[u8], value: Option<Vec<u8>>, after: Vec<After>) {
        self.write(vec![local(kind, of, value)], after);
    }

    /// What waited for this batch, which is on disk or failed.
    pub(crate) fn finished(&mut self, batch: BatchId) -> Vec<After> {
        self.after.remove(&batch).unwrap_or_default()
    }

    /// Whether any write is not answered yet.
    pub(crate) fn writing(&self) -> bool {
        !self.after.is_empty()
    }

    /// Reads from the store.
    pub(crate) fn load(&mut self, query: Query) -> LoadId {
        self.loads += 1;
        let id = LoadId(self.loads);
        self.effects.push(Effect::Load(id, query));
        id
    }

    /// Stretches a name.
    pub(crate) fn stretch(&mut self, input: StretchInput) -> StretchId {
        self.stretches += 1;
        let id = StretchId(self.stretches);
        self.effects.push(Effect::Stretch(id, input));
        id
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, to: DeviceKey, frame: &Frame) {
        self.effects.push(Effect::Send(to, frame.encode()));
    }

    /// Answers a command that wrote nothing.
    pub(crate) fn answer(&mut self, command: CommandId, outcome: Outcome) {
        self.effects.push(Effect::Answer(command, outcome));
    }

    /// Refuses a command.
    pub(crate) fn refuse(&mut self, command: CommandId, refusal: Refusal) {
        self.answer(command, Outcome::Refused(refusal));
    }

    /// Tells whoever listens.
    pub(crate) fn notify(&mut self, notice: Notice) {
        self.effects.push(Effect::Notify(notice));
    }

    /// Any other effect.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Asks to be woken at the latest at this time.
    pub(crate) fn wake_at(&mut self, at: Instant) {
        if self.wake.is_none_or(|wake| at < wake) {
            self.wake = Some(at);
            self.effects.push(Effect::WakeAt(at));
        }
    }

    /// The time asked for has come.
    pub(crate) fn woken(&mut self) {
        self.wake = None;
    }

    /// The effects so far, in order.
    pub(crate) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}

/// Adds what waits for a batch; statements of one roster are sent on together, so that nobody acts
/// on the first before it has heard the last.
fn join(waiting: &mut Vec<After>, after: After) {
    if let After::Spread { entity, statements, except } = &after {
        for before in waiting.iter_mut() {
            if let After::Spread { entity: of, statements: earlier, except: but } = before
                && of == entity
                && but == except
            {
                earlier.extend(statements);
                return;
            }
        }
    }
    waiting.push(after);
}

/// A small value of this device as a record.
pub(crate) fn local(kind: &str, of: &[u8], value: Option<Vec<u8>>) -> Record {
    Record::Local { key: LocalKey { kind: kind.to_owned(), of: of.to_vec() }, value }
}

/// A refusal in words.
pub(crate) fn refusal(code: RefusalCode, message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into(), hint: hint.into() }
}
