#![allow(unsafe_code)]
//! The table: the directory over segments, and every way to read and change one key.
//!
//! All segments are reached through raw pointers that only the table holds. A shared borrow of the
//! table allows reads of any segment, a mutable borrow any change; nothing keeps a pointer to a
//! segment or entry across a call that may restructure.
//!
//! INVARIANTS, checked by `verify`:
//! * the directory has 2^bits places; a segment of depth d fills 2^(bits-d) neighbouring places;
//! * `depths[d]` counts the segments of depth d, overflow members not included;
//! * every segment with a deadline is in the deadline heap under its `min_ms`.

use super::deadline::DeadlineHeap;
use super::doomed::Doomed;
use super::edit::EntryMut;
use super::entry::{self, EXPIRE_FAR, EntryRef, KEY_INLINE_MAX, KeySource, Payload, VALUE_INLINE_MAX};
use super::hasher::Hasher;
use super::segment::{Full, MAX_DEPTH, Segment, Spot};
use crate::types::Packed;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ptr::null_mut;

/// The directory may have this many places per segment before overflow members are preferred.
/// Evenly spread hashes need two to four; only crafted ones reach the bound.
const DIRECTORY_PLACES_PER_SEGMENT: usize = 8;
/// Neighbours merge when together they have no more than this.
const MERGE_LEN: u32 = 500;
const MERGE_BYTES: usize = 32 << 10;

/// A value to store.
#[derive(Debug)]
pub enum Value<'v, T> {
    Int(i64),
    /// At most [`VALUE_INLINE_MAX`] bytes.
    Bytes(&'v [u8]),
    /// A small collection, of at most [`VALUE_INLINE_MAX`] bytes.
    Packed(Packed, &'v [u8]),
    Heap(T),
}

/// What becomes of the deadline when a value is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    Keep,
    Clear,
    /// Absolute, in milliseconds.
    Set(u64),
}

/// What becomes of the access metadata when a value is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Set(u16),
    /// An existing entry keeps its own; a new one gets this.
    KeepOr(u16),
}

/// What [`Table::replace`] found.
#[derive(Debug)]
pub struct Replaced<T> {
    pub existed: bool,
    /// The former heap value, to be dropped whenever it suits the caller.
    pub old: Option<T>,
}

/// What [`Table::remove`] took out.
#[derive(Debug)]
pub struct Removed<T> {
    /// The heap value, to be dropped whenever it suits the caller.
    pub heap: Option<T>,
    pub expire_at_ms: Option<u64>,
}

/// A value that left the table.
#[derive(Debug, PartialEq, Eq)]
pub enum TakenValue<T> {
    Int(i64),
    Bytes(Vec<u8>),
    Packed(Packed, Vec<u8>),
    Heap(T),
}

/// What [`Table::take_entry`] took out.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<T> {
    pub value: TakenValue<T>,
    pub expire_at_ms: Option<u64>,
    pub access: u16,
}

/// Bytes a table holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Directory, segments, buckets, deadline bounds and deadline heap.
    pub index_bytes: usize,
    /// The chunks that entries live in.
    pub arena_bytes: usize,
    /// Of `arena_bytes`, what live entries take; the rest is room and garbage.
    pub live_bytes: usize,
    /// Keys too long for an entry.
    pub key_bytes: usize,
    /// What the caller reported about heap values with [`Table::report_heap_bytes`].
    pub heap_bytes: usize,
}

impl Usage {
    /// What was obtained from the allocator.
    pub fn total_bytes(&self) -> usize {
        self.index_bytes + self.arena_bytes + self.key_bytes + self.heap_bytes
    }

    /// What keys, values and their index need, without room and garbage in the chunks: it falls with every removal.
    pub fn needed_bytes(&self) -> usize {
        self.index_bytes + self.live_bytes + self.key_bytes + self.heap_bytes
    }
}

/// Where an entry is.
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub segment: *mut Segment,
    pub spot: Spot,
    pub p: *mut u8,
}

/// A shard's keys of one database; `T` is what a heap value is.
pub struct Table<T> {
    pub(super) directory: Vec<*mut Segment>,
    pub(super) bits: u32,
    pub(super) len: usize,
    pub(super) segments: usize,
    pub(super) depths: [u32; MAX_DEPTH as usize + 1],
    pub(super) expires: usize,
    /// Sum of stored deadlines, for the average.
    pub(super) expire_sum_ms: u128,
    pub(super) heap: DeadlineHeap,
    /// Deadlines after the year 10889, which six bytes do not hold.
    pub(super) far: HashMap<Box<[u8]>, u64>,
    pub(super) hasher: Hasher,
    pub(super) epoch: u32,
    /// A walk that sees every entry as it was at its begin is under way, see `save`.
    pub(super) saving: bool,
    pub(super) usage: Usage,
    owns: PhantomData<T>,
}

// SAFETY: the segments belong to the table alone, and what their entries own is bytes and `T`s.
unsafe impl<T: Send> Send for Table<T> {}

impl<T> Table<T> {
    /// An empty table; it takes a few hundred bytes.
    pub fn new(hasher: Hasher) -> Self {
        let mut usage = Usage::default();
        let mut depths = [0; MAX_DEPTH as usize + 1];
        depths[0] = 1;
        let directory = vec![Segment::boxed(0, 0, 0, 0, &mut usage)];
        Table {
            directory,
            bits: 0,
            len: 0,
            segments: 1,
            depths,
            expires: 0,
            expire_sum_ms: 0,
            heap: DeadlineHeap::default(),
            far: HashMap::new(),
            hasher,
            epoch: 0,
            saving: false,
            usage,
            owns: PhantomData,
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of keys with a deadline.
    pub fn expires_count(&self) -> usize {
        self.expires
    }

    /// The mean of all deadlines, as an absolute time.
    pub fn mean_deadline_ms(&self) -> Option<u64> {
        (self.expires > 0).then(|| (self.expire_sum_ms / self.expires as u128) as u64)
    }

    /// Number of segments, overflow members included.
    pub fn segments_count(&self) -> usize {
        self.segments
    }

    /// Bytes held, by kind.
    pub fn usage(&self) -> Usage {
        let directory = self.directory.capacity() * size_of::<*mut Segment>();
        Usage { index_bytes: self.usage.index_bytes + directory + self.heap.bytes(), ..self.usage }
    }

    /// Adds to or subtracts from the count of bytes behind heap values.
    pub fn report_heap_bytes(&mut self, change: isize) {
        self.usage.heap_bytes = self
            .usage
            .heap_bytes
            .checked_add_signed(change)
            .expect("no more heap bytes are given back than were reported");
    }

    /// The hash function that all hashes given to this table must come from.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Writes stamp their group (the keys of one home bucket) with this number.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Starts a new epoch: groups not written since have an older version.
    pub fn advance_epoch(&mut self) -> u32 {
        self.epoch += 1;
        self.epoch
    }

    /// The epoch of the last write to the group of `hash`. Rewriting a segment counts as a write.
    pub fn bucket_version(&self, hash: u64) -> u32 {
        let segment = self.segment(hash);
        segment.bucket(segment.home(hash)).version
    }

    /// Marks the group of `hash` as written in the current epoch.
    pub fn stamp_bucket(&mut self, hash: u64) {
        let root = self.root(hash);
        // SAFETY: the directory's segments are valid, and the table is borrowed mutably.
        unsafe { (*root).stamp(hash, self.epoch) };
    }

    #[inline(always)]
    pub(super) fn root(&self, hash: u64) -> *mut Segment {
        // Two shifts, because shifting by 64 is not defined for a directory of one place.
        let place = (hash >> 1) >> (63 - self.bits);
        // SAFETY: the place has `bits` bits and the directory 2^bits places.
        unsafe { *self.directory.get_unchecked(place as usize) }
    }

    #[inline(always)]
    pub(super) fn segment(&self, hash: u64) -> &Segment {
        // SAFETY: the directory's segments are valid while the table is borrowed.
        unsafe { &*self.root(hash) }
    }

    #[inline(always)]
    pub(super) fn locate(&self, hash: u64, key: &[u8]) -> Option<Location> {
        let mut segment = self.root(hash);
        loop {
            // SAFETY: the directory's segments and their members are valid.
            let member = unsafe { &*segment };
            if let Some((spot, p)) = member.find(hash, key) {
                return Some(Location { segment, spot, p });
            }
            if member.next.is_null() {
                return None;
            }
            segment = member.next;
        }
    }

    /// Finds the entry of `key`. A hit touches a bucket's line and the entry's, a miss the
    /// bucket's, beside the segment's own few lines.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'_, T>> {
        let at = self.locate(hash, key)?;
        // SAFETY: the entry is this table's.
        Some(unsafe { EntryRef::new(self, at.p) })
    }

    /// Finds the entry of `key` to change it; its group counts as written.
    #[inline]
    pub fn entry_mut(&mut self, hash: u64, key: &[u8]) -> Option<EntryMut<'_, T>> {
        let at = self.locate(hash, key)?;
        Some(EntryMut::new(self, hash, at))
    }

    /// Sets the access metadata of `key` without counting as a write.
    #[inline]
    pub fn touch(&mut self, hash: u64, key: &[u8], access: u16) -> bool {
        let at = self.locate(hash, key);
        if let Some(at) = at {
            // SAFETY: the entry is this table's, borrowed mutably.
            unsafe { entry::set_access(at.p, access) };
        }
        at.is_some()
    }

    /// Begins to load the bucket that [`Table::find`] of this hash reads first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        self.segment(hash).prefetch(hash);
    }

    /// Begins to load the entry of this hash; the bucket should have been prefetched a while ago.
    #[inline(always)]
    pub fn prefetch_entry(&self, hash: u64) {
        self.segment(hash).prefetch_entry(hash);
    }

    /// Stores `value` under `key`, whether or not the key exists.
    pub fn replace(
        &mut self,
        hash: u64,
        key: &[u8],
        value: Value<'_, T>,
        ttl: Ttl,
        access: Access,
    ) -> Replaced<T> {
        debug_assert_eq!(hash, self.hasher.hash(key), "the hash is this key's");
        let payload = payload_of(value);
        if let Some(mut at) = self.locate(hash, key) {
            // SAFETY: `at` was just located; `payload` owns its heap word.
            let old = unsafe { self.store(hash, &mut at, payload, ttl, access) };
            return Replaced { existed: true, old };
        }
        let deadline = match ttl {
            Ttl::Set(ms) => Some(ms),
            Ttl::Keep | Ttl::Clear => None,
        };
        let (Access::Set(access) | Access::KeepOr(access)) = access;
        self.insert_new(hash, key, payload, deadline, access);
        Replaced { existed: false, old: None }
    }

    fn insert_new(&mut self, hash: u64, key: &[u8], payload: Payload, deadline: Option<u64>, access: u16) {
        let source = if key.len() <= KEY_INLINE_MAX {
            KeySource::Inline(key.as_ptr(), key.len())
        } else {
            self.usage.key_bytes += key.len();
            let boxed = Box::into_raw(Box::<[u8]>::from(key));
            KeySource::Boxed(boxed.cast(), key.len())
        };
        let stored = deadline.map(|ms| self.store_deadline(key, ms));
        // SAFETY: the key is not in the table; the sources are valid and outside the arena.
        let at = unsafe { self.insert_raw(hash, source, payload, stored, access) };
        self.len += 1;
        if let Some(ms) = stored {
            self.count_deadline(ms);
            self.note_deadline(at, ms);
        }
    }

    /// Places and writes an entry, making room as needed.
    ///
    /// # Safety
    /// The key is not in the table; sources stay valid and unmoved through restructuring.
    unsafe fn insert_raw(
        &mut self,
        hash: u64,
        key: KeySource,
        payload: Payload,
        stored: Option<u64>,
        access: u16,
    ) -> Location {
        let size = entry::size_of_parts(key, payload, stored.is_some());
        let mut may_refuse = true;
        loop {
            let mut segment = self.root(hash);
            let full = loop {
                // SAFETY: the directory's segments and their members are valid.
                let member = unsafe { &mut *segment };
                match member.place(hash, size, may_refuse, &mut self.usage) {
                    Ok((spot, p)) => {
                        // SAFETY: `place` made room of `size` bytes at `p`.
                        unsafe { entry::write(p, key, payload, stored, access) };
                        member.stamp(hash, self.epoch);
                        return Location { segment, spot, p };
                    }
                    Err(full) if member.next.is_null() => break full,
                    Err(_) => segment = member.next,
                }
            };
            self.make_room(hash, segment, full);
            // Compacting twice for one insert would not gain anything.
            may_refuse &= full != Full::Garbage;
        }
    }

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

    fn may_split(&self, root: *mut Segment) -> bool {
        // SAFETY: a directory's segment is valid.
        let depth = unsafe { (*root).depth };
        let allowed = (self.segments + 8) * DIRECTORY_PLACES_PER_SEGMENT;
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
        // SAFETY: all three are valid. Who writes has shown the segment to a walk before, so this is a formality.
        unsafe {
            (*lower).saved = (*root).saved;
            (*upper).saved = (*root).saved;
        }
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
                    (*to(hash)).adopt(hash, p, &self.hasher, self.epoch, &mut self.usage);
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
                (*fresh).adopt(hash, p, &self.hasher, self.epoch, &mut self.usage);
            }
            std::mem::swap(&mut old.heap_at, &mut (*fresh).heap_at);
            (*fresh).saved = old.saved;
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

    /// Removes `key`.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Removed<T>> {
        let at = self.locate(hash, key)?;
        // SAFETY: `at` was just located.
        let removed = unsafe { self.remove_at(hash, at) };
        self.shrink(hash, at.segment);
        Some(removed)
    }

    /// Removes `key` and hands its value out.
    pub fn take_entry(&mut self, hash: u64, key: &[u8]) -> Option<Taken<T>> {
        let at = self.locate(hash, key)?;
        // SAFETY: the entry is this table's.
        let found = unsafe { EntryRef::new(self, at.p) };
        let access = found.access();
        let inline = match found.value() {
            super::ValueRef::Int(value) => Some(TakenValue::Int(value)),
            super::ValueRef::Bytes(bytes) => Some(TakenValue::Bytes(bytes.to_vec())),
            super::ValueRef::Packed(form, bytes) => Some(TakenValue::Packed(form, bytes.to_vec())),
            super::ValueRef::Heap(_) => None,
        };
        // SAFETY: `at` was just located.
        let removed = unsafe { self.remove_at(hash, at) };
        self.shrink(hash, at.segment);
        let value = inline.or(removed.heap.map(TakenValue::Heap)).expect("a value is inline or on the heap");
        Some(Taken { value, expire_at_ms: removed.expire_at_ms, access })
    }

    /// Takes an entry out without restructuring.
    ///
    /// # Safety
    /// `at` is where the entry with this hash is.
    pub(super) unsafe fn remove_at(&mut self, hash: u64, at: Location) -> Removed<T> {
        // SAFETY: the entry is live until `take_out`; what it owns is moved out or freed here.
        unsafe {
            let heap = entry::heap_word(at.p).map(|word| *Box::from_raw(word.cast::<T>()));
            let expire_at_ms = EntryRef::new(&*self, at.p).expire_at_ms();
            self.uncount_deadline(at.p);
            if let KeySource::Boxed(word, len) = entry::key_source(at.p) {
                self.usage.key_bytes -= len;
                drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(word, len)));
            }
            self.usage.live_bytes -= (*at.segment).take_out(hash, at.spot);
            (*at.segment).stamp(hash, self.epoch);
            self.len -= 1;
            Removed { heap, expire_at_ms }
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
            // During a walk both must have been seen by it, or neither.
            let alike = !self.saving || self.is_saved_at(root) == self.is_saved_at(buddy);
            if !whole || !alike || len > MERGE_LEN || bytes > MERGE_BYTES {
                return false;
            }
            let prefix = (*root).prefix & !(1 << (64 - depth));
            let merged = Segment::boxed(len as usize, depth - 1, prefix, self.epoch, &mut self.usage);
            (*merged).saved = (*root).saved;
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

    /// Stores a payload in an existing entry; returns the former heap value.
    ///
    /// # Safety
    /// `at` is where the entry with this hash is; it is updated when the entry moves.
    pub(super) unsafe fn store(
        &mut self,
        hash: u64,
        at: &mut Location,
        payload: Payload,
        ttl: Ttl,
        access: Access,
    ) -> Option<T> {
        // SAFETY: the entry is live; its former heap value is moved out before being overwritten.
        unsafe {
            (*at.segment).stamp(hash, self.epoch);
            if let Access::Set(access) = access {
                entry::set_access(at.p, access);
            }
            let had_ttl = entry::expire(at.p).is_some();
            let untouched = ttl == Ttl::Keep || ttl == Ttl::Clear && !had_ttl;
            if untouched && entry::overwrite_same_length(at.p, payload) {
                return None;
            }
            let old = entry::heap_word(at.p).map(|word| *Box::from_raw(word.cast::<T>()));
            let stays = match ttl {
                Ttl::Keep => true,
                Ttl::Clear => !had_ttl,
                Ttl::Set(_) => had_ttl,
            };
            let room = entry::value_section_bytes(at.p);
            let need = payload.section_bytes();
            if stays && need <= room {
                entry::overwrite_value(at.p, payload);
                if need < room {
                    (*at.segment).trim(at.spot, room - need);
                    self.usage.live_bytes -= room - need;
                }
                if let Ttl::Set(ms) = ttl {
                    self.set_deadline(*at, ms);
                }
                return old;
            }
            let stored = match ttl {
                Ttl::Keep => entry::expire(at.p),
                Ttl::Clear => {
                    self.uncount_deadline(at.p);
                    None
                }
                Ttl::Set(ms) => {
                    self.uncount_deadline(at.p);
                    let stored = self.store_deadline(entry::key(at.p), ms);
                    self.count_deadline(stored);
                    Some(stored)
                }
            };
            self.rewrite(hash, at, Some(payload), stored);
            if let Some(ms) = stored {
                self.note_deadline(*at, ms);
            }
            old
        }
    }

    /// Writes an entry anew elsewhere, with its key and access metadata, and frees the old bytes.
    /// Without a payload the value stays. Deadline counters are the caller's.
    ///
    /// # Safety
    /// `at` is where the entry with this hash is; `payload` is outside the arena.
    unsafe fn rewrite(
        &mut self,
        hash: u64,
        at: &mut Location,
        payload: Option<Payload>,
        stored: Option<u64>,
    ) {
        // SAFETY: the entry is live. On the fast path its bytes are read after the arena made
        // room, which may move them; on the slow path they are copied before it is taken out.
        unsafe {
            let sources = |p| (entry::key_source(p), payload.unwrap_or_else(|| entry::verbatim(p)));
            let (key, value) = sources(at.p);
            let size = entry::size_of_parts(key, value, stored.is_some());
            let segment = &mut *at.segment;
            let moved = segment.move_to_new(at.spot, size, &mut self.usage, |old, new| {
                let (key, value) = sources(old);
                entry::write(new, key, value, stored, entry::access(old));
            });
            if let Some(p) = moved {
                at.p = p;
                return;
            }
            // The arena is full: take the entry out and insert it like a new one. Its deadline
            // bound stays behind, early at worst.
            let access = entry::access(at.p);
            let old: Vec<u8> = copy_raw(at.p, entry::size(at.p));
            let (key, value) = sources(old.as_ptr());
            self.usage.live_bytes -= segment.take_out(hash, at.spot);
            *at = self.insert_raw(hash, key, value, stored, access);
        }
    }

    /// Gives an entry a deadline, or changes the one it has.
    ///
    /// # Safety
    /// `at` is where the entry with this hash is; it is updated when the entry moves.
    pub(super) unsafe fn expire_at(&mut self, hash: u64, at: &mut Location, ms: u64) {
        // SAFETY: by contract.
        unsafe {
            if entry::expire(at.p).is_some() {
                self.set_deadline(*at, ms);
                return;
            }
            let stored = self.store_deadline(entry::key(at.p), ms);
            self.count_deadline(stored);
            self.rewrite(hash, at, None, Some(stored));
            self.note_deadline(*at, stored);
        }
    }

    /// Changes the deadline of an entry that has one.
    unsafe fn set_deadline(&mut self, at: Location, ms: u64) {
        // SAFETY: the entry is live and has a deadline.
        unsafe {
            self.uncount_deadline(at.p);
            let stored = self.store_deadline(entry::key(at.p), ms);
            self.count_deadline(stored);
            entry::set_expire(at.p, stored);
            self.note_deadline(at, stored);
        }
    }

    /// Takes the deadline off an entry.
    ///
    /// # Safety
    /// `at` is where an entry is.
    pub(super) unsafe fn unexpire(&mut self, at: Location) -> bool {
        // SAFETY: the entry is live; it becomes shorter in place.
        unsafe {
            if entry::expire(at.p).is_none() {
                return false;
            }
            self.uncount_deadline(at.p);
            entry::clear_expire(at.p);
            (*at.segment).trim(at.spot, 6);
            self.usage.live_bytes -= 6;
            true
        }
    }

    /// Sets the deadline of `key`; false when there is no such key.
    pub fn set_expire(&mut self, hash: u64, key: &[u8], expire_at_ms: u64) -> bool {
        self.entry_mut(hash, key).map(|mut entry| entry.set_expire(expire_at_ms)).is_some()
    }

    /// Takes the deadline off `key`; false when there is no such key or deadline.
    pub fn persist(&mut self, hash: u64, key: &[u8]) -> bool {
        self.entry_mut(hash, key).is_some_and(|mut entry| entry.persist())
    }

    pub(super) fn far_deadline(&self, key: &[u8]) -> u64 {
        *self.far.get(key).expect("a far deadline is in the side list")
    }

    /// What to store for a deadline: itself, or the mark that it is in the side list.
    fn store_deadline(&mut self, key: &[u8], ms: u64) -> u64 {
        if ms < EXPIRE_FAR {
            return ms;
        }
        self.far.insert(key.into(), ms);
        EXPIRE_FAR
    }

    fn count_deadline(&mut self, stored: u64) {
        self.expires += 1;
        self.expire_sum_ms += stored as u128;
    }

    /// Forgets the deadline of an entry in the counters and the side list.
    unsafe fn uncount_deadline(&mut self, p: *const u8) {
        // SAFETY: the entry is live.
        let Some(stored) = (unsafe { entry::expire(p) }) else { return };
        self.expires -= 1;
        self.expire_sum_ms -= stored as u128;
        if stored == EXPIRE_FAR {
            // SAFETY: the entry is live.
            self.far.remove(unsafe { entry::key(p) });
        }
    }

    /// Tells bounds and heap of a deadline that was written.
    fn note_deadline(&mut self, at: Location, stored: u64) {
        // SAFETY: the location was just made or found.
        unsafe {
            if (*at.segment).note_deadline(at.spot.bucket, stored, &mut self.usage) {
                self.heap.update(at.segment);
            }
        }
    }

    /// Empties the table; what was in it is dropped in slices by the caller.
    pub fn take(&mut self) -> Doomed<T> {
        let mut empty = Table::new(self.hasher.clone());
        empty.epoch = self.epoch;
        Doomed::new(std::mem::replace(self, empty))
    }

    /// All segments in hash order, members after their roots.
    pub(super) fn roots(&self) -> impl Iterator<Item = *mut Segment> + '_ {
        let mut place = 0;
        std::iter::from_fn(move || {
            let root = *self.directory.get(place)?;
            // SAFETY: the directory's segments are valid.
            place += 1 << (self.bits - unsafe { (*root).depth });
            Some(root)
        })
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        while let Some(root) = self.directory.last().copied() {
            self.drop_root(root, &mut |_| {});
        }
    }
}

impl<T> Table<T> {
    /// Drops the last segment of the directory with its entries and returns how many there were.
    /// The table is good only for more of this afterwards.
    pub(super) fn drop_root(&mut self, root: *mut Segment, heap: &mut dyn FnMut(T)) -> usize {
        let mut dropped = 0;
        // SAFETY: `root` is the directory's last segment; its places are cut off, so nobody sees
        // it again. What entries own is moved out before the segment is freed.
        unsafe {
            let places = 1usize << (self.bits - (*root).depth);
            self.directory.truncate(self.directory.len() - places);
            let mut member = root;
            while !member.is_null() {
                for spot in (*member).spots() {
                    let p = (*member).entry(spot);
                    if let Some(word) = entry::heap_word(p) {
                        heap(*Box::from_raw(word.cast::<T>()));
                    }
                    if let KeySource::Boxed(word, len) = entry::key_source(p) {
                        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(word, len)));
                    }
                    dropped += 1;
                }
                let next = (*member).next;
                Segment::free(member, &mut self.usage);
                member = next;
            }
        }
        self.len -= dropped;
        dropped
    }
}

pub(super) fn payload_of<T>(value: Value<'_, T>) -> Payload {
    match value {
        Value::Int(value) => Payload::Int(value),
        Value::Bytes(bytes) => {
            assert!(bytes.len() <= VALUE_INLINE_MAX, "longer values go to the heap");
            Payload::Bytes(bytes.as_ptr(), bytes.len())
        }
        Value::Packed(form, bytes) => {
            assert!(bytes.len() <= VALUE_INLINE_MAX, "longer values go to the heap");
            Payload::Packed(form, bytes.as_ptr(), bytes.len())
        }
        Value::Heap(value) => Payload::Heap(Box::into_raw(Box::new(value)).cast()),
    }
}

unsafe fn copy_raw(from: *const u8, len: usize) -> Vec<u8> {
    let mut copy = Vec::with_capacity(len);
    // SAFETY: the source has `len` bytes; an untyped copy keeps a pointer among them whole.
    unsafe {
        std::ptr::copy_nonoverlapping(from, copy.as_mut_ptr(), len);
        copy.set_len(len);
    }
    copy
}

impl Segment {
    /// Marks the group of `hash` as written in `epoch`.
    #[inline(always)]
    pub(super) fn stamp(&mut self, hash: u64, epoch: u32) {
        let home = self.home(hash);
        self.bucket_mut(home).version = epoch;
    }

    /// Counts the last `bytes` of what was an entry as garbage after it became shorter.
    pub(super) fn trim(&mut self, spot: Spot, bytes: usize) {
        let off = self.bucket(spot.bucket).offs[spot.slot];
        // SAFETY: the slot is occupied.
        let size = unsafe { entry::size(self.arena.at(off)) };
        self.arena.free(off + size as u16, bytes);
    }

    /// Writes an entry to fresh bytes of the arena, frees the old ones and returns its address;
    /// nothing happens when there is no room.
    pub(super) fn move_to_new(
        &mut self,
        spot: Spot,
        size: usize,
        usage: &mut Usage,
        write: impl FnOnce(*mut u8, *mut u8),
    ) -> Option<*mut u8> {
        let old = self.bucket(spot.bucket).offs[spot.slot];
        let off = self.arena.alloc(size, true, &mut usage.arena_bytes).ok()?;
        // SAFETY: both offsets are live: the old entry's and the fresh room's.
        unsafe {
            let p = self.arena.at(off);
            write(self.arena.at(old), p);
            let old_size = entry::size(self.arena.at(old));
            self.arena.free(old, old_size);
            usage.live_bytes = usage.live_bytes + size - old_size;
            self.bucket_mut(spot.bucket).offs[spot.slot] = off;
            Some(p)
        }
    }
}
