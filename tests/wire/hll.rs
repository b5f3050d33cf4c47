//! HyperLogLogs: what each command answers, with its keys on one shard and on several.

use crate::support::*;

const NO_HLL: &str = "WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPTED: &str = "INVALIDOBJ Corrupted HLL object detected";

#[test]
fn adding_and_counting() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("PFADD k a b c d e f g", 1);
        c.expect("PFADD k a b", 0);
        c.expect("PFCOUNT k", 7);
        c.expect("PFCOUNT missing", 0);
        c.expect("PFADD empty", 1);
        c.expect("PFADD empty", 0);
        c.expect("PFCOUNT empty", 0);
        c.expect("STRLEN empty", 18);
        c.expect("OBJECT ENCODING k", "raw");
        c.expect("TYPE k", simple("string"));
        for batch in 0..20 {
            let elements: Vec<String> = (0..500).map(|n| format!("element:{}", batch * 500 + n)).collect();
            let mut command = vec!["PFADD".to_owned(), "big".to_owned()];
            command.extend(elements);
            c.call(&command);
        }
        // As Redis 7.0.15 counts them.
        c.expect("PFCOUNT big", 10017);
        c.expect("PFDEBUG ENCODING big", simple("dense"));
        c.expect("STRLEN big", 12304);
    });
}

#[test]
fn unions() {
    each_placement(|s| {
        let mut c = s.client();
        let (a, b, d) = (s.key("a"), s.key("b"), s.key("d"));
        c.expect(&args!["PFADD", &a, 1, 2, 3, 4], 1);
        c.expect(&args!["PFADD", &b, 3, 4, 5], 1);
        c.expect(&args!["PFCOUNT", &a, &b, "missing"], 5);
        c.expect(&args!["PFMERGE", &d], ok());
        c.expect(&args!["PFCOUNT", &d], 0);
        c.expect(&args!["PFMERGE", &d, &a, &b], ok());
        c.expect(&args!["PFCOUNT", &d], 5);
        c.expect(&args!["PFDEBUG", "ENCODING", &d], simple("sparse"));
        c.expect(&args!["PFADD", &d, "more"], 1);
        c.expect(&args!["PFMERGE", &d, &a], ok());
        c.expect(&args!["PFCOUNT", &d], 6);
        c.expect(&args!["PFDEBUG", "TODENSE", &a], 1);
        c.expect(&args!["PFDEBUG", "TODENSE", &a], 0);
        c.expect(&args!["PFMERGE", &b, &a], ok());
        c.expect(&args!["PFDEBUG", "ENCODING", &b], simple("dense"));
        c.expect(&args!["PFCOUNT", &a, &b, &d], 6);
        c.expect(&args!["SET", &d, "no HyperLogLog"], ok());
        c.expect(&args!["PFMERGE", &a, &b, &d], err(NO_HLL));
        c.expect(&args!["PFMERGE", &d, &a], err(NO_HLL));
        c.expect(&args!["PFCOUNT", &a, &d], err(NO_HLL));
    });
}

#[test]
fn looking_inside() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("PFADD k a", 1);
        let runs = c.call("PFDEBUG DECODE k");
        assert!(runs.bytes().starts_with(b"Z:"), "{runs}");
        let Value::Array(registers) = c.call("PFDEBUG GETREG k") else { panic!("GETREG gives registers") };
        assert_eq!(registers.len(), 16384);
        assert_eq!(registers.iter().filter(|register| **register != int(0)).count(), 1);
        c.expect("PFDEBUG DECODE k", err("ERR HLL encoding is not sparse"));
        c.expect("PFDEBUG ENCODING missing", err("ERR The specified key does not exist"));
        c.expect("PFDEBUG NOSUCH k", err("ERR Unknown PFDEBUG subcommand 'NOSUCH'"));
    });
}

#[test]
fn the_sparse_form_ends_at_its_limit() {
    with_server(Options::threads, |s| {
        let mut c = s.client();
        c.expect("CONFIG SET hll-sparse-max-bytes 30", ok());
        c.expect("PFADD k a b c", 1);
        c.expect("PFDEBUG ENCODING k", simple("sparse"));
        c.expect("PFADD k d e f g", 1);
        c.expect("PFDEBUG ENCODING k", simple("dense"));
        c.expect("PFCOUNT k", 7);
    });
}

#[test]
fn strings_that_only_look_like_one() {
    each_setup(|s| {
        let mut c = s.client();
        let header = |encoding: u8| [b"HYLL", &[encoding][..], &[0; 10], &[0x80]].concat();
        for value in
            [b"HYLL".to_vec(), header(0), header(2), b"HYLK\x01aaaaaaaaaaaaaaaa".to_vec(), b"12".to_vec()]
        {
            c.expect(&args!["SET", "k", value], ok());
            for line in ["PFADD k a", "PFCOUNT k", "PFMERGE k", "PFMERGE d k", "PFDEBUG ENCODING k"] {
                c.expect(line, err(NO_HLL));
            }
        }
        // Runs that cover too little, too much, or lack a byte.
        for runs in [&b"\x7f\x00"[..], b"\x7f\xff\x00", b"\x7f"] {
            c.expect(&args!["SET", "k", [&header(1), runs].concat()], ok());
            for line in ["PFCOUNT k", "PFCOUNT k k", "PFMERGE k", "PFMERGE d k", "PFDEBUG GETREG k"] {
                c.expect(line, err(CORRUPTED));
            }
        }
        c.expect("RPUSH l a", 1);
        c.expect("PFADD l a", err("WRONGTYPE Operation against a key holding the wrong kind of value"));
    });
}

#[test]
fn it_tests_itself() {
    with_server(Options::threads, |s| s.client().expect("PFSELFTEST", ok()));
}
