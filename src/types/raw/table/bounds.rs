#![allow(unsafe_code)]
//! Lower bounds of deadlines: a `u32` per bucket of a segment that has any, and the least of them.
//!
//! A bound counts milliseconds from the segment's base, so it reaches about fifty days; a later deadline has the last
//! bound there is, which is early and so still a bound. Bounds only fall, until the visit of a bucket that finds nothing
//! due sets it right (`deadline`), and time that comes near the end of what they express moves the base.

use super::bucket::bits;
use super::entry;
use super::segment::{NEVER, Segment, Spot};
use super::usage::Usage;
use std::alloc::{Layout, alloc, handle_alloc_error};

/// A bucket bound that stands for "no deadline here".
const BOUND_NONE: u32 = u32::MAX;
/// The latest time a bound can express; a valid, if early, bound of anything later.
const BOUND_LAST: u32 = u32::MAX - 1;
/// Bounds count from this much before the first deadline seen.
const BASE_MARGIN_MS: u64 = 1 << 30;

pub(super) fn bounds_layout(buckets: usize) -> Layout {
    Layout::array::<u32>(buckets).expect("at most 64 bounds")
}

pub(super) fn new_bounds(count: usize) -> *mut u32 {
    // SAFETY: the layout is not empty, and all bounds are written before anyone reads.
    unsafe {
        let bounds = alloc(bounds_layout(count)).cast::<u32>();
        if bounds.is_null() {
            handle_alloc_error(bounds_layout(count));
        }
        for index in 0..count {
            bounds.add(index).write(BOUND_NONE);
        }
        bounds
    }
}

impl Segment {
    /// Makes the bucket's and the segment's bound not later than `ms`; true when the segment's
    /// moved.
    #[inline]
    pub(super) fn note_deadline(&mut self, bucket: usize, ms: u64, usage: &mut Usage) -> bool {
        if self.bounds.is_null() {
            self.bounds = new_bounds(self.bucket_count());
            usage.index_bytes += bounds_layout(self.bucket_count()).size();
            if self.base_ms == 0 {
                self.base_ms = ms.saturating_sub(BASE_MARGIN_MS);
            }
        }
        if ms < self.base_ms {
            self.rebase(ms.saturating_sub(BASE_MARGIN_MS));
        }
        let at = self.lower_bound(bucket, ms);
        let moved = at < self.min_ms;
        if moved {
            self.min_ms = at;
        }
        moved
    }

    /// Makes the bucket's bound not later than `ms` and returns the time it then stands for.
    pub(super) fn lower_bound(&mut self, bucket: usize, ms: u64) -> u64 {
        let relative = ms.saturating_sub(self.base_ms).min(BOUND_LAST as u64) as u32;
        // SAFETY: there is a bound per bucket.
        let bound = unsafe { &mut *self.bounds.add(bucket) };
        *bound = relative.min(*bound);
        self.base_ms + relative as u64
    }

    /// Whether some deadline may be in this bucket.
    pub(super) fn may_have_deadline(&self, bucket: usize) -> bool {
        // SAFETY: there is a bound per bucket.
        !self.bounds.is_null() && unsafe { *self.bounds.add(bucket) } != BOUND_NONE
    }

    /// The bucket's bound as a time.
    pub(super) fn bound_ms(&self, bucket: usize) -> u64 {
        if !self.may_have_deadline(bucket) {
            return NEVER;
        }
        // SAFETY: there is a bound per bucket.
        self.base_ms + unsafe { *self.bounds.add(bucket) } as u64
    }

    /// Replaces the bucket's bound by the earliest deadline found in it.
    pub(super) fn set_bound(&mut self, bucket: usize, ms: u64) {
        debug_assert!(!self.bounds.is_null());
        let relative = match ms {
            NEVER => BOUND_NONE,
            ms => ms.saturating_sub(self.base_ms).min(BOUND_LAST as u64) as u32,
        };
        // SAFETY: there is a bound per bucket.
        unsafe { *self.bounds.add(bucket) = relative };
    }

    /// Makes `min_ms` the least of the bounds.
    pub(super) fn refresh_min(&mut self) {
        self.min_ms = NEVER;
        if self.bounds.is_null() {
            return;
        }
        // SAFETY: there is a bound per bucket.
        let bounds = unsafe { std::slice::from_raw_parts(self.bounds, self.bucket_count()) };
        let least = bounds.iter().copied().min().unwrap_or(BOUND_NONE);
        if least != BOUND_NONE {
            self.min_ms = self.base_ms + least as u64;
        }
    }

    /// Whether time has caught up with what bounds can express.
    pub(super) fn is_base_old(&self, now_ms: u64) -> bool {
        !self.bounds.is_null() && self.base_ms + (u32::MAX / 2) as u64 <= now_ms
    }

    /// Recounts all bounds from a new base.
    #[cold]
    pub(super) fn rebase(&mut self, base_ms: u64) {
        self.base_ms = base_ms;
        for bucket in 0..self.bucket_count() {
            let least = bits(self.bucket(bucket).occupied())
                // SAFETY: an occupied slot leads to a live entry.
                .filter_map(|slot| unsafe { entry::expire(self.entry(Spot { bucket, slot })) })
                .min();
            self.set_bound(bucket, least.unwrap_or(NEVER));
        }
    }
}
