//! `invite` and `join`: how people come into a group, from both sides.

use std::time::Duration;

use hyper::Method;

use super::client::path;
use super::failure::{Exit, Failure};
use super::output::{plain, time};
use super::{Context, duration};
use crate::api::invites::{Invite, Join, NewInvite, NewJoin, Standing};

/// What `invite` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword invite ocean-forest-moon-star\n  fourword invite ocean-forest-moon-star --uses 10 --expires 24h --role viewer"
)]
pub(super) struct InviteArgs {
    /// The group's four words.
    words: String,
    /// With which role they join.
    #[arg(long, default_value = "member", value_parser = ["viewer", "member", "admin", "owner"])]
    role: String,
    /// How many may join by it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how long it admits, for example 24h or 7d.
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = duration)]
    expires: Duration,
}

/// What `join` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword join 'fourword://join/ocean-forest-moon-star#CODE'\n  fourword join ocean-forest-moon-star --code CODE --wait 120"
)]
pub(super) struct JoinArgs {
    /// The group's four words, or the link of an invite.
    words: String,
    /// The code of an invite, or its link.
    #[arg(long)]
    code: Option<String>,
    /// A multiaddr to dial besides those in the code.
    #[arg(long = "peer", value_name = "MULTIADDR")]
    peers: Vec<String>,
    /// How many seconds to wait for being let in.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u32,
}

pub(super) async fn invite(args: InviteArgs, context: &Context) -> Result<Exit, Failure> {
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

/// The link as a QR code of half blocks, for a telephone to read; `None` if it is too long for one.
fn square(link: &str) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(link, qrcode::EcLevel::L).ok()?;
    let mut picture = code.render::<qrcode::render::unicode::Dense1x2>();
    Some(picture.quiet_zone(true).build() + "\n\n")
}

pub(super) async fn join(args: JoinArgs, context: &Context) -> Result<Exit, Failure> {
    let new = NewJoin { words: Some(args.words), code: args.code, peers: args.peers, wait: Some(args.wait) };
    context.output.note("Joining ...");
    let client = context.client().patient(Duration::from_secs(args.wait.into()));
    let join: Join = client.send(Method::POST, "/api/v1/joins", &new).await?;
    context.output.answer(&join, join_text)?;
    Ok(match join.state {
        Standing::Joined => Exit::Done,
        Standing::Pending => Exit::Pending,
        Standing::Unreachable => Exit::TimedOut,
    })
}

fn join_text(join: &Join) -> String {
    let words = &join.words;
    match join.state {
        Standing::Joined => format!("You are in {words} {}", plain(&join.group.name)).trim_end().into(),
        Standing::Pending => {
            format!("A member of {words} was reached; it has not let you in yet. The node goes on.")
        }
        Standing::Unreachable => {
            format!(
                "Nobody of {words} could be reached yet. The node goes on trying; `fourword group list` shows it."
            )
        }
    }
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
        assert!(square(&"x".repeat(5000)).is_none());
    }
}
