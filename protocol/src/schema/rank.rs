//! Where a thing stands among others: a byte string between those of its neighbours.
//!
//! A rank is the fraction that its bytes spell after the point, and no other rank changes when one
//! is drawn. Part of each is random, so that two who put something into one gap at once nearly
//! always choose differently; where they do not, the ids of the things decide. Things added at an
//! end take a step, not half of what is left, so a list that only grows keeps short ranks.

use crate::limits::RANK_BYTES_MAX;

/// What is added at an end stands this far beyond, in units of 2^-64, before the jitter.
const STEP: u64 = 1 << 40;

/// Bits of a step or a gap that are drawn at random, if there are as many.
const JITTER_BITS: u32 = 16;

/// Bytes that are chosen together.
const WORD: usize = 8;

/// A position: 1 to `limits::RANK_BYTES_MAX` bytes, of which the last is not 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(Vec<u8>);

impl Rank {
    /// Reads a rank in its one spelling.
    pub fn read(bytes: &[u8]) -> Option<Rank> {
        let is_rank = bytes.len() <= RANK_BYTES_MAX && bytes.last().is_some_and(|last| *last != 0);
        is_rank.then(|| Rank(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A rank between two, of which either may be the end of the list; `random` is drawn by the
    /// caller. None if there is no room left, or the two are not in order: then ranks of
    /// neighbours are to be drawn anew with [`Rank::spread`].
    pub fn between(low: Option<&Rank>, high: Option<&Rank>, random: u64) -> Option<Rank> {
        let low = low.map_or(&[][..], Rank::as_bytes);
        let mut high = high.map(Rank::as_bytes);
        if high.is_some_and(|high| high <= low) {
            return None;
        }
        let mut bytes = Vec::new();
        for at in (0..RANK_BYTES_MAX).step_by(WORD) {
            let from = word(low, at);
            let to = high.map(|high| word(high, at));
            if let Some(chosen) = choose(from, to, at == 0 && low.is_empty(), random) {
                bytes.extend(chosen.to_be_bytes());
                while bytes.last() == Some(&0) {
                    bytes.pop();
                }
                return Rank::read(&bytes);
            }
            // No room in this word: it goes on as `low` does, and below `high` anything fits.
            bytes.extend(from.to_be_bytes());
            if to != Some(from) {
                high = None;
            }
        }
        None
    }

    /// Ranks for `count` things between two, in order; `None` where [`Rank::between`] gives none.
    pub fn spread(low: Option<&Rank>, high: Option<&Rank>, count: usize, random: u64) -> Option<Vec<Rank>> {
        if count == 0 {
            return Some(Vec::new());
        }
        // Halving keeps the ranks as short as the gap allows, and this as deep as a logarithm.
        let middle = Rank::between(low, high, random)?;
        let (before, after) = ((count - 1) / 2, count / 2);
        let mut ranks = Rank::spread(low, Some(&middle), before, random.rotate_left(7))?;
        let rest = Rank::spread(Some(&middle), high, after, random.rotate_left(11))?;
        ranks.push(middle);
        ranks.extend(rest);
        Some(ranks)
    }
}

/// The bytes from `at` on as a number, as if zeros followed.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; WORD];
    for (to, from) in word.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    u64::from_be_bytes(word)
}

/// A number above `from` and, if there is one, below `to`; the shorter its bytes the better.
fn choose(from: u64, to: Option<u64>, is_first: bool, random: u64) -> Option<u64> {
    let gap = to.map_or(u64::MAX - from, |to| to.saturating_sub(from));
    if gap < 2 {
        return None;
    }
    let base = match to {
        // The first thing of a list stands in the middle.
        None if is_first => 1 << 63,
        None => from.checked_add(STEP.min(gap / 2))?,
        Some(to) if from == 0 && gap > 2 * STEP => to - STEP,
        Some(_) => from + gap / 2,
    };
    // The jitter stays within a quarter of the room, and leaves the bytes below it zero.
    let room = base.saturating_sub(from).min(to.map_or(u64::MAX, |to| to - base)).min(STEP) / 2;
    let unit = 1 << (room.checked_ilog2().unwrap_or(0).saturating_sub(JITTER_BITS) / 8 * 8);
    let jitter = random % (room / unit).max(1) * unit;
    let chosen = base / unit * unit + jitter;
    (chosen > from && to.is_none_or(|to| chosen < to)).then_some(chosen).or(Some(base))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rank_lies_between_its_neighbours_wherever_it_is_put(
            places in proptest::collection::vec((any::<u16>(), any::<u64>()), 1..300)
        ) {
            let mut ranks: Vec<Rank> = Vec::new();
            for (place, random) in places {
                let at = usize::from(place) % (ranks.len() + 1);
                let low = at.checked_sub(1).and_then(|at| ranks.get(at));
                let rank = Rank::between(low, ranks.get(at), random).unwrap();
                prop_assert!(Rank::read(rank.as_bytes()).is_some());
                ranks.insert(at, rank);
                prop_assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    fn random() -> impl Iterator<Item = u64> {
        (1_u64..).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17))
    }

    #[test]
    fn a_list_that_only_grows_at_its_ends_keeps_short_ranks() {
        let mut random = random();
        let (mut last, mut first) = (None, None);
        for _ in 0..25_000 {
            last = Rank::between(last.as_ref(), None, random.next().unwrap());
            assert!(last.as_ref().unwrap().as_bytes().len() <= 8);
            first = Rank::between(None, first.as_ref(), random.next().unwrap());
            assert!(first.as_ref().unwrap().as_bytes().len() <= 8);
        }
    }

    #[test]
    fn one_gap_takes_hundreds_of_things_and_then_says_that_it_is_full() {
        let ranks = Rank::spread(None, None, 2, 7).unwrap();
        let (low, mut high) = (ranks[0].clone(), ranks[1].clone());
        let mut count = 0;
        for random in random() {
            match Rank::between(Some(&low), Some(&high), random) {
                Some(rank) => high = rank,
                None => break,
            }
            count += 1;
        }
        assert!((100..10_000).contains(&count), "{count}");
        assert!(high.as_bytes().len() <= RANK_BYTES_MAX);
    }

    #[test]
    fn two_who_use_one_gap_at_once_choose_differently() {
        let ranks = Rank::spread(None, None, 2, 7).unwrap();
        let mut random = random();
        let mut put = || Rank::between(Some(&ranks[0]), Some(&ranks[1]), random.next().unwrap()).unwrap();
        let chosen: std::collections::BTreeSet<Rank> = (0..100).map(|_| put()).collect();
        assert!(chosen.len() > 95, "{}", chosen.len());
    }

    #[test]
    fn what_is_not_in_order_or_no_rank_is_refused() {
        let ranks = Rank::spread(None, None, 2, 7).unwrap();
        assert_eq!(Rank::between(Some(&ranks[1]), Some(&ranks[0]), 1), None);
        assert_eq!(Rank::between(Some(&ranks[0]), Some(&ranks[0]), 1), None);
        assert_eq!(Rank::read(&[]), None);
        assert_eq!(Rank::read(&[1, 0]), None);
        assert_eq!(Rank::read(&[1; RANK_BYTES_MAX + 1]), None);
        // Nothing lies below the least rank of the greatest length.
        let least = [vec![0; RANK_BYTES_MAX - 1], vec![1]].concat();
        assert_eq!(Rank::between(None, Rank::read(&least).as_ref(), 1), None);
    }

    #[test]
    fn a_list_is_spread_in_order_between_its_neighbours() {
        let ranks = Rank::spread(None, None, 25_000, 3).unwrap();
        assert_eq!(ranks.len(), 25_000);
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]));
        let (low, high) = (&ranks[700], &ranks[701]);
        let within = Rank::spread(Some(low), Some(high), 500, 9).unwrap();
        assert_eq!(within.len(), 500);
        let all: Vec<&Rank> = [low].into_iter().chain(&within).chain([high]).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Rank::spread(Some(high), Some(low), 1, 9), None);
    }
}
