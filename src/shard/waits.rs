//! Which keys clients wait for (BLPOP and its kin), and which of them have changed since.
//!
//! The shard knows keys and numbers of waiters only; who waits and for what is the core's (`net/blocked.rs`). An effect
//! on a key that somebody waits for puts it on the list of ready keys, in the order of the effects.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::types::DbIndex;

/// A waiter's number. Later ones are greater.
pub type WaiterId = u64;

type Key = (DbIndex, Box<[u8]>);

#[derive(Default, Debug)]
struct Waited {
    /// First come, first served.
    waiters: Vec<WaiterId>,
    ready: bool,
}

/// The waited-for keys of a shard.
#[derive(Default)]
pub struct Waits {
    keys: HashMap<Key, Waited, ahash::RandomState>,
    ready: VecDeque<Key>,
}

impl Waits {
    /// A waiter lines up at a key.
    pub fn add(&mut self, db: DbIndex, key: &[u8], waiter: WaiterId) {
        let waiters = &mut self.keys.entry((db, key.into())).or_default().waiters;
        if !waiters.contains(&waiter) {
            waiters.push(waiter);
        }
    }

    /// A waiter leaves a key.
    pub fn remove(&mut self, db: DbIndex, key: &[u8], waiter: WaiterId) {
        let name = (db, key.into());
        if let Some(waited) = self.keys.get_mut(&name) {
            waited.waiters.retain(|known| *known != waiter);
            if waited.waiters.is_empty() {
                self.keys.remove(&name);
            }
        }
    }

    /// A key was changed.
    pub fn touch(&mut self, db: DbIndex, key: &[u8]) {
        if self.keys.is_empty() {
            return;
        }
        let name = (db, key.into());
        if let Some(waited) = self.keys.get_mut(&name)
            && !std::mem::replace(&mut waited.ready, true)
        {
            self.ready.push_back(name);
        }
    }

    /// All keys of these databases may have changed.
    pub fn touch_dbs(&mut self, dbs: &[DbIndex]) {
        let mut names: Vec<Key> = self.keys.keys().filter(|(db, _)| dbs.contains(db)).cloned().collect();
        // The order of the table is nobody's; waiters have come in an order.
        names.sort_by_key(|name| self.keys[name].waiters.first().copied());
        names.iter().for_each(|(db, key)| self.touch(*db, key));
    }

    /// The key that became ready first.
    pub fn take_ready(&mut self) -> Option<(DbIndex, Box<[u8]>)> {
        while let Some(name) = self.ready.pop_front() {
            // Nobody waits for it any more, unless it is known.
            if let Some(waited) = self.keys.get_mut(&name) {
                waited.ready = false;
                return Some(name);
            }
        }
        None
    }

    /// Who waits at a key, first come first.
    pub fn waiters_at(&self, db: DbIndex, key: &[u8]) -> Vec<WaiterId> {
        self.keys.get(&(db, key.into())).map(|waited| waited.waiters.clone()).unwrap_or_default()
    }

    /// Is any key to be looked at?
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys are waited for.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: DbIndex = DbIndex(0);

    #[test]
    fn keys_become_ready_once_and_in_the_order_of_their_changes() {
        let mut waits = Waits::default();
        waits.add(DB, b"a", 1);
        waits.add(DB, b"b", 1);
        waits.add(DB, b"b", 2);
        for key in [b"b", b"c", b"a", b"b"] {
            waits.touch(DB, key);
        }
        assert_eq!(waits.take_ready(), Some((DB, b"b".as_slice().into())));
        assert_eq!(waits.waiters_at(DB, b"b"), [1, 2]);
        assert_eq!(waits.take_ready(), Some((DB, b"a".as_slice().into())));
        assert_eq!(waits.take_ready(), None);
    }

    #[test]
    fn a_key_is_forgotten_with_its_last_waiter() {
        let mut waits = Waits::default();
        waits.add(DB, b"a", 1);
        waits.add(DB, b"a", 2);
        waits.touch(DB, b"a");
        waits.remove(DB, b"a", 1);
        assert_eq!(waits.waiters_at(DB, b"a"), [2]);
        waits.remove(DB, b"a", 2);
        assert!(waits.is_empty());
        assert_eq!(waits.take_ready(), None);
    }

    #[test]
    fn swapped_databases_make_their_keys_ready() {
        let mut waits = Waits::default();
        waits.add(DB, b"z", 1);
        waits.add(DbIndex(1), b"a", 2);
        waits.add(DbIndex(2), b"b", 3);
        waits.touch_dbs(&[DB, DbIndex(1)]);
        assert_eq!(waits.take_ready(), Some((DB, b"z".as_slice().into())));
        assert_eq!(waits.take_ready(), Some((DbIndex(1), b"a".as_slice().into())));
        assert_eq!(waits.take_ready(), None);
    }
}
