//! Finds where this device belongs as its person's: the home, and every group that the home lists.
//!
//! `joining` gets it there. The full ids are known from the link code or the home, so nobody's
//! word is taken for what is entered. A device that an older one certified needs only roster and
//! keys; one that the root certified, after a recovery, says so in the roster itself.

use crate::command::Kind;
use crate::ids::EntityId;
use crate::limits::GREETING_ENTITIES_MAX;
use crate::replica::Live;
use crate::replicator::Replicator;
use crate::roster::Body;
use crate::schema::Concern;
use crate::schema::home::{self, Group, ReadMarker};
use crate::words::FourWords;

impl Replicator {
    /// The home changed, or may not be here: looks again which entities are to be got into.
    pub(crate) fn look_home(&mut self) {
        self.devices.home_changed = false;
        let Some(home) = self.me.as_ref().map(|me| me.home) else { return };
        if self.entities.get(&home).is_none_or(|entity| entity.secret.is_none()) {
            return self.return_to(home, None, Vec::new());
        }
        let Some(live) = self.home_document() else { return self.load_documents(home) };
        let listed = home::groups(&live.document);
        let lacking = |(id, group): &&(EntityId, Group)| {
            !group.left && self.entities.get(id).is_none_or(|entity| entity.secret.is_none())
        };
        let wanted: Vec<(EntityId, FourWords)> = listed
            .iter()
            .filter(lacking)
            .map(|(id, group)| (*id, FourWords::from_bytes(group.words)))
            .take(GREETING_ENTITIES_MAX)
            .collect();
        let known = |id: &EntityId| listed.iter().any(|(listed, _)| listed == id);
        let unlisted = self.entities.values().filter(|e| e.kind != Kind::Home && !known(&e.id));
        let unlisted: Vec<EntityId> = unlisted.filter(|e| self.is_in(e.id)).map(|e| e.id).collect();
        let markers = home::read_markers(&live.document).map(|(key, marker)| (key.to_owned(), marker));
        let markers: Vec<(String, ReadMarker)> = markers.collect();
        self.take_name();
        self.keep_markers(markers);
        for (id, words) in wanted {
            self.return_to(id, Some(words), Vec::new());
        }
        // Entered before this home was: after a recovery, or by a crash in between.
        for id in unlisted {
            self.remember_entity(id);
        }
    }

    /// The home's document, if it is in memory.
    pub(crate) fn home_document(&self) -> Option<&Live> {
        let home = self.me.as_ref().and_then(|me| self.entities.get(&me.home))?;
        home.document(home.id, &Concern::Home)?.live()
    }

    /// Takes over the name that another device of this person set.
    fn take_name(&mut self) {
        let name = self.home_document().and_then(|live| home::setting(&live.document, home::NAME));
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned);
        let (Some(name), Some(me)) = (name, &mut self.me) else { return };
        if name != me.name && crate::asking::check_name(&name).is_ok() {
            me.name = name;
            let record = me.record();
            self.out.write(vec![record], Vec::new());
        }
    }

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
        self.state_as_root(id, body, Vec::new());
    }
}
