//! Makes a node a device of the person that made a code.
//!
//! The old device makes a code, keeps it in memory for minutes, and lets in the one device that
//! proves it: it certifies it in the home and in every entity, and answers with a certificate.
//! The new device keeps its keys and takes over person and home in one batch, so a crash leaves it
//! one or the other, whole; asking once more with the same keys is answered again.

use std::collections::BTreeSet;

use rand::Rng;

use crate::bytes::{Reader, Writer};
use crate::command::{CommandId, Outcome, Refusal, RefusalCode, Reply};
use crate::effect::Effect;
use crate::identity::{Certificate, DeviceCard, RootSecret, SignatureBytes};
use crate::ids::{DeviceKey, EntityId, VerifyingKey};
use crate::limits::{ADDRESS_BYTES_MAX, DEVICES_MAX, INVITE_ADDRESSES_MAX, LINK_CODES_MAX};
use crate::link::{LinkCode, is_shown};
use crate::me::Me;
use crate::outbox::{After, refusal};
use crate::replicator::Replicator;
use crate::time::{Duration, Instant};
use crate::wire::Frame;

/// How long a code may be used.
const CODE_LASTS: Duration = Duration::from_secs(15 * 60);

/// How long a device looks for the one that made its code, and how often it dials and asks anew.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// How long after a refusal another device may still know the code.
const OTHERS_MAY_KNOW: Duration = Duration::from_secs(2);

/// How often a device may show a code: a burst, then one for each stretch of time. Each may cost
/// a signature check for every open code.
const SHOWS_BURST: u64 = 4;
const SHOWS_EVERY: Duration = Duration::from_secs(4);

/// Codes made here, and the code given here.
#[derive(Debug, Default)]
pub(crate) struct Linking {
    /// The oldest first. At most `limits::LINK_CODES_MAX`.
    offers: Vec<Offer>,
    attempt: Option<Attempt>,
}

/// A code made here.
#[derive(Debug)]
struct Offer {
    key: VerifyingKey,
    until: Instant,
    /// Who used it. Only the same device is answered again.
    used_by: Option<DeviceKey>,
}

/// A code that was given to this node, which looks for the device that made it.
#[derive(Debug)]
struct Attempt {
    asker: CommandId,
    code: LinkCode,
    /// Addresses to dial, from the code and from the command.
    peers: Vec<String>,
    /// Devices that the code was shown to since the last round.
    shown: BTreeSet<DeviceKey>,
    refused: Option<Refusal>,
    next: Instant,
    until: Instant,
}

impl Replicator {
    // -- on the old device --------------------------------------------------------------------

    /// Makes a code.
    pub(super) fn offer_link(&mut self, id: CommandId, addresses: Vec<String>) -> Result<(), Refusal> {
        let Some(me) = &self.me else { return Ok(()) };
        if addresses.len() > INVITE_ADDRESSES_MAX || addresses.iter().any(|a| a.len() > ADDRESS_BYTES_MAX) {
            let message = format!("a code carries at most {INVITE_ADDRESSES_MAX} addresses");
            return Err(refusal(RefusalCode::Usage, message, "give fewer or shorter ones"));
        }
        let (person, home) = (me.person(), me.home);
        let seated = self.entities.get(&home).is_some_and(|e| e.member(me.key()).is_some());
        if !seated {
            let message = "this device is not, or no longer, one of yours";
            return Err(refusal(RefusalCode::NotAllowed, message, "use another of your devices"));
        }
        if !self.may_vouch() {
            let message = "this device was linked through too many others to link one more";
            return Err(refusal(RefusalCode::NotAllowed, message, "use an older device, or the phrase"));
        }
        if !self.has_room_for_devices() {
            let message = format!("you have {DEVICES_MAX} devices already");
            return Err(refusal(RefusalCode::TooMuch, message, "revoke one that you no longer use"));
        }
        let mut secret = [0; 16];
        self.random.fill_bytes(&mut secret);
        let code = LinkCode { person, home, secret, addresses };
        let offers = &mut self.devices.linking.offers;
        if offers.len() >= LINK_CODES_MAX {
            offers.remove(0);
        }
        offers.push(Offer { key: code.key(), until: self.now.instant + CODE_LASTS, used_by: None });
        self.out.answer(id, Outcome::Done(Reply::Link(code)));
        Ok(())
    }

    /// A device shows that it was given a code.
    pub(crate) fn code_shown(&mut self, from: DeviceKey, home: EntityId, card: &[u8], signature: &[u8]) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.link_shows.take(self.now.instant, SHOWS_BURST, SHOWS_EVERY) {
            return self.blame(from, "shows codes too often");
        }
        match self.link(from, home, card, signature) {
            // Written after all its statements, so durable after them.
            Some(certificate) => {
                self.out.write(Vec::new(), vec![After::Linked { to: from, home, certificate }]);
            }
            None => self.out.send(from, &Frame::Linked { home, certificate: Vec::new() }),
        }
    }

    /// Makes the device one of this person's, if the code is open; gives its certificate.
    fn link(&mut self, from: DeviceKey, home: EntityId, card: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
        let now = self.now.instant;
        self.devices.linking.offers.retain(|offer| offer.until > now);
        let me = self.me.as_ref().filter(|me| me.home == home)?;
        self.entities.get(&home)?.member(me.key())?;
        let mut reader = Reader::new(card);
        let card = DeviceCard::read(&mut reader).ok()?;
        reader.finish().ok()?;
        let signature: SignatureBytes = signature.try_into().ok()?;
        let person = me.person();
        if card.key != from || from == me.key() {
            return None;
        }
        let offers = &mut self.devices.linking.offers;
        let mut usable = offers.iter_mut().filter(|offer| offer.used_by.is_none_or(|by| by == from));
        let offer = usable.find(|offer| is_shown(offer.key, home, &card, &signature))?;
        if !card.is_bound_to(person) {
            return None;
        }
        offer.used_by = Some(from);
        // A key that was revoked stays so: a device that comes back begins with new keys.
        let known = self.home_devices().into_iter().find(|seat| seat.card.key == from);
        if known.as_ref().is_some_and(|seat| !seat.active) {
            return None;
        }
        let certificate = self.vouch(&card)?;
        if known.is_none() {
            if !self.has_room_for_devices() || !self.certify(home, &card) {
                return None;
            }
            self.tend(home);
        }
        let mut writer = Writer::new();
        certificate.write(&mut writer);
        Some(writer.into_bytes())
    }

    /// The certificate of another device: by the root where it is here, else by this device.
    fn vouch(&self, card: &DeviceCard) -> Option<Certificate> {
        let me = self.me.as_ref()?;
        match &me.root {
            Some(root) => Some(root.certify(me.certificate.person.nonce, card)),
            None => me.certificate.extend(&me.device, card),
        }
    }

    /// Whether this device could give another one a certificate.
    fn may_vouch(&self) -> bool {
        self.me.as_ref().is_some_and(|me| self.vouch(&me.certificate.device).is_some())
    }

    fn has_room_for_devices(&self) -> bool {
        self.home_devices().iter().filter(|seat| seat.active).count() < DEVICES_MAX
    }

    // -- on the new device --------------------------------------------------------------------

    /// Begins to look for the device that made a code.
    pub(super) fn begin_link(
        &mut self,
        id: CommandId,
        code: LinkCode,
        peers: Vec<String>,
    ) -> Result<(), Refusal> {
        let Some(me) = &self.me else { return Ok(()) };
        if me.person() == code.person {
            return Err(refusal(RefusalCode::Usage, "this device is that person's already", ""));
        }
        self.check_unused()?;
        if self.devices.linking.attempt.is_some() {
            let message = "this device is being linked already";
            return Err(refusal(RefusalCode::Pending, message, "wait until that is done"));
        }
        let mut all = code.addresses.clone();
        all.extend(peers);
        all.truncate(2 * INVITE_ADDRESSES_MAX);
        let now = self.now.instant;
        self.devices.linking.attempt = Some(Attempt {
            asker: id,
            code,
            peers: all,
            shown: BTreeSet::new(),
            refused: None,
            next: now,
            until: now + GIVE_UP_AFTER,
        });
        self.try_link();
        Ok(())
    }

    /// Refuses while this device is being linked: it may be another person's by now, who has told
    /// its groups so, and must be in no group of its own then.
    pub(crate) fn check_not_linking(&self) -> Result<(), Refusal> {
        match self.devices.linking.attempt {
            None => Ok(()),
            Some(_) => {
                let message = "this device is being linked to a person";
                Err(refusal(RefusalCode::Pending, message, "wait until that is done, or has failed"))
            }
        }
    }

    /// Dials and shows the code again where its turn has come, or gives up.
    pub(crate) fn try_link(&mut self) {
        let now = self.now.instant;
        let Some(attempt) = &mut self.devices.linking.attempt else { return };
        if attempt.until <= now {
            let nobody = || {
                let hint = "check that the other device runs and can be reached, then make a new code";
                refusal(RefusalCode::NotFound, "the device that made the code could not be reached", hint)
            };
            let why = attempt.refused.take().unwrap_or_else(nobody);
            return self.end_link(why);
        }
        let due = attempt.next <= now;
        if due {
            attempt.next = now + RETRY_EVERY;
            attempt.shown.clear();
        }
        self.out.wake_at(attempt.next.min(attempt.until));
        if due {
            for address in attempt.peers.clone() {
                self.out.push(Effect::Connect(address));
            }
            for device in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.show_code(device);
            }
        }
    }

    /// Shows the code that was given here to a device, which may be the one that made it.
    pub(crate) fn show_code(&mut self, device: DeviceKey) {
        let (Some(me), Some(attempt)) = (&self.me, &mut self.devices.linking.attempt) else { return };
        if !attempt.shown.insert(device) {
            return;
        }
        let card = me.device.card(attempt.code.person);
        let signature = attempt.code.sign_card(&card).to_vec();
        let mut writer = Writer::new();
        card.write(&mut writer);
        self.out.send(device, &Frame::Link { home: attempt.code.home, card: writer.into_bytes(), signature });
    }

    /// A device answers to the code.
    pub(crate) fn linked(&mut self, from: DeviceKey, home: EntityId, certificate: &[u8]) {
        let now = self.now.instant;
        let asked = |attempt: &&mut Attempt| attempt.code.home == home && attempt.shown.contains(&from);
        let Some(attempt) = self.devices.linking.attempt.as_mut().filter(asked) else {
            return self.drop_counted("an answer to no code");
        };
        if certificate.is_empty() {
            // Whether it is the device that made the code cannot be known.
            let hint = "a code may be used once and for a quarter of an hour; make a new one";
            let message = "the code is not open on the device that was reached";
            attempt.refused = Some(refusal(RefusalCode::NotAllowed, message, hint));
            attempt.until = attempt.until.min(now + OTHERS_MAY_KNOW);
            return self.out.wake_at(attempt.until);
        }
        let person = attempt.code.person;
        let own = self.me.as_ref().map(|me| me.device.card(person));
        let mut reader = Reader::new(certificate);
        let read = Certificate::read(&mut reader).ok().filter(|_| reader.finish().is_ok());
        let meant = read.filter(|c| Some(&c.device) == own.as_ref() && c.person.id() == person);
        let Some(certificate) = meant.filter(Certificate::is_valid) else {
            return self.blame(from, "a certificate that does not hold");
        };
        if let Err(why) = self.check_unused() {
            return self.end_link(why);
        }
        let Some(attempt) = self.devices.linking.attempt.take() else { return };
        let answer = After::Answer(attempt.asker, Outcome::Done(Reply::Ok));
        self.become_device(certificate, None, home);
        let mine = self.me.as_ref().map(Me::record);
        self.out.write(mine.into_iter().collect(), vec![answer]);
        self.return_to(home, None, attempt.peers);
    }

    /// Whoever waits for this attempt waits no longer.
    pub(crate) fn stop_linking(&mut self, asker: CommandId) {
        if self.devices.linking.attempt.as_ref().is_some_and(|attempt| attempt.asker == asker) {
            self.end_link(refusal(RefusalCode::Pending, "linking was given up", "try again"));
        }
    }

    fn end_link(&mut self, why: Refusal) {
        if let Some(attempt) = self.devices.linking.attempt.take() {
            self.out.refuse(attempt.asker, why);
        }
    }

    /// Takes over person and home, in memory; the caller writes it in one batch. The home before
    /// is passed over at the next opening, since it is not the one that the identity names.
    pub(super) fn become_device(
        &mut self,
        certificate: Certificate,
        root: Option<RootSecret>,
        home: EntityId,
    ) {
        let Some(me) = &mut self.me else { return };
        let before = std::mem::replace(&mut me.home, home);
        me.certificate = certificate;
        me.root = root;
        me.name = String::new();
        let person = me.person();
        if before != home {
            self.forget_entity(before);
        }
        self.names.want_first(person.0, &mut self.out);
    }

    /// Forgets an entity in memory.
    fn forget_entity(&mut self, id: EntityId) {
        let Some(mut entity) = self.entities.remove(&id) else { return };
        for topic in entity.topics.keys() {
            self.out.push(Effect::Unsubscribe(*topic));
        }
        for asker in entity.forget_unwritten() {
            let message = "this device became another person's meanwhile";
            self.out.refuse(asker, refusal(RefusalCode::Pending, message, "try again"));
        }
        for session in self.sessions.values_mut() {
            session.forget(&id);
        }
        self.changed.remove(&id);
    }
}
