//! `start` and `stop`: the node in the background.
//!
//! `start` runs `up` as a process of its own, its errors in the log of the home, and waits until it
//! answers. What `up` tells a person names people and groups, and so is not kept. `stop` asks it to end and waits until its files say that it has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::Context;
use super::client::Client;
use super::failure::{Exit, Failure};
use super::up;
use crate::api::error::Code;
use crate::api::node::{Status, Stopping};
use crate::api::server::Endpoint;

/// How often it is looked whether the node has come or gone.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of the log above which a start begins a new one; one old one is kept.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes at the log's end that are searched for why a start failed.
const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// What `start` takes.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Examples:\n  fourword start\n  fourword start --listen /ip4/0.0.0.0/tcp/4001 --timeout 2m"
)]
pub(super) struct Args {
    #[command(flatten)]
    up: up::Args,
}

/// A node that runs in the background.
#[derive(Serialize)]
struct Started {
    /// False if it ran already.
    started: bool,
    identity: String,
    peer_id: Option<String>,
    addresses: Vec<String>,
    api: String,
    pid: u32,
}

#[derive(Serialize)]
struct Stopped {
    stopped: bool,
}

pub(super) async fn start(args: Args, context: &Context) -> Result<Exit, Failure> {
    if let Ok(status) = context.client().get::<Status>("/api/v1/status").await {
        return answer(false, status, context);
    }
    args.up.settings(context)?;
    let paths = &context.paths;
    let log = paths.log();
    let spawned = paths.create().and_then(|()| spawn(&args, context, &log));
    let (mut child, begin) = spawned.map_err(|e| Failure::internal(format!("cannot start the node: {e}")))?;
    context.output.note("Starting; the first time this takes some seconds ...");
    let ready = async {
        loop {
            if let Ok(status) = Client::new(paths, context.timeout).get::<Status>("/api/v1/status").await {
                return Ok(status);
            }
            if let Ok(Some(_)) = child.try_wait() {
                return Err(reason(&log, begin));
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let hint = format!("it goes on; its log is {}", log.display());
    let status = tokio::time::timeout(context.timeout, ready)
        .await
        .map_err(|_| Failure::new(Code::TimedOut, "the node is not ready yet", hint))??;
    answer(true, status, context)
}

fn answer(started: bool, status: Status, context: &Context) -> Result<Exit, Failure> {
    let endpoint = fs::read(context.paths.api()).ok();
    let endpoint: Endpoint = endpoint
        .and_then(|text| serde_json::from_slice(&text).ok())
        .ok_or_else(|| Failure::internal(format!("{} cannot be read", context.paths.api().display())))?;
    let started = Started {
        started,
        identity: status.identity,
        peer_id: status.peer_id,
        addresses: status.addresses,
        api: endpoint.url,
        pid: endpoint.pid,
    };
    context.output.answer(&started, |node| {
        let how = if node.started { "runs now" } else { "runs already" };
        let phrase = if status.root_on_device {
            "\nWrite your recovery phrase down: fourword identity phrase"
        } else {
            ""
        };
        format!("The node {how}: {} (process {}){phrase}", node.identity, node.pid)
    })?;
    Ok(Exit::Done)
}

/// Starts `up` in a process group of its own, so that what ends this terminal spares it.
fn spawn(args: &Args, context: &Context, log: &Path) -> io::Result<(Child, u64)> {
    let size = fs::metadata(log).map_or(0, |metadata| metadata.len());
    if size > LOG_BYTES_MAX {
        fs::rename(log, log.with_extension("log.1"))?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let begin = file.metadata()?.len();
    let format = match context.log_format {
        crate::logging::Format::Text => "text",
        crate::logging::Format::Json => "json",
    };
    let child = Command::new(std::env::current_exe()?)
        .args(["--json", "--log-format", format, "--home"])
        .arg(context.paths.home())
        .arg("up")
        .args(args.up.to_arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .process_group(0)
        .spawn()?;
    Ok((child, begin))
}

/// Finds in the log why the node ended: its last line is the failure as JSON.
fn reason(log: &Path, begin: u64) -> Failure {
    #[derive(Deserialize)]
    struct Last {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        code: Code,
        message: String,
        hint: String,
    }
    let hint = format!("its log is {}", log.display());
    let text = tail(log, begin).unwrap_or_default();
    let said = text.lines().rev().find_map(|line| serde_json::from_str::<Last>(line).ok());
    said.map_or_else(
        || Failure::new(Code::Internal, "the node ended before it was ready", hint),
        |Last { error }| Failure::new(error.code, error.message, error.hint),
    )
}

fn tail(log: &Path, begin: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(begin.max(size.saturating_sub(LOG_TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) async fn stop(context: &Context) -> Result<Exit, Failure> {
    let _: Stopping = context.client().act(Method::POST, "/api/v1/stop").await?;
    let gone = async {
        while context.paths.api().exists() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let hint = "it may still be writing; look at its log, `fourword paths` says where";
    tokio::time::timeout(context.timeout, gone)
        .await
        .map_err(|_| Failure::new(Code::TimedOut, "the node has not ended yet", hint))?;
    context.output.answer(&Stopped { stopped: true }, |_| "The node has stopped.".into())?;
    Ok(Exit::Done)
}
