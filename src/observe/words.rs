//! What observation keeps once for the process: a few atomic words.

use std::sync::atomic::{AtomicU64, Ordering};

/// One per process.
#[derive(Debug, Default)]
pub struct Words {
    /// The next entries' numbers in the logs of COMMANDLOG.
    pub slow_id: AtomicU64,
    pub large_request_id: AtomicU64,
    pub large_reply_id: AtomicU64,
    /// The most `used_memory` seen.
    pub peak_bytes: AtomicU64,
}

impl Words {
    /// Remembers the greatest use; returns it.
    pub fn peak(&self, used_bytes: u64) -> u64 {
        self.peak_bytes.fetch_max(used_bytes, Ordering::Relaxed).max(used_bytes)
    }
}
