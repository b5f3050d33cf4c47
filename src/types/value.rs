//! A value that does not fit beside its key: what the keyspace table keeps on the heap.

use std::sync::Arc;

/// The name TYPE shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    String,
}

impl Kind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
        }
    }
}

/// A heap value. Integers and short strings live in the table itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A long string. Shared so that a reply may send it without copying; whoever writes makes it unique first.
    String(Arc<Vec<u8>>),
}

impl Value {
    /// What TYPE answers.
    pub fn kind(&self) -> Kind {
        match self {
            Value::String(_) => Kind::String,
        }
    }

    /// Bytes behind the value, allocator rounding not included.
    pub fn heap_bytes(&self) -> usize {
        match self {
            // The box, the reference counts and the vector's own three words.
            Value::String(bytes) => 16 + 16 + 24 + bytes.capacity(),
        }
    }
}
