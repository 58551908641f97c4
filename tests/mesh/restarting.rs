//! Processes that end: in turn, at random, and a relay that never comes back.

use std::thread::sleep;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::circle::Circle;
use crate::events::now_ms;
use crate::load::under_load;
use crate::mesh::Mesh;
use crate::node::{Node, eventually};
use crate::table::Row;

/// How many processes are killed at random.
const KILLS: usize = 16;

/// With which the victims and the moments are drawn.
const SEED: u64 = 0x4d65_7368;

/// The longest time between a kill and the next start, in milliseconds.
const DOWN_MS_MAX: u64 = 2000;

/// Two relays are known, the first is gone for good: whoever met through it meets through the other.
pub(crate) fn the_relay_is_gone_for_good(mesh: &Mesh, circle: &Circle) -> Row {
    mesh.spare.start();
    let places = || mesh.spare.tell(&["relay", "status"]).out["places"].clone();
    eventually("all hold a place at the second relay", || places() == circle.members.len());
    let before = circle.count();
    let (left, right) = (mesh.node("ada"), mesh.node("gus"));
    let gone = under_load(circle, &[left, right], || {
        let gone = now_ms();
        mesh.relay.kill();
        sleep(Duration::from_secs(3));
        gone
    });
    let agreed = circle.agree(before, gone);
    let ways = Some(mesh.ways());
    // The others go on with the one that they have known best.
    mesh.relay.start();
    mesh.relay.wait_until_up();
    mesh.spare.stop();
    Row { ways, ..Row::of(circle.members.len(), "relay killed, never started", &agreed) }
}

/// Each node and the relay is stopped and started again, one after the other, while two write.
pub(crate) fn everything_in_turn(mesh: &Mesh, circle: &Circle) -> Row {
    let before = circle.count();
    let began = under_load(circle, &[mesh.node("ada"), mesh.node("gus")], || {
        for node in mesh.nodes.iter().chain([&mesh.relay]) {
            node.stop();
            node.start();
            node.wait_until_up();
        }
        now_ms()
    });
    let agreed = circle.agree(before, began);
    let ways = Some(mesh.ways());
    Row { ways, ..Row::of(circle.members.len(), "9 restarts in turn, 2 writers", &agreed) }
}

/// Processes are killed and started again at moments drawn from a seed, while three write.
pub(crate) fn killed_at_random(mesh: &Mesh, circle: &Circle) -> Row {
    let before = circle.count();
    let mut draw = ChaCha8Rng::seed_from_u64(SEED);
    let victims: Vec<&Node> = mesh.nodes.iter().chain([&mesh.relay]).collect();
    let writers = [mesh.node("ada"), mesh.node("dora"), mesh.node("gus")];
    let began = under_load(circle, &writers, || {
        for _ in 0..KILLS {
            let victim = victims[draw.random_range(0..victims.len())];
            victim.kill();
            sleep(Duration::from_millis(draw.random_range(0..DOWN_MS_MAX)));
            victim.start();
            sleep(Duration::from_millis(draw.random_range(0..DOWN_MS_MAX)));
        }
        now_ms()
    });
    let agreed = circle.agree(before, began);
    let ways = Some(mesh.ways());
    Row { ways, ..Row::of(circle.members.len(), format!("{KILLS} kills, 3 writers"), &agreed) }
}
