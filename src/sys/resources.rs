//! How much of the host this process should take: shards' CPUs and the default memory bound, each
//! with the reason, because the server says both at start and in INFO.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::below;
use super::cgroup::{self, Version};
use super::topology::{self, Cpu};

/// What was found, decided once at start.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    /// All CPUs this process may run on, in the order shards should take them.
    pub cpus: Vec<Cpu>,
    /// How many shards to run when nobody says otherwise; between 1 and `cpus.len()`.
    pub cpu_count: usize,
    /// Why that many.
    pub cpu_why: String,
    /// How many NUMA nodes the first `cpu_count` CPUs lie on.
    pub node_count: usize,
    /// The memory this process can have before the kernel acts; `None` if nothing says.
    pub memory_limit_bytes: Option<u64>,
    pub memory_origin: MemoryOrigin,
    /// `MemTotal` of the host, for INFO's `total_system_memory`.
    pub host_memory_bytes: Option<u64>,
}

/// Where the memory limit was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryOrigin {
    Cgroup { version: Version, file: PathBuf },
    Host,
    Unknown,
}

impl fmt::Display for MemoryOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryOrigin::Cgroup { version, file } => write!(f, "{version}, {}", file.display()),
            MemoryOrigin::Host => f.write_str("host, MemTotal"),
            MemoryOrigin::Unknown => f.write_str("unknown"),
        }
    }
}

impl Resources {
    /// Looks at this host. Reads a handful of small files; well under a millisecond.
    pub fn detect() -> Resources {
        Resources::detect_in(Path::new("/"), &topology::affinity_mask())
    }

    /// Looks at a host whose files lie below `root`, as a process with affinity `mask`.
    pub fn detect_in(root: &Path, mask: &[usize]) -> Resources {
        let cpus = topology::usable_cpus_in(root, mask);
        let usable = match cpus.len() {
            1 => "1 usable CPU".to_owned(),
            count => format!("{count} usable CPUs"),
        };
        let (cpu_count, cpu_why) = match cgroup::cpu_quota(root) {
            Some(quota) if quota.cpu_count() < cpus.len() => (
                quota.cpu_count(),
                format!(
                    "{} quota of {:.2} cores ({}), {usable}",
                    quota.version,
                    quota.cores(),
                    quota.file.display()
                ),
            ),
            _ => (cpus.len(), usable),
        };
        let node_count = topology::node_count(&cpus[..cpu_count]);
        let host_memory_bytes = host_memory(root);
        let (memory_limit_bytes, memory_origin) = match (cgroup::memory_limit(root), host_memory_bytes) {
            (Some(limit), host) if host.is_none_or(|host| limit.bytes < host) => {
                (Some(limit.bytes), MemoryOrigin::Cgroup { version: limit.version, file: limit.file })
            }
            (_, Some(host)) => (Some(host), MemoryOrigin::Host),
            (_, None) => (None, MemoryOrigin::Unknown),
        };
        assert!(cpu_count >= 1 && cpu_count <= cpus.len());
        Resources {
            cpus,
            cpu_count,
            cpu_why,
            node_count,
            memory_limit_bytes,
            memory_origin,
            host_memory_bytes,
        }
    }
}

/// `MemTotal` of `/proc/meminfo` in bytes.
pub fn host_memory(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(below(root, "proc/meminfo")).ok()?;
    meminfo_bytes(&text, "MemTotal")
}

/// One line of meminfo in bytes; the file counts in KiB.
pub fn meminfo_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = below(root.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const CGROUP: (&str, &str) = ("proc/self/cgroup", "0::/\n");
    const MOUNT: (&str, &str) = ("proc/self/mountinfo", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:  1024 kB\nMemFree: 5 kB\n");

    #[test]
    fn quota_bounds_the_shards_and_is_named() {
        let root = host(&[CGROUP, MOUNT, MEMINFO, ("sys/fs/cgroup/cpu.max", "150000 100000")]);
        let found = Resources::detect_in(root.path(), &[0, 1, 2, 3]);
        assert_eq!((found.cpu_count, found.cpus.len()), (2, 4));
        assert_eq!(found.cpu_why, "cgroup v2 quota of 1.50 cores (/sys/fs/cgroup/cpu.max), 4 usable CPUs");
        // A quota above the mask does not matter.
        let found = Resources::detect_in(root.path(), &[3]);
        assert_eq!((found.cpu_count, found.cpu_why.as_str()), (1, "1 usable CPU"));
    }

    #[test]
    fn the_smaller_of_cgroup_and_host_memory_counts() {
        let root = host(&[CGROUP, MOUNT, MEMINFO, ("sys/fs/cgroup/memory.max", "4096")]);
        let found = Resources::detect_in(root.path(), &[0]);
        assert_eq!(found.memory_limit_bytes, Some(4096));
        assert_eq!(found.memory_origin.to_string(), "cgroup v2, /sys/fs/cgroup/memory.max");
        fs::write(below(root.path(), "sys/fs/cgroup/memory.max"), "99999999").unwrap();
        let found = Resources::detect_in(root.path(), &[0]);
        assert_eq!((found.memory_limit_bytes, found.memory_origin), (Some(1 << 20), MemoryOrigin::Host));
    }

    #[test]
    fn an_empty_host_still_gets_one_shard() {
        let root = host(&[]);
        let found = Resources::detect_in(root.path(), &[]);
        assert_eq!((found.cpu_count, found.node_count), (1, 1));
        assert_eq!((found.memory_limit_bytes, found.memory_origin), (None, MemoryOrigin::Unknown));
    }

    #[test]
    fn this_host_is_understood() {
        let found = Resources::detect();
        assert!(found.cpu_count >= 1);
        assert!(found.memory_limit_bytes.is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn meminfo_lines_match_whole_names() {
        assert_eq!(meminfo_bytes("MemTotalX: 1 kB\nMemTotal: 2 kB\n", "MemTotal"), Some(2048));
        assert_eq!(meminfo_bytes("MemTotal: x kB\n", "MemTotal"), None);
        assert_eq!(meminfo_bytes("", "MemTotal"), None);
    }
}
