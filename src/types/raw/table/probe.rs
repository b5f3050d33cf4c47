#![allow(unsafe_code)]
//! Finding an entry, looking at it and refusing it, in one probe.
//!
//! A keyspace must not hand out an entry whose deadline has passed, and must remove it instead. With a plain look-up
//! the borrow of the entry it may return would still hold the table while it removes. Here a refused entry gives the
//! table back.

use super::edit::EntryMut;
use super::entry::{self, EntryRef};
use super::table::{Location, Table};

/// What [`Table::find_if`] and [`Table::find_mut_if`] found.
pub enum Probed<E, B> {
    Found(E),
    Missing,
    /// The caller refused the entry; here is the table again.
    Refused(B),
}

/// An entry as the caller sees it: its metadata may be looked at, and its access metadata set.
pub struct Probe<'a, T> {
    table: &'a mut Table<T>,
    at: Location,
}

impl<T> Probe<'_, T> {
    #[inline]
    fn entry(&self) -> EntryRef<'_, T> {
        // SAFETY: the entry was just located in the table, which is borrowed as long as this.
        unsafe { EntryRef::new(self.table, self.at.p) }
    }

    #[inline]
    pub fn expire_at_ms(&self) -> Option<u64> {
        self.entry().expire_at_ms()
    }

    #[inline]
    pub fn access(&self) -> u16 {
        self.entry().access()
    }

    /// Sets the access metadata; does not count as a write.
    #[inline]
    pub fn set_access(&mut self, access: u16) {
        // SAFETY: the entry is this table's, borrowed mutably.
        unsafe { entry::set_access(self.at.p, access) };
    }
}

impl<T> Table<T> {
    /// Finds the entry of `key` and returns it if `accept` does.
    #[inline]
    pub fn find_if<'a>(
        &'a mut self,
        hash: u64,
        key: &[u8],
        accept: impl FnOnce(&mut Probe<'_, T>) -> bool,
    ) -> Probed<EntryRef<'a, T>, &'a mut Self> {
        let Some(at) = self.locate(hash, key) else { return Probed::Missing };
        if !accept(&mut Probe { table: self, at }) {
            return Probed::Refused(self);
        }
        // SAFETY: `at` was located above, and `accept` cannot move entries.
        Probed::Found(unsafe { EntryRef::new(self, at.p) })
    }

    /// As [`Table::find_if`], to change the entry: its group counts as written when it is accepted.
    #[inline]
    pub fn find_mut_if<'a>(
        &'a mut self,
        hash: u64,
        key: &[u8],
        accept: impl FnOnce(&mut Probe<'_, T>) -> bool,
    ) -> Probed<EntryMut<'a, T>, &'a mut Self> {
        let Some(at) = self.locate(hash, key) else { return Probed::Missing };
        if !accept(&mut Probe { table: self, at }) {
            return Probed::Refused(self);
        }
        Probed::Found(EntryMut::new(self, hash, at))
    }
}
