//! The monotonic clock, in nanoseconds. Only engines read it; everything above is told the time.
#![allow(unsafe_code)]

/// Nanoseconds of `CLOCK_MONOTONIC`, read through the vDSO (no system call).
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the time of the call; CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
