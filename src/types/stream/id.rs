//! The id of a stream's entry: milliseconds and a sequence number within them.

use std::fmt;

use crate::types::number::{parse_i64, parse_u64};

/// Longest text of an id: two numbers of 20 digits and a dash.
pub const ID_TEXT_MAX: usize = 41;

/// An entry's id. Ids ascend within a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The id that follows; `None` after the last.
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id before; `None` before the first.
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Reads `ms-seq`, or `ms` alone with the sequence number that shall be meant then.
    ///
    /// Redis: an id is a C string of at most 127 bytes, and its numbers may have leading spaces, signs and zeros.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        let text = c_string(text)?;
        match memchr::memchr(b'-', text) {
            None => Some(StreamId { ms: number(text)?, seq: missing_seq }),
            Some(dash) => Some(StreamId { ms: number(&text[..dash])?, seq: number(&text[dash + 1..])? }),
        }
    }

    /// Reads the milliseconds of an id written as `ms-*`.
    pub fn parse_open(text: &[u8]) -> Option<u64> {
        number(c_string(text)?.strip_suffix(b"-*")?)
    }

    /// Its text, without allocation.
    #[inline]
    pub fn text(self) -> IdText {
        let mut text = IdText { bytes: [0; ID_TEXT_MAX], len: 0 };
        let mut digits = itoa::Buffer::new();
        text.push(digits.format(self.ms).as_bytes());
        text.push(b"-");
        text.push(digits.format(self.seq).as_bytes());
        text
    }

    /// The 16 bytes under which files keep it: both numbers big-endian, so that bytes sort as ids do.
    pub fn to_be_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.ms.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    pub fn from_be_bytes(bytes: [u8; 16]) -> StreamId {
        let number = u128::from_be_bytes(bytes);
        StreamId { ms: (number >> 64) as u64, seq: number as u64 }
    }
}

fn c_string(text: &[u8]) -> Option<&[u8]> {
    if text.len() > 127 {
        return None;
    }
    text.split(|byte| *byte == 0).next()
}

#[inline]
fn number(text: &[u8]) -> Option<u64> {
    parse_u64(text).or_else(|| lax_number(text))
}

/// A number as C's `strtoull` reads it: a sign wraps around. Redis: what is plainly negative is refused all the same.
#[cold]
fn lax_number(text: &[u8]) -> Option<u64> {
    if parse_i64(text).is_some() {
        return None;
    }
    let start = text.iter().position(|byte| !matches!(byte, b' ' | 9..=13))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text of an id.
pub struct IdText {
    bytes: [u8; ID_TEXT_MAX],
    len: u8,
}

impl IdText {
    #[inline]
    fn push(&mut self, text: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + text.len()].copy_from_slice(text);
        self.len += text.len() as u8;
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly_and_written_back() {
        assert_eq!(StreamId::parse(b"5", 7), Some(StreamId::new(5, 7)));
        assert_eq!(StreamId::parse(b"5-3", 7), Some(StreamId::new(5, 3)));
        let largest = b"18446744073709551615-18446744073709551615";
        assert_eq!(StreamId::parse(largest, 0), Some(StreamId::MAX));
        assert_eq!(StreamId::MAX.text().as_bytes(), largest);
        for wrong in
            ["", "-", "1-", "-1", "1-2-3", "1--2", "x", "1 ", "1-*", "18446744073709551616", "+", "\0"]
        {
            assert_eq!(StreamId::parse(wrong.as_bytes(), 0), None, "{wrong}");
        }
        for (lax, ms, seq) in
            [("+5", 5, 7), ("01", 1, 7), (" 1", 1, 7), ("1-01", 1, 1), ("1\0x", 1, 7), ("1--01", 1, u64::MAX)]
        {
            assert_eq!(StreamId::parse(lax.as_bytes(), 7), Some(StreamId::new(ms, seq)), "{lax}");
        }
        assert_eq!(StreamId::parse_open(b"12-*"), Some(12));
        assert_eq!(StreamId::parse_open(b"12"), None);
    }

    #[test]
    fn ids_have_neighbours_but_for_the_ends() {
        assert_eq!(StreamId::MIN.previous(), None);
        assert_eq!(StreamId::MAX.next(), None);
        let end_of_ms = StreamId::new(3, u64::MAX);
        assert_eq!(end_of_ms.next(), Some(StreamId::new(4, 0)));
        assert_eq!(StreamId::new(4, 0).previous(), Some(end_of_ms));
        assert_eq!(StreamId::from_be_bytes(end_of_ms.to_be_bytes()), end_of_ms);
    }
}
