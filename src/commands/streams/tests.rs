//! Streams on one shard.
