//! The request parser.
//!
//! ```text
//!  *2\r\n  $4\r\n ECHO \r\n  $5\r\n hello \r\n        one multibulk request of two arguments
//!  ECHO "hello"\n                                    the same, inline
//! ```
//!
//! It holds no bytes: the caller keeps them and shows the unfinished request from its first byte
//! each time more have arrived. The parser remembers how far it came, so a request that arrives one
//! byte at a time costs no more than one that arrives whole, apart from the calls.
//!
//! INVARIANTS
//! - Which requests, skips and errors come out depends on the bytes only, not on how they were split.
//! - Memory is proportional to the bytes received, never to a count or length that was announced.

use super::inline::{split_plain, split_quoted};
use super::request::{Argv, Span};
use crate::types::number::parse_i64;
use memchr::{memchr2, memrchr2};
use std::fmt;

/// Longest line (inline request, or a count or length with its type byte) before its end is seen.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Arguments a client may send before it has authenticated.
const MAX_UNAUTHENTICATED_ARGS: i64 = 10;
/// Longest argument a client may send before it has authenticated.
const MAX_UNAUTHENTICATED_BULK_BYTES: i64 = 16384;
/// Spans and inline bytes kept for the next request; more is given back.
const KEPT_SPANS: usize = 1024;
const KEPT_INLINE_BYTES: usize = 16 * 1024;

/// What a client may send.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`.
    pub max_bulk_bytes: usize,
    pub max_inline_bytes: usize,
    /// Largest announced argument count.
    pub max_args: usize,
    /// Whether the client has authenticated or need not.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_bulk_bytes: 512 * 1024 * 1024,
            max_inline_bytes: MAX_LINE_BYTES,
            max_args: i32::MAX as usize,
            authenticated: true,
        }
    }
}

/// How far one call of [`Parser::step`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One request ends `consumed` bytes after the start of the buffer; its arguments are valid.
    Request { consumed: usize },
    /// More bytes are needed: at least `missing`. This may be a length that the client announced;
    /// nobody may reserve that much on its word alone.
    Incomplete { missing: usize },
    /// Nothing to run (an empty line, `*0`, `*-1`): skip `consumed` bytes.
    Skip { consumed: usize },
}

/// Why a connection must be closed. Redis 7.0's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    InvalidMultibulkLength,
    InvalidBulkLength,
    ExpectedDollar { got: u8 },
    TooBigMultibulkCount,
    TooBigBulkCount,
    TooBigInline,
    UnauthenticatedMultibulkLength,
    UnauthenticatedBulkLength,
    UnbalancedQuotes,
}

impl ProtocolError {
    /// The error line as [`Reply::error`](super::writer::Reply::error) takes it.
    pub fn line(&self) -> Vec<u8> {
        let text: &[u8] = match self {
            ProtocolError::InvalidMultibulkLength => b"invalid multibulk length",
            ProtocolError::InvalidBulkLength => b"invalid bulk length",
            ProtocolError::ExpectedDollar { .. } => b"expected '$', got '",
            ProtocolError::TooBigMultibulkCount => b"too big mbulk count string",
            ProtocolError::TooBigBulkCount => b"too big bulk count string",
            ProtocolError::TooBigInline => b"too big inline request",
            ProtocolError::UnauthenticatedMultibulkLength => b"unauthenticated multibulk length",
            ProtocolError::UnauthenticatedBulkLength => b"unauthenticated bulk length",
            ProtocolError::UnbalancedQuotes => b"unbalanced quotes in request",
        };
        let mut line = [b"ERR Protocol error: ", text].concat();
        if let ProtocolError::ExpectedDollar { got } = *self {
            line.extend_from_slice(&[got, b'\'']);
        }
        line
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line().escape_ascii())
    }
}

impl std::error::Error for ProtocolError {}

/// What the parser waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// The first byte, which decides between multibulk and inline.
    #[default]
    Start,
    /// The end of the line `*<count>`.
    Count,
    /// The end of the line `$<length>` at `at`.
    Length,
    /// The `bulk_bytes` of an argument at `at` and the two after them.
    Data,
    /// The end of an inline request.
    Inline,
    /// Nothing: the last call ended a request; the next one starts another.
    Done,
}

/// The resumable request parser of one connection. See the module's head.
#[derive(Default, Debug)]
pub struct Parser {
    spans: Vec<Span>,
    /// Unescaped words of an inline request with quotes.
    words: Vec<u8>,
    in_words: bool,
    phase: Phase,
    /// Where the unfinished line or argument starts.
    at: usize,
    /// Up to where the unfinished line was searched for its end.
    scanned: usize,
    /// Arguments still to come.
    remaining: usize,
    /// Length of the argument at `at`, once its line was read.
    bulk_bytes: usize,
}

impl Parser {
    pub fn new() -> Parser {
        Parser::default()
    }

    /// Parses one request.
    ///
    /// `buf` starts at the first byte of the unfinished request. After `Incomplete` call again with
    /// the same bytes and more behind them; after `Request` or `Skip` call with what follows
    /// `consumed`. After an error the connection is good for nothing.
    #[inline]
    pub fn step(&mut self, buf: &[u8], limits: &Limits) -> Result<Step, ProtocolError> {
        if self.phase == Phase::Done {
            self.reset();
        }
        if self.phase == Phase::Start {
            match *buf {
                // One digit is within every limit that a server sets.
                [b'*', digit @ b'1'..=b'9', b'\r', _, ..] if limits.max_args >= 9 => {
                    self.remaining = usize::from(digit - b'0');
                    self.at = 4;
                    self.scanned = 4;
                    self.phase = Phase::Length;
                }
                [b'*', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..]
                    if limits.max_args >= 99 && limits.authenticated =>
                {
                    self.remaining = usize::from(tens - b'0') * 10 + usize::from(ones - b'0');
                    self.at = 5;
                    self.scanned = 5;
                    self.phase = Phase::Length;
                }
                [b'*', ..] => self.phase = Phase::Count,
                [_, ..] => self.phase = Phase::Inline,
                [] => return Ok(Step::Incomplete { missing: 1 }),
            }
        }
        let step =
            if self.phase == Phase::Inline { self.inline(buf, limits) } else { self.multibulk(buf, limits) };
        if !matches!(step, Ok(Step::Incomplete { .. })) {
            self.phase = Phase::Done;
        }
        step
    }

    /// The arguments of the request that the last `step` over `buf` ended.
    #[inline]
    pub fn argv<'a>(&'a self, buf: &'a [u8]) -> Argv<'a> {
        Argv { buf: if self.in_words { &self.words } else { buf }, spans: &self.spans }
    }

    /// Bytes the parser holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.words.capacity()
    }

    /// Drops an unfinished request's state and what the last request left.
    #[inline]
    pub fn reset(&mut self) {
        self.spans.clear();
        if self.spans.capacity() > KEPT_SPANS {
            self.spans.shrink_to(KEPT_SPANS);
        }
        if self.in_words {
            self.in_words = false;
            self.words.clear();
            self.words.shrink_to(KEPT_INLINE_BYTES);
        }
        self.phase = Phase::Start;
        self.at = 0;
        self.scanned = 0;
    }

    fn multibulk(&mut self, buf: &[u8], limits: &Limits) -> Result<Step, ProtocolError> {
        if self.phase == Phase::Count {
            let count = match self.number(buf, limits, ProtocolError::TooBigMultibulkCount)? {
                Number::Incomplete => return Ok(Step::Incomplete { missing: 1 }),
                Number::Invalid => return Err(ProtocolError::InvalidMultibulkLength),
                Number::Of(count) => count,
            };
            if count > limits.max_args as i64 {
                return Err(ProtocolError::InvalidMultibulkLength);
            }
            if count > MAX_UNAUTHENTICATED_ARGS && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedMultibulkLength);
            }
            if count <= 0 {
                return Ok(Step::Skip { consumed: self.at });
            }
            self.remaining = count as usize;
            self.phase = Phase::Length;
        }
        while self.remaining > 0 {
            if self.phase == Phase::Length {
                self.short_arguments(buf, limits);
                if self.remaining == 0 {
                    break;
                }
                let len = match self.number(buf, limits, ProtocolError::TooBigBulkCount)? {
                    Number::Incomplete => return Ok(Step::Incomplete { missing: 1 }),
                    Number::Invalid => return Err(ProtocolError::InvalidBulkLength),
                    Number::Of(len) => len,
                };
                if len < 0 || len as u64 > limits.max_bulk_bytes as u64 {
                    return Err(ProtocolError::InvalidBulkLength);
                }
                if len > MAX_UNAUTHENTICATED_BULK_BYTES && !limits.authenticated {
                    return Err(ProtocolError::UnauthenticatedBulkLength);
                }
                self.bulk_bytes = len as usize;
                self.phase = Phase::Data;
            }
            let len = self.bulk_bytes;
            // Redis: the two bytes after an argument are skipped whatever they are.
            let have = buf.len() - self.at;
            if have < len + 2 {
                return Ok(Step::Incomplete { missing: len + 2 - have });
            }
            self.spans.push(Span { start: self.at, end: self.at + len });
            self.at += len + 2;
            self.scanned = self.at;
            self.remaining -= 1;
            self.phase = Phase::Length;
        }
        Ok(Step::Request { consumed: self.at })
    }

    /// Takes the arguments at `self.at` that are below 1000 bytes and complete, until one is not. Anything
    /// unusual is left to the careful path, which finds it untouched.
    ///
    /// PERF: 52 instructions per argument of an MSET of 16-byte keys and 64-byte values; a whole SET takes
    /// 235, a GET 184, calls included (callgrind, release).
    #[inline]
    fn short_arguments(&mut self, buf: &[u8], limits: &Limits) {
        if limits.max_bulk_bytes < 999 {
            return;
        }
        let mut rest = buf.get(self.at..).unwrap_or_default();
        let mut remaining = self.remaining;
        while remaining > 0 {
            // The shortest argument, `$0\r\n\r\n`, has these six bytes.
            let Some(&[b'$', first, second, third, fourth, _]) = rest.first_chunk() else { break };
            let first = usize::from(first.wrapping_sub(b'0'));
            if first > 9 {
                break;
            }
            let (start, len) = if second == b'\r' {
                (4, first)
            } else {
                let second = usize::from(second.wrapping_sub(b'0'));
                if first == 0 || second > 9 {
                    break;
                }
                if third == b'\r' {
                    (5, first * 10 + second)
                } else {
                    let third = usize::from(third.wrapping_sub(b'0'));
                    if third > 9 || fourth != b'\r' {
                        break;
                    }
                    (6, first * 100 + second * 10 + third)
                }
            };
            let Some(next) = rest.get(start + len + 2..) else { break };
            let at = buf.len() - rest.len() + start;
            self.spans.push(Span { start: at, end: at + len });
            rest = next;
            remaining -= 1;
        }
        self.remaining = remaining;
        self.at = buf.len() - rest.len();
        self.scanned = self.at;
    }

    /// Reads the number of the line at `self.at`, whose first byte is its type, and moves past it.
    fn number(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        too_big: ProtocolError,
    ) -> Result<Number, ProtocolError> {
        let Some(end) = self.line_end(buf, b'\r', limits, too_big)? else { return Ok(Number::Incomplete) };
        // Redis: the byte after '\r' must have arrived and may be anything.
        if end + 1 >= buf.len() {
            return Ok(Number::Incomplete);
        }
        let kind = buf[self.at];
        if self.phase == Phase::Length && kind != b'$' {
            return Err(ProtocolError::ExpectedDollar { got: kind });
        }
        let number = match parse_i64(&buf[self.at + 1..end]) {
            Some(number) => Number::Of(number),
            None => Number::Invalid,
        };
        self.at = end + 2;
        self.scanned = self.at;
        Ok(number)
    }

    fn inline(&mut self, buf: &[u8], limits: &Limits) -> Result<Step, ProtocolError> {
        let Some(newline) = self.line_end(buf, b'\n', limits, ProtocolError::TooBigInline)? else {
            return Ok(Step::Incomplete { missing: 1 });
        };
        let line = &buf[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if memrchr2(b'"', b'\'', line).is_none() {
            split_plain(line, &mut self.spans);
        } else {
            self.in_words = true;
            split_quoted(line, &mut self.words, &mut self.spans)
                .map_err(|_| ProtocolError::UnbalancedQuotes)?;
        }
        let consumed = newline + 1;
        Ok(if self.spans.is_empty() { Step::Skip { consumed } } else { Step::Request { consumed } })
    }

    /// Finds the end of the line at `self.at`, searching only what was not searched before.
    ///
    /// Redis: a zero byte hides the line's end, so such a line grows until it is too long.
    fn line_end(
        &mut self,
        buf: &[u8],
        end: u8,
        limits: &Limits,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let window = buf.len().min(self.at + limits.max_inline_bytes + 1);
        match memchr2(end, 0, &buf[self.scanned..window]) {
            Some(found) => {
                self.scanned += found;
                if buf[self.scanned] == end {
                    return Ok(Some(self.scanned));
                }
            }
            None => self.scanned = window,
        }
        if buf.len() - self.at > limits.max_inline_bytes {
            return Err(too_big);
        }
        Ok(None)
    }
}

enum Number {
    Of(i64),
    Invalid,
    Incomplete,
}
