//! Replies: RESP2 and RESP3 bytes into an [`Output`].
//!
//! A [`Reply`] knows the connection's protocol and writes each kind of value as Redis 7.0 does in
//! that protocol. Values of 16 KiB and more can be referred to instead of copied; such an output is
//! its bytes with the referred values spliced in at their positions.

use crate::types::number::format_f64_17g;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Values from this length on are referred to, not copied.
pub const SHARED_MIN_BYTES: usize = 16 * 1024;

/// Replies up to this length are copied to where there is room, so that the room is not lost.
const COPIED_BYTES: usize = 1024;

pub const OK_LINE: &[u8] = b"+OK\r\n";
pub const PONG: &[u8] = b"+PONG\r\n";
pub const QUEUED: &[u8] = b"+QUEUED\r\n";
pub const NULL_BULK: &[u8] = b"$-1\r\n";
pub const NULL_ARRAY: &[u8] = b"*-1\r\n";
pub const NULL: &[u8] = b"_\r\n";
pub const EMPTY_BULK: &[u8] = b"$0\r\n\r\n";
pub const EMPTY_ARRAY: &[u8] = b"*0\r\n";
pub const ZERO: &[u8] = b":0\r\n";
pub const ONE: &[u8] = b":1\r\n";
const CRLF: &[u8; 2] = b"\r\n";

/// Longest header: type byte, sign, 19 digits, CR, LF.
const HEADER_BYTES: usize = 24;
/// What a deferred header occupies until it is filled: a type byte, one digit, CR, LF.
const DEFERRED_BYTES: usize = 4;

/// The version of the protocol a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// Lines that many clients get, written once; there as soon as all of them are.
pub type Lines = Arc<OnceLock<Vec<u8>>>;

/// Bytes that are referred to, not copied.
#[derive(Clone, Debug)]
pub enum Referred {
    Value(Arc<Vec<u8>>),
    Lines(Lines),
}

impl Referred {
    /// All of them. Lines that are not complete yet are none.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Referred::Value(value) => value,
            Referred::Lines(lines) => lines.get().map_or(&[], Vec::as_slice),
        }
    }
}

/// Reply bytes with references to others in between.
///
/// INVARIANT: positions in `shared` ascend and none exceeds `bytes.len()`; ranges lie in what they are of.
#[derive(Default, Debug)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// Position in `bytes` before which it goes, what is referred to, the part of it meant.
    pub shared: Vec<(usize, Referred, Range<usize>)>,
}

impl Output {
    pub fn new() -> Output {
        Output::default()
    }

    /// Bytes that go to the client, shared values included.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.shared.iter().map(|(_, _, range)| range.len()).sum::<usize>()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.shared.is_empty()
    }

    /// Forgets everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.shared.clear();
    }

    /// Moves all of `other` to the end of `self`; `other` is empty afterwards.
    pub fn append(&mut self, other: &mut Output) {
        let has_room = self.bytes.capacity() - self.bytes.len() >= other.bytes.len();
        if self.is_empty() && !(has_room && other.bytes.len() <= COPIED_BYTES) {
            self.clear();
            mem::swap(self, other);
            return;
        }
        let base = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.shared.extend(other.shared.drain(..).map(|(at, value, range)| (base + at, value, range)));
    }

    /// Refers to a part of `lines` at the end. What continues the part before becomes one with it.
    #[inline]
    pub fn refer(&mut self, lines: &Lines, range: Range<usize>) {
        if let Some((at, Referred::Lines(last), known)) = self.shared.last_mut()
            && *at == self.bytes.len()
            && known.end == range.start
            && Arc::ptr_eq(last, lines)
        {
            known.end = range.end;
            return;
        }
        self.shared.push((self.bytes.len(), Referred::Lines(Arc::clone(lines)), range));
    }

    /// Is it surely long enough for a send of its own?
    #[inline]
    pub fn is_long(&self) -> bool {
        let referred = self.shared.last().map_or(0, |(_, _, range)| range.len());
        self.bytes.len().max(referred) >= SHARED_MIN_BYTES
    }

    /// Copies what is referred to and is not long, so that little of it keeps nothing alive.
    pub fn own_short(&mut self) {
        let is_short = |(_, _, range): &(usize, Referred, Range<usize>)| range.len() < SHARED_MIN_BYTES;
        let Some(first) = self.shared.iter().position(is_short) else { return };
        // What is before stays as it is: who gets more and more is not copied again and again.
        let parts = self.shared.split_off(first);
        let mut from = parts[0].0;
        let bytes = self.bytes.split_off(from);
        let base = mem::replace(&mut from, 0);
        for (at, value, range) in parts {
            self.bytes.extend_from_slice(&bytes[from..at - base]);
            from = at - base;
            if range.len() < SHARED_MIN_BYTES {
                self.bytes.extend_from_slice(&value.bytes()[range]);
            } else {
                self.shared.push((self.bytes.len(), value, range));
            }
        }
        self.bytes.extend_from_slice(&bytes[from..]);
    }

    /// Leaves `self` empty, without memory, and returns what it held.
    pub fn take(&mut self) -> Output {
        mem::take(self)
    }

    /// The reply as one run of bytes, for tests and for those who must look at all of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = 0;
        for (at, value, range) in &self.shared {
            all.extend_from_slice(&self.bytes[from..*at]);
            all.extend_from_slice(&value.bytes()[range.clone()]);
            from = *at;
        }
        all.extend_from_slice(&self.bytes[from..]);
        all
    }
}

/// A header whose count is not known yet. Fill it exactly once; of several, the latest first.
#[must_use = "a deferred header that is not filled leaves the reply malformed"]
#[derive(Debug)]
pub struct Deferred {
    at: usize,
}

/// Writes one client's reply. Cheap to make: make one per command.
pub struct Reply<'a> {
    pub out: &'a mut Output,
    pub protocol: Protocol,
}

impl<'a> Reply<'a> {
    /// Writes behind what is in `out`.
    #[inline]
    pub fn new(out: &'a mut Output, protocol: Protocol) -> Reply<'a> {
        Reply { out, protocol }
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// Bytes that are protocol already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.bytes.extend_from_slice(bytes);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(OK_LINE);
    }

    /// A status line; line ends inside it become spaces.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.out.bytes.push(b'+');
        self.line(text.as_bytes());
    }

    /// An error line without its `-` and line end, beginning with its code (`ERR ...`).
    ///
    /// Redis: line ends around the text are dropped, those inside become spaces.
    pub fn error(&mut self, line: impl AsRef<[u8]>) {
        let mut line = line.as_ref();
        while let [b'\r' | b'\n', rest @ ..] | [rest @ .., b'\r' | b'\n'] = line {
            line = rest;
        }
        self.out.bytes.push(b'-');
        self.line(line);
    }

    fn line(&mut self, text: &[u8]) {
        let start = self.out.bytes.len();
        self.out.bytes.extend_from_slice(text);
        for byte in &mut self.out.bytes[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.raw(CRLF);
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// Bytes of any kind, copied.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.bytes.reserve(HEADER_BYTES + bytes.len());
        self.header(b'$', bytes.len() as i64);
        self.raw(bytes);
        self.raw(CRLF);
    }

    /// A part of a shared value as a bulk: referred to from [`SHARED_MIN_BYTES`] on, else copied.
    pub fn bulk_shared(&mut self, value: &Arc<Vec<u8>>, range: Range<usize>) {
        if range.len() < SHARED_MIN_BYTES {
            return self.bulk(&value[range]);
        }
        assert!(range.end <= value.len(), "a reply refers to a part of its value");
        self.header(b'$', range.len() as i64);
        let value = Referred::Value(Arc::clone(value));
        self.out.shared.push((self.out.bytes.len(), value, range));
        self.raw(CRLF);
    }

    /// An integer as a bulk.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value; in RESP2 the null bulk.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.is_resp3() { NULL } else { NULL_BULK });
    }

    /// No list; in RESP3 null like any other.
    #[inline]
    pub fn null_array(&mut self) {
        self.raw(if self.is_resp3() { NULL } else { NULL_ARRAY });
    }

    /// The header of `len` values.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// A map of `len` pairs; in RESP2 an array of keys and values in turn.
    #[inline]
    pub fn map(&mut self, len: usize) {
        if self.is_resp3() {
            self.header(b'%', len as i64);
        } else {
            self.header(b'*', len as i64 * 2);
        }
    }

    /// The header of `len` values without an order; in RESP2 an array's.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.header(if self.is_resp3() { b'~' } else { b'*' }, len as i64);
    }

    /// An out-of-band message; in RESP2 an array.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.header(if self.is_resp3() { b'>' } else { b'*' }, len as i64);
    }

    /// Attributes of the value that follows. RESP2 has none: ask for the protocol first.
    #[inline]
    pub fn attribute(&mut self, len: usize) {
        assert!(self.is_resp3(), "attributes exist in RESP3 only");
        self.header(b'|', len as i64);
    }

    /// A double with 17 digits at most; a bulk in RESP2.
    pub fn double(&mut self, value: f64) {
        self.double_text(&format_f64_17g(value));
    }

    /// A double whose text is known: a bulk in RESP2.
    pub fn double_text(&mut self, text: &[u8]) {
        if self.is_resp3() {
            self.out.bytes.push(b',');
            self.raw(text);
            self.raw(CRLF);
        } else {
            self.bulk(text);
        }
    }

    /// Yes or no; 1 or 0 in RESP2.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.raw(match (self.protocol, value) {
            (Protocol::Resp2, false) => ZERO,
            (Protocol::Resp2, true) => ONE,
            (Protocol::Resp3, false) => b"#f\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
        });
    }

    /// Text for people in the format `ext` (`txt`, `mkd`); a bulk in RESP2.
    pub fn verbatim(&mut self, ext: &str, text: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(text);
        }
        let mut prefix = *b"   :";
        for (to, from) in prefix[..3].iter_mut().zip(ext.bytes()) {
            *to = from;
        }
        self.header(b'=', text.len() as i64 + 4);
        self.raw(&prefix);
        self.raw(text);
        self.raw(CRLF);
    }

    /// An integer of any size as decimal text; a bulk in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        if !self.is_resp3() {
            return self.bulk(digits.as_bytes());
        }
        self.out.bytes.push(b'(');
        self.raw(digits.as_bytes());
        self.raw(CRLF);
    }

    /// Leaves room for a header whose count is known later.
    pub fn deferred(&mut self) -> Deferred {
        let at = self.out.bytes.len();
        self.raw(&[0; DEFERRED_BYTES]);
        Deferred { at }
    }

    /// Writes the header of an array into its room.
    pub fn fill_array(&mut self, deferred: Deferred, len: usize) {
        self.fill(deferred, b'*', len);
    }

    /// Writes the header of a map of `len` pairs into its room.
    pub fn fill_map(&mut self, deferred: Deferred, len: usize) {
        if self.is_resp3() {
            self.fill(deferred, b'%', len);
        } else {
            self.fill(deferred, b'*', len * 2);
        }
    }

    /// Writes the header of a set into its room.
    pub fn fill_set(&mut self, deferred: Deferred, len: usize) {
        self.fill(deferred, if self.is_resp3() { b'~' } else { b'*' }, len);
    }

    /// Writes the header; when it is longer than the room left for it, what follows moves.
    fn fill(&mut self, Deferred { at }: Deferred, kind: u8, len: usize) {
        let (scratch, header_len) = header_text(kind, len as i64);
        let bytes = &mut self.out.bytes;
        let more = header_len - DEFERRED_BYTES;
        if more > 0 {
            let end = bytes.len();
            bytes.resize(end + more, 0);
            bytes.copy_within(at + DEFERRED_BYTES..end, at + header_len);
            for (position, _, _) in self.out.shared.iter_mut().rev().take_while(|shared| shared.0 > at) {
                *position += more;
            }
        }
        bytes[at..at + header_len].copy_from_slice(&scratch[..header_len]);
    }

    /// PERF: copies of a constant length compile to stores. An `int` of six digits takes 81 instructions
    /// where copying just its bytes took 122, a bulk of 64 bytes 80 where it took 151 (callgrind, release).
    #[inline]
    fn header(&mut self, kind: u8, value: i64) {
        if (0..10).contains(&value) {
            self.raw(&[kind, b'0' + value as u8, b'\r', b'\n']);
        } else if (10..100).contains(&value) {
            let [tens, ones] = PAIRS[value as usize];
            self.raw(&[kind, tens, ones, b'\r', b'\n']);
        } else if (100..100_000_000).contains(&value) {
            let (digits, count) = eight_digits(value as u32);
            let [a, b, c, d, e, f, g, h] = digits;
            let end = self.out.bytes.len() + 1 + count;
            self.raw(&[kind, a, b, c, d, e, f, g, h]);
            self.out.bytes.truncate(end);
            self.raw(CRLF);
        } else {
            let (text, len) = header_text(kind, value);
            self.raw(&text[..len]);
        }
    }
}

/// The digits of a number below 10^8 without leading zeros, and how many they are; what follows is
/// noise. All eight are computed side by side in the lanes of one word.
#[inline]
fn eight_digits(value: u32) -> ([u8; 8], usize) {
    debug_assert!((1..100_000_000).contains(&value));
    // Two lanes of four digits, four lanes of two, eight of one; the first digit in the lowest byte.
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos - tens * 10) << 8;
    let zeros = ones.trailing_zeros() / 8;
    let digits = (ones >> (zeros * 8)) | 0x3030_3030_3030_3030;
    (digits.to_le_bytes(), 8 - zeros as usize)
}

/// The two digits of every number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + at as u8 / 10, b'0' + at as u8 % 10];
        at += 1;
    }
    pairs
};

/// Type byte, number and line end, and how many bytes they are.
fn header_text(kind: u8, value: i64) -> ([u8; HEADER_BYTES], usize) {
    let mut text = [0; HEADER_BYTES];
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(value).as_bytes();
    let end = 1 + digits.len();
    text[0] = kind;
    text[1..end].copy_from_slice(digits);
    text[end] = b'\r';
    text[end + 1] = b'\n';
    (text, end + 2)
}
