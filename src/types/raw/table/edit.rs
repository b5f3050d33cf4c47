#![allow(unsafe_code)]
//! Changing one entry that exists.

use super::entry::{self, EntryRef, Payload, ValueRef};
use super::table::{Location, Table};
use super::value::{Access, Ttl, Value, payload_of};

/// An entry being changed.
pub struct EntryMut<'a, T> {
    table: &'a mut Table<T>,
    hash: u64,
    at: Location,
}

impl<'a, T> EntryMut<'a, T> {
    #[inline]
    pub(super) fn new(table: &'a mut Table<T>, hash: u64, at: Location) -> Self {
        EntryMut { table, hash, at }
    }

    /// The entry as a reader sees it.
    #[inline]
    pub fn as_ref(&self) -> EntryRef<'_, T> {
        // SAFETY: `at` follows the entry.
        unsafe { EntryRef::new(self.table, self.at.p) }
    }

    pub fn key(&self) -> &[u8] {
        self.as_ref().key()
    }

    #[inline]
    pub fn value(&self) -> ValueRef<'_, T> {
        self.as_ref().value()
    }

    /// The value, when it is one on the heap.
    #[inline]
    pub fn heap(&self) -> Option<&T> {
        self.as_ref().heap()
    }

    pub fn expire_at_ms(&self) -> Option<u64> {
        self.as_ref().expire_at_ms()
    }

    pub fn access(&self) -> u16 {
        self.as_ref().access()
    }

    /// The heap value, when it is one.
    pub fn heap_mut(&mut self) -> Option<&mut T> {
        // SAFETY: the word is a `Box<T>` owned by the entry, borrowed mutably through the table.
        unsafe { entry::heap_word(self.at.p).map(|word| &mut *word.cast::<T>()) }
    }

    /// The bytes of an inline byte value, to be changed in place.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the bytes belong to the entry, borrowed mutably through the table.
        unsafe { entry::inline_bytes(self.at.p).map(|(at, len)| std::slice::from_raw_parts_mut(at, len)) }
    }

    /// Stores an integer; returns the former heap value.
    pub fn set_int(&mut self, value: i64) -> Option<T> {
        self.store(Payload::Int(value))
    }

    /// Stores a value and keeps deadline and access metadata; returns the former heap value.
    pub fn set_value(&mut self, value: Value<'_, T>) -> Option<T> {
        self.store(payload_of(value))
    }

    fn store(&mut self, payload: Payload) -> Option<T> {
        // SAFETY: `at` follows the entry; a payload of bytes cannot be the entry's own, because
        // this guard borrows the table mutably.
        unsafe { self.table.store(self.hash, &mut self.at, payload, Ttl::Keep, Access::KeepOr(0)) }
    }

    /// Sets the access metadata.
    pub fn set_access(&mut self, access: u16) {
        // SAFETY: `at` follows the entry.
        unsafe { entry::set_access(self.at.p, access) };
    }

    /// Sets the deadline.
    pub fn set_expire(&mut self, expire_at_ms: u64) {
        // SAFETY: `at` follows the entry.
        unsafe { self.table.expire_at(self.hash, &mut self.at, expire_at_ms) };
    }

    /// Takes the deadline off; false when there is none.
    pub fn persist(&mut self) -> bool {
        // SAFETY: `at` follows the entry.
        unsafe { self.table.unexpire(self.at) }
    }
}
