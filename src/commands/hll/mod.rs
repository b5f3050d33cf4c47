//! HyperLogLogs: strings in a layout of their own, see [`types::hll`](crate::types::hll).
//!
//! [`rows`] is the table of contents. What calls itself a HyperLogLog is checked by its header when it is opened, and by
//! its runs where they are read: a string from a stranger is answered with Redis's errors.

mod add;
mod count;
mod debug;
mod merge;
mod rows;
#[cfg(test)]
mod tests;

use super::error::CommandError;
use super::strings::bytes_of;
use crate::shard::ValueView;
use crate::types::hll::{Corrupted, Encoding, encoding_of};

pub use rows::ROWS;

const NO_HLL: CommandError = CommandError::Line("WRONGTYPE Key is not a valid HyperLogLog string value.");

fn corrupted(Corrupted: Corrupted) -> CommandError {
    CommandError::Line("INVALIDOBJ Corrupted HLL object detected")
}

/// The bytes of a value that is a HyperLogLog by its header.
fn open<'a>(
    value: ValueView<'a>,
    digits: &'a mut itoa::Buffer,
) -> Result<(&'a [u8], Encoding), CommandError> {
    let bytes = bytes_of(value, digits)?;
    encoding_of(bytes).map(|encoding| (bytes, encoding)).ok_or(NO_HLL)
}
