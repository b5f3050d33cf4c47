//! Active expiry of hash fields: like keys, they go when their deadline passes.
//!
//! A hash knows its own next deadline; here a database knows which hash is next. A hash is named by the hash of its key,
//! so that it costs two small nodes and no copy of the key.
//!
//! INVARIANT: every hash with a deadline is in its database's [`FieldDeadlines`], at its next deadline or earlier. The
//! doors for writes enter it when its next deadline appears or moves forward; what moved back or went is found out when
//! its time comes, or by the sweep of [`FieldDeadlines::enter`] before.

use std::collections::{BTreeSet, HashMap};

use super::effects::Event;
use super::keyspace::{Keyspace, ValueView};
use super::shard::Shard;
use super::subkeys::Subkeys;
use crate::types::raw::table::{Table, TakenValue};
use crate::types::{Collection, DbIndex, Hash, Kind, Value};

/// What a hash that is entered takes, with the slack of the two structures.
const ENTRY_BYTES: isize = 56;
/// How long the fields of a hash stay that is read in slices, before they are looked at again.
const READ_WAIT_MS: u64 = 10;
/// Hashes looked at for every one that is entered: what is stale never exceeds what is not for long.
const SWEPT_PER_ENTRY: usize = 2;

/// When which hash of a database loses its next field.
#[derive(Default)]
pub struct FieldDeadlines {
    /// Deadline and hash of the key.
    by_time: BTreeSet<(u64, u64)>,
    by_key: HashMap<u64, u64, ahash::RandomState>,
    /// The sweep's position.
    swept: (u64, u64),
}

impl FieldDeadlines {
    /// A time before which no field expires.
    pub fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Enters a hash at a deadline, unless it is there for an earlier one; drops a few that `is_live` does not know.
    /// Returns the change in bytes.
    fn enter(&mut self, at: u64, key_hash: u64, is_live: impl Fn(u64) -> bool) -> isize {
        let mut change = 0;
        match self.by_key.insert(key_hash, at) {
            None => change += ENTRY_BYTES,
            Some(before) if before <= at => {
                self.by_key.insert(key_hash, before);
                return 0;
            }
            Some(before) => {
                self.by_time.remove(&(before, key_hash));
            }
        }
        self.by_time.insert((at, key_hash));
        for _ in 0..SWEPT_PER_ENTRY {
            let next = self.by_time.range(self.swept..).next().or(self.by_time.first()).copied();
            let Some((at, key_hash)) = next else { break };
            self.swept = (at, key_hash.wrapping_add(1));
            if !is_live(key_hash) {
                self.by_time.remove(&(at, key_hash));
                self.by_key.remove(&key_hash);
                change -= ENTRY_BYTES;
            }
        }
        change
    }

    /// Takes the first out if its time has come.
    fn take_due(&mut self, now_ms: u64) -> Option<u64> {
        let (at, key_hash) = self.by_time.first().copied().filter(|(at, _)| *at <= now_ms)?;
        self.by_time.remove(&(at, key_hash));
        self.by_key.remove(&key_hash);
        Some(key_hash)
    }
}

/// The next deadline of a value's fields.
fn next_of(value: ValueView<'_>) -> Option<u64> {
    match value {
        ValueView::Packed(form, bytes) if form.kind() == Kind::Hash => {
            Hash::view_packed(form, bytes).next_deadline()
        }
        ValueView::Heap(Value::Hash(hash)) => hash.next_deadline(),
        _ => None,
    }
}

/// The same of one that moves.
pub(super) fn next_of_moved(value: &TakenValue<Value>) -> Option<u64> {
    next_of(match value {
        TakenValue::Packed(form, bytes) => ValueView::Packed(*form, bytes),
        TakenValue::Heap(value) => ValueView::Heap(value),
        TakenValue::Int(_) | TakenValue::Bytes(_) => return None,
    })
}

/// The keys of hashes with deadlines whose keys have this hash: one, if any, but for a miracle.
fn keys_of(table: &Table<Value>, key_hash: u64) -> Vec<Box<[u8]>> {
    let mut keys = Vec::new();
    table.for_group(key_hash, &mut |entry| {
        if table.hasher().hash(entry.key()) == key_hash && next_of(entry.value()).is_some() {
            keys.push(entry.key().into());
        }
    });
    keys
}

impl Keyspace<'_> {
    /// Sees to it that a hash's fields expire: called when its next deadline is new or earlier than it was.
    pub(super) fn fields_expire_at(&mut self, key: &[u8], at: u64) {
        let key_hash = self.hash(key);
        let table = &self.db.table;
        let change =
            self.db.field_deadlines.enter(at, key_hash, |key_hash| !keys_of(table, key_hash).is_empty());
        self.db.table.report_heap_bytes(change);
    }

    /// Removes about `budget` fields of a hash that are due, naming them; how many.
    fn expire_fields_of(&mut self, key: &[u8], budget: usize, gone: &mut dyn FnMut(&[u8])) -> usize {
        let now_ms = self.due_ms();
        if !self.graveyard.pins.is_empty() && self.is_read_in_slices(key) {
            self.fields_expire_at(key, now_ms + READ_WAIT_MS);
            return 0;
        }
        let changed = self.change::<Hash, _>(key, false, |hash, note| {
            let mut names = Subkeys::default();
            let wants_names = note.wants_subkeys();
            let (expired, more) = hash.expire_due(now_ms, budget, &mut |field| {
                gone(field);
                if wants_names {
                    names.push(field);
                }
            });
            if expired > 0 {
                note.events_of(Event::HEXPIRED, expired as u64);
                note.name(names.iter());
            }
            // A bound that was early is corrected by the look just taken.
            let next = hash.next_deadline().filter(|_| !hash.is_empty());
            let next = next.map(|at| if more { now_ms } else { at.max(now_ms + 1) });
            (expired, next)
        });
        let super::Changed::Ran((expired, next)) = changed else { return 0 };
        self.stats.expired_fields += expired as u64;
        if let Some(at) = next {
            self.fields_expire_at(key, at);
        }
        expired
    }
}

impl Keyspace<'_> {
    fn is_read_in_slices(&self, key: &[u8]) -> bool {
        match self.db.table.find(self.hash(key), key).map(|entry| entry.value()) {
            Some(ValueView::Heap(value)) => self.graveyard.pins.holds(value),
            _ => false,
        }
    }
}

impl Shard {
    /// Removes fields whose deadline has passed, about `budget` of them at most. How many hashes and fields were
    /// worked on, and whether due ones may be left. The caller drains the effects.
    pub fn expire_fields(&mut self, now_ms: u64, budget: usize) -> (usize, bool) {
        if !self.settings.active_expire {
            return (0, false);
        }
        self.now_ms = now_ms;
        let mut work = 0;
        for index in 0..self.dbs.len() {
            while self.dbs[index].field_deadlines.next().is_some_and(|at| at <= now_ms) {
                if work >= budget {
                    return (work, true);
                }
                let Some(key_hash) = self.dbs[index].field_deadlines.take_due(now_ms) else { break };
                let db = self.db_mut(DbIndex(index as u16));
                db.table.report_heap_bytes(-ENTRY_BYTES);
                work += 1;
                for key in keys_of(&db.table, key_hash) {
                    let (is_logged, mut gone) = (self.log.is_some(), Vec::new());
                    let mut name = |field: &[u8]| {
                        if is_logged {
                            gone.push(field.to_vec());
                        }
                    };
                    let db = DbIndex(index as u16);
                    let mut keys = self.keyspace(db, false);
                    work += keys.expire_fields_of(&key, budget - work.min(budget) + 1, &mut name);
                    if let Some(log) = &mut self.log {
                        log.say_expired_fields(db, &key, &gone);
                    }
                }
            }
        }
        (work, false)
    }

    /// When [`Shard::expire_fields`] has something to do next. It may be early, never late.
    pub fn next_field_expiry_ms(&self) -> Option<u64> {
        if !self.settings.active_expire {
            return None;
        }
        self.dbs.iter().filter_map(|db| db.field_deadlines.next()).min()
    }
}
