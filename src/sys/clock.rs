#![allow(unsafe_code)]
//! The clocks of the process, and a cycle counter for cheap interval measurement.
//!
//! - `monotonic_ns`: never goes back; 23 ns (2.6 GHz Zen 4) through the vDSO (more where the host's clock
//!   source needs a system call).
//! - `realtime_ms`, `realtime_us`: Unix time, may jump with the host's.
//! - `cycles` + `cycles_to_ns`: one `rdtsc`, 9 ns there and no ordering, for durations on one
//!   thread. Where the counter cannot be trusted (no `constant_tsc` and `nonstop_tsc`, or the
//!   kernel gave it up) `cycles` is `monotonic_ns` and the conversion is the identity, so callers
//!   need not care.
//!
//! Shards read none of these: time comes to them in the command's context.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::below;

/// Nanoseconds since some point in the past, the same for all threads.
pub fn monotonic_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// The monotonic clock as of the kernel's last tick (1 to 10 ms ago) at a fifth of the cost.
pub fn monotonic_coarse_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC_COARSE)
}

/// Microseconds since 1970.
pub fn realtime_us() -> u64 {
    read_clock(libc::CLOCK_REALTIME) / 1_000
}

/// Milliseconds since 1970.
pub fn realtime_ms() -> u64 {
    read_clock(libc::CLOCK_REALTIME) / 1_000_000
}

/// CPU time the calling thread has used, user and system together.
pub fn thread_cpu_ns() -> u64 {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time the process has used, user and system together.
pub fn process_cpu_ns() -> u64 {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the kernel or vDSO to write.
    let status = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(status, 0, "the clocks named here exist on every Linux");
    // A wall clock set before 1970 reads as 1970.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + time.tv_nsec as u64
}

/// Set once by `calibrate`; until then and without a trusted counter the clock stands in.
static COUNTER_TRUSTED: AtomicBool = AtomicBool::new(false);
static SCALE: OnceLock<Scale> = OnceLock::new();

/// Nanoseconds per cycle as a 32.32 fixed-point number; `None` when cycles are nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Scale {
    ns_per_cycle_fp: Option<u64>,
}

/// How long the counter is compared with the clock: an error of 100 ns in reading either is then
/// one part in ten thousand.
const CALIBRATION_NS: u64 = 1_000_000;

/// Decides whether the counter can be trusted and measures its rate. Call once at start, before
/// the first `cycles`: it takes one millisecond. Later calls cost nothing.
pub fn calibrate() {
    SCALE.get_or_init(|| {
        let scale =
            Scale { ns_per_cycle_fp: if counter_is_invariant(Path::new("/")) { measure() } else { None } };
        COUNTER_TRUSTED.store(scale.ns_per_cycle_fp.is_some(), Ordering::Release);
        scale
    });
}

/// Whether `cycles` reads the CPU's counter; for the log and INFO (`monotonic_clock`).
pub fn describe() -> String {
    match SCALE.get().and_then(|scale| scale.ns_per_cycle_fp) {
        Some(fp) => format!("x86 TSC @ {:.0} ticks/us", 1000.0 * (1u64 << 32) as f64 / fp as f64),
        None => "POSIX clock_gettime".to_owned(),
    }
}

/// The cycle counter, or `monotonic_ns` where that cannot be trusted. Differences count, not
/// values; compare only readings of one thread or accept a skew of some ten nanoseconds.
#[inline]
pub fn cycles() -> u64 {
    if COUNTER_TRUSTED.load(Ordering::Relaxed) { raw_counter() } else { monotonic_ns() }
}

/// What a difference of two `cycles` is in nanoseconds.
#[inline]
pub fn cycles_to_ns(cycles: u64) -> u64 {
    match SCALE.get().and_then(|scale| scale.ns_per_cycle_fp) {
        Some(fp) => ((u128::from(cycles) * u128::from(fp)) >> 32) as u64,
        None => cycles,
    }
}

/// So many cycles are about that many nanoseconds.
pub fn cycles_of_ns(ns: u64) -> u64 {
    match SCALE.get().and_then(|scale| scale.ns_per_cycle_fp) {
        Some(fp) => ((u128::from(ns) << 32) / u128::from(fp.max(1))) as u64,
        None => ns,
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn raw_counter() -> u64 {
    // SAFETY: rdtsc exists on every x86-64 CPU and touches no memory; a kernel that forbids it
    // (prctl PR_SET_TSC) would have forbidden the vDSO clock too.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn raw_counter() -> u64 {
    monotonic_ns()
}

/// Whether the first CPU's flags promise a constant, never stopping counter and the kernel did
/// not give it up as a clock source.
fn counter_is_invariant(root: &Path) -> bool {
    if !cfg!(target_arch = "x86_64") {
        return false;
    }
    let sources = below(root, "sys/devices/system/clocksource/clocksource0/available_clocksource");
    if let Ok(sources) = std::fs::read_to_string(sources)
        && !sources.split_ascii_whitespace().any(|source| source == "tsc")
    {
        return false;
    }
    // The file repeats itself for every CPU; the flags of the first are within its first pages.
    let mut text = String::new();
    let Ok(file) = File::open(below(root, "proc/cpuinfo")) else { return false };
    if file.take(16 * 1024).read_to_string(&mut text).is_err() {
        return false;
    }
    let Some(flags) = text.lines().find(|line| line.starts_with("flags")) else { return false };
    ["constant_tsc", "nonstop_tsc"]
        .iter()
        .all(|wanted| flags.split_ascii_whitespace().any(|flag| flag == *wanted))
}

/// Compares counter and clock over `CALIBRATION_NS`. `None` if the result makes no sense.
fn measure() -> Option<u64> {
    let (start_ns, start_cycles) = paired_reading();
    while monotonic_ns() - start_ns < CALIBRATION_NS {
        std::hint::spin_loop();
    }
    let (end_ns, end_cycles) = paired_reading();
    let elapsed_cycles = end_cycles.checked_sub(start_cycles).filter(|&cycles| cycles > 0)?;
    let fp = (u128::from(end_ns - start_ns) << 32) / u128::from(elapsed_cycles);
    let fp = u64::try_from(fp).ok()?;
    // Between 100 MHz and 20 GHz.
    let plausible = ((1u64 << 32) / 20)..=((1u64 << 32) * 10);
    plausible.contains(&fp).then_some(fp)
}

/// Clock and counter as of nearly the same moment: of a few tries the one least disturbed.
fn paired_reading() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..8 {
        let before = raw_counter();
        let now_ns = monotonic_ns();
        let width = raw_counter().wrapping_sub(before);
        if width < best.0 {
            best = (width, now_ns, before.wrapping_add(width / 2));
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance_and_agree() {
        let (first, coarse) = (monotonic_ns(), monotonic_coarse_ns());
        assert!(monotonic_ns() >= first);
        assert!(coarse <= first);
        let (us, ms) = (realtime_us(), realtime_ms());
        assert!(ms >= us / 1000 && ms > 1_600_000_000_000);
        assert!(process_cpu_ns() >= thread_cpu_ns() || thread_cpu_ns() > 0);
    }

    #[test]
    fn cycles_measure_what_the_clock_measures() {
        let before = monotonic_ns();
        calibrate();
        assert!(monotonic_ns() - before < 500_000_000, "bounded even on a busy machine");
        let (ns, count) = (monotonic_ns(), cycles());
        while monotonic_ns() - ns < 5_000_000 {
            std::hint::spin_loop();
        }
        let measured = cycles_to_ns(cycles() - count);
        let elapsed = monotonic_ns() - ns;
        // Preemption between the paired readings is possible; a wrong scale would be far off.
        assert!(measured > elapsed / 2 && measured < elapsed * 2, "{measured} against {elapsed}");
        assert!(!describe().is_empty());
    }

    #[test]
    fn trust_needs_both_flags_and_the_kernel() {
        let root = tempfile::tempdir().unwrap();
        assert!(!counter_is_invariant(root.path()));
        let cpuinfo = root.path().join("proc/cpuinfo");
        std::fs::create_dir_all(cpuinfo.parent().unwrap()).unwrap();
        std::fs::write(&cpuinfo, "processor: 0\nflags\t\t: fpu constant_tsc\n").unwrap();
        assert!(!counter_is_invariant(root.path()));
        std::fs::write(&cpuinfo, "processor: 0\nflags\t\t: fpu constant_tsc nonstop_tsc x\n").unwrap();
        assert_eq!(counter_is_invariant(root.path()), cfg!(target_arch = "x86_64"));
        let sources = root.path().join("sys/devices/system/clocksource/clocksource0");
        std::fs::create_dir_all(&sources).unwrap();
        std::fs::write(sources.join("available_clocksource"), "hpet acpi_pm\n").unwrap();
        assert!(!counter_is_invariant(root.path()));
    }
}
