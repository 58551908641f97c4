//! What is cut comes together again: how long until catching up and gossip are both back.
//!
//! Catching up is back at a node when it shows what the others wrote while they were apart. Gossip
//! is back when everything that is written from then on is shown within `PROMPT`: only gossip
//! does that, since nodes that stay connected compare what they have much less often.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use crate::circle::{Circle, Saved, first_shown};
use crate::events::now_ms;
use crate::load::under_load;
use crate::mesh::Mesh;
use crate::node::{Node, eventually};
use crate::table::{Row, spread};

/// How fast a message comes by gossip on a busy machine.
const PROMPT: u64 = 1000;

/// How long a cut lasts once it is noticed: long enough that nodes have tried in vain several times.
const APART: Duration = Duration::from_secs(12);

/// How long is written after all have met again, so that there is something to judge gossip by.
const AFTERWARDS: Duration = Duration::from_secs(6);

/// How often each fault is repeated, if the environment says nothing.
const ROUNDS: usize = 1;

/// The variable that says how often.
const ROUNDS_VARIABLE: &str = "FOURWORD_MESH_ROUNDS";

/// The relay is taken out of one of three networks, which is then on its own.
pub(crate) fn a_network_is_cut_off(mesh: &Mesh, circle: &Circle) -> Row {
    let cut = || {
        mesh.relay.leave("left");
        let (left, right) = (mesh.node("ada"), mesh.node("gus"));
        eventually("both sides know that they are apart", || left.peers() == 2 && right.peers() == 4);
    };
    repeated(mesh, circle, "1 of 3 networks cut off", cut, || mesh.relay.enter("left"))
}

/// The only relay is killed, and started again a little later.
pub(crate) fn the_relay_is_killed(mesh: &Mesh, circle: &Circle) -> Row {
    let cut = || {
        mesh.relay.kill();
        let (left, right) = (mesh.node("ada"), mesh.node("gus"));
        eventually("all know that the relay is gone", || left.peers() == 2 && right.peers() == 1);
    };
    repeated(mesh, circle, "relay killed, then started", cut, || mesh.relay.start())
}

/// Cuts, lets all write, mends, and measures, some times over.
fn repeated(mesh: &Mesh, circle: &Circle, faults: &str, cut: impl Fn(), heal: impl Fn()) -> Row {
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let began = now_ms();
    let first = circle.count();
    let (mut all, mut last) = (Back::default(), None);
    for _ in 0..rounds {
        eventually("each has found all others", || circle.members.iter().all(|node| node.peers() == 7));
        let (before, from) = (circle.count(), now_ms());
        cut();
        circle.all_say("apart");
        sleep(APART);
        let writers = [mesh.node("ada"), mesh.node("gus")];
        let healed = under_load(circle, &writers, || {
            let healed = now_ms();
            heal();
            eventually("all have met again", || circle.members.iter().all(|node| node.peers() == 7));
            sleep(AFTERWARDS);
            healed
        });
        last = Some(circle.agree(first, began));
        let back = Back::measure(mesh, circle, &circle.saved_after(before), (from, healed));
        println!("  {faults}: {}", back.spread());
        all.caught_up.extend(back.caught_up);
        all.gossip.extend(back.gossip);
        all.met.extend(back.met);
    }
    let agreed = last.expect("a round");
    let faults = format!("{faults}, {rounds} times");
    Row { converged: all.spread(), ways: Some(mesh.ways()), ..Row::of(circle.members.len(), faults, &agreed) }
}

/// How long after the healing each node had what.
#[derive(Default)]
struct Back {
    caught_up: Vec<Duration>,
    gossip: Vec<Duration>,
    /// When each was connected to all others again.
    met: Vec<Duration>,
}

impl Back {
    /// Measures at every node by what was written in the other networks, from the lines of the
    /// logs since `from` and the time of healing.
    fn measure(mesh: &Mesh, circle: &Circle, saved: &[Saved], (from, healed): (u64, u64)) -> Back {
        let shown: BTreeMap<&str, BTreeMap<String, u64>> =
            circle.members.iter().map(|node| (node.name, first_shown(node, &circle.words, from))).collect();
        let mut back = Back::default();
        for network in crate::mesh::NETWORKS {
            let here = mesh.in_network(network);
            let is_far = |saved: &&Saved| !here.iter().any(|node| node.name == saved.by);
            let far: Vec<&Saved> = saved.iter().filter(is_far).collect();
            for node in &here {
                back.of_one(node, &far, &shown, healed);
                let events = node.events(healed);
                let met = events.iter().rfind(|seen| seen.event["event"] == "peer_connected");
                back.met.extend(met.map(|seen| Duration::from_millis(seen.at_ms.saturating_sub(healed))));
            }
        }
        back
    }

    fn spread(&self) -> String {
        let [caught_up, gossip, met] = [&self.caught_up, &self.gossip, &self.met].map(|times| spread(times));
        format!("catching up {caught_up}; gossip {gossip}; connected to all {met}")
    }

    fn of_one(
        &mut self,
        node: &Node,
        far: &[&Saved],
        shown: &BTreeMap<&str, BTreeMap<String, u64>>,
        healed: u64,
    ) {
        // When it was written there, and when it was shown here.
        let mut pairs: Vec<(u64, u64)> = far
            .iter()
            .map(|saved| {
                let at = |name: &str| shown[name].get(&saved.id).copied();
                let written = at(saved.by).expect("its author shows it first");
                (written, at(node.name).unwrap_or(u64::MAX))
            })
            .collect();
        pairs.sort_unstable();
        let late = |(written, got): &&(u64, u64)| *written < healed && *got >= healed;
        if let Some(got) = pairs.iter().filter(late).map(|(_, got)| *got).max() {
            self.caught_up.push(Duration::from_millis(got - healed));
        }
        let live: Vec<&(u64, u64)> = pairs.iter().filter(|(written, _)| *written >= healed).collect();
        let prompt = live.iter().rev().take_while(|(written, got)| got.saturating_sub(*written) <= PROMPT);
        let first = prompt.last().map(|(_, got)| got.saturating_sub(healed));
        let first = first.unwrap_or_else(|| panic!("{}: gossip is not back: {live:?}", node.name));
        self.gossip.push(Duration::from_millis(first));
    }
}
