//! The memory limit, which holds for the process while every shard evicts its own keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[repr(align(128))]
#[derive(Default)]
struct Lone(AtomicU64);

/// Bytes used by every shard's keyspace, shared by all of them.
pub struct MemoryBoard {
    used: Vec<Lone>,
}

impl MemoryBoard {
    /// For this many shards.
    pub fn new(shards: usize) -> Arc<MemoryBoard> {
        Arc::new(MemoryBoard { used: (0..shards).map(|_| Lone::default()).collect() })
    }

    /// How many shards the process has.
    pub fn shards(&self) -> usize {
        self.used.len()
    }

    /// A shard publishes what it uses.
    pub fn publish(&self, shard: usize, bytes: u64) {
        self.used[shard].0.store(bytes, Ordering::Relaxed);
    }

    /// All shards together.
    pub fn total(&self) -> u64 {
        self.used.iter().map(|lone| lone.0.load(Ordering::Relaxed)).sum()
    }
}
