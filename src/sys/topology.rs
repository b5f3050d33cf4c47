#![allow(unsafe_code)]
//! Which CPUs this process may use, in the order in which shards should take them, and pinning.
//!
//! Order: NUMA node by node; inside a node first one hardware thread of every physical core, then
//! their SMT siblings. So the first N CPUs share as little as they can while memory stays near.
//!
//! Not here: how many shards there should be (`resources`), nor NUMA memory policy: memory is
//! placed by its owner touching it first, which pinning before allocation gives.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::below;

/// One hardware thread this process may run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The kernel's number of it.
    pub id: usize,
    /// Its NUMA node; 0 where the kernel does not say.
    pub node: usize,
    /// The lowest CPU number of the physical core it belongs to (itself without SMT).
    pub core: usize,
}

/// The CPUs of the affinity mask that are online, in shard order. Never empty.
pub fn usable_cpus() -> Vec<Cpu> {
    usable_cpus_in(Path::new("/"), &affinity_mask())
}

/// The same for a host whose sysfs lies below `root` and whose affinity mask is `mask`.
pub fn usable_cpus_in(root: &Path, mask: &[usize]) -> Vec<Cpu> {
    let online = read_cpu_list(&below(root, "sys/devices/system/cpu/online"));
    let nodes = node_of_cpus(root);
    let mut cpus: Vec<Cpu> = mask
        .iter()
        .copied()
        .filter(|id| online.as_ref().is_none_or(|online| online.contains(id)))
        .map(|id| Cpu { id, node: nodes.get(&id).copied().unwrap_or(0), core: core_of(root, id) })
        .collect();
    if cpus.is_empty() {
        // A mask that disagrees with sysfs: the thread runs somewhere, so trust the mask.
        cpus = mask.iter().map(|&id| Cpu { id, node: 0, core: id }).collect();
    }
    if cpus.is_empty() {
        cpus.push(Cpu { id: 0, node: 0, core: 0 });
    }
    order(cpus)
}

/// Sorts by node, then by rank among the usable siblings of a core, then by number.
fn order(mut cpus: Vec<Cpu>) -> Vec<Cpu> {
    cpus.sort_by_key(|cpu| cpu.id);
    cpus.dedup_by_key(|cpu| cpu.id);
    let mut seen_of_core: BTreeMap<usize, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, usize, Cpu)> = cpus
        .into_iter()
        .map(|cpu| {
            let seen = seen_of_core.entry(cpu.core).or_default();
            let rank = *seen;
            *seen += 1;
            (cpu.node, rank, cpu)
        })
        .collect();
    ranked.sort_by_key(|&(node, rank, cpu)| (node, rank, cpu.id));
    ranked.into_iter().map(|(_, _, cpu)| cpu).collect()
}

/// How many NUMA nodes these CPUs lie on.
pub fn node_count(cpus: &[Cpu]) -> usize {
    let mut nodes: Vec<usize> = cpus.iter().map(|cpu| cpu.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.len()
}

fn node_of_cpus(root: &Path) -> BTreeMap<usize, usize> {
    let mut nodes = BTreeMap::new();
    let Ok(entries) = fs::read_dir(below(root, "sys/devices/system/node")) else { return nodes };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(node) = name.to_str().and_then(|name| name.strip_prefix("node")) else { continue };
        let Ok(node) = node.parse::<usize>() else { continue };
        for id in read_cpu_list(&entry.path().join("cpulist")).unwrap_or_default() {
            nodes.insert(id, node);
        }
    }
    nodes
}

fn core_of(root: &Path, id: usize) -> usize {
    let path = format!("sys/devices/system/cpu/cpu{id}/topology/thread_siblings_list");
    read_cpu_list(&below(root, &path)).and_then(|list| list.first().copied()).unwrap_or(id)
}

fn read_cpu_list(path: &Path) -> Option<Vec<usize>> {
    fs::read_to_string(path).ok().and_then(|text| parse_cpu_list(&text))
}

/// More CPUs than any kernel build has; bounds what a broken list can make us allocate.
const CPU_LIMIT: usize = 1 << 16;

/// Parses the kernel's list form, such as `0-3,8,10-11`, sorted and without duplicates.
///
/// `None` when the text is not of that form. The stride form (`0-6:2/4`) is accepted too.
pub fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (range, stride) = match part.split_once(':') {
            Some((range, stride)) => (range, Some(stride)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?),
            None => range.parse::<usize>().ok().map(|one| (one, one))?,
        };
        if first > last || last >= CPU_LIMIT {
            return None;
        }
        let (used, group) = match stride {
            Some(stride) => {
                let (used, group) = stride.split_once('/')?;
                (used.parse::<usize>().ok()?, group.parse::<usize>().ok()?)
            }
            None => (1, 1),
        };
        if group == 0 {
            return None;
        }
        cpus.extend((first..=last).filter(|id| (id - first) % group < used));
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

/// The CPUs in the calling thread's affinity mask, ascending; empty if the kernel will not say.
pub fn affinity_mask() -> Vec<usize> {
    // The kernel refuses a buffer smaller than its own mask, whose size it does not publish.
    let mut words = 16;
    while words <= CPU_LIMIT / 64 {
        let mut mask = vec![0u64; words];
        // SAFETY: `mask` is writable for the number of bytes passed, and any bit pattern is a u64.
        let status =
            unsafe { libc::sched_getaffinity(0, words * 8, mask.as_mut_ptr().cast::<libc::cpu_set_t>()) };
        if status == 0 {
            return bits_of(&mask);
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
            break;
        }
        words *= 2;
    }
    Vec::new()
}

fn bits_of(mask: &[u64]) -> Vec<usize> {
    let mut bits = Vec::new();
    for (word_index, &word) in mask.iter().enumerate() {
        bits.extend((0..64).filter(|bit| word >> bit & 1 == 1).map(|bit| word_index * 64 + bit));
    }
    bits
}

/// Pins the calling thread to one CPU. Fails if the CPU is not in the allowed set.
pub fn pin_current_thread(cpu: usize) -> io::Result<()> {
    // core_affinity works on a fixed mask of 1024 bits and must not see a larger number.
    if cpu < 1024 && core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        return Ok(());
    }
    set_affinity(&[cpu])
}

/// Lets the calling thread run on all of `cpus`; for threads that serve no shard.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    let highest = cpus.iter().copied().max().unwrap_or(0);
    if highest >= CPU_LIMIT {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut mask = vec![0u64; (highest / 64 + 1).max(16)];
    for &cpu in cpus {
        mask[cpu / 64] |= 1 << (cpu % 64);
    }
    // SAFETY: `mask` is readable for the number of bytes passed; the kernel only copies it.
    let status =
        unsafe { libc::sched_setaffinity(0, mask.len() * 8, mask.as_ptr().cast::<libc::cpu_set_t>()) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The CPU the calling thread runs on at this moment.
pub fn current_cpu() -> Option<usize> {
    // SAFETY: takes no arguments and touches no memory of ours.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = below(root, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn ids(cpus: &[Cpu]) -> Vec<usize> {
        cpus.iter().map(|cpu| cpu.id).collect()
    }

    #[test]
    fn cpu_lists_in_all_forms() {
        assert_eq!(parse_cpu_list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_cpu_list(""), Some(vec![]));
        assert_eq!(parse_cpu_list("5,1,5"), Some(vec![1, 5]));
        assert_eq!(parse_cpu_list("0-7:2/4"), Some(vec![0, 1, 4, 5]));
        for bad in ["x", "3-1", "1-", "0-99999999999", "0-3:1/0", "-1"] {
            assert_eq!(parse_cpu_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn without_sysfs_the_mask_is_the_answer() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(ids(&usable_cpus_in(root.path(), &[3, 1])), [1, 3]);
        assert_eq!(ids(&usable_cpus_in(root.path(), &[])), [0]);
    }

    #[test]
    fn offline_cpus_are_left_out_and_nodes_stay_together() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "sys/devices/system/cpu/online", "0-6\n");
        write(root.path(), "sys/devices/system/node/node0/cpulist", "0,2,4,6\n");
        write(root.path(), "sys/devices/system/node/node1/cpulist", "1,3,5,7\n");
        write(root.path(), "sys/devices/system/node/possible", "0-1\n");
        let cpus = usable_cpus_in(root.path(), &[0, 1, 2, 3, 4, 5, 7]);
        assert_eq!(ids(&cpus), [0, 2, 4, 1, 3, 5]);
        assert_eq!(node_count(&cpus), 2);
    }

    #[test]
    fn siblings_come_after_the_first_thread_of_every_core_of_their_node() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "sys/devices/system/cpu/online", "0-7");
        write(root.path(), "sys/devices/system/node/node0/cpulist", "0-1,4-5");
        write(root.path(), "sys/devices/system/node/node1/cpulist", "2-3,6-7");
        for id in 0..8 {
            let path = format!("sys/devices/system/cpu/cpu{id}/topology/thread_siblings_list");
            write(root.path(), &path, &format!("{},{}\n", id % 4, id % 4 + 4));
        }
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(ids(&usable_cpus_in(root.path(), &all)), [0, 1, 4, 5, 2, 3, 6, 7]);
        // When only the second thread of core 0 is allowed it counts as that core's first.
        assert_eq!(ids(&usable_cpus_in(root.path(), &[4, 1, 5])), [1, 4, 5]);
    }

    #[test]
    fn a_mask_that_disagrees_with_sysfs_wins() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "sys/devices/system/cpu/online", "0-1");
        assert_eq!(ids(&usable_cpus_in(root.path(), &[9])), [9]);
        write(root.path(), "sys/devices/system/cpu/online", "garbage");
        assert_eq!(ids(&usable_cpus_in(root.path(), &[9])), [9]);
    }

    #[test]
    fn a_pinned_thread_runs_where_it_was_put() {
        let cpus = usable_cpus();
        let last = cpus.last().unwrap().id;
        std::thread::spawn(move || {
            pin_current_thread(last).unwrap();
            assert_eq!(affinity_mask(), [last]);
            assert_eq!(current_cpu(), Some(last));
            assert!(pin_current_thread(60_000).is_err());
            assert!(set_affinity(&[CPU_LIMIT]).is_err());
        })
        .join()
        .unwrap();
        let all = ids(&cpus);
        std::thread::spawn(move || set_affinity(&all).unwrap()).join().unwrap();
    }
}
