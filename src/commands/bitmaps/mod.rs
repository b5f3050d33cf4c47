//! Bitmaps: strings taken as rows of bits, bit 0 the highest of the first byte.
//!
//! [`rows`] is the table of contents; what the bits do is in [`types::bitfield`](crate::types::bitfield). A string whose
//! bits are written becomes raw, as with SETRANGE.

mod bits;
mod combine;
mod count;
mod fields;
mod rows;
#[cfg(test)]
mod tests;

use super::error::CommandError;
use super::strings::{EMBSTR_MAX_BYTES, bytes_of, raw};
use crate::shard::{Edit, ValueView};
use crate::types::number::parse_i64;

pub use rows::ROWS;

const BAD_OFFSET: CommandError = CommandError::Line("ERR bit offset is not an integer or out of range");

/// Reads the offset of a bit in a string of at most `max_bulk_bytes`.
fn offset(text: &[u8], max_bulk_bytes: usize) -> Result<u64, CommandError> {
    parse_i64(text).and_then(|offset| in_reach(offset, max_bulk_bytes)).ok_or(BAD_OFFSET)
}

fn in_reach(offset: i64, max_bulk_bytes: usize) -> Option<u64> {
    u64::try_from(offset).ok().filter(|offset| offset >> 3 < max_bulk_bytes as u64)
}

/// The bytes of the string being edited, to be written in place, at least `len` of them; and whether it had to grow.
fn grown<'e>(edit: &'e mut Edit<'_, '_>, len: usize) -> Result<(&'e mut [u8], bool), CommandError> {
    let before = bytes_of(edit.value(), &mut itoa::Buffer::new())?.len();
    let in_entry = matches!(edit.value(), ValueView::Bytes(_));
    if in_entry && before > EMBSTR_MAX_BYTES && len <= before {
        // Already raw and long enough: stays where it is.
        return Ok((edit.bytes_mut().expect("these bytes are in the entry"), false));
    }
    let bytes = raw(edit, len.max(before))?;
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
    Ok((bytes, before < len))
}
