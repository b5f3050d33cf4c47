//! What the host offers and how this process behaves on it: CPUs and their NUMA nodes, cgroup
//! limits, clocks, memory advice, process figures, signals, crash reports, daemon manners.
//!
//! Level 0 of the ladder: nothing here knows about the rest of the crate. Everything that reads
//! `/proc`, `/sys` or a cgroup tree takes the root to read below, so that tests feed it invented
//! hosts, and a missing or odd file is never an error: the answer is then the cautious one.

pub mod cgroup;
pub mod clock;
pub mod crash;
pub mod daemon;
pub mod disk;
pub mod entropy;
pub mod host;
pub mod limits;
pub mod memory;
pub mod process;
pub mod resources;
pub mod signals;
pub mod threads;
pub mod topology;

pub use cgroup::{CpuQuota, MemoryLimit};
pub use resources::{MemoryOrigin, Resources};
pub use topology::{Cpu, pin_current_thread};

use std::path::{Path, PathBuf};

/// Joins an absolute path of the host to `root` (`/` on a real host, a scratch folder in tests).
pub(crate) fn below(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}
