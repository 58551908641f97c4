//! Counts the circuits that are open, by the two devices that each of them joins.
//!
//! The library tells of the end of a circuit twice where the connection under it is lost, so the
//! task cannot count ends alone. Invariant: a device that is gone has no circuits.

use std::collections::BTreeMap;

use libp2p::PeerId;

/// The circuits that are open. The library bounds how many there are.
#[derive(Debug, Default)]
pub(super) struct Circuits {
    /// How many from one device to another.
    open: BTreeMap<(PeerId, PeerId), u64>,
}

impl Circuits {
    /// Notes a circuit from one device to another.
    pub(super) fn opened(&mut self, from: PeerId, to: PeerId) {
        *self.open.entry((from, to)).or_default() += 1;
    }

    /// Notes the end of one of them, if it is not known already.
    pub(super) fn closed(&mut self, from: PeerId, to: PeerId) {
        if let Some(count) = self.open.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&(from, to));
            }
        }
    }

    /// Notes that a device is gone, and all its circuits with it.
    pub(super) fn gone(&mut self, device: &PeerId) {
        self.open.retain(|(from, to), _| from != device && to != device);
    }

    /// Tells how many there are.
    pub(super) fn count(&self) -> u64 {
        self.open.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_told_twice_counts_once() {
        let [a, b, c] = [(); 3].map(|()| PeerId::random());
        let mut circuits = Circuits::default();
        circuits.opened(a, b);
        circuits.opened(b, a);
        circuits.opened(c, a);
        assert_eq!(circuits.count(), 3);
        circuits.gone(&b);
        assert_eq!(circuits.count(), 1);
        for _ in 0..2 {
            circuits.closed(a, b);
        }
        assert_eq!(circuits.count(), 1);
        circuits.closed(c, a);
        assert_eq!(circuits.count(), 0);
    }
}
