//! Counters of a shard's keyspace.

/// What INFO's stats section sums over shards.
#[derive(Clone, Copy, Default, Debug)]
pub struct KeyStats {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    /// Fields of hashes.
    pub expired_fields: u64,
    pub evicted: u64,
}
