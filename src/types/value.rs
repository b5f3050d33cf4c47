//! A value that does not fit beside its key: what the keyspace table keeps on the heap.

use std::sync::Arc;

use super::raw::own::own;
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
#[derive(PartialEq, Eq, Debug)]
pub enum Value {
    /// A long string. Shared so that a reply may send it without copying; whoever writes makes it unique first.
    String(Arc<Vec<u8>>),
    List(Box<List>),
    /// Shared, because operations over several shards read it from elsewhere while their intents stand (`commands/sets`,
    /// `commands/zsets`); whoever changes it is the only one that has it.
    Set(Arc<Set>),
    /// As a set.
    ZSet(Arc<ZSet>),
    Hash(Box<Hash>),
    Stream(Box<Stream>),
}

impl Clone for Value {
    /// A value of its own: only long strings go on being shared, because whoever changes one writes it anew or copies it.
    fn clone(&self) -> Value {
        match self {
            Value::String(bytes) => Value::String(bytes.clone()),
            Value::List(list) => Value::List(list.clone()),
            Value::Set(set) => Value::Set(Arc::new(Set::clone(set))),
            Value::ZSet(zset) => Value::ZSet(Arc::new(ZSet::clone(zset))),
            Value::Hash(hash) => Value::Hash(hash.clone()),
            Value::Stream(stream) => Value::Stream(stream.clone()),
        }
    }
}

impl Value {
    /// Has somebody else a set or a sorted set, too?
    pub fn is_shared(&self) -> bool {
        match self {
            Value::Set(set) => Arc::strong_count(set) > 1,
            Value::ZSet(zset) => Arc::strong_count(zset) > 1,
            _ => false,
        }
    }

    /// Sees to it that nobody else has it: what others have becomes a copy.
    pub fn make_own(&mut self) {
        match self {
            Value::Set(set) => _ = own(set),
            Value::ZSet(zset) => _ = own(zset),
            _ => {}
        }
    }

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
        /// How many share a value.
        const COUNTS: usize = 16;
        match self {
            // The vector's own three words.
            Value::String(bytes) => BOX + COUNTS + 24 + bytes.capacity(),
            Value::List(list) => BOX + list.heap_bytes(),
            Value::Set(set) => BOX + COUNTS + set.heap_bytes(),
            Value::ZSet(zset) => BOX + COUNTS + zset.heap_bytes(),
            Value::Hash(hash) => BOX + hash.heap_bytes(),
            Value::Stream(stream) => BOX + stream.heap_bytes(),
        }
    }

    /// Where it lies: its name as long as it lives, wherever the value itself is moved.
    pub fn address(&self) -> usize {
        match self {
            Value::String(bytes) => Arc::as_ptr(bytes) as usize,
            Value::List(list) => std::ptr::from_ref::<List>(list) as usize,
            Value::Set(set) => Arc::as_ptr(set) as usize,
            Value::ZSet(zset) => Arc::as_ptr(zset) as usize,
            Value::Hash(hash) => std::ptr::from_ref::<Hash>(hash) as usize,
            Value::Stream(stream) => std::ptr::from_ref::<Stream>(stream) as usize,
        }
    }

    /// How many elements, for a value that can be copied in slices; 0 for others.
    pub fn copied_elements(&self) -> usize {
        match self {
            Value::List(list) => list.len(),
            Value::Set(set) if set.packed().is_none() => set.len(),
            Value::ZSet(zset) if !zset.is_packed() => zset.len(),
            Value::Hash(hash) if hash.packed().is_none() => hash.len(),
            Value::Stream(stream) => stream.entry_count() as usize,
            _ => 0,
        }
    }

    /// Copies about `count` elements from a place on, 0 the first; the place to go on from, `None` at the end. The copy
    /// begins as `None`. This value has to have elements that can be copied ([`Value::copied_elements`]), and must not be
    /// changed in between.
    pub fn copy_some(&self, copy: &mut Option<Value>, at: u64, count: usize) -> Option<u64> {
        let copy = copy.get_or_insert_with(|| match self {
            Value::List(_) => Value::List(Box::default()),
            Value::Set(_) => Value::Set(Arc::new(Set::new_table())),
            Value::ZSet(_) => Value::ZSet(Arc::new(ZSet::new_sorted())),
            Value::Hash(_) => Value::Hash(Box::new(Hash::new_table())),
            Value::Stream(_) => Value::Stream(Box::default()),
            other => other.clone(),
        });
        match (self, copy) {
            (Value::List(list), Value::List(copy)) => list.copy_some(copy, at, count),
            (Value::Set(set), Value::Set(copy)) => set.copy_some(own(copy), at, count),
            (Value::ZSet(zset), Value::ZSet(copy)) => zset.copy_some(own(copy), at, count),
            (Value::Hash(hash), Value::Hash(copy)) => hash.copy_some(copy, at, count),
            (Value::Stream(stream), Value::Stream(copy)) => stream.copy_some(copy, at, count),
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
            // Who else still reads it has the rest to drop.
            Value::Set(set) => Arc::get_mut(set).is_none_or(|set| set.drop_some(max_elements)),
            Value::ZSet(zset) => Arc::get_mut(zset).is_none_or(|zset| zset.drop_some(max_elements)),
            Value::Hash(hash) => hash.drop_some(max_elements),
            Value::Stream(stream) => stream.drop_some(max_elements),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Encodings;

    fn share(value: &Value) -> Value {
        match value {
            Value::Set(set) => Value::Set(set.clone()),
            Value::ZSet(zset) => Value::ZSet(zset.clone()),
            other => other.clone(),
        }
    }

    #[test]
    fn who_shares_a_set_does_not_see_what_others_do_with_it() {
        let limits = Encodings::default();
        let (mut set, mut zset) = (Set::new_table(), ZSet::new_sorted());
        for index in 0..1000 {
            set.insert(format!("member:{index}").as_bytes(), &limits);
            zset.add(format!("member:{index}").as_bytes(), 1.0, &limits).expect("there is room");
        }
        for mut value in [set.into_value(), zset.into_value()] {
            let whole = value.clone();
            assert!(!value.is_shared() && whole.address() != value.address(), "a copy is a value of its own");
            let shared = share(&value);
            let address = value.address();
            assert!(value.is_shared() && shared.address() == address);
            value.make_own();
            assert!(!value.is_shared() && shared.address() == address && value.address() != address);
            let mut other = share(&value);
            let removed = match value.kind() {
                Kind::Set => Set::of_mut(&mut other).is_some_and(|set| set.remove(b"member:7")),
                _ => ZSet::of_mut(&mut other).is_some_and(|zset| zset.remove(b"member:7").is_some()),
            };
            assert!(removed && other != whole && value == whole && shared == whole);
            let other = share(&value);
            assert!(value.drop_some(1), "who else has it drops the elements");
            drop(value);
            assert!(other == whole && !other.is_shared());
        }
    }
}
