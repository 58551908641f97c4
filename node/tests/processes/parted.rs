//! What `sync status` says while nodes are cut off, killed, hung or removed is true at every moment.

use crate::apart::in_a_world_of_its_own;
use crate::daemon::{Daemon, Home, eventually};
use crate::net::Net;
use crate::standing::{Group, Standing};
use crate::story::two_in_a_group;

/// Lets a node into a group by an invite of another.
fn let_in(by: &Home, who: &Home, group: &str) {
    let invite = by.must(&["invite", group]);
    let code = invite["code"].as_str().expect("a code");
    assert_eq!(who.must(&["join", group, "--code", code, "--wait", "50"])["state"], "joined");
}

fn create(home: &Home) -> String {
    home.must(&["group", "create", "Tea"])["words"].as_str().expect("four words").to_owned()
}

fn say(home: &Home, group: &str, text: &str) {
    assert!(home.must(&["chat", "send", group, text])["id"].is_string());
}

/// What it says of a device is that it is not connected.
fn is_away(home: &Home, group: &str, who: &str) -> bool {
    let standing = Standing::of(home, group);
    let peer = standing.with(who);
    peer.state != "in_sync" && peer.reason.contains("not connected")
}

#[test]
fn the_status_is_true_while_a_network_is_parted_and_nodes_are_killed_and_all_is_in_sync_once_it_heals() {
    in_a_world_of_its_own(
        "parted::the_status_is_true_while_a_network_is_parted_and_nodes_are_killed_and_all_is_in_sync_once_it_heals",
        parted_and_healed,
    );
}

fn parted_and_healed() {
    let names = ["ada", "ben", "cem"];
    let net = Net::on_one_switch(&names);
    let homes = names.map(|name| (name, Home::new()));
    let up = |name: &str, home: &Home| -> Daemon {
        let others = names.iter().filter(|other| **other != name).map(|other| net.address(other));
        let known: Vec<String> = others.flat_map(|address| ["--bootstrap".to_owned(), address]).collect();
        let listen = net.address(name);
        let known = known.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["up", "--no-mdns", "--listen", &listen].into_iter().chain(known).collect();
        Daemon::wait(home.command_as(net.on(name, env!("CARGO_BIN_EXE_fourword")), &arguments))
    };
    let [(_, ada), (_, ben), (_, cem)] = &homes;
    let [of_ada, of_ben, of_cem] = homes.each_ref().map(|(name, home)| up(name, home));
    let words = create(ada);
    let_in(ada, ben, &words);
    let_in(ada, cem, &words);
    let identities = [&of_ada, &of_ben, &of_cem].map(Daemon::identity);
    let [a, b, c] = &identities;
    let homes = [ada, ben, cem].into_iter().zip(identities.iter().cloned()).collect();
    let group = Group { words: &words, homes };
    say(ada, &words, "together");
    group.all_in_sync(&["together"]);

    // Ada alone on one side, ben and cem on the other; all write, two are killed.
    net.cut("ada", "switch");
    say(ada, &words, "ada apart");
    say(ben, &words, "ben apart");
    of_ada.kill();
    let of_ada = up("ada", ada);
    say(cem, &words, "cem apart");
    of_ben.kill();
    eventually("cem sees that ben is gone", || is_away(cem, &words, b));
    let of_ben = up("ben", ben);
    say(ben, &words, "ben again");
    let beyond = Group { words: &words, homes: vec![(ben, b.clone()), (cem, c.clone())] };
    eventually("ben and cem agree, and know that ada is cut off", || {
        group.nobody_lies();
        let with = |home: &Home, who: &str| Standing::of(home, &words).with(who).state.clone();
        let agree = with(ben, c) == "in_sync" && with(cem, b) == "in_sync";
        agree && is_away(ben, &words, a) && is_away(cem, &words, a)
    });
    let shown = beyond.homes.iter().map(|(home, _)| home.chat(&words).len()).collect::<Vec<_>>();
    assert_eq!(shown, [4, 4], "all but what ada wrote apart");
    let alone = Standing::of(ada, &words);
    assert_eq!((alone.state.as_str(), alone.code), ("alone", 7), "{alone:?}");
    assert!(is_away(ada, &words, b) && is_away(ada, &words, c), "{alone:?}");
    assert_eq!(ada.chat(&words), ["together", "ada apart"]);

    net.mend("ada", "switch");
    group.all_in_sync(&["together", "ada apart", "ben apart", "cem apart", "ben again"]);
    for daemon in [of_ada, of_ben, of_cem] {
        daemon.stop();
    }
}

#[test]
fn a_node_that_hangs_is_behind_then_not_connected_and_in_sync_once_it_goes_on() {
    let (ada, ben, words, of_ada, of_ben) = two_in_a_group();
    let (a, b) = (of_ada.identity(), of_ben.identity());
    let group = Group { words: &words, homes: vec![(&ada, a), (&ben, b.clone())] };
    say(&ada, &words, "one");
    group.all_in_sync(&["one"]);

    of_ben.hang();
    for text in ["two", "three"] {
        say(&ada, &words, text);
    }
    let hung = Standing::of(&ada, &words);
    let is_behind = hung.with(&b).state == "behind";
    assert!(is_behind || is_away(&ada, &words, &b), "ben has not had them, and it says {hung:?}");
    eventually("the connection is given up", || {
        let standing = Standing::of(&ada, &words);
        assert_ne!(standing.with(&b).state, "in_sync", "{standing:?}");
        standing.with(&b).reason.contains("not connected")
    });
    let given_up = Standing::of(&ada, &words);
    assert_eq!((given_up.state.as_str(), given_up.code), ("alone", 7), "{given_up:?}");

    of_ben.go_on();
    group.all_in_sync(&["one", "two", "three"]);
    of_ada.stop();
    of_ben.stop();
}

#[test]
fn three_that_are_killed_in_turn_are_in_sync_in_the_end_and_never_say_so_before() {
    let homes = [Home::new(), Home::new(), Home::new()];
    let mut nodes: Vec<Option<Daemon>> = homes.iter().map(|home| Some(home.up())).collect();
    let running = |nodes: &[Option<Daemon>], at: usize| -> (String, String) {
        let node = nodes[at].as_ref().expect("it runs");
        (node.identity(), node.address())
    };
    let words = create(&homes[0]);
    let_in(&homes[0], &homes[1], &words);
    let_in(&homes[0], &homes[2], &words);
    let known: Vec<(String, String)> = (0..3).map(|at| running(&nodes, at)).collect();
    let all = (0..3).map(|at| (&homes[at], known[at].0.clone())).collect();
    let group = Group { words: &words, homes: all };
    let mut expected = vec!["together".to_owned()];
    say(&homes[0], &words, "together");
    for round in 0..3 {
        let texts: Vec<&str> = expected.iter().map(String::as_str).collect();
        homes[2].must(&["dial", &known[1].1]);
        group.all_in_sync(&texts);
        // One is killed with a write just saved; the others go on, and it comes back alone.
        let text = format!("saved before kill {round}");
        say(&homes[round], &words, &text);
        nodes[round].take().expect("it runs").kill();
        let other = (round + 1) % 3;
        let meanwhile = format!("meanwhile {round}");
        say(&homes[other], &words, &meanwhile);
        eventually("the others see that it is gone", || is_away(&homes[other], &words, &known[round].0));
        let listen = &known[round].1;
        let listen = &listen[..listen.find("/p2p").expect("a peer id")];
        nodes[round] = Some(Daemon::wait(homes[round].command(&["up", "--no-mdns", "--listen", listen])));
        let shown = homes[round].chat(&words);
        assert!(shown.contains(&text), "what was saved is there: {shown:?}");
        for at in (0..3).filter(|at| *at != round) {
            homes[round].must(&["dial", &known[at].1]);
        }
        expected.extend([text, meanwhile]);
    }
    let texts: Vec<&str> = expected.iter().map(String::as_str).collect();
    group.all_in_sync(&texts);
}

#[test]
fn a_removed_member_is_told_so_and_never_that_it_is_in_sync() {
    let (ada, cem, words, of_ada, of_cem) = two_in_a_group();
    let (c, address) = (of_cem.identity(), of_ada.address());
    say(&ada, &words, "together");
    cem.wait_for_chat(&words, &["together"]);
    // Removed while it is away, and writing on unaware.
    of_ada.stop();
    say(&cem, &words, "unaware");
    of_cem.kill();
    let listen = &address[..address.find("/p2p").expect("a peer id")];
    let of_ada = Daemon::wait(ada.command(&["up", "--no-mdns", "--listen", listen]));
    ada.must(&["member", "remove", &words, &c, "--yes"]);
    say(&ada, &words, "without cem");
    let of_cem = cem.up();
    assert_ne!(Standing::of(&cem, &words).state, "in_sync", "it has met nobody yet");
    cem.must(&["dial", &address]);
    eventually("cem is told", || {
        let standing = Standing::of(&cem, &words);
        assert_ne!(standing.state, "in_sync", "{standing:?}");
        standing.state == "not_member"
    });
    let told = Standing::of(&cem, &words);
    assert!(told.reason.contains("not a member"), "{told:?}");
    let sent = cem.tell(&["chat", "send", &words, "still here"]);
    assert_eq!((sent.code, sent.error_code().as_str()), (4, "not_allowed"));
    eventually("what was written unaware is listed as not accepted", || {
        let refused = cem.must(&["sync", "unaccepted", &words]);
        refused["unaccepted"].as_array().is_some_and(|all| all.iter().any(|one| one["text"] == "unaware"))
    });
    assert_eq!(ada.chat(&words), ["together", "without cem"]);
    let alone = Standing::of(&ada, &words);
    assert!(alone.peers.is_empty() && alone.code == 0, "nobody else is in: {alone:?}");
    of_ada.stop();
    of_cem.stop();
}
