//! What a table takes.

/// Bytes a table holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Directory, segments, buckets, deadline bounds and deadline heap.
    pub index_bytes: usize,
    /// The chunks that entries live in.
    pub arena_bytes: usize,
    /// Of `arena_bytes`, what live entries take; the rest is room and garbage.
    pub live_bytes: usize,
    /// Keys too long for an entry.
    pub key_bytes: usize,
    /// What the caller reported about heap values with [`Table::report_heap_bytes`](super::Table::report_heap_bytes).
    pub heap_bytes: usize,
}

impl Usage {
    /// What was obtained from the allocator.
    pub fn total_bytes(&self) -> usize {
        self.index_bytes + self.arena_bytes + self.key_bytes + self.heap_bytes
    }

    /// What keys, values and their index need, without room and garbage in the chunks: it falls with every removal.
    pub fn needed_bytes(&self) -> usize {
        self.index_bytes + self.live_bytes + self.key_bytes + self.heap_bytes
    }
}
