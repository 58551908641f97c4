//! All issues of a group as one file: written, and reported anew from one.
//!
//! A file is read whole and within bounds before anything is written, one file at a time. Each issue of
//! it is then reported or refused by itself, with whoever imports it as the reporter. Invariant: what was
//! not taken is listed with the reason.

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::HeaderMap;
use fourword_protocol::command::{Command, IssueCommand, IssueFilter, Reply};
use fourword_protocol::words::FourWords;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::error::{Code, Problem};
use super::issues::{self, Issue, NewIssue};
use super::progress::{self, Long, Progress};
use super::things::{Comment, NewComment, Person};
use super::{Api, body, text};

/// Bytes of a file that is imported: ten thousand issues of 3 KiB.
pub const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Issues in one file: each costs a write, and all are there for good.
const FILE_ISSUES_MAX: usize = 10_000;

/// Comments on one issue of a file, for the same reason.
const FILE_COMMENTS_MAX: usize = 1_000;

/// Issues that may be wrong in one file; after so many the rest is not tried.
const FAULTS_MAX: usize = 1_000;

/// Characters told of the title of an issue that was not taken, and of the reason.
const FAULT_CHARS_MAX: usize = 240;

/// The version of the form below.
const VERSION: u32 = 1;

/// All issues of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueFile {
    /// The version of this form: 1.
    pub version: u32,
    /// The oldest first.
    pub issues: Vec<Record>,
}

/// The same when it is read: a record that is wrong is no reason to refuse the others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    version: u32,
    issues: Vec<Value>,
}

/// One issue of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IssueRecord")]
pub struct Record {
    /// One line.
    pub title: String,
    /// May be empty.
    #[serde(default)]
    pub description: String,
    /// backlog, todo, in-progress, done or canceled; empty for the first of them.
    #[serde(default)]
    pub status: String,
    /// urgent, high, medium or low; may be empty.
    #[serde(default)]
    pub priority: String,
    /// Who is to do it: four words, a shown name, or the first digits of the id.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Any.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Who reported it: told, but not taken again, since nobody writes in another's name.
    #[serde(default)]
    pub reporter: Option<String>,
    /// When, in milliseconds since 1970: likewise.
    #[serde(default)]
    pub created: Option<u64>,
    /// The oldest first, at most 1,000. An import says them again, with author and time before the text.
    #[serde(default)]
    pub comments: Vec<Said>,
}

/// What somebody said about an issue of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IssueRecordComment")]
pub struct Said {
    /// Who.
    pub author: String,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// What.
    pub text: String,
}

/// What became of a file of issues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ImportedIssues")]
pub struct Imported {
    /// The ids of the issues that were made, in the order of the file.
    pub imported: Vec<String>,
    /// What was not taken, or not wholly.
    pub failed: Vec<Fault>,
    /// Issues at the end of the file that were not tried, because the node could do no more or too many
    /// before them were wrong.
    pub untried: usize,
}

/// One issue of a file that was not taken, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "IssueFault")]
pub struct Fault {
    /// Which of the file, from 1.
    pub number: usize,
    /// How its title begins, if it has one.
    pub title: String,
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people.
    pub message: String,
    /// What the person can do about it; may be empty.
    pub hint: String,
}

/// A file of issues that a request brings, and the place of the only one that is taken at a time.
#[derive(Debug)]
pub struct Upload {
    issues: Vec<Value>,
    place: OwnedSemaphorePermit,
}

impl Record {
    fn of(issue: Issue, comments: Vec<Comment>) -> Record {
        Record {
            title: issue.title,
            description: issue.description,
            status: issue.status,
            priority: issue.priority,
            assignee: issue.assignee.map(|who| who.identity),
            labels: issue.labels,
            reporter: Some(known_as(issue.reporter)),
            created: Some(issue.created),
            comments: comments.into_iter().map(Said::from).collect(),
        }
    }

    fn issue(&self) -> NewIssue {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        NewIssue {
            title: self.title.clone(),
            description: given(&self.description),
            status: given(&self.status),
            priority: given(&self.priority),
            assignee: self.assignee.clone(),
            labels: self.labels.clone(),
        }
    }
}

impl From<Comment> for Said {
    fn from(comment: Comment) -> Said {
        Said { author: known_as(comment.author), time: comment.time, text: comment.text }
    }
}

impl Said {
    /// What it becomes when somebody else says it again.
    fn again(&self) -> NewComment {
        NewComment { text: format!("{}, {} UTC:\n{}", self.author, text::time(self.time), self.text) }
    }
}

impl Fault {
    fn of(number: usize, record: &Value, problem: Problem) -> Fault {
        let title = record.get("title").and_then(Value::as_str).unwrap_or_default();
        let short = |text: &str| text.chars().take(FAULT_CHARS_MAX).collect::<String>();
        let Problem { code, detail, hint, .. } = problem;
        Fault { number, title: short(title), code, message: short(&detail), hint }
    }
}

impl FromRequest<Api> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Upload, Problem> {
        let place = api.files.clone().try_acquire_owned().map_err(|_| {
            let detail = "another file of issues is being imported";
            Problem::new(Code::TooMuch, detail, "try again once that is done")
        })?;
        let bytes = body::whole(request, FILE_BYTES_MAX).await?;
        // A large file takes a while, in which others are to be served.
        let parsed = tokio::task::spawn_blocking(move || parse(&bytes)).await;
        let issues = parsed.map_err(|_| Problem::mismatch())??;
        Ok(Upload { issues, place })
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Value>, Problem> {
    let hint = "it takes what `fourword issue export` writes";
    let file: Given = serde_json::from_slice(bytes)
        .map_err(|e| Problem::new(Code::Usage, format!("this is no file of issues: {e}"), hint))?;
    if file.version != VERSION {
        let detail = format!("this file is of version {}, and {VERSION} is known", file.version);
        return Err(Problem::new(Code::Usage, detail, hint));
    }
    let count = file.issues.len();
    if count > FILE_ISSUES_MAX {
        let detail = format!("the file has {count} issues, and at most {FILE_ISSUES_MAX} are taken at once");
        return Err(Problem::new(Code::Usage, detail, "split it into several"));
    }
    Ok(file.issues)
}

/// The name by which people know somebody.
fn known_as(person: Person) -> String {
    if person.name.is_empty() { person.identity } else { person.name }
}

/// `GET /api/v1/groups/{words}/issues/export`
pub async fn export(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<IssueFile>, Problem> {
    let words = text::words(&words)?;
    let all = Command::Issue(words, IssueCommand::List(IssueFilter::default()));
    let Reply::Issues(views) = api.ask(all).await? else { return Err(Problem::mismatch()) };
    let mut file = IssueFile { version: VERSION, issues: Vec::with_capacity(views.len()) };
    for view in views {
        let said = match view.comments {
            0 => Vec::new(),
            _ => match issues::page(&api, words, view.id.to_string()).await {
                Ok(page) => page.comments,
                // It was deleted in the meantime.
                Err(problem) if problem.code == Code::NotFound => continue,
                Err(problem) => return Err(problem),
            },
        };
        file.issues.push(Record::of(view.into(), said));
    }
    Ok(Json(file))
}

/// `POST /api/v1/groups/{words}/issues/import`: may take long; reports progress to who accepts JSON Lines.
pub async fn import(
    State(api): State<Api>,
    Path(words): Path<String>,
    headers: HeaderMap,
    upload: Upload,
) -> Result<Long<Imported>, Problem> {
    let words = text::words(&words)?;
    progress::follow(&headers, async move |reports| Ok(take_all(&api, words, upload, &reports).await)).await
}

/// Reports all issues of a file, one after the other.
async fn take_all(
    api: &Api,
    words: FourWords,
    Upload { issues, place: _place }: Upload,
    reports: &mpsc::Sender<Progress>,
) -> Imported {
    let (mut told, count) = (Imported::default(), issues.len());
    for (index, record) in issues.into_iter().enumerate() {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let what = "Reporting issues".to_owned();
        // A reader that lags behind misses some of them; later ones say it all.
        let _ = reports.try_send(Progress { what, done: number(index), expected: number(count) });
        let Err(problem) = take(api, words, &record, &mut told.imported).await else { continue };
        // Of a node that is gone or whose disk is full nothing more is to be had.
        let is_last = matches!(problem.code, Code::NotRunning | Code::Storage | Code::TimedOut);
        told.failed.push(Fault::of(index + 1, &record, problem));
        if is_last || told.failed.len() >= FAULTS_MAX {
            told.untried = count - index - 1;
            break;
        }
    }
    told
}

/// Takes one issue of a file, and notes its id once it is made.
async fn take(api: &Api, words: FourWords, record: &Value, made: &mut Vec<String>) -> Result<(), Problem> {
    let record = Record::deserialize(record).map_err(|e| {
        Problem::new(Code::Usage, format!("it is no issue: {e}"), "see what `issue export` writes")
    })?;
    let said = record.comments.len();
    if said > FILE_COMMENTS_MAX {
        let detail = format!("it has {said} comments, and at most {FILE_COMMENTS_MAX} are taken");
        return Err(Problem::new(Code::TooMuch, detail, "shorten the list in the file"));
    }
    let issue = api.make(Command::Issue(words, record.issue().command()?)).await?.to_string();
    made.push(issue.clone());
    for (index, said) in record.comments.iter().enumerate() {
        let comment = IssueCommand::Comment(said.again().about(issue.clone())?);
        api.make(Command::Issue(words, comment)).await.map_err(|problem| {
            let detail = format!("it was made, but not its comment {}: {}", index + 1, problem.detail);
            Problem { detail, ..problem }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_within_bounds_and_in_its_own_version_alone() {
        let file = |version: u32, count: usize| {
            let issues = vec![Value::Null; count];
            serde_json::to_vec(&serde_json::json!({"version": version, "issues": issues})).unwrap()
        };
        assert_eq!(parse(&file(1, FILE_ISSUES_MAX)).unwrap().len(), FILE_ISSUES_MAX);
        for wrong in [file(1, FILE_ISSUES_MAX + 1), file(2, 1), b"[]".to_vec(), b"{".to_vec()] {
            assert_eq!(parse(&wrong).unwrap_err().code, Code::Usage);
        }
    }
}
