//! A relay: leads nodes to each other that cannot reach each other by themselves.
//!
//! It is the node others dial first, keeps who offers to be found under which key, and passes on
//! connections between devices. It has no part in any group: what it passes on is encrypted between
//! the two devices, and the keys that it keeps are stretched from words that it does not learn.
//! `cli` runs it and shows its `status`. Invariant: everything that a stranger can make it hold is
//! bounded in `limits`, and gone soon after the stranger is.

mod behaviour;
mod circuits;
mod offers;
mod shares;
mod status;
mod task;
mod testing;

use std::path::Path;

use anyhow::Context;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::paths;
use crate::swarm::ListenError;

pub use self::status::{Limits, Status};

/// The file of the relay's key, below its home.
const KEY: &str = "relay.key";

/// Where a relay listens and what it calls itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs under which others reach it; what it listens on if none is given.
    pub external: Vec<String>,
}

/// A running relay. It ends when this is dropped.
pub struct Relay {
    /// Its addresses, with its peer id, once it listens.
    pub addresses: watch::Receiver<Vec<String>>,
    asks: mpsc::Sender<oneshot::Sender<Status>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay with this key. Must be called within a tokio runtime.
    pub fn start(keypair: Keypair, options: &Options) -> Result<Relay, ListenError> {
        let shares = shares::Shares::default();
        let mut swarm = behaviour::build(keypair, &shares).map_err(ListenError::Setup)?;
        for address in &options.listen {
            crate::swarm::listen(&mut swarm, address)?;
        }
        for address in &options.external {
            let failed = |_| ListenError::Address {
                address: address.clone(),
                reason: "this is not a multiaddr".to_string(),
            };
            swarm.add_external_address(address.parse::<Multiaddr>().map_err(failed)?);
        }
        let (told, addresses) = watch::channel(Vec::new());
        let (asks, asked) = mpsc::channel(1);
        let task = task::Task::new(swarm, shares, options.external.is_empty(), told);
        Ok(Relay { addresses, asks, task: tokio::spawn(task.run(asked)) })
    }

    /// How it does; `None` if it has ended.
    pub async fn status(&self) -> Option<Status> {
        Asker(self.asks.clone()).status().await
    }

    /// Asks it from elsewhere.
    pub fn asker(&self) -> Asker {
        Asker(self.asks.clone())
    }

    /// Waits until it has closed its connections.
    pub async fn stop(self) {
        let Relay { asks, task, .. } = self;
        drop(asks);
        // An error says that it panicked, which the log says too.
        let _ = task.await;
    }
}

/// Asks a relay how it does.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Status>>);

impl Asker {
    /// How it does; `None` if it has ended.
    pub async fn status(&self) -> Option<Status> {
        let (answer, status) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        status.await.ok()
    }
}

/// Reads the relay's key below `home`, or makes one there on the first run: its name stays the same
/// over restarts, since it is part of every address that leads through it.
pub fn key(home: &Path) -> anyhow::Result<Keypair> {
    let path = home.join(KEY);
    let seed: [u8; 32] = match std::fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            anyhow::anyhow!("{} is damaged: restore it, or remove it to be another relay", path.display())
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            SysRng.try_fill_bytes(&mut seed).context("drawing a key from the system")?;
            paths::replace(&path, &seed).with_context(|| format!("cannot write {}", path.display()))?;
            seed
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    Keypair::ed25519_from_bytes(seed).context("the relay's key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_keeps_its_name_and_refuses_a_damaged_key() {
        let home = tempfile::tempdir().unwrap();
        let first = key(home.path()).unwrap().public().to_peer_id();
        assert_eq!(key(home.path()).unwrap().public().to_peer_id(), first);
        std::fs::write(home.path().join(KEY), "short").unwrap();
        assert!(key(home.path()).unwrap_err().to_string().contains("damaged"));
    }
}
