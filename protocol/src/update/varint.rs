//! Takes lib0 numbers and strings from bytes, and writes them: seven bits a byte, low ones first.
//!
//! Used by `read` and `write`. Invariant: a number has one accepted encoding, the shortest, and
//! nothing is allocated: strings are slices of the input. Source: lib0 encoding, version 1.

/// The bytes cannot be read on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A place in the input.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// How many bytes have been taken.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let rest = self.bytes.get(self.at..).ok_or(Unreadable)?;
        let taken = rest.get(..length).ok_or(Unreadable)?;
        self.at = self.at.saturating_add(length);
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take(1)?.first().copied().ok_or(Unreadable)
    }

    /// An unsigned number of up to 64 bits.
    pub(super) fn number(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits.checked_shl(shift).is_none_or(|shifted| shifted >> shift != bits) {
                return Err(Unreadable);
            }
            value |= bits << shift;
            if byte < 0x80 {
                // A last byte of zero would be a longer way to write the same number.
                return if byte == 0 && shift > 0 { Err(Unreadable) } else { Ok(value) };
            }
        }
        Err(Unreadable)
    }

    /// An unsigned number of up to 32 bits.
    pub(super) fn number32(&mut self) -> Result<u32, Unreadable> {
        u32::try_from(self.number()?).map_err(|_| Unreadable)
    }

    /// How many things follow, each of which takes at least one byte.
    pub(super) fn count(&mut self) -> Result<u32, Unreadable> {
        let count = self.number32()?;
        let left = self.left();
        usize::try_from(count).ok().filter(|count| *count <= left).map(|_| count).ok_or(Unreadable)
    }

    /// A length, then so many bytes.
    pub(super) fn buffer(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::try_from(self.number32()?).map_err(|_| Unreadable)?;
        self.take(length)
    }

    /// A length in bytes, then so much UTF-8.
    pub(super) fn string(&mut self) -> Result<&'a str, Unreadable> {
        std::str::from_utf8(self.buffer()?).map_err(|_| Unreadable)
    }
}

/// Appends the shortest encoding of `value`.
pub(super) fn write_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_from_its_shortest_encoding() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                write_number(&mut bytes, value);
                let mut cursor = Cursor::new(&bytes);
                assert_eq!((cursor.number(), cursor.left()), (Ok(value), 0));
            }
        }
    }

    #[test]
    fn longer_encodings_and_numbers_past_their_width_are_refused() {
        let number = |bytes: &[u8]| Cursor::new(bytes).number();
        assert_eq!(number(&[0x80, 0x00]), Err(Unreadable));
        assert_eq!(number(&[0xff, 0x80, 0x00]), Err(Unreadable));
        assert_eq!(number(&[0x80]), Err(Unreadable));
        assert_eq!(number(&[0xff; 10]), Err(Unreadable));
        let past = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(number(&past), Err(Unreadable));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).number32(), Err(Unreadable));
    }

    #[test]
    fn a_declared_length_past_the_end_is_refused() {
        assert_eq!(Cursor::new(&[5, b'a']).string(), Err(Unreadable));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0x7f]).count(), Err(Unreadable));
        assert_eq!(Cursor::new(&[2, 0xc3, 0x28]).string(), Err(Unreadable));
    }
}
