//! Paths between nodes that break, change and come back: what was said arrives all the same.
//!
//! Figures that tests print are for docs/OPERATING.md; no test judges them.

use std::time::{Duration, Instant};

use crate::apart::{Need, in_a_world_of_its_own, in_a_world_with};
use crate::daemon::{Daemon, Home, eventually};
use crate::net::Net;
use crate::reach::{
    all_say, join, let_in, node, path, reaches, relay, relay_at, runs, show_all, spread, start,
};
use crate::wire::{self, Line};

/// Where nodes listen unless a test says otherwise.
const ANYWHERE: &str = "/ip4/0.0.0.0/tcp/0";

/// Tells a figure that was measured.
fn measured(what: &str, took: Duration) {
    println!("\n| {what} | {:.1} s |", took.as_secs_f64());
}

/// Starts a node that dials these from the start.
fn known(net: &Net, machine: &str, home: &Home, listen: &[&str], peers: &[String]) -> Daemon {
    let listen = listen.iter().flat_map(|address| ["--listen", address]);
    let peers = peers.iter().flat_map(|address| ["--bootstrap", address]);
    start(net, machine, home, &["up", "--no-mdns"].into_iter().chain(listen).chain(peers).collect::<Vec<_>>())
}

/// Waits until a node reaches nobody by these words any more.
fn is_missed(home: &Home, who: &str) -> Duration {
    let since = Instant::now();
    eventually(&format!("{who} to be missed"), || path(home, who).is_none());
    since.elapsed()
}

// -- a direct way beside the relay ----------------------------------------------------------------

#[test]
fn a_direct_way_is_taken_again_when_it_is_back_while_a_relay_was_the_only_one() {
    let test = "paths::a_direct_way_is_taken_again_when_it_is_back_while_a_relay_was_the_only_one";
    in_a_world_of_its_own(test, direct_again);
}

/// Ada and ben share a local network; each has another way to the relay.
fn direct_again() {
    let mut net = Net::new();
    for switch in ["near", "up-a", "up-b"] {
        net.switch(switch);
    }
    for machine in ["relay", "ada", "ben"] {
        net.machine(machine);
    }
    let plugs = [
        ("ada", "near", "10.6.0.1"),
        ("ben", "near", "10.6.0.2"),
        ("ada", "up-a", "10.5.1.1"),
        ("ben", "up-b", "10.5.2.2"),
        ("relay", "up-a", "10.5.1.10"),
        ("relay", "up-b", "10.5.2.10"),
    ];
    plugs.iter().for_each(|(machine, switch, address)| net.plug(machine, switch, address));
    let (ada, ben, relay_home) = (Home::new(), Home::new(), Home::new());
    let outside = ["/ip4/10.5.1.10/tcp/4001", "/ip4/10.5.2.10/tcp/4001"];
    let relay = relay(&net, "relay", &relay_home, &outside);
    let of_ada = node(&net, "ada", &ada, &[ANYWHERE.to_owned()], &[relay_at(&relay, outside[0])]);
    let of_ben = node(&net, "ben", &ben, &[ANYWHERE.to_owned()], &[relay_at(&relay, outside[1])]);
    let (a, b) = (of_ada.identity(), of_ben.identity());
    let words = join(&ada, &ben);
    let mut said = Vec::new();
    reaches(&ben, &a, "direct tcp");
    all_say(&[&ada, &ben], &words, &mut said, "near each other");

    net.cut("ben", "near");
    measured("local network cut: back through the relay after", reaches(&ben, &a, "relayed tcp"));
    all_say(&[&ada, &ben], &words, &mut said, "through the relay");
    net.mend("ben", "near");
    measured("local network mended: direct again after", reaches(&ben, &a, "direct tcp"));
    reaches(&ada, &b, "direct tcp");
    // What goes on without the relay goes the direct way.
    relay.kill();
    all_say(&[&ada, &ben], &words, &mut said, "near again");
    of_ada.stop();
    of_ben.stop();
}

// -- circuits that are cut ------------------------------------------------------------------------

/// Messages of a first sync, each of this many bytes: some seconds on the narrow line.
const HISTORY: usize = 60;
const MESSAGE_BYTES: usize = 4000;

#[test]
fn a_sync_goes_on_where_it_was_when_its_relay_is_killed_and_comes_back() {
    let test = "paths::a_sync_goes_on_where_it_was_when_its_relay_is_killed_and_comes_back";
    in_a_world_with(&[Need::Lines], test, cut_circuits);
}

fn cut_circuits() {
    let mut net = Net::new();
    net.switch("up-a");
    ["relay", "ada", "ben"].into_iter().for_each(|machine| net.machine(machine));
    net.plug("relay", "up-a", "10.5.1.10");
    net.plug("ada", "up-a", "10.5.1.1");
    let narrow = Line { delay: Duration::from_millis(5), lost_of_256: 0, bytes_per_s: 30_000 };
    wire::lay("line", [("relay", "10.5.2.10"), ("ben", "10.5.2.2")], narrow);
    let (ada, ben, relay_home) = (Home::new(), Home::new(), Home::new());
    let outside = ["/ip4/10.5.1.10/tcp/4001", "/ip4/10.5.2.10/tcp/4001"];
    let begin = || relay(&net, "relay", &relay_home, &outside);
    let running = begin();
    let of_ada = node(&net, "ada", &ada, &[ANYWHERE.to_owned()], &[relay_at(&running, outside[0])]);
    let of_ben = node(&net, "ben", &ben, &[ANYWHERE.to_owned()], &[relay_at(&running, outside[1])]);
    let (a, words) = (of_ada.identity(), join(&ada, &ben));
    let mut said = Vec::new();
    all_say(&[&ada, &ben], &words, &mut said, "before");
    assert_eq!(path(&ben, &a).as_deref(), Some("relayed tcp"));
    of_ben.stop();
    for number in 0..HISTORY {
        said.push(format!("{number} {}", "x".repeat(MESSAGE_BYTES)));
        ada.must(&["chat", "send", &words, said.last().expect("just pushed")]);
    }

    let of_ben = node(&net, "ben", &ben, &[ANYWHERE.to_owned()], &[relay_at(&running, outside[1])]);
    let has = || ben.chat(&words).len();
    eventually("a part of the history", || has() > said.len() / 4);
    let before = has();
    running.kill();
    assert!(before < said.len(), "all came before the circuit was cut");
    is_missed(&ben, &a);
    let kept = has();
    assert!(kept >= before && kept < said.len(), "what came is kept, and there is more: {kept}");
    let again = begin();
    let since = Instant::now();
    eventually("more of the history", || has() > kept);
    measured("relay killed and back: the sync goes on after", since.elapsed());
    show_all(&ben, &words, &said);
    all_say(&[&ada, &ben], &words, &mut said, "after");
    of_ada.stop();
    of_ben.stop();
    again.stop();
}

#[test]
fn what_was_said_apart_is_with_all_soon_after_a_network_heals_and_a_relay_is_back() {
    let test = "paths::what_was_said_apart_is_with_all_soon_after_a_network_heals_and_a_relay_is_back";
    in_a_world_of_its_own(test, healed);
}

/// Ada and ben have no way to each other but the relay, as they are set by default.
fn healed() {
    let mut net = Net::new();
    ["up-a", "up-b"].into_iter().for_each(|switch| net.switch(switch));
    ["relay", "ada", "ben"].into_iter().for_each(|machine| net.machine(machine));
    let plugs = [
        ("ada", "up-a", "10.5.1.1"),
        ("ben", "up-b", "10.5.2.2"),
        ("relay", "up-a", "10.5.1.10"),
        ("relay", "up-b", "10.5.2.10"),
    ];
    plugs.iter().for_each(|(machine, switch, address)| net.plug(machine, switch, address));
    let ways = |ip: &str| [format!("/ip4/{ip}/udp/4001/quic-v1"), format!("/ip4/{ip}/tcp/4001")];
    let (to_ada, to_ben, anywhere) = (ways("10.5.1.10"), ways("10.5.2.10"), ways("0.0.0.0"));
    let (ada, ben, relay_home) = (Home::new(), Home::new(), Home::new());
    let outside: Vec<&str> = to_ada.iter().chain(&to_ben).map(String::as_str).collect();
    let begin = || relay(&net, "relay", &relay_home, &outside);
    let first = begin();
    let known = |ways: &[String; 2]| ways.each_ref().map(|way| relay_at(&first, way));
    let of_ada = node(&net, "ada", &ada, &anywhere, &known(&to_ada));
    let of_ben = node(&net, "ben", &ben, &anywhere, &known(&to_ben));
    let (a, b, words) = (of_ada.identity(), of_ben.identity(), join(&ada, &ben));
    let (homes, mut said) = ([&ada, &ben], Vec::new());
    let mut running = Some(first);
    let mut took = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for run in 0..runs() {
        for relay_dies in [false, true] {
            all_say(&homes, &words, &mut said, &format!("together {run} {relay_dies}"));
            if relay_dies {
                drop(running.take());
            } else {
                net.cut("ada", "up-a");
            }
            is_missed(&ada, &b);
            is_missed(&ben, &a);
            for (number, home) in homes.iter().enumerate() {
                said.push(format!("apart {run} {relay_dies} {number}"));
                home.must(&["chat", "send", &words, said.last().expect("just pushed")]);
            }
            if relay_dies {
                running = Some(begin());
            } else {
                net.mend("ada", "up-a");
            }
            let since = Instant::now();
            homes.iter().for_each(|home| show_all(home, &words, &said));
            took[usize::from(relay_dies)].push(since.elapsed());
            all_say(&homes, &words, &mut said, &format!("again {run} {relay_dies}"));
            took[2 + usize::from(relay_dies)].push(since.elapsed());
        }
    }
    let [healed, back, healed_live, back_live] = took.map(spread);
    println!("\n| network healed: what was said apart is with both after | {healed} |");
    println!("| and what is said then, with both after | {healed_live} |");
    println!("| relay back: what was said apart is with both after | {back} |");
    println!("| and what is said then, with both after | {back_live} |");
    [of_ada, of_ben].into_iter().for_each(Daemon::stop);
}

// -- bad lines ------------------------------------------------------------------------------------

#[test]
fn a_group_on_lines_with_loss_and_delay_has_all_that_was_said() {
    let test = "paths::a_group_on_lines_with_loss_and_delay_has_all_that_was_said";
    in_a_world_with(&[Need::Lines], test, bad_lines);
}

/// Ben and cem each have a bad line to ada, one over QUIC and one over TCP, and none to each other.
fn bad_lines() {
    let net = Net::new();
    ["ada", "ben", "cem"].into_iter().for_each(|machine| net.machine(machine));
    let bad = |lost_of_256| Line { delay: Duration::from_millis(50), lost_of_256, bytes_per_s: 1_000_000 };
    wire::lay("b", [("ada", "10.8.1.1"), ("ben", "10.8.1.2")], bad(13));
    wire::lay("c", [("ada", "10.8.2.1"), ("cem", "10.8.2.2")], bad(26));
    let (ada, ben, cem) = (Home::new(), Home::new(), Home::new());
    let listen = ["/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001"];
    let of_ada = known(&net, "ada", &ada, &listen, &[]);
    let of_ben = known(&net, "ben", &ben, &listen[..1], &["/ip4/10.8.1.1/udp/4001/quic-v1".to_owned()]);
    let of_cem = known(&net, "cem", &cem, &listen[1..], &["/ip4/10.8.2.1/tcp/4001".to_owned()]);
    let words = join(&ada, &ben);
    let_in(&ada, &cem, &words);
    let (homes, mut said) = ([&ada, &ben, &cem], Vec::new());
    assert_eq!(path(&ben, &of_ada.identity()).as_deref(), Some("direct quic"));
    assert_eq!(path(&cem, &of_ada.identity()).as_deref(), Some("direct tcp"));
    let since = Instant::now();
    for round in 0..10 {
        for (number, home) in homes.iter().enumerate() {
            let text = format!("round {round} of {number}");
            home.must(&["chat", "send", &words, &text]);
            said.push(text);
        }
    }
    let sent = since.elapsed();
    homes.iter().for_each(|home| show_all(home, &words, &said));
    measured("50 ms each way, 5 % and 10 % lost: 30 messages sent in", sent);
    measured("and with all three after another", since.elapsed() - sent);
    let last = Instant::now();
    all_say(&homes, &words, &mut said, "one more");
    measured("one more of each, with all three after", last.elapsed());
    [of_ada, of_ben, of_cem].into_iter().for_each(Daemon::stop);
}

// -- nodes that sleep, and nodes that move --------------------------------------------------------

#[test]
fn nodes_that_slept_until_they_were_given_up_are_back_when_they_wake() {
    let test = "paths::nodes_that_slept_until_they_were_given_up_are_back_when_they_wake";
    in_a_world_of_its_own(test, slept);
}

/// Ben is connected over TCP and cem over QUIC. Both dialled ada.
fn slept() {
    let net = Net::on_one_switch(&["ada", "ben", "cem"]);
    // The invitation names both addresses, and either may answer first.
    net.only_udp("cem");
    let (ada, ben, cem) = (Home::new(), Home::new(), Home::new());
    let listen = ["/ip4/10.4.4.1/udp/4001/quic-v1", "/ip4/10.4.4.1/tcp/4001"];
    let of_ada = known(&net, "ada", &ada, &listen, &[]);
    let of_ben = known(&net, "ben", &ben, &["/ip4/10.4.4.2/tcp/0"], &[listen[1].to_owned()]);
    let of_cem = known(&net, "cem", &cem, &["/ip4/10.4.4.3/udp/0/quic-v1"], &[listen[0].to_owned()]);
    let (b, c) = (of_ben.identity(), of_cem.identity());
    let words = join(&ada, &ben);
    let_in(&ada, &cem, &words);
    let (homes, mut said) = ([&ada, &ben, &cem], Vec::new());
    all_say(&homes, &words, &mut said, "awake");
    reaches(&ada, &b, "direct tcp");
    reaches(&ada, &c, "direct quic");

    [&of_ben, &of_cem].into_iter().for_each(Daemon::hang);
    measured("peer asleep over QUIC: given up after", is_missed(&ada, &c));
    measured("peer asleep over TCP: given up, after that, in another", is_missed(&ada, &b));
    all_say(&[&ada], &words, &mut said, "while they sleep");
    [&of_ben, &of_cem].into_iter().for_each(Daemon::go_on);
    let woken = Instant::now();
    show_all(&ben, &words, &said);
    show_all(&cem, &words, &said);
    measured("woken: all that was said meanwhile is there after", woken.elapsed());
    all_say(&homes, &words, &mut said, "awake again");
    [of_ada, of_ben, of_cem].into_iter().for_each(Daemon::stop);
}

#[test]
fn a_node_that_gets_another_address_or_loses_its_power_is_back_soon() {
    let test = "paths::a_node_that_gets_another_address_or_loses_its_power_is_back_soon";
    in_a_world_of_its_own(test, moved);
}

fn moved() {
    let net = Net::on_one_switch(&["ada", "ben"]);
    let (ada, ben) = (Home::new(), Home::new());
    let of_ada = known(&net, "ada", &ada, &["/ip4/0.0.0.0/tcp/4001"], &[]);
    let of_ben = known(&net, "ben", &ben, &["/ip4/0.0.0.0/tcp/4001"], &[net.address("ada")]);
    let (words, mut said) = (join(&ada, &ben), Vec::new());
    all_say(&[&ada, &ben], &words, &mut said, "at first");

    net.readdress("ben", "switch", "10.4.4.77");
    let since = Instant::now();
    all_say(&[&ada, &ben], &words, &mut said, "elsewhere");
    measured("another address: what was said there arrives after", since.elapsed());
    let status = ben.must(&["status"]);
    let addresses: Vec<&str> = status["addresses"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|address| address.as_str())
        .collect();
    assert!(addresses.iter().any(|address| address.contains("/10.4.4.77/")), "{addresses:?}");
    assert!(!addresses.iter().any(|address| address.contains("/10.4.4.2/")), "{addresses:?}");

    // And without power: nobody is told of the end, and it comes back before it was given up.
    net.cut("ben", "switch");
    of_ben.kill();
    net.mend("ben", "switch");
    let since = Instant::now();
    let of_ben = known(&net, "ben", &ben, &["/ip4/0.0.0.0/tcp/4002"], &[net.address("ada")]);
    all_say(&[&ada, &ben], &words, &mut said, "after a power cut");
    measured("power cut and back: what was said there arrives after", since.elapsed());
    of_ada.stop();
    of_ben.stop();
}
