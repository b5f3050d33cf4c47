//! The keyspace as a command sees it: look-ups that expire and count access, and the one door for writes.
//!
//! INVARIANT (one door): every change of a key goes through a method here that takes the [`Event`] to report, and
//! records exactly one effect for it. The table itself is not handed to commands for writing.

use super::access::{AccessClock, Counting};
use super::db::Db;
use super::effects::{Effects, Event, Stored};
use super::field_expiry::next_of_moved;
use super::graveyard::Graveyard;
use super::snapshot::{Saving, Snapshot, show_first};
use super::stats::KeyStats;
use super::subkeys::Subkeys;
use crate::types::raw::table::{Access, EntryMut, EntryRef, TakenValue, Ttl, VALUE_INLINE_MAX};
use crate::types::raw::table::{Probe, Probed, Table};
use crate::types::raw::table::{Value as TableValue, ValueRef};
use crate::types::{DbIndex, Kind, Packed, Value};

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
    /// A small collection, of at most [`VALUE_INLINE_MAX`] bytes.
    Packed(Packed, &'v [u8]),
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

/// Whether a miss is told to who listens for misses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Announce {
    Yes,
    No,
}

/// One database of a shard while a command runs.
pub struct Keyspace<'a> {
    pub(super) db: &'a mut Db,
    pub(super) index: DbIndex,
    pub(super) effects: &'a mut Effects,
    pub(super) stats: &'a mut KeyStats,
    pub(super) graveyard: &'a mut Graveyard,
    pub(super) snapshot: &'a mut Snapshot,
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) clock: AccessClock,
    /// Reads count as access.
    pub(super) touch: bool,
    /// Readers do not see expired keys, but these stay.
    pub(super) stands_still: bool,
}

impl<'a> Keyspace<'a> {
    /// Deadlines up to here have passed for the command.
    #[inline]
    pub fn due_ms(&self) -> u64 {
        self.clock.due_ms
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.db.table.hasher().hash(key)
    }

    /// Before a change: a snapshot under way sees what is there now.
    #[inline]
    pub(super) fn show_first(&mut self, hash: u64) {
        show_first(&mut self.db.table, &self.db.saving, self.snapshot, hash);
    }

    /// Removes the key if its deadline has passed. True when it is (now) not there.
    #[inline]
    fn expire_if_due(&mut self, hash: u64, key: &[u8]) -> bool {
        let due_ms = self.clock.due_ms;
        match self.db.table.find_if(hash, key, |entry| !is_due(entry, due_ms)) {
            Probed::Found(_) => false,
            Probed::Missing => true,
            Probed::Refused(table) => {
                if !self.stands_still {
                    expire(table, &self.db.saving, self.snapshot, hash, key, self.graveyard, self.stats);
                    self.effects.record(self.index, key, Event::EXPIRED);
                }
                true
            }
        }
    }

    /// Looks a key up to read its value: expires it, counts a hit or a miss, counts as access.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        let hash = self.hash(key);
        let Keyspace { db, index, effects, stats, graveyard, snapshot, rng, clock, touch, stands_still } =
            self;
        match db.table.find_if(hash, key, |entry| accept(entry, *clock, *touch, rng)) {
            Probed::Found(entry) => {
                stats.hits += 1;
                Some(entry)
            }
            Probed::Missing => {
                stats.misses += 1;
                effects.missed(*index, key);
                None
            }
            Probed::Refused(table) => {
                stats.misses += 1;
                if !*stands_still {
                    expire(table, &db.saving, snapshot, hash, key, graveyard, stats);
                    effects.record(*index, key, Event::EXPIRED);
                }
                effects.missed(*index, key);
                None
            }
        }
    }

    /// Looks a key up to tell something about it (EXISTS, TYPE, TTL): counts a hit or a miss, no access.
    pub fn read_untouched(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        self.look(key, false, Some(Announce::Yes))
    }

    /// Looks a key up to tell how it is kept (OBJECT): counts a hit or a miss, no access, and tells nobody of a miss.
    pub fn inspect(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        self.look(key, false, Some(Announce::No))
    }

    /// Looks a key up that a write may be about to change: counts an access, neither hit nor miss.
    pub fn find_to_write(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        self.look(key, self.touch, None)
    }

    fn look(&mut self, key: &[u8], touch: bool, count: Option<Announce>) -> Option<EntryView<'_>> {
        let hash = self.hash(key);
        let Keyspace { db, index, effects, stats, graveyard, snapshot, rng, clock, stands_still, .. } = self;
        let entry = match db.table.find_if(hash, key, |entry| accept(entry, *clock, touch, rng)) {
            Probed::Found(entry) => Some(entry),
            Probed::Missing => None,
            Probed::Refused(table) => {
                if !*stands_still {
                    expire(table, &db.saving, snapshot, hash, key, graveyard, stats);
                    effects.record(*index, key, Event::EXPIRED);
                }
                None
            }
        };
        if let Some(announce) = count {
            let counter = if entry.is_some() { &mut stats.hits } else { &mut stats.misses };
            *counter += 1;
            if entry.is_none() && announce == Announce::Yes {
                effects.missed(*index, key);
            }
        }
        entry
    }

    /// Looks a key up without counting a hit or an access.
    pub fn peek(&mut self, key: &[u8]) -> Option<EntryView<'_>> {
        let hash = self.hash(key);
        let Keyspace { db, index, effects, stats, graveyard, snapshot, clock, stands_still, .. } = self;
        match db.table.find_if(hash, key, |entry| !is_due(entry, clock.due_ms)) {
            Probed::Found(entry) => Some(entry),
            Probed::Missing => None,
            Probed::Refused(table) => {
                if !*stands_still {
                    expire(table, &db.saving, snapshot, hash, key, graveyard, stats);
                    effects.record(*index, key, Event::EXPIRED);
                }
                None
            }
        }
    }

    /// Looks a key up that this command has looked up before, so that several can be read side by side. Expires nothing
    /// and counts nothing.
    pub fn again(&self, key: &[u8]) -> Option<EntryView<'_>> {
        let entry = self.db.table.find(self.hash(key), key)?;
        (!has_expired(&entry, self.clock.due_ms)).then_some(entry)
    }

    /// Is the key there? Counts neither hit nor access.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        !self.expire_if_due(hash, key)
    }

    /// Stores a value, whatever the key held. True when the key existed.
    #[inline]
    pub fn set(&mut self, key: &[u8], value: NewValue<'_>, ttl: Ttl, event: Event) -> bool {
        let hash = self.hash(key);
        let access = match self.clock.counting {
            // Without deadlines in this database nothing can be due, and one probe does it all.
            Counting::Lru | Counting::Lrm if self.db.table.expires_count() == 0 => {
                Access::Set(self.clock.fresh())
            }
            counting => self.prepare(hash, key, counting),
        };
        let value = self.table_value(value);
        let type_changed = self.effects.wants.type_changed && self.is_of_other_type(hash, key, &value);
        self.show_first(hash);
        let replaced = self.db.table.replace(hash, key, value, ttl, access);
        if let Some(old) = replaced.old {
            self.bury(old);
        }
        let stored = Stored { is_new: !replaced.existed, overwritten: replaced.existed, type_changed };
        self.effects.record_store(self.index, key, event, stored);
        replaced.existed
    }

    /// Is there a value of another type than this one?
    #[cold]
    fn is_of_other_type(&mut self, hash: u64, key: &[u8], value: &TableValue<'_, Value>) -> bool {
        let after = match value {
            TableValue::Int(_) | TableValue::Bytes(_) => Kind::String,
            TableValue::Packed(form, _) => form.kind(),
            TableValue::Heap(value) => value.kind(),
        };
        self.db.table.find(hash, key).is_some_and(|entry| kind_of(entry.value()) != after)
    }

    /// Expires what is about to be overwritten, and says what becomes of its access metadata.
    ///
    /// Redis: overwriting counts as an access, and with LFU the new value inherits the counter.
    fn prepare(&mut self, hash: u64, key: &[u8], counting: Counting) -> Access {
        let Keyspace { db, index, effects, stats, graveyard, snapshot, rng, clock, touch, .. } = self;
        let found = db.table.find_if(hash, key, |entry| accept(entry, *clock, *touch, rng));
        if let Probed::Refused(table) = found {
            expire(table, &db.saving, snapshot, hash, key, graveyard, stats);
            effects.record(*index, key, Event::EXPIRED);
        }
        match counting {
            Counting::Lru | Counting::Lrm => Access::Set(clock.fresh()),
            Counting::Lfu { .. } => Access::KeepOr(clock.fresh()),
        }
    }

    /// Reports a further notification of the change that was just made to a key.
    pub fn also(&mut self, key: &[u8], event: Event) {
        self.effects.also(self.index, key, event);
    }

    fn table_value<'v>(&mut self, value: NewValue<'v>) -> TableValue<'v, Value> {
        match value {
            NewValue::Int(value) => TableValue::Int(value),
            NewValue::Bytes(bytes) if bytes.len() <= VALUE_INLINE_MAX => TableValue::Bytes(bytes),
            NewValue::Bytes(bytes) => self.heap(Value::String(bytes.to_vec().into())),
            NewValue::Packed(form, bytes) => TableValue::Packed(form, bytes),
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

    pub(super) fn drop_entry(&mut self, hash: u64, key: &[u8]) -> bool {
        self.show_first(hash);
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
        self.show_first(hash);
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
            ValueRef::Packed(form, bytes) => TakenValue::Packed(form, bytes.to_vec()),
            ValueRef::Heap(value) => TakenValue::Heap(value.clone()),
        };
        Some(Moved { value, expire_at_ms: entry.expire_at_ms(), access: entry.access() })
    }

    /// Puts a key with all it has, replacing what was there. A heap value moves in as it is, however big.
    pub fn put(&mut self, key: &[u8], moved: Moved, event: Event) {
        let (existed, type_changed) = self.place(key, moved);
        // Redis: what was there is deleted first, so the key is a new one in any case.
        let stored = Stored { is_new: true, overwritten: existed, type_changed };
        self.effects.record_store(self.index, key, event, stored);
    }

    /// Puts a key that was read from a file: no news for anybody, and no change. False, and nothing happened, when it is
    /// there already and `replace` does not say to replace it.
    pub fn load(&mut self, key: &[u8], moved: Moved, replace: bool) -> bool {
        if !replace && self.db.table.find(self.hash(key), key).is_some() {
            return false;
        }
        self.place(key, moved);
        true
    }

    /// Stores a key with all it has. Was there one, and was it of another type (as far as anybody wants to know)?
    fn place(&mut self, key: &[u8], moved: Moved) -> (bool, bool) {
        let fields_expire_at = next_of_moved(&moved.value);
        let hash = self.hash(key);
        let bytes;
        let value = match moved.value {
            TakenValue::Int(value) => TableValue::Int(value),
            TakenValue::Bytes(taken) => {
                bytes = taken;
                self.table_value(NewValue::Bytes(&bytes))
            }
            TakenValue::Packed(form, taken) => {
                bytes = taken;
                TableValue::Packed(form, &bytes)
            }
            TakenValue::Heap(value) => self.heap(value),
        };
        let ttl = moved.expire_at_ms.map_or(Ttl::Clear, Ttl::Set);
        let type_changed = self.effects.wants.type_changed && self.is_of_other_type(hash, key, &value);
        self.show_first(hash);
        let replaced = self.db.table.replace(hash, key, value, ttl, Access::Set(moved.access));
        if let Some(old) = replaced.old {
            self.bury(old);
        }
        if let Some(at) = fields_expire_at {
            self.fields_expire_at(key, at);
        }
        (replaced.existed, type_changed)
    }

    /// How many keys there are, those included whose deadline has passed unnoticed.
    pub fn len(&self) -> usize {
        self.db.table.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.db.table.is_empty()
    }

    /// Visits all keys that have not expired.
    pub fn for_each(&self, visit: &mut dyn FnMut(EntryView<'_>)) {
        let due_ms = self.clock.due_ms;
        for entry in self.db.table.iter().filter(|entry| !has_expired(entry, due_ms)) {
            visit(entry);
        }
    }

    /// Visits a slice of the keys, see [`Table::scan`](crate::types::raw::table::Table::scan); expires those it meets
    /// whose time has come, instead of showing them.
    pub fn scan(&mut self, cursor: u64, count: usize, visit: &mut dyn FnMut(EntryView<'_>)) -> u64 {
        let due_ms = self.clock.due_ms;
        let mut due: Vec<Box<[u8]>> = Vec::new();
        let next = self.db.table.scan(cursor, count, &mut |entry| {
            if has_expired(&entry, due_ms) {
                due.push(entry.key().into());
            } else {
                visit(entry);
            }
        });
        for key in due {
            self.exists(&key);
        }
        next
    }

    /// A random key that has not expired; expired ones it meets are removed.
    pub fn random(&mut self) -> Option<EntryView<'_>> {
        let due_ms = self.clock.due_ms;
        let key: Box<[u8]> = loop {
            let rng = &mut *self.rng;
            let entry = self.db.table.random_entry(&mut || rng.u64(..))?;
            let key = entry.key().into();
            if !has_expired(&entry, due_ms) {
                break key;
            }
            self.exists(&key);
        };
        self.db.table.find(self.hash(&key), &key)
    }

    /// Opens a key for a change that depends on what it holds. Counts as access, neither as hit nor as miss.
    #[inline]
    pub fn edit<'k>(&mut self, key: &'k [u8]) -> Option<Edit<'_, 'k>> {
        let hash = self.hash(key);
        self.show_first(hash);
        let Keyspace { db, index, effects, stats, graveyard, snapshot, rng, clock, touch, .. } = self;
        match db.table.find_mut_if(hash, key, |entry| accept(entry, *clock, *touch, rng)) {
            Probed::Found(entry) => {
                let heap_bytes = heap_bytes(entry.value());
                let stamp = (clock.counting == Counting::Lrm).then(|| clock.fresh());
                Some(Edit { key, index: *index, entry, effects, graveyard, heap_bytes, stamp })
            }
            Probed::Missing => None,
            Probed::Refused(table) => {
                expire(table, &db.saving, snapshot, hash, key, graveyard, stats);
                effects.record(*index, key, Event::EXPIRED);
                None
            }
        }
    }

    /// Reports how the bytes behind heap values changed in an edit.
    fn settle(&mut self, change: isize) {
        if change != 0 {
            self.db.table.report_heap_bytes(change);
        }
    }

    /// Runs an edit and keeps the accounts: the only way to finish one.
    #[inline]
    pub fn edit_with<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Edit<'_, '_>) -> R) -> Option<R> {
        let mut edit = self.edit(key)?;
        let result = change(&mut edit);
        let change = edit.heap_change();
        self.settle(change);
        Some(result)
    }
}

/// The type of a value.
pub fn kind_of(value: ValueView<'_>) -> Kind {
    match value {
        ValueRef::Int(_) | ValueRef::Bytes(_) => Kind::String,
        ValueRef::Packed(form, _) => form.kind(),
        ValueRef::Heap(value) => value.kind(),
    }
}

fn has_expired(entry: &EntryView<'_>, due_ms: u64) -> bool {
    entry.expire_at_ms().is_some_and(|at| at <= due_ms)
}

#[inline]
fn is_due(entry: &Probe<'_, Value>, due_ms: u64) -> bool {
    entry.expire_at_ms().is_some_and(|at| at <= due_ms)
}

/// Refuses an entry whose deadline has passed, and counts the access of another.
#[inline]
fn accept(entry: &mut Probe<'_, Value>, clock: AccessClock, touch: bool, rng: &mut fastrand::Rng) -> bool {
    if is_due(entry, clock.due_ms) {
        return false;
    }
    if touch {
        let access = entry.access();
        let touched = clock.touched(access, || rng.f64());
        if touched != access {
            entry.set_access(touched);
        }
    }
    true
}

/// Takes out a key whose deadline has passed; the caller records the effect.
#[cold]
fn expire(
    table: &mut Table<Value>,
    saving: &Option<Saving>,
    snapshot: &mut Snapshot,
    hash: u64,
    key: &[u8],
    graveyard: &mut Graveyard,
    stats: &mut KeyStats,
) {
    show_first(table, saving, snapshot, hash);
    let removed = table.remove(hash, key);
    if let Some(value) = removed.and_then(|removed| removed.heap) {
        table.report_heap_bytes(-(value.heap_bytes() as isize));
        graveyard.bury(value);
    }
    stats.expired += 1;
}

#[inline]
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
    /// What a change stamps the key with, when changes alone are counted (LRM).
    stamp: Option<u16>,
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
            NewValue::Packed(form, bytes) => TableValue::Packed(form, bytes),
            NewValue::Value(value) => TableValue::Heap(value),
        };
        if let Some(old) = self.entry.set_value(value) {
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
        self.stamp = None;
    }

    /// Reports the change.
    pub fn commit(&mut self, event: Event) {
        self.commit_many(event, 1);
    }

    /// Reports a change that counts as `changes` of them (elements added or removed).
    pub fn commit_many(&mut self, event: Event, changes: u64) {
        if let Some(stamp) = self.stamp {
            self.entry.set_access(stamp);
        }
        self.effects.record_many(self.index, self.key, event, changes);
    }

    /// Reports a further notification of the change that was committed.
    pub fn also(&mut self, event: Event) {
        self.effects.also(self.index, self.key, event);
    }

    /// Names the fields that what was committed last is about.
    pub fn name_subkeys(&mut self, subkeys: Box<Subkeys>) {
        self.effects.name_subkeys(subkeys);
    }

    fn heap_change(&self) -> isize {
        heap_bytes(self.entry.value()) as isize - self.heap_bytes as isize
    }
}
