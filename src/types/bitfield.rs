//! Bits of a string: single ones, integers of any width among them, counting, searching, and whole strings combined.
//!
//! Bit 0 is the highest bit of the first byte, as Redis counts, and integers are big-endian: a field of four bits at
//! offset 6 takes
//!
//! ```text
//!   byte 0            byte 1
//!   7 6 5 4 3 2 1 0   7 6 5 4 3 2 1 0
//!               ^ ^   ^ ^
//!               offset 6, most significant bit first
//! ```
//!
//! A string is taken to go on with zeros behind its end.

use super::raw::popcount::count_ones;
use std::ops::Range;

/// Bytes that a field of 64 bits may touch.
const WINDOW_BYTES: usize = 9;

/// The bit at an offset.
pub fn bit(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset >> 3).ok().and_then(|at| bytes.get(at));
    byte.is_some_and(|byte| byte >> (7 - (offset & 7)) & 1 == 1)
}

/// Sets the bit at an offset, which lies within; what it was.
pub fn set_bit(bytes: &mut [u8], offset: u64, on: bool) -> bool {
    let before = bit(bytes, offset);
    let mask = 0x80 >> (offset & 7);
    let byte = &mut bytes[(offset >> 3) as usize];
    *byte = if on { *byte | mask } else { *byte & !mask };
    before
}

/// The bytes from that of `offset` on in the upper part of a number, zeros where there are none.
fn window(bytes: &[u8], offset: u64) -> u128 {
    let from = usize::try_from(offset >> 3).map_or(bytes.len(), |from| from.min(bytes.len()));
    let there = &bytes[from..bytes.len().min(from.saturating_add(WINDOW_BYTES))];
    let mut window = [0; 16];
    window[..there.len()].copy_from_slice(there);
    u128::from_be_bytes(window)
}

/// What an integer does that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overflow {
    /// Loses its high bits.
    #[default]
    Wrap,
    /// Stays at the limit.
    Saturate,
    /// Is not stored.
    Fail,
}

/// The type of an integer among the bits: signed up to 64 bits, unsigned up to 63.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldType {
    signed: bool,
    bits: u32,
}

impl FieldType {
    /// The type called `i8` or `u63`.
    pub fn parse(text: &[u8]) -> Option<FieldType> {
        let (signed, widest) = match text.first()? {
            b'i' => (true, 64),
            b'u' => (false, 63),
            _ => return None,
        };
        let bits = super::number::parse_i64(&text[1..]).filter(|bits| (1..=widest).contains(bits))?;
        Some(FieldType { signed, bits: bits as u32 })
    }

    /// How many bits it has.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Reads an integer.
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let field = window(bytes, offset) << (offset & 7) >> (128 - self.bits);
        self.wrapped(field as u64)
    }

    /// Writes an integer's low bits; the string reaches far enough.
    pub fn set(self, bytes: &mut [u8], offset: u64, value: i64) {
        let shift = 128 - self.bits - (offset & 7) as u32;
        let mask = (u128::MAX >> (128 - self.bits)) << shift;
        let new = window(bytes, offset) & !mask | (value as u64 as u128) << shift & mask;
        let from = (offset >> 3) as usize;
        let len = (offset & 7) as usize + self.bits as usize;
        let len = len.div_ceil(8);
        bytes[from..from + len].copy_from_slice(&new.to_be_bytes()[..len]);
    }

    /// What is stored for `value` plus `more`; nothing when it does not fit and shall fail then.
    ///
    /// Redis: the room above is computed with 64 bits that wrap, so a signed value far below a narrow type is taken
    /// for one above it.
    pub fn fit(self, value: i64, more: i64, overflow: Overflow) -> Option<i64> {
        let (lowest, highest) = self.range();
        let (too_high, too_low) = if self.signed {
            let (above, below) = (highest.wrapping_sub(value), lowest.wrapping_sub(value));
            let narrow = self.bits != 64;
            (
                value > highest || ((narrow || (value >= 0 && more > 0)) && more > above),
                value < lowest || ((narrow || (value < 0 && more < 0)) && more < below),
            )
        } else {
            // A negative value stands for one above the type's range, and so is too high.
            let (above, below) = (highest.wrapping_sub(value), value.wrapping_neg());
            (value < 0 || value > highest || (more > 0 && more > above), more < 0 && more < below)
        };
        match overflow {
            _ if !too_high && !too_low => Some(value.wrapping_add(more)),
            Overflow::Wrap => Some(self.wrapped(value.wrapping_add(more) as u64)),
            Overflow::Saturate => Some(if too_high { highest } else { lowest }),
            Overflow::Fail => None,
        }
    }

    fn range(self) -> (i64, i64) {
        let highest = i64::MAX >> (63 - self.magnitude_bits());
        if self.signed { (!highest, highest) } else { (0, highest) }
    }

    fn magnitude_bits(self) -> u32 {
        self.bits - u32::from(self.signed)
    }

    /// The low bits as an integer of this type.
    fn wrapped(self, value: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed { (value << unused) as i64 >> unused } else { (value << unused >> unused) as i64 }
    }
}

/// How many bits are set in a range of bits, which lies within.
pub fn count_range(bytes: &[u8], bits: Range<u64>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = ((bits.start >> 3) as usize, ((bits.end - 1) >> 3) as usize);
    let before = bytes[first] & !(0xff >> (bits.start & 7));
    let after = bytes[last] & ((0x7f_u8) >> ((bits.end - 1) & 7));
    count_ones(&bytes[first..=last]) - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// The first bit that is `wanted` in a range of bits, which lies within.
pub fn find_in_range(bytes: &[u8], wanted: bool, bits: Range<u64>) -> Option<u64> {
    if bits.is_empty() {
        return None;
    }
    // What is wanted shows as a one.
    let flip = |byte: u8| if wanted { byte } else { !byte };
    let (first, last) = ((bits.start >> 3) as usize, ((bits.end - 1) >> 3) as usize);
    let found = |byte: u8, at: usize| (at as u64) * 8 + u64::from(byte.leading_zeros());
    let within = |at: u64| (at < bits.end).then_some(at);
    let head = flip(bytes[first]) & (0xff >> (bits.start & 7));
    if head != 0 {
        return within(found(head, first));
    }
    let rest = &bytes[first + 1..=last.max(first)];
    let skipped = skip(rest, u8::from(!wanted) * 0xff);
    let at = first + 1 + skipped;
    rest.get(skipped).and_then(|byte| within(found(flip(*byte), at)))
}

/// How many bytes at the beginning are `byte`.
fn skip(bytes: &[u8], byte: u8) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let whole = blocks.iter().take_while(|block| **block == [byte; 32]).count() * 32;
    whole + bytes[whole..].iter().take_while(|other| **other == byte).count()
}

/// How strings are combined bit by bit. X is the first one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Combine {
    And,
    Or,
    Xor,
    Not,
    /// In X and in no other.
    Diff,
    /// In another and not in X.
    Diff1,
    /// In X and in another.
    AndOr,
    /// In exactly one.
    One,
}

/// Bytes combined at a time, so that what is under work stays in the first cache.
const BLOCK_BYTES: usize = 4096;

/// Combines strings to one as long as the longest of them.
pub fn combine(how: Combine, sources: &[&[u8]]) -> Vec<u8> {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = vec![0; len];
    let Some((first, others)) = sources.split_first() else { return result };
    let mut scratch = [0; BLOCK_BYTES];
    for (at, block) in result.chunks_mut(BLOCK_BYTES).enumerate() {
        let from = at * BLOCK_BYTES;
        let to = from + block.len();
        let part = |source: &[u8]| from.min(source.len())..to.min(source.len());
        let x = &first[part(first)];
        block[..x.len()].copy_from_slice(x);
        let others = others.iter().map(|other| &other[part(other)]);
        let scratch = &mut scratch[..block.len()];
        match how {
            Combine::Not => block.iter_mut().for_each(|byte| *byte = !*byte),
            Combine::And => others.for_each(|other| {
                let shorter = other.len();
                zip(block, other, |to, from| to & from);
                block[shorter..].fill(0);
            }),
            Combine::Or => others.for_each(|other| zip(block, other, |to, from| to | from)),
            Combine::Xor => others.for_each(|other| zip(block, other, |to, from| to ^ from)),
            Combine::Diff | Combine::Diff1 | Combine::AndOr => {
                scratch.fill(0);
                others.for_each(|other| zip(scratch, other, |to, from| to | from));
                match how {
                    Combine::Diff => zip(block, scratch, |x, any| x & !any),
                    Combine::Diff1 => zip(block, scratch, |x, any| !x & any),
                    _ => zip(block, scratch, |x, any| x & any),
                }
            }
            Combine::One => {
                // What was met before and is met again.
                scratch.fill(0);
                others.for_each(|other| {
                    for ((again, met), from) in scratch.iter_mut().zip(block.iter_mut()).zip(other) {
                        *again |= *met & from;
                        *met |= from;
                    }
                });
                zip(block, scratch, |met, again| met & !again);
            }
        }
    }
    result
}

fn zip(to: &mut [u8], from: &[u8], combine: impl Fn(u8, u8) -> u8) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = combine(*to, *from));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        (0..bytes.len() as u64 * 8).map(|at| bit(bytes, at)).collect()
    }

    fn random_bytes(rng: &mut fastrand::Rng, most: usize) -> Vec<u8> {
        let dense = rng.u8(0..3);
        let byte = |rng: &mut fastrand::Rng| match dense {
            0 => rng.u8(..),
            1 => u8::from(rng.u8(0..40) == 0) << rng.u8(0..8),
            _ => !(u8::from(rng.u8(0..40) == 0) << rng.u8(0..8)),
        };
        (0..rng.usize(0..most)).map(|_| byte(rng)).collect()
    }

    #[test]
    fn ranges_are_counted_and_searched_as_bit_by_bit() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..3000 {
            let bytes = random_bytes(&mut rng, 200);
            let bits = bits_of(&bytes);
            let start = rng.usize(0..=bits.len());
            let end = rng.usize(start..=bits.len());
            let range = start as u64..end as u64;
            let part = &bits[start..end];
            assert_eq!(count_range(&bytes, range.clone()), part.iter().filter(|bit| **bit).count() as u64);
            for wanted in [false, true] {
                let found = part.iter().position(|bit| *bit == wanted).map(|at| (at + start) as u64);
                assert_eq!(find_in_range(&bytes, wanted, range.clone()), found);
            }
        }
    }

    #[test]
    fn fields_are_read_and_written_as_bit_by_bit() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..5000 {
            let signed = rng.bool();
            let kind = FieldType { signed, bits: rng.u32(1..=if signed { 64 } else { 63 }) };
            let mut bytes = random_bytes(&mut rng, 40);
            let offset = rng.u64(0..400);
            let by_hand = |bytes: &[u8]| {
                let mut value = 0u64;
                (0..u64::from(kind.bits))
                    .for_each(|at| value = value << 1 | u64::from(bit(bytes, offset + at)));
                kind.wrapped(value)
            };
            assert_eq!(kind.get(&bytes, offset), by_hand(&bytes));
            let needed = (offset + u64::from(kind.bits)).div_ceil(8) as usize;
            bytes.resize(bytes.len().max(needed), 0);
            let before = bits_of(&bytes);
            let value = rng.i64(..);
            kind.set(&mut bytes, offset, value);
            assert_eq!(kind.get(&bytes, offset), kind.wrapped(value as u64));
            let field = offset as usize..offset as usize + kind.bits as usize;
            for (at, (before, after)) in before.iter().zip(bits_of(&bytes)).enumerate() {
                assert!(field.contains(&at) || *before == after);
            }
        }
    }

    #[test]
    fn integers_that_do_not_fit() {
        let u8 = FieldType::parse(b"u8").expect("a type");
        assert_eq!(u8.fit(200, 100, Overflow::Wrap), Some(44));
        assert_eq!(u8.fit(200, 100, Overflow::Saturate), Some(255));
        assert_eq!(u8.fit(200, 100, Overflow::Fail), None);
        assert_eq!(u8.fit(10, -20, Overflow::Wrap), Some(246));
        assert_eq!(u8.fit(10, -20, Overflow::Saturate), Some(0));
        assert_eq!(u8.fit(-1, 0, Overflow::Saturate), Some(255));
        let i8 = FieldType::parse(b"i8").expect("a type");
        assert_eq!(i8.fit(100, 100, Overflow::Wrap), Some(-56));
        assert_eq!(i8.fit(100, 100, Overflow::Saturate), Some(127));
        assert_eq!(i8.fit(-100, -100, Overflow::Saturate), Some(-128));
        assert_eq!(i8.fit(i64::MIN, 0, Overflow::Saturate), Some(127), "as Redis answers");
        assert_eq!(i8.fit(i64::MIN + 128, 0, Overflow::Saturate), Some(-128));
        let i64 = FieldType::parse(b"i64").expect("a type");
        assert_eq!(i64.fit(i64::MAX, 1, Overflow::Saturate), Some(i64::MAX));
        assert_eq!(i64.fit(i64::MAX, 1, Overflow::Wrap), Some(i64::MIN));
        assert_eq!(i64.fit(-5, 3, Overflow::Fail), Some(-2));
        for bad in ["", "i", "u64", "i65", "u0", "i-1", "x8", "u08", "u8 "] {
            assert_eq!(FieldType::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn strings_are_combined_as_bit_by_bit() {
        let mut rng = fastrand::Rng::with_seed(4);
        for round in 0..400 {
            let most = if round % 8 == 0 { 3 * BLOCK_BYTES } else { 40 };
            let count = rng.usize(1..5);
            let sources: Vec<Vec<u8>> = (0..count).map(|_| random_bytes(&mut rng, most)).collect();
            let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            use Combine::*;
            let how = [And, Or, Xor, Not, Diff, Diff1, AndOr, One][rng.usize(0..8)];
            let result = combine(how, &sources);
            let bytes = |at: usize| sources.iter().map(move |source| source.get(at).copied().unwrap_or(0));
            for (at, byte) in result.iter().enumerate() {
                let (x, others) = (bytes(at).next().expect("there is one"), bytes(at).skip(1));
                let any = others.clone().fold(0, |a, b| a | b);
                let exactly_one = (0..8)
                    .filter(|bit| bytes(at).filter(|byte| byte >> bit & 1 == 1).count() == 1)
                    .fold(0, |sum, bit| sum | 1 << bit);
                let wanted = match how {
                    And => others.fold(x, |a, b| a & b),
                    Or => x | any,
                    Xor => others.fold(x, |a, b| a ^ b),
                    Not => !x,
                    Diff => x & !any,
                    Diff1 => !x & any,
                    AndOr => x & any,
                    One => exactly_one,
                };
                assert_eq!(*byte, wanted, "{how:?} at {at}");
            }
        }
    }
}
