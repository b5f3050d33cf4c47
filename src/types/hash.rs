//! Stands where the hash's structure goes.

/// A hash.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Hash;

impl Hash {
    /// Bytes on the heap, its own fields included.
    pub fn heap_bytes(&self) -> usize {
        0
    }

    /// Drops some elements; true when none is left.
    pub fn drop_some(&mut self, _max_elements: usize) -> bool {
        true
    }
}
