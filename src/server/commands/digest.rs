//! DEBUG DIGEST: a hash of the whole data set that does not depend on the order of keys, as Redis computes it.
//!
//! A key's digest mixes key, type, value and the presence of a deadline; a database's digest is the exclusive or of
//! its keys'. Mixing is `sha1(digest xor bytes)`. Databases are chained, so a shard hands out one exclusive or per
//! database and the coordinator chains their sums.

use sha1::{Digest as _, Sha1};

use crate::commands::keys::kind;
use crate::shard::{EntryView, Shard, ValueView};
use crate::types::hash::HashView;
use crate::types::list::ListView;
use crate::types::number::format_f64_17g;
use crate::types::set::SetView;
use crate::types::stream::StreamId;
use crate::types::zset::ZView;
use crate::types::{Collection, DbIndex, Hash, Kind, List, Packed, Set, Stream, Value, ZSet};

/// One digest.
pub type Digest = [u8; 20];

fn xor(digest: &mut Digest, other: &[u8]) {
    digest.iter_mut().zip(other).for_each(|(to, from)| *to ^= from);
}

/// Redis's `xorDigest` hashes what it is given.
fn xor_hashed(digest: &mut Digest, bytes: &[u8]) {
    xor(digest, &Sha1::digest(bytes));
}

fn mix(digest: &mut Digest, bytes: &[u8]) {
    xor_hashed(digest, bytes);
    *digest = Sha1::digest(*digest).into();
}

fn mix_entry(digest: &mut Digest, entry: &EntryView<'_>) {
    mix(digest, &type_number(kind(entry.value())).to_be_bytes());
    match entry.value() {
        ValueView::Int(value) => mix(digest, value.to_string().as_bytes()),
        ValueView::Bytes(bytes) => mix(digest, bytes),
        ValueView::Heap(Value::String(bytes)) => mix(digest, bytes),
        ValueView::Packed(form @ Packed::List, bytes) => mix_list(digest, List::view_packed(form, bytes)),
        ValueView::Heap(Value::List(list)) => mix_list(digest, list.view()),
        ValueView::Packed(form @ (Packed::IntSet | Packed::Set), bytes) => {
            mix_set(digest, Set::view_packed(form, bytes));
        }
        ValueView::Heap(Value::Set(set)) => mix_set(digest, set.view()),
        ValueView::Packed(form @ Packed::ZSet, bytes) => mix_zset(digest, ZSet::view_packed(form, bytes)),
        ValueView::Heap(Value::ZSet(zset)) => mix_zset(digest, zset.view()),
        ValueView::Packed(
            form @ (Packed::Hash | Packed::HashEx | Packed::HashWide | Packed::HashShaped),
            bytes,
        ) => {
            mix_hash(digest, Hash::view_packed(form, bytes));
        }
        ValueView::Heap(Value::Hash(hash)) => mix_hash(digest, hash.view()),
        ValueView::Heap(Value::Stream(stream)) => mix_stream(digest, stream),
    }
    if entry.expire_at_ms().is_some() {
        xor_hashed(digest, b"!!expire!!");
    }
}

/// Redis's numbers of types.
fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::ZSet => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}

fn mix_list(digest: &mut Digest, list: ListView<'_>) {
    list.for_each(|item| mix(digest, item.element().as_bytes(&mut itoa::Buffer::new())));
}

fn mix_set(digest: &mut Digest, set: SetView<'_>) {
    for member in set.iter() {
        xor_hashed(digest, member.as_bytes(&mut itoa::Buffer::new()));
    }
}

fn mix_zset(digest: &mut Digest, zset: ZView<'_>) {
    for (member, score) in zset.all() {
        let mut pair = Digest::default();
        mix(&mut pair, member.as_bytes(&mut itoa::Buffer::new()));
        mix(&mut pair, &format_f64_17g(score));
        xor_hashed(digest, &pair);
    }
}

fn mix_hash(digest: &mut Digest, hash: HashView<'_>) {
    let mut digits = itoa::Buffer::new();
    hash.for_each(0, |field, value, deadline| {
        let mut pair = Digest::default();
        mix(&mut pair, field.as_bytes(&mut digits));
        mix(&mut pair, value.as_bytes(&mut digits));
        if deadline.is_some() {
            xor_hashed(&mut pair, b"!!hexpire!!");
        }
        xor_hashed(digest, &pair);
    });
}

/// Redis: groups and counters do not matter.
fn mix_stream(digest: &mut Digest, stream: &Stream) {
    let mut digits = itoa::Buffer::new();
    for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
        mix(digest, format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
        entry.for_each(|item| mix(digest, item.text(&mut digits)));
    }
}

/// Per database of a shard its part of the digest; nothing for a database without keys here.
pub fn of_shard(shard: &Shard) -> Vec<Option<Vec<u8>>> {
    let of_db = |db: &crate::shard::Db| {
        let mut sum = Digest::default();
        for entry in db.table.iter() {
            let mut digest = Digest::default();
            mix(&mut digest, entry.key());
            mix_entry(&mut digest, &entry);
            xor_hashed(&mut sum, &digest);
        }
        (!db.table.is_empty()).then(|| sum.to_vec())
    };
    shard.dbs.iter().map(of_db).collect()
}

/// Joins the shards' parts.
pub fn of_dataset<'s>(shards: impl Iterator<Item = &'s [Option<Vec<u8>>]> + Clone) -> Digest {
    let databases = shards.clone().map(<[_]>::len).max().unwrap_or(0);
    let mut digest = Digest::default();
    for db in 0..databases {
        let parts = shards.clone().filter_map(|parts| parts[db].as_deref());
        if parts.clone().next().is_none() {
            continue;
        }
        mix(&mut digest, &(db as u32).to_be_bytes());
        parts.for_each(|part| xor(&mut digest, part));
    }
    digest
}

/// DEBUG DIGEST-VALUE of one key; zeroes when it is not there. Redis: a deadline that has passed does not matter.
pub fn of_value(shard: &Shard, db: DbIndex, key: &[u8]) -> Digest {
    let table = &shard.dbs[db.index()].table;
    let mut digest = Digest::default();
    if let Some(entry) = table.find(table.hasher().hash(key), key) {
        mix_entry(&mut digest, &entry);
    }
    digest
}

/// As 40 hexadecimal digits.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
