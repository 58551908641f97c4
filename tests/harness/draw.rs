//! Draws from a seeded generator, for all that is left to chance in a simulated world.

use rand::Rng;

/// A number from `from` to `to`, both within.
pub(crate) fn within(random: &mut impl Rng, (from, to): (u64, u64)) -> u64 {
    from + random.next_u64() % (to - from + 1)
}

/// True once in so many times.
pub(crate) fn once_in(random: &mut impl Rng, times: u64) -> bool {
    random.next_u64().is_multiple_of(times)
}

/// One of these, if there is any.
pub(crate) fn one_of<'a, T>(random: &mut impl Rng, all: &'a [T]) -> Option<&'a T> {
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    all.get(usize::try_from(random.next_u64() % count).unwrap_or(0))
}
