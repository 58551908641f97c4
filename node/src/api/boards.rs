//! Boards: columns in order, cards in columns, and what is said about cards.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{
    BoardCommand, CardFilter, CardView, Change, ColumnView, Command, CommentCommand, LineView, Reply,
};
use fourword_protocol::schema::field::Value;
use fourword_protocol::words::FourWords;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::error::Problem;
use super::filter::{Asked, Paged};
use super::revision::{Revised, Seen, revision};
use super::text;
use super::things::{self, Comment, Finished, Made, NewComment, Person, Spot, is_named, named};

/// A board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Board {
    /// In order.
    pub columns: Vec<Column>,
    /// Where all columns were deleted, the cards that are left: they go into the next that is made.
    #[serde(default)]
    pub loose: Vec<Card>,
}

/// A column and the cards in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// How many cards it takes, if that is limited. Two who put one there at once can pass it.
    pub limit: Option<u64>,
    /// How many cards stand in it, those included that do not fit what was asked for.
    #[serde(default)]
    pub count: usize,
    /// Those that fit from the top, without those that were put away.
    pub cards: Vec<Card>,
    /// What `If-Match` takes, to change it only if its title and limit still are as shown here.
    #[serde(default)]
    pub revision: String,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub author: Person,
    /// One line.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// The id of the column in which it shows; null while there is none at all.
    pub column: Option<String>,
    /// Who is to do it.
    pub assignees: Vec<Person>,
    /// urgent, high, medium or low; empty where nobody set one.
    pub priority: String,
    /// In order.
    pub labels: Vec<String>,
    /// As `2026-11-30`; empty where nobody set one.
    pub due: String,
    /// In order.
    pub checklist: Vec<Line>,
    /// Whether it was put away.
    pub archived: bool,
    /// How many comments there are.
    pub comments: u32,
    /// When its author says it was made, in milliseconds since 1970.
    pub created: u64,
    /// When somebody says to have changed it last, in milliseconds since 1970.
    pub updated: u64,
    /// What `If-Match` takes, to change it only if it still is as it is shown here.
    pub revision: String,
}

/// A line of a checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ChecklistLine")]
pub struct Line {
    /// Its id within the card.
    pub id: String,
    /// What it says.
    pub text: String,
    /// Whether it is done.
    pub done: bool,
}

/// A card and what was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardPage {
    /// The card.
    pub card: Card,
    /// The oldest first.
    pub comments: Vec<Comment>,
}

/// Cards that were put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cards {
    /// The oldest first.
    pub cards: Vec<Card>,
    /// What `after` takes to go on; null if these were the last.
    pub next: Option<String>,
}

/// A column to make.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewColumn {
    /// One line.
    pub title: String,
    /// How many cards it takes; 0 for as many as there are.
    #[serde(default)]
    pub limit: u32,
    /// Where.
    #[serde(default)]
    pub at: Spot,
}

/// What of a column is to be changed; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnPatch {
    /// One line.
    pub title: Option<String>,
    /// How many cards it takes; 0 for as many as there are.
    pub limit: Option<u32>,
}

/// Where a column is put.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnPlace {
    /// Where among the columns.
    pub at: Spot,
}

/// Where a card is put.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardPlace {
    /// A column's id, or its title if only one has it.
    pub column: String,
    /// Where in it.
    #[serde(default)]
    pub at: Spot,
    /// Even if the column takes no more.
    #[serde(default)]
    pub over_limit: bool,
}

/// A card to make.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCard {
    /// One line.
    pub title: String,
    /// A column's id, or its title if only one has it.
    pub column: String,
    /// Where in it.
    #[serde(default)]
    pub at: Spot,
    /// Even if the column takes no more.
    #[serde(default)]
    pub over_limit: bool,
    /// A text.
    #[serde(default)]
    pub description: Option<String>,
    /// Who is to do it: each by four words, a shown name, or the first digits of the id.
    #[serde(default)]
    pub assignees: Vec<String>,
    /// urgent, high, medium or low.
    #[serde(default)]
    pub priority: Option<String>,
    /// Any.
    #[serde(default)]
    pub labels: Vec<String>,
    /// As `2026-11-30`.
    #[serde(default)]
    pub due: Option<String>,
    /// The lines in order.
    #[serde(default)]
    pub checklist: Vec<String>,
}

/// What of a card is to be changed; what is left out stays, and merges on its own with what others
/// change at the same time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CardPatch {
    /// One line.
    pub title: Option<String>,
    /// A text.
    pub description: Option<String>,
    /// Who is to do it from now on, and who no longer is.
    pub assignees: BTreeMap<String, bool>,
    /// urgent, high, medium or low; empty for none.
    pub priority: Option<String>,
    /// Which are put on, and which are taken off.
    pub labels: BTreeMap<String, bool>,
    /// As `2026-11-30`; empty for none.
    pub due: Option<String>,
    /// Its lines.
    pub checklist: ChecklistPatch,
}

/// What of a checklist is to be changed. Lines are named by the first digits of their ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChecklistPatch {
    /// New lines, which stand at the end.
    pub add: Vec<String>,
    /// Other texts for lines; an empty one takes the line away.
    pub set: BTreeMap<String, String>,
    /// Which lines are done, and which are not.
    pub done: BTreeMap<String, bool>,
}

impl From<ColumnView> for Column {
    fn from(view: ColumnView) -> Column {
        let id = view.id.to_string();
        Column {
            revision: revision(&(&id, &view.title, view.limit)),
            id,
            title: view.title,
            limit: view.limit,
            count: view.count,
            cards: view.cards.into_iter().map(Card::from).collect(),
        }
    }
}

impl Revised for Column {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl Revised for Card {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl From<CardView> for Card {
    fn from(view: CardView) -> Card {
        let card = Card {
            id: view.id.to_string(),
            author: view.author.into(),
            title: view.title,
            description: view.description,
            column: view.column.map(|column| column.to_string()),
            assignees: view.assignees.into_iter().map(Person::from).collect(),
            priority: view.priority,
            labels: view.labels,
            due: view.due,
            checklist: view.checklist.into_iter().map(Line::from).collect(),
            archived: view.archived,
            comments: view.comments,
            created: view.created.0,
            updated: view.updated.0,
            revision: String::new(),
        };
        Card { revision: revision(&card), ..card }
    }
}

impl From<LineView> for Line {
    fn from(view: LineView) -> Line {
        Line { id: view.id, text: view.text, done: view.done }
    }
}

impl ColumnPatch {
    fn changes(self) -> Result<Vec<Change>, Problem> {
        let limit = self.limit.map(|limit| Change::Field("limit".to_owned(), Value::Whole(limit.into())));
        things::some(things::texts([("title", self.title)]).into_iter().chain(limit).collect())
    }
}

impl NewCard {
    fn command(self) -> Result<BoardCommand, Problem> {
        let mut changes = things::texts([
            ("description", self.description),
            ("priority", self.priority),
            ("due", self.due),
        ]);
        for who in &self.assignees {
            changes.push(Change::Assign(text::who(who)?, true));
        }
        changes.extend(self.labels.into_iter().map(|label| Change::Label(label, true)));
        changes.extend(self.checklist.into_iter().map(Change::AddLine));
        let (column, at) = (named(self.column)?, self.at.try_into()?);
        Ok(BoardCommand::AddCard { title: self.title, column, at, changes, over: self.over_limit })
    }
}

impl CardPatch {
    fn changes(self) -> Result<Vec<Change>, Problem> {
        let mut changes = things::texts([
            ("title", self.title),
            ("description", self.description),
            ("priority", self.priority),
            ("due", self.due),
        ]);
        for (who, on) in self.assignees {
            changes.push(Change::Assign(text::who(&who)?, on));
        }
        changes.extend(self.labels.into_iter().map(|(label, on)| Change::Label(label, on)));
        changes.extend(self.checklist.add.into_iter().map(Change::AddLine));
        changes.extend(self.checklist.set.into_iter().map(|(line, text)| Change::Line(line, text)));
        changes.extend(self.checklist.done.into_iter().map(|(line, on)| Change::Tick(line, on)));
        things::some(changes)
    }
}

/// `GET /api/v1/groups/{words}/board?column=C&due_before=DAY&overdue=B&priority=P&assignee=WHO`
/// `&author=WHO&label=L&text=T`
pub async fn show(
    State(api): State<Api>,
    Path(words): Path<String>,
    Asked(filter): Asked<CardFilter>,
) -> Result<Json<Board>, Problem> {
    let command = Command::Board(text::words(&words)?, BoardCommand::Show(filter));
    let Reply::Board(board) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Board {
        columns: board.columns.into_iter().map(Column::from).collect(),
        loose: board.loose.into_iter().map(Card::from).collect(),
    }))
}

/// `GET /api/v1/groups/{words}/board/archive?limit=N&after=NEXT`, and as the board is asked for
pub async fn archive(
    State(api): State<Api>,
    Path(words): Path<String>,
    Asked(query): Asked<Paged<CardFilter>>,
) -> Result<Json<Cards>, Problem> {
    let command = Command::Board(text::words(&words)?, BoardCommand::Archived(query.filter));
    let Reply::Cards(cards) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    let (cards, next) = query.page.cut(cards, |card| (card.created, card.id))?;
    Ok(Json(Cards { cards: cards.into_iter().map(Card::from).collect(), next }))
}

/// `POST /api/v1/groups/{words}/board/columns`
pub async fn add_column(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<NewColumn>,
) -> Result<Json<Made>, Problem> {
    let command = BoardCommand::AddColumn { title: new.title, limit: new.limit, at: new.at.try_into()? };
    make(&api, &words, command).await
}

/// `PATCH /api/v1/groups/{words}/board/columns/{column}`, perhaps with `If-Match`
pub async fn change_column(
    State(api): State<Api>,
    Path((words, column)): Path<(String, String)>,
    seen: Seen,
    Body(patch): Body<ColumnPatch>,
) -> Result<Json<Finished>, Problem> {
    let (column, changes) = (named(column)?, patch.changes()?);
    let api = seen.guard(api, async |api| column_named(api, &words, &column).await).await?;
    act(&api, &words, BoardCommand::SetColumn(column, changes)).await
}

/// `PUT /api/v1/groups/{words}/board/columns/{column}/place`
pub async fn place_column(
    State(api): State<Api>,
    Path((words, column)): Path<(String, String)>,
    Body(place): Body<ColumnPlace>,
) -> Result<Json<Finished>, Problem> {
    act(&api, &words, BoardCommand::MoveColumn(named(column)?, place.at.try_into()?)).await
}

/// `DELETE /api/v1/groups/{words}/board/columns/{column}`: for good, once no card stands in it; perhaps with
/// `If-Match`
pub async fn remove_column(
    State(api): State<Api>,
    Path((words, column)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Finished>, Problem> {
    let column = named(column)?;
    let api = seen.guard(api, async |api| column_named(api, &words, &column).await).await?;
    act(&api, &words, BoardCommand::DeleteColumn(column)).await
}

/// `POST /api/v1/groups/{words}/board/cards`
pub async fn add_card(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<NewCard>,
) -> Result<Json<Made>, Problem> {
    make(&api, &words, new.command()?).await
}

/// `GET /api/v1/groups/{words}/board/cards/{card}`
pub async fn show_card(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
) -> Result<Json<CardPage>, Problem> {
    page(&api, text::words(&words)?, named(card)?).await.map(Json)
}

/// `PATCH /api/v1/groups/{words}/board/cards/{card}`, perhaps with `If-Match`
pub async fn change_card(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
    seen: Seen,
    Body(patch): Body<CardPatch>,
) -> Result<Json<Card>, Problem> {
    let changes = patch.changes()?;
    change(api, (words, card), seen, |card| BoardCommand::SetCard(card, changes)).await
}

/// `PUT /api/v1/groups/{words}/board/cards/{card}/place`, perhaps with `If-Match`
pub async fn place_card(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
    seen: Seen,
    Body(place): Body<CardPlace>,
) -> Result<Json<Card>, Problem> {
    let (column, at, over) = (named(place.column)?, place.at.try_into()?, place.over_limit);
    change(api, (words, card), seen, |card| BoardCommand::MoveCard { card, column, at, over }).await
}

/// `PUT /api/v1/groups/{words}/board/cards/{card}/archived`, perhaps with `If-Match`
pub async fn put_away(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Card>, Problem> {
    change(api, (words, card), seen, |card| BoardCommand::Archive(card, true)).await
}

/// `DELETE /api/v1/groups/{words}/board/cards/{card}/archived`: puts it back where it was; perhaps with
/// `If-Match`
pub async fn restore(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Card>, Problem> {
    change(api, (words, card), seen, |card| BoardCommand::Archive(card, false)).await
}

/// `DELETE /api/v1/groups/{words}/board/cards/{card}`: for good; perhaps with `If-Match`
pub async fn remove_card(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Finished>, Problem> {
    let (group, card) = (text::words(&words)?, named(card)?);
    let api = seen.guard(api, async |api| Ok(page(api, group, card.clone()).await?.card)).await?;
    act(&api, &words, BoardCommand::DeleteCard(card)).await
}

/// `POST /api/v1/groups/{words}/board/cards/{card}/comments`
pub async fn comment(
    State(api): State<Api>,
    Path((words, card)): Path<(String, String)>,
    Body(new): Body<NewComment>,
) -> Result<Json<Made>, Problem> {
    make(&api, &words, BoardCommand::Comment(new.about(card)?)).await
}

/// `PATCH /api/v1/groups/{words}/card-comments/{comment}`, perhaps with `If-Match`
pub async fn edit_comment(
    State(api): State<Api>,
    Path((words, comment)): Path<(String, String)>,
    seen: Seen,
    Body(new): Body<NewComment>,
) -> Result<Json<Finished>, Problem> {
    let api = seen.guard(api, async |api| said(api, &words, &comment).await).await?;
    act(&api, &words, BoardCommand::Comment(new.instead_of(comment)?)).await
}

/// `DELETE /api/v1/groups/{words}/card-comments/{comment}`, perhaps with `If-Match`
pub async fn remove_comment(
    State(api): State<Api>,
    Path((words, comment)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Finished>, Problem> {
    let api = seen.guard(api, async |api| said(api, &words, &comment).await).await?;
    act(&api, &words, BoardCommand::Comment(CommentCommand::Delete(named(comment)?))).await
}

async fn page(api: &Api, words: FourWords, card: String) -> Result<CardPage, Problem> {
    let Reply::Card(card, comments) = api.ask(Command::Board(words, BoardCommand::Card(card))).await? else {
        return Err(Problem::mismatch());
    };
    Ok(CardPage { card: (*card).into(), comments: comments.into_iter().map(Comment::from).collect() })
}

/// The column that a name means to the machine too: by its title where only one has it, else by its id. Where
/// it fits several the machine refuses what is asked of it.
async fn column_named(api: &Api, words: &str, name: &str) -> Result<Column, Problem> {
    let command = Command::Board(text::words(words)?, BoardCommand::Show(CardFilter::default()));
    let Reply::Board(board) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    let is_titled = |column: &&ColumnView| column.title.to_lowercase() == name.to_lowercase();
    let column = match board.columns.iter().filter(is_titled).collect::<Vec<_>>()[..] {
        [only] => Some(only),
        _ => board.columns.iter().find(|column| is_named(&column.id.to_string(), name)),
    };
    column.cloned().map(Column::from).ok_or_else(|| things::missing("column", name))
}

async fn said(api: &Api, words: &str, comment: &str) -> Result<Comment, Problem> {
    let command = BoardCommand::Comment(CommentCommand::Show(named(comment.to_owned())?));
    things::said(api, Command::Board(text::words(words)?, command)).await
}

/// Does something to a card if it still is as the client saw it, and shows it as it then is.
async fn change(
    api: Api,
    (words, card): (String, String),
    seen: Seen,
    command: impl FnOnce(String) -> BoardCommand,
) -> Result<Json<Card>, Problem> {
    let (words, card) = (text::words(&words)?, named(card)?);
    let api = seen.guard(api, async |api| Ok(page(api, words, card.clone()).await?.card)).await?;
    api.act(Command::Board(words, command(card.clone()))).await?;
    Ok(Json(page(&api, words, card).await?.card))
}

async fn make(api: &Api, words: &str, command: BoardCommand) -> Result<Json<Made>, Problem> {
    Ok(Json(api.make(Command::Board(text::words(words)?, command)).await?.into()))
}

async fn act(api: &Api, words: &str, command: BoardCommand) -> Result<Json<Finished>, Problem> {
    api.act(Command::Board(text::words(words)?, command)).await?;
    Ok(Json(Finished::YES))
}
