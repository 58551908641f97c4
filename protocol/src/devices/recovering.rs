//! Brings a person back from its recovery phrase, on a node whose own person is in use nowhere.
//!
//! The phrase gives the root key, and trying nonces from zero upwards gives the person again. The
//! root certifies this device and a new home is founded at once. Where the root key is, this
//! device is senior to all others by it: it enters every group in which the person is a member
//! (`returning`), and may revoke whatever was lost.

use crate::command::{CommandId, Outcome, Refusal, RefusalCode, Reply};
use crate::effect::Effect;
use crate::identity::{PersonCard, PhraseError, RootSecret};
use crate::limits::INVITE_ADDRESSES_MAX;
use crate::outbox::{After, refusal};
use crate::replicator::Replicator;
use crate::words::FourWords;

impl Replicator {
    /// Begins to find the person of a phrase.
    pub(super) fn recover(&mut self, id: CommandId, phrase: &str, peers: Vec<String>) -> Result<(), Refusal> {
        let root = RootSecret::from_phrase(phrase).map_err(|error| phrase_refusal(&error))?;
        let own = self.me.as_ref().map(|me| me.certificate.person.root);
        if own == Some(root.public()) {
            let message = "this device is that person's already";
            return Err(refusal(RefusalCode::Usage, message, ""));
        }
        self.check_unused()?;
        for address in peers.into_iter().take(2 * INVITE_ADDRESSES_MAX) {
            self.out.push(Effect::Connect(address));
        }
        self.mint_again(id, root);
        Ok(())
    }

    /// The nonce of the person was found: this device becomes its first one of a new home.
    pub(crate) fn recovered(&mut self, asker: CommandId, root: RootSecret, nonce: u64, words: FourWords) {
        if let Err(why) = self.check_unused() {
            return self.out.refuse(asker, why);
        }
        let Some(me) = &self.me else { return };
        let person = PersonCard { root: root.public(), nonce }.id();
        let certificate = root.certify(nonce, &me.device.card(person));
        let named = self.names.learn(person.0, Some(words));
        let (genesis, secret) = self.draft_home(certificate.clone());
        let home = genesis.entity();
        self.become_device(certificate, Some(root), home);
        let Some(me) = &self.me else { return };
        let mut records = vec![me.record(), named];
        records.extend(self.establish(genesis, &secret));
        let answer = After::Answer(asker, Outcome::Done(Reply::Recovered(words)));
        self.out.write(records, vec![answer]);
        self.tend(home);
        self.enter(home);
        self.look_home();
    }
}

fn phrase_refusal(error: &PhraseError) -> Refusal {
    let hint = match error {
        PhraseError::Count(_) => "a recovery phrase has 24 words",
        PhraseError::Unknown { .. } => "compare that word with what was written down",
        PhraseError::Checksum => "each word is in the list, but one is another or stands elsewhere",
    };
    refusal(RefusalCode::Usage, error.to_string(), hint)
}
