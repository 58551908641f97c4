//! `issue export` and `issue import`: the issues of a group as one JSON file.
//!
//! The file is read whole and within bounds before anything is written. Each issue of it is then
//! reported or refused by itself; invariant: what was not taken is listed with the reason.

use std::io::Read as _;

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Context;
use super::client::{Client, path};
use super::failure::{Exit, Failure};
use super::output::{plain, time};
use super::thing::person;
use crate::api::error::Code;
use crate::api::issues::{Issue, IssuePage, Issues, NewIssue};
use crate::api::things::{Comment, ENTRIES_MAX, Made, NewComment};

/// Bytes of a file that is imported: ten thousand issues of 3 KiB.
const IMPORT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Issues in one file: each costs a write, and all are there for good.
const IMPORT_ISSUES_MAX: usize = 10_000;

/// Comments on one issue of a file, for the same reason.
const IMPORT_COMMENTS_MAX: usize = 1_000;

/// The version of the form below.
const VERSION: u32 = 1;

/// All issues of a group.
#[derive(Debug, Serialize)]
struct Export {
    version: u32,
    issues: Vec<Record>,
}

/// The same when it is read: a record that is wrong is no reason to refuse the others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    version: u32,
    issues: Vec<Value>,
}

/// One issue.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    priority: String,
    #[serde(default)]
    assignee: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    /// Who reported it and when: told, but not taken again, since a name cannot be written for others.
    #[serde(default)]
    reporter: Option<String>,
    #[serde(default)]
    created: Option<u64>,
    #[serde(default)]
    comments: Vec<Said>,
}

/// What somebody said about it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    author: String,
    time: u64,
    text: String,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Imported {
    /// The ids of the issues that were made, in the order of the file.
    imported: Vec<String>,
    /// What was not taken, or not wholly.
    failed: Vec<Fault>,
    /// Issues at the end of the file that were not tried, because the node could do no more.
    untried: usize,
}

/// One issue that was not taken, or not wholly.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Fault {
    /// Which of the file, from 1.
    number: usize,
    /// Its title, if it has one.
    title: String,
    code: Code,
    message: String,
    hint: String,
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
            reporter: Some(person(&issue.reporter)),
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
        Said { author: person(&comment.author), time: comment.time, text: comment.text }
    }
}

impl Said {
    /// What it becomes when somebody else says it again.
    fn again(&self) -> NewComment {
        NewComment { text: format!("{}, {} UTC:\n{}", self.author, time(self.time), self.text) }
    }
}

/// Prints all issues of a group, with their comments.
pub(super) async fn export(words: &str, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let all = path(["groups", words, "issues"]);
    let mut export = Export { version: VERSION, issues: Vec::new() };
    let mut place = format!("{all}?limit={ENTRIES_MAX}");
    loop {
        let page: Issues = client.get(&place).await?;
        for issue in page.issues {
            let comments = match issue.comments {
                0 => Vec::new(),
                _ => {
                    let one = path(["groups", words, "issues", &issue.id]);
                    client.get::<IssuePage>(&one).await?.comments
                }
            };
            export.issues.push(Record::of(issue, comments));
        }
        let Some(next) = page.next else { break };
        place = format!("{all}?limit={ENTRIES_MAX}&after={next}");
    }
    let text = serde_json::to_string_pretty(&export).map_err(|e| Failure::internal(e.to_string()))?;
    context.output.answer(&export, |_| text)?;
    Ok(Exit::Done)
}

/// Reports all issues of a file, one after the other.
pub(super) async fn import(words: &str, file: &str, context: &Context) -> Result<Exit, Failure> {
    let records = parse(&read(file)?)?;
    let client = context.client();
    let mut told = Imported { imported: Vec::new(), failed: Vec::new(), untried: 0 };
    let count = records.len();
    for (index, record) in records.into_iter().enumerate() {
        let title = record.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Err(failure) = take(&client, words, record, &mut told.imported).await else { continue };
        // Of a node that is gone or whose disk is full nothing more is to be had.
        let is_last = matches!(failure.code, Code::NotRunning | Code::Storage | Code::TimedOut);
        let Failure { code, message, hint } = failure;
        told.failed.push(Fault { number: index + 1, title, code, message, hint });
        if is_last {
            told.untried = count - index - 1;
            break;
        }
    }
    context.output.answer(&told, text)?;
    Ok(if told.failed.is_empty() { Exit::Done } else { Exit::Wrong })
}

/// Takes one issue of a file, and notes its id once it is made.
async fn take(client: &Client, words: &str, record: Value, made: &mut Vec<String>) -> Result<(), Failure> {
    let record: Record = serde_json::from_value(record).map_err(|e| {
        Failure::new(Code::Usage, format!("it is no issue: {e}"), "see what `issue export` writes")
    })?;
    let said = record.comments.len();
    if said > IMPORT_COMMENTS_MAX {
        let message = format!("it has {said} comments, and at most {IMPORT_COMMENTS_MAX} are taken");
        return Err(Failure::new(Code::TooMuch, message, "shorten the list in the file"));
    }
    let all = path(["groups", words, "issues"]);
    let issue: Made = client.send(Method::POST, &all, &record.issue()).await?;
    let comments = path(["groups", words, "issues", &issue.id, "comments"]);
    made.push(issue.id);
    for (index, said) in record.comments.iter().enumerate() {
        let sent = client.send::<Made>(Method::POST, &comments, &said.again()).await;
        sent.map_err(|failure| {
            let message = format!("it was made, but not its comment {}: {}", index + 1, failure.message);
            Failure { message, ..failure }
        })?;
    }
    Ok(())
}

/// The bytes of a file, or of standard input if it is `-`.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = IMPORT_BYTES_MAX + 1;
    let read = match file {
        "-" => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|e| Failure::usage(format!("{file}: {e}")))?;
    if bytes.len() as u64 >= limit {
        let message = format!("a file of issues has at most {IMPORT_BYTES_MAX} bytes");
        return Err(Failure::new(Code::Usage, message, "split it into several"));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<Value>, Failure> {
    let hint = "it takes what `fourword issue export` writes";
    let file: Import = serde_json::from_slice(bytes)
        .map_err(|e| Failure::new(Code::Usage, format!("this is no file of issues: {e}"), hint))?;
    if file.version != VERSION {
        let message = format!("this file is of version {}, and {VERSION} is known", file.version);
        return Err(Failure::new(Code::Usage, message, hint));
    }
    let count = file.issues.len();
    if count > IMPORT_ISSUES_MAX {
        let message =
            format!("the file has {count} issues, and at most {IMPORT_ISSUES_MAX} are taken at once");
        return Err(Failure::new(Code::Usage, message, "split it into several"));
    }
    Ok(file.issues)
}

fn text(told: &Imported) -> String {
    let fault = |fault: &Fault| {
        let hint = if fault.hint.is_empty() { String::new() } else { format!(" ({})", plain(&fault.hint)) };
        format!("not taken: {} \"{}\": {}{hint}", fault.number, plain(&fault.title), plain(&fault.message))
    };
    let count = match told.imported.len() {
        1 => "1 issue is reported".to_owned(),
        count => format!("{count} issues are reported"),
    };
    let untried = (told.untried > 0).then(|| format!("not tried: the last {}", told.untried));
    [count].into_iter().chain(told.failed.iter().map(fault)).chain(untried).collect::<Vec<_>>().join("\n")
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
        assert_eq!(parse(&file(1, IMPORT_ISSUES_MAX)).unwrap().len(), IMPORT_ISSUES_MAX);
        for wrong in [file(1, IMPORT_ISSUES_MAX + 1), file(2, 1), b"[]".to_vec(), b"{".to_vec()] {
            assert_eq!(parse(&wrong).unwrap_err().code, Code::Usage);
        }
    }

    #[test]
    fn what_was_not_taken_is_listed_for_people() {
        let fault = Fault {
            number: 2,
            title: "roof\x1b".into(),
            code: Code::NotFound,
            message: "no member is named Eve".into(),
            hint: "see who is in".into(),
        };
        let told = Imported { imported: vec!["ID".into()], failed: vec![fault], untried: 3 };
        assert_eq!(
            text(&told),
            "1 issue is reported\nnot taken: 2 \"roof\u{fffd}\": no member is named Eve (see who is in)\n\
             not tried: the last 3"
        );
    }
}
