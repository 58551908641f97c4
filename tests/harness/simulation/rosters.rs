//! Rosters as honest nodes knew them: each set of statements is read once, whoever holds it.
//!
//! The checkers ask again and again for rosters that differ by a statement or two, and most of the
//! work is in checking signatures. Invariant: a roster depends on its set alone, never on which
//! node holds it or on what was asked before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::ids::{EntityId, StatementId};
use fourword_protocol::roster::{Body, Roster, Statement};

/// A node, and which of its runs.
pub(super) type Run = (String, u64);

type Ids = BTreeSet<StatementId>;

/// The roster of so many statements of a run.
type Last = (usize, Option<Rc<Roster>>);

/// Every statement that any honest node has taken, and the rosters of sets of them.
#[derive(Debug, Default)]
pub(super) struct Rosters {
    statements: BTreeMap<StatementId, (EntityId, Statement)>,
    /// Statements each run of a node has taken, in order.
    known: BTreeMap<Run, Vec<(EntityId, StatementId)>>,
    read: RefCell<BTreeMap<EntityId, BTreeMap<Ids, Rc<Roster>>>>,
    /// The last one that was asked for of each run: by how many statements it had taken.
    last: RefCell<BTreeMap<(EntityId, Run), Last>>,
}

impl Rosters {
    /// A node was started with these statements in its store.
    pub(super) fn opened(&mut self, run: Run, statements: &[(EntityId, StatementId, Vec<u8>)]) {
        self.last.borrow_mut().retain(|(_, of), _| *of != run);
        self.known.insert(run, statements.iter().map(|(of, id, _)| (*of, *id)).collect());
    }

    /// A node has taken a statement.
    pub(super) fn took(&mut self, run: Run, entity: EntityId, id: StatementId, bytes: &[u8]) {
        self.known.entry(run).or_default().push((entity, id));
        if !self.statements.contains_key(&id)
            && let Ok(statement) = Statement::read(bytes)
        {
            self.statements.insert(id, (entity, statement));
        }
    }

    /// The statements that a run of a node has taken, in order.
    pub(super) fn known(&self, run: &Run) -> &[(EntityId, StatementId)] {
        self.known.get(run).map(Vec::as_slice).unwrap_or_default()
    }

    /// The roster of an entity as a running node has it, also what is on its way to the disk.
    pub(super) fn now(&self, run: &Run, entity: EntityId) -> Option<Rc<Roster>> {
        self.when(run, entity, usize::MAX)
    }

    /// The roster of an entity as a node had it when it had taken so many statements.
    pub(super) fn when(&self, run: &Run, entity: EntityId, knew: usize) -> Option<Rc<Roster>> {
        let known = self.known(run);
        let count = known.len().min(knew);
        let mut last = self.last.borrow_mut();
        let last = last.entry((entity, run.clone())).or_insert((usize::MAX, None));
        if last.0 != count {
            *last = (count, self.of(entity, known.iter().take(count).map(|(_, id)| *id)));
        }
        last.1.clone()
    }

    /// The roster of an entity as whoever knew these statements and no more has it.
    pub(super) fn at(&self, entity: EntityId, heads: &[StatementId]) -> Option<Rc<Roster>> {
        let (mut past, mut next) = (Ids::new(), heads.to_vec());
        while let Some(id) = next.pop() {
            if past.insert(id) {
                next.extend(self.statement(&id)?.parents());
            }
        }
        self.of(entity, past.into_iter())
    }

    /// A statement that some node has taken.
    pub(super) fn statement(&self, id: &StatementId) -> Option<&Statement> {
        self.statements.get(id).map(|(_, statement)| statement)
    }

    /// All statements of an entity that some node has taken.
    pub(super) fn statements_of(&self, entity: EntityId) -> impl Iterator<Item = &Statement> {
        self.statements.values().filter(move |(of, _)| *of == entity).map(|(_, statement)| statement)
    }

    /// The roster of an entity from those of these statements that are its. None without the first.
    pub(super) fn of(&self, entity: EntityId, ids: impl Iterator<Item = StatementId>) -> Option<Rc<Roster>> {
        let is_of = |id: &StatementId| self.statements.get(id).is_some_and(|(of, _)| *of == entity);
        let ids: Ids = ids.filter(is_of).collect();
        let mut read = self.read.borrow_mut();
        let read = read.entry(entity).or_default();
        if let Some(roster) = read.get(&ids) {
            return Some(Rc::clone(roster));
        }
        let nearest = read.iter().filter(|(of, _)| of.is_subset(&ids)).max_by_key(|(of, _)| of.len());
        let mut roster = match nearest {
            Some((_, roster)) => Roster::clone(roster),
            None => Roster::new(ids.iter().filter_map(|id| self.genesis(id)).next()?.clone()).ok()?,
        };
        for id in &ids {
            if let Some(statement) = self.statement(id) {
                roster.add(statement.clone());
            }
        }
        let roster = Rc::new(roster);
        read.insert(ids, Rc::clone(&roster));
        Some(roster)
    }

    fn genesis(&self, id: &StatementId) -> Option<&Statement> {
        self.statement(id).filter(|statement| matches!(statement.body(), Body::Genesis(_)))
    }
}
