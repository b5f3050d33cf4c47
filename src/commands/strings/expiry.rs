//! The expiry options that SET, GETEX, MSETEX and INCREX share.

use crate::commands::{Args, CommandError};
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

/// How the number after an expiry option is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Ex,
    Px,
    ExAt,
    PxAt,
}

impl Unit {
    /// The unit that a word names, in any case.
    #[inline]
    pub fn of(word: &[u8]) -> Option<Unit> {
        match word {
            [e, x] if x.eq_ignore_ascii_case(&b'x') => match e | 0x20 {
                b'e' => Some(Unit::Ex),
                b'p' => Some(Unit::Px),
                _ => None,
            },
            [_, _, _, _] if word.eq_ignore_ascii_case(b"EXAT") => Some(Unit::ExAt),
            [_, _, _, _] if word.eq_ignore_ascii_case(b"PXAT") => Some(Unit::PxAt),
            _ => None,
        }
    }

    fn is_seconds(self) -> bool {
        matches!(self, Unit::Ex | Unit::ExAt)
    }

    fn is_relative(self) -> bool {
        matches!(self, Unit::Ex | Unit::Px)
    }

    /// The deadline that a number in this unit means.
    ///
    /// Redis: zero and less are refused, a time that has passed is not.
    pub fn deadline(self, number: i64, now_ms: u64, command: &'static str) -> Result<u64, CommandError> {
        let scale = if self.is_seconds() { 1000 } else { 1 };
        let base = if self.is_relative() { now_ms as i64 } else { 0 };
        number
            .checked_mul(scale)
            .filter(|_| number > 0)
            .and_then(|ms| ms.checked_add(base))
            .map(|ms| ms as u64)
            .ok_or(CommandError::InvalidExpire(command))
    }
}

/// What the options say about the deadline. The number stays text until the whole command was read: syntax errors
/// come before errors in numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Expiry<'a> {
    #[default]
    Unsaid,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    At(Unit, &'a [u8]),
}

impl<'a> Expiry<'a> {
    /// Reads one expiry option if the next word is one; `keep_word` is KEEPTTL or PERSIST. False when it is not, or
    /// when it does not go with what was said before.
    ///
    /// Redis: the same option may be repeated, and the last one counts; two different ones are a syntax error.
    #[inline]
    pub fn option(&mut self, args: &mut Args<'a>, keep_word: &'static str, keep: Expiry<'a>) -> bool {
        let Some(word) = args.peek() else { return false };
        if let Some(unit) = Unit::of(word) {
            let fits = match *self {
                Expiry::Unsaid => true,
                Expiry::At(before, _) => before == unit,
                _ => false,
            };
            if !fits || args.left() < 2 {
                return false;
            }
            let mut rest = *args;
            let (Ok(_), Ok(number)) = (rest.take(), rest.take()) else { return false };
            *args = rest;
            *self = Expiry::At(unit, number);
            return true;
        }
        if matches!(*self, Expiry::At(..)) || !args.token(keep_word) {
            return false;
        }
        *self = keep;
        true
    }

    /// The deadline, if the options set one.
    #[inline]
    pub fn deadline(self, now_ms: u64, command: &'static str) -> Result<Option<u64>, CommandError> {
        match self {
            Expiry::At(unit, number) => {
                let number = parse_i64(number).ok_or(CommandError::NotInteger)?;
                unit.deadline(number, now_ms, command).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What becomes of the deadline of a key that is set.
    #[inline]
    pub fn ttl(self, now_ms: u64, command: &'static str) -> Result<Ttl, CommandError> {
        Ok(match self.deadline(now_ms, command)? {
            Some(at) => Ttl::Set(at),
            None if self == Expiry::Keep => Ttl::Keep,
            None => Ttl::Clear,
        })
    }
}
