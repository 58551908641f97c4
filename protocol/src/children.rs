//! Entities with a parent: a channel in a group, a project in an organization.
//!
//! A child has its own four words and documents; who is in, and under which keys they write, is
//! its parent's. It is listed in the parent's core document by its genesis, so whoever is in the
//! parent finds it there. A listing can turn out to count for nobody, like all else that its author
//! wrote without the right to: then the child is closed. Invariant: a child is open exactly where
//! an open parent lists it, and known only after its genesis was checked: it names a parent that is
//! known here, and somebody who is or was in signed it.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{CommandId, EntityView, Kind, Outcome, Refusal, RefusalCode, Reply};
use crate::entity::Entity;
use crate::ids::{DocumentKey, EntityId, StatementId};
use crate::keeping::Stopped;
use crate::limits::{CHILDREN_MAX, PARENTS_MAX};
use crate::outbox::{local, refusal};
use crate::record::Record;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::roster::{Body, Genesis, Statement};
use crate::schema::Concern;
use crate::schema::core::{self, Listed};
use crate::words::FourWords;

/// The kind of the small values that keep children.
pub(crate) const CHILD: &str = "child";

/// An entity that has its roster and keys from another.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) id: EntityId,
    pub(crate) kind: Kind,
    /// The entity it names as its parent: that of the roster, or another child.
    pub(crate) parent: EntityId,
    /// As signed; at most `GENESIS_BYTES_MAX`.
    genesis: Vec<u8>,
    /// It is listed, so far as is known: its documents are shown and compared with peers.
    open: bool,
}

impl Entity {
    /// This entity and all its children that are open.
    pub(crate) fn places(&self) -> impl Iterator<Item = EntityId> {
        self.children.values().filter(|child| child.open).map(|child| child.id).chain([self.id])
    }

    /// The documents of this entity and of its children that are open.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(|replica| self.is_open(replica.of))
    }

    fn is_open(&self, place: EntityId) -> bool {
        place == self.id || self.children.get(&place).is_some_and(|child| child.open)
    }

    /// The documents of these that this device does not keep.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (&DocumentKey, &Stopped)> {
        self.stopped.iter().filter(|(_, stopped)| self.is_open(stopped.of))
    }

    /// What this entity or a child of it is for.
    pub(crate) fn kind_of(&self, place: EntityId) -> Option<Kind> {
        if place == self.id { Some(self.kind) } else { self.children.get(&place).map(|child| child.kind) }
    }

    /// The parent of a child; `None` for the entity itself.
    pub(crate) fn parent_of(&self, place: EntityId) -> Option<EntityId> {
        self.children.get(&place).map(|child| child.parent)
    }

    /// The genesis of this entity or of a child of it, after which come those of its parents.
    pub(crate) fn lineage(&self, place: EntityId) -> Vec<Vec<u8>> {
        let upward = std::iter::successors(Some(place), |place| self.parent_of(*place));
        let genesis = |place: EntityId| match self.children.get(&place) {
            Some(child) => Some(child.genesis.clone()),
            None => self.roster.bytes(&StatementId(place.0)).map(<[u8]>::to_vec),
        };
        upward.filter_map(genesis).collect()
    }

    /// How this entity or a child of it began.
    pub(crate) fn genesis_of(&self, place: EntityId) -> Option<Genesis> {
        let Some(child) = self.children.get(&place) else { return Some(self.roster.genesis().clone()) };
        match Statement::read(&child.genesis).ok()?.body() {
            Body::Genesis(genesis) => Some(genesis.clone()),
            _ => None,
        }
    }

    /// How many entities stand above this one.
    fn depth(&self, place: EntityId) -> usize {
        std::iter::successors(Some(place), |place| self.parent_of(*place)).skip(1).count()
    }

    /// Whether an entity of this kind may have this place for its parent.
    fn takes_child(&self, kind: Kind, parent: EntityId) -> bool {
        let fits = !matches!(kind, Kind::Home | Kind::Organization);
        let above = self.kind_of(parent).is_some_and(|kind| kind != Kind::Home);
        fits && above && self.children.len() < CHILDREN_MAX && self.depth(parent) < PARENTS_MAX
    }

    /// Opens a child by its genesis. False if it is known already or the genesis does not stand.
    pub(crate) fn open_child(&mut self, id: EntityId, genesis: &[u8]) -> bool {
        let Ok(statement) = Statement::read(genesis) else { return false };
        let Body::Genesis(Genesis { kind, parent: Some(parent), .. }) = statement.body() else {
            return false;
        };
        let (kind, parent) = (*kind, *parent);
        let ours = statement.id().0 == id.0 && self.roster.person_of(&statement.author()).is_some();
        if !ours || self.kind_of(id).is_some() || !self.takes_child(kind, parent) {
            return false;
        }
        self.children.insert(id, Child { id, kind, parent, genesis: genesis.to_vec(), open: true });
        self.found_documents();
        true
    }

    /// What the core document of a place lists; `None` while that is not in memory as it counts.
    fn listed_in(&self, place: EntityId) -> Option<Vec<Listed>> {
        let core = self.document(place, &Concern::Core).filter(|core| !self.rejudge && !core.is_stale());
        Some(core::children(&core.and_then(Replica::live)?.document))
    }

    /// What open places list that is not known yet.
    fn unknown(&self) -> Vec<Listed> {
        let listed = self.places().filter_map(|place| self.listed_in(place)).flatten();
        listed.filter(|listed| self.kind_of(listed.id).is_none()).collect()
    }

    /// What each open place lists; `None` where that is not known now.
    fn listings(&self) -> BTreeMap<EntityId, Option<BTreeSet<EntityId>>> {
        let ids = |listed: Vec<Listed>| listed.into_iter().map(|listed| listed.id).collect();
        self.places().map(|place| (place, self.listed_in(place).map(ids))).collect()
    }

    /// Opens the children that are listed and closes those that are not. True if any changed.
    fn sort_children(&mut self) -> bool {
        let mut changed = false;
        // What is closed closes what is below it.
        for _ in 0..PARENTS_MAX {
            let listings = self.listings();
            let mut turned = false;
            for child in self.children.values_mut() {
                let open = match listings.get(&child.parent) {
                    Some(Some(listed)) => listed.contains(&child.id),
                    Some(None) => child.open,
                    None => false,
                };
                turned |= open != child.open;
                child.open = open;
            }
            changed |= turned;
            if !turned {
                break;
            }
        }
        changed
    }

    /// The name of this entity or of a child: what its own core says, else what it was listed as.
    pub(crate) fn name_of(&self, place: EntityId) -> String {
        let core = self.document(place, &Concern::Core).and_then(Replica::live);
        let own = core.and_then(|live| core::entity_name(&live.document));
        let listed = || self.parent_of(place).and_then(|parent| self.listed_in(parent)).unwrap_or_default();
        own.or_else(|| listed().into_iter().find(|l| l.id == place).map(|l| l.name)).unwrap_or_default()
    }
}

impl Replicator {
    /// Looks for children if this document is one that lists them.
    pub(crate) fn core_changed(&mut self, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get(&id).and_then(|e| e.replicas.get(&document));
        if replica.is_some_and(|replica| replica.concern == Concern::Core) {
            self.look_for_children(id);
        }
    }

    /// Opens the children that core documents list, after one of them changed, and closes those
    /// that none lists any more.
    fn look_for_children(&mut self, id: EntityId) {
        loop {
            let Some(entity) = self.entities.get_mut(&id) else { return };
            let mut changed = entity.sort_children();
            let mut opened = Vec::new();
            for Listed { id: child, genesis, .. } in entity.unknown() {
                if entity.open_child(child, &genesis) {
                    opened.push((child, record(id, child, &genesis)));
                }
            }
            // A child's own core document is read next and may list others.
            for (child, record) in opened {
                changed = true;
                self.out.write(vec![record], Vec::new());
                self.names.want_first(child.0, &mut self.out);
            }
            if !changed {
                return;
            }
            self.load_documents(id);
            self.listen(id);
            self.compare_all(id);
            self.touch(id);
        }
    }

    /// Opens what was kept of an earlier run, parents before their children.
    pub(crate) fn restore_children(&mut self, mut kept: Vec<Kept>) {
        loop {
            let before = kept.len();
            kept.retain(|Kept { root, child, genesis }| {
                self.entities.get_mut(root).is_some_and(|e| !e.open_child(*child, genesis))
            });
            if kept.len() == before {
                return;
            }
        }
    }

    /// The entity whose roster a new child of these words will have, if such a child can be made.
    pub(crate) fn parent_for(&self, kind: Kind, parent: FourWords) -> Result<EntityId, Refusal> {
        let (entity, place) = self.place(parent).ok_or_else(|| crate::asking::unknown(parent))?;
        if self.me.as_ref().is_none_or(|me| !entity.may_write(me.key())) {
            let message = format!("you may not add anything to {parent}");
            return Err(refusal(RefusalCode::NotAllowed, message, "ask an admin for another role"));
        }
        if !entity.takes_child(kind, place) {
            let message = format!("{parent} takes no {} below it", kind.word());
            let hint =
                format!("at most {PARENTS_MAX} levels and {CHILDREN_MAX} in all; no organization in another");
            return Err(refusal(RefusalCode::Usage, message, hint));
        }
        Ok(place)
    }

    /// Opens a child that was just made here, lists it in its parent and names it.
    pub(crate) fn found_child(&mut self, command: CommandId, genesis: Genesis, words: FourWords, name: &str) {
        let (id, parent) = (genesis.entity(), genesis.parent);
        let root = parent.and_then(|p| self.entities.values().find(|e| e.kind_of(p).is_some()).map(|e| e.id));
        let signed = self.me.as_ref().and_then(|me| genesis.sign(&me.device).ok());
        let (Some(root), Some(parent), Some(signed)) = (root, parent, signed) else {
            let gone = refusal(RefusalCode::NotFound, "the parent is not here any more", "");
            return self.out.refuse(command, gone);
        };
        let actor = self.actor(root);
        let put = actor.and_then(|a| core::list_child(&a, id, signed.bytes(), name.trim()).ok());
        let opened = |e: &mut Entity| e.open_child(id, signed.bytes());
        let (Some(put), true) = (put, self.entities.get_mut(&root).is_some_and(opened)) else {
            let message = "the parent takes no more below it, or you may not write there any more";
            return self.out.refuse(command, refusal(RefusalCode::NotAllowed, message, ""));
        };
        let records = vec![record(root, id, signed.bytes()), self.names.learn(id.0, Some(words))];
        self.out.write(records, Vec::new());
        self.load_documents(root);
        self.listen(root);
        let view = self.entities.get(&root).and_then(|e| self.entity_view(e, id));
        let view = view.map(|view| EntityView { name: name.to_owned(), ..view });
        let answer = view.map(|view| (command, Outcome::Done(Reply::Entity(view))));
        self.put_own((root, parent), &Concern::Core, Some(put), answer);
        self.want_names();
    }
}

/// A child as it is kept over restarts.
pub(crate) struct Kept {
    /// The entity whose roster counts.
    root: EntityId,
    child: EntityId,
    genesis: Vec<u8>,
}

fn record(root: EntityId, child: EntityId, genesis: &[u8]) -> Record {
    local(CHILD, &child.0, Some([&root.0[..], genesis].concat()))
}

/// Reads what `record` wrote.
pub(crate) fn read(of: &[u8], value: &[u8]) -> Option<Kept> {
    let (root, genesis) = value.split_first_chunk()?;
    Some(Kept { root: EntityId(*root), child: EntityId(of.try_into().ok()?), genesis: genesis.to_vec() })
}
