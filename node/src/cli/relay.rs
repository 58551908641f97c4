//! `relay`: runs a relay here, or shows how the one that runs here does.
//!
//! A relay keeps its things in a directory of its own below the home, so that it may share a home
//! with a node. Its status is served on a unix socket there, in numbers alone.

use std::fmt::Write;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Context;
use super::client::Client;
use super::failure::{Exit, Failure};
use super::signals::Signals;
use crate::api::error::Code;
use crate::api::server;
use crate::paths::Paths;
use crate::relay::{self, Asker, Options, Relay, Status};
use crate::{config, logging};

/// Where a relay's status is asked for.
const STATUS: &str = "/relay/status";

/// How long the first line waits for the addresses to listen on.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(5);

/// What `relay` takes.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  fourword relay\n  fourword relay --listen /ip4/0.0.0.0/udp/4001/quic-v1 --listen /ip4/0.0.0.0/tcp/4001 --external /dns4/relay.example.org/tcp/4001\n  fourword relay status --json"
)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Where nodes dial this relay; may be given more than once.
    #[arg(long, value_name = "MULTIADDR", default_values = ["/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001"])]
    listen: Vec<String>,
    /// Under which address others reach it, if not where it listens; may be given more than once.
    #[arg(long, value_name = "MULTIADDR")]
    external: Vec<String>,
    /// What is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "FILTER", default_value = "info,libp2p_swarm=warn", env = "FOURWORD_LOG")]
    log: String,
}

/// What can be asked of a relay that runs.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show how the relay that runs here does.
    #[command(after_help = "Example:\n  fourword relay status --json")]
    Status,
}

/// The first line of a running relay, for programs.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    addresses: &'a [String],
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let paths = paths(context)?;
    match args.verb {
        None => serve(args, &paths, context).await,
        Some(Verb::Status) => {
            let status: Status =
                Client::new(&paths, context.timeout).get(STATUS).await.map_err(not_running)?;
            context.output.answer(&status, text)?;
            Ok(Exit::Done)
        }
    }
}

/// The places of a relay, below the home.
fn paths(context: &Context) -> Result<Paths, Failure> {
    let home = context.paths.home().join("relay");
    Paths::find(Some(home), |name| std::env::var_os(name)).map_err(Failure::usage)
}

fn not_running(failure: Failure) -> Failure {
    if failure.code != Code::NotRunning {
        return failure;
    }
    Failure::new(Code::NotRunning, "no relay runs here", "start one with `fourword relay`")
}

async fn serve(args: Args, paths: &Paths, context: &Context) -> Result<Exit, Failure> {
    config::check_addresses(&args.listen).map_err(Failure::usage)?;
    config::check_addresses(&args.external).map_err(Failure::usage)?;
    logging::start(&args.log, context.log_format).map_err(Failure::usage)?;
    paths.create().map_err(|e| Failure::internal(format!("{}: {e}", paths.home().display())))?;
    if Client::new(paths, context.timeout).get::<Status>(STATUS).await.is_ok() {
        let message = format!("a relay runs already on {}", paths.home().display());
        return Err(Failure::new(Code::InUse, message, "stop it, or give another --home"));
    }
    let mut signals = Signals::new().map_err(|e| Failure::internal(e.to_string()))?;
    let options = Options { listen: args.listen, external: args.external };
    let mut relay = Relay::start(relay::key(paths.home())?, &options).map_err(anyhow::Error::from)?;
    let socket =
        server::bind(paths).map_err(|e| Failure::internal(format!("{}: {e}", paths.socket().display())))?;
    let router = Router::new().route(STATUS, get(status)).with_state(relay.asker());
    let served = tokio::spawn(async move { axum::serve(socket, router).await });
    // Without all its addresses it still serves those it has.
    let listens = relay.addresses.wait_for(|addresses| addresses.len() >= options.listen.len());
    let _ = tokio::time::timeout(LISTEN_TIME_MAX, listens).await;
    let addresses = relay.addresses.borrow().clone();
    context.output.answer(&Ready { event: "ready", addresses: &addresses }, |_| welcome(&addresses))?;
    signals.next().await;
    served.abort();
    let _ = std::fs::remove_file(paths.socket());
    relay.stop().await;
    Ok(Exit::Done)
}

async fn status(State(asker): State<Asker>) -> Result<Json<Status>, StatusCode> {
    asker.status().await.map(Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
}

fn welcome(addresses: &[String]) -> String {
    let list: String = addresses.iter().map(|address| format!("\n  {address}")).collect();
    let first = addresses.first().map_or("ADDRESS", String::as_str);
    format!(
        "This relay is reached at{list}\n\nNodes use it with\n  fourword up --relay {first}\nor, from each start,\n  fourword config set relays {first}\n\nCtrl-C stops the relay."
    )
}

fn text(status: &Status) -> String {
    let limits = &status.limits;
    let mut text = format!("Relay {}\n", status.peer_id);
    for address in &status.addresses {
        let _ = writeln!(text, "Reached at {address}");
    }
    let _ = writeln!(text, "Running for {} s", status.uptime_s);
    let _ = writeln!(
        text,
        "Devices: {}   Connections: {} of {}",
        status.devices, status.connections, limits.connections
    );
    let _ =
        writeln!(text, "Places: {} of {}, {} refused", status.places, limits.places, status.places_refused);
    let _ = writeln!(
        text,
        "Circuits: {} of {}, {} since the start, {} refused",
        status.circuits, limits.circuits, status.circuits_opened, status.circuits_refused
    );
    let _ = write!(text, "Keys: {} of {}, {} refused", status.offers, limits.offers, status.offers_refused);
    text
}
