//! What a reply must look like, and reading one of any size without keeping it.
//!
//! A workload that answers `nil`, an empty array or an error is fast, and measures nothing. So each
//! request says what shape its answer has, and an answer of another shape fails the run. Only the
//! first line is looked at: the load generator checks every reply and must stay cheap.

use std::fmt;
use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All but errors.
    Any,
    /// An integer within these bounds.
    Integer(i64, i64),
    /// A string, not nil.
    Bulk,
    /// An array, set or push of so many items; a map counts its keys and its values.
    Items(i64, i64),
}

impl Shape {
    pub const ONE: Shape = Shape::Integer(1, 1);

    pub const fn items(count: i64) -> Shape {
        Shape::Items(count, count)
    }

    /// Whether the reply that begins with `reply` has this shape.
    pub fn fits(self, reply: &[u8]) -> bool {
        let Some((&kind, rest)) = reply.split_first() else {
            return false;
        };
        let within = |least: i64, most: i64| leading_number(rest).is_some_and(|n| least <= n && n <= most);
        match self {
            Shape::Any => kind != b'-',
            Shape::Integer(least, most) => kind == b':' && within(least, most),
            Shape::Bulk => kind == b'$' && within(0, i64::MAX),
            Shape::Items(least, most) => kind == b'*' && within(least, most),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Any => out.write_str("anything but an error"),
            Shape::Integer(least, most) => write!(out, "an integer of {least} to {most}"),
            Shape::Bulk => out.write_str("a string"),
            Shape::Items(least, most) => write!(out, "{least} to {most} items"),
        }
    }
}

fn leading_number(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text.strip_prefix(b"-") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let mut value: Option<i64> = None;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let so_far = value.unwrap_or(0).checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        value = Some(so_far);
    }
    value.map(|value| if negative { -value } else { value })
}

/// Longer lines are no headers of replies.
const LINE_MAX: usize = 4096;

/// Finds the end of one reply that comes in pieces, in time linear in its length, keeping only its
/// first line: the answer to SMEMBERS of ten million members is half a gigabyte.
#[derive(Debug, Default)]
pub struct Skim {
    /// The reply's own first line without its end, once it is complete.
    pub first: Vec<u8>,
    begun: bool,
    /// Replies still to come, the nested ones included.
    missing: u64,
    /// Bytes of a string still to be passed over.
    skip: u64,
    line: Vec<u8>,
}

impl Skim {
    pub fn done(&self) -> bool {
        self.begun && self.missing == 0 && self.skip == 0
    }

    /// Takes what belongs to the reply and returns how much that was.
    pub fn feed(&mut self, input: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < input.len() && !self.done() {
            if self.skip > 0 {
                let passed = self.skip.min((input.len() - at) as u64);
                self.skip -= passed;
                at += passed as usize;
                continue;
            }
            let rest = &input[at..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.line.extend_from_slice(rest);
                at = input.len();
                if self.line.len() > LINE_MAX {
                    return Err(malformed());
                }
                continue;
            };
            self.line.extend_from_slice(&rest[..end]);
            at += end + 1;
            self.header()?;
        }
        Ok(at)
    }

    fn header(&mut self) -> io::Result<()> {
        if self.line.pop() != Some(b'\r') {
            return Err(malformed());
        }
        if !self.begun {
            self.begun = true;
            self.missing = 1;
            self.first.clone_from(&self.line);
        }
        let (&kind, rest) = self.line.split_first().ok_or_else(malformed)?;
        let announced = || leading_number(rest).ok_or_else(malformed);
        self.missing -= 1;
        match kind {
            b'+' | b'-' | b':' => {}
            b'$' => self.skip = u64::try_from(announced()?).map_or(0, |length| length + 2),
            b'*' => self.missing += announced()?.max(0) as u64,
            _ => return Err(malformed()),
        }
        self.line.clear();
        Ok(())
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_tells_answers_from_refusals() {
        assert!(Shape::Any.fits(b"+OK\r\n") && !Shape::Any.fits(b"-ERR no\r\n"));
        assert!(Shape::Integer(0, 1).fits(b":1\r\n") && !Shape::Integer(0, 1).fits(b":2\r\n"));
        assert!(Shape::Integer(-3, 0).fits(b":-3\r\n") && !Shape::Integer(0, 9).fits(b":\r\n"));
        assert!(Shape::Bulk.fits(b"$0\r\n\r\n") && !Shape::Bulk.fits(b"$-1\r\n"));
        assert!(Shape::items(10).fits(b"*10\r\n:1\r\n") && !Shape::items(10).fits(b"*9\r\n"));
        assert!(!Shape::Items(0, 5).fits(b"*-1\r\n") && !Shape::Items(0, 5).fits(b""));
        assert!(!Shape::Items(0, i64::MAX).fits(b"*99999999999999999999\r\n"));
    }

    #[test]
    fn skimming_ends_where_the_reply_ends_however_it_is_cut() {
        let reply = b"*4\r\n$4\r\na\r\nb\r\n*2\r\n:7\r\n*0\r\n$-1\r\n+x\r\n";
        let both = [reply.as_slice(), b":1\r\n"].concat();
        for cut in 0..both.len() {
            let mut skim = Skim::default();
            let taken = skim.feed(&both[..cut]).expect("well-formed");
            assert_eq!(taken, cut.min(reply.len()), "cut at {cut}");
            assert_eq!(skim.done(), cut >= reply.len(), "cut at {cut}");
            let rest = skim.feed(&both[taken..]).expect("well-formed");
            assert_eq!((taken + rest, skim.done()), (reply.len(), true), "cut at {cut}");
            assert_eq!(skim.first, b"*4");
        }
    }

    #[test]
    fn skimming_refuses_nonsense() {
        for nonsense in [b"hello\r\n".as_slice(), b"$x\r\n", b"\r\n", b"*1\n"] {
            assert!(Skim::default().feed(nonsense).is_err(), "{nonsense:?}");
        }
        assert!(Skim::default().feed(&[b'+'; LINE_MAX + 1]).is_err());
    }
}
