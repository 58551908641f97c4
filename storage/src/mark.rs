//! Says whether this home was closed properly, here, and has not moved since.
//!
//! Only then may the device continue its logs: after a crash, a restore or a copy it might give
//! one sequence to two different envelopes, and contradict itself before everybody.
//! Invariant: the mark is gone from the disk before the store is handed out.
//! The mark is a keyed hash of the machine's id, the inode and birth time of the key file, and the
//! end of the journal: it tells nothing, and nobody without the key can make one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::durable::{remove_if_there, replace_file};
use crate::key_file;
use crate::sealing::HomeKeys;

fn path(home: &Path) -> PathBuf {
    home.join("clean")
}

/// Leaves the mark, as the very last thing. `end` tells where the journal ends.
pub(crate) fn leave(home: &Path, keys: &HomeKeys, end: &str) -> io::Result<()> {
    match machine() {
        Some(machine) => replace_file(&path(home), content(home, keys, &machine, end)?.as_bytes()),
        // A machine that cannot be told from its copies never stops cleanly.
        None => Ok(()),
    }
}

/// Removes the mark durably; says whether it was left by this home, on this machine.
pub(crate) fn take(home: &Path, keys: &HomeKeys, end: &str) -> io::Result<bool> {
    let found = match fs::read(path(home)) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let fits = match machine() {
        Some(machine) => content(home, keys, &machine, end)?.as_bytes() == found,
        None => false,
    };
    remove_if_there(&path(home))?;
    Ok(fits)
}

fn content(home: &Path, keys: &HomeKeys, machine: &str, end: &str) -> io::Result<String> {
    let metadata = fs::metadata(key_file::path(home))?;
    // File systems without birth times leave the inode alone to tell a copy.
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let born = born.unwrap_or_default().as_nanos();
    let text = format!("machine {machine}, inode {}, born {born}, {end}", metadata.ino());
    Ok(keys.mark(&text).to_hex().to_string())
}

/// The id of the installation, or failing that of this run of the kernel.
fn machine() -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|id| id.trim().to_owned())
        .find(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn another_machine_another_file_or_another_journal_end_gives_another_mark() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for home in [&here, &there] {
            fs::write(key_file::path(home.path()), "key").unwrap();
        }
        let keys = HomeKeys::new(&Zeroizing::new([1; 32]));
        let mark = |home: &Path, machine, end| content(home, &keys, machine, end).unwrap();
        let good = mark(here.path(), "m", "e");
        assert_eq!(good, mark(here.path(), "m", "e"));
        assert_ne!(good, mark(here.path(), "n", "e"));
        assert_ne!(good, mark(here.path(), "m", "f"));
        assert_ne!(good, mark(there.path(), "m", "e"));
    }

    #[test]
    fn a_mark_is_taken_once() {
        let home = tempfile::tempdir().unwrap();
        fs::write(key_file::path(home.path()), "key").unwrap();
        let keys = HomeKeys::new(&Zeroizing::new([1; 32]));
        leave(home.path(), &keys, "end").unwrap();
        assert_eq!(take(home.path(), &keys, "end").unwrap(), machine().is_some());
        assert!(!take(home.path(), &keys, "end").unwrap());
    }
}
