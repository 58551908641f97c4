//! Rows that are added and never taken away, each under a typed index.
//!
//! The graph's statements, memberships and seats refer to each other by these indexes, and the
//! type keeps a seat from being read as a statement. An index is made only by `Table::push`, and
//! a table never shrinks, so reading a row cannot fail while each index stays with its table.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// An index into one kind of table.
pub(super) trait Row: Copy {
    /// The row's number, from 0.
    fn number(self) -> usize;
    /// The index of this row.
    fn from_number(number: usize) -> Self;
}

macro_rules! row {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(usize);

        impl Row for $name {
            fn number(self) -> usize {
                self.0
            }

            fn from_number(number: usize) -> $name {
                $name(number)
            }
        }
    };
}

row!(
    /// A statement of a graph; a parent's is smaller than its child's.
    StatementIx
);
row!(
    /// A membership of a graph.
    MemberIx
);
row!(
    /// A device, or the root key, of one membership of a graph.
    SeatIx
);

/// Rows under indexes of type `K`.
#[derive(Clone, Debug)]
pub(super) struct Table<K, T> {
    rows: Vec<T>,
    key: PhantomData<K>,
}

impl<K: Row, T> Table<K, T> {
    pub(super) fn new() -> Table<K, T> {
        Table { rows: Vec::new(), key: PhantomData }
    }

    /// One default row for each row of another table.
    pub(super) fn beside<U>(other: &Table<K, U>) -> Table<K, T>
    where
        T: Default,
    {
        Table { rows: other.rows.iter().map(|_| T::default()).collect(), key: PhantomData }
    }

    pub(super) fn push(&mut self, row: T) -> K {
        self.rows.push(row);
        K::from_number(self.rows.len() - 1)
    }

    /// The index that the next push gives.
    pub(super) fn next(&self) -> K {
        K::from_number(self.rows.len())
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &T)> {
        self.rows.iter().enumerate().map(|(number, row)| (K::from_number(number), row))
    }
}

impl<K: Row, T> Index<K> for Table<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        match self.rows.get(key.number()) {
            Some(row) => row,
            None => unreachable!("an index is used only with the table that gave it"),
        }
    }
}

impl<K: Row, T> IndexMut<K> for Table<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        match self.rows.get_mut(key.number()) {
            Some(row) => row,
            None => unreachable!("an index is used only with the table that gave it"),
        }
    }
}
