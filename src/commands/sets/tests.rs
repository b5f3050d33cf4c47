//! What single commands leave behind: effects, encodings and where a set lives.

use std::collections::BTreeSet;

use super::ROWS;
use crate::commands::testing::Bench;
use crate::shard::ValueView;
use crate::types::{DbIndex, Packed};

fn bench() -> Bench {
    let mut bench = Bench::new(&[ROWS]);
    bench.shard.settings.encodings.intset_entries = 8;
    bench.shard.settings.encodings.set_entries = 12;
    bench
}

fn effects(bench: &mut Bench, command: &str) -> Vec<String> {
    let words: Vec<&[u8]> = command.split_whitespace().map(str::as_bytes).collect();
    bench.run_noting(&words).1
}

fn form(bench: &mut Bench, key: &str) -> Option<&'static str> {
    let mut keys = bench.shard.keyspace(DbIndex(0), false);
    keys.peek(key.as_bytes()).map(|entry| match entry.value() {
        ValueView::Packed(Packed::IntSet, _) => "intset within",
        ValueView::Packed(Packed::Set, _) => "listpack within",
        ValueView::Heap(_) => "apart",
        _ => "no set",
    })
}

fn bulks(reply: &str) -> BTreeSet<String> {
    reply
        .split("\r\n")
        .filter(|line| !line.is_empty() && !line.starts_with(['$', '*']))
        .map(String::from)
        .collect()
}

#[test]
fn every_change_reports_itself_and_its_size() {
    let mut bench = bench();
    let dirty = bench.shard.effects.dirty;
    assert_eq!(effects(&mut bench, "SADD s a b c"), ["sadd s"]);
    assert_eq!(bench.shard.effects.dirty, dirty + 3);
    assert!(effects(&mut bench, "SADD s a b").is_empty());
    assert!(effects(&mut bench, "SREM s x y").is_empty());
    assert!(effects(&mut bench, "SREM missing x").is_empty());
    assert_eq!(bench.shard.effects.dirty, dirty + 3);
    assert_eq!(effects(&mut bench, "SREM s a x b"), ["srem s"]);
    assert_eq!(bench.shard.effects.dirty, dirty + 5);
    assert_eq!(effects(&mut bench, "SREM s c"), ["srem s", "del s"]);
    assert_eq!(form(&mut bench, "s"), None);
    effects(&mut bench, "SADD s 1 2 3 4 5");
    assert_eq!(effects(&mut bench, "SPOP s"), ["spop s"]);
    assert!(effects(&mut bench, "SPOP s 0").is_empty());
    assert_eq!(effects(&mut bench, "SPOP s 2"), ["spop s"]);
    assert_eq!(effects(&mut bench, "SPOP s 5"), ["spop s", "del s"]);
    assert!(effects(&mut bench, "SPOP s").is_empty());
    assert!(effects(&mut bench, "SPOP s 5").is_empty());
}

#[test]
fn moving_and_storing_report_what_they_do() {
    let mut bench = bench();
    effects(&mut bench, "SADD a 1 2 3");
    effects(&mut bench, "SADD b 3 4");
    let all = |bench: &mut Bench, command: &str| -> Vec<String> {
        bench.shard.effects.seen.clear();
        bench.run(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let seen = bench.shard.effects.seen.drain(..);
        seen.map(|effect| format!("{} {}", effect.event.name, effect.key.escape_ascii())).collect()
    };
    assert_eq!(all(&mut bench, "SMOVE a b 1"), ["srem a", "sadd b"]);
    assert_eq!(all(&mut bench, "SMOVE a b 3"), ["srem a"]);
    assert!(all(&mut bench, "SMOVE a b 9").is_empty());
    assert!(all(&mut bench, "SMOVE a a 2").is_empty());
    assert_eq!(all(&mut bench, "SMOVE a c 2"), ["srem a", "sadd c"]);
    assert_eq!(bench.ask("EXISTS a"), ":0\r\n");
    assert_eq!(all(&mut bench, "SINTERSTORE d b c"), [""; 0]);
    assert_eq!(all(&mut bench, "SUNIONSTORE d b c"), ["sunionstore d"]);
    assert_eq!(all(&mut bench, "SDIFFSTORE d b c"), ["sdiffstore d"]);
    assert_eq!(all(&mut bench, "SINTERSTORE d b b"), ["sinterstore d"]);
    assert_eq!(all(&mut bench, "SINTERSTORE d b missing"), ["del d"]);
}

#[test]
fn a_set_moves_out_of_its_entry_and_back() {
    let mut bench = bench();
    bench.ask("SADD s 1 2 3");
    assert_eq!(form(&mut bench, "s"), Some("intset within"));
    bench.ask("SADD s word");
    assert_eq!(form(&mut bench, "s"), Some("listpack within"));
    for n in 0..20 {
        bench.ask(&format!("SADD s {n}-{}", "x".repeat(40)));
    }
    assert_eq!(form(&mut bench, "s"), Some("apart"));
    assert_eq!(bench.ask("SCARD s"), ":24\r\n");
    let used = bench.shard.used_bytes();
    for n in 0..1000 {
        bench.ask(&format!("SADD s {n:016}"));
    }
    assert!(bench.shard.used_bytes() - used > 16_000, "what is apart is counted");
    bench.ask("DEL s");
    assert!(bench.shard.used_bytes() < used);
}

#[test]
fn encodings_are_those_of_redis() {
    let mut bench = bench();
    for (commands, encoding) in [
        (&["SADD s 1 2 3"][..], "intset"),
        (&["SADD s 1 2 a"], "hashtable"),
        (&["SADD s 1 2 3 4 5 6 7 8"], "intset"),
        (&["SADD s 1 2 3 4 5 6 7 8 9"], "hashtable"),
        // It stays what it is when members go ...
        (&["SADD s 1 2 a", "SREM s a"], "hashtable"),
        // ... but not when SPOP leaves few, and those are integers.
        (&["SADD s 1 2 3 4 5 6 7 8 9", "SPOP s 8"], "intset"),
        (&["SADD t 1 2 a", "SADD u 1 2 b", "SINTERSTORE s t u"], "intset"),
        (&["SADD t 1 2", "SADD u 7", "SUNIONSTORE s t u"], "intset"),
        (&["SADD t 1 2 a", "SADD u 7", "SUNIONSTORE s t u"], "hashtable"),
    ] {
        for key in ["s", "t", "u"] {
            bench.ask(&format!("DEL {key}"));
        }
        commands.iter().for_each(|command| {
            bench.ask(command);
        });
        assert_eq!(
            bench.ask("OBJECT ENCODING s"),
            format!("${}\r\n{encoding}\r\n", encoding.len()),
            "{commands:?}"
        );
    }
}

#[test]
fn random_members_are_members_and_different() {
    let mut bench = bench();
    for (key, from, to) in [("ints", 0, 6), ("few", 0, 10), ("many", 0, 60)] {
        for n in from..to {
            bench.ask(&format!("SADD {key} {n}"));
        }
        for count in [1, 2, 5, 19, 40, 100] {
            let reply = bench.ask(&format!("SRANDMEMBER {key} {count}"));
            assert_eq!(bulks(&reply).len(), count.min(to), "{key} {count}: {reply}");
        }
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            seen.append(&mut bulks(&bench.ask(&format!("SRANDMEMBER {key} -10"))));
        }
        assert_eq!(seen.len(), to);
        assert_eq!(bench.ask(&format!("SRANDMEMBER {key} -500")).matches('$').count(), 500);
    }
}

#[test]
fn popping_with_a_count_takes_just_these() {
    for size in [3, 7, 11, 40] {
        for count in 0..=size + 1 {
            let mut bench = bench();
            let mut all = BTreeSet::new();
            for n in 0..size {
                bench.ask(&format!("SADD s {n}"));
                all.insert(n.to_string());
            }
            let mut popped = bulks(&bench.ask(&format!("SPOP s {count}")));
            assert_eq!(popped.len(), count.min(size));
            let mut rest = bulks(&bench.ask("SMEMBERS s"));
            assert_eq!(rest.len(), size - popped.len());
            rest.append(&mut popped);
            assert_eq!(rest, all);
        }
    }
}
