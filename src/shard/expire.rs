//! Active expiry: keys are deleted when their deadline passes, not when a cycle happens to meet them.
//!
//! The table knows the bucket whose deadline is next, so a slice does work for due keys only, and the driver can sleep
//! until [`Shard::next_expiry_ms`]. Lazy expiry on access (see `keyspace`) stays the guarantee that nobody ever reads a
//! key after its deadline; this is what gives its memory back and notifies on time.

use hdrhistogram::Histogram;

use super::db::Db;
use super::effects::Event;
use super::shard::Shard;
use crate::types::DbIndex;

/// Lags are kept up to a day, to two digits.
const LAG_MAX_MS: u64 = 86_400_000;

/// Buckets read per deletion allowed: a bucket whose earliest deadline was removed or postponed costs a look.
const VISITS_PER_KEY: usize = 2;

/// How late keys were deleted: (deletion time - deadline) in milliseconds.
pub struct ExpiryLag {
    histogram: Histogram<u64>,
}

impl Default for ExpiryLag {
    fn default() -> ExpiryLag {
        let histogram = Histogram::new_with_bounds(1, LAG_MAX_MS, 2).expect("these bounds are valid");
        ExpiryLag { histogram }
    }
}

impl ExpiryLag {
    /// Counts one deletion.
    pub fn record(&mut self, lag_ms: u64) {
        self.histogram.saturating_record(lag_ms.min(LAG_MAX_MS));
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &ExpiryLag) {
        self.histogram.add(&other.histogram).expect("all lag histograms have the same bounds");
    }

    /// Deletions counted.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The lag that this part (0..1) of the deletions did not exceed.
    pub fn quantile_ms(&self, part: f64) -> u64 {
        self.histogram.value_at_quantile(part)
    }

    pub fn max_ms(&self) -> u64 {
        self.histogram.max()
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        self.histogram.reset();
    }
}

impl Shard {
    /// Deletes keys whose deadline has passed, about `budget` of them at most, one EXPIRED effect each.
    ///
    /// True when due keys may be left. The caller drains the effects.
    pub fn expire_slice(&mut self, now_ms: u64, budget: usize) -> bool {
        self.now_ms = now_ms;
        self.expire_some(now_ms, budget).1
    }

    /// As [`Shard::expire_slice`]; also tells how many entries and buckets were worked on.
    pub(super) fn expire_some(&mut self, now_ms: u64, budget: usize) -> (usize, bool) {
        if !self.settings.active_expire {
            return (0, false);
        }
        let mut work = 0;
        let mut changed = false;
        let databases = self.dbs.len();
        // Round robin, so that a database full of due keys does not keep the next from its turn.
        let first = self.expire_db % databases;
        let mut more = false;
        for step in 0..databases {
            let index = (first + step) % databases;
            if self.dbs[index].table.next_deadline().is_none_or(|at| at > now_ms) {
                continue;
            }
            if work >= budget {
                self.expire_db = index;
                more = true;
                break;
            }
            let (done, left) = self.expire_db(index, now_ms, budget - work);
            work += done;
            changed = true;
            if left {
                self.expire_db = index + 1;
                more = true;
                break;
            }
        }
        if changed {
            self.recount();
        }
        (work, more)
    }

    fn expire_db(&mut self, index: usize, now_ms: u64, budget: usize) -> (usize, bool) {
        let Shard { dbs, effects, stats, graveyard, expiry_lag, snapshot, .. } = self;
        let Db { table, saving, .. } = &mut dbs[index];
        let mut heap_bytes = 0;
        let popped = table.pop_expired(
            now_ms,
            budget,
            budget.saturating_mul(VISITS_PER_KEY),
            &mut |entry| {
                effects.record(DbIndex(index as u16), entry.key(), Event::EXPIRED);
                expiry_lag.record(now_ms.saturating_sub(entry.expire_at_ms().unwrap_or(now_ms)));
                true
            },
            &mut |entry| snapshot.show(saving, entry),
            &mut |value| {
                heap_bytes += value.heap_bytes() as isize;
                graveyard.bury(value);
            },
        );
        table.report_heap_bytes(-heap_bytes);
        stats.expired += popped.expired as u64;
        (popped.expired.max(popped.visits / VISITS_PER_KEY), popped.more)
    }

    /// When [`Shard::expire_slice`] has something to do next; `None` when no key has a deadline.
    ///
    /// It may be early by what was deleted or postponed since, never late: the driver sleeps until then.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        if !self.settings.active_expire {
            return None;
        }
        self.dbs.iter().filter_map(|db| db.table.next_deadline()).min()
    }
}
