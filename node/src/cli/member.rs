//! `member`: who is in a group, with which role, and who is put out; `requests`, `approve` and
//! `deny`: who asks to be let in.

use hyper::Method;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};
use super::output::{plain, plain_lines, time};
use crate::api::members::{Member, Members, NewRole, Removed, RoleSet};
use crate::api::requests::{Approval, Approved, Denied, Request, Requests};

/// What can be done with members.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show who is in a group, senior to junior.
    #[command(after_help = "Example:\n  fourword member list ocean-forest-moon-star")]
    List {
        /// The group's four words.
        words: String,
    },
    /// Remove somebody junior to you; the group's key changes at once.
    #[command(
        after_help = "Examples:\n  fourword member remove ocean-forest-moon-star river-wind-wave-fire\n  fourword member remove ocean-forest-moon-star Ben --yes"
    )]
    Remove {
        /// The group's four words.
        words: String,
        /// Who: four words, the name shown, or the first digits of the id.
        who: String,
    },
    /// Give a member another role, not above your own.
    #[command(after_help = "Example:\n  fourword member role ocean-forest-moon-star Ben admin")]
    Role {
        /// The group's four words.
        words: String,
        /// Who: four words, the name shown, or the first digits of the id.
        who: String,
        /// Which role.
        #[arg(value_parser = ROLES)]
        role: String,
    },
}

/// The roles that can be given.
pub(super) const ROLES: [&str; 4] = ["viewer", "member", "admin", "owner"];

/// What `requests` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fourword requests ocean-forest-moon-star")]
pub(super) struct RequestsArgs {
    /// The group's four words.
    words: String,
}

/// What `approve` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword approve ocean-forest-moon-star river-wind-wave-fire\n  fourword approve ocean-forest-moon-star Ben --role viewer"
)]
pub(super) struct ApproveArgs {
    /// The group's four words.
    words: String,
    /// Who, among those who ask: four words, the name shown, or the first digits of the id.
    who: String,
    /// With which role, not above your own.
    #[arg(long, default_value = "member", value_parser = ROLES)]
    role: String,
}

/// What `deny` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fourword deny ocean-forest-moon-star river-wind-wave-fire")]
pub(super) struct DenyArgs {
    /// The group's four words.
    words: String,
    /// Who, among those who ask: four words, the name shown, or the first digits of the id.
    who: String,
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let (client, output) = (context.client(), context.output);
    match verb {
        Verb::List { words } => return list(&words, context).await,
        Verb::Remove { words, who } => {
            context.confirm(&format!("Remove {} from {}?", plain(&who), plain(&words)))?;
            let removed: Removed = client.act(Method::DELETE, &member(&words, &who)).await?;
            output.answer(&removed, |removed| {
                format!(
                    "{} is no longer a member. What is written from now on is sealed under a new key.",
                    plain(&removed.who)
                )
            })?;
        }
        Verb::Role { words, who, role } => {
            let set: RoleSet = client.send(Method::PATCH, &member(&words, &who), &NewRole { role }).await?;
            output.answer(&set, |set| format!("{} now has the role {}.", plain(&set.who), set.role))?;
        }
    }
    Ok(Exit::Done)
}

/// Shows the members; `group members` does the same.
pub(super) async fn list(words: &str, context: &Context) -> Result<Exit, Failure> {
    let members: Members = context.client().get(&path(["groups", words, "members"])).await?;
    context.output.answer(&members, list_text)?;
    Ok(Exit::Done)
}

fn list_text(members: &Members) -> String {
    let line = |member: &Member| {
        let online = if member.online { "online" } else { "offline" };
        format!("{}  {}  {online}  {}", member.identity, member.role, plain(&member.name))
            .trim_end()
            .to_owned()
    };
    members.members.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) async fn requests(args: RequestsArgs, context: &Context) -> Result<Exit, Failure> {
    let requests: Requests = context.client().get(&path(["groups", &args.words, "requests"])).await?;
    context.output.answer(&requests, |requests| requests_text(requests, &args.words))?;
    Ok(Exit::Done)
}

fn requests_text(requests: &Requests, words: &str) -> String {
    if requests.requests.is_empty() {
        return "Nobody asks to be let in.".into();
    }
    let line = |request: &Request| {
        let name = match request.name.as_str() {
            "" => String::new(),
            name => format!(", who goes by the name \"{}\"", plain(name)),
        };
        let note = match request.note.as_str() {
            "" => String::new(),
            note => format!("\n    {}", plain_lines(note, "    ")),
        };
        format!("{}{name}, asked {} UTC{note}", request.identity, time(request.asked))
    };
    let lines: Vec<String> = requests.requests.iter().map(line).collect();
    let words = plain(words);
    format!(
        "{}\n\nAnybody can take any name: compare the four words with the person before you decide.\n  \
         fourword approve {words} WHO\n  fourword deny {words} WHO",
        lines.join("\n")
    )
}

pub(super) async fn approve(args: ApproveArgs, context: &Context) -> Result<Exit, Failure> {
    let path = path(["groups", &args.words, "requests", &args.who, "approve"]);
    let approval = Approval { role: Some(args.role) };
    let approved: Approved = context.client().send(Method::POST, &path, &approval).await?;
    context
        .output
        .answer(&approved, |approved| format!("{} is let in as {}.", plain(&approved.who), approved.role))?;
    Ok(Exit::Done)
}

pub(super) async fn deny(args: DenyArgs, context: &Context) -> Result<Exit, Failure> {
    let path = path(["groups", &args.words, "requests", &args.who, "deny"]);
    let denied: Denied = context.client().act(Method::POST, &path).await?;
    context.output.answer(&denied, |denied| format!("{} is turned away.", plain(&denied.who)))?;
    Ok(Exit::Done)
}

fn member(words: &str, who: &str) -> String {
    path(["groups", words, "members", who])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_shown_with_its_claims_told_apart_from_what_is_known() {
        let request = Request {
            identity: "river-wind-wave-fire".into(),
            person: String::new(),
            name: "Ben\x1b[2J".into(),
            device: String::new(),
            note: "it is me,\nBen".into(),
            asked: 0,
        };
        let nameless = Request { name: String::new(), note: String::new(), ..request.clone() };
        let text = requests_text(&Requests { requests: vec![request, nameless] }, "a-b-c-d");
        let expected = "river-wind-wave-fire, who goes by the name \"Ben\u{fffd}[2J\", asked 1970-01-01 00:00 UTC\n    \
                        it is me,\n    Ben\nriver-wind-wave-fire, asked 1970-01-01 00:00 UTC\n\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("fourword approve a-b-c-d WHO\n  fourword deny a-b-c-d WHO"), "{text}");
    }
}
