//! Numbers as text, read and written as Redis does.
//!
//! Strings become integers only by the strict rules of [`parse_i64`]; floats by C's `strtod`
//! ([`parse_f64`]); `INCRBYFLOAT` computes in the x87's 80-bit format ([`LongDouble`]).

mod float;
mod long_double;
#[cfg(test)]
mod tests;

pub use float::{NumberText, format_f64, format_f64_17g, parse_f64};
pub use long_double::LongDouble;

/// Reads a decimal `i64`: no spaces, no plus sign, no leading zeros, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = parse_u64(digits)?;
    match (negative, magnitude) {
        (false, _) => i64::try_from(magnitude).ok(),
        (true, 0) => None,
        (true, _) => 0i64.checked_sub_unsigned(magnitude),
    }
}

/// Reads a decimal `u64` by the same rules.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    let (&first, rest) = text.split_first()?;
    let first = first.wrapping_sub(b'0');
    if first > 9 || (first == 0 && !rest.is_empty()) || rest.len() > 19 {
        return None;
    }
    let mut value = u64::from(first);
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}
