//! Strings: what each command and option answers, with its keys on one shard and on several.

use crate::support::*;
use std::time::Duration;

const WRONG_INT: &str = "ERR value is not an integer or out of range";
const WRONG_FLOAT: &str = "ERR value is not a valid float";
const SYNTAX: &str = "ERR syntax error";
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
const OVERFLOW: &str = "ERR increment or decrement would overflow";

#[track_caller]
fn expire_error(c: &mut Client, line: &str, command: &str) {
    c.expect(line, err(&format!("ERR invalid expire time in '{command}' command")));
}

#[test]
fn set_and_get() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k v", ok());
        c.expect("GET k", "v");
        c.expect("SET k 12345678901234567890", ok());
        c.expect("GET k", "12345678901234567890");
        c.expect("SET k -9223372036854775808", ok());
        c.expect("GET k", "-9223372036854775808");
        c.expect("SET k 007", ok());
        c.expect("GET k", "007");
        c.expect("GET missing", nil());
        c.expect(&["SET", "k", ""], ok());
        c.expect("GET k", "");
        for length in [11, 12, 15, 16, 43, 44, 45, 63, 64, 65, 255, 256, 4095, 4096, 16384, 70000] {
            let value: Vec<u8> = (0..length).map(|n| (n * 7 % 256) as u8).collect();
            c.expect(&args!["SET", "k", value], ok());
            c.expect("STRLEN k", length);
            c.expect("GET k", value);
        }
    });
}

#[test]
fn set_options() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k v XX", nil());
        c.expect("SET k v NX", ok());
        c.expect("SET k w NX", nil());
        c.expect("SET k w XX", ok());
        c.expect("SET k x GET", "w");
        c.expect("SET other x GET", nil());
        c.expect("SET k y NX GET", "x");
        c.expect("GET k", "x");
        c.expect("SET fresh y NX GET", nil());
        c.expect("GET fresh", "y");
        c.expect("SET gone y XX GET", nil());
        c.expect("EXISTS gone", 0);
        c.expect("SET k v EX 100", ok());
        c.expect("TTL k", 100);
        c.expect("SET k v KEEPTTL", ok());
        c.expect("TTL k", 100);
        c.expect("SET k v", ok());
        c.expect("TTL k", -1);
        c.expect("SET k v px 100000", ok());
        c.expect("TTL k", 100);
        c.expect("SET k v EXAT 4000000000", ok());
        c.expect("EXPIRETIME k", 4_000_000_000_i64);
        c.expect("SET k v PXAT 4000000000123", ok());
        c.expect("PEXPIRETIME k", 4_000_000_000_123_i64);
        c.expect("SET k v PXAT 1", ok());
        c.expect("GET k", nil());
    });
}

#[test]
fn set_mistakes() {
    each_setup(|s| {
        let mut c = s.client();
        for line in [
            "SET k v NX XX",
            "SET k v EX 1 PX 1",
            "SET k v EX 1 KEEPTTL",
            "SET k v KEEPTTL EX 1",
            "SET k v NOSUCH",
            "SET k v EX",
            "SET k v PXAT",
            "SET k v PERSIST",
            "SET k v XX NX GET",
        ] {
            c.expect(line, err(SYNTAX));
        }
        for line in ["SET k v EX x", "SET k v PX 1.5", "SET k v EXAT 99999999999999999999"] {
            c.expect(line, err(WRONG_INT));
        }
        for line in ["SET k v EX 0", "SET k v PX -1", "SET k v EX 9223372036854775807", "SET k v EXAT -5"] {
            expire_error(&mut c, line, "set");
        }
        c.expect("EXISTS k", 0);
    });
}

#[test]
fn older_words_for_set() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SETNX k v", 1);
        c.expect("SETNX k w", 0);
        c.expect("GET k", "v");
        c.expect("SETEX k 100 w", ok());
        c.expect("TTL k", 100);
        c.expect("PSETEX k 100000 x", ok());
        c.expect("TTL k", 100);
        c.expect("GETSET k y", "x");
        c.expect("TTL k", -1);
        c.expect("GETSET missing y", nil());
        c.expect("GET missing", "y");
        expire_error(&mut c, "SETEX k 0 v", "setex");
        expire_error(&mut c, "PSETEX k -1 v", "psetex");
        expire_error(&mut c, "SETEX k 9223372036854775807 v", "setex");
        c.expect("SETEX k x v", err(WRONG_INT));
        c.expect("SETNX k", err("ERR wrong number of arguments for 'setnx' command"));
    });
}

#[test]
fn getdel() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k v", ok());
        c.expect("GETDEL k", "v");
        c.expect("GETDEL k", nil());
        c.expect("EXISTS k", 0);
    });
}

#[test]
fn getex() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("GETEX k", nil());
        c.expect("GETEX k EX 10", nil());
        c.expect("SET k v", ok());
        c.expect("GETEX k", "v");
        c.expect("TTL k", -1);
        c.expect("GETEX k EX 100", "v");
        c.expect("TTL k", 100);
        c.expect("GETEX k", "v");
        c.expect("TTL k", 100);
        c.expect("GETEX k PERSIST", "v");
        c.expect("TTL k", -1);
        c.expect("GETEX k PX 50000", "v");
        c.expect("TTL k", 50);
        c.expect("GETEX k EXAT 4000000000", "v");
        c.expect("EXPIRETIME k", 4_000_000_000_i64);
        c.expect("GETEX k PXAT 4000000000321", "v");
        c.expect("PEXPIRETIME k", 4_000_000_000_321_i64);
        for line in
            ["GETEX k EX", "GETEX k EX 1 PERSIST", "GETEX k KEEPTTL", "GETEX k NX", "GETEX k PERSIST EX 1"]
        {
            c.expect(line, err(SYNTAX));
        }
        expire_error(&mut c, "GETEX k EX 0", "getex");
        expire_error(&mut c, "GETEX k PXAT -1", "getex");
        c.expect("GETEX k PX x", err(WRONG_INT));
        c.expect("GETEX k PXAT 1", "v");
        c.expect("EXISTS k", 0);
    });
}

#[test]
fn counters() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("INCR n", 1);
        c.expect("INCRBY n 41", 42);
        c.expect("DECR n", 41);
        c.expect("DECRBY n 1", 40);
        c.expect("INCRBY n -50", -10);
        c.expect("EXPIRE n 100", 1);
        c.expect("INCR n", -9);
        c.expect("TTL n", 100);
        c.expect("OBJECT ENCODING n", "int");
        c.expect("SET n 9223372036854775806", ok());
        c.expect("INCR n", i64::MAX);
        c.expect("INCR n", err(OVERFLOW));
        c.expect("INCRBY n 9223372036854775807", err(OVERFLOW));
        c.expect("SET n -9223372036854775808", ok());
        c.expect("DECR n", err(OVERFLOW));
        c.expect("DECRBY n -9223372036854775808", err("ERR decrement would overflow"));
        c.expect("INCRBY n 9223372036854775808", err(WRONG_INT));
        for value in ["x", "1.0", " 1", "1 ", "+1", "01", "-0", "", "9223372036854775808", "0x10", "1\0"] {
            c.expect(&["SET", "n", value], ok());
            c.expect("INCR n", err(WRONG_INT));
            c.expect("GET n", value);
        }
        c.expect("INCRBY n 1.5", err(WRONG_INT));
        c.expect("INCRBY n x", err(WRONG_INT));
    });
}

#[test]
fn incrbyfloat() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("INCRBYFLOAT f 0.1", "0.1");
        c.expect("INCRBYFLOAT f 0.2", "0.3");
        c.expect("INCRBYFLOAT f 3e3", "3000.30000000000000004");
        c.expect("SET f 1e2", ok());
        c.expect("INCRBYFLOAT f -100", "0");
        c.expect("SET f 5", ok());
        c.expect("INCRBYFLOAT f 1", "6");
        c.expect("INCR f", 7);
        c.expect("INCRBYFLOAT f -1.10", "5.9");
        c.expect("EXPIRE f 100", 1);
        c.expect("INCRBYFLOAT f 1e17", "100000000000000005.8984375");
        c.expect("TTL f", 100);
        c.expect("INCRBYFLOAT f x", err(WRONG_FLOAT));
        c.expect("INCRBYFLOAT f nan", err(WRONG_FLOAT));
        c.expect("INCRBYFLOAT f inf", err("ERR increment would produce NaN or Infinity"));
        c.expect(&["INCRBYFLOAT", "f", " 1"], err(WRONG_FLOAT));
        c.expect("SET f text", ok());
        c.expect("INCRBYFLOAT f 1", err(WRONG_FLOAT));
        c.expect("SET f 1.5", ok());
        c.expect("INCR f", err(WRONG_INT));
    });
}

#[test]
fn append_and_strlen() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("STRLEN k", 0);
        c.expect("APPEND k ab", 2);
        c.expect("APPEND k cd", 4);
        c.expect(&["APPEND", "k", ""], 4);
        c.expect("GET k", "abcd");
        c.expect("STRLEN k", 4);
        c.expect("SET k 12", ok());
        c.expect("OBJECT ENCODING k", "int");
        c.expect("APPEND k 3", 3);
        c.expect("OBJECT ENCODING k", "raw");
        c.expect("INCR k", 124);
        c.expect("EXPIRE k 100", 1);
        c.expect("APPEND k x", 4);
        c.expect("TTL k", 100);
        c.expect(&["APPEND", "none", ""], 0);
        c.expect("EXISTS none", 1);
        for n in 1..=2000 {
            c.expect("APPEND grown 0123456789", n * 10);
        }
        c.expect("GET grown", "0123456789".repeat(2000));
    });
}

#[test]
fn getrange() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k Hello-World", ok());
        for (start, end, reply) in [
            (0, 4, "Hello"),
            (0, -1, "Hello-World"),
            (-5, -1, "World"),
            (-5, -3, "Wor"),
            (5, 5, "-"),
            (4, 2, ""),
            (11, 20, ""),
            (-100, 1, "He"),
            (0, 1000, "Hello-World"),
            (-1, -5, ""),
            (i64::MIN, i64::MAX, "Hello-World"),
        ] {
            c.expect(&args!["GETRANGE", "k", start, end], reply);
            c.expect(&args!["SUBSTR", "k", start, end], reply);
        }
        c.expect("SET k 12345", ok());
        c.expect("GETRANGE k 1 2", "23");
        c.expect("GETRANGE none 0 -1", "");
        c.expect("GETRANGE k x 1", err(WRONG_INT));
        c.expect("GETRANGE k 0 1.5", err(WRONG_INT));
    });
}

#[test]
fn setrange() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SETRANGE k 5 x", 6);
        c.expect("GET k", "\0\0\0\0\0x");
        c.expect("SETRANGE k 0 abc", 6);
        c.expect("GET k", "abc\0\0x");
        c.expect(&["SETRANGE", "k", "100", ""], 6);
        c.expect(&["SETRANGE", "none", "100", ""], 0);
        c.expect("EXISTS none", 0);
        c.expect("SET k 12345", ok());
        c.expect("SETRANGE k 1 9", 5);
        c.expect("GET k", "19345");
        c.expect("SETRANGE k -1 x", err("ERR offset is out of range"));
        c.expect("SETRANGE k x x", err(WRONG_INT));
        c.expect("SETRANGE k 536870911 xx", err(TOO_LONG));
        c.expect("SETRANGE k 9223372036854775807 x", err(TOO_LONG));
        c.expect("SETRANGE none 536870912 x", err(TOO_LONG));
        c.expect("GET k", "19345");
    });
}

#[test]
fn mget_and_mset() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b, d, missing] = s.keys(["a", "b", "d", "missing"]);
        c.expect(&["MSET", &a, "1", &b, "two", &d, ""], ok());
        c.expect(&["MGET", &a, &b, &d, &missing], [bulk("1"), bulk("two"), bulk(""), nil()]);
        c.expect(
            &["MGET", &missing, &a, &a, &missing, &b],
            [nil(), bulk("1"), bulk("1"), nil(), bulk("two")],
        );
        c.expect(&["EXPIRE", &a, "100"], 1);
        c.expect(&["MSET", &a, "x", &a, "last"], ok());
        c.expect(&["GET", &a], "last");
        c.expect(&["TTL", &a], -1);
        c.expect(&["MSET", &a, "1", &b], err("ERR wrong number of arguments for 'mset' command"));
        c.expect(&["MSET", &a], err("ERR wrong number of arguments for 'mset' command"));
        c.expect("MGET", err("ERR wrong number of arguments for 'mget' command"));
        c.expect(&["GET", &a], "last");
    });
}

#[test]
fn msetnx_sets_all_or_none() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b, d] = s.keys(["a", "b", "d"]);
        c.expect(&["MSETNX", &a, "1", &b, "2"], 1);
        c.expect(&["MSETNX", &d, "3", &b, "4"], 0);
        c.expect(&["MGET", &a, &b, &d], [bulk("1"), bulk("2"), nil()]);
        c.expect(&["MSETNX", &d, "3", &d, "4"], 1);
        c.expect(&["GET", &d], "4");
        c.expect(&["MSETNX", &d, "3", &a], err("ERR wrong number of arguments for 'msetnx' command"));
    });
}

#[test]
fn lcs() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b, missing] = s.keys(["a", "b", "missing"]);
        c.expect(&["MSET", &a, "ohmytext", &b, "mynewtext"], ok());
        c.expect(&["LCS", &a, &b], "mytext");
        c.expect(&["LCS", &a, &b, "LEN"], 6);
        let spans = |with_length: bool| {
            let span = |a: [i64; 2], b: [i64; 2], length: i64| match with_length {
                true => array([array(a), array(b), int(length)]),
                false => array([array(a), array(b)]),
            };
            vec![span([4, 7], [5, 8], 4), span([2, 3], [0, 1], 2)]
        };
        c.expect(&["LCS", &a, &b, "IDX"], map([("matches", array(spans(false))), ("len", int(6))]));
        c.expect(
            &["LCS", &a, &b, "IDX", "WITHMATCHLEN"],
            map([("matches", array(spans(true))), ("len", int(6))]),
        );
        c.expect(
            &["LCS", &a, &b, "IDX", "MINMATCHLEN", "4"],
            map([("matches", array(spans(false)[..1].to_vec())), ("len", int(6))]),
        );
        c.expect(&["LCS", &a, &missing], "");
        c.expect(&["LCS", &missing, &a, "LEN"], 0);
        c.expect(&["LCS", &a, &a], "ohmytext");
        c.expect(
            &["LCS", &a, &b, "LEN", "IDX"],
            err("ERR If you want both the length and indexes, please just use IDX."),
        );
        c.expect(&["LCS", &a, &b, "NOSUCH"], err(SYNTAX));
        c.expect(&["LCS", &a, &b, "MINMATCHLEN"], err(SYNTAX));
        c.expect(&["LCS", &a, &b, "MINMATCHLEN", "x"], err(WRONG_INT));
    });
}

#[test]
fn encodings() {
    each_setup(|s| {
        let mut c = s.client();
        for (value, encoding) in [
            ("1", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775808", "embstr"),
            ("01", "embstr"),
            ("", "embstr"),
            (&"x".repeat(44), "embstr"),
            (&"x".repeat(45), "raw"),
        ] {
            c.expect(&["SET", "k", value], ok());
            c.expect("OBJECT ENCODING k", encoding);
        }
    });
}

#[test]
fn commands_of_redis_8() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect(&["SET", &a, "1"], ok());
        c.expect(&["SET", &a, "2", "IFEQ", "9"], nil());
        c.expect(&["SET", &a, "2", "IFEQ", "1"], ok());
        c.expect(&["SET", &a, "3", "IFNE", "2"], nil());
        c.expect(&["SET", &a, "3", "IFNE", "1"], ok());
        c.expect(&["GET", &a], "3");
        let digest = c.call(&["DIGEST", &a]).text();
        assert_eq!(digest.len(), 16, "{digest}");
        c.expect(&["SET", &a, "4", "IFDEQ", &digest], ok());
        c.expect(&["SET", &a, "5", "IFDEQ", &digest], nil());
        c.expect(&["DELEX", &a, "IFEQ", "5"], 0);
        c.expect(&["DELEX", &a, "IFEQ", "4"], 1);
        c.expect(&["DIGEST", &a], nil());
        c.expect(&["MSETEX", "2", &a, "1", &b, "2", "EX", "100"], 1);
        c.expect(&["TTL", &b], 100);
        c.expect(&["MSETEX", "2", &a, "3", &b, "4", "NX"], 0);
        c.expect(&["MGET", &a, &b], ["1", "2"]);
    });
}

#[test]
fn a_value_of_64_mb_goes_in_and_out() {
    each_setup(|s| {
        let mut c = s.client();
        let [near, far] = [s.key_on(0, "big"), s.key_on(s.shards() - 1, "big2")];
        let value: Vec<u8> =
            (0..64 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for key in [near, far] {
            c.expect(&args!["SET", key, value], ok());
            c.expect(&["STRLEN", &key], 64 << 20);
            assert!(c.call(&["GET", &key]).bytes() == value, "the value changed on its way");
            c.expect(&["GETRANGE", &key, "1000", "1009"], &value[1000..1010]);
            c.expect(&["DEL", &key], 1);
        }
        c.expect("PING", simple("PONG"));
    });
}

#[test]
fn nothing_grows_beyond_512_mb() {
    each_setup(|s| {
        if s.is_resp3() {
            return;
        }
        let mut c = s.client();
        c.set_timeout(Duration::from_secs(60));
        c.expect("SETRANGE k 536870911 x", 512 << 20);
        c.expect("STRLEN k", 512 << 20);
        c.expect("APPEND k x", err(TOO_LONG));
        c.expect("SETRANGE k 536870912 x", err(TOO_LONG));
        c.expect("GETRANGE k 536870910 -1", "\0x");
        c.expect("DEL k", 1);
        c.send_raw("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870913\r\n");
        c.expect_next(err("ERR Protocol error: invalid bulk length"));
        c.expect_closed();
    });
}

#[test]
fn no_string_is_longer_than_lengths_can_say_whatever_is_configured() {
    each_setup(|s| {
        let mut c = s.client();
        s.config("proto-max-bulk-len", "100gb");
        let too_long = err("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        c.expect("SETRANGE k 4294967295 x", too_long.clone());
        c.expect("SETRANGE k 9223372036854775807 x", too_long.clone());
        c.expect("SET k v", ok());
        c.expect("SETRANGE k 4294967295 x", too_long);
        let no_offset = "ERR bit offset is not an integer or out of range";
        c.expect("SETBIT k 34359738360 1", err(no_offset));
        c.expect("BITFIELD k SET u8 34359738360 1", err(no_offset));
        c.expect("GET k", "v");
        for length in ["4294967296", "5000000000", "9223372036854775807"] {
            let mut other = s.raw_client();
            other.send_raw(format!("*2\r\n$3\r\nGET\r\n${length}\r\n"));
            other.expect_next(err("ERR Protocol error: invalid bulk length"));
            other.expect_closed();
        }
    });
}
