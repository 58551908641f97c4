//! Who signs: a person's root key, and the devices it vouches for.
//!
//! A person is the hash of a root public key and a nonce chosen so that the four words come out.
//! A device has a signing key (its libp2p key too) and a sealing key. Logs and statements are
//! signed by devices; the root signs the first device's certificate, is shown once as a phrase
//! and then leaves the device; from then on devices vouch for devices. Format: docs/PROTOCOL.md, section 2.

use std::fmt;

use bip39::{Language, Mnemonic};
use ed25519_dalek::{Signature, Signer, SigningKey};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::bytes::{Malformed, Reader, Writer};
use crate::ids::{DeviceKey, PersonId, SealingKey, VerifyingKey};
use crate::limits::CERTIFICATE_LINKS_MAX;

/// An ed25519 signature.
pub type SignatureBytes = [u8; 64];

const PERSON: &str = "fourword v1 person";
const BINDING: &[u8] = b"fourword v1 device binding";
const CERTIFICATE: &[u8] = b"fourword v1 certificate";
const VOUCHER: &[u8] = b"fourword v1 device certificate";

/// Checks a signature strictly: no small-order keys, one encoding per signature.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &SignatureBytes) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .is_ok()
}

/// Words of a recovery phrase: 32 bytes and a checksum.
const PHRASE_WORDS: usize = 24;

/// Why a text is no recovery phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Another number of words; says how many, at most one more than a phrase has.
    #[error("the phrase has {0} words instead of {PHRASE_WORDS}")]
    Count(usize),
    /// A word that no phrase has.
    #[error("word {place} of the phrase, \"{word}\", is not in the list")]
    Unknown {
        /// Which one, from 1.
        place: usize,
        /// As it was typed, in lower case.
        word: String,
    },
    /// The words are no phrase: one of them is another word of the list, or two changed places.
    #[error("the phrase has a wrong word: its checksum does not fit")]
    Checksum,
}

/// A person's root key.
#[derive(Clone)]
pub struct RootSecret(SigningKey);

impl RootSecret {
    /// Draws a new root key.
    pub fn generate(random: &mut impl CryptoRng) -> RootSecret {
        RootSecret::from_seed(&seed(random))
    }

    /// The root key of this seed.
    pub fn from_seed(seed: &[u8; 32]) -> RootSecret {
        RootSecret(SigningKey::from_bytes(seed))
    }

    /// The seed, to be kept sealed.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The recovery phrase: 24 English words of BIP39.
    pub fn phrase(&self) -> Zeroizing<String> {
        let seed = self.seed();
        // 32 bytes are always valid entropy; an empty phrase could never be mistaken for one.
        Zeroizing::new(Mnemonic::from_entropy(&*seed).map(|m| m.to_string()).unwrap_or_default())
    }

    /// Reads a recovery phrase; case and spacing do not matter.
    pub fn from_phrase(phrase: &str) -> Result<RootSecret, PhraseError> {
        // Longer than any phrase, so that a long text costs little.
        let words: Vec<String> =
            phrase.split_whitespace().take(PHRASE_WORDS + 1).map(str::to_lowercase).collect();
        if words.len() != PHRASE_WORDS {
            return Err(PhraseError::Count(words.len()));
        }
        let joined = Zeroizing::new(words.join(" "));
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &joined).map_err(|error| match error {
                bip39::Error::UnknownWord(at) => {
                    PhraseError::Unknown { place: at + 1, word: words.get(at).cloned().unwrap_or_default() }
                }
                _ => PhraseError::Checksum,
            })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let seed: Zeroizing<[u8; 32]> =
            Zeroizing::new(entropy.as_slice().try_into().map_err(|_| PhraseError::Checksum)?);
        Ok(RootSecret::from_seed(&seed))
    }

    /// The public half.
    pub fn public(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes that begin with their own domain.
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        self.0.sign(message).to_bytes()
    }

    /// Certifies a device as this person's.
    pub fn certify(&self, nonce: u64, device: &DeviceCard) -> Certificate {
        let person = PersonCard { root: self.public(), nonce };
        let signature = self.sign(&Certificate::signed(CERTIFICATE, &person, device));
        Certificate { person, through: Vec::new(), device: device.clone(), signature }
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootSecret({})", self.public().short())
    }
}

/// What a device keeps to itself: its signing key and its sealing key.
#[derive(Clone)]
pub struct DeviceSecret {
    signing: SigningKey,
    sealing: x25519_dalek::StaticSecret,
}

impl DeviceSecret {
    /// Draws new keys.
    pub fn generate(random: &mut impl CryptoRng) -> DeviceSecret {
        DeviceSecret::from_seeds(&seed(random), &seed(random))
    }

    /// The device of these seeds.
    pub fn from_seeds(signing: &[u8; 32], sealing: &[u8; 32]) -> DeviceSecret {
        DeviceSecret {
            signing: SigningKey::from_bytes(signing),
            sealing: x25519_dalek::StaticSecret::from(*sealing),
        }
    }

    /// The seed of the signing key: also that of the libp2p key.
    pub fn signing_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The sealing key's secret half.
    pub fn sealing_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.sealing.to_bytes())
    }

    /// The device's name.
    pub fn key(&self) -> DeviceKey {
        DeviceKey(self.signing.verifying_key().to_bytes())
    }

    /// Signs bytes that begin with their own domain.
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        self.signing.sign(message).to_bytes()
    }

    /// This device's card, bound to one person.
    pub fn card(&self, person: PersonId) -> DeviceCard {
        let sealing = SealingKey(x25519_dalek::PublicKey::from(&self.sealing).to_bytes());
        let bound = self.sign(&DeviceCard::signed(person, sealing));
        DeviceCard { key: self.key(), sealing, bound }
    }
}

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceSecret({})", self.key().short())
    }
}

impl PartialEq for DeviceSecret {
    fn eq(&self, other: &DeviceSecret) -> bool {
        self.key() == other.key()
    }
}

impl Eq for DeviceSecret {}

/// What names a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonCard {
    /// The root public key.
    pub root: VerifyingKey,
    /// Chosen by the person so that the stretched id gives four words.
    pub nonce: u64,
}

impl PersonCard {
    /// The person's id, which is what the four words are stretched from.
    pub fn id(&self) -> PersonId {
        let mut writer = Writer::new();
        self.write(&mut writer);
        PersonId(blake3::derive_key(PERSON, writer.as_slice()))
    }

    /// Appends 40 bytes.
    pub fn write(&self, writer: &mut Writer) {
        writer.raw(&self.root.0).u64(self.nonce);
    }

    /// Reads what `write` wrote.
    pub fn read(reader: &mut Reader<'_>) -> Result<PersonCard, Malformed> {
        Ok(PersonCard { root: VerifyingKey(reader.array()?), nonce: reader.u64()? })
    }
}

/// A device's public keys, bound by its own signature to the person that may claim it: nobody can
/// certify somebody else's device as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCard {
    /// Signing key and name.
    pub key: DeviceKey,
    /// Where epoch keys are sealed to.
    pub sealing: SealingKey,
    /// The device's signature over the person and the sealing key.
    pub bound: SignatureBytes,
}

impl DeviceCard {
    fn signed(person: PersonId, sealing: SealingKey) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(BINDING).raw(&person.0).raw(&sealing.0);
        writer.into_bytes()
    }

    /// Whether the device itself says that it belongs to this person.
    pub fn is_bound_to(&self, person: PersonId) -> bool {
        verify(&self.key.0, &DeviceCard::signed(person, self.sealing), &self.bound)
    }

    /// Appends 128 bytes.
    pub fn write(&self, writer: &mut Writer) {
        writer.raw(&self.key.0).raw(&self.sealing.0).raw(&self.bound);
    }

    /// Reads what `write` wrote; checks no signature.
    pub fn read(reader: &mut Reader<'_>) -> Result<DeviceCard, Malformed> {
        Ok(DeviceCard {
            key: DeviceKey(reader.array()?),
            sealing: SealingKey(reader.array()?),
            bound: reader.array()?,
        })
    }
}

/// The word that a device is the person's: the root's own, or the root's for a first device
/// followed by each device's word for the next. So a device that was linked after the root key
/// had left enters new groups by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose device.
    pub person: PersonCard,
    /// The devices between the root and this one, the root's own first.
    pub through: Vec<Link>,
    /// Which device.
    pub device: DeviceCard,
    /// The root's signature, or that of the last device it goes through.
    pub signature: SignatureBytes,
}

/// One device that vouches for the next, and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The device.
    pub device: DeviceCard,
    /// By the root for the first, by the device before for the others.
    pub signature: SignatureBytes,
}

impl Certificate {
    fn signed(domain: &[u8], person: &PersonCard, device: &DeviceCard) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(domain);
        person.write(&mut writer);
        device.write(&mut writer);
        writer.into_bytes()
    }

    /// Whether each device is vouched for, from the root on, and itself says that it belongs to
    /// the person.
    pub fn is_valid(&self) -> bool {
        let id = self.person.id();
        let mut voucher = (self.person.root.0, CERTIFICATE);
        let last = (&self.device, &self.signature);
        let links = self.through.iter().map(|link| (&link.device, &link.signature)).chain([last]);
        for (device, signature) in links {
            let (key, domain) = voucher;
            if !verify(&key, &Certificate::signed(domain, &self.person, device), signature)
                || !device.is_bound_to(id)
            {
                return false;
            }
            voucher = (device.key.0, VOUCHER);
        }
        true
    }

    /// Whether the root itself vouches for the device.
    pub fn is_by_root(&self) -> bool {
        self.through.is_empty()
    }

    /// Vouches for another device of the person, as the device that this certificate names.
    ///
    /// `None` where that would take more than `limits::CERTIFICATE_LINKS_MAX`.
    pub fn extend(&self, by: &DeviceSecret, device: &DeviceCard) -> Option<Certificate> {
        // With the last one of this certificate and the new one.
        if self.through.len() + 2 > CERTIFICATE_LINKS_MAX {
            return None;
        }
        let mut through = self.through.clone();
        through.push(Link { device: self.device.clone(), signature: self.signature });
        let signature = by.sign(&Certificate::signed(VOUCHER, &self.person, device));
        Some(Certificate { person: self.person, through, device: device.clone(), signature })
    }

    /// Appends 234 bytes, and 192 for each device it goes through.
    pub fn write(&self, writer: &mut Writer) {
        self.person.write(writer);
        let last = Link { device: self.device.clone(), signature: self.signature };
        let links: Vec<&Link> = self.through.iter().chain([&last]).collect();
        writer.list(&links, |w, link| {
            link.device.write(w);
            w.raw(&link.signature);
        });
    }

    /// Reads what `write` wrote; checks no signature.
    pub fn read(reader: &mut Reader<'_>) -> Result<Certificate, Malformed> {
        let person = PersonCard::read(reader)?;
        let link = |r: &mut Reader<'_>| Ok(Link { device: DeviceCard::read(r)?, signature: r.array()? });
        let mut through = reader.list(CERTIFICATE_LINKS_MAX, link)?;
        let Link { device, signature } = through.pop().ok_or(Malformed)?;
        Ok(Certificate { person, through, device, signature })
    }
}

fn seed(random: &mut impl CryptoRng) -> Zeroizing<[u8; 32]> {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill_bytes(&mut *seed);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> RootSecret {
        RootSecret::from_seed(&[byte; 32])
    }

    fn device(byte: u8) -> DeviceSecret {
        DeviceSecret::from_seeds(&[byte; 32], &[byte + 1; 32])
    }

    #[test]
    fn the_phrase_gives_the_root_key_back() {
        let phrase = root(7).phrase();
        assert_eq!(phrase.split(' ').count(), 24);
        let back = RootSecret::from_phrase(&format!("  {}\n", phrase.to_uppercase())).unwrap();
        assert_eq!(back.public(), root(7).public());
    }

    #[test]
    fn a_phrase_with_a_wrong_word_is_refused() {
        let phrase = root(7).phrase();
        let mut words: Vec<&str> = phrase.split(' ').collect();
        words.swap(0, 1);
        let refused = |words: &[&str]| RootSecret::from_phrase(&words.join(" ")).err();
        assert_eq!(refused(&words), Some(PhraseError::Checksum));
        words[6] = "Fourword";
        assert_eq!(refused(&words), Some(PhraseError::Unknown { place: 7, word: "fourword".into() }));
        assert_eq!(refused(&words[..23]), Some(PhraseError::Count(23)));
        assert_eq!(refused(&[&words[..], &words[..]].concat()), Some(PhraseError::Count(25)));
    }

    #[test]
    fn a_certificate_holds_for_the_person_and_device_it_names_alone() {
        let person = PersonCard { root: root(1).public(), nonce: 9 };
        let certificate = root(1).certify(9, &device(3).card(person.id()));
        assert!(certificate.is_valid());

        let mut other = certificate.clone();
        other.person.nonce = 10;
        assert!(!other.is_valid());

        let stolen = root(2).certify(9, &certificate.device);
        assert!(!stolen.is_valid(), "a device is bound to one person by its own signature");
    }

    #[test]
    fn a_certificate_reads_back_as_written() {
        let person = PersonCard { root: root(1).public(), nonce: 9 };
        let certificate = root(1).certify(9, &device(3).card(person.id()));
        let mut writer = Writer::new();
        certificate.write(&mut writer);
        assert_eq!(writer.as_slice().len(), 234);
        let mut reader = Reader::new(writer.as_slice());
        assert_eq!(Certificate::read(&mut reader), Ok(certificate));
        assert_eq!(reader.finish(), Ok(()));
    }

    /// Root 1, then devices 3, 5, 7 and 9, each vouched for by the one before.
    fn chain() -> Vec<Certificate> {
        let person = PersonCard { root: root(1).public(), nonce: 9 }.id();
        let mut chain = vec![root(1).certify(9, &device(3).card(person))];
        for (by, next) in [(3, 5), (5, 7), (7, 9)] {
            chain.push(chain.last().unwrap().extend(&device(by), &device(next).card(person)).unwrap());
        }
        chain
    }

    #[test]
    fn a_device_vouches_for_the_next_up_to_the_limit() {
        let person = PersonCard { root: root(1).public(), nonce: 9 }.id();
        assert_eq!(chain().len(), CERTIFICATE_LINKS_MAX);
        for (certificate, key) in chain().iter().zip([3, 5, 7, 9]) {
            assert!(certificate.is_valid());
            assert_eq!(certificate.device.key, device(key).key());
            assert_eq!(certificate.is_by_root(), key == 3);
            let mut writer = Writer::new();
            certificate.write(&mut writer);
            assert_eq!(writer.as_slice().len(), 234 + 192 * certificate.through.len());
            assert_eq!(Certificate::read(&mut Reader::new(writer.as_slice())).as_ref(), Ok(certificate));
        }
        assert_eq!(chain()[3].extend(&device(9), &device(11).card(person)), None);
        let read = |links: usize| {
            let bytes = [&[0; 40][..], &[0, u8::try_from(links).unwrap()], &vec![0; links * 192]].concat();
            Certificate::read(&mut Reader::new(&bytes)).map(|certificate| certificate.through.len() + 1)
        };
        assert_eq!(read(CERTIFICATE_LINKS_MAX), Ok(CERTIFICATE_LINKS_MAX));
        assert_eq!(read(CERTIFICATE_LINKS_MAX + 1), Err(Malformed));
        assert_eq!(read(0), Err(Malformed));
    }

    #[test]
    fn a_chain_with_any_link_missing_swapped_or_made_by_another_is_not_valid() {
        let whole = chain().pop().unwrap();
        for at in 0..whole.through.len() {
            let mut shorter = whole.clone();
            shorter.through.remove(at);
            assert!(!shorter.is_valid(), "without link {at}");
            let mut swapped = whole.clone();
            swapped.through[at].signature = whole.signature;
            assert!(!swapped.is_valid(), "another's signature at link {at}");
        }
        let mut turned = whole.clone();
        turned.through.reverse();
        assert!(!turned.is_valid());

        // A device's word is not the root's, even if the root's key were a device's.
        let person = PersonCard { root: root(3).public(), nonce: 9 }.id();
        let bound = device(5).card(person);
        let by_root = root(3).certify(9, &device(3).card(person));
        let vouched = by_root.extend(&device(3), &bound).unwrap();
        assert!(vouched.is_valid());
        let claimed = Certificate { through: Vec::new(), ..vouched };
        assert!(!claimed.is_valid());

        // Nor does it carry over to a device that is bound to somebody else.
        let other = PersonCard { root: root(2).public(), nonce: 9 }.id();
        let stolen = chain()[0].extend(&device(3), &device(5).card(other)).unwrap();
        assert!(!stolen.is_valid());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?} {:?}", root(1), device(3));
        assert!(!shown.contains(&crate::ids::to_hex(&[1; 4])), "{shown}");
    }
}
