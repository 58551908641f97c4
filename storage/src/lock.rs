//! One process per home: two that write one journal would destroy it.
//!
//! The operating system's lock ends with the process, however it ends; the number in the file only
//! tells people whom to stop.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::OpenError;

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(home: &Path) -> Result<Lock, OpenError> {
        let unwritable = |cause| OpenError::NotWritable { home: home.to_owned(), cause };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(home.join("lock"))
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The holder may be about to write its number; the lock itself is what counts.
                let _ = (&mut file).take(20).read_to_string(&mut pid);
                let pid = if pid.is_empty() { "(unknown)".into() } else { pid.trim().to_owned() };
                return Err(OpenError::InUse { home: home.to_owned(), pid });
            }
            Err(TryLockError::Error(cause)) => return Err(unwritable(cause)),
        }
        file.set_len(0).map_err(unwritable)?;
        writeln!(file, "{}", std::process::id()).map_err(unwritable)?;
        Ok(Lock { _file: file })
    }
}
