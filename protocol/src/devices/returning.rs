//! Gets this device into the home and into every group that the home lists, by its person's right.
//!
//! A device that an older one certified needs only to be given the roster and its keys. One that
//! the root certified, after a recovery, says so in the roster itself. The full ids are known from
//! the link code or the home, so nobody's word is taken for what is joined.

use rand::Rng;

use crate::bytes::{Reader, Writer};
use crate::command::{CommandId, RefusalCode};
use crate::effect::Effect;
use crate::identity::Certificate;
use crate::ids::{DeviceKey, EntityId, StatementId};
use crate::limits::{ADDRESS_BYTES_MAX, GREETING_ENTITIES_MAX, INVITE_ADDRESSES_MAX};
use crate::outbox::{After, local, refusal};
use crate::record::Record;
use crate::replicator::Replicator;
use crate::roster::Body;
use crate::schema::{Concern, home};
use crate::time::{Duration, Instant};
use crate::wire::{Frame, Knock, Proof, Turned};

/// The kind of the small values that say where a home's devices may be dialled.
pub(crate) const RETURN: &str = "return";

/// How long between rounds of dialling and knocking, at first and at most; each doubles.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How often one device is knocked at: less than it allows, since joins knock too.
const KNOCKS_BURST: u64 = 4;
const KNOCKS_EVERY: Duration = Duration::from_secs(3);

/// An entity to get back into.
#[derive(Debug, Default)]
pub(crate) struct Return {
    /// Addresses to dial.
    peers: Vec<String>,
    /// Who waits for it in this run; else it is wanted because the home lists it.
    asker: Option<CommandId>,
    /// Bytes of the roster that came since the rest of it was asked for.
    pub(crate) come: usize,
    next: Instant,
    pause: Duration,
}

impl Replicator {
    // -- where to -----------------------------------------------------------------------------

    /// Takes from an earlier run where the home's devices may be dialled.
    pub(crate) fn restore_way(&mut self, of: &[u8], value: &[u8]) {
        let Ok(id) = of.try_into().map(EntityId) else { return };
        let mut reader = Reader::new(value);
        let read = |r: &mut Reader<'_>| r.text(ADDRESS_BYTES_MAX).map(str::to_owned);
        if let Ok(peers) = reader.list(2 * INVITE_ADDRESSES_MAX, read) {
            self.devices.returns.insert(id, Return { peers, ..Return::default() });
        }
    }

    /// The home changed: looks again which entities this device is still to get into.
    pub(crate) fn look_home(&mut self) {
        self.devices.home_changed = false;
        let Some(home) = self.me.as_ref().map(|me| me.home) else { return };
        let mut wanted = vec![home];
        let document = self.entities.get(&home).and_then(|e| e.document(&Concern::Home));
        match document.map(|replica| replica.live()) {
            Some(Some(live)) => {
                let groups = home::groups(&live.document).into_iter().filter(|(_, group)| !group.left);
                wanted.extend(groups.map(|(id, _)| id).take(GREETING_ENTITIES_MAX));
                self.take_name();
            }
            Some(None) => self.load_documents(home),
            None => {}
        }
        wanted.retain(|id| self.entities.get(id).is_none_or(|e| e.secret.is_none()));
        wanted.retain(|id| !self.joins.contains_key(id));
        self.devices.returns.retain(|id, back| wanted.contains(id) || back.asker.is_some());
        for id in wanted {
            self.return_to(id);
        }
        self.try_returns();
    }

    /// Takes over the name that another device of this person set.
    fn take_name(&mut self) {
        let Some(me) = &mut self.me else { return };
        let home = self.entities.get(&me.home).and_then(|e| e.document(&Concern::Home));
        let Some(live) = home.and_then(|replica| replica.live()) else { return };
        let name = home::setting(&live.document, home::NAME).and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name.filter(|name| *name != me.name) {
            me.name = name.to_owned();
            let record = me.record();
            self.out.write(vec![record], Vec::new());
        }
    }

    /// Gets this device into an entity that its person is in already, and answers when it is.
    pub(crate) fn come_back(&mut self, asker: CommandId, id: EntityId, peers: Vec<String>) {
        if self.entities.get(&id).is_some_and(|e| e.secret.is_some()) {
            return self.answer_joined(asker, id);
        }
        self.return_to(id);
        if let Some(back) = self.devices.returns.get_mut(&id) {
            back.peers = peers;
            back.peers.truncate(2 * INVITE_ADDRESSES_MAX);
            back.next = self.now.instant;
            if let Some(before) = back.asker.replace(asker) {
                let message = "the same was asked for again";
                self.out.refuse(before, refusal(RefusalCode::Pending, message, ""));
            }
        }
        self.names.want_first(id.0, &mut self.out);
        self.try_returns();
    }

    /// Begins to get this device into an entity that its person is in.
    fn return_to(&mut self, id: EntityId) {
        let now = self.now.instant;
        let new = self.devices.returns.entry(id).or_default();
        if new.pause == Duration::default() {
            (new.next, new.pause) = (now, RETRY_FIRST);
        }
    }

    /// Dials and knocks for all whose turn it is.
    pub(crate) fn try_returns(&mut self) {
        if !self.opening.done || self.devices.returns.is_empty() {
            return;
        }
        let now = self.now.instant;
        let mut due = Vec::new();
        for (id, back) in &mut self.devices.returns {
            if back.next <= now {
                let spread = self.random.next_u64() % 500;
                back.next = now + back.pause + Duration(spread);
                back.pause = Duration((back.pause.0 * 2).clamp(RETRY_FIRST.0, RETRY_MAX.0));
                due.push((*id, back.peers.clone()));
            }
            self.out.wake_at(back.next);
        }
        for (id, peers) in due {
            for session in self.sessions.values_mut() {
                session.knocked.remove(&id);
                session.turned.remove(&id);
            }
            for address in peers {
                self.out.push(Effect::Connect(address));
            }
        }
        for device in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.knock_to_return(device);
        }
    }

    /// Knocks at a device for what this one is to get into, as often as it allows.
    pub(crate) fn knock_to_return(&mut self, device: DeviceKey) {
        let (Some(me), Some(session)) = (&self.me, self.sessions.get_mut(&device)) else { return };
        let mut certificate = Writer::new();
        me.certificate.write(&mut certificate);
        for id in self.devices.returns.keys() {
            if session.knocked.contains(id) || session.turned.contains_key(id) {
                continue;
            }
            if !session.returns.take(self.now.instant, KNOCKS_BURST, KNOCKS_EVERY) {
                return self.out.wake_at(self.now.instant + KNOCKS_EVERY);
            }
            session.knocked.insert(*id);
            let certificate = certificate.as_slice().to_vec();
            self.out.send(device, &Frame::Knock(Knock { entity: *id, certificate, proof: Proof::Member }));
        }
    }

    /// This device is in: nothing is left to be done to get there.
    pub(crate) fn returned(&mut self, id: EntityId) {
        let Some(back) = self.devices.returns.remove(&id) else { return };
        // Statements written before this batch are durable before it, so the answer is true.
        let answer = back.asker.and_then(|asker| Some(After::Answer(asker, self.joined_outcome(id)?)));
        self.out.keep(RETURN, &id.0, None, answer.into_iter().collect());
        if !self.is_listed(id) {
            self.remember_entity(id);
        }
    }

    /// Whether the home lists an entity as one that this person is in.
    fn is_listed(&self, id: EntityId) -> bool {
        let home = self.me.as_ref().and_then(|me| self.entities.get(&me.home));
        let live = home.and_then(|home| home.document(&Concern::Home)?.live());
        live.and_then(|live| home::group(&live.document, id)).is_some_and(|group| !group.left)
    }

    // -- by the root's word -------------------------------------------------------------------

    /// Says with the root key that this device is its person's, where it has no place yet.
    pub(crate) fn certify_self(&mut self, id: EntityId) {
        let Some(me) = self.me.as_ref().filter(|me| me.root.is_some()) else { return };
        let Some(entity) = self.entities.get(&id) else { return };
        let member = entity.roster.reading().members.get(&me.person());
        let Some(membership) = member.map(|member| member.membership) else { return };
        let placed = entity.roster.devices_of(&membership);
        if entity.member(me.key()).is_some() || placed.iter().any(|seat| seat.card.key == me.key()) {
            return;
        }
        let body = Body::Certify { device: me.device.card(me.person()) };
        self.state_as_root(id, body, vec![After::Certified(id)]);
    }

    /// The root's word for this device is on disk: whoever gave us the roster hears it, and is
    /// asked for the keys.
    pub(crate) fn certified(&mut self, id: EntityId) {
        let Some(own) = self.own_certification(id) else { return };
        let asked =
            self.sessions.iter().filter(|(_, s)| s.knocked.contains(&id) && !s.turned.contains_key(&id));
        for device in asked.map(|(device, _)| *device).collect::<Vec<_>>() {
            self.send_statements(device, id, vec![own.clone()]);
            if let Some(session) = self.sessions.get_mut(&device) {
                session.knocked.remove(&id);
            }
            self.knock_to_return(device);
        }
    }

    /// The root's word for this device, as it is signed.
    fn own_certification(&self, id: EntityId) -> Option<Vec<u8>> {
        let (me, entity) = (self.me.as_ref()?, self.entities.get(&id)?);
        let own = |id: &StatementId| {
            let body = entity.roster.statement(id).map(crate::roster::Statement::body);
            matches!(body, Some(Body::Certify { device }) if device.key == me.key())
        };
        let id = entity.roster.ids().find(own)?;
        entity.roster.bytes(&id).map(<[u8]>::to_vec)
    }

    // -- letting back in ----------------------------------------------------------------------

    /// A member's device knocks: it gets the keys that it lacks, and the roster.
    pub(crate) fn welcome_back(&mut self, id: EntityId, device: DeviceKey) {
        let Some(entity) = self.entities.get(&id) else { return };
        let current = entity.epoch().map(|(epoch, _)| epoch);
        let lacks = current.is_some_and(|epoch| !entity.roster.knowers(&epoch).contains(&device));
        if let Some(to) = entity.roster.sealing_key(&device).filter(|_| lacks) {
            self.seal_to(id, device, to);
            self.tend(id);
        }
        self.out.write(Vec::new(), vec![After::Welcome(id, device)]);
    }

    /// A device knocks that the root key of a member certified: it gets the roster, and may say
    /// there that it is the member's. One that was revoked gets nothing.
    pub(crate) fn recognise_by_root(&mut self, from: DeviceKey, knock: &Knock) -> Result<(), Turned> {
        let entity = self.entities.get(&knock.entity).ok_or(Turned::NotHere)?;
        let mut reader = Reader::new(&knock.certificate);
        let certificate = Certificate::read(&mut reader).map_err(|_| Turned::BadProof)?;
        reader.finish().map_err(|_| Turned::BadProof)?;
        let person = certificate.person.id();
        let member = entity.roster.reading().members.get(&person);
        let root = DeviceKey(certificate.person.root.0);
        match member {
            Some(member) if member.root == Some(root) => {}
            _ if entity.roster.was_removed(&person) => return Err(Turned::Removed),
            _ => return Err(Turned::NotHere),
        }
        if !certificate.is_by_root() {
            // An older device has yet to certify it here.
            return Err(Turned::NotHere);
        }
        let placed = member.map(|member| entity.roster.devices_of(&member.membership)).unwrap_or_default();
        if placed.iter().any(|seat| seat.card.key == from) {
            return Err(Turned::Removed);
        }
        if certificate.device.key != from || !certificate.is_valid() {
            return Err(Turned::BadProof);
        }
        if let Some(session) = self.sessions.get_mut(&from) {
            session.returning.insert(knock.entity);
        }
        self.welcome(knock.entity, from);
        Ok(())
    }
}

/// Where the other devices of a home may be dialled, to be kept until this one is in.
pub(super) fn way(id: EntityId, peers: &[String]) -> Record {
    let mut writer = Writer::new();
    writer.list(peers, |w, address| {
        w.text(address);
    });
    local(RETURN, &id.0, Some(writer.into_bytes()))
}
