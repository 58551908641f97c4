//! Acts on logs that were written twice: keeps both branches, settles which counts, tells others.
//!
//! `receiving` brings what does not continue the branch that counts here. Whoever notices a fork
//! gives the peer its own branch from where they part, so that both decide by the same envelopes.
//! Invariant: a device that makes branch after branch costs a bounded share of time and disk; what
//! is put off is seen again in a later exchange.

use crate::command::FaultKind;
use crate::entity::Forked;
use crate::envelope::Envelope;
use crate::evidence::{Sighting, place_in_words};
use crate::ids::{DeviceKey, DocumentKey, EntityId, LogId};
use crate::record::Record;
use crate::replica::Void;
use crate::replicator::Replicator;
use crate::time::Duration;

/// How many branches of one device's logs are kept: a burst, then one for each stretch of time.
/// An honest device makes one when its home is copied.
const BRANCHINGS_BURST: u64 = 8;
const BRANCHINGS_EVERY: Duration = Duration::from_secs(60);

/// How many envelopes of a branch that may be the one which the roster names are kept of what one
/// peer sends: a burst, then one for each stretch of time.
const AWAITED_BURST: u64 = 2048;
const AWAITED_EVERY: Duration = Duration(100);

impl Replicator {
    /// An envelope came that stands on another branch than the one that counts here.
    pub(crate) fn forked(&mut self, from: DeviceKey, id: EntityId, document: DocumentKey, forked: Forked) {
        match forked {
            Forked::Apart(log) => {
                self.leave_log(id, &log);
                self.ask_for_branch(from, id, document, log);
            }
            Forked::Beaten(log, sequence) => {
                self.leave_log(id, &log);
                self.give_branch(from, id, document, log, sequence);
            }
            Forked::Kept { envelope, is_awaited } => {
                self.leave_log(id, &envelope.header.log);
                self.keep_branch(from, id, &envelope, is_awaited);
            }
        }
    }

    /// Keeps an envelope of another branch, and changes over to that branch if it counts.
    fn keep_branch(&mut self, from: DeviceKey, id: EntityId, envelope: &Envelope, is_awaited: bool) {
        let now = self.now.instant;
        let (log, sequence) = (envelope.header.log, envelope.header.sequence);
        let Some(entity) = self.entities.get_mut(&id).filter(|e| e.member(from).is_some()) else { return };
        let may = if is_awaited {
            // By who sends, so that the author and its friends cannot use up what others need who
            // bring the branch that counts.
            entity.gatherings.entry(from).or_default().take(now, AWAITED_BURST, AWAITED_EVERY)
        } else {
            entity.branchings.entry(log.device).or_default().take(now, BRANCHINGS_BURST, BRANCHINGS_EVERY)
        };
        if !may {
            return self.drop_counted("branch put off");
        }
        let replica = entity.replicas.get(&log.document);
        let ours = replica.and_then(|replica| replica.live()?.branches.at(&log, sequence));
        let changes_over = entity.set_aside(envelope);
        self.out.write(vec![Record::of(id, envelope)], Vec::new());
        let other = ours.map(|ours| format!(": {ours} and {}", envelope.hash())).unwrap_or_default();
        self.note_fault(
            id,
            Sighting {
                device: log.device,
                kind: FaultKind::Fork,
                document: Some(log.document),
                detail: format!("{}{other}", place_in_words(&log, sequence)),
            },
        );
        if changes_over {
            self.touch(id);
            self.judge_anew(id);
        } else if !is_awaited {
            self.give_branch(from, id, log.document, log, sequence);
        }
    }

    /// A log of our own is forked: it is not gone on with.
    fn leave_log(&mut self, id: EntityId, log: &LogId) {
        let replica = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&log.document));
        if let Some(replica) = replica.filter(|replica| replica.writes(log)) {
            replica.retire_log();
            self.load_documents(id);
        }
    }

    /// Content was rejected for everybody: a fault of its author where that is proved.
    pub(crate) fn rejected(&mut self, id: EntityId, envelope: &Envelope, void: &Void) {
        self.drop_counted("content without the right to it");
        let log = envelope.header.log;
        if let Some(kind) = void.fault() {
            let other = match void {
                Void::TakenClientId(other) => format!(", log {:016x}", other.incarnation.0),
                _ => String::new(),
            };
            let place = place_in_words(&log, envelope.header.sequence);
            let detail = format!("{place}, envelope {}: {void}{other}", envelope.hash());
            self.note_fault(id, Sighting { device: log.device, kind, document: Some(log.document), detail });
        }
    }

    /// An envelope is of a version that this software cannot read. It is nobody's fault; what
    /// follows it in its log waits, and it comes again with every exchange.
    pub(crate) fn note_newer(&mut self, id: EntityId, document: DocumentKey, version: u8) {
        self.drop_counted("envelope of a newer version");
        let detail =
            format!("envelopes of version {version} came: this software must be updated to read them");
        let sighting = Sighting {
            device: DeviceKey([0; 32]),
            kind: FaultKind::UnknownVersion,
            document: Some(document),
            detail,
        };
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) {
            replica.meets_newer = true;
            self.note_fault(id, sighting);
        }
    }
}
