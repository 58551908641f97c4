//! The code by which a new device is linked to a person.
//!
//! An old device makes it and shows it; the new device proves with it that it was meant. It is a
//! secret for minutes: whoever holds it becomes a device of the person. Text form: docs/PROTOCOL.md,
//! section 8.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::bytes::Writer;
use crate::code::{CodeError, Kind};
use crate::identity::{DeviceCard, SignatureBytes, verify};
use crate::ids::{EntityId, PersonId, VerifyingKey};

const KEY: &str = "fourword v1 link key";
const PROOF: &[u8] = b"fourword v1 link proof";
const LINK: &str = "fourword://link/";
const CODE: Kind = Kind { checksum: "fourword v1 link checksum", version: 1, fixed_bytes: 32 + 32 + 16 };

/// What a link code carries.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkCode {
    /// Whose device the new one becomes.
    pub person: PersonId,
    /// The home of that person.
    pub home: EntityId,
    /// 128 random bits, from which the code's key is derived.
    pub secret: [u8; 16],
    /// Where the old device may be dialled; at most `limits::INVITE_ADDRESSES_MAX`.
    pub addresses: Vec<String>,
}

impl LinkCode {
    /// The key by which the old device knows the code.
    pub fn key(&self) -> VerifyingKey {
        VerifyingKey(self.signing_key().verifying_key().to_bytes())
    }

    /// Signs a new device's card with the code's key: the right to be linked.
    pub fn sign_card(&self, card: &DeviceCard) -> SignatureBytes {
        self.signing_key().sign(&proof(self.home, card)).to_bytes()
    }

    /// The link form.
    pub fn link(&self) -> String {
        format!("{LINK}{self}")
    }

    /// Reads a link.
    pub fn from_link(link: &str) -> Result<LinkCode, CodeError> {
        link.trim().strip_prefix(LINK).ok_or(CodeError::Link)?.parse()
    }

    fn signing_key(&self) -> SigningKey {
        let material = Zeroizing::new([&self.home.0[..], &self.secret].concat());
        SigningKey::from_bytes(&Zeroizing::new(blake3::derive_key(KEY, &material)))
    }
}

/// Whether the code of this key was shown to the device of this card.
pub(crate) fn is_shown(
    key: VerifyingKey,
    home: EntityId,
    card: &DeviceCard,
    signature: &SignatureBytes,
) -> bool {
    verify(&key.0, &proof(home, card), signature)
}

fn proof(home: EntityId, card: &DeviceCard) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(PROOF).raw(&home.0);
    card.write(&mut writer);
    writer.into_bytes()
}

impl fmt::Display for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = Zeroizing::new([&self.person.0[..], &self.home.0, &self.secret].concat());
        f.write_str(&CODE.text(&fields, &self.addresses))
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkCode({})", self.home.short())
    }
}

impl FromStr for LinkCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<LinkCode, CodeError> {
        let ((person, home, secret), addresses) = CODE.read(text, |reader| {
            Ok((PersonId(reader.array()?), EntityId(reader.array()?), reader.array()?))
        })?;
        Ok(LinkCode { person, home, secret, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::DeviceSecret;

    fn code() -> LinkCode {
        LinkCode {
            person: PersonId([6; 32]),
            home: EntityId([7; 32]),
            secret: [0xab; 16],
            addresses: vec!["/ip4/192.0.2.1/udp/4001/quic-v1".into()],
        }
    }

    fn card(byte: u8) -> DeviceCard {
        DeviceSecret::from_seeds(&[byte; 32], &[byte + 1; 32]).card(PersonId([6; 32]))
    }

    #[test]
    fn a_code_and_its_link_read_back() {
        assert_eq!(code().to_string().parse(), Ok(code()));
        assert_eq!(LinkCode::from_link(&format!(" {}\n", code().link())), Ok(code()));
        let joins = code().link().replace("//link/", "//join/");
        assert_eq!(LinkCode::from_link(&joins), Err(CodeError::Link));
    }

    #[test]
    fn an_invite_is_no_link_code() {
        let invite = crate::roster::invite::InviteCode {
            entity: EntityId([7; 32]),
            secret: [0xab; 16],
            addresses: Vec::new(),
        };
        assert_eq!(invite.to_string().parse::<LinkCode>(), Err(CodeError::Checksum));
    }

    #[test]
    fn a_proof_holds_for_one_code_one_home_and_one_card() {
        let signature = code().sign_card(&card(1));
        let home = code().home;
        assert!(is_shown(code().key(), home, &card(1), &signature));
        assert!(!is_shown(code().key(), home, &card(3), &signature));
        assert!(!is_shown(code().key(), EntityId([8; 32]), &card(1), &signature));
        let other = LinkCode { secret: [0xac; 16], ..code() };
        assert!(!is_shown(other.key(), home, &card(1), &signature));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", code());
        assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
    }
}
