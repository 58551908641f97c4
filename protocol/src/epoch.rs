//! Group keys: random, sealed to each device, committed to in the roster.
//!
//! An epoch key seals envelopes; with it travels the entity's secret, which never rotates and
//! from which document keys and greetings are derived. Both are checked against commitments in
//! signed statements before use, so nobody can hand one device another key than the rest.
//! Which epoch to write under is the roster's decision. Format: docs/PROTOCOL.md, section 4.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::bytes::Writer;
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, DocumentKey, EntityId, SealingKey, Topic};

const KEY_COMMITMENT: &str = "fourword v1 epoch commitment";
const SECRET_COMMITMENT: &str = "fourword v1 entity secret commitment";
const TOPIC: &str = "fourword v1 topic";
const CHILD: &str = "fourword v1 child secret";
const GREETING: &str = "fourword v1 greeting";
const SEAL: &[u8] = b"fourword v1 epoch seal";

/// Bytes of one seal: the encapsulated key, the epoch key and the entity secret, the tag.
pub const SEAL_BYTES: usize = 32 + 64 + 16;

/// A key under which envelopes are sealed. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochKey(Zeroizing<[u8; 32]>);

/// What an entity's members share for good. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct EntitySecret(Zeroizing<[u8; 32]>);

/// Proves to one peer, once per connection's direction, that an entity's secret is held.
pub type Greeting = [u8; 16];

impl EpochKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> EpochKey {
        EpochKey(Zeroizing::new(bytes))
    }

    /// Draws a new key.
    pub fn generate(random: &mut impl CryptoRng) -> EpochKey {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        EpochKey::new(bytes)
    }

    /// What the epoch's statement says of the key without giving it away.
    pub fn commitment(&self) -> [u8; 32] {
        blake3::derive_key(KEY_COMMITMENT, &*self.0)
    }

    /// The gossip address of a document's concern under this epoch.
    pub fn topic(&self, document: DocumentKey) -> Topic {
        Topic(keyed(TOPIC, &self.0, &document.0))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A header with the key's commitment behind it: ChaCha20-Poly1305 alone does not bind a key.
    pub(crate) fn associated(&self, header: &[u8]) -> Vec<u8> {
        [header, &self.commitment()].concat()
    }
}

impl EntitySecret {
    /// The secret of these bytes.
    pub fn new(bytes: [u8; 32]) -> EntitySecret {
        EntitySecret(Zeroizing::new(bytes))
    }

    /// Draws a new secret.
    pub fn generate(random: &mut impl CryptoRng) -> EntitySecret {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        EntitySecret::new(bytes)
    }

    /// What the genesis says of the secret without giving it away.
    pub fn commitment(&self) -> [u8; 32] {
        blake3::derive_key(SECRET_COMMITMENT, &*self.0)
    }

    /// What `from` shows `to` to say that both may be in the same entity.
    ///
    /// The connection has proved both keys, so nobody can show a greeting made by another.
    pub fn greeting(&self, from: DeviceKey, to: DeviceKey) -> Greeting {
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            keyed(GREETING, &self.0, &[from.0, to.0].concat());
        tag
    }

    /// The secret of an entity that has this one's as its parent: whoever is in the parent has it.
    pub fn of_child(&self, child: EntityId) -> EntitySecret {
        EntitySecret::new(keyed(CHILD, &self.0, &child.0))
    }

    /// The secret itself, for deriving document keys.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}

impl fmt::Debug for EntitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntitySecret(..)")
    }
}

/// Seals an epoch key and the entity's secret to one device.
///
/// `None` only if `to` is no point on the curve that a key can be agreed with.
pub fn seal(
    entity: EntityId,
    key: &EpochKey,
    secret: &EntitySecret,
    to: SealingKey,
    random: &mut impl CryptoRng,
) -> Option<Vec<u8>> {
    let recipient = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&to.0).ok()?;
    let content = Zeroizing::new([*key.0, *secret.0].concat());
    let context = context(entity, key.commitment());
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &recipient, &context, &content, &[], random)
    .ok()?;
    Some([encapsulated.to_bytes().as_slice(), &sealed].concat())
}

/// Opens a seal made for this device, and checks what is inside against both commitments.
pub fn open(
    entity: EntityId,
    commitment: [u8; 32],
    secret_commitment: [u8; 32],
    sealed: &[u8],
    device: &DeviceSecret,
) -> Option<(EpochKey, EntitySecret)> {
    let (encapsulated, content) = sealed.split_at_checked(32)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    let own = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&*device.sealing_seed()).ok()?;
    let content = Zeroizing::new(
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &own,
            &encapsulated,
            &context(entity, commitment),
            content,
            &[],
        )
        .ok()?,
    );
    let (key, secret) = content.split_at_checked(32)?;
    let key = EpochKey::new(key.try_into().ok()?);
    let secret = EntitySecret::new(secret.try_into().ok()?);
    (key.commitment() == commitment && secret.commitment() == secret_commitment).then_some((key, secret))
}

fn context(entity: EntityId, commitment: [u8; 32]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(SEAL).raw(&entity.0).raw(&commitment);
    writer.into_bytes()
}

fn keyed(domain: &str, key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let key = Zeroizing::new(blake3::derive_key(domain, key));
    *blake3::keyed_hash(&key, message).as_bytes()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const ENTITY: EntityId = EntityId([1; 32]);

    fn device(byte: u8) -> DeviceSecret {
        DeviceSecret::from_seeds(&[byte; 32], &[byte; 32])
    }

    fn sealed_to(to: &DeviceSecret) -> (EpochKey, EntitySecret, Vec<u8>) {
        let mut random = ChaCha20Rng::from_seed([2; 32]);
        let (key, secret) = (EpochKey::generate(&mut random), EntitySecret::generate(&mut random));
        let card = to.card(crate::ids::PersonId([0; 32]));
        let sealed = seal(ENTITY, &key, &secret, card.sealing, &mut random).unwrap();
        (key, secret, sealed)
    }

    #[test]
    fn the_device_a_key_is_sealed_to_opens_it() {
        let (key, secret, sealed) = sealed_to(&device(3));
        assert_eq!(sealed.len(), SEAL_BYTES);
        let opened = open(ENTITY, key.commitment(), secret.commitment(), &sealed, &device(3));
        assert_eq!(opened, Some((key, secret)));
    }

    #[test]
    fn nobody_else_opens_it_and_it_opens_nowhere_else() {
        let (key, secret, sealed) = sealed_to(&device(3));
        let commitments = (key.commitment(), secret.commitment());
        assert_eq!(open(ENTITY, commitments.0, commitments.1, &sealed, &device(4)), None);
        assert_eq!(open(EntityId([9; 32]), commitments.0, commitments.1, &sealed, &device(3)), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(open(ENTITY, commitments.0, commitments.1, &altered, &device(3)), None, "byte {at}");
        }
        assert_eq!(open(ENTITY, commitments.0, commitments.1, &[], &device(3)), None);
    }

    #[test]
    fn a_secret_other_than_the_committed_one_is_refused() {
        let (key, secret, sealed) = sealed_to(&device(3));
        assert_eq!(open(ENTITY, key.commitment(), [0; 32], &sealed, &device(3)), None);
        assert_eq!(open(ENTITY, [0; 32], secret.commitment(), &sealed, &device(3)), None);
    }

    #[test]
    fn a_greeting_holds_for_one_direction_between_two_devices() {
        let secret = EntitySecret::new([5; 32]);
        let (a, b) = (device(1).key(), device(2).key());
        assert_ne!(secret.greeting(a, b), secret.greeting(b, a));
        assert_ne!(secret.greeting(a, b), EntitySecret::new([6; 32]).greeting(a, b));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?} {:?}", EpochKey::new([7; 32]), EntitySecret::new([7; 32]));
        assert_eq!(shown, "EpochKey(..) EntitySecret(..)");
    }
}
