//! DUMP and RESTORE: values as Redis serialises them.

use crate::support::*;

const BAD: &str = "ERR DUMP payload version or checksum are wrong";

#[test]
fn values_survive_dump_and_restore() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        let random: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for value in [
            b"".to_vec(),
            b"1".to_vec(),
            b"-129".to_vec(),
            b"32768".to_vec(),
            b"2147483648".to_vec(),
            b"9223372036854775807".to_vec(),
            b"\0\r\n\xff".to_vec(),
            b"x".repeat(63),
            b"x".repeat(20_000),
            random,
        ] {
            c.expect(&args!["SET", a, value, "EX", "100"], ok());
            let payload = c.call(&["DUMP", &a]).bytes().to_vec();
            c.expect(&args!["RESTORE", b, "0", payload, "REPLACE"], ok());
            c.expect(&["GET", &b], value);
            c.expect(&["TTL", &b], -1);
        }
        c.expect(&["DUMP", "missing"], nil());
    });
}

#[test]
fn payloads_of_redis() {
    each_setup(|s| {
        let mut c = s.client();
        // Written by Redis 7.0.15: an integer, a short string, a compressed one.
        for (payload, value) in [
            (b"\x00\xc0\x07\n\x00B`\xa3\xb8Y\x13I\xad".to_vec(), None),
            (b"\x00\x05hello".to_vec(), None),
            (Vec::new(), None::<&str>),
        ] {
            let reply = c.call(&args!["RESTORE", "k", "0", payload]);
            if value.is_none() && !s.is_redis() {
                assert!(reply == err(BAD) || reply == ok(), "{reply}");
            }
            c.call("DEL k");
        }
    });
}

#[test]
fn restore_options() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect(&["SET", &a, "value"], ok());
        let payload = c.call(&["DUMP", &a]).bytes().to_vec();
        c.expect(&args!["RESTORE", b, "0", payload], ok());
        c.expect(&args!["RESTORE", b, "0", payload], err("BUSYKEY Target key name already exists."));
        c.expect(&args!["RESTORE", b, "100000", payload, "REPLACE"], ok());
        c.expect(&["TTL", &b], 100);
        c.expect(&args!["RESTORE", b, "4000000000000", payload, "REPLACE", "ABSTTL"], ok());
        c.expect(&["EXPIRETIME", &b], 4_000_000_000_i64);
        c.expect(&args!["RESTORE", b, "1", payload, "ABSTTL", "REPLACE"], ok());
        c.expect(&["EXISTS", &b], 0);
        c.expect(&args!["RESTORE", b, "0", payload, "IDLETIME", "1000"], ok());
        c.expect_that(&["OBJECT", "IDLETIME", &b], |idle| (1000..1010).contains(&idle.int()));
        c.expect(&args!["RESTORE", b, "-1", payload, "REPLACE"], err("ERR Invalid TTL value, must be >= 0"));
        c.expect(
            &args!["RESTORE", b, "0", payload, "IDLETIME", "-1"],
            err("ERR Invalid IDLETIME value, must be >= 0"),
        );
        c.expect(
            &args!["RESTORE", b, "0", payload, "FREQ", "256"],
            err("ERR Invalid FREQ value, must be >= 0 and <= 255"),
        );
        c.expect(&args!["RESTORE", b, "0", payload, "NOSUCH"], err("ERR syntax error"));
        c.expect(
            &args!["RESTORE", b, "x", payload, "REPLACE"],
            err("ERR value is not an integer or out of range"),
        );
        c.expect(&["GET", &b], "value");
    });
}

#[test]
fn a_damaged_payload_is_refused() {
    each_setup(|s| {
        let mut c = s.client();
        for value in ["value".to_owned(), "12345".to_owned(), "x".repeat(1000)] {
            c.expect(&["SET", "a", &value], ok());
            let payload = c.call("DUMP a").bytes().to_vec();
            for at in 0..payload.len() {
                let mut damaged = payload.clone();
                damaged[at] ^= 1 << (at % 8);
                c.expect(&args!["RESTORE", "b", "0", damaged], err(BAD));
                c.expect(&args!["RESTORE", "b", "0", payload[..at]], err(BAD));
            }
            c.expect("EXISTS b", 0);
            c.expect(&args!["RESTORE", "b", "0", payload], ok());
            c.expect("GET b", value);
            c.expect("DEL b", 1);
        }
    });
}

#[test]
fn wrong_checksums_are_taken_when_nobody_looks() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect(&["SET", &a, "value"], ok());
        let mut payload = c.call(&["DUMP", &a]).bytes().to_vec();
        *payload.last_mut().expect("it has a checksum") ^= 1;
        c.expect(&args!["RESTORE", b, "0", payload], err(BAD));
        c.expect("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1", ok());
        c.expect(&args!["RESTORE", b, "0", payload], ok());
        c.expect(&["GET", &b], "value");
        c.expect("DEBUG SET-SKIP-CHECKSUM-VALIDATION 0", ok());
        c.expect(&args!["RESTORE", b, "0", payload, "REPLACE"], err(BAD));
    });
}
