//! A CPU quota, so that the server and not the load is what runs out.
//!
//! Uses the cpu controller of cgroup v1 where it is mounted, else v2 where the root delegates `cpu`.
//! The group is removed when the value is dropped.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::cleanup;

/// Short, so that a throttled server is stopped for milliseconds and not for a tenth of a second.
const PERIOD_US: u64 = 10_000;

pub struct Quota {
    dir: PathBuf,
    /// Where members go back to when the group ends.
    parent: PathBuf,
}

impl Quota {
    /// Makes a group that may use `percent` of one CPU.
    pub fn create(percent: u32) -> io::Result<Quota> {
        let quota_us = PERIOD_US * u64::from(percent) / 100;
        let name = format!("coreshard-bench-{}", std::process::id());
        let v1 = PathBuf::from("/sys/fs/cgroup/cpu");
        if v1.join("cpu.cfs_quota_us").exists() || v1.join("cgroup.procs").exists() {
            let quota = Quota::make(v1, &name)?;
            fs::write(quota.dir.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            fs::write(quota.dir.join("cpu.cfs_quota_us"), quota_us.to_string())?;
            return Ok(quota);
        }
        let quota = Quota::make(PathBuf::from("/sys/fs/cgroup"), &name)?;
        fs::write(quota.dir.join("cpu.max"), format!("{quota_us} {PERIOD_US}"))?;
        Ok(quota)
    }

    fn make(parent: PathBuf, name: &str) -> io::Result<Quota> {
        let dir = parent.join(name);
        fs::create_dir(&dir)?;
        cleanup::group_made(&dir);
        Ok(Quota { dir, parent })
    }

    pub fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let members = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            let _ = fs::write(self.parent.join("cgroup.procs"), pid);
        }
        if let Err(error) = fs::remove_dir(&self.dir) {
            eprintln!("could not remove {}: {error}", self.dir.display());
        }
        cleanup::group_removed(&self.dir);
    }
}
