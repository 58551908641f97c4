//! Looks through all that a bystander saw for what it must not know, in every form in which somebody
//! would look for it.
//!
//! Single words are looked for too, unless they are so short that ciphertext has them by chance, or
//! are part of the names of protocols, which everybody sees.

use std::collections::HashMap;

use sha2::{Digest, Sha256, Sha512};

use crate::recording::Tape;

/// Letters that a word must have: fewer are found among a million random bytes now and then.
const WORD_LETTERS_MIN: usize = 5;

/// What every node tells everybody whom it is connected with.
const PUBLIC: &str = "/multistream/1.0.0 /noise /yamux/1.0.0 /fourword/find/1 /fourword/sync/1 fourword \
    /ipfs/id/push/1.0.0 /ipfs/ping/1.0.0 /libp2p/circuit/relay/0.2.0/stop /libp2p/circuit/relay/0.2.0/hop \
    /meshsub/1.2.0 /libp2p/dcutr /libp2p/autonat/2/dial-request /libp2p/autonat/2/dial-back floodsub";

/// What is looked for: each form, with what it is a form of.
#[derive(Default)]
pub(crate) struct Wanted {
    /// By the first four bytes.
    forms: HashMap<[u8; 4], Vec<(Vec<u8>, String)>>,
}

impl Wanted {
    fn add(&mut self, what: &str, form: &[u8]) {
        let first = *form.first_chunk().expect("what is looked for has four bytes");
        self.forms.entry(first).or_default().push((form.to_vec(), what.to_owned()));
    }

    /// A text, as it is.
    pub(crate) fn text(&mut self, text: &str) {
        self.add(text, text.as_bytes());
    }

    /// Bytes, as they are and as digits.
    pub(crate) fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.add(what, bytes);
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(what, digits.as_bytes());
        self.add(what, digits.to_uppercase().as_bytes());
    }

    /// Four words in every spelling, what common hashes make of each, and each word by itself.
    pub(crate) fn words(&mut self, words: &str) {
        let spelled = ["-", " ", "", ".", "_", "/", ","].map(|between| words.replace('-', between));
        let upper = spelled.iter().map(|text| text.to_uppercase());
        for text in spelled.iter().cloned().chain(upper) {
            self.text(&text);
            for hash in hashes(text.as_bytes()) {
                self.bytes(&format!("a hash of {text}"), &hash);
            }
        }
        for word in words.split('-').filter(|word| word.len() >= WORD_LETTERS_MIN && !PUBLIC.contains(word)) {
            self.text(word);
            self.text(&word.to_uppercase());
            let (first, rest) = word.split_at(1);
            self.text(&(first.to_uppercase() + rest));
        }
    }

    /// What of it is on a tape.
    pub(crate) fn on(&self, tape: &Tape) -> Vec<String> {
        let mut seen = Vec::new();
        for reel in tape.all() {
            for (at, first) in reel.windows(4).enumerate() {
                let forms = first.first_chunk().and_then(|first| self.forms.get(first)).into_iter().flatten();
                let found = forms.filter(|(form, _)| reel[at..].starts_with(form));
                seen.extend(found.map(|(_, what)| what.clone()));
            }
        }
        seen.sort();
        seen.dedup();
        seen
    }
}

/// What somebody makes of a name who wants to find it by a hash: once, and twice.
fn hashes(text: &[u8]) -> Vec<Vec<u8>> {
    let each = |bytes: &[u8]| {
        [
            blake3::hash(bytes).as_bytes().to_vec(),
            Sha256::digest(bytes).to_vec(),
            Sha512::digest(bytes).to_vec(),
        ]
    };
    let once = each(text);
    once.iter().flat_map(|hash| each(hash)).chain(once.iter().cloned()).collect()
}
