//! The proof of work of a request: a nonce that gives a hash enough leading zero bits.
//!
//! Whoever asks to be let in pays about a second for it; whoever is asked pays one hash to see
//! that. The driver looks for the nonce off the machine's thread, for `Effect::Stretch`.
//! Invariant: what `find` gives, `holds` accepts. Format: docs/PROTOCOL.md, section 4.

use super::Naming;

impl Naming {
    /// How many leading zero bits the work of a request has: 2^22 hashes take about a second.
    pub fn work_bits(self) -> u32 {
        match self {
            Naming::Standard => 22,
            Naming::Test => 6,
        }
    }
}

/// Whether a nonce is the work that a challenge asks for.
pub(crate) fn holds(bits: u32, challenge: &[u8; 32], nonce: u64) -> bool {
    let mut hasher = blake3::Hasher::new();
    hasher.update(challenge).update(&nonce.to_be_bytes());
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    u32::from_be_bytes([a, b, c, d]).leading_zeros() >= bits.min(32)
}

/// The smallest nonce that is the work, in the first eight bytes of what is otherwise zero.
pub(super) fn find(bits: u32, challenge: &[u8; 32]) -> [u8; 32] {
    // One nonce in 2^bits fits, so the search ends long before the numbers do.
    let nonce = (0..u64::MAX).find(|nonce| holds(bits, challenge, *nonce)).unwrap_or(u64::MAX);
    let mut found = [0; 32];
    for (to, from) in found.iter_mut().zip(nonce.to_be_bytes()) {
        *to = from;
    }
    found
}

/// The nonce in what `find` gave.
pub(crate) fn nonce(found: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *found;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_found_holds_for_its_challenge_alone_and_none_before_it_does() {
        let (bits, challenge) = (10, [7; 32]);
        let nonce = nonce(&find(bits, &challenge));
        assert!(holds(bits, &challenge, nonce));
        assert!((0..nonce).all(|other| !holds(bits, &challenge, other)));
        let others = (0..100u8).filter(|byte| holds(bits, &[*byte; 32], nonce)).count();
        assert!(others <= 2, "{others} of a hundred challenges take a nonce that was found for one");
    }

    #[test]
    fn each_bit_asked_for_halves_what_holds() {
        let fitting = |bits| (0..4096u64).filter(|nonce| holds(bits, &[1; 32], *nonce)).count();
        assert_eq!(fitting(0), 4096);
        assert!((1700..=2400).contains(&fitting(1)));
        assert!((40..=90).contains(&fitting(6)));
    }
}
