//! Hashes.
//!
//! ```text
//!  4 HASH             count │ (field │ value) …
//! 13 HASH_ZIPLIST     a string: the ziplist of fields and values
//!  9 HASH_ZIPMAP      a string: the zipmap
//! 16 HASH_LISTPACK    a string: the listpack of fields and values
//! 24 HASH_METADATA    earliest deadline, 8 bytes little-endian │ count │ (ttl │ field │ value) …
//!                     ttl: a length; 0 none, else the deadline less the earliest, and one
//! 25 HASH_LISTPACK_EX earliest deadline or 0 │ a string: the listpack of fields, values and deadlines, in the order of
//!                     deadlines, those without at the end as 0
//! 22, 23              the same as 24 and 25 without the earliest deadline, all deadlines absolute
//! ```

use super::error::RdbError;
use super::format::kind;
use super::length::Bytes;
use super::read::Reader;
use super::target::Target;
use super::write::Writer;
use super::{ziplist, zipmap};
use crate::types::hash::{Form, HashView};
use crate::types::listpack::{Listpack, ListpackRef};
use crate::types::raw::table::Ttl;
use crate::types::{Encodings, Hash};

/// Redis keeps deadlines in 48 bits.
const DEADLINE_MAX_MS: u64 = (1 << 48) - 1;

/// The type number under which a hash is written.
///
/// One that is a listpack with room for deadlines and has none is written as one without, which all versions read.
pub fn kind_of(hash: HashView<'_>, target: Target) -> u8 {
    let has_deadlines = target.dropping_at_ms().is_none() && hash.has_deadlines();
    match (hash.form(), has_deadlines) {
        (Some(Form::Pairs), _) | (Some(Form::Triples), false) => match target.wants_ziplists() {
            true if ziplist::fits(ListpackRef::new(&hash.body())) => kind::HASH_ZIPLIST,
            true => kind::HASH,
            false => kind::HASH_LISTPACK,
        },
        (Some(Form::Triples), true) => kind::HASH_LISTPACK_EX,
        (Some(Form::Wide) | None, false) => kind::HASH,
        (Some(Form::Wide) | None, true) => kind::HASH_METADATA,
    }
}

/// Writes a hash, without its type number.
pub fn write(writer: &mut Writer, hash: HashView<'_>) {
    let now_ms = match writer.target.dropping_at_ms() {
        // Fields that are over would come back for good.
        Some(now_ms) if hash.has_deadlines() => {
            hash.for_each(now_ms, |_, _, deadline| {
                writer.losses.field_deadlines += u64::from(deadline.is_some());
            });
            now_ms
        }
        _ => 0,
    };
    match (kind_of(hash, writer.target), hash.form()) {
        (kind::HASH_LISTPACK, Some(Form::Pairs)) => {
            writer.string(&ListpackRef::new(&hash.body()).to_redis());
        }
        (kind::HASH_ZIPLIST, Some(Form::Pairs)) => {
            writer.string(&ziplist::write(ListpackRef::new(&hash.body())));
        }
        (of @ (kind::HASH_LISTPACK | kind::HASH_ZIPLIST), _) => {
            let mut pack = Listpack::new();
            hash.for_each(now_ms, |field, value, _| {
                pack.push_back(field.as_bytes(&mut itoa::Buffer::new()));
                pack.push_back(value.as_bytes(&mut itoa::Buffer::new()));
            });
            writer.string(&match of {
                kind::HASH_ZIPLIST => ziplist::write(pack.as_ref()),
                _ => pack.to_redis(),
            });
        }
        (kind::HASH_LISTPACK_EX, _) => write_by_deadline(writer, hash),
        (of, _) => {
            let mut first = 0;
            if of == kind::HASH_METADATA {
                first = exact_next(hash);
                writer.out.extend(first.to_le_bytes());
            }
            let count = if now_ms == 0 { hash.len() } else { live_len(hash, now_ms) };
            writer.length(count as u64);
            let mut digits = itoa::Buffer::new();
            hash.for_each(now_ms, |field, value, deadline| {
                if of == kind::HASH_METADATA {
                    writer.length(deadline.map_or(0, |at| at - first + 1));
                }
                writer.string(field.as_bytes(&mut digits));
                writer.string(value.as_bytes(&mut digits));
            });
        }
    }
}

/// Writes about `count` fields of a big hash without deadlines; see [`super::value::write_some`].
pub fn write_some(writer: &mut Writer, hash: HashView<'_>, at: u64, count: usize) -> Option<u64> {
    if at == 0 {
        writer.length(hash.len() as u64);
    }
    let mut digits = itoa::Buffer::new();
    let next = hash.scan(at, count, 0, |field, value| {
        writer.string(field.as_bytes(&mut digits));
        writer.string(value.as_bytes(&mut digits));
    });
    (next != 0).then_some(next)
}

/// Are all of its fields over?
pub fn is_over(hash: HashView<'_>, now_ms: u64) -> bool {
    hash.has_deadlines() && live_len(hash, now_ms) == 0
}

fn live_len(hash: HashView<'_>, now_ms: u64) -> usize {
    let mut count = 0;
    hash.for_each(now_ms, |_, _, _| count += 1);
    count
}

/// The earliest deadline itself, where a table has a bound only.
fn exact_next(hash: HashView<'_>) -> u64 {
    let mut first = u64::MAX;
    hash.for_each(0, |_, _, deadline| first = first.min(deadline.unwrap_or(u64::MAX)));
    first
}

fn write_by_deadline(writer: &mut Writer, hash: HashView<'_>) {
    let mut triples = Vec::with_capacity(hash.len());
    hash.for_each(0, |field, value, deadline| triples.push((deadline.unwrap_or(u64::MAX), field, value)));
    triples.sort_by_key(|(at, ..)| *at);
    let mut pack = Listpack::new();
    let mut digits = itoa::Buffer::new();
    for (at, field, value) in &triples {
        pack.push_back(field.as_bytes(&mut digits));
        pack.push_back(value.as_bytes(&mut digits));
        pack.push_back(if *at == u64::MAX { 0 } else { *at as i64 });
    }
    writer.out.extend(triples.first().map_or(0, |(at, ..)| *at).to_le_bytes());
    writer.string(&pack.to_redis());
}

/// Reads a hash of one of the types above.
pub fn read(reader: &mut Reader<'_>, of: u8) -> Result<Hash, RdbError> {
    let first = match of {
        kind::HASH_METADATA | kind::HASH_LISTPACK_EX => {
            let first = reader.take(8)?;
            u64::from_le_bytes(first.try_into().expect("as many bytes as were asked for"))
        }
        _ => 0,
    };
    let limits = *reader.encodings();
    match of {
        kind::HASH_LISTPACK | kind::HASH_LISTPACK_EX | kind::HASH_LISTPACK_EX_PRE_GA => {
            let text = reader.bytes()?;
            let pack = filled(Listpack::from_redis(&text), of)?;
            of_listpack(pack, of != kind::HASH_LISTPACK, &limits).ok_or(RdbError::BadValue(of))
        }
        kind::HASH_ZIPLIST => {
            let pack = filled(ziplist::read(&reader.bytes()?), of)?;
            of_listpack(pack, false, &limits).ok_or(RdbError::BadValue(of))
        }
        kind::HASH_ZIPMAP => {
            // Redis: these alone are measured by the length of their values too.
            let pack = filled(zipmap::read(&reader.bytes()?), of)?;
            field_by_field(&pack, false, &limits).ok_or(RdbError::BadValue(of))
        }
        _ => read_fields(reader, of, first, &limits),
    }
}

/// What is sound and has something in it.
fn filled(pack: Option<Listpack>, of: u8) -> Result<Listpack, RdbError> {
    let pack = pack.ok_or(RdbError::BadValue(of))?;
    if pack.is_empty() { Err(RdbError::Empty(of)) } else { Ok(pack) }
}

fn read_fields(reader: &mut Reader<'_>, of: u8, first: u64, limits: &Encodings) -> Result<Hash, RdbError> {
    let count = reader.length()?;
    let mut hash = Hash::default();
    for _ in 0..count {
        let deadline = match of {
            kind::HASH => 0,
            kind::HASH_METADATA_PRE_GA => reader.length()?,
            _ => match reader.length()? {
                0 => 0,
                ttl => first.checked_add(ttl - 1).ok_or(RdbError::BadValue(of))?,
            },
        };
        let (field, value) = (reader.bytes()?, reader.bytes()?);
        if deadline > DEADLINE_MAX_MS {
            return Err(RdbError::BadValue(of));
        }
        let ttl = if deadline == 0 { Ttl::Clear } else { Ttl::Set(deadline) };
        // A field may not be there twice.
        if hash.set(&field, &value, ttl, limits) {
            return Err(RdbError::BadValue(of));
        }
    }
    if hash.is_empty() { Err(RdbError::Empty(of)) } else { Ok(hash) }
}

/// A hash of the entries of a listpack of unknown origin; `None` when they are none.
pub fn of_listpack(pack: Listpack, triples: bool, limits: &Encodings) -> Option<Hash> {
    let step = if triples { 3 } else { 2 };
    if !pack.len().is_multiple_of(step) {
        return None;
    }
    if triples {
        let deadlines = pack.iter().skip(2).step_by(3);
        let is_deadline = |at: i64| (0..=DEADLINE_MAX_MS as i64).contains(&at);
        deadlines.map(|(_, at)| at.as_int()).all(|at| at.is_some_and(is_deadline)).then_some(())?;
    }
    let fits = pack.len() / step <= limits.hash_entries;
    let mut seen = std::collections::HashSet::with_hasher(ahash::RandomState::with_seed(0));
    if fits && pack.iter().step_by(step).all(|(_, field)| seen.insert(field.to_vec())) {
        return Some(Hash::from_listpack(pack, triples));
    }
    field_by_field(&pack, triples, limits)
}

/// A hash in the form that its fields and values ask for.
fn field_by_field(pack: &Listpack, triples: bool, limits: &Encodings) -> Option<Hash> {
    let mut hash = Hash::default();
    let mut entries = pack.iter().map(|(_, entry)| entry);
    while let (Some(field), Some(value)) = (entries.next(), entries.next()) {
        let at = if triples { entries.next()?.as_int()? } else { 0 };
        let ttl = if at == 0 { Ttl::Clear } else { Ttl::Set(at as u64) };
        if hash.set(&field.to_vec(), &value.to_vec(), ttl, limits) {
            return None;
        }
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::Limits;
    use crate::types::Collection;

    const LIMITS: Limits = Limits { string_bytes: 1 << 20, encodings: Encodings::DEFAULT };
    const TIGHT: Encodings = Encodings { hash_entries: 3, hash_value_bytes: 8, ..Encodings::DEFAULT };

    /// Fields, values and deadlines, 0 for none.
    type Fields<'a> = &'a [(&'a str, &'a str, u64)];

    fn of(fields: Fields<'_>, limits: &Encodings) -> Hash {
        let mut hash = Hash::default();
        for (field, value, at) in fields {
            let ttl = if *at == 0 { Ttl::Clear } else { Ttl::Set(*at) };
            hash.set(field.as_bytes(), value.as_bytes(), ttl, limits);
        }
        hash
    }

    fn written(hash: &Hash) -> (u8, Vec<u8>) {
        let mut writer = Writer::new();
        write(&mut writer, hash.view());
        (kind_of(hash.view(), Target::DUMP), writer.out)
    }

    fn read_all(bytes: &[u8], of: u8, encodings: Encodings) -> Result<Hash, RdbError> {
        read(&mut Reader::new(bytes, Limits { encodings, ..LIMITS }), of)
    }

    #[test]
    fn every_form_comes_back() {
        let long = "x".repeat(40);
        let many: Vec<String> = (0..600).map(|i| format!("field{i}")).collect();
        let many: Vec<(&str, &str, u64)> =
            many.iter().map(|f| (&f[..], "v", f.len() as u64 % 2 * 77)).collect();
        let cases: [(Fields<'_>, Encodings, u8); 6] = [
            (&[("a", "1", 0), ("b", "two", 0)], Encodings::DEFAULT, kind::HASH_LISTPACK),
            (&[("a", "1", 0), ("b", "two", 9), ("c", "3", 5)], Encodings::DEFAULT, kind::HASH_LISTPACK_EX),
            (&[("a", "1", 0), ("b", &long, 0)], TIGHT, kind::HASH),
            (&[("a", "1", 0), ("b", &long, 9)], TIGHT, kind::HASH_METADATA),
            (&many, Encodings::DEFAULT, kind::HASH_METADATA),
            (&many[..500], Encodings::DEFAULT, kind::HASH_LISTPACK_EX),
        ];
        for (fields, limits, wanted) in cases {
            let hash = of(fields, &limits);
            let (of, bytes) = written(&hash);
            assert_eq!(of, wanted);
            assert_eq!(read_all(&bytes, of, limits).as_ref(), Ok(&hash));
            for end in (0..bytes.len()).step_by(1 + bytes.len() / 100) {
                assert!(read_all(&bytes[..end], of, limits).is_err(), "{end} bytes of type {of}");
            }
        }
    }

    #[test]
    fn triples_without_deadlines_are_written_as_pairs() {
        let mut hash = of(&[("a", "1", 5)], &Encodings::DEFAULT);
        hash.persist(b"a");
        let (of_kind, bytes) = written(&hash);
        assert_eq!((of_kind, bytes), written(&of(&[("a", "1", 0)], &Encodings::DEFAULT)));
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        // DUMP of HSET h a 1 b two, without version and checksum.
        let (of_kind, bytes) = written(&of(&[("a", "1", 0), ("b", "two", 0)], &Encodings::DEFAULT));
        assert_eq!(of_kind, kind::HASH_LISTPACK);
        assert_eq!(
            bytes.escape_ascii().to_string(),
            r"\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x83two\x04\xff"
        );
    }

    #[test]
    fn deadlines_are_in_order_with_the_first_in_front() {
        let hash = of(&[("a", "x", 0), ("b", "y", 300), ("c", "z", 200)], &Encodings::DEFAULT);
        let (_, bytes) = written(&hash);
        assert_eq!(bytes[..8], 200u64.to_le_bytes());
        let pack = Listpack::from_redis(&bytes[9..]).expect("a listpack");
        let fields: Vec<Vec<u8>> = pack.iter().step_by(3).map(|(_, field)| field.to_vec()).collect();
        assert_eq!(fields, [b"c", b"b", b"a"]);
    }

    #[test]
    fn deadlines_of_the_release_candidates_are_absolute() {
        // Two fields, the second with a deadline.
        let bytes = b"\x02\x00\x01a\x01x\x40\x50\x01b\x01y";
        let hash = read_all(bytes, kind::HASH_METADATA_PRE_GA, Encodings::DEFAULT).unwrap();
        assert_eq!(hash, of(&[("a", "x", 0), ("b", "y", 0x50)], &Encodings::DEFAULT));
        let (_, mut bytes) = written(&hash);
        bytes.drain(..8);
        assert_eq!(read_all(&bytes, kind::HASH_LISTPACK_EX_PRE_GA, Encodings::DEFAULT), Ok(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let pack = |entries: &[&[u8]]| {
            let mut pack = Listpack::new();
            entries.iter().for_each(|entry| pack.push_back(*entry));
            let mut writer = Writer::new();
            writer.string(&pack.to_redis());
            writer.out
        };
        let refused = |bytes: &[u8], of: u8| {
            assert_eq!(read_all(bytes, of, Encodings::DEFAULT), Err(RdbError::BadValue(of)));
            assert_eq!(read_all(bytes, of, TIGHT), Err(RdbError::BadValue(of)));
        };
        for (bytes, of) in [(pack(&[]), kind::HASH_LISTPACK), (b"\x00".to_vec(), kind::HASH)] {
            assert_eq!(read_all(&bytes, of, TIGHT), Err(RdbError::Empty(of)));
        }
        refused(&pack(&[b"a", b"1", b"b"]), kind::HASH_LISTPACK);
        refused(&pack(&[b"a", b"1", b"a", b"2"]), kind::HASH_LISTPACK);
        refused(b"\x02\x01a\x01x\x01a\x01y", kind::HASH);
        let ex = |entries: &[&[u8]]| [&[0; 8][..], &pack(entries)].concat();
        refused(&ex(&[b"a", b"1", b"soon"]), kind::HASH_LISTPACK_EX);
        refused(&ex(&[b"a", b"1", b"-1"]), kind::HASH_LISTPACK_EX);
        refused(&ex(&[b"a", b"1", b"281474976710656"]), kind::HASH_LISTPACK_EX);
        refused(&ex(&[b"a", b"1"]), kind::HASH_LISTPACK_EX);
        let far = [&u64::MAX.to_le_bytes()[..], b"\x01\x05\x01a\x01x"].concat();
        refused(&far, kind::HASH_METADATA);
        let far = [&(DEADLINE_MAX_MS - 3).to_le_bytes()[..], b"\x01\x05\x01a\x01x"].concat();
        refused(&far, kind::HASH_METADATA);
    }
}
