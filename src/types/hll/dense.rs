//! Dense registers: six bits each, the first in the low bits of the first byte.
//!
//! ```text
//!   byte 0     byte 1     byte 2
//!   11000000   22221111   33333322      the digit is the register; four of them in three bytes
//! ```

use super::{HEADER_BYTES, REGISTERS, Registers};

const BITS: usize = 6;
const MASK: u8 = (1 << BITS) - 1;
/// A whole dense HyperLogLog.
pub const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * BITS / 8;

/// One register.
pub(super) fn get(packed: &[u8], index: usize) -> u8 {
    let (byte, shift) = (index * BITS / 8, index * BITS % 8);
    let next = packed.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([packed[byte], next]) >> shift) as u8 & MASK
}

/// Writes one register.
pub(super) fn put(packed: &mut [u8], index: usize, value: u8) {
    let (byte, shift) = (index * BITS / 8, index * BITS % 8);
    let mask = u16::from(MASK) << shift;
    let bits = u16::from(value & MASK) << shift;
    packed[byte] = packed[byte] & !(mask as u8) | bits as u8;
    if shift + BITS > 8 {
        packed[byte + 1] = packed[byte + 1] & !((mask >> 8) as u8) | (bits >> 8) as u8;
    }
}

/// Raises one register. True when it was below.
pub(super) fn set(packed: &mut [u8], index: usize, value: u8) -> bool {
    let is_below = get(packed, index) < value;
    if is_below {
        put(packed, index, value);
    }
    is_below
}

/// Four registers from three bytes.
fn unpack(&[a, b, c]: &[u8; 3]) -> [u8; 4] {
    [a & MASK, (a >> 6 | b << 2) & MASK, (b >> 4 | c << 4) & MASK, c >> 2]
}

/// All registers in their order.
pub(super) fn iter(packed: &[u8]) -> impl Iterator<Item = u8> {
    packed.as_chunks::<3>().0.iter().flat_map(unpack)
}

/// How many registers have which value.
pub(super) fn histogram(packed: &[u8]) -> [u32; 64] {
    // Four tables, so that registers of equal value side by side do not wait for each other.
    let mut tables = [[0u32; 64]; 4];
    for three in packed.as_chunks::<3>().0 {
        let four = unpack(three);
        tables.iter_mut().zip(four).for_each(|(table, value)| table[usize::from(value & MASK)] += 1);
    }
    std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum())
}

/// Raises registers that are a byte each to these.
pub(super) fn merge(into: &mut Registers, packed: &[u8]) {
    for (into, three) in into.as_chunks_mut::<4>().0.iter_mut().zip(packed.as_chunks::<3>().0) {
        let four = unpack(three);
        *into = std::array::from_fn(|at| into[at].max(four[at]));
    }
}
