//! What a document showed at one version: its visible records, without the machinery of merging.
//!
//! Cheap to make, since values are shared with the document that it was taken of, and it goes back
//! version by version. Invariant: what was pruned in the present is no part of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::past::Step;
use crate::replica::Live;
use crate::schema::chat::Chat;
use crate::schema::things::Things;
use crate::schema::{self, Concern, Index, Maps};
use crate::update::document::Value;

/// A document as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    concern: Concern,
    maps: BTreeMap<&'static str, BTreeMap<Arc<str>, Arc<[u8]>>>,
    index: Index,
}

impl Picture {
    /// A document in which nothing was written.
    pub(crate) fn nothing(concern: &Concern) -> Picture {
        Picture { concern: *concern, maps: BTreeMap::new(), index: Index::new(concern) }
    }

    /// The document as it is, without what `hides` says.
    pub(crate) fn of(concern: &Concern, live: &Live, hides: impl Fn(&str, &str) -> bool) -> Picture {
        let mut picture = Picture::nothing(concern);
        for root in schema::roots(concern) {
            for (key, value) in live.document.iter(root).filter(|(key, _)| !hides(root, key)) {
                if let Value::Bytes(value) = value {
                    picture.set(root, key, Some(value));
                }
            }
        }
        picture
    }

    /// Takes one version back.
    pub(crate) fn go_back(&mut self, step: &Step) {
        for ((root, key), before) in &step.before {
            self.set(root, key, before.as_ref());
        }
    }

    /// Takes out what `hides` says.
    pub(crate) fn hide(&mut self, hides: impl Fn(&str, &str) -> bool) {
        let of = |(root, keys): (&&'static str, &BTreeMap<Arc<str>, _>)| {
            let hidden = keys.keys().filter(|key| hides(root, key));
            hidden.map(|key| (*root, Arc::clone(key))).collect::<Vec<_>>()
        };
        for (root, key) in self.maps.iter().flat_map(of).collect::<Vec<_>>() {
            self.set(root, &key, None);
        }
    }

    fn set(&mut self, root: &'static str, key: &Arc<str>, value: Option<&Arc<[u8]>>) {
        let keys = self.maps.entry(root).or_default();
        match value {
            Some(value) => drop(keys.insert(Arc::clone(key), Arc::clone(value))),
            None => drop(keys.remove(key)),
        }
        self.index.note(root, key, value.map(|value| &**value));
    }

    /// What people saw of it, if it is a chat.
    pub(crate) fn chat(&self) -> Option<Chat<'_>> {
        match &self.index {
            Index::Chat(index) => Some(Chat::new(self, index)),
            Index::Plain | Index::Things(..) => None,
        }
    }

    /// What people saw of it, if it holds things.
    pub(crate) fn things(&self) -> Option<Things<'_>> {
        match &self.index {
            Index::Things(_, index) => Things::new(&self.concern, self, index),
            Index::Plain | Index::Chat(_) => None,
        }
    }
}

impl Maps for Picture {
    fn get(&self, root: &str, key: &str) -> Option<&[u8]> {
        self.maps.get(root)?.get(key).map(|value| &**value)
    }

    fn range<'a>(&'a self, root: &str, prefix: &str) -> Box<dyn Iterator<Item = (&'a str, &'a [u8])> + 'a> {
        let prefix = prefix.to_owned();
        let from = (std::ops::Bound::Included(&*prefix), std::ops::Bound::Unbounded);
        let entries = self.maps.get(root).map(|keys| keys.range::<str, _>(from)).into_iter().flatten();
        let entries = entries.take_while(move |(key, _)| key.starts_with(&prefix));
        Box::new(entries.map(|(key, value)| (&**key, &**value)))
    }
}
