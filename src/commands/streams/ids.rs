//! Ids as clients write them.

use crate::commands::{Args, CommandError};
use crate::types::stream::StreamId;

pub const INVALID_ID: CommandError =
    CommandError::Line("ERR Invalid stream ID specified as stream command argument");

/// A complete id, or milliseconds alone with the sequence number that shall be meant then.
#[inline]
pub fn strict_id(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    StreamId::parse(text, missing_seq).ok_or(INVALID_ID)
}

/// The same, or `-` and `+` for the smallest and the largest id.
#[inline]
pub fn id(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        text => strict_id(text, missing_seq),
    }
}

/// The first id of an interval; `(` excludes the id itself.
pub fn interval_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', text @ ..] if !text.is_empty() => {
            strict_id(text, 0)?.next().ok_or(CommandError::Line("ERR invalid start ID for the interval"))
        }
        text => id(text, 0),
    }
}

/// The last id of an interval; `(` excludes the id itself.
pub fn interval_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', text @ ..] if !text.is_empty() => strict_id(text, u64::MAX)?
            .previous()
            .ok_or(CommandError::Line("ERR invalid end ID for the interval")),
        text => id(text, u64::MAX),
    }
}

/// All arguments that are left, as complete ids.
pub fn rest_of_ids(args: &mut Args<'_>) -> Result<smallvec::SmallVec<[StreamId; 16]>, CommandError> {
    args.rest().map(|text| strict_id(text, 0)).collect()
}

/// `IDS numids id [id ...]`, as the newer commands take them.
pub fn counted_ids(args: &mut Args<'_>) -> Result<smallvec::SmallVec<[StreamId; 16]>, CommandError> {
    let count = args.int().ok().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(CommandError::Line("ERR Number of IDs must be a positive integer"))?;
    if count > args.left() {
        return Err(CommandError::Line("ERR The `numids` parameter must match the number of arguments"));
    }
    (0..count).map(|_| strict_id(args.take()?, 0)).collect()
}
