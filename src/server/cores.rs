//! How many cores to run, and where.

use anyhow::{Context, Result, bail};

use crate::config::{Config, id};
use crate::sys::resources::Resources;
use crate::sys::topology;

/// The decision, with what it was made from.
pub struct Cores {
    pub count: usize,
    /// Per core the CPU it is pinned to, if any.
    pub cpus: Vec<Option<usize>>,
    /// Why so many, for the log.
    pub why: String,
    pub pinned: bool,
    /// NUMA nodes that the cores can lie on.
    pub node_count: usize,
    pub resources: Resources,
}

impl Cores {
    /// Follows `threads`, `server-cpulist`, the affinity mask and the cgroup's quota.
    ///
    /// Cores are pinned only when they take all CPUs that they may run on. With fewer, two servers of one host (two
    /// containers with a quota, say) would pin themselves to the same CPUs and leave the others idle.
    pub fn choose(config: &Config) -> Result<Cores> {
        if let Some(list) = config.optional(id::SERVER_CPULIST) {
            let Some(cpus) = parse_cpu_list(list) else {
                bail!("server-cpulist '{list}' is not a list of CPUs")
            };
            topology::set_affinity(&cpus).with_context(|| format!("server-cpulist '{list}'"))?;
        }
        let mut resources = Resources::detect();
        if !config.flag(id::NUMA) {
            resources.cpus.sort_by_key(|cpu| cpu.id);
        }
        let (count, why) = match config.integer(id::THREADS) as usize {
            0 => (resources.cpu_count.max(1), resources.cpu_why.clone()),
            asked => (asked, format!("threads {asked}, {}", resources.cpu_why)),
        };
        let usable = resources.cpus.len();
        let pinned = config.flag(id::PIN_CORES) && count >= usable && usable > 0;
        let cpus = (0..count).map(|core| pinned.then(|| resources.cpus[core % usable].id)).collect();
        // Unpinned cores may lie on any of them.
        let node_count = topology::node_count(&resources.cpus).max(1);
        Ok(Cores { count, cpus, why, pinned, node_count, resources })
    }
}

/// Redis's form of a stride, `0-7:2`, is the kernel's `0-7:1/2`.
fn parse_cpu_list(list: &str) -> Option<Vec<usize>> {
    let parts = list.split(',').map(|part| match part.split_once(':') {
        Some((range, stride)) if !stride.contains('/') => format!("{range}:1/{stride}"),
        _ => part.to_owned(),
    });
    topology::parse_cpu_list(&parts.collect::<Vec<_>>().join(",")).filter(|cpus| !cpus.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_and_the_kernel_write_strides_differently() {
        assert_eq!(parse_cpu_list("0-7:2"), Some(vec![0, 2, 4, 6]));
        assert_eq!(parse_cpu_list("1,3"), Some(vec![1, 3]));
        assert_eq!(parse_cpu_list("0-7:1/4"), Some(vec![0, 4]));
        assert_eq!(parse_cpu_list("a"), None);
        assert_eq!(parse_cpu_list("0-7:0"), None);
        assert_eq!(parse_cpu_list(""), None);
    }
}
