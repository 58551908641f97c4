//! Who this node is: its device's keys, its person's card, and the root key while it is here.

use zeroize::Zeroizing;

use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{Certificate, DeviceSecret, RootSecret};
use crate::ids::{DeviceKey, EntityId, PersonId};
use crate::limits::NAME_BYTES_MAX;
use crate::outbox::local;
use crate::record::Record;

/// The kind of the small value that keeps the identity.
pub(crate) const IDENTITY: &str = "identity";
const VERSION: u8 = 1;

/// This node's identity.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    /// Signs logs and statements, opens seals, is the libp2p key.
    pub(crate) device: DeviceSecret,
    /// The word that the device is the person's: the root's, or that of older devices.
    pub(crate) certificate: Certificate,
    /// Here until the phrase was written down.
    pub(crate) root: Option<RootSecret>,
    /// The entity of this person's devices alone.
    pub(crate) home: EntityId,
    /// Shown to others; empty if none was set.
    pub(crate) name: String,
}

impl Me {
    /// The person.
    pub(crate) fn person(&self) -> PersonId {
        self.certificate.person.id()
    }

    /// This device.
    pub(crate) fn key(&self) -> DeviceKey {
        self.device.key()
    }

    /// Whether all parts belong together: altered bytes may read as somebody else's.
    pub(crate) fn is_whole(&self) -> bool {
        let Certificate { person, device, .. } = &self.certificate;
        let card = self.device.card(self.person());
        let root = self.root.as_ref().is_none_or(|root| root.public() == person.root);
        self.certificate.is_valid() && (card.key, card.sealing) == (device.key, device.sealing) && root
    }

    /// The identity as a small value of this device. The store seals it.
    pub(crate) fn record(&self) -> Record {
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&*self.device.signing_seed()).raw(&*self.device.sealing_seed());
        self.certificate.write(&mut writer);
        match &self.root {
            Some(root) => writer.u8(1).raw(&*root.seed()),
            None => writer.u8(0),
        };
        writer.raw(&self.home.0).text(&self.name);
        local(IDENTITY, &[], Some(writer.into_bytes()))
    }

    /// Reads what `record` wrote.
    pub(crate) fn read(bytes: &[u8]) -> Result<Me, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let (signing, sealing) = (Zeroizing::new(reader.array()?), Zeroizing::new(reader.array()?));
        let device = DeviceSecret::from_seeds(&signing, &sealing);
        let certificate = Certificate::read(&mut reader)?;
        let root = match reader.u8()? {
            0 => None,
            1 => Some(RootSecret::from_seed(&Zeroizing::new(reader.array()?))),
            _ => return Err(Malformed),
        };
        let home = EntityId(reader.array()?);
        let name = reader.text(NAME_BYTES_MAX)?.to_owned();
        reader.finish()?;
        Ok(Me { device, certificate, root, home, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PersonCard;

    #[test]
    fn an_identity_reads_back_with_and_without_its_root() {
        let root = RootSecret::from_seed(&[1; 32]);
        let device = DeviceSecret::from_seeds(&[2; 32], &[3; 32]);
        let person = PersonCard { root: root.public(), nonce: 4 }.id();
        let certificate = root.certify(4, &device.card(person));
        let home = EntityId([5; 32]);
        for root in [Some(root), None] {
            let certificate = certificate.clone();
            let me = Me { device: device.clone(), certificate, root, home, name: "Ada".into() };
            let Record::Local { value: Some(bytes), .. } = me.record() else { panic!("a local value") };
            let back = Me::read(&bytes).unwrap();
            assert_eq!(back.key(), me.key());
            assert_eq!(back.person(), me.person());
            assert!(back.is_whole());
            assert_eq!(back.root.map(|r| r.public()), me.root.map(|r| r.public()));
            assert_eq!(Me::read(&bytes[1..]).err(), Some(Malformed));
        }
    }

    #[test]
    fn an_altered_identity_is_not_whole() {
        let root = RootSecret::from_seed(&[1; 32]);
        let device = DeviceSecret::from_seeds(&[2; 32], &[3; 32]);
        let person = PersonCard { root: root.public(), nonce: 4 }.id();
        let certificate = root.certify(4, &device.card(person));
        let me = Me { device, certificate, root: Some(root), home: EntityId([5; 32]), name: String::new() };
        let Record::Local { value: Some(bytes), .. } = me.record() else { panic!("a local value") };
        // The home and the name are nobody's claim; every byte before them is bound to the others.
        let bound = bytes.len() - 32 - 4;
        for at in 0..bound {
            let mut altered = bytes.clone();
            altered[at] ^= 8;
            assert!(!Me::read(&altered).is_ok_and(|me| me.is_whole()), "byte {at}");
        }
    }
}
