//! One node in a container: asked through its command line, killed, cut off, and measured.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docker::{self, PROJECT};
use crate::events::{self, Seen};

/// How long anything may take on a busy machine before the scenario gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// A container in which a node or a relay runs.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    container: String,
    /// Bytes received in all, and by the network of the process as it runs now.
    received: Mutex<(u64, u64)>,
}

/// What a command line gave.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    /// The one JSON value on standard output, or null.
    pub(crate) out: Value,
    pub(crate) error: String,
}

impl Node {
    pub(crate) fn new(name: &'static str) -> Node {
        Node { name, container: format!("{PROJECT}-{name}"), received: Mutex::default() }
    }

    // -- asking -------------------------------------------------------------------------------

    /// Runs one command line in the container.
    pub(crate) fn tell(&self, arguments: &[&str]) -> Told {
        let all = [&["exec", &self.container, "fourword", "--json"], arguments].concat();
        let output = docker::docker(&all);
        let out = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        Told { code: output.status.code().unwrap_or(-1), out, error }
    }

    /// Runs one command line that must succeed, and gives what it printed.
    pub(crate) fn must(&self, arguments: &[&str]) -> Value {
        let told = self.tell(arguments);
        assert_eq!(told.code, 0, "{} {arguments:?}: {}", self.name, told.error);
        told.out
    }

    /// Waits until the node or the relay in it answers.
    pub(crate) fn wait_until_up(&self) {
        eventually(&format!("{} answers", self.name), || {
            self.tell(&["status"]).code == 0 || self.tell(&["relay", "status"]).code == 0
        });
    }

    /// The person's four words.
    pub(crate) fn identity(&self) -> String {
        text(&self.must(&["status"])["identity"])
    }

    /// How many devices it is connected to.
    pub(crate) fn peers(&self) -> usize {
        self.must(&["peers"])["peers"].as_array().map_or(0, Vec::len)
    }

    /// How many devices it reaches by a path, `direct` or `relayed`.
    pub(crate) fn peers_by(&self, path: &str) -> usize {
        let peers = self.must(&["peers"]);
        let peers = peers["peers"].as_array().expect("a list of peers");
        peers.iter().filter(|peer| peer["path"] == path).count()
    }

    /// What happened at it from a time on.
    pub(crate) fn events(&self, since_ms: u64) -> Vec<Seen> {
        events::since(&self.container, since_ms)
    }

    // -- faults -------------------------------------------------------------------------------

    /// Ends the process at once, as a power cut would.
    pub(crate) fn kill(&self) {
        self.received();
        docker::must(&["kill", &self.container]);
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn stop(&self) {
        self.received();
        docker::must(&["stop", "--time", "30", &self.container]);
    }

    /// Starts it again with what it had on its disk.
    pub(crate) fn start(&self) {
        docker::must(&["start", &self.container]);
    }

    /// Takes it out of a network: its interface there is gone.
    pub(crate) fn leave(&self, network: &str) {
        self.received();
        docker::must(&["network", "disconnect", &format!("{PROJECT}-{network}"), &self.container]);
    }

    /// Puts it back.
    pub(crate) fn enter(&self, network: &str) {
        docker::must(&["network", "connect", &format!("{PROJECT}-{network}"), &self.container]);
    }

    /// Starts it and puts it into these networks, whatever was done to it.
    pub(crate) fn mend(&self, networks: &[&str]) {
        self.start();
        let inside = self.inspect("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}");
        for network in networks {
            if !inside.split_whitespace().any(|name| name == format!("{PROJECT}-{network}")) {
                self.enter(network);
            }
        }
        self.wait_until_up();
    }

    /// A path on the disk of the container, as the machine that runs it sees it.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("/proc/{}/root{below}", self.process())
    }

    fn process(&self) -> String {
        self.inspect("{{.State.Pid}}")
    }

    fn inspect(&self, format: &str) -> String {
        docker::must(&["inspect", "--format", format, &self.container]).trim().to_owned()
    }

    // -- figures ------------------------------------------------------------------------------

    /// Bytes that came to it over the network since it was first asked, over restarts; what came
    /// between the last question and an end that nobody announced is not counted.
    pub(crate) fn received(&self) -> u64 {
        let table = std::fs::read_to_string(format!("/proc/{}/net/dev", self.process()));
        let now = table.map(|table| received(&table)).unwrap_or_default();
        let mut counted = self.received.lock().expect("nobody panics here");
        let (all, before) = *counted;
        *counted = (all + if now >= before { now - before } else { now }, now);
        counted.0
    }
}

/// The bytes received in a table of interfaces, but for loopback.
fn received(table: &str) -> u64 {
    let lines = table.lines().filter_map(|line| line.trim().split_once(':'));
    let outside = lines.filter(|(name, _)| *name != "lo");
    outside.filter_map(|(_, numbers)| numbers.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// A text in an answer.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
