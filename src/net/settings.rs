//! From the configuration to what a shard wants to know of it.

use crate::config::{Config, events, id};
use crate::shard::effects::Class;
use crate::shard::notices::NoticeWants;
use crate::shard::{EvictionPolicy, Settings};
use crate::types::{Encodings, STRING_BYTES_MAX};

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
        max_bulk_bytes: max_bulk_bytes(config),
        slices_above: crate::shard::pins::SLICES_ABOVE,
        skip_checksums: false,
        active_expire: active_expire && !paused,
        stands_still: paused,
        replaying: false,
        lazy_user_flush: config.flag(id::LAZYFREE_LAZY_USER_FLUSH),
        encodings: encodings(config),
    }
}

/// The longest string that there may be: `proto-max-bulk-len`, or what the structures hold if that is less.
pub fn max_bulk_bytes(config: &Config) -> usize {
    usize::try_from(config.memory(id::PROTO_MAX_BULK_LEN))
        .map_or(STRING_BYTES_MAX, |set| set.min(STRING_BYTES_MAX))
}

/// What is to be published about keys.
pub fn notice_wants(config: &Config) -> NoticeWants {
    let asked = config.notify_events();
    let has = |bit| asked & bit != 0;
    let classes = [
        (events::GENERIC, Class::Generic),
        (events::STRING, Class::String),
        (events::LIST, Class::List),
        (events::SET, Class::Set),
        (events::HASH, Class::Hash),
        (events::ZSET, Class::SortedSet),
        (events::STREAM, Class::Stream),
        (events::EXPIRED, Class::Expired),
        (events::EVICTED, Class::Evicted),
        (events::MODULE, Class::Module),
        (events::KEY_MISS, Class::KeyMiss),
        (events::NEW, Class::New),
        (events::OVERWRITTEN, Class::Overwritten),
        (events::TYPE_CHANGED, Class::TypeChanged),
    ];
    let wanted = classes.into_iter().filter(|(bit, _)| has(*bit));
    NoticeWants {
        keyspace: has(events::KEYSPACE),
        keyevent: has(events::KEYEVENT),
        subkeyspace: has(events::SUBKEYSPACE),
        subkeyevent: has(events::SUBKEYEVENT),
        subkeyspaceitem: has(events::SUBKEYSPACEITEM),
        subkeyspaceevent: has(events::SUBKEYSPACEEVENT),
        classes: wanted.fold(0, |set, (_, class)| set | class.bit()),
    }
}

fn encodings(config: &Config) -> Encodings {
    let count = |id| usize::try_from(config.integer(id)).unwrap_or(usize::MAX);
    let bytes = |id| usize::try_from(config.memory(id)).unwrap_or(usize::MAX);
    Encodings {
        hash_entries: count(id::HASH_MAX_LISTPACK_ENTRIES),
        hash_value_bytes: bytes(id::HASH_MAX_LISTPACK_VALUE),
        intset_entries: count(id::SET_MAX_INTSET_ENTRIES),
        set_entries: count(id::SET_MAX_LISTPACK_ENTRIES),
        set_value_bytes: count(id::SET_MAX_LISTPACK_VALUE),
        zset_entries: count(id::ZSET_MAX_LISTPACK_ENTRIES),
        zset_value_bytes: bytes(id::ZSET_MAX_LISTPACK_VALUE),
        list_node: config.integer(id::LIST_MAX_LISTPACK_SIZE),
        hll_sparse_bytes: bytes(id::HLL_SPARSE_MAX_BYTES),
        stream_node_bytes: bytes(id::STREAM_NODE_MAX_BYTES),
        stream_node_entries: count(id::STREAM_NODE_MAX_ENTRIES),
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
