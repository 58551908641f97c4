//! What machines show: chats, members and things, read from them as a person would.
//!
//! What changed is noted as events come, and looked at once their effects are carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fourword_protocol::command::{ChatCommand, Command, MessageView, Reply};
use fourword_protocol::ids::StatementId;
use fourword_protocol::inspect::Holding;
use fourword_protocol::roster::Statement;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::thing::ThingId;

use super::check::vectors;
use super::rosters::{Rosters, Run};
use super::things::{self, ThingShown};
use super::truth;
use super::verdict::{Rule, Violation, demand};
use super::world::World;
use crate::cluster::Cluster;

/// What was shown, and what must be looked at.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// What a run of a node has shown as deleted.
    deleted: BTreeMap<Run, BTreeSet<ThingId>>,
    chats: BTreeSet<(String, usize)>,
    things: BTreeSet<(String, usize)>,
    members: BTreeSet<(String, usize)>,
}

impl Shown {
    /// The chat of a group may be another one at a node.
    pub(super) fn note_chat(&mut self, name: &str, group: usize) {
        self.chats.insert((name.to_owned(), group));
    }

    /// The boards, issues or canvas of a group may be others at a node.
    pub(super) fn note_things(&mut self, name: &str, group: usize) {
        self.things.insert((name.to_owned(), group));
    }

    /// Any document may be another one at a node.
    pub(super) fn note_documents(&mut self, name: &str, world: &World) {
        let all = || (0..world.groups.len()).map(|group| (name.to_owned(), group));
        self.chats.extend(all());
        self.things.extend(all());
    }

    /// The members of a group may be others at a node.
    pub(super) fn note_members(&mut self, name: &str, group: usize) {
        self.members.insert((name.to_owned(), group));
    }

    /// All that a node shows may be otherwise.
    pub(super) fn note_all(&mut self, name: &str, world: &World) {
        self.note_documents(name, world);
        let roots = world.groups.iter().enumerate().filter(|(_, group)| group.parent.is_none());
        self.members.extend(roots.map(|(at, _)| (name.to_owned(), at)));
    }

    /// A node forgets a document, and may see it come back in any order.
    pub(super) fn forgets(&mut self, name: &str) {
        self.deleted.retain(|(node, _), _| node != name);
    }

    /// Looks at what changed in what machines show, once effects are carried out.
    pub(super) fn look(
        &mut self,
        c: &mut Cluster,
        world: &World,
        rosters: &Rosters,
        documents: &mut Documents,
    ) -> Result<(), Violation> {
        for (name, group) in std::mem::take(&mut self.chats) {
            if c.is_up(&name) && !c.node(&name).taken_over {
                let Some(shown) = documents.chat(c, world, &name, group) else { continue };
                self.look_at_chat((c, world, rosters), (&name, group), &shown)?;
            }
        }
        for (name, group) in std::mem::take(&mut self.things) {
            if world.works && c.is_up(&name) && !c.node(&name).taken_over {
                self.look_at_things((c, world, rosters), (&name, group), documents)?;
            }
        }
        for (name, group) in std::mem::take(&mut self.members) {
            if c.is_up(&name) && !c.node(&name).taken_over {
                look_at_members(c, world, &name, group)?;
            }
        }
        Ok(())
    }

    fn look_at_chat(
        &mut self,
        (c, world, rosters): (&Cluster, &World, &Rosters),
        (name, group): (&str, usize),
        shown: &[MessageView],
    ) -> Result<(), Violation> {
        let run = (name.to_owned(), c.node(name).run);
        let mut seen = self.deleted.remove(&run).unwrap_or_default();
        for view in shown {
            let message = &view.message;
            if message.deleted {
                seen.insert(message.id);
                continue;
            }
            if seen.remove(&message.id) {
                judge_again((c, world, rosters), (&run, group), &message.id, &message.text)?;
            }
            judge_author(world, name, group, view)?;
            judge_beyond(world, rosters, &run, &message.text)?;
        }
        self.deleted.insert(run, seen);
        Ok(())
    }

    fn look_at_things(
        &mut self,
        (c, world, rosters): (&mut Cluster, &World, &Rosters),
        (name, group): (&str, usize),
        documents: &mut Documents,
    ) -> Result<(), Violation> {
        let shown = documents.things(c, world, name, group);
        let gone = things::deleted(c, world, name, group);
        things::judge(world, name, group, &shown)?;
        let run = (name.to_owned(), c.node(name).run);
        let mut seen = self.deleted.remove(&run).unwrap_or_default();
        for thing in shown.iter() {
            if seen.remove(&thing.id) {
                judge_again((c, world, rosters), (&run, group), &thing.id, &thing.title)?;
            }
            judge_beyond(world, rosters, &run, &thing.title)?;
        }
        seen.extend(gone);
        self.deleted.insert(run, seen);
        Ok(())
    }
}

/// What a run of a node has shown as deleted is shown again: that deletion counts no more.
fn judge_again(
    (c, world, rosters): (&Cluster, &World, &Rosters),
    (run, group): (&Run, usize),
    id: &ThingId,
    text: &str,
) -> Result<(), Violation> {
    // What a disk did not take is forgotten, and was never said to be done.
    if c.node(&run.0).disk.failed {
        return Ok(());
    }
    let root = world.groups.get(world.root_of(group)).map(|root| root.id);
    let roster = root.and_then(|root| rosters.now(run, root));
    let void = roster.is_some_and(|roster| truth::deletion_is_void(c, world, &run.0, &roster, id));
    demand(void, Rule::DeletedStaysDeleted, || {
        format!("{} showed {text:?} as deleted, and now shows it again", run.0)
    })
}

/// What was written beyond a removal is not shown to who knows of that removal.
fn judge_beyond(world: &World, rosters: &Rosters, run: &Run, text: &str) -> Result<(), Violation> {
    let Some((removal, log, sequence)) = world.texts.get(text).and_then(|text| text.beyond) else {
        return Ok(());
    };
    let known: BTreeSet<StatementId> = rosters.known(run).iter().map(|(_, id)| *id).collect();
    let spared = known.iter().filter_map(|id| rosters.statement(id)).any(|statement| {
        vectors(statement.body()).iter().any(|(of, head)| *of == log && head.sequence >= sequence)
    });
    // Of who removed it may have come to be known since that it had no right to any more.
    let entity = rosters.statement(&removal).map(Statement::entity);
    let roster = entity.and_then(|entity| rosters.now(run, entity));
    let is_void = roster.is_some_and(|roster| roster.reading().ignored.contains_key(&removal));
    demand(spared || is_void || !known.contains(&removal), Rule::RemovedWritesNothing, || {
        format!("{} knows of the removal and shows {text:?}, written beyond it", run.0)
    })
}

fn look_at_members(c: &mut Cluster, world: &World, name: &str, at: usize) -> Result<(), Violation> {
    let Some(group) = world.groups.get(at) else { return Ok(()) };
    let Some(Reply::Members(members)) = c.peek(name, Command::Members(group.words)) else {
        return Ok(());
    };
    let founder = world.people.get(group.founder).map(|person| person.id);
    let is_in = members.iter().any(|member| Some(member.person.person) == founder);
    demand(is_in, Rule::SeniorStays, || format!("{name} does not show who founded the group as a member"))?;
    for member in members {
        let person = member.person.person;
        let given = group.given.get(&person).is_some_and(|roles| roles.contains(&member.role));
        demand(given, Rule::RoleIsGiven, || {
            let who = world.person_of(&person).map(|p| world.people[p].nodes.clone());
            format!("{name} shows {who:?} as {:?}, which nobody with the right made it", member.role)
        })?;
    }
    Ok(())
}

/// Documents as nodes show them at one moment, each read once.
#[derive(Debug, Default)]
pub(super) struct Documents {
    chats: BTreeMap<(String, usize), Option<Rc<Vec<MessageView>>>>,
    things: BTreeMap<(String, usize), Rc<Vec<ThingShown>>>,
}

impl Documents {
    /// A chat as a node shows it, if it is in memory there.
    pub(super) fn chat(
        &mut self,
        c: &mut Cluster,
        world: &World,
        name: &str,
        group: usize,
    ) -> Option<Rc<Vec<MessageView>>> {
        let read = || chat(c, world, name, group).map(Rc::new);
        self.chats.entry((name.to_owned(), group)).or_insert_with(read).clone()
    }

    /// The boards, issues and canvas of a group as a node shows them, as far as they are in memory.
    pub(super) fn things(
        &mut self,
        c: &mut Cluster,
        world: &World,
        name: &str,
        group: usize,
    ) -> Rc<Vec<ThingShown>> {
        let read = || Rc::new(things::things(c, world, name, group));
        Rc::clone(self.things.entry((name.to_owned(), group)).or_insert_with(read))
    }
}

/// A chat as a node shows it, if it is in memory there.
pub(super) fn chat(c: &mut Cluster, world: &World, name: &str, group: usize) -> Option<Vec<MessageView>> {
    let place = world.groups.get(group)?;
    // To look must not bring segments into memory: then something happened, and is looked at again.
    let is_cold = |h: &Holding| {
        h.place() == place.id && h.segment().0 == Concern::Chat && !h.heads().is_empty() && !h.is_in_memory()
    };
    if c.holdings(name).filter(is_cold).any(|holding| holding.segment().1 > 1 || holding.is_read()) {
        return None;
    }
    let words = place.words;
    match c.peek(name, Command::Chat(words, ChatCommand::Read { last: 10_000 }))? {
        Reply::Messages(messages) => Some(messages),
        _ => None,
    }
}

/// Whoever a message is shown of has written it, in this group.
pub(super) fn judge_author(
    world: &World,
    name: &str,
    group: usize,
    view: &MessageView,
) -> Result<(), Violation> {
    let text = &view.message.text;
    let Some(known) = world.texts.get(text) else {
        return Err(Violation::new(Rule::AuthorIsTrue, format!("{name} shows {text:?}, which nobody wrote")));
    };
    let author = world.people.get(known.author).map(|person| person.id);
    // A node that was linked meanwhile writes as whoever it was linked to.
    let shown = world.person_of(&view.author.person);
    let is_of = |node: &String| world.owner(node) == shown || world.linking.contains_key(node);
    let nodes = world.people.get(known.author).map(|person| person.nodes.as_slice()).unwrap_or_default();
    let linked = shown.is_some() && nodes.iter().any(is_of);
    let by_author = author == Some(view.author.person) || linked;
    let right = by_author && known.group == group && !known.forged;
    demand(right, Rule::AuthorIsTrue, || {
        format!("{name} shows {text:?} as written by {:?}, in group {group}, but: {known:?}", shown)
    })
}
