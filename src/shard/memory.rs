//! The memory limit, which holds for the process while every shard evicts its own keys; and the figures for INFO.
//!
//! What counts towards `maxmemory` is what keys, values and their index need ([`Shard::used_bytes`]): not buffers of
//! clients, not garbage and spare room inside chunks of the table (fragmentation: bounded by the table), not what the
//! graveyard still holds. It falls with every removal, so eviction stops exactly when enough is gone.
//!
//! Every shard publishes its figure on the [`MemoryBoard`] and derives an **allowance** from the sum of all: how far
//! its own figure may grow before it must look again. A write then costs a comparison of two numbers of this shard, and
//! the board's lines travel between cores once per turn, or once per step of growth.
//!
//! PERF: the check of a write takes 2 ns with a limit and 0.7 ns without, publishing an unchanged figure 4 ns; SETs of new
//! 64-byte values at the limit cost 573 ns, evictions included, where those into a growing table cost 478 (CPU time of
//! a million each on a busy machine).
//!
//! INVARIANT: with `step_bytes` for the smallest grant, the process exceeds the limit by less than shards x step (about
//! half a percent), plus what one write adds, plus what other shards grow by while they may not evict.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shard::{EvictionPolicy, Shard};
use crate::types::DbIndex;
use crate::types::raw::table::{Usage, ValueRef};

/// One shard's line of the board: alone on its cache lines, since each has another writer.
#[repr(align(128))]
#[derive(Default)]
struct Lone {
    used_bytes: AtomicU64,
    /// Of these, what eviction could remove (an estimate).
    evictable_bytes: AtomicU64,
    /// Bit by bit, the first databases that hold keys.
    dbs: AtomicU64,
}

/// Bytes used by every shard's keyspace, shared by all of them.
pub struct MemoryBoard {
    shards: Vec<Lone>,
}

/// All shards together.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    pub used_bytes: u64,
    pub evictable_bytes: u64,
}

impl MemoryBoard {
    /// For this many shards.
    pub fn new(shards: usize) -> Arc<MemoryBoard> {
        Arc::new(MemoryBoard { shards: (0..shards).map(|_| Lone::default()).collect() })
    }

    fn publish(&self, shard: usize, used_bytes: u64, evictable_bytes: u64) {
        let line = &self.shards[shard];
        line.used_bytes.store(used_bytes, Ordering::Relaxed);
        line.evictable_bytes.store(evictable_bytes, Ordering::Relaxed);
    }

    /// The sums over all shards.
    pub fn totals(&self) -> Totals {
        self.shards.iter().fold(Totals::default(), |sum, line| Totals {
            used_bytes: sum.used_bytes + line.used_bytes.load(Ordering::Relaxed),
            evictable_bytes: sum.evictable_bytes + line.evictable_bytes.load(Ordering::Relaxed),
        })
    }

    /// Bytes used by all shards.
    pub fn total(&self) -> u64 {
        self.totals().used_bytes
    }

    /// How many shards the process has.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// May a shard have keys in a database? When it says no there was none at the shard's last word, and a shard
    /// speaks before anybody hears that a key was made.
    pub fn may_hold_keys(&self, shard: usize, db: DbIndex) -> bool {
        let bits = self.shards[shard].dbs.load(Ordering::Acquire);
        db.index() >= u64::BITS as usize || bits & 1 << db.index() != 0
    }

    fn parts(&self) -> u64 {
        self.shards.len().max(1) as u64
    }
}

/// Without a limit, growth by less than this is not worth telling.
const PUBLISH_STEP_BYTES: u64 = 64 << 10;
/// The parts of the limit that all shards together may grow by unseen: a 256th.
const STEPS_OF_LIMIT: u64 = 256;
const STEP_MIN_BYTES: u64 = 256;
/// After so many publications everything is summed anew.
const RECOUNT_EVERY: u32 = 64;

/// What a shard knows about its own use of memory and how far it may go.
#[derive(Default, Debug)]
pub struct Account {
    /// The database that commands used last; its figure is read live.
    current: usize,
    /// The sum of the others, as they were when left.
    others_bytes: u64,
    published_bytes: u64,
    publications: u32,
    /// The limit and policy for which `allowance_bytes` was computed.
    limit_bytes: u64,
    policy: EvictionPolicy,
    /// `used_bytes` may grow to this without asking.
    pub(super) allowance_bytes: u64,
    /// Where eviction stops when the process is over its limit.
    pub(super) target_bytes: u64,
    /// The process is over its limit and this shard has a share to shed.
    pub(super) shedding: bool,
    /// Others must evict, because this shard cannot.
    pub(super) stuck: bool,
    /// When a write last had to make room, how many keys writes have evicted at that time, and what was left in use.
    pub(super) room_made_ms: u64,
    pub(super) keys_evicted: usize,
    pub(super) room_left_bytes: u64,
}

/// What [`Shard::reckon`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reckoning {
    pub totals: Totals,
    /// By how much the process is over its limit.
    pub over_bytes: u64,
}

/// What a server takes that holds nothing, at the very least.
const EMPTY_BYTES: u64 = 1024;

impl Shard {
    /// Bytes this shard's keyspace needs, as `maxmemory` counts them. A few additions.
    #[inline]
    pub fn used_bytes(&self) -> u64 {
        self.account.others_bytes + self.used_by(self.account.current)
    }

    #[inline]
    fn used_by(&self, index: usize) -> u64 {
        self.dbs[index].table.usage().needed_bytes() as u64
    }

    /// A database is about to be used: it becomes the one whose figure is read live.
    #[inline]
    pub(super) fn account_for(&mut self, index: usize) {
        if index != self.account.current {
            self.change_account(index);
        }
    }

    #[cold]
    fn change_account(&mut self, index: usize) {
        let (left, entered) = (self.used_by(self.account.current), self.used_by(index));
        self.account.others_bytes = (self.account.others_bytes + left).saturating_sub(entered);
        self.account.current = index;
    }

    /// Sums all databases anew: after something other than a command's own database changed.
    pub fn recount(&mut self) {
        let current = self.account.current;
        let others = (0..self.dbs.len()).filter(|&index| index != current);
        self.account.others_bytes = others.map(|index| self.used_by(index)).sum();
    }

    /// Bytes that eviction could remove under the policy; an estimate when only keys with a deadline may go.
    fn evictable_bytes(&self, used_bytes: u64) -> u64 {
        if self.settings.policy == EvictionPolicy::NoEviction {
            return 0;
        }
        if self.settings.policy.is_all_keys() {
            return if self.dbs.iter().all(|db| db.table.is_empty()) { 0 } else { used_bytes };
        }
        let share = |index: usize| match (self.dbs[index].table.expires_count(), self.dbs[index].table.len())
        {
            (0, _) => 0,
            (expires, len) => {
                (u128::from(self.used_by(index)) * expires as u128).div_ceil(len as u128) as u64
            }
        };
        (0..self.dbs.len()).map(share).sum()
    }

    /// Publishes this shard's figure, reads everybody's and sets the allowance.
    pub(super) fn reckon(&mut self) -> Reckoning {
        self.account.publications = self.account.publications.wrapping_add(1);
        if self.account.publications.is_multiple_of(RECOUNT_EVERY) {
            self.recount();
        }
        let own = self.used_bytes();
        let evictable = self.evictable_bytes(own);
        self.board.publish(self.id.index(), own, evictable);
        let totals = self.board.totals();
        let limit = self.settings.maxmemory_bytes;
        let step = self.step_bytes();
        let account = &mut self.account;
        (account.published_bytes, account.limit_bytes, account.policy) = (own, limit, self.settings.policy);
        if limit == 0 {
            (account.stuck, account.shedding) = (false, false);
            return Reckoning { totals, over_bytes: 0 };
        }
        let slack = limit.saturating_sub(totals.used_bytes);
        // Redis: a server without keys takes more than this, so nothing is within such a limit.
        let over_bytes = totals.used_bytes.saturating_sub(limit).max(u64::from(limit < EMPTY_BYTES));
        if over_bytes == 0 {
            (account.stuck, account.shedding) = (false, false);
            account.allowance_bytes = own + (slack / self.board.parts()).max(step.min(slack));
            account.target_bytes = own;
        } else {
            // Each shard sheds in proportion to what it could: together exactly the excess.
            let share = u128::from(over_bytes) * u128::from(evictable);
            let share = share.div_ceil(u128::from(totals.evictable_bytes.max(1))) as u64;
            account.target_bytes = own.saturating_sub(share);
            account.allowance_bytes = if limit < EMPTY_BYTES { 0 } else { account.target_bytes };
            account.shedding = share > 0;
        }
        Reckoning { totals, over_bytes }
    }

    /// The growth that is not worth telling others: small enough that all shards together stay near the limit.
    pub(super) fn step_bytes(&self) -> u64 {
        match self.settings.maxmemory_bytes {
            0 => PUBLISH_STEP_BYTES,
            limit => {
                (limit / (STEPS_OF_LIMIT * self.board.parts())).clamp(STEP_MIN_BYTES, PUBLISH_STEP_BYTES)
            }
        }
    }

    /// Must room be made before a write? Free without a limit, a comparison with one.
    #[inline]
    pub fn over_limit(&mut self) -> bool {
        let limit = self.settings.maxmemory_bytes;
        limit != 0
            && (self.used_bytes() >= self.account.allowance_bytes
                || limit != self.account.limit_bytes
                || self.settings.policy != self.account.policy)
            && self.is_over()
    }

    #[cold]
    fn is_over(&mut self) -> bool {
        self.reckon().over_bytes > 0
    }

    /// Tells the other shards what this one uses, when that changed enough; the driver calls it once per turn.
    ///
    /// True asks the driver to wake the other shards, so that their [`Shard::background`] evicts: the process is over
    /// its limit and this shard has nothing to give.
    #[inline]
    pub fn publish_memory(&mut self) -> bool {
        if self.used_bytes().abs_diff(self.account.published_bytes) >= self.step_bytes() {
            self.reckon();
        }
        std::mem::take(&mut self.account.stuck)
    }

    /// Says which databases hold keys, for [`MemoryBoard::may_hold_keys`]. To be called before any reply leaves.
    pub fn publish_keys(&self) {
        if self.board.shards() == 1 {
            return;
        }
        let held = |bits, (index, db): (usize, &super::Db)| bits | u64::from(!db.table.is_empty()) << index;
        let bits = self.dbs.iter().enumerate().take(u64::BITS as usize).fold(0, held);
        let line = &self.board.shards[self.id.index()].dbs;
        if line.load(Ordering::Relaxed) != bits {
            line.store(bits, Ordering::Release);
        }
    }

    /// The figures of INFO and MEMORY STATS.
    pub fn memory_figures(&self) -> MemoryFigures {
        let mut figures = MemoryFigures { graveyard_bytes: self.graveyard.bytes, ..MemoryFigures::default() };
        for (index, db) in self.dbs.iter().enumerate() {
            let usage = db.table.usage();
            figures.usage.index_bytes += usage.index_bytes;
            figures.usage.arena_bytes += usage.arena_bytes;
            figures.usage.live_bytes += usage.live_bytes;
            figures.usage.key_bytes += usage.key_bytes;
            figures.usage.heap_bytes += usage.heap_bytes;
            figures.keys += db.table.len();
            figures.expires += db.table.expires_count();
            if !db.table.is_empty() {
                figures.dbs.push(DbFigures {
                    db: DbIndex(index as u16),
                    keys: db.table.len(),
                    expires: db.table.expires_count(),
                    overhead_bytes: usage.index_bytes + usage.arena_bytes - usage.live_bytes,
                });
            }
        }
        figures
    }

    /// Bytes that a key takes with its value and its share of the index (MEMORY USAGE). Counts no access.
    pub fn memory_usage_of(&mut self, db: DbIndex, key: &[u8]) -> Option<usize> {
        let mut keys = self.keyspace(db, false);
        let entry = keys.peek(key)?;
        let inline = entry.inline_bytes();
        // A key that does not fit in its entry is an allocation of its own.
        let apart = if entry.key().len() > inline { entry.key().len() } else { 0 };
        let heap = match entry.value() {
            ValueRef::Heap(value) => value.heap_bytes(),
            ValueRef::Int(_) | ValueRef::Bytes(_) | ValueRef::Packed(..) => 0,
        };
        Some(inline + apart + heap + INDEX_SHARE_BYTES)
    }
}

/// A key's place in a bucket of a table that is about four fifths full, with its share of segment and directory.
const INDEX_SHARE_BYTES: usize = 5;

/// Memory of one shard's keyspace.
#[derive(Clone, Default, Debug)]
pub struct MemoryFigures {
    /// Summed over databases.
    pub usage: Usage,
    pub keys: usize,
    pub expires: usize,
    /// Deleted, not yet given back.
    pub graveyard_bytes: usize,
    /// The databases that have keys.
    pub dbs: Vec<DbFigures>,
}

/// One database's part of MEMORY STATS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DbFigures {
    pub db: DbIndex,
    pub keys: usize,
    pub expires: usize,
    /// Index, and room and garbage in chunks.
    pub overhead_bytes: usize,
}

impl MemoryFigures {
    /// Obtained from the allocator.
    pub fn allocated_bytes(&self) -> usize {
        self.usage.total_bytes() + self.graveyard_bytes
    }

    /// As `maxmemory` counts.
    pub fn used_bytes(&self) -> usize {
        self.usage.needed_bytes()
    }

    /// Keys and values themselves.
    pub fn dataset_bytes(&self) -> usize {
        self.usage.live_bytes + self.usage.key_bytes + self.usage.heap_bytes
    }

    /// What is there because of the data without being data.
    pub fn overhead_bytes(&self) -> usize {
        self.usage.index_bytes + self.usage.arena_bytes - self.usage.live_bytes
    }

    /// Adds another shard's figures.
    pub fn add(&mut self, other: &MemoryFigures) {
        self.usage.index_bytes += other.usage.index_bytes;
        self.usage.arena_bytes += other.usage.arena_bytes;
        self.usage.live_bytes += other.usage.live_bytes;
        self.usage.key_bytes += other.usage.key_bytes;
        self.usage.heap_bytes += other.usage.heap_bytes;
        self.keys += other.keys;
        self.expires += other.expires;
        self.graveyard_bytes += other.graveyard_bytes;
        for db in &other.dbs {
            match self.dbs.iter_mut().find(|mine| mine.db == db.db) {
                Some(mine) => {
                    mine.keys += db.keys;
                    mine.expires += db.expires;
                    mine.overhead_bytes += db.overhead_bytes;
                }
                None => self.dbs.push(*db),
            }
        }
        self.dbs.sort_by_key(|db| db.db.index());
    }
}
