//! Counts the circuits that devices have asked for, by network.
//!
//! The library bounds them in all and for each device; but devices cost nothing. Its limiters ask
//! here before a circuit begins, and the relay's task says when one has ended, so both share the
//! count. Invariant: those of one network never have more than `CIRCUITS_PER_NETWORK_MAX`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

use crate::limits::CIRCUITS_PER_NETWORK_MAX;
use crate::swarm::door::Network;

/// The circuits of each device that asked for some, and where it came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(Arc<Mutex<BTreeMap<PeerId, (Network, usize)>>>);

impl Shares {
    /// Counts a circuit that begins. False if the network has as many as it may.
    pub(super) fn take(&self, device: PeerId, network: Network) -> bool {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = shares.values().filter(|(other, _)| *other == network);
        if same.map(|(_, count)| *count).sum::<usize>() >= CIRCUITS_PER_NETWORK_MAX {
            return false;
        }
        shares.entry(device).or_insert((network, 0)).1 += 1;
        true
    }

    /// Counts a circuit that has ended, or that never began.
    pub(super) fn give_back(&self, device: &PeerId) {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = shares.get_mut(device) {
            *count -= 1;
            if *count == 0 {
                shares.remove(device);
            }
        }
    }

    /// Forgets a device that has gone, with all its circuits.
    pub(super) fn drop_all(&self, device: &PeerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuits_of_one_network_leave_room_for_those_of_another() {
        let (shares, here) = (Shares::default(), Network::V4([192, 0, 2, 1].into()));
        let devices: Vec<PeerId> = (0..8).map(|_| PeerId::random()).collect();
        for number in 0..CIRCUITS_PER_NETWORK_MAX {
            assert!(shares.take(devices[number % devices.len()], here));
        }
        assert!(!shares.take(PeerId::random(), here));
        assert!(shares.take(PeerId::random(), Network::V4([192, 0, 2, 2].into())));
        shares.give_back(&devices[0]);
        assert!(shares.take(PeerId::random(), here) && !shares.take(PeerId::random(), here));
        shares.drop_all(&devices[1]);
        assert!(shares.take(PeerId::random(), here));
    }

    #[test]
    fn what_is_given_back_twice_is_counted_once() {
        let (shares, device) = (Shares::default(), PeerId::random());
        assert!(shares.take(device, Network::Hidden));
        shares.give_back(&device);
        shares.give_back(&device);
        assert!(shares.0.lock().unwrap().is_empty());
    }
}
