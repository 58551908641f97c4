//! Turns device keys into libp2p peer ids and back: both name the same ed25519 key.
//!
//! The swarm's modules use it at their edge; the machine never sees a peer id. Only peer ids that
//! hold the key itself are accepted: one that is a hash proves no device.

use fourword_protocol::ids::DeviceKey;
use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};

/// The multihash code of "the bytes themselves".
const IDENTITY_CODE: u64 = 0;

/// The peer id of a device; `None` if its 32 bytes are no ed25519 key.
pub fn peer_of(device: &DeviceKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(device.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The device of a peer id; `None` if the peer id does not hold an ed25519 key.
pub fn device_of(peer: &PeerId) -> Option<DeviceKey> {
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY_CODE {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    Some(DeviceKey(key.try_into_ed25519().ok()?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;
    use libp2p::multihash::Multihash;

    use super::*;

    #[test]
    fn a_device_and_its_peer_id_name_the_same_key() {
        let keypair = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let peer = keypair.public().to_peer_id();
        let device = device_of(&peer).unwrap();
        assert_eq!(device.0, keypair.try_into_ed25519().unwrap().public().to_bytes());
        assert_eq!(peer_of(&device), Some(peer));
    }

    #[test]
    fn a_peer_id_that_is_only_a_hash_is_no_device() {
        const SHA256_CODE: u64 = 0x12;
        let hash = Multihash::wrap(SHA256_CODE, &[7; 32]).unwrap();
        assert_eq!(device_of(&PeerId::from_multihash(hash).unwrap()), None);
    }

    #[test]
    fn a_random_peer_id_holds_no_key_and_is_refused() {
        assert_eq!(device_of(&PeerId::random()), None);
    }
}
