//! The shard itself: databases, and what all of them share.

use std::sync::Arc;

use super::access::{AccessClock, Counting};
use super::aging::Aging;
use super::db::Db;
use super::effects::Effects;
use super::evict::Pool;
use super::expire::ExpiryLag;
use super::graveyard::Graveyard;
use super::keyspace::{Keyspace, kind_of};
use super::log::Log;
use super::memory::{Account, MemoryBoard};
use super::notices::{NoticeWants, Notices};
use super::snapshot::Snapshot;
use super::stats::KeyStats;
use super::tracking::{Reader, Tracking};
use super::waits::{WaiterId, Waits};
use super::watch::Watches;
use crate::types::raw::table::Hasher;
use crate::types::{DbIndex, Encodings, Kind, ShardId};

/// `maxmemory-policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EvictionPolicy {
    #[default]
    NoEviction,
    AllKeysLru,
    AllKeysLfu,
    AllKeysLrm,
    AllKeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileLrm,
    VolatileRandom,
    VolatileTtl,
}

impl EvictionPolicy {
    /// May keys without a deadline be evicted? False for no eviction at all.
    pub const fn is_all_keys(self) -> bool {
        use EvictionPolicy::*;
        matches!(self, AllKeysLru | AllKeysLfu | AllKeysLrm | AllKeysRandom)
    }

    /// Is access counted by frequency? (OBJECT FREQ works only then, OBJECT IDLETIME only otherwise.)
    pub const fn is_lfu(self) -> bool {
        matches!(self, EvictionPolicy::AllKeysLfu | EvictionPolicy::VolatileLfu)
    }
}

/// What the configuration says to a shard.
#[derive(Clone, Debug)]
pub struct Settings {
    /// 0: no limit.
    pub maxmemory_bytes: u64,
    pub policy: EvictionPolicy,
    pub samples: usize,
    pub lfu_log_factor: u32,
    pub lfu_decay_minutes: u32,
    pub max_bulk_bytes: usize,
    /// Commands that would touch more elements than this go on in slices.
    pub slices_above: usize,
    /// Expire keys without being asked (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: bool,
    /// Take payloads of RESTORE whose checksum is wrong (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skip_checksums: bool,
    /// CLIENT PAUSE: expired keys are not seen, and stay.
    pub stands_still: bool,
    /// A log is replayed: nothing has expired.
    pub replaying: bool,
    pub lazy_user_flush: bool,
    pub encodings: Encodings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            maxmemory_bytes: 0,
            policy: EvictionPolicy::NoEviction,
            samples: 5,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            max_bulk_bytes: 512 << 20,
            slices_above: super::pins::SLICES_ABOVE,
            active_expire: true,
            skip_checksums: false,
            stands_still: false,
            replaying: false,
            lazy_user_flush: false,
            encodings: Encodings::default(),
        }
    }
}

/// One core's part of the keyspace.
pub struct Shard {
    pub id: ShardId,
    /// The time of the command or slice that runs, milliseconds since the epoch.
    pub now_ms: u64,
    pub dbs: Vec<Db>,
    pub settings: Settings,
    pub effects: Effects,
    pub watches: Watches,
    pub waits: Waits,
    pub notices: Notices,
    pub tracking: Tracking,
    /// What is to be repeated after a crash, if anything is.
    pub log: Option<Box<Log>>,
    /// Chunks that earlier logs gave away: numbers are never used again.
    pub(super) log_chunks: u64,
    pub graveyard: Graveyard,
    pub snapshot: Snapshot,
    pub stats: KeyStats,
    /// How late active expiry was.
    pub expiry_lag: ExpiryLag,
    /// The database whose turn it is to expire.
    pub(super) expire_db: usize,
    pub(super) pool: Pool,
    pub(super) aging: Aging,
    pub(super) account: Account,
    pub rng: fastrand::Rng,
    pub hasher: Hasher,
    pub board: Arc<MemoryBoard>,
}

impl Shard {
    /// An empty shard. `seed` makes its random choices repeatable.
    pub fn new(id: ShardId, databases: usize, hasher: Hasher, seed: u64, board: Arc<MemoryBoard>) -> Shard {
        let mut shard = Shard {
            id,
            now_ms: 0,
            dbs: (0..databases).map(|_| Db::new(hasher.clone())).collect(),
            settings: Settings::default(),
            effects: Effects::default(),
            watches: Watches::default(),
            waits: Waits::default(),
            notices: Notices::default(),
            tracking: Tracking::default(),
            log: None,
            log_chunks: 0,
            graveyard: Graveyard::default(),
            snapshot: Snapshot::default(),
            stats: KeyStats::default(),
            expiry_lag: ExpiryLag::default(),
            expire_db: 0,
            pool: Pool::default(),
            aging: Aging::default(),
            account: Account::default(),
            rng: fastrand::Rng::with_seed(seed),
            hasher,
            board,
        };
        shard.recount();
        shard
    }

    /// How access is counted now.
    #[inline]
    pub fn access_clock(&self) -> AccessClock {
        let counting = match self.settings.policy {
            EvictionPolicy::AllKeysLfu | EvictionPolicy::VolatileLfu => Counting::Lfu {
                log_factor: self.settings.lfu_log_factor,
                decay_minutes: self.settings.lfu_decay_minutes,
            },
            EvictionPolicy::AllKeysLrm | EvictionPolicy::VolatileLrm => Counting::Lrm,
            _ => Counting::Lru,
        };
        AccessClock { counting, now_ms: self.now_ms, due_ms: self.due_ms() }
    }

    /// Deadlines up to here have passed. While a log is replayed none has: it deletes by name what had expired.
    #[inline]
    pub fn due_ms(&self) -> u64 {
        if self.settings.replaying { 0 } else { self.now_ms }
    }

    /// The keys of a database, for a command.
    #[inline]
    pub fn keyspace(&mut self, index: DbIndex, touch: bool) -> Keyspace<'_> {
        self.account_for(index.index());
        let clock = self.access_clock();
        Keyspace {
            db: &mut self.dbs[index.index()],
            index,
            effects: &mut self.effects,
            stats: &mut self.stats,
            graveyard: &mut self.graveyard,
            snapshot: &mut self.snapshot,
            rng: &mut self.rng,
            clock,
            touch,
            stands_still: self.settings.stands_still,
        }
    }

    /// A database.
    pub fn db_mut(&mut self, index: DbIndex) -> &mut Db {
        self.account_for(index.index());
        &mut self.dbs[index.index()]
    }

    /// A waiter lines up at a key.
    pub fn wait(&mut self, db: DbIndex, key: &[u8], waiter: WaiterId) {
        if self.waits.is_empty() {
            self.effects.follow();
        }
        self.waits.add(db, key, waiter);
    }

    /// The counterpart of [`Shard::wait`].
    pub fn end_wait(&mut self, db: DbIndex, key: &[u8], waiter: WaiterId) {
        if self.waits.is_empty() {
            return;
        }
        self.waits.remove(db, key, waiter);
        if self.waits.is_empty() {
            self.effects.unfollow();
        }
    }

    /// What a key holds. Counts no access.
    pub fn kind_of(&mut self, db: DbIndex, key: &[u8]) -> Option<Kind> {
        let mut keys = self.keyspace(db, false);
        let entry = keys.peek(key)?;
        Some(kind_of(entry.value()))
    }

    /// Is anything to be published or told?
    #[inline]
    pub fn has_news(&self) -> bool {
        self.notices.has_pending() | self.tracking.has_pending()
    }

    /// Begins or ends following the effects for keyspace notifications.
    pub fn notice(&mut self, wants: NoticeWants) {
        match (self.notices.wants.any(), wants.any()) {
            (false, true) => self.effects.follow(),
            (true, false) => self.effects.unfollow(),
            _ => {}
        }
        self.notices.wants = wants;
        self.effects.wants = wants.rare();
    }

    /// A client has read a key, and is to be told when it changes.
    pub fn track(&mut self, key: &[u8], reader: Reader) {
        self.tracking.remember(key, reader);
        self.follow_for_tracking();
    }

    /// Begins or ends following the effects for those who cache: to be called after whatever may have changed
    /// whether there is any.
    pub fn follow_for_tracking(&mut self) {
        let follows = !self.tracking.is_idle();
        if follows != self.tracking.follows {
            self.tracking.follows = follows;
            if follows { self.effects.follow() } else { self.effects.unfollow() }
        }
    }

    /// Begins or ends following the effects for watched keys.
    pub fn watch(&mut self, db: DbIndex, key: &[u8]) -> u64 {
        if self.watches.is_empty() {
            self.effects.follow();
        }
        self.watches.watch(db, key)
    }

    /// The counterpart of [`Shard::watch`].
    pub fn unwatch(&mut self, db: DbIndex, key: &[u8]) {
        if self.watches.is_empty() {
            return;
        }
        self.watches.unwatch(db, key);
        if self.watches.is_empty() {
            self.effects.unfollow();
        }
    }
}
