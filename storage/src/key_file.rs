//! Keeps the key of the home in one small file, plain for its owner or behind a passphrase.
//!
//! Invariant: a key is drawn only for a home without data, and is on disk before anything is
//! sealed under it. A passphrase is stretched with Argon2id (64 MiB, three passes).
//! Layout: tag and version (8 bytes), then either the key and a checksum of it (32 + 16), or salt
//! and sealed key (16 + 72).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use fourword_protocol::bytes::{Malformed, Reader, Writer};
use zeroize::Zeroizing;

use crate::durable::replace_file;
use crate::sealing::{SEALING_BYTES, Seal, Secret, random};
use crate::{OpenError, StoreError};

const PLAIN: &[u8; 8] = b"4wkey\0\x01p";
const PROTECTED: &[u8; 8] = b"4wkey\0\x01s";
const SALT_BYTES: usize = 16;
const CHECK_BYTES: usize = 16;
const FILE_BYTES_MAX: u64 = 4096;

/// Where the key of a home lies.
pub(crate) fn path(home: &Path) -> PathBuf {
    home.join("key")
}

/// The key of the home, and whether it was drawn just now, because the home holds nothing yet.
pub(crate) fn open(
    home: &Path,
    passphrase: Option<&str>,
    holds_data: bool,
) -> Result<(Secret, bool), OpenError> {
    let path = path(home);
    if passphrase == Some("") {
        return Err(OpenError::PassphraseEmpty);
    }
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound && holds_data => {
            return Err(OpenError::KeyMissing(path));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((create(&path, passphrase)?, true));
        }
        Err(error) => return Err(StoreError::disk("read", path.display(), error).into()),
    };
    if metadata.mode() & 0o077 != 0 {
        return Err(OpenError::KeyExposed(path));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(OpenError::KeyDamaged(path));
    }
    let bytes = fs::read(&path).map_err(|error| StoreError::disk("read", path.display(), error))?;
    Ok((read(&path, &Zeroizing::new(bytes), passphrase)?, false))
}

fn create(path: &Path, passphrase: Option<&str>) -> Result<Secret, OpenError> {
    let failed = |error| StoreError::disk("write", path.display(), error);
    let key = random::<32>().map_err(failed)?;
    let mut writer = Writer::new();
    match passphrase {
        None => writer.raw(PLAIN).raw(&*key).raw(&checksum(&key)),
        Some(passphrase) => {
            let salt = random::<SALT_BYTES>().map_err(failed)?;
            let sealed = Seal::new(&*stretch(passphrase, &salt)?).close(PROTECTED, &*key).map_err(failed)?;
            writer.raw(PROTECTED).raw(&*salt).raw(&sealed)
        }
    };
    let bytes = Zeroizing::new(writer.into_bytes());
    replace_file(path, &bytes).map_err(failed)?;
    Ok(key)
}

fn read(path: &Path, bytes: &[u8], passphrase: Option<&str>) -> Result<Secret, OpenError> {
    let damaged = |Malformed| OpenError::KeyDamaged(path.to_owned());
    let mut reader = Reader::new(bytes);
    match &reader.array::<8>().map_err(damaged)? {
        PLAIN => {
            let (key, check) = (reader.array::<32>(), reader.array::<CHECK_BYTES>());
            let key = Zeroizing::new(key.map_err(damaged)?);
            reader.finish().map_err(damaged)?;
            if check.map_err(damaged)? != checksum(&key) {
                return Err(OpenError::KeyDamaged(path.to_owned()));
            }
            if passphrase.is_some() { Err(OpenError::PassphraseUnused) } else { Ok(key) }
        }
        PROTECTED => {
            let salt = reader.array::<SALT_BYTES>().map_err(damaged)?;
            let sealed = reader.take(32 + SEALING_BYTES).map_err(damaged)?;
            reader.finish().map_err(damaged)?;
            let seal = Seal::new(&*stretch(passphrase.ok_or(OpenError::PassphraseNeeded)?, &salt)?);
            let key = Zeroizing::new(seal.open(PROTECTED, sealed).ok_or(OpenError::PassphraseWrong)?);
            let key = key.as_slice().try_into().map_err(|_| OpenError::KeyDamaged(path.to_owned()))?;
            Ok(Zeroizing::new(key))
        }
        _ => Err(OpenError::KeyDamaged(path.to_owned())),
    }
}

fn checksum(key: &Secret) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    let mut hasher = blake3::Hasher::new_derive_key("fourword v1 at rest: key file");
    hasher.update(&**key).finalize_xof().fill(&mut check);
    check
}

fn stretch(passphrase: &str, salt: &[u8; SALT_BYTES]) -> Result<Secret, StoreError> {
    let failed = |error: argon2::Error| StoreError::refused("stretch", "the passphrase", error);
    let params = Params::new(64 * 1024, 3, 1, Some(32)).map_err(failed)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(failed)?;
    Ok(key)
}
