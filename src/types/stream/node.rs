//! A node: a run of entries packed into one byte string.
//!
//! ```text
//!  bytes u32 | live u32 | deleted u32 | first id 16 | last id 16 |          all little-endian
//!  fields n varint | bytes of names varint | bytes of shape varint | bytes of data of that shape varint |
//!  names: n times (length varint, bytes) | shape: n tags | entries
//!
//!  entry: flags u8
//!         [milliseconds since the entry before, varint]        unless SAME_MS
//!         [sequence number, varint: since the entry before     unless NEXT_SEQ (one more than before, or 0 in
//!          when SAME_MS, else itself]                          another millisecond)
//!         [n varint, 2n tags of names and values, data]        unless SAME_FIELDS
//!         [n tags unless SAME_SHAPE, data]                     if SAME_FIELDS
//! ```
//!
//! The names of the first entry's fields are kept once, and so is the *shape* of its values, their tags: entries of
//! values of equal lengths, which is what machines send, cost their data and two bytes.
//!
//! A deleted entry keeps its place and is marked, as in Redis, so that both have the same entries in a node and
//! trimming by whole nodes removes the same ones.
//!
//! INVARIANT: ids ascend, deleted entries included, and the first and last id are those of the first and last entry,
//! deleted or not. `live` is never 0 in a node of a stream. What a node holds was packed here, so reading it trusts
//! its lengths.

use smallvec::SmallVec;

use super::id::StreamId;
use super::item::{Item, Items, listpack_int_bytes, measure, push_varint, take_varint};

const DELETED: u8 = 1;
const SAME_FIELDS: u8 = 2;
const SAME_MS: u8 = 4;
const NEXT_SEQ: u8 = 8;
const SAME_SHAPE: u8 = 16;

const LIVE: usize = 4;
const DELETED_COUNT: usize = 8;
const FIRST: usize = 12;
const LAST: usize = 28;
const HEADER: usize = 44;

/// The fields and values of an entry as they come from a client or a file, in turn.
pub trait Fields<'a> {
    /// How many fields.
    fn count(&self) -> usize;
    fn name(&self, index: usize) -> &'a [u8];
    fn value(&self, index: usize) -> &'a [u8];
}

impl<'a> Fields<'a> for &[(&'a [u8], &'a [u8])] {
    fn count(&self) -> usize {
        self.len()
    }
    fn name(&self, index: usize) -> &'a [u8] {
        self[index].0
    }
    fn value(&self, index: usize) -> &'a [u8] {
        self[index].1
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
fn put_word(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[inline]
fn id_at(bytes: &[u8], at: usize) -> StreamId {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    StreamId { ms: number(at), seq: number(at + 8) }
}

#[inline]
fn put_id(bytes: &mut [u8], at: usize, id: StreamId) {
    bytes[at..at + 8].copy_from_slice(&id.ms.to_le_bytes());
    bytes[at + 8..at + 16].copy_from_slice(&id.seq.to_le_bytes());
}

/// What of a node's header answers without unpacking it.
#[inline]
pub fn node_bytes(node: &[u8]) -> usize {
    word(node, 0) as usize
}

#[inline]
pub fn live(node: &[u8]) -> usize {
    word(node, LIVE) as usize
}

#[inline]
pub fn deleted(node: &[u8]) -> usize {
    word(node, DELETED_COUNT) as usize
}

#[inline]
pub fn first_id(node: &[u8]) -> StreamId {
    id_at(node, FIRST)
}

#[inline]
pub fn last_id(node: &[u8]) -> StreamId {
    id_at(node, LAST)
}

/// Begins a node whose first entry will have this id and these fields. `out` is empty.
pub fn begin<'a>(out: &mut Vec<u8>, id: StreamId, fields: &impl Fields<'a>) {
    debug_assert!(out.is_empty());
    out.resize(HEADER, 0);
    put_id(out, FIRST, id);
    put_id(out, LAST, id);
    let count = fields.count();
    let mut shape: SmallVec<[u8; 64]> = SmallVec::new();
    let (mut names_bytes, mut data_bytes) = (0, 0);
    let mut scratch = Vec::new();
    for index in 0..count {
        let name = fields.name(index);
        names_bytes += varint_bytes(name.len() as u64) + name.len();
        scratch.clear();
        Item::of(fields.value(index)).push_tag(&mut scratch);
        data_bytes += measure(&scratch, 1).1;
        shape.extend_from_slice(&scratch);
    }
    for number in [count, names_bytes, shape.len(), data_bytes] {
        push_varint(out, number as u64);
    }
    for index in 0..count {
        let name = fields.name(index);
        push_varint(out, name.len() as u64);
        out.extend_from_slice(name);
    }
    out.extend_from_slice(&shape);
    seal_length(out);
}

fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[inline]
fn seal_length(node: &mut [u8]) {
    let len = u32::try_from(node.len()).expect("a node is below four gigabytes");
    put_word(node, 0, len);
}

/// Appends an entry to a node. Its id is above all in it, or it is the first and has the node's id. The bytes it would
/// have in a listpack.
pub fn append<'a>(node: &mut Vec<u8>, id: StreamId, fields: &impl Fields<'a>, is_deleted: bool) -> usize {
    let head = Node::open(node);
    let is_first = head.entries_at == node.len();
    let last = last_id(node);
    debug_assert!(if is_first { id == last } else { id > last });
    let mut flags = if is_deleted { DELETED } else { 0 };
    let same_fields = head.has_fields(fields);
    if same_fields {
        flags |= SAME_FIELDS;
    }
    let shape_range = head.shape_range();
    let first = head.first;
    let at = node.len();
    node.push(0);
    if id.ms == last.ms {
        flags |= SAME_MS;
        // The first entry is its own predecessor.
        if !is_first && id.seq == last.seq + 1 {
            flags |= NEXT_SEQ;
        } else {
            push_varint(node, id.seq - last.seq);
        }
    } else {
        push_varint(node, id.ms - last.ms);
        if id.seq == 0 {
            flags |= NEXT_SEQ;
        } else {
            push_varint(node, id.seq);
        }
    }
    let count = fields.count();
    let mut listpack_bytes = 0;
    if same_fields {
        let items: SmallVec<[Item<'_>; 16]> = (0..count).map(|index| Item::of(fields.value(index))).collect();
        let tags_at = node.len();
        for item in &items {
            item.push_tag(node);
            listpack_bytes += item.listpack_bytes();
        }
        if node[tags_at..] == node[shape_range] {
            flags |= SAME_SHAPE;
            node.truncate(tags_at);
        }
        items.iter().for_each(|item| item.push_data(node));
    } else {
        push_varint(node, count as u64);
        let strings = |index: usize| [fields.name(index), fields.value(index)].map(Item::of);
        for item in (0..count).flat_map(strings) {
            item.push_tag(node);
            listpack_bytes += item.listpack_bytes();
        }
        (0..count).flat_map(strings).for_each(|item| item.push_data(node));
    }
    node[at] = flags;
    seal_length(node);
    put_id(node, LAST, id);
    let counter = if is_deleted { DELETED_COUNT } else { LIVE };
    let counted = word(node, counter) + 1;
    put_word(node, counter, counted);
    entry_listpack_bytes(id, first, count, same_fields, listpack_bytes)
}

/// Marks the entry at `offset` as deleted.
pub fn mark_deleted(node: &mut [u8], offset: usize) {
    debug_assert!(node[offset] & DELETED == 0);
    node[offset] |= DELETED;
    let (live, deleted) = (word(node, LIVE), word(node, DELETED_COUNT));
    put_word(node, LIVE, live - 1);
    put_word(node, DELETED_COUNT, deleted + 1);
}

/// A node's header, unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    bytes: &'a [u8],
    pub first: StreamId,
    fields: u32,
    names_at: u32,
    shape_at: u32,
    shape_data_bytes: u32,
    entries_at: usize,
}

impl<'a> Node<'a> {
    /// The node at the beginning of `bytes`.
    #[inline]
    pub fn open(bytes: &'a [u8]) -> Node<'a> {
        let bytes = &bytes[..node_bytes(bytes)];
        let mut at = HEADER;
        let fields = take_varint(bytes, &mut at) as u32;
        let names_bytes = take_varint(bytes, &mut at) as u32;
        let shape_bytes = take_varint(bytes, &mut at) as u32;
        let shape_data_bytes = take_varint(bytes, &mut at) as u32;
        let names_at = at as u32;
        let shape_at = names_at + names_bytes;
        Node {
            bytes,
            first: id_at(bytes, FIRST),
            fields,
            names_at,
            shape_at,
            shape_data_bytes,
            entries_at: (shape_at + shape_bytes) as usize,
        }
    }

    fn shape_range(&self) -> std::ops::Range<usize> {
        self.shape_at as usize..self.entries_at
    }

    /// The names that most entries share.
    pub fn names(&self) -> Names<'a> {
        Names { bytes: &self.bytes[self.names_at as usize..self.shape_at as usize] }
    }

    #[inline]
    fn has_fields<'f>(&self, fields: &impl Fields<'f>) -> bool {
        self.fields as usize == fields.count()
            && self.names().enumerate().all(|(index, name)| name == fields.name(index))
    }

    /// All entries, deleted ones included.
    #[inline]
    pub fn entries(&self) -> Entries<'a> {
        Entries { node: *self, at: self.entries_at, before: self.first }
    }

    /// Bytes of Redis's listpack for this node, but for its two counts of entries.
    pub fn listpack_bytes(&self) -> usize {
        let names: usize = self.names().map(|name| Item::of(name).listpack_bytes()).sum();
        // Header and end; the number of fields, and the zero behind their names.
        let master = 7 + listpack_int_bytes(i64::from(self.fields)) + names + 2;
        master + self.entries().map(|entry| entry.listpack_bytes(self.first)).sum::<usize>()
    }
}

/// The names of a node's fields.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.bytes.is_empty() {
            return None;
        }
        let mut at = 0;
        let len = take_varint(self.bytes, &mut at) as usize;
        let (name, rest) = self.bytes[at..].split_at(len);
        self.bytes = rest;
        Some(name)
    }
}

/// Walks a node forwards.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    node: Node<'a>,
    at: usize,
    before: StreamId,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let bytes = self.node.bytes;
        let offset = self.at;
        let flags = *bytes.get(offset)?;
        let mut at = offset + 1;
        let mut id = self.before;
        if flags & SAME_MS == 0 {
            id.ms += take_varint(bytes, &mut at);
            id.seq = if flags & NEXT_SEQ == 0 { take_varint(bytes, &mut at) } else { 0 };
        } else if flags & NEXT_SEQ == 0 {
            id.seq += take_varint(bytes, &mut at);
        } else {
            id.seq += 1;
        }
        let (fields, tags, data_bytes) = if flags & SAME_SHAPE != 0 {
            (self.node.fields, &bytes[self.node.shape_range()], self.node.shape_data_bytes as usize)
        } else if flags & SAME_FIELDS != 0 {
            let (tag_bytes, data_bytes) = measure(&bytes[at..], self.node.fields as usize);
            at += tag_bytes;
            (self.node.fields, &bytes[at - tag_bytes..at], data_bytes)
        } else {
            let fields = take_varint(bytes, &mut at) as u32;
            let (tag_bytes, data_bytes) = measure(&bytes[at..], 2 * fields as usize);
            at += tag_bytes;
            (fields, &bytes[at - tag_bytes..at], data_bytes)
        };
        self.at = at + data_bytes;
        self.before = id;
        let names = if flags & SAME_FIELDS != 0 { self.node.names() } else { Names { bytes: &[] } };
        Some(Entry { id, offset, flags, fields, names, tags, data: &bytes[at..at + data_bytes] })
    }
}

/// An entry where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub id: StreamId,
    /// Where it begins in its node.
    pub offset: usize,
    flags: u8,
    fields: u32,
    names: Names<'a>,
    tags: &'a [u8],
    data: &'a [u8],
}

impl<'a> Entry<'a> {
    #[inline]
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// Its fields are those of its node.
    #[inline]
    pub fn has_node_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }

    /// How many fields it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.fields as usize
    }

    /// True when it has no fields; only files bring such entries.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Visits names and values, in turn.
    #[inline]
    pub fn for_each(&self, mut visit: impl FnMut(Item<'a>)) {
        let items = Items::new(self.tags, self.data);
        if self.has_node_fields() {
            for (name, value) in self.names.zip(items) {
                visit(Item::Bytes(name));
                visit(value);
            }
        } else {
            items.for_each(visit);
        }
    }

    /// Its values alone, when its fields are its node's; else names and values in turn.
    pub fn items(&self) -> Items<'a> {
        Items::new(self.tags, self.data)
    }

    /// How many elements it has in Redis's listpack: the flags, both parts of the id, and its strings.
    pub fn listpack_elements(&self) -> usize {
        if self.has_node_fields() { self.len() + 3 } else { 2 * self.len() + 4 }
    }

    /// Bytes of these elements, and of their count behind them.
    fn listpack_bytes(&self, node_first: StreamId) -> usize {
        let strings: usize = self.items().map(|item| item.listpack_bytes()).sum();
        entry_listpack_bytes(self.id, node_first, self.len(), self.has_node_fields(), strings)
    }
}

fn entry_listpack_bytes(
    id: StreamId,
    node_first: StreamId,
    fields: usize,
    same_fields: bool,
    strings: usize,
) -> usize {
    let id_bytes = listpack_int_bytes(id.ms.wrapping_sub(node_first.ms) as i64)
        + listpack_int_bytes(id.seq.wrapping_sub(node_first.seq) as i64);
    let elements = if same_fields { fields + 3 } else { 2 * fields + 4 };
    let count = if same_fields { 0 } else { listpack_int_bytes(fields as i64) };
    listpack_int_bytes(3) + id_bytes + count + strings + listpack_int_bytes(elements as i64)
}
