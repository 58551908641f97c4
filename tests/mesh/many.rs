//! Very many groups of the same two: each has topics of its own, and all of them must be in sync.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::circle::{Agreed, Circle};
use crate::events::now_ms;
use crate::mesh::Mesh;
use crate::node::{Node, eventually, text};
use crate::table::Row;

/// A group and its channels: less than a group may have below it. Who is in it is in all.
const FAMILY: usize = 150;

/// Commands run at a time.
const HANDS: usize = 4;

/// One more than a default of the gossip library lets pass.
pub(crate) fn a_hundred_and_one(mesh: &Mesh, _: &Circle) -> Row {
    of_so_many(mesh, 101)
}

/// Three times as many.
pub(crate) fn three_hundred(mesh: &Mesh, _: &Circle) -> Row {
    of_so_many(mesh, 300)
}

/// Two have so many groups, one is started anew, so that all topics are told at once, and then one
/// of the two writes in each.
fn of_so_many(mesh: &Mesh, count: usize) -> Row {
    let nodes = mesh.also(&["vera", "will"]);
    nodes.iter().for_each(|node| node.mend(&[]));
    let (vera, will) = (&nodes[0], &nodes[1]);
    let before = vera.received() + will.received();
    let parents: Vec<String> = (0..count.div_ceil(FAMILY)).map(|_| Circle::of(&[vera, will]).words).collect();
    let words = Mutex::new(parents.clone());
    side_by_side(parents.len()..count, |number| {
        let (name, parent) = (format!("Channel {number}"), &parents[number % parents.len()]);
        let create = ["group", "create", &name, "--kind", "channel", "--parent", parent];
        words.lock().expect("nobody panics here").push(text(&vera.must(&create)["words"]));
    });
    let words = words.into_inner().expect("nobody panics here");
    eventually("will has all groups", || groups(will).is_superset(&words.iter().cloned().collect()));
    will.stop();
    will.start();
    will.wait_until_up();
    let began = now_ms();
    let saved = Mutex::new(0);
    side_by_side(0..count, |number| {
        let (node, group) = (&nodes[number % 2], &words[number]);
        node.must(&["chat", "send", group, "one of very many"]);
        *saved.lock().expect("nobody panics here") += 1;
    });
    let in_sync = || nodes.iter().all(|node| node.tell(&["sync", "status"]).code == 0);
    eventually("all groups are in sync", in_sync);
    let in_sync = Duration::from_millis(now_ms() - began);
    let lost = Mutex::new(0);
    side_by_side(0..count, |number| {
        let (node, group) = (&nodes[(number + 1) % 2], &words[number]);
        let shown = node.must(&["chat", "read", group])["messages"].as_array().map_or(0, Vec::len);
        *lost.lock().expect("nobody panics here") += 1 - shown.min(1);
    });
    let (saved, lost) = (saved.into_inner().expect("no panic"), lost.into_inner().expect("no panic"));
    let bytes = vera.received() + will.received() - before;
    Mesh::done(&nodes);
    Row { bytes, ..Row::of(2, "1 restarted", &Agreed { saved, lost, shown: in_sync, in_sync }) }
}

fn groups(node: &Node) -> std::collections::BTreeSet<String> {
    let groups = node.must(&["group", "list"])["groups"].clone();
    groups.as_array().expect("a list of groups").iter().map(|group| text(&group["words"])).collect()
}

/// Does something for each number, several at a time.
fn side_by_side(numbers: std::ops::Range<usize>, each: impl Fn(usize) + Sync) {
    let numbers = Mutex::new(numbers);
    thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                loop {
                    let next = numbers.lock().expect("nobody panics here").next();
                    let Some(number) = next else { break };
                    each(number);
                }
            });
        }
    });
}
