//! The sorted rows on disk: the only module that names sled.
//!
//! Nothing here is the truth. sled's `flush` is no `fsync`, and 0.34 has been seen to fail at
//! opening after a crash, so all is made anew from the journal when anything is amiss; every row is
//! sealed under its key and therefore cannot be wrong unnoticed. sled may also panic on damage,
//! which counts as an error here.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::sealing::HomeKeys;
use crate::{StoreError, keys};

const CACHE_BYTES: u64 = 32 * 1024 * 1024;
const FLUSH_EVERY_MS: u64 = 500;

/// Rows to write (or remove, where `None`), applied together.
pub(crate) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub(crate) struct Index {
    db: sled::Db,
    keys: Arc<HomeKeys>,
}

impl Index {
    pub(crate) fn open(path: &Path, keys: Arc<HomeKeys>) -> Result<Index, StoreError> {
        let config = sled::Config::new()
            .path(path)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .cache_capacity(CACHE_BYTES);
        Ok(Index { db: calm("open", || config.open())?, keys })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = calm("read", || self.db.get(key))?;
        sealed.map(|sealed| self.unseal(key, &sealed)).transpose()
    }

    /// The rows under `prefix` from the key `from` on, in order.
    pub(crate) fn rows(
        &self,
        prefix: Vec<u8>,
        from: Vec<u8>,
    ) -> impl Iterator<Item = Result<Found, StoreError>> {
        let mut rows = self.db.range(from..);
        std::iter::from_fn(move || {
            calm("read", || rows.next().transpose())
                .and_then(|row| {
                    let Some((key, sealed)) = row.filter(|(key, _)| key.starts_with(&prefix)) else {
                        return Ok(None);
                    };
                    let value = self.unseal(&key, &sealed)?;
                    Ok(Some((key.to_vec(), value)))
                })
                .transpose()
        })
    }

    /// Applies all rows or none.
    pub(crate) fn apply(&self, rows: &Rows) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            match value {
                Some(value) => {
                    let sealed = self.keys.index.close(key, value);
                    batch.insert(
                        key.as_slice(),
                        sealed.map_err(|e| StoreError::disk("write", "the index", e))?,
                    );
                }
                None => batch.remove(key.as_slice()),
            }
        }
        calm("write", || self.db.apply_batch(batch))
    }

    /// Hands everything to the operating system, so that the next start has little to read again.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        calm("write", || self.db.flush()).map(|_| ())
    }

    /// Sees to it that the index is made anew when the store is next opened.
    pub(crate) fn distrust(&self) -> Result<(), StoreError> {
        calm("write", || self.db.remove(keys::META))?;
        self.flush()
    }

    fn unseal(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let value = self.keys.index.open(key, sealed);
        value.ok_or_else(|| StoreError::damaged("read", "the index", "a row has changed"))
    }
}

/// A key and its value.
pub(crate) type Found = (Vec<u8>, Vec<u8>);

/// Runs one operation of sled; a panic is an error like others.
fn calm<T>(action: &'static str, operation: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(error))) => Err(StoreError::disk(action, "the index", error)),
        Ok(Err(error)) => Err(StoreError::damaged(action, "the index", error)),
        Err(_) => Err(StoreError::damaged(action, "the index", "sled gave up")),
    }
}
