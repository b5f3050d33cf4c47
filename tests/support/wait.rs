//! Waiting for a condition, the only place of the tests that may let time pass.

use std::time::{Duration, Instant};

/// Asks `condition` again and again until it holds; panics with `what` after `timeout`.
#[track_caller]
pub fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_micros(200);
    while !condition() {
        assert!(Instant::now() < deadline, "waited {timeout:?} in vain: {what}");
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
