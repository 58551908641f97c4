//! A hash over everything that happened: every event given to a machine and every effect of it.
//!
//! Two runs of one seed give one hash, in any process. What differs between them without changing
//! any outcome would still be found by it.

use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::record::{Page, Record};

/// The hash of a run so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
}

impl Trace {
    /// Takes in one event at a node and the effects it had.
    pub(crate) fn note(&mut self, at: u64, name: &str, event: &Event, effects: &[Effect]) {
        self.hasher.update(&at.to_be_bytes());
        self.bytes(name.as_bytes());
        self.event(event);
        for effect in effects {
            self.effect(effect);
        }
    }

    /// The hash of all so far.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
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
            Page::Opening { locals, statements, heads } => {
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
            }
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

    fn record(&mut self, record: &Record) {
        match record {
            Record::Statement { bytes, .. } | Record::Envelope { bytes, .. } => self.bytes(bytes),
            Record::Local { key, value } => {
                self.bytes(key.kind.as_bytes());
                self.bytes(&key.of);
                self.bytes(value.as_deref().unwrap_or(b"none"));
            }
        }
    }
}
