//! Cuts this node off and lets it in again, by rules of the kernel's packet filter for its port.
//!
//! Packets to and from the port are answered with a reset, so both sides lose the connection as
//! soon as either says anything, and no dial gets through. Needs root, `iptables`, and a network
//! namespace of the run's own, which takes the rules with it when it ends.

use std::process::Command;

use anyhow::{Context, bail};

/// The gate before one TCP port.
pub(crate) struct Gate {
    port: String,
}

impl Gate {
    /// The gate of a node that listens at this multiaddr.
    pub(crate) fn of(address: &str) -> anyhow::Result<Gate> {
        let mut parts = address.split('/').skip_while(|part| *part != "tcp");
        let port = parts.nth(1).context("the node listens on no TCP port")?;
        Ok(Gate { port: port.to_owned() })
    }

    /// Lets nothing pass from now on.
    pub(crate) fn shut(&self) -> anyhow::Result<()> {
        self.rules("-I")
    }

    /// Lets everything pass again.
    pub(crate) fn open(&self) -> anyhow::Result<()> {
        self.rules("-D")
    }

    fn rules(&self, act: &str) -> anyhow::Result<()> {
        for end in ["--dport", "--sport"] {
            let rule = [act, "INPUT", "-p", "tcp", end, &self.port];
            // The resets themselves must come through.
            let reset = ["!", "--tcp-flags", "RST", "RST", "-j", "REJECT", "--reject-with", "tcp-reset"];
            let done =
                Command::new("iptables").args(rule).args(reset).output().context("running iptables")?;
            if !done.status.success() {
                bail!("iptables: {}", String::from_utf8_lossy(&done.stderr));
            }
        }
        Ok(())
    }
}
