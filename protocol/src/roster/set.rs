//! The roster of one entity at one node: a set of checked statements that only grows.
//!
//! The replicator gives it whatever statements come, sends what others lack, and asks it who may
//! do what. Invariant: what is in the set has valid signatures and certificates, all its parents,
//! and an author whose key stands on what it names; all of that follows from the statement and
//! its ancestors alone, so all honest nodes refuse the same. Bounds: `limits::STATEMENTS_PER_*`
//! and `limits::WAITING_STATEMENT*`.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::body::{Body, Genesis, Seal};
use super::fact::{Act, By, Fact, Newcomer};
use super::graph::Graph;
use super::judge::Heirs;
use super::reading::Reading;
use super::statement::{Header, Signer, Statement, StatementError, is_accepted};
use super::table::{MemberIx, SeatIx, StatementIx};
use super::waiting::Waiting;
use crate::identity::Certificate;
use crate::ids::{DeviceKey, Digest, EntityId, PersonId, StatementId};
use crate::limits::{ROSTER_HEADS_MAX, STATEMENTS_PER_DEVICE_MAX};

const DIGEST: &str = "fourword v1 roster digest";

/// All statements of one entity that this node holds, and what they say.
#[derive(Clone, Debug)]
pub struct Roster {
    entity: EntityId,
    genesis: Genesis,
    pub(super) statements: BTreeMap<StatementId, Statement>,
    pub(super) graph: Graph,
    /// What each device signed, shallowest first, then by hash: the order in which it is kept.
    signed: BTreeMap<DeviceKey, BTreeSet<(u32, StatementId)>>,
    waiting: Waiting,
    pub(super) heirs: RefCell<Heirs>,
    reading: OnceCell<Reading>,
    digest: OnceCell<Digest>,
}

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in the set, with those that waited for it; parents first.
    New(Vec<StatementId>),
    /// It was in the set.
    Known,
    /// It waits for these parents, which are neither here nor waiting.
    Waiting {
        /// Ascending; empty if all that is missing waits itself.
        missing: Vec<StatementId>,
    },
    /// It will not be in the set.
    Rejected(Rejection),
}

/// Why a statement is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Its bytes are no statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// It is about another entity, or begins one.
    #[error("the statement is of another entity")]
    Foreign,
    /// Its author's key does not stand on the membership and certification it names.
    #[error("the statement's author has no such device")]
    NoSeat,
    /// A certificate or card in it is not valid.
    #[error("a certificate in the statement is not valid")]
    Certificate,
    /// The invite's key did not sign the newcomer's certificate.
    #[error("the statement's invite did not let this person in")]
    Invite,
    /// Its device has signed enough that comes before it.
    #[error("the device has signed too many statements")]
    DeviceFull,
    /// Too much waits already. An honest sender gives parents first.
    #[error("too many statements wait for their parents")]
    WaitingFull,
}

impl Rejection {
    /// Whether no honest node sends this.
    pub fn blames_sender(self) -> bool {
        !matches!(
            self,
            Rejection::DeviceFull | Rejection::WaitingFull | Rejection::Statement(StatementError::Version)
        )
    }
}

/// Whether the certificates in a statement were checked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certificates {
    Unknown,
    Checked,
}

/// Why no statement could be drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The key belongs to no membership that stands, or was revoked.
    #[error("this device is no member's")]
    NoSeat,
    /// The body does not fit a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl Roster {
    /// Begins with an entity's genesis; refuses another statement or an invalid certificate.
    pub fn new(genesis: Statement) -> Result<Roster, Rejection> {
        let Body::Genesis(body) = genesis.body() else { return Err(Rejection::Foreign) };
        if !body.creator.is_valid() {
            return Err(Rejection::Certificate);
        }
        let (body, entity) = (body.clone(), genesis.entity());
        let fact = fact(&genesis, body.creator.person.id());
        let graph = Graph::new(fact).ok_or(Rejection::Foreign)?;
        let signed = BTreeMap::from([(genesis.author(), BTreeSet::from([(0, genesis.id())]))]);
        Ok(Roster {
            entity,
            genesis: body,
            statements: BTreeMap::from([(genesis.id(), genesis)]),
            graph,
            signed,
            waiting: Waiting::default(),
            heirs: RefCell::default(),
            reading: OnceCell::new(),
            digest: OnceCell::new(),
        })
    }

    /// Reads, checks and adds one statement.
    pub fn insert(&mut self, bytes: &[u8]) -> Inserted {
        // What is held needs no second check of its signature.
        if Statement::name_of(bytes).is_some_and(|id| self.contains(&id)) {
            return Inserted::Known;
        }
        match Statement::read(bytes) {
            Ok(statement) => self.add(statement),
            Err(error) => Inserted::Rejected(error.into()),
        }
    }

    /// Adds one statement from this device's own store, which holds only what was checked.
    pub(crate) fn restore(&mut self, bytes: &[u8]) -> Inserted {
        match Statement::restore(bytes) {
            Ok(statement) => self.add_with(statement, Certificates::Checked),
            Err(error) => Inserted::Rejected(error.into()),
        }
    }

    /// Checks and adds a statement that was read, for example one just drafted.
    pub fn add(&mut self, statement: Statement) -> Inserted {
        self.add_with(statement, Certificates::Unknown)
    }

    fn add_with(&mut self, statement: Statement, certificates: Certificates) -> Inserted {
        if self.contains(&statement.id()) {
            return Inserted::Known;
        }
        if statement.entity() != self.entity || matches!(statement.body(), Body::Genesis(_)) {
            return Inserted::Rejected(Rejection::Foreign);
        }
        let missing: BTreeSet<StatementId> =
            statement.parents().iter().filter(|p| !self.contains(p)).copied().collect();
        if !missing.is_empty() {
            let unknown = missing.iter().filter(|p| !self.waiting.contains(p)).copied().collect();
            return match self.waiting.push(statement, missing) {
                true => Inserted::Waiting { missing: unknown },
                false => Inserted::Rejected(Rejection::WaitingFull),
            };
        }
        let first = statement.id();
        if let Err(rejection) = self.take(statement, certificates) {
            return Inserted::Rejected(rejection);
        }
        let mut new = vec![first];
        let mut arrived = vec![first];
        while let Some(id) = arrived.pop() {
            for ready in self.waiting.arrived(&id) {
                let id = ready.id();
                if self.take(ready, Certificates::Unknown).is_ok() {
                    new.push(id);
                    arrived.push(id);
                }
            }
        }
        new.retain(|id| self.contains(id));
        Inserted::New(new)
    }

    /// The entity.
    pub fn entity(&self) -> EntityId {
        self.entity
    }

    /// How the entity began.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Whether the statement is in the set; one that waits is not.
    pub fn contains(&self, id: &StatementId) -> bool {
        self.statements.contains_key(id)
    }

    /// A statement of the set.
    pub fn statement(&self, id: &StatementId) -> Option<&Statement> {
        self.statements.get(id)
    }

    /// The bytes of a statement of the set.
    pub fn bytes(&self, id: &StatementId) -> Option<&[u8]> {
        self.statement(id).map(Statement::bytes)
    }

    /// The names of all statements, parents first.
    pub fn ids(&self) -> impl Iterator<Item = StatementId> {
        self.graph.nodes.iter().map(|(_, node)| node.fact.id)
    }

    /// What a holder of `known` lacks, parents first.
    pub fn missing_from(&self, known: &BTreeSet<StatementId>) -> Vec<StatementId> {
        self.ids().filter(|id| !known.contains(id)).collect()
    }

    /// How many statements wait for a parent.
    pub fn waiting(&self) -> usize {
        self.waiting.count()
    }

    /// A hash of the set: equal exactly where the sets are.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new_derive_key(DIGEST);
            for id in self.statements.keys() {
                hasher.update(&id.0);
            }
            Digest(*hasher.finalize().as_bytes())
        })
    }

    /// Statements that nobody followed yet, ascending: what a writer says it knew.
    ///
    /// At most `limits::ROSTER_HEADS_MAX`. Where more are open, the deepest, then the smallest:
    /// they know most, and whoever writes a statement joins so many, so the rest come next.
    pub fn heads(&self) -> Vec<StatementId> {
        self.heads_with(&[])
    }

    /// The heads that a device's next envelope names, if that before it in its log named `previous`.
    ///
    /// As `heads`; but where more are open than can be named, those that know of the device and of
    /// all that it knew before come first: else strangers' statements could make it seem to know
    /// less than it does, and what it writes would not count.
    pub fn heads_to_write(&self, device: &DeviceKey, previous: &[StatementId]) -> Vec<StatementId> {
        let seat = self.seat_to_sign(device).map(|seat| self.graph.seats[seat].statement);
        let before = previous.iter().filter_map(|id| self.graph.at(id));
        // What was named before knew of the device already, so one more is needed only at first.
        let needed: Vec<StatementIx> = before.chain(seat).collect();
        self.heads_with(&needed)
    }

    /// The heads that who judges by this roster names, so that it is seen to know these statements.
    ///
    /// As `heads`; but where more are open than can be named, those that know of these come first.
    pub fn heads_over(&self, statements: &[StatementId]) -> Vec<StatementId> {
        let needed: Vec<StatementIx> = statements.iter().filter_map(|id| self.graph.at(id)).collect();
        self.heads_with(&needed)
    }

    /// Who is in, by all statements of the set. Computed once for each set.
    pub fn reading(&self) -> &Reading {
        self.reading.get_or_init(|| Reading::of(&self.graph, &mut self.heirs.borrow_mut()))
    }

    /// Whether all these statements are in the set.
    pub fn knows(&self, heads: &[StatementId]) -> bool {
        heads.iter().all(|head| self.contains(head))
    }

    /// Whether who knew `later` knew all of `earlier`; false if one of them is not in the set.
    pub fn follows(&self, later: &[StatementId], earlier: &[StatementId]) -> bool {
        let past = self.graph.past_of(later);
        past.is_some_and(|past| {
            earlier.iter().all(|id| self.graph.at(id).is_some_and(|at| past.contains(at)))
        })
    }

    /// Whether who knew these knew all that is in the set.
    pub fn is_known_by(&self, heads: &[StatementId]) -> bool {
        let past = self.graph.past_of(heads);
        past.is_some_and(|past| self.graph.nodes.iter().all(|(at, _)| past.contains(at)))
    }

    /// The roster of who knew these statements, all below them and no more; `None` if one is not here.
    pub fn as_of(&self, heads: &[StatementId]) -> Option<Roster> {
        let past = self.graph.past_of(heads)?;
        let mut roster = self.clone();
        roster.waiting = Waiting::default();
        roster.keep_only(|at| past.contains(at));
        Some(roster)
    }

    /// Signs a statement that follows all heads, under the signer's best standing membership.
    ///
    /// It is not added, and whether its author has the right is not checked: give it to `add`
    /// once it is durable, and ask `reading` before.
    pub fn draft(&self, signer: Signer<'_>, body: Body) -> Result<Statement, DraftError> {
        let seat = self.seat_to_sign(&signer.key()).ok_or(DraftError::NoSeat)?;
        let parents = self.heads_with(&[self.graph.seats[seat].statement]);
        self.draft_over(seat, parents, signer, body)
    }

    /// Signs a statement that knows of one other and of the signer's own seat, and of nothing else
    /// that is not below these. Not added and not checked, as with `draft`.
    pub fn draft_knowing(
        &self,
        signer: Signer<'_>,
        body: Body,
        of: &StatementId,
    ) -> Result<Statement, DraftError> {
        let seat = self.seat_to_sign(&signer.key()).ok_or(DraftError::NoSeat)?;
        let known = self.graph.at(of).ok_or(DraftError::NoSeat)?;
        let seated = self.graph.seats[seat].statement;
        let mut parents: Vec<StatementIx> =
            match (self.graph.knew(known, seated), self.graph.knew(seated, known)) {
                (true, _) => vec![known],
                (_, true) => vec![seated],
                _ => vec![known, seated],
            };
        parents.dedup();
        let mut parents: Vec<StatementId> = parents.into_iter().map(|at| self.graph.id(at)).collect();
        parents.sort();
        self.draft_over(seat, parents, signer, body)
    }

    fn draft_over(
        &self,
        seat: SeatIx,
        parents: Vec<StatementId>,
        signer: Signer<'_>,
        body: Body,
    ) -> Result<Statement, DraftError> {
        let header = Header {
            entity: self.entity,
            author: signer.key(),
            membership: self.graph.id(self.graph.memberships[self.member(seat)].statement),
            certification: self.graph.id(self.graph.seats[seat].statement),
            parents,
        };
        Ok(Statement::sign(header, body, signer)?)
    }

    pub(super) fn member(&self, seat: SeatIx) -> MemberIx {
        self.graph.seats[seat].membership
    }

    /// Of the seats with this key that may speak now, that of the highest role, then the senior.
    pub(super) fn seat_to_sign(&self, key: &DeviceKey) -> Option<SeatIx> {
        let judgement = &self.reading().judgement;
        let seats = self.graph.seats_with(key).iter().copied().filter(|seat| {
            judgement.standing.contains(&self.member(*seat))
                && judgement.is_seated(&self.graph, *seat)
                && judgement.revoked[*seat].is_empty()
        });
        seats.min_by_key(|seat| {
            let m = self.member(*seat);
            let role = judgement.role(&self.graph, m);
            (judgement.heir != Some(m), std::cmp::Reverse(role), judgement.position[m])
        })
    }

    /// At most so many heads as a statement may name, with one at or above each of `needed` as far
    /// as that many can be.
    fn heads_with(&self, needed: &[StatementIx]) -> Vec<StatementId> {
        let graph = &self.graph;
        let mut heads: Vec<StatementIx> = graph.heads().collect();
        if heads.len() > ROSTER_HEADS_MAX {
            heads.sort_by_key(|head| (std::cmp::Reverse(graph.nodes[*head].depth), graph.id(*head)));
            let covers =
                |head: &StatementIx, needed: StatementIx| *head == needed || graph.knew(*head, needed);
            let mut picked: Vec<StatementIx> = Vec::new();
            for needed in needed {
                if !picked.iter().any(|head| covers(head, *needed)) {
                    picked.extend(heads.iter().find(|head| covers(head, *needed)));
                }
            }
            let rest = heads.iter().filter(|head| !picked.contains(head)).copied();
            heads = picked.iter().copied().chain(rest).take(ROSTER_HEADS_MAX).collect();
        }
        let mut ids: Vec<StatementId> = heads.into_iter().map(|head| graph.id(head)).collect();
        ids.sort();
        ids
    }

    /// Adds a statement whose parents are all here, if it stands.
    fn take(&mut self, statement: Statement, certificates: Certificates) -> Result<(), Rejection> {
        let fact = self.check(&statement, certificates)?;
        self.make_room(&fact, statement.author())?;
        let id = statement.id();
        self.keep(statement, fact);
        assert!(self.graph.contains(&id), "a statement was kept without its fact");
        Ok(())
    }

    /// Checks all that follows from a statement and its ancestors.
    fn check(&self, statement: &Statement, certificates: Certificates) -> Result<Fact, Rejection> {
        let person = self.graph.person(&statement.membership()).ok_or(Rejection::NoSeat)?;
        let fact = fact(statement, person);
        if !self.graph.has_seat(&fact) {
            return Err(self.why_no_seat(statement));
        }
        if certificates == Certificates::Checked {
            return Ok(fact);
        }
        let valid = match statement.body() {
            Body::Add { certificate, .. } | Body::AcceptInvite { certificate, .. } => certificate.is_valid(),
            Body::Certify { device } => device.is_bound_to(person),
            _ => true,
        };
        if !valid {
            return Err(Rejection::Certificate);
        }
        if let Body::AcceptInvite { invite, certificate, signature } = statement.body() {
            let accepted = match self.statement(invite).map(Statement::body) {
                Some(Body::OpenInvite { key, .. }) => is_accepted(*key, self.entity, certificate, signature),
                _ => false,
            };
            if !accepted {
                return Err(Rejection::Invite);
            }
        }
        Ok(fact)
    }

    fn why_no_seat(&self, statement: &Statement) -> Rejection {
        match statement.body() {
            Body::AcceptInvite { invite, .. }
                if !self.follows(statement.parents(), &[*invite])
                    || !matches!(
                        self.statement(invite).map(Statement::body),
                        Some(Body::OpenInvite { .. })
                    ) =>
            {
                Rejection::Invite
            }
            _ => Rejection::NoSeat,
        }
    }

    /// Keeps a device within its bound: what is deepest, then greatest by hash, makes room, with
    /// all that follows it. So the set kept depends on the statements alone, not on their order.
    fn make_room(&mut self, fact: &Fact, author: DeviceKey) -> Result<(), Rejection> {
        let Some(signed) = self.signed.get(&author) else { return Ok(()) };
        let Some(last) = signed.last().copied() else { return Ok(()) };
        if signed.len() < STATEMENTS_PER_DEVICE_MAX {
            return Ok(());
        }
        if (self.graph.depth_over(&fact.parents), fact.id) > last {
            return Err(Rejection::DeviceFull);
        }
        self.drop_with_followers(last.1);
        Ok(())
    }

    fn drop_with_followers(&mut self, id: StatementId) {
        let Some(dropped) = self.graph.at(&id) else { return };
        let follows: BTreeSet<StatementIx> = self
            .graph
            .nodes
            .iter()
            .filter(|(_, node)| node.past.contains(dropped))
            .map(|(at, _)| at)
            .collect();
        self.keep_only(|at| at != dropped && !follows.contains(&at));
    }

    /// Drops all statements but those for which this holds, the parents of each of which it holds for.
    fn keep_only(&mut self, keeps: impl Fn(StatementIx) -> bool) {
        let kept = self.graph.nodes.iter().filter(|(at, _)| keeps(*at));
        let kept: Vec<(StatementId, Fact)> =
            kept.map(|(_, node)| (node.fact.id, node.fact.clone())).collect();
        let mut before = std::mem::take(&mut self.statements);
        let mut facts = kept.into_iter();
        let Some((id, genesis)) = facts.next() else { return };
        if let (Some(graph), Some(statement)) = (Graph::new(genesis), before.remove(&id)) {
            self.graph = graph;
            self.signed = BTreeMap::from([(statement.author(), BTreeSet::from([(0, id)]))]);
            self.statements.insert(id, statement);
        }
        self.heirs = RefCell::default();
        (self.reading, self.digest) = Default::default();
        for (id, fact) in facts {
            if let Some(statement) = before.remove(&id) {
                self.keep(statement, fact);
            }
        }
    }

    fn keep(&mut self, statement: Statement, fact: Fact) {
        let depth = self.graph.depth_over(&fact.parents);
        self.signed.entry(statement.author()).or_default().insert((depth, statement.id()));
        self.graph.insert(fact);
        self.statements.insert(statement.id(), statement);
        self.reading = OnceCell::new();
        self.digest = OnceCell::new();
    }
}

fn fact(statement: &Statement, person: PersonId) -> Fact {
    let by = By {
        person,
        membership: statement.membership(),
        certification: statement.certification(),
        key: statement.author(),
    };
    Fact { id: statement.id(), by, parents: statement.parents().to_vec(), act: act(statement.body()) }
}

fn act(body: &Body) -> Act {
    let devices = |seals: &[Seal]| seals.iter().map(|seal| seal.device).collect();
    match body {
        Body::Genesis(genesis) => Act::Genesis(newcomer(&genesis.creator)),
        Body::Add { certificate, role } => Act::Add(newcomer(certificate), *role),
        Body::AcceptInvite { invite, certificate, .. } => Act::AcceptInvite(newcomer(certificate), *invite),
        Body::Remove { person, vectors } => Act::Remove(*person, vectors.clone()),
        Body::SetRole { person, role, vectors } => Act::SetRole(*person, *role, vectors.clone()),
        Body::Certify { device } => Act::Certify(device.key),
        Body::Revoke { person, key, vectors } => Act::Revoke(*person, *key, vectors.clone()),
        Body::OpenInvite { role, .. } => Act::OpenInvite(*role),
        Body::CloseInvite { invite } => Act::CloseInvite(*invite),
        Body::Leave { vectors } => Act::Leave(vectors.clone()),
        Body::Held { removal, vectors } => Act::Held(*removal, vectors.clone()),
        Body::Epoch { counter, seals, .. } => Act::Epoch(*counter, devices(seals)),
        Body::SealKey { epoch, seals } => Act::SealKey(*epoch, devices(seals)),
        Body::Unknown { .. } => Act::Unknown,
    }
}

fn newcomer(certificate: &Certificate) -> Newcomer {
    Newcomer {
        person: certificate.person.id(),
        root: DeviceKey(certificate.person.root.0),
        device: Some(certificate.device.key),
    }
}
