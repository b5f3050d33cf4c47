//! Strings.
//!
//! [`rows`] is the table of contents. How a string is held tells its encoding, exactly as Redis would name it:
//!
//! | held as                         | OBJECT ENCODING |
//! |---------------------------------|-----------------|
//! | integer in the entry            | int             |
//! | up to 44 bytes in the entry     | embstr          |
//! | more bytes in the entry         | raw             |
//! | on the heap, however short      | raw             |
//!
//! INVARIANT: what APPEND or SETRANGE has changed is raw, so a short string they touch moves to the heap, where the
//! next ones cost what they add; a new value from SET, INCRBYFLOAT or the like is int or embstr again.

mod compare;
mod expiry;
mod get;
mod incr;
mod increx;
mod lcs;
mod multi;
mod range;
mod rows;
mod set;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::error::CommandError;
use crate::resp::Reply;
use crate::shard::{NewValue, ValueView};
use crate::types::Value;
use crate::types::number::parse_i64;

pub use range::raw;
pub use rows::ROWS;

/// The longest string that Redis keeps in one piece with its object.
pub const EMBSTR_MAX_BYTES: usize = 44;

/// The shortest way to hold these bytes: as an integer when they are one.
#[inline]
pub fn compact(bytes: &[u8]) -> NewValue<'_> {
    if bytes.len() <= 20
        && let Some(value) = parse_i64(bytes)
    {
        return NewValue::Int(value);
    }
    NewValue::Bytes(bytes)
}

/// The string that a heap value is; WRONGTYPE when it is something else.
#[inline]
pub fn string_of(value: &Value) -> Result<&Arc<Vec<u8>>, CommandError> {
    match value {
        Value::String(bytes) => Ok(bytes),
        _ => Err(CommandError::WrongType),
    }
}

/// The bytes of a string value; an integer is written into `digits`.
#[inline]
pub fn bytes_of<'a>(value: ValueView<'a>, digits: &'a mut itoa::Buffer) -> Result<&'a [u8], CommandError> {
    match value {
        ValueView::Int(value) => Ok(digits.format(value).as_bytes()),
        ValueView::Bytes(bytes) => Ok(bytes),
        ValueView::Packed(..) => Err(CommandError::WrongType),
        ValueView::Heap(value) => string_of(value).map(|bytes| bytes.as_slice()),
    }
}

/// Writes a string value as a bulk; big ones are referred to, not copied.
#[inline]
pub fn reply_string(value: ValueView<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match value {
        ValueView::Int(value) => reply.bulk_int(value),
        ValueView::Bytes(bytes) => reply.bulk(bytes),
        ValueView::Packed(..) => return Err(CommandError::WrongType),
        ValueView::Heap(value) => {
            let bytes = string_of(value)?;
            reply.bulk_shared(bytes, 0..bytes.len());
        }
    }
    Ok(())
}

/// What OBJECT ENCODING answers for a string value; `None` for another type.
pub fn encoding_of(value: ValueView<'_>) -> Option<&'static str> {
    match value {
        ValueView::Int(_) => Some("int"),
        ValueView::Bytes(bytes) if bytes.len() <= EMBSTR_MAX_BYTES => Some("embstr"),
        ValueView::Bytes(_) => Some("raw"),
        ValueView::Packed(..) => None,
        ValueView::Heap(value) => string_of(value).ok().map(|_| "raw"),
    }
}

/// Refuses a string that would become longer than `proto-max-bulk-len`. Overflow counts as too long.
#[inline]
pub fn check_length(bytes: usize, more: usize, max_bulk_bytes: usize) -> Result<usize, CommandError> {
    match bytes.checked_add(more) {
        Some(total) if total <= max_bulk_bytes => Ok(total),
        _ => Err(CommandError::StringTooLong),
    }
}
