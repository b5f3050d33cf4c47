//! A value that does not fit beside its key: what the keyspace table keeps on the heap.

use std::sync::Arc;

use super::raw::{prefetch, prefetch_bytes};
use super::{Collection, Hash, List, Set, Stream, ZSet};

/// The name TYPE shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    String,
    List,
    Set,
    ZSet,
    Hash,
    Stream,
}

impl Kind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::ZSet => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }
}

/// A heap value. Integers, short strings and small collections live in the table itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A long string. Shared so that a reply may send it without copying; whoever writes makes it unique first.
    String(Arc<Vec<u8>>),
    List(Box<List>),
    Set(Box<Set>),
    ZSet(Box<ZSet>),
    Hash(Box<Hash>),
    Stream(Box<Stream>),
}

impl Value {
    /// What TYPE answers.
    pub fn kind(&self) -> Kind {
        match self {
            Value::String(_) => Kind::String,
            Value::List(_) => Kind::List,
            Value::Set(_) => Kind::Set,
            Value::ZSet(_) => Kind::ZSet,
            Value::Hash(_) => Kind::Hash,
            Value::Stream(_) => Kind::Stream,
        }
    }

    /// Bytes behind the value, allocator rounding not included. O(1): collections keep count.
    pub fn heap_bytes(&self) -> usize {
        /// The box with the value's tag and pointer.
        const BOX: usize = 16;
        match self {
            // The reference counts and the vector's own three words.
            Value::String(bytes) => BOX + 16 + 24 + bytes.capacity(),
            Value::List(list) => BOX + list.heap_bytes(),
            Value::Set(set) => BOX + set.heap_bytes(),
            Value::ZSet(zset) => BOX + zset.heap_bytes(),
            Value::Hash(hash) => BOX + hash.heap_bytes(),
            Value::Stream(stream) => BOX + stream.heap_bytes(),
        }
    }

    /// Where it lies: its name as long as it lives, wherever the value itself is moved.
    pub fn address(&self) -> usize {
        match self {
            Value::String(bytes) => Arc::as_ptr(bytes) as usize,
            Value::List(list) => std::ptr::from_ref::<List>(list) as usize,
            Value::Set(set) => std::ptr::from_ref::<Set>(set) as usize,
            Value::ZSet(zset) => std::ptr::from_ref::<ZSet>(zset) as usize,
            Value::Hash(hash) => std::ptr::from_ref::<Hash>(hash) as usize,
            Value::Stream(stream) => std::ptr::from_ref::<Stream>(stream) as usize,
        }
    }

    /// Asks the processor for what a reader of a string will read: in the first step for where it is told of, in the
    /// second for the string.
    #[inline]
    pub fn prefetch(&self, step: u32) {
        let Value::String(bytes) = self else { return };
        match step {
            0 => prefetch(Arc::as_ptr(bytes).cast()),
            _ => prefetch_bytes(bytes),
        }
    }

    /// How many elements, for a value that can be copied in slices; 0 for others.
    pub fn copied_elements(&self) -> usize {
        match self {
            Value::List(list) => list.len(),
            Value::Set(set) if set.packed().is_none() => set.len(),
            Value::ZSet(zset) if !zset.is_packed() => zset.len(),
            Value::Hash(hash) if hash.packed().is_none() => hash.len(),
            _ => 0,
        }
    }

    /// Copies about `count` elements from a place on, 0 the first; the place to go on from, `None` at the end. The copy
    /// begins as `None`. This value has to have elements that can be copied ([`Value::copied_elements`]), and must not be
    /// changed in between.
    pub fn copy_some(&self, copy: &mut Option<Value>, at: u64, count: usize) -> Option<u64> {
        let copy = copy.get_or_insert_with(|| match self {
            Value::List(_) => Value::List(Box::default()),
            Value::Set(_) => Value::Set(Box::new(Set::new_table())),
            Value::ZSet(_) => Value::ZSet(Box::new(ZSet::new_sorted())),
            Value::Hash(_) => Value::Hash(Box::new(Hash::new_table())),
            other => other.clone(),
        });
        match (self, copy) {
            (Value::List(list), Value::List(copy)) => list.copy_some(copy, at, count),
            (Value::Set(set), Value::Set(copy)) => set.copy_some(copy, at, count),
            (Value::ZSet(zset), Value::ZSet(copy)) => zset.copy_some(copy, at, count),
            (Value::Hash(hash), Value::Hash(copy)) => hash.copy_some(copy, at, count),
            _ => None,
        }
    }

    /// Drops about `max_elements` elements of a value that nobody will read again. True when all are gone and what
    /// is left is dropped in no time.
    pub fn drop_some(&mut self, max_elements: usize) -> bool {
        match self {
            // One allocation, which goes back in one call.
            Value::String(_) => true,
            Value::List(list) => list.drop_some(max_elements),
            Value::Set(set) => set.drop_some(max_elements),
            Value::ZSet(zset) => zset.drop_some(max_elements),
            Value::Hash(hash) => hash.drop_some(max_elements),
            Value::Stream(stream) => stream.drop_some(max_elements),
        }
    }
}
