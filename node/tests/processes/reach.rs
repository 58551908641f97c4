//! Nodes and relays on the machines of a network, and by which path one reaches another.

use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Home, eventually};
use crate::net::Net;

/// Starts the program on a machine and waits until it serves.
pub(crate) fn start(net: &Net, machine: &str, home: &Home, arguments: &[&str]) -> Daemon {
    let mut command = home.command_as(net.on(machine, env!("CARGO_BIN_EXE_fourword")), arguments);
    command.env("FOURWORD_LOG", "info,fourword::swarm=debug");
    Daemon::wait(command)
}

/// Starts a relay that listens there, or a relay that was there before.
pub(crate) fn relay(net: &Net, machine: &str, home: &Home, listen: &[&str]) -> Daemon {
    let listen = listen.iter().flat_map(|address| ["--listen", address]);
    start(net, machine, home, &std::iter::once("relay").chain(listen).collect::<Vec<_>>())
}

/// The address of a relay, with its name, that begins like this.
pub(crate) fn relay_at(relay: &Daemon, begin: &str) -> String {
    let addresses = relay.ready["addresses"].as_array().expect("a list of addresses");
    let mut texts = addresses.iter().filter_map(|address| address.as_str());
    texts.find(|text| text.starts_with(begin)).expect("an address that begins so").to_owned()
}

/// Starts a node that listens at these and knows nothing but one relay by these addresses.
pub(crate) fn node(net: &Net, machine: &str, home: &Home, listen: &[String], relay: &[String]) -> Daemon {
    let listen = listen.iter().flat_map(|address| ["--listen", address]);
    let relay = relay.iter().flat_map(|address| ["--relay", address]);
    start(net, machine, home, &["up", "--no-mdns"].into_iter().chain(listen).chain(relay).collect::<Vec<_>>())
}

/// One makes a group, the other joins it by its words and a code. Gives the words.
pub(crate) fn join(owner: &Home, other: &Home) -> String {
    let words = owner.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let_in(owner, other, &words);
    words
}

/// Lets one more into a group.
pub(crate) fn let_in(by: &Home, who: &Home, words: &str) {
    let invite = by.must(&["invite", words]);
    let code = invite["code"].as_str().expect("a code");
    assert_eq!(who.must(&["join", words, "--code", code, "--wait", "50"])["state"], "joined");
}

/// By which path a node reaches somebody: `direct quic`, `relayed tcp`; `None` if it does not.
pub(crate) fn path(home: &Home, who: &str) -> Option<String> {
    let peers = home.must(&["peers"]);
    let peers = peers["peers"].as_array().expect("a list of peers");
    let peer = peers.iter().find(|peer| peer["identity"] == who)?;
    Some(format!("{} {}", peer["path"].as_str()?, peer["transport"].as_str()?))
}

/// Whether a node reaches somebody by a path that begins like this.
pub(crate) fn is_reached(home: &Home, who: &str, expected: &str) -> bool {
    path(home, who).is_some_and(|path| path.starts_with(expected))
}

/// Waits until a node reaches somebody by such a path, and tells how long that took.
pub(crate) fn reaches(home: &Home, who: &str, expected: &str) -> Duration {
    let since = Instant::now();
    eventually(&format!("{who} reached by {expected}"), || is_reached(home, who, expected));
    since.elapsed()
}

/// Each says something, and each waits until the chat shows all that was ever said.
pub(crate) fn all_say(homes: &[&Home], words: &str, said: &mut Vec<String>, what: &str) {
    for (number, home) in homes.iter().enumerate() {
        let text = format!("{what} {number}");
        assert!(home.must(&["chat", "send", words, &text])["id"].is_string());
        said.push(text);
    }
    homes.iter().for_each(|home| show_all(home, words, said));
}

/// How often what is measured is done, as `FOURWORD_RUNS` says; once if it says nothing.
pub(crate) fn runs() -> usize {
    std::env::var("FOURWORD_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1)
}

/// Shows what was measured over the runs: the middle, the least and the most.
pub(crate) fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let second = |at: usize| times[at].as_secs_f64();
    let last = times.len() - 1;
    format!("{:.1} s ({:.1} to {:.1})", second(last / 2), second(0), second(last))
}

/// Waits until a chat shows all that was said, in whatever order.
pub(crate) fn show_all(home: &Home, words: &str, said: &[String]) {
    let mut said = said.to_vec();
    said.sort();
    eventually(&format!("a chat of {} messages", said.len()), || {
        let mut chat = home.chat(words);
        chat.sort();
        chat == said
    });
}
