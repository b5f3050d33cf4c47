//! From the configuration to what a shard wants to know of it.

use crate::config::{Config, id};
use crate::shard::{EvictionPolicy, Settings};

/// A shard's settings.
///
/// While clients are paused the data set stands still: nothing expires and nothing is evicted.
pub fn shard_settings(config: &Config, active_expire: bool, paused: bool) -> Settings {
    Settings {
        maxmemory_bytes: if paused { 0 } else { config.memory(id::MAXMEMORY) },
        policy: policy(&config.choice(id::MAXMEMORY_POLICY)),
        samples: config.integer(id::MAXMEMORY_SAMPLES) as usize,
        lfu_log_factor: config.integer(id::LFU_LOG_FACTOR) as u32,
        lfu_decay_minutes: config.integer(id::LFU_DECAY_TIME) as u32,
        max_bulk_bytes: config.memory(id::PROTO_MAX_BULK_LEN) as usize,
        active_expire: active_expire && !paused,
        stands_still: paused,
        lazy_user_flush: config.flag(id::LAZYFREE_LAZY_USER_FLUSH),
    }
}

fn policy(name: &str) -> EvictionPolicy {
    match name {
        "allkeys-lru" => EvictionPolicy::AllKeysLru,
        "allkeys-lfu" => EvictionPolicy::AllKeysLfu,
        "allkeys-lrm" => EvictionPolicy::AllKeysLrm,
        "allkeys-random" => EvictionPolicy::AllKeysRandom,
        "volatile-lru" => EvictionPolicy::VolatileLru,
        "volatile-lfu" => EvictionPolicy::VolatileLfu,
        "volatile-lrm" => EvictionPolicy::VolatileLrm,
        "volatile-random" => EvictionPolicy::VolatileRandom,
        "volatile-ttl" => EvictionPolicy::VolatileTtl,
        _ => EvictionPolicy::NoEviction,
    }
}
