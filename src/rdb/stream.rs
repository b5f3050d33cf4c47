//! Streams.
//!
//! ```text
//! 19 STREAM_LISTPACKS_2
//!    nodes │ (a string: the first id, 16 bytes big-endian │ a string: a listpack) …
//!    entries │ last id │ first id │ largest deleted id │ entries ever added          an id is two lengths
//!    groups │ (a string: the name │ last id │ entries read │ pending │ consumers) …
//!    pending: count │ (id, 16 bytes big-endian │ delivered at, 8 bytes │ deliveries) …
//!    consumers: count │ (a string: the name │ seen at, 8 bytes │ count │ ids, 16 bytes each) …
//! 15 STREAM_LISTPACKS    without what comes after the last id, and without entries read
//! 21 STREAM_LISTPACKS_3  with the time a consumer was active at, behind the one it was seen at
//!
//! a node's listpack: live │ deleted │ n │ n names │ 0 │ entries
//! an entry:          flags │ milliseconds and sequence number, both since the first id
//!                    │ n │ names and values in turn      or, when the names are the node's: its values
//!                    │ count of the elements before in the entry
//! ```
//!
//! What is read keeps the invariants of `types/stream` or is refused: ids ascend and do not exceed the last id, counts
//! are what they say, and every pending entry has exactly one consumer.

use std::borrow::Cow;

use super::error::RdbError;
use super::format::kind;
use super::read::{Reader, Text};
use super::write::Writer;
use crate::types::listpack::{Element, Listpack};
use crate::types::stream::{Entry, Fields, Group, Item, NOBODY, Nack, Stream, StreamId, node};

/// An entry's flags in its listpack.
const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Writes a stream of type 19, without its type number.
pub fn write(writer: &mut Writer, stream: &Stream) {
    writer.length(stream.log().node_count() as u64);
    for bytes in stream.log().nodes() {
        writer.string(&node::first_id(bytes).to_be_bytes());
        writer.string(&listpack_of(bytes).to_redis());
    }
    writer.length(stream.entry_count());
    for id in [stream.last_id, stream.first_id(), stream.max_deleted_id] {
        write_id(writer, id);
    }
    writer.length(stream.entries_added);
    writer.length(stream.groups().len() as u64);
    for (name, group) in stream.groups() {
        writer.string(name);
        write_id(writer, group.last_id);
        // -1 is what an unknown count is written as.
        writer.length(group.entries_read.unwrap_or(u64::MAX));
        write_group(writer, group);
    }
}

fn write_id(writer: &mut Writer, id: StreamId) {
    writer.length(id.ms);
    writer.length(id.seq);
}

fn write_group(writer: &mut Writer, group: &Group) {
    writer.length(group.pending().len() as u64);
    for (id, nack) in group.pending() {
        writer.out.extend(id.to_be_bytes());
        writer.out.extend(nack.delivered_at_ms.to_le_bytes());
        writer.length(nack.delivery_count);
    }
    // What was given back has no consumer, and this format knows no such thing: it is written as a nameless one's,
    // which is what clients see of it.
    let unowned = || group.pending().iter().filter(|(_, nack)| nack.consumer == NOBODY).map(|(id, _)| id);
    let unowned_count = unowned().count();
    let is_nameless_there = group.consumer_index(b"").is_some();
    let nameless = unowned_count > 0 && !is_nameless_there;
    writer.length((group.consumer_count() + usize::from(nameless)) as u64);
    if nameless {
        write_consumer(writer, b"", 0, unowned_count);
        unowned().for_each(|id| writer.out.extend(id.to_be_bytes()));
    }
    for consumer in group.consumers() {
        let more = if consumer.name.is_empty() { unowned_count } else { 0 };
        write_consumer(writer, &consumer.name, consumer.seen_at_ms, consumer.pending.len() + more);
        consumer.pending.iter().for_each(|id| writer.out.extend(id.to_be_bytes()));
        if more > 0 {
            unowned().for_each(|id| writer.out.extend(id.to_be_bytes()));
        }
    }
}

fn write_consumer(writer: &mut Writer, name: &[u8], seen_at_ms: i64, pending: usize) {
    writer.string(name);
    writer.out.extend(seen_at_ms.to_le_bytes());
    writer.length(pending as u64);
}

/// A node as Redis would hold it.
fn listpack_of(bytes: &[u8]) -> Listpack {
    let node = node::Node::open(bytes);
    let mut pack = Listpack::new();
    let names = node.names();
    for number in [node::live(bytes), node::deleted(bytes), names.count()] {
        pack.push_back(Element::Int(number as i64));
    }
    names.for_each(|name| pack.push_back(Element::of(name)));
    pack.push_back(Element::Int(0));
    for entry in node.entries() {
        push_entry(&mut pack, &entry, node.first);
    }
    pack
}

fn push_entry(pack: &mut Listpack, entry: &Entry<'_>, first: StreamId) {
    let same_fields = entry.has_node_fields();
    let flags = if same_fields { SAME_FIELDS } else { 0 } | if entry.is_deleted() { DELETED } else { 0 };
    let since = |id: u64, first: u64| Element::Int(id.wrapping_sub(first) as i64);
    pack.push_back(Element::Int(flags));
    pack.push_back(since(entry.id.ms, first.ms));
    pack.push_back(since(entry.id.seq, first.seq));
    if !same_fields {
        pack.push_back(Element::Int(entry.len() as i64));
    }
    for item in entry.items() {
        pack.push_back(match item {
            Item::Int(value) => Element::Int(value),
            Item::Bytes(bytes) => Element::Bytes(bytes),
        });
    }
    pack.push_back(Element::Int(entry.listpack_elements() as i64));
}

/// Reads a stream of one of the types above.
pub fn read(reader: &mut Reader<'_>, of: u8) -> Result<Stream, RdbError> {
    read_stream(reader, of)?.ok_or(RdbError::BadValue(of))
}

fn read_stream(reader: &mut Reader<'_>, of: u8) -> Result<Option<Stream>, RdbError> {
    let mut stream = Stream::new();
    for _ in 0..reader.length()? {
        let first = text(reader)?;
        let Ok(first) = <[u8; 16]>::try_from(&*first) else { return Ok(None) };
        let pack = text(reader)?;
        let Some(pack) = Listpack::from_redis(&pack) else { return Ok(None) };
        if read_node(&mut stream, StreamId::from_be_bytes(first), &pack).is_none() {
            return Ok(None);
        }
    }
    stream.nodes_are_read();
    if reader.length()? != stream.entry_count() {
        return Ok(None);
    }
    stream.last_id = read_id(reader)?;
    stream.entries_added = stream.entry_count();
    if of != kind::STREAM_LISTPACKS {
        // The first id is known from the entries.
        read_id(reader)?;
        stream.max_deleted_id = read_id(reader)?;
        stream.entries_added = reader.length()?;
    }
    if stream.log().last().is_some_and(|last| last.id > stream.last_id) {
        return Ok(None);
    }
    for _ in 0..reader.length()? {
        let name = text(reader)?.into_owned();
        let last_id = read_id(reader)?;
        let entries_read = match of {
            kind::STREAM_LISTPACKS => stream.counters().entries_up_to(last_id),
            _ => Some(reader.length()?).filter(|read| *read != u64::MAX),
        };
        let mut group = Group::new(last_id, entries_read);
        if !read_group(reader, &mut group, of)? || !stream.add_group(&name, group) {
            return Ok(None);
        }
    }
    Ok(Some(stream))
}

/// Reads what is pending and for whom; false when it contradicts itself.
fn read_group(reader: &mut Reader<'_>, group: &mut Group, of: u8) -> Result<bool, RdbError> {
    let pending = reader.length()?;
    for _ in 0..pending {
        let id = raw_id(reader)?;
        let delivered_at_ms = time(reader)?;
        let delivery_count = reader.length()?;
        if !group.add_pending(id, Nack { consumer: NOBODY, delivered_at_ms, delivery_count }) {
            return Ok(false);
        }
    }
    let mut owned = 0;
    for _ in 0..reader.length()? {
        let name = text(reader)?;
        if group.consumer_index(&name).is_some() {
            return Ok(false);
        }
        let seen_at_ms = time(reader)?;
        let active_at_ms = if of == kind::STREAM_LISTPACKS_3 { Some(time(reader)?) } else { None };
        let consumer = group.add_consumer(&name, 0);
        let entry = group.consumer_mut(consumer);
        (entry.seen_at_ms, entry.active_at_ms) = (seen_at_ms, active_at_ms.filter(|at| *at >= 0));
        for _ in 0..reader.length()? {
            let id = raw_id(reader)?;
            match group.pending().get(&id) {
                Some(nack) if nack.consumer == NOBODY => group.deliver(id, Nack { consumer, ..*nack }),
                _ => return Ok(false),
            }
            owned += 1;
        }
    }
    Ok(owned == pending)
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, [u8]>, RdbError> {
    Ok(match reader.string()? {
        Text::Int(value) => itoa::Buffer::new().format(value).as_bytes().to_vec().into(),
        Text::Borrowed(bytes) => bytes.into(),
        Text::Owned(bytes) => bytes.into(),
    })
}

fn read_id(reader: &mut Reader<'_>) -> Result<StreamId, RdbError> {
    Ok(StreamId { ms: reader.length()?, seq: reader.length()? })
}

fn raw_id(reader: &mut Reader<'_>) -> Result<StreamId, RdbError> {
    let bytes = reader.take(16)?.try_into().expect("as many bytes as were asked for");
    Ok(StreamId::from_be_bytes(bytes))
}

fn time(reader: &mut Reader<'_>) -> Result<i64, RdbError> {
    let bytes = reader.take(8)?.try_into().expect("as many bytes as were asked for");
    Ok(i64::from_le_bytes(bytes))
}

/// A node's strings, one after the other, and where each ends.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    fn push(&mut self, element: Element<'_>) {
        self.bytes.extend_from_slice(element.as_bytes(&mut itoa::Buffer::new()));
        self.ends.push(self.bytes.len());
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// Where the fields of an entry are among its node's strings.
#[derive(Clone, Copy)]
struct Placed<'a> {
    strings: &'a Strings,
    count: usize,
    /// Where the names begin, and how far it is from one to the next.
    names: (usize, usize),
    values: (usize, usize),
}

impl<'a> Fields<'a> for Placed<'a> {
    fn count(&self) -> usize {
        self.count
    }

    fn name(&self, index: usize) -> &'a [u8] {
        self.strings.get(self.names.0 + index * self.names.1)
    }

    fn value(&self, index: usize) -> &'a [u8] {
        self.strings.get(self.values.0 + index * self.values.1)
    }
}

/// An entry read and not placed yet.
struct Read {
    id: StreamId,
    is_deleted: bool,
    same_fields: bool,
    count: usize,
    /// Its first string.
    at: usize,
}

/// Reads a node's listpack into the stream. `None` when it contradicts itself.
fn read_node(stream: &mut Stream, first: StreamId, pack: &Listpack) -> Option<()> {
    let mut left = pack.len();
    let mut elements = pack.iter().map(|(_, element)| element);
    let mut next = || {
        left = left.checked_sub(1)?;
        elements.next()
    };
    let count = |element: Element<'_>| usize::try_from(element.as_int()?).ok();
    let (live, deleted, fields) = (count(next()?)?, count(next()?)?, count(next()?)?);
    let mut strings = Strings::default();
    for _ in 0..fields {
        strings.push(next()?);
    }
    (next()?.as_int()? == 0).then_some(())?;
    let mut entries: Vec<Read> = Vec::new();
    let (mut live_read, mut deleted_read) = (0, 0);
    for _ in 0..live.checked_add(deleted)? {
        let flags = next()?.as_int()?;
        let mut since = |first: u64| Some(first.wrapping_add(next()?.as_int()? as u64));
        let id = StreamId { ms: since(first.ms)?, seq: since(first.seq)? };
        let same_fields = flags & SAME_FIELDS != 0;
        let entry_fields = if same_fields { fields } else { count(next()?)? };
        let at = strings.ends.len();
        let string_count = if same_fields { entry_fields } else { entry_fields.checked_mul(2)? };
        for _ in 0..string_count {
            strings.push(next()?);
        }
        let elements = string_count + if same_fields { 3 } else { 4 };
        (count(next()?)? == elements).then_some(())?;
        let is_deleted = flags & DELETED != 0;
        *(if is_deleted { &mut deleted_read } else { &mut live_read }) += 1;
        entries.push(Read { id, is_deleted, same_fields, count: entry_fields, at });
    }
    (next().is_none() && (live_read, deleted_read) == (live, deleted)).then_some(())?;
    let entries = in_order(entries);
    if live == 0 {
        return Some(());
    }
    let placed: Vec<_> = entries
        .iter()
        .map(|entry| {
            let (names, values) = match entry.same_fields {
                true => ((0, 1), (entry.at, 1)),
                false => ((entry.at, 2), (entry.at + 1, 2)),
            };
            (entry.id, Placed { strings: &strings, count: entry.count, names, values }, entry.is_deleted)
        })
        .collect();
    stream.push_node(&NamesOf { strings: &strings, count: fields }, &placed).then_some(())
}

/// Leaves out deleted entries that are out of order: XSETID may set a stream back behind what was deleted at its end.
/// What is still out of order is refused when it is added.
fn in_order(entries: Vec<Read>) -> Vec<Read> {
    let mut kept: Vec<Read> = Vec::with_capacity(entries.len());
    for entry in entries {
        if !entry.is_deleted {
            while kept.last().is_some_and(|last| last.is_deleted && last.id >= entry.id) {
                kept.pop();
            }
        } else if kept.last().is_some_and(|last| last.id >= entry.id) {
            continue;
        }
        kept.push(entry);
    }
    kept
}

/// A node's names, with values that stand for nothing.
struct NamesOf<'a> {
    strings: &'a Strings,
    count: usize,
}

impl<'a> Fields<'a> for NamesOf<'a> {
    fn count(&self) -> usize {
        self.count
    }

    fn name(&self, index: usize) -> &'a [u8] {
        self.strings.get(index)
    }

    fn value(&self, _: usize) -> &'a [u8] {
        b""
    }
}
