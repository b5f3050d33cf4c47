//! Eviction: keeping the process under `maxmemory`.

use super::shard::{EvictionPolicy, Shard};

impl Shard {
    /// Is the process over its limit? Free without a limit.
    #[inline]
    pub fn over_limit(&self) -> bool {
        self.settings.maxmemory_bytes != 0 && self.is_over()
    }

    #[cold]
    fn is_over(&self) -> bool {
        self.board.publish(self.id.index(), self.used_bytes());
        self.board.total() > self.settings.maxmemory_bytes
    }

    /// Evicts until the process is under its limit again. False when it cannot.
    #[cold]
    pub fn make_room(&mut self) -> bool {
        self.settings.policy != EvictionPolicy::NoEviction && !self.is_over()
    }
}
