#![allow(unsafe_code)]
//! Walking the table: cursors, iteration, random choice.
//!
//! A scan cursor is a position in hash space, the top 42 bits of a hash. Home buckets lie in hash
//! order, so "every key whose hash is below the cursor has been returned" means the same before
//! and after any split, merge or resize: a key that stays is returned once, never lost.

use super::bucket::bits;
use super::entry::{self, EntryRef};
use super::segment::{CURSOR_BITS, MAX_BUCKETS, Segment, Spot};
use super::table::Table;
use crate::types::draw::below;

/// Hash positions of a cursor start here in the hash.
const CURSOR_SHIFT: u32 = 64 - CURSOR_BITS;
/// Redis: SCAN gives up after ten times COUNT buckets without enough keys.
const BUCKETS_PER_COUNT: usize = 10;
/// Random probes before falling back to the next entry in order, for sparse tables.
const PROBES_MAX: usize = 128;

impl<T> Table<T> {
    /// Visits a slice of the keys and returns the cursor to go on from; 0 starts and ends.
    ///
    /// Every key present during the whole scan is visited at least once; others may or may not
    /// be. About `count` keys are visited per call (a home bucket is finished once begun).
    /// A cursor is below 2^42; one that no call returned is answered like any other.
    pub fn scan<'a>(&'a self, cursor: u64, count: usize, visit: &mut dyn FnMut(EntryRef<'a, T>)) -> u64 {
        let mut at = cursor;
        let mut visited = 0;
        for _ in 0..count.max(1).saturating_mul(BUCKETS_PER_COUNT) {
            if at >> CURSOR_BITS != 0 {
                return 0;
            }
            let root = self.root(at << CURSOR_SHIFT);
            // SAFETY: the directory's segments are valid while the table is borrowed.
            let end = unsafe { (*root).cursor_after(at) };
            debug_assert!(end > at);
            visited += self.visit_range(root, at, end, visit);
            at = end;
            if visited >= count {
                break;
            }
        }
        if at >> CURSOR_BITS != 0 { 0 } else { at }
    }

    /// Visits the keys of a segment and its members with cursor positions in `from..end`.
    pub(super) fn visit_range<'a>(
        &'a self,
        root: *mut Segment,
        from: u64,
        end: u64,
        visit: &mut dyn FnMut(EntryRef<'a, T>),
    ) -> usize {
        let mut visited = 0;
        self.visit_spots(root, from, end, &mut |_, _, p| {
            // SAFETY: `visit_spots` shows entries of this table, which is still borrowed.
            visit(unsafe { EntryRef::new(self, p) });
            visited += 1;
        });
        visited
    }

    /// As [`Table::visit_range`]: where the entries are.
    #[inline(always)]
    pub(super) fn visit_spots(
        &self,
        root: *mut Segment,
        from: u64,
        end: u64,
        visit: &mut impl FnMut(*mut Segment, Spot, *mut u8),
    ) {
        let mut member = root;
        while !member.is_null() {
            // SAFETY: members are valid while the table is borrowed, and so are their entries. No reference to a member
            // is kept while `visit` runs, which may mark it.
            unsafe {
                let first = (*member).home(from << CURSOR_SHIFT);
                let last = (*member).home((end << CURSOR_SHIFT).wrapping_sub(1));
                for home in first..=last {
                    for bucket in (*member).group(home) {
                        (*member).prefetch_bucket_entries(bucket);
                        for slot in bits((*member).bucket(bucket).occupied()) {
                            let spot = Spot { bucket, slot };
                            let p = (*member).entry(spot);
                            let hash = self.hasher.hash(entry::key(p));
                            if (*member).home(hash) == home && (from..end).contains(&(hash >> CURSOR_SHIFT)) {
                                visit(member, spot, p);
                            }
                        }
                    }
                }
                member = (*member).next;
            }
        }
    }

    /// Visits the group of `hash`: the keys that share its home bucket.
    pub fn for_group(&self, hash: u64, visit: &mut dyn FnMut(EntryRef<'_, T>)) {
        let at = hash >> CURSOR_SHIFT;
        let root = self.root(hash);
        // SAFETY: the directory's segments are valid while the table is borrowed.
        let (start, end) = unsafe { ((*root).cursor_start(at), (*root).cursor_after(at)) };
        self.visit_range(root, start, end, visit);
    }

    /// All entries, in an order of no meaning.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { table: self, place: 0, member: std::ptr::null_mut(), bucket: 0, slots: 0 }
    }

    /// A random entry, each as likely as any other; `random` gives 64 random bits per call.
    pub fn random_entry(&self, random: &mut dyn FnMut() -> u64) -> Option<EntryRef<'_, T>> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..PROBES_MAX {
            if let Some(p) = self.probe(random) {
                // SAFETY: `probe` returns an entry of this table.
                return Some(unsafe { EntryRef::new(self, p) });
            }
        }
        self.next_entry(random())
    }

    /// Tries one random slot of the table as if every segment had the depth and the bucket count
    /// of the largest, so that all slots are equally likely.
    fn probe(&self, random: &mut dyn FnMut() -> u64) -> Option<*mut u8> {
        let (first, second) = (random(), random());
        let mut member = self.root(first);
        // SAFETY: the directory's segments and their members are valid.
        unsafe {
            // A segment that fills several places is hit more often; only one place counts.
            let depth = (*member).depth;
            let place = (first >> 1) >> (63 - self.bits);
            if place & ((1 << (self.bits - depth)) - 1) != 0 {
                return None;
            }
            while !(*member).next.is_null() && random() & 1 == 1 {
                member = (*member).next;
            }
            let widest = if self.bits == 0 { (*member).bucket_count() } else { MAX_BUCKETS };
            let bucket = (((second >> 32) * widest as u64) >> 32) as usize;
            if bucket >= (*member).bucket_count() {
                return None;
            }
            let slot = (((second & 0xFFFF_FFFF) * super::bucket::SLOTS as u64) >> 32) as usize;
            let taken = (*member).bucket(bucket).occupied() >> slot & 1 == 1;
            taken.then(|| (*member).entry(Spot { bucket, slot }))
        }
    }

    /// The first entry at or after a place in hash order, going round.
    fn next_entry(&self, hash: u64) -> Option<EntryRef<'_, T>> {
        let mut found: Option<*const u8> = None;
        let mut at = hash >> CURSOR_SHIFT;
        for _ in 0..2 {
            loop {
                at = self.scan(at, 1, &mut |entry| {
                    found = found.or(Some(entry.address()));
                });
                if let Some(p) = found {
                    // SAFETY: `scan` showed an entry of this table, which is still borrowed.
                    return Some(unsafe { EntryRef::new(self, p) });
                }
                if at == 0 {
                    break;
                }
            }
        }
        None
    }

    /// Visits up to `count` entries from a random place on, for eviction and sampling.
    ///
    /// With `only_expiring`, only entries that have a deadline; segments without any are skipped.
    /// Entries near each other are as good as random ones, because places are decided by hash.
    /// Returns how many were visited; fewer than `count` only when the walk's limit (about thirty
    /// buckets) or the table ended first.
    pub fn sample(
        &self,
        random: &mut dyn FnMut() -> u64,
        count: usize,
        only_expiring: bool,
        visit: &mut dyn FnMut(EntryRef<'_, T>),
    ) -> usize {
        let of = if only_expiring { self.expires } else { self.len };
        let wanted = count.min(of);
        let mut visited = 0;
        for _ in 0..4 {
            if visited >= wanted {
                break;
            }
            let mut member = self.random_segment(random, only_expiring);
            while !member.is_null() && visited < wanted {
                // SAFETY: segments are valid while the table is borrowed.
                let segment = unsafe { &*member };
                visited += self.sample_segment(segment, random(), wanted - visited, only_expiring, visit);
                member = segment.next;
            }
        }
        visited
    }

    fn random_segment(&self, random: &mut dyn FnMut() -> u64, only_expiring: bool) -> *mut Segment {
        let places = self.heap.places();
        if only_expiring && !places.is_empty() {
            return places[below(random(), places.len())].1;
        }
        self.root(random())
    }

    fn sample_segment(
        &self,
        segment: &Segment,
        random: u64,
        count: usize,
        only_expiring: bool,
        visit: &mut dyn FnMut(EntryRef<'_, T>),
    ) -> usize {
        let buckets = segment.bucket_count();
        let start = (((random >> 32) * buckets as u64) >> 32) as usize;
        // Starting at a random slot keeps the first slots from being favoured.
        let turn = (random as u32 % super::bucket::SLOTS as u32) as usize;
        let mut visited = 0;
        for step in 0..buckets {
            let bucket = (start + step) % buckets;
            if only_expiring && !segment.may_have_deadline(bucket) {
                continue;
            }
            segment.prefetch_bucket_entries(bucket);
            let occupied = segment.bucket(bucket).occupied();
            let (low, high) = (occupied & ((1 << turn) - 1), occupied >> turn << turn);
            for slot in bits(high).chain(bits(low)) {
                let p = segment.entry(Spot { bucket, slot });
                // SAFETY: an occupied slot leads to a live entry.
                if only_expiring && unsafe { entry::expire(p) }.is_none() {
                    continue;
                }
                // SAFETY: the entry is this table's.
                visit(unsafe { EntryRef::new(self, p) });
                visited += 1;
                if visited == count {
                    return visited;
                }
            }
        }
        visited
    }
}

impl Segment {
    /// The first scan cursor of the home bucket of cursor `at`.
    fn cursor_start(&self, at: u64) -> u64 {
        let first = self.prefix >> CURSOR_SHIFT;
        let mut start = first;
        while self.cursor_after(start) <= at {
            start = self.cursor_after(start);
        }
        start
    }
}

/// Iterator over all entries of a borrowed table.
pub struct Iter<'a, T> {
    table: &'a Table<T>,
    /// Directory place after the current segment's.
    place: usize,
    member: *mut Segment,
    bucket: usize,
    /// Slots of `bucket` still to come.
    slots: u32,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = EntryRef<'a, T>;

    fn next(&mut self) -> Option<EntryRef<'a, T>> {
        loop {
            if self.slots != 0 {
                let slot = self.slots.trailing_zeros() as usize;
                self.slots &= self.slots - 1;
                // SAFETY: the member is valid and the slot occupied while the table is borrowed.
                return Some(unsafe {
                    let p = (*self.member).entry(Spot { bucket: self.bucket, slot });
                    EntryRef::new(self.table, p)
                });
            }
            if self.member.is_null() {
                self.member = *self.table.directory.get(self.place)?;
                // SAFETY: the directory's segments are valid.
                self.place += 1 << (self.table.bits - unsafe { (*self.member).depth });
                self.bucket = 0;
            } else {
                self.bucket += 1;
            }
            // SAFETY: the member is valid.
            let segment = unsafe { &*self.member };
            if self.bucket < segment.bucket_count() {
                self.slots = segment.bucket(self.bucket).occupied();
                segment.prefetch_bucket_entries(self.bucket);
            } else {
                self.member = segment.next;
                self.bucket = 0;
                if !self.member.is_null() {
                    // SAFETY: members are valid.
                    self.slots = unsafe { (*self.member).bucket(0).occupied() };
                }
            }
        }
    }
}
