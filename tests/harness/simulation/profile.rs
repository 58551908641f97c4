//! Which kinds of faults a schedule has; how many of each, its seed draws.

use std::fmt;
use std::str::FromStr;

use fourword_protocol::time::Duration;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::disk::DiskProfile;
use crate::draw;
use crate::network::LinkProfile;

/// With how many bytes segments are full where they are: few messages, or more than anybody writes.
const SEGMENT_BYTES: (u64, u64) = (512, 16 * 1024);

/// A kind of schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// All faults.
    Harsh,
    /// All gossip is lost: only comparing is left.
    Silent,
    /// Nodes never compare by the clock, and streams lose nothing while they stand.
    Untimed,
    /// All faults, and people work on boards, issues and canvases most of the time.
    Busy,
    /// All faults, and people write in texts of files most of the time.
    Typed,
    /// All faults, and chats go on in further segments after a few messages.
    Grown,
}

impl Profile {
    /// All of them.
    pub const ALL: [Profile; 6] =
        [Profile::Harsh, Profile::Silent, Profile::Untimed, Profile::Busy, Profile::Typed, Profile::Grown];

    fn word(self) -> &'static str {
        match self {
            Profile::Harsh => "harsh",
            Profile::Silent => "silent",
            Profile::Untimed => "untimed",
            Profile::Busy => "busy",
            Profile::Typed => "typed",
            Profile::Grown => "grown",
        }
    }

    /// Draws with how many bytes segments are full.
    pub(super) fn segment_bytes(self, seed: u64) -> Option<u64> {
        let drawn = draw::within(&mut ChaCha20Rng::seed_from_u64(seed ^ 0x5e6), SEGMENT_BYTES);
        (self == Profile::Grown).then_some(drawn)
    }

    /// How much of all gossip is lost in a hundred while there are faults, of what was drawn; all of it, if none
    /// is to come.
    pub(super) fn gossip_loss(self, drawn: u64) -> u64 {
        if self == Profile::Silent { 100 } else { drawn }
    }

    /// How long quiet peers wait before they compare again.
    pub(super) fn compare_every(self) -> Option<Duration> {
        (self != Profile::Untimed).then_some(Duration::from_secs(60))
    }

    /// Draws how links are: in one schedule of three a connection keeps order and loses nothing.
    pub(super) fn links(self, random: &mut ChaCha20Rng) -> LinkProfile {
        let calm = self == Profile::Untimed || draw::once_in(random, 3);
        let rate = |random: &mut ChaCha20Rng, most| if calm { 0 } else { draw::within(random, (1, most)) };
        LinkProfile {
            stream_ms: (1, draw::within(random, (10, 150))),
            jitter_ms: draw::within(random, (0, 60)),
            gossip_ms: (2, draw::within(random, (40, 400))),
            lost: rate(random, 30),
            doubled: rate(random, 20),
            overtaken: rate(random, 30),
        }
    }

    /// Draws how disks are.
    pub(super) fn disks(self, random: &mut ChaCha20Rng) -> DiskProfile {
        DiskProfile {
            flush_ms: (1, draw::within(random, (3, 60))),
            gather_ms: (0, draw::within(random, (1, 60))),
            read_ms: (1, draw::within(random, (2, 20))),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        let found = Profile::ALL.into_iter().find(|profile| profile.word() == text);
        found.ok_or_else(|| format!("{text:?} is no profile: harsh, silent, untimed, busy, typed or grown"))
    }
}
