//! Numbers as Redis reads and writes them in configuration values.
//!
//! These follow the C library's reading where Redis relies on it, including what it does with
//! empty and overflowing input, so that the same value is accepted or refused.

/// Reads a canonical decimal number: no sign but `-`, no leading zeros, no blanks.
pub fn canonical(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let canonical = number.to_string().as_bytes() == text;
    canonical.then_some(number)
}

/// Reads a whole text as C's `strtoll` does. `None` when something follows the number.
///
/// Blanks and a sign may come first, an empty text is zero, and numbers out of range stop at the
/// nearest limit; the flag says whether that happened.
pub fn c_integer(text: &[u8], base: u32) -> Option<(i64, bool)> {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let (negative, digits) = match &text[start..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        // Without a digit nothing is consumed, so only an empty text is wholly read.
        return text.is_empty().then_some((0, false));
    }
    let mut number: i64 = 0;
    let mut overflow = false;
    for byte in digits {
        let digit = i64::from((*byte as char).to_digit(base)?);
        let next = number
            .checked_mul(i64::from(base))
            .and_then(|n| if negative { n.checked_sub(digit) } else { n.checked_add(digit) });
        match next {
            Some(next) if !overflow => number = next,
            _ => overflow = true,
        }
    }
    if overflow {
        number = if negative { i64::MIN } else { i64::MAX };
    }
    Some((number, overflow))
}

/// Reads a size: digits and an optional unit, in either case.
///
/// Redis: an empty text is 0 bytes, and a product that does not fit wraps around.
pub fn memory(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    // Redis copies the digits into a buffer of 128 bytes.
    if digits.len() >= 128 {
        return None;
    }
    let scale: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1000 * 1000,
        b"mb" => 1 << 20,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number =
        digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(number.wrapping_mul(scale))
}

/// Writes a size with the largest unit that divides it, as CONFIG REWRITE does.
///
/// Redis writes sizes beyond `i64` as negative numbers, which it cannot read; these are not.
pub fn show_memory(bytes: u64) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        let size = 1u64 << shift;
        if bytes != 0 && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

/// Reads a finite or infinite decimal fraction; blanks in front, NaN and leftovers are refused.
pub fn fraction(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!number.is_nan()).then_some(number)
}

/// Writes a fraction with at most six decimals and no trailing zeros.
pub fn show_fraction(number: f64) -> String {
    let shown = format!("{number:.6}");
    shown.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_numbers_have_one_spelling() {
        assert_eq!(canonical(b"0"), Some(0));
        assert_eq!(canonical(b"-12"), Some(-12));
        assert_eq!(canonical(b"9223372036854775807"), Some(i64::MAX));
        for wrong in ["", "01", "+1", "-0", " 1", "1 ", "1a", "9223372036854775808"] {
            assert_eq!(canonical(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn c_integers_take_blanks_signs_and_saturate() {
        assert_eq!(c_integer(b" +010", 10), Some((10, false)));
        assert_eq!(c_integer(b"0777", 8), Some((0o777, false)));
        assert_eq!(c_integer(b"", 10), Some((0, false)));
        assert_eq!(c_integer(b"-", 10), None);
        assert_eq!(c_integer(b" ", 10), None);
        assert_eq!(c_integer(b"8", 8), None);
        assert_eq!(c_integer(b"99999999999999999999", 10), Some((i64::MAX, true)));
        assert_eq!(c_integer(b"-99999999999999999999", 10), Some((i64::MIN, true)));
        assert_eq!(c_integer(b"-9223372036854775808", 10), Some((i64::MIN, false)));
    }

    #[test]
    fn sizes_take_units_in_either_case() {
        assert_eq!(memory(b"1Gb"), Some(1 << 30));
        assert_eq!(memory(b"5k"), Some(5000));
        assert_eq!(memory(b"5KB"), Some(5120));
        assert_eq!(memory(b"7b"), Some(7));
        assert_eq!(memory(b""), Some(0));
        assert_eq!(memory(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["-1", "1.5gb", "gbb", "1 mb", "1t"] {
            assert_eq!(memory(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_written_with_the_largest_whole_unit() {
        assert_eq!(show_memory(0), "0");
        assert_eq!(show_memory(1 << 30), "1gb");
        assert_eq!(show_memory(3 << 20), "3mb");
        assert_eq!(show_memory(1025), "1025");
        assert_eq!(show_fraction(99.9), "99.9");
        assert_eq!(show_fraction(100.0), "100");
        assert_eq!(show_fraction(0.0), "0");
    }
}
