//! HyperLogLog: how many different elements were added, within about 0.81 %, in at most 12 KB.
//!
//! A HyperLogLog is a string in Redis's layout, byte for byte, so that values move between the two:
//!
//! ```text
//!   "HYLL"  encoding  unused   cached cardinality          registers
//!   4 bytes  1 byte   3 bytes  8 bytes, little-endian;     dense or sparse
//!                              highest bit: out of date
//! ```
//!
//! There are 2^14 registers. An element's hash chooses one by its low 14 bits; the register keeps the longest run of
//! zeros, plus one, that was met in the other 50 bits. The estimate from them is Ertl's ("New cardinality estimation
//! algorithms for HyperLogLog sketches", arXiv:1702.01284), computed in the order in which Redis computes it, so that
//! counts are equal.
//!
//! - [`dense`]: six bits per register, packed.
//! - [`sparse`]: runs, up to `hll-sparse-max-bytes`.
//!
//! INVARIANT: what is in the string may come from anyone. Nothing is read or written outside of it, and runs that do
//! not add up are [`Corrupted`].

mod dense;
mod estimate;
mod hash;
mod sparse;
#[cfg(test)]
mod tests;

pub use dense::DENSE_BYTES;

/// How many registers there are.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of the hash that choose a register.
const INDEX_BITS: u32 = 14;
/// Bits of the hash in which zeros are counted; the largest value that counts is one more.
const RUN_BITS: usize = 64 - INDEX_BITS as usize;
/// Bytes before the registers.
const HEADER_BYTES: usize = 16;
const MAGIC: &[u8; 4] = b"HYLL";
/// Where the cached cardinality stands.
const CACHE: std::ops::Range<usize> = 8..16;
const OUT_OF_DATE: u8 = 0x80;

/// The sparse representation contradicts itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupted;

/// How the registers are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// A byte per register, as unions are computed.
pub type Registers = [u8; REGISTERS];

/// The encoding of a HyperLogLog; nothing when the string is none. Runs are not looked at.
pub fn encoding_of(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes[4] {
        0 if bytes.len() == DENSE_BYTES => Some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

/// An empty one: a header and one run of zeros.
pub fn new() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0, 0, 0]);
    bytes.extend([0; 8]);
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// The cardinality that was stored, if nothing was added since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let cache = bytes[CACHE].try_into().expect("eight bytes");
    (bytes[CACHE.end - 1] & OUT_OF_DATE == 0).then_some(u64::from_le_bytes(cache))
}

/// Stores the cardinality.
pub fn set_cached(bytes: &mut [u8], cardinality: u64) {
    bytes[CACHE].copy_from_slice(&cardinality.to_le_bytes());
}

/// Says that the stored cardinality is out of date.
pub fn forget_cached(bytes: &mut [u8]) {
    bytes[CACHE.end - 1] |= OUT_OF_DATE;
}

/// Adds an element. True when that changed a register. May become dense: see [`sparse`].
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_max_bytes: usize) -> Result<bool, Corrupted> {
    let (index, value) = hash::register_of(element);
    set(bytes, index, value, sparse_max_bytes)
}

/// Raises a register to a value. True when it was below.
fn set(bytes: &mut Vec<u8>, index: usize, value: u8, sparse_max_bytes: usize) -> Result<bool, Corrupted> {
    if bytes[4] == 0 {
        Ok(dense::set(&mut bytes[HEADER_BYTES..], index, value))
    } else {
        sparse::set(bytes, index, value, sparse_max_bytes)
    }
}

/// Makes it dense. False when it was.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupted> {
    if bytes[4] == 0 {
        return Ok(false);
    }
    let mut dense = vec![0; DENSE_BYTES];
    dense[..HEADER_BYTES].copy_from_slice(&bytes[..HEADER_BYTES]);
    dense[4] = 0;
    sparse::for_each(&bytes[HEADER_BYTES..], |index, value| {
        dense::set(&mut dense[HEADER_BYTES..], index, value);
    })?;
    *bytes = dense;
    Ok(true)
}

/// The estimate of the cardinality.
pub fn count(bytes: &[u8]) -> Result<u64, Corrupted> {
    let registers = &bytes[HEADER_BYTES..];
    let histogram = if bytes[4] == 0 { dense::histogram(registers) } else { sparse::histogram(registers)? };
    Ok(estimate::cardinality(&histogram))
}

/// The estimate for registers that are a byte each.
pub fn count_registers(registers: &Registers) -> u64 {
    let mut histogram = [0; 64];
    registers.iter().for_each(|value| histogram[usize::from(value & 63)] += 1);
    estimate::cardinality(&histogram)
}

/// Raises registers to those of a HyperLogLog.
pub fn merge(into: &mut Registers, bytes: &[u8]) -> Result<(), Corrupted> {
    let registers = &bytes[HEADER_BYTES..];
    if bytes[4] == 0 {
        dense::merge(into, registers);
        Ok(())
    } else {
        sparse::for_each(registers, |index, value| into[index] = into[index].max(value))
    }
}

/// Raises the registers of a valid HyperLogLog to these, one by one as Redis does, so that the bytes are the same.
pub fn raise(bytes: &mut Vec<u8>, to: &Registers, sparse_max_bytes: usize) -> Result<(), Corrupted> {
    for (index, value) in to.iter().enumerate().filter(|(_, value)| **value > 0) {
        set(bytes, index, *value, sparse_max_bytes)?;
    }
    forget_cached(bytes);
    Ok(())
}

/// The registers of a dense HyperLogLog.
pub fn registers(bytes: &[u8]) -> impl Iterator<Item = u8> {
    dense::iter(&bytes[HEADER_BYTES..])
}

/// The runs of a sparse HyperLogLog in words, as PFDEBUG DECODE shows them.
pub fn decode(bytes: &[u8]) -> String {
    sparse::decode(&bytes[HEADER_BYTES..])
}

/// Compares the two representations with each other and the estimate with the truth, as PFSELFTEST does.
///
/// Takes a while: a million elements are added.
pub fn self_test(seed: u64) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut packed = vec![0; DENSE_BYTES - HEADER_BYTES];
    for _ in 0..10 {
        let wanted: Vec<u8> = (0..REGISTERS).map(|_| rng.u8(0..64)).collect();
        wanted.iter().enumerate().for_each(|(index, value)| dense::put(&mut packed, index, *value));
        if let Some(index) = (0..REGISTERS).find(|index| dense::get(&packed, *index) != wanted[*index]) {
            let (wanted, got) = (wanted[index], dense::get(&packed, index));
            return Err(format!("TESTFAILED Register {index} should be {wanted} but is {got}"));
        }
    }
    let sparse_max_bytes = 3000;
    let (mut dense, mut other) = (new(), new());
    make_dense(&mut dense).expect("it is new");
    let mut checkpoint = 1;
    for element in 1..=1_000_000u64 {
        let bytes = (element ^ seed).to_le_bytes();
        let added = add(&mut dense, &bytes, sparse_max_bytes);
        if added != add(&mut other, &bytes, sparse_max_bytes) {
            return Err("TESTFAILED dense/sparse disagree".to_owned());
        }
        if element != checkpoint {
            continue;
        }
        if element < sparse_max_bytes as u64 / 2 && encoding_of(&other) != Some(Encoding::Sparse) {
            return Err("TESTFAILED sparse encoding not used".to_owned());
        }
        let counted = count(&dense).expect("nothing is wrong with a dense one");
        if count(&other) != Ok(counted) {
            return Err("TESTFAILED dense/sparse disagree".to_owned());
        }
        let standard_error = 1.04 / (REGISTERS as f64).sqrt();
        let most = if element == 10 { 1 } else { (standard_error * 6.0 * element as f64).ceil() as u64 };
        let error = counted.abs_diff(element);
        if error > most {
            return Err(format!("TESTFAILED Too big error. card:{element} abserr:{error}"));
        }
        checkpoint *= 10;
    }
    Ok(())
}
