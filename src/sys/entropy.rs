#![allow(unsafe_code)]
//! Randomness from the kernel, for what must differ between two starts: run ids, hash seeds,
//! generators. Not for the hot path: every call is a system call.

use std::io;

/// Fills `bytes` from the kernel's generator.
///
/// # Panics
/// When the kernel has no entropy source at all, in which case nothing of ours is safe to run.
pub fn fill(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: `rest` is writable for its own length.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_) => {
                let error = io::Error::last_os_error();
                assert!(error.kind() == io::ErrorKind::Interrupted, "no randomness from the kernel: {error}");
            }
        }
    }
}

/// A seed for a generator or hasher.
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Length of run ids, replication ids and node ids on the wire.
pub const RUN_ID_LEN: usize = 40;

/// A fresh id of forty lower-case hexadecimal digits.
pub fn run_id() -> String {
    let mut bytes = [0; RUN_ID_LEN / 2];
    fill(&mut bytes);
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal_and_differ() {
        let (first, second) = (run_id(), run_id());
        assert_eq!(first.len(), RUN_ID_LEN);
        assert!(first.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        assert_ne!(first, second);
        assert_ne!(seed(), seed());
        fill(&mut []);
    }
}
