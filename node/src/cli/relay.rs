//! `relay`: runs a relay here, or shows how the one that runs here does.
//!
//! A relay keeps its things in a directory of its own below the home, so that it may share a home
//! with a node. Its status is served on a unix socket there, in numbers alone.

use std::fmt::Write;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Context;
use super::client::Client;
use super::failure::{Exit, Failure};
use super::signals::Signals;
use crate::api::body::Body;
use crate::api::error::{Code, Problem};
use crate::api::log::Changes;
use crate::api::node::Health;
use crate::api::server;
use crate::logging::{Levels, Shown};
use crate::notify::Notifier;
use crate::paths::Paths;
use crate::relay::{self, Asker, Options, Relay, Status};
use crate::{config, logging, metrics};

/// Where a relay's status is asked for.
pub(super) const STATUS: &str = "/relay/status";

/// How long the first line waits for the addresses to listen on.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a relay that goes round may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

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
pub(super) fn paths(context: &Context) -> Result<Paths, Failure> {
    let home = context.paths.home().join("relay");
    Paths::find(Some(home), |name| std::env::var_os(name)).map_err(Failure::usage)
}

pub(super) fn not_running(failure: Failure) -> Failure {
    if failure.code != Code::NotRunning {
        return failure;
    }
    Failure::new(Code::NotRunning, "no relay runs here", "start one with `fourword relay`")
}

async fn serve(args: Args, paths: &Paths, context: &Context) -> Result<Exit, Failure> {
    config::check_addresses(&args.listen).map_err(Failure::usage)?;
    config::check_addresses(&args.external).map_err(Failure::usage)?;
    let levels = logging::start(&args.log, context.log_format).map_err(Failure::usage)?;
    let notifier = Notifier::new(|name| std::env::var_os(name), std::process::id());
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
    let router = Router::new()
        .route(STATUS, get(status))
        .route("/health", get(health))
        .route("/metrics", get(page))
        .route("/api/v1/log", get(levels_shown).put(levels_set))
        .with_state(Served { asker: relay.asker(), levels });
    let served = tokio::spawn(async move { axum::serve(socket, router).await });
    // Without all its addresses it still serves those it has.
    let listens = relay.addresses.wait_for(|addresses| addresses.len() >= options.listen.len());
    let _ = tokio::time::timeout(LISTEN_TIME_MAX, listens).await;
    let addresses = relay.addresses.borrow().clone();
    context.output.answer(&Ready { event: "ready", addresses: &addresses }, |_| welcome(&addresses))?;
    notifier.ready();
    let asker = relay.asker();
    tokio::select! {
        () = signals.next() => {}
        never = notifier.stay_alive(async || answers(&asker).await.is_some()) => match never {},
    }
    notifier.stopping();
    served.abort();
    let _ = std::fs::remove_file(paths.socket());
    drop(asker);
    signals.or_at_once(relay.stop(), context.output).await;
    Ok(Exit::Done)
}

/// What the handlers work with.
#[derive(Clone)]
struct Served {
    asker: Asker,
    levels: Levels,
}

/// The status, unless the relay hangs.
async fn answers(asker: &Asker) -> Option<Status> {
    tokio::time::timeout(ANSWER_TIME_MAX, asker.status()).await.ok().flatten()
}

async fn asked(served: &Served) -> Result<Status, Problem> {
    let hangs = || Problem::new(Code::TimedOut, "the relay does not answer", "see its log");
    answers(&served.asker).await.ok_or_else(hangs)
}

async fn status(State(served): State<Served>) -> Result<Json<Status>, Problem> {
    asked(&served).await.map(Json)
}

async fn health(State(served): State<Served>) -> Result<Json<Health>, Problem> {
    asked(&served).await?;
    Ok(Json(Health::ok()))
}

async fn page(State(served): State<Served>) -> Result<String, Problem> {
    Ok(metrics::relay(&asked(&served).await?))
}

async fn levels_shown(State(served): State<Served>) -> Json<Shown> {
    Json(served.levels.shown())
}

async fn levels_set(
    State(served): State<Served>,
    Body(changes): Body<Changes>,
) -> Result<Json<Shown>, Problem> {
    changes.carry_out(&served.levels).map(Json)
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
