use super::ROWS;
use crate::commands::testing::recording::replay;
use crate::commands::testing::{Bench, check};
use crate::commands::{keys, strings};

fn bench() -> Bench {
    Bench::new(&[ROWS, strings::ROWS])
}

fn replay_recorded(bench: Bench) {
    replay(bench, include_str!("recorded.txt"), &[]);
}

#[test]
fn replies_and_events_are_those_of_redis_in_resp2() {
    replay_recorded(bench());
}

#[test]
fn replies_and_events_are_those_of_redis_in_resp3() {
    replay_recorded(bench().resp3());
}

#[test]
fn replies_do_not_depend_on_the_size_of_nodes() {
    for list_node in [0, 1, 2, 3, -1, -5] {
        let mut bench = bench();
        bench.shard.settings.encodings.list_node = list_node;
        replay_recorded(bench);
    }
}

const SYNTAX: &str = "-ERR syntax error";

#[test]
fn changes_are_counted_as_redis_counts_them() {
    let mut bench = bench();
    for (command, changes) in [
        ("RPUSH l a b c d a", 5),
        ("LPUSHX l x y", 2),
        ("LPUSHX none x y", 0),
        ("LSET l 0 z", 1),
        ("LSET l 99 z", 0),
        ("LINSERT l BEFORE a q", 1),
        ("LINSERT l BEFORE nosuch q", 0),
        ("LREM l 0 a", 2),
        ("LREM l 0 nosuch", 0),
        ("LTRIM l 0 -1", 0),
        ("LTRIM l 1 -2", 2),
        ("LPOP l 0", 0),
        ("LMOVE l m LEFT LEFT", 1),
        ("RPOPLPUSH m m", 1),
        ("LMPOP 1 m LEFT", 1),
        ("LPOP l 99", 3),
        ("LPOP l", 0),
    ] {
        let before = bench.shard.effects.dirty;
        bench.ask(command);
        assert_eq!(bench.shard.effects.dirty - before, changes, "{command}");
    }
}

#[test]
fn lists_keep_their_deadline_and_lose_it_with_their_last_element() {
    check(
        &mut Bench::new(&[ROWS, keys::ROWS]),
        &[
            ("RPUSH l a b", ":2"),
            ("PEXPIREAT l 1800000000000", ":1"),
            ("RPUSH l c", ":3"),
            ("LPOP l", "$1 a"),
            ("LMOVE l l LEFT RIGHT", "$1 b"),
            ("PEXPIRETIME l", ":1800000000000"),
            ("LPOP l 9", "*2 $1 c $1 b"),
            ("RPUSH l a", ":1"),
            ("PEXPIRETIME l", ":-1"),
        ],
    );
}

#[test]
fn a_list_that_grew_big_and_shrank_is_small_again() {
    let mut bench = bench();
    let used = |bench: &Bench| bench.shard.used_bytes();
    bench.ask("RPUSH l element");
    let small = used(&bench);
    for n in 0..5000 {
        bench.ask(&format!("RPUSH l element-{n}"));
    }
    let big = used(&bench);
    assert!(big - small > 5000 * 10 && big - small < 5000 * 24, "{small} {big}");
    bench.ask("LTRIM l 0 0");
    assert_eq!(used(&bench), small);
    check(&mut bench, &[("LRANGE l 0 -1", "*1 $7 element"), ("OBJECT ENCODING l", "$9 quicklist")]);
    for n in 0..2000 {
        bench.ask(&format!("LPUSH l element-{n}"));
    }
    bench.ask("DEL l");
    bench.ask("RPUSH l element");
    assert_eq!(used(&bench), small);
}

#[test]
fn looking_at_lists_counts_hits_and_changing_them_does_not() {
    let mut bench = bench();
    bench.ask("RPUSH l a b");
    let counts = |bench: &Bench| (bench.shard.stats.hits, bench.shard.stats.misses);
    for (command, hits, misses) in [
        ("LRANGE l 0 -1", 1, 0),
        ("LLEN none", 0, 1),
        ("LINDEX l 0", 1, 0),
        ("LPOS l a", 1, 0),
        ("LMOVE l l LEFT RIGHT", 0, 0),
        ("LPOP l", 0, 0),
        ("LPOP none", 0, 0),
    ] {
        let before = counts(&bench);
        bench.ask(command);
        let after = counts(&bench);
        assert_eq!((after.0 - before.0, after.1 - before.1), (hits, misses), "{command}");
    }
}

#[test]
fn several_elements_move_as_the_documentation_of_redis_8_10_says() {
    let mut bench = bench();
    let start = |bench: &mut Bench| {
        for command in ["DEL a", "DEL b", "RPUSH a 1 2 3 4 5", "RPUSH b x y"] {
            bench.ask(command);
        }
    };
    for (options, reply, a, b) in [
        ("LEFT LEFT", "*1 $1 1", "2 3 4 5", "1 x y"),
        ("LEFT LEFT COUNT 3 OBO", "*3 $1 3 $1 2 $1 1", "4 5", "3 2 1 x y"),
        ("LEFT LEFT COUNT 3 BULK", "*3 $1 1 $1 2 $1 3", "4 5", "1 2 3 x y"),
        ("RIGHT RIGHT COUNT 3 OBO", "*3 $1 5 $1 4 $1 3", "1 2", "x y 5 4 3"),
        ("RIGHT RIGHT exactly 3 bulk", "*3 $1 3 $1 4 $1 5", "1 2", "x y 3 4 5"),
        ("LEFT RIGHT COUNT 2 OBO", "*2 $1 1 $1 2", "3 4 5", "x y 1 2"),
        ("RIGHT LEFT COUNT 2 OBO", "*2 $1 4 $1 5", "1 2 3", "4 5 x y"),
        ("LEFT RIGHT COUNT 100 BULK", "*5 $1 1 $1 2 $1 3 $1 4 $1 5", "", "x y 1 2 3 4 5"),
        ("LEFT RIGHT EXACTLY 6 BULK", "*-1", "1 2 3 4 5", "x y"),
        ("LEFT RIGHT COUNT 0 BULK", "-ERR count should be greater than 0", "1 2 3 4 5", "x y"),
        ("LEFT RIGHT COUNT x BULK", "-ERR count should be greater than 0", "1 2 3 4 5", "x y"),
        ("LEFT RIGHT COUNT 2", SYNTAX, "1 2 3 4 5", "x y"),
        ("LEFT RIGHT COUNT 2 OBO more", SYNTAX, "1 2 3 4 5", "x y"),
        ("LEFT RIGHT SOME 2 OBO", SYNTAX, "1 2 3 4 5", "x y"),
        ("LEFT UP COUNT 2 OBO", SYNTAX, "1 2 3 4 5", "x y"),
    ] {
        start(&mut bench);
        check(&mut bench, &[(&format!("LMOVEM a b {options}"), reply)]);
        for (key, elements) in [("a", a), ("b", b)] {
            let count = elements.split_whitespace().count();
            let elements: String =
                elements.split_whitespace().map(|element| format!(" $1 {element}")).collect();
            check(&mut bench, &[(&format!("LRANGE {key} 0 -1"), &format!("*{count}{elements}"))]);
        }
    }
    start(&mut bench);
    check(
        &mut bench,
        &[
            ("LMOVEM a a LEFT LEFT EXACTLY 2 OBO", "*2 $1 2 $1 1"),
            ("LMOVEM a a LEFT LEFT EXACTLY 3 BULK", "*3 $1 2 $1 1 $1 3"),
            ("LMOVEM a a LEFT RIGHT COUNT 2 BULK", "*2 $1 2 $1 1"),
            ("LRANGE a 0 -1", "*5 $1 3 $1 4 $1 5 $1 2 $1 1"),
            ("LMOVEM a a RIGHT LEFT EXACTLY 6 BULK", "*-1"),
            ("LMOVEM none a LEFT RIGHT", "*0"),
            ("LMOVEM none a LEFT RIGHT COUNT 3 BULK", "*0"),
            ("LMOVEM none a LEFT RIGHT EXACTLY 3 BULK", "*-1"),
        ],
    );
    let (_, events) = bench.run_noting(&[b"LMOVEM", b"a", b"c", b"LEFT", b"RIGHT", b"COUNT", b"9", b"BULK"]);
    assert_eq!(events, ["rpush c", "lpop a", "del a"]);
}
