//! Gives a peer the statements that it lacks of a roster, and asks it for ours.
//!
//! A list of all that one side has is answered by the rest, parents first, as far as one answer may
//! go. A list of which a frame was lost brings too much, never too little.

use crate::ids::{DeviceKey, EntityId, StatementId};
use crate::limits::{FRAME_STATEMENT_IDS_MAX, IN_FLIGHT_BYTES_MAX, PAGE_BYTES, STATEMENT_BYTES_MAX};
use crate::replicator::Replicator;
use crate::wire::Frame;

use super::{ASKS_BURST, ASKS_EVERY, shared};

impl Replicator {
    /// A peer lists the statements it has: it gets those it lacks. It shares the secret, or was
    /// just let in and learns the secret from them.
    pub(super) fn their_statements(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        ids: &[StatementId],
        last: bool,
    ) {
        let returning = self.is_returning(from, id);
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(session) = self.sessions.get_mut(&from) else { return };
        let listens = session.shared.contains_key(&id) || entity.member(from).is_some();
        if !listens && !returning {
            return self.drop_counted("list of a stranger");
        }
        let listing = session.listings.entry(id).or_default();
        listing.have.extend(ids.iter().filter(|id| entity.roster.contains(id)));
        if !last {
            return;
        }
        let have = std::mem::take(&mut listing.have);
        if listing.answers.take(self.now.instant, ASKS_BURST, ASKS_EVERY) {
            let lacking = entity.statements_lacking(&have);
            self.send_statements(from, id, lacking);
        } else {
            self.drop_counted("list sent too often");
        }
    }

    /// Shows a peer which statements are held here; it gives the others.
    pub(super) fn show_statements(&mut self, to: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        let ids: Vec<StatementId> = entity.roster.ids().collect();
        for frame in have_frames(id, &ids) {
            self.out.send(to, &frame);
        }
    }

    /// A peer sent statements: where it has given as much as one answer holds, there may be more.
    pub(crate) fn ask_for_more_statements(&mut self, from: DeviceKey, id: EntityId, bytes: usize) {
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        shared.statement_bytes = shared.statement_bytes.saturating_add(bytes);
        if shared.statement_bytes > IN_FLIGHT_BYTES_MAX - STATEMENT_BYTES_MAX {
            shared.statement_bytes = 0;
            self.show_statements(from, id);
        }
    }

    /// Sends statements, parents first, as far as one answer may go; the rest follows when the
    /// receiver has told how it stands then.
    pub(crate) fn send_statements(&mut self, to: DeviceKey, entity: EntityId, statements: Vec<Vec<u8>>) {
        let (mut frame, mut bytes, mut total) = (Vec::new(), 0, 0);
        for statement in statements {
            if total + statement.len() > IN_FLIGHT_BYTES_MAX {
                break;
            }
            if bytes + statement.len() > PAGE_BYTES && !frame.is_empty() {
                self.out.send(to, &Frame::Statements { entity, statements: std::mem::take(&mut frame) });
                bytes = 0;
            }
            bytes += statement.len();
            total += statement.len();
            frame.push(statement);
        }
        if !frame.is_empty() {
            self.out.send(to, &Frame::Statements { entity, statements: frame });
        }
    }
}

/// Lists statements in as many frames as it takes.
pub(crate) fn have_frames(entity: EntityId, ids: &[StatementId]) -> Vec<Frame> {
    let count = ids.len().div_ceil(FRAME_STATEMENT_IDS_MAX);
    let pages = ids.chunks(FRAME_STATEMENT_IDS_MAX).enumerate();
    pages.map(|(at, ids)| Frame::Have { entity, ids: ids.to_vec(), last: at + 1 == count }).collect()
}
