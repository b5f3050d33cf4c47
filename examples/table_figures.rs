//! Figures of the keyspace table: bytes and nanoseconds per key.
//!
//! `cargo run --profile quick --example table_figures -- rss 64 3000000` and so on; see `main`.

use coreshard::types::raw::table::{Access, Hasher, Table, Ttl, Value};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Plain = Table<Vec<u8>>;

fn rss_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux says VmRSS");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<usize>().ok()).expect("a number") * 1024
}

/// The key of a number: sixteen bytes that look random.
fn key(number: u64) -> [u8; 16] {
    let mut word = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&word.to_le_bytes());
    key[8..].copy_from_slice(&number.to_le_bytes());
    key
}

fn put(table: &mut Plain, number: u64, value: &[u8], ttl: Ttl) {
    let key = key(number);
    let hash = table.hasher().hash(&key);
    table.replace(hash, &key, Value::Bytes(value), ttl, Access::Set(0));
}

fn value_of(random: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    random.fill(&mut value);
    value
}

fn rss(value_len: usize, count: u64, with_ttl: bool) {
    let mut random = fastrand::Rng::with_seed(1);
    let before = rss_bytes();
    let mut table = Plain::new(Hasher::from_seed(1));
    let mut live: Vec<u64> = Vec::new();
    let report = |what: &str, table: &Plain, extra: usize| {
        let rss = rss_bytes() - before - extra;
        let usage = table.usage();
        println!(
            "{what}: {} keys, rss {:.2} B/key, index {:.2}, arena {:.2}, {} segments",
            table.len(),
            rss as f64 / table.len() as f64,
            usage.index_bytes as f64 / table.len() as f64,
            usage.arena_bytes as f64 / table.len() as f64,
            table.segments_count(),
        );
        rss
    };

    for number in 0..count {
        let value = value_of(&mut random, value_len);
        let ttl = if with_ttl { Ttl::Set(1_700_000_000_000 + random.u64(..60_000)) } else { Ttl::Clear };
        put(&mut table, number, &value, ttl);
        if number >= count * 5 / 8 && number % (count / 16) == 0 {
            report("  growing", &table, 0);
        }
    }
    let full = report("full", &table, 0);
    live.extend(0..count);
    random.shuffle(&mut live);
    let extra = live.capacity() * 8;
    for number in live.drain(..count as usize / 2) {
        let key = key(number);
        table.remove(table.hasher().hash(&key), &key).expect("stored");
    }
    drop(live);
    report("half deleted", &table, 0);
    for number in count..count + count / 2 {
        let value = value_of(&mut random, value_len);
        let ttl = if with_ttl { Ttl::Set(1_700_000_000_000 + random.u64(..60_000)) } else { Ttl::Clear };
        put(&mut table, number, &value, ttl);
    }
    let again = report("refilled", &table, 0);
    println!("refilled / full = {:.3} (a list of {extra} bytes came and went)", again as f64 / full as f64);
}

fn time(count: u64) {
    let mut table = Plain::new(Hasher::from_seed(1));
    let value = [7; 64];
    let mut slow: Vec<u64> = Vec::new();
    let all = Instant::now();
    for number in 0..count {
        let start = Instant::now();
        put(&mut table, number, &value, Ttl::Clear);
        slow.push(start.elapsed().as_nanos() as u64);
    }
    println!("insert {:.0} ns each", all.elapsed().as_nanos() as f64 / count as f64);
    slow.sort_unstable();
    let at = |part: f64| slow[((count - 1) as f64 * part) as usize];
    println!(
        "insert p50 {} p99 {} p99.9 {} p99.99 {} p99.999 {} p99.9999 {} max {} ns",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(0.99999),
        at(0.999999),
        at(1.0)
    );
    drop(slow);
    let mut random = fastrand::Rng::with_seed(1);
    let keys: Vec<[u8; 16]> = (0..2_000_000).map(|_| key(random.u64(..count))).collect();
    let hash = |key: &[u8]| table.hasher().hash(key);
    let start = Instant::now();
    let found = keys.iter().filter(|key| table.find(hash(&key[..]), &key[..]).is_some()).count();
    println!("hit {:.1} ns", start.elapsed().as_nanos() as f64 / found as f64);
    let start = Instant::now();
    for batch in keys.chunks(16) {
        let hashes: Vec<u64> = batch.iter().map(|key| hash(&key[..])).collect();
        hashes.iter().for_each(|&hash| table.prefetch(hash));
        hashes.iter().for_each(|&hash| table.prefetch_entry(hash));
        for (key, &hash) in batch.iter().zip(&hashes) {
            assert!(table.find(hash, &key[..]).is_some());
        }
    }
    println!("hit, prefetched in sixteens {:.1} ns", start.elapsed().as_nanos() as f64 / keys.len() as f64);
    let start = Instant::now();
    let missed = (0..2_000_000u64)
        .filter(|&number| {
            let key = key(number + count);
            table.find(hash(&key), &key).is_none()
        })
        .count();
    println!("miss {:.1} ns", start.elapsed().as_nanos() as f64 / missed as f64);
    let start = Instant::now();
    for key in &keys {
        let hash = table.hasher().hash(&key[..]);
        table.replace(hash, &key[..], Value::Bytes(&value), Ttl::Clear, Access::Set(0));
    }
    println!("overwrite {:.1} ns", start.elapsed().as_nanos() as f64 / keys.len() as f64);
    let start = Instant::now();
    for number in 0..count / 2 {
        let key = key(number);
        let hash = table.hasher().hash(&key);
        table.remove(hash, &key);
    }
    println!("remove {:.1} ns", start.elapsed().as_nanos() as f64 / (count / 2) as f64);
    let start = Instant::now();
    for number in 0..count / 4 {
        put(&mut table, number, &value, Ttl::Clear);
        let key = key(number + count / 2);
        let hash = table.hasher().hash(&key);
        table.remove(hash, &key);
    }
    println!("insert one and remove one {:.1} ns", start.elapsed().as_nanos() as f64 / (count / 4) as f64);
}

/// A minute of deadlines, a simulated millisecond at a time.
fn expire(count: u64) {
    let mut table = Plain::new(Hasher::from_seed(1));
    let mut random = fastrand::Rng::with_seed(1);
    let base = 1_700_000_000_000;
    for number in 0..count {
        put(&mut table, number, &[7; 64], Ttl::Set(base + random.u64(..60_000)));
    }
    let mut late: Vec<u64> = vec![1; count as usize];
    late.clear();
    let (mut visits, mut most) = (0, 0);
    let start = Instant::now();
    for now_ms in base..base + 60_010 {
        let slice = Instant::now();
        let popped = table.pop_expired(
            now_ms,
            1000,
            1000,
            &mut |entry| {
                late.push(now_ms - entry.expire_at_ms().unwrap_or(0));
                true
            },
            &mut |_| (),
            &mut |_| (),
        );
        visits += popped.visits;
        most = most.max(slice.elapsed().as_micros());
    }
    let spent = start.elapsed();
    late.sort_unstable();
    println!(
        "{count} deadlines over a minute: {} left, p99 lateness {} ms, max {} ms, {:.2} visits and {:.0} ns each, {:.2} % of a core, longest call {most} us",
        table.len(),
        late[late.len() * 99 / 100],
        late[late.len() - 1],
        visits as f64 / late.len() as f64,
        spent.as_nanos() as f64 / late.len() as f64,
        spent.as_secs_f64() / 60.0 * 100.0,
    );
}

/// Work for `valgrind --tool=callgrind --toggle-collect='*collected*'`.
#[inline(never)]
fn collected_hits(table: &Plain, keys: &[[u8; 16]], hashes: &[u64]) -> usize {
    keys.iter().zip(hashes).filter(|(key, hash)| table.find(**hash, &key[..]).is_some()).count()
}

#[inline(never)]
fn collected_hash(hasher: &Hasher, keys: &[[u8; 16]]) -> u64 {
    keys.iter().map(|key| hasher.hash(&key[..])).fold(0, |sum, hash| sum ^ hash)
}

#[inline(never)]
fn collected_writes(table: &mut Plain, what: &str, count: u64) {
    for number in 0..count {
        match what {
            "inserts" => put(table, number + count, &[7; 64], Ttl::Clear),
            "overwrites" => put(table, number, &[8; 64], Ttl::Clear),
            _ => {
                let key = key(number);
                let hash = table.hasher().hash(&key);
                table.remove(hash, &key);
                if what == "churn" {
                    put(table, number + count, &[7; 64], Ttl::Clear);
                }
            }
        }
    }
}

fn count_instructions(what: &str) {
    let mut table = Plain::new(Hasher::from_seed(1));
    let count = 100_000;
    for number in 0..count {
        put(&mut table, number, &[7; 64], Ttl::Clear);
    }
    let first = if what == "misses" { count } else { 0 };
    let keys: Vec<_> = (first..first + count).map(key).collect();
    let hashes: Vec<u64> = keys.iter().map(|key| table.hasher().hash(key)).collect();
    match what {
        "hash" => println!("{}", collected_hash(table.hasher(), &keys)),
        "hits" | "misses" => {
            println!("{} found of {count}", collected_hits(&table, &keys, &hashes))
        }
        _ => collected_writes(&mut table, what, count),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: u64| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    match words.first().map(String::as_str) {
        Some("rss") => rss(number(1, 64) as usize, number(2, 3_000_000), false),
        Some("rss-ttl") => rss(number(1, 64) as usize, number(2, 3_000_000), true),
        Some("time") => time(number(1, 10_000_000)),
        Some("expire") => expire(number(1, 1_000_000)),
        Some(what @ ("hits" | "misses" | "hash" | "inserts" | "overwrites" | "removes" | "churn")) => {
            count_instructions(what)
        }
        _ => println!(
            "rss BYTES KEYS | rss-ttl BYTES KEYS | time KEYS | expire KEYS | \
             hits | misses | hash | inserts | overwrites | removes | churn"
        ),
    }
}
