//! What DUMP gives and RESTORE takes.
//!
//! ```text
//!  type | value | version, 2 bytes little-endian | CRC-64 of all before, 8 bytes little-endian
//! ```

use super::error::RdbError;
use super::format::{CRC64, Checksum, VERSION_MAX, version_of};
use super::length::Bytes;
use super::read::{Limits, Reader};
use super::stream;
use super::value::{can_write_some, kind_of, read_value, write_some, write_value};
use super::write::Writer;
use crate::types::Value;
use crate::types::raw::table::{TakenValue, ValueRef};
use crate::types::stream::StreamId;

const CRC_BYTES: usize = 8;
const FOOTER_BYTES: usize = 2 + CRC_BYTES;

/// Serialises a value.
pub fn dump_value(value: ValueRef<'_, Value>) -> Vec<u8> {
    let mut writer = Writer::new();
    let of = kind_of(&value, writer.target);
    writer.byte(of);
    write_value(&mut writer, &value);
    seal(writer.out, version_of(of))
}

/// What DUMP gives of a big value, in pieces.
pub struct Dumping {
    writer: Writer,
    of: u8,
    sum: Checksum,
    /// Where to go on; nothing at the end.
    at: Option<u64>,
    /// In a stream: at this node.
    node: StreamId,
}

impl Dumping {
    /// Begins, if the value can be written in steps.
    pub fn begin(value: &Value) -> Option<Dumping> {
        let mut writer = Writer::new();
        let of = kind_of(&ValueRef::Heap(value), writer.target);
        if !can_write_some(value, of) {
            return None;
        }
        writer.byte(of);
        Some(Dumping { writer, of, sum: CRC64.digest(), at: Some(0), node: StreamId::MIN })
    }

    /// The next bytes, of about `count` elements, and whether there are more. The value is the same in every step.
    pub fn step(&mut self, value: &Value, count: usize) -> (&[u8], bool) {
        let at = self.at.take();
        // The type's byte is there already when it begins.
        if at != Some(0) {
            self.writer.out.clear();
        }
        self.at = at.and_then(|at| match value {
            Value::Stream(stream) => {
                self.node = stream::write_some(&mut self.writer, stream, self.node, count)?;
                Some(at + 1)
            }
            value => write_some(&mut self.writer, value, at, count),
        });
        if self.at.is_none() {
            self.writer.out.extend(version_of(self.of).to_le_bytes());
        }
        self.sum.update(&self.writer.out);
        if self.at.is_none() {
            self.writer.out.extend(self.sum.clone().finalize().to_le_bytes());
        }
        (&self.writer.out, self.at.is_some())
    }
}

/// Adds the footer.
pub(super) fn seal(mut payload: Vec<u8>, version: u16) -> Vec<u8> {
    payload.extend(version.to_le_bytes());
    payload.extend(CRC64.checksum(&payload).to_le_bytes());
    payload
}

/// What is before a footer that is right.
pub(super) fn checked(payload: &[u8]) -> Result<&[u8], RdbError> {
    let body = body(payload)?;
    let (checked, crc) = payload.split_at(payload.len() - CRC_BYTES);
    if CRC64.checksum(checked).to_le_bytes() != crc {
        return Err(RdbError::Checksum);
    }
    Ok(body)
}

/// What is before a footer of a version that is known.
fn body(payload: &[u8]) -> Result<&[u8], RdbError> {
    let Some(body_bytes) = payload.len().checked_sub(FOOTER_BYTES) else {
        return Err(RdbError::Checksum);
    };
    let (body, footer) = payload.split_at(body_bytes);
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    if version > VERSION_MAX {
        return Err(RdbError::TooNew(version));
    }
    Ok(body)
}

/// The version that a payload says it is; 0 when it is too short to say so.
pub fn payload_version(payload: &[u8]) -> u16 {
    let at = payload.len().saturating_sub(FOOTER_BYTES);
    payload[at..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

/// Reads a value back, from any version up to [`VERSION_MAX`].
///
/// Redis: bytes between the value and the footer are ignored.
pub fn restore_value(payload: &[u8], limits: Limits) -> Result<TakenValue<Value>, RdbError> {
    read_body(checked(payload)?, limits)
}

/// The same, whatever the checksum.
pub fn restore_unchecked(payload: &[u8], limits: Limits) -> Result<TakenValue<Value>, RdbError> {
    read_body(body(payload)?, limits)
}

fn read_body(body: &[u8], limits: Limits) -> Result<TakenValue<Value>, RdbError> {
    let mut reader = Reader::new(body, limits);
    let of = reader.byte()?;
    read_value(&mut reader, of)
}
