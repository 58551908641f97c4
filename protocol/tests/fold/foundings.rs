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

fn admits(letter: char) -> impl Fn(&Set) -> Act {
    move |set| {
        let invite = (0..set.lines.len()).rfind(|at| matches!(set.act(*at), Act::OpenInvite(_))).unwrap();
        Act::AcceptInvite(newcomer(letter), set.id(invite))
    }
}

/// Everything over a genesis alone, and over stories of four statements: six in all.
pub(crate) fn foundings() -> Vec<Founding> {
    use Role::{Admin, Member, Owner};
    let root = Set::begun();
    let two = root.clone().then("o", adds('a', Admin));
    let three = two.clone().then("o", adds('b', Admin));
    let owners = root.clone().then("o", adds('a', Owner));
    let members = root.clone().then("o", adds('a', Member));
    let invite = two.clone().then("a", opens(Admin));
    let devices = two.clone().then("a", certifies('a', 1));
    let stories = [
        ("a chain", two.clone().then("a", adds('b', Admin)).then("b", adds('c', Admin))),
        ("siblings", three.clone().then("a", adds('c', Member))),
        ("one removed", three.clone().then("a", removes('b'))),
        (
            "mutual removal",
            three.clone().then_knowing("a", &[2], removes('b')).then_knowing("b", &[2], removes('a')),
        ),
        ("removed and added", two.clone().then("o", removes('a')).then("o", adds('a', Member))),
        (
            "removed and added apart",
            two.clone().then_knowing("o", &[1], removes('a')).then_knowing("o", &[1], adds('a', Member)),
        ),
        ("two memberships", three.clone().then("a", adds('b', Owner))),
        ("demoted", three.clone().then("o", sets_role('a', Member))),
        (
            "roles apart",
            owners.clone().then("o", adds('b', Member)).then_knowing("o", &[2], sets_role('b', Admin)),
        ),
        ("an invite", invite.clone().then("o", adds('b', Member))),
        ("let in", invite.clone().then("o", admits('b'))),
        ("two invites", invite.clone().then("o", opens(Member))),
        ("devices", devices.clone().then("a1", certifies('a', 2))),
        ("devices apart", devices.clone().then_knowing("a", &[1], certifies('a', 2))),
        ("revoked", devices.clone().then("a", revokes('a', 1))),
        ("an epoch", three.clone().then("o", seals_to("oab"))),
        (
            "epochs apart",
            two.clone().then_knowing("o", &[1], seals_to("oa")).then_knowing("a", &[1], seals_to("oa")),
        ),
        ("orphans", members.clone().then("o", adds('b', Member)).then("o", leaves)),
        ("an heir who adds", members.then("o", leaves).then("a", adds('b', Admin))),
        ("owners", owners.then("a", adds('b', Admin)).then("o", leaves)),
    ];
    let mut foundings = vec![("genesis".to_owned(), root, 3)];
    foundings.extend(stories.map(|(name, set)| (name.to_owned(), set, 2)));
    foundings
}
