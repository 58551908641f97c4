//! Brings a node up: reads what it remembers, makes its identity on the first run, then serves.
//!
//! Our own logs are continued only if the last stop was clean; else each begins a new incarnation
//! with the next write, so that no crash, restore or copied home makes a device contradict itself.
//! A new identity is made in an empty home only: where anything is remembered but the identity
//! cannot be read, the node refuses to serve, since a new one would bury what the old one can open.

use std::collections::BTreeMap;

use crate::children::{self, CHILD};
use crate::command::{Kind, Notice};
use crate::devices::SEEKS_HOME;
use crate::effect::Effect;
use crate::entity::Entity;
use crate::ids::{EntityId, Incarnation, LogHead, LogId, StatementId};
use crate::joining::{JOIN, Join, SEEK, Seeking};
use crate::me::{IDENTITY, Me};
use crate::names::{LOOKUP, NAME};
use crate::planted::{self, Planted};
use crate::reaching::MET;
use crate::record::{LocalKey, Page, Query, StoreFailure};
use crate::replicator::{Load, Replicator};
use crate::requests::{DENIAL, REQUEST};
use crate::roster::{Body, Roster, Statement};

/// The kind of the small values that name our current log of a document.
pub(crate) const LOG: &str = "log";

const NO_IDENTITY: &str = "the home has data but no identity: restore the whole home from a backup";
const DAMAGED_IDENTITY: &str = "the identity in the home cannot be read: it was damaged or written by a newer version; \
     restore the home from a backup, nothing was changed";

/// How far the opening has come.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    clean: bool,
    /// Commands are served.
    pub(crate) done: bool,
}

impl Replicator {
    pub(crate) fn open(&mut self, clean: bool) {
        self.opening = Opening { clean, done: false };
        let load = self.out.load(Query::Opening);
        self.loads.insert(load, Load::Opening);
    }

    /// Takes everything the store remembers.
    pub(crate) fn opened(&mut self, page: Result<Page, StoreFailure>) {
        let (locals, statements, heads, snapshots) = match page {
            Ok(Page::Opening { locals, statements, heads, snapshots }) => {
                (locals, statements, heads, snapshots)
            }
            Ok(_) => return self.fail_opening("the store gave another page"),
            Err(failure) => return self.fail_opening(&failure.to_string()),
        };
        if locals.is_empty() && statements.is_empty() && heads.is_empty() {
            return self.mint_identity();
        }
        match identity(&locals) {
            Ok(me) => self.me = Some(me),
            Err(reason) => return self.fail_opening(reason),
        }
        self.restore_locals(&locals);
        self.restore_rosters(statements);
        let children = locals.iter().filter(|(key, _)| key.kind == CHILD);
        self.restore_children(children.filter_map(|(key, value)| children::read(&key.of, value)).collect());
        self.restore_stopped(&locals);
        self.restore_files(&locals);
        self.restore_heads(&heads, &locals);
        self.restore_full(&locals);
        for snapshot in snapshots {
            let replica = self.entities.get_mut(&snapshot.entity);
            let replica = replica.and_then(|entity| entity.replicas.get_mut(&snapshot.document));
            if let Some(replica) = replica {
                replica.snapshots = snapshot.number;
                replica.base = Some(snapshot.into());
            }
        }
        if !planted::is(Planted::LoseWantAtRestart) {
            self.restore_wants(&locals);
        }
        self.restore_evidence(&locals);
        self.restore_stability(&locals);
        self.ready();
    }

    fn fail_opening(&mut self, reason: &str) {
        self.read_only = Some(reason.to_owned());
        self.out.notify(Notice::ReadOnly(reason.to_owned()));
    }

    fn restore_locals(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        for (key, value) in locals {
            match key.kind.as_str() {
                NAME => self.names.restore(&key.of, value),
                SEEKS_HOME => self.devices.seeks_home = true,
                JOIN => {
                    if let Ok((entity, join)) = Join::read(&key.of, value) {
                        self.joins.insert(entity, join);
                    }
                }
                SEEK => {
                    if let Ok((words, seeking)) = Seeking::read(&key.of, value) {
                        self.seeks.insert(words, seeking);
                    }
                }
                MET => self.restore_met(&key.of, value),
                LOOKUP => self.names.restore_lookup(&key.of, value),
                REQUEST => self.restore_request(value),
                DENIAL => self.restore_denial(value),
                _ => {}
            }
        }
    }

    fn restore_rosters(&mut self, statements: Vec<(EntityId, StatementId, Vec<u8>)>) {
        let mut by_entity: BTreeMap<EntityId, Vec<Vec<u8>>> = BTreeMap::new();
        for (entity, _, bytes) in statements {
            by_entity.entry(entity).or_default().push(bytes);
        }
        let home = self.me.as_ref().map(|me| me.home);
        for (id, statements) in by_entity {
            if let Some(mut entity) = found(id, &statements) {
                for bytes in &statements {
                    let _ = entity.roster.restore(bytes);
                }
                entity.remember_cutting();
                if let Some(me) = &self.me {
                    entity.open_seals(&me.device);
                }
                // The home of who this node was before it became a device of its person.
                if entity.kind != Kind::Home || Some(id) == home {
                    self.entities.insert(id, entity);
                }
            }
        }
    }

    fn restore_heads(&mut self, heads: &[(EntityId, LogId, LogHead)], locals: &[(LocalKey, Vec<u8>)]) {
        let mut left: Vec<&(EntityId, LogId, LogHead)> = heads.iter().collect();
        loop {
            let mut begun = Vec::new();
            left.retain(|(entity, log, head)| {
                let replica = self.entities.get_mut(entity).and_then(|e| e.replicas.get_mut(&log.document));
                let Some(replica) = replica else { return true };
                replica.heads.set(*log, *head);
                replica.is_begun = true;
                begun.push((*entity, log.document));
                false
            });
            // Of a series the next segment is known once the one before is.
            let mut has_found = false;
            for (id, document) in begun {
                has_found |= self.entities.get_mut(&id).is_some_and(|entity| entity.found_next(document));
            }
            if !has_found {
                // Nothing of the one before may count any more.
                let named =
                    |id| left.iter().filter(move |(of, ..)| *of == id).map(|(_, log, _)| log.document);
                for (id, entity) in &mut self.entities {
                    has_found |= entity.found_named(named(*id));
                }
            }
            if !has_found {
                break;
            }
        }
        let continues = self.opening.clean || planted::is(Planted::ReuseIncarnation);
        let Some(device) = self.me.as_ref().map(Me::key).filter(|_| continues) else { return };
        for (key, value) in locals.iter().filter(|(key, _)| key.kind == LOG) {
            let Ok(incarnation) = <[u8; 8]>::try_from(value.as_slice()) else { continue };
            let incarnation = Incarnation(u64::from_be_bytes(incarnation));
            for replica in self.entities.values_mut().flat_map(|e| e.replicas.values_mut()) {
                let log = LogId { document: replica.key, device, incarnation };
                if key.of == replica.key.0 && replica.heads.contains_key(&log) {
                    replica.continue_log(log);
                }
            }
        }
    }

    /// The node knows who it is: the network opens and commands are served.
    pub(crate) fn ready(&mut self) {
        let Some(me) = &self.me else { return };
        let (device, key, person) = (me.device.clone(), me.key(), me.person());
        self.opening.done = true;
        self.out.push(Effect::Listen(device));
        self.names.want_first(person.0, &mut self.out);
        let entities: Vec<EntityId> = self.entities.keys().copied().collect();
        for entity in entities {
            let open = self.entities.get(&entity).filter(|e| e.secret.is_some());
            for place in open.into_iter().flat_map(Entity::places).collect::<Vec<_>>() {
                self.names.want_first(place.0, &mut self.out);
            }
            self.tend(entity);
        }
        if let Some(identity) = self.names.person(person) {
            self.out.notify(Notice::Ready { identity, device: key });
        }
        self.check_joins();
        self.try_seeks();
        self.look_home();
        self.offer();
        self.tell_fellows();
        self.dial_met();
        self.search_soon();
    }
}

/// The identity among what is remembered, or why there is none.
fn identity(locals: &[(LocalKey, Vec<u8>)]) -> Result<Me, &'static str> {
    let (_, value) =
        locals.iter().find(|(key, _)| key.kind == IDENTITY && key.of.is_empty()).ok_or(NO_IDENTITY)?;
    Me::read(value).ok().filter(Me::is_whole).ok_or(DAMAGED_IDENTITY)
}

/// An entity founded by the genesis among these statements; none where the genesis names a parent,
/// whose roster would count instead.
pub(crate) fn found(id: EntityId, statements: &[Vec<u8>]) -> Option<Entity> {
    let is_first = |bytes: &&Vec<u8>| Statement::name_of(bytes).is_some_and(|name| name.0 == id.0);
    let genesis = Statement::read(statements.iter().find(is_first)?).ok()?;
    let Body::Genesis(body) = genesis.body() else { return None };
    if body.parent.is_some() {
        return None;
    }
    let kind = body.kind;
    let roster = Roster::new(genesis).ok()?;
    Some(Entity::new(id, kind, roster))
}
