#![allow(unsafe_code)]
//! Limits and switches of this process that a server adjusts at start: open files, locked
//! memory, huge pages, the kernel's out-of-memory score.

use std::fs;
use std::io;

/// Descriptors kept back from clients for files, listeners, rings and replication, as in Redis.
pub const RESERVED_FILES: u64 = 32;

/// A pair of soft and hard limit; `u64::MAX` is "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

/// The limit on open descriptors.
pub fn open_files() -> io::Result<Limit> {
    read_limit(libc::RLIMIT_NOFILE)
}

/// The limit on locked memory. Kernels before 5.12 charge io_uring's rings to it.
pub fn locked_memory() -> io::Result<Limit> {
    read_limit(libc::RLIMIT_MEMLOCK)
}

/// What became of the wish for more descriptors.
#[derive(Debug)]
pub struct OpenFiles {
    /// The soft limit before.
    pub before: u64,
    /// The soft limit now.
    pub now: u64,
    /// How many clients fit: `maxclients`, or fewer where the limit could not be raised enough.
    pub maxclients: u64,
    /// Why the limit stayed below the wish.
    pub refusal: Option<io::Error>,
}

/// Raises the soft limit so that `maxclients` connections and `reserved` other descriptors fit.
///
/// Tries the hard limit too (root may raise it). If neither suffices the limit ends as high as it
/// may and the number of clients shrinks, as Redis does; zero clients means: refuse to start.
pub fn raise_open_files(maxclients: u64, reserved: u64) -> OpenFiles {
    let wanted = maxclients.saturating_add(reserved);
    let current = match open_files() {
        Ok(limit) => limit,
        // Redis: an unknown limit is taken to be 1024.
        Err(error) => {
            let maxclients = maxclients.min(1024u64.saturating_sub(reserved));
            return OpenFiles { before: 1024, now: 1024, maxclients, refusal: Some(error) };
        }
    };
    let before = current.soft;
    if before >= wanted {
        return OpenFiles { before, now: before, maxclients, refusal: None };
    }
    let raised = Limit { soft: wanted, hard: current.hard.max(wanted) };
    let refusal = write_limit(libc::RLIMIT_NOFILE, raised).err();
    if refusal.is_some() && current.hard > before {
        // The hard limit is what the kernel grants without privilege. A failure leaves `before`.
        let _ =
            write_limit(libc::RLIMIT_NOFILE, Limit { soft: current.hard.min(wanted), hard: current.hard });
    }
    let now = open_files().map_or(before, |limit| limit.soft);
    let maxclients = maxclients.min(now.saturating_sub(reserved));
    let refusal = if now >= wanted { None } else { refusal };
    OpenFiles { before, now, maxclients, refusal }
}

/// Raises the soft limit on locked memory to the hard limit, or to `wanted` with privilege.
pub fn raise_locked_memory(wanted: u64) -> io::Result<Limit> {
    let current = locked_memory()?;
    if current.soft < wanted {
        let raised = Limit { soft: wanted, hard: current.hard.max(wanted) };
        if write_limit(libc::RLIMIT_MEMLOCK, raised).is_err() {
            write_limit(libc::RLIMIT_MEMLOCK, Limit { soft: current.hard, hard: current.hard })?;
        }
    }
    locked_memory()
}

// The type of a resource differs between C libraries.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn read_limit(resource: Resource) -> io::Result<Limit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    match unsafe { libc::getrlimit(resource, &mut limit) } {
        0 => Ok(Limit { soft: limit.rlim_cur, hard: limit.rlim_max }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn write_limit(resource: Resource, limit: Limit) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
    // SAFETY: `limit` is a valid rlimit that the kernel only reads.
    match unsafe { libc::setrlimit(resource, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether transparent huge pages are switched off for this process.
pub fn hugepages_disabled() -> io::Result<bool> {
    // SAFETY: this prctl takes no pointers.
    match unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value == 1),
    }
}

/// Switches transparent huge pages off (or back on) for this process: `disable-thp`. Huge pages
/// make a server's memory grow and its page faults long when memory is touched sparsely.
pub fn disable_hugepages(disable: bool) -> io::Result<()> {
    // SAFETY: this prctl takes no pointers.
    match unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(disable), 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

const OOM_SCORE_FILE: &str = "/proc/self/oom_score_adj";

/// How eagerly the kernel kills this process when memory runs out, from -1000 (never) to 1000.
pub fn oom_score_adj() -> io::Result<i32> {
    let text = fs::read_to_string(OOM_SCORE_FILE)?;
    text.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Sets it, clamped to the kernel's range. Lowering it needs privilege.
pub fn set_oom_score_adj(value: i32) -> io::Result<()> {
    fs::write(OOM_SCORE_FILE, format!("{}\n", value.clamp(-1000, 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, because the limit belongs to the whole process.
    #[test]
    fn open_files_rise_as_far_as_they_may_and_clients_follow() {
        let start = open_files().unwrap();
        let same = raise_open_files(1, 1);
        assert_eq!((same.before, same.now, same.maxclients), (start.soft, start.soft, 1));
        // More than any kernel grants (fs.nr_open bounds even root).
        let over = raise_open_files(1 << 40, RESERVED_FILES);
        assert!(over.refusal.is_some());
        assert!(over.now >= over.before && over.now <= start.hard.max(start.soft));
        assert_eq!(over.maxclients, over.now - RESERVED_FILES);
        assert_eq!(open_files().unwrap().hard, start.hard, "a failed wish lowers nothing");
    }

    #[test]
    fn locked_memory_is_readable_and_the_wish_is_harmless() {
        let before = locked_memory().unwrap();
        let after = raise_locked_memory(before.soft).unwrap();
        assert!(after.soft >= before.soft);
    }

    #[test]
    fn the_oom_score_is_in_range_and_can_be_kept() {
        let score = oom_score_adj().unwrap();
        assert!((-1000..=1000).contains(&score));
        set_oom_score_adj(score).unwrap();
    }

    #[test]
    fn huge_pages_can_be_asked_about() {
        if let Ok(disabled) = hugepages_disabled() {
            disable_hugepages(disabled).unwrap();
            assert_eq!(hugepages_disabled().unwrap(), disabled);
        }
    }
}
