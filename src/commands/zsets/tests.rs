//! Sorted sets on one shard: what is recorded, and arguments that no honest client sends.

use super::ROWS;
use crate::commands::testing::Bench;
use crate::types::Encodings;

fn bench() -> Bench {
    Bench::new(&[ROWS])
}

fn noted(bench: &mut Bench, command: &str) -> Vec<String> {
    let words: Vec<&[u8]> = command.split_whitespace().map(str::as_bytes).collect();
    bench.run_noting(&words).1
}

#[test]
fn changes_are_recorded_and_nothing_else() {
    let mut bench = bench();
    for (command, effects) in [
        ("ZADD z 1 a 2 b 3 c 4 d", &["zadd z"][..]),
        ("ZADD z 1 a", &[]),
        ("ZADD z NX 5 a", &[]),
        ("ZADD z XX 5 nobody", &[]),
        ("ZADD none XX 5 nobody", &[]),
        ("ZADD z 1.5 a", &["zadd z"]),
        ("ZADD z INCR 1 a", &["zincr z"]),
        ("ZINCRBY z 1 a", &["zincr z"]),
        ("ZINCRBY z 0 a", &[]),
        ("ZREM z nobody", &[]),
        ("ZREM z a", &["zrem z"]),
        ("ZREMRANGEBYSCORE z 50 60", &[]),
        ("ZREMRANGEBYSCORE z 2 2", &["zremrangebyscore z"]),
        ("ZPOPMIN z 0", &[]),
        ("ZPOPMIN z", &["zpopmin z"]),
        ("ZPOPMAX none", &[]),
        ("ZRANGE z 0 -1", &[]),
        ("ZREMRANGEBYRANK z 0 -1", &["zremrangebyrank z", "del z"]),
        ("ZREM z d", &[]),
    ] {
        assert_eq!(noted(&mut bench, command), effects, "{command}");
    }
}

#[test]
fn every_changed_member_counts_as_a_change() {
    let mut bench = bench();
    let dirty = |bench: &mut Bench, command: &str| {
        let before = bench.shard.effects.dirty;
        bench.ask(command);
        bench.shard.effects.dirty - before
    };
    assert_eq!(dirty(&mut bench, "ZADD z 1 a 2 b 3 c"), 3);
    assert_eq!(dirty(&mut bench, "ZADD z 1 a 5 b 3 d"), 2);
    assert_eq!(dirty(&mut bench, "ZPOPMAX z 3"), 3);
}

#[test]
fn huge_numbers_cost_nothing() {
    let mut bench = bench();
    bench.ask("ZADD z 1 a 2 b");
    for (command, reply) in [
        ("ZRANGE z 0 9223372036854775807", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("ZRANGE z -9223372036854775808 0", "*1\r\n$1\r\na\r\n"),
        ("ZRANGEBYSCORE z 1 2 LIMIT 9223372036854775807 9223372036854775807", "*0\r\n"),
        ("ZRANGEBYSCORE z 1 2 LIMIT 1 9223372036854775807", "*1\r\n$1\r\nb\r\n"),
        (
            "ZRANDMEMBER z -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n",
        ),
        ("ZRANDMEMBER z -9223372036854775807", "-ERR value is out of range\r\n"),
        ("ZRANDMEMBER z 9223372036854775807 WITHSCORES", "-ERR value is out of range\r\n"),
        ("ZUNION 9223372036854775807 z", "-ERR syntax error\r\n"),
        ("ZINTERCARD 99999999999999999999 z", "-ERR value is not an integer or out of range\r\n"),
        ("ZMPOP 9223372036854775807 z MIN", "-ERR syntax error\r\n"),
        (
            "ZSCAN z 18446744073709551615",
            "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n",
        ),
        ("ZPOPMIN z 9223372036854775807", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"),
    ] {
        assert_eq!(bench.ask(command), reply, "{command}");
    }
}

#[test]
fn a_member_may_be_any_bytes() {
    let mut bench = bench();
    for member in [&b""[..], b"\0\xff\r\n", b"12", b"-0", &[b'x'; 70], &[0; 5000]] {
        assert_eq!(bench.run(&[b"ZADD", b"z", b"1", member]), b":1\r\n");
        assert_eq!(bench.run(&[b"ZADD", b"z", b"1", member]), b":0\r\n");
        assert_eq!(bench.run(&[b"ZSCORE", b"z", member]), b"$1\r\n1\r\n");
    }
    assert_eq!(bench.ask("ZCARD z"), ":6\r\n");
}

#[test]
fn settings_choose_the_form() {
    let mut bench = bench();
    bench.shard.settings.encodings = Encodings { zset_entries: 2, zset_value_bytes: 3, ..Encodings::DEFAULT };
    let encoding = |bench: &mut Bench, key: &str| bench.ask(&format!("OBJECT ENCODING {key}"));
    for (command, key, expected) in [
        ("ZADD a 1 abc 2 x", "a", "$8\r\nlistpack\r\n"),
        ("ZADD a 1 y", "a", "$8\r\nskiplist\r\n"),
        ("ZADD b 1 abcd", "b", "$8\r\nskiplist\r\n"),
        ("ZUNIONSTORE c 1 a", "c", "$8\r\nskiplist\r\n"),
        ("ZRANGESTORE d a 0 1", "d", "$8\r\nlistpack\r\n"),
        ("ZDIFFSTORE e 2 a d", "e", "$8\r\nlistpack\r\n"),
    ] {
        bench.ask(command);
        assert_eq!(encoding(&mut bench, key), expected, "{command}");
    }
}

#[test]
fn resp3_has_pairs_and_doubles() {
    let mut bench = bench().resp3();
    bench.ask("ZADD z 1.5 a inf b");
    for (command, reply) in [
        ("ZSCORE z a", ",1.5\r\n"),
        ("ZSCORE z no", "_\r\n"),
        ("ZRANGE z 0 -1 WITHSCORES", "*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,inf\r\n"),
        ("ZRANGE z 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("ZMPOP 1 z MAX", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n,inf\r\n"),
        ("ZPOPMIN z", "*2\r\n$1\r\na\r\n,1.5\r\n"),
        ("ZPOPMIN z", "*0\r\n"),
        ("ZMPOP 1 z MAX", "_\r\n"),
    ] {
        assert_eq!(bench.ask(command), reply, "{command}");
    }
}
