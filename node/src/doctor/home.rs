//! Judges a home: room, modes, the key, the settings, and the ports that it wants.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Check;
use crate::config::Settings;
use crate::paths::{self, Paths};

/// Bytes free below which a node will soon fail to write.
const ROOM_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Bytes free below which it is time to make room.
const ROOM_BYTES_LOW: u64 = 1024 * 1024 * 1024;

/// Files of the journal that are counted.
const FILES_MAX: usize = 100_000;

/// How the key file of a home begins whose key lies behind a passphrase.
const PROTECTED: &[u8] = b"4wkey\0\x01s";

/// Room, and whether the home can be written to.
pub fn disk(paths: &Paths) -> Vec<Check> {
    let home = paths.home();
    if !home.exists() {
        return vec![Check::warning("disk", "there is no home yet", "`fourword start` makes one")];
    }
    let journal = size(&home.join("journal"));
    let room = match rustix::fs::statvfs(home) {
        Err(error) => Check::warning("disk", format!("the free room cannot be told: {error}"), ""),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let says = format!("{} free; the journal has {}", mebibytes(free), mebibytes(journal));
            let advice = "make room; what is written while the disk is full is refused, never lost";
            match free {
                ..ROOM_BYTES_MIN => Check::failed("disk", says, advice),
                ROOM_BYTES_MIN..ROOM_BYTES_LOW => Check::warning("disk", says, advice),
                _ => Check::ok("disk", says),
            }
        }
    };
    vec![room, writable(home)]
}

fn writable(home: &Path) -> Check {
    let probe = home.join("doctor.probe");
    let tried = paths::replace(&probe, b"probe").and_then(|()| fs::remove_file(&probe));
    match tried {
        Ok(()) => Check::ok("home", "the home can be written to"),
        Err(error) => {
            let advice = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem => {
                    "the file system is read-only: see why it was mounted so"
                }
                io::ErrorKind::StorageFull => "the disk is full: make room",
                io::ErrorKind::PermissionDenied => "the home belongs to another user, or its modes forbid it",
                _ => "see that the disk is sound",
            };
            Check::failed("home", format!("the home cannot be written to: {error}"), advice)
        }
    }
}

/// Modes: the home and its key are for their owner alone.
pub fn modes(paths: &Paths) -> Option<Check> {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    let home = paths.home();
    let owner = fs::metadata(home).ok()?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        let says = format!("the home belongs to user {owner}, who is not you");
        return Some(Check::failed("modes", says, "run this as its owner"));
    }
    if open(&home.join("key")) {
        let advice =
            format!("chmod 600 {}; then think about who may have read it", home.join("key").display());
        return Some(Check::failed("modes", "other users can read the key of the home", advice));
    }
    if open(home) {
        let advice = format!("chmod 700 {}", home.display());
        return Some(Check::warning("modes", "other users can look into the home", advice));
    }
    Some(Check::ok("modes", "home and key are open to their owner alone"))
}

/// The key under which the home is sealed.
pub fn key(paths: &Paths) -> Check {
    let path = paths.home().join("key");
    let mut start = [0; PROTECTED.len()];
    match fs::File::open(&path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) if start == PROTECTED => Check::ok("key", "the key of the home lies behind a passphrase"),
        Ok(()) => Check::ok("key", "the key of the home lies in a file, without a passphrase"),
        Err(error) if error.kind() == io::ErrorKind::NotFound && size(&paths.home().join("journal")) > 0 => {
            Check::failed("key", "the key of the home is missing", "restore the file `key` from a backup")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Check::ok("key", "there is no key yet"),
        Err(error) => {
            Check::failed("key", format!("the key cannot be read: {error}"), "restore it from a backup")
        }
    }
}

/// The settings, and the ports that they name. A running node has its ports.
pub fn settings(paths: &Paths, settings: &Result<Settings, String>, running: bool) -> Vec<Check> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(reason) => {
            let advice = format!("correct {}", paths.config().display());
            return vec![Check::failed("settings", reason.clone(), advice)];
        }
    };
    let read = Check::ok("settings", "the settings can be read");
    if running {
        return vec![read];
    }
    let taken = settings.listen.iter().filter_map(|address| {
        let reason = crate::swarm::refusal(address)?;
        Some(Check::failed(
            "ports",
            format!("cannot listen on {address}: {reason}"),
            "change the setting `listen`",
        ))
    });
    let taken: Vec<Check> = taken.collect();
    let free = taken.is_empty().then(|| Check::ok("ports", "every address to listen on is free"));
    [vec![read], taken, free.into_iter().collect()].concat()
}

/// Bytes of the files in a directory.
fn size(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().take(FILES_MAX).flatten();
    let sizes = files.filter_map(|file| file.metadata().ok()).map(|found| found.len());
    sizes.fold(0, u64::saturating_add)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn home() -> (tempfile::TempDir, Paths) {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(directory.path().join("home")), |_| None).unwrap();
        (directory, paths)
    }

    #[test]
    fn a_home_that_others_can_read_is_told() {
        let (_directory, paths) = home();
        assert_eq!(modes(&paths), None, "there is none yet");
        paths.create().unwrap();
        assert_eq!(modes(&paths).unwrap().verdict, Verdict::Ok);
        fs::set_permissions(paths.home(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(modes(&paths).unwrap().verdict, Verdict::Warning);
        fs::write(paths.home().join("key"), "key").unwrap();
        fs::set_permissions(paths.home().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(modes(&paths).unwrap().verdict, Verdict::Failed);
    }

    #[test]
    fn a_home_without_its_key_has_failed_and_an_empty_one_has_not() {
        let (_directory, paths) = home();
        paths.create().unwrap();
        assert_eq!(key(&paths).verdict, Verdict::Ok);
        fs::create_dir(paths.home().join("journal")).unwrap();
        fs::write(paths.home().join("journal/00000001.log"), "data").unwrap();
        assert_eq!(key(&paths).verdict, Verdict::Failed);
        fs::write(paths.home().join("key"), [PROTECTED, b"rest"].concat()).unwrap();
        assert!(key(&paths).says.contains("passphrase"));
        assert!(disk(&paths).iter().all(|check| check.about != "home" || check.verdict == Verdict::Ok));
        assert!(!paths.home().join("doctor.probe").exists());
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let (_directory, paths) = home();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
        let wanted = Ok(Settings { listen: vec![address.clone()], ..Settings::default() });
        let checks = settings(&paths, &wanted, false);
        assert!(
            checks.iter().any(|c| c.verdict == Verdict::Failed && c.says.contains(&address)),
            "{checks:?}"
        );
        assert!(
            settings(&paths, &wanted, true).iter().all(|c| c.verdict == Verdict::Ok),
            "it has the port itself"
        );
        drop(taken);
        assert!(settings(&paths, &wanted, false).iter().all(|c| c.verdict == Verdict::Ok));
    }
}
