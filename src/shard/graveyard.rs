//! What was deleted but is too big to drop at once: dropped in slices in the background.
//!
//! A deleted key is gone at once for every reader; only giving its memory back may wait here. Big values always wait,
//! whoever deleted them, because a shard never stops for longer than a slice. So the `lazyfree-lazy-eviction`,
//! `-expire`, `-server-del`, `-user-del` and `-user-flush` settings are accepted and reported but choose nothing:
//! each behaves as `yes` does, DEL as UNLINK, FLUSHALL SYNC as FLUSHALL ASYNC. Small values are dropped where they are,
//! also as in Redis, where handing them over would cost more than dropping them.
//!
//! What waits does not count towards `maxmemory`: eviction could not hurry it, so counting it would make every
//! eviction of a big value cause more evictions. Instead a write that must make room drops a slice first when much waits
//! (see `evict`).
//!
//! A collection goes element by element ([`Value::drop_some`]); a string's single allocation in one call.

use super::pins::Pins;
use crate::types::Value;
use crate::types::raw::table::Doomed;

/// Values smaller than this are dropped where they are.
const SMALL_BYTES: usize = 64 * 1024;

/// Keys dropped in one slice: about 100 microseconds of work.
pub const SLICE_KEYS: usize = 2000;

/// Bytes of heap values dropped in one slice, unless a single string has more.
const SLICE_BYTES: usize = 4 << 20;

/// A flushed table with the bytes it still holds.
struct Tomb {
    table: Doomed<Value>,
    bytes: usize,
}

/// Deleted values and flushed tables of one shard.
#[derive(Default)]
pub struct Graveyard {
    values: Vec<Value>,
    tables: Vec<Tomb>,
    /// What is not dropped yet because somebody reads it in slices.
    pub pins: Pins,
    /// Bytes that are still held.
    pub bytes: usize,
    /// Keys whose memory was given back here (INFO's lazyfreed_objects).
    pub freed: u64,
    /// Keys that wait and were deleted before the count began anew.
    uncounted: u64,
}

impl Graveyard {
    /// Drops a value now when it is small, later when it is big.
    #[inline]
    pub fn bury(&mut self, value: Value) {
        if self.pins.is_empty() {
            return self.bury_unread(value);
        }
        if let Some(value) = self.pins.keep(value) {
            self.bury_unread(value);
        }
    }

    #[inline]
    fn bury_unread(&mut self, value: Value) {
        let bytes = value.heap_bytes();
        if bytes >= SMALL_BYTES {
            self.bytes += bytes;
            self.values.push(value);
        }
    }

    /// Takes a flushed table.
    pub fn bury_table(&mut self, table: Doomed<Value>) {
        let (keys, bytes) = (table.len(), table.usage().total_bytes());
        if keys == 0 {
            return;
        }
        self.pins.lose_all();
        self.bytes += bytes;
        self.tables.push(Tomb { table, bytes });
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.tables.is_empty()
    }

    /// Keys that wait to be dropped (INFO's lazyfree_pending_objects).
    pub fn pending(&self) -> usize {
        self.values.len() + self.tables.iter().map(|tomb| tomb.table.len()).sum::<usize>()
    }

    /// CONFIG RESETSTAT: counts what is deleted from now on.
    pub fn count_anew(&mut self) {
        self.freed = 0;
        self.uncounted = self.pending() as u64;
    }

    fn count(&mut self, keys: u64) {
        let earlier = keys.min(self.uncounted);
        self.uncounted -= earlier;
        self.freed += keys - earlier;
    }

    /// Drops a slice of usual size. True when more remains.
    pub fn drop_slice(&mut self) -> bool {
        self.drop_some(SLICE_KEYS)
    }

    /// Drops about `max_keys` keys, or a few megabytes of values. True when more remains.
    pub fn drop_some(&mut self, max_keys: usize) -> bool {
        let (mut keys, mut dropped_bytes) = (0, 0);
        while keys < max_keys.max(1)
            && dropped_bytes < SLICE_BYTES
            && let Some(value) = self.values.last_mut()
        {
            let bytes = value.heap_bytes();
            // An element of a collection counts as a key: it costs about as much.
            let gone = value.drop_some(max_keys.max(1) - keys);
            let left = if gone { 0 } else { value.heap_bytes() };
            keys = if gone { keys + 1 } else { max_keys.max(1) };
            if gone {
                self.values.pop();
                self.count(1);
            }
            dropped_bytes += bytes - left;
            self.bytes = self.bytes.checked_sub(bytes - left).expect("a buried value does not grow");
        }
        if self.values.is_empty() {
            self.values.shrink_to(64);
        }
        if keys < max_keys && dropped_bytes < SLICE_BYTES {
            self.drop_of_table(max_keys - keys);
        }
        !self.is_empty()
    }

    fn drop_of_table(&mut self, max_keys: usize) {
        let Some(tomb) = self.tables.last_mut() else { return };
        let (keys, held) = (tomb.table.len(), tomb.table.usage().total_bytes());
        let waiting = self.values.len();
        let values = &mut self.values;
        let (mut big_bytes, mut small_bytes) = (0, 0);
        let empty = tomb.table.drop_some(max_keys, &mut |value| {
            let bytes = value.heap_bytes();
            if bytes >= SMALL_BYTES {
                big_bytes += bytes;
                values.push(value);
            } else {
                small_bytes += bytes;
            }
        });
        let freed = keys - tomb.table.len() - (values.len() - waiting);
        // The table's count of heap bytes stands still while its values go, so they are counted here.
        let gone = held - tomb.table.usage().total_bytes() + big_bytes + small_bytes;
        let gone = if empty { tomb.bytes } else { gone.min(tomb.bytes) };
        tomb.bytes -= gone;
        self.bytes = self.bytes + big_bytes - gone;
        if empty {
            self.tables.pop();
        }
        self.count(freed as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::raw::table::{Access, Hasher, Table, Ttl, Value as TableValue};

    fn big(bytes: usize) -> Value {
        Value::String(vec![7u8; bytes].into())
    }

    #[test]
    fn small_values_do_not_wait_and_big_ones_do() {
        let mut graveyard = Graveyard::default();
        graveyard.bury(big(100));
        assert!(graveyard.is_empty() && graveyard.bytes == 0);
        graveyard.bury(big(100_000));
        graveyard.bury(big(200_000));
        assert_eq!(graveyard.pending(), 2);
        assert!(graveyard.bytes >= 300_000);
        assert!(!graveyard.drop_slice());
        assert_eq!((graveyard.pending(), graveyard.bytes, graveyard.freed), (0, 0, 2));
    }

    #[test]
    fn what_was_deleted_before_the_count_began_anew_is_not_counted() {
        let mut graveyard = Graveyard::default();
        graveyard.bury(big(100_000));
        graveyard.bury(big(100_000));
        graveyard.count_anew();
        graveyard.bury(big(100_000));
        assert!(!graveyard.drop_slice());
        assert_eq!(graveyard.freed, 1);
        graveyard.bury(big(100_000));
        assert!(!graveyard.drop_slice());
        assert_eq!(graveyard.freed, 2);
    }

    #[test]
    fn a_slice_of_values_is_bounded() {
        let mut graveyard = Graveyard::default();
        (0..100).for_each(|_| graveyard.bury(big(1 << 20)));
        let mut slices = 0;
        while graveyard.drop_slice() {
            slices += 1;
        }
        assert!((20..=30).contains(&slices), "{slices} slices of about 4 MB");
    }

    #[test]
    fn a_table_goes_in_slices_and_the_accounts_end_at_zero() {
        let hasher = Hasher::from_seed(3);
        let mut table: Table<Value> = Table::new(hasher.clone());
        for i in 0..20_000u32 {
            let key = format!("key:{i}");
            let value = match i % 100 {
                0 => TableValue::Heap(big(100_000)),
                1 => TableValue::Heap(big(2_000)),
                _ => TableValue::Int(i64::from(i)),
            };
            if let TableValue::Heap(value) = &value {
                table.report_heap_bytes(value.heap_bytes() as isize);
            }
            table.replace(hasher.hash(key.as_bytes()), key.as_bytes(), value, Ttl::Clear, Access::Set(0));
        }
        let bytes = table.usage().total_bytes();
        let mut graveyard = Graveyard::default();
        graveyard.bury_table(table.take());
        assert_eq!((graveyard.pending(), graveyard.bytes), (20_000, bytes));
        let mut before = (graveyard.pending(), graveyard.bytes);
        while graveyard.drop_slice() {
            let after = (graveyard.pending(), graveyard.bytes);
            assert!(before.0 - after.0 <= SLICE_KEYS + 1200, "a slice is bounded");
            assert!(after.1 < before.1, "every slice gives bytes back");
            before = after;
        }
        assert_eq!((graveyard.pending(), graveyard.bytes, graveyard.freed), (0, 0, 20_000));
    }

    #[test]
    fn an_empty_table_is_no_work() {
        let mut graveyard = Graveyard::default();
        graveyard.bury_table(Table::new(Hasher::from_seed(1)).take());
        assert!(graveyard.is_empty());
    }
}
