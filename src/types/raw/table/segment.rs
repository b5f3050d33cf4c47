#![allow(unsafe_code)]
//! One segment: an array of buckets and the arena its entries live in.
//!
//! A segment knows nothing of the directory, of value types or of deadlines' meaning; it places,
//! finds and takes out entries whose hash the caller supplies.
//!
//! INVARIANTS, checked by `verify`:
//! * every entry's hash starts with the `depth` bits of `prefix`;
//! * an entry is in its home bucket or in one of the [`WINDOW`] buckets after it (cyclic), and
//!   then its home's `spill_at` marks the distance and `spilled` counts it;
//! * `bounds`, when there, holds for every bucket a time not later than the earliest deadline of
//!   the entries stored in it; `min_ms` is not later than any of them.

use super::arena::{Arena, ArenaFull};
use super::bounds::{bounds_layout, new_bounds};
use super::bucket::{Bucket, SLOTS, WINDOW, bits, fingerprint};
use super::entry;
use super::hasher::Hasher;
use super::usage::Usage;
use crate::types::raw::prefetch;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::null_mut;

/// Bucket counts of a segment. PERF: steps of 8 save a tenth of a byte per key on average and cost
/// 240 instructions more per new key (callgrind, `table_figures inserts`). 24 is there because halves of segments that
/// are full of entries of some 90 bytes have it: RSS of 3 million such keys with deadlines fell by 0.7 bytes per key.
const BUCKET_STEPS: [usize; 9] = [1, 2, 4, 8, 16, 24, 32, 48, 64];
pub(super) const MAX_BUCKETS: usize = 64;
/// Buckets lie in pieces of this many. PERF: one array per segment would pass through a size
/// class of the allocator at every step, and the classes left behind by all segments at once cost
/// up to 3.7 bytes per key (RSS of 3 million keys less what was asked for); with pieces it is 0.5.
const PIECE_BUCKETS: usize = 8;
const PIECES: usize = MAX_BUCKETS / PIECE_BUCKETS;
/// A key's place inside a segment is decided by this many bits after the segment's prefix.
const PLACE_BITS: u32 = 16;
/// Scan cursors hold this many top bits of the hash.
pub(super) const CURSOR_BITS: u32 = 42;
/// With this bound the place bits of the deepest segment are part of a cursor.
pub(super) const MAX_DEPTH: u32 = CURSOR_BITS - PLACE_BITS;
/// A segment is rewritten with about this many of a hundred slots in use.
const FILL_PERCENT: usize = 80;

/// `min_ms` of a segment without deadlines.
pub(super) const NEVER: u64 = u64::MAX;
pub(super) const NOT_IN_HEAP: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// No free slot in the key's window.
    Index,
    Garbage,
    Chunks,
}

impl From<ArenaFull> for Full {
    fn from(full: ArenaFull) -> Self {
        match full {
            ArenaFull::Garbage => Full::Garbage,
            ArenaFull::Chunks => Full::Chunks,
        }
    }
}

/// Where an entry is inside a segment.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub bucket: usize,
    pub slot: usize,
}

pub(super) struct Segment {
    pieces: [*mut Bucket; PIECES],
    bucket_count: u32,
    pub depth: u32,
    pub arena: Arena,
    pub len: u32,
    pub heap_at: u32,
    /// The table's epoch that the buckets' `behind` are of, see `save`: in another one they mean nothing.
    pub walked: u32,
    /// The top `depth` bits of the hashes that belong here, left-aligned.
    pub prefix: u64,
    /// Per bucket a lower bound of its earliest deadline, see `bounds`; null until the first deadline.
    pub bounds: *mut u32,
    /// What bounds count from.
    pub base_ms: u64,
    /// A lower bound of the segment's earliest deadline, or `NEVER`.
    pub min_ms: u64,
    /// A further member for the same hashes, when splitting cannot help.
    pub next: *mut Segment,
}

fn buckets_for(len: usize) -> usize {
    let wanted = (len * 100).div_ceil(SLOTS * FILL_PERCENT);
    BUCKET_STEPS.into_iter().find(|&step| step >= wanted).unwrap_or(MAX_BUCKETS)
}

/// The layout of one piece of an index of `buckets`.
fn piece_layout(buckets: usize) -> Layout {
    Layout::array::<Bucket>(buckets.min(PIECE_BUCKETS)).expect("at most 8 buckets")
}

fn index_bytes(buckets: usize) -> usize {
    buckets * size_of::<Bucket>()
}

fn new_pieces(count: usize) -> [*mut Bucket; PIECES] {
    debug_assert!(count < PIECE_BUCKETS || count.is_multiple_of(PIECE_BUCKETS));
    let layout = piece_layout(count);
    let mut pieces = [null_mut(); PIECES];
    for piece in &mut pieces[..count.div_ceil(PIECE_BUCKETS)] {
        // SAFETY: the layout is not empty, and all buckets are written before anyone reads.
        unsafe {
            *piece = alloc(layout).cast::<Bucket>();
            if piece.is_null() {
                handle_alloc_error(layout);
            }
            for index in 0..count.min(PIECE_BUCKETS) {
                piece.add(index).write(Bucket::EMPTY);
            }
        }
    }
    pieces
}

/// The home of `hash` among `buckets` buckets of a segment of `depth`: grows with the hash.
#[inline(always)]
fn home_of(hash: u64, depth: u32, buckets: usize) -> usize {
    let place = ((hash << depth) >> (64 - PLACE_BITS)) as usize;
    (place * buckets) >> PLACE_BITS
}

/// The bucket `distance` after `home`, of `buckets`.
#[inline(always)]
fn after(home: usize, distance: usize, buckets: usize) -> usize {
    let index = home + distance;
    if index >= buckets { index - buckets } else { index }
}

impl Segment {
    /// A new segment for about `expected` entries.
    pub(super) fn boxed(
        expected: usize,
        depth: u32,
        prefix: u64,
        epoch: u32,
        usage: &mut Usage,
    ) -> *mut Segment {
        let count = buckets_for(expected.max(1));
        usage.index_bytes += index_bytes(count) + size_of::<Segment>();
        Box::into_raw(Box::new(Segment {
            pieces: new_pieces(count),
            bucket_count: count as u32,
            depth,
            arena: Arena::new(),
            len: 0,
            heap_at: NOT_IN_HEAP,
            walked: epoch,
            prefix,
            bounds: null_mut(),
            base_ms: 0,
            min_ms: NEVER,
            next: null_mut(),
        }))
    }

    /// Frees the segment without looking at its entries.
    ///
    /// # Safety
    /// `segment` came from [`Segment::boxed`], nothing else refers to it, and what its entries
    /// own has been dropped or moved.
    pub(super) unsafe fn free(segment: *mut Segment, usage: &mut Usage) {
        // SAFETY: by contract.
        let mut segment = unsafe { Box::from_raw(segment) };
        segment.free_index(usage);
        usage.live_bytes -= segment.arena.live_bytes();
        segment.arena.release(&mut usage.arena_bytes);
        usage.index_bytes -= size_of::<Segment>();
    }

    fn free_index(&mut self, usage: &mut Usage) {
        let count = self.bucket_count as usize;
        usage.index_bytes -= index_bytes(count);
        // SAFETY: all were allocated for `bucket_count` buckets and are not used again.
        unsafe {
            for &piece in &self.pieces[..count.div_ceil(PIECE_BUCKETS)] {
                dealloc(piece.cast(), piece_layout(count));
            }
            if !self.bounds.is_null() {
                dealloc(self.bounds.cast(), bounds_layout(count));
                usage.index_bytes -= bounds_layout(count).size();
            }
        }
    }

    #[inline(always)]
    pub(super) fn bucket_count(&self) -> usize {
        self.bucket_count as usize
    }

    #[inline(always)]
    pub(super) fn home(&self, hash: u64) -> usize {
        home_of(hash, self.depth, self.bucket_count as usize)
    }

    /// # Safety
    /// There is a bucket `index`.
    #[inline(always)]
    unsafe fn bucket_at(&self, index: usize) -> *mut Bucket {
        // SAFETY: by contract; the piece has the bucket.
        unsafe { self.pieces.get_unchecked(index / PIECE_BUCKETS).add(index % PIECE_BUCKETS) }
    }

    #[inline(always)]
    pub(super) fn bucket(&self, index: usize) -> &Bucket {
        debug_assert!(index < self.bucket_count());
        // SAFETY: every index comes from `home`, `after` or a loop over the buckets.
        unsafe { &*self.bucket_at(index) }
    }

    #[inline(always)]
    pub(super) fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        debug_assert!(index < self.bucket_count());
        // SAFETY: as for `bucket`.
        unsafe { &mut *self.bucket_at(index) }
    }

    /// The bucket `distance` after `home`.
    #[inline(always)]
    fn after(&self, home: usize, distance: usize) -> usize {
        after(home, distance, self.bucket_count())
    }

    /// The address of the entry in an occupied slot.
    #[inline(always)]
    pub(super) fn entry(&self, spot: Spot) -> *mut u8 {
        let off = self.bucket(spot.bucket).offs[spot.slot];
        // SAFETY: an occupied slot's offset is that of a live entry.
        unsafe { self.arena.at(off) }
    }

    /// The first scan cursor after the home bucket of cursor `at`.
    pub(super) fn cursor_after(&self, at: u64) -> u64 {
        let home = self.home(at << (64 - CURSOR_BITS));
        let place = ((home as u64 + 1) << PLACE_BITS).div_ceil(self.bucket_count as u64);
        let step = CURSOR_BITS - self.depth - PLACE_BITS;
        (self.prefix >> (64 - CURSOR_BITS)) + (place << step)
    }

    /// Asks the processor to load the line a look-up starts with.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(std::ptr::from_ref(self.bucket(self.home(hash))).cast());
    }

    /// Asks the processor to load the entry that probably has this hash.
    #[inline(always)]
    pub(super) fn prefetch_entry(&self, hash: u64) {
        let bucket = self.bucket(self.home(hash));
        let found = bucket.matching(fingerprint(hash));
        if found != 0 {
            let slot = found.trailing_zeros() as usize;
            // SAFETY: an occupied slot's offset is that of a live entry.
            prefetch(unsafe { self.arena.at(bucket.offs[slot]) });
        }
    }

    /// Asks the processor to load all entries of a bucket.
    pub(super) fn prefetch_bucket_entries(&self, index: usize) {
        let bucket = self.bucket(index);
        for slot in bits(bucket.occupied()) {
            // SAFETY: an occupied slot's offset is that of a live entry.
            prefetch(unsafe { self.arena.at(bucket.offs[slot]) });
        }
    }

    /// Finds the entry of `key`.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<(Spot, *mut u8)> {
        let home = self.home(hash);
        let fp = fingerprint(hash);
        let found = self.find_in(home, fp, key);
        if found.is_some() || self.bucket(home).spilled == 0 {
            return found;
        }
        self.find_spilled(home, fp, key)
    }

    #[inline(always)]
    fn find_in(&self, index: usize, fp: u8, key: &[u8]) -> Option<(Spot, *mut u8)> {
        let bucket = self.bucket(index);
        let mut found = bucket.matching(fp);
        while found != 0 {
            let slot = found.trailing_zeros() as usize;
            // SAFETY: a slot with a fingerprint is occupied, so its offset is a live entry's.
            // `matching` only sets the low 19 bits.
            let p = unsafe { self.arena.at(*bucket.offs.get_unchecked(slot)) };
            // SAFETY: `p` is a live entry.
            if unsafe { entry::key_is(p, key) } {
                return Some((Spot { bucket: index, slot }, p));
            }
            found &= found - 1;
        }
        None
    }

    #[inline(never)]
    fn find_spilled(&self, home: usize, fp: u8, key: &[u8]) -> Option<(Spot, *mut u8)> {
        bits(self.bucket(home).spill_at as u32)
            .find_map(|bit| self.find_in(self.after(home, bit + 1), fp, key))
    }

    /// Takes a slot and `size` bytes for a key that is not in the segment; the caller writes the
    /// entry.
    #[inline]
    pub(super) fn place(
        &mut self,
        hash: u64,
        size: usize,
        may_refuse: bool,
        usage: &mut Usage,
    ) -> Result<(Spot, *mut u8), Full> {
        let home = self.home(hash);
        let (spot, distance) = self.free_spot(home).ok_or(Full::Index)?;
        let off = self.arena.alloc(size, may_refuse, &mut usage.arena_bytes)?;
        self.fill(spot, home, distance, fingerprint(hash), off);
        usage.live_bytes += size;
        self.len += 1;
        Ok((spot, self.entry(spot)))
    }

    #[inline(always)]
    fn free_spot(&self, home: usize) -> Option<(Spot, usize)> {
        if let Some(slot) = self.bucket(home).free_slot() {
            return Some((Spot { bucket: home, slot }, 0));
        }
        self.free_spot_after(home)
    }

    #[inline(never)]
    fn free_spot_after(&self, home: usize) -> Option<(Spot, usize)> {
        let last = WINDOW.min(self.bucket_count() - 1);
        (1..=last).find_map(|distance| {
            let bucket = self.after(home, distance);
            let slot = self.bucket(bucket).free_slot()?;
            Some((Spot { bucket, slot }, distance))
        })
    }

    #[inline(always)]
    fn fill(&mut self, spot: Spot, home: usize, distance: usize, fp: u8, off: u16) {
        let bucket = self.bucket_mut(spot.bucket);
        bucket.fps[spot.slot] = fp;
        bucket.offs[spot.slot] = off;
        if distance > 0 {
            let home = self.bucket_mut(home);
            home.spill_at |= 1 << (distance - 1);
            home.spilled += 1;
        }
    }

    /// Empties a slot and gives its bytes back, returning how many; what the entry owns is the caller's.
    pub(super) fn take_out(&mut self, hash: u64, spot: Spot) -> usize {
        let home = self.home(hash);
        let off = self.bucket(spot.bucket).offs[spot.slot];
        // SAFETY: the slot is occupied.
        let size = unsafe { entry::size(self.arena.at(off)) };
        let bucket = self.bucket_mut(spot.bucket);
        bucket.fps[spot.slot] = 0;
        bucket.behind &= !(1 << spot.slot);
        if spot.bucket != home {
            let home = self.bucket_mut(home);
            home.spilled -= 1;
            if home.spilled == 0 {
                home.spill_at = 0;
            }
        }
        self.arena.free(off, size);
        self.len -= 1;
        size
    }

    /// All occupied places.
    pub(super) fn spots(&self) -> impl Iterator<Item = Spot> + '_ {
        (0..self.bucket_count()).flat_map(move |bucket| {
            if bucket + 1 < self.bucket_count() {
                self.prefetch_bucket_entries(bucket + 1);
            }
            bits(self.bucket(bucket).occupied()).map(move |slot| Spot { bucket, slot })
        })
    }

    /// The buckets in which keys of home `home` may be stored.
    pub(super) fn group(&self, home: usize) -> impl Iterator<Item = usize> + use<> {
        let (spill_at, count) = (self.bucket(home).spill_at as u32, self.bucket_count());
        std::iter::once(home).chain(bits(spill_at).map(move |bit| after(home, bit + 1, count)))
    }

    /// Grows the bucket array by one step or more; false when it cannot grow.
    pub(super) fn grow_index(&mut self, hasher: &Hasher, epoch: u32, usage: &mut Usage) -> bool {
        let before = self.bucket_count();
        for count in BUCKET_STEPS {
            if count > before && self.reindex(count, hasher, epoch, usage) {
                return true;
            }
        }
        false
    }

    /// Rebuilds the bucket array with `count` buckets; false, and nothing changed, when some key
    /// finds no place.
    fn reindex(&mut self, count: usize, hasher: &Hasher, epoch: u32, usage: &mut Usage) -> bool {
        let mut fresh = Segment {
            pieces: new_pieces(count),
            bucket_count: count as u32,
            depth: self.depth,
            arena: Arena::new(),
            len: 0,
            heap_at: self.heap_at,
            walked: epoch,
            prefix: self.prefix,
            bounds: null_mut(),
            base_ms: self.base_ms,
            min_ms: NEVER,
            next: null_mut(),
        };
        usage.index_bytes += index_bytes(count);
        if !self.bounds.is_null() {
            fresh.bounds = new_bounds(count);
            usage.index_bytes += bounds_layout(count).size();
        }
        let mut fits = true;
        for spot in self.spots() {
            let p = self.entry(spot);
            // SAFETY: an occupied slot leads to a live entry.
            let (hash, expire) = unsafe { (hasher.hash(entry::key(p)), entry::expire(p)) };
            let home = fresh.home(hash);
            let Some((to, distance)) = fresh.free_spot(home) else {
                fits = false;
                break;
            };
            fresh.fill(to, home, distance, fingerprint(hash), self.bucket(spot.bucket).offs[spot.slot]);
            if self.is_behind(spot, epoch) {
                fresh.put_behind(to, epoch);
            }
            if let Some(ms) = expire {
                fresh.lower_bound(to.bucket, ms);
            }
        }
        if fits {
            std::mem::swap(&mut self.pieces, &mut fresh.pieces);
            std::mem::swap(&mut self.bucket_count, &mut fresh.bucket_count);
            std::mem::swap(&mut self.bounds, &mut fresh.bounds);
            self.walked = epoch;
            // `min_ms` stays: still a lower bound, and the heap is ordered by it.
        }
        fresh.free_index(usage);
        fits
    }

    /// Moves a live entry of another segment here, or into a member appended after this one. `is_behind`: a walk of the
    /// epoch need not see it.
    ///
    /// # Safety
    /// `p` is a live entry outside this segment with this hash; afterwards only the copy counts.
    pub(super) unsafe fn adopt(
        &mut self,
        hash: u64,
        p: *const u8,
        is_behind: bool,
        hasher: &Hasher,
        epoch: u32,
        usage: &mut Usage,
    ) {
        // SAFETY: `p` is a live entry.
        let size = unsafe { entry::size(p) };
        let mut member: *mut Segment = self;
        loop {
            // SAFETY: the members after this one are owned by it and nobody else looks at them.
            let segment = unsafe { &mut *member };
            match segment.place(hash, size, false, usage) {
                Ok((spot, to)) => {
                    // SAFETY: `to` has room for `size` bytes and is not part of `p`'s segment.
                    unsafe { to.copy_from_nonoverlapping(p, size) };
                    // SAFETY: `to` is an entry now.
                    if let Some(ms) = unsafe { entry::expire(to) } {
                        segment.note_deadline(spot.bucket, ms, usage);
                    }
                    if is_behind {
                        segment.put_behind(spot, epoch);
                    }
                    return;
                }
                Err(Full::Index) if segment.grow_index(hasher, epoch, usage) => {}
                Err(_) => {
                    if segment.next.is_null() {
                        segment.next = Segment::boxed(1, self.depth, self.prefix, epoch, usage);
                    }
                    member = segment.next;
                }
            }
        }
    }
}
