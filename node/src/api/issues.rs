//! Issue trackers: what is to be done, by whom, and how it stands.
//!
//! Closed is a status: an issue is closed by `done` or `canceled`, and opened again by any other.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{
    Change, Command, CommentCommand, IssueCommand, IssueFilter, IssueView, Reply,
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
use super::things::{self, Comment, Finished, Made, NewComment, Person, named};

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// Its id.
    pub id: String,
    /// Who reported it.
    pub reporter: Person,
    /// One line.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// backlog, todo, in-progress, done or canceled, or a word of later software.
    pub status: String,
    /// Whether that closes it.
    pub closed: bool,
    /// urgent, high, medium or low; empty where nobody set one.
    pub priority: String,
    /// Who is to do it.
    pub assignee: Option<Person>,
    /// In order.
    pub labels: Vec<String>,
    /// How many comments there are.
    pub comments: u32,
    /// When its reporter says it was made, in milliseconds since 1970.
    pub created: u64,
    /// When somebody says to have changed it last, in milliseconds since 1970.
    pub updated: u64,
    /// What `If-Match` takes, to change it only if it still is as it is shown here.
    pub revision: String,
}

/// Issues that fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issues {
    /// The oldest first.
    pub issues: Vec<Issue>,
    /// What `after` takes to go on; null if these were the last.
    pub next: Option<String>,
}

/// An issue and what was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuePage {
    /// The issue.
    pub issue: Issue,
    /// The oldest first.
    pub comments: Vec<Comment>,
}

/// An issue to report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIssue {
    /// One line.
    pub title: String,
    /// A text.
    #[serde(default)]
    pub description: Option<String>,
    /// backlog if left out.
    #[serde(default)]
    pub status: Option<String>,
    /// urgent, high, medium or low.
    #[serde(default)]
    pub priority: Option<String>,
    /// Who is to do it: four words, a shown name, or the first digits of the id.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Any.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// What of an issue is to be changed; what is left out stays, and merges on its own with what others
/// change at the same time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IssuePatch {
    /// One line.
    pub title: Option<String>,
    /// A text.
    pub description: Option<String>,
    /// backlog, todo, in-progress, done or canceled; the last two close it.
    pub status: Option<String>,
    /// urgent, high, medium or low; empty for none.
    pub priority: Option<String>,
    /// Who is to do it; empty for nobody.
    pub assignee: Option<String>,
    /// Which are put on, and which are taken off.
    pub labels: BTreeMap<String, bool>,
}

impl From<IssueView> for Issue {
    fn from(view: IssueView) -> Issue {
        let issue = Issue {
            id: view.id.to_string(),
            reporter: view.reporter.into(),
            title: view.title,
            description: view.description,
            status: view.status,
            closed: view.closed,
            priority: view.priority,
            assignee: view.assignee.map(Person::from),
            labels: view.labels,
            comments: view.comments,
            created: view.created.0,
            updated: view.updated.0,
            revision: String::new(),
        };
        Issue { revision: revision(&issue), ..issue }
    }
}

impl Revised for Issue {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl NewIssue {
    pub(super) fn command(self) -> Result<IssueCommand, Problem> {
        let mut changes = things::texts([
            ("description", self.description),
            ("status", self.status),
            ("priority", self.priority),
        ]);
        if let Some(who) = self.assignee {
            changes.push(Change::Assign(text::who(&who)?, true));
        }
        changes.extend(self.labels.into_iter().map(|label| Change::Label(label, true)));
        Ok(IssueCommand::Add { title: self.title, changes })
    }
}

impl IssuePatch {
    fn changes(self) -> Result<Vec<Change>, Problem> {
        let mut changes = things::texts([
            ("title", self.title),
            ("description", self.description),
            ("status", self.status),
            ("priority", self.priority),
        ]);
        if let Some(who) = self.assignee {
            changes.push(match who.is_empty() {
                true => Change::Field("assignee".to_owned(), Value::Person(None)),
                false => Change::Assign(text::who(&who)?, true),
            });
        }
        changes.extend(self.labels.into_iter().map(|(label, on)| Change::Label(label, on)));
        things::some(changes)
    }
}

/// `GET /api/v1/groups/{words}/issues?status=S&closed=B&priority=P&assignee=WHO&reporter=WHO&label=L`
/// `&text=T&limit=N&after=NEXT`
pub async fn list(
    State(api): State<Api>,
    Path(words): Path<String>,
    Asked(query): Asked<Paged<IssueFilter>>,
) -> Result<Json<Issues>, Problem> {
    let command = Command::Issue(text::words(&words)?, IssueCommand::List(query.filter));
    let Reply::Issues(issues) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    let (issues, next) = query.page.cut(issues, |issue| (issue.created, issue.id))?;
    Ok(Json(Issues { issues: issues.into_iter().map(Issue::from).collect(), next }))
}

/// `POST /api/v1/groups/{words}/issues`
pub async fn add(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<NewIssue>,
) -> Result<Json<Made>, Problem> {
    make(&api, &words, new.command()?).await
}

/// `GET /api/v1/groups/{words}/issues/{issue}`
pub async fn show(
    State(api): State<Api>,
    Path((words, issue)): Path<(String, String)>,
) -> Result<Json<IssuePage>, Problem> {
    page(&api, text::words(&words)?, named(issue)?).await.map(Json)
}

/// `PATCH /api/v1/groups/{words}/issues/{issue}`, perhaps with `If-Match`
pub async fn change(
    State(api): State<Api>,
    Path((words, issue)): Path<(String, String)>,
    seen: Seen,
    Body(patch): Body<IssuePatch>,
) -> Result<Json<Issue>, Problem> {
    let (words, issue, changes) = (text::words(&words)?, named(issue)?, patch.changes()?);
    let api = seen.guard(api, async |api| Ok(page(api, words, issue.clone()).await?.issue)).await?;
    let command = Command::Issue(words, IssueCommand::Set(issue.clone(), changes));
    api.act(command).await?;
    Ok(Json(page(&api, words, issue).await?.issue))
}

/// `DELETE /api/v1/groups/{words}/issues/{issue}`: for good; perhaps with `If-Match`
pub async fn remove(
    State(api): State<Api>,
    Path((words, issue)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Finished>, Problem> {
    let (group, issue) = (text::words(&words)?, named(issue)?);
    let api = seen.guard(api, async |api| Ok(page(api, group, issue.clone()).await?.issue)).await?;
    act(&api, &words, IssueCommand::Delete(issue)).await
}

/// `POST /api/v1/groups/{words}/issues/{issue}/comments`
pub async fn comment(
    State(api): State<Api>,
    Path((words, issue)): Path<(String, String)>,
    Body(new): Body<NewComment>,
) -> Result<Json<Made>, Problem> {
    make(&api, &words, IssueCommand::Comment(new.about(issue)?)).await
}

/// `PATCH /api/v1/groups/{words}/issue-comments/{comment}`, perhaps with `If-Match`
pub async fn edit_comment(
    State(api): State<Api>,
    Path((words, comment)): Path<(String, String)>,
    seen: Seen,
    Body(new): Body<NewComment>,
) -> Result<Json<Finished>, Problem> {
    let api = seen.guard(api, async |api| said(api, &words, &comment).await).await?;
    act(&api, &words, IssueCommand::Comment(new.instead_of(comment)?)).await
}

/// `DELETE /api/v1/groups/{words}/issue-comments/{comment}`, perhaps with `If-Match`
pub async fn remove_comment(
    State(api): State<Api>,
    Path((words, comment)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Finished>, Problem> {
    let api = seen.guard(api, async |api| said(api, &words, &comment).await).await?;
    act(&api, &words, IssueCommand::Comment(CommentCommand::Delete(named(comment)?))).await
}

/// An issue as it is now, and what was said about it.
pub(super) async fn page(api: &Api, words: FourWords, issue: String) -> Result<IssuePage, Problem> {
    let command = Command::Issue(words, IssueCommand::Show(issue));
    let Reply::Issue(issue, comments) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(IssuePage { issue: (*issue).into(), comments: comments.into_iter().map(Comment::from).collect() })
}

async fn said(api: &Api, words: &str, comment: &str) -> Result<Comment, Problem> {
    let command = IssueCommand::Comment(CommentCommand::Show(named(comment.to_owned())?));
    things::said(api, Command::Issue(text::words(words)?, command)).await
}

async fn make(api: &Api, words: &str, command: IssueCommand) -> Result<Json<Made>, Problem> {
    Ok(Json(api.make(Command::Issue(text::words(words)?, command)).await?.into()))
}

async fn act(api: &Api, words: &str, command: IssueCommand) -> Result<Json<Finished>, Problem> {
    api.act(Command::Issue(text::words(words)?, command)).await?;
    Ok(Json(Finished::YES))
}
