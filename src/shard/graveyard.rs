//! What was deleted but is too big to drop at once: dropped in slices in the background.

use crate::types::Value;
use crate::types::raw::table::Doomed;

/// Values smaller than this are dropped where they are.
const SMALL_BYTES: usize = 64 * 1024;

/// Deleted values and flushed tables of one shard.
#[derive(Default)]
pub struct Graveyard {
    values: Vec<Value>,
    tables: Vec<Doomed<Value>>,
    /// Bytes that are still held.
    pub bytes: usize,
    /// Keys whose memory was given back here.
    pub freed: u64,
}

/// Keys dropped in one slice: about 100 microseconds of work.
const SLICE_KEYS: usize = 2000;

impl Graveyard {
    /// Drops a value now when it is small, later when it is big.
    #[inline]
    pub fn bury(&mut self, value: Value) {
        let bytes = value.heap_bytes();
        if bytes >= SMALL_BYTES {
            self.bytes += bytes;
            self.values.push(value);
        }
    }

    /// Takes a flushed table.
    pub fn bury_table(&mut self, table: Doomed<Value>) {
        if !table.is_empty() {
            self.bytes += table.usage().total_bytes();
            self.tables.push(table);
        }
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.tables.is_empty()
    }

    /// Keys that wait to be dropped (INFO's lazyfree_pending_objects).
    pub fn pending(&self) -> usize {
        self.values.len() + self.tables.iter().map(Doomed::len).sum::<usize>()
    }

    /// Drops a slice. True when more remains.
    pub fn drop_slice(&mut self) -> bool {
        if let Some(value) = self.values.pop() {
            self.bytes = self.bytes.saturating_sub(value.heap_bytes());
            self.freed += 1;
            drop(value);
        } else if let Some(table) = self.tables.last_mut() {
            // A doomed table counts its own bytes down, but not those of the heap values it hands out.
            let own = |table: &Doomed<Value>| table.usage().total_bytes() - table.usage().heap_bytes;
            let (keys, bytes) = (table.len(), own(table));
            let mut given = 0;
            let empty = table.drop_some(SLICE_KEYS, &mut |value: Value| given += value.heap_bytes());
            self.freed += (keys - table.len()) as u64;
            given += bytes - if empty { 0 } else { own(table) };
            self.bytes = self.bytes.saturating_sub(given);
            if empty {
                self.tables.pop();
            }
        }
        !self.is_empty()
    }
}
