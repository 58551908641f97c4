//! Brings a person back from its recovery phrase, on a node whose own person is in use nowhere.
//!
//! The phrase gives the root key, and trying nonces from zero upwards gives the person again. The
//! root certifies this device and a new home is founded at once; should one of the person's devices turn
//! up that still lives in an older home, this device moves there. Where the root key is, this
//! device is senior to all others by it: it enters every group in which the person is a member
//! (`returning`), and may revoke whatever was lost.

use crate::command::{CommandId, Kind, Outcome, Refusal, RefusalCode, Reply};
use crate::effect::Effect;
use crate::identity::{PersonCard, PhraseError, RootSecret};
use crate::ids::{DeviceKey, Digest, StatementId};
use crate::limits::{INVITE_ADDRESSES_MAX, NAME_CANDIDATES_MAX};
use crate::me::Me;
use crate::outbox::{After, local, refusal};
use crate::replicator::Replicator;
use crate::roster::{Genesis, Roster, Statement};
use crate::wire::Frame;
use crate::words::FourWords;

/// The kind of the small value that says that a recovered device still looks for its old home.
pub(crate) const SEEKS_HOME: &str = "seeks-home";

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
        let mut records = vec![me.record(), named, local(SEEKS_HOME, &[], Some(Vec::new()))];
        records.extend(self.establish(genesis, &secret));
        let answer = After::Answer(asker, Outcome::Done(Reply::Recovered(words)));
        self.out.write(records, vec![answer]);
        self.devices.seeks_home = true;
        self.tend(home);
        self.enter(home);
        self.seek_home();
    }

    // -- the home before ----------------------------------------------------------------------

    /// Asks every connected device for the home that this person had, by the person's words.
    pub(crate) fn seek_home(&mut self) {
        for device in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.seek_home_at(device);
        }
    }

    /// Asks one device, once.
    pub(crate) fn seek_home_at(&mut self, device: DeviceKey) {
        let words = self.me.as_ref().and_then(|me| self.names.person(me.person()));
        let Some(words) = words.filter(|_| self.devices.seeks_home && self.opening.done) else { return };
        let Some(lookup) = self.names.lookup(words) else {
            return self.names.want_lookup_first(words, &mut self.out);
        };
        if let Some(session) = self.sessions.get_mut(&device).filter(|session| !session.home_sought) {
            session.home_sought = true;
            self.out.send(device, &Frame::Seek(lookup));
        }
    }

    /// The home of this person, for whoever looks for it by the person's words.
    pub(crate) fn home_sought(&self, lookup: Digest) -> Option<Vec<u8>> {
        let me = self.me.as_ref()?;
        let named = self.names.lookup(self.names.person(me.person())?);
        let home = self.entities.get(&me.home).filter(|home| home.member(me.key()).is_some())?;
        let genesis = home.roster.bytes(&StatementId(home.id.0)).filter(|_| named == Some(lookup));
        genesis.map(<[u8]>::to_vec)
    }

    /// A device answers which home is this person's. True if that was asked.
    pub(crate) fn takes_home(&mut self, from: DeviceKey, lookup: Digest, genesis: &[Vec<u8>]) -> bool {
        let own = self.me.as_ref().and_then(|me| self.names.lookup(self.names.person(me.person())?));
        let asked = self.sessions.get(&from).is_some_and(|session| session.home_sought);
        if own != Some(lookup) || !asked {
            return false;
        }
        for bytes in genesis.iter().take(NAME_CANDIDATES_MAX) {
            self.home_found(bytes);
        }
        true
    }

    /// Moves into the home of a device before: it lists the groups, and the other devices are
    /// there. The one founded here is left, unless another device is in it already.
    fn home_found(&mut self, genesis: &[u8]) {
        let Some(me) = self.me.as_ref().filter(|_| self.devices.seeks_home) else { return };
        let Some(roster) = Statement::read(genesis).ok().and_then(|genesis| Roster::new(genesis).ok()) else {
            return;
        };
        let Genesis { creator, kind, .. } = roster.genesis();
        let is_own = *kind == Kind::Home && creator.person == me.certificate.person;
        if !is_own || roster.entity() == me.home || self.home_devices().len() > 1 {
            return;
        }
        let (certificate, root, home) = (me.certificate.clone(), me.root.clone(), roster.entity());
        self.become_device(certificate, root, home);
        self.devices.seeks_home = false;
        let mine = self.me.as_ref().map(Me::record);
        self.out.write(mine.into_iter().chain([local(SEEKS_HOME, &[], None)]).collect(), Vec::new());
        self.return_to(home, None, Vec::new());
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
