//! The product in containers, on networks that are cut: stories told through the command line alone.
//!
//! Run by `scripts/mesh`, which has Docker and the image; `cargo test` alone says what it left out.
//! Scenarios run one after the other on the same eight nodes, whose faults are undone in between.
//! Invariant: at the end of each, every message that a node called saved is shown by all members,
//! else the run fails.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that goes wrong shall stop"
)]

mod apart;
mod circle;
mod docker;
mod events;
mod joining;
mod load;
mod many;
mod mesh;
mod node;
mod parting;
mod restarting;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use circle::Circle;
use mesh::Mesh;
use node::Node;
use table::Row;

/// The file that takes the table.
const TABLE: &str = "FOURWORD_MESH_TABLE";

/// A story on the mesh, and the group of the eight.
type Scenario = fn(&Mesh, &Circle) -> Row;

/// All of them, in the order in which they are run.
const SCENARIOS: [(&str, Scenario); 14] = [
    ("all eight talk", joining::all_eight_talk),
    ("join by words, knowing only the relay", joining::by_words_alone),
    ("mDNS alone", joining::near),
    ("partition and heal", parting::a_network_is_cut_off),
    ("relay restarted", parting::the_relay_is_killed),
    ("relay gone for good, a second one configured", restarting::the_relay_is_gone_for_good),
    ("rolling restart under load", restarting::everything_in_turn),
    ("kill -9 at random moments", restarting::killed_at_random),
    ("back after all others changed everything", apart::back_after_everything_changed),
    ("removed member stays connected", apart::removed_and_still_connected),
    ("clocks two days off", apart::clocks_are_wrong),
    ("full disk", apart::a_disk_is_full),
    ("101 groups", many::a_hundred_and_one),
    ("300 groups", many::three_hundred),
];

fn main() -> ExitCode {
    if !docker::is_there() {
        println!("left out: all scenarios in containers; scripts/mesh runs them");
        return ExitCode::SUCCESS;
    }
    events::check();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mesh = Mesh::start();
    let circle = Circle::of(&mesh.nodes.iter().collect::<Vec<&Node>>());
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (name, scenario) in SCENARIOS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let started = Instant::now();
        let row = catch_unwind(AssertUnwindSafe(|| run(scenario, &mesh, &circle)));
        let sound = row.as_ref().is_ok_and(|row| row.lost == 0);
        let word = if sound { "passed" } else { "FAILED" };
        println!("{word}: {name}, in {} s", started.elapsed().as_secs());
        rows.extend(row.ok().map(|row| (name, row)));
        if !sound {
            failed.push(name);
        }
    }
    let table = table::markdown(&rows);
    println!("\n{table}");
    if let Some(path) = std::env::var_os(TABLE) {
        std::fs::write(path, &table).expect("a place for the table");
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("Failed: {}", failed.join("; "));
    ExitCode::FAILURE
}

/// One scenario, with what it cost.
fn run(scenario: Scenario, mesh: &Mesh, circle: &Circle) -> Row {
    mesh.mend();
    let before = mesh.received();
    let row = scenario(mesh, circle);
    let bytes = if row.bytes == 0 { mesh.received() - before } else { row.bytes };
    Row { bytes, ..row }
}
