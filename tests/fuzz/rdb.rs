//! Values as strangers serialise them: what is loaded can be walked, measured, written again and dropped, and is the
//! same when it is read again. Nothing is allocated that a payload only announces.

use crate::{fuzz, mutate};
use coreshard::rdb::{Limits, Writer, dump_value, format::kind, restore_value, ziplist, zipmap};
use coreshard::types::intset::IntSet;
use coreshard::types::listpack::ListpackRef;
use coreshard::types::raw::table::{TakenValue, ValueRef};
use coreshard::types::stream::{Group, NodeLimits, StreamId};
use coreshard::types::{Encodings, Listpack, Stream, Value, hll};
use crc::{CRC_64_REDIS, Crc, Table};

pub(super) const LIMITS: Limits = Limits { string_bytes: 1 << 16, encodings: Encodings::DEFAULT };
pub(super) static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Bytes that mean something in one format or another: ends, kinds, lengths that do not fit.
pub(super) const ALPHABET: &[u8] =
    &[0, 1, 2, 3, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xe0, 0xf0, 0xf1, 0xf4, 0xfd, 0xfe, 0xff];

/// Kinds whose bodies are taken for each other now and then.
const KINDS: &[u8] = &[
    kind::STRING,
    kind::LIST,
    kind::SET,
    kind::ZSET,
    kind::HASH,
    kind::ZSET_2,
    kind::HASH_ZIPMAP,
    kind::LIST_ZIPLIST,
    kind::SET_INTSET,
    kind::ZSET_ZIPLIST,
    kind::HASH_ZIPLIST,
    kind::LIST_QUICKLIST,
    kind::STREAM_LISTPACKS,
    kind::HASH_LISTPACK,
    kind::ZSET_LISTPACK,
    kind::LIST_QUICKLIST_2,
    kind::STREAM_LISTPACKS_2,
    kind::SET_LISTPACK,
    kind::STREAM_LISTPACKS_3,
    kind::HASH_METADATA_PRE_GA,
    kind::HASH_LISTPACK_EX_PRE_GA,
    kind::HASH_METADATA,
    kind::HASH_LISTPACK_EX,
];

pub(super) fn text(rng: &mut fastrand::Rng) -> Vec<u8> {
    match rng.u8(0..6) {
        0 => rng.i64(-200..200).to_string().into_bytes(),
        1 => rng.i64(..).to_string().into_bytes(),
        2 => vec![b'a' + rng.u8(0..3)],
        3 => b"again and ".repeat(rng.usize(0..12)),
        4 => Vec::new(),
        _ => (0..rng.usize(0..80)).map(|_| rng.u8(..)).collect(),
    }
}

fn texts(rng: &mut fastrand::Rng, step: usize) -> Vec<Vec<u8>> {
    (0..step * rng.usize(1..9)).map(|_| text(rng)).collect()
}

fn pack(entries: &[Vec<u8>]) -> Listpack {
    let mut pack = Listpack::default();
    entries.iter().for_each(|entry| pack.push_back(&entry[..]));
    pack
}

fn ziplist_of(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    let (mut before, mut tail) = (0, 10);
    for entry in entries {
        tail = bytes.len();
        bytes.push(before as u8);
        match entry.len() {
            len @ 0..64 => bytes.push(len as u8),
            len => bytes.extend([0x40 | (len >> 8) as u8, len as u8]),
        }
        bytes.extend(entry);
        before = bytes.len() - tail;
    }
    bytes.push(255);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..8].copy_from_slice(&(tail as u32).to_le_bytes());
    bytes[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
    bytes
}

fn zipmap_of(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![(entries.len() / 2) as u8];
    for pair in entries.chunks_exact(2) {
        bytes.push(pair[0].len() as u8);
        bytes.extend(&pair[0]);
        bytes.extend([pair[1].len() as u8, 0]);
        bytes.extend(&pair[1]);
    }
    bytes.push(255);
    bytes
}

fn intset_of(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut ints = IntSet::new();
    let bits = rng.u32(1..64);
    (0..rng.usize(1..20)).for_each(|_| {
        ints.insert(rng.i64(..) >> (64 - bits));
    });
    IntSet::to_redis(ints.as_ref())
}

fn stream(rng: &mut fastrand::Rng) -> Stream {
    let mut stream = Stream::new();
    let limits = NodeLimits { bytes: 4096, entries: rng.usize(1..6) };
    let mut id = StreamId::new(1, 1);
    for _ in 0..rng.usize(1..15) {
        let (name, value) = (text(rng), text(rng));
        let fields: &[(&[u8], &[u8])] =
            &[(b"field", &value), (if rng.bool() { b"other" } else { &name }, b"7")];
        stream.append(id, &fields, limits);
        if rng.u8(0..5) == 0 {
            stream.delete(id);
        }
        id = StreamId::new(id.ms + rng.u64(0..3), id.seq + 1);
    }
    if rng.bool() {
        stream.add_group(b"group", Group::new(StreamId::new(2, 0), Some(1)));
    }
    stream
}

/// The body of a sound value of a random kind.
pub(super) fn body(rng: &mut fastrand::Rng) -> (u8, Vec<u8>) {
    let mut writer = Writer::new();
    let of = KINDS[rng.usize(..KINDS.len())];
    let strings =
        |writer: &mut Writer, entries: &[Vec<u8>]| entries.iter().for_each(|entry| writer.string(entry));
    let numbered = |entries: Vec<Vec<u8>>, step: usize| -> Vec<Vec<u8>> {
        let distinct = |(at, text): (usize, Vec<u8>)| {
            if at % step == 0 { format!("{at}").into_bytes() } else { text }
        };
        entries.into_iter().enumerate().map(distinct).collect()
    };
    match of {
        kind::STRING => writer.string(&text(rng)),
        kind::LIST | kind::SET => {
            let entries = numbered(texts(rng, 1), 1);
            writer.length(entries.len() as u64);
            strings(&mut writer, &entries);
        }
        kind::LIST_QUICKLIST_2 => {
            writer.length(2);
            writer.length(2);
            writer.string(&pack(&texts(rng, 1)).to_redis());
            writer.length(1);
            // An element of its own node is never empty.
            writer.string(&[b"x", &text(rng)[..]].concat());
        }
        kind::LIST_QUICKLIST => {
            writer.length(1);
            writer.string(&ziplist_of(&texts(rng, 1)));
        }
        kind::LIST_ZIPLIST => writer.string(&ziplist_of(&texts(rng, 1))),
        kind::HASH_ZIPLIST => writer.string(&ziplist_of(&numbered(texts(rng, 2), 2))),
        kind::HASH_ZIPMAP => writer.string(&zipmap_of(&numbered(texts(rng, 2), 2))),
        kind::SET_INTSET => writer.string(&intset_of(rng)),
        kind::SET_LISTPACK => writer.string(&pack(&numbered(texts(rng, 1), 1)).to_redis()),
        kind::HASH_LISTPACK => writer.string(&pack(&numbered(texts(rng, 2), 2)).to_redis()),
        kind::ZSET_LISTPACK | kind::ZSET_ZIPLIST => {
            let scored = |at| [format!("member{at}").into_bytes(), format!("{at}.5").into_bytes()];
            let entries: Vec<Vec<u8>> = (0..rng.usize(1..9)).flat_map(scored).collect();
            let bytes =
                if of == kind::ZSET_LISTPACK { pack(&entries).to_redis() } else { ziplist_of(&entries) };
            writer.string(&bytes);
        }
        kind::HASH => {
            let entries = numbered(texts(rng, 2), 2);
            writer.length(entries.len() as u64 / 2);
            strings(&mut writer, &entries);
        }
        kind::ZSET | kind::ZSET_2 => {
            let count = rng.usize(1..9);
            writer.length(count as u64);
            for at in 0..count {
                writer.string(format!("member{at}").as_bytes());
                if of == kind::ZSET_2 {
                    writer.out.extend((at as f64 / 3.0).to_le_bytes());
                } else {
                    writer.out.extend(b"\x031.5");
                }
            }
        }
        kind::HASH_METADATA | kind::HASH_METADATA_PRE_GA => {
            let entries = numbered(texts(rng, 2), 2);
            if of == kind::HASH_METADATA {
                writer.out.extend(4_000_000_000_000u64.to_le_bytes());
            }
            writer.length(entries.len() as u64 / 2);
            for pair in entries.chunks_exact(2) {
                writer.length(rng.u64(0..3));
                strings(&mut writer, pair);
            }
        }
        kind::HASH_LISTPACK_EX | kind::HASH_LISTPACK_EX_PRE_GA => {
            let mut entries = numbered(texts(rng, 3), 3);
            entries.iter_mut().skip(2).step_by(3).for_each(|at| *at = b"4000000000000".to_vec());
            if of == kind::HASH_LISTPACK_EX {
                writer.out.extend(4_000_000_000_000u64.to_le_bytes());
            }
            writer.string(&pack(&entries).to_redis());
        }
        _ => {
            let stream = stream(rng);
            coreshard::rdb::stream::write(&mut writer, &stream);
            return (kind::STREAM_LISTPACKS_2, writer.out);
        }
    }
    (of, writer.out)
}

fn payload(of: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = [&[of], body, &12u16.to_le_bytes()].concat();
    bytes.extend(CRC64.checksum(&bytes).to_le_bytes());
    bytes
}

fn view(value: &TakenValue<Value>) -> ValueRef<'_, Value> {
    match value {
        TakenValue::Int(value) => ValueRef::Int(*value),
        TakenValue::Bytes(bytes) => ValueRef::Bytes(bytes),
        TakenValue::Packed(form, bytes) => ValueRef::Packed(*form, bytes),
        TakenValue::Heap(value) => ValueRef::Heap(value),
    }
}

#[test]
fn payloads() {
    let mut loaded = 0;
    fuzz("payloads", |rng| {
        let (mut of, mut bytes) = body(rng);
        let is_sound = rng.u8(0..8) == 0;
        if !is_sound {
            mutate(rng, &mut bytes, ALPHABET);
            if rng.u8(0..16) == 0 {
                of = KINDS[rng.usize(..KINDS.len())];
            }
        }
        let bytes = payload(of, &bytes);
        let value = match restore_value(&bytes, LIMITS) {
            Ok(value) => value,
            Err(error) => {
                assert!(!is_sound, "type {of}: {error}: {}", bytes.escape_ascii());
                return;
            }
        };
        loaded += 1;
        // Written once, fields stand in the order of their deadlines; from then on nothing changes.
        let read = |value| restore_value(&dump_value(view(value)), LIMITS);
        let ordered = read(&value).expect("it was written by us");
        assert_eq!(read(&ordered).as_ref(), Ok(&ordered), "type {of}: {}", bytes.escape_ascii());
        if let TakenValue::Heap(mut value) = value {
            match &value {
                Value::Stream(stream) => stream.verify().expect("it is sound"),
                Value::Hash(hash) => hash.verify(),
                _ => {}
            }
            // What LZF may unfold to is bounded by the limit of strings.
            let is_compressed = bytes.contains(&0xc3);
            assert!(is_compressed || value.heap_bytes() <= 400 * bytes.len() + (64 << 10));
            let mut steps = 0;
            while !value.drop_some(3) {
                steps += 1;
                assert!(steps < 1 << 20, "it is dropped at last");
            }
        }
    });
    println!("payloads: {loaded} loaded");
}

#[test]
fn packed_bytes() {
    fuzz("packed_bytes", |rng| {
        let entries = texts(rng, 1);
        let sound = pack(&entries).to_redis();
        let mut bytes = sound.clone();
        mutate(rng, &mut bytes, ALPHABET);
        if let Some(pack) = Listpack::from_redis(&bytes) {
            let forwards: Vec<Vec<u8>> = pack.iter().map(|(_, element)| element.to_vec()).collect();
            let mut backwards: Vec<Vec<u8>> = pack.iter_rev().map(|(_, element)| element.to_vec()).collect();
            backwards.reverse();
            assert_eq!(forwards, backwards);
            assert_eq!(forwards.len(), pack.len());
            assert_eq!(ListpackRef::new(pack.body()).len(), pack.len());
            let again = Listpack::from_redis(&pack.to_redis()).expect("it was written by us");
            assert!(again.iter().map(|(_, element)| element.to_vec()).eq(forwards));
        } else {
            assert_ne!(bytes, sound);
        }
        let mut bytes = intset_of(rng);
        mutate(rng, &mut bytes, ALPHABET);
        if let Some(ints) = IntSet::from_redis(&bytes) {
            let values: Vec<i64> = ints.as_ref().iter().collect();
            assert!(values.is_sorted_by(|a, b| a < b));
            assert!(values.iter().all(|value| ints.as_ref().contains(*value)));
        }
        let mut bytes = ziplist_of(&entries);
        mutate(rng, &mut bytes, ALPHABET);
        if let Some(pack) = ziplist::read(&bytes) {
            assert!(pack.heap_bytes() <= 32 * bytes.len() + 64);
        }
        let mut bytes = zipmap_of(&entries);
        mutate(rng, &mut bytes, ALPHABET);
        if let Some(pack) = zipmap::read(&bytes) {
            assert!(pack.len().is_multiple_of(2));
        }
    });
}

#[test]
fn any_bytes() {
    fuzz("any_bytes", |rng| {
        let bytes: Vec<u8> = (0..rng.usize(0..60))
            .map(|_| if rng.bool() { ALPHABET[rng.usize(..ALPHABET.len())] } else { rng.u8(..) })
            .collect();
        let of = KINDS[rng.usize(..KINDS.len())];
        if let Ok(value) = restore_value(&payload(of, &bytes), LIMITS) {
            dump_value(view(&value));
        }
        Listpack::from_redis(&bytes);
        IntSet::from_redis(&bytes);
        ziplist::read(&bytes);
        zipmap::read(&bytes);
    });
}

#[test]
fn hyperloglogs() {
    fuzz("hyperloglogs", |rng| {
        let mut bytes = hll::new();
        for _ in 0..rng.usize(0..100) {
            hll::add(&mut bytes, &rng.u64(..).to_le_bytes(), 300).expect("it is sound");
        }
        mutate(rng, &mut bytes, ALPHABET);
        if hll::encoding_of(&bytes).is_none() {
            return;
        }
        hll::decode(&bytes);
        let counted = hll::count(&bytes);
        let mut registers = Box::new([0; hll::REGISTERS]);
        assert_eq!(hll::merge(&mut registers, &bytes).is_ok(), counted.is_ok());
        for _ in 0..20 {
            if hll::add(&mut bytes, &rng.u64(..).to_le_bytes(), 300).is_err() {
                assert!(counted.is_err());
                return;
            }
        }
        assert!(hll::make_dense(&mut bytes).is_ok() == counted.is_ok());
    });
}
