//! The signed and sealed unit that travels: one entry of one device's log in one document.
//!
//! The header is signed and readable by whoever passes the envelope on; the content is sealed
//! under an epoch key with the header and a commitment to the key as associated data, so an
//! envelope opens under one key only and in one place only. `read` checks the shape, `verify`
//! the signature, `open` unseals; the order in which a receiver goes through them is in
//! `replica`. Format: docs/PROTOCOL.md, section 3.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::CryptoRng;

use crate::bytes::{Malformed, Reader, Writer};
use crate::epoch::EpochKey;
use crate::identity::{DeviceSecret, SignatureBytes, verify};
use crate::ids::{DeviceKey, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId, StatementId};
use crate::limits::{CONTENT_BYTES_MAX, ENVELOPE_BYTES_MAX, PACK_RATIO_MAX, ROSTER_HEADS_MAX};
use crate::packing;

const VERSION: u8 = 1;
const SIGNED: &[u8] = b"fourword v1 envelope";
const SIGNATURE_BYTES: usize = 64;
const NONCE_BYTES: usize = 24;

/// Content as it is.
const PLAIN: u8 = 1;
/// Content packed with zstd, where that is smaller, but by `PACK_RATIO_MAX` at most.
const PACKED: u8 = 2;
/// How hard content is packed: less hard where it would be by more than `PACK_RATIO_MAX`, as edits
/// that are alike are.
const ZSTD_LEVELS: [i32; 6] = [3, -1, -4, -8, -16, -32];

/// What everybody may read of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The log it belongs to.
    pub log: LogId,
    /// Its position in the log, from 1.
    pub sequence: u64,
    /// The envelope before it in the log; all zero for the first.
    pub previous: EnvelopeHash,
    /// The roster its author knew, sorted; rights are judged by it.
    pub heads: Vec<StatementId>,
    /// The epoch statement whose key seals the content.
    pub epoch: StatementId,
}

/// One envelope, as read or as made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What everybody may read.
    pub header: Header,
    nonce: [u8; NONCE_BYTES],
    hash: EnvelopeHash,
    /// The whole envelope as it travels.
    bytes: Arc<[u8]>,
    header_bytes: usize,
}

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Longer than `ENVELOPE_BYTES_MAX`.
    #[error("an envelope of {0} bytes is longer than {ENVELOPE_BYTES_MAX}")]
    TooLong(usize),
    /// A version this node does not know; it may be honest and must not be blamed.
    #[error("envelope version {0} is not known here")]
    UnknownVersion(u8),
    /// Not an envelope at all.
    #[error("not an envelope")]
    Malformed,
}

/// Why an envelope's content could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed under another key, in another place, or altered.
    #[error("the seal does not open")]
    Seal,
    /// Unknown format byte, not zstd, or longer once unpacked than `CONTENT_BYTES_MAX` and
    /// `PACK_RATIO_MAX` allow.
    #[error("the content is not packed as agreed")]
    Content,
}

/// Why content could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content does not fit an envelope")]
pub struct TooLarge;

impl From<Malformed> for ReadError {
    fn from(_: Malformed) -> ReadError {
        ReadError::Malformed
    }
}

impl Header {
    fn write(&self, writer: &mut Writer, nonce: &[u8; NONCE_BYTES]) {
        writer
            .u8(VERSION)
            .raw(&self.log.document.0)
            .raw(&self.log.device.0)
            .u64(self.log.incarnation.0)
            .u64(self.sequence)
            .raw(&self.previous.0)
            .list(&self.heads, |w, head| {
                w.raw(&head.0);
            })
            .raw(&self.epoch.0)
            .raw(nonce);
    }

    fn read(reader: &mut Reader<'_>) -> Result<(Header, [u8; NONCE_BYTES]), ReadError> {
        match reader.u8()? {
            VERSION => {}
            version => return Err(ReadError::UnknownVersion(version)),
        }
        let document = DocumentKey(reader.array()?);
        let device = DeviceKey(reader.array()?);
        let incarnation = Incarnation(reader.u64()?);
        let sequence = reader.u64()?;
        let previous = EnvelopeHash(reader.array()?);
        let heads = reader.list(ROSTER_HEADS_MAX, |r| r.array().map(StatementId))?;
        let epoch = StatementId(reader.array()?);
        let nonce = reader.array()?;
        let ascending = heads.iter().zip(heads.iter().skip(1)).all(|(a, b)| a < b);
        let first = previous == EnvelopeHash([0; 32]);
        if sequence == 0 || first != (sequence == 1) || heads.is_empty() || !ascending {
            return Err(ReadError::Malformed);
        }
        let log = LogId { document, device, incarnation };
        Ok((Header { log, sequence, previous, heads, epoch }, nonce))
    }
}

impl Envelope {
    /// Seals and signs content under a header.
    ///
    /// `content` is at most `CONTENT_BYTES_MAX` and the result at most `ENVELOPE_BYTES_MAX`, else
    /// `TooLarge`; `header.heads` is sorted and not empty.
    pub fn seal(
        header: Header,
        content: &[u8],
        key: &EpochKey,
        device: &DeviceSecret,
        random: &mut impl CryptoRng,
    ) -> Result<Envelope, TooLarge> {
        assert!(header.log.device == device.key(), "a device signs its own log only");
        let mut nonce = [0; NONCE_BYTES];
        random.fill_bytes(&mut nonce);
        let mut writer = Writer::new();
        header.write(&mut writer, &nonce);
        let header_bytes = writer.as_slice().len();
        let associated = key.associated(writer.as_slice());
        let payload = Payload { msg: &pack(content)?, aad: &associated };
        let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| TooLarge)?;
        writer.raw(&sealed);
        let (hash, signed) = signed(writer.as_slice());
        writer.raw(&device.sign(&signed));
        if writer.as_slice().len() > ENVELOPE_BYTES_MAX {
            return Err(TooLarge);
        }
        Ok(Envelope { header, nonce, hash, bytes: writer.into_bytes().into(), header_bytes })
    }

    /// Reads one envelope; checks neither signature nor seal.
    ///
    /// `bytes` holds exactly one envelope of at most `ENVELOPE_BYTES_MAX`.
    pub fn read(bytes: &[u8]) -> Result<Envelope, ReadError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(ReadError::TooLong(bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        let (header, nonce) = Header::read(&mut reader)?;
        let header_bytes = bytes.len() - reader.left();
        let (signed_bytes, _) = split_signature(bytes).ok_or(ReadError::Malformed)?;
        if signed_bytes.len() < header_bytes {
            return Err(ReadError::Malformed);
        }
        let (hash, _) = signed(signed_bytes);
        Ok(Envelope { header, nonce, hash, bytes: bytes.into(), header_bytes })
    }

    /// Whether the device named in the header signed exactly these bytes.
    pub fn verify(&self) -> bool {
        let Some((signed_bytes, signature)) = split_signature(&self.bytes) else { return false };
        let (_, signed) = signed(signed_bytes);
        verify(&self.header.log.device.0, &signed, &signature)
    }

    /// Unseals and unpacks the content, at most `CONTENT_BYTES_MAX`.
    pub fn open(&self, key: &EpochKey) -> Result<Vec<u8>, OpenError> {
        let (signed_bytes, _) = split_signature(&self.bytes).ok_or(OpenError::Seal)?;
        let (header, sealed) = signed_bytes.split_at_checked(self.header_bytes).ok_or(OpenError::Seal)?;
        let payload = Payload { msg: sealed, aad: &key.associated(header) };
        let packed = cipher(key).decrypt(&XNonce::from(self.nonce), payload).map_err(|_| OpenError::Seal)?;
        unpack(&packed)
    }

    /// Its name: the hash of all but the signature.
    pub fn hash(&self) -> EnvelopeHash {
        self.hash
    }

    /// What a log's head is after it.
    pub fn head(&self) -> LogHead {
        LogHead { sequence: self.header.sequence, hash: self.hash }
    }

    /// The envelope as it travels.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

fn cipher(key: &EpochKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// The hash of the bytes before the signature, and what is signed: the domain and that hash.
fn signed(bytes: &[u8]) -> (EnvelopeHash, Vec<u8>) {
    let hash = EnvelopeHash(*blake3::hash(bytes).as_bytes());
    (hash, [SIGNED, &hash.0].concat())
}

fn split_signature(bytes: &[u8]) -> Option<(&[u8], SignatureBytes)> {
    let at = bytes.len().checked_sub(SIGNATURE_BYTES)?;
    let (signed, signature) = bytes.split_at_checked(at)?;
    Some((signed, signature.try_into().ok()?))
}

fn pack(content: &[u8]) -> Result<Vec<u8>, TooLarge> {
    if content.len() > CONTENT_BYTES_MAX {
        return Err(TooLarge);
    }
    for level in ZSTD_LEVELS {
        let packed = packing::compress(content, level).ok_or(TooLarge)?;
        if packed.len() >= content.len() {
            break;
        }
        if content.len() <= packed.len().saturating_mul(PACK_RATIO_MAX) {
            return Ok([&[PACKED], &packed[..]].concat());
        }
    }
    Ok([&[PLAIN], content].concat())
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (format, body) = packed.split_first().ok_or(OpenError::Content)?;
    match *format {
        PLAIN if body.len() <= CONTENT_BYTES_MAX => Ok(body.to_vec()),
        PACKED => {
            // One frame and nothing behind it, so that all nodes agree on what it holds. The frame
            // states its size; what lies is cut off at the bound by zstd itself.
            if zstd::zstd_safe::find_frame_compressed_size(body) != Ok(body.len()) {
                return Err(OpenError::Content);
            }
            let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
            let most = body.len().saturating_mul(PACK_RATIO_MAX).min(CONTENT_BYTES_MAX);
            let size = size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s <= most);
            packing::decompress(body, size.ok_or(OpenError::Content)?).ok_or(OpenError::Content)
        }
        _ => Err(OpenError::Content),
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::ids::to_base32;

    fn device() -> DeviceSecret {
        DeviceSecret::from_seeds(&[1; 32], &[2; 32])
    }

    fn header(sequence: u64) -> Header {
        let log =
            LogId { document: DocumentKey([3; 32]), device: device().key(), incarnation: Incarnation(4) };
        let previous = EnvelopeHash(if sequence == 1 { [0; 32] } else { [5; 32] });
        Header { log, sequence, previous, heads: vec![StatementId([6; 32])], epoch: StatementId([7; 32]) }
    }

    /// Content that packs to about a fifth.
    fn some_text(length: usize) -> Vec<u8> {
        let mut random = ChaCha20Rng::from_seed([5; 32]);
        let mut text = vec![0; length];
        text.chunks_mut(100).filter_map(|chunk| chunk.get_mut(..16)).for_each(|part| random.fill_bytes(part));
        text
    }

    fn sealed(content: &[u8]) -> Envelope {
        let mut random = ChaCha20Rng::from_seed([8; 32]);
        Envelope::seal(header(2), content, &EpochKey::new([9; 32]), &device(), &mut random).unwrap()
    }

    #[test]
    fn an_envelope_reads_back_verifies_and_opens() {
        let text = some_text(5000);
        for content in [&b"short"[..], &text, b""] {
            let made = sealed(content);
            let read = Envelope::read(made.bytes()).unwrap();
            assert_eq!(read, made);
            assert!(read.verify());
            assert_eq!(read.open(&EpochKey::new([9; 32])), Ok(content.to_vec()));
        }
        assert!(sealed(&text).bytes().len() < 1700, "content that can be packed travels packed");
    }

    #[test]
    fn no_altered_byte_passes() {
        let made = sealed(b"hello");
        for at in 0..made.bytes().len() {
            let mut bytes = made.bytes().to_vec();
            bytes[at] ^= 1;
            let passes = Envelope::read(&bytes).is_ok_and(|e| e.verify());
            assert!(!passes, "byte {at}");
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        assert_eq!(sealed(b"hello").open(&EpochKey::new([10; 32])), Err(OpenError::Seal));
    }

    #[test]
    fn truncated_and_oversized_bytes_are_no_envelope() {
        let made = sealed(b"hello");
        for length in 0..made.bytes().len() {
            let read = Envelope::read(&made.bytes()[..length]);
            assert!(!read.is_ok_and(|e| e.verify()), "length {length}");
        }
        assert_eq!(
            Envelope::read(&vec![1; ENVELOPE_BYTES_MAX + 1]),
            Err(ReadError::TooLong(ENVELOPE_BYTES_MAX + 1))
        );
    }

    #[test]
    fn a_newer_version_is_told_from_rubbish() {
        let mut bytes = sealed(b"hello").bytes().to_vec();
        bytes[0] = 9;
        assert_eq!(Envelope::read(&bytes), Err(ReadError::UnknownVersion(9)));
    }

    #[test]
    fn a_first_envelope_has_no_predecessor_and_a_later_one_has() {
        let mut random = ChaCha20Rng::from_seed([8; 32]);
        let mut wrong = header(2);
        wrong.previous = EnvelopeHash([0; 32]);
        let made = Envelope::seal(wrong, b"", &EpochKey::new([9; 32]), &device(), &mut random).unwrap();
        assert_eq!(Envelope::read(made.bytes()), Err(ReadError::Malformed));
    }

    #[test]
    fn content_at_the_bound_is_sealed_and_one_byte_more_is_not() {
        let mut random = ChaCha20Rng::from_seed([8; 32]);
        let key = EpochKey::new([9; 32]);
        let at = some_text(CONTENT_BYTES_MAX);
        let made = Envelope::seal(header(2), &at, &key, &device(), &mut random).unwrap();
        assert_eq!(made.open(&key), Ok(at));
        let over = some_text(CONTENT_BYTES_MAX + 1);
        assert_eq!(Envelope::seal(header(2), &over, &key, &device(), &mut random), Err(TooLarge));
    }

    #[test]
    fn content_is_packed_up_to_the_ratio_and_blanks_travel_as_they_are() {
        let body = |length| zstd::bulk::compress(&vec![0; length], ZSTD_LEVELS[0]).unwrap();
        let ratio = |length: usize| length <= body(length).len() * PACK_RATIO_MAX;
        let most = (1..1000).filter(|length| ratio(*length)).max().unwrap();
        assert!(unpack(&[&[PACKED], &body(most)[..]].concat()).is_ok());
        assert_eq!(unpack(&[&[PACKED], &body(most + 1)[..]].concat()), Err(OpenError::Content));
        assert_eq!(pack(&vec![0; most]).unwrap()[0], PACKED);
        let plain = pack(&vec![0; most * 100]).unwrap();
        assert_eq!((plain[0], unpack(&plain)), (PLAIN, Ok(vec![0; most * 100])));
    }

    #[test]
    fn edits_that_are_alike_are_packed_less_hard_and_not_left_unpacked() {
        let edit = |number: u64| {
            let random = to_base32(&blake3::hash(&number.to_be_bytes()).as_bytes()[..8]);
            let person = "aaaaabbbbbcccccdddddeeeeef";
            let text = "what people write to each other, line by line, and again and again";
            format!("messages-{person}-{random}: {number:06} {text}, {text}")
        };
        let content: String = (0..100).map(edit).collect();
        let hardest = zstd::bulk::compress(content.as_bytes(), ZSTD_LEVELS[0]).unwrap();
        assert!(content.len() > hardest.len() * PACK_RATIO_MAX, "it packs too well: {}", hardest.len());
        let packed = pack(content.as_bytes()).unwrap();
        assert!(packed.len() * 4 < content.len(), "{} of {}", packed.len(), content.len());
        assert_eq!(unpack(&packed), Ok(content.into_bytes()));
    }

    #[test]
    fn a_packed_bomb_is_refused_by_its_stated_size() {
        let bomb = zstd::bulk::compress(&vec![0; CONTENT_BYTES_MAX + 1], ZSTD_LEVELS[0]).unwrap();
        assert_eq!(unpack(&[&[PACKED], &bomb[..]].concat()), Err(OpenError::Content));
        assert_eq!(unpack(&[PACKED, 1, 2, 3]), Err(OpenError::Content));
        let one = zstd::bulk::compress(b"one", ZSTD_LEVELS[0]).unwrap();
        assert_eq!(unpack(&[&[PACKED], &one[..]].concat()), Ok(b"one".to_vec()));
        assert_eq!(unpack(&[&[PACKED], &one[..], &one].concat()), Err(OpenError::Content));
        assert_eq!(unpack(&[9, 1]), Err(OpenError::Content));
        assert_eq!(unpack(&[]), Err(OpenError::Content));
    }
}
