//! Fuzzing with nothing but the test harness: random and mutated input for every reader of strangers'
//! bytes, for `FUZZ_SECONDS` (default 1) per target. `FUZZ_SEED` repeats a run; each prints its seed.

mod aof;
mod file;
mod number;
mod rdb;
mod resp;

use std::env;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Runs `case` with fresh randomness until the time is over.
///
/// Every case has its own seed, printed when the case panics, so that `FUZZ_SEED` starts with it.
pub fn fuzz(target: &str, mut case: impl FnMut(&mut fastrand::Rng)) {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first_seed = number("FUZZ_SEED").unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
    });
    let budget = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(1));
    let started = Instant::now();
    println!("{target}: FUZZ_SEED={first_seed}");
    let mut cases = 0u64;
    while cases == 0 || started.elapsed() < budget {
        let reporter = SeedOnPanic { target, seed: first_seed.wrapping_add(cases) };
        case(&mut fastrand::Rng::with_seed(reporter.seed));
        cases += 1;
    }
    println!("{target}: {cases} cases");
}

struct SeedOnPanic<'a> {
    target: &'a str,
    seed: u64,
}

impl Drop for SeedOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: repeat with FUZZ_SEED={}", self.target, self.seed);
        }
    }
}

/// Changes a few bytes of `bytes`: overwrites, inserts, deletes, repeats or cuts, preferring `alphabet`.
pub fn mutate(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>, alphabet: &[u8]) {
    for _ in 0..rng.usize(0..4) {
        let byte = if rng.bool() { alphabet[rng.usize(..alphabet.len())] } else { rng.u8(..) };
        let at = rng.usize(..=bytes.len());
        match rng.u8(0..6) {
            0 | 1 if at < bytes.len() => bytes[at] = byte,
            2 => bytes.insert(at, byte),
            3 if at < bytes.len() => {
                bytes.remove(at);
            }
            4 => {
                let end = rng.usize(at..=bytes.len());
                let piece = bytes[at..end.min(at + 64)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                if rng.u8(0..4) == 0 {
                    bytes.truncate(at);
                }
            }
        }
    }
}
