//! What somebody signs who asks to be let in, and what an admin signs who turns somebody away.
//!
//! `requests` keeps both and passes them on. Invariant: reading checks the layout alone; whoever
//! reads asks `has_work` before `is_genuine`, since a hash costs less than three signatures, and
//! the roster decides whose denial counts. Layout: docs/PROTOCOL.md, section 4.

use crate::bytes::{Malformed, Reader, Writer};
use crate::identity::{Certificate, DeviceSecret, SignatureBytes, verify};
use crate::ids::{DeviceKey, EntityId, PersonId};
use crate::limits::{NAME_BYTES_MAX, NOTE_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::schema::is_one_line;
use crate::time::WallTime;
use crate::words::work;

const VERSION: u8 = 1;
const WORK: &str = "fourword v1 request work";
const REQUEST: &[u8] = b"fourword v1 request";
const DENIAL: &[u8] = b"fourword v1 denial";
const SIGNATURE_BYTES: usize = 64;

/// One person's request to be let into one entity, by one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub entity: EntityId,
    /// Who, and the device that asks and would be let in.
    pub certificate: Certificate,
    /// The name the person gives itself; may be empty.
    pub name: String,
    /// What it says to who decides; may be empty.
    pub note: String,
    /// When it says that it asked.
    pub time: WallTime,
    nonce: u64,
    bytes: Vec<u8>,
}

/// A request whose work has still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft(Vec<u8>);

impl Draft {
    /// Begins a request. Name and note that cannot be shown on one line are left out.
    pub fn new(entity: EntityId, certificate: &Certificate, name: &str, note: &str, time: WallTime) -> Draft {
        let shown = |text: &str, max| {
            if text.len() <= max && is_one_line(text) { text.to_owned() } else { String::new() }
        };
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&entity.0);
        certificate.write(&mut writer);
        writer.text(&shown(name, NAME_BYTES_MAX)).text(&shown(note, NOTE_BYTES_MAX)).u64(time.0);
        Draft(writer.into_bytes())
    }

    /// Over what the work is done.
    pub fn challenge(&self) -> [u8; 32] {
        blake3::derive_key(WORK, &self.0)
    }

    /// Ends the request with the nonce that was found, signed by the device it names.
    pub fn sign(mut self, nonce: u64, device: &DeviceSecret) -> Vec<u8> {
        self.0.extend_from_slice(&nonce.to_be_bytes());
        let signature = device.sign(&signed(REQUEST, &self.0));
        self.0.extend_from_slice(&signature);
        self.0
    }
}

impl Request {
    /// Reads one request; checks neither work nor signatures. `bytes` holds exactly one.
    pub fn read(bytes: &[u8]) -> Result<Request, Malformed> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(Malformed);
        }
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let entity = EntityId(reader.array()?);
        let certificate = Certificate::read(&mut reader)?;
        let name = line(&mut reader, NAME_BYTES_MAX)?;
        let note = line(&mut reader, NOTE_BYTES_MAX)?;
        let (time, nonce) = (WallTime(reader.u64()?), reader.u64()?);
        reader.take(SIGNATURE_BYTES)?;
        reader.finish()?;
        Ok(Request { entity, certificate, name, note, time, nonce, bytes: bytes.to_vec() })
    }

    /// Who asks.
    pub fn person(&self) -> PersonId {
        self.certificate.person.id()
    }

    /// The device that asks.
    pub fn device(&self) -> DeviceKey {
        self.certificate.device.key
    }

    /// Whether so many leading zero bits were worked for: one hash.
    pub fn has_work(&self, bits: u32) -> bool {
        let drafted = self.bytes.len().saturating_sub(8 + SIGNATURE_BYTES);
        let challenge = blake3::derive_key(WORK, self.bytes.get(..drafted).unwrap_or_default());
        work::holds(bits, &challenge, self.nonce)
    }

    /// Whether the device signed it and is the person's: three signatures, and two more for each
    /// device that its certificate goes through.
    pub fn is_genuine(&self) -> bool {
        is_signed(REQUEST, &self.bytes, &self.device()) && self.certificate.is_valid()
    }

    /// The bytes that travel and are kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// An admin's word that a person shall not be let in for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Where to.
    pub entity: EntityId,
    /// Who asked.
    pub person: PersonId,
    /// When it was decided, by the clock of who decided.
    pub time: WallTime,
    /// The device of who decided.
    pub author: DeviceKey,
    bytes: Vec<u8>,
}

impl Denial {
    /// Signs a denial.
    pub fn sign(entity: EntityId, person: PersonId, time: WallTime, device: &DeviceSecret) -> Denial {
        let mut writer = Writer::new();
        writer.u8(VERSION).raw(&entity.0).raw(&person.0).u64(time.0).raw(&device.key().0);
        let signature = device.sign(&signed(DENIAL, writer.as_slice()));
        writer.raw(&signature);
        Denial { entity, person, time, author: device.key(), bytes: writer.into_bytes() }
    }

    /// Reads one denial; does not check the signature. `bytes` holds exactly one.
    pub fn read(bytes: &[u8]) -> Result<Denial, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let (entity, person) = (EntityId(reader.array()?), PersonId(reader.array()?));
        let (time, author) = (WallTime(reader.u64()?), DeviceKey(reader.array()?));
        reader.take(SIGNATURE_BYTES)?;
        reader.finish()?;
        Ok(Denial { entity, person, time, author, bytes: bytes.to_vec() })
    }

    /// Whether its author signed it; whether that is an admin, the roster says.
    pub fn is_signed(&self) -> bool {
        is_signed(DENIAL, &self.bytes, &self.author)
    }

    /// The bytes that travel and are kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn line(reader: &mut Reader<'_>, max: usize) -> Result<String, Malformed> {
    let text = reader.text(max)?;
    if is_one_line(text) { Ok(text.to_owned()) } else { Err(Malformed) }
}

fn signed(domain: &[u8], unsigned: &[u8]) -> Vec<u8> {
    [domain, blake3::hash(unsigned).as_bytes()].concat()
}

/// Whether the last 64 bytes are this key's signature over those before them.
fn is_signed(domain: &[u8], bytes: &[u8], key: &DeviceKey) -> bool {
    let Some((unsigned, signature)) = bytes.split_at_checked(bytes.len().saturating_sub(SIGNATURE_BYTES))
    else {
        return false;
    };
    SignatureBytes::try_from(signature)
        .is_ok_and(|signature| verify(&key.0, &signed(domain, unsigned), &signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{PersonCard, RootSecret};
    use crate::words::{Naming, StretchInput};

    fn device() -> DeviceSecret {
        DeviceSecret::from_seeds(&[2; 32], &[3; 32])
    }

    fn certificate() -> Certificate {
        let root = RootSecret::from_seed(&[1; 32]);
        let person = PersonCard { root: root.public(), nonce: 4 }.id();
        root.certify(4, &device().card(person))
    }

    /// As `certificate`, but the root vouches for the first of three devices before this one.
    fn longest_certificate() -> Certificate {
        let root = RootSecret::from_seed(&[1; 32]);
        let person = PersonCard { root: root.public(), nonce: 4 }.id();
        let before: Vec<DeviceSecret> =
            (10..13).map(|seed| DeviceSecret::from_seeds(&[seed; 32], &[seed; 32])).collect();
        let next = before.iter().skip(1).chain([&device()]).cloned().collect::<Vec<_>>();
        let first = root.certify(4, &before[0].card(person));
        let steps = before.iter().zip(&next);
        steps.fold(first, |by, (old, new)| by.extend(old, &new.card(person)).unwrap())
    }

    fn request(name: &str, note: &str) -> Vec<u8> {
        request_of(&certificate(), name, note)
    }

    fn request_of(certificate: &Certificate, name: &str, note: &str) -> Vec<u8> {
        let draft = Draft::new(EntityId([5; 32]), certificate, name, note, WallTime(6));
        let bits = Naming::Test.work_bits();
        let nonce = work::nonce(&StretchInput::Work { bits, challenge: draft.challenge() }.run());
        draft.sign(nonce, &device())
    }

    #[test]
    fn a_request_reads_back_with_its_work_and_signatures() {
        let bytes = request("Ada", "we met at the fair");
        let request = Request::read(&bytes).unwrap();
        assert_eq!((request.name.as_str(), request.note.as_str()), ("Ada", "we met at the fair"));
        assert_eq!((request.time, request.entity), (WallTime(6), EntityId([5; 32])));
        assert_eq!((request.device(), request.person()), (device().key(), certificate().person.id()));
        assert!(request.has_work(Naming::Test.work_bits()) && request.is_genuine());
        assert_eq!(request.bytes(), bytes);
    }

    #[test]
    fn a_request_with_any_byte_changed_is_malformed_or_not_genuine() {
        let bytes = request("Ada", "hello");
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(!Request::read(&altered).is_ok_and(|request| request.is_genuine()), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Request::read(&bytes[..length]), Err(Malformed));
        }
        assert_eq!(Request::read(&[&bytes[..], &[0]].concat()), Err(Malformed));
    }

    #[test]
    fn the_work_is_over_all_that_the_request_says() {
        let bytes = request("Ada", "hello");
        let drafted = bytes.len() - 8 - SIGNATURE_BYTES;
        let worked = (0..drafted).filter(|at| {
            let mut altered = bytes.clone();
            altered[*at] ^= 1;
            Request::read(&altered).is_ok_and(|request| request.has_work(Naming::Test.work_bits()))
        });
        assert!(worked.count() < drafted / 16, "an altered request needs other work");
    }

    #[test]
    fn the_longest_request_fits_and_a_text_that_would_deceive_does_not() {
        let (name, note) = ("n".repeat(NAME_BYTES_MAX), "t".repeat(NOTE_BYTES_MAX));
        let longest = request_of(&longest_certificate(), &name, &note);
        assert_eq!(longest.len(), REQUEST_BYTES_MAX);
        assert!(Request::read(&longest).unwrap().is_genuine());
        let left_out = Request::read(&request("a\u{202e}b", "two\nlines")).unwrap();
        assert_eq!((left_out.name.as_str(), left_out.note.as_str()), ("", ""));
        let mut forged = request("ab", "");
        let at = forged.windows(2).position(|pair| pair == b"ab").unwrap();
        forged[at] = b'\n';
        assert_eq!(Request::read(&forged), Err(Malformed));
    }

    #[test]
    fn a_denial_reads_back_and_with_any_byte_changed_is_not_its_authors() {
        let denial = Denial::sign(EntityId([5; 32]), PersonId([7; 32]), WallTime(8), &device());
        assert_eq!(Denial::read(denial.bytes()), Ok(denial.clone()));
        assert!(denial.is_signed());
        for at in 0..denial.bytes().len() {
            let mut altered = denial.bytes().to_vec();
            altered[at] ^= 1;
            assert!(!Denial::read(&altered).is_ok_and(|denial| denial.is_signed()), "byte {at}");
        }
    }
}
