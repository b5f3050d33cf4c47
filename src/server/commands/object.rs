//! DEBUG OBJECT: the line about one value, in Redis's form.

use crate::commands::keys;
use crate::rdb::Writer;
use crate::rdb::lzf::Compressor;
use crate::rdb::value::write_value;
use crate::shard::access::AccessClock;
use crate::shard::{EntryView, ValueView};
use crate::types::Value;

/// Redis: integers up to this are shared objects, which have no count of references.
const SHARED_INTEGERS: i64 = 10_000;
/// Redis's longest string that lies in one piece with its header.
const EMBSTR_MAX_BYTES: usize = 44;
/// Shorter strings are not worth compressing in a snapshot.
const LZF_MIN_BYTES: usize = 20;

/// `Value at:... refcount:... encoding:... serializedlength:... lru:... lru_seconds_idle:...`.
pub fn describe(entry: &EntryView<'_>, clock: AccessClock) -> String {
    let (address, encoding, length, refcount) = match entry.value() {
        ValueView::Int(value) => {
            let shared = (0..SHARED_INTEGERS).contains(&value);
            (entry.key().as_ptr() as usize, "int", int_bytes(value), if shared { i32::MAX } else { 1 })
        }
        ValueView::Bytes(bytes) => (bytes.as_ptr() as usize, encoding_of(bytes), string_bytes(bytes), 1),
        ValueView::Heap(Value::String(bytes)) => {
            (bytes.as_ptr() as usize, encoding_of(bytes), string_bytes(bytes), 1)
        }
        value @ (ValueView::Packed(..) | ValueView::Heap(_)) => {
            let encoding = keys::encoding_of(value).unwrap_or("unknown");
            let mut writer = Writer::new();
            write_value(&mut writer, &value);
            (entry.key().as_ptr() as usize, encoding, writer.out.len(), 1)
        }
    };
    let idle = clock.idle_seconds(entry.access());
    format!(
        "Value at:0x{address:x} refcount:{refcount} encoding:{encoding} serializedlength:{length} lru:{} \
         lru_seconds_idle:{idle}",
        entry.access(),
    )
}

fn encoding_of(bytes: &[u8]) -> &'static str {
    if bytes.len() <= EMBSTR_MAX_BYTES { "embstr" } else { "raw" }
}

/// Length of an integer in a snapshot.
fn int_bytes(value: i64) -> usize {
    if i8::try_from(value).is_ok() {
        2
    } else if i16::try_from(value).is_ok() {
        3
    } else if i32::try_from(value).is_ok() {
        5
    } else {
        1 + value.to_string().len()
    }
}

fn length_bytes(len: usize) -> usize {
    match len {
        0..64 => 1,
        64..16384 => 2,
        _ if u32::try_from(len).is_ok() => 5,
        _ => 9,
    }
}

/// Length of a string in a snapshot.
fn string_bytes(bytes: &[u8]) -> usize {
    let plain = length_bytes(bytes.len()) + bytes.len();
    if bytes.len() <= LZF_MIN_BYTES {
        return plain;
    }
    match Compressor::default().compress(bytes, bytes.len() - 4) {
        Some(packed) => 1 + length_bytes(packed.len()) + length_bytes(bytes.len()) + packed.len(),
        _ => plain,
    }
}
