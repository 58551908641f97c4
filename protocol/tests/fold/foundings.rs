//! The sets from which every small roster is explored: each a short story with one thing in it
//! that later statements can act upon.

use fourword_protocol::roster::Role;
use fourword_protocol::roster::fact::{Act, Fact};

use super::set::{Seat, Set, device, key, named, newcomer, number, person, vectors};

/// Name, set, and how many statements are said over it.
pub(crate) type Founding = (String, Set, usize);

impl Set {
    /// Lets somebody say something knowing all that was said: a letter, or a letter and the
    /// number of a further device.
    pub(crate) fn then(self, speaker: &str, act: impl Fn(&Set) -> Act) -> Set {
        let parents = super::set::places(self.heads()).collect::<Vec<_>>();
        self.then_knowing(speaker, &parents, act)
    }

    /// As `then`, but knowing these alone and what they knew.
    pub(crate) fn then_knowing(mut self, speaker: &str, parents: &[usize], act: impl Fn(&Set) -> Act) -> Set {
        let mut letters = speaker.chars();
        let of = letters.next().unwrap();
        let speaks = letters.next().map_or(key(of), |digit| device(of, digit as u8 - b'0'));
        let seat: Seat = self.seats().into_iter().rev().find(|seat| seat.key == speaks).unwrap();
        let parents = parents.iter().map(|at| self.id(*at)).collect();
        let place = self.lines.len() as u64;
        let id = named(number(self.id(0)).wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let fact = Fact { id, by: self.by(seat), parents, act: act(&self) };
        self.grow(fact).unwrap();
        self
    }
}

fn adds(letter: char, role: Role) -> impl Fn(&Set) -> Act {
    move |_| Act::Add(newcomer(letter), role)
}

fn removes(letter: char) -> impl Fn(&Set) -> Act {
    move |_| Act::Remove(person(letter), vectors(key(letter), 1))
}

fn sets_role(letter: char, role: Role) -> impl Fn(&Set) -> Act {
    move |_| Act::SetRole(person(letter), role, vectors(key(letter), 1))
}

fn opens(role: Role) -> impl Fn(&Set) -> Act {
    move |_| Act::OpenInvite(role)
}

fn certifies(letter: char, number: u8) -> impl Fn(&Set) -> Act {
    move |_| Act::Certify(device(letter, number))
}

fn revokes(letter: char, number: u8) -> impl Fn(&Set) -> Act {
    move |_| Act::Revoke(person(letter), device(letter, number), vectors(device(letter, number), 1))
}

fn leaves(_: &Set) -> Act {
    Act::Leave(Vec::new())
}

fn seals_to(letters: &'static str) -> impl Fn(&Set) -> Act {
    move |set| Act::Epoch(1 + set.lines.last().unwrap().counter, letters.chars().map(key).collect())
}

fn reports(letter: char) -> impl Fn(&Set) -> Act {
    move |set| Act::Held(set.lines.last().unwrap().fact.id, vectors(key(letter), 4))
}

fn admits(letter: char) -> impl Fn(&Set) -> Act {
    move |set| {
        let invite = (0..set.lines.len()).rfind(|at| matches!(set.act(*at), Act::OpenInvite(_))).unwrap();
        Act::AcceptInvite(newcomer(letter), set.id(invite))
    }
}

/// Everything over a genesis alone, and over stories of four statements or five.
pub(crate) fn foundings() -> Vec<Founding> {
    let mut foundings = vec![("genesis".to_owned(), Set::begun(), 3)];
    let stories = people().into_iter().chain(invites()).chain(keys()).chain(orphans());
    foundings.extend(stories.map(|(name, set)| (name.to_owned(), set, 2)));
    foundings
}

/// The genesis, and one admin.
fn two() -> Set {
    Set::begun().then("o", adds('a', Role::Admin))
}

/// Who is in, with which role, and who is not any more.
fn people() -> Vec<(&'static str, Set)> {
    use Role::{Admin, Member, Owner};
    let three = two().then("o", adds('b', Admin));
    let owners = Set::begun().then("o", adds('a', Owner));
    let removals = three.clone().then_knowing("a", &[2], removes('b'));
    let lowered = owners.clone().then_knowing("a", &[1], sets_role('a', Admin));
    vec![
        ("a chain", two().then("a", adds('b', Admin)).then("b", adds('c', Admin))),
        ("siblings", three.clone().then("a", adds('c', Member))),
        ("one removed", three.clone().then("a", removes('b'))),
        ("mutual removal", removals.then_knowing("b", &[2], removes('a'))),
        ("removed and added", two().then("o", removes('a')).then("o", adds('a', Member))),
        (
            "removed and added apart",
            two().then_knowing("o", &[1], removes('a')).then_knowing("o", &[1], adds('a', Member)),
        ),
        ("removed and reported", two().then("o", removes('a')).then("o", reports('a'))),
        ("two memberships", three.clone().then("a", adds('b', Owner))),
        ("demoted", three.then("o", sets_role('a', Member))),
        ("roles apart", owners.then("o", adds('b', Member)).then_knowing("o", &[2], sets_role('b', Admin))),
        ("lowered itself", two().then("a", sets_role('a', Member)).then("o", sets_role('a', Admin))),
        ("lowered itself apart", lowered.then_knowing("a", &[1], sets_role('a', Member))),
    ]
}

fn invites() -> Vec<(&'static str, Set)> {
    use Role::{Admin, Member};
    let invite = two().then("a", opens(Admin));
    vec![
        ("an invite", invite.clone().then("o", adds('b', Member))),
        ("let in", invite.clone().then("o", admits('b'))),
        ("let in and out", invite.clone().then("o", admits('b')).then("a", removes('b'))),
        ("two invites", invite.clone().then("o", opens(Member))),
        ("a closed invite", invite.then("a", |set| Act::CloseInvite(set.id(2)))),
    ]
}

fn keys() -> Vec<(&'static str, Set)> {
    let devices = two().then("a", certifies('a', 1));
    let revoked = devices.clone().then("a", revokes('a', 1));
    let passed_on = |set: &Set| Act::SealKey(set.id(2), vec![key('a')]);
    vec![
        ("devices", devices.clone().then("a1", certifies('a', 2))),
        ("devices apart", devices.then_knowing("a", &[1], certifies('a', 2))),
        ("revoked", revoked.clone()),
        ("certified again", revoked.then("a", certifies('a', 1))),
        ("an epoch", two().then("o", adds('b', Role::Admin)).then("o", seals_to("oab"))),
        ("an epoch passed on", two().then("o", seals_to("o")).then("o", passed_on)),
        (
            "epochs apart",
            two().then_knowing("o", &[1], seals_to("oa")).then_knowing("a", &[1], seals_to("oa")),
        ),
    ]
}

/// Groups that their founder has left.
fn orphans() -> Vec<(&'static str, Set)> {
    use Role::{Admin, Member, Owner};
    let members = Set::begun().then("o", adds('a', Member));
    let owners = Set::begun().then("o", adds('a', Owner));
    let heir = members.clone().then("o", leaves);
    let lowered = owners.clone().then_knowing("a", &[1], sets_role('a', Member));
    vec![
        ("orphans", members.then("o", adds('b', Member)).then("o", leaves)),
        ("an heir who adds", heir.clone().then("a", adds('b', Admin))),
        (
            "an heir who adds apart",
            heir.then_knowing("a", &[2], adds('b', Admin)).then_knowing("a", &[2], adds('c', Member)),
        ),
        ("owners", owners.then("a", adds('b', Admin)).then("o", leaves)),
        ("both rulers gone apart", lowered.then_knowing("o", &[1], leaves)),
    ]
}
