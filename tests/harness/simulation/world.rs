//! Who there is, what was asked, and what was promised: the schedule's own view of its world.
//!
//! Kept from commands and their answers alone. The checkers hold what machines show against it.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{CommandId, JoinState, Outcome, Reply};
use fourword_protocol::history::VersionId;
use fourword_protocol::ids::{DeviceKey, EntityId, LogId, PersonId, StatementId};
use fourword_protocol::link::LinkCode;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::words::FourWords;
use fourword_storage::MemoryStore;

use super::profile::Profile;
use super::typing::{Stroke, Typed};
use crate::tally::Tally;

/// One person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: PersonId,
    /// The nodes of its devices, of which the first was its own from the beginning.
    pub(super) nodes: Vec<String>,
    /// Whether promises are made to it and kept by it.
    pub(super) honest: bool,
}

/// A group, or a child of one.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) words: FourWords,
    pub(super) id: EntityId,
    pub(super) founder: usize,
    /// The group whose members are its members.
    pub(super) parent: Option<usize>,
    /// People who are thought to be in.
    pub(super) inside: BTreeSet<usize>,
    pub(super) codes: Vec<(InviteCode, Role)>,
    /// Every role that somebody with the right gave somebody, or may have.
    pub(super) given: BTreeMap<PersonId, BTreeSet<Role>>,
    /// Who was last seen to ask to be let in.
    pub(super) asking: Vec<PersonId>,
}

/// What somebody asked for and was not answered yet.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    /// Makes a message or a thing, or says something about a thing.
    Make {
        group: usize,
        what: What,
        text: String,
    },
    Edit,
    /// Changes a text.
    Type(Stroke),
    Delete {
        thing: ThingId,
    },
    Create {
        parent: Option<usize>,
    },
    Invite {
        group: usize,
        role: Role,
    },
    Join {
        group: usize,
    },
    Leave {
        group: usize,
    },
    Remove {
        group: usize,
        whom: usize,
    },
    Requests {
        group: usize,
    },
    Versions {
        group: usize,
        of: Concern,
    },
    LinkCode,
    Link {
        person: usize,
    },
    Other(&'static str),
}

/// What people make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Message,
    Column,
    Card,
    Issue,
    Element,
    /// Something said about a card or an issue.
    Comment(ThingId),
}

impl What {
    /// What it is called in tallies.
    pub(super) fn made(self) -> &'static str {
        match self {
            What::Message => "messages written",
            What::Column => "columns made",
            What::Card => "cards made",
            What::Issue => "issues made",
            What::Element => "elements made",
            What::Comment(_) => "comments made",
        }
    }
}

impl Intent {
    /// To write a message.
    pub(super) fn send(group: usize, text: String) -> Intent {
        Intent::Make { group, what: What::Message, text }
    }
}

/// A text that somebody wrote, by which a message that shows it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// Who wrote it in truth.
    pub(super) author: usize,
    pub(super) group: usize,
    /// Written by somebody who had been removed by this, in this log from this position on.
    pub(super) beyond: Option<(StatementId, LogId, u64)>,
    /// No honest node may ever show it.
    pub(super) forged: bool,
}

/// Something of which somebody was told that it is done, and the envelope that holds it.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) node: String,
    pub(super) log: LogId,
    pub(super) sequence: u64,
    /// The home that held it is gone by its user's doing, before anybody else had it.
    pub(super) given_up: bool,
    /// Nobody is told what became of it: whoever wrote it has dropped the document since, or lost the home
    /// in which it was, and whoever has it instead knows of it by a snapshot alone.
    pub(super) untold: bool,
}

/// A message or a thing of which its author was told that it is saved.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    /// What it said then: others may have given a thing another title since.
    pub(super) text: String,
    pub(super) group: usize,
    pub(super) what: What,
    pub(super) author: usize,
    pub(super) promise: Promise,
}

/// The whole world.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Group>,
    /// Whose each node is.
    pub(super) nodes: BTreeMap<String, usize>,
    pub(super) asked: BTreeMap<(String, CommandId), Intent>,
    pub(super) texts: BTreeMap<String, Text>,
    pub(super) saved: BTreeMap<ThingId, Saved>,
    /// Of what somebody was told that it is deleted.
    pub(super) deleted: BTreeMap<ThingId, Vec<Promise>>,
    /// What somebody asked to have deleted, answered or not, and who.
    pub(super) doomed: BTreeMap<ThingId, BTreeSet<usize>>,
    pub(super) link_codes: Vec<(LinkCode, usize)>,
    /// The versions that a node was last told of a document of a group.
    pub(super) versions: BTreeMap<(String, usize), (Concern, Vec<VersionId>)>,
    /// The nodes of each device: several where a home was copied.
    pub(super) devices: BTreeMap<DeviceKey, BTreeSet<String>>,
    /// Nodes that were to be linked with a person and do not know that they are: a crash ends that, though
    /// the other side may have done its part, and so does an older home.
    pub(super) linking: BTreeMap<String, usize>,
    /// Older copies of homes, and whose each node was then.
    pub(super) copies: BTreeMap<String, (MemoryStore, usize)>,
    pub(super) done: Tally,
    /// Months in which nothing happened but that clocks went on.
    pub(super) months: i64,
    /// People work on boards, issues and canvases too.
    pub(super) works: bool,
    /// People write in texts of files too.
    pub(super) types: bool,
    pub(super) typed: Typed,
    numbers: u64,
}

impl World {
    /// An empty world, in which people do what they do in a profile.
    pub(super) fn new(profile: Profile) -> World {
        World { works: profile == Profile::Busy, types: profile == Profile::Typed, ..World::default() }
    }

    /// A text that nobody wrote before.
    pub(super) fn new_text(&mut self, author: usize, group: usize, padding: usize) -> String {
        self.numbers += 1;
        let text = format!("{}.{} {}", author, self.numbers, "o".repeat(padding));
        let text = text.trim_end().to_owned();
        self.texts.insert(text.clone(), Text { author, group, beyond: None, forged: false });
        text
    }

    /// A number that was not given before.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Whose node it is.
    pub(super) fn owner(&self, node: &str) -> Option<usize> {
        self.nodes.get(node).copied()
    }

    /// A node has a home of when it was somebody else's: it forgets that it was linked.
    pub(super) fn forget_link(&mut self, node: &str, before: usize) {
        let Some(of) = self.nodes.insert(node.to_owned(), before).filter(|of| *of != before) else { return };
        self.linking.insert(node.to_owned(), of);
        if let Some(person) = self.people.get_mut(of) {
            person.nodes.retain(|name| name != node);
        }
    }

    /// As whom a node may act: as its owner, or already as whoever it is being linked with.
    pub(super) fn acts_as(&self, node: &str) -> impl Iterator<Item = usize> {
        [self.owner(node), self.linking.get(node).copied()].into_iter().flatten()
    }

    /// Whether a node is an honest person's.
    pub(super) fn is_honest(&self, node: &str) -> bool {
        self.owner(node).and_then(|person| self.people.get(person)).is_some_and(|person| person.honest)
    }

    /// Whether all nodes of a device are honest people's.
    pub(super) fn is_device_honest(&self, device: &DeviceKey) -> bool {
        self.devices.get(device).is_some_and(|nodes| nodes.iter().all(|node| self.is_honest(node)))
    }

    /// Whether any member deletes it, whoever made it: so are elements of canvases.
    pub(super) fn is_anybodys(&self, thing: &ThingId) -> bool {
        self.saved.get(thing).is_some_and(|saved| saved.what == What::Element)
    }

    /// All that somebody was told is saved or deleted.
    pub(super) fn promises(&self) -> impl Iterator<Item = &Promise> {
        let things = self.saved.values().map(|saved| &saved.promise).chain(self.deleted.values().flatten());
        let words = self.typed.written.values().map(|(_, promise)| promise);
        things.chain(words).chain(self.typed.erased.values().flatten())
    }

    /// The same, to be changed.
    pub(super) fn promises_mut(&mut self) -> impl Iterator<Item = &mut Promise> {
        let saved = self.saved.values_mut().map(|saved| &mut saved.promise);
        let things = saved.chain(self.deleted.values_mut().flatten());
        let words = self.typed.written.values_mut().map(|(_, promise)| promise);
        things.chain(words).chain(self.typed.erased.values_mut().flatten())
    }

    pub(super) fn person_of(&self, id: &PersonId) -> Option<usize> {
        self.people.iter().position(|person| person.id == *id)
    }

    pub(super) fn group_of(&self, words: FourWords) -> Option<usize> {
        self.groups.iter().position(|group| group.words == words)
    }

    /// The group whose roster counts for a group.
    pub(super) fn root_of(&self, group: usize) -> usize {
        self.groups.get(group).and_then(|g| g.parent).unwrap_or(group)
    }

    /// Notes that somebody may have this role now.
    pub(super) fn give(&mut self, group: usize, person: PersonId, role: Role) {
        if let Some(group) = self.groups.get_mut(group) {
            group.given.entry(person).or_default().insert(role);
        }
    }

    /// The highest role that somebody ever was given.
    pub(super) fn highest(&self, group: usize, person: usize) -> Option<Role> {
        let id = self.people.get(person)?.id;
        self.groups.get(group)?.given.get(&id)?.last().copied()
    }

    /// Takes in what a command led to, but for what the checker keeps of what was saved.
    pub(super) fn answered(&mut self, node: &str, intent: &Intent, outcome: &Outcome) {
        let Outcome::Done(reply) = outcome else { return self.done.count("commands refused") };
        self.done.count("commands done");
        let Some(by) = self.owner(node) else { return };
        match (intent, reply) {
            (Intent::Create { parent }, Reply::Entity(view)) => {
                let mut given = BTreeMap::new();
                if let Some(person) = self.people.get(by) {
                    given.insert(person.id, BTreeSet::from([Role::Owner]));
                }
                let inside = BTreeSet::from([by]);
                let (words, id, parent) = (view.words, view.id, *parent);
                let (codes, asking) = (Vec::new(), Vec::new());
                self.groups.push(Group { words, id, founder: by, parent, inside, codes, given, asking });
                self.done.count(if parent.is_some() { "children made" } else { "groups made" });
            }
            (Intent::Invite { group, role }, Reply::Invite(code)) => {
                if let Some(group) = self.groups.get_mut(*group) {
                    group.codes.push((code.clone(), *role));
                }
            }
            (Intent::Join { group }, Reply::Joined(_, JoinState::Joined)) => {
                if let Some(group) = self.groups.get_mut(*group) {
                    group.inside.insert(by);
                }
                self.done.count("joins");
            }
            (Intent::Leave { group }, Reply::Ok) => {
                if let Some(group) = self.groups.get_mut(*group) {
                    group.inside.remove(&by);
                }
                self.done.count("leavings");
            }
            (Intent::Remove { group, whom }, Reply::Ok) => {
                if let Some(group) = self.groups.get_mut(*group) {
                    group.inside.remove(whom);
                }
                self.done.count("removals");
            }
            (Intent::Requests { group }, Reply::Requests(requests)) => {
                if let Some(group) = self.groups.get_mut(*group) {
                    group.asking = requests.iter().map(|request| request.person.person).collect();
                }
            }
            (Intent::Versions { group, of }, Reply::Versions(told)) => {
                let versions = told.versions.iter().map(|version| version.id).collect();
                self.versions.insert((node.to_owned(), *group), (*of, versions));
            }
            (Intent::LinkCode, Reply::Link(code)) => self.link_codes.push((code.clone(), by)),
            (Intent::Link { person }, Reply::Ok) => {
                self.nodes.insert(node.to_owned(), *person);
                self.linking.remove(node);
                if let Some(person) = self.people.get_mut(*person) {
                    person.nodes.push(node.to_owned());
                }
                self.done.count("devices linked");
            }
            (Intent::Type(_), _) => self.done.count("texts changed"),
            (Intent::Other(kind), _) => self.done.count(kind),
            _ => {}
        }
    }
}
