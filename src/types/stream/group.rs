//! A consumer group: how far it has read, who reads, and what was delivered and not acknowledged yet.
//!
//! INVARIANT: the pending entries of the group are those of its consumers together, each of exactly one consumer, but
//! for those that were given back (XNACK) and have none.

use std::collections::{BTreeMap, BTreeSet};

use super::id::StreamId;

/// A consumer within its group.
pub type ConsumerIndex = u32;

/// Whose entries are that were given back.
pub const NOBODY: ConsumerIndex = ConsumerIndex::MAX;

/// What a pending entry costs in both trees, which are a little more than half full when ids ascend.
const PENDING_BYTES: usize = 110;
const CONSUMER_BYTES: usize = size_of::<Option<Consumer>>() + 48;
const GROUP_BYTES: usize = 2 * size_of::<Group>();

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nack {
    pub consumer: ConsumerIndex,
    /// When it was delivered last.
    pub delivered_at_ms: i64,
    /// How often.
    pub delivery_count: u64,
}

impl Nack {
    /// For how long it waits.
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        (now_ms as i64).saturating_sub(self.delivered_at_ms).max(0) as u64
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consumer {
    pub name: Box<[u8]>,
    pub pending: BTreeSet<StreamId>,
    /// When it was heard of last.
    pub seen_at_ms: i64,
    /// When it was given an entry last; `None` before the first.
    pub active_at_ms: Option<i64>,
}

#[derive(Clone, Default, Debug)]
pub struct Group {
    /// The id of the entry delivered last.
    pub last_id: StreamId,
    /// How many entries were delivered, counted from the first one the stream ever had; `None` when unknown.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Nack>,
    /// Free places are filled first.
    consumers: Vec<Option<Consumer>>,
    by_name: BTreeMap<Box<[u8]>, ConsumerIndex>,
    names_bytes: usize,
}

/// Equal when clients could not tell them apart: the indices of consumers do not matter.
impl PartialEq for Group {
    fn eq(&self, other: &Group) -> bool {
        let owned = |group: &Group, nack: &Nack| {
            (group.owner_name(nack).to_vec(), nack.delivered_at_ms, nack.delivery_count)
        };
        let pending = self.pending.iter().map(|(id, nack)| (*id, owned(self, nack)));
        let others = other.pending.iter().map(|(id, nack)| (*id, owned(other, nack)));
        self.last_id == other.last_id
            && self.entries_read == other.entries_read
            && self.consumers().eq(other.consumers())
            && pending.eq(others)
    }
}

impl Eq for Group {}

impl Group {
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group { last_id, entries_read, ..Group::default() }
    }

    pub fn heap_bytes(&self) -> usize {
        GROUP_BYTES
            + self.pending.len() * PENDING_BYTES
            + self.consumers.len() * CONSUMER_BYTES
            + 2 * self.names_bytes
    }

    pub fn pending(&self) -> &BTreeMap<StreamId, Nack> {
        &self.pending
    }

    pub fn nack_mut(&mut self, id: StreamId) -> Option<&mut Nack> {
        self.pending.get_mut(&id)
    }

    pub fn consumer_count(&self) -> usize {
        self.by_name.len()
    }

    pub fn consumer_index(&self, name: &[u8]) -> Option<ConsumerIndex> {
        self.by_name.get(name).copied()
    }

    pub fn consumer(&self, index: ConsumerIndex) -> &Consumer {
        self.consumers[index as usize].as_ref().expect("an index is of a consumer that is there")
    }

    pub fn consumer_mut(&mut self, index: ConsumerIndex) -> &mut Consumer {
        self.consumers[index as usize].as_mut().expect("an index is of a consumer that is there")
    }

    /// The consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.values().map(|&index| self.consumer(index))
    }

    /// The name of the consumer that has an entry; empty when nobody has.
    pub fn owner_name(&self, nack: &Nack) -> &[u8] {
        if nack.consumer == NOBODY { b"" } else { &self.consumer(nack.consumer).name }
    }

    /// Adds a consumer whose name is new.
    pub fn add_consumer(&mut self, name: &[u8], now_ms: u64) -> ConsumerIndex {
        debug_assert!(!self.by_name.contains_key(name));
        let consumer = Consumer {
            name: name.into(),
            pending: BTreeSet::new(),
            seen_at_ms: now_ms as i64,
            active_at_ms: None,
        };
        let free = (self.by_name.len() < self.consumers.len())
            .then(|| self.consumers.iter().position(Option::is_none).expect("one place is free"));
        let index = free.unwrap_or_else(|| {
            self.consumers.push(None);
            self.consumers.len() - 1
        });
        self.consumers[index] = Some(consumer);
        self.by_name.insert(name.into(), index as ConsumerIndex);
        self.names_bytes += name.len();
        index as ConsumerIndex
    }

    /// Removes a consumer with all that is pending for it; how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let index = self.by_name.remove(name)?;
        let consumer = self.consumers[index as usize].take().expect("a name is of a consumer that is there");
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        self.names_bytes -= name.len();
        Some(consumer.pending.len())
    }

    /// An entry is delivered to a consumer: it is pending for it now, whoever had it before.
    #[inline]
    pub fn deliver(&mut self, id: StreamId, nack: Nack) {
        if let Some(before) = self.pending.insert(id, nack) {
            if before.consumer == nack.consumer {
                return;
            }
            self.take_from(before.consumer, id);
        }
        if nack.consumer != NOBODY {
            self.consumer_mut(nack.consumer).pending.insert(id);
        }
    }

    /// Adds what is pending in the order of the ids, all above those there are. False, with nothing added, when it is
    /// pending already.
    pub fn add_pending(&mut self, id: StreamId, nack: Nack) -> bool {
        if self.pending.contains_key(&id) {
            return false;
        }
        self.deliver(id, nack);
        true
    }

    fn take_from(&mut self, consumer: ConsumerIndex, id: StreamId) {
        if consumer != NOBODY {
            self.consumer_mut(consumer).pending.remove(&id);
        }
    }

    /// An entry is not pending any longer. False when it was not.
    #[inline]
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(nack) = self.pending.remove(&id) else { return false };
        self.take_from(nack.consumer, id);
        true
    }

    /// Drops about so many pending entries; true when all are gone.
    pub(super) fn drop_some(&mut self, entries: usize) -> bool {
        for _ in 0..entries.max(1) {
            let Some((&id, _)) = self.pending.first_key_value() else { return true };
            self.acknowledge(id);
        }
        self.pending.is_empty()
    }

    /// Walks everything and compares the two sides.
    pub fn verify(&self) -> Result<(), String> {
        let owned: usize = self.consumers().map(|consumer| consumer.pending.len()).sum();
        let unowned = self.pending.values().filter(|nack| nack.consumer == NOBODY).count();
        if owned + unowned != self.pending.len() {
            return Err(format!(
                "{owned} entries of consumers, {unowned} of nobody, {} of the group",
                self.pending.len()
            ));
        }
        for (name, &index) in &self.by_name {
            let consumer = self.consumers.get(index as usize).and_then(Option::as_ref);
            let consumer = consumer.ok_or("a name without a consumer")?;
            if consumer.name != *name {
                return Err("a consumer under another's name".into());
            }
            let owns = |id| self.pending.get(id).is_some_and(|nack| nack.consumer == index);
            if !consumer.pending.iter().all(owns) {
                return Err("a consumer has what the group says it has not".into());
            }
        }
        if self.consumers.iter().flatten().count() != self.by_name.len() {
            return Err("a consumer without a name".into());
        }
        if self.by_name.keys().map(|name| name.len()).sum::<usize>() != self.names_bytes {
            return Err("the account of the names is wrong".into());
        }
        Ok(())
    }
}
