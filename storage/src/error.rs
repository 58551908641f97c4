//! What can go wrong with a store: while it is opened, and while it is used.
//!
//! Every message names the thing and, where the user can act, says what to do.

use std::io;
use std::path::{Path, PathBuf};

use fourword_protocol::record::StoreFailure;

/// A store could not do what was asked: what was attempted, on what, and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {what}: {cause}")]
pub struct StoreError {
    /// A verb: `write`, `read`.
    pub action: &'static str,
    /// The file or batch it was done to.
    pub what: String,
    /// Why it failed.
    pub cause: Cause,
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The operating system said no.
    #[error("{0}")]
    Disk(io::Error),
    /// What lies on the disk is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// The store will not do it.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    pub(crate) fn disk(action: &'static str, what: impl ToString, cause: io::Error) -> StoreError {
        StoreError { action, what: what.to_string(), cause: Cause::Disk(cause) }
    }

    pub(crate) fn damaged(action: &'static str, what: impl ToString, why: impl ToString) -> StoreError {
        StoreError { action, what: what.to_string(), cause: Cause::Damaged(why.to_string()) }
    }

    pub(crate) fn refused(action: &'static str, what: impl ToString, why: impl ToString) -> StoreError {
        StoreError { action, what: what.to_string(), cause: Cause::Refused(why.to_string()) }
    }

    /// Whether what lies on the disk is not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(self.cause, Cause::Damaged(_))
    }

    /// The failure as the machine is told of it.
    pub fn failure(&self) -> StoreFailure {
        match &self.cause {
            Cause::Disk(_) if self.is_full() => StoreFailure::DiskFull,
            Cause::Damaged(_) => StoreFailure::Damaged(self.to_string()),
            Cause::Disk(_) | Cause::Refused(_) => StoreFailure::Failed(self.to_string()),
        }
    }

    /// Whether there was no room, so that nothing else is known to be wrong.
    pub(crate) fn is_full(&self) -> bool {
        matches!(&self.cause, Cause::Disk(error) if is_full(error))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A home could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The home cannot be made or written.
    #[error("{home} cannot be written ({cause}): choose another home or correct its permissions")]
    NotWritable {
        /// The home.
        home: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// There is no room to open the home in. Nothing in it was set aside.
    #[error("the disk that {0} lies on is full: make room, then start again")]
    DiskFull(PathBuf),
    /// Another process holds the home.
    #[error("{home} is in use by process {pid}: stop it first, or choose another home")]
    InUse {
        /// The home.
        home: PathBuf,
        /// The process as it named itself in the lock file.
        pid: String,
    },
    /// There is data and no key.
    #[error("{0} is missing, and the data beside it can be read with this file alone: put it back")]
    KeyMissing(PathBuf),
    /// The key file is not one, or has changed.
    #[error("{0} is damaged: put a good copy of it in its place")]
    KeyDamaged(PathBuf),
    /// Others than its owner may read the key file.
    #[error("{0} can be read by other users: run `chmod 600` on it")]
    KeyExposed(PathBuf),
    /// The key is whole but not the one that sealed the data.
    #[error("{0} does not fit the data beside it: put back the key file that belongs to this home")]
    KeyForeign(PathBuf),
    /// The key lies behind a passphrase and none was given.
    #[error("this home is protected by a passphrase: give it")]
    PassphraseNeeded,
    /// A passphrase was given where none protects the key.
    #[error("this home is not protected by a passphrase: open it without one")]
    PassphraseUnused,
    /// A passphrase of no characters protects nothing.
    #[error("the passphrase is empty: choose one, or leave it out")]
    PassphraseEmpty,
    /// The passphrase does not open the key.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
    /// The journal holds records this version does not know.
    #[error("{0} was written by a newer version of Fourword: install that version or a later one")]
    Newer(PathBuf),
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// The same, with all that comes from a full disk told as that and not as its many symptoms.
    pub(crate) fn told_for(self, home: &Path) -> OpenError {
        match &self {
            OpenError::NotWritable { cause, .. } if is_full(cause) => OpenError::DiskFull(home.to_owned()),
            OpenError::Store(error) if error.is_full() => OpenError::DiskFull(home.to_owned()),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        // ENOSPC, EDQUOT and EIO as Linux numbers them.
        for full in [28, 122] {
            let error = StoreError::disk("write", "journal", io::Error::from_raw_os_error(full));
            assert_eq!(error.failure(), StoreFailure::DiskFull);
        }
        let error = StoreError::disk("write", "journal", io::Error::from_raw_os_error(5));
        assert!(matches!(error.failure(), StoreFailure::Failed(text) if text.contains("journal")));
    }

    #[test]
    fn a_home_on_a_full_disk_is_told_as_that_whatever_was_tried_first() {
        let (home, full) = (Path::new("/home"), || io::Error::from_raw_os_error(28));
        let errors = [
            OpenError::NotWritable { home: home.to_owned(), cause: full() },
            OpenError::Store(StoreError::disk("open", "the index", full())),
        ];
        for error in errors {
            assert!(matches!(error.told_for(home), OpenError::DiskFull(of) if of == home));
        }
        let other = OpenError::Store(StoreError::damaged("open", "the index", "a row has changed"));
        assert!(matches!(other.told_for(home), OpenError::Store(error) if error.is_damage()));
    }
}
