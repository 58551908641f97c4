//! Answers commands about boards, issue trackers and canvases.
//!
//! Reads show the document as it is; whatever writes is one envelope, answered when it is durable.
//! `changes` turns what a person asks for into the writes that it takes.

mod changes;
mod reverting;

use rand::Rng;

use crate::command::{
    BoardCommand, CanvasCommand, CardFilter, Command, CommandId, CommentCommand, IssueCommand, IssueFilter,
    Outcome, Refusal, RefusalCode, Reply, ThingFilter,
};
use crate::entity::Entity;
use crate::ids::{DocumentKey, EntityId};
use crate::outbox::refusal;
use crate::replica::{Live, Replica};
use crate::replicator::Replicator;
use crate::schema::filter::Filter;
use crate::schema::issues::{self, ISSUES};
use crate::schema::kanban::{self, Board, CARDS};
use crate::schema::key::{self, Owner};
use crate::schema::rights::Actor;
use crate::schema::{self, Concern};
use crate::views::Shown;
use crate::words::FourWords;

use super::unknown;
use changes::{Named, Writing};
pub(super) use changes::{bounded, refused};

/// A request about one of an entity's documents of things.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Board(BoardCommand),
    Issue(IssueCommand),
    Canvas(CanvasCommand),
}

impl Request {
    fn concern(&self) -> Concern {
        match self {
            Request::Board(_) => Concern::Kanban,
            Request::Issue(_) => Concern::Issues,
            Request::Canvas(_) => Concern::Canvas,
        }
    }

    fn command(self, words: FourWords) -> Command {
        match self {
            Request::Board(command) => Command::Board(words, command),
            Request::Issue(command) => Command::Issue(words, command),
            Request::Canvas(command) => Command::Canvas(words, command),
        }
    }

    /// Whether it asks for a change.
    fn writes(&self) -> bool {
        match self {
            Request::Board(command) => command.writes(),
            Request::Issue(command) => command.writes(),
            Request::Canvas(command) => command.writes(),
        }
    }
}

impl Replicator {
    pub(super) fn ask_things(
        &mut self,
        id: CommandId,
        words: FourWords,
        request: Request,
    ) -> Result<(), Refusal> {
        let concern = request.concern();
        let Some((entity_id, document)) = self.find_things(words, &concern)? else {
            return self.defer(id, words, &concern, request.command(words));
        };
        let Some((entity, live)) = self.live_document(entity_id, document) else { return Ok(()) };
        if !request.writes() {
            let reply = self.show_things(entity, live, request)?;
            return self.say(id, reply);
        }
        let (actor, drawn) = self.ready_to_change(entity_id, document, words)?;
        let Some((entity, live)) = self.live_document(entity_id, document) else { return Ok(()) };
        let Some(things) = live.things() else { return Ok(()) };
        let find = |who: &str| self.person_named(entity, who).map(|person| key::owner(&person));
        let writing = Writing::new(things, actor, self.now.wall, drawn, &find);
        let (puts, reply) = match request {
            Request::Board(command) => writing.board(command)?,
            Request::Issue(command) => writing.issue(command)?,
            Request::Canvas(command) => writing.canvas(command)?,
        };
        self.check_room(entity_id, document, &puts)?;
        let deeds = things.deeds(&puts);
        self.undoing.did(document, &concern, deeds, &puts);
        match puts.is_empty() {
            true => self.out.answer(id, Outcome::Done(reply)),
            false => self.put(entity_id, document, puts, Some((id, Outcome::Done(reply)))),
        }
        Ok(())
    }

    /// The document of things of this concern, and whose roster counts for it; `None` while it is
    /// not in memory.
    fn find_things(
        &self,
        words: FourWords,
        concern: &Concern,
    ) -> Result<Option<(EntityId, DocumentKey)>, Refusal> {
        let (entity, replica) = self.document_of_things(words, concern)?;
        Ok(replica.live().map(|_| (entity.id, replica.key)))
    }

    fn document_of_things(
        &self,
        words: FourWords,
        concern: &Concern,
    ) -> Result<(&Entity, &Replica), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let replica = entity.document(place, concern).filter(|_| schema::layout(concern).is_some());
        let replica = replica.ok_or_else(|| {
            let noun = if *concern == Concern::Kanban { "board".to_owned() } else { concern.name() };
            let message = format!("{words} has no {noun}");
            refusal(RefusalCode::NotFound, message, "groups and projects have one")
        })?;
        Ok((entity, replica))
    }

    /// Has a document of things read into memory, and what was asked of it asked again then.
    fn defer(
        &mut self,
        id: CommandId,
        words: FourWords,
        concern: &Concern,
        command: Command,
    ) -> Result<(), Refusal> {
        let (entity, replica) = self.document_of_things(words, concern)?;
        let (entity, document) = (entity.id, replica.key);
        self.deferred.entry(document).or_default().push((id, command));
        self.load_document(entity, document);
        Ok(())
    }

    /// As whom this device changes a document now, and what is drawn at random for that.
    pub(super) fn ready_to_change(
        &mut self,
        id: EntityId,
        document: DocumentKey,
        words: FourWords,
    ) -> Result<(Actor, [u8; 32]), Refusal> {
        let actor = self.ready_to_write(id, words)?;
        let replica = self.entities.get(&id).and_then(|entity| entity.replicas.get(&document));
        if !replica.is_some_and(Replica::has_room) {
            let message = "too many writes wait for the disk";
            return Err(refusal(RefusalCode::TooMuch, message, "try again in a moment"));
        }
        let mut drawn = [0; 32];
        self.random.fill_bytes(&mut drawn);
        Ok((actor, drawn))
    }

    pub(super) fn live_document(&self, id: EntityId, document: DocumentKey) -> Option<(&Entity, &Live)> {
        let entity = self.entities.get(&id)?;
        Some((entity, entity.replicas.get(&document)?.live()?))
    }

    fn show_things(&self, entity: &Entity, live: &Live, request: Request) -> Result<Reply, Refusal> {
        let Some(things) = live.things() else { return Ok(Reply::Ok) };
        let shown = Shown { things, faces: self.faces(entity) };
        let named = Named(things);
        let gone = || refusal(RefusalCode::NotFound, "it was deleted", "");
        let reply = match request {
            Request::Board(BoardCommand::Show(filter)) => {
                Reply::Board(shown.board(&self.card_filter(entity, named, filter)?))
            }
            Request::Board(BoardCommand::Archived(filter)) => {
                Reply::Cards(shown.archived(&self.card_filter(entity, named, filter)?))
            }
            Request::Board(BoardCommand::Card(name)) => {
                let card = things.thing(CARDS.root, named.thing(CARDS, &name)?).ok_or_else(gone)?;
                let view = shown.card(&card, Board(things).column_of(&card)).ok_or_else(gone)?;
                Reply::Card(Box::new(view), shown.comments(card.id))
            }
            Request::Board(BoardCommand::Comment(CommentCommand::Show(name)))
            | Request::Issue(IssueCommand::Comment(CommentCommand::Show(name))) => {
                Reply::Comment(shown.comment(named.comment(&name)?).ok_or_else(gone)?)
            }
            Request::Board(_) => Reply::Board(shown.board(&kanban::Filter::default())),
            Request::Issue(IssueCommand::Show(name)) => {
                let issue = things.thing(ISSUES.root, named.thing(ISSUES, &name)?).ok_or_else(gone)?;
                Reply::Issue(Box::new(shown.issue(&issue).ok_or_else(gone)?), shown.comments(issue.id))
            }
            Request::Issue(IssueCommand::List(filter)) => {
                Reply::Issues(shown.issues(&self.issue_filter(entity, filter)?))
            }
            Request::Issue(_) => Reply::Issues(shown.issues(&issues::Filter::default())),
            Request::Canvas(_) => Reply::Canvas(shown.canvas()),
        };
        Ok(reply)
    }

    fn card_filter(
        &self,
        entity: &Entity,
        named: Named<'_>,
        filter: CardFilter,
    ) -> Result<kanban::Filter, Refusal> {
        Ok(kanban::Filter {
            thing: self.filter(entity, filter.thing)?,
            column: filter.column.map(|column| named.column(&column)).transpose()?,
            due_before: filter.due_before,
            is_overdue: filter.is_overdue,
            today: self.now.wall.day(),
        })
    }

    fn issue_filter(&self, entity: &Entity, filter: IssueFilter) -> Result<issues::Filter, Refusal> {
        let thing = self.filter(entity, filter.thing)?;
        Ok(issues::Filter { thing, statuses: filter.statuses, is_closed: filter.is_closed })
    }

    fn filter(&self, entity: &Entity, filter: ThingFilter) -> Result<Filter, Refusal> {
        let find = |who: String| -> Result<Option<Owner>, Refusal> {
            match who.is_empty() {
                true => Ok(None),
                false => self.person_named(entity, &who).map(|person| Some(key::owner(&person))),
            }
        };
        Ok(Filter {
            priorities: filter.priorities,
            assignee: filter.assignee.map(find).transpose()?,
            author: filter.author.map(find).transpose()?.flatten(),
            labels: filter.labels,
            text: filter.text,
        })
    }
}
