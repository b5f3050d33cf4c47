//! Eviction: keeping the process under `maxmemory` (what counts, and who sheds how much, stands in `memory`).
//!
//! LRU, LRM and LFU are approximated as in Redis: `maxmemory-samples` random keys per eviction compete for a small pool
//! of candidates that lives on between evictions, and the best of the pool goes. A candidate that was used since it
//! entered the pool is passed over. volatile-ttl needs no sampling: the table knows the next deadline.
//!
//! Every shard evicts its own keys only. Keys are spread by hash, so the worst of each shard are, together, about the
//! worst of all.
//!
//! INVARIANT: volatile policies remove only keys that have a deadline; each removal is one effect, EVICTED, or EXPIRED
//! when the key's time had come anyway.

use super::access::AccessClock;
use super::db::Db;
use super::effects::Event;
use super::keyspace::EntryView;
use super::shard::{EvictionPolicy, Shard};
use crate::types::DbIndex;

/// Candidates kept between evictions.
const POOL_SIZE: usize = 16;
/// Rounds of sampling for one victim before giving up; one is the rule.
const ROUNDS_MAX: usize = 16;
/// Keys evicted by one write at most; the background does the rest.
const KEYS_PER_WRITE: usize = 64;
/// Keys evicted by all writes of a millisecond, before each evicts only [`KEYS_AT_LEAST`].
///
/// PERF: a key costs 4.5 us when there are millions, whose memory is in no cache: an eviction storm stalled others for 6
/// to 8 ms when one write might evict a thousand of them.
const KEYS_PER_MS: usize = 96;
const KEYS_AT_LEAST: usize = 2;
/// When the process is more than a hundredth over its limit, writes evict twice what they add; no more than this.
const KEYS_PER_WRITE_PRESSED: usize = 1024;
/// More than this part of the limit waiting in the graveyard makes a write drop some of it.
const GRAVEYARD_PART: u64 = 64;
/// How far over the limit writes may go while other shards evict for one that has nothing to give.
const PATIENCE_PART: u64 = 32;
const PATIENCE_BYTES: u64 = 1 << 20;
/// Keys longer than this do not keep their buffer in the pool.
const KEY_BUFFER_BYTES: usize = 1024;

struct Candidate {
    /// Higher is better to evict.
    score: u64,
    db: DbIndex,
    key: Vec<u8>,
}

/// The best candidates for eviction seen so far, best last.
#[derive(Default)]
pub struct Pool {
    candidates: Vec<Candidate>,
    /// Key buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Scores of one policy mean nothing under another.
    policy: EvictionPolicy,
}

impl Pool {
    fn offer(&mut self, score: u64, db: DbIndex, key: &[u8]) {
        if self.candidates.len() == POOL_SIZE {
            if self.candidates[0].score >= score {
                return;
            }
            let worst = self.candidates.remove(0);
            self.recycle(worst.key);
        }
        let at = self.candidates.partition_point(|candidate| candidate.score < score);
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(key);
        self.candidates.insert(at, Candidate { score, db, key: buffer });
    }

    fn recycle(&mut self, mut key: Vec<u8>) {
        if key.capacity() <= KEY_BUFFER_BYTES && self.spare.len() < POOL_SIZE {
            key.clear();
            self.spare.push(key);
        }
    }

    fn worth_of_next(&self) -> u64 {
        self.candidates.last().map_or(0, |candidate| candidate.score)
    }
}

/// How good it would be to evict this entry. Scores do not change while a key is left alone, but for LFU's decay.
fn score(policy: EvictionPolicy, clock: AccessClock, entry: &EntryView<'_>) -> u64 {
    use EvictionPolicy::*;
    match policy {
        AllKeysLfu | VolatileLfu => {
            let access = entry.access();
            let rarity = u64::from(u8::MAX - clock.frequency(access));
            // Among equally rare keys, the one not used for longer.
            rarity << 8 | u64::from(clock.minutes_since_decay(access))
        }
        _ => u64::MAX - (clock.now_ms / 1000).saturating_sub(clock.idle_seconds(entry.access())),
    }
}

impl Shard {
    /// Evicts until the process is under its limit again, or as much as one write may wait for.
    ///
    /// False when the write should be refused: nothing can be evicted anywhere, or other shards do not catch up.
    #[cold]
    pub fn make_room(&mut self) -> bool {
        let before = self.reckon();
        if before.over_bytes == 0 {
            return true;
        }
        if self.settings.policy == EvictionPolicy::NoEviction {
            return false;
        }
        let limit = self.settings.maxmemory_bytes;
        if self.graveyard.bytes as u64 > limit / GRAVEYARD_PART {
            self.graveyard.drop_slice();
        }
        if self.account.room_made_ms != self.now_ms {
            (self.account.room_made_ms, self.account.keys_evicted) = (self.now_ms, 0);
        }
        let left = KEYS_PER_MS.saturating_sub(self.account.keys_evicted);
        let used = self.used_bytes();
        // A step below the target, so that the writes that follow need not evict one by one.
        let goal = self.account.target_bytes.saturating_sub(self.step_bytes());
        let mut evicted = self.evict_down_to(goal, KEYS_PER_WRITE.min(left).max(KEYS_AT_LEAST));
        if before.over_bytes > limit / 100 {
            let added = used.saturating_sub(self.account.room_left_bytes);
            let goal = used.saturating_sub(2 * added).max(goal);
            evicted += self.evict_down_to(goal, KEYS_PER_WRITE_PRESSED);
        }
        self.account.keys_evicted += evicted;
        self.account.room_left_bytes = self.used_bytes();
        let after = self.reckon();
        if after.over_bytes == 0 || evicted > 0 {
            return true;
        }
        if after.totals.evictable_bytes == 0 {
            return false;
        }
        self.account.stuck = true;
        after.over_bytes <= limit / PATIENCE_PART + PATIENCE_BYTES
    }

    /// Evicts this shard's share of what the process is over its limit, at most `max_keys`. True when more remains.
    ///
    /// The caller drains the effects.
    pub fn evict_slice(&mut self, now_ms: u64, max_keys: usize) -> bool {
        self.now_ms = now_ms;
        self.evict_some(max_keys).1
    }

    /// As [`Shard::evict_slice`]; also tells how many keys went.
    pub(super) fn evict_some(&mut self, max_keys: usize) -> (usize, bool) {
        if self.settings.maxmemory_bytes == 0
            || self.settings.policy == EvictionPolicy::NoEviction
            || self.reckon().over_bytes == 0
        {
            return (0, false);
        }
        let goal = self.account.target_bytes;
        let evicted = self.evict_down_to(goal, max_keys);
        self.reckon();
        // What others are slow to shed comes back as a smaller and smaller share.
        self.account.shedding &= evicted > 0;
        (evicted, self.account.shedding)
    }

    /// Evicts until this shard's figure is not above `goal_bytes`, `max_keys` are gone or there is nothing to evict.
    fn evict_down_to(&mut self, goal_bytes: u64, max_keys: usize) -> usize {
        let mut evicted = 0;
        while evicted < max_keys && self.used_bytes() > goal_bytes {
            match self.evict_next() {
                0 => break,
                gone => evicted += gone,
            }
        }
        evicted
    }

    /// Evicts the next key (volatile-ttl: or a few that share bucket and deadline). 0 when there is none.
    fn evict_next(&mut self) -> usize {
        match self.settings.policy {
            EvictionPolicy::NoEviction => 0,
            EvictionPolicy::VolatileTtl => self.evict_nearest(),
            _ => self.evict_victim(),
        }
    }

    fn evict_victim(&mut self) -> usize {
        let victim = match self.settings.policy {
            EvictionPolicy::AllKeysRandom | EvictionPolicy::VolatileRandom => self.random_victim(),
            _ => self.best_victim(),
        };
        let Some((db, key)) = victim else {
            // Sampling may miss the last few keys of an almost empty table.
            return if self.settings.policy.is_all_keys() { 0 } else { self.evict_nearest() };
        };
        let before = self.dbs[db.index()].table.len();
        let evicted = self.keyspace(db, false).remove(&key, Event::EVICTED);
        self.stats.evicted += u64::from(evicted);
        self.pool.recycle(key);
        before - self.dbs[db.index()].table.len()
    }

    /// How many keys of a database the policy lets go.
    fn evictable_keys(&self, index: usize) -> usize {
        let table = &self.dbs[index].table;
        if self.settings.policy.is_all_keys() { table.len() } else { table.expires_count() }
    }

    fn random_victim(&mut self) -> Option<(DbIndex, Vec<u8>)> {
        let total: usize = (0..self.dbs.len()).map(|index| self.evictable_keys(index)).sum();
        if total == 0 {
            return None;
        }
        let mut order = self.rng.usize(..total);
        let index = (0..self.dbs.len())
            .find(|&index| {
                let keys = self.evictable_keys(index);
                let here = order < keys;
                order -= if here { 0 } else { keys };
                here
            })
            .expect("the order number is below the sum");
        let volatile = !self.settings.policy.is_all_keys();
        let mut key = self.pool.spare.pop().unwrap_or_default();
        let Shard { dbs, rng, .. } = self;
        let table = &dbs[index].table;
        let mut random = || rng.u64(..);
        for _ in 0..ROUNDS_MAX {
            if table.sample(&mut random, 1, volatile, &mut |entry| key.extend_from_slice(entry.key())) > 0 {
                return Some((DbIndex(index as u16), key));
            }
        }
        if volatile {
            return None;
        }
        key.extend_from_slice(table.random_entry(&mut random)?.key());
        Some((DbIndex(index as u16), key))
    }

    fn best_victim(&mut self) -> Option<(DbIndex, Vec<u8>)> {
        let policy = self.settings.policy;
        let clock = self.access_clock();
        if self.pool.policy != policy {
            self.pool.candidates.clear();
            self.pool.policy = policy;
        }
        for _ in 0..ROUNDS_MAX {
            if !self.sample_candidates(policy, clock) {
                return None;
            }
            while let Some(best) = self.pool.candidates.pop() {
                let table = &self.dbs[best.db.index()].table;
                let now = table
                    .find(table.hasher().hash(&best.key), &best.key)
                    .filter(|entry| policy.is_all_keys() || entry.expire_at_ms().is_some())
                    .map(|entry| score(policy, clock, &entry));
                // Gone, persistent or used since; or still the best.
                if now.is_some_and(|now| now >= best.score || now >= self.pool.worth_of_next()) {
                    return Some((best.db, best.key));
                }
                self.pool.recycle(best.key);
            }
        }
        None
    }

    /// Offers random keys of every database to the pool. False when no key may be evicted.
    fn sample_candidates(&mut self, policy: EvictionPolicy, clock: AccessClock) -> bool {
        let volatile = !policy.is_all_keys();
        let samples = self.settings.samples.max(1);
        let Shard { dbs, rng, pool, .. } = self;
        let mut any = false;
        for (index, db) in dbs.iter().enumerate() {
            let keys = if volatile { db.table.expires_count() } else { db.table.len() };
            if keys == 0 {
                continue;
            }
            any = true;
            let mut random = || rng.u64(..);
            let mut offer = |entry: EntryView<'_>| {
                pool.offer(score(policy, clock, &entry), DbIndex(index as u16), entry.key());
            };
            let seen = db.table.sample(&mut random, samples, volatile, &mut offer);
            if seen == 0
                && !volatile
                && let Some(entry) = db.table.random_entry(&mut random)
            {
                offer(entry);
            }
        }
        any
    }

    /// Evicts the key with the nearest deadline.
    fn evict_nearest(&mut self) -> usize {
        // A bound that turns out early costs a round.
        for _ in 0..64 * ROUNDS_MAX {
            let nearest = self.dbs.iter().enumerate();
            let nearest = nearest.filter_map(|(index, db)| Some((db.table.next_deadline()?, index))).min();
            let Some((deadline, index)) = nearest else { return 0 };
            self.account_for(index);
            let due = deadline <= self.now_ms;
            let event = if due { Event::EXPIRED } else { Event::EVICTED };
            let Shard { dbs, effects, graveyard, snapshot, .. } = self;
            let Db { table, saving, .. } = &mut dbs[index];
            let mut heap_bytes = 0;
            let popped = table.pop_expired(
                deadline,
                1,
                1,
                &mut |entry| {
                    effects.record(DbIndex(index as u16), entry.key(), event);
                    true
                },
                &mut |entry| snapshot.show(saving, entry),
                &mut |value| {
                    heap_bytes += value.heap_bytes() as isize;
                    graveyard.bury(value);
                },
            );
            table.report_heap_bytes(-heap_bytes);
            let counter = if due { &mut self.stats.expired } else { &mut self.stats.evicted };
            *counter += popped.expired as u64;
            if popped.expired > 0 {
                return popped.expired;
            }
        }
        0
    }
}
