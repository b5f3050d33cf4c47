//! CPU quota and memory limit of the cgroups this process lives in: v2, v1, or both mounted.
//!
//! A limit of any ancestor binds, so the whole path from our own group up to the mount is read
//! and the tightest limit wins. Groups are found the way the kernel tells: the path of our group
//! in `/proc/self/cgroup`, the place of the hierarchy in `/proc/self/mountinfo`. Inside a container
//! the path often lies outside of what is mounted; then the mount's own top is our group.
//!
//! Everything is best effort: unreadable files mean "no limit".

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::below;

/// The tightest CPU bandwidth limit above us.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuQuota {
    pub quota_us: u64,
    pub period_us: u64,
    /// The file that said so.
    pub file: PathBuf,
    pub version: Version,
}

impl CpuQuota {
    /// How many cores' worth of time the quota grants, rounded up, at least one.
    pub fn cpu_count(&self) -> usize {
        usize::try_from(self.quota_us.div_ceil(self.period_us)).unwrap_or(usize::MAX).max(1)
    }

    /// The same as a fraction.
    pub fn cores(&self) -> f64 {
        self.quota_us as f64 / self.period_us as f64
    }
}

/// The tightest memory limit above us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    pub bytes: u64,
    /// The file that said so.
    pub file: PathBuf,
    pub version: Version,
}

/// Which cgroup interface a limit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V1 => "cgroup v1",
            Version::V2 => "cgroup v2",
        })
    }
}

/// From this on a v1 memory limit is the kernel's way of saying "none" (it is the largest page
/// count times the page size, which differs between kernels but is always beyond an exabyte).
const UNLIMITED_BYTES: u64 = 1 << 60;

/// The tightest CPU quota of our cgroup and its ancestors on the host below `root`.
pub fn cpu_quota(root: &Path) -> Option<CpuQuota> {
    let groups = Groups::read(root);
    let v2 = groups.v2.iter().filter_map(|dir| read_cpu_max(dir));
    let v1 = groups.v1("cpu").into_iter().filter_map(|dir| read_cfs_quota(&dir));
    v2.chain(v1).min_by(|a, b| a.cores().total_cmp(&b.cores())).map(|mut quota| {
        quota.file = shown(root, &quota.file);
        quota
    })
}

/// The tightest memory limit of our cgroup and its ancestors on the host below `root`.
///
/// `memory.high` counts as a limit: beyond it the kernel stalls every allocation, which for an
/// in-memory server is no better than the kill that `memory.max` brings.
pub fn memory_limit(root: &Path) -> Option<MemoryLimit> {
    let groups = Groups::read(root);
    let v2 = groups.v2.iter().flat_map(|dir| [dir.join("memory.max"), dir.join("memory.high")]);
    let v2 = v2.filter_map(|file| read_bytes(file, Version::V2));
    let v1 = groups.v1("memory").into_iter().map(|dir| dir.join("memory.limit_in_bytes"));
    let v1 = v1.filter_map(|file| read_bytes(file, Version::V1));
    v2.chain(v1).min_by_key(|limit| limit.bytes).map(|mut limit| {
        limit.file = shown(root, &limit.file);
        limit
    })
}

/// The path as the host would name it.
fn shown(root: &Path, file: &Path) -> PathBuf {
    file.strip_prefix(root).map(|file| Path::new("/").join(file)).unwrap_or_else(|_| file.to_path_buf())
}

fn read_cpu_max(dir: &Path) -> Option<CpuQuota> {
    let file = dir.join("cpu.max");
    let text = fs::read_to_string(&file).ok()?;
    let (quota_us, period_us) = parse_cpu_max(&text)?;
    Some(CpuQuota { quota_us, period_us, file, version: Version::V2 })
}

/// Parses `cpu.max`: `<quota|max> [<period>]`. `None` for "max" and for nonsense.
pub fn parse_cpu_max(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace();
    let quota_us = words.next()?.parse::<u64>().ok()?;
    let period_us = words.next().map_or(Some(100_000), |word| word.parse::<u64>().ok())?;
    (quota_us > 0 && period_us > 0).then_some((quota_us, period_us))
}

fn read_cfs_quota(dir: &Path) -> Option<CpuQuota> {
    let file = dir.join("cpu.cfs_quota_us");
    // No quota is written as -1.
    let quota_us = fs::read_to_string(&file).ok()?.trim().parse::<i64>().ok()?;
    let quota_us = u64::try_from(quota_us).ok().filter(|&quota| quota > 0)?;
    let period_us = fs::read_to_string(dir.join("cpu.cfs_period_us")).ok();
    let period_us = period_us.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(100_000);
    (period_us > 0).then_some(CpuQuota { quota_us, period_us, file, version: Version::V1 })
}

fn read_bytes(file: PathBuf, version: Version) -> Option<MemoryLimit> {
    let bytes = fs::read_to_string(&file).ok()?.trim().parse::<u64>().ok()?;
    (bytes > 0 && bytes < UNLIMITED_BYTES).then_some(MemoryLimit { bytes, file, version })
}

/// Where our groups are: for each hierarchy the folder of our group and all its ancestors.
struct Groups {
    v2: Vec<PathBuf>,
    v1: Vec<(String, Vec<PathBuf>)>,
}

impl Groups {
    fn read(root: &Path) -> Groups {
        let cgroup = fs::read_to_string(below(root, "proc/self/cgroup")).unwrap_or_default();
        let mountinfo = fs::read_to_string(below(root, "proc/self/mountinfo")).unwrap_or_default();
        let mounts = parse_mounts(&mountinfo);
        let mut groups = Groups { v2: Vec::new(), v1: Vec::new() };
        for line in cgroup.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if controllers.is_empty() {
                if let Some(mount) = mounts.iter().find(|mount| mount.v2) {
                    groups.v2 = folders(root, mount, path);
                }
                continue;
            }
            for controller in controllers.split(',') {
                if let Some(mount) = mounts.iter().find(|mount| mount.has(controller)) {
                    groups.v1.push((controller.to_owned(), folders(root, mount, path)));
                }
            }
        }
        groups
    }

    fn v1(&self, controller: &str) -> Vec<PathBuf> {
        self.v1.iter().filter(|(name, _)| name == controller).flat_map(|(_, dirs)| dirs.clone()).collect()
    }
}

struct Mount {
    v2: bool,
    /// The group that is visible at `point`.
    group: String,
    point: String,
    options: String,
}

impl Mount {
    fn has(&self, controller: &str) -> bool {
        !self.v2 && self.options.split(',').any(|option| option == controller)
    }
}

/// The cgroup mounts of a mountinfo file: `id parent dev root point opts [tags] - type source super`.
fn parse_mounts(mountinfo: &str) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        if left.len() < 5 || right.len() < 3 || !matches!(right[0], "cgroup" | "cgroup2") {
            continue;
        }
        mounts.push(Mount {
            v2: right[0] == "cgroup2",
            group: unescape(left[3]),
            point: unescape(left[4]),
            options: right[2].to_owned(),
        });
    }
    mounts
}

/// Undoes the octal escapes the kernel uses for blanks and backslashes in mountinfo.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) if byte.is_ascii() => {
                out.push(byte as char);
                rest = &rest[at + 4..];
            }
            _ => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Our group's folder and those of its ancestors, up to and including the mount point.
fn folders(root: &Path, mount: &Mount, path: &str) -> Vec<PathBuf> {
    let top = below(root, &mount.point);
    let inside = if mount.group == "/" {
        Some(path)
    } else {
        path.strip_prefix(mount.group.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // A path with `..` names a group outside of our cgroup namespace.
    let inside = inside.filter(|inside| !inside.split('/').any(|part| part == ".."));
    let mut folder = top.join(inside.unwrap_or("").trim_start_matches('/'));
    if !folder.is_dir() {
        folder = top.clone();
    }
    let mut folders = vec![folder.clone()];
    while folder != top && folder.pop() {
        folders.push(folder.clone());
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host(tempfile::TempDir);

    impl Host {
        fn new(cgroup: &str, mountinfo: &str) -> Host {
            let host = Host(tempfile::tempdir().unwrap());
            host.write("proc/self/cgroup", cgroup).write("proc/self/mountinfo", mountinfo);
            host
        }

        fn write(&self, path: &str, text: &str) -> &Host {
            let path = below(self.0.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn cpu(&self) -> Option<(f64, String)> {
            cpu_quota(self.0.path()).map(|quota| (quota.cores(), quota.file.display().to_string()))
        }

        fn memory(&self) -> Option<(u64, String)> {
            memory_limit(self.0.path()).map(|limit| (limit.bytes, limit.file.display().to_string()))
        }
    }

    const V2: &str = "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn v2_takes_the_tightest_of_the_ancestors() {
        let host = Host::new("0::/a.slice/b.service\n", V2);
        host.write("sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n")
            .write("sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n")
            .write("sys/fs/cgroup/a.slice/b.service/memory.max", "2147483648\n")
            .write("sys/fs/cgroup/a.slice/b.service/memory.high", "max\n")
            .write("sys/fs/cgroup/a.slice/memory.max", "1073741824\n");
        assert_eq!(host.cpu(), Some((1.5, "/sys/fs/cgroup/a.slice/cpu.max".into())));
        assert_eq!(cpu_quota(host.0.path()).unwrap().cpu_count(), 2);
        assert_eq!(host.memory(), Some((1 << 30, "/sys/fs/cgroup/a.slice/memory.max".into())));
        host.write("sys/fs/cgroup/a.slice/b.service/memory.high", "1000000\n");
        assert_eq!(host.memory(), Some((1_000_000, "/sys/fs/cgroup/a.slice/b.service/memory.high".into())));
    }

    #[test]
    fn no_limits_is_none() {
        let host = Host::new("0::/\n", V2);
        assert_eq!((host.cpu(), host.memory()), (None, None));
        host.write("sys/fs/cgroup/cpu.max", "max 100000").write("sys/fs/cgroup/memory.max", "max");
        assert_eq!((host.cpu(), host.memory()), (None, None));
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(cpu_quota(empty.path()), None);
        assert_eq!(memory_limit(empty.path()), None);
    }

    #[test]
    fn a_container_without_its_own_namespace_sees_its_group_at_the_mount_point() {
        let mounts = "9 1 0:22 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        for path in ["/docker/abc", "/docker/abc/inner", "/docker/abcdef", "/../other"] {
            let host = Host::new(&format!("0::{path}\n"), mounts);
            host.write("sys/fs/cgroup/cpu.max", "50000 100000")
                .write("sys/fs/cgroup/inner/cpu.max", "max 100000");
            assert_eq!(host.cpu(), Some((0.5, "/sys/fs/cgroup/cpu.max".into())), "{path}");
            assert_eq!(cpu_quota(host.0.path()).unwrap().cpu_count(), 1);
        }
    }

    #[test]
    fn v1_with_joined_controllers_and_a_hybrid_mount() {
        let host = Host::new(
            "4:memory:/box\n3:cpu,cpuacct:/box\n1:name=systemd:/x\n0::/\n",
            "1 0 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             2 0 0:2 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
             3 0 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        host.write("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "250000\n")
            .write("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")
            .write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
            .write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "536870912\n")
            .write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
            .write("sys/fs/cgroup/unified/cgroup.procs", "1\n");
        assert_eq!(host.cpu(), Some((2.5, "/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us".into())));
        assert_eq!(cpu_quota(host.0.path()).unwrap().cpu_count(), 3);
        assert_eq!(
            host.memory(),
            Some((512 << 20, "/sys/fs/cgroup/memory/box/memory.limit_in_bytes".into()))
        );
        assert_eq!(memory_limit(host.0.path()).unwrap().version, Version::V1);
    }

    #[test]
    fn nonsense_in_files_is_no_limit() {
        for text in ["", "0 100000", "-1", "max", "7 0", "x y", "99999999999999999999999 1"] {
            assert_eq!(parse_cpu_max(text), None, "{text}");
        }
        assert_eq!(parse_cpu_max("200000"), Some((200_000, 100_000)));
        let host = Host::new("garbage\n0::\n::\n7:memory\n", "short - cgroup2\n\n - - -\n");
        assert_eq!((host.cpu(), host.memory()), (None, None));
    }

    #[test]
    fn mount_points_with_blanks_are_unescaped() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(unescape("/tail\\"), "/tail\\");
        assert_eq!(unescape("/\\9zzé"), "/\\9zzé");
    }
}
