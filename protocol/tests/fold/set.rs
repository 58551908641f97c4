//! A set of statements as the checks see it, with all that follows from ancestry alone.
//!
//! Ranks, depths and rounds are reckoned here once more, from the statements and not by the fold,
//! so that a fault in how the fold files statements shows as well. Lines are called by their
//! places; sets of places are bits.

use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::fact::{Act, By, Fact, Newcomer};
use fourword_protocol::roster::graph::Graph;
use fourword_protocol::roster::{Reading, Role, Vectors};

/// (depth, id) of each letting in, from the genesis down, or of each certification from the root.
pub(crate) type Rank = Vec<(u32, StatementId)>;

/// The most statements a set can have: places are bits of a word.
pub(crate) const LINES_MAX: usize = 64;

/// One statement and its place among the others.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) fact: Fact,
    /// Its ancestors.
    pub(crate) past: u64,
    pub(crate) depth: u32,
    /// In which round a reader by hash takes it in.
    pub(crate) round: u32,
    /// The greatest fair epoch counter here or below.
    pub(crate) counter: u64,
    /// The adding statement under which it is signed.
    pub(crate) member: usize,
    /// The statement that vouches for its key.
    pub(crate) vouched: usize,
    /// The invite, act or epoch it names, if it knew that.
    pub(crate) about: Option<usize>,
    /// The rank of the membership it makes, if it makes one.
    pub(crate) rank: Rank,
}

/// Statements, parents first, and what the fold reads in them.
#[derive(Clone)]
pub(crate) struct Set {
    pub(crate) lines: Vec<Line>,
    pub(crate) graph: Graph,
    pub(crate) reading: Reading,
    /// What counts.
    pub(crate) counts: u64,
}

/// What a set was before it grew by one statement.
pub(crate) struct Before {
    pub(crate) reading: Reading,
    pub(crate) counts: u64,
}

/// Who signs: a key, the statement that vouches for it, the membership above that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) member: usize,
    pub(crate) vouched: usize,
    pub(crate) key: DeviceKey,
}

/// A person is called by a letter, and so is its root key.
pub(crate) fn person(letter: char) -> PersonId {
    PersonId([letter as u8; 32])
}

pub(crate) fn key(letter: char) -> DeviceKey {
    DeviceKey([letter as u8; 32])
}

/// The letter of a person.
pub(crate) fn letter(person: PersonId) -> char {
    char::from(person.0[0])
}

/// A further key of a person, from 1; 0 is the first device.
pub(crate) fn device(letter: char, number: u8) -> DeviceKey {
    let mut bytes = [letter as u8; 32];
    bytes[1] = b'0' + number;
    DeviceKey(bytes)
}

/// Whoever is let in with the root key alone.
pub(crate) fn newcomer(letter: char) -> Newcomer {
    Newcomer { person: person(letter), root: key(letter), device: None }
}

pub(crate) fn log(key: DeviceKey) -> LogId {
    LogId { document: DocumentKey([0; 32]), device: key, incarnation: Incarnation(0) }
}

/// The end of a log at a sequence, on one of its branches.
pub(crate) fn head(sequence: u64, branch: u8) -> LogHead {
    LogHead { sequence, hash: EnvelopeHash([branch; 32]) }
}

/// The log of one key, held so far.
pub(crate) fn vectors(key: DeviceKey, sequence: u64) -> Vectors {
    vec![(log(key), head(sequence, 0))]
}

/// A name whose place in the order of names is this number.
pub(crate) fn named(number: u64) -> StatementId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    StatementId(id)
}

pub(crate) fn number(id: StatementId) -> u64 {
    id.0[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The places in a set of places.
pub(crate) fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (place < LINES_MAX).then_some(place)
    })
}

impl Set {
    /// The genesis alone, by `o`.
    pub(crate) fn begun() -> Set {
        let id = named(u64::MAX / 2);
        let by = By { person: person('o'), membership: id, certification: id, key: key('o') };
        Set::founded(Fact { id, by, parents: Vec::new(), act: Act::Genesis(newcomer('o')) })
    }

    pub(crate) fn founded(genesis: Fact) -> Set {
        let graph = Graph::new(genesis.clone()).unwrap();
        let line = Line {
            past: 0,
            depth: 0,
            round: 0,
            counter: 0,
            member: 0,
            vouched: 0,
            about: None,
            rank: vec![(0, genesis.id)],
            fact: genesis,
        };
        Set { reading: graph.read(), graph, lines: vec![line], counts: 1 }
    }

    /// Adds a statement whose author has a seat; `None`, and nothing added, if it has none.
    pub(crate) fn grow(&mut self, fact: Fact) -> Option<Before> {
        if self.lines.len() == LINES_MAX || self.graph.contains(&fact.id) || !self.graph.has_seat(&fact) {
            return None;
        }
        let line = self.line(fact.clone());
        assert!(self.graph.insert(fact));
        self.lines.push(line);
        let counts = self.counts;
        let reading = std::mem::replace(&mut self.reading, self.graph.read());
        self.look_again();
        Some(Before { reading, counts })
    }

    /// Takes over what the reading says, after it was changed.
    pub(crate) fn look_again(&mut self) {
        let counts = |line: &Line| !self.reading.ignored.contains_key(&line.fact.id);
        let bits = self.lines.iter().enumerate().filter(|(_, line)| counts(line));
        self.counts = bits.fold(0, |counts, (at, _)| counts | 1 << at);
    }

    /// A copy that has grown.
    pub(crate) fn with(&self, fact: Fact) -> Option<(Before, Set)> {
        let mut set = self.clone();
        set.grow(fact).map(|before| (before, set))
    }

    /// The statements below one, read alone.
    pub(crate) fn below(&self, at: usize) -> Set {
        let mut below = Set::founded(self.lines[0].fact.clone());
        for place in places(self.lines[at].past).skip(1) {
            let fact = self.lines[place].fact.clone();
            let line = below.line(fact.clone());
            assert!(below.graph.insert(fact));
            below.lines.push(line);
        }
        below.reading = below.graph.read();
        below.look_again();
        below
    }

    pub(crate) fn place(&self, id: &StatementId) -> Option<usize> {
        self.lines.iter().position(|line| line.fact.id == *id)
    }

    pub(crate) fn act(&self, at: usize) -> &Act {
        &self.lines[at].fact.act
    }

    pub(crate) fn id(&self, at: usize) -> StatementId {
        self.lines[at].fact.id
    }

    pub(crate) fn knew(&self, later: usize, earlier: usize) -> bool {
        self.lines[later].past >> earlier & 1 == 1
    }

    pub(crate) fn counts(&self, at: usize) -> bool {
        self.counts >> at & 1 == 1
    }

    pub(crate) fn rank(&self, member: usize) -> &Rank {
        &self.lines[member].rank
    }

    /// The rank of who signed a statement.
    pub(crate) fn author_rank(&self, at: usize) -> &Rank {
        self.rank(self.lines[at].member)
    }

    /// The adding statements.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = usize> {
        (0..self.lines.len()).filter(|at| self.act(*at).newcomer().is_some())
    }

    /// Whom an adding statement lets in.
    pub(crate) fn person(&self, member: usize) -> PersonId {
        self.act(member).newcomer().unwrap().person
    }

    /// With which role an adding statement lets in.
    pub(crate) fn given(&self, member: usize) -> Role {
        match (self.act(member), self.lines[member].about) {
            (Act::Genesis(_), _) => Role::Owner,
            (Act::Add(_, role), _) => *role,
            (Act::AcceptInvite(..), Some(invite)) => match self.act(invite) {
                Act::OpenInvite(role) => *role,
                _ => unreachable!("nobody is let in by what is no invite"),
            },
            _ => unreachable!("only an adding statement lets in"),
        }
    }

    /// Everybody who can sign.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let mut seats = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            match &line.fact.act {
                Act::Certify(key) => seats.push(Seat { member: line.member, vouched: at, key: *key }),
                act => {
                    let keys = act.newcomer().into_iter().flat_map(|new| [Some(new.root), new.device]);
                    seats.extend(keys.flatten().map(|key| Seat { member: at, vouched: at, key }));
                }
            }
        }
        seats
    }

    /// The seat under which a statement is signed.
    pub(crate) fn seat(&self, at: usize) -> Seat {
        let line = &self.lines[at];
        Seat { member: line.member, vouched: line.vouched, key: line.fact.by.key }
    }

    /// The rank of a seat among those of its membership; the root key's is empty.
    pub(crate) fn seat_rank(&self, seat: Seat) -> Rank {
        let mut steps = Vec::new();
        let mut above = seat;
        while above.vouched != above.member {
            steps.push((self.lines[above.vouched].depth, self.id(above.vouched)));
            above = self.seat(above.vouched);
        }
        if self.act(above.member).newcomer().is_some_and(|new| new.root != above.key) {
            steps.push((self.lines[above.member].depth, self.id(above.member)));
        }
        steps.reverse();
        steps
    }

    /// Places that nobody followed.
    pub(crate) fn heads(&self) -> u64 {
        let all = u64::MAX >> (LINES_MAX - self.lines.len());
        self.lines.iter().fold(all, |heads, line| heads & !line.past)
    }

    pub(crate) fn by(&self, seat: Seat) -> By {
        By {
            person: self.person(seat.member),
            membership: self.id(seat.member),
            certification: self.id(seat.vouched),
            key: seat.key,
        }
    }

    /// Places the statement over those that are here.
    pub(crate) fn line(&self, fact: Fact) -> Line {
        let parents: Vec<usize> = fact.parents.iter().map(|id| self.place(id).unwrap()).collect();
        let past = parents.iter().fold(0, |past, at| past | self.lines[*at].past | 1 << at);
        let over = parents.iter().map(|at| &self.lines[*at]);
        let depth = 1 + over.clone().map(|line| line.depth).max().unwrap_or(0);
        let round =
            over.clone().map(|line| line.round + u32::from(line.fact.id > fact.id)).max().unwrap_or(0);
        let known = over.map(|line| line.counter).max().unwrap_or(0);
        let counter = match fact.act {
            Act::Epoch(counter, _) if counter <= known.saturating_add(1) => known.max(counter),
            _ => known,
        };
        let about = match &fact.act {
            Act::AcceptInvite(_, id) | Act::CloseInvite(id) | Act::Held(id, _) | Act::SealKey(id, _) => {
                self.place(id).filter(|at| past >> at & 1 == 1)
            }
            _ => None,
        };
        let member = self.place(&fact.by.membership).unwrap();
        let vouched = self.place(&fact.by.certification).unwrap();
        let mut rank = Rank::new();
        if fact.act.newcomer().is_some() {
            let opener = about.map(|invite| self.author_rank(invite));
            rank.clone_from(opener.into_iter().chain([self.rank(member)]).max().unwrap());
            rank.push((depth, fact.id));
        }
        Line { fact, past, depth, round, counter, member, vouched, about, rank }
    }
}

/// A table of who said what, knowing what, and whether it counts.
impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, line) in self.lines.iter().enumerate() {
            let parents: Vec<Option<usize>> = line.fact.parents.iter().map(|id| self.place(id)).collect();
            let verdict = self.reading.ignored.get(&line.fact.id);
            let said = format!("{:?}", line.fact.act);
            let said = said.replace(&format!("{:?}", vectors(line.fact.by.key, 2)), "..");
            writeln!(
                f,
                "{at}: {:?} under {}, {} knowing {parents:?}: {said} {verdict:?}",
                shown(&line.fact.by.key.0),
                line.member,
                line.vouched
            )?;
        }
        for (person, member) in &self.reading.members {
            writeln!(f, "{}: {member:?}", letter(*person))?;
        }
        writeln!(f, "cuts {:?}", self.reading.cuts)
    }
}

fn shown(key: &[u8; 32]) -> String {
    key[..2].iter().map(|byte| char::from(*byte)).collect()
}
