//! Streams: entries in the order of their ids, and the groups that read them.
//!
//! - [`id`]: what an id is.
//! - [`item`] and [`node`]: how entries are packed.
//! - [`log`](mod@log): the nodes, and walking them.
//! - [`group`]: consumer groups.
//! - [`idmp`]: what producers have sent.
//!
//! A stream may be empty and still be there: its last id and its groups stay.

pub mod group;
pub mod id;
pub mod idmp;
pub mod item;
pub mod log;
pub mod node;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

pub use group::{Consumer, ConsumerIndex, Group, NOBODY, Nack};
pub use id::StreamId;
pub use idmp::Idmp;
pub use item::Item;
pub use log::{Log, NODE_BYTES_MAX, NodeLimits};
pub use node::{Entry, Fields};

use super::{Collection, Kind, Packed, Value};

/// A stream.
#[derive(Clone, Default)]
pub struct Stream {
    log: Log,
    /// The id of the last entry, deleted or not.
    pub last_id: StreamId,
    /// The id of the first entry that is there; zero when there is none.
    first_id: StreamId,
    /// The largest id that XDEL deleted; zero when it deleted none.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
    groups: BTreeMap<Box<[u8]>, Group>,
    groups_bytes: usize,
    /// Made when a producer first names a message.
    idmp: Option<Box<Idmp>>,
}

/// What trimming leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threshold {
    /// At most so many entries.
    MaxLen(u64),
    /// No id below this one.
    MinId(StreamId),
}

/// How to trim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trim {
    pub threshold: Threshold,
    /// Whole nodes only.
    pub approximate: bool,
    /// Do not remove more than about so many; 0 is no limit.
    pub limit: u64,
}

/// A stream's counts and ids, apart from its entries and groups.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    entry_count: u64,
    entries_added: u64,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

impl Counters {
    /// Could an entry at or after `from` be missing because XDEL deleted it?
    #[inline]
    pub fn has_tombstones_from(&self, from: StreamId) -> bool {
        self.entry_count > 0
            && self.max_deleted_id != StreamId::MIN
            && self.max_deleted_id >= self.first_id
            && from <= self.max_deleted_id
    }

    /// How many entries up to this id were ever added, as far as that can be told.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.entry_count == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id == self.last_id {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        // Nothing was deleted from the first entry on.
        if self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id {
            let before = self.entries_added.wrapping_sub(self.entry_count);
            if id < self.first_id {
                return Some(before);
            }
            if id == self.first_id {
                return Some(before.wrapping_add(1));
            }
        }
        None
    }

    /// A group was given the next entry: moves its position and its count of what it has read.
    #[inline]
    pub fn advance(&self, group: &mut Group, id: StreamId) {
        match group.entries_read {
            Some(read) if !self.has_tombstones_from(id) => group.entries_read = Some(read.wrapping_add(1)),
            _ if self.entries_added > 0 => group.entries_read = self.entries_up_to(id),
            _ => {}
        }
        group.last_id = id;
    }
}

impl Stream {
    pub fn new() -> Stream {
        Stream::default()
    }

    /// The entries.
    #[inline]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How many entries there are.
    #[inline]
    pub fn entry_count(&self) -> u64 {
        self.log.len()
    }

    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// Bytes behind the stream.
    pub fn heap_bytes(&self) -> usize {
        let idmp = self.idmp.as_ref().map_or(0, |idmp| idmp.heap_bytes());
        size_of::<Stream>() + self.log.heap_bytes() + self.groups_bytes + idmp
    }

    /// Appends an entry; its id is above [`Stream::last_id`].
    #[inline]
    pub fn append<'a>(&mut self, id: StreamId, fields: &impl Fields<'a>, limits: NodeLimits) {
        debug_assert!(id > self.last_id);
        self.log.append(id, fields, limits);
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.log.len() == 1 {
            self.first_id = id;
        }
    }

    /// Deletes an entry as XDEL does. False when there is none with this id.
    pub fn delete(&mut self, id: StreamId) -> bool {
        if !self.log.delete(id) {
            return false;
        }
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    fn find_first(&mut self) {
        self.first_id = self.log.first().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Removes the oldest entries; how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut removed = 0;
        self.log.drop_front(|node, live| {
            let entries = node::live(node) as u64;
            if trim.limit > 0 && removed + entries > trim.limit {
                return false;
            }
            let drop = match trim.threshold {
                Threshold::MaxLen(most) => live > most && live - entries >= most,
                Threshold::MinId(least) => node::last_id(node) < least,
            };
            removed += if drop { entries } else { 0 };
            drop
        });
        let mut more = !trim.approximate;
        while more {
            let (deleted, all) = self.log.delete_front(|id, live| match trim.threshold {
                Threshold::MaxLen(most) => live > most,
                Threshold::MinId(least) => id < least,
            });
            removed += deleted;
            more = all;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// The ids of the entries that trimming goes over, from the first; with [`Threshold::MaxLen`] some of them may stay.
    pub fn trimmable(&self, trim: Trim) -> impl Iterator<Item = StreamId> {
        let end = match (trim.threshold, trim.approximate) {
            (_, true) => self.end_of_whole_nodes(trim.threshold),
            (Threshold::MaxLen(_), false) => Some(StreamId::MAX),
            (Threshold::MinId(least), false) => least.previous(),
        };
        let start = if end.is_some() { StreamId::MIN } else { StreamId::MAX };
        self.log.range(start, end.unwrap_or(StreamId::MIN)).map(|entry| entry.id)
    }

    /// The largest id that the entries of nodes which can go as a whole may have; `None` when none can.
    fn end_of_whole_nodes(&self, threshold: Threshold) -> Option<StreamId> {
        let count = self.entry_count();
        let mut left = count;
        for node in self.log.nodes() {
            let entries = node::live(node) as u64;
            let goes = match threshold {
                Threshold::MaxLen(most) => left > most && left - entries >= most,
                Threshold::MinId(least) => node::last_id(node) < least,
            };
            if !goes {
                return node::first_id(node).previous().filter(|_| left < count);
            }
            left -= entries;
        }
        Some(StreamId::MAX)
    }

    /// Does trimming remove more than so many entries? Looks at as many nodes as have them.
    pub fn would_trim_more_than(&self, trim: Trim, count: u64) -> bool {
        match trim.threshold {
            Threshold::MaxLen(most) => self.entry_count().saturating_sub(most) > count,
            Threshold::MinId(least) => {
                let mut entries = 0;
                self.entry_count() > count
                    && self.log.nodes().take_while(|node| node::last_id(node) < least).any(|node| {
                        entries += node::live(node) as u64;
                        entries > count
                    })
            }
        }
    }

    /// Deletes entries as trimming does, without a trace; how many there were.
    pub fn remove(&mut self, ids: &[StreamId]) -> u64 {
        let removed = ids.iter().filter(|id| self.log.delete(**id)).count() as u64;
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// The counts and ids by which groups count what they have read.
    #[inline]
    pub fn counters(&self) -> Counters {
        Counters {
            entry_count: self.entry_count(),
            entries_added: self.entries_added,
            first_id: self.first_id,
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
        }
    }

    /// How many entries a group has still to read, as far as that can be told.
    pub fn lag(&self, group: &Group) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.counters().has_tombstones_from(group.last_id) => Some(read),
            _ => self.counters().entries_up_to(group.last_id),
        };
        read.map(|read| self.entries_added.wrapping_sub(read))
    }

    /// What producers have sent, if any has named a message.
    pub fn idmp(&self) -> Option<&Idmp> {
        self.idmp.as_deref()
    }

    pub fn idmp_mut(&mut self) -> &mut Idmp {
        self.idmp.get_or_insert_default()
    }

    /// The groups in the order of their names.
    pub fn groups(&self) -> &BTreeMap<Box<[u8]>, Group> {
        &self.groups
    }

    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Adds a group. False when there is one of this name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups_bytes += group_bytes(name, &group);
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group. False when there is none of this name.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.groups.remove(name) else { return false };
        self.groups_bytes -= group_bytes(name, &group);
        true
    }

    /// A group, to be changed.
    #[inline]
    pub fn edit_group(&mut self, name: &[u8]) -> Option<GroupEdit<'_>> {
        let group = self.groups.get_mut(name)?;
        let before = group.heap_bytes();
        Some(GroupEdit { group, log: &self.log, account: &mut self.groups_bytes, before })
    }

    /// Is this entry read by every group and pending in none?
    pub fn is_done_with(&self, id: StreamId) -> bool {
        self.groups.values().all(|group| group.last_id >= id && !group.pending().contains_key(&id))
    }

    /// Takes an entry off the pending ones of all groups.
    pub fn forget(&mut self, id: StreamId) {
        for group in self.groups.values_mut() {
            let before = group.heap_bytes();
            group.acknowledge(id);
            self.groups_bytes = self.groups_bytes + group.heap_bytes() - before;
        }
    }

    /// The same for all entries from `start` to before `end`.
    pub fn forget_range(&mut self, start: StreamId, end: StreamId) {
        for group in self.groups.values_mut() {
            let before = group.heap_bytes();
            let ids: Vec<StreamId> = group.pending().range(start..end).map(|(id, _)| *id).collect();
            for id in ids {
                group.acknowledge(id);
            }
            self.groups_bytes = self.groups_bytes + group.heap_bytes() - before;
        }
    }

    /// The entries, to be filled from a file. [`Stream::nodes_are_read`] ends that.
    pub fn log_to_fill(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Ends the reading of nodes from a file.
    pub fn nodes_are_read(&mut self) {
        self.find_first();
    }

    /// Copies about `count` entries, or a group, into a new one; see [`Value::copy_some`].
    pub fn copy_some(&self, copy: &mut Stream, at: u64, count: usize) -> Option<u64> {
        /// Of a short entry.
        const ENTRY_BYTES: usize = 64;
        if self.log.copy_some(&mut copy.log, count.max(1).saturating_mul(ENTRY_BYTES)) {
            return Some(at + 1);
        }
        let after =
            copy.groups.last_key_value().map_or(Bound::Unbounded, |(name, _)| Bound::Excluded(name.clone()));
        if let Some((name, group)) = self.groups.range((after, Bound::Unbounded)).next() {
            copy.add_group(name, group.clone());
            return Some(at + 1);
        }
        let Stream { log, groups, groups_bytes, .. } = std::mem::take(copy);
        let Stream { last_id, first_id, max_deleted_id, entries_added, .. } = *self;
        let idmp = self.idmp.clone();
        *copy = Stream { log, groups, groups_bytes, last_id, first_id, max_deleted_id, entries_added, idmp };
        None
    }

    /// Gives back a part of the memory, about `steps` nodes or pending entries; true when all is gone.
    pub fn drop_some(&mut self, steps: usize) -> bool {
        if !self.log.drop_some(steps.div_ceil(100)) {
            return false;
        }
        let Some(mut entry) = self.groups.first_entry() else { return true };
        let before = entry.get().heap_bytes();
        if entry.get_mut().drop_some(steps) {
            let (name, _) = entry.remove_entry();
            self.groups_bytes -= name.len() + before;
        } else {
            self.groups_bytes = self.groups_bytes + entry.get().heap_bytes() - before;
        }
        self.groups.is_empty()
    }

    /// Walks everything and compares it with the accounts.
    pub fn verify(&self) -> Result<(), String> {
        self.log.verify()?;
        let bytes: usize = self.groups.iter().map(|(name, group)| group_bytes(name, group)).sum();
        if bytes != self.groups_bytes {
            return Err(format!("{bytes} bytes of groups, counted {}", self.groups_bytes));
        }
        if self.first_id != self.log.first().map_or(StreamId::MIN, |entry| entry.id) {
            return Err("the first id is wrong".into());
        }
        self.groups.values().try_for_each(Group::verify)
    }
}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;

    type View<'a> = &'a Stream;

    fn view_packed(_: Packed, _: &[u8]) -> &Stream {
        unreachable!("a stream has no small form")
    }

    fn view(&self) -> &Stream {
        self
    }

    fn unpack(_: Packed, _: &[u8]) -> Stream {
        unreachable!("a stream has no small form")
    }

    fn packed(&self) -> Option<(Packed, &[u8])> {
        None
    }

    fn of(value: &Value) -> Option<&Stream> {
        match value {
            Value::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Stream> {
        match value {
            Value::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Stream(Box::new(self))
    }

    /// Redis: a stream without entries stays.
    fn is_empty(&self) -> bool {
        false
    }
}

fn group_bytes(name: &[u8], group: &Group) -> usize {
    name.len() + group.heap_bytes()
}

/// A group being changed; the stream's account follows when it is let go.
pub struct GroupEdit<'a> {
    pub group: &'a mut Group,
    pub log: &'a Log,
    account: &'a mut usize,
    before: usize,
}

impl Drop for GroupEdit<'_> {
    fn drop(&mut self) {
        *self.account = *self.account + self.group.heap_bytes() - self.before;
    }
}

/// Equal when clients could not tell them apart: how entries lie in nodes does not matter.
impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        let head = |stream: &Stream| {
            (
                stream.entry_count(),
                stream.last_id,
                stream.first_id,
                stream.max_deleted_id,
                stream.entries_added,
            )
        };
        let strings = |entry: Entry<'_>| {
            let mut strings = Vec::with_capacity(2 * entry.len());
            entry.for_each(|item| strings.push(item.text(&mut itoa::Buffer::new()).to_vec()));
            (entry.id, strings)
        };
        let all = |stream: &'_ Stream| {
            stream.log.range(StreamId::MIN, StreamId::MAX).map(strings).collect::<Vec<_>>()
        };
        head(self) == head(other) && self.groups == other.groups && all(self) == all(other)
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("len", &self.entry_count())
            .field("last_id", &self.last_id)
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}
