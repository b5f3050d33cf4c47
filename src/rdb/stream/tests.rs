//! Round trips, Redis's own bytes, and hostile ones.

use super::*;
use crate::rdb::Limits;
use crate::types::Encodings;
use crate::types::stream::{NodeLimits, Threshold, Trim};

const LIMITS: Limits = Limits { string_bytes: 64 << 20, encodings: Encodings::DEFAULT };

fn add(stream: &mut Stream, ms: u64, strings: &[(&str, &str)]) {
    let strings: Vec<_> = strings.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    stream.append(StreamId::new(ms, ms % 2), &&strings[..], NodeLimits { bytes: 300, entries: 10 });
}

/// A stream with everything there is.
fn sample() -> Stream {
    let mut stream = Stream::new();
    for n in 1..=40 {
        let number = (n * 7919).to_string();
        match n % 7 {
            0 => add(&mut stream, n, &[("other", &number)]),
            _ => add(&mut stream, n, &[("name", "value"), ("number", &number)]),
        }
    }
    for n in [3, 4, 17, 40] {
        assert!(stream.delete(StreamId::new(n, n % 2)));
    }
    let mut group = Group::new(StreamId::new(9, 1), Some(9));
    for (n, name) in [(1, "al"), (2, "bo"), (5, "al")] {
        let name = name.as_bytes();
        let consumer = group.consumer_index(name).unwrap_or_else(|| group.add_consumer(name, 55));
        let nack = Nack { consumer, delivered_at_ms: 1000 + n as i64, delivery_count: n };
        group.deliver(StreamId::new(n, n % 2), nack);
    }
    stream.add_group(b"g", group);
    stream.add_group(b"unknown", Group::new(StreamId::MIN, None));
    stream
}

fn written(stream: &Stream) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer, stream);
    writer.out
}

fn read_all(bytes: &[u8], of: u8) -> Result<Stream, RdbError> {
    read(&mut Reader::new(bytes, LIMITS), of)
}

#[test]
fn streams_come_back_as_they_were() {
    for stream in [Stream::new(), sample()] {
        let bytes = written(&stream);
        let back = read_all(&bytes, kind::STREAM_LISTPACKS_2).expect("what was written");
        back.verify().unwrap();
        assert_eq!(back, stream);
        assert_eq!(written(&back), bytes);
    }
}

/// DUMP of Redis 7.0.15 after: XADD s 5-1 f v g 12, XADD s 5-2 f v2 g 300, XADD s 6-0 h x, XGROUP CREATE s g1 0,
/// XREADGROUP GROUP g1 al COUNT 2 STREAMS s >
const REDIS: &[u8] = b"\x01\x10\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01@BB\x00\x00\x00\x19\x00\x03\x01\x00\x01\x02\x01\x81f\x02\x81g\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x0c\x01\x05\x01\x02\x01\x00\x01\x01\x01\x82v2\x03\xc1,\x02\x05\x01\x00\x01\x01\x01\xdf\xff\x02\x01\x01\x81h\x02\x81x\x02\x06\x01\xff\x03\x06\x00\x05\x01\x00\x00\x03\x01\x02g1\x05\x02\x02\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01(\x10\xd0\x10\xa2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x02(\x10\xd0\x10\xa2\x01\x00\x00\x01\x01\x02al(\x10\xd0\x10\xa2\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x02";

#[test]
fn streams_are_written_as_redis_writes_them() {
    let stream = read_all(REDIS, kind::STREAM_LISTPACKS_2).expect("Redis wrote it");
    stream.verify().unwrap();
    assert_eq!((stream.entry_count(), stream.last_id), (3, StreamId::new(6, 0)));
    assert_eq!(written(&stream), REDIS);
}

#[test]
fn older_and_newer_streams_are_read() {
    let node = &REDIS[..86];
    let old = [node, b"\x03\x06\x00\x01\x02g1\x05\x01\x00\x01\x02al", &[9; 8], b"\x00"].concat();
    let stream = read_all(&old, kind::STREAM_LISTPACKS).expect("a stream of Redis 5");
    stream.verify().unwrap();
    assert_eq!((stream.entries_added, stream.first_id()), (3, StreamId::new(5, 1)));
    assert_eq!(stream.group(b"g1").map(|group| group.entries_read), Some(Some(1)));

    let new = [
        node,
        b"\x03\x06\x00\x05\x01\x00\x00\x03\x01\x02g1\x05\x01\x01\x00\x01\x02al",
        &[9; 8],
        &[1; 8],
        b"\x00",
    ];
    let stream = read_all(&new.concat(), kind::STREAM_LISTPACKS_3).expect("a stream of Redis 7.2");
    let group = stream.group(b"g1").expect("it has one");
    assert_eq!(
        group.consumers().next().and_then(|consumer| consumer.active_at_ms),
        Some(i64::from_le_bytes([1; 8]))
    );
}

#[test]
fn what_was_given_back_is_a_nameless_consumers() {
    let mut stream = sample();
    let edit = stream.edit_group(b"g").expect("it has one");
    edit.group.deliver(StreamId::new(2, 0), Nack { consumer: NOBODY, delivered_at_ms: 0, delivery_count: 4 });
    drop(edit);
    let back = read_all(&written(&stream), kind::STREAM_LISTPACKS_2).expect("what was written");
    back.verify().unwrap();
    let group = back.group(b"g").expect("it has one");
    let nameless = group.consumer_index(b"").expect("there is one");
    assert!(group.consumer(nameless).pending.contains(&StreamId::new(2, 0)));
    assert_eq!(group.pending()[&StreamId::new(2, 0)].delivery_count, 4);
}

#[test]
fn deleted_entries_out_of_order_are_left_out_and_others_refused() {
    let node = |ids: &[(i64, i64)]| {
        let mut pack = Listpack::new();
        let deleted = ids.iter().filter(|(_, flags)| flags & DELETED != 0).count() as i64;
        for number in [ids.len() as i64 - deleted, deleted, 0, 0] {
            pack.push_back(Element::Int(number));
        }
        for (ms, flags) in ids {
            for number in [SAME_FIELDS | flags, *ms, 0, 3] {
                pack.push_back(Element::Int(number));
            }
        }
        let mut stream = Stream::new();
        read_node(&mut stream, StreamId::MIN, &pack).map(|()| {
            stream.nodes_are_read();
            stream.verify().unwrap();
            stream.log().range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id.ms).collect::<Vec<_>>()
        })
    };
    assert_eq!(node(&[(5, 0), (10, DELETED), (8, 0)]), Some(vec![5, 8]));
    assert_eq!(node(&[(5, DELETED), (5, 0), (4, DELETED)]), None);
    assert_eq!(node(&[(5, 0), (4, 0)]), None);
    assert_eq!(node(&[(5, DELETED)]), Some(vec![]));
    assert_eq!(node(&[(-1, 0)]), Some(vec![u64::MAX]));
}

/// Does with a stream what commands do.
fn use_up(mut stream: Stream) {
    stream.verify().unwrap();
    let count = stream.log().range(StreamId::MIN, StreamId::MAX).count() as u64;
    assert_eq!(count, stream.entry_count());
    assert_eq!(stream.log().range_rev(StreamId::MIN, StreamId::MAX).count() as u64, count);
    for group in stream.groups().values() {
        stream.lag(group);
    }
    let ids: Vec<_> = stream.log().range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    for id in ids.iter().step_by(2) {
        assert!(stream.delete(*id));
        stream.forget(*id);
    }
    if let Some(id) = stream.last_id.next() {
        stream.append(id, &&[(&b"a"[..], &b"b"[..])][..], NodeLimits::default());
    }
    stream.trim(Trim { threshold: Threshold::MaxLen(3), approximate: false, limit: 0 });
    stream.verify().unwrap();
    // The time a consumer was active at is not written.
    if stream.groups().values().flat_map(Group::consumers).all(|consumer| consumer.active_at_ms.is_none()) {
        assert_eq!(read_all(&written(&stream), kind::STREAM_LISTPACKS_2).as_ref(), Ok(&stream));
    }
    while !stream.drop_some(7) {}
}

#[test]
fn hostile_streams_are_refused_or_hold() {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut whole = 0;
    let plain = written(&sample());
    for round in 0..6000 {
        let mut bytes = if round % 3 == 0 { REDIS.to_vec() } else { plain.clone() };
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..8) {
                0 => bytes.truncate(at.max(1)),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, rng.u8(..)),
                3 => bytes[at] = bytes[at].wrapping_add(1),
                4 => bytes[at] = 0xff,
                _ => bytes[at] = rng.u8(..),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        let of = *rng.choice(&[15, 19, 19, 19, 21]).expect("there are some");
        if let Ok(stream) = read_all(&bytes, of) {
            whole += 1;
            use_up(stream);
        }
    }
    assert!(whole > 100, "only {whole} were taken");
}
