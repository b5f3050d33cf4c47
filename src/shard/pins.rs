//! Big values that are read or changed in slices: kept until that is done.
//!
//! Intents keep commands from such a value (`tx/queue.rs`), but keys also go without a command: they expire, and are
//! evicted. Then the key is gone for everybody at once, and the value stays here, out of the keyspace, until it is
//! unpinned; then it goes the way of all that is dropped. What changes values in place without a command (the expiry of
//! a hash's fields) asks [`Pins::holds`] and leaves a pinned one alone.

use super::db::Db;
use super::graveyard::Graveyard;
use super::shard::Shard;
use super::snapshot::show_first;
use crate::types::raw::table::{Probed, ValueRef};
use crate::types::{DbIndex, Value};

/// A command that touches more elements than this runs in slices: so many take less than a millisecond.
pub const SLICES_ABOVE: usize = 8192;

/// A value that somebody reads, or changes, in slices.
#[derive(PartialEq, Eq, Debug)]
pub struct Pin {
    db: DbIndex,
    key: Box<[u8]>,
    address: usize,
}

struct Pinned {
    address: usize,
    readers: usize,
    /// The value, once its key is gone.
    kept: Option<Value>,
    /// Gone with its whole table.
    is_lost: bool,
}

/// The pinned values of a shard. Few: as many as commands run in slices.
#[derive(Default)]
pub struct Pins(Vec<Pinned>);

impl Pins {
    /// True when nothing is pinned. The one test of the common case.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is this value pinned?
    pub fn holds(&self, value: &Value) -> bool {
        let address = value.address();
        self.0.iter().any(|pinned| pinned.address == address && !pinned.is_lost)
    }

    /// Keeps a value that is about to be dropped, if it is pinned; gives it back otherwise.
    pub(super) fn keep(&mut self, value: Value) -> Option<Value> {
        let address = value.address();
        match self.0.iter_mut().find(|pinned| pinned.address == address && !pinned.is_lost) {
            Some(pinned) => {
                pinned.kept = Some(value);
                None
            }
            None => Some(value),
        }
    }

    /// A whole table goes, with whatever of it is pinned.
    pub(super) fn lose_all(&mut self) {
        self.0.iter_mut().filter(|pinned| pinned.kept.is_none()).for_each(|pinned| pinned.is_lost = true);
    }

    fn at(&self, pin: &Pin) -> Option<&Pinned> {
        self.0.iter().find(|pinned| pinned.address == pin.address)
    }

    fn at_mut(&mut self, pin: &Pin) -> Option<&mut Pinned> {
        self.0.iter_mut().find(|pinned| pinned.address == pin.address)
    }

    fn add(&mut self, address: usize) {
        match self.0.iter_mut().find(|pinned| pinned.address == address && !pinned.is_lost) {
            Some(pinned) => pinned.readers += 1,
            None => self.0.push(Pinned { address, readers: 1, kept: None, is_lost: false }),
        }
    }

    /// One reader less; what nobody reads any more and has no key either is to be dropped.
    fn remove(&mut self, pin: &Pin) -> Option<Value> {
        let at = self.0.iter().position(|pinned| pinned.address == pin.address)?;
        self.0[at].readers -= 1;
        if self.0[at].readers > 0 {
            return None;
        }
        self.0.swap_remove(at).kept
    }
}

impl Shard {
    /// How many elements a value has, if it is such as commands go over in slices.
    pub fn elements(&self, db: DbIndex, key: &[u8]) -> usize {
        match self.dbs[db.index()].table.find(self.hasher.hash(key), key).map(|entry| entry.value()) {
            Some(ValueRef::Heap(value)) => value.copied_elements(),
            _ => 0,
        }
    }

    /// Pins the heap value under a key; `None` when there is none.
    pub fn pin(&mut self, db: DbIndex, key: &[u8]) -> Option<Pin> {
        let table = &self.dbs[db.index()].table;
        let entry = table.find(self.hasher.hash(key), key)?;
        let ValueRef::Heap(value) = entry.value() else { return None };
        let address = value.address();
        self.graveyard.pins.add(address);
        Some(Pin { db, key: key.into(), address })
    }

    /// The same of a value that is about to be changed in steps: from now on it stays where it is.
    pub fn pin_to_change(&mut self, db: DbIndex, key: &[u8]) -> Option<Pin> {
        let hash = self.hasher.hash(key);
        let Shard { dbs, snapshot, .. } = self;
        let Db { table, saving, .. } = &mut dbs[db.index()];
        let is_shared = matches!(table.find(hash, key)?.value(), ValueRef::Heap(value) if value.is_shared());
        if is_shared {
            show_first(table, saving, snapshot, hash);
            if let Probed::Found(mut entry) = table.find_mut_if(hash, key, |_| true)
                && let Some(value) = entry.heap_mut()
            {
                let before = value.heap_bytes() as isize;
                value.make_own();
                let after = value.heap_bytes() as isize;
                table.report_heap_bytes(after - before);
            }
        }
        self.pin(db, key)
    }

    /// A pinned value. `None` when it was lost with its whole database, which only loading a file does.
    pub fn pinned(&self, pin: &Pin) -> Option<&Value> {
        let pinned = self.graveyard.pins.at(pin).filter(|pinned| !pinned.is_lost)?;
        if let Some(value) = &pinned.kept {
            return Some(value);
        }
        let entry = self.dbs[pin.db.index()].table.find(self.hasher.hash(&pin.key), &pin.key)?;
        match entry.value() {
            ValueRef::Heap(value) if value.address() == pin.address => Some(value),
            _ => None,
        }
    }

    /// Has a pinned value lost its key?
    pub fn is_gone(&self, pin: &Pin) -> bool {
        self.graveyard.pins.at(pin).is_none_or(|pinned| pinned.is_lost || pinned.kept.is_some())
    }

    /// Changes a pinned value where it is. `None` as in [`Shard::pinned`].
    ///
    /// Nobody is told: whoever changes it says so at the end, through the keyspace's door.
    pub fn change_pinned<R>(&mut self, pin: &Pin, change: impl FnOnce(&mut Value) -> R) -> Option<R> {
        let Shard { graveyard, dbs, snapshot, hasher, .. } = self;
        let pinned = graveyard.pins.at_mut(pin).filter(|pinned| !pinned.is_lost)?;
        if let Some(value) = &mut pinned.kept {
            return Some(change(value));
        }
        let hash = hasher.hash(&pin.key);
        let Db { table, saving, .. } = &mut dbs[pin.db.index()];
        show_first(table, saving, snapshot, hash);
        let Probed::Found(mut entry) = table.find_mut_if(hash, &pin.key, |_| true) else { return None };
        let value = entry.heap_mut().filter(|value| value.address() == pin.address)?;
        let before = value.heap_bytes() as isize;
        let result = change(value);
        let after = value.heap_bytes() as isize;
        table.report_heap_bytes(after - before);
        Some(result)
    }

    /// Drops a value that has no key any more, when it is big a part at a time.
    pub fn bury(&mut self, value: Value) {
        self.graveyard.bury(value);
    }

    /// The reader is done, or gives up.
    pub fn unpin(&mut self, pin: &Pin) {
        let Graveyard { pins, .. } = &mut self.graveyard;
        if let Some(value) = pins.remove(pin) {
            self.graveyard.bury(value);
        }
    }
}
