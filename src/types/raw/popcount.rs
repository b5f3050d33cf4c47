//! How many bits are set, at the speed of memory.
//!
//! The loop is plain code; what matters is for which processor it is compiled. With AVX2 the compiler counts 32 bytes
//! at a time by table look-ups of nibbles (Muła, Kurz, Lemire: "Faster population counts using AVX2 instructions"),
//! so the loop exists twice, and which of them runs is asked of the processor.

#![allow(unsafe_code)]

/// The number of bits that are set in `bytes`.
pub fn count_ones(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WORTH_ASKING_BYTES && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that the function asks for beyond the baseline.
        return unsafe { with_avx2(bytes) };
    }
    count(bytes)
}

/// Shorter ones are counted before the answer is there.
#[cfg(target_arch = "x86_64")]
const WORTH_ASKING_BYTES: usize = 64;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn with_avx2(bytes: &[u8]) -> u64 {
    count(bytes)
}

#[inline(always)]
fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let ones = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum::<u64>();
    ones + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::count_ones;

    #[test]
    fn counts_as_one_would_by_hand() {
        let mut rng = fastrand::Rng::with_seed(1);
        let bytes: Vec<u8> = (0..2000).map(|_| rng.u8(..)).collect();
        for _ in 0..2000 {
            let from = rng.usize(..bytes.len());
            let part = &bytes[from..rng.usize(from..bytes.len())];
            let by_hand: u32 =
                part.iter().flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit & 1))).sum();
            assert_eq!(count_ones(part), u64::from(by_hand));
        }
        assert_eq!(count_ones(&[0xff; 4096]), 8 * 4096);
    }
}
