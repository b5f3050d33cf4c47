//! Ziplists: what Redis up to 6.2 packed small lists, hashes and sorted sets in. Written for its sake only.
//!
//! ```text
//!   bytes    offset of   count    entry  entry  …  255
//!   4, LE    the last,   2, LE
//!            4, LE
//!
//!   entry:   bytes of the entry before:        what it is:                        the element
//!            1, up to 253; or 254 and 4, LE    00llllll                           l bytes
//!                                              01llllll llllllll                  l bytes, high bits first
//!                                              10______ and 4, high bits first    as many bytes
//!                                              11000000 11010000 11100000         integer of 2, 4, 8 bytes, LE
//!                                              11110000 11111110                  integer of 3 bytes, of 1
//!                                              1111vvvv, v from 1 to 13           the integer v - 1
//! ```
//!
//! A count of 65535 says that there may be more. Every length, offset and count is checked against what is there.

use crate::types::Listpack;
use crate::types::listpack::{Element as Entry, ListpackRef};

const HEADER_BYTES: usize = 10;
const END: u8 = 255;
const COUNT_UNKNOWN: usize = u16::MAX as usize;

/// The elements of a ziplist, as a listpack; `None` when it contradicts itself.
pub fn read(bytes: &[u8]) -> Option<Listpack> {
    let (header, entries) = bytes.split_at_checked(HEADER_BYTES)?;
    let (end, entries) = entries.split_last()?;
    let announced = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    let last = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    let count = usize::from(u16::from_le_bytes([header[8], header[9]]));
    if announced != bytes.len() || *end != END {
        return None;
    }
    let mut pack = Listpack::with_capacity(entries.len());
    let (mut rest, mut before, mut tail) = (entries, 0, HEADER_BYTES);
    while !rest.is_empty() {
        tail = bytes.len() - 1 - rest.len();
        let (element, bytes_before, after) = entry(rest)?;
        if bytes_before != before {
            return None;
        }
        match element {
            Element::Int(value) => pack.push_back(value),
            Element::Bytes(bytes) => pack.push_back(bytes),
        }
        before = rest.len() - after.len();
        rest = after;
    }
    (tail == last && (count == COUNT_UNKNOWN || count == pack.len())).then_some(pack)
}

/// Redis: a ziplist is not longer.
const MOST_BYTES: usize = 1 << 30;
/// Lengths of entries from here on take five bytes in the next one.
const LONG_BEFORE: usize = 254;

/// Does it fit into a ziplist? An entry takes at most ten bytes beside its text.
pub fn fits(pack: ListpackRef<'_>) -> bool {
    pack.body().len().saturating_add(pack.len().saturating_mul(10)) < MOST_BYTES
}

/// The same elements as a ziplist.
pub fn write(pack: ListpackRef<'_>) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    let (mut before, mut tail, mut count) = (0, HEADER_BYTES, 0);
    for (_, element) in pack.iter() {
        tail = bytes.len();
        match u8::try_from(before) {
            Ok(short) if before < LONG_BEFORE => bytes.push(short),
            _ => {
                bytes.push(LONG_BEFORE as u8);
                bytes.extend((before as u32).to_le_bytes());
            }
        }
        match element {
            Entry::Int(value) => write_int(&mut bytes, value),
            Entry::Bytes(text) => {
                match text.len() {
                    len @ 0..0x40 => bytes.push(len as u8),
                    len @ 0x40..0x4000 => bytes.extend((len as u16 | 0x4000).to_be_bytes()),
                    len => {
                        bytes.push(0x80);
                        bytes.extend((len as u32).to_be_bytes());
                    }
                }
                bytes.extend_from_slice(text);
            }
        }
        before = bytes.len() - tail;
        count += 1;
    }
    bytes.push(END);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..8].copy_from_slice(&(tail as u32).to_le_bytes());
    bytes[8..HEADER_BYTES].copy_from_slice(&(count.min(COUNT_UNKNOWN) as u16).to_le_bytes());
    bytes
}

fn write_int(bytes: &mut Vec<u8>, value: i64) {
    let (kind, width) = match value {
        0..=12 => return bytes.push(0xf1 + value as u8),
        -0x80..=0x7f => (0xfe, 1),
        -0x8000..=0x7fff => (0xc0, 2),
        -0x80_0000..=0x7f_ffff => (0xf0, 3),
        -0x8000_0000..=0x7fff_ffff => (0xd0, 4),
        _ => (0xe0, 8),
    };
    bytes.push(kind);
    bytes.extend_from_slice(&value.to_le_bytes()[..width]);
}

enum Element<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

/// The first entry: its element, the bytes it says the one before has, and what follows.
fn entry(bytes: &[u8]) -> Option<(Element<'_>, usize, &[u8])> {
    let (before, bytes) = match bytes.split_first()? {
        (254, bytes) => {
            let (before, bytes) = bytes.split_first_chunk::<4>()?;
            (u32::from_le_bytes(*before) as usize, bytes)
        }
        (255, _) => return None,
        (before, bytes) => (usize::from(*before), bytes),
    };
    let (&first, bytes) = bytes.split_first()?;
    let low = first & 0x3f;
    let string = |len: usize, bytes| <[u8]>::split_at_checked(bytes, len);
    let (element, bytes) = match first {
        0x00..0x40 => string(usize::from(low), bytes).map(|(text, rest)| (Element::Bytes(text), rest))?,
        0x40..0x80 => {
            let (second, bytes) = bytes.split_first()?;
            let len = usize::from(u16::from_be_bytes([low, *second]));
            string(len, bytes).map(|(text, rest)| (Element::Bytes(text), rest))?
        }
        0x80..0xc0 => {
            let (len, bytes) = bytes.split_first_chunk::<4>()?;
            let len = u32::from_be_bytes(*len) as usize;
            string(len, bytes).map(|(text, rest)| (Element::Bytes(text), rest))?
        }
        0xf1..=0xfd => (Element::Int(i64::from(first & 0x0f) - 1), bytes),
        _ => {
            let width = match first {
                0xc0 => 2,
                0xd0 => 4,
                0xe0 => 8,
                0xf0 => 3,
                0xfe => 1,
                _ => return None,
            };
            let (number, bytes) = bytes.split_at_checked(width)?;
            (Element::Int(signed(number)), bytes)
        }
    };
    Some((element, before, bytes))
}

/// A little-endian number of up to eight bytes with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (64 - 8 * bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ziplist of raw entries without their lengths before.
    fn of(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        let mut before = 0;
        let mut tail = HEADER_BYTES;
        for entry in entries {
            tail = bytes.len();
            if before < 254 {
                bytes.push(before as u8);
            } else {
                bytes.push(254);
                bytes.extend((before as u32).to_le_bytes());
            }
            bytes.extend(*entry);
            before = bytes.len() - tail;
        }
        bytes.push(END);
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..8].copy_from_slice(&(tail as u32).to_le_bytes());
        bytes[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        bytes
    }

    fn texts(pack: &Listpack) -> Vec<String> {
        pack.iter().map(|(_, element)| String::from_utf8(element.to_vec()).expect("text")).collect()
    }

    #[test]
    fn every_kind_of_entry() {
        let middle = [&[0x41, 0x00][..], &[b'm'; 256]].concat();
        let long = [&[0x80, 0, 0, 0x41, 0][..], &[b'l'; 0x4100]].concat();
        let bytes = of(&[
            b"\x05hello",
            b"\x00",
            &middle,
            b"\x01x",
            &long,
            b"\xf1",
            b"\xfd",
            b"\xfe\x80",
            b"\xc0\xff\xff",
            b"\xf0\x00\x00\x80",
            b"\xd0\xff\xff\xff\x7f",
            b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
        ]);
        let pack = read(&bytes).expect("it is sound");
        let wanted = [
            "hello",
            "",
            &"m".repeat(256),
            "x",
            &"l".repeat(0x4100),
            "0",
            "12",
            "-128",
            "-1",
            "-8388608",
            "2147483647",
            "-9223372036854775808",
        ];
        assert_eq!(texts(&pack), wanted);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut pack = Listpack::new();
        for shift in 0..64 {
            for value in [1i64 << shift, -1 << shift, (1i64 << shift).wrapping_sub(1)] {
                pack.push_back(value);
            }
        }
        for len in [0, 1, 63, 64, 253, 254, 300, 0x3fff, 0x4000, 70_000] {
            pack.push_back(&vec![b'x'; len][..]);
        }
        let bytes = write(pack.as_ref());
        assert_eq!(read(&bytes).map(|back| texts(&back)), Some(texts(&pack)));
        assert_eq!(write(Listpack::new().as_ref()), of(&[]));
        let mut many = Listpack::new();
        (0..70_000).for_each(|n| many.push_back(n));
        assert_eq!(read(&write(many.as_ref())).map(|back| back.len()), Some(70_000));
    }

    #[test]
    fn an_empty_one_has_its_tail_at_its_end() {
        assert_eq!(read(&of(&[])).map(|pack| pack.len()), Some(0));
    }

    #[test]
    fn a_length_before_may_be_longer_than_needed() {
        let mut bytes = of(&[b"\x01a", b"\x01b"]);
        // The second entry says "3" in five bytes.
        bytes.splice(13..14, [254, 3, 0, 0, 0]);
        bytes[0] += 4;
        assert_eq!(read(&bytes).map(|pack| texts(&pack)), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let sound = of(&[b"\x02ab", b"\xfe\x07", b"\x03xyz"]);
        assert!(read(&sound).is_some());
        for cut in 0..sound.len() {
            assert!(read(&sound[..cut]).is_none(), "cut at {cut}");
        }
        // Any change of what holds it together: lengths, offsets, counts, kinds.
        for at in [0, 1, 4, 5, 8, 10, 11, 14, 17, 18, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[at] = bytes[at].wrapping_add(1);
            assert!(read(&bytes).is_none(), "changed at {at}");
        }
        let mut unknown = sound.clone();
        unknown[8..10].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(read(&unknown).map(|pack| pack.len()), Some(3));
        for kind in [0xc1, 0xd5, 0xe8, 0xff] {
            assert!(read(&of(&[&[kind, 0, 0, 0, 0, 0, 0, 0, 0]])).is_none());
        }
    }
}
