//! What the files of a home show to somebody without the key, and what a missing key does.

#![cfg(test)]

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fixture::*;
use fourword_storage::{DiskStore, OpenError};

#[test]
fn no_file_shows_content_names_or_ids() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut log = log(0, 0);
    log.document.0 = *b"document document document docum";
    log.device.0 = *b"devicekey devicekey devicekey de";
    let mut record = envelope(log, 1, b"ocean forest moon star says hello");
    let fourword_protocol::record::Record::Envelope { entity, .. } = &mut record else { panic!() };
    entity.0 = *b"entityid entityid entityid entit";
    let mut store = open_small(home);
    put(&mut store, [record, local("identity", b"seed phrase of the root key")]);
    put(&mut store, [statement(b'Q', b"statement about a group called Aurora")]);
    store.close().unwrap();
    let mut store = open_small(home);
    put(&mut store, [local("later", b"drafts of Eve")]);
    drop(store);
    let secrets: [&[u8]; 9] = [
        b"document docu",
        b"devicekey dev",
        b"entityid ent",
        b"ocean forest",
        b"seed phrase",
        b"identity",
        b"Aurora",
        &[b'Q'; 32],
        b"drafts of Eve",
    ];
    let files = all_files(home);
    assert!(files.iter().any(|f| f.starts_with(home.join("index"))) && files.len() > 4, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for secret in secrets {
            let text = String::from_utf8_lossy(secret);
            assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{text} in {}", file.display());
        }
    }
}

#[test]
fn home_and_key_are_the_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join("deep/home");
    drop(open_store(&home));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.clone()), 0o700);
    assert_eq!(mode(home.join("key")), 0o600);
    assert_eq!(mode(home.join("journal/00000001.log")), 0o600);
    fs::set_permissions(home.join("key"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(DiskStore::open(&home, None).err(), Some(OpenError::KeyExposed(_))));
}

#[test]
fn a_missing_key_beside_data_is_refused_and_none_is_made() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    put(&mut open_store(home), [local("n", b"1")]);
    fs::rename(home.join("key"), home.join("elsewhere")).unwrap();
    let error = DiskStore::open(home, None).err().unwrap();
    assert!(matches!(error, OpenError::KeyMissing(_)), "{error}");
    assert!(!home.join("key").exists());
    fs::rename(home.join("elsewhere"), home.join("key")).unwrap();
    assert_eq!(value(&open_store(home), "n"), Some(b"1".to_vec()));
}

#[test]
fn a_damaged_key_is_told_from_a_foreign_one_and_harms_no_data() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (home, other) = (home.path(), other.path());
    put(&mut open_store(home), [local("n", b"1")]);
    drop(open_store(other));
    let good = fs::read(home.join("key")).unwrap();
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(home.join("key"), &changed).unwrap();
        let error = DiskStore::open(home, None).err().unwrap();
        assert!(matches!(error, OpenError::KeyDamaged(_)), "changed at {at}: {error}");
        fs::write(home.join("key"), &good[..at]).unwrap();
        assert!(matches!(DiskStore::open(home, None).err(), Some(OpenError::KeyDamaged(_))), "cut at {at}");
    }
    fs::copy(other.join("key"), home.join("key")).unwrap();
    assert!(matches!(DiskStore::open(home, None).err(), Some(OpenError::KeyForeign(_))));
    fs::write(home.join("key"), &good).unwrap();
    let store = open_store(home);
    assert_eq!(value(&store, "n"), Some(b"1".to_vec()));
    assert_eq!(store.damage(), [""; 0]);
    assert_eq!(store.repairs(), [""; 0]);
}

#[test]
fn a_passphrase_protects_the_key_and_nothing_else_opens_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert!(matches!(DiskStore::open(home, Some("")).err(), Some(OpenError::PassphraseEmpty)));
    put(&mut DiskStore::open(home, Some("long walk")).unwrap().store, [local("n", b"1")]);
    assert!(matches!(DiskStore::open(home, None).err(), Some(OpenError::PassphraseNeeded)));
    assert!(matches!(DiskStore::open(home, Some("long talk")).err(), Some(OpenError::PassphraseWrong)));
    let store = DiskStore::open(home, Some("long walk")).unwrap().store;
    assert_eq!(value(&store, "n"), Some(b"1".to_vec()));
}

#[test]
fn a_passphrase_where_none_protects_is_refused() {
    let home = tempfile::tempdir().unwrap();
    drop(open_store(home.path()));
    let error = DiskStore::open(home.path(), Some("thought it was safe")).err().unwrap();
    assert!(matches!(error, OpenError::PassphraseUnused), "{error}");
}
