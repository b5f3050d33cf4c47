//! One entry: its value, and how it is written and read.

use crate::types::number::parse_i64;

/// What an entry holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// What an entry of this string holds. Equal strings give equal elements.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Element<'a> {
        match parse_i64(bytes) {
            Some(value) => Element::Int(value),
            None => Element::Bytes(bytes),
        }
    }

    /// The string that the entry stands for; an integer is written into `digits`.
    #[inline]
    pub fn as_bytes<'b>(&self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Element::Int(value) => digits.format(value).as_bytes(),
            Element::Bytes(bytes) => bytes,
        }
    }

    /// The string that the entry stands for, as a vector of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// The length of the string that the entry stands for.
    pub fn text_len(&self) -> usize {
        match *self {
            Element::Int(value) => {
                let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
                digits + usize::from(value < 0)
            }
            Element::Bytes(bytes) => bytes.len(),
        }
    }

    /// The integer that the string is the text of. By the invariant, a string entry is never one.
    pub fn as_int(&self) -> Option<i64> {
        match *self {
            Element::Int(value) => Some(value),
            Element::Bytes(_) => None,
        }
    }
}

impl PartialEq<[u8]> for Element<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        match *self {
            Element::Int(value) => parse_i64(other) == Some(value),
            Element::Bytes(bytes) => bytes == other,
        }
    }
}

/// An entry about to be written or looked for. Made from bytes, an integer, or an [`Element`].
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    /// Encoding, and for integers all of the content.
    head: [u8; 9],
    head_len: u8,
    content: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// The first `head_len` of these bytes, then `content`.
    #[inline]
    const fn new(head_len: u8, head: [u8; 9], content: &'a [u8]) -> Encoded<'a> {
        Encoded { head, head_len, content }
    }

    #[inline]
    fn of_int(value: i64) -> Encoded<'a> {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        match value {
            0..=127 => Encoded::new(1, [a, 0, 0, 0, 0, 0, 0, 0, 0], &[]),
            -4096..=4095 => Encoded::new(2, [0xc0 | b & 0x1f, a, 0, 0, 0, 0, 0, 0, 0], &[]),
            -0x8000..=0x7fff => Encoded::new(3, [0xf1, a, b, 0, 0, 0, 0, 0, 0], &[]),
            -0x80_0000..=0x7f_ffff => Encoded::new(4, [0xf2, a, b, c, 0, 0, 0, 0, 0], &[]),
            -0x8000_0000..=0x7fff_ffff => Encoded::new(5, [0xf3, a, b, c, d, 0, 0, 0, 0], &[]),
            _ => Encoded::new(9, [0xf4, a, b, c, d, e, f, g, h], &[]),
        }
    }

    #[inline]
    fn of_bytes(bytes: &'a [u8]) -> Encoded<'a> {
        if may_be_number(bytes)
            && let Some(value) = parse_i64(bytes)
        {
            return Encoded::of_int(value);
        }
        let len = bytes.len();
        if len < 64 {
            return Encoded::new(1, [0x80 | len as u8, 0, 0, 0, 0, 0, 0, 0, 0], bytes);
        }
        if len < 4096 {
            return Encoded::new(2, [0xe0 | (len >> 8) as u8, len as u8, 0, 0, 0, 0, 0, 0, 0], bytes);
        }
        let len =
            u32::try_from(len).expect("an entry's length has 32 bits: callers keep longer strings apart");
        let [a, b, c, d] = len.to_le_bytes();
        Encoded::new(5, [0xf0, a, b, c, d, 0, 0, 0, 0], bytes)
    }

    #[inline]
    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// Bytes that the entry takes, backlen included.
    #[inline]
    pub fn span(&self) -> usize {
        let size = usize::from(self.head_len) + self.content.len();
        size + backlen_bytes(size)
    }

    /// Writes the entry into exactly its [`Encoded::span`] of bytes.
    #[inline]
    pub(super) fn write(&self, into: &mut [u8]) {
        let head_len = usize::from(self.head_len);
        let size = head_len + self.content.len();
        if head_len == 1 {
            into[0] = self.head[0];
        } else {
            into[..head_len].copy_from_slice(self.head());
        }
        into[head_len..size].copy_from_slice(self.content);
        write_backlen(size, &mut into[size..]);
    }

    /// Appends the entry.
    #[inline]
    pub(super) fn append(&self, to: &mut Vec<u8>) {
        let size = usize::from(self.head_len) + self.content.len();
        if self.head_len == 1 {
            to.push(self.head[0]);
        } else {
            to.extend_from_slice(self.head());
        }
        to.extend_from_slice(self.content);
        if size <= 127 {
            to.push(size as u8);
        } else {
            let mut back = [0; 5];
            let back = &mut back[..backlen_bytes(size)];
            write_backlen(size, back);
            to.extend_from_slice(back);
        }
    }

    /// True when the entry at the beginning of `bytes` is this one.
    #[inline]
    pub(super) fn is_at(&self, bytes: &[u8]) -> bool {
        bytes[0] == self.head[0]
            && bytes.starts_with(self.head())
            && bytes[usize::from(self.head_len)..].starts_with(self.content)
    }
}

/// Most strings tell by their first byte that they are no number.
#[inline]
fn may_be_number(bytes: &[u8]) -> bool {
    bytes.len() <= 20 && matches!(bytes.first(), Some(b'-' | b'0'..=b'9'))
}

/// Writes the entry of a string at a place and returns the place after it; `None` when there is no room.
#[inline]
pub fn write_text(text: &[u8], into: &mut [u8], at: usize) -> Option<usize> {
    let len = text.len();
    if len < 64 && !may_be_number(text) {
        let end = at + len + 2;
        let entry = into.get_mut(at..end)?;
        entry[0] = 0x80 | len as u8;
        entry[1..=len].copy_from_slice(text);
        entry[len + 1] = len as u8 + 1;
        return Some(end);
    }
    if len > into.len() {
        return None;
    }
    let entry = Encoded::of_bytes(text);
    let end = at + entry.span();
    entry.write(into.get_mut(at..end)?);
    Some(end)
}

/// True when the entry at the beginning of `bytes` is of this text.
#[inline(always)]
pub(super) fn is_text(bytes: &[u8], text: &[u8]) -> bool {
    let len = text.len();
    if len < 64 && !may_be_number(text) {
        return bytes[0] == 0x80 | len as u8 && is_equal(&bytes[1..=len], text);
    }
    len < bytes.len() && Encoded::of_bytes(text).is_at(bytes)
}

/// Compares as many bytes with each other. PERF: for short ones a call of `memcmp` costs as much as the comparison.
#[inline]
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    match (a.first_chunk(), b.first_chunk(), a.last_chunk(), b.last_chunk()) {
        (Some(first), Some(other), Some(last), Some(other_last)) if a.len() <= 16 => {
            word(first) == word(other) && word(last) == word(other_last)
        }
        (None, None, ..) => short_word(a) == short_word(b),
        _ => a == b,
    }
}

/// An entry that is looked for among many: eight of its bytes are compared before all of them are.
///
/// PERF: finding one of 50 fields of a hash, all of about the same length, took 2090 instructions where every candidate
/// with the right first byte was compared by `memcmp`, and takes 1230 (callgrind, optimised).
pub(super) struct Needle<'a> {
    entry: Encoded<'a>,
    /// The word to compare, from here in the entry on, as far as the mask goes.
    word_at: usize,
    word: u64,
    mask: u64,
    /// The word is not all of the entry.
    is_longer: bool,
}

impl<'a> Needle<'a> {
    #[inline]
    pub fn new(entry: Encoded<'a>) -> Needle<'a> {
        let head = u64::from_le_bytes(*entry.head.first_chunk().expect("heads have nine bytes"));
        let size = usize::from(entry.head_len) + entry.content.len();
        let (word_at, word) = match entry.content.last_chunk() {
            Some(last) => (size - 8, u64::from_le_bytes(*last)),
            // Content shorter than a word follows a head of one byte.
            None if entry.head_len == 1 => (0, head | short_word(entry.content) << 8),
            None => (0, head),
        };
        let mask = if size < 8 { (1 << (8 * size)) - 1 } else { u64::MAX };
        Needle { entry, word_at, word, mask, is_longer: size > 8 }
    }

    /// True when the entry at the beginning of `bytes` is this one.
    #[inline]
    pub fn is_at(&self, bytes: &[u8]) -> bool {
        if bytes[0] != self.entry.head[0] {
            return false;
        }
        match bytes.get(self.word_at..).and_then(<[u8]>::first_chunk) {
            Some(found) if (u64::from_le_bytes(*found) ^ self.word) & self.mask != 0 => false,
            Some(_) if !self.is_longer => true,
            _ => self.entry.is_at(bytes),
        }
    }
}

/// Fewer than eight bytes as the low bytes of a word.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    debug_assert!(len < 8);
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ if len == 0 => 0,
        _ => {
            let byte = |at: usize| u64::from(bytes[at]) << (8 * at);
            byte(0) | byte(len / 2) | byte(len - 1)
        }
    }
}

impl<'a> From<&'a [u8]> for Encoded<'a> {
    fn from(bytes: &'a [u8]) -> Encoded<'a> {
        Encoded::of_bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Encoded<'a> {
    fn from(bytes: &'a Vec<u8>) -> Encoded<'a> {
        Encoded::of_bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Encoded<'a> {
    fn from(bytes: &'a [u8; N]) -> Encoded<'a> {
        Encoded::of_bytes(bytes)
    }
}

impl From<i64> for Encoded<'_> {
    fn from(value: i64) -> Self {
        Encoded::of_int(value)
    }
}

impl<'a> From<Element<'a>> for Encoded<'a> {
    fn from(element: Element<'a>) -> Encoded<'a> {
        match element {
            Element::Int(value) => Encoded::of_int(value),
            Element::Bytes(bytes) => Encoded::of_bytes(bytes),
        }
    }
}

/// Bytes of the backlen of an entry of `size` bytes.
///
/// Redis: from two bytes on, the largest number that would still fit takes a byte more.
#[inline]
pub(super) fn backlen_bytes(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2097150 => 3,
        2097151..=268435454 => 4,
        _ => 5,
    }
}

/// Writes a backlen into exactly its bytes: the highest group first, all but it with the high bit.
#[inline]
fn write_backlen(size: usize, into: &mut [u8]) {
    let mut rest = size;
    for byte in into[1..].iter_mut().rev() {
        *byte = rest as u8 & 0x7f | 0x80;
        rest >>= 7;
    }
    into[0] = rest as u8;
}

/// Reads the backlen that ends where `bytes` ends: the size it tells, and its own bytes.
#[inline]
pub(super) fn read_backlen(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut size = 0;
    for taken in 0..5 {
        let byte = *bytes.get(bytes.len().checked_sub(taken + 1)?)?;
        size |= usize::from(byte & 0x7f) << (7 * taken);
        if byte & 0x80 == 0 {
            return Some((size, taken + 1));
        }
    }
    None
}

/// Bytes of the entry at the beginning of `bytes`, which is ours.
///
/// PERF: inlined, a walk over 40 short entries takes 14 instructions an entry where it took 23 (callgrind, release).
#[inline(always)]
pub(super) fn span(bytes: &[u8]) -> usize {
    let first = bytes[0];
    if first < 0x80 {
        2
    } else if first < 0xc0 {
        2 + usize::from(first & 0x3f)
    } else {
        long_span(bytes)
    }
}

#[inline(never)]
fn long_span(bytes: &[u8]) -> usize {
    let size = match bytes[0] {
        0xc0..0xe0 => return 3,
        0xf1 => return 4,
        0xf2 => return 5,
        0xf3 => return 6,
        0xf4 => return 10,
        first @ 0xe0..0xf0 => 2 + (usize::from(first & 0xf) << 8 | usize::from(bytes[1])),
        0xf0 => 5 + u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize,
        other => unreachable!("no entry of ours begins with {other:#x}"),
    };
    size + backlen_bytes(size)
}

/// The entry at the beginning of `bytes`, which is ours, and the bytes it takes.
#[inline(always)]
pub(super) fn decode(bytes: &[u8]) -> (Element<'_>, usize) {
    let first = bytes[0];
    if first < 0x80 {
        (Element::Int(i64::from(first)), 2)
    } else if first < 0xc0 {
        let len = usize::from(first & 0x3f);
        (Element::Bytes(&bytes[1..1 + len]), len + 2)
    } else {
        decode_long(bytes)
    }
}

#[inline(never)]
fn decode_long(bytes: &[u8]) -> (Element<'_>, usize) {
    let string = |from: usize, len: usize| {
        let size = from + len;
        (Element::Bytes(&bytes[from..size]), size + backlen_bytes(size))
    };
    // Reads `len` bytes of a little-endian number and spreads its sign.
    let int = |len: usize| {
        let mut le = [0; 8];
        le[8 - len..].copy_from_slice(&bytes[1..=len]);
        (Element::Int(i64::from_le_bytes(le) >> (64 - 8 * len)), len + 2)
    };
    match bytes[0] {
        first @ 0xc0..0xe0 => {
            let bits = u16::from(first & 0x1f) << 8 | u16::from(bytes[1]);
            (Element::Int(i64::from((bits << 3) as i16 >> 3)), 3)
        }
        first @ 0xe0..0xf0 => string(2, usize::from(first & 0xf) << 8 | usize::from(bytes[1])),
        0xf0 => string(5, u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize),
        0xf1 => int(2),
        0xf2 => int(3),
        0xf3 => int(4),
        0xf4 => int(8),
        other => unreachable!("no entry of ours begins with {other:#x}"),
    }
}

/// The same for foreign bytes: `None` when what they tell does not fit them.
pub(super) fn decode_foreign(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let size = match first {
        0..0x80 => 1,
        0x80..0xc0 => 1 + usize::from(first & 0x3f),
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 2 + (usize::from(first & 0xf) << 8 | usize::from(*rest.first()?)),
        0xf0 => 5usize.checked_add(u32::from_le_bytes(*rest.first_chunk()?) as usize)?,
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => return None,
    };
    let end = size.checked_add(backlen_bytes(size))?;
    if bytes.len() < end || read_backlen(&bytes[..end])? != (size, end - size) {
        return None;
    }
    Some(decode(bytes))
}
