#![allow(unsafe_code)]
//! Finding entries whose time has come.
//!
//! There is no list of deadlines. Every bucket has a lower bound of its earliest deadline, every
//! segment the least of those, and a 4-ary heap orders the segments by that. A bound may be too
//! early (its entry was removed or got a later deadline); the visit that finds out corrects it.
//! One visit reads the at most nineteen entries of a bucket, so the memory of a deadline is its six
//! bytes in the entry and a share of its bucket's four.

use super::bucket::bits;
use super::entry::{self, EntryRef};
use super::segment::{NEVER, NOT_IN_HEAP, Segment, Spot};
use super::table::{Location, Table};

const ARITY: usize = 4;
/// What rewriting a segment costs, in bucket visits.
const REWRITE_VISITS: usize = 32;

/// The segments that have deadlines, least `min_ms` first. Each segment knows its place.
#[derive(Default)]
pub(super) struct DeadlineHeap {
    places: Vec<(u64, *mut Segment)>,
}

impl DeadlineHeap {
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<(u64, *mut Segment)>()
    }

    pub(super) fn first(&self) -> Option<(u64, *mut Segment)> {
        self.places.first().copied()
    }

    pub(super) fn places(&self) -> &[(u64, *mut Segment)] {
        &self.places
    }

    /// Enters, moves or removes a segment according to its `min_ms`.
    ///
    /// The segment must be valid, as must all in the heap.
    pub(super) fn update(&mut self, segment: *mut Segment) {
        // SAFETY: the table only passes its own segments, and removes them before freeing.
        let (min_ms, at) = unsafe { ((*segment).min_ms, (*segment).heap_at) };
        if min_ms == NEVER {
            self.remove(segment);
        } else if at == NOT_IN_HEAP {
            self.places.push((min_ms, segment));
            self.sift_up(self.places.len() - 1);
        } else {
            let before = std::mem::replace(&mut self.places[at as usize].0, min_ms);
            if min_ms < before {
                self.sift_up(at as usize);
            } else if min_ms > before {
                self.sift_down(at as usize);
            }
        }
    }

    /// Takes a segment out, if it is in.
    pub(super) fn remove(&mut self, segment: *mut Segment) {
        // SAFETY: as for `update`.
        let at = unsafe { std::mem::replace(&mut (*segment).heap_at, NOT_IN_HEAP) };
        if at == NOT_IN_HEAP {
            return;
        }
        let at = at as usize;
        let last = self.places.pop().expect("a segment with a place is in the heap");
        if at < self.places.len() {
            self.set(at, last);
            self.sift_up(at);
            self.sift_down(at);
        }
    }

    fn set(&mut self, at: usize, place: (u64, *mut Segment)) {
        self.places[at] = place;
        // SAFETY: segments in the heap are valid.
        unsafe { (*place.1).heap_at = at as u32 };
    }

    fn sift_up(&mut self, mut at: usize) {
        let place = self.places[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.places[parent].0 <= place.0 {
                break;
            }
            self.set(at, self.places[parent]);
            at = parent;
        }
        self.set(at, place);
    }

    fn sift_down(&mut self, mut at: usize) {
        let place = self.places[at];
        loop {
            let first = at * ARITY + 1;
            let end = (first + ARITY).min(self.places.len());
            let Some(child) = (first..end).min_by_key(|&child| self.places[child].0) else {
                break;
            };
            if self.places[child].0 >= place.0 {
                break;
            }
            self.set(at, self.places[child]);
            at = child;
        }
        self.set(at, place);
    }
}

/// What one call of [`Table::pop_expired`] did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Popped {
    /// Entries deleted.
    pub expired: usize,
    /// Buckets read; a segment rewritten to give memory back counts as thirty-two.
    pub visits: usize,
    /// Whether the call stopped at one of its limits with due buckets left.
    pub more: bool,
}

/// Who hears of an entry that is due, see [`Table::pop_expired`].
struct Told<'t, T> {
    due: &'t mut dyn FnMut(EntryRef<'_, T>) -> bool,
    unseen: &'t mut dyn FnMut(EntryRef<'_, T>),
    heap: &'t mut dyn FnMut(T),
}

impl<T> Table<T> {
    /// A time before which no entry expires; `None` without deadlines. It may be early.
    pub fn next_deadline(&self) -> Option<u64> {
        self.heap.first().map(|(min_ms, _)| min_ms)
    }

    /// Deletes entries whose deadline is not after `now_ms`, earliest segments first.
    ///
    /// `due` sees each one before it goes and may refuse, which leaves it for a call at a later
    /// millisecond. Then `unseen` sees it if a walk is under way that has not. Heap values are handed to `heap`. Stops after about `max_entries` deletions or
    /// `max_visits` buckets (a bucket has up to nineteen entries and is finished once begun).
    pub fn pop_expired(
        &mut self,
        now_ms: u64,
        max_entries: usize,
        max_visits: usize,
        due: &mut dyn FnMut(EntryRef<'_, T>) -> bool,
        unseen: &mut dyn FnMut(EntryRef<'_, T>),
        heap: &mut dyn FnMut(T),
    ) -> Popped {
        let mut popped = Popped::default();
        let mut told = Told { due, unseen, heap };
        while let Some((min_ms, segment)) = self.heap.first() {
            if min_ms > now_ms {
                break;
            }
            if popped.visits >= max_visits {
                popped.more = true;
                break;
            }
            // SAFETY: segments in the heap are valid; nothing restructures until `shrink`.
            unsafe {
                if (*segment).is_base_old(now_ms) {
                    (*segment).rebase(now_ms);
                }
                for bucket in 0..(*segment).bucket_count() {
                    if (*segment).bound_ms(bucket) > now_ms {
                        continue;
                    }
                    if popped.expired >= max_entries || popped.visits >= max_visits {
                        popped.more = true;
                        break;
                    }
                    popped.visits += 1;
                    self.visit(segment, bucket, now_ms, &mut told, &mut popped);
                }
                (*segment).refresh_min();
                self.heap.update(segment);
                if popped.more {
                    break;
                }
                if self.shrink_after_pop(segment) {
                    popped.visits += REWRITE_VISITS;
                }
            }
        }
        popped
    }

    /// Deletes what is due in one bucket and corrects its bound.
    ///
    /// # Safety
    /// `segment` is one of this table's.
    unsafe fn visit(
        &mut self,
        segment: *mut Segment,
        bucket: usize,
        now_ms: u64,
        told: &mut Told<'_, T>,
        popped: &mut Popped,
    ) {
        // SAFETY: by contract; occupied slots lead to live entries, and only this bucket's slots
        // are emptied.
        unsafe {
            (*segment).prefetch_bucket_entries(bucket);
            let mut least = NEVER;
            for slot in bits((*segment).bucket(bucket).occupied()) {
                let spot = Spot { bucket, slot };
                let p = (*segment).entry(spot);
                let Some(expire_at_ms) = EntryRef::new(&*self, p).expire_at_ms() else { continue };
                if expire_at_ms > now_ms {
                    least = least.min(expire_at_ms);
                } else if (told.due)(EntryRef::new(&*self, p)) {
                    let hash = self.hasher.hash(entry::key(p));
                    if self.is_unseen(segment, spot, hash) {
                        (told.unseen)(EntryRef::new(&*self, p));
                    }
                    let removed = self.remove_at(hash, Location { segment, spot, p });
                    removed.heap.into_iter().for_each(&mut *told.heap);
                    popped.expired += 1;
                } else {
                    least = least.min(now_ms + 1);
                }
            }
            (*segment).set_bound(bucket, least);
        }
    }
}
