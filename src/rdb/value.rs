//! A value by its type number. Every type has one arm in each function here and its codec in a file of its own.

use super::error::RdbError;
use super::format::kind;
use super::list;
use super::read::{Reader, Text};
use super::write::Writer;
use super::zset;
use crate::types::number::parse_i64;
use crate::types::raw::table::{TakenValue, VALUE_INLINE_MAX, ValueRef};
use crate::types::{Collection, List, Packed, Value, ZSet};

/// Longest text of an integer.
const INT_TEXT_MAX: usize = 20;

/// The type number under which a value is written.
pub fn kind_of(value: &ValueRef<'_, Value>) -> u8 {
    match value {
        ValueRef::Int(_) | ValueRef::Bytes(_) | ValueRef::Heap(Value::String(_)) => kind::STRING,
        ValueRef::Packed(Packed::List, _) | ValueRef::Heap(Value::List(_)) => kind::LIST_QUICKLIST_2,
        ValueRef::Packed(Packed::ZSet, _) => kind::ZSET_LISTPACK,
        ValueRef::Heap(Value::ZSet(value)) => zset::kind_of(value),
        ValueRef::Packed(..) | ValueRef::Heap(_) => unreachable!("every type has its arm"),
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
        ValueRef::Packed(..) | ValueRef::Heap(_) => unreachable!("every type has its arm"),
    }
}

/// Reads a value of a type.
pub fn read_value(reader: &mut Reader<'_>, of: u8) -> Result<TakenValue<Value>, RdbError> {
    match of {
        kind::STRING => Ok(string(reader.string()?)),
        kind::LIST | kind::LIST_QUICKLIST_2 => list::read(reader, of).map(taken),
        kind::ZSET | kind::ZSET_2 | kind::ZSET_LISTPACK => zset::read(reader, of).map(taken),
        other => Err(RdbError::UnknownType(other)),
    }
}

/// A collection where it lives: beside its key when it is small.
fn taken<C: Collection>(made: C) -> TakenValue<Value> {
    match made.packed() {
        Some((form, bytes)) if bytes.len() <= VALUE_INLINE_MAX => TakenValue::Packed(form, bytes.to_vec()),
        _ => TakenValue::Heap(made.into_value()),
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
