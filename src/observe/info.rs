//! INFO's text: Redis's sections and fields, written from the cores' reports. What this server does not have (replicas,
//! modules) is shown as the zeros that are true of it.

use std::fmt::Write;

use super::report::{CoreReport, Facts, Loading, Persistence};
use crate::sys::process::{self, Usage};
use crate::sys::{clock, host, resources};

/// Sections in the order they are shown.
const SECTIONS: &[&str] = &[
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "commandstats",
    "errorstats",
    "latencystats",
    "cluster",
    "keyspace",
    "shards",
];

/// Not shown by default.
const ON_DEMAND: &[&str] = &["commandstats", "latencystats", "shards"];

/// The sections that the arguments ask for, as bits of [`SECTIONS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted(u32);

impl Wanted {
    /// What these arguments ask for; none ask for the default. Unknown ones ask for nothing.
    pub fn parse<'a>(args: impl Iterator<Item = &'a [u8]>) -> Wanted {
        let mut wanted = 0;
        let mut any = false;
        for arg in args {
            any = true;
            for (bit, name) in SECTIONS.iter().enumerate() {
                let asked = arg.eq_ignore_ascii_case(name.as_bytes())
                    || arg.eq_ignore_ascii_case(b"everything")
                    || arg.eq_ignore_ascii_case(b"all")
                    || (arg.eq_ignore_ascii_case(b"default") && !ON_DEMAND.contains(name));
                wanted |= u32::from(asked) << bit;
            }
        }
        if any { Wanted(wanted) } else { Wanted::parse(std::iter::once(&b"default"[..])) }
    }

    /// Is the section of this name, in lower case, asked for?
    pub fn has(self, section: &str) -> bool {
        SECTIONS.iter().position(|name| *name == section).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    /// Must the cores tell about every command?
    pub fn commands(self) -> bool {
        self.has("commandstats") || self.has("latencystats")
    }
}

macro_rules! line {
    ($text:expr, $name:literal, $($format:tt)+) => {{
        $text.push_str(concat!($name, ":"));
        // Writing to a String does not fail.
        let _ = write!($text, $($format)+);
        $text.push_str("\r\n");
    }};
}

/// The text of the sections that are wanted.
pub fn text(wanted: Wanted, facts: &Facts, cores: &[CoreReport]) -> String {
    let total = CoreReport::sum(cores);
    let mut out = String::new();
    for name in SECTIONS.iter().filter(|name| wanted.has(name)) {
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        let mut title = name.to_string();
        title[..1].make_ascii_uppercase();
        let _ = write!(out, "# {}\r\n", if *name == "cpu" { "CPU" } else { &title });
        match *name {
            "server" => server(&mut out, facts),
            "clients" => clients(&mut out, facts, &total),
            "memory" => memory(&mut out, facts, &total),
            "persistence" => persistence(&mut out, facts),
            "stats" => stats(&mut out, facts, &total),
            "replication" => replication(&mut out, facts),
            "cpu" => cpu(&mut out),
            "commandstats" => command_stats(&mut out, &total),
            "errorstats" => error_stats(&mut out, &total),
            "latencystats" => latency_stats(&mut out, facts, &total),
            "cluster" => line!(out, "cluster_enabled", "{}", u8::from(facts.cluster_enabled)),
            "keyspace" => keyspace(&mut out, &total),
            "shards" => shards(&mut out, facts, cores),
            _ => {}
        }
    }
    out
}

fn server(out: &mut String, facts: &Facts) {
    let host = host::Host::detect();
    let uptime_s = (facts.now_us / 1000).saturating_sub(facts.started_ms) / 1000;
    line!(out, "redis_version", "{}", crate::REDIS_VERSION);
    line!(out, "redis_git_sha1", "00000000");
    line!(out, "redis_git_dirty", "0");
    line!(out, "redis_build_id", "0");
    line!(out, "redis_mode", "standalone");
    line!(out, "server_name", "coreshard");
    line!(out, "coreshard_version", "{}", env!("CARGO_PKG_VERSION"));
    line!(out, "os", "{}", host.os());
    line!(out, "arch_bits", "{}", usize::BITS);
    line!(out, "monotonic_clock", "{}", clock::describe());
    line!(out, "multiplexing_api", "{}", facts.engine);
    line!(out, "atomicvar_api", "rust-std");
    line!(out, "gcc_version", "0.0.0");
    line!(out, "process_id", "{}", process::pid());
    line!(out, "process_supervised", "{}", facts.supervised);
    line!(out, "run_id", "{}", facts.run_id);
    line!(out, "tcp_port", "{}", facts.port);
    line!(out, "server_time_usec", "{}", facts.now_us);
    line!(out, "uptime_in_seconds", "{uptime_s}");
    line!(out, "uptime_in_days", "{}", uptime_s / 86_400);
    line!(out, "hz", "{}", facts.hz);
    line!(out, "configured_hz", "{}", facts.hz);
    // Redis: seconds in 24 bits.
    line!(out, "lru_clock", "{}", (facts.now_us / 1_000_000) & 0xff_ffff);
    line!(out, "executable", "{}", process::executable().display());
    line!(out, "config_file", "{}", facts.config_file);
    line!(out, "io_threads_active", "0");
    line!(out, "listener0", "name=tcp,port={}", facts.port);
}

fn clients(out: &mut String, facts: &Facts, total: &CoreReport) {
    line!(out, "connected_clients", "{}", total.clients);
    line!(out, "cluster_connections", "0");
    line!(out, "maxclients", "{}", facts.maxclients);
    line!(out, "client_recent_max_input_buffer", "{}", total.input_max_bytes);
    line!(out, "client_recent_max_output_buffer", "{}", total.output_max_bytes);
    line!(out, "blocked_clients", "{}", total.blocked);
    line!(out, "tracking_clients", "{}", total.tracking);
    line!(out, "pubsub_clients", "{}", total.subscribers);
    line!(out, "watching_clients", "{}", total.watching);
    line!(out, "clients_in_timeout_table", "0");
    line!(out, "total_watched_keys", "{}", total.watched_keys);
    line!(out, "total_blocking_keys", "0");
    line!(out, "total_blocking_keys_on_nokey", "0");
}

/// A size for people, as Redis writes it.
pub fn human(bytes: u64) -> String {
    const UNITS: [(f64, &str); 5] = [
        (1024.0, "K"),
        (1_048_576.0, "M"),
        (1_073_741_824.0, "G"),
        (1_099_511_627_776.0, "T"),
        (1_125_899_906_842_624.0, "P"),
    ];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let bytes = bytes as f64;
    let (size, name) = UNITS.into_iter().rev().find(|(size, _)| bytes >= *size).unwrap_or(UNITS[0]);
    format!("{:.2}{name}", bytes / size)
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn memory(out: &mut String, facts: &Facts, total: &CoreReport) {
    let memory = &facts.memory;
    let system = resources::host_memory(std::path::Path::new("/")).unwrap_or(0);
    line!(out, "used_memory", "{}", memory.used);
    line!(out, "used_memory_human", "{}", human(memory.used));
    line!(out, "used_memory_rss", "{}", memory.rss);
    line!(out, "used_memory_rss_human", "{}", human(memory.rss));
    line!(out, "used_memory_peak", "{}", memory.peak);
    line!(out, "used_memory_peak_human", "{}", human(memory.peak));
    line!(out, "used_memory_peak_perc", "{:.2}%", ratio(memory.used, memory.peak) * 100.0);
    line!(out, "used_memory_overhead", "{}", memory.overhead);
    line!(out, "used_memory_startup", "0");
    line!(out, "used_memory_dataset", "{}", memory.dataset);
    line!(out, "used_memory_dataset_perc", "{:.2}%", (ratio(memory.dataset, memory.used) * 100.0).min(100.0));
    line!(out, "allocator_allocated", "{}", memory.used);
    line!(out, "allocator_active", "{}", memory.rss);
    line!(out, "allocator_resident", "{}", memory.rss);
    line!(out, "allocator_muzzy", "0");
    line!(out, "total_system_memory", "{system}");
    line!(out, "total_system_memory_human", "{}", human(system));
    // A core has one machine for scripts and functions alike.
    let scripts = &facts.scripts;
    let script_bytes = (scripts.script_bytes + scripts.library_bytes) as u64;
    line!(out, "used_memory_lua", "{}", total.lua_bytes);
    line!(out, "used_memory_vm_eval", "{}", total.lua_bytes);
    line!(out, "used_memory_lua_human", "{}", human(total.lua_bytes));
    line!(out, "used_memory_scripts_eval", "{}", scripts.script_bytes);
    line!(out, "number_of_cached_scripts", "{}", scripts.scripts);
    line!(out, "number_of_functions", "{}", scripts.functions);
    line!(out, "number_of_libraries", "{}", scripts.libraries);
    line!(out, "used_memory_vm_functions", "0");
    line!(out, "used_memory_vm_total", "{}", total.lua_bytes);
    line!(out, "used_memory_vm_total_human", "{}", human(total.lua_bytes));
    line!(out, "used_memory_functions", "{}", scripts.library_bytes);
    line!(out, "used_memory_scripts", "{script_bytes}");
    line!(out, "used_memory_scripts_human", "{}", human(script_bytes));
    line!(out, "maxmemory", "{}", memory.maxmemory);
    line!(out, "maxmemory_human", "{}", human(memory.maxmemory));
    line!(out, "maxmemory_policy", "{}", facts.maxmemory_policy);
    let over = memory.rss as i64 - memory.used as i64;
    line!(out, "allocator_frag_ratio", "{:.2}", ratio(memory.rss, memory.used));
    line!(out, "allocator_frag_bytes", "{}", over.max(0));
    line!(out, "allocator_rss_ratio", "1.00");
    line!(out, "allocator_rss_bytes", "0");
    line!(out, "rss_overhead_ratio", "1.00");
    line!(out, "rss_overhead_bytes", "0");
    line!(out, "mem_fragmentation_ratio", "{:.2}", ratio(memory.rss, memory.used));
    line!(out, "mem_fragmentation_bytes", "{over}");
    line!(out, "mem_not_counted_for_evict", "{}", total.client_bytes);
    line!(out, "mem_replication_backlog", "0");
    line!(out, "mem_total_replication_buffers", "0");
    line!(out, "mem_clients_slaves", "0");
    line!(out, "mem_clients_normal", "{}", total.client_bytes);
    line!(out, "mem_cluster_links", "0");
    line!(out, "mem_aof_buffer", "{}", facts.persistence.aof.buffer_bytes);
    line!(out, "mem_allocator", "mimalloc");
    line!(out, "mem_overhead_db_hashtable_rehashing", "0");
    line!(out, "active_defrag_running", "0");
    line!(out, "lazyfree_pending_objects", "{}", total.lazy_pending);
    line!(out, "lazyfreed_objects", "{}", total.lazy_freed);
}

fn persistence(out: &mut String, facts: &Facts) {
    let Persistence { loading, saving, .. } = facts.persistence;
    let of = &facts.persistence;
    let now_s = facts.now_us / 1_000_000;
    let seconds = |since: Option<u64>| since.map_or(-1, |at| at as i64);
    let (done, of_keys) = saving.map_or((0, 0), |(_, done, total)| (done, total));
    line!(out, "loading", "{}", u8::from(loading.is_some()));
    line!(out, "async_loading", "0");
    line!(out, "current_cow_peak", "0");
    line!(out, "current_cow_size", "0");
    line!(out, "current_cow_size_age", "0");
    line!(out, "current_fork_perc", "0.00");
    line!(out, "current_save_keys_processed", "{done}");
    line!(out, "current_save_keys_total", "{of_keys}");
    line!(out, "rdb_changes_since_last_save", "{}", of.changes);
    line!(out, "rdb_bgsave_in_progress", "{}", u8::from(saving.is_some()));
    line!(out, "rdb_last_save_time", "{}", of.last_save_s);
    line!(out, "rdb_last_bgsave_status", "{}", if of.last_failed { "err" } else { "ok" });
    line!(out, "rdb_last_bgsave_time_sec", "{}", seconds(of.last_took_s));
    line!(
        out,
        "rdb_current_bgsave_time_sec",
        "{}",
        seconds(saving.map(|(begun_s, ..)| now_s.saturating_sub(begun_s)))
    );
    line!(out, "rdb_saves", "{}", of.saves);
    line!(out, "rdb_last_cow_size", "0");
    line!(out, "rdb_last_load_keys_expired", "{}", of.keys_expired);
    line!(out, "rdb_last_load_keys_loaded", "{}", of.keys_loaded);
    let aof = &of.aof;
    let status = |failed: bool| if failed { "err" } else { "ok" };
    line!(out, "aof_enabled", "{}", u8::from(aof.enabled));
    line!(out, "aof_rewrite_in_progress", "{}", u8::from(aof.rewriting.is_some()));
    line!(out, "aof_rewrite_scheduled", "{}", u8::from(aof.rewrite_scheduled));
    line!(out, "aof_last_rewrite_time_sec", "{}", seconds(aof.last_rewrite_took_s));
    line!(
        out,
        "aof_current_rewrite_time_sec",
        "{}",
        seconds(aof.rewriting.map(|begun_s| now_s.saturating_sub(begun_s)))
    );
    line!(out, "aof_last_bgrewrite_status", "{}", status(aof.rewrite_failed));
    line!(out, "aof_rewrites", "{}", aof.rewrites);
    line!(out, "aof_rewrites_consecutive_failures", "{}", aof.failures_in_a_row);
    line!(out, "aof_last_write_status", "{}", status(aof.write_failed));
    line!(out, "aof_last_cow_size", "0");
    line!(out, "module_fork_in_progress", "0");
    line!(out, "module_fork_last_cow_size", "0");
    if aof.enabled {
        line!(out, "aof_current_size", "{}", aof.current_bytes);
        line!(out, "aof_base_size", "{}", aof.base_bytes);
        line!(out, "aof_pending_rewrite", "{}", u8::from(aof.rewrite_scheduled));
        line!(out, "aof_buffer_length", "{}", aof.buffer_bytes);
        line!(out, "aof_pending_bio_fsync", "{}", aof.pending_syncs);
        line!(out, "aof_delayed_fsync", "{}", aof.delayed_syncs);
    }
    if let Some(Loading { begun_s, total_bytes, loaded_bytes }) = loading {
        let since_s = now_s.saturating_sub(begun_s).max(1);
        let per_second = (loaded_bytes / since_s).max(1);
        line!(out, "loading_start_time", "{begun_s}");
        line!(out, "loading_total_bytes", "{total_bytes}");
        line!(out, "loading_rdb_used_mem", "0");
        line!(out, "loading_loaded_bytes", "{loaded_bytes}");
        line!(out, "loading_loaded_perc", "{:.2}", ratio(loaded_bytes, total_bytes) * 100.0);
        line!(out, "loading_eta_seconds", "{}", total_bytes.saturating_sub(loaded_bytes) / per_second);
    }
}

fn stats(out: &mut String, facts: &Facts, total: &CoreReport) {
    let kbps = |bytes: u64| bytes as f64 / 1024.0;
    line!(out, "total_connections_received", "{}", facts.connections_received);
    line!(out, "total_commands_processed", "{}", total.commands);
    line!(out, "instantaneous_ops_per_sec", "{}", total.rates.commands);
    line!(out, "total_net_input_bytes", "{}", total.net_in);
    line!(out, "total_net_output_bytes", "{}", total.net_out);
    line!(out, "total_net_repl_input_bytes", "0");
    line!(out, "total_net_repl_output_bytes", "0");
    line!(out, "instantaneous_input_kbps", "{:.2}", kbps(total.rates.net_in));
    line!(out, "instantaneous_output_kbps", "{:.2}", kbps(total.rates.net_out));
    line!(out, "instantaneous_input_repl_kbps", "0.00");
    line!(out, "instantaneous_output_repl_kbps", "0.00");
    line!(out, "rejected_connections", "{}", facts.connections_rejected);
    line!(out, "sync_full", "0");
    line!(out, "sync_partial_ok", "0");
    line!(out, "sync_partial_err", "0");
    line!(out, "expired_keys", "{}", total.keys.expired);
    line!(out, "expired_subkeys", "{}", total.keys.expired_fields);
    line!(out, "expired_stale_perc", "0.00");
    line!(out, "expired_time_cap_reached_count", "0");
    line!(out, "expire_cycle_cpu_milliseconds", "0");
    line!(out, "evicted_keys", "{}", total.keys.evicted);
    line!(out, "evicted_clients", "{}", facts.clients_evicted);
    line!(out, "total_eviction_exceeded_time", "0");
    line!(out, "current_eviction_exceeded_time", "0");
    line!(out, "keyspace_hits", "{}", total.keys.hits);
    line!(out, "keyspace_misses", "{}", total.keys.misses);
    let [channels, patterns, shard_channels] = total.subscribed.each_ref().map(Vec::len);
    line!(out, "pubsub_channels", "{channels}");
    line!(out, "pubsub_patterns", "{patterns}");
    line!(out, "pubsubshard_channels", "{shard_channels}");
    line!(out, "latest_fork_usec", "0");
    line!(out, "total_forks", "0");
    line!(out, "migrate_cached_sockets", "0");
    line!(out, "slave_expires_tracked_keys", "0");
    line!(out, "active_defrag_hits", "0");
    line!(out, "active_defrag_misses", "0");
    line!(out, "active_defrag_key_hits", "0");
    line!(out, "active_defrag_key_misses", "0");
    line!(out, "total_active_defrag_time", "0");
    line!(out, "current_active_defrag_time", "0");
    line!(out, "tracking_total_keys", "{}", total.tracked_keys);
    line!(out, "tracking_total_items", "{}", total.tracked_items);
    line!(out, "tracking_total_prefixes", "{}", total.prefixes.len());
    line!(out, "unexpected_error_replies", "0");
    line!(out, "total_error_replies", "{}", total.errors_total);
    line!(out, "dump_payload_sanitizations", "0");
    line!(out, "total_reads_processed", "{}", total.reads);
    line!(out, "total_writes_processed", "{}", total.writes);
    line!(out, "io_threaded_reads_processed", "0");
    line!(out, "io_threaded_writes_processed", "0");
    line!(out, "client_query_buffer_limit_disconnections", "{}", total.query_limit_disconnections);
    line!(out, "client_output_buffer_limit_disconnections", "{}", total.output_limit_disconnections);
    line!(out, "reply_buffer_shrinks", "0");
    line!(out, "reply_buffer_expands", "0");
    line!(out, "acl_access_denied_auth", "0");
    line!(out, "acl_access_denied_cmd", "0");
    line!(out, "acl_access_denied_key", "0");
    line!(out, "acl_access_denied_channel", "0");
}

fn replication(out: &mut String, facts: &Facts) {
    line!(out, "role", "master");
    line!(out, "connected_slaves", "0");
    line!(out, "master_failover_state", "no-failover");
    line!(out, "master_replid", "{}", facts.run_id);
    line!(out, "master_replid2", "{}", "0".repeat(40));
    line!(out, "master_repl_offset", "0");
    line!(out, "second_repl_offset", "-1");
    line!(out, "repl_backlog_active", "0");
    line!(out, "repl_backlog_size", "1048576");
    line!(out, "repl_backlog_first_byte_offset", "0");
    line!(out, "repl_backlog_histlen", "0");
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn cpu(out: &mut String) {
    let (own, children, thread): (Usage, Usage, Usage) =
        (process::own_usage(), process::children_usage(), process::thread_usage());
    line!(out, "used_cpu_sys", "{}", seconds(own.system_us));
    line!(out, "used_cpu_user", "{}", seconds(own.user_us));
    line!(out, "used_cpu_sys_children", "{}", seconds(children.system_us));
    line!(out, "used_cpu_user_children", "{}", seconds(children.user_us));
    // The thread of the core that answers.
    line!(out, "used_cpu_sys_main_thread", "{}", seconds(thread.system_us));
    line!(out, "used_cpu_user_main_thread", "{}", seconds(thread.user_us));
}

fn command_stats(out: &mut String, total: &CoreReport) {
    for (name, command) in &total.by_command {
        if command.calls + command.failed + command.rejected == 0 {
            continue;
        }
        let us = command.ns / 1000;
        let mean = if command.calls == 0 { 0.0 } else { command.ns as f64 / 1000.0 / command.calls as f64 };
        let _ = write!(
            out,
            "cmdstat_{name}:calls={},usec={us},usec_per_call={mean:.2},rejected_calls={},failed_calls={}\r\n",
            command.calls, command.rejected, command.failed
        );
    }
}

fn error_stats(out: &mut String, total: &CoreReport) {
    for (code, count) in &total.errors {
        let _ = write!(out, "errorstat_{}:count={count}\r\n", safe(code));
    }
}

/// A word from outside, without what would break INFO's lines.
fn safe(word: &str) -> String {
    word.chars().map(|letter| if "#:\n\r".contains(letter) { '_' } else { letter }).collect()
}

fn latency_stats(out: &mut String, facts: &Facts, total: &CoreReport) {
    for (name, command) in &total.by_command {
        let Some(histogram) = &command.histogram else { continue };
        let _ = write!(out, "latency_percentiles_usec_{name}:");
        for (order, percentile) in facts.percentiles.iter().enumerate() {
            let us = histogram.value_at_percentile(*percentile) as f64 / 1000.0;
            let comma = if order > 0 { "," } else { "" };
            let _ = write!(out, "{comma}p{percentile}={us:.3}");
        }
        out.push_str("\r\n");
    }
}

fn keyspace(out: &mut String, total: &CoreReport) {
    for (index, db) in total.dbs.iter().enumerate().filter(|(_, db)| db.keys > 0) {
        let mean = db.ttl_sum_ms / u128::from(db.expires.max(1));
        let _ = write!(out, "db{index}:keys={},expires={},avg_ttl={mean}\r\n", db.keys, db.expires);
    }
}

fn shards(out: &mut String, facts: &Facts, cores: &[CoreReport]) {
    line!(out, "shard_count", "{}", cores.len());
    line!(out, "engine", "{}", facts.engine);
    line!(out, "engine_reason", "{}", safe(&facts.engine_reason));
    for core in cores {
        let _ = write!(
            out,
            "shard{}:keys={},used_memory={},clients={},commands={},ops_per_sec={},queue={},transactions={},tx_retries={},\
             expired={},evicted={},lazyfree_pending={},cpu_user={},cpu_sys={}",
            core.core,
            core.keys_count(),
            core.keyspace_bytes,
            core.clients,
            core.commands,
            core.rates.commands,
            core.queue,
            core.tx_concluded,
            core.tx_retries,
            core.keys.expired,
            core.keys.evicted,
            core.lazy_pending,
            seconds(core.cpu.user_us),
            seconds(core.cpu.system_us),
        );
        for (name, value) in &core.extra {
            let _ = write!(out, ",{name}={value}");
        }
        out.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> Wanted {
        Wanted::parse(words.iter().map(|word| word.as_bytes()))
    }

    #[test]
    fn sections_are_chosen() {
        assert_eq!(wanted(&[]), wanted(&["default"]));
        assert!(wanted(&[]).has("modules") && !wanted(&[]).has("commandstats"));
        assert!(wanted(&["all"]).has("commandstats") && wanted(&["all"]).has("shards"));
        assert!(wanted(&["everything"]).has("modules"));
        let two = wanted(&["CPU", "keyspace", "nothing"]);
        assert!(two.has("cpu") && two.has("keyspace") && !two.has("server"));
        assert_eq!(text(wanted(&["nothing"]), &Facts::default(), &[]), "");
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(966_024), "943.38K");
        assert_eq!(human(25_276_502_016), "23.54G");
    }

    #[test]
    fn the_keyspace_is_summed() {
        let db = super::super::report::DbReport { keys: 2, expires: 1, ttl_sum_ms: 50, ..Default::default() };
        let core = CoreReport { dbs: vec![db], ..CoreReport::default() };
        let text = text(wanted(&["keyspace"]), &Facts::default(), &[core.clone(), core]);
        assert_eq!(text, "# Keyspace\r\ndb0:keys=4,expires=2,avg_ttl=50\r\n");
    }
}
