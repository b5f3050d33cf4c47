//! Bitmaps: what each command answers, with its keys on one shard and on several.

use crate::support::*;

const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";
const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const SYNTAX: &str = "ERR syntax error";

#[test]
fn single_bits() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SETBIT k 7 1", 0);
        c.expect("SETBIT k 7 1", 1);
        c.expect("GET k", &b"\x01"[..]);
        c.expect("GETBIT k 7", 1);
        c.expect("GETBIT k 6", 0);
        c.expect("GETBIT k 100", 0);
        c.expect("GETBIT missing 0", 0);
        c.expect("SETBIT k 100 0", 0);
        c.expect("STRLEN k", 13);
        c.expect("OBJECT ENCODING k", "raw");
        c.expect("SET n 1", ok());
        c.expect("GETBIT n 2", 1);
        c.expect("SETBIT n 0 1", 0);
        c.expect("GET n", &b"\xb1"[..]);
        for line in ["SETBIT k -1 1", "SETBIT k x 1", "SETBIT k 4294967296 1", "GETBIT k 4294967296"] {
            c.expect(line, err(BAD_OFFSET));
        }
        c.expect("SETBIT k 0 2", err("ERR bit is not an integer or out of range"));
        c.expect("GETBIT k", err("ERR wrong number of arguments for 'getbit' command"));
    });
}

#[test]
fn ranges_of_bits() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k foobar", ok());
        c.expect("BITCOUNT k", 26);
        c.expect("BITCOUNT k 0 0", 4);
        c.expect("BITCOUNT k 1 1 BYTE", 6);
        c.expect("BITCOUNT k 5 30 BIT", 17);
        c.expect("BITCOUNT k -1 -2", 0);
        c.expect("BITCOUNT missing", 0);
        c.expect("BITCOUNT k 0", err(SYNTAX));
        c.expect("BITCOUNT k 0 1 WORD", err(SYNTAX));
        c.expect(&args!["SET", "k", b"\xff\xf0\x00"], ok());
        c.expect("BITPOS k 0", 12);
        c.expect("BITPOS k 1", 0);
        c.expect("BITPOS k 1 2", -1);
        c.expect("BITPOS k 0 0 0", -1);
        c.expect("BITPOS k 0 4 11 BIT", -1);
        c.expect("BITPOS k 1 -24 -13 bit", 0);
        c.expect(&args!["SET", "k", b"\xff\xff"], ok());
        c.expect("BITPOS k 0", 16);
        c.expect("BITPOS k 0 0 -1", -1);
        c.expect("BITPOS missing 0", 0);
        c.expect("BITPOS missing 1", -1);
        c.expect("BITPOS k 2", err("ERR The bit argument must be 1 or 0."));
    });
}

#[test]
fn a_megabyte_of_bits() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&args!["SET", "k", vec![0x55; 1 << 20]], ok());
        c.expect("BITCOUNT k", 4 << 20);
        c.expect("SETBIT k 8388607 0", 1);
        c.expect("BITCOUNT k", (4 << 20) - 1);
        c.expect("BITCOUNT k 1 -2 BIT", (4 << 20) - 1);
        c.expect("BITOP NOT n k", 1 << 20);
        c.expect("BITOP AND n n k", 1 << 20);
        c.expect("BITPOS n 1", -1);
    });
}

#[test]
fn strings_combined() {
    each_placement(|s| {
        let mut c = s.client();
        let (a, b, d) = (s.key("a"), s.key("b"), s.key("d"));
        c.expect(&args!["SET", &a, b"\xff\x0f\xf0"], ok());
        c.expect(&args!["SET", &b, b"\x0f\x0f"], ok());
        let mut combined = |how: &str, sources: &[&str], wanted: &[u8]| {
            let command = [&["BITOP", how, &d], sources].concat();
            c.expect(&command, wanted.len() as i64);
            c.expect(&args!["GET", &d], wanted);
        };
        combined("AND", &[&a, &b], b"\x0f\x0f\x00");
        combined("OR", &[&a, &b], b"\xff\x0f\xf0");
        combined("XOR", &[&a, &b], b"\xf0\x00\xf0");
        combined("NOT", &[&b], b"\xf0\xf0");
        combined("DIFF", &[&a, &b], b"\xf0\x00\xf0");
        combined("DIFF1", &[&b, &a], b"\xf0\x00\xf0");
        combined("ANDOR", &[&a, &b, "missing"], b"\x0f\x0f\x00");
        combined("ONE", &[&a, &b, &b], b"\xf0\x00\xf0");
        combined("and", &["missing", &a], b"\x00\x00\x00");
        c.expect(&args!["OBJECT", "ENCODING", &d], "raw");
        c.expect(&args!["EXPIRE", &d, 100], 1);
        c.expect(&args!["BITOP", "OR", &d, &d, &a], 3);
        c.expect(&args!["TTL", &d], -1);
        c.expect(&args!["BITOP", "NOT", &d, "missing"], 0);
        c.expect(&args!["EXISTS", &d], 0);
        c.expect(&args!["SET", &a, 12], ok());
        c.expect(&args!["BITOP", "XOR", &a, &a], 2);
        c.expect(&args!["GET", &a], "12");
        c.expect(&args!["BITOP", "NAND", &d, &a], err(SYNTAX));
        let one = "ERR BITOP NOT must be called with a single source key.";
        c.expect(&args!["BITOP", "NOT", &d, &a, &b], err(one));
        let two = "ERR BITOP ANDOR must be called with at least two source keys.";
        c.expect(&args!["BITOP", "AndOr", &d, &a], err(two));
    });
}

#[test]
fn integers_among_the_bits() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("BITFIELD k INCRBY i5 100 1 GET u4 0", array([1, 0]));
        c.expect("BITFIELD k SET u8 #0 255 SET u8 #1 100 GET u16 0", array([0, 0, 65380]));
        c.expect("BITFIELD k OVERFLOW SAT INCRBY u8 #0 10 OVERFLOW WRAP INCRBY u8 #0 10", array([255, 9]));
        c.expect("BITFIELD k OVERFLOW FAIL INCRBY u8 #0 255 GET u8 #0", Value::Array(vec![nil(), int(9)]));
        c.expect("BITFIELD_RO k GET u8 #1 GET i8 12", array([100, 64]));
        c.expect("BITFIELD_RO missing GET i64 0", array([0]));
        c.expect("EXISTS missing", 0);
        c.expect("BITFIELD k", Value::Array(vec![]));
        // Redis: a watch does not mind a string that became longer, or is there, although every step failed.
        for (key, len) in [("k", 101), ("new", 101)] {
            c.expect(&["WATCH", key], ok());
            c.expect(
                &["BITFIELD", key, "OVERFLOW", "FAIL", "SET", "u2", "800", "100"],
                Value::Array(vec![nil()]),
            );
            c.expect("MULTI", ok());
            c.expect(&["STRLEN", key], simple("QUEUED"));
            c.expect("EXEC", array([len]));
        }
        c.expect("BITFIELD_RO k SET u8 0 1", err("ERR BITFIELD_RO only supports the GET subcommand"));
        c.expect("BITFIELD k GET u8", err(SYNTAX));
        c.expect("BITFIELD k OVERFLOW NEVER", err("ERR Invalid OVERFLOW type specified"));
        c.expect("BITFIELD k SET u8 4294967296 1", err(BAD_OFFSET));
        let bad_type = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        c.expect("BITFIELD k GET u64 0", err(bad_type));
    });
}

#[test]
fn other_types_have_no_bits() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("RPUSH l a", 1);
        for line in [
            "SETBIT l 0 1",
            "GETBIT l 0",
            "BITCOUNT l",
            "BITPOS l 1",
            "BITOP AND d l",
            "BITFIELD l GET u8 0",
            "BITFIELD l SET u8 0 1",
            "BITFIELD_RO l GET u8 0",
        ] {
            c.expect(line, err(WRONG_TYPE));
        }
        // What BITOP stores replaces anything.
        c.expect("SETBIT k 0 1", 0);
        c.expect("BITOP AND l k", 1);
        c.expect("TYPE l", simple("string"));
    });
}
