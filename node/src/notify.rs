//! Tells the service manager that started this process how it does, by systemd's protocol.
//!
//! `cli` says when a node or relay is ready and when it stops, and lets the watchdog hear of it as
//! long as its parts answer. Where no manager listens nothing is sent. Invariant: sending never
//! waits and never fails the node.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// The shortest time between two signs of life: a manager that asks for more gets no more.
const ALIVE_MIN: Duration = Duration::from_millis(100);

/// Speaks to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    alive_every: Option<Duration>,
}

impl Notifier {
    /// As the environment says, looked up by `variable`; `pid` is this process.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> Notifier {
        let manager = variable("NOTIFY_SOCKET").and_then(|name| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address(&name)?))
        });
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // The variables may be inherited from a process that the watchdog is meant for.
        let is_for_us = number("WATCHDOG_PID").is_none_or(|wanted| wanted == u64::from(pid));
        let every = number("WATCHDOG_USEC").filter(|us| *us > 0 && is_for_us);
        // Three signs for each time that the manager waits: one may come late.
        let alive_every = every.map(|us| Duration::from_micros(us / 3).max(ALIVE_MIN));
        Notifier { alive_every: alive_every.filter(|_| manager.is_some()), manager }
    }

    /// It serves.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// It was told to end and does.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Gives signs of life as long as `goes_round` says so, as often as the manager wants them.
    pub async fn stay_alive(&self, goes_round: impl AsyncFn() -> bool) -> Infallible {
        let Some(every) = self.alive_every else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if goes_round().await {
                self.send("WATCHDOG=1");
            } else {
                tracing::warn!("a part of this process does not answer: the watchdog is told nothing");
            }
        }
    }

    fn send(&self, what: &str) {
        let Some((socket, address)) = &self.manager else { return };
        if let Err(error) = socket.send_to_addr(what.as_bytes(), address) {
            tracing::debug!(what, %error, "the service manager was not told");
        }
    }
}

/// A path, or a name of the abstract kind behind an `@`.
fn address(name: &OsString) -> Option<SocketAddr> {
    match name.as_bytes().split_first()? {
        #[cfg(target_os = "linux")]
        (b'@', name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).ok(),
        (b'/', _) => SocketAddr::from_pathname(Path::new(name)).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn notifier(variables: &[(&str, &str)]) -> Notifier {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Notifier::new(|name| variables.get(name).map(Into::into), 7)
    }

    #[test]
    fn what_is_no_address_of_a_manager_is_left_alone() {
        for name in ["", "relative", "vsock:2:1"] {
            let notifier = notifier(&[("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", "3000000")]);
            assert!(notifier.manager.is_none() && notifier.alive_every.is_none(), "{name}");
        }
        notifier(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).ready();
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let socket = ("NOTIFY_SOCKET", "@fourword-test");
        let every =
            |pid: &str| notifier(&[socket, ("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", pid)]).alive_every;
        assert_eq!(every("7"), cfg!(target_os = "linux").then_some(Duration::from_secs(1)));
        assert_eq!(every("8"), None);
        assert_eq!(notifier(&[socket, ("WATCHDOG_USEC", "0")]).alive_every, None);
    }

    #[tokio::test]
    async fn signs_of_life_cease_when_a_part_does_not_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
        let path = path.to_str().unwrap();
        let notifier = notifier(&[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "300000")]);
        let left = std::sync::atomic::AtomicUsize::new(2);
        let goes_round = async || {
            use std::sync::atomic::Ordering;
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        let hung = async {
            while left.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
            notifier.stopping();
        };
        let (mut heard, mut bytes) = (Vec::new(), [0; 64]);
        let hear = async {
            loop {
                let length = manager.recv(&mut bytes).await.unwrap();
                heard.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
                if heard.last().is_some_and(|last| last == "STOPPING=1") {
                    return;
                }
            }
        };
        tokio::select! {
            never = notifier.stay_alive(goes_round) => match never {},
            ((), ()) = async { tokio::join!(hear, hung) } => {}
        }
        assert_eq!(heard.iter().filter(|what| *what == "WATCHDOG=1").count(), 2, "{heard:?}");
    }
}
