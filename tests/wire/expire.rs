//! Keys that end: EXPIRE and its kin, what is answered about deadlines, and that keys go when theirs has come.

use crate::support::*;
use std::time::Duration;

const WRONG_INT: &str = "ERR value is not an integer or out of range";

#[test]
fn deadlines_are_set_and_told() {
    each_setup(|s| {
        let mut c = s.client();
        for line in ["TTL k", "PTTL k", "EXPIRETIME k", "PEXPIRETIME k"] {
            c.expect(line, -2);
        }
        c.expect("EXPIRE k 100", 0);
        c.expect("PERSIST k", 0);
        c.expect("SET k v", ok());
        for line in ["TTL k", "PTTL k", "EXPIRETIME k", "PEXPIRETIME k"] {
            c.expect(line, -1);
        }
        c.expect("EXPIRE k 100", 1);
        c.expect("TTL k", 100);
        c.expect_that("PTTL k", |left| (99_000..=100_000).contains(&left.int()));
        c.expect("PERSIST k", 1);
        c.expect("PERSIST k", 0);
        c.expect("PEXPIRE k 99999", 1);
        c.expect("TTL k", 100);
        c.expect("EXPIREAT k 4000000000", 1);
        c.expect("EXPIRETIME k", 4_000_000_000_i64);
        c.expect("PEXPIRETIME k", 4_000_000_000_000_i64);
        c.expect("PEXPIREAT k 4000000000501", 1);
        c.expect("PEXPIRETIME k", 4_000_000_000_501_i64);
        c.expect("EXPIRETIME k", 4_000_000_001_i64);
    });
}

#[test]
fn conditions() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k v", ok());
        for (line, reply) in [
            ("EXPIRE k 100 XX", 0),
            ("EXPIRE k 100 GT", 0),
            ("EXPIRE k 100 NX", 1),
            ("EXPIRE k 200 NX", 0),
            ("EXPIRE k 50 GT", 0),
            ("EXPIRE k 200 GT", 1),
            ("EXPIRE k 300 LT", 0),
            ("EXPIRE k 150 LT", 1),
            ("EXPIRE k 160 XX", 1),
            ("EXPIRE k 170 XX GT", 1),
            ("PEXPIRE k 60000 xx lt", 1),
            ("EXPIREAT k 4000000000 gt", 1),
            ("PEXPIREAT k 4000000000000 GT", 0),
            ("PEXPIREAT k 3999999999999 LT", 1),
            ("PERSIST k", 1),
            ("EXPIRE k 100 LT", 1),
            ("EXPIRE none 100 LT", 0),
        ] {
            c.expect(line, reply);
        }
        let nx = "ERR NX and XX, GT or LT options at the same time are not compatible";
        for line in ["EXPIRE k 1 NX XX", "EXPIRE k 1 NX GT", "EXPIRE k 1 LT NX"] {
            c.expect(line, err(nx));
        }
        c.expect("EXPIRE k 1 GT LT", err("ERR GT and LT options at the same time are not compatible"));
        c.expect("EXPIRE k 1 NOSUCH", err("ERR Unsupported option NOSUCH"));
        c.expect(
            &args!["EXPIRE", "k", "1", b"\xff\x00x"[..]],
            Value::Error(b"ERR Unsupported option \xff".to_vec()),
        );
        c.expect("TTL k", 100);
    });
}

#[test]
fn mistakes() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k v", ok());
        for name in ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"] {
            let lower = name.to_lowercase();
            c.expect(&[name, "k", "x"], err(WRONG_INT));
            c.expect(&[name, "k", "1.5"], err(WRONG_INT));
            c.expect(&[name, "k"], err(&format!("ERR wrong number of arguments for '{lower}' command")));
            if name != "PEXPIREAT" {
                let out_of_range = err(&format!("ERR invalid expire time in '{lower}' command"));
                c.expect(&[name, "k", "9223372036854775807"], out_of_range);
            }
        }
        c.expect("EXPIRE k -9223372036854775808", err("ERR invalid expire time in 'expire' command"));
        c.expect("TTL k", -1);
    });
}

#[test]
fn a_deadline_in_the_past_deletes() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        for line in
            [["EXPIRE", "0"], ["EXPIRE", "-1"], ["PEXPIRE", "-100"], ["EXPIREAT", "1"], ["PEXPIREAT", "0"]]
        {
            c.expect(&["MSET", &a, "1", &b, "2"], ok());
            c.expect(&[line[0], &a, line[1]], 1);
            c.expect(&["EXISTS", &a, &b], 1);
        }
    });
}

#[test]
fn keys_go_when_their_time_has_come() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b, d] = s.keys(["a", "b", "d"]);
        c.expect(&["SET", &a, "1", "PX", "20"], ok());
        c.expect(&["SET", &b, "2", "PX", "20"], ok());
        c.expect(&["SET", &d, "3", "PX", "100000"], ok());
        // Nobody has to look at them.
        wait_until("both have gone", Duration::from_secs(60), || c.call("DBSIZE") == int(1));
        c.expect(&["MGET", &a, &b, &d], [nil(), nil(), bulk("3")]);
        c.expect("DEBUG SET-ACTIVE-EXPIRE 0", ok());
        for key in [&a, &b] {
            c.expect(&["SET", key, "1", "PX", "1"], ok());
            wait_until("it has gone", Duration::from_secs(60), || c.call(&["GET", key]) == nil());
            c.expect(&["TYPE", key], simple("none"));
            c.expect(&["RENAME", key, &d], err("ERR no such key"));
            c.expect(&["INCR", key], 1);
            c.expect(&["TTL", key], -1);
        }
        c.expect("DEBUG SET-ACTIVE-EXPIRE 1", ok());
    });
}

#[test]
fn deadlines_move_with_their_keys() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b, d] = s.keys(["a", "b", "d"]);
        c.expect(&["SET", &a, "1", "EX", "100"], ok());
        c.expect(&["SET", &b, "2"], ok());
        c.expect(&["RENAME", &a, &b], ok());
        c.expect(&["TTL", &b], 100);
        c.expect(&["COPY", &b, &d], 1);
        c.expect(&["TTL", &d], 100);
        c.expect(&["PERSIST", &d], 1);
        c.expect(&["COPY", &d, &b, "REPLACE"], 1);
        c.expect(&["TTL", &b], -1);
        c.expect(&["EXPIRE", &b, "50"], 1);
        c.expect(&["MOVE", &b, "1"], 1);
        c.expect("SELECT 1", ok());
        c.expect(&["TTL", &b], 50);
    });
}

#[test]
fn ten_thousand_deadlines() {
    each_setup(|s| {
        let mut c = s.client();
        let sets = c.pipeline((0..10_000).map(|n| format!("SET key:{n} v PX {}", 20 + n % 100)));
        assert!(sets.iter().all(|reply| *reply == ok()));
        wait_until("all have gone", Duration::from_secs(20), || c.call("DBSIZE") == int(0));
    });
}
