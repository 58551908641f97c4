//! `doctor`: gathers what is known of the node of this home, has it judged, and prints it.
//!
//! Works without a running node too: then what lies on the disk is looked at, and that is said.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Context;
use super::client::{Client, path};
use super::failure::{Exit, Failure};
use super::output::plain;
use crate::api::chat::Messages;
use crate::api::devices::Devices;
use crate::api::error::Code;
use crate::api::groups::Groups;
use crate::api::node::Status;
use crate::api::sync::Sync;
use crate::config::Settings;
use crate::doctor::{Check, Examined, Verdict, bundle, clock, home, network, peers};
use crate::driver::Report;
use crate::paths;

/// How long the node may take for one answer: one that hangs is told as such.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// Groups whose latest messages are compared with the clock.
const GROUPS_MAX: usize = 20;

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword doctor\n  fourword doctor --json\n  fourword doctor --bundle report.json\n\nThe bundle has no words, keys, names or texts in it, and no whole addresses.\nExit codes: 0 nothing failed, 1 something failed, 5 no node runs (the rest was checked)."
)]
pub(super) struct Args {
    /// Write all of it to a file that can be passed on.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// What a running node tells of itself.
struct Told {
    status: Option<Status>,
    report: Report,
    sync: Option<Sync>,
    devices: Option<Devices>,
    /// When others wrote their latest messages.
    times: Vec<u64>,
    metrics: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let settings = Settings::load(&context.paths.config()).map_err(|error| error.message);
    let asked = ask(&context.client().hasty(ANSWER_TIME_MAX)).await;
    let examined = examine(&settings, asked.as_ref(), context, |sync| sync.clone());
    context.output.answer(&examined, text)?;
    if let Some(file) = &args.bundle {
        let shown = examine(&settings, asked.as_ref(), context, bundle::nameless);
        let bundle = bundle(&shown, &settings, asked.as_ref().ok(), context)?;
        let written = std::path::absolute(file).and_then(|file| paths::replace(&file, bundle.as_bytes()));
        written.map_err(|e| Failure::internal(format!("{}: {e}", file.display())))?;
        context.output.note(&format!("Written: {}", file.display()));
    }
    Ok(match (examined.running, examined.verdict) {
        (false, _) => Exit::NotRunning,
        (true, Verdict::Failed) => Exit::Wrong,
        (true, Verdict::Ok | Verdict::Warning) => Exit::Done,
    })
}

/// Asks the node for all that is judged. Fails if it does not answer at all.
async fn ask(client: &Client) -> Result<Told, Failure> {
    let report: Report = client.get("/api/v1/report").await?;
    let groups: Option<Groups> = told(client, "/api/v1/groups").await;
    let status: Option<Status> = told(client, "/api/v1/status").await;
    let own = status.as_ref().map(|status| status.identity.clone()).unwrap_or_default();
    let mut times = Vec::new();
    for group in groups.iter().flat_map(|groups| &groups.groups).take(GROUPS_MAX) {
        let latest = path(["groups", &group.words, "chat", "messages"]) + "?last=20";
        let messages: Option<Messages> = told(client, &latest).await;
        let messages = messages.into_iter().flat_map(|messages| messages.messages);
        times.extend(messages.filter(|message| message.author != own).map(|message| message.time));
    }
    Ok(Told {
        sync: told(client, "/api/v1/sync").await,
        devices: told(client, "/api/v1/devices").await,
        metrics: client.text("/metrics").await.unwrap_or_default(),
        status,
        report,
        times,
    })
}

/// What the node tells; `None` where it cannot tell it yet.
async fn told<T: DeserializeOwned>(client: &Client, path: &str) -> Option<T> {
    client.act(Method::GET, path).await.ok()
}

fn examine(
    settings: &Result<Settings, String>,
    asked: Result<&Told, &Failure>,
    context: &Context,
    shown: impl Fn(&Sync) -> Sync,
) -> Examined {
    let paths = &context.paths;
    let mut checks = vec![node(asked)];
    checks.extend(home::settings(paths, settings, asked.is_ok()));
    checks.extend(home::disk(paths));
    checks.extend(home::modes(paths));
    checks.push(home::key(paths));
    let times = asked.map_or(&[][..], |told| &told.times);
    checks.push(clock::clock(paths.home(), SystemTime::now(), times));
    if let Ok(told) = asked {
        checks.extend(identity(told));
        let addresses = told.status.as_ref().map_or(&[][..], |status| &status.addresses);
        checks.extend(network::network(&told.report, addresses));
        checks.extend(told.sync.iter().flat_map(|sync| peers::peers(&shown(sync))));
    }
    Examined::new(asked.is_ok(), checks)
}

fn node(asked: Result<&Told, &Failure>) -> Check {
    match asked {
        Ok(told) => match told.status.as_ref().and_then(|status| status.read_only.as_ref()) {
            Some(reason) => {
                let advice = "make room or repair the disk, then restart the node";
                Check::failed("node", format!("the node runs and writes no more: {reason}"), advice)
            }
            None => Check::ok("node", format!("a node runs here since {} s", told.report.uptime_s)),
        },
        Err(failure) if failure.code == Code::NotRunning => {
            let advice = "`fourword start` starts it; what only it can tell was not checked";
            Check::failed("node", "no node runs here", advice)
        }
        Err(failure) => {
            let advice = "restart it; its log may say why: `fourword paths`";
            Check::failed("node", format!("the node does not answer: {}", failure.message), advice)
        }
    }
}

/// Whether this device may speak for its person, and whether the person could come back.
fn identity(told: &Told) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(status) = &told.status {
        checks.push(if status.root_on_device {
            let advice =
                "write it down: `fourword identity phrase`; then `fourword identity phrase --forget`";
            Check::warning("phrase", "the recovery phrase is still on this device", advice)
        } else {
            Check::ok("phrase", "the recovery phrase was taken off this device")
        });
    }
    let here = told.devices.iter().flat_map(|devices| &devices.devices).find(|device| device.here);
    checks.extend(here.map(|device| {
        if device.revoked {
            let advice = "link it anew with `fourword device add` on another one, or recover by the phrase";
            Check::failed("device", "this device was revoked by another one of yours", advice)
        } else {
            Check::ok("device", "this device is certified as one of yours")
        }
    }));
    checks
}

/// The bundle, as text.
fn bundle(
    examined: &Examined,
    settings: &Result<Settings, String>,
    told: Option<&Told>,
    context: &Context,
) -> Result<String, Failure> {
    let settings =
        settings.as_ref().ok().map(|settings| Settings { name: String::new(), ..settings.clone() });
    let mut value = json!({
        "bundle": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "examined": examined,
        "settings": settings,
        "report": told.map(|told| &told.report),
        "metrics": told.map(|told| told.metrics.lines().collect::<Vec<_>>()).unwrap_or_default(),
    });
    bundle::scrub(&mut value, &context.paths.home().to_string_lossy());
    to_text(&value)
}

fn to_text(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::internal(e.to_string()))
}

fn text(examined: &Examined) -> String {
    let lines = examined.checks.iter().map(|check| {
        let verdict = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
        };
        let advice = if check.advice.is_empty() {
            String::new()
        } else {
            format!("\n{:19}{}", "", plain(&check.advice))
        };
        format!("{verdict:<8} {:<9} {}{advice}", check.about, plain(&check.says))
    });
    lines.collect::<Vec<_>>().join("\n")
}
