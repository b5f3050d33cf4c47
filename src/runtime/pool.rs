//! The pool of output buffers of one core.
//!
//! INVARIANT: what lies idle in the pool is bounded, in bytes and in the size of one buffer, so that one big
//! reply does not keep its memory for ever.

/// Capacity of a fresh buffer.
const FRESH_BYTES: usize = 4 * 1024;
/// A buffer that grew beyond this is freed instead of kept.
const KEEP_BUFFER_BYTES: usize = 64 * 1024;
/// Capacity kept in all idle buffers together.
const KEEP_TOTAL_BYTES: usize = 4 * 1024 * 1024;

/// Idle buffers; the most recently used one, whose memory is still in the cache, leaves first.
#[derive(Default)]
pub struct Pool {
    idle: Vec<Vec<u8>>,
    idle_bytes: usize,
}

impl Pool {
    /// An empty buffer.
    pub fn take(&mut self) -> Vec<u8> {
        match self.idle.pop() {
            Some(buffer) => {
                self.idle_bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(FRESH_BYTES),
        }
    }

    /// Takes a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        // A small one would be outgrown at once.
        let is_kept = (FRESH_BYTES..=KEEP_BUFFER_BYTES).contains(&capacity);
        if !is_kept || self.idle_bytes + capacity > KEEP_TOTAL_BYTES {
            return;
        }
        buffer.clear();
        self.idle_bytes += capacity;
        self.idle.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_keeps_a_bounded_amount() {
        let mut pool = Pool::default();
        pool.give(Vec::with_capacity(KEEP_BUFFER_BYTES + 1));
        assert_eq!(pool.idle_bytes, 0);
        for _ in 0..2 * KEEP_TOTAL_BYTES / KEEP_BUFFER_BYTES {
            pool.give(Vec::with_capacity(KEEP_BUFFER_BYTES));
        }
        assert!(pool.idle_bytes <= KEEP_TOTAL_BYTES && pool.idle_bytes > KEEP_TOTAL_BYTES / 2);
        let before = pool.idle_bytes;
        let mut buffer = pool.take();
        assert_eq!(pool.idle_bytes, before - KEEP_BUFFER_BYTES);
        buffer.push(1);
        pool.give(buffer);
        assert!(pool.take().is_empty(), "a buffer comes back empty");
    }
}
