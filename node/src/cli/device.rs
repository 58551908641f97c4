//! `device` and `link`: the devices of one person, seen from an old one and from a new one.

use std::time::Duration;

use hyper::Method;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};
use super::output::{plain, square};
use crate::api::devices::{Device, Devices, Linking, Revoked};
use crate::api::identity::{Linked, NewLink};

/// Digits of a device's key that people are shown.
const SHORT_KEY_BYTES: usize = 8;

/// What can be done with devices.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show all your devices, senior to junior.
    #[command(after_help = "Example:\n  fourword device list")]
    List,
    /// Make a code that links one new device to you; it is good for some minutes and once.
    #[command(after_help = "Example:\n  fourword device add")]
    Add,
    /// End a device for good in all your groups: it was lost or stolen.
    #[command(after_help = "Example:\n  fourword device revoke 2f61691e")]
    Revoke {
        /// The first digits of its key, as `fourword device list` shows them.
        #[arg(value_name = "ID")]
        device: String,
    },
}

/// What `link` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword link 'fourword://link/CODE'\n  fourword link CODE --peer /ip4/192.0.2.1/tcp/4001"
)]
pub(super) struct LinkArgs {
    /// The code that `fourword device add` made on the other device, or its link.
    #[arg(value_name = "CODE|LINK")]
    code: String,
    /// A multiaddr to dial besides those in the code; may be given more than once.
    #[arg(long = "peer", value_name = "MULTIADDR")]
    peers: Vec<String>,
    /// How many seconds to wait for being linked.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u32,
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let (client, output) = (context.client(), context.output);
    match verb {
        Verb::List => {
            let devices: Devices = client.get("/api/v1/devices").await?;
            output.answer(&devices, list_text)?;
        }
        Verb::Add => {
            let linking: Linking = client.act(Method::POST, "/api/v1/devices").await?;
            output.answer(&linking, linking_text)?;
        }
        Verb::Revoke { device } => {
            context.confirm(&format!("End the device {} for good?", plain(&device)))?;
            let revoked: Revoked = client.act(Method::DELETE, &path(["devices", &device])).await?;
            output.answer(&revoked, |revoked| {
                format!(
                    "The device {} is no longer yours. What is written from now on is sealed under new keys.",
                    revoked.device
                )
            })?;
        }
    }
    Ok(Exit::Done)
}

fn list_text(devices: &Devices) -> String {
    let line = |device: &Device| {
        let state = match device {
            Device { revoked: true, .. } => "revoked",
            Device { here: true, .. } => "this device",
            Device { online: true, .. } => "online",
            _ => "offline",
        };
        let by = device.certified_by.as_ref();
        let by = by.map_or_else(|| "by the recovery phrase".into(), |by| format!("by {}", short(by)));
        format!("{}  {state}, linked {by}", short(&device.device))
    };
    devices.devices.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn short(key: &str) -> &str {
    key.get(..SHORT_KEY_BYTES).unwrap_or(key)
}

fn linking_text(linking: &Linking) -> String {
    format!(
        "{}{}\n\nThis links one new device and is good for some minutes. Whoever uses it becomes you:\n\
         show it to nobody. On the new device run:\n  fourword link '{}'",
        square(&linking.link).unwrap_or_default(),
        linking.link,
        linking.link,
    )
}

pub(super) async fn link(args: LinkArgs, context: &Context) -> Result<Exit, Failure> {
    let new = NewLink { code: args.code, peers: args.peers, wait: Some(args.wait) };
    context.output.note("Linking ...");
    let client = context.client().patient(Duration::from_secs(args.wait.into()));
    let linked: Linked = client.send(Method::POST, "/api/v1/identity/link", &new).await?;
    context.output.answer(&linked, |linked| {
        let who = linked.identity.as_deref().unwrap_or("the person that made the code");
        format!("This is now a device of {who}. The groups follow by themselves.")
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_is_shown_with_its_state() {
        let device = |first: &str, here, online, revoked, by: Option<&str>| Device {
            device: first.repeat(32),
            peer_id: None,
            here,
            online,
            revoked,
            certified_by: by.map(|by| by.repeat(32)),
        };
        let devices = Devices {
            devices: vec![
                device("0a", true, true, false, None),
                device("0b", false, true, false, Some("0a")),
                device("0c", false, false, false, Some("0a")),
                device("0d", false, true, true, Some("0c")),
            ],
        };
        let expected = "0a0a0a0a  this device, linked by the recovery phrase\n\
                        0b0b0b0b  online, linked by 0a0a0a0a\n\
                        0c0c0c0c  offline, linked by 0a0a0a0a\n\
                        0d0d0d0d  revoked, linked by 0c0c0c0c";
        assert_eq!(list_text(&devices), expected);
    }
}
