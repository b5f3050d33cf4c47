//! One string of an entry: how it is packed, and how long it would be in Redis's listpack.
//!
//! A string is a *tag*, and *data* elsewhere in the entry: the tags of all strings of an entry lie together, so that
//! an entry whose tags equal its neighbour's can leave them out.
//!
//! ```text
//!  tag                     meaning                              data
//!  0x00..=0x7f             a string of so many bytes            the bytes
//!  0x80..=0xbf             the integer 0..=63                   none
//!  0xc0..=0xdf, 1 byte     a string of 128 + 13 bits bytes      the bytes
//!  0xe0, 4 bytes           a string of so many bytes            the bytes
//!  0xe1..=0xe8             an integer                           1 to 8 bytes, little-endian, signed
//! ```

use std::fmt;

use crate::types::number::parse_i64;

/// Longest text of an integer.
const INT_TEXT_MAX: usize = 20;
/// The first length that needs a tag of two bytes.
const MIDDLE_MIN: usize = 128;
/// The first length that needs a tag of five bytes.
const LONG_MIN: usize = MIDDLE_MIN + (1 << 13);

/// A string as it is kept: text that is a 64-bit integer is kept as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The form in which a string is kept.
    #[inline]
    pub fn of(text: &'a [u8]) -> Item<'a> {
        match text.first() {
            Some(b'0'..=b'9' | b'-') if text.len() <= INT_TEXT_MAX => {
                parse_i64(text).map_or(Item::Bytes(text), Item::Int)
            }
            _ => Item::Bytes(text),
        }
    }

    /// The string.
    #[inline]
    pub fn text<'t>(&self, digits: &'t mut itoa::Buffer) -> &'t [u8]
    where
        'a: 't,
    {
        match *self {
            Item::Int(value) => digits.format(value).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    #[inline]
    pub fn push_tag(&self, out: &mut Vec<u8>) {
        match *self {
            Item::Int(value @ 0..=63) => out.push(0x80 | value as u8),
            Item::Int(value) => out.push(0xe0 + int_bytes(value) as u8),
            Item::Bytes(bytes) => match bytes.len() {
                len @ ..MIDDLE_MIN => out.push(len as u8),
                len @ MIDDLE_MIN..LONG_MIN => {
                    let rest = len - MIDDLE_MIN;
                    out.extend_from_slice(&[0xc0 | (rest >> 8) as u8, rest as u8]);
                }
                len => {
                    out.push(0xe0);
                    let len = u32::try_from(len).expect("an entry is at most a gigabyte");
                    out.extend_from_slice(&len.to_le_bytes());
                }
            },
        }
    }

    #[inline]
    pub fn push_data(&self, out: &mut Vec<u8>) {
        match *self {
            Item::Int(0..=63) => {}
            Item::Int(value) => out.extend_from_slice(&value.to_le_bytes()[..int_bytes(value)]),
            Item::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Bytes of the listpack element that holds it, the length behind it included.
    #[inline]
    pub fn listpack_bytes(&self) -> usize {
        match *self {
            Item::Int(value) => listpack_int_bytes(value),
            Item::Bytes(bytes) => {
                let encoded = bytes.len()
                    + match bytes.len() {
                        ..64 => 1,
                        64..4096 => 2,
                        _ => 5,
                    };
                encoded
                    + match encoded {
                        ..128 => 1,
                        128..16_384 => 2,
                        16_384..2_097_152 => 3,
                        2_097_152..268_435_456 => 4,
                        _ => 5,
                    }
            }
        }
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Int(value) => value.fmt(f),
            Item::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}

/// Bytes of the listpack element that holds an integer.
#[inline]
pub fn listpack_int_bytes(value: i64) -> usize {
    match value {
        0..=127 => 2,
        -4096..=4095 => 3,
        -32_768..=32_767 => 4,
        -8_388_608..=8_388_607 => 5,
        -2_147_483_648..=2_147_483_647 => 6,
        _ => 10,
    }
}

/// Bytes that a signed integer needs.
#[inline]
fn int_bytes(value: i64) -> usize {
    // One bit for the sign.
    let bits = 65 - (value ^ (value >> 63)).leading_zeros() as usize;
    bits.div_ceil(8)
}

/// Reads items off their tags and their data.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    tags: &'a [u8],
    data: &'a [u8],
}

impl<'a> Items<'a> {
    pub fn new(tags: &'a [u8], data: &'a [u8]) -> Items<'a> {
        Items { tags, data }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let (&tag, rest) = self.tags.split_first()?;
        self.tags = rest;
        let len = match tag {
            0..0x80 => usize::from(tag),
            0x80..0xc0 => return Some(Item::Int(i64::from(tag & 0x3f))),
            0xc0..=0xe0 => {
                let (len, tag_bytes) = long_len(tag, rest);
                self.tags = &rest[tag_bytes..];
                len
            }
            _ => {
                let (bytes, data) = self.data.split_at(usize::from(tag - 0xe0));
                self.data = data;
                let mut word = [if bytes[bytes.len() - 1] & 0x80 != 0 { 0xff } else { 0 }; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                return Some(Item::Int(i64::from_le_bytes(word)));
            }
        };
        let (bytes, data) = self.data.split_at(len);
        self.data = data;
        Some(Item::Bytes(bytes))
    }
}

/// The length in a tag of several bytes, and how many follow the first.
#[inline]
fn long_len(tag: u8, rest: &[u8]) -> (usize, usize) {
    match tag {
        0xe0 => (u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize, 4),
        _ => (MIDDLE_MIN + (usize::from(tag & 0x1f) << 8 | usize::from(rest[0])), 1),
    }
}

/// Bytes of the tags of `count` items at the beginning of `tags`, and of their data.
#[inline]
pub fn measure(tags: &[u8], count: usize) -> (usize, usize) {
    let (mut at, mut data_bytes) = (0, 0);
    for _ in 0..count {
        let tag = tags[at];
        at += 1;
        data_bytes += match tag {
            0..0x80 => usize::from(tag),
            0x80..0xc0 => 0,
            0xc0..=0xe0 => {
                let (len, tag_bytes) = long_len(tag, &tags[at..]);
                at += tag_bytes;
                len
            }
            _ => usize::from(tag - 0xe0),
        };
    }
    (at, data_bytes)
}

/// Writes a number in groups of seven bits, the lowest first.
#[inline]
pub fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what [`push_varint`] wrote at `at`, and moves on.
#[inline]
pub fn take_varint(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_survive_packing() {
        let long = vec![b'x'; 70_000];
        let mut texts: Vec<Vec<u8>> =
            vec![b"".to_vec(), b"a".to_vec(), b"-0".to_vec(), b"007".to_vec(), b"-".to_vec()];
        texts.extend([127, 128, 129, 8319, 8320, 8321, 70_000].map(|len| long[..len].to_vec()));
        for bits in 0..64 {
            for near in [-1, 0, 1] {
                let value = (1i64 << bits).wrapping_add(near);
                texts.extend([value, value.wrapping_neg()].map(|value| value.to_string().into_bytes()));
            }
        }
        let (mut tags, mut data) = (Vec::new(), Vec::new());
        for text in &texts {
            let item = Item::of(text);
            item.push_tag(&mut tags);
            item.push_data(&mut data);
        }
        assert_eq!(measure(&tags, texts.len()), (tags.len(), data.len()));
        let back: Vec<Vec<u8>> =
            Items::new(&tags, &data).map(|item| item.text(&mut itoa::Buffer::new()).to_vec()).collect();
        assert_eq!(back, texts);
    }

    #[test]
    fn varints_survive() {
        let mut out = Vec::new();
        let values = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        values.iter().for_each(|value| push_varint(&mut out, *value));
        let mut at = 0;
        assert_eq!(values.map(|_| take_varint(&out, &mut at)), values);
        assert_eq!(at, out.len());
    }
}
