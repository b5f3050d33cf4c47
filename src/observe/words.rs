//! What observation keeps once for the process: a few atomic words.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::process;

/// One per process.
#[derive(Debug, Default)]
pub struct Words {
    /// The next entries' numbers in the logs of COMMANDLOG.
    pub slow_id: AtomicU64,
    pub large_request_id: AtomicU64,
    pub large_reply_id: AtomicU64,
    /// The most `used_memory` seen.
    pub peak_bytes: AtomicU64,
    /// Private memory of the process when it was ready, less its empty keyspace. Zero until it was measured.
    base_bytes: AtomicU64,
}

impl Words {
    /// What the process held before it had any data. The first caller measures it.
    pub fn base_bytes(&self, keyspace_bytes: u64) -> u64 {
        let known = self.base_bytes.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let memory = process::memory_use();
        let base = memory.rss.saturating_sub(memory.shared).saturating_sub(keyspace_bytes).max(1);
        match self.base_bytes.compare_exchange(0, base, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => base,
            Err(other) => other,
        }
    }

    /// Remembers the greatest use; returns it.
    pub fn peak(&self, used_bytes: u64) -> u64 {
        self.peak_bytes.fetch_max(used_bytes, Ordering::Relaxed).max(used_bytes)
    }
}
