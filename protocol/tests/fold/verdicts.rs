//! The rules once more, as conditions that every verdict of a reading must meet.
//!
//! The fold decides from senior to junior; this takes its verdicts as given and asks of each
//! whether the others bear it out. Since each rests on senior ones alone, only one reading passes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::ids::{DeviceKey, LogHead, PersonId, StatementId};
use fourword_protocol::roster::fact::Act;
use fourword_protocol::roster::reading::Cut;
use fourword_protocol::roster::{Reason, Role};

use super::set::{LINES_MAX, Seat, Set, places};

/// What ended or changed whom, as the verdicts of a reading have it.
pub(crate) struct Account {
    /// For each adding statement the removals that end it.
    pub(crate) removed: [u64; LINES_MAX],
    /// For each adding statement its own leaves.
    pub(crate) left: [u64; LINES_MAX],
    /// For each adding statement the role changes that bind it.
    pub(crate) changes: [u64; LINES_MAX],
}

/// What a statement asks of its author.
enum Need {
    Nothing,
    Role(Role),
    More,
}

impl Set {
    pub(crate) fn account(&self) -> Account {
        let none = [0; LINES_MAX];
        let mut account = Account { removed: none, left: none, changes: none };
        for at in places(self.counts) {
            let author = self.lines[at].member;
            match self.act(at) {
                Act::Leave(_) => account.left[author] |= 1 << at,
                Act::Remove(person, _) => {
                    for member in self.juniors(at, *person) {
                        account.removed[member] |= 1 << at;
                    }
                }
                Act::SetRole(person, ..) => {
                    let own = (*person == self.person(author)).then_some(author);
                    for member in self.juniors(at, *person).chain(own) {
                        account.changes[member] |= 1 << at;
                    }
                }
                _ => {}
            }
        }
        account
    }

    /// Memberships of a person that are junior to who signed `at` and do not know of it.
    fn juniors(&self, at: usize, person: PersonId) -> impl Iterator<Item = usize> {
        self.memberships().filter(move |member| {
            self.person(*member) == person
                && self.author_rank(at) < self.rank(*member)
                && !self.knew(*member, at)
        })
    }

    /// The revocations that end a seat.
    pub(crate) fn revoked(&self, seat: Seat) -> u64 {
        let ends = |at: &usize| {
            let by_senior = self.author_rank(*at) < self.rank(seat.member)
                || (self.lines[*at].member == seat.member
                    && self.seat_rank(self.seat(*at)) < self.seat_rank(seat));
            matches!(self.act(*at), Act::Revoke(of, key, _) if *of == self.person(seat.member) && *key == seat.key)
                && !self.knew(seat.vouched, *at)
                && by_senior
        };
        places(self.counts).filter(ends).fold(0, |revoked, at| revoked | 1 << at)
    }

    /// Whether all of these knew `at`.
    pub(crate) fn all_knew(&self, these: u64, at: usize) -> bool {
        places(these).all(|this| self.knew(this, at))
    }

    pub(crate) fn is_seated(&self, seat: Seat) -> bool {
        self.counts(seat.member) && self.counts(seat.vouched)
    }

    /// Keys of a membership that may speak now.
    pub(crate) fn keys_of(&self, member: usize) -> BTreeSet<DeviceKey> {
        let seats = self.seats().into_iter().filter(|seat| seat.member == member);
        seats.filter(|seat| self.is_seated(*seat) && self.revoked(*seat) == 0).map(|seat| seat.key).collect()
    }

    pub(crate) fn stands(&self, account: &Account, member: usize) -> bool {
        self.counts(member) && account.removed[member] | account.left[member] == 0
    }

    /// Memberships that stand, senior to junior.
    pub(crate) fn standing(&self, account: &Account) -> Vec<usize> {
        let mut standing: Vec<usize> = self.memberships().filter(|m| self.stands(account, *m)).collect();
        standing.sort_by_key(|m| self.rank(*m));
        standing
    }

    /// The lowest of the last changes among `known` and of those among `apart`.
    pub(crate) fn lowest(&self, account: &Account, member: usize, known: u64, apart: u64) -> Role {
        let (known, apart) = (account.changes[member] & known, account.changes[member] & apart);
        let followed = places(known).fold(0, |followed, at| followed | self.lines[at].past);
        let given = (followed >> member & 1 == 0).then(|| self.given(member));
        let changed = places(known & !followed | apart).map(|at| match self.act(at) {
            Act::SetRole(_, role, _) => *role,
            _ => unreachable!("only SetRole changes roles"),
        });
        changed.chain(given).min().unwrap_or(Role::Owner)
    }

    pub(crate) fn role_now(&self, account: &Account, member: usize) -> Role {
        self.lowest(account, member, u64::MAX, 0)
    }

    /// Who counts as owner because nobody rules.
    pub(crate) fn heir(&self, account: &Account) -> Option<usize> {
        let standing = self.standing(account);
        let ruled = standing.iter().any(|member| self.role_now(account, *member) >= Role::Admin);
        standing.first().copied().filter(|_| !ruled)
    }

    fn is_own_role(&self, at: usize) -> bool {
        matches!(self.act(at), Act::SetRole(person, ..) if *person == self.lines[at].fact.by.person)
    }

    fn is_own_keeping(&self, at: usize) -> bool {
        match self.act(at) {
            Act::Certify(_) => true,
            Act::Revoke(person, ..) => *person == self.lines[at].fact.by.person,
            _ => false,
        }
    }

    fn need(&self, at: usize) -> Need {
        match self.act(at) {
            Act::SetRole(_, role, _) if self.is_own_role(at) => Need::Role(*role),
            Act::Add(_, role) | Act::SetRole(_, role, _) | Act::OpenInvite(role) => {
                Need::Role(Role::Admin.max(*role))
            }
            Act::Remove(..) | Act::Revoke(..) if !self.is_own_keeping(at) => Need::Role(Role::Admin),
            Act::AcceptInvite(..) => Need::Role(Role::Member),
            Act::CloseInvite(invite) => {
                let opener = self.place(invite).map(|invite| self.lines[invite].member);
                if opener == Some(self.lines[at].member) { Need::Nothing } else { Need::Role(Role::Admin) }
            }
            Act::Epoch(counter, _) => {
                let parents = self.lines[at].fact.parents.iter().filter_map(|id| self.place(id));
                let known = parents.map(|parent| self.lines[parent].counter).max().unwrap_or(0);
                if *counter > known.saturating_add(1) { Need::More } else { Need::Nothing }
            }
            _ => Need::Nothing,
        }
    }

    /// Whether the author of `at` had the right, by its role there or because it was the heir.
    pub(crate) fn has_right(&self, account: &Account, at: usize) -> bool {
        let (line, place) = (&self.lines[at], |at: usize| (self.lines[at].round, self.id(at)));
        let apart = places(account.changes[line.member]).filter(|change| {
            let later_own = self.is_own_role(at)
                && self.is_own_role(*change)
                && self.lines[*change].member == line.member
                && place(*change) > place(at);
            *change != at && !self.knew(at, *change) && !self.knew(*change, at) && !later_own
        });
        let apart = apart.fold(0, |apart, change| apart | 1 << change);
        let by_role = match self.need(at) {
            Need::Nothing => return true,
            Need::Role(least) => self.lowest(account, line.member, line.past, apart) >= least,
            Need::More => return false,
        };
        by_role || {
            let below = self.below(at);
            let heir = below.heir(&below.account());
            heir.is_some_and(|heir| below.id(heir) == self.id(line.member))
        }
    }

    /// All that closed an invite.
    pub(crate) fn closed(&self, account: &Account, invite: usize) -> u64 {
        let opener = self.lines[invite].member;
        let closings = places(self.counts).filter(|at| {
            matches!(self.act(*at), Act::CloseInvite(of) if *of == self.id(invite))
                && self.author_rank(*at) <= self.rank(opener)
        });
        let least = match self.act(invite) {
            Act::OpenInvite(role) => Role::Admin.max(*role),
            _ => unreachable!("nobody is let in by what is no invite"),
        };
        let demotions = places(account.changes[opener]).filter(|at| {
            matches!(self.act(*at), Act::SetRole(_, role, _) if *role < least) && !self.knew(invite, *at)
        });
        let acts = closings.chain(demotions).fold(0, |closed, at| closed | 1 << at);
        acts | account.removed[opener] | account.left[opener] | self.revoked(self.seat(invite))
    }

    /// Why a statement must not count, if it must not.
    fn flaw(&self, account: &Account, at: usize) -> Option<Reason> {
        let line = &self.lines[at];
        let seat = self.seat(at);
        if !self.is_seated(seat) {
            return Some(Reason::NoSeat);
        }
        let keeping = self.is_own_keeping(at);
        let bound = account.removed[line.member] | self.revoked(seat);
        let early = keeping || matches!(line.fact.act, Act::Leave(_));
        let bound = if early { bound } else { bound | account.left[line.member] };
        if !self.all_knew(bound, at) {
            return Some(Reason::AuthorEnded);
        }
        if !keeping && !self.has_right(account, at) {
            return Some(Reason::NoRight);
        }
        let invite = line.about.filter(|_| line.fact.act.newcomer().is_some());
        let let_in = |invite| self.counts(invite) && self.all_knew(self.closed(account, invite), at);
        if invite.is_some_and(|invite| !let_in(invite)) { Some(Reason::InviteClosed) } else { None }
    }

    /// Whether each statement counts exactly where it must.
    pub(crate) fn verdicts_hold(&self, account: &Account) -> Result<(), &'static str> {
        for at in 1..self.lines.len() {
            let (found, flaw) = (self.reading.ignored.get(&self.id(at)), self.flaw(account, at));
            match (found, flaw) {
                (None, Some(_)) => return Err("what must not count counts"),
                (Some(_), None) => return Err("what must count does not"),
                (Some(found), Some(flaw)) if *found != flaw => return Err("a wrong reason is given"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether members are those whose memberships stand, each by its best one.
    pub(crate) fn members_hold(&self, account: &Account) -> Result<(), &'static str> {
        let heir = self.heir(account);
        let mut best: BTreeMap<PersonId, (bool, Role, usize)> = BTreeMap::new();
        for member in self.standing(account) {
            let is_heir = heir == Some(member);
            let role = if is_heir { Role::Owner } else { self.role_now(account, member) };
            let shown = best.entry(self.person(member)).or_insert((is_heir, role, member));
            if (is_heir, role) > (shown.0, shown.1) {
                *shown = (is_heir, role, member);
            }
        }
        let members = &self.reading.members;
        let same = best.len() == members.len()
            && best.iter().all(|(person, (_, role, member))| {
                members.get(person).is_some_and(|found| {
                    let keys = found.devices.iter().chain(&found.root).copied().collect::<BTreeSet<_>>();
                    let seniors = self.memberships().filter(|m| self.rank(*m) < self.rank(*member)).count();
                    let place = (found.role, found.membership, found.rank);
                    place == (*role, self.id(*member), seniors) && keys == self.keys_of(*member)
                })
            });
        if same { Ok(()) } else { Err("somebody is shown as what it is not") }
    }

    /// How far the logs of an ended membership count.
    pub(crate) fn reach(&self, account: &Account, member: usize) -> Cut {
        let seats = self.seats().into_iter().filter(|seat| seat.member == member && self.is_seated(*seat));
        let keys: BTreeSet<DeviceKey> = seats.map(|seat| seat.key).collect();
        let ends = account.removed[member] | account.left[member];
        let held = places(self.counts).filter(|at| self.vouches_first(*at, ends));
        let mut reach = Cut::new();
        for at in places(ends).chain(held) {
            for (log, head) in self.act(at).vectors() {
                if keys.contains(&log.device) {
                    let furthest = reach.entry(*log).or_insert(*head);
                    let further = |head: &LogHead| (head.sequence, Reverse(head.hash));
                    *furthest = std::cmp::max_by_key(*furthest, *head, further);
                }
            }
        }
        reach
    }

    /// Whether this is a `Held` about one of these, and its device's first statement to know it.
    fn vouches_first(&self, at: usize, ends: u64) -> bool {
        let Act::Held(..) = self.act(at) else { return false };
        self.lines[at].about.is_some_and(|end| {
            let earlier = |other: usize| self.seat(other) == self.seat(at) && self.knew(other, end);
            ends >> end & 1 == 1 && !places(self.lines[at].past).skip(1).any(earlier)
        })
    }

    pub(crate) fn cuts_hold(&self, account: &Account) -> Result<(), &'static str> {
        let ended = self.memberships().filter(|m| self.counts(*m) && !self.stands(account, *m));
        let cuts: BTreeMap<StatementId, Cut> =
            ended.map(|member| (self.id(member), self.reach(account, member))).collect();
        if cuts == self.reading.cuts { Ok(()) } else { Err("a cut is not where it must be") }
    }

    /// Who can open an epoch in fact, blind to what counts.
    pub(crate) fn holders(&self, epoch: usize) -> BTreeSet<DeviceKey> {
        let Act::Epoch(_, sealed) = self.act(epoch) else { return BTreeSet::new() };
        let mut holders: BTreeSet<DeviceKey> = sealed.iter().copied().collect();
        holders.insert(self.lines[epoch].fact.by.key);
        loop {
            let before = holders.len();
            for line in &self.lines {
                match &line.fact.act {
                    Act::SealKey(of, to) if *of == self.id(epoch) && holders.contains(&line.fact.by.key) => {
                        holders.extend(to)
                    }
                    _ => {}
                }
            }
            if holders.len() == before {
                return holders;
            }
        }
    }

    /// Keys of all memberships that stand.
    pub(crate) fn keys_of_members(&self, account: &Account) -> BTreeSet<DeviceKey> {
        self.standing(account).into_iter().flat_map(|member| self.keys_of(member)).collect()
    }

    /// Whether the author of an epoch knew why whoever is not in is not.
    fn knew_each_ending(&self, account: &Account, epoch: usize) -> bool {
        let past = self.lines[epoch].past;
        let one_of = |acts: u64| acts == 0 || acts & past != 0;
        let seats = self.seats().into_iter().filter(|seat| self.counts(seat.member));
        let revocations = seats.map(|seat| self.revoked(seat)).all(one_of);
        let members = self.memberships().all(|at| {
            let why = match self.reading.ignored.get(&self.id(at)) {
                Some(Reason::InviteClosed) => self.lines[at].about.is_none_or(|invite| {
                    let closed = places(self.closed(account, invite)).filter(|act| !self.knew(*act, at));
                    one_of(closed.fold(0, |closed, act| closed | 1 << act))
                }),
                Some(Reason::NoRight) => {
                    let apart = |act: &usize| !self.knew(at, *act) && !self.knew(*act, at);
                    places(account.changes[self.lines[at].member])
                        .filter(apart)
                        .all(|act| past >> act & 1 == 1)
                }
                _ => true,
            };
            why && one_of(account.removed[at] | account.left[at])
        });
        revocations && members
    }

    pub(crate) fn epoch_holds(&self, account: &Account) -> Result<(), &'static str> {
        let mut keys = None;
        let fits = |at: &usize| {
            matches!(self.act(*at), Act::Epoch(..)) && {
                let keys = keys.get_or_insert_with(|| self.keys_of_members(account));
                self.holders(*at).is_subset(keys) && self.knew_each_ending(account, *at)
            }
        };
        let fitting: Vec<usize> = places(self.counts).filter(fits).collect();
        let counter = |at: usize| match self.act(at) {
            Act::Epoch(counter, _) => *counter,
            _ => 0,
        };
        let greatest =
            fitting.into_iter().max_by_key(|at| (counter(*at), self.author_rank(*at), self.id(*at)));
        let greatest = greatest.map(|at| self.id(at));
        if greatest == self.reading.epoch { Ok(()) } else { Err("the epoch is not the greatest that fits") }
    }
}
