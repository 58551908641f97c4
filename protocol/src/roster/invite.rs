//! Invites: a code that lets whoever holds it be admitted by any member.
//!
//! The roster holds only the public key derived from the code; the code itself carries the full
//! id of the entity, so that who joins by it need not trust four words alone. Whoever wants in
//! signs its certificate with the invite's key; a member countersigns with an `AcceptInvite`.
//! Layout and text form: docs/PROTOCOL.md, section 8.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::statement::acceptance;
pub(crate) use super::statement::is_accepted;
use crate::code::{CodeError, Kind};
use crate::identity::{Certificate, SignatureBytes};
use crate::ids::{EntityId, VerifyingKey};

const KEY: &str = "fourword v1 invite key";
const LINK: &str = "fourword://join/";
const CODE: Kind = Kind { checksum: "fourword v1 invite checksum", version: 1, fixed_bytes: 32 + 16 };

/// What an invite's code carries.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    /// The full id of the entity.
    pub entity: EntityId,
    /// 128 random bits from which the invite's key is derived.
    pub secret: [u8; 16],
    /// Where members may be dialled.
    pub addresses: Vec<String>,
}

impl InviteCode {
    /// The key by which the roster knows the invite.
    pub fn key(&self) -> VerifyingKey {
        VerifyingKey(self.signing_key().verifying_key().to_bytes())
    }

    /// Signs a newcomer's certificate with the invite's key: the right to be admitted.
    pub fn sign_acceptance(&self, certificate: &Certificate) -> SignatureBytes {
        self.signing_key().sign(&acceptance(self.entity, certificate)).to_bytes()
    }

    /// The link form. `words` are the entity's four words as shown.
    pub fn link(&self, words: &impl fmt::Display) -> String {
        format!("{LINK}{words}#{self}")
    }

    /// Reads a link: the words as they stand in it, and the code.
    pub fn from_link(link: &str) -> Result<(String, InviteCode), CodeError> {
        let (words, code) = link
            .trim()
            .strip_prefix(LINK)
            .and_then(|rest| rest.split_once('#'))
            .filter(|(words, _)| !words.is_empty())
            .ok_or(CodeError::Link)?;
        Ok((words.to_owned(), code.parse()?))
    }

    fn signing_key(&self) -> SigningKey {
        let material = Zeroizing::new([&self.entity.0[..], &self.secret].concat());
        SigningKey::from_bytes(&Zeroizing::new(blake3::derive_key(KEY, &material)))
    }
}

impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = Zeroizing::new([&self.entity.0[..], &self.secret].concat());
        f.write_str(&CODE.text(&fields, &self.addresses))
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteCode")
            .field("entity", &self.entity)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl FromStr for InviteCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<InviteCode, CodeError> {
        let ((entity, secret), addresses) =
            CODE.read(text, |reader| Ok((EntityId(reader.array()?), reader.array()?)))?;
        Ok(InviteCode { entity, secret, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> InviteCode {
        InviteCode {
            entity: EntityId([7; 32]),
            secret: [0xab; 16],
            addresses: vec!["/ip4/192.0.2.1/udp/4001/quic-v1".into(), "/dns4/relay.example/tcp/443".into()],
        }
    }

    #[test]
    fn a_code_reads_back_from_its_text_in_either_case() {
        let text = code().to_string();
        assert_eq!(text.parse(), Ok(code()));
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(code()));
    }

    #[test]
    fn a_link_gives_words_and_code() {
        let link = code().link(&"ocean-forest-moon-star");
        assert!(link.starts_with("fourword://join/ocean-forest-moon-star#"), "{link}");
        assert_eq!(InviteCode::from_link(&link), Ok(("ocean-forest-moon-star".into(), code())));
        for wrong in ["", "https://join/a#b", "fourword://join/words", "fourword://join/#abc"] {
            assert_eq!(InviteCode::from_link(wrong), Err(CodeError::Link), "{wrong}");
        }
    }

    #[test]
    fn the_key_depends_on_entity_and_secret() {
        let other_entity = InviteCode { entity: EntityId([8; 32]), ..code() };
        let other_secret = InviteCode { secret: [0xac; 16], ..code() };
        let elsewhere = InviteCode { addresses: Vec::new(), ..code() };
        assert_ne!(code().key(), other_entity.key());
        assert_ne!(code().key(), other_secret.key());
        assert_eq!(code().key(), elsewhere.key());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", code());
        assert!(!shown.contains("171") && !shown.contains("abab") && !shown.contains("secret"), "{shown}");
    }
}
