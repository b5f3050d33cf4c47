#![allow(unsafe_code)]
//! Asking the processor to load what will be read soon.

/// Bytes that come with one of them.
const LINE_BYTES: usize = 64;
/// Of a long run the processor notices itself that it is read in order.
const RUN_LINES: usize = 16;

/// The line that this address lies in. Any address will do.
#[inline(always)]
pub fn prefetch(p: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing that the program could see and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = p;
}

/// The first lines of what will be read from its beginning on.
#[inline]
pub fn prefetch_bytes(bytes: &[u8]) {
    for line in 0..bytes.len().div_ceil(LINE_BYTES).min(RUN_LINES) {
        prefetch(bytes.as_ptr().wrapping_add(line * LINE_BYTES));
    }
}
