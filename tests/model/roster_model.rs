//! Compares the fold with the reference model of the roster, on random sets of statements.
//!
//! `FOURWORD_ROSTER_MODEL` names the directory that holds the model, `roster.py`;
//! `FOURWORD_ROSTER_SETS` says how many sets (1,000), `FOURWORD_ROSTER_SEED` from which seed on.
//! One process of the model reads all sets. Where the two differ on purpose or without effect, no
//! set is made:
//! - the model files a root key that signs under another membership of its person's adder;
//! - it lets an heir open an epoch with any counter, so where somebody may be heir all are fair;
//! - it is asked for names of what is ignored, not for the reasons, which it words otherwise;
//! - it says nothing of reports about demotions and revocations, which cut documents alone.
//!
//! Of epochs the fold asks more than the model: its author must have known of each ending
//! (docs/decisions/0010). So where the two name different ones, the model's is looked at for that.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use fourword_tests::roster_json::{Author, Folded, FoldedMember, JsonRole, Reach, Said, Saying, fold};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DRIVER: &str = "
import json, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from roster import Fold
for line in sys.stdin:
    print(json.dumps(Fold(json.loads(line)).result()), flush=True)
";

const PEOPLE: [&str; 6] = ["ada", "ben", "cem", "dia", "eve", "fay"];
const ROLES: [JsonRole; 5] =
    [JsonRole::Viewer, JsonRole::Member, JsonRole::Admin, JsonRole::Admin, JsonRole::Owner];

#[test]
fn the_fold_reads_every_random_set_as_the_reference_model_does() {
    let Ok(directory) = std::env::var("FOURWORD_ROSTER_MODEL") else {
        eprintln!("left out: FOURWORD_ROSTER_MODEL names no directory with the reference model");
        return;
    };
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (sets, first) = (number("FOURWORD_ROSTER_SETS", 1_000), number("FOURWORD_ROSTER_SEED", 0));
    let mut model = Command::new("python3")
        .args(["-c", DRIVER, &directory])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = model.stdin.take().unwrap();
    let mut answers = BufReader::new(model.stdout.take().unwrap()).lines();
    let (mut members, mut ignored, mut cuts, mut epochs, mut statements) = (0, 0, 0, 0, 0);
    for seed in first..first + sets {
        let set = random_set(seed);
        let text = serde_json::to_string(&set).unwrap();
        writeln!(asked, "{text}").unwrap();
        let answer = answers.next().unwrap().unwrap();
        let theirs: Folded = serde_json::from_str(&answer).unwrap();
        let ours = fold(&serde_json::from_str::<Vec<Said>>(&text).unwrap());
        let names = |folded: &Folded| folded.ignored.keys().cloned().collect::<BTreeSet<_>>();
        let same = ours.members == theirs.members
            && ours.cuts == theirs.cuts
            && (ours.epoch == theirs.epoch || missed_an_ending(&set, &theirs))
            && names(&ours) == names(&theirs);
        assert!(same, "seed {seed}\nset: {text}\nours: {ours:#?}\ntheirs: {theirs:#?}");
        statements += set.len();
        members += ours.members.len();
        ignored += ours.ignored.len();
        cuts += ours.cuts.len();
        epochs += usize::from(ours.epoch.is_some());
    }
    drop(asked);
    assert!(model.wait().unwrap().success());
    println!(
        "{sets} sets of {statements} statements: {members} members, {ignored} ignored, {cuts} cuts, {epochs} epochs"
    );
    assert!(members > 0 && ignored > 0 && cuts > 0 && epochs > 0, "the sets are too poor to tell");
}

/// Whether the epoch that is named was opened by who did not know of something that takes away.
fn missed_an_ending(set: &[Said], folded: &Folded) -> bool {
    let find = |id: &str| set.iter().find(|said| said.id == id);
    let mut known = BTreeSet::new();
    let mut next: Vec<&str> = folded.epoch.as_deref().into_iter().collect();
    while let Some(said) = next.pop().and_then(find) {
        if known.insert(said.id.as_str()) {
            next.extend(said.parents.iter().map(String::as_str));
        }
    }
    let takes_away = |said: &&Said| match said.body {
        Saying::Remove { .. }
        | Saying::Revoke { .. }
        | Saying::Leave { .. }
        | Saying::CloseInvite { .. }
        | Saying::SetRole { .. } => !folded.ignored.contains_key(&said.id),
        _ => false,
    };
    set.iter().filter(takes_away).any(|said| !known.contains(said.id.as_str()))
}

/// A set that grows statement by statement, mostly as people would, partly as they should not.
struct Story {
    rng: ChaCha8Rng,
    said: Vec<Said>,
    /// Who can sign: person, device, membership.
    seats: Vec<[String; 3]>,
    /// How often a story strays from what makes sense.
    strays: f64,
    /// How often somebody ends what others began.
    strife: f64,
    /// Who was in a few statements ago.
    members: Vec<FoldedMember>,
}

fn random_set(seed: u64) -> Vec<Said> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let strays = *[0.0, 0.02, 0.1].choose(&mut rng).unwrap();
    let orphaned = rng.random_bool(0.1);
    // The reference takes exponential time where many ask who the heir was.
    let length = rng.random_range(3..if orphaned { 12 } else { 32 });
    let strife = *[0.05, 0.2, 0.5].choose(&mut rng).unwrap();
    let mut story = Story { rng, said: Vec::new(), seats: Vec::new(), strays, strife, members: Vec::new() };
    story.begins(orphaned);
    for _ in 0..length {
        story.goes_on();
    }
    let mut order: Vec<Said> = Vec::new();
    for said in story.said {
        let place = story.rng.random_range(0..=order.len());
        order.insert(place, said);
    }
    order
}

impl Story {
    fn id(&mut self) -> String {
        format!("{:08x}", self.rng.random_range(0..u32::MAX))
    }

    fn strays(&mut self) -> bool {
        self.rng.random_bool(self.strays)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        choices.choose(&mut self.rng).cloned()
    }

    fn person(&mut self) -> String {
        let among = if self.rng.random_bool(0.3) { PEOPLE.len() } else { 4 };
        PEOPLE[self.rng.random_range(0..among)].to_owned()
    }

    fn role(&mut self) -> JsonRole {
        ROLES[self.rng.random_range(0..ROLES.len())]
    }

    fn begins(&mut self, orphaned: bool) {
        let id = self.id();
        let creator = PEOPLE[0].to_owned();
        let author = Author { person: creator.clone(), device: id.clone(), membership: id.clone() };
        self.seats.push([creator.clone(), id.clone(), id.clone()]);
        let mut last = id.clone();
        self.said.push(Said {
            id,
            author: author.clone(),
            parents: Vec::new(),
            body: Saying::Genesis,
            valid: true,
        });
        if !orphaned {
            return;
        }
        // A group that its founder has left to two who may not rule, until nobody else does.
        let (person, role) = (PEOPLE[1].to_owned(), JsonRole::Member);
        let other = Saying::Add { person: PEOPLE[2].to_owned(), role: JsonRole::Viewer };
        for body in [Saying::Add { person, role }, other, Saying::Leave { vectors: Reach::new() }] {
            let (id, parents) = (self.id(), vec![last]);
            if let Saying::Add { person, .. } = &body {
                self.seats.push([person.clone(), id.clone(), id.clone()]);
            }
            self.said.push(Said { id: id.clone(), author: author.clone(), parents, body, valid: true });
            last = id;
        }
    }

    fn goes_on(&mut self) {
        if self.said.len() % 3 == 1 {
            self.members = fold(&self.said).members.into_values().collect();
        }
        let [mut person, mut device, mut membership] = self.speaker();
        if self.strays() {
            let other = self.rng.random_range(0..self.seats.len());
            match self.rng.random_range(0..3) {
                0 => person = self.seats[other][0].clone(),
                // Signing as one person's root key under another's membership is a case the
                // reference files otherwise, without effect on who is in.
                1 if device != membership => membership = self.seats[other][2].clone(),
                _ => device = membership.clone(),
            }
        }
        let mut body = self.says(&person);
        if let Saying::Epoch { counter, .. } = &mut body
            && self.may_have_an_heir()
        {
            *counter = 1;
        }
        let mut parents = self.knows(&device, &membership, &body);
        if self.strays() {
            let stray = self.id();
            parents.insert(stray);
        }
        let id = self.id();
        let seat = match &body {
            Saying::Add { person, .. } | Saying::AcceptInvite { person, .. } => {
                Some([person.clone(), id.clone(), id.clone()])
            }
            Saying::Certify { .. } => Some([person.clone(), id.clone(), membership.clone()]),
            _ => None,
        };
        let valid = !self.strays();
        self.seats.extend(seat.filter(|_| valid));
        let author = Author { person, device, membership };
        self.said.push(Said { id, author, parents: parents.into_iter().collect(), body, valid });
    }

    /// Whether the creator did anything that could leave nobody to rule.
    fn may_have_an_heir(&self) -> bool {
        self.said.iter().any(|said| {
            let abdicates = match &said.body {
                Saying::Leave { .. } => true,
                Saying::SetRole { person, .. } => person == PEOPLE[0],
                _ => false,
            };
            abdicates && said.author.person == PEOPLE[0]
        })
    }

    /// Mostly somebody who is in, or little of what is said would count.
    fn speaker(&mut self) -> [String; 3] {
        let of_member = |seat: &&[String; 3]| self.members.iter().any(|m| m.membership == seat[2]);
        let speaking: Vec<[String; 3]> = self.seats.iter().filter(of_member).cloned().collect();
        let anybody = self.rng.random_bool(0.15);
        let among = if speaking.is_empty() || anybody { self.seats.clone() } else { speaking };
        self.one_of(&among).unwrap()
    }

    /// What the author knew: mostly what it stands on and speaks of, and something recent.
    fn knows(&mut self, device: &str, membership: &str, body: &Saying) -> BTreeSet<String> {
        let mut parents = BTreeSet::new();
        if !self.strays() {
            parents.extend([device.to_owned(), membership.to_owned()]);
        }
        if let Saying::AcceptInvite { invite: about, .. }
        | Saying::CloseInvite { invite: about }
        | Saying::Held { removal: about, .. }
        | Saying::SealKey { epoch: about, .. } = body
            && !self.rng.random_bool(0.05)
        {
            parents.insert(about.clone());
        }
        let recent = self.said.len().saturating_sub(*[1, 3, 40].choose(&mut self.rng).unwrap());
        for _ in 0..self.rng.random_range(1..4) {
            let place = self.rng.random_range(recent..self.said.len());
            parents.insert(self.said[place].id.clone());
        }
        parents
    }

    fn ids(&self, of: impl Fn(&Saying) -> bool) -> Vec<String> {
        self.said.iter().filter(|said| of(&said.body)).map(|said| said.id.clone()).collect()
    }

    fn vectors(&mut self) -> Reach {
        let mut vectors = Reach::new();
        for _ in 0..self.rng.random_range(0..3) {
            let mut key = self.person();
            if self.rng.random_bool(0.3) {
                key = format!("{key}{}", self.rng.random_range(1..4));
            }
            vectors.insert(format!("{key}/doc"), self.rng.random_range(1..9));
        }
        vectors
    }

    /// Mostly keys of members.
    fn keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> = self.members.iter().flat_map(|m| m.devices.clone()).collect();
        keys.retain(|_| self.rng.random_bool(0.7));
        if self.rng.random_bool(0.2) {
            keys.push(self.person());
        }
        keys
    }

    fn says(&mut self, author: &str) -> Saying {
        let person = if self.rng.random_bool(0.15) { author.to_owned() } else { self.person() };
        let role = self.role();
        let invites = self.ids(|body| matches!(body, Saying::OpenInvite { .. }));
        let epochs = self.ids(|body| matches!(body, Saying::Epoch { .. }));
        let ends = self.ids(|body| matches!(body, Saying::Remove { .. } | Saying::Leave { .. }));
        let stray = if self.strays() { Some(self.id()) } else { None };
        if self.rng.random_bool(self.strife) {
            return match self.rng.random_range(0..10) {
                0..=2 => Saying::Remove { person, vectors: self.vectors() },
                3..=5 => Saying::SetRole { person, role },
                6 => Saying::Leave { vectors: self.vectors() },
                7..=8 => {
                    let number = self.rng.random_range(0..4);
                    let key = if number == 0 { person.clone() } else { format!("{person}{number}") };
                    Saying::Revoke { person, key }
                }
                _ => match stray.or_else(|| self.one_of(&invites)) {
                    Some(invite) => Saying::CloseInvite { invite },
                    None => Saying::SetRole { person: author.to_owned(), role },
                },
            };
        }
        match self.rng.random_range(0..15) {
            0..=3 => Saying::Add { person, role },
            4..=5 => Saying::Certify { key: format!("{author}{}", self.rng.random_range(1..4)) },
            6 => Saying::OpenInvite { role },
            7..=8 => match stray.or_else(|| self.one_of(&invites)) {
                Some(invite) => Saying::AcceptInvite { invite, person },
                None => Saying::OpenInvite { role },
            },
            9..=10 => match stray.or_else(|| self.one_of(&ends)) {
                Some(removal) => Saying::Held { removal, vectors: self.vectors() },
                None => Saying::Add { person, role },
            },
            11..=12 => {
                let counter = self.rng.random_range(1..epochs.len() as u64 + 3);
                Saying::Epoch { counter, keys: self.keys() }
            }
            13 => match stray.or_else(|| self.one_of(&epochs)) {
                Some(epoch) => Saying::SealKey { epoch, key: self.person() },
                None => Saying::Epoch { counter: 1, keys: self.keys() },
            },
            _ => Saying::Unknown,
        }
    }
}
