//! Parts of strings: STRLEN, GETRANGE, and changing them in place with APPEND and SETRANGE.

use std::sync::Arc;

use super::{EMBSTR_MAX_BYTES, bytes_of, check_length, compact, string_of};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Edit, Event, NewValue, ValueView};
use crate::types::Value;
use crate::types::raw::own::own;
use crate::types::raw::table::Ttl;

pub fn strlen(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let len = match ctx.keys().read(args.take()?) {
        Some(entry) => bytes_of(entry.value(), &mut itoa::Buffer::new())?.len(),
        None => 0,
    };
    reply.int(len as i64);
    Ok(Outcome::Done)
}

pub fn getrange(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (start, end) = (args.int()?, args.int()?);
    let mut keys = ctx.keys();
    let Some(entry) = keys.read(key) else {
        reply.bulk(b"");
        return Ok(Outcome::Done);
    };
    match entry.value() {
        ValueView::Heap(value) => {
            let bytes = string_of(value)?;
            reply.bulk_shared(bytes, clamp(start, end, bytes.len()));
        }
        value => {
            let mut digits = itoa::Buffer::new();
            let bytes = bytes_of(value, &mut digits)?;
            reply.bulk(&bytes[clamp(start, end, bytes.len())]);
        }
    }
    Ok(Outcome::Done)
}

/// The bytes that an inclusive range with negative positions counted from the end means.
///
/// Redis 8: a range that ends before the first byte is empty; up to 7 it was taken to end at the first byte.
fn clamp(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at + len } else { at };
    let (start, end) = (from_end(start).max(0), from_end(end).min(len - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}

pub fn append(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, more) = (args.take()?, args.take()?);
    let max_bulk_bytes = ctx.shard.settings.max_bulk_bytes;
    let mut keys = ctx.keys();
    let appended = keys.edit_with(key, |edit| {
        let len = bytes_of(edit.value(), &mut itoa::Buffer::new())?.len();
        let total = check_length(len, more.len(), max_bulk_bytes)?;
        raw(edit, total)?.extend_from_slice(more);
        edit.commit(Event::APPEND);
        Ok(total)
    });
    let total = match appended {
        Some(total) => total?,
        None => {
            // Redis: the length of a new string is not checked; a request cannot be longer than the limit.
            keys.set(key, compact(more), Ttl::Clear, Event::APPEND);
            more.len()
        }
    };
    reply.int(total as i64);
    Ok(Outcome::Done)
}

pub fn setrange(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, offset, patch) = (args.take()?, args.int()?, args.take()?);
    let offset = usize::try_from(offset).map_err(|_| CommandError::OffsetOutOfRange)?;
    let max_bulk_bytes = ctx.shard.settings.max_bulk_bytes;
    let mut keys = ctx.keys();
    let patched = keys.edit_with(key, |edit| {
        let len = bytes_of(edit.value(), &mut itoa::Buffer::new())?.len();
        if patch.is_empty() {
            return Ok(len);
        }
        let end = check_length(offset, patch.len(), max_bulk_bytes)?;
        match edit.bytes_mut() {
            // Already raw and long enough: stays where it is.
            Some(bytes) if len > EMBSTR_MAX_BYTES && end <= len => bytes[offset..end].copy_from_slice(patch),
            _ => {
                let bytes = raw(edit, end.max(len))?;
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[offset..end].copy_from_slice(patch);
            }
        }
        edit.commit(Event::SETRANGE);
        Ok(end.max(len))
    });
    let total = match patched {
        Some(total) => total?,
        None if patch.is_empty() => 0,
        None => {
            let end = check_length(offset, patch.len(), max_bulk_bytes)?;
            // Zeroed pages come from the system as they are touched.
            let mut bytes = vec![0; end];
            bytes[offset..].copy_from_slice(patch);
            keys.set(key, NewValue::Value(Value::String(Arc::new(bytes))), Ttl::Clear, Event::SETRANGE);
            end
        }
    };
    reply.int(total as i64);
    Ok(Outcome::Done)
}

/// The string being edited as a vector of its own, moved to the heap if it is not there; `room` is how long it is
/// going to be. Copies a long one only while a reply still refers to it.
pub fn raw<'e>(edit: &'e mut Edit<'_, '_>, room: usize) -> Result<&'e mut Vec<u8>, CommandError> {
    if !edit.is_heap() {
        let mut digits = itoa::Buffer::new();
        let bytes = bytes_of(edit.value(), &mut digits)?;
        let mut moved = Vec::with_capacity(room.max(bytes.len()));
        moved.extend_from_slice(bytes);
        edit.set(NewValue::Value(Value::String(Arc::new(moved))));
    }
    match edit.heap_mut() {
        Some(Value::String(bytes)) => Ok(own(bytes)),
        _ => Err(CommandError::WrongType),
    }
}
