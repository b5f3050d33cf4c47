//! What the server says of itself when it starts.

use std::path::Path;

use super::cores::Cores;
use super::log;
use crate::config::{Config, id};
use crate::net::Shared;
use crate::runtime::engine::Choice;
use crate::sys::host::{self, Host};
use crate::sys::resources::MemoryOrigin;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Version, engine, cores and memory.
pub fn starting(config: &Config, file: Option<&Path>, choice: &Choice, cores: &Cores) {
    let file = match file {
        Some(file) => format!("configuration {}", file.display()),
        None => "no configuration file".to_owned(),
    };
    let host = Host::detect();
    log::notice(format!("coreshard {VERSION} starts on {}, pid {}, {file}", host.os(), std::process::id()));
    log::notice(format!("Engine: {} ({})", choice.kind.name(), choice.reason));
    log::notice(format!(
        "Cores: {}, one shard each, on {}, {} ({})",
        cores.count,
        plural(cores.node_count, "NUMA node"),
        if cores.pinned { "pinned" } else { "not pinned" },
        cores.why
    ));
    log::notice(memory(config, cores));
    warn_of_backlog(config);
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn memory(config: &Config, cores: &Cores) -> String {
    let resources = &cores.resources;
    let limit =
        resources.memory_limit_bytes.map(|bytes| format!("{} ({})", size(bytes), resources.memory_origin));
    match (config.memory(id::MAXMEMORY), limit) {
        (0, Some(limit)) if matches!(resources.memory_origin, MemoryOrigin::Cgroup { .. }) => {
            format!(
                "Memory: maxmemory is not set, so nothing is evicted before the kernel's limit of {limit} ends the server"
            )
        }
        (0, limit) => {
            format!("Memory: no maxmemory; limit {}", limit.unwrap_or_else(|| "unknown".to_owned()))
        }
        (bytes, limit) => format!(
            "Memory: maxmemory {}, {}; limit {}",
            size(bytes),
            config.choice(id::MAXMEMORY_POLICY),
            limit.unwrap_or_else(|| "unknown".to_owned())
        ),
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.2} {}", units[unit]) }
}

fn warn_of_backlog(config: &Config) {
    let wanted = config.integer(id::TCP_BACKLOG);
    if let Some(granted) =
        host::sysctl(Path::new("/"), "net/core/somaxconn").filter(|granted| *granted < wanted)
    {
        log::warning(format!(
            "WARNING: The TCP backlog setting of {wanted} cannot be enforced because /proc/sys/net/core/somaxconn \
             is set to the lower value of {granted}."
        ));
    }
}

/// Where clients come in.
pub fn listening(config: &Config, shared: &Shared) {
    let mut places: Vec<String> =
        shared.addresses.lock().expect("no holder panics").iter().map(ToString::to_string).collect();
    places.extend(config.optional(id::UNIXSOCKET).map(str::to_owned));
    log::notice(format!("Listening on {}. PID: {}", places.join(", "), std::process::id()));
    let metrics = config.integer(id::METRICS_PORT);
    if metrics != 0 {
        log::notice(format!("Metrics on http://{}:{metrics}/metrics", config.text(id::METRICS_BIND)));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_for_people() {
        assert_eq!(super::size(0), "0 B");
        assert_eq!(super::size(1023), "1023 B");
        assert_eq!(super::size(1 << 30), "1.00 GiB");
        assert_eq!(super::size(u64::MAX), "16777216.00 TiB");
    }
}
