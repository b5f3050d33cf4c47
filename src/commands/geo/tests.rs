//! Places on one shard.
