//! The devices of one person: shown, added by a code, revoked. The home's roster says which.
//!
//! `linking` makes another node one of them, `mirroring` makes every group follow the home,
//! `returning` gets this device into what the home lists, `recovering` brings a person back from
//! its phrase. Invariant: whatever is stated here counts, or is refused before it is signed.

mod linking;
mod mirroring;
mod recovering;
mod returning;

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{CommandId, DeviceCommand, DeviceView, Outcome, Refusal, RefusalCode, Reply};
use crate::ids::{DeviceKey, EntityId, StatementId};
use crate::outbox::{After, refusal};
use crate::replicator::Replicator;
use crate::roster::SeatView;
use crate::schema::home::ReadMarker;

pub(crate) use linking::Linking;
pub(crate) use recovering::SEEKS_HOME;

/// What this node remembers of its person's devices besides the rosters, in this run.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// Codes that were made here, and the one that was given here.
    pub(crate) linking: Linking,
    /// The home changed since groups were compared with it.
    pub(crate) home_changed: bool,
    /// This device came back by the phrase and has a home of its own: it looks for that of the
    /// devices before it.
    pub(crate) seeks_home: bool,
    /// How far this device has seen that chats were read, by their keys in the home.
    pub(crate) read: BTreeMap<String, ReadMarker>,
}

impl Replicator {
    pub(crate) fn ask_devices(&mut self, id: CommandId, command: DeviceCommand) -> Result<(), Refusal> {
        match command {
            DeviceCommand::List => {
                let views = self.device_views();
                self.out.answer(id, Outcome::Done(Reply::Devices(views)));
                Ok(())
            }
            DeviceCommand::Add { addresses } => self.offer_link(id, addresses),
            DeviceCommand::Link { code, peers } => self.begin_link(id, code, peers),
            DeviceCommand::Revoke { device } => self.revoke_device(id, &device),
            DeviceCommand::Recover { phrase, peers } => self.recover(id, &phrase, peers),
        }
    }

    /// Every device that the home has or had, senior to junior; none while the home is not here.
    pub(crate) fn home_devices(&self) -> Vec<SeatView> {
        let home = self.me.as_ref().and_then(|me| self.entities.get(&me.home));
        // A home has one membership: that of its genesis.
        home.map(|home| home.roster.devices_of(&StatementId(home.id.0))).unwrap_or_default()
    }

    /// Every device of this person: of the home, then those that only groups have. These are left
    /// from before a recovery, and revoked if the home says so or no group has them any more.
    fn own_devices(&self) -> Vec<SeatView> {
        let mut devices = self.home_devices();
        let Some(me) = &self.me else { return devices };
        let revoked = self.revoked_at_home();
        for entity in self.entities.values().filter(|e| e.id != me.home) {
            let Some(membership) = entity.roster.membership_of(&me.key()) else { continue };
            for mut seat in entity.roster.devices_of(&membership) {
                seat.active &= !revoked.contains(&seat.card.key);
                match devices.iter_mut().find(|known| known.card.key == seat.card.key) {
                    Some(known) => known.active |= seat.active && !revoked.contains(&seat.card.key),
                    None => devices.push(seat),
                }
            }
        }
        devices
    }

    /// Keys that the home revokes, and has not as a device.
    pub(crate) fn revoked_at_home(&self) -> BTreeSet<DeviceKey> {
        let Some(me) = &self.me else { return BTreeSet::new() };
        let home = self.entities.get(&me.home);
        let mut revoked = home.map(|home| home.roster.revoked_of(&me.person())).unwrap_or_default();
        for seat in self.home_devices().iter().filter(|seat| seat.active) {
            revoked.remove(&seat.card.key);
        }
        revoked
    }

    fn device_views(&self) -> Vec<DeviceView> {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return Vec::new() };
        let view = |seat: SeatView| {
            let device = seat.card.key;
            DeviceView {
                device,
                here: device == me,
                online: device == me || self.sessions.contains_key(&device),
                revoked: !seat.active,
                certified_by: seat.certified_by,
            }
        };
        self.own_devices().into_iter().map(view).collect()
    }

    /// Whether this node may become a device of another person: its own is in nothing yet, and
    /// nothing is being made or joined in its name.
    pub(crate) fn check_unused(&self) -> Result<(), Refusal> {
        let home = self.me.as_ref().map(|me| me.home);
        let entered = self.entities.values().any(|e| Some(e.id) != home && e.secret.is_some());
        let shared = self.home_devices().len() > 1;
        let joining = !self.joins.is_empty() || !self.seeks.is_empty();
        if entered || shared || joining || !self.minting.is_empty() {
            return Err(refusal(
                RefusalCode::NotAllowed,
                "this node's own person is in use already",
                "only a node that is in no group, joins none and has no other device can become another's",
            ));
        }
        Ok(())
    }

    // -- revoking -----------------------------------------------------------------------------

    fn revoke_device(&mut self, id: CommandId, named: &str) -> Result<(), Refusal> {
        let key = self.device_named(named)?;
        let Some((me, home)) = self.me.as_ref().map(|me| (me.key(), me.home)) else { return Ok(()) };
        if key == me {
            return Err(refusal(
                RefusalCode::NotAllowed,
                "this is the device you are at",
                "revoke it from another of your devices, or recover with the phrase on a new one",
            ));
        }
        let recorded = self.revoked_at_home().contains(&key);
        if recorded && !self.entities.keys().any(|entity| self.is_active(*entity, key)) {
            return Err(refusal(RefusalCode::NotFound, "that device is revoked already", ""));
        }
        let ended = if self.is_active(home, key) {
            self.end_device(home, key).ok_or_else(too_senior)?;
            true
        } else {
            // One that only groups have. The home remembers it, for those not come back to yet.
            recorded || self.note_ended(home, key)
        };
        if !ended {
            let message = "this device is not, or no longer, one of yours";
            return Err(refusal(RefusalCode::NotAllowed, message, "use another of your devices"));
        }
        // All entities follow, and open the next epoch, which the device gets no key to.
        self.tend(home);
        let remains = self.entities.keys().any(|entity| self.is_active(*entity, key));
        let outcome = if remains { Outcome::Refused(senior_somewhere()) } else { Outcome::Done(Reply::Ok) };
        // Written after all the statements, so durable after them.
        self.out.write(Vec::new(), vec![After::Answer(id, outcome)]);
        Ok(())
    }

    /// The device of this person that the first digits of its key name.
    fn device_named(&self, named: &str) -> Result<DeviceKey, Refusal> {
        let digits = named.trim().to_lowercase();
        let devices = self.own_devices();
        let hint = "`fourword device list` shows the keys";
        let named_so =
            |seat: &&SeatView| !digits.is_empty() && seat.card.key.to_string().starts_with(&digits);
        let mut fitting = devices.iter().filter(named_so).map(|seat| seat.card.key);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => {
                let message = format!("several of your devices begin with \"{named}\"");
                Err(refusal(RefusalCode::Usage, message, "give more digits of the key"))
            }
            (None, _) => {
                let message = format!("none of your devices begins with \"{named}\"");
                Err(refusal(RefusalCode::NotFound, message, hint))
            }
        }
    }

    /// Whether a device of this person is one in an entity that this device is in too.
    fn is_active(&self, entity: EntityId, key: DeviceKey) -> bool {
        let Some(me) = &self.me else { return false };
        let person = |entity: &crate::entity::Entity, key| entity.member(key).map(|actor| actor.person);
        self.entities
            .get(&entity)
            .is_some_and(|e| person(e, me.key()) == Some(me.person()) && person(e, key) == Some(me.person()))
    }
}

fn too_senior() -> Refusal {
    refusal(
        RefusalCode::NotAllowed,
        "that device is senior to this one, so it cannot be revoked from here",
        "revoke it from a device that is older, or recover with the phrase, which outranks all devices",
    )
}

fn senior_somewhere() -> Refusal {
    refusal(
        RefusalCode::NotAllowed,
        "the device is revoked, but not in groups that were entered through it",
        "there only the phrase outranks it: recover with it on a new device and revoke once more",
    )
}
