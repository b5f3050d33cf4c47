//! The form that is a table: field bytes to values, deadlines with the entries.

use super::super::number::parse_i64;
use super::super::raw::table::{
    Access, Doomed, EntryRef, Hasher, Table, Ttl, VALUE_INLINE_MAX, Value as TableValue, ValueRef,
};
use super::{LongValue, Text};

/// Longest text of an integer.
const INT_TEXT_MAX: usize = 20;
/// Buckets read per field that may expire.
const VISITS_PER_FIELD: usize = 2;

/// A hash that is a table.
pub(super) struct Big {
    pub table: Table<LongValue>,
}

impl Default for Big {
    fn default() -> Big {
        Big { table: Table::new(Hasher::shared()) }
    }
}

impl Big {
    /// Sets a field. True when it existed.
    pub fn set(&mut self, field: &[u8], value: &[u8], ttl: Ttl) -> bool {
        if value.len() <= INT_TEXT_MAX
            && let Some(value) = parse_i64(value)
        {
            return self.store(field, TableValue::Int(value), ttl);
        }
        if value.len() <= VALUE_INLINE_MAX {
            self.store(field, TableValue::Bytes(value), ttl)
        } else {
            self.store(field, TableValue::Heap(value.to_vec().into()), ttl)
        }
    }

    /// Adds a field that is not there.
    pub fn insert(&mut self, field: Text<'_>, value: Text<'_>, deadline: Option<u64>) {
        let (mut digits, ttl) = (itoa::Buffer::new(), deadline.map_or(Ttl::Clear, Ttl::Set));
        let field = field.as_bytes(&mut digits);
        match value {
            Text::Int(value) => self.store(field, TableValue::Int(value), ttl),
            Text::Bytes(value) => self.set(field, value, ttl),
            Text::Long(value) => self.store(field, TableValue::Heap(LongValue::clone(value)), ttl),
        };
    }

    fn store(&mut self, field: &[u8], value: TableValue<'_, LongValue>, ttl: Ttl) -> bool {
        let hash = self.table.hasher().hash(field);
        if let TableValue::Heap(value) = &value {
            self.table.report_heap_bytes(long_bytes(value) as isize);
        }
        let replaced = self.table.replace(hash, field, value, ttl, Access::KeepOr(0));
        self.forget(replaced.old);
        replaced.existed
    }

    fn forget(&mut self, old: Option<LongValue>) {
        if let Some(old) = old {
            self.table.report_heap_bytes(-(long_bytes(&old) as isize));
        }
    }

    pub fn remove(&mut self, field: &[u8]) -> bool {
        let hash = self.table.hasher().hash(field);
        let removed = self.table.remove(hash, field);
        let existed = removed.is_some();
        self.forget(removed.and_then(|removed| removed.heap));
        existed
    }

    pub fn set_deadline(&mut self, field: &[u8], expire_at_ms: u64) -> bool {
        let hash = self.table.hasher().hash(field);
        self.table.set_expire(hash, field, expire_at_ms)
    }

    pub fn persist(&mut self, field: &[u8]) -> bool {
        let hash = self.table.hasher().hash(field);
        self.table.persist(hash, field)
    }

    /// Removes what is due; how many fields, and whether there are more.
    pub fn expire_due(&mut self, now_ms: u64, budget: usize, gone: &mut dyn FnMut(&[u8])) -> (usize, bool) {
        let mut bytes = 0;
        let visits = budget.saturating_mul(VISITS_PER_FIELD);
        let mut name = |entry: EntryRef<'_, LongValue>| {
            gone(entry.key());
            true
        };
        let popped = self.table.pop_expired(now_ms, budget, visits, &mut name, &mut |_| {}, &mut |value| {
            bytes += long_bytes(&value) as isize;
        });
        self.table.report_heap_bytes(-bytes);
        (popped.expired, popped.more)
    }

    /// Copies about `count` fields from a cursor on.
    pub fn copy_some(&self, copy: &mut Big, at: u64, count: usize) -> Option<u64> {
        copy.table.expect(self.table.len());
        let next = self.table.scan(at, count, &mut |entry| {
            copy.insert(Text::Bytes(entry.key()), text_of(entry), entry.expire_at_ms());
        });
        (next != 0).then_some(next)
    }

    /// Gives all fields away to be dropped.
    pub fn die(&mut self) -> Dying {
        let long_bytes = self.table.usage().heap_bytes;
        Dying { doomed: Some(Box::new(self.table.take())), reported_bytes: long_bytes, long_bytes }
    }
}

impl Clone for Big {
    fn clone(&self) -> Big {
        let mut copy = Big::default();
        copy.table.expect(self.table.len());
        for entry in self.table.iter() {
            copy.insert(Text::Bytes(entry.key()), text_of(entry), entry.expire_at_ms());
        }
        copy
    }
}

/// The value of an entry.
#[inline]
pub(super) fn text_of<'a>(entry: EntryRef<'a, LongValue>) -> Text<'a> {
    match entry.value() {
        ValueRef::Int(value) => Text::Int(value),
        ValueRef::Bytes(bytes) => Text::Bytes(bytes),
        ValueRef::Heap(value) => Text::Long(value),
        ValueRef::Packed(..) => unreachable!("a field's value is a string"),
    }
}

/// Bytes behind a long value: its pointer's box, the counts, the vector and its bytes.
fn long_bytes(value: &LongValue) -> usize {
    8 + 16 + 24 + value.capacity()
}

/// The fields of a hash that is being dropped in slices.
pub(super) struct Dying {
    /// Nothing when all are gone.
    doomed: Option<Box<Doomed<LongValue>>>,
    /// What the table was told of its long values when it was doomed, which it goes on saying.
    reported_bytes: usize,
    /// What they still are.
    long_bytes: usize,
}

impl Dying {
    pub fn heap_bytes(&self) -> usize {
        let table = self.doomed.as_ref().map_or(0, |doomed| doomed.usage().total_bytes());
        table.saturating_sub(self.reported_bytes) + self.long_bytes
    }

    pub fn drop_some(&mut self, max_fields: usize) -> bool {
        let Some(doomed) = &mut self.doomed else { return true };
        let mut bytes = 0;
        let gone = doomed.drop_some(max_fields, &mut |value| bytes += long_bytes(&value));
        self.long_bytes -= bytes;
        if gone {
            (self.doomed, self.reported_bytes) = (None, 0);
        }
        gone
    }
}

impl Clone for Dying {
    /// Nobody copies what nobody reads: the copy is empty.
    fn clone(&self) -> Dying {
        Dying { doomed: None, reported_bytes: 0, long_bytes: 0 }
    }
}
