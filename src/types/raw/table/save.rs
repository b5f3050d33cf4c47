#![allow(unsafe_code)]
//! A walk that sees every entry as it was when the walk began, while the table changes: what a snapshot needs.
//!
//! ```text
//!  hash space   0 ─────────────────── at ──────────────────────────── 2^42
//!  entries      all seen              to be seen, but for those behind
//! ```
//!
//! The walk goes through hash space group by group (the keys of one home bucket). Whoever is about to change a key that
//! it has not come to shows it that key first ([`Table::show`]), and nothing else. From then on the entry counts as
//! *behind* the walk, as do all that are new: one bit per slot, in the bucket's line, which says so. So what a write pays
//! for a walk is one entry, however many there are in its segment, and what it leaves behind is no memory.
//!
//! Beginning costs nothing, because it only raises the epoch: a segment's bits are of the epoch that it names
//! (`walked`), and of no meaning in another one. The first write to a segment in an epoch clears them.
//!
//! INVARIANTS: entries that move to another slot or segment keep their bit; an entry is changed or taken out only when
//! the walk is past its hash or its bit is set.

use super::bucket::{bits, fingerprint};
use super::entry::{self, EntryRef};
use super::segment::{CURSOR_BITS, Segment, Spot};
use super::table::Table;
use crate::types::raw::prefetch;

/// Where a walk is when there is none: past every hash.
pub(super) const NO_WALK: u64 = u64::MAX;

/// A group has rarely more keys.
const GROUP_PREFETCHED: usize = 32;

impl<T> Table<T> {
    /// Begins a walk. There is one at a time: an earlier one is forgotten.
    pub fn begin_walk(&mut self) {
        self.epoch += 1;
        self.walk_at = 0;
    }

    /// Ends the walk, whether or not it is through.
    pub fn end_walk(&mut self) {
        self.walk_at = NO_WALK;
    }

    /// Must the walk see the keys of `hash` before they change, unless it has?
    #[inline(always)]
    pub fn is_ahead(&self, hash: u64) -> bool {
        self.walk_at <= hash >> (64 - CURSOR_BITS)
    }

    /// Is the entry one that the walk must see before it changes?
    ///
    /// # Safety
    /// The segment is one of this table's, and has an entry with this hash there.
    #[inline(always)]
    pub(super) unsafe fn is_unseen(&self, segment: *mut Segment, spot: Spot, hash: u64) -> bool {
        // SAFETY: by contract.
        self.is_ahead(hash) && unsafe { !(*segment).is_behind(spot, self.epoch) }
    }

    /// What was just put there is newer than the walk, if there is one.
    #[inline(always)]
    pub(super) fn note_new(&self, segment: &mut Segment, spot: Spot) {
        if self.walk_at != NO_WALK {
            segment.put_behind(spot, self.epoch);
        }
    }

    /// Shows the walk the entries with this hash that it has not seen; they may be changed then.
    #[cold]
    pub fn show(&mut self, hash: u64, visit: &mut dyn FnMut(EntryRef<'_, T>)) {
        let mut member = self.root(hash);
        while !member.is_null() {
            // SAFETY: members are valid, and occupied slots lead to live entries. No reference to a member is kept.
            unsafe {
                for bucket in (*member).group((*member).home(hash)) {
                    for slot in bits((*member).bucket(bucket).matching(fingerprint(hash))) {
                        let spot = Spot { bucket, slot };
                        let p = (*member).entry(spot);
                        if self.hasher.hash(entry::key(p)) == hash && self.is_unseen(member, spot, hash) {
                            visit(EntryRef::new(self, p));
                            (*member).put_behind(spot, self.epoch);
                        }
                    }
                }
                member = (*member).next;
            }
        }
    }

    /// Shows the walk its next group. False when it is through; the walk has ended then.
    ///
    /// `visit` may say false of an entry that it is not done with: the group ends there, and the next call goes on with
    /// this entry, unless it was shown to the walk before it was changed.
    ///
    /// PERF: the values of a group are asked of memory side by side, before the first is visited: `prefetch` gets each of
    /// those on the heap in two steps, to ask for what it refers to.
    pub fn walk_on(
        &mut self,
        prefetch: &mut dyn FnMut(&T, u32),
        visit: &mut dyn FnMut(EntryRef<'_, T>) -> bool,
    ) -> bool {
        let at = self.walk_at;
        if at >> CURSOR_BITS != 0 {
            self.end_walk();
            return false;
        }
        let root = self.root(at << (64 - CURSOR_BITS));
        // SAFETY: a directory's segment is valid.
        let end = unsafe { (*root).cursor_after(at) };
        self.prefetch_values(root, at, prefetch);
        let mut stopped_at = None;
        self.visit_spots(root, at, end, &mut |segment, spot, p| {
            // SAFETY: the spot is that of an entry of this table.
            unsafe {
                let is_next = stopped_at.is_none() && !(*segment).is_behind(spot, self.epoch);
                if is_next && !visit(EntryRef::new(self, p)) {
                    stopped_at = Some(p);
                }
            }
        });
        if stopped_at.is_none() {
            self.walk_at = end;
            return true;
        }
        // What came before it in the group is not to be seen again.
        let mut is_before = true;
        self.visit_spots(root, at, end, &mut |segment, spot, p| {
            is_before &= stopped_at != Some(p);
            if is_before {
                // SAFETY: as above.
                unsafe { (*segment).put_behind(spot, self.epoch) };
            }
        });
        true
    }
}

impl<T> Table<T> {
    /// For the group at a cursor; which of the keys in its buckets are of another group does not matter.
    fn prefetch_values(&self, root: *mut Segment, at: u64, further: &mut dyn FnMut(&T, u32)) {
        let mut words: [*const T; GROUP_PREFETCHED] = [std::ptr::null(); GROUP_PREFETCHED];
        let mut count = 0;
        // SAFETY: a directory's segment is valid, and its occupied slots lead to live entries.
        let segment = unsafe { &*root };
        let home = segment.home(at << (64 - CURSOR_BITS));
        segment.group(home).for_each(|bucket| segment.prefetch_bucket_entries(bucket));
        for bucket in segment.group(home) {
            for slot in bits(segment.bucket(bucket).occupied()) {
                // SAFETY: as above.
                if let Some(word) = unsafe { entry::heap_word(segment.entry(Spot { bucket, slot })) }
                    && count < GROUP_PREFETCHED
                {
                    prefetch(word.cast_const());
                    words[count] = word.cast_const().cast();
                    count += 1;
                }
            }
        }
        for step in 0..2 {
            for word in &words[..count] {
                // SAFETY: a heap word is a `Box<T>`'s, and the table is borrowed.
                further(unsafe { &**word }, step);
            }
        }
    }
}

impl Segment {
    /// Need a walk of this epoch not see the entry there any more?
    #[inline(always)]
    pub(super) fn is_behind(&self, spot: Spot, epoch: u32) -> bool {
        self.walked == epoch && self.bucket(spot.bucket).behind >> spot.slot & 1 == 1
    }

    /// A walk of this epoch need not see the entry there any more.
    #[inline(always)]
    pub(super) fn put_behind(&mut self, spot: Spot, epoch: u32) {
        if self.walked != epoch {
            self.begin_epoch(epoch);
        }
        self.bucket_mut(spot.bucket).behind |= 1 << spot.slot;
    }

    #[cold]
    fn begin_epoch(&mut self, epoch: u32) {
        self.walked = epoch;
        for bucket in 0..self.bucket_count() {
            self.bucket_mut(bucket).behind = 0;
        }
    }
}
