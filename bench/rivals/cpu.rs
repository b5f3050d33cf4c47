//! CPU time of processes and of the machine, read from /proc.
//!
//! Server CPU per operation is the headline figure because it does not lie when the load generator is
//! the bottleneck. Where the kernel keeps `schedstat`, times are in nanoseconds; `utime` and `stime`
//! are in clock ticks (10 ms) and only serve to split user from system time.

use std::fs;
use std::io;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// CPU time a process has used since it started, all its threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub total_ns: u64,
    pub user_ns: u64,
    pub system_ns: u64,
}

impl CpuTime {
    pub fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
        }
    }
}

/// Reads the CPU time of `pid`. Threads that have ended are missing from `schedstat` but not from
/// `stat`, so the larger of the two is taken.
pub fn of_process(pid: u32) -> io::Result<CpuTime> {
    let (user_ns, system_ns) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
        .ok_or_else(|| io::Error::other("unreadable /proc/<pid>/stat"))?;
    let ticks_ns = user_ns + system_ns;
    let tick_ns = NS_PER_SECOND / rustix::param::clock_ticks_per_second();
    let precise_ns: u64 =
        threads(pid)?.into_iter().filter_map(|tid| schedstat(pid, tid)).map(|stat| stat.run_ns).sum();
    // Rounding up to a tick is not a dead thread: only a larger gap is.
    let total_ns = if precise_ns + 2 * tick_ns >= ticks_ns && precise_ns > 0 { precise_ns } else { ticks_ns };
    Ok(CpuTime { total_ns, user_ns, system_ns })
}

/// One thread's scheduler figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedStat {
    /// Time on a CPU.
    pub run_ns: u64,
    /// Time it was ready and waited for a CPU: what others on the machine took from it.
    pub wait_ns: u64,
}

/// `None` when the thread is gone or the kernel keeps no such figures.
pub fn schedstat(pid: u32, tid: u32) -> Option<SchedStat> {
    parse_schedstat(&fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?)
}

/// The thread of a process that takes the most CPU time during `work`: the one that does it.
pub fn thread_that_works(pid: u32, work: impl FnOnce() -> io::Result<()>) -> io::Result<u32> {
    let run_ns = |tid: u32| schedstat(pid, tid).map_or(0, |stat| stat.run_ns);
    let before: Vec<(u32, u64)> = threads(pid)?.into_iter().map(|tid| (tid, run_ns(tid))).collect();
    work()?;
    let spent = |(tid, before): &(u32, u64)| run_ns(*tid).saturating_sub(*before);
    Ok(before.iter().max_by_key(|thread| spent(thread)).map_or(pid, |(tid, _)| *tid))
}

/// Busy and stolen time of all CPUs of the machine since boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineTime {
    pub busy_ns: u64,
    /// Time the hypervisor gave to somebody else.
    pub steal_ns: u64,
}

pub fn of_machine() -> MachineTime {
    fs::read_to_string("/proc/stat").ok().and_then(|text| parse_machine(&text)).unwrap_or_default()
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no VmRSS in /proc/<pid>/status"))
}

/// The CPUs this process may run on, ascending.
pub fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return vec![0];
    };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Binds the calling thread, and whatever it spawns from now on, to `cpus`.
pub fn pin_this_thread(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Runs `work` on a thread bound to `cpus`: a child it spawns is born there, before its first
/// instruction, and so are all the threads of that child.
pub fn pinned<T: Send>(cpus: &[usize], work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin_this_thread(cpus)?;
            work()
        });
        worker.join().unwrap_or_else(|_| Err(io::Error::other("the pinned thread panicked")))
    })
}

fn threads(pid: u32) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// User and system nanoseconds out of `/proc/<pid>/stat`. The name of the program, in parentheses,
/// may itself hold spaces and parentheses, so fields are counted from the last one.
fn parse_stat(text: &str) -> Option<(u64, u64)> {
    let after_name = &text[text.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let tick_ns = NS_PER_SECOND / rustix::param::clock_ticks_per_second();
    let mut next = || Some(fields.next()?.parse::<u64>().ok()? * tick_ns);
    Some((next()?, next()?))
}

fn parse_schedstat(text: &str) -> Option<SchedStat> {
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    Some(SchedStat { run_ns: fields.next()?.ok()?, wait_ns: fields.next()?.ok()? })
}

fn parse_machine(text: &str) -> Option<MachineTime> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let tick_ns = NS_PER_SECOND / rustix::param::clock_ticks_per_second();
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal ...
    let &[user, nice, system, _, _, irq, softirq, steal, ..] = ticks.as_slice() else {
        return None;
    };
    Some(MachineTime { busy_ns: (user + nice + system + irq + softirq) * tick_ns, steal_ns: steal * tick_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_a_parenthesis_does_not_shift_the_fields() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 80 0 0 0 250 50 0 0 20 0 5 0";
        let tick_ns = NS_PER_SECOND / rustix::param::clock_ticks_per_second();
        assert_eq!(parse_stat(text), Some((250 * tick_ns, 50 * tick_ns)));
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn schedstat_has_run_and_wait() {
        let parsed = parse_schedstat("12345 678 9\n").expect("three numbers");
        assert_eq!((parsed.run_ns, parsed.wait_ns), (12345, 678));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn who_works_is_found() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let worker = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_pid() as u32).expect("somebody listens");
            receive.recv().expect("somebody sends");
            let until = std::time::Instant::now() + std::time::Duration::from_millis(50);
            while std::time::Instant::now() < until {}
            tell.send(0).expect("somebody listens");
        });
        let tid = told.recv().expect("it tells");
        let found = thread_that_works(std::process::id(), || {
            send.send(()).expect("it listens");
            told.recv().expect("it tells");
            Ok(())
        });
        assert_eq!(found.expect("own /proc"), tid);
        worker.join().expect("it has ended");
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let spent = of_process(std::process::id()).expect("own /proc");
        assert!(spent.total_ns > 0);
        assert!(resident_bytes(std::process::id()).expect("own /proc") > 0);
        assert!(!allowed().is_empty());
    }
}
