//! Shows members what this person does at the moment, and this person what they do.
//!
//! What is shown goes to each connected member's device by itself, at most ten times a second in
//! all: what changes faster is skipped, the newest counts. Invariant: where nobody is connected
//! nothing is sealed or sent, and what somebody shows is taken only while it is a member.

use rand::Rng;

use super::{Own, SEEN_FOR, SHOW_EVERY, SHOWN_BURST, SHOWN_EVERY, Saying, Scene, Unread};
use crate::asking::unknown;
use crate::command::{CommandId, Notice, Outcome, Presence, PresentView, Refusal, RefusalCode, Reply};
use crate::ids::{DeviceKey, EntityId};
use crate::limits::PRESENCE_SELECTED_MAX;
use crate::outbox::refusal;
use crate::replicator::Replicator;
use crate::roster::Role;
use crate::views::shown_names;
use crate::wire::{Frame, Sealed};
use crate::words::FourWords;

impl Replicator {
    // -- what is asked ------------------------------------------------------------------------

    /// Shows what this person does somewhere, or that it does so no more.
    pub(crate) fn ask_show(
        &mut self,
        id: CommandId,
        words: FourWords,
        scene: Scene,
        presence: Option<Presence>,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let (entity, concern) = (entity.id, scene.concern());
        if self.entities.get(&entity).and_then(|entity| entity.document(place, &concern)).is_none() {
            let message = format!("{words} has no {}", concern.name());
            return Err(refusal(RefusalCode::NotFound, message, ""));
        }
        if let Some(Presence::Pointing { selected, .. }) = &presence
            && selected.len() > PRESENCE_SELECTED_MAX
        {
            let message = format!("at most {PRESENCE_SELECTED_MAX} selected elements are shown");
            return Err(refusal(RefusalCode::TooMuch, message, "show some of them"));
        }
        let actor = self.actor(entity).ok_or_else(|| self.not_in(entity, words))?;
        if scene == Scene::Chat && actor.role <= Role::Viewer {
            let hint = "ask an owner or admin for the role of a member";
            return Err(refusal(RefusalCode::NotAllowed, "a viewer writes no messages", hint));
        }
        self.presence.show((place, scene), presence, self.now.instant);
        self.tend_presence();
        self.out.answer(id, Outcome::Done(Reply::Ok));
        Ok(())
    }

    /// Who of the connected is where in an entity.
    pub(crate) fn ask_present(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let names = shown_names(entity);
        let mut views = Vec::new();
        for (device, session) in &self.sessions {
            let Some(member) = entity.member(*device) else { continue };
            for presence in session.seen.at(place, self.now.instant) {
                let person = self.person_view(member.person, &names);
                views.push(PresentView { person, device: *device, presence: presence.clone() });
            }
        }
        self.out.answer(id, Outcome::Done(Reply::Present(views)));
        Ok(())
    }

    // -- what is said and heard ---------------------------------------------------------------

    /// Says what waits to be said, forgets what is over and tells listeners, each if it is time.
    pub(crate) fn tend_presence(&mut self) {
        let now = self.now.instant;
        while let Some(at) = self.presence.next() {
            if self.presence.free_at > now {
                self.out.wake_at(self.presence.free_at);
                break;
            }
            let salt = self.random.next_u32();
            if let Some(saying) = self.presence.say(at, salt)
                && self.say_presence(&saying)
            {
                self.presence.free_at = now + SHOW_EVERY;
            }
        }
        let mut over = Vec::new();
        for session in self.sessions.values_mut() {
            over.extend(session.seen.forget(now));
            if let Some(ends) = session.seen.ends() {
                self.out.wake_at(ends);
            }
        }
        self.presence.changed.extend(over);
        self.tell_presence();
    }

    /// Sends it to all connected members' devices. False if there are none.
    fn say_presence(&mut self, saying: &Saying) -> bool {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return false };
        let of = |entity: &&crate::entity::Entity| entity.places().any(|place| place == saying.place);
        let Some(entity) = self.entities.values().find(of) else { return false };
        let hears = |device: &DeviceKey| entity.member(*device).is_some();
        let sharing = self.sessions.iter().filter(|(_, session)| session.shared.contains_key(&entity.id));
        let to: Vec<DeviceKey> = sharing.map(|(device, _)| *device).filter(hears).collect();
        let Some(epoch) = entity.epoch().filter(|_| !to.is_empty() && hears(&me)) else { return false };
        let Some(sealed) = saying.seal(entity.id, epoch, me, &mut self.random) else { return false };
        let frame = Frame::Presence(sealed);
        to.into_iter().for_each(|device| self.out.send(device, &frame));
        true
    }

    /// A peer shows what its person does.
    pub(crate) fn their_presence(&mut self, from: DeviceKey, sealed: &Sealed) {
        let now = self.now.instant;
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.presences.take(now, SHOWN_BURST, SHOWN_EVERY) {
            return self.drop_counted("shown too often");
        }
        let entity = self.entities.get(&sealed.entity);
        let entity = entity.filter(|_| session.shared.contains_key(&sealed.entity));
        let Some((entity, member)) = entity.and_then(|entity| Some((entity, entity.member(from)?))) else {
            return self.drop_counted("presence of a stranger");
        };
        let Some(key) = entity.keys.get(&sealed.epoch) else {
            return self.drop_counted("presence under a key that is not here");
        };
        let saying = match Saying::open(sealed, key, from) {
            Ok(saying) => saying,
            Err(Unread::Newer) => return self.drop_counted("presence of a later version"),
            Err(Unread::Hostile) => return self.blame(from, "malformed presence"),
        };
        let is_typing = saying.presence == Some(Presence::Typing);
        let is_there = entity.document(saying.place, &saying.scene.concern()).is_some();
        if !is_there || (is_typing && member.role <= Role::Viewer) {
            return self.drop_counted("presence where nobody can be");
        }
        let place = saying.place;
        match session.seen.take(saying, now) {
            true => {
                self.presence.changed.insert(place);
                self.out.wake_at(now + SEEN_FOR);
                self.tell_presence();
            }
            false => self.drop_counted("presence that is old or too much"),
        }
    }

    /// A device that is gone is seen nowhere.
    pub(crate) fn lose_presence(&mut self, places: impl IntoIterator<Item = EntityId>) {
        self.presence.changed.extend(places);
        self.tell_presence();
    }

    /// Tells listeners where others came, moved or went: once for all that gathered, and as often
    /// as devices show themselves.
    fn tell_presence(&mut self) {
        let now = self.now.instant;
        let Own { changed, tell_at, .. } = &mut self.presence;
        if changed.is_empty() {
            return;
        }
        if *tell_at > now {
            return self.out.wake_at(*tell_at);
        }
        *tell_at = now + SHOW_EVERY;
        for place in std::mem::take(changed) {
            if let Some(words) = self.names.entity(place) {
                self.out.notify(Notice::PresenceChanged(words));
            }
        }
    }
}
