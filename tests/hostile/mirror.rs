//! What an honest replica must make of each envelope, reckoned beside the nodes under attack.
//!
//! The mirror goes through the same public steps as a node, parser, rights and document, but is
//! told who wrote what. A node that agrees with it in the count of void envelopes and in the
//! digest of the content has judged every single one as it should.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::ids::{DocumentKey, LogId};
use fourword_protocol::schema::rights::{self, Actor, PutRef};
use fourword_protocol::schema::{self, Concern};
use fourword_protocol::update::document::Document;
use fourword_protocol::update::parse::{Content, Fault, Parsed, parse};
use fourword_protocol::update::{BlockId, Shape, client_id};

/// One document as it should be.
pub(crate) struct Mirror {
    pub(crate) concern: Concern,
    pub(crate) key: DocumentKey,
    pub(crate) document: Document,
    /// How many of each verdict.
    pub(crate) verdicts: BTreeMap<String, u64>,
    /// How many a node counts as void.
    pub(crate) void: u64,
    ended: BTreeSet<u64>,
    waiting: Vec<(BlockId, u64, Vec<u8>, Actor)>,
}

/// What becomes of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is part of the document.
    Applied,
    /// Its clocks count and its content does not.
    Void,
    /// Its log ends with it.
    Ended,
    /// It follows a block that has not come.
    Waits,
}

impl Mirror {
    pub(crate) fn new(concern: Concern, key: DocumentKey) -> Mirror {
        let document = Document::new("mirror", schema::roots(&concern), Shape::Maps);
        let (verdicts, ended, waiting) = Default::default();
        Mirror { concern, key, document, verdicts, void: 0, ended, waiting }
    }

    /// Takes the next envelope of a log, with those that waited for it.
    pub(crate) fn take(&mut self, log: &LogId, content: &[u8], actor: Actor) -> Verdict {
        let client = client_id(&log.device, &log.document, log.incarnation);
        let verdict = self.judge(client, content, actor);
        while let Some(at) = self.waiting.iter().position(|(block, ..)| self.is_here(block)) {
            let (_, client, content, actor) = self.waiting.swap_remove(at);
            self.judge(client, &content, actor);
        }
        verdict
    }

    fn is_here(&self, block: &BlockId) -> bool {
        self.document.next_clock(block.client) > block.clock
    }

    fn judge(&mut self, client: u64, content: &[u8], actor: Actor) -> Verdict {
        if self.ended.contains(&client) {
            return self.count(Verdict::Ended, "not read: its log has ended".into());
        }
        let parsed = match parse(content, &self.document.expect(client)) {
            Ok(parsed) => parsed,
            Err(error) => {
                let fault = error.fault;
                return match (fault, error.range) {
                    (Fault::Early(block), _) => {
                        self.waiting.push((block, client, content.to_vec(), actor));
                        self.count(Verdict::Waits, "parser: it waits".into())
                    }
                    (_, Some(range)) => {
                        self.document.reject(client, range).unwrap();
                        self.count(Verdict::Void, format!("parser: {fault}"))
                    }
                    (_, None) => {
                        self.ended.insert(client);
                        self.count(Verdict::Ended, format!("parser, and the log ends: {fault}"))
                    }
                };
            }
        };
        if let Some(denied) = denied(&self.concern, &parsed, &actor) {
            self.document.reject(client, parsed.clocks).unwrap();
            return self.count(Verdict::Void, format!("rights: {denied}"));
        }
        self.document.apply(&parsed).unwrap();
        self.count(Verdict::Applied, "applied".into())
    }

    fn count(&mut self, verdict: Verdict, label: String) -> Verdict {
        *self.verdicts.entry(label).or_insert(0) += 1;
        self.void += u64::from(matches!(verdict, Verdict::Void | Verdict::Ended));
        verdict
    }
}

fn denied(concern: &Concern, parsed: &Parsed<'_>, actor: &Actor) -> Option<rights::Denied> {
    parsed.writes.iter().find_map(|write| {
        let value = match write.content {
            Content::Bytes(bytes) if write.place.field.is_none() => Some(bytes),
            _ => None,
        };
        let put = PutRef { root: write.place.root, key: &write.place.key, value };
        rights::judge(concern, &put, actor).err()
    })
}
