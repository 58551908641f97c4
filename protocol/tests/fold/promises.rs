//! What must hold of every set, and of every step from one set to the next.
//!
//! Each promise stands by itself and can fail; `wrong` shows that it does. Behind them all the
//! rules are asked once more, verdict by verdict.

use fourword_protocol::ids::StatementId;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::fact::{Act, Fact};
use fourword_protocol::roster::graph::Graph;

use super::set::{Before, LINES_MAX, Seat, Set, log, places};
use super::verdicts::Account;

type Held = Result<(), &'static str>;

/// All that holds of a set by itself.
pub(crate) fn holds_alone(set: &Set) -> Held {
    let account = set.account();
    the_removed_stay_removed(set)?;
    the_senior_stands(set, &account)?;
    chains_of_adders_are_whole(set, &account)?;
    nobody_grants_above_itself(set, &account)?;
    what_is_late_does_not_count(set, &account)?;
    a_closed_invite_admits_nobody(set, &account)?;
    somebody_rules(set)?;
    no_outsider_holds_the_epoch(set, &account)?;
    set.verdicts_hold(&account)?;
    set.members_hold(&account)?;
    set.cuts_hold(&account)?;
    set.epoch_holds(&account)?;
    documents_are_judged_alike(set, &account)
}

fn is_ended(set: &Set, member: usize) -> bool {
    set.reading.cuts.contains_key(&set.id(member))
}

fn the_removed_stay_removed(set: &Set) -> Held {
    for at in places(set.counts) {
        let Act::Remove(person, _) = set.act(at) else { continue };
        let binds = |member: &usize| {
            set.person(*member) == *person
                && set.author_rank(at) < set.rank(*member)
                && !set.knew(*member, at)
                && set.counts(*member)
        };
        if set.memberships().filter(binds).any(|member| !is_ended(set, member)) {
            return Err("the removed did not stay removed");
        }
    }
    Ok(())
}

fn the_senior_stands(set: &Set, account: &Account) -> Held {
    let ended = set.memberships().filter(|member| is_ended(set, *member));
    for member in ended {
        if account.removed[member] | account.left[member] == 0 {
            return Err("a senior did not stand");
        }
    }
    Ok(())
}

fn chains_of_adders_are_whole(set: &Set, account: &Account) -> Held {
    for member in set.reading.members.values() {
        let mut at = set.place(&member.membership).unwrap();
        while at != 0 {
            let adder = set.lines[at].member;
            let opener = set.lines[at].about.map(|invite| set.lines[invite].member);
            let known = |above: usize| set.all_knew(account.removed[above] | account.left[above], at);
            if !set.counts(at) || !known(adder) {
                return Err("a member's chain of adders is broken");
            }
            if opener.is_some_and(|opener| !known(opener)) {
                return Err("a removed opener's invite let somebody in");
            }
            at = adder;
        }
    }
    Ok(())
}

/// No author ever had less than what it granted, unless nobody else ruled.
fn nobody_grants_above_itself(set: &Set, account: &Account) -> Held {
    for at in places(set.counts).skip(1) {
        let (Act::Add(_, role) | Act::SetRole(_, role, _) | Act::OpenInvite(role)) = set.act(at) else {
            continue;
        };
        let author = set.lines[at].member;
        let changed =
            places(account.changes[author] & set.lines[at].past).map(|change| match set.act(change) {
                Act::SetRole(_, role, _) => *role,
                _ => Role::Viewer,
            });
        let best = changed.chain([set.given(author)]).max();
        if best < Some(*role) && !set.has_right(account, at) {
            return Err("a role above its granter's was granted");
        }
    }
    Ok(())
}

/// What somebody writes apart from its end counts for nothing.
fn what_is_late_does_not_count(set: &Set, account: &Account) -> Held {
    for at in places(set.counts).skip(1) {
        if !set.all_knew(account.removed[set.lines[at].member], at) {
            return Err("a late statement of somebody removed counts");
        }
        if !set.all_knew(set.revoked(set.seat(at)), at) {
            return Err("a late statement of a revoked device counts");
        }
        let binds = !matches!(set.act(at), Act::Leave(_) | Act::Certify(_) | Act::Revoke(..));
        if binds && !set.all_knew(account.left[set.lines[at].member], at) {
            return Err("a late statement of somebody who left counts");
        }
    }
    Ok(())
}

fn a_closed_invite_admits_nobody(set: &Set, account: &Account) -> Held {
    for member in set.memberships().filter(|member| set.counts(*member)) {
        let invite = set.lines[member].about;
        if invite.is_some_and(|invite| !set.all_knew(set.closed(account, invite), member)) {
            return Err("a closed invite let somebody in");
        }
    }
    Ok(())
}

fn somebody_rules(set: &Set) -> Held {
    let members = &set.reading.members;
    if !members.is_empty() && members.values().all(|member| member.role < Role::Admin) {
        return Err("nobody rules");
    }
    Ok(())
}

fn no_outsider_holds_the_epoch(set: &Set, account: &Account) -> Held {
    let Some(epoch) = set.reading.epoch else { return Ok(()) };
    let at = set.place(&epoch).unwrap();
    if !set.holders(at).is_subset(&set.keys_of_members(account)) {
        return Err("an outsider holds the epoch that is written under");
    }
    Ok(())
}

/// What a device writes counts under the role its best membership has, by all that is known and
/// apart from it, and nothing beyond the cut of an ended one counts.
fn documents_are_judged_alike(set: &Set, account: &Account) -> Held {
    let all = u64::MAX >> (LINES_MAX - set.lines.len());
    let new = set.lines.len() - 1;
    let below = set.below(new);
    let heir = below.heir(&below.account()).map(|heir| below.id(heir));
    let heir_below = heir.and_then(|heir| set.place(&heir));
    for seat in set.seats() {
        written_by(set, account, seat, all, set.heir(account))?;
        if new > 0 {
            written_by(set, account, seat, set.lines[new].past, heir_below)?;
        }
        beyond_the_cut_nothing_counts(set, account, seat)?;
    }
    Ok(())
}

/// What is written under one key, knowing these, counts under the right role.
fn written_by(set: &Set, account: &Account, seat: Seat, known: u64, heir: Option<usize>) -> Held {
    let speaks = |seat: &Seat| {
        let is_known = known >> seat.vouched & 1 == 1;
        is_known && set.stands(account, seat.member) && set.is_seated(*seat) && set.revoked(*seat) == 0
    };
    let role = |seat: Seat| match set.lowest(account, seat.member, known, !known) {
        role if role < Role::Admin && heir == Some(seat.member) => Role::Owner,
        role => role,
    };
    let same_key = set.seats().into_iter().filter(|other| other.key == seat.key);
    let expected = same_key.filter(speaks).map(role).max();
    let below = places(known).fold(0, |below, at| below | set.lines[at].past);
    let heads: Vec<StatementId> = places(known & !below).map(|at| set.id(at)).collect();
    if set.reading.role_at(&set.graph, &seat.key, &heads, None) != expected {
        return Err("documents are judged by another role than the roster's");
    }
    Ok(())
}

fn beyond_the_cut_nothing_counts(set: &Set, account: &Account, seat: Seat) -> Held {
    let Some(cut) = set.reading.cuts.get(&set.id(seat.member)) else { return Ok(()) };
    let others = || set.seats().into_iter().filter(move |other| other.key == seat.key);
    if others().any(|other| set.stands(account, other.member) || set.revoked(other) != 0) {
        return Ok(());
    }
    let heads: Vec<StatementId> = places(set.heads()).map(|at| set.id(at)).collect();
    let log = log(seat.key);
    let counts =
        |sequence| set.reading.role_at(&set.graph, &seat.key, &heads, Some((&log, sequence))).is_some();
    let reach = cut.get(&log).map_or(0, |head| head.sequence);
    let cuts = set.reading.cuts.values().filter_map(|cut| cut.get(&log));
    let furthest = cuts.map(|head| head.sequence).max().unwrap_or(0);
    if counts(furthest + 1) {
        return Err("a document counts beyond the cut");
    }
    if reach > 0 && set.is_seated(seat) && !counts(reach) {
        return Err("a document within the cut does not count");
    }
    Ok(())
}

/// All that holds of a set and the one before it, smaller by its last statement.
pub(crate) fn holds_between(before: &Before, set: &Set) -> Held {
    let new = set.lines.len() - 1;
    let was = |at: usize| before.counts >> at & 1 == 1;
    let undone: Vec<usize> = places(before.counts & !set.counts).filter(|at| kills(set, *at)).collect();
    no_junior_changes_a_senior(before, set)?;
    let by_senior = undone.iter().any(|kill| set.author_rank(new) <= set.author_rank(*kill));
    let revived = set.counts & !before.counts & !(1 << new) != 0;
    if revived && !(by_senior && set.counts(new) && kills(set, new)) {
        return Err("the dead came back without a senior's act");
    }
    for member in set.memberships().filter(|member| *member != new) {
        let id = set.id(member);
        let stood = was(member) && !before.reading.cuts.contains_key(&id);
        let stands = set.counts(member) && !is_ended(set, member);
        if stood != stands && set.author_rank(new) > set.rank(member) {
            return Err("a junior ended or brought back a senior");
        }
        if !stood && stands && undone.is_empty() {
            return Err("a membership revived though nothing was undone");
        }
    }
    what_does_not_count_changes_nothing(before, set)?;
    a_report_only_lengthens_cuts(before, set)
}

fn kills(set: &Set, at: usize) -> bool {
    matches!(
        set.act(at),
        Act::Remove(..) | Act::SetRole(..) | Act::Revoke(..) | Act::Leave(_) | Act::CloseInvite(_)
    )
}

fn no_junior_changes_a_senior(before: &Before, set: &Set) -> Held {
    let new = set.lines.len() - 1;
    let changed = (before.counts ^ set.counts) & !(1 << new);
    for at in places(changed) {
        let author = set.author_rank(new);
        let over = set.lines[at].rank.split_last().map_or(&[][..], |(_, over)| over);
        if author > set.author_rank(at) && author.as_slice() > over {
            return Err("a junior changed what a senior said");
        }
    }
    Ok(())
}

fn what_does_not_count_changes_nothing(before: &Before, set: &Set) -> Held {
    let new = set.lines.len() - 1;
    let (was, is) = (&before.reading, &set.reading);
    let lets_in = set.act(new).newcomer().is_some();
    if !set.counts(new) && (was.cuts != is.cuts || (!lets_in && was.members != is.members)) {
        return Err("what does not count changed the result");
    }
    Ok(())
}

/// A `Held` touches nobody's membership, and no cut gets shorter by it.
fn a_report_only_lengthens_cuts(before: &Before, set: &Set) -> Held {
    let new = set.lines.len() - 1;
    if !matches!(set.act(new), Act::Held(..)) {
        return Ok(());
    }
    let (was, is) = (&before.reading, &set.reading);
    if was.members != is.members || before.counts != set.counts & !(1 << new) {
        return Err("a report decided who is a member");
    }
    for (member, cut) in &was.cuts {
        let now = is.cuts.get(member);
        let kept = cut.iter().all(|(log, head)| {
            now.and_then(|now| now.get(log)).is_some_and(|now| now.sequence >= head.sequence)
        });
        if !kept {
            return Err("a report made a cut shorter");
        }
    }
    Ok(())
}

/// The same set, built in another order, reads the same.
pub(crate) fn holds_in_another_order(set: &Set) -> Held {
    let mut rest: Vec<&Fact> = set.lines[1..].iter().map(|line| &line.fact).collect();
    rest.reverse();
    let mut graph = Graph::new(set.lines[0].fact.clone()).unwrap();
    while !rest.is_empty() {
        rest.retain(|fact| !graph.insert((*fact).clone()));
    }
    let (one, two) = (&set.reading, graph.read());
    let same = one.members == two.members
        && one.cuts == two.cuts
        && one.ignored == two.ignored
        && one.epoch == two.epoch;
    if same { Ok(()) } else { Err("another order gave another reading") }
}

/// Stops the run with the set that breaks a promise.
pub(crate) fn check(before: &Before, set: &Set, order_too: bool) {
    let mut held = holds_between(before, set).and_then(|()| holds_alone(set));
    if order_too {
        held = held.and_then(|()| holds_in_another_order(set));
    }
    if let Err(broken) = held {
        panic!("{broken}\n{set}");
    }
}
