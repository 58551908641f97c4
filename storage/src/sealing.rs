//! Seals what rests on the disk, under keys derived from the key of the home.
//!
//! XChaCha20-Poly1305 with random nonces; the associated data is the place where the sealed bytes
//! lie, so that nothing can be put in another's place. Names become keyed hashes.

use std::io;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

/// The nonce before and the tag behind the sealed bytes.
pub(crate) const SEALING_BYTES: usize = NONCE_BYTES + 16;
const NONCE_BYTES: usize = 24;

/// 32 secret bytes, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Bytes from the operating system's generator.
pub(crate) fn random<const N: usize>() -> io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    SysRng.try_fill_bytes(&mut *bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// One key for sealing.
pub(crate) struct Seal(XChaCha20Poly1305);

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Seal {
        Seal(XChaCha20Poly1305::new(key.into()))
    }

    /// Seals `plain` for `place`; the result is [`SEALING_BYTES`] longer.
    pub(crate) fn close(&self, place: &[u8], plain: &[u8]) -> io::Result<Vec<u8>> {
        let nonce = random::<NONCE_BYTES>()?;
        let mut sealed = nonce.to_vec();
        let rest = self.0.encrypt(&XNonce::from(*nonce), Payload { msg: plain, aad: place });
        sealed.extend(rest.map_err(io::Error::other)?);
        Ok(sealed)
    }

    /// Opens what was sealed for `place`; `None` if it was not, or has changed.
    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: rest, aad: place }).ok()
    }
}

/// The keys of a home, one for each use.
pub(crate) struct HomeKeys {
    pub(crate) journal: Seal,
    pub(crate) index: Seal,
    names: Secret,
    mark: Secret,
    reading: Secret,
}

impl HomeKeys {
    pub(crate) fn new(home_key: &Secret) -> HomeKeys {
        let derive = |purpose| Zeroizing::new(blake3::derive_key(purpose, &**home_key));
        HomeKeys {
            journal: Seal::new(&derive("fourword v1 at rest: journal")),
            index: Seal::new(&derive("fourword v1 at rest: index")),
            names: derive("fourword v1 at rest: names"),
            mark: derive("fourword v1 at rest: clean stop"),
            reading: derive("fourword v1 at rest: read model"),
        }
    }

    /// What stands for a name in the index: 128 bits that say nothing without the key.
    pub(crate) fn name(&self, kind: u8, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        name
    }

    /// The key of the read model.
    pub(crate) fn reading(&self) -> Secret {
        self.reading.clone()
    }

    /// A hash that only this home can make.
    pub(crate) fn mark(&self, text: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.mark, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_in_their_place_only() {
        let seal = Seal::new(&[7; 32]);
        let sealed = seal.close(b"here", b"plain").unwrap();
        assert_eq!(sealed.len(), b"plain".len() + SEALING_BYTES);
        assert_eq!(seal.open(b"here", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(seal.open(b"there", &sealed), None);
        assert_eq!(Seal::new(&[8; 32]).open(b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(b"here", &changed), None);
            assert_eq!(seal.open(b"here", &sealed[..at]), None);
        }
    }
}
