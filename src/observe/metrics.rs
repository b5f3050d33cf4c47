//! The metrics in Prometheus's text format 0.0.4. Names are redis_exporter's where it has one, and `coreshard_*` for
//! what only this server has.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::report::{CommandReport, CoreReport, Facts};

/// Upper bounds of the latency buckets, in nanoseconds.
const BOUNDS_NS: [u64; 14] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    5_000_000,
    20_000_000,
    100_000_000,
    1_000_000_000,
];

/// A number of a report.
type Of<R> = fn(&R) -> f64;

/// The page being written.
struct Page(String);

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample with labels that are written out already.
    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        if labels.is_empty() {
            let _ = writeln!(self.0, "{name} {value}");
        } else {
            let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
        }
    }

    /// A metric of one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.metric(name, kind, help);
        self.sample(name, "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "gauge", help, value as f64);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "counter", help, value as f64);
    }
}

/// A label's value: quotes, backslashes and line ends escaped.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The whole page.
pub fn page(facts: &Facts, cores: &[CoreReport]) -> String {
    let total = CoreReport::sum(cores);
    let mut page = Page(String::with_capacity(16 * 1024));
    process(&mut page, facts, &total);
    traffic(&mut page, facts, &total);
    databases(&mut page, &total);
    commands(&mut page, &total);
    shards(&mut page, facts, cores);
    page.0
}

fn process(page: &mut Page, facts: &Facts, total: &CoreReport) {
    let memory = &facts.memory;
    page.gauge("redis_up", "Whether the server answers.", 1);
    page.metric("redis_instance_info", "gauge", "What the server is.");
    let labels = format!(
        "redis_version=\"{}\",redis_mode=\"standalone\",role=\"master\",run_id=\"{}\",tcp_port=\"{}\",\
         maxmemory_policy=\"{}\",process_id=\"{}\"",
        crate::REDIS_VERSION,
        label(&facts.run_id),
        facts.port,
        label(&facts.maxmemory_policy),
        crate::sys::process::pid(),
    );
    page.sample("redis_instance_info", &labels, 1.0);
    page.metric("coreshard_build_info", "gauge", "Version and engine.");
    let version = env!("CARGO_PKG_VERSION");
    let labels = format!("version=\"{version}\",engine=\"{}\"", label(&facts.engine));
    page.sample("coreshard_build_info", &labels, 1.0);
    let uptime_s = (facts.now_us / 1000).saturating_sub(facts.started_ms) / 1000;
    page.gauge("redis_uptime_in_seconds", "Seconds since the start.", uptime_s);
    page.gauge("redis_start_time_seconds", "The start, in seconds since the epoch.", facts.started_ms / 1000);
    let own = crate::sys::process::own_usage();
    let seconds = |us: u64| us as f64 / 1e6;
    page.one("redis_cpu_sys_seconds_total", "counter", "CPU time in the kernel.", seconds(own.system_us));
    page.one("redis_cpu_user_seconds_total", "counter", "CPU time in the program.", seconds(own.user_us));
    page.gauge("redis_memory_used_bytes", "Memory of keys, clients and the server itself.", memory.used);
    page.gauge("redis_memory_used_peak_bytes", "The most memory used.", memory.peak);
    page.gauge("redis_memory_used_rss_bytes", "Resident memory.", memory.rss);
    page.gauge("redis_memory_used_overhead_bytes", "Memory that is not data.", memory.overhead);
    page.gauge("redis_memory_used_dataset_bytes", "Memory of data.", memory.dataset);
    page.gauge("redis_memory_max_bytes", "The limit; 0 is none.", memory.maxmemory);
    let ratio = memory.rss as f64 / memory.used.max(1) as f64;
    page.one("redis_mem_fragmentation_ratio", "gauge", "Resident memory to used memory.", ratio);
    page.gauge("redis_mem_clients_normal", "Memory of clients.", total.client_bytes);
    page.gauge("redis_lazyfree_pending_objects", "Deleted values that wait to be freed.", total.lazy_pending);
    page.gauge("redis_loading_dump_file", "Whether a data set is being loaded.", 0);
    page.gauge("redis_connected_slaves", "Replicas.", 0);
    page.gauge(
        "redis_cluster_enabled",
        "Whether this is a cluster's node.",
        u64::from(facts.cluster_enabled),
    );
}

fn traffic(page: &mut Page, facts: &Facts, total: &CoreReport) {
    page.gauge("redis_connected_clients", "Clients.", total.clients);
    page.gauge("redis_blocked_clients", "Clients that wait in a blocking command.", total.blocked);
    page.gauge("redis_config_maxclients", "Most clients allowed.", facts.maxclients.max(0) as u64);
    page.gauge(
        "redis_client_recent_max_input_buffer_bytes",
        "The fullest query buffer.",
        total.input_max_bytes,
    );
    page.gauge(
        "redis_client_recent_max_output_buffer_bytes",
        "The fullest output buffer.",
        total.output_max_bytes,
    );
    page.counter("redis_connections_received_total", "Connections accepted.", facts.connections_received);
    page.counter("redis_rejected_connections_total", "Connections refused.", facts.connections_rejected);
    page.counter("redis_evicted_clients_total", "Clients closed for their memory.", facts.clients_evicted);
    page.counter("redis_commands_processed_total", "Commands run.", total.commands);
    page.gauge("redis_instantaneous_ops_per_sec", "Commands per second of late.", total.rates.commands);
    page.counter("redis_net_input_bytes_total", "Bytes received.", total.net_in);
    page.counter("redis_net_output_bytes_total", "Bytes sent.", total.net_out);
    page.counter("redis_total_reads_processed", "Reads from sockets.", total.reads);
    page.counter("redis_total_writes_processed", "Writes to sockets.", total.writes);
    page.counter("redis_keyspace_hits_total", "Look-ups that found their key.", total.keys.hits);
    page.counter("redis_keyspace_misses_total", "Look-ups that did not.", total.keys.misses);
    page.counter("redis_expired_keys_total", "Keys expired.", total.keys.expired);
    page.counter("redis_expired_subkeys_total", "Hash fields expired.", total.keys.expired_fields);
    page.counter("redis_evicted_keys_total", "Keys evicted.", total.keys.evicted);
    page.counter("redis_total_error_replies", "Error replies.", total.errors_total);
    page.metric("redis_errors_total", "counter", "Error replies by code.");
    for (code, count) in &total.errors {
        page.sample("redis_errors_total", &format!("err=\"{}\"", label(code)), *count as f64);
    }
}

fn databases(page: &mut Page, total: &CoreReport) {
    let numbers = [
        ("redis_db_keys", "Keys of a database."),
        ("redis_db_keys_expiring", "Keys of a database that have a deadline."),
        ("redis_db_avg_ttl_seconds", "Mean time to live of keys that have one."),
    ];
    for (which, (name, help)) in numbers.into_iter().enumerate() {
        page.metric(name, "gauge", help);
        for (index, db) in total.dbs.iter().enumerate() {
            let value = match which {
                0 => db.keys as f64,
                1 => db.expires as f64,
                _ if db.expires == 0 => continue,
                _ => db.ttl_sum_ms as f64 / 1000.0 / db.expires as f64,
            };
            page.sample(name, &format!("db=\"db{index}\""), value);
        }
    }
}

fn commands(page: &mut Page, total: &CoreReport) {
    let numbers: [(&str, &str, Of<CommandReport>); 4] = [
        ("redis_commands_total", "Calls of a command.", |command| command.calls as f64),
        ("redis_commands_duration_seconds_total", "Time spent in a command.", |command| {
            command.ns as f64 / 1e9
        }),
        ("redis_commands_failed_calls_total", "Calls that failed.", |command| command.failed as f64),
        ("redis_commands_rejected_calls_total", "Calls that were refused.", |command| {
            command.rejected as f64
        }),
    ];
    for (name, help, value) in numbers {
        page.metric(name, "counter", help);
        for (command, report) in &total.by_command {
            page.sample(name, &format!("cmd=\"{}\"", label(command)), value(report));
        }
    }
    let name = "coreshard_command_latency_seconds";
    page.metric(name, "histogram", "How long calls of a command took.");
    for (command, report) in &total.by_command {
        let Some(histogram) = &report.histogram else { continue };
        buckets(page, name, &format!("cmd=\"{}\"", label(command)), histogram, report.ns);
    }
}

/// One histogram: counts up to each bound, all of them, and the sum.
fn buckets(page: &mut Page, name: &str, labels: &str, histogram: &Histogram<u64>, sum_ns: u64) {
    let mut count = 0;
    let mut recorded = histogram.iter_recorded().peekable();
    for bound in BOUNDS_NS {
        while let Some(bucket) = recorded.next_if(|bucket| bucket.value_iterated_to() <= bound) {
            count += bucket.count_since_last_iteration();
        }
        page.sample(
            &format!("{name}_bucket"),
            &format!("{labels},le=\"{}\"", bound as f64 / 1e9),
            count as f64,
        );
    }
    page.sample(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), histogram.len() as f64);
    page.sample(&format!("{name}_sum"), labels, sum_ns as f64 / 1e9);
    page.sample(&format!("{name}_count"), labels, histogram.len() as f64);
}

fn shards(page: &mut Page, facts: &Facts, cores: &[CoreReport]) {
    page.gauge("coreshard_shards", "Shards.", cores.len() as u64);
    page.metric("coreshard_engine_info", "gauge", "The engine and why it was chosen.");
    let labels = format!("engine=\"{}\",reason=\"{}\"", label(&facts.engine), label(&facts.engine_reason));
    page.sample("coreshard_engine_info", &labels, 1.0);
    let numbers: [(&str, &str, &str, Of<CoreReport>); 11] = [
        ("coreshard_shard_keys", "gauge", "Keys of a shard.", |core| core.keys_count() as f64),
        ("coreshard_shard_memory_bytes", "gauge", "Memory of a shard's keys.", |core| {
            core.keyspace_bytes as f64
        }),
        ("coreshard_shard_clients", "gauge", "Clients of a core.", |core| core.clients as f64),
        ("coreshard_shard_commands_total", "counter", "Commands run on a core.", |core| core.commands as f64),
        ("coreshard_shard_ops_per_second", "gauge", "Commands per second of late.", |core| {
            core.rates.commands as f64
        }),
        ("coreshard_shard_queue", "gauge", "Transactions that wait on a shard.", |core| core.queue as f64),
        ("coreshard_shard_transactions_total", "counter", "Transactions coordinated.", |core| {
            core.tx_concluded as f64
        }),
        ("coreshard_shard_transaction_retries_total", "counter", "Transactions begun anew.", |core| {
            core.tx_retries as f64
        }),
        ("coreshard_shard_lazyfree_pending", "gauge", "Values that wait to be freed.", |core| {
            core.lazy_pending as f64
        }),
        ("coreshard_shard_cpu_user_seconds_total", "counter", "CPU time in the program.", |core| {
            core.cpu.user_us as f64 / 1e6
        }),
        ("coreshard_shard_cpu_sys_seconds_total", "counter", "CPU time in the kernel.", |core| {
            core.cpu.system_us as f64 / 1e6
        }),
    ];
    for (name, kind, help, value) in numbers {
        page.metric(name, kind, help);
        for core in cores {
            page.sample(name, &format!("shard=\"{}\"", core.core), value(core));
        }
    }
    let extra: Vec<&'static str> =
        cores.first().map_or(Vec::new(), |core| core.extra.iter().map(|(name, _)| *name).collect());
    for (at, name) in extra.into_iter().enumerate() {
        let name = format!("coreshard_shard_{name}");
        page.metric(&name, "gauge", "As in INFO shards.");
        for core in cores {
            if let Some((_, value)) = core.extra.get(at) {
                page.sample(&name, &format!("shard=\"{}\"", core.core), *value as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_follows_its_type() {
        let mut histogram = Box::new(crate::observe::latencies::new_histogram());
        histogram.saturating_record(1500);
        let report =
            CommandReport { calls: 1, ns: 1500, histogram: Some(histogram), ..CommandReport::default() };
        let mut core = CoreReport { dbs: vec![Default::default()], ..CoreReport::default() };
        core.by_command.insert("get", report);
        core.errors.insert("A\"\\".into(), 2);
        let text = page(&Facts::default(), &[core]);
        let mut current = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split(' ').next().unwrap_or("");
            } else if !line.starts_with('#') {
                assert!(line.starts_with(current), "{line} under {current}");
                let value = line.rsplit(' ').next().unwrap_or("");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.contains("redis_commands_total{cmd=\"get\"} 1\n"));
        assert!(text.contains("redis_errors_total{err=\"A\\\"\\\\\"} 2\n"));
        assert!(text.contains("coreshard_command_latency_seconds_bucket{cmd=\"get\",le=\"0.000001\"} 0\n"));
        assert!(text.contains("coreshard_command_latency_seconds_bucket{cmd=\"get\",le=\"0.000002\"} 1\n"));
        assert!(text.contains("coreshard_command_latency_seconds_count{cmd=\"get\"} 1\n"));
    }
}
