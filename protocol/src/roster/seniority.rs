//! The total order of seniority: a tree in which each one comes after the one who let it in.
//!
//! A rank is the way down from the root, step by step, and ranks compare like words in a
//! dictionary: who let in comes first, then depth of the letting in, then its hash. That is the
//! tree in preorder, so ranks are never written out to be compared. Memberships form one tree;
//! the seats of each membership (root key and devices) form one of their own.

use std::cmp::Ordering;

use super::table::{Row, Table};
use crate::ids::StatementId;

/// One step of a rank: depth and name of the statement that let in.
pub(super) type Step = (u32, StatementId);

/// Who was let in by whom.
#[derive(Clone, Debug)]
pub(super) struct Seniority<K> {
    branches: Table<K, Branch<K>>,
}

#[derive(Clone, Debug)]
struct Branch<K> {
    over: Option<K>,
    steps: usize,
    step: Step,
    /// Senior to junior.
    under: Vec<K>,
}

impl<K: Row + PartialEq> Seniority<K> {
    pub(super) fn new() -> Seniority<K> {
        Seniority { branches: Table::new() }
    }

    /// Lets one in under `over`, or begins a tree.
    pub(super) fn push(&mut self, over: Option<K>, step: Step) -> K {
        let steps = over.map_or(1, |over| self.branches[over].steps + 1);
        let key = self.branches.push(Branch { over, steps, step, under: Vec::new() });
        if let Some(over) = over {
            let place = self.branches[over].under.partition_point(|k| self.branches[*k].step < step);
            self.branches[over].under.insert(place, key);
        }
        key
    }

    /// The tree below and with `root`, senior to junior.
    pub(super) fn order(&self, root: K) -> Vec<K> {
        let mut order = Vec::new();
        let mut stack = vec![root];
        while let Some(key) = stack.pop() {
            order.push(key);
            stack.extend(self.branches[key].under.iter().rev());
        }
        order
    }

    /// The junior of two of one tree.
    pub(super) fn junior(&self, a: K, b: K) -> K {
        if self.compare(a, b) == Ordering::Less { b } else { a }
    }

    /// All steps of a rank, from the root.
    pub(super) fn rank(&self, key: K) -> Vec<Step> {
        let mut steps: Vec<Step> = self.upward(key).map(|key| self.branches[key].step).collect();
        steps.reverse();
        steps
    }

    fn upward(&self, key: K) -> impl Iterator<Item = K> {
        std::iter::successors(Some(key), |key| self.branches[*key].over)
    }

    fn compare(&self, a: K, b: K) -> Ordering {
        let (high, low) = (self.branches[a].steps, self.branches[b].steps);
        let mut left = self.upward(a).skip(high.saturating_sub(low));
        let mut right = self.upward(b).skip(low.saturating_sub(high));
        let mut decided = high.cmp(&low);
        while let (Some(x), Some(y)) = (left.next(), right.next()) {
            if x == y {
                break;
            }
            decided = self.branches[x].step.cmp(&self.branches[y].step);
        }
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::MemberIx;
    use super::*;

    #[test]
    fn the_order_is_that_of_the_written_out_ranks() {
        let mut tree = Seniority::<MemberIx>::new();
        let mut keys = vec![tree.push(None, (0, StatementId([0; 32])))];
        for number in 1..60u8 {
            let over = keys[usize::from(number) * 7 % keys.len()];
            let depth = u32::try_from(tree.rank(over).len()).unwrap() + u32::from(number % 3);
            keys.push(tree.push(Some(over), (depth, StatementId([number.wrapping_mul(89); 32]))));
        }
        let mut sorted = keys.clone();
        sorted.sort_by_key(|key| tree.rank(*key));
        assert_eq!(tree.order(keys[0]), sorted);
        for a in &keys {
            for b in &keys {
                assert_eq!(tree.compare(*a, *b), tree.rank(*a).cmp(&tree.rank(*b)));
            }
        }
    }
}
