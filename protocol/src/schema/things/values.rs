//! The values of one thing: of each field, or of each part of one.
//!
//! A board shows hundreds of things with a few values each, and every value is asked for by the name of
//! its field. So they are a list in order, which takes less memory than a tree and is searched without a
//! copy of the name. Invariant: each slot is there once, in ascending order.

use crate::schema::field::Value;

/// The name of a field of the layout, and which part of it.
pub(super) type Slot = (&'static str, Option<String>);

/// Values by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(Vec<(Slot, Value)>);

impl Values {
    /// Where a slot is, or else would be.
    fn place(&self, field: &str, part: Option<&str>) -> Result<usize, usize> {
        self.0.binary_search_by(|((name, of), _)| (*name, of.as_deref()).cmp(&(field, part)))
    }

    /// The value of a slot.
    pub(super) fn get(&self, field: &str, part: Option<&str>) -> Option<&Value> {
        let at = self.place(field, part).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Sets a value, or unsets it where there is none; gives the one before.
    pub(super) fn set(&mut self, (field, part): Slot, value: Option<Value>) -> Option<Value> {
        match (self.place(field, part.as_deref()), value) {
            (Ok(at), Some(value)) => self.0.get_mut(at).map(|(_, held)| std::mem::replace(held, value)),
            (Ok(at), None) => Some(self.0.remove(at).1),
            (Err(at), Some(value)) => {
                self.0.insert(at, ((field, part), value));
                None
            }
            (Err(_), None) => None,
        }
    }

    /// The parts of a field with their values, in order; a field without parts is one of its own.
    pub(super) fn of<'v>(&'v self, field: &'v str) -> impl Iterator<Item = (Option<&'v str>, &'v Value)> {
        let from = self.place(field, None).unwrap_or_else(|at| at);
        let parts = self.0.iter().skip(from).take_while(move |((name, _), _)| *name == field);
        parts.map(|((_, part), value)| (part.as_deref(), value))
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Slot, Value)> {
        self.0.iter()
    }

    /// As a list that takes no more memory than it needs.
    pub(super) fn shrunk(mut self) -> Values {
        self.0.shrink_to_fit();
        self
    }
}

impl FromIterator<(Slot, Value)> for Values {
    fn from_iter<I: IntoIterator<Item = (Slot, Value)>>(all: I) -> Values {
        let mut values = Values::default();
        for (slot, value) in all {
            values.set(slot, Some(value));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(field: &'static str, part: Option<&str>) -> Slot {
        (field, part.map(Into::into))
    }

    fn whole(number: i64) -> Option<Value> {
        Some(Value::Whole(number))
    }

    #[test]
    fn values_are_in_order_and_the_last_for_a_slot_counts() {
        let mut values = Values::default();
        for (field, part, number) in
            [("b", None, 1), ("a", Some("y"), 2), ("a", Some("x"), 3), ("a", None, 4)]
        {
            assert_eq!(values.set(slot(field, part), whole(number)), None);
        }
        assert_eq!(values.set(slot("b", None), whole(5)), whole(1));
        let order: Vec<&Slot> = values.iter().map(|(slot, _)| slot).collect();
        let expected = [slot("a", None), slot("a", Some("x")), slot("a", Some("y")), slot("b", None)];
        assert_eq!(order, expected.iter().collect::<Vec<_>>());
        let parts: Vec<Option<&str>> = values.of("a").map(|(part, _)| part).collect();
        assert_eq!(parts, [None, Some("x"), Some("y")]);
        assert_eq!(values.get("b", None), whole(5).as_ref());
        assert_eq!((values.get("b", Some("x")), values.of("c").count()), (None, 0));
    }

    #[test]
    fn a_value_that_is_unset_is_given_back_once() {
        let mut values: Values = [(slot("a", None), Value::Whole(1))].into_iter().collect();
        assert_eq!(values.set(slot("a", None), None), whole(1));
        assert_eq!(values.set(slot("a", None), None), None);
        assert_eq!(values, Values::default());
    }
}
