//! Sparse registers: runs of equal values.
//!
//! ```text
//!   ZERO   00llllll            l + 1 zeros, up to 64
//!   XZERO  01llllll llllllll   l + 1 zeros, up to 16384, high bits first
//!   VAL    1vvvvvll            l + 1 registers, up to 4, of value v + 1, up to 32
//! ```
//!
//! A sparse HyperLogLog becomes dense when a value over 32 is to be stored, or when it would grow over
//! `hll-sparse-max-bytes`. Which runs result from a change is Redis's choice, and kept to the byte: a run is split
//! around the register, then up to five runs from the one before on are looked at for neighbours to join.

use super::{Corrupted, HEADER_BYTES, REGISTERS, dense, forget_cached, make_dense};

const ZERO_MAX: usize = 64;
const VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
/// Runs looked at for joining, from the one before the change on.
const JOIN_SCAN: usize = 5;

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// How many registers.
    len: usize,
    /// 0 for a run of zeros.
    value: u8,
    bytes: usize,
}

/// The run that begins a slice; nothing when its second byte is missing.
#[inline]
fn run_at(bytes: &[u8]) -> Option<Run> {
    let first = *bytes.first()?;
    Some(if first & 0x80 != 0 {
        Run { len: usize::from(first & 3) + 1, value: (first >> 2 & 0x1f) + 1, bytes: 1 }
    } else if first & 0x40 == 0 {
        Run { len: usize::from(first & 0x3f) + 1, value: 0, bytes: 1 }
    } else {
        let len = u16::from_be_bytes([first & 0x3f, *bytes.get(1)?]);
        Run { len: usize::from(len) + 1, value: 0, bytes: 2 }
    })
}

/// How many registers the next eight runs cover, if each of them is one byte.
///
/// PERF: with a thousand elements PFADD walks about two thousand runs; eight at a time it takes 9,700 instructions instead
/// of 21,600 (callgrind, `perf/callgrind.sh` with `pfadd`).
#[inline]
fn eight_runs(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xFF;
    const PAIRS: u64 = u64::MAX / 0xFFFF;
    let word = u64::from_le_bytes(bytes.first_chunk().copied()?);
    let is_value = word >> 7 & EACH;
    if word >> 6 & EACH & !is_value != 0 {
        return None;
    }
    // Of each byte its length, less one: two bits of a run of values, six of one of zeros.
    let values = is_value * 0xFF;
    let lens = word & values & (EACH * 3) | word & !values & (EACH * 0x3F);
    let pairs = (lens & (PAIRS * 0xFF)) + (lens >> 8 & (PAIRS * 0xFF));
    Some((pairs.wrapping_mul(PAIRS) >> 48) as usize + 8)
}

/// Writes a run of zeros.
pub(super) fn push_zeros(to: &mut impl Extend<u8>, len: usize) {
    if len > ZERO_MAX {
        let [high, low] = ((len - 1) as u16).to_be_bytes();
        to.extend([high | 0x40, low]);
    } else if len > 0 {
        to.extend([(len - 1) as u8]);
    }
}

fn value_run(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

fn push_values(to: &mut impl Extend<u8>, value: u8, len: usize) {
    if len > 0 {
        to.extend([value_run(value, len)]);
    }
}

/// Visits the runs; what they cover must be all registers and no more.
fn for_each_run(mut bytes: &[u8], mut visit: impl FnMut(usize, Run)) -> Result<(), Corrupted> {
    let mut index = 0;
    while !bytes.is_empty() {
        let run = run_at(bytes).ok_or(Corrupted)?;
        if index + run.len > REGISTERS {
            return Err(Corrupted);
        }
        visit(index, run);
        index += run.len;
        bytes = &bytes[run.bytes..];
    }
    if index == REGISTERS { Ok(()) } else { Err(Corrupted) }
}

/// Visits the registers that are not zero.
pub(super) fn for_each(bytes: &[u8], mut visit: impl FnMut(usize, u8)) -> Result<(), Corrupted> {
    for_each_run(bytes, |index, run| {
        if run.value > 0 {
            (index..index + run.len).for_each(|index| visit(index, run.value));
        }
    })
}

/// How many registers have which value.
pub(super) fn histogram(bytes: &[u8]) -> Result<[u32; 64], Corrupted> {
    let mut histogram = [0; 64];
    for_each_run(bytes, |_, run| histogram[usize::from(run.value)] += run.len as u32)?;
    Ok(histogram)
}

/// Raises one register of a whole sparse HyperLogLog. True when it was below.
pub(super) fn set(bytes: &mut Vec<u8>, index: usize, value: u8, max_bytes: usize) -> Result<bool, Corrupted> {
    if value > VALUE_MAX {
        return promote(bytes, index, value);
    }
    // The run that covers the register, and the one before it.
    let (mut at, mut before, mut first) = (HEADER_BYTES, HEADER_BYTES, 0);
    let run = loop {
        if let Some(len) = eight_runs(&bytes[at..])
            && first + len <= index
        {
            before = at + 7;
            at += 8;
            first += len;
            continue;
        }
        let run = run_at(&bytes[at..]).ok_or(Corrupted)?;
        if index < first + run.len {
            break run;
        }
        before = at;
        at += run.bytes;
        first += run.len;
    };
    if run.value >= value {
        return Ok(false);
    }
    if run.bytes == 1 && run.len == 1 {
        bytes[at] = value_run(value, 1);
    } else {
        let mut split: smallvec::SmallVec<[u8; 8]> = smallvec::SmallVec::new();
        let (left, right) = (index - first, first + run.len - 1 - index);
        if run.value == 0 {
            push_zeros(&mut split, left);
            push_values(&mut split, value, 1);
            push_zeros(&mut split, right);
        } else {
            push_values(&mut split, run.value, left);
            push_values(&mut split, value, 1);
            push_values(&mut split, run.value, right);
        }
        if split.len() > run.bytes && bytes.len() + split.len() - run.bytes > max_bytes {
            return promote(bytes, index, value);
        }
        bytes.splice(at..at + run.bytes, split);
    }
    join(bytes, before);
    forget_cached(bytes);
    Ok(true)
}

#[cold]
fn promote(bytes: &mut Vec<u8>, index: usize, value: u8) -> Result<bool, Corrupted> {
    make_dense(bytes)?;
    let was_below = dense::set(&mut bytes[HEADER_BYTES..], index, value);
    // As the sparse one does when it changes.
    forget_cached(bytes);
    Ok(was_below)
}

/// Joins neighbours of the same value where one run can hold both.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_SCAN {
        let Some(run) = bytes.get(at..).and_then(run_at) else { return };
        let next = bytes.get(at + run.bytes..).and_then(run_at);
        match next {
            Some(next) if run.value > 0 && run.value == next.value && run.len + next.len <= VALUE_RUN_MAX => {
                bytes[at + 1] = value_run(run.value, run.len + next.len);
                bytes.remove(at);
            }
            _ => at += run.bytes,
        }
    }
}

/// The runs in words.
pub(super) fn decode(mut bytes: &[u8]) -> String {
    let mut words = Vec::new();
    while let Some(run) = run_at(bytes) {
        words.push(match run {
            Run { value: 0, len, bytes: 1 } => format!("z:{len}"),
            Run { value: 0, len, .. } => format!("Z:{len}"),
            Run { value, len, .. } => format!("v:{value},{len}"),
        });
        bytes = &bytes[run.bytes..];
    }
    words.join(" ")
}
