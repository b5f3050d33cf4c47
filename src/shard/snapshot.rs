//! A snapshot of a shard as it was at one moment, while it goes on changing: no fork, and no copy but of what changes.
//!
//! Beginning raises an epoch ([`Table::begin_walk`]) and so takes no time. From then on background slices show the
//! [`Sink`] one group of keys after the other, and every door for writes first shows it the key that it is about to
//! change ([`show_first`]), unless it has seen it. With no snapshot under way that is one branch.
//!
//! Databases that are swapped take their walk along and are shown under the number they had. A database that is flushed
//! is set aside until the walk is through it; FLUSHALL ends the snapshot, as in Redis.
//!
//! A big value is shown in parts, see [`Sink::entry`], so that a slice is short whatever there is. Only when somebody
//! writes to it first, what is left of it is shown in one go, before the write.

use std::sync::Arc;

use super::access::AccessClock;
use super::db::Db;
use super::keyspace::EntryView;
use super::log::Rotation;
use super::shard::Shard;
use crate::types::raw::table::Table;
use crate::types::{DbIndex, ShardId, Value};

/// What a group costs besides its entries.
const GROUP_NS: u64 = 100;

/// What a shard tells of itself when its snapshot begins.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub shard: ShardId,
    /// The databases that have keys: keys, and keys with a deadline.
    pub dbs: Vec<(DbIndex, u64, u64)>,
    /// Some hash may have fields with deadlines.
    pub field_deadlines: bool,
    /// Changes since the start.
    pub dirty: u64,
    pub clock: AccessClock,
}

/// Takes a snapshot's entries. Dropped before [`Sink::finish`], it has not had all.
pub trait Sink: Send {
    /// One entry. False when only a part of it was taken: it comes again, as it is. `ahead` is one that a write waits
    /// for: it is taken as a whole, or what is left of it, and speed is better than a small size.
    fn entry(&mut self, db: DbIndex, entry: EntryView<'_>, ahead: bool) -> bool;
    /// How long the work on entries took so far, by estimate.
    fn spent_ns(&self) -> u64;
    /// May the background go on? Writes do not ask.
    fn has_room(&mut self) -> bool;
    /// Is it wanted although everything was flushed since it began? Not as a file of its own, but as what a log follows.
    fn survives_flush(&self) -> bool {
        false
    }
    /// The snapshot is of no use any more.
    fn is_cancelled(&self) -> bool;
    /// That was all.
    fn finish(self: Box<Self>);
}

/// Gives every shard the sink for its part of one snapshot.
pub trait Source: Send + Sync {
    fn begin(&self, beginning: Beginning) -> Box<dyn Sink>;
    /// The log of what follows begins a new file here.
    fn rotation(&self) -> Option<Arc<dyn Rotation>> {
        None
    }
}

/// A walk goes through the table, which was this database's when it began.
pub struct Saving {
    pub(super) as_db: DbIndex,
}

/// The snapshot of a shard, if one is under way.
#[derive(Default)]
pub struct Snapshot {
    sink: Option<Box<dyn Sink>>,
    /// Flushed, and not yet shown.
    set_aside: Vec<(Table<Value>, Saving)>,
    /// FLUSHALL ran since somebody last looked.
    pub flushed_all: bool,
    /// How long background slices worked on snapshots so far, by estimate.
    pub spent_ns: u64,
    /// The driver wants no work on it for a while.
    pub rests: bool,
}

impl Snapshot {
    /// Is one under way?
    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Shows the sink an entry that is about to change.
    pub(super) fn show(&mut self, saving: &Option<Saving>, entry: EntryView<'_>) {
        if let (Some(sink), Some(saving)) = (&mut self.sink, saving) {
            sink.entry(saving.as_db, entry, true);
        }
    }
}

/// Before a change of a key with this hash: the snapshot sees what is there now.
#[inline]
pub(super) fn show_first(
    table: &mut Table<Value>,
    saving: &Option<Saving>,
    snapshot: &mut Snapshot,
    hash: u64,
) {
    if table.is_ahead(hash) {
        table.show(hash, &mut |entry| snapshot.show(saving, entry));
    }
}

impl Db {
    /// Empties the database; what it held is returned.
    pub(super) fn empty(&mut self) -> Db {
        let mut fresh = Db::new(self.table.hasher().clone());
        std::mem::swap(self, &mut fresh);
        fresh
    }
}

impl Shard {
    /// Begins a snapshot of this shard as it is now. One that is under way is given up.
    pub fn begin_snapshot(&mut self, source: &dyn Source) {
        self.end_snapshot();
        if let Some(rotation) = source.rotation() {
            self.log_on().rotate(rotation);
        }
        let keys = |(index, db): (usize, &Db)| {
            let table = &db.table;
            (!table.is_empty())
                .then(|| (DbIndex(index as u16), table.len() as u64, table.expires_count() as u64))
        };
        let sink = source.begin(Beginning {
            shard: self.id,
            dbs: self.dbs.iter().enumerate().filter_map(keys).collect(),
            field_deadlines: self.dbs.iter().any(|db| !db.field_deadlines.is_empty()),
            dirty: self.effects.dirty,
            clock: self.access_clock(),
        });
        self.snapshot.sink = Some(sink);
        for (index, db) in self.dbs.iter_mut().enumerate() {
            if !db.table.is_empty() {
                db.table.begin_walk();
                db.saving = Some(Saving { as_db: DbIndex(index as u16) });
            }
        }
    }

    /// Gives up the snapshot under way, if there is one.
    pub fn end_snapshot(&mut self) {
        if self.snapshot.sink.take().is_none() {
            return;
        }
        for db in &mut self.dbs {
            db.table.end_walk();
            db.saving = None;
        }
        for (mut table, _) in self.snapshot.set_aside.drain(..) {
            self.graveyard.bury_table(table.take());
        }
    }

    /// Everything is about to be flushed. Redis: a snapshot of what is gone is of no use.
    pub fn end_snapshot_for_flush(&mut self) {
        if self.snapshot.sink.as_ref().is_some_and(|sink| !sink.survives_flush()) {
            self.end_snapshot();
        }
    }

    /// Is there something to show, and does the sink take it?
    pub(super) fn can_save(&mut self) -> bool {
        let rests = self.snapshot.rests;
        self.snapshot.sink.as_mut().is_some_and(|sink| sink.is_cancelled() || !rests && sink.has_room())
    }

    /// Empties a database's table into the graveyard, after the snapshot has seen it: at once, or set aside for it.
    pub(super) fn bury_table_of(&mut self, index: DbIndex) {
        let old = self.dbs[index.index()].empty();
        match old.saving {
            None => {
                let mut table = old.table;
                self.graveyard.bury_table(table.take());
            }
            Some(saving) => self.snapshot.set_aside.push((old.table, saving)),
        }
    }

    /// Shows the snapshot's sink entries for about `budget_ns`. What that took, and whether there is more to do at once.
    pub(super) fn save_some(&mut self, budget_ns: u64) -> (u64, bool) {
        if !self.can_save() {
            return (0, false);
        }
        let (spent_ns, more) = self.save_for(budget_ns);
        self.snapshot.spent_ns += spent_ns;
        (spent_ns, more)
    }

    fn save_for(&mut self, budget_ns: u64) -> (u64, bool) {
        let mut spent_ns = 0;
        while spent_ns < budget_ns {
            let Some(sink) = &mut self.snapshot.sink else { return (spent_ns, false) };
            if sink.is_cancelled() {
                self.end_snapshot();
                return (spent_ns, false);
            }
            if !sink.has_room() {
                return (spent_ns, false);
            }
            let before = sink.spent_ns();
            let mut through = false;
            if let Some((table, saving)) = self.snapshot.set_aside.last_mut() {
                let as_db = saving.as_db;
                through = !table.walk_on(&mut Value::prefetch, &mut |entry| sink.entry(as_db, entry, false));
                if through && let Some((mut table, _)) = self.snapshot.set_aside.pop() {
                    self.graveyard.bury_table(table.take());
                }
            } else if let Some(db) = self.dbs.iter_mut().find(|db| db.saving.is_some()) {
                let Db { table, saving, .. } = db;
                if let Some(now) = saving {
                    let as_db = now.as_db;
                    through =
                        !table.walk_on(&mut Value::prefetch, &mut |entry| sink.entry(as_db, entry, false));
                }
                if through {
                    *saving = None;
                }
            } else if let Some(sink) = self.snapshot.sink.take() {
                sink.finish();
                return (spent_ns, false);
            }
            spent_ns += GROUP_NS + self.snapshot.sink.as_ref().map_or(0, |sink| sink.spent_ns() - before);
        }
        (spent_ns, true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::shard::memory::MemoryBoard;
    use crate::shard::{Event, NewValue};
    use crate::types::raw::table::{Hasher, Ttl, ValueRef};

    type Seen = BTreeMap<(u16, Vec<u8>), i64>;

    #[derive(Clone, Default)]
    struct Record {
        seen: Arc<Mutex<Seen>>,
        finished: Arc<Mutex<bool>>,
        /// Entries that a write waited for.
        ahead: Arc<Mutex<u64>>,
    }

    impl Sink for Record {
        fn entry(&mut self, db: DbIndex, entry: EntryView<'_>, ahead: bool) -> bool {
            *self.ahead.lock().unwrap() += u64::from(ahead);
            let ValueRef::Int(value) = entry.value() else { panic!("integers only") };
            let before = self.seen.lock().unwrap().insert((db.0, entry.key().to_vec()), value);
            assert_eq!(before, None, "every key is shown once");
            true
        }
        fn spent_ns(&self) -> u64 {
            self.seen.lock().unwrap().len() as u64 * 100
        }
        fn has_room(&mut self) -> bool {
            true
        }
        fn is_cancelled(&self) -> bool {
            false
        }
        fn finish(self: Box<Self>) {
            *self.finished.lock().unwrap() = true;
        }
    }

    impl Source for Record {
        fn begin(&self, _: Beginning) -> Box<dyn Sink> {
            Box::new(self.clone())
        }
    }

    fn shard(seed: u64) -> Shard {
        Shard::new(ShardId(0), 4, Hasher::from_seed(seed), seed, MemoryBoard::new(1))
    }

    fn content(shard: &Shard) -> Seen {
        let mut all = Seen::new();
        for (index, db) in shard.dbs.iter().enumerate() {
            for entry in db.table.iter() {
                let ValueRef::Int(value) = entry.value() else { panic!("integers only") };
                all.insert((index as u16, entry.key().to_vec()), value);
            }
        }
        all
    }

    /// One random change through one of the doors.
    fn change(shard: &mut Shard, rng: &mut fastrand::Rng, number: i64) {
        let db = DbIndex(rng.u16(..4));
        let key = format!("key:{}", rng.u32(..6000)).into_bytes();
        match rng.u32(..1000) {
            0 => shard.swap_dbs(db, DbIndex(rng.u16(..4))),
            1 => drop(shard.flush(db, true)),
            2..=99 => {
                shard.now_ms += 1;
                let now_ms = shard.now_ms;
                shard.expire_slice(now_ms, 10);
            }
            100..=299 => drop(shard.keyspace(db, true).remove(&key, Event::DEL)),
            300..=399 => {
                if let Some(moved) = shard.keyspace(db, true).take(&key, Event::RENAME_FROM) {
                    shard.keyspace(DbIndex(rng.u16(..4)), true).put(&key, moved, Event::RENAME_TO);
                }
            }
            400..=499 => {
                shard.keyspace(db, true).edit_with(&key, |edit| {
                    edit.set(NewValue::Int(number));
                    edit.commit(Event::SET);
                });
            }
            500..=599 => {
                let at = shard.now_ms + rng.u64(1..200);
                shard.keyspace(db, true).set(&key, NewValue::Int(number), Ttl::Set(at), Event::SET);
            }
            600..=699 => drop(shard.keyspace(db, true).read(&key).is_some()),
            _ => drop(shard.keyspace(db, true).set(&key, NewValue::Int(number), Ttl::Clear, Event::SET)),
        }
    }

    #[test]
    fn a_snapshot_is_the_state_at_its_begin_whatever_happens_meanwhile() {
        for seed in 0..12 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut shard = shard(seed);
            shard.now_ms = 1_000_000;
            for number in 0..20_000 {
                change(&mut shard, &mut rng, number);
            }
            let record = Record::default();
            let before = content(&shard);
            shard.begin_snapshot(&record);
            for number in 0..60_000 {
                change(&mut shard, &mut rng, -number);
                if rng.u32(..20) == 0 {
                    shard.save_some(2000);
                }
            }
            while shard.save_some(1_000_000).1 {}
            assert!(*record.finished.lock().unwrap());
            assert_eq!(*record.seen.lock().unwrap(), before, "seed {seed}");
            shard.dbs.iter().for_each(|db| db.table.verify());
        }
    }

    #[test]
    fn a_write_waits_for_its_own_key_alone() {
        let mut shard = shard(3);
        for number in 0..20_000 {
            let key = format!("key:{number}").into_bytes();
            shard.keyspace(DbIndex(0), true).set(&key, NewValue::Int(number), Ttl::Clear, Event::SET);
        }
        let record = Record::default();
        shard.begin_snapshot(&record);
        for number in 0..300 {
            let key = format!("key:{}", number % 100).into_bytes();
            shard.keyspace(DbIndex(0), true).set(&key, NewValue::Int(-1), Ttl::Clear, Event::SET);
        }
        assert_eq!(*record.ahead.lock().unwrap(), 100);
        while shard.save_some(1_000_000).1 {}
        assert_eq!(record.seen.lock().unwrap().len(), 20_000);
    }

    #[test]
    fn a_slice_ends_when_its_time_is_spent() {
        let mut shard = shard(4);
        for number in 0..50_000 {
            let key = format!("key:{number}").into_bytes();
            shard.keyspace(DbIndex(0), true).set(&key, NewValue::Int(number), Ttl::Clear, Event::SET);
        }
        let record = Record::default();
        shard.begin_snapshot(&record);
        loop {
            let before = record.seen.lock().unwrap().len() as u64;
            let (spent_ns, more) = shard.save_some(20_000);
            // At most one group more than there was time for.
            assert!(spent_ns <= 20_000 + GROUP_NS + 160 * 100, "{spent_ns}");
            assert!(record.seen.lock().unwrap().len() as u64 - before <= spent_ns / 100);
            if !more {
                break;
            }
        }
        assert_eq!(record.seen.lock().unwrap().len(), 50_000);
    }

    #[test]
    fn a_snapshot_that_rests_gets_no_slice_but_sees_what_changes() {
        let mut shard = shard(5);
        for number in 0..100 {
            let key = format!("key:{number}").into_bytes();
            shard.keyspace(DbIndex(0), true).set(&key, NewValue::Int(number), Ttl::Clear, Event::SET);
        }
        let record = Record::default();
        shard.begin_snapshot(&record);
        shard.snapshot.rests = true;
        assert_eq!(shard.save_some(1_000_000), (0, false));
        shard.keyspace(DbIndex(0), true).set(b"key:7", NewValue::Int(-1), Ttl::Clear, Event::SET);
        assert_eq!(*record.seen.lock().unwrap(), Seen::from([((0, b"key:7".to_vec()), 7)]));
        shard.snapshot.rests = false;
        while shard.save_some(1_000_000).1 {}
        assert_eq!(record.seen.lock().unwrap().len(), 100);
        assert!(shard.snapshot.spent_ns >= 99 * 100);
    }

    #[test]
    fn flushing_everything_gives_the_snapshot_up() {
        let mut shard = shard(1);
        shard.keyspace(DbIndex(0), true).set(b"k", NewValue::Int(1), Ttl::Clear, Event::SET);
        let record = Record::default();
        shard.begin_snapshot(&record);
        shard.flush(DbIndex(0), true);
        shard.end_snapshot();
        assert!(!shard.save_some(1_000_000).1);
        assert!(!*record.finished.lock().unwrap());
        assert!(!shard.snapshot.is_on());
    }
}
