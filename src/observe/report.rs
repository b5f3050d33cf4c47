//! What one core says about itself, and the sum over all cores: INFO, the metrics and MEMORY STATS are written from it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::rates::PerSecond;
use crate::shard::stats::KeyStats;
use crate::sys::process::Usage;

/// One database.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DbReport {
    pub keys: u64,
    pub expires: u64,
    /// Milliseconds that the keys with a deadline have left, all together.
    pub ttl_sum_ms: u128,
    /// What is there because of the keys without being data.
    pub overhead_bytes: u64,
}

/// One command.
#[derive(Clone, Debug, Default)]
pub struct CommandReport {
    pub calls: u64,
    pub ns: u64,
    pub failed: u64,
    pub rejected: u64,
    pub histogram: Option<Box<Histogram<u64>>>,
}

/// One core, or several added up.
#[derive(Clone, Debug, Default)]
pub struct CoreReport {
    pub core: usize,
    pub dbs: Vec<DbReport>,
    /// Obtained from the allocator for the keyspace.
    pub keyspace_bytes: u64,
    /// Of these, what `maxmemory` counts.
    pub counted_bytes: u64,
    /// Keys and values themselves.
    pub dataset_bytes: u64,
    pub clients: u64,
    pub blocked: u64,
    pub monitors: u64,
    pub subscribers: u64,
    /// A number for each channel, pattern and shard channel with subscribers; the same names have the same on every core.
    pub subscribed: [Vec<u64>; 3],
    pub tracking: u64,
    pub tracked_keys: u64,
    pub tracked_items: u64,
    /// A number for each prefix of broadcasts, the same on every core.
    pub prefixes: Vec<u64>,
    pub watching: u64,
    pub watched_keys: u64,
    pub client_bytes: u64,
    pub input_max_bytes: u64,
    pub output_max_bytes: u64,
    pub commands: u64,
    pub net_in: u64,
    pub net_out: u64,
    pub reads: u64,
    pub writes: u64,
    pub rates: PerSecond,
    pub keys: KeyStats,
    pub protocol_errors: u64,
    pub query_limit_disconnections: u64,
    pub output_limit_disconnections: u64,
    pub errors_total: u64,
    pub errors: BTreeMap<Box<str>, u64>,
    pub by_command: BTreeMap<&'static str, CommandReport>,
    pub queue: u64,
    pub transactions: u64,
    pub tx_retries: u64,
    pub tx_concluded: u64,
    /// Changes of keys since the start.
    pub changes: u64,
    pub lazy_pending: u64,
    pub lazy_freed: u64,
    pub lazy_bytes: u64,
    /// What the core's machine for scripts holds.
    pub lua_bytes: u64,
    /// Of the core's thread.
    pub cpu: Usage,
    /// Further lines of INFO's `shards` section about this core: name and value.
    pub extra: Vec<(&'static str, u64)>,
}

impl CoreReport {
    /// Adds another core's numbers.
    pub fn add(&mut self, other: &CoreReport) {
        self.dbs.resize(self.dbs.len().max(other.dbs.len()), DbReport::default());
        for (mine, theirs) in self.dbs.iter_mut().zip(&other.dbs) {
            mine.keys += theirs.keys;
            mine.expires += theirs.expires;
            mine.ttl_sum_ms += theirs.ttl_sum_ms;
            mine.overhead_bytes += theirs.overhead_bytes;
        }
        for (mine, theirs) in [
            (&mut self.keyspace_bytes, other.keyspace_bytes),
            (&mut self.changes, other.changes),
            (&mut self.counted_bytes, other.counted_bytes),
            (&mut self.dataset_bytes, other.dataset_bytes),
            (&mut self.clients, other.clients),
            (&mut self.blocked, other.blocked),
            (&mut self.monitors, other.monitors),
            (&mut self.subscribers, other.subscribers),
            (&mut self.tracking, other.tracking),
            (&mut self.lua_bytes, other.lua_bytes),
            (&mut self.tracked_keys, other.tracked_keys),
            (&mut self.tracked_items, other.tracked_items),
            (&mut self.watching, other.watching),
            (&mut self.watched_keys, other.watched_keys),
            (&mut self.client_bytes, other.client_bytes),
            (&mut self.commands, other.commands),
            (&mut self.net_in, other.net_in),
            (&mut self.net_out, other.net_out),
            (&mut self.reads, other.reads),
            (&mut self.writes, other.writes),
            (&mut self.rates.commands, other.rates.commands),
            (&mut self.rates.net_in, other.rates.net_in),
            (&mut self.rates.net_out, other.rates.net_out),
            (&mut self.keys.hits, other.keys.hits),
            (&mut self.keys.misses, other.keys.misses),
            (&mut self.keys.expired, other.keys.expired),
            (&mut self.keys.expired_fields, other.keys.expired_fields),
            (&mut self.keys.evicted, other.keys.evicted),
            (&mut self.protocol_errors, other.protocol_errors),
            (&mut self.query_limit_disconnections, other.query_limit_disconnections),
            (&mut self.output_limit_disconnections, other.output_limit_disconnections),
            (&mut self.errors_total, other.errors_total),
            (&mut self.queue, other.queue),
            (&mut self.transactions, other.transactions),
            (&mut self.tx_retries, other.tx_retries),
            (&mut self.tx_concluded, other.tx_concluded),
            (&mut self.lazy_pending, other.lazy_pending),
            (&mut self.lazy_freed, other.lazy_freed),
            (&mut self.lazy_bytes, other.lazy_bytes),
        ] {
            *mine += theirs;
        }
        let names = self.subscribed.iter_mut().chain([&mut self.prefixes]);
        for (mine, theirs) in names.zip(other.subscribed.iter().chain([&other.prefixes])) {
            if !theirs.is_empty() {
                mine.extend_from_slice(theirs);
                mine.sort_unstable();
                mine.dedup();
            }
        }
        self.input_max_bytes = self.input_max_bytes.max(other.input_max_bytes);
        self.output_max_bytes = self.output_max_bytes.max(other.output_max_bytes);
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_insert(0) += count;
        }
        for (name, theirs) in &other.by_command {
            let mine = self.by_command.entry(name).or_default();
            mine.calls += theirs.calls;
            mine.ns += theirs.ns;
            mine.failed += theirs.failed;
            mine.rejected += theirs.rejected;
            match (&mut mine.histogram, &theirs.histogram) {
                (Some(mine), Some(theirs)) => {
                    mine.add(&**theirs).expect("all histograms have the same bounds")
                }
                (mine @ None, theirs) => mine.clone_from(theirs),
                (Some(_), None) => {}
            }
        }
    }

    /// The sum over cores.
    pub fn sum(cores: &[CoreReport]) -> CoreReport {
        let mut total = CoreReport::default();
        cores.iter().for_each(|core| total.add(core));
        total
    }

    /// Keys of all databases.
    pub fn keys_count(&self) -> u64 {
        self.dbs.iter().map(|db| db.keys).sum()
    }
}

/// Memory of the process, as INFO's memory section and MEMORY STATS see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What `maxmemory` bounds: keys and values with their tables.
    pub used: u64,
    pub peak: u64,
    pub rss: u64,
    pub dataset: u64,
    pub overhead: u64,
    pub maxmemory: u64,
}

/// How saving and loading stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Persistence {
    /// The load under way.
    pub loading: Option<Loading>,
    pub changes: u64,
    /// When the save under way began, and how many keys of how many it has.
    pub saving: Option<(u64, u64, u64)>,
    pub last_save_s: u64,
    pub last_failed: bool,
    pub last_took_s: Option<u64>,
    pub saves: u64,
    pub keys_expired: u64,
    pub keys_loaded: u64,
    pub aof: AofFacts,
}

/// How the append-only file stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct AofFacts {
    pub enabled: bool,
    /// When the rewrite under way began.
    pub rewriting: Option<u64>,
    pub rewrite_scheduled: bool,
    pub rewrite_failed: bool,
    pub last_rewrite_took_s: Option<u64>,
    pub rewrites: u64,
    pub failures_in_a_row: u64,
    /// The last write, or the last sync, failed.
    pub write_failed: bool,
    pub current_bytes: u64,
    pub base_bytes: u64,
    pub buffer_bytes: u64,
    pub pending_syncs: u64,
    pub delayed_syncs: u64,
}

/// A load under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loading {
    pub begun_s: u64,
    pub total_bytes: u64,
    pub loaded_bytes: u64,
}

/// What there is of scripts.
#[derive(Clone, Copy, Default, Debug)]
pub struct ScriptFacts {
    pub scripts: usize,
    pub script_bytes: usize,
    pub libraries: usize,
    pub library_bytes: usize,
    pub functions: usize,
}

/// What is known once for the process.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub scripts: ScriptFacts,
    pub run_id: String,
    pub port: usize,
    pub started_ms: u64,
    pub now_us: u64,
    pub config_file: String,
    pub engine: String,
    pub engine_reason: String,
    pub maxclients: i64,
    pub maxmemory_policy: String,
    pub hz: i64,
    pub supervised: String,
    pub cluster_enabled: bool,
    pub percentiles: Vec<f64>,
    pub connections_received: u64,
    pub connections_rejected: u64,
    pub clients_evicted: u64,
    pub memory: Memory,
    pub persistence: Persistence,
}
