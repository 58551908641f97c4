//! Passes requests and denials on between members, so that an admin who was away sees them.
//!
//! Each member gets what is new at once and everything when it connects, and now and then again,
//! since rosters that differ may have made it pass something over. Whoever passes on has checked
//! what it passes on, so it is blamed for what no honest device keeps.

use crate::ids::{DeviceKey, EntityId};
use crate::limits::{FRAME_REQUESTS_MAX, REQUEST_BYTES_MAX};
use crate::replicator::Replicator;
use crate::request::{Denial, Request};
use crate::requests::{DENIED_FOR_MS, Kept, LAPSE_AFTER_MS, Unkept};
use crate::sync::shared;
use crate::time::Duration;
use crate::wire::Frame;

/// How often a member may pass requests on: a burst, then one frame for each stretch of time.
const PASSED_BURST: u64 = 64;
const PASSED_EVERY: Duration = Duration(500);

impl Replicator {
    /// Tells members who are connected what is new, but who gave it to us.
    pub(super) fn spread_requests(
        &mut self,
        id: EntityId,
        except: Option<DeviceKey>,
        requests: Vec<Vec<u8>>,
        denials: Vec<Vec<u8>>,
    ) {
        let Some(entity) = self.entities.get(&id) else { return };
        let told = self
            .sessions
            .iter()
            .filter(|(_, session)| session.shared.get(&id).is_some_and(|shared| shared.told_requests));
        let told = told.map(|(device, _)| *device);
        let to = told.filter(|device| Some(*device) != except && entity.member(*device).is_some());
        let frame = Frame::Requests { entity: id, requests, denials };
        for device in to {
            self.out.send(device, &frame);
        }
    }

    /// Tells a member everything that is kept of the entities both are in, unless it was told.
    pub(crate) fn tell_requests(&mut self, device: DeviceKey, anew: bool) {
        let Some(session) = self.sessions.get(&device) else { return };
        let untold = session.shared.iter().filter(|(_, shared)| anew || !shared.told_requests);
        let untold: Vec<EntityId> = untold.map(|(id, _)| *id).collect();
        for id in untold {
            self.tidy_requests(id);
            if self.entities.get(&id).is_none_or(|entity| entity.member(device).is_none()) {
                continue;
            }
            if let Some(shared) = shared(&mut self.sessions, device, id) {
                shared.told_requests = true;
            }
            let Some(kept) = self.requests.get(&id).filter(|kept| kept.count() != (0, 0)) else { continue };
            let requests = kept.requests().map(|request| request.bytes().to_vec()).collect();
            let denials = kept.denials().map(|denial| denial.bytes().to_vec()).collect();
            self.out.send(device, &Frame::Requests { entity: id, requests, denials });
        }
    }

    /// A member passes on who asks, and who was turned away.
    pub(crate) fn take_requests(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        requests: &[Vec<u8>],
        denials: &[Vec<u8>],
    ) {
        let me = self.me.as_ref().map(|me| me.key());
        let Some(entity) = self.entities.get(&id) else { return };
        let both_in = me.is_some_and(|me| entity.member(me).is_some()) && entity.member(from).is_some();
        let now = self.now.instant;
        let Some(shared) = shared(&mut self.sessions, from, id).filter(|_| both_in) else {
            return self.drop_counted("requests of a stranger");
        };
        if requests.len() > FRAME_REQUESTS_MAX || denials.len() > FRAME_REQUESTS_MAX {
            return self.blame(from, "too many requests");
        }
        if !shared.requests.take(now, PASSED_BURST, PASSED_EVERY) {
            return self.drop_counted("requests passed on too often");
        }
        let denied = denials.iter().all(|bytes| self.take_denial(from, id, bytes));
        if !denied || !requests.iter().all(|bytes| self.take_request(from, id, bytes)) {
            // Each may cost signatures, so what follows a forged one is not looked at.
            self.blame(from, "forged request");
        }
    }

    /// Takes one request that was passed on. False if no honest device passes it on.
    fn take_request(&mut self, from: DeviceKey, id: EntityId, bytes: &[u8]) -> bool {
        if bytes.len() > REQUEST_BYTES_MAX {
            return false;
        }
        let Ok(request) = Request::read(bytes) else { return false };
        let known = self.entities.get(&id).map(|entity| entity.roster.reading());
        if request.entity != id || known.is_some_and(|reading| reading.is_member(&request.person())) {
            return request.entity == id;
        }
        match self.weigh_request(id, &request) {
            Ok(()) => {
                self.keep_request(id, request, Some(from), Vec::new());
                true
            }
            Err(unkept) => unkept != Unkept::Forged,
        }
    }

    /// Takes one denial that was passed on. False if no honest device passes it on.
    fn take_denial(&mut self, from: DeviceKey, id: EntityId, bytes: &[u8]) -> bool {
        let Ok(denial) = Denial::read(bytes) else { return false };
        if denial.entity != id {
            return false;
        }
        let none = Kept::default();
        let is_news = self.requests.get(&id).unwrap_or(&none).is_news(&denial);
        let timely = self.is_timely(denial.time.0, LAPSE_AFTER_MS + DENIED_FOR_MS);
        if !is_news || !timely || !self.counts(&denial) {
            // Clocks and rosters differ; who passes it on may know its author as an admin.
            return true;
        }
        if !denial.is_signed() {
            return false;
        }
        self.keep_denial(id, denial, Some(from), Vec::new());
        true
    }
}
