//! The one hash function of keys.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher as _};
use std::sync::OnceLock;

/// The process's hasher, for tables that are made where no shard is at hand.
static SHARED: OnceLock<Hasher> = OnceLock::new();

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

    /// Makes this the hasher that [`Hasher::shared`] gives. Whoever starts the process calls it before any table is
    /// made; a later call changes nothing, because tables hold what they were made with.
    pub fn share(&self) {
        SHARED.get_or_init(|| self.clone());
    }

    /// The process's hasher: for big sets and hashes, which also RESTORE makes and which travel between shards.
    ///
    /// Without [`Hasher::share`] (tests, the simulation) its seed is fixed, so that every run is the same.
    pub fn shared() -> Hasher {
        SHARED.get_or_init(|| Hasher::from_seed(0)).clone()
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
