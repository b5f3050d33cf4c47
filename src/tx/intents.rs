//! Intents: what the transactions in a shard's queue are going to touch.
//!
//! An intent is on the hash of a key, whatever its database (MOVE and COPY write to two): two keys with one hash
//! conflict, which costs a wait and nothing else. A transaction over whole shards has one intent on everything.

use hashbrown::HashMap;
use smallvec::SmallVec;

/// Keys of a set among which a new one is looked for.
const SEARCHED_KEYS: usize = 16;

/// Shared intents go together; an exclusive one goes with no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Shared,
    Exclusive,
}

/// What one transaction intends on one shard.
#[derive(Clone, Debug, Default)]
pub struct IntentSet {
    /// Keys, as their hashes, each with the strongest mode asked for.
    pub keys: SmallVec<[(u64, Mode); 4]>,
    /// On everything the shard holds.
    pub whole: Option<Mode>,
}

impl IntentSet {
    /// Adds a key; an exclusive intent replaces a shared one. In a long list a key may be twice, which costs less than
    /// looking for it.
    pub fn add(&mut self, key_hash: u64, mode: Mode) {
        if self.keys.len() >= SEARCHED_KEYS {
            return self.keys.push((key_hash, mode));
        }
        match self.keys.iter_mut().find(|(known, _)| *known == key_hash) {
            Some((_, known)) if mode == Mode::Exclusive => *known = mode,
            Some(_) => {}
            None => self.keys.push((key_hash, mode)),
        }
    }

    /// Is any of it exclusive?
    pub fn may_write(&self) -> bool {
        self.whole == Some(Mode::Exclusive) || self.keys.iter().any(|(_, mode)| *mode == Mode::Exclusive)
    }

    /// Adds the whole shard.
    pub fn add_whole(&mut self, mode: Mode) {
        if self.whole != Some(Mode::Exclusive) {
            self.whole = Some(mode);
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Counts {
    shared: u32,
    exclusive: u32,
}

impl Counts {
    fn conflicts(self, mode: Mode) -> bool {
        self.exclusive > 0 || (mode == Mode::Exclusive && self.shared > 0)
    }

    fn slot(&mut self, mode: Mode) -> &mut u32 {
        match mode {
            Mode::Shared => &mut self.shared,
            Mode::Exclusive => &mut self.exclusive,
        }
    }

    fn is_empty(self) -> bool {
        self.shared == 0 && self.exclusive == 0
    }
}

/// The intents of everything in one shard's queue.
#[derive(Default)]
pub struct Intents {
    keys: HashMap<u64, Counts, ahash::RandomState>,
    whole: Counts,
    /// All key intents together, so that a whole-shard intent can be tested in one step.
    any_key: Counts,
}

impl Intents {
    /// Would this set have to wait for something registered?
    pub fn conflict(&self, set: &IntentSet) -> bool {
        if let Some(mode) = set.whole
            && (self.whole.conflicts(mode) || self.any_key.conflicts(mode))
        {
            return true;
        }
        set.keys.iter().any(|&(name, mode)| {
            self.whole.conflicts(mode) || self.keys.get(&name).is_some_and(|counts| counts.conflicts(mode))
        })
    }

    /// Registers a set.
    pub fn add(&mut self, set: &IntentSet) {
        if let Some(mode) = set.whole {
            *self.whole.slot(mode) += 1;
        }
        for &(name, mode) in &set.keys {
            *self.keys.entry(name).or_default().slot(mode) += 1;
            *self.any_key.slot(mode) += 1;
        }
    }

    /// Withdraws a set that was registered.
    pub fn remove(&mut self, set: &IntentSet) {
        if let Some(mode) = set.whole {
            *self.whole.slot(mode) -= 1;
        }
        for &(name, mode) in &set.keys {
            let counts = self.keys.get_mut(&name).expect("a registered intent is counted");
            *counts.slot(mode) -= 1;
            if counts.is_empty() {
                self.keys.remove(&name);
            }
            *self.any_key.slot(mode) -= 1;
        }
    }

    /// True when nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.whole.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &[(u64, Mode)], whole: Option<Mode>) -> IntentSet {
        let mut set = IntentSet::default();
        keys.iter().for_each(|&(hash, mode)| set.add(hash, mode));
        whole.into_iter().for_each(|mode| set.add_whole(mode));
        set
    }

    #[test]
    fn shared_goes_with_shared_and_exclusive_with_none() {
        let mut intents = Intents::default();
        let reader = set(&[(1, Mode::Shared)], None);
        let writer = set(&[(1, Mode::Exclusive)], None);
        intents.add(&reader);
        assert!(!intents.conflict(&reader));
        assert!(intents.conflict(&writer));
        intents.remove(&reader);
        assert!(intents.is_empty());
        intents.add(&writer);
        assert!(intents.conflict(&reader) && intents.conflict(&writer));
    }

    #[test]
    fn a_whole_shard_conflicts_with_any_key() {
        let mut intents = Intents::default();
        intents.add(&set(&[(1, Mode::Shared)], None));
        assert!(intents.conflict(&set(&[], Some(Mode::Exclusive))));
        assert!(!intents.conflict(&set(&[], Some(Mode::Shared))));
        let flush = set(&[], Some(Mode::Exclusive));
        let mut intents = Intents::default();
        intents.add(&flush);
        assert!(intents.conflict(&set(&[(9, Mode::Shared)], None)));
        intents.remove(&flush);
        assert!(intents.is_empty());
    }

    #[test]
    fn a_key_named_twice_counts_once_with_its_strongest_mode() {
        let mut intents = Intents::default();
        let twice = set(&[(1, Mode::Shared), (1, Mode::Exclusive), (1, Mode::Shared)], None);
        assert_eq!(twice.keys.len(), 1);
        intents.add(&twice);
        assert!(intents.conflict(&set(&[(1, Mode::Shared)], None)));
        intents.remove(&twice);
        assert!(intents.is_empty());
    }
}
