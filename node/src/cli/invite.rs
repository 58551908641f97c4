//! `invite`: codes that let people into a group: made, listed, closed.

use std::time::Duration;

use hyper::Method;

use super::client::path;
use super::failure::{Exit, Failure};
use super::member::ROLES;
use super::output::{plain, square, time};
use super::{Context, duration};
use crate::api::invites::{Closed, Invite, Invites, NewInvite, Opened};

/// Digits of an invite's key that people are shown.
const SHORT_KEY_BYTES: usize = 8;

/// What `invite` takes: four words, or a verb.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    override_usage = "fourword invite [OPTIONS] <WORDS>\n       fourword invite <COMMAND>",
    after_help = "Examples:\n  fourword invite ocean-forest-moon-star\n  fourword invite ocean-forest-moon-star --uses 10 --expires 24h --role viewer\n  fourword invite list ocean-forest-moon-star"
)]
pub(super) struct InviteArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    new: Option<CreateArgs>,
}

/// What can be done with invites.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make an invite; `fourword invite WORDS` is short for this.
    Create(CreateArgs),
    /// Show the invites that were made.
    #[command(after_help = "Example:\n  fourword invite list ocean-forest-moon-star")]
    List {
        /// The group's four words.
        words: String,
    },
    /// Close an invite, so that it admits nobody any more.
    #[command(after_help = "Example:\n  fourword invite close ocean-forest-moon-star 9c41d7e0")]
    Close {
        /// The group's four words.
        words: String,
        /// The first digits of its key, as `fourword invite list` shows them.
        key: String,
    },
}

/// What making an invite takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fourword invite create ocean-forest-moon-star --uses 10")]
struct CreateArgs {
    /// The group's four words.
    words: String,
    /// With which role they join.
    #[arg(long, default_value = "member", value_parser = ROLES)]
    role: String,
    /// How many may join by it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how long it admits, for example 24h or 7d.
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = duration)]
    expires: Duration,
}

pub(super) async fn run(args: InviteArgs, context: &Context) -> Result<Exit, Failure> {
    match (args.verb, args.new) {
        (Some(_), Some(_)) => Err(Failure::usage("give a group's four words or a verb, not both")),
        (Some(Verb::Create(new)), None) | (None, Some(new)) => create(new, context).await,
        (Some(Verb::List { words }), None) => {
            let invites: Invites = context.client().get(&path(["groups", &words, "invites"])).await?;
            context.output.answer(&invites, list_text)?;
            Ok(Exit::Done)
        }
        (Some(Verb::Close { words, key }), None) => {
            let path = path(["groups", &words, "invites", &key]);
            let closed: Closed = context.client().act(Method::DELETE, &path).await?;
            context
                .output
                .answer(&closed, |closed| format!("The invite {} admits nobody any more.", closed.key))?;
            Ok(Exit::Done)
        }
        (None, None) => Err(Failure::usage("an invite is to a group: give its four words")),
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<Exit, Failure> {
    let new = NewInvite {
        role: Some(args.role),
        uses: Some(args.uses),
        expires_in_ms: Some(u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX)),
    };
    let path = path(["groups", &args.words, "invites"]);
    let invite: Invite = context.client().send(Method::POST, &path, &new).await?;
    context.output.answer(&invite, invite_text)?;
    Ok(Exit::Done)
}

fn list_text(invites: &Invites) -> String {
    if invites.invites.is_empty() {
        return "No invite was made.".into();
    }
    let line = |invite: &Opened| {
        let key = invite.key.get(..SHORT_KEY_BYTES).unwrap_or(&invite.key);
        let state = match invite {
            Opened { open: true, .. } => "open",
            Opened { uses, used, .. } if used >= uses => "used up",
            _ => "closed or expired",
        };
        let opener = if invite.opener_name.is_empty() { &invite.opener } else { &invite.opener_name };
        format!(
            "{key}  {state}, let in {} of {} as {}, until {} UTC, made by {}",
            invite.used,
            invite.uses,
            invite.role,
            time(invite.expires),
            plain(opener)
        )
    };
    invites.invites.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn invite_text(invite: &Invite) -> String {
    let who = match invite.uses {
        1 => "one person".into(),
        uses => format!("{uses} people"),
    };
    format!(
        "{}{}\n\nThis link admits {who} as {} until {} UTC. Whoever holds it may join: send it in private.\nThey run:\n  fourword join '{}'",
        square(&invite.link).unwrap_or_default(),
        invite.link,
        invite.role,
        time(invite.expires),
        invite.link,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_shown_with_its_link_and_a_square() {
        let invite = Invite {
            code: "abc".into(),
            link: "fourword://join/ocean-forest-moon-star#abc".into(),
            words: "ocean-forest-moon-star".into(),
            role: "member".into(),
            uses: 1,
            expires: 0,
        };
        let text = invite_text(&invite);
        assert!(text.contains('█'));
        assert!(text.contains("admits one person as member until 1970-01-01 00:00 UTC"));
        assert!(text.ends_with("fourword join 'fourword://join/ocean-forest-moon-star#abc'"));
    }

    #[test]
    fn invites_are_listed_with_what_is_left_of_them() {
        let invite = Opened {
            key: "9c".repeat(32),
            opener: "ocean-forest-moon-star".into(),
            opener_name: "Ada\x1b".into(),
            role: "member".into(),
            uses: 3,
            used: 1,
            expires: 0,
            open: true,
        };
        let closed = Opened { open: false, opener_name: String::new(), ..invite.clone() };
        let used_up = Opened { used: 3, ..closed.clone() };
        assert_eq!(
            list_text(&Invites { invites: vec![invite, closed, used_up] }),
            "9c9c9c9c  open, let in 1 of 3 as member, until 1970-01-01 00:00 UTC, made by Ada\u{fffd}\n\
             9c9c9c9c  closed or expired, let in 1 of 3 as member, until 1970-01-01 00:00 UTC, made by \
             ocean-forest-moon-star\n\
             9c9c9c9c  used up, let in 3 of 3 as member, until 1970-01-01 00:00 UTC, made by ocean-forest-moon-star"
        );
    }
}
