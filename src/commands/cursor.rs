//! What SCAN and its kin share: cursors, patterns, and the options of HSCAN, SSCAN and ZSCAN.

use super::{Args, CommandError};
use crate::types::glob::glob_match;

/// A cursor as a client wrote it.
///
/// Redis: what C's `strtoul` reads, without leading space: a sign is allowed, nothing is zero.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [] => (false, &b"0"[..]),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(CommandError::InvalidCursor);
    }
    let mut number: u64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(CommandError::InvalidCursor);
        }
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit)))
            .ok_or(CommandError::InvalidCursor)?;
    }
    Ok(if negative { number.wrapping_neg() } else { number })
}

/// Redis: `*` alone matches everything, the empty name too.
pub fn matches(pattern: Option<&[u8]>, name: &[u8]) -> bool {
    match pattern {
        None | Some(b"*") => true,
        Some(pattern) => glob_match(pattern, name, false),
    }
}

/// The value of COUNT. Redis: one that is not positive is a syntax error.
pub fn take_count(args: &mut Args<'_>) -> Result<usize, CommandError> {
    let count = usize::try_from(args.int()?).unwrap_or(0);
    if count == 0 { Err(CommandError::Syntax) } else { Ok(count) }
}

/// The options of a scan over one key's elements.
#[derive(Clone, Copy, Debug)]
pub struct ElementScan<'a> {
    pub pattern: Option<&'a [u8]>,
    pub count: usize,
    /// NOVALUES, which only HSCAN knows.
    pub no_values: bool,
}

impl<'a> ElementScan<'a> {
    /// Reads what is left of the arguments.
    pub fn take(args: &mut Args<'a>, is_hscan: bool) -> Result<ElementScan<'a>, CommandError> {
        let mut options = ElementScan { pattern: None, count: 10, no_values: false };
        while !args.is_done() {
            let has_value = args.left() >= 2;
            if has_value && args.token("count") {
                options.count = take_count(args)?;
            } else if has_value && args.token("match") {
                options.pattern = Some(args.take()?);
            } else if args.token("novalues") {
                if !is_hscan {
                    return Err(CommandError::Line("ERR NOVALUES option can only be used in HSCAN"));
                }
                options.no_values = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Is this element asked for?
    pub fn wants(&self, name: &[u8]) -> bool {
        matches(self.pattern, name)
    }
}
