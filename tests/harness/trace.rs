//! A hash over everything that happened: every event given to a machine and every effect of it.
//!
//! Two runs of one seed give one hash, in any process. What differs between them without changing
//! any outcome would still be found by it.

use fourword_protocol::acknowledgement::Acknowledgement;
use fourword_protocol::effect::Effect;
use fourword_protocol::envelope::Envelope;
use fourword_protocol::event::Event;
use fourword_protocol::ids::{LogHead, LogId};
use fourword_protocol::record::{Page, Record};
use fourword_protocol::roster::Statement;
use fourword_protocol::wire::Frame;

/// One event and its effects as a line for people, without the bytes.
pub(crate) fn line(at: u64, name: &str, event: &Event, effects: &[Effect]) -> String {
    let effects: Vec<String> = effects.iter().map(effect_in_words).collect();
    let event = match event {
        Event::Received(from, bytes) => format!("received {} from {}", frame_in_words(bytes), short(&from.0)),
        Event::Heard { bytes, from, .. } => {
            format!("heard {} from {}", envelope_in_words(bytes), short(&from.0))
        }
        Event::Loaded(load, page) => {
            format!("loaded {} ({})", load.0, if page.is_ok() { "a page" } else { "nothing" })
        }
        other => format!("{other:?}").chars().take(160).collect(),
    };
    format!("{at:>8} {name}: {event} -> {}", effects.join(", "))
}

fn short(key: &[u8; 32]) -> String {
    key.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn frame_in_words(bytes: &[u8]) -> String {
    match Frame::decode(bytes) {
        Ok(Frame::Envelopes { envelopes, more, .. }) => {
            let all: Vec<String> = envelopes.iter().map(|bytes| envelope_in_words(bytes)).collect();
            format!("Envelopes [{}] more {more}", all.join(" "))
        }
        Ok(Frame::State { state, .. }) => {
            let digest = |digest: &[u8; 32]| short(digest);
            let documents = state.documents.iter().map(|d| {
                format!(
                    "{}:{}/{:?}",
                    digest(&d.document.0),
                    digest(&d.vector.0),
                    d.content.map(|c| digest(&c.0))
                )
            });
            let documents: Vec<String> = documents.collect();
            format!(
                "State {} roster {} {}",
                short(&state.entity.0),
                short(&state.roster.0),
                documents.join(" ")
            )
        }
        Ok(Frame::Statements { statements, .. }) => {
            let names = statements.iter().filter_map(|bytes| Statement::read(bytes).ok());
            let names: Vec<String> = names
                .map(|s| {
                    let body: String =
                        format!("{:?}", s.body()).chars().take_while(char::is_ascii_alphabetic).collect();
                    format!("{body} {}", short(&s.id().0))
                })
                .collect();
            format!("Statements [{}]", names.join(" "))
        }
        Ok(Frame::Acks { document, waits, acks, .. }) => {
            let acks: Vec<String> = acks.iter().map(|bytes| ack_in_words(bytes)).collect();
            format!("Acks {} waits {waits} [{}]", short(&document.0), acks.join(" "))
        }
        Ok(frame) => format!("{frame:?}").chars().take(60).collect(),
        Err(_) => "garbage".into(),
    }
}

fn ack_in_words(bytes: &[u8]) -> String {
    Acknowledgement::read(bytes).map_or("garbage".into(), |ack| {
        let stops = if ack.stops { " stops" } else { "" };
        format!("{}@{}{stops}", short(&ack.device.0), ack.number)
    })
}

fn envelope_in_words(bytes: &[u8]) -> String {
    Envelope::read(bytes).map_or("garbage".into(), |envelope| {
        let log = envelope.header.log;
        let (document, device) = (short(&log.document.0), short(&log.device.0));
        format!("{document}/{device}/{:04x}@{}", log.incarnation.0 >> 48, envelope.header.sequence)
    })
}

fn effect_in_words(effect: &Effect) -> String {
    match effect {
        Effect::Send(to, bytes) => format!("to {}: {}", short(&to.0), frame_in_words(bytes)),
        Effect::Publish(_, bytes) => format!("publish {}", envelope_in_words(bytes)),
        Effect::Write(batch) => {
            let records = batch.records.iter().map(|record| match record {
                Record::Statement { id, .. } => format!("statement {}", short(&id.0)),
                Record::Envelope { bytes, .. } => envelope_in_words(bytes),
                Record::SnapshotPart { number, part, .. } => format!("part {part} of snapshot {number}"),
                Record::Snapshot { document, number, .. } => {
                    format!("snapshot {number} of {}", short(&document.0))
                }
                Record::Forget { document } => format!("forget {}", short(&document.0)),
                Record::Local { key, value: Some(value) } if key.kind == "ack" => {
                    format!("ack {}", ack_in_words(value))
                }
                Record::Local { key, .. } => key.kind.clone(),
            });
            format!("write {} [{}]", batch.id.0, records.collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}").chars().take(120).collect(),
    }
}

/// How much is hashed at once: many short pieces would take four times as long.
const HASHED_BYTES: usize = 64 << 10;

/// The hash of a run so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    /// What is not hashed yet.
    waiting: Vec<u8>,
}

impl Trace {
    /// Takes in one event at a node and the effects it had.
    pub(crate) fn note(&mut self, at: u64, name: &str, event: &Event, effects: &[Effect]) {
        if self.waiting.len() >= HASHED_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
        self.waiting.extend(at.to_be_bytes());
        self.bytes(name.as_bytes());
        self.event(event);
        for effect in effects {
            self.effect(effect);
        }
    }

    /// The hash of all so far.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.hasher.clone().update(&self.waiting).finalize().as_bytes()
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.waiting.extend((bytes.len() as u64).to_be_bytes());
        self.waiting.extend(bytes);
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Received(from, bytes) => {
                self.bytes(b"received");
                self.bytes(&from.0);
                self.bytes(bytes);
            }
            Event::Heard { topic, from, bytes, .. } => {
                self.bytes(b"heard");
                self.bytes(&topic.0);
                self.bytes(&from.0);
                self.bytes(bytes);
            }
            Event::Loaded(load, Ok(page)) => {
                self.bytes(b"loaded");
                self.bytes(&load.0.to_be_bytes());
                self.page(page);
            }
            Event::Wake => self.bytes(b"wake"),
            Event::Durable(batch) => {
                self.bytes(b"durable");
                self.bytes(&batch.0.to_be_bytes());
            }
            other => self.bytes(format!("{other:?}").as_bytes()),
        }
    }

    fn page(&mut self, page: &Page) {
        match page {
            Page::Opening { locals, statements, heads, snapshots } => {
                for (key, value) in locals {
                    self.bytes(key.kind.as_bytes());
                    self.bytes(&key.of);
                    self.bytes(value);
                }
                statements.iter().for_each(|(_, id, _)| self.bytes(&id.0));
                heads.iter().for_each(|(_, log, head)| {
                    self.bytes(&log.document.0);
                    self.bytes(&head.hash.0);
                });
                snapshots.iter().for_each(|snapshot| {
                    self.bytes(&snapshot.document.0);
                    self.covers(snapshot.number, &snapshot.covers);
                });
            }
            Page::SnapshotPart(part) => self.bytes(part.as_deref().unwrap_or(b"none")),
            Page::Envelopes { envelopes, next } => {
                self.bytes(format!("{next:?}").as_bytes());
                envelopes.iter().for_each(|bytes| self.bytes(bytes));
            }
        }
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Send(to, bytes) => {
                self.bytes(b"send");
                self.bytes(&to.0);
                self.bytes(bytes);
            }
            Effect::Publish(topic, bytes) => {
                self.bytes(b"publish");
                self.bytes(&topic.0);
                self.bytes(bytes);
            }
            Effect::Write(batch) => {
                self.bytes(b"write");
                batch.records.iter().for_each(|record| self.record(record));
            }
            Effect::WakeAt(at) => {
                self.bytes(b"wake at");
                self.bytes(&at.0.to_be_bytes());
            }
            other => self.bytes(format!("{other:?}").as_bytes()),
        }
    }

    fn covers(&mut self, number: u64, covers: &[(LogId, LogHead)]) {
        self.bytes(&number.to_be_bytes());
        covers.iter().for_each(|(_, head)| self.bytes(&head.hash.0));
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Statement { bytes, .. }
            | Record::Envelope { bytes, .. }
            | Record::SnapshotPart { bytes, .. } => self.bytes(bytes),
            Record::Snapshot { document, number, covers, .. } => {
                self.bytes(&document.0);
                self.covers(*number, covers);
            }
            Record::Forget { document } => {
                self.bytes(b"forget");
                self.bytes(&document.0);
            }
            Record::Local { key, value } => {
                self.bytes(key.kind.as_bytes());
                self.bytes(&key.of);
                self.bytes(value.as_deref().unwrap_or(b"none"));
            }
        }
    }
}
