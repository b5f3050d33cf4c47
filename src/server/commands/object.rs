//! What DEBUG tells of one value: DEBUG OBJECT, LISTPACK, QUICKLIST, HTSTATS-KEY, SDSLEN, in Redis's form.

use crate::commands::CommandError;
use crate::commands::keys::{encoding_of, kind};
use crate::rdb::Writer;
use crate::rdb::value::write_value;
use crate::shard::access::AccessClock;
use crate::shard::{EntryView, ValueView};
use crate::types::list::{ListView, Node};
use crate::types::{Collection, Kind, List, Packed, Value};

/// Redis: integers up to this are shared objects, which have no count of references.
const SHARED_INTEGERS: i64 = 10_000;

/// `Value at:... refcount:... encoding:... serializedlength:... lru:... lru_seconds_idle:...`, and more of a list.
pub fn describe(entry: &EntryView<'_>, clock: AccessClock, list_node: i64) -> String {
    let value = entry.value();
    let (address, refcount) = match value {
        ValueView::Int(0..SHARED_INTEGERS) => (entry.key().as_ptr() as usize, i32::MAX),
        ValueView::Bytes(bytes) | ValueView::Packed(_, bytes) => (bytes.as_ptr() as usize, 1),
        ValueView::Heap(Value::String(bytes)) => (bytes.as_ptr() as usize, 1),
        ValueView::Heap(value) => (std::ptr::from_ref(value) as usize, 1),
        ValueView::Int(_) => (entry.key().as_ptr() as usize, 1),
    };
    let mut writer = Writer::new();
    write_value(&mut writer, &value);
    format!(
        "Value at:0x{address:x} refcount:{refcount} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        encoding_of(value).unwrap_or("unknown"),
        writer.out.len(),
        entry.access(),
        clock.idle_seconds(entry.access()),
        list_of(value).map(|list| nodes(list, list_node)).unwrap_or_default(),
    )
}

fn list_of(value: ValueView<'_>) -> Option<ListView<'_>> {
    match value {
        ValueView::Packed(form @ Packed::List, bytes) => Some(List::view_packed(form, bytes)),
        ValueView::Heap(Value::List(list)) => Some(list.view()),
        _ => None,
    }
}

/// What Redis says of a quicklist. A node's size is that of its listpack.
fn nodes(list: ListView<'_>, list_node: i64) -> String {
    /// A listpack's header and end, which we do not keep.
    const FRAME_BYTES: usize = 7;
    let (count, bytes) = match list {
        ListView::Packed(pack) => (1, FRAME_BYTES + pack.body().len()),
        ListView::Heap(list) => {
            let bytes = |node: &Node| match node {
                Node::Pack(pack) => FRAME_BYTES + pack.body().len(),
                Node::Large(bytes) => bytes.len(),
            };
            (list.nodes().len(), list.nodes().map(bytes).sum())
        }
    };
    format!(
        " ql_nodes:{count} ql_avg_node:{:.2} ql_listpack_max:{list_node} ql_compressed:0 ql_uncompressed_size:{bytes}",
        list.len() as f64 / count as f64,
    )
}

/// DEBUG LISTPACK. The structure itself goes nowhere: we have no standard output of our own.
pub fn listpack(value: ValueView<'_>) -> Result<&'static str, CommandError> {
    match encoding_of(value) {
        Some("listpack" | "listpackex") => Ok("Listpack structure printed on stdout"),
        _ => Err(CommandError::Line("ERR Not a listpack encoded object.")),
    }
}

/// DEBUG QUICKLIST, likewise.
pub fn quicklist(value: ValueView<'_>) -> Result<&'static str, CommandError> {
    match list_of(value) {
        Some(_) => Ok("Quicklist structure printed on stdout"),
        None => Err(CommandError::Line("ERR Not a quicklist encoded object.")),
    }
}

/// DEBUG HTSTATS-KEY: the table of a value, in the words of our own. It never rehashes.
pub fn table_stats(value: ValueView<'_>) -> Result<String, CommandError> {
    let elements = match value {
        ValueView::Heap(Value::Set(set)) => set.len(),
        ValueView::Heap(Value::ZSet(zset)) => zset.len(),
        ValueView::Heap(Value::Hash(hash)) => hash.view().len(),
        _ => 0,
    };
    match encoding_of(value) {
        Some("hashtable" | "skiplist") => {
            let heap_bytes = if let ValueView::Heap(value) = value { value.heap_bytes() } else { 0 };
            Ok(format!("[{}]\nelements: {elements}\nbytes: {heap_bytes}\n", kind(value).name()))
        }
        _ => Err(CommandError::Line(
            "ERR The value stored at the specified key is not represented using an hash table",
        )),
    }
}

/// DEBUG SDSLEN: what a string takes.
pub fn string_sizes(entry: &EntryView<'_>) -> Result<String, CommandError> {
    let (len, allocated) = match entry.value() {
        ValueView::Bytes(bytes) => (bytes.len(), bytes.len()),
        ValueView::Heap(Value::String(bytes)) => (bytes.len(), bytes.capacity()),
        value => {
            debug_assert!(kind(value) != Kind::String || matches!(value, ValueView::Int(_)));
            return Err(CommandError::Line("ERR Not an sds encoded string."));
        }
    };
    let key = entry.key().len();
    Ok(format!(
        "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {key}, val_sds_len:{len}, val_sds_avail:{}, \
         val_zmalloc: {allocated}",
        allocated - len,
    ))
}
