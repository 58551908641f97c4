//! Lets others in: by an invite, because an admin decided so, or because they are a member's.
//!
//! A member checks what is shown, signs the admission where one is needed, seals the keys and
//! answers with the roster. What costs a signature check comes after what does not.

use std::collections::BTreeSet;

use super::RETRY_FIRST;
use crate::bytes::Reader;
use crate::entity::Entity;
use crate::identity::{Certificate, SignatureBytes};
use crate::ids::{DeviceKey, EntityId, PersonId, VerifyingKey};
use crate::outbox::After;
use crate::replicator::Replicator;
use crate::request::Request;
use crate::requests::Unkept;
use crate::roster::invite::is_accepted;
use crate::roster::{Body, Role};
use crate::time::Duration;
use crate::wire::{Frame, Knock, Proof, Turned};

/// How often a device may knock: a burst, then one for each stretch of time. Joiners knock once in
/// `RETRY_FIRST` at most, and each knock may cost signatures.
const KNOCKS_BURST: u64 = 8;
const KNOCKS_EVERY: Duration = RETRY_FIRST;

impl Replicator {
    /// Somebody knocks.
    pub(crate) fn knocked(&mut self, from: DeviceKey, knock: &Knock) {
        let entity = knock.entity;
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.knocks.take(self.now.instant, KNOCKS_BURST, KNOCKS_EVERY) {
            return self.blame(from, "knocks too often");
        }
        match self.admit(from, knock) {
            Ok(()) => {}
            Err(why) => self.out.send(from, &Frame::Turned { entity, why }),
        }
    }

    fn admit(&mut self, from: DeviceKey, knock: &Knock) -> Result<(), Turned> {
        let id = knock.entity;
        let me = self.me.as_ref().ok_or(Turned::NotHere)?;
        let entity = self.entities.get(&id).ok_or(Turned::NotHere)?;
        if !entity.may_write(me.key()) {
            // Who can only read lets nobody in, but gives a member that lost its home the roster back.
            let are_in = [me.key(), from].iter().all(|device| entity.member(*device).is_some());
            if !are_in {
                return Err(Turned::NotHere);
            }
            self.welcome(id, from);
            return Ok(());
        }
        if entity.epoch().is_none() {
            // Soon there is one: the joiner knocks again.
            return Ok(());
        }
        if entity.member(from).is_some() {
            self.give_entry(from, id);
            return Ok(());
        }
        match &knock.proof {
            Proof::Invite { invite, signature } => self.admit_invited(from, knock, *invite, signature),
            Proof::Request(request) => self.admit_asking(from, knock, request),
            Proof::Member => self.admit_returning(from, knock),
        }
    }

    fn admit_invited(
        &mut self,
        from: DeviceKey,
        knock: &Knock,
        key: [u8; 32],
        signature: &[u8],
    ) -> Result<(), Turned> {
        let id = knock.entity;
        let entity = self.entities.get(&id).ok_or(Turned::NotHere)?;
        let invite = entity.roster.invite(&VerifyingKey(key)).filter(|invite| invite.open);
        let invite = invite.ok_or(Turned::NoInvite)?;
        if invite.expires < self.now.wall {
            return Err(Turned::Expired);
        }
        if invite.used >= invite.uses {
            return Err(Turned::UsedUp);
        }
        let (certificate, signature) = proven(from, knock, key, signature).ok_or(Turned::BadProof)?;
        let person = certificate.person.id();
        if entity.roster.reading().is_member(&person) {
            return Err(Turned::BadProof);
        }
        if entity.roster.was_removed(&person) {
            return Err(Turned::Removed);
        }
        let sealing = certificate.device.sealing;
        let body = Body::AcceptInvite { invite: invite.statement, certificate, signature };
        if self.can_let_in(id) {
            // What cannot be yet is not refused: the joiner knocks again.
            self.let_in(id, body, (from, sealing), vec![After::Welcome(id, from)]);
        }
        Ok(())
    }

    /// Somebody asks to be let in: an admin decides, now or later.
    fn admit_asking(&mut self, from: DeviceKey, knock: &Knock, bytes: &[u8]) -> Result<(), Turned> {
        let id = knock.entity;
        let request = Request::read(bytes).map_err(|_| Turned::BadProof)?;
        let is_own = request.device() == from && request.entity == id;
        if !is_own || certificate_of(knock).as_ref() != Some(&request.certificate) {
            return Err(Turned::BadProof);
        }
        let entity = self.entities.get(&id).ok_or(Turned::NotHere)?;
        if entity.roster.reading().is_member(&request.person()) {
            return self.admit_returning(from, knock);
        }
        match self.weigh_request(id, &request) {
            Ok(()) => {
                self.keep_request(id, request, Some(from), vec![After::Turned(id, from, Turned::Asked)]);
                Ok(())
            }
            Err(Unkept::Known | Unkept::Older) => Err(Turned::Asked),
            Err(Unkept::Denied) => Err(Turned::Denied),
            Err(Unkept::Untimely) => Err(Turned::Expired),
            Err(Unkept::Full) => Err(Turned::TooMany),
            Err(Unkept::Forged) => Err(Turned::BadProof),
        }
    }

    /// A device that the root key of a member vouches for, and that the roster does not know yet:
    /// it gets the roster, and may bring the statement that makes it the member's.
    fn admit_returning(&mut self, from: DeviceKey, knock: &Knock) -> Result<(), Turned> {
        let id = knock.entity;
        let certificate = certificate_of(knock).filter(|certificate| certificate.device.key == from);
        let certificate = certificate.ok_or(Turned::BadProof)?;
        let person = certificate.person.id();
        let entity = self.entities.get(&id).ok_or(Turned::NotHere)?;
        let standing = Standing::of(entity, from, person);
        if standing == Standing::Stranger {
            return Err(Turned::NotHere);
        }
        if !certificate.is_by_root() {
            // An older device vouches for it, which has yet to say so here.
            return Err(Turned::NotHere);
        }
        if !certificate.is_valid() {
            return Err(Turned::BadProof);
        }
        if standing == Standing::Ended {
            return Err(Turned::Removed);
        }
        if let Some(session) = self.sessions.get_mut(&from) {
            session.returning.insert(id, person);
        }
        self.welcome(id, from);
        Ok(())
    }

    /// Whether a device has shown that it may become a member's, and still may.
    pub(crate) fn is_returning(&self, from: DeviceKey, id: EntityId) -> bool {
        let person = self.sessions.get(&from).and_then(|session| session.returning.get(&id));
        let entity = self.entities.get(&id);
        person
            .zip(entity)
            .is_some_and(|(person, entity)| Standing::of(entity, from, *person) == Standing::Returns)
    }

    /// Statements came from a returning device: if they make it a member's, it gets the keys.
    pub(crate) fn let_in_returned(&mut self, from: DeviceKey, id: EntityId) {
        let returned = self.sessions.get(&from).is_some_and(|session| session.returning.contains_key(&id));
        if returned && self.entities.get(&id).is_some_and(|entity| entity.member(from).is_some()) {
            if let Some(session) = self.sessions.get_mut(&from) {
                session.returning.remove(&id);
            }
            self.give_entry(from, id);
        }
    }

    /// Gives a member's device what it needs to be in: a key to ask for the others by, and the
    /// roster.
    fn give_entry(&mut self, device: DeviceKey, id: EntityId) {
        self.give_first_key(device, id);
        self.welcome(id, device);
    }

    /// A joiner's admission is on disk: it gets the roster.
    pub(crate) fn welcome(&mut self, id: EntityId, device: DeviceKey) {
        if let Some(entity) = self.entities.get(&id) {
            let all = entity.statements_lacking(&BTreeSet::new());
            self.send_statements(device, id, all);
        }
    }

    /// Whether this device may make invites with a role.
    pub(crate) fn may_invite(&self, id: EntityId, role: Role) -> bool {
        let me = self.me.as_ref().map(|me| me.key());
        let actor = me.and_then(|me| self.entities.get(&id)?.member(me));
        actor.is_some_and(|a| a.role >= Role::Admin && a.role >= role)
    }
}

/// How a device stands that its person's root key vouches for and that is no member's yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its person is none of the members.
    Stranger,
    /// Its person was removed, or the device or the root key was revoked.
    Ended,
    /// It may become a device of its person, who is in.
    Returns,
}

impl Standing {
    fn of(entity: &Entity, device: DeviceKey, person: PersonId) -> Standing {
        let roster = &entity.roster;
        match roster.reading().members.get(&person) {
            Some(member) if member.root.is_some() && !roster.was_revoked(&device) => Standing::Returns,
            Some(_) => Standing::Ended,
            None if roster.was_removed(&person) => Standing::Ended,
            None => Standing::Stranger,
        }
    }
}

/// The certificate of a knock; no signature is checked.
fn certificate_of(knock: &Knock) -> Option<Certificate> {
    let mut reader = Reader::new(&knock.certificate);
    let certificate = Certificate::read(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(certificate)
}

/// The certificate of a knock, if it is the knocking device's own and the invite key signed it.
fn proven(
    from: DeviceKey,
    knock: &Knock,
    invite: [u8; 32],
    signature: &[u8],
) -> Option<(Certificate, SignatureBytes)> {
    let certificate = certificate_of(knock)?;
    let signature = signature.try_into().ok()?;
    let signed = || is_accepted(VerifyingKey(invite), knock.entity, &certificate, &signature);
    let holds = certificate.device.key == from && signed() && certificate.is_valid();
    holds.then_some((certificate, signature))
}
