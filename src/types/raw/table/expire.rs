#![allow(unsafe_code)]
//! The deadlines of entries: set, changed, taken off, and counted. `deadline` finds those that are due.
//!
//! An entry stores its deadline in six bytes, which hold times until the year 10889; a later one is in the table's side
//! list, and the entry says so with [`EXPIRE_FAR`].

use super::entry::{self, EXPIRE_FAR};
use super::table::{Location, Table};

impl<T> Table<T> {
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
    ///
    /// # Safety
    /// `at` is where an entry with a deadline is.
    pub(super) unsafe fn set_deadline(&mut self, at: Location, ms: u64) {
        // SAFETY: by contract.
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

    /// The deadline of an entry that stores [`EXPIRE_FAR`].
    pub(super) fn far_deadline(&self, key: &[u8]) -> u64 {
        *self.far.get(key).expect("a far deadline is in the side list")
    }

    /// What to store for a deadline: itself, or the mark that it is in the side list.
    pub(super) fn store_deadline(&mut self, key: &[u8], ms: u64) -> u64 {
        if ms < EXPIRE_FAR {
            return ms;
        }
        self.far.insert(key.into(), ms);
        EXPIRE_FAR
    }

    /// Counts a deadline as stored.
    pub(super) fn count_deadline(&mut self, stored: u64) {
        self.expires += 1;
        self.expire_sum_ms += stored as u128;
    }

    /// Forgets the deadline of an entry in the counters and the side list.
    ///
    /// # Safety
    /// `p` is a live entry.
    pub(super) unsafe fn uncount_deadline(&mut self, p: *const u8) {
        // SAFETY: by contract.
        let Some(stored) = (unsafe { entry::expire(p) }) else { return };
        self.expires -= 1;
        self.expire_sum_ms -= stored as u128;
        if stored == EXPIRE_FAR {
            // SAFETY: by contract.
            self.far.remove(unsafe { entry::key(p) });
        }
    }

    /// Tells bounds and heap of a deadline that was written.
    pub(super) fn note_deadline(&mut self, at: Location, stored: u64) {
        // SAFETY: the location was just made or found.
        unsafe {
            if (*at.segment).note_deadline(at.spot.bucket, stored, &mut self.usage) {
                self.heap.update(at.segment);
            }
        }
    }
}
