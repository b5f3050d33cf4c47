//! What SORT answers on one shard, and over several as hops would do it.

use super::ROWS;
use crate::commands::testing::Bench;
use crate::commands::{hashes, lists, sets, strings};

fn bench() -> Bench {
    let mut bench = Bench::new(&[ROWS, lists::ROWS, sets::ROWS, hashes::ROWS, strings::ROWS]);
    bench.ask("RPUSH l 3 1 2 10");
    bench.ask("MSET w_1 5 w_2 2 w_3 1");
    bench
}

fn answer(bench: &mut Bench, command: &str) -> String {
    let reply = bench.ask(command);
    let lines = reply.split("\r\n").filter(|line| !line.starts_with('*') && !line.is_empty());
    let shown = lines.filter(|line| !line.starts_with('$') || *line == "$-1");
    shown.map(|line| if line == "$-1" { "nil" } else { line }).collect::<Vec<_>>().join(" ")
}

#[test]
fn numbers_and_words() {
    let mut bench = bench();
    for (command, wanted) in [
        ("SORT l", "1 2 3 10"),
        ("SORT l DESC", "10 3 2 1"),
        ("SORT l ALPHA", "1 10 2 3"),
        ("SORT l ALPHA DESC ASC", "1 10 2 3"),
        ("SORT l LIMIT 1 2", "2 3"),
        ("SORT l LIMIT 0 1", "1"),
        ("SORT l LIMIT -1 2", "1 2"),
        ("SORT l LIMIT 2 -5", "3 10"),
        ("SORT l LIMIT 10 2", ""),
        ("SORT l LIMIT 1 0", ""),
        ("SORT l LIMIT 9223372036854775807 9223372036854775807", ""),
        ("SORT l BY w_*", "10 3 2 1"),
        ("SORT l BY w_* DESC", "1 2 3 10"),
        ("SORT l BY w_* ALPHA", "10 3 2 1"),
        ("SORT l BY nothing", "3 1 2 10"),
        ("SORT l BY nothing DESC", "10 2 1 3"),
        ("SORT l BY nothing DESC LIMIT 1 2", "2 1"),
        ("SORT l BY nothing BY w_*", "3 1 2 10"),
        ("SORT l GET # GET w_* GET nope* GET constant", "1 5 nil nil 2 2 nil nil 3 1 nil nil 10 nil nil nil"),
        ("SORT l BY missing_* GET #", "1 10 2 3"),
        ("SORT missing", ""),
        ("SORT l WHAT", "-ERR syntax error"),
        ("SORT l LIMIT 1", "-ERR syntax error"),
        ("SORT l LIMIT x 1", "-ERR value is not an integer or out of range"),
        ("SORT_RO l STORE d", "-ERR syntax error"),
        ("SORT w_1 WHAT", "-ERR syntax error"),
        ("SORT w_1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ] {
        assert_eq!(answer(&mut bench, command), wanted, "{command}");
    }
}

#[test]
fn scores_are_what_strtod_reads() {
    let mut bench = bench();
    for (element, is_score) in [
        ("1e3", true),
        ("inf", true),
        ("0x10", true),
        ("+5", true),
        ("1\0junk", true),
        (" 7", true),
        ("", true),
        ("nan", false),
        ("7 ", false),
        (" ", false),
        ("1e999", false),
        ("word", false),
    ] {
        bench.ask("DEL m");
        bench.run(&[b"RPUSH", b"m", b"1", element.as_bytes()]);
        let reply = bench.ask("SORT m");
        let error = "-ERR One or more scores can't be converted into double\r\n";
        assert_eq!(reply != error, is_score, "{element:?}: {reply}");
    }
}

#[test]
fn fields_of_hashes() {
    let mut bench = bench();
    bench.ask("HSET h_1 f 9");
    bench.ask("HSET h_2 f 3");
    for (command, wanted) in [
        ("SORT l BY h_*->f GET h_*->f GET #", "nil 10 nil 3 3 2 9 1"),
        ("SORT l BY h_*->", "1 10 2 3"),
        (
            "SORT l BY nothing GET h_*->nope GET w_*->f GET h_*",
            "nil nil nil nil nil nil nil nil nil nil nil nil",
        ),
    ] {
        assert_eq!(answer(&mut bench, command), wanted, "{command}");
    }
}

#[test]
fn many_elements_and_patterns() {
    let mut bench = bench();
    for n in 0..3000 {
        bench.ask(&format!("RPUSH many {n}"));
        if n % 3 == 0 {
            bench.ask(&format!("SET v_{n} value{n}"));
        }
    }
    let reply = answer(&mut bench, "SORT many GET # GET none_* GET v_* GET # GET v_* GET constant");
    let mut words = reply.split(' ');
    for n in 0..3000 {
        let value = if n % 3 == 0 { format!("value{n}") } else { "nil".into() };
        let row: Vec<&str> = words.by_ref().take(6).collect();
        let n = n.to_string();
        assert_eq!(row, [&n, "nil", &value, &n, &value, "nil"]);
    }
    assert_eq!(words.next(), None);
}

#[test]
fn stored_results_are_lists() {
    let mut bench = bench();
    assert_eq!(bench.run_noting(&[b"SORT", b"l", b"STORE", b"d"]).0, b":4\r\n");
    assert_eq!(answer(&mut bench, "LRANGE d 0 -1"), "1 2 3 10");
    let seen: Vec<&str> = bench.shard.effects.seen.iter().map(|effect| effect.event.name).collect();
    assert_eq!(seen.last(), Some(&"sortstore"));
    assert_eq!(bench.ask("SORT l GET w_* STORE d"), ":4\r\n");
    assert_eq!(bench.ask("LRANGE d 0 -1"), "*4\r\n$1\r\n5\r\n$1\r\n2\r\n$1\r\n1\r\n$0\r\n\r\n");
    assert_eq!(bench.ask("SORT l STORE l"), ":4\r\n");
    assert_eq!(answer(&mut bench, "LRANGE l 0 -1"), "1 2 3 10");
    assert_eq!(bench.ask("SORT missing STORE d"), ":0\r\n");
    assert_eq!(bench.ask("EXISTS d"), ":0\r\n");
    bench.ask("SADD s c a b");
    assert_eq!(bench.ask("SORT s BY nothing DESC STORE d"), ":3\r\n");
    assert_eq!(answer(&mut bench, "LRANGE d 0 -1"), "c b a");
}

#[test]
fn what_limit_leaves_is_what_sorting_all_would_give() {
    let mut bench = bench();
    let mut rng = fastrand::Rng::with_seed(4);
    for _ in 0..500 {
        bench.ask(&format!("RPUSH many {}", rng.i64(-50..50)));
    }
    for order in ["ASC", "DESC", "ALPHA", "ALPHA DESC", "BY w_*", "BY w_* ALPHA"] {
        let all = answer(&mut bench, &format!("SORT many {order}"));
        let all: Vec<&str> = all.split(' ').collect();
        for (start, count) in [(0, 10), (5, 100), (490, 20), (0, 500), (3, 1)] {
            let part = answer(&mut bench, &format!("SORT many {order} LIMIT {start} {count}"));
            assert_eq!(part, all[start..(start + count).min(500)].join(" "), "{order} {start} {count}");
        }
    }
}
