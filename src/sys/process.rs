#![allow(unsafe_code)]
//! What this process uses: memory, CPU time of the process, its children and each named thread,
//! page faults; and who it is. For INFO and the metrics.
//!
//! Reading costs microseconds (a file of `/proc` or one system call each): for cron and INFO, not
//! for every command.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::memory::page_bytes;

/// Resident and virtual memory now, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    pub rss: u64,
    pub virtual_size: u64,
    /// The part of `rss` backed by files or shared memory.
    pub shared: u64,
}

/// Reads `/proc/self/statm`; zeroes where there is none.
pub fn memory_use() -> MemoryUse {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    parse_statm(&text, page_bytes() as u64).unwrap_or_default()
}

fn parse_statm(text: &str, page: u64) -> Option<MemoryUse> {
    let mut pages = text.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    let virtual_size = pages.next()?? * page;
    let rss = pages.next()?? * page;
    let shared = pages.next()?? * page;
    Some(MemoryUse { rss, virtual_size, shared })
}

/// The highest resident memory so far, in bytes.
pub fn peak_rss() -> u64 {
    usage(libc::RUSAGE_SELF).peak_rss
}

/// Resources used, as the kernel accounts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub user_us: u64,
    pub system_us: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    pub peak_rss: u64,
}

/// Of the whole process.
pub fn own_usage() -> Usage {
    usage(libc::RUSAGE_SELF)
}

/// Of children that ended and were waited for.
pub fn children_usage() -> Usage {
    usage(libc::RUSAGE_CHILDREN)
}

/// Of the calling thread.
pub fn thread_usage() -> Usage {
    usage(libc::RUSAGE_THREAD)
}

fn usage(who: libc::c_int) -> Usage {
    // SAFETY: rusage is made of integers, for which all zeroes is a value.
    let mut raw: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `raw` is a valid rusage to write to; on failure it stays zeroed.
    unsafe { libc::getrusage(who, &mut raw) };
    let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Usage {
        user_us: us(raw.ru_utime),
        system_us: us(raw.ru_stime),
        minor_faults: raw.ru_minflt as u64,
        major_faults: raw.ru_majflt as u64,
        voluntary_switches: raw.ru_nvcsw as u64,
        involuntary_switches: raw.ru_nivcsw as u64,
        peak_rss: raw.ru_maxrss as u64 * 1024,
    }
}

/// CPU time of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTime {
    pub tid: u32,
    pub name: String,
    /// In clock ticks' precision, usually 10 ms.
    pub user_us: u64,
    pub system_us: u64,
    /// User and system together in nanoseconds, where the kernel keeps scheduler statistics.
    pub run_ns: Option<u64>,
}

/// All threads of this process, in the order they were started.
pub fn thread_times() -> Vec<ThreadTime> {
    // SAFETY: sysconf only reads its argument.
    let ticks = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
    let Ok(entries) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let mut threads: Vec<ThreadTime> = entries
        .flatten()
        .filter_map(|entry| {
            let tid = entry.file_name().to_str()?.parse().ok()?;
            // A thread may end between the listing and the reading.
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let mut thread = parse_thread_stat(&stat, ticks)?;
            thread.tid = tid;
            let schedstat = fs::read_to_string(entry.path().join("schedstat")).ok();
            thread.run_ns = schedstat.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
            Some(thread)
        })
        .collect();
    threads.sort_by_key(|thread| thread.tid);
    threads
}

/// Reads name, user and system ticks. The name may hold blanks and parentheses, so fields are
/// counted from the last closing one.
fn parse_thread_stat(stat: &str, ticks_per_second: u64) -> Option<ThreadTime> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (tid, name) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let us = |ticks: u64| ticks.saturating_mul(1_000_000) / ticks_per_second;
    Some(ThreadTime {
        tid: tid.trim().parse().ok()?,
        name: name.to_owned(),
        user_us: us(user),
        system_us: us(system),
        run_ns: None,
    })
}

/// The number of this process.
pub fn pid() -> u32 {
    std::process::id()
}

/// The program file, INFO's `executable`; empty if unknown.
pub fn executable() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// How many threads this process has.
pub fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, |entries| entries.count().max(1))
}

/// How many descriptors this process has open.
pub fn open_file_count() -> io::Result<usize> {
    // One of them is the listing itself.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// Names the calling thread for `top`, `perf` and crash reports; the kernel keeps 15 bytes.
pub fn set_thread_name(name: &str) {
    let mut bytes = [0u8; 16];
    let keep = name.len().min(15);
    bytes[..keep].copy_from_slice(&name.as_bytes()[..keep]);
    // SAFETY: `bytes` ends with a zero byte and is read only during the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr(), 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_usage_of_a_living_process() {
        let memory = memory_use();
        assert!(memory.rss > 0 && memory.virtual_size >= memory.rss);
        assert!(peak_rss() > 0);
        assert!(own_usage().minor_faults > 0);
        assert_eq!(children_usage().major_faults, children_usage().major_faults);
        assert!(thread_usage().user_us <= own_usage().user_us + 1_000_000);
        assert!(open_file_count().unwrap() >= 3);
        assert!(executable().is_file());
    }

    #[test]
    fn threads_are_found_by_name() {
        let (started, wait) = std::sync::mpsc::channel();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            set_thread_name("shard-3 and a tail");
            started.send(()).unwrap();
            let _ = finished.recv();
        });
        wait.recv().unwrap();
        assert!(thread_times().iter().any(|thread| thread.name == "shard-3 and a t"));
        assert!(thread_count() >= 2);
        drop(finish);
        thread.join().unwrap();
    }

    #[test]
    fn odd_names_do_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1";
        let thread = parse_thread_stat(stat, 100).unwrap();
        assert_eq!((thread.tid, thread.name.as_str()), (42, "a) b (c)"));
        assert_eq!((thread.user_us, thread.system_us), (2_500_000, 500_000));
        for bad in ["", "1 (x", "1 (x) S 1", "x (y) S 1 2 3 4 5 6 7 8 9 10 1 1"] {
            assert_eq!(parse_thread_stat(bad, 100), None, "{bad}");
        }
    }

    #[test]
    fn statm_in_pages() {
        let memory = parse_statm("100 20 5 1 0 9 0\n", 4096).unwrap();
        assert_eq!((memory.virtual_size, memory.rss, memory.shared), (409_600, 81_920, 20_480));
        assert_eq!(parse_statm("1 x", 4096), None);
    }
}
