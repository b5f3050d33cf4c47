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
use super::entry::{self, EntryRef, KEY_INLINE_MAX, KeySource, Payload, ValueRef};
use super::hasher::Hasher;
use super::segment::{Full, MAX_DEPTH, Segment, Spot};
use super::usage::Usage;
use super::value::{Access, Removed, Replaced, Taken, TakenValue, Ttl, Value, payload_of};
use std::collections::HashMap;
use std::marker::PhantomData;

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
    /// Segments that there will be, see [`Table::expect`].
    pub(super) expected: usize,
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

// SAFETY: what a shared borrow of the table allows only reads, through whatever pointers; every change takes the table
// mutably.
unsafe impl<T: Sync> Sync for Table<T> {}

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
            expected: 0,
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
    pub(super) unsafe fn insert_raw(
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
            ValueRef::Int(value) => Some(TakenValue::Int(value)),
            ValueRef::Bytes(bytes) => Some(TakenValue::Bytes(bytes.to_vec())),
            ValueRef::Packed(form, bytes) => Some(TakenValue::Packed(form, bytes.to_vec())),
            ValueRef::Heap(_) => None,
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

    /// Empties the table; what was in it is dropped in slices by the caller.
    pub fn take(&mut self) -> Doomed<T> {
        let mut empty = Table::new(self.hasher.clone());
        empty.epoch = self.epoch;
        Doomed::new(std::mem::replace(self, empty))
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        while let Some(root) = self.directory.last().copied() {
            self.drop_root(root, &mut |_| {});
        }
    }
}
