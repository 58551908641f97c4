//! Files facts by what they knew, and gives memberships and devices their ranks.
//!
//! `set` adds checked facts, `judge` reads. Nothing here depends on who is a member: all that is
//! said of a fact follows from it and its ancestors, so it holds for good and rows are only added.
//! Invariant: a parent's index is smaller than its child's.

use std::collections::{BTreeMap, BTreeSet};

use super::Role;
use super::bits::Bits;
use super::fact::{Act, Fact, Newcomer};
use super::seniority::Seniority;
use super::table::{MemberIx, SeatIx, StatementIx, Table};
use crate::ids::{DeviceKey, PersonId, StatementId};

/// The facts of one entity.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(super) nodes: Table<StatementIx, Node>,
    pub(super) memberships: Table<MemberIx, Membership>,
    pub(super) seats: Table<SeatIx, Seat>,
    pub(super) ranks: Seniority<MemberIx>,
    seat_ranks: Seniority<SeatIx>,
    by_id: BTreeMap<StatementId, StatementIx>,
    by_seat: BTreeMap<(StatementId, DeviceKey), SeatIx>,
    by_key: BTreeMap<DeviceKey, Vec<SeatIx>>,
    /// All that this device signed under this certification.
    signed: BTreeMap<(StatementId, DeviceKey), Vec<StatementIx>>,
    about: BTreeMap<PersonId, About>,
    closings: BTreeMap<StatementId, Vec<StatementIx>>,
    held: BTreeMap<StatementId, Vec<StatementIx>>,
    seals: BTreeMap<StatementId, Vec<StatementIx>>,
    epochs: Vec<StatementIx>,
    /// What could have left the creator without its role: nobody else can touch it.
    abdications: Vec<StatementIx>,
    heads: BTreeSet<StatementIx>,
}

/// One fact in its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) fact: Fact,
    /// All its ancestors.
    pub(super) past: Bits,
    /// The longest way down from the genesis.
    pub(super) depth: u32,
    /// In which round a reader takes it in who goes through all facts by hash, again and again,
    /// and takes in what has all its parents. With the hash it orders what one author said apart.
    pub(super) round: u32,
    /// The greatest fair epoch counter here or below: fair is one above the fair ones below.
    pub(super) counter: u64,
    /// The author's seat, if it has one.
    pub(super) seat: Option<SeatIx>,
    /// The membership it makes.
    pub(super) membership: Option<MemberIx>,
}

/// A membership as an adding statement makes it, whether or not that counts.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) statement: StatementIx,
    pub(super) person: PersonId,
    pub(super) role: Role,
    /// The `OpenInvite` it came by.
    pub(super) invite: Option<StatementIx>,
    root: SeatIx,
}

/// A key under which a membership signs.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) membership: MemberIx,
    pub(super) key: DeviceKey,
    /// The statement that vouches for it.
    pub(super) statement: StatementIx,
    pub(super) kind: SeatKind,
    /// What it signed.
    pub(super) under: Vec<StatementIx>,
}

/// What vouches for a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeatKind {
    /// Nothing: it is the root key.
    Root,
    /// The adding statement.
    First,
    /// A `Certify`.
    Certified,
}

/// What is said about one person by whoever.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) removals: Vec<StatementIx>,
    pub(super) role_changes: Vec<StatementIx>,
    pub(super) revocations: Vec<StatementIx>,
}

/// Where a fact belongs.
struct Place {
    seat: SeatIx,
    /// For an `AcceptInvite`: its `OpenInvite` and the opener.
    invite: Option<(StatementIx, MemberIx)>,
}

impl Graph {
    /// Begins with a genesis; `None` if the fact is none or names parents.
    pub fn new(genesis: Fact) -> Option<Graph> {
        let Act::Genesis(creator) = genesis.act else { return None };
        if !genesis.parents.is_empty() {
            return None;
        }
        let mut graph = Graph {
            nodes: Table::new(),
            memberships: Table::new(),
            seats: Table::new(),
            ranks: Seniority::new(),
            seat_ranks: Seniority::new(),
            by_id: BTreeMap::new(),
            by_seat: BTreeMap::new(),
            by_key: BTreeMap::new(),
            signed: BTreeMap::new(),
            about: BTreeMap::new(),
            closings: BTreeMap::new(),
            held: BTreeMap::new(),
            seals: BTreeMap::new(),
            epochs: Vec::new(),
            abdications: Vec::new(),
            heads: BTreeSet::new(),
        };
        let at = graph.push(genesis, Bits::default());
        graph.admit(at, None, &creator, Role::Owner, None);
        Some(graph)
    }

    /// Adds a fact; false if it is known, or lacks a parent, or names none.
    ///
    /// A fact whose author has no seat is kept and never counts; see [`Graph::has_seat`].
    pub fn insert(&mut self, fact: Fact) -> bool {
        if self.by_id.contains_key(&fact.id) || fact.parents.is_empty() {
            return false;
        }
        let Some(past) = self.past_of(&fact.parents) else { return false };
        let place = self.place(&fact, &past);
        let at = self.push(fact, past);
        if let Some(place) = place {
            self.settle(at, place);
        }
        true
    }

    /// Whether the author's key stands on what the fact says it stands on; parents must be here.
    pub fn has_seat(&self, fact: &Fact) -> bool {
        self.past_of(&fact.parents).is_some_and(|past| self.place(fact, &past).is_some())
    }

    /// Whether the fact is here.
    pub fn contains(&self, id: &StatementId) -> bool {
        self.by_id.contains_key(id)
    }

    /// How many facts are here.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The rank that an adding statement gave: (depth, id) of each step from the genesis.
    pub fn rank(&self, membership: &StatementId) -> Option<Vec<(u32, StatementId)>> {
        self.membership(membership).map(|m| self.ranks.rank(m))
    }

    pub(super) fn at(&self, id: &StatementId) -> Option<StatementIx> {
        self.by_id.get(id).copied()
    }

    pub(super) fn id(&self, at: StatementIx) -> StatementId {
        self.nodes[at].fact.id
    }

    pub(super) fn membership(&self, id: &StatementId) -> Option<MemberIx> {
        self.at(id).and_then(|at| self.nodes[at].membership)
    }

    /// Whether `later` knew `earlier`.
    pub(super) fn knew(&self, later: StatementIx, earlier: StatementIx) -> bool {
        self.nodes[later].past.contains(earlier)
    }

    /// These statements and all below them; `None` if one is not here.
    pub(super) fn past_of(&self, heads: &[StatementId]) -> Option<Bits> {
        let mut past = Bits::default();
        for head in heads {
            let at = self.at(head)?;
            past.join(&self.nodes[at].past);
            past.insert(at);
        }
        Some(past)
    }

    /// Statements that nobody followed yet.
    pub(super) fn heads(&self) -> impl Iterator<Item = StatementIx> {
        self.heads.iter().copied()
    }

    /// All memberships, senior to junior.
    pub(super) fn seniority(&self) -> Vec<MemberIx> {
        self.memberships.iter().next().map(|(root, _)| self.ranks.order(root)).unwrap_or_default()
    }

    /// The seats of a membership, senior to junior.
    pub(super) fn seats_of(&self, m: MemberIx) -> Vec<SeatIx> {
        self.seat_ranks.order(self.memberships[m].root)
    }

    /// Every seat a key was ever given, oldest first.
    pub(super) fn seats_with(&self, key: &DeviceKey) -> &[SeatIx] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// The person that an adding statement lets in.
    pub(super) fn person(&self, membership: &StatementId) -> Option<PersonId> {
        self.membership(membership).map(|m| self.memberships[m].person)
    }

    pub(super) fn about(&self, person: &PersonId) -> Option<&About> {
        self.about.get(person)
    }

    pub(super) fn closings(&self, invite: &StatementId) -> &[StatementIx] {
        self.closings.get(invite).map_or(&[], Vec::as_slice)
    }

    /// Each `Held` about this statement that is the first of its device to know of it.
    pub(super) fn held(&self, act: &StatementId) -> &[StatementIx] {
        self.held.get(act).map_or(&[], Vec::as_slice)
    }

    pub(super) fn epochs(&self) -> &[StatementIx] {
        &self.epochs
    }

    pub(super) fn epoch_counter(&self, epoch: StatementIx) -> u64 {
        match self.nodes[epoch].fact.act {
            Act::Epoch(counter, _) => counter,
            _ => 0,
        }
    }

    /// To whom an epoch statement itself seals its key.
    pub(super) fn epoch_recipients(&self, epoch: StatementIx) -> &[DeviceKey] {
        match &self.nodes[epoch].fact.act {
            Act::Epoch(_, devices) => devices,
            _ => &[],
        }
    }

    /// Every statement that seals this epoch's key to more devices, with who sealed it. It need
    /// not count: what was sealed can be opened.
    pub(super) fn seals(&self, epoch: &StatementId) -> impl Iterator<Item = (DeviceKey, &[DeviceKey])> {
        self.seals.get(epoch).into_iter().flatten().filter_map(|at| {
            let fact = &self.nodes[*at].fact;
            match &fact.act {
                Act::SealKey(_, devices)
                    if self.by_seat.contains_key(&(fact.by.certification, fact.by.key)) =>
                {
                    Some((fact.by.key, devices.as_slice()))
                }
                _ => None,
            }
        })
    }

    /// The depth of a statement with these parents.
    pub(super) fn depth_over(&self, parents: &[StatementId]) -> u32 {
        let depths = parents.iter().filter_map(|p| self.at(p)).map(|at| self.nodes[at].depth + 1);
        depths.max().unwrap_or(0)
    }

    /// The greatest fair epoch counter among a statement's ancestors.
    pub(super) fn counter_below(&self, at: StatementIx) -> u64 {
        self.greatest_counter(&self.nodes[at].fact.parents)
    }

    /// The greatest fair epoch counter at or below these.
    pub(super) fn greatest_counter(&self, heads: &[StatementId]) -> u64 {
        let counters = heads.iter().filter_map(|head| self.at(head)).map(|at| self.nodes[at].counter);
        counters.max().unwrap_or(0)
    }

    /// Whether the creator could have lost its role in `past`. Without that there is no heir.
    pub(super) fn may_be_orphaned(&self, past: &Bits) -> bool {
        self.abdications.iter().any(|abdication| past.contains(*abdication))
    }

    fn push(&mut self, fact: Fact, past: Bits) -> StatementIx {
        let parents: Vec<StatementIx> = fact.parents.iter().filter_map(|p| self.at(p)).collect();
        let below = |value: fn(&Node) -> u32| parents.iter().map(|p| value(&self.nodes[*p]) + 1).max();
        let depth = below(|node| node.depth).unwrap_or(0);
        let round = parents.iter().map(|p| {
            let node = &self.nodes[*p];
            node.round + u32::from(node.fact.id > fact.id)
        });
        let round = round.max().unwrap_or(0);
        let known = parents.iter().map(|p| self.nodes[*p].counter).max().unwrap_or(0);
        let counter = match fact.act {
            Act::Epoch(counter, _) if counter <= known.saturating_add(1) => known.max(counter),
            _ => known,
        };
        let at = self.nodes.next();
        self.by_id.insert(fact.id, at);
        self.index(at, &fact, &past);
        for parent in &parents {
            self.heads.remove(parent);
        }
        self.heads.insert(at);
        self.nodes.push(Node { fact, past, depth, round, counter, seat: None, membership: None })
    }

    /// Files what is found by what it names, whether or not its author has a seat.
    fn index(&mut self, at: StatementIx, fact: &Fact, past: &Bits) {
        let author = (fact.by.certification, fact.by.key);
        match &fact.act {
            Act::SealKey(epoch, _) => self.seals.entry(*epoch).or_default().push(at),
            Act::Held(act, _) => {
                let known = self.at(act).filter(|act| past.contains(*act));
                let earlier = self.signed.get(&author).map_or(&[][..], Vec::as_slice);
                let first =
                    known.is_some_and(|act| !earlier.iter().any(|a| past.contains(*a) && self.knew(*a, act)));
                if first {
                    self.held.entry(*act).or_default().push(at);
                }
            }
            _ => {}
        }
        self.signed.entry(author).or_default().push(at);
    }

    fn place(&self, fact: &Fact, past: &Bits) -> Option<Place> {
        if matches!(fact.act, Act::Genesis(_)) {
            return None;
        }
        let seat = *self.by_seat.get(&(fact.by.certification, fact.by.key))?;
        let (vouched, m) = (self.seats[seat].statement, self.seats[seat].membership);
        let membership = &self.memberships[m];
        let stands = self.id(membership.statement) == fact.by.membership
            && membership.person == fact.by.person
            && past.contains(membership.statement)
            && past.contains(vouched);
        if !stands {
            return None;
        }
        let invite = match &fact.act {
            Act::AcceptInvite(_, invite) => Some(self.opened(invite, past)?),
            _ => None,
        };
        Some(Place { seat, invite })
    }

    fn opened(&self, invite: &StatementId, past: &Bits) -> Option<(StatementIx, MemberIx)> {
        let at = self.at(invite).filter(|at| past.contains(*at))?;
        let fact = &self.nodes[at].fact;
        let opener = self.membership(&fact.by.membership)?;
        matches!(fact.act, Act::OpenInvite(_)).then_some((at, opener))
    }

    /// Gives a fact with a seat its effect on the structure.
    fn settle(&mut self, at: StatementIx, place: Place) {
        let m = self.seats[place.seat].membership;
        let act = self.nodes[at].fact.act.clone();
        match &act {
            Act::Add(newcomer, role) => self.admit(at, Some(m), newcomer, *role, None),
            Act::AcceptInvite(newcomer, _) => {
                if let Some((invite, opener)) = place.invite {
                    let over = self.ranks.junior(m, opener);
                    let role = match self.nodes[invite].fact.act {
                        Act::OpenInvite(role) => role,
                        _ => Role::Viewer,
                    };
                    self.admit(at, Some(over), newcomer, role, Some(invite));
                }
            }
            Act::Certify(key) => {
                self.sit(m, *key, at, SeatKind::Certified, Some(place.seat));
            }
            Act::Remove(person, _) => self.about.entry(*person).or_default().removals.push(at),
            Act::SetRole(person, ..) => self.about.entry(*person).or_default().role_changes.push(at),
            Act::Revoke(person, ..) => self.about.entry(*person).or_default().revocations.push(at),
            Act::CloseInvite(invite) => self.closings.entry(*invite).or_default().push(at),
            Act::Epoch(..) => self.epochs.push(at),
            _ => {}
        }
        let own = |person: &PersonId| *person == self.nodes[at].fact.by.person;
        let abdicates = matches!(&act, Act::Leave(_)) || matches!(&act, Act::SetRole(p, ..) if own(p));
        if abdicates && self.memberships[m].is_creator() {
            self.abdications.push(at);
        }
        self.nodes[at].seat = Some(place.seat);
        self.seats[place.seat].under.push(at);
    }

    fn admit(
        &mut self,
        at: StatementIx,
        over: Option<MemberIx>,
        newcomer: &Newcomer,
        role: Role,
        invite: Option<StatementIx>,
    ) {
        let m = self.ranks.push(over, (self.nodes[at].depth, self.id(at)));
        let root = self.sit(m, newcomer.root, at, SeatKind::Root, None);
        if let Some(device) = newcomer.device.filter(|device| *device != newcomer.root) {
            self.sit(m, device, at, SeatKind::First, Some(root));
        }
        self.memberships.push(Membership { statement: at, person: newcomer.person, role, invite, root });
        self.nodes[at].membership = Some(m);
    }

    fn sit(
        &mut self,
        membership: MemberIx,
        key: DeviceKey,
        statement: StatementIx,
        kind: SeatKind,
        over: Option<SeatIx>,
    ) -> SeatIx {
        let id = self.id(statement);
        self.seat_ranks.push(over, (self.nodes[statement].depth, id));
        let seat = self.seats.push(Seat { membership, key, statement, kind, under: Vec::new() });
        self.by_seat.insert((id, key), seat);
        self.by_key.entry(key).or_default().push(seat);
        seat
    }
}

impl Membership {
    /// Whether it is the genesis's own, senior to all.
    pub(super) fn is_creator(&self) -> bool {
        use super::table::Row;
        self.statement.number() == 0
    }
}
