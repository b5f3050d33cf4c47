//! What goes into a table and what comes out: values, what becomes of deadline and access metadata, what was found.

use super::entry::{Payload, VALUE_INLINE_MAX};
use crate::types::Packed;

/// A value to store.
#[derive(Debug)]
pub enum Value<'v, T> {
    Int(i64),
    /// At most [`VALUE_INLINE_MAX`] bytes.
    Bytes(&'v [u8]),
    /// A small collection, of at most [`VALUE_INLINE_MAX`] bytes.
    Packed(Packed, &'v [u8]),
    Heap(T),
}

/// What becomes of the deadline when a value is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    Keep,
    Clear,
    /// Absolute, in milliseconds.
    Set(u64),
}

/// What becomes of the access metadata when a value is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Set(u16),
    /// An existing entry keeps its own; a new one gets this.
    KeepOr(u16),
}

/// What [`Table::replace`](super::Table::replace) found.
#[derive(Debug)]
pub struct Replaced<T> {
    pub existed: bool,
    /// The former heap value, to be dropped whenever it suits the caller.
    pub old: Option<T>,
}

/// What [`Table::remove`](super::Table::remove) took out.
#[derive(Debug)]
pub struct Removed<T> {
    /// The heap value, to be dropped whenever it suits the caller.
    pub heap: Option<T>,
    pub expire_at_ms: Option<u64>,
}

/// A value that left the table.
#[derive(Debug, PartialEq, Eq)]
pub enum TakenValue<T> {
    Int(i64),
    Bytes(Vec<u8>),
    Packed(Packed, Vec<u8>),
    Heap(T),
}

/// What [`Table::take_entry`](super::Table::take_entry) took out.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<T> {
    pub value: TakenValue<T>,
    pub expire_at_ms: Option<u64>,
    pub access: u16,
}

/// The value as an entry holds it; a heap value is the entry's from now on.
///
/// # Panics
/// When bytes are longer than [`VALUE_INLINE_MAX`].
pub(super) fn payload_of<T>(value: Value<'_, T>) -> Payload {
    match value {
        Value::Int(value) => Payload::Int(value),
        Value::Bytes(bytes) => {
            assert!(bytes.len() <= VALUE_INLINE_MAX, "longer values go to the heap");
            Payload::Bytes(bytes.as_ptr(), bytes.len())
        }
        Value::Packed(form, bytes) => {
            assert!(bytes.len() <= VALUE_INLINE_MAX, "longer values go to the heap");
            Payload::Packed(form, bytes.as_ptr(), bytes.len())
        }
        Value::Heap(value) => Payload::Heap(Box::into_raw(Box::new(value)).cast()),
    }
}
