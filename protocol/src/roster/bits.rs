//! Sets of statements of one graph as bits: what a statement knew, and what counts.
//!
//! 4,096 statements with all their ancestors take about 1 MiB, and asking whether one statement
//! knew another is one look.

use super::table::{Row, StatementIx};

/// A set of statements of one graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(super) fn contains(&self, statement: StatementIx) -> bool {
        let number = statement.number();
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, statement: StatementIx) {
        let number = statement.number();
        if self.words.len() <= number / 64 {
            self.words.resize(number / 64 + 1, 0);
        }
        if let Some(word) = self.words.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn remove(&mut self, statement: StatementIx) {
        let number = statement.number();
        if let Some(word) = self.words.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Adds all of `other`.
    pub(super) fn join(&mut self, other: &Bits) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word |= others;
        }
    }

    /// Keeps what is in `other` too.
    pub(super) fn meet(&mut self, other: &Bits) {
        self.words.truncate(other.words.len());
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word &= others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[usize]) -> Bits {
        let mut bits = Bits::default();
        for number in numbers {
            bits.insert(StatementIx::from_number(*number));
        }
        bits
    }

    fn numbers(bits: &Bits) -> Vec<usize> {
        (0..300).filter(|n| bits.contains(StatementIx::from_number(*n))).collect()
    }

    #[test]
    fn sets_join_and_meet_whatever_their_lengths() {
        let (short, long) = (set(&[0, 63]), set(&[63, 64, 200]));
        let mut joined = short.clone();
        joined.join(&long);
        assert_eq!(numbers(&joined), [0, 63, 64, 200]);
        for (mut left, right) in [(short.clone(), &long), (long.clone(), &short)] {
            left.meet(right);
            assert_eq!(numbers(&left), [63]);
        }
        joined.remove(StatementIx::from_number(64));
        assert_eq!(numbers(&joined), [0, 63, 200]);
    }
}
