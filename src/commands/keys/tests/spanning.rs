//! Keys on different shards: hops, merges and cursors.

use std::collections::HashSet;

use super::node_of;
use super::{check, run};
use crate::commands::testing::node::Node;
use crate::shard::ValueView;
use crate::types::Value;

/// Two keys with different owners among three shards.
fn apart(node: &Node) -> (String, String) {
    let owner = |key: &str| node.placement.owner_of(key.as_bytes());
    let other = (0..).map(|n| format!("dst{n}")).find(|key| owner(key) != owner("src"));
    ("src".into(), other.expect("some key lives elsewhere"))
}

#[test]
fn a_big_value_moves_to_another_shard_without_being_copied() {
    let mut node = node_of(3);
    let (src, dst) = apart(&node);
    run(&mut node, &format!("SET {src} {}", "v".repeat(100_000)));
    run(&mut node, &format!("PEXPIREAT {src} 1800000000000"));
    let address = |node: &mut Node, key: &str| {
        let owner = node.placement.owner_of(key.as_bytes()).index();
        match node.shards[owner]
            .keyspace(node.db, false)
            .peek(key.as_bytes())
            .expect("the key is there")
            .value()
        {
            ValueView::Heap(Value::String(bytes)) => bytes.as_ptr() as usize,
            other => panic!("a long string, not {other:?}"),
        }
    };
    let before = address(&mut node, &src);
    for (line, reply) in [("RENAME", "+OK"), ("RENAMENX", ":1")] {
        let (from, to) = if line == "RENAME" { (&src, &dst) } else { (&dst, &src) };
        let dirty = node.dirty();
        check(&mut node, &[(&format!("{line} {from} {to}"), reply)]);
        assert!(node.spanned);
        assert_eq!(node.dirty(), dirty + 1, "one change");
        assert_eq!(address(&mut node, to), before);
        check(
            &mut node,
            &[(&format!("EXISTS {from}"), ":0"), (&format!("PEXPIRETIME {to}"), ":1800000000000")],
        );
    }
    let used: u64 = node.shards.iter().map(|shard| shard.used_bytes()).sum();
    run(&mut node, "FLUSHALL");
    let empty: u64 = node.shards.iter().map(|shard| shard.used_bytes()).sum();
    assert!(used - empty > 100_000 && used - empty < 150_000, "accounts: {used} and {empty}");
}

#[test]
fn the_source_stays_when_the_destination_is_taken() {
    let mut node = node_of(3);
    let (src, dst) = apart(&node);
    run(&mut node, &format!("SET {src} 1"));
    run(&mut node, &format!("SET {dst} 2"));
    check(
        &mut node,
        &[
            (&format!("RENAMENX {src} {dst}"), ":0"),
            (&format!("COPY {src} {dst}"), ":0"),
            (&format!("MGET {src} {dst}"), "*2\\r\\n$1\\r\\n1\\r\\n$1\\r\\n2"),
            (&format!("COPY {src} {dst} REPLACE"), ":1"),
            (&format!("MGET {src} {dst}"), "*2\\r\\n$1\\r\\n1\\r\\n$1\\r\\n1"),
        ],
    );
}

#[test]
fn a_missing_source_wins_over_a_taken_destination() {
    let mut node = node_of(3);
    let (src, dst) = apart(&node);
    run(&mut node, &format!("SET {dst} 2"));
    node.events();
    check(
        &mut node,
        &[
            (&format!("RENAMENX {src} {dst}"), "-ERR no such key"),
            (&format!("RENAME {src} {dst}"), "-ERR no such key"),
            (&format!("COPY {src} {dst}"), ":0"),
            (&format!("COPY {src} {dst} DB 99"), "-ERR DB index is out of range"),
            (&format!("COPY {src} {dst} WHAT"), "-ERR syntax error"),
            (&format!("GET {dst}"), "$1\\r\\n2"),
        ],
    );
    assert!(node.spanned || node.events().is_empty());
}

#[test]
fn copies_go_to_other_databases_of_other_shards() {
    let mut node = node_of(3);
    let (src, dst) = apart(&node);
    run(&mut node, &format!("SET {src} 1"));
    run(&mut node, &format!("SET {dst} here"));
    check(&mut node, &[(&format!("COPY {src} {dst} DB 5"), ":1"), (&format!("COPY {src} {dst} DB 5"), ":0")]);
    check(&mut node, &[(&format!("COPY {src} {src} DB 5"), ":1"), (&format!("GET {dst}"), "$4\\r\\nhere")]);
    run(&mut node, "SELECT 5");
    check(&mut node, &[(&format!("MGET {src} {dst}"), "*2\\r\\n$1\\r\\n1\\r\\n$1\\r\\n1"), ("DBSIZE", ":2")]);
}

#[test]
fn keys_of_several_shards_are_counted_once_each() {
    let mut node = node_of(4);
    let names: Vec<String> = (0..40).map(|n| format!("key{n}")).collect();
    for name in &names {
        run(&mut node, &format!("SET {name} v"));
    }
    assert!(node.spread().iter().all(|keys| *keys > 0), "the keys are on all shards: {:?}", node.spread());
    let all = names.join(" ");
    check(
        &mut node,
        &[(&format!("EXISTS {all} key0 nokey"), ":41"), (&format!("TOUCH {all}"), ":40"), ("DBSIZE", ":40")],
    );
    assert!(node.spanned);
    let listed = run(&mut node, "KEYS key*");
    assert!(listed.starts_with("*40\\r\\n"));
    assert_eq!(
        listed.split("\\r\\n").filter(|word| word.starts_with("key")).collect::<HashSet<_>>().len(),
        40
    );
    check(&mut node, &[(&format!("DEL {all} key0"), ":40"), ("DBSIZE", ":0"), ("RANDOMKEY", "$-1")]);
}

/// Scans to the end; every key with how often it came, and the number of steps.
fn scan_all(node: &mut Node, options: &str, mut between: impl FnMut(&mut Node, usize)) -> Vec<String> {
    let (mut cursor, mut found, mut steps) = ("0".to_string(), Vec::new(), 0);
    loop {
        let reply = run(node, &format!("SCAN {cursor}{options}"));
        let lines: Vec<&str> = reply.trim_end_matches("\\r\\n").split("\\r\\n").collect();
        cursor = lines[2].to_string();
        found.extend(lines[4..].iter().skip(1).step_by(2).map(|key| key.to_string()));
        if cursor == "0" {
            return found;
        }
        between(node, steps);
        steps += 1;
        assert!(steps < 100_000, "a scan ends");
    }
}

#[test]
fn a_scan_returns_what_stays_whatever_else_happens() {
    for shards in [1, 3, 7] {
        let mut node = node_of(shards);
        for n in 0..500 {
            run(&mut node, &format!("SET stay{n} v"));
        }
        let found = scan_all(&mut node, " COUNT 7", |node, step| {
            // The table grows and shrinks on the way.
            for n in 0..50 {
                let line = if step % 20 < 10 {
                    format!("SET {step}:{n} v")
                } else {
                    format!("DEL {}:{n}", step - 10)
                };
                run(node, &line);
            }
        });
        let stayed: HashSet<&String> = found.iter().filter(|key| key.starts_with("stay")).collect();
        assert_eq!(stayed.len(), 500, "{shards} shards");
        let matched = scan_all(&mut node, " MATCH stay1? COUNT 100 TYPE string", |_, _| {});
        assert_eq!(matched.len(), 10);
        assert_eq!(scan_all(&mut node, " COUNT 100 TYPE list", |_, _| {}).len(), 0);
    }
}

#[test]
fn every_number_is_a_cursor() {
    for shards in [1, 3, 16] {
        let mut node = node_of(shards);
        for n in 0..50 {
            run(&mut node, &format!("SET {n} v"));
        }
        for cursor in [
            "18446744073709551615",
            "-1",
            "4398046511104",
            "13194139533312",
            "12345678901234567890",
            "+3",
            "-0",
        ] {
            let reply = run(&mut node, &format!("SCAN {cursor}"));
            assert!(reply.starts_with("*2\\r\\n$"), "{cursor}: {reply}");
        }
    }
}

#[test]
fn random_keys_come_equally_often_from_shards_of_any_size() {
    let mut node = node_of(3);
    // Nine keys of one shard, one of another, none of the third.
    for n in 0..9 {
        run(&mut node, &format!("SET {{src}}{n} v"));
    }
    let (_, dst) = apart(&node);
    run(&mut node, &format!("SET {dst} v"));
    let alone = format!("${}\\r\\n{dst}\\r\\n", dst.len());
    let hits = (0..5000).filter(|_| run(&mut node, "RANDOMKEY") == alone).count();
    assert!((400..600).contains(&hits), "a tenth of 5000, not {hits}");
}

#[test]
fn flushes_and_swaps_reach_every_shard() {
    let mut node = node_of(4);
    for n in 0..40 {
        run(&mut node, &format!("SET key{n} v"));
    }
    let dirty = node.dirty();
    check(&mut node, &[("SWAPDB 0 3", "+OK"), ("DBSIZE", ":0")]);
    assert_eq!(node.dirty(), dirty + 1);
    run(&mut node, "SELECT 3");
    check(&mut node, &[("DBSIZE", ":40"), ("FLUSHDB WHAT", "-ERR syntax error"), ("DBSIZE", ":40")]);
    let dirty = node.dirty();
    check(&mut node, &[("FLUSHDB", "+OK"), ("DBSIZE", ":0")]);
    assert_eq!(node.dirty(), dirty + 40);
}
