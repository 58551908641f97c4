//! `up`: runs the node and its API in this process until it is told to stop.
//!
//! Order: settings, log, node (which locks the home), API, ready line, events. And back: API, node,
//! the files that told of it; so a home with `run/api.json` but no process was left by a crash.

use std::convert::Infallible;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use fourword_protocol::words::Naming;
use fourword_storage::read_model::ReadModel;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::Context;
use super::failure::{Exit, Failure};
use super::output::{Output, plain};
use super::signals::Signals;
use crate::api::Api;
use crate::api::error::Code;
use crate::api::events::{Event, Reader};
use crate::api::node::{Health, Status};
use crate::api::progress::Progress;
use crate::api::server::Server;
use crate::clock;
use crate::config::{self, Settings};
use crate::daemon::{self, Options};
use crate::driver::Handle;
use crate::logging::{self, Levels};
use crate::notify::Notifier;
use crate::reading::Reading;

/// How long a node may take to write what waits.
const STOP_TIME_MAX: Duration = Duration::from_secs(60);

/// How long the first line waits for addresses to listen on.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of the file that holds the passphrase.
const PASSPHRASE_BYTES_MAX: u64 = 4096;

/// What `up` takes.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Examples:\n  fourword up\n  fourword up --listen /ip4/0.0.0.0/udp/4001/quic-v1 --api 127.0.0.1:8400\n\nThe passphrase that seals the keys is taken from FOURWORD_PASSPHRASE or the file named by\nFOURWORD_PASSPHRASE_FILE."
)]
pub(super) struct Args {
    /// Where other nodes may dial this one; may be given more than once.
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// A node to dial first; may be given more than once.
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<String>,
    /// A relay; may be given more than once.
    #[arg(long, value_name = "MULTIADDR")]
    relay: Vec<String>,
    /// Do not look for nodes in the local network.
    #[arg(long)]
    no_mdns: bool,
    /// Where the API listens; loopback only.
    #[arg(long, value_name = "ADDR:PORT")]
    api: Option<String>,
}

impl Args {
    /// The arguments again, for another process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let flags = [("--listen", &self.listen), ("--bootstrap", &self.bootstrap), ("--relay", &self.relay)];
        for (flag, values) in flags {
            arguments.extend(values.iter().flat_map(|value| [flag.into(), value.into()]));
        }
        if self.no_mdns {
            arguments.push("--no-mdns".into());
        }
        if let Some(api) = &self.api {
            arguments.extend(["--api".into(), api.into()]);
        }
        arguments
    }

    /// The settings of the file, outranked by the environment, outranked by these flags.
    pub(super) fn settings(&self, context: &Context) -> Result<Settings, Failure> {
        let path = context.paths.config();
        let mut settings = Settings::load(&path)?.outranked_by(|name| std::env::var(name).ok())?;
        for (given, setting) in [
            (&self.listen, &mut settings.listen),
            (&self.bootstrap, &mut settings.bootstrap),
            (&self.relay, &mut settings.relays),
        ] {
            if !given.is_empty() {
                config::check_addresses(given).map_err(Failure::usage)?;
                setting.clone_from(given);
            }
        }
        if let Some(api) = &self.api {
            settings.api = config::read_api(api).map_err(Failure::usage)?;
        }
        settings.mdns &= !self.no_mdns;
        Ok(settings)
    }
}

/// The first line of a running node, for programs.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    identity: &'a str,
    peer_id: Option<&'a str>,
    addresses: &'a [String],
    api: &'a str,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let paths = &context.paths;
    paths.create().map_err(|e| Failure::internal(format!("{}: {e}", paths.home().display())))?;
    Settings::create(&paths.config())?;
    let settings = args.settings(context)?;
    let levels = logging::start(&settings.log, context.log_format).map_err(Failure::usage)?;
    let notifier = Notifier::new(|name| std::env::var_os(name), std::process::id());
    if context.client().get::<Health>("/health").await.is_ok() {
        let message = format!("a node runs already on {}", paths.home().display());
        return Err(Failure::new(
            Code::InUse,
            message,
            "stop it with `fourword stop`, or give another --home",
        ));
    }
    let mut signals = Signals::new().map_err(|e| Failure::internal(e.to_string()))?;
    if let Some(ms) = clock_shift(std::env::var("FOURWORD_CLOCK_SHIFT").ok())? {
        tracing::warn!(ms, "the clock of this node is shifted");
        clock::shift(ms);
    }
    let (node, model) = daemon::start(options(&settings, context)?).await?;
    let handle = node.handle.clone();
    let api = api(&handle, model, levels)?;
    let mut ended = tokio::spawn(node.wait());
    let server = match Server::start(api.clone(), paths, settings.api).await {
        Ok(server) => server,
        Err(e) => return Err(end(&handle, ended).await.err().unwrap_or_else(|| e.into())),
    };

    let failed = tokio::select! {
        failed = serve(&handle, &api, &server, &settings, &notifier, context) => failed.err(),
        never = notifier.stay_alive(async || api.report().await.is_ok()) => match never {},
        () = signals.next() => None,
        () = api.stopping() => None,
        ended = &mut ended => {
            api.stop();
            server.close().await.remove_files();
            let message = "the node has ended by itself".to_owned();
            return Err(finished(ended).err().unwrap_or_else(|| Failure::internal(message)));
        }
    };
    notifier.stopping();
    let ending = async {
        api.stop();
        let closed = server.close().await;
        end(&handle, ended).await?;
        closed.remove_files();
        Ok::<(), Failure>(())
    };
    signals.or_at_once(ending, context.output).await?;
    failed.map_or(Ok(Exit::Done), Err)
}

/// The API of a node, whose chats are copied from now on.
fn api(handle: &Handle, model: ReadModel, levels: Levels) -> Result<Api, Failure> {
    let node = Arc::new(handle.clone());
    let reading = Reading::start(node.clone(), model).map_err(|e| Failure::internal(e.to_string()))?;
    tokio::spawn(reading.clone().keep_up());
    Ok(Api::new(node, reading).with_levels(levels))
}

fn options(settings: &Settings, context: &Context) -> Result<Options, Failure> {
    Ok(Options {
        home: context.paths.home().into(),
        listen: settings.listen.clone(),
        bootstrap: settings.bootstrap.clone(),
        relays: settings.relays.clone(),
        mdns: settings.mdns,
        passphrase: passphrase(|name| std::env::var_os(name))?,
        naming: naming(std::env::var_os("FOURWORD_NAMING"))?,
    })
}

/// The passphrase comes by the environment or a file alone: arguments are seen by all users.
fn passphrase(environment: impl Fn(&str) -> Option<OsString>) -> Result<Option<String>, Failure> {
    if let Some(passphrase) = environment("FOURWORD_PASSPHRASE") {
        let wrong = |_| Failure::usage("FOURWORD_PASSPHRASE is not UTF-8");
        return passphrase.into_string().map(Some).map_err(wrong);
    }
    let Some(file) = environment("FOURWORD_PASSPHRASE_FILE") else { return Ok(None) };
    let mut text = String::new();
    let read = std::fs::File::open(&file).and_then(|open| {
        std::io::Read::read_to_string(&mut std::io::Read::take(open, PASSPHRASE_BYTES_MAX), &mut text)
    });
    read.map_err(|e| Failure::usage(format!("FOURWORD_PASSPHRASE_FILE {}: {e}", file.display())))?;
    let passphrase = text.lines().next().unwrap_or_default();
    if passphrase.is_empty() {
        return Err(Failure::usage("the file named by FOURWORD_PASSPHRASE_FILE is empty"));
    }
    Ok(Some(passphrase.into()))
}

/// Names of `test` are cheap to make and to forge, and meet no real ones.
fn naming(given: Option<OsString>) -> Result<Naming, Failure> {
    match given.as_ref().and_then(|given| given.to_str()) {
        None if given.is_none() => Ok(Naming::Standard),
        Some("" | "standard") => Ok(Naming::Standard),
        Some("test") => Ok(Naming::Test),
        _ => Err(Failure::usage("FOURWORD_NAMING is standard or, for tests, test")),
    }
}

/// By how many milliseconds a test wants this node's clock to be wrong: a time such as 48h or -2d.
fn clock_shift(given: Option<String>) -> Result<Option<i64>, Failure> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    let (sign, length) = given.strip_prefix('-').map_or((1, given.as_str()), |length| (-1, length));
    let length = super::duration(length).map_err(|e| Failure::usage(format!("FOURWORD_CLOCK_SHIFT: {e}")))?;
    let ms = i64::try_from(length.as_millis());
    Ok(Some(sign * ms.map_err(|_| Failure::usage("FOURWORD_CLOCK_SHIFT is too far away"))?))
}

/// Says that the node is ready and then what happens, without end.
async fn serve(
    handle: &Handle,
    api: &Api,
    server: &Server,
    settings: &Settings,
    notifier: &Notifier,
    context: &Context,
) -> Result<Infallible, Failure> {
    let mut events = api.events();
    let mut status = ready(handle, api, &mut events, context.output).await?;
    if status.name.is_empty() && !settings.name.is_empty() {
        api.rename(settings.name.clone()).await?;
        status.name.clone_from(&settings.name);
    }
    let url = &server.endpoint().url;
    let ready = Ready {
        event: "ready",
        identity: &status.identity,
        peer_id: status.peer_id.as_deref(),
        addresses: &status.addresses,
        api: url,
    };
    context.output.answer(&ready, |_| welcome(&status, url, context))?;
    notifier.ready();
    loop {
        let (_, event) = events.next().await;
        if !matches!(event, Event::Ready { .. }) {
            context.output.answer(&event, text)?;
        }
    }
}

/// Waits until the node knows who it is and where it listens.
async fn ready(handle: &Handle, api: &Api, events: &mut Reader, output: Output) -> Result<Status, Failure> {
    let mut meter = output.meter();
    let status = loop {
        let status = api.status();
        tokio::pin!(status);
        let status = loop {
            tokio::select! {
                status = &mut status => break status,
                (_, event) = events.next() => show_minting(&event, &mut meter),
            }
        };
        match status {
            Ok(status) => break status,
            Err(problem) if matches!(problem.code, Code::Pending | Code::TimedOut) => {
                if let Ok((_, event)) = tokio::time::timeout(Duration::from_secs(1), events.next()).await {
                    show_minting(&event, &mut meter);
                }
            }
            Err(problem) => return Err(problem.into()),
        }
    };
    drop(meter);
    // Without all its addresses the node still dials others: it is as ready as it will be.
    let _ = tokio::time::timeout(LISTEN_TIME_MAX, handle.addresses_ready()).await;
    Ok(Status { addresses: handle.addresses(), ..status })
}

fn show_minting(event: &Event, meter: &mut super::output::Meter) {
    if let Event::Minting { what, done, expected } = event {
        meter.draw(&Progress { what: what.clone(), done: *done, expected: *expected });
    }
}

fn welcome(status: &Status, url: &str, context: &Context) -> String {
    let addresses: String = status.addresses.iter().map(|address| format!("\n  {address}")).collect();
    let phrase = if status.root_on_device {
        "  fourword identity phrase            write your recovery phrase down\n"
    } else {
        ""
    };
    format!(
        "You are {}\n\nListening on{addresses}\nAPI on {url} (token in {})\n\nNext, in another window:\n{phrase}  fourword group create \"Our team\"    make a group\n  fourword join LINK                  join one by an invite\n\nCtrl-C stops the node.",
        status.identity,
        context.paths.token().display(),
    )
}

fn text(event: &Event) -> String {
    let device = |device: &String, peer_id: &Option<String>| peer_id.as_ref().unwrap_or(device).clone();
    match event {
        Event::Ready { identity, .. } => format!("You are {identity}"),
        Event::Minting { what, done, .. } => format!("{} ({done})", plain(what)),
        Event::ChatChanged { group, messages } => {
            let messages = match messages.len() {
                0 => "messages".into(),
                1 => "1 message".into(),
                count => format!("{count} messages"),
            };
            format!("{group}: {messages} new or changed")
        }
        Event::ThingsChanged { group, concern, .. } | Event::TextChanged { group, concern, .. } => {
            format!("{group}: {concern} changed")
        }
        Event::PresenceChanged { group } => format!("{group}: somebody moved"),
        Event::GroupChanged { group } => format!("{group}: its name, settings or what is below it changed"),
        Event::HomeChanged => "how far you have read changed".into(),
        Event::MembersChanged { group } => format!("{group}: members changed"),
        Event::Joined { group } => format!("{group}: joined"),
        Event::RequestsChanged { group } => format!("{group}: requests to join changed"),
        Event::DevicesChanged => "your devices changed".into(),
        Event::AcceptanceChanged { group } => format!("{group}: what counts of yours changed"),
        Event::SyncChanged { group } => format!("{group}: how far it is in sync changed"),
        Event::PeerConnected { device: key, peer_id } => format!("connected to {}", device(key, peer_id)),
        Event::PeerDisconnected { device: key, peer_id } => {
            format!("disconnected from {}", device(key, peer_id))
        }
        Event::ReadOnly { reason } => format!("the node writes no more: {}", plain(reason)),
        Event::Gap => "some events were not shown".into(),
    }
}

async fn end(handle: &Handle, ended: JoinHandle<anyhow::Result<()>>) -> Result<(), Failure> {
    let ended = async {
        handle.stop().await;
        finished(ended.await)
    };
    let late = || Failure::new(Code::TimedOut, "the node did not end in time", "its log may say why");
    tokio::time::timeout(STOP_TIME_MAX, ended).await.unwrap_or_else(|_| Err(late()))
}

fn finished(ended: Result<anyhow::Result<()>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.map_err(|e| Failure::internal(format!("the node broke: {e}")))?.map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passphrase_is_the_first_line_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("passphrase");
        let environment = |name: &str| (name == "FOURWORD_PASSPHRASE_FILE").then(|| file.clone().into());
        std::fs::write(&file, "open sesame \nnot this\n").unwrap();
        assert_eq!(passphrase(environment), Ok(Some("open sesame ".into())));
        std::fs::write(&file, "\n").unwrap();
        assert!(passphrase(environment).unwrap_err().message.contains("empty"));
        assert_eq!(passphrase(|_| None), Ok(None));
    }

    #[test]
    fn names_are_real_unless_a_test_asks() {
        assert_eq!(naming(None), Ok(Naming::Standard));
        assert_eq!(naming(Some("test".into())), Ok(Naming::Test));
        assert!(naming(Some("tset".into())).is_err());
    }

    #[test]
    fn a_clock_is_shifted_ahead_or_behind_by_a_time_and_by_nothing_else() {
        let two_days = 2 * 86_400_000;
        let shift = |text: &str| clock_shift(Some(text.into()));
        assert_eq!(shift("48h"), Ok(Some(two_days)));
        assert_eq!(shift("-2d"), Ok(Some(-two_days)));
        assert_eq!((clock_shift(None), shift("")), (Ok(None), Ok(None)));
        for wrong in ["2", "--2d", "soon", "99999999999999999w"] {
            assert!(shift(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_arguments_can_be_given_to_another_process() {
        let args = Args {
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            bootstrap: Vec::new(),
            relay: Vec::new(),
            no_mdns: true,
            api: Some("[::1]:0".into()),
        };
        assert_eq!(
            args.to_arguments(),
            ["--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--api", "[::1]:0"]
        );
    }
}
