#![allow(unsafe_code)]
//! One bucket: a cache line of nineteen slots.
//!
//! ```text
//!  0           19         20       21     22            60        64
//!  | fps 19x1  | spill_at | spilled | -  | offs 19 x 2  | behind  |
//! ```
//!
//! A slot is a fingerprint (0 means empty) and the offset of its entry. A key that finds its home
//! bucket full *spills* into one of the next eight; the home counts its spilled keys and marks the
//! distances, so that a miss touches one line unless something did spill.

pub(super) const SLOTS: usize = 19;
/// How many buckets after its home a key may be stored in.
pub(super) const WINDOW: usize = 8;
const SLOT_MASK: u32 = (1 << SLOTS) - 1;

#[repr(C, align(64))]
#[derive(Clone)]
pub(super) struct Bucket {
    pub fps: [u8; SLOTS],
    /// Bit d-1 is set when a key of this home may be stored d buckets further.
    pub spill_at: u8,
    /// Number of keys of this home stored elsewhere; at most 8 x 19.
    pub spilled: u8,
    pub _spare: u8,
    pub offs: [u16; SLOTS],
    /// Slots whose entries a walk need not see any more, as bits, see `save`; of the segment's epoch.
    pub behind: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);
const _: () = assert!(WINDOW * SLOTS < 256);

/// The fingerprint of a hash: its low byte, which no other choice in the table looks at.
#[inline(always)]
pub(super) fn fingerprint(hash: u64) -> u8 {
    let byte = hash as u8;
    byte + u8::from(byte == 0)
}

impl Bucket {
    pub(super) const EMPTY: Bucket =
        Bucket { fps: [0; SLOTS], spill_at: 0, spilled: 0, _spare: 0, offs: [0; SLOTS], behind: 0 };

    /// The slots whose fingerprint is `fp`, as bits.
    #[inline(always)]
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    pub(super) fn matching(&self, fp: u8) -> u32 {
        use std::arch::x86_64::*;
        let line = std::ptr::from_ref(self).cast::<__m128i>();
        // SAFETY: SSE2 is part of x86_64. Both loads are aligned and inside the 64-byte bucket;
        // what follows the fingerprints in the second load is masked away.
        unsafe {
            let wanted = _mm_set1_epi8(fp as i8);
            let low = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128(line), wanted)) as u32;
            let high = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128(line.add(1)), wanted)) as u32;
            (low | high << 16) & SLOT_MASK
        }
    }

    /// The slots whose fingerprint is `fp`, as bits.
    #[inline(always)]
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    pub(super) fn matching(&self, fp: u8) -> u32 {
        self.matching_portable(fp)
    }

    /// The naive twin of [`Bucket::matching`].
    #[cfg(any(test, miri, not(target_arch = "x86_64")))]
    pub(super) fn matching_portable(&self, fp: u8) -> u32 {
        (0..SLOTS).fold(0, |bits, slot| bits | u32::from(self.fps[slot] == fp) << slot)
    }

    /// The slots in use, as bits.
    #[inline(always)]
    pub(super) fn occupied(&self) -> u32 {
        !self.matching(0) & SLOT_MASK
    }

    /// The first free slot.
    #[inline(always)]
    pub(super) fn free_slot(&self) -> Option<usize> {
        let free = self.matching(0);
        (free != 0).then_some(free.trailing_zeros() as usize)
    }
}

/// The set bits of `bits`, lowest first.
#[inline(always)]
pub(super) fn bits(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            bit
        })
    })
}
