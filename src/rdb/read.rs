//! Reading RDB bytes: a cursor over a slice with every bound checked.

use std::borrow::Cow;

use super::error::RdbError;
use super::format::{ENC_INT8, ENC_INT16, ENC_INT32, ENC_LZF};
use super::length::{Bytes, Length};
use super::lzf;
use crate::types::Encodings;

/// What a reader refuses.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest string, after decompression.
    pub string_bytes: usize,
    /// Up to which sizes collections take their small forms.
    pub encodings: Encodings,
}

/// A string as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text<'a> {
    Int(i64),
    Borrowed(&'a [u8]),
    /// It was compressed.
    Owned(Vec<u8>),
}

/// A cursor over RDB bytes.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
}

impl<'a> Reader<'a> {
    /// At the beginning of these bytes.
    pub fn new(bytes: &'a [u8], limits: Limits) -> Reader<'a> {
        Reader { bytes, at: 0, limits }
    }

    /// Up to which sizes collections take their small forms.
    pub fn encodings(&self) -> &Encodings {
        &self.limits.encodings
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], RdbError> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let taken = taken.ok_or(RdbError::Truncated(self.bytes.len()))?;
        self.at += taken.len();
        Ok(taken)
    }

    /// A string in any encoding. Plain ones are borrowed, so nothing is allocated that is only announced.
    pub fn string(&mut self) -> Result<Text<'a>, RdbError> {
        let offset = self.at;
        match self.length_or_encoding()? {
            Length::Plain(bytes) => {
                self.check_length(bytes, offset)?;
                Ok(Text::Borrowed(self.take(bytes)?))
            }
            Length::Encoded(ENC_INT8) => Ok(Text::Int(i64::from(i8::from_le_bytes(self.array()?)))),
            Length::Encoded(ENC_INT16) => Ok(Text::Int(i64::from(i16::from_le_bytes(self.array()?)))),
            Length::Encoded(ENC_INT32) => Ok(Text::Int(i64::from(i32::from_le_bytes(self.array()?)))),
            Length::Encoded(ENC_LZF) => {
                let (packed_bytes, bytes) = (self.length()?, self.length()?);
                self.check_length(bytes, offset)?;
                let packed = self.take(packed_bytes)?;
                let bytes = usize::try_from(bytes).map_err(|_| RdbError::BadLzf(offset))?;
                lzf::decompress(packed, bytes).map(Text::Owned).ok_or(RdbError::BadLzf(offset))
            }
            Length::Encoded(other) => Err(RdbError::BadString { encoding: u64::from(other), offset }),
        }
    }

    /// A string in any encoding, as bytes.
    pub fn bytes(&mut self) -> Result<Cow<'a, [u8]>, RdbError> {
        Ok(match self.string()? {
            Text::Int(value) => itoa::Buffer::new().format(value).as_bytes().to_vec().into(),
            Text::Borrowed(bytes) => bytes.into(),
            Text::Owned(bytes) => bytes.into(),
        })
    }

    fn check_length(&self, bytes: u64, offset: usize) -> Result<(), RdbError> {
        if bytes > self.limits.string_bytes as u64 {
            return Err(RdbError::TooLong { bytes, offset });
        }
        Ok(())
    }
}

impl Bytes for Reader<'_> {
    fn offset(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, RdbError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        Ok(self.take(N as u64)?.try_into().expect("as many bytes as were asked for"))
    }
}
