//! Floats: what `strtod` reads, and what Redis writes.

use rustc_apfloat::Float;
use std::io::Write;
use std::ops::Deref;

/// A number's text, without allocation.
#[derive(Clone, Copy)]
pub struct NumberText {
    bytes: [u8; 32],
    len: u8,
}

impl NumberText {
    fn new(text: &[u8]) -> NumberText {
        let mut bytes = [0; 32];
        bytes[..text.len()].copy_from_slice(text);
        NumberText { bytes, len: text.len() as u8 }
    }

    fn push(&mut self, text: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + text.len()].copy_from_slice(text);
        self.len += text.len() as u8;
    }
}

impl Deref for NumberText {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Writes a float as Redis 7.0 stores one (scores in listpacks and dumps, `d2string`): integers up
/// to 2^62 in full, else 17 significant digits.
pub fn format_f64(value: f64) -> NumberText {
    // Redis: the limit is LLONG_MAX / 2, which as a double is 2^62.
    if value != 0.0 && value.trunc() == value && value.abs() <= (1u64 << 62) as f64 {
        return NumberText::new(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    format_f64_17g(value)
}

/// Writes a float as C's `%.17g`, which is how Redis 7.0 replies with one.
pub fn format_f64_17g(value: f64) -> NumberText {
    if value.is_nan() {
        return NumberText::new(b"nan");
    }
    if value.is_infinite() {
        return NumberText::new(if value > 0.0 { b"inf" } else { b"-inf" });
    }
    if value.trunc() == value && value.abs() < 1e15 {
        if value == 0.0 {
            return NumberText::new(if value.is_sign_negative() { b"-0" } else { b"0" });
        }
        return NumberText::new(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    let mut scratch = [0u8; 32];
    let mut rest = &mut scratch[..];
    write!(rest, "{:.16e}", value.abs()).expect("a double in scientific notation fits 32 bytes");
    let len = 32 - rest.len();
    // d.dddddddddddddddde[-]x
    let exponent: i32 = std::str::from_utf8(&scratch[19..len])
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("an exponent follows the 16 decimals");
    let mut digits = [0u8; 17];
    digits[0] = scratch[0];
    digits[1..].copy_from_slice(&scratch[2..18]);
    let significant = 17 - digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[..significant];

    let mut text = NumberText::new(if value < 0.0 { b"-" } else { b"" });
    if !(-4..17).contains(&exponent) {
        text.push(&digits[..1]);
        if digits.len() > 1 {
            text.push(b".");
            text.push(&digits[1..]);
        }
        text.push(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            text.push(b"0");
        }
        text.push(itoa::Buffer::new().format(exponent.abs()).as_bytes());
    } else if exponent < 0 {
        text.push(&b"0.000"[..1 + exponent.unsigned_abs() as usize]);
        text.push(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            text.push(digits);
            text.push(&b"0000000000000000"[..whole - digits.len()]);
        } else {
            text.push(&digits[..whole]);
            text.push(b".");
            text.push(&digits[whole..]);
        }
    }
    text
}

/// Reads a float as C's `strtod` does when all of the text must be used: decimal or hexadecimal,
/// `inf` and `infinity`, but no leading space, no NaN, nothing that overflows or vanishes.
#[inline]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    parse_whole(text).or_else(|| parse_any(text))
}

/// Reads a whole number that is exact as a float. Nothing of other texts, whether they are floats or not.
///
/// PERF: scores mostly are such. Reading one took 970 instructions, a sixth of a ZADD (callgrind).
#[inline]
fn parse_whole(text: &[u8]) -> Option<f64> {
    /// Below 2^53.
    const EXACT_DIGITS: usize = 15;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > EXACT_DIGITS {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value * 10 + u64::from(digit))
    })?;
    Some(if negative { -(value as f64) } else { value as f64 })
}

pub(super) fn parse_any(text: &[u8]) -> Option<f64> {
    match FloatSyntax::of(text)? {
        FloatSyntax::Infinite { negative } => Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        FloatSyntax::Decimal { is_zero } => {
            let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            (value.is_finite() && (is_zero || value != 0.0)).then_some(value)
        }
        FloatSyntax::Hex { is_zero } => {
            let value = apfloat_from_hex::<rustc_apfloat::ieee::Double>(text, is_zero)?;
            Some(f64::from_bits(value.to_bits() as u64))
        }
    }
}

/// What kind of float a text spells, once it is known to spell one.
pub(super) enum FloatSyntax {
    Infinite { negative: bool },
    Decimal { is_zero: bool },
    Hex { is_zero: bool },
}

impl FloatSyntax {
    pub(super) fn of(text: &[u8]) -> Option<FloatSyntax> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(FloatSyntax::Infinite { negative });
        }
        if let [b'0', b'x' | b'X', hex @ ..] = rest {
            let is_zero = mantissa_is_zero(hex, u8::is_ascii_hexdigit, b'p')?;
            return Some(FloatSyntax::Hex { is_zero });
        }
        let is_zero = mantissa_is_zero(rest, u8::is_ascii_digit, b'e')?;
        Some(FloatSyntax::Decimal { is_zero })
    }
}

/// Checks digits, point and exponent; says whether all digits of the mantissa are zero.
fn mantissa_is_zero(text: &[u8], is_digit: fn(&u8) -> bool, exponent: u8) -> Option<bool> {
    let (mut digits, mut points, mut is_zero) = (0, 0, true);
    for (at, &byte) in text.iter().enumerate() {
        if is_digit(&byte) {
            digits += 1;
            is_zero &= byte == b'0';
        } else if byte == b'.' {
            points += 1;
        } else if byte.to_ascii_lowercase() == exponent {
            let power = match &text[at + 1..] {
                [b'-' | b'+', power @ ..] => power,
                power => power,
            };
            if power.is_empty() || !power.iter().all(u8::is_ascii_digit) {
                return None;
            }
            break;
        } else {
            return None;
        }
    }
    (digits > 0 && points <= 1).then_some(is_zero)
}

/// Reads hexadecimal text whose syntax was checked.
pub(super) fn apfloat_from_hex<F: Float>(text: &[u8], is_zero: bool) -> Option<F> {
    let text = std::str::from_utf8(text).ok()?;
    let has_power = text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'p'));
    let read = if has_power {
        F::from_str_r(text, rustc_apfloat::Round::NearestTiesToEven)
    } else {
        F::from_str_r(&format!("{text}p0"), rustc_apfloat::Round::NearestTiesToEven)
    }
    .ok()?;
    (read.value.is_finite() && (is_zero || !read.value.is_zero())).then_some(read.value)
}
