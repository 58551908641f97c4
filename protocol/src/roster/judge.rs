//! Decides which statements count: memberships from senior to junior, each when all its seniors
//! have been judged.
//!
//! Within a membership: its devices from senior to junior, then leaving, then lowering its own
//! role, then the rest. Each step depends only on steps before it, so there is one reading of a
//! set of statements and no need to search for a fixed point. `reading` says what follows.

use std::collections::BTreeMap;

use super::Role;
use super::bits::Bits;
use super::fact::Act;
use super::graph::{Graph, SeatKind};
use super::reading::Reason;
use super::table::{MemberIx, Row, SeatIx, StatementIx, Table};
use crate::ids::{PersonId, StatementId};
use crate::planted::{self, Planted};

/// What counts, and what ended what.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// Statements that count.
    pub(super) counts: Bits,
    pub(super) ignored: BTreeMap<StatementIx, Reason>,
    /// For each membership the removals and leaves that ended it.
    pub(super) ends: Table<MemberIx, Vec<StatementIx>>,
    /// For each seat the revocations that ended it.
    pub(super) revoked: Table<SeatIx, Vec<StatementIx>>,
    /// For each membership the role changes that count, ascending.
    pub(super) changes: Table<MemberIx, Vec<StatementIx>>,
    /// Place of each membership in the order of seniority.
    pub(super) position: Table<MemberIx, usize>,
    /// Memberships that stand, senior to junior.
    pub(super) standing: Vec<MemberIx>,
    /// Who counts as owner because no owner or admin is left.
    pub(super) heir: Option<MemberIx>,
}

/// Who counted as owner by what somebody knew, as far as it was ever asked. What is below a
/// statement never changes, so an answer holds for good.
#[derive(Clone, Debug, Default)]
pub(super) struct Heirs {
    /// By the statement whose author it was.
    of: BTreeMap<StatementIx, Option<MemberIx>>,
    /// By the heads of whoever wrote something else, at most `HEADS_REMEMBERED_MAX`.
    among: BTreeMap<Vec<StatementId>, Option<MemberIx>>,
}

/// Sets of heads whose heir is remembered: many envelopes in a row are written under the same.
const HEADS_REMEMBERED_MAX: usize = 1024;

/// The least role that a statement asks of its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Role(Role),
    /// No role suffices, not even that of an heir.
    More,
}

/// What a seat's statements must be known to in order to count; `None` binds nothing.
type Bound = Option<Bits>;

struct Judge<'a> {
    graph: &'a Graph,
    /// Judge these statements alone, an ancestry; `None` judges all.
    within: Option<&'a Bits>,
    heirs: &'a Heirs,
    /// Statements whose heir must be known first. If there are any, the judgement is void.
    unsettled: Vec<StatementIx>,
    so_far: Judgement,
}

impl Judgement {
    /// Judges all statements of a graph.
    pub(super) fn of(graph: &Graph, heirs: &mut Heirs) -> Judgement {
        heirs.judge(graph, None)
    }

    /// The role a membership has now.
    pub(super) fn role(&self, graph: &Graph, m: MemberIx) -> Role {
        self.role_knowing(graph, m, |_| true, |_| false)
    }

    /// The lowest role among the last changes known and those made apart.
    pub(super) fn role_knowing(
        &self,
        graph: &Graph,
        m: MemberIx,
        known: impl Fn(StatementIx) -> bool,
        apart: impl Fn(StatementIx) -> bool,
    ) -> Role {
        let mut lowest = Role::Owner;
        let mut followed = Bits::default();
        for change in self.changes[m].iter().rev() {
            let at = *change;
            if known(at) {
                if !followed.contains(at) {
                    lowest = lowest.min(changed_to(graph, at));
                    followed.join(&graph.nodes[at].past);
                }
            } else if apart(at) {
                lowest = lowest.min(changed_to(graph, at));
            }
        }
        let membership = &graph.memberships[m];
        if followed.contains(membership.statement) { lowest } else { lowest.min(membership.role) }
    }

    /// Whether a seat's certification counts, so that it may speak until it is revoked.
    pub(super) fn is_seated(&self, graph: &Graph, seat: SeatIx) -> bool {
        self.counts.contains(graph.seats[seat].statement)
    }

    /// All that closed an invite: closings by its opener or a senior, and whatever ended the
    /// opener, the device that opened, or the opener's right to open it.
    pub(super) fn closed(&self, graph: &Graph, invite: StatementIx) -> Vec<StatementIx> {
        let node = &graph.nodes[invite];
        let Some(seat) = node.seat else { return Vec::new() };
        let opener = graph.seats[seat].membership;
        let entitled = |closing: &&StatementIx| {
            let closer = graph.nodes[**closing].seat.map(|seat| graph.seats[seat].membership);
            self.counts.contains(**closing)
                && closer.is_some_and(|closer| self.position[closer] <= self.position[opener])
        };
        let mut closed: Vec<StatementIx> =
            graph.closings(&node.fact.id).iter().filter(entitled).copied().collect();
        closed.extend(&self.ends[opener]);
        closed.extend(&self.revoked[seat]);
        if let Act::OpenInvite(role) = node.fact.act {
            let demotes = |change: &&StatementIx| {
                changed_to(graph, **change) < role.max(Role::Admin) && !graph.knew(invite, **change)
            };
            closed.extend(self.changes[opener].iter().filter(demotes));
        }
        closed
    }
}

fn changed_to(graph: &Graph, change: StatementIx) -> Role {
    match graph.nodes[change].fact.act {
        Act::SetRole(_, role, _) => role,
        _ => Role::Owner,
    }
}

impl Heirs {
    /// Who counted as owner for who knew `heads`, whose past this is. Costs a judgement where the
    /// creator may have lost its role, and nothing elsewhere.
    pub(super) fn among(&mut self, graph: &Graph, heads: &[StatementId], past: &Bits) -> Option<MemberIx> {
        if !graph.may_be_orphaned(past) {
            return None;
        }
        if let Some(heir) = self.among.get(heads) {
            return *heir;
        }
        let heir = self.judge(graph, Some(past)).heir;
        if self.among.len() >= HEADS_REMEMBERED_MAX {
            self.among.clear();
        }
        self.among.insert(heads.to_vec(), heir);
        heir
    }

    /// Judges, finding first whatever heirs that depends on.
    fn judge(&mut self, graph: &Graph, within: Option<&Bits>) -> Judgement {
        loop {
            let (judgement, unsettled) = Judge::run(graph, within, self);
            if unsettled.is_empty() {
                return judgement;
            }
            for at in unsettled {
                self.settle(graph, at);
            }
        }
    }

    /// Finds who counted as owner when `at` was made, and first for what that depends on. No
    /// recursion: a long chain of statements without a right must not exhaust the stack.
    fn settle(&mut self, graph: &Graph, at: StatementIx) {
        let mut pending = vec![at];
        while let Some(at) = pending.last().copied() {
            if self.of.contains_key(&at) {
                pending.pop();
                continue;
            }
            let (judgement, unsettled) = Judge::run(graph, Some(&graph.nodes[at].past), self);
            if unsettled.is_empty() {
                self.of.insert(at, judgement.heir);
                pending.pop();
            } else {
                pending.extend(unsettled.iter().rev());
            }
        }
    }
}

impl<'a> Judge<'a> {
    fn run(graph: &'a Graph, within: Option<&'a Bits>, heirs: &'a Heirs) -> (Judgement, Vec<StatementIx>) {
        let order = graph.seniority();
        let mut position = Table::beside(&graph.memberships);
        for (place, m) in order.iter().enumerate() {
            position[*m] = place;
        }
        let so_far = Judgement {
            counts: Bits::default(),
            ignored: BTreeMap::new(),
            ends: Table::beside(&graph.memberships),
            revoked: Table::beside(&graph.seats),
            changes: Table::beside(&graph.memberships),
            position,
            standing: Vec::new(),
            heir: None,
        };
        let mut judge = Judge { graph, within, heirs, unsettled: Vec::new(), so_far };
        judge.so_far.counts.insert(StatementIx::from_number(0));
        for m in order {
            if judge.is_within(graph.memberships[m].statement) {
                judge.membership(m);
            }
        }
        judge.end()
    }

    fn end(mut self) -> (Judgement, Vec<StatementIx>) {
        let (graph, judged) = (self.graph, &mut self.so_far);
        judged.standing.retain(|m| judged.ends[*m].is_empty());
        let ruled = judged.standing.iter().any(|m| judged.role(graph, *m) >= Role::Admin);
        judged.heir = if ruled { None } else { judged.standing.first().copied() };
        if self.within.is_none() {
            for (at, _) in graph.nodes.iter().filter(|(at, _)| !judged.counts.contains(*at)) {
                judged.ignored.entry(at).or_insert(Reason::NoSeat);
            }
        }
        self.unsettled.sort();
        (self.so_far, self.unsettled)
    }

    fn is_within(&self, at: StatementIx) -> bool {
        self.within.is_none_or(|within| within.contains(at))
    }

    fn act(&self, at: StatementIx) -> &'a Act {
        &self.graph.nodes[at].fact.act
    }

    fn membership(&mut self, m: MemberIx) {
        let (graph, membership) = (self.graph, &self.graph.memberships[m]);
        if let Some(about) = graph.about(&membership.person) {
            let acts_on = |at: &&StatementIx| {
                let by_senior = self.so_far.counts.contains(**at);
                (by_senior || planted::is(Planted::JuniorRemovesSenior))
                    && !graph.knew(membership.statement, **at)
            };
            let ends = about.removals.iter().filter(acts_on).copied().collect();
            let changes = about.role_changes.iter().filter(acts_on).copied().collect();
            self.so_far.ends[m] = ends;
            self.so_far.changes[m] = changes;
        }
        if !self.so_far.counts.contains(membership.statement) {
            return;
        }
        if !self.is_invited(m) {
            self.so_far.counts.remove(membership.statement);
            self.so_far.ignored.insert(membership.statement, Reason::InviteClosed);
            return;
        }
        self.so_far.standing.push(m);
        let mut seats = self.devices(m);
        self.leaves(m, &mut seats);
        self.lowerings(m, &seats);
        self.rest(m, &seats);
    }

    /// A membership by invite needs the invite to count and all that closed it to know of it.
    fn is_invited(&self, m: MemberIx) -> bool {
        let membership = &self.graph.memberships[m];
        membership.invite.is_none_or(|invite| {
            self.so_far.counts.contains(invite)
                && self
                    .so_far
                    .closed(self.graph, invite)
                    .iter()
                    .all(|closing| self.graph.knew(*closing, membership.statement))
        })
    }

    /// Judges the seats, senior to junior: what they certify and what they revoke of their own.
    fn devices(&mut self, m: MemberIx) -> Vec<(SeatIx, Bound)> {
        let person = self.graph.memberships[m].person;
        let ended = self.known_to_all(None, &self.so_far.ends[m]);
        let mut seats = Vec::new();
        for seat in self.graph.seats_of(m) {
            self.so_far.revoked[seat] = self.revocations(seat, m);
            if !self.so_far.is_seated(self.graph, seat) {
                continue;
            }
            let bound = self.known_to_all(ended.as_ref(), &self.so_far.revoked[seat]);
            for at in self.said(seat) {
                if is_own_keeping(self.act(at), person) {
                    self.admit(at, &bound);
                }
            }
            seats.push((seat, bound));
        }
        seats
    }

    /// Revocations of a seat that count so far: by seniors of the membership, and by its own
    /// seats senior to this one.
    fn revocations(&self, seat: SeatIx, m: MemberIx) -> Vec<StatementIx> {
        let (graph, seat) = (self.graph, &self.graph.seats[seat]);
        let Some(about) = graph.about(&graph.memberships[m].person) else { return Vec::new() };
        let ends_it = |at: &&StatementIx| {
            self.so_far.counts.contains(**at)
                && matches!(&graph.nodes[**at].fact.act, Act::Revoke(_, key, _) if *key == seat.key)
                && !graph.knew(seat.statement, **at)
        };
        about.revocations.iter().filter(ends_it).copied().collect()
    }

    fn leaves(&mut self, m: MemberIx, seats: &mut [(SeatIx, Bound)]) {
        let mut left = Vec::new();
        for (seat, bound) in seats.iter() {
            for at in self.said(*seat) {
                if matches!(self.act(at), Act::Leave(_)) && self.admit(at, bound) {
                    left.push(at);
                }
            }
        }
        for (_, bound) in seats.iter_mut() {
            *bound = self.known_to_all(bound.as_ref(), &left);
        }
        self.so_far.ends[m].extend(left);
    }

    fn lowerings(&mut self, m: MemberIx, seats: &[(SeatIx, Bound)]) {
        let person = self.graph.memberships[m].person;
        let mut lowerings: Vec<(StatementIx, &Bound)> = Vec::new();
        for (seat, bound) in seats {
            let of_seat = self.said(*seat).filter(|at| is_own_role(self.act(*at), person));
            lowerings.extend(of_seat.map(|at| (at, bound)));
        }
        lowerings.sort_by_key(|(at, _)| (self.graph.nodes[*at].round, self.graph.id(*at)));
        for (at, bound) in lowerings {
            if self.admit_with_right(at, bound, m) {
                let changes = &mut self.so_far.changes[m];
                let place = changes.partition_point(|change| *change < at);
                changes.insert(place, at);
            }
        }
    }

    fn rest(&mut self, m: MemberIx, seats: &[(SeatIx, Bound)]) {
        let person = self.graph.memberships[m].person;
        for (seat, bound) in seats {
            for at in self.said(*seat) {
                let act = self.act(at);
                let judged =
                    is_own_keeping(act, person) || is_own_role(act, person) || matches!(act, Act::Leave(_));
                if !judged {
                    self.admit_with_right(at, bound, m);
                }
            }
        }
    }

    /// What this seat signed, as far as it is judged here.
    fn said(&self, seat: SeatIx) -> impl Iterator<Item = StatementIx> + use<'a> {
        let (graph, within) = (self.graph, self.within);
        let is_within = move |at: &StatementIx| within.is_none_or(|within| within.contains(*at));
        graph.seats[seat].under.iter().copied().filter(is_within)
    }

    /// What all these acts knew, within `bound`.
    fn known_to_all(&self, bound: Option<&Bits>, acts: &[StatementIx]) -> Bound {
        let mut bound = bound.cloned();
        for act in acts {
            let past = &self.graph.nodes[*act].past;
            match &mut bound {
                Some(bound) => bound.meet(past),
                None => bound = Some(past.clone()),
            }
        }
        bound
    }

    /// Lets a statement count if all that ended its author knew of it.
    fn admit(&mut self, at: StatementIx, bound: &Bound) -> bool {
        let known = bound.as_ref().is_none_or(|bound| bound.contains(at));
        if known {
            self.so_far.counts.insert(at);
        } else {
            self.so_far.ignored.insert(at, Reason::AuthorEnded);
        }
        known
    }

    /// As `admit`, if the author had the right too.
    fn admit_with_right(&mut self, at: StatementIx, bound: &Bound, m: MemberIx) -> bool {
        let known = bound.as_ref().is_none_or(|bound| bound.contains(at));
        if known && !self.has_right(at, m) {
            self.so_far.ignored.insert(at, Reason::NoRight);
            return false;
        }
        self.admit(at, bound)
    }

    fn has_right(&mut self, at: StatementIx, m: MemberIx) -> bool {
        let least = match self.need(at) {
            Need::Nothing => return true,
            Need::More => return false,
            Need::Role(least) => least,
        };
        let graph = self.graph;
        let role = || {
            self.so_far.role_knowing(
                graph,
                m,
                |change| graph.knew(at, change),
                |change| change != at && !graph.knew(change, at),
            )
        };
        if role() >= least {
            return true;
        }
        if !graph.may_be_orphaned(&graph.nodes[at].past) {
            return false;
        }
        match self.heirs.of.get(&at) {
            Some(heir) => *heir == Some(m),
            None => {
                self.unsettled.push(at);
                false
            }
        }
    }

    fn need(&self, at: StatementIx) -> Need {
        let fact = &self.graph.nodes[at].fact;
        match &fact.act {
            Act::SetRole(person, role, _) if *person == fact.by.person => Need::Role(*role),
            Act::Add(_, role) | Act::SetRole(_, role, _) | Act::OpenInvite(role) => {
                Need::Role(Role::Admin.max(*role))
            }
            Act::Remove(..) | Act::Revoke(..) => Need::Role(Role::Admin),
            Act::AcceptInvite(..) => Need::Role(Role::Member),
            Act::CloseInvite(invite) => {
                let opened = self.graph.at(invite).filter(|at| self.is_within(*at));
                let opener = opened.map(|at| self.graph.nodes[at].fact.by.membership);
                if opener == Some(fact.by.membership) { Need::Nothing } else { Need::Role(Role::Admin) }
            }
            Act::Epoch(counter, _) if *counter > self.graph.counter_below(at).saturating_add(1) => Need::More,
            _ => Need::Nothing,
        }
    }
}

/// Whether it keeps the author's own devices: judged first.
fn is_own_keeping(act: &Act, person: PersonId) -> bool {
    match act {
        Act::Certify(_) => true,
        Act::Revoke(of, ..) => *of == person,
        _ => false,
    }
}

fn is_own_role(act: &Act, person: PersonId) -> bool {
    matches!(act, Act::SetRole(of, ..) if *of == person)
}

impl SeatKind {
    /// Whether the seat is a device; the root key is none.
    pub(super) fn is_device(self) -> bool {
        self != SeatKind::Root
    }
}
