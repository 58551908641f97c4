//! The parts of keys in root maps, joined by `|`: who wrote, whose thing, which thing.
//!
//! Rights are read off the key alone, so each name must have one spelling: lower-case base32 of a
//! fixed length. Whatever else arrives is a foreign shape and refused by `rights`.

use crate::ids::{PersonId, from_base32, to_base32};

/// The first half of a person's id, which stands for the person in keys: 128 bits cannot be met
/// by another person on purpose.
pub type Owner = [u8; 16];

/// What stands for a person in keys.
pub fn owner(person: &PersonId) -> Owner {
    let mut owner = [0; 16];
    for (to, from) in owner.iter_mut().zip(person.0) {
        *to = from;
    }
    owner
}

/// Joins names and other parts to a key.
pub(super) fn join(parts: &[&str]) -> String {
    parts.join("|")
}

/// Splits a key into exactly `N` parts.
pub(super) fn split<const N: usize>(key: &str) -> Option<[&str; N]> {
    let mut given = key.split('|');
    let mut parts = [""; N];
    for part in &mut parts {
        *part = given.next()?;
    }
    given.next().is_none().then_some(parts)
}

/// Reads a name of `N` bytes in its one spelling.
pub(super) fn name<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    from_base32(text)?.try_into().ok()
}

/// Writes a name as [`name`] reads it.
pub(super) fn spell(name: &[u8]) -> String {
    to_base32(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let text = spell(&[0xa7; 16]);
        assert_eq!(name(&text), Some([0xa7; 16]));
        assert_eq!(name::<16>(&text.to_uppercase()), None);
        assert_eq!(name::<16>(&format!("{text}a")), None);
        assert_eq!(name::<8>(&text), None);
        let stray = format!("{}b", &text[..25]);
        assert_ne!(stray, text);
        assert_eq!(name::<16>(&stray), None, "the last two bits must be zero");
    }

    #[test]
    fn a_key_splits_into_its_parts_and_no_other_number() {
        assert_eq!(split("a|b|c"), Some(["a", "b", "c"]));
        assert_eq!(split::<2>("a|b|c"), None);
        assert_eq!(split::<4>("a|b|c"), None);
        assert_eq!(split("a||"), Some(["a", "", ""]));
    }
}
