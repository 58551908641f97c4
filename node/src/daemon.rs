//! Starts and stops a whole node, in the right order.
//!
//! The command line calls it and then serves the API with the handle. Start: store (lock, key,
//! mark of the last stop), threads, and the network once the machine knows its device. Stop: the
//! machine writes what waits, the network closes, the store leaves the mark of a clean stop. A
//! node that loses one of its parts ends as a whole, with an error and without the mark.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fourword_protocol::replicator::{Replicator, Settings};
use fourword_protocol::words::Naming;
use fourword_storage::read_model::ReadModel;
use fourword_storage::{DiskStore, Opened};
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::task::JoinHandle;

use crate::driver::{self, Handle, Machine};
use crate::swarm;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of everything it keeps; made if missing.
    pub home: PathBuf,
    /// Multiaddrs to listen on; port 0 takes any that is free.
    pub listen: Vec<String>,
    /// Multiaddrs to dial from the start.
    pub bootstrap: Vec<String>,
    /// Multiaddrs of relays.
    pub relays: Vec<String>,
    /// Whether nodes in the local network are found by themselves.
    pub mdns: bool,
    /// Opens a home that was made with one.
    pub passphrase: Option<String>,
    /// How names are stretched; `Naming::Test` meets nobody but other tests.
    pub naming: Naming,
}

/// A running node.
pub struct Node {
    /// Speaks with it.
    pub handle: Handle,
    /// The home was empty: the node makes an identity first, which takes seconds.
    pub is_new: bool,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Node {
    /// Waits for the node's end: `Ok` if it was asked to stop and all went well. Any error should
    /// end the process.
    pub async fn wait(self) -> anyhow::Result<()> {
        let Node { handle: _handle, ended, .. } = self;
        ended.await.context("running the node")?
    }
}

/// Opens the home and starts its node. The node then serves commands; it listens as soon as it
/// has an identity, and if it cannot, `Node::wait` says so. The copy by which chats are read is for
/// [`crate::reading::Reading`].
pub async fn start(options: Options) -> anyhow::Result<(Node, ReadModel)> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).context("drawing a seed from the system")?;
    let machine = Replicator::new(Settings::new(seed, options.naming));
    launch(options, machine).await
}

async fn launch(options: Options, machine: impl Machine) -> anyhow::Result<(Node, ReadModel)> {
    let Options { home, listen, bootstrap, relays, mdns, passphrase, .. } = options;
    // Opening stretches the passphrase and may read the whole journal.
    let opening = tokio::task::spawn_blocking(move || {
        let opened = DiskStore::open(&home, passphrase.as_deref())?;
        let model = open_model(&home, &opened.store)?;
        anyhow::Ok((opened, model))
    });
    let (Opened { store, clean, new }, model) = opening.await.context("opening the home")??;
    for damage in store.damage() {
        tracing::warn!(damage, "stored data is damaged");
    }
    for repair in store.repairs() {
        tracing::info!(repair, "the store was put right");
    }
    let network = swarm::Options { listen, bootstrap, relays, mdns };
    let running = driver::start(machine, store, clean, network).context("starting the node's threads")?;
    let handle = running.handle.clone();
    let ended = tokio::spawn(running.wait(|store| store.close().context("closing the store")));
    Ok((Node { handle, is_new: new, ended }, model))
}

/// The copy of what was written. A disk that takes none is no reason not to run.
fn open_model(home: &Path, store: &DiskStore) -> anyhow::Result<ReadModel> {
    match ReadModel::open(home, store.read_key()) {
        Ok((model, None)) => Ok(model),
        Ok((model, Some(why))) => {
            tracing::warn!(why, "the copy of what was written was dropped and is made anew");
            Ok(model)
        }
        Err(error) => {
            tracing::warn!(%error, "chats are copied into memory for this run");
            Ok(ReadModel::in_memory()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use fourword_protocol::effect::Effect;
    use fourword_protocol::event::Event;
    use fourword_protocol::identity::DeviceSecret;
    use fourword_protocol::time::Now;

    use super::*;

    /// Opens the network at once and stops when asked; reports whether the last stop was clean.
    struct Bare {
        listens: bool,
        clean: std::sync::mpsc::Sender<bool>,
    }

    impl Machine for Bare {
        fn handle(&mut self, _: Now, event: Event) -> Vec<Effect> {
            match event {
                Event::Started { clean } => {
                    self.clean.send(clean).unwrap();
                    let secret = DeviceSecret::from_seeds(&[1; 32], &[2; 32]);
                    if self.listens { vec![Effect::Listen(secret)] } else { Vec::new() }
                }
                Event::Stopping => vec![Effect::Stopped],
                _ => panic!("the machine dies: {event:?}"),
            }
        }
    }

    fn options(home: &tempfile::TempDir, listen: &str) -> Options {
        Options {
            home: home.path().join("home"),
            listen: vec![listen.to_string()],
            bootstrap: Vec::new(),
            relays: Vec::new(),
            mdns: false,
            passphrase: None,
            naming: Naming::Test,
        }
    }

    #[tokio::test]
    async fn an_orderly_stop_is_clean_and_a_dead_machine_is_not() {
        let home = tempfile::tempdir().unwrap();
        let (clean, cleans) = std::sync::mpsc::channel();
        let start =
            || launch(options(&home, "/ip4/127.0.0.1/tcp/0"), Bare { listens: true, clean: clean.clone() });

        let (node, _model) = start().await.unwrap();
        assert!(node.is_new);
        node.handle.addresses_ready().await.unwrap();
        assert_eq!(node.handle.addresses().len(), 1);
        node.handle.stop().await;
        node.wait().await.unwrap();
        cleans.recv().unwrap();

        let (node, _model) = start().await.unwrap();
        assert!(!node.is_new);
        assert!(cleans.recv().unwrap(), "after an orderly stop");
        // The machine panics at any command.
        let asked = node.handle.ask(fourword_protocol::command::Command::Status).await;
        assert_eq!(asked, Err(driver::Stopped));
        assert!(node.wait().await.unwrap_err().to_string().contains("machine"));

        let (node, _model) = start().await.unwrap();
        assert!(!cleans.recv().unwrap(), "after the machine died");
        node.handle.stop().await;
        node.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_node_that_cannot_listen_ends_and_names_the_address() {
        let home = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
        let (clean, _cleans) = std::sync::mpsc::channel();
        let (node, _model) = launch(options(&home, &address), Bare { listens: true, clean }).await.unwrap();
        let error = node.wait().await.unwrap_err().to_string();
        assert!(error.contains(&address), "{error}");
    }

    #[tokio::test]
    async fn one_home_has_one_node() {
        let home = tempfile::tempdir().unwrap();
        let (clean, _cleans) = std::sync::mpsc::channel();
        let start =
            || launch(options(&home, "/ip4/127.0.0.1/tcp/0"), Bare { listens: false, clean: clean.clone() });
        let (node, _model) = start().await.unwrap();
        assert!(start().await.is_err());
        node.handle.stop().await;
        node.wait().await.unwrap();
    }
}
