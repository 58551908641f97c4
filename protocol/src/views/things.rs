//! Shows boards, issue trackers and canvases to people.
//!
//! Only reads. Whoever wrote something that counts is or was in the roster, so each author shows.

use std::collections::BTreeMap;

use crate::command::{
    BoardView, CanvasView, CardView, ColumnView, CommentView, ElementView, IssueView, LineView, PersonView,
};
use crate::entity::Entity;
use crate::replicator::Replicator;
use crate::schema::canvas::{self, ELEMENTS};
use crate::schema::field::{Number, Value};
use crate::schema::issues::{self, Filter, ISSUES};
use crate::schema::kanban::{self, Board, CARDS};
use crate::schema::key::{self, Owner};
use crate::schema::thing::ThingId;
use crate::schema::things::{Comment, Thing, Things, assigned};

use super::shown_names;

/// Everybody who is or was in an entity, by what stands for them in keys.
pub(crate) type Faces = BTreeMap<Owner, PersonView>;

/// A document of things and who is behind it.
pub(crate) struct Shown<'a> {
    pub(crate) things: Things<'a>,
    pub(crate) faces: Faces,
}

impl Replicator {
    pub(crate) fn faces(&self, entity: &Entity) -> Faces {
        let names = shown_names(entity);
        let people = entity.roster.people().into_iter();
        people.map(|person| (key::owner(&person), self.person_view(person, &names))).collect()
    }
}

impl Shown<'_> {
    pub(crate) fn board(&self, filter: &kanban::Filter) -> BoardView {
        let board = Board(self.things);
        let shown = |cards: &[Thing], column: Option<ThingId>| -> Vec<CardView> {
            let fitting = cards.iter().filter(|card| filter.fits(card, column));
            fitting.filter_map(|card| self.card(card, column)).collect()
        };
        let view = |column: kanban::Column| ColumnView {
            id: column.column.id,
            title: column.column.text("title").to_owned(),
            limit: column.limit(),
            count: column.cards.len(),
            cards: shown(&column.cards, Some(column.column.id)),
        };
        let columns = board.columns().into_iter().map(view).collect();
        BoardView { columns, loose: shown(&board.loose(), None) }
    }

    pub(crate) fn archived(&self, filter: &kanban::Filter) -> Vec<CardView> {
        let cards = self.things.all(CARDS.root).filter(|card| card.flag("archived"));
        let board = Board(self.things);
        let placed = cards.map(|card| (board.column_of(&card), card));
        let fitting = placed.filter(|(column, card)| filter.fits(card, *column));
        fitting.filter_map(|(column, card)| self.card(&card, column)).collect()
    }

    pub(crate) fn card(&self, card: &Thing, column: Option<ThingId>) -> Option<CardView> {
        let lines = kanban::checklist(card).into_iter();
        let line = |(id, text, done): (&str, &str, bool)| LineView {
            id: id.to_owned(),
            text: text.to_owned(),
            done,
        };
        let assignees = assigned(card);
        let shown = self.faces.iter().filter(|(owner, _)| assignees.contains(owner));
        Some(CardView {
            id: card.id,
            author: self.faces.get(&card.id.owner)?.clone(),
            title: card.text("title").to_owned(),
            description: card.text("description").to_owned(),
            column,
            assignees: shown.map(|(_, face)| face.clone()).collect(),
            priority: card.text("priority").to_owned(),
            labels: card.on("labels").map(str::to_owned).collect(),
            due: card.text("due").to_owned(),
            checklist: lines.map(line).collect(),
            archived: card.flag("archived"),
            comments: self.comment_count(card.id),
            created: card.created,
            updated: card.updated,
        })
    }

    pub(crate) fn issues(&self, filter: &Filter) -> Vec<IssueView> {
        let issues = self.things.all(ISSUES.root).filter(|issue| filter.fits(issue));
        issues.filter_map(|issue| self.issue(&issue)).collect()
    }

    pub(crate) fn issue(&self, issue: &Thing) -> Option<IssueView> {
        let status = issue.text("status").to_owned();
        Some(IssueView {
            id: issue.id,
            reporter: self.faces.get(&issue.id.owner)?.clone(),
            title: issue.text("title").to_owned(),
            description: issue.text("description").to_owned(),
            closed: issues::is_closed(&status),
            status,
            priority: issue.text("priority").to_owned(),
            assignee: issues::assignee(issue).and_then(|owner| self.faces.get(&owner).cloned()),
            labels: issue.on("labels").map(str::to_owned).collect(),
            comments: self.comment_count(issue.id),
            created: issue.created,
            updated: issue.updated,
        })
    }

    pub(crate) fn canvas(&self) -> CanvasView {
        let number = |field| match self.things.metadata(field) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        };
        let color = self.things.metadata("background_color");
        let elements = canvas::in_order(self.things.all(ELEMENTS.root).collect());
        CanvasView {
            width: number("width"),
            height: number("height"),
            background_color: color.map_or_else(String::new, |color| color.text().to_owned()),
            elements: elements.iter().filter_map(|element| self.element(element)).collect(),
        }
    }

    fn element(&self, element: &Thing) -> Option<ElementView> {
        let text = |field| element.text(field).to_owned();
        Some(ElementView {
            id: element.id,
            author: self.faces.get(&element.id.owner)?.clone(),
            element_type: text("element_type"),
            place: pair(element, "place")?,
            size: pair(element, "size")?,
            rotation: number(element, "rotation"),
            z_index: canvas::z_index(element),
            text: text("text"),
            shape: text("shape"),
            points: numbers(element, "points"),
            image: match element.value("image") {
                Some(Value::Blob(hash)) => Some(*hash),
                _ => None,
            },
            chart: text("chart"),
            values: numbers(element, "values"),
            fill: text("fill"),
            stroke: text("stroke"),
            stroke_width: number(element, "stroke_width"),
            font_size: number(element, "font_size"),
            updated: element.updated,
        })
    }

    pub(crate) fn comments(&self, about: ThingId) -> Vec<CommentView> {
        self.things.comments(about).filter_map(|comment| self.said(comment)).collect()
    }

    pub(crate) fn comment(&self, id: ThingId) -> Option<CommentView> {
        self.said(self.things.comment(id)?)
    }

    fn said(&self, comment: Comment) -> Option<CommentView> {
        Some(CommentView { author: self.faces.get(&comment.id.owner)?.clone(), comment })
    }

    fn comment_count(&self, about: ThingId) -> u32 {
        u32::try_from(self.things.comment_count(about)).unwrap_or(u32::MAX)
    }
}

fn number(thing: &Thing, field: &str) -> Option<Number> {
    match thing.value(field) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    }
}

fn pair(thing: &Thing, field: &str) -> Option<(Number, Number)> {
    match thing.value(field) {
        Some(Value::Pair(one, other)) => Some((*one, *other)),
        _ => None,
    }
}

fn numbers(thing: &Thing, field: &str) -> Vec<Number> {
    match thing.value(field) {
        Some(Value::Numbers(numbers)) => numbers.clone(),
        _ => Vec::new(),
    }
}
