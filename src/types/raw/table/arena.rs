#![allow(unsafe_code)]
//! The bytes of one segment: up to sixteen chunks of 4 KB, in which entries are addressed by a
//! 16-bit offset (chunk number and position). Entries never straddle chunks.
//!
//! Why chunks of one size: a contiguous buffer that grows wanders through the allocator's size
//! classes (four per doubling), which costs a tenth in slack and leaves holes of every former
//! size behind; equal chunks are reused by any segment at once, and growing copies nothing.
//! Only the last chunk may be smaller than 4 KB; it grows in quarters.
//!
//! Space given back becomes a *hole* on one of eight lists by size; what is too small for a list
//! is lost until the segment is rewritten. Both are counted as garbage.
//!
//! INVARIANT: bytes of live entries + `garbage` = 4096 x (count - 1) + `used`.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};

pub(super) const CHUNK_BYTES: usize = 4096;
pub(super) const CHUNKS_MAX: usize = 16;
const CHUNK_SHIFT: u32 = CHUNK_BYTES.trailing_zeros();
/// A hole stores its size and the next hole's offset in place.
const HOLE_MIN: usize = 4;
/// Smaller remainders of a hole are not worth a place on a list.
const REMAINDER_MIN: usize = 8;
const LISTS: usize = 8;
const NIL: u16 = u16::MAX;
/// Capacities of a first chunk; later ones start at a quarter.
const STEPS: [usize; 8] = [64, 128, 256, 512, 1024, 2048, 3072, 4096];
/// How many holes of a list are looked at before giving up on it.
const FIT_TRIES: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ArenaFull {
    /// Enough garbage to be worth rewriting the segment instead of growing it.
    Garbage,
    /// No further chunk may be added.
    Chunks,
}

pub(super) struct Arena {
    chunks: [*mut u8; CHUNKS_MAX],
    holes: [u16; LISTS],
    garbage: u32,
    used: u16,
    cap: u16,
    count: u8,
}

const fn list_of(size: usize) -> usize {
    let list = size >> 4;
    if list < LISTS { list } else { LISTS - 1 }
}

fn layout(cap: usize) -> Layout {
    Layout::from_size_align(cap, 1).expect("a chunk is at most 4 KB")
}

impl Arena {
    pub(super) const fn new() -> Self {
        Arena {
            chunks: [std::ptr::null_mut(); CHUNKS_MAX],
            holes: [NIL; LISTS],
            garbage: 0,
            used: 0,
            cap: 0,
            count: 0,
        }
    }

    /// The address of the entry at `off`.
    ///
    /// # Safety
    /// `off` must come from [`Arena::alloc`] of this arena and not have been freed since.
    #[inline(always)]
    pub(super) unsafe fn at(&self, off: u16) -> *mut u8 {
        let (chunk, pos) = (off >> CHUNK_SHIFT, off as usize & (CHUNK_BYTES - 1));
        // SAFETY: a 16-bit offset names one of sixteen chunks, and by contract the chunk exists
        // and reaches past the position.
        unsafe { self.chunks.get_unchecked(chunk as usize).add(pos) }
    }

    /// Bytes taken from entries, holes and losses included.
    #[inline]
    pub(super) fn filled_bytes(&self) -> usize {
        (self.count as usize).saturating_sub(1) * CHUNK_BYTES + self.used as usize
    }

    pub(super) fn live_bytes(&self) -> usize {
        self.filled_bytes() - self.garbage as usize
    }

    /// Bytes obtained from the allocator.
    pub(super) fn allocated_bytes(&self) -> usize {
        (self.count as usize).saturating_sub(1) * CHUNK_BYTES + self.cap as usize
    }

    /// Whether rewriting the segment would give back a good part of it.
    pub(super) fn is_wasteful(&self) -> bool {
        self.garbage >= 2048 && self.garbage as usize * 3 > self.filled_bytes()
    }

    /// Finds room for `size` bytes and returns its offset; `allocated` follows growth.
    ///
    /// With `may_refuse`, a new chunk is refused while an eighth of the arena is garbage.
    #[inline]
    pub(super) fn alloc(
        &mut self,
        size: usize,
        may_refuse: bool,
        allocated: &mut usize,
    ) -> Result<u16, ArenaFull> {
        debug_assert!((HOLE_MIN..=1024).contains(&size));
        if self.garbage as usize >= size
            && let Some(off) = self.alloc_hole(size)
        {
            return Ok(off);
        }
        if self.used as usize + size > self.cap as usize {
            self.grow(size, may_refuse, allocated)?;
        }
        let off = (self.count as usize - 1) << CHUNK_SHIFT | self.used as usize;
        self.used += size as u16;
        Ok(off as u16)
    }

    fn alloc_hole(&mut self, size: usize) -> Option<u16> {
        for list in list_of(size)..LISTS {
            let mut before: Option<u16> = None;
            let mut off = self.holes[list];
            for _ in 0..FIT_TRIES {
                if off == NIL {
                    break;
                }
                let (hole, next) = self.hole(off);
                if hole >= size {
                    match before {
                        None => self.holes[list] = next,
                        Some(before) => {
                            let (before_size, _) = self.hole(before);
                            self.set_hole(before, before_size, next);
                        }
                    }
                    self.garbage -= hole as u32;
                    if hole > size {
                        self.discard(off + size as u16, hole - size);
                    }
                    return Some(off);
                }
                before = Some(off);
                off = next;
            }
        }
        None
    }

    /// Gives `size` bytes at `off` back.
    #[inline]
    pub(super) fn free(&mut self, off: u16, size: usize) {
        let top = (self.count as usize - 1) << CHUNK_SHIFT | self.used as usize;
        if off as usize + size == top && self.used as usize >= size {
            // The last entry of the last chunk simply comes off the top.
            self.used -= size as u16;
            return;
        }
        self.discard(off, size);
    }

    /// Counts bytes as garbage, and lists them when they are enough for another entry.
    pub(super) fn discard(&mut self, off: u16, size: usize) {
        self.garbage += size as u32;
        if size >= REMAINDER_MIN {
            let list = list_of(size);
            self.set_hole(off, size, self.holes[list]);
            self.holes[list] = off;
        }
    }

    fn hole(&self, off: u16) -> (usize, u16) {
        // SAFETY: `off` is on a hole list, so its first four bytes were written by `set_hole`.
        unsafe {
            let at = self.at(off).cast::<[u16; 2]>().read_unaligned();
            (at[0] as usize, at[1])
        }
    }

    fn set_hole(&mut self, off: u16, size: usize, next: u16) {
        debug_assert!((HOLE_MIN..=CHUNK_BYTES).contains(&size));
        // SAFETY: the hole lies in an allocated chunk, belongs to no entry and has four bytes.
        unsafe { self.at(off).cast::<[u16; 2]>().write_unaligned([size as u16, next]) }
    }

    #[cold]
    fn grow(&mut self, size: usize, may_refuse: bool, allocated: &mut usize) -> Result<(), ArenaFull> {
        if (self.cap as usize) < CHUNK_BYTES && self.count > 0 {
            let want = (self.used as usize + size).min(CHUNK_BYTES);
            self.resize_last(want, allocated);
            if self.used as usize + size <= self.cap as usize {
                return Ok(());
            }
        }
        if may_refuse && self.garbage >= 1024 && self.garbage as usize * 8 > self.filled_bytes() {
            return Err(ArenaFull::Garbage);
        }
        if self.count as usize == CHUNKS_MAX {
            return Err(ArenaFull::Chunks);
        }
        if self.count > 0 {
            let tail = CHUNK_BYTES - self.used as usize;
            let off = (self.count as usize - 1) << CHUNK_SHIFT | self.used as usize;
            self.used = CHUNK_BYTES as u16;
            if tail > 0 {
                self.discard(off as u16, tail);
            }
        }
        let first = if self.count == 0 { size } else { size.max(CHUNK_BYTES / 4) };
        let cap = step_for(first);
        // SAFETY: the layout has a size of at least 64.
        let chunk = unsafe { alloc(layout(cap)) };
        if chunk.is_null() {
            handle_alloc_error(layout(cap));
        }
        self.chunks[self.count as usize] = chunk;
        self.count += 1;
        self.used = 0;
        self.cap = cap as u16;
        *allocated += cap;
        Ok(())
    }

    fn resize_last(&mut self, want: usize, allocated: &mut usize) {
        let last = self.count as usize - 1;
        let (old, cap) = (self.cap as usize, step_for(want));
        if cap == old {
            return;
        }
        // SAFETY: the last chunk was allocated with capacity `old`.
        let chunk = unsafe { realloc(self.chunks[last], layout(old), cap) };
        if chunk.is_null() {
            handle_alloc_error(layout(cap));
        }
        self.chunks[last] = chunk;
        self.cap = cap as u16;
        *allocated = *allocated + cap - old;
    }

    /// Frees all chunks; entries must have been dropped or moved before.
    pub(super) fn release(&mut self, allocated: &mut usize) {
        *allocated -= self.allocated_bytes();
        for index in 0..self.count as usize {
            let cap = if index + 1 == self.count as usize { self.cap as usize } else { CHUNK_BYTES };
            // SAFETY: every chunk but the last has 4 KB, the last has `cap`; none is used again,
            // because the arena is emptied below.
            unsafe { dealloc(self.chunks[index], layout(cap)) };
        }
        *self = Arena::new();
    }

    /// Checks the hole lists and returns the bytes they hold.
    pub(super) fn verify_holes(&self) -> usize {
        let mut total = 0;
        for list in 0..LISTS {
            let mut off = self.holes[list];
            while off != NIL {
                let (size, next) = self.hole(off);
                assert_eq!(list_of(size), list, "a hole is on the list of its size");
                assert!(size >= REMAINDER_MIN, "no list holds tiny holes");
                total += size;
                assert!(total <= self.garbage as usize, "holes are counted as garbage");
                off = next;
            }
        }
        total
    }
}

fn step_for(want: usize) -> usize {
    STEPS.into_iter().find(|&step| step >= want).expect("no entry is larger than a chunk")
}
