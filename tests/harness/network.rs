//! The links between nodes: who reaches whom, how long it takes, and what happens on the way.
//!
//! `cluster` asks it for the arrival of every frame and every gossip message. A calm link takes
//! the same time for all frames, keeps their order and loses none until it breaks; a harsh one
//! draws its delay and loses, doubles and delays single frames of a live connection too.
//! Invariant: all is drawn from the cluster's generator, so a seed replays it.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::wire::Frame;
use rand::Rng;
use rand_chacha::ChaCha20Rng;

use crate::draw;
use crate::tally::Tally;

/// Thousands, of which the rates of a profile are counted.
const MILLE: u64 = 1000;
/// How long a frame that is overtaken by others is late.
const OVERTAKEN_MS: (u64, u64) = (20, 600);

/// How links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkProfile {
    /// The delay of one direction of one link, from and to.
    pub stream_ms: (u64, u64),
    /// How much later than that a single frame may be.
    pub jitter_ms: u64,
    /// The delay of gossip, from and to.
    pub gossip_ms: (u64, u64),
    /// Of a thousand frames so many are lost.
    pub lost: u64,
    /// Of a thousand frames so many arrive twice.
    pub doubled: u64,
    /// Of a thousand frames so many are overtaken by later ones.
    pub overtaken: u64,
}

impl LinkProfile {
    /// Streams as a connection gives them: in order, and whole unless it breaks.
    pub const CALM: LinkProfile = LinkProfile {
        stream_ms: (10, 10),
        jitter_ms: 0,
        gossip_ms: (5, 44),
        lost: 0,
        doubled: 0,
        overtaken: 0,
    };
}

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) profile: LinkProfile,
    /// Each direction of each link that was used: its delay, and when its last frame arrives.
    links: BTreeMap<(String, String), Link>,
    /// Pairs that cannot be connected, both ways round.
    cut: BTreeSet<(String, String)>,
    /// Directions on which everything vanishes unseen.
    muted: BTreeSet<(String, String)>,
    /// How many connections there ever were.
    connections: u64,
    /// Frames that a test wants to be lost.
    losing: Vec<Losing>,
}

/// So many frames of a kind that are to be lost on one way.
#[derive(Debug)]
struct Losing {
    way: (String, String),
    kind: fn(&Frame) -> bool,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    delay_ms: u64,
    busy_until: u64,
}

fn way(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

impl Network {
    pub(crate) fn new() -> Network {
        Network {
            profile: LinkProfile::CALM,
            links: BTreeMap::new(),
            cut: BTreeSet::new(),
            muted: BTreeSet::new(),
            connections: 0,
            losing: Vec::new(),
        }
    }

    // -- who reaches whom ---------------------------------------------------------------------

    pub(crate) fn cut(&mut self, a: &str, b: &str) {
        self.cut.extend([way(a, b), way(b, a)]);
    }

    pub(crate) fn mute(&mut self, from: &str, to: &str) {
        self.muted.insert(way(from, to));
    }

    /// Ends all that keeps two nodes apart.
    pub(crate) fn mend(&mut self, a: &str, b: &str) {
        for way in [way(a, b), way(b, a)] {
            self.cut.remove(&way);
            self.muted.remove(&way);
        }
    }

    /// Ends all that keeps anybody apart. Gives the ways on which frames vanished.
    pub(crate) fn mend_all(&mut self) -> BTreeSet<(String, String)> {
        self.cut.clear();
        std::mem::take(&mut self.muted)
    }

    /// Whether two nodes can be connected: each must hear the other.
    pub(crate) fn joins(&self, a: &str, b: &str) -> bool {
        let ways = [way(a, b), way(b, a)];
        ways.iter().all(|way| !self.cut.contains(way) && !self.muted.contains(way))
    }

    /// Whether what one sends reaches the other.
    pub(crate) fn carries(&self, from: &str, to: &str) -> bool {
        self.muted.is_empty() || !self.muted.contains(&way(from, to))
    }

    /// Numbers a new connection, so that what was under way on an earlier one is known.
    pub(crate) fn connection(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }

    // -- what travels -------------------------------------------------------------------------

    pub(crate) fn lose(&mut self, from: &str, to: &str, kind: fn(&Frame) -> bool, count: u64) {
        self.losing.push(Losing { way: way(from, to), kind, count });
    }

    pub(crate) fn lose_no_more(&mut self) {
        self.losing.clear();
    }

    /// Whether this frame is one of those that are to be lost.
    pub(crate) fn loses(&mut self, from: &str, to: &str, bytes: &[u8]) -> bool {
        if self.losing.is_empty() {
            return false;
        }
        let Ok(frame) = Frame::decode(bytes) else { return false };
        let (on, mut losing) = (way(from, to), self.losing.iter_mut());
        let Some(fits) = losing.find(|l| l.count > 0 && l.way == on && (l.kind)(&frame)) else {
            return false;
        };
        fits.count -= 1;
        true
    }

    /// When a frame that is sent now arrives: once, twice or never.
    pub(crate) fn frame(
        &mut self,
        (from, to): (&str, &str),
        now: u64,
        random: &mut ChaCha20Rng,
        faults: &mut Tally,
    ) -> Vec<u64> {
        if !self.carries(from, to) {
            faults.count("frames into a one-way partition");
            return Vec::new();
        }
        let LinkProfile { stream_ms, jitter_ms, lost, doubled, overtaken, .. } = self.profile;
        let link = self.links.entry(way(from, to)).or_insert_with(|| {
            let delay_ms =
                if stream_ms.0 == stream_ms.1 { stream_ms.0 } else { draw::within(random, stream_ms) };
            Link { delay_ms, busy_until: 0 }
        });
        let jitter = if jitter_ms == 0 { 0 } else { random.next_u64() % jitter_ms };
        let arrives = (now + link.delay_ms + jitter).max(link.busy_until);
        if lost + doubled + overtaken == 0 {
            link.busy_until = arrives;
            return vec![arrives];
        }
        let drawn = random.next_u64() % MILLE;
        if drawn < lost {
            faults.count("frame lost");
            return Vec::new();
        }
        if drawn < lost + overtaken {
            faults.count("frame overtaken");
            return vec![arrives + draw::within(random, OVERTAKEN_MS)];
        }
        link.busy_until = arrives;
        if drawn < lost + overtaken + doubled {
            faults.count("frame doubled");
            return vec![arrives, arrives + draw::within(random, OVERTAKEN_MS)];
        }
        vec![arrives]
    }

    /// When gossip that is published now arrives, if it is not lost.
    pub(crate) fn gossip(
        &mut self,
        (from, to): (&str, &str),
        now: u64,
        loss_percent: u64,
        random: &mut ChaCha20Rng,
    ) -> Option<u64> {
        let lost = random.next_u64() % 100 < loss_percent || !self.carries(from, to);
        (!lost).then(|| now + draw::within(random, self.profile.gossip_ms))
    }
}
