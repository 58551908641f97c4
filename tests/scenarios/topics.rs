//! Who can compute the gossip topics of a group: neither who knows its words and all else that is
//! public of it, nor who was removed.
//!
//! The first is tried with every hash that the protocol makes of anything, read off its sources, over
//! all that a stranger is told; the same search with a member's keys finds every topic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a story that goes wrong shall stop")]

use std::collections::BTreeSet;
use std::path::Path;

use fourword_protocol::command::{ChatCommand, Command, Kind};
use fourword_protocol::effect::Effect;
use fourword_protocol::epoch::{EntitySecret, EpochKey};
use fourword_protocol::ids::{DocumentKey, EntityId, Topic};
use fourword_protocol::schema::{self, Concern, document_id};
use fourword_protocol::words::{FourWords, Naming, StretchInput};
use fourword_tests::cluster::{Cluster, Happened};
use fourword_tests::insider::{keys_of, roster_of};

use crate::people::{id_of, remove};

/// Every name by which the protocol keeps hashes of one kind from those of another.
fn domains() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/src");
    let mut open = vec![sources];
    while let Some(at) = open.pop() {
        if at.is_dir() {
            open.extend(std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let source = std::fs::read_to_string(at).unwrap();
            let quoted = source.split('"').skip(1).step_by(2);
            found.extend(quoted.filter(|text| text.starts_with("fourword")).map(str::to_owned));
        }
    }
    found
}

/// What somebody knows, to be hashed in every way that the protocol knows.
struct Known {
    domains: BTreeSet<String>,
    values: BTreeSet<Vec<u8>>,
}

impl Known {
    /// Hashes by themselves, and under each domain.
    fn hashed(&self, values: &BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
        let plain = values.iter().map(|value| *blake3::hash(value).as_bytes());
        let derived = self
            .domains
            .iter()
            .flat_map(|domain| values.iter().map(|value| blake3::derive_key(domain, value)));
        plain.chain(derived).map(|hash| hash.to_vec()).collect()
    }

    /// Every message under every key, by themselves and under each domain, as far as they are looked for.
    fn keyed(
        &self,
        keys: &BTreeSet<Vec<u8>>,
        messages: &BTreeSet<Vec<u8>>,
        found: &mut impl FnMut([u8; 32]),
    ) {
        for key in keys.iter().filter_map(|key| <[u8; 32]>::try_from(key.as_slice()).ok()) {
            let derived = self.domains.iter().map(|domain| blake3::derive_key(domain, &key));
            for key in derived.chain([key]) {
                messages.iter().for_each(|message| found(*blake3::keyed_hash(&key, message).as_bytes()));
            }
        }
    }

    /// Which of these topics come of it by one hash, or by a hash of hashes.
    fn reach(&self, topics: &BTreeSet<Topic>) -> BTreeSet<Topic> {
        let mut reached = BTreeSet::new();
        let mut look = |hash: [u8; 32]| {
            if topics.contains(&Topic(hash)) {
                reached.insert(Topic(hash));
            }
        };
        let once = self.hashed(&self.values);
        let twice = self.hashed(&once);
        for hash in once.iter().chain(&twice) {
            look(hash.as_slice().try_into().unwrap());
        }
        // Of keyed hashes first what names documents, then what those names are keyed by.
        let mut names = BTreeSet::new();
        self.keyed(&self.values, &self.values, &mut |hash| {
            look(hash);
            names.insert(hash.to_vec());
        });
        self.keyed(&once, &self.values, &mut look);
        self.keyed(&self.values, &once, &mut look);
        self.keyed(&self.values, &names, &mut look);
        reached
    }
}

/// All that anybody is told who knows a group's words and asks its members for it.
fn public(c: &Cluster, at: &str, words: FourWords, id: EntityId) -> BTreeSet<Vec<u8>> {
    let roster = roster_of(c, at, id);
    let genesis = roster.bytes(&roster.ids().next().unwrap()).unwrap();
    let mut values: BTreeSet<Vec<u8>> = BTreeSet::new();
    for between in ["-", " ", ""] {
        values.insert(words.to_string().replace('-', between).into_bytes());
    }
    values.insert(words.to_bytes().to_vec());
    values.insert(id.0.to_vec());
    let lookup = StretchInput::Lookup(Naming::Test, words).run();
    values.insert(lookup.to_vec());
    values.insert(StretchInput::Name(Naming::Test, id.0).run().to_vec());
    values.insert(FourWords::lookup_key(&lookup).0.to_vec());
    values.insert(genesis.to_vec());
    let told = roster.genesis();
    values.insert(told.secret_commitment.to_vec());
    values.insert(told.creator.person.id().0.to_vec());
    for node in ["ada", "ben"] {
        values.insert(c.device(node).unwrap().0.to_vec());
    }
    for concern in [Concern::Core, Concern::Chat] {
        values.insert(concern.segment_name(1).into_bytes());
        values.insert(concern.name().into_bytes());
        values.insert(document_id(Kind::Group, words, &concern, 1).into_bytes());
        // The names that documents would have if the id were the secret.
        values.insert(schema::document_key(&id.0, &concern, 1).0.to_vec());
    }
    values
}

#[test]
fn a_groups_topics_cannot_be_computed_from_all_that_is_public_of_it() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    let id = id_of(&mut c, "ada", group);
    c.send_message("ada", group, "hello");
    c.settle();
    let topics: BTreeSet<Topic> = c.topics("ada").into_iter().collect();
    let secret = keys_of(&roster_of(&c, "ben", id), &c.secret("ben")).1.unwrap();
    let of_group = topics_of(&c, "ben", id, &secret);
    assert!(of_group.len() >= 2 && of_group.is_subset(&topics));
    let mut known = Known { domains: domains(), values: public(&c, "ada", group, id) };
    assert!(known.domains.len() > 20, "{:?}", known.domains);
    assert_eq!(known.reach(&topics), BTreeSet::new());

    // Who has the secret has the names of documents, and still lacks the key of the epoch.
    known.values.insert(secret.bytes().to_vec());
    assert_eq!(known.reach(&topics), BTreeSet::new());
    // The search works: with the key of an epoch it finds the topics that are made with that.
    let key = [9; 32];
    known.values.insert(key.to_vec());
    let made = documents(&secret).map(|document| EpochKey::new(key).topic(document));
    assert_eq!(known.reach(&topics.into_iter().chain(made).collect()), made.into());
}

/// The names under which a group's documents travel.
fn documents(secret: &EntitySecret) -> [DocumentKey; 2] {
    [Concern::Core, Concern::Chat].map(|concern| schema::document_key(secret.bytes(), &concern, 1))
}

/// The topics of a group that somebody computes with a secret, given all statements of the group.
fn topics_of(c: &Cluster, who: &str, id: EntityId, secret: &EntitySecret) -> BTreeSet<Topic> {
    let (keys, _) = keys_of(&roster_of(c, "ada", id), &c.secret(who));
    keys.values().flat_map(|key| documents(secret).map(|document| key.topic(document))).collect()
}

/// Has two say something, one after the other, and gives the topics on which anybody says it.
fn said_on(c: &mut Cluster, group: FourWords) -> BTreeSet<Topic> {
    let mut said = BTreeSet::new();
    for by in ["ada", "ben"] {
        c.begin(by, Command::Chat(group, ChatCommand::say("hello", None)));
        let end = c.now() + 10_000;
        let mut see = |happened: &Happened| {
            for effect in &happened.effects {
                if let Effect::Publish(topic, _) = effect {
                    said.insert(*topic);
                }
            }
        };
        while c.now() < end && c.step_seen(&mut |_, happened| see(happened)) {}
    }
    said
}

#[test]
fn a_removed_member_can_compute_no_topic_on_which_anything_is_said_later() {
    let mut c = Cluster::new(2);
    let others = ["cem", "dan", "fay", "gus"];
    let group = c.group_of(&[&["ada", "ben", "eve"][..], &others].concat());
    let id = id_of(&mut c, "ada", group);
    let secret = keys_of(&roster_of(&c, "eve", id), &c.secret("eve")).1.unwrap();
    let of_eve = |c: &Cluster| topics_of(c, "eve", id, &secret);
    let before = said_on(&mut c, group);
    assert!(!before.is_empty() && before.is_subset(&of_eve(&c)), "eve knows them while it is in");

    remove(&mut c, "ada", group, "eve");
    c.settle();
    let after = said_on(&mut c, group);
    assert!(!after.is_empty() && after.is_disjoint(&of_eve(&c)));
    assert!(after.is_subset(&topics_of(&c, "ben", id, &secret)), "a member knows them");

    // Members listen a while for what is said by those who have not heard of it, and then no more.
    for other in others {
        remove(&mut c, "ada", group, other);
        c.settle();
    }
    let heard: BTreeSet<Topic> = c.topics("ada").into_iter().collect();
    assert!(heard.is_superset(&said_on(&mut c, group)) && heard.is_disjoint(&of_eve(&c)));
}
