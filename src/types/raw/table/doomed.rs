//! A table that was emptied at once and is dropped in slices.

use super::table::Table;

/// The former content of a table: readable by nobody, dropped a piece at a time.
pub struct Doomed<T>(Table<T>);

impl<T> Doomed<T> {
    pub(super) fn new(table: Table<T>) -> Self {
        Doomed(table)
    }

    /// Number of keys not yet dropped.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.directory.is_empty()
    }

    /// Bytes reported for heap values not yet dropped are whatever the caller keeps count of.
    pub fn usage(&self) -> super::Usage {
        self.0.usage()
    }

    /// Drops whole segments until `max_entries` are gone (at most one segment, about a thousand
    /// keys, more) and hands heap values to `heap`. True when nothing is left.
    pub fn drop_some(&mut self, max_entries: usize, heap: &mut dyn FnMut(T)) -> bool {
        let mut dropped = 0;
        while let Some(&root) = self.0.directory.last() {
            if dropped >= max_entries {
                return false;
            }
            // A sparse segment is work too.
            dropped += self.0.drop_root(root, heap).max(16);
        }
        true
    }
}
