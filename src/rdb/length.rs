//! Lengths, and the special encodings that stand in their place: read alike from a slice ([`Reader`](super::Reader)) and
//! from a stream (`stream_of::Source`).

use super::error::RdbError;
use super::format::{LEN_6BIT, LEN_14BIT, LEN_32BIT, LEN_64BIT, LEN_ENCODED};

/// A length, or the special encoding that stands in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    Plain(u64),
    Encoded(u8),
}

/// Where RDB bytes come from, one after the other. All fails at the end.
pub trait Bytes {
    /// How far it has come.
    fn offset(&self) -> usize;

    /// The next byte.
    fn byte(&mut self) -> Result<u8, RdbError>;

    /// The next `N` bytes.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError>;

    /// A length or a special encoding.
    fn length_or_encoding(&mut self) -> Result<Length, RdbError> {
        let offset = self.offset();
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, first) {
            (LEN_6BIT, _) => Length::Plain(u64::from(low)),
            (LEN_14BIT, _) => Length::Plain(u64::from(u16::from_be_bytes([low, self.byte()?]))),
            (LEN_ENCODED, _) => Length::Encoded(low),
            (_, LEN_32BIT) => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            (_, LEN_64BIT) => Length::Plain(u64::from_be_bytes(self.array()?)),
            _ => return Err(RdbError::BadLength { encoding: first, offset }),
        })
    }

    /// A length.
    fn length(&mut self) -> Result<u64, RdbError> {
        let offset = self.offset();
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(RdbError::UnexpectedEncoding(offset)),
        }
    }
}
