//! The RDB codec: how values look in DUMP payloads, snapshot files and full synchronisations.
//!
//! Bytes in, bytes out: no files, no keyspace, no clock. What is read may come from anyone, so reading is bounds-checked,
//! allocates only for bytes that are there, and bounds what compressed strings may unfold to.
//!
//! - [`mod@format`]: the numbers of the format: versions, types, opcodes.
//! - [`read`] and [`mod@write`]: lengths, integers and strings in memory; `stream_of` and `skip`: values in a stream, found
//!   by walking over them.
//! - [`lzf`]: the compression of strings.
//! - [`value`]: a whole value by its type number. Further types are arms of its two functions.
//! - [`mod@file`]: a whole file as a stream of records.
//! - [`target`]: for which Redis bytes are written.
//! - [`payload`]: a value with the version and checksum that DUMP puts behind it.

pub mod error;
pub mod file;
pub mod format;
pub mod functions;
pub mod hash;
mod length;
pub mod list;
pub mod lzf;
pub mod payload;
pub mod read;
pub mod set;
mod skip;
pub mod stream;
mod stream_of;
pub mod target;
pub mod value;
pub mod write;
pub mod ziplist;
pub mod zipmap;
mod zset;

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod tests;

pub use error::RdbError;
pub use payload::{Dumping, dump_value, payload_version, restore_value};
pub use read::{Limits, Reader};
pub use target::Target;
pub use write::Writer;
