//! What a device shows of its person at the moment, sealed: layout, and what is kept of others.
//!
//! `sharing` sends and takes it. Only members' devices that are connected are shown it, under the
//! epoch key that no one else has. Invariant: it is bounded, it ends by itself after some seconds,
//! and nothing of it reaches the disk. Format: docs/PROTOCOL.md, section 6.

mod sharing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::CryptoRng;

use crate::bytes::{Malformed, Reader, Writer};
use crate::command::{Presence, Scene};
use crate::epoch::EpochKey;
use crate::ids::{DeviceKey, EntityId, StatementId};
use crate::limits::{PRESENCE_BYTES_MAX, PRESENCE_PLACES_MAX, PRESENCE_SELECTED_MAX};
use crate::schema::field::Number;
use crate::schema::thing::ThingId;
use crate::time::{Duration, Instant};
use crate::wire::Sealed;

const SEALED: &[u8] = b"fourword v1 presence";
const NONCE_BYTES: usize = 24;
const VERSION: u8 = 1;

/// How often a device shows itself at most: ten times a second, which looks like moving.
const SHOW_EVERY: Duration = Duration(100);

/// How often a peer may show itself: what gathered on the way comes at once, and clocks differ.
const SHOWN_BURST: u64 = 20;
const SHOWN_EVERY: Duration = Duration(80);

/// How long one is seen that shows itself no more.
const SEEN_FOR: Duration = Duration::from_secs(10);

/// Where somebody is: the entity or child, and what of it.
type Where = (EntityId, Scene);

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// The upper half is drawn when the node starts, the lower counts: of two of one start the
    /// greater was said later, whichever comes first.
    pub number: u64,
    /// Of which entity: the one whose roster counts, or a child of it.
    pub place: EntityId,
    /// Where in it.
    pub scene: Scene,
    /// What it does there; `None` once it is gone.
    pub presence: Option<Presence>,
}

/// Why nothing is known by what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It does not open, or is not laid out as agreed: no honest device sends it.
    Hostile,
    /// It is of a later version.
    Newer,
}

impl Saying {
    /// Seals it for all who have the key of an epoch, as what `from` says.
    pub fn seal(
        &self,
        entity: EntityId,
        (epoch, key): (StatementId, &EpochKey),
        from: DeviceKey,
        random: &mut impl CryptoRng,
    ) -> Option<Sealed> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill_bytes(&mut nonce);
        let content = self.write();
        let payload = Payload { msg: &content, aad: &associated(entity, epoch, key, from) };
        let cipher = XChaCha20Poly1305::new(key.bytes().into());
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(Sealed { entity, epoch, nonce, sealed })
    }

    /// Opens what came from this device under the key of its epoch.
    pub fn open(sealed: &Sealed, key: &EpochKey, from: DeviceKey) -> Result<Saying, Unread> {
        if sealed.sealed.len() > PRESENCE_BYTES_MAX {
            return Err(Unread::Hostile);
        }
        let aad = associated(sealed.entity, sealed.epoch, key, from);
        let payload = Payload { msg: &sealed.sealed, aad: &aad };
        let cipher = XChaCha20Poly1305::new(key.bytes().into());
        let content = cipher.decrypt(&XNonce::from(sealed.nonce), payload).map_err(|_| Unread::Hostile)?;
        match content.first() {
            Some(&VERSION) => Saying::read(&content).map_err(|_| Unread::Hostile),
            Some(version) if *version > VERSION => Err(Unread::Newer),
            _ => Err(Unread::Hostile),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).u64(self.number).raw(&self.place.0);
        writer.u8(match self.scene {
            Scene::Canvas => 1,
            Scene::Chat => 2,
        });
        writer.u8(u8::from(self.presence.is_some()));
        if let Some(Presence::Pointing { at, selected }) = &self.presence {
            writer.u8(u8::from(at.is_some()));
            for number in at.iter().flat_map(|(across, down)| [across, down]) {
                writer.u64(number.get().to_bits());
            }
            writer.list(selected, |writer, id| {
                writer.raw(&id.owner).raw(&id.random);
            });
        }
        writer.into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Saying, Malformed> {
        let mut reader = Reader::new(bytes);
        let _version = reader.u8()?;
        let (number, place) = (reader.u64()?, EntityId(reader.array()?));
        let scene = match reader.u8()? {
            1 => Scene::Canvas,
            2 => Scene::Chat,
            _ => return Err(Malformed),
        };
        let presence = match (flag(&mut reader)?, scene) {
            (false, _) => None,
            (true, Scene::Chat) => Some(Presence::Typing),
            (true, Scene::Canvas) => {
                let at = match flag(&mut reader)? {
                    true => Some((coordinate(&mut reader)?, coordinate(&mut reader)?)),
                    false => None,
                };
                let selected = reader.list(PRESENCE_SELECTED_MAX, |reader| {
                    Ok(ThingId { owner: reader.array()?, random: reader.array()? })
                })?;
                Some(Presence::Pointing { at, selected })
            }
        };
        reader.finish()?;
        Ok(Saying { number, place, scene, presence })
    }
}

/// What a seal binds: nobody can show what another said as its own, or elsewhere.
fn associated(entity: EntityId, epoch: StatementId, key: &EpochKey, from: DeviceKey) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(SEALED).raw(&entity.0).raw(&epoch.0).raw(&from.0);
    key.associated(writer.as_slice())
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn coordinate(reader: &mut Reader<'_>) -> Result<Number, Malformed> {
    let bits = reader.u64()?;
    let number = Number::new(f64::from_bits(bits)).ok_or(Malformed)?;
    if number.get().to_bits() == bits { Ok(number) } else { Err(Malformed) }
}

/// What this device shows of its person, and what it must tell listeners of others.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// By place, with when it ends. What is gone stays until it was said.
    shown: BTreeMap<Where, Mine>,
    /// The number of what was said last.
    number: u64,
    /// When the next may be said.
    free_at: Instant,
    /// Where others came, moved or went, which listeners were not told yet.
    changed: BTreeSet<EntityId>,
    /// When they may be told.
    tell_at: Instant,
}

#[derive(Debug)]
struct Mine {
    presence: Option<Presence>,
    /// Since when it waits to be said; `None` once it was.
    waits: Option<Instant>,
    ends: Instant,
}

impl Own {
    /// Notes what the person does somewhere: the newest counts. What was said longest ago gives way.
    fn show(&mut self, at: Where, presence: Option<Presence>, now: Instant) {
        self.shown.retain(|_, mine| mine.ends > now);
        if !self.shown.contains_key(&at) && self.shown.len() >= PRESENCE_PLACES_MAX {
            let oldest = self.shown.iter().min_by_key(|(_, mine)| mine.ends).map(|(at, _)| *at);
            oldest.map(|oldest| self.shown.remove(&oldest));
        }
        let waits = self.shown.get(&at).and_then(|mine| mine.waits).unwrap_or(now);
        self.shown.insert(at, Mine { presence, waits: Some(waits), ends: now + SEEN_FOR });
    }

    /// What has waited longest to be said.
    fn next(&self) -> Option<Where> {
        let waiting = self.shown.iter().filter_map(|(at, mine)| Some((mine.waits?, *at)));
        waiting.min().map(|(_, at)| at)
    }

    /// Takes out what is said now.
    fn say(&mut self, at: Where, salt: u32) -> Option<Saying> {
        let mine = self.shown.get_mut(&at)?;
        mine.waits = None;
        let presence = mine.presence.clone();
        if presence.is_none() {
            self.shown.remove(&at);
        }
        let count = (self.number & u64::from(u32::MAX)).wrapping_add(1) & u64::from(u32::MAX);
        if self.number == 0 || count == 0 {
            self.number = u64::from(salt) << 32;
        }
        self.number = (self.number & !u64::from(u32::MAX)) | count;
        Some(Saying { number: self.number, place: at.0, scene: at.1, presence })
    }
}

/// What one connected device shows.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    shown: BTreeMap<Where, Theirs>,
}

#[derive(Debug)]
struct Theirs {
    number: u64,
    /// `None` where it went: kept as long, so that nothing older brings it back.
    presence: Option<Presence>,
    ends: Instant,
}

impl Seen {
    /// Takes what a device says of itself. False if that is old, or it is at too many places.
    fn take(&mut self, saying: Saying, now: Instant) -> bool {
        self.forget(now);
        let at = (saying.place, saying.scene);
        let is_old =
            |before: &Theirs| before.number >> 32 == saying.number >> 32 && saying.number <= before.number;
        match self.shown.get(&at) {
            Some(before) if is_old(before) => return false,
            None if self.shown.len() >= PRESENCE_PLACES_MAX => return false,
            _ => {}
        }
        let theirs = Theirs { number: saying.number, presence: saying.presence, ends: now + SEEN_FOR };
        self.shown.insert(at, theirs);
        true
    }

    /// Forgets what is over, and says where that was.
    fn forget(&mut self, now: Instant) -> Vec<EntityId> {
        let over = self.shown.extract_if(.., |_, theirs| theirs.ends <= now);
        over.filter(|(_, theirs)| theirs.presence.is_some()).map(|((place, _), _)| place).collect()
    }

    /// When the first of it is over.
    fn ends(&self) -> Option<Instant> {
        self.shown.values().map(|theirs| theirs.ends).min()
    }

    /// What it shows at a place, and where it shows anything.
    fn at(&self, place: EntityId, now: Instant) -> impl Iterator<Item = &Presence> {
        let here = self.shown.iter().filter(move |((at, _), theirs)| *at == place && theirs.ends > now);
        here.filter_map(|(_, theirs)| theirs.presence.as_ref())
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = EntityId> {
        self.shown.iter().filter(|(_, theirs)| theirs.presence.is_some()).map(|((place, _), _)| *place)
    }

    /// At how many places it is held to be.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }
}
