//! What boards, issue trackers and canvases show, read from machines as a person would.
//!
//! All that is shown of a thing is kept as text, without what depends on who looks: so two nodes can
//! be compared whatever fields things have.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    BoardCommand, CanvasCommand, CardFilter, CardView, ColumnView, Command, IssueCommand, IssueFilter,
    PersonView, Reply,
};
use fourword_protocol::ids::PersonId;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::thing::ThingId;

use super::verdict::{Rule, Violation, demand};
use super::world::World;
use crate::cluster::Cluster;

/// One thing as shown, but for what depends on who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ThingShown {
    pub(super) of: Concern,
    pub(super) id: ThingId,
    /// Who made it; of columns nobody is shown.
    pub(super) author: Option<PersonId>,
    /// Its title, or the text of an element.
    pub(super) title: String,
    /// All of it, and where it stands.
    looks: String,
    pub(super) has_comments: bool,
}

/// The boards, issues and canvas of a group as a node shows them, as far as they are in memory.
pub(super) fn things(c: &mut Cluster, world: &World, name: &str, group: usize) -> Vec<ThingShown> {
    let mut shown = Vec::new();
    let Some(words) = world.groups.get(group).filter(|_| world.works).map(|group| group.words) else {
        return shown;
    };
    if let Some(Reply::Board(board)) =
        c.peek(name, Command::Board(words, BoardCommand::Show(CardFilter::default())))
    {
        board.columns.into_iter().for_each(|column| take_column(&mut shown, column));
        shown.extend(board.loose.into_iter().map(card));
    }
    if let Some(Reply::Cards(cards)) =
        c.peek(name, Command::Board(words, BoardCommand::Archived(CardFilter::default())))
    {
        shown.extend(cards.into_iter().map(card));
    }
    let list = IssueCommand::List(IssueFilter::default());
    if let Some(Reply::Issues(issues)) = c.peek(name, Command::Issue(words, list)) {
        shown.extend(issues.into_iter().map(|mut issue| {
            forget_face(&mut issue.reporter);
            issue.assignee.iter_mut().for_each(forget_face);
            ThingShown {
                of: Concern::Issues,
                id: issue.id,
                author: Some(issue.reporter.person),
                title: issue.title.clone(),
                looks: format!("{issue:?}"),
                has_comments: issue.comments > 0,
            }
        }));
    }
    if let Some(Reply::Canvas(canvas)) = c.peek(name, Command::Canvas(words, CanvasCommand::Show)) {
        shown.extend(canvas.elements.into_iter().map(|mut element| {
            forget_face(&mut element.author);
            ThingShown {
                of: Concern::Canvas,
                id: element.id,
                author: Some(element.author.person),
                title: element.text.clone(),
                looks: format!("{element:?}"),
                has_comments: false,
            }
        }));
    }
    shown
}

fn take_column(shown: &mut Vec<ThingShown>, column: ColumnView) {
    shown.push(ThingShown {
        of: Concern::Kanban,
        id: column.id,
        author: None,
        title: column.title,
        looks: format!("takes {:?}", column.limit),
        has_comments: false,
    });
    shown.extend(column.cards.into_iter().map(card));
}

fn card(mut view: CardView) -> ThingShown {
    forget_face(&mut view.author);
    view.assignees.iter_mut().for_each(forget_face);
    ThingShown {
        of: Concern::Kanban,
        id: view.id,
        author: Some(view.author.person),
        title: view.title.clone(),
        looks: format!("{view:?}"),
        has_comments: view.comments > 0,
    }
}

/// Which words and name a person shows under depends on what the one who looks has worked out yet.
fn forget_face(person: &mut PersonView) {
    *person = PersonView { person: person.person, words: None, name: String::new() };
}

/// What was said about things, as a node shows it.
pub(super) fn comments(
    c: &mut Cluster,
    world: &World,
    name: &str,
    group: usize,
    things: &[ThingShown],
) -> Vec<ThingId> {
    let Some(words) = world.groups.get(group).map(|group| group.words) else { return Vec::new() };
    let mut said = Vec::new();
    for thing in things.iter().filter(|thing| thing.has_comments) {
        let named = thing.id.to_string();
        let command = match thing.of {
            Concern::Kanban => Command::Board(words, BoardCommand::Card(named)),
            _ => Command::Issue(words, IssueCommand::Show(named)),
        };
        if let Some(Reply::Card(_, comments) | Reply::Issue(_, comments)) = c.peek(name, command) {
            said.extend(comments.into_iter().map(|view| view.comment.id));
        }
    }
    said
}

/// What a node shows as deleted in a group's boards, issues and canvas and not forgotten yet.
pub(super) fn deleted(c: &mut Cluster, world: &World, name: &str, group: usize) -> BTreeSet<ThingId> {
    let Some(words) = world.groups.get(group).filter(|_| world.works).map(|group| group.words) else {
        return BTreeSet::new();
    };
    let Some(Reply::Tombstones(documents)) = c.peek(name, Command::Tombstones(words)) else {
        return BTreeSet::new();
    };
    let waiting = documents.into_iter().flat_map(|document| document.tombstones);
    waiting.map(|tombstone| tombstone.message).collect()
}

/// Each thing shows once, was made by whom it is shown of, and says what somebody wrote there.
pub(super) fn judge(world: &World, name: &str, group: usize, shown: &[ThingShown]) -> Result<(), Violation> {
    let mut once = BTreeSet::new();
    for thing in shown {
        demand(once.insert(thing.id), Rule::CardIsOnce, || {
            format!("{name} shows {:?} more than once in group {group}", thing.title)
        })?;
        let text = world.texts.get(&thing.title);
        let is_true = text.is_some_and(|text| text.group == group && !text.forged);
        demand(is_true, Rule::AuthorIsTrue, || {
            format!("{name} shows {:?} in group {group}, but: {text:?}", thing.title)
        })?;
        let (Some(saved), Some(author)) = (world.saved.get(&thing.id), thing.author) else { continue };
        let maker = world.people.get(saved.author).map(|person| person.id);
        let shown = world.person_of(&author);
        // A node that was linked meanwhile made it as whoever it was linked to.
        let node = &saved.promise.node;
        let linked = shown.is_some() && (world.owner(node) == shown || world.linking.contains_key(node));
        demand(maker == Some(author) || linked, Rule::AuthorIsTrue, || {
            format!("{name} shows {:?} as made by {shown:?}, but {} made it", thing.title, saved.author)
        })?;
    }
    Ok(())
}

/// The first thing that two nodes do not show alike, in words.
pub(super) fn differing(a: &[ThingShown], b: &[ThingShown]) -> Option<String> {
    if a == b {
        return None;
    }
    let differ = a.iter().zip(b).find(|(a, b)| a != b);
    Some(match differ {
        Some((a, b)) => format!("{} and {}", a.looks, b.looks),
        None => format!("{} things and {}", a.len(), b.len()),
    })
}
