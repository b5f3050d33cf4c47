//! The log: a stream's entries, in nodes, in the order of their ids.
//!
//! ```text
//!  segments, by a lower bound of their ids                        tail
//!  ┌ node │ node │ node ┐ ┌ node │ node ┐ ... ┌ node │ node │  ┐  [ node that grows ]
//!  └──── 32 KiB ────────┘ └─────────────┘     └────────────────┘
//! ```
//!
//! The newest entries are in the *tail*, the node that grows. A full node is put behind the others of the last
//! *segment*, one allocation for many nodes: an allocator rounds a node of some kilobytes up by an eighth on average,
//! and a tree of single nodes costs half of that again.
//!
//! Where a node ends is what clients see of it (XTRIM with `~`, DUMP), so it ends where Redis's would: the log counts
//! the bytes that the tail would have as a listpack.
//!
//! INVARIANT: the ids of live entries, and the first ids of nodes, ascend over all nodes; every node has a live entry;
//! a segment has at least one node; when there is any entry there is a tail.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use super::id::StreamId;
use super::item::listpack_int_bytes;
use super::node::{self, Entries, Entry, Fields, Node};

/// Bytes of a segment, unless its only node has more.
const SEGMENT_BYTES: usize = 32 * 1024;
/// The least by which the tail grows.
const TAIL_STEP: usize = 64;
/// What the tree of segments costs for each: key and value in a B-tree node that is about two thirds full, and what
/// the allocator adds to the segment.
const SEGMENT_OVERHEAD: usize = 80;

/// When a node is full: Redis's `stream-node-max-bytes` and `stream-node-max-entries`; 0 is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeLimits {
    pub bytes: usize,
    pub entries: usize,
}

impl Default for NodeLimits {
    fn default() -> NodeLimits {
        NodeLimits { bytes: 4096, entries: 100 }
    }
}

/// Bytes of one entry's strings, and of a node, that nothing may exceed.
pub const NODE_BYTES_MAX: usize = 1 << 30;

/// A stream's entries.
#[derive(Clone, Default)]
pub struct Log {
    segments: BTreeMap<StreamId, Vec<u8>>,
    tail: Vec<u8>,
    /// What the tail would be as a listpack, its two counts of entries left out.
    tail_listpack_bytes: usize,
    nodes: usize,
    live: u64,
    /// Bytes of the segments' allocations.
    segment_bytes: usize,
}

/// Where a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Tail,
    /// In the segment of this key, at this offset.
    Segment(StreamId, usize),
}

impl Log {
    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// How many nodes they are in.
    pub fn node_count(&self) -> usize {
        self.nodes
    }

    pub fn heap_bytes(&self) -> usize {
        self.segment_bytes + self.segments.len() * SEGMENT_OVERHEAD + self.tail.capacity()
    }

    /// Appends an entry above all others.
    pub fn append<'a>(&mut self, id: StreamId, fields: &impl Fields<'a>, limits: NodeLimits) {
        if !self.tail.is_empty() && self.tail_is_full(id, fields, limits) {
            self.seal_tail();
        }
        if self.tail.is_empty() {
            self.begin_tail(id, fields);
        }
        self.append_to_tail(id, fields, false);
    }

    fn tail_is_full<'a>(&self, id: StreamId, fields: &impl Fields<'a>, limits: NodeLimits) -> bool {
        let most = match limits.bytes {
            0 => NODE_BYTES_MAX,
            bytes => bytes.min(NODE_BYTES_MAX),
        };
        let strings: usize =
            (0..fields.count()).map(|index| fields.name(index).len() + fields.value(index).len()).sum();
        let (live, deleted) = (node::live(&self.tail), node::deleted(&self.tail));
        let counts = listpack_int_bytes(live as i64) + listpack_int_bytes(deleted as i64);
        self.tail_listpack_bytes + counts + strings >= most
            || (limits.entries > 0 && live + deleted >= limits.entries)
            // XSETID may have set the stream back behind what is deleted at its end.
            || id <= node::last_id(&self.tail)
            // Ours may be longer than a listpack; what counts it is 32 bits wide.
            || self.tail.len() + strings >= 2 * NODE_BYTES_MAX
    }

    fn begin_tail<'a>(&mut self, id: StreamId, fields: &impl Fields<'a>) {
        node::begin(&mut self.tail, id, fields);
        self.tail_listpack_bytes = Node::open(&self.tail).listpack_bytes();
        self.nodes += 1;
    }

    fn append_to_tail<'a>(&mut self, id: StreamId, fields: &impl Fields<'a>, is_deleted: bool) {
        // Grows by a half, so that many short streams do not hold what they may never need.
        let room = self.tail.capacity() - self.tail.len();
        if room < TAIL_STEP {
            self.tail.reserve_exact((self.tail.len() / 2).max(TAIL_STEP));
        }
        self.tail_listpack_bytes += node::append(&mut self.tail, id, fields, is_deleted);
        self.live += u64::from(!is_deleted);
    }

    /// Puts the tail behind the nodes of the last segment, or begins another.
    fn seal_tail(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        self.push_sealed(&tail);
        // The next one will be about as long.
        self.tail = tail;
        self.tail.clear();
    }

    fn push_sealed(&mut self, sealed: &[u8]) {
        if let Some(mut last) = self.segments.last_entry() {
            let segment = last.get_mut();
            self.segment_bytes -= segment.capacity();
            if segment.len() + sealed.len() <= SEGMENT_BYTES {
                let room = segment.capacity() - segment.len();
                if room < sealed.len() {
                    // By a quarter, but not beyond what a segment may have.
                    let most = SEGMENT_BYTES - segment.len();
                    segment.reserve_exact((segment.len() / 4).max(sealed.len()).min(most));
                }
                segment.extend_from_slice(sealed);
                self.segment_bytes += segment.capacity();
                return;
            }
            segment.shrink_to_fit();
            self.segment_bytes += segment.capacity();
        }
        let segment = sealed.to_vec();
        self.segment_bytes += segment.capacity();
        self.segments.insert(node::first_id(sealed), segment);
    }

    /// Makes the last sealed node the tail again, when the tail is gone.
    fn reopen_tail(&mut self) {
        debug_assert!(self.tail.is_empty());
        let Some((&key, segment)) = self.segments.last_key_value() else { return };
        let last = offsets(segment).last().expect("a segment has a node");
        self.tail = segment[last..].to_vec();
        self.tail_listpack_bytes = Node::open(&self.tail).listpack_bytes();
        self.cut_segment(key, last..segment.len());
    }

    /// Takes bytes out of a segment, and the segment with the last of them.
    fn cut_segment(&mut self, key: StreamId, range: std::ops::Range<usize>) {
        let segment = self.segments.get_mut(&key).expect("the segment was found");
        self.segment_bytes -= segment.capacity();
        if range.len() == segment.len() {
            self.segments.remove(&key);
            return;
        }
        segment.drain(range);
        segment.shrink_to_fit();
        self.segment_bytes += segment.capacity();
    }

    /// The node that holds an id if any does.
    fn place_of(&self, id: StreamId) -> Option<Place> {
        if !self.tail.is_empty() && node::first_id(&self.tail) <= id {
            return Some(Place::Tail);
        }
        let (&key, segment) = self.segments.range(..=id).next_back()?;
        let offset = offsets(segment).take_while(|&at| node::first_id(&segment[at..]) <= id).last()?;
        Some(Place::Segment(key, offset))
    }

    fn node_at(&self, place: Place) -> &[u8] {
        match place {
            Place::Tail => &self.tail,
            Place::Segment(key, at) => &self.segments[&key][at..],
        }
    }

    /// The live entry with this id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let node = self.node_at(self.place_of(id)?);
        if id > node::last_id(node) {
            return None;
        }
        Node::open(node)
            .entries()
            .find(|entry| entry.id >= id)
            .filter(|entry| entry.id == id && !entry.is_deleted())
    }

    /// Deletes the entry with this id. False when there is none.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some(place) = self.place_of(id) else { return false };
        let Some(offset) = self.get(id).map(|entry| entry.offset) else { return false };
        if node::live(self.node_at(place)) == 1 {
            self.remove_node(place);
        } else {
            let node = match place {
                Place::Tail => &mut self.tail[..],
                Place::Segment(key, at) => {
                    &mut self.segments.get_mut(&key).expect("the segment was found")[at..]
                }
            };
            node::mark_deleted(node, offset);
            self.live -= 1;
        }
        true
    }

    fn remove_node(&mut self, place: Place) {
        let node = self.node_at(place);
        let (live, bytes) = (node::live(node), node::node_bytes(node));
        self.live -= live as u64;
        self.nodes -= 1;
        match place {
            Place::Tail => {
                self.tail = Vec::new();
                self.tail_listpack_bytes = 0;
                self.reopen_tail();
            }
            Place::Segment(key, at) => self.cut_segment(key, at..at + bytes),
        }
    }

    /// Drops the first nodes as long as `drop` says so of one, given its header's bytes and the count of live entries
    /// before it is dropped.
    pub fn drop_front(&mut self, mut drop: impl FnMut(&[u8], u64) -> bool) {
        while let Some((&key, segment)) = self.segments.first_key_value() {
            let (mut at, mut nodes, mut live) = (0, 0, 0);
            while at < segment.len() && drop(&segment[at..], self.live - live) {
                live += node::live(&segment[at..]) as u64;
                at += node::node_bytes(&segment[at..]);
                nodes += 1;
            }
            let whole = at == segment.len();
            if nodes > 0 {
                self.live -= live;
                self.nodes -= nodes;
                self.cut_segment(key, 0..at);
            }
            if !whole {
                return;
            }
        }
        if !self.tail.is_empty() && drop(&self.tail, self.live) {
            self.remove_node(Place::Tail);
        }
    }

    /// Deletes live entries of the first node from its first on, as long as `delete` says so of one, given its id and
    /// the count of live entries before it is deleted. How many, and whether that was all of the node.
    pub fn delete_front(&mut self, mut delete: impl FnMut(StreamId, u64) -> bool) -> (u64, bool) {
        let node = match self.segments.values_mut().next() {
            Some(segment) => &mut segment[..],
            None if self.tail.is_empty() => return (0, false),
            None => &mut self.tail[..],
        };
        let mut gone: smallvec::SmallVec<[usize; 16]> = smallvec::SmallVec::new();
        for entry in Node::open(node).entries().filter(|entry| !entry.is_deleted()) {
            if !delete(entry.id, self.live - gone.len() as u64) {
                break;
            }
            gone.push(entry.offset);
        }
        let all = gone.len() == node::live(node);
        if all {
            // Only when what is deleted at the node's end kept it from being dropped as a whole.
            let place = match self.segments.keys().next() {
                Some(&key) => Place::Segment(key, 0),
                None => Place::Tail,
            };
            self.remove_node(place);
        } else {
            gone.iter().for_each(|&offset| node::mark_deleted(node, offset));
            self.live -= gone.len() as u64;
        }
        (gone.len() as u64, all)
    }

    /// The bytes of every node, in order.
    pub fn nodes(&self) -> impl Iterator<Item = &[u8]> {
        let sealed = self.segments.values().flat_map(|segment| offsets(segment).map(|at| &segment[at..]));
        sealed.chain((!self.tail.is_empty()).then_some(&self.tail[..]))
    }

    /// The same from the node on in which an id is, or would be.
    pub fn nodes_from(&self, id: StreamId) -> impl Iterator<Item = &[u8]> {
        let key = self.segments.range(..=id).next_back().map_or(StreamId::MIN, |(key, _)| *key);
        let sealed =
            self.segments.range(key..).flat_map(|(_, segment)| offsets(segment).map(|at| &segment[at..]));
        let all = sealed.chain((!self.tail.is_empty()).then_some(&self.tail[..]));
        all.skip_while(move |bytes| node::first_id(bytes) < id)
    }

    /// The live entries with ids from `start` to `end`, both included.
    #[inline]
    pub fn range(&self, start: StreamId, end: StreamId) -> Forward<'_> {
        let mut walk = Forward {
            log: self,
            segments: btree_map::Range::default(),
            rest: &[],
            at_tail: true,
            entries: None,
            start,
            end,
        };
        if start > end || self.tail.is_empty() {
            return walk;
        }
        if node::first_id(&self.tail) <= start {
            walk.entries = Some(Node::open(&self.tail).entries());
            return walk;
        }
        walk.at_tail = false;
        let from = self.segments.range(..=start).next_back().map_or(StreamId::MIN, |(key, _)| *key);
        walk.segments = self.segments.range(from..);
        if let Some((_, segment)) = walk.segments.next() {
            let begin = offsets(segment).take_while(|&at| node::first_id(&segment[at..]) <= start).last();
            walk.rest = &segment[begin.unwrap_or(0)..];
        }
        walk
    }

    /// The same, from the last to the first.
    pub fn range_rev(&self, start: StreamId, end: StreamId) -> Backward<'_> {
        let mut walk = Backward {
            segments: btree_map::Range::default(),
            segment: &[],
            offsets: Vec::new(),
            entries: Vec::new(),
            start,
            end,
        };
        if start <= end && !self.tail.is_empty() {
            walk.segments = self.segments.range(..=end);
            if node::first_id(&self.tail) <= end {
                walk.unpack(&self.tail);
            }
        }
        walk
    }

    /// The first live entry.
    pub fn first(&self) -> Option<Entry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX).next()
    }

    /// The last live entry.
    pub fn last(&self) -> Option<Entry<'_>> {
        self.range_rev(StreamId::MIN, StreamId::MAX).next()
    }

    /// Begins a node read from a file, whose first entry will have this id and, most likely, these fields. False when
    /// the node is not above what is there.
    pub fn begin_node<'a>(&mut self, first: StreamId, fields: &impl Fields<'a>) -> bool {
        let above = self.tail.is_empty()
            || (first > node::first_id(&self.tail) && self.last().is_none_or(|last| first > last.id));
        if above {
            if !self.tail.is_empty() {
                self.seal_tail();
            }
            self.begin_tail(first, fields);
        }
        above
    }

    /// Adds an entry read from a file to the node that was begun. Ids ascend from the node's, and one at least is not
    /// deleted.
    pub fn add_to_node<'a>(&mut self, id: StreamId, fields: &impl Fields<'a>, is_deleted: bool) {
        self.append_to_tail(id, fields, is_deleted);
    }

    /// Copies segments of about so many bytes behind those that the copy has, and at last what is not sealed; true when
    /// there are more.
    pub fn copy_some(&self, copy: &mut Log, max_bytes: usize) -> bool {
        let after = copy.segments.last_key_value().map_or(Bound::Unbounded, |(key, _)| Bound::Excluded(*key));
        let mut bytes = 0;
        for (key, segment) in self.segments.range((after, Bound::Unbounded)) {
            if bytes >= max_bytes {
                return true;
            }
            let segment = segment.clone();
            bytes += segment.len();
            copy.segment_bytes += segment.capacity();
            for at in offsets(&segment) {
                copy.nodes += 1;
                copy.live += node::live(&segment[at..]) as u64;
            }
            copy.segments.insert(*key, segment);
        }
        copy.tail = self.tail.clone();
        copy.tail_listpack_bytes = self.tail_listpack_bytes;
        (copy.nodes, copy.live) = (self.nodes, self.live);
        false
    }

    /// Gives back the memory of some nodes; true when all is gone.
    pub fn drop_some(&mut self, nodes: usize) -> bool {
        let mut dropped = 0;
        while dropped < nodes.max(1) {
            let Some((_, segment)) = self.segments.pop_first() else {
                *self = Log::default();
                return true;
            };
            self.segment_bytes -= segment.capacity();
            let count = offsets(&segment).count();
            dropped += count;
            self.nodes -= count;
            self.live -= offsets(&segment).map(|at| node::live(&segment[at..]) as u64).sum::<u64>();
        }
        false
    }

    /// Walks everything and compares it with the accounts.
    pub fn verify(&self) -> Result<(), String> {
        let (mut nodes, mut live, mut live_before, mut node_before) = (0, 0, None, None);
        for bytes in self.nodes() {
            let node = Node::open(bytes);
            let (mut alive, mut deleted, mut last) = (0, 0, node.first);
            if node_before.replace(node.first).is_some_and(|before| before >= node.first) {
                return Err(format!("the node of {} is out of order", node.first));
            }
            for (index, entry) in node.entries().enumerate() {
                if if index == 0 { entry.id != node.first } else { entry.id <= last } {
                    return Err(format!("id {} is out of order", entry.id));
                }
                last = entry.id;
                if entry.is_deleted() {
                    deleted += 1;
                    continue;
                }
                alive += 1;
                if live_before.replace(entry.id).is_some_and(|before| before >= entry.id) {
                    return Err(format!("id {} is there before", entry.id));
                }
            }
            if (alive, deleted) != (node::live(bytes), node::deleted(bytes)) || alive == 0 {
                return Err(format!("the node of {} counts wrong", node.first));
            }
            if last != node::last_id(bytes) {
                return Err(format!("the node of {} ends at {last}", node.first));
            }
            nodes += 1;
            live += alive as u64;
        }
        let bytes: usize = self.segments.values().map(Vec::capacity).sum();
        if (nodes, live, bytes) != (self.nodes, self.live, self.segment_bytes) {
            return Err("the accounts are wrong".into());
        }
        if self.segments.iter().any(|(key, segment)| *key > node::first_id(segment)) {
            return Err("a segment begins before its key".into());
        }
        if self.tail.is_empty() != (live == 0) {
            return Err("there are entries but no tail".into());
        }
        if !self.tail.is_empty() && Node::open(&self.tail).listpack_bytes() != self.tail_listpack_bytes {
            return Err("the length of the tail's listpack is wrong".into());
        }
        Ok(())
    }
}

/// Where the nodes of a segment begin.
fn offsets(segment: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let here = (at < segment.len()).then_some(at)?;
        at += node::node_bytes(&segment[here..]);
        Some(here)
    })
}

/// Live entries in the order of their ids.
pub struct Forward<'a> {
    log: &'a Log,
    segments: btree_map::Range<'a, StreamId, Vec<u8>>,
    /// What is left of the current segment.
    rest: &'a [u8],
    at_tail: bool,
    entries: Option<Entries<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for Forward<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(entries) = &mut self.entries {
                for entry in entries {
                    if entry.id < self.start || entry.is_deleted() {
                        continue;
                    }
                    if entry.id > self.end {
                        self.at_tail = true;
                        self.entries = None;
                        return None;
                    }
                    return Some(entry);
                }
            }
            self.entries = None;
            if self.at_tail {
                return None;
            }
            if self.rest.is_empty() {
                match self.segments.next() {
                    Some((_, segment)) => self.rest = segment,
                    None => {
                        self.at_tail = true;
                        self.entries = Some(Node::open(&self.log.tail).entries());
                        continue;
                    }
                }
            }
            let (node, rest) = self.rest.split_at(node::node_bytes(self.rest));
            self.rest = rest;
            self.entries = Some(Node::open(node).entries());
        }
    }
}

/// Live entries from the last to the first. A node is unpacked forwards and handed out backwards.
pub struct Backward<'a> {
    segments: btree_map::Range<'a, StreamId, Vec<u8>>,
    segment: &'a [u8],
    /// Where its nodes begin that are still to come.
    offsets: Vec<usize>,
    entries: Vec<Entry<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Backward<'a> {
    fn unpack(&mut self, node: &'a [u8]) {
        let (start, end) = (self.start, self.end);
        let live = Node::open(node).entries().filter(|entry| !entry.is_deleted());
        self.entries.extend(live.skip_while(|entry| entry.id < start).take_while(|entry| entry.id <= end));
    }
}

impl<'a> Iterator for Backward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(entry) = self.entries.pop() {
                return Some(entry);
            }
            let Some(at) = self.offsets.pop() else {
                let (_, segment) = self.segments.next_back()?;
                self.segment = segment;
                self.offsets.extend(offsets(segment));
                continue;
            };
            let node = &self.segment[at..];
            if node::first_id(node) > self.end {
                continue;
            }
            if node::last_id(node) < self.start {
                self.offsets.clear();
                self.segments = btree_map::Range::default();
                return None;
            }
            self.unpack(node);
        }
    }
}
