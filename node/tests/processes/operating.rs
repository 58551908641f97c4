//! A node and a relay as those see them who run them: how they do, what they measure and log, how
//! they start under a service manager, and how they end.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{Daemon, Home, eventually};
use crate::story::two_in_a_group;

const OPERATING: &str = include_str!("../../../docs/OPERATING.md");

/// A relay on loopback, in this home.
fn relay(home: &Home) -> Daemon {
    Daemon::wait(home.command(&["relay", "--listen", "/ip4/127.0.0.1/tcp/0"]))
}

fn page(home: &Home, more: &[&str]) -> String {
    home.must(&[&["metrics"], more].concat()).as_str().expect("a page").to_owned()
}

/// Name and kind of every family of a page.
fn families(page: &str) -> BTreeSet<(String, String)> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').map(|(n, k)| (n.into(), k.into())).expect("a kind")).collect()
}

/// Name and kind of every family that the documentation lists.
fn documented() -> BTreeSet<(String, String)> {
    let rows = OPERATING.lines().filter(|line| line.starts_with("| `fourword_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    })
    .collect()
}

#[test]
fn the_metrics_are_those_that_are_documented_and_no_label_names_anybody() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    a.must(&["name", "Bartholomew"]);
    a.must(&["chat", "send", &group, "a very particular sentence"]);
    b.wait_for_chat(&group, &["a very particular sentence"]);
    let of_relay = relay(&a);
    let (node, relay) = (page(&b, &[]), page(&a, &["--relay"]));

    let measured: BTreeSet<_> = families(&node).union(&families(&relay)).cloned().collect();
    assert_eq!(measured, documented(), "left is measured, right is documented");
    for line in node.lines().chain(relay.lines()).filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = name.split('{').next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = |name: &str| measured.iter().any(|(known, _)| known == name);
        assert!(known(name) || family.is_some_and(known), "{line} belongs to no family");
    }
    assert!(node.contains("fourword_peers 1\n"), "{node}");
    let received = "fourword_envelopes_total{origin=\"received\"} ";
    let count = node.lines().find_map(|line| line.strip_prefix(received)).expect("a count");
    assert_ne!(count, "0", "what came is counted");
    let status = b.must(&["status"]);
    let mut secrets = vec![group, of_a.identity(), of_b.identity(), "Bartholomew".into(), "Tea".into()];
    for key in ["person", "device", "peer_id"] {
        secrets.push(status[key].as_str().expect("an id").to_owned());
    }
    for secret in secrets {
        let whole = [&node, &relay].iter().any(|page| page.contains(&secret));
        let parts = secret.len() == 64 && [&node, &relay].iter().any(|page| page.contains(&secret[..8]));
        assert!(!whole && !parts, "{secret} is in a page");
    }
    of_relay.stop();
}

#[test]
fn the_subsystems_of_the_log_are_those_that_are_documented() {
    let home = Home::new();
    let _daemon = home.up();
    let shown = home.must(&["log"]);
    let shown = shown["subsystems"].as_array().expect("a list").iter();
    let shown: BTreeSet<String> = shown.map(|s| s["name"].as_str().expect("a name").to_owned()).collect();
    let section = OPERATING.split("## What is logged").nth(1).expect("a section on the log");
    let section = section.split("\n## ").next().expect("its text");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(shown, rows.map(str::to_owned).collect());
}

#[test]
fn levels_of_the_log_change_while_a_node_runs_and_return_at_the_next_start() {
    let home = Home::new();
    let daemon = home.up();
    let level = |shown: &Value, name: &str| {
        let all = shown["subsystems"].as_array().expect("a list");
        all.iter().find(|s| s["name"] == name).expect("the subsystem")["level"].clone()
    };
    assert_eq!(level(&home.must(&["log"]), "network"), "info");
    let shown = home.must(&["log", "network=trace", "api=off"]);
    assert_eq!((level(&shown, "network"), level(&shown, "api")), ("trace".into(), "off".into()));
    let long = "x".repeat(100_000);
    for wrong in ["network=loud", "nothing=debug", "[{a=(b*)*c}]=trace", "debug\nnode=trace", "", &long] {
        assert_eq!(home.tell(&["log", wrong]).code, 2, "{wrong:.60}");
    }
    assert_eq!(home.must(&["log"]), shown, "what was refused changed nothing");
    home.must(&["dial", "/ip4/127.0.0.1/tcp/1"]);
    eventually("a dial has failed", || !page(&home, &[]).contains("fourword_dials_failed_total 0\n"));
    let lines = daemon.end_by("-TERM").1;
    assert!(lines.contains("TRACE fourword::swarm") || lines.contains("DEBUG fourword::swarm"), "{lines}");

    let _daemon = home.up();
    assert_eq!(level(&home.must(&["log"]), "network"), "info");
}

#[test]
fn a_service_manager_hears_when_a_node_or_relay_is_ready_alive_and_stopping() {
    for role in [
        &["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"][..],
        &["relay", "--listen", "/ip4/127.0.0.1/tcp/0"],
    ] {
        let home = Home::new();
        let socket = home.path().join("notify");
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        let hear = || {
            let mut bytes = [0; 128];
            let length = manager.recv(&mut bytes).expect("a word within the time");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let mut command = home.command(role);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1500000").env_remove("WATCHDOG_PID");
        let daemon = Daemon::wait(command);
        let mut heard = vec![hear(), hear(), hear()];
        assert!(heard.contains(&"READY=1".into()) && heard.contains(&"WATCHDOG=1".into()), "{heard:?}");
        daemon.hang();
        // What was sent before it hung is taken; then nothing comes for more than two signs.
        manager.set_read_timeout(Some(Duration::from_millis(1200))).expect("a time");
        let mut bytes = [0; 128];
        while manager.recv(&mut bytes).is_ok() {}
        manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        daemon.go_on();
        daemon.stop();
        while heard.last().is_none_or(|last| last != "STOPPING=1") {
            heard.push(hear());
        }
    }
}

#[test]
fn a_health_check_succeeds_while_all_answers_and_fails_with_1_otherwise() {
    let home = Home::new();
    assert_eq!(home.tell(&["healthcheck"]).code, 1, "nothing runs here");
    let of_relay = relay(&home);
    assert_eq!(home.must(&["healthcheck"])["status"], "ok");
    assert_eq!(home.tell(&["healthcheck", "--node"]).code, 1);
    let node = home.up();
    assert_eq!(home.must(&["healthcheck", "--node"])["status"], "ok");
    node.hang();
    let hung = home.tell(&["healthcheck", "--timeout", "1s"]);
    assert_eq!((hung.code, hung.error_code().as_str()), (1, "timed_out"));
    assert_eq!(home.must(&["healthcheck", "--relay"])["status"], "ok");
    node.go_on();
    eventually("all is well again", || home.tell(&["healthcheck"]).code == 0);
    of_relay.stop();
    node.stop();
    assert_eq!(home.tell(&["healthcheck"]).code, 1);
}

#[test]
fn a_node_told_to_end_says_so_to_its_peers_and_a_second_signal_ends_it_at_once() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    assert!(b.must(&["chat", "send", &group, "kept"])["id"].is_string());
    of_b.stop();
    eventually("its peer knows that it is gone", || {
        a.must(&["peers"])["peers"].as_array().is_some_and(Vec::is_empty)
    });
    assert!(!b.path().join("run/api.json").exists(), "nothing tells of a node that has ended");
    assert!(b.path().join("clean").exists(), "the end was a clean one");

    // A request that does not end holds the end of the node up for a moment.
    let socket = a.path().join("run/api.sock");
    let mut held = UnixStream::connect(&socket).expect("the API");
    held.write_all(b"PUT /api/v1/name HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n")
        .expect("a half");
    of_a.tell("-TERM");
    eventually("it takes no more requests", || UnixStream::connect(&socket).is_err());
    let (code, errors) = of_a.end_by("-TERM");
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("second signal"), "{errors}");
    assert!(!a.path().join("clean").exists(), "that was no clean end");
    let _again = a.up();
    eventually("nothing that was saved is lost", || a.chat(&group) == ["kept"]);
}

#[test]
fn a_relay_told_to_end_ends_well_and_nodes_know_at_once() {
    let (home, node) = (Home::new(), Home::new());
    let of_relay = relay(&home);
    let address = of_relay.address();
    let _node = node.up_with(&["--relay", &address]);
    let connected = |wanted: bool| {
        // Not yet connected it says so and fails, which is no failure here.
        let report = node.tell(&["doctor"]).out;
        let checks = report["checks"].as_array().expect("a list of checks");
        let relays = checks.iter().find(|check| check["about"] == "relays").expect("relays");
        relays["says"].as_str().expect("a sentence").contains("1 connected") == wanted
    };
    eventually("the relay is connected", || connected(true));
    of_relay.stop();
    assert!(!home.path().join("relay/run/api.sock").exists());
    eventually("the node knows", || {
        let told = node.tell(&["doctor"]);
        told.code == 1 && told.out["checks"].to_string().contains("0 connected")
    });
}

#[test]
fn doctor_tells_what_is_well_what_is_not_and_what_to_do_with_a_node_and_without() {
    let (a, _b, group, of_a, of_b) = two_in_a_group();
    let checks = |told: &Value, about: &str| -> Vec<Value> {
        let all = told["checks"].as_array().expect("a list").clone();
        all.into_iter().filter(|check| check["about"] == about).collect()
    };
    eventually("both hold the same", || a.tell(&["sync", "status"]).code == 0);
    let told = a.tell(&["doctor"]);
    assert_eq!((told.code, told.out["running"].as_bool()), (0, Some(true)), "{}", told.out);
    for about in [
        "node", "settings", "disk", "home", "modes", "key", "clock", "phrase", "device", "ports", "relays",
        "reach", "nat", "mdns", "devices", "peers",
    ] {
        assert_eq!(checks(&told.out, about).len(), 1, "{about}: {}", told.out);
    }
    assert!(checks(&told.out, "nat")[0]["says"].as_str().expect("a sentence").contains("unknown"));
    let identity = of_b.identity();
    of_b.kill();
    eventually("it says with whom it is not in sync, and why", || {
        let peers = checks(&a.tell(&["doctor"]).out, "peer");
        peers.iter().any(|check| {
            check["says"]
                .as_str()
                .is_some_and(|says| says.contains(&identity) && says.contains("not connected"))
        })
    });
    of_a.stop();
    let told = a.tell(&["doctor"]);
    assert_eq!((told.code, told.out["running"].as_bool()), (5, Some(false)), "{}", told.out);
    assert_ne!(checks(&told.out, "disk")[0]["verdict"], "failed");
    assert!(!told.out.to_string().contains(&group));
    assert!(told.out["checks"].as_array().expect("a list").iter().all(|check| {
        check["verdict"] == "ok" || check["advice"].as_str().is_some_and(|advice| !advice.is_empty())
    }));
}

#[test]
fn a_bundle_shows_no_words_keys_names_texts_or_whole_addresses() {
    const TEXT: &str = "a very particular sentence";
    let (a, b, group, of_a, of_b) = two_in_a_group();
    let relay_home = Home::new();
    let of_relay = relay(&relay_home);
    a.must(&["name", "Bartholomew"]);
    b.must(&["name", "Clementine"]);
    a.must(&["config", "set", "name", "Bartholomew"]);
    a.must(&["config", "set", "relays", &of_relay.address()]);
    a.must(&["chat", "send", &group, TEXT]);
    b.wait_for_chat(&group, &[TEXT]);
    let invite = a.must(&["invite", &group]);
    let phrase = a.must(&["identity", "phrase"])["phrase"].as_str().expect("a phrase").to_owned();
    let token = std::fs::read_to_string(a.path().join("run/api-token")).expect("the token");
    let mut secrets: Vec<String> =
        vec![TEXT.into(), "Bartholomew".into(), "Clementine".into(), "Tea".into(), phrase, token];
    secrets.push(a.path().display().to_string());
    secrets.extend(
        of_a.ready["addresses"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|a| a.as_str().expect("an address").to_owned()),
    );
    secrets.push(of_relay.address());
    for part in of_relay.address().split('/').filter(|part| part.starts_with("12D3")) {
        secrets.push(part.to_owned());
    }
    secrets.extend(["code", "link"].iter().map(|key| invite[key].as_str().expect("a text").to_owned()));
    for home in [&a, &b] {
        let status = home.must(&["status"]);
        secrets.extend(
            ["person", "device", "peer_id"].iter().map(|key| status[key].as_str().expect("an id").to_owned()),
        );
    }
    let id = a.must(&["group", "show", &group])["id"].as_str().expect("an id").to_owned();
    secrets.extend(
        secrets.clone().into_iter().chain([id]).filter(|s| s.len() == 64).map(|id| id[..8].to_owned()),
    );
    for words in [&group, &of_a.identity(), &of_b.identity()] {
        secrets.extend(["-", ".", " "].map(|between| words.replace('-', between)));
    }
    // Behind, away, and still counting: the bundle of a node with something to tell.
    a.must(&["chat", "send", &group, TEXT]);
    of_b.kill();
    a.must(&["chat", "send", &group, TEXT]);
    let file = a.path().join("bundle.json");
    a.tell(&["doctor", "--bundle", file.to_str().expect("a path")]);
    let bundle = std::fs::read_to_string(&file).expect("the bundle");
    let read: Value = serde_json::from_str(&bundle).expect("JSON");
    assert!(read["report"]["network"].is_object() && bundle.contains("person1"), "{bundle}");
    assert!(bundle.contains("fourword_envelopes_total") && read["examined"]["running"] == true);
    for secret in secrets {
        assert!(!bundle.contains(&secret), "{secret} is in the bundle: {bundle}");
    }
    of_relay.stop();
}

/// A directory with a `systemctl` that writes down how it was called, and succeeds or not.
fn manager(directory: &Path, succeeds: bool) -> String {
    let calls = directory.join("calls");
    let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\nexit {}\n", calls.display(), i32::from(!succeeds));
    let bin = directory.join("bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    std::fs::write(bin.join("systemctl"), script).expect("a script");
    let made = Command::new("chmod").args(["700", &bin.join("systemctl").display().to_string()]).status();
    assert!(made.expect("chmod runs").success());
    format!("{}:/usr/bin:/bin", bin.display())
}

#[test]
#[cfg(target_os = "linux")]
fn a_service_is_installed_shown_and_removed_with_a_manager_and_without() {
    let directory = tempfile::tempdir().expect("a directory");
    let (home, config) = (directory.path().join("a home of 50%"), directory.path().join("config"));
    let run = |path: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fourword"));
        command.args(["--json", "--home"]).arg(&home).args(arguments);
        command.env("PATH", path).env("XDG_CONFIG_HOME", &config).stdin(Stdio::null());
        crate::daemon::told(command.output().expect("the program runs"))
    };
    let absent = manager(directory.path(), false);
    assert_eq!(run(&absent, &["service", "status"]).code, 3);
    assert_eq!(run(&absent, &["service", "uninstall"]).code, 3);
    let dry = run(&absent, &["service", "install", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.error);
    assert!(!config.exists(), "a dry run changes nothing");

    let installed = run(&absent, &["service", "install"]);
    assert_eq!((installed.code, &installed.out["managed"]), (0, &false.into()), "{}", installed.error);
    assert!(installed.out["to_run"][0].as_str().is_some_and(|run| run.contains("daemon-reload")));
    let unit = config.join("systemd/user/fourword.service");
    let text = std::fs::read_to_string(&unit).expect("the unit");
    assert_eq!(dry.out["text"], text.as_str());
    assert!(text.contains("50%%"), "{text}");
    assert_eq!(run(&absent, &["service", "status"]).code, 7);

    let present = manager(directory.path(), true);
    let installed =
        run(&present, &["service", "install", "--relay", "--", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    assert_eq!((installed.code, &installed.out["managed"]), (0, &true.into()), "{}", installed.error);
    let of_relay = config.join("systemd/user/fourword-relay.service");
    assert!(std::fs::read_to_string(&of_relay).expect("the unit").contains("\"relay\" \"--listen\""));
    let calls = std::fs::read_to_string(directory.path().join("calls")).expect("calls");
    assert!(calls.contains("--user enable --now fourword-relay.service"), "{calls}");
    verify(&[&unit, &of_relay]);

    std::fs::write(&unit, "[Service]\nExecStart=/bin/true\n").expect("somebody else's unit");
    assert_eq!(run(&present, &["service", "install"]).error_code(), "in_use");
    assert_eq!(run(&present, &["service", "uninstall"]).error_code(), "in_use");
    assert_eq!(run(&present, &["service", "uninstall", "--relay"]).code, 0);
    assert!(unit.exists() && !of_relay.exists());
}

/// Has systemd read units, where it is there to do so.
fn verify(units: &[&Path]) {
    let verified = Command::new("systemd-analyze").args(["verify", "--user"]).args(units).output();
    match verified {
        Err(error) => eprintln!("left out: systemd-analyze does not run here ({error})"),
        Ok(verified) => {
            let said = String::from_utf8_lossy(&verified.stderr).into_owned();
            let wrong: Vec<&str> = said.lines().filter(|line| line.contains("fourword")).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
}
