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

#[cfg(test)]
mod tests;

use crate::rdb::error::RdbError;
use crate::rdb::format::kind;
use crate::rdb::length::Bytes;
use crate::rdb::read::Reader;
use crate::rdb::target::Target;
use crate::rdb::write::Writer;
use crate::types::listpack::{Element, Listpack};
use crate::types::stream::{Entry, Fields, Group, Item, NOBODY, Nack, Stream, StreamId, node};

/// An entry's flags in its listpack.
const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// The type number under which streams are written.
pub fn kind_of(target: Target) -> u8 {
    match (target.knows_stream_counters(), target.knows_consumer_activity()) {
        (false, _) => kind::STREAM_LISTPACKS,
        (true, false) => kind::STREAM_LISTPACKS_2,
        (true, true) => kind::STREAM_LISTPACKS_3,
    }
}

/// Writes a stream, without its type number.
pub fn write(writer: &mut Writer, stream: &Stream) {
    write_some(writer, stream, StreamId::MIN, usize::MAX);
}

/// Writes nodes of about `count` entries of a stream that is the same from step to step, from a node on: first
/// [`StreamId::MIN`]. The node to go on from; `None` at the end, when the groups are written too.
pub fn write_some(writer: &mut Writer, stream: &Stream, from: StreamId, count: usize) -> Option<StreamId> {
    if from == StreamId::MIN {
        writer.length(stream.log().node_count() as u64);
    }
    let mut written = 0;
    for bytes in stream.log().nodes_from(from) {
        if written >= count {
            return Some(node::first_id(bytes));
        }
        writer.string(&node::first_id(bytes).to_be_bytes());
        writer.string(&listpack_of(bytes).to_redis());
        written += node::live(bytes) + node::deleted(bytes);
    }
    write_rest(writer, stream);
    None
}

/// Writes what comes after the nodes.
fn write_rest(writer: &mut Writer, stream: &Stream) {
    writer.length(stream.entry_count());
    write_id(writer, stream.last_id);
    let counted = writer.target.knows_stream_counters();
    if counted {
        write_id(writer, stream.first_id());
        write_id(writer, stream.max_deleted_id);
        writer.length(stream.entries_added);
    }
    writer.length(stream.groups().len() as u64);
    for (name, group) in stream.groups() {
        writer.string(name);
        write_id(writer, group.last_id);
        if counted {
            // -1 is what an unknown count is written as.
            writer.length(group.entries_read.unwrap_or(u64::MAX));
        }
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
        write_consumer(writer, b"", (0, None), unowned_count);
        unowned().for_each(|id| writer.out.extend(id.to_be_bytes()));
    }
    for consumer in group.consumers() {
        let more = if consumer.name.is_empty() { unowned_count } else { 0 };
        let times = (consumer.seen_at_ms, consumer.active_at_ms);
        write_consumer(writer, &consumer.name, times, consumer.pending.len() + more);
        consumer.pending.iter().for_each(|id| writer.out.extend(id.to_be_bytes()));
        if more > 0 {
            unowned().for_each(|id| writer.out.extend(id.to_be_bytes()));
        }
    }
}

/// The times are those when it was seen and when it was active.
fn write_consumer(writer: &mut Writer, name: &[u8], times: (i64, Option<i64>), pending: usize) {
    writer.string(name);
    writer.out.extend(times.0.to_le_bytes());
    if writer.target.knows_consumer_activity() {
        // -1 is never.
        writer.out.extend(times.1.unwrap_or(-1).to_le_bytes());
    }
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
        let first = reader.bytes()?;
        let Ok(first) = <[u8; 16]>::try_from(&*first) else { return Ok(None) };
        let pack = reader.bytes()?;
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
        let name = reader.bytes()?.into_owned();
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
        let name = reader.bytes()?;
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

/// Strings, one after the other, and where each ends.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, element: Element<'_>) {
        self.bytes.extend_from_slice(element.as_bytes(&mut itoa::Buffer::new()));
        self.ends.push(self.bytes.len());
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// The fields of an entry.
#[derive(Clone, Copy)]
enum EntryFields<'a> {
    /// Its node's names, and its values.
    OfNode { names: &'a Strings, values: &'a Strings },
    /// Names and values in turn.
    Own(&'a Strings),
}

impl<'a> Fields<'a> for EntryFields<'a> {
    fn count(&self) -> usize {
        match self {
            EntryFields::OfNode { names, .. } => names.ends.len(),
            EntryFields::Own(strings) => strings.ends.len() / 2,
        }
    }

    fn name(&self, index: usize) -> &'a [u8] {
        match *self {
            EntryFields::OfNode { names, .. } => names.get(index),
            EntryFields::Own(strings) => strings.get(2 * index),
        }
    }

    fn value(&self, index: usize) -> &'a [u8] {
        match *self {
            EntryFields::OfNode { values, .. } => values.get(index),
            EntryFields::Own(strings) => strings.get(2 * index + 1),
        }
    }
}

/// The names of a node without values, which stand for the shape of nothing.
struct NamesAlone<'a>(&'a Strings);

impl<'a> Fields<'a> for NamesAlone<'a> {
    fn count(&self) -> usize {
        self.0.ends.len()
    }

    fn name(&self, index: usize) -> &'a [u8] {
        self.0.get(index)
    }

    fn value(&self, _: usize) -> &'a [u8] {
        b""
    }
}

/// An entry of a node that is read for the first time.
struct Met {
    id: StreamId,
    is_deleted: bool,
    same_fields: bool,
    /// How many names and values follow.
    strings: usize,
}

/// Reads a node's listpack into the stream: once to see that it holds what it says, once to take it over. `None` when
/// it contradicts itself.
fn read_node(stream: &mut Stream, first: StreamId, pack: &Listpack) -> Option<()> {
    let mut elements = pack.iter().map(|(_, element)| element);
    let count = |element: Element<'_>| usize::try_from(element.as_int()?).ok();
    let mut names = Strings::default();
    let (live, deleted, fields) =
        (count(elements.next()?)?, count(elements.next()?)?, count(elements.next()?)?);
    for _ in 0..fields {
        names.push(elements.next()?);
    }
    (elements.next()?.as_int()? == 0).then_some(())?;

    let mut again = elements.clone();
    let mut met: Vec<Met> = Vec::new();
    let (mut live_met, mut deleted_met) = (0, 0);
    for _ in 0..live.checked_add(deleted)? {
        let entry = begin_entry(&mut elements, first, fields)?;
        for _ in 0..entry.strings {
            elements.next()?;
        }
        let head = if entry.same_fields { 3 } else { 4 };
        (count(elements.next()?)? == entry.strings + head).then_some(())?;
        *(if entry.is_deleted { &mut deleted_met } else { &mut live_met }) += 1;
        met.push(entry);
    }
    (elements.next().is_none() && (live_met, deleted_met) == (live, deleted)).then_some(())?;
    let keep = keep_in_order(&met)?;
    if live == 0 {
        return Some(());
    }

    let mut strings = Strings::default();
    let mut begun = false;
    for (entry, keep) in met.iter().zip(keep) {
        begin_entry(&mut again, first, fields)?;
        strings.clear();
        for _ in 0..entry.strings {
            strings.push(again.next()?);
        }
        again.next()?;
        if !keep {
            continue;
        }
        let own = match entry.same_fields {
            true => EntryFields::OfNode { names: &names, values: &strings },
            false => EntryFields::Own(&strings),
        };
        let log = stream.log_to_fill();
        if !begun {
            begun = match entry.same_fields {
                true => log.begin_node(entry.id, &own),
                false => log.begin_node(entry.id, &NamesAlone(&names)),
            };
            begun.then_some(())?;
        }
        log.add_to_node(entry.id, &own, entry.is_deleted);
    }
    Some(())
}

/// Reads what an entry begins with.
fn begin_entry<'e>(
    elements: &mut impl Iterator<Item = Element<'e>>,
    first: StreamId,
    fields: usize,
) -> Option<Met> {
    let flags = elements.next()?.as_int()?;
    let mut since = |first: u64| Some(first.wrapping_add(elements.next()?.as_int()? as u64));
    let id = StreamId { ms: since(first.ms)?, seq: since(first.seq)? };
    let same_fields = flags & SAME_FIELDS != 0;
    let strings = match same_fields {
        true => fields,
        false => usize::try_from(elements.next()?.as_int()?).ok()?.checked_mul(2)?,
    };
    Some(Met { id, is_deleted: flags & DELETED != 0, same_fields, strings })
}

/// Which entries to keep: deleted ones that are out of order are left out, because XSETID may set a stream back behind
/// what was deleted at its end. `None` when others are out of order.
fn keep_in_order(met: &[Met]) -> Option<Vec<bool>> {
    let mut keep = vec![true; met.len()];
    // From the end, a deleted entry stays if it is below all that stay behind it.
    let mut below: Option<StreamId> = None;
    for (entry, keep) in met.iter().zip(&mut keep).rev() {
        if below.is_some_and(|below| entry.id >= below) {
            entry.is_deleted.then_some(())?;
            *keep = false;
        } else {
            below = Some(entry.id);
        }
    }
    Some(keep)
}
