//! `card`: makes, shows, changes and moves the cards of a board, and talks about them.

use clap::builder::{PossibleValue, PossibleValuesParser};
use fourword_protocol::schema::kanban::PRIORITIES;
use hyper::Method;

use super::Context;
use super::chat::{short, whole};
use super::client::path;
use super::failure::{Exit, Failure};
use super::filter::{self, Pairs};
use super::output::{plain, time};
use super::thing::{self, Saying, Where};
use crate::api::boards::{Card, CardPage, CardPatch, CardPlace, Cards, ChecklistPatch, Line, NewCard};

/// The priorities that can be given.
pub(super) fn priorities() -> PossibleValuesParser {
    PossibleValuesParser::new(PRIORITIES.iter().copied())
}

/// Those, and "" to take back the one that was given.
pub(super) fn priorities_or_none() -> PossibleValuesParser {
    let none = PossibleValue::new("").hide(true);
    PossibleValuesParser::new(PRIORITIES.iter().map(PossibleValue::new).chain([none]))
}

/// What can be done with cards. They are named by the first letters of their ids, columns by their
/// titles too.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a card; its id is printed once it is saved.
    #[command(
        after_help = "Examples:\n  fourword card add ocean-forest-moon-star \"To do\" \"Paint the door\"\n  fourword card add ocean-forest-moon-star \"To do\" \"Paint\" --assign Ben --label house --due 2026-11-30 --line Brush"
    )]
    Add(AddArgs),
    /// Show a card and what was said about it.
    #[command(after_help = "Example:\n  fourword card show ocean-forest-moon-star ID")]
    Show {
        /// The group's four words.
        words: String,
        /// Which card.
        card: String,
    },
    /// Change a card. Each field merges on its own with what others change at the same time.
    #[command(
        after_help = "Examples:\n  fourword card set ocean-forest-moon-star ID --title \"Paint both doors\" --priority high\n  fourword card set ocean-forest-moon-star ID --assign Ada --unassign Ben --unlabel house --due \"\" --priority \"\"\n  fourword card set ocean-forest-moon-star ID --line Ladder --tick LINE"
    )]
    Set(SetArgs),
    /// Put a card into a column, or elsewhere in it.
    #[command(
        after_help = "Examples:\n  fourword card move ocean-forest-moon-star ID Doing\n  fourword card move ocean-forest-moon-star ID Doing --before OTHER"
    )]
    Move {
        /// The group's four words.
        words: String,
        /// Which card.
        card: String,
        /// Into which column.
        column: String,
        #[command(flatten)]
        place: Where,
        /// Even if the column takes no more.
        #[arg(long)]
        over_limit: bool,
    },
    /// Put a card away; it can be restored.
    #[command(after_help = "Example:\n  fourword card archive ocean-forest-moon-star ID")]
    Archive {
        /// The group's four words.
        words: String,
        /// Which card.
        card: String,
    },
    /// Put a card back where it was.
    #[command(after_help = "Example:\n  fourword card restore ocean-forest-moon-star ID")]
    Restore {
        /// The group's four words.
        words: String,
        /// Which card.
        card: String,
    },
    /// Delete a card for good: your own, or anybody's as an admin.
    #[command(after_help = "Example:\n  fourword card delete ocean-forest-moon-star ID")]
    Delete {
        /// The group's four words.
        words: String,
        /// Which card.
        card: String,
    },
    /// Talk about cards.
    #[command(subcommand)]
    Comment(CommentVerb),
}

/// What can be said about cards.
#[derive(Debug, clap::Subcommand)]
pub(super) enum CommentVerb {
    /// Say something about a card.
    #[command(
        after_help = "Example:\n  fourword card comment add ocean-forest-moon-star ID \"Which colour?\""
    )]
    Add {
        /// The group's four words.
        words: String,
        /// Which card.
        card: String,
        /// The text, or - to read it from standard input.
        text: String,
    },
    /// Give your own comment another text.
    #[command(
        after_help = "Example:\n  fourword card comment edit ocean-forest-moon-star COMMENT \"Which one?\""
    )]
    Edit {
        /// The group's four words.
        words: String,
        /// Which comment.
        comment: String,
        /// The text, or - to read it from standard input.
        text: String,
    },
    /// Delete your own comment, or anybody's as an admin.
    #[command(after_help = "Example:\n  fourword card comment delete ocean-forest-moon-star COMMENT")]
    Delete {
        /// The group's four words.
        words: String,
        /// Which comment.
        comment: String,
    },
}

/// What `card add` takes.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// The group's four words.
    words: String,
    /// Into which column.
    column: String,
    /// Its title, on one line.
    title: String,
    /// A text, or - to read it from standard input.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Who is to do it; may be repeated.
    #[arg(long, value_name = "WHO")]
    assign: Vec<String>,
    /// How urgent it is.
    #[arg(long, value_parser = priorities())]
    priority: Option<String>,
    /// A label; may be repeated.
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Until which day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    due: Option<String>,
    /// A line of the checklist; may be repeated.
    #[arg(long, value_name = "TEXT")]
    line: Vec<String>,
    #[command(flatten)]
    place: Where,
    /// Even if the column takes no more.
    #[arg(long)]
    over_limit: bool,
}

/// What `card set` takes.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// The group's four words.
    words: String,
    /// Which card.
    card: String,
    /// Another title.
    #[arg(long)]
    title: Option<String>,
    /// Another text, or - to read it from standard input.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Who is to do it; may be repeated.
    #[arg(long, value_name = "WHO")]
    assign: Vec<String>,
    /// Who no longer is; may be repeated.
    #[arg(long, value_name = "WHO")]
    unassign: Vec<String>,
    /// How urgent it is; "" for nothing said.
    #[arg(long, value_parser = priorities_or_none())]
    priority: Option<String>,
    /// A label to put on; may be repeated.
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// A label to take off; may be repeated.
    #[arg(long, value_name = "LABEL")]
    unlabel: Vec<String>,
    /// Until which day; "" for none.
    #[arg(long, value_name = "YYYY-MM-DD")]
    due: Option<String>,
    /// A further line of the checklist; may be repeated.
    #[arg(long, value_name = "TEXT")]
    line: Vec<String>,
    /// Another text for a line of the checklist; without a text the line goes.
    #[arg(long, value_name = "LINE=TEXT", value_parser = line_and_text)]
    reword: Vec<(String, String)>,
    /// A line of the checklist that is done; may be repeated.
    #[arg(long, value_name = "LINE")]
    tick: Vec<String>,
    /// A line that is not done after all; may be repeated.
    #[arg(long, value_name = "LINE")]
    untick: Vec<String>,
    /// Only if the card still is as it was shown with this revision.
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<String>,
}

/// Which part of a long list.
#[derive(Debug, clap::Args)]
pub(super) struct Page {
    /// How many at most.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(super) limit: usize,
    /// Go on where an earlier list ended, which says how.
    #[arg(long, value_name = "PLACE")]
    pub(super) after: Option<String>,
}

impl Page {
    /// The parameters that ask for it.
    pub(super) fn pairs(self) -> Pairs {
        filter::given([("limit", Some(self.limit.to_string())), ("after", self.after)])
    }
}

impl AddArgs {
    fn card(self) -> Result<NewCard, Failure> {
        Ok(NewCard {
            title: self.title,
            column: self.column,
            at: self.place.into(),
            over_limit: self.over_limit,
            description: self.description.map(whole).transpose()?,
            assignees: self.assign,
            priority: self.priority,
            labels: self.label,
            due: self.due,
            checklist: self.line,
        })
    }
}

impl SetArgs {
    fn patch(self) -> Result<CardPatch, Failure> {
        Ok(CardPatch {
            title: self.title,
            description: self.description.map(whole).transpose()?,
            assignees: thing::switched(self.assign, self.unassign),
            priority: self.priority,
            labels: thing::switched(self.label, self.unlabel),
            due: self.due,
            checklist: ChecklistPatch {
                add: self.line,
                set: self.reword.into_iter().collect(),
                done: thing::switched(self.tick, self.untick),
            },
        })
    }
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let one = |words: &str, card: &str| path(["groups", words, "board", "cards", card]);
    let card: Card = match verb {
        Verb::Add(args) => {
            let place = path(["groups", &args.words, "board", "cards"]);
            let made = client.send(Method::POST, &place, &args.card()?).await?;
            return thing::made_is_told(&made, context);
        }
        Verb::Show { words, card } => {
            let page: CardPage = client.get(&one(&words, &card)).await?;
            context.output.answer(&page, page_text)?;
            return Ok(Exit::Done);
        }
        Verb::Set(mut args) => {
            let (place, revision) = (one(&args.words, &args.card), args.if_revision.take());
            client.patch_if(&place, &args.patch()?, revision).await?
        }
        Verb::Move { words, card, column, place, over_limit } => {
            let place = CardPlace { column, at: place.into(), over_limit };
            client.send(Method::PUT, &(one(&words, &card) + "/place"), &place).await?
        }
        Verb::Archive { words, card } => client.act(Method::PUT, &(one(&words, &card) + "/archived")).await?,
        Verb::Restore { words, card } => {
            client.act(Method::DELETE, &(one(&words, &card) + "/archived")).await?
        }
        Verb::Delete { words, card } => return thing::delete(&client, &one(&words, &card), context).await,
        Verb::Comment(verb) => {
            let (words, saying) = match verb {
                CommentVerb::Add { words, card, text } => (words, Saying::Add(card, text)),
                CommentVerb::Edit { words, comment, text } => (words, Saying::Edit(comment, text)),
                CommentVerb::Delete { words, comment } => (words, Saying::Delete(comment)),
            };
            return thing::say(saying, (&words, &["board", "cards"], "card-comments"), context).await;
        }
    };
    context.output.answer(&card, card_line)?;
    Ok(Exit::Done)
}

/// Shows those cards that were put away and are asked for.
pub(super) async fn archive(words: &str, asked: &Pairs, context: &Context) -> Result<Exit, Failure> {
    let place = path(["groups", words, "board", "archive"]) + &filter::query(asked);
    let cards: Cards = context.client().get(&place).await?;
    context.output.answer(&cards, |cards| {
        let lines = cards.cards.iter().map(card_line);
        let more = cards.next.as_ref().map(|next| format!("more: --after {next}"));
        lines.chain(more).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

/// Reads `LINE=TEXT`.
fn line_and_text(text: &str) -> Result<(String, String), String> {
    let (line, text) = text.split_once('=').ok_or("give the line's id, =, and the text")?;
    Ok((line.to_owned(), text.to_owned()))
}

/// A card in one line.
pub(super) fn card_line(card: &Card) -> String {
    let people: Vec<String> = card.assignees.iter().map(|who| format!("@{}", thing::person(who))).collect();
    let lines = card.checklist.len();
    let done = card.checklist.iter().filter(|line| line.done).count();
    thing::line([
        plain(&card.title),
        plain(&card.priority),
        if card.due.is_empty() { String::new() } else { format!("due {}", plain(&card.due)) },
        people.join(" "),
        thing::labels(&card.labels),
        if lines == 0 { String::new() } else { format!("{done} of {lines} lines") },
        thing::comment_count(card.comments),
        short(&card.id).to_owned(),
    ])
}

fn page_text(page: &CardPage) -> String {
    let card = &page.card;
    let people: Vec<String> = card.assignees.iter().map(thing::person).collect();
    let head = thing::sheet(&[
        ("column", card.column.as_deref().map(short).unwrap_or("none").to_owned()),
        ("archived", if card.archived { "yes".to_owned() } else { String::new() }),
        ("priority", plain(&card.priority)),
        ("due", plain(&card.due)),
        ("assigned", people.join(", ")),
        ("labels", thing::labels(&card.labels)),
        ("made", format!("{} by {}", time(card.created), thing::person(&card.author))),
        ("changed", time(card.updated)),
        ("revision", card.revision.clone()),
    ]);
    let line = |line: &Line| {
        format!("\n[{}] {}  {}", if line.done { "x" } else { " " }, plain(&line.text), short(&line.id))
    };
    let lines: String = card.checklist.iter().map(line).collect();
    let lines = if lines.is_empty() { lines } else { format!("\n{lines}") };
    let (title, id) = (plain(&card.title), short(&card.id));
    let (description, comments) = (thing::paragraph(&card.description), thing::said(&page.comments));
    format!("{title}  {id}{head}{description}{lines}{comments}")
}
