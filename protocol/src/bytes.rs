//! Reads and writes the fixed byte layouts of what is signed or kept: big-endian, no padding.
//!
//! Records of documents, of which there are many, have short numbers and lengths (`varint`).
//! Signed bytes never pass through serde. A reader allocates nothing before it knows that the
//! input holds what a length declares, and `finish` refuses trailing bytes, so each value has
//! exactly one encoding. Layouts: docs/PROTOCOL.md, section 1.

/// The bytes end too early, declare more than they may, go on too long or name nothing known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes")]
pub struct Malformed;

/// Takes values from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A u32 length of at most `max`, then so many bytes.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        if length > max {
            return Err(Malformed);
        }
        self.take(length)
    }

    /// A u32 length of at most `max` bytes, then UTF-8 text.
    pub fn text(&mut self, max: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| Malformed)
    }

    /// A u16 count of at most `max`, then so many values read by `one`, each at least one byte.
    pub fn list<T>(
        &mut self,
        max: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = usize::from(self.u16()?);
        if count > max || count > self.rest.len() {
            return Err(Malformed);
        }
        (0..count).map(|_| one(self)).collect()
    }

    /// A number of one to ten bytes, seven bits each, lowest first; only its shortest form.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let overflows = shift == 63 && bits > 1;
            let overlong = shift > 0 && byte == 0;
            if overflows || overlong {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A varint length of at most `max`, then so many bytes.
    pub fn short_bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        if length > max {
            return Err(Malformed);
        }
        self.take(length)
    }

    /// A varint length of at most `max` bytes, then UTF-8 text.
    pub fn short_text(&mut self, max: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.short_bytes(max)?).map_err(|_| Malformed)
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Succeeds if nothing is left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends values to a vector, as [`Reader`] takes them.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins with nothing.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Bytes without a length.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// A u32 length, then the bytes. The caller has bounded them far below 4 GiB.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).raw(bytes)
    }

    /// A u32 length, then UTF-8.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A u16 count, then each value by `one`. The caller has bounded the count below 65,536.
    pub fn list<T>(&mut self, values: &[T], mut one: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.u16(u16::try_from(values.len()).unwrap_or(u16::MAX));
        for value in values {
            one(self, value);
        }
        self
    }

    /// A number as [`Reader::varint`] takes it.
    pub fn varint(&mut self, value: u64) -> &mut Self {
        let mut rest = value;
        while rest > 0x7f {
            self.u8(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        self.u8(rest as u8)
    }

    /// A varint length, then the bytes.
    pub fn short_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(bytes.len() as u64).raw(bytes)
    }

    /// A varint length, then UTF-8.
    pub fn short_text(&mut self, text: &str) -> &mut Self {
        self.short_bytes(text.as_bytes())
    }

    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_past_the_end_is_refused_before_anything_is_allocated() {
        let huge = [0xff, 0xff, 0xff, 0xff, 1, 2];
        assert_eq!(Reader::new(&huge).bytes(usize::MAX), Err(Malformed));
        assert_eq!(Reader::new(&huge).bytes(10), Err(Malformed));
        assert_eq!(Reader::new(&huge).list(usize::MAX, |r| r.u8()), Err(Malformed));
    }

    #[test]
    fn what_was_written_is_read_and_nothing_more() {
        let mut writer = Writer::new();
        writer.u8(1).u16(2).u32(3).u64(4).text("five").list(&[6u8, 7], |w, v| {
            w.u8(*v);
        });
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.text(4), Ok("five"));
        assert_eq!(reader.list(2, |r| r.u8()), Ok(vec![6, 7]));
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(Reader::new(&bytes).finish(), Err(Malformed));
    }

    #[test]
    fn a_varint_has_one_form_and_reads_back() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 1 << 53, u64::MAX - 1, u64::MAX] {
            let mut writer = Writer::new();
            writer.varint(value);
            let mut reader = Reader::new(writer.as_slice());
            assert_eq!(reader.varint(), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
        }
        let foreign: [&[u8]; 5] = [&[], &[0x80], &[0x80, 0x00], &[0xff; 10], &[0xff; 11]];
        for bytes in foreign {
            assert_eq!(Reader::new(bytes).varint(), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn a_short_length_past_its_bound_or_the_end_is_refused() {
        assert_eq!(Reader::new(&[3, 1, 2]).short_bytes(10), Err(Malformed));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).short_bytes(2), Err(Malformed));
        assert_eq!(Reader::new(&[2, 0xff, 0xff]).short_text(10), Err(Malformed));
        assert_eq!(Reader::new(&[2, b'o', b'k']).short_text(2), Ok("ok"));
    }
}
