//! Expiry, eviction, ageing and memory accounts of whole shards. Time is a number here; nothing sleeps.

use std::collections::HashSet;
use std::sync::Arc;

use super::access::IDLE_CAP_SECONDS;
use super::memory::MemoryBoard;
use super::{Event, EvictionPolicy, NewValue, Shard};
use crate::types::raw::table::{Hasher, Ttl};
use crate::types::{DbIndex, ShardId, Value};

const START_MS: u64 = 1_700_000_000_000;
const DB: DbIndex = DbIndex(0);
const HOUR_MS: u64 = 3_600_000;

fn shards(count: usize, change: impl Fn(&mut super::Settings)) -> Vec<Shard> {
    let board = MemoryBoard::new(count);
    let shard = |id: usize| {
        let mut shard =
            Shard::new(ShardId(id as u16), 16, Hasher::from_seed(7), 11 + id as u64, Arc::clone(&board));
        shard.now_ms = START_MS;
        change(&mut shard.settings);
        shard
    };
    (0..count).map(shard).collect()
}

fn shard(change: impl Fn(&mut super::Settings)) -> Shard {
    shards(1, change).pop().expect("one was asked for")
}

fn set_in(shard: &mut Shard, db: DbIndex, key: &str, bytes: &[u8], expire_at_ms: Option<u64>) {
    let ttl = expire_at_ms.map_or(Ttl::Clear, Ttl::Set);
    shard.keyspace(db, true).set(key.as_bytes(), NewValue::Bytes(bytes), ttl, Event::SET);
}

fn set(shard: &mut Shard, key: &str, expire_at_ms: Option<u64>) {
    set_in(shard, DB, key, &[b'v'; 64], expire_at_ms);
}

/// A write as a command does it. False when it is refused.
fn write(shard: &mut Shard, key: &str, bytes: &[u8], expire_at_ms: Option<u64>) -> bool {
    let allowed = !shard.over_limit() || shard.make_room();
    if allowed {
        set_in(shard, DB, key, bytes, expire_at_ms);
    }
    allowed
}

fn has(shard: &mut Shard, key: &str) -> bool {
    shard.keyspace(DB, false).exists(key.as_bytes())
}

fn total(shards: &[Shard]) -> u64 {
    shards.iter().map(Shard::used_bytes).sum()
}

fn verify(shard: &Shard) {
    let exact: usize = shard.dbs.iter().map(|db| db.table.usage().needed_bytes()).sum();
    assert_eq!(shard.used_bytes(), exact as u64, "the running account is exact");
    shard.dbs.iter().for_each(|db| db.table.verify());
}

// Expiry

/// Sleeps until the next deadline and expires in slices of 300 keys, each taking 0.1 ms of simulated time.
fn expire_all(shard: &mut Shard, from_ms: u64) -> u64 {
    let mut now_us = from_ms * 1000;
    let mut slices = 0;
    while let Some(next) = shard.next_expiry_ms() {
        now_us = now_us.max(next * 1000);
        while shard.expire_slice(now_us / 1000, 300) {
            now_us += 100;
            slices += 1;
        }
        now_us += 100;
        slices += 1;
    }
    slices
}

#[test]
fn keys_that_expire_over_a_minute_go_within_milliseconds() {
    let mut shard = shard(|_| {});
    let mut rng = fastrand::Rng::with_seed(5);
    let count = 300_000;
    for i in 0..count {
        let db = DbIndex((i % 3) as u16);
        set_in(&mut shard, db, &format!("key:{i}"), b"v", Some(START_MS + rng.u64(1..60_000)));
    }
    let slices = expire_all(&mut shard, START_MS);
    assert_eq!((shard.stats.expired, shard.expiry_lag.count()), (count, count));
    assert!(shard.dbs.iter().all(|db| db.table.is_empty()));
    assert!(shard.expiry_lag.quantile_ms(0.99) < 10, "p99 {} ms", shard.expiry_lag.quantile_ms(0.99));
    assert!(shard.expiry_lag.max_ms() < 20, "max {} ms", shard.expiry_lag.max_ms());
    assert!(slices < 130_000, "it wakes about once a millisecond: {slices}");
    verify(&shard);
}

#[test]
fn keys_that_expire_all_at_once_go_in_slices() {
    let mut shard = shard(|_| {});
    let count = 20_000;
    (0..count).for_each(|i| set(&mut shard, &format!("key:{i}"), Some(START_MS + 1000)));
    assert!(!shard.expire_slice(START_MS + 999, 100), "nothing is due yet");
    assert_eq!(shard.stats.expired, 0);
    let mut slices = 1;
    while shard.expire_slice(START_MS + 1000, 100) {
        slices += 1;
        assert!(shard.stats.expired <= slices * 120, "about the budget per slice, a bucket may be finished");
    }
    assert_eq!(shard.stats.expired, count);
    assert_eq!(shard.next_expiry_ms(), None);
}

#[test]
fn each_expired_key_is_one_effect() {
    let mut shard = shard(|_| {});
    shard.effects.follow();
    (0..100).for_each(|i| set(&mut shard, &format!("key:{i}"), (i % 2 == 0).then_some(START_MS + 10)));
    shard.effects.drain();
    shard.expire_slice(START_MS + 10, 1000);
    let keys: HashSet<Vec<u8>> = shard
        .effects
        .drain()
        .map(|effect| {
            assert_eq!((effect.db, effect.event), (DB, Event::EXPIRED));
            effect.key.to_vec()
        })
        .collect();
    assert_eq!(keys.len(), 50);
}

#[test]
fn without_active_expiry_keys_wait_for_access() {
    let mut shard = shard(|settings| settings.active_expire = false);
    set(&mut shard, "k", Some(START_MS + 10));
    assert_eq!(shard.next_expiry_ms(), None);
    assert!(!shard.background(START_MS + 100, 1000));
    assert_eq!(shard.dbs[0].table.len(), 1);
    assert!(!has(&mut shard, "k"));
    assert_eq!(shard.dbs[0].table.len(), 0);
}

#[test]
fn a_database_full_of_due_keys_lets_the_others_take_turns() {
    let mut shard = shard(|_| {});
    for i in 0..5000 {
        set_in(&mut shard, DbIndex(0), &format!("key:{i}"), b"v", Some(START_MS + 1));
    }
    (0..10).for_each(|i| set_in(&mut shard, DbIndex(9), &format!("key:{i}"), b"v", Some(START_MS + 1)));
    shard.expire_slice(START_MS + 1, 100);
    shard.expire_slice(START_MS + 1, 100);
    assert_eq!(shard.dbs[9].table.len(), 0);
    assert!(shard.dbs[0].table.len() > 4000);
}

// The limit

const ALL_KEYS: [EvictionPolicy; 4] = [
    EvictionPolicy::AllKeysLru,
    EvictionPolicy::AllKeysLfu,
    EvictionPolicy::AllKeysLrm,
    EvictionPolicy::AllKeysRandom,
];
const VOLATILE: [EvictionPolicy; 5] = [
    EvictionPolicy::VolatileLru,
    EvictionPolicy::VolatileLfu,
    EvictionPolicy::VolatileLrm,
    EvictionPolicy::VolatileRandom,
    EvictionPolicy::VolatileTtl,
];

#[test]
fn a_storm_of_writes_on_several_shards_stays_at_the_limit() {
    let limit = 4 << 20;
    for policy in ALL_KEYS.into_iter().chain(VOLATILE) {
        let mut shards = shards(4, |settings| (settings.maxmemory_bytes, settings.policy) = (limit, policy));
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut most, mut least_after) = (0, u64::MAX);
        for turn in 0..4000u64 {
            let now_ms = START_MS + turn;
            for shard in &mut shards {
                shard.now_ms = now_ms;
                // A turn runs a pipeline, then publishes; the background has a tenth.
                for _ in 0..rng.usize(..20) {
                    let size = if rng.usize(..50) == 0 { rng.usize(..3000) } else { rng.usize(..300) };
                    let deadline = Some(now_ms + 1_000_000 + rng.u64(..1_000_000));
                    assert!(write(shard, &format!("key:{}", rng.u64(..)), &vec![b'x'; size], deadline));
                }
                shard.publish_memory();
                shard.background(now_ms, 100);
            }
            most = most.max(total(&shards));
            if turn > 3000 {
                least_after = least_after.min(total(&shards));
            }
        }
        assert!(most < limit * 101 / 100, "{policy:?}: {most} of {limit}");
        assert!(least_after > limit * 97 / 100, "{policy:?} evicts no more than it must: {least_after}");
        assert!(shards.iter().all(|shard| shard.stats.evicted > 1000));
        shards.iter().for_each(verify);
    }
}

#[test]
fn lowering_the_limit_evicts_in_the_background_and_not_too_much() {
    let mut shards = shards(2, |settings| settings.policy = EvictionPolicy::AllKeysRandom);
    for shard in &mut shards {
        (0..20_000).for_each(|i| set(shard, &format!("key:{i}"), None));
        shard.publish_memory();
    }
    let limit = total(&shards) / 2;
    shards.iter_mut().for_each(|shard| shard.settings.maxmemory_bytes = limit);
    let mut turns = 0;
    while shards.iter_mut().any(|shard| shard.background(START_MS, 100)) {
        turns += 1;
        assert!(turns < 10_000);
    }
    let left = total(&shards);
    assert!(left <= limit && left > limit * 97 / 100, "{left} of {limit} after {turns} turns");
    assert!(turns > 20, "in slices");
}

#[test]
fn without_a_policy_writes_are_refused_at_the_limit() {
    let mut shard = shard(|settings| settings.maxmemory_bytes = 1 << 20);
    let mut written = 0;
    while write(&mut shard, &format!("key:{written}"), &[b'v'; 64], None) {
        written += 1;
    }
    assert!(shard.used_bytes() <= (1 << 20) + 1000 && shard.used_bytes() > 1_000_000);
    assert_eq!(shard.dbs[0].table.len(), written);
    shard.settings.maxmemory_bytes = 2 << 20;
    assert!(write(&mut shard, "more", b"v", None), "a higher limit holds at once");
    shard.settings.maxmemory_bytes = 1;
    assert!(!write(&mut shard, "more", b"v", None), "so does a lower one");
    shard.settings.maxmemory_bytes = 0;
    assert!(write(&mut shard, "more", b"v", None));
}

#[test]
fn volatile_policies_never_evict_persistent_keys() {
    for policy in VOLATILE {
        let mut shard = shard(|settings| (settings.maxmemory_bytes, settings.policy) = (1 << 20, policy));
        let mut persistent = 0;
        for i in 0.. {
            let deadline = (i % 2 == 0).then_some(START_MS + 1_000_000 + i);
            if !write(&mut shard, &format!("key:{i}"), &[b'v'; 64], deadline) {
                break;
            }
            persistent += usize::from(deadline.is_none());
        }
        assert_eq!(shard.dbs[0].table.expires_count(), 0, "{policy:?} evicts all it may before it refuses");
        assert_eq!(shard.dbs[0].table.len(), persistent, "{policy:?}");
        assert!(!shard.make_room());
        verify(&shard);
    }
}

#[test]
fn each_evicted_key_is_one_effect() {
    for policy in [EvictionPolicy::AllKeysLru, EvictionPolicy::VolatileTtl, EvictionPolicy::AllKeysRandom] {
        let mut shard = shard(|settings| settings.policy = policy);
        for i in 0..1000u64 {
            set_in(&mut shard, DbIndex((i % 4) as u16), &format!("key:{i}"), b"v", Some(START_MS + 9000 + i));
        }
        shard.effects.follow();
        shard.settings.maxmemory_bytes = shard.used_bytes() * 2 / 3;
        while shard.evict_slice(START_MS, 10) {}
        let gone: HashSet<_> = shard
            .effects
            .drain()
            .map(|effect| {
                assert_eq!(effect.event, Event::EVICTED);
                (effect.db, effect.key)
            })
            .collect();
        let left: usize = shard.dbs.iter().map(|db| db.table.len()).sum();
        assert_eq!((gone.len(), shard.stats.evicted), (1000 - left, 1000 - left as u64));
        verify(&shard);
    }
}

#[test]
fn a_shard_with_nothing_to_give_lets_the_others_evict() {
    let mut shards = shards(2, |settings| settings.policy = EvictionPolicy::VolatileRandom);
    let far = Some(START_MS + HOUR_MS);
    (0..20_000).for_each(|i| set(&mut shards[1], &format!("volatile:{i}"), far));
    shards[1].publish_memory();
    let limit = total(&shards) + 100_000;
    shards.iter_mut().for_each(|shard| shard.settings.maxmemory_bytes = limit);
    let (mut written, mut called, mut most) = (0, 0, 0);
    while write(&mut shards[0], &format!("persistent:{written}"), &[b'v'; 64], None) {
        written += 1;
        if written % 50 == 0 && shards[0].publish_memory() {
            called += 1;
            shards[1].background(START_MS, 100);
            most = most.max(total(&shards));
        }
    }
    assert!(called > 0);
    assert!(most < limit * 101 / 100, "{most} of {limit}");
    assert_eq!(shards[1].dbs[0].table.len(), 0, "all that may go went before a write was refused");
    assert!(written > 18_000, "{written}");
}

#[test]
fn what_waits_to_be_dropped_causes_no_further_eviction() {
    let mut shard = shard(|settings| settings.policy = EvictionPolicy::VolatileTtl);
    set_in(&mut shard, DB, "big", &vec![b'x'; 4 << 20], Some(START_MS + 1000));
    (0..1000).for_each(|i| set(&mut shard, &format!("key:{i}"), Some(START_MS + HOUR_MS + i)));
    shard.settings.maxmemory_bytes = shard.used_bytes() - 1000;
    assert!(shard.over_limit() && shard.make_room());
    assert!(!has(&mut shard, "big"));
    assert_eq!(shard.stats.evicted, 1);
    assert_eq!(shard.graveyard.pending(), 1);
    while shard.background(shard.now_ms, 100) {}
    assert_eq!((shard.graveyard.pending(), shard.graveyard.freed), (0, 1));
}

// Who goes first

/// Of a thousand keys, the first half cold: the part of the cold among the first third evicted.
fn cold_part(policy: EvictionPolicy, warm: impl Fn(&mut Shard, &str)) -> f64 {
    let mut shard = shard(|settings| settings.policy = policy);
    let far = Some(START_MS + 100 * HOUR_MS);
    (0..1000).for_each(|i| set(&mut shard, &format!("key:{i}"), far));
    for _ in 0..20 {
        shard.now_ms += 30_000;
        (500..1000).for_each(|i| warm(&mut shard, &format!("key:{i}")));
    }
    shard.settings.maxmemory_bytes = 1;
    while shard.stats.evicted < 330 {
        shard.evict_slice(shard.now_ms, 1);
    }
    let cold_left = (0..500).filter(|i| has(&mut shard, &format!("key:{i}"))).count();
    (500 - cold_left) as f64 / shard.stats.evicted as f64
}

fn read(shard: &mut Shard, key: &str) {
    shard.keyspace(DB, true).read(key.as_bytes()).expect("the key is there");
}

#[test]
fn cold_keys_go_first() {
    for policy in [EvictionPolicy::AllKeysLru, EvictionPolicy::AllKeysLfu] {
        let part = cold_part(policy, read);
        assert!(part > 0.97, "{policy:?}: {part}");
    }
    for policy in [EvictionPolicy::VolatileLru, EvictionPolicy::VolatileLfu] {
        let part = cold_part(policy, read);
        assert!(part > 0.97, "{policy:?}: {part}");
    }
    let part = cold_part(EvictionPolicy::AllKeysRandom, read);
    assert!((0.3..0.7).contains(&part), "random does not care: {part}");
}

#[test]
fn least_recently_modified_looks_at_writes_only() {
    for policy in [EvictionPolicy::AllKeysLrm, EvictionPolicy::VolatileLrm] {
        let part = cold_part(policy, read);
        assert!((0.3..0.7).contains(&part), "reading changes nothing: {part}");
        let part = cold_part(policy, |shard, key| set(shard, key, Some(START_MS + 100 * HOUR_MS)));
        assert!(part > 0.97, "{policy:?}: {part}");
    }
}

#[test]
fn the_nearest_deadlines_go_first() {
    let mut shard = shard(|settings| settings.policy = EvictionPolicy::VolatileTtl);
    let mut rng = fastrand::Rng::with_seed(2);
    let mut deadlines: Vec<(u64, String)> =
        (0..3000).map(|i| (START_MS + rng.u64(1_000..100 * HOUR_MS), format!("key:{i}"))).collect();
    deadlines.push((START_MS + 20_000 * HOUR_MS, "far".into()));
    deadlines.push((253_402_300_799_999 * 4, "beyond".into()));
    for (at, key) in &deadlines {
        set(&mut shard, key, Some(*at));
    }
    deadlines.sort();
    shard.settings.maxmemory_bytes = 1;
    for part in [1000, 2000, 3000, 3001, 3002] {
        while shard.stats.evicted < part {
            shard.evict_slice(START_MS, 1);
        }
        let evicted = shard.stats.evicted as usize;
        for (order, (_, key)) in deadlines.iter().enumerate() {
            assert_eq!(has(&mut shard, key), order >= evicted, "{key} of order {order} with {evicted} gone");
        }
    }
    // Deadlines that are set afterwards are met on time.
    set(&mut shard, "later", Some(START_MS + 50));
    assert!(shard.next_expiry_ms().is_some_and(|at| at <= START_MS + 50));
    shard.expire_slice(START_MS + 50, 100);
    assert!(shard.dbs[0].table.is_empty());
    verify(&shard);
}

#[test]
fn a_candidate_that_is_used_again_is_passed_over() {
    let mut shard = shard(|settings| settings.policy = EvictionPolicy::AllKeysLru);
    (0..10).for_each(|i| set(&mut shard, &format!("key:{i}"), None));
    shard.now_ms += 60_000;
    shard.settings.maxmemory_bytes = 1;
    shard.evict_slice(shard.now_ms, 1);
    // By now every key is in the pool; all but one are used.
    let left: Vec<String> = (0..10).map(|i| format!("key:{i}")).filter(|key| has(&mut shard, key)).collect();
    shard.now_ms += 60_000;
    left[1..].iter().for_each(|key| read(&mut shard, key));
    shard.evict_slice(shard.now_ms, 1);
    assert!(!has(&mut shard, &left[0]) && left[1..].iter().all(|key| has(&mut shard, key)));
}

// Ageing

#[test]
fn days_of_idleness_never_look_fresh() {
    let mut shard = shard(|settings| settings.policy = EvictionPolicy::AllKeysLru);
    for i in 0..3000 {
        set_in(&mut shard, DbIndex((i % 2) as u16), &format!("cold:{i}"), b"v", None);
    }
    let mut budget_used = 0;
    for minute in 1..=60 * 60 {
        let now_ms = START_MS + minute * 60_000;
        shard.background(now_ms, 1000);
        budget_used += 1;
        if minute % 300 == 0 {
            let idle_seconds = (minute * 60).min(u64::from(IDLE_CAP_SECONDS));
            let clock = shard.access_clock();
            for db in &shard.dbs {
                assert!(db.table.iter().all(|entry| clock.idle_seconds(entry.access()) >= idle_seconds));
            }
        }
    }
    assert!(budget_used > 0 && shard.aging.renewed >= 3 * 3000, "renewed {}", shard.aging.renewed);
    assert!(shard.aging.renewed <= 20 * 3000, "once per walk: {}", shard.aging.renewed);
}

#[test]
fn the_sweep_follows_time_and_budget() {
    let mut shard = shard(|_| {});
    (0..20_000).for_each(|i| set(&mut shard, &format!("cold:{i}"), None));
    assert!(!shard.age_slice(START_MS, 100), "the walk begins with nothing due");
    // Half a day passed in one go: the whole table is due, in slices.
    let now_ms = START_MS + 13 * HOUR_MS;
    assert!(shard.has_background() || shard.next_background_ms().is_some_and(|at| at <= now_ms));
    let mut slices = 1;
    while shard.age_slice(now_ms, 100) {
        slices += 1;
    }
    assert_eq!(shard.aging.renewed, 20_000);
    assert!((100..=400).contains(&slices), "{slices}");
    assert!(!shard.age_slice(now_ms, 100));
    assert!(shard.next_background_ms().is_some_and(|at| at > now_ms));
}

// Accounts

#[test]
fn the_account_stays_exact_over_databases() {
    let mut shard = shard(|_| {});
    let mut rng = fastrand::Rng::with_seed(9);
    for step in 0..20_000 {
        let db = DbIndex(rng.u16(..16));
        let key = format!("key:{}", rng.u32(..300));
        match rng.u32(..10) {
            0..6 => {
                let value = vec![b'v'; rng.usize(..2000)];
                let deadline = rng.bool().then(|| START_MS + rng.u64(1..1000));
                set_in(&mut shard, db, &key, &value, deadline);
            }
            6 | 7 => {
                shard.keyspace(db, true).remove(key.as_bytes(), Event::DEL);
            }
            8 => {
                shard.expire_slice(shard.now_ms + rng.u64(..3), 10);
            }
            _ if step % 50 == 0 => {
                shard.flush(db, rng.bool());
            }
            _ if step % 50 == 1 => shard.swap_dbs(db, DbIndex(rng.u16(..16))),
            _ => {}
        }
        if step % 500 == 0 {
            verify(&shard);
        }
    }
    verify(&shard);
    let figures = shard.memory_figures();
    assert_eq!(figures.used_bytes() as u64, shard.used_bytes());
    assert_eq!(
        figures.dataset_bytes() + figures.overhead_bytes() + figures.graveyard_bytes,
        figures.allocated_bytes()
    );
    assert_eq!(figures.keys, shard.dbs.iter().map(|db| db.table.len()).sum::<usize>());
}

#[test]
fn usage_of_keys_adds_up_to_about_the_dataset() {
    let mut shard = shard(|_| {});
    let mut rng = fastrand::Rng::with_seed(4);
    let mut keys = Vec::new();
    for i in 0..2000 {
        let key = format!("{}{i}", "k".repeat(rng.usize(..600)));
        let value = vec![b'v'; rng.usize(..1000)];
        set_in(&mut shard, DB, &key, &value, rng.bool().then_some(START_MS + HOUR_MS));
        keys.push(key);
    }
    assert_eq!(shard.memory_usage_of(DB, b"nothing"), None);
    let sum: usize =
        keys.iter().map(|key| shard.memory_usage_of(DB, key.as_bytes()).expect("it is there")).sum();
    let dataset = shard.memory_figures().dataset_bytes();
    assert!(sum.abs_diff(dataset) < dataset / 50, "{sum} {dataset}");
    assert_eq!((shard.stats.hits, shard.stats.misses), (0, 0));
}

#[test]
fn flushing_frees_at_once_for_the_limit_and_in_slices_for_the_allocator() {
    let mut shard = shard(|_| {});
    let empty = shard.used_bytes();
    (0..100_000).for_each(|i| set(&mut shard, &format!("key:{i}"), None));
    let held = shard.memory_figures().allocated_bytes();
    assert_eq!(shard.flush(DB, true), 100_000);
    assert_eq!(shard.used_bytes(), empty);
    assert_eq!(shard.graveyard.pending(), 100_000);
    assert!(shard.has_background() && shard.memory_figures().allocated_bytes() > held / 2);
    let mut slices = 1;
    while shard.background(START_MS, 100) {
        slices += 1;
    }
    assert!((20..=200).contains(&slices), "{slices}");
    assert_eq!(shard.graveyard.freed, 100_000);
    assert!(shard.memory_figures().allocated_bytes() < held / 100);
}

#[test]
fn a_big_value_counts_until_it_is_removed() {
    let mut shard = shard(|_| {});
    let empty = shard.used_bytes();
    set_in(&mut shard, DB, "big", &vec![b'x'; 1 << 20], None);
    let usage = shard.memory_usage_of(DB, b"big").expect("it is there");
    assert!((1 << 20..(1 << 20) + 200).contains(&usage));
    assert!(shard.used_bytes() - empty >= 1 << 20);
    shard.keyspace(DB, true).edit_with(b"big", |edit| {
        edit.set(NewValue::Value(Value::String(vec![b'y'; 2 << 20].into())));
        edit.commit(Event::SET);
    });
    assert!(shard.used_bytes() - empty >= 2 << 20);
    shard.keyspace(DB, true).remove(b"big", Event::DEL);
    assert!(shard.used_bytes() < empty + 1000);
    assert_eq!(shard.graveyard.pending(), 2);
}
