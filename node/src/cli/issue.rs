//! `issue`: reports, finds, changes and closes issues, and talks about them.

use clap::builder::PossibleValuesParser;
use fourword_protocol::schema::issues::STATUSES;
use hyper::Method;

use super::Context;
use super::card::{Page, priorities, priorities_or_none};
use super::chat::{short, whole};
use super::client::path;
use super::failure::{Exit, Failure};
use super::filter::{self, Pairs, Things};
use super::issue_file;
use super::output::{plain, time};
use super::thing::{self, Saying, Step};
use crate::api::issues::{Issue, IssuePage, IssuePatch, Issues, NewIssue};

fn statuses() -> PossibleValuesParser {
    PossibleValuesParser::new(STATUSES.iter().copied())
}

/// What can be done with issues. They are named by the first letters of their ids.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show issues, the oldest first: all, or those that fit all that is given.
    #[command(
        after_help = "Examples:\n  fourword issue list ocean-forest-moon-star --open\n  fourword issue list ocean-forest-moon-star --status todo --status in-progress --assignee Ben\n  fourword issue list ocean-forest-moon-star --label house --priority urgent --text roof --json"
    )]
    List(ListArgs),
    /// Show an issue and what was said about it.
    #[command(after_help = "Example:\n  fourword issue show ocean-forest-moon-star ID")]
    Show {
        /// The group's four words.
        words: String,
        /// Which issue.
        issue: String,
    },
    /// Report an issue; its id is printed once it is saved.
    #[command(
        after_help = "Examples:\n  fourword issue add ocean-forest-moon-star \"The roof leaks\"\n  fourword issue add ocean-forest-moon-star \"The roof leaks\" --priority urgent --label house --assignee Ben"
    )]
    Add(AddArgs),
    /// Change an issue. Each field merges on its own with what others change at the same time.
    #[command(
        after_help = "Examples:\n  fourword issue set ocean-forest-moon-star ID --status in-progress --assignee Ada\n  fourword issue set ocean-forest-moon-star ID --assignee \"\" --priority \"\" --label wet --unlabel house"
    )]
    Set(SetArgs),
    /// Close an issue: it is done, or will not be.
    #[command(
        after_help = "Examples:\n  fourword issue close ocean-forest-moon-star ID\n  fourword issue close ocean-forest-moon-star ID --canceled"
    )]
    Close {
        /// The group's four words.
        words: String,
        /// Which issue.
        issue: String,
        /// It will not be done.
        #[arg(long)]
        canceled: bool,
    },
    /// Open an issue again: it is to be done.
    #[command(after_help = "Example:\n  fourword issue reopen ocean-forest-moon-star ID")]
    Reopen {
        /// The group's four words.
        words: String,
        /// Which issue.
        issue: String,
    },
    /// Delete an issue for good: your own, or anybody's as an admin.
    #[command(after_help = "Example:\n  fourword issue delete ocean-forest-moon-star ID")]
    Delete {
        /// The group's four words.
        words: String,
        /// Which issue.
        issue: String,
    },
    /// Talk about issues.
    #[command(subcommand)]
    Comment(CommentVerb),
    /// Print all issues and what was said about them as JSON.
    #[command(after_help = "Example:\n  fourword issue export ocean-forest-moon-star > issues.json")]
    Export {
        /// The group's four words.
        words: String,
    },
    /// Report all issues of a file that `issue export` wrote, and say again what was said.
    #[command(
        after_help = "Example:\n  fourword issue import ocean-forest-moon-star issues.json\n\nYou become the reporter. What cannot be taken is listed with the reason, and the exit code is 1 then;\nissues that are there already are not looked for."
    )]
    Import {
        /// The group's four words.
        words: String,
        /// The file, or - to read it from standard input.
        file: String,
    },
    /// Take back what this device did last here, as far as nobody else has changed it since.
    #[command(after_help = "Example:\n  fourword issue undo ocean-forest-moon-star")]
    Undo {
        /// The group's four words.
        words: String,
    },
    /// Do again what was taken back last.
    #[command(after_help = "Example:\n  fourword issue redo ocean-forest-moon-star")]
    Redo {
        /// The group's four words.
        words: String,
    },
}

/// What can be said about issues.
#[derive(Debug, clap::Subcommand)]
pub(super) enum CommentVerb {
    /// Say something about an issue.
    #[command(after_help = "Example:\n  fourword issue comment add ocean-forest-moon-star ID \"Mended\"")]
    Add {
        /// The group's four words.
        words: String,
        /// Which issue.
        issue: String,
        /// The text, or - to read it from standard input.
        text: String,
    },
    /// Give your own comment another text.
    #[command(
        after_help = "Example:\n  fourword issue comment edit ocean-forest-moon-star COMMENT \"Mended well\""
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
    #[command(after_help = "Example:\n  fourword issue comment delete ocean-forest-moon-star COMMENT")]
    Delete {
        /// The group's four words.
        words: String,
        /// Which comment.
        comment: String,
    },
}

/// What `issue list` takes.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The group's four words.
    words: String,
    /// Of this status; may be repeated for one of several.
    #[arg(long)]
    status: Vec<String>,
    /// Those that are not closed.
    #[arg(long, conflicts_with = "closed")]
    open: bool,
    /// Those that are closed.
    #[arg(long)]
    closed: bool,
    /// Those that this member reported.
    #[arg(long, value_name = "WHO")]
    reporter: Option<String>,
    #[command(flatten)]
    things: Things,
    #[command(flatten)]
    page: Page,
}

/// What `issue add` takes.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// The group's four words.
    words: String,
    /// Its title, on one line.
    title: String,
    /// A text, or - to read it from standard input.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How it stands [default: backlog].
    #[arg(long, value_parser = statuses())]
    status: Option<String>,
    /// How urgent it is.
    #[arg(long, value_parser = priorities())]
    priority: Option<String>,
    /// Who is to do it.
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// A label; may be repeated.
    #[arg(long)]
    label: Vec<String>,
}

/// What `issue set` takes.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// The group's four words.
    words: String,
    /// Which issue.
    issue: String,
    /// Another title.
    #[arg(long)]
    title: Option<String>,
    /// Another text, or - to read it from standard input.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How it stands.
    #[arg(long, value_parser = statuses())]
    status: Option<String>,
    /// How urgent it is; "" for nothing said.
    #[arg(long, value_parser = priorities_or_none())]
    priority: Option<String>,
    /// Who is to do it; "" for nobody.
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// A label to put on; may be repeated.
    #[arg(long)]
    label: Vec<String>,
    /// A label to take off; may be repeated.
    #[arg(long, value_name = "LABEL")]
    unlabel: Vec<String>,
    /// Only if the issue still is as it was shown with this revision.
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<String>,
}

impl ListArgs {
    fn pairs(self) -> Pairs {
        let closed = (self.open || self.closed).then(|| self.closed.to_string());
        let mut pairs = self.page.pairs();
        pairs.extend(filter::several("status", self.status));
        pairs.extend(filter::given([("closed", closed), ("reporter", self.reporter)]));
        pairs.extend(self.things.pairs());
        pairs
    }
}

impl SetArgs {
    fn patch(self) -> Result<IssuePatch, Failure> {
        Ok(IssuePatch {
            title: self.title,
            description: self.description.map(whole).transpose()?,
            status: self.status,
            priority: self.priority,
            assignee: self.assignee,
            labels: thing::switched(self.label, self.unlabel),
        })
    }
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let one = |words: &str, issue: &str| path(["groups", words, "issues", issue]);
    let status = |status: &str| IssuePatch { status: Some(status.to_owned()), ..IssuePatch::default() };
    let issue: Issue = match verb {
        Verb::Undo { words } => return thing::revert(Step::Undo, &words, "issues", context).await,
        Verb::Redo { words } => return thing::revert(Step::Redo, &words, "issues", context).await,
        Verb::List(args) => return list(args, context).await,
        Verb::Show { words, issue } => {
            let page: IssuePage = client.get(&one(&words, &issue)).await?;
            context.output.answer(&page, page_text)?;
            return Ok(Exit::Done);
        }
        Verb::Add(args) => {
            let new = NewIssue {
                title: args.title,
                description: args.description.map(whole).transpose()?,
                status: args.status,
                priority: args.priority,
                assignee: args.assignee,
                labels: args.label,
            };
            let made = client.send(Method::POST, &path(["groups", &args.words, "issues"]), &new).await?;
            return thing::made_is_told(&made, context);
        }
        Verb::Set(mut args) => {
            let (place, revision) = (one(&args.words, &args.issue), args.if_revision.take());
            client.patch_if(&place, &args.patch()?, revision).await?
        }
        Verb::Close { words, issue, canceled } => {
            let closed = if canceled { "canceled" } else { "done" };
            client.send(Method::PATCH, &one(&words, &issue), &status(closed)).await?
        }
        Verb::Reopen { words, issue } => {
            client.send(Method::PATCH, &one(&words, &issue), &status("todo")).await?
        }
        Verb::Delete { words, issue } => return thing::delete(&client, &one(&words, &issue), context).await,
        Verb::Comment(verb) => {
            let (words, saying) = match verb {
                CommentVerb::Add { words, issue, text } => (words, Saying::Add(issue, text)),
                CommentVerb::Edit { words, comment, text } => (words, Saying::Edit(comment, text)),
                CommentVerb::Delete { words, comment } => (words, Saying::Delete(comment)),
            };
            return thing::say(saying, (&words, &["issues"], "issue-comments"), context).await;
        }
        Verb::Export { words } => return issue_file::export(&words, context).await,
        Verb::Import { words, file } => return issue_file::import(&words, &file, context).await,
    };
    context.output.answer(&issue, issue_line)?;
    Ok(Exit::Done)
}

async fn list(args: ListArgs, context: &Context) -> Result<Exit, Failure> {
    let place = path(["groups", &args.words, "issues"]) + &filter::query(&args.pairs());
    let issues: Issues = context.client().get(&place).await?;
    context.output.answer(&issues, |issues| {
        let more = issues.next.as_ref().map(|next| format!("more: --after {next}"));
        issues.issues.iter().map(issue_line).chain(more).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

/// An issue in one line.
fn issue_line(issue: &Issue) -> String {
    thing::line([
        format!("[{}] {}", plain(&issue.status), plain(&issue.title)),
        plain(&issue.priority),
        issue.assignee.as_ref().map(|who| format!("@{}", thing::person(who))).unwrap_or_default(),
        thing::labels(&issue.labels),
        thing::comment_count(issue.comments),
        short(&issue.id).to_owned(),
    ])
}

fn page_text(page: &IssuePage) -> String {
    let issue = &page.issue;
    let head = thing::sheet(&[
        ("status", plain(&issue.status)),
        ("priority", plain(&issue.priority)),
        ("assigned", issue.assignee.as_ref().map(thing::person).unwrap_or_default()),
        ("labels", thing::labels(&issue.labels)),
        ("reported", format!("{} by {}", time(issue.created), thing::person(&issue.reporter))),
        ("changed", time(issue.updated)),
        ("revision", issue.revision.clone()),
    ]);
    let (title, id) = (plain(&issue.title), short(&issue.id));
    format!("{title}  {id}{head}{}{}", thing::paragraph(&issue.description), thing::said(&page.comments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::things::{Comment, Person};

    #[test]
    fn an_issue_is_shown_with_all_that_is_known_of_it() {
        let person = |name: &str| Person { identity: "a-b-c-d".into(), name: name.into() };
        let issue = Issue {
            id: "OWNER-pmlq2weexxxxx".into(),
            reporter: person("Ada"),
            title: "the roof leaks".into(),
            description: "in two\nplaces\x1b".into(),
            status: "todo".into(),
            closed: false,
            priority: "urgent".into(),
            assignee: Some(person("")),
            labels: vec!["wet".into()],
            comments: 1,
            created: 0,
            updated: 60_000,
            revision: "0123456789abcdef".into(),
        };
        assert_eq!(issue_line(&issue), "[todo] the roof leaks  urgent  @a-b-c-d  #wet  1 comment  pmlq2wee");
        let comment = Comment {
            revision: String::new(),
            id: "OWNER-xigpuwugxxxxx".into(),
            author: person("Ben"),
            text: "mended".into(),
            time: 0,
            edited: Some(1),
        };
        assert_eq!(
            page_text(&IssuePage { issue, comments: vec![comment] }),
            "the roof leaks  pmlq2wee\n\
             status     todo\npriority   urgent\nassigned   a-b-c-d\nlabels     #wet\n\
             reported   1970-01-01 00:00 by Ada\nchanged    1970-01-01 00:01\nrevision   0123456789abcdef\n\
             \nin two\nplaces\u{fffd}\n\
             \n[1970-01-01 00:00] Ben: mended (edited)  xigpuwug"
        );
    }
}
