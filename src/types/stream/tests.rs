//! Streams against a naive model.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::*;

type Strings = Vec<(Vec<u8>, Vec<u8>)>;

/// What a stream promises, in the simplest form.
#[derive(Default)]
struct Model {
    entries: BTreeMap<StreamId, Strings>,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

fn borrowed(strings: &Strings) -> Vec<(&[u8], &[u8])> {
    strings.iter().map(|(name, value)| (&name[..], &value[..])).collect()
}

fn append(stream: &mut Stream, id: StreamId, strings: &Strings, limits: NodeLimits) {
    stream.append(id, &&borrowed(strings)[..], limits);
}

fn strings_of(entry: Entry<'_>) -> (StreamId, Strings) {
    let mut flat = Vec::new();
    entry.for_each(|item| flat.push(item.text(&mut itoa::Buffer::new()).to_vec()));
    (entry.id, flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

#[derive(Clone, Debug)]
enum Step {
    Add { ms: u64, seq: u64, strings: Strings },
    Delete(usize),
    Trim { most: u64, approximate: bool },
    TrimId { index: usize, approximate: bool },
    SetBack,
    Range(usize, usize),
}

fn some_string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..6),
        3 => any::<i64>().prop_map(|value| (value >> (value & 63)).to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 60..200),
        1 => Just(b"same length".to_vec()),
    ]
}

fn some_strings() -> impl Strategy<Value = Strings> {
    let same_names = (some_string(), some_string())
        .prop_map(|(a, b)| vec![(b"first".to_vec(), a), (b"second".to_vec(), b)]);
    prop_oneof![4 => same_names, 1 => prop::collection::vec((some_string(), some_string()), 1..5)]
}

fn some_step() -> impl Strategy<Value = Step> {
    let add = (prop_oneof![3 => Just(0), 1 => 0..300u64], 0..3u64, some_strings())
        .prop_map(|(ms, seq, strings)| Step::Add { ms, seq, strings });
    prop_oneof![
        12 => add,
        3 => any::<usize>().prop_map(Step::Delete),
        1 => (0..60u64, any::<bool>()).prop_map(|(most, approximate)| Step::Trim { most, approximate }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(index, approximate)| Step::TrimId { index, approximate }),
        1 => Just(Step::SetBack),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Step::Range(from, to)),
    ]
}

fn nth(model: &Model, index: usize) -> Option<StreamId> {
    let count = model.entries.len();
    (count > 0).then(|| *model.entries.keys().nth(index % count).expect("within the count"))
}

fn run(stream: &mut Stream, model: &mut Model, step: &Step, limits: NodeLimits) {
    match step {
        Step::Add { ms, seq, strings } => {
            let id = match ms {
                0 => StreamId::new(model.last_id.ms, model.last_id.seq + 1 + seq),
                ms => StreamId::new(model.last_id.ms + ms, *seq),
            };
            append(stream, id, strings, limits);
            model.entries.insert(id, strings.clone());
            model.last_id = id;
        }
        Step::Delete(index) => {
            let Some(id) = nth(model, *index) else { return };
            assert!(stream.delete(id));
            assert!(!stream.delete(id));
            model.entries.remove(&id);
            model.max_deleted_id = model.max_deleted_id.max(id);
        }
        Step::Trim { most, approximate } => {
            let before = stream.entry_count();
            let trim = Trim { threshold: Threshold::MaxLen(*most), approximate: *approximate, limit: 0 };
            let removed = stream.trim(trim);
            assert_eq!(stream.entry_count(), before - removed);
            assert!(before - removed >= before.min(*most));
            if !approximate {
                assert_eq!(removed, before.saturating_sub(*most));
            }
            (0..removed).for_each(|_| drop(model.entries.pop_first()));
        }
        Step::TrimId { index, approximate } => {
            let Some(id) = nth(model, *index) else { return };
            let trim = Trim { threshold: Threshold::MinId(id), approximate: *approximate, limit: 0 };
            let would: Vec<StreamId> = stream.trimmable(trim).collect();
            let removed = stream.trim(trim);
            let below = model.entries.range(..id).count() as u64;
            assert_eq!(would.len() as u64, removed);
            assert!(if *approximate { removed <= below } else { removed == below });
            (0..removed).for_each(|_| drop(model.entries.pop_first()));
        }
        Step::SetBack => {
            let top = model.entries.keys().next_back().copied().unwrap_or(StreamId::MIN);
            (stream.last_id, model.last_id) = (top, top);
        }
        Step::Range(from, to) => {
            let (Some(from), Some(to)) = (nth(model, *from), nth(model, *to)) else { return };
            for (from, to) in [(from, to), (from, from.next().unwrap_or(from)), (to, StreamId::MAX)] {
                let expected: Vec<_> = if from > to {
                    Vec::new()
                } else {
                    model.entries.range(from..=to).map(|(id, strings)| (*id, strings.clone())).collect()
                };
                let forward: Vec<_> = stream.log().range(from, to).map(strings_of).collect();
                let mut backward: Vec<_> = stream.log().range_rev(from, to).map(strings_of).collect();
                backward.reverse();
                assert_eq!(forward, expected);
                assert_eq!(backward, expected);
                let held = model.entries.get(&from).map(|strings| (from, strings.clone()));
                assert_eq!(stream.log().get(from).map(strings_of), held);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_is_its_entries_in_order(
        steps in prop::collection::vec(some_step(), 1..200),
        bytes in prop_oneof![Just(0usize), Just(200), Just(4096)],
        entries in prop_oneof![Just(0usize), Just(1), Just(7), Just(100)],
    ) {
        let (mut stream, mut model) = (Stream::new(), Model::default());
        for step in &steps {
            run(&mut stream, &mut model, step, NodeLimits { bytes, entries });
            stream.verify().unwrap();
            assert_eq!(stream.entry_count(), model.entries.len() as u64);
            assert_eq!((stream.last_id, stream.max_deleted_id), (model.last_id, model.max_deleted_id));
        }
        let all: Vec<_> = stream.log().range(StreamId::MIN, StreamId::MAX).map(strings_of).collect();
        let expected: Vec<_> = model.entries.into_iter().collect();
        assert_eq!(&all, &expected);

        // A copy in nodes of another size is the same stream.
        let mut copy = Stream { last_id: StreamId::MIN, ..Stream::new() };
        for (id, strings) in &all {
            append(&mut copy, *id, strings, NodeLimits { bytes: 300, entries: 3 });
        }
        copy.last_id = stream.last_id;
        copy.max_deleted_id = stream.max_deleted_id;
        copy.entries_added = stream.entries_added;
        assert_eq!(&copy, &stream);

        let mut steps = 0;
        while !stream.drop_some(10) {
            steps += 1;
            assert!(steps < 1000);
        }
    }

    #[test]
    fn a_group_and_its_consumers_agree(
        steps in prop::collection::vec((0..6u8, 0..20u64, 0..4u8), 1..200),
    ) {
        let mut stream = Stream::new();
        stream.add_group(b"g", Group::new(StreamId::MIN, None));
        let mut owners: BTreeMap<StreamId, Vec<u8>> = BTreeMap::new();
        for (kind, id, name) in steps {
            let (id, name) = (StreamId::new(id, 0), vec![b'a' + name]);
            let edit = stream.edit_group(b"g").expect("it was added");
            match kind {
                0..=2 => {
                    let index = match edit.group.consumer_index(&name) {
                        Some(index) => index,
                        None => edit.group.add_consumer(&name, 5),
                    };
                    edit.group.deliver(id, Nack { consumer: index, delivered_at_ms: 7, delivery_count: 1 });
                    owners.insert(id, name);
                }
                3 | 4 => assert_eq!(edit.group.acknowledge(id), owners.remove(&id).is_some()),
                _ => {
                    let pending = owners.values().filter(|owner| **owner == name).count();
                    let removed = edit.group.remove_consumer(&name);
                    assert_eq!(removed.unwrap_or(0), pending);
                    owners.retain(|_, owner| *owner != name);
                }
            }
            drop(edit);
            stream.verify().unwrap();
            let group = stream.group(b"g").expect("it was added");
            let held: Vec<_> =
                group.pending().iter().map(|(id, nack)| (*id, group.owner_name(nack).to_vec())).collect();
            assert_eq!(held, owners.clone().into_iter().collect::<Vec<_>>());
        }
        let mut steps = 0;
        while !stream.drop_some(3) {
            steps += 1;
            assert!(steps < 1000);
        }
        stream.verify().unwrap();
    }
}

#[test]
fn entries_of_the_same_shape_cost_little_more_than_their_data() {
    let mut stream = Stream::new();
    for n in 0..10_000u64 {
        let value = format!("{:016}", n * 7919 + 1_000_000_000_000_000);
        let value = format!("v{}", &value[1..]).into_bytes();
        let strings = vec![(b"field1".to_vec(), value.clone()), (b"field2".to_vec(), value)];
        append(&mut stream, StreamId::new(1_700_000_000_000 + n, 0), &strings, NodeLimits::default());
    }
    let each = stream.heap_bytes() as f64 / 10_000.0;
    assert!(each < 36.5, "{each} bytes for 32 bytes of data");
    stream.verify().unwrap();
}

#[test]
fn a_stream_of_one_entry_is_small() {
    let mut stream = Stream::new();
    append(&mut stream, StreamId::new(1, 1), &vec![(b"f".to_vec(), b"v".to_vec())], NodeLimits::default());
    assert!(stream.heap_bytes() < 500, "{} bytes", stream.heap_bytes());
}

#[test]
fn a_copy_made_piece_by_piece_is_the_same() {
    let mut stream = Stream::new();
    for ms in 1..=3000 {
        let strings = vec![(b"field".to_vec(), vec![b'x'; ms as usize % 200])];
        append(&mut stream, StreamId { ms, seq: 1 }, &strings, NodeLimits { bytes: 4096, entries: 10 });
    }
    for ms in (1..3000).step_by(7) {
        stream.delete(StreamId { ms, seq: 1 });
    }
    for name in [&b"a"[..], b"b", b"c"] {
        let mut group = Group::new(StreamId { ms: 100, seq: 0 }, Some(7));
        let consumer = group.add_consumer(name, 1);
        for ms in 1..100 {
            let nack = Nack { consumer, delivered_at_ms: 1, delivery_count: 1 };
            group.deliver(StreamId { ms, seq: 1 }, nack);
        }
        assert!(stream.add_group(name, group));
    }
    for count in [1, 300, usize::MAX] {
        let (mut copy, mut at, mut pieces) = (Stream::default(), 0, 1);
        while let Some(next) = stream.copy_some(&mut copy, at, count) {
            assert!(next > at && copy.heap_bytes() <= 2 * stream.heap_bytes());
            (at, pieces) = (next, pieces + 1);
        }
        assert!(count != 1 || pieces > 8, "{pieces} pieces");
        copy.verify().unwrap();
        assert_eq!(copy, stream);
        while !copy.drop_some(50) {}
        // One that is given up halfway can be dropped.
        let mut part = Stream::default();
        stream.copy_some(&mut part, 0, count);
        while !part.drop_some(50) {}
    }
}
