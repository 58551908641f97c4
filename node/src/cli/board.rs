//! `board`: shows a group's board, and makes, changes and moves its columns.

use hyper::Method;

use super::Context;
use super::card::{self, Page};
use super::chat::short;
use super::client::path;
use super::failure::{Exit, Failure};
use super::filter::{self, Cards};
use super::output::plain;
use super::thing::{self, Step, Where};
use crate::api::boards::{Board, Card, Column, ColumnPatch, ColumnPlace, NewColumn};

/// What can be done with a board.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show the columns in order, with their cards: all, or those that fit all that is given.
    #[command(
        after_help = "Examples:\n  fourword board show ocean-forest-moon-star\n  fourword board show ocean-forest-moon-star --column \"To do\" --assignee Ben --overdue\n  fourword board show ocean-forest-moon-star --label house --priority urgent --due-before 2026-12-01 --json"
    )]
    Show {
        /// The group's four words.
        words: String,
        #[command(flatten)]
        filter: Cards,
    },
    /// Show the cards that were put away, the oldest first: all, or those that fit all that is given.
    #[command(
        after_help = "Examples:\n  fourword board archive ocean-forest-moon-star\n  fourword board archive ocean-forest-moon-star --limit 20 --author Ada --text fence"
    )]
    Archive {
        /// The group's four words.
        words: String,
        #[command(flatten)]
        filter: Cards,
        #[command(flatten)]
        page: Page,
    },
    /// Make, change, move and delete columns.
    #[command(subcommand)]
    Column(ColumnVerb),
    /// Take back what this device did last here, as far as nobody else has changed it since.
    #[command(after_help = "Example:\n  fourword board undo ocean-forest-moon-star")]
    Undo {
        /// The group's four words.
        words: String,
    },
    /// Do again what was taken back last.
    #[command(after_help = "Example:\n  fourword board redo ocean-forest-moon-star")]
    Redo {
        /// The group's four words.
        words: String,
    },
}

/// What can be done with columns. They are named by id, or by title where only one has it.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ColumnVerb {
    /// Make a column; its id is printed once it is saved.
    #[command(
        after_help = "Examples:\n  fourword board column add ocean-forest-moon-star \"To do\"\n  fourword board column add ocean-forest-moon-star Doing --limit 3 --after \"To do\""
    )]
    Add {
        /// The group's four words.
        words: String,
        /// Its title, on one line.
        title: String,
        /// How many cards it takes; 0 for as many as there are.
        #[arg(long, default_value_t = 0, value_name = "N")]
        limit: u32,
        #[command(flatten)]
        place: Where,
    },
    /// Change a column's title, or how many cards it takes.
    #[command(after_help = "Example:\n  fourword board column set ocean-forest-moon-star Doing --limit 5")]
    Set {
        /// The group's four words.
        words: String,
        /// Which column.
        column: String,
        /// Another title.
        #[arg(long)]
        title: Option<String>,
        /// How many cards it takes; 0 for as many as there are.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// Put a column elsewhere.
    #[command(after_help = "Example:\n  fourword board column move ocean-forest-moon-star Done --last")]
    Move {
        /// The group's four words.
        words: String,
        /// Which column.
        column: String,
        #[command(flatten)]
        place: Where,
    },
    /// Delete a column in which no card stands, for good: your own, or anybody's as an admin.
    #[command(after_help = "Example:\n  fourword board column delete ocean-forest-moon-star Doing")]
    Delete {
        /// The group's four words.
        words: String,
        /// Which column.
        column: String,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Undo { words } => thing::revert(Step::Undo, &words, "board", context).await,
        Verb::Redo { words } => thing::revert(Step::Redo, &words, "board", context).await,
        Verb::Show { words, filter } => {
            let place = path(["groups", &words, "board"]) + &filter::query(&filter.pairs());
            let board: Board = context.client().get(&place).await?;
            context.output.answer(&board, shown)?;
            Ok(Exit::Done)
        }
        Verb::Archive { words, filter, page } => {
            let asked = [page.pairs(), filter.pairs()].concat();
            card::archive(&words, &asked, context).await
        }
        Verb::Column(verb) => column(verb, context).await,
    }
}

async fn column(verb: ColumnVerb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let one = |words: &str, column: &str| path(["groups", words, "board", "columns", column]);
    match verb {
        ColumnVerb::Add { words, title, limit, place } => {
            let new = NewColumn { title, limit, at: place.into() };
            let made = client.send(Method::POST, &path(["groups", &words, "board", "columns"]), &new).await?;
            thing::made_is_told(&made, context)
        }
        ColumnVerb::Set { words, column, title, limit } => {
            let patch = ColumnPatch { title, limit };
            thing::finished(&client.send(Method::PATCH, &one(&words, &column), &patch).await?, context)
        }
        ColumnVerb::Move { words, column, place } => {
            let place = ColumnPlace { at: place.into() };
            let path = one(&words, &column) + "/place";
            thing::finished(&client.send(Method::PUT, &path, &place).await?, context)
        }
        ColumnVerb::Delete { words, column } => thing::delete(&client, &one(&words, &column), context).await,
    }
}

fn shown(board: &Board) -> String {
    if board.columns.is_empty() {
        let none = "there is no column yet: fourword board column add WORDS TITLE".to_owned();
        return lines(none, &board.loose);
    }
    board.columns.iter().map(column_text).collect::<Vec<_>>().join("\n")
}

fn column_text(column: &Column) -> String {
    let count = match column.limit {
        Some(limit) => format!("{} of {limit}", column.count),
        None => column.count.to_string(),
    };
    let count = match column.cards.len() {
        shown if shown == column.count => count,
        shown => format!("{count}, {shown} shown"),
    };
    let head = format!("{} ({count})  {}", plain(&column.title), short(&column.id));
    lines(head, &column.cards)
}

/// A head, and below it a line for each card.
fn lines(head: String, cards: &[Card]) -> String {
    let cards = cards.iter().map(|one| format!("\n  {}", card::card_line(one)));
    cards.fold(head, |text, card| text + &card)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::boards::Line;
    use crate::api::things::Person;

    #[test]
    fn a_board_is_shown_with_one_line_for_each_card() {
        let card = Card {
            id: "OWNER-pmlq2weexxxxx".into(),
            author: Person { identity: "a-b-c-d".into(), name: String::new() },
            title: "paint\x1b the door".into(),
            description: String::new(),
            column: None,
            assignees: vec![Person { identity: "a-b-c-d".into(), name: "Ada".into() }],
            priority: "high".into(),
            labels: vec!["house".into(), "dry".into()],
            due: "2026-11-30".into(),
            checklist: vec![
                Line { id: "a".into(), text: "brush".into(), done: true },
                Line { id: "b".into(), text: "ladder".into(), done: false },
            ],
            archived: false,
            comments: 2,
            created: 0,
            updated: 0,
            revision: String::new(),
        };
        let column = |title: &str, limit, count, cards| Column {
            revision: String::new(),
            id: "OWNER-xigpuwugxxxxx".into(),
            title: title.into(),
            limit,
            count,
            cards,
        };
        let board = Board {
            columns: vec![column("todo", Some(3), 1, vec![card]), column("done", None, 2, Vec::new())],
            loose: Vec::new(),
        };
        assert_eq!(
            shown(&board),
            "todo (1 of 3)  xigpuwug\n\
             \x20 paint\u{fffd} the door  high  due 2026-11-30  @Ada  #house #dry  1 of 2 lines  2 comments  pmlq2wee\n\
             done (2, 0 shown)  xigpuwug"
        );
        let mut bare = Board { columns: Vec::new(), loose: Vec::new() };
        assert!(shown(&bare).contains("fourword board column add"));
        bare.loose = board.columns.iter().flat_map(|column| column.cards.clone()).collect();
        assert!(shown(&bare).ends_with(shown(&board).lines().nth(1).unwrap_or("a card")));
    }
}
