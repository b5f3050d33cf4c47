//! Sorted sets on one shard.
