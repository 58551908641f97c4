//! Reads sets of roster statements from JSON, folds them, and writes what they say as JSON.
//!
//! The `fold` program and the comparison with the reference model use it. Names in the JSON are
//! any strings and become 32-byte names in the same order, because the order of ids decides.
//! The rules that the fold follows: docs/PROTOCOL.md, section 4.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::ids::{
    DeviceKey, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::Role;
use fourword_protocol::roster::Vectors;
use fourword_protocol::roster::fact::{Act, By, Fact, Newcomer};
use fourword_protocol::roster::graph::Graph;
use fourword_protocol::roster::reading::Cut;
use serde::{Deserialize, Serialize};

/// One statement as the JSON has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Said {
    /// Any string; the order of ids stands for the order of hashes.
    pub id: String,
    /// Who said it.
    pub author: Author,
    /// The ids it knew.
    pub parents: Vec<String>,
    /// What it says.
    pub body: Saying,
    /// Whether the signature holds.
    #[serde(default = "valid", skip_serializing_if = "is_valid")]
    pub valid: bool,
}

/// Who said it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Author {
    /// The person, whose root key has the same name.
    pub person: String,
    /// The `Certify` that made the device, or the membership for the root key.
    pub device: String,
    /// The adding statement.
    pub membership: String,
}

/// How far logs reach, by `key/document`.
pub type Reach = BTreeMap<String, u64>;

/// What a statement says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type")]
#[allow(missing_docs, reason = "the fields are those of the roster's bodies")]
pub enum Saying {
    Genesis,
    Add {
        person: String,
        role: JsonRole,
    },
    Remove {
        person: String,
        #[serde(default)]
        vectors: Reach,
    },
    SetRole {
        person: String,
        role: JsonRole,
    },
    OpenInvite {
        role: JsonRole,
    },
    AcceptInvite {
        invite: String,
        person: String,
    },
    CloseInvite {
        invite: String,
    },
    Leave {
        #[serde(default)]
        vectors: Reach,
    },
    Certify {
        key: String,
    },
    Revoke {
        person: String,
        key: String,
    },
    Held {
        removal: String,
        #[serde(default)]
        vectors: Reach,
    },
    Epoch {
        counter: u64,
        keys: Vec<String>,
    },
    SealKey {
        epoch: String,
        key: String,
    },
    #[serde(other)]
    Unknown,
}

/// A role by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the roles of the roster")]
pub enum JsonRole {
    Viewer,
    Member,
    Admin,
    Owner,
}

/// What a set of statements says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Folded {
    /// For each ended membership how far its logs count.
    pub cuts: BTreeMap<String, Reach>,
    /// The epoch to write under.
    pub epoch: Option<String>,
    /// What does not count, and why.
    pub ignored: BTreeMap<String, String>,
    /// Who is in.
    pub members: BTreeMap<String, FoldedMember>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FoldedMember {
    /// Keys of its devices, with the root key, ascending.
    pub devices: Vec<String>,
    /// The adding statement.
    pub membership: String,
    /// Depth and id of each adding statement from the genesis.
    pub rank: Vec<(u32, String)>,
    /// What it may do.
    pub role: JsonRole,
}

/// Folds a set of statements given in any order.
pub fn fold(set: &[Said]) -> Folded {
    let names = Names::of(set);
    let mut ignored: BTreeMap<String, String> = BTreeMap::new();
    let mut pending: BTreeMap<&str, &Said> = BTreeMap::new();
    for said in set {
        if said.valid {
            pending.insert(&said.id, said);
        } else {
            ignored.insert(said.id.clone(), "signature".into());
        }
    }
    let keys: BTreeMap<&str, &str> =
        pending.values().filter_map(|said| Some((said.id.as_str(), vouched_key(said)?))).collect();
    let first = pending.values().find(|s| matches!(s.body, Saying::Genesis) && s.parents.is_empty());
    let graph = first.map(|said| said.id.clone()).and_then(|id| {
        let genesis = pending.remove(id.as_str())?;
        Graph::new(names.fact(genesis, &keys))
    });
    let Some(mut graph) = graph else {
        ignored.extend(pending.keys().map(|id| (id.to_string(), "a parent is missing".into())));
        return Folded { cuts: BTreeMap::new(), epoch: None, ignored, members: BTreeMap::new() };
    };
    loop {
        let waiting = pending.len();
        pending.retain(|_, said| !graph.insert(names.fact(said, &keys)));
        if pending.len() == waiting {
            break;
        }
    }
    ignored.extend(pending.keys().map(|id| (id.to_string(), "a parent is missing".into())));
    names.folded(set, &graph, ignored)
}

/// The key that a statement vouches for.
fn vouched_key(said: &Said) -> Option<&str> {
    match &said.body {
        Saying::Genesis => Some(&said.author.person),
        Saying::Add { person, .. } | Saying::AcceptInvite { person, .. } => Some(person),
        Saying::Certify { key } => Some(key),
        _ => None,
    }
}

/// Strings and the 32-byte names that stand for them in the same order.
struct Names<'a> {
    sorted: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn of(set: &'a [Said]) -> Names<'a> {
        let mut all: BTreeSet<&str> = BTreeSet::new();
        for said in set {
            all.extend(
                [&said.id, &said.author.person, &said.author.device, &said.author.membership]
                    .map(String::as_str),
            );
            all.extend(said.parents.iter().map(String::as_str));
            match &said.body {
                Saying::Add { person, .. } | Saying::SetRole { person, .. } => {
                    all.insert(person);
                }
                Saying::Remove { person, vectors } => {
                    all.insert(person);
                    insert_logs(&mut all, vectors);
                }
                Saying::AcceptInvite { invite, person } => all.extend([invite.as_str(), person]),
                Saying::CloseInvite { invite } => {
                    all.insert(invite);
                }
                Saying::Leave { vectors } => insert_logs(&mut all, vectors),
                Saying::Certify { key } => {
                    all.insert(key);
                }
                Saying::Revoke { person, key } => all.extend([person.as_str(), key]),
                Saying::Held { removal, vectors } => {
                    all.insert(removal);
                    insert_logs(&mut all, vectors);
                }
                Saying::Epoch { keys, .. } => all.extend(keys.iter().map(String::as_str)),
                Saying::SealKey { epoch, key } => all.extend([epoch.as_str(), key]),
                Saying::Genesis | Saying::OpenInvite { .. } | Saying::Unknown => {}
            }
        }
        Names { sorted: all.into_iter().collect() }
    }

    /// 1 and upward; zero is nobody's.
    fn bytes(&self, name: &str) -> [u8; 32] {
        let number = self.sorted.binary_search(&name).map_or(0, |place| place as u64 + 1);
        let mut bytes = [0; 32];
        for (byte, digit) in bytes.iter_mut().zip(number.to_be_bytes()) {
            *byte = digit;
        }
        bytes
    }

    fn name(&self, bytes: &[u8; 32]) -> String {
        let number = bytes.iter().take(8).fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        let name = number.checked_sub(1).and_then(|place| self.sorted.get(place));
        name.map_or_else(String::new, |name| (*name).to_owned())
    }

    fn statement(&self, name: &str) -> StatementId {
        StatementId(self.bytes(name))
    }

    fn person(&self, name: &str) -> PersonId {
        PersonId(self.bytes(name))
    }

    fn key(&self, name: &str) -> DeviceKey {
        DeviceKey(self.bytes(name))
    }

    fn newcomer(&self, person: &str) -> Newcomer {
        Newcomer { person: self.person(person), root: self.key(person), device: None }
    }

    /// A log's document is named by the whole string, so that it can be written back.
    fn vectors(&self, reach: &Reach) -> Vectors {
        let log = |log: &str| LogId {
            document: DocumentKey(self.bytes(log)),
            device: self.key(device_of(log)),
            incarnation: Incarnation(0),
        };
        let head = |sequence: &u64| LogHead { sequence: *sequence, hash: EnvelopeHash([0; 32]) };
        reach.iter().map(|(name, sequence)| (log(name), head(sequence))).collect()
    }

    fn fact(&self, said: &Said, keys: &BTreeMap<&str, &str>) -> Fact {
        let by = By {
            person: self.person(&said.author.person),
            membership: self.statement(&said.author.membership),
            certification: self.statement(&said.author.device),
            key: keys.get(said.author.device.as_str()).map_or(DeviceKey([0; 32]), |key| self.key(key)),
        };
        let parents = said.parents.iter().map(|parent| self.statement(parent)).collect();
        Fact { id: self.statement(&said.id), by, parents, act: self.act(said) }
    }

    fn act(&self, said: &Said) -> Act {
        match &said.body {
            Saying::Genesis => Act::Genesis(self.newcomer(&said.author.person)),
            Saying::Add { person, role } => Act::Add(self.newcomer(person), role.role()),
            Saying::Remove { person, vectors } => Act::Remove(self.person(person), self.vectors(vectors)),
            Saying::SetRole { person, role } => Act::SetRole(self.person(person), role.role(), Vec::new()),
            Saying::OpenInvite { role } => Act::OpenInvite(role.role()),
            Saying::AcceptInvite { invite, person } => {
                Act::AcceptInvite(self.newcomer(person), self.statement(invite))
            }
            Saying::CloseInvite { invite } => Act::CloseInvite(self.statement(invite)),
            Saying::Leave { vectors } => Act::Leave(self.vectors(vectors)),
            Saying::Certify { key } => Act::Certify(self.key(key)),
            Saying::Revoke { person, key } => Act::Revoke(self.person(person), self.key(key), Vec::new()),
            Saying::Held { removal, vectors } => Act::Held(self.statement(removal), self.vectors(vectors)),
            Saying::Epoch { counter, keys } => {
                Act::Epoch(*counter, keys.iter().map(|k| self.key(k)).collect())
            }
            Saying::SealKey { epoch, key } => Act::SealKey(self.statement(epoch), vec![self.key(key)]),
            Saying::Unknown => Act::Unknown,
        }
    }

    fn folded(&self, set: &[Said], graph: &Graph, mut ignored: BTreeMap<String, String>) -> Folded {
        let reading = graph.read();
        ignored.extend(reading.ignored.iter().map(|(id, why)| (self.name(&id.0), format!("{why:?}"))));
        let members = reading.members.iter().map(|(person, member)| {
            let keys: BTreeSet<String> =
                member.devices.iter().chain(&member.root).map(|key| self.name(&key.0)).collect();
            let rank = graph.rank(&member.membership).unwrap_or_default();
            let folded = FoldedMember {
                devices: keys.into_iter().collect(),
                membership: self.name(&member.membership.0),
                rank: rank.iter().map(|(depth, id)| (*depth, self.name(&id.0))).collect(),
                role: JsonRole::of(member.role),
            };
            (self.name(&person.0), folded)
        });
        let reach = |cut: &Cut| -> Reach {
            cut.iter().map(|(log, head)| (self.name(&log.document.0), head.sequence)).collect()
        };
        let cuts = reading.cuts.iter().map(|(membership, own)| {
            let others = self.vouched_for(set, graph, membership);
            let others = reading.named_at_end(graph, membership, &others).unwrap_or_default();
            (self.name(&membership.0), reach(&own.iter().chain(&others).map(|(l, n)| (*l, *n)).collect()))
        });
        Folded {
            cuts: cuts.collect(),
            epoch: reading.epoch.map(|epoch| self.name(&epoch.0)),
            members: members.collect(),
            ignored,
        }
    }

    /// Keys that statements under a membership vouch for. The reference model shows their logs in
    /// a cut where its acts name them, though a cut binds none but the membership's own devices,
    /// and of these none whose certification does not count.
    fn vouched_for(&self, set: &[Said], graph: &Graph, membership: &StatementId) -> BTreeSet<DeviceKey> {
        let keys = set.iter().filter_map(|said| Some((said.id.as_str(), vouched_key(said)?))).collect();
        let said = set.iter().filter(|said| {
            said.valid
                && self.statement(&said.author.membership) == *membership
                && graph.has_seat(&self.fact(said, &keys))
        });
        said.filter_map(vouched_key).map(|key| self.key(key)).collect()
    }
}

impl JsonRole {
    fn role(self) -> Role {
        match self {
            JsonRole::Viewer => Role::Viewer,
            JsonRole::Member => Role::Member,
            JsonRole::Admin => Role::Admin,
            JsonRole::Owner => Role::Owner,
        }
    }

    fn of(role: Role) -> JsonRole {
        match role {
            Role::Viewer => JsonRole::Viewer,
            Role::Member => JsonRole::Member,
            Role::Admin => JsonRole::Admin,
            Role::Owner => JsonRole::Owner,
        }
    }
}

fn insert_logs<'a>(all: &mut BTreeSet<&'a str>, vectors: &'a Reach) {
    for log in vectors.keys() {
        all.extend([log.as_str(), device_of(log)]);
    }
}

fn device_of(log: &str) -> &str {
    log.split('/').next().unwrap_or(log)
}

fn valid() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_valid(valid: &bool) -> bool {
    *valid
}
