//! Shows the machine's state to people: entities, members, messages and peers.
//!
//! Only reads. Words are shown where this node has stretched them itself, else the id stands in.
//! `standing` says how each document stands, `sizes` how large it is, `tombstones` what waits to be forgotten.

mod history;
mod sizes;
mod standing;
mod things;
mod tombstones;

pub(crate) use history::{Comparing, version};
pub(crate) use standing::Said;
pub(crate) use things::{Faces, Shown};

use std::collections::BTreeMap;

use crate::command::{
    AboutView, CoreView, EntityView, FormerView, Kind, MemberView, MessageView, PeerView, PersonView,
    Refusal, RefusalCode, Status,
};
use crate::copying::Showing;
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, EntityId, PersonId};
use crate::outbox::refusal;
use crate::replica::{Live, Replica};
use crate::replicator::Replicator;
use crate::schema::key::{self, Owner};
use crate::schema::{Concern, core};
use crate::words::{FourWords, WordsError};

/// Digits of an id that name a person at least: fewer name too many.
const DIGITS_MIN: usize = 4;

/// People named where it is not clear who is meant.
const NAMED_MAX: usize = 8;

impl Replicator {
    pub(crate) fn status(&self) -> Option<Status> {
        let me = self.me.as_ref()?;
        Some(Status {
            identity: self.names.person(me.person())?,
            person: me.person(),
            device: me.key(),
            name: me.name.clone(),
            root_here: me.root.is_some(),
            entities: u32::try_from(self.shown().count()).unwrap_or(u32::MAX),
            peers: u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
            read_only: self.read_only.clone(),
            dropped: self.dropped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            faults: self.fault_views(),
        })
    }

    /// Entities that people see: those this device holds the secret of, but the home.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().filter(|e| e.kind != Kind::Home && e.secret.is_some())
    }

    pub(crate) fn entity_views(&self) -> Vec<EntityView> {
        let mut views: Vec<EntityView> = {
            let places = self.shown().flat_map(|e| e.places().map(move |place| (e, place)));
            places.filter_map(|(e, place)| self.entity_view(e, place)).collect()
        };
        views.sort_by_key(|view| view.words);
        views
    }

    /// An entity, or a child of it, as shown to people.
    pub(crate) fn entity_view(&self, entity: &Entity, place: EntityId) -> Option<EntityView> {
        let me = self.me.as_ref()?;
        let members = &entity.roster.reading().members;
        Some(EntityView {
            words: self.names.entity(place)?,
            id: place,
            kind: entity.kind_of(place)?,
            parent: entity.parent_of(place).and_then(|parent| self.names.entity(parent)),
            name: entity.name_of(place),
            role: members.get(&me.person()).map(|member| member.role),
            members: u32::try_from(members.len()).unwrap_or(u32::MAX),
            about: about(entity, place),
            settings: settings(entity),
        })
    }

    /// All that is known of an entity, or of a child of it, as such.
    pub(crate) fn core_view(&self, entity: &Entity, place: EntityId) -> Option<CoreView> {
        let names = shown_names(entity);
        let view = |person: PersonId| self.person_view(person, &names);
        let genesis = entity.genesis_of(place)?;
        let former = |person: PersonId| FormerView {
            person: view(person),
            ended_by: entity.roster.ended_by(&person).into_iter().map(view).collect(),
        };
        let is_child = |child: &EntityId| entity.parent_of(*child) == Some(place);
        let mut children: Vec<FourWords> =
            entity.places().filter(is_child).filter_map(|child| self.names.entity(child)).collect();
        children.sort();
        Some(CoreView {
            entity: self.entity_view(entity, place)?,
            created: genesis.created,
            creator: view(genesis.creator.person.id()),
            members: self.member_views(entity),
            former: entity.roster.former().into_iter().map(former).collect(),
            children,
        })
    }

    pub(crate) fn member_views(&self, entity: &Entity) -> Vec<MemberView> {
        let me = self.me.as_ref().map(|me| me.key());
        let names = shown_names(entity);
        let mut members: Vec<_> = entity.roster.reading().members.iter().collect();
        members.sort_by_key(|(_, member)| member.rank);
        let online = |device: &DeviceKey| Some(*device) == me || self.sessions.contains_key(device);
        let view = |(person, member): (&PersonId, &crate::roster::Member)| MemberView {
            person: self.person_view(*person, &names),
            role: member.role,
            online: member.devices.iter().any(online),
            devices: member.devices.clone(),
        };
        members.into_iter().map(view).collect()
    }

    pub(crate) fn message_views(&self, entity: &Entity, live: &Live, last: usize) -> Vec<MessageView> {
        let Some(chat) = live.chat() else { return Vec::new() };
        let show = Showing::new(self, entity);
        chat.messages(last).iter().filter_map(|message| show.message(&chat, message.id)).collect()
    }

    /// One person as an entity shows it.
    pub(crate) fn person_shown(&self, entity: &Entity, person: PersonId) -> PersonView {
        self.person_view(person, &shown_names(entity))
    }

    /// A person in one phrase: words where they are verified, else the first digits of the id.
    pub(crate) fn naming(&self, entity: &Entity, person: PersonId) -> String {
        let PersonView { words, name, .. } = self.person_shown(entity, person);
        let known = words.map_or_else(|| short(person), |words| words.to_string());
        if name.is_empty() { known } else { format!("{name:?} ({known})") }
    }

    /// The member whom a person on this device means: by four words, by a shown name that only one
    /// has, or by the first digits of the id. Words are proof and decide; of names and digits none
    /// is preferred, since who takes another's digits as a name must not be taken for it.
    pub(crate) fn person_named(&self, entity: &Entity, who: &str) -> Result<PersonId, Refusal> {
        let who = who.trim();
        let names = shown_names(entity);
        let members: Vec<PersonId> = entity.roster.reading().members.keys().copied().collect();
        let parsed = who.parse::<FourWords>();
        if let Ok(words) = &parsed
            && let Some(person) = members.iter().find(|person| self.names.person(**person) == Some(*words))
        {
            return Ok(*person);
        }
        let digits = who.to_ascii_lowercase();
        let fits = |person: &&PersonId| {
            let name = names.get(&key::owner(person)).map(|name| name.to_lowercase());
            let by_id = digits.len() >= DIGITS_MIN && person.to_string().starts_with(&digits);
            by_id || (!who.is_empty() && name == Some(who.to_lowercase()))
        };
        let fitting: Vec<PersonId> = members.iter().filter(fits).copied().collect();
        match fitting[..] {
            [person] => Ok(person),
            [] => {
                let hint = match parsed {
                    Err(WordsError::Unknown { .. }) => {
                        parsed.err().map(|e| e.to_string()).unwrap_or_default()
                    }
                    _ => "`fourword group members` shows who is in".to_owned(),
                };
                Err(refusal(RefusalCode::NotFound, format!("no member is named {who:?}"), hint))
            }
            _ => {
                let named: Vec<String> =
                    fitting.iter().take(NAMED_MAX).map(|person| self.naming(entity, *person)).collect();
                let message = format!("{who:?} may be any of {}", named.join(", "));
                Err(refusal(RefusalCode::Usage, message, "give their four words"))
            }
        }
    }

    pub(crate) fn person_view(&self, person: PersonId, names: &BTreeMap<Owner, String>) -> PersonView {
        let name = names.get(&key::owner(&person)).cloned().unwrap_or_default();
        PersonView { person, words: self.names.person(person), name }
    }

    pub(crate) fn peer_views(&self) -> Vec<PeerView> {
        let view = |(device, session): (&DeviceKey, &crate::session::Session)| {
            let entities: Vec<&Entity> =
                session.shared.keys().filter_map(|id| self.entities.get(id)).collect();
            let known = entities.iter().find_map(|e| Some((e.member(*device)?.person, shown_names(e))));
            PeerView {
                device: *device,
                person: known.map(|(person, names)| self.person_view(person, &names)),
                shared: entities.iter().filter_map(|e| self.names.entity(e.id)).collect(),
            }
        };
        self.sessions.iter().map(view).collect()
    }
}

/// What an entity, or a child of it, says of itself beside its name.
fn about(entity: &Entity, place: EntityId) -> AboutView {
    let core = entity.document(place, &Concern::Core).and_then(Replica::live);
    let about = core.map(|live| AboutView {
        description: core::description(&live.document),
        website: core::website(&live.document).map(Digest),
    });
    about.unwrap_or_default()
}

/// What the admins have settled: for children too, since they have its members.
pub(crate) fn settings(entity: &Entity) -> core::Settings {
    let core = entity.document(entity.id, &Concern::Core).and_then(Replica::live);
    core.map(|live| core::settings(&live.document)).unwrap_or_default()
}

/// The first digits of a person's id: as many as tell people of one group apart.
fn short(person: PersonId) -> String {
    person.to_string().chars().take(12).collect()
}

/// The name that a person gave itself in an entity; empty if none.
pub(crate) fn shown_name(entity: &Entity, person: PersonId) -> String {
    shown_names(entity).remove(&key::owner(&person)).unwrap_or_default()
}

pub(crate) fn shown_names(entity: &Entity) -> BTreeMap<Owner, String> {
    let core = entity.document(entity.id, &Concern::Core).and_then(Replica::live);
    core.map(|live| core::shown_names(&live.document).into_iter().collect()).unwrap_or_default()
}
