//! The requests and denials of one entity that this node keeps: of each person one, and bounded.
//!
//! A full table takes nobody new, so a flood cannot put out who came before it. Denials make room
//! for later ones: a forgotten denial only lets somebody ask again.

use std::collections::BTreeMap;

use crate::ids::PersonId;
use crate::limits::REQUESTS_MAX;
use crate::request::{Denial, Request};

/// Who asks to be let into one entity, and who was turned away.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    requests: BTreeMap<PersonId, Request>,
    denials: BTreeMap<PersonId, Denial>,
}

/// Why a request is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unkept {
    /// It is kept already.
    Known,
    /// The person has asked later than this.
    Older,
    /// An admin decided against it.
    Denied,
    /// It says that it was made too long ago, or that it will be.
    Untimely,
    /// As many ask as may.
    Full,
    /// Its work is not done, or a signature does not hold.
    Forged,
}

impl Kept {
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.values()
    }

    pub(crate) fn denials(&self) -> impl Iterator<Item = &Denial> {
        self.denials.values()
    }

    pub(crate) fn request(&self, person: &PersonId) -> Option<&Request> {
        self.requests.get(person)
    }

    pub(crate) fn denial(&self, person: &PersonId) -> Option<&Denial> {
        self.denials.get(person)
    }

    /// Whether a request would be new, the latest of its person, and have room.
    pub(crate) fn has_place_for(&self, request: &Request) -> Result<(), Unkept> {
        match self.requests.get(&request.person()) {
            Some(kept) if kept == request => Err(Unkept::Known),
            Some(kept) if (kept.time, kept.bytes()) > (request.time, request.bytes()) => Err(Unkept::Older),
            None if self.requests.len() >= REQUESTS_MAX => Err(Unkept::Full),
            _ => Ok(()),
        }
    }

    /// Keeps a request that has a place, instead of an earlier one of the same person.
    pub(crate) fn keep_request(&mut self, request: Request) {
        self.requests.insert(request.person(), request);
    }

    pub(crate) fn forget_request(&mut self, person: &PersonId) -> Option<Request> {
        self.requests.remove(person)
    }

    /// Whether a denial is later than that kept of its person, or the first.
    pub(crate) fn is_news(&self, denial: &Denial) -> bool {
        let kept = self.denials.get(&denial.person);
        kept.is_none_or(|kept| (kept.time, kept.bytes()) < (denial.time, denial.bytes()))
    }

    /// Keeps a denial; gives whose was forgotten to make room, if one was.
    pub(crate) fn keep_denial(&mut self, denial: Denial) -> Option<PersonId> {
        let person = denial.person;
        self.denials.insert(person, denial);
        let oldest = self.denials.values().filter(|kept| kept.person != person).min_by_key(|kept| kept.time);
        let oldest = oldest.filter(|_| self.denials.len() > REQUESTS_MAX).map(|kept| kept.person);
        if let Some(oldest) = oldest {
            self.denials.remove(&oldest);
        }
        oldest
    }

    pub(crate) fn forget_denial(&mut self, person: &PersonId) {
        self.denials.remove(person);
    }

    /// How many requests and how many denials.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.requests.len(), self.denials.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{DeviceSecret, PersonCard, RootSecret};
    use crate::ids::EntityId;
    use crate::request::Draft;
    use crate::time::WallTime;

    fn request(of: u8, time: u64) -> Request {
        let (root, device) =
            (RootSecret::from_seed(&[of; 32]), DeviceSecret::from_seeds(&[of; 32], &[1; 32]));
        let person = PersonCard { root: root.public(), nonce: 0 }.id();
        let certificate = root.certify(0, &device.card(person));
        let draft = Draft::new(EntityId([9; 32]), &certificate, "", "", WallTime(time));
        Request::read(&draft.sign(0, &device)).unwrap()
    }

    #[test]
    fn of_each_person_the_latest_request_is_kept() {
        let mut kept = Kept::default();
        kept.keep_request(request(1, 10));
        assert_eq!(kept.has_place_for(&request(1, 10)), Err(Unkept::Known));
        assert_eq!(kept.has_place_for(&request(1, 9)), Err(Unkept::Older));
        assert_eq!(kept.has_place_for(&request(1, 11)), Ok(()));
        kept.keep_request(request(1, 11));
        assert_eq!(kept.count(), (1, 0));
    }

    #[test]
    fn a_full_table_takes_nobody_new_and_puts_nobody_out() {
        let mut kept = Kept::default();
        let max = u8::try_from(REQUESTS_MAX).unwrap();
        (0..max).for_each(|of| kept.keep_request(request(of, 1)));
        assert_eq!(kept.has_place_for(&request(max, 2)), Err(Unkept::Full));
        assert_eq!(kept.has_place_for(&request(3, 2)), Ok(()), "who asks already may ask anew");
    }

    #[test]
    fn the_oldest_denial_makes_room() {
        let device = DeviceSecret::from_seeds(&[1; 32], &[1; 32]);
        let denial = |of, time| Denial::sign(EntityId([9; 32]), PersonId([of; 32]), WallTime(time), &device);
        let mut kept = Kept::default();
        let max = u8::try_from(REQUESTS_MAX).unwrap();
        for of in 0..max {
            assert_eq!(kept.keep_denial(denial(of, 100 - u64::from(of))), None);
        }
        assert_eq!(kept.keep_denial(denial(max, 200)), Some(PersonId([max - 1; 32])));
        assert!(kept.is_news(&denial(max - 1, 1)) && !kept.is_news(&denial(max, 200)));
        assert_eq!(kept.count(), (0, REQUESTS_MAX));
    }
}
