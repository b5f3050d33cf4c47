//! Changes of whole databases: flushing and swapping. With the keyspace's methods, the only doors for writes.
//!
//! They yield no effect per key, as Redis notifies none; watched keys are changed directly, because which of them
//! change shows only before the change.

use super::shard::Shard;
use crate::types::{DbIndex, ShardId};

/// What FLUSHALL SYNC drops itself before it answers: some twenty thousand keys, a millisecond.
const EAGER_SLICES: usize = 10;

impl Shard {
    /// Removes all keys of a database and returns how many there were.
    ///
    /// The memory is given back in slices later (see `graveyard`); unless `lazy`, that of a small database at once.
    pub fn flush(&mut self, index: DbIndex, lazy: bool) -> usize {
        self.account_for(index.index());
        let Shard { dbs, watches, effects, hasher, .. } = self;
        let table = &dbs[index.index()].table;
        if !watches.is_empty() {
            watches.touch_where(|db, key| db == index && table.find(hasher.hash(key), key).is_some());
        }
        let removed = table.len();
        self.waits.touch_dbs(&[index]);
        self.tracking.flushed(self.id == ShardId(0));
        effects.dirty += removed as u64;
        self.bury_table_of(index);
        for _ in 0..if lazy { 0 } else { EAGER_SLICES } {
            self.graveyard.drop_slice();
        }
        removed
    }

    /// Exchanges the keys of two databases. Clients stay in the database they selected, and so do watches.
    ///
    /// Redis: a watch fails when its key is there before or after, unless it comes out of nothing already expired.
    pub fn swap_dbs(&mut self, left: DbIndex, right: DbIndex) {
        self.drop_stale_watched(left, right);
        let Ok([one, other]) = self.dbs.get_disjoint_mut([left.index(), right.index()]) else { return };
        if !self.watches.is_empty() {
            let (hasher, now_ms) = (&self.hasher, self.now_ms);
            self.watches.touch_where(|db, key| {
                let (before, after) = match db {
                    db if db == left => (&one.table, &other.table),
                    db if db == right => (&other.table, &one.table),
                    _ => return false,
                };
                let hash = hasher.hash(key);
                let live = |at: Option<u64>| at.is_none_or(|at| at > now_ms);
                before.find(hash, key).is_some()
                    || after.find(hash, key).is_some_and(|entry| live(entry.expire_at_ms()))
            });
        }
        std::mem::swap(one, other);
        self.waits.touch_dbs(&[left, right]);
        self.recount();
    }

    /// Drops what has expired of the watched keys' names in both databases, so that a stale key which takes the place
    /// of none, or of another stale one, does not fail a watch when somebody looks at it later.
    fn drop_stale_watched(&mut self, left: DbIndex, right: DbIndex) {
        for key in self.watches.keys_of(&[left, right]) {
            for db in [left, right] {
                self.keyspace(db, false).exists(&key);
            }
        }
    }
}
