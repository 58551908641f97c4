//! `healthcheck` and `metrics`: for programs that watch a node or a relay.

use std::time::Duration;

use super::client::Client;
use super::failure::{Exit, Failure};
use super::output::plain;
use super::{Context, relay};
use crate::api::error::Code;
use crate::api::node::Health;

/// How long a check may take: who asks for one gives up soon after.
const CHECK_TIME_MAX: Duration = Duration::from_secs(10);

/// What `healthcheck` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword healthcheck && echo up\n  HEALTHCHECK CMD [\"/fourword\", \"healthcheck\"]\n\nChecks what runs in this home: the node, the relay, or both. Well is what answers in all its parts."
)]
pub(super) struct HealthArgs {
    /// Check the relay alone.
    #[arg(long, conflicts_with = "node")]
    relay: bool,
    /// Check the node alone.
    #[arg(long)]
    node: bool,
}

/// What `metrics` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  fourword metrics\n  fourword metrics --relay")]
pub(super) struct MetricsArgs {
    /// What the relay that runs here measures.
    #[arg(long)]
    relay: bool,
}

pub(super) async fn healthcheck(args: HealthArgs, context: &Context) -> Result<Exit, Failure> {
    let (node, relay) = (context.client(), relay_client(context)?);
    let checked: Vec<&Client> = match (args.node, args.relay) {
        (true, _) => vec![&node],
        (_, true) => vec![&relay],
        _ => [&node, &relay].into_iter().filter(|client| client.is_there()).collect(),
    };
    match check(&checked).await {
        Ok(health) => {
            context
                .output
                .answer(&health, |health| format!("All is well. Version {}.", plain(&health.version)))?;
            Ok(Exit::Done)
        }
        Err(failure) => {
            context.output.failure(&failure);
            Ok(Exit::Wrong)
        }
    }
}

async fn check(clients: &[&Client]) -> Result<Health, Failure> {
    let mut well = None;
    for client in clients {
        well = Some(client.hasty(CHECK_TIME_MAX).get::<Health>("/health").await?);
    }
    let hint = "start one with `fourword start` or `fourword relay`";
    well.ok_or_else(|| Failure::new(Code::NotRunning, "neither a node nor a relay runs here", hint))
}

pub(super) async fn metrics(args: MetricsArgs, context: &Context) -> Result<Exit, Failure> {
    let page = if args.relay {
        relay_client(context)?.text("/metrics").await.map_err(relay::not_running)?
    } else {
        context.client().text("/metrics").await?
    };
    context.output.answer(&page, |page| page.trim_end().to_owned())?;
    Ok(Exit::Done)
}

fn relay_client(context: &Context) -> Result<Client, Failure> {
    Ok(Client::new(&relay::paths(context)?, context.timeout))
}
