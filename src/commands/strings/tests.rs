use super::ROWS;
use crate::commands::testing::recording::replay;
use crate::commands::testing::{Bench, NOW_MS, check};
use crate::types::Value;

fn bench() -> Bench {
    Bench::new(&[ROWS])
}

/// Replays what Redis 7.0.15 was asked.
fn replay_recorded(bench: Bench) {
    replay(bench, include_str!("recorded.txt"), &["MSET", "MSETNX"]);
}

#[test]
fn replies_and_events_are_those_of_redis_in_resp2() {
    replay_recorded(bench());
}

#[test]
fn replies_and_events_are_those_of_redis_in_resp3() {
    replay_recorded(bench().resp3());
}

const NULL: &str = "$-1";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn set_compares_before_it_stores() {
    // Digests as Redis 8.4 gives them.
    check(
        &mut bench(),
        &[
            ("SET k hello", "+OK"),
            ("DIGEST k", "$16 9555e8555c62dcfd"),
            ("DIGEST none", NULL),
            ("SET k a IFEQ other", NULL),
            ("SET k a IFEQ hello", "+OK"),
            ("SET none a IFEQ x", NULL),
            ("SET none a IFDEQ short", NULL),
            ("EXISTS none", ":0"),
            ("SET none a IFNE x", "+OK"),
            ("SET none2 a IFDNE short", "+OK"),
            ("SET k hello", "+OK"),
            ("SET k b IFDEQ 9555E8555C62DCFD GET", "$5 hello"),
            ("SET k c ifdne 9555e8555c62dcfd EX 10", "+OK"),
            ("TTL k", ":10"),
            ("SET k d IFNE c GET", "$1 c"),
            ("SET k d IFNE c", NULL),
            ("SET none3 d IFEQ c GET", NULL),
            ("SET none3 d IFNE c GET", NULL),
            ("EXISTS none3", ":1"),
            ("SET k e IFDEQ 9555e8555c62dcf", "-ERR must be exactly 16 hexadecimal characters"),
            ("SET k e IFDNE 09555e8555c62dcfd", "-ERR must be exactly 16 hexadecimal characters"),
            ("SET k e IFDEQ zzzzzzzzzzzzzzzz", NULL),
            ("SET n 12345", "+OK"),
            ("SET n 7 IFEQ 12345", "+OK"),
        ],
    );
    check(
        &mut bench(),
        &[
            ("SET k e IFEQ a NX", SYNTAX),
            ("SET k e XX IFNE a", SYNTAX),
            ("SET k e IFEQ a IFNE b", SYNTAX),
            ("SET k e IFEQ", SYNTAX),
            ("SET k a", "+OK"),
            ("SET k e IFEQ z IFEQ a", "+OK"),
            ("SET v8 123", "+OK"),
            ("DIGEST v8", "$16 404a763b3f4c8c9a"),
            ("SET v8 v8", "+OK"),
            ("DIGEST v8", "$16 0cc76dbb41381419"),
            (
                "SET z v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd",
                "+OK",
            ),
            ("DIGEST z", "$16 00006c38adf31777"),
        ],
    );
}

#[test]
fn delex_and_delifeq_compare_before_they_delete() {
    let arity = "-ERR wrong number of arguments for 'delex' command";
    check(
        &mut bench(),
        &[
            ("DELEX none", ":0"),
            ("DELEX none FOO bar", ":0"),
            ("DELEX none IFDNE short", ":0"),
            ("DELEX none IFEQ", arity),
            ("SET k hello", "+OK"),
            ("DELEX k IFEQ", arity),
            ("DELEX k IFEQ hello extra", arity),
            ("DELEX k FOO hello", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
            ("DELEX k IFEQ other", ":0"),
            ("DELEX k IFNE hello", ":0"),
            ("DELEX k IFDEQ 0000000000000000", ":0"),
            ("DELEX k IFDNE 9555e8555c62dcfd", ":0"),
            ("DELEX k IFDEQ 1", "-ERR must be exactly 16 hexadecimal characters"),
            ("DELEX k ifdeq 9555E8555C62DCFD", ":1"),
            ("DELEX k", ":0"),
            ("SET k 123", "+OK"),
            ("DELEX k IFEQ 0123", ":0"),
            ("DELIFEQ k 124", ":0"),
            ("DELIFEQ k 123", ":1"),
            ("DELIFEQ k 123", ":0"),
            ("SET k 123", "+OK"),
            ("DELEX k", ":1"),
        ],
    );
}

#[test]
fn msetex_stores_all_or_nothing() {
    let (numkeys, pairs) = ("-ERR invalid numkeys value", "-ERR wrong number of key-value pairs");
    let expire = "-ERR invalid expire time in 'msetex' command";
    check(
        &mut bench(),
        &[
            ("MSETEX 2 a 1 b 2 EX 100", ":1"),
            ("TTL a", ":100"),
            ("TTL b", ":100"),
            ("MSETEX 2 a 5 c 3 NX", ":0"),
            ("MSETEX 2 a 5 c 3 XX", ":0"),
            ("MSETEX 2 a 5 b 6 XX KEEPTTL", ":1"),
            ("TTL b", ":100"),
            ("MSETEX 2 a 5 b 6", ":1"),
            ("TTL b", ":-1"),
            ("MSETEX 1 c 3 nx pxat 4102444800001", ":1"),
            ("PEXPIRETIME c", ":4102444800001"),
            ("MGET a b c", "*3 $1 5 $1 6 $1 3"),
            ("MSETEX 0 a 5", numkeys),
            ("MSETEX -1 a 5", numkeys),
            ("MSETEX key1 val1 ex 10", numkeys),
            ("MSETEX 2147483648 a 5", numkeys),
            ("MSETEX 2147483647 a 5", pairs),
            ("MSETEX 2 a 5 b", pairs),
            ("MSETEX 1 a 5 BOGUS", SYNTAX),
            ("MSETEX 1 a 5 NX XX EX 10", SYNTAX),
            ("MSETEX 1 a 5 EX 10 PX 10", SYNTAX),
            ("MSETEX 1 a 5 KEEPTTL PX 10", SYNTAX),
            ("MSETEX 1 a 5 GET", SYNTAX),
            ("MSETEX 1 a 5 EX 0", expire),
            ("MSETEX 1 a 5 EX abc", "-ERR value is not an integer or out of range"),
            ("MSETEX 1 a", "-ERR wrong number of arguments for 'msetex' command"),
            ("GET a", "$1 5"),
        ],
    );
}

#[test]
fn increx_counts_within_bounds() {
    let (max, min) = ("9223372036854775807", "-9223372036854775808");
    let mut bench = bench();
    check(
        &mut bench,
        &[
            ("INCREX n", "*2 :1 :1"),
            ("OBJECT ENCODING n", "$3 int"),
            ("INCREX n BYINT 5 UBOUND 3", "*2 :1 :0"),
            ("INCREX n BYINT 5 UBOUND 3 SATURATE EX 100", "*2 :3 :2"),
            ("TTL n", ":100"),
            ("INCREX n EX 5 ENX", "*2 :4 :1"),
            ("TTL n", ":100"),
            ("INCREX n EXAT 1 ENX", "*2 :5 :1"),
            ("INCREX n UBOUND 5 EX 7", "*2 :5 :0"),
            ("TTL n", ":100"),
            ("INCREX n PERSIST", "*2 :6 :1"),
            ("TTL n", ":-1"),
            ("INCREX n BYINT -100 LBOUND 0 SATURATE", "*2 :0 :-6"),
            ("INCREX n EXAT 1", "*2 :1 :1"),
            ("EXISTS n", ":0"),
            ("INCREX n BYINT 5 LBOUND 10", "*2 :0 :0"),
            ("EXISTS n", ":0"),
            ("INCREX n PX 100000 ENX BYINT 5", "*2 :5 :5"),
            ("TTL n", ":100"),
            ("SET n 50", "+OK"),
            ("INCREX n BYINT 5 UBOUND 30", "*2 :50 :0"),
            ("INCREX n BYINT -25 UBOUND 30", "*2 :25 :-25"),
            ("SET n 50", "+OK"),
            ("INCREX n BYINT 5 UBOUND 30 SATURATE", "*2 :30 :-20"),
            ("SET n abc", "+OK"),
            ("INCREX n", "-ERR value is not an integer or out of range"),
            ("INCREX n BYFLOAT 1", "-ERR value is not a valid float"),
            ("SET n inf", "+OK"),
            ("INCREX n BYFLOAT 1", "-ERR value cannot be Infinity"),
            ("SET f 1.5", "+OK"),
            ("INCREX f BYFLOAT 0.25", "*2 $4 1.75 $4 0.25"),
            ("INCREX f BYFLOAT 100 UBOUND 42.5", "*2 $4 1.75 $1 0"),
            ("INCREX f BYFLOAT 100 UBOUND 42.5 SATURATE", "*2 $4 42.5 $5 40.75"),
            ("INCREX f BYFLOAT -100 LBOUND -5.5 SATURATE", "*2 $4 -5.5 $3 -48"),
            ("INCREX f BYFLOAT 1 LBOUND inf SATURATE", "-ERR applied increment would be Infinity"),
            ("SET f 10", "+OK"),
            ("INCREX f BYFLOAT 1 UBOUND inf", "*2 $2 11 $1 1"),
            ("OBJECT ENCODING f", "$6 embstr"),
        ],
    );
    for (value, options, wanted) in [
        (max, "", format!("*2 :{max} :0")),
        (max, "SATURATE", format!("*2 :{max} :0")),
        ("9223372036854775800", "BYINT 9223372036854775800 SATURATE", format!("*2 :{max} :7")),
        ("-9223372036854775800", "BYINT -9223372036854775800 SATURATE", format!("*2 :{min} :-8")),
    ] {
        bench.ask(&format!("SET m {value}"));
        check(&mut bench, &[(&format!("INCREX m {options}"), &wanted)]);
    }
    check(
        &mut bench,
        &[
            ("SET m 9223372036854775800", "+OK"),
            ("INCREX m SATURATE UBOUND -9223372036854775808", "-ERR applied increment would overflow"),
        ],
    );
    for wrong in [
        "FOO",
        "BYINT 1 BYFLOAT 1",
        "BYINT 1 BYINT 1",
        "EX 10 PX 10",
        "EX 1 EX 2",
        "EX 10 PERSIST",
        "PERSIST EX 10",
        "PERSIST ENX",
        "ENX PERSIST",
        "PERSIST PERSIST",
        "ENX ENX EX 10",
        "LBOUND 0 LBOUND 0",
        "UBOUND 0 UBOUND 1",
        "SATURATE SATURATE",
        "SAT",
        "KEEPTTL",
        "BYINT",
        "EX",
        "LBOUND",
    ] {
        check(&mut bench, &[(&format!("INCREX m {wrong}"), SYNTAX)]);
    }
    check(
        &mut bench,
        &[
            ("INCREX m ENX", "-ERR ENX flag requires an expiration"),
            ("INCREX m BYINT 1.5", "-ERR Increment is not an integer or out of range"),
            ("INCREX m BYFLOAT abc", "-ERR Increment is not a valid float"),
            ("INCREX m BYFLOAT +inf", "-ERR BYFLOAT increment cannot be Infinity"),
            ("INCREX m UBOUND 5.5", "-ERR UBOUND is not an integer or out of range"),
            ("INCREX m LBOUND inf", "-ERR LBOUND is not an integer or out of range"),
            ("INCREX m LBOUND 10 UBOUND 5", "-ERR LBOUND can't be greater than UBOUND"),
            ("INCREX m BYFLOAT 1 LBOUND 10.5 UBOUND 1.5", "-ERR LBOUND can't be greater than UBOUND"),
            ("INCREX m EX 0", "-ERR invalid expire time in 'increx' command"),
        ],
    );
    let mut bench = self::bench().resp3();
    check(&mut bench, &[("INCREX c BYFLOAT 1.5", "*2 ,1.5 ,1.5"), ("DIGEST none", "_")]);
    let (_, events) = bench.run_noting(&[b"INCREX", b"c", b"BYFLOAT", b"1", b"EX", b"9"]);
    assert_eq!(events, ["incrbyfloat c", "expire c"]);
    let (_, events) = bench.run_noting(&[b"INCREX", b"c", b"BYFLOAT", b"1", b"PERSIST"]);
    assert_eq!(events, ["incrbyfloat c", "persist c"]);
    let (_, events) = bench.run_noting(&[b"INCREX", b"c", b"BYFLOAT", b"1", b"PXAT", b"5"]);
    assert_eq!(events, ["del c"]);
}

/// Redis 8 gives nothing where 7 gave the first byte.
#[test]
fn a_range_that_ends_before_the_string_is_empty() {
    check(
        &mut bench(),
        &[
            ("SET k 0123456789", "+OK"),
            ("GETRANGE k 0 -11", "$0 "),
            ("GETRANGE k 0 -100", "$0 "),
            ("GETRANGE k -100 -10", "$1 0"),
            ("GETRANGE k -9223372036854775808 -9223372036854775808", "$0 "),
        ]
        .map(|(command, wanted)| (command, wanted.trim_end())),
    );
}

#[test]
fn changing_a_string_leaves_a_reply_that_shows_it_alone() {
    let mut bench = bench();
    let long = vec![b'x'; 100_000];
    bench.run(&[b"SET", b"k", &long]);
    let held =
        match bench.shard.dbs[0].table.find(bench.shard.hasher.hash(b"k"), b"k").map(|entry| entry.value()) {
            Some(crate::shard::ValueView::Heap(Value::String(bytes))) => std::sync::Arc::clone(bytes),
            other => panic!("a long string is on the heap, not {other:?}"),
        };
    bench.run(&[b"APPEND", b"k", b"more"]);
    bench.run(&[b"SETRANGE", b"k", b"0", b"y"]);
    assert_eq!(*held, long);
    let got = bench.run(&[b"GET", b"k"]);
    assert!(got.starts_with(b"$100004\r\nyx") && got.ends_with(b"xmore\r\n"));
}

#[test]
fn heap_bytes_are_given_back() {
    let mut bench = bench();
    for round in 0..50 {
        bench.run(&[b"APPEND", b"a", &vec![b'x'; round * 40]]);
        bench.run(&[b"SETRANGE", b"b", (round * 100).to_string().as_bytes(), b"patch"]);
        bench.run(&[b"SET", b"c", &vec![b'x'; round * 30]]);
        bench.run(&[b"INCRBYFLOAT", b"d", b"0.1"]);
        bench.run(&[b"APPEND", b"d", b"1"]);
        bench.run(&[b"SET", b"e", &vec![b'x'; 1000], b"PX", b"10"]);
        bench.shard.now_ms += 20;
        bench.run(&[b"GET", b"e"]);
    }
    assert!(bench.shard.dbs[0].table.usage().heap_bytes > 0);
    for key in [b"a", b"b", b"c", b"d"] {
        bench.run(&[b"GETDEL", key]);
    }
    assert_eq!(bench.shard.dbs[0].table.usage().heap_bytes, 0);
    assert!(bench.shard.dbs[0].table.is_empty());
}

#[test]
fn what_is_due_expires_before_it_is_read_or_overwritten() {
    for command in
        ["GET k", "SET k w", "SET k w KEEPTTL", "INCR k", "APPEND k w", "SETRANGE k 0 w", "SETNX k w"]
    {
        let mut bench = bench();
        bench.ask("SET k 5 PX 10");
        bench.shard.now_ms = NOW_MS + 10;
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let (_, events) = bench.run_noting(&words);
        assert_eq!(events[0], "expired k", "{command}");
        assert_eq!(bench.shard.stats.expired, 1, "{command}");
        assert!(["GET k"].contains(&command) || bench.ask("TTL k") == ":-1\r\n", "{command}");
    }
}

#[test]
fn reads_count_hits_and_every_use_counts_as_access() {
    let mut bench = bench();
    bench.ask("SET k 5");
    for (command, hits, misses) in [
        ("GET k", 1, 0),
        ("GET none", 1, 1),
        ("MGET k none", 2, 2),
        ("SET k 5 GET", 3, 2),
        ("SET k 5 NX", 3, 2),
        ("INCR k", 3, 2),
        ("GETEX k", 4, 2),
        ("STRLEN k", 5, 2),
    ] {
        bench.shard.now_ms += 60_000;
        bench.ask(command);
        assert_eq!((bench.shard.stats.hits, bench.shard.stats.misses), (hits, misses), "{command}");
    }
    let access = |bench: &Bench| {
        let table = &bench.shard.dbs[0].table;
        table.find(bench.shard.hasher.hash(b"k"), b"k").expect("the key is there").access()
    };
    let now = bench.shard.access_clock().fresh();
    assert_eq!(access(&bench), now);
    bench.shard.settings.policy = crate::shard::EvictionPolicy::AllKeysLfu;
    bench.ask("SET k 5");
    for _ in 0..200 {
        bench.ask("GET k");
    }
    let used = access(&bench) & 0xff;
    assert!(used > 5, "an often used key has a higher counter: {used}");
    bench.ask("SET k 6");
    assert!(access(&bench) & 0xff >= used, "overwriting keeps the counter");
}
