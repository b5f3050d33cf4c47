//! WATCH on one shard: a version per watched key, bumped by effects.
//!
//! A client that watches a key remembers the version it saw; EXEC compares on the owner, in the hop that takes its
//! intents. Keys nobody watches have no version, so watching costs memory only while it lasts.

use hashbrown::HashMap;

use crate::types::DbIndex;

#[derive(Debug)]
struct Watched {
    version: u64,
    watchers: usize,
}

/// The watched keys of a shard.
#[derive(Default)]
pub struct Watches {
    keys: HashMap<(DbIndex, Box<[u8]>), Watched, ahash::RandomState>,
    /// Versions come from one counter, so that a key watched anew never repeats one.
    counter: u64,
}

impl Watches {
    /// Begins to watch; returns the version to compare with later.
    pub fn watch(&mut self, db: DbIndex, key: &[u8]) -> u64 {
        self.counter += 1;
        let version = self.counter;
        let watched = self.keys.entry((db, key.into())).or_insert_with(|| Watched { version, watchers: 0 });
        watched.watchers += 1;
        watched.version
    }

    /// One watcher less.
    pub fn unwatch(&mut self, db: DbIndex, key: &[u8]) {
        let name = (db, key.into());
        if let Some(watched) = self.keys.get_mut(&name) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                self.keys.remove(&name);
            }
        }
    }

    /// True when the key still has the version that was seen.
    pub fn unchanged(&self, db: DbIndex, key: &[u8], version: u64) -> bool {
        self.keys.get(&(db, key.into())).is_some_and(|watched| watched.version == version)
    }

    /// A watched key was changed.
    pub fn touch(&mut self, db: DbIndex, key: &[u8]) {
        if self.keys.is_empty() {
            return;
        }
        self.counter += 1;
        if let Some(watched) = self.keys.get_mut(&(db, key.into())) {
            watched.version = self.counter;
        }
    }

    /// Changes every watched key of the databases for which `exists` says that the key is, or now becomes, there.
    pub fn touch_where(&mut self, mut exists: impl FnMut(DbIndex, &[u8]) -> bool) {
        self.counter += 1;
        for ((db, key), watched) in &mut self.keys {
            if exists(*db, key) {
                watched.version = self.counter;
            }
        }
    }

    /// The names of the watched keys of these databases.
    pub fn keys_of(&self, dbs: &[DbIndex]) -> Vec<Box<[u8]>> {
        self.keys.keys().filter(|(db, _)| dbs.contains(db)).map(|(_, key)| key.clone()).collect()
    }

    /// True when no key is watched.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of watched keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: DbIndex = DbIndex(0);

    #[test]
    fn a_change_between_watch_and_check_is_seen() {
        let mut watches = Watches::default();
        let seen = watches.watch(DB, b"k");
        assert!(watches.unchanged(DB, b"k", seen));
        watches.touch(DB, b"other");
        assert!(watches.unchanged(DB, b"k", seen));
        watches.touch(DB, b"k");
        assert!(!watches.unchanged(DB, b"k", seen));
    }

    #[test]
    fn a_key_watched_anew_never_repeats_a_version() {
        let mut watches = Watches::default();
        let first = watches.watch(DB, b"k");
        watches.unwatch(DB, b"k");
        assert!(watches.is_empty());
        assert_ne!(watches.watch(DB, b"k"), first);
    }

    #[test]
    fn two_watchers_share_the_key_until_both_have_left() {
        let mut watches = Watches::default();
        let (a, b) = (watches.watch(DB, b"k"), watches.watch(DB, b"k"));
        watches.unwatch(DB, b"k");
        assert!(watches.unchanged(DB, b"k", b));
        assert_eq!(a, b);
    }
}
