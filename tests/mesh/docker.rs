//! Runs Docker and its compose as a person would, by their command lines.
//!
//! Used by `node` and `main`; which daemon and which compose is for `scripts/mesh` to say. Invariant:
//! nothing is touched that is not named in `compose.yml`.

use std::process::{Command, Output, Stdio};

/// The program that reads `compose.yml`, as `scripts/mesh` found it; without it nothing is run.
const COMPOSE: &str = "FOURWORD_MESH_COMPOSE";

/// What all containers and networks begin with.
pub(crate) const PROJECT: &str = "fourword-mesh";

/// Whether `scripts/mesh` runs this.
pub(crate) fn is_there() -> bool {
    std::env::var_os(COMPOSE).is_some()
}

/// Runs Docker and gives what came of it.
pub(crate) fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker runs")
}

/// Runs Docker, which must succeed, and gives what it printed.
pub(crate) fn must(arguments: &[&str]) -> String {
    printed(&format!("docker {arguments:?}"), docker(arguments))
}

/// Starts these services, with these relays known to nodes.
pub(crate) fn compose_up(services: &[&str], relays: &str) {
    let program = std::env::var(COMPOSE).expect("set by scripts/mesh");
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/mesh/compose.yml");
    command.args(words).args(["-p", PROJECT, "-f", file, "up", "-d", "--no-build", "--no-recreate"]);
    // Services that run already are left alone even where the relays came to be known later.
    command.args(services).env("FOURWORD_MESH_RELAYS", relays).stdin(Stdio::null());
    printed("compose up", command.output().expect("compose runs"));
}

fn printed(what: &str, output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}: {error}", output.status);
    String::from_utf8(output.stdout).expect("text")
}
