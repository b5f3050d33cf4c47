//! The bytes of a file as they come: counted, summed for the checksum, and copied for as long as somebody asks for it.

use std::io::Read;

use super::error::RdbError;
use super::format::Checksum;
use super::length::Bytes;

/// Bytes read at a time; nothing larger is allocated for what a file merely announces.
const CHUNK_BYTES: usize = 64 * 1024;
/// A copy begins with so much room: for a key, or the length of a string.
const COPY_BYTES: usize = 32;

/// Where RDB bytes come from.
pub(super) struct Source<R> {
    from: R,
    chunk: Vec<u8>,
    /// The unread part of `chunk`.
    at: usize,
    end: usize,
    /// Offset in the file of `chunk`'s first byte.
    base: u64,
    /// Up to where the checksum has come in `chunk`.
    summed: usize,
    digest: Checksum,
    copy: Option<Vec<u8>>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(from: R) -> Source<R> {
        Source {
            from,
            chunk: vec![0; CHUNK_BYTES],
            at: 0,
            end: 0,
            base: 0,
            summed: 0,
            digest: Checksum::default(),
            copy: None,
        }
    }

    /// The checksum of all bytes taken.
    pub(super) fn checksum(&mut self) -> u64 {
        self.digest.update(&self.chunk[self.summed..self.at]);
        self.summed = self.at;
        self.digest.value()
    }

    /// Reads on when nothing is left of the chunk.
    fn fill(&mut self) -> Result<(), RdbError> {
        if self.at < self.end {
            return Ok(());
        }
        self.digest.update(&self.chunk[self.summed..self.end]);
        self.base += self.end as u64;
        (self.at, self.end, self.summed) = (0, 0, 0);
        loop {
            match self.from.read(&mut self.chunk) {
                Ok(0) => return Err(RdbError::Truncated(self.offset())),
                Ok(bytes) => {
                    self.end = bytes;
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(RdbError::Read { offset: self.offset(), error: error.to_string() }),
            }
        }
    }

    /// From now on what is taken is copied.
    pub(super) fn begin_copy(&mut self) {
        self.copy = Some(Vec::with_capacity(COPY_BYTES));
    }

    /// What was taken since.
    pub(super) fn end_copy(&mut self) -> Vec<u8> {
        self.copy.take().unwrap_or_default()
    }

    /// Takes `count` bytes, in pieces.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), RdbError> {
        while count > 0 {
            self.fill()?;
            let piece = (self.end - self.at).min(usize::try_from(count).unwrap_or(usize::MAX));
            if let Some(copy) = &mut self.copy {
                copy.extend_from_slice(&self.chunk[self.at..self.at + piece]);
            }
            self.at += piece;
            count -= piece as u64;
        }
        Ok(())
    }
}

impl<R: Read> Bytes for Source<R> {
    fn offset(&self) -> usize {
        (self.base as usize).saturating_add(self.at)
    }

    fn byte(&mut self) -> Result<u8, RdbError> {
        self.fill()?;
        let byte = self.chunk[self.at];
        self.at += 1;
        if let Some(copy) = &mut self.copy {
            copy.push(byte);
        }
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }
}
