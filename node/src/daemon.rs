//! A stand-in for the daemon: starts the stand-in driver.

use std::path::PathBuf;

use fourword_protocol::words::Naming;

use crate::driver::Handle;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps everything.
    pub home: PathBuf,
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs dialled first.
    pub bootstrap: Vec<String>,
    /// Seals the device's keys on disk.
    pub passphrase: Option<String>,
    /// How names are stretched.
    pub naming: Naming,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// Speaks to it.
    pub handle: Handle,
}

/// Starts a node.
pub async fn start(options: Options) -> anyhow::Result<Node> {
    let _ = options;
    Ok(Node { handle: Handle::new() })
}

impl Node {
    /// Waits until the node has ended.
    pub async fn wait(self) -> anyhow::Result<()> {
        self.handle.stopped().await;
        Ok(())
    }
}
