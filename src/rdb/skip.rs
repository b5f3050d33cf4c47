//! How long a value is, found by walking over it: files do not say.
//!
//! A value is copied out of the stream as it is and parsed by who will own it, so that the one reader of a file does
//! little and memory is bounded by the largest value. What is inside listpacks and the like is not looked at here.

use std::io::Read;

use super::error::RdbError;
use super::format::{ENC_INT8, ENC_INT16, ENC_INT32, ENC_LZF, kind};
use super::length::{Bytes, Length};
use super::stream_of::Source;

/// Values of modules end with this, and consist of what these announce.
mod module {
    pub const EOF: u64 = 0;
    pub const SINT: u64 = 1;
    pub const UINT: u64 = 2;
    pub const FLOAT: u64 = 3;
    pub const DOUBLE: u64 = 4;
    pub const STRING: u64 = 5;
}

impl<R: Read> Source<R> {
    /// Walks over a string.
    pub(super) fn skip_string(&mut self) -> Result<(), RdbError> {
        let offset = self.offset();
        match self.length_or_encoding()? {
            Length::Plain(bytes) => self.skip(bytes),
            Length::Encoded(ENC_INT8) => self.skip(1),
            Length::Encoded(ENC_INT16) => self.skip(2),
            Length::Encoded(ENC_INT32) => self.skip(4),
            Length::Encoded(ENC_LZF) => {
                let packed = self.length()?;
                self.length()?;
                self.skip(packed)
            }
            Length::Encoded(other) => Err(RdbError::BadString { encoding: u64::from(other), offset }),
        }
    }

    fn skip_strings(&mut self, count: u64) -> Result<(), RdbError> {
        (0..count).try_for_each(|_| self.skip_string())
    }

    /// Walks over a score in text form: its length, or one of three numbers that are none.
    fn skip_score(&mut self) -> Result<(), RdbError> {
        match self.byte()? {
            253..=255 => Ok(()),
            bytes => self.skip(u64::from(bytes)),
        }
    }

    /// Walks over a value of a type.
    pub(super) fn skip_value(&mut self, of: u8) -> Result<(), RdbError> {
        match of {
            kind::STRING
            | kind::HASH_ZIPMAP
            | kind::LIST_ZIPLIST
            | kind::SET_INTSET
            | kind::ZSET_ZIPLIST
            | kind::HASH_ZIPLIST
            | kind::HASH_LISTPACK
            | kind::ZSET_LISTPACK
            | kind::SET_LISTPACK
            | kind::HASH_LISTPACK_EX_PRE_GA => self.skip_string(),
            kind::HASH_LISTPACK_EX => {
                self.skip(8)?;
                self.skip_string()
            }
            kind::LIST | kind::SET | kind::LIST_QUICKLIST => {
                let count = self.length()?;
                self.skip_strings(count)
            }
            kind::HASH => {
                for _ in 0..self.length()? {
                    self.skip_strings(2)?;
                }
                Ok(())
            }
            kind::ZSET | kind::ZSET_2 => {
                for _ in 0..self.length()? {
                    self.skip_string()?;
                    if of == kind::ZSET { self.skip_score()? } else { self.skip(8)? }
                }
                Ok(())
            }
            kind::LIST_QUICKLIST_2 => {
                for _ in 0..self.length()? {
                    self.length()?;
                    self.skip_string()?;
                }
                Ok(())
            }
            kind::HASH_METADATA | kind::HASH_METADATA_PRE_GA => {
                if of == kind::HASH_METADATA {
                    self.skip(8)?;
                }
                for _ in 0..self.length()? {
                    self.length()?;
                    self.skip_strings(2)?;
                }
                Ok(())
            }
            kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => {
                self.skip_stream(of)
            }
            kind::MODULE_2 => {
                self.length()?;
                self.skip_module()
            }
            other => Err(RdbError::UnknownType(other)),
        }
    }

    fn skip_lengths(&mut self, count: usize) -> Result<(), RdbError> {
        (0..count).try_for_each(|_| self.length().map(drop))
    }

    fn skip_stream(&mut self, of: u8) -> Result<(), RdbError> {
        for _ in 0..self.length()? {
            self.skip_strings(2)?;
        }
        let counted = of != kind::STREAM_LISTPACKS;
        // Entries and the last id; then the first id, the largest deleted one and how many were ever added.
        self.skip_lengths(if counted { 8 } else { 3 })?;
        for _ in 0..self.length()? {
            self.skip_string()?;
            self.skip_lengths(if counted { 3 } else { 2 })?;
            for _ in 0..self.length()? {
                self.skip(16 + 8)?;
                self.length()?;
            }
            for _ in 0..self.length()? {
                self.skip_string()?;
                self.skip(if of == kind::STREAM_LISTPACKS_3 { 16 } else { 8 })?;
                for _ in 0..self.length()? {
                    self.skip(16)?;
                }
            }
        }
        Ok(())
    }

    /// Walks over what a module wrote, up to its end.
    pub(super) fn skip_module(&mut self) -> Result<(), RdbError> {
        loop {
            let offset = self.offset();
            match self.length()? {
                module::EOF => return Ok(()),
                module::SINT | module::UINT => drop(self.length()?),
                module::FLOAT => self.skip(4)?,
                module::DOUBLE => self.skip(8)?,
                module::STRING => self.skip_string()?,
                other => return Err(RdbError::BadString { encoding: other, offset }),
            }
        }
    }
}
