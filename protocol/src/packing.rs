//! Packs and unpacks content with what zstd needs for it kept from one time to the next.
//!
//! To make that anew costs more than to pack a message. Each thread keeps its own. Invariant: what
//! comes of it depends on nothing that was packed before.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs bytes into one frame that states their number; `None` if there is no memory for it.
pub(crate) fn compress(content: &[u8], level: i32) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let mut compressor = kept.take().or_else(|| Compressor::new(level).ok())?;
        compressor.set_compression_level(level).ok()?;
        let packed = compressor.compress(content).ok()?;
        *kept = Some(compressor);
        Some(packed)
    })
}

/// Unpacks one frame; `None` if it is none, or holds more than so many bytes.
pub(crate) fn decompress(packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = kept.take().or_else(|| Decompressor::new().ok())?;
        // What fails leaves nothing behind that the next could meet.
        let content = decompressor.decompress(packed, bytes_max).ok()?;
        *kept = Some(decompressor);
        Some(content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_before_changes_nothing() {
        let (short, long) = (b"short".to_vec(), b"long and alike ".repeat(10_000));
        for level in [3, -8, 3] {
            for content in [&short, &long, &short] {
                let packed = compress(content, level).unwrap();
                assert_eq!(packed, zstd::bulk::compress(content, level).unwrap());
                assert_eq!(decompress(&packed, content.len()).as_ref(), Some(content));
                assert_eq!(decompress(&packed, content.len() - 1), None);
                assert_eq!(decompress(&packed[1..], content.len()), None);
            }
        }
    }
}
