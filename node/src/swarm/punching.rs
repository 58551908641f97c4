//! Decides when a direct way to a device is tried again that is reached through relays alone.
//!
//! The library tries once for each circuit, and fails for good if that comes before a node has
//! learned its own address from the relay, or while the way is closed. So whoever dialled the
//! circuit dials one more from time to time; what is surplus then is closed by the session. Waits
//! grow fourfold, since behind most routers the answer stays the same.

use std::time::Duration;

use libp2p::Multiaddr;
use tokio::time::Instant;

use super::dial::jitter;
use crate::limits::{PUNCH_FIRST, PUNCH_LAST, PUNCH_TIME_MAX};

/// The attempts at a direct way to one device.
pub(super) struct Punching {
    /// Where this node dialled the circuit; `None` while the other side did, who then tries again.
    way: Option<Multiaddr>,
    wait: Duration,
    due: Instant,
}

impl Punching {
    /// A device that was just reached.
    pub(super) fn new(now: Instant) -> Punching {
        Punching { way: None, wait: PUNCH_FIRST, due: now + PUNCH_TIME_MAX }
    }

    /// Notes where this node dialled a circuit.
    pub(super) fn dialled(&mut self, way: Multiaddr) {
        self.way = Some(way);
    }

    /// Notes that an attempt failed: the next one need not wait for its end.
    pub(super) fn failed(&mut self, now: Instant) {
        self.due = self.due.min(now + jitter(self.wait));
    }

    /// The circuit to dial now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Multiaddr> {
        let way = self.way.as_ref().filter(|_| self.due <= now)?;
        self.wait = (self.wait * 4).min(PUNCH_LAST);
        self.due = now + PUNCH_TIME_MAX + self.wait;
        Some(way.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Multiaddr {
        "/ip4/192.0.2.1/tcp/1/p2p-circuit".parse().unwrap()
    }

    #[test]
    fn who_dialled_tries_again_soon_after_a_failure_and_then_ever_more_rarely() {
        let mut now = Instant::now();
        let mut punching = Punching::new(now);
        punching.dialled(way());
        assert_eq!(punching.take_due(now), None, "the library has its own attempt first");
        punching.failed(now);
        now += PUNCH_FIRST;
        assert_eq!(punching.take_due(now), Some(way()));
        let mut longest = PUNCH_FIRST;
        for _ in 0..10 {
            longest = (longest * 4).min(PUNCH_LAST);
            punching.failed(now);
            assert_eq!(punching.take_due(now + longest / 4), None);
            now += longest;
            assert_eq!(punching.take_due(now), Some(way()));
        }
        assert_eq!(longest, PUNCH_LAST);
    }

    #[test]
    fn an_attempt_that_says_nothing_is_followed_by_another_and_who_was_dialled_waits() {
        let now = Instant::now();
        let mut punching = Punching::new(now);
        punching.failed(now);
        assert_eq!(punching.take_due(now + PUNCH_TIME_MAX), None, "the other side knows the way");
        let mut punching = Punching::new(now);
        punching.dialled(way());
        assert_eq!(punching.take_due(now + PUNCH_TIME_MAX), Some(way()));
        assert_eq!(punching.take_due(now + PUNCH_TIME_MAX), None, "once");
    }
}
