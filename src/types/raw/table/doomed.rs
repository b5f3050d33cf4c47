#![allow(unsafe_code)]
//! A table that was emptied at once and is dropped in slices.

use super::entry::{self, KeySource};
use super::segment::Segment;
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

impl<T> Table<T> {
    /// Drops the last segment of the directory with its entries and returns how many there were.
    /// The table is good only for more of this afterwards.
    pub(super) fn drop_root(&mut self, root: *mut Segment, heap: &mut dyn FnMut(T)) -> usize {
        let mut dropped = 0;
        // SAFETY: `root` is the directory's last segment; its places are cut off, so nobody sees
        // it again. What entries own is moved out before the segment is freed.
        unsafe {
            let places = 1usize << (self.bits - (*root).depth);
            self.directory.truncate(self.directory.len() - places);
            let mut member = root;
            while !member.is_null() {
                for spot in (*member).spots() {
                    let p = (*member).entry(spot);
                    if let Some(word) = entry::heap_word(p) {
                        heap(*Box::from_raw(word.cast::<T>()));
                    }
                    if let KeySource::Boxed(word, len) = entry::key_source(p) {
                        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(word, len)));
                    }
                    dropped += 1;
                }
                let next = (*member).next;
                Segment::free(member, &mut self.usage);
                member = next;
            }
        }
        self.len -= dropped;
        dropped
    }
}
