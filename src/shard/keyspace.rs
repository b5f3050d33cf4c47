//! The keyspace as a command sees it: look-ups that expire and count access, and the one door for writes.
//!
//! INVARIANT (one door): every change of a key goes through a method here that takes the [`Event`] to report, and
//! records exactly one effect for it. The table itself is not handed to commands for writing.

use super::access::AccessClock;
use super::db::Db;
use super::effects::{Effects, Event};
use super::graveyard::Graveyard;
use super::stats::KeyStats;
use crate::types::raw::table::{Access, EntryMut, EntryRef, TakenValue, Ttl, VALUE_INLINE_MAX};
use crate::types::raw::table::{Value as TableValue, ValueRef};
use crate::types::{DbIndex, Value};

/// An entry's value as readers see it.
pub type ValueView<'a> = ValueRef<'a, Value>;
/// An entry as readers see it.
pub type EntryView<'a> = EntryRef<'a, Value>;

/// A value on its way into the keyspace.
#[derive(Debug)]
pub enum NewValue<'v> {
    Int(i64),
    /// Of any length; kept beside the key when short.
    Bytes(&'v [u8]),
    Value(Value),
}

/// A value with its metadata, taken out of a shard or on its way into one.
#[derive(Debug)]
pub struct Moved {
    pub value: TakenValue<Value>,
    pub expire_at_ms: Option<u64>,
    /// Access metadata, see [`super::access`].
    pub access: u16,
}

/// One database of a shard while a command runs.
pub struct Keyspace<'a> {
    pub(super) db: &'a mut Db,
    pub(super) index: DbIndex,
    pub(super) effects: &'a mut Effects,
    pub(super) stats: &'a mut KeyStats,
    pub(super) graveyard: &'a mut Graveyard,
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) clock: AccessClock,
    /// Reads count as access.
    pub(super) touch: bool,
    /// Expired keys stay.
    pub(super) stands_still: bool,
}

impl<'a> Keyspace<'a> {
    /// The time of the command.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        self.db.table.hasher().hash(key)
    }

    /// Removes the key if its deadline has passed. True when it is (now) not there.
    #[inline]
    fn expire_if_due(&mut self, hash: u64, key: &[u8]) -> bool {
        let due = match self.db.table.find(hash, key) {
            None => return true,
            Some(entry) => entry.expire_at_ms().is_some_and(|at| at <= self.clock.now_ms),
        };
        // While the data set stands still, an expired key is not seen and stays.
        if due && !self.stands_still {
            self.drop_entry(hash, key);
            self.stats.expired += 1;
            self.effects.record(self.index, key, Event::EXPIRED);
        }
        due
    }

    /// Looks a key up to read its value: expires it, counts a hit or a miss, counts as access.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        let hash = self.hash(key);
        let Some(entry) = self.db.table.find(hash, key) else {
            self.stats.misses += 1;
            return None;
        };
        let access = entry.access();
        if entry.expire_at_ms().is_some_and(|at| at <= self.clock.now_ms) {
            self.expire_if_due(hash, key);
            self.stats.misses += 1;
            return None;
        }
        self.stats.hits += 1;
        if self.touch {
            let rng = &mut *self.rng;
            let touched = self.clock.touched(access, || rng.f64());
            if touched != access {
                self.db.table.touch(hash, key, touched);
            }
        }
        self.db.table.find(hash, key)
    }

    /// Looks a key up without counting a hit or an access (TYPE, TTL, OBJECT …).
    pub fn peek(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        let hash = self.hash(key);
        if self.expire_if_due(hash, key) {
            return None;
        }
        self.db.table.find(hash, key)
    }

    /// Is the key there? Counts neither hit nor access.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        !self.expire_if_due(hash, key)
    }

    /// Stores a value, whatever the key held. True when the key existed.
    pub fn set(&mut self, key: &[u8], value: NewValue<'_>, ttl: Ttl, event: Event) -> bool {
        let hash = self.hash(key);
        if ttl == Ttl::Keep {
            self.expire_if_due(hash, key);
        }
        let value = self.table_value(value);
        let replaced = self.db.table.replace(hash, key, value, ttl, Access::Set(self.clock.fresh()));
        if let Some(old) = replaced.old {
            self.bury(old);
        }
        self.effects.record(self.index, key, event);
        replaced.existed
    }

    fn table_value<'v>(&mut self, value: NewValue<'v>) -> TableValue<'v, Value> {
        match value {
            NewValue::Int(value) => TableValue::Int(value),
            NewValue::Bytes(bytes) if bytes.len() <= VALUE_INLINE_MAX => TableValue::Bytes(bytes),
            NewValue::Bytes(bytes) => self.heap(Value::String(bytes.to_vec().into())),
            NewValue::Value(value) => self.heap(value),
        }
    }

    fn heap<'v>(&mut self, value: Value) -> TableValue<'v, Value> {
        self.db.table.report_heap_bytes(value.heap_bytes() as isize);
        TableValue::Heap(value)
    }

    fn bury(&mut self, value: Value) {
        self.db.table.report_heap_bytes(-(value.heap_bytes() as isize));
        self.graveyard.bury(value);
    }

    fn drop_entry(&mut self, hash: u64, key: &[u8]) -> bool {
        match self.db.table.remove(hash, key) {
            None => false,
            Some(removed) => {
                if let Some(value) = removed.heap {
                    self.bury(value);
                }
                true
            }
        }
    }

    /// Removes a key. True when it was there.
    pub fn remove(&mut self, key: &[u8], event: Event) -> bool {
        let hash = self.hash(key);
        if self.expire_if_due(hash, key) {
            return false;
        }
        self.drop_entry(hash, key);
        self.effects.record(self.index, key, event);
        true
    }

    /// Takes a key out with all it has.
    pub fn take(&mut self, key: &[u8], event: Event) -> Option<Moved> {
        let hash = self.hash(key);
        if self.expire_if_due(hash, key) {
            return None;
        }
        let taken = self.db.table.take_entry(hash, key)?;
        if let TakenValue::Heap(value) = &taken.value {
            self.db.table.report_heap_bytes(-(value.heap_bytes() as isize));
        }
        self.effects.record(self.index, key, event);
        Some(Moved { value: taken.value, expire_at_ms: taken.expire_at_ms, access: taken.access })
    }

    /// A copy of a key with all it has.
    pub fn copy(&mut self, key: &[u8]) -> Option<Moved> {
        let entry = self.peek(key)?;
        let value = match entry.value() {
            ValueRef::Int(value) => TakenValue::Int(value),
            ValueRef::Bytes(bytes) => TakenValue::Bytes(bytes.to_vec()),
            ValueRef::Heap(value) => TakenValue::Heap(value.clone()),
        };
        Some(Moved { value, expire_at_ms: entry.expire_at_ms(), access: entry.access() })
    }

    /// Puts a key with all it has, replacing what was there.
    pub fn put(&mut self, key: &[u8], moved: Moved, event: Event) {
        let hash = self.hash(key);
        let value = match &moved.value {
            TakenValue::Int(value) => TableValue::Int(*value),
            TakenValue::Bytes(bytes) => self.table_value(NewValue::Bytes(bytes)),
            TakenValue::Heap(value) => self.heap(value.clone()),
        };
        let ttl = moved.expire_at_ms.map_or(Ttl::Clear, Ttl::Set);
        let replaced = self.db.table.replace(hash, key, value, ttl, Access::Set(moved.access));
        if let Some(old) = replaced.old {
            self.bury(old);
        }
        self.effects.record(self.index, key, event);
    }

    /// Opens a key for a change that depends on what it holds. Counts neither hit nor access.
    pub fn edit<'k>(&mut self, key: &'k [u8]) -> Option<Edit<'_, 'k>> {
        let hash = self.hash(key);
        if self.expire_if_due(hash, key) {
            return None;
        }
        let Keyspace { db, effects, graveyard, index, .. } = self;
        let entry = db.table.entry_mut(hash, key)?;
        let heap_bytes = heap_bytes(entry.value());
        Some(Edit { key, index: *index, entry, effects, graveyard, heap_bytes, buried: 0 })
    }

    /// Reports how the bytes behind heap values changed in an edit.
    fn settle(&mut self, change: isize) {
        if change != 0 {
            self.db.table.report_heap_bytes(change);
        }
    }

    /// Runs an edit and keeps the accounts: the only way to finish one.
    pub fn edit_with<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Edit<'_, '_>) -> R) -> Option<R> {
        let mut edit = self.edit(key)?;
        let result = change(&mut edit);
        let change = edit.heap_change();
        self.settle(change);
        Some(result)
    }
}

fn heap_bytes(value: ValueView<'_>) -> usize {
    match value {
        ValueRef::Heap(value) => value.heap_bytes(),
        _ => 0,
    }
}

/// A key being changed. A change is reported by [`Edit::commit`]; an edit that only looked needs none.
pub struct Edit<'a, 'k> {
    key: &'k [u8],
    index: DbIndex,
    entry: EntryMut<'a, Value>,
    effects: &'a mut Effects,
    graveyard: &'a mut Graveyard,
    heap_bytes: usize,
    buried: usize,
}

impl Edit<'_, '_> {
    pub fn value(&self) -> ValueView<'_> {
        self.entry.value()
    }

    pub fn expire_at_ms(&self) -> Option<u64> {
        self.entry.expire_at_ms()
    }

    /// The heap value, to be changed in place.
    pub fn heap_mut(&mut self) -> Option<&mut Value> {
        self.entry.heap_mut()
    }

    /// The bytes of a short string, to be changed in place.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.entry.bytes_mut()
    }

    /// Stores another value, keeping deadline and access metadata.
    pub fn set(&mut self, value: NewValue<'_>) {
        let value = match value {
            NewValue::Int(value) => TableValue::Int(value),
            NewValue::Bytes(bytes) if bytes.len() <= VALUE_INLINE_MAX => TableValue::Bytes(bytes),
            NewValue::Bytes(bytes) => TableValue::Heap(Value::String(bytes.to_vec().into())),
            NewValue::Value(value) => TableValue::Heap(value),
        };
        if let Some(old) = self.entry.set_value(value) {
            self.buried += old.heap_bytes();
            self.graveyard.bury(old);
        }
    }

    /// Sets the deadline.
    pub fn set_expire(&mut self, expire_at_ms: u64) {
        self.entry.set_expire(expire_at_ms);
    }

    /// Takes the deadline off. False when there was none.
    pub fn persist(&mut self) -> bool {
        self.entry.persist()
    }

    /// Sets the access metadata.
    pub fn set_access(&mut self, access: u16) {
        self.entry.set_access(access);
    }

    /// Reports the change.
    pub fn commit(&mut self, event: Event) {
        self.effects.record(self.index, self.key, event);
    }

    fn heap_change(&self) -> isize {
        heap_bytes(self.entry.value()) as isize - self.heap_bytes as isize
    }
}
