//! The one hash function of keys.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher as _};

/// The seeded hash of key bytes that every table and every caller of one process shares.
///
/// Whoever starts the process draws the seed; a fixed seed makes a run repeatable.
#[derive(Clone, Debug)]
pub struct Hasher {
    state: RandomState,
    /// Tests of collisions keep only some bits.
    #[cfg(test)]
    pub(super) keep: u64,
}

impl Hasher {
    /// Makes the hasher of a process from its random seed.
    pub fn from_seed(seed: u64) -> Self {
        // Splitmix64 spreads one word over the four that the hash wants.
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Hasher {
            state: RandomState::with_seeds(next(), next(), next(), next()),
            #[cfg(test)]
            keep: u64::MAX,
        }
    }

    /// Hashes the bytes of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        // The bytes alone: `hash_one` would also mix in a length prefix that nothing here needs.
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        #[cfg(test)]
        return hasher.finish() & self.keep;
        #[cfg(not(test))]
        hasher.finish()
    }
}
