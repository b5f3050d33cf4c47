//! What a value is, whatever it is kept in: short enough to keep one of every key in memory.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::rdb::format::kind;
use crate::types::raw::table::{TakenValue, ValueRef};
use crate::types::stream::{Group, Item, StreamId};
use crate::types::value::Kind;
use crate::types::{Collection, Hash, List, Packed, Set, Stream, Value, ZSet};

/// Equal prints are equal values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print {
    pub kind: Kind,
    /// Bytes of a string, elements of anything else.
    pub len: u64,
    body: u128,
    /// A hash's deadlines of fields, or a stream's groups.
    aside: u128,
    /// A stream's counters, where its format has them.
    counters: Option<u128>,
}

impl Print {
    /// The print of a value that was read from a type of the format. Fields that are over do not count.
    pub fn of(value: &TakenValue<Value>, of: u8, now_ms: u64) -> Print {
        match view(value) {
            ValueRef::Int(value) => of_bytes(itoa::Buffer::new().format(value).as_bytes()),
            ValueRef::Bytes(bytes) => of_bytes(bytes),
            ValueRef::Heap(Value::String(bytes)) => of_bytes(bytes),
            ValueRef::Packed(form @ Packed::List, bytes) => of_list(List::view_packed(form, bytes)),
            ValueRef::Heap(Value::List(value)) => of_list(value.view()),
            ValueRef::Packed(form @ Packed::ZSet, bytes) => of_zset(ZSet::view_packed(form, bytes)),
            ValueRef::Heap(Value::ZSet(value)) => of_zset(value.view()),
            ValueRef::Packed(form @ (Packed::IntSet | Packed::Set), bytes) => {
                of_set(Set::view_packed(form, bytes))
            }
            ValueRef::Heap(Value::Set(value)) => of_set(value.view()),
            ValueRef::Packed(
                form @ (Packed::Hash | Packed::HashEx | Packed::HashWide | Packed::HashShaped),
                bytes,
            ) => of_hash(Hash::view_packed(form, bytes), now_ms),
            ValueRef::Heap(Value::Hash(value)) => of_hash(value.view(), now_ms),
            ValueRef::Heap(Value::Stream(value)) => of_stream(value, of != kind::STREAM_LISTPACKS),
        }
    }

    /// What is different; `None` when nothing is.
    pub fn difference(&self, other: &Print) -> Option<String> {
        if self.kind != other.kind {
            return Some(format!("a {} and a {}", self.kind.name(), other.kind.name()));
        }
        if self.len != other.len {
            let what = if self.kind == Kind::String { "bytes" } else { "elements" };
            return Some(format!("{}s of {} and {} {what}", self.kind.name(), self.len, other.len));
        }
        if self.body != other.body {
            return Some(format!("{}s of the same size that differ", self.kind.name()));
        }
        if self.aside != other.aside {
            return Some(match self.kind {
                Kind::Hash => "the deadlines of its fields differ".to_owned(),
                _ => "the stream's groups differ".to_owned(),
            });
        }
        let known = self.counters.zip(other.counters);
        known.is_some_and(|(mine, theirs)| mine != theirs).then(|| "the stream's counters differ".to_owned())
    }
}

/// A value as its owner would see it.
pub fn view(value: &TakenValue<Value>) -> ValueRef<'_, Value> {
    match value {
        TakenValue::Int(value) => ValueRef::Int(*value),
        TakenValue::Bytes(bytes) => ValueRef::Bytes(bytes),
        TakenValue::Packed(form, bytes) => ValueRef::Packed(*form, bytes),
        TakenValue::Heap(value) => ValueRef::Heap(value),
    }
}

fn print(kind: Kind, len: usize, body: u128) -> Print {
    Print { kind, len: len as u64, body, aside: 0, counters: None }
}

fn of_bytes(bytes: &[u8]) -> Print {
    print(Kind::String, bytes.len(), xxh3_128(bytes))
}

/// Strings and numbers one after the other, so that no two sequences of them are the same bytes.
#[derive(Default)]
struct Parts(Xxh3);

impl Parts {
    fn text(&mut self, bytes: &[u8]) -> &mut Parts {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    fn number(&mut self, number: u64) -> &mut Parts {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn id(&mut self, id: StreamId) -> &mut Parts {
        self.number(id.ms).number(id.seq)
    }

    fn end(&self) -> u128 {
        self.0.digest128()
    }
}

fn of_list(list: crate::types::list::ListView<'_>) -> Print {
    let mut parts = Parts::default();
    list.for_each(|item| {
        parts.text(item.element().as_bytes(&mut itoa::Buffer::new()));
    });
    print(Kind::List, list.len(), parts.end())
}

/// The order of members does not matter: their sum does not know it.
fn of_set(set: crate::types::set::SetView<'_>) -> Print {
    let of = |bytes: &[u8]| Parts::default().text(bytes).end();
    let sum = set
        .iter()
        .fold(0, |sum: u128, member| sum.wrapping_add(of(member.as_bytes(&mut itoa::Buffer::new()))));
    print(Kind::Set, set.len(), sum)
}

fn of_zset(zset: crate::types::zset::ZView<'_>) -> Print {
    let sum = zset.iter(0..zset.len(), false).fold(0, |sum: u128, (member, score)| {
        // The two zeros are one score.
        let score = (score + 0.0).to_bits();
        sum.wrapping_add(Parts::default().text(member.as_bytes(&mut itoa::Buffer::new())).number(score).end())
    });
    print(Kind::ZSet, zset.len(), sum)
}

fn of_hash(hash: crate::types::hash::HashView<'_>, now_ms: u64) -> Print {
    let (mut len, mut body, mut aside) = (0, 0u128, 0u128);
    let (mut one, mut two) = (itoa::Buffer::new(), itoa::Buffer::new());
    hash.for_each(now_ms, |field, value, deadline| {
        let field = field.as_bytes(&mut one);
        len += 1;
        body = body.wrapping_add(Parts::default().text(field).text(value.as_bytes(&mut two)).end());
        if let Some(at) = deadline {
            aside = aside.wrapping_add(Parts::default().text(field).number(at).end());
        }
    });
    Print { aside, ..print(Kind::Hash, len, body) }
}

fn of_stream(stream: &Stream, counted: bool) -> Print {
    let mut body = Parts::default();
    body.id(stream.last_id);
    let mut digits = itoa::Buffer::new();
    for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
        body.id(entry.id).number(entry.len() as u64);
        entry.for_each(|item| {
            body.text(match item {
                Item::Int(value) => digits.format(value).as_bytes(),
                Item::Bytes(bytes) => bytes,
            });
        });
    }
    let mut groups = Parts::default();
    let mut counters = Parts::default();
    counters.id(stream.max_deleted_id).number(stream.entries_added);
    for (name, group) in stream.groups() {
        of_group(&mut groups, name, group);
        counters.number(group.entries_read.unwrap_or(u64::MAX));
    }
    let counters = counted.then(|| counters.end());
    let len = usize::try_from(stream.entry_count()).unwrap_or(usize::MAX);
    Print { aside: groups.end(), counters, ..print(Kind::Stream, len, body.end()) }
}

/// When a consumer was seen is not part of it: that changes by asking.
fn of_group(parts: &mut Parts, name: &[u8], group: &Group) {
    parts.text(name).id(group.last_id).number(group.pending().len() as u64);
    for (id, nack) in group.pending() {
        parts.id(*id).text(group.owner_name(nack));
        parts.number(nack.delivered_at_ms as u64).number(nack.delivery_count);
    }
    let names = group.consumers().fold(0, |sum: u128, consumer| sum.wrapping_add(xxh3_128(&consumer.name)));
    parts.number(names as u64).number((names >> 64) as u64);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::Encodings;
    use crate::types::raw::table::Ttl;

    fn of_value(value: Value) -> Print {
        Print::of(&TakenValue::Heap(value), 0, 100)
    }

    #[test]
    fn encodings_do_not_matter() {
        let tight = Encodings {
            set_entries: 0,
            intset_entries: 0,
            zset_entries: 0,
            hash_entries: 0,
            ..Encodings::DEFAULT
        };
        let both = |make: &dyn Fn(&Encodings) -> Value| {
            let (small, big) = (of_value(make(&Encodings::DEFAULT)), of_value(make(&tight)));
            assert_eq!(small, big);
            assert_eq!(small.difference(&big), None);
        };
        both(&|limits| {
            let mut set = Set::default();
            for member in [&b"a"[..], b"12", b"-4"] {
                set.insert(member, limits);
            }
            Value::Set(Arc::new(set))
        });
        both(&|limits| {
            let mut hash = Hash::default();
            hash.set(b"a", b"1", Ttl::Clear, limits);
            hash.set(b"12", b"x", Ttl::Set(500), limits);
            hash.set(b"over", b"x", Ttl::Set(50), limits);
            Value::Hash(Box::new(hash))
        });
        both(&|limits| {
            let mut zset = ZSet::with_len(if limits.zset_entries == 0 { 1000 } else { 1 }, limits);
            zset.add(b"a", 1.25, limits).expect("a number");
            zset.add(b"7", -0.0, limits).expect("a number");
            Value::ZSet(Arc::new(zset))
        });
    }

    #[test]
    fn what_differs_is_named() {
        let of = |value: TakenValue<Value>| Print::of(&value, 0, 100);
        let text = |text: &str| of(TakenValue::Bytes(text.as_bytes().to_vec()));
        assert_eq!(text("7"), of(TakenValue::Int(7)));
        assert_eq!(text("a").difference(&text("bb")).as_deref(), Some("strings of 1 and 2 bytes"));
        assert_eq!(text("a").difference(&text("b")).as_deref(), Some("strings of the same size that differ"));
        let hash = |at| {
            let mut hash = Hash::default();
            hash.set(b"a", b"1", if at == 0 { Ttl::Clear } else { Ttl::Set(at) }, &Encodings::DEFAULT);
            of_value(Value::Hash(Box::new(hash)))
        };
        assert_eq!(hash(0).difference(&hash(700)).as_deref(), Some("the deadlines of its fields differ"));
        assert_eq!(text("a").difference(&hash(0)).as_deref(), Some("a string and a hash"));
        let stream = |read, of| {
            let mut stream = Stream::new();
            stream.add_group(b"g", Group::new(StreamId::MIN, read));
            Print::of(&TakenValue::Heap(Value::Stream(Box::new(stream))), of, 0)
        };
        let (old, new) = (stream(None, kind::STREAM_LISTPACKS), stream(Some(3), kind::STREAM_LISTPACKS_2));
        assert_eq!(old.difference(&new), None, "the old format has no counters");
        let other = stream(Some(4), kind::STREAM_LISTPACKS_3);
        assert_eq!(new.difference(&other).as_deref(), Some("the stream's counters differ"));
    }
}
