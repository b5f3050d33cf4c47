#![allow(unsafe_code)]
//! What the host is: kernel and its version, machine, host name, word size; for INFO, the log and
//! the choice of engine.

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use super::below;

/// What `uname` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub sysname: String,
    pub release: String,
    pub machine: String,
    pub hostname: String,
}

impl Host {
    /// Asks the kernel.
    pub fn detect() -> Host {
        // SAFETY: utsname is made of byte arrays, for which all zeroes is a value.
        let mut name: libc::utsname = unsafe { std::mem::zeroed() };
        // SAFETY: `name` is a valid utsname to write to; on failure it stays zeroed.
        unsafe { libc::uname(&mut name) };
        Host {
            sysname: text(&name.sysname),
            release: text(&name.release),
            machine: text(&name.machine),
            hostname: text(&name.nodename),
        }
    }

    /// INFO's `os` field.
    pub fn os(&self) -> String {
        format!("{} {} {}", self.sysname, self.release, self.machine)
    }

    pub fn kernel(&self) -> KernelVersion {
        KernelVersion::parse(&self.release).unwrap_or_default()
    }
}

fn text(field: &[libc::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&byte| byte as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A kernel version, comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl KernelVersion {
    pub const fn new(major: u32, minor: u32, patch: u32) -> KernelVersion {
        KernelVersion { major, minor, patch }
    }

    /// Reads the leading numbers of a release such as `6.1.0-18-amd64` or `5.15`.
    pub fn parse(release: &str) -> Option<KernelVersion> {
        let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
        let mut numbers = release[..end].split('.').map(|number| number.parse::<u32>().ok());
        let major = numbers.next()??;
        let minor = numbers.next()??;
        Some(KernelVersion { major, minor, patch: numbers.next().flatten().unwrap_or(0) })
    }
}

/// Pointer width in bits, INFO's `arch_bits`.
pub const ARCH_BITS: u32 = usize::BITS;

/// How the host treats anonymous memory: `always`, `madvise`, `never`; `None` without the file.
pub fn transparent_hugepages() -> Option<String> {
    selected(&fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?)
}

/// The bracketed word of a sysfs choice such as `always [madvise] never`.
pub fn selected(choice: &str) -> Option<String> {
    let (_, rest) = choice.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

/// What the kernel lets unprivileged processes do with io_uring (`kernel.io_uring_disabled`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoUringPolicy {
    /// Value 0, or a kernel too old to have the switch.
    Allowed,
    /// Value 1: only members of `kernel.io_uring_group` and CAP_SYS_ADMIN.
    Restricted,
    /// Value 2.
    Disabled,
}

/// Reads the switch below `root`. A seccomp filter may forbid io_uring all the same.
pub fn io_uring_policy(root: &Path) -> IoUringPolicy {
    let text = fs::read_to_string(below(root, "proc/sys/kernel/io_uring_disabled")).unwrap_or_default();
    match text.trim() {
        "1" => IoUringPolicy::Restricted,
        "2" => IoUringPolicy::Disabled,
        _ => IoUringPolicy::Allowed,
    }
}

/// A number from `/proc/sys` below `root`, such as `vm/overcommit_memory`.
pub fn sysctl(root: &Path, name: &str) -> Option<i64> {
    fs::read_to_string(below(root, "proc/sys").join(name)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions() {
        let parsed = |text| KernelVersion::parse(text);
        assert_eq!(parsed("6.1.0-18-amd64"), Some(KernelVersion::new(6, 1, 0)));
        assert_eq!(parsed("5.15"), Some(KernelVersion::new(5, 15, 0)));
        assert_eq!(parsed("6.18.44-fc-v669"), Some(KernelVersion::new(6, 18, 44)));
        assert_eq!(parsed("4.18.0-553.el8_10.x86_64"), Some(KernelVersion::new(4, 18, 0)));
        for bad in ["", "x", "6", ".", "6.x", "99999999999.1"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
        assert!(KernelVersion::new(6, 12, 0) > KernelVersion::new(6, 1, 99));
    }

    #[test]
    fn this_host_has_a_name_and_a_kernel() {
        let host = Host::detect();
        assert_eq!(host.sysname, "Linux");
        assert!(host.kernel() > KernelVersion::new(3, 0, 0));
        assert!(host.os().starts_with("Linux "));
    }

    #[test]
    fn choices_and_switches() {
        assert_eq!(selected("always [madvise] never\n").as_deref(), Some("madvise"));
        assert_eq!(selected("always"), None);
        let root = tempfile::tempdir().unwrap();
        assert_eq!(io_uring_policy(root.path()), IoUringPolicy::Allowed);
        assert_eq!(sysctl(root.path(), "vm/overcommit_memory"), None);
        let folder = root.path().join("proc/sys/kernel");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("io_uring_disabled"), "2\n").unwrap();
        assert_eq!(io_uring_policy(root.path()), IoUringPolicy::Disabled);
        assert_eq!(sysctl(root.path(), "kernel/io_uring_disabled"), Some(2));
    }
}
