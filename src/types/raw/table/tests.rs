//! The table against the standard collections.

use super::bucket::Bucket;
use super::*;
use crate::types::Packed;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Counts live heap values, so that a test sees leaks and double drops.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Big(u64, Rc<()>);

type Big1 = Table<Big>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Model {
    Int(i64),
    Bytes(Vec<u8>),
    Packed(Packed, Vec<u8>),
    Heap(u64),
}

#[derive(Debug, Clone)]
struct Row {
    value: Model,
    expire: Option<u64>,
    access: u16,
}

/// A table and its naive twin.
struct Pair {
    table: Big1,
    model: BTreeMap<Vec<u8>, Row>,
    token: Rc<()>,
}

fn model_of(value: ValueRef<'_, Big>) -> Model {
    match value {
        ValueRef::Int(value) => Model::Int(value),
        ValueRef::Bytes(bytes) => Model::Bytes(bytes.to_vec()),
        ValueRef::Packed(form, bytes) => Model::Packed(form, bytes.to_vec()),
        ValueRef::Heap(big) => Model::Heap(big.0),
    }
}

impl Pair {
    fn new(keep: u64) -> Self {
        let mut hasher = Hasher::from_seed(7);
        hasher.keep = keep;
        Pair { table: Table::new(hasher), model: BTreeMap::new(), token: Rc::new(()) }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.table.hasher().hash(key)
    }

    fn value<'v>(&self, model: &'v Model) -> Value<'v, Big> {
        match model {
            Model::Int(value) => Value::Int(*value),
            Model::Bytes(bytes) => Value::Bytes(bytes),
            Model::Packed(form, bytes) => Value::Packed(*form, bytes),
            Model::Heap(number) => Value::Heap(Big(*number, self.token.clone())),
        }
    }

    fn put(&mut self, key: &[u8], value: Model, ttl: Ttl, access: Access) {
        let hash = self.hash(key);
        let stored = self.value(&value);
        let replaced = self.table.replace(hash, key, stored, ttl, access);
        let before = self.model.get(key).cloned();
        assert_eq!(replaced.existed, before.is_some());
        assert_eq!(
            replaced.old.map(|big| Model::Heap(big.0)),
            before.as_ref().map(|row| row.value.clone()).filter(|v| matches!(v, Model::Heap(_)))
        );
        let expire = match ttl {
            Ttl::Keep => before.as_ref().and_then(|row| row.expire),
            Ttl::Clear => None,
            Ttl::Set(ms) => Some(ms),
        };
        let access = match access {
            Access::Set(access) => access,
            Access::KeepOr(access) => before.map_or(access, |row| row.access),
        };
        self.model.insert(key.to_vec(), Row { value, expire, access });
    }

    fn remove(&mut self, key: &[u8]) {
        let removed = self.table.remove(self.hash(key), key);
        let row = self.model.remove(key);
        assert_eq!(removed.is_some(), row.is_some());
        let (Some(removed), Some(row)) = (removed, row) else { return };
        assert_eq!(removed.expire_at_ms, row.expire);
        let heap = matches!(row.value, Model::Heap(_)).then_some(row.value);
        assert_eq!(removed.heap.map(|big| Model::Heap(big.0)), heap);
    }

    fn check(&self) {
        self.table.verify();
        assert_eq!(self.table.len(), self.model.len());
        let with_ttl = self.model.values().filter(|row| row.expire.is_some()).count();
        assert_eq!(self.table.expires_count(), with_ttl);
        for (key, row) in &self.model {
            let found = self.table.find(self.hash(key), key).expect("a stored key is found");
            assert_eq!(found.key(), key);
            assert_eq!(model_of(found.value()), row.value);
            assert_eq!(found.expire_at_ms(), row.expire);
            assert_eq!(found.access(), row.access);
        }
        let walked: Vec<Vec<u8>> = self.table.iter().map(|entry| entry.key().to_vec()).collect();
        assert_eq!(walked.len(), self.model.len());
        let walked: HashSet<Vec<u8>> = walked.into_iter().collect();
        assert_eq!(walked.len(), self.model.len());
        let heaps = self.model.values().filter(|row| matches!(row.value, Model::Heap(_))).count();
        assert_eq!(Rc::strong_count(&self.token), heaps + 1);
    }
}

fn scan_all(table: &Big1, count: usize) -> HashMap<Vec<u8>, usize> {
    let mut seen = HashMap::new();
    let mut cursor = 0;
    loop {
        cursor = table.scan(cursor, count, &mut |entry| {
            *seen.entry(entry.key().to_vec()).or_insert(0) += 1;
        });
        assert!(cursor < 1 << 42);
        if cursor == 0 {
            return seen;
        }
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("key:{number}").into_bytes()
}

/// Many keys for speed, few under Miri.
const fn scaled(count: u64) -> u64 {
    if cfg!(miri) { count / 40 } else { count }
}

#[test]
fn fingerprints_match_as_in_the_naive_twin() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..scaled(2000) {
        let mut bucket = Bucket::EMPTY;
        bucket.fps.iter_mut().for_each(|fp| *fp = random.u8(0..4));
        for fp in 0..5 {
            assert_eq!(bucket.matching(fp), bucket.matching_portable(fp));
        }
    }
}

#[test]
fn keys_come_and_go_through_growth_and_merging() {
    let mut pair = Pair::new(u64::MAX);
    let count = scaled(20_000);
    let empty = pair.table.usage().total_bytes();
    for number in 0..count {
        let value = match number % 4 {
            0 => Model::Int(number as i64 - 1000),
            1 => Model::Bytes(vec![number as u8; number as usize % 512]),
            2 => Model::Heap(number),
            _ if number % 8 == 3 => Model::Packed(Packed::Hash, vec![number as u8; number as usize % 512]),
            _ => Model::Bytes(key(number)),
        };
        pair.put(&key(number), value, Ttl::Keep, Access::Set(number as u16));
        if number % 4096 == 0 {
            pair.check();
        }
    }
    pair.check();
    assert!(pair.table.segments_count() > 1);
    for number in 0..count {
        pair.remove(&key(number * 7 % count));
        if number % 4096 == 0 {
            pair.check();
        }
    }
    pair.check();
    assert_eq!((pair.table.len(), pair.table.segments_count()), (0, 1));
    assert!(pair.table.usage().total_bytes() < empty + 9000);
}

#[test]
fn keys_with_one_hash_work() {
    let keeps = [0, 0xFF, u64::MAX << 62, 1 << 63 | 0xF];
    for keep in keeps {
        let mut pair = Pair::new(keep);
        let count = scaled(4000);
        for number in 0..count {
            let value = Model::Bytes(vec![1; number as usize % 100]);
            pair.put(&key(number), value, Ttl::Set(1000 + number), Access::KeepOr(3));
        }
        pair.check();
        assert!(pair.table.directory.len() < 4096, "crafted keys do not grow the directory");
        let seen = scan_all(&pair.table, 10);
        assert_eq!(seen.len(), count as usize);
        for number in 0..count / 2 {
            pair.remove(&key(number));
        }
        pair.check();
        let due = 1000 + count * 3 / 4;
        pop(&mut pair, due - 1);
        pair.check();
        for number in 0..count {
            pair.remove(&key(number));
        }
        pair.check();
    }
}

/// Expires what is due in both twins.
fn pop(pair: &mut Pair, now_ms: u64) {
    let mut gone = Vec::new();
    let mut dropped = 0;
    loop {
        let popped = pair.table.pop_expired(
            now_ms,
            100,
            50,
            &mut |entry| {
                assert!(entry.expire_at_ms().is_some_and(|ms| ms <= now_ms));
                gone.push(entry.key().to_vec());
                true
            },
            &mut |_| panic!("there is no walk"),
            &mut |_| dropped += 1,
        );
        assert!(popped.expired <= 100 + 18 && popped.visits <= 50 + 32);
        if !popped.more {
            break;
        }
    }
    for key in &gone {
        let row = pair.model.remove(key).expect("an expired key was stored");
        assert!(row.expire.is_some_and(|ms| ms <= now_ms));
    }
    assert!(!pair.model.values().any(|row| row.expire.is_some_and(|ms| ms <= now_ms)));
    assert!(pair.table.next_deadline().is_none_or(|ms| ms > now_ms));
}

#[test]
fn empty_and_huge_keys_and_values_work() {
    let mut pair = Pair::new(u64::MAX);
    for len in [0, 1, 3, 4, 7, 8, 9, 123, 124, 125, 126, 127, 128, 255, 256, 257, 5000, 3_000_000] {
        let len = if cfg!(miri) { len.min(6000) } else { len };
        for fill in [b'a', b'b'] {
            let key = vec![fill; len];
            pair.put(&key, Model::Bytes(vec![]), Ttl::Clear, Access::Set(1));
            pair.put(&key, Model::Bytes(vec![2; 512]), Ttl::Set(77), Access::KeepOr(9));
        }
    }
    pair.check();
    for len in [0usize, 1, 223, 224, 225, 511, 512] {
        pair.put(b"v", Model::Bytes(vec![5; len]), Ttl::Keep, Access::KeepOr(0));
        pair.check();
    }
    for bits in 0..63 {
        for value in [1 << bits, -(1 << bits), (1 << bits) - 1, i64::MAX, i64::MIN, 0] {
            pair.put(b"i", Model::Int(value), Ttl::Keep, Access::KeepOr(0));
            pair.check();
        }
    }
    pop(&mut pair, 77);
    pair.check();
}

#[test]
fn deadlines_of_any_size_are_kept() {
    let mut pair = Pair::new(u64::MAX);
    let times = [0, 1, (1 << 32) - 1, 1 << 40, (1 << 48) - 2, (1 << 48) - 1, 1 << 48, i64::MAX as u64];
    for (number, &ms) in times.iter().enumerate() {
        pair.put(&key(number as u64), Model::Int(1), Ttl::Set(ms), Access::Set(0));
        pair.check();
        pair.put(&key(number as u64), Model::Int(300), Ttl::Keep, Access::Set(0));
        pair.check();
    }
    for &ms in times.iter().rev() {
        pair.put(b"same", Model::Int(5), Ttl::Set(ms), Access::Set(0));
        pair.check();
    }
    for &ms in &times {
        pop(&mut pair, ms);
        pair.check();
    }
    assert_eq!(pair.table.len(), 0);
}

#[test]
fn a_refused_expiry_comes_again_a_millisecond_later() {
    let mut pair = Pair::new(u64::MAX);
    pair.put(b"k", Model::Int(1), Ttl::Set(100), Access::Set(0));
    let popped = pair.table.pop_expired(100, 9, 9, &mut |_| false, &mut |_| (), &mut |_| ());
    assert_eq!((popped.expired, popped.more), (0, false));
    assert_eq!(pair.table.next_deadline(), Some(101));
    let popped = pair.table.pop_expired(101, 9, 9, &mut |_| true, &mut |_| (), &mut |_| ());
    assert_eq!(popped.expired, 1);
    assert_eq!(pair.table.next_deadline(), None);
}

#[test]
fn editing_in_place_keeps_everything_else() {
    let mut pair = Pair::new(u64::MAX);
    for number in 0..scaled(3000) {
        pair.put(&key(number), Model::Bytes(vec![7; 40]), Ttl::Keep, Access::Set(4));
    }
    for number in 0..scaled(3000) {
        let key = key(number);
        let hash = pair.hash(&key);
        let mut entry = pair.table.entry_mut(hash, &key).expect("stored above");
        entry.bytes_mut().expect("bytes")[3] = 9;
        entry.set_expire(5_000_000 + number);
        entry.set_access(77);
        let row = pair.model.get_mut(&key).expect("stored above");
        *row = Row { expire: Some(5_000_000 + number), access: 77, ..row.clone() };
        let Model::Bytes(bytes) = &mut row.value else { unreachable!() };
        bytes[3] = 9;
        match number % 5 {
            0 => {
                assert!(entry.persist() && !entry.persist());
                row.expire = None;
            }
            1 => {
                entry.set_int(-5);
                row.value = Model::Int(-5);
            }
            2 => {
                entry.set_value(Value::Bytes(&[1; 300]));
                row.value = Model::Bytes(vec![1; 300]);
            }
            3 => {
                entry.set_value(Value::Heap(Big(1, pair.token.clone())));
                entry.heap_mut().expect("a heap value").0 = 2;
                row.value = Model::Heap(2);
            }
            _ => {}
        }
    }
    pair.check();
    let taken = pair.table.take_entry(pair.hash(b"key:3"), b"key:3").expect("stored");
    assert!(matches!(taken.value, TakenValue::Heap(Big(2, _))));
    drop(taken);
    pair.model.remove(&b"key:3"[..]);
    pair.check();
}

#[test]
fn a_taken_table_is_dropped_in_slices() {
    let mut pair = Pair::new(u64::MAX);
    for number in 0..scaled(10_000) {
        pair.put(&key(number), Model::Heap(number), Ttl::Keep, Access::Set(4));
    }
    pair.put(&[1; 1000], Model::Int(1), Ttl::Set(5), Access::Set(4));
    let mut doomed = pair.table.take();
    pair.model.clear();
    assert_eq!(pair.table.len(), 0);
    pair.table.verify();
    let (mut slices, mut dropped) = (1, 0);
    while !doomed.drop_some(100, &mut |_| dropped += 1) {
        slices += 1;
    }
    assert!(slices > 1 || cfg!(miri));
    assert_eq!((dropped, doomed.len()), (scaled(10_000), 0));
    drop(doomed);
    pair.check();
}

#[test]
fn a_group_is_the_keys_of_one_home() {
    let mut pair = Pair::new(u64::MAX);
    pair.put(b"a", Model::Int(1), Ttl::Keep, Access::Set(4));
    let hash = pair.hash(b"a");
    let mut group = Vec::new();
    pair.table.for_group(hash, &mut |entry| group.push(entry.key().to_vec()));
    assert_eq!(group, [b"a".to_vec()]);
}

#[test]
fn a_walk_is_shown_a_changed_key_alone_and_once() {
    let mut pair = Pair::new(u64::MAX);
    let count = scaled(4000);
    for number in 0..count {
        pair.put(&key(number), Model::Int(1), Ttl::Clear, Access::Set(4));
    }
    pair.table.begin_walk();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut visits = 0;
    for number in (0..count).rev() {
        // The second half of the changes comes while the walk is under way.
        if number < count / 2 {
            pair.table.walk_on(&mut |_, _| {}, &mut |entry| {
                seen.push(entry.key().to_vec());
                true
            });
        }
        let hash = pair.hash(&key(number));
        let before = seen.len();
        for _ in 0..2 {
            if pair.table.is_ahead(hash) {
                pair.table.show(hash, &mut |entry| seen.push(entry.key().to_vec()));
            }
        }
        assert!(seen[before..].iter().all(|shown| *shown == key(number)), "no other key is shown");
        // Some go, and new ones come and make segments split.
        pair.remove(&key(number));
        if number % 3 > 0 {
            pair.put(&key(count + 2 * number), Model::Int(2), Ttl::Clear, Access::Set(4));
            pair.put(&key(count + 2 * number + 1), Model::Int(2), Ttl::Clear, Access::Set(4));
        }
    }
    while pair.table.walk_on(&mut |_, _| {}, &mut |entry| {
        // Some take three visits.
        visits += 1;
        let is_done = entry.key()[entry.key().len() - 1] % 5 > 0 || visits % 3 == 0;
        if is_done {
            seen.push(entry.key().to_vec());
        }
        is_done
    }) {}
    seen.sort();
    let mut all: Vec<_> = (0..count).map(key).collect();
    all.sort();
    assert!(seen == all, "every key that there was is seen once, and none that came later");
    assert!(!pair.table.is_ahead(u64::MAX), "the walk is over");
    pair.check();
}

#[test]
fn what_one_walk_has_seen_means_nothing_to_the_next() {
    let mut pair = Pair::new(u64::MAX);
    let count = scaled(2000);
    for number in 0..count {
        pair.put(&key(number), Model::Int(1), Ttl::Clear, Access::Set(4));
    }
    for _ in 0..3 {
        pair.table.begin_walk();
        for number in 0..count {
            let mut shown = 0;
            pair.table.show(pair.hash(&key(number)), &mut |_| shown += 1);
            assert_eq!(shown, 1);
        }
        // Given up, as when everything is flushed.
        pair.table.end_walk();
    }
    pair.table.begin_walk();
    let mut seen = 0;
    while pair.table.walk_on(&mut |_, _| {}, &mut |_| {
        seen += 1;
        true
    }) {}
    assert_eq!(seen, count);
}

#[test]
fn random_entries_are_about_evenly_likely() {
    let mut pair = Pair::new(u64::MAX);
    let count = scaled(4000);
    for number in 0..count {
        let ttl = if number % 10 == 0 { Ttl::Set(9 + number) } else { Ttl::Clear };
        pair.put(&key(number), Model::Int(1), ttl, Access::Set(4));
    }
    let mut random = fastrand::Rng::with_seed(5);
    let mut hits: HashMap<Vec<u8>, u32> = HashMap::new();
    let rounds = count * 50;
    for _ in 0..rounds {
        let entry = pair.table.random_entry(&mut || random.u64(..)).expect("not empty");
        *hits.entry(entry.key().to_vec()).or_default() += 1;
    }
    assert_eq!(hits.len(), count as usize);
    assert!(hits.values().all(|&hits| (10..120).contains(&hits)));
    let mut sampled = 0;
    let got = pair.table.sample(&mut || random.u64(..), 16, true, &mut |entry| {
        assert!(entry.expire_at_ms().is_some());
        sampled += 1;
    });
    assert_eq!((got, sampled), (16.min(count as usize / 10), 16.min(count as usize / 10)));
    for number in 1..count {
        pair.remove(&key(number));
    }
    let only = pair.table.random_entry(&mut || random.u64(..)).expect("one is left");
    assert_eq!(only.key(), key(0));
    pair.remove(&key(0));
    assert!(pair.table.random_entry(&mut || random.u64(..)).is_none());
}

#[test]
fn a_scan_returns_every_lasting_key_through_splits_and_merges() {
    for seed in 0..scaled(40).max(2) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(u64::MAX);
        let lasting = 200;
        let others = scaled(12_000);
        for number in 0..lasting {
            pair.put(&key(number), Model::Int(1), Ttl::Keep, Access::Set(0));
        }
        let mut live = Vec::new();
        let mut growing = seed % 2 == 0;
        if !growing {
            for number in 0..others {
                pair.put(&key(1000 + number), Model::Int(1), Ttl::Keep, Access::Set(0));
                live.push(1000 + number);
            }
        }
        let mut seen = HashSet::new();
        let (mut cursor, mut next) = (0, 1_000_000);
        loop {
            cursor = pair.table.scan(cursor, random.usize(1..40), &mut |entry| {
                seen.insert(entry.key().to_vec());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..random.u64(0..scaled(4000)) {
                if growing {
                    pair.put(&key(next), Model::Bytes(vec![0; 50]), Ttl::Keep, Access::Set(0));
                    live.push(next);
                    next += 1;
                } else if !live.is_empty() {
                    let gone = live.swap_remove(random.usize(..live.len()));
                    pair.remove(&key(gone));
                }
            }
            if live.len() as u64 > others || live.is_empty() || random.u8(..) < 3 {
                growing = !growing && (live.len() as u64) < others;
            }
        }
        assert!((0..lasting).all(|number| seen.contains(&key(number))), "seed {seed}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u16, Model, u8, u16),
    Remove(u16),
    Int(u16, i64),
    Expire(u16, u64),
    Persist(u16),
    Touch(u16, u16),
    Pop(u64),
    Many(u16, u16, u8),
    RemoveMany(u16, u16),
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![
        any::<i64>().prop_map(Model::Int),
        (-300i64..300).prop_map(Model::Int),
        (any::<u8>(), 0usize..=512).prop_map(|(fill, len)| Model::Bytes(vec![fill; len])),
        (0..=5u8, 0usize..=512)
            .prop_map(|(form, len)| Model::Packed(Packed::from_code(form), vec![form; len])),
        any::<u64>().prop_map(Model::Heap),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0u16..400;
    prop_oneof![
        8 => (key(), model(), any::<u8>(), any::<u16>()).prop_map(|(k, v, t, a)| Step::Put(k, v, t, a)),
        4 => key().prop_map(Step::Remove),
        2 => (key(), any::<i64>()).prop_map(|(k, v)| Step::Int(k, v)),
        2 => (key(), prop_oneof![0u64..2000, any::<u64>()]).prop_map(|(k, v)| Step::Expire(k, v)),
        1 => key().prop_map(Step::Persist),
        1 => (key(), any::<u16>()).prop_map(|(k, a)| Step::Touch(k, a)),
        1 => (0u64..2000).prop_map(Step::Pop),
        1 => (key(), 0u16..3000, any::<u8>()).prop_map(|(k, n, l)| Step::Many(k, n, l)),
        1 => (key(), 0u16..3000).prop_map(|(k, n)| Step::RemoveMany(k, n)),
    ]
}

/// Some of the keys are long, so that every key format takes part.
fn step_key(number: u16) -> Vec<u8> {
    let mut key = format!("{number}").into_bytes();
    match number % 16 {
        0 => key.resize(140, b'.'),
        1 => key.resize(300, b'.'),
        _ => {}
    }
    key
}

fn run(pair: &mut Pair, step: Step) {
    match step {
        Step::Put(k, value, ttl, access) => {
            let ttl = match ttl % 3 {
                0 => Ttl::Keep,
                1 => Ttl::Clear,
                _ => Ttl::Set(ttl as u64 * 7),
            };
            let access = if access % 2 == 0 { Access::Set(access) } else { Access::KeepOr(access) };
            pair.put(&step_key(k), value, ttl, access);
        }
        Step::Remove(k) => pair.remove(&step_key(k)),
        Step::Int(k, value) => {
            let key = step_key(k);
            if let Some(mut entry) = pair.table.entry_mut(pair.table.hasher().hash(&key), &key) {
                entry.set_int(value);
                pair.model.get_mut(&key).expect("twin").value = Model::Int(value);
            }
        }
        Step::Expire(k, ms) => {
            let key = step_key(k);
            let found = pair.table.set_expire(pair.hash(&key), &key, ms);
            assert_eq!(found, pair.model.contains_key(&key));
            if let Some(row) = pair.model.get_mut(&key) {
                row.expire = Some(ms);
            }
        }
        Step::Persist(k) => {
            let key = step_key(k);
            let had = pair.table.persist(pair.hash(&key), &key);
            let row = pair.model.get_mut(&key);
            assert_eq!(had, row.and_then(|row| row.expire.take()).is_some());
        }
        Step::Touch(k, access) => {
            let key = step_key(k);
            let found = pair.table.touch(pair.hash(&key), &key, access);
            assert_eq!(found, pair.model.contains_key(&key));
            if let Some(row) = pair.model.get_mut(&key) {
                row.access = access;
            }
        }
        Step::Pop(now_ms) => pop(pair, now_ms),
        Step::Many(k, count, len) => {
            for number in k..k + count {
                let value = Model::Bytes(vec![number as u8; len as usize]);
                pair.put(&step_key(number), value, Ttl::Keep, Access::KeepOr(1));
            }
        }
        Step::RemoveMany(k, count) => {
            (k..k + count).for_each(|number| pair.remove(&step_key(number)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 120 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_like_a_map(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 12 } else { 150 }),
        keep in prop_oneof![4 => Just(u64::MAX), 1 => Just(0xFFF0_0000_0000_0003), 1 => Just(0x3F)],
    ) {
        let mut pair = Pair::new(keep);
        let every = steps.len() / 8 + 1;
        for (number, step) in steps.into_iter().enumerate() {
            run(&mut pair, step);
            if number % every == 0 {
                pair.check();
            }
        }
        pair.check();
        let seen = scan_all(&pair.table, 7);
        prop_assert_eq!(seen.len(), pair.model.len());
        prop_assert!(seen.values().all(|&times| times == 1));
        drop(pair.table);
        prop_assert_eq!(Rc::strong_count(&pair.token), 1);
    }
}

/// Bytes per key beyond the entry itself, at several moments of the table's growth.
#[test]
#[cfg_attr(miri, ignore)]
fn index_and_room_take_few_bytes_per_key() {
    for (value_len, ttl, bound) in [(16, 0, 7.0), (64, 0, 8.4), (64, 6, 8.0), (142, 0, 10.3)] {
        let mut table = Table::<Vec<u8>>::new(Hasher::from_seed(1));
        let entry_bytes = 4 + 16 + value_len + ttl;
        for number in 0..140_000u64 {
            let key = format!("key:{number:012}");
            let hash = table.hasher().hash(key.as_bytes());
            let ttl = if ttl > 0 { Ttl::Set(1_000_000 + number) } else { Ttl::Clear };
            let value = vec![7; value_len];
            table.replace(hash, key.as_bytes(), Value::Bytes(&value), ttl, Access::Set(0));
            if number >= 60_000 && number % 5000 == 0 {
                let above = table.usage().total_bytes() as f64 / table.len() as f64 - entry_bytes as f64;
                assert!(above < bound, "{above:.2} bytes above {entry_bytes} with {number} keys");
            }
        }
    }
}

#[test]
fn keys_that_come_in_the_order_of_their_hashes_lie_as_others_do() {
    let hasher = Hasher::from_seed(9);
    let mut from: Table<u64> = Table::new(hasher.clone());
    for i in 0..scaled(500_000) as u32 {
        let key = format!("key:{i}");
        from.replace(
            hasher.hash(key.as_bytes()),
            key.as_bytes(),
            Value::Bytes(b""),
            Ttl::Clear,
            Access::Set(0),
        );
    }
    let mut to: Table<u64> = Table::new(hasher.clone());
    to.expect(from.len());
    let (mut cursor, mut most) = (0, 0);
    loop {
        cursor = from.scan(cursor, 256, &mut |entry| {
            to.replace(hasher.hash(entry.key()), entry.key(), Value::Bytes(b""), Ttl::Clear, Access::Set(0));
        });
        if cursor == 0 {
            break;
        }
        most = most.max(to.members_at((cursor - 1) << 22));
    }
    to.verify();
    assert_eq!(to.len(), from.len());
    assert!(most <= 2, "{most} members of a segment");
    let (one, other) = (from.usage().total_bytes(), to.usage().total_bytes());
    assert!(other < one * 3 / 2, "{other} bytes, {one} otherwise");
    assert!(
        to.segments_count() < from.segments_count() * 2,
        "{}, {}",
        to.segments_count(),
        from.segments_count()
    );
}
