//! Cuts an answer into pages: as many envelopes as fit, and at least one.
//!
//! Both stores gather their envelopes here, so that their pages end at the same place.

use fourword_protocol::record::Page;

pub(crate) struct Gathering {
    bytes_left: usize,
    envelopes: Vec<Vec<u8>>,
    last: u64,
    full: bool,
}

impl Gathering {
    pub(crate) fn new(bytes_max: usize) -> Gathering {
        Gathering { bytes_left: bytes_max, envelopes: Vec::new(), last: 0, full: false }
    }

    /// Takes the envelope at `cursor` if it fits; says whether to go on.
    pub(crate) fn offer(&mut self, cursor: u64, envelope: Vec<u8>) -> bool {
        self.full = envelope.len() > self.bytes_left && !self.envelopes.is_empty();
        if !self.full {
            self.bytes_left = self.bytes_left.saturating_sub(envelope.len());
            self.envelopes.push(envelope);
            self.last = cursor;
        }
        !self.full
    }

    /// The page; it names a next one if an envelope was turned away.
    pub(crate) fn into_page(self) -> Page {
        Page::Envelopes { envelopes: self.envelopes, next: self.full.then_some(self.last) }
    }
}
