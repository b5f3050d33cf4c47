//! What a shard does between commands: slices of dropping, expiring, evicting and ageing, in turn.
//!
//! A shard reads no clock, so a budget in microseconds is spent by estimate: every kind of work has a price per key,
//! measured with values of a hundred bytes on one core of the development machine, generously rounded.

use super::shard::Shard;

const DROP_NS: u64 = 25;
const EXPIRE_NS: u64 = 800;
const EVICT_NS: u64 = 1_800;
const AGE_NS: u64 = 50;
const KINDS: u64 = 5;
/// How long to wait with a snapshot whose sink takes nothing now.
const SINK_WAIT_MS: u64 = 2;

impl Shard {
    /// Is there anything for [`Shard::background`] to do at the shard's present time?
    pub fn has_background(&mut self) -> bool {
        self.can_save()
            || !self.graveyard.is_empty()
            || self.account.shedding
            || self.next_background_ms().is_some_and(|at| at <= self.now_ms)
    }

    /// When [`Shard::background`] has something to do next, if nothing else happens: the driver sleeps until then.
    pub fn next_background_ms(&self) -> Option<u64> {
        let sweep = self.dbs.iter().any(|db| !db.table.is_empty()).then(|| self.aging.next_ms());
        // The sink says nothing when it takes more: it is asked again.
        let sink = self.snapshot.is_on().then_some(self.now_ms + SINK_WAIT_MS);
        self.next_expiry_ms().into_iter().chain(self.next_field_expiry_ms()).chain(sweep).chain(sink).min()
    }

    /// Works for about `budget_us` microseconds. True when there is more to do at once.
    ///
    /// Each kind of work gets its quarter of the budget first, so that none starves; what is left over goes round
    /// again. The caller drains the effects afterwards, and calls again at [`Shard::next_background_ms`].
    pub fn background(&mut self, now_ms: u64, budget_us: u64) -> bool {
        self.now_ms = now_ms;
        let mut left_ns = budget_us.max(1) * 1000;
        let mut more = self.round(now_ms, left_ns / KINDS, &mut left_ns);
        // The sweep takes no second helping: it is never urgent.
        while more && left_ns > EVICT_NS {
            let before = left_ns;
            more = self.round(now_ms, left_ns / (KINDS - 1), &mut left_ns);
            if left_ns == before {
                break;
            }
        }
        more
    }

    fn round(&mut self, now_ms: u64, each_ns: u64, left_ns: &mut u64) -> bool {
        let keys = |price_ns: u64| (each_ns / price_ns).max(1) as usize;
        let mut more = false;
        let mut spend = |ns: u64| *left_ns = left_ns.saturating_sub(ns);
        if !self.graveyard.is_empty() {
            let before = self.graveyard.pending();
            more |= self.graveyard.drop_some(keys(DROP_NS));
            spend((before - self.graveyard.pending()) as u64 * DROP_NS);
        }
        let (worked, due) = self.expire_some(now_ms, keys(EXPIRE_NS));
        spend(worked as u64 * EXPIRE_NS);
        let (fields, fields_due) = self.expire_fields(now_ms, keys(EXPIRE_NS));
        spend(fields as u64 * EXPIRE_NS);
        let (evicted, over) = self.evict_some(keys(EVICT_NS));
        spend(evicted as u64 * EVICT_NS);
        let (saved_ns, unsaved) = self.save_some(each_ns);
        spend(saved_ns);
        // Being behind with the sweep is no reason to be called again at once.
        self.age_slice(now_ms, keys(AGE_NS));
        more | due | fields_due | over | unsaved
    }
}
