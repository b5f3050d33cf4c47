//! A value by its type number. Every type has one arm in each function here and its codec in a file of its own.

use super::error::RdbError;
use super::format::kind;
use super::hash;
use super::list;
use super::read::{Reader, Text};
use super::stream;
use super::target::Target;
use super::write::Writer;
use super::{set, zset};
use crate::types::number::parse_i64;
use crate::types::raw::table::{TakenValue, VALUE_INLINE_MAX, ValueRef};
use crate::types::{Collection, Hash, List, Packed, Set, Value, ZSet};

/// Longest text of an integer.
const INT_TEXT_MAX: usize = 20;

/// The type number under which a value is written.
pub fn kind_of(value: &ValueRef<'_, Value>, target: Target) -> u8 {
    match value {
        ValueRef::Int(_) | ValueRef::Bytes(_) | ValueRef::Heap(Value::String(_)) => kind::STRING,
        ValueRef::Packed(form @ Packed::List, bytes) => {
            list::kind_of(List::view_packed(*form, bytes), target)
        }
        ValueRef::Heap(Value::List(value)) => list::kind_of(value.view(), target),
        ValueRef::Packed(form @ Packed::ZSet, bytes) => {
            zset::kind_of(ZSet::view_packed(*form, bytes), target)
        }
        ValueRef::Heap(Value::ZSet(value)) => zset::kind_of(value.view(), target),
        ValueRef::Packed(form @ (Packed::IntSet | Packed::Set), bytes) => {
            set::kind_of(Set::view_packed(*form, bytes), target)
        }
        ValueRef::Heap(Value::Set(value)) => set::kind_of(value.view(), target),
        ValueRef::Packed(
            form @ (Packed::Hash | Packed::HashEx | Packed::HashWide | Packed::HashShaped),
            bytes,
        ) => hash::kind_of(Hash::view_packed(*form, bytes), target),
        ValueRef::Heap(Value::Hash(value)) => hash::kind_of(value.view(), target),
        ValueRef::Heap(Value::Stream(_)) => stream::kind_of(target),
    }
}

/// Is there nothing left of a value when what the target does not know is left out?
pub fn is_lost(value: &ValueRef<'_, Value>, target: Target) -> bool {
    let Some(now_ms) = target.dropping_at_ms() else { return false };
    match value {
        ValueRef::Packed(
            form @ (Packed::Hash | Packed::HashEx | Packed::HashWide | Packed::HashShaped),
            bytes,
        ) => hash::is_over(Hash::view_packed(*form, bytes), now_ms),
        ValueRef::Heap(Value::Hash(value)) => hash::is_over(value.view(), now_ms),
        _ => false,
    }
}

/// Writes a value without its type number.
pub fn write_value(writer: &mut Writer, value: &ValueRef<'_, Value>) {
    match value {
        ValueRef::Int(value) => writer.int(*value),
        ValueRef::Bytes(bytes) => writer.string(bytes),
        ValueRef::Heap(Value::String(bytes)) => writer.string(bytes),
        ValueRef::Packed(form @ Packed::List, bytes) => list::write(writer, List::view_packed(*form, bytes)),
        ValueRef::Heap(Value::List(value)) => list::write(writer, value.view()),
        ValueRef::Packed(form @ Packed::ZSet, bytes) => zset::write(writer, ZSet::view_packed(*form, bytes)),
        ValueRef::Heap(Value::ZSet(value)) => zset::write(writer, value.view()),
        ValueRef::Packed(form @ (Packed::IntSet | Packed::Set), bytes) => {
            set::write(writer, Set::view_packed(*form, bytes));
        }
        ValueRef::Heap(Value::Set(value)) => set::write(writer, value.view()),
        ValueRef::Packed(
            form @ (Packed::Hash | Packed::HashEx | Packed::HashWide | Packed::HashShaped),
            bytes,
        ) => {
            hash::write(writer, Hash::view_packed(*form, bytes));
        }
        ValueRef::Heap(Value::Hash(value)) => hash::write(writer, value.view()),
        ValueRef::Heap(Value::Stream(value)) => stream::write(writer, value),
    }
}

/// Can this value be written in steps? One in the form of the largest, of a type whose bytes follow from what a step sees.
pub fn can_write_some(value: &Value, of: u8) -> bool {
    match value {
        Value::List(_) => of == kind::LIST_QUICKLIST_2,
        Value::Set(set) => set.packed().is_none(),
        Value::ZSet(zset) => !zset.is_packed(),
        Value::Hash(_) => of == kind::HASH,
        // By `stream::write_some`, from node to node.
        Value::Stream(_) => true,
        Value::String(_) => false,
    }
}

/// Writes about `count` elements of a value that is the same from step to step, from a place on: 0 first. The place to go
/// on from; `None` at the end.
pub fn write_some(writer: &mut Writer, value: &Value, at: u64, count: usize) -> Option<u64> {
    match value {
        Value::List(list) => list::write_some(writer, list, at, count),
        Value::Set(set) => set::write_some(writer, set.view(), at, count),
        Value::ZSet(zset) => zset::write_some(writer, zset.view(), at, count),
        Value::Hash(hash) => hash::write_some(writer, hash.view(), at, count),
        Value::String(_) | Value::Stream(_) => None,
    }
}

/// Reads a value of a type.
pub fn read_value(reader: &mut Reader<'_>, of: u8) -> Result<TakenValue<Value>, RdbError> {
    match of {
        kind::STRING => Ok(string(reader.string()?)),
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => {
            set::read(reader, of).map(Collection::into_taken)
        }
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            list::read(reader, of).map(Collection::into_taken)
        }
        kind::ZSET | kind::ZSET_2 | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            zset::read(reader, of).map(Collection::into_taken)
        }
        kind::HASH
        | kind::HASH_ZIPMAP
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::HASH_METADATA
        | kind::HASH_LISTPACK_EX
        | kind::HASH_METADATA_PRE_GA
        | kind::HASH_LISTPACK_EX_PRE_GA => hash::read(reader, of).map(Collection::into_taken),
        kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => {
            stream::read(reader, of).map(Collection::into_taken)
        }
        other => Err(RdbError::UnknownType(other)),
    }
}

/// A string in the form that a SET of it would give.
fn string(text: Text<'_>) -> TakenValue<Value> {
    let bytes = match text {
        Text::Int(value) => return TakenValue::Int(value),
        Text::Borrowed(bytes) => bytes.to_vec(),
        Text::Owned(bytes) => bytes,
    };
    if bytes.len() <= INT_TEXT_MAX
        && let Some(value) = parse_i64(&bytes)
    {
        return TakenValue::Int(value);
    }
    if bytes.len() <= VALUE_INLINE_MAX {
        TakenValue::Bytes(bytes)
    } else {
        TakenValue::Heap(Value::String(bytes.into()))
    }
}
