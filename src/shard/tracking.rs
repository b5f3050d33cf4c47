//! Client-side caching on one shard: who has read which keys, and whom a change concerns.
//!
//! A client that tracks is remembered with every key that a command of it reads (`tx/execute.rs`), and told once when
//! the key changes; then it is forgotten until it reads the key again. Clients in broadcasting mode are not remembered:
//! for them their cores are told every change, and find out themselves whom it concerns. Who gone clients were is
//! found out when they are to be told.
//!
//! INVARIANT: all shards together remember at most as many keys as [`Tracking::bound_to`] said last; on the shard that
//! exceeds it the key remembered first gives way, and its readers are told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::effects::{Class, Effect};
use crate::types::{ClientId, ShardId};

/// A client and the core it is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reader {
    pub core: ShardId,
    pub client: ClientId,
}

/// A change that somebody is to be told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Invalid {
    Key {
        key: Arc<[u8]>,
        /// Whose command it was; 0 when it was nobody's.
        writer: ClientId,
        readers: SmallVec<[Reader; 2]>,
        /// It is also a change of the keyspace, not only of what is remembered.
        is_change: bool,
    },
    /// Everything was flushed.
    All,
}

/// What a shard knows of those who cache.
#[derive(Default)]
pub struct Tracking {
    readers: HashMap<Arc<[u8]>, SmallVec<[Reader; 2]>, ahash::RandomState>,
    /// Keys in the order in which they were remembered; some are forgotten by now.
    order: VecDeque<Arc<[u8]>>,
    items: usize,
    /// `tracking-table-max-keys`; 0 for no bound.
    most: usize,
    /// Keys that all shards remember.
    pub total: Arc<AtomicUsize>,
    /// Cores with clients in broadcasting mode.
    pub broadcast_to: SmallVec<[ShardId; 4]>,
    pending: Vec<Invalid>,
    /// Whose command runs.
    pub writer: ClientId,
    /// Counted among those who follow the effects.
    pub(super) follows: bool,
}

impl Tracking {
    /// Does anybody care for changes?
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.readers.is_empty() && self.broadcast_to.is_empty()
    }

    /// A client has read a key.
    pub fn remember(&mut self, key: &[u8], reader: Reader) {
        match self.readers.get_mut(key) {
            Some(readers) if readers.contains(&reader) => return,
            Some(readers) => readers.push(reader),
            None => {
                let key: Arc<[u8]> = key.into();
                self.order.push_back(key.clone());
                self.readers.insert(key, SmallVec::from_slice(&[reader]));
                self.total.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.items += 1;
        self.make_room();
        if self.order.len() > 64 + 2 * self.readers.len() {
            let readers = &self.readers;
            self.order.retain(|key| readers.contains_key(key));
        }
    }

    /// Sets the bound.
    pub fn bound_to(&mut self, most: usize) {
        self.most = most;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.most > 0 && !self.readers.is_empty() {
            // Two shards must not both give up a key for the same excess.
            let is_over = |total: usize| (total > self.most).then(|| total - 1);
            if self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_over).is_err() {
                return;
            }
            self.forget_oldest();
            // It was counted off twice.
            self.total.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets the key remembered first, of which there is one.
    fn forget_oldest(&mut self) {
        while let Some(oldest) = self.order.pop_front() {
            if self.readers.contains_key(&oldest) {
                return self.forget(&oldest, ClientId(0), false);
            }
        }
        unreachable!("every key that is remembered has its place in the order")
    }

    fn forget(&mut self, key: &[u8], writer: ClientId, is_change: bool) {
        let (key, readers) = match self.readers.remove_entry(key) {
            Some(entry) => entry,
            None if is_change && !self.broadcast_to.is_empty() => (key.into(), SmallVec::new()),
            None => return,
        };
        self.items -= readers.len();
        if !readers.is_empty() {
            self.total.fetch_sub(1, Ordering::Relaxed);
        }
        self.pending.push(Invalid::Key { key, writer, readers, is_change });
    }

    /// A key was changed.
    #[inline]
    pub fn take_effect(&mut self, effect: &Effect) {
        if !self.is_idle() {
            let by_nobody = matches!(effect.event.class, Class::Expired | Class::Evicted);
            let writer = if by_nobody { ClientId(0) } else { self.writer };
            self.forget(&effect.key, writer, true);
        }
    }

    /// A database was flushed. `tells`: this is the one shard that says so.
    pub fn flushed(&mut self, tells: bool) {
        self.total.fetch_sub(self.readers.len(), Ordering::Relaxed);
        self.readers.clear();
        self.order.clear();
        self.items = 0;
        if tells && self.pending.last() != Some(&Invalid::All) {
            self.pending.push(Invalid::All);
        }
    }

    /// Is anybody to be told anything?
    #[inline]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes what is to be told.
    pub fn take(&mut self) -> Vec<Invalid> {
        std::mem::take(&mut self.pending)
    }

    /// Keys that are remembered.
    pub fn keys(&self) -> usize {
        self.readers.len()
    }

    /// Readers of all of them.
    pub fn items(&self) -> usize {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::effects::Event;
    use crate::types::DbIndex;

    const A: Reader = Reader { core: ShardId(0), client: ClientId(1) };
    const B: Reader = Reader { core: ShardId(1), client: ClientId(2) };

    fn change(tracking: &mut Tracking, key: &str, event: Event) {
        tracking.take_effect(&Effect { db: DbIndex(0), key: key.as_bytes().into(), event, subkeys: None });
    }

    /// `key: clients (writer)` of everything that is pending.
    fn told(tracking: &mut Tracking) -> Vec<String> {
        let line = |invalid| match invalid {
            Invalid::Key { key, writer, readers, .. } => {
                let clients: Vec<_> = readers.iter().map(|reader| reader.client.0).collect();
                format!("{}: {clients:?} ({})", String::from_utf8_lossy(&key), writer.0)
            }
            Invalid::All => "all".to_owned(),
        };
        tracking.take().into_iter().map(line).collect()
    }

    #[test]
    fn readers_are_told_once() {
        let mut tracking = Tracking { writer: ClientId(7), ..Tracking::default() };
        tracking.remember(b"k", A);
        tracking.remember(b"k", A);
        tracking.remember(b"k", B);
        assert_eq!((tracking.keys(), tracking.items()), (1, 2));
        change(&mut tracking, "other", Event::SET);
        change(&mut tracking, "k", Event::SET);
        change(&mut tracking, "k", Event::SET);
        assert_eq!(told(&mut tracking), ["k: [1, 2] (7)"]);
        assert!(tracking.is_idle());
        tracking.remember(b"k", A);
        change(&mut tracking, "k", Event::EXPIRED);
        assert_eq!(told(&mut tracking), ["k: [1] (0)"], "time is nobody");
    }

    #[test]
    fn broadcasts_hear_of_every_change() {
        let mut tracking = Tracking::default();
        tracking.broadcast_to.push(ShardId(1));
        change(&mut tracking, "k", Event::SET);
        assert_eq!(told(&mut tracking), ["k: [] (0)"]);
    }

    #[test]
    fn the_oldest_key_gives_way() {
        let mut tracking = Tracking { most: 2, ..Tracking::default() };
        for key in ["a", "b", "a", "c"] {
            tracking.remember(key.as_bytes(), A);
        }
        assert_eq!(told(&mut tracking), ["a: [1] (0)"]);
        assert_eq!((tracking.keys(), tracking.items()), (2, 2));
        tracking.bound_to(1);
        assert_eq!(told(&mut tracking), ["b: [1] (0)"]);
        for round in 0..1000 {
            tracking.remember(format!("k{round}").as_bytes(), A);
            change(&mut tracking, &format!("k{round}"), Event::SET);
        }
        assert!(tracking.order.len() < 100, "what was forgotten leaves the order too");
    }

    #[test]
    fn a_flush_forgets_everything() {
        let mut tracking = Tracking::default();
        tracking.remember(b"k", A);
        tracking.flushed(true);
        assert_eq!(told(&mut tracking), ["all"]);
        assert!(tracking.is_idle() && tracking.items() == 0);
    }
}
