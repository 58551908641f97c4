//! Single nodes for which something is wrong: long away, removed, on a full disk, in another time.

use std::fs::{File, remove_file};
use std::io::Write;

use crate::circle::Circle;
use crate::events::now_ms;
use crate::mesh::Mesh;
use crate::node::{Node, eventually, text};
use crate::table::Row;

/// Milliseconds of two days, by which clocks are wrong.
const TWO_DAYS_MS: u64 = 2 * 86_400_000;

/// Messages tried on a full disk: what a file has of room in its last block takes some more.
const TRIES: usize = 200;

/// Everything a node knew is other when it comes back: texts, roles, members and keys.
pub(crate) fn back_after_everything_changed(mesh: &Mesh, circle: &Circle) -> Row {
    let before = circle.count();
    let away = mesh.node("hana");
    circle.all_say("before hana leaves");
    circle.agree(before, now_ms());
    let theirs = circle.saved_after(before);
    away.stop();
    let present: Vec<&Node> = circle.members.iter().copied().filter(|node| node.name != away.name).collect();
    for (node, saved) in present.iter().zip(&theirs) {
        node.must(&["chat", "edit", &circle.words, &saved.id, "what it says now"]);
        circle.say(node, "while hana is away");
    }
    let (ada, ben) = (present[0], present[1]);
    circle.delete(ada, &theirs[6].id);
    ada.must(&["member", "role", &circle.words, &ben.identity(), "admin"]);
    // Somebody comes and is removed: the group has other keys than the one who is away.
    let guests = mesh.also(&["zoe"]);
    let zoe = &guests[0];
    let code = text(&ada.must(&["invite", &circle.words])["code"]);
    zoe.must(&["join", &circle.words, "--code", &code, "--wait", "50"]);
    ada.must(&["member", "remove", &circle.words, &zoe.identity(), "--yes"]);
    eventually("zoe is out", || zoe.tell(&["chat", "send", &circle.words, "in?"]).code == 4);
    Mesh::done(&guests);
    for node in &present {
        circle.say(node, "after zoe was removed");
    }
    let began = now_ms();
    away.start();
    away.wait_until_up();
    circle.say(away, "hana is back");
    let agreed = circle.agree(before, began);
    let chat = circle.chat(away);
    let shown = |id: &str| {
        let chat = chat.as_array().expect("a list of messages");
        chat.iter().find(|message| message["id"] == id).cloned()
    };
    assert_eq!(shown(&theirs[0].id).expect("nothing is lost")["text"], "what it says now");
    assert!(shown(&theirs[6].id).is_none_or(|message| message["deleted"] == true));
    let ways = Some(mesh.ways());
    Row { ways, ..Row::of(circle.members.len(), "1 away; edits, removal, new keys", &agreed) }
}

/// Somebody is removed and stays connected by another group: the others go on, and it reads nothing.
pub(crate) fn removed_and_still_connected(mesh: &Mesh, _: &Circle) -> Row {
    let (ada, dora, gus) = (mesh.node("ada"), mesh.node("dora"), mesh.node("gus"));
    let all = Circle::of(&[ada, dora, gus]);
    all.all_say("together");
    all.agree(0, now_ms());
    let shown = all.chat(gus);
    let guss = gus.identity();
    ada.must(&["member", "remove", &all.words, &guss, "--yes"]);
    eventually("gus is told", || gus.tell(&["chat", "send", &all.words, "still here"]).code == 4);
    let left = Circle::met(all.words.clone(), &[ada, dora]);
    let began = now_ms();
    for number in 0..10 {
        left.say(ada, &format!("without gus, {number}"));
        left.say(dora, &format!("without gus, {number}"));
    }
    let agreed = left.agree(0, began);
    let connected = ada.must(&["peers"])["peers"].clone();
    let connected = connected.as_array().expect("a list of devices");
    assert!(connected.iter().any(|peer| peer["identity"] == guss.as_str()), "they stay connected");
    assert_eq!(all.chat(gus), shown, "nothing new is shown to who was removed");
    Row::of(3, "1 removed, still connected", &agreed)
}

/// One node is two days ahead and one behind: all is shown everywhere, under the times they claim.
pub(crate) fn clocks_are_wrong(mesh: &Mesh, _: &Circle) -> Row {
    let wrong = mesh.also(&["tess", "uma"]);
    let (ahead, behind, right) = (&wrong[0], &wrong[1], mesh.node("ada"));
    let began = now_ms();
    // Let in by an invite of a clock that is behind, and one of a clock that is ahead.
    let mut circle = Circle::of(&[behind, right]);
    circle.let_in(ahead);
    circle.all_say("what time is it?");
    behind.must(&["member", "role", &circle.words, &ahead.identity(), "admin"]);
    let role = || ahead.must(&["group", "show", &circle.words])["role"].clone();
    eventually("who is ahead is an admin", || role() == "admin");
    let code = text(&ahead.must(&["invite", &circle.words])["code"]);
    let dora = mesh.node("dora");
    dora.must(&["join", &circle.words, "--code", &code, "--wait", "50"]);
    circle.members.push(dora);
    circle.all_say("any time");
    let agreed = circle.agree(0, began);
    let chat = circle.chat(right);
    let times: Vec<u64> =
        chat.as_array().expect("messages").iter().filter_map(|message| message["time"].as_u64()).collect();
    let (first, last) = (times.iter().min().expect("messages"), times.iter().max().expect("messages"));
    assert!(last - first >= 2 * TWO_DAYS_MS, "the clocks were not wrong: {times:?}");
    let bytes = wrong.iter().map(Node::received).sum();
    Mesh::done(&wrong);
    Row { bytes, ..Row::of(4, "1 clock 2 days ahead, 1 behind", &agreed) }
}

/// A disk runs full: writes are refused, what was called saved stays, the others go on, and with
/// room again all is caught up.
pub(crate) fn a_disk_is_full(mesh: &Mesh, _: &Circle) -> Row {
    let nodes = mesh.also(&["sami", "disk"]);
    let (sami, disk) = (&nodes[0], &nodes[1]);
    let circle = Circle::of(&[mesh.node("ada"), sami, mesh.node("gus")]);
    circle.all_say("with room");
    circle.agree(0, now_ms());
    let filling = disk.path("/home/filling");
    fill(&mut File::create(&filling).expect("the disk of a container can be written by root"));
    let refused = (0..TRIES).any(|number| {
        let taken = circle.try_say(sami, &format!("{number} {}", "x".repeat(2000)));
        !taken
    });
    assert!(refused, "{TRIES} messages were saved on a full disk");
    assert_eq!(sami.must(&["status"])["read_only"], "the disk is full");
    circle.say(circle.members[0], "while it is full");
    circle.say(circle.members[2], "while it is full");
    sami.kill();
    remove_file(&filling).expect("it was there");
    let began = now_ms();
    sami.start();
    sami.wait_until_up();
    circle.say(sami, "with room again");
    let agreed = circle.agree(0, began);
    let bytes = sami.received();
    Mesh::done(&nodes);
    Row { bytes, ..Row::of(3, "1 disk full, killed, freed", &agreed) }
}

/// Takes all the room there is, down to the last byte.
fn fill(file: &mut File) {
    for block in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![7; block]).is_ok() {}
    }
}
