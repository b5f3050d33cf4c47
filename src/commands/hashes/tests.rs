//! Hashes on one shard: replies, effects, deadlines.

use super::ROWS;
use crate::commands::testing::{Bench, NOW_MS};
use crate::commands::{CommandError, keys};
use crate::shard::Event;
use crate::types::DbIndex;

fn bench() -> Bench {
    Bench::new(&[ROWS])
}

fn with_keys() -> Bench {
    Bench::new(&[ROWS, keys::ROWS])
}

/// The bench, and whether small hashes are tables there.
fn benches() -> [(Bench, bool); 2] {
    let mut big = bench();
    big.shard.settings.encodings.hash_entries = 0;
    [(bench(), false), (big, true)]
}

fn events(bench: &mut Bench, command: &str) -> Vec<String> {
    let words: Vec<&[u8]> = command.split_whitespace().map(str::as_bytes).collect();
    bench.run_noting(&words).1
}

/// Lets time pass and expires what is due, as the background does.
fn wait(bench: &mut Bench, ms: u64) -> Vec<String> {
    bench.shard.now_ms += ms;
    let now_ms = bench.shard.now_ms;
    while bench.shard.background(now_ms, 100) {}
    bench.shard.effects.drain().map(|effect| effect.event.name.to_owned()).collect()
}

#[test]
fn hashes_of_one_kind_are_set_like_any_other() {
    let mut b = with_keys();
    for n in 0..40 {
        assert_eq!(b.ask(&format!("HSET k{n} kind:name n{n} kind:age {n} kind:town x")), ":3\r\n");
    }
    let all = |b: &mut Bench, key: &str| b.ask(&format!("HVALS {key}"));
    assert_eq!(b.ask("PEXPIRE k39 5000"), ":1\r\n");
    let dirty = b.shard.effects.dirty;
    assert_eq!(b.ask("HSET k39 kind:name other kind:town 12"), ":0\r\n");
    assert_eq!(b.shard.effects.dirty, dirty + 2);
    assert_eq!(all(&mut b, "k39"), "*3\r\n$5\r\nother\r\n$2\r\n39\r\n$2\r\n12\r\n");
    assert_eq!(b.ask("PTTL k39"), ":5000\r\n", "the key keeps its deadline");
    assert_eq!(events(&mut b, "HSET k39 kind:age 1"), ["hset k39"]);
    assert_eq!(events(&mut b, "HSET k40 kind:name a kind:age 1 kind:town b"), ["hset k40"]);
    assert_eq!(b.ask("PTTL k40"), ":-1\r\n");
    assert_eq!(b.ask("HSET k38 kind:age 1 kind:age 2"), ":0\r\n");
    assert_eq!(b.ask("HSET k38 kind:town y kind:name z"), ":0\r\n");
    assert_eq!(all(&mut b, "k38"), "*3\r\n$1\r\nz\r\n$1\r\n2\r\n$1\r\ny\r\n");
    assert_eq!(b.ask("HSET k38 kind:town y more z"), ":1\r\n");
    assert_eq!(b.ask("HSET k41 kind:name a kind:age 1 kind:age 2"), ":2\r\n");
    assert_eq!(b.ask("HSET k37 kind:name same"), ":0\r\n");
    assert_eq!(b.ask("OBJECT ENCODING k37"), "$8\r\nlistpack\r\n");
    b.shard.settings.encodings.hash_value_bytes = 9;
    assert_eq!(b.ask("HSET k37 kind:name ten:bytes!"), ":0\r\n");
    assert_eq!(b.ask("OBJECT ENCODING k37"), "$9\r\nhashtable\r\n");
    b.shard.settings.encodings.hash_entries = 2;
    assert_eq!(b.ask("HSET k36 kind:name n"), ":0\r\n");
    assert_eq!(b.ask("OBJECT ENCODING k36"), "$9\r\nhashtable\r\n");
    assert_eq!(b.ask("HSET k42 kind:name a kind:age 1 kind:town b"), ":3\r\n");
    assert_eq!(b.ask("OBJECT ENCODING k42"), "$9\r\nhashtable\r\n");
}

#[test]
fn fields_are_set_and_read() {
    for (mut b, _) in benches() {
        assert_eq!(b.ask("HSET h a 1 b two"), ":2\r\n");
        assert_eq!(b.ask("HSET h a 3 c 4"), ":1\r\n");
        assert_eq!(b.ask("HSET h a"), "-ERR wrong number of arguments for 'hset' command\r\n");
        assert_eq!(b.ask("HSET h a 1 b"), "-ERR wrong number of arguments for 'hset' command\r\n");
        assert_eq!(b.ask("HMSET h a 1 b"), "-ERR wrong number of arguments for 'hmset' command\r\n");
        assert_eq!(b.ask("HMSET h d 5"), "+OK\r\n");
        assert_eq!(b.ask("HGET h a"), "$1\r\n3\r\n");
        assert_eq!(b.ask("HGET h nope"), "$-1\r\n");
        assert_eq!(b.ask("HGET nope a"), "$-1\r\n");
        assert_eq!(b.ask("HMGET h c nope a"), "*3\r\n$1\r\n4\r\n$-1\r\n$1\r\n3\r\n");
        assert_eq!(b.ask("HMGET nope a b"), "*2\r\n$-1\r\n$-1\r\n");
        assert_eq!(b.ask("HLEN h"), ":4\r\n");
        assert_eq!(b.ask("HLEN nope"), ":0\r\n");
        assert_eq!(b.ask("HEXISTS h b"), ":1\r\n");
        assert_eq!(b.ask("HEXISTS h nope"), ":0\r\n");
        assert_eq!(b.ask("HEXISTS nope b"), ":0\r\n");
        assert_eq!(b.ask("HSTRLEN h b"), ":3\r\n");
        assert_eq!(b.ask("HSTRLEN h a"), ":1\r\n");
        assert_eq!(b.ask("HSTRLEN h nope"), ":0\r\n");
        assert_eq!(b.ask("HSETNX h a 9"), ":0\r\n");
        assert_eq!(b.ask("HSETNX h e -12"), ":1\r\n");
        assert_eq!(b.ask("HSTRLEN h e"), ":3\r\n");
        assert_eq!(b.ask("HDEL h a nope b a"), ":2\r\n");
        assert_eq!(b.ask("HDEL nope a"), ":0\r\n");
        assert_eq!(b.ask("HDEL h c d e"), ":3\r\n");
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
    }
}

#[test]
fn whole_hashes_are_read_in_the_form_of_the_protocol() {
    let mut b = bench();
    b.ask("HSET h a 1 b two");
    assert_eq!(b.ask("HGETALL h"), "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\ntwo\r\n");
    assert_eq!(b.ask("HKEYS h"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(b.ask("HVALS h"), "*2\r\n$1\r\n1\r\n$3\r\ntwo\r\n");
    assert_eq!(b.ask("HGETALL nope") + &b.ask("HKEYS nope"), "*0\r\n*0\r\n");
    let mut b = bench().resp3();
    b.ask("HSET h a 1 b two");
    assert_eq!(b.ask("HGETALL h"), "%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\ntwo\r\n");
    assert_eq!(b.ask("HGETALL nope") + &b.ask("HKEYS nope"), "%0\r\n*0\r\n");
}

#[test]
fn encodings_follow_the_limits() {
    let mut b = bench();
    for i in 0..512 {
        b.ask(&format!("HSET h f{i} v"));
    }
    assert_eq!(b.ask("OBJECT ENCODING h"), "$8\r\nlistpack\r\n");
    b.ask("HSET h more v");
    assert_eq!(b.ask("OBJECT ENCODING h"), "$9\r\nhashtable\r\n");
    for (len, encoding) in [(64, "$8\r\nlistpack\r\n"), (65, "$9\r\nhashtable\r\n")] {
        let long = "x".repeat(len);
        b.ask(&format!("HSET value f {long}"));
        b.ask(&format!("HSET field {long} v"));
        b.ask(&format!("HSETNX nx {long} v"));
        b.ask(&format!("HINCRBY incr {long} 1"));
        for key in ["value", "field", "nx", "incr"] {
            assert_eq!(b.ask(&format!("OBJECT ENCODING {key}")), encoding, "{key}");
        }
    }
    b.ask("HSET ex f v");
    b.ask("HEXPIRE ex 10 FIELDS 1 f");
    assert_eq!(b.ask("OBJECT ENCODING ex"), "$10\r\nlistpackex\r\n");
}

#[test]
fn counters_count() {
    for (mut b, _) in benches() {
        assert_eq!(b.ask("HINCRBY h n 5"), ":5\r\n");
        assert_eq!(b.ask("HINCRBY h n -7"), ":-2\r\n");
        assert_eq!(b.ask("HGET h n"), "$2\r\n-2\r\n");
        b.ask("HSET h big 9223372036854775807 text abc plus +1 zero 007");
        assert_eq!(b.ask("HINCRBY h big 1"), "-ERR increment or decrement would overflow\r\n");
        assert_eq!(b.ask("HINCRBY h big -1"), ":9223372036854775806\r\n");
        for field in ["text", "plus", "zero"] {
            assert_eq!(b.ask(&format!("HINCRBY h {field} 1")), "-ERR hash value is not an integer\r\n");
        }
        assert_eq!(b.ask("HINCRBY h n x"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(b.ask("HINCRBYFLOAT f n 10.5"), "$4\r\n10.5\r\n");
        assert_eq!(b.ask("HINCRBYFLOAT f n 0.1"), "$4\r\n10.6\r\n");
        assert_eq!(b.ask("HINCRBYFLOAT f n -0.6"), "$2\r\n10\r\n");
        assert_eq!(b.ask("HINCRBY f n 1"), ":11\r\n");
        assert_eq!(b.ask("HINCRBYFLOAT f n x"), "-ERR value is not a valid float\r\n");
        assert_eq!(b.ask("HINCRBYFLOAT f n inf"), "-ERR value is NaN or Infinity\r\n");
        assert_eq!(b.ask("HINCRBYFLOAT h text 1"), "-ERR hash value is not a float\r\n");
        assert_eq!(b.ask("HINCRBY nope f x"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(b.ask("EXISTS nope"), ":0\r\n");
    }
}

#[test]
fn other_types_are_refused_before_most_else() {
    let mut b = bench();
    b.shard.keyspace(DbIndex(0), false).set(
        b"s",
        crate::shard::NewValue::Int(1),
        crate::types::raw::table::Ttl::Clear,
        Event::SET,
    );
    let wrong = format!("-{}\r\n", CommandError::WrongType);
    for command in [
        "HSET s f v",
        "HMSET s f v",
        "HSETNX s f v",
        "HGET s f",
        "HMGET s f",
        "HGETALL s",
        "HKEYS s",
        "HVALS s",
        "HLEN s",
        "HEXISTS s f",
        "HSTRLEN s f",
        "HDEL s f",
        "HINCRBY s f 1",
        "HINCRBYFLOAT s f 1",
        "HRANDFIELD s",
        "HRANDFIELD s 1",
        "HSCAN s 0",
        "HSCAN s 0 nonsense",
        "HEXPIRE s x FIELDS 1 f",
        "HTTL s FIELDS 2 f",
        "HPERSIST s FIELDS 1 f",
        "HGETEX s FIELDS 1 f",
        "HSETEX s FIELDS 1 f v",
        "HGETDEL s FIELDS 1 f",
    ] {
        assert_eq!(b.ask(command), wrong, "{command}");
    }
    assert_eq!(b.ask("HSCAN s x"), "-ERR invalid cursor\r\n");
    assert_eq!(b.ask("HINCRBY s f x"), "-ERR value is not an integer or out of range\r\n");
}

#[test]
fn changes_are_reported() {
    let mut b = bench();
    assert_eq!(events(&mut b, "HSET h a 1 b 2"), ["hset h"]);
    assert_eq!(b.shard.effects.dirty, 2);
    assert_eq!(events(&mut b, "HSETNX h a 1"), [""; 0]);
    assert_eq!(events(&mut b, "HSETNX h c 1"), ["hset h"]);
    assert_eq!(events(&mut b, "HINCRBY h a 1"), ["hincrby h"]);
    assert_eq!(events(&mut b, "HINCRBYFLOAT h a 1"), ["hincrbyfloat h"]);
    assert_eq!(events(&mut b, "HEXPIRE h 10 FIELDS 1 a"), ["hexpire h"]);
    assert_eq!(events(&mut b, "HEXPIRE h 10 NX FIELDS 1 a"), [""; 0]);
    assert_eq!(events(&mut b, "HPERSIST h FIELDS 1 a"), ["hpersist h"]);
    assert_eq!(events(&mut b, "HPERSIST h FIELDS 1 a"), [""; 0]);
    assert_eq!(events(&mut b, "HGETEX h EX 5 FIELDS 1 a"), ["hexpire h"]);
    assert_eq!(events(&mut b, "HGETEX h PERSIST FIELDS 2 a b"), ["hpersist h"]);
    assert_eq!(events(&mut b, "HGETEX h FIELDS 1 a"), [""; 0]);
    assert_eq!(events(&mut b, "HSETEX h EX 5 FIELDS 1 a v"), ["hset h", "hexpire h"]);
    assert_eq!(events(&mut b, "HSETEX h FNX FIELDS 1 a v"), [""; 0]);
    assert_eq!(events(&mut b, "HEXPIRE h 0 FIELDS 1 a"), ["hdel h"]);
    assert_eq!(events(&mut b, "HDEL h nope"), [""; 0]);
    assert_eq!(events(&mut b, "HGETDEL h FIELDS 1 b"), ["hdel h"]);
    assert_eq!(events(&mut b, "HDEL h c"), ["hdel h", "del h"]);
    assert_eq!(events(&mut b, "HSETEX new PXAT 1 FIELDS 1 a v"), [""; 0]);
}

#[test]
fn deadlines_are_set_told_and_taken_off() {
    for (mut b, _) in benches() {
        b.ask("HSET h a 1 b 2 c 3");
        assert_eq!(b.ask("HEXPIRE h 10 FIELDS 2 a nope"), "*2\r\n:1\r\n:-2\r\n");
        assert_eq!(b.ask("HPEXPIRE h 1500 FIELDS 1 b"), "*1\r\n:1\r\n");
        assert_eq!(b.ask("HTTL h FIELDS 4 a b c nope"), "*4\r\n:10\r\n:2\r\n:-1\r\n:-2\r\n");
        assert_eq!(b.ask("HPTTL h FIELDS 1 b"), "*1\r\n:1500\r\n");
        let at = NOW_MS + 1500;
        assert_eq!(b.ask("HPEXPIRETIME h FIELDS 1 b"), format!("*1\r\n:{at}\r\n"));
        assert_eq!(b.ask("HEXPIRETIME h FIELDS 1 b"), format!("*1\r\n:{}\r\n", at.div_ceil(1000)));
        assert_eq!(b.ask("HPERSIST h FIELDS 3 b c nope"), "*3\r\n:1\r\n:-1\r\n:-2\r\n");
        assert_eq!(b.ask("HTTL h FIELDS 1 b"), "*1\r\n:-1\r\n");
        assert_eq!(b.ask(&format!("HEXPIREAT h {} FIELDS 1 b", NOW_MS / 1000 + 7)), "*1\r\n:1\r\n");
        assert_eq!(b.ask(&format!("HPEXPIREAT h {} FIELDS 1 c", NOW_MS + 77)), "*1\r\n:1\r\n");
        assert_eq!(b.ask("HPTTL h FIELDS 2 b c"), "*2\r\n:7000\r\n:77\r\n");
        assert_eq!(b.ask("HTTL nope FIELDS 1 a"), "*1\r\n:-2\r\n");
        assert_eq!(b.ask("HPERSIST nope FIELDS 1 a"), "*1\r\n:-2\r\n");
        assert_eq!(b.ask("HEXPIRE nope 5 FIELDS 2 a b"), "*2\r\n:-2\r\n:-2\r\n");
        // A plain set takes the deadline off, an increment leaves it.
        b.ask("HINCRBY h c 1");
        assert_eq!(b.ask("HPTTL h FIELDS 1 c"), "*1\r\n:77\r\n");
        b.ask("HSET h c 1");
        assert_eq!(b.ask("HPTTL h FIELDS 1 c"), "*1\r\n:-1\r\n");
        assert_eq!(b.ask("HEXPIRE h 0 FIELDS 1 c"), "*1\r\n:2\r\n");
        assert_eq!(b.ask("HEXISTS h c"), ":0\r\n");
        assert_eq!(b.ask("HEXPIREAT h 1 FIELDS 2 a b"), "*2\r\n:2\r\n:2\r\n");
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
    }
}

#[test]
fn conditions_on_deadlines() {
    for (mut b, _) in benches() {
        b.ask("HSET h with 1 without 2");
        b.ask("HEXPIRE h 100 FIELDS 1 with");
        let cases = [
            ("NX", 50, 0, 1),
            ("XX", 50, 1, 0),
            ("GT", 50, 0, 0),
            ("GT", 100, 0, 0),
            ("GT", 150, 1, 0),
            ("LT", 150, 0, 1),
            ("LT", 100, 0, 1),
            ("lt", 50, 1, 1),
        ];
        for (when, seconds, with, without) in cases {
            let command = format!("HEXPIRE h {seconds} {when} FIELDS 2 with without");
            assert_eq!(b.ask(&command), format!("*2\r\n:{with}\r\n:{without}\r\n"), "{command}");
            b.ask("HEXPIRE h 100 FIELDS 1 with");
            b.ask("HPERSIST h FIELDS 1 without");
        }
    }
}

#[test]
fn what_the_deadline_commands_refuse() {
    let mut b = bench();
    b.ask("HSET h f v");
    let missing = "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n";
    let mismatch = "-ERR The `numfields` parameter must match the number of arguments\r\n";
    let not_positive = "-ERR Number of fields must be a positive integer\r\n";
    let greater = "-ERR Parameter `numFields` should be greater than 0\r\n";
    let negative = "-ERR invalid expire time, must be >= 0\r\n";
    let number = "-ERR value is not an integer or out of range\r\n";
    for (command, answer) in [
        ("HEXPIRE h 10 NOPE 1 f", missing),
        ("HEXPIRE h 10 NX XX FIELDS 1 f", missing),
        ("HEXPIRE h 10 FIELDS 0 f", greater),
        ("HEXPIRE h 10 FIELDS x f", greater),
        ("HEXPIRE h 10 FIELDS 2 f", mismatch),
        ("HEXPIRE h 10 FIELDS 1 f g", mismatch),
        ("HEXPIRE h -1 FIELDS 1 f", negative),
        ("HEXPIRE h x FIELDS 1 f", number),
        ("HEXPIRE h 9223372036854775807 FIELDS 1 f", "-ERR invalid expire time in 'hexpire' command\r\n"),
        ("HPEXPIRE h 70368744177664 FIELDS 1 f", "-ERR invalid expire time in 'hpexpire' command\r\n"),
        ("HPEXPIREAT h 70368744177664 FIELDS 1 f", "-ERR invalid expire time in 'hpexpireat' command\r\n"),
        ("HTTL h NOPE 1 f", missing),
        ("HTTL h FIELDS 0 f", not_positive),
        ("HTTL h FIELDS 2 f", mismatch),
        ("HPERSIST h FIELDS -1 f", not_positive),
        ("HGETDEL h NOPE 1 f", missing),
        ("HGETDEL h FIELDS 2 f", mismatch),
        ("HGETEX h NOPE 1 f", missing),
        ("HGETEX h PXAT 1 1", missing),
        ("HGETEX h PERSIST 1 FIELDS 1 a", missing),
        ("HGETEX h EX 1 FIELDS", missing),
        ("HGETEX h FIELDS 0 f", not_positive),
        ("HGETEX h EX x FIELDS 1 f", number),
        ("HGETEX h PX -1 FIELDS 1 f", negative),
        ("HSETEX h FIELDS 2 a b c", "-ERR wrong number of arguments for 'hsetex' command\r\n"),
        ("HSETEX h FIELDS 0 a b", "-ERR invalid number of fields\r\n"),
        ("HSETEX h NX FIELDS 1 a b", "-ERR unknown argument: NX\r\n"),
        ("HSETEX h FXX FNX FIELDS 1 a b", "-ERR Only one of FXX or FNX arguments can be specified\r\n"),
        (
            "HSETEX h EX 5 KEEPTTL FIELDS 1 a b",
            "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n",
        ),
        ("HSETEX h FXX FXX FXX EX", "-ERR Only one of FXX or FNX arguments can be specified\r\n"),
        ("HSETEX h KEEPTTL FXX a b", "-ERR unknown argument: a\r\n"),
    ] {
        assert_eq!(b.ask(command), answer, "{command}");
    }
    assert_eq!(b.ask("HGETALL h"), "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    assert_eq!(b.ask("HTTL h FIELDS 1 f"), "*1\r\n:-1\r\n");
}

#[test]
fn reading_and_setting_in_one_go() {
    for (mut b, _) in benches() {
        b.ask("HSET h a 1 b 2");
        assert_eq!(b.ask("HGETEX h PX 100 FIELDS 2 a nope"), "*2\r\n$1\r\n1\r\n$-1\r\n");
        assert_eq!(b.ask("HPTTL h FIELDS 2 a b"), "*2\r\n:100\r\n:-1\r\n");
        assert_eq!(b.ask("HGETEX h FIELDS 1 a"), "*1\r\n$1\r\n1\r\n");
        assert_eq!(b.ask("HGETEX h PERSIST FIELDS 1 a"), "*1\r\n$1\r\n1\r\n");
        assert_eq!(b.ask("HPTTL h FIELDS 1 a"), "*1\r\n:-1\r\n");
        assert_eq!(b.ask("HGETEX nope EX 5 FIELDS 1 a"), "*1\r\n$-1\r\n");
        assert_eq!(b.ask("HGETEX h EXAT 1 FIELDS 1 a"), "*1\r\n$1\r\n1\r\n");
        assert_eq!(b.ask("HEXISTS h a"), ":0\r\n");
        assert_eq!(b.ask("HGETDEL h FIELDS 3 b b nope"), "*3\r\n$1\r\n2\r\n$-1\r\n$-1\r\n");
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
        assert_eq!(b.ask("HGETDEL h FIELDS 1 b"), "*1\r\n$-1\r\n");

        assert_eq!(b.ask("HSETEX h FXX FIELDS 1 a 1"), ":0\r\n");
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
        assert_eq!(b.ask("HSETEX h FNX PX 50 FIELDS 2 a 1 b 2"), ":1\r\n");
        assert_eq!(b.ask("HSETEX h FNX FIELDS 2 a 9 c 9"), ":0\r\n");
        assert_eq!(b.ask("HSETEX h FXX FIELDS 2 a 9 c 9"), ":0\r\n");
        assert_eq!(b.ask("HSETEX h FXX KEEPTTL FIELDS 1 a 3"), ":1\r\n");
        assert_eq!(b.ask("HSETEX h FIELDS 1 b 4"), ":1\r\n");
        assert_eq!(b.ask("HPTTL h FIELDS 3 a b c"), "*3\r\n:50\r\n:-1\r\n:-2\r\n");
        assert_eq!(b.ask("HMGET h a b"), "*2\r\n$1\r\n3\r\n$1\r\n4\r\n");
        assert_eq!(b.ask("HSETEX h PXAT 1 FIELDS 2 a 5 b 6"), ":1\r\n");
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
    }
}

#[test]
fn expired_fields_are_gone_at_once_for_everyone() {
    for (mut b, _) in benches() {
        b.shard.settings.active_expire = false;
        b.ask("HSET h a 1 b 2 c 3");
        b.ask("HPEXPIRE h 10 FIELDS 2 a b");
        b.shard.now_ms += 9;
        assert_eq!(b.ask("HGET h a"), "$1\r\n1\r\n");
        b.shard.now_ms += 1;
        assert_eq!(b.ask("HGET h a") + &b.ask("HEXISTS h a") + &b.ask("HSTRLEN h a"), "$-1\r\n:0\r\n:0\r\n");
        assert_eq!(b.ask("HMGET h a c b"), "*3\r\n$-1\r\n$1\r\n3\r\n$-1\r\n");
        assert_eq!(b.ask("HGETALL h"), "*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
        assert_eq!(b.ask("HKEYS h") + &b.ask("HVALS h"), "*1\r\n$1\r\nc\r\n*1\r\n$1\r\n3\r\n");
        assert_eq!(b.ask("HTTL h FIELDS 1 a"), "*1\r\n:-2\r\n");
        assert_eq!(b.ask("HRANDFIELD h 5"), "*1\r\n$1\r\nc\r\n");
        assert_eq!(b.ask("HSCAN h 0"), "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
        assert_eq!(b.ask("HLEN h"), ":3\r\n", "counted until they are removed, as in Redis");
        assert_eq!(events(&mut b, "HINCRBY h a 5"), ["hexpired h", "hincrby h"]);
        assert_eq!(b.ask("HGET h a") + &b.ask("HLEN h"), "$1\r\n5\r\n:2\r\n");
        assert_eq!(b.shard.stats.expired_fields, 2);
        assert_eq!(b.ask("HTTL h FIELDS 1 a"), "*1\r\n:-1\r\n");
        b.ask("HPEXPIRE h 10 FIELDS 2 a c");
        b.shard.now_ms += 10;
        assert_eq!(events(&mut b, "HDEL h a"), ["hexpired h", "del h"]);
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
    }
}

#[test]
fn fields_are_removed_when_their_time_comes() {
    for (mut b, _) in benches() {
        b.ask("HSET h a 1 b 2 c 3");
        b.ask("HPEXPIRE h 10 FIELDS 1 a");
        b.ask("HPEXPIRE h 20 FIELDS 2 b c");
        assert_eq!(b.shard.next_field_expiry_ms(), Some(NOW_MS + 10));
        assert!(b.shard.next_background_ms() <= Some(NOW_MS + 10));
        assert_eq!(wait(&mut b, 9), [""; 0]);
        assert_eq!(wait(&mut b, 1), ["hexpired"]);
        assert_eq!(b.ask("HLEN h"), ":2\r\n");
        assert_eq!(b.shard.next_field_expiry_ms(), Some(NOW_MS + 20));
        assert_eq!(wait(&mut b, 10), ["hexpired", "del"]);
        assert_eq!(b.ask("EXISTS h"), ":0\r\n");
        assert_eq!(b.shard.next_field_expiry_ms(), None);
        assert_eq!(b.shard.stats.expired_fields, 3);
    }
}

#[test]
fn a_deadline_that_moved_is_met_where_it_is() {
    for (mut b, _) in benches() {
        b.ask("HSETEX h PX 100 FIELDS 2 a 1 b 2");
        // Earlier, then later again, then none.
        b.ask("HPEXPIRE h 50 FIELDS 1 a");
        assert_eq!(b.shard.next_field_expiry_ms(), Some(NOW_MS + 50));
        b.ask("HPEXPIRE h 200 FIELDS 1 a");
        assert_eq!(wait(&mut b, 60), [""; 0]);
        assert_eq!(wait(&mut b, 39), [""; 0]);
        assert_eq!(wait(&mut b, 1), ["hexpired"]);
        assert_eq!(b.ask("HKEYS h"), "*1\r\n$1\r\na\r\n");
        b.ask("HPERSIST h FIELDS 1 a");
        assert_eq!(wait(&mut b, 200), [""; 0]);
        assert_eq!(b.ask("HKEYS h"), "*1\r\n$1\r\na\r\n");
        assert_eq!(b.shard.next_field_expiry_ms(), None);
    }
}

#[test]
fn keys_that_move_take_their_deadlines_along() {
    for entries in [0, 512] {
        let mut b = with_keys();
        b.shard.settings.encodings.hash_entries = entries;
        b.ask("HSET from a 1 b 2");
        b.ask("HPEXPIRE from 10 FIELDS 1 a");
        b.ask("COPY from copy");
        b.ask("RENAME from to");
        let dumped = b.run(&[b"DUMP", b"to"]);
        let start = dumped.iter().position(|byte| *byte == b'\n').expect("a bulk") + 1;
        assert_eq!(b.run(&[b"RESTORE", b"restored", b"0", &dumped[start..dumped.len() - 2]]), b"+OK\r\n");
        for key in ["copy", "to", "restored"] {
            assert_eq!(b.ask(&format!("HPTTL {key} FIELDS 2 a b")), "*2\r\n:10\r\n:-1\r\n", "{key}");
        }
        b.shard.effects.drain();
        assert_eq!(wait(&mut b, 10), ["hexpired"; 3]);
        for key in ["copy", "to", "restored"] {
            assert_eq!(b.ask(&format!("HLEN {key}")), ":1\r\n");
        }
    }
}

#[test]
fn many_hashes_expire_in_slices_and_the_accounts_return_to_zero() {
    let mut b = bench();
    let empty = b.shard.memory_figures().usage;
    for i in 0..3000 {
        b.ask(&format!("HSETEX h{i} PX {} FIELDS 2 a 1 b 2", 10 + i % 50));
        // Some are deleted before, some get a plain field.
        match i % 10 {
            0 => drop(b.ask(&format!("DEL h{i}"))),
            1 => drop(b.ask(&format!("HSET h{i} c 3"))),
            _ => {}
        }
    }
    b.shard.effects.drain();
    let mut fields = 0;
    for _ in 0..60 {
        wait(&mut b, 1);
        fields = b.shard.stats.expired_fields;
    }
    assert_eq!(fields, 2 * 2700);
    assert_eq!(b.shard.memory_figures().keys, 300);
    for i in 0..3000 {
        b.ask(&format!("DEL h{i}"));
    }
    let usage = b.shard.memory_figures().usage;
    assert_eq!((usage.heap_bytes, usage.live_bytes), (empty.heap_bytes, empty.live_bytes));
}

#[test]
fn flushing_and_deleting_forget_deadlines() {
    let mut b = with_keys();
    for i in 0..100 {
        b.ask(&format!("HSETEX h{i} EX 1000 FIELDS 1 a 1"));
        b.ask(&format!("DEL h{i}"));
    }
    assert!(b.shard.dbs[0].field_deadlines.len() < 5, "the sweep drops what is stale");
    b.ask("HSETEX h EX 1000 FIELDS 1 a 1");
    b.ask("FLUSHALL");
    assert_eq!(b.shard.next_field_expiry_ms(), None);
    assert_eq!(b.shard.memory_figures().usage.heap_bytes, 0);
}

#[test]
fn random_fields() {
    for (mut b, _) in benches() {
        assert_eq!(b.ask("HRANDFIELD nope") + &b.ask("HRANDFIELD nope 3"), "$-1\r\n*0\r\n");
        b.ask("HSET h a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9 j 10");
        assert_eq!(b.ask("HRANDFIELD h").len(), "$1\r\na\r\n".len());
        assert_eq!(b.ask("HRANDFIELD h 0"), "*0\r\n");
        for (count, len) in [("3", 3), ("5", 5), ("10", 10), ("99", 10), ("-3", 3), ("-25", 25), ("1", 1)] {
            let reply = b.ask(&format!("HRANDFIELD h {count}"));
            let fields: Vec<&str> = reply.split("\r\n").skip(2).step_by(2).collect();
            assert!(reply.starts_with(&format!("*{len}\r\n")) && fields.len() == len, "{reply}");
            if !count.starts_with('-') {
                let different: std::collections::HashSet<&&str> = fields.iter().collect();
                assert_eq!(different.len(), len);
            }
        }
        let pairs = b.ask("HRANDFIELD h 2 WITHVALUES");
        assert!(pairs.starts_with("*4\r\n"), "{pairs}");
        assert_eq!(b.ask("HRANDFIELD h x"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(b.ask("HRANDFIELD h 1 nonsense"), "-ERR syntax error\r\n");
        assert_eq!(b.ask("HRANDFIELD h 1 WITHVALUES x"), "-ERR syntax error\r\n");
        let limits = "value must between -9223372036854775807 and 9223372036854775807";
        assert_eq!(
            b.ask("HRANDFIELD h -9223372036854775808"),
            format!("-ERR value is out of range, {limits}\r\n")
        );
        assert_eq!(b.ask("HRANDFIELD h -9223372036854775807"), "-ERR value is out of range\r\n");
        assert_eq!(b.ask("HRANDFIELD h -9223372036854770000 WITHVALUES"), "-ERR value is out of range\r\n");
        b.client.protocol = crate::resp::Protocol::Resp3;
        assert!(b.ask("HRANDFIELD h 2 WITHVALUES").starts_with("*2\r\n*2\r\n$1\r\n"));
    }
}

#[test]
fn fields_that_are_due_are_not_drawn() {
    let mut b = bench();
    b.shard.settings.active_expire = false;
    for field in 0..2000 {
        b.ask(&format!("HSET h f{field} v"));
    }
    for field in 0..1000 {
        b.ask(&format!("HPEXPIRE h 10 FIELDS 1 f{field}"));
    }
    b.shard.now_ms += 10;
    for count in ["-900", "3", "900", "5000"] {
        let reply = b.ask(&format!("HRANDFIELD h {count}"));
        let fields: Vec<&str> = reply.split("\r\n").skip(2).step_by(2).collect();
        let wanted: usize = count.trim_start_matches('-').parse().unwrap();
        assert_eq!(fields.len(), wanted.min(1000));
        assert!(fields.iter().all(|field| field[1..].parse::<usize>().is_ok_and(|number| number >= 1000)));
    }
}

#[test]
fn random_subsets_are_fair() {
    for fields in [12, 600] {
        let mut b = bench();
        for i in 0..fields {
            b.ask(&format!("HSET h {i} v"));
        }
        for wanted in [2, fields / 2] {
            let mut counts = vec![0u32; fields];
            let rounds = 60 * fields / wanted;
            for _ in 0..rounds {
                let reply = b.ask(&format!("HRANDFIELD h {wanted}"));
                let drawn: Vec<&str> = reply.split("\r\n").skip(2).step_by(2).collect();
                assert_eq!(drawn.len(), wanted);
                drawn.iter().for_each(|field| counts[field.parse::<usize>().expect("a number")] += 1);
            }
            assert!(counts.iter().all(|count| (25..110).contains(count)), "{counts:?}");
        }
    }
}

#[test]
fn scans() {
    for (mut b, _) in benches() {
        b.ask("HSET h a 1 ab 2 c 3");
        let sorted = |reply: String| {
            let mut parts: Vec<String> = reply.split("\r\n").skip(5).step_by(2).map(str::to_owned).collect();
            parts.sort();
            parts.concat()
        };
        assert_eq!(sorted(b.ask("HSCAN h 0 COUNT 100")), "123aabc");
        assert_eq!(sorted(b.ask("HSCAN h 0 COUNT 100 MATCH a*")), "12aab");
        assert_eq!(sorted(b.ask("HSCAN h 0 NOVALUES COUNT 100")), "aabc");
        assert_eq!(b.ask("HSCAN h x"), "-ERR invalid cursor\r\n");
        assert_eq!(b.ask("HSCAN h 0 COUNT 0"), "-ERR syntax error\r\n");
        assert_eq!(b.ask("HSCAN h 0 COUNT x"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(b.ask("HSCAN h 0 nonsense"), "-ERR syntax error\r\n");
        assert_eq!(b.ask("HSCAN nope 0 nonsense"), "*2\r\n$1\r\n0\r\n*0\r\n");
        assert_eq!(b.ask("HSCAN h 18446744073709551615 COUNT 5").get(..4), Some("*2\r\n"));
    }
}

#[test]
fn values_of_every_length_come_back() {
    for (mut b, _) in benches() {
        for len in [0, 1, 63, 64, 65, 512, 513, 4095, 4096, 5000, 20_000, 70_000] {
            let value = vec![b'v'; len];
            b.run(&[b"HSET", b"h", b"f", &value, b"other", b"x"]);
            let expected = [format!("${len}\r\n").as_bytes(), &value, b"\r\n"].concat();
            assert_eq!(b.run(&[b"HGET", b"h", b"f"]), expected);
            assert_eq!(b.ask("HSTRLEN h f"), format!(":{len}\r\n"));
        }
    }
}
