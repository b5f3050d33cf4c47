//! The sweep that keeps access stamps from wrapping (see `access`): a slow walk over all databases, a bit per slice.
//!
//! All databases are walked in step, by position in hash space: how far the walk should be follows from the time alone,
//! so a slice knows what is due without counting keys, and growth or flushing in between changes nothing.

use super::shard::Shard;

/// Scan cursors lie below this.
const CURSOR_END: u64 = 1 << 42;
/// A walk is done in so many parts: one a minute under LRU, four under LFU.
const PARTS: u64 = 240;
/// Keys asked for per scan step; a step finishes the bucket it began.
const STEP_KEYS: usize = 16;

/// Where the sweep is.
#[derive(Default)]
pub struct Aging {
    started_ms: u64,
    sweep_ms: u64,
    /// Per database; [`CURSOR_END`] when done.
    cursors: Vec<u64>,
    /// Keys to rewrite, found by one step: end in `bytes`, hash, stamp.
    stale: Vec<(usize, u64, u16)>,
    bytes: Vec<u8>,
    /// When the next part of the walk is due.
    next_ms: u64,
    /// Stamps rewritten so far.
    pub renewed: u64,
}

impl Shard {
    /// Walks on to where the sweep should be by now, visiting about `budget` keys at most. True when it is behind.
    pub fn age_slice(&mut self, now_ms: u64, budget: usize) -> bool {
        self.now_ms = now_ms;
        if now_ms < self.aging.next_ms && now_ms >= self.aging.started_ms {
            return false;
        }
        let clock = self.access_clock();
        let Shard { aging, dbs, rng, .. } = self;
        let target = aging.target(now_ms, clock.counting.sweep_ms(), dbs.len());
        let mut left = budget;
        for (cursor, db) in aging.cursors.iter_mut().zip(dbs) {
            if db.table.is_empty() {
                *cursor = target.max(*cursor);
            }
            while *cursor < target {
                if left == 0 {
                    return true;
                }
                let mut seen = 0;
                let (bytes, stale) = (&mut aging.bytes, &mut aging.stale);
                let next = db.table.scan(*cursor, STEP_KEYS, &mut |entry| {
                    seen += 1;
                    if let Some(access) = clock.renewed(entry.access(), || rng.f64()) {
                        bytes.extend_from_slice(entry.key());
                        stale.push((bytes.len(), db.table.hasher().hash(entry.key()), access));
                    }
                });
                *cursor = if next == 0 { CURSOR_END } else { next };
                let mut start = 0;
                for (end, hash, access) in stale.drain(..) {
                    db.table.touch(hash, &bytes[start..end], access);
                    start = end;
                    aging.renewed += 1;
                }
                bytes.clear();
                bytes.shrink_to(64 << 10);
                // A step over empty buckets is work too.
                left = left.saturating_sub(seen.max(4));
            }
        }
        aging.next_ms = now_ms + aging.sweep_ms / PARTS;
        false
    }
}

impl Aging {
    /// When the sweep wants to go on.
    pub(super) fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// The position up to which keys are due now; begins the next walk when one is done.
    fn target(&mut self, now_ms: u64, sweep_ms: u64, databases: usize) -> u64 {
        let changed =
            self.sweep_ms != sweep_ms || self.cursors.len() != databases || now_ms < self.started_ms;
        let done = self.cursors.iter().all(|&cursor| cursor == CURSOR_END);
        if changed || done && now_ms >= self.started_ms + sweep_ms {
            // After a pause of hours the next walk begins now rather than in the past.
            let on_time = !changed && now_ms < self.started_ms + 2 * sweep_ms;
            self.started_ms = if on_time { self.started_ms + sweep_ms } else { now_ms };
            self.sweep_ms = sweep_ms;
            self.cursors.clear();
            self.cursors.resize(databases, 0);
        }
        let passed_ms = (now_ms - self.started_ms).min(sweep_ms);
        (u128::from(passed_ms) * u128::from(CURSOR_END) / u128::from(sweep_ms)) as u64
    }
}
