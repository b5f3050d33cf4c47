#![allow(unsafe_code)]
//! The shape of the table: segments split, take overflow members, are compacted and merge.
//!
//! An insert that finds no room changes one segment ([`Table::make_room`]): its index grows, its garbage is compacted,
//! or it splits and the directory with it when it must. Removals give memory back the same way ([`Table::shrink`]).
//! Each step rewrites one segment or two, of some ten KB, so growth and shrinking never stall.
//!
//! Segments are rewritten by moving entries as they are: what an entry owns goes with it, and nothing is dropped.
//! Pointers to segments and entries are good only until one of these functions is called.

use super::entry;
use super::segment::{Full, MAX_DEPTH, Segment};
use super::table::Table;
use std::ptr::null_mut;

/// The directory may have this many places per segment before overflow members are preferred.
/// Evenly spread hashes need two to four; only crafted ones reach the bound.
const DIRECTORY_PLACES_PER_SEGMENT: usize = 8;
/// Keys of a segment that is about as full as can be expected.
const EXPECTED_LEN: usize = 512;
/// Neighbours merge when together they have no more than this.
const MERGE_LEN: u32 = 500;
const MERGE_BYTES: usize = 32 << 10;

impl<T> Table<T> {
    /// Changes the segment of `hash` so that an insert that failed with `full` gets further.
    /// Each call grows, compacts, splits or appends, and appending ends the need.
    #[cold]
    pub(super) fn make_room(&mut self, hash: u64, last: *mut Segment, full: Full) {
        // SAFETY: `last` is the last member of the segment of `hash`.
        let member = unsafe { &mut *last };
        match full {
            Full::Index => {
                if member.grow_index(&self.hasher, self.epoch, &mut self.usage) {
                    return;
                }
            }
            Full::Garbage => {
                self.compact(last);
                return;
            }
            Full::Chunks => {}
        }
        let root = self.root(hash);
        if self.may_split(root) {
            self.split(root);
        } else {
            self.append(root);
        }
    }

    /// So many keys will come, perhaps in the order of their hashes (from a table with the same hasher): then the first of
    /// them are all in one corner, and the directory has to be deep long before there are many segments. Otherwise they
    /// would be put behind each other in that corner, and be split much later, thousands in one step.
    pub fn expect(&mut self, keys: usize) {
        self.expected = keys / EXPECTED_LEN;
    }

    fn may_split(&self, root: *mut Segment) -> bool {
        // SAFETY: a directory's segment is valid.
        let depth = unsafe { (*root).depth };
        let allowed = (self.segments.max(self.expected) + 8) * DIRECTORY_PLACES_PER_SEGMENT;
        depth < MAX_DEPTH && (depth < self.bits || self.directory.len() * 2 <= allowed)
    }

    /// Appends an empty member to a segment that splitting would not help.
    fn append(&mut self, root: *mut Segment) {
        let mut last = root;
        // SAFETY: members are valid, and the table is borrowed mutably.
        unsafe {
            while !(*last).next.is_null() {
                last = (*last).next;
            }
            (*last).next = Segment::boxed(1, (*root).depth, (*root).prefix, self.epoch, &mut self.usage);
        }
        self.segments += 1;
    }

    /// Replaces a segment by two of the next depth.
    fn split(&mut self, root: *mut Segment) {
        // SAFETY: a directory's segment is valid.
        let (depth, prefix, len) = unsafe { ((*root).depth, (*root).prefix, (*root).len as usize) };
        if depth == self.bits {
            self.directory = self.directory.iter().flat_map(|&place| [place, place]).collect();
            self.bits += 1;
        }
        let upper_prefix = prefix | 1 << (63 - depth);
        let half = len / 2;
        let lower = Segment::boxed(half, depth + 1, prefix, self.epoch, &mut self.usage);
        let upper = Segment::boxed(half, depth + 1, upper_prefix, self.epoch, &mut self.usage);
        self.depths[depth as usize] -= 1;
        self.depths[depth as usize + 1] += 2;
        self.segments += 2;
        self.pour(root, |hash| if hash & (1 << (63 - depth)) == 0 { lower } else { upper });
        self.point(lower);
        self.point(upper);
        self.settle(lower);
        self.settle(upper);
    }

    /// Moves all entries of a segment and its members to where `to` says, and frees it.
    fn pour(&mut self, root: *mut Segment, to: impl Fn(u64) -> *mut Segment) {
        let mut source = root;
        while !source.is_null() {
            // SAFETY: `source` is valid until freed below, and no destination is among the
            // sources. Each live entry is copied once and its source forgotten.
            unsafe {
                for spot in (*source).spots() {
                    let p = (*source).entry(spot);
                    let hash = self.hasher.hash(entry::key(p));
                    let is_behind = (*source).is_behind(spot, self.epoch);
                    (*to(hash)).adopt(hash, p, is_behind, &self.hasher, self.epoch, &mut self.usage);
                }
                let next = (*source).next;
                self.heap.remove(source);
                Segment::free(source, &mut self.usage);
                self.segments -= 1;
                source = next;
            }
        }
    }

    /// Counts the members that `adopt` may have appended to a fresh segment, and enters all into
    /// the deadline heap.
    fn settle(&mut self, fresh: *mut Segment) {
        // SAFETY: `fresh` and its members are valid.
        unsafe {
            self.heap.update(fresh);
            let mut member = (*fresh).next;
            while !member.is_null() {
                self.segments += 1;
                self.heap.update(member);
                member = (*member).next;
            }
        }
    }

    /// Makes the directory places of a segment point to it.
    fn point(&mut self, segment: *mut Segment) {
        // SAFETY: the segment is valid.
        let (depth, prefix) = unsafe { ((*segment).depth, (*segment).prefix) };
        let first = ((prefix >> 1) >> (63 - self.bits)) as usize;
        let count = 1usize << (self.bits - depth);
        self.directory[first..first + count].fill(segment);
    }

    /// Rewrites one member without its garbage, with as many buckets as it needs.
    pub(super) fn compact(&mut self, member: *mut Segment) {
        // SAFETY: `member` is valid; its content is exchanged with that of a fresh segment, which
        // then holds what is to be freed. Pointers to `member` stay good.
        unsafe {
            let old = &mut *member;
            let fresh = Segment::boxed(old.len as usize, old.depth, old.prefix, self.epoch, &mut self.usage);
            for spot in old.spots() {
                let p = old.entry(spot);
                let hash = self.hasher.hash(entry::key(p));
                let is_behind = old.is_behind(spot, self.epoch);
                (*fresh).adopt(hash, p, is_behind, &self.hasher, self.epoch, &mut self.usage);
            }
            std::mem::swap(&mut old.heap_at, &mut (*fresh).heap_at);
            std::ptr::swap(member, fresh);
            // Members that the fresh one had to append go before those the old one had.
            let rest = std::mem::replace(&mut (*fresh).next, null_mut());
            Segment::free(fresh, &mut self.usage);
            let mut last = member;
            self.heap.update(member);
            while !(*last).next.is_null() {
                last = (*last).next;
                self.segments += 1;
                self.heap.update(last);
            }
            (*last).next = rest;
        }
    }

    /// Gives memory back after removals from a member.
    #[inline]
    pub(super) fn shrink(&mut self, hash: u64, member: *mut Segment) {
        // SAFETY: `member` is valid.
        let segment = unsafe { &*member };
        if segment.arena.is_wasteful() {
            self.compact(member);
        }
        // SAFETY: compacting keeps `member` in place.
        let len = unsafe { (*member).len };
        if len == 0 || len.is_multiple_of(16) && len < MERGE_LEN / 2 {
            self.shrink_structure(hash);
        }
    }

    /// As [`Table::shrink`], after any number of removals; true when segments were rewritten.
    pub(super) fn shrink_after_pop(&mut self, member: *mut Segment) -> bool {
        let segments = self.segments;
        // SAFETY: `member` is valid, and compacting keeps it in place.
        unsafe {
            let wasteful = (*member).arena.is_wasteful();
            if wasteful {
                self.compact(member);
            }
            if (*member).len < MERGE_LEN / 2 {
                self.shrink_structure((*member).prefix);
            }
            wasteful || segments != self.segments
        }
    }

    #[cold]
    fn shrink_structure(&mut self, hash: u64) {
        let root = self.root(hash);
        // SAFETY: the directory's segments and their members are valid; an unlinked member is
        // empty and nobody else points to it.
        unsafe {
            let mut before = root;
            while !(*before).next.is_null() {
                let member = (*before).next;
                if (*member).len == 0 {
                    (*before).next = (*member).next;
                    self.heap.remove(member);
                    Segment::free(member, &mut self.usage);
                    self.segments -= 1;
                } else {
                    before = member;
                }
            }
        }
        while self.merge(hash) {}
        while self.bits > 0 && self.depths[self.bits as usize] == 0 {
            self.directory = self.directory.iter().copied().step_by(2).collect();
            self.bits -= 1;
        }
    }

    /// Merges the segment of `hash` with its neighbour when both have become small.
    fn merge(&mut self, hash: u64) -> bool {
        let root = self.root(hash);
        // SAFETY: the directory's segments are valid; the two differ.
        unsafe {
            let depth = (*root).depth;
            if depth == 0 {
                return false;
            }
            let buddy = self.root((*root).prefix ^ 1 << (64 - depth));
            let whole = (*buddy).depth == depth && (*buddy).next.is_null() && (*root).next.is_null();
            let len = (*root).len + (*buddy).len;
            let bytes = (*root).arena.live_bytes() + (*buddy).arena.live_bytes();
            if !whole || len > MERGE_LEN || bytes > MERGE_BYTES {
                return false;
            }
            let prefix = (*root).prefix & !(1 << (64 - depth));
            let merged = Segment::boxed(len as usize, depth - 1, prefix, self.epoch, &mut self.usage);
            self.segments += 1;
            self.depths[depth as usize] -= 2;
            self.depths[depth as usize - 1] += 1;
            self.pour(root, |_| merged);
            self.pour(buddy, |_| merged);
            self.point(merged);
            self.settle(merged);
            true
        }
    }
}
